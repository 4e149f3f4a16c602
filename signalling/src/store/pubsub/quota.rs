//! How many bytes of nodes one account keeps, and one entity at hosts: `[limits] pubsub_bytes`.

use super::super::database::Tx;
use super::{StoreError, to_size};
use crate::pubsub::change::Change;

// Summed up anew and not added to: it is right whatever was taken away, and a node has `[limits] pubsub_items` at most.
const WEIGH: &str = "UPDATE pubsub_nodes SET bytes = OCTET_LENGTH(config) + CAST(COALESCE(
        (SELECT SUM(i.bytes) FROM pubsub_items i WHERE i.node_id = pubsub_nodes.id), 0) AS BIGINT)
    WHERE id = $1 RETURNING bytes, account, holder";
const OF_ACCOUNT: &str = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM pubsub_nodes WHERE account = $1";
const OF_HOLDER: &str = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM pubsub_nodes WHERE holder = $1";

/// All of them, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 3] = [WEIGH, OF_ACCOUNT, OF_HOLDER];

/// Whether a change may make a node larger or smaller. Its affiliations and subscriptions are bounded by their number.
pub(super) fn is_weighed(change: &Change) -> bool {
    match change {
        Change::Create(_) | Change::Configure(_) | Change::Retract(_) | Change::Purge => true,
        Change::Publish { persist, .. } => *persist,
        Change::Delete { .. } | Change::Affiliate(..) | Change::Subscribe(_) | Change::Unsubscribe { .. } => false,
    }
}

/// Notes what a node has come to. Refuses what makes it larger where that would be more than its account or holder may keep; whoever keeps too much
/// already may make it less. Commands that PostgreSQL runs at the same moment do not see each other's: the bound is exceeded by them at most.
pub(super) async fn weigh(tx: &mut Tx, id: i64, bytes_before: i64, bytes_max: usize) -> Result<(), StoreError> {
    let Some(row) = tx.fetch_optional(WEIGH, &[id.into()]).await? else { return Ok(()) };
    if row.int(0)? <= bytes_before {
        return Ok(());
    }
    let (sql, whose) = match row.optional_text(1)? {
        Some(account) => (OF_ACCOUNT, Some(account)),
        None => (OF_HOLDER, row.optional_text(2)?),
    };
    let kept = tx.fetch_optional(sql, &[whose.as_deref().into()]).await?.map(|row| row.int(0)).transpose()?;
    if to_size(kept.unwrap_or_default()) > bytes_max { Err(StoreError::Full) } else { Ok(()) }
}
