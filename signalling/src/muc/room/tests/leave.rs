//! XEP-0045 §7.14, §11, §18.1.2.

use crate::muc::change::Change;
use crate::muc::fixtures::{Scene, shown};
use crate::muc::room::SavedSeat;
use crate::stanza::Condition;

fn three() -> Scene {
    let mut scene = Scene::new();
    scene.join("crone1/desktop", "firstwitch");
    scene.join("hecate/broom", "fourthwitch");
    scene.join("hag66/pda", "thirdwitch");
    scene
}

#[test]
fn s7_14_leaving_is_told_to_oneself_first() {
    for to in ["coven/thirdwitch", "coven/another", "coven"] {
        three().check(
            &format!(
                "<presence from='hag66/pda' to='{to}' type='unavailable' id='7'><status>gone where the goblins go</status></presence>"
            ),
            &[
                "<presence from='coven/thirdwitch' to='hag66/pda' id='7' type='unavailable'><status>gone where the goblins go</status>\
                 <x><item affiliation='none' role='none' jid='hag66/pda'/><status code='110'/></x></presence>",
                "<presence from='coven/thirdwitch' to='crone1/desktop' type='unavailable'><status>gone where the goblins go</status>\
                 <x><item affiliation='none' role='none' jid='hag66/pda'/></x></presence>",
                "<presence from='coven/thirdwitch' to='hecate/broom' type='unavailable'><status>gone where the goblins go</status>\
                 <x><item affiliation='none' role='none'/></x></presence>",
            ],
        );
    }
}

#[test]
fn s7_14_one_of_several_sessions_leaves() {
    let mut scene = three();
    scene.send("<presence from='hag66/pda' to='coven/thirdwitch'><show>xa</show></presence>").unwrap();
    scene.join("hag66/desk", "thirdwitch");
    // The one that speaks: the next one does.
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch' type='unavailable'/>",
        &[
            "<presence from='coven/thirdwitch' to='hag66/pda' type='unavailable'>\
             <x><item affiliation='none' role='none' jid='hag66/pda'/><status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/desk'>\
             <x><item affiliation='none' role='participant' jid='hag66/desk'/><status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='crone1/desktop'><x><item affiliation='none' role='participant' jid='hag66/desk'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hecate/broom'><x><item affiliation='none' role='participant'/></x></presence>",
        ],
    );
    scene.join("hag66/pda", "thirdwitch");
    // Another one: nobody else need know.
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch' type='unavailable'/>",
        &["<presence from='coven/thirdwitch' to='hag66/pda' type='unavailable'>\
           <x><item affiliation='none' role='none' jid='hag66/pda'/><status code='110'/></x></presence>"],
    );
}

#[test]
fn s7_14_a_temporary_room_ends_with_its_last_occupant() {
    let mut scene = Scene::with_config(|config| config.persistent = false);
    scene.join("hecate/broom", "fourthwitch");
    scene.join("hag66/pda", "thirdwitch");
    let out = scene.send("<presence from='hag66/pda' to='coven/thirdwitch' type='unavailable'/>").unwrap();
    assert!(!out.over);
    let out = scene.send("<presence from='hecate/broom' to='coven/fourthwitch' type='unavailable'/>").unwrap();
    assert!(out.over);
    assert_eq!(out.changes, [Change::Destroy]);
}

#[test]
fn s11_1_s18_1_2_who_cannot_be_reached_is_removed() {
    for kind in ["message", "presence"] {
        for condition in Condition::ALL {
            let gone = matches!(
                condition.name(),
                "gone"
                    | "item-not-found"
                    | "jid-malformed"
                    | "recipient-unavailable"
                    | "redirect"
                    | "remote-server-not-found"
                    | "remote-server-timeout"
                    | "service-unavailable"
            );
            let mut scene = three();
            let error = format!(
                "<{kind} from='hag66/pda' to='coven/fourthwitch' type='error'><error type='cancel'>\
                 <{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{kind}>",
                condition.name()
            );
            let out = scene.send(&error).unwrap();
            assert_eq!(scene.room.occupant("thirdwitch").is_none(), gone, "{condition}");
            if gone {
                let item = "<item affiliation='none' role='none' jid='hag66/pda'/>";
                assert_eq!(
                    shown(&out),
                    [
                        format!(
                            "<presence from='coven/thirdwitch' to='hag66/pda' type='unavailable'>\
                             <x>{item}<status code='110'/><status code='333'/></x></presence>"
                        ),
                        format!(
                            "<presence from='coven/thirdwitch' to='crone1/desktop' type='unavailable'>\
                             <x>{item}<status code='333'/></x></presence>"
                        ),
                        "<presence from='coven/thirdwitch' to='hecate/broom' type='unavailable'>\
                         <x><item affiliation='none' role='none'/><status code='333'/></x></presence>"
                            .to_owned(),
                    ]
                );
            } else {
                assert_eq!(shown(&out), Vec::<String>::new());
            }
        }
    }
    // Strangers cannot remove anybody.
    three().check(
        "<message from='x/y' to='coven' type='error'><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        &[],
    );
}

