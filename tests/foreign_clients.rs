//! Promise: whatever library a client is made with, it logs in, finds its contacts, sees them come and go, and chats.
//!
//! Each program under `tests/peers` is called with HOST PORT CA JID PASSWORD and does the same. It logs in with TLS, trusting that one
//! authority, and says `online` (jid, tls); asks for the roster, `contact` (jid, subscription) for each item; sends presence. From then on it
//! says `presence` (from, type, show) and `message` (from, body), and answers a message with `echo ` before its body. After `bye` it closes its
//! stream and says `done`.

use std::fs;
use std::process::Command;

use crate::support::network::Network;
use crate::support::peers::{self, Peer};
use crate::support::server::{CONFIG, PASSWORD, Server, text};
use crate::support::terminal::Terminal;
use crate::support::tls;
use crate::support::wire::Wire;

/// What has to be escaped on the way, or is not ASCII, in and out of the basic plane.
const BODIES: [&str; 4] = ["Wherefore art thou?", "<b>&amp; \"quotes\" 'too' ]]></b>", "Zürich · 日本語 · 🔔", "two\nlines\tand a tab"];

/// A program with HOST PORT CA as its arguments.
pub fn addressed(server: &Server, service: &str, mut program: Command) -> Command {
    let (address, ca) = (server.address(service), tls::ca_file(server.folder()));
    let host = if service == "https" { "localhost".to_owned() } else { address.ip().to_string() };
    program.args([host, address.port().to_string()]).arg(&ca).env("NODE_EXTRA_CA_CERTS", &ca);
    program
}

/// Alice's program, started.
fn start(server: &Server, service: &str, program: Command) -> Peer {
    Peer::start(addressed(server, service, program).args(["alice@localhost/foreign", PASSWORD]))
}

/// Alice uses the foreign client; bob is her contact, line by line.
fn chats(server: &Server, service: &str, program: Command) {
    become_contacts(server);
    let mut bob = Wire::online(server, "bob", "home");
    let mut alice = start(server, service, program);

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
    let say = |bob: &mut Wire, body: &str| {
        bob.send(&format!("<message to='alice@localhost' type='chat'><body>{}</body></message>", escaped(body)));
    };
    for body in BODIES {
        say(&mut bob, body);
    }
    for body in BODIES {
        assert_eq!(alice.expect("message", &[("from", "bob@localhost/home")])["body"], body);
    }
    for body in BODIES {
        let answer = bob.stanza("message", &["from='alice@localhost/foreign'"]);
        let text = answer.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>")).expect("a body").0;
        assert_eq!(unescaped(text), format!("echo {body}").replace('"', "'"), "{answer}");
    }
    say(&mut bob, "bye");
    alice.expect("message", &[("body", "bye")]);
    bob.stanza("presence", &["type='unavailable'", "from='alice@localhost/foreign'"]);
    alice.done();
}

/// XEP-0198 §5: alice's client cuts its connection when it reads `cut`, and in the middle of the answers that `burst N` asks for; it comes back
/// by itself and says `resumed`. Each line is seen once, both ways.
fn resumes_in_a_burst(service: &str, program: Command) {
    const LINES: usize = 200;
    let server = Server::start();
    become_contacts(&server);
    let mut bob = Wire::online(&server, "bob", "home");
    let mut alice = start(&server, service, program);
    alice.expect("online", &[("jid", "alice@localhost/foreign")]);
    bob.stanza("presence", &["from='alice@localhost/foreign'"]);
    let say =
        |bob: &mut Wire, body: &str| bob.send(&format!("<message to='alice@localhost/foreign' type='chat'><body>{body}</body></message>"));
    let line = |number: usize| if number == LINES / 3 { "cut".to_owned() } else { format!("line {number}") };
    for resumed in 1..=2 {
        for number in 0..LINES {
            say(&mut bob, &line(number));
        }
        for number in 0..LINES {
            assert_eq!(alice.expect("message", &[])["body"], line(number));
        }
        if alice.all("resumed").count() < resumed {
            alice.expect("resumed", &[]);
        }
    }
    for _ in 0..2 {
        say(&mut bob, &format!("burst {LINES}"));
        for number in 0..LINES {
            let got = bob.stanza("message", &["from='alice@localhost/foreign'"]);
            assert!(got.contains(&format!("<body>answer {number}</body>")), "{got} instead of answer {number}");
        }
    }
    bob.saw_nothing_of("<presence");
    say(&mut bob, "bye");
    bob.stanza("presence", &["type='unavailable'"]);
    alice.done();
    assert_eq!(alice.all("resumed").count(), 4);
    assert_eq!(alice.all("message").count(), 2 * LINES + 3);
}

