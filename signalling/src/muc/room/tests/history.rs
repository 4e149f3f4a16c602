//! XEP-0045 §7.2.13, §7.2.14.

use std::time::Duration;

use crate::muc::fixtures::{Scene, sent, written};

/// Ten messages, ten seconds between each and the next; the last one is ten seconds old.
fn scene() -> Scene {
    let mut scene = Scene::with_config(|config| (config.history, config.history_default) = (8, 4));
    scene.join("crone1/desktop", "firstwitch");
    for n in 0..10 {
        scene.send(&format!("<message from='crone1/desktop' to='coven' type='groupchat' id='m{n}'><body>{n}ö</body></message>")).unwrap();
        scene.now += Duration::from_secs(10);
    }
    scene
}

fn check(scene: &mut Scene, attributes: &str, expected: &[u8]) {
    let join = format!(
        "<presence from='hag66/pda' to='coven/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'><history {attributes}/></x></presence>"
    );
    let out = scene.send(&join).unwrap();
    let ids = |out| -> Vec<String> {
        sent(out)
            .iter()
            .filter(|stanza| stanza.child("jabber:client", "body").is_some())
            .filter_map(|stanza| Some(stanza.id()?.to_owned()))
            .collect()
    };
    let expected: Vec<String> = expected.iter().map(|n| format!("m{n}")).collect();
    assert_eq!(ids(&out), expected, "{attributes}");
    scene.send("<presence from='hag66/pda' to='coven' type='unavailable'/>").unwrap();
}

