//! The store of rooms, on each database; called by the store's tests.

mod property;
mod stops;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::super::archive::{ArchiveId, Range, RoomRecord, Whose};
use super::super::{Store, from_millis};
use super::*;
use crate::jid::Jid;
use crate::muc::card::Card;
use crate::muc::change::Change;
use crate::muc::config::{RoomConfig, Whois};
use crate::muc::model::{Affiliated, Affiliation, Affiliations, Hat, Hats, Lasting, Subject};
use crate::rsm::{Place, Request};

pub use property::what_is_loaded_is_what_the_changes_make;
pub use stops::{after_a_crash_temporary_rooms_end, who_was_there_at_an_orderly_stop};

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// Now, in whole milliseconds as the database holds it.
fn now() -> SystemTime {
    from_millis(to_millis(SystemTime::now()))
}

fn entry(affiliation: Affiliation) -> Affiliated {
    Affiliated { affiliation, nick: None, reason: None }
}

fn new_room(room: &str) -> Lasting {
    let creator = bare("crone1@shakespeare.lit");
    Lasting {
        jid: bare(room),
        creator: creator.clone(),
        created_at: now(),
        locked: false,
        config: RoomConfig { persistent: true, ..RoomConfig::of_new_room(true) },
        affiliations: Affiliations::from([(creator, entry(Affiliation::Owner))]),
        requests: BTreeMap::new(),
        subject: None,
        vcard: None,
        hats: Arc::default(),
        secret: vec![0, 255, 7],
    }
}

async fn create(store: &Store, lasting: &Lasting) {
    store.rooms().commit(&lasting.jid, vec![Change::Create(Box::new(lasting.clone()))]).await.unwrap();
}

async fn load(store: &Store, room: &BareJid) -> Option<Lasting> {
    store.rooms().load(room, 0, 0).await.unwrap().map(|room| room.lasting)
}

fn record(number: i64, nick: &str) -> RoomRecord {
    let stanza = Bytes::from(format!("<message xmlns='jabber:client' type='groupchat'><body>{number}</body></message>"));
    RoomRecord { id: ArchiveId::from_i64(number), real: jid(&format!("{nick}@shakespeare.lit/x")), nick: nick.to_owned(), stanza }
}

pub async fn s10_1_a_room_is_kept_whole(store: &Store) {
    let rooms = store.rooms();
    let room = bare("coven@chat.shakespeare.lit");
    assert_eq!(load(store, &room).await, None);
    let mut lasting = new_room(room.as_str());
    lasting.locked = true;
    lasting.config.name = "A Dark Cave <☾> '".to_owned();
    lasting.config.password = Some("cauldronburn".to_owned());
    lasting.config.whois = Whois::Anyone;
    lasting.affiliations.insert(
        bare("earlofcambridge@shakespeare.lit"),
        Affiliated { affiliation: Affiliation::Outcast, nick: None, reason: Some("Treason".to_owned()) },
    );
    lasting.affiliations.insert(bare("spam.example"), entry(Affiliation::Outcast));
    lasting.requests.insert(bare("hag66@shakespeare.lit"), "thirdwitch".to_owned());
    lasting.subject = Some(Subject {
        from: jid("coven@chat.shakespeare.lit/ö"),
        occupant_id: Some("o1".to_owned()),
        at: now(),
        text: "Fire\nBurn!".to_owned(),
    });
    lasting.vcard = Some(Card::new(Bytes::from_static(b"<vCard xmlns='vcard-temp'><FN>Coven</FN></vCard>")));
    let hat = Hat { title: "Host".to_owned(), hue: Some("327.255249".to_owned()), lang: Some("en".to_owned()) };
    Arc::make_mut(&mut lasting.hats).known.insert(format!("http://schemas.example.com/hats#{}", "h".repeat(5_000)), hat);
    Arc::make_mut(&mut lasting.hats)
        .worn
        .insert(bare("hag66@shakespeare.lit"), vec!["http://schemas.example.com/hats#host".to_owned(), "urn:x".to_owned()]);
    create(store, &lasting).await;
    assert_eq!(load(store, &room).await, Some(lasting.clone()));
    let again = rooms.commit(&room, vec![Change::Create(Box::new(lasting.clone()))]).await;
    assert!(matches!(&again, Err(StoreError::RoomExists(jid)) if *jid == room), "{again:?}");

    // Every change, and the room in memory would be the same.
    let changes = vec![
        Change::Configure(Box::new(RoomConfig { name: String::new(), password: None, ..lasting.config.clone() })),
        Change::Affiliate(bare("spam.example"), None),
        Change::Affiliate(
            bare("hag66@shakespeare.lit"),
            Some(Affiliated { nick: Some("thirdwitch".to_owned()), ..entry(Affiliation::Member) }),
        ),
        Change::Request(bare("hag66@shakespeare.lit"), None),
        Change::Request(bare("wiccarocks@shakespeare.lit"), Some("secondwitch".to_owned())),
        Change::Subject(None),
        Change::VCard(None),
        Change::Hats(Box::default()),
    ];
    for change in changes.clone() {
        change.apply(&mut lasting);
    }
    rooms.commit(&room, changes).await.unwrap();
    assert!(!lasting.locked);
    assert_eq!(load(store, &room).await, Some(lasting));
}

