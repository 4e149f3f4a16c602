//! One Jingle session between two addresses, as a server sees it that carries the stanzas of both: the state machine of XEP-0166 §5.1.
//! Pure: it is told each stanza and says what that means.
//!
//! A stanza that cannot occur in the present state moves nothing here; the party that gets it answers with `out-of-order`. The server sees each
//! stanza before its receiver does, so where both parties act at once it may be a step ahead of either.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::candidate::{CandidateType, Method};
use super::content::{Action, Content, Jingle, Party, Senders};
use super::reason::{Fault, JingleCondition, Outcome};
use crate::jid::Jid;

/// Contents followed in one session.
pub const SESSION_CONTENTS_MAX: usize = 64;
/// Requests of one session whose answer is awaited; the oldest is forgotten.
pub const OUTSTANDING_MAX: usize = 32;
/// Addresses per party that are remembered, so as not to be reported twice; the oldest is forgotten.
pub const ADDRESSES_MAX: usize = 64;

/// §5.1, "three overall session states".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Between session-initiate and session-accept.
    Pending,
    /// After session-accept.
    Active,
    /// After session-terminate or what amounts to it.
    Ended,
}

/// What a stanza means for a session or a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing moves.
    Stay,
    /// A device rings.
    Ringing,
    /// A device of the responder takes the call (XEP-0353 §3.4).
    Proceeded,
    /// The session is active.
    Accepted,
    /// It is over.
    Ended(Outcome),
    /// The stanza cannot occur in this state.
    OutOfOrder,
}

/// One session.
#[derive(Debug, Clone)]
pub struct Session {
    initiator: Jid,
    responder: Jid,
    state: State,
    contents: Vec<SessionContent>,
    offers: [Offer; 2],
    outstanding: VecDeque<Outstanding>,
}

/// A content of a session, without what only the parties need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionContent {
    /// §7.3.
    pub creator: Party,
    /// §7.3.
    pub name: Box<str>,
    /// `audio`, `video`, `file`…
    pub media: Box<str>,
    /// Who sends.
    pub senders: Senders,
    /// The transport in force, if one was named.
    pub transport: Option<Method>,
    /// Proposed by a transport-replace that waits for its answer, and by whom.
    replacement: Option<(Party, Method)>,
    /// Whether the other party has accepted it.
    pub accepted: bool,
}

/// What one party has offered of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Candidates by type.
    pub candidates: CandidateCounts,
    /// How often ICE was started again (XEP-0176 §5.9).
    pub ice_restarts: u8,
    relayed: VecDeque<SocketAddr>,
}

/// How many candidates of each type were offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CandidateCounts {
    /// Own addresses.
    pub host: u16,
    /// Reflexive addresses of both kinds.
    pub reflexive: u16,
    /// Relayed addresses.
    pub relay: u16,
    /// Raw UDP without a type.
    pub untyped: u16,
}

impl CandidateCounts {
    /// Counts one.
    pub fn add(&mut self, kind: Option<CandidateType>) {
        let count = match kind {
            Some(CandidateType::Host) => &mut self.host,
            Some(CandidateType::ServerReflexive | CandidateType::PeerReflexive) => &mut self.reflexive,
            Some(CandidateType::Relay) => &mut self.relay,
            None => &mut self.untyped,
        };
        *count = count.saturating_add(1);
    }
}

/// A request that waits for its IQ result or error.
#[derive(Debug, Clone)]
struct Outstanding {
    from: Party,
    id: Box<str>,
    action: Action,
    /// Number of its rung in the ladder.
    rung: u32,
    /// Whether it moved the session, or was out of order.
    moved: bool,
    /// The contents it is about, as far as an error would undo it.
    contents: Vec<(Party, Box<str>)>,
}

impl Session {
    /// A session begun by a session-initiate (§6.2), in state PENDING.
    #[must_use]
    pub fn new(initiator: Jid, responder: Jid, initiate: &Jingle) -> Self {
        let mut session = Self {
            initiator,
            responder,
            state: State::Pending,
            contents: Vec::new(),
            offers: [Offer::default(), Offer::default()],
            outstanding: VecDeque::new(),
        };
        session.add_contents(initiate);
        session
    }

