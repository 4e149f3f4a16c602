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
fn what_is_stored_is_what_is_asked() {
    let mut scene = Scene::of_four();
    let out =
        request(&mut scene, "set", "crone1/desktop", "<item affiliation='admin' jid='hag66@shakespeare.lit'><reason>so</reason></item>")
            .unwrap();
    let [Change::Affiliate(jid, Some(entry))] = &out.changes[..] else { panic!("{:?}", out.changes) };
    assert_eq!((jid, entry.affiliation, entry.reason.as_deref()), (&bare("hag66"), Affiliation::Admin, Some("so")));
    assert_eq!(request(&mut scene, "set", "crone1/desktop", "<item nick='fourthwitch' role='visitor'/>").unwrap().changes, []);
}