pub async fn a_stanza_is_whole_or_not_at_all(store: &Store) {
    let rooms = store.rooms();
    let lasting = new_room("coven@chat.shakespeare.lit");
    let missing = rooms.commit(&lasting.jid, vec![Change::Subject(None)]).await;
    assert!(matches!(&missing, Err(StoreError::NoSuchRoom(jid)) if *jid == lasting.jid), "{missing:?}");
    create(store, &lasting).await;
    let changes = vec![
        Change::Affiliate(bare("hag66@shakespeare.lit"), Some(entry(Affiliation::Member))),
        Change::Configure(Box::new(RoomConfig { members_only: true, ..lasting.config.clone() })),
        Change::Destroy,
        Change::Create(Box::new(lasting.clone())),
        Change::Create(Box::new(lasting.clone())),
    ];
    let failed = rooms.commit(&lasting.jid, changes).await;
    assert!(matches!(failed, Err(StoreError::RoomExists(_))), "{failed:?}");
    assert_eq!(load(store, &lasting.jid).await, Some(lasting.clone()));
    rooms.commit(&lasting.jid, Vec::new()).await.unwrap();
}

/// A room that is destroyed has nothing any more, and the next one of its name inherits nothing, also not what was still on its way.
pub async fn s10_9_a_destroyed_room_is_gone_with_all_it_has(store: &Store) {
    let (rooms, archive) = (store.rooms(), store.archive());
    let mut lasting = new_room("coven@chat.shakespeare.lit");
    let other = new_room("heath@chat.shakespeare.lit");
    for number in 0..600 {
        lasting.affiliations.insert(bare(&format!("m{number}@shakespeare.lit")), entry(Affiliation::Member));
    }
    lasting.requests.insert(bare("hag66@shakespeare.lit"), "thirdwitch".to_owned());
    create(store, &lasting).await;
    create(store, &other).await;
    for number in 1..=700 {
        archive.keep_in_room(&lasting.jid, record(number, "firstwitch"));
    }
    archive.keep_in_room(&other.jid, record(1, "firstwitch"));
    rooms.commit(&lasting.jid, vec![Change::Destroy]).await.unwrap();
    assert_eq!(load(store, &lasting.jid).await, None);
    let left = rooms.list_all("chat.shakespeare.lit", &Request::default(), 10).await.unwrap();
    assert_eq!((left.count, rooms.created_by(&lasting.creator).await.unwrap()), (1, 1));
    archive.keep_in_room(&lasting.jid, record(701, "firstwitch"));
    assert_eq!(archive.ends(Whose::Room(&lasting.jid)).await.unwrap(), None);

    // One of its name while the first is not swept away.
    let next = new_room("coven@chat.shakespeare.lit");
    create(store, &next).await;
    archive.keep_in_room(&next.jid, record(800, "secondwitch"));
    let rows = async |sql| store.database.fetch_optional("count", sql, &[]).await.unwrap().unwrap().int(0).unwrap();
    assert!(rows("SELECT COUNT(*) FROM room_messages").await > 700, "however much there is, no stanza waits for its removal");
    let check = async || {
        let loaded = rooms.load(&next.jid, 10, usize::MAX).await.unwrap().unwrap();
        assert_eq!((loaded.lasting, loaded.last_id, loaded.history.len()), (next.clone(), Some(ArchiveId::from_i64(800)), 1));
        assert_eq!(archive.count(Whose::Room(&other.jid), &Range::default()).await.unwrap(), 1);
    };
    check().await;
    assert_eq!((rooms.sweep().await.unwrap(), rooms.sweep().await.unwrap()), (1, 0));
    check().await;
    assert_eq!(rows("SELECT COUNT(*) FROM rooms").await, 2);
    assert_eq!(rows("SELECT COUNT(*) FROM room_messages").await, 2);
    assert_eq!(rows("SELECT COUNT(*) FROM room_affiliations").await, 2);
}

