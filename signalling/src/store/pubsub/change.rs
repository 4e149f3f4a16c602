//! What a command changes, in one transaction.

use std::time::SystemTime;

use super::super::database::{Row, Tx};
use super::super::to_millis;
use super::{NEVER, PubSubStore, REDIRECTS_MAX, StoreError, items, quota, to_count};
use crate::jid::{BareJid, Jid};
use crate::pubsub::change::Change;
use crate::pubsub::config::{NodeConfig, UpTo};
use crate::pubsub::model::{Affiliation, Item, Node, NodeAddress, ServiceKind, Subscription};
use crate::pubsub::options::Expire;

const RETRACT: &str = "DELETE FROM pubsub_items WHERE node_id = $1 AND item = $2";
const NODE: &str = "SELECT id, bytes FROM pubsub_nodes WHERE service = $1 AND node = $2";
const CREATE: &str =
    "INSERT INTO pubsub_nodes (service, node, account, holder, bytes, kind, creator, created_at, title, access_model, send_last, config)
                       VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (service, node) DO NOTHING RETURNING id";
const FOUND_AGAIN: &str = "DELETE FROM pubsub_redirects WHERE service = $1 AND node = $2";
const REDIRECT: &str = "INSERT INTO pubsub_redirects (service, node, uri, number)
        VALUES ($1, $2, $3, (SELECT COALESCE(MAX(number), 0) + 1 FROM pubsub_redirects WHERE service = $1))
        ON CONFLICT (service, node) DO UPDATE SET uri = excluded.uri, number = excluded.number";
const TRIM_REDIRECTS: &str = "DELETE FROM pubsub_redirects WHERE service = $1 AND number <=
        (SELECT number FROM pubsub_redirects WHERE service = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)";
const CONFIGURE: &str = "UPDATE pubsub_nodes SET title = $2, access_model = $3, send_last = $4, config = $5, kind = $6 WHERE id = $1";
const LEAVE: &str = "DELETE FROM pubsub_collections WHERE node_id = $1";
const EXPIRE: &str = "UPDATE pubsub_items SET expires_at = published_at + $2 WHERE node_id = $1 AND expires_at <> published_at + $2";
const KEEP: &str = "UPDATE pubsub_items SET expires_at = $2 WHERE node_id = $1 AND expires_at <> $2";
const EXPIRED: &str = "DELETE FROM pubsub_items WHERE node_id = $1 AND expires_at <= $2 RETURNING seq, item";
const EMPTY: &str = "DELETE FROM pubsub_items WHERE node_id = $1 RETURNING seq, item";
const ASSOCIATE: &str = "INSERT INTO pubsub_collections (node_id, collection_id, position) VALUES ($1, $2, $3)
                       ON CONFLICT (node_id, collection_id) DO NOTHING";
const AFFILIATE: &str = "INSERT INTO pubsub_affiliations (node_id, jid, affiliation) VALUES ($1, $2, $3)
                       ON CONFLICT (node_id, jid) DO UPDATE SET affiliation = excluded.affiliation";
const DISAFFILIATE: &str = "DELETE FROM pubsub_affiliations WHERE node_id = $1 AND jid = $2";
const SUBSCRIBE: &str = "INSERT INTO pubsub_subscriptions (node_id, jid, subid, bare, state, expires_at, options)
                       VALUES ($1, $2, $3, $4, $5, $6, $7)
                       ON CONFLICT (node_id, jid, subid) DO UPDATE
                       SET state = excluded.state, expires_at = excluded.expires_at, options = excluded.options";
const UNSUBSCRIBE: &str = "DELETE FROM pubsub_subscriptions WHERE node_id = $1 AND jid = $2 AND subid = $3";
const PUBLISH: &str = "INSERT INTO pubsub_items (node_id, item, seq, publisher, published_at, expires_at, bytes, payload)
        VALUES ($1, $2, (SELECT COALESCE(MAX(seq), 0) + 1 FROM pubsub_items WHERE node_id = $1), $3, $4, $5, $6, $7)
        ON CONFLICT (node_id, item) DO UPDATE SET seq = excluded.seq, publisher = excluded.publisher, published_at = excluded.published_at,
            expires_at = excluded.expires_at, bytes = excluded.bytes, payload = excluded.payload";
