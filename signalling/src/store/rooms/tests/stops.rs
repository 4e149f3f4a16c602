//! Orderly stops and crashes.

use super::*;
use crate::jid::FullJid;
use crate::muc::model::Role;
use crate::muc::room::SavedSeat;

fn saved(room: &Lasting, nicks: &[&str]) -> SavedRoom {
    let seat = |nick: &str, resource: &str| SavedSeat {
        nick: format!("{nick} ü"),
        real: FullJid::parse(&format!("{nick}@shakespeare.lit/{resource}")).unwrap(),
        role: if nick == "x" { Role::Visitor } else { Role::Moderator },
        presence: Bytes::from_static("<presence xmlns='jabber:client'><status>☾ \"</status></presence>".as_bytes()),
    };
    let said = |number: i64| {
        let RoomRecord { id, real, stanza, .. } = record(number, "a");
        SavedMessage { id, real, stanza }
    };
    let seats = nicks.iter().flat_map(|nick| [seat(nick, "pda"), seat(nick, "desktop")]).collect();
    SavedRoom { jid: room.jid.clone(), seats, history: (0..3).map(said).collect() }
}

pub async fn who_was_there_at_an_orderly_stop(store: &Store) {
    let rooms = store.rooms();
    let mut all = Vec::new();
    for number in 0..70 {
        let mut lasting = new_room(&format!("r{number:02}@chat.shakespeare.lit"));
        lasting.config.persistent = number % 2 == 0;
        create(store, &lasting).await;
        all.push(saved(&lasting, &["first", "x"]));
    }
    create(store, &new_room("lone@chat.shakespeare.lit")).await;
    let missing = saved(&new_room("missing@chat.shakespeare.lit"), &["x"]);
    rooms.save(std::iter::once(missing).chain(all.clone()).collect()).await.unwrap();
    all[0].seats.pop();
    rooms.save(all[..1].to_vec()).await.unwrap();

    assert_eq!(rooms.end_temporary().await.unwrap(), 0, "they were saved");
    let mut read: Vec<SavedRoom> = Vec::new();
    let mut last = None;
    loop {
        let (page, place) = rooms.saved(last, 32).await.unwrap();
        let Some(room) = page.last() else { break };
        // One that ends meanwhile does not end the reading of the others.
        rooms.commit(&room.jid, vec![Change::Destroy]).await.unwrap();
        read.extend(page);
        last = place;
    }
    assert_eq!(read, all);
    for gone in [69, 63, 31] {
        all.remove(gone);
    }

    // A destroyed room is none.
    rooms.commit(&all[0].jid, vec![Change::Destroy]).await.unwrap();
    assert_eq!(rooms.saved(None, 1_000).await.unwrap().0, all[1..]);
    rooms.forget_saved().await.unwrap();
    assert_eq!(rooms.saved(None, 1_000).await.unwrap().0, []);
}

pub async fn after_a_crash_temporary_rooms_end(store: &Store) {
    let rooms = store.rooms();
    for number in 0..150 {
        let mut lasting = new_room(&format!("r{number}@chat.shakespeare.lit"));
        lasting.config.persistent = number % 3 == 0;
        create(store, &lasting).await;
        if number == 1 || number == 3 {
            rooms.save(vec![saved(&lasting, &["x"])]).await.unwrap();
        }
        store.archive().keep_in_room(&lasting.jid, record(1, "x"));
    }
    store.archive().durability().reached(store.archive().durability().queued()).await;
    assert_eq!(rooms.end_temporary().await.unwrap(), 99);
    assert_eq!(rooms.end_temporary().await.unwrap(), 0);
    assert_eq!(rooms.list_all("chat.shakespeare.lit", &Request::default(), 1).await.unwrap().count, 51);
    for (number, there) in [(0, true), (1, true), (2, false), (149, false)] {
        assert_eq!(load(store, &bare(&format!("r{number}@chat.shakespeare.lit"))).await.is_some(), there, "{number}");
    }
    assert_eq!(rooms.sweep().await.unwrap(), 99);
    // What was temporary and is persistent now stays, and the other way round.
    let (kept, ended) = (bare("r1@chat.shakespeare.lit"), bare("r0@chat.shakespeare.lit"));
    for (room, persistent) in [(&kept, true), (&ended, false)] {
        let config = RoomConfig { persistent, ..RoomConfig::of_new_room(true) };
        rooms.commit(room, vec![Change::Configure(Box::new(config))]).await.unwrap();
    }
    rooms.forget_saved().await.unwrap();
    assert_eq!(rooms.end_temporary().await.unwrap(), 1);
    assert!(load(store, &kept).await.is_some() && load(store, &ended).await.is_none());
}
