//! One stanza for many: the notifications of PubSub, and whatever else a service sends to all who listen.
//!
//! Body and index are shared, only `to` differs; each recipient's stages (`pipeline::INBOUND`) and RFC 6121 §8.5 have their say as for any stanza.
//! Nothing is awaited for a recipient whose account is in memory.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Router;
use super::arrival::{Arrival, is_for_sessions_only};
use crate::account::Targets;
use crate::homes::Home;
use crate::jid::Jid;
use crate::mailbox::Unread;
use crate::outbox::Behind;
use crate::pipeline::{Moment, Verdict};
use crate::stanza::{Kind, Stanza};

/// Recipients whose homes are looked up together.
const BLOCK: usize = 1024;
/// Recipients between two moments at which others have their turn: less than a millisecond, if each has a socket to write to.
const SLICE: usize = 128;

impl Router {
    /// Brings a stanza, which has a `from` and no `to`, to each of these addresses, in any order, as if it was sent to each alone: what cannot be
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
        let keeps = matches!(stanza.kind(), Kind::Message(_)) && !is_for_sessions_only(stanza);
        let mut unread = Vec::with_capacity(recipients.len().min(SLICE));
        for block in recipients.chunks(BLOCK) {
            let found = self.with_homes(block);
            for slice in found.chunks(SLICE) {
                if keeps && self.0.store.archive().is_behind() {
                    Box::pin(self.0.store.archive().room()).await;
                }
                let moment = self.moment(stanza);
                for (home, to) in slice {
                    let addressed = stanza.clone().with_to((*to).clone());
                    if let Some(rest) = self.bring(addressed, home.as_ref(), &moment, &mut unread) {
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
    }

    /// Recipients with their homes, if they are accounts in memory, in the order in which they lie there: sessions and connections, which came to be
    /// with them, mostly lie in that order too, and the processor expects the next where the last one was. Those come last whose accounts may have to be
    /// loaded: the others do not wait for that.
    fn with_homes<'a>(&self, recipients: &'a [Jid]) -> Vec<(Option<Arc<Home>>, &'a Jid)> {
        let home = |to: &Jid| self.is_account(to).then(|| self.0.homes.peek_at(to.bare_str())).flatten();
        let mut found: Vec<_> = recipients.iter().map(|to| (home(to), to)).collect();
        found.sort_by_key(|(home, _)| (home.is_none(), home.as_ref().map(Arc::as_ptr)));
        found
    }

    fn is_account(&self, to: &Jid) -> bool {
        to.local().is_some() && self.is_local(to.domain())
    }

    /// Does at once what can be, which is nearly always all, and gives the rest.
    fn bring<'a>(
        &'a self,
        mut stanza: Stanza,
        home: Option<&'a Arc<Home>>,
        moment: &Moment,
        unread: &mut Vec<Unread>,
    ) -> Option<BoxFuture<'a, ()>> {
        let Some(home) = home else {
            // What is for all sessions of an account that has none.
            let is_nobodys = stanza.to().is_some_and(|to| to.is_bare() && self.is_account(to)) && is_for_sessions_only(&stanza);
            return (!is_nobodys).then(|| Box::pin(self.route(stanza, None)) as BoxFuture<'_, ()>);
        };
        let mut arrival = self.take_home(home, &mut stanza, moment);
        unread.extend(arrival.unread.drain(..));
        (!arrival.is_settled()).then(|| Box::pin(async move { self.conclude(home, stanza, arrival, None).await }) as BoxFuture<'_, ()>)
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
