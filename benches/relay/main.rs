//! Relay: what a relayed packet, an allocation, a STUN Binding and the memory of an idle allocation cost this server, beside coturn and a bare
//! forwarder in the same run. Clients and peers speak over real sockets of loopback and check what arrives; what is measured is the CPU time
//! and the memory of the server's process, which Linux counts. The figures stand in docs/benchmarks.md.
//!
//! `cargo bench --bench relay` runs everything; `cargo bench --bench relay -- --help` says how to run less. coturn is taken from the system;
//! without it its column is left out.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../load/awake.rs"]
mod awake;
mod client;
mod flow;
mod hosts;
#[path = "../load/process.rs"]
#[allow(dead_code, reason = "here CPU time is read in nanoseconds")]
mod process;
mod report;
mod scenarios;
mod servers;
mod sys;
#[path = "../load/tls.rs"]
#[allow(dead_code, reason = "`connector` is for tokio")]
mod tls;
mod workers;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use awake::Awake;
use flow::{Flows, Way};
use report::{Report, Row, Wanted};
use scenarios::binding::Binding;
use scenarios::cycle::Cycle;
use scenarios::flood::Flood;
use scenarios::stream::Streams;
use scenarios::voice::{Voice, percentile_ms};
use scenarios::{Load, Pace, Subject, alternate, idle};
use servers::forwarder::{self, Forwarder};
use servers::{Server, Which};
use tls::Certificate;
use workers::Placement;

/// Server CPU per relayed packet, allocation and STUN Binding, and memory per allocation; beside coturn and a bare forwarder
#[derive(Parser)]
struct Arguments {
    /// What to measure
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Scenario::ALL)]
    only: Vec<Scenario>,
    /// Which other subjects
    #[arg(long, value_delimiter = ',', default_value = "coturn,forwarder")]
    beside: Vec<String>,
    /// Another campanile to compare: NAME=PATH. Repeatable; given once or more, the one built here is left out
    #[arg(long, value_name = "NAME=PATH")]
    binary: Vec<String>,
    /// Seconds of one round on one subject
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Rounds on each subject; the figure is their median
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Packets of one stream that are sent together where there are only one or two streams
    #[arg(long, default_value_t = 16)]
    run: usize,
    /// Packets of 172 bytes on their way at once; of 1,200 bytes a third of it
    #[arg(long, default_value_t = 192)]
    window: u64,
    /// Voice calls; 0 looks for the most of which coturn loses nothing
    #[arg(long, default_value_t = 0)]
    calls: usize,
    /// Idle allocations whose memory is measured
    #[arg(long, default_value_t = 4_000)]
    allocations: usize,
    /// Numbers of allocations between which the cost per packet is to stay flat
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000, 10_000])]
    flat: Vec<usize>,
    /// The forwarder without UDP_SEGMENT
    #[arg(long)]
    no_segments: bool,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Client to plain peer and back
    Peer,
    /// Two clients on one worker
    Pair,
    /// Two clients on two workers
    Across,
    /// A thousand allocations
    Thousand,
    /// Send and Data indications
    Indications,
    /// Many calls
    Voice,
    /// One call
    Alone,
    /// Over TCP
    Tcp,
    /// Over TLS
    Tls,
    /// Allocate to Refresh 0
    Cycle,
    /// STUN
    Binding,
    /// Memory
    Idle,
    /// From few to many allocations
    Flat,
}

impl Scenario {
    const ALL: [Self; 13] = [
        Self::Peer,
        Self::Thousand,
        Self::Pair,
        Self::Across,
        Self::Voice,
        Self::Alone,
        Self::Indications,
        Self::Tcp,
        Self::Tls,
        Self::Cycle,
        Self::Binding,
        Self::Idle,
        Self::Flat,
    ];
}

