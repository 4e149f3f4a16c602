//! BUNDLE, RFC 8843: who is bundled uses the transport of the tagged section, and programs differ in whether they say it again (Chromium and
//! Firefox do, RFC 8829 §5.2.2 does not). Clients of XMPP want it in each content (XEP-0338 has no rule), so it is copied, as from the session level.

use super::outline::Outline;
use crate::jingle::transport::{Method, Transport};
use crate::sdp::description::{Section, State};

/// Copies credentials and fingerprints of tagged sections to those that have none; candidates stay where they are.
pub(super) fn share(sections: &mut [Section], outlines: &[Outline]) {
    for (index, outline) in outlines.iter().enumerate() {
        let Some(tagged) = outline.tagged.and_then(|tagged| sections.get(tagged)).and_then(|section| section.content.transport.as_ref())
        else {
            continue;
        };
        let (ufrag, pwd, options) = (tagged.ufrag.clone(), tagged.pwd.clone(), tagged.options.clone());
        let dtls = tagged.dtls.clone();
        let section = &mut sections[index];
        let Some(transport) = section.content.transport.as_mut().filter(|_| section.state == State::Active) else { continue };
        if transport.method != Method::RawUdp && is_unsaid(transport) {
            (transport.ufrag, transport.pwd) = (ufrag, pwd);
            if transport.options.is_empty() {
                transport.options = options;
            }
        }
        if transport.dtls.is_none() {
            transport.dtls = dtls;
        }
    }
}

fn is_unsaid(transport: &Transport) -> bool {
    transport.ufrag.is_none() && transport.pwd.is_none() && transport.candidates.is_empty()
}
