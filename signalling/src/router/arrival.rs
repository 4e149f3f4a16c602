//! A stanza reaches the home of a local account (RFC 6121 §8.5): its stages, whom it goes to, and what is left to do.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::{Host, Router};
use crate::account::{Account, Targets};
use crate::features::{mds, presence, push};
use crate::homes::Home;
use crate::iq::To;
use crate::jid::{BareJid, Jid};
use crate::mailbox::Unread;
use crate::ns;
use crate::pipeline::{self, Effects, Moment, Verdict, Walk};
use crate::pubsub::{self, interest};
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};
use crate::store::StoreError;

impl Router {
    /// RFC 6121 §8.5: a stanza for a local account.
    pub(super) async fn to_account(&self, mut stanza: Stanza, origin: Option<&SessionRef>) {
        let Some(to) = stanza.to().map(Jid::to_bare) else { return };
        let home = match self.home_for(&to, &stanza).await {
            Ok(Some(home)) => home,
            Ok(None) => return self.no_such_account(&to, stanza, origin).await,
            Err(error) => {
                tracing::error!(account = %to, %error, "cannot load an account");
                return self.bounce(&stanza, StanzaError::internal_server_error(), origin).await;
            }
        };
        if let (Kind::Message(_), Some(pubsub)) = (stanza.kind(), self.pubsub())
            && let Some(decision) = pubsub::decision(&stanza)
            && !stanza.from().is_some_and(|from| home.with(|account| account.blocks(from)))
        {
            // XEP-0060 §8.6, to the account as a service.
            match Box::pin(pubsub.decided(&stanza, decision)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return self.bounce(&stanza, error, origin).await,
            }
        }
        let moment = self.moment(&stanza);
        let arrival = self.take_home(&home, &mut stanza, &moment);
        self.conclude(&home, stanza, arrival, origin).await;
    }

    /// The addressee's stages, and delivery to whom RFC 6121 §8.5 chooses.
    pub(super) fn take_home(&self, home: &Home, stanza: &mut Stanza, moment: &Moment) -> Arrival {
        home.with(|account| {
            let mut targets = account.targets(stanza);
            let walk = Walk { account, sender: None, targets: &targets, moment };
            let (mut verdict, mut effects) = pipeline::walk(pipeline::INBOUND, &walk, stanza);
            if let (Verdict::Pass, Kind::Presence(PresenceType::Unavailable), Some(from)) = (&verdict, stanza.kind(), stanza.from()) {
                account.has_left(stanza, from);
            }
            // Occupants are no visitors: nobody says when they go, and they ask for nothing.
            if let (Verdict::Pass, Kind::Presence(PresenceType::Available), Some(from)) = (&verdict, stanza.kind(), stanza.from())
                && !matches!(self.service(from.domain()), Some(Host::Muc(_)))
            {
                effects.visited = account.visited_by(from);
            }
            let mut unread = SmallVec::new();
            if verdict == Verdict::Pass {
                verdict = self.deliver(account, &mut targets, stanza, &mut effects, moment, &mut unread);
            }
            Arrival { verdict, targets, effects, unread }
        })
    }

    /// What is left to do for a stanza that has reached its addressee's home.
    pub(super) async fn conclude(&self, home: &Arc<Home>, stanza: Stanza, arrival: Arrival, origin: Option<&SessionRef>) {
        let Arrival { verdict, targets, effects, unread } = arrival;
        // Readers come now.
        drop(unread);
        match verdict {
            Verdict::Drop => {}
            Verdict::Bounce(error) => self.bounce(&stanza, error, origin).await,
            Verdict::Pass => {
                self.perform(home, effects, &stanza).await;
                // XEP-0163 §4.3.1: an error is for the account as a service.
                if let (Kind::Message(MessageType::Error), Targets::Nobody, Some(pubsub)) = (stanza.kind(), &targets, self.pubsub()) {
                    pubsub.bounced(&stanza);
                }
                if let Targets::Account | Targets::Bounce(_) = targets {
                    Box::pin(self.finish(home, stanza, targets, origin)).await;
                }
            }
        }
    }

