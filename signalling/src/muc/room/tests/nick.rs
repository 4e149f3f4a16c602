//! XEP-0045 §7.6.

use crate::muc::fixtures::Scene;
use crate::muc::model::Affiliation;

const CHANGE: &str = "<presence from='hag66/pda' to='coven/oldhag' id='ifd1c35'/>";

fn two() -> Scene {
    let mut scene = Scene::new();
    scene.affiliate("hag66", Affiliation::Member, None);
    scene.join("hecate/broom", "fourthwitch");
    scene.join("hag66/pda", "thirdwitch");
    scene
}

fn renamed(to: &str, jid: &str, own: &str) -> String {
    format!(
        "<presence from='coven/thirdwitch' to='{to}' type='unavailable'>\
         <x><item affiliation='member' role='participant'{jid} nick='oldhag'/>{own}<status code='303'/></x></presence>"
    )
}

#[test]
fn s7_6_a_new_nickname() {
    let mut scene = two();
    scene.check(
        CHANGE,
        &[
            &renamed("hag66/pda", " jid='hag66/pda'", "<status code='110'/>"),
            &renamed("hecate/broom", "", ""),
            "<presence from='coven/oldhag' to='hag66/pda' id='ifd1c35'>\
             <x><item affiliation='member' role='participant' jid='hag66/pda'/><status code='110'/></x></presence>",
            "<presence from='coven/oldhag' to='hecate/broom'><x><item affiliation='member' role='participant'/></x></presence>",
        ],
    );
    assert!(scene.room.occupant("thirdwitch").is_none());
}

fn refused(to: &str, condition: &str) -> String {
    format!(
        "<presence from='coven/{to}' to='hag66/pda' id='ifd1c35' type='error'><x xmlns='http://jabber.org/protocol/muc'/>\
         <error by='coven' type='cancel'>{condition}</error></presence>"
    )
}

#[test]
fn s7_6_nicknames_of_others_are_refused() {
    let mut scene = two();
    scene.check(&CHANGE.replace("oldhag", "fourthwitch"), &[&refused("fourthwitch", "<conflict/>")]);
    scene.affiliate("hecate", Affiliation::Member, Some("oldhag"));
    scene.check(CHANGE, &[&refused("oldhag", "<conflict/>")]);
}

#[test]
fn s7_6_nicknames_can_be_locked_down() {
    let locked = refused("oldhag", "<not-acceptable/><text xml:lang='en'>nicknames are locked down</text>");
    let mut scene = two();
    scene.room.lasting.config.allow_nick_change = false;
    scene.check(CHANGE, &[&locked]);
    let mut scene = Scene::with_config(|config| (config.moderated, config.allow_visitor_nick_change) = (true, false));
    scene.join("hag66/pda", "thirdwitch");
    scene.check(CHANGE, &[&locked]);
    scene.affiliate("hecate", Affiliation::Member, None);
    scene.join("hecate/broom", "fourthwitch");
    scene.send("<presence from='hecate/broom' to='coven/hecate'/>").unwrap();
}

#[test]
fn s7_6_one_of_several_sessions_becomes_an_occupant_of_its_own() {
    let mut scene = two();
    scene.join("hag66/desk", "thirdwitch");
    scene.check(
        CHANGE,
        &[
            &renamed("hag66/pda", " jid='hag66/pda'", "<status code='110'/>"),
            // The other session speaks for the old nickname.
            "<presence from='coven/thirdwitch' to='hag66/desk'>\
             <x><item affiliation='member' role='participant' jid='hag66/desk'/><status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hecate/broom'><x><item affiliation='member' role='participant'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/pda'><x><item affiliation='member' role='participant'/></x></presence>",
            "<presence from='coven/oldhag' to='hag66/pda' id='ifd1c35'>\
             <x><item affiliation='member' role='participant' jid='hag66/pda'/><status code='110'/></x></presence>",
            "<presence from='coven/oldhag' to='hecate/broom'><x><item affiliation='member' role='participant'/></x></presence>",
            "<presence from='coven/oldhag' to='hag66/desk'><x><item affiliation='member' role='participant'/></x></presence>",
        ],
    );
    // And back again: the others see one of them less, under no new nickname.
    scene.check(
        "<presence from='hag66/pda' to='coven/thirdwitch' id='2'/>",
        &[
            "<presence from='coven/oldhag' to='hag66/pda' type='unavailable'><x><item affiliation='member' role='participant' \
             jid='hag66/pda' nick='thirdwitch'/><status code='110'/><status code='303'/></x></presence>",
            "<presence from='coven/oldhag' to='hecate/broom' type='unavailable'><x><item affiliation='member' role='none'/></x></presence>",
            "<presence from='coven/oldhag' to='hag66/desk' type='unavailable'><x><item affiliation='member' role='none'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hag66/pda' id='2'>\
             <x><item affiliation='member' role='participant' jid='hag66/pda'/><status code='110'/></x></presence>",
        ],
    );
}

#[test]
fn s17_3_a_new_nickname_and_everything_again() {
    let mut scene = two();
    let out = scene.send(&CHANGE.replace("/>", "><x xmlns='http://jabber.org/protocol/muc'/></presence>")).unwrap();
    let told = crate::muc::fixtures::shown(&out);
    let own: Vec<_> = told.iter().filter(|told| told.contains("from='coven/oldhag' to='hag66/pda'")).collect();
    assert_eq!(own.len(), 1, "{told:?}");
    assert!(told.last().unwrap().contains("<subject>"), "{told:?}");
}

#[test]
fn s7_2_9_sessions_that_part_are_no_more_than_may_be_there() {
    let mut scene = Scene::with_config(|config| config.occupants_max = Some(2));
    for (from, nick) in [("hecate/broom", "fourthwitch"), ("hag66/pda", "thirdwitch"), ("hag66/desk", "thirdwitch")] {
        scene.join(from, nick);
    }
    let rename = "<presence from='hag66/desk' to='coven/oldhag'/>";
    assert_eq!(scene.send(rename).unwrap_err().condition.name(), "service-unavailable");
    scene.send("<presence from='hag66/pda' to='coven/thirdwitch' type='unavailable'/>").unwrap();
    scene.send(rename).unwrap();
}
