//! The shell around the table of calls: a lock, the relay, the metrics, the clock.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use campanile_relay::{RelaySession, SessionTag};
use prometheus::Registry;

use super::calls::{Call, CallId, Calls, Effect, Effects, Ignored, Limits, Offering, Signal};
use super::metrics::CallMetrics;
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::Stanza;

/// How often [`CallsService::run`] looks for calls that have waited too long; all limits are far longer.
const TICK: Duration = Duration::from_secs(1);

/// What calls and sessions ask of the relay. All must return at once and not call back; those about calls come with the table locked, in the
/// order of the calls.
pub trait Allocations: Send + Sync {
    /// Links an allocation to a call, if this relayed address is one of the account's. Says whether it is.
    fn link(&self, account: &BareJid, relayed: SocketAddr, call: CallId) -> bool;
    /// A party of a call has told the other where it may be reached, before the other is told.
    fn offer(&self, offering: &Offering);
    /// The call is accepted: what is linked to it may carry media. Told again when more is linked.
    fn accept_call(&self, call: CallId);
    /// The call is over: what served it alone may be freed.
    fn end_call(&self, call: CallId);
    /// A session of this address lives, which was given credentials before a restart.
    fn begin_session(&self, address: &FullJid, tag: SessionTag);
    /// A session is over: its credentials are void, its allocations are freed.
    fn end_session(&self, tag: SessionTag);
}

impl Allocations for campanile_relay::Relay {
    fn link(&self, account: &BareJid, relayed: SocketAddr, call: CallId) -> bool {
        Self::link(self, account.as_str(), relayed, call)
    }

    fn end_call(&self, call: CallId) {
        Self::end_call(self, call);
    }

    fn offer(&self, Offering { call, from, to, offer }: &Offering) {
        Self::offer(self, *call, from.as_str(), to.as_str(), offer);
    }

    fn accept_call(&self, call: CallId) {
        Self::accept_call(self, call);
    }

    fn begin_session(&self, address: &FullJid, tag: SessionTag) {
        Self::begin_session(self, &RelaySession { tag, party: address.as_str().into() });
    }

    fn end_session(&self, tag: SessionTag) {
        Self::end_session(self, tag);
    }
}

/// No relay: no address is anybody's allocation.
impl Allocations for () {
    fn link(&self, _: &BareJid, _: SocketAddr, _: CallId) -> bool {
        false
    }

    fn offer(&self, _: &Offering) {}

    fn accept_call(&self, _: CallId) {}

    fn end_call(&self, _: CallId) {}

    fn begin_session(&self, _: &FullJid, _: SessionTag) {}

    fn end_session(&self, _: SessionTag) {}
}

/// The calls of this server. Shared by the stages of the pipeline, the sessions' end and the operator's commands.
pub struct CallsService {
    calls: Mutex<Calls>,
    metrics: CallMetrics,
    allocations: Box<dyn Allocations>,
}

impl CallsService {
    /// An empty table that tells `allocations` what its calls need.
    ///
    /// # Errors
    /// The metrics are registered already.
    pub fn new(limits: Limits, registry: &Registry, allocations: Box<dyn Allocations>) -> prometheus::Result<Self> {
        Ok(Self { calls: Mutex::new(Calls::new(limits)), metrics: CallMetrics::register(registry)?, allocations })
    }

    /// [`Calls::observe`]: each routed stanza once, and errors that the server sends in the place of an address. `sender` as for
    /// [`Signal::read`].
    pub fn observe(&self, stanza: &Stanza, sender: Option<&BareJid>, now: Instant) {
        // Read first: the lock is everyone's.
        if let Some(signal) = Signal::read(stanza, sender) {
            self.with(now, |calls| calls.observe(&signal, now));
        }
    }

    /// [`Calls::handle_gone`]: the stream of this address ended and will not be resumed.
    pub fn handle_gone(&self, address: &Jid, now: Instant) {
        self.with(now, |calls| calls.handle_gone(address, now));
    }

