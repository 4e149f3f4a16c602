//! What each stanza of a call brings about: XEP-0166 §6 and §7, XEP-0353 §3 and §4.

use std::time::Instant;

use super::signal::Said;
use super::{Call, CallId, Calls, Effect, Effects, End, Ignored, Kind, Offering, Pair, Rank, Signal};
use crate::jid::{BareJid, Jid};
use crate::jingle::content::{Action, Content, Jingle, Party};
use crate::jingle::ladder::{self, Reply};
use crate::jingle::propose::{CallMessage, Proposal, ProposalState, Verb};
use crate::jingle::reason::{Fault, Outcome, Reason};
use crate::jingle::session::{Offered, Session, State, Step};

/// What the stages of one stanza share.
pub(super) struct Context<'a> {
    pub(super) from: &'a Jid,
    pub(super) to: &'a Jid,
    pub(super) sender: Option<&'a BareJid>,
    pub(super) pair: Pair,
    pub(super) now: Instant,
}

impl Context<'_> {
    /// Whether the sender tells it to the own account.
    pub(super) fn is_to_self(&self) -> bool {
        self.from.bare_str() == self.to.bare_str()
    }
}

impl Calls {
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

    /// XEP-0166 §6.7: an address elsewhere has gone offline.
    fn unavailable(&mut self, address: &Jid, now: Instant) {
        for id in self.calls_of(address) {
            if let Some(call) = self.live.get_mut(&id) {
                call.unavailable = Some((address.clone(), now));
            }
            self.schedule(id);
        }
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
        let offered = session.take_candidates(Party::Initiator, jingle);
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
        offer(context, id, offered, effects);
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
            offer(context, id, session.take_candidates(party, jingle), effects);
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

/// What a stanza offers; its relayed addresses, if an account of this server sent it. What one device of an account offers another opens no fence:
/// one account alone would have a tunnel.
fn offer(context: &Context<'_>, call: CallId, offered: Offered, effects: &mut Effects) {
    let Offered { relayed, addresses, credentials } = offered;
    if !context.is_to_self() && (!addresses.is_empty() || !credentials.is_empty()) {
        let offer = campanile_relay::Offer { addresses, credentials };
        effects.push(Effect::Offered(Box::new(Offering { call, from: context.from.clone(), to: context.to.clone(), offer })));
    }
    if let Some(account) = context.sender {
        effects.extend(relayed.into_iter().map(|relayed| Effect::Link { account: account.clone(), relayed, call }));
    }
}
