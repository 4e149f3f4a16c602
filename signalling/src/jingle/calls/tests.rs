//! The table of calls, shown whole conversations. `montague.lit` and `capulet.lit` are served here, `remote.example` is not.

use super::*;
use crate::jingle::content::Party;
use crate::jingle::reason::Condition;
use crate::jingle::session::{Session, State};
use crate::jingle::testing::stanza;
use crate::jingle::transport::Method;
use crate::xml::element::BUILT;

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const BENVOLIO: &str = "benvolio@remote.example/piazza";
const SID: &str = "a73sjjvkla37jfea";
const ID: &str = "ca3cf894-5325-482f-a412-a6e9f832298d";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// A table with its clock.
struct World {
    calls: Calls,
    now: Instant,
    /// What the parties have told each other of themselves.
    offered: Vec<Offering>,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { calls: Calls::new(limits), now: Instant::now(), offered: Vec::new() }
    }

    /// Routes a stanza, one millisecond after the last.
    fn say(&mut self, xml: &str) -> Vec<Effect> {
        self.now += Duration::from_millis(1);
        let stanza = stanza(xml);
        let sender = stanza.from().map(Jid::to_bare).filter(|account| account.domain() != "remote.example");
        assert!(Signal::is_in(&stanza), "{xml}");
        let Some(signal) = Signal::read(&stanza, sender.as_ref()) else { return Vec::new() };
        let trees = BUILT.get();
        let (offered, effects): (Vec<_>, Vec<_>) =
            self.calls.observe(&signal, self.now).into_iter().partition(|effect| matches!(effect, Effect::Offered(_)));
        self.offered
            .extend(offered.into_iter().filter_map(|effect| if let Effect::Offered(offering) = effect { Some(*offering) } else { None }));
        assert_eq!(BUILT.get(), trees, "read with the table locked: {xml}");
        self.calls.check();
        effects
    }

    fn jingle(&mut self, from: &str, to: &str, sid: &str, action: &str, content: &str) -> Vec<Effect> {
        self.say(&format!(
            "<iq from='{from}' to='{to}' id='{action}' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{content}</jingle></iq>"
        ))
    }

    fn result(&mut self, from: &str, to: &str, id: &str) -> Vec<Effect> {
        self.say(&format!("<iq from='{from}' to='{to}' id='{id}' type='result'/>"))
    }

    fn error(&mut self, from: &str, to: &str, id: &str, conditions: &str) -> Vec<Effect> {
        self.say(&format!("<iq from='{from}' to='{to}' id='{id}' type='error'><error type='cancel'>{conditions}</error></iq>"))
    }

    fn message(&mut self, from: &str, to: &str, verb: &str, id: &str, content: &str) -> Vec<Effect> {
        self.say(&format!(
            "<message from='{from}' to='{to}' type='chat'><{verb} xmlns='urn:xmpp:jingle-message:0' id='{id}'>{content}</{verb}></message>"
        ))
    }

    fn propose(&mut self, from: &str, to: &str, id: &str) -> Vec<Effect> {
        self.message(from, to, "propose", id, "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>")
    }

    /// An accepted call and its number.
    fn call(&mut self, from: &str, to: &str, sid: &str) -> CallId {
        let id = started(&self.jingle(from, to, sid, "session-initiate", &audio("")));
        let accepted = self.jingle(to, from, sid, "session-accept", &audio(""));
        assert!(matches!(accepted[..], [Effect::Accepted { call, .. }] if call == id), "{accepted:?}");
        id
    }

    fn wait(&mut self, duration: Duration) -> Vec<Effect> {
        self.now += duration;
        let effects = self.calls.handle_timeout(self.now).into_vec();
        self.calls.check();
        effects
    }

    fn gone(&mut self, address: &str) -> Vec<Effect> {
        let effects = self.calls.handle_gone(&jid(address), self.now).into_vec();
        self.calls.check();
        effects
    }

    /// The call that ended last.
    fn last(&self) -> &Call {
        self.calls.past().next().expect("a call has ended")
    }

    fn live(&self) -> Vec<CallId> {
        let mut live: Vec<CallId> = self.calls.live().map(|call| call.id).collect();
        live.sort_unstable();
        live
    }
}

impl Calls {
    /// The live calls, in no order.
    pub(in crate::jingle) fn live(&self) -> impl Iterator<Item = &Call> {
        self.live.values()
    }

    /// A live call.
    fn get(&self, call: CallId) -> Option<&Call> {
        self.live.get(&call)
    }

