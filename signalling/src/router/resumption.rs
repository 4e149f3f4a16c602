//! XEP-0198 §5: sessions that outlive their connection. A session that hibernates stays where it is, in its account's home: its presence
//! does not change, and what is sent to it waits in its mailbox. It ends when it is resumed by nobody in time, or its mailbox is full.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::Router;
use crate::features::{caps, push};
use crate::jid::{BareJid, FullJid};
use crate::mailbox::{Attachment, Delivery, Outgoing, Overflows};
use crate::random;
use crate::session::{Resumption, Session, SessionId, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stream::error::StreamError;
use crate::stream::sm::{Enabled, Token};

/// Sessions that are ended, or whose loss is told, at the same time: each waits for the database, which commits many at once.
const AT_ONCE: usize = 64;
/// Sessions that are gone and whose `h` is remembered (§5).
const GONE_MAX: usize = 10_000;

/// The sessions that hibernate, by the time when they end.
#[derive(Debug, Default)]
pub(super) struct Hibernation {
    state: Mutex<State>,
    /// A session was added.
    changed: Notify,
    /// Those whose mailbox is full.
    pub(super) overflows: Arc<Overflows>,
}

#[derive(Debug, Default)]
struct State {
    by_expiry: BTreeMap<(Instant, SessionId), SessionRef>,
    expiry: HashMap<SessionId, Instant>,
    gone: HashMap<Token, (BareJid, u32)>,
    gone_order: VecDeque<Token>,
    /// Those that have just lost their connection.
    lost: Vec<SessionRef>,
}

impl Hibernation {
    /// A session hibernates until then.
    pub(super) fn add(&self, session: SessionRef, at: Instant) {
        {
            let mut state = self.locked();
            if let Some(before) = state.expiry.insert(session.id, at) {
                state.by_expiry.remove(&(before, session.id));
            }
            state.by_expiry.insert((at, session.id), session);
        }
        self.changed.notify_one();
    }

    /// The same for one that has just lost its connection.
    fn lost(&self, session: SessionRef, at: Instant) {
        self.locked().lost.push(session.clone());
        self.add(session, at);
    }

    /// The session is resumed, or over.
    pub(super) fn remove(&self, id: SessionId) {
        let mut state = self.locked();
        if let Some(at) = state.expiry.remove(&id) {
            state.by_expiry.remove(&(at, id));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.locked().expiry.len()
    }

    /// All of them, those that end first first.
    pub(super) fn all(&self) -> Vec<(Instant, SessionRef)> {
        self.locked().by_expiry.iter().map(|((at, _), session)| (*at, session.clone())).collect()
    }

    /// The one with this id, while it waits for its time to come.
    fn find(&self, id: SessionId) -> Option<SessionRef> {
        let state = self.locked();
        let at = *state.expiry.get(&id)?;
        state.by_expiry.get(&(at, id)).cloned()
    }

    fn next(&self) -> Option<Instant> {
        self.locked().by_expiry.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out those whose time has come.
    fn take_due(&self, now: Instant) -> Vec<SessionRef> {
        let mut state = self.locked();
        let mut due = Vec::new();
        while state.by_expiry.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            if let Some((_, session)) = state.by_expiry.pop_first() {
                state.expiry.remove(&session.id);
                due.push(session);
            }
        }
        due
    }

    /// Remembers how far a session had come that can no longer be resumed.
    pub(super) fn remember(&self, account: &BareJid, token: Token, handled: u32) {
        let mut state = self.locked();
        if state.gone.insert(token, (account.clone(), handled)).is_none() {
            state.gone_order.push_back(token);
        }
        while state.gone_order.len() > GONE_MAX {
            let oldest = state.gone_order.pop_front();
            oldest.and_then(|oldest| state.gone.remove(&oldest));
        }
    }

    fn handled_by_gone(&self, account: &BareJid, token: &Token) -> Option<u32> {
        self.locked().gone.get(token).filter(|(of, _)| of == account).map(|(_, handled)| *handled)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // Plain tables: each change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's hold on its session. Dropped, the session hibernates if it may, and ends otherwise: also when the task is cut off or panics.
#[derive(Debug)]
pub struct Bound {
    router: Router,
    session: SessionRef,
    /// It still is this connection's.
    held: bool,
    attachment: Attachment,
    /// Taken from the mailbox and not yet handed to the socket, each with where it ends in all output; before stream management only.
    pub in_flight: SmallVec<[(u64, Delivery); 1]>,
    /// More is owed to the session.
    pub owed: bool,
    /// What the mailbox held when the session ended.
    left: Option<Left>,
}

impl Bound {
    /// A session that this connection has bound or resumed.
    pub fn new(router: Router, session: SessionRef, attachment: Attachment) -> Self {
        Self { router, session, held: true, attachment, in_flight: SmallVec::new(), owed: false, left: None }
    }

    /// The session; `None` once it was given up.
    pub fn session(&self) -> Option<&SessionRef> {
        self.held.then_some(&self.session)
    }

    /// The full JID bound.
    pub fn jid(&self) -> FullJid {
        self.session.jid.clone()
    }

    /// Where its mail comes from.
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// The connection is lost, and `written` bytes of output were handed over. Says whether the session goes on without it, or with another one;
    /// else it is to be ended. It cannot go on if what came before `<enabled/>` was not written: its client never learned how to resume it.
    pub fn hibernate(&mut self, written: u64) -> bool {
        if !self.held {
            return true;
        }
        if self.owed {
            self.attachment.mailbox().push(Outgoing::Owed);
        }
        let all_written = self.in_flight.iter().all(|(end, _)| *end <= written);
        let stays = (all_written && self.router.detach(&self.session, &self.attachment)) || !self.attachment.is_current();
        self.held = !stays;
        stays
    }

    /// Takes the session out of its account: contacts learn of it, its calls end.
    pub async fn end(&mut self) {
        if !self.held {
            return;
        }
        if self.attachment.retire() {
            self.left = Some(self.router.end(&self.session).await);
        } else {
            self.held = false;
        }
    }

    /// After [`Bound::hibernate`] or [`Bound::end`]: what the client did not get goes elsewhere. Of what was in flight, `written` bytes of output
    /// were handed over.
    pub async fn leave_over(mut self, written: u64) {
        self.held = false;
        self.take_left(written).go_on().await;
    }

    /// What was written has arrived as far as anybody can know; the rest comes before what was in the mailbox.
    fn take_left(&mut self, written: u64) -> Left {
        let (got, lacks): (Vec<_>, Vec<_>) = std::mem::take(&mut self.in_flight).into_iter().partition(|(end, _)| *end <= written);
        let stored: Vec<_> = got.into_iter().filter_map(|(_, delivery)| delivery.stored).collect();
        self.router.acknowledged(&self.session, &stored);
        let mut left = self.left.take().unwrap_or_else(|| Left::new(&self.router, &self.session, true));
        left.put_first(lacks.into_iter().map(|(_, delivery)| delivery));
        left
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.held && !self.hibernate(0) && self.attachment.retire() && self.left.is_none() {
            let (router, session, mut left) = (self.router.clone(), self.session.clone(), self.take_left(0));
            // Nobody can wait for it: the connection's own task is ending.
            self.router.spawn(async move {
                left.append(router.end(&session).await);
                left.go_on().await;
            });
        } else if !self.in_flight.is_empty() || self.left.is_some() {
            drop(self.take_left(0));
        }
    }
}

/// What a session that is over did not get. It goes elsewhere, also if it is dropped: whoever ended the session may be cut off.
#[derive(Debug)]
pub(super) struct Left {
    router: Router,
    session: SessionRef,
    /// It had a stream when it ended.
    live: bool,
    deliveries: Vec<Delivery>,
}

impl Left {
    pub(super) fn new(router: &Router, session: &SessionRef, live: bool) -> Self {
        Self { router: router.clone(), session: session.clone(), live, deliveries: Vec::new() }
    }

    pub(super) fn put_first(&mut self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.deliveries.splice(0..0, deliveries);
    }

    fn append(&mut self, mut later: Self) {
        self.live = later.live;
        self.deliveries.append(&mut later.deliveries);
    }

    pub(super) async fn go_on(mut self) {
        if let Some(going) = self.start() {
            // It goes on if this is cut off.
            if let Err(error) = going.await {
                tracing::error!(%error, "what a session did not get may be lost until its account's next start");
            }
        }
    }

    fn start(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let deliveries = std::mem::take(&mut self.deliveries);
        if deliveries.is_empty() {
            return None;
        }
        let (router, session, live) = (self.router.clone(), self.session.clone(), self.live);
        self.router.spawn(async move {
            if live {
                push::ended(&router, &session, &deliveries).await;
            }
            router.left_over(&session.home, deliveries).await;
        })
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        drop(self.start());
    }
}

/// A session that goes on with a new connection.
#[derive(Debug)]
pub struct Resumed {
    /// The new connection's hold on it. What the client lacks comes from its mailbox first.
    pub bound: Bound,
    /// How far the client's stanzas were handled; all of it is durable.
    pub handled: u32,
}

/// Why a session does not go on.
#[derive(Debug)]
pub enum NotResumed {
    /// `<failed/>`, with the `h` of a session that is gone where it is known.
    Failed(StanzaError, Option<u32>),
    /// The stream ends.
    Broken(StreamError),
}

impl Router {
    /// XEP-0198 §3: switches stream management on for a session, and makes it resumable if its client wants that; for `max` seconds if that is
    /// less than the server grants.
    ///
    /// # Errors
    /// `unexpected-request` if it is on, or the session is over.
    pub fn enable_management(&self, session: &SessionRef, resume: bool, max: Option<u64>) -> Result<Enabled, StanzaError> {
        session.home.with(|account| {
            // Nobody can log in to an anonymous account a second time.
            let resume = resume && !account.anonymous;
            let own = account.session(session.id).filter(|own| own.mailbox.manage());
            let own = own.ok_or_else(StanzaError::unexpected_request)?;
            own.resumption = resume.then(|| {
                let granted = self.limits().resume;
                let within = max.map_or(granted, |max| granted.min(Duration::from_secs(max)));
                Resumption { token: Token::new(random::bytes()), within }
            });
            Ok(Enabled { resumption: own.resumption.map(|Resumption { token, within }| (token, within)) })
        })
    }

    /// The connection of a session is lost: it hibernates. False if it cannot be resumed, is over, or has another connection.
    pub fn detach(&self, session: &SessionRef, attachment: &Attachment) -> bool {
        let now = Instant::now();
        let ends = session.home.with(|account| {
            let own = account.session(session.id)?;
            let within = own.resumption?.within;
            attachment.detach(&self.0.hibernation.overflows, session.id).then(|| {
                own.hibernated = Some(now);
                now + within
            })
        });
        if let Some(ends) = ends {
            tracing::debug!(jid = %session.jid, "the session hibernates");
            self.0.hibernation.lost(session.clone(), ends);
            self.0.metrics.show_hibernated(self.0.hibernation.len());
        }
        ends.is_some()
    }

    /// XEP-0198 §5: goes on with the session of this identifier, taking over from a connection that may still look alive. `h` is how much its
    /// client has of what was sent, `since` when the new stream began.
    ///
    /// # Errors
    /// `item-not-found` for a session that is not there or no longer, `not-authorized` for a stream that began before the account's sessions
    /// were ended, `internal-server-error` when the account cannot be loaded; the stream error for an `h` too high.
    pub async fn resume(&self, account: &BareJid, previd: &str, h: u32, since: Instant) -> Result<Resumed, NotResumed> {
        let result = self.resume_session(account, previd, h, since).await;
        self.0.metrics.count_resumption(match &result {
            Ok(_) => "resumed",
            Err(NotResumed::Failed(error, _)) => error.condition.name(),
            Err(NotResumed::Broken(_)) => "handled-count-too-high",
        });
        result
    }

    async fn resume_session(&self, account: &BareJid, previd: &str, h: u32, since: Instant) -> Result<Resumed, NotResumed> {
        let failed = |error| NotResumed::Failed(error, None);
        let token = Token::parse(previd).ok_or_else(|| failed(StanzaError::item_not_found()))?;
        let home = self.0.homes.get(account).await.map_err(self.internal("load an account")).map_err(failed)?;
        let home = home.ok_or_else(|| failed(StanzaError::item_not_found()))?;
        if self.kicked().get(account).is_some_and(|at| *at >= since) {
            return Err(failed(StanzaError::not_authorized().with_text("the credentials have changed, log in again")));
        }
        let found = home.with(|account| {
            let own = account.sessions.iter_mut().find(|own| own.resumption.is_some_and(|resumption| resumption.token.is(&token)))?;
            let attachment = own.mailbox.attach()?;
            own.hibernated = None;
            Some((own.id, own.jid.clone(), attachment))
        });
        let Some((id, jid, attachment)) = found else {
            return Err(NotResumed::Failed(StanzaError::item_not_found(), self.0.hibernation.handled_by_gone(account, &token)));
        };
        self.0.hibernation.remove(id);
        self.0.metrics.show_hibernated(self.0.hibernation.len());
        // From here on the session hibernates again if this does not come to its end.
        let session = SessionRef { jid, id, home };
        let bound = Bound::new(self.clone(), session.clone(), attachment);
        bound.attachment().settled().await;
        let acknowledged = bound.attachment().rewind(h).map_err(|too_high| NotResumed::Broken(too_high.into()))?;
        if !acknowledged.stored.is_empty() {
            self.acknowledged(&session, &acknowledged.stored);
        }
        caps::resumed(self, &session);
        let progress = bound.attachment().mailbox().progress();
        self.store().durability().reached(progress.queued).await;
        Ok(Resumed { bound, handled: progress.handled })
    }

    /// What clients have not acknowledged, of all sessions together, in stanzas and bytes with what waits.
    pub fn unacknowledged(&self) -> (u64, u64) {
        let (mut stanzas, mut bytes) = (0, 0);
        self.0.homes.each(|account| {
            for session in &account.sessions {
                stanzas += session.mailbox.outstanding() as u64;
                bytes += session.mailbox.bytes() as u64;
            }
        });
        (stanzas, bytes)
    }

    /// Ends sessions that hibernate when their time has come, and wakes the clients that lost theirs with something to see, as long as the future is polled.
    pub async fn run_hibernation(&self) {
        loop {
            let hibernation = &self.0.hibernation;
            let next = hibernation.next();
            let expiry = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = expiry => self.end_expired(tokio::time::Instant::now().into_std()).await,
                () = hibernation.changed.notified() => {
                    let lost = std::mem::take(&mut hibernation.locked().lost);
                    stream::iter(lost).for_each_concurrent(AT_ONCE, |session| async move {
                        push::lost(self, &session).await;
                        // It may have overflowed before it was listed here.
                        self.end_hibernated(&session, |own| own.mailbox.is_closed()).await;
                    }).await;
                }
                full = hibernation.overflows.next() => {
                    let full: Vec<_> = full.into_iter().filter_map(|id| hibernation.find(id)).collect();
                    stream::iter(full).for_each_concurrent(AT_ONCE, |session| async move {
                        self.end_hibernated(&session, |own| own.mailbox.is_closed()).await;
                    }).await;
                }
            }
        }
    }

    /// Ends the sessions that were to be resumed before `now`.
    pub async fn end_expired(&self, now: Instant) {
        let due = stream::iter(self.0.hibernation.take_due(now));
        due.for_each_concurrent(AT_ONCE, |session| async move {
            // Resumed since and hibernating again, it has its whole time once more.
            self.end_hibernated(&session, |own| self.0.hibernation.find(own.id).is_none()).await;
        })
        .await;
    }

    async fn end_hibernated(&self, session: &SessionRef, over: impl FnOnce(&Session) -> bool) {
        // The home decides: it may have been resumed since.
        let closed = session.home.with(|account| {
            let own = account.session(session.id)?;
            let ends = own.hibernated.is_some() && over(own);
            ends.then(|| own.mailbox.close())
        });
        if closed.is_some() {
            tracing::debug!(jid = %session.jid, "the session was not resumed");
            self.end(session).await.go_on().await;
        }
    }
}
