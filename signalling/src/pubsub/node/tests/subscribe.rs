//! §5.6, §6.1–6.4.

use super::*;
use crate::pubsub::config::{AccessModel, SendLast};

const ME: &str = "francisco@denmark.lit/barracks";
const SUBSCRIBE: &str = "<subscribe node='n' jid='francisco@denmark.lit'/>";

#[test]
fn s6_1_2_success() {
    check(
        &asker(ME),
        Some(&node("n")),
        true,
        SUBSCRIBE,
        &[
            "<subscription node='n' jid='francisco@denmark.lit' subid='new-1' subscription='subscribed'/>",
            "subscribe francisco@denmark.lit new-1 subscribed",
        ],
    );
}

#[test]
fn s6_1_3_errors() {
    let me = asker(ME);
    let of = |change: &dyn Fn(&mut Node)| {
        let mut node = node("n");
        change(&mut node);
        node
    };
    let model = |model| of(&|node: &mut Node| node.config.access_model = model);
    let pending = of(&|node: &mut Node| fixtures::subscribe(node, "francisco@denmark.lit", "1", SubscriptionState::Pending));
    for (node, content, expected) in [
        (node("n"), "<subscribe node='n' jid='bernardo@denmark.lit'/>", "modify bad-request invalid-jid"),
        (model(AccessModel::Presence), SUBSCRIBE, "auth not-authorized presence-subscription-required"),
        (model(AccessModel::Roster), SUBSCRIBE, "auth not-authorized not-in-roster-group"),
        (model(AccessModel::Whitelist), SUBSCRIBE, "cancel not-allowed closed-node"),
        (pending, SUBSCRIBE, "auth not-authorized pending-subscription"),
        (of(&|node| affiliate(node, "francisco@denmark.lit", Affiliation::Outcast)), SUBSCRIBE, "auth forbidden"),
        (of(&|node| node.config.subscribe = false), SUBSCRIBE, "cancel feature-not-implemented unsupported subscribe"),
    ] {
        check(&me, Some(&node), true, content, &[expected]);
    }
}

#[test]
fn s6_1_3_9_too_many() {
    let too_many = ["wait policy-violation too-many-subscriptions"];
    let mut node = node("n");
    for n in 0..LIMITS.subscriptions {
        fixtures::subscribe(&mut node, &format!("a{n}@b"), "1", SubscriptionState::Subscribed);
    }
    check(&asker(ME), Some(&node), true, SUBSCRIBE, &too_many);
    let facts = Facts { subscriptions: [(bare("francisco@denmark.lit"), LIMITS.subscriptions_per_account)].into(), ..Facts::default() };
    check_with(&asker(ME), Some(&fixtures::node("n")), true, SUBSCRIBE, &facts, &too_many);
}

#[test]
fn s6_1_4_approval_is_asked_of_all_owners() {
    let mut node = node("n");
    node.config.access_model = AccessModel::Authorize;
    affiliate(&mut node, "second@example.net", Affiliation::Owner);
    check(
        &asker(ME),
        Some(&node),
        true,
        SUBSCRIBE,
        &[
            "<subscription node='n' jid='francisco@denmark.lit' subid='new-1' subscription='pending'/>",
            "subscribe francisco@denmark.lit new-1 pending",
            "tell owner@example.net second@example.net: ",
        ],
    );
}

#[test]
fn s6_1_6_another_subscription_is_for_other_options() {
    let mut node = node("n");
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", SubscriptionState::Subscribed);
    let found = "<subscription node='n' jid='francisco@denmark.lit' subid='1' subscription='subscribed'/>";
    check(&asker(ME), Some(&node), true, SUBSCRIBE, &[found]);
    let options = form("subscribe_options", &[("deliver", &["1"])]);
    let result = asker(ME).ask(Some(&node), true, &format!("{SUBSCRIBE}<options>{options}</options>"), &Facts::default()).unwrap();
    assert_eq!(result.changes, []);
    assert!(reply_line(&result.reply).starts_with(found));
    let options = form("subscribe_options", &[("show-values", &["chat"]), ("digest", &["0"])]);
    let result = asker(ME).ask(Some(&node), true, &format!("{SUBSCRIBE}<options>{options}</options>"), &Facts::default()).unwrap();
    assert_eq!(result.changes.iter().map(change_line).collect::<Vec<_>>(), ["subscribe francisco@denmark.lit new-1 subscribed"]);
    // §6.3.7: with the options that come of it.
    let reply = reply_line(&result.reply);
    assert!(
        reply.contains("<options node='n' jid='francisco@denmark.lit' subid='new-1'><x xmlns='jabber:x:data' type='result'>")
            && reply.contains("<value>chat</value>"),
        "{reply}"
    );
    // A full JID is another one.
    check(
        &asker(ME),
        Some(&node),
        true,
        "<subscribe node='n' jid='francisco@denmark.lit/barracks'/>",
        &[
            "<subscription node='n' jid='francisco@denmark.lit/barracks' subid='new-1' subscription='subscribed'/>",
            "subscribe francisco@denmark.lit/barracks new-1 subscribed",
        ],
    );
}

