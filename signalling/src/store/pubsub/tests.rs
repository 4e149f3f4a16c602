//! The store of nodes, on each database; called by the store's tests.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::{RosterItem, Store, Subscription as RosterSubscription, from_millis, to_millis};
use super::*;
use crate::jid::{BareJid, Jid};
use crate::pubsub::change::Change;
use crate::pubsub::config::{AccessModel, NodeConfig, SendLast, UpTo};
use crate::pubsub::model::{Affiliation, Item, Node, NodeAddress, NodeKind, ServiceKind, Subscription, SubscriptionState};
use crate::pubsub::options::{Expire, SubscribeOptions};
use crate::rsm::{Place, Request};

const HOUR: Duration = Duration::from_secs(3_600);

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// Now, in whole milliseconds as the database holds it.
fn now() -> SystemTime {
    from_millis(to_millis(SystemTime::now()))
}

fn at(service: &str, node: &str) -> NodeAddress {
    NodeAddress { service: bare(service), node: node.to_owned() }
}

fn host(node: &str) -> NodeAddress {
    at("pubsub.shakespeare.lit", node)
}

fn node(address: &NodeAddress, service: ServiceKind, kind: NodeKind) -> Node {
    let owner = if service == ServiceKind::Pep { address.service.clone() } else { bare("hamlet@denmark.lit") };
    Node {
        address: address.clone(),
        service,
        kind,
        creator: owner.clone(),
        created_at: now(),
        config: NodeConfig::default_for(service, kind),
        affiliations: BTreeMap::from([(owner, Affiliation::Owner)]),
        subscriptions: BTreeMap::new(),
        last_item: None,
    }
}

fn leaf(name: &str) -> Node {
    node(&host(name), ServiceKind::Host, NodeKind::Leaf)
}

fn subscription(jid: Jid, subid: &str) -> Subscription {
    let options = SubscribeOptions::new();
    Subscription { jid, subid: subid.to_owned(), state: SubscriptionState::Subscribed, options }
}

fn item(id: &str) -> Item {
    let payload = Bytes::from(format!("<entry xmlns='http://www.w3.org/2005/Atom'><title>{id} ☾</title></entry>"));
    Item { id: id.to_owned(), publisher: jid("hamlet@denmark.lit/elsinore"), published_at: now(), payload: Some(payload) }
}

fn publish(ids: &[&str], max_items: usize) -> Change {
    Change::Publish { items: ids.iter().map(|id| item(id)).collect(), persist: true, max_items, expires_at: None }
}

async fn create(store: &Store, node: &Node) {
    store.pubsub().commit(&node.address, vec![Change::Create(Box::new(node.clone()))]).await.unwrap();
}

async fn load(store: &Store, address: &NodeAddress) -> Option<Node> {
    store.pubsub().load(address, now()).await.unwrap()
}

async fn account(store: &Store, name: &str) -> BareJid {
    let account = bare(name);
    store.accounts().create(&account, &crate::auth::ScramSet::default()).await.unwrap();
    account
}

async fn ids(store: &Store, address: &NodeAddress) -> Vec<String> {
    let all = ItemsQuery::Page(Request::default());
    let page = store.pubsub().items(address, &all, now(), 1_000, usize::MAX).await.unwrap().unwrap();
    page.items.into_iter().map(|item| item.id).collect()
}

pub async fn a_node_is_kept_whole(store: &Store) {
    let pubsub = store.pubsub();
    let address = host("princely_musings");
    assert_eq!(load(store, &address).await, None);
    let mut node = leaf("princely_musings");
    node.config.title = "Princely Musings <☾> '".to_owned();
    node.config.access_model = AccessModel::Roster;
    node.config.roster_groups_allowed = vec!["friends".to_owned(), "cour,tiers".to_owned()];
    node.config.item_expire = Some(UpTo::Number(604_800));
    node.config.contact = vec![jid("hamlet@denmark.lit")];
    node.affiliations.insert(bare("polonius@denmark.lit"), Affiliation::Outcast);
    for (at, subid) in [("bernardo@denmark.lit/x", "a"), ("bernardo@denmark.lit", "a"), ("bernardo@denmark.lit", "b")] {
        let mut one = subscription(jid(at), subid);
        one.options.deliver = subid == "a";
        one.options.expire = if subid == "b" { Expire::At(now() + HOUR) } else { Expire::Presence };
        node.subscriptions.insert((one.jid.clone(), one.subid.clone()), one);
    }
    create(store, &node).await;
    assert_eq!(load(store, &address).await, Some(node.clone()));
    let again = pubsub.commit(&address, vec![Change::Create(Box::new(node.clone()))]).await;
    assert!(matches!(again, Err(StoreError::NodeExists { .. })), "{again:?}");

    // Every change of a node, and the node in memory would be the same.
    node.config.title = String::new();
    node.config.access_model = AccessModel::Whitelist;
    node.config.item_expire = None;
    node.affiliations.insert(bare("horatio@denmark.lit"), Affiliation::Publisher);
    node.affiliations.remove(&bare("polonius@denmark.lit"));
    let mut changed = subscription(jid("bernardo@denmark.lit"), "a");
    changed.state = SubscriptionState::Pending;
    node.subscriptions.insert((changed.jid.clone(), "a".to_owned()), changed.clone());
    node.subscriptions.remove(&(jid("bernardo@denmark.lit"), "b".to_owned()));
    node.last_item = Some(Item { payload: None, ..item("two") });
    let changes = vec![
        Change::Configure(Box::new(node.config.clone())),
        Change::Affiliate(bare("horatio@denmark.lit"), Affiliation::Publisher),
        Change::Affiliate(bare("polonius@denmark.lit"), Affiliation::None),
        Change::Subscribe(Box::new(changed)),
        Change::Unsubscribe { jid: jid("bernardo@denmark.lit"), subid: "b".to_owned() },
        publish(&["one"], 10),
        Change::Publish { items: node.last_item.iter().cloned().collect(), persist: true, max_items: 10, expires_at: None },
    ];
    assert_eq!(pubsub.commit(&address, changes).await.unwrap(), Committed::default());
    assert_eq!(load(store, &address).await, Some(node.clone()));

    pubsub.commit(&address, vec![Change::Delete { redirect: None }]).await.unwrap();
    assert_eq!(load(store, &address).await, None);
    let gone = pubsub.commit(&address, vec![Change::Purge]).await;
    assert!(matches!(gone, Err(StoreError::NoSuchNode { .. })), "{gone:?}");
    assert!(pubsub.subscriptions_of(&address.service, &bare("bernardo@denmark.lit")).await.unwrap().is_empty());
    // Nothing of the first one is left to a second one of its name.
    create(store, &leaf("princely_musings")).await;
    assert_eq!(ids(store, &address).await, [""; 0]);
}

