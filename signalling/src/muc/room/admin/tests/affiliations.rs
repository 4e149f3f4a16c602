//! XEP-0045 §9.1–§9.5, §10.3–§10.8: outcasts, members, admins, owners.

use super::*;

#[test]
fn s9_1_examples_110_to_115_banning() {
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='hag66@shakespeare.lit'/>");
    assert!(
        sent.iter().all(|sent| sent.contains("<item affiliation='none' role='participant'") && !sent.contains("unavailable")),
        "{sent:#?}"
    );
    let mut scene = Scene::of_four();
    scene.affiliate("hecate", Affiliation::Member, None);
    scene.room.lasting.config.members_only = true;
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='none' jid='hag66@shakespeare.lit'/>");
    assert!(sent.iter().all(|sent| sent.contains("type='unavailable'") && sent.contains("<status code='321'/>")), "{sent:#?}");
    assert_eq!(sent.len(), 4);
}

#[test]
fn s9_5_examples_129_to_134_the_member_list() {
    let mut scene = Scene::of_four();
    scene.affiliate("lear", Affiliation::Member, Some("king"));
    let expected = "<item affiliation='member' jid='hag66' nick='thirdwitch'/><item affiliation='member' jid='lear' nick='king'/>";
    assert_eq!(list(&mut scene, "wiccarocks/laptop", "<item affiliation='member'/>"), expected);
    // In a non-anonymous room, members may read it, those who are not there, too.
    let forbidden = Err("auth forbidden".to_owned());
    assert_eq!(request(&mut scene, "get", "hag66/pda", "<item affiliation='member'/>").map(|_| ()), forbidden);
    scene.room.lasting.config.whois = Whois::Anyone;
    for who in ["hag66/pda", "lear/crown"] {
        assert_eq!(list(&mut scene, who, "<item affiliation='member'/>"), expected);
        assert_eq!(list(&mut scene, who, "<item affiliation='owner'/>"), "<item affiliation='owner' jid='crone1' nick='firstwitch'/>");
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
fn s10_3_to_s10_5_examples_172_to_185_owners() {
    let mut scene = Scene::of_four();
    let sent = set(&mut scene, "crone1/desktop", "<item affiliation='owner' jid='hecate@shakespeare.lit/broom'/>");
    let expected = "<presence from='coven/fourthwitch' to='crone1/desktop'><x><item affiliation='owner' role='moderator' jid='hecate/broom'>\
                    <actor nick='firstwitch'/></item></x></presence>";
    assert!(sent.iter().any(|sent| sent == expected), "{sent:#?}");
    assert_eq!(affiliation(&scene, "hecate"), Affiliation::Owner, "§10.3: the bare JID counts");
    let expected = "<item affiliation='owner' jid='crone1' nick='firstwitch'/>\
                    <item affiliation='owner' jid='hecate' nick='fourthwitch'/>";
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
    let mut scene = Scene::of_four();
    set(
        &mut scene,
        "crone1/desktop",
        "<item affiliation='admin' jid='hecate@shakespeare.lit'/><item affiliation='admin' jid='lear@shakespeare.lit'/>",
    );
    let expected = "<item affiliation='admin' jid='hecate' nick='fourthwitch'/><item affiliation='admin' jid='lear'/>\
                    <item affiliation='admin' jid='wiccarocks' nick='secondwitch'/>";
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
fn s9_2_reasons_are_left_out_of_a_list_that_becomes_too_long() {
    let mut scene = Scene::of_four();
    let reason = "x".repeat(4000);
    for number in 0..40 {
        let entry = crate::muc::model::Affiliated { affiliation: Affiliation::Outcast, nick: None, reason: Some(reason.clone()) };
        scene.room.lasting.affiliations.insert(bare(&format!("outcast{number}")), entry);
    }
    let outcasts = list(&mut scene, "crone1/desktop", "<item affiliation='outcast'/>");
    assert_eq!((outcasts.matches("<item").count(), outcasts.matches("<reason>").count()), (40, 16));
}
