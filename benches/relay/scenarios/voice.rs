//! Voice calls between clients that both have allocations: in each direction 50 packets of 172 bytes a second, each sent when it is due, every
//! stream at a moment of its own. The unit is a packet that has arrived. Its latency is from just before it is sent to when the kernel puts
//! it into its receiver's queue (SO_TIMESTAMPNS), so that nothing of it is ours but one system call.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Load, Tally};
use crate::flow::Flows;

/// Between two packets of a stream.
const PERIOD: Duration = Duration::from_millis(20);
/// How long what was sent last may be on its way.
const DRAIN: Duration = Duration::from_millis(200);
/// A wait that is worth a sleep.
const NAP_LEAST: Duration = Duration::from_micros(15);
/// The longest sleep: what arrives is to be taken meanwhile.
const NAP_MOST: Duration = Duration::from_millis(1);

/// Streams, when they are due, and what was seen of them.
pub struct Voice {
    flows: Flows,
    /// Moments within a period, in order, each with its stream.
    moments: Vec<(Duration, usize)>,
    /// Nanoseconds that each packet took.
    pub latencies: Vec<u32>,
    /// The latest that any packet was sent.
    pub lateness: Duration,
}

impl Voice {
    /// Every stream begins at a moment that is drawn for it, the same in each run.
    pub fn new(flows: Flows) -> Self {
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let mut moments: Vec<(Duration, usize)> = (0..flows.all.len())
            .map(|flow| {
                // xorshift
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (Duration::from_nanos(random % PERIOD.as_nanos() as u64), flow)
            })
            .collect();
        moments.sort_unstable();
        Self { flows, moments, latencies: Vec::new(), lateness: Duration::ZERO }
    }

    /// The streams.
    pub fn into_flows(self) -> Flows {
        self.flows
    }

    fn receive(&mut self, tally: &mut Tally) -> anyhow::Result<usize> {
        let count = self.flows.hosts.receive()?;
        for index in 0..count {
            let (arrival, at) = self.flows.check(index)?;
            tally.done += 1;
            tally.lost = (tally.lost + arrival.skipped).saturating_sub(u64::from(arrival.is_late));
            if let Some(at) = at {
                self.latencies.push((at.as_nanos() as u64).saturating_sub(arrival.time_ns).min(u64::from(u32::MAX)) as u32);
            }
        }
        Ok(count)
    }
}

impl Load for Voice {
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let start = Instant::now();
        let mut next = 0;
        loop {
            let due = |next: usize| {
                let (moment, flow) = self.moments[next % self.moments.len()];
                (start + PERIOD * (next / self.moments.len()) as u32 + moment, flow)
            };
            let now = Instant::now();
            let (mut at, mut flow) = due(next);
            while at <= now && at < end && !self.flows.hosts.outbox.is_full() {
                self.lateness = self.lateness.max(now - at);
                let time = SystemTime::now().duration_since(UNIX_EPOCH)?;
                self.flows.push(flow, 1, time.as_nanos() as u64);
                next += 1;
                (at, flow) = due(next);
            }
            if !self.flows.hosts.outbox.is_empty() {
                self.flows.hosts.flush()?;
            }
            let came = self.receive(&mut tally)?;
            if now >= end + DRAIN {
                tally.lost += self.flows.give_up();
                return Ok(tally);
            }
            let wait = at.min(now + NAP_MOST).saturating_duration_since(Instant::now());
            if came == 0 && wait >= NAP_LEAST {
                thread::sleep(wait);
            }
        }
    }
}

/// The value that this share of a sorted list is not above, in milliseconds.
pub fn percentile_ms(sorted_ns: &[u32], share: f64) -> f64 {
    let at = ((sorted_ns.len() as f64 * share) as usize).min(sorted_ns.len().saturating_sub(1));
    sorted_ns.get(at).map_or(f64::NAN, |ns| f64::from(*ns) / 1e6)
}
