//! XEP-0045 §8, §9, §10: what changes with affiliations and roles.

use crate::muc::change::Change;
use crate::muc::config::Whois;
use crate::muc::fixtures::{Scene, bare, jid, shown};
use crate::muc::model::{Affiliated, Affiliation, Role};
use crate::muc::outcome::Outcome;
use crate::muc::{Why, status::Status};

fn three() -> Scene {
    let mut scene = Scene::new();
    scene.join("crone1/desktop", "firstwitch");
    scene.join("hecate/broom", "fourthwitch");
    scene.join("hag66/pda", "thirdwitch");
    scene
}

fn why() -> Why {
    Why { actor: Some("firstwitch".to_owned()), reason: Some("Avaunt".to_owned()) }
}

fn affiliate(scene: &mut Scene, of: &str, to: Affiliation, why: &Why) -> Outcome {
    scene.act(|room, context, out| room.set_affiliation(&bare(of), to, why, context, out)).1
}

fn check_removed(out: &Outcome, affiliation: &str, code: u16) {
    let why = "<actor nick='firstwitch'/><reason>Avaunt</reason></item>";
    let status = format!("<status code='{code}'/>");
    let told = |to: &str, jid: &str, own: &str| {
        format!(
            "<presence from='coven/thirdwitch' to='{to}' type='unavailable'>\
             <x><item affiliation='{affiliation}' role='none'{jid}>{why}{own}{status}</x></presence>"
        )
    };
    let jid = " jid='hag66/pda'";
    let expected = [told("hag66/pda", jid, "<status code='110'/>"), told("crone1/desktop", jid, ""), told("hecate/broom", "", "")];
    assert_eq!(shown(out), expected);
}

#[test]
fn s8_2_kicking() {
    let mut scene = three();
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::None, &why(), out));
    check_removed(&out, "none", 307);
    assert_eq!(out.changes, []);
    // All sessions go.
    scene.join("hecate/cauldron", "fourthwitch");
    let ((), out) = scene.act(|room, _, out| room.set_role("fourthwitch", Role::None, &why(), out));
    assert_eq!(shown(&out).len(), 3);
    assert!(!scene.room.is_occupant(&jid("hecate/cauldron")));
}

#[test]
fn s8_3_s8_4_voice_is_told_to_all() {
    let mut scene = three();
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::Visitor, &why(), out));
    let item = |jid: &str| format!("<item affiliation='none' role='visitor'{jid}><actor nick='firstwitch'/><reason>Avaunt</reason></item>");
    let own = item(" jid='hag66/pda'");
    assert_eq!(
        shown(&out),
        [
            format!("<presence from='coven/thirdwitch' to='hag66/pda'><x>{own}<status code='110'/></x></presence>"),
            format!("<presence from='coven/thirdwitch' to='crone1/desktop'><x>{own}</x></presence>"),
            format!("<presence from='coven/thirdwitch' to='hecate/broom'><x>{}</x></presence>", item("")),
        ]
    );
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::Visitor, &why(), out));
    assert_eq!(out.effects, [], "nothing changes");
}

#[test]
fn s9_6_a_new_moderator_is_shown_real_jids() {
    let mut scene = three();
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::Moderator, &Why::default(), out));
    assert_eq!(
        shown(&out)[3..],
        [
            "<presence from='coven/firstwitch' to='hag66/pda'><x><item affiliation='owner' role='moderator' jid='crone1/desktop'/></x></presence>",
            "<presence from='coven/fourthwitch' to='hag66/pda'><x><item affiliation='none' role='participant' jid='hecate/broom'/></x></presence>",
        ]
    );
    // Where everyone sees them, there is nothing new.
    let mut scene = three();
    scene.room.lasting.config.whois = Whois::Anyone;
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::Moderator, &Why::default(), out));
    assert_eq!(shown(&out).len(), 3);
}

