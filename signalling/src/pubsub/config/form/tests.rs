//! Every field, set and shown and stored; publish options; what cannot be.

use super::*;
use crate::pubsub::config::{AccessModel, UpTo};
use crate::xml::{Bindings, Element};

const LIMITS: Limits = Limits { nodes: 10, items: 1000, payload_bytes: 65_536, subscriptions: 100, subscriptions_per_account: 100 };

fn form(type_: &str, fields: &[(&str, &[&str])]) -> Form {
    let mut out = XmlWriter::new();
    let mut form = FormWriter::open(&mut out, FormType::Submit, type_);
    for (var, values) in fields {
        form.field(var, FieldType::TextMulti, values);
    }
    form.close();
    Form::from_stored(&String::from_utf8(out.into_inner()).unwrap()).unwrap()
}

fn host() -> NodeConfig {
    NodeConfig::default_for(ServiceKind::Host, NodeKind::Leaf)
}

/// One value of each field that is not the default.
const OTHERS: &[(&str, &[&str])] = &[
    ("pubsub#title", &["Princely Musings (Atom)"]),
    ("pubsub#description", &["a < b"]),
    ("pubsub#language", &["en"]),
    ("pubsub#type", &["urn:example:e2ee:bundle"]),
    ("pubsub#contact", &["bard@shakespeare.lit", "a@b/c"]),
    ("pubsub#collection", &["blogs", "news"]),
    ("pubsub#deliver_notifications", &["0"]),
    ("pubsub#deliver_payloads", &["0"]),
    ("pubsub#notify_config", &["1"]),
    ("pubsub#notify_delete", &["0"]),
    ("pubsub#notify_retract", &["0"]),
    ("pubsub#notify_sub", &["1"]),
    ("pubsub#persist_items", &["0"]),
    ("pubsub#max_items", &["10"]),
    ("pubsub#publish_node_full", &["reject"]),
    ("pubsub#item_expire", &["604800"]),
    ("pubsub#subscribe", &["0"]),
    ("pubsub#access_model", &["roster"]),
    ("pubsub#roster_groups_allowed", &["friends", "servants", "courtiers"]),
    ("pubsub#publish_model", &["open"]),
    ("pubsub#purge_offline", &["1"]),
    ("pubsub#max_payload_size", &["1028"]),
    ("pubsub#send_last_published_item", &["never"]),
    ("pubsub#presence_based_delivery", &["1"]),
    ("pubsub#notification_type", &["normal"]),
    ("pubsub#tempsub", &["1"]),
    ("pubsub#itemreply", &["publisher"]),
    ("pubsub#body_xslt", &["http://jabxslt.jabberstudio.org/atom_body.xslt"]),
    ("pubsub#dataform_xslt", &["http://jabxslt.jabberstudio.org/x"]),
];
const OTHERS_OF_COLLECTIONS: &[(&str, &[&str])] = &[
    ("pubsub#node_type", &["collection"]),
    ("pubsub#children_association_policy", &["whitelist"]),
    ("pubsub#children_association_whitelist", &["a@b"]),
    ("pubsub#children_max", &["7"]),
];

#[test]
fn s8_2_4_every_field_is_set_shown_stored_and_read_back() {
    for (others, set) in [(OTHERS, OTHERS.len()), (OTHERS_OF_COLLECTIONS, OTHERS_OF_COLLECTIONS.len())] {
        let config = host().submit(&form(ns::PUBSUB_NODE_CONFIG, others), &LIMITS).unwrap().config;
        for (var, values) in others {
            let entry = ENTRIES.iter().find(|entry| entry.var == *var).unwrap();
            assert_eq!((entry.get)(&config), *values, "{var}");
        }
        assert!(set > 0);
        let mut read = NodeConfig::from_stored(&config.to_stored(), config.node_type).unwrap();
        read.collection.clone_from(&config.collection);
        assert_eq!(read, config);
        // What the form shows, filled in as it is, changes nothing.
        let element = Element::parse(&config.form(&[], &LIMITS), &Bindings::empty()).unwrap();
        let shown = Form { type_: FormType::Submit, ..Form::read(element.root()).unwrap() };
        let again = config.submit(&shown, &LIMITS).unwrap();
        assert_eq!(again.config, config);
    }
    let tested: Vec<_> = OTHERS.iter().chain(OTHERS_OF_COLLECTIONS).map(|(var, _)| *var).collect();
    for entry in ENTRIES {
        assert!(tested.contains(&entry.var), "{}", entry.var);
    }
}

