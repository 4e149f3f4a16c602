//! One stanza for many: the notifications of PubSub, and whatever else a service sends to all who listen.
//!
//! Body and index are shared, only `to` differs; each recipient's stages (`pipeline::INBOUND`) and RFC 6121 §8.5 have their say as for any stanza.
//! Nothing is awaited for a recipient whose account is in memory.

use futures_util::future::BoxFuture;

use super::Router;
use super::arrival::{Arrival, is_for_sessions_only};
use crate::account::Targets;
use crate::jid::Jid;
use crate::mailbox::Unread;
use crate::outbox::Behind;
use crate::pipeline::{Moment, Verdict};
use crate::stanza::{Kind, Stanza};

/// Recipients between two moments at which others have their turn: some four hundred microseconds, if each has a socket to write to.
const SLICE: usize = 64;

impl Router {
    /// Brings a stanza, which has a `from` and no `to`, to each of these addresses in their order, as if it was sent to each alone: what cannot be
    /// delivered goes back to `from` as an error (RFC 6121 §8.5), what is blocked too (XEP-0191 §3.3). Returns when each recipient's mailbox or
    /// offline storage has it; who calls it sees to the order of its own broadcasts by waiting for one before the next.
    ///
    /// An account that is not in memory is not loaded for what only sessions could get: a headline, presence.
    ///
    /// With nothing behind it, it is written to each client's socket from here (ADR 12); else connections write all that comes to them.
    pub async fn broadcast(&self, stanza: &Stanza, recipients: &[Jid], behind: Behind) {
        let see_to = match behind {
            Behind::Nothing => Unread::write,
            Behind::More => drop,
        };
        let keeps = !is_for_sessions_only(stanza);
        let mut unread = Vec::with_capacity(recipients.len().min(SLICE));
        for slice in recipients.chunks(SLICE) {
            if let Kind::Message(_) = stanza.kind()
                && keeps
                && self.0.store.archive().is_behind()
            {
                Box::pin(self.0.store.archive().room()).await;
            }
            let moment = self.moment(stanza);
            for to in slice {
                let addressed = stanza.clone().with_to(to.clone());
                if let Some(rest) = self.bring(addressed, to, &moment, &mut unread) {
                    unread.drain(..).for_each(see_to);
                    rest.await;
                }
            }
            // First all accounts, then all sockets: each finds in the processor's caches what the one before needed.
            unread.drain(..).for_each(see_to);
            if slice.len() == SLICE {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Does at once what can be, which is nearly always all, and gives the rest.
    fn bring(&self, mut stanza: Stanza, to: &Jid, moment: &Moment, unread: &mut Vec<Unread>) -> Option<BoxFuture<'_, ()>> {
        let is_account = to.local().is_some() && self.is_local(to.domain());
        let Some(home) = is_account.then(|| self.0.homes.peek_at(to.bare_str())).flatten() else {
            // What is for all sessions of an account that has none.
            let is_nobodys = is_account && to.is_bare() && is_for_sessions_only(&stanza);
            return (!is_nobodys).then(|| Box::pin(self.route(stanza, None)) as BoxFuture<'_, ()>);
        };
        let mut arrival = self.take_home(&home, &mut stanza, moment);
        unread.extend(arrival.unread.drain(..));
        (!arrival.is_settled()).then(|| Box::pin(async move { self.conclude(&home, stanza, arrival, None).await }) as BoxFuture<'_, ()>)
    }
}

impl Arrival {
    /// Nothing follows.
    fn is_settled(&self) -> bool {
        match self.verdict {
            Verdict::Drop => true,
            Verdict::Bounce(_) => false,
            Verdict::Pass => {
                let done = matches!(self.targets, Targets::Sessions(_) | Targets::Offline | Targets::Nobody);
                done && !self.effects.visited && self.effects.observed_from.is_none() && self.effects.push.is_none()
            }
        }
    }
}
