//! What is asked, what everyone is told, and what is refused as a whole.

mod affiliations;
mod roles;

use super::*;
use crate::muc::change::Change;
use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, shown};

fn request(scene: &mut Scene, type_: &str, from: &str, items: &str) -> Result<Outcome, String> {
    scene.query(type_, from, ns::MUC_ADMIN, items)
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
fn items_that_are_none() {
    let mut scene = Scene::of_four();
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
    let many: String = (0..201).map(|n| format!("<item affiliation='member' jid='{n}@b.lit'/>")).collect();
    refused(&mut scene, "crone1/desktop", &many, "modify policy-violation");
    for get in ["<item role='none'/>", "<item role='visitor'/><item role='moderator'/>"] {
        assert_eq!(request(&mut scene, "get", "crone1/desktop", get).map(|_| ()), Err("modify bad-request".to_owned()));
    }
}

#[test]
fn occupants_are_meant_by_what_they_are_called_here() {
    let mut scene = Scene::of_four();
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

/// A stanza that may store something is decided on a copy: neither copying nor refusing it costs what the lists do.
#[test]
fn lists_are_copied_by_those_only_who_change_them() {
    let mut scene = Scene::of_four();
    for (from, items, shared) in [
        ("macbeth/throne", "<item affiliation='owner' jid='macbeth@shakespeare.lit'/>", true),
        ("hecate/broom", "<item affiliation='member' jid='hecate@shakespeare.lit'/>", true),
        ("hecate/broom", "<item role='none' nick='thirdwitch'/>", true),
        ("crone1/desktop", "<item role='visitor' nick='fourthwitch'/>", true),
        ("crone1/desktop", "<item affiliation='member' jid='hecate@shakespeare.lit'/>", false),
    ] {
        let before = scene.room.clone();
        _ = request(&mut scene, "set", from, items);
        let (was, is) = (&before.lasting, &scene.room.lasting);
        assert_eq!(was.affiliations.shares_with(&is.affiliations), shared, "{from}: {items}");
        assert!(std::sync::Arc::ptr_eq(&was.hats, &is.hats));
    }
}

#[test]
fn lists_have_a_bound() {
    let mut scene = Scene::of_four();
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
fn s8_4_the_item_that_is_too_much_comes_back() {
    let mut scene = Scene::of_four();
    scene.limits.affiliations = 4;
    let new = |name: &str| format!("<item affiliation='member' jid='{name}@b.lit'/>");
    let (hag, crone) =
        ("<item affiliation='admin' jid='hag66@shakespeare.lit'/>", "<item affiliation='admin' jid='crone1@shakespeare.lit'/>");
    for (items, offending) in [
        ([new("a"), new("c"), hag.to_owned()], 1),
        ([hag.to_owned(), new("a"), new("c")], 2),
        ([new("a"), crone.to_owned(), hag.to_owned()], 1),
    ] {
        let query = format!("<query xmlns='{}'>{}</query>", ns::MUC_ADMIN, items.concat());
        let error = scene.send(&format!("<iq type='set' id='1' from='crone1/desktop' to='coven'>{query}</iq>")).unwrap_err();
        let expected = format!("<query xmlns='{}'>{}</query>", ns::MUC_ADMIN, items[offending]);
        let names = |text: &str| text.contains(expected.split("jid=").nth(1).unwrap());
        assert!(error.payload.as_ref().is_some_and(|payload| names(&String::from_utf8_lossy(payload))), "{query}: {:?}", error.payload);
    }
}

#[test]
fn lists_have_a_bound_in_bytes() {
    let mut scene = Scene::of_four();
    scene.limits.affiliation_bytes = 1_000;
    let with = |jid: &str, reason: usize| format!("<item affiliation='member' jid='{jid}'><reason>{}</reason></item>", "x".repeat(reason));
    refused(&mut scene, "crone1/desktop", &with("a@b.lit", 900), "wait resource-constraint");
    refused(&mut scene, "crone1/desktop", &with("hag66@shakespeare.lit", 900), "wait resource-constraint");
    set(&mut scene, "crone1/desktop", &with("a@b.lit", 500));
    refused(&mut scene, "crone1/desktop", &with("c@b.lit", 500), "wait resource-constraint");
    // One that is shorter, and another in its place.
    set(&mut scene, "crone1/desktop", &with("a@b.lit", 400));
    set(&mut scene, "crone1/desktop", &format!("<item affiliation='none' jid='a@b.lit'/>{}", with("c@b.lit", 500)));
    // What is too much already may become less.
    scene.limits.affiliation_bytes = 100;
    refused(&mut scene, "crone1/desktop", &with("c@b.lit", 501), "wait resource-constraint");
    set(&mut scene, "crone1/desktop", &with("c@b.lit", 300));
    assert_eq!(
        request(&mut scene, "get", "crone1/desktop", "<item affiliation='member'/>").map(|_| ()),
        Err("wait resource-constraint".to_owned())
    );
    let bytes = scene.room.lasting.affiliations.iter().map(|(jid, entry)| entry.bytes(jid)).sum::<usize>();
    assert_eq!(scene.room.lasting.affiliations.bytes(), bytes);
}

#[test]
fn what_is_stored_is_what_is_asked() {
    let mut scene = Scene::of_four();
    let out =
        request(&mut scene, "set", "crone1/desktop", "<item affiliation='admin' jid='hag66@shakespeare.lit'><reason>so</reason></item>")
            .unwrap();
    let [Change::Affiliate(jid, Some(entry))] = &out.changes[..] else { panic!("{:?}", out.changes) };
    assert_eq!((jid, entry.affiliation, entry.reason.as_deref()), (&bare("hag66"), Affiliation::Admin, Some("so")));
    assert_eq!(request(&mut scene, "set", "crone1/desktop", "<item nick='fourthwitch' role='visitor'/>").unwrap().changes, []);
}
