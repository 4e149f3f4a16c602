//! Promise: a client that floods, drips, lies or hoards is cut off or refused with the right error; the others notice nothing, and memory stays bounded.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::wire::{HEADER, Wire};

/// A message from alice reaches bob: the server works for others.
fn others_talk(alice: &mut Wire, bob: &mut Wire, number: usize) {
    alice.send(&format!("<message to='bob@localhost' type='chat'><body>line {number}</body></message>"));
    bob.stanza("message", &[&format!("<body>line {number}</body>")]);
}

/// RFC 6120 §13.12: whoever takes for ever to say who it is, is cut off, however busy it seems.
#[test]
fn a_slow_drip_before_authentication_runs_out_of_time() {
    let server = Server::with("limits.handshake_s = 2");
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "a"), Wire::online(&server, "bob", "b"));
    let mut drip = Wire::tcp(server.address("c2s"));
    let began = Instant::now();
    let mut said = String::new();
    for number in 0.. {
        drip.send(if number == 0 { "<stream:stream to='" } else { "x" });
        others_talk(&mut alice, &mut bob, number);
        if began.elapsed() > Duration::from_secs(2) {
            said = drip.until_closed();
            break;
        }
    }
    assert!(said.contains("<connection-timeout"), "{said}");
    assert!(began.elapsed() < PATIENCE);
}

/// One source cannot take the places of all others.
#[test]
fn half_open_streams_of_one_source_are_bounded_and_others_get_in() {
    const PLACES: usize = 50;
    let server = Server::with(&format!("limits.connections_per_source = {PLACES}"));
    let before = server.resident_kb();
    let source = |last: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let mut open = Vec::new();
    for last in 2..22 {
        for _ in 0..PLACES {
            let mut wire = Wire::tcp_from(source(last), server.address("c2s"));
            wire.send("<?xml version='1.0'?><stream:stream to='localhost' ");
            open.push(wire);
        }
        let mut refused = Wire::tcp_from(source(last), server.address("c2s"));
        let said = refused.until_closed();
        assert!(said.contains("<resource-constraint"), "127.0.0.{last}: {said}");
    }
    let grown = server.resident_kb().saturating_sub(before);
    assert!(grown < 64 * open.len() as u64, "{grown} kB for {} half-open streams", open.len());
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "a"), Wire::online(&server, "bob", "b"));
    others_talk(&mut alice, &mut bob, 0);
    // and a place that is given back is free again
    drop(open);
    let end = Instant::now() + PATIENCE;
    loop {
        let mut again = Wire::tcp_from(source(2), server.address("c2s"));
        again.send(HEADER);
        if again.expect_any(&["</stream:features>", "</stream:error>"]).0 == 0 {
            break;
        }
        assert!(Instant::now() < end, "the places of closed connections stay taken");
    }
}

/// RFC 6120 §8.1.2.1: nobody speaks in another's name.
#[test]
fn a_spoofed_from_ends_the_stream_and_reaches_nobody() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "b");
    for from in ["carol@localhost", "carol@localhost/c", "localhost", "alice@localhost/other", "alice@elsewhere.example"] {
        let mut alice = Wire::online(&server, "alice", "a");
        alice.send(&format!("<message from='{from}' to='bob@localhost'><body>spoofed</body></message>"));
        alice.expect_stream_error("invalid-from");
    }
    bob.saw_nothing_of("spoofed");
}

