//! Promise: people meet in rooms with the client or the library of their choice (XEP-0045 and what rests on it).
//!
//! The programs check each answer, each presence and each message themselves, and say what they have done, step by step.

use serde_json::json;

use crate::support::peers;
use crate::support::server::Server;

/// Every call of slixmpp's `xep_0045`, what it says by events, and the errors that it knows, by an owner and her guests.
#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_enters_runs_and_leaves_rooms() {
    peers::python(&Server::start(), "slixmpp_muc.py", json!({})).said(&[
        "discovery",
        "joining",
        "ghosts",
        "history",
        "reconfiguration",
        "doors",
        "nicknames",
        "messages",
        "roles",
        "affiliations",
        "invitations",
        "voice",
        "destruction",
    ]);
}

/// slixmpp's plugins for what other XEPs add to rooms: direct invitations, the archive, self-ping, occupant ids, retraction, moderation, hats,
/// registration, pictures.
#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_uses_what_rooms_have_besides() {
    peers::python(&Server::start(), "slixmpp_rooms.py", json!({})).said(&[
        "direct_invitations",
        "occupants",
        "self_ping",
        "archive",
        "retraction",
        "moderation",
        "registration",
        "hats",
        "avatar",
    ]);
}

/// Every method and signal of aioxmpp's `MUCClient` and its rooms.
#[test]
#[ignore = "aioxmpp: run tests/run"]
fn aioxmpp_enters_runs_and_leaves_rooms() {
    peers::debian_python(&Server::start(), "aioxmpp_muc.py", json!({})).said(&[
        "joining",
        "errors",
        "messages",
        "history",
        "occupants",
        "roles",
        "affiliations",
        "voice",
        "invitations",
        "configuration",
        "rejoining",
    ]);
}

/// Converse.js in Chromium over WebSocket: three people enter, write, read, come later, are muted, kicked, invited, banned, and take things back.
#[test]
#[ignore = "Chromium with Converse.js: run tests/run"]
fn people_chat_in_rooms_with_converse() {
    peers::browser(&Server::start(), "converse_muc.mjs", json!({})).said(&[
        "joined",
        "chatted",
        "history",
        "managed",
        "retracted",
        "doors",
        "destroyed",
    ]);
}
