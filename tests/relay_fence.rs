//! Promise: behind the fence (docs/adr/0007-fence.md) the relay carries calls between the server's users, and no tunnel to where no call leads.

use std::net::{SocketAddr, UdpSocket};

use campanile_ice::stun::integrity::{Integrity, Key};
use campanile_ice::stun::{AttributeType, Class, Method, TransactionId, Writer};
use serde_json::json;

use crate::support::server::{PASSWORD, Server};
use crate::support::turn::Client;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, peers};

/// A fence, peers on loopback, and a log of who asks for what.
const FENCED: &str = "turn.fence = \"session\"\nturn.allow_peers = [\"127.0.0.0/8\"]\nserver.log = \"info,campanile_relay=debug\"";

const ALICE: &str = "alice@localhost/home";
const BOB: &str = "bob@localhost/home";

fn jingle(action: &str, ufrag: &str, candidates: &[SocketAddr]) -> String {
    let candidates: String = candidates
        .iter()
        .map(|address| {
            let (ip, port) = (address.ip(), address.port());
            format!("<candidate component='1' foundation='1' generation='0' id='c{port}' ip='{ip}' port='{port}' priority='1' protocol='udp' type='host'/>")
        })
        .collect();
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1' initiator='{ALICE}'><content creator='initiator' name='a'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}' pwd='password of {ufrag}'>{candidates}</transport></content></jingle>"
    )
}

fn send(from: &mut Wire, to: &mut Wire, id: &str, address: &str, jingle: &str) {
    from.send(&format!("<iq type='set' id='{id}' to='{address}'>{jingle}</iq>"));
    to.stanza("iq", &[&format!("id='{id}'")]);
}

fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Another address of loopback: permissions are for addresses, not for ports.
fn peer_at(host: u8) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 0, 9, host), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn only_what_the_other_party_of_a_live_call_offers_is_reached() {
    let server = Server::with(FENCED);
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "home"), Wire::online(&server, "bob", "home"));
    let mut client = Client::of(&server, &mut alice);
    client.allocate().expect("an allocation");
    let ((socket, offered), (_, trickled), (_, stray)) = (peer(), peer_at(1), peer_at(2));
    assert_eq!(client.permit(offered), Err(403), "no call");
    send(&mut alice, &mut bob, "i", BOB, &jingle("session-initiate", "A", &[stray]));
    assert_eq!(client.permit(stray), Err(403), "what she offers herself is nobody's to reach for her");
    send(&mut bob, &mut alice, "a", ALICE, &jingle("session-accept", "B", &[offered]));
    // She has been told, so she may: at once.
    assert_eq!(client.bind(0x4000, offered), Ok(()));
    assert_eq!(client.permit(trickled), Err(403));
    send(&mut bob, &mut alice, "t", ALICE, &jingle("transport-info", "B", &[trickled]));
    assert_eq!(client.permit(trickled), Ok(()));
    assert_eq!(client.permit(stray), Err(403));
    client.send_on(0x4000, b"hello");
    assert_eq!(socket.recv(&mut [0; 64]).expect("what she sent"), 5);
    // Others of her account have their own calls.
    let mut phone = Wire::online(&server, "alice", "phone");
    let mut of_phone = Client::of(&server, &mut phone);
    of_phone.allocate().expect("an allocation");
    assert_eq!(of_phone.permit(offered), Err(403));
    // The call is over: nothing is granted any more.
    send(
        &mut bob,
        &mut alice,
        "e",
        ALICE,
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s1'><reason><success/></reason></jingle>",
    );
    assert_eq!(client.permit(offered), Err(403));
}

/// RFC 8445 §7.3: who knows the call's credentials is the other party, wherever he is.
#[test]
fn an_authenticated_connectivity_check_opens_the_fence_for_where_it_comes_from() {
    let server = Server::with(FENCED);
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "home"), Wire::online(&server, "bob", "home"));
    let mut client = Client::of(&server, &mut alice);
    let relayed = client.allocate().expect("an allocation");
    send(&mut alice, &mut bob, "i", BOB, &jingle("session-initiate", "A", &[]));
    send(&mut bob, &mut alice, "a", ALICE, &jingle("session-accept", "B", &[]));
    let check = |password: &str| {
        let mut writer = Writer::new(Class::Request, Method::BINDING, TransactionId([3; 12]));
        writer.attribute(AttributeType::USERNAME, b"A:B");
        writer.sign(&Key::short_term(password), Integrity::Sha1);
        writer.fingerprint();
        writer.finish()
    };
    let ((forger, forged), (prover, proven)) = (peer_at(3), peer_at(4));
    let end = std::time::Instant::now() + PATIENCE;
    // The relay says nothing to either; it has seen the check when it grants what it refused.
    while client.permit(proven) == Err(403) {
        assert!(std::time::Instant::now() < end, "the check opened nothing");
        forger.send_to(&check("a guess"), relayed).unwrap();
        // Not more often than checks are looked at, so that his is.
        std::thread::sleep(std::time::Duration::from_millis(30));
        prover.send_to(&check("password of A"), relayed).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    assert_eq!(client.permit(proven), Ok(()));
    assert_eq!(client.permit(forged), Err(403));
}

/// In which order clients ask: whoever is told of a candidate asks only then, so that nobody is refused.
fn nobody_asked_too_early(server: &Server) {
    let asked = server.all_logged("a permission is asked for");
    assert!(!asked.is_empty(), "nobody asked for a permission");
    for line in &asked {
        eprintln!("{} {} {}", line["account"], line["peer"], line["is_let"]);
    }
    assert!(asked.iter().all(|line| line["is_let"] == true), "{asked:?}");
}

#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn aiortc_calls_aiortc_behind_the_fence() {
    for via in ["udp", "tls"] {
        let server = Server::with(FENCED);
        let events = peers::python(&server, "call.py", json!({ "via": via }));
        assert!(events.get("heard")["frames"].as_array().is_some_and(|frames| frames.len() == 2));
        nobody_asked_too_early(&server);
    }
}

#[test]
#[ignore = "slixmpp and libnice: run tests/run"]
fn libnice_calls_libnice_behind_the_fence() {
    let server = Server::with(FENCED);
    let events = peers::python(&server, "nice.py", json!({}));
    events.get("heard");
    nobody_asked_too_early(&server);
}

#[test]
#[ignore = "Chromium with stanza.js: run tests/run"]
fn chromium_calls_chromium_behind_the_fence() {
    for via in ["udp", "tcp"] {
        let server = Server::with(FENCED);
        let users = json!([["alice@localhost", PASSWORD], ["bob@localhost", PASSWORD]]);
        let events = peers::browser(&server, "stanza_call.mjs", json!({ "via": via, "users": users }));
        assert_eq!(events.all("heard").count(), 2);
        nobody_asked_too_early(&server);
    }
}
