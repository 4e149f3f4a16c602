//! Who is in which room at an orderly stop: written when the last stanza was handled, read before the first one of the next start, and gone then.
//! After a crash there is nothing of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::archive::ArchiveId;
use super::{Rooms, StoreError, read_bare, to_count};
use crate::jid::{BareJid, FullJid, Jid};
use crate::muc::model::Role;
use crate::muc::room::SavedSeat;

/// Rooms written as one job: an operation takes its turn between two of them.
const ROOMS_AT_ONCE: usize = 32;
const PLACE: &str = "room_occupants.state";

const SAVE: &str = "INSERT INTO room_occupants (room_id, state) SELECT id, $2 FROM rooms WHERE jid = $1
                    ON CONFLICT (room_id) DO UPDATE SET state = excluded.state";
const PAGE: &str = "SELECT r.jid, o.state, o.room_id FROM room_occupants o JOIN rooms r ON r.id = o.room_id
                    WHERE o.room_id > $1 ORDER BY o.room_id LIMIT $2";

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [SAVE, PAGE];

/// A room as an orderly stop leaves it, besides what is stored anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedRoom {
    /// Its address.
    pub jid: BareJid,
    /// Who is there.
    pub seats: Vec<SavedSeat>,
    /// What newcomers are shown, from the oldest to the newest; the archive may have it or not.
    pub history: Vec<SavedMessage>,
}

/// Where a page of such rooms has ended, whatever becomes of them.
#[derive(Debug, Clone, Copy)]
pub struct SavedPlace(i64);

/// A message that newcomers are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedMessage {
    /// Its number.
    pub id: ArchiveId,
    /// Who sent it.
    pub real: Jid,
    /// As XML.
    pub stanza: Bytes,
}

impl Rooms {
    /// Keeps these rooms for the next start. One that is not stored is left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn save(&self, rooms: Vec<SavedRoom>) -> Result<(), StoreError> {
        let mut rooms = rooms.into_iter().peekable();
        while rooms.peek().is_some() {
            let job: Vec<_> = rooms.by_ref().take(ROOMS_AT_ONCE).collect();
            self.database
                .write("keep who is in rooms", move |tx| {
                    Box::pin(async move {
                        for room in &job {
                            let state = write(room)?;
                            tx.execute(SAVE, &[room.jid.as_str().into(), state.as_str().into()]).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    /// Up to `count` of the rooms that were kept, behind `after`, and where they end; no place when there are none. What cannot be read is logged and
    /// left out: the room is there without its occupants.
    ///
    /// # Errors
    /// The database's.
    pub async fn saved(&self, after: Option<SavedPlace>, count: usize) -> Result<(Vec<SavedRoom>, Option<SavedPlace>), StoreError> {
        let doing = "load who was in rooms";
        let after = after.map_or(i64::MIN, |place| place.0);
        let (mut rooms, mut last) = (Vec::new(), None);
        for row in self.database.fetch_all(doing, PAGE, &[after.into(), to_count(count).into()]).await? {
            let jid = read_bare(&row, 0, "rooms.jid")?;
            last = Some(SavedPlace(row.int(2)?));
            let empty = SavedRoom { jid: jid.clone(), seats: Vec::new(), history: Vec::new() };
            rooms.push(read(jid, &row.text(1)?).unwrap_or_else(|error| {
                tracing::error!(%error, room = %empty.jid, "who was in a room is not known any more");
                empty
            }));
        }
        Ok((rooms, last))
    }

    /// Forgets who was where.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_saved(&self) -> Result<(), StoreError> {
        let forget = self.database.write("forget who was in rooms", |tx| Box::pin(tx.execute("DELETE FROM room_occupants", &[])));
        forget.await.map(drop)
    }
}

#[derive(Serialize, Deserialize)]
struct State {
    seats: Vec<Seat>,
    #[serde(default)]
    history: Vec<Message>,
}

#[derive(Serialize, Deserialize)]
struct Seat {
    nick: String,
    real: String,
    role: String,
    presence: String,
}

#[derive(Serialize, Deserialize)]
struct Message {
    id: i64,
    real: String,
    stanza: String,
}

fn write(room: &SavedRoom) -> Result<String, StoreError> {
    let text = |bytes: &Bytes| std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| unreadable(&error));
    let seat = |seat: &SavedSeat| {
        Ok(Seat {
            nick: seat.nick.clone(),
            real: seat.real.as_str().to_owned(),
            role: seat.role.name().to_owned(),
            presence: text(&seat.presence)?,
        })
    };
    let message = |message: &SavedMessage| {
        Ok(Message { id: message.id.to_i64(), real: message.real.as_str().to_owned(), stanza: text(&message.stanza)? })
    };
    let state = State {
        seats: room.seats.iter().map(seat).collect::<Result<_, StoreError>>()?,
        history: room.history.iter().map(message).collect::<Result<_, StoreError>>()?,
    };
    serde_json::to_string(&state).map_err(|error| unreadable(&error))
}

fn read(jid: BareJid, state: &str) -> Result<SavedRoom, StoreError> {
    let state: State = serde_json::from_str(state).map_err(|error| unreadable(&error))?;
    let seat = |seat: Seat| {
        Ok(SavedSeat {
            nick: seat.nick,
            real: FullJid::parse(&seat.real).map_err(|error| unreadable(&error))?,
            role: Role::parse(&seat.role).ok_or_else(|| unreadable(&format!("`{}` is no role", seat.role)))?,
            presence: seat.presence.into(),
        })
    };
    let message = |message: Message| {
        let real = Jid::parse(&message.real).map_err(|error| unreadable(&error))?;
        Ok(SavedMessage { id: ArchiveId::from_i64(message.id), real, stanza: message.stanza.into() })
    };
    Ok(SavedRoom {
        jid,
        seats: state.seats.into_iter().map(seat).collect::<Result<_, StoreError>>()?,
        history: state.history.into_iter().map(message).collect::<Result<_, StoreError>>()?,
    })
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { place: PLACE, cause: error.to_string() }
}