pub async fn s6_3_rooms_are_listed_in_pages(store: &Store) {
    let rooms = store.rooms();
    for number in 0..20 {
        let mut lasting = new_room(&format!("r{number:02}@chat.shakespeare.lit"));
        lasting.config.name = format!("n{number}");
        lasting.config.public = number % 2 == 0;
        lasting.locked = number == 10;
        create(store, &lasting).await;
    }
    create(store, &new_room("r04@elsewhere.lit")).await;
    let check = async |max, place: Place, expected: &[usize], index| {
        let page = rooms.list("chat.shakespeare.lit", &Request { max, place: place.clone() }, 5).await.unwrap();
        let found: Vec<String> = page.rooms.iter().map(|room| format!("{} {}", room.jid, room.name)).collect();
        let expected: Vec<String> = expected.iter().map(|number| format!("r{number:02}@chat.shakespeare.lit n{number}")).collect();
        assert_eq!((found, page.index, page.count), (expected, index, 9), "{place:?}");
    };
    check(None, Place::First, &[0, 2, 4, 6, 8], Some(0)).await;
    check(Some(2), Place::After("r02@chat.shakespeare.lit".to_owned()), &[4, 6], Some(2)).await;
    check(Some(2), Place::After("r03@chat.shakespeare.lit".to_owned()), &[4, 6], Some(2)).await;
    check(None, Place::After("r18@chat.shakespeare.lit".to_owned()), &[], None).await;
    check(Some(2), Place::Before("r12@chat.shakespeare.lit".to_owned()), &[6, 8], Some(3)).await;
    check(Some(2), Place::Last, &[16, 18], Some(7)).await;
    check(Some(2), Place::Index(4), &[8, 12], Some(4)).await;
    check(Some(0), Place::First, &[], None).await;
    let all = rooms.list_all("chat.shakespeare.lit", &Request::default(), 1_000).await.unwrap();
    assert_eq!((all.rooms.len(), all.count), (20, 20));
    assert_eq!(rooms.list("nowhere.lit", &Request::default(), 10).await.unwrap(), RoomsPage::default());

    // The columns that lists go by follow the configuration.
    let hidden = bare("r00@chat.shakespeare.lit");
    let config = RoomConfig { public: false, ..RoomConfig::of_new_room(true) };
    rooms.commit(&hidden, vec![Change::Configure(Box::new(config))]).await.unwrap();
    let opened = bare("r10@chat.shakespeare.lit");
    rooms.commit(&opened, vec![Change::Configure(Box::new(RoomConfig::of_new_room(true)))]).await.unwrap();
    let listed = rooms.list("chat.shakespeare.lit", &Request::default(), 1_000).await.unwrap();
    assert_eq!((listed.rooms[0].jid.local(), listed.count), (Some("r02"), 9));
    assert!(listed.rooms.iter().any(|room| room.jid == opened && room.name.is_empty()));
}

