//! §4.3, §7.1, §6.5, §12.11.

use super::*;
use crate::pubsub::config::{AccessModel, ItemReply, NodeFull, PublishModel, UpTo};
use crate::pubsub::model::{NodeKind, ServiceKind};

const OWNER_FULL: &str = "owner@example.net/blogbot";
const ITEM: &str = "<publish node='n'><item id='i'><p xmlns='urn:p'/></item></publish>";

fn with(change: impl FnOnce(&mut NodeConfig)) -> Node {
    let mut node = node("n");
    change(&mut node.config);
    node
}

use crate::pubsub::config::NodeConfig;

#[test]
fn s7_1_2_success() {
    check(
        &asker(OWNER_FULL),
        Some(&node("n")),
        true,
        ITEM,
        &[
            "<publish node='n'><item id='i'/></publish>",
            "publish i persist=true max=10",
            "tell subscribers: <items node='n'><item id='i'><p xmlns='urn:p'/></item></items>",
        ],
    );
    check(
        &asker(OWNER_FULL),
        Some(&node("n")),
        true,
        "<publish node='n'><item><p xmlns='urn:p'/></item></publish>",
        &[
            "<publish node='n'><item id='new-1'/></publish>",
            "publish new-1 persist=true max=10",
            "tell subscribers: <items node='n'><item id='new-1'><p xmlns='urn:p'/></item></items>",
        ],
    );
}

/// The table of §4.3 with the errors of §7.1.3.7: persistent?, payloads?, the item published, what comes of it.
#[test]
fn s4_3_items_payloads_and_item_ids() {
    let (none, empty, full) = ("", "<item/>", "<item><p xmlns='urn:p'/></item>");
    let published = "<publish node='n'><item id='new-1'/></publish>";
    let tells_id = "tell subscribers: <items node='n'><item id='new-1'/></items>";
    let tells_all = "tell subscribers: <items node='n'><item id='new-1'><p xmlns='urn:p'/></item></items>";
    let (kept, cached) = ("publish new-1 persist=true max=10", "publish new-1 persist=false max=10");
    for (persist, payloads, item, expected) in [
        (true, false, none, &["modify bad-request item-required"][..]),
        (true, false, empty, &[published, kept, tells_id]),
        (true, false, full, &[published, kept, tells_id]),
        (true, true, none, &["modify bad-request item-required"]),
        (true, true, empty, &["modify bad-request payload-required"]),
        (true, true, full, &[published, kept, tells_all]),
        (false, false, none, &["<publish node='n'/>", "tell subscribers: <items node='n'/>"]),
        (false, false, empty, &["modify bad-request item-forbidden"]),
        (false, false, full, &["modify bad-request item-forbidden"]),
        (false, true, none, &["modify bad-request payload-required"]),
        (false, true, empty, &["modify bad-request payload-required"]),
        (false, true, full, &[published, cached, tells_all]),
    ] {
        let node = with(|config| {
            config.persist_items = persist;
            config.deliver_payloads = payloads;
        });
        check(&asker(OWNER_FULL), Some(&node), true, &format!("<publish node='n'>{item}</publish>"), expected);
    }
}

#[test]
fn s7_1_3_errors() {
    let owner = asker(OWNER_FULL);
    check(&asker("me@example.net/x"), Some(&node("n")), true, ITEM, &["auth forbidden"]);
    check(&owner, Some(&collection("n")), true, ITEM, &["cancel feature-not-implemented unsupported publish"]);
    let large = format!("<publish node='n'><item><p xmlns='urn:p'>{}</p></item></publish>", "x".repeat(1000));
    check(&owner, Some(&node("n")), true, &large, &["modify not-acceptable payload-too-big"]);
    check(&owner, Some(&with(|config| config.max_payload_size = 10)), true, ITEM, &["modify not-acceptable payload-too-big"]);
    check(&owner, Some(&with(|config| config.type_ = "urn:other".to_owned())), true, ITEM, &["modify bad-request invalid-payload"]);
    let fine = with(|config| config.type_ = "urn:p".to_owned());
    assert!(owner.ask(Some(&fine), true, ITEM, &Facts::default()).is_ok());
    let atom = "<publish node='n'><item><entry xmlns='http://www.w3.org/2005/Atom'/></item></publish>";
    let microblog = with(|config| config.type_ = "urn:xmpp:microblog:0".to_owned());
    assert!(owner.ask(Some(&microblog), true, atom, &Facts::default()).is_ok());
    check(&owner, Some(&microblog), true, ITEM, &["modify bad-request invalid-payload"]);
}

