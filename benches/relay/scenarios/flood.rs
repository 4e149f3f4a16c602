//! As much as goes through: packets are sent as long as fewer than a window are on their way, so that the server always finds a full queue
//! and nothing overflows. The streams take turns packet by packet; where there are one or two, run by run, as a sender's bursts come. The
//! unit is a packet that has arrived. The sender looks for arrivals without sleeping on the socket, so that no server pays for waking it.

use std::thread;
use std::time::{Duration, Instant};

use super::{Load, Tally};
use crate::flow::Flows;

/// With nothing to send or receive.
const NAP: Duration = Duration::from_micros(20);
/// With nothing arriving, when what is on its way is taken for lost.
const GONE: Duration = Duration::from_millis(100);

/// Streams and how many of their packets may be on their way.
pub struct Flood {
    flows: Flows,
    window: u64,
    /// Packets of a stream that are sent together.
    run: usize,
    next: usize,
    on_their_way: u64,
}

impl Flood {
    /// `run` packets of one stream after each other.
    pub fn new(flows: Flows, window: u64, run: usize) -> Self {
        Self { flows, window, run, next: 0, on_their_way: 0 }
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let run = self.run as u64;
        while self.on_their_way + run <= self.window && !self.flows.hosts.outbox.is_full() {
            self.flows.push(self.next, self.run, 0);
            self.next = (self.next + 1) % self.flows.all.len();
            self.on_their_way += run;
        }
        // What the kernel does not take shows as lost.
        self.flows.hosts.flush()?;
        Ok(())
    }

    fn receive(&mut self, tally: &mut Tally) -> anyhow::Result<usize> {
        let count = self.flows.hosts.receive()?;
        for index in 0..count {
            let (arrival, _) = self.flows.check(index)?;
            tally.done += 1;
            tally.lost += arrival.skipped;
            if arrival.is_late {
                tally.lost = tally.lost.saturating_sub(1);
            } else {
                self.on_their_way -= arrival.skipped + 1;
            }
        }
        Ok(count)
    }
}

impl Load for Flood {
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            if now < end {
                self.send()?;
            } else if self.on_their_way == 0 {
                return Ok(tally);
            }
            if self.receive(&mut tally)? > 0 {
                last = now;
            } else if now - last > GONE {
                tally.lost += self.flows.give_up();
                (self.on_their_way, last) = (0, now);
            } else {
                thread::sleep(NAP);
            }
        }
    }
}
