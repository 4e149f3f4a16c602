//! §7.10, §7.12, §9.9.

use crate::jid::Jid;
use crate::muc::model::{Affiliation, Role};
use crate::muc::room::scene::*;

const GET: &str = "<iq id='jw81b36f' type='get'><query xmlns='jabber:iq:register'/></iq>";
const REMOVE: &str = "<iq id='1' type='set'><query xmlns='jabber:iq:register'><remove/></query></iq>";
const FORM_TYPE: &str = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>";

/// Example 71.
fn submit(nick: &str) -> String {
    format!(
        "<iq id='nv71va54' type='set'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>{FORM_TYPE}\
         <field var='muc#register_first'><value>Brunhilde</value></field><field var='muc#register_roomnick'><value>{nick}</value></field>\
         <field var='muc#register_faqentry'><value>Just another witch.</value></field></x></query></iq>"
    )
}

fn decision(fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
    format!("<message><x xmlns='jabber:x:data' type='submit'>{FORM_TYPE}{fields}</x></message>")
}

fn moderated() -> Scene {
    let mut scene = scene();
    scene.room.lasting.config.moderated = true;
    scene.affiliate("admin@b", Affiliation::Admin);
    scene
}

#[test]
fn s7_10_examples_66_and_70_the_form() {
    assert_eq!(
        scene().give(handle, HAG, GET).unwrap(),
        [
            "<query xmlns='jabber:iq:register'><instructions>Please provide the following information to register with this room.</instructions>\
          <x xmlns='jabber:x:data' type='form'><title>coven@chat.shakespeare.lit Registration</title>\
          <instructions>Please provide the following information to register with this room.</instructions>\
          <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#register</value></field>\
          <field var='muc#register_roomnick' type='text-single' label='Desired Nickname'><required/></field>\
          <field var='muc#register_first' type='text-single' label='Given Name'/><field var='muc#register_last' type='text-single' label='Family Name'/>\
          <field var='muc#register_url' type='text-single' label='Your URL'/>\
          <field var='muc#register_email' type='text-single' label='Email Address'/>\
          <field var='muc#register_faqentry' type='text-multi' label='FAQ Entry'/></x></query>"
        ]
    );
}

#[test]
fn s7_10_examples_69_71_75_76_a_member_with_a_nickname_at_once() {
    let mut scene = scene();
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.enter(HAG, "thirdwitch", Role::Participant);
    let lines = scene.give(handle, HAG, &submit("thirdwitch")).unwrap();
    assert_eq!(lines[..2], ["affiliate hag66@shakespeare.lit member", "affiliate hag66@shakespeare.lit member thirdwitch"]);
    assert!(lines[2..].iter().all(|line| line.contains("affiliation='member'")) && lines.len() > 3, "{lines:?}");
    assert_eq!(
        scene.give(handle, HAG, GET).unwrap(),
        ["<query xmlns='jabber:iq:register'><registered/><username>thirdwitch</username></query>"]
    );
    // Another nickname later; nothing else changes.
    let lines = scene.give(handle, HAG, &submit("hag")).unwrap();
    assert_eq!(lines, ["affiliate hag66@shakespeare.lit member hag"]);
    assert_eq!(scene.room.reserved_for("hag").map(|jid| jid.as_str()), Some("hag66@shakespeare.lit"));
    assert_eq!(scene.room.reserved_for("thirdwitch"), None);
    // Owners stay what they are.
    let lines = scene.give(handle, CRONE, &submit("firstwitch")).unwrap();
    assert_eq!(lines, ["affiliate crone1@shakespeare.lit owner firstwitch"]);
}

