//! Promise: whatever is sent, the answer is the specified error, nothing of it reaches others, and the server serves the next client.

use std::collections::BTreeMap;

use crate::support::http;
use crate::support::server::Server;
use crate::support::wire::{HEADER, Wire};
use crate::support::ws::Ws;

/// First byte of a WebSocket frame that is one text message (RFC 6455 §5.2).
const TEXT: u8 = 0x81;

/// What is no XML, or XML that XMPP does not allow (RFC 6120 §11), with the conditions that may answer it.
const BROKEN: &[(&str, &[u8], &[&str])] = &[
    ("mismatched tags", b"<a><b></a></b>", &["not-well-formed"]),
    ("a bare ampersand", b"<a>&</a>", &["not-well-formed"]),
    ("an unknown entity", b"<a>&eacute;</a>", &["not-well-formed", "restricted-xml"]),
    ("a control character", b"<a>\x01</a>", &["not-well-formed"]),
    ("a reference to one", b"<a>&#1;</a>", &["not-well-formed"]),
    ("a reference to a surrogate", b"<a>&#xD800;</a>", &["not-well-formed"]),
    ("U+FFFE", b"<a>\xef\xbf\xbe</a>", &["not-well-formed"]),
    ("]]> in text", b"<a>]]></a>", &["not-well-formed"]),
    ("< in an attribute", b"<a b='<'/>", &["not-well-formed"]),
    ("an attribute without quotes", b"<a b=c/>", &["not-well-formed"]),
    ("no space between attributes", b"<a b='c'd='e'/>", &["not-well-formed"]),
    ("an attribute twice", b"<a b='c' b='d'/>", &["not-well-formed"]),
    ("an attribute twice by its expanded name", b"<a xmlns:p='u' xmlns:q='u' p:b='c' q:b='d'/>", &["not-well-formed"]),
    ("a name that is none", b"<1a/>", &["not-well-formed"]),
    ("a name with a sign in it", b"<a$b/>", &["not-well-formed"]),
    ("two colons", b"<a:b:c xmlns:a='u'/>", &["not-well-formed"]),
    ("a prefix that is not declared", b"<x:a/>", &["bad-namespace-prefix", "not-well-formed"]),
    ("a prefix undeclared", b"<a xmlns:p=''/>", &["not-well-formed"]),
    ("xml declared as something else", b"<a xmlns:xml='urn:x'/>", &["not-well-formed"]),
    ("bytes that are not UTF-8", b"<a>\xff\xfe</a>", &["not-well-formed", "bad-format", "unsupported-encoding"]),
    ("an overlong encoding", b"<a>\xc0\xaf</a>", &["not-well-formed", "bad-format", "unsupported-encoding"]),
    ("a comment", b"<a><!-- hello --></a>", &["restricted-xml"]),
    ("a processing instruction", b"<a><?php echo 1 ?></a>", &["restricted-xml"]),
    ("a document type", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a/>", &["restricted-xml"]),
    ("text between stanzas", b"hello", &["bad-format", "not-well-formed"]),
];

/// How often each condition was sent.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, u32>);

impl Seen {
    /// One stream ended with one of these conditions, and was closed.
    fn error(&mut self, what: &str, said: &str, conditions: &[&'static str]) {
        let named = |condition: &str| said.contains(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'"));
        let Some(found) = conditions.iter().find(|condition| named(condition)) else {
            panic!("{what}: wanted {conditions:?}, got {said}");
        };
        let closed = said.trim_end().ends_with("</stream:stream>") || said.contains("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'");
        assert!(closed, "{what}: the stream was not closed: {said}");
        *self.0.entry(found).or_default() += 1;
    }

    /// The operator sees as many in `campanile_stream_errors_total`, by condition, and no others.
    fn are_counted(&self, server: &Server) {
        let text = http::get(server.address("admin"), "/metrics").body;
        let count = |labels: &str| http::metric(&text, "campanile_stream_errors_total", labels);
        for (condition, times) in &self.0 {
            assert_eq!(count(&format!("condition=\"{condition}\"")), f64::from(*times), "{condition}");
        }
        assert_eq!(count(""), f64::from(self.0.values().sum::<u32>()));
    }
}

fn assert_error(what: &str, said: &str, conditions: &[&'static str]) {
    Seen::default().error(what, said, conditions);
}

fn serves(server: &Server) {
    let mut next = Wire::bound(server, "carol", "next");
    assert!(next.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>").contains("type='result'"));
}

#[test]
fn s11_broken_xml_before_authentication() {
    let server = Server::start();
    let mut seen = Seen::default();
    for (what, bytes, conditions) in BROKEN {
        let mut wire = Wire::open(&server);
        wire.send_bytes(bytes);
        seen.error(what, &wire.until_closed(), conditions);
        let mut ws = Ws::open(&server);
        ws.frame(TEXT, bytes);
        seen.error(&format!("{what} over WebSocket"), &ws.until_closed(), conditions);
    }
    seen.are_counted(&server);
    serves(&server);
}

#[test]
fn s11_broken_xml_inside_a_message_never_reaches_the_other() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "home");
    let mut seen = Seen::default();
    for (what, bytes, conditions) in BROKEN {
        let mut alice = Wire::bound(&server, "alice", "home");
        alice.send("<message to='bob@localhost/home' type='chat'><body>broken ");
        alice.send_bytes(bytes);
        if *bytes == b"hello" {
            // text is right inside a body; here it stands between stanzas
            alice.send("</body></message>");
            bob.stanza("message", &["broken hello"]);
            alice.send_bytes(bytes);
            alice.send("<presence/>");
        } else {
            alice.send("</body></message>");
        }
        seen.error(what, &alice.until_closed(), conditions);
        bob.saw_nothing_of("broken");
    }
    seen.are_counted(&server);
    serves(&server);
}

/// The same in one message of RFC 7395, which stands alone.
#[test]
fn s11_broken_xml_inside_a_message_over_websocket_never_reaches_the_other() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "home");
    let mut seen = Seen::default();
    for (what, bytes, conditions) in BROKEN.iter().filter(|(_, bytes, _)| *bytes != b"hello") {
        let mut alice = Ws::bound(&server, "alice", "web");
        let mut message = b"<message xmlns='jabber:client' to='bob@localhost/home' type='chat'><body>broken ".to_vec();
        message.extend_from_slice(bytes);
        message.extend_from_slice(b"</body></message>");
        alice.frame(TEXT, &message);
        seen.error(what, &alice.until_closed(), conditions);
        bob.saw_nothing_of("broken");
    }
    seen.are_counted(&server);
    serves(&server);
}

#[test]
fn s11_broken_stream_headers() {
    let server = Server::start();
    for (what, header, conditions) in [
        ("not XML", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), &["not-well-formed", "bad-format"][..]),
        ("another root", "<stream xmlns='jabber:client'>".to_owned(), &["invalid-namespace", "bad-namespace-prefix"]),
        ("a document type", format!("<!DOCTYPE x>{HEADER}"), &["restricted-xml"]),
        ("a comment", format!("<!-- x -->{HEADER}"), &["restricted-xml"]),
        ("an endless header", format!("<stream:stream to='localhost' {}", "a".repeat(1 << 20)), &["policy-violation", "not-well-formed"]),
    ] {
        let mut wire = Wire::tcp(server.address("c2s"));
        wire.send(&header);
        let said = wire.until_closed();
        // §4.9.1.2: the error stands in a stream of the server's own
        assert!(said.contains("<stream:stream "), "{what}: {said}");
        assert_error(what, &said, conditions);
    }
    serves(&server);
}

