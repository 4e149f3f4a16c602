//! In which order things come, and who waits for what: a flood, a database that does not answer.

use std::time::Duration;

use campanile_signalling::jid::Jid;
use campanile_signalling::stanza::Stanza;
use campanile_signalling::xml::Bindings;
use futures_util::future::poll_immediate;

use crate::world::rooms::{ROOM, answer, create, heard, join, say};
use crate::world::{Client, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_one_order() {
    let world = World::new("muc-order", &["a", "b", "c"]).await;
    let clients = [world.client("a", "1").await, world.client("b", "1").await, world.client("c", "1").await];
    create(&world, &clients[0], ROOM, "a", &[]).await;
    join(&world, &clients[1], ROOM, "b").await;
    join(&world, &clients[2], ROOM, "c").await;
    clients.iter().for_each(Client::forget);
    let speak = |client: &Client, name: &'static str| {
        let client = Client { router: client.router.clone(), session: client.session.clone(), mailbox: client.mailbox.clone() };
        tokio::spawn(async move {
            for number in 0..100 {
                say(&client, ROOM, &format!("{name}{number}")).await;
            }
        })
    };
    let (one, other) = (speak(&clients[0], "a"), speak(&clients[1], "b"));
    one.await.expect("speaks");
    other.await.expect("speaks");
    world.settled().await;
    let [first, second, third] = clients.each_ref().map(heard);
    assert_eq!(first.len(), 200);
    assert!(first == second && second == third);
    for name in ["a", "b"] {
        let own: Vec<_> = first.iter().filter(|text| text.starts_with(name)).cloned().collect();
        assert_eq!(own, (0..100).map(|number| format!("{name}{number}")).collect::<Vec<_>>(), "each in its own order");
    }
}

/// Two in a room, whose mailboxes hold a flood.
async fn room_of_two(test: &str) -> (World, Client, Client) {
    let world = World::within(test, &["a", "b"], Default::default(), 10_000_000).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[]).await;
    join(&world, &b, ROOM, "b").await;
    (world, a, b)
}

/// Who sends as fast as it can has a few stanzas on their way, and then waits for these: another one's come behind them.
#[tokio::test]
async fn a_room_that_one_floods_stays_usable_for_others() {
    let (world, flooder, other) = room_of_two("muc-flood").await;
    let floods = Client { router: flooder.router.clone(), session: flooder.session.clone(), mailbox: flooder.mailbox.clone() };
    let flood = tokio::spawn(async move {
        for number in 0..500 {
            say(&floods, ROOM, &format!("flood {number}")).await;
        }
    });
    while world.counted("campanile_muc_outbox_waits_total") == 0 {
        tokio::task::yield_now().await;
    }
    let before = heard(&other).len();
    say(&other, ROOM, "hello").await;
    let mut behind = Vec::new();
    while !behind.iter().any(|text| text == "hello") {
        tokio::task::yield_now().await;
        behind.extend(heard(&other));
    }
    let place = behind.iter().position(|text| text == "hello").expect("was heard");
    assert!(place <= 8, "{place} stanzas of the flood came before it, {before} were there already");
    flood.await.expect("ends");
}

/// §7.5: errors go on to who has written privately. They take their turns like all that an occupant sends.
#[tokio::test]
async fn a_flood_of_errors_waits_for_what_was_sent_before() {
    let (world, a, b) = room_of_two("muc-errors").await;
    b.send(&format!("<message to='{ROOM}/a' type='chat'><body>psst</body></message>")).await;
    world.settled().await;
    b.forget();
    let error = "<error type='cancel'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let returned = format!("<message to='{ROOM}/b' type='error'>{error}</message>");
    let mut flood = Box::pin(async {
        for _ in 0..100 {
            a.send(&returned).await;
        }
    });
    assert!(poll_immediate(&mut flood).await.is_none(), "it waits");
    assert_eq!(world.counted("campanile_muc_outbox_waits_total"), 1);
    // One that the server itself returns is brought by what must not wait.
    let stanza = Stanza::parse(returned.clone().into(), &Bindings::client()).expect("a stanza").with_from(a.session.jid.clone());
    assert!(poll_immediate(world.router.route(stanza, None)).await.is_some());
    flood.await;
    world.settled().await;
    let came = b.received();
    assert_eq!(came.len(), 101);
    assert!(came.iter().all(|stanza| stanza.contains("<policy-violation")), "{came:?}");
}

