//! Promise: a call in which neither side sees the other's SDP, but only what `campanile sdp` made of it, connects and carries media.

use crate::support::peers::{self, Peer};
use serde_json::json;

/// Those of tests/peers/sdp_call.mjs: media and data, simulcast, what is added, held, restarted and removed.
const ALL: usize = 8;

/// Some of the calls between two programs, or all; gives how many. A minute on two idle cores for all of them.
fn calls(initiator: &str, responder: &str, only: Option<&[&str]>) -> usize {
    let argument = json!({ "tool": env!("CARGO_BIN_EXE_campanile"), "initiator": initiator, "responder": responder, "calls": only });
    let mut peer = Peer::start(peers::interpreter("node", "sdp_call.mjs").arg(argument.to_string()));
    peer.done();
    peer.all("connected").count()
}

#[test]
#[ignore = "Chromium: run tests/run"]
fn chromium_calls_chromium() {
    assert_eq!(calls("chromium", "chromium", None), ALL);
}

#[test]
#[ignore = "Firefox: run tests/run"]
fn firefox_calls_firefox() {
    assert_eq!(calls("firefox", "firefox", None), ALL);
}

#[test]
#[ignore = "Chromium and Firefox: run tests/run"]
fn chromium_calls_firefox() {
    assert_eq!(calls("chromium", "firefox", None), ALL);
}

#[test]
#[ignore = "Chromium and Firefox: run tests/run"]
fn firefox_calls_chromium() {
    assert_eq!(calls("firefox", "chromium", None), ALL);
}

#[test]
#[ignore = "Chromium and aiortc: run tests/run"]
fn chromium_calls_aiortc_and_is_called() {
    for (initiator, responder) in [("chromium", "aiortc"), ("aiortc", "chromium")] {
        assert_eq!(calls(initiator, responder, Some(&["audio, video and data"])), 1);
    }
}
