//! The table's indexes: how a call gets in, is found, waits, and gets out.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::observe::Context;
use super::{Call, CallId, Calls, Effect, Effects, End, Ignored, Kind, Rank, Times};
use crate::jid::{BareJid, Jid};
use crate::jingle::content::{Action, Party};
use crate::jingle::ladder::Ladder;
use crate::jingle::propose::CallMessage;
use crate::jingle::reason::Outcome;

/// Two accounts, in the order of their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pair(BareJid, BareJid);

impl Pair {
    pub(super) fn of(one: BareJid, other: BareJid) -> Self {
        if one.as_str() <= other.as_str() { Self(one, other) } else { Self(other, one) }
    }
}

impl Calls {
    /// A new call in the table, if there is room or can be made.
    pub(super) fn open(&mut self, context: &Context<'_>, sid: &str, kind: Kind, effects: &mut Effects) -> Option<CallId> {
        let (initiator, responder) = (context.from.to_bare(), context.to.to_bare());
        let rank = if context.sender.is_some() { Rank::Own } else { Rank::Foreign };
        if !self.make_room(&initiator, rank, context.now, effects) {
            effects.push(Effect::Ignored(Ignored::Full));
            return None;
        }
        let id = CallId(self.next);
        self.next += 1;
        let times = Times { started: context.now, ringing: None, proceeded: None, initiated: None, accepted: None, linked: None };
        let call = Call {
            id,
            sid: sid.into(),
            kind,
            initiator: initiator.clone(),
            responder: responder.clone(),
            proposal: None,
            session: None,
            times,
            ladder: Ladder::default(),
            end: None,
            rank,
            proposal_done: false,
            last_stanza: context.now,
            unavailable: None,
            due: None,
        };
        self.live.insert(id, call);
        self.by_pair.entry(context.pair.clone()).or_default().push(id);
        self.by_rank.insert((rank, id));
        self.by_account.entry(responder).or_default().insert(id);
        self.by_account.entry(initiator.clone()).or_default().insert(id);
        self.by_initiator.entry(initiator).or_default().insert(id);
        effects.push(Effect::Started { call: id });
        Some(id)
    }

    /// Evicts until one more call of this initiator fits. An account pays with its own calls for its own number, a full table with calls of
    /// the same rank or a lower one.
    fn make_room(&mut self, initiator: &BareJid, rank: Rank, now: Instant, effects: &mut Effects) -> bool {
        let evicted = End { at: now, outcome: Outcome::Evicted, reason: None, error: None };
        if let Some(own) = self.by_initiator.get(initiator)
            && own.len() >= self.limits.calls_per_account_max
        {
            let oldest = own.iter().copied().find(|id| self.live.get(id).is_some_and(|call| call.rank != Rank::Active));
            let Some(oldest) = oldest else { return false };
            self.end(oldest, evicted.clone(), effects);
        }
        if self.live.len() >= self.limits.calls_max {
            let Some((_, oldest)) = self.by_rank.first().copied().filter(|(of, _)| *of <= rank) else { return false };
            self.end(oldest, evicted, effects);
        }
        true
    }

