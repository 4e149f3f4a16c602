//! What ends by itself: items (`pubsub#item_expire`) and subscriptions (XEP-0060 §12.19). One task looks for what is due next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::change::Change;
use super::model::NodeAddress;
use super::options::Expire;
use super::service::PubSub;
use super::step::{Step, retracted};
use crate::jid::Jid;
use crate::store::{DueItems, DueSubscriptions, StoreError};

/// Items and subscriptions ended before the next ones are looked for.
const AT_ONCE: usize = 500;
/// After a failure of the storage.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The clock may be set meanwhile: no sleep is longer.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Wakes the task when something may be due before what it waits for.
#[derive(Debug, Default)]
pub(super) struct Expiry(Notify);

impl PubSub {
    /// Ends what is due, as long as the future is polled.
    pub async fn run(self: &Arc<Self>) {
        loop {
            let next = match self.end_due(SystemTime::now()).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "what has expired at nodes cannot be removed");
                    Some(SystemTime::now() + AGAIN_AFTER)
                }
            };
            let wait = next.map_or(SLEEP_MAX, |next| next.duration_since(SystemTime::now()).unwrap_or_default().min(SLEEP_MAX));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.expiry.0.notified() => {}
            }
        }
    }

    /// Ends what is due at `now`: items with a notification, subscriptions with one to their subscribers. Gives when something is due next.
    ///
    /// # Errors
    /// The storage's.
    pub async fn end_due(self: &Arc<Self>, now: SystemTime) -> Result<Option<SystemTime>, StoreError> {
        loop {
            let due = self.store.due(now, AT_ONCE).await?;
            if due.items.is_empty() && due.subscriptions.is_empty() {
                return self.store.next_expiry().await;
            }
            let mut ended = 0;
            for DueItems { address, ids } in due.items {
                ended += self.attempt(&address, self.end_items(&address, ids, now).await).await;
            }
            for DueSubscriptions { address, subscriptions } in due.subscriptions {
                ended += self.attempt(&address, self.end_subscriptions(&address, &subscriptions, now).await).await;
            }
            if ended == 0 {
                return Ok(Some(SystemTime::now() + AGAIN_AFTER));
            }
        }
    }

    /// One node must not keep the others from going on. Where nothing ended, memory and database do not agree: memory asks again.
    async fn attempt(&self, address: &NodeAddress, ended: Result<usize, StoreError>) -> usize {
        let ended = ended.unwrap_or_else(|error| {
            tracing::error!(service = %address.service, node = address.node, %error, "what has expired at a node cannot be removed");
            0
        });
        if ended == 0 {
            self.ask_again(address).await;
        }
        ended
    }

    async fn end_items(self: &Arc<Self>, address: &NodeAddress, mut ids: Vec<String>, now: SystemTime) -> Result<usize, StoreError> {
        let held = self.hold_with_room(address).await?;
        // One that was published again meanwhile lives on.
        let alive: Vec<_> = self.store.item_facts(address, &ids, now).await?.into_iter().map(|fact| fact.id).collect();
        let due = ids.len();
        ids.retain(|id| !alive.contains(id));
        let Some(node) = held.home.node() else { return Ok(0) };
        let step = retracted(&node, ids);
        drop(node);
        self.take_step(&held, step).await?;
        Ok(due)
    }

    async fn end_subscriptions(
        self: &Arc<Self>,
        address: &NodeAddress,
        due: &[(Jid, String)],
        now: SystemTime,
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        self.change(address, |_, node| {
            let of = due.iter().filter_map(|key| node.subscriptions.get(key));
            // One that was renewed meanwhile goes on.
            let ended = of.filter(|subscription| matches!(subscription.options.expire, Expire::At(at) if at <= now));
            ended.inspect(|_| count += 1).map(|subscription| Step::from(node.end_subscription(subscription))).collect()
        })
        .await?;
        Ok(count)
    }

    /// After a change: what is due next may be another thing.
    pub(super) fn wake_expiry(&self, changes: &[Change]) {
        let expires = |change: &Change| match change {
            Change::Publish { expires_at, .. } => expires_at.is_some(),
            Change::Subscribe(subscription) => matches!(subscription.options.expire, Expire::At(_)),
            Change::Configure(config) => config.item_expire.is_some(),
            _ => false,
        };
        if changes.iter().any(expires) {
            self.expiry.0.notify_one();
        }
    }
}