#[test]
fn s7_2_14_as_much_as_is_wanted() {
    let mut scene = scene();
    let one = {
        let out = scene.join("hag66/pda", "thirdwitch");
        let message = sent(&out).into_iter().find(|stanza| stanza.id() == Some("m9")).unwrap();
        String::from_utf8(message.to_bytes(crate::stanza::Framing::Stream).to_vec()).unwrap()
    };
    let chars = one.chars().count();
    assert!(chars < one.len());
    scene.send("<presence from='hag66/pda' to='coven' type='unavailable'/>").unwrap();
    for (attributes, expected) in [
        ("", &[6, 7, 8, 9][..]),
        ("maxstanzas='2'", &[8, 9]),
        ("maxstanzas='100'", &[2, 3, 4, 5, 6, 7, 8, 9]),
        ("maxstanzas='0'", &[]),
        ("maxchars='0'", &[]),
        (&format!("maxchars='{chars}'"), &[9]),
        (&format!("maxchars='{}'", 3 * chars - 1), &[8, 9]),
        ("seconds='30'", &[7, 8, 9]),
        ("seconds='29'", &[8, 9]),
        ("seconds='0'", &[]),
        ("seconds='1000'", &[2, 3, 4, 5, 6, 7, 8, 9]),
        ("since='1970-01-01T00:00:00Z'", &[2, 3, 4, 5, 6, 7, 8, 9]),
        ("since='2002-10-13T23:19:47Z'", &[7, 8, 9]),
        ("since='2002-10-13T23:19:47Z' seconds='10'", &[9]),
        ("since='2002-10-13T23:19:47Z' maxstanzas='2' seconds='1000'", &[8, 9]),
        ("since='2012-10-13T23:19:47Z'", &[]),
        // What is no number is not there.
        ("maxstanzas='-1' maxchars='many' seconds='' since='yesterday'", &[6, 7, 8, 9]),
        ("seconds='18446744073709551615'", &[2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        check(&mut scene, attributes, expected);
    }
    scene.limits.history.count = 3;
    check(&mut scene, "maxstanzas='100'", &[7, 8, 9]);
    scene.room.lasting.config.history = 0;
    check(&mut scene, "maxstanzas='100'", &[]);
}

#[test]
fn s7_2_13_history_is_delayed_and_comes_between_presence_and_subject() {
    let mut scene = scene();
    let out = scene.join("hag66/pda", "thirdwitch");
    let told: Vec<String> = sent(&out).iter().map(written).collect();
    let kinds: Vec<&str> = told
        .iter()
        .map(|told| {
            if told.starts_with("<presence") {
                "p"
            } else if told.contains("<body") {
                "h"
            } else {
                "s"
            }
        })
        .collect();
    assert_eq!(kinds, ["p", "p", "p", "h", "h", "h", "h", "s"]);
    let id = scene.room.history.messages.back().unwrap().id;
    assert_eq!(
        told[6],
        format!(
            "<message from='coven/firstwitch' to='hag66/pda' id='m9' type='groupchat'><body>9ö</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='coven'/>\
             <delay xmlns='urn:xmpp:delay' from='coven' stamp='2002-10-13T23:20:07.000Z'/></message>"
        )
    );
}

#[test]
fn s7_2_13_what_is_remembered() {
    let mut scene = Scene::new();
    scene.join("crone1/desktop", "firstwitch");
    for (content, remembered) in [
        ("<body>a</body>", true),
        ("<body>a</body><no-permanent-store xmlns='urn:xmpp:hints'/>", false),
        ("<body>a</body><no-store xmlns='urn:xmpp:hints'/>", false),
        ("<encrypted xmlns='urn:xmpp:omemo:2'/>", true),
        ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", false),
        ("<subject>a</subject>", false),
        ("<subject>a</subject><body>b</body>", true),
    ] {
        scene.room.history = Default::default();
        scene.send(&format!("<message from='crone1/desktop' to='coven' type='groupchat'>{content}</message>")).unwrap();
        assert_eq!(scene.room.history.messages.len(), usize::from(remembered), "{content}");
    }
}

#[test]
fn s7_2_13_history_has_no_more_bytes_than_a_newcomer_has_room_for() {
    let mut scene = Scene::new();
    scene.limits.history.bytes = 10_000;
    scene.join("crone1/desktop", "firstwitch");
    let bytes_of_newcomer = |scene: &mut Scene| -> (Vec<String>, usize) {
        let out = scene.send(
            "<presence from='hag66/pda' to='coven/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='100'/></x></presence>",
        );
        let messages: Vec<_> = sent(&out.unwrap()).into_iter().filter(|stanza| stanza.child("jabber:client", "body").is_some()).collect();
        scene.send("<presence from='hag66/pda' to='coven' type='unavailable'/>").unwrap();
        (messages.iter().map(|stanza| stanza.id().unwrap().to_owned()).collect(), messages.iter().map(|stanza| stanza.size_bytes()).sum())
    };
    for (id, length) in [("small", 10), ("a", 3_000), ("b", 3_000), ("c", 3_000), ("d", 3_000)] {
        let body = "x".repeat(length);
        scene.send(&format!("<message from='crone1/desktop' to='coven' type='groupchat' id='{id}'><body>{body}</body></message>")).unwrap();
    }
    let (ids, bytes) = bytes_of_newcomer(&mut scene);
    assert_eq!(ids, ["c", "d"], "{bytes}");
    assert!(bytes <= 10_000, "{bytes}");
    // One that would not fit alone does not push out the others.
    let body = "x".repeat(10_000);
    scene.send(&format!("<message from='crone1/desktop' to='coven' type='groupchat' id='e'><body>{body}</body></message>")).unwrap();
    assert_eq!(bytes_of_newcomer(&mut scene).0, ["c", "d"]);
    // What is taken back makes room for others.
    let taken_back = scene.room.history.messages[0].id;
    scene.room.history.forget(taken_back);
    scene.send("<message from='crone1/desktop' to='coven' type='groupchat' id='f'><body>x</body></message>").unwrap();
    assert_eq!(bytes_of_newcomer(&mut scene).0, ["d", "f"]);
}

#[test]
fn s7_9_what_an_owner_brings_along_says_itself_when_it_was_said() {
    for (from, delays) in [("crone1/desktop", 1), ("hecate/broom", 2)] {
        let mut scene = Scene::new();
        scene.join(from, "firstwitch");
        scene
            .send(&format!(
                "<message from='{from}' to='coven' type='groupchat' id='m'><body>Thrice</body>\
                 <delay xmlns='urn:xmpp:delay' from='crone1@shakespeare.lit/desktop' stamp='2004-09-29T01:54:37Z'/></message>"
            ))
            .unwrap();
        let out = scene.join("hag66/pda", "thirdwitch");
        let message = sent(&out).into_iter().find(|stanza| stanza.id() == Some("m")).unwrap();
        assert_eq!(message.children().filter(|child| child.name() == "delay").count(), delays, "{from}");
    }
}