#[test]
fn hidden_occupants_come_and_go_with_their_role() {
    let mut scene = three();
    scene.room.lasting.config.broadcast.remove(&Role::Visitor);
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::Visitor, &Why::default(), out));
    let hidden =
        "<presence from='coven/thirdwitch' to='hecate/broom' type='unavailable'><x><item affiliation='none' role='none'/></x></presence>";
    assert_eq!(shown(&out)[2], hidden);
    // A moderator sees it, and does not any more.
    let ((), out) = scene.act(|room, _, out| room.set_role("fourthwitch", Role::Moderator, &Why::default(), out));
    assert!(
        shown(&out).iter().any(|told| told.starts_with("<presence from='coven/thirdwitch' to='hecate/broom'><x>")),
        "{:?}",
        shown(&out)
    );
    let ((), out) = scene.act(|room, _, out| room.set_role("fourthwitch", Role::Participant, &Why::default(), out));
    assert_eq!(shown(&out).last().unwrap(), hidden);
    // Removed, it is gone for those who saw it.
    let ((), out) = scene.act(|room, _, out| room.set_role("thirdwitch", Role::None, &Why::default(), out));
    assert_eq!(shown(&out).len(), 2);
}

#[test]
fn s9_1_banning() {
    let mut scene = three();
    scene.affiliate("hag66", Affiliation::Member, Some("thirdwitch"));
    let out = affiliate(&mut scene, "hag66", Affiliation::Outcast, &why());
    check_removed(&out, "outcast", 301);
    let entry = Affiliated { affiliation: Affiliation::Outcast, nick: None, reason: Some("Avaunt".to_owned()) };
    assert_eq!(out.changes, [Change::Affiliate(bare("hag66"), Some(entry))]);
    // A whole domain, but for those who have an affiliation of their own.
    let mut scene = three();
    scene.affiliate("hag66", Affiliation::Member, None);
    affiliate(&mut scene, "shakespeare.lit", Affiliation::Outcast, &why());
    let left: Vec<_> = scene.room.occupants.iter().map(|occupant| occupant.nick().to_owned()).collect();
    assert_eq!(left, ["firstwitch", "thirdwitch"]);
}

#[test]
fn s9_3_s9_4_membership_of_those_who_are_there() {
    let mut scene = three();
    let out = affiliate(&mut scene, "hag66", Affiliation::Member, &Why::default());
    assert_eq!(
        shown(&out),
        [
            "<presence from='coven/thirdwitch' to='hag66/pda'><x><item affiliation='member' role='participant' jid='hag66/pda'/>\
             <status code='110'/></x></presence>",
            "<presence from='coven/thirdwitch' to='crone1/desktop'><x><item affiliation='member' role='participant' jid='hag66/pda'/></x></presence>",
            "<presence from='coven/thirdwitch' to='hecate/broom'><x><item affiliation='member' role='participant'/></x></presence>",
        ]
    );
    let out = affiliate(&mut scene, "hag66", Affiliation::None, &Why::default());
    assert!(shown(&out)[0].contains("<item affiliation='none' role='participant'"));
    assert_eq!(out.changes, [Change::Affiliate(bare("hag66"), None)]);
    affiliate(&mut scene, "hag66", Affiliation::Member, &Why::default());
    scene.room.lasting.config.members_only = true;
    let out = affiliate(&mut scene, "hag66", Affiliation::None, &why());
    check_removed(&out, "none", 321);
}

#[test]
fn s5_1_3_roles_follow_affiliations() {
    for (moderated, before, role, after, expected) in [
        (false, Affiliation::None, Role::Participant, Affiliation::Admin, Role::Moderator),
        (false, Affiliation::None, Role::Moderator, Affiliation::Member, Role::Moderator),
        (true, Affiliation::None, Role::Visitor, Affiliation::Member, Role::Participant),
        (true, Affiliation::Member, Role::Participant, Affiliation::None, Role::Visitor),
        (false, Affiliation::Admin, Role::Moderator, Affiliation::Member, Role::Participant),
        (false, Affiliation::Owner, Role::Moderator, Affiliation::Admin, Role::Moderator),
    ] {
        let mut scene = Scene::with_config(|config| config.moderated = moderated);
        scene.affiliate("hag66", before, None);
        scene.join("hag66/pda", "thirdwitch");
        scene.act(|room, _, out| room.set_role("thirdwitch", role, &Why::default(), out));
        affiliate(&mut scene, "hag66", after, &Why::default());
        let occupant = scene.room.occupant("thirdwitch").unwrap();
        assert_eq!((occupant.affiliation, occupant.role), (after, expected), "{before:?} {after:?}");
    }
}

