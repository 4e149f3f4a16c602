//! What must hold for any text that comes as SDP and any element that comes as Jingle: no panic, what is written can be read, and a second round
//! changes nothing. Run by `fuzz/fuzz_targets/{sdp_to_jingle,jingle_to_sdp}.rs`, and by the tests below over the corpus and what becomes of it by
//! mutation.

use super::convert::{self, Request};
use super::parse::TEXT_BYTES_MAX;
use crate::jingle::{Action, Party};

/// What a text may become, as a multiple: the longest names of Jingle for the shortest lines of SDP.
const GROWTH_MAX: usize = 64;

/// Takes `data` for the SDP of either party.
///
/// # Panics
/// When a promise is broken.
pub fn sdp_to_jingle(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for party in [Party::Initiator, Party::Responder] {
        let request = Request { party, action: None, before: None };
        let Ok((stanzas, _)) = convert::to_jingle(&text, &request) else { continue };
        for jingle in stanzas {
            let xml = convert::to_xml(&jingle);
            assert!(xml.len() <= GROWTH_MAX * (text.len() + 64), "{} bytes became {}", text.len(), xml.len());
            if !jingle.contents.is_empty() && xml.len() <= TEXT_BYTES_MAX {
                there_and_back(&xml, &request);
            }
        }
    }
}

/// Takes `data` for a `<jingle/>` of either party.
///
/// # Panics
/// When a promise is broken.
pub fn jingle_to_sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for party in [Party::Initiator, Party::Responder] {
        for action in [None, Some(Action::SessionInitiate), Some(Action::TransportInfo)] {
            let request = Request { party, action, before: None };
            if let Ok((sdp, _)) = convert::to_sdp(&text, &request) {
                lines(&sdp);
                assert!(sdp.len() <= GROWTH_MAX * (text.len() + 64), "{} bytes became {}", text.len(), sdp.len());
            }
        }
    }
    let request = Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None };
    if convert::to_sdp(&text, &request).is_ok() {
        there_and_back(&text, &request);
    }
}

/// From a `<jingle/>` to SDP and back, twice: the first round brings it into normal form, the second changes nothing.
fn there_and_back(xml: &str, request: &Request<'_>) {
    let round = |xml: &str| {
        let sdp = convert::to_sdp(xml, request).unwrap_or_else(|error| panic!("{error} in {xml}")).0;
        lines(&sdp);
        let (mut stanzas, _) = convert::to_jingle(&sdp, request).unwrap_or_else(|error| panic!("{error} in {sdp} of {xml}"));
        assert_eq!(stanzas.len(), 1, "{sdp}");
        (sdp, convert::to_xml(&stanzas.remove(0)))
    };
    let first = round(xml);
    if first.1.len() <= TEXT_BYTES_MAX && first.0.len() <= TEXT_BYTES_MAX / 2 {
        assert_eq!(round(&first.1), first);
    }
}

/// RFC 8866 §5: every line is a letter, `=`, and no break. A fragment of nothing has no line.
fn lines(sdp: &str) {
    if sdp.is_empty() {
        return;
    }
    for line in sdp.strip_suffix("\r\n").expect("the last line ends").split("\r\n") {
        assert!(line.as_bytes().get(1) == Some(&b'=') && !line.contains(['\r', '\n', '\0']), "{line:?} in {sdp}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::xml::fuzz::mutation;

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name))
    }

    #[test]
    fn the_corpus_holds_the_promises() {
        corpus("sdp_to_jingle").iter().for_each(|data| sdp_to_jingle(data));
        corpus("jingle_to_sdp").iter().for_each(|data| jingle_to_sdp(data));
    }

    proptest! {
        #![proptest_config(mutation::config())]

        #[test]
        fn mutations_of_sdp_hold_the_promises(mutation in mutation::any()) {
            sdp_to_jingle(&mutation.of(&corpus("sdp_to_jingle")));
        }

        #[test]
        fn mutations_of_jingle_hold_the_promises(mutation in mutation::any()) {
            jingle_to_sdp(&mutation.of(&corpus("jingle_to_sdp")));
        }
    }
}
