//! §3, §4, §5; and XEP-0424 §3–§5 in rooms.

use bytes::Bytes;

use crate::jid::Jid;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Role, Room, Said};
use crate::muc::outcome::{Effect, Outcome};
use crate::muc::room::scene::*;
use crate::stanza::{Stanza, StanzaError};
use crate::store::ArchiveId;
use crate::xml::Bindings;

/// A moderator, somebody with something to say, and somebody else.
fn cave() -> (Scene, ArchiveId) {
    let mut scene = scene();
    scene.enter(CRONE, "macbeth", Role::Moderator);
    scene.enter(HAG, "oldhag", Role::Participant);
    scene.enter(WITCH, "secondwitch", Role::Participant);
    let id = say(&mut scene, HAG, "oldhag");
    (scene, id)
}

fn say(scene: &mut Scene, from: &str, nick: &str) -> ArchiveId {
    let message = format!(
        "<message type='groupchat' id='inappropriate-1' xml:lang='en'>text between<body>DM me for free magic potions!</body><x xmlns='urn:other'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='hag66@shakespeare.lit' id='1'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='id-of-{nick}'/></message>"
    );
    scene.give(handle, from, &message).unwrap();
    scene.room.last_id.unwrap()
}

fn moderate(id: &str) -> String {
    format!(
        "<iq type='set' id='retract-request-1'><moderate id='{id}' xmlns='urn:xmpp:message-moderate:1'><retract xmlns='urn:xmpp:message-retract:1'/>\
         <reason>Inappropriate content</reason></moderate></iq>"
    )
}

/// Version 0.2.
fn moderate_0(id: &str) -> String {
    format!(
        "<iq type='set' id='1'><apply-to id='{id}' xmlns='urn:xmpp:fasten:0'><moderate xmlns='urn:xmpp:message-moderate:0'>\
         <retract xmlns='urn:xmpp:message-retract:0'/><reason>Inappropriate content</reason></moderate></apply-to></iq>"
    )
}

fn is_remembered(scene: &Scene, id: ArchiveId) -> bool {
    scene.room.history.messages.iter().any(|said| said.id == id)
}

/// The archive has this under the number.
fn archived(id: ArchiveId, xml: &str) -> Said {
    let stanza = Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap();
    Said { id, stanza, real: Jid::parse(HAG).unwrap() }
}

#[test]
fn s3_1_and_s4_examples_3_to_6_and_8_a_moderator_takes_a_message_back() {
    for request in [moderate, moderate_0] {
        let (mut scene, id) = cave();
        let lines = scene.give(handle, CRONE, &request(&id.to_string())).unwrap();
        let own = scene.room.last_id.unwrap();
        let moderated = "<moderated xmlns='urn:xmpp:message-moderate:1' by='coven@chat.shakespeare.lit/macbeth'>\
                         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='id-of-macbeth'/></moderated><reason>Inappropriate content</reason>";
        let tombstone = format!(
            "<message from='coven@chat.shakespeare.lit/oldhag' id='inappropriate-1' type='groupchat'>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='coven@chat.shakespeare.lit'/>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='id-of-oldhag'/>\
             <retracted xmlns='urn:xmpp:message-retract:1' id='new-1' stamp='2001-09-09T01:46:40Z'>{moderated}</retracted></message>"
        );
        assert_eq!(
            lines,
            [
                format!("keep {own} of {CRONE}"),
                format!(
                    "to crone1 hag66 wiccarocks: <message from='coven@chat.shakespeare.lit' id='new-1' type='groupchat'>\
                     <retract xmlns='urn:xmpp:message-retract:1' id='{id}'>{moderated}</retract>\
                     <apply-to xmlns='urn:xmpp:fasten:0' id='{id}'><moderated xmlns='urn:xmpp:message-moderate:0' by='coven@chat.shakespeare.lit/macbeth'>\
                     <retract xmlns='urn:xmpp:message-retract:0'/><reason>Inappropriate content</reason></moderated></apply-to>\
                     <stanza-id xmlns='urn:xmpp:sid:0' id='{own}' by='coven@chat.shakespeare.lit'/></message>"
                ),
                format!("replace {id}: {tombstone}"),
            ]
        );
        assert!(!is_remembered(&scene, id) && is_remembered(&scene, own));
        scene.referred = Some(archived(id, &tombstone));
        // What is done is done.
        assert!(scene.give(handle, CRONE, &request(&id.to_string())).unwrap().is_empty());
        // The announcement itself stays.
        assert_eq!(scene.refused(handle, CRONE, &request(&own.to_string())), "cancel not-allowed");
    }
}

