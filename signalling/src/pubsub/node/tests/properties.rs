//! Any requests in any order: memory and store agree, an owner remains, nothing grows beyond its bound, and nobody is told who may not be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::pubsub::access;
use crate::pubsub::config::AccessModel;
use crate::pubsub::event::Topic;
use crate::pubsub::model::NodeKind;

/// What the store keeps, written from the changes' meaning and not from [`Node::apply`].
#[derive(Debug, Clone)]
struct Stored {
    node: Node,
    /// Oldest first.
    items: Vec<Item>,
}

impl Stored {
    /// Returns the ids of items that had to go.
    fn commit(&mut self, change: &Change) -> Vec<String> {
        let node = &mut self.node;
        match change {
            Change::Create(_) | Change::Delete { .. } => {}
            Change::Configure(config) => {
                node.config = (**config).clone();
                node.kind = config.node_type;
                if !config.persist_items {
                    self.items.clear();
                }
                let max = usize::try_from(config.max_items(&LIMITS)).unwrap();
                let excess = self.items.len().saturating_sub(max);
                self.items.drain(..excess);
            }
            Change::Affiliate(jid, affiliation) => {
                node.affiliations.retain(|other, _| other != jid);
                if *affiliation != Affiliation::None {
                    node.affiliations.insert(jid.clone(), *affiliation);
                }
            }
            Change::Subscribe(one) => {
                node.subscriptions.retain(|_, other| (&other.jid, &other.subid) != (&one.jid, &one.subid));
                node.subscriptions.insert((one.jid.clone(), one.subid.clone()), (**one).clone());
            }
            Change::Unsubscribe { jid, subid } => {
                assert!(node.subscriptions.contains_key(&(jid.clone(), subid.clone())), "only what is there ends");
                node.subscriptions.retain(|_, other| (&other.jid, &other.subid) != (jid, subid));
            }
            Change::Publish { items, persist: true, max_items, .. } => {
                for item in items {
                    self.items.retain(|other| other.id != item.id);
                    self.items.push(item.clone());
                }
                let excess = self.items.len().saturating_sub(*max_items);
                return self.items.drain(..excess).map(|item| item.id).collect();
            }
            Change::Publish { .. } => {}
            Change::Retract(ids) => {
                let before = self.items.len();
                self.items.retain(|item| !ids.contains(&item.id));
                assert_eq!(self.items.len(), before - ids.len(), "only what is there is retracted");
            }
            Change::Purge => self.items.clear(),
        }
        Vec::new()
    }
}

const PEOPLE: [&str; 6] = [
    "owner@example.net/x",
    "second@example.net/x",
    "friend@example.net/x",
    "contact@example.net/x",
    "stranger@example.org/x",
    "admin@example.net/x",
];

fn relation(jid: &str) -> Relation {
    match jid.split('@').next() {
        Some("friend") => Relation { sees_presence: true, groups: vec!["friends".to_owned()], administers: false },
        Some("contact") => Relation { sees_presence: true, ..Relation::default() },
        Some("admin") => Relation { administers: true, ..Relation::default() },
        _ => Relation::default(),
    }
}

