//! XEP-0045 §10.1.2, §10.1.3, §10.2, §10.2.1, §10.9.

use super::*;
use crate::muc::change::Change;
use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, shown};
use crate::muc::model::Role;

const SUBMIT: &str = "<x xmlns='jabber:x:data' type='submit'/>";
const CANCEL: &str = "<x xmlns='jabber:x:data' type='cancel'/>";

/// §10.1.1: a room that has just been created.
fn created() -> Scene {
    let mut scene = Scene::new();
    scene.room.lasting.locked = true;
    scene.room.lasting.config.persistent = false;
    scene.join("crone1/desktop", "firstwitch");
    scene
}

fn ask(scene: &mut Scene, type_: &str, from: &str, content: &str) -> Result<Outcome, String> {
    scene.query(type_, from, ns::MUC_OWNER, content)
}

#[track_caller]
fn set(scene: &mut Scene, from: &str, content: &str) -> Outcome {
    ask(scene, "set", from, content).unwrap()
}

#[track_caller]
fn refused(scene: &mut Scene, from: &str, content: &str, expected: &str) {
    assert_eq!(ask(scene, "set", from, content).map(|out| shown(&out)), Err(expected.to_owned()), "{from}: {content}");
}

/// A form that was filled in.
fn form(fields: &[(&str, &[&str])]) -> String {
    let mut form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
                    <value>http://jabber.org/protocol/muc#roomconfig</value></field>"
        .to_owned();
    for (var, values) in fields {
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        form += &format!("<field var='{var}'>{values}</field>");
    }
    form + "</x>"
}

/// The codes that everyone is told in a message, and nothing else in it.
fn codes(sent: &[String]) -> Vec<&str> {
    let messages: Vec<&String> = sent.iter().filter(|sent| sent.starts_with("<message")).collect();
    let Some(first) = messages.first() else { return Vec::new() };
    assert!(first.contains("from='coven'") && first.contains("type='groupchat'"), "{first}");
    let (_, content) = first.split_once("<x>").unwrap();
    let content = content.strip_suffix("</x></message>").unwrap();
    content.split("<status code='").skip(1).map(|rest| rest.strip_suffix("'/>").unwrap()).collect()
}

#[test]
fn s10_1_2_example_155_an_instant_room() {
    let mut scene = created();
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        &["<presence from='coven/thirdwitch' to='hag66/pda' type='error'><x xmlns='http://jabber.org/protocol/muc'/>\
           <error by='coven' type='cancel'><item-not-found/></error></presence>"],
    );
    let out = set(&mut scene, "crone1/desktop", SUBMIT);
    assert!(matches!(&out.changes[..], [Change::Configure(_)]) && out.effects.is_empty() && out.reply.is_empty() && !out.over);
    assert!(!scene.room.lasting.locked);
    scene.join("hag66/pda", "thirdwitch");
    assert!(scene.room.occupant("thirdwitch").is_some());
    // Once more: nothing to store.
    assert_eq!(set(&mut scene, "crone1/desktop", SUBMIT).changes, []);
}

#[test]
fn s10_1_3_examples_156_to_160_a_reserved_room() {
    let mut scene = created();
    let out = ask(&mut scene, "get", "crone1/desktop", "").unwrap();
    let reply = String::from_utf8(out.reply.to_vec()).unwrap();
    let start = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='form'>\
                 <title>Configuration for &quot;coven&quot; Room</title>";
    assert!(reply.replace('"', "&quot;").starts_with(start), "{reply}");
    for part in [
        "<value>http://jabber.org/protocol/muc#roomconfig</value>",
        "<field var='muc#roomconfig_roomsecret' type='text-private' label='Password'/>",
        "<field var='muc#roomconfig_roomadmins' type='jid-multi' label='Room Admins'/>",
        "<value>crone1@shakespeare.lit</value>",
    ] {
        assert!(reply.contains(part), "{part}: {reply}");
    }
    assert!(scene.room.lasting.locked, "asking is not configuring");
    let fields: &[(&str, &[&str])] = &[
        ("muc#roomconfig_roomname", &["A Dark Cave"]),
        ("muc#roomconfig_passwordprotectedroom", &["1"]),
        ("muc#roomconfig_roomsecret", &["cauldronburn"]),
        ("muc#roomconfig_whois", &["moderators"]),
        ("muc#roomconfig_roomadmins", &["wiccarocks@shakespeare.lit", "hecate@shakespeare.lit"]),
    ];
    let out = set(&mut scene, "crone1/desktop", &form(fields));
    assert_eq!(out.changes.len(), 3);
    assert!(!scene.room.lasting.locked);
    assert_eq!(scene.room.affiliation_of(&bare("hecate")), Affiliation::Admin);
    assert_eq!(scene.room.affiliation_of(&bare("crone1")), Affiliation::Owner);
    assert_eq!(scene.room.lasting.config.password.as_deref(), Some("cauldronburn"));
}

