//! XEP-0045 §8.2–§8.5, §9.1–§9.8, §10.3–§10.8: what is asked, what everyone is told, and what is refused as a whole.

use super::*;
use crate::muc::change::Change;
use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, shown};

/// Owner `crone1` is there as firstwitch, admin `wiccarocks` as secondwitch, member `hag66` as thirdwitch and `hecate`, who is nothing, as fourthwitch.
fn coven() -> Scene {
    let mut scene = Scene::new();
    scene.affiliate("wiccarocks", Affiliation::Admin, None);
    scene.affiliate("hag66", Affiliation::Member, None);
    for (from, nick) in [
        ("crone1/desktop", "firstwitch"),
        ("wiccarocks/laptop", "secondwitch"),
        ("hag66/pda", "thirdwitch"),
        ("hecate/broom", "fourthwitch"),
    ] {
        scene.join(from, nick);
    }
    scene
}

fn request(scene: &mut Scene, type_: &str, from: &str, items: &str) -> Result<Outcome, String> {
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>");
    let result = scene.send(&format!("<iq type='{type_}' id='1' from='{from}' to='coven'>{query}</iq>"));
    result.map_err(|error| format!("{} {}", error.type_.name(), error.condition))
}

/// What is sent for these items.
#[track_caller]
fn set(scene: &mut Scene, from: &str, items: &str) -> Vec<String> {
    let out = request(scene, "set", from, items).unwrap();
    assert!(out.reply.is_empty() && !out.over);
    shown(&out)
}

#[track_caller]
fn refused(scene: &mut Scene, from: &str, items: &str, expected: &str) {
    assert_eq!(request(scene, "set", from, items).map(|out| shown(&out)), Err(expected.to_owned()), "{from}: {items}");
}

/// The items of a list.
#[track_caller]
fn list(scene: &mut Scene, from: &str, item: &str) -> String {
    let out = request(scene, "get", from, item).unwrap();
    assert!(out.changes.is_empty() && out.effects.is_empty());
    let reply = String::from_utf8(out.reply.to_vec()).unwrap().replace("@shakespeare.lit", "");
    let items = reply.strip_prefix("<query xmlns='http://jabber.org/protocol/muc#admin'");
    items.unwrap().trim_start_matches(['/', '>']).trim_end_matches("</query>").to_owned()
}

fn affiliation(scene: &Scene, of: &str) -> Affiliation {
    scene.room.affiliation_of(&bare(of))
}

#[test]
fn s8_2_examples_89_to_92_kicking() {
    let mut scene = coven();
    let sent = set(&mut scene, "wiccarocks/laptop", "<item nick='fourthwitch' role='none'><reason>Avaunt, you cullion!</reason></item>");
    let said = |to: &str, jid: &str, own: &str| {
        format!(
            "<presence from='coven/fourthwitch' to='{to}' type='unavailable'><x><item affiliation='none' role='none'{jid}>\
             <actor nick='secondwitch'/><reason>Avaunt, you cullion!</reason></item>{own}<status code='307'/></x></presence>"
        )
    };
    let jid = " jid='hecate/broom'";
    assert_eq!(sent[0], said("hecate/broom", jid, "<status code='110'/>"), "whoever is kicked is told first");
    assert_eq!(sent.len(), 4);
    assert!(sent.contains(&said("crone1/desktop", jid, "")) && sent.contains(&said("hag66/pda", "", "")));
    assert!(scene.room.occupant("fourthwitch").is_none());
}

#[test]
fn s8_2_example_93_whom_a_moderator_may_not_kick() {
    let mut scene = coven();
    set(&mut scene, "crone1/desktop", "<item nick='fourthwitch' role='moderator'/>");
    for nick in ["firstwitch", "secondwitch", "thirdwitch"] {
        refused(&mut scene, "hecate/broom", &format!("<item nick='{nick}' role='none'/>"), "cancel not-allowed");
    }
    refused(&mut scene, "hag66/pda", "<item nick='fourthwitch' role='none'/>", "auth forbidden");
    refused(&mut scene, "hag66/pda", "<item nick='nobody' role='none'/>", "auth forbidden");
    refused(&mut scene, "stranger@elsewhere.lit/x", "<item nick='fourthwitch' role='none'/>", "auth forbidden");
    refused(&mut scene, "hecate/broom", "<item nick='fifthwitch' role='none'/>", "cancel item-not-found");
    // It may be sorry.
    assert_eq!(set(&mut scene, "hecate/broom", "<item nick='fourthwitch' role='none'/>").len(), 4);
}

