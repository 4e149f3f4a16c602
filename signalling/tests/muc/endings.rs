//! What becomes of rooms and occupants when the server stops and starts, and when accounts are removed.

use std::time::Instant;

use campanile_signalling::jid::BareJid;

use crate::world::rooms::{ROOM, answer, create, heard, join, say};
use crate::world::{Client, World};

/// Its connection is lost; it can be resumed by this.
fn sleeps(client: &Client) -> String {
    let enabled = client.router.enable_management(&client.session, true, None).expect("is enabled");
    let attachment = client.mailbox.attach().expect("is open");
    assert!(client.router.detach(&client.session, &attachment));
    enabled.resumption.expect("may be resumed").0.to_text()
}

/// §3 of XEP-0198: occupants whose sessions go on are in their rooms after a restart; who does not come back has left.
#[tokio::test]
async fn rooms_and_those_in_them_come_back_after_an_orderly_stop() {
    let world = World::new("muc-restart", &["a", "b", "c"]).await;
    let (a, b, c) = (world.client("a", "1").await, world.client("b", "1").await, world.client("c", "1").await);
    create(&world, &a, ROOM, "alice", &[("enablelogging", "0")]).await;
    for (client, nick) in [(&b, "bob"), (&c, "carol")] {
        join(&world, client, ROOM, nick).await;
    }
    say(&a, ROOM, "before").await;
    world.settled().await;
    for client in [&a, &b, &c] {
        client.forget();
    }
    let (token, _) = (sleeps(&a), sleeps(&b));
    // §11.2.
    world.muc.shut_down().await;
    c.expect(&[&["from='coven@conference.localhost/carol'", "type='unavailable'", "code='110'", "code='332'"]]);
    world.router.unbind(&c.session).await;
    world.settled().await;
    world.router.store_sessions().await.expect("are stored");
    assert_eq!(world.muc.store_occupants().await.expect("are stored"), 2);

    let next = world.next();
    next.router.restore_sessions(100_000).await.expect("are restored");
    // One of them is thrown out before anybody is back.
    next.router.forget(&BareJid::new("b", "localhost").expect("a JID"));
    assert_eq!(next.muc.restore_occupants().await.expect("are restored"), 1);
    next.settled().await;
    let account = a.session.jid.to_bare();
    let resumed = next.router.resume(&account, &token, 0, Instant::now()).await.expect("goes on");
    let session = resumed.bound.session().expect("is its").clone();
    let a = Client { router: next.router.clone(), session, mailbox: resumed.bound.attachment().mailbox().clone() };
    let told = a.received();
    assert!(told.iter().any(|stanza| stanza.contains("/bob'") && stanza.contains("type='unavailable'")), "{told:#?}");
    let newcomer = next.client("c", "2").await;
    newcomer.send(&format!("<presence to='{ROOM}/again'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    next.settled().await;
    let told = newcomer.received();
    assert!(told[0].contains("/alice'") && told.len() == 4, "who is there, itself, the history, the subject: {told:#?}");
    assert!(told[2].contains("<body>before</body>"), "{told:#?}");
    say(&newcomer, ROOM, "after").await;
    next.settled().await;
    assert_eq!(heard(&a), ["after"]);
}

/// A room that this version cannot read keeps neither the server nor other rooms from starting.
#[tokio::test]
async fn one_unreadable_room_does_not_keep_others_from_coming_back() {
    let world = World::new("muc-unreadable", &["a"]).await;
    let a = world.client("a", "1").await;
    create(&world, &a, ROOM, "alice", &[("persistentroom", "1")]).await;
    create(&world, &a, "other@conference.localhost", "alice", &[("persistentroom", "1")]).await;
    sleeps(&a);
    world.router.store_sessions().await.expect("are stored");
    assert_eq!(world.muc.store_occupants().await.expect("are stored"), 2);
    world.sql("UPDATE rooms SET config = 'from the future' WHERE local = 'coven'").await;
    let next = world.next();
    next.router.restore_sessions(100_000).await.expect("are restored");
    assert_eq!(next.muc.restore_occupants().await.expect("the others are"), 1);
    assert_eq!(next.muc.counts().occupied, 1);
}

#[tokio::test]
async fn temporary_rooms_end_with_a_crash_and_persistent_ones_come_back() {
    let world = World::new("muc-crash", &["a"]).await;
    let a = world.client("a", "1").await;
    create(&world, &a, ROOM, "alice", &[]).await;
    create(&world, &a, "stays@conference.localhost", "alice", &[("persistentroom", "1"), ("roomname", "Here")]).await;
    let next = world.next();
    assert_eq!(next.muc.restore_occupants().await.expect("nobody is back"), 0);
    assert_eq!(next.store.rooms().count("conference.localhost").await.expect("counts"), 1);
    let a = next.client("a", "1").await;
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let told = answer(&next, &a, &format!("<iq to='stays@conference.localhost' type='get' id='1'>{info}</iq>")).await;
    assert!(told.contains("name='Here'") && told.contains("muc_persistent"), "{told}");
    join(&next, &a, "stays@conference.localhost", "alice").await;
}

#[tokio::test]
async fn a_removed_account_is_nobody_to_rooms() {
    let world = World::new("muc-removed", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "alice", &[("persistentroom", "1"), ("membersonly", "1")]).await;
    let admin = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin' jid='b@localhost'/></query>";
    answer(&world, &a, &format!("<iq to='{ROOM}' type='set' id='1'>{admin}</iq>")).await;
    join(&world, &b, ROOM, "bob").await;
    a.forget();
    let account = BareJid::new("b", "localhost").expect("a JID");
    assert!(world.administration.remove(&account, || {}).await.expect("is removed"));
    world.settled().await;
    let told = a.received();
    assert!(told.iter().any(|stanza| stanza.contains("/bob'") && stanza.contains("type='unavailable'")), "{told:#?}");
    let list = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin'/></query>";
    let admins = answer(&world, &a, &format!("<iq to='{ROOM}' type='get' id='2'>{list}</iq>")).await;
    assert!(!admins.contains("b@localhost"), "{admins}");
}

/// What a session did not get of a room is not for the next one of its address, which is in no room.
#[tokio::test]
async fn s7_14_a_session_that_takes_anothers_place_is_not_in_its_rooms() {
    let world = World::new("muc-successor", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "alice", &[]).await;
    join(&world, &b, ROOM, "bob").await;
    a.forget();
    say(&a, ROOM, "not read").await;
    world.settled().await;
    let successor = world.client("b", "1").await;
    world.settled().await;
    a.expect(&[&["<body>not read</body>"], &["/bob'", "type='unavailable'"]]);
    successor.expect(&[]);
    say(&a, ROOM, "later").await;
    world.settled().await;
    successor.expect(&[]);
}

/// XEP-0060 §9.1.3 is about those who show their presence to an account, not about those who are in a room with it.
#[tokio::test]
async fn occupants_are_no_visitors_of_accounts() {
    let world = World::new("muc-visitors", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "alice", &[]).await;
    join(&world, &b, ROOM, "bob").await;
    let visitors = || a.session.home.with(|account| account.visitors.len());
    assert_eq!(visitors(), 0);
    b.send("<presence to='a@localhost'/>").await;
    assert_eq!(visitors(), 1);
}

/// §7.2.8: sessions under one nickname leave one by one, whichever way, and the last one takes the occupant along.
#[tokio::test]
async fn s7_14_each_of_several_sessions_under_one_nickname_leaves_when_it_ends() {
    let world = World::new("muc-seats", &["a", "b"]).await;
    let a = world.client("a", "1").await;
    create(&world, &a, ROOM, "alice", &[]).await;
    for first_says_so in [true, false] {
        let (desk, phone) = (world.client("b", "desk").await, world.client("b", "phone").await);
        for client in [&desk, &phone] {
            join(&world, client, ROOM, "bob").await;
        }
        a.forget();
        if first_says_so {
            phone.send(&format!("<presence to='{ROOM}/bob' type='unavailable'/>")).await;
        } else {
            world.router.unbind(&phone.session).await;
        }
        world.settled().await;
        let told = a.received();
        assert!(!told.iter().any(|stanza| stanza.contains("type='unavailable'")), "he is there still: {told:#?}");
        world.router.unbind(&desk.session).await;
        world.settled().await;
        let told = a.received();
        assert!(told.iter().any(|stanza| stanza.contains("/bob'") && stanza.contains("type='unavailable'")), "{told:#?}");
        if first_says_so {
            world.router.unbind(&phone.session).await;
        }
    }
}

/// Who leaves and enters at once, before the room has answered, or has had other nicknames, is gone with its session all the same.
#[tokio::test]
async fn s7_14_whoever_entered_anew_or_under_another_nickname_leaves_when_the_session_ends() {
    let world = World::new("muc-anew", &["a", "b"]).await;
    let a = world.client("a", "1").await;
    create(&world, &a, ROOM, "alice", &[]).await;
    let enters = |nick: &str| format!("<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    let anew = [format!("<presence to='{ROOM}/bob' type='unavailable'/>"), enters("bob")];
    let renamed: Vec<String> = (0..20).map(|number| format!("<presence to='{ROOM}/bob{number}'/>")).collect();
    for (presences, last, at_once) in [(&anew[..], "bob", true), (&renamed[..], "bob19", false)] {
        let b = world.client("b", "1").await;
        join(&world, &b, ROOM, "bob").await;
        for presence in presences {
            b.send(presence).await;
            if !at_once {
                world.settled().await;
            }
        }
        world.settled().await;
        let directed = b.session.home.with(|account| account.session(b.session.id).map(|session| session.directed.len()));
        assert_eq!(directed, Some(1), "one address of a room is enough");
        a.forget();
        world.router.unbind(&b.session).await;
        world.settled().await;
        let told = a.received();
        assert!(
            told.iter().any(|stanza| stanza.contains(&format!("/{last}'")) && stanza.contains("type='unavailable'")),
            "{last}: {told:#?}"
        );
    }
}
