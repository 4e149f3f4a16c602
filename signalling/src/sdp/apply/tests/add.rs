//! Added contents: XEP-0166 §7.2.2, RFC 8829 §5.2.2.

use super::*;

#[test]
fn s7_2_2_content_add() {
    let new = content("initiator", "n", "video", &transport("ufrag='userC' pwd='anotherpasswordanother'", ""));
    let own = [
        "+m=video 9 RTP/AVP 96",
        "+c=IN IP4 0.0.0.0",
        "+a=ice-ufrag:userC",
        "+a=ice-pwd:anotherpasswordanother",
        "+a=ice-options:trickle",
        "+a=mid:n",
        "+a=sendrecv",
        "+a=rtcp-mux",
        "+a=rtpmap:96 H264/90000",
    ];
    check(&initiator(), Initiator, &stanza("content-add", &new), &own);
    let (offered, _) =
        check(&responder(), Initiator, &stanza("content-add", &new), &["+m=video 0 RTP/AVP 96", "+c=IN IP4 0.0.0.0", "+a=mid:n"]);
    assert_eq!(offered.sections[2].state, State::Offered);

    // XEP-0166 §7.3: the first of the alternatives; the name of the sender; contents of other kinds.
    let file = "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></content>";
    let (after, warnings) = check(&initiator(), Initiator, &stanza("content-add", &format!("{new}{new}{file}")), &own);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(after.sections.len(), 3);
    // What was left out can be spoken of.
    check(&after, Responder, &stanza("content-accept", file), &[]);

    assert_eq!(
        error(&initiator(), Initiator, &stanza("content-add", &new.replace("name='n'", "name='v'"))),
        "out-of-order: content-add of content 'v': it is in the session already"
    );
    let (_, warnings) = responder().apply(Responder, &stanza("content-add", &new)).unwrap();
    assert_eq!(warnings[0].to_string(), "content 'n': content-add says creator='initiator', it comes from the responder");
}

#[test]
fn rfc_8829_s5_2_2_a_content_takes_the_place_of_a_refused_one() {
    let before = initiator().apply(Responder, &stanza("content-remove", &named("initiator", "a", ""))).unwrap().0;
    let mark = |text: &str| format!("<line xmlns='{}' type='a'>{text}</line></content>", ns::SDP);
    let new = content("initiator", "n", "video", &transport("ufrag='userC' pwd='anotherpasswordanother'", ""));
    let table = [
        (new.clone(), 2),
        (new.replace("</content>", &mark("jingle-place:0")), 0),
        // Not free, and not there.
        (new.replace("</content>", &mark("jingle-place:1")), 2),
        (new.replace("</content>", &mark("jingle-place:9")), 2),
        // Of the same name.
        (new.replace("name='n'", "name='a'"), 0),
    ];
    for (xml, index) in table {
        let (after, _) = before.apply(Initiator, &stanza("content-add", &xml)).unwrap();
        assert_eq!(after.sections[index].content.transport.as_ref().unwrap().ufrag.as_deref(), Some("userC"), "{xml}");
        assert_eq!(after.sections[index].content.carried, [], "{xml}");
        assert_eq!(after.sections.len(), 2.max(index + 1), "{xml}");
    }
    // Where there is no room, the first one that is free.
    let mut full = before;
    for at in full.sections.len()..crate::jingle::content::CONTENTS_MAX {
        full = full.apply(Initiator, &stanza("content-add", &new.replace("name='n'", &format!("name='{at}'")))).unwrap().0;
    }
    let (full, _) = full.apply(Initiator, &stanza("content-add", &new)).unwrap();
    assert_eq!((full.sections.len(), &*full.sections[0].content.name), (crate::jingle::content::CONTENTS_MAX, "n"));
    assert_eq!(
        error(&full, Initiator, &stanza("content-add", &new.replace("name='n'", "name='m'"))),
        "resource-constraint: content-add: more than 128 contents"
    );
}