#[test]
fn defaults_are_stored_and_read_back() {
    for service in [ServiceKind::Host, ServiceKind::Pep] {
        for kind in [NodeKind::Leaf, NodeKind::Collection] {
            let config = NodeConfig::default_for(service, kind);
            assert_eq!(NodeConfig::from_stored(&config.to_stored(), kind), Ok(config));
        }
    }
    assert!(NodeConfig::from_stored("", NodeKind::Leaf).is_err());
    assert!(NodeConfig::from_stored("<x xmlns='jabber:x:data'/>", NodeKind::Leaf).is_err());
}

#[test]
fn s8_2_5_2_values_that_cannot_be() {
    for (var, values) in [
        ("pubsub#title", &["a", "b"][..]),
        ("pubsub#max_items", &["0"]),
        ("pubsub#max_items", &["-1"]),
        ("pubsub#max_items", &["many"]),
        ("pubsub#item_expire", &["0"]),
        ("pubsub#persist_items", &["yes"]),
        ("pubsub#persist_items", &[]),
        ("pubsub#publish_model", &["nobody"]),
        ("pubsub#itemreply", &["both"]),
        ("pubsub#contact", &["@"]),
        ("pubsub#notification_type", &["normal", "headline"]),
    ] {
        let error = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[(var, values)]), &LIMITS).unwrap_err();
        assert_eq!(error.condition, crate::stanza::Condition::NotAcceptable, "{var}");
    }
    let error = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[("pubsub#access_model", &["secret"])]), &LIMITS).unwrap_err();
    assert_eq!(error, error::unsupported_access_model());
    let error = host().submit(&form(ns::PUBSUB_SUBSCRIBE_OPTIONS, &[]), &LIMITS).unwrap_err();
    assert_eq!(error.condition, crate::stanza::Condition::BadRequest);
}

#[test]
fn s12_23_max_is_what_the_server_allows() {
    for (value, expected) in [("10", 10), ("999", 999), ("1000", 1000), ("10000", 1000), ("max", 1000), (" max ", 1000)] {
        let config = host().submit(&form(ns::PUBSUB_NODE_CONFIG, &[("pubsub#max_items", &[value])]), &LIMITS).unwrap().config;
        assert_eq!(config.max_items(&LIMITS), expected, "{value}");
    }
}

#[test]
fn s7_1_5_options_are_preconditions() {
    let config = NodeConfig { roster_groups_allowed: vec!["a".to_owned(), "b".to_owned()], max_items: UpTo::Max, ..host() };
    for (var, values, met) in [
        ("pubsub#access_model", &["open"][..], true),
        ("pubsub#access_model", &["presence"], false),
        ("pubsub#access_model", &["no such"], false),
        ("pubsub#persist_items", &["true"], true),
        ("pubsub#persist_items", &["0"], false),
        ("pubsub#max_items", &["max"], true),
        ("pubsub#max_items", &["1000"], true),
        ("pubsub#max_items", &["5000"], true),
        ("pubsub#max_items", &["5"], false),
        ("pubsub#item_expire", &["max"], true),
        ("pubsub#item_expire", &[""], true),
        ("pubsub#item_expire", &["1"], false),
        ("pubsub#roster_groups_allowed", &["b", "a"], true),
        ("pubsub#roster_groups_allowed", &["b"], false),
        ("pubsub#unheard_of", &["1"], false),
    ] {
        let options = form(ns::PUBLISH_OPTIONS, &[(var, values)]);
        assert_eq!(config.check_options(&options, &LIMITS).is_ok(), met, "{var} {values:?}");
    }
    let missing = form(ns::PUBSUB_NODE_CONFIG, &[]);
    assert_eq!(config.check_options(&missing, &LIMITS).unwrap_err().condition, crate::stanza::Condition::BadRequest);
}

#[test]
fn s7_1_5_options_configure_what_is_created_and_are_met_from_then_on() {
    let options = form(
        ns::PUBLISH_OPTIONS,
        &[("pubsub#access_model", &["whitelist"]), ("pubsub#max_items", &["99999"]), ("pubsub#item_expire", &["max"])],
    );
    let config = host().with_options(&options, &LIMITS).unwrap();
    assert_eq!(config.access_model, AccessModel::Whitelist);
    assert_eq!(config.check_options(&options, &LIMITS), Ok(()));
    assert!(host().with_options(&form(ns::PUBLISH_OPTIONS, &[("pubsub#unheard_of", &["1"])]), &LIMITS).is_err());
}

#[test]
fn s8_2_5_3_subscribers_do_not_see_groups() {
    let config = NodeConfig { roster_groups_allowed: vec!["enemies".to_owned()], ..host() };
    let shown = String::from_utf8(config.result(&LIMITS).to_vec()).unwrap();
    assert!(!shown.contains("enemies"));
    assert!(shown.contains("<field var='pubsub#access_model' type='list-single'><value>open</value></field>"), "{shown}");
}
