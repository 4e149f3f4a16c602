//! The nodes of all services: XEP-0060 and XEP-0163, with the collections of XEP-0248. All of a node but its items is read at once and lives in
//! memory from then on; items are read in pages.
//!
//! What one command changes is one transaction ([`change`]). Two commands of one node must not run at once: whoever calls holds the node's turn.

mod change;
mod entity;
mod expiry;
mod items;
mod last;
mod listing;
mod load;
mod quota;

#[cfg(test)]
pub(super) mod tests;

use super::StoreError;
use super::columns::{read_bare, read_jid, read_named, to_count, to_size};
use super::database::Database;

pub use change::Committed;
pub use expiry::{Due, DueItems, DueSubscriptions};
pub use items::{ItemFact, ItemsPage, ItemsQuery};
pub use last::{Cursor, LastItem, LastItems};
pub use listing::{NodeEntry, NodesPage};

pub(super) use entity::remove;

/// Redirections of deleted nodes that one service remembers (XEP-0060 §8.4.2); the oldest goes.
pub const REDIRECTS_MAX: usize = 1_000;

/// When what never expires does.
const NEVER: i64 = i64::MAX;

/// The nodes of all services. A clone is another handle.
#[derive(Clone)]
pub struct PubSubStore {
    database: Database,
    bytes_max: usize,
}

impl PubSubStore {
    pub(super) fn new(database: Database) -> Self {
        Self { database, bytes_max: usize::MAX }
    }

    /// A handle that lets each account, and each entity at hosts, keep so many bytes of configurations and items.
    #[must_use]
    pub fn bounded(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }
}
