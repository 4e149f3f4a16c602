//! Promise: a phone whose screen is off is left alone until something matters (XEP-0352), and nothing that matters is lost or late.

use crate::support::managed::{Managed, Over};
use crate::support::server::Server;
use crate::support::wire::Wire;

const INACTIVE: &str = "<inactive xmlns='urn:xmpp:csi:0'/>";
const ACTIVE: &str = "<active xmlns='urn:xmpp:csi:0'/>";

/// alice and bob, who sees her presence and has looked away.
fn pair(server: &Server, over: Over) -> (Wire, Managed) {
    let mut alice = Wire::online(server, "alice", "home");
    let mut bob = Managed::online(server, over, "bob", "phone");
    bob.send("<presence type='subscribe' to='alice@localhost'/>");
    alice.stanza("presence", &["type='subscribe'"]);
    alice.send("<presence type='subscribed' to='bob@localhost'/>");
    bob.expect(&["<presence", "from='alice@localhost/home'"]);
    bob.until_ack();
    bob.send(INACTIVE);
    bob.until_ack();
    (alice, bob)
}

/// §3.2 and §4: presence and chat states wait and only the last counts; the first message brings what waited, in order. Acknowledgements wake
/// nobody.
#[test]
fn s3_2_what_matters_comes_at_once_and_the_rest_with_it() {
    let server = Server::start();
    assert!(features(&server).contains("<csi xmlns='urn:xmpp:csi:0'/>"), "§4.1");
    for over in Over::ALL {
        let (mut alice, mut bob) = pair(&server, over);
        for number in 0..40 {
            alice.send(&format!("<presence><status>{number}</status></presence>"));
            let state = if number % 2 == 0 { "composing" } else { "paused" };
            alice.send(&format!(
                "<message to='bob@localhost/phone' type='chat'><{state} xmlns='http://jabber.org/protocol/chatstates'/></message>"
            ));
        }
        alice.saw_nothing_of("<error");
        let (seen, _) = bob.until_ack();
        assert!(seen.iter().all(|element| element.starts_with("<r ")), "{over:?}: {seen:#?}");
        alice.send("<message to='bob@localhost/phone' type='chat'><body>look</body></message>");
        let presence = bob.next().expect("what waited");
        assert!(presence.starts_with("<presence") && presence.contains("<status>39</status>"), "{presence}");
        let message = bob.next().expect("the message");
        assert!(message.contains("<body>look</body>"), "the chat state was about this: {message}");
        // Requests and calls are not held back either.
        alice.send("<iq type='get' id='v' to='bob@localhost/phone'><query xmlns='jabber:iq:version'/></iq>");
        bob.expect(&["jabber:iq:version"]);
        alice.send("<message to='bob@localhost' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>");
        bob.expect(&["<propose"]);
        bob.send("<presence type='unsubscribe' to='alice@localhost'/>");
        bob.until_ack();
        bob.send("</stream:stream>");
    }
}

/// §5.1: becoming active brings what waited before anything that is answered after it. §5.2: a resumed stream is active.
#[test]
fn s5_active_again_by_word_or_by_resumption() {
    let server = Server::start();
    let (mut alice, mut bob) = pair(&server, Over::DirectTls);
    let away = |alice: &mut Wire, status: &str| {
        alice.send(&format!("<presence><status>{status}</status></presence>"));
        alice.saw_nothing_of("<error");
    };
    away(&mut alice, "one");
    bob.send(&format!("{ACTIVE}<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"));
    let presence = bob.next().expect("what waited");
    assert!(presence.contains("<status>one</status>"), "{presence}");
    bob.expect(&["id='p'"]);
    away(&mut alice, "two");
    bob.expect(&["<status>two</status>"]);
    bob.send(INACTIVE);
    bob.until_ack();
    away(&mut alice, "three");
    away(&mut alice, "four");
    let (mut bob, _) = bob.cut().resume(&server, Over::WebSocket);
    let presence = bob.next().expect("what waited");
    assert!(presence.contains("<status>four</status>"), "{presence}");
    away(&mut alice, "five");
    bob.expect(&["<status>five</status>"]);
}

fn features(server: &Server) -> String {
    let mut wire = Wire::secure(server);
    wire.scram(crate::support::scram::Hash::Sha256, "carol", crate::support::server::PASSWORD).expect("right");
    wire.header()
}