#[test]
fn s10_1_3_example_161_what_cannot_be() {
    let mut scene = created();
    let blank: &[(&str, &[&str])] = &[("muc#roomconfig_passwordprotectedroom", &["1"]), ("muc#roomconfig_roomsecret", &[""])];
    refused(&mut scene, "crone1/desktop", &form(blank), "modify not-acceptable");
    assert!(scene.room.lasting.locked);
    for (content, expected) in [
        ("", "modify bad-request"),
        ("<other/>", "modify bad-request"),
        ("<x xmlns='jabber:x:data' type='form'/>", "modify bad-request"),
        ("<x xmlns='jabber:x:data' type='submit'/><destroy/>", "modify bad-request"),
        ("<x xmlns='jabber:x:data' type='submit'/><x xmlns='jabber:x:data' type='submit'/>", "modify bad-request"),
        ("<destroy jid='@'/>", "modify jid-malformed"),
    ] {
        refused(&mut scene, "crone1/desktop", content, expected);
    }
    let long = format!("<destroy><reason>{}</reason></destroy>", "x".repeat(5000));
    refused(&mut scene, "crone1/desktop", &long, "modify policy-violation");
    let long = format!("<destroy><password>{}</password></destroy>", "x".repeat(5000));
    refused(&mut scene, "crone1/desktop", &long, "modify policy-violation");
}

#[test]
fn s10_1_3_example_162_cancelling_destroys_a_new_room_only() {
    let mut scene = created();
    let out = set(&mut scene, "crone1/desktop", CANCEL);
    assert!(out.over && out.changes == [Change::Destroy]);
    let expected = "<presence from='coven/firstwitch' to='crone1/desktop' type='unavailable'><x><item affiliation='none' role='none'";
    let sent = shown(&out);
    assert!(sent.len() == 1 && sent[0].starts_with(expected) && sent[0].contains("<destroy/>"), "{sent:#?}");
    // §10.2, example 166.
    let mut scene = Scene::of_four();
    let out = set(&mut scene, "crone1/desktop", CANCEL);
    assert!(!out.over && out.changes.is_empty() && out.effects.is_empty());
}

#[test]
fn s10_2_examples_163_164_only_owners() {
    let mut scene = Scene::of_four();
    for who in ["wiccarocks/laptop", "hag66/pda", "hecate/broom", "lear/crown"] {
        assert_eq!(ask(&mut scene, "get", who, "").map(|_| ()), Err("auth forbidden".to_owned()), "{who}");
        for content in [SUBMIT, CANCEL, "<destroy/>"] {
            refused(&mut scene, who, content, "auth forbidden");
        }
    }
    // An owner need not be there; an administrator of the server is one.
    ask(&mut scene, "get", "crone1/elsewhere", "").unwrap();
    scene.administers = true;
    ask(&mut scene, "get", "root/x", "").unwrap();
}

#[test]
fn s10_2_example_165_what_is_so_is_shown() {
    let mut scene = Scene::of_four();
    scene.room.lasting.config.name = "A Dark Cave".to_owned();
    scene.room.lasting.config.password = Some("cauldronburn".to_owned());
    let out = ask(&mut scene, "get", "crone1/desktop", "").unwrap();
    let reply = String::from_utf8(out.reply.to_vec()).unwrap();
    for part in ["<value>A Dark Cave</value>", "<value>cauldronburn</value>", "<value>wiccarocks@shakespeare.lit</value>"] {
        assert!(reply.contains(part), "{part}: {reply}");
    }
}

