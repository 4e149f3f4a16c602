//! Promise: what one writes reaches the other's devices, in order, and nobody can write in another's name.

use crate::support::peers;
use crate::support::server::Server;
use crate::support::wire::Wire;
use serde_json::json;

#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_chats_with_slixmpp() {
    let server = Server::start();
    let events = peers::python(&server, "chat.py", json!({}));
    let features = events.get("server")["features"].to_string();
    for feature in ["urn:xmpp:ping", "http://jabber.org/protocol/disco#info", "urn:xmpp:extdisco:2", "urn:xmpp:carbons:2"] {
        assert!(features.contains(feature), "{feature} is missing in {features}");
    }
    assert!(events.all("online").all(|event| event["tls"] == "TLSv1.3"));
}

/// RFC 6121 §8.5.2.1.1: a chat message to the bare JID, here to all devices that are not of negative priority.
#[test]
pub fn s8_5_2_a_message_reaches_every_device_in_order() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut phone = Wire::online(&server, "bob", "phone");
    let mut laptop = Wire::online(&server, "bob", "laptop");
    let mut robot = Wire::bound(&server, "bob", "robot");
    robot.send("<presence><priority>-1</priority></presence>");
    robot.expect_all(&["from='bob@localhost/robot'", "<priority>-1</priority>"]);
    for number in 0..50 {
        alice.send(&format!("<message to='bob@localhost' type='chat' id='m{number}'><body>line {number}</body></message>"));
    }
    for wire in [&mut phone, &mut laptop] {
        for number in 0..50 {
            let got = wire.stanza("message", &[]);
            assert!(got.contains(&format!("<body>line {number}</body>")) && got.contains("from='alice@localhost/home'"), "{got}");
        }
    }
    robot.saw_nothing_of("<body>");
    // §8.5.3.1: the full JID, whatever its priority
    alice.send("<message to='bob@localhost/robot' type='chat'><body>just you</body></message>");
    robot.stanza("message", &["<body>just you</body>", "to='bob@localhost/robot'"]);
    phone.saw_nothing_of("just you");
    laptop.saw_nothing_of("just you");
}

/// RFC 6120 §8.1.2.1.
#[test]
fn nobody_writes_in_anothers_name() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "home");
    let mut alice = Wire::online(&server, "alice", "home");
    alice.send("<message from='alice@localhost/home' to='bob@localhost' type='chat'><body>mine</body></message>");
    assert!(bob.stanza("message", &["<body>mine</body>"]).contains("from='alice@localhost/home'"));
    alice.send("<message from='carol@localhost/home' to='bob@localhost' type='chat'><body>forged</body></message>");
    alice.expect_stream_error("invalid-from");
    bob.saw_nothing_of("forged");
}

/// RFC 6121 §8.5.1, §8.5.2.2, §8.5.3.2: who is not there is answered for, and an error is never answered with an error.
#[test]
fn s8_5_who_is_not_there() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    for to in ["nobody@localhost", "nobody@localhost/x", "bob@localhost/gone"] {
        let answer = alice.iq("q", &format!("type='get' to='{to}'"), "<query xmlns='urn:example:unknown'/>");
        assert!(answer.contains("type='error'") && answer.contains("<service-unavailable"), "{to}: {answer}");
        assert!(answer.contains(&format!("from='{to}'")), "{answer}");
    }
    // What an account would keep is taken in silence.
    alice.send("<message to='nobody@localhost' type='chat' id='lost'><body>hello?</body><no-store xmlns='urn:xmpp:hints'/></message>");
    let error = alice.stanza("message", &["id='lost'"]);
    assert!(error.contains("type='error'") && error.contains("<service-unavailable"), "{error}");
    for quiet in [
        "<message to='nobody@localhost' type='error' id='e1'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        "<message to='nobody@localhost' type='chat' id='e0'><body>hello?</body></message>",
        "<iq to='nobody@localhost' type='result' id='e2'/>",
        "<presence to='nobody@localhost' type='unavailable' id='e3'/>",
    ] {
        alice.send(quiet);
    }
    for id in ["'e0'", "'e1'", "'e2'", "'e3'"] {
        alice.saw_nothing_of(id);
    }
}

