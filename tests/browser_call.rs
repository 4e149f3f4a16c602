//! Promise: two browsers with stanza.js see and hear each other through our relay, over UDP, TCP and TLS.

use crate::support::peers;
use crate::support::server::Server;
use serde_json::json;

fn stanza_calls_stanza(via: &str) {
    let server = Server::start();
    let users = json!([["alice@localhost", crate::support::server::PASSWORD], ["bob@localhost", crate::support::server::PASSWORD]]);
    let events = peers::browser(&server, "stanza_call.mjs", json!({ "via": via, "users": users }));
    assert_eq!(events.all("heard").count(), 2);
}

#[test]
#[ignore = "Chromium with stanza.js: run tests/run"]
fn over_udp() {
    stanza_calls_stanza("udp");
}

#[test]
#[ignore = "Chromium with stanza.js: run tests/run"]
fn over_tcp() {
    stanza_calls_stanza("tcp");
}

#[test]
#[ignore = "Chromium with stanza.js: run tests/run"]
fn over_tls() {
    stanza_calls_stanza("tls");
}
