//! Promise: whoever has an account gets in by every usual way, and nobody else does, nor learns who has one.

use crate::support::folder::Folder;
use crate::support::peers;
use crate::support::scram::{self, Hash, Scram};
use crate::support::server::{CONFIG, PASSWORD, Server, campanile};
use crate::support::tls;
use crate::support::wire::{HEADER, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::TcpStream;

const TLS_FEATURE: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'";

/// The mechanisms of a features element, in order.
fn mechanisms(features: &str) -> Vec<&str> {
    features.split("<mechanism>").skip(1).map(|rest| rest.split('<').next().expect("text")).collect()
}

#[test]
fn s5_3_1_nothing_but_starttls_is_offered_in_clear() {
    let server = Server::start();
    let mut wire = Wire::tcp(server.address("c2s"));
    let features = wire.header();
    assert!(features.contains(TLS_FEATURE) && features.contains("<required/>"), "{features}");
    assert_eq!(mechanisms(&features), Vec::<&str>::new());
    // and insisting does not help: the password would be read by everybody on the way
    let failure = wire.auth("PLAIN", &STANDARD.encode(format!("\0alice\0{PASSWORD}"))).expect_err("PLAIN in clear");
    assert!(failure.contains("<encryption-required/>"), "{failure}");
}

#[test]
fn s6_4_1_the_strongest_mechanism_comes_first_and_tls_is_offered_once() {
    let server = Server::start();
    let features = Wire::open(&server).starttls();
    assert_eq!(mechanisms(&features), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]);
    let types: Vec<_> = features.split("<channel-binding type='").skip(1).map(|rest| rest.split('\'').next().expect("text")).collect();
    assert_eq!(types, ["tls-exporter", "tls-server-end-point"]);
    assert!(!features.contains(TLS_FEATURE), "{features}");
}

const CONNECT: [fn(&Server) -> Wire; 3] = [
    |server| {
        let mut wire = Wire::open(server);
        wire.starttls();
        wire
    },
    Wire::secure,
    |server| {
        let mut wire = Wire::direct_tls(server.address("c2s"));
        wire.header();
        wire
    },
];

/// RFC 5802 §6, RFC 9266, RFC 5929 §4: a log-in holds for the TLS connection it was made over.
#[test]
fn a_log_in_bound_to_its_channel_cannot_be_passed_on() {
    let server = Server::start();
    for connect in CONNECT {
        for (hash, mechanism) in [(Hash::Sha1, "SCRAM-SHA-1-PLUS"), (Hash::Sha256, "SCRAM-SHA-256-PLUS")] {
            for (flag, value) in
                [("p=tls-exporter", tls::exporter as fn(&tls::Stream) -> Vec<u8>), ("p=tls-server-end-point", tls::end_point)]
            {
                let mut wire = connect(&server);
                let right = value(wire.tls());
                wire.exchange(mechanism, Scram::bound(hash, "alice", PASSWORD, "abc", flag, right)).expect(flag);
                wire.header();
                wire.bind("home");
            }
            // the value of another connection, as who sits between two of them has it
            let (other, mut wire) = (connect(&server), connect(&server));
            let scram = Scram::bound(hash, "alice", PASSWORD, "abc", "p=tls-exporter", tls::exporter(other.tls()));
            let failure = wire.exchange(mechanism, scram).expect_err("another channel");
            assert!(failure.contains("<not-authorized/>"), "{failure}");
        }
    }
    let mut wire = Wire::secure(&server);
    let failure = wire.exchange("SCRAM-SHA-256", Scram::bound(Hash::Sha256, "alice", PASSWORD, "abc", "y", Vec::new())).expect_err("y");
    assert!(failure.contains("<not-authorized/>") && failure.contains("channel binding was offered"), "{failure}");
    let unknown = Scram::bound(Hash::Sha256, "alice", PASSWORD, "abc", "p=tls-unknown", vec![1; 12]);
    let failure = wire.exchange("SCRAM-SHA-256-PLUS", unknown).expect_err("a type that nobody knows");
    assert!(failure.contains("<malformed-request/>"), "{failure}");
}

