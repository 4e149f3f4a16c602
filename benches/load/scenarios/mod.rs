//! What is measured: each scenario in a file, whose head says what it sends and how that is counted.

pub mod archive;
pub mod audience;
pub mod call;
pub mod crowd;
pub mod idle;
pub mod login;
pub mod message;
pub mod pubsub;
pub mod rooms;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;

use super::servers::Server;
use super::servers::floor::Floor;

/// Work that a server can be made to do again and again.
pub trait Load {
    /// Works until `end` or a little longer; returns how many units were done, all of them checked on arrival.
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64>;
}

/// Loads side by side.
impl<L: Load> Load for Vec<L> {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        Ok(try_join_all(self.iter_mut().map(|load| load.round(end))).await?.into_iter().sum())
    }
}

/// Whose CPU time is measured.
pub enum Subject<'a> {
    /// A server.
    Server(&'a Server),
    /// The floor.
    Floor(&'a Floor),
}

impl Subject<'_> {
    /// Its name in the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Server(server) => server.which.name(),
            Self::Floor(_) => FLOOR,
        }
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        match self {
            Self::Server(server) => server.cpu(),
            Self::Floor(floor) => floor.cpu(),
        }
    }
}

/// What the floor is called in the table.
pub const FLOOR: &str = "floor";

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One round on one server.
    pub round: Duration,
    /// Rounds on each; the figure is their median.
    pub rounds: usize,
}

/// What a round should use.
const CPU_LEAST: Duration = Duration::from_millis(200);
/// How many times as long as asked for it may take.
const LONGEST: u32 = 8;

/// CPU time per unit, in microseconds, by subject: the servers take turns, so that what else the machine does meets them alike. The first
/// turn, shorter, is not counted.
pub async fn alternate<L: Load>(pace: Pace, loads: &mut [(Subject<'_>, L)]) -> anyhow::Result<Vec<(String, f64)>> {
    for (subject, load) in loads.iter_mut() {
        load.round(Instant::now() + pace.round / 4).await.with_context(|| subject.name().to_owned())?;
    }
    let mut costs = vec![Vec::new(); loads.len()];
    for _ in 0..pace.rounds {
        for ((subject, load), costs) in loads.iter_mut().zip(&mut costs) {
            let (before, start, mut units) = (subject.cpu()?, Instant::now(), 0);
            let used = loop {
                units += load.round(Instant::now() + pace.round).await.with_context(|| subject.name().to_owned())?;
                let used = subject.cpu()? - before;
                // CPU time is told in hundredths of a second; a server that mostly waits takes longer to use enough of them.
                if used >= CPU_LEAST || start.elapsed() >= pace.round * LONGEST {
                    break used;
                }
            };
            ensure!(units > 0, "{} did nothing", subject.name());
            costs.push(used.as_secs_f64() * 1e6 / units as f64);
        }
    }
    Ok(loads.iter().zip(&mut costs).map(|((subject, _), costs)| (subject.name().to_owned(), median(costs))).collect())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