#[test]
fn s7_5_who_refuses_a_private_message_stays() {
    let error = |to: &str, condition: &str| {
        format!(
            "<message from='hag66/pda' to='coven/{to}' type='error' id='1'><body>Not for thee</body><x xmlns='http://jabber.org/protocol/muc#user'/>\
             <error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    let mut scene = three();
    // Nobody has asked: errors are no way to write to somebody.
    scene.check(&error("fourthwitch", "not-acceptable"), &[]);
    scene.send("<message from='hecate/broom' to='coven/thirdwitch' type='chat' id='1'><body>Psst</body></message>").unwrap();
    for condition in ["service-unavailable", "not-acceptable"] {
        scene.check(
            &error("fourthwitch", condition),
            &[&format!(
                "<message from='coven/thirdwitch' to='hecate/broom' id='1' type='error'><error type='cancel'><{condition}/></error></message>"
            )],
        );
    }
    scene.check(&error("firstwitch", "not-acceptable"), &[]);
    // Under another nickname the author cannot be reached, and gets nobody removed either.
    scene.send("<presence from='hecate/broom' to='coven/hecate'/>").unwrap();
    scene.check(&error("fourthwitch", "service-unavailable"), &[]);
    assert!(scene.room.occupant("thirdwitch").is_some());
    // To others, who can only have spoken to all, the session is not there.
    scene.send(&error("firstwitch", "service-unavailable")).unwrap();
    assert!(scene.room.occupant("thirdwitch").is_none());
}

#[test]
fn s18_1_2_who_is_not_there_for_a_private_message_is_removed() {
    let mut scene = three();
    scene.send("<message from='hecate/broom' to='coven/thirdwitch' type='chat' id='1'><body>Psst</body></message>").unwrap();
    scene
        .send(
            "<message from='hag66/pda' to='coven/fourthwitch' type='error'>\
             <error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        )
        .unwrap();
    assert!(scene.room.occupant("thirdwitch").is_none());
}

#[test]
fn s11_1_only_the_session_that_cannot_be_reached_is_removed() {
    let mut scene = three();
    scene.join("hag66/desk", "thirdwitch");
    let error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    scene.check(
        &format!("<message from='hag66/desk' to='coven/firstwitch' type='error'>{error}</message>"),
        &["<presence from='coven/thirdwitch' to='hag66/desk' type='unavailable'>\
           <x><item affiliation='none' role='none' jid='hag66/desk'/><status code='110'/><status code='333'/></x></presence>"],
    );
    assert_eq!(scene.room.occupant("thirdwitch").unwrap().seats.len(), 1);
}

#[test]
fn s11_2_shutdown_is_told_to_each_of_itself() {
    let mut scene = three();
    let ((), out) = scene.act(|room, _, out| room.shut_down(|_| false, out));
    let told = shown(&out);
    assert_eq!(told.len(), 3);
    assert_eq!(
        told[2],
        "<presence from='coven/thirdwitch' to='hag66/pda' type='unavailable'>\
         <x><item affiliation='none' role='none' jid='hag66/pda'/><status code='110'/><status code='332'/></x></presence>"
    );
    assert!(scene.room.occupants.is_empty() && scene.room.occupants.presence_bytes() == 0);
}

#[test]
fn occupants_come_back_after_an_orderly_stop() {
    let mut scene = three();
    scene.join("hag66/desk", "thirdwitch");
    scene.send("<presence from='hag66/desk' to='coven/thirdwitch'><show>xa</show></presence>").unwrap();
    let saved: Vec<SavedSeat> = scene.room.saved().collect();
    let mut again = Scene::new();
    for seat in &saved {
        assert!(again.room.restore(seat, false), "{seat:?}");
        assert!(!again.room.restore(seat, false), "nobody is there twice");
    }
    assert_eq!(again.room, scene.room);
    // What was changed meanwhile, and what is broken.
    let mut other = Scene::new();
    other.affiliate("hecate", crate::muc::model::Affiliation::Outcast, None);
    for seat in saved {
        assert_eq!(other.room.restore(&seat, false), !seat.nick.starts_with("fourth"));
        let real = crate::jid::FullJid::parse("x@y.example/z").unwrap();
        assert!(!other.room.restore(&SavedSeat { real: real.clone(), ..seat.clone() }, false) || seat.nick.starts_with("fourth"));
        assert!(!other.room.restore(&SavedSeat { presence: "<presence".into(), nick: "n".to_owned(), ..seat }, false));
    }
}
