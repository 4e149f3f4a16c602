//! A session gets its resource (RFC 6120 §7), and ends: contacts learn of it, its calls end, and what its client did not get goes elsewhere.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use super::resumption::Left;
use super::{Limits, Router};
use crate::account::Account;
use crate::features::{caps, presence};
use crate::homes::Home;
use crate::jid::{BareJid, FullJid};
use crate::mailbox::{Mailbox, Outgoing};
use crate::random;
use crate::session::{Session, SessionId, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stream::error::{self, StreamError};

impl Router {
    /// Binds a resource (RFC 6120 §7). A session that already has it is ended with `conflict` (§7.7.2.2): the newcomer is the one
    /// whose connection certainly works.
    ///
    /// # Errors
    /// `bad-request` for a resource that is none, `resource-constraint` for too many sessions, `not-authorized` for an account that
    /// was deleted meanwhile or whose sessions were ended after `since`, when the stream began, `internal-server-error` when it cannot be
    /// loaded.
    pub async fn bind(
        &self,
        account: &BareJid,
        requested: Option<&str>,
        mailbox: Arc<Mailbox>,
        since: Instant,
    ) -> Result<SessionRef, StanzaError> {
        let jid = match requested {
            Some(resource) => account.with_resource(resource).map_err(|error| StanzaError::bad_request(error.to_string()))?,
            None => account.with_resource(&random::id()).map_err(|error| StanzaError::bad_request(error.to_string()))?,
        };
        let home = self.0.homes.get(account).await.map_err(self.internal("load an account"))?;
        let home = home.ok_or_else(|| StanzaError::not_authorized().with_text("there is no such account"))?;
        if let Some(conversions) = self.conversions() {
            conversions.settle(&home).await;
        }
        let session = Session::new(jid.clone(), mailbox);
        let id = session.id;
        let mut newcomer = Some(session);
        let mut left = Vec::new();
        while let Some(old) = home.with(|account| place(account, &mut newcomer, &self.0.limits))? {
            let error = StreamError::new(error::Condition::Conflict).with_text("another connection has bound this resource");
            old.mailbox.push(Outgoing::Close(error));
            left.push(self.end(&SessionRef { jid: old.jid, id: old.id, home: home.clone() }).await);
        }
        self.0.metrics.sessions.inc();
        let session = SessionRef { jid, id, home };
        // After the session has its place: a kick that comes now finds it there, one that came before is found here.
        let kicked = self.kicked().get(account).is_some_and(|at| *at >= since);
        if kicked {
            self.unbind(&session).await;
        }
        // What its predecessor did not get, the newcomer may.
        for left in left {
            left.go_on().await;
        }
        if kicked {
            return Err(
                StanzaError::not_authorized().with_text("the account has changed since this stream began: connect and log in again")
            );
        }
        Ok(session)
    }

    /// Ends a session: contacts learn of it, its calls end, and what its client did not get goes elsewhere.
    pub async fn unbind(&self, session: &SessionRef) {
        self.end(session).await.go_on().await;
    }

    /// Takes a session out of its account: contacts learn of it, its calls end. Returns what its client did not get.
    pub(super) async fn end(&self, session: &SessionRef) -> Left {
        let ended = self.whole(self.clone().end_whole(session.clone())).await;
        ended.unwrap_or_else(|| Left::new(self, session, false))
    }

    fn end_whole(self, session: SessionRef) -> Pin<Box<dyn Future<Output = Left> + Send>> {
        Box::pin(async move {
            let SessionRef { jid, id, home } = &session;
            self.end_relay(home, |own| own.id == *id);
            let found = home.with(|account| account.session(*id).map(|own| (own.mailbox.clone(), own.resumption)));
            let Some((mailbox, resumption)) = found else { return Left::new(&self, &session, false) };
            let remember = || {
                if let Some(resumption) = resumption {
                    self.0.hibernation.remember(&home.jid, resumption.token, mailbox.progress().handled);
                }
            };
            // Before it is gone, so that its client finds either.
            remember();
            let mut capabilities = None;
            let over = |own: Session| {
                let mut left = Left::new(&self, &session, own.hibernated.is_none());
                capabilities = own.capabilities;
                left.put_first(own.mailbox.take_back());
                left
            };
            let Some(left) = presence::session_ended(&self, home, *id, over).await else { return Left::new(&self, &session, false) };
            remember();
            if let Some(capabilities) = capabilities {
                caps::gone(&self, &session, &capabilities);
            }
            // Nothing more comes from it that could begin a call.
            self.0.calls.handle_gone(jid, Instant::now());
            self.0.metrics.sessions.dec();
            self.0.hibernation.remove(*id);
            self.0.metrics.show_hibernated(self.0.hibernation.len());
            let over = home.with(|account| account.anonymous && account.sessions.is_empty());
            if let (true, Some(administration)) = (over, self.0.administration.get()) {
                administration.anonymous_ended(&home.jid).await;
            }
            left
        })
    }

    /// The end of these sessions begins: their TURN credentials and allocations end at once, and nothing more is issued to them. What follows may
    /// wait, for presence or for the database.
    pub(super) fn end_relay(&self, home: &Home, chosen: impl Fn(&Session) -> bool) {
        let tags: Vec<_> = home.with(|account| {
            let ending = account.sessions.iter_mut().filter(|session| chosen(session));
            ending
                .filter_map(|session| {
                    session.is_ending = true;
                    session.relay.take()
                })
                .collect()
        });
        tags.into_iter().for_each(|tag| self.0.calls.end_session(tag));
    }
}

/// A session that makes room for another.
struct Predecessor {
    id: SessionId,
    jid: FullJid,
    mailbox: Arc<Mailbox>,
}

/// Gives the newcomer its place, or names the session that must go first: the one that has its resource, or, where the account has as many as it
/// may have, the one that has waited longest to be resumed.
fn place(account: &mut Account, newcomer: &mut Option<Session>, limits: &Limits) -> Result<Option<Predecessor>, StanzaError> {
    let Some(resource) = newcomer.as_ref().map(|session| session.jid.resource_str()) else { return Ok(None) };
    let old = match account.resource(resource) {
        None if account.sessions.len() >= limits.sessions_per_account => {
            let oldest = account.sessions.iter().filter(|own| own.hibernated.is_some()).min_by_key(|own| own.hibernated);
            let full = || StanzaError::resource_constraint().with_text("the account has as many sessions as it may have");
            Some(oldest.ok_or_else(full)?)
        }
        old => old,
    };
    if let Some(old) = old {
        return Ok(Some(Predecessor { id: old.id, jid: old.jid.clone(), mailbox: old.mailbox.clone() }));
    }
    // Most accounts have one, and it is large.
    account.sessions.reserve_exact(1);
    account.sessions.extend(newcomer.take());
    Ok(None)
}
