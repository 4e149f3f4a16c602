//! §2, §3.

use crate::jid::Jid;
use crate::muc::Why;
use crate::muc::model::{Affiliation, Role};
use crate::muc::room::scene::*;

const ASSISTANT: &str = "http://tech.example.edu/hats#TeacherAssistant";

fn command(name: &str, rest: &str, form: &str) -> String {
    format!(
        "<iq id='gd53a2b6' type='set' xml:lang='en'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{name}' {rest}>\
         {form}</command></iq>"
    )
}

fn form(fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'><value>urn:xmpp:hats:commands</value></field>{fields}</x>"
    )
}

fn filled(name: &str, fields: &[(&str, &str)]) -> String {
    command(name, "sessionid='A971D19A'", &form(fields))
}

fn completed(name: &str) -> String {
    format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{name}' sessionid='A971D19A' status='completed'/>"
    )
}

fn executing(name: &str, content: &str) -> String {
    format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{name}' sessionid='new-1' status='executing'>\
         <x xmlns='jabber:x:data' type='form'>{content}</x></command>"
    )
}

const FORM_TYPE: &str = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:hats:commands</value></field>";

const CODE_104: &str = "to crone1 wiccarocks: <message from='coven@chat.shakespeare.lit' id='new-1' type='groupchat'>\
                        <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>";

fn class() -> Scene {
    let mut scene = scene();
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.enter(WITCH, "secondwitch", Role::Participant);
    scene
}

/// With a hat, which the second witch wears.
fn dressed() -> Scene {
    let mut scene = class();
    scene
        .give(handle, CRONE, &filled("create", &[("hats#title", "Assistant"), ("hats#uri", ASSISTANT), ("hats#hue", "327.255249")]))
        .unwrap();
    scene.give(handle, CRONE, &filled("assign", &[("hats#jid", "wiccarocks@shakespeare.lit"), ("hats#uri", ASSISTANT)])).unwrap();
    scene
}

/// The hats in the presence that others get.
fn shown(lines: &[String]) -> String {
    let presence =
        lines.iter().find(|line| line.contains("<presence") && line.contains("/secondwitch'")).unwrap_or_else(|| panic!("{lines:?}"));
    let start = presence.find("<hats").unwrap_or(presence.len());
    presence[start..].trim_end_matches("</presence>").to_owned()
}

#[test]
fn s3_2_examples_4_to_8_a_hat_is_made() {
    let mut scene = class();
    assert_eq!(
        scene.give(handle, CRONE, &command("create", "action='execute'", "")).unwrap(),
        [executing(
            "create",
            &format!(
                "<title>Creating a Hat</title><instructions>Fill out this form to create a hat.</instructions>{FORM_TYPE}\
                 <field var='hats#title' type='text-single' label='Hat Title'><required/></field>\
                 <field var='hats#uri' type='text-single' label='Hat URI'><required/></field>\
                 <field var='hats#hue' type='text-single' label='Hat Hue'/>"
            )
        )]
    );
    let create = filled("create", &[("hats#title", "Assistant"), ("hats#uri", ASSISTANT), ("hats#hue", "327.255249")]);
    assert_eq!(
        scene.give(handle, CRONE, &create).unwrap(),
        [format!("hats [\"{ASSISTANT}\"] []"), CODE_104.to_owned(), completed("create")]
    );
    // The same again changes nothing.
    assert_eq!(scene.give(handle, CRONE, &create).unwrap(), [completed("create")]);
}

#[test]
fn s3_2_a_hat_that_is_updated_is_shown_anew() {
    let mut scene = dressed();
    let lines = scene.give(handle, CRONE, &filled("create", &[("hats#title", "T&lt;A"), ("hats#uri", ASSISTANT)])).unwrap();
    assert_eq!(shown(&lines), format!("<hats xmlns='urn:xmpp:hats:0'><hat title='T&lt;A' uri='{ASSISTANT}' xml:lang='en'/></hats>"));
    assert_eq!(lines[lines.len() - 2..], [CODE_104.to_owned(), completed("create")]);
}

