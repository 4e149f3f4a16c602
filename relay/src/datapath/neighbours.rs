//! The other workers, as one worker sees them: a ring to each and a ring from each.

use std::sync::Arc;

use super::ring::{Consumer, Producer, ring};
use super::system::Waker;
use crate::endpoint::Endpoint;

/// What all rings that lead to one worker hold together, as the socket buffer of a relayed address would.
const BYTES_PER_WORKER: usize = 4 << 20;
/// One ring holds no more and no less: the longest datagram has to fit, wherever the ring begins again.
const BYTES_MAX: usize = 1 << 20;
const BYTES_MIN: usize = 128 << 10;

/// See the module; empty where there is one worker.
#[derive(Default)]
pub struct Neighbours {
    /// By the number of the worker; none to itself.
    to: Vec<Option<Way>>,
    from: Vec<Consumer>,
}

struct Way {
    ring: Producer,
    waker: Arc<Waker>,
}

/// Joins workers by their wakers: one ring for each ordered pair.
pub fn neighbours(wakers: &[Arc<Waker>]) -> Vec<Neighbours> {
    let count = wakers.len();
    let bytes = (BYTES_PER_WORKER / count.max(1)).next_power_of_two().clamp(BYTES_MIN, BYTES_MAX);
    let mut all: Vec<Neighbours> = (0..count).map(|_| Neighbours::default()).collect();
    for from in 0..count {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                all[from].to.push(None);
                continue;
            }
            let (producer, consumer) = ring(bytes);
            all[from].to.push(Some(Way { ring: producer, waker: waker.clone() }));
            all[to].from.push(consumer);
        }
    }
    all
}

impl Neighbours {
    /// Writes a packet for a relayed address of another worker; false when its ring is full.
    pub fn push(&mut self, worker: u16, to: Endpoint, source: Endpoint, payload: &[u8]) -> bool {
        self.to.get_mut(usize::from(worker)).and_then(Option::as_mut).is_some_and(|way| way.ring.push(to, source, payload))
    }

    /// Shows the others what was written, and wakes those that sleep.
    pub fn publish(&mut self) {
        for way in self.to.iter_mut().flatten() {
            if way.ring.publish() {
                way.waker.wake_if_asleep();
            }
        }
    }

    /// Whether others have written anything.
    pub fn has_news(&self) -> bool {
        self.from.iter().any(Consumer::has_news)
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// Lends the rings that lead here; they are to be put back.
    pub fn take_incoming(&mut self) -> Vec<Consumer> {
        std::mem::take(&mut self.from)
    }

    /// Takes the rings back.
    pub fn put_incoming(&mut self, rings: Vec<Consumer>) {
        self.from = rings;
    }
}
