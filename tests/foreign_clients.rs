//! Promise: whatever library a client is made with, it logs in, finds its contacts, sees them come and go, and chats.
//!
//! Each program under `tests/peers` is called with HOST PORT CA JID PASSWORD and does the same. It logs in with TLS, trusting that one
//! authority, and says `online` (jid, tls); asks for the roster, `contact` (jid, subscription) for each item; sends presence. From then on it
//! says `presence` (from, type, show) and `message` (from, body), and answers a message with `echo ` before its body. After `bye` it closes its
//! stream and says `done`.

use std::process::Command;

use crate::support::peers::{self, Peer};
use crate::support::server::{PASSWORD, Server};
use crate::support::tls;
use crate::support::wire::Wire;

/// What has to be escaped on the way, or is not ASCII, in and out of the basic plane.
const BODIES: [&str; 4] = ["Wherefore art thou?", "<b>&amp; \"quotes\" 'too' ]]></b>", "Zürich · 日本語 · 🔔", "two\nlines\tand a tab"];

/// Alice uses the foreign client; bob is her contact, line by line.
fn chats(server: &Server, service: &str, mut program: Command) {
    become_contacts(server);
    let mut bob = Wire::online(server, "bob", "home");
    let (address, ca) = (server.address(service), tls::ca_file(server.folder()));
    let host = if service == "https" { "localhost".to_owned() } else { address.ip().to_string() };
    program.args([host, address.port().to_string()]).arg(&ca).args(["alice@localhost/foreign", PASSWORD]).env("NODE_EXTRA_CA_CERTS", &ca);
    let mut alice = Peer::start(&mut program);

    let online = alice.expect("online", &[("jid", "alice@localhost/foreign")]);
    assert!(online["tls"].as_str().is_some_and(|tls| tls != "no" && !tls.is_empty()), "{online}");
    // RFC 6121 §2.1.4
    alice.expect("contact", &[("jid", "bob@localhost"), ("subscription", "both")]);
    // §4.2.2, §4.3.2: her presence goes to him, and his, found by the server's probe, to her
    bob.stanza("presence", &["from='alice@localhost/foreign'"]);
    alice.expect("presence", &[("from", "bob@localhost/home"), ("type", "available")]);
    // §4.4.2, §4.5.2
    bob.send("<presence><show>dnd</show><status>in a call</status></presence>");
    alice.expect("presence", &[("from", "bob@localhost/home"), ("show", "dnd")]);
    bob.send("<presence type='unavailable'/>");
    alice.expect("presence", &[("from", "bob@localhost/home"), ("type", "unavailable")]);
    bob.send("<presence/>");
    alice.expect("presence", &[("from", "bob@localhost/home"), ("type", "available"), ("show", "")]);
    // RFC 6120 §10.1: in order, both ways
    for body in BODIES.iter().chain(&["bye"]) {
        bob.send(&format!("<message to='alice@localhost' type='chat'><body>{}</body></message>", escaped(body)));
    }
    for body in BODIES {
        assert_eq!(alice.expect("message", &[("from", "bob@localhost/home")])["body"], body);
    }
    for body in BODIES {
        let answer = bob.stanza("message", &["from='alice@localhost/foreign'"]);
        let text = answer.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>")).expect("a body").0;
        assert_eq!(unescaped(text), format!("echo {body}").replace('"', "'"), "{answer}");
    }
    alice.expect("message", &[("body", "bye")]);
    bob.stanza("presence", &["type='unavailable'", "from='alice@localhost/foreign'"]);
    alice.done();
}

/// RFC 6121 §3.1, both ways.
pub fn become_contacts(server: &Server) {
    let (mut alice, mut bob) = (Wire::online(server, "alice", "setup"), Wire::online(server, "bob", "setup"));
    for wire in [&mut alice, &mut bob] {
        // §2.2: only who has asked for the roster hears of subscriptions
        wire.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>");
    }
    for (from, to, name) in [(true, "bob@localhost", "alice@localhost"), (false, "alice@localhost", "bob@localhost")] {
        let (asking, asked) = if from { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        asking.send(&format!("<presence to='{to}' type='subscribe'/>"));
        asked.stanza("presence", &["type='subscribe'"]);
        asked.send(&format!("<presence to='{name}' type='subscribed'/>"));
        asking.stanza("presence", &["type='subscribed'"]);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text of an element, whichever way the client wrote it.
fn unescaped(text: &str) -> String {
    let mut out = text.to_owned();
    for (reference, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "'"),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&#xA;", "\n"),
        ("&#10;", "\n"),
        ("&#9;", "\t"),
        ("&amp;", "&"),
    ] {
        out = out.replace(reference, character);
    }
    out
}

#[test]
#[ignore = "slixmpp: run tests/run"]
fn slixmpp() {
    chats(&Server::start(), "c2s", peers::interpreter("python", "slixmpp_chat.py"));
}

#[test]
#[ignore = "stanza.js: run tests/run"]
fn stanza_js_over_websocket() {
    chats(&Server::start(), "https", peers::interpreter("node", "stanza_chat.mjs"));
}

#[test]
#[ignore = "libstrophe: run tests/run"]
fn libstrophe() {
    let server = Server::start();
    let program = peers::compiled(server.folder(), "strophe.c", "strophe");
    chats(&server, "c2s", program);
}

#[test]
#[ignore = "gloox: run tests/run"]
fn gloox() {
    let server = Server::start();
    let program = peers::compiled(server.folder(), "gloox.cpp", "gloox");
    chats(&server, "c2s", program);
}

#[test]
#[ignore = "XMPP4R: run tests/run"]
fn xmpp4r() {
    chats(&Server::start(), "c2s", peers::interpreter("ruby", "xmpp4r.rb"));
}

#[test]
#[ignore = "AnyEvent::XMPP: run tests/run"]
fn anyevent_xmpp() {
    chats(&Server::start(), "c2s", peers::interpreter("perl", "anyevent_xmpp.pl"));
}
