//! Promise: this machine may have a name in place of an address, and another address tomorrow; clients are told, the server goes on.

use std::fs;

use crate::support::server::{CONFIG, Server};
use crate::support::turn;
use crate::support::wire::{Wire, attribute};

/// Sets `server.public_address` in the file, and has it read again.
fn change(server: &Server, from: &str, to: &str) {
    let file = server.folder().join("campanile.toml");
    let config = fs::read_to_string(&file).unwrap();
    assert!(config.contains(from), "{config}");
    fs::write(&file, config.replace(from, to)).unwrap();
    server.signal("HUP");
}

/// XEP-0215 §3.2, and on SIGHUP.
#[test]
fn s3_2_clients_are_told_of_another_address() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let mut bob = Wire::bound(&server, "bob", "home");
    let before = turn::relay(&mut alice, "turn", "udp");
    assert_eq!(before.host, "127.0.0.1");
    change(&server, "public_address = \"127.0.0.1\"", "public_address = \"localhost\"");
    let push = alice.stanza("iq", &["type='set'", "<services", "urn:xmpp:extdisco:2"]);
    assert!(!push.starts_with("<iq from=") || attribute(&push, "from") == Some("localhost"), "{push}");
    for (action, host) in [("add", "localhost"), ("delete", "127.0.0.1")] {
        let service = push.split("<service ").find(|part| part.contains(&format!("action='{action}'")) && part.contains("type='turn'"));
        let service = service.unwrap_or_else(|| panic!("nothing to {action}: {push}"));
        assert!(service.contains(&format!("host='{host}'")), "{service}");
        // what is new can be used at once
        assert_eq!(service.contains("password='"), action == "add", "{service}");
    }
    alice.send(&format!("<iq type='result' id='{}' to='localhost'/>", attribute(&push, "id").expect("an id")));
    assert_eq!(turn::relay(&mut alice, "turn", "udp").host, "localhost");
    // who has not asked is not told
    bob.saw_nothing_of("extdisco");
    // a name that nobody knows changes nothing but the log: what works is not taken from anybody
    change(&server, "public_address = \"localhost\"", "public_address = \"no-such-name.invalid\"");
    server.logs("its last answer stays in use");
    alice.saw_nothing_of("extdisco");
    assert_eq!(turn::relay(&mut alice, "turn", "udp").host, "localhost");
}

/// A name is looked up at the start, and relayed addresses are told as what it stands for.
#[test]
fn a_name_stands_for_its_addresses() {
    let server = Server::with("server.public_address = \"localhost\"");
    let mut alice = Wire::bound(&server, "alice", "home");
    assert_eq!(turn::relay(&mut alice, "turn", "udp").host, "localhost");
    assert_eq!(relayed(&server, &mut alice), "127.0.0.1");
}

/// The address of a new allocation.
fn relayed(server: &Server, wire: &mut Wire) -> String {
    turn::Client::of(server, wire).allocate().expect("an allocation").ip().to_string()
}

/// XOR-RELAYED-ADDRESS (RFC 8656 §7.2) is what is configured, and another one after SIGHUP.
#[test]
fn relayed_addresses_are_told_as_the_outside_sees_them() {
    let server = Server::build(&CONFIG.replace("\"127.0.0.1\"", "\"203.0.113.7\""), "turn.host = \"localhost\"", &["alice@localhost"]);
    let mut alice = Wire::bound(&server, "alice", "home");
    assert_eq!(relayed(&server, &mut alice), "203.0.113.7");
    change(&server, "203.0.113.7", "203.0.113.8");
    server.logged("the public address has changed");
    assert_eq!(relayed(&server, &mut alice), "203.0.113.8");
}
