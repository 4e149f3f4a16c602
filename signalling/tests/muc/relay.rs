//! IQs between occupants (XEP-0045 §17.4), pings to oneself (XEP-0410), and calls that go through a room.

use crate::world::rooms::{ROOM, answer, create, join};
use crate::world::{Client, World};

async fn pair(name: &str) -> (World, Client, Client) {
    let world = World::new(name, &["a", "b", "c"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "alice", &[]).await;
    join(&world, &b, ROOM, "bob").await;
    a.forget();
    (world, a, b)
}

#[tokio::test]
async fn s17_4_requests_and_answers_keep_their_ids_and_show_nobodys_address() {
    let (world, a, b) = pair("muc-iq").await;
    a.send(&format!("<iq to='{ROOM}/bob' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")).await;
    world.settled().await;
    b.expect(&[&["from='coven@conference.localhost/alice' to='b@localhost/1' id='v' type='get'", "jabber:iq:version"]]);
    b.send(&format!("<iq to='{ROOM}/alice' type='result' id='v'><query xmlns='jabber:iq:version'><name>x</name></query></iq>")).await;
    world.settled().await;
    a.expect(&[&["from='coven@conference.localhost/bob' to='a@localhost/1' id='v' type='result'", "<name>x</name>"]]);
    // A session that does not answer any more is answered for.
    world.router.unbind(&b.session).await;
    world.settled().await;
    a.forget();
    a.send(&format!("<iq to='{ROOM}/bob' type='get' id='w'><query xmlns='jabber:iq:version'/></iq>")).await;
    world.settled().await;
    a.expect(&[&["type='error'", "id='w'", "<item-not-found"]]);
}

#[tokio::test]
async fn s17_4_with_several_sessions_the_one_that_asks_is_answered() {
    let (world, a, b) = pair("muc-iq-seats").await;
    let second = world.client("a", "2").await;
    join(&world, &second, ROOM, "alice").await;
    a.forget();
    for (asker, other, id) in [(&second, &a, "same"), (&a, &second, "other")] {
        asker.send(&format!("<iq to='{ROOM}/bob' type='get' id='{id}'><query xmlns='urn:q'/></iq>")).await;
        world.settled().await;
        b.expect(&[&["from='coven@conference.localhost/alice'", "type='get'"]]);
        b.send(&format!("<iq to='{ROOM}/alice' type='result' id='{id}'/>")).await;
        world.settled().await;
        asker.expect(&[&["type='result'", id]]);
        other.expect(&[]);
    }
    // What the peer begins then goes to the session that has spoken with it last.
    b.send(&format!("<iq to='{ROOM}/alice' type='set' id='3'><query xmlns='urn:q'/></iq>")).await;
    world.settled().await;
    a.expect(&[&["type='set'"]]);
    second.expect(&[]);
}

#[tokio::test]
async fn s17_4_what_answers_nothing_is_not_passed_on() {
    let (world, a, b) = pair("muc-iq-unasked").await;
    a.send(&format!("<iq to='{ROOM}/bob' type='get' id='v'><query xmlns='urn:q'/></iq>")).await;
    world.settled().await;
    b.forget();
    let answer = |id: &str| format!("<iq to='{ROOM}/alice' type='result' id='{id}'><query xmlns='urn:q'/></iq>");
    for stanza in [answer("w"), format!("<iq to='{ROOM}/alice' type='error' id='w'/>"), answer("v"), answer("v")] {
        b.send(&stanza).await;
    }
    world.settled().await;
    a.expect(&[&["type='result'", "id='v'"]]);
    // Whoever asks in vain makes the room forget its own questions only.
    a.send(&format!("<iq to='{ROOM}/bob' type='get' id='v'><query xmlns='urn:q'/></iq>")).await;
    for number in 0..200 {
        b.send(&format!("<iq to='{ROOM}/alice' type='get' id='{number}'><query xmlns='urn:q'/></iq>")).await;
    }
    b.send(&answer("v")).await;
    world.settled().await;
    let received = a.received();
    assert!(received.last().is_some_and(|stanza| stanza.contains("id='v' type='result'")), "{received:#?}");
}

#[tokio::test]
async fn s6_6_and_xep0410_who_is_not_there_asks_nobody() {
    let (world, a, b) = pair("muc-iq-out").await;
    let c = world.client("c", "1").await;
    let ping = |nick: &str| format!("<iq to='{ROOM}/{nick}' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    let disco = format!("<iq to='{ROOM}/bob' type='get' id='p'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    for (client, stanza, expected) in [
        (&a, ping("alice"), "type='result'"),
        (&a, ping("nobody"), "<item-not-found"),
        (&c, ping("alice"), "<not-acceptable"),
        (&c, ping("nobody"), "<not-acceptable"),
        (&c, disco, "<bad-request"),
    ] {
        let told = answer(&world, client, &stanza).await;
        assert!(told.contains(expected), "{stanza}: {told}");
    }
    b.expect(&[]);
    // §7.14: having left, it is told so.
    b.send(&format!("<presence to='{ROOM}/bob' type='unavailable'/>")).await;
    world.settled().await;
    assert!(answer(&world, &b, &ping("bob")).await.contains("<not-acceptable"));
}

/// XEP-0054: what an account's server answers for it.
#[tokio::test]
async fn a_vcard_is_answered_by_the_account_and_shows_no_address() {
    let (world, a, b) = pair("muc-iq-vcard").await;
    b.send("<iq type='set' id='1'><vCard xmlns='vcard-temp'><NICKNAME>Bobby</NICKNAME></vCard></iq>").await;
    b.forget();
    a.send(&format!("<iq to='{ROOM}/bob' type='get' id='v'><vCard xmlns='vcard-temp'/></iq>")).await;
    world.settled().await;
    a.expect(&[&["from='coven@conference.localhost/bob'", "type='result'", "id='v'", "<NICKNAME>Bobby</NICKNAME>"]]);
    b.expect(&[]);
}

/// A call through a room is the call of the real addresses: its candidates are linked, and it ends with its parties.
#[tokio::test]
async fn xep0166_a_call_through_a_room_is_seen_between_the_real_addresses() {
    let (world, a, b) = pair("muc-call").await;
    let jingle = |action: &str| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s' initiator='{ROOM}/alice'>\
         <content creator='initiator' name='v'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle>"
        )
    };
    a.send(&format!("<iq to='{ROOM}/bob' type='set' id='i'>{}</iq>", jingle("session-initiate"))).await;
    world.settled().await;
    b.expect(&[&["from='coven@conference.localhost/alice'", "session-initiate"]]);
    assert_eq!(world.calls.in_session(), 1);
    b.send(&format!("<iq to='{ROOM}/alice' type='result' id='i'/>")).await;
    b.send(&format!("<iq to='{ROOM}/alice' type='set' id='j'>{}</iq>", jingle("session-accept"))).await;
    world.settled().await;
    a.expect(&[&["type='result'"], &["from='coven@conference.localhost/bob'", "session-accept"]]);
    world.router.unbind(&b.session).await;
    assert_eq!(world.calls.in_session(), 0, "it ends with its party");
}

/// XEP-0191: to block somebody in a room is no reason to be thrown out of it.
#[tokio::test]
async fn xep0191_who_blocks_an_occupant_stays_in_the_room() {
    let (world, a, b) = pair("muc-block").await;
    let c = world.client("c", "1").await;
    join(&world, &c, ROOM, "carol").await;
    b.send(&format!("<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='{ROOM}/alice'/></block></iq>")).await;
    world.settled().await;
    for client in [&a, &b, &c] {
        client.forget();
    }
    for client in [&a, &c] {
        crate::world::rooms::say(client, ROOM, "hi").await;
    }
    world.settled().await;
    b.expect(&[&["from='coven@conference.localhost/carol'", "<body>hi</body>"]]);
    c.expect(&[&["/alice'"], &["/carol'"]]);
}
