//! Lists that are read in pages (XEP-0059), in the order of one column that is unique among what is listed.

use super::StoreError;
use super::columns::{to_count, to_size};
use super::database::{Database, Row, Value};
use crate::rsm::{Place, Request};

/// The statements of one kind of list. `$1` says of what; keys lie beyond `$2`.
pub(super) struct Listing {
    forwards: String,
    backwards: String,
    from: String,
    count: String,
    count_before: String,
}

/// A page of a list.
pub(super) struct Listed<T> {
    pub(super) entries: Vec<T>,
    /// The number of the first one among all.
    pub(super) index: Option<usize>,
    /// How many there are.
    pub(super) count: usize,
}

impl Listing {
    /// `rows` are the tables and a condition; `key` is the column that orders them.
    pub(super) fn new(columns: &str, rows: &str, key: &str) -> Self {
        Self {
            forwards: format!("SELECT {columns} FROM {rows} AND {key} > $2 ORDER BY {key} LIMIT $3"),
            backwards: format!("SELECT {columns} FROM {rows} AND {key} < $2 ORDER BY {key} DESC LIMIT $3"),
            from: format!("SELECT {columns} FROM {rows} ORDER BY {key} LIMIT $3 OFFSET $2"),
            count: format!("SELECT COUNT(*) FROM {rows}"),
            count_before: format!("SELECT COUNT(*) FROM {rows} AND {key} < $2"),
        }
    }

    /// All of them, for the tests that none reads a whole table.
    #[cfg(test)]
    pub(super) fn statements(&'static self) -> [&'static str; 5] {
        [&self.forwards, &self.backwards, &self.from, &self.count, &self.count_before].map(String::as_str)
    }

    /// At most `count_max` entries. A page may lie behind or before a key that nothing has. `read` yields an entry with its key.
    pub(super) async fn page<'v, T>(
        &'static self,
        database: &Database,
        of: impl Fn() -> Value<'v>,
        page: &Request,
        count_max: usize,
        read: impl Fn(&Row) -> Result<(String, T), StoreError>,
    ) -> Result<Listed<T>, StoreError> {
        let doing = "read a list";
        let limit = page.max.unwrap_or(count_max).min(count_max);
        let mut listed = Listed { entries: Vec::new(), index: None, count: self.count(database, of()).await? };
        if limit == 0 {
            return Ok(listed);
        }
        let limit = to_count(limit);
        let rows = match &page.place {
            Place::First => database.fetch_all(doing, &self.forwards, &[of(), "".into(), limit.into()]).await?,
            Place::After(key) => database.fetch_all(doing, &self.forwards, &[of(), key.as_str().into(), limit.into()]).await?,
            Place::Before(key) => database.fetch_all(doing, &self.backwards, &[of(), key.as_str().into(), limit.into()]).await?,
            Place::Last => {
                let start = to_count(listed.count).saturating_sub(limit).max(0);
                database.fetch_all(doing, &self.from, &[of(), start.into(), limit.into()]).await?
            }
            Place::Index(index) => database.fetch_all(doing, &self.from, &[of(), to_count(*index).into(), limit.into()]).await?,
        };
        let mut keyed: Vec<(String, T)> = rows.iter().map(read).collect::<Result<_, _>>()?;
        if matches!(page.place, Place::Before(_)) {
            keyed.reverse();
        }
        if let Some((first, _)) = keyed.first() {
            listed.index = Some(number(database, &self.count_before, &[of(), first.as_str().into()]).await?);
        }
        listed.entries = keyed.into_iter().map(|(_, entry)| entry).collect();
        Ok(listed)
    }

    /// How many there are.
    pub(super) async fn count(&'static self, database: &Database, of: Value<'_>) -> Result<usize, StoreError> {
        number(database, &self.count, &[of]).await
    }
}

/// The one number that a statement yields.
pub(super) async fn number(database: &Database, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
    let row = database.fetch_optional("count rows", sql, values).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.map_or(0, to_size))
}