    /// Ends what has waited too long, every second, as long as the future is polled.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await.into_std();
            self.handle_timeout(now);
        }
    }

    /// [`Calls::handle_timeout`], if there is anything to do.
    pub fn handle_timeout(&self, now: Instant) {
        let due = self.lock().poll_timeout().is_some_and(|at| at <= now);
        if due {
            self.with(now, |calls| calls.handle_timeout(now));
        }
    }

    /// A session that the last stop has left has been put back; `tag` is what its TURN credentials are known by.
    pub fn begin_session(&self, address: &FullJid, tag: SessionTag) {
        self.allocations.begin_session(address, tag);
    }

    /// A session that was given TURN credentials is over, and will not be resumed.
    pub fn end_session(&self, tag: SessionTag) {
        self.allocations.end_session(tag);
    }

    /// How many calls have a session now.
    #[must_use]
    pub fn in_session(&self) -> usize {
        self.lock().in_session()
    }

    /// What a drain waits for: calls that have a session, and those that ring by XEP-0353 and will have one, or end within their time.
    #[must_use]
    pub fn awaited(&self) -> usize {
        let calls = self.lock();
        calls.in_session() + calls.proposed()
    }

    /// One input to the table; its effects are carried out before the lock is given back, so that no link overtakes the end of its call.
    fn with(&self, now: Instant, input: impl FnOnce(&mut Calls) -> Effects) {
        let mut calls = self.lock();
        for effect in input(&mut calls) {
            self.metrics.count(&effect);
            match effect {
                Effect::Link { account, relayed, call } => {
                    let own = self.allocations.link(&account, relayed, call);
                    self.metrics.count_link(own);
                    if own && calls.handle_linked(call, now) {
                        self.allocations.accept_call(call);
                    }
                }
                Effect::Ended { call, .. } => {
                    self.allocations.end_call(call);
                    if let Some(call) = calls.past().find(|past| past.id == call) {
                        log_end(call);
                    }
                }
                Effect::Offered(offering) => self.allocations.offer(&offering),
                Effect::Accepted { call, .. } => self.allocations.accept_call(call),
                Effect::Ignored(Ignored::Full) => {
                    tracing::debug!("a call is not followed: too many are active")
                }
                Effect::Started { .. } | Effect::ProposalDone { .. } | Effect::Ignored(_) => {}
            }
        }
        self.metrics.show(&calls);
    }

    /// The table is consistent after each call, or the call has panicked, which no input may bring about: going on beats losing every call.
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsService").field("in_session", &self.in_session()).finish_non_exhaustive()
    }
}