#[test]
fn s10_2_examples_167_to_170_the_full_lists_of_admins_and_owners() {
    // Roles, affiliations after: crone1, wiccarocks, hag66, hecate.
    use Affiliation::{Admin, Member, None as Nobody, Owner};
    let (crone, wicca, hag, hecate) =
        ("crone1@shakespeare.lit", "wiccarocks@shakespeare.lit", "hag66@shakespeare.lit", "hecate@shakespeare.lit");
    let (admins, owners) = ("muc#roomconfig_roomadmins", "muc#roomconfig_roomowners");
    for (fields, expected) in [
        (vec![(admins, vec![hecate])], [Owner, Nobody, Member, Admin]),
        (vec![(admins, vec![])], [Owner, Nobody, Member, Nobody]),
        (vec![(admins, vec![crone, wicca])], [Owner, Admin, Member, Nobody]),
        (vec![(owners, vec![crone, hag])], [Owner, Admin, Owner, Nobody]),
        (vec![(owners, vec![hecate])], [Admin, Admin, Member, Owner]),
        (vec![(owners, vec![wicca]), (admins, vec![crone])], [Admin, Owner, Member, Nobody]),
        (vec![(owners, vec![wicca]), (admins, vec![wicca])], [Nobody, Owner, Member, Nobody]),
        // Where only members come in, they stay members.
        (vec![("muc#roomconfig_membersonly", vec!["1"]), (admins, vec![])], [Owner, Member, Member, Nobody]),
    ] {
        let mut scene = Scene::of_four();
        let fields: Vec<(&str, &[&str])> = fields.iter().map(|(var, values)| (*var, values.as_slice())).collect();
        set(&mut scene, "crone1/desktop", &form(&fields));
        let after = ["crone1", "wiccarocks", "hag66", "hecate"].map(|who| scene.room.affiliation_of(&bare(who)));
        assert_eq!(after, expected, "{fields:?}");
        for occupant in scene.room.occupants.iter() {
            let affiliation = scene.room.affiliation_of(&occupant.account);
            assert_eq!((occupant.affiliation, occupant.role), (affiliation, scene.room.lasting.config.role_of(affiliation)), "{fields:?}");
        }
    }
    let mut scene = Scene::of_four();
    refused(&mut scene, "crone1/desktop", &form(&[(owners, &[])]), "cancel conflict");
    scene.limits.affiliations = 4;
    refused(&mut scene, "crone1/desktop", &form(&[(admins, &["a@b.lit", "c@b.lit", "d@b.lit"])]), "wait resource-constraint");
    refused(&mut scene, "crone1/desktop", &form(&[(admins, &["b.lit"])]), "modify not-acceptable");
    // Example 168.
    let mut scene = Scene::of_four();
    let sent = shown(&set(&mut scene, "crone1/desktop", &form(&[(admins, &[wicca, hecate])])));
    let expected = "<presence from='coven/fourthwitch' to='crone1/desktop'><x><item affiliation='admin' role='moderator' jid='hecate/broom'>\
                    <actor nick='firstwitch'/></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    assert_eq!(codes(&sent), [""; 0], "no option changed");
    assert_eq!(scene.room.occupant("fourthwitch").unwrap().role, Role::Moderator);
}

#[test]
fn s10_2_a_room_that_becomes_members_only_removes_the_others() {
    let mut scene = Scene::of_four();
    let out = set(&mut scene, "crone1/desktop", &form(&[("muc#roomconfig_membersonly", &["1"])]));
    let sent = shown(&out);
    let gone = |to: &str, own: &str| {
        let jid = if to == "hag66/pda" { "" } else { " jid='hecate/broom'" };
        format!(
            "<presence from='coven/fourthwitch' to='{to}' type='unavailable'><x><item affiliation='none' role='none'{jid}>\
             <actor nick='firstwitch'/></item>{own}<status code='322'/></x></presence>"
        )
    };
    assert_eq!(sent[0], gone("hecate/broom", "<status code='110'/>"), "{sent:#?}");
    assert!(sent.contains(&gone("hag66/pda", "")) && sent.contains(&gone("crone1/desktop", "")));
    assert_eq!(codes(&sent), ["104"]);
    assert_eq!(sent.iter().filter(|sent| sent.starts_with("<message")).count(), 3, "those who are left");
    // An administrator of the server is no stranger; who is let in by the same form stays.
    let mut scene = Scene::of_four();
    scene.administers = true;
    scene.join("root/x", "king");
    scene.administers = false;
    let fields: &[(&str, &[&str])] =
        &[("muc#roomconfig_membersonly", &["1"]), ("muc#roomconfig_roomadmins", &["wiccarocks@shakespeare.lit", "hecate@shakespeare.lit"])];
    set(&mut scene, "crone1/desktop", &form(fields));
    assert_eq!(scene.room.occupants.len(), 5);
}

