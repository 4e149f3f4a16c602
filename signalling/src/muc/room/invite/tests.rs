//! §7.8.2, §7.9.

use crate::muc::config::RoomConfig;
use crate::muc::model::{Affiliation, Role, Room};
use crate::muc::room::scene::*;

const INVITE: &str = "<message id='nzd143v8'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='hecate@shakespeare.lit'>\
                      <reason>Hey Hecate, this is the place for all good witches!</reason></invite></x></message>";

const DECLINE: &str = "<message id='jk2vs61v'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='crone1@shakespeare.lit'>\
                       <reason>Sorry, I&apos;m too busy right now.</reason></decline></x></message>";

fn coven(configure: impl FnOnce(&mut RoomConfig)) -> Scene {
    let mut scene = scene();
    configure(&mut scene.room.lasting.config);
    scene.affiliate("wiccarocks@shakespeare.lit", Affiliation::Member);
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.enter(WITCH, "secondwitch", Role::Participant);
    scene
}

#[test]
fn s7_8_2_examples_56_and_57_an_invitation_is_passed_on_with_the_password() {
    let mut scene = coven(|config| config.password = Some("cauldronburn".to_owned()));
    assert_eq!(
        scene.give(handle, CRONE, INVITE).unwrap(),
        [
            "<message from='coven@chat.shakespeare.lit' to='hecate@shakespeare.lit' id='nzd143v8'><x xmlns='http://jabber.org/protocol/muc#user'>\
          <invite from='crone1@shakespeare.lit/desktop'><reason>Hey Hecate, this is the place for all good witches!</reason></invite>\
          <password>cauldronburn</password></x></message>"
        ]
    );
}

#[test]
fn s7_9_examples_63_and_64_several_people_and_a_thread() {
    let mut scene = coven(|_| ());
    let to = |jid: &str| format!("<invite to='{jid}'><continue thread='e0ffe42b'/></invite>");
    let content =
        [to("wiccarocks@shakespeare.lit/laptop"), to("hag66@shakespeare.lit"), "<invite to='a@b'><continue/></invite>".to_owned()];
    let xml = format!("<message><x xmlns='http://jabber.org/protocol/muc#user'>{}</x></message>", content.concat());
    let expected = |to: &str, go_on: &str| {
        format!(
            "<message from='coven@chat.shakespeare.lit' to='{to}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <invite from='crone1@shakespeare.lit/desktop'>{go_on}</invite></x></message>"
        )
    };
    let thread = "<continue thread='e0ffe42b'/>";
    assert_eq!(
        scene.give(handle, CRONE, &xml).unwrap(),
        [expected("wiccarocks@shakespeare.lit/laptop", thread), expected("hag66@shakespeare.lit", thread), expected("a@b", "<continue/>")]
    );
}

#[test]
fn s7_8_2_rooms_and_their_occupants_are_not_invited() {
    for to in ["coven@chat.shakespeare.lit", "coven@chat.shakespeare.lit/secondwitch", "other@rooms.example", "chat.shakespeare.lit"] {
        let invite = format!("<invite to='hag66@shakespeare.lit'/><invite to='{to}'/>");
        let xml = format!("<message><x xmlns='http://jabber.org/protocol/muc#user'>{invite}</x></message>");
        assert_eq!(coven(|_| ()).refused(handle, CRONE, &xml), "cancel not-allowed", "{to}");
    }
}

#[test]
fn s7_8_2_who_may_invite() {
    const ALLOWED: &str = "";
    let open: fn(&mut RoomConfig) = |_| ();
    let open_to_admins = |config: &mut RoomConfig| config.allow_invites = Some(false);
    let members_only = |config: &mut RoomConfig| config.members_only = true;
    let members_invite = |config: &mut RoomConfig| (config.members_only, config.allow_invites) = (true, Some(true));
    for (configure, from, expected) in [
        (open, CRONE, ALLOWED),
        (open, WITCH, ALLOWED),
        (open, HAG, "modify not-acceptable"),
        (open, "banned@b/c", "auth forbidden"),
        // An admin could add members without being there.
        (open, "admin@b/c", ALLOWED),
        (open_to_admins, CRONE, ALLOWED),
        (open_to_admins, WITCH, "auth forbidden"),
        (members_only, CRONE, ALLOWED),
        (members_only, WITCH, "auth forbidden"),
        (members_only, "admin@b/c", ALLOWED),
        (members_invite, WITCH, ALLOWED),
        (members_invite, HAG, "modify not-acceptable"),
    ] {
        let mut scene = coven(configure);
        scene.affiliate("banned@b", Affiliation::Outcast);
        scene.affiliate("admin@b", Affiliation::Admin);
        match expected {
            ALLOWED => assert!(scene.give(handle, from, INVITE).is_ok(), "{from}"),
            expected => assert_eq!(scene.refused(handle, from, INVITE), expected, "{from}"),
        }
    }
}

