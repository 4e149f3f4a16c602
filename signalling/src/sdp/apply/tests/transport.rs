//! Transports: XEP-0166 §7.2.12 to §7.2.15, XEP-0176, XEP-0320.

use super::*;

const CANDIDATE: &str = "<candidate component='1' foundation='1' generation='0' id='x' ip='192.0.2.1' network='0' port='5000' priority='7' protocol='udp' type='host'/>";

#[test]
fn xep_0176_s5_8_transport_info() {
    let info = |transport: &str| stanza("transport-info", &named("initiator", "a", transport));
    let first = info(&transport("ufrag='userA' pwd='passwordpasswordpassword'", CANDIDATE));
    let (after, _) = check(
        &initiator(),
        Initiator,
        &first,
        &[
            "-m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
            "-c=IN IP4 0.0.0.0",
            "+m=audio 5000 UDP/TLS/RTP/SAVPF 111 0",
            "+c=IN IP4 192.0.2.1",
            "+a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0",
        ],
    );
    // Again, and the other party's; without ufrag; with another priority.
    check(&after, Initiator, &first, &[]);
    check(&responder(), Initiator, &first, &[]);
    check(&after, Initiator, &info(&transport("", CANDIDATE)), &[]);
    check(
        &after,
        Initiator,
        &info(&transport("", &CANDIDATE.replace("priority='7'", "priority='8'"))),
        &["-a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0", "+a=candidate:1 1 udp 8 192.0.2.1 5000 typ host generation 0"],
    );
    // XEP-0371 §7, and its namespace for the same transport.
    let complete = transport("ufrag='userA' pwd='passwordpasswordpassword'", "<gathering-complete/>");
    check(&after, Initiator, &info(&complete), &["+a=end-of-candidates"]);
    let (done, _) = check(&after, Initiator, &info(&complete.replace(ns::JINGLE_ICE_UDP, ns::JINGLE_ICE)), &["+a=end-of-candidates"]);
    // XEP-0320 §1, example 3: keys.
    let fingerprint = "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F</fingerprint>";
    check(&initiator(), Initiator, &info(&transport("", fingerprint)), &["-a=setup:actpass", "+a=setup:active"]);
    // §5.9: a restart voids candidates and their end.
    let restart = info(&transport(
        "ufrag='userX' pwd='anotherpasswordanother'",
        &CANDIDATE.replace("generation='0'", "generation='1'").replace("5000", "6000"),
    ));
    check(
        &done,
        Initiator,
        &restart,
        &[
            "-m=audio 5000 UDP/TLS/RTP/SAVPF 111 0",
            "-a=candidate:1 1 udp 7 192.0.2.1 5000 typ host generation 0",
            "-a=end-of-candidates",
            "-a=ice-ufrag:userA",
            "-a=ice-pwd:passwordpasswordpassword",
            "+m=audio 6000 UDP/TLS/RTP/SAVPF 111 0",
            "+a=candidate:1 1 udp 7 192.0.2.1 6000 typ host generation 1",
            "+a=ice-ufrag:userX",
            "+a=ice-pwd:anotherpasswordanother",
        ],
    );
    assert_eq!(error(&after, Initiator, &info("")), "bad-request: transport-info of content 'a': expected a transport");
    let raw = format!("<transport xmlns='{}'>{CANDIDATE}</transport>", ns::JINGLE_RAW_UDP);
    assert_eq!(
        error(&after, Initiator, &info(&raw)),
        "bad-request: transport-info of content 'a': it has ice-udp, and transport-replace changes that"
    );
    // Half of it does not fit: nothing is changed, for there is only a new description.
    let half =
        stanza("transport-info", &(named("initiator", "v", &transport("", CANDIDATE)) + &named("initiator", "x", &transport("", ""))));
    assert_eq!(error(&after, Initiator, &half), "item-not-found: transport-info: there is no content 'x' of the initiator");
}

#[test]
fn candidates_have_a_bound() {
    use crate::jingle::transport::CANDIDATES_MAX;
    let many = |from: usize| {
        let candidates = (from..from + 200).map(|port| CANDIDATE.replace("5000", &(10000 + port).to_string()));
        stanza("transport-info", &named("initiator", "a", &transport("", &candidates.collect::<String>())))
    };
    let (once, warnings) = initiator().apply(Initiator, &many(0)).unwrap();
    assert_eq!(warnings, []);
    let (twice, warnings) = once.apply(Initiator, &many(200)).unwrap();
    let transport = twice.sections[0].content.transport.as_ref().unwrap();
    assert_eq!((transport.candidates.len(), transport.candidates_left_out, warnings.len()), (CANDIDATES_MAX, 400 - CANDIDATES_MAX, 1));
}

