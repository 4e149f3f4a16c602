//! §8.8.

use super::*;
use crate::pubsub::config::AccessModel;

const OWNER_FULL: &str = "owner@example.net/x";

fn set(changes: &str) -> String {
    format!("owner:<subscriptions node='n'>{changes}</subscriptions>")
}

#[test]
fn s8_8_1_the_list_without_those_who_wait() {
    let mut node = node("n");
    fixtures::subscribe(&mut node, "bernardo@denmark.lit", "1", SubscriptionState::Subscribed);
    fixtures::subscribe(&mut node, "bernardo@denmark.lit", "2", SubscriptionState::Subscribed);
    fixtures::subscribe(&mut node, "hamlet@denmark.lit", "3", SubscriptionState::Pending);
    fixtures::subscribe(&mut node, "polonius@denmark.lit", "4", SubscriptionState::Unconfigured);
    let list = "<subscriptions node='n'><subscription jid='bernardo@denmark.lit' subid='1' subscription='subscribed'/>\
        <subscription jid='bernardo@denmark.lit' subid='2' subscription='subscribed'/>\
        <subscription jid='polonius@denmark.lit' subid='4' subscription='unconfigured'/></subscriptions>";
    check(&asker(OWNER_FULL), Some(&node), false, "owner:<subscriptions node='n'/>", &[list]);
    check(
        &asker(OWNER_FULL),
        Some(&node),
        false,
        "owner:<subscriptions node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>1</after></set>",
        &["<subscriptions node='n'><subscription jid='bernardo@denmark.lit' subid='2' subscription='subscribed'/></subscriptions>\
            <set xmlns='http://jabber.org/protocol/rsm'><first index='1'>2</first><last>2</last><count>3</count></set>"],
    );
}

#[test]
fn s8_8_2_changes_and_who_is_told() {
    let mut node = node("n");
    fixtures::subscribe(&mut node, "polonius@denmark.lit", "1", SubscriptionState::Subscribed);
    check_with(
        &asker(OWNER_FULL),
        Some(&node),
        true,
        &set(
            "<subscription jid='polonius@denmark.lit' subscription='none'/><subscription jid='bard@shakespeare.lit' subscription='subscribed'/>",
        ),
        &super::subscriptions(&[("bard@shakespeare.lit", 0)]),
        &[
            "empty",
            "unsubscribe polonius@denmark.lit 1",
            "subscribe bard@shakespeare.lit new-1 subscribed",
            "tell polonius@denmark.lit: <subscription node='n' jid='polonius@denmark.lit' subscription='none' subid='1'/>",
            "tell bard@shakespeare.lit: <subscription node='n' jid='bard@shakespeare.lit' subscription='subscribed' subid='new-1'/>",
        ],
    );
    // As it is already.
    check(&asker(OWNER_FULL), Some(&node), true, &set("<subscription jid='polonius@denmark.lit' subscription='subscribed'/>"), &["empty"]);
    check(&asker(OWNER_FULL), Some(&node), true, &set("<subscription jid='nobody@a' subscription='none'/>"), &["empty"]);
}

#[test]
fn s8_8_2_4_what_cannot_be_is_named() {
    let mut node = node("n");
    affiliate(&mut node, "outcast@a", Affiliation::Outcast);
    fixtures::subscribe(&mut node, "polonius@denmark.lit", "1", SubscriptionState::Subscribed);
    let found = lines(&asker(OWNER_FULL).ask(
        Some(&node),
        true,
        &set("<subscription jid='polonius@denmark.lit' subscription='pending'/>\
            <subscription jid='polonius@denmark.lit' subid='9' subscription='none'/>\
            <subscription jid='outcast@a' subscription='subscribed'/><subscription jid='bard@a' subscription='subscribed'/>"),
        &super::subscriptions(&[("outcast@a", 0), ("bard@a", 0)]),
    ));
    assert_eq!(
        found[..2],
        [
            "partly modify not-acceptable: <subscriptions node='n'><subscription jid='polonius@denmark.lit' subscription='subscribed'/>\
            <subscription jid='polonius@denmark.lit' subid='9' subscription='none'/>\
            <subscription jid='outcast@a' subscription='none'/></subscriptions>",
            "subscribe bard@a new-1 subscribed",
        ]
    );
}

#[test]
fn s14_3_an_owner_does_not_pass_by_the_access_model() {
    let content = set("<subscription jid='a@a' subscription='subscribed'/>");
    for (model, may) in [
        (AccessModel::Open, true),
        (AccessModel::Authorize, true),
        (AccessModel::Whitelist, false),
        (AccessModel::Presence, false),
        (AccessModel::Roster, false),
    ] {
        let mut node = node("n");
        node.config.access_model = model;
        let outcome = asker(OWNER_FULL).ask(Some(&node), true, &content, &super::subscriptions(&[("a@a", 0)])).unwrap();
        assert_eq!(outcome.changes.len() == 1, may, "{model:?}");
    }
    let mut node = node("n");
    node.config.access_model = AccessModel::Presence;
    let relation = Relation { sees_presence: true, ..Relation::default() };
    let facts = Facts { relations: [(bare("a@a"), relation)].into(), ..super::subscriptions(&[("a@a", 0)]) };
    assert_eq!(asker(OWNER_FULL).ask(Some(&node), true, &content, &facts).unwrap().changes.len(), 1);
}

#[test]
fn an_owner_fills_a_node_no_further_than_others() {
    let mut node = node("n");
    for n in 0..LIMITS.subscriptions - 1 {
        fixtures::subscribe(&mut node, &format!("a{n}@b"), "1", SubscriptionState::Subscribed);
    }
    let content = set("<subscription jid='x@a' subscription='subscribed'/><subscription jid='y@a' subscription='subscribed'/>");
    let facts = super::subscriptions(&[("x@a", 0), ("y@a", 0)]);
    let outcome = asker(OWNER_FULL).ask(Some(&node), true, &content, &facts).unwrap();
    assert_eq!(outcome.changes.len(), 1);
    assert!(matches!(outcome.reply, Reply::Partly(_)));
}

#[test]
fn owners_take_up_no_more_than_half_of_what_one_may_have() {
    let half = LIMITS.subscriptions_per_account / 2;
    let content = set("<subscription jid='a@a' subscription='subscribed'/><subscription jid='a@a/x' subscription='subscribed'/>");
    for (has, made) in [(0, 2), (half - 1, 1), (half, 0)] {
        let outcome = asker(OWNER_FULL).ask(Some(&node("n")), true, &content, &super::subscriptions(&[("a@a", has)])).unwrap();
        assert_eq!(outcome.changes.len(), made, "{has}");
    }
    // As many as are looked up.
    let jids: Vec<_> = (0..200).map(|n| format!("<subscription jid='{n}@a' subscription='subscribed'/>")).collect();
    let xml = format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><subscriptions node='n'>{}</subscriptions></pubsub>",
        jids.concat()
    );
    let request = Request::read(crate::xml::Element::parse(xml.as_bytes(), &crate::xml::Bindings::empty()).unwrap().root(), true).unwrap();
    assert_eq!(wants(Some(&node("n")), &request, &standing(&jid(OWNER_FULL))).subscriptions_of.len(), 100);
}
