//! XEP-0045: Multi-User Chat: rooms as occupants see them, through the router.

use super::world::World;
mod archive;
mod discovery;
mod doubt;
mod endings;
mod flow;
mod limits;
mod relay;

use super::world::rooms::{ROOM, join};

#[tokio::test]
async fn s7_2_a_room_is_created_entered_spoken_in_and_left() {
    let world = World::new("muc-first", &["crone1", "hag66"]).await;
    let (crone, hag) = (world.client("crone1", "desktop").await, world.client("hag66", "pda").await);
    crone.send(&format!("<presence to='{ROOM}/first'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    world.settled().await;
    crone.expect(&[&["from='coven@conference.localhost/first'", "code='110'", "code='201'", "affiliation='owner'"], &["<subject"]]);
    hag.send(&format!("<presence to='{ROOM}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    world.settled().await;
    hag.expect(&[&["type='error'", "<x xmlns='http://jabber.org/protocol/muc'/>", "<item-not-found"]]);
    crone
        .send(&format!(
            "<iq to='{ROOM}' type='set' id='1'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'/></query></iq>"
        ))
        .await;
    world.settled().await;
    crone.expect(&[&["type='result'", "id='1'"]]);
    join(&world, &hag, ROOM, "hag").await;
    crone.expect(&[&["from='coven@conference.localhost/hag'", "affiliation='none'"]]);
    hag.send(&format!("<message to='{ROOM}' type='groupchat' id='m'><body>hi</body></message>")).await;
    world.settled().await;
    for client in [&crone, &hag] {
        client.expect(&[&["from='coven@conference.localhost/hag'", "type='groupchat'", "id='m'", "<body>hi</body>", "<stanza-id"]]);
    }
    world.router.unbind(&hag.session).await;
    world.settled().await;
    crone.expect(&[&["from='coven@conference.localhost/hag'", "type='unavailable'", "role='none'"]]);
    crone.send(&format!("<presence to='{ROOM}/first' type='unavailable'/>")).await;
    world.settled().await;
    crone.expect(&[&["type='unavailable'", "code='110'"]]);
    assert_eq!(world.store.rooms().count("conference.localhost").await.expect("counts"), 0, "a temporary room is gone with the last one");
}