    /// Every index says the same.
    pub(super) fn check(&self) {
        let mut pairs = 0;
        for call in self.live.values() {
            let pair = Pair::of(call.initiator.clone(), call.responder.clone());
            assert!(self.by_pair[&pair].iter().filter(|id| **id == call.id).count() == 1);
            pairs += 1;
            assert!(self.by_account[&call.initiator].contains(&call.id) && self.by_account[&call.responder].contains(&call.id));
            assert!(self.by_initiator[&call.initiator].contains(&call.id));
            assert!(self.by_rank.contains(&(call.rank, call.id)));
            assert_eq!(call.due, call.due(&self.limits));
            assert!(call.due.is_none_or(|due| self.deadlines.contains(&(due, call.id))));
            assert!(call.session.is_some() || call.proposal.is_some());
            assert!(call.end.is_none());
            assert_ne!(call.session.as_ref().map(Session::state), Some(State::Ended));
        }
        assert_eq!(self.by_pair.values().map(SmallVec::len).sum::<usize>(), pairs);
        assert_eq!(self.by_initiator.values().map(BTreeSet::len).sum::<usize>(), self.live.len());
        let sides: usize = self.live.values().map(|call| if call.initiator == call.responder { 1 } else { 2 }).sum();
        assert_eq!(self.by_account.values().map(BTreeSet::len).sum::<usize>(), sides);
        assert!(self.by_pair.values().all(|ids| !ids.is_empty()));
        assert!(self.by_account.values().chain(self.by_initiator.values()).all(|ids| !ids.is_empty()));
        assert_eq!(self.by_rank.len(), self.live.len());
        assert_eq!(self.deadlines.len(), self.live.values().filter(|call| call.due.is_some()).count());
        let calls = || self.live.values().filter(|call| call.kind == Kind::Call);
        assert_eq!(self.in_session, calls().filter(|call| call.session.is_some()).count());
        assert_eq!(self.proposed, calls().filter(|call| call.session.is_none()).count());
        assert!(self.live.len() <= self.limits.calls_max && self.past.len() <= self.limits.past_max);
    }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn audio(candidates: &str) -> String {
    format!(
        "<content creator='initiator' name='voice'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='111' name='opus' clockrate='48000' channels='2'/></description>
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='asd88fgpdd777uzjYhagZg' ufrag='8hhy'>{candidates}</transport></content>"
    )
}

fn relay(ip: &str, port: u16) -> String {
    format!(
        "<candidate component='1' foundation='3' generation='0' id='r{port}' ip='{ip}' port='{port}' priority='1' protocol='udp' type='relay'/>"
    )
}

fn reason(condition: &str) -> String {
    format!("<reason xmlns='urn:xmpp:jingle:1'><{condition}/></reason>")
}

fn started(effects: &[Effect]) -> CallId {
    match effects {
        [Effect::Started { call }, ..] => *call,
        other => panic!("nothing started: {other:?}"),
    }
}

fn ended(effects: &[Effect]) -> Vec<(CallId, Outcome)> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Ended { call, outcome, .. } = effect { Some((*call, *outcome)) } else { None })
        .collect()
}

fn links(effects: &[Effect]) -> Vec<(String, String, CallId)> {
    let link = |effect: &Effect| match effect {
        Effect::Link { account, relayed, call } => Some((account.to_string(), relayed.to_string(), *call)),
        _ => None,
    };
    effects.iter().filter_map(link).collect()
}

#[test]
fn xep_0166_s2_a_call_from_beginning_to_end() {
    let mut world = World::new();
    let id = started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio("")));
    assert_eq!((world.calls.in_session(), world.calls.proposed()), (1, 0));
    assert_eq!(world.result(JULIET, ROMEO, "session-initiate"), []);
    assert_eq!(world.jingle(JULIET, ROMEO, SID, "session-info", "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>"), []);
    world.result(ROMEO, JULIET, "session-info");
    // XEP-0176 §5.5: candidates before the session-accept, and in it.
    let effects = world.jingle(ROMEO, JULIET, SID, "transport-info", &audio(&relay("203.0.113.7", 50000)));
    assert_eq!(links(&effects), [("romeo@montague.lit".into(), "203.0.113.7:50000".into(), id)]);
    world.calls.handle_linked(id, world.now);
    let effects = world.jingle(JULIET, ROMEO, SID, "session-accept", &audio(&relay("203.0.113.7", 50002)));
    assert!(matches!(effects[0], Effect::Link { .. }));
    assert_eq!(effects[1], Effect::Accepted { call: id, kind: Kind::Call, setup: Duration::from_millis(5) });
    world.wait(Duration::from_secs(60));
    let effects = world.jingle(JULIET, ROMEO, SID, "session-terminate", &reason("success"));
    let active = Some(Duration::from_millis(60_001));
    assert_eq!(effects, [Effect::Ended { call: id, kind: Kind::Call, outcome: Outcome::Answered, active }]);
    assert_eq!((world.calls.in_session(), world.live().len()), (0, 0));
    assert_eq!(world.calls.poll_timeout(), None);

    let call = world.last();
    assert_eq!(
        (call.id, &*call.sid, call.initiator.as_str(), call.responder.as_str()),
        (id, SID, "romeo@montague.lit", "juliet@capulet.lit")
    );
    let times = &call.times;
    assert!(times.started < times.ringing.unwrap() && times.ringing < times.linked && times.linked < times.accepted);
    let end = call.end.as_ref().unwrap();
    assert_eq!((end.outcome, end.reason.as_ref().and_then(|reason| reason.condition)), (Outcome::Answered, Some(Condition::Success)));
    let session = call.session.as_ref().unwrap();
    assert_eq!((session.offer(Party::Initiator).candidates.relay, session.contents()[0].transport.clone()), (1, Some(Method::IceUdp)));
    let rungs: Vec<_> = call.ladder.rungs().map(|rung| (rung.from, rung.what, &*rung.detail, rung.reply.is_some())).collect();
    assert_eq!(
        rungs,
        [
            (Party::Initiator, "session-initiate", "audio(opus), ice-udp", true),
            (Party::Responder, "session-info", "ringing", true),
            (Party::Initiator, "transport-info", "audio(opus), ice-udp, 1 relay", false),
            (Party::Responder, "session-accept", "audio(opus), ice-udp, 1 relay", false),
            (Party::Responder, "session-terminate", "success", false),
        ]
    );
}

