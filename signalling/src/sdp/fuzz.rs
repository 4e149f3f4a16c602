//! What must hold for any text that comes as SDP and any element that comes as Jingle: no panic, what is written can be read, and a second round
//! changes nothing. Run by `fuzz/fuzz_targets/{sdp_to_jingle,jingle_to_sdp,sdp_session}.rs`, and by the tests below over what real programs write,
//! over seeds of our own that are worse, and what becomes of both by mutation.

use super::convert::{self, GROWTH_MAX, RESULT_BYTES_MAX, Request};
use super::parse::TEXT_BYTES_MAX;
use crate::jingle::{Action, Party};

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
            assert!(xml.len() <= RESULT_BYTES_MAX.min(GROWTH_MAX * (text.len() + 64)), "{} bytes became {}", text.len(), xml.len());
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
                assert!(sdp.len() <= RESULT_BYTES_MAX.min(GROWTH_MAX * (text.len() + 64)), "{} bytes became {}", text.len(), sdp.len());
            }
        }
    }
    let request = Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None };
    if convert::to_sdp(&text, &request).is_ok() {
        there_and_back(&text, &request);
    }
}

/// Between the description before and the text, in what [`session`] takes. It stands in no text of UTF-8.
const BETWEEN: u8 = 0xff;

/// Takes `data` for a description and, behind [`BETWEEN`], for what follows it in the session: another description of either party, or a
/// `<jingle/>`. Who has the description before and gets the stanzas has the other description in the end, as far as the stanzas fit.
///
/// # Panics
/// When a promise is broken.
pub fn session(data: &[u8]) {
    let Some(at) = data.iter().position(|byte| *byte == BETWEEN) else { return };
    let (before, next) = (String::from_utf8_lossy(&data[..at]), String::from_utf8_lossy(&data[at + 1..]));
    let bytes_max = GROWTH_MAX * (before.len() + next.len() + 64);
    for party in [Party::Initiator, Party::Responder] {
        for action in [None, Some(Action::ContentAdd), Some(Action::ContentAccept), Some(Action::SessionAccept)] {
            let request = Request { party, action, before: Some(&before) };
            if let Ok((sdp, _)) = convert::to_sdp(&next, &request) {
                lines(&sdp);
                assert!(sdp.len() <= bytes_max, "{} and {} bytes became {}", before.len(), next.len(), sdp.len());
            }
            let Ok((stanzas, _)) = convert::to_jingle(&next, &request) else { continue };
            let mut after = before.to_string();
            for stanza in &stanzas {
                let xml = convert::to_xml(stanza);
                assert!(xml.len() <= bytes_max, "{} and {} bytes became {}", before.len(), next.len(), xml.len());
                if let Ok((sdp, _)) = convert::to_sdp(&xml, &Request { party, action: None, before: Some(&after) }) {
                    lines(&sdp);
                    after = sdp;
                }
            }
        }
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

/// RFC 8866 §5: every line is a letter, `=`, and no break, by Unicode's rules either. A fragment of nothing has no line.
fn lines(sdp: &str) {
    if sdp.is_empty() {
        return;
    }
    for line in sdp.strip_suffix("\r\n").expect("the last line ends").split("\r\n") {
        assert!(
            line.as_bytes().get(1) == Some(&b'=') && !line.contains(['\r', '\n', '\0', '\u{85}', '\u{2028}', '\u{2029}']),
            "{line:?} in {sdp}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::sdp::corpus;
    use crate::xml::fuzz::mutation;

    type Inputs = LazyLock<Vec<Vec<u8>>>;

    static SDP: Inputs = LazyLock::new(|| [seeds("sdp_to_jingle"), written("sdp", "sdp")].concat());
    static JINGLE: Inputs = LazyLock::new(|| [seeds("jingle_to_sdp"), written("jingle", "xml")].concat());
    static SESSIONS: Inputs = LazyLock::new(|| seeds("sdp_session"));

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sdp/../../../fuzz/corpus").join(target))
    }

    fn written(folder: &str, extension: &str) -> Vec<Vec<u8>> {
        corpus::texts(folder, extension).into_iter().map(|(_, text)| text.into_bytes()).collect()
    }

    /// A case is several conversions: the usual number is enough.
    fn config() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    #[test]
    fn the_corpus_holds_the_promises() {
        // Of the descriptions each tenth: `map::tests` has them all.
        SDP.iter().step_by(10).for_each(|data| sdp_to_jingle(data));
        JINGLE.iter().for_each(|data| jingle_to_sdp(data));
        SESSIONS.iter().for_each(|data| session(data));
    }

    /// What is said once and meant for many, in short lines and long words.
    #[test]
    fn copies_have_bounds() {
        const HEAD: &str = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
        let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
        let word = |len: usize| "&".repeat(len);
        let media = |count: usize| many(count, &|_| "m=audio 9 RTP/AVP 0\n".into());
        let sources = |msids: usize| {
            let msids = many(msids, &|number| format!("a=msid:{} {number}{}\n", word(64), word(60)));
            many(8, &|_| media(1) + &msids + &many(256, &|ssrc| format!("a=ssrc:{ssrc}\n")))
        };
        let attacks = [
            sources(1),
            sources(64),
            many(256, &|id| format!("a=extmap:{} {}\n", id + 1, word(256))) + &media(128),
            many(256, &|id| format!("a=extmap:{} u\n", id + 1)) + &media(128),
            many(16, &|_| format!("a=fingerprint:{} {}AA\n", word(256), "AA:".repeat(63))) + &media(128),
            format!("a=ice-ufrag:abcd\na=ice-options:{}\n", many(16, &|number| format!("a{number}{} ", "b".repeat(250)))) + &media(128),
            many(16, &|_| format!("a=group:BUNDLE {}\n", "0 ".repeat(4000))) + &media(1) + "a=mid:0\n",
        ];
        for attack in &attacks {
            let text = format!("{HEAD}{attack}");
            let request = Request { party: Party::Initiator, action: None, before: None };
            if let Err(error) = convert::to_jingle(&text, &request) {
                assert!(matches!(error, convert::ConvertError::TooMuch { .. }), "{error}");
            }
            sdp_to_jingle(text.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn mutations_of_sdp_hold_the_promises(mutation in mutation::any()) {
            sdp_to_jingle(&mutation.of(&SDP));
        }

        #[test]
        fn mutations_of_jingle_hold_the_promises(mutation in mutation::any()) {
            jingle_to_sdp(&mutation.of(&JINGLE));
        }

        #[test]
        fn mutations_of_sessions_hold_the_promises(mutation in mutation::any()) {
            session(&mutation.of(&SESSIONS));
        }
    }
}