#[test]
fn s8_3_s8_4_examples_94_to_102_voice() {
    let mut scene = coven();
    let sent = set(&mut scene, "crone1/desktop", "<item nick='thirdwitch' role='visitor'><reason>Not so worthy after all!</reason></item>");
    let expected = "<presence from='coven/thirdwitch' to='crone1/desktop'><x><item affiliation='member' role='visitor' jid='hag66/pda'>\
                    <actor nick='firstwitch'/><reason>Not so worthy after all!</reason></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    assert_eq!(sent.len(), 4);
    set(&mut scene, "wiccarocks/laptop", "<item nick='thirdwitch' role='participant'><reason>A worthy witch indeed!</reason></item>");
    assert_eq!(scene.room.occupant("thirdwitch").unwrap().role, Role::Participant);
    for nick in ["firstwitch", "secondwitch"] {
        refused(&mut scene, "crone1/desktop", &format!("<item nick='{nick}' role='visitor'/>"), "cancel not-allowed");
    }
    // Nothing changes: nobody is told.
    assert_eq!(set(&mut scene, "crone1/desktop", "<item nick='thirdwitch' role='participant'/>"), [""; 0]);
}

#[test]
fn s8_5_examples_103_to_107_the_voice_list() {
    let mut scene = coven();
    let expected = "<item affiliation='none' jid='hecate/broom' nick='fourthwitch' role='participant'/>\
                    <item affiliation='member' jid='hag66/pda' nick='thirdwitch' role='participant'/>";
    assert_eq!(list(&mut scene, "crone1/desktop", "<item role='participant'/>"), expected);
    let items = "<item nick='fourthwitch' role='visitor'/><item nick='thirdwitch' role='visitor'><reason>A worthy fellow.</reason></item>";
    assert_eq!(set(&mut scene, "crone1/desktop", items).len(), 8);
    assert!(list(&mut scene, "crone1/desktop", "<item role='visitor'/>").contains("fourthwitch"));
    assert_eq!(list(&mut scene, "crone1/desktop", "<item role='participant'/>"), "");
    // All or nothing; the error names the one.
    let items = "<item nick='fourthwitch' role='participant'/><item nick='firstwitch' role='visitor'/>";
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>");
    let error = scene.send(&format!("<iq type='set' id='voicetest' from='wiccarocks/laptop' to='coven'>{query}</iq>")).unwrap_err();
    assert_eq!(error.condition, crate::stanza::Condition::NotAllowed);
    let payload = error.payload.unwrap();
    assert_eq!(&payload[..], b"<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='firstwitch' role='visitor'/></query>");
    assert_eq!(scene.room.occupant("fourthwitch").unwrap().role, Role::Visitor);
    for who in ["hag66/pda", "hecate/broom", "stranger@elsewhere.lit/x"] {
        assert_eq!(request(&mut scene, "get", who, "<item role='visitor'/>").map(|_| ()), Err("auth forbidden".to_owned()));
    }
}

#[test]
fn s9_1_examples_110_to_115_banning() {
    let mut scene = coven();
    scene.affiliate("hag66", Affiliation::Member, Some("thirdwitch"));
    let sent =
        set(&mut scene, "wiccarocks/laptop", "<item affiliation='outcast' jid='hag66@shakespeare.lit'><reason>Treason</reason></item>");
    let gone = |to: &str, own: &str| {
        format!(
            "<presence from='coven/thirdwitch' to='{to}' type='unavailable'><x><item affiliation='outcast' role='none' jid='hag66/pda'>\
             <actor nick='secondwitch'/><reason>Treason</reason></item>{own}<status code='301'/></x></presence>"
        )
    };
    assert_eq!(sent[0], gone("hag66/pda", "<status code='110'/>"));
    assert!(sent.contains(&gone("crone1/desktop", "")));
    assert_eq!(sent.len(), 4);
    let entry = &scene.room.lasting.affiliations[&bare("hag66")];
    assert_eq!((entry.affiliation, &entry.nick), (Affiliation::Outcast, &None), "an outcast has no nickname");
    assert_eq!(
        list(&mut scene, "wiccarocks/laptop", "<item affiliation='outcast'/>"),
        "<item affiliation='outcast' jid='hag66'><reason>Treason</reason></item>"
    );
    // Example 115; who bans itself; who may not.
    refused(&mut scene, "wiccarocks/laptop", "<item affiliation='outcast' jid='crone1@shakespeare.lit'/>", "cancel not-allowed");
    refused(&mut scene, "wiccarocks/laptop", "<item affiliation='outcast' jid='wiccarocks@shakespeare.lit'/>", "cancel conflict");
    refused(&mut scene, "crone1/desktop", "<item affiliation='outcast' jid='crone1@shakespeare.lit/desktop'/>", "cancel conflict");
    refused(&mut scene, "hecate/broom", "<item affiliation='outcast' jid='x@shakespeare.lit'/>", "auth forbidden");
}

