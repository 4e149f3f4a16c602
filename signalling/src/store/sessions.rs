//! Sessions that an orderly stop leaves to be resumed (XEP-0198 §5): written when the connections have ended, read before the next ones come,
//! and deleted then. After a crash there are none, since what they had handled by then is not known.

use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::database::{Database, Row, Tx};
use super::{ArchiveId, StoreError, from_millis, to_millis};
use crate::jid::{BareJid, FullJid};

/// Sessions written as one job: an operation takes its turn between two of them.
const SESSIONS_AT_ONCE: usize = 64;

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The full JID bound.
    pub jid: FullJid,
    /// What it is resumed by.
    pub token: [u8; 16],
    /// How long it is kept without a connection.
    pub within: Duration,
    /// When the present wait ends.
    pub expires_at: SystemTime,
    /// Stanzas acknowledged by the client.
    pub acknowledged: u32,
    /// Stanzas of the client that were handled.
    pub handled: u32,
    /// What else is known of it.
    pub state: SessionState,
    /// Its last broadcast presence as XML; empty if it is not available.
    pub presence: Bytes,
    /// What the client has not acknowledged, in order.
    pub stanzas: Vec<StoredStanza>,
}

/// The flags of a session. What a later version adds is off in what this one wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionState {
    /// RFC 6121 §4.7.2.3.
    pub priority: i8,
    /// RFC 6121 §2.1.6.
    pub interested: bool,
    /// XEP-0191 §3.3.
    pub interested_in_blocks: bool,
    /// XEP-0280 §4.
    pub carbons: bool,
    /// RFC 6121 §4.6: who got directed presence.
    pub directed: Vec<String>,
    /// Whose presence it is still owed: the contacts after this one, all for an empty one.
    pub probes_after: Option<String>,
    /// More is owed to it.
    pub owed: bool,
    /// XEP-0215 §3.2.
    pub services: Option<ServicesInterest>,
    /// What TURN credentials issued to it are known by; 0 if none were.
    pub relay: u64,
    /// XEP-0060 §9.2: the nodes that its client wants to be told of, if that is known.
    pub interests: Option<Vec<String>>,
    /// The hash that its presence names proves them.
    pub interests_shared: bool,
    /// Last items are owed to it.
    pub items_owed: bool,
}

/// Which external services a session wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicesInterest {
    /// The namespace it asked in.
    pub namespace: String,
    /// The types it asked for; empty for all.
    pub kinds: Vec<String>,
    /// When its credentials are to be renewed, milliseconds since 1970.
    pub renew_at_ms: u64,
}

/// A stanza of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStanza {
    /// It was sent before.
    pub sent: bool,
    /// Its row among the account's messages.
    pub stored: Option<ArchiveId>,
    /// As XML with its namespace.
    pub stanza: Bytes,
}

/// The sessions left by an orderly stop.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
}

