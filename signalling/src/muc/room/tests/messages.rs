//! XEP-0045 §7.4, §7.5, §8.1, §7.2.15.

use crate::muc::change::Change;
use crate::muc::config::{AllowPm, VisitorsPm};
use crate::muc::fixtures::{Scene, parse, sent, shown};
use crate::muc::model::{Affiliation, Role, Room};
use crate::muc::outcome::Effect;

const HARPIER: &str = "<message from='hag66/pda' to='coven' id='hysf1v37' type='groupchat'><body>Harpier cries</body></message>";

fn two() -> Scene {
    let mut scene = Scene::with_config(|config| config.archived = true);
    scene.join("hag66/pda", "thirdwitch");
    scene.join("crone1/desktop", "firstwitch");
    scene
}

fn refused(condition: &str, type_: &str) -> String {
    format!(
        "<message from='coven' to='hag66/pda' id='hysf1v37' type='error'><body>Harpier cries</body>\
         <error by='coven' type='{type_}'><{condition}/></error></message>"
    )
}

#[test]
fn s7_4_a_message_is_reflected_to_all() {
    let mut scene = two();
    let out = scene.send(HARPIER).unwrap();
    let id = scene.room.last_id.unwrap();
    let told = |to: &str| {
        format!(
            "<message from='coven/thirdwitch' to='{to}' id='hysf1v37' type='groupchat'><body>Harpier cries</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='coven'/></message>"
        )
    };
    assert_eq!(shown(&out), [told("crone1/desktop"), told("hag66/pda")]);
    let [Effect::Keep { id: kept, real, stanza }, Effect::Broadcast { stanza: said, to }] = &out.effects[..] else { panic!("{out:?}") };
    assert_eq!((*kept, real.resource(), stanza), (id, Some("pda"), said));
    // The list of recipients is worked out once for many messages.
    let again = scene.send(HARPIER).unwrap();
    let Some(Effect::Broadcast { to: second, .. }) = again.effects.last() else { panic!("{again:?}") };
    assert!(std::ptr::eq(to.as_ptr(), second.as_ptr()));
    assert!(scene.room.last_id.unwrap() > id);
}

#[test]
fn s7_4_who_may_not_speak() {
    let mut scene = Scene::with_config(|config| config.moderated = true);
    scene.check(HARPIER, &[&refused("not-acceptable", "modify")]);
    scene.join("hag66/pda", "thirdwitch");
    scene.check(HARPIER, &[&refused("forbidden", "auth")]);
    scene.act(|room, _, out| room.set_role("thirdwitch", Role::Participant, &Default::default(), out));
    assert_eq!(scene.send(HARPIER).unwrap().effects.len(), 1);
    // §17.2, rule 1.
    for type_ in ["chat", "normal", "headline"] {
        let error = scene.send(&HARPIER.replace("groupchat", type_)).unwrap_err();
        assert_eq!(error.condition.name(), "bad-request");
    }
    // Another session of the account is not there.
    let error = scene.send(&HARPIER.replace("hag66/pda", "hag66/desk")).unwrap_err();
    assert_eq!(error.condition.name(), "not-acceptable");
}

#[test]
fn s7_4_only_the_room_says_what_is_the_rooms() {
    let mut scene = two();
    let forged = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>\
                  <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='Coven@chat.shakespeare.lit'/><stanza-id xmlns='urn:xmpp:sid:0' id='1' by='x.example'/>\
                  <delay xmlns='urn:xmpp:delay' from='coven@chat.shakespeare.lit' stamp='2002-10-13T23:58:37Z'/>";
    let out = scene.send(&HARPIER.replace("</message>", &format!("{forged}</message>"))).unwrap();
    let id = scene.room.last_id.unwrap();
    assert_eq!(
        shown(&out)[0],
        format!(
            "<message from='coven/thirdwitch' to='crone1/desktop' id='hysf1v37' type='groupchat'><body>Harpier cries</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='x.example'/><stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='coven'/></message>"
        )
    );
    let occupant = sent(&out)[0].child("urn:xmpp:occupant-id:0", "occupant-id").unwrap().attr("id").unwrap().into_owned();
    assert_eq!(occupant, scene.room.occupant("thirdwitch").unwrap().id);
    assert_eq!(occupant.len(), 64);
}