/// Answers that nobody asked for go nowhere (RFC 6121 §8.5.2.1.3, §8.5.3.2.3), and cost no one else anything.
#[test]
fn a_flood_of_results_is_swallowed() {
    let server = Server::with("limits.bytes_per_second = 100000000");
    let (mut alice, mut bob, mut carol) =
        (Wire::online(&server, "alice", "a"), Wire::online(&server, "bob", "b"), Wire::bound(&server, "carol", "c"));
    let before = server.resident_kb();
    let flood: String = ["localhost", "bob@localhost", "bob@localhost/nowhere", "nobody@localhost/x", "carol@localhost"]
        .iter()
        .flat_map(|to| {
            [format!("<iq type='result' id='r' to='{to}'/>"), format!("<iq type='error' id='e' to='{to}'><error type='cancel'/></iq>")]
        })
        .collect();
    for number in 0..400 {
        carol.send(&flood);
        if number % 40 == 0 {
            others_talk(&mut alice, &mut bob, number);
        }
    }
    carol.saw_nothing_of("<error");
    bob.saw_nothing_of("id='r'");
    let grown = server.resident_kb().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} kB more");
}

/// A roster has its bound, and whoever runs into it keeps a roster that works.
#[test]
fn a_roster_of_a_hundred_thousand_items_stops_at_the_limit() {
    const ITEMS: usize = 300;
    let server =
        Server::with(&format!("limits.roster_items = {ITEMS}\nlimits.bytes_per_second = 100000000\nlimits.bytes_burst = 100000000"));
    let (mut alice, mut bob, mut carol) =
        (Wire::online(&server, "alice", "a"), Wire::online(&server, "bob", "b"), Wire::bound(&server, "carol", "c"));
    let mut settled = 0;
    let set = |number: usize| {
        format!("<iq type='set' id='s{number}'><query xmlns='jabber:iq:roster'><item jid='c{number}@localhost'/></query></iq>")
    };
    for block in 0..100 {
        carol.send(&(block * 1000..(block + 1) * 1000).map(set).collect::<String>());
        let last = carol.stanza("iq", &[&format!("id='s{}'", (block + 1) * 1000 - 1)]);
        assert!(last.contains("<resource-constraint"), "{last}");
        if block % 10 == 0 {
            others_talk(&mut alice, &mut bob, block);
        }
        carol.forget();
        if block == 20 {
            // all buffers have had their use
            settled = server.resident_kb();
        }
    }
    let grown = server.resident_kb().saturating_sub(settled);
    assert!(grown < 16 * 1024, "{grown} kB more after four fifths of it");
    let roster = Wire::bound(&server, "carol", "again").iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
    assert_eq!(roster.matches("<item ").count(), ITEMS);
}

/// Whoever changes its presence all the time takes neither the memory of the server nor the time of others, also when a contact does not read.
#[test]
fn a_presence_storm_is_bounded() {
    let server = Server::with("limits.bytes_per_second = 100000000\nlimits.mailbox_bytes = 1048576");
    let mut storm = Wire::online(&server, "carol", "c");
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "a"), Wire::online(&server, "bob", "b"));
    let deaf = Wire::online(&server, "bob", "deaf");
    for wire in [&mut storm, &mut bob] {
        // only who has asked for its roster is told of subscriptions
        wire.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
    }
    for (one, other) in [("carol", "bob"), ("bob", "carol")] {
        let (asker, asked) = if one == "carol" { (&mut storm, &mut bob) } else { (&mut bob, &mut storm) };
        asker.send(&format!("<presence type='subscribe' to='{other}@localhost'/>"));
        asked.stanza("presence", &["type='subscribe'", &format!("from='{one}@localhost'")]);
        asked.send(&format!("<presence type='subscribed' to='{one}@localhost'/>"));
        asker.stanza("presence", &["type='subscribed'", &format!("from='{other}@localhost'")]);
    }
    let before = server.resident_kb();
    let status = "s".repeat(1000);
    for number in 0..10_000 {
        storm.send(&format!("<presence><status>{status}{number}</status></presence>"));
        if number % 100 == 0 {
            // its own presence comes back to it: who storms and does not read ends itself
            storm.stanza("presence", &[&format!("s{number}<")]);
            others_talk(&mut alice, &mut bob, number);
            storm.forget();
            bob.forget();
        }
    }
    bob.stanza("presence", &["s9999<"]);
    let grown = server.resident_kb().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} kB more");
    drop(deaf);
}