pub async fn a_command_is_whole_or_not_at_all(store: &Store) {
    let pubsub = store.pubsub();
    let (one, other) = (leaf("one"), leaf("other"));
    create(store, &one).await;
    let before = load(store, &one.address).await;
    let commands = vec![
        (one.address.clone(), vec![publish(&["a"], 10), Change::Affiliate(bare("x@y"), Affiliation::Member)]),
        (other.address.clone(), vec![Change::Create(Box::new(other.clone())), publish(&["b"], 10)]),
        (host("missing"), vec![Change::Purge]),
    ];
    let failed = pubsub.commit_all(commands).await;
    assert!(matches!(&failed, Err(StoreError::NoSuchNode { node, .. }) if node == "missing"), "{failed:?}");
    assert_eq!(load(store, &one.address).await, before);
    assert_eq!(load(store, &other.address).await, None);
}

/// RFC 7622 §3.1: an address may have 3,071 bytes, which an index of PostgreSQL does not take where they cannot be compressed.
pub async fn the_longest_names_are_stored_or_refused(store: &Store) {
    let random = |length: usize| {
        let digits = (0..length).map(|_| char::from(b'a' + u8::try_from(crate::random::number() % 26).unwrap()));
        digits.collect::<String>()
    };
    let resource = jid(&format!("{}@denmark.lit/{}", random(1_000), random(1_023)));
    let service = format!("{}.lit", [random(63), random(63), random(63)].join("."));
    let long = node(&at(&service, &random(1_023)), ServiceKind::Host, NodeKind::Leaf);
    let subscribe = Change::Subscribe(Box::new(subscription(resource, &random(1_023))));
    let result = store.pubsub().commit(&long.address, vec![Change::Create(Box::new(long.clone())), subscribe]).await;
    match result {
        Ok(_) => assert_eq!(load(store, &long.address).await.unwrap().subscriptions.len(), 1),
        Err(error) => {
            assert!(matches!(error, StoreError::TooLong { .. }), "{error:?}");
            assert_eq!(load(store, &long.address).await, None);
        }
    }
}

pub async fn items_are_kept_in_the_order_of_publication(store: &Store) {
    let pubsub = store.pubsub();
    let address = host("n");
    create(store, &leaf("n")).await;
    create(store, &leaf("m")).await;
    let commit = async |change| pubsub.commit(&address, vec![change]).await.unwrap().evicted;
    assert_eq!(commit(publish(&["a", "b"], 3)).await, [""; 0]);
    assert_eq!(commit(publish(&["c", "a"], 3)).await, [""; 0], "what is published again is the newest");
    assert_eq!(ids(store, &address).await, ["b", "c", "a"]);
    assert_eq!(commit(publish(&["d", "e"], 3)).await, ["b", "c"]);
    assert_eq!(ids(store, &address).await, ["a", "d", "e"]);
    assert_eq!(load(store, &address).await.unwrap().last_item.unwrap().id, "e");
    let last = pubsub.last_ids(&address.service, ["n", "m", "none", "no"]).await.unwrap();
    assert_eq!(last, BTreeMap::from([("m".to_owned(), None), ("n".to_owned(), Some("e".to_owned()))]));
    commit(Change::Retract(vec!["e".to_owned(), "not there".to_owned()])).await;
    assert_eq!(load(store, &address).await.unwrap().last_item.unwrap().id, "d");
    assert_eq!(commit(publish(&["f"], 3)).await, [""; 0]);
    assert_eq!(ids(store, &address).await, ["a", "d", "f"]);
    let volatile = Change::Publish { items: vec![item("g")], persist: false, max_items: 3, expires_at: None };
    assert_eq!(commit(volatile).await, [""; 0]);
    assert_eq!(ids(store, &address).await, ["a", "d", "f"]);

    let mut config = leaf("n").config;
    config.max_items = UpTo::Number(2);
    assert_eq!(commit(Change::Configure(Box::new(config.clone()))).await, ["a"]);
    config.persist_items = false;
    assert_eq!(commit(Change::Configure(Box::new(config))).await, ["d", "f"]);
    commit(publish(&["h"], 3)).await;
    commit(Change::Purge).await;
    assert_eq!(ids(store, &address).await, [""; 0]);
    assert_eq!(load(store, &address).await.unwrap().last_item, None);
}

