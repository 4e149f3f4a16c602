//! Who may create rooms, and how many; how many may be in one.

use campanile_config::MayCreate;
use campanile_signalling::jid::BareJid;
use campanile_signalling::muc::host;

use crate::world::World;
use crate::world::rooms::{ROOM, answer, create, join};

async fn refused(world: &World, client: &crate::world::Client, room: &str, condition: &str) {
    client.send(&format!("<presence to='{room}/nick'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    world.settled().await;
    let told = client.received().join("");
    let is_refusal = told.contains("type='error'") && told.contains("<x xmlns='http://jabber.org/protocol/muc'/>");
    assert!(is_refusal && told.contains(condition), "{room}: {told}");
}

#[tokio::test]
async fn s10_1_1_who_creates_rooms_is_for_the_operator_to_say() {
    let world = World::within("muc-create", &["a", "root"], Default::default(), 100_000).await;
    let (a, root) = (world.client("a", "1").await, world.client("root", "1").await);
    world.muc.settings().hosts.set_create(MayCreate::Admins);
    refused(&world, &a, ROOM, "<not-allowed").await;
    create(&world, &root, ROOM, "root", &[]).await;
    join(&world, &a, ROOM, "a").await;
    world.muc.settings().hosts.set_create(MayCreate::Local);
    join(&world, &a, "other@conference.localhost", "a").await;
    // §7.2.1: without a nickname nobody enters, and nothing comes to be.
    a.send("<presence to='third@conference.localhost'><x xmlns='http://jabber.org/protocol/muc'/></presence>").await;
    world.settled().await;
    a.expect(&[&["type='error'", "<jid-malformed"]]);
    assert_eq!(world.store.rooms().count("conference.localhost").await.expect("counts"), 2);
}

#[tokio::test]
async fn an_account_has_as_many_rooms_as_it_may_have() {
    let mut limits = host::Limits { rooms_per_account: 2, ..Default::default() };
    limits.room.occupants = 2;
    let world = World::with_rooms("muc-limits", &["a", "b", "c", "root"], 100_000, limits).await;
    let (a, b, c) = (world.client("a", "1").await, world.client("b", "1").await, world.client("c", "1").await);
    create(&world, &a, "one@conference.localhost", "a", &[("persistentroom", "1")]).await;
    create(&world, &a, "two@conference.localhost", "a", &[]).await;
    refused(&world, &a, "three@conference.localhost", "<resource-constraint").await;
    create(&world, &b, "three@conference.localhost", "b", &[]).await;
    // §7.2.9.
    join(&world, &b, "one@conference.localhost", "b").await;
    refused(&world, &c, "one@conference.localhost", "<service-unavailable").await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    let gone = answer(&world, &a, &format!("<iq to='one@conference.localhost' type='set' id='1'>{destroy}</iq>")).await;
    assert!(gone.contains("type='result'"), "{gone}");
    create(&world, &a, "four@conference.localhost", "a", &[]).await;
}

#[tokio::test]
async fn what_ends_something_looks_for_no_room() {
    let world = World::new("muc-unknown", &["a"]).await;
    let a = world.client("a", "1").await;
    for stanza in ["<presence type='unavailable'", "<presence type='error'", "<presence type='probe'", "<message type='error'"] {
        a.send(&format!("{stanza} to='{ROOM}/a'/>")).await;
        world.settled().await;
        a.expect(&[]);
        assert_eq!(world.muc.counts().rooms, 0, "{stanza}");
    }
}

#[tokio::test]
async fn what_is_asked_of_a_room_that_is_not_there_finds_nothing() {
    let world = World::new("muc-nothing", &["a"]).await;
    let a = world.client("a", "1").await;
    for stanza in [
        format!("<message to='{ROOM}' type='groupchat'><body>x</body></message>"),
        format!("<message to='{ROOM}/b' type='chat'><body>x</body></message>"),
        format!("<iq to='{ROOM}' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"),
        format!("<iq to='{ROOM}' type='get' id='1'><query xmlns='http://jabber.org/protocol/muc#owner'/></iq>"),
        format!("<iq to='{ROOM}' type='set' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>"),
    ] {
        a.send(&stanza).await;
        world.settled().await;
        a.expect(&[&["type='error'", "<item-not-found"]]);
    }
    for stanza in [format!("<presence to='{ROOM}/a' type='unavailable'/>"), format!("<message to='{ROOM}/a' type='error'/>")] {
        a.send(&stanza).await;
        world.settled().await;
        a.expect(&[]);
    }
    // §7.2.18: another status is not meant to enter, and makes no room.
    a.send(&format!("<presence to='{ROOM}/a'><show>away</show></presence>")).await;
    world.settled().await;
    a.expect(&[&["from='coven@conference.localhost/a'", "type='unavailable'", "code='110'", "code='307'", "code='333'"]]);
    a.send(&format!("<presence to='{ROOM}'/>")).await;
    world.settled().await;
    a.expect(&[&["type='error'", "<jid-malformed"]]);
    assert_eq!(world.muc.counts().occupants, 0);
    let room = BareJid::parse(ROOM).expect("a JID");
    assert_eq!(world.store.rooms().load(&room, 0, 0).await.expect("loads"), None);
}