#[test]
fn s9_2_examples_116_to_119_the_ban_list_and_domains() {
    let mut scene = coven();
    let items = "<item affiliation='outcast' jid='lordscroop@shakespeare.lit'><reason>Treason</reason></item>\
                 <item affiliation='outcast' jid='shakespeare.lit'/>";
    let sent = set(&mut scene, "crone1/desktop", items);
    // Owner, admin and member are known by their own addresses; who was nothing is banned with its domain.
    assert!(scene.room.occupant("fourthwitch").is_none() && scene.room.occupant("thirdwitch").is_some());
    assert_eq!(sent.iter().filter(|sent| sent.contains("<status code='301'/>")).count(), 4);
    assert_eq!(affiliation(&scene, "anybody"), Affiliation::Outcast);
    set(
        &mut scene,
        "crone1/desktop",
        "<item affiliation='none' jid='shakespeare.lit'/><item affiliation='none' jid='lordscroop@shakespeare.lit'/>",
    );
    assert_eq!(affiliation(&scene, "anybody"), Affiliation::None);
    refused(&mut scene, "crone1/desktop", "<item affiliation='member' jid='shakespeare.lit'/>", "modify not-acceptable");
    // One that may not be banned: nobody is.
    let items = "<item affiliation='outcast' jid='lordscroop@shakespeare.lit'/><item affiliation='outcast' jid='crone1@shakespeare.lit'/>";
    refused(&mut scene, "wiccarocks/laptop", items, "cancel not-allowed");
    assert_eq!(affiliation(&scene, "lordscroop"), Affiliation::None);
}

#[test]
fn s9_3_examples_120_to_123_membership_with_a_nickname() {
    let mut scene = coven();
    let item = "<item affiliation='member' jid='hecate@shakespeare.lit' nick='weird sister'><reason>A worthy witch indeed!</reason></item>";
    let sent = set(&mut scene, "crone1/desktop", item);
    let expected = "<presence from='coven/fourthwitch' to='crone1/desktop'><x><item affiliation='member' role='participant' jid='hecate/broom'>\
                    <actor nick='firstwitch'/><reason>A worthy witch indeed!</reason></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    assert_eq!(scene.room.lasting.affiliations[&bare("hecate")].nick.as_deref(), Some("weird sister"));
    // §9.5: an empty one takes it away.
    set(&mut scene, "crone1/desktop", "<item affiliation='member' jid='hecate@shakespeare.lit' nick=''/>");
    assert_eq!(scene.room.lasting.affiliations[&bare("hecate")].nick, None);
    // Nicknames of others, used or reserved, here or twice in one request.
    scene.affiliate("lear", Affiliation::Member, Some("king"));
    for nick in ["king", "thirdwitch"] {
        let item = format!("<item affiliation='member' jid='hecate@shakespeare.lit' nick='{nick}'/>");
        refused(&mut scene, "crone1/desktop", &item, "cancel conflict");
    }
    let items = "<item affiliation='member' jid='a@b.lit' nick='x'/><item affiliation='member' jid='c@d.lit' nick='x'/>";
    refused(&mut scene, "crone1/desktop", items, "cancel conflict");
}

#[test]
fn s9_4_examples_124_to_128_membership_ends() {
    let mut scene = coven();
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='hag66@shakespeare.lit'/>");
    assert!(
        sent.iter().all(|sent| sent.contains("<item affiliation='none' role='participant'") && !sent.contains("unavailable")),
        "{sent:#?}"
    );
    let mut scene = coven();
    scene.affiliate("hecate", Affiliation::Member, None);
    scene.room.lasting.config.members_only = true;
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='hag66@shakespeare.lit'/>");
    assert!(sent.iter().all(|sent| sent.contains("type='unavailable'") && sent.contains("<status code='321'/>")), "{sent:#?}");
    assert_eq!(sent.len(), 4);
}

