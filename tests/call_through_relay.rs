//! Promise: two clients that we did not write call each other by Jingle and hear each other through our relay, however they reach it.

use crate::support::http;
use crate::support::peers;
use crate::support::server::Server;
use serde_json::{Value, json};

fn slixmpp_calls_slixmpp(via: &str) {
    let server = Server::start();
    check_call(&server, json!({ "via": via }));
}

fn check_call(server: &Server, how: Value) {
    let events = peers::python(server, "call.py", how);
    let heard = events.get("heard");
    assert!(heard["frames"].as_array().is_some_and(|frames| frames.len() == 2), "{heard}");
    // The server knows what it carried, and lets go of it.
    let metrics = || http::get(server.address("admin"), "/metrics").body;
    let then = metrics();
    assert!(http::metric(&then, "campanile_calls_total", "outcome=\"answered\"") >= 1.0, "{then}");
    assert!(http::metric(&then, "campanile_calls_relayed_candidates_total", "relay=\"own\"") >= 2.0, "{then}");
    assert!(http::metric(&then, "campanile_calls_active", "").abs() < f64::EPSILON, "{then}");
    // No allocation outlives the call that it served.
    http::until_metric(server.address("admin"), "campanile_turn_allocations", 0.0);
}

#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn over_udp() {
    slixmpp_calls_slixmpp("udp");
}

#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn over_tcp() {
    slixmpp_calls_slixmpp("tcp");
}

#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn over_tls() {
    slixmpp_calls_slixmpp("tls");
}

/// Where only port 443 is let out: log-in, calls and media on one port.
#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn over_the_port_for_everything() {
    let server = Server::with("server.mux = [\"127.0.0.1:0\"]");
    let port = server.address("mux").port();
    check_call(&server, json!({ "via": port, "direct_tls": true, "port": port }));
    let metrics = http::get(server.address("admin"), "/metrics").body;
    for protocol in ["xmpp", "turn"] {
        assert!(http::metric(&metrics, "campanile_mux_connections_total", protocol) >= 2.0, "{protocol}: {metrics}");
    }
    for elsewhere in ["udp", "tcp"] {
        let made = http::metric(&metrics, "campanile_turn_allocations_total", &format!("\"{elsewhere}\""));
        assert!(made.abs() < f64::EPSILON, "{elsewhere}: {metrics}");
    }
}
