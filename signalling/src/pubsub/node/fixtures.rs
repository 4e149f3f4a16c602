//! Nodes, requests and contexts for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::{Outcome, handle, wants};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::pubsub::config::NodeConfig;
use crate::pubsub::context::{Context, Facts, Limits, Relation, Standing};
use crate::pubsub::model::{Affiliation, Node, NodeAddress, NodeKind, ServiceKind, Subscription, SubscriptionState};
use crate::pubsub::options::SubscribeOptions;
use crate::pubsub::request::Request;
use crate::stanza::error::StanzaError;
use crate::xml::{Bindings, Element};

pub const LIMITS: Limits = Limits { nodes: 5, items: 10, payload_bytes: 1000, subscriptions: 20, subscriptions_per_account: 10 };
pub const SERVICE: &str = "pubsub.example.net";
pub const OWNER: &str = "owner@example.net";

pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

pub fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// A leaf node at a host with the default configuration, owned by `owner@example.net`.
pub fn node(name: &str) -> Node {
    Node {
        address: NodeAddress { service: bare(SERVICE), node: name.to_owned() },
        service: ServiceKind::Host,
        kind: NodeKind::Leaf,
        creator: bare(OWNER),
        created_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_059_519_370),
        config: NodeConfig::default_for(ServiceKind::Host, NodeKind::Leaf),
        affiliations: [(bare(OWNER), Affiliation::Owner)].into(),
        subscriptions: BTreeMap::new(),
        last_item: None,
    }
}

pub fn collection(name: &str) -> Node {
    Node { kind: NodeKind::Collection, config: NodeConfig::default_for(ServiceKind::Host, NodeKind::Collection), ..node(name) }
}

pub fn subscribe(node: &mut Node, jid: &str, subid: &str, state: SubscriptionState) {
    let subscription = Subscription { jid: self::jid(jid), subid: subid.to_owned(), state, options: SubscribeOptions::new() };
    node.subscriptions.insert((subscription.jid.clone(), subscription.subid.clone()), subscription);
}

/// Who asks, and what is known.
pub struct Asker {
    pub jid: Jid,
    pub kind: ServiceKind,
    pub relation: Relation,
    pub may_create: bool,
    pub limits: Limits,
    pub now: SystemTime,
}

pub fn asker(jid: &str) -> Asker {
    Asker {
        jid: self::jid(jid),
        kind: ServiceKind::Host,
        relation: Relation::default(),
        may_create: true,
        limits: LIMITS,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_071_358_717),
    }
}

impl Asker {
    /// Sends an element of `<pubsub/>` to a node. Identifiers that the service gives are `new-1`, `new-2`, ...
    pub fn ask(&self, node: Option<&Node>, set: bool, content: &str, facts: &Facts<'_>) -> Result<Outcome, StanzaError> {
        let owner = [ns::PUBSUB, ns::PUBSUB_OWNER];
        let (ns, content) = match content.strip_prefix("owner:") {
            Some(content) => (owner[1], content),
            None => (owner[0], content),
        };
        let xml = format!("<pubsub xmlns='{ns}'>{content}</pubsub>");
        let element = Element::parse(xml.as_bytes(), &Bindings::client()).unwrap();
        self.request(node, &Request::read(element.root(), set)?, facts)
    }

    pub fn request(&self, node: Option<&Node>, request: &Request, facts: &Facts<'_>) -> Result<Outcome, StanzaError> {
        let ids = AtomicU64::new(1);
        let fresh_id = || format!("new-{}", ids.fetch_add(1, Ordering::Relaxed));
        self.request_with(node, request, facts, &fresh_id)
    }

    pub fn request_with(
        &self,
        node: Option<&Node>,
        request: &Request,
        facts: &Facts<'_>,
        fresh_id: &(dyn Fn() -> String + Sync),
    ) -> Result<Outcome, StanzaError> {
        let service = match self.kind {
            ServiceKind::Host => bare(SERVICE),
            ServiceKind::Pep => bare(OWNER),
        };
        let context = Context {
            service: &service,
            kind: self.kind,
            requester: &self.jid,
            relation: &self.relation,
            may_create: self.may_create,
            now: self.now,
            limits: &self.limits,
            fresh_id,
            facts,
        };
        // Asking what is wanted never fails.
        let standing = Standing { requester: &self.jid, administers: self.relation.administers, may_create: self.may_create };
        let _ = wants(node, request, &standing);
        handle(node, request, &context)
    }
}