#[test]
fn a_third_party_cannot_touch_a_session_and_a_sid_may_be_used_again_by_others() {
    let mut world = World::new();
    let first = world.call(ROMEO, JULIET, SID);
    let other = world.call("mercutio@montague.lit/street", JULIET, SID);
    let reversed = world.call(JULIET, ROMEO, "another");
    assert_ne!(first, other);
    let strangers = [
        ("tybalt@capulet.lit/street", ROMEO),
        ("tybalt@capulet.lit/street", JULIET),
        // The right account, the wrong device.
        ("romeo@montague.lit/home", JULIET),
        ("romeo@montague.lit", JULIET),
        (ROMEO, "juliet@capulet.lit/phone"),
        (ROMEO, "juliet@capulet.lit"),
        (ROMEO, "mercutio@montague.lit/street"),
    ];
    for (from, to) in strangers {
        assert_eq!(
            world.jingle(from, to, SID, "session-terminate", &reason("success")),
            [Effect::Ignored(Ignored::UnknownSession)],
            "{from} {to}"
        );
        assert_eq!(
            world.jingle(from, to, SID, "transport-info", &audio(&relay("203.0.113.7", 50000))),
            [Effect::Ignored(Ignored::UnknownSession)]
        );
    }
    assert_eq!(world.jingle(ROMEO, JULIET, "unknown", "session-terminate", ""), [Effect::Ignored(Ignored::UnknownSession)]);
    assert_eq!(world.live(), [first, other, reversed]);
    assert_eq!(ended(&world.jingle(JULIET, ROMEO, SID, "session-terminate", "")), [(first, Outcome::Answered)]);
    assert_eq!(world.live(), [other, reversed]);
    // And after it again by the same two.
    let again = world.call(ROMEO, JULIET, SID);
    assert_eq!(world.live(), [other, reversed, again]);
}

#[test]
fn xep_0166_s7_2_16_the_same_sid_in_both_directions() {
    let mut world = World::new();
    let juliets = started(&world.jingle(JULIET, ROMEO, SID, "session-initiate", &audio("")));
    let romeos = started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio("")));
    // The lower address, Juliet, overrules: Romeo's is refused by the id of its IQ, although both have the same.
    let tie = format!("<conflict xmlns='{STANZAS}'/><tie-break xmlns='urn:xmpp:jingle:errors:1'/>");
    assert_eq!(ended(&world.error(JULIET, ROMEO, "session-initiate", &tie)), [(romeos, Outcome::Replaced)]);
    assert_eq!(world.result(ROMEO, JULIET, "session-initiate"), []);
    assert!(
        matches!(world.jingle(ROMEO, JULIET, SID, "session-accept", &audio(""))[..], [Effect::Accepted { call, .. }] if call == juliets)
    );

    let mut world = World::new();
    let romeos = started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio("")));
    let juliets = started(&world.jingle(JULIET, ROMEO, SID, "session-initiate", &audio("")));
    let effects = world.jingle(JULIET, ROMEO, SID, "transport-info", &audio(&relay("203.0.113.7", 1)));
    assert_eq!(links(&effects)[0].2, juliets, "the lower address is taken for the initiator");
    assert!(
        matches!(world.jingle(JULIET, ROMEO, SID, "session-accept", &audio(""))[..], [Effect::Accepted { call, .. }] if call == romeos)
    );
}

#[test]
fn xep_0166_s6_3_2_an_error_to_the_session_initiate_ends_the_call() {
    let mut world = World::new();
    let id = started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio("")));
    let unavailable = format!("<service-unavailable xmlns='{STANZAS}'/>");
    assert_eq!(world.error(JULIET, ROMEO, "another", &unavailable), []);
    assert_eq!(world.error("tybalt@capulet.lit/street", ROMEO, "session-initiate", &unavailable), []);
    assert_eq!(ended(&world.error(JULIET, ROMEO, "session-initiate", &unavailable)), [(id, Outcome::Unreachable)]);
    assert_eq!(world.last().end.as_ref().and_then(|end| end.error), Some("service-unavailable"));
    assert_eq!(
        world.last().ladder.rungs().next().and_then(|rung| rung.reply.as_ref()).and_then(|reply| reply.error),
        Some("service-unavailable")
    );
}

