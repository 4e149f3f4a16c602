//! Promise: two clients that we did not write call each other by Jingle and hear each other through our relay, however they reach it.

use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::peers;
use crate::support::server::Server;
use serde_json::json;

fn slixmpp_calls_slixmpp(via: &str) {
    let server = Server::start();
    let events = peers::python(&server, "call.py", json!({ "via": via }));
    let heard = events.get("heard");
    assert!(heard["frames"].as_array().is_some_and(|frames| frames.len() == 2), "{heard}");
    // The server knows what it carried, and lets go of it.
    let metrics = || http::get(server.address("admin"), "/metrics").body;
    let then = metrics();
    assert!(http::metric(&then, "campanile_calls_total", "outcome=\"answered\"") >= 1.0, "{then}");
    assert!(http::metric(&then, "campanile_calls_relayed_candidates_total", "relay=\"own\"") >= 2.0, "{then}");
    assert!(http::metric(&then, "campanile_calls_active", "").abs() < f64::EPSILON, "{then}");
    let end = Instant::now() + Duration::from_secs(60);
    while http::metric(&metrics(), "campanile_turn_allocations", "") > 0.0 {
        assert!(Instant::now() < end, "allocations outlive the call they served");
        std::thread::sleep(Duration::from_millis(100));
    }
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