    /// What is left to do for a stanza that passed all stages of its addressee.
    async fn finish(&self, home: &Arc<Home>, stanza: Stanza, targets: Targets, origin: Option<&SessionRef>) {
        match targets {
            Targets::Sessions(_) | Targets::Offline | Targets::Nobody => {}
            Targets::Bounce(error) => self.bounce(&stanza, error, origin).await,
            Targets::Account => match stanza.kind() {
                Kind::Presence(_) => Box::pin(presence::inbound(self, home, stanza)).await,
                _ => {
                    let own = stanza.from().is_some_and(|from| from.to_bare() == home.jid);
                    Box::pin(self.answer(if own { To::Account } else { To::Contact }, stanza, origin)).await;
                }
            },
        }
    }

    /// What only sessions could get finds nobody in a home that is not in memory, so it does not load one: a log-in with a thousand contacts is
    /// cheap, and so is a headline.
    async fn home_for(&self, account: &BareJid, stanza: &Stanza) -> Result<Option<Arc<Home>>, StoreError> {
        if is_for_sessions_only(stanza) { Ok(self.0.homes.peek(account)) } else { self.0.homes.get(account).await }
    }

    /// RFC 6121 §8.5.1. Nobody finds out which accounts there are: the stanza takes the way to an account that nobody has ever seen, whose
    /// stages and answers are those of one that exists and has no resources. What that one would keep is dropped ("MUST either (a) silently ignore
    /// the message or (b) return an error stanza").
    async fn no_such_account(&self, to: &BareJid, mut stanza: Stanza, origin: Option<&SessionRef>) {
        let moment = self.moment(&stanza);
        let (verdict, targets) = {
            let account = Account::new(to.clone(), Vec::new(), Vec::new());
            let targets = account.targets(&stanza);
            let walk = Walk { account: &account, sender: None, targets: &targets, moment: &moment };
            // Without effects: nobody is there to keep a message or to be notified of it.
            let (verdict, _) = pipeline::walk(pipeline::INBOUND, &walk, &mut stanza);
            (verdict, targets)
        };
        match (verdict, targets) {
            (Verdict::Bounce(error), _) | (Verdict::Pass, Targets::Bounce(error)) => self.bounce(&stanza, error, origin).await,
            (Verdict::Pass, Targets::Account) => match stanza.kind() {
                Kind::Presence(PresenceType::Probe) => Box::pin(presence::probe_of_nobody(self, &stanza)).await,
                Kind::Presence(_) => {}
                _ => self.answer(To::Contact, stanza, origin).await,
            },
            (Verdict::Drop, _) | (Verdict::Pass, Targets::Sessions(_) | Targets::Offline | Targets::Nobody) => {}
        }
    }

    pub(super) async fn perform(&self, home: &Arc<Home>, effects: Effects, stanza: &Stanza) {
        if let (true, Some(from)) = (effects.visited, stanza.from()) {
            interest::visited(self, &home.jid, from);
        }
        // What goes through a room is seen there, between the real addresses.
        if let Some(account) = effects.observed_from
            && !stanza.to().is_some_and(|to| matches!(self.service(to.domain()), Some(Host::Muc(_))))
        {
            self.0.calls.observe(stanza, Some(&account), Instant::now());
        }
        if let Some(event) = effects.push {
            Box::pin(push::notify(self, home, *event)).await;
        }
        if let Some(displayed) = effects.displayed {
            Box::pin(mds::keep(self, home, *displayed)).await;
        }
    }
}

/// What came of a stanza at its addressee's home.
pub(super) struct Arrival {
    pub verdict: Verdict,
    pub targets: Targets,
    pub effects: Effects,
    /// Whose readers have to come for it.
    pub unread: SmallVec<[Unread; 1]>,
}

/// Whether an account without sessions answers such a stanza as one does that nobody has ever seen, and keeps nothing of it.
pub(super) fn is_for_sessions_only(stanza: &Stanza) -> bool {
    match stanza.kind() {
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => true,
        // XEP-0357 §8: a push service may say by any message that a device is not to be notified any more.
        Kind::Message(MessageType::Headline | MessageType::Groupchat) => stanza.child(ns::PUBSUB, "pubsub").is_none(),
        _ => false,
    }
}