const VOICE_BYTES: usize = 172;
const VIDEO_BYTES: usize = 1_200;
/// Wanted of every row that the forwarder has a figure in.
const OF_FORWARDER: Wanted = Wanted::OfForwarder(1.3);

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, verb, ip, segments] = &words[..]
        && verb == "forwarder"
    {
        forwarder::run(ip.parse()?, segments.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if words.get(1).is_some_and(|verb| verb == "awake") {
        awake::run();
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0 && (1..=sys::SEGMENTS_MAX).contains(&arguments.run), "at least one round, and runs of 1 to 40 packets");
    process::raise_limits()?;
    sys::wake_on_time()?;
    let awake = Awake::keep()?;
    let report = Bench::new(&arguments)?.measure()?;
    drop(awake);
    report.print();
    Ok(ExitCode::SUCCESS)
}

/// A number that is used once.
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Arguments {
    fn is_beside(&self, name: &str) -> bool {
        self.beside.iter().any(|wanted| wanted == name)
    }

    fn servers(&self) -> anyhow::Result<Vec<Which>> {
        let mut all = Vec::new();
        if self.binary.is_empty() {
            all.push(Which::Campanile("campanile".to_owned(), PathBuf::from(env!("CARGO_BIN_EXE_campanile"))));
        }
        for binary in &self.binary {
            let (name, path) = binary.split_once('=').context("--binary NAME=PATH")?;
            all.push(Which::Campanile(name.to_owned(), std::path::absolute(path)?));
        }
        if self.is_beside("coturn") {
            let found = Command::new("sh").args(["-c", "command -v turnserver"]).stdout(Stdio::null()).status()?;
            if found.success() {
                all.push(Which::Coturn);
            } else {
                eprintln!("coturn is not installed and left out: apt-get install --no-install-recommends coturn");
            }
        }
        Ok(all)
    }

    fn pace(&self) -> Pace {
        Pace { round: Duration::from_secs_f64(self.seconds), rounds: self.rounds }
    }

    /// Less where they wait in a socket of the relay's, for which coturn asks a queue of 64 KiB.
    fn window(&self, way: Way, payload_bytes: usize) -> u64 {
        let window = if payload_bytes > VOICE_BYTES { self.window / 3 } else { self.window };
        if way == Way::ToClient { window * 2 / 5 } else { window }
    }
}

/// A run of the program.
struct Bench<'a> {
    arguments: &'a Arguments,
    all: Vec<Which>,
    certificate: Certificate,
    report: Report,
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let all = arguments.servers()?;
        let ours = all.iter().filter(|which| **which != Which::Coturn).map(|which| which.name().to_owned()).collect();
        Ok(Self { arguments, all, certificate: Certificate::make()?, report: Report::new(ours) })
    }

    /// New processes, so that no row depends on those before it.
    fn start(&self) -> anyhow::Result<Vec<Server>> {
        self.all.iter().map(|which| Server::start(which, &self.certificate)).collect()
    }

    fn forwarder(&self) -> anyhow::Result<Option<Forwarder>> {
        self.arguments.is_beside("forwarder").then(|| Forwarder::start(!self.arguments.no_segments)).transpose()
    }

    fn measure(mut self) -> anyhow::Result<Report> {
        for scenario in &self.arguments.only {
            self.scenario(*scenario)?;
        }
        Ok(self.report)
    }

    fn scenario(&mut self, scenario: Scenario) -> anyhow::Result<()> {
        let to_coturn = |most| [Wanted::OfCoturn(most), OF_FORWARDER];
        match scenario {
            Scenario::Peer => {
                for (way, name) in [(Way::ToPeer, "client to peer"), (Way::ToClient, "peer to client")] {
                    for bytes in [VOICE_BYTES, VIDEO_BYTES] {
                        self.both(&format!("{name}, {bytes} B"), way, 1, bytes, Placement::Any, &to_coturn(0.65))?;
                    }
                }
                Ok(())
            }
            Scenario::Thousand => {
                let what = "1,000 allocations, relay to relay, 172 B";
                self.flood(what, 1, Way::RelayToRelay, 1_000, VOICE_BYTES, Placement::Any, &to_coturn(0.45)).map(drop)
            }
            Scenario::Pair => {
                for bytes in [VOICE_BYTES, VIDEO_BYTES] {
                    let what = format!("two clients, relay to relay, {bytes} B");
                    self.both(&what, Way::RelayToRelay, 2, bytes, Placement::Together, &to_coturn(0.4))?;
                }
                Ok(())
            }
            Scenario::Across => {
                let what = "two clients, relay to relay across two workers, 172 B";
                self.both(what, Way::RelayToRelay, 2, VOICE_BYTES, Placement::Apart, &to_coturn(0.4))
            }
            Scenario::Indications => {
                let what = "two clients, relay to relay by indications, 172 B";
                self.both(what, Way::Indications, 2, VOICE_BYTES, Placement::Together, &to_coturn(0.4))
            }
            Scenario::Voice => self.voice(),
            Scenario::Alone => self.alone(),
            Scenario::Tcp => self.streams("relay to relay over TCP, 172 B", false, 0.8),
            Scenario::Tls => self.streams("relay to relay over TLS, 172 B", true, 0.5),
            Scenario::Cycle => self.cycles(),
            Scenario::Binding => self.bindings(),
            Scenario::Idle => self.idle(),
            Scenario::Flat => self.flat(),
        }
    }

    /// In bursts, as senders of video and pacers give them out, and packet by packet.
    fn both(&mut self, what: &str, way: Way, count: usize, bytes: usize, placement: Placement, wanted: &[Wanted]) -> anyhow::Result<()> {
        let window = self.arguments.window(way, bytes);
        let burst = self.arguments.run.min(window as usize / 2).max(1);
        self.flood(&format!("{what}, bursts of {burst}"), burst, way, count, bytes, placement, wanted)?;
        self.flood(&format!("{what}, one by one"), 1, way, count, bytes, placement, wanted)?;
        Ok(())
    }

    /// Returns the figures.
    #[allow(clippy::too_many_arguments, reason = "one place where a row is spelled out")]
    fn flood(
        &mut self,
        what: &str,
        run: usize,
        way: Way,
        count: usize,
        bytes: usize,
        placement: Placement,
        wanted: &[Wanted],
    ) -> anyhow::Result<Vec<(String, f64)>> {
        let servers = self.start()?;
        let window = self.arguments.window(way, bytes);
        let mut loads = Vec::new();
        for server in &servers {
            let flows = Flows::through(server, way, count, bytes, placement).with_context(|| server.which.name().to_owned())?;
            loads.push((Subject::Server(server), Flood::new(flows, window, run)));
        }
        if let Some(mut forwarder) = self.forwarder()? {
            let flows = Flows::past(&mut forwarder, way, count, bytes)?;
            loads.push((Subject::Forwarder(forwarder), Flood::new(flows, window, run)));
        }
        let row = Row::costs(format!("{what}: µs"), &alternate(self.arguments.pace(), &mut loads)?, wanted);
        let figures = row.figures.clone();
        self.report.add(row);
        Ok(figures)
    }

    fn voice(&mut self) -> anyhow::Result<()> {
        let calls = match self.arguments.calls {
            0 => self.most_calls()?,
            calls => calls,
        };
        let servers = self.start()?;
        let mut loads = self.calls(&servers, calls)?;
        let findings = alternate(self.arguments.pace(), &mut loads)?;
        self.report.add(Row::costs(format!("{calls} voice calls: µs"), &findings, &[Wanted::OfCoturn(0.5), OF_FORWARDER]));
        self.latencies(&format!("{calls} voice calls, latency p50: ms"), &mut loads, 0.5, &[Wanted::OverForwarder(0.3)]);
        self.latencies(&format!("{calls} voice calls, latency p99: ms"), &mut loads, 0.99, &[]);
        let figures = findings.iter().map(|finding| (finding.name.clone(), finding.loss * 100.0)).collect();
        self.report.add(Row {
            what: format!("{calls} voice calls, lost: %"),
            figures,
            wanted: vec![Wanted::AtMost(0.0)],
            note: String::new(),
        });
        Ok(())
    }

    fn alone(&mut self) -> anyhow::Result<()> {
        let servers = self.start()?;
        let mut loads = self.calls(&servers, 1)?;
        let pace = Pace { round: self.arguments.pace().round * 4, ..self.arguments.pace() };
        let findings = alternate(pace, &mut loads)?;
        self.report.add(Row::costs("one voice call: µs".to_owned(), &findings, &[]));
        self.latencies("one voice call, latency p50: ms", &mut loads, 0.5, &[]);
        self.latencies("one voice call, latency p99: ms", &mut loads, 0.99, &[Wanted::OfCoturn(1.0)]);
        Ok(())
    }

    fn calls<'s>(&self, servers: &'s [Server], calls: usize) -> anyhow::Result<Vec<(Subject<'s>, Voice)>> {
        let mut loads = Vec::new();
        for server in servers {
            let flows = Flows::through(server, Way::RelayToRelay, 2 * calls, VOICE_BYTES, Placement::Any)?;
            loads.push((Subject::Server(server), Voice::new(flows)));
        }
        if let Some(mut forwarder) = self.forwarder()? {
            let flows = Flows::past(&mut forwarder, Way::RelayToRelay, 2 * calls, VOICE_BYTES)?;
            loads.push((Subject::Forwarder(forwarder), Voice::new(flows)));
        }
        Ok(loads)
    }

    fn latencies(&mut self, what: &str, loads: &mut [(Subject<'_>, Voice)], share: f64, wanted: &[Wanted]) {
        let mut figures = Vec::new();
        let mut notes = Vec::new();
        for (subject, voice) in loads {
            voice.latencies.sort_unstable();
            figures.push((subject.name().to_owned(), percentile_ms(&voice.latencies, share)));
            notes.push(format!("{}: sent up to {:.1} ms late", subject.name(), voice.lateness.as_secs_f64() * 1e3));
        }
        self.report.add(Row { what: what.to_owned(), figures, wanted: wanted.to_vec(), note: notes.join("; ") });
    }

    /// The highest number of calls of which coturn loses nothing, to a sixteenth.
    fn most_calls(&self) -> anyhow::Result<usize> {
        let server = Server::start(&Which::Coturn, &self.certificate)?;
        let (mut good, mut bad) = (0, usize::MAX);
        while bad == usize::MAX || bad - good > (good / 16).max(1) {
            let calls = if bad == usize::MAX { (2 * good).max(64) } else { usize::midpoint(good, bad) };
            let flows = Flows::through(&server, Way::RelayToRelay, 2 * calls, VOICE_BYTES, Placement::Any)?;
            let mut voice = Voice::new(flows);
            let mut lost = 0;
            for _ in 0..3 {
                lost += voice.round(Instant::now() + Duration::from_secs(2))?.lost;
            }
            voice.into_flows().free(&server)?;
            eprintln!("coturn loses {lost} packets of {calls} calls");
            if lost == 0 {
                good = calls
            } else {
                bad = calls
            }
            ensure!(bad > 1, "coturn loses packets of a single call");
        }
        Ok(good)
    }

    fn streams(&mut self, what: &str, is_tls: bool, most: f64) -> anyhow::Result<()> {
        let servers = self.start()?;
        let mut loads = Vec::new();
        for server in &servers {
            let streams = Streams::through(server, is_tls).with_context(|| server.which.name().to_owned())?;
            loads.push((Subject::Server(server), streams));
        }
        let findings = alternate(self.arguments.pace(), &mut loads)?;
        self.report.add(Row::costs(format!("{what}: µs"), &findings, &[Wanted::OfCoturn(most)]));
        Ok(())
    }

    fn cycles(&mut self) -> anyhow::Result<()> {
        let servers = self.start()?;
        let mut loads = Vec::new();
        for server in &servers {
            loads.push((Subject::Server(server), Cycle::of(server.address)?));
        }
        let findings = alternate(self.arguments.pace(), &mut loads)?;
        self.report.add(Row::costs("allocate, permit, bind, refresh 0: µs".to_owned(), &findings, &[Wanted::OfCoturn(0.3)]));
        Ok(())
    }

    fn bindings(&mut self) -> anyhow::Result<()> {
        let servers = self.start()?;
        let mut loads = Vec::new();
        for server in &servers {
            loads.push((Subject::Server(server), Binding::to(server.address)?));
        }
        if let Some(mut forwarder) = self.forwarder()? {
            let binding = Binding::past(&mut forwarder)?;
            loads.push((Subject::Forwarder(forwarder), binding));
        }
        let findings = alternate(self.arguments.pace(), &mut loads)?;
        self.report.add(Row::costs("STUN Binding: µs".to_owned(), &findings, &[Wanted::OfCoturn(0.6), OF_FORWARDER]));
        Ok(())
    }

    fn idle(&mut self) -> anyhow::Result<()> {
        let count = self.arguments.allocations;
        let mut figures = Vec::new();
        for server in self.start()? {
            figures.push((server.which.name().to_owned(), idle::memory(&server, count)? / 1024.0));
        }
        let what = format!("idle allocation of {count}: KiB");
        self.report.add(Row { what, figures, wanted: vec![Wanted::OfCoturn(0.2)], note: String::new() });
        Ok(())
    }

    fn flat(&mut self) -> anyhow::Result<()> {
        let mut first: Option<Vec<(String, f64)>> = None;
        for count in &self.arguments.flat {
            let what = format!("{count} allocations, relay to relay");
            let figures = self.flood(&what, 1, Way::RelayToRelay, *count, VOICE_BYTES, Placement::Any, &[OF_FORWARDER])?;
            first = first.or(Some(figures.clone()));
            if let (Some(first), true) = (&first, Some(count) == self.arguments.flat.last()) {
                let growth = figures.iter().zip(first).map(|((name, last), (_, first))| (name.clone(), last / first)).collect();
                let what = format!("{count} allocations over {}", self.arguments.flat[0]);
                self.report.add(Row { what, figures: growth, wanted: vec![Wanted::AtMost(1.15)], note: String::new() });
            }
        }
        Ok(())
    }
}