#[test]
fn s7_10_examples_68_72_74_who_is_refused() {
    let mut scene = scene();
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.affiliate("banned@b", Affiliation::Outcast);
    scene.give(handle, WITCH, &submit("taken")).unwrap();
    let form = |content: &str| format!("<iq id='1' type='set'><query xmlns='jabber:iq:register'>{content}</query></iq>");
    for (from, xml, expected) in [
        ("banned@b/c", GET.to_owned(), "cancel not-allowed"),
        ("banned@b/c", submit("a"), "cancel not-allowed"),
        (HAG, submit("taken"), "cancel conflict"),
        (HAG, submit("firstwitch"), "cancel conflict"),
        (HAG, submit(""), "modify jid-malformed"),
        (HAG, submit(&"x".repeat(1024)), "modify jid-malformed"),
        (HAG, form(""), "modify bad-request"),
        (HAG, form("<x xmlns='jabber:x:data' type='submit'/>"), "modify bad-request"),
        (HAG, form("<x xmlns='jabber:x:data' type='form'/>"), "modify bad-request"),
        (HAG, submit("a").replace("muc#register<", "other<"), "modify bad-request"),
        (HAG, submit("a").replace("Brunhilde", &"x".repeat(1025)), "modify bad-request"),
        (HAG, REMOVE.to_owned(), "auth registration-required"),
    ] {
        assert_eq!(scene.refused(handle, from, &xml), expected, "{from} {xml}");
    }
    scene.limits.affiliations = 3;
    assert_eq!(scene.refused(handle, HAG, &submit("a")), "wait resource-constraint");
    scene.room.lasting.config.allow_registration = false;
    assert_eq!(scene.refused(handle, HAG, GET), "cancel not-allowed");
    assert_eq!(scene.refused(handle, HAG, &submit("a")), "cancel not-allowed");
    // Who is registered sees it and may go.
    assert!(scene.give(handle, WITCH, GET).is_ok());
    assert_eq!(scene.give(handle, WITCH, REMOVE).unwrap()[0], "affiliate wiccarocks@shakespeare.lit none");
}

#[test]
fn xep0077_s3_2_who_removes_a_registration_is_no_member_any_more() {
    let mut scene = scene();
    scene.give(handle, HAG, &submit("hag")).unwrap();
    assert_eq!(scene.give(handle, HAG, REMOVE).unwrap()[0], "affiliate hag66@shakespeare.lit none");
    assert_eq!(scene.room.reserved_for("hag"), None);
    scene.give(handle, CRONE, &submit("first")).unwrap();
    assert_eq!(scene.give(handle, CRONE, REMOVE).unwrap(), ["affiliate crone1@shakespeare.lit owner"]);
    let mut scene = moderated();
    scene.give(handle, HAG, &submit("hag")).unwrap();
    assert_eq!(scene.give(handle, HAG, REMOVE).unwrap(), ["request hag66@shakespeare.lit -"]);
}

#[test]
fn s9_9_example_151_admins_are_asked_where_it_gives_rights() {
    let mut scene = moderated();
    let lines = scene.give(handle, HAG, &submit("thirdwitch")).unwrap();
    let form = |to: &str| {
        format!(
            "<message from='coven@chat.shakespeare.lit' to='{to}' id='new-1'><x xmlns='jabber:x:data' type='form'><title>Registration request</title>\
             <instructions>To approve this registration request, select the \"Allow this person to register with the room?\" checkbox and click OK. To skip \
             this request, click the cancel button.</instructions>\
             <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#register</value></field>\
             <field var='muc#jid' type='jid-single' label='User ID'><value>hag66@shakespeare.lit</value></field>\
             <field var='muc#register_roomnick' type='text-single' label='Desired Nickname'><value>thirdwitch</value></field>\
             <field var='muc#register_first' type='text-single' label='Given Name'><value>Brunhilde</value></field>\
             <field var='muc#register_faqentry' type='text-multi' label='FAQ Entry'><value>Just another witch.</value></field>\
             <field var='muc#register_allow' type='boolean' label='Allow this person to register with the room?'><value>false</value></field></x></message>"
        )
    };
    assert_eq!(lines, ["request hag66@shakespeare.lit thirdwitch".to_owned(), form("crone1@shakespeare.lit"), form("admin@b")]);
    // Asking again asks nobody again; another nickname does.
    assert!(scene.give(handle, HAG, &submit("thirdwitch")).unwrap().is_empty());
    assert_eq!(scene.give(handle, HAG, &submit("hag")).unwrap().len(), 3);
    assert!(scene.give(handle, HAG, GET).unwrap()[0].contains("<required/><value>hag</value>"));
    assert_eq!(scene.refused(handle, WITCH, &submit("hag")), "cancel conflict");
    // Who is a member already needs nobody's leave.
    scene.affiliate("wiccarocks@shakespeare.lit", Affiliation::Member);
    assert_eq!(scene.give(handle, WITCH, &submit("wicca")).unwrap(), ["affiliate wiccarocks@shakespeare.lit member wicca"]);
}

