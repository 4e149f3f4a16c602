//! What is lasting of a room, whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::archive::{ArchiveId, Range, Stored, Whose};
use super::super::from_millis;
use super::{Rooms, StoreError, change, hats, read_bare, read_named};
use crate::jid::BareJid;
use crate::muc::config::RoomConfig;
use crate::muc::model::{Affiliated, Affiliation, Affiliations, Lasting};

const ROOM: &str = "SELECT id, creator, created_at, locked, config, subject, vcard, secret,
                        (SELECT m.id FROM room_messages m WHERE m.room_id = rooms.id ORDER BY m.id DESC LIMIT 1)
                    FROM rooms WHERE jid = $1";
const AFFILIATIONS: &str = "SELECT jid, affiliation, nick, reason FROM room_affiliations WHERE room_id = $1";
const REQUESTS: &str = "SELECT jid, nick FROM room_requests WHERE room_id = $1";

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 3] = [ROOM, AFFILIATIONS, REQUESTS];

/// A room as it comes into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRoom {
    /// What is stored of it.
    pub lasting: Lasting,
    /// The last messages of its archive, from the oldest to the newest.
    pub history: Vec<Stored>,
    /// The highest number in its archive.
    pub last_id: Option<ArchiveId>,
}

impl Rooms {
    /// The room with up to `history` messages from its archive, and about `history_bytes` bytes of them; `None` if there is none of this address.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, room: &BareJid, history: usize, history_bytes: usize) -> Result<Option<LoadedRoom>, StoreError> {
        let doing = "load a room";
        self.archive.settled(room, doing).await?;
        let Some(row) = self.database.fetch_optional(doing, ROOM, &[room.as_str().into()]).await? else { return Ok(None) };
        let id = row.int(0)?;
        let config = RoomConfig::from_stored(&row.text(4)?);
        let mut lasting = Lasting {
            jid: room.clone(),
            creator: read_bare(&row, 1, "rooms.creator")?,
            created_at: from_millis(row.int(2)?),
            locked: row.flag(3)?,
            config: config.map_err(|cause| StoreError::Corrupt { place: "rooms.config", cause: cause.to_string() })?,
            affiliations: Affiliations::default(),
            requests: BTreeMap::new(),
            subject: row.optional_text(5)?.map(|text| change::read_subject(&text)).transpose()?,
            vcard: change::read_card(row.bytes(6)?),
            hats: Arc::new(hats::load(&self.database, id, doing).await?),
            secret: row.bytes(7)?,
        };
        for row in self.database.fetch_all(doing, AFFILIATIONS, &[id.into()]).await? {
            let affiliation = read_named(&row, 1, "room_affiliations.affiliation", Affiliation::parse)?;
            let entry = Affiliated { affiliation, nick: row.optional_text(2)?, reason: row.optional_text(3)? };
            lasting.affiliations.insert(read_bare(&row, 0, "room_affiliations.jid")?, entry);
        }
        for row in self.database.fetch_all(doing, REQUESTS, &[id.into()]).await? {
            lasting.requests.insert(read_bare(&row, 0, "room_requests.jid")?, row.text(1)?);
        }
        let last_id = if row.is_null(8)? { None } else { Some(ArchiveId::from_i64(row.int(8)?)) };
        let history = match last_id {
            Some(_) if history > 0 => self.archive.page(Whose::Room(room), &Range::default(), true, history, history_bytes).await?.messages,
            _ => Vec::new(),
        };
        Ok(Some(LoadedRoom { lasting, history, last_id }))
    }
}
