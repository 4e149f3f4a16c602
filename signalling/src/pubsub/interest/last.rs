//! Pays last items: a slice of what is owed, read by one query for all contacts and nodes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::owed::{Debt, Nodes};
use crate::account::Account;
use crate::interests::Interests;
use crate::jid::{BareJid, Jid};
use crate::pubsub::access;
use crate::pubsub::config::{AccessModel, ItemReply, SendLast};
use crate::pubsub::context::Relation;
use crate::pubsub::event::Variant;
use crate::pubsub::model::{Affiliation, Item, Node, NodeAddress, NodeKind, ServiceKind};
use crate::pubsub::options::{ShowValue, SubscribeOptions};
use crate::random;
use crate::router::Router;
use crate::session::{Session, SessionRef};
use crate::stanza::Stanza;
use crate::store::{Cursor, LastItem, LastItems, StoreError};

/// Payloads of one slice.
const SLICE_BYTES: usize = 65_536;
/// How long a database that has failed is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// A last item on its way.
struct Told {
    node: NodeAddress,
    item: Item,
    /// It is told because of an interest, which may be gone by now.
    implicit: bool,
    stanza: Stanza,
}

/// Pays the next slice of what a session is owed.
pub async fn pay(router: &Router, session: &SessionRef) {
    let with_own = |call: &mut dyn FnMut(&mut Session)| {
        session.home.with(|account| account.session(session.id).filter(|own| own.is_available()).into_iter().for_each(call));
    };
    let mut debt = None;
    with_own(&mut |own| debt = own.items_owed.pop());
    let Some(debt) = debt else { return };
    match slice(router, session, &debt).await {
        Ok((mut told, next)) => {
            if debt.after.is_none() {
                told.extend(volatile(router, session, &debt.nodes).await);
            }
            send(router, session, told);
            with_own(&mut |own| {
                if let Some(after) = &next {
                    own.items_owed.put_back(Debt { after: Some(after.clone()), ..debt.clone() });
                }
                own.owe_items(None);
            });
        }
        Err(error) => {
            tracing::error!(jid = %session.jid, %error, "cannot read last items");
            with_own(&mut |own| own.items_owed.put_off(debt.clone()));
            // Nobody waits for it when the server ends.
            tokio::spawn(go_on(session.clone()));
        }
    }
}

/// The rest of what a session is owed, a while after its items could not be read.
async fn go_on(session: SessionRef) {
    tokio::time::sleep(PAUSE).await;
    session.home.with(|account| {
        if let Some(own) = account.session(session.id).filter(|own| own.is_available()) {
            own.owe_items(None);
        }
    });
}

/// Owners of hosts' nodes whose items show them (`pubsub#itemreply`).
async fn owners(router: &Router, items: &[LastItem]) -> Result<BTreeMap<NodeAddress, Vec<BareJid>>, StoreError> {
    let mut owners = BTreeMap::new();
    let Some(pubsub) = router.pubsub() else { return Ok(owners) };
    let shows = |item: &&LastItem| item.address.service.local().is_none() && item.config.itemreply == Some(ItemReply::Owner);
    for LastItem { address, .. } in items.iter().filter(shows) {
        let home = pubsub.nodes.get(address, &pubsub.store, SystemTime::now()).await?;
        owners.insert(address.clone(), home.node().iter().flat_map(|node| node.owners()).cloned().collect());
    }
    Ok(owners)
}

