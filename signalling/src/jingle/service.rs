//! The shell around the table of calls: a lock, the relay, the metrics, the clock.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;

use super::calls::{Call, CallId, Calls, Effect, Effects, Limits};
use super::metrics::CallMetrics;
use crate::jid::{BareJid, Jid};
use crate::stanza::Stanza;

/// How often [`CallsService::run`] looks for calls that have waited too long; all limits are far longer.
const TICK: Duration = Duration::from_secs(1);

/// What calls ask of the relay. Both are called with the table locked, so that they come in the order of the calls, and must return at once and
/// not call back.
pub trait Allocations: Send + Sync {
    /// Links an allocation to a call, if this relayed address is one of the account's. Says whether it is.
    fn link(&self, account: &BareJid, relayed: SocketAddr, call: CallId) -> bool;
    /// The call is over: what served it alone may be freed.
    fn end_call(&self, call: CallId);
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

    /// [`Calls::observe`]: each routed stanza once, and errors that the server sends in the place of an address.
    pub fn observe(&self, stanza: &Stanza, sender: Option<&BareJid>, now: Instant) {
        if Calls::concerns(stanza) {
            self.with(now, |calls| calls.observe(stanza, sender, now));
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

    /// How many calls have a session now: what a drain waits for.
    #[must_use]
    pub fn in_session(&self) -> usize {
        self.lock().in_session()
    }

    /// Copies of the live calls, the oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<Call> {
        let mut live: Vec<Call> = self.lock().live().cloned().collect();
        live.sort_unstable_by_key(|call| call.id);
        live
    }

    /// Copies of the past calls, the last to end first, `max` of them.
    #[must_use]
    pub fn past(&self, max: usize) -> Vec<Call> {
        self.lock().past().take(max).cloned().collect()
    }

    /// A call by its number, live or past.
    #[must_use]
    pub fn get(&self, id: CallId) -> Option<Call> {
        let calls = self.lock();
        calls.get(id).or_else(|| calls.past().find(|call| call.id == id)).cloned()
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
                    if own {
                        calls.handle_linked(call, now);
                    }
                }
                Effect::Ended { call, .. } => {
                    self.allocations.end_call(call);
                    if let Some(call) = calls.past().find(|past| past.id == call) {
                        log_end(call);
                    }
                }
                Effect::Started { .. } | Effect::ProposalDone { .. } | Effect::Accepted { .. } | Effect::Ignored(_) => {}
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

/// One line for each call.
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
}