#[test]
fn s3_no_message_of_an_occupant_is_safe_from_moderators() {
    for child in [
        "<apply-to xmlns='urn:xmpp:fasten:0' id='x'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
        "<retracted xmlns='urn:xmpp:message-retract:1' id='x'/>",
        "<moderated xmlns='urn:xmpp:message-moderate:1'/>",
    ] {
        let (mut scene, _) = cave();
        let lines =
            scene.give(handle, HAG, &format!("<message type='groupchat' id='spam'><body>Potions!</body>{child}</message>")).unwrap();
        assert!(!lines.iter().any(|line| line.contains("retracted") || line.contains("moderated")), "{lines:?}");
        let id = scene.room.last_id.unwrap();
        let lines = scene.give(handle, CRONE, &moderate(&id.to_string())).unwrap();
        assert!(lines.last().unwrap().starts_with(&format!("replace {id}: ")), "{child}: {lines:?}");
        assert!(!is_remembered(&scene, id), "{child}");
    }
}

#[test]
fn s3_2_example_7_requests_that_are_refused() {
    let (mut scene, id) = cave();
    let id = id.to_string();
    for (from, xml, expected) in [
        (WITCH, moderate(&id), "auth forbidden"),
        // Its author takes it back otherwise.
        (HAG, moderate(&id), "auth forbidden"),
        (HECATE, moderate(&id), "auth forbidden"),
        (CRONE, moderate("1"), "cancel item-not-found"),
        (CRONE, moderate("inappropriate-1"), "cancel item-not-found"),
        (CRONE, moderate(&id).replace(&format!("id='{id}'"), ""), "modify bad-request"),
        (CRONE, moderate(&id).replace("<retract xmlns='urn:xmpp:message-retract:1'/>", ""), "cancel feature-not-implemented"),
        (CRONE, moderate(&id).replace("'set'", "'get'"), "modify bad-request"),
        (CRONE, moderate(&id).replace("Inappropriate", &"x".repeat(4_096)), "modify not-acceptable"),
        (CRONE, moderate_0(&id).replace("message-moderate:0", "other"), "cancel feature-not-implemented"),
    ] {
        assert_eq!(scene.refused(handle, from, &xml), expected, "{from} {xml}");
    }
}

#[test]
fn s3_an_admin_who_is_not_there_is_named_by_an_identifier_only() {
    let (mut scene, id) = cave();
    scene.affiliate("admin@b", Affiliation::Admin);
    let lines = scene.give(handle, "admin@b/c", &moderate(&id.to_string())).unwrap();
    assert!(lines[1].contains("<moderated xmlns='urn:xmpp:message-moderate:1'><occupant-id "), "{lines:?}");
}