#[test]
fn s3_1_and_s3_5_examples_3_and_15_to_18_a_hat_is_assigned() {
    let mut scene = dressed();
    assert_eq!(
        scene.give(handle, CRONE, &command("assign", "", "")).unwrap(),
        [executing(
            "assign",
            &format!(
                "<title>Assigning a Hat</title><instructions>Fill out this form to assign a hat.</instructions>{FORM_TYPE}\
                 <field var='hats#jid' type='jid-single' label='User Address'><required/></field>\
                 <field var='hats#uri' type='list-single' label='The role'><option label='Assistant'><value>{ASSISTANT}</value></option></field>"
            )
        )]
    );
    scene.give(handle, CRONE, &filled("create", &[("hats#title", "Host"), ("hats#uri", "urn:host")])).unwrap();
    let assign = filled("assign", &[("hats#jid", WITCH), ("hats#uri", "urn:host")]);
    let lines = scene.give(handle, CRONE, &assign).unwrap();
    assert_eq!(
        shown(&lines),
        format!(
            "<hats xmlns='urn:xmpp:hats:0'><hat title='Assistant' uri='{ASSISTANT}' hue='327.255249' xml:lang='en'/>\
             <hat title='Host' uri='urn:host' xml:lang='en'/></hats>"
        )
    );
    assert_eq!(lines.last(), Some(&completed("assign")));
    assert!(!lines.iter().any(|line| line.contains("code='104'")), "the list of hats is the same: {lines:?}");
    assert_eq!(scene.give(handle, CRONE, &assign).unwrap(), [completed("assign")]);
    // Who is not there wears it, too.
    let absent = filled("assign", &[("hats#jid", "hag66@shakespeare.lit"), ("hats#uri", "urn:host")]);
    assert_eq!(scene.give(handle, CRONE, &absent).unwrap().len(), 2);
}

#[test]
fn s3_3_and_s3_6_examples_9_to_12_19_and_20_hats_are_taken_away() {
    let unassign = filled("unassign", &[("hats#jid", "wiccarocks@shakespeare.lit"), ("hats#uri", ASSISTANT)]);
    let destroy = filled("destroy", &[("hats#uri", ASSISTANT)]);
    let mut scene = dressed();
    let lines = scene.give(handle, CRONE, &unassign).unwrap();
    assert_eq!((&*shown(&lines), lines.last()), ("", Some(&completed("unassign"))));
    assert_eq!(scene.refused(handle, CRONE, &unassign), "cancel item-not-found");

    let mut scene = dressed();
    let lines = scene.give(handle, CRONE, &destroy).unwrap();
    assert_eq!(lines[0], "hats [] []");
    assert_eq!((&*shown(&lines), &lines[lines.len() - 2..]), ("", &[CODE_104.to_owned(), completed("destroy")][..]));
    assert_eq!(scene.refused(handle, CRONE, &destroy), "cancel item-not-found");
    assert_eq!(
        scene.give(handle, CRONE, &command("destroy", "", "")).unwrap(),
        [executing(
            "destroy",
            &format!(
                "<title>Destroying a Hat</title><instructions>Fill out this form to destroy a hat.</instructions>{FORM_TYPE}\
                 <field var='hats#uri' type='list-single' label='The role'/>"
            )
        )]
    );
}