#[test]
fn xep_0166_s10_out_of_order_and_malformed_move_nothing() {
    let mut world = World::new();
    let id = world.call(ROMEO, JULIET, SID);
    let candidate = audio(&relay("203.0.113.7", 50000));
    let out_of_order = [Effect::Ignored(Ignored::OutOfOrder)];
    assert_eq!(world.jingle(ROMEO, JULIET, SID, "session-initiate", &candidate), out_of_order);
    assert_eq!(world.jingle(ROMEO, JULIET, SID, "session-accept", &candidate), out_of_order);
    assert_eq!(world.jingle(JULIET, ROMEO, SID, "session-accept", &candidate), out_of_order);
    let malformed = [Effect::Ignored(Ignored::Malformed)];
    assert_eq!(world.jingle(ROMEO, JULIET, SID, "session-end", ""), malformed);
    assert_eq!(world.jingle(ROMEO, JULIET, "", "session-terminate", ""), malformed);
    assert_eq!(world.jingle(ROMEO, JULIET, SID, "content-add", &format!("<content name='{}'/>", "n".repeat(300))), malformed);
    assert_eq!(
        world.say(&format!("<iq from='{ROMEO}' to='{JULIET}' id='i' type='set'><jingle xmlns='urn:xmpp:jingle:1'/></iq>")),
        malformed
    );
    assert_eq!(world.message(ROMEO, "juliet@capulet.lit", "propose", "", ""), malformed);
    assert_eq!(world.live(), [id]);
    let call = world.calls.get(id).unwrap();
    assert_eq!(call.ladder.rungs().filter(|rung| rung.out_of_order).count(), 3);
    // Nobody talks with oneself, and an IQ to the own server is no session.
    assert_eq!(world.jingle(ROMEO, ROMEO, "self", "session-initiate", &audio("")), []);
    assert_eq!(
        world.say(&format!(
            "<iq from='{ROMEO}' id='i' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='x'/></iq>"
        )),
        []
    );
}

#[test]
fn what_a_party_offers_is_told_once_and_only_within_the_session() {
    let mut world = World::new();
    let host = "<candidate component='1' foundation='1' generation='0' id='h' ip='10.0.1.1' port='1' priority='1' protocol='udp' type='host'/>\
                <candidate component='2' foundation='1' generation='0' id='i' ip='::ffff:10.0.1.1' port='2' priority='1' protocol='udp' type='host'/>\
                <candidate component='1' foundation='1' generation='0' id='n' ip='f81d4fae.local' port='2' priority='1' protocol='udp' type='host'/>";
    world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio(host));
    world.jingle("tybalt@capulet.lit/x", ROMEO, SID, "transport-info", &audio(&relay("6.6.6.6", 1)));
    world.jingle(JULIET, ROMEO, SID, "transport-info", &audio(&relay("203.0.113.7", 50000)));
    world.jingle(JULIET, ROMEO, SID, "session-accept", &audio(&relay("203.0.113.7", 50000)));
    world.jingle(JULIET, ROMEO, SID, "transport-info", &audio(&relay("203.0.113.8", 50000)).replace("8hhy", "again"));
    let told: Vec<_> = world
        .offered
        .iter()
        .map(|Offering { from, offer, .. }| {
            let addresses: Vec<_> = offer.addresses.iter().map(ToString::to_string).collect();
            (from.as_str(), addresses.join(" "), offer.credentials.iter().map(|(ufrag, _)| ufrag.to_string()).collect::<Vec<_>>())
        })
        .collect();
    let expected = [
        (ROMEO, "10.0.1.1".to_owned(), vec!["8hhy".to_owned()]),
        (JULIET, "203.0.113.7".to_owned(), vec!["8hhy".to_owned()]),
        (JULIET, "203.0.113.8".to_owned(), vec!["again".to_owned()]),
    ];
    assert_eq!(told, expected);
    world.jingle(JULIET, ROMEO, SID, "session-terminate", "");
    world.jingle(JULIET, ROMEO, SID, "transport-info", &audio(&relay("203.0.113.9", 50000)));
    assert_eq!(world.offered.len(), 3);
    // One account alone gains nothing.
    world.jingle(ROMEO, "romeo@montague.lit/chamber", "own", "session-initiate", &audio(host));
    assert_eq!(world.offered.len(), 3);
}