    /// Address of a party.
    #[must_use]
    pub fn address(&self, party: Party) -> &Jid {
        match party {
            Party::Initiator => &self.initiator,
            Party::Responder => &self.responder,
        }
    }

    /// Which party sends a stanza with these addresses; `None`: the session is not theirs.
    #[must_use]
    pub fn sender(&self, from: &Jid, to: &Jid) -> Option<Party> {
        if self.initiator == *from && self.responder == *to {
            Some(Party::Initiator)
        } else if self.responder == *from && self.initiator == *to {
            Some(Party::Responder)
        } else {
            None
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The contents, those first that came first.
    #[must_use]
    pub fn contents(&self) -> &[SessionContent] {
        &self.contents
    }

    /// What a party has offered.
    #[must_use]
    pub fn offer(&self, party: Party) -> &Offer {
        &self.offers[party as usize]
    }

    /// A request of `from` within the session, the session-initiate included only if it is a second one.
    pub fn handle_action(&mut self, from: Party, jingle: &Jingle) -> Step {
        if self.state == State::Ended {
            return Step::OutOfOrder;
        }
        match jingle.action {
            // §10: "session-initiate after session-accept", and before it no less.
            Action::SessionInitiate => Step::OutOfOrder,
            Action::SessionAccept => self.session_accept(from, jingle),
            Action::SessionTerminate => {
                let outcome = Outcome::of(jingle.reason.as_ref().and_then(|reason| reason.condition), from, self.state == State::Active);
                self.end(outcome)
            }
            Action::SessionInfo if jingle.info.as_deref() == Some("ringing") && self.state == State::Pending => Step::Ringing,
            Action::ContentAdd => {
                self.add_contents(jingle);
                Step::Stay
            }
            Action::ContentAccept => self.content_accept(from, jingle),
            Action::ContentModify => self.content_modify(jingle),
            Action::ContentReject => self.content_reject(from, jingle),
            Action::ContentRemove => self.remove_contents(jingle, |_| true),
            Action::TransportReplace => {
                self.transport_replace(from, jingle);
                Step::Stay
            }
            Action::TransportAccept => self.transport_answer(from, true),
            Action::TransportReject => self.transport_answer(from, false),
            Action::DescriptionInfo | Action::SecurityInfo | Action::SessionInfo | Action::TransportInfo => Step::Stay,
        }
    }

    /// The session is over for a reason outside of its own stanzas.
    pub fn end(&mut self, outcome: Outcome) -> Step {
        self.state = State::Ended;
        // Nothing of this is asked for in a past session.
        self.outstanding = VecDeque::new();
        self.offers.iter_mut().for_each(|offer| offer.relayed = VecDeque::new());
        Step::Ended(outcome)
    }

    /// Counts the candidates of a stanza of `from` and gives the relayed addresses that are new.
    pub fn take_candidates(&mut self, from: Party, jingle: &Jingle) -> Vec<SocketAddr> {
        let offer = &mut self.offers[from as usize];
        let mut new = Vec::new();
        let transports = jingle.contents.iter().filter_map(|content| content.transport.as_ref());
        for transport in transports {
            for candidate in &transport.candidates {
                offer.candidates.add(candidate.kind);
                // §5.9 of XEP-0176: a greater generation is a restart.
                offer.ice_restarts = offer.ice_restarts.max(candidate.generation);
            }
            for address in transport.relayed() {
                if !offer.relayed.contains(&address) {
                    if offer.relayed.len() == ADDRESSES_MAX {
                        offer.relayed.pop_front();
                    }
                    offer.relayed.push_back(address);
                    new.push(address);
                }
            }
        }
        new
    }

    /// Remembers a request and what it meant, so that its answer is known by the IQ's id.
    pub fn await_reply(&mut self, from: Party, id: &str, jingle: &Jingle, rung: u32, step: Step) {
        if id.len() > super::content::NAME_BYTES_MAX {
            return;
        }
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        let contents = match jingle.action {
            Action::ContentAdd | Action::TransportReplace => names(jingle).map(|(creator, name)| (creator, name.into())).collect(),
            _ => Vec::new(),
        };
        let moved = step != Step::OutOfOrder;
        self.outstanding.push_back(Outstanding { from, id: id.into(), action: jingle.action, rung, moved, contents });
    }

    /// The IQ result (`fault` is `None`) or error with which `from` answers a request of the other party: the rung it belongs to, and what it
    /// means. `None`: no such request.
    pub fn handle_reply(&mut self, from: Party, id: &str, fault: Option<&Fault>) -> Option<(u32, Step)> {
        let index = self.outstanding.iter().position(|request| request.from == from.other() && *request.id == *id)?;
        let request = self.outstanding.remove(index)?;
        let step = match fault {
            // §6.3.1: an acknowledgement moves nothing.
            None => Step::Stay,
            Some(fault) => self.refused(&request, fault),
        };
        Some((request.rung, step))
    }

    /// A request was answered with an error.
    fn refused(&mut self, request: &Outstanding, fault: &Fault) -> Step {
        if self.state == State::Ended {
            return Step::Stay;
        }
        let unknown = fault.jingle == Some(JingleCondition::UnknownSession);
        match request.action {
            // §6.3.2: there never was a session.
            Action::SessionInitiate if request.moved => self.end(fault.outcome()),
            Action::SessionTerminate => Step::Stay,
            // §10: the other party has no such session any more.
            _ if unknown && self.state == State::Active => self.end(Outcome::Gone),
            _ if unknown => self.end(Outcome::Failed),
            // Most often the very answer: out-of-order.
            _ if !request.moved => Step::Stay,
            // The initiator cannot learn that the session is active.
            Action::SessionAccept if fault.is_unreachable() => self.end(Outcome::Gone),
            // §7.2.16 and elsewhere: the change never happened.
            Action::ContentAdd => {
                self.contents.retain(|content| content.accepted || !about(&request.contents, content));
                Step::Stay
            }
            Action::TransportReplace => {
                for content in &mut self.contents {
                    if content.replacement.as_ref().is_some_and(|(by, _)| *by == request.from) && about(&request.contents, content) {
                        content.replacement = None;
                    }
                }
                Step::Stay
            }
            _ => Step::Stay,
        }
    }

    /// §7.2.8: also accepts the contents it names.
    fn session_accept(&mut self, from: Party, jingle: &Jingle) -> Step {
        if self.state != State::Pending || from != Party::Responder {
            return Step::OutOfOrder;
        }
        self.state = State::Active;
        for content in &jingle.contents {
            if let Some(known) = self.content_mut(content.creator, &content.name) {
                known.accepted = true;
                known.senders = content.senders.unwrap_or(known.senders);
            }
        }
        // What the responder leaves out is no part of the session; but one that renames every content means all of them.
        let any = self.contents.iter().any(|content| content.accepted);
        self.contents.retain(|content| content.accepted || !any || content.creator == Party::Responder);
        if !any {
            self.contents.iter_mut().for_each(|content| content.accepted = true);
        }
        Step::Accepted
    }

    /// New contents of a session-initiate or a content-add; those already known by creator and name are alternatives (§7.3) of one purpose.
    fn add_contents(&mut self, jingle: &Jingle) {
        for content in &jingle.contents {
            if self.contents.len() < SESSION_CONTENTS_MAX && self.content_mut(content.creator, &content.name).is_none() {
                self.contents.push(SessionContent::new(content));
            }
        }
    }

    /// §7.2.1: accepts what the other party has added.
    fn content_accept(&mut self, from: Party, jingle: &Jingle) -> Step {
        let mut step = Step::OutOfOrder;
        for (creator, name) in names(jingle) {
            if creator == from.other()
                && let Some(content) = self.content_mut(creator, name)
                && !content.accepted
            {
                content.accepted = true;
                step = Step::Stay;
            }
        }
        step
    }

    /// §7.2.3.
    fn content_modify(&mut self, jingle: &Jingle) -> Step {
        let mut step = Step::OutOfOrder;
        for content in &jingle.contents {
            if let Some(known) = self.content_mut(content.creator, &content.name) {
                known.senders = content.senders.unwrap_or(Senders::Both);
                step = Step::Stay;
            }
        }
        step
    }

    /// §7.2.4: refuses what the other party has added.
    fn content_reject(&mut self, from: Party, jingle: &Jingle) -> Step {
        self.remove_contents(jingle, |content| content.creator == from.other() && !content.accepted)
    }

    /// §7.2.5. A session that is left without contents is for the receiver to terminate.
    fn remove_contents(&mut self, jingle: &Jingle, removable: impl Fn(&SessionContent) -> bool) -> Step {
        let before = self.contents.len();
        self.contents.retain(|content| !(removable(content) && names(jingle).any(|named| named == (content.creator, &content.name))));
        if self.contents.len() < before { Step::Stay } else { Step::OutOfOrder }
    }

    /// §7.2.15.
    fn transport_replace(&mut self, from: Party, jingle: &Jingle) {
        for content in &jingle.contents {
            if let Some(method) = content.method()
                && let Some(known) = self.content_mut(content.creator, &content.name)
            {
                known.replacement = Some((from, method.clone()));
            }
        }
    }

    /// §7.2.12, §7.2.14. The answer is taken for all that waits: XEP-0176's own example 13 names another content than its example 11.
    fn transport_answer(&mut self, from: Party, accepted: bool) -> Step {
        let mut step = Step::OutOfOrder;
        for content in &mut self.contents {
            if let Some((_, method)) = content.replacement.take_if(|(by, _)| *by == from.other()) {
                if accepted {
                    content.transport = Some(method);
                }
                step = Step::Stay;
            }
        }
        step
    }

    fn content_mut(&mut self, creator: Party, name: &str) -> Option<&mut SessionContent> {
        self.contents.iter_mut().find(|content| content.creator == creator && *content.name == *name)
    }
}

impl SessionContent {
    fn new(content: &Content) -> Self {
        Self {
            creator: content.creator,
            name: content.name.clone(),
            media: content.media().into(),
            senders: content.senders.unwrap_or(Senders::Both),
            transport: content.method().cloned(),
            replacement: None,
            accepted: false,
        }
    }
}

/// Creator and name of each content of a stanza.
fn names(jingle: &Jingle) -> impl Iterator<Item = (Party, &str)> {
    jingle.contents.iter().map(|content| (content.creator, &*content.name))
}

fn about(named: &[(Party, Box<str>)], content: &SessionContent) -> bool {
    named.iter().any(|(creator, name)| *creator == content.creator && *name == content.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::reason::{Condition, Reason};
    use crate::jingle::testing;
    use crate::stanza::error;

    const AUDIO: &str = "<content creator='initiator' name='voice'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>
        <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>";

    fn pending() -> Session {
        let address = |text| Jid::parse(text).unwrap();
        Session::new(address("romeo@montague.lit/orchard"), address("juliet@capulet.lit/balcony"), &request("session-initiate", AUDIO))
    }

    fn active() -> Session {
        let mut session = pending();
        assert_eq!(session.handle_action(Party::Responder, &request("session-accept", AUDIO)), Step::Accepted);
        session
    }

    fn request(action: &str, content: &str) -> Jingle {
        testing::jingle(action, content).unwrap()
    }

    fn fault(condition: error::Condition, jingle: Option<JingleCondition>) -> Fault {
        Fault { condition, jingle }
    }

    #[test]
    fn s5_1_each_action_of_each_party_in_each_state() {
        use Party::{Initiator, Responder};
        let ended = Step::Ended;
        let content =
            "<content creator='initiator' name='voice' senders='none'><transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'/></content>";
        let ringing = "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>";
        let busy = "<reason><busy/></reason>";
        let table = [
            // action, content, by, in PENDING, in ACTIVE
            ("session-initiate", AUDIO, Initiator, Step::OutOfOrder, Step::OutOfOrder),
            ("session-initiate", AUDIO, Responder, Step::OutOfOrder, Step::OutOfOrder),
            ("session-accept", AUDIO, Responder, Step::Accepted, Step::OutOfOrder),
            ("session-accept", AUDIO, Initiator, Step::OutOfOrder, Step::OutOfOrder),
            ("session-terminate", busy, Responder, ended(Outcome::Busy), ended(Outcome::Answered)),
            ("session-terminate", "", Initiator, ended(Outcome::Retracted), ended(Outcome::Answered)),
            ("session-info", ringing, Responder, Step::Ringing, Step::Stay),
            ("session-info", "", Responder, Step::Stay, Step::Stay),
            // XEP-0176 §5.5: before the session-accept, and from either.
            ("transport-info", content, Responder, Step::Stay, Step::Stay),
            ("transport-info", content, Initiator, Step::Stay, Step::Stay),
            ("description-info", content, Initiator, Step::Stay, Step::Stay),
            ("security-info", content, Initiator, Step::Stay, Step::Stay),
            ("content-add", "<content creator='responder' name='screen'/>", Responder, Step::Stay, Step::Stay),
            ("content-modify", content, Responder, Step::Stay, Step::Stay),
            ("content-modify", "<content creator='initiator' name='other' senders='none'/>", Responder, Step::OutOfOrder, Step::OutOfOrder),
            ("content-remove", content, Responder, Step::Stay, Step::Stay),
            ("content-accept", "<content creator='responder' name='other'/>", Initiator, Step::OutOfOrder, Step::OutOfOrder),
            ("content-reject", "<content creator='responder' name='other'/>", Initiator, Step::OutOfOrder, Step::OutOfOrder),
            ("transport-replace", content, Responder, Step::Stay, Step::Stay),
            ("transport-accept", content, Responder, Step::OutOfOrder, Step::OutOfOrder),
            ("transport-reject", content, Responder, Step::OutOfOrder, Step::OutOfOrder),
        ];
        for (action, content, by, in_pending, in_active) in table {
            for (mut session, expected) in [(pending(), in_pending), (active(), in_active)] {
                let before = session.state();
                assert_eq!(session.handle_action(by, &request(action, content)), expected, "{action} by {by:?} in {before:?}");
                let after = match expected {
                    Step::Accepted => State::Active,
                    Step::Ended(_) => State::Ended,
                    _ => before,
                };
                assert_eq!(session.state(), after, "{action} by {by:?} in {before:?}");
            }
            let mut session = pending();
            session.end(Outcome::Gone);
            assert_eq!(session.handle_action(by, &request(action, content)), Step::OutOfOrder, "{action} after the end");
        }
    }

    #[test]
    fn s7_2_contents_are_added_accepted_rejected_and_removed() {
        let mut session = active();
        let names = |session: &Session| {
            session.contents().iter().map(|content| format!("{}:{}", content.name, content.accepted)).collect::<Vec<_>>().join(" ")
        };
        let video = "<content creator='responder' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/></content>";
        session.handle_action(Party::Responder, &request("content-add", video));
        assert_eq!(names(&session), "voice:true video:false");
        // Nobody accepts or rejects what is their own.
        assert_eq!(session.handle_action(Party::Responder, &request("content-accept", video)), Step::OutOfOrder);
        assert_eq!(session.handle_action(Party::Responder, &request("content-reject", video)), Step::OutOfOrder);
        assert_eq!(session.handle_action(Party::Initiator, &request("content-accept", video)), Step::Stay);
        assert_eq!(names(&session), "voice:true video:true");
        assert_eq!(session.handle_action(Party::Initiator, &request("content-reject", video)), Step::OutOfOrder);

        let slides = "<content creator='initiator' name='slides'/>";
        session.handle_action(Party::Initiator, &request("content-add", slides));
        assert_eq!(session.handle_action(Party::Responder, &request("content-reject", slides)), Step::Stay);
        assert_eq!(
            session
                .handle_action(Party::Responder, &request("content-modify", "<content creator='responder' name='video' senders='none'/>")),
            Step::Stay
        );
        assert_eq!(session.contents()[1].senders, Senders::None);
        assert_eq!(session.handle_action(Party::Initiator, &request("content-remove", video)), Step::Stay);
        assert_eq!(names(&session), "voice:true");
        // The creator is part of the name.
        assert_eq!(
            session.handle_action(Party::Initiator, &request("content-remove", "<content creator='responder' name='voice'/>")),
            Step::OutOfOrder
        );
    }

    #[test]
    fn s7_2_8_accepts_what_it_names() {
        let two = format!(
            "{AUDIO}<content creator='initiator' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/></content>"
        );
        let table = [
            (AUDIO, &["voice"][..]),
            (&two, &["voice", "video"]),
            // A responder that renames everything.
            ("<content creator='responder' name='0'/>", &["voice", "video"]),
        ];
        for (accepted, expected) in table {
            let address = |text| Jid::parse(text).unwrap();
            let mut session = Session::new(address("a@a/a"), address("b@b/b"), &request("session-initiate", &two));
            session.handle_action(Party::Responder, &request("session-accept", accepted));
            let names: Vec<&str> = session.contents().iter().filter(|content| content.accepted).map(|content| &*content.name).collect();
            assert_eq!(names, expected, "{accepted}");
        }
    }

    #[test]
    fn xep_0176_s6_fallback_to_raw_udp() {
        let raw = "<content creator='initiator' name='voice'><transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'>
            <candidate generation='0' id='a9j3mnbtu1' ip='10.1.1.104' port='13540'/></transport></content>";
        let answer = raw.replace("initiator", "responder").replace("voice", "voice2");
        for (action, expected) in [("transport-accept", Method::RawUdp), ("transport-reject", Method::IceUdp)] {
            let mut session = pending();
            let replace = request("transport-replace", raw);
            assert_eq!(session.handle_action(Party::Responder, &replace), Step::Stay);
            assert_eq!(session.take_candidates(Party::Responder, &replace), ["10.1.1.104:13540".parse().unwrap()]);
            assert_eq!(session.handle_action(Party::Initiator, &request(action, &answer)), Step::Stay);
            assert_eq!(session.contents()[0].transport, Some(expected));
            assert_eq!(session.handle_action(Party::Initiator, &request(action, &answer)), Step::OutOfOrder);
        }
    }

    #[test]
    fn s6_3_acknowledgement_moves_nothing_and_an_error_ends_the_session() {
        let initiate = request("session-initiate", AUDIO);
        let unavailable = fault(error::Condition::ServiceUnavailable, None);
        for (reply, expected) in [(None, Step::Stay), (Some(unavailable), Step::Ended(Outcome::Unreachable))] {
            let mut session = pending();
            session.await_reply(Party::Initiator, "xs51r0k4", &initiate, 0, Step::Stay);
            assert_eq!(session.handle_reply(Party::Responder, "another", reply.as_ref()), None);
            assert_eq!(session.handle_reply(Party::Initiator, "xs51r0k4", reply.as_ref()), None, "the own request");
            assert_eq!(session.handle_reply(Party::Responder, "xs51r0k4", reply.as_ref()), Some((0, expected)));
            assert_eq!(session.handle_reply(Party::Responder, "xs51r0k4", reply.as_ref()), None, "answered once");
        }
    }

    #[test]
    fn s10_a_refused_second_session_initiate_leaves_the_first_alone() {
        let mut session = active();
        let again = request("session-initiate", AUDIO);
        let step = session.handle_action(Party::Initiator, &again);
        session.await_reply(Party::Initiator, "again", &again, 2, step);
        let refused = fault(error::Condition::UnexpectedRequest, Some(JingleCondition::OutOfOrder));
        assert_eq!(session.handle_reply(Party::Responder, "again", Some(&refused)), Some((2, Step::Stay)));
        assert_eq!(session.state(), State::Active);
    }

    #[test]
    fn s10_errors_of_later_requests() {
        use error::Condition as C;
        let unknown = fault(C::ItemNotFound, Some(JingleCondition::UnknownSession));
        let table = [
            ("transport-info", unknown, Step::Ended(Outcome::Failed), Step::Ended(Outcome::Gone)),
            ("session-info", fault(C::FeatureNotImplemented, Some(JingleCondition::UnsupportedInfo)), Step::Stay, Step::Stay),
            ("session-terminate", unknown, Step::Stay, Step::Stay),
            ("content-add", fault(C::Conflict, Some(JingleCondition::TieBreak)), Step::Stay, Step::Stay),
            ("transport-info", fault(C::UnexpectedRequest, Some(JingleCondition::OutOfOrder)), Step::Stay, Step::Stay),
            ("transport-info", fault(C::ServiceUnavailable, None), Step::Stay, Step::Stay),
            ("session-accept", fault(C::ServiceUnavailable, None), Step::Ended(Outcome::Gone), Step::Ended(Outcome::Gone)),
        ];
        for (action, error, in_pending, in_active) in table {
            for (mut session, expected) in [(pending(), in_pending), (active(), in_active)] {
                session.await_reply(Party::Responder, "id", &request(action, "<content creator='responder' name='x'/>"), 3, Step::Stay);
                assert_eq!(session.handle_reply(Party::Initiator, "id", Some(&error)), Some((3, expected)), "{action} {error:?}");
            }
        }
    }

    #[test]
    fn s7_2_16_a_refused_change_never_happened() {
        let mut session = active();
        let add = request("content-add", "<content creator='responder' name='video'/>");
        session.await_reply(Party::Responder, "hb2f164w", &add, 1, Step::Stay);
        session.handle_action(Party::Responder, &add);
        let raw = "<content creator='initiator' name='voice'><transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'/></content>";
        let replace = request("transport-replace", raw);
        session.await_reply(Party::Responder, "r", &replace, 2, Step::Stay);
        session.handle_action(Party::Responder, &replace);

        let tie = fault(error::Condition::Conflict, Some(JingleCondition::TieBreak));
        session.handle_reply(Party::Initiator, "hb2f164w", Some(&tie));
        session.handle_reply(Party::Initiator, "r", Some(&tie));
        assert_eq!(session.contents().len(), 1);
        assert_eq!(session.handle_action(Party::Initiator, &request("transport-accept", raw)), Step::OutOfOrder);
    }

    #[test]
    fn only_the_two_addresses_are_parties() {
        let session = pending();
        let address = |text| Jid::parse(text).unwrap();
        let (romeo, juliet) = (address("romeo@montague.lit/orchard"), address("juliet@capulet.lit/balcony"));
        assert_eq!(session.sender(&romeo, &juliet), Some(Party::Initiator));
        assert_eq!(session.sender(&juliet, &romeo), Some(Party::Responder));
        for other in ["romeo@montague.lit", "romeo@montague.lit/home", "tybalt@capulet.lit/orchard"].map(address) {
            assert_eq!(session.sender(&other, &juliet), None);
            assert_eq!(session.sender(&romeo, &other), None);
        }
    }

    #[test]
    fn addresses_are_reported_once_and_restarts_counted() {
        let mut session = pending();
        let relay = |port: u16, generation: u8| {
            let candidate = format!("<candidate ip='203.0.113.7' port='{port}' generation='{generation}' type='relay'/>");
            request(
                "transport-info",
                &format!(
                    "<content creator='initiator' name='voice'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{candidate}</transport></content>"
                ),
            )
        };
        assert_eq!(session.take_candidates(Party::Initiator, &relay(1, 0)).len(), 1);
        assert_eq!(session.take_candidates(Party::Initiator, &relay(1, 0)).len(), 0);
        // The same address from the other party is another claim.
        assert_eq!(session.take_candidates(Party::Responder, &relay(1, 0)).len(), 1);
        assert_eq!(session.take_candidates(Party::Initiator, &relay(2, 1)).len(), 1);
        assert_eq!((session.offer(Party::Initiator).ice_restarts, session.offer(Party::Initiator).candidates.relay), (1, 3));
        for port in 10..10 + 2 * ADDRESSES_MAX as u16 {
            assert_eq!(session.take_candidates(Party::Initiator, &relay(port, 1)).len(), 1);
        }
        assert_eq!(session.offers[0].relayed.len(), ADDRESSES_MAX);
    }

    #[test]
    fn floods_stay_within_bounds() {
        let mut session = active();
        for i in 0..200 {
            let add = request("content-add", &format!("<content creator='initiator' name='{i}'/>"));
            session.await_reply(Party::Initiator, &i.to_string(), &add, i, Step::Stay);
            session.handle_action(Party::Initiator, &add);
        }
        assert_eq!((session.contents().len(), session.outstanding.len()), (SESSION_CONTENTS_MAX, OUTSTANDING_MAX));
        session.await_reply(Party::Initiator, &"i".repeat(257), &request("session-info", ""), 0, Step::Stay);
        assert_eq!(session.outstanding.back().map(|request| request.rung), Some(199), "an id that is too long is not kept");
    }

    #[test]
    fn s6_7_the_reason_decides_the_outcome() {
        let mut terminate = request("session-terminate", "");
        terminate.reason = Some(Reason { condition: Some(Condition::ConnectivityError), text: None });
        assert_eq!(active().handle_action(Party::Initiator, &terminate), Step::Ended(Outcome::Failed));
    }
}