#[test]
fn s9_5_examples_129_to_134_the_member_list() {
    let mut scene = coven();
    scene.affiliate("lear", Affiliation::Member, Some("king"));
    let expected =
        "<item affiliation='member' jid='hag66' nick='thirdwitch' role='participant'/><item affiliation='member' jid='lear' nick='king'/>";
    assert_eq!(list(&mut scene, "wiccarocks/laptop", "<item affiliation='member'/>"), expected);
    // In a non-anonymous room, members may read it, those who are not there, too.
    let forbidden = Err("auth forbidden".to_owned());
    assert_eq!(request(&mut scene, "get", "hag66/pda", "<item affiliation='member'/>").map(|_| ()), forbidden);
    scene.room.lasting.config.whois = Whois::Anyone;
    for who in ["hag66/pda", "lear/crown"] {
        assert_eq!(list(&mut scene, who, "<item affiliation='member'/>"), expected);
        assert_eq!(
            list(&mut scene, who, "<item affiliation='owner'/>"),
            "<item affiliation='owner' jid='crone1' nick='firstwitch' role='moderator'/>"
        );
    }
    assert_eq!(request(&mut scene, "get", "hecate/broom", "<item affiliation='member'/>").map(|_| ()), forbidden);
    // A delta in a members-only room: who is new is invited.
    scene.room.lasting.config.members_only = true;
    scene.room.lasting.config.password = Some("cauldronburn".to_owned());
    let items = "<item affiliation='none' jid='lear@shakespeare.lit'/><item affiliation='member' jid='macbeth@shakespeare.lit'/>";
    let sent = set(&mut scene, "crone1/desktop", items);
    let invitations: Vec<_> = sent.iter().filter(|sent| sent.contains("<invite")).collect();
    let [invitation] = &invitations[..] else { panic!("{sent:#?}") };
    assert!(invitation.starts_with("<message from='coven' to='macbeth'"), "{invitation}");
    assert!(invitation.ends_with("><x><invite from='crone1'/><password>cauldronburn</password></x></message>"), "{invitation}");
    assert_eq!((affiliation(&scene, "lear"), affiliation(&scene, "macbeth")), (Affiliation::None, Affiliation::Member));
}

#[test]
fn s9_6_s9_7_s9_8_examples_137_to_150_moderators() {
    let mut scene = coven();
    let sent = set(&mut scene, "wiccarocks/laptop", "<item nick='thirdwitch' role='moderator'/>");
    let expected = "<presence from='coven/thirdwitch' to='crone1/desktop'><x><item affiliation='member' role='moderator' jid='hag66/pda'>\
                    <actor nick='secondwitch'/></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    let moderators = list(&mut scene, "wiccarocks/laptop", "<item role='moderator'/>");
    assert!(moderators.contains("<item affiliation='member' jid='hag66/pda' nick='thirdwitch' role='moderator'/>"));
    assert_eq!(request(&mut scene, "get", "hag66/pda", "<item role='moderator'/>").map(|_| ()), Err("auth forbidden".to_owned()));
    refused(&mut scene, "hag66/pda", "<item nick='fourthwitch' role='moderator'/>", "auth forbidden");
    let items = "<item nick='thirdwitch' role='participant'/><item nick='fourthwitch' role='moderator'/>";
    set(&mut scene, "wiccarocks/laptop", items);
    let role = |scene: &Scene, nick: &str| scene.room.occupant(nick).unwrap().role;
    assert_eq!((role(&scene, "thirdwitch"), role(&scene, "fourthwitch")), (Role::Participant, Role::Moderator));
    for nick in ["firstwitch", "secondwitch"] {
        refused(&mut scene, "wiccarocks/laptop", &format!("<item nick='{nick}' role='participant'/>"), "cancel not-allowed");
    }
}