#[test]
fn links_are_for_the_account_that_sent_the_stanza_and_only_for_own_ones() {
    let mut world = World::new();
    let two = format!("{}{}", relay("203.0.113.7", 1), relay("2001:db8::7", 2));
    let effects = world.jingle(ROMEO, BENVOLIO, SID, "session-initiate", &audio(&two));
    let id = started(&effects);
    let romeo = "romeo@montague.lit".to_owned();
    assert_eq!(links(&effects), [(romeo.clone(), "203.0.113.7:1".into(), id), (romeo.clone(), "[2001:db8::7]:2".into(), id)]);
    assert_eq!(links(&world.jingle(BENVOLIO, ROMEO, SID, "session-accept", &audio(&relay("203.0.113.7", 3)))), []);
    assert_eq!(links(&world.jingle(ROMEO, BENVOLIO, SID, "transport-info", &audio(&two))), [], "reported before");
    // The other side's address, claimed as one's own: the relay says whose it is.
    let claim = world.jingle(ROMEO, BENVOLIO, SID, "transport-info", &audio(&relay("203.0.113.7", 3)));
    assert_eq!(links(&claim), [(romeo, "203.0.113.7:3".into(), id)]);
}

#[test]
fn xep_0353_s3_a_proposal_becomes_the_session_of_the_same_call() {
    let mut world = World::new();
    let id = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
    assert_eq!((world.calls.in_session(), world.calls.proposed()), (0, 1));
    assert_eq!(world.message("juliet@capulet.lit/phone", ROMEO, "ringing", ID, ""), []);
    assert_eq!(world.message(JULIET, ROMEO, "ringing", ID, ""), []);
    let answered = [Effect::ProposalDone { call: id, outcome: Outcome::Answered }];
    assert_eq!(world.message("juliet@capulet.lit/phone", ROMEO, "proceed", ID, ""), answered);
    assert_eq!(world.jingle(ROMEO, "juliet@capulet.lit/phone", ID, "session-initiate", &audio("")), []);
    assert_eq!((world.calls.in_session(), world.calls.proposed()), (1, 0));
    world.jingle("juliet@capulet.lit/phone", ROMEO, ID, "session-accept", &audio(""));
    assert_eq!(world.live(), [id]);
    assert_eq!(
        ended(&world.jingle(ROMEO, "juliet@capulet.lit/phone", ID, "session-terminate", &reason("success"))),
        [(id, Outcome::Answered)]
    );
    // §3.7: both finish, when the session is over already.
    assert_eq!(world.message(ROMEO, "juliet@capulet.lit/phone", "finish", ID, &reason("success")), []);
    let times = &world.last().times;
    assert!(
        Some(times.started) < times.ringing
            && times.ringing < times.proceeded
            && times.proceeded < times.initiated
            && times.initiated < times.accepted
    );
    let details: Vec<_> = world.last().ladder.rungs().take(2).map(|rung| format!("{} {}", rung.what, rung.detail)).collect();
    assert_eq!(details, ["propose on orchard, audio", "ringing on phone"]);
}

#[test]
fn xep_0353_s3_3_and_s3_5_ends_before_a_session() {
    /// From, to, verb, condition.
    type Message = (&'static str, &'static str, &'static str, &'static str);
    let table: &[(&[Message], Outcome)] = &[
        (&[(ROMEO, "juliet@capulet.lit", "retract", "cancel")], Outcome::Retracted),
        // Another device of the caller may take it back.
        (&[("romeo@montague.lit/home", "juliet@capulet.lit", "retract", "cancel")], Outcome::Retracted),
        (&[(JULIET, ROMEO, "reject", "busy")], Outcome::Busy),
        (&[(JULIET, ROMEO, "reject", "decline")], Outcome::Rejected),
        // Up to 0.3: to the own account.
        (&[(JULIET, "juliet@capulet.lit", "reject", "decline")], Outcome::Rejected),
        (&[(JULIET, "juliet@capulet.lit", "accept", "success"), (JULIET, ROMEO, "reject", "media-error")], Outcome::Failed),
        (&[(JULIET, ROMEO, "ringing", "success"), (ROMEO, "juliet@capulet.lit", "retract", "timeout")], Outcome::Missed),
    ];
    for (messages, outcome) in table {
        let mut world = World::new();
        let id = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
        let ((from, to, verb, condition), before) = messages.split_last().unwrap();
        for (from, to, verb, condition) in before {
            assert_eq!(world.message(from, to, verb, ID, &reason(condition)), [], "{verb}");
        }
        let effects = world.message(from, to, verb, ID, &reason(condition));
        let expected = [
            Effect::ProposalDone { call: id, outcome: *outcome },
            Effect::Ended { call: id, kind: Kind::Call, outcome: *outcome, active: None },
        ];
        assert_eq!(effects, expected, "{messages:?}");
        assert_eq!(world.calls.proposed(), 0);
    }
}

