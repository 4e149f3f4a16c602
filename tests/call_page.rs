//! Promise: the call page takes a newcomer from log-in to a call, and says in words what is wrong.

use crate::support::peers;
use crate::support::server::{CONFIG, Server};
use serde_json::json;

fn scenario(name: &str) {
    scenario_on(&Server::start(), name);
}

fn scenario_on(server: &Server, name: &str) {
    peers::browser(server, "call_page.mjs", json!({ "scenario": name }));
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn log_in_and_what_can_be_wrong_with_it() {
    scenario("log_in");
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn contacts_text_and_a_call_with_pictures_through_the_relay() {
    scenario("call");
}

/// Both families on every listener and the relay told under the domain's name, as with the built-in defaults: if one family did not
/// answer, the browser would gather candidates for more than ten seconds.
#[test]
#[ignore = "Chromium: run tests/run"]
fn the_same_on_the_default_listeners() {
    let config = CONFIG.replace("127.0.0.1:0", "[::]:0").replace("public_address = \"127.0.0.1\"\n", "");
    scenario_on(&Server::build(&config, "", &["alice@localhost", "bob@localhost"]), "call");
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn calls_that_do_not_come_about() {
    scenario("endings");
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn two_calls_that_cross_become_one() {
    scenario("crossing");
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn nothing_is_lost_between_sdp_and_jingle() {
    scenario("mapping");
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn a_relay_that_refuses_is_named() {
    scenario("relay_trouble");
}

#[test]
#[ignore = "Chromium with stanza.js: run tests/run"]
fn a_client_of_others_is_called_and_calls() {
    scenario("foreign");
}
