//! Every field, set and shown and stored, under each of its names; what cannot be.

use super::*;
use crate::muc::config::{AllowPm, MemberListFor, VisitorsPm, Whois};
use crate::muc::history::HistoryMax;
use crate::muc::model::Role;
use crate::stanza::Condition;
use crate::xml::{Bindings, Element};

const LIMITS: Limits = Limits {
    occupants: 1000,
    affiliations: 3,
    history: HistoryMax { count: 100, bytes: 250_000 },
    presence_bytes: 1_000_000,
    vcard_bytes: 1_000_000,
};

fn form_of(type_: FormType, form_type: &str, fields: &[(&str, &[&str])]) -> Form {
    let mut out = XmlWriter::new();
    let mut form = FormWriter::open(&mut out, type_, form_type);
    for (var, values) in fields {
        form.field(var, FieldType::TextMulti, values);
    }
    form.close();
    Form::from_stored(&String::from_utf8(out.into_inner()).unwrap()).unwrap()
}

fn form(fields: &[(&str, &[&str])]) -> Form {
    form_of(FormType::Submit, ns::MUC_ROOMCONFIG, fields)
}

fn room() -> RoomConfig {
    RoomConfig::of_new_room(false)
}

fn submitted(fields: &[(&str, &[&str])]) -> Result<RoomConfig, Condition> {
    room().submit(&form(fields), &LIMITS).map(|submitted| submitted.config).map_err(|error| error.condition)
}

/// The form as an owner sees it, field by field.
fn shown(config: &RoomConfig) -> Form {
    let mut out = XmlWriter::new();
    config.write_form(&mut out, "Configuration for \"coven\" Room", &["wiccarocks@shakespeare.lit"], &["crone1@shakespeare.lit"], &LIMITS);
    Form::from_stored(&String::from_utf8(out.into_inner()).unwrap()).unwrap()
}

fn values<'f>(form: &'f Form, var: &str) -> Vec<&'f str> {
    let field = form.fields.iter().find(|field| field.var == var).unwrap_or_else(|| panic!("{var}"));
    field.values.iter().map(String::as_str).collect()
}

/// One value of each field that is not the default.
const OTHERS: &[(&str, &[&str])] = &[
    ("muc#roomconfig_roomname", &["A Dark Cave"]),
    ("muc#roomconfig_roomdesc", &["The place\nfor all < good witches!"]),
    ("muc#roomconfig_lang", &["en-GB"]),
    ("muc#roomconfig_pubsub", &["xmpp:pubsub.shakespeare.lit?;node=coven"]),
    ("muc#roominfo_contactjid", &["crone1@shakespeare.lit", "hecate@shakespeare.lit"]),
    ("muc#roomconfig_persistentroom", &["1"]),
    ("muc#roomconfig_publicroom", &["0"]),
    ("public_list", &["1"]),
    ("muc#roomconfig_roomsecret", &["cauldronburn"]),
    ("muc#roomconfig_maxusers", &["10"]),
    ("muc#roomconfig_whois", &["anyone"]),
    ("muc#roomconfig_membersonly", &["1"]),
    ("muc#roomconfig_allowinvites", &["1"]),
    ("muc#roomconfig_moderatedroom", &["1"]),
    ("members_by_default", &["1"]),
    ("muc#roomconfig_changesubject", &["1"]),
    ("muc#roomconfig_allowpm", &["participants"]),
    ("allow_private_messages_from_visitors", &["nobody"]),
    ("allow_query_users", &["0"]),
    ("allow_voice_requests", &["0"]),
    ("voice_request_min_interval", &["60"]),
    ("allow_change_nick", &["0"]),
    ("allow_visitor_nickchange", &["0"]),
    ("allow_visitor_status", &["0"]),
    ("allow_user_registration", &["0"]),
    ("muc#roomconfig_presencebroadcast", &["moderator"]),
    ("muc#roomconfig_getmemberlist", &["moderator"]),
    ("enable_hats", &["0"]),
    ("muc#roomconfig_affiliationnotify", &["0"]),
    ("muc#roomconfig_enablelogging", &["1"]),
    ("muc#maxhistoryfetch", &["50"]),
    ("muc#roomconfig_defaulthistorymessages", &["5"]),
];

#[test]
fn s10_2_every_field_is_set_shown_and_stored() {
    let known: Vec<_> = OTHERS.iter().map(|(var, _)| *var).chain([PROTECTED]).collect();
    for entry in ENTRIES {
        assert!(known.contains(&entry.var), "{} is not tested", entry.var);
    }
    let mut all = room();
    for (var, value) in OTHERS {
        let one = submitted(&[(var, value)]).unwrap();
        assert_ne!(one, room(), "{var}");
        assert_eq!(values(&shown(&one), var), *value, "{var}");
        assert_eq!(RoomConfig::from_stored(&one.to_stored()).as_ref(), Ok(&one), "{var}");
        all = all.submit(&form(&[(var, value)]), &LIMITS).unwrap().config;
    }
    assert_eq!(submitted(OTHERS).as_ref(), Ok(&all));
    assert_eq!(RoomConfig::from_stored(&all.to_stored()), Ok(all.clone()));
    assert_eq!(RoomConfig::from_stored(&room().to_stored()), Ok(room()));
    // What is shown can be sent back, and changes nothing but what nobody had said.
    let Submitted { config, admins, owners } = all.submit(&Form { type_: FormType::Submit, ..shown(&all) }, &LIMITS).unwrap();
    assert_eq!(config, all);
    assert_eq!(admins.unwrap().iter().next().unwrap().as_str(), "wiccarocks@shakespeare.lit");
    assert_eq!(owners.unwrap().iter().next().unwrap().as_str(), "crone1@shakespeare.lit");
}

