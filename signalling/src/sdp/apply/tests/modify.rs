//! Who sends: XEP-0166 §7.2.3, XEP-0167 §8.

use super::*;

#[test]
fn s7_2_3_content_modify() {
    let modify = |senders: &str| stanza("content-modify", &format!("<content creator='initiator' name='a' {senders}/>"));
    for from in [Initiator, Responder] {
        check(&initiator(), from, &modify("senders='initiator'"), &["-a=sendrecv", "+a=sendonly"]);
        check(&responder(), from, &modify("senders='initiator'"), &["-a=sendrecv", "+a=recvonly"]);
        check(&responder(), from, &modify("senders='none'"), &["-a=sendrecv", "+a=inactive"]);
        check(&responder(), from, &modify("senders='both'"), &[]);
    }
    assert_eq!(error(&initiator(), Initiator, &modify("")), "bad-request: content-modify of content 'a': expected senders (XEP-0166 §7.3)");
    // Offered contents too: whose answer it is does not matter.
    let modify = stanza("content-modify", "<content creator='initiator' name='n' senders='initiator'/>");
    let (after, _) = check(&with_offered(), Initiator, &modify, &[]);
    let own = stanza("content-accept", &content("initiator", "n", "video", &transport("ufrag='userB' pwd='anotherpasswordanother'", "")));
    assert!(text(&after.apply(Responder, &own).unwrap().0).contains("a=mid:n\r\na=recvonly"));
}

#[test]
fn xep_0167_s8_session_info() {
    let info = |name: &str| stanza("session-info", &format!("<{name} xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>"));
    let video = |senders: &str| stanza("content-modify", &format!("<content creator='initiator' name='v' senders='{senders}'/>"));
    // RFC 3264 §8.4: sendrecv becomes sendonly, recvonly inactive; and back to what it was.
    let (before, _) = initiator().apply(Initiator, &video("responder")).unwrap();
    let (held, _) = check(&before, Initiator, &info("hold"), &["-a=sendrecv", "-a=recvonly", "+a=sendonly", "+a=inactive"]);
    check(&held, Initiator, &info("hold"), &[]);
    for word in ["unhold", "active"] {
        let (after, _) = check(&held, Initiator, &info(word), &["-a=sendonly", "-a=inactive", "+a=sendrecv", "+a=recvonly"]);
        assert_eq!(after.sections, before.sections);
        check(&before, Initiator, &info(word), &[]);
    }
    // What was before is not in the SDP.
    let forgetful = described(&text(&held), Initiator);
    check(&forgetful, Initiator, &info("unhold"), &["-a=sendonly", "-a=inactive", "+a=sendrecv", "+a=sendrecv"]);
    // Said anew, it is no hold any more.
    let (modified, _) = held.apply(Initiator, &video("both")).unwrap();
    check(&modified, Initiator, &info("active"), &["-a=sendonly", "+a=sendrecv"]);
    // The responder's: by role. The other party's hold, and what SDP does not have.
    check(&responder(), Responder, &info("hold"), &["-a=sendrecv", "-a=sendrecv", "+a=sendonly", "+a=sendonly"]);
    for (from, word, warned) in
        [(Responder, "hold", 0), (Responder, "active", 0), (Initiator, "mute", 1), (Initiator, "unmute", 1), (Responder, "ringing", 1)]
    {
        let (_, warnings) = check(&initiator(), from, &info(word), &[]);
        assert_eq!(warnings.len(), warned, "{word}");
    }
    check(&initiator(), Initiator, &stanza("session-info", ""), &[]);
    let (_, warnings) = check(&initiator(), Initiator, &stanza("security-info", "<content creator='initiator' name='a'/>"), &[]);
    assert_eq!(warnings, ["security-info: SDP has no line for security preconditions"]);
}
