//! XEP-0317: the hats of a room and who wears them. They change together and seldom: all are written anew.

use std::collections::BTreeMap;

use super::super::database::{Database, Tx};
use super::{StoreError, read_bare, to_count};
use crate::muc::model::{Hat, Hats};

const HATS: &str = "SELECT uri, title, hue, lang FROM room_hats WHERE room_id = $1";
const WORN: &str = "SELECT jid, uris FROM room_hats_worn WHERE room_id = $1";
const NO_HATS: &str = "DELETE FROM room_hats WHERE room_id = $1";
const NOBODY: &str = "DELETE FROM room_hats_worn WHERE room_id = $1";
const HAT: &str = "INSERT INTO room_hats (room_id, number, uri, title, hue, lang) VALUES ($1, $2, $3, $4, $5, $6)";
const WEARS: &str = "INSERT INTO room_hats_worn (room_id, jid, uris) VALUES ($1, $2, $3)";

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [HATS, WORN, NO_HATS, NOBODY];

pub(super) async fn replace(tx: &mut Tx, id: i64, hats: &Hats) -> Result<(), StoreError> {
    tx.execute(NO_HATS, &[id.into()]).await?;
    tx.execute(NOBODY, &[id.into()]).await?;
    insert(tx, id, hats).await
}

/// Of a room that has none.
pub(super) async fn insert(tx: &mut Tx, id: i64, hats: &Hats) -> Result<(), StoreError> {
    for (number, (uri, hat)) in hats.known.iter().enumerate() {
        let values = [
            id.into(),
            to_count(number).into(),
            uri.as_str().into(),
            hat.title.as_str().into(),
            hat.hue.as_deref().into(),
            hat.lang.as_deref().into(),
        ];
        tx.execute(HAT, &values).await?;
    }
    for (jid, uris) in &hats.worn {
        let uris = serde_json::to_string(uris).map_err(|error| unreadable(&error))?;
        tx.execute(WEARS, &[id.into(), jid.as_str().into(), uris.as_str().into()]).await?;
    }
    Ok(())
}

pub(super) async fn load(database: &Database, id: i64, doing: &'static str) -> Result<Hats, StoreError> {
    let (mut known, mut worn) = (BTreeMap::new(), BTreeMap::new());
    for row in database.fetch_all(doing, HATS, &[id.into()]).await? {
        known.insert(row.text(0)?, Hat { title: row.text(1)?, hue: row.optional_text(2)?, lang: row.optional_text(3)? });
    }
    for row in database.fetch_all(doing, WORN, &[id.into()]).await? {
        let uris = serde_json::from_str(&row.text(1)?).map_err(|error| unreadable(&error))?;
        worn.insert(read_bare(&row, 0, "room_hats_worn.jid")?, uris);
    }
    Ok(Hats { known, worn })
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { place: "room_hats_worn.uris", cause: error.to_string() }
}