/// RFC 6120 §8.2.3: an IQ is answered once, by whom it was sent to; §10.5: requests between clients pass, byte for byte.
#[test]
fn s8_2_3_requests_between_clients_pass_unchanged() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Wire::online(&server, "bob", "home");
    let payload = "<q xmlns='urn:example:q' a='1 &lt; 2'><x:y xmlns:x='urn:example:x'>&amp; &#x1F514; ]]&gt;</x:y><![CDATA[<raw>]]></q>";
    alice.send(&format!("<iq type='get' id='r1' to='bob@localhost/home'>{payload}</iq>"));
    let request = bob.expect("</iq>");
    assert!(request.contains(payload) && request.contains("from='alice@localhost/home'"), "{request}");
    bob.send("<iq type='result' id='r1' to='alice@localhost/home'><ok xmlns='urn:example:q'/></iq>");
    let answer = alice.stanza("iq", &["id='r1'"]);
    assert!(answer.contains("<ok xmlns='urn:example:q'/>") && answer.contains("from='bob@localhost/home'"), "{answer}");
    for (request, condition) in [
        ("<iq type='get' id='none' to='localhost'/>", "bad-request"),
        ("<iq type='get' id='two' to='localhost'><a xmlns='a'/><b xmlns='b'/></iq>", "bad-request"),
        ("<iq type='get' id='odd' to='localhost'><query xmlns='urn:example:unknown'/></iq>", "service-unavailable"),
        ("<iq type='get' id='jid' to='a b@@localhost'><ping xmlns='urn:xmpp:ping'/></iq>", "jid-malformed"),
    ] {
        alice.send(request);
        let answer = alice.stanza("iq", &["type='error'"]);
        assert!(answer.contains(&format!("<{condition} ")), "{request}: wanted {condition}, got {answer}");
    }
}

/// A prefix declared on the stream means the same on the other side, where it is not declared (RFC 6120 §4.8.5).
#[test]
fn prefixes_of_the_stream_keep_their_meaning() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "home");
    let mut alice = Wire::secure(&server);
    alice.log_in("alice");
    // the header after authentication, with a prefix of its own, is sent by hand
    let mut alice = {
        drop(alice);
        let mut wire = Wire::direct_tls(server.address("direct_tls"));
        wire.header();
        wire.scram(crate::support::scram::Hash::Sha256, "alice", crate::support::server::PASSWORD).expect("right");
        wire.send(&crate::support::wire::HEADER.replace("xmlns='jabber:client'", "xmlns='jabber:client' xmlns:ex='urn:example:ex'"));
        wire.expect("</stream:features>");
        wire.bind("home");
        wire
    };
    alice.send("<message to='bob@localhost' type='chat'><body>p</body><ex:thing/></message>");
    let got = bob.stanza("message", &["<ex:thing"]);
    assert!(got.contains("xmlns:ex='urn:example:ex'"), "{got}");
}

/// XEP-0353 with XEP-0280: a proposal rings on every device, and what one device answers the others see, so that they fall silent.
#[test]
fn a_call_rings_everywhere_and_one_answer_silences_the_rest() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut devices = Vec::new();
    for (resource, priority) in [("phone", 5), ("laptop", 0), ("watch", -1)] {
        let mut wire = Wire::bound(&server, "bob", resource);
        assert!(wire.iq("carbons", "type='set'", "<enable xmlns='urn:xmpp:carbons:2'/>").contains("type='result'"));
        wire.send(&format!("<presence><priority>{priority}</priority></presence>"));
        wire.expect_all(&[&format!("from='bob@localhost/{resource}'"), &format!("<priority>{priority}</priority>")]);
        devices.push(wire);
    }
    alice.send(
        "<message to='bob@localhost' type='chat' id='sid1'><propose xmlns='urn:xmpp:jingle-message:0' id='sid1'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/></message>",
    );
    for wire in &mut devices {
        wire.stanza("message", &["<propose", "id='sid1'", "from='alice@localhost/home'"]);
    }
    devices[0].send(
        "<message to='alice@localhost/home' type='chat'><proceed xmlns='urn:xmpp:jingle-message:0' id='sid1'/><store xmlns='urn:xmpp:hints'/></message>",
    );
    alice.stanza("message", &["<proceed", "from='bob@localhost/phone'"]);
    for wire in &mut devices[1..] {
        wire.stanza("message", &["<sent xmlns='urn:xmpp:carbons:2'", "<proceed", "from='bob@localhost'"]);
    }
    devices[0].saw_nothing_of("<sent");
    // XEP-0280 §6: a private message is not copied
    devices[0].send("<message to='alice@localhost/home' type='chat'><body>psst</body><private xmlns='urn:xmpp:carbons:2'/></message>");
    alice.stanza("message", &["psst"]);
    devices[1].saw_nothing_of("psst");
}
