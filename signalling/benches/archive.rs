//! What a kept message costs: through the queue to the disk, by how many accounts share a commit; and a page of 50.
//!
//! `cargo bench --workspace --bench archive`. Wall time is Criterion's; the processor's time, of all threads, is printed beside it. The figures stand
//! in docs/benchmarks.md.

#![allow(missing_docs)]
#![allow(clippy::print_stdout)] // a figure that Criterion does not measure

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use campanile_signalling::auth::ScramSet;
use campanile_signalling::jid::{BareJid, Jid};
use campanile_signalling::store::{ArchiveId, Range, Record, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const STANZA: &[u8] = b"<message xmlns='jabber:client' from='user1@localhost/laptop' to='user2@localhost' type='chat' id='m1'>\
    <body>Wherefore art thou, Romeo?</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>";

struct World {
    store: Store,
    accounts: Vec<BareJid>,
    peer: Jid,
    last: Option<ArchiveId>,
    folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        // It is in the system's temporary directory: what cannot be removed is removed there.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    async fn new(accounts: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("campanile-bench-archive-{}-{accounts}", std::process::id()));
        let store = Store::open(&format!("sqlite:{}", folder.join("db").display()), &folder).await.expect("a new database");
        let accounts: Vec<_> = (0..accounts).map(|number| BareJid::new(&format!("user{number}"), "localhost").expect("a JID")).collect();
        for account in &accounts {
            store.accounts().create(account, &ScramSet::default()).await.expect("a new account");
        }
        let peer = Jid::parse("user1@localhost/laptop").expect("a JID");
        Self { store, accounts, peer, last: None, folder }
    }

    /// Queues so many messages, each for the next account, and waits until all are on the disk.
    async fn keep(&mut self, count: usize, undelivered: bool) {
        let archive = self.store.archive();
        for index in 0..count {
            let id = ArchiveId::after(self.last, SystemTime::now(), 7);
            self.last = Some(id);
            let account = &self.accounts[index % self.accounts.len()];
            archive.keep(account, Record { id, peer: self.peer.clone(), archived: true, undelivered, stanza: Bytes::from_static(STANZA) });
        }
        archive.durability().reached(archive.durability().queued()).await;
    }
}

/// The processor's time of this process so far, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<u64> = stat.rsplit(')').next().unwrap_or_default().split(' ').filter_map(|field| field.parse().ok()).collect();
    // Fields 14 and 15, of which the state and what stands before it are not numbers here; in hundredths of a second.
    Duration::from_millis((fields[10] + fields[11]) * 10)
}

fn archive(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for accounts in [10, 1000] {
        let mut world = runtime.block_on(World::new(accounts));
        let mut group = c.benchmark_group(format!("messages of {accounts} accounts"));
        for batch in [1, 64, 1024] {
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{batch} at once"), |bench| bench.iter(|| runtime.block_on(world.keep(batch, false))));
        }
        group.finish();
        for undelivered in [false, true] {
            let before = cpu();
            const ROUNDS: usize = 100;
            runtime.block_on(async {
                for _ in 0..ROUNDS {
                    world.keep(1024, undelivered).await;
                }
            });
            let each = (cpu() - before) / (ROUNDS * 1024) as u32;
            println!("{accounts} accounts, 1024 at once, undelivered: {undelivered}: {each:?} of the processor for each message");
        }
        c.bench_function(&format!("page of 50, {accounts} accounts"), |bench| {
            let archive = world.store.archive().clone();
            bench.iter(|| {
                black_box(runtime.block_on(archive.page(&world.accounts[1], &Range::default(), true, 50, usize::MAX)).expect("reads"));
            });
        });
    }
}

/// How long a sender's `h` (XEP-0198) waits for its message to be on the disk, with many senders of one message at a time: in time, and in commits that
/// end meanwhile. Two is the most it should take: the one under way, and its own.
fn latency(_: &mut Criterion) {
    const SENDERS: usize = 64;
    const MESSAGES: usize = 200;
    /// What is told of one commit wakes all its senders within this.
    const TOGETHER: Duration = Duration::from_micros(100);
    let runtime = Runtime::new().expect("a runtime");
    let mut waits: Vec<(Instant, Instant)> = runtime.block_on(async {
        let world = World::new(SENDERS).await;
        let mut senders = JoinSet::new();
        for account in world.accounts.clone() {
            let (archive, peer) = (world.store.archive().clone(), world.peer.clone());
            senders.spawn(async move {
                let (mut waits, mut last) = (Vec::new(), None);
                for _ in 0..MESSAGES {
                    let id = ArchiveId::after(last, SystemTime::now(), 7);
                    last = Some(id);
                    let begun = Instant::now();
                    archive.keep(
                        &account,
                        Record { id, peer: peer.clone(), archived: true, undelivered: false, stanza: Bytes::from_static(STANZA) },
                    );
                    archive.durability().reached(archive.durability().queued()).await;
                    waits.push((begun, Instant::now()));
                }
                waits
            });
        }
        senders.join_all().await.concat()
    });
    waits.sort_by_key(|(_, ended)| *ended);
    let mut commits: Vec<Instant> = Vec::new();
    let mut before: Option<Instant> = None;
    for (_, ended) in &waits {
        if before.is_none_or(|before| *ended - before > TOGETHER) {
            commits.push(*ended);
        }
        before = Some(*ended);
    }
    let mut times: Vec<Duration> = waits.iter().map(|(begun, ended)| *ended - *begun).collect();
    let mut counts: Vec<usize> =
        waits.iter().map(|(begun, ended)| commits.iter().filter(|at| *at > begun && *at <= ended).count()).collect();
    times.sort_unstable();
    counts.sort_unstable();
    let (half, most) = (waits.len() / 2, waits.len() * 99 / 100);
    println!(
        "h of {SENDERS} senders: p50 {:?}, p99 {:?}; commits waited for: p50 {}, p99 {}",
        times[half], times[most], counts[half], counts[most]
    );
}

criterion_group!(benches, latency, archive);
criterion_main!(benches);