#[test]
fn what_is_not_worth_keeping_has_no_number_and_a_full_archive_refuses() {
    let mut scene = two();
    let state =
        "<message from='hag66/pda' to='coven' id='1' type='groupchat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>";
    scene.archive_has_room = false;
    let out = scene.send(state).unwrap();
    assert_eq!(out.effects.len(), 1);
    assert_eq!(
        shown(&out)[1],
        "<message from='coven/thirdwitch' to='hag66/pda' id='1' type='groupchat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    );
    let error = scene.send(HARPIER).unwrap_err();
    assert_eq!((error.condition.name(), error.type_.name()), ("internal-server-error", "wait"));
    scene.room.lasting.config.archived = false;
    let out = scene.send(&HARPIER.replace(" id='hysf1v37'", "")).unwrap();
    assert_eq!(out.effects.len(), 1);
    assert!(shown(&out)[0].contains(" id='new-"), "a message without an id gets one");
}

#[test]
fn s7_5_private_messages() {
    let mut scene = two();
    scene.join("crone1/cauldron", "firstwitch");
    let wind = "<message from='hag66/pda' to='coven/firstwitch' id='hgn27af1' type='chat'><body>I'll give thee a wind.</body>\
                <x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@b'/></x></message>";
    let told = |to: &str| {
        format!(
            "<message from='coven/thirdwitch' to='{to}' id='hgn27af1' type='chat'><body>I&apos;ll give thee a wind.</body><x/></message>"
        )
    };
    let expected = ["crone1/desktop", "crone1/cauldron"].map(told).map(|told| told.replace("&apos;", "'"));
    scene.check(wind, &[&expected[0], &expected[1]]);
    let error = |scene: &mut Scene, xml: &str| {
        let error = scene.send(xml).unwrap_err();
        (error.condition.name(), error.type_.name())
    };
    assert_eq!(error(&mut scene, &wind.replace("'chat'", "'groupchat'")), ("bad-request", "modify"));
    assert_eq!(error(&mut scene, &wind.replace("coven/firstwitch", "coven/nobody")), ("item-not-found", "cancel"));
    assert_eq!(error(&mut scene, &wind.replace("hag66/pda", "hag66/desk")), ("not-acceptable", "modify"));
    for (allow, role, allowed) in [
        (AllowPm::Anyone, Role::Visitor, true),
        (AllowPm::Participants, Role::Visitor, false),
        (AllowPm::Participants, Role::Participant, true),
        (AllowPm::Moderators, Role::Participant, false),
        (AllowPm::Moderators, Role::Moderator, true),
        (AllowPm::None, Role::Moderator, false),
    ] {
        scene.room.lasting.config.allow_pm = allow;
        scene.act(|room, _, out| room.set_role("thirdwitch", role, &Default::default(), out));
        match allowed {
            true => assert_eq!(scene.send(wind).unwrap().effects.len(), 2),
            false => assert_eq!(error(&mut scene, wind), ("forbidden", "auth")),
        }
    }
}

#[test]
fn s8_1_who_may_change_the_subject() {
    let fire = "<message from='hag66/pda' to='coven' id='lh2bs617' type='groupchat'><subject>Fire Burn</subject></message>";
    for (change_subject, role, allowed) in
        [(false, Role::Moderator, true), (false, Role::Participant, false), (true, Role::Participant, true), (true, Role::Visitor, false)]
    {
        let mut scene = two();
        scene.room.lasting.config.change_subject = change_subject;
        scene.act(|room, _, out| room.set_role("thirdwitch", role, &Default::default(), out));
        if !allowed {
            scene.check(
                fire,
                &["<message from='coven' to='hag66/pda' id='lh2bs617' type='error'><subject>Fire Burn</subject>\
                   <error by='coven' type='auth'><forbidden/></error></message>"],
            );
            continue;
        }
        let out = scene.send(fire).unwrap();
        let [Change::Subject(Some(subject))] = &out.changes[..] else { panic!("{out:?}") };
        assert_eq!((&*subject.text, subject.from.resource()), ("Fire Burn", Some("thirdwitch")));
        assert_eq!(shown(&out).len(), 2);
        assert!(shown(&out)[0].starts_with(
            "<message from='coven/thirdwitch' to='crone1/desktop' id='lh2bs617' type='groupchat'><subject>Fire Burn</subject>"
        ));
        assert!(matches!(out.effects[0], Effect::Keep { .. }));
    }
}

#[test]
fn s8_1_a_subject_has_a_bound() {
    let mut scene = two();
    let subject =
        |bytes| format!("<message from='crone1/desktop' to='coven' type='groupchat'><subject>{}</subject></message>", "x".repeat(bytes));
    scene.send(&subject(4096)).unwrap();
    assert_eq!(scene.send(&subject(4097)).unwrap_err().condition.name(), "not-acceptable");
}

#[test]
fn s7_2_15_newcomers_are_told_the_subject_last() {
    let mut scene = two();
    scene.affiliate("hag66", Affiliation::Admin, None);
    scene.send("<message from='crone1/desktop' to='coven' type='groupchat'><subject>Fire &amp; Bubble</subject></message>").unwrap();
    let last = |scene: &mut Scene, from: &str| shown(&scene.join(from, from.split_once('/').unwrap().0)).pop().unwrap();
    assert_eq!(
        last(&mut scene, "hecate/broom"),
        "<message from='coven/firstwitch' to='hecate/broom' id='new-4' type='groupchat'><subject>Fire &amp; Bubble</subject>\
         <delay xmlns='urn:xmpp:delay' from='coven' stamp='2002-10-13T23:18:37Z'/></message>"
    );
    // Taken away by somebody.
    scene.send("<message from='crone1/desktop' to='coven' type='groupchat'><subject/></message>").unwrap();
    assert!(last(&mut scene, "aldo/a").contains("<subject></subject><delay"));
}

#[test]
fn what_only_passes_is_not_decided_on_a_copy() {
    let (user, form) = ("<x xmlns='http://jabber.org/protocol/muc#user'><decline/></x>", "<x xmlns='jabber:x:data' type='submit'/>");
    for (to, content, may) in [
        ("coven", user, true),
        ("coven", form, true),
        ("coven", "<x xmlns='jabber:x:conference' jid='coven@chat.shakespeare.lit'/>", false),
        ("coven", "<body>b</body>", false),
        ("coven/firstwitch", user, false),
        ("coven/firstwitch", form, false),
    ] {
        let stanza = parse(&format!("<message from='hag66/pda' to='{to}'>{content}</message>"));
        assert_eq!(Room::may_store(&stanza), may, "{to} {content}");
    }
}

#[test]
fn s8_1_what_is_a_subject() {
    for (content, is) in [
        ("<subject>a</subject>", true),
        ("<subject/>", true),
        ("<subject>a</subject><x xmlns='urn:x'/>", true),
        ("<subject>a</subject><body>b</body>", false),
        ("<subject>a</subject><thread>b</thread>", false),
        ("<body>b</body>", false),
    ] {
        let stanza = parse(&format!("<message from='hag66/pda' to='coven' type='groupchat'>{content}</message>"));
        assert_eq!(Room::may_store(&stanza), is, "{content}");
    }
}

#[test]
fn private_messages_of_visitors_may_go_to_moderators_only_or_to_nobody() {
    let message = |to: &str| format!("<message from='hag66/pda' to='coven/{to}' type='chat'><body>hi</body></message>");
    for (visitors, to_moderator, to_visitor) in
        [(VisitorsPm::Anyone, true, true), (VisitorsPm::Moderators, true, false), (VisitorsPm::Nobody, false, false)]
    {
        let mut scene = Scene::with_config(|config| (config.moderated, config.visitors_pm) = (true, visitors));
        scene.join("hag66/pda", "thirdwitch");
        scene.join("hecate/broom", "fourthwitch");
        scene.join("crone1/desktop", "firstwitch");
        assert_eq!(scene.send(&message("firstwitch")).is_ok(), to_moderator, "{visitors:?}");
        assert_eq!(scene.send(&message("fourthwitch")).is_ok(), to_visitor, "{visitors:?}");
    }
}

#[test]
fn xep0424_what_was_taken_back_is_replaced_and_only_by_its_author() {
    let mut scene = two();
    scene.send(HARPIER).unwrap();
    let id = scene.room.last_id.unwrap();
    let retract = |from: &str| {
        format!("<message from='{from}' to='coven' type='groupchat'><retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>")
    };
    assert_eq!(scene.send(&retract("crone1/desktop")).unwrap_err().condition.name(), "forbidden");
    let out = scene.send(&retract("hag66/pda")).unwrap();
    assert!(
        matches!(&out.effects[..], [Effect::Keep { .. }, Effect::Broadcast { .. }, Effect::Replace { id: replaced, .. }] if *replaced == id)
    );
    assert!(scene.room.history.messages.iter().all(|said| said.id != id));
}

#[test]
fn what_the_room_sends_on_can_be_read_again() {
    let mut scene = two();
    scene.limits.presence_bytes = 10_000_000;
    for to in [
        "<message from='hag66/pda' to='coven' type='groupchat'>{}</message>",
        "<presence from='hag66/pda' to='coven/thirdwitch'>{}</presence>",
    ] {
        let with = |count| to.replace("{}", &"<a xmlns='b'/>".repeat(count));
        let out = scene.send(&with(996)).unwrap();
        for stanza in sent(&out) {
            parse(std::str::from_utf8(&stanza.to_bytes(crate::stanza::Framing::Alone)).unwrap());
        }
        assert_eq!(scene.send(&with(997)).unwrap_err().condition.name(), "policy-violation");
    }
}