#[test]
fn other_servers_names_mean_the_same() {
    let mut vars: Vec<&str> = Vec::new();
    for entry in ENTRIES {
        vars.extend([entry.var].iter().chain(entry.aliases));
        let Some((_, value)) = OTHERS.iter().find(|(var, _)| *var == entry.var) else { continue };
        let expected = submitted(&[(entry.var, value)]);
        for alias in entry.aliases.iter().filter(|alias| **alias != "allow_private_messages") {
            assert_eq!(submitted(&[(alias, value)]), expected, "{alias}");
        }
    }
    for (value, expected) in [("0", AllowPm::None), ("1", AllowPm::Anyone)] {
        assert_eq!(submitted(&[("allow_private_messages", &[value])]).unwrap().allow_pm, expected);
    }
    let each: BTreeSet<_> = vars.iter().collect();
    assert_eq!(each.len(), vars.len(), "a name means one field");
}

#[test]
fn s10_1_3_example_159_a_form_as_in_the_text() {
    let submitted = room().submit(
        &form(&[
            ("muc#roomconfig_roomname", &["A Dark Cave"]),
            ("muc#roomconfig_roomdesc", &["The place for all good witches!"]),
            ("muc#roomconfig_enablelogging", &["0"]),
            ("muc#roomconfig_changesubject", &["1"]),
            ("muc#roomconfig_allowinvites", &["0"]),
            ("muc#roomconfig_allowpm", &["anyone"]),
            ("muc#roomconfig_maxusers", &["10"]),
            ("muc#roomconfig_publicroom", &["0"]),
            ("muc#roomconfig_persistentroom", &["0"]),
            ("muc#roomconfig_moderatedroom", &["0"]),
            ("muc#roomconfig_membersonly", &["0"]),
            ("muc#roomconfig_passwordprotectedroom", &["1"]),
            ("muc#roomconfig_roomsecret", &["cauldronburn"]),
            ("muc#roomconfig_whois", &["moderators"]),
            ("muc#maxhistoryfetch", &["50"]),
            ("muc#roomconfig_roomadmins", &["wiccarocks@shakespeare.lit", "hecate@shakespeare.lit/broom"]),
        ]),
        &LIMITS,
    );
    let Submitted { config, admins, owners } = submitted.unwrap();
    let expected = RoomConfig {
        name: "A Dark Cave".to_owned(),
        description: "The place for all good witches!".to_owned(),
        change_subject: true,
        allow_invites: Some(false),
        occupants_max: Some(10),
        public: false,
        password: Some("cauldronburn".to_owned()),
        history: 50,
        ..room()
    };
    assert_eq!((config, owners), (expected, None));
    let admins: Vec<_> = admins.iter().flatten().map(|jid| jid.to_string()).collect();
    assert_eq!(admins, ["hecate@shakespeare.lit", "wiccarocks@shakespeare.lit"], "§10.6: bare");
}

#[test]
fn s10_1_3_a_password_protected_room_has_a_password() {
    let old = RoomConfig { password: Some("old".to_owned()), ..room() };
    let (open, kept, new) = (Ok(None), Ok(Some("old")), Ok(Some("new")));
    for (before, is_protected, secret, expected) in [
        (&room(), None, None, open),
        (&room(), None, Some("new"), new),
        (&room(), None, Some(""), open),
        (&room(), Some("1"), None, Err(Condition::NotAcceptable)),
        (&room(), Some("1"), Some(""), Err(Condition::NotAcceptable)),
        (&room(), Some("1"), Some("new"), new),
        (&room(), Some("0"), Some("new"), open),
        (&old, None, None, kept),
        (&old, None, Some(""), open),
        (&old, Some("1"), None, kept),
        (&old, Some("1"), Some(""), Err(Condition::NotAcceptable)),
        (&old, Some("true"), Some("new"), new),
        (&old, Some("false"), None, open),
        (&old, Some("maybe"), None, Err(Condition::NotAcceptable)),
    ] {
        let fields: Vec<(&str, Vec<&str>)> =
            [(PROTECTED, is_protected), (SECRET, secret)].into_iter().filter_map(|(var, value)| Some((var, vec![value?]))).collect();
        let fields: Vec<_> = fields.iter().map(|(var, values)| (*var, values.as_slice())).collect();
        let after = before.submit(&form(&fields), &LIMITS).map(|submitted| submitted.config.password);
        let expected = expected.map(|password| password.map(str::to_owned));
        assert_eq!(after.map_err(|error| error.condition), expected, "{is_protected:?} {secret:?}");
    }
}