#[test]
fn s18_1_those_who_are_not_there_are_told_and_moderators_see_it() {
    let mut scene = three();
    let out = affiliate(&mut scene, "bard", Affiliation::Owner, &why());
    let item = "<item affiliation='owner' jid='bard' role='none'><actor nick='firstwitch'/><reason>Avaunt</reason></item>";
    assert_eq!(
        shown(&out),
        [
            format!("<message from='coven' to='bard' id='new-4'><x>{item}<status code='101'/></x></message>"),
            format!("<message from='coven' to='crone1/desktop' id='new-5'><x>{item}</x></message>"),
        ]
    );
    let out = affiliate(&mut scene, "bard", Affiliation::Owner, &Why::default());
    assert_eq!(out.effects, []);
}

#[test]
fn s10_9_destruction_is_told_to_each_of_itself() {
    let mut scene = three();
    let destroy = b"<destroy jid='darkcave@chat.shakespeare.lit'/>";
    let ((), out) = scene.act(|room, _, out| room.remove_everybody(&[], Some(destroy), out));
    assert_eq!(shown(&out).len(), 3);
    assert_eq!(
        shown(&out)[0],
        "<presence from='coven/firstwitch' to='crone1/desktop' type='unavailable'><x><item affiliation='none' role='none' \
         jid='crone1/desktop'/><destroy jid='darkcave@chat.shakespeare.lit'/><status code='110'/></x></presence>"
    );
}

#[test]
fn s10_2_1_codes_for_everybody() {
    let mut scene = three();
    let ((), out) = scene.act(|room, context, out| room.broadcast_codes(&[Status::Logged, Status::NowNonAnonymous], context, out));
    assert_eq!(
        shown(&out)[0],
        "<message from='coven' to='crone1/desktop' id='new-4' type='groupchat'><x><status code='170'/><status code='172'/></x></message>"
    );
    assert_eq!(shown(&out).len(), 3);
}

#[test]
fn s7_10_nicknames_are_registered_and_given_up() {
    let mut scene = three();
    let mut reserve = |nick: Option<&str>| scene.act(|room, _, out| room.reserve(&bare("hag66"), nick.map(str::to_owned), out)).1.changes;
    let entry = |affiliation| Affiliated { affiliation, nick: Some("hag".to_owned()), reason: None };
    assert_eq!(reserve(Some("hag")), [Change::Affiliate(bare("hag66"), Some(entry(Affiliation::None)))]);
    assert_eq!(reserve(Some("hag")), []);
    assert_eq!(reserve(None), [Change::Affiliate(bare("hag66"), None)]);
}

#[test]
fn who_has_power() {
    let mut scene = three();
    scene.act(|room, _, out| room.set_role("thirdwitch", Role::Moderator, &Why::default(), out));
    let mut power = |from: &str, administers| {
        scene.administers = administers;
        scene.act(|room, context, _| room.power(&jid(from), context)).0
    };
    for (from, expected) in [
        ("crone1/desktop", (Affiliation::Owner, Role::Moderator)),
        ("crone1/other", (Affiliation::Owner, Role::Moderator)),
        ("hag66/pda", (Affiliation::None, Role::Moderator)),
        ("hag66/other", (Affiliation::None, Role::Moderator)),
        ("nobody/x", (Affiliation::None, Role::None)),
    ] {
        assert_eq!(power(from, false), expected, "{from}");
    }
    assert_eq!(power("nobody/x", true), (Affiliation::Owner, Role::Moderator));
}
