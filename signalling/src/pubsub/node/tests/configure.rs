//! §8.2, §12.14.

use super::*;
use crate::pubsub::config::AccessModel;

const OWNER_FULL: &str = "owner@example.net/x";

fn configure(fields: &[(&str, &[&str])]) -> String {
    format!("owner:<configure node='n'>{}</configure>", form("node_config", fields))
}

#[test]
fn s8_2_2_the_form() {
    let reply = lines(&asker(OWNER_FULL).ask(Some(&node("n")), false, "owner:<configure node='n'/>", &Facts::default()));
    assert!(reply[0].starts_with("<configure node='n'><x xmlns='jabber:x:data' type='form'>"), "{reply:?}");
    assert!(
        reply[0].contains(
            "<field var='pubsub#max_payload_size' type='text-single' label='The maximum payload size in bytes'><value>1000</value>"
        )
    );
}

#[test]
fn s8_2_4_submission() {
    let owner = asker(OWNER_FULL);
    check(&owner, Some(&node("n")), true, &configure(&[("title", &["T"])]), &["empty", "configure leaf open"]);
    // Nothing new.
    check(&owner, Some(&node("n")), true, &configure(&[("title", &[])]), &["empty"]);
    let cancel = "owner:<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>";
    check(&owner, Some(&node("n")), true, cancel, &["empty"]);
    check(&owner, Some(&node("n")), true, &configure(&[("max_items", &["-3"])]), &["modify not-acceptable"]);
    // §12.5 writes it in the other namespace.
    let other = format!("<configure node='n'>{}</configure>", form("node_config", &[("tempsub", &["true"])]));
    check(&owner, Some(&node("n")), true, &other, &["empty", "configure leaf open"]);
    check(&asker("me@example.net/x"), Some(&node("n")), true, &other, &["auth forbidden"]);
}

#[test]
fn s8_2_5_3_notification_with_and_without_the_form() {
    let owner = asker(OWNER_FULL);
    for (payloads, form) in [("1", true), ("0", false)] {
        let content = configure(&[("notify_config", &["1"]), ("deliver_payloads", &[payloads])]);
        let outcome = owner.ask(Some(&node("n")), true, &content, &Facts::default()).unwrap();
        let [notification] = &outcome.notifications[..] else { panic!("{outcome:?}") };
        let stanza = format!("{:?}", notification.event.template(&Default::default()));
        assert!(stanza.contains("<configuration node='n'"), "{stanza}");
        assert_eq!(stanza.contains("type='result'"), form, "{stanza}");
    }
}

#[test]
fn s12_14_who_loses_access_is_no_subscriber_any_more() {
    let mut node = node("n");
    for jid in ["contact@a", "friend@a", "stranger@a", "member@a", "friend@a/x"] {
        fixtures::subscribe(&mut node, jid, "1", SubscriptionState::Subscribed);
    }
    affiliate(&mut node, "member@a", Affiliation::Member);
    let relation = |groups: &[&str]| Relation {
        sees_presence: true,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        administers: false,
    };
    let relations = [(bare("contact@a"), relation(&[])), (bare("friend@a"), relation(&["friends"]))];
    let facts = Facts { relations: relations.into(), ..Facts::default() };
    let gone = |jids: &[&str]| {
        let mut lines = vec!["empty".to_owned()];
        lines.extend(jids.iter().map(|jid| format!("unsubscribe {jid} 1")));
        lines.extend(jids.iter().map(|jid| format!("tell {jid}: <subscription node='n' jid='{jid}' subscription='none' subid='1'/>")));
        lines
    };
    for (fields, expected) in [
        (&[("access_model", &["presence"][..])][..], gone(&["stranger@a"])),
        (&[("access_model", &["roster"]), ("roster_groups_allowed", &["friends"])], gone(&["contact@a", "stranger@a"])),
        (&[("access_model", &["whitelist"])], gone(&["contact@a", "friend@a", "friend@a/x", "stranger@a"])),
        (&[("access_model", &["authorize"])], gone(&[])),
    ] {
        let mut found = lines(&asker(OWNER_FULL).ask(Some(&node), true, &configure(fields), &facts));
        assert!(found.remove(1).starts_with("configure"), "{found:?}");
        assert_eq!(found, expected);
    }
    // Their relations are looked up where they count.
    let request = |fields| {
        let xml = configure(fields).replace("owner:", "");
        let xml = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{xml}</pubsub>");
        Request::read(crate::xml::Element::parse(xml.as_bytes(), &crate::xml::Bindings::empty()).unwrap().root(), true).unwrap()
    };
    let wanted = |fields| wants(Some(&node), &request(fields), &standing(&jid(OWNER_FULL))).relations_of;
    assert_eq!(wanted(&[("access_model", &["presence"])]), ["contact@a", "friend@a", "member@a", "stranger@a"].map(bare));
    assert!(wanted(&[("access_model", &["whitelist"])]).is_empty());
    assert!(wanted(&[("title", &["x"])]).is_empty());
}

#[test]
fn who_waits_is_let_in_when_nobody_has_to_be_asked_any_more() {
    let mut node = node("n");
    node.config.access_model = AccessModel::Authorize;
    node.last_item = Some(item("i", OWNER_FULL, 0));
    fixtures::subscribe(&mut node, "me@a", "1", SubscriptionState::Pending);
    check(
        &asker(OWNER_FULL),
        Some(&node),
        true,
        &configure(&[("access_model", &["open"])]),
        &[
            "empty",
            "configure leaf open",
            "subscribe me@a 1 subscribed",
            "tell me@a: <subscription node='n' jid='me@a' subscription='subscribed' subid='1'/>",
            "tell me@a: <items node='n'><item id='i'><p xmlns='urn:p'/></item></items><delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00Z'/>",
        ],
    );
}

#[test]
fn x0248_s7_2_4_a_leaf_becomes_a_collection_and_not_the_other_way_round() {
    let owner = asker(OWNER_FULL);
    let become_collection = configure(&[("node_type", &["collection"])]);
    check(&owner, Some(&node("n")), true, &become_collection, &["empty", "purge", "configure collection open"]);
    check(&owner, Some(&collection("n")), true, &configure(&[("node_type", &["leaf"])]), &["cancel not-allowed invalid-options"]);
    // XEP-0248 §8.1.
    let admin = Asker { relation: Relation { administers: true, ..Relation::default() }, ..asker("admin@example.net/x") };
    let request = Request { node: Some(String::new()), action: Action::Configuration };
    assert!(admin.request(Some(&collection("")), &request, &Facts::default()).is_ok());
    check(&admin, Some(&collection("")), true, &become_collection, &["cancel not-allowed"]);
}
