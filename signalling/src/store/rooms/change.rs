//! What a stanza changes, in one transaction.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::database::Tx;
use super::super::from_millis;
use super::{Rooms, StoreError, hats, look_up, removal, to_millis};
use crate::jid::{BareJid, Jid};
use crate::muc::card::Card;
use crate::muc::change::Change;
use crate::muc::config::RoomConfig;
use crate::muc::model::{Affiliated, Lasting, Subject};

const CREATE: &str =
    "INSERT INTO rooms (jid, domain, local, creator, holder, created_at, locked, persistent, public, name, config, subject, vcard, secret)
                      VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (jid) DO NOTHING RETURNING id";
const CONFIGURE: &str = "UPDATE rooms SET persistent = $2, public = $3, name = $4, config = $5, locked = 0 WHERE id = $1";
const AFFILIATE: &str = "INSERT INTO room_affiliations (room_id, jid, affiliation, nick, reason) VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (room_id, jid) DO UPDATE
                         SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason";
const DISAFFILIATE: &str = "DELETE FROM room_affiliations WHERE room_id = $1 AND jid = $2";
const REQUEST: &str = "INSERT INTO room_requests (room_id, jid, nick) VALUES ($1, $2, $3)
                       ON CONFLICT (room_id, jid) DO UPDATE SET nick = excluded.nick";
const SETTLE: &str = "DELETE FROM room_requests WHERE room_id = $1 AND jid = $2";
const SUBJECT: &str = "UPDATE rooms SET subject = $2 WHERE id = $1";
const VCARD: &str = "UPDATE rooms SET vcard = $2 WHERE id = $1";

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [CONFIGURE, DISAFFILIATE, SETTLE, SUBJECT, VCARD];

impl Rooms {
    /// Applies the changes of one stanza to one room, all or none.
    ///
    /// # Errors
    /// [`StoreError::RoomExists`]; [`StoreError::NoSuchRoom`]; [`StoreError::Busy`] if messages of a room that is destroyed could not be written
    /// for long; or the database's.
    pub async fn commit(&self, room: &BareJid, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.iter().any(|change| matches!(change, Change::Destroy)) {
            // What still waits is written under the room's name: the next room of that name must not get it.
            self.archive.settled(room, "destroy a room").await?;
        }
        let room = room.clone();
        self.database.write("change a room", move |tx| Box::pin(async move { apply(tx, &room, &changes).await })).await
    }
}

async fn apply(tx: &mut Tx, room: &BareJid, changes: &[Change]) -> Result<(), StoreError> {
    let mut found = look_up(tx, room).await?;
    for change in changes {
        if let Change::Create(lasting) = change {
            found = Some(create(tx, room, lasting).await?);
            continue;
        }
        let id = found.ok_or_else(|| StoreError::NoSuchRoom(room.clone()))?;
        match change {
            Change::Create(_) => unreachable!("it was dealt with above"),
            Change::Destroy => {
                removal::destroy(tx, id).await?;
                found = None;
            }
            Change::Configure(config) => configure(tx, id, config).await?,
            Change::Affiliate(jid, Some(entry)) => affiliate(tx, id, jid, entry).await?,
            Change::Affiliate(jid, None) => drop(tx.execute(DISAFFILIATE, &[id.into(), jid.as_str().into()]).await?),
            Change::Request(jid, Some(nick)) => request(tx, id, jid, nick).await?,
            Change::Request(jid, None) => drop(tx.execute(SETTLE, &[id.into(), jid.as_str().into()]).await?),
            Change::Subject(subject) => {
                let subject = write_subject(subject.as_deref())?;
                tx.execute(SUBJECT, &[id.into(), subject.as_deref().into()]).await?;
            }
            Change::VCard(card) => drop(tx.execute(VCARD, &[id.into(), xml_of(card.as_ref()).into()]).await?),
            Change::Hats(hats) => hats::replace(tx, id, hats).await?,
        }
    }
    Ok(())
}

async fn create(tx: &mut Tx, room: &BareJid, lasting: &Lasting) -> Result<i64, StoreError> {
    let (config, subject) = (lasting.config.to_stored(), write_subject(lasting.subject.as_ref())?);
    let values = [
        room.as_str().into(),
        room.domain().into(),
        room.local().unwrap_or_default().into(),
        lasting.creator.as_str().into(),
        to_millis(lasting.created_at).into(),
        lasting.locked.into(),
        lasting.config.persistent.into(),
        lasting.config.public.into(),
        lasting.config.name.as_str().into(),
        config.as_str().into(),
        subject.as_deref().into(),
        xml_of(lasting.vcard.as_ref()).into(),
        lasting.secret.as_slice().into(),
    ];
    let row = tx.fetch_optional(CREATE, &values).await?.ok_or_else(|| StoreError::RoomExists(room.clone()))?;
    let id = row.int(0)?;
    for (jid, entry) in lasting.affiliations.iter() {
        affiliate(tx, id, jid, entry).await?;
    }
    for (jid, nick) in &lasting.requests {
        request(tx, id, jid, nick).await?;
    }
    hats::insert(tx, id, &lasting.hats).await?;
    Ok(id)
}

async fn configure(tx: &mut Tx, id: i64, config: &RoomConfig) -> Result<(), StoreError> {
    let text = config.to_stored();
    let values = [id.into(), config.persistent.into(), config.public.into(), config.name.as_str().into(), text.as_str().into()];
    tx.execute(CONFIGURE, &values).await.map(drop)
}

async fn affiliate(tx: &mut Tx, id: i64, jid: &BareJid, entry: &Affiliated) -> Result<(), StoreError> {
    let values =
        [id.into(), jid.as_str().into(), entry.affiliation.name().into(), entry.nick.as_deref().into(), entry.reason.as_deref().into()];
    tx.execute(AFFILIATE, &values).await.map(drop)
}

async fn request(tx: &mut Tx, id: i64, jid: &BareJid, nick: &str) -> Result<(), StoreError> {
    tx.execute(REQUEST, &[id.into(), jid.as_str().into(), nick.into()]).await.map(drop)
}

fn xml_of(card: Option<&Card>) -> &[u8] {
    card.map_or(&[], |card| card.xml.as_ref())
}

/// A subject as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    from: String,
    occupant_id: Option<String>,
    at_ms: i64,
    text: String,
}

fn write_subject(subject: Option<&Subject>) -> Result<Option<String>, StoreError> {
    let Some(subject) = subject else { return Ok(None) };
    let kept = Kept {
        from: subject.from.as_str().to_owned(),
        occupant_id: subject.occupant_id.clone(),
        at_ms: to_millis(subject.at),
        text: subject.text.clone(),
    };
    serde_json::to_string(&kept).map(Some).map_err(|error| unreadable(&error))
}

pub(super) fn read_subject(text: &str) -> Result<Subject, StoreError> {
    let kept: Kept = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let from = Jid::parse(&kept.from).map_err(|error| unreadable(&error))?;
    Ok(Subject { from, occupant_id: kept.occupant_id, at: from_millis(kept.at_ms), text: kept.text })
}

pub(super) fn read_card(xml: Vec<u8>) -> Option<Card> {
    (!xml.is_empty()).then(|| Card::new(Bytes::from(xml)))
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { place: "rooms.subject", cause: error.to_string() }
}