async fn slice(router: &Router, session: &SessionRef, debt: &Debt) -> Result<(Vec<Told>, Option<Cursor>), StoreError> {
    let (store, now, viewer) = (router.store().pubsub(), SystemTime::now(), Jid::from(&session.jid));
    let account = &session.home.jid;
    match &debt.nodes {
        Nodes::Own(names) => {
            let LastItems { items, next } =
                store.last_items_of(account, &viewer, names.as_slice(), now, debt.after.as_ref(), SLICE_BYTES).await?;
            let is_own = |node: &Node| node.affiliations.get(account) == Some(&Affiliation::Owner);
            Ok((told(nodes(items, account), &viewer, is_own, true, now), next))
        }
        Nodes::Contacts(names) => {
            let LastItems { items, next } =
                store.last_items_of_contacts(&viewer, names.as_slice(), now, debt.after.as_ref(), SLICE_BYTES).await?;
            let items = items.into_iter().map(|item| {
                let relation = Relation { sees_presence: true, groups: item.groups.clone(), administers: false };
                (node(item, account), relation)
            });
            let seen = items.filter(|(node, relation)| access::may_retrieve(node, &viewer, relation).is_ok()).map(|(node, _)| node);
            Ok((told(seen.collect(), &viewer, |_| true, true, now), next))
        }
        Nodes::Account { owner, names, groups_before } => {
            let Some(home) = router.home(owner).await? else { return Ok((Vec::new(), None)) };
            let sees_presence = home.with(|owner| owner.shows_presence_to(&viewer));
            let relation = |groups: Vec<String>| Relation { sees_presence, groups, administers: false };
            let LastItems { items, next } =
                store.last_items_of(owner, &viewer, names.as_slice(), now, debt.after.as_ref(), SLICE_BYTES).await?;
            let items = items.into_iter().map(|item| (relation(item.groups.clone()), node(item, account)));
            let is_new = |node: &Node| match groups_before {
                Some(before) => access::may_retrieve(node, &viewer, &relation(before.clone())).is_err(),
                None => sees_presence || node.config.access_model == AccessModel::Open,
            };
            let seen = items.filter(|(relation, node)| access::may_retrieve(node, &viewer, relation).is_ok() && is_new(node));
            Ok((told(seen.map(|(_, node)| node).collect(), &viewer, |_| true, sees_presence, now), next))
        }
        Nodes::Subscriptions => {
            let LastItems { items, next } = store.last_items_of_subscriptions(&viewer, now, debt.after.as_ref(), SLICE_BYTES).await?;
            let owners = owners(router, &items).await?;
            let (interests, show, sees) = session.home.with(|account| {
                let own = account.sessions.iter().find(|own| own.id == session.id);
                let sees: Vec<_> = items.iter().map(|item| shows_presence(account, &item.address.service)).collect();
                (own.map(|own| own.interests.clone()).unwrap_or_default(), own.map_or(ShowValue::Online, show), sees)
            });
            let items = items.into_iter().zip(sees).filter(|(item, sees)| !is_implicit(item, *sees, &interests)).map(|(item, _)| item);
            Ok((explicit(items, &owners, &viewer, show, now), next))
        }
    }
}

/// What is not in the store: last items that are kept in memory only (XEP-0060 §4.3).
async fn volatile(router: &Router, session: &SessionRef, nodes: &Nodes) -> Vec<Told> {
    let (Some(pubsub), now, viewer) = (router.pubsub(), SystemTime::now(), Jid::from(&session.jid)) else { return Vec::new() };
    let (owners, names) = match nodes {
        Nodes::Own(names) => (vec![session.home.jid.clone()], names),
        Nodes::Contacts(names) => (session.home.with(|account| account.watched(Bound::Unbounded).cloned().collect()), names),
        Nodes::Account { owner, names, .. } => (vec![owner.clone()], names),
        Nodes::Subscriptions => return Vec::new(),
    };
    let mut all = Vec::new();
    for owner in owners {
        let wanted =
            |node: &Arc<Node>| names.contains(&node.address.node) && node.config.send_last_published_item == SendLast::OnSubAndPresence;
        let found: Vec<_> = pubsub.volatile_last_items(&owner).into_iter().filter(wanted).collect();
        if found.is_empty() {
            continue;
        }
        // An error was logged with the items of the store.
        let Ok(Some(home)) = router.home(&owner).await else { continue };
        let relation = home.with(|owner| {
            let sees_presence = owner.jid == session.home.jid || owner.shows_presence_to(&viewer);
            let groups = owner.roster.get(viewer.bare_str()).map(|item| item.groups.clone()).unwrap_or_default();
            (!owner.blocks(&viewer)).then_some(Relation { sees_presence, groups, administers: false })
        });
        let Some(relation) = relation else { continue };
        let before = match nodes {
            Nodes::Account { groups_before: Some(groups), .. } => Some(Relation { groups: groups.clone(), ..relation.clone() }),
            _ => None,
        };
        let may = |node: &Node, relation: &Relation| access::may_retrieve(node, &viewer, relation).is_ok();
        let seen = |node: &Node| relation.sees_presence || node.config.access_model == AccessModel::Open;
        let new = |node: &Node| seen(node) && may(node, &relation) && !before.as_ref().is_some_and(|before| may(node, before));
        all.extend(told(found.iter().map(|node| Node::clone(node)).collect(), &viewer, new, relation.sees_presence, now));
    }
    all
}

/// Whether an account's presence is seen, as far as the viewer's roster says.
fn shows_presence(account: &Account, service: &BareJid) -> bool {
    *service == account.jid || account.roster.get(service).is_some_and(|item| item.subscription.is_to())
}

/// XEP-0163 §4.3.2: it comes because of the interest.
fn is_implicit(item: &LastItem, sees_presence: bool, interests: &Interests) -> bool {
    sees_presence && item.config.access_model != AccessModel::Authorize && interests.contains(&item.address.node)
}