#[test]
fn s3_4_and_s3_7_examples_13_14_21_and_22_lists() {
    let mut scene = dressed();
    let list = |name: &str, title: &str, vars: &[&str], values: &[&str]| {
        let reported: String = vars.iter().map(|var| format!("<field var='{var}'/>")).collect();
        let row: String =
            vars.iter().zip(values).map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
        format!(
            "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{name}' sessionid='new-1' status='completed'>\
             <x xmlns='jabber:x:data' type='result'><title>{title}</title>{FORM_TYPE}<reported>{reported}</reported><item>{row}</item></x></command>"
        )
    };
    assert_eq!(
        scene.give(handle, HAG, &command("list", "action='execute'", "")).unwrap(),
        [list("list", "Hats List", &["hats#title", "hats#uri", "hats#hue"], &["Assistant", ASSISTANT, "327.255249"])]
    );
    assert_eq!(
        scene.give(handle, CRONE, &command("list-assigned", "action='execute'", "")).unwrap(),
        [list(
            "list-assigned",
            "Assigned Hats List",
            &["hats#jid", "hats#uri", "hats#title", "hats#hue"],
            &["wiccarocks@shakespeare.lit", ASSISTANT, "Assistant", "327.255249"]
        )]
    );
}

#[test]
fn s2_who_may_do_what() {
    let mut scene = dressed();
    for name in ["create", "destroy", "assign", "unassign", "list-assigned"] {
        assert_eq!(scene.refused(handle, WITCH, &command(name, "", "")), "auth forbidden", "{name}");
    }
    assert_eq!(scene.refused(handle, CRONE, &command("other", "", "")), "cancel item-not-found");
    scene.affiliate("banned@b", Affiliation::Outcast);
    assert_eq!(scene.refused(handle, "banned@b/c", &command("list", "", "")), "auth forbidden");
    scene.room.lasting.config.members_only = true;
    assert_eq!(scene.refused(handle, HAG, &command("list", "", "")), "auth forbidden");
    let count = |jid: &str| scene.with_context(|room, context| room.hat_commands(&Jid::parse(jid).unwrap(), context).len());
    assert_eq!([CRONE, WITCH, HAG, "banned@b/c"].map(count), [6, 1, 0, 0]);
}

#[test]
fn s2_a_room_without_hats() {
    let mut scene = dressed();
    scene.room.lasting.config.hats = false;
    for name in ["create", "list"] {
        assert_eq!(scene.refused(handle, CRONE, &command(name, "", "")), "cancel service-unavailable");
    }
    assert_eq!(scene.room.hats_hash(), None);
    let announce: Handler = |room, _, _, out| {
        room.announce("secondwitch", &[], &Why::default(), out);
        Ok(())
    };
    assert_eq!(shown(&scene.give(announce, CRONE, "<message/>").unwrap()), "");
}

#[test]
fn xep0050_s4_actions_and_forms() {
    let mut scene = dressed();
    let canceled =
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:create' sessionid='1' status='canceled'/>";
    for cancel in [
        command("create", "action='cancel' sessionid='1'", ""),
        command("create", "sessionid='1'", "<x xmlns='jabber:x:data' type='cancel'/>"),
    ] {
        assert_eq!(scene.give(handle, CRONE, &cancel).unwrap(), [canceled]);
    }
    let create = |uri: &str, title: &str, hue: &str| filled("create", &[("hats#uri", uri), ("hats#title", title), ("hats#hue", hue)]);
    for (xml, expected) in [
        (command("create", "action='prev'", ""), "modify bad-request bad-action"),
        (command("create", "action='other'", ""), "modify bad-request malformed-action"),
        (command("create", "action='complete'", ""), "modify bad-request bad-payload"),
        (command("create", "action='next'", "<x xmlns='jabber:x:data'/>"), "modify bad-request bad-payload"),
        (command("create", "", "<x xmlns='jabber:x:data' type='form'/>"), "modify bad-request bad-payload"),
        (command("create", "", &form(&[])), "modify bad-request bad-payload"),
        (command("create", "", "").replace("'set'", "'get'"), "modify bad-request"),
        (create("", "Title", ""), "modify bad-request bad-payload"),
        (create("urn:x", "", ""), "modify bad-request bad-payload"),
        (create(&"x".repeat(256), "Title", ""), "modify bad-request bad-payload"),
        (create("urn:x", &"x".repeat(256), ""), "modify bad-request bad-payload"),
        (create("urn:x", "Title", "361"), "modify bad-request bad-payload"),
        (create("urn:x", "Title", "NaN"), "modify bad-request bad-payload"),
        (create("urn:x", "Title", "red"), "modify bad-request bad-payload"),
        (filled("assign", &[("hats#uri", ASSISTANT)]), "modify bad-request bad-payload"),
        (filled("assign", &[("hats#jid", "@"), ("hats#uri", ASSISTANT)]), "modify jid-malformed"),
        (filled("assign", &[("hats#jid", "a@b"), ("hats#uri", "urn:other")]), "cancel item-not-found"),
    ] {
        assert_eq!(scene.refused(handle, CRONE, &xml), expected, "{xml}");
    }
}