#[test]
fn xep_0353_others_cannot_answer_and_the_same_id_may_be_used_by_others() {
    let mut world = World::new();
    let romeos = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
    let benvolios = started(&world.propose(BENVOLIO, "juliet@capulet.lit", ID));
    assert_eq!(world.message("tybalt@capulet.lit/street", ROMEO, "reject", ID, ""), []);
    assert_eq!(world.message("tybalt@capulet.lit/street", "juliet@capulet.lit", "retract", ID, ""), []);
    assert_eq!(world.message("tybalt@capulet.lit/street", "tybalt@capulet.lit", "reject", ID, ""), []);
    assert_eq!(world.message(ROMEO, "juliet@capulet.lit", "proceed", ID, ""), [Effect::Ignored(Ignored::OutOfOrder)]);
    assert_eq!(world.propose(ROMEO, "juliet@capulet.lit", ID), [Effect::Ignored(Ignored::OutOfOrder)]);
    assert_eq!(ended(&world.message(JULIET, BENVOLIO, "reject", ID, "")), [(benvolios, Outcome::Rejected)]);
    assert_eq!(world.live(), [romeos]);
}

#[test]
fn xep_0353_s4_1_tie_break() {
    const HIGHER: &str = "fecbea35-08d3-404f-9ec7-2b57c566fa74";
    let mut world = World::new();
    let lower = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
    let higher = started(&world.propose("juliet@capulet.lit/phone", ROMEO, HIGHER));
    let lost = format!("{}<tie-break/>", reason("expired"));
    assert_eq!(ended(&world.message(ROMEO, "juliet@capulet.lit", "reject", HIGHER, &lost)), [(higher, Outcome::Replaced)]);
    assert_eq!(world.message("juliet@capulet.lit/phone", ROMEO, "retract", HIGHER, &lost), []);
    assert_eq!(
        world.message("juliet@capulet.lit/phone", ROMEO, "proceed", ID, ""),
        [Effect::ProposalDone { call: lower, outcome: Outcome::Answered }]
    );
    let call = world.calls.get(lower).unwrap();
    assert!(call.ladder.rungs().any(|rung| rung.what == "tie-break" && &*rung.detail == "this proposal wins"));
}

#[test]
fn xep_0353_s4_2_a_call_moves_to_another_device() {
    const NEW: &str = "989a46a6-f202-4910-a7c3-83c6ba3f3947";
    let phone = "juliet@capulet.lit/phone";
    let mut world = World::new();
    let old = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
    world.message(phone, ROMEO, "proceed", ID, "");
    world.jingle(ROMEO, phone, ID, "session-initiate", &audio(""));
    world.jingle(phone, ROMEO, ID, "session-accept", &audio(""));
    let new = started(&world.propose("juliet@capulet.lit/tablet", ROMEO, NEW));
    let migrated = format!("{}<migrated to='{NEW}'/>", reason("expired"));
    assert_eq!(ended(&world.message(ROMEO, "juliet@capulet.lit", "finish", ID, &migrated)), [(old, Outcome::Replaced)]);
    assert_eq!(
        world.message(ROMEO, "juliet@capulet.lit", "proceed", NEW, ""),
        [Effect::ProposalDone { call: new, outcome: Outcome::Answered }]
    );
    assert_eq!(world.live(), [new]);
}

#[test]
fn xep_0353_a_proposal_that_comes_back_is_unreachable_unless_it_rings() {
    let bounce = |world: &mut World, from: &str| {
        world.say(&format!(
            "<message from='{from}' to='{ROMEO}' type='error'><propose xmlns='urn:xmpp:jingle-message:0' id='{ID}'/>
             <error type='cancel'><service-unavailable xmlns='{STANZAS}'/></error></message>"
        ))
    };
    let mut world = World::new();
    let id = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
    assert_eq!(bounce(&mut world, "tybalt@capulet.lit"), []);
    assert_eq!(ended(&bounce(&mut world, "juliet@capulet.lit")), [(id, Outcome::Unreachable)]);
    assert_eq!(bounce(&mut world, "juliet@capulet.lit"), []);

    let mut world = World::new();
    world.propose(ROMEO, "juliet@capulet.lit", ID);
    world.message(JULIET, ROMEO, "ringing", ID, "");
    assert_eq!(bounce(&mut world, "juliet@capulet.lit"), []);
    assert_eq!(world.calls.proposed(), 1);
}

