//! Who hears of what: §6.1.6, §7.1.2.4, §8.4.2, §12.16, XEP-0248 §5.3, §6.1.

use super::*;
use crate::pubsub::event::{Condition, Topic};
use crate::pubsub::options::{ShowValue, SubscribeOptions, SubscriptionType};

fn add(node: &mut Node, jid: &str, subid: &str, change: impl FnOnce(&mut SubscribeOptions)) {
    subscribe(node, jid, subid, SubscriptionState::Subscribed);
    let one = node.subscriptions.get_mut(&(fixtures::jid(jid), subid.to_owned())).unwrap();
    change(&mut one.options);
}

fn told(recipients: &[Recipients]) -> Vec<String> {
    let line = |one: &Recipients| {
        let to: Vec<_> = one.to.iter().map(Jid::as_str).collect();
        let variant = &one.variant;
        let mut line = to.join(" ");
        if !variant.subids.is_empty() {
            line += &format!(" subids={}", variant.subids.join(","));
        }
        if let Some(collection) = &variant.collection {
            line += &format!(" by={collection}");
        }
        if variant.include_body {
            line += " body";
        }
        if !one.condition.is_always_met() {
            line += &format!(" if {:?}", one.condition.show_values);
        }
        line
    };
    let mut lines: Vec<_> = recipients.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn s6_1_6_one_message_for_each_jid_with_its_subids() {
    let mut node = node("n");
    add(&mut node, "a@a", "1", |_| {});
    add(&mut node, "b@a", "1", |_| {});
    add(&mut node, "b@a", "2", |options| options.include_body = true);
    add(&mut node, "b@a/x", "3", |_| {});
    add(&mut node, "c@a", "1", |options| options.deliver = false);
    add(&mut node, "d@a", "1", |options| options.deliver = false);
    add(&mut node, "d@a", "2", |_| {});
    subscribe(&mut node, "e@a", "1", SubscriptionState::Pending);
    subscribe(&mut node, "f@a", "1", SubscriptionState::Unconfigured);
    assert_eq!(told(&node.recipients(Topic::Items)), ["a@a b@a/x d@a", "b@a subids=1,2 body"]);
    // §12.16.
    assert_eq!(told(&node.recipients(Topic::Nodes)), ["a@a b@a b@a/x d@a"]);
    // §8.4.2.
    assert_eq!(told(&node.recipients(Topic::Deletion)), ["a@a b@a b@a/x c@a d@a e@a f@a"]);
}

#[test]
fn s6_3_show_values_and_presence() {
    let mut node = node("n");
    add(&mut node, "a@a", "1", |options| options.show_values = vec![ShowValue::Chat]);
    add(&mut node, "b@a", "1", |options| options.show_values = vec![ShowValue::Chat]);
    add(&mut node, "b@a", "2", |options| options.show_values = vec![ShowValue::Away]);
    add(&mut node, "c@a", "1", |options| options.show_values = vec![ShowValue::Chat]);
    add(&mut node, "c@a", "2", |_| {});
    assert_eq!(told(&node.recipients(Topic::Items)), ["a@a if [Chat]", "b@a subids=1,2 if [Away, Chat]", "c@a subids=1,2"]);
    node.config.presence_based_delivery = true;
    assert_eq!(told(&node.recipients(Topic::Items)), ["a@a if [Chat]", "b@a subids=1,2 if [Away, Chat]", "c@a subids=1,2 if []"]);
    let condition = |available, show_values: &[ShowValue]| Condition { available, show_values: show_values.to_vec() };
    for (condition, shows, met) in [
        (condition(false, &[]), &[][..], true),
        (condition(true, &[]), &[], false),
        (condition(true, &[]), &[ShowValue::Xa], true),
        (condition(false, &[ShowValue::Chat]), &[], false),
        (condition(false, &[ShowValue::Chat]), &[ShowValue::Dnd], false),
        (condition(false, &[ShowValue::Chat]), &[ShowValue::Dnd, ShowValue::Chat], true),
    ] {
        assert_eq!(condition.is_met(shows), met, "{condition:?} {shows:?}");
    }
}

#[test]
fn x0248_s6_1_type_and_depth() {
    let leaf = node("leaf");
    let mut node = collection("c");
    for (jid, type_, depth) in [
        ("items1@a", SubscriptionType::Items, Some(1)),
        ("items0@a", SubscriptionType::Items, Some(0)),
        ("itemsall@a", SubscriptionType::Items, None),
        ("nodes1@a", SubscriptionType::Nodes, Some(1)),
        ("nodes2@a", SubscriptionType::Nodes, Some(2)),
        ("all2@a", SubscriptionType::All, Some(2)),
    ] {
        add(&mut node, jid, "1", |options| {
            options.subscription_type = type_;
            options.subscription_depth = depth;
        });
    }
    for (steps, topic, expected) in [
        (1, Topic::Items, "all2@a items1@a itemsall@a by=c"),
        (2, Topic::Items, "all2@a itemsall@a by=c"),
        (3, Topic::Items, "itemsall@a by=c"),
        (1, Topic::Nodes, "all2@a nodes1@a nodes2@a by=c"),
        (2, Topic::Deletion, "all2@a nodes2@a by=c"),
    ] {
        assert_eq!(told(&graph::recipients(&node, &leaf, steps, topic)), [expected]);
    }
    // What happens to the collection itself.
    assert_eq!(told(&node.recipients(Topic::Nodes)), ["all2@a nodes1@a nodes2@a"]);
    // §5.3.1, note: the leaf says how.
    let mut careful = leaf;
    careful.config.presence_based_delivery = true;
    assert_eq!(told(&graph::recipients(&node, &careful, 3, Topic::Items)), ["itemsall@a by=c if []"]);
}

#[test]
fn s12_14_the_end_of_a_subscription() {
    let mut node = node("n");
    node.config.notify_sub = true;
    subscribe(&mut node, "a@a", "1", SubscriptionState::Subscribed);
    let (changes, notifications) = node.end_subscription(&node.subscriptions.values().next().unwrap().clone());
    assert_eq!(changes.iter().map(change_line).collect::<Vec<_>>(), ["unsubscribe a@a 1"]);
    let event = "<subscription node='n' jid='a@a' subscription='none' subid='1'/>";
    let told: Vec<_> = notifications.iter().map(notification_line).collect();
    assert_eq!(told, [format!("tell a@a: {event}"), format!("tell owner@example.net: {event}")]);
}

#[test]
fn s5_4_meta_data() {
    let mut node = node("n");
    node.config.title = "Princely Musings (Atom)".to_owned();
    affiliate(&mut node, "hamlet@denmark.lit", Affiliation::Publisher);
    subscribe(&mut node, "a@a", "1", SubscriptionState::Subscribed);
    subscribe(&mut node, "b@a", "1", SubscriptionState::Pending);
    let form = String::from_utf8(node.meta_data(&LIMITS).to_vec()).unwrap();
    for (var, value) in [
        ("creator", "owner@example.net"),
        ("creation_date", "2003-07-29T22:56:10Z"),
        ("title", "Princely Musings (Atom)"),
        ("access_model", "open"),
        ("publish_model", "publishers"),
        ("max_items", "max"),
        ("owner", "owner@example.net"),
        ("publisher", "hamlet@denmark.lit"),
        ("num_subscribers", "1"),
    ] {
        let field = form.split(&format!("<field var='pubsub#{var}'")).nth(1).unwrap_or_default();
        assert!(field.split("</field>").next().unwrap_or_default().ends_with(&format!("<value>{value}</value>")), "{var}: {form}");
    }
    assert!(!form.contains("pubsub#description"));
}