/// A request by one of the people.
fn request() -> impl Strategy<Value = (usize, bool, String)> {
    let person = 0..PEOPLE.len();
    let other = prop::sample::select(PEOPLE.map(|jid| jid.split('/').next().unwrap_or_default()).to_vec());
    let id = prop::sample::select(vec!["1", "2", "3", "4"]);
    let resource = prop::sample::select(vec!["", "/x"]);
    let affiliation = prop::sample::select(Affiliation::ALL.iter().map(|one| one.name()).collect::<Vec<_>>());
    let state = prop::sample::select(vec!["none", "subscribed", "pending", "unconfigured"]);
    let config = prop::sample::select(vec![
        ("access_model", "open"),
        ("access_model", "presence"),
        ("access_model", "roster"),
        ("access_model", "authorize"),
        ("access_model", "whitelist"),
        ("roster_groups_allowed", "friends"),
        ("publish_model", "open"),
        ("publish_model", "subscribers"),
        ("publish_model", "publishers"),
        ("max_items", "1"),
        ("max_items", "3"),
        ("max_items", "max"),
        ("publish_node_full", "reject"),
        ("publish_node_full", "retract-oldest"),
        ("persist_items", "0"),
        ("persist_items", "1"),
        ("deliver_payloads", "0"),
        ("deliver_payloads", "1"),
        ("notify_sub", "1"),
        ("notify_config", "1"),
        ("subscribe", "0"),
        ("subscribe", "1"),
        ("itemreply", "owner"),
        ("presence_based_delivery", "1"),
        ("node_type", "collection"),
    ]);
    let show = prop::sample::select(vec!["away", "chat", "dnd"]);
    let content = prop_oneof![
        4 => (other.clone(), resource.clone(), prop::option::of(show)).prop_map(|(jid, resource, show)| {
            let options = show.map(|show| format!("<options>{}</options>", form("subscribe_options", &[("show-values", &[show])])));
            format!("<subscribe node='n' jid='{jid}{resource}'/>{}", options.unwrap_or_default())
        }),
        2 => (other.clone(), resource.clone()).prop_map(|(jid, resource)| format!("<unsubscribe node='n' jid='{jid}{resource}'/>")),
        1 => (other.clone(), resource).prop_map(|(jid, resource)| {
            format!("<options node='n' jid='{jid}{resource}'>{}</options>", form("subscribe_options", &[("deliver", &["0"])]))
        }),
        5 => prop::collection::btree_set(id.clone(), 1..3).prop_map(|ids| {
            let items: String = ids.iter().map(|id| format!("<item id='{id}'><p xmlns='urn:p'/></item>")).collect();
            format!("<publish node='n'>{items}</publish>")
        }),
        1 => Just("<publish node='n'/>".to_owned()),
        2 => prop::collection::btree_set(id, 1..3).prop_map(|ids| {
            let items: String = ids.iter().map(|id| format!("<item id='{id}'/>")).collect();
            format!("<retract node='n'>{items}</retract>")
        }),
        1 => Just("owner:<purge node='n'/>".to_owned()),
        4 => config.prop_map(|(var, value)| format!("owner:<configure node='n'>{}</configure>", form("node_config", &[(var, &[value])]))),
        4 => prop::collection::btree_map(other.clone(), affiliation, 1..4).prop_map(|changes| {
            let changes: String = changes.iter().map(|(jid, one)| format!("<affiliation jid='{jid}' affiliation='{one}'/>")).collect();
            format!("owner:<affiliations node='n'>{changes}</affiliations>")
        }),
        3 => prop::collection::btree_map(other, state, 1..4).prop_map(|changes| {
            let changes: String = changes.iter().map(|(jid, state)| format!("<subscription jid='{jid}' subscription='{state}'/>")).collect();
            format!("owner:<subscriptions node='n'>{changes}</subscriptions>")
        }),
    ];
    // Owners ask more often, or nothing would happen.
    (prop_oneof![2 => Just(0), 1 => person], any::<bool>().prop_map(|_| true), content)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_requests_in_any_order(requests in prop::collection::vec(request(), 1..60)) {
        let mut memory = node("n");
        let mut stored = Stored { node: memory.clone(), items: Vec::new() };
        let next = AtomicU64::new(0);
        let fresh_id = || format!("new-{}", next.fetch_add(1, Ordering::Relaxed));
        let relations: BTreeMap<_, _> = PEOPLE.iter().map(|jid| (fixtures::jid(jid).to_bare(), relation(jid))).collect();
        for (person, set, content) in requests {
            let who = Asker { relation: relation(PEOPLE[person]), ..asker(PEOPLE[person]) };
            let facts = Facts {
                publishers: stored.items.iter().map(|item| (item.id.clone(), item.publisher.clone())).collect(),
                count: stored.items.len() as u64,
                relations: relations.clone(),
                subscriptions: relations.keys().map(|account| (account.clone(), memory.subscriptions_of(account).count() as u64)).collect(),
                ..Facts::default()
            };
            let ns = if content.starts_with("owner:") { "#owner" } else { "" };
            let xml = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{}</pubsub>", content.trim_start_matches("owner:"));
            let element = crate::xml::Element::parse(xml.as_bytes(), &crate::xml::Bindings::empty()).unwrap();
            let Ok(request) = Request::read(element.root(), set) else { continue };
            let Ok(outcome) = who.request_with(Some(&memory), &request, &facts, &fresh_id) else { continue };

            let mut last_unknown = false;
            for change in &outcome.changes {
                let evicted = stored.commit(change);
                last_unknown |= memory.apply(change).last_item_unknown;
                prop_assert!(evicted.iter().all(|id| memory.last_item.as_ref().is_none_or(|last| last.id != *id)), "the last item stays");
            }
            if last_unknown {
                memory.last_item = stored.items.last().cloned();
            }

            // Memory and store agree.
            let same = Node { last_item: None, ..memory.clone() };
            prop_assert_eq!(&same, &stored.node, "{}", content);
            if memory.config.persist_items {
                let ids = (memory.last_item.as_ref().map(|last| &last.id), stored.items.last().map(|last| &last.id));
                prop_assert_eq!(ids.0, ids.1, "{}", content);
            }
            // An owner remains, and there are no more of anything than there may be.
            prop_assert!(memory.owners().next().is_some());
            prop_assert!(memory.subscriptions.len() as u64 <= LIMITS.subscriptions);
            prop_assert!(stored.items.len() as u64 <= memory.config.max_items(&LIMITS));
            prop_assert!(memory.kind == NodeKind::Leaf || stored.items.is_empty());
            prop_assert!(memory.subscriptions.iter().all(|((jid, subid), one)| (jid, subid) == (&one.jid, &one.subid)));
            // §14.3: whoever is subscribed may be.
            for one in memory.subscriptions.values() {
                let account = one.jid.to_bare();
                prop_assert!(access::may_receive(&memory, &account, &relations[&account]), "{} after {}", one.jid, content);
                prop_assert!(one.state != SubscriptionState::Pending || memory.config.access_model == AccessModel::Authorize, "{}", content);
            }
            // Each JID is told once, and all that is written is what a stanza may be.
            let mut told: Vec<_> = memory.recipients(Topic::Items).into_iter().flat_map(|group| group.to).collect();
            let all = told.len();
            told.sort();
            told.dedup();
            prop_assert_eq!(told.len(), all);
            for notification in &outcome.notifications {
                for group in memory.recipients(notification.event.topic()) {
                    let _ = notification.event.template(&group.variant);
                }
                let _ = notification_line(notification);
            }
        }
    }
}
