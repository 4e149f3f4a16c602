//! Promise: a browser call in which neither side sees the other's SDP, but only what `campanile sdp` made of it, connects and carries media.

use crate::support::peers::{self, Peer};
use serde_json::json;

/// One after the other: audio with video and data, simulcast, what is added, held, restarted and removed.
fn calls(initiator: &str, responder: &str) {
    let argument = json!({ "tool": env!("CARGO_BIN_EXE_campanile"), "initiator": initiator, "responder": responder });
    let mut peer = Peer::start(peers::interpreter("node", "sdp_call.mjs").arg(argument.to_string()));
    peer.done();
    assert_eq!(peer.all("connected").count(), 8);
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn chromium_calls_chromium() {
    calls("chromium", "chromium");
}

#[test]
#[ignore = "Firefox: run tests/run"]
fn firefox_calls_firefox() {
    calls("firefox", "firefox");
}

#[test]
#[ignore = "Chromium and Firefox: run tests/run"]
fn chromium_calls_firefox() {
    calls("chromium", "firefox");
}

#[test]
#[ignore = "Chromium and Firefox: run tests/run"]
fn firefox_calls_chromium() {
    calls("firefox", "chromium");
}
