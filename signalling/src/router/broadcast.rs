//! One stanza for many: the notifications of PubSub, and whatever else a service sends to all who listen.
//!
//! Body and index are shared, only `to` differs; each recipient's stages (`pipeline::INBOUND`) and RFC 6121 §8.5 have their say as for any stanza.
//! Nothing is awaited for a recipient whose account is in memory.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Router;
use super::arrival::{Arrival, is_for_sessions_only};
use crate::account::Targets;
use crate::addressees::Addressees;
use crate::homes::Home;
use crate::jid::Jid;
use crate::mailbox::Unread;
use crate::outbox::Behind;
use crate::pipeline::{Moment, Verdict};
use crate::stanza::{Kind, Stanza};

/// Addressees between two moments at which others have their turn: less than a millisecond, if each has a socket to write to.
const SLICE: usize = 128;

impl Router {
    /// Brings a stanza, which has a `from` and no `to`, to each of these addresses, in any order, as if it was sent to each alone: what cannot be
    /// delivered goes back to `from` as an error (RFC 6121 §8.5), what is blocked too (XEP-0191 §3.3). Returns when each addressee's mailbox or
    /// offline storage has it; who calls it sees to the order of its own broadcasts by waiting for one before the next.
    ///
    /// An account that is not in memory is not loaded for what only sessions could get: a headline, presence. Accounts that have to be loaded come last:
    /// the others do not wait for that.
    ///
    /// With nothing behind it, it is written to each client's socket from here (ADR 12); else connections write all that comes to them.
    pub async fn broadcast(&self, stanza: &Stanza, to: &Addressees, behind: Behind) {
        let see_to = match behind {
            Behind::Nothing => Unread::write,
            Behind::More => drop,
        };
        let mut unread = Vec::with_capacity(to.len().min(SLICE));
        let mut elsewhere = Vec::new();
        for block in to.blocks() {
            let mut moved = 0;
            for slice in block.known(|to| self.home_of(to)).chunks(SLICE) {
                self.wait_for_archive(stanza).await;
                let moment = self.moment(stanza);
                for known in slice {
                    let to = known.jid(&block);
                    let (home, has_moved) = known.home(|| self.home_of(to));
                    moved += usize::from(has_moved);
                    let Some(home) = home else {
                        elsewhere.extend(Some(to).filter(|to| !self.is_nobodys(stanza, to)));
                        continue;
                    };
                    if let Some(rest) = self.bring(stanza.clone().with_to(to.clone()), &home, &moment, &mut unread) {
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
            block.note_moved(moved);
        }
        for slice in elsewhere.chunks(SLICE) {
            self.wait_for_archive(stanza).await;
            for to in slice {
                Box::pin(self.route(stanza.clone().with_to((*to).clone()), None)).await;
            }
            if slice.len() == SLICE {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until the archive takes more, if this may have to be kept.
    async fn wait_for_archive(&self, stanza: &Stanza) {
        let archive = self.0.store.archive();
        if matches!(stanza.kind(), Kind::Message(_)) && !is_for_sessions_only(stanza) && archive.is_behind() {
            Box::pin(archive.room()).await;
        }
    }

    /// The home of an address, if it is that of an account in memory.
    fn home_of(&self, to: &Jid) -> Option<Arc<Home>> {
        self.is_account(to).then(|| self.0.homes.peek_at(to.bare_str())).flatten()
    }

    /// Whether it is for all sessions of an account which, not being in memory, has none.
    fn is_nobodys(&self, stanza: &Stanza, to: &Jid) -> bool {
        to.is_bare() && self.is_account(to) && is_for_sessions_only(stanza)
    }

    fn is_account(&self, to: &Jid) -> bool {
        to.local().is_some() && self.is_local(to.domain())
    }

    /// Does at once what can be, which is nearly always all, and gives the rest.
    fn bring<'a>(
        &'a self,
        mut stanza: Stanza,
        home: &'a Arc<Home>,
        moment: &Moment,
        unread: &mut Vec<Unread>,
    ) -> Option<BoxFuture<'a, ()>> {
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