#[test]
fn s10_3_to_s10_5_examples_172_to_185_owners() {
    let mut scene = coven();
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='owner' jid='hecate@shakespeare.lit/broom'/>");
    let expected = "<presence from='coven/fourthwitch' to='crone1/desktop'><x><item affiliation='owner' role='moderator' jid='hecate/broom'>\
                    <actor nick='firstwitch'/></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    assert_eq!(affiliation(&scene, "hecate"), Affiliation::Owner, "§10.3: the bare JID counts");
    let expected = "<item affiliation='owner' jid='crone1' nick='firstwitch' role='moderator'/>\
                    <item affiliation='owner' jid='hecate' nick='fourthwitch' role='moderator'/>";
    assert_eq!(list(&mut scene, "crone1/desktop", "<item affiliation='owner'/>"), expected);
    for item in ["<item affiliation='owner' jid='hag66@shakespeare.lit'/>", "<item affiliation='admin' jid='crone1@shakespeare.lit'/>"] {
        refused(&mut scene, "wiccarocks/laptop", item, "auth forbidden");
    }
    assert_eq!(
        request(&mut scene, "get", "wiccarocks/laptop", "<item affiliation='owner'/>").map(|_| ()),
        Err("auth forbidden".to_owned())
    );
    // There are two: one may go; the last one may not, unless another one comes.
    set(&mut scene, "crone1/desktop", "<item affiliation='admin' jid='crone1@shakespeare.lit'/>");
    assert_eq!((affiliation(&scene, "crone1"), scene.room.occupant("firstwitch").unwrap().role), (Affiliation::Admin, Role::Moderator));
    for to in ["admin", "member", "none"] {
        let item = format!("<item affiliation='{to}' jid='hecate@shakespeare.lit'/>");
        refused(&mut scene, "hecate/broom", &item, "cancel conflict");
    }
    let items = "<item affiliation='none' jid='hecate@shakespeare.lit'/><item affiliation='owner' jid='hag66@shakespeare.lit'/>";
    set(&mut scene, "hecate/broom", items);
    assert_eq!((affiliation(&scene, "hecate"), affiliation(&scene, "hag66")), (Affiliation::None, Affiliation::Owner));
    // Administrators of the server are owners everywhere, and leave no room without one either.
    scene.administers = true;
    let items = "<item affiliation='outcast' jid='hag66@shakespeare.lit'/>";
    refused(&mut scene, "root@shakespeare.lit/x", items, "cancel conflict");
    set(&mut scene, "root@shakespeare.lit/x", "<item affiliation='owner' jid='lear@shakespeare.lit'/>");
}

#[test]
fn s10_6_to_s10_8_examples_186_to_200_admins() {
    let mut scene = coven();
    set(
        &mut scene,
        "crone1/desktop",
        "<item affiliation='admin' jid='hecate@shakespeare.lit'/><item affiliation='admin' jid='lear@shakespeare.lit'/>",
    );
    let expected = "<item affiliation='admin' jid='hecate' nick='fourthwitch' role='moderator'/><item affiliation='admin' jid='lear'/>\
                    <item affiliation='admin' jid='wiccarocks' nick='secondwitch' role='moderator'/>";
    assert_eq!(list(&mut scene, "crone1/desktop", "<item affiliation='admin'/>"), expected);
    assert_eq!(
        request(&mut scene, "get", "wiccarocks/laptop", "<item affiliation='admin'/>").map(|_| ()),
        Err("auth forbidden".to_owned())
    );
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='hecate@shakespeare.lit'/>");
    assert!(sent.iter().any(|sent| sent.contains("to='hag66/pda'") && sent.contains("affiliation='none' role='participant'")), "{sent:#?}");
    for item in ["<item affiliation='none' jid='lear@shakespeare.lit'/>", "<item affiliation='admin' jid='hag66@shakespeare.lit'/>"] {
        refused(&mut scene, "wiccarocks/laptop", item, "auth forbidden");
    }
    refused(&mut scene, "wiccarocks/laptop", "<item affiliation='outcast' jid='lear@shakespeare.lit'/>", "cancel not-allowed");
}

