//! The shell of `campanile drain`: tells each part to take nobody new, looks once a second at what is left, and says when the server may end.
//! What decides is in `drain.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use campanile_relay::Relay;
use campanile_signalling::jingle::CallsService;
use campanile_signalling::net::connection::Context;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tracing::info;

use crate::admin::health::Readiness;
use crate::control::Answer;
use crate::drain::{Drain, End, Left};
use crate::systemd;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// All that has to know of it.
pub struct Draining {
    context: Arc<Context>,
    relay: Relay,
    calls: Arc<CallsService>,
    readiness: Arc<Readiness>,
    within_s: AtomicU64,
    drain: Mutex<Option<Drain>>,
    /// How often each thread of the relay had told its numbers when it began.
    told_before: OnceLock<Vec<u64>>,
    begun: Notify,
}

impl Draining {
    /// A server that takes everybody; once it does not, it waits for its calls for `within_s` seconds.
    pub fn new(context: Arc<Context>, relay: Relay, calls: Arc<CallsService>, readiness: Arc<Readiness>, within_s: u64) -> Self {
        let within_s = AtomicU64::new(within_s);
        Self { context, relay, calls, readiness, within_s, drain: Mutex::new(None), told_before: OnceLock::new(), begun: Notify::new() }
    }

    /// The new `server.drain_s`; one that has begun keeps its time.
    pub fn reload(&self, within_s: u64) {
        self.within_s.store(within_s, Ordering::Relaxed);
    }

    /// Takes nobody new from now on.
    pub fn begin(&self) -> Answer {
        let mut drain = self.lock();
        if let Some(drain) = &*drain {
            return Answer::Error { message: format!("it drains already: {}", told(drain.left(), drain.time_left(Instant::now()))) };
        }
        self.readiness.draining();
        self.context.drain();
        self.relay.drain();
        self.told_before.get_or_init(|| self.relay.stats().publications);
        let (left, within_s) = (self.left(), self.within_s.load(Ordering::Relaxed));
        info!(calls = left.calls, allocations = left.allocations, within_s, "draining: no new sessions and allocations");
        let new = drain.insert(Drain::new(left, Duration::from_secs(within_s), Instant::now()));
        self.begun.notify_one();
        answer(new)
    }

    /// How far it is.
    pub fn progress(&self) -> Answer {
        match &*self.lock() {
            Some(drain) => answer(drain),
            None => Answer::Error { message: "it does not drain".to_owned() },
        }
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.lock().is_some()
    }

    /// Ends when the server may end; never, unless it drains.
    pub async fn ended(&self) {
        // Whoever asks again, after a reload, must not wait for the notice that has come.
        if !self.has_begun() {
            self.begun.notified().await;
        }
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let left = self.left();
            let (before, end, time_left) = {
                let mut drain = self.lock();
                let Some(drain) = &mut *drain else { continue };
                let now = Instant::now();
                (drain.left(), drain.handle_left(left, now), drain.time_left(now))
            };
            if before.calls != left.calls {
                info!(calls = left.calls, allocations = left.allocations, seconds_left = time_left.as_secs(), "draining");
            }
            systemd::status(&format!("draining: {}", told(left, time_left)));
            match end {
                None => {}
                Some(End::NothingLeft) => return info!("drained: no calls are left"),
                Some(End::TimeIsUp) => {
                    return info!(
                        calls = left.calls,
                        allocations = left.allocations,
                        "drained: server.drain_s are over, calls end with the server"
                    );
                }
            }
        }
    }

    fn left(&self) -> Left {
        let stats = self.relay.stats();
        let allocations = stats.allocations;
        Left {
            calls: self.calls.awaited(),
            allocations: allocations.udp + allocations.tcp + allocations.tls,
            packets: stats.to_peer.packets + stats.to_client.packets,
            told: told_since(self.told_before.get().map_or(&[], Vec::as_slice), &stats.publications),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Drain>> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often the slowest thread has told its numbers since then.
fn told_since(before: &[u64], now: &[u64]) -> u64 {
    before.iter().zip(now).map(|(before, now)| now.saturating_sub(*before)).min().unwrap_or(0)
}

fn answer(drain: &Drain) -> Answer {
    let Left { calls, allocations, .. } = drain.left();
    Answer::Draining { calls, allocations, seconds_left: drain.time_left(Instant::now()).as_secs(), pid: std::process::id() }
}

/// What is left, for people.
pub fn told(left: Left, time_left: Duration) -> String {
    let count = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    format!("{} and {} left, at most {} s", count(left.calls as u64, "call"), count(left.allocations, "allocation"), time_left.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_thread_says_since_when_the_numbers_are() {
        assert_eq!(told_since(&[7, 9], &[9, 9]), 0, "the second one is behind, though it has told as much as the first");
        assert_eq!(told_since(&[7, 9], &[9, 12]), 2);
        assert_eq!(told_since(&[], &[5]), 0, "it does not drain");
    }
}