/// RFC 6120 §13.12: a bound on the size, smaller before authentication, and one on the depth.
#[test]
fn s13_12_elements_without_end() {
    let server = Server::with("limits.stanza_bytes = 65536");
    let mut wire = Wire::secure(&server);
    wire.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>");
    for _ in 0..64 {
        wire.send(&"A".repeat(1024));
    }
    assert_error("before authentication", &wire.until_closed(), &["policy-violation"]);

    let message = |size: usize| format!("<message to='bob@localhost/home' type='chat'><body>{}</body></message>", "x".repeat(size));
    let mut bob = Wire::online(&server, "bob", "home");
    let mut alice = Wire::bound(&server, "alice", "home");
    alice.send(&message(60_000));
    bob.stanza("message", &["xxx"]);
    alice.send(&message(100_000));
    assert_error("after it", &alice.until_closed(), &["policy-violation"]);

    let mut alice = Wire::bound(&server, "alice", "home");
    alice.send(&"<a>".repeat(10_000));
    assert_error("depth", &alice.until_closed(), &["policy-violation"]);
    let mut alice = Wire::bound(&server, "alice", "home");
    let attributes: String = (0..5000).map(|number| format!(" a{number}='1'")).collect();
    alice.send(&format!("<message{attributes}/>"));
    assert_error("attributes", &alice.until_closed(), &["policy-violation"]);
    serves(&server);
}

