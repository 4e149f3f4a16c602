//! XEP-0045 §7.1, §7.2, §7.7.

use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, shown};
use crate::muc::model::{Affiliation, Role};

const JOIN: &str = "<presence from='hag66/pda' to='coven/thirdwitch' id='n13mt3l'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
const SUBJECT: &str = "<message from='coven' to='hag66/pda' id='new-1' type='groupchat'><subject></subject></message>";

fn refused(condition: &str, type_: &str) -> String {
    format!(
        "<presence from='coven/thirdwitch' to='hag66/pda' id='n13mt3l' type='error'><x xmlns='http://jabber.org/protocol/muc'/>\
         <error by='coven' type='{type_}'><{condition}/></error></presence>"
    )
}

fn own(item: &str, codes: &[u16]) -> String {
    let codes: String = codes.iter().map(|code| format!("<status code='{code}'/>")).collect();
    format!("<presence from='coven/thirdwitch' to='hag66/pda' id='n13mt3l'><x><item {item} jid='hag66/pda'/>{codes}</x></presence>")
}

#[test]
fn s7_2_1_without_a_nickname_nobody_enters() {
    let refused = |to: &str| {
        format!(
            "<presence from='{to}' to='hag66/pda' id='1' type='error'><x xmlns='http://jabber.org/protocol/muc'/>\
             <error by='coven' type='modify'><jid-malformed/></error></presence>"
        )
    };
    let enter = |to: &str| format!("<presence from='hag66/pda' to='{to}' id='1'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    Scene::new().check(&enter("coven"), &[&refused("coven")]);
}

#[test]
fn s7_2_2_the_newcomer_sees_the_others_then_itself_then_the_subject() {
    let mut scene = Scene::new();
    scene.affiliate("wiccarocks", Affiliation::Admin, None);
    scene.affiliate("hag66", Affiliation::Member, None);
    scene.join("crone1/desktop", "firstwitch");
    scene.join("wiccarocks/laptop", "secondwitch");
    scene.join("hecate/broom", "fourthwitch");
    let told_moderator = |to: &str| {
        format!(
            "<presence from='coven/thirdwitch' to='{to}'><x><item affiliation='member' role='participant' jid='hag66/pda'/></x></presence>"
        )
    };
    scene.check(
        &JOIN.replace("id='n13mt3l'><x", "id='n13mt3l'><show>xa</show><x"),
        &[
            &told_moderator("crone1/desktop").replace("<x>", "<show>xa</show><x>"),
            &told_moderator("wiccarocks/laptop").replace("<x>", "<show>xa</show><x>"),
            "<presence from='coven/thirdwitch' to='hecate/broom'><show>xa</show><x><item affiliation='member' role='participant'/></x></presence>",
            "<presence from='coven/firstwitch' to='hag66/pda'><x><item affiliation='owner' role='moderator'/></x></presence>",
            "<presence from='coven/fourthwitch' to='hag66/pda'><x><item affiliation='none' role='participant'/></x></presence>",
            "<presence from='coven/secondwitch' to='hag66/pda'><x><item affiliation='admin' role='moderator'/></x></presence>",
            &own("affiliation='member' role='participant'", &[110]).replace("<x>", "<show>xa</show><x>"),
            "<message from='coven' to='hag66/pda' id='new-4' type='groupchat'><subject></subject></message>",
        ],
    );
}

#[test]
fn s7_2_3_a_non_anonymous_room_shows_real_jids_and_warns() {
    let mut scene = Scene::with_config(|config| config.whois = Whois::Anyone);
    scene.join("hecate/broom", "fourthwitch");
    scene.check(
        JOIN,
        &[
            "<presence from='coven/thirdwitch' to='hecate/broom'><x><item affiliation='none' role='participant' jid='hag66/pda'/></x></presence>",
            "<presence from='coven/fourthwitch' to='hag66/pda'><x><item affiliation='none' role='participant' jid='hecate/broom'/></x></presence>",
            &own("affiliation='none' role='participant'", &[100, 110]),
            &SUBJECT.replace("new-1", "new-2"),
        ],
    );
}

#[test]
fn s7_2_5_passwords() {
    let mut scene = Scene::with_config(|config| config.password = Some("cauldronburn".to_owned()));
    let with = |x: &str| {
        JOIN.replace("<x xmlns='http://jabber.org/protocol/muc'/>", &format!("<x xmlns='http://jabber.org/protocol/muc'>{x}</x>"))
    };
    for x in ["", "<password/>", "<password>cauldron</password>", "<password xmlns='urn:x'>cauldronburn</password>"] {
        scene.check(&with(x), &[&refused("not-authorized", "auth")]);
    }
    let welcome = [&*own("affiliation='none' role='participant'", &[110]), SUBJECT];
    scene.check(&with("<password>cauldronburn</password>"), &welcome);
}

#[test]
fn s7_2_6_s7_2_7_members_only_and_banned() {
    let mut scene = Scene::with_config(|config| config.members_only = true);
    scene.check(JOIN, &[&refused("registration-required", "auth")]);
    scene.affiliate("hag66", Affiliation::Outcast, None);
    scene.check(JOIN, &[&refused("forbidden", "auth")]);
    scene.affiliate("hag66", Affiliation::Member, None);
    scene.check(JOIN, &[&own("affiliation='member' role='participant'", &[110]), SUBJECT]);

    // A domain; its one exception.
    let mut scene = Scene::new();
    scene.affiliate("shakespeare.lit", Affiliation::Outcast, None);
    scene.check(JOIN, &[&refused("forbidden", "auth")]);
    scene.affiliate("hag66", Affiliation::Member, None);
    scene.check(JOIN, &[&own("affiliation='member' role='participant'", &[110]), SUBJECT]);
}

#[test]
fn s7_2_8_nicknames_in_use_and_registered_are_refused() {
    let mut scene = Scene::new();
    scene.join("hecate/broom", "thirdwitch");
    scene.check(JOIN, &[&refused("conflict", "cancel")]);
    scene.affiliate("hecate", Affiliation::Member, Some("hecate"));
    scene.check(&JOIN.replace("coven/thirdwitch", "coven/hecate"), &[&refused("conflict", "cancel").replace("thirdwitch", "hecate")]);
    scene.affiliate("hag66", Affiliation::Member, Some("hag"));
    scene.check(
        &JOIN.replace("coven/thirdwitch", "coven/hag"),
        &[
            "<presence from='coven/hag' to='hecate/broom'><x><item affiliation='member' role='participant'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/pda'><x><item affiliation='none' role='participant'/></x></presence>",
            &own("affiliation='member' role='participant'", &[110]).replace("thirdwitch", "hag"),
            &SUBJECT.replace("new-1", "new-2"),
        ],
    );
}

#[test]
fn s7_2_8_sessions_of_one_account_share_a_nickname() {
    let mut scene = Scene::new();
    scene.join("hecate/broom", "fourthwitch");
    scene.send(&JOIN.replace("<x", "<status>here</status><x")).unwrap();
    // The others know the occupant; the second session gets its presence as it is, with its own real JID.
    scene.check(
        &JOIN.replace("hag66/pda", "hag66/desk").replace("<x", "<status>there</status><x"),
        &[
            "<presence from='coven/fourthwitch' to='hag66/desk'><x><item affiliation='none' role='participant'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/desk' id='n13mt3l'><status>here</status>\
             <x><item affiliation='none' role='participant' jid='hag66/desk'/><status code='110'/></x></presence>",
            "<message from='coven' to='hag66/desk' id='new-3' type='groupchat'><subject></subject></message>",
        ],
    );
    // Whoever says something new speaks for the occupant.
    scene.check(
        "<presence from='hag66/desk' to='coven/thirdwitch' id='2'><status>now</status></presence>",
        &[
            "<presence from='coven/thirdwitch' to='hag66/pda'><status>now</status>\
             <x><item affiliation='none' role='participant' jid='hag66/pda'/><status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/desk' id='2'><status>now</status>\
             <x><item affiliation='none' role='participant' jid='hag66/desk'/><status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hecate/broom'><status>now</status><x><item affiliation='none' role='participant'/></x></presence>",
        ],
    );
    // Not from one in a call (XEP-0272).
    scene.send("<presence from='hag66/desk' to='coven/thirdwitch'><muji xmlns='urn:xmpp:jingle:muji:0'/></presence>").unwrap();
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch' id='3'><show>away</show></presence>",
        &["<presence from='coven/thirdwitch' to='hag66/pda' id='3'><muji xmlns='urn:xmpp:jingle:muji:0'/>\
           <x><item affiliation='none' role='participant' jid='hag66/pda'/><status code='110'/></x></presence>"],
    );
}

