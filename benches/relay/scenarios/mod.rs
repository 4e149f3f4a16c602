//! What is measured: each scenario in a file, whose head says what it sends and how that is counted.

pub mod binding;
pub mod cycle;
pub mod flood;
pub mod idle;
pub mod stream;
pub mod voice;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::servers::Server;
use super::servers::forwarder::Forwarder;

/// Work that a server can be made to do again and again.
pub trait Load {
    /// Works until `end` or a little longer.
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally>;
}

/// What came of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Units done, all of them checked on arrival.
    pub done: u64,
    /// Packets that did not come.
    pub lost: u64,
}

/// Whose CPU time is measured.
pub enum Subject<'a> {
    /// A server.
    Server(&'a Server),
    /// The forwarder.
    Forwarder(Forwarder),
}

/// What the forwarder is called in the table.
pub const FORWARDER: &str = "forwarder";

impl Subject<'_> {
    /// Its name in the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Server(server) => server.which.name(),
            Self::Forwarder(_) => FORWARDER,
        }
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        match self {
            Self::Server(server) => server.cpu(),
            Self::Forwarder(forwarder) => forwarder.cpu(),
        }
    }
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One round on one server.
    pub round: Duration,
    /// Rounds on each; the figure is their median.
    pub rounds: usize,
}

/// What was found of one subject.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its name.
    pub name: String,
    /// CPU time per unit, µs, the median of all rounds.
    pub cost_us: f64,
    /// The least and the most of the rounds.
    pub spread: [f64; 2],
    /// How many cores it used.
    pub cores: f64,
    /// Units done in a second.
    pub rate: f64,
    /// Share of the packets that did not come.
    pub loss: f64,
}

/// CPU time per unit by subject: they take turns, so that what else the machine does meets them alike. The first turn, shorter, is not
/// counted.
pub fn alternate<L: Load>(pace: Pace, loads: &mut [(Subject<'_>, L)]) -> anyhow::Result<Vec<Finding>> {
    struct Sum {
        costs: Vec<f64>,
        cpu: Duration,
        time: Duration,
        tally: Tally,
    }
    let mut sums: Vec<Sum> = Vec::new();
    for (subject, load) in &mut *loads {
        load.round(Instant::now() + pace.round / 4).with_context(|| subject.name().to_owned())?;
        sums.push(Sum { costs: Vec::new(), cpu: Duration::ZERO, time: Duration::ZERO, tally: Tally::default() });
    }
    for _ in 0..pace.rounds {
        for ((subject, load), sum) in loads.iter_mut().zip(&mut sums) {
            let (before, start) = (subject.cpu()?, Instant::now());
            let tally = load.round(Instant::now() + pace.round).with_context(|| subject.name().to_owned())?;
            let (cpu, time) = (subject.cpu()? - before, start.elapsed());
            ensure!(tally.done > 0, "{} did nothing", subject.name());
            sum.costs.push(cpu.as_secs_f64() * 1e6 / tally.done as f64);
            sum.cpu += cpu;
            sum.time += time;
            sum.tally = Tally { done: sum.tally.done + tally.done, lost: sum.tally.lost + tally.lost };
        }
    }
    let findings = loads.iter().zip(&mut sums).map(|((subject, _), sum)| {
        sum.costs.sort_by(f64::total_cmp);
        let seconds = sum.time.as_secs_f64();
        Finding {
            name: subject.name().to_owned(),
            cost_us: sum.costs[sum.costs.len() / 2],
            spread: [sum.costs[0], sum.costs[sum.costs.len() - 1]],
            cores: sum.cpu.as_secs_f64() / seconds,
            rate: sum.tally.done as f64 / seconds,
            loss: sum.tally.lost as f64 / (sum.tally.done + sum.tally.lost) as f64,
        }
    });
    Ok(findings.collect())
}