#[test]
fn s6_1_7_the_last_item_with_its_time() {
    let mut node = node("n");
    node.last_item = Some(item("i", "owner@example.net/x", 1_071_358_717));
    let expected = [
        "<subscription node='n' jid='francisco@denmark.lit' subid='new-1' subscription='subscribed'/>",
        "subscribe francisco@denmark.lit new-1 subscribed",
        "tell francisco@denmark.lit: <items node='n'><item id='i'><p xmlns='urn:p'/></item></items>\
        <delay xmlns='urn:xmpp:delay' stamp='2003-12-13T23:38:37Z'/>",
    ];
    check(&asker(ME), Some(&node), true, SUBSCRIBE, &expected);
    node.config.send_last_published_item = SendLast::Never;
    check(&asker(ME), Some(&node), true, SUBSCRIBE, &expected[..2]);
    node.config.send_last_published_item = SendLast::OnSub;
    node.config.item_expire = Some(crate::pubsub::config::UpTo::Number(10));
    let later = Asker { now: std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_071_358_727), ..asker(ME) };
    check(&later, Some(&node), true, SUBSCRIBE, &expected[..2]);
}

#[test]
fn notify_sub_tells_owners_but_not_who_did_it() {
    let mut node = node("n");
    node.config.notify_sub = true;
    affiliate(&mut node, "francisco@denmark.lit", Affiliation::Owner);
    let tell = "tell owner@example.net: <subscription node='n' jid='francisco@denmark.lit' subscription='subscribed' subid='new-1'/>";
    assert_eq!(lines(&asker(ME).ask(Some(&node), true, SUBSCRIBE, &Facts::default()))[2..], [tell.to_owned()]);
}

#[test]
fn s6_2_unsubscribe() {
    let mut node = node("n");
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", SubscriptionState::Subscribed);
    fixtures::subscribe(&mut node, "francisco@denmark.lit/barracks", "4", SubscriptionState::Subscribed);
    let me = asker(ME);
    check(
        &me,
        Some(&node),
        true,
        "<unsubscribe node='n' jid='francisco@denmark.lit'/>",
        &[
            "<subscription node='n' jid='francisco@denmark.lit' subid='1' subscription='none'/>",
            "unsubscribe francisco@denmark.lit 1",
            "tell francisco@denmark.lit: <subscription node='n' jid='francisco@denmark.lit' subscription='none' subid='1'/>",
        ],
    );
    // The answer is enough.
    check(
        &me,
        Some(&node),
        true,
        "<unsubscribe node='n' jid='francisco@denmark.lit/barracks'/>",
        &[
            "<subscription node='n' jid='francisco@denmark.lit/barracks' subid='4' subscription='none'/>",
            "unsubscribe francisco@denmark.lit/barracks 4",
        ],
    );
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "2", SubscriptionState::Subscribed);
    for (content, expected) in [
        ("<unsubscribe node='n' jid='francisco@denmark.lit'/>", "modify bad-request subid-required"),
        ("<unsubscribe node='n' jid='francisco@denmark.lit' subid='3'/>", "modify not-acceptable invalid-subid"),
        ("<unsubscribe node='n' jid='francisco@denmark.lit/other'/>", "cancel unexpected-request not-subscribed"),
        ("<unsubscribe node='n' jid='bernardo@denmark.lit'/>", "auth forbidden"),
    ] {
        check(&me, Some(&node), true, content, &[expected]);
    }
    check(
        &asker("owner@example.net/x"),
        Some(&node),
        true,
        "<unsubscribe node='n' jid='francisco@denmark.lit' subid='1'/>",
        &["auth forbidden"],
    );
}