/// Last items of subscriptions: one for each node, whose subscriptions are together.
fn explicit(
    items: impl Iterator<Item = LastItem>,
    owners: &BTreeMap<NodeAddress, Vec<BareJid>>,
    viewer: &Jid,
    show: ShowValue,
    now: SystemTime,
) -> Vec<Told> {
    let mut of_nodes: Vec<(Node, Variant)> = Vec::new();
    for item in items {
        let Some(subscription) = &item.subscription else { continue };
        let is_meant = subscription.jid == *viewer || subscription.jid.as_str() == viewer.bare_str();
        if !is_meant || !may_receive(&item, viewer) || !wants(&subscription.options, show, now) {
            continue;
        }
        let (subid, include_body) = (subscription.subid.clone(), subscription.options.include_body);
        match of_nodes.last_mut().filter(|(node, _)| node.address == item.address) {
            Some((_, variant)) => {
                variant.subids.push(subid);
                variant.include_body |= include_body;
            }
            None => of_nodes.push((node(item, &viewer.to_bare()), Variant { subids: vec![subid], include_body, ..Variant::default() })),
        }
    }
    let tell = |(mut node, mut variant): (Node, Variant)| {
        let owners = owners.get(&node.address).into_iter().flatten();
        node.affiliations.extend(owners.map(|owner| (owner.clone(), Affiliation::Owner)));
        // XEP-0060 §12.16: whoever has one subscription need not be told which.
        if variant.subids.len() == 1 {
            variant.subids.clear();
        }
        message(node, viewer, &variant, false, now)
    };
    of_nodes.into_iter().filter_map(tell).collect()
}

/// §12.14: the subscription of whoever may not receive any more may not have ended yet. Of owners of hosts' nodes nothing is known here; theirs are looked
/// at when they are told.
fn may_receive(item: &LastItem, viewer: &Jid) -> bool {
    let of_host = item.address.service.local().is_none();
    let own = item.address.service.as_str() == viewer.bare_str();
    let model = if of_host { &[AccessModel::Presence, AccessModel::Roster][..] } else { &[] };
    match item.affiliation {
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
        Affiliation::Outcast | Affiliation::PublishOnly => false,
        Affiliation::None if model.contains(&item.config.access_model) => true,
        Affiliation::None => {
            let sees_presence = own || item.shows_presence;
            let groups = if item.shows_presence { item.groups.clone() } else { Vec::new() };
            let relation = Relation { sees_presence, groups, administers: false };
            let bare = viewer.to_bare();
            access::may_receive(&node(item.clone(), &bare), &bare, &relation)
        }
    }
}

/// XEP-0060 §6.3.
fn wants(options: &SubscribeOptions, show: ShowValue, now: SystemTime) -> bool {
    let over = matches!(options.expire, crate::pubsub::options::Expire::At(at) if at <= now);
    options.deliver && !over && (options.show_values.is_empty() || options.show_values.contains(&show))
}

/// RFC 6121 §4.7.2.1.
fn show(session: &Session) -> ShowValue {
    let show =
        session.presence.as_ref().and_then(|presence| presence.child(crate::ns::CLIENT, "show")).map(|child| child.text().into_owned());
    show.and_then(|show| ShowValue::parse(show.trim())).unwrap_or(ShowValue::Online)
}

fn nodes(items: Vec<LastItem>, viewer: &BareJid) -> Vec<Node> {
    items.into_iter().map(|item| node(item, viewer)).collect()
}

/// As much of a node as concerns the viewer.
fn node(item: LastItem, viewer: &BareJid) -> Node {
    let LastItem { address, config, affiliation, item, .. } = item;
    Node {
        service: if address.service.local().is_some() { ServiceKind::Pep } else { ServiceKind::Host },
        kind: NodeKind::Leaf,
        creator: address.service.clone(),
        created_at: item.published_at,
        affiliations: BTreeMap::from([(viewer.clone(), affiliation)]),
        subscriptions: BTreeMap::new(),
        last_item: Some(item),
        address,
        config,
    }
}

fn told(nodes: Vec<Node>, viewer: &Jid, may: impl Fn(&Node) -> bool, replyto: bool, now: SystemTime) -> Vec<Told> {
    let variant = Variant { replyto, ..Variant::default() };
    nodes.into_iter().filter(may).filter_map(|node| message(node, viewer, &variant, true, now)).collect()
}

fn message(node: Node, viewer: &Jid, variant: &Variant, implicit: bool, now: SystemTime) -> Option<Told> {
    let stanza = node.last_item_event(now)?.template(variant).with_to(viewer.clone()).with_id(random::id());
    Some(Told { node: node.address, item: node.last_item?, implicit, stanza })
}

/// To this session alone: its stages would not keep what comes again at the next log-in. What was published since the items were read has been told, or will
/// be: an older item must not come behind it.
fn send(router: &Router, session: &SessionRef, told: Vec<Told>) {
    session.home.with(|account| {
        let Some(own) = account.sessions.iter().find(|own| own.id == session.id && own.is_available()) else { return };
        let stale = |told: &Told| router.pubsub().is_some_and(|pubsub| pubsub.is_stale(&told.node, &told.item));
        let told = told.into_iter().filter(|told| !account.blocks(&told.node.service));
        for told in told.filter(|told| (!told.implicit || own.interests.contains(&told.node.node)) && !stale(told)) {
            own.send(told.stanza);
        }
    });
}
