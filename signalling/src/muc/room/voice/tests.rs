//! §7.13, §8.6.

use std::time::Duration;

use crate::muc::model::{Affiliation, Role};
use crate::muc::room::scene::*;

const FORM: &str =
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>";

/// Example 79.
fn request() -> String {
    format!("<message id='yd53c486'>{FORM}<field var='muc#role' type='list-single'><value>participant</value></field></x></message>")
}

/// Example 109.
fn approval(jid: &str, nick: &str, allow: &str) -> String {
    format!(
        "<message id='approve'>{FORM}<field var='muc#role'><value>participant</value></field><field var='muc#jid'><value>{jid}</value></field>\
         <field var='muc#roomnick'><value>{nick}</value></field><field var='muc#request_allow'><value>{allow}</value></field></x></message>"
    )
}

fn coven() -> Scene {
    let mut scene = scene();
    scene.room.lasting.config.moderated = true;
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.enter(WITCH, "secondwitch", Role::Participant);
    scene.enter(HAG, "thirdwitch", Role::Visitor);
    scene
}

#[test]
fn s7_13_and_s8_6_example_108_moderators_are_asked() {
    assert_eq!(
        coven().give(handle, HAG, &request()).unwrap(),
        [
            "to crone1: <message from='coven@chat.shakespeare.lit' id='new-1'><x xmlns='jabber:x:data' type='form'><title>Voice request</title>\
          <instructions>To approve this request for voice, select the \"Grant voice to this person?\" checkbox and click OK. To skip this request, click \
          the cancel button.</instructions>\
          <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#request</value></field>\
          <field var='muc#role' type='list-single' label='Requested role'><value>participant</value></field>\
          <field var='muc#jid' type='jid-single' label='User ID'><value>hag66@shakespeare.lit/pda</value></field>\
          <field var='muc#roomnick' type='text-single' label='Room Nickname'><value>thirdwitch</value></field>\
          <field var='muc#request_allow' type='boolean' label='Grant voice to this person?'><value>false</value></field></x></message>"
        ]
    );
}

#[test]
fn s7_13_who_may_not_ask() {
    let mut scene = coven();
    for (from, xml, expected) in [
        (HECATE, request(), "modify not-acceptable"),
        (WITCH, request(), "wait unexpected-request"),
        (HAG, request().replace("participant", "moderator"), "modify bad-request"),
        (HAG, format!("<message>{FORM}</x></message>"), "modify bad-request"),
        (HAG, "<message><x xmlns='jabber:x:data'/></message>".to_owned(), "modify bad-request"),
        (HAG, request().replace("muc#request<", "muc#other<"), "cancel service-unavailable"),
    ] {
        assert_eq!(scene.refused(handle, from, &xml), expected, "{from} {xml}");
    }
    scene.room.lasting.config.allow_voice_requests = false;
    assert_eq!(scene.refused(handle, HAG, &request()), "auth forbidden");
}

#[test]
fn s7_13_requests_have_an_interval() {
    let mut scene = coven();
    assert_eq!(scene.give(handle, HAG, &request()).unwrap().len(), 1);
    scene.now += Duration::from_secs(1_799);
    assert_eq!(scene.refused(handle, HAG, &request()), "wait resource-constraint");
    // Leaving and entering again is no way around it.
    scene.room.occupants.remove("thirdwitch");
    scene.enter(HAG, "other", Role::Visitor);
    assert_eq!(scene.refused(handle, HAG, &request()), "wait resource-constraint");
    scene.now += Duration::from_secs(1);
    assert_eq!(scene.give(handle, HAG, &request()).unwrap().len(), 1);
    scene.room.lasting.config.voice_request_interval_s = 0;
    assert_eq!(scene.give(handle, HAG, &request()).unwrap().len(), 1);
}

#[test]
fn s8_6_a_moderator_gives_voice() {
    for (jid, nick) in [(HAG, "thirdwitch"), (HAG, "other"), ("hag66@shakespeare.lit", "thirdwitch")] {
        let mut scene = coven();
        let lines = scene.give(handle, CRONE, &approval(jid, nick, "true")).unwrap();
        assert!(lines.iter().any(|line| line.contains("role='participant'")), "{lines:?}");
        assert_eq!(scene.room.occupant("thirdwitch").unwrap().role, Role::Participant);
        // The second answer finds nothing to do.
        assert!(scene.give(handle, CRONE, &approval(jid, nick, "1")).unwrap().is_empty());
    }
    let mut scene = coven();
    let by_nick = approval("", "thirdwitch", "1").replace("<field var='muc#jid'><value></value></field>", "");
    assert!(!scene.give(handle, CRONE, &by_nick).unwrap().is_empty());
}

#[test]
fn s8_6_a_moderator_skips_or_refuses() {
    let mut scene = coven();
    assert!(scene.give(handle, CRONE, &approval(HAG, "thirdwitch", "false")).unwrap().is_empty());
    let cancel = "<message><x xmlns='jabber:x:data' type='cancel'/></message>";
    assert!(scene.give(handle, CRONE, cancel).unwrap().is_empty());
    assert_eq!(scene.room.occupant("thirdwitch").unwrap().role, Role::Visitor);
}

#[test]
fn s8_6_decisions_that_are_refused() {
    let mut scene = coven();
    scene.affiliate("admin@b", Affiliation::Admin);
    for (from, xml, expected) in [
        (WITCH, approval(HAG, "thirdwitch", "1"), "auth forbidden"),
        (HAG, approval(HAG, "thirdwitch", "1"), "auth forbidden"),
        (HECATE, approval(HAG, "thirdwitch", "1"), "auth forbidden"),
        // The nickname of somebody else meanwhile.
        (CRONE, approval(HECATE, "thirdwitch", "1"), "cancel item-not-found"),
        (CRONE, approval(HAG, "thirdwitch", "perhaps"), "modify bad-request"),
        (CRONE, approval("@", "thirdwitch", "1"), "modify jid-malformed"),
        (CRONE, approval(HAG, "thirdwitch", "1").replace(">participant<", ">moderator<"), "modify bad-request"),
    ] {
        assert_eq!(scene.refused(handle, from, &xml), expected, "{from} {xml}");
    }
    // An admin who is not there may.
    assert!(scene.give(handle, "admin@b/c", &approval(HAG, "thirdwitch", "1")).is_ok());
}