#[test]
fn messages_within_a_session() {
    let phone = "juliet@capulet.lit/phone";
    let table = [
        // verb, from, to, before the session-accept, after it
        ("finish", ROMEO, phone, Some(Outcome::Retracted), Some(Outcome::Answered)),
        ("finish", phone, ROMEO, Some(Outcome::Rejected), Some(Outcome::Answered)),
        ("finish", "romeo@montague.lit/home", phone, Some(Outcome::Retracted), Some(Outcome::Answered)),
        ("retract", ROMEO, "juliet@capulet.lit", Some(Outcome::Retracted), None),
        ("reject", phone, ROMEO, Some(Outcome::Rejected), None),
        // A sibling that comes too late.
        ("reject", JULIET, ROMEO, None, None),
        ("ringing", JULIET, ROMEO, None, None),
        ("proceed", phone, ROMEO, None, None),
        ("accept", phone, "juliet@capulet.lit", None, None),
    ];
    for (verb, from, to, in_pending, in_active) in table {
        for (accept, expected) in [(false, in_pending), (true, in_active)] {
            let mut world = World::new();
            world.propose(ROMEO, "juliet@capulet.lit", ID);
            world.jingle(ROMEO, phone, ID, "session-initiate", &audio(""));
            if accept {
                world.jingle(phone, ROMEO, ID, "session-accept", &audio(""));
            }
            let outcome = ended(&world.message(from, to, verb, ID, "")).first().map(|(_, outcome)| *outcome);
            assert_eq!(outcome, expected, "{verb} from {from}, accepted: {accept}");
        }
    }
}

#[test]
fn a_call_between_devices_of_one_account() {
    let (desk, phone) = ("romeo@montague.lit/desk", "romeo@montague.lit/phone");
    let mut world = World::new();
    let id = started(&world.propose(desk, "romeo@montague.lit", ID));
    world.message(phone, desk, "ringing", ID, "");
    assert_eq!(world.message(phone, desk, "proceed", ID, ""), [Effect::ProposalDone { call: id, outcome: Outcome::Answered }]);
    world.jingle(desk, phone, ID, "session-initiate", &audio(""));
    world.jingle(phone, desk, ID, "session-accept", &audio(""));
    assert_eq!(ended(&world.gone(phone)), [(id, Outcome::Gone)]);
}

#[test]
fn an_address_that_is_gone_takes_its_calls_along() {
    let mut world = World::new();
    let first = world.call(ROMEO, JULIET, "1");
    let second = world.call(BENVOLIO, ROMEO, "2");
    let proposed = started(&world.propose(ROMEO, "juliet@capulet.lit", "3"));
    let unconcerned = world.call("romeo@montague.lit/home", JULIET, "4");
    let ringing = started(&world.propose(BENVOLIO, "romeo@montague.lit", "5"));
    assert_eq!(world.gone("romeo@montague.lit"), []);
    assert_eq!(world.gone("juliet@capulet.lit/other"), []);
    let effects = world.gone(ROMEO);
    assert_eq!(ended(&effects), [(first, Outcome::Gone), (second, Outcome::Gone), (proposed, Outcome::Gone)]);
    assert_eq!(world.live(), [unconcerned, ringing], "one device of many does not end the ringing");
}

#[test]
fn xep_0166_s6_7_unavailable_elsewhere_ends_a_call_after_a_while_without_a_sign_of_life() {
    let presence = |from: &str| format!("<presence from='{from}' to='romeo@montague.lit' type='unavailable'/>");
    let mut world = World::new();
    let id = world.call(ROMEO, BENVOLIO, SID);
    // An own client that only says so is still there.
    world.say(&presence(ROMEO));
    world.say(&presence("benvolio@remote.example/other"));
    assert_eq!(world.wait(Duration::from_secs(60)), []);
    world.say(&presence(BENVOLIO));
    assert_eq!(world.wait(Duration::from_secs(9)), []);
    world.result(BENVOLIO, ROMEO, "session-initiate");
    assert_eq!(world.wait(Duration::from_secs(60)), [], "it lives");
    world.say(&presence(BENVOLIO));
    world.jingle(ROMEO, BENVOLIO, SID, "session-info", "");
    assert_eq!(world.wait(Duration::from_secs(9)), []);
    assert_eq!(ended(&world.wait(Duration::from_secs(1))), [(id, Outcome::Gone)]);
}

#[test]
fn what_waits_too_long_ends() {
    let file = "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:s5b:1'/></content>";
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let table: &[(&str, Duration, Outcome)] = &[
        ("proposed", Duration::from_secs(180), Outcome::Missed),
        ("proceeding", Duration::from_secs(60), Outcome::Failed),
        ("pending", Duration::from_secs(180), Outcome::Missed),
        ("file", hours(24), Outcome::Missed),
        ("active", hours(24), Outcome::Gone),
    ];
    for (state, wait, outcome) in table {
        let mut world = World::new();
        let id = match *state {
            "proposed" => started(&world.propose(ROMEO, "juliet@capulet.lit", ID)),
            "proceeding" => {
                let id = started(&world.propose(ROMEO, "juliet@capulet.lit", ID));
                world.message(JULIET, ROMEO, "proceed", ID, "");
                id
            }
            "pending" => started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", &audio(""))),
            "file" => started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", file)),
            _ => world.call(ROMEO, JULIET, SID),
        };
        assert_eq!(world.calls.poll_timeout(), Some(world.now + *wait), "{state}");
        assert_eq!(world.wait(*wait - Duration::from_millis(1)), [], "{state}");
        assert_eq!(ended(&world.wait(Duration::from_millis(1))), [(id, *outcome)], "{state}");
        assert_eq!(world.calls.poll_timeout(), None);
    }
}

