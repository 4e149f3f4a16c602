//! Promise: a phone that sleeps is woken for each message and each call, and told when a call no longer rings (XEP-0357, XEP-0353).

use crate::support::server::Server;
use crate::support::wire::{Wire, attribute};

const ENABLE: &str = "<enable xmlns='urn:xmpp:push:0' jid='carol@localhost/push' node='phone-1'>\
    <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
    <field var='secret'><value>token</value></field></x></enable>";

/// A push service of our own: an account that answers what is published to it.
struct Service(Wire);

impl Service {
    fn start(server: &Server) -> Self {
        Self(Wire::bound(server, "carol", "push"))
    }

    /// The next notification, which is accepted.
    fn woken(&mut self) -> String {
        let publish = self.0.stanza("iq", &["type='set'", "<notification xmlns='urn:xmpp:push:0'"]);
        for part in ["from='localhost'", "node='phone-1'", "token"] {
            assert!(publish.contains(part), "{part} in {publish}");
        }
        let id = attribute(&publish, "id").expect("an id").to_owned();
        self.0.send(&format!("<iq type='result' id='{id}' to='localhost'/>"));
        publish
    }

    fn is_quiet(&mut self) {
        self.0.saw_nothing_of("urn:xmpp:push:0");
    }
}

fn call(verb: &str) -> String {
    format!("<{verb} xmlns='urn:xmpp:jingle-message:0' id='call-1'/>")
}

/// Bob's phone with a session that can be resumed, notifications on.
fn phone(server: &Server) -> Wire {
    let mut phone = Wire::online(server, "bob", "phone");
    phone.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    phone.expect("<enabled");
    assert!(phone.iq("push", "type='set'", ENABLE).contains("type='result'"));
    phone
}

#[test]
fn a_phone_whose_connection_is_gone_is_woken_by_messages() {
    let server = Server::start();
    let (mut alice, mut service) = (Wire::online(&server, "alice", "a"), Service::start(&server));
    let phone = phone(&server);
    alice.send("<message to='bob@localhost' type='chat' id='m1'><body>unseen</body></message>");
    alice.saw_nothing_of("type='error'");
    service.is_quiet();
    // It had the message on its connection, and never acknowledged it.
    drop(phone);
    let publish = service.woken();
    assert!(publish.contains("<field var='message-count'><value>1</value>"), "{publish}");
    alice.send("<message to='bob@localhost' type='chat' id='m2'><body>second</body></message>");
    let publish = service.woken();
    assert!(publish.contains("<field var='message-count'><value>2</value>"), "{publish}");
    assert!(!publish.contains("second") && !publish.contains("alice"), "what was said is nobody's business: {publish}");
    alice.send("<message to='bob@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>");
    alice.saw_nothing_of("type='error'");
    service.is_quiet();
}

#[test]
fn a_call_wakes_the_phone_and_its_end_silences_it() {
    let server = Server::start();
    let (mut alice, mut service) = (Wire::online(&server, "alice", "a"), Service::start(&server));
    let mut laptop = Wire::online(&server, "bob", "laptop");
    drop(phone(&server));
    let propose = "<message to='bob@localhost' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='call-1'>\
        <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/></message>";
    for (by_laptop, verb) in [(true, "proceed"), (false, "retract"), (true, "reject")] {
        alice.send(propose);
        laptop.stanza("message", &["<propose", "call-1"]);
        let publish = service.woken();
        assert!(publish.contains("<propose xmlns='urn:xmpp:jingle-message:0' id='call-1'"), "{publish}");
        let (from, to) = if by_laptop { (&mut laptop, "alice@localhost/a") } else { (&mut alice, "bob@localhost") };
        from.send(&format!("<message to='{to}' type='chat'>{}<store xmlns='urn:xmpp:hints'/></message>", call(verb)));
        let publish = service.woken();
        assert!(publish.contains(&format!("<{verb} xmlns='urn:xmpp:jingle-message:0' id='call-1'")), "{publish}");
    }
    service.is_quiet();
    // A client that is there hears the call itself.
    drop(laptop);
    let mut phone = phone(&server);
    alice.send(propose);
    phone.stanza("message", &["<propose", "call-1"]);
    service.is_quiet();
}