#[test]
fn s7_2_9_a_full_room_lets_some_admins_in() {
    let mut scene = Scene::with_config(|config| config.occupants_max = Some(1));
    scene.join("hecate/broom", "fourthwitch");
    scene.join("hecate/cauldron", "fourthwitch");
    let full = refused("service-unavailable", "wait").replace("</error>", "<text xml:lang='en'>the room is full</text></error>");
    scene.check(JOIN, &[&full]);
    scene.limits.occupants = 2;
    scene.room.lasting.config.occupants_max = None;
    scene.check(JOIN, &[&full]);
    scene.join("crone1/desktop", "firstwitch");
    for n in 0..9 {
        scene.affiliate(&format!("admin{n}"), Affiliation::Admin, None);
        scene.join(&format!("admin{n}/a"), &format!("admin{n}"));
    }
    scene.affiliate("hag66", Affiliation::Admin, None);
    scene.check(JOIN, &[&full]);
}

#[test]
fn one_account_has_so_many_sessions_and_presence_so_many_bytes() {
    let mut scene = Scene::new();
    for n in 0..16 {
        scene.join(&format!("hag66/{n}"), &format!("nick{}", n / 2));
    }
    assert_eq!(scene.send(JOIN).unwrap_err().condition.name(), "resource-constraint");
    scene.room.occupants = Default::default();
    let long = |bytes| format!("<status>{}</status><x", "x".repeat(bytes));
    assert_eq!(scene.send(&JOIN.replace("<x", &long(20_000))).unwrap_err().condition.name(), "resource-constraint");
    scene.send(&JOIN.replace("<x", &long(10_000))).unwrap();
    let bytes = scene.room.occupants.presence_bytes();
    assert!((10_000..11_000).contains(&bytes), "{bytes}");
    // Addresses count, too.
    scene.send(&format!("<presence from='hag66/pda' to='coven/{}'><x{}", "n".repeat(900), "/></presence>")).unwrap();
    assert!(scene.room.occupants.presence_bytes() >= 900 + 400);
    scene.send(&format!("<presence from='hag66/pda' to='coven/thirdwitch'>{}/></presence>", long(10_000))).unwrap();
    let update = "<presence from='hag66/pda' to='coven/thirdwitch'><x";
    assert_eq!(
        scene.send(&format!("{}/></presence>", update.replace("<x", &long(20_000)))).unwrap_err().condition.name(),
        "resource-constraint"
    );
    scene.limits.presence_bytes = 1000;
    // What is less than before is always taken.
    scene.send("<presence from='hag66/pda' to='coven/thirdwitch'/>").unwrap();
    assert_eq!(
        scene.send(&JOIN.replace("hag66", "hecate").replace("thirdwitch", "b")).unwrap_err().condition.name(),
        "resource-constraint"
    );
}

