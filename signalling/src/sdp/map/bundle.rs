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
            if content.method() == Some(&Method::RawUdp) && has_credentials(tagged) {
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
    has_credentials(tagged) && !is_ice(content) || transport.dtls.is_none() && tagged_transport.dtls.is_some()
}

fn completed(content: &Content, tagged: &Content) -> Transport {
    let mut transport = content.transport.clone().unwrap_or_default();
    let Some(shared) = &tagged.transport else { return transport };
    if has_credentials(tagged) && !is_ice(content) {
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

/// Whether it has what can be shared.
fn has_credentials(content: &Content) -> bool {
    let is_said = |transport: &Transport| transport.ufrag.is_some() || transport.pwd.is_some();
    content.transport.as_ref().is_some_and(|transport| transport.method != Method::RawUdp && is_said(transport))
}

/// Whether it has ICE of its own.
fn is_ice(content: &Content) -> bool {
    content.transport.as_ref().is_some_and(|transport| {
        let is_said = transport.ufrag.is_some() || transport.pwd.is_some();
        transport.method != Method::RawUdp && (is_said || !transport.candidates.is_empty() || !transport.remote_candidates.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{only, read, said, through, written};
    use super::*;
    use crate::jingle::content::{Group, Party};

    const FINGERPRINT: &str = "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\na=setup:actpass";

    /// Two bundled sections, the second one with nothing of its own.
    fn bundled(first: &str, second: &str) -> String {
        format!(
            "a=group:BUNDLE 0 1
            m=audio 9 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\n{first}\na=mid:0\na=sendrecv\na=rtpmap:0 PCMU/8000
            {second}\na=mid:1\na=sendrecv\na=rtpmap:31 H261/90000"
        )
    }

    #[test]
    fn rfc_8829_s5_3_1_a_bundled_section_has_the_transport_of_the_first() {
        let first = format!("a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\na=ice-options:trickle\n{FINGERPRINT}");
        let body = bundled(&first, "m=video 9 UDP/TLS/RTP/SAVPF 31\nc=IN IP4 0.0.0.0");
        let back = through(&body);
        assert_eq!(only(&back, &["a=ice", "a=fingerprint", "a=setup"]).len(), 10, "{back}");
        assert_eq!(through(&back), back);
        let (description, _) = read(Party::Initiator, &body);
        let transport = |index: usize| description.sections[index].content.transport.as_ref().unwrap();
        assert_eq!(transport(0), transport(1));
        assert_eq!(description.groups, [Group { semantics: "BUNDLE".into(), contents: vec!["0".into(), "1".into()] }]);
    }

    #[test]
    fn rfc_8843_s6_port_0_that_refuses_nothing() {
        let first = format!("a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\n{FINGERPRINT}");
        let table = [
            ("m=video 0 UDP/TLS/RTP/SAVPF 31\na=bundle-only", State::Active, "m=video 0 "),
            ("m=video 0 UDP/TLS/RTP/SAVPF 31", State::Active, "m=video 9 "),
        ];
        for (second, state, media) in table {
            let body = bundled(&first, second);
            let (description, warnings) = read(Party::Initiator, &body);
            assert_eq!((description.sections[1].state, warnings), (state, Vec::new()), "{body}");
            let (back, warnings) = written(&description);
            assert!(back.contains(media) && warnings.is_empty(), "{back}");
        }
    }

    #[test]
    fn contents_that_say_less_are_written_whole() {
        let first = format!("a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\na=ice-options:trickle\n{FINGERPRINT}");
        let body = bundled(&first, "m=video 9 UDP/TLS/RTP/SAVPF 31\nc=IN IP4 0.0.0.0");
        let (mut description, _) = read(Party::Initiator, &body);
        let expected = written(&description);
        for transport in [None, Some(Transport::default())] {
            description.sections[1].content.transport = transport;
            assert_eq!(written(&description), expected);
        }
        description.sections[1].content.transport = Some(Transport { method: Method::RawUdp, ..Transport::default() });
        let (back, warnings) = written(&description);
        assert_eq!(back, expected.0);
        assert_eq!(warnings, ["content '1': its addresses are left out: it is bundled with '0', which has ICE"]);
        let (mut alone, _) = said(vec![description.sections[0].content.clone()]).unwrap();
        alone.groups = description.groups;
        assert_eq!(written(&alone).1, ["'1' is left out of the group 'BUNDLE': no section is called so"]);
    }
}
