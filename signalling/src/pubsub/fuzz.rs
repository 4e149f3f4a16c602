//! For `features/fuzz.rs`: any element as a request and as a form, put to nodes of each kind. Refusals are fine, panics are not, and what is stored
//! reads the same again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::config::NodeConfig;
use super::context::{Context, Facts, Limits, Relation, Standing};
use super::event::Variant;
use super::model::{Affiliation, Node, NodeAddress, NodeKind, ServiceKind};
use super::node::{handle, wants};
use super::options::SubscribeOptions;
use super::request::Request;
use crate::forms::Form;
use crate::jid::{BareJid, Jid};
use crate::xml;

const LIMITS: Limits = Limits { nodes: 5, items: 10, payload_bytes: 1000, subscriptions: 20, subscriptions_per_account: 10 };

/// Takes an element for a request of either type, and for what contains a form.
///
/// # Panics
/// When a promise is broken.
pub fn element(element: xml::Node<'_>) {
    for set in [false, true] {
        if let Ok(request) = Request::read(element, set) {
            put(&request);
        }
    }
    if let Ok(form) = Form::read(element) {
        if let Ok(Some(request)) = Request::read_message(&form) {
            put(&request);
        }
        forms(&form);
    }
}

fn forms(form: &Form) {
    for (service, kind) in [(ServiceKind::Host, NodeKind::Leaf), (ServiceKind::Pep, NodeKind::Collection)] {
        let default = NodeConfig::default_for(service, kind);
        if let Ok(submitted) = default.submit(form, &LIMITS) {
            stored(&submitted.config);
        }
        if let Ok(config) = default.with_options(form, &LIMITS) {
            assert_eq!(config.check_options(form, &LIMITS), Ok(()), "what options configure meets them");
            stored(&config);
        }
        let offered = node(kind, service).offered();
        if let Ok(options) = SubscribeOptions::new().submit(form, offered, SystemTime::UNIX_EPOCH) {
            assert_eq!(SubscribeOptions::from_stored(&options.to_stored()), Ok(options));
        }
    }
}

fn stored(config: &NodeConfig) {
    let mut read = NodeConfig::from_stored(&config.to_stored(), config.node_type).expect("what is stored can be read");
    read.collection.clone_from(&config.collection);
    assert_eq!(read, *config);
}

fn put(request: &Request) {
    let (owner, stranger) = (jid("owner@example.net/x"), jid("stranger@example.org/y"));
    let next = AtomicU64::new(0);
    let fresh_id = || next.fetch_add(1, Ordering::Relaxed).to_string();
    for service in [ServiceKind::Host, ServiceKind::Pep] {
        let nodes = [None, Some(node(NodeKind::Leaf, service)), Some(node(NodeKind::Collection, service))];
        for (mut node, requester) in nodes.into_iter().flat_map(|node| [(node.clone(), &owner), (node, &stranger)]) {
            drop(wants(node.as_ref(), request, &Standing { requester, administers: false, may_create: true }));
            let context = Context {
                service: &address(),
                kind: service,
                requester,
                relation: &Relation::default(),
                may_create: true,
                now: SystemTime::UNIX_EPOCH,
                limits: &LIMITS,
                fresh_id: &fresh_id,
                facts: &Facts::default(),
            };
            let Ok(outcome) = handle(node.as_ref(), request, &context) else { continue };
            for notification in &outcome.notifications {
                // Content that is not well-formed would be a panic here.
                drop(notification.event.template(&Variant::default()));
            }
            if let Some(node) = &mut node {
                for change in &outcome.changes {
                    node.apply(change);
                }
                assert!(node.owners().next().is_some(), "an owner remains");
            }
        }
    }
}

fn node(kind: NodeKind, service: ServiceKind) -> Node {
    let owner = jid("owner@example.net/x").to_bare();
    Node {
        address: NodeAddress { service: address(), node: "n".to_owned() },
        service,
        kind,
        creator: owner.clone(),
        created_at: SystemTime::UNIX_EPOCH,
        config: NodeConfig::default_for(service, kind),
        affiliations: [(owner, Affiliation::Owner)].into(),
        subscriptions: std::collections::BTreeMap::new(),
        last_item: None,
    }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn address() -> BareJid {
    BareJid::parse("pubsub.example.net").expect("an address")
}