#[test]
fn s7_2_10_there_is_no_locked_room_to_ask_anything() {
    let mut scene = Scene::new();
    scene.room.lasting.locked = true;
    for (type_, payload) in [
        ("get", "<query xmlns='jabber:iq:register'/>"),
        ("set", "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'/></query>"),
        ("get", "<vCard xmlns='vcard-temp'/>"),
        ("set", "<vCard xmlns='vcard-temp'/>"),
        ("get", "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner'/></query>"),
        ("get", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"),
        ("set", "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:list'/>"),
        ("set", "<moderate xmlns='urn:xmpp:message-moderate:1' id='1'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>"),
        ("get", "<query xmlns='urn:example'/>"),
    ] {
        let asked = |from: &str| format!("<iq type='{type_}' id='1' from='{from}/pda' to='coven'>{payload}</iq>");
        assert_eq!(scene.send(&asked("hag66")).unwrap_err().condition.name(), "item-not-found", "{payload}");
        let owner = scene.send(&asked("crone1")).map_err(|error| error.condition.name());
        assert!(owner.is_ok() || !payload.contains("muc#"), "{payload}: {owner:?}");
    }
}

#[test]
fn s7_2_10_a_locked_room_is_its_owners() {
    let mut scene = Scene::with_config(|config| config.archived = true);
    scene.room.lasting.locked = true;
    scene.check(JOIN, &[&refused("item-not-found", "cancel")]);
    scene.check(
        &JOIN.replace("hag66", "crone1"),
        &[&own("affiliation='owner' role='moderator'", &[110, 170, 201]).replace("hag66", "crone1"), &SUBJECT.replace("hag66", "crone1")],
    );
    // §17.2, rule 3.
    let message = "<message from='crone1/pda' to='coven' type='groupchat'><body>hi</body></message>";
    assert_eq!(scene.send(message).unwrap_err().condition.name(), "item-not-found");
    // §10.1.1: never configured, it is gone with its owner, though it were to persist.
    scene.join("crone1/desk", "thirdwitch");
    let out = scene.send("<presence from='crone1/desk' to='coven/thirdwitch' type='unavailable'/>").unwrap();
    assert!(!out.over && !shown(&out)[0].contains("destroy"));
    // §10.1.3, last: it says so.
    let out = scene.send("<presence from='crone1/pda' to='coven/thirdwitch' type='unavailable'/>").unwrap();
    assert!(out.over);
    assert_eq!(
        shown(&out),
        ["<presence from='coven/thirdwitch' to='crone1/pda' type='unavailable'>\
          <x><item affiliation='none' role='none' jid='crone1/pda'/><destroy/><status code='110'/></x></presence>"]
    );
}

#[test]
fn s5_1_2_roles_of_newcomers() {
    for (moderated, voice_by_default, affiliation, role) in [
        (false, false, Affiliation::None, Role::Participant),
        (true, false, Affiliation::None, Role::Visitor),
        (true, true, Affiliation::None, Role::Participant),
        (true, false, Affiliation::Member, Role::Participant),
        (true, false, Affiliation::Admin, Role::Moderator),
        (false, false, Affiliation::Owner, Role::Moderator),
    ] {
        let mut scene = Scene::with_config(|config| (config.moderated, config.voice_by_default) = (moderated, voice_by_default));
        scene.affiliate("hag66", affiliation, None);
        scene.join("hag66/pda", "thirdwitch");
        assert_eq!(scene.room.occupant("thirdwitch").unwrap().role, role);
    }
    let mut scene = Scene::with_config(|config| config.members_only = true);
    scene.administers = true;
    scene.join("hag66/pda", "thirdwitch");
    assert_eq!(scene.room.occupant("thirdwitch").unwrap().affiliation, Affiliation::Owner);
    assert_eq!(scene.room.lasting.affiliations.len(), 1, "nothing is stored of it: {:?}", bare("hag66"));
}

#[test]
fn s7_2_18_presence_of_strangers_is_answered_by_a_kick() {
    let mut scene = Scene::new();
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch' id='ng91xs69'/>",
        &["<presence from='coven/thirdwitch' to='hag66/pda' type='unavailable'><x><item affiliation='none' role='none'>\
           <reason>You are not in the room.</reason></item><status code='110'/><status code='307'/><status code='333'/></x></presence>"],
    );
    // §17.3, rules 1, 2 and 5.
    for type_ in ["unavailable", "probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "error"] {
        scene.check(&format!("<presence from='hag66/pda' to='coven/thirdwitch' type='{type_}'/>"), &[]);
    }
    scene.join("hag66/pda", "thirdwitch");
    for type_ in ["probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        scene.check(&format!("<presence from='hag66/pda' to='coven/thirdwitch' type='{type_}'/>"), &[]);
    }
}

