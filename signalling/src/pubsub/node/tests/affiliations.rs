//! §4.1, §5.7, §8.9.

use super::*;
use crate::pubsub::config::AccessModel;

const OWNER_FULL: &str = "owner@example.net/x";

fn set(changes: &[(&str, &str)]) -> String {
    let changes: String =
        changes.iter().map(|(jid, affiliation)| format!("<affiliation jid='{jid}' affiliation='{affiliation}'/>")).collect();
    format!("owner:<affiliations node='n'>{changes}</affiliations>")
}

#[test]
fn s5_7_ones_own() {
    check(
        &asker(OWNER_FULL),
        Some(&node("n")),
        false,
        "<affiliations node='n'/>",
        &["<affiliations><affiliation node='n' affiliation='owner'/></affiliations>"],
    );
    check(&asker("me@a/x"), Some(&node("n")), false, "<affiliations node='n'/>", &["<affiliations/>"]);
}

#[test]
fn s8_9_1_the_list() {
    let mut node = node("n");
    affiliate(&mut node, "polonius@denmark.lit", Affiliation::Outcast);
    check(
        &asker(OWNER_FULL),
        Some(&node),
        false,
        "owner:<affiliations node='n'/>",
        &["<affiliations node='n'><affiliation jid='owner@example.net' affiliation='owner'/>\
            <affiliation jid='polonius@denmark.lit' affiliation='outcast'/></affiliations>"],
    );
}

#[test]
fn s8_9_2_and_s8_9_4_a_change_and_who_is_told() {
    check(
        &asker(OWNER_FULL),
        Some(&node("n")),
        true,
        &set(&[("bard@shakespeare.lit", "publisher")]),
        &[
            "empty",
            "affiliate bard@shakespeare.lit publisher",
            "tell bard@shakespeare.lit: <pubsub xmlns='http://jabber.org/protocol/pubsub'><affiliations node='n'>\
            <affiliation jid='bard@shakespeare.lit' affiliation='publisher'/></affiliations></pubsub>",
        ],
    );
    check(&asker(OWNER_FULL), Some(&node("n")), true, &set(&[("owner@example.net", "owner")]), &["empty"]);
}

/// The state chart: from, to, whether it may be.
#[test]
fn s4_1_state_chart() {
    use Affiliation::{Member, None, Outcast, Owner, PublishOnly, Publisher};
    for from in Affiliation::ALL {
        for to in Affiliation::ALL {
            let mut node = node("n");
            if *from != None {
                affiliate(&mut node, "me@a", *from);
            }
            let may = match (from, to) {
                (Owner, Owner | None) => true,
                (Owner, Outcast | Member | Publisher | PublishOnly) => false,
                (Publisher, Member) => false,
                _ => true,
            };
            let outcome = asker(OWNER_FULL).ask(Some(&node), true, &set(&[("me@a", to.name())]), &Facts::default()).unwrap();
            assert_eq!(!matches!(outcome.reply, Reply::Partly(_)), may, "{from:?} {to:?}");
            assert_eq!(!outcome.changes.is_empty(), may && from != to, "{from:?} {to:?}");
        }
    }
}

#[test]
fn s8_9_2_4_an_owner_remains_and_the_rest_is_done() {
    let mut node = node("n");
    affiliate(&mut node, "polonius@denmark.lit", Affiliation::Member);
    let found = lines(&asker(OWNER_FULL).ask(
        Some(&node),
        true,
        &set(&[("owner@example.net", "none"), ("polonius@denmark.lit", "none"), ("bard@shakespeare.lit", "publisher")]),
        &Facts::default(),
    ));
    assert_eq!(
        found[..3],
        [
            "partly modify not-acceptable: <affiliations node='n'><affiliation jid='owner@example.net' affiliation='owner'/></affiliations>",
            "affiliate polonius@denmark.lit none",
            "affiliate bard@shakespeare.lit publisher",
        ]
    );
    // Handed over in one request, in whatever order.
    let found = lines(&asker(OWNER_FULL).ask(
        Some(&node),
        true,
        &set(&[("owner@example.net", "none"), ("polonius@denmark.lit", "owner")]),
        &Facts::default(),
    ));
    assert_eq!(found[..3], ["empty", "affiliate polonius@denmark.lit owner", "affiliate owner@example.net none"]);
}

#[test]
fn x0163_s2_2_an_account_owns_its_nodes_for_good() {
    let mut node = Node { service: ServiceKind::Pep, ..node("n") };
    node.address.service = bare(OWNER);
    affiliate(&mut node, "second@a", Affiliation::Owner);
    let found = lines(&asker("second@a/x").ask(Some(&node), true, &set(&[(OWNER, "none")]), &Facts::default()));
    assert!(found[0].starts_with("partly"), "{found:?}");
}

#[test]
fn s8_7_4_and_s12_14_subscriptions_follow() {
    let mut node = node("n");
    node.config.access_model = AccessModel::Authorize;
    fixtures::subscribe(&mut node, "a@a", "1", SubscriptionState::Pending);
    fixtures::subscribe(&mut node, "b@a/x", "2", SubscriptionState::Subscribed);
    let subscriptions = |affiliation, jid| -> Vec<String> {
        let outcome = asker(OWNER_FULL).ask(Some(&node), true, &set(&[(jid, affiliation)]), &Facts::default()).unwrap();
        outcome.changes[1..].iter().map(change_line).collect()
    };
    for affiliation in ["owner", "publisher", "member"] {
        assert_eq!(subscriptions(affiliation, "a@a"), ["subscribe a@a 1 subscribed"], "{affiliation}");
        assert_eq!(subscriptions(affiliation, "b@a"), [""; 0], "{affiliation}");
    }
    for affiliation in ["outcast", "publish-only"] {
        assert_eq!(subscriptions(affiliation, "a@a"), ["unsubscribe a@a 1"], "{affiliation}");
        assert_eq!(subscriptions(affiliation, "b@a"), ["unsubscribe b@a/x 2"], "{affiliation}");
    }
    // Off the whitelist.
    let mut node = fixtures::node("n");
    node.config.access_model = AccessModel::Whitelist;
    affiliate(&mut node, "a@a", Affiliation::Member);
    fixtures::subscribe(&mut node, "a@a", "1", SubscriptionState::Subscribed);
    let outcome = asker(OWNER_FULL).ask(Some(&node), true, &set(&[("a@a", "none")]), &Facts::default()).unwrap();
    assert_eq!(change_line(&outcome.changes[1]), "unsubscribe a@a 1");
}
