use super::*;
use crate::jingle::Party::{Initiator, Responder};

const AUDIO: &str = "m=audio 9 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=mid:a\na=rtpmap:0 PCMU/8000";
const VIDEO: &str = "m=video 9 RTP/AVP 96\nc=IN IP4 192.0.2.1\na=mid:v\na=rtpmap:96 VP8/90000";
const NO_AUDIO: &str = "m=audio 0 RTP/AVP 0\na=mid:a";
const NO_VIDEO: &str = "m=video 0 RTP/AVP 96\na=mid:v";

fn sdp(version: u64, sections: &[&str]) -> String {
    format!("v=0\no=- 7 {version} IN IP4 192.0.2.1\ns=-\nt=0 0\n{}\n", sections.join("\n"))
}

fn jingle(action: &str, children: &str) -> String {
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='7'>{children}</jingle>")
}

/// Warnings or the error, a line each.
fn said<T>(result: Result<(T, Vec<Warning>), ConvertError>) -> (Option<T>, String) {
    match result {
        Ok((converted, warnings)) => (Some(converted), warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        Err(error) => (None, error.to_string()),
    }
}

/// The actions and names of contents in the stanzas, and what is said beside them.
fn stanzas(text: &str, party: Party, action: Option<Action>, before: Option<&str>) -> (String, String) {
    let (stanzas, said) = said(to_jingle(text, &Request { party, action, before }));
    let stanzas = stanzas.unwrap_or_default().into_iter().map(|stanza| {
        let reason = stanza.reason.and_then(|reason| reason.condition).map(|condition| condition.as_str());
        let names = stanza.contents.iter().map(|content| &*content.name);
        [stanza.action.as_str()].into_iter().chain(reason).chain(names).collect::<Vec<_>>().join(" ")
    });
    (stanzas.collect::<Vec<_>>().join(", "), said)
}

/// The version, the m= lines and names of the SDP, and what is said beside it.
fn lines(text: &str, party: Party, before: Option<&str>) -> (String, String) {
    let (sdp, said) = said(to_sdp(text, &Request { party, action: None, before }));
    let version = |line: &str| line.split(' ').nth(2).map(str::to_owned);
    let lines = sdp.iter().flat_map(|sdp| sdp.lines()).filter_map(|line| match line.split_once('=')? {
        ("o", _) => version(line),
        ("m", _) => Some(line.to_owned()),
        ("a", name) if name.starts_with("jingle-") => Some(name.to_owned()),
        ("a", name) => name.strip_prefix("mid:").map(str::to_owned),
        _ => None,
    });
    (lines.collect::<Vec<_>>().join(", "), said)
}

#[test]
fn xep_0166_s6_3_an_answer_without_any_content_ends_the_session() {
    let offer = sdp(1, &[AUDIO, VIDEO]);
    let (accept, initiate) = (Some(Action::SessionAccept), Some(Action::SessionInitiate));
    let none = "there is no m= line in it that is not refused and that Jingle could say";
    let declined = "every m= line is refused: session-accept needs one that is not, so this is the session-terminate that declines";
    let table = [
        (&[NO_AUDIO, NO_VIDEO][..], Responder, None, None, "session-terminate decline", declined),
        (&[NO_AUDIO, NO_VIDEO], Responder, accept, None, "session-terminate decline", declined),
        (&[NO_AUDIO, NO_VIDEO], Responder, accept, Some(&*offer), "session-terminate decline", declined),
        (&[AUDIO, NO_VIDEO], Responder, accept, Some(&*offer), "session-accept a", ""),
        (&[], Responder, None, None, "", none),
        (&[], Initiator, None, None, "", none),
        (&[NO_AUDIO], Initiator, initiate, None, "", none),
        (&[NO_AUDIO], Initiator, Some(Action::ContentAdd), None, "", none),
        (&[NO_AUDIO], Responder, Some(Action::ContentAccept), None, "", none),
    ];
    for (sections, party, action, before, expected, expected_said) in table {
        let (stanzas, said) = stanzas(&sdp(2, sections), party, action, before);
        assert_eq!((&*stanzas, &*said), (expected, expected_said), "{sections:?} {action:?}");
    }
}

#[test]
fn xep_0166_s7_2_11_session_terminate_refuses_every_line() {
    let before = sdp(1, &[AUDIO, VIDEO]);
    let reason = jingle("session-terminate", "<reason><success/></reason>");
    let refused = "2, m=audio 0 RTP/AVP 0, a, m=video 0 RTP/AVP 96, v";
    let initiate = to_xml(&to_jingle(&before, &Request { party: Initiator, action: None, before: None }).unwrap().0[0]);
    let table = [
        (&*reason, Some(&*before), refused, "session-terminate: SDP has no line for the reason 'success'"),
        (&jingle("session-terminate", ""), Some(&before), refused, ""),
        (&jingle("session-terminate", ""), Some(&initiate), refused, ""),
        (&reason, None, "", "this action says nothing of media, so there is no SDP for it"),
        (&jingle("security-info", ""), Some(&before), "", "this action says nothing of media, so there is no SDP for it"),
    ];
    for (stanza, before, expected, expected_said) in table {
        for party in [Initiator, Responder] {
            let (lines, said) = lines(stanza, party, before);
            assert_eq!((&*lines, &*said), (expected, expected_said), "{stanza}");
        }
    }
}

#[test]
fn rfc_3264_s8_a_version_that_cannot_grow_is_said() {
    let modify = jingle("content-modify", "<content creator='initiator' name='a' senders='none'/>");
    let table = [(1, "2, m=audio 9 RTP/AVP 0, a", ""), (u64::MAX, "18446744073709551615, m=audio 9 RTP/AVP 0, a", "cannot grow any more")];
    for (version, expected, expected_said) in table {
        let (lines, said) = lines(&modify, Initiator, Some(&sdp(version, &[AUDIO])));
        assert_eq!(lines, expected);
        assert!(said.contains(expected_said) && said.is_empty() == expected_said.is_empty(), "{said}");
    }
}

/// The content that is rejected has been in no description of the party.
#[test]
fn xep_0166_s7_2_4_a_content_reject_leads_to_the_refused_line() {
    let unknown = "content 'v': it is not in the description before: a refused m= line more, whose media is not known";
    let new = "2, m=audio 9 RTP/AVP 0, a, m=application 0 UDP/DTLS/SCTP webrtc-datachannel, v";
    for (party, creator, mark) in [(Initiator, "responder", ", jingle-creator:responder"), (Responder, "initiator", "")] {
        let before = sdp(1, &[AUDIO]);
        let reject = jingle("content-reject", &format!("<content creator='{creator}' name='v'/>"));
        let (stanzas, _) = to_jingle(&sdp(2, &[AUDIO, NO_VIDEO]), &Request { party, action: None, before: Some(&before) }).unwrap();
        let said: String = stanzas.iter().map(to_xml).collect();
        assert_eq!(said, reject);
        assert_eq!(lines(&reject, party, Some(&before)), (format!("{new}{mark}"), unknown.to_owned()));
    }
    let reject = jingle("content-reject", "<content creator='responder' name='v'/>");
    let table = [
        // It is in the description already: nothing changes.
        (
            Initiator,
            &[AUDIO, NO_VIDEO][..],
            "1, m=audio 9 RTP/AVP 0, a, m=video 0 RTP/AVP 96, v",
            "content 'v': its m= line is refused already",
        ),
        // The party's own is not there to be refused by the other.
        (Responder, &[AUDIO], "", "item-not-found: content-reject: there is no content 'v' of the responder"),
        (Initiator, &[AUDIO, VIDEO], "", "out-of-order: content-reject of content 'v': nobody has asked for that"),
    ];
    for (party, sections, expected, expected_said) in table {
        let (lines, said) = lines(&reject, party, Some(&sdp(1, sections)));
        assert!(lines.starts_with(expected) && lines.is_empty() == expected.is_empty(), "{lines}: {said}");
        assert!(said.contains(expected_said), "{said}");
    }
}

/// RFC 3264 §8: the version grows by one, though an answer to what a file does not know is an offer and its answer.
#[test]
fn a_content_accept_is_one_description_more() {
    let before = sdp(1, &[AUDIO]);
    let (stanzas, _) =
        to_jingle(&sdp(2, &[AUDIO, VIDEO]), &Request { party: Initiator, action: Some(Action::ContentAccept), before: Some(&before) })
            .unwrap();
    let (lines, said) = lines(&to_xml(&stanzas[0]), Initiator, Some(&before));
    assert_eq!((&*lines, &*said), ("2, m=audio 9 RTP/AVP 0, a, m=video 9 RTP/AVP 96, v, jingle-creator:responder", ""));
}

/// RFC 3264 §8.4 has the hold of RFC 2543: what changes is the direction, and the address stays.
#[test]
fn rfc_3264_s8_4_a_hold_replaces_no_transport() {
    let (held, elsewhere) = (AUDIO.replace("192.0.2.1", "0.0.0.0").replace(" 9 ", " 5000 "), AUDIO.replace("192.0.2.1", "192.0.2.2"));
    let table = [
        (AUDIO, &*held, "content-modify a"),
        (&held, &held, ""),
        // What it was is in no description before.
        (&held, AUDIO, "transport-replace a, content-modify a"),
        (AUDIO, &elsewhere, "transport-replace a"),
    ];
    for (before, next, expected) in table {
        for party in [Initiator, Responder] {
            let (stanzas, said) = stanzas(&sdp(2, &[next]), party, None, Some(&sdp(1, &[before])));
            assert_eq!((&*stanzas, &*said), (expected, ""), "{before} {next}");
        }
    }
    // An answer has the address that it says, and not that of the offer.
    let request = Request { party: Responder, action: Some(Action::SessionAccept), before: Some(&sdp(1, &[AUDIO])) };
    let (stanzas, _) = to_jingle(&sdp(2, &[&held]), &request).unwrap();
    assert_eq!(stanzas[0].contents[0].transport.as_ref().unwrap().candidates[0].ip, "0.0.0.0");
}

#[test]
fn xep_0167_s8_hold_is_known_by_its_namespace() {
    let (own, other) = ("urn:xmpp:jingle:apps:rtp:info:1", "http://jabber.org/protocol/chatstates");
    let before = sdp(1, &[&format!("{AUDIO}\na=sendonly")]);
    let no_media = "this action says nothing of media, so there is no SDP for it";
    for (word, namespace, direction) in [
        ("active", own, Some("a=sendrecv")),
        ("unhold", own, Some("a=sendrecv")),
        ("hold", own, Some("a=sendonly")),
        ("ringing", own, None),
        ("active", other, None),
        ("hold", other, None),
    ] {
        let info = jingle("session-info", &format!("<{word} xmlns='{namespace}'/>"));
        let (sdp, said) = said(to_sdp(&info, &Request { party: Initiator, action: None, before: Some(&before) }));
        let found = sdp.as_ref().and_then(|sdp| sdp.lines().find(|line| line.starts_with("a=send")));
        assert_eq!((found, &*said), (direction, if direction.is_some() { "" } else { no_media }), "{info}");
    }
}

/// XEP-0166 §7.1: whose session it is.
#[test]
fn a_session_has_one_sid_and_keeps_its_parties() {
    let (before, said_sid) = (sdp(1, &[AUDIO]), sdp(1, &["a=jingle-sid:x", AUDIO]));
    let modify = |attributes: &str| {
        let content = "<content creator='initiator' name='a' senders='none'/>";
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='content-modify' {attributes}>{content}</jingle>")
    };
    let table = [
        (&before, "sid='7'", &["o=- 7 2"][..], ""),
        // A program has made the number of `o=` and knows of no sid.
        (&before, "sid='y'", &["o=- 7 2", "a=jingle-sid:y"], ""),
        (&said_sid, "sid='x'", &["o=- 7 2", "a=jingle-sid:x"], ""),
        (&said_sid, "sid='y'", &[], "unknown-session: the session is 'x', not 'y'"),
        (&before, "sid='7' initiator='a@b/c'", &["o=- 7 2", "a=jingle-initiator:a@b/c"], ""),
    ];
    for (before, attributes, expected, expected_said) in table {
        let (sdp, said) = said(to_sdp(&modify(attributes), &Request { party: Initiator, action: None, before: Some(before) }));
        let sdp = sdp.unwrap_or_default();
        let missing: Vec<_> = expected.iter().filter(|line| !sdp.lines().any(|found| found.starts_with(**line))).collect();
        assert_eq!((missing.len(), &*said, sdp.is_empty()), (0, expected_said, expected.is_empty()), "{attributes}: {sdp}");
    }
    // No program repeats them.
    let before = sdp(1, &["a=jingle-initiator:a@b/c", AUDIO]);
    let table =
        [(&[AUDIO][..], ""), (&["a=jingle-initiator:d@b/c", AUDIO], "no stanza says that the session has another initiator or responder")];
    for (lines, expected) in table {
        assert_eq!(stanzas(&sdp(2, lines), Initiator, None, Some(&before)), (String::new(), expected.to_owned()));
    }
}