#[test]
fn s17_3_who_enters_twice_gets_everything_again() {
    let mut scene = Scene::new();
    scene.join("hecate/broom", "fourthwitch");
    scene.send(JOIN).unwrap();
    let fourth = "<presence from='coven/fourthwitch' to='hag66/pda'><x><item affiliation='none' role='participant'/></x></presence>";
    let me = own("affiliation='none' role='participant'", &[110]);
    scene.check(JOIN, &[fourth, &me, &SUBJECT.replace("new-1", "new-3")]);
    // Other presence is for the others, too.
    scene.check(
        &JOIN.replace("<x", "<show>dnd</show><x"),
        &[
            "<presence from='coven/thirdwitch' to='hecate/broom'><show>dnd</show><x><item affiliation='none' role='participant'/></x></presence>",
            fourth,
            &me.replace("<x>", "<show>dnd</show><x>"),
            &SUBJECT.replace("new-1", "new-4"),
        ],
    );
}

#[test]
fn s17_3_only_the_room_speaks_of_roles_hats_and_identifiers() {
    let mut scene = Scene::new();
    let forged = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>\
                  <hats xmlns='urn:xmpp:hats:0'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>";
    scene.check(
        &JOIN.replace("<x", &format!("{forged}<p:c xmlns:p='urn:p'>kept</p:c><x")),
        &[&own("affiliation='none' role='participant'", &[110]).replace("<x>", "<p:c xmlns:p='urn:p'>kept</p:c><x>"), SUBJECT],
    );
}