const TRIM: &str = "DELETE FROM pubsub_items WHERE node_id = $1 AND seq <=
        (SELECT seq FROM pubsub_items WHERE node_id = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2) RETURNING seq, item";
const PURGE: &str = "DELETE FROM pubsub_items WHERE node_id = $1";
const DELETE: &str = "DELETE FROM pubsub_nodes WHERE id = $1";

/// What came of the changes of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Ids of items that went to make room (`max_items`), or because the new configuration does not keep them, the oldest first.
    pub evicted: Vec<String>,
}

impl PubSubStore {
    /// Applies the changes of one command to one node, all or none.
    ///
    /// # Errors
    /// [`StoreError::NoSuchNode`] if the node, or a collection it is to be in, is not there; [`StoreError::NodeExists`];
    /// [`StoreError::NoSuchAccount`] if an account that does not exist is to have a node; [`StoreError::Full`] if whoever keeps the node would then keep
    /// more than [`PubSubStore::bounded`] says; or the database's.
    pub async fn commit(&self, address: &NodeAddress, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let committed = self.commit_all(vec![(address.clone(), changes)]).await?;
        Ok(committed.into_iter().next().unwrap_or_default())
    }

    /// The same for several nodes, in this order, all or none. Items that are not kept are none of the database's business.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    pub async fn commit_all(&self, commands: Vec<(NodeAddress, Vec<Change>)>) -> Result<Vec<Committed>, StoreError> {
        if !commands.iter().flat_map(|(_, changes)| changes).any(Change::is_stored) {
            return Ok(vec![Committed::default(); commands.len()]);
        }
        let (now, bytes_max) = (SystemTime::now(), self.bytes_max);
        self.database
            .write("change nodes", move |tx| {
                Box::pin(async move {
                    let mut all = Vec::with_capacity(commands.len());
                    for (address, changes) in &commands {
                        all.push(apply(tx, address, changes, now, bytes_max).await?);
                    }
                    Ok(all)
                })
            })
            .await
    }
}

async fn apply(tx: &mut Tx, address: &NodeAddress, changes: &[Change], now: SystemTime, bytes_max: usize) -> Result<Committed, StoreError> {
    let mut evicted = Vec::new();
    let (mut id, bytes) = look_up(tx, &address.service, &address.node).await?.unzip();
    for change in changes {
        if let Change::Create(node) = change {
            id = Some(create(tx, address, node).await?);
            continue;
        }
        let node = id.ok_or_else(|| missing(address, &address.node))?;
        match change {
            Change::Create(_) => unreachable!("it was dealt with above"),
            Change::Delete { redirect } => {
                delete(tx, address, node, redirect.as_deref()).await?;
                id = None;
            }
            Change::Configure(config) => configure(tx, address, node, config, now, &mut evicted).await?,
            Change::Affiliate(jid, affiliation) => affiliate(tx, node, jid, *affiliation).await?,
            Change::Subscribe(subscription) => subscribe(tx, node, subscription).await?,
            Change::Unsubscribe { jid, subid } => unsubscribe(tx, node, jid, subid).await?,
            Change::Publish { items, persist: true, max_items, expires_at } => {
                for item in items {
                    publish(tx, node, item, *expires_at).await?;
                }
                trim(tx, node, *max_items, &mut evicted).await?;
            }
            Change::Publish { persist: false, .. } => {}
            Change::Retract(ids) => {
                for item in ids {
                    tx.execute(RETRACT, &[node.into(), item.as_str().into()]).await?;
                }
            }
            Change::Purge => {
                tx.execute(PURGE, &[node.into()]).await?;
            }
        }
    }
    if let Some(id) = id.filter(|_| changes.iter().any(quota::is_weighed)) {
        quota::weigh(tx, id, bytes.unwrap_or_default(), bytes_max).await?;
    }
    Ok(Committed { evicted })
}