/// One line for each call; at `debug`, one more for each stanza of it that is kept.
fn log_end(call: &Call) {
    let Some(end) = &call.end else { return };
    let seconds = |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?).as_secs_f64());
    let reason = end.reason.as_ref().and_then(|reason| reason.condition).map(|condition| condition.as_str());
    tracing::info!(
        call = call.id.0,
        sid = &*call.sid,
        initiator = call.initiator.as_str(),
        responder = call.responder.as_str(),
        outcome = end.outcome.as_str(),
        reason,
        error = end.error,
        relayed = call.times.linked.is_some(),
        setup_s = seconds(call.times.initiated, call.times.accepted),
        active_s = seconds(call.times.accepted, Some(end.at)),
        "call ended"
    );
    for rung in call.ladder.rungs() {
        tracing::debug!(
            call = call.id.0,
            number = rung.number,
            after_s = seconds(Some(call.times.started), Some(rung.at)),
            from = rung.from.as_str(),
            what = rung.what,
            detail = &*rung.detail,
            out_of_order = rung.out_of_order,
            answered_s = seconds(Some(rung.at), rung.reply.as_ref().map(|reply| reply.at)),
            error = rung.reply.as_ref().and_then(|reply| reply.error),
            "said in the call"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use prometheus::TextEncoder;

    use super::*;
    use crate::jingle::testing::stanza;

    /// A relay with one allocation, 203.0.113.7:50000 of romeo@montague.lit.
    #[derive(Default)]
    struct Relay {
        linked: Mutex<HashSet<CallId>>,
        offered: Mutex<Vec<Offering>>,
        accepted: Mutex<Vec<CallId>>,
        ended: Mutex<Vec<CallId>>,
    }

    impl Allocations for Arc<Relay> {
        fn link(&self, account: &BareJid, relayed: SocketAddr, call: CallId) -> bool {
            let own = account.as_str() == "romeo@montague.lit" && relayed == "203.0.113.7:50000".parse().unwrap();
            if own {
                self.linked.lock().unwrap().insert(call);
            }
            own
        }

        fn end_call(&self, call: CallId) {
            self.ended.lock().unwrap().push(call);
        }

        fn offer(&self, offering: &Offering) {
            self.offered.lock().unwrap().push(offering.clone());
        }

        fn accept_call(&self, call: CallId) {
            self.accepted.lock().unwrap().push(call);
        }

        fn begin_session(&self, _: &FullJid, _: SessionTag) {}

        fn end_session(&self, _: SessionTag) {}
    }

    fn service() -> (CallsService, Arc<Relay>, Registry) {
        let (relay, registry) = (Arc::new(Relay::default()), Registry::new());
        let service = CallsService::new(Limits::default(), &registry, Box::new(relay.clone())).unwrap();
        (service, relay, registry)
    }

    fn jingle(from: &str, to: &str, sid: &str, action: &str, port: u16) -> Stanza {
        stanza(&format!(
            "<iq from='{from}' to='{to}' id='{action}' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>
             <content creator='initiator' name='v'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>
             <candidate ip='203.0.113.7' port='{port}' type='relay'/></transport></content></jingle></iq>"
        ))
    }

    fn say(service: &CallsService, stanza: &Stanza, now: Instant) {
        service.observe(stanza, stanza.from().map(Jid::to_bare).as_ref(), now);
    }

    /// The value of a metric as Prometheus would read it.
    fn value(registry: &Registry, name: &str) -> f64 {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.parse().unwrap()
    }

    const ROMEO: &str = "romeo@montague.lit/orchard";
    const JULIET: &str = "juliet@capulet.lit/balcony";

    #[test]
    fn the_metrics_of_a_call_are_true_while_it_lives_and_after() {
        let (service, relay, registry) = service();
        let now = Instant::now();
        for name in [
            "campanile_calls_active",
            "campanile_calls_proposed",
            "campanile_calls_total{outcome=\"missed\"}",
            "campanile_calls_proposals_total{outcome=\"busy\"}",
            "campanile_calls_setup_seconds_count",
            "campanile_calls_duration_seconds_count",
            "campanile_calls_relayed_candidates_total{relay=\"own\"}",
            "campanile_calls_stanzas_ignored_total{cause=\"out-of-order\"}",
        ] {
            assert_eq!(value(&registry, name), 0.0, "{name} is there before anything happens");
        }
        say(&service, &jingle(ROMEO, JULIET, "s", "session-initiate", 50000), now);
        assert_eq!((value(&registry, "campanile_calls_active"), service.in_session()), (1.0, 1));
        say(&service, &jingle(JULIET, ROMEO, "s", "session-accept", 50000), now + Duration::from_millis(300));
        assert_eq!(value(&registry, "campanile_calls_setup_seconds_bucket{le=\"0.5\"}"), 1.0);
        assert_eq!(value(&registry, "campanile_calls_relayed_candidates_total{relay=\"own\"}"), 1.0);
        assert_eq!(
            value(&registry, "campanile_calls_relayed_candidates_total{relay=\"other\"}"),
            1.0,
            "Juliet names an address that is not hers"
        );
        let call = service.lock().live().next().unwrap().clone();
        assert_eq!(*relay.accepted.lock().unwrap(), [call.id]);
        {
            let offered = relay.offered.lock().unwrap();
            let said: Vec<_> =
                offered.iter().map(|offering| (offering.from.as_str(), offering.to.as_str(), &*offering.offer.addresses)).collect();
            let addresses: &[std::net::IpAddr] = &["203.0.113.7".parse().unwrap()];
            assert_eq!(said, [(ROMEO, JULIET, addresses), (JULIET, ROMEO, addresses)]);
        }
        say(&service, &jingle(ROMEO, JULIET, "s", "transport-info", 50000), now + Duration::from_secs(1));
        assert_eq!(relay.accepted.lock().unwrap().len(), 1, "nothing was linked");
        assert!(call.times.linked.is_some() && relay.linked.lock().unwrap().contains(&call.id));
        say(&service, &jingle(JULIET, ROMEO, "unknown", "session-terminate", 50000), now);
        say(&service, &jingle(JULIET, ROMEO, "s", "session-terminate", 50000), now + Duration::from_secs(3));
        assert_eq!((value(&registry, "campanile_calls_active"), service.lock().live().count()), (0.0, 0));
        assert_eq!(value(&registry, "campanile_calls_total{outcome=\"answered\"}"), 1.0);
        assert_eq!(value(&registry, "campanile_calls_duration_seconds_sum"), 2.7);
        assert_eq!(value(&registry, "campanile_calls_stanzas_ignored_total{cause=\"unknown-session\"}"), 1.0);
        assert_eq!(*relay.ended.lock().unwrap(), [call.id]);
        assert!(service.lock().past().next().is_some_and(|past| past.id == call.id && past.end.is_some()));
        assert!(CallsService::new(Limits::default(), &registry, Box::new(relay)).is_err(), "metrics are registered once");
    }

    #[test]
    fn a_drain_waits_for_what_rings_as_for_what_is_in_session() {
        let (service, ..) = service();
        let now = Instant::now();
        let message = |from: &str, to: &str, verb: &str| {
            stanza(&format!("<message from='{from}' to='{to}'><{verb} xmlns='urn:xmpp:jingle-message:0' id='s'/></message>"))
        };
        say(&service, &message(ROMEO, "juliet@capulet.lit", "propose"), now);
        assert_eq!((service.awaited(), service.in_session()), (1, 0));
        say(&service, &message(JULIET, "romeo@montague.lit", "proceed"), now);
        assert_eq!(service.awaited(), 1);
        say(&service, &jingle(ROMEO, JULIET, "s", "session-initiate", 50000), now);
        assert_eq!((service.awaited(), service.in_session()), (1, 1));
        say(&service, &jingle(JULIET, ROMEO, "s", "session-terminate", 50000), now);
        say(&service, &message(ROMEO, "juliet@capulet.lit", "propose"), now);
        assert_eq!(service.awaited(), 1);
        service.handle_timeout(now + Duration::from_secs(180));
        assert_eq!(service.awaited(), 0);
    }

    #[test]
    fn time_and_departures_reach_the_relay() {
        let (service, relay, registry) = service();
        let now = Instant::now();
        say(&service, &jingle(ROMEO, JULIET, "1", "session-initiate", 50000), now);
        say(&service, &jingle(ROMEO, JULIET, "2", "session-initiate", 50000), now);
        service.handle_timeout(now + Duration::from_secs(179));
        assert_eq!(service.in_session(), 2);
        service.handle_timeout(now + Duration::from_secs(180));
        assert_eq!((value(&registry, "campanile_calls_total{outcome=\"missed\"}"), relay.ended.lock().unwrap().len()), (2.0, 2));
        say(&service, &jingle(ROMEO, JULIET, "3", "session-initiate", 50000), now);
        service.handle_gone(&Jid::parse(JULIET).unwrap(), now);
        assert_eq!(value(&registry, "campanile_calls_total{outcome=\"gone\"}"), 1.0);
        assert_eq!(relay.ended.lock().unwrap().len(), 3);
    }

    #[test]
    fn no_link_outlives_its_call_however_threads_interleave() {
        let (service, relay, registry) = service();
        let service = Arc::new(service);
        let now = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let service = service.clone();
                scope.spawn(move || {
                    let (from, to) = if thread % 2 == 0 { (ROMEO, JULIET) } else { (JULIET, ROMEO) };
                    for sid in 0..200 {
                        let sid = (sid / 4).to_string();
                        for action in ["session-initiate", "transport-info", "session-accept", "session-terminate"] {
                            say(&service, &jingle(from, to, &sid, action, 50000), now);
                        }
                    }
                });
            }
        });
        service.handle_gone(&Jid::parse(ROMEO).unwrap(), now);
        assert_eq!((value(&registry, "campanile_calls_active"), service.lock().live().count()), (0.0, 0));
        let ended = relay.ended.lock().unwrap();
        assert_eq!(ended.iter().collect::<HashSet<_>>().len(), ended.len(), "each call ends once");
        assert!(relay.linked.lock().unwrap().iter().all(|call| ended.contains(call)));
        let total: f64 = super::super::Outcome::ALL
            .iter()
            .map(|outcome| value(&registry, &format!("campanile_calls_total{{outcome=\"{}\"}}", outcome.as_str())))
            .sum();
        assert_eq!(total, ended.len() as f64);
    }
}
