//! Sessions over a restart (XEP-0198 §5): an orderly stop writes those that hibernate, the next start puts them back where they were.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use campanile_relay::SessionTag;

use super::Router;
use crate::features::caps;
use crate::features::extdisco::Interest;
use crate::jid::{BareJid, FullJid, Jid};
use crate::mailbox::{Contents, Delivery, Mailbox};
use crate::pubsub::interest::Debt;
use crate::session::{Probes, Resumption, Session, SessionRef};
use crate::stanza::{Framing, Stanza};
use crate::store::{SessionState, StoreError, StoredSession, StoredStanza};
use crate::stream::sm::Token;
use crate::xml::Bindings;

/// Sessions read at once.
const PAGE: u32 = 256;

impl Router {
    /// Writes the sessions that hibernate, for the next start. All connections have ended; nothing comes from clients any more. Returns how many
    /// there were.
    ///
    /// # Errors
    /// The database's.
    pub async fn store_sessions(&self) -> Result<usize, StoreError> {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let (now, time) = (Instant::now(), SystemTime::now());
        let sessions: Vec<_> = self
            .0
            .hibernation
            .all()
            .into_iter()
            .filter_map(|(at, session)| {
                let expires_at = time + at.saturating_duration_since(now);
                session.home.with(|account| account.session(session.id).and_then(|own| stored(own, expires_at)))
            })
            .collect();
        let count = sessions.len();
        // What their clients will be told to be handled must be.
        let durability = self.store().durability();
        durability.reached(durability.queued()).await;
        self.store().sessions().save(sessions).await?;
        Ok(count)
    }

    /// Puts the sessions that the last stop has left back into their accounts' homes, where they hibernate. Called once, before the first
    /// client can connect. Returns how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn restore_sessions(&self, mailbox_bytes: usize) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut last: Option<FullJid> = None;
        loop {
            let page = self.store().sessions().page(last.as_ref(), PAGE).await?;
            let Some(jid) = page.last().map(|session| session.jid.clone()) else { break };
            last = Some(jid);
            for session in page {
                count += usize::from(self.restore(session, mailbox_bytes).await?);
            }
        }
        if last.is_some() {
            self.store().sessions().clear().await?;
        }
        self.0.metrics.show_hibernated(self.0.hibernation.len());
        Ok(count)
    }

    async fn restore(&self, session: StoredSession, mailbox_bytes: usize) -> Result<bool, StoreError> {
        let account = session.jid.to_bare();
        if !self.is_local(account.domain()) {
            return Ok(false);
        }
        let Some(home) = self.0.homes.get(&account).await? else { return Ok(false) };
        let now = Instant::now();
        let left = session.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
        let in_flight: Vec<_> = session.stanzas.iter().filter_map(|stanza| stanza.stored).collect();
        let noted = match in_flight.iter().min().zip(in_flight.iter().max()) {
            Some((first, last)) => self.store().archive().undelivered_between(&account, *first, *last).await?,
            None => Vec::new(),
        };
        let restored = restored(self, session, mailbox_bytes, now);
        restored.mailbox.tell_overflow(&self.0.hibernation.overflows, restored.id);
        if let Some(tag) = restored.relay {
            self.0.calls.begin_session(&restored.jid, tag);
        }
        let session = SessionRef { jid: restored.jid.clone(), id: restored.id, home: home.clone() };
        home.with(|account| {
            account.messages.carried(&in_flight, &noted);
            account.sessions.push(restored);
        });
        self.0.metrics.sessions.inc();
        self.0.hibernation.add(session, now + left);
        Ok(true)
    }
}