#[test]
fn no_call_dies_of_its_age_while_a_relay_serves_it() {
    let mut world = World::new();
    let id = world.call(ROMEO, JULIET, SID);
    world.calls.handle_linked(id, world.now);
    assert_eq!(world.calls.poll_timeout(), None);
    assert_eq!(world.wait(Duration::from_secs(30 * 24 * 3600)), []);
    assert_eq!(ended(&world.gone(JULIET)), [(id, Outcome::Gone)]);
    // A link that comes after the end.
    world.calls.handle_linked(id, world.now);
    world.calls.check();
}

#[test]
fn an_account_pays_for_its_flood_with_its_own_calls() {
    let mut world = World::with(Limits { calls_per_account_max: 3, ..Limits::default() });
    let active = world.call(ROMEO, JULIET, "active");
    let other = started(&world.jingle("mercutio@montague.lit/a", JULIET, "other", "session-initiate", &audio("")));
    let first = started(&world.jingle(ROMEO, JULIET, "0", "session-initiate", &audio("")));
    world.propose("romeo@montague.lit/home", "juliet@capulet.lit", "1");
    assert_eq!(ended(&world.propose(ROMEO, "juliet@capulet.lit", "2")), [(first, Outcome::Evicted)]);
    for sid in 3..100 {
        assert_eq!(ended(&world.jingle(ROMEO, JULIET, &sid.to_string(), "session-initiate", &audio(""))).len(), 1);
    }
    let live = world.live();
    assert_eq!((live.len(), live.contains(&active), live.contains(&other)), (4, true, true));
    // Three active ones: a fourth call is routed and not followed.
    for sid in ["98", "99"] {
        world.jingle(JULIET, ROMEO, sid, "session-accept", &audio(""));
    }
    assert_eq!(world.jingle(ROMEO, JULIET, "100", "session-initiate", &audio("")), [Effect::Ignored(Ignored::Full)]);
}

#[test]
fn a_full_table_gives_up_calls_from_elsewhere_first_and_active_ones_never() {
    let mut world = World::with(Limits { calls_max: 3, past_max: 2, ..Limits::default() });
    let own = started(&world.jingle(ROMEO, JULIET, "1", "session-initiate", &audio("")));
    let foreign = started(&world.jingle(BENVOLIO, JULIET, "2", "session-initiate", &audio("")));
    let active = world.call("mercutio@montague.lit/a", JULIET, "3");
    // From elsewhere only what is from elsewhere is pushed out.
    let effects = world.jingle("x@remote.example/y", JULIET, "4", "session-initiate", &audio(""));
    assert_eq!(ended(&effects), [(foreign, Outcome::Evicted)]);
    let next = world.calls.live().find(|call| &*call.sid == "4").unwrap().id;
    assert_eq!(ended(&world.propose(JULIET, "romeo@montague.lit", "5")), [(next, Outcome::Evicted)]);
    assert_eq!(world.propose(BENVOLIO, "romeo@montague.lit", "6"), [Effect::Ignored(Ignored::Full)]);
    assert_eq!(ended(&world.propose(JULIET, "romeo@montague.lit", "7")), [(own, Outcome::Evicted)]);
    assert!(world.live().contains(&active));
    assert_eq!(world.calls.past().map(|call| call.id).collect::<Vec<_>>(), [own, next], "the last two are remembered");
}

#[test]
fn files_are_followed_and_not_counted() {
    let mut world = World::new();
    let file = "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1'/></content>";
    let id = started(&world.jingle(ROMEO, JULIET, SID, "session-initiate", file));
    assert_eq!(world.calls.in_session(), 0);
    world.jingle(JULIET, ROMEO, SID, "session-accept", file);
    let effects = world.jingle(ROMEO, JULIET, SID, "session-terminate", &reason("success"));
    assert!(matches!(effects[..], [Effect::Ended { call, kind: Kind::Other, outcome: Outcome::Answered, .. }] if call == id));
}

#[test]
fn stanzas_that_concern_nobody_are_known_at_once() {
    let table = [
        ("<iq from='a@a/a' to='b@b/b' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", false),
        ("<iq from='a@a/a' to='b@b/b' id='1' type='set'><query xmlns='jabber:iq:roster'/></iq>", false),
        ("<iq from='a@a/a' to='b@b/b' id='1' type='result'/>", true),
        ("<message from='a@a/a' to='b@b/b' type='chat'><body>hi</body></message>", false),
        ("<message from='a@a/a' to='b@b/b' type='groupchat'><propose xmlns='urn:xmpp:jingle-message:0' id='i'/></message>", false),
        ("<presence from='a@a/a'/>", false),
        ("<presence from='a@a/a' type='unavailable'/>", true),
    ];
    for (xml, expected) in table {
        assert_eq!(Signal::is_in(&stanza(xml)), expected, "{xml}");
    }
}
