//! Promise: three clients that we did not write hold a conference in a room (XEP-0272) and hear each other through our relay.

use std::fs;

use crate::support::http;
use crate::support::peers;
use crate::support::server::Server;
use serde_json::json;

/// Two begin at once, the third comes later: a session for each pair, between real addresses, with an allocation at each end.
#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn three_clients_make_a_mesh() {
    const PAIRS: f64 = 3.0;
    let server = Server::start();
    let metrics = || http::get(server.address("admin"), "/metrics").body;
    let is = |text: &str, name: &str, wanted: f64| (http::metric(text, name, "") - wanted).abs() < f64::EPSILON;
    let over = server.folder().join("over");
    let mut conference = peers::python_running(&server, "muji.py", json!({ "via": "udp", "until": over }));

    assert_eq!(conference.expect("mesh", &[])["sessions"], 3);
    let heard = conference.expect("heard", &[]);
    assert!(heard["frames"].as_object().is_some_and(|edges| edges.len() == 6), "{heard}");
    let then = metrics();
    assert!(is(&then, "campanile_calls_active", PAIRS), "{then}");
    http::until_metric(server.address("admin"), "campanile_turn_allocations", 2.0 * PAIRS);

    fs::write(&over, "").unwrap();
    let left = conference.expect("left", &[]);
    assert!(left["frames"].as_object().is_some_and(|edges| edges.len() == 2), "{left}");
    conference.done();
    // The server knows what it carried, and lets go of it.
    let then = metrics();
    assert!(http::metric(&then, "campanile_calls_total", "outcome=\"answered\"") >= PAIRS, "{then}");
    assert!(http::metric(&then, "campanile_calls_relayed_candidates_total", "relay=\"own\"") >= 2.0 * PAIRS, "{then}");
    assert!(is(&then, "campanile_calls_active", 0.0), "{then}");
    // No allocation outlives the conference that it served.
    http::until_metric(server.address("admin"), "campanile_turn_allocations", 0.0);
}
