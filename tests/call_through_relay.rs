//! Promise: two clients that we did not write call each other by Jingle and hear each other through our relay, however they reach it.

use crate::support::http;
use crate::support::peers;
use crate::support::server::Server;
use serde_json::json;

fn slixmpp_calls_slixmpp(via: &str) {
    let server = Server::start();
    let events = peers::python(&server, "call.py", json!({ "via": via }));
    let heard = events.get("heard");
    assert!(heard["frames"].as_array().is_some_and(|frames| frames.len() == 2), "{heard}");
    // the server knows what it carried
    let metrics = http::get(server.address("admin"), "/metrics").body;
    assert!(http::metric(&metrics, "campanile_calls_total", "") >= 1.0);
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
