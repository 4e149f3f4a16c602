//! Random stanzas, departures and waits: whatever comes, the indexes agree, every call that starts ends exactly once, and the gauges are true.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::jingle::testing::stanza;

const ADDRESSES: [&str; 5] = ["a@here/1", "a@here/2", "b@here/1", "b@here", "c@there/1"];
const SIDS: [&str; 3] = ["s", "t", "u"];
const ACTIONS: [&str; 16] = [
    "session-initiate",
    "session-initiate",
    "session-accept",
    "session-accept",
    "session-terminate",
    "session-info",
    "transport-info",
    "transport-replace",
    "transport-accept",
    "transport-reject",
    "content-add",
    "content-accept",
    "content-modify",
    "content-remove",
    "content-reject",
    "description-info",
];
const VERBS: [&str; 7] = ["propose", "ringing", "retract", "proceed", "accept", "reject", "finish"];
const CONTENTS: [&str; 5] = [
    "",
    "<reason><busy/></reason>",
    "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>",
    "<content creator='initiator' name='v'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>
     <candidate ip='203.0.113.7' port='9' type='relay'/></transport></content>",
    "<content creator='responder' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></content>",
];
const ERRORS: [&str; 3] = [
    "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><unknown-session xmlns='urn:xmpp:jingle:errors:1'/>",
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>",
    "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>",
];

/// One input.
#[derive(Debug, Clone)]
enum Input {
    Stanza(String),
    Gone(&'static str),
    Linked(u64),
    Wait(u64),
}

fn addresses() -> impl Strategy<Value = (&'static str, &'static str)> {
    (prop::sample::select(&ADDRESSES[..]), prop::sample::select(&ADDRESSES[..]))
}

fn input() -> impl Strategy<Value = Input> {
    let ids = prop::sample::select(&SIDS[..]);
    let jingle = (addresses(), ids.clone(), ids.clone(), prop::sample::select(&ACTIONS[..]), prop::sample::select(&CONTENTS[..])).prop_map(
        |((from, to), id, sid, action, content)| {
            format!("<iq from='{from}' to='{to}' id='{id}' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{content}</jingle></iq>")
        },
    );
    let result = (addresses(), ids.clone()).prop_map(|((from, to), id)| format!("<iq from='{from}' to='{to}' id='{id}' type='result'/>"));
    let error = (addresses(), ids.clone(), prop::sample::select(&ERRORS[..])).prop_map(|((from, to), id, error)| {
        format!("<iq from='{from}' to='{to}' id='{id}' type='error'><error type='cancel'>{error}</error></iq>")
    });
    let message = (addresses(), ids, prop::sample::select(&VERBS[..]), prop::sample::select(vec!["chat", "normal", "error"])).prop_map(
        |((from, to), id, verb, kind)| {
            format!("<message from='{from}' to='{to}' type='{kind}'><{verb} xmlns='urn:xmpp:jingle-message:0' id='{id}'/></message>")
        },
    );
    let presence =
        prop::sample::select(&ADDRESSES[..]).prop_map(|from| format!("<presence from='{from}' to='a@here' type='unavailable'/>"));
    prop_oneof![
        12 => jingle.prop_map(Input::Stanza),
        3 => result.prop_map(Input::Stanza),
        2 => error.prop_map(Input::Stanza),
        8 => message.prop_map(Input::Stanza),
        1 => presence.prop_map(Input::Stanza),
        1 => prop::sample::select(&ADDRESSES[..]).prop_map(Input::Gone),
        1 => (1_u64..40).prop_map(Input::Linked),
        2 => (0_u64..120).prop_map(Input::Wait),
    ]
}

/// What the effects say, kept beside the table.
#[derive(Debug, Default)]
struct Account {
    live: BTreeSet<CallId>,
    ended: BTreeSet<CallId>,
    proposals: BTreeMap<CallId, Outcome>,
    accepted: BTreeSet<CallId>,
}

impl Account {
    fn take(&mut self, effects: Effects) {
        for effect in effects {
            match effect {
                Effect::Started { call } => assert!(!self.ended.contains(&call) && self.live.insert(call), "{call:?} started twice"),
                Effect::Ended { call, active, .. } => {
                    assert!(self.live.remove(&call) && self.ended.insert(call), "{call:?} ended and was not alive");
                    assert_eq!(active.is_some(), self.accepted.contains(&call));
                }
                Effect::ProposalDone { call, outcome } => {
                    assert_eq!(self.proposals.insert(call, outcome), None, "the proposal of {call:?} ended twice")
                }
                Effect::Accepted { call, .. } => {
                    assert!(self.live.contains(&call) && self.accepted.insert(call), "{call:?} accepted twice")
                }
                Effect::Link { call, account, .. } => {
                    assert!(self.live.contains(&call));
                    assert_eq!(account.domain(), "here");
                }
                Effect::Offered(offering) => assert!(self.live.contains(&offering.call) && offering.from != offering.to),
                Effect::Ignored(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn every_call_that_starts_ends_once(inputs in prop::collection::vec(input(), 1..150)) {
        let mut calls = Calls::new(Limits { calls_max: 6, calls_per_account_max: 3, past_max: 4, ..Limits::default() });
        let mut account = Account::default();
        let mut now = Instant::now();
        for input in inputs {
            now += Duration::from_millis(10);
            let effects = match input {
                Input::Stanza(xml) => {
                    let stanza = stanza(&xml);
                    let sender = stanza.from().map(Jid::to_bare).filter(|from| from.domain() == "here");
                    Signal::read(&stanza, sender.as_ref()).map(|signal| calls.observe(&signal, now)).unwrap_or_default()
                }
                Input::Gone(address) => calls.handle_gone(&Jid::parse(address).unwrap(), now),
                Input::Linked(call) => {
                    calls.handle_linked(CallId(call), now);
                    Effects::new()
                }
                Input::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    let effects = calls.handle_timeout(now);
                    prop_assert!(calls.poll_timeout().is_none_or(|at| at > now));
                    effects
                }
            };
            account.take(effects);
            calls.check();
            prop_assert_eq!(&account.live, &calls.live().map(|call| call.id).collect::<BTreeSet<_>>());
        }
        // The streams end, and time passes over what was elsewhere.
        for address in ADDRESSES {
            account.take(calls.handle_gone(&Jid::parse(address).unwrap(), now));
        }
        account.take(calls.handle_timeout(now + Duration::from_secs(48 * 3600)));
        calls.check();
        prop_assert!(account.live.is_empty() && calls.live.is_empty() && calls.deadlines.is_empty() && calls.by_account.is_empty());
        prop_assert_eq!((calls.in_session(), calls.proposed()), (0, 0));
        prop_assert!(account.proposals.keys().all(|call| account.ended.contains(call)));
    }
}
