//! Promise: several domains on one server are as good as several servers: each with its certificate and its accounts, and they speak with each
//! other.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::folder::Folder;
use crate::support::scram::{Hash, Scram};
use crate::support::server::{CONFIG, PASSWORD, Server, campanile};
use crate::support::tls;
use crate::support::wire::Wire;
use crate::support::ws::{OPEN, Ws};

/// As DNS knows it.
const BOOKS: &str = "xn--bcher-kva.example";

/// A server for `localhost`, `example.org` and a domain of more than ASCII, each with alice, and each with a password of its own for her.
fn start() -> Server {
    let folder = Folder::new();
    let config = CONFIG.replace("[server]", "[server]\ndomains = [\"localhost\", \"Example.ORG\", \"b\u{fc}cher.example\"]").replace(
        "key = \"key.pem\"",
        "key = \"key.pem\"\nhosts.\"example.org\" = { certificate = \"org.pem\", key = \"org.key\" }\n\
         hosts.\"b\u{fc}cher.example\" = { certificate = \"books.pem\", key = \"books.key\" }",
    );
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("campanile.toml", &config);
    for (pem, name) in [(tls::issued(&["example.org"]), "org"), (tls::issued(&[BOOKS]), "books")] {
        write(&format!("{name}.pem"), &pem.certificate);
        write(&format!("{name}.key"), &pem.key);
    }
    write("cert.pem", &tls::leaf().certificate);
    write("key.pem", &tls::leaf().key);
    for (account, password) in
        [("alice@localhost", PASSWORD), ("alice@example.org", "of the other"), ("alice@b\u{fc}cher.example", "books")]
    {
        let added = campanile(folder.path()).args(["user", "add", account, "--password", password]).output().unwrap();
        assert!(added.status.success(), "{added:?}");
    }
    Server::serve(folder, &[])
}

/// Logs in bound to the certificate that was shown, and binds.
fn online(mut wire: Wire, password: &str, domain: &str) -> Wire {
    let end_point = tls::end_point(wire.tls());
    let scram = Scram::bound(Hash::Sha256, "alice", password, "abc", "p=tls-server-end-point", end_point);
    wire.exchange("SCRAM-SHA-256-PLUS", scram).expect("the domain's own password");
    let features = wire.header();
    assert!(features.contains(&format!("from='{domain}'")), "{features}");
    wire.bind("home");
    assert_eq!(wire.jid, format!("alice@{domain}/home"));
    wire.send("<presence/>");
    wire.stanza("presence", &[&format!("from='{}'", wire.jid)]);
    wire
}

#[test]
fn each_domain_shows_its_certificate_and_has_its_accounts_over_every_transport() {
    let server = start();
    let domains =
        [("localhost", "localhost", PASSWORD), ("example.org", "example.org", "of the other"), (BOOKS, "b\u{fc}cher.example", "books")];
    for (name, domain, password) in domains {
        // The TLS client takes only a certificate of this name.
        online(Wire::secure_at(&server, name), password, domain);
        online(Wire::starttls_at(&server, name, true), password, domain);
        // Without SNI, the host of the stream says which certificate is wanted.
        online(Wire::starttls_at(&server, name, false), password, domain);
        let (mut ws, _) = Ws::secure(server.address("https"), name);
        ws.send(&OPEN.replace("localhost", name));
        ws.expect(&["<open ", &format!("from='{domain}'")]);
        ws.expect(&["features", "SCRAM-SHA-256"]);
        let plain = STANDARD.encode(format!("\0alice\0{password}"));
        ws.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
        ws.expect(&["<success"]);

        // the password of one is not that of the other
        for (_, _, other) in domains.iter().filter(|(other, _, _)| *other != name) {
            let mut wire = Wire::secure_at(&server, name);
            let failure = wire.scram(Hash::Sha1, "alice", other).expect_err("another domain's");
            assert!(failure.contains("<not-authorized/>"), "{failure}");
        }
        let mut wire = Wire::secure_at(&server, name);
        wire.scram(Hash::Sha256, "bob", PASSWORD).expect_err("there is no such account in any of them");
    }
    // A stream to a host that is none of them, and a log-in at one that is opened anew at another.
    let mut wire = Wire::secure_at(&server, "example.org");
    wire.scram(Hash::Sha256, "alice", "of the other").expect("right");
    wire.send(&crate::support::wire::HEADER.replace("localhost", "b\u{fc}cher.example"));
    wire.expect_stream_error("not-authorized");
    let mut wire = Wire::tcp(server.address("c2s"));
    wire.send(&crate::support::wire::HEADER.replace("localhost", "elsewhere.example"));
    assert!(wire.until_closed().contains("<host-unknown"));
    // RFC 6120 §4.7.2: with several domains the client must say which
    let mut wire = Wire::tcp(server.address("c2s"));
    wire.send(&crate::support::wire::HEADER.replace("to='localhost' ", ""));
    assert!(wire.until_closed().contains("<improper-addressing"));
}

#[test]
fn accounts_of_two_domains_are_contacts_like_any_other() {
    let server = start();
    let mut here = online(Wire::secure_at(&server, "localhost"), PASSWORD, "localhost");
    let mut there = online(Wire::starttls_at(&server, "example.org", true), "of the other", "example.org");
    here.send("<message to='alice@example.org' type='chat'><body>are you me?</body></message>");
    there.stanza("message", &["from='alice@localhost/home'", "are you me?"]);
    there.send("<message to='alice@localhost/home' type='chat'><body>hardly</body></message>");
    here.stanza("message", &["from='alice@example.org/home'", "hardly"]);

    for wire in [&mut here, &mut there] {
        assert!(wire.iq("r", "type='get'", "<query xmlns='jabber:iq:roster'/>").contains("<query xmlns='jabber:iq:roster'"));
    }
    here.send("<presence type='subscribe' to='alice@example.org'/>");
    there.stanza("presence", &["type='subscribe'", "from='alice@localhost'"]);
    there.send("<presence type='subscribed' to='alice@localhost'/>");
    here.stanza("iq", &["jid='alice@example.org'", "subscription='to'"]);
    here.stanza("presence", &["from='alice@example.org/home'"]);
    there.send("</stream:stream>");
    here.stanza("presence", &["type='unavailable'", "from='alice@example.org/home'"]);

    // each domain is a server of its own to ask
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    for domain in ["localhost", "example.org", "b\u{fc}cher.example"] {
        let answer = here.iq(&format!("d-{domain}"), &format!("type='get' to='{domain}'"), disco);
        assert!(answer.contains(&format!("from='{domain}'")) && answer.contains("category='server'"), "{answer}");
        assert!(
            here.iq(&format!("p-{domain}"), &format!("type='get' to='{domain}'"), "<ping xmlns='urn:xmpp:ping'/>")
                .contains("type='result'")
        );
    }
    let answer = here.iq("x", "type='get' to='elsewhere.example'", disco);
    assert!(answer.contains("<remote-server-not-found"), "{answer}");
}
