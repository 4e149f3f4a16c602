//! BUNDLE, RFC 8843: who is bundled uses the transport of the tagged section, and programs differ in whether they say it again (Chromium and
//! Firefox do, RFC 8829 §5.2.2 does not). Clients of XMPP want it in each content (XEP-0338 has no rule), so it is copied, as from the session level.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::outline::Outline;
use crate::jingle::content::Content;
use crate::jingle::transport::{Method, Transport};
use crate::sdp::description::{Description, Section, State};
use crate::sdp::warning::Warnings;

/// Copies credentials and fingerprints of tagged sections to those that have none; candidates stay where they are.
pub(super) fn share(sections: &mut [Section], outlines: &[Outline]) {
    for (index, outline) in outlines.iter().enumerate() {
        let Some(tagged) = outline.tagged.and_then(|tagged| sections.get(tagged)).filter(|section| section.state == State::Active) else {
            continue;
        };
        let Some(section) =
            sections.get(index).filter(|section| section.state == State::Active && lacks(&section.content, &tagged.content))
        else {
            continue;
        };
        let transport = completed(&section.content, &tagged.content);
        sections[index].content.transport = Some(transport);
    }
}

/// The active contents with what they lack of their group's, so that their lines say what they will be read as.
pub(super) fn shared<'a>(description: &'a Description, warnings: &mut Warnings) -> Vec<Cow<'a, Content>> {
    let mut contents: Vec<Cow<'_, Content>> = description.sections.iter().map(|section| Cow::Borrowed(&section.content)).collect();
    let mut seen = vec![false; contents.len()];
    for group in description.groups.iter().filter(|group| group.semantics == "BUNDLE") {
        let place = |name: &SmolStr| {
            description.sections.iter().position(|section| section.state == State::Active && section.content.name == *name)
        };
        let mut members = group.contents.iter().filter_map(place);
        let Some(tagged) = members.next() else { continue };
        for index in members {
            // RFC 8843 §7: a section is in one group at most; the first one counts.
            if index == tagged || std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let (content, tagged) = (&description.sections[index].content, &description.sections[tagged].content);
            if !lacks(content, tagged) {
                continue;
            }
            if content.method() == Some(&Method::RawUdp) && is_ice(tagged) {
                warnings.enter(&content.name);
                warnings.add(format_args!("its addresses are left out: it is bundled with '{}', which has ICE", tagged.name));
                warnings.leave();
            }
            contents[index] = Cow::Owned(Content { transport: Some(completed(content, tagged)), ..content.clone() });
        }
    }
    contents
}

/// Whether a bundled content says less of its transport than it shares.
fn lacks(content: &Content, tagged: &Content) -> bool {
    let Some(tagged_transport) = &tagged.transport else { return false };
    let Some(transport) = &content.transport else { return true };
    is_ice(tagged) && !is_ice(content) || transport.dtls.is_none() && tagged_transport.dtls.is_some()
}

fn completed(content: &Content, tagged: &Content) -> Transport {
    let mut transport = content.transport.clone().unwrap_or_default();
    let Some(shared) = &tagged.transport else { return transport };
    if is_ice(tagged) && !is_ice(content) {
        if transport.method == Method::RawUdp {
            transport.method = shared.method.clone();
            transport.candidates.clear();
        }
        (transport.ufrag, transport.pwd) = (shared.ufrag.clone(), shared.pwd.clone());
        if transport.options.is_empty() {
            transport.options.clone_from(&shared.options);
        }
    }
    if transport.dtls.is_none() {
        transport.dtls.clone_from(&shared.dtls);
    }
    transport
}

/// Whether it has ICE of its own.
fn is_ice(content: &Content) -> bool {
    content.transport.as_ref().is_some_and(|transport| {
        let is_said = transport.ufrag.is_some() || transport.pwd.is_some();
        transport.method != Method::RawUdp && (is_said || !transport.candidates.is_empty() || !transport.remote_candidates.is_empty())
    })
}
