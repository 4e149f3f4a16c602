//! XEP-0045 §6.4, examples 9 and 10; §14.4.

use crate::forms::Form;
use crate::muc::config::{RoomConfig, Whois};
use crate::muc::fixtures::{Scene, bare, jid};
use crate::muc::model::{Affiliation, Subject};
use crate::xml::XmlWriter;

fn info(scene: &mut Scene, from: &str) -> Vec<(String, String)> {
    let (xml, _) = scene.act(|room, context, _| {
        let mut xml = XmlWriter::new();
        room.write_info(&mut xml, &jid(from), context);
        String::from_utf8(xml.into_inner()).unwrap()
    });
    let form = Form::from_stored(&xml).unwrap();
    assert_eq!(form.form_type(), Some("http://jabber.org/protocol/muc#roominfo"));
    form.fields.into_iter().skip(1).map(|field| (field.var, field.values.join(" "))).collect()
}

fn value(info: &[(String, String)], var: &str) -> Option<String> {
    info.iter().find(|(known, _)| known == var).map(|(_, value)| value.clone())
}

/// `coven` with a subject, with firstwitch in it.
fn coven(change: impl FnOnce(&mut RoomConfig)) -> Scene {
    let mut scene = Scene::with_config(change);
    let at = scene.now;
    scene.room.lasting.subject = Some(Subject { from: jid("coven"), occupant_id: None, at, text: "Spells".to_owned() });
    scene.affiliate("hag66", Affiliation::Member, None);
    scene.affiliate("macbeth", Affiliation::Outcast, None);
    scene
        .room
        .lasting
        .affiliations
        .insert(bare("crone1"), crate::muc::model::Affiliated { affiliation: Affiliation::Owner, nick: None, reason: None });
    scene
}

#[test]
fn s6_4_example_10_what_is_told_of_a_room() {
    let mut scene = coven(|config| {
        config.name = "A Dark Cave".to_owned();
        config.description = "The place for all good witches!".to_owned();
        config.contacts = vec![bare("crone1")];
        config.change_subject = true;
        config.lang = "en".to_owned();
        config.pubsub = "xmpp:pubsub.shakespeare.lit?;node=the-coven-node".to_owned();
    });
    scene.join("crone1/desktop", "firstwitch");
    let info = info(&mut scene, "stranger@elsewhere.lit/x");
    for (var, expected) in [
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roominfo_description", "The place for all good witches!"),
        ("muc#roominfo_contactjid", "crone1@shakespeare.lit"),
        ("muc#roominfo_subject", "Spells"),
        ("muc#roomconfig_changesubject", "1"),
        ("muc#roominfo_subjectmod", "1"),
        ("muc#roominfo_occupants", "1"),
        ("muc#roominfo_lang", "en"),
        ("muc#maxhistoryfetch", "20"),
        ("muc#roomconfig_pubsub", "xmpp:pubsub.shakespeare.lit?;node=the-coven-node"),
    ] {
        assert_eq!(value(&info, var).as_deref(), Some(expected), "{var}");
    }
    assert_eq!(scene.room.title(), "A Dark Cave");
}

#[test]
fn s14_4_strangers_are_not_told_what_goes_on_behind_doors() {
    let doors: [fn(&mut RoomConfig); 4] =
        [|_| (), |config| config.public = false, |config| config.members_only = true, |config| config.password = Some("x".to_owned())];
    for (number, close) in doors.into_iter().enumerate() {
        let mut scene = coven(close);
        assert_eq!(scene.room.title(), "coven");
        for (who, is_told) in [("hecate/broom", number == 0), ("macbeth/sword", false), ("hag66/pda", true), ("crone1/x", true)] {
            let info = info(&mut scene, who);
            assert_eq!(value(&info, "muc#roominfo_subject").is_some(), is_told, "{number} {who}");
            assert_eq!(value(&info, "muc#roominfo_occupants").is_some(), is_told, "{number} {who}");
            assert!(value(&info, "muc#roominfo_description").is_none(), "what is empty is left out");
        }
    }
}

#[test]
fn s16_3_kinds_of_rooms_as_features() {
    let usual = Scene::new().room.features();
    assert_eq!(usual, ["muc_unsecured", "muc_public", "muc_persistent", "muc_open", "muc_unmoderated", "muc_semianonymous"]);
    let other = Scene::with_config(|config| {
        *config = RoomConfig {
            password: Some("x".to_owned()),
            public: false,
            persistent: false,
            members_only: true,
            moderated: true,
            whois: Whois::Anyone,
            ..config.clone()
        };
    });
    let expected = ["muc_passwordprotected", "muc_hidden", "muc_temporary", "muc_membersonly", "muc_moderated", "muc_nonanonymous"];
    assert_eq!(other.room.features(), expected);
}