#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_resumes_in_a_burst() {
    resumes_in_a_burst("c2s", peers::interpreter("python", "resume.py"));
}

#[test]
#[ignore = "stanza.js: run tests/run"]
fn stanza_js_resumes_in_a_burst() {
    resumes_in_a_burst("https", peers::interpreter("node", "stanza_resume.mjs"));
}

/// A device of alice's: it says `shown` (how, id, body, from) for whatever its user would see. With a last argument it first fetches what the archive
/// has after that id, or all for an empty one; then it enables carbons, sends presence and says `synchronised`. `say …` is what to write to bob.
struct Device {
    resource: &'static str,
    service: &'static str,
    program: fn() -> Command,
    /// Body and id of each message that it showed, over all its sessions.
    seen: Vec<(String, String)>,
}

impl Device {
    fn slixmpp(resource: &'static str) -> Self {
        Self { resource, service: "c2s", program: || peers::interpreter("python", "history.py"), seen: Vec::new() }
    }

    fn stanza_js(resource: &'static str) -> Self {
        Self { resource, service: "https", program: || peers::interpreter("node", "stanza_history.mjs"), seen: Vec::new() }
    }

    fn log_in(&self, server: &Server, after: Option<&str>) -> Peer {
        let mut command = addressed(server, self.service, (self.program)());
        command.arg(format!("alice@localhost/{}", self.resource)).arg(PASSWORD).args(after);
        let mut peer = Peer::start(&mut command);
        peer.expect("synchronised", &[]);
        peer
    }

    /// Has it log out, by a message of bob's.
    fn log_out(&mut self, mut peer: Peer, bob: &mut Wire) {
        bob.send(&chat(&format!("alice@localhost/{}", self.resource), "bye"));
        bob.stanza("presence", &["type='unavailable'", &format!("from='alice@localhost/{}'", self.resource)]);
        peer.done();
        let text = |event: &serde_json::Value, key: &str| event[key].as_str().expect("text").to_owned();
        self.seen.extend(peer.all("shown").map(|event| (text(event, "body"), text(event, "id"))));
    }

    fn last_id(&self) -> &str {
        &self.seen.last().expect("it has seen some").1
    }
}

fn chat(to: &str, body: &str) -> String {
    format!("<message to='{to}' type='chat'><body>{body}</body></message>")
}

