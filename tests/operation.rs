//! Promise: an operator can watch, reload and stop the server without surprises, and it starts with its defaults.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::folder::Folder;
use crate::support::server::{CONFIG, Server, campanile, text, variables};
use crate::support::wire::Wire;
use crate::support::{http, tls};

#[test]
fn sigterm_tells_the_clients_and_ends_in_time() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        let mut alice = Wire::online(&server, "alice", "home");
        server.signal(signal);
        alice.expect_stream_error("system-shutdown");
        let status = server.ended(Duration::from_secs(10)).expect("within 10 s");
        assert!(status.success(), "{signal}: {status}");
    }
}

/// A killed server leaves nothing behind that keeps the next one from starting, and has lost nothing that it confirmed.
#[test]
fn a_killed_server_starts_again_with_everything() {
    let mut server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let item = "<query xmlns='jabber:iq:roster'><item jid='bob@localhost'/></query>";
    assert!(alice.iq("s", "type='set'", item).contains("type='result'"));
    server.signal("KILL");
    server.ended(Duration::from_secs(10)).expect("SIGKILL");
    let server = server.restart(&[]);
    let mut alice = Wire::bound(&server, "alice", "home");
    assert!(alice.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>").contains("jid='bob@localhost'"));
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_in_words() {
    let server = Server::start();
    let second = server.command(&["serve"]);
    assert!(!second.status.success());
    let said = text(&second);
    assert!(said.contains("data"), "{said}");
    // and the first one goes on
    Wire::bound(&server, "alice", "home");
}

/// SIGHUP and changed files: new connections get the new certificate, old ones stay.
#[test]
fn a_renewed_certificate_is_taken_up() {
    let server = Server::start();
    let shown = || tls::shown(&tls::connect(TcpStream::connect(server.address("direct_tls")).unwrap(), &["xmpp-client"]).expect("TLS"));
    let before = shown();
    let mut alice = Wire::online(&server, "alice", "home");
    fs::write(server.folder().join("cert.pem"), &tls::renewed().certificate).unwrap();
    fs::write(server.folder().join("key.pem"), &tls::renewed().key).unwrap();
    server.signal("HUP");
    server.logs("certificate");
    let end = std::time::Instant::now() + crate::support::PATIENCE;
    while shown() == before {
        assert!(std::time::Instant::now() < end, "the old certificate is still shown");
    }
    let turn = tls::shown(&tls::connect(TcpStream::connect(server.address("turn_tls")).unwrap(), &[]).expect("TLS"));
    assert_ne!(turn, before, "the relay shows the old one");
    assert!(alice.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>").contains("type='result'"));
    // a certificate that cannot be read changes nothing
    fs::write(server.folder().join("cert.pem"), "nonsense").unwrap();
    server.signal("HUP");
    server.logs("cert.pem");
    assert_eq!(shown(), turn);
}

/// SIGHUP and a changed file: new streams are held to it, old ones stay, and the log names what has to wait.
#[test]
fn a_changed_limit_is_taken_up() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    fs::write(server.folder().join("campanile.toml"), format!("{CONFIG}\n[limits]\nauth_attempts = 1\nroster_items = 5\n")).unwrap();
    server.signal("HUP");
    let said = server.logged("configuration reloaded");
    assert_eq!(said["changed"], "limits.auth_attempts");
    assert_eq!(said["after_restart"], "limits.roster_items");
    let mut wire = Wire::secure(&server);
    wire.auth("PLAIN", &STANDARD.encode("\0alice\0wrong")).expect_err("the password is wrong");
    wire.expect_stream_error("policy-violation");
    assert!(alice.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>").contains("type='result'"));
}

/// XEP-0215 §3.2: a client that is logged in hears of a relay's new name, and is given credentials for it.
#[test]
fn a_changed_name_of_the_relay_is_told_to_clients() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let services = "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>";
    assert!(!alice.iq("e", "type='get' to='localhost'", services).contains("turn.localhost"));
    fs::write(server.folder().join("campanile.toml"), CONFIG.replace("[turn]", "[turn]\nhost = \"turn.localhost\"")).unwrap();
    server.signal("HUP");
    assert_eq!(server.logged("configuration reloaded")["changed"], "turn.host");
    let push = alice.stanza("iq", &["type='set'", "urn:xmpp:extdisco:2"]);
    for part in ["from='localhost'", "action='add'", "host='turn.localhost'", "password='", "action='delete'"] {
        assert!(push.contains(part), "{part} is missing in {push}");
    }
    assert!(alice.iq("f", "type='get' to='localhost'", services).contains("turn.localhost"));
}

#[test]
fn metrics_health_and_ready_tell_the_truth() {
    let server = Server::start();
    let admin = server.address("admin");
    for path in ["/health", "/ready"] {
        assert_eq!(http::get(admin, path).status, 200, "{path}");
    }
    let metrics = || http::get(admin, "/metrics");
    let answer = metrics();
    assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
    for line in answer.body.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        assert!(line.starts_with("campanile_"), "{line}");
    }
    assert!(http::metric(&answer.body, "campanile_connections", "direct_tls").abs() < f64::EPSILON);
    let alice = Wire::online(&server, "alice", "home");
    let mut bob = Wire::online(&server, "bob", "home");
    assert!((http::metric(&metrics().body, "campanile_connections", "direct_tls") - 2.0).abs() < f64::EPSILON);
    drop(alice);
    let end = std::time::Instant::now() + crate::support::PATIENCE;
    while (http::metric(&metrics().body, "campanile_connections", "direct_tls") - 1.0).abs() > f64::EPSILON {
        assert!(std::time::Instant::now() < end, "the session of a lost connection is still counted");
    }
    bob.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>");
    // nothing but these is open
    for path in ["/api/v1/sessions", "/debug", "/../data/campanile.db"] {
        assert!(matches!(http::get(admin, path).status, 400 | 401 | 403 | 404), "{path}");
    }
}

/// Every listener on both families, as by default; the relay is told under the domain's name.
#[test]
fn the_default_listeners_serve_both_families() {
    let config = CONFIG.replace("127.0.0.1:0", "[::]:0").replace("public_address = \"127.0.0.1\"\n", "");
    let server = Server::build(&config, "", &["alice@localhost"]);
    let port = server.address("c2s").port();
    for address in ["127.0.0.1", "::1"] {
        let mut wire = Wire::tcp((address.parse::<std::net::IpAddr>().unwrap(), port).into());
        wire.header();
    }
    let mut alice = Wire::direct_tls((std::net::Ipv4Addr::LOCALHOST, server.address("direct_tls").port()).into());
    alice.header();
    alice.log_in("alice");
    alice.bind("home");
    let services = crate::support::turn::services(&mut alice, "type='turn'");
    assert!(!services.is_empty());
    for service in services {
        assert!(["localhost", "127.0.0.1"].contains(&service.host.as_str()), "{}", service.text);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    fs::write(folder.path().join("campanile.toml"), CONFIG).unwrap();
    fs::write(folder.path().join("cert.pem"), &tls::leaf().certificate).unwrap();
    fs::write(folder.path().join("key.pem"), &tls::leaf().key).unwrap();
    let output = campanile(folder.path()).arg("serve").envs(variables(&format!("c2s.listen = [\"{address}\"]"))).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains(&address), "{}", text(&output));
}