#[test]
fn hats_are_bounded() {
    let mut scene = class();
    let uri = |number: usize| format!("urn:{number}");
    for number in 0..100 {
        scene.give(handle, CRONE, &filled("create", &[("hats#title", "x"), ("hats#uri", &uri(number))])).unwrap();
    }
    let one_more = filled("create", &[("hats#title", "x"), ("hats#uri", "urn:more")]);
    assert_eq!(scene.refused(handle, CRONE, &one_more), "wait resource-constraint");
    let assign = |number: usize| filled("assign", &[("hats#jid", "a@b"), ("hats#uri", &uri(number))]);
    for number in 0..8 {
        scene.give(handle, CRONE, &assign(number)).unwrap();
    }
    assert_eq!(scene.refused(handle, CRONE, &assign(8)), "wait resource-constraint");
}

#[test]
fn s2_the_hash_is_that_of_the_list() {
    assert_eq!(class().room.hats_hash(), None);
    let mut scene = dressed();
    let first = scene.room.hats_hash().unwrap();
    scene.give(handle, CRONE, &filled("unassign", &[("hats#jid", WITCH), ("hats#uri", ASSISTANT)])).unwrap();
    assert_eq!(scene.room.hats_hash().as_ref(), Some(&first));
    scene.give(handle, CRONE, &filled("create", &[("hats#title", "Other"), ("hats#uri", ASSISTANT)])).unwrap();
    assert_ne!(scene.room.hats_hash().unwrap(), first);
}

#[test]
fn hats_are_as_long_as_presence_may_be() {
    let mut scene = class();
    let create = |uri: &str, title: &str| filled("create", &[("hats#title", title), ("hats#uri", uri)]);
    let long = create("x:1", "x").replace("xml:lang='en'", &format!("xml:lang='{}'", "x".repeat(65)));
    assert_eq!(scene.refused(handle, CRONE, &long), "modify bad-request bad-payload");
    scene.give(handle, CRONE, &create("x:1", &"x".repeat(200))).unwrap();
    scene.give(handle, CRONE, &create("x:2", "x")).unwrap();
    let wear = |uri: &str| filled("assign", &[("hats#jid", "wiccarocks@shakespeare.lit"), ("hats#uri", uri)]);
    scene.limits.presence_bytes = 8 * 300;
    scene.give(handle, CRONE, &wear("x:1")).unwrap();
    scene.give(handle, CRONE, &wear("x:2")).unwrap();
    // Neither another one nor a longer one that is worn.
    scene.give(handle, CRONE, &create("x:3", &"x".repeat(50))).unwrap();
    assert_eq!(scene.refused(handle, CRONE, &wear("x:3")), "wait resource-constraint");
    assert_eq!(scene.refused(handle, CRONE, &create("x:2", &"x".repeat(80))), "wait resource-constraint");
    scene.give(handle, CRONE, &filled("unassign", &[("hats#jid", "wiccarocks@shakespeare.lit"), ("hats#uri", "x:1")])).unwrap();
    scene.give(handle, CRONE, &wear("x:3")).unwrap();
}
