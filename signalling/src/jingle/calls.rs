//! The table of calls: which stanza belongs to which call, what follows from it, how long a call may stay, and what is remembered of past ones.
//! Pure: what stanzas say ([`Signal`]), addresses that vanish and the time go in, [`Effect`]s come out.
//!
//! A session is known by the address of its initiator, the address of its responder and the sid, so the same sid between others is another
//! call, and nobody but the two can touch one: `from` was stamped by the server. A proposal (XEP-0353) belongs to two accounts; the session that
//! carries its id as sid continues the same call.
//!
//! Every table has a bound. A call that has not been accepted may be evicted, those from elsewhere first; an active one never is, and when
//! nothing can be evicted a new call is routed without being followed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::content::{Action, Content, Jingle, Party};
use super::ladder::{self, Ladder, Reply};
use super::propose::{CallMessage, Proposal, ProposalState, Verb};
use super::reason::{Fault, Outcome, Reason};
use super::session::{Session, State, Step};
use crate::jid::{BareJid, Jid};

mod signal;

pub use signal::Signal;

use signal::Said;

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

/// Whether a session is a call in the sense of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Real-time media, or other datagrams than a file's.
    Call,
    /// A file transfer or another stream; followed, not counted among the calls.
    Other,
}

/// What follows from a stanza or from time.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A propose or a session-initiate began a call. Each has exactly one [`Effect::Ended`].
    Started {
        /// Which.
        call: CallId,
    },
    /// Its proposal has come to something: `Answered` when a device proceeded. Once for each call that was proposed.
    ProposalDone {
        /// Which.
        call: CallId,
        /// To what.
        outcome: Outcome,
    },
    /// Its session was accepted.
    Accepted {
        /// Which.
        call: CallId,
        /// Whether it counts.
        kind: Kind,
        /// From session-initiate to session-accept.
        setup: Duration,
    },
    /// A stanza that `account`, of this server, sent within the call names an address that may be one of its allocations.
    Link {
        /// Who sent it.
        account: BareJid,
        /// The address.
        relayed: SocketAddr,
        /// The call.
        call: CallId,
    },
    /// The call is over.
    Ended {
        /// Which.
        call: CallId,
        /// Whether it counts.
        kind: Kind,
        /// What became of it.
        outcome: Outcome,
        /// Since the session-accept.
        active: Option<Duration>,
    },
    /// A stanza of Jingle moved nothing.
    Ignored(Ignored),
}

/// Why a stanza moved nothing. It was routed; the other party answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// No action, no sid, or a sid or content name that is too long.
    Malformed,
    /// No such session between the two (XEP-0166 §10, `unknown-session`).
    UnknownSession,
    /// Not in this state (XEP-0166 §10, `out-of-order`).
    OutOfOrder,
    /// The table is full of calls that may not be evicted.
    Full,
}

impl Ignored {
    /// Every cause, for metrics that show a zero.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::UnknownSession, Self::OutOfOrder, Self::Full];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSession => "unknown-session",
            Self::OutOfOrder => "out-of-order",
            Self::Full => "full",
        }
    }
}

/// The effects of one input, in order.
pub type Effects = SmallVec<[Effect; 4]>;

/// One call, live or past.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number here.
    pub id: CallId,
    /// The id of the proposal, the sid of the session.
    pub sid: Box<str>,
    /// Decided by what began it.
    pub kind: Kind,
    /// The account that began it.
    pub initiator: BareJid,
    /// The account it called.
    pub responder: BareJid,
    /// Present if it was proposed.
    pub proposal: Option<Proposal>,
    /// Present once there was a session-initiate.
    pub session: Option<Session>,
    /// When what happened.
    pub times: Times,
    /// Who said what.
    pub ladder: Ladder,
    /// Present once it is over.
    pub end: Option<End>,
    rank: Rank,
    proposal_done: bool,
    last_stanza: Instant,
    unavailable: Option<(Jid, Instant)>,
    due: Option<Instant>,
}