#[test]
fn xep_0320_s1_what_is_said_before_the_answer_is_part_of_it() {
    let early = stanza("transport-info", &named("initiator", "n", &transport("ufrag='userB' pwd='anotherpasswordanother'", CANDIDATE)));
    let (after, _) = check(&with_offered(), Responder, &early, &[]);
    for attributes in ["ufrag='userB' pwd='anotherpasswordanother'", ""] {
        let accept = stanza("content-accept", &content("initiator", "n", "video", &transport(attributes, "<gathering-complete/>")));
        let (answer, _) = after.apply(Responder, &accept).unwrap();
        let transport = answer.sections[2].content.transport.as_ref().unwrap();
        assert_eq!((transport.ufrag.as_deref(), transport.candidates.len(), transport.gathering_complete), (Some("userB"), 1, true));
        assert_eq!(answer.sections[2].pending, crate::sdp::description::Pending::default());
    }
    // The other party's words about what it offers.
    let others = stanza("transport-info", &named("initiator", "n", &transport("ufrag='userA' pwd='anotherpasswordanother'", CANDIDATE)));
    let (after, _) = check(&with_offered(), Initiator, &others, &[]);
    assert_eq!(after.sections[2].content.transport.as_ref().unwrap().candidates.len(), 1);
}

fn raw_udp(port: u16) -> String {
    format!(
        "<transport xmlns='{}'><candidate component='1' generation='0' id='r' ip='192.0.2.9' port='{port}'/></transport>",
        ns::JINGLE_RAW_UDP
    )
}

#[test]
fn s7_2_15_transport_replace_and_its_answers() {
    let of = |action: &str, port: u16| stanza(action, &named("initiator", "a", &raw_udp(port)));
    let replace = of("transport-replace", 4000);
    let (asking, _) = initiator().apply(Initiator, &replace).unwrap();
    assert!(text(&asking).contains("m=audio 4000 RTP/AVP"), "{}", text(&asking));
    assert_eq!(asking.origin.version, 2);
    // Accepted, and refused: then what was before the first of them holds.
    let (accepted, _) = check(&asking, Responder, &of("transport-accept", 4444), &[]);
    assert_eq!(
        error(&accepted, Responder, &of("transport-accept", 4444)),
        "out-of-order: transport-accept of content 'a': nobody has asked for that"
    );
    let (again, _) = asking.apply(Initiator, &of("transport-replace", 4002)).unwrap();
    let (refused, _) = again.apply(Responder, &of("transport-reject", 4002)).unwrap();
    assert_eq!(changes(&text(&initiator()), &text(&refused)), Vec::<String>::new());
    assert_eq!(refused.origin.version, 4);

    // For the other party: nothing until it answers.
    let (asked, _) = check(&responder(), Initiator, &replace, &[]);
    let (accepting, _) = asked.apply(Responder, &of("transport-accept", 4444)).unwrap();
    assert!(text(&accepting).contains("m=audio 4444 RTP/AVP"), "{}", text(&accepting));
    check(&asked, Responder, &of("transport-reject", 4000), &[]);
    for (before, from) in [(&asked, Initiator), (&responder(), Responder), (&asking, Initiator)] {
        for action in ["transport-accept", "transport-reject"] {
            let expected = format!("out-of-order: {action} of content 'a': nobody has asked for that");
            assert_eq!(error(before, from, &of(action, 4000)), expected);
        }
    }
}

#[test]
fn s7_2_16_the_initiators_transport_replace_overrules() {
    let of = |port: u16| stanza("transport-replace", &named("initiator", "a", &raw_udp(port)));
    for before in [initiator(), responder()] {
        let (first, _) = before.apply(Initiator, &of(4000)).unwrap();
        assert_eq!(error(&first, Responder, &of(4444)), "tie-break: transport-replace of content 'a': the initiator's waits for an answer");
        // In the other order the responder's is void.
        let (second, _) = before.apply(Responder, &of(4444)).unwrap();
        let (second, warnings) = second.apply(Initiator, &of(4000)).unwrap();
        assert_eq!(warnings.len(), 1);
        assert_eq!(text(&first).lines().skip(2).collect::<Vec<_>>(), text(&second).lines().skip(2).collect::<Vec<_>>());
        assert_eq!(first.sections, second.sections);
    }
}

#[test]
fn xep_0176_s6_the_responder_replaces_the_transport_before_it_accepts() {
    let replace = stanza("transport-replace", &named("initiator", "a", &raw_udp(4444)));
    let (asked, _) = check(&initiator(), Responder, &replace, &[]);
    let accept = stanza("transport-accept", &named("initiator", "a", &raw_udp(4000)));
    let answer = stanza("session-accept", &content("initiator", "a", "audio", &raw_udp(4444)));
    let (offer, _) = asked.apply(Initiator, &accept).unwrap();
    assert!(text(&offer).contains("m=audio 4000 RTP/AVP"));
    let mut responder = initiator().unanswered();
    for (from, stanza) in [(Responder, &replace), (Initiator, &accept), (Responder, &answer)] {
        responder = responder.apply(from, stanza).unwrap().0;
    }
    assert!(text(&responder).contains("m=audio 4444 RTP/AVP"), "{}", text(&responder));
}