#[test]
fn s10_2_1_example_171_codes_of_each_change() {
    for (var, value, expected) in [
        ("muc#roomconfig_enablelogging", "1", vec!["170"]),
        ("muc#roomconfig_whois", "anyone", vec!["172"]),
        ("muc#roomconfig_roomname", "A Dark Cave", vec!["104"]),
        ("muc#roomconfig_roomname", "", vec![]),
        ("muc#roomconfig_enablelogging", "0", vec![]),
        ("captcha_protected", "1", vec![]),
    ] {
        let mut scene = Scene::of_four();
        let sent = shown(&set(&mut scene, "crone1/desktop", &form(&[(var, &[value])])));
        assert_eq!(codes(&sent), expected, "{var} {value}");
        assert_eq!(sent.len(), if expected.is_empty() { 0 } else { 4 }, "{sent:#?}");
    }
    let mut scene = Scene::of_four();
    scene.room.lasting.config.archived = true;
    scene.room.lasting.config.whois = Whois::Anyone;
    let fields: &[(&str, &[&str])] = &[
        ("muc#roomconfig_enablelogging", &["0"]),
        ("muc#roomconfig_whois", &["moderators"]),
        ("muc#roomconfig_roomname", &["A Dark Cave"]),
    ];
    assert_eq!(codes(&shown(&set(&mut scene, "crone1/desktop", &form(fields)))), ["104", "171", "173"]);
}

#[test]
fn s10_2_presence_that_is_not_broadcast_any_more() {
    let mut scene = Scene::of_four();
    let sent = shown(&set(&mut scene, "crone1/desktop", &form(&[("muc#roomconfig_presencebroadcast", &["moderator"])])));
    let vanishes = |who: &str, to: &str| {
        sent.iter().any(|sent| sent.starts_with(&format!("<presence from='coven/{who}' to='{to}' type='unavailable'>")))
    };
    assert!(vanishes("thirdwitch", "hecate/broom") && vanishes("fourthwitch", "hag66/pda"), "{sent:#?}");
    assert!(!vanishes("thirdwitch", "crone1/desktop") && !vanishes("thirdwitch", "hag66/pda"));
    let all: &[&str] = &["moderator", "participant", "visitor"];
    let sent = shown(&set(&mut scene, "crone1/desktop", &form(&[("muc#roomconfig_presencebroadcast", all)])));
    assert!(sent.iter().any(|sent| sent.starts_with("<presence from='coven/thirdwitch' to='hecate/broom'><x>")), "{sent:#?}");
}

#[test]
fn s7_14_a_room_that_is_made_temporary_by_an_absent_owner_ends_if_nobody_is_there() {
    let mut scene = Scene::new();
    let out = set(&mut scene, "crone1/desktop", &form(&[("muc#roomconfig_persistentroom", &["0"])]));
    assert!(out.over && out.changes.last() == Some(&Change::Destroy));
}

#[test]
fn s10_9_examples_201_to_203_destruction() {
    let mut scene = Scene::of_four();
    scene.join("hag66/laptop", "thirdwitch");
    let destroy = "<destroy jid='heath@chat.shakespeare.lit'><password>toil</password><reason>Macbeth doth come.</reason></destroy>";
    let out = set(&mut scene, "crone1/desktop", destroy);
    assert!(out.over && out.changes == [Change::Destroy] && out.reply.is_empty());
    let sent = shown(&out);
    assert_eq!(sent.len(), 5, "one to each session, nothing to others: {sent:#?}");
    for (to, nick) in [
        ("crone1/desktop", "firstwitch"),
        ("wiccarocks/laptop", "secondwitch"),
        ("hag66/pda", "thirdwitch"),
        ("hag66/laptop", "thirdwitch"),
        ("hecate/broom", "fourthwitch"),
    ] {
        let start = format!("<presence from='coven/{nick}' to='{to}' type='unavailable'><x><item affiliation='none' role='none'");
        let told = sent.iter().find(|sent| sent.starts_with(&start)).unwrap_or_else(|| panic!("{start}: {sent:#?}"));
        assert!(told.contains(destroy), "{told}");
    }
    assert!(scene.room.occupants.is_empty());
    // Nothing said: the element is there all the same.
    let mut scene = Scene::of_four();
    assert!(
        shown(&set(&mut scene, "crone1/desktop", "<destroy jid=''><reason/></destroy>")).iter().all(|sent| sent.contains("<destroy/>"))
    );
}