#[test]
fn items_that_are_none() {
    let mut scene = coven();
    for (items, expected) in [
        ("", "modify bad-request"),
        ("<item/>", "modify bad-request"),
        ("<item affiliation='member'/>", "modify bad-request"),
        ("<item role='visitor'/>", "modify bad-request"),
        ("<item affiliation='king' jid='a@b.lit'/>", "modify bad-request"),
        ("<item role='king' nick='thirdwitch'/>", "modify bad-request"),
        ("<item affiliation='member' role='visitor' jid='a@b.lit' nick='thirdwitch'/>", "modify bad-request"),
        ("<item affiliation='member' jid='@'/>", "modify jid-malformed"),
        ("<item affiliation='member' jid='a@b.lit' nick='&#x200B;'/>", "modify jid-malformed"),
        ("<item role='visitor' nick=''/>", "modify jid-malformed"),
        ("<item affiliation='member' nick='fifthwitch'/>", "cancel item-not-found"),
        ("<item affiliation='member' jid='coven@chat.shakespeare.lit'/>", "cancel item-not-found"),
        ("<item affiliation='member' jid='a@b.lit'/><item affiliation='none' jid='a@b.lit/c'/>", "modify bad-request"),
        ("<item role='visitor' nick='thirdwitch'/><item role='participant' nick='thirdwitch'/>", "modify bad-request"),
    ] {
        refused(&mut scene, "crone1/desktop", items, expected);
    }
    let long = format!("<item affiliation='member' jid='a@b.lit'><reason>{}</reason></item>", "x".repeat(5000));
    refused(&mut scene, "crone1/desktop", &long, "modify policy-violation");
    for get in ["<item role='none'/>", "<item role='visitor'/><item role='moderator'/>"] {
        assert_eq!(request(&mut scene, "get", "crone1/desktop", get).map(|_| ()), Err("modify bad-request".to_owned()));
    }
}

#[test]
fn occupants_are_meant_by_what_they_are_called_here() {
    let mut scene = coven();
    // As some clients write it: an occupant JID, a nickname for an affiliation, an address for a role.
    for item in [
        "<item affiliation='admin' jid='coven@chat.shakespeare.lit/fourthwitch'/>",
        "<item affiliation='member' nick='fourthwitch'/>",
        "<item role='moderator' jid='hecate@shakespeare.lit/broom'/>",
        "<item role='participant' jid='coven@chat.shakespeare.lit/fourthwitch'/>",
    ] {
        set(&mut scene, "crone1/desktop", item);
    }
    let occupant = scene.room.occupant("fourthwitch").unwrap();
    assert_eq!((occupant.affiliation, occupant.role), (Affiliation::Member, Role::Participant));
}

#[test]
fn lists_have_a_bound() {
    let mut scene = coven();
    scene.limits.affiliations = 4;
    let two = "<item affiliation='member' jid='a@b.lit'/><item affiliation='member' jid='c@b.lit'/>";
    refused(&mut scene, "crone1/desktop", two, "wait resource-constraint");
    set(&mut scene, "crone1/desktop", "<item affiliation='member' jid='a@b.lit'/>");
    refused(&mut scene, "crone1/desktop", "<item affiliation='member' jid='c@b.lit'/>", "wait resource-constraint");
    // One goes, one comes; who is there can change.
    set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='a@b.lit'/><item affiliation='member' jid='c@b.lit'/>");
    set(&mut scene, "crone1/desktop", "<item affiliation='admin' jid='c@b.lit'/>");
}

#[test]
fn s9_2_reasons_are_left_out_of_a_list_that_becomes_too_long() {
    let mut scene = coven();
    let reason = "x".repeat(4000);
    for number in 0..40 {
        let entry = crate::muc::model::Affiliated { affiliation: Affiliation::Outcast, nick: None, reason: Some(reason.clone()) };
        scene.room.lasting.affiliations.insert(bare(&format!("outcast{number}")), entry);
    }
    let outcasts = list(&mut scene, "crone1/desktop", "<item affiliation='outcast'/>");
    assert_eq!((outcasts.matches("<item").count(), outcasts.matches("<reason>").count()), (40, 16));
}

#[test]
fn what_is_stored_is_what_is_asked() {
    let mut scene = coven();
    let out =
        request(&mut scene, "set", "crone1/desktop", "<item affiliation='admin' jid='hag66@shakespeare.lit'><reason>so</reason></item>")
            .unwrap();
    let [Change::Affiliate(jid, Some(entry))] = &out.changes[..] else { panic!("{:?}", out.changes) };
    assert_eq!((jid, entry.affiliation, entry.reason.as_deref()), (&bare("hag66"), Affiliation::Admin, Some("so")));
    assert_eq!(request(&mut scene, "set", "crone1/desktop", "<item nick='fourthwitch' role='visitor'/>").unwrap().changes, []);
}