fn missing(address: &NodeAddress, node: &str) -> StoreError {
    StoreError::NoSuchNode { service: address.service.clone(), node: node.to_owned() }
}

/// A node's row, and its bytes before the command.
async fn look_up(tx: &mut Tx, service: &BareJid, node: &str) -> Result<Option<(i64, i64)>, StoreError> {
    tx.fetch_optional(NODE, &[service.as_str().into(), node.into()]).await?.map(|row| Ok((row.int(0)?, row.int(1)?))).transpose()
}

async fn create(tx: &mut Tx, address: &NodeAddress, node: &Node) -> Result<i64, StoreError> {
    let (account, holder) = match node.service {
        ServiceKind::Host => (None, Some(node.creator.as_str())),
        ServiceKind::Pep => {
            tx.require_account(&address.service).await?;
            (Some(address.service.as_str()), None)
        }
    };
    let config = node.config.to_stored();
    let values = [
        address.service.as_str().into(),
        address.node.as_str().into(),
        account.into(),
        holder.into(),
        node.kind.name().into(),
        node.creator.as_str().into(),
        to_millis(node.created_at).into(),
        node.config.title.as_str().into(),
        node.config.access_model.name().into(),
        node.config.send_last_published_item.name().into(),
        config.as_str().into(),
    ];
    let Some(row) = tx.fetch_optional(CREATE, &values).await? else {
        return Err(StoreError::NodeExists { service: address.service.clone(), node: address.node.clone() });
    };
    let id = row.int(0)?;
    tx.execute(FOUND_AGAIN, &[address.service.as_str().into(), address.node.as_str().into()]).await?;
    associate(tx, address, id, &node.config.collection).await?;
    for (jid, affiliation) in &node.affiliations {
        affiliate(tx, id, jid, *affiliation).await?;
    }
    for subscription in node.subscriptions.values() {
        subscribe(tx, id, subscription).await?;
    }
    Ok(id)
}

async fn delete(tx: &mut Tx, address: &NodeAddress, id: i64, redirect: Option<&str>) -> Result<(), StoreError> {
    // All it has, and its place in and as a collection, goes by reference.
    tx.execute(DELETE, &[id.into()]).await?;
    if let Some(uri) = redirect {
        let service = address.service.as_str();
        tx.execute(REDIRECT, &[service.into(), address.node.as_str().into(), uri.into()]).await?;
        tx.execute(TRIM_REDIRECTS, &[service.into(), to_count(REDIRECTS_MAX).into()]).await?;
    }
    Ok(())
}

async fn configure(
    tx: &mut Tx,
    address: &NodeAddress,
    id: i64,
    config: &NodeConfig,
    now: SystemTime,
    evicted: &mut Vec<String>,
) -> Result<(), StoreError> {
    let text = config.to_stored();
    let values = [
        id.into(),
        config.title.as_str().into(),
        config.access_model.name().into(),
        config.send_last_published_item.name().into(),
        text.as_str().into(),
        // A leaf may become a collection (XEP-0248 §7.2.4).
        config.node_type.name().into(),
    ];
    tx.execute(CONFIGURE, &values).await?;
    tx.execute(LEAVE, &[id.into()]).await?;
    associate(tx, address, id, &config.collection).await?;

    if !config.persist_items {
        evicted.extend(ids_in_order(&tx.fetch_all(EMPTY, &[id.into()]).await?)?);
        return Ok(());
    }
    match config.item_expire.and_then(life_ms) {
        None => tx.execute(KEEP, &[id.into(), NEVER.into()]).await?,
        Some(life_ms) => tx.execute(EXPIRE, &[id.into(), life_ms.into()]).await?,
    };
    evicted.extend(ids_in_order(&tx.fetch_all(EXPIRED, &[id.into(), to_millis(now).into()]).await?)?);
    if let UpTo::Number(max_items) = config.max_items {
        trim(tx, id, usize::try_from(max_items).unwrap_or(usize::MAX), evicted).await?;
    }
    Ok(())
}