#[test]
fn s7_1_2_5_and_s12_11_a_full_node() {
    let owner = asker(OWNER_FULL);
    let batch = "<publish node='n'><item id='1'><p xmlns='urn:p'/></item><item id='2'><p xmlns='urn:p'/></item></publish>";
    let small = |full| {
        with(|config| {
            config.max_items = UpTo::Number(2);
            config.publish_node_full = full;
        })
    };
    let facts = |count, there: &[(&str, &str)]| Facts { count, ..publishers(there) };
    let full = ["cancel conflict node-full"];
    let reject = small(NodeFull::Reject);
    check_with(&owner, Some(&reject), true, ITEM, &facts(2, &[]), &full);
    check_with(&owner, Some(&reject), true, batch, &facts(1, &[]), &full);
    // What is there already takes no room.
    for (content, facts) in [(ITEM, facts(2, &[("i", OWNER_FULL)])), (batch, facts(1, &[("2", OWNER_FULL)])), (ITEM, facts(1, &[]))] {
        assert!(owner.ask(Some(&reject), true, content, &facts).is_ok(), "{content}");
    }
    let retract = small(NodeFull::RetractOldest);
    assert!(owner.ask(Some(&retract), true, ITEM, &facts(2, &[])).is_ok());
    let ids = ["old".to_owned()];
    let told = retract.evicted(&ids).map(|told| notification_line(&told));
    assert_eq!(told.as_deref(), Some("tell subscribers: <items node='n'><retract id='old'/></items>"));
    assert_eq!(small(NodeFull::DiscardOldest).evicted(&ids), None);
    assert_eq!(retract.evicted(&[]), None);
    // §12.11.
    let one = with(|config| config.max_items = UpTo::Number(1));
    check(&owner, Some(&one), true, batch, &["cancel not-allowed max-items-exceeded"]);
}

#[test]
fn s7_1_3_note_publishers_overwrite_and_others_only_their_own() {
    let mut node = with(|config| config.publish_model = PublishModel::Open);
    affiliate(&mut node, "publisher@example.net", Affiliation::Publisher);
    affiliate(&mut node, "robot@example.net", Affiliation::PublishOnly);
    let facts = publishers(&[("i", "someone@example.net/x")]);
    for (jid, may) in [
        ("owner@example.net/x", true),
        ("publisher@example.net/x", true),
        ("robot@example.net/x", false),
        ("stranger@example.net/x", false),
        ("someone@example.net/y", true),
    ] {
        assert_eq!(asker(jid).ask(Some(&node), true, ITEM, &facts).is_ok(), may, "{jid}");
    }
}

#[test]
fn s7_1_2_3_the_publisher_is_shown_where_the_node_says_so() {
    for (itemreply, expected) in [
        (None, "<item id='i'>"),
        (Some(ItemReply::Publisher), "<item id='i' publisher='robot@example.net'>"),
        (Some(ItemReply::Owner), "<item id='i' publisher='owner@example.net'>"),
    ] {
        let mut node = with(|config| config.itemreply = itemreply);
        affiliate(&mut node, "robot@example.net", Affiliation::PublishOnly);
        let told = lines(&asker("robot@example.net/x").ask(Some(&node), true, ITEM, &Facts::default()));
        assert!(told[2].contains(expected), "{told:?}");
        let items = [item("i", "robot@example.net/x", 1)];
        let reply = reply::items(&[reply::NodeItems { node: &node, items: &items }], None);
        assert!(String::from_utf8_lossy(&reply).contains(expected));
    }
    let mut node = with(|config| config.itemreply = Some(ItemReply::Owner));
    affiliate(&mut node, "another@example.net", Affiliation::Owner);
    (node.service, node.address.service) = (ServiceKind::Pep, bare(OWNER));
    let shown = node.retrieved(&item("i", "another@example.net/x", 1));
    assert_eq!(shown.publisher, Some(bare(OWNER)), "an account's nodes are its own, whoever else may do what owners may");
}

#[test]
fn deliver_notifications_switches_them_off() {
    let node = with(|config| config.deliver_notifications = false);
    assert_eq!(asker(OWNER_FULL).ask(Some(&node), true, ITEM, &Facts::default()).unwrap().notifications, []);
}

