//! The table of calls: which stanza belongs to which call, what follows from it, how long a call may stay, and what is remembered of past ones.
//! Pure: what stanzas say ([`Signal`]), addresses that vanish and the time go in, [`Effect`]s come out.
//!
//! A session is known by the address of its initiator, the address of its responder and the sid, so the same sid between others is another
//! call, and nobody but the two can touch one: `from` was stamped by the server. A proposal (XEP-0353) belongs to two accounts; the session that
//! carries its id as sid continues the same call.
//!
//! Every table has a bound. A call that has not been accepted may be evicted, those from elsewhere first; an active one never is, and when
//! nothing can be evicted a new call is routed without being followed.

mod call;
mod effect;
mod observe;
mod signal;
mod table;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub use call::{Call, End, Kind, Times};
pub use effect::{Effect, Effects, Ignored, Offering};
pub use signal::Signal;

use call::Rank;
use table::Pair;

use super::reason::Outcome;
use crate::jid::{BareJid, Jid};

/// Names a call within one process; never used twice. It is the relay's number for it too.
pub use campanile_relay::CallId;

/// Bounds of the table and of its calls' ages.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Live calls.
    pub calls_max: usize,
    /// Live calls begun by one account.
    pub calls_per_account_max: usize,
    /// Past calls remembered.
    pub past_max: usize,
    /// A proposal that nobody answers is missed after this.
    pub proposal_max: Duration,
    /// After `<proceed/>` the session-initiate must come within this.
    pub proceed_max: Duration,
    /// A session of a call that is not accepted is missed after this.
    pub pending_max: Duration,
    /// Likewise for other sessions: a file waits until its receiver comes back.
    pub offer_max: Duration,
    /// An active session without a relayed address is given up after this long without a stanza (XEP-0353 §5 names 24 hours). One with a
    /// relayed address stays until a party ends it or its stream ends: no call dies of its age.
    pub idle_max: Duration,
    /// XEP-0166 §6.7: how long after an unavailable presence a sign of life still counts.
    pub unavailable_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            calls_max: 20_000,
            calls_per_account_max: 64,
            past_max: 1_000,
            proposal_max: Duration::from_secs(180),
            proceed_max: Duration::from_secs(60),
            pending_max: Duration::from_secs(180),
            offer_max: DAY,
            idle_max: DAY,
            unavailable_grace: Duration::from_secs(10),
        }
    }
}

/// The table. See the module's documentation.
#[derive(Debug)]
pub struct Calls {
    limits: Limits,
    next: u64,
    live: HashMap<CallId, Call>,
    past: VecDeque<Call>,
    by_pair: HashMap<Pair, SmallVec<[CallId; 2]>>,
    by_account: HashMap<BareJid, BTreeSet<CallId>>,
    by_initiator: HashMap<BareJid, BTreeSet<CallId>>,
    by_rank: BTreeSet<(Rank, CallId)>,
    deadlines: BTreeSet<(Instant, CallId)>,
    in_session: usize,
    proposed: usize,
}

impl Calls {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 1,
            live: HashMap::new(),
            past: VecDeque::new(),
            by_pair: HashMap::new(),
            by_account: HashMap::new(),
            by_initiator: HashMap::new(),
            by_rank: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            in_session: 0,
            proposed: 0,
        }
    }

    /// An address of this server is no more: its stream ended and will not be resumed. Ends its calls.
    pub fn handle_gone(&mut self, address: &Jid, now: Instant) -> Effects {
        let mut effects = Effects::new();
        for id in self.calls_of(address) {
            self.end(id, End { at: now, outcome: Outcome::Gone, reason: None, error: None }, &mut effects);
        }
        effects
    }

    /// An [`Effect::Link`] proved right: the address is an allocation of ours. Whether the call is accepted.
    pub fn handle_linked(&mut self, call: CallId, now: Instant) -> bool {
        let Some(live) = self.live.get_mut(&call) else { return false };
        live.times.linked.get_or_insert(now);
        let accepted = live.times.accepted.is_some();
        self.schedule(call);
        accepted
    }

    /// When [`Calls::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Ends what has waited too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Effects {
        let mut effects = Effects::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.deadlines.pop_first()
        {
            let Some(call) = self.live.get_mut(&id) else { continue };
            call.due = None;
            let outcome = call.outcome_of_waiting(now, &self.limits);
            self.end(id, End { at: now, outcome, reason: None, error: None }, &mut effects);
        }
        effects
    }

    /// Calls whose session has begun and not ended: what the gauge shows.
    #[must_use]
    pub fn in_session(&self) -> usize {
        self.in_session
    }

    /// Calls that are proposed and have no session yet.
    #[must_use]
    pub fn proposed(&self) -> usize {
        self.proposed
    }

    /// The past calls, the last to end first.
    pub fn past(&self) -> impl Iterator<Item = &Call> {
        self.past.iter().rev()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
