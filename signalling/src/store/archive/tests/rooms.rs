//! The archives of rooms: XEP-0313 §3.3.2, §6.1.2.

use super::*;
use crate::muc::change::Change;
use crate::muc::config::RoomConfig;
use crate::muc::model::Lasting;

async fn room(store: &Store, name: &str) -> BareJid {
    let room = jid(name);
    let lasting = Lasting {
        jid: room.clone(),
        creator: jid("crone1@x"),
        created_at: SystemTime::now(),
        locked: false,
        config: RoomConfig::of_new_room(true),
        affiliations: Default::default(),
        requests: Default::default(),
        subject: None,
        vcard: None,
        hats: Default::default(),
        secret: vec![1],
    };
    store.rooms().commit(&room, vec![Change::Create(Box::new(lasting))]).await.unwrap();
    room
}

fn said(number: i64, real: &str, nick: &str) -> RoomRecord {
    RoomRecord { id: at(number), real: address(real), nick: nick.to_owned(), stanza: record(number, "x@x").stanza }
}

pub async fn rooms_are_kept_in_order_and_read_in_pages(store: &Store) {
    let archive = store.archive();
    let (coven, heath) = (room(store, "coven@chat.x").await, room(store, "heath@chat.x").await);
    // An account whose messages have the same numbers.
    let romeo = account(store, "romeo@x").await;
    for number in 1..=200 {
        // She is known under two names in turn, and others take them.
        let (real, nick) = match number % 4 {
            0 => ("hag66@x/pda", "third"),
            1 => ("hag66@x/desktop", "third"),
            2 => ("hag66@x/pda", "crone"),
            _ => ("wiccarocks@x/1", "third"),
        };
        archive.keep_in_room(&coven, said(number, real, nick));
        archive.keep(&romeo, record(number, "juliet@x"));
    }
    archive.keep_in_room(&heath, said(7, "hag66@x/pda", "third"));
    archive.keep_in_room(&coven, said(201, "coven@chat.x", ""));
    archive.keep_in_room(&jid("none@chat.x"), said(1, "hag66@x/pda", "third"));

    let check = async |range: Range, backwards, count, expected: &[i64], complete| {
        let page = archive.page(Whose::Room(&coven), &range, backwards, count, usize::MAX).await.unwrap();
        assert_eq!((numbers(&page), page.complete), (expected.to_vec(), complete), "{range:?} {backwards} {count}");
    };
    check(Range::default(), false, 3, &[1, 2, 3], false).await;
    check(Range::default(), true, 3, &[199, 200, 201], false).await;
    let between = Range { after: Some(at(10)), before: Some(at(21)), ..Range::default() };
    check(between.clone(), false, 3, &[11, 12, 13], false).await;
    check(between.clone(), true, 99, &[11, 12, 13, 14, 15, 16, 17, 18, 19, 20], true).await;
    let with = |address_of: &str| Range { with: Some(address(address_of)), ..between.clone() };
    check(with("hag66@x"), false, 9, &[12, 13, 14, 16, 17, 18, 20], true).await;
    check(with("hag66@x/pda"), true, 2, &[18, 20], false).await;
    check(with("hag66@x/none"), true, 2, &[], true).await;
    check(with("coven@chat.x/crone"), false, 9, &[14, 18], true).await;
    check(with("coven@chat.x/third"), false, 2, &[11, 12], false).await;
    check(with("coven@chat.x"), false, 2, &[11, 12], false).await;
    check(with("heath@chat.x/third"), false, 9, &[], true).await;
    let ids = |ids: &[i64]| Some(ids.iter().copied().map(at).collect());
    check(Range { ids: ids(&[9, 3, 3, 201]), ..Range::default() }, false, 9, &[3, 9, 201], true).await;
    check(Range { ids: ids(&[9, 11, 14]), ..with("coven@chat.x/crone") }, false, 9, &[14], true).await;
    check(Range { ids: ids(&[9, 11, 12]), ..with("hag66@x/pda") }, false, 9, &[12], true).await;

    let one = archive.page(Whose::Room(&coven), &Range { ids: ids(&[5]), ..Range::default() }, false, 1, 0).await.unwrap();
    let expected = said(5, "hag66@x/desktop", "third");
    assert_eq!((one.messages[0].sender.clone(), &one.messages[0].stanza), (Some(expected.real), &expected.stanza));
    let last = archive.page(Whose::Room(&coven), &Range::default(), true, 1, 0).await.unwrap();
    assert_eq!(last.messages[0].sender, Some(address("coven@chat.x")));
    assert_eq!(archive.page(&romeo, &Range::default(), true, 1, 0).await.unwrap().messages[0].sender, None);

    assert_eq!(archive.count(Whose::Room(&coven), &Range::default()).await.unwrap(), 201);
    assert_eq!(archive.count(Whose::Room(&coven), &with("coven@chat.x/crone")).await.unwrap(), 2);
    assert_eq!(archive.count(Whose::Room(&coven), &with("hag66@x")).await.unwrap(), 7);
    assert_eq!(archive.count(&romeo, &Range::default()).await.unwrap(), 200);
    assert_eq!(archive.ends(Whose::Room(&coven)).await.unwrap(), Some((at(1), at(201))));
    assert!(archive.has(Whose::Room(&coven), &[at(1), at(201)]).await.unwrap());
    assert!(!archive.has(Whose::Room(&coven), &[at(202)]).await.unwrap());
    assert_eq!(archive.ends(Whose::Room(&jid("none@chat.x"))).await.unwrap(), None);
    let loaded = store.rooms().load(&coven, 2, usize::MAX).await.unwrap().unwrap();
    assert_eq!((loaded.last_id, loaded.history.iter().map(|said| said.id).collect::<Vec<_>>()), (Some(at(201)), vec![at(200), at(201)]));
    assert_eq!(store.rooms().load(&coven, 50, 0).await.unwrap().unwrap().history.len(), 1);
}

