//! Load: what a message, a call, a log-in, a page of the archive, a notification, a room and an idle session cost this server, beside Prosody and ejabberd in the same
//! run. Clients speak over real sockets of loopback and check what arrives; what is measured is the CPU time and the memory of the
//! server's processes, which Linux counts. The figures stand in docs/benchmarks.md.
//!
//! `cargo bench --bench load` runs everything; `cargo bench --bench load -- --help` says how to run less. Prosody and ejabberd are taken from
//! the system; one that is not installed is left out.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod awake;
mod client;
mod framer;
mod process;
mod report;
mod scenarios;
mod scram;
mod servers;
mod tls;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use awake::Awake;
use report::{Report, Row, Target};
use scenarios::archive::Pages;
use scenarios::audience::Audience;
use scenarios::call::Calls;
use scenarios::crowd::Crowd;
use scenarios::login::LogIns;
use scenarios::message::{Messages, Window};
use scenarios::pubsub::Feed;
use scenarios::rooms::Room;
use scenarios::{Pace, Subject, alternate, idle, pubsub, rooms};
use servers::floor::{self, Floor};
use servers::{Server, Setup, Which};
use tls::Certificate;

/// Server CPU and memory per message, call, log-in, archive page and idle session; beside Prosody and ejabberd
#[derive(Parser)]
struct Arguments {
    /// What to measure
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Scenario::ALL)]
    only: Vec<Scenario>,
    /// Which servers besides campanile
    #[arg(long, value_delimiter = ',', default_value = "prosody,ejabberd")]
    beside: Vec<String>,
    /// Another campanile to compare: NAME=PATH. Repeatable; given once or more, the one built here is left out
    #[arg(long, value_name = "NAME=PATH")]
    binary: Vec<String>,
    /// Seconds of one round on one server
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds on each server; the figure is their median
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Idle sessions
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// Sizes of the crowd among which messages go
    #[arg(long, value_delimiter = ',', default_values_t = [50, 500, 5_000])]
    crowd: Vec<usize>,
    /// Subscribers of one node; beside the other servers the first of these numbers only
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    subscribers: Vec<usize>,
    /// Occupants of one room; beside the other servers the first of these numbers only
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000])]
    occupants: Vec<usize>,
    /// Only in clear (false) or only with TLS (true)
    #[arg(long)]
    tls: Option<bool>,
    /// Let cores go to sleep between two messages: what waking them costs is then part of the figures
    #[arg(long)]
    asleep: bool,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    Message,
    Archived,
    Call,
    Login,
    Page,
    Idle,
    Crowd,
    Pubsub,
    Rooms,
}

/// Pairs of sessions side by side.
const PAIRS: usize = 16;

