//! The database fails, and may have stored a change all the same: memory and database do not part for long.

use crate::world::World;
use crate::world::rooms::{ROOM, answer, create, join};

fn admin(affiliation: &str, account: &str) -> String {
    let item = format!("<item affiliation='{affiliation}' jid='{account}@localhost'/>");
    format!("<iq to='{ROOM}' type='set' id='1'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>")
}

#[tokio::test]
async fn s10_9_a_room_that_could_not_be_destroyed_is_still_there() {
    let world = World::new("muc-not-destroyed", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[("persistentroom", "1")]).await;
    join(&world, &b, ROOM, "b").await;
    a.forget();
    let destroy = format!("<iq to='{ROOM}' type='set' id='1'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>");
    world.sql("CREATE TRIGGER stays BEFORE UPDATE OF jid ON rooms BEGIN SELECT RAISE(ABORT, 'it stays'); END").await;
    let told = answer(&world, &a, &destroy).await;
    assert!(told.contains("<internal-server-error"), "{told}");
    b.expect(&[]);
    assert_eq!(world.muc.counts().occupants, 2);
    world.sql("DROP TRIGGER stays").await;
    let told = answer(&world, &a, &destroy).await;
    assert!(told.contains("type='result'"), "{told}");
    b.expect(&[&["type='unavailable'", "<destroy/>"]]);
    create(&world, &b, ROOM, "b", &[]).await;
}

#[tokio::test]
async fn what_was_stored_without_being_said_so_holds_with_the_next_change() {
    let world = World::new("muc-doubt", &["a", "b", "c"]).await;
    let (a, b, c) = (world.client("a", "1").await, world.client("b", "1").await, world.client("c", "1").await);
    create(&world, &a, ROOM, "a", &[("persistentroom", "1")]).await;
    for (client, nick) in [(&b, "b"), (&c, "c")] {
        join(&world, client, ROOM, nick).await;
    }
    a.send(&format!("<message to='{ROOM}' type='groupchat'><subject>x</subject></message>")).await;
    world.settled().await;
    [&b, &c].iter().for_each(|client| client.forget());
    world.sql("ALTER TABLE room_affiliations RENAME TO elsewhere").await;
    let told = answer(&world, &a, &admin("outcast", "b")).await;
    assert!(told.contains("<internal-server-error"), "{told}");
    b.expect(&[]);
    world.sql("ALTER TABLE elsewhere RENAME TO room_affiliations").await;
    world.sql("INSERT INTO room_affiliations (room_id, jid, affiliation) SELECT id, 'b@localhost', 'outcast' FROM rooms").await;
    let told = answer(&world, &a, &admin("member", "d")).await;
    assert!(told.contains("type='result'"), "{told}");
    b.expect(&[&["type='unavailable'", "code='110'", "code='301'"]]);
    assert!(c.received().iter().any(|stanza| stanza.contains("/b'") && stanza.contains("code='301'")));
    assert_eq!(world.muc.counts().occupants, 2);

    // The same of a room that is gone by now.
    world.sql("ALTER TABLE room_affiliations RENAME TO elsewhere").await;
    answer(&world, &a, &admin("member", "e")).await;
    world.sql("ALTER TABLE elsewhere RENAME TO room_affiliations").await;
    world.sql("DELETE FROM rooms").await;
    c.forget();
    let told = answer(&world, &a, &admin("member", "e")).await;
    assert!(told.contains("<item-not-found"), "{told}");
    assert!(c.received().iter().any(|stanza| stanza.contains("type='unavailable'") && stanza.contains("<destroy/>")));
    assert_eq!(world.muc.counts().occupants, 0);
}

#[tokio::test]
async fn s10_1_1_a_room_that_may_have_been_created_is_looked_for_again() {
    let world = World::new("muc-not-created", &["a", "b"]).await;
    let a = world.client("a", "1").await;
    world.sql("CREATE TRIGGER no_rooms BEFORE INSERT ON rooms BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    a.send(&format!("<presence to='{ROOM}/a'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    world.settled().await;
    a.expect(&[&["type='error'", "<internal-server-error"]]);
    world.sql("DROP TRIGGER no_rooms").await;
    let other = world.next();
    create(&other, &other.client("b", "1").await, ROOM, "b", &[("persistentroom", "1")]).await;
    join(&world, &a, ROOM, "a").await;
}