pub async fn an_account_leaves_no_trace_in_rooms(store: &Store) {
    let rooms = store.rooms();
    let hag = bare("hag66@shakespeare.lit");
    store.accounts().create(&hag, &crate::auth::ScramSet::default()).await.unwrap();
    let mut lasting = new_room("coven@chat.shakespeare.lit");
    lasting.creator = hag.clone();
    lasting.affiliations.insert(hag.clone(), Affiliated { nick: Some("thirdwitch".to_owned()), ..entry(Affiliation::Admin) });
    create(store, &lasting).await;
    let mut asked = new_room("heath@chat.shakespeare.lit");
    asked.requests.insert(hag.clone(), "thirdwitch".to_owned());
    create(store, &asked).await;
    let mut hatted = new_room("moor@chat.shakespeare.lit");
    Arc::make_mut(&mut hatted.hats).worn.insert(hag.clone(), vec!["urn:host".to_owned()]);
    create(store, &hatted).await;
    assert_eq!(rooms.created_by(&hag).await.unwrap(), 1);

    assert!(store.accounts().delete(&hag).await.unwrap());
    assert_eq!(rooms.created_by(&hag).await.unwrap(), 0);
    lasting.affiliations.remove(hag.as_str());
    assert_eq!(load(store, &lasting.jid).await, Some(lasting.clone()));
    assert_eq!(load(store, &asked.jid).await.unwrap().requests, BTreeMap::new());
    assert_eq!(load(store, &hatted.jid).await.unwrap().hats, Arc::default());

    // What came after it is removed as well, unless there is another account of that name.
    let affiliate = vec![Change::Affiliate(hag.clone(), Some(entry(Affiliation::Member)))];
    rooms.commit(&lasting.jid, affiliate.clone()).await.unwrap();
    rooms.remove_again(&hag).await.unwrap();
    assert_eq!(load(store, &lasting.jid).await, Some(lasting.clone()));
    store.accounts().create(&hag, &crate::auth::ScramSet::default()).await.unwrap();
    rooms.commit(&lasting.jid, affiliate).await.unwrap();
    rooms.remove_again(&hag).await.unwrap();
    assert!(load(store, &lasting.jid).await.unwrap().affiliations.contains_key(&hag));
}

/// RFC 7622 §3.1: each part of an address has up to 1,023 bytes.
pub async fn the_longest_addresses_of_rooms_are_stored(store: &Store) {
    let noise =
        |length: usize| (0..length).map(|_| char::from(b'a' + u8::try_from(crate::random::number() % 26).unwrap())).collect::<String>();
    let domain = [63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63].map(noise).join(".");
    let mut lasting = new_room(&format!("{}@{}", noise(1_023), &domain[..1_022]));
    let member = bare(&format!("{}@{}", noise(1_023), &domain[..1_022]));
    lasting.creator = member.clone();
    lasting.affiliations.insert(member.clone(), Affiliated { nick: Some(noise(1_023)), ..entry(Affiliation::Member) });
    create(store, &lasting).await;
    assert_eq!(load(store, &lasting.jid).await, Some(lasting.clone()));
    let listed = store.rooms().list(lasting.jid.domain(), &Request::default(), 10).await.unwrap();
    assert_eq!(listed.rooms[0].jid, lasting.jid);
    let nick = noise(1_023);
    let said = RoomRecord { real: Jid::from(member.with_resource(&noise(1_023)).unwrap()), ..record(1, "x") };
    store.archive().keep_in_room(&lasting.jid, RoomRecord { nick: nick.clone(), ..said.clone() });
    let with = Some(Jid::from(lasting.jid.with_resource(&nick).unwrap()));
    let page = store.archive().page(Whose::Room(&lasting.jid), &Range { with, ..Range::default() }, false, 10, usize::MAX).await.unwrap();
    assert_eq!(page.messages[0].sender, Some(said.real));
}

/// SQLite's planner chooses without statistics; a whole table read for each stanza would pass every other test.
#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let folder = super::super::TemporaryFolder::new();
    let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), folder.path()).await.unwrap();
    let constants = [ROOM].into_iter().chain(change::STATEMENTS).chain(entity::STATEMENTS).chain(hats::STATEMENTS).chain(load::STATEMENTS);
    for sql in constants.chain(saved::STATEMENTS).chain(listing::statements()).chain(removal::statements()) {
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let mut plan = Vec::new();
        for row in store.database.fetch_all("explain", explain, &[]).await.unwrap() {
            plan.push(row.text(3).unwrap());
        }
        // A part of an index is searched; what is scanned is the small result of another part, or an index that holds only what is looked for.
        let whole = |line: &String| {
            let small = ["CONSTANT", "(subquery", "rooms_destroyed"].iter().any(|part| line.contains(part));
            line.starts_with("SCAN") && !small
        };
        assert!(!plan.iter().any(whole), "{sql}: {plan:#?}");
        // What may be long is sorted by an index.
        let sorted = plan.iter().any(|line| line.contains("TEMP B-TREE")) && !sql.contains("UNION");
        assert!(!sorted, "{sql}: {plan:#?}");
    }
    store.close().await;
}