/// The same bounds hold over WebSocket: what a client may not send over TCP, nobody gets from one who comes this way.
#[test]
fn s13_12_elements_without_end_over_websocket() {
    let server = Server::with("limits.stanza_bytes = 65536");
    let mut bob = Wire::online(&server, "bob", "home");
    let mut seen = Seen::default();
    let mut ws = Ws::open(&server);
    ws.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>", "A".repeat(64 * 1024)));
    seen.error("before authentication", &ws.until_closed(), &["policy-violation"]);

    let message = |inside: &str| format!("<message xmlns='jabber:client' to='bob@localhost/home' type='chat'>{inside}</message>");
    let body = |size: usize| message(&format!("<body>{}</body>", "x".repeat(size)));
    let nested = |depth: usize| message(&format!("{}{}", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1)));
    let attributes: String = (0..5000).map(|number| format!(" a{number}='1'")).collect();
    let mut alice = Ws::bound(&server, "alice", "web");
    alice.send(&body(60_000));
    bob.stanza("message", &["xxx"]);
    alice.send(&nested(64));
    bob.stanza("message", &["<a></a>"]);
    for (what, sent) in [
        ("size", body(100_000)),
        ("depth", nested(65)),
        ("more depth", nested(500)),
        ("attributes", format!("<message xmlns='jabber:client' to='bob@localhost/home'{attributes}/>")),
    ] {
        let mut alice = Ws::bound(&server, "alice", "web");
        alice.send(&sent);
        seen.error(what, &alice.until_closed(), &["policy-violation"]);
        bob.saw_nothing_of("<message");
    }
    drop(alice);
    serves(&server);
}

/// RFC 7395 §3.3 and RFC 6120 §4.9.3: elements that are no stanzas, and stanzas in another namespace.
#[test]
fn s4_9_3_what_is_no_stanza_over_websocket() {
    let server = Server::start();
    let mut seen = Seen::default();
    for (element, conditions) in [
        ("<pizza xmlns='jabber:client'/>", &["unsupported-stanza-type"][..]),
        ("<message/>", &["invalid-namespace", "unsupported-stanza-type"]),
        ("<message xmlns='jabber:server'/>", &["invalid-namespace", "unsupported-stanza-type"]),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>", &["unsupported-stanza-type"]),
        ("<message xmlns='jabber:client'/><message xmlns='jabber:client'/>", &["not-well-formed", "bad-format"]),
    ] {
        let mut alice = Ws::bound(&server, "alice", "web");
        alice.send(element);
        seen.error(element, &alice.until_closed(), conditions);
    }
    seen.are_counted(&server);
    serves(&server);
}

/// RFC 6120 §4.9.3: elements that are no stanzas, and stanzas in another namespace.
#[test]
fn s4_9_3_what_is_no_stanza() {
    let server = Server::start();
    for (element, conditions) in [
        ("<pizza/>", &["unsupported-stanza-type"][..]),
        ("<message xmlns='jabber:server'/>", &["invalid-namespace", "unsupported-stanza-type"]),
        ("<iq xmlns='urn:example:other' type='get' id='1'/>", &["invalid-namespace", "unsupported-stanza-type"]),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            &["unsupported-stanza-type", "not-authorized", "policy-violation"],
        ),
        ("<stream:stream to='localhost'></stream:stream>", &["unsupported-stanza-type", "invalid-namespace", "bad-format"]),
    ] {
        let mut alice = Wire::bound(&server, "alice", "home");
        alice.send(element);
        assert_error(element, &alice.until_closed(), conditions);
    }
    serves(&server);
}

/// Connections that say little, or everything at once, cost the others nothing.
#[test]
fn floods_before_authentication_leave_the_server_serving() {
    let server = Server::start();
    let idle: Vec<Wire> = (0..40).map(|_| Wire::tcp(server.address("c2s"))).collect();
    for _ in 0..5 {
        let mut wire = Wire::open(&server);
        let flood = "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>".repeat(2000);
        wire.send(&flood);
        let said = wire.until_closed();
        assert!(said.contains("<stream:error") || said.is_empty(), "{said}");
    }
    let mut spaces = Wire::open(&server);
    for _ in 0..64 {
        spaces.send(&" ".repeat(16 * 1024));
    }
    let said = spaces.until_closed();
    assert!(said.contains("<policy-violation") || said.is_empty(), "{said}");
    serves(&server);
    drop(idle);
}

/// One client that does not read must not take the memory of the server, nor the time of the others.
#[test]
fn who_does_not_read_costs_neither_memory_nor_time() {
    // Without archive: what waits for the disk has a bound of its own.
    let server = Server::with("limits.mailbox_bytes = 1048576\nlimits.bytes_per_second = 100000000\narchive.default = \"never\"");
    let mut alice = Wire::bound(&server, "alice", "home");
    let mut bob = Wire::online(&server, "bob", "home");
    let deaf = Wire::online(&server, "bob", "deaf");
    let body = "x".repeat(100_000);
    let before = server.resident_kb();
    // 40 MB: sockets and mailbox take some, the rest has nowhere to go
    for number in 0..400 {
        alice.send(&format!("<message to='bob@localhost/deaf' type='chat' id='d{number}'><body>{body}</body></message>"));
        alice.send(&format!("<message to='bob@localhost/home' type='chat'><body>line {number}</body></message>"));
        bob.stanza("message", &[&format!("<body>line {number}</body>")]);
    }
    let grown = server.resident_kb().saturating_sub(before);
    // 80 MB go to the archive: SQLite keeps 32 MB of pages, and of what waits to be written there are some 20 MB at most.
    assert!(grown < 80 * 1024, "{grown} kB more");
    drop(deaf);
    serves(&server);
}
