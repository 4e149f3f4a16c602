//! XEP-0357: who is notified of what, and what becomes of services that refuse.

use crate::world::World;

const ENABLE: &str = "<iq type='set' id='e'><enable xmlns='urn:xmpp:push:0' jid='push@localhost/s' node='n'><x xmlns='jabber:x:data' type='submit'>\
    <field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
    <field var='secret'><value>s3cret</value></field></x></enable></iq>";

fn message(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>hi</body></message>")
}

fn call(to: &str, verb: &str) -> String {
    format!("<message to='{to}' type='chat'><{verb} xmlns='urn:xmpp:jingle-message:0' id='c1'/></message>")
}

#[tokio::test]
async fn s5_a_client_enables_and_disables_and_bad_requests_are_told() {
    let world = World::new("push-enable", &["bob"]).await;
    let bob = world.online("bob", "phone").await;
    bob.send("<iq type='get' id='d' to='bob@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    bob.expect(&[&["var='urn:xmpp:push:0'"]]);
    for (enable, expected) in [
        ("<enable xmlns='urn:xmpp:push:0'/>", "<bad-request"),
        ("<enable xmlns='urn:xmpp:push:0' jid='@'/>", "<jid-malformed"),
        ("<enable xmlns='urn:xmpp:push:0' jid='push.elsewhere.example'/>", "<remote-server-not-found"),
        ("<disable xmlns='urn:xmpp:push:0'/>", "<bad-request"),
        ("<disable xmlns='urn:xmpp:push:0' jid='push@localhost/s'/>", "type='result'"),
    ] {
        bob.send(&format!("<iq type='set' id='e'>{enable}</iq>")).await;
        bob.expect(&[&[expected]]);
    }
    bob.send(ENABLE).await;
    bob.expect(&[&["type='result'"]]);
    let services = || async { world.store.push_services().load(&bob.session.jid.to_bare()).await.expect("reads") };
    let stored = services().await;
    assert_eq!((stored.len(), stored[0].node.as_str(), stored[0].resource.as_str()), (1, "n", "phone"));
    bob.send("<iq type='set' id='e'><disable xmlns='urn:xmpp:push:0' jid='push@localhost/s' node='other'/></iq>").await;
    bob.expect(&[&["type='result'"]]);
    assert_eq!(services().await.len(), 1);
    bob.send("<iq type='set' id='e'><disable xmlns='urn:xmpp:push:0' jid='push@localhost/s'/></iq>").await;
    bob.expect(&[&["type='result'"]]);
    assert_eq!(services().await.len(), 0);
    for node in 0..=16 {
        bob.send(&format!("<iq type='set' id='e'><enable xmlns='urn:xmpp:push:0' jid='push@localhost/s' node='{node}'/></iq>")).await;
        bob.expect(&[&[if node < 16 { "type='result'" } else { "<resource-constraint" }]]);
    }
}

#[tokio::test]
async fn s7_messages_wake_the_client_that_has_no_stream_whatever_other_devices_do() {
    let world = World::new("push-messages", &["alice", "bob", "push"]).await;
    let (alice, service) = (world.online("alice", "a").await, world.client("push", "s").await);
    let (phone, laptop) = (world.online("bob", "phone").await, world.online("bob", "laptop").await);
    phone.send(ENABLE).await;
    alice.send(&message("bob@localhost", "1")).await;
    service.expect(&[]);
    phone.forget();
    world.router.unbind(&phone.session).await;
    laptop.forget();
    alice.send(&message("bob@localhost", "2")).await;
    service.expect(&[&[
        "from='localhost'",
        "to='push@localhost/s'",
        "<publish node='n'>",
        "<notification xmlns='urn:xmpp:push:0'>",
        "<field var='message-count'><value>1</value></field>",
        "<publish-options><x",
        "s3cret",
    ]]);
    laptop.expect(&[&["<body>hi</body>"]]);
    laptop.send(&message("alice@localhost", "3")).await;
    alice.send("<message to='bob@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    alice.send("<message to='bob@localhost' type='headline'><body>news</body></message>").await;
    service.expect(&[]);
    let phone = world.online("bob", "phone").await;
    alice.send(&message("bob@localhost", "4")).await;
    service.expect(&[]);
    phone.forget();
}

#[tokio::test]
async fn registrations_outlive_the_home() {
    let world = World::new("push-home", &["alice", "bob", "push"]).await;
    let (alice, service) = (world.online("alice", "a").await, world.client("push", "s").await);
    let (phone, laptop) = (world.online("bob", "phone").await, world.online("bob", "laptop").await);
    phone.send(ENABLE).await;
    for client in [&phone, &laptop] {
        world.router.unbind(&client.session).await;
    }
    world.router.forget(&phone.session.jid.to_bare());
    let _laptop = world.online("bob", "laptop").await;
    alice.send(&message("bob@localhost", "1")).await;
    service.expect(&[&["message-count"]]);
}

#[tokio::test]
async fn xep0353_a_call_wakes_each_client_once_and_once_more_when_it_is_over() {
    let world = World::new("push-calls", &["alice", "bob", "push"]).await;
    let (alice, service) = (world.online("alice", "a").await, world.client("push", "s").await);
    let (phone, laptop) = (world.online("bob", "phone").await, world.online("bob", "laptop").await);
    phone.send(ENABLE).await;
    world.router.unbind(&phone.session).await;
    let propose = "<message to='bob@localhost' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='c1'>\
        <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose></message>";
    // Taken elsewhere, rejected elsewhere, retracted, and legacy accept to oneself.
    for (from_laptop, over) in [
        (true, call("alice@localhost/a", "proceed")),
        (true, call("alice@localhost/a", "reject")),
        (false, call("bob@localhost", "retract")),
        (true, call("bob@localhost", "accept")),
    ] {
        alice.send(propose).await;
        alice.send(propose).await;
        service.expect(&[&["<propose xmlns='urn:xmpp:jingle-message:0' id='c1'>", "media='audio'"]]);
        if from_laptop {
            laptop.send(&over).await
        } else {
            alice.send(&over).await
        }
        service.expect(&[&["urn:xmpp:jingle-message:0", "id='c1'"]]);
        if from_laptop {
            laptop.send(&over).await
        } else {
            alice.send(&over).await
        }
        service.expect(&[]);
    }
    // Stale: it says itself that it was kept.
    alice
        .send(
            "<message to='bob@localhost' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='c2'/>\
             <delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></message>",
        )
        .await;
    service.expect(&[]);
}

#[tokio::test]
async fn s7_1_a_service_that_refuses_is_disabled_and_s8_one_that_withdraws_too() {
    let world = World::new("push-errors", &["alice", "bob", "push"]).await;
    let (alice, service) = (world.online("alice", "a").await, world.client("push", "s").await);
    let (mut phone, laptop) = (world.online("bob", "phone").await, world.online("bob", "laptop").await);
    let id = |publish: &str| publish.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id").to_owned();
    for answer in ["result", "error", "error"] {
        phone.send(ENABLE).await;
        world.router.unbind(&phone.session).await;
        laptop.forget();
        alice.send(&message("bob@localhost", "1")).await;
        let published = service.received();
        assert_eq!(published.len(), 1, "{answer}: {published:?}");
        let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let content = if answer == "error" { error } else { "" };
        service.send(&format!("<iq type='{answer}' id='{}' to='localhost'>{content}</iq>", id(&published[0]))).await;
        alice.send(&message("bob@localhost", "2")).await;
        assert_eq!(service.received().len(), usize::from(answer == "result"), "{answer}");
        phone = world.online("bob", "phone").await;
    }
    // Nobody else can disable it.
    phone.send(ENABLE).await;
    alice.send("<message to='bob@localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub' node='n'><affiliation jid='bob@localhost' affiliation='none'/></pubsub></message>").await;
    assert_eq!(world.store.push_services().load(&phone.session.jid.to_bare()).await.expect("reads").len(), 1);
    service.send("<message to='bob@localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub' node='n'><affiliation jid='bob@localhost' affiliation='none'/></pubsub></message>").await;
    assert_eq!(world.store.push_services().load(&phone.session.jid.to_bare()).await.expect("reads").len(), 0);
}

/// XEP-0191 §3.3: what comes by way of the server is no way around a block list, and who cannot log in is not woken.
#[tokio::test]
async fn xep0191_s3_3_a_service_that_has_blocked_the_account_gets_nothing_nor_does_one_of_a_disabled_account() {
    let world = World::new("push-blocked", &["alice", "bob", "push"]).await;
    let (alice, service) = (world.online("alice", "a").await, world.client("push", "s").await);
    let phone = world.online("bob", "phone").await;
    phone.send(ENABLE).await;
    world.router.unbind(&phone.session).await;
    let list = |verb: &str| format!("<iq type='set' id='b'><{verb} xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></{verb}></iq>");
    service.send(&list("block")).await;
    service.forget();
    alice.send(&message("bob@localhost", "1")).await;
    service.expect(&[]);
    service.send(&list("unblock")).await;
    service.forget();
    alice.send(&message("bob@localhost", "2")).await;
    service.expect(&[&["<notification xmlns='urn:xmpp:push:0'>"]]);

    let bob = phone.session.jid.to_bare();
    world.store.accounts().disable(&bob, &Default::default()).await.expect("stores");
    world.administration.disabled(&bob).await.expect("stores");
    alice.send(&message("bob@localhost", "3")).await;
    service.expect(&[]);
    // as it is loaded
    world.router.forget(&bob);
    alice.send(&message("bob@localhost", "4")).await;
    service.expect(&[]);
    world.store.accounts().enable(&bob).await.expect("stores");
    world.administration.enabled(&bob);
    alice.send(&message("bob@localhost", "5")).await;
    service.expect(&[&["<notification xmlns='urn:xmpp:push:0'>"]]);
}
