//! What a stanza costs between the sender's framer and the recipient's output: parsed, walked, delivered, written.
//!
//! `cargo bench -p campanile-signalling --bench routing`. The figures stand in docs/benchmarks.md.

#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use campanile_signalling::auth::{Password, ScramSet};
use campanile_signalling::jid::BareJid;
use campanile_signalling::jingle::{self, CallsService};
use campanile_signalling::mailbox::{Delivery, Mailbox, Outgoing};
use campanile_signalling::router::{Limits, Metrics, Router};
use campanile_signalling::session::SessionRef;
use campanile_signalling::stanza::{Framing, Stanza};
use campanile_signalling::store::Store;
use campanile_signalling::xml::Bindings;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// alice with one session, bob with `devices`, all available.
struct World {
    router: Router,
    alice: SessionRef,
    devices: Vec<Arc<Mailbox>>,
}

impl World {
    async fn new(devices: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("campanile-bench-{}-{devices}", std::process::id()));
        let store = Store::open(&format!("sqlite:{}", folder.join("db").display()), &folder).await.expect("a new database");
        let keys = ScramSet::derive(&Password::prepare("pw").expect("a password"), &[7; 32]);
        let [alice, bob] = ["alice", "bob"].map(|name| BareJid::new(name, "localhost").expect("a JID"));
        for account in [&alice, &bob] {
            store.accounts().create(account, &keys).await.expect("a new account");
        }
        let registry = prometheus::Registry::new();
        let calls = CallsService::new(jingle::Limits::default(), &registry, Box::new(())).expect("fresh metrics");
        let limits = Limits { sessions_per_account: 100, ..Limits::default() };
        let router =
            Router::new(vec!["localhost".to_owned()], store, Arc::new(calls), limits, Metrics::new(&registry).expect("fresh metrics"));
        let alice = router.bind(&alice, Some("a"), Arc::new(Mailbox::new(1 << 20)), Instant::now()).await.expect("binds");
        let mut world = Self { router, alice, devices: Vec::new() };
        for index in 0..devices {
            let mailbox = Arc::new(Mailbox::new(1 << 20));
            let session = world.router.bind(&bob, Some(&index.to_string()), mailbox.clone(), Instant::now()).await.expect("binds");
            world.router.handle(&session, parse("<presence/>").with_from(session.jid.clone())).await;
            world.devices.push(mailbox);
        }
        world.empty(&mut Vec::new());
        // The files stay open; their folder may go.
        std::fs::remove_dir_all(folder).expect("the folder is ours");
        world
    }

    fn empty(&self, out: &mut Vec<u8>) {
        let mut items = Vec::new();
        for mailbox in &self.devices {
            mailbox.drain(&mut items);
        }
        for item in items {
            if let Outgoing::Stanza(Delivery { stanza, .. }) = item {
                stanza.write(out, Framing::Stream);
            }
        }
    }
}

fn parse(xml: &'static str) -> Stanza {
    Stanza::parse(Bytes::from_static(xml.as_bytes()), &Bindings::client()).expect("well-formed")
}

const MESSAGE: &str = "<message to='bob@localhost' type='chat' id='m1'><body>Wherefore art thou, Romeo?</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>";

fn routing(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("message to a bare JID");
    for devices in [1, 4] {
        let world = runtime.block_on(World::new(devices));
        group.throughput(Throughput::Elements(devices as u64));
        group.bench_function(format!("{devices} devices"), |bench| {
            let mut out = Vec::with_capacity(4096);
            bench.iter(|| {
                out.clear();
                let stanza = parse(MESSAGE).with_from(world.alice.jid.clone());
                runtime.block_on(world.router.handle(&world.alice, stanza));
                world.empty(&mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
    c.bench_function("parse only", |bench| bench.iter(|| black_box(parse(MESSAGE))));
}

criterion_group!(benches, routing);
criterion_main!(benches);
