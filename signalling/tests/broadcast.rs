//! One stanza for many recipients: each gets what it would get of a stanza of its own.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use campanile_signalling::addressees::Addressees;
use campanile_signalling::jid::Jid;
use campanile_signalling::mailbox::Outgoing;
use campanile_signalling::router::{Behind, Limits};
use campanile_signalling::stanza::{MessageType, PresenceType, Stanza};
use futures_util::future::poll_immediate;

use crate::world::World;

const EVENT: &[u8] = b"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item id='1'/></items></event>";

fn notification(type_: MessageType) -> Stanza {
    Stanza::message(type_).with_from(jid("pubsub.localhost")).with_id("n1").with_content(Bytes::from_static(EVENT))
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

fn jids(texts: &[&str]) -> Addressees {
    texts.iter().map(|text| jid(text)).collect()
}

#[tokio::test]
async fn rfc6121_s8_5_each_recipient_gets_it_with_an_address_of_its_own() {
    let world = World::new("broadcast", &["alice", "bob", "carol"]).await;
    let (phone, laptop, robot) =
        (world.online("bob", "phone").await, world.online("bob", "laptop").await, world.client("bob", "robot").await);
    robot.send("<presence><priority>-1</priority></presence>").await;
    let (alice, hidden) = (world.online("alice", "a").await, world.client("carol", "hidden").await);
    [&phone, &laptop, &robot, &alice, &hidden].into_iter().for_each(|client| client.forget());
    let recipients =
        jids(&["bob@localhost", "alice@localhost/a", "alice@localhost/gone", "carol@localhost", "nobody@localhost", "elsewhere.example"]);
    world.router.broadcast(&notification(MessageType::Headline), &recipients, Behind::Nothing).await;
    let head = "<message from='pubsub.localhost' to='bob@localhost' id='n1' type='headline'><event";
    phone.expect(&[&[head]]);
    laptop.expect(&[&[head]]);
    robot.expect(&[]);
    alice.expect(&[&["to='alice@localhost/a'", "<item id='1'/></items></event></message>"]]);
    hidden.expect(&[]);
    let presence = Stanza::presence(PresenceType::Available).with_from(jid("room@rooms.localhost/nick"));
    world.router.broadcast(&presence, &jids(&["carol@localhost/hidden", "bob@localhost/robot"]), Behind::Nothing).await;
    hidden.expect(&[&["<presence from='room@rooms.localhost/nick' to='carol@localhost/hidden'/>"]]);
    robot.expect(&[&["to='bob@localhost/robot'"]]);
}

#[tokio::test]
async fn a_headline_loads_nobody_and_a_normal_message_waits() {
    let world = World::new("broadcast-kept", &["alice", "bob"]).await;
    let recipients = jids(&["alice@localhost", "bob@localhost", "bob@localhost/gone"]);
    world.router.broadcast(&notification(MessageType::Headline), &recipients, Behind::Nothing).await;
    for recipient in recipients.iter() {
        assert!(world.router.home_in_memory(&recipient.to_bare()).is_none(), "{recipient}");
    }
    world.router.broadcast(&notification(MessageType::Normal), &jids(&["alice@localhost", "bob@localhost"]), Behind::Nothing).await;
    for name in ["alice", "bob"] {
        let client = world.client(name, "late").await;
        client.send("<presence/>").await;
        let to = format!("to='{name}@localhost'");
        let event = client.received().into_iter().find(|stanza| stanza.contains("<event")).expect("it has waited");
        assert!(event.contains(&to) && event.contains("<delay "), "{event}");
    }
}

#[tokio::test]
async fn xep0191_s3_3_who_has_blocked_the_sender_gets_nothing_and_the_others_do() {
    let world = World::new("broadcast-blocked", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send("<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='pubsub.localhost'/></block></iq>").await;
    alice.forget();
    for type_ in [MessageType::Headline, MessageType::Normal] {
        world
            .router
            .broadcast(&notification(type_), &jids(&["alice@localhost", "alice@localhost/a", "bob@localhost"]), Behind::Nothing)
            .await;
        alice.expect(&[]);
        bob.expect(&[&["<event"]]);
    }
}

#[tokio::test]
async fn what_cannot_be_delivered_goes_back_to_a_sender_that_is_an_account() {
    let world = World::new("broadcast-back", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let stanza = notification(MessageType::Headline).with_from(alice.session.jid.clone());
    world.router.broadcast(&stanza, &jids(&["bob@localhost/gone", "bob@localhost"]), Behind::Nothing).await;
    alice.expect(&[&["type='error'", "from='bob@localhost/gone'", "<service-unavailable"]]);
    bob.expect(&[&["<event"]]);
}

#[tokio::test]
async fn xep0280_carbons_are_those_of_any_message() {
    let world = World::new("broadcast-carbons", &["alice"]).await;
    let (phone, laptop) = (world.online("alice", "phone").await, world.online("alice", "laptop").await);
    laptop.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    [&phone, &laptop].into_iter().for_each(|client| client.forget());
    let with_body = |type_| notification(type_).with_content(Bytes::from_static(b"<body>new</body>"));
    world.router.broadcast(&with_body(MessageType::Headline), &jids(&["alice@localhost/phone"]), Behind::Nothing).await;
    phone.expect(&[&["<body>new</body>"]]);
    laptop.expect(&[]);
    world.router.broadcast(&with_body(MessageType::Normal), &jids(&["alice@localhost/phone"]), Behind::Nothing).await;
    phone.expect(&[&["<body>new</body>"]]);
    laptop.expect(&[&["<received xmlns='urn:xmpp:carbons:2'>", "<body>new</body>"]]);
}

#[tokio::test]
async fn who_is_there_waits_for_no_account_that_has_to_be_loaded() {
    let world = World::new("broadcast-load", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    alice.forget();
    let stanza = notification(MessageType::Normal);
    let recipients = jids(&["bob@localhost", "alice@localhost/a"]);
    let mut broadcast = pin!(world.router.broadcast(&stanza, &recipients, Behind::Nothing));
    assert!(poll_immediate(broadcast.as_mut()).await.is_none(), "bob is not in memory");
    alice.expect(&[&["<event"]]);
    broadcast.await;
}

/// A list serves many broadcasts; what it remembers of homes is not always so any more.
#[tokio::test]
async fn who_is_not_where_they_were_is_found_all_the_same() {
    let world = World::new("broadcast-again", &["alice", "bob"]).await;
    let list = jids(&["alice@localhost", "bob@localhost"]);
    let tell = || async { world.router.broadcast(&notification(MessageType::Headline), &list, Behind::Nothing).await };
    let alice = world.online("alice", "a").await;
    alice.forget();
    tell().await;
    alice.expect(&[&["<event"]]);
    // One who was not there when it was first used.
    let bob = world.online("bob", "b").await;
    bob.forget();
    tell().await;
    bob.expect(&[&["<event"]]);
    // One whose home was forgotten, and is still held by somebody.
    let old = world.router.home_in_memory(&jid("alice@localhost").to_bare()).expect("alice is there");
    world.router.forget(&old.jid);
    let again = world.online("alice", "again").await;
    [&alice, &bob, &again].into_iter().for_each(|client| client.forget());
    for _ in 0..3 {
        tell().await;
        again.expect(&[&["<event"]]);
        bob.expect(&[&["<event"]]);
        alice.expect(&[]);
    }
}

/// On one worker, the broadcast is one of several tasks, and the others have their turns.
#[tokio::test]
async fn ten_thousand_recipients_do_not_hold_the_worker_and_share_one_body() {
    const CLIENTS: usize = 100;
    const EACH: usize = 100;
    let limits = Limits { sessions_per_account: CLIENTS, ..Limits::default() };
    let world = World::within("broadcast-many", &["alice"], limits, 1 << 20).await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(world.client("alice", &number.to_string()).await);
    }
    let once = || clients.iter().map(|client| Jid::from(client.session.jid.clone()));
    let recipients: Addressees = std::iter::repeat_with(once).take(EACH).flatten().collect();
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    world.router.broadcast(&notification(MessageType::Headline), &recipients, Behind::Nothing).await;
    other.abort();
    let turns = turns.load(Ordering::Relaxed);
    // One for some hundred recipients.
    assert!(turns >= CLIENTS * EACH / 150, "{turns} turns of another task");
    let mut bodies = HashSet::new();
    for client in &clients {
        let mut out = Vec::new();
        client.mailbox.drain(&mut out);
        assert_eq!(out.len(), EACH);
        for item in out {
            let Outgoing::Stanza(delivery) = item else { panic!("{item:?}") };
            assert_eq!(delivery.stanza.to(), Some(&*client.session.jid));
            let event = delivery.stanza.children().next().expect("the event").bytes();
            bodies.insert(event.as_ptr() as usize);
        }
    }
    assert_eq!(bodies.len(), 1);
}
