//! XEP-0045 §8.2–§8.5, §9.6–§9.8: kicks, voice, moderators.

use super::*;

#[test]
fn s8_2_examples_89_to_92_kicking() {
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
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
    let mut scene = Scene::of_four();
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
fn s9_6_s9_7_s9_8_examples_137_to_150_moderators() {
    let mut scene = Scene::of_four();
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
