//! The state machine of one session, step by step.

use super::*;
use crate::jingle::content::Senders;
use crate::jingle::reason::{Condition, Reason};
use crate::jingle::testing;
use crate::jingle::transport::Method;
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
        session.handle_action(Party::Responder, &request("content-modify", "<content creator='responder' name='video' senders='none'/>")),
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
        assert_eq!(session.take_candidates(Party::Responder, &replace).relayed, ["10.1.1.104:13540".parse().unwrap()]);
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
    assert_eq!(session.take_candidates(Party::Initiator, &relay(1, 0)).relayed.len(), 1);
    assert_eq!(session.take_candidates(Party::Initiator, &relay(1, 0)).relayed.len(), 0);
    // The same address from the other party is another claim.
    assert_eq!(session.take_candidates(Party::Responder, &relay(1, 0)).relayed.len(), 1);
    assert_eq!(session.take_candidates(Party::Initiator, &relay(2, 1)).relayed.len(), 1);
    assert_eq!((session.offer(Party::Initiator).ice_restarts, session.offer(Party::Initiator).candidates.relay), (1, 3));
    for port in 10..10 + 2 * ADDRESSES_MAX as u16 {
        assert_eq!(session.take_candidates(Party::Initiator, &relay(port, 1)).relayed.len(), 1);
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
    terminate.reason = Some(Reason { condition: Some(Condition::ConnectivityError), ..Reason::default() });
    assert_eq!(active().handle_action(Party::Initiator, &terminate), Step::Ended(Outcome::Failed));
}
