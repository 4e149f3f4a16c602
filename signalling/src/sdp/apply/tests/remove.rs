//! What ends: XEP-0166 §7.2.4, §7.2.5 and §7.2.11.

use super::*;

#[test]
fn s7_2_4_content_reject_and_s7_2_5_content_remove() {
    let of = |action: &str, name: &str| stanza(action, &named("initiator", name, ""));
    let gone = [
        "-a=group:BUNDLE a v",
        "-m=video 9 UDP/TLS/RTP/SAVPF 96",
        "-a=ice-ufrag:userA",
        "-a=ice-pwd:passwordpasswordpassword",
        "-a=ice-options:trickle",
        "-a=fingerprint:sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
        "-a=setup:actpass",
        "-a=sendrecv",
        "-a=rtcp-mux",
        "-a=rtpmap:96 VP8/90000",
        "+a=group:BUNDLE a",
        "+m=video 0 UDP/TLS/RTP/SAVPF 96",
    ];
    check(&initiator(), Responder, &of("content-reject", "v"), &gone);
    for from in [Initiator, Responder] {
        let (after, _) = check(&initiator(), from, &of("content-remove", "v"), &gone);
        let twice = error(&after, from, &of("content-remove", "v"));
        assert_eq!(twice, "item-not-found: content-remove: there is no content 'v' of the initiator");
    }
    // Both at once: the group goes with its last member.
    let both = stanza("content-remove", &(named("initiator", "v", "") + &named("initiator", "a", "")));
    assert_eq!(initiator().apply(Initiator, &both).unwrap().0.groups, []);
    let (after, _) = check(&with_offered(), Responder, &of("content-reject", "n"), &[]);
    assert_eq!(after.sections[2].state, State::Refused);
    for (before, from) in [(&with_offered(), Initiator), (&initiator(), Initiator), (&responder(), Responder)] {
        let name = if before.sections.len() > 2 { "n" } else { "v" };
        assert_eq!(
            error(before, from, &of("content-reject", name)),
            format!("out-of-order: content-reject of content '{name}': nobody has asked for that")
        );
    }
}

#[test]
fn s7_2_11_session_terminate() {
    let (after, warnings) = with_offered().apply(Initiator, &stanza("session-terminate", "<reason><success/></reason>")).unwrap();
    assert_eq!(warnings[0].to_string(), "session-terminate: SDP has no line for the reason 'success'");
    assert!(after.sections.iter().all(|section| section.state == State::Refused));
    assert_eq!((after.groups.len(), after.origin.version), (0, with_offered().origin.version + 1));
}