impl Sessions {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Keeps these sessions. Each account must be there; one that was deleted meanwhile fails the call, and those after it are not kept.
    ///
    /// # Errors
    /// The database's.
    pub async fn save(&self, sessions: Vec<StoredSession>) -> Result<(), StoreError> {
        let mut sessions = sessions.into_iter().peekable();
        while sessions.peek().is_some() {
            let job: Vec<_> = sessions.by_ref().take(SESSIONS_AT_ONCE).collect();
            self.database
                .write("keep sessions", move |tx| {
                    Box::pin(async move {
                        for session in &job {
                            insert(tx, session).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    /// Up to `count` sessions behind `after`, in the order of their addresses. What cannot be read is logged and left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(&self, after: Option<&FullJid>, count: u32) -> Result<Vec<StoredSession>, StoreError> {
        const SQL: &str = "SELECT account, resource, token, within_ms, expires_at, acknowledged, handled, state, presence, stanzas
                           FROM sessions WHERE (account, resource) > ($1, $2) ORDER BY account, resource LIMIT $3";
        let (account, resource) = after.map_or(("", ""), |jid| (jid.bare_str(), jid.resource_str()));
        let rows = self.database.fetch_all("load sessions", SQL, &[account.into(), resource.into(), i64::from(count).into()]).await?;
        let read = rows.iter().filter_map(|row| match read(row) {
            Ok(session) => Some(session),
            Err(error) => {
                tracing::error!(%error, "a session is left out");
                None
            }
        });
        Ok(read.collect())
    }

    /// Forgets them all.
    ///
    /// # Errors
    /// The database's.
    pub async fn clear(&self) -> Result<(), StoreError> {
        let clear = self.database.write("forget sessions", |tx| Box::pin(tx.execute("DELETE FROM sessions", &[])));
        clear.await.map(drop)
    }
}

/// Part of the transaction that changes an account's password, or disables it.
pub(super) async fn forget(tx: &mut Tx, account: &BareJid) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE account = $1", &[account.as_str().into()]).await.map(drop)
}

async fn insert(tx: &mut Tx, session: &StoredSession) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO sessions
                       (account, resource, token, within_ms, expires_at, acknowledged, handled, state, presence, stanzas)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                       ON CONFLICT (account, resource) DO UPDATE SET token = excluded.token, within_ms = excluded.within_ms,
                           expires_at = excluded.expires_at, acknowledged = excluded.acknowledged, handled = excluded.handled,
                           state = excluded.state, presence = excluded.presence, stanzas = excluded.stanzas";
    let corrupt = |cause: serde_json::Error| StoreError::Corrupt { place: "sessions.state", cause: cause.to_string() };
    let state = serde_json::to_string(&session.state).map_err(corrupt)?;
    let stanzas = packed(&session.stanzas);
    let values = [
        session.jid.bare_str().into(),
        session.jid.resource_str().into(),
        session.token.as_slice().into(),
        i64::try_from(session.within.as_millis()).unwrap_or(i64::MAX).into(),
        to_millis(session.expires_at).into(),
        i64::from(session.acknowledged).into(),
        i64::from(session.handled).into(),
        state.as_str().into(),
        session.presence.as_ref().into(),
        stanzas.as_ref().into(),
    ];
    tx.execute(SQL, &values).await.map(drop)
}

fn packed(stanzas: &[StoredStanza]) -> Bytes {
    let mut out = BytesMut::with_capacity(stanzas.iter().map(|stanza| stanza.stanza.len() + 13).sum());
    for StoredStanza { sent, stored, stanza } in stanzas {
        out.put_u8(u8::from(*sent));
        out.put_i64(stored.map_or(0, ArchiveId::to_i64));
        out.put_u32(u32::try_from(stanza.len()).unwrap_or(u32::MAX));
        out.put_slice(stanza);
    }
    out.freeze()
}

fn unpacked(mut bytes: Bytes) -> Result<Vec<StoredStanza>, StoreError> {
    let mut stanzas = Vec::new();
    while !bytes.is_empty() {
        let head = (bytes.len() >= 13).then(|| (bytes.get_u8(), bytes.get_i64(), bytes.get_u32() as usize));
        let Some((sent, stored, length)) = head.filter(|(.., length)| *length <= bytes.len()) else {
            return Err(StoreError::Corrupt { place: "sessions.stanzas", cause: "it ends too early".to_owned() });
        };
        let stored = (stored != 0).then(|| ArchiveId::from_i64(stored));
        stanzas.push(StoredStanza { sent: sent != 0, stored, stanza: bytes.split_to(length) });
    }
    Ok(stanzas)
}

fn read(row: &Row) -> Result<StoredSession, StoreError> {
    let corrupt = |place: &'static str, cause: String| StoreError::Corrupt { place, cause };
    let account = BareJid::parse(&row.text(0)?).map_err(|error| corrupt("sessions.account", error.to_string()))?;
    let counter = |index, place| u32::try_from(row.int(index)?).map_err(|error| corrupt(place, error.to_string()));
    Ok(StoredSession {
        jid: account.with_resource(&row.text(1)?).map_err(|error| corrupt("sessions.resource", error.to_string()))?,
        token: row.bytes(2)?.try_into().map_err(|_| corrupt("sessions.token", "it is not 16 bytes long".to_owned()))?,
        within: Duration::from_millis(u64::try_from(row.int(3)?).unwrap_or_default()),
        expires_at: from_millis(row.int(4)?),
        acknowledged: counter(5, "sessions.acknowledged")?,
        handled: counter(6, "sessions.handled")?,
        state: serde_json::from_str(&row.text(7)?).map_err(|error| corrupt("sessions.state", error.to_string()))?,
        presence: row.bytes(8)?.into(),
        stanzas: unpacked(row.bytes(9)?.into())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_packed_and_read_back_and_damage_is_found() {
        let stanzas = vec![
            StoredStanza { sent: true, stored: Some(ArchiveId::from_i64(7)), stanza: Bytes::from_static(b"<message/>") },
            StoredStanza { sent: false, stored: None, stanza: Bytes::new() },
        ];
        let bytes = packed(&stanzas);
        assert_eq!(unpacked(bytes.clone()).unwrap(), stanzas);
        assert_eq!(unpacked(Bytes::new()).unwrap(), []);
        for end in [1, 12, 14, bytes.len() - 1] {
            assert!(unpacked(bytes.slice(..end)).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn what_is_not_written_is_off() {
        assert_eq!(serde_json::from_str::<SessionState>("{}").unwrap(), SessionState::default());
        assert!(serde_json::from_str::<SessionState>("{\"carbons\":true,\"later\":1}").unwrap().carbons);
    }
}