/// How long items live; `None` for ever, as for those that live beyond all times that can be written.
fn life_ms(life: UpTo) -> Option<i64> {
    const CENTURY: u64 = 100 * 366 * 24 * 60 * 60;
    match life {
        UpTo::Number(seconds) if seconds < 100 * CENTURY => i64::try_from(seconds * 1000).ok(),
        UpTo::Number(_) | UpTo::Max => None,
    }
}

/// The node is in these collections, in this order.
async fn associate(tx: &mut Tx, address: &NodeAddress, id: i64, collections: &[String]) -> Result<(), StoreError> {
    for (position, name) in collections.iter().enumerate() {
        let (collection, _) = look_up(tx, &address.service, name).await?.ok_or_else(|| missing(address, name))?;
        tx.execute(ASSOCIATE, &[id.into(), collection.into(), to_count(position).into()]).await?;
    }
    Ok(())
}

async fn affiliate(tx: &mut Tx, id: i64, jid: &BareJid, affiliation: Affiliation) -> Result<(), StoreError> {
    match affiliation {
        Affiliation::None => tx.execute(DISAFFILIATE, &[id.into(), jid.as_str().into()]).await,
        affiliation => tx.execute(AFFILIATE, &[id.into(), jid.as_str().into(), affiliation.name().into()]).await,
    }
    .map(drop)
}

async fn subscribe(tx: &mut Tx, id: i64, subscription: &Subscription) -> Result<(), StoreError> {
    let expires_at = match subscription.options.expire {
        Expire::At(at) => to_millis(at),
        Expire::Never | Expire::Presence => NEVER,
    };
    let options = subscription.options.to_stored();
    let values = [
        id.into(),
        subscription.jid.as_str().into(),
        subscription.subid.as_str().into(),
        subscription.jid.bare_str().into(),
        subscription.state.name().into(),
        expires_at.into(),
        options.as_str().into(),
    ];
    tx.execute(SUBSCRIBE, &values).await.map(drop)
}

async fn unsubscribe(tx: &mut Tx, id: i64, jid: &Jid, subid: &str) -> Result<(), StoreError> {
    tx.execute(UNSUBSCRIBE, &[id.into(), jid.as_str().into(), subid.into()]).await.map(drop)
}

async fn publish(tx: &mut Tx, id: i64, item: &Item, expires_at: Option<SystemTime>) -> Result<(), StoreError> {
    let values = [
        id.into(),
        item.id.as_str().into(),
        item.publisher.as_str().into(),
        to_millis(item.published_at).into(),
        expires_at.map_or(NEVER, to_millis).into(),
        to_count(items::size_bytes(item)).into(),
        item.payload.as_deref().unwrap_or_default().into(),
    ];
    tx.execute(PUBLISH, &values).await.map(drop)
}

/// Keeps the newest so many items.
async fn trim(tx: &mut Tx, id: i64, max_items: usize, evicted: &mut Vec<String>) -> Result<(), StoreError> {
    evicted.extend(ids_in_order(&tx.fetch_all(TRIM, &[id.into(), to_count(max_items).into()]).await?)?);
    Ok(())
}

/// Databases return what they delete in any order.
fn ids_in_order(rows: &[Row]) -> Result<Vec<String>, StoreError> {
    let mut ids = rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect::<Result<Vec<_>, StoreError>>()?;
    ids.sort_unstable();
    Ok(ids.into_iter().map(|(_, id)| id).collect())
}

/// All of them, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 21] = [
    RETRACT,
    NODE,
    CREATE,
    FOUND_AGAIN,
    REDIRECT,
    TRIM_REDIRECTS,
    CONFIGURE,
    LEAVE,
    EXPIRE,
    KEEP,
    EXPIRED,
    EMPTY,
    ASSOCIATE,
    AFFILIATE,
    DISAFFILIATE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    PUBLISH,
    TRIM,
    PURGE,
    DELETE,
];