#[test]
fn s4_a_message_that_only_the_archive_has() {
    let (mut scene, id) = cave();
    let said = scene.room.history.messages.back().unwrap().clone();
    scene.room.history.forget(said.id);
    let request = moderate(&id.to_string());
    assert_eq!(scene.room.refers_to(&stanza(CRONE, &request)), Some(id));
    assert_eq!(scene.room.refers_to(&stanza(CRONE, &moderate_0(&id.to_string()))), Some(id));
    assert_eq!(scene.refused(handle, CRONE, &request), "cancel item-not-found");
    scene.referred = Some(Said { id: ArchiveId::from_i64(1), ..said.clone() });
    assert_eq!(scene.refused(handle, CRONE, &request), "cancel item-not-found");
    scene.referred = Some(said);
    let lines = scene.give(handle, CRONE, &request).unwrap();
    assert!(lines[2].starts_with(&format!("replace {id}: ")), "{lines:?}");
    assert!(scene.room.history.messages.iter().all(|said| said.id != id), "it does not come back into the history");
}

/// A message to everyone, and what is replaced by it.
fn retract(room: &mut Room, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
    room.handle(stanza, None, context, out)?;
    out.effects.retain(|effect| matches!(effect, Effect::Replace { .. }));
    Ok(())
}

/// Example 4.
fn retraction(id: &str) -> String {
    format!("<message type='groupchat' id='retract-message-1'><retract id='{id}' xmlns='urn:xmpp:message-retract:1'/></message>")
}

#[test]
fn xep0424_s4_and_s5_examples_4_and_7_an_author_takes_a_message_back() {
    let old = |id: &str| {
        format!(
            "<message type='groupchat' id='retract-message-1'><apply-to id='{id}' xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/>\
             </apply-to></message>"
        )
    };
    for request in [retraction, old] {
        let (mut scene, id) = cave();
        // Another session of the same account may.
        scene.enter("hag66@shakespeare.lit/other", "hag", Role::Participant);
        let lines = scene.give(retract, "hag66@shakespeare.lit/other", &request(&id.to_string())).unwrap();
        let tombstone = format!(
            "<message from='coven@chat.shakespeare.lit/oldhag' id='inappropriate-1' type='groupchat'>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='coven@chat.shakespeare.lit'/>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='id-of-oldhag'/>\
             <retracted xmlns='urn:xmpp:message-retract:1' id='retract-message-1' stamp='2001-09-09T01:46:40Z'/></message>"
        );
        assert_eq!(lines, [format!("replace {id}: {tombstone}")]);
        assert!(!is_remembered(&scene, id));
        scene.referred = Some(archived(id, &tombstone));
        // A second one, one of the retraction itself and one of nothing are messages like others.
        let own = scene.room.last_id.unwrap().to_string();
        for id in [&id.to_string(), &own, "1", "no number", ""] {
            assert!(scene.give(retract, HAG, &request(id)).unwrap().is_empty(), "{id}");
        }
    }
}

#[test]
fn xep0424_s5_nobody_takes_back_what_another_has_said() {
    let (mut scene, id) = cave();
    for from in [WITCH, CRONE] {
        assert_eq!(scene.refused(retract, from, &retraction(&id.to_string())), "auth forbidden");
    }
}

#[test]
fn xep0424_s4_without_an_id_the_tombstone_names_the_one_that_the_room_gave_it() {
    let (mut scene, id) = cave();
    let lines = scene.give(retract, HAG, &retraction(&id.to_string()).replace(" id='retract-message-1'", "")).unwrap();
    assert!(lines[0].contains("<retracted xmlns='urn:xmpp:message-retract:1' id='new-1'"), "{lines:?}");
}

#[test]
fn only_what_takes_something_back_refers_to_a_message() {
    let (scene, id) = cave();
    for xml in [
        "<message type='groupchat'><body>hi</body></message>".to_owned(),
        format!("<message><retract id='{id}x' xmlns='urn:xmpp:message-retract:1'/></message>"),
        "<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>".to_owned(),
        // It is remembered.
        retraction(&id.to_string()),
        moderate(&id.to_string()),
    ] {
        assert_eq!(scene.room.refers_to(&stanza(HAG, &xml)), None, "{xml}");
    }
    assert_eq!(scene.room.refers_to(&stanza(HAG, &retraction("17"))), Some(ArchiveId::from_i64(17)));
}
