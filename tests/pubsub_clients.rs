//! Promise: applications publish, subscribe and administer nodes at the PubSub service with the library of their choice (XEP-0060, XEP-0248).
//!
//! The programs check each answer and each notification themselves, and say what they have done, step by step.

use serde_json::json;

use crate::foreign_clients::{addressed, become_contacts};
use crate::support::peers::{self, Peer};
use crate::support::server::{PASSWORD, Server};

/// Every call of slixmpp's `xep_0060`, by an owner, a contact with two resources and a stranger.
#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_owns_publishes_and_subscribes() {
    peers::python(&Server::start(), "slixmpp_pubsub.py", json!({})).said(&[
        "discovery",
        "configuration",
        "publication",
        "pages",
        "payloads",
        "subscriptions",
        "last_item",
        "options",
        "affiliations",
        "access",
        "authorization",
        "publish_options",
        "transient",
        "collections",
    ]);
}

/// Every method and signal of `aioxmpp.PubSubClient`.
#[test]
#[ignore = "aioxmpp: run tests/run"]
fn aioxmpp_owns_publishes_and_subscribes() {
    peers::debian_python(&Server::start(), "aioxmpp_pubsub.py", json!({})).said(&[
        "features",
        "nodes",
        "items",
        "notify",
        "options",
        "administration",
        "publish_options",
    ]);
}

/// Every call of stanza.js's pubsub plugin, and its events of PEP, over WebSocket.
#[test]
#[ignore = "stanza.js: run tests/run"]
fn stanza_js_owns_publishes_and_subscribes() {
    let server = Server::start();
    become_contacts(&server);
    let mut both = Peer::start(addressed(&server, "https", peers::interpreter("node", "stanza_pubsub.mjs")).arg(PASSWORD));
    both.done();
    for step in ["created", "published", "managed", "events"] {
        assert!(both.all(step).next().is_some(), "{step}");
    }
}

/// Every call of gloox's `PubSub::Manager`.
#[test]
#[ignore = "gloox: run tests/run"]
fn gloox_owns_publishes_and_subscribes() {
    let server = Server::start();
    let program = peers::compiled(server.folder(), "gloox_pubsub.cpp", "gloox");
    Peer::start(addressed(&server, "c2s", program).args(["alice@localhost/gloox", PASSWORD, "pubsub.localhost"])).done();
}