#[test]
fn s6_3_options() {
    let mut node = node("n");
    let me = asker(ME);
    let set =
        |jid: &str, fields: &[(&str, &[&str])]| format!("<options node='n' jid='{jid}'>{}</options>", form("subscribe_options", fields));
    check(&me, Some(&node), false, "<options node='n' jid='francisco@denmark.lit'/>", &["modify unexpected-request not-subscribed"]);
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", SubscriptionState::Subscribed);
    let reply = lines(&me.ask(Some(&node), false, "<options node='n' jid='francisco@denmark.lit'/>", &Facts::default()));
    let start = "<options node='n' jid='francisco@denmark.lit' subid='1'><x xmlns='jabber:x:data' type='form'>";
    assert!(reply[0].starts_with(start), "{reply:?}");
    check(&me, Some(&node), true, &set("bernardo@denmark.lit", &[]), &["auth forbidden"]);
    check(&me, Some(&node), true, &set("francisco@denmark.lit", &[("deliver", &["?"])]), &["modify bad-request invalid-options"]);
    check(&me, Some(&node), true, &set("francisco@denmark.lit", &[("deliver", &["1"])]), &["empty"]);
    let changed = me.ask(Some(&node), true, &set("francisco@denmark.lit", &[("deliver", &["0"])]), &Facts::default()).unwrap();
    assert_eq!(changed.changes.iter().map(change_line).collect::<Vec<_>>(), ["subscribe francisco@denmark.lit 1 subscribed"]);
    // An unconfigured subscription is configured now; a pending one still waits.
    for (state, expected) in [(SubscriptionState::Unconfigured, "subscribed"), (SubscriptionState::Pending, "pending")] {
        fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", state);
        let changed = me.ask(Some(&node), true, &set("francisco@denmark.lit", &[("deliver", &["0"])]), &Facts::default()).unwrap();
        assert_eq!(change_line(&changed.changes[0]), format!("subscribe francisco@denmark.lit 1 {expected}"));
    }
    let cancel = "<options node='n' jid='francisco@denmark.lit'><x xmlns='jabber:x:data' type='cancel'/></options>";
    check(&me, Some(&node), true, cancel, &["empty"]);
}

#[test]
fn s6_4_default_options() {
    for (node, content, start) in [
        (None, "<default/>", "<default><x xmlns='jabber:x:data' type='result'>"),
        (Some(node("n")), "<default node='n'/>", "<default node='n'><x xmlns='jabber:x:data' type='result'>"),
    ] {
        let reply = lines(&asker(ME).ask(node.as_ref(), false, content, &Facts::default()));
        assert!(reply[0].starts_with(start), "{reply:?}");
    }
}

#[test]
fn s5_6_ones_own_subscriptions_with_all_resources() {
    let mut node = node("n");
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", SubscriptionState::Subscribed);
    fixtures::subscribe(&mut node, "francisco@denmark.lit/x", "2", SubscriptionState::Pending);
    fixtures::subscribe(&mut node, "bernardo@denmark.lit", "3", SubscriptionState::Subscribed);
    check(
        &asker(ME),
        Some(&node),
        false,
        "<subscriptions node='n'/>",
        &["<subscriptions node='n'>\
            <subscription node='n' jid='francisco@denmark.lit' subid='1' subscription='subscribed'/>\
            <subscription node='n' jid='francisco@denmark.lit/x' subid='2' subscription='pending'/></subscriptions>"],
    );
}

#[test]
fn x0248_s8_1_the_root_node_comes_with_its_first_subscriber() {
    check(
        &asker(ME),
        None,
        true,
        "<subscribe jid='francisco@denmark.lit'/>",
        &[
            "<subscription jid='francisco@denmark.lit' subid='new-1' subscription='subscribed'/>",
            "create  by pubsub.example.net",
            "subscribe francisco@denmark.lit new-1 subscribed",
        ],
    );
    let pep = Asker { kind: ServiceKind::Pep, ..asker(ME) };
    check(&pep, None, true, "<subscribe jid='francisco@denmark.lit'/>", &["modify bad-request nodeid-required"]);
}

#[test]
fn x0248_s6_1_3_one_subscription_of_each_type() {
    let mut node = collection("n");
    fixtures::subscribe(&mut node, "francisco@denmark.lit", "1", SubscriptionState::Subscribed);
    for (type_, depth, expected) in [
        ("nodes", "all", "cancel conflict"),
        ("all", "1", "cancel conflict"),
        ("items", "all", "<subscription node='n' jid='francisco@denmark.lit' subid='new-1' subscription='subscribed'/>"),
    ] {
        let options = form("subscribe_options", &[("subscription_type", &[type_]), ("subscription_depth", &[depth])]);
        let found = lines(&asker(ME).ask(Some(&node), true, &format!("{SUBSCRIBE}<options>{options}</options>"), &Facts::default()));
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn administrators_subscribe_others() {
    let admin = Asker { relation: Relation { administers: true, ..Relation::default() }, ..asker("admin@example.net/x") };
    let mut node = node("n");
    node.config.access_model = AccessModel::Whitelist;
    check(&admin, Some(&node), true, SUBSCRIBE, &["cancel not-allowed closed-node"]);
    node.config.access_model = AccessModel::Authorize;
    assert_eq!(lines(&admin.ask(Some(&node), true, SUBSCRIBE, &Facts::default()))[1], "subscribe francisco@denmark.lit new-1 subscribed");
}