/// A session as it is kept; from now on it takes nothing more. `None` for one that cannot be resumed.
fn stored(session: &mut Session, expires_at: SystemTime) -> Option<StoredSession> {
    session.hibernated?;
    let Resumption { token, within } = session.resumption?;
    let Contents { acknowledged, handled, outstanding, waiting, owed } = session.mailbox.into_contents();
    let packed = |deliveries: Vec<Delivery>, sent| {
        let packed = move |Delivery { stanza, stored }| StoredStanza { sent, stored, stanza: stanza.to_bytes(Framing::Alone) };
        deliveries.into_iter().map(packed)
    };
    let probes_after = session.probes_owed.as_ref().map(|owed| match owed {
        Probes::All => String::new(),
        Probes::After(contact) => contact.to_string(),
    });
    // Those before the last presence are no longer its client's.
    let interests = session.capabilities.as_ref().map_or(!session.interests.is_empty(), |own| own.is_known());
    Some(StoredSession {
        jid: session.jid.clone(),
        token: *token.as_bytes(),
        within,
        expires_at,
        acknowledged,
        handled,
        state: SessionState {
            priority: session.priority,
            interested: session.interested,
            interested_in_blocks: session.interested_in_blocks,
            carbons: session.carbons,
            directed: session.directed.iter().map(ToString::to_string).collect(),
            probes_after,
            owed,
            services: session.services.as_deref().map(Interest::to_stored),
            relay: session.relay.map_or(0, SessionTag::get),
            interests: interests.then(|| session.interests.as_slice().to_vec()),
            interests_shared: session.capabilities.as_ref().is_some_and(|own| own.is_shared()),
            items_owed: !session.items_owed.is_empty(),
        },
        presence: session.presence.as_ref().map(|presence| presence.to_bytes(Framing::Alone)).unwrap_or_default(),
        stanzas: packed(outstanding, true).chain(packed(waiting, false)).collect(),
    })
}

fn restored(router: &Router, stored: StoredSession, mailbox_bytes: usize, now: Instant) -> Session {
    let StoredSession { jid, token, within, acknowledged, handled, state, presence, stanzas, .. } = stored;
    let (outstanding, waiting): (Vec<_>, Vec<_>) = stanzas.into_iter().partition(|stanza| stanza.sent);
    let deliveries = |stanzas: Vec<StoredStanza>| stanzas.into_iter().map(|stanza| delivery(&jid, stanza)).collect();
    let contents = Contents { acknowledged, handled, outstanding: deliveries(outstanding), waiting: deliveries(waiting), owed: state.owed };
    let mut session = Session::new(jid.clone(), Arc::new(Mailbox::restored(mailbox_bytes, contents)));
    session.presence = Some(presence).filter(|presence| !presence.is_empty()).and_then(|presence| read(&jid, presence));
    session.priority = state.priority;
    session.interested = state.interested;
    session.interested_in_blocks = state.interested_in_blocks;
    session.carbons = state.carbons;
    session.services = state.services.as_ref().and_then(Interest::from_stored).map(Box::new);
    session.relay = SessionTag::from_number(state.relay);
    session.directed = state.directed.iter().filter_map(|jid| Jid::parse(jid).ok()).collect();
    session.probes_owed = state.probes_after.map(|after| BareJid::parse(&after).map_or(Probes::All, Probes::After));
    session.resumption = Some(Resumption { token: Token::new(token), within });
    session.hibernated = Some(now);
    if let Some(interests) = state.interests {
        caps::restore(router, &mut session, interests.into_iter().collect(), state.interests_shared);
    }
    if state.items_owed {
        // From the beginning: what comes twice is the same item.
        let debts = Debt::of_subscriptions().into_iter().chain(Debt::of_interests(&session.interests.clone()));
        session.owe_items(debts);
    }
    session
}

/// A stanza that cannot be read any more has its place among the counted ones all the same: an empty message stands for it.
fn delivery(jid: &FullJid, StoredStanza { stored, stanza, .. }: StoredStanza) -> Delivery {
    let stanza = read(jid, stanza)
        .unwrap_or_else(|| Stanza::message(crate::stanza::MessageType::Normal).with_from(jid.to_bare()).with_to(jid.clone()));
    Delivery { stanza, stored }
}

fn read(jid: &FullJid, stanza: bytes::Bytes) -> Option<Stanza> {
    match Stanza::parse(stanza, &Bindings::empty()) {
        Ok(stanza) => Some(stanza),
        Err(error) => {
            tracing::error!(%jid, ?error, "a stored stanza cannot be read");
            None
        }
    }
}
