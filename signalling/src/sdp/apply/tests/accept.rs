//! Accepted contents: XEP-0166 §7.2.1 and §7.2.8.

use super::*;

#[test]
fn s7_2_1_content_accept() {
    let offered = with_offered();
    let own = content("initiator", "n", "video", &transport("ufrag='userB' pwd='anotherpasswordanother'", ""));
    let (after, _) = check(
        &offered,
        Responder,
        &stanza(
            "content-accept",
            &format!(
                "{own}<group xmlns='{}' semantics='BUNDLE'><content name='a'/><content name='v'/><content name='n'/></group>",
                ns::JINGLE_GROUPING
            ),
        ),
        &[
            "-a=group:BUNDLE a v",
            "-m=video 0 RTP/AVP 96",
            "+a=group:BUNDLE a v n",
            "+m=video 9 UDP/TLS/RTP/SAVPF 96",
            "+a=ice-ufrag:userB",
            "+a=ice-pwd:anotherpasswordanother",
            "+a=ice-options:trickle",
            // Bundled, it has the keys of the tagged section.
            "+a=fingerprint:sha-256 BB:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
            "+a=setup:active",
            "+a=sendrecv",
            "+a=rtcp-mux",
            "+a=rtpmap:96 H264/90000",
        ],
    );
    assert_eq!(after.sections[2].state, State::Active);

    // The initiator's own section stays; the senders of the answer hold for both, and it is bundle-only no more.
    let add =
        own.replace("userB", "userA").replace("</content>", &format!("<line xmlns='{}' type='a'>bundle-only</line></content>", ns::SDP));
    let (added, _) = initiator().apply(Initiator, &stanza("content-add", &add)).unwrap();
    assert!(text(&added).contains("m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0"), "{}", text(&added));
    let accept = stanza("content-accept", &own.replace("name='n'", "name='n' senders='initiator'"));
    check(&added, Responder, &accept, &["-m=video 0 RTP/AVP 96", "-a=sendrecv", "-a=bundle-only", "+m=video 9 RTP/AVP 96", "+a=sendonly"]);

    let table = [
        (&offered, Initiator, own.clone(), "out-of-order: content-accept of content 'n': nobody has asked for that"),
        (&after, Responder, own.clone(), "out-of-order: content-accept of content 'n': nobody has asked for that"),
        (
            &offered,
            Responder,
            own.replace("name='n'", "name='x'"),
            "item-not-found: content-accept: there is no content 'x' of the initiator",
        ),
        (
            &offered,
            Responder,
            named("initiator", "n", ""),
            "bad-request: content-accept of content 'n': expected a description of the kind that was offered",
        ),
        (
            &offered,
            Responder,
            content("initiator", "n", "audio", &transport("", "")),
            "bad-request: content-accept of content 'n': expected a description of the kind that was offered",
        ),
        (&offered, Responder, content("initiator", "n", "video", ""), "bad-request: content-accept of content 'n': expected a transport"),
        (&offered, Responder, String::new(), "bad-request: content-accept without contents"),
    ];
    for (before, from, contents, expected) in table {
        assert_eq!(error(before, from, &stanza("content-accept", &contents)), expected);
    }
}

#[test]
fn s7_2_8_session_accept() {
    let own = |name: &str, media: &str, senders: &str| {
        content("initiator", name, media, &transport("ufrag='userB' pwd='anotherpasswordanother'", ""))
            .replace("name='v'", &format!("name='v' {senders}"))
    };
    // For the initiator: what is left out is refused, the senders are those of the answer.
    let accept = stanza("session-accept", &own("v", "video", "senders='responder'"));
    let (after, _) = initiator().apply(Responder, &accept).unwrap();
    let states: Vec<_> = after.sections.iter().map(|section| (&*section.content.name, section.state)).collect();
    assert_eq!(states, [("a", State::Refused), ("v", State::Active)]);
    assert!(text(&after).contains("a=mid:v\r\na=recvonly"), "{}", text(&after));
    assert_eq!((after.groups[0].contents.len(), after.origin.version), (1, 2));
    // For the responder: its first description.
    let unanswered = initiator().unanswered();
    assert_eq!((unanswered.party, unanswered.origin.version), (Responder, 0));
    let (answer, _) = unanswered.apply(Responder, &accept).unwrap();
    let states: Vec<_> = answer.sections.iter().map(|section| (&*section.content.name, section.state)).collect();
    assert_eq!(states, [("a", State::Refused), ("v", State::Active)]);
    assert_eq!((&*answer.sections[1].content.transport.as_ref().unwrap().ufrag.clone().unwrap(), answer.origin.version), ("userB", 1));
    assert_eq!(error(&answer, Responder, &accept), "out-of-order: session-accept of content 'v': nobody has asked for that");
    assert_eq!(error(&answer, Initiator, &accept), "out-of-order: session-accept by the initiator");
    assert_eq!(error(&answer, Initiator, &stanza("session-initiate", "")), "out-of-order: session-initiate within the session");
    // §7.2.8: contents of another disposition are not meant.
    let mut early = initiator();
    early.sections[0].content.disposition = Some("early-session".into());
    let (after, _) = early.apply(Responder, &accept).unwrap();
    assert_eq!(after.sections[0].state, State::Active);
}
