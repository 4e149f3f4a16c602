//! Values as columns hold them.

use super::StoreError;
use super::database::Row;
use crate::jid::{BareJid, Jid};

/// A column with a bare JID.
pub(super) fn read_bare(row: &Row, column: usize, place: &'static str) -> Result<BareJid, StoreError> {
    BareJid::parse(&row.text(column)?).map_err(|cause| StoreError::Corrupt { place, cause: cause.to_string() })
}

/// A column with any JID.
pub(super) fn read_jid(row: &Row, column: usize, place: &'static str) -> Result<Jid, StoreError> {
    Jid::parse(&row.text(column)?).map_err(|cause| StoreError::Corrupt { place, cause: cause.to_string() })
}

/// A column with one of an enum's names.
pub(super) fn read_named<T>(row: &Row, column: usize, place: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let name = row.text(column)?;
    parse(&name).ok_or_else(|| StoreError::Corrupt { place, cause: format!("`{name}` is none of the known names") })
}

/// A number as the database holds it.
pub(super) fn to_count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of rows.
pub(super) fn to_size(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