impl Scenario {
    const ALL: [Self; 9] =
        [Self::Message, Self::Call, Self::Login, Self::Archived, Self::Page, Self::Crowd, Self::Pubsub, Self::Rooms, Self::Idle];
}

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    match &words[1..] {
        [verb, port, count] if verb == "fan" => {
            floor::run_fan(port.parse()?, count.parse()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        [verb, port] if verb == "floor" => {
            floor::run(port.parse()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        [verb] if verb == "awake" => {
            awake::run();
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    let _awake = (!arguments.asleep).then(Awake::keep).transpose()?;
    ensure!(arguments.rounds > 0, "at least one round");
    let files = process::raise_limits()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(tokio::task::LocalSet::new().run_until(measure(&arguments, files)))?;
    report.print();
    Ok(ExitCode::SUCCESS)
}

/// A number that is used once.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Arguments {
    fn servers(&self) -> anyhow::Result<Vec<Which>> {
        let mut all = Vec::new();
        if self.binary.is_empty() {
            all.push(Which::Campanile("campanile".to_owned(), PathBuf::from(env!("CARGO_BIN_EXE_campanile"))));
        }
        for binary in &self.binary {
            let (name, path) = binary.split_once('=').context("--binary NAME=PATH")?;
            all.push(Which::Campanile(name.to_owned(), std::path::absolute(path)?));
        }
        for (name, command, which) in [("prosody", "prosodyctl", Which::Prosody), ("ejabberd", "ejabberdctl", Which::Ejabberd)] {
            if self.beside.iter().any(|wanted| wanted == name) {
                let found = Command::new("sh").args(["-c", &format!("command -v {command}")]).stdout(Stdio::null()).status()?;
                if found.success() {
                    all.push(which);
                } else {
                    eprintln!("{name} is not installed and left out: apt-get install --no-install-recommends {name}");
                }
            }
        }
        Ok(all)
    }

    fn wants(&self, scenario: Scenario) -> bool {
        self.only.contains(&scenario)
    }

    fn pace(&self) -> Pace {
        Pace { round: Duration::from_secs_f64(self.seconds), rounds: self.rounds }
    }

    /// In clear, with TLS, or both.
    fn transports(&self) -> impl Iterator<Item = (bool, &'static str)> {
        let wanted = self.tls;
        [(false, "in clear"), (true, "TLS")].into_iter().filter(move |(tls, _)| wanted.is_none_or(|wanted| wanted == *tls))
    }
}

async fn measure(arguments: &Arguments, files: u64) -> anyhow::Result<Report> {
    let all = arguments.servers()?;
    let certificate = Certificate::make()?;
    let mut report = Report::new(all.iter().filter(|which| which.is_ours()).map(|which| which.name().to_owned()).collect());
    if [Scenario::Message, Scenario::Call, Scenario::Login].iter().any(|scenario| arguments.wants(*scenario)) {
        let servers = start(&all, Setup { archive: false, accounts: 2 * PAIRS, ..Setup::default() }, &certificate).await?;
        if arguments.wants(Scenario::Message) {
            messages(arguments, &servers, &mut report, "", 0.15).await?;
        }
        if arguments.wants(Scenario::Call) {
            calls(arguments, &servers, &mut report).await?;
        }
        if arguments.wants(Scenario::Login) {
            log_ins(arguments, &servers, &mut report).await?;
        }
    }
    if arguments.wants(Scenario::Archived) || arguments.wants(Scenario::Page) {
        let servers = start(&all, Setup { archive: true, accounts: 2 * PAIRS, ..Setup::default() }, &certificate).await?;
        if arguments.wants(Scenario::Page) {
            pages(arguments, &servers, &mut report).await?;
        }
        if arguments.wants(Scenario::Archived) {
            messages(arguments, &servers, &mut report, ", archived", 0.2).await?;
        }
    }
    if arguments.wants(Scenario::Crowd) {
        let accounts = arguments.crowd.iter().copied().max().unwrap_or(0);
        let servers = start(&all, Setup { archive: false, accounts, ..Setup::default() }, &certificate).await?;
        crowds(arguments, files, &servers, &mut report).await?;
    }
    if arguments.wants(Scenario::Pubsub) {
        feeds(arguments, files, &all, &certificate, &mut report).await?;
    }
    if arguments.wants(Scenario::Rooms) {
        for (index, occupants) in arguments.occupants.iter().enumerate() {
            let all: Vec<Which> = all.iter().filter(|which| index == 0 || which.is_ours()).cloned().collect();
            for (archive, how) in [(true, "archived"), (false, "not archived")] {
                crowded_rooms(arguments, files, &all, (*occupants, archive, how), &certificate, &mut report).await?;
            }
        }
    }
    if arguments.wants(Scenario::Idle) {
        idle_sessions(arguments, &all, &certificate, &mut report).await?;
    }
    Ok(report)
}

async fn start(all: &[Which], setup: Setup, certificate: &Certificate) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for which in all {
        servers.push(Server::start(which.clone(), setup, certificate).await?);
    }
    Ok(servers)
}

async fn messages(arguments: &Arguments, servers: &[Server], report: &mut Report, more: &str, most: f64) -> anyhow::Result<()> {
    const WAYS: [(Window, usize, &str); 3] =
        [(Window::One, 1, "one at a time"), (Window::One, PAIRS, "one at a time between 16 pairs"), (Window::Hundred, 1, "pipelined")];
    for (tls, transport) in arguments.transports() {
        for (window, pairs, how) in WAYS {
            let floor = Floor::start()?;
            let mut loads = Vec::new();
            for server in servers {
                let mut load = Vec::new();
                for pair in 0..pairs {
                    load.push(Messages::between_sessions(server, tls, pair, window).await?);
                }
                loads.push((Subject::Server(server), load));
            }
            if !tls {
                let mut load = Vec::new();
                for _ in 0..pairs {
                    load.push(Messages::on_the_floor(&floor, window).await?);
                }
                loads.push((Subject::Floor(&floor), load));
            }
            let figures = alternate(arguments.pace(), &mut loads).await?;
            let what = format!("message, {transport}, {how}{more}: µs");
            report.add(Row { what, figures, target: Target::Ratio(most), first: None });
        }
    }
    Ok(())
}

async fn calls(arguments: &Arguments, servers: &[Server], report: &mut Report) -> anyhow::Result<()> {
    for (tls, transport) in arguments.transports() {
        for (pairs, how) in [(1, "one at a time"), (PAIRS, "16 at a time")] {
            let floor = Floor::start()?;
            let mut loads = Vec::new();
            for server in servers {
                let mut load = Vec::new();
                for pair in 0..pairs {
                    load.push(Calls::between_sessions(server, tls, pair).await?);
                }
                loads.push((Subject::Server(server), load));
            }
            if !tls {
                let mut load = Vec::new();
                for _ in 0..pairs {
                    load.push(Calls::on_the_floor(&floor).await?);
                }
                loads.push((Subject::Floor(&floor), load));
            }
            let figures = alternate(arguments.pace(), &mut loads).await?;
            let what = format!("call, 22 stanzas, {transport}, {how}: µs");
            report.add(Row { what, figures, target: Target::Ratio(0.12), first: None });
        }
    }
    Ok(())
}

async fn log_ins(arguments: &Arguments, servers: &[Server], report: &mut Report) -> anyhow::Result<()> {
    let mut loads = Vec::new();
    for server in servers {
        let load = LogIns::to(server, true).await?;
        eprintln!("{}: SCRAM-SHA-1 with {} iterations", server.which.name(), load.rounds);
        loads.push((Subject::Server(server), load));
    }
    let figures = alternate(arguments.pace(), &mut loads).await?;
    report.add(Row { what: "log-in, TLS and SCRAM-SHA-1: µs".to_owned(), figures, target: Target::Ratio(0.4), first: None });
    Ok(())
}

async fn pages(arguments: &Arguments, servers: &[Server], report: &mut Report) -> anyhow::Result<()> {
    let mut loads = Vec::new();
    for server in servers {
        loads.push((Subject::Server(server), Pages::of(server, false).await?));
    }
    let figures = alternate(arguments.pace(), &mut loads).await?;
    report.add(Row { what: "archive page of 50, in clear: µs".to_owned(), figures, target: Target::Ratio(0.15), first: None });
    Ok(())
}

/// Whether so many connections may be open: the floor is left out where they may not.
fn has_room(files: u64, connections: usize) -> bool {
    /// Files open besides.
    const SPARE: u64 = 500;
    connections as u64 + SPARE < files
}

async fn crowds(arguments: &Arguments, files: u64, servers: &[Server], report: &mut Report) -> anyhow::Result<()> {
    let floor = Floor::start()?;
    let mut on_the_floor = Crowd::empty();
    let mut crowds: Vec<Crowd> = servers.iter().map(|_| Crowd::empty()).collect();
    let mut first = None;
    for size in &arguments.crowd {
        for (server, crowd) in servers.iter().zip(&mut crowds) {
            crowd.grow(server, *size).await?;
        }
        let mut loads: Vec<_> = servers.iter().map(Subject::Server).zip(&mut crowds).collect();
        if has_room(files, (servers.len() + 1) * size) {
            on_the_floor.grow_on_the_floor(&floor, *size).await?;
            loads.push((Subject::Floor(&floor), &mut on_the_floor));
        }
        let figures = alternate(arguments.pace(), &mut loads).await?;
        first = first.or_else(|| figures.first().map(|(_, value)| *value));
        report.add(Row { what: format!("message among {size} sessions, in clear: µs"), figures, target: Target::Flat(1.3), first });
    }
    Ok(())
}

async fn feeds(arguments: &Arguments, files: u64, all: &[Which], certificate: &Certificate, report: &mut Report) -> anyhow::Result<()> {
    // the first accounts publish
    for (index, subscribers) in arguments.subscribers.iter().copied().enumerate() {
        let beside = |which: &&Which| index == 0 || which.is_ours();
        let all: Vec<Which> = all.iter().filter(beside).cloned().collect();
        let servers =
            start(&all, Setup { archive: false, accounts: subscribers + 3, pubsub: true, ..Setup::default() }, certificate).await?;
        let mut readers = Vec::new();
        for server in &servers {
            readers.push(Audience::log_in(server, 3, subscribers, pubsub::name).await?);
        }
        for (kept, how) in [(false, "not kept"), (true, "kept")] {
            let mut loads = Vec::new();
            let mut sample = None;
            for (server, readers) in servers.iter().zip(&readers) {
                let mut feed = Feed::of(server, readers, kept).await?;
                sample = sample.or(Some(feed.sample().await?));
                loads.push((Subject::Server(server), feed));
            }
            let floor = has_room(files, (servers.len() + 1) * subscribers).then(|| Floor::start_fan(subscribers)).transpose()?;
            let sample = sample.context("no server")?;
            let sinks = match &floor {
                Some(floor) => Some(Audience::on_the_floor(floor, subscribers, &sample, pubsub::SAMPLE, pubsub::name).await?),
                None => None,
            };
            loads.extend(floor.iter().zip(&sinks).map(|(floor, sinks)| (Subject::Floor(floor), Feed::on_the_floor(sinks))));
            let figures = alternate(arguments.pace(), &mut loads).await?;
            let what = format!("notification of {subscribers} subscribers, item {how}: µs");
            report.add(Row { what, figures, target: Target::RatioAndFloor(0.15, 1.5), first: None });
        }
        for (busy, beside) in [(false, "alone"), (true, "meanwhile")] {
            let mut rows = [Vec::new(), Vec::new()];
            for (server, readers) in servers.iter().zip(&readers) {
                let mut feed = Feed::of(server, readers, false).await?;
                let latencies = pubsub::latency(server, busy.then_some(&mut feed), arguments.pace().round).await?;
                for (row, latency) in rows.iter_mut().zip(latencies) {
                    row.push((server.which.name().to_owned(), latency));
                }
            }
            for (figures, which) in rows.into_iter().zip(["p50", "p99"]) {
                let what = format!("publication to another node than that of {subscribers}, {beside}, {which}: ms");
                report.add(Row { what, figures, target: Target::Shown, first: None });
            }
        }
    }
    Ok(())
}

/// How often one more enters.
const ENTRANCES: usize = 21;

async fn crowded_rooms(
    arguments: &Arguments,
    files: u64,
    all: &[Which],
    (occupants, archive, how): (usize, bool, &str),
    certificate: &Certificate,
    report: &mut Report,
) -> anyhow::Result<()> {
    let servers = start(all, Setup { archive, accounts: occupants + rooms::OTHERS, rooms: true, ..Setup::default() }, certificate).await?;
    let mut audiences = Vec::new();
    for server in &servers {
        audiences.push(Audience::log_in(server, rooms::OTHERS, occupants, rooms::name).await?);
    }
    let mut loads = Vec::new();
    let mut sample = None;
    for (server, audience) in servers.iter().zip(&audiences) {
        let room = Room::of(audience).await.with_context(|| server.which.name().to_owned())?;
        sample = sample.or(Some(room.sample().await?));
        loads.push((Subject::Server(server), room));
    }
    let floor = has_room(files, (servers.len() + 1) * occupants).then(|| Floor::start_fan(occupants)).transpose()?;
    let sample = sample.context("no server")?;
    let sinks = match &floor {
        Some(floor) => Some(Audience::on_the_floor(floor, occupants, &sample, rooms::SAMPLE, rooms::name).await?),
        None => None,
    };
    loads.extend(floor.iter().zip(&sinks).map(|(floor, sinks)| (Subject::Floor(floor), Room::on_the_floor(sinks))));
    let figures = alternate(arguments.pace(), &mut loads).await?;
    let what = format!("message to {occupants} occupants, {how}, each: µs");
    report.add(Row { what, figures, target: Target::RatioAndFloor(0.15, 1.5), first: None });
    if archive {
        return Ok(());
    }
    let mut rows = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for (server, (_, room)) in servers.iter().zip(&loads) {
        let entrance = rooms::entrances(server, room, ENTRANCES).await.with_context(|| server.which.name().to_owned())?;
        let (stanzas, bytes) = (entrance.written.stanzas as f64, entrance.written.bytes as f64 / 1024.0);
        for (row, value) in rows.iter_mut().zip([entrance.cpu, entrance.cpu / stanzas, stanzas, bytes]) {
            row.push((server.which.name().to_owned(), value));
        }
    }
    for (figures, which) in rows.into_iter().zip(["µs", "µs for each stanza", "stanzas written", "KiB written"]) {
        report.add(Row { what: format!("one more enters a room of {occupants}: {which}"), figures, target: Target::Shown, first: None });
    }
    for (flooded, beside) in [(false, "alone"), (true, "during a flood")] {
        let mut rows = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for (server, (_, room)) in servers.iter().zip(&mut loads) {
            let latencies = rooms::latencies(server, room, flooded, arguments.pace().round * 2).await;
            let latencies = latencies.with_context(|| server.which.name().to_owned())?;
            for (row, latency) in rows.iter_mut().zip(latencies.into_iter().flatten()) {
                row.push((server.which.name().to_owned(), latency));
            }
        }
        for (figures, which) in rows.into_iter().zip(["there, p50", "there, p99", "in another room, p50", "in another room, p99"]) {
            let what = format!("another's message, room of {occupants}, {beside}, {which}: ms");
            report.add(Row { what, figures, target: Target::Shown, first: None });
        }
    }
    Ok(())
}

async fn idle_sessions(arguments: &Arguments, all: &[Which], certificate: &Certificate, report: &mut Report) -> anyhow::Result<()> {
    let sessions = arguments.sessions;
    for (tls, transport) in arguments.transports() {
        let (mut resident, mut private) = (Vec::new(), Vec::new());
        for which in all {
            let server =
                Server::start(which.clone(), Setup { archive: false, accounts: sessions, ..Setup::default() }, certificate).await?;
            let figures = idle::memory(&server, tls, sessions).await?;
            resident.push((which.name().to_owned(), figures[0]));
            private.push((which.name().to_owned(), figures[1]));
        }
        let target = Target::Absolute(if tls { 32.0 } else { 10.0 });
        for (figures, kind) in [(resident, "resident"), (private, "private")] {
            report.add(Row { what: format!("idle session of {sessions}, {transport}, {kind}: KiB"), figures, target, first: None });
        }
    }
    Ok(())
}