#[test]
fn s7_1_4_and_s7_1_5_a_publication_creates_with_its_options() {
    let options = form("publish-options", &[("access_model", &["whitelist"]), ("max_items", &["max"])]);
    let content = format!("{ITEM}<publish-options>{options}</publish-options>");
    let outcome = asker(OWNER_FULL).ask(None, true, &content, &Facts::default()).unwrap();
    assert_eq!(
        lines(&Ok(outcome.clone())),
        [
            "<publish node='n'><item id='i'/></publish>",
            "create n by owner@example.net",
            "publish i persist=true max=10",
            "tell collections: <create node='n'/>",
            "tell subscribers: <items node='n'><item id='i'><p xmlns='urn:p'/></item></items>",
        ]
    );
    let Change::Create(node) = &outcome.changes[0] else { panic!("{outcome:?}") };
    assert_eq!((node.config.access_model, node.kind), (AccessModel::Whitelist, NodeKind::Leaf));
    // From now on they are met, and others are not.
    assert!(asker(OWNER_FULL).ask(Some(node), true, &content, &Facts::default()).is_ok());
    let others = format!("{ITEM}<publish-options>{}</publish-options>", form("publish-options", &[("access_model", &["open"])]));
    check(&asker(OWNER_FULL), Some(node), true, &others, &["cancel conflict precondition-not-met"]);
    let unknown = format!("{ITEM}<publish-options>{}</publish-options>", form("publish-options", &[("unheard_of", &["1"])]));
    for node in [None, Some(&**node)] {
        check(&asker(OWNER_FULL), node, true, &unknown, &["cancel conflict precondition-not-met"]);
    }
    // A collection takes no items, even when it is created for one.
    let collection = format!("{ITEM}<publish-options>{}</publish-options>", form("publish-options", &[("node_type", &["collection"])]));
    check(&asker(OWNER_FULL), None, true, &collection, &["cancel feature-not-implemented unsupported publish"]);
}

#[test]
fn s6_5_retrieval() {
    let me = asker("me@example.net/x");
    let retrieve = "<items node='n' max_items='2'/>";
    check(&me, Some(&node("n")), false, retrieve, &["items Some(2) []"]);
    check(&me, Some(&collection("n")), false, retrieve, &["items Some(2) []"]);
    for (model, expected) in [
        (AccessModel::Presence, "auth not-authorized presence-subscription-required"),
        (AccessModel::Roster, "auth not-authorized not-in-roster-group"),
        (AccessModel::Authorize, "auth not-authorized not-subscribed"),
        (AccessModel::Whitelist, "cancel not-allowed closed-node"),
    ] {
        check(&me, Some(&with(|config| config.access_model = model)), false, retrieve, &[expected]);
    }
    let mut outcast = node("n");
    affiliate(&mut outcast, "me@example.net", Affiliation::Outcast);
    check(&me, Some(&outcast), false, retrieve, &["auth forbidden"]);
}

#[test]
fn s6_5_9_1_and_2_subids() {
    let me = asker("me@example.net/x");
    let mut node = node("n");
    // Who is not subscribed means none.
    check(&me, Some(&node), false, "<items node='n' subid='9'/>", &["items None []"]);
    fixtures::subscribe(&mut node, "me@example.net", "1", SubscriptionState::Subscribed);
    fixtures::subscribe(&mut node, "me@example.net", "2", SubscriptionState::Pending);
    fixtures::subscribe(&mut node, "me@example.net/other", "3", SubscriptionState::Subscribed);
    check(&me, Some(&node), false, "<items node='n'/>", &["items None []"]);
    check(&me, Some(&node), false, "<items node='n' subid='1'/>", &["items None []"]);
    check(&me, Some(&node), false, "<items node='n' subid='9'/>", &["modify not-acceptable invalid-subid"]);
    fixtures::subscribe(&mut node, "me@example.net", "2", SubscriptionState::Subscribed);
    check(&me, Some(&node), false, "<items node='n'/>", &["modify bad-request subid-required"]);
    check(&me, Some(&node), false, "<items node='n' subid='2'/>", &["items None []"]);
}

#[test]
fn s6_5_5_a_transient_node_has_its_last_item_at_most() {
    let me = asker("me@example.net/x");
    let mut node = with(|config| config.persist_items = false);
    check(&me, Some(&node), false, "<items node='n'/>", &["<items node='n'/>"]);
    node.last_item = Some(item("i", OWNER_FULL, 1_071_358_700));
    let last = "<items node='n'><item id='i'><p xmlns='urn:p'/></item></items>";
    check(&me, Some(&node), false, "<items node='n'/>", &[last]);
    check(&me, Some(&node), false, "<items node='n'><item id='i'/></items>", &[last]);
    check(&me, Some(&node), false, "<items node='n'><item id='j'/></items>", &["<items node='n'/>"]);
    node.config.item_expire = Some(UpTo::Number(5));
    check(&me, Some(&node), false, "<items node='n'/>", &["<items node='n'/>"]);
    // §6.5.9.4.
    node.config.deliver_payloads = false;
    check(&me, Some(&node), false, "<items node='n'/>", &["cancel feature-not-implemented unsupported persistent-items"]);
}