/// The first time of each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Propose or session-initiate.
    pub started: Instant,
    /// A device rings.
    pub ringing: Option<Instant>,
    /// A device proceeds.
    pub proceeded: Option<Instant>,
    /// Session-initiate.
    pub initiated: Option<Instant>,
    /// Session-accept.
    pub accepted: Option<Instant>,
    /// An allocation of ours was linked.
    pub linked: Option<Instant>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Instant,
    /// What became of it.
    pub outcome: Outcome,
    /// What the party that ended it gave as reason.
    pub reason: Option<Reason>,
    /// Condition of the error that ended it.
    pub error: Option<&'static str>,
}

/// Who goes first when the table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Begun by an account elsewhere, not accepted.
    Foreign,
    /// Begun by an account of this server, not accepted.
    Own,
    /// Accepted.
    Active,
}

/// Two accounts, in the order of their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pair(BareJid, BareJid);

impl Pair {
    fn of(one: BareJid, other: BareJid) -> Self {
        if one.as_str() <= other.as_str() { Self(one, other) } else { Self(other, one) }
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

/// What the stages of one stanza share.
struct Context<'a> {
    from: &'a Jid,
    to: &'a Jid,
    sender: Option<&'a BareJid>,
    pair: Pair,
    now: Instant,
}

impl Context<'_> {
    /// Whether the sender tells it to the own account.
    fn is_to_self(&self) -> bool {
        self.from.bare_str() == self.to.bare_str()
    }
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

    /// Takes note of a stanza that is being routed, **once** for each, after blocking has passed it. Errors that the server itself sends in the
    /// place of an address end a call that reaches nobody, so they must be shown here too.
    pub fn observe(&mut self, signal: &Signal<'_>, now: Instant) -> Effects {
        let mut effects = Effects::new();
        let Signal { from, to, sender, said } = signal;
        match said {
            Said::Unavailable => {
                self.unavailable(from, now);
                return effects;
            }
            Said::Malformed => {
                effects.push(Effect::Ignored(Ignored::Malformed));
                return effects;
            }
            Said::Reply { .. } if self.live.is_empty() => return effects,
            Said::Reply { .. } | Said::Jingle { .. } | Said::Message(_) | Said::Bounce(..) => {}
        }
        let context = Context { from, to, sender: *sender, pair: Pair::of(from.to_bare(), to.to_bare()), now };
        match said {
            Said::Jingle { iq, jingle } => self.jingle(&context, jingle, iq, &mut effects),
            Said::Reply { iq, fault } => self.reply(&context, iq, fault.as_ref(), &mut effects),
            Said::Message(message) => self.message(&context, message, &mut effects),
            Said::Bounce(message, fault) => self.bounce(&context, message, fault, &mut effects),
            Said::Malformed | Said::Unavailable => {}
        }
        effects
    }

    /// An address of this server is no more: its stream ended and will not be resumed. Ends its calls.
    pub fn handle_gone(&mut self, address: &Jid, now: Instant) -> Effects {
        let mut effects = Effects::new();
        for id in self.calls_of(address) {
            self.end(id, End { at: now, outcome: Outcome::Gone, reason: None, error: None }, &mut effects);
        }
        effects
    }