/// What rooms send is brought out by a task of theirs: it waits for no room, or two could wait for each other and one for itself.
#[tokio::test]
async fn what_comes_from_a_room_waits_for_no_room() {
    let world = World::new("muc-to-itself", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[("persistentroom", "1")]).await;
    join(&world, &b, ROOM, "b").await;
    a.forget();
    let invites = format!("<invite to='{ROOM}'/>").repeat(20);
    b.send(&format!("<message to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>{invites}</x></message>")).await;
    world.settled().await;
    b.expect(&[&["type='error'", "<not-allowed"]]);
    // It is refused, and the refusals are for the room as well.
    let message = Stanza::parse("<message><body>x</body></message>".into(), &Bindings::client()).expect("a stanza");
    let room = Jid::parse(ROOM).expect("a JID");
    for number in 0..20 {
        let message = message.clone().with_from(room.clone()).with_to(room.clone());
        assert!(poll_immediate(world.router.route(message, None)).await.is_some(), "{number} waits");
    }
    say(&b, ROOM, "still here").await;
    world.settled().await;
    assert_eq!(heard(&a), ["still here"]);
}

/// §7.14: a session that ends while it waits to enter does not enter any more.
#[tokio::test]
async fn s7_14_who_ends_before_its_turn_does_not_enter() {
    let world = World::new("muc-too-late", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[]).await;
    let enter = format!("<presence to='{ROOM}/b'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    // So much of its own is on its way that it has to wait.
    let mut enters = Box::pin(async {
        for number in 0..4 {
            say(&b, ROOM, &format!("{number}")).await;
        }
        b.send(&enter).await;
    });
    assert!(poll_immediate(&mut enters).await.is_none(), "it waits");
    world.router.unbind(&b.session).await;
    enters.await;
    world.settled().await;
    assert_eq!(world.muc.counts().occupants, 1);
}

/// What must be stored waits for the database, and with it the room that it is about; other rooms go on, and whoever leaves waits for nothing.
#[tokio::test]
async fn a_database_that_does_not_answer_stops_only_the_room_that_stores() {
    const OTHER: &str = "darkcave@conference.localhost";
    let world = World::new("muc-slow", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    for room in [ROOM, OTHER] {
        create(&world, &a, room, "a", &[("persistentroom", "1"), ("enablelogging", "0")]).await;
        join(&world, &b, room, "b").await;
    }
    a.forget();
    let held = world.hold_database().await;
    let admin = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='c@localhost'/></query>";
    let request = format!("<iq to='{ROOM}' type='set' id='member'>{admin}</iq>");
    let mut stores = Box::pin(a.send(&request));
    assert!(poll_immediate(&mut stores).await.is_none(), "the request waits for the database");
    while world.muc.counts().tasks == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(Duration::from_secs(2), async {
        say(&b, OTHER, "still here").await;
        // Leaving the room that waits holds up nobody.
        b.send(&format!("<presence to='{ROOM}/b' type='unavailable'/>")).await;
        let mut seen = heard(&b);
        while seen.is_empty() {
            tokio::task::yield_now().await;
            seen = heard(&b);
        }
        assert_eq!(seen, ["still here"]);
    })
    .await
    .expect("does not wait for the database");
    drop(held);
    stores.await;
    world.settled().await;
    let received = a.received();
    let place = |part: &str| received.iter().position(|stanza| stanza.contains(part)).unwrap_or_else(|| panic!("no {part}: {received:#?}"));
    assert!(place("id='member'") < place("from='coven@conference.localhost/b' to='a@localhost/1' type='unavailable'"), "in their order");
}

/// The connection of whoever has asked is gone before the database has answered: all of it happens, or nothing.
#[tokio::test]
async fn nothing_is_left_half_done_when_its_sender_is_gone() {
    let world = World::new("muc-gone", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[("persistentroom", "1")]).await;
    join(&world, &b, ROOM, "b").await;
    a.forget();
    let held = world.hold_database().await;
    let ban = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='b@localhost'/></query>";
    let stanza = format!("<iq to='{ROOM}' type='set' id='ban'>{ban}</iq>");
    // It is under way, and its connection ends.
    assert!(poll_immediate(Box::pin(a.send(&stanza))).await.is_none(), "it waits for the database");
    while world.muc.counts().tasks == 0 {
        tokio::task::yield_now().await;
    }
    drop(held);
    world.settled().await;
    let told = b.received();
    assert!(told.iter().any(|stanza| stanza.contains("code='301'")), "{told:#?}");
    a.forget();
    let list = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query>";
    let banned = answer(&world, &a, &format!("<iq to='{ROOM}' type='get' id='list'>{list}</iq>")).await;
    assert!(banned.contains("b@localhost"), "{banned}");
}