#[test]
fn s7_8_2_who_is_invited_into_a_members_only_room_becomes_a_member() {
    let mut scene = coven(|config| config.members_only = true);
    let lines = scene.give(handle, CRONE, INVITE).unwrap();
    assert_eq!(lines[0], "affiliate hecate@shakespeare.lit member");
    assert!(lines.last().unwrap().contains("<invite from="), "{lines:?}");
    // A second time nothing changes.
    assert_eq!(scene.give(handle, CRONE, INVITE).unwrap().len(), 1);

    scene.affiliate("hecate@shakespeare.lit", Affiliation::Outcast);
    assert_eq!(scene.refused(handle, CRONE, INVITE), "cancel not-allowed");
    // Nor into a room that everybody else may enter.
    scene.room.lasting.config.members_only = false;
    assert_eq!(scene.refused(handle, CRONE, INVITE), "cancel not-allowed");
    scene.room.lasting.config.members_only = true;
    scene.room.lasting.affiliations.remove("hecate@shakespeare.lit");
    scene.limits.affiliations = 2;
    assert_eq!(scene.refused(handle, CRONE, INVITE), "wait resource-constraint");
}

#[test]
fn s7_8_2_what_is_no_invitation() {
    let with = |invite: &str| format!("<message><x xmlns='http://jabber.org/protocol/muc#user'>{invite}</x></message>");
    for (content, expected) in [
        (with("<invite/>"), "modify bad-request"),
        (with("<invite to='@b'/>"), "modify jid-malformed"),
        (with("<invite to='a@b'/><invite/>"), "modify bad-request"),
        (with(&"<invite to='a@b'/>".repeat(51)), "modify policy-violation"),
        (with("<decline to='a@b'/>"), "modify bad-request"),
    ] {
        assert_eq!(coven(|_| ()).refused(Room::invite, CRONE, &content), expected, "{content}");
    }
}

#[test]
fn s7_8_2_examples_58_and_59_a_decline_goes_to_the_inviter() {
    let mut scene = coven(|_| ());
    let expected = |to: &str| {
        format!(
            "<message from='coven@chat.shakespeare.lit' to='{to}' id='jk2vs61v'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <decline from='hecate@shakespeare.lit'><reason>Sorry, I'm too busy right now.</reason></decline></x></message>"
        )
    };
    let check = |scene: &mut Scene, to: &str, reached: &[&str]| {
        let xml = DECLINE.replace("crone1@shakespeare.lit", to);
        let reached: Vec<String> = reached.iter().copied().map(expected).collect();
        assert_eq!(scene.give(handle, HECATE, &xml).unwrap(), reached, "{to}");
    };
    for to in ["crone1@shakespeare.lit", CRONE, "coven@chat.shakespeare.lit/firstwitch"] {
        check(&mut scene, to, &[CRONE]);
    }
    // Nobody else is written to, and nobody is told who is there.
    for to in ["hag66@shakespeare.lit", "hag66@shakespeare.lit/pda", "coven@chat.shakespeare.lit/nobody", "coven@chat.shakespeare.lit"] {
        check(&mut scene, to, &[]);
    }
    // Who has gone and who has several sessions finds it where messages to an account are found.
    scene.affiliate("hag66@shakespeare.lit", Affiliation::Member);
    check(&mut scene, "hag66@shakespeare.lit", &["hag66@shakespeare.lit"]);
    scene.enter("crone1@shakespeare.lit/phone", "phone", Role::Moderator);
    check(&mut scene, "crone1@shakespeare.lit", &["crone1@shakespeare.lit"]);
    check(&mut scene, "crone1@shakespeare.lit/phone", &["crone1@shakespeare.lit/phone"]);
}

#[test]
fn s7_8_2_declines_that_are_refused() {
    let mut scene = coven(|_| ());
    scene.affiliate("hecate@shakespeare.lit", Affiliation::Outcast);
    assert_eq!(scene.refused(handle, HECATE, DECLINE), "auth forbidden");
    assert_eq!(scene.refused(handle, HAG, &DECLINE.replace("crone1", "@")), "modify jid-malformed");
    assert_eq!(scene.refused(handle, HAG, &DECLINE.replace(" to='crone1@shakespeare.lit'", "")), "modify bad-request");
    assert_eq!(scene.refused(Room::decline, HAG, INVITE), "modify bad-request");
}

#[test]
fn s7_8_2_the_inviter_is_told_of_an_address_that_there_is_not() {
    let handler: Handler = |room, stanza, _, out| {
        assert!(room.invitation_bounced(stanza, out));
        Ok(())
    };
    let bounced = |inviter: &str, condition: &str| {
        format!(
            "<message id='nzd143v8' type='error'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='{inviter}'/></x>\
             <error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    let told = |condition: &str| {
        format!(
            "<message from='coven@chat.shakespeare.lit' to='crone1@shakespeare.lit/desktop' id='nzd143v8' type='error'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><invite to='hecate@shakespeare.lit'/></x>\
             <error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        )
    };
    let mut scene = coven(|_| ());
    for (condition, expected) in [
        ("service-unavailable", "item-not-found"),
        ("item-not-found", "item-not-found"),
        ("remote-server-not-found", "remote-server-not-found"),
    ] {
        assert_eq!(scene.give(handler, "hecate@shakespeare.lit", &bounced(CRONE, condition)).unwrap(), [told(expected)]);
    }
    // Only who is there is written to.
    assert!(scene.give(handler, "hecate@shakespeare.lit", &bounced(HAG, "item-not-found")).unwrap().is_empty());
    let none: Handler = |room, stanza, _, out| {
        assert!(!room.invitation_bounced(stanza, out));
        Ok(())
    };
    assert!(scene.give(none, HAG, "<message type='error'><body>x</body></message>").unwrap().is_empty());
    assert!(scene.give(none, HAG, INVITE).unwrap().is_empty());
}