    /// An [`Effect::Link`] proved right: the address is an allocation of ours.
    pub fn handle_linked(&mut self, call: CallId, now: Instant) {
        if let Some(live) = self.live.get_mut(&call) {
            live.times.linked.get_or_insert(now);
            self.schedule(call);
        }
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

    /// The live calls, in no order.
    pub fn live(&self) -> impl Iterator<Item = &Call> {
        self.live.values()
    }

    /// The past calls, the last to end first.
    pub fn past(&self) -> impl Iterator<Item = &Call> {
        self.past.iter().rev()
    }

    /// A live call.
    #[must_use]
    pub fn get(&self, call: CallId) -> Option<&Call> {
        self.live.get(&call)
    }

    /// An IQ-set with a `<jingle/>`.
    fn jingle(&mut self, context: &Context<'_>, jingle: &Jingle, iq: &str, effects: &mut Effects) {
        match jingle.action {
            Action::SessionInitiate => self.initiate(context, jingle, iq, effects),
            action => match self.session_of(context, &jingle.sid, action) {
                Some((call, party)) => self.action(context, call, party, jingle, iq, effects),
                None => effects.push(Effect::Ignored(Ignored::UnknownSession)),
            },
        }
    }

    /// XEP-0166 §6.2.
    fn initiate(&mut self, context: &Context<'_>, jingle: &Jingle, iq: &str, effects: &mut Effects) {
        let own =
            |call: &Call| call.session.as_ref().and_then(|session| session.sender(context.from, context.to)) == Some(Party::Initiator);
        if let Some(id) = self.find(&context.pair, &jingle.sid, own) {
            return self.action(context, id, Party::Initiator, jingle, iq, effects);
        }
        let (initiator, responder) = (context.from.bare_str(), context.to.bare_str());
        let proposed = |call: &Call| call.session.is_none() && call.initiator.as_str() == initiator && call.responder.as_str() == responder;
        let id = match self.find(&context.pair, &jingle.sid, proposed) {
            Some(id) => id,
            None => {
                let kind = if jingle.contents.iter().any(Content::is_call) { Kind::Call } else { Kind::Other };
                match self.open(context, &jingle.sid, kind, effects) {
                    Some(id) => id,
                    None => return,
                }
            }
        };
        let Some(call) = self.live.get_mut(&id) else { return };
        let mut session = Session::new(context.from.clone(), context.to.clone(), jingle);
        let rung = call.ladder.push(context.now, Party::Initiator, jingle.action.as_str(), &ladder::describe(jingle));
        session.await_reply(Party::Initiator, iq, jingle, rung, Step::Stay);
        let relayed = session.take_candidates(Party::Initiator, jingle);
        let was_proposed = call.proposal.is_some();
        if call.kind == Kind::Call {
            self.in_session += 1;
            self.proposed -= usize::from(was_proposed);
        }
        call.session = Some(session);
        call.times.initiated = Some(context.now);
        call.heard(context.from, context.now);
        if was_proposed && !std::mem::replace(&mut call.proposal_done, true) {
            // No proceed was seen; the caller must know why it begins.
            effects.push(Effect::ProposalDone { call: id, outcome: Outcome::Answered });
        }
        link(context, id, relayed, effects);
        self.schedule(id);
    }

    /// A stanza within a session.
    fn action(&mut self, context: &Context<'_>, id: CallId, party: Party, jingle: &Jingle, iq: &str, effects: &mut Effects) {
        let Some(call) = self.live.get_mut(&id) else { return };
        let Some(session) = &mut call.session else { return };
        let rung = call.ladder.push(context.now, party, jingle.action.as_str(), &ladder::describe(jingle));
        let step = session.handle_action(party, jingle);
        session.await_reply(party, iq, jingle, rung, step);
        if step != Step::OutOfOrder {
            link(context, id, session.take_candidates(party, jingle), effects);
        }
        call.heard(context.from, context.now);
        self.advance(id, Some(rung), step, jingle.reason.clone(), None, context.now, effects);
    }

    /// An IQ result or error: does it answer a request of a session?
    fn reply(&mut self, context: &Context<'_>, iq: &str, fault: Option<&Fault>, effects: &mut Effects) {
        let Some(ids) = self.by_pair.get(&context.pair).cloned() else { return };
        for id in ids {
            let Some(call) = self.live.get_mut(&id) else { continue };
            let Some(session) = &mut call.session else { continue };
            let Some(party) = session.sender(context.from, context.to) else { continue };
            let Some((rung, step)) = session.handle_reply(party, iq, fault) else { continue };
            let error = fault.map(Fault::name);
            if let Some(rung) = call.ladder.get_mut(rung) {
                rung.reply = Some(Reply { at: context.now, error });
            }
            call.heard(context.from, context.now);
            return self.advance(id, None, step, None, error, context.now, effects);
        }
    }

    /// A message with an element of XEP-0353.
    fn message(&mut self, context: &Context<'_>, message: &CallMessage, effects: &mut Effects) {
        match self.call_of(context, message) {
            Some(id) => self.call_message(context, id, message, effects),
            None if message.verb == Verb::Propose => self.propose(context, message, effects),
            // Most often the finish of a session that was terminated a moment before: nothing to count.
            None => {}
        }
    }

    /// XEP-0353 §3.1.
    fn propose(&mut self, context: &Context<'_>, message: &CallMessage, effects: &mut Effects) {
        let kind = if !message.media.is_empty() && message.media.iter().all(|media| &**media == "file") { Kind::Other } else { Kind::Call };
        let Some(id) = self.open(context, &message.id, kind, effects) else { return };
        self.note_tie_break(context, id);
        let Some(call) = self.live.get_mut(&id) else { return };
        call.ladder.push(context.now, Party::Initiator, message.verb.as_str(), &ladder::describe_message(message, context.from));
        call.proposal = Some(Proposal::new(context.from.clone(), message));
        if call.kind == Kind::Call {
            self.proposed += 1;
        }
        self.schedule(id);
    }

    /// XEP-0353 §3.2 to §3.7: a message about a known call.
    fn call_message(&mut self, context: &Context<'_>, id: CallId, message: &CallMessage, effects: &mut Effects) {
        let Some(call) = self.live.get_mut(&id) else { return };
        let party = call.party(context.from);
        let rung = call.ladder.push(context.now, party, message.verb.as_str(), &ladder::describe_message(message, context.from));
        let step = match (&mut call.session, &mut call.proposal) {
            (Some(session), _) => in_session(session, party, context.from, message),
            (None, Some(proposal)) => proposal.handle(party, context.from, context.is_to_self(), message),
            (None, None) => Step::OutOfOrder,
        };
        call.heard(context.from, context.now);
        self.advance(id, Some(rung), step, message.reason.clone(), None, context.now, effects);
    }

    /// A message came back: a proposal that nobody got is over. One that rings somewhere is not.
    fn bounce(&mut self, context: &Context<'_>, message: &CallMessage, fault: &Fault, effects: &mut Effects) {
        let Some(id) = self.call_of(context, message) else { return };
        let Some(call) = self.live.get_mut(&id) else { return };
        if call.session.is_some() || message.verb != Verb::Propose || call.party(context.from) != Party::Responder {
            return;
        }
        if call.proposal.as_ref().is_some_and(|proposal| proposal.state() == ProposalState::Proposed) {
            let outcome = if fault.is_unreachable() { Outcome::Unreachable } else { Outcome::Failed };
            self.advance(id, None, Step::Ended(outcome), None, Some(fault.name()), context.now, effects);
        }
    }

    /// XEP-0353 §4.1: who sees both proposals can say which will win. The parties decide it; here it is only written down.
    fn note_tie_break(&mut self, context: &Context<'_>, new: CallId) {
        let Some(sid) = self.live.get(&new).map(|call| call.sid.clone()) else { return };
        let Some(ids) = self.by_pair.get(&context.pair).cloned() else { return };
        for id in ids {
            let Some(call) = self.live.get_mut(&id) else { continue };
            let answered =
                call.session.is_some() || call.proposal.as_ref().is_none_or(|proposal| proposal.state() == ProposalState::Proceeding);
            if id == new || answered || call.initiator.as_str() != context.to.bare_str() {
                continue;
            }
            // "i;octet" order of the ids.
            let winner = if sid.as_bytes() < call.sid.as_bytes() { "the other proposal wins" } else { "this proposal wins" };
            call.ladder.push(context.now, Party::Responder, "tie-break", winner);
        }
    }

    /// What a step of the state machine means for the call.
    #[expect(clippy::too_many_arguments, reason = "the parts of one event, used here alone")]
    fn advance(
        &mut self,
        id: CallId,
        rung: Option<u32>,
        step: Step,
        reason: Option<Reason>,
        error: Option<&'static str>,
        now: Instant,
        effects: &mut Effects,
    ) {
        let Some(call) = self.live.get_mut(&id) else { return };
        match step {
            Step::Stay => {}
            Step::OutOfOrder => {
                if let Some(rung) = rung.and_then(|rung| call.ladder.get_mut(rung)) {
                    rung.out_of_order = true;
                }
                effects.push(Effect::Ignored(Ignored::OutOfOrder));
            }
            Step::Ringing => {
                call.times.ringing.get_or_insert(now);
            }
            Step::Proceeded => {
                call.times.proceeded.get_or_insert(now);
                if !std::mem::replace(&mut call.proposal_done, true) {
                    effects.push(Effect::ProposalDone { call: id, outcome: Outcome::Answered });
                }
            }
            Step::Accepted => {
                call.times.accepted.get_or_insert(now);
                self.by_rank.remove(&(call.rank, id));
                call.rank = Rank::Active;
                self.by_rank.insert((call.rank, id));
                let setup = now.saturating_duration_since(call.times.initiated.unwrap_or(call.times.started));
                effects.push(Effect::Accepted { call: id, kind: call.kind, setup });
            }
            Step::Ended(outcome) => return self.end(id, End { at: now, outcome, reason, error }, effects),
        }
        self.schedule(id);
    }

    /// A new call in the table, if there is room or can be made.
    fn open(&mut self, context: &Context<'_>, sid: &str, kind: Kind, effects: &mut Effects) -> Option<CallId> {
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
    fn end(&mut self, id: CallId, end: End, effects: &mut Effects) {
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
    fn schedule(&mut self, id: CallId) {
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

    /// XEP-0166 §6.7: an address elsewhere has gone offline.
    fn unavailable(&mut self, address: &Jid, now: Instant) {
        for id in self.calls_of(address) {
            if let Some(call) = self.live.get_mut(&id) {
                call.unavailable = Some((address.clone(), now));
            }
            self.schedule(id);
        }
    }

    /// The calls in which an address takes part, as a device and not only as an account.
    fn calls_of(&self, address: &Jid) -> Vec<CallId> {
        let Some(ids) = self.by_account.get(&address.to_bare()) else { return Vec::new() };
        ids.iter().copied().filter(|id| self.live.get(id).is_some_and(|call| call.is_at(address))).collect()
    }

    /// The first call of a pair with this sid that `holds`.
    fn find(&self, pair: &Pair, sid: &str, holds: impl Fn(&Call) -> bool) -> Option<CallId> {
        let ids = self.by_pair.get(pair)?;
        ids.iter().copied().find(|id| self.live.get(id).is_some_and(|call| *call.sid == *sid && holds(call)))
    }

    /// The call that a message is about.
    fn call_of(&self, context: &Context<'_>, message: &CallMessage) -> Option<CallId> {
        self.find(&context.pair, &message.id, |_| true)
            .or_else(|| context.is_to_self().then(|| self.proposed_to(context.from, &message.id)).flatten())
    }

    /// The session to which a stanza other than session-initiate belongs. The same sid may be used in both directions (XEP-0166 §7.2.16): then a
    /// session-accept can only come from a responder, and otherwise the lower address has overruled the other.
    fn session_of(&self, context: &Context<'_>, sid: &str, action: Action) -> Option<(CallId, Party)> {
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

impl Call {
    /// Which party an address belongs to. One account may call another of its own devices; then the device that began is the initiator.
    fn party(&self, from: &Jid) -> Party {
        let began = match (&self.session, &self.proposal) {
            (Some(session), _) => session.address(Party::Initiator) == from,
            (None, Some(proposal)) => proposal.initiator() == from,
            (None, None) => false,
        };
        if began || self.responder.as_str() != from.bare_str() { Party::Initiator } else { Party::Responder }
    }

    /// Whether this very address holds the call: one that stands for it until it ends or another device takes it.
    fn is_at(&self, address: &Jid) -> bool {
        match (&self.session, &self.proposal) {
            (Some(session), _) => session.address(Party::Initiator) == address || session.address(Party::Responder) == address,
            (None, Some(proposal)) => proposal.initiator() == address || proposal.device() == Some(address),
            (None, None) => false,
        }
    }

    /// A stanza of the call came from this address.
    fn heard(&mut self, from: &Jid, now: Instant) {
        self.last_stanza = now;
        self.unavailable.take_if(|(address, _)| address == from);
    }

    /// When waiting for the next stanza ends.
    fn due(&self, limits: &Limits) -> Option<Instant> {
        let waiting = match (&self.session, &self.proposal) {
            (Some(session), _) => match session.state() {
                State::Pending => {
                    let wait = if self.kind == Kind::Call { limits.pending_max } else { limits.offer_max };
                    Some(self.times.initiated.unwrap_or(self.times.started) + wait)
                }
                State::Active if self.times.linked.is_some() => None,
                State::Active => Some(self.last_stanza + limits.idle_max),
                State::Ended => None,
            },
            (None, Some(proposal)) if proposal.state() == ProposalState::Proceeding => {
                Some(self.times.proceeded.unwrap_or(self.times.started) + limits.proceed_max)
            }
            (None, _) => Some(self.times.started + limits.proposal_max),
        };
        let unavailable = self.unavailable.as_ref().map(|(_, at)| *at + limits.unavailable_grace);
        [waiting, unavailable].into_iter().flatten().min()
    }

    /// What became of a call that was not heard of in time.
    fn outcome_of_waiting(&self, now: Instant, limits: &Limits) -> Outcome {
        if self.unavailable.as_ref().is_some_and(|(_, at)| *at + limits.unavailable_grace <= now) {
            return Outcome::Gone;
        }
        match (&self.session, &self.proposal) {
            (Some(session), _) if session.state() == State::Active => Outcome::Gone,
            (Some(_), _) => Outcome::Missed,
            // The responder took the call, and the caller never came.
            (None, Some(proposal)) if proposal.state() == ProposalState::Proceeding => Outcome::Failed,
            (None, _) => Outcome::Missed,
        }
    }
}

/// Messages of XEP-0353 while there is a session: `<finish/>` ends it, also from another device of the account (§4.2); before it is accepted the
/// caller may retract and the device that has the session may reject.
fn in_session(session: &mut Session, party: Party, from: &Jid, message: &CallMessage) -> Step {
    let accepted = session.state() == State::Active;
    match (message.verb, party) {
        (Verb::Finish, _) => session.end(message.outcome(party, accepted)),
        (Verb::Retract, Party::Initiator) if !accepted => session.end(message.outcome(party, false)),
        (Verb::Reject, Party::Responder) if !accepted && session.address(party) == from => session.end(message.outcome(party, false)),
        // A caller may begin the session on the first sign of life; what the devices tell each other still arrives then.
        (Verb::Ringing | Verb::Proceed | Verb::Accept, Party::Responder) => Step::Stay,
        _ => Step::OutOfOrder,
    }
}

/// The relayed addresses of a stanza, if an account of this server sent it.
fn link(context: &Context<'_>, call: CallId, relayed: Vec<SocketAddr>, effects: &mut Effects) {
    if let Some(account) = context.sender {
        effects.extend(relayed.into_iter().map(|relayed| Effect::Link { account: account.clone(), relayed, call }));
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

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