/// XEP-0160, XEP-0280, XEP-0313 and XEP-0359 together: whichever way a message comes to a device, it comes once, and under the same id to all.
fn each_message_is_shown_once(mut one: Device, mut two: Device) {
    let server = Server::start();
    become_contacts(&server);
    let mut bob = Wire::online(&server, "bob", "home");
    let bodies = |name: &str| [1, 2, 3, 4].map(|number| format!("{name} {number}"));
    let tell = |bob: &mut Wire, bodies: &[String]| bodies.iter().for_each(|body| bob.send(&chat("alice@localhost", body)));
    let (early, away, nobody) = (bodies("early"), bodies("away"), bodies("nobody"));

    tell(&mut bob, &early);
    bob.saw_nothing_of("<error");
    let mut first = one.log_in(&server, None);
    let mut ids = Vec::new();
    for body in &early {
        ids.push(first.expect("shown", &[("how", "delayed"), ("body", body)])["id"].as_str().expect("text").to_owned());
    }
    assert!(ids.iter().all(|id| !id.is_empty()), "XEP-0359: no id in {ids:?}");
    let mut second = two.log_in(&server, Some(""));
    bob.stanza("presence", &[&format!("from='alice@localhost/{}'", two.resource)]);
    tell(&mut bob, &["both".to_owned()]);
    for (peer, body, how) in [(&mut first, "both", "live"), (&mut second, "both", "live")] {
        peer.expect("shown", &[("how", how), ("body", body)]);
    }
    bob.send(&chat(&format!("alice@localhost/{}", one.resource), "say hello"));
    first.expect("shown", &[("how", "live"), ("body", "say hello")]);
    second.expect("shown", &[("how", "received"), ("body", "say hello")]);
    bob.stanza("message", &["<body>hello</body>"]);
    second.expect("shown", &[("how", "sent"), ("body", "hello")]);
    two.log_out(second, &mut bob);
    assert_eq!(two.seen[..4].iter().map(|(_, id)| id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());

    tell(&mut bob, &away);
    first.expect("shown", &[("how", "live"), ("body", &away[3])]);
    one.log_out(first, &mut bob);
    tell(&mut bob, &nobody);
    for device in [&mut two, &mut one] {
        let peer = device.log_in(&server, Some(device.last_id()));
        device.log_out(peer, &mut bob);
    }

    let wanted = |device: &Device, own: &[&str]| {
        let mut wanted: Vec<&str> = [&early, &away, &nobody].into_iter().flatten().map(String::as_str).chain(own.iter().copied()).collect();
        wanted.sort_unstable();
        let mut seen: Vec<&str> = device.seen.iter().map(|(body, _)| body.as_str()).collect();
        seen.sort_unstable();
        assert_eq!(seen, wanted, "{}: {:?}", device.resource, device.seen);
    };
    // `bye` four times: each twice to one device, and to the other by a carbon or the archive, but the last, which came after its end
    wanted(&two, &["both", "bye", "bye", "bye", "hello", "say hello"]);
    wanted(&one, &["both", "bye", "bye", "bye", "bye", "say hello"]);
    for (body, id) in one.seen.iter().filter(|(body, _)| body != "bye") {
        let other = two.seen.iter().find(|(other, _)| other == body).expect("both have seen it");
        assert_eq!(id, &other.1, "{body}");
    }
}

#[test]
#[ignore = "slixmpp, stanza.js: run tests/run"]
pub fn slixmpp_and_stanza_js_show_each_message_once() {
    each_message_is_shown_once(Device::slixmpp("desk"), Device::stanza_js("web"));
}

#[test]
#[ignore = "slixmpp, stanza.js: run tests/run"]
fn stanza_js_and_slixmpp_show_each_message_once() {
    each_message_is_shown_once(Device::stanza_js("web"), Device::slixmpp("desk"));
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

/// Profanity 0.13: a client that people use in a terminal. It trusts a folder of certificates, each under the name that OpenSSL looks for.
#[test]
#[ignore = "Profanity, tmux, OpenSSL: run tests/run"]
fn profanity_in_a_terminal() {
    let server = Server::start();
    become_contacts(&server);
    let mut bob = Wire::online(&server, "bob", "home");
    let (home, certificates) = (server.folder().join("home"), server.folder().join("certificates"));
    let (data, settings) = (home.join(".local/share/profanity"), home.join(".config/profanity"));
    for folder in [&data, &settings, &certificates] {
        fs::create_dir_all(folder).unwrap();
    }
    let ca = tls::ca_file(server.folder());
    let hash = Command::new("openssl").args(["x509", "-noout", "-hash", "-in"]).arg(&ca).output().expect("openssl is installed");
    fs::copy(&ca, certificates.join(format!("{}.0", text(&hash).trim()))).unwrap();
    let port = server.address("c2s").port();
    let account = format!(
        "[alice]\nenabled=true\njid=alice@localhost\nresource=profanity\nserver=127.0.0.1\nport={port}\npassword={PASSWORD}\ntls.policy=force\n"
    );
    fs::write(data.join("accounts"), account).unwrap();
    let settings_file =
        format!("[connection]\ntls.certpath={}\naccount=alice\n[ui]\nsplash=false\nstatuses.console=all\n", certificates.display());
    fs::write(settings.join("profrc"), settings_file).unwrap();

    let profanity = Terminal::start(server.folder(), &[("HOME", &home.display().to_string())], &["profanity"]);
    profanity.expect(&["alice@localhost/profanity logged in successfully", "[TLS]"]);
    bob.stanza("presence", &["from='alice@localhost/profanity'"]);
    profanity.expect(&["bob@localhost"]);
    bob.send("<presence><show>dnd</show><status>in a call</status></presence>");
    profanity.expect(&["bob@localhost (home) is dnd", "in a call"]);
    bob.send("<message to='alice@localhost' type='chat'><body>Zürich &amp; 日本語</body></message>");
    profanity.expect(&["<< chat message: bob@localhost/home (win 2)"]);
    profanity.line("/win 2");
    profanity.expect(&["Zürich & 日本語"]);
    profanity.line("Grüezi <3");
    bob.stanza("message", &["from='alice@localhost/profanity'", "<body>Grüezi &lt;3</body>"]);
    bob.send("<presence type='unavailable'/>");
    profanity.line("/win 1");
    profanity.expect(&["bob@localhost (home) is offline"]);
    bob.send("<presence/>");
    bob.stanza("presence", &["from='alice@localhost/profanity'"]);
    profanity.line("/quit");
    bob.stanza("presence", &["type='unavailable'", "from='alice@localhost/profanity'"]);
    profanity.ended();
}

/// Dino 0.4: a desktop client, on a screen and in a network of its own. That it works shows in what the contact gets (its presence, a receipt for
/// what he wrote, what is typed into its window), and in what Dino writes down.
#[test]
#[ignore = "Dino, Xvfb, xdotool, a network namespace: run tests/run"]
fn dino_on_a_screen() {
    let _network = Network::enter();
    // the port that it takes when there is no SRV record
    let config = CONFIG.replacen("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:5222\"]", 1);
    let server = Server::build(&config, "", &["alice@localhost", "bob@localhost"]);
    become_contacts(&server);
    let mut bob = Wire::online(&server, "bob", "home");
    let mut dino = peers::desktop("dino.py");
    dino.arg(server.folder()).arg(tls::ca_file(server.folder())).args(["alice@localhost/dino", PASSWORD]);
    let mut dino = Peer::start(&mut dino);
    dino.expect("started", &[]);
    bob.stanza("presence", &["from='alice@localhost/dino'"]);
    // it has seen his presence
    bob.send(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example:bob' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    );
    dino.expect("presence", &[("from", "bob@localhost/home"), ("caps", "QgayPKawpkPSDYmwT/WM94uAlu0=")]);
    for (id, body) in [("m1", "Wherefore art thou?"), ("m2", "Say it again")] {
        bob.send(&format!(
            "<message to='alice@localhost' type='chat' id='{id}'><body>{body}</body><request xmlns='urn:xmpp:receipts'/></message>"
        ));
        dino.expect("message", &[("from", "bob@localhost"), ("body", body)]);
        // XEP-0184 §5.3
        bob.stanza("message", &["from='alice@localhost/dino'", "<received xmlns='urn:xmpp:receipts'", &format!("id='{id}'")]);
        bob.stanza("message", &["from='alice@localhost/dino'", &format!("<body>echo {body}</body>")]);
    }
    bob.send("<message to='alice@localhost' type='chat'><body>bye</body></message>");
    bob.stanza("presence", &["type='unavailable'", "from='alice@localhost/dino'"]);
    dino.done();
}
