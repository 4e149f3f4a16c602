//! What a change makes of a node in memory; the store makes the same of what it has.

use crate::pubsub::change::Change;
use crate::pubsub::model::{Affiliation, Node};

/// What the shell does about a node in memory once a change is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// The last item is gone and the one before it is for the store to say.
    pub last_item_unknown: bool,
    /// Recipients computed before are not right any more.
    pub recipients_changed: bool,
}

impl Node {
    /// Takes over a change that was stored. `Create` and `Delete` concern the whole of it and do nothing here.
    pub fn apply(&mut self, change: &Change) -> Applied {
        let mut applied = Applied::default();
        match change {
            Change::Create(_) | Change::Delete { .. } => {}
            Change::Configure(config) => {
                // What was not stored does not turn into what is, nor the other way round.
                if config.persist_items != self.config.persist_items {
                    self.last_item = None;
                }
                self.kind = config.node_type;
                self.config = (**config).clone();
                applied.recipients_changed = true;
            }
            Change::Affiliate(jid, Affiliation::None) => {
                self.affiliations.remove(jid);
            }
            Change::Affiliate(jid, affiliation) => {
                self.affiliations.insert(jid.clone(), *affiliation);
            }
            Change::Subscribe(subscription) => {
                self.subscriptions.insert((subscription.jid.clone(), subscription.subid.clone()), (**subscription).clone());
                applied.recipients_changed = true;
            }
            Change::Unsubscribe { jid, subid } => {
                self.subscriptions.remove(&(jid.clone(), subid.clone()));
                applied.recipients_changed = true;
            }
            Change::Publish { items, .. } => {
                if let Some(last) = items.last() {
                    self.last_item = Some(last.clone());
                }
            }
            Change::Retract(ids) => {
                if self.last_item.as_ref().is_some_and(|last| ids.contains(&last.id)) {
                    self.last_item = None;
                    applied.last_item_unknown = self.config.persist_items;
                }
            }
            Change::Purge => self.last_item = None,
        }
        applied
    }

    /// The collection of this name is gone (XEP-0248 §8.2): its children have one less, which the store knows by itself.
    pub fn forget_collection(&mut self, name: &str) {
        self.config.collection.retain(|collection| collection != name);
    }
}