#[test]
fn s9_9_an_admin_decides() {
    const HAGS: (&str, &str) = ("muc#jid", "hag66@shakespeare.lit");
    const NICK: (&str, &str) = ("muc#register_roomnick", "thirdwitch");
    let yes = ("muc#register_allow", "1");
    for fields in [&[HAGS, NICK, yes][..], &[HAGS, yes], &[NICK, yes]] {
        let mut scene = moderated();
        scene.give(handle, HAG, &submit("thirdwitch")).unwrap();
        let lines = scene.give(handle, "admin@b/c", &decision(fields)).unwrap();
        assert!(lines.contains(&"affiliate hag66@shakespeare.lit member thirdwitch".to_owned()), "{lines:?}");
        assert!(lines.contains(&"request hag66@shakespeare.lit -".to_owned()), "{lines:?}");
        assert_eq!(scene.refused(handle, CRONE, &decision(fields)), "cancel item-not-found");
    }
    let mut scene = moderated();
    scene.give(handle, HAG, &submit("thirdwitch")).unwrap();
    for (from, fields, expected) in [
        (WITCH, &[HAGS, yes][..], "auth forbidden"),
        (HAG, &[HAGS, yes], "auth forbidden"),
        (CRONE, &[HAGS], "modify bad-request"),
        (CRONE, &[HAGS, ("muc#register_allow", "perhaps")], "modify bad-request"),
        (CRONE, &[("muc#jid", "@"), yes], "modify jid-malformed"),
        (CRONE, &[("muc#jid", "wiccarocks@shakespeare.lit"), yes], "cancel item-not-found"),
    ] {
        assert_eq!(scene.refused(handle, from, &decision(fields)), expected, "{fields:?}");
    }
    scene.enter(WITCH, "thirdwitch", Role::Participant);
    assert_eq!(scene.refused(handle, CRONE, &decision(&[HAGS, yes])), "cancel conflict");
    // Another nickname may be given.
    let other = ("muc#register_roomnick", "hag");
    let lines = scene.clone().give(handle, CRONE, &decision(&[HAGS, other, yes])).unwrap();
    assert!(lines.contains(&"affiliate hag66@shakespeare.lit member hag".to_owned()), "{lines:?}");
    scene.affiliate("hag66@shakespeare.lit", Affiliation::Outcast);
    assert_eq!(scene.refused(handle, CRONE, &decision(&[HAGS, other, yes])), "cancel not-allowed");
    let no = decision(&[HAGS, ("muc#register_allow", "0")]);
    assert_eq!(scene.give(handle, CRONE, &no).unwrap(), ["request hag66@shakespeare.lit -"]);
}

#[test]
fn s7_12_examples_77_and_78_the_reserved_nickname() {
    let mut scene = scene();
    let hag = Jid::parse(HAG).unwrap();
    assert_eq!(scene.room.roomuser_item(&hag), "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>");
    scene.give(handle, HAG, &submit("thirdwitch")).unwrap();
    assert_eq!(
        scene.room.roomuser_item(&hag),
        "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'>\
         <identity category='conference' name='thirdwitch' type='text'/></query>"
    );
}