/// XEP-0424 §5, XEP-0425 §4: what is left of a message stands in its place, also when both are written at once.
pub async fn tombstones_stand_in_the_place_of_messages(store: &Store) {
    let archive = store.archive();
    let (coven, heath) = (room(store, "coven@chat.x").await, room(store, "heath@chat.x").await);
    let tombstone = Bytes::from_static(b"<message xmlns='jabber:client'><retracted xmlns='urn:xmpp:message-retract:1'/></message>");
    for room in [&coven, &heath] {
        archive.keep_in_room(room, said(1, "hag66@x/pda", "third"));
        archive.keep_in_room(room, said(2, "hag66@x/pda", "third"));
    }
    archive.replace_in_room(&coven, at(2), tombstone.clone());
    archive.replace_in_room(&coven, at(99), tombstone.clone());
    let check = async |room: &BareJid, expected: [&Bytes; 2]| {
        let page = archive.page(Whose::Room(room), &Range::default(), false, 9, usize::MAX).await.unwrap();
        assert_eq!(page.messages.iter().map(|message| &message.stanza).collect::<Vec<_>>(), expected);
        assert!(page.messages.iter().all(|message| message.sender == Some(address("hag66@x/pda"))));
    };
    let plain = |number| said(number, "x@x", "x").stanza;
    check(&coven, [&plain(1), &tombstone]).await;
    check(&heath, [&plain(1), &plain(2)]).await;
    archive.replace_in_room(&coven, at(1), tombstone.clone());
    check(&coven, [&tombstone, &tombstone]).await;
}

pub async fn what_is_too_old_goes_from_rooms(store: &Store) {
    let archive = store.archive();
    let now = SystemTime::now();
    let ago = |days: u32| ArchiveId::at(now - DAY * days);
    let (coven, heath, moor) = (room(store, "coven@chat.x").await, room(store, "heath@chat.x").await, room(store, "moor@chat.x").await);
    let at_age = |days| RoomRecord { id: ago(days), ..said(0, "hag66@x/pda", "third") };
    for number in 0..600 {
        archive.keep_in_room(&coven, RoomRecord { id: at(ago(50).to_i64() + number), ..said(0, "hag66@x/pda", "third") });
    }
    archive.keep_in_room(&coven, at_age(6));
    archive.keep_in_room(&heath, at_age(1));
    archive.keep_in_room(&moor, at_age(8));
    archive.durability().reached(archive.durability().queued()).await;
    let expire = async |after: Option<&BareJid>| archive.expire_in_room(after, now - DAY * 7).await.unwrap();
    assert_eq!(expire(None).await, Some(ExpiredRoom { room: coven.clone(), archived: 600 }));
    assert_eq!(expire(Some(&coven)).await, Some(ExpiredRoom { room: moor.clone(), archived: 1 }));
    assert_eq!(expire(Some(&moor)).await, None);
    assert_eq!(expire(None).await, None);
    assert_eq!(archive.ends(Whose::Room(&coven)).await.unwrap(), Some((ago(6), ago(6))));
    assert_eq!(archive.ends(Whose::Room(&heath)).await.unwrap(), Some((ago(1), ago(1))));
    assert_eq!(archive.ends(Whose::Room(&moor)).await.unwrap(), None);
}

/// One batch with what is for accounts and rooms that are not there any more.
pub async fn a_room_that_is_gone_holds_nobody_up(store: &Store) {
    let archive = store.archive();
    let (coven, heath) = (room(store, "coven@chat.x").await, room(store, "heath@chat.x").await);
    let romeo = account(store, "romeo@x").await;
    store.rooms().commit(&coven, vec![Change::Destroy]).await.unwrap();
    archive.keep_in_room(&coven, said(1, "hag66@x/pda", "third"));
    archive.keep_in_room(&heath, said(1, "hag66@x/pda", "third"));
    archive.keep(&jid("nobody@x"), record(1, "juliet@x"));
    archive.keep(&romeo, record(1, "juliet@x"));
    archive.replace_in_room(&coven, at(1), Bytes::from_static(b"<message/>"));
    archive.durability().reached(archive.durability().queued()).await;
    assert_eq!(archive.ends(Whose::Room(&heath)).await.unwrap(), Some((at(1), at(1))));
    assert_eq!(archive.ends(&romeo).await.unwrap(), Some((at(1), at(1))));
    assert_eq!(archive.ends(Whose::Room(&coven)).await.unwrap(), None);
}