pub async fn items_are_read_in_pages(store: &Store) {
    let pubsub = store.pubsub();
    let address = host("n");
    create(store, &leaf("n")).await;
    let names: Vec<String> = (0..100).map(|number| format!("i{number:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    pubsub.commit(&address, vec![publish(&all, 1_000)]).await.unwrap();
    // query, most items, most bytes; the items by their numbers, the first one's number, complete
    let check = async |query: ItemsQuery, count, bytes, expected: std::ops::Range<usize>, complete: bool| {
        let page = pubsub.items(&address, &query, now(), count, bytes).await.unwrap().unwrap();
        let found: Vec<&str> = page.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(found, all[expected.clone()], "{query:?}");
        let index = (!expected.is_empty()).then_some(expected.start);
        assert_eq!((page.index, page.count, page.complete), (index, 100, complete), "{query:?}");
    };
    let page = |max, place| ItemsQuery::Page(Request { max, place });
    check(page(None, Place::First), 1_000, usize::MAX, 0..100, true).await;
    check(page(None, Place::First), 50, usize::MAX, 0..50, false).await;
    check(page(None, Place::First), 100, usize::MAX, 0..100, true).await;
    check(page(Some(40), Place::First), 1_000, usize::MAX, 0..40, true).await;
    check(page(Some(0), Place::First), 1_000, usize::MAX, 0..0, true).await;
    check(page(Some(40), Place::After("i39".to_owned())), 1_000, usize::MAX, 40..80, true).await;
    check(page(Some(40), Place::After("i79".to_owned())), 1_000, usize::MAX, 80..100, true).await;
    check(page(Some(40), Place::After("i99".to_owned())), 1_000, usize::MAX, 0..0, true).await;
    check(page(Some(40), Place::Before("i90".to_owned())), 1_000, usize::MAX, 50..90, true).await;
    check(page(Some(3), Place::Last), 1_000, usize::MAX, 97..100, true).await;
    check(page(Some(3), Place::Index(50)), 1_000, usize::MAX, 50..53, true).await;
    check(page(Some(3), Place::Index(100)), 1_000, usize::MAX, 0..0, true).await;
    check(ItemsQuery::Newest(2), 1_000, usize::MAX, 98..100, true).await;
    check(ItemsQuery::Newest(1_000), 1_000, usize::MAX, 0..100, true).await;
    check(ItemsQuery::Newest(1_000), 60, usize::MAX, 40..100, false).await;
    let bytes = items::size_bytes(&item("i00"));
    check(page(None, Place::First), 1_000, bytes * 10, 0..10, false).await;
    check(page(None, Place::First), 1_000, 0, 0..1, false).await;
    check(page(None, Place::Last), 1_000, bytes * 10 - 1, 90..100, false).await;
    check(ItemsQuery::Newest(60), 1_000, bytes * 50, 50..100, false).await;
    let heads = pubsub.item_heads(&address, &ItemsQuery::Newest(2), now(), 1_000).await.unwrap().unwrap();
    assert!(heads.items.iter().map(|item| item.id.as_str()).eq(["i98", "i99"]) && heads.items.iter().all(|item| item.payload.is_none()));
    let missing = page(None, Place::After("none".to_owned()));
    assert_eq!(pubsub.items(&address, &missing, now(), 10, 10).await.unwrap(), None);
    assert_eq!(pubsub.items(&host("missing"), &ItemsQuery::Newest(1), now(), 10, 10).await.unwrap(), None);

    let wanted: Vec<String> = names.iter().rev().step_by(3).cloned().chain(["none".to_owned(), names[0].clone()]).collect();
    let found = pubsub.items(&address, &ItemsQuery::ByIds(wanted.clone()), now(), 100, usize::MAX).await.unwrap().unwrap();
    assert_eq!(found.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), all.iter().step_by(3).copied().collect::<Vec<_>>());
    assert!(found.complete && found.items[0].payload == item("i00").payload);
    let found = pubsub.items(&address, &ItemsQuery::ByIds(wanted.clone()), now(), 100, bytes).await.unwrap().unwrap();
    assert_eq!((found.items.len(), found.complete), (1, false));
    let facts = pubsub.item_facts(&address, &wanted, now()).await.unwrap();
    assert_eq!((facts.len(), &facts[0].publisher), (34, &item("x").publisher));
    assert_eq!(pubsub.item_count(&address, now()).await.unwrap(), 100);
}

pub async fn what_has_expired_is_not_shown_and_goes(store: &Store) {
    let pubsub = store.pubsub();
    let start = now();
    assert_eq!(pubsub.next_expiry().await.unwrap(), None);
    let mut subscriber = subscription(jid("francisco@denmark.lit"), "s");
    subscriber.options.expire = Expire::At(start + 3 * HOUR);
    for name in ["n", "m"] {
        let mut node = leaf(name);
        node.subscriptions.insert((subscriber.jid.clone(), subscriber.subid.clone()), subscriber.clone());
        create(store, &node).await;
    }
    for (node, id, expires_at) in
        [("n", "a", Some(start + HOUR)), ("n", "b", Some(start + 2 * HOUR)), ("m", "c", Some(start + HOUR)), ("m", "d", None)]
    {
        let publish = Change::Publish { items: vec![item(id)], persist: true, max_items: 10, expires_at };
        pubsub.commit(&host(node), vec![publish]).await.unwrap();
    }
    assert_eq!(pubsub.next_expiry().await.unwrap(), Some(start + HOUR));
    assert_eq!(pubsub.due(start, 100).await.unwrap(), Due::default());
    let (later, n, m) = (start + HOUR, host("n"), host("m"));
    assert_eq!((pubsub.item_count(&n, later).await.unwrap(), pubsub.item_count(&m, later).await.unwrap()), (1, 1));
    assert_eq!(pubsub.load(&n, later).await.unwrap().unwrap().last_item.unwrap().id, "b");
    assert_eq!(pubsub.load(&n, start + 2 * HOUR).await.unwrap().unwrap().last_item, None);
    let newest = pubsub.items(&n, &ItemsQuery::Newest(10), later, 10, usize::MAX).await.unwrap().unwrap();
    assert_eq!((newest.items.len(), newest.index, newest.count), (1, Some(0), 1));
    assert!(pubsub.item_facts(&n, &["a".to_owned()], later).await.unwrap().is_empty());

    let mut due = pubsub.due(later, 100).await.unwrap();
    due.items.sort_by(|a, b| a.address.cmp(&b.address));
    let of = |address: &NodeAddress, id: &str| DueItems { address: address.clone(), ids: vec![id.to_owned()] };
    assert_eq!(due, Due { items: vec![of(&m, "c"), of(&n, "a")], subscriptions: Vec::new() });
    assert_eq!(pubsub.due(later, 1).await.unwrap().items.len(), 1);
    pubsub.commit(&n, vec![Change::Retract(vec!["a".to_owned()])]).await.unwrap();
    pubsub.commit(&m, vec![Change::Retract(vec!["c".to_owned()])]).await.unwrap();
    assert_eq!(pubsub.next_expiry().await.unwrap(), Some(start + 2 * HOUR));
    pubsub.commit(&n, vec![Change::Purge]).await.unwrap();
    assert_eq!(pubsub.next_expiry().await.unwrap(), Some(start + 3 * HOUR));
    let due = pubsub.due(start + 3 * HOUR, 100).await.unwrap();
    assert!(due.items.is_empty() && due.subscriptions.len() == 2);
    assert_eq!(due.subscriptions[0].subscriptions, [(subscriber.jid.clone(), "s".to_owned())]);

    // Another life of items counts from their publication.
    let mut config = leaf("n").config;
    let old = Item { published_at: start - 2 * HOUR, ..item("old") };
    let items = vec![old, item("new")];
    pubsub.commit(&n, vec![Change::Publish { items, persist: true, max_items: 10, expires_at: None }]).await.unwrap();
    config.item_expire = Some(UpTo::Number(5_400));
    assert_eq!(pubsub.commit(&n, vec![Change::Configure(Box::new(config.clone()))]).await.unwrap().evicted, ["old"]);
    assert_eq!(pubsub.item_count(&n, start + HOUR).await.unwrap(), 1);
    assert_eq!(pubsub.item_count(&n, start + 2 * HOUR).await.unwrap(), 0);
    config.item_expire = Some(UpTo::Max);
    assert!(pubsub.commit(&n, vec![Change::Configure(Box::new(config))]).await.unwrap().evicted.is_empty());
    assert_eq!(pubsub.item_count(&n, start + 24 * HOUR).await.unwrap(), 1);
}

pub async fn xep0248_collections(store: &Store) {
    let pubsub = store.pubsub();
    let service = bare("pubsub.shakespeare.lit");
    for name in ["", "blogs", "news"] {
        create(store, &node(&host(name), ServiceKind::Host, NodeKind::Collection)).await;
    }
    let mut musings = leaf("princely_musings");
    musings.config.collection = vec!["news".to_owned(), "blogs".to_owned()];
    create(store, &musings).await;
    let mut rumors = leaf("kingly_rumors");
    create(store, &rumors).await;
    rumors.config.collection = vec!["blogs".to_owned()];
    rumors.config.title = "Rumors".to_owned();
    pubsub.commit(&rumors.address, vec![Change::Configure(Box::new(rumors.config.clone()))]).await.unwrap();
    assert_eq!(load(store, &musings.address).await, Some(musings.clone()));

    let names = |page: NodesPage| page.nodes.into_iter().map(|entry| entry.node).collect::<Vec<_>>();
    let children = async |name: &str| names(pubsub.children(&host(name), &Request::default(), 10).await.unwrap());
    assert_eq!(children("blogs").await, ["kingly_rumors", "princely_musings"]);
    assert_eq!(children("news").await, ["princely_musings"]);
    assert_eq!(pubsub.child_names(&host("blogs"), 1).await.unwrap(), ["kingly_rumors"]);
    assert_eq!(names(pubsub.top_level(&service, &Request::default(), 10).await.unwrap()), ["blogs", "news"]);
    let all = ["blogs", "kingly_rumors", "news", "princely_musings"];
    let check = async |max, place: Place, expected: std::ops::Range<usize>| {
        let page = pubsub.nodes(&service, &Request { max, place: place.clone() }, 10).await.unwrap();
        assert_eq!((page.index, page.count), ((!expected.is_empty()).then_some(expected.start), 4), "{place:?}");
        assert_eq!(names(page), all[expected], "{place:?}");
    };
    check(None, Place::First, 0..4).await;
    check(Some(0), Place::First, 0..0).await;
    check(Some(3), Place::Last, 1..4).await;
    check(Some(2), Place::After("blogs".to_owned()), 1..3).await;
    check(Some(2), Place::Before("princely_musings".to_owned()), 1..3).await;
    check(Some(2), Place::Before("b".to_owned()), 0..0).await;
    check(Some(2), Place::Index(3), 3..4).await;
    let entry = &pubsub.children(&host("blogs"), &Request::default(), 1).await.unwrap().nodes[0];
    assert_eq!((entry.kind, entry.title.as_str(), entry.access_model), (NodeKind::Leaf, "Rumors", AccessModel::Open));

    // §7.2.4: a leaf that becomes a collection is one.
    let mut becomes = leaf("becomes");
    create(store, &becomes).await;
    becomes.config.node_type = NodeKind::Collection;
    pubsub.commit(&becomes.address, vec![Change::Configure(Box::new(becomes.config.clone()))]).await.unwrap();
    becomes.kind = NodeKind::Collection;
    assert_eq!(load(store, &becomes.address).await, Some(becomes.clone()));
    pubsub.commit(&becomes.address, vec![Change::Delete { redirect: None }]).await.unwrap();

    let missing = NodeConfig { collection: vec!["nowhere".to_owned()], ..rumors.config.clone() };
    let failed = pubsub.commit(&rumors.address, vec![Change::Configure(Box::new(missing))]).await;
    assert!(matches!(&failed, Err(StoreError::NoSuchNode { node, .. }) if node == "nowhere"), "{failed:?}");
    // Nodes of a deleted collection have one less.
    pubsub.commit(&host("news"), vec![Change::Delete { redirect: None }]).await.unwrap();
    assert_eq!(load(store, &musings.address).await.unwrap().config.collection, ["blogs"]);
}

pub async fn s8_4_2_redirections_are_bounded(store: &Store) {
    let pubsub = store.pubsub();
    let uri = |name: &str| Some(format!("xmpp:pubsub.shakespeare.lit?;node={name}"));
    for number in 0..=REDIRECTS_MAX {
        let name = format!("n{number}");
        let changes = vec![Change::Create(Box::new(leaf(&name))), Change::Delete { redirect: uri(&name) }];
        pubsub.commit(&host(&name), changes).await.unwrap();
    }
    assert_eq!(pubsub.redirect(&host("n0")).await.unwrap(), None, "the oldest is forgotten");
    assert_eq!(pubsub.redirect(&host("n1")).await.unwrap(), uri("n1"));
    create(store, &leaf("n1")).await;
    assert_eq!(pubsub.redirect(&host("n1")).await.unwrap(), None, "there is a node of that name again");
    pubsub.commit(&host("n1"), vec![Change::Delete { redirect: None }]).await.unwrap();
    assert_eq!(pubsub.redirect(&host("n1")).await.unwrap(), None);
}

pub async fn s5_6_and_s5_7_an_entity_finds_its_subscriptions_and_affiliations(store: &Store) {
    let pubsub = store.pubsub();
    let (service, francisco, hamlet) = (bare("pubsub.shakespeare.lit"), bare("francisco@denmark.lit"), bare("hamlet@denmark.lit"));
    for name in ["b", "a"] {
        let mut node = leaf(name);
        node.affiliations.insert(francisco.clone(), Affiliation::Publisher);
        for (at, subid, state) in [
            ("francisco@denmark.lit", "1", SubscriptionState::Subscribed),
            ("francisco@denmark.lit/barracks", "2", if name == "a" { SubscriptionState::Pending } else { SubscriptionState::Unconfigured }),
            ("francisco2@denmark.lit", "3", SubscriptionState::Subscribed),
        ] {
            let one = Subscription { state, ..subscription(jid(at), subid) };
            node.subscriptions.insert((one.jid.clone(), one.subid.clone()), one);
        }
        create(store, &node).await;
    }
    create(store, &node(&at("pubsub.other.lit", "c"), ServiceKind::Host, NodeKind::Leaf)).await;
    let subscriptions = pubsub.subscriptions_of(&service, &francisco).await.unwrap();
    let found: Vec<_> = subscriptions.iter().map(|(node, one)| (node.as_str(), one.subid.as_str(), one.state.name())).collect();
    assert_eq!(found, [("a", "1", "subscribed"), ("a", "2", "pending"), ("b", "1", "subscribed"), ("b", "2", "unconfigured")]);
    let everywhere = pubsub.subscriptions_everywhere(&francisco).await.unwrap();
    let expected: Vec<_> = subscriptions.into_iter().map(|(node, subscription)| (host(&node), subscription)).collect();
    assert_eq!(everywhere, expected);
    let affiliations = pubsub.affiliations_of(&service, &francisco).await.unwrap();
    assert_eq!(affiliations, [("a".to_owned(), Affiliation::Publisher), ("b".to_owned(), Affiliation::Publisher)]);
    assert_eq!(pubsub.subscription_count(&francisco).await.unwrap(), 4);
    assert_eq!((pubsub.owned(&service, &hamlet).await.unwrap(), pubsub.owned(&service, &francisco).await.unwrap()), (2, 0));
    assert_eq!(pubsub.node_count(&service).await.unwrap(), 2);
    assert_eq!(pubsub.pending_at(&service, &hamlet).await.unwrap(), ["a"]);
    assert!(pubsub.pending_at(&service, &francisco).await.unwrap().is_empty());
}

pub async fn an_account_takes_its_nodes_and_what_it_has_elsewhere_along(store: &Store) {
    let pubsub = store.pubsub();
    let (hamlet, horatio) = (account(store, "hamlet@denmark.lit").await, account(store, "horatio@denmark.lit").await);
    let nowhere = node(&at("nobody@denmark.lit", "n"), ServiceKind::Pep, NodeKind::Leaf);
    let failed = pubsub.commit(&nowhere.address, vec![Change::Create(Box::new(nowhere.clone()))]).await;
    assert!(matches!(failed, Err(StoreError::NoSuchAccount(_))), "{failed:?}");

    let (own, others) = (at("hamlet@denmark.lit", "tune"), at("horatio@denmark.lit", "tune"));
    for address in [&own, &others] {
        create(store, &node(address, ServiceKind::Pep, NodeKind::Leaf)).await;
        pubsub.commit(address, vec![publish(&["current"], 1)]).await.unwrap();
    }
    let deleted = vec![
        Change::Create(Box::new(node(&at("hamlet@denmark.lit", "old"), ServiceKind::Pep, NodeKind::Leaf))),
        Change::Delete { redirect: Some("xmpp:x".to_owned()) },
    ];
    pubsub.commit(&at("hamlet@denmark.lit", "old"), deleted).await.unwrap();
    create(store, &leaf("his alone")).await;
    let mut shared = leaf("shared");
    shared.affiliations.insert(horatio.clone(), Affiliation::Owner);
    create(store, &shared).await;
    for address in [&others, &shared.address] {
        let changes = vec![
            Change::Subscribe(Box::new(subscription(jid("hamlet@denmark.lit/a"), "1"))),
            Change::Subscribe(Box::new(subscription(jid("horatio@denmark.lit"), "2"))),
            Change::Affiliate(hamlet.clone(), Affiliation::Owner),
        ];
        pubsub.commit(address, changes).await.unwrap();
    }
    let with = pubsub.nodes_with(&hamlet).await.unwrap();
    assert_eq!(with, [own.clone(), others.clone(), host("his alone"), shared.address.clone()]);

    assert!(store.accounts().delete(&hamlet).await.unwrap());
    for gone in [&own, &host("his alone")] {
        assert_eq!(load(store, gone).await, None, "{gone:?}");
    }
    assert_eq!(pubsub.redirect(&at("hamlet@denmark.lit", "old")).await.unwrap(), None);
    for left in [&others, &shared.address] {
        let node = load(store, left).await.unwrap();
        assert_eq!(node.affiliations, BTreeMap::from([(horatio.clone(), Affiliation::Owner)]));
        assert_eq!(node.subscriptions.keys().map(|(jid, _)| jid.as_str()).collect::<Vec<_>>(), ["horatio@denmark.lit"]);
    }
    assert!(pubsub.nodes_with(&hamlet).await.unwrap().is_empty());

    // What a session has stored while it ended goes, too; not what the next account of that name has.
    let late = vec![
        Change::Subscribe(Box::new(subscription(jid("hamlet@denmark.lit/a"), "1"))),
        Change::Affiliate(hamlet.clone(), Affiliation::Owner),
    ];
    pubsub.commit(&others, late.clone()).await.unwrap();
    pubsub.remove_again(&hamlet).await.unwrap();
    assert!(pubsub.nodes_with(&hamlet).await.unwrap().is_empty());
    account(store, "hamlet@denmark.lit").await;
    pubsub.commit(&others, late).await.unwrap();
    pubsub.remove_again(&hamlet).await.unwrap();
    assert_eq!(pubsub.nodes_with(&hamlet).await.unwrap(), [others]);
}

pub async fn bytes_are_bounded(store: &Store) {
    let pubsub = store.pubsub().bounded(30_000);
    let (hamlet, horatio) = (account(store, "hamlet@denmark.lit").await, account(store, "horatio@denmark.lit").await);
    let large = |id: &str, bytes: usize| Change::Publish {
        items: vec![Item { payload: Some(Bytes::from("x".repeat(bytes))), ..item(id) }],
        persist: true,
        max_items: 2,
        expires_at: None,
    };
    let commit = async |address: &NodeAddress, change: Change| pubsub.commit(address, vec![change]).await;
    let refused = |outcome: Result<Committed, StoreError>| assert!(matches!(outcome, Err(StoreError::Full)), "{outcome:?}");
    let (one, other, own) = (host("one"), host("other"), at("hamlet@denmark.lit", "own"));
    let mut shared = leaf("one");
    shared.affiliations.insert(horatio.clone(), Affiliation::Owner);
    for node in [&shared, &leaf("other"), &node(&own, ServiceKind::Pep, NodeKind::Leaf)] {
        create(store, node).await;
    }
    commit(&one, large("a", 10_000)).await.unwrap();
    commit(&other, large("a", 10_000)).await.unwrap();
    refused(commit(&one, large("b", 10_000)).await);
    assert_eq!(ids(store, &one).await, ["a"], "nothing is stored of what is refused");
    let wordy = NodeConfig { description: "x".repeat(10_000), ..shared.config.clone() };
    refused(commit(&one, Change::Configure(Box::new(wordy.clone()))).await);
    refused(commit(&host("new"), Change::Create(Box::new(Node { config: wordy, ..leaf("new") }))).await);

    // The account's own nodes are another sum.
    commit(&own, large("a", 20_000)).await.unwrap();
    refused(commit(&own, large("b", 10_000)).await);

    // What replaces as much, and what makes less, even where too much is kept already.
    commit(&one, large("a", 10_000)).await.unwrap();
    let lowered = store.pubsub().bounded(1_000);
    lowered.commit(&one, vec![large("a", 9_000)]).await.unwrap();
    lowered.commit(&one, vec![Change::Configure(Box::new(shared.config.clone()))]).await.unwrap();
    commit(&one, Change::Retract(vec!["a".to_owned()])).await.unwrap();
    commit(&other, large("b", 10_000)).await.unwrap();
    // With each of these one of the two goes.
    commit(&other, large("c", 10_000)).await.unwrap();
    commit(&other, Change::Purge).await.unwrap();
    commit(&one, large("a", 20_000)).await.unwrap();

    // What is not deleted with its maker counts for whoever owns it.
    create(store, &Node { creator: horatio.clone(), affiliations: [(horatio, Affiliation::Owner)].into(), ..leaf("his") }).await;
    commit(&host("his"), large("a", 10_000)).await.unwrap();
    assert!(store.accounts().delete(&hamlet).await.unwrap());
    refused(commit(&host("his"), large("b", 1_000)).await);
    commit(&one, Change::Purge).await.unwrap();
    commit(&host("his"), large("b", 1_000)).await.unwrap();
}

pub async fn xep0163_s4_3_4_last_items_for_whoever_comes_online(store: &Store) {
    let pubsub = store.pubsub();
    let juliet = account(store, "juliet@capulet.lit").await;
    let viewer = jid("juliet@capulet.lit/balcony");
    let names = ["tune", "mood"];
    // contact, how the contact's roster has juliet, whether her items are told
    let contacts = [
        ("benvolio@montague.lit", RosterSubscription::From, true),
        ("mercutio@montague.lit", RosterSubscription::To, false),
        ("romeo@montague.lit", RosterSubscription::Both, true),
    ];
    for (name, subscription, _) in contacts {
        let contact = account(store, name).await;
        let theirs = RosterItem { subscription, groups: vec!["Friends".to_owned()], ..RosterItem::new(juliet.clone()) };
        store.rosters().set(&contact, &theirs).await.unwrap();
        store.rosters().set(&juliet, &RosterItem::new(contact)).await.unwrap();
        for node_name in [names[0], names[1], "silent", "other", "empty"] {
            let mut node = node(&at(name, node_name), ServiceKind::Pep, NodeKind::Leaf);
            node.config.max_items = UpTo::Number(10);
            node.config.send_last_published_item = if node_name == "silent" { SendLast::OnSub } else { SendLast::OnSubAndPresence };
            if node_name == "mood" {
                node.affiliations.insert(juliet.clone(), Affiliation::Outcast);
            }
            create(store, &node).await;
            if node_name != "empty" {
                pubsub.commit(&node.address, vec![publish(&["older", "newer"], 10)]).await.unwrap();
            }
        }
    }
    let interests: Vec<String> = ["x", "silent", "empty"].into_iter().chain(names).map(str::to_owned).collect();
    let expected: Vec<NodeAddress> =
        contacts.iter().filter(|(.., told)| *told).flat_map(|(name, ..)| [at(name, "mood"), at(name, "tune")]).collect();
    let page = pubsub.last_items_of_contacts(&viewer, &interests, now(), None, usize::MAX).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.address.clone()).collect::<Vec<_>>(), expected);
    assert!(page.next.is_none() && page.items.iter().all(|last| last.item.id == "newer" && last.groups == ["Friends"]));
    assert_eq!((page.items[0].affiliation, page.items[1].affiliation), (Affiliation::Outcast, Affiliation::None));

    // The same one by one, and with more names than one statement takes.
    let many: Vec<String> = ["mood".to_owned()].into_iter().chain((0..40).map(|n| format!("n{n}"))).chain(["tune".to_owned()]).collect();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = pubsub.last_items_of_contacts(&viewer, &many, now(), cursor.as_ref(), 1).await.unwrap();
        assert!(page.items.len() <= 1);
        found.extend(page.items.into_iter().map(|item| item.address));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(pubsub.last_items_of_contacts(&viewer, &[], now(), None, 1).await.unwrap().items.is_empty());

    let romeo = bare("romeo@montague.lit");
    let of_romeo = pubsub.last_items_of(&romeo, &viewer, &many, now(), None, usize::MAX).await.unwrap().items;
    assert_eq!(
        of_romeo.iter().map(|last| (last.address.node.as_str(), last.affiliation.name())).collect::<Vec<_>>(),
        [("mood", "outcast"), ("tune", "none")]
    );
    assert_eq!((of_romeo[0].groups.len(), &of_romeo[0].subscription), (1, &None));
    let first = pubsub.last_items_of(&romeo, &viewer, &many, now(), None, 1).await.unwrap();
    let second = pubsub.last_items_of(&romeo, &viewer, &many, now(), first.next.as_ref(), usize::MAX).await.unwrap();
    assert_eq!([first.items, second.items].concat(), of_romeo);
    assert!(of_romeo.iter().all(|last| last.shows_presence));
    let own = pubsub.last_items_of(&romeo, &romeo, &many, now(), None, usize::MAX).await.unwrap().items;
    assert!(own.len() == 2 && own[0].affiliation == Affiliation::Owner && own[0].groups.is_empty());

    // XEP-0191 §6: each kind of address by which she may be blocked.
    let benvolio = bare("benvolio@montague.lit");
    for (blocked, told) in [
        ("juliet@capulet.lit", false),
        ("juliet@capulet.lit/balcony", false),
        ("capulet.lit", false),
        ("capulet.lit/balcony", false),
        ("juliet@capulet.lit/chamber", true),
    ] {
        store.blocks().clear(&benvolio).await.unwrap();
        store.blocks().add(&benvolio, vec![jid(blocked)]).await.unwrap();
        let page = pubsub.last_items_of_contacts(&viewer, &interests, now(), None, usize::MAX).await.unwrap();
        assert_eq!(page.items.iter().any(|last| last.address.service == benvolio), told, "{blocked}");
        assert_eq!(
            pubsub.last_items_of(&benvolio, &viewer, &interests, now(), None, usize::MAX).await.unwrap().items.is_empty(),
            !told,
            "{blocked}"
        );
    }

    // Explicit subscriptions, at any service.
    let mut weather = leaf("weather");
    weather.config.send_last_published_item = SendLast::OnSubAndPresence;
    create(store, &weather).await;
    pubsub.commit(&weather.address, vec![publish(&["rain"], 10)]).await.unwrap();
    for (address, subids) in
        [(&weather.address, &["1", "2"][..]), (&at("romeo@montague.lit", "tune"), &["3"]), (&at("romeo@montague.lit", "silent"), &["4"])]
    {
        for subid in subids {
            let change = Change::Subscribe(Box::new(subscription(jid("juliet@capulet.lit/balcony"), subid)));
            pubsub.commit(address, vec![change]).await.unwrap();
        }
    }
    let pending = Subscription { state: SubscriptionState::Pending, ..subscription(jid("juliet@capulet.lit"), "5") };
    pubsub.commit(&weather.address, vec![Change::Subscribe(Box::new(pending))]).await.unwrap();
    let subids = |page: &LastItems| page.items.iter().map(|last| last.subscription.clone().unwrap().subid).collect::<Vec<_>>();
    let page = pubsub.last_items_of_subscriptions(&viewer, now(), None, usize::MAX).await.unwrap();
    assert_eq!((subids(&page), &page.next), (vec!["3".to_owned(), "1".to_owned(), "2".to_owned()], &None));
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = pubsub.last_items_of_subscriptions(&viewer, now(), cursor.as_ref(), 1).await.unwrap();
        found.extend(subids(&page));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["3", "1", "2"]);
    store.blocks().add(&romeo, vec![jid("juliet@capulet.lit")]).await.unwrap();
    let page = pubsub.last_items_of_subscriptions(&viewer, now(), None, usize::MAX).await.unwrap();
    assert_eq!(subids(&page), ["1", "2"]);

    // A payload that is read by itself.
    let large = Item { payload: Some(Bytes::from(format!("<x xmlns='urn:x'>{}</x>", "y".repeat(10_000)))), ..item("large") };
    let change = Change::Publish { items: vec![large.clone()], persist: true, max_items: 10, expires_at: None };
    pubsub.commit(&weather.address, vec![change]).await.unwrap();
    assert_eq!(pubsub.last_items_of_subscriptions(&viewer, now(), None, 1).await.unwrap().items[0].item, large);
}

/// SQLite's planner chooses without statistics; a whole table read for each publication would pass every other test.
#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let folder = super::super::TemporaryFolder::new();
    let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), folder.path()).await.unwrap();
    let statements = change::STATEMENTS.into_iter().chain(entity::STATEMENTS).chain(expiry::STATEMENTS).chain(load::STATEMENTS);
    let statements = statements.chain(quota::STATEMENTS);
    for sql in statements.chain(items::statements()).chain(last::statements()).chain(listing::statements()) {
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let mut plan = Vec::new();
        for row in store.database.fetch_all("explain", explain, &[]).await.unwrap() {
            plan.push(row.text(3).unwrap());
        }
        println!("{sql}\n    {}", plan.join("\n    "));
        // A part of an index is searched; what is scanned is the small result of another part.
        let whole =
            |line: &String| line.starts_with("SCAN") && !line.contains("next") && !line.contains("CONSTANT") && !line.contains("(subquery");
        assert!(!plan.iter().any(whole), "{sql}: {plan:#?}");
    }
    store.close().await;
}