/// The client's side is the crate `sasl`, of the client library tokio-xmpp.
#[test]
fn another_implementation_logs_in_with_and_without_binding() {
    use sasl::client::Mechanism;
    use sasl::client::mechanisms::Scram;
    use sasl::common::scram::{ScramProvider, Sha1, Sha256};
    use sasl::common::{ChannelBinding, Credentials};
    fn log_in<P: ScramProvider>(server: &Server, binding: fn(&Wire) -> ChannelBinding) -> Result<(), String> {
        let mut wire = Wire::secure(server);
        let credentials = Credentials::default().with_username("alice").with_password(PASSWORD).with_channel_binding(binding(&wire));
        let mut scram = Scram::<P>::from_credentials(credentials).expect("credentials");
        let (name, first) = (scram.name().to_owned(), scram.initial());
        let challenge = STANDARD.decode(wire.auth(&name, &STANDARD.encode(first))?).expect("base64");
        let last = scram.response(&challenge).expect("a challenge that it understands");
        wire.send(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>", STANDARD.encode(last)));
        let (0, success) = wire.expect_any(&["</success>", "</failure>"]) else { return Err("refused".to_owned()) };
        let data = success.split('>').nth(1).and_then(|rest| rest.split('<').next()).expect("data");
        scram.success(&STANDARD.decode(data).expect("base64")).map_err(|error| format!("{error:?}"))
    }
    let server = Server::start();
    let exporter = |wire: &Wire| ChannelBinding::TlsExporter(tls::exporter(wire.tls()));
    log_in::<Sha1>(&server, exporter).expect("SCRAM-SHA-1-PLUS");
    log_in::<Sha256>(&server, exporter).expect("SCRAM-SHA-256-PLUS");
    log_in::<Sha256>(&server, |_| ChannelBinding::None).expect("SCRAM-SHA-256");
    log_in::<Sha256>(&server, |_| ChannelBinding::TlsExporter(vec![0; 32])).expect_err("another channel");
    log_in::<Sha256>(&server, |_| ChannelBinding::Unsupported).expect_err("a downgrade");
}

#[test]
pub fn every_mechanism_over_starttls_direct_tls_and_direct_tls_on_the_starttls_port() {
    let server = Server::start();
    for connect in CONNECT {
        for hash in [Hash::Sha1, Hash::Sha256] {
            let mut wire = connect(&server);
            wire.scram(hash, "alice", PASSWORD).expect("SCRAM");
            let features = wire.header();
            assert!(features.contains("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'"), "{features}");
            assert_eq!(mechanisms(&features), Vec::<&str>::new());
            wire.bind("home");
            assert_eq!(wire.jid, "alice@localhost/home");
        }
        let mut wire = connect(&server);
        wire.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>");
        wire.send(&format!("{}</auth>", STANDARD.encode(format!("\0alice\0{PASSWORD}"))));
        wire.expect("<success");
    }
}

/// RFC 6120 §13.11: what the server says must not tell whether there is such an account.
#[test]
pub fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let server = Server::start();
    let challenge = |user: &str, hash: Hash| {
        let mut wire = Wire::secure(&server);
        let scram = Scram::new(hash, user, "x", "abc");
        String::from_utf8(STANDARD.decode(wire.auth(hash.mechanism(), &scram.first()).expect("a challenge")).unwrap()).unwrap()
    };
    for hash in [Hash::Sha1, Hash::Sha256] {
        let (known, unknown) = (challenge("alice", hash), challenge("nobody", hash));
        let ((_, salt, rounds), (_, invented, invented_rounds)) = (scram::parts(&known), scram::parts(&unknown));
        assert_eq!((salt.len(), rounds), (invented.len(), invented_rounds));
        assert!(rounds >= 10_000);
        assert_eq!(scram::parts(&challenge("nobody", hash)).1, invented, "an invented salt that changes gives itself away");
        assert_ne!(scram::parts(&challenge("nobody2", hash)).1, invented);
    }
    let failures = [("alice", "wrong"), ("nobody", "wrong")].map(|(user, password)| {
        let mut wire = Wire::secure(&server);
        let scram = wire.scram(Hash::Sha256, user, password).expect_err("refused");
        let mut wire = Wire::secure(&server);
        let plain = wire.auth("PLAIN", &STANDARD.encode(format!("\0{user}\0{password}"))).expect_err("refused");
        (scram, plain)
    });
    assert_eq!(failures[0], failures[1]);
    assert!(failures[0].0.contains("<not-authorized/>") && failures[0].1.contains("<not-authorized/>"), "{failures:?}");
}