#[test]
fn s7_7_presence_of_visitors_and_of_hidden_roles() {
    let mut scene = Scene::with_config(|config| {
        config.moderated = true;
        config.allow_visitor_status = false;
    });
    scene.join("crone1/desktop", "firstwitch");
    scene.join("hecate/broom", "fourthwitch");
    scene.send(JOIN).unwrap();
    let update = "<presence from='hag66/pda' to='coven/thirdwitch' id='kr7v143h'><show>xa</show><status>gone</status></presence>";
    let hidden_status = [
        "<presence from='coven/thirdwitch' to='hag66/pda' id='kr7v143h'><show>xa</show>\
         <x><item affiliation='none' role='visitor' jid='hag66/pda'/><status code='110'/></x></presence>",
        "<presence from='coven/thirdwitch' to='crone1/desktop'><show>xa</show>\
         <x><item affiliation='none' role='visitor' jid='hag66/pda'/></x></presence>",
        "<presence from='coven/thirdwitch' to='hecate/broom'><show>xa</show><x><item affiliation='none' role='visitor'/></x></presence>",
    ];
    scene.check(update, &hidden_status);
    // `muc#roomconfig_presencebroadcast`.
    let before = scene.room.lasting.config.broadcast.clone();
    scene.room.lasting.config.broadcast.remove(&Role::Visitor);
    let ((), out) = scene.act(|room, context, out| room.configured(&before, context, out));
    assert_eq!(
        shown(&out),
        [
            "<presence from='coven/fourthwitch' to='hag66/pda' type='unavailable'><x><item affiliation='none' role='none'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hecate/broom' type='unavailable'><x><item affiliation='none' role='none'/></x></presence>",
        ]
    );
    scene.check(update, &hidden_status[..2]);
    scene.check(
        &JOIN.replace("hag66/pda", "aldo/a").replace("thirdwitch", "fifth"),
        &[
            "<presence from='coven/fifth' to='crone1/desktop'><x><item affiliation='none' role='visitor' jid='aldo/a'/></x></presence>",
            "<presence from='coven/firstwitch' to='aldo/a'><x><item affiliation='owner' role='moderator'/></x></presence>",
            "<presence from='coven/fifth' to='aldo/a' id='n13mt3l'><x><item affiliation='none' role='visitor' jid='aldo/a'/>\
             <status code='110'/></x></presence>",
            "<message from='coven' to='aldo/a' id='new-4' type='groupchat'><subject></subject></message>",
        ],
    );
}
