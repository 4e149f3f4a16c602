//! Answers: of the server's own to requests and to what cannot be delivered (RFC 6120 §8.3), and those that come to what the server has asked.

use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Router;
use crate::features::{caps, push};
use crate::iq::{Iq, To};
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};

impl Router {
    /// Looks a request up and sends the answer; results and errors that nobody waits for end here.
    pub(crate) async fn answer(&self, to: To, stanza: Stanza, origin: Option<&SessionRef>) {
        if let Kind::Iq(IqType::Get | IqType::Set) = stanza.kind() {
            let Some(reply) = self.table().answer(Iq { stanza, session: origin.cloned(), to }).await else { return };
            if reply.kind() == Kind::Iq(IqType::Error) {
                self.0.calls.observe(&reply, None, Instant::now());
            }
            self.reply(reply, origin).await;
        }
    }

    /// Returns a stanza as an error, unless it is itself an error or an answer (RFC 6120 §8.3.1).
    pub(crate) fn bounce<'a>(&'a self, stanza: &'a Stanza, error: StanzaError, origin: Option<&'a SessionRef>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(reply) = Stanza::error_reply(stanza, &error) {
                self.0.calls.observe(&reply, None, Instant::now());
                self.reply(reply, origin).await;
            }
        })
    }

    /// Sends an answer to the session that has asked, or to whoever it is for.
    pub(crate) async fn reply(&self, reply: Stanza, origin: Option<&SessionRef>) {
        match origin {
            Some(session) => session.home.with(|account| {
                if let Some(session) = account.session(session.id) {
                    session.send(reply);
                }
            }),
            None if reply.to().is_some() => Box::pin(self.route(reply, None)).await,
            None => {}
        }
    }

    /// Answers a request before its handler has ended, for those to whom the place among other stanzas matters; whether its session is here.
    pub(crate) fn answer_session(&self, iq: &Iq, payload: Bytes) -> bool {
        let Some(session) = &iq.session else { return false };
        let reply = Stanza::iq_result(&iq.stanza, payload);
        session.home.with(|account| {
            if let Some(session) = account.session(session.id) {
                session.send(reply);
            }
        });
        true
    }

    /// An answer to one of our domains; to nothing that the server has asked, it is ignored.
    pub(super) async fn answered(&self, answer: &Stanza) {
        if let Some(published) = self.0.pushes.take(answer) {
            push::answered(self, published, answer).await;
        } else if let Some(query) = self.0.capabilities.asked.take(answer) {
            caps::answered(self, query, answer);
        }
    }

    /// Gives up requests of the server that nobody answers, as long as the future is polled.
    pub async fn run_asked(&self) {
        loop {
            tokio::select! {
                () = self.0.pushes.overdue() => {}
                () = self.0.capabilities.asked.overdue() => {}
            }
            self.give_up_asked(tokio::time::Instant::now().into_std());
        }
    }

    /// Gives up requests of the server that were to be answered before `now`.
    pub fn give_up_asked(&self, now: Instant) {
        // A push service that does not answer is asked again with the next notification.
        drop(self.0.pushes.give_up(now));
        for query in self.0.capabilities.asked.give_up(now) {
            caps::unanswered(self, query);
        }
    }
}