#[test]
fn s6_5_each_wrong_step_has_its_condition() {
    let server = Server::start();
    let right = STANDARD.encode(format!("\0alice\0{PASSWORD}"));
    let first = |text: &str| STANDARD.encode(text);
    let channel_binding = first("p=tls-unique,,n=alice,r=abc");
    let extension = first("n,,m=x,n=alice,r=abc");
    for (mechanism, initial, condition) in [
        ("DIGEST-MD5", "", "invalid-mechanism"),
        ("PLAIN", "not base64!", "incorrect-encoding"),
        ("PLAIN", &STANDARD.encode("alice"), "malformed-request"),
        ("PLAIN", &STANDARD.encode(format!("bob@localhost\0alice\0{PASSWORD}")), "invalid-authzid"),
        ("SCRAM-SHA-256", "====", "incorrect-encoding"),
        ("SCRAM-SHA-256", &first("nonsense"), "malformed-request"),
        ("SCRAM-SHA-256", &channel_binding, "malformed-request"),
        ("SCRAM-SHA-256", &extension, "malformed-request"),
    ] {
        let mut wire = Wire::secure(&server);
        let failure = wire.auth(mechanism, initial).expect_err("refused");
        assert!(failure.contains(&format!("<{condition}/>")), "{mechanism} {initial}: wanted {condition}, got {failure}");
        // §6.4.5: another attempt is allowed
        wire.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{right}</auth>"));
        wire.expect("<success");
    }
    let mut wire = Wire::secure(&server);
    wire.auth("SCRAM-SHA-256", &first("n,,n=alice,r=abc")).expect("a challenge");
    wire.send("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(wire.expect("</failure>").contains("<aborted/>"));
}

/// A proof made for one log-in is of no use in another: the server's nonce is new each time.
#[test]
fn a_recorded_scram_answer_cannot_be_replayed() {
    let server = Server::start();
    let mut scram = Scram::new(Hash::Sha256, "alice", PASSWORD, "abc");
    let mut wire = Wire::secure(&server);
    let challenge = wire.auth("SCRAM-SHA-256", &scram.first()).expect("a challenge");
    let response = format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>", scram.last(&challenge));
    wire.send(&response);
    wire.expect("</success>");
    let mut wire = Wire::secure(&server);
    wire.auth("SCRAM-SHA-256", &scram.first()).expect("a challenge");
    wire.send(&response);
    let failure = wire.expect("</failure>");
    assert!(failure.contains("<not-authorized/>") || failure.contains("<malformed-request/>"), "{failure}");
}

#[test]
fn guessing_ends_the_stream_and_slows_down() {
    let server = Server::start();
    let mut wire = Wire::secure(&server);
    let guess = STANDARD.encode("\0alice\0guess");
    let mut guesses = 0;
    // RFC 6120 §6.4.5 allows 2 to 5 retries
    let error = loop {
        wire.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{guess}</auth>"));
        guesses += 1;
        if let (1, error) = wire.expect_any(&["</failure>", "</stream:error>"]) {
            break error;
        }
        assert!(guesses <= 6, "the server lets us guess for ever");
    };
    assert!(error.contains("<policy-violation"), "{error}");
    assert!((3..=6).contains(&guesses), "{guesses}");
}

#[test]
pub fn s7_resources_are_bound_invented_and_taken_over() {
    let server = Server::start();
    let mut old = Wire::online(&server, "alice", "home");
    let mut invented = Wire::secure(&server);
    invented.log_in("alice");
    let answer = invented.iq("b", "type='set'", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
    assert!(answer.contains("<jid>alice@localhost/") && !answer.contains("<jid>alice@localhost/<"), "{answer}");
    // the session request of RFC 3921, which old clients insist on
    let answer = invented.iq("s", "type='set'", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>");
    assert!(answer.contains("type='result'"), "{answer}");
    // §7.7.2.2: the new session wins
    let mut new = Wire::bound(&server, "alice", "home");
    old.expect_stream_error("conflict");
    assert!(new.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>").contains("type='result'"));
}

#[test]
fn s4_9_3_streams_that_are_not_for_us() {
    let server = Server::start();
    for (header, condition) in [
        (HEADER.replace("to='localhost'", "to='elsewhere.example'"), "host-unknown"),
        (HEADER.replace("'jabber:client'", "'jabber:server'"), "invalid-namespace"),
        (HEADER.replace("http://etherx.jabber.org/streams", "http://etherx.jabber.org/other"), "invalid-namespace"),
        (HEADER.replace("version='1.0' xmlns=", "version='0.9' xmlns="), "unsupported-version"),
        (HEADER.replace("?>", " encoding='ISO-8859-1'?>"), "unsupported-encoding"),
    ] {
        let mut wire = Wire::tcp(server.address("c2s"));
        wire.send(&header);
        let said = wire.until_closed();
        // §4.9.1.2: even then the error comes inside a stream of ours
        assert!(said.contains("<stream:stream") && said.contains(&format!("<{condition} ")), "{header}: wanted {condition}, got {said}");
    }
    for (stanza, condition) in [
        ("<message to='bob@localhost'><body>hi</body></message>", "not-authorized"),
        ("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>", "not-authorized"),
    ] {
        let mut wire = Wire::secure(&server);
        wire.send(stanza);
        wire.expect_stream_error(condition);
    }
}

/// Without a certificate the server makes one, keeps it, and says so in the log.
#[test]
fn a_certificate_is_made_at_the_first_start_and_kept() {
    let folder = Folder::new();
    let config = CONFIG.replace("certificate = \"cert.pem\"\nkey = \"key.pem\"\n", "");
    std::fs::write(folder.path().join("campanile.toml"), config).unwrap();
    let added = campanile(folder.path()).args(["user", "add", "alice@localhost", "--password", PASSWORD]).output().unwrap();
    assert!(added.status.success());
    let server = Server::serve(folder, &[]);
    let certificate = |server: &Server| {
        let tcp = TcpStream::connect(server.address("direct_tls")).unwrap();
        tls::shown(&tls::connect_unverified(tcp).expect("TLS"))
    };
    let first = certificate(&server);
    let (_, parsed) = x509_parser::parse_x509_certificate(&first).expect("DER");
    let names =
        parsed.subject_alternative_name().unwrap().expect("names").value.general_names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(names.iter().any(|name| name.contains("localhost")), "{names:?}");
    let server = server.restart(&[]);
    assert_eq!(certificate(&server), first);
}

#[test]
#[ignore = "slixmpp: run tests/run"]
fn slixmpp_logs_in_over_direct_tls() {
    let server = Server::start();
    let events = peers::python(&server, "chat.py", serde_json::json!({ "direct_tls": true }));
    assert!(events.all("online").all(|event| event["mechanism"].as_str().is_some_and(|name| name.starts_with("SCRAM-SHA-256"))));
}
