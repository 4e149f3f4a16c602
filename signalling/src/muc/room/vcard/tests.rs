//! §3.2–§3.4, §5, §6.

use crate::muc::model::{Affiliation, Role};
use crate::muc::room::scene::*;

const GET: &str = "<iq id='uD10h' type='get'><vCard xmlns='vcard-temp'/></iq>";
const SVG: &str = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIzMiIgaGVpZ2h0PSIzMiI+\
                   CiA8cmVjdCB4PSIwIiB5PSIwIiB3aWR0aD0iMzIiIGhlaWdodD0iMzIiIGZpbGw9InJlZCIvPgo8L3N2Zz4K";
const HASH: &str = "a31c4bd04de69663cfd7f424a8453f4674da37ff";

fn set(content: &str) -> String {
    format!("<iq id='7fP13' type='set'><vCard xmlns='vcard-temp'>{content}</vCard></iq>")
}

fn photo() -> String {
    format!("<PHOTO><TYPE>image/svg+xml</TYPE><BINVAL>{SVG}</BINVAL></PHOTO>")
}

fn garden() -> Scene {
    let mut scene = scene();
    scene.enter(CRONE, "firstwitch", Role::Moderator);
    scene.enter(WITCH, "secondwitch", Role::Participant);
    scene
}

fn presence(hash: &str) -> String {
    format!("to crone1 wiccarocks: <presence from='{ROOM}'><x xmlns='vcard-temp:x:update'>{hash}</x></presence>")
}

const CODE_104: &str = "to crone1 wiccarocks: <message from='coven@chat.shakespeare.lit' id='new-1' type='groupchat'>\
                        <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>";

#[test]
fn s3_2_examples_3_to_8_an_owner_sets_and_takes_away_the_avatar() {
    let mut scene = garden();
    assert_eq!(scene.give(handle, HAG, GET).unwrap(), ["<vCard xmlns='vcard-temp'/>"]);
    assert!(scene.room.avatar_presence().is_none() && scene.room.avatar_hashes().is_empty());
    let lines = scene.give(handle, CRONE, &set(&photo())).unwrap();
    let shown = presence(&format!("<photo>{HASH}</photo>"));
    assert_eq!(lines, [format!("vcard {HASH}"), CODE_104.to_owned(), shown]);
    assert_eq!(scene.room.avatar_hashes(), [HASH]);
    assert!(scene.room.avatar_presence().is_some());
    assert_eq!(scene.give(handle, HAG, GET).unwrap(), [format!("<vCard xmlns='vcard-temp'>{}</vCard>", photo())]);
    // The same again is nothing new; another text changes no avatar.
    assert!(scene.give(handle, CRONE, &set(&photo())).unwrap().is_empty());
    assert_eq!(scene.give(handle, CRONE, &set(&format!("<FN>Coven</FN>{}", photo()))).unwrap().len(), 2);
    let lines = scene.give(handle, CRONE, &set("")).unwrap();
    assert_eq!(lines, ["vcard ".to_owned(), CODE_104.to_owned(), presence("<photo/>")]);
}

#[test]
fn s6_only_owners_set_it() {
    let mut scene = garden();
    scene.affiliate("wiccarocks@shakespeare.lit", Affiliation::Admin);
    for from in [WITCH, HAG] {
        assert_eq!(scene.refused(handle, from, &set(&photo())), "auth forbidden");
    }
    assert_eq!(scene.refused(handle, CRONE, &set(&format!("<FN>{}</FN>", "x".repeat(1_000)))), "modify not-acceptable");
    scene.administers = true;
    assert!(scene.give(handle, HAG, &set(&photo())).is_ok());
}
