//! Which sessions there are, and their end by the hand of the operator or of the account.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Router;
use crate::homes::Home;
use crate::jid::{BareJid, FullJid};
use crate::mailbox::Outgoing;
use crate::session::{Session, SessionRef};
use crate::stream::error::StreamError;

/// Far longer than a stream may take from its beginning to a bound resource.
const KICK_REMEMBERED: Duration = Duration::from_secs(3600);

/// A session as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its full JID.
    pub jid: FullJid,
    /// The priority of its presence; `None` while it is not available.
    pub priority: Option<i8>,
}

impl Router {
    /// Ends every session of an account with this error: it was removed or disabled, or its password changed.
    /// Returns how many there were.
    pub async fn kick(&self, account: &BareJid, error: StreamError) -> usize {
        self.remember_kick(account);
        let Some(home) = self.0.homes.peek(account) else { return 0 };
        self.end_sessions(&home, error, |_| true).await
    }

    /// The same for all sessions but this one.
    pub async fn kick_others(&self, session: &SessionRef, error: StreamError) -> usize {
        self.remember_kick(&session.home.jid);
        self.end_sessions(&session.home, error, |other| other.id != session.id).await
    }

    /// Ends the session of this resource, which may be bound again; whether there was one.
    pub async fn kick_session(&self, jid: &FullJid, error: StreamError) -> bool {
        let Some(home) = self.0.homes.peek(&jid.to_bare()) else { return false };
        self.end_sessions(&home, error, |session| session.jid == *jid).await > 0
    }

    /// A stream that is on its way to bind must not come after the kick.
    fn remember_kick(&self, account: &BareJid) {
        let now = Instant::now();
        let mut kicked = self.kicked();
        kicked.retain(|_, at| now.saturating_duration_since(*at) < KICK_REMEMBERED);
        kicked.insert(account.clone(), now);
    }

    async fn end_sessions(&self, home: &Arc<Home>, error: StreamError, chosen: impl Fn(&Session) -> bool) -> usize {
        self.end_relay(home, &chosen);
        let sessions: Vec<_> = home.with(|account| {
            let sessions = account.sessions.iter().filter(|session| chosen(session));
            sessions.map(|session| (session.id, session.jid.clone(), session.mailbox.clone())).collect()
        });
        let count = sessions.len();
        let mut left = Vec::new();
        for (id, jid, mailbox) in sessions {
            mailbox.push(Outgoing::Close(error.clone()));
            left.push(self.end(&SessionRef { jid, id, home: home.clone() }).await);
        }
        for left in left {
            left.go_on().await;
        }
        count
    }

    /// Up to `count` sessions in the order of their addresses, beginning behind `after`; of one account, or of all.
    pub fn sessions(&self, account: Option<&BareJid>, after: Option<&str>, count: usize) -> Vec<SessionInfo> {
        let homes = match account {
            Some(account) => self.0.homes.peek(account).into_iter().collect(),
            None => self.0.homes.in_memory(),
        };
        let info =
            |session: &Session| SessionInfo { jid: session.jid.clone(), priority: session.is_available().then_some(session.priority) };
        let of_home = |home: Arc<Home>| home.with(|account| account.sessions.iter().map(info).collect::<Vec<_>>());
        let mut sessions: Vec<_> = homes.into_iter().flat_map(of_home).collect();
        sessions.retain(|session| after.is_none_or(|after| session.jid.as_str() > after));
        sessions.sort_unstable_by(|a, b| a.jid.as_str().cmp(b.jid.as_str()));
        sessions.truncate(count);
        sessions
    }

    /// Drops what memory holds of an account that was deleted; its sessions have been ended.
    pub fn forget(&self, account: &BareJid) {
        self.0.homes.forget(account);
    }

    pub(super) fn kicked(&self) -> MutexGuard<'_, HashMap<BareJid, Instant>> {
        self.0.kicked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