#[test]
fn s10_1_3_what_cannot_be_is_not_acceptable() {
    let long = "x".repeat(5000);
    for (var, wrong) in [
        ("muc#roomconfig_roomname", vec!["two\nlines"]),
        ("muc#roomconfig_roomname", vec![long.as_str()]),
        ("muc#roomconfig_roomname", vec!["a", "b"]),
        ("muc#roomconfig_roomdesc", vec![long.as_str()]),
        ("muc#roomconfig_lang", vec!["de'/><x"]),
        ("muc#roomconfig_persistentroom", vec!["yes"]),
        ("muc#roomconfig_persistentroom", vec![]),
        ("muc#roomconfig_maxusers", vec!["many"]),
        ("muc#roomconfig_maxusers", vec!["-1"]),
        ("muc#roomconfig_whois", vec!["none"]),
        ("muc#roomconfig_whois", vec!["anyone", "moderators"]),
        ("muc#roomconfig_allowpm", vec!["friends"]),
        ("muc#roomconfig_presencebroadcast", vec!["owner"]),
        ("muc#roomconfig_getmemberlist", vec!["everyone"]),
        ("muc#maxhistoryfetch", vec!["4294967296"]),
        ("muc#roominfo_contactjid", vec!["@"]),
        ("muc#roomconfig_roomadmins", vec!["@"]),
        ("muc#roomconfig_roomowners", vec!["shakespeare.lit"]),
        ("muc#roomconfig_roomowners", vec!["a@b", "c@b", "d@b", "e@b"]),
    ] {
        assert_eq!(submitted(&[(var, &wrong)]), Err(Condition::NotAcceptable), "{var} {wrong:?}");
    }
}

#[test]
fn another_form_is_a_bad_request_and_unknown_fields_are_nothing() {
    for (type_, form_type) in [(FormType::Form, ns::MUC_ROOMCONFIG), (FormType::Cancel, ns::MUC_ROOMCONFIG), (FormType::Submit, "urn:x")] {
        let error = room().submit(&form_of(type_, form_type, &[]), &LIMITS).unwrap_err();
        assert_eq!(error.condition, Condition::BadRequest, "{form_type}");
    }
    assert_eq!(submitted(&[("captcha_protected", &["1"]), ("allow_subscription", &["1"])]), Ok(room()));
    // §10.1.2: an instant room, whose form has not even a FORM_TYPE.
    assert_eq!(room().submit(&Form { type_: FormType::Submit, fields: Vec::new() }, &LIMITS).unwrap().config, room());
}

#[test]
fn limits_of_the_server_bound_what_owners_want() {
    let after = |var: &str, value: &str| submitted(&[(var, &[value])]).unwrap();
    assert_eq!(after("muc#roomconfig_maxusers", "5000").occupants_max, Some(1000));
    assert_eq!(after("muc#roomconfig_maxusers", "none").occupants_max, None);
    assert_eq!(after("muc#roomconfig_maxusers", "0").occupants_max, None);
    assert_eq!(after("muc#maxhistoryfetch", "5000").history, 100);
    assert_eq!(after("muc#maxhistoryfetch", "7").history_default, 7);
    assert_eq!(after("muc#roomconfig_presencebroadcast", "none").broadcast, BTreeSet::new());
    assert_eq!(after("muc#roomconfig_getmemberlist", "member").member_list_for, BTreeSet::from([MemberListFor::Participant]));
    assert_eq!((after("muc#roomconfig_presencebroadcast", "visitor")).broadcast, BTreeSet::from([Role::Visitor]));
    let all = submitted(OTHERS).unwrap();
    assert_eq!((all.whois, all.visitors_pm), (Whois::Anyone, VisitorsPm::Nobody));
}

#[test]
fn s10_2_lists_are_shown_with_what_can_be_chosen() {
    let mut out = XmlWriter::new();
    RoomConfig { occupants_max: Some(12), ..room() }.write_form(&mut out, "t", &[], &[], &Limits { occupants: 20, ..LIMITS });
    let element = Element::parse(&out.finish(), &Bindings::empty()).unwrap();
    let field = element.root().children().find(|field| field.attr("var") == Some("muc#roomconfig_maxusers")).unwrap();
    assert_eq!(field.attr("type"), Some("list-single"));
    let of = |name: &str| -> Vec<String> {
        let options = field.children_named(ns::DATA_FORMS, name);
        options.map(|option| option.child(ns::DATA_FORMS, "value").unwrap_or(option).text().into_owned()).collect()
    };
    assert_eq!((of("option"), of("value")), (["5", "10", "12", "20", "none"].map(str::to_owned).to_vec(), vec!["12".to_owned()]));
}

#[test]
fn what_is_no_stored_form_is_an_error() {
    for broken in ["", "<x", "<x xmlns='jabber:x:data'/>"] {
        RoomConfig::from_stored(broken).unwrap_err();
    }
    let wrong = room().to_stored().replace("moderators", "nobody");
    RoomConfig::from_stored(&wrong).unwrap_err();
}