    /// Takes a call out of the table.
    pub(super) fn end(&mut self, id: CallId, end: End, effects: &mut Effects) {
        let Some(mut call) = self.live.remove(&id) else { return };
        let pair = Pair::of(call.initiator.clone(), call.responder.clone());
        if let Some(ids) = self.by_pair.get_mut(&pair) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_pair.remove(&pair);
            }
        }
        remove(&mut self.by_account, &call.initiator, id);
        remove(&mut self.by_account, &call.responder, id);
        remove(&mut self.by_initiator, &call.initiator, id);
        self.by_rank.remove(&(call.rank, id));
        if let Some(due) = call.due.take() {
            self.deadlines.remove(&(due, id));
        }
        if call.kind == Kind::Call {
            self.in_session -= usize::from(call.session.is_some());
            self.proposed -= usize::from(call.session.is_none() && call.proposal.is_some());
        }
        if call.proposal.is_some() && !std::mem::replace(&mut call.proposal_done, true) {
            effects.push(Effect::ProposalDone { call: id, outcome: end.outcome });
        }
        if let Some(session) = &mut call.session {
            session.end(end.outcome);
        }
        let active = call.times.accepted.map(|accepted| end.at.saturating_duration_since(accepted));
        effects.push(Effect::Ended { call: id, kind: call.kind, outcome: end.outcome, active });
        call.end = Some(end);
        if self.past.len() >= self.limits.past_max {
            self.past.pop_front();
        }
        if self.limits.past_max > 0 {
            self.past.push_back(call);
        }
    }

    /// Writes down when the call must be looked at again.
    pub(super) fn schedule(&mut self, id: CallId) {
        let Some(call) = self.live.get_mut(&id) else { return };
        let due = call.due(&self.limits);
        if due == call.due {
            return;
        }
        if let Some(before) = std::mem::replace(&mut call.due, due) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id));
        }
    }

    /// The calls in which an address takes part, as a device and not only as an account.
    pub(super) fn calls_of(&self, address: &Jid) -> Vec<CallId> {
        let Some(ids) = self.by_account.get(&address.to_bare()) else { return Vec::new() };
        ids.iter().copied().filter(|id| self.live.get(id).is_some_and(|call| call.is_at(address))).collect()
    }

    /// The first call of a pair with this sid that `holds`.
    pub(super) fn find(&self, pair: &Pair, sid: &str, holds: impl Fn(&Call) -> bool) -> Option<CallId> {
        let ids = self.by_pair.get(pair)?;
        ids.iter().copied().find(|id| self.live.get(id).is_some_and(|call| *call.sid == *sid && holds(call)))
    }

    /// The call that a message is about.
    pub(super) fn call_of(&self, context: &Context<'_>, message: &CallMessage) -> Option<CallId> {
        self.find(&context.pair, &message.id, |_| true)
            .or_else(|| context.is_to_self().then(|| self.proposed_to(context.from, &message.id)).flatten())
    }

    /// The session to which a stanza other than session-initiate belongs. The same sid may be used in both directions (XEP-0166 §7.2.16): then a
    /// session-accept can only come from a responder, and otherwise the lower address has overruled the other.
    pub(super) fn session_of(&self, context: &Context<'_>, sid: &str, action: Action) -> Option<(CallId, Party)> {
        let ids = self.by_pair.get(&context.pair)?;
        let mut found = ids.iter().filter_map(|id| {
            let call = self.live.get(id).filter(|call| *call.sid == *sid)?;
            Some((*id, call.session.as_ref()?.sender(context.from, context.to)?))
        });
        let first = found.next()?;
        let Some(second) = found.next() else { return Some(first) };
        let wanted = match action {
            Action::SessionAccept => Party::Responder,
            _ if context.from.as_str() < context.to.as_str() => Party::Initiator,
            _ => Party::Responder,
        };
        Some(if second.1 == wanted { second } else { first })
    }

    /// XEP-0353 up to 0.3: `<accept/>` and `<reject/>` to the own bare address name no caller. The newest few proposals are looked at.
    fn proposed_to(&self, responder: &Jid, sid: &str) -> Option<CallId> {
        const LOOKED_AT_MAX: usize = 64;
        let ids = self.by_account.get(&responder.to_bare())?;
        let is_it = |call: &Call| *call.sid == *sid && call.session.is_none() && call.responder.as_str() == responder.bare_str();
        ids.iter().rev().take(LOOKED_AT_MAX).copied().find(|id| self.live.get(id).is_some_and(is_it))
    }
}

fn remove(index: &mut HashMap<BareJid, BTreeSet<CallId>>, account: &BareJid, id: CallId) {
    if let Some(ids) = index.get_mut(account) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(account);
        }
    }
}
