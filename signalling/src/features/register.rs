//! XEP-0077: In-Band Registration, version 2.4, for users who are logged in: what is on file, a new password, removal of the account. How newcomers
//! make accounts: `stream/c2s/register.rs`. Both work where `auth.registration` is off: they make no account.
//!
//! Not done: redirection to a web site (§5); the obsolete `<key/>` (§7).

pub mod query;

use std::sync::Arc;
use std::time::Instant;

use crate::administration::Administration;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::BareJid;
use crate::ns;
use crate::router::Router;
use crate::session::SessionRef;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;
use query::{Fields, Query};

/// For `features/fuzz.rs`.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(element: crate::xml::Node<'_>) {
    // Refusals are fine, panics are not.
    drop(Query::read(element));
}

/// Answers registration requests.
#[derive(Debug)]
pub struct Register {
    router: Router,
    administration: Arc<Administration>,
}

impl Register {
    /// §3 and §10: clients send them to the server, or to nobody (§3.2).
    pub fn register(router: &Router, administration: Arc<Administration>, table: &mut IqTable) {
        let register = Arc::new(Self { router: router.clone(), administration });
        table.feature(To::Server, ns::REGISTER);
        for to in [To::Server, To::Account] {
            table.get(to, (ns::REGISTER, "query"), &register, Self::get);
            table.set(to, (ns::REGISTER, "query"), &register, Self::set);
        }
    }

    /// §3.1, example 3.
    async fn get(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let session = own_session(&iq)?;
        match session.home.jid.local() {
            Some(username) if !is_anonymous(session) => Ok(Reply::Payload(query::registered(username))),
            _ => Err(StanzaError::registration_required().with_text("there is no account").with_code()),
        }
    }

    /// §3.2 and §3.3. Errors do not repeat the request, which holds a password, and have the code of old (§9).
    async fn set(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let session = own_session(&iq)?.clone();
        if let Err(error) = self.change(&iq, &session).await {
            let reply = Stanza::error_for(&iq.stanza, &error.with_code());
            reply.into_iter().for_each(|reply| send(&session, reply));
        }
        Ok(Reply::Sent)
    }

    async fn change(&self, iq: &Iq, session: &SessionRef) -> Result<(), StanzaError> {
        let element = iq.element()?;
        match Query::read(element.root())? {
            Query::Nothing => {}
            Query::Remove { username } => return self.remove(iq, session, username.as_deref()).await,
            Query::Fields(fields) => self.change_password(session, fields).await?,
        }
        send(session, Stanza::iq_result(&iq.stanza, ""));
        Ok(())
    }

    /// §3.2, scenario 1.
    async fn remove(&self, iq: &Iq, session: &SessionRef, username: Option<&str>) -> Result<(), StanzaError> {
        if is_anonymous(session) {
            return Err(StanzaError::registration_required().with_text("there is no account"));
        }
        if username.is_some_and(|username| !is_own(session, username)) {
            return Err(StanzaError::forbidden().with_text("the account is another's"));
        }
        // The answer comes before the stream error that ends the session.
        let stored = || send(session, Stanza::iq_result(&iq.stanza, ""));
        let removed = self.administration.remove(&session.home.jid, stored).await;
        match removed.map_err(self.router.internal("remove an account"))? {
            true => Ok(()),
            false => Err(StanzaError::registration_required().with_text("there is no account")),
        }
    }

    /// §3.3. That the stream is protected has been seen to by its machine.
    async fn change_password(&self, session: &SessionRef, fields: Fields) -> Result<(), StanzaError> {
        if is_anonymous(session) {
            return Err(StanzaError::not_allowed().with_text("there is no account"));
        }
        let (Some(username), Some(password)) = (fields.username, fields.password) else {
            return Err(StanzaError::bad_request("username and password are needed"));
        };
        if !is_own(session, &username) {
            return Err(StanzaError::not_allowed().with_text("only the own password can be changed"));
        }
        if !session.home.with(|account| account.takes_password_request(Instant::now())) {
            return Err(StanzaError::resource_constraint().with_text("too many attempts to change the password, try again later"));
        }
        if let Some(old) = fields.old_password
            && !self.administration.is_password(session, &old).await?
        {
            return Err(StanzaError::not_authorized().with_text("the old password is another"));
        }
        self.administration.change_password(session, &password).await
    }
}

/// Accounts of other servers have nothing to register here.
fn own_session(iq: &Iq) -> Result<&SessionRef, StanzaError> {
    iq.session.as_ref().ok_or_else(|| StanzaError::not_allowed().with_text("only for this server's own users").with_code())
}

fn is_anonymous(session: &SessionRef) -> bool {
    session.home.with(|account| account.anonymous)
}

/// The localpart, or the bare JID as in examples 17 and 24.
fn is_own(session: &SessionRef, username: &str) -> bool {
    let own = &session.home.jid;
    let named = if username.contains('@') { BareJid::parse(username) } else { BareJid::new(username, own.domain()) };
    named.is_ok_and(|named| named == *own)
}

fn send(session: &SessionRef, stanza: Stanza) {
    session.home.with(|account| {
        if let Some(session) = account.session(session.id) {
            session.send(stanza);
        }
    });
}
