//! The archive's store, on each database; called by the store's tests.

mod rooms;

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::super::Store;
use super::*;

pub use rooms::{
    a_room_that_is_gone_holds_nobody_up, rooms_are_kept_in_order_and_read_in_pages, tombstones_stand_in_the_place_of_messages,
    what_is_too_old_goes_from_rooms,
};

const DAY: Duration = Duration::from_secs(86_400);

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn address(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

async fn account(store: &Store, name: &str) -> BareJid {
    let account = jid(name);
    store.accounts().create(&account, &crate::auth::ScramSet::default()).await.unwrap();
    account
}

fn at(number: i64) -> ArchiveId {
    ArchiveId::from_i64(number)
}

fn record(number: i64, peer: &str) -> Record {
    let stanza = Bytes::from(format!("<message xmlns='jabber:client'><body>{number}</body></message>"));
    Record { id: at(number), peer: address(peer), archived: true, undelivered: false, stanza }
}

fn numbers(page: &Page) -> Vec<i64> {
    page.messages.iter().map(|message| message.id.to_i64()).collect()
}

pub async fn kept_in_order_and_read_in_pages(store: &Store) {
    let archive = store.archive();
    let (romeo, juliet) = (account(store, "romeo@x").await, account(store, "juliet@x").await);
    for number in 1..=200 {
        archive.keep(&romeo, record(number, if number % 2 == 0 { "juliet@x/a" } else { "nurse@x" }));
    }
    archive.keep(&juliet, record(7, "romeo@x/r"));
    archive.keep(&romeo, Record { archived: false, undelivered: true, ..record(201, "juliet@x") });
    // What was just queued is there.
    let all = archive.page(&romeo, &Range::default(), false, 1000, usize::MAX).await.unwrap();
    assert_eq!(numbers(&all), (1..=200).collect::<Vec<_>>());
    assert!(all.complete && all.messages[6].stanza == record(7, "x@x").stanza);
    assert!(archive.durability().is_durable(202));

    let check = async |range: Range, backwards, count, expected: &[i64], complete| {
        let page = archive.page(&romeo, &range, backwards, count, usize::MAX).await.unwrap();
        assert_eq!((numbers(&page), page.complete), (expected.to_vec(), complete), "{range:?} {backwards} {count}");
    };
    check(Range::default(), false, 3, &[1, 2, 3], false).await;
    check(Range::default(), true, 3, &[198, 199, 200], false).await;
    let between = Range { after: Some(at(10)), before: Some(at(14)), ..Range::default() };
    check(between.clone(), false, 3, &[11, 12, 13], true).await;
    check(between.clone(), true, 2, &[12, 13], false).await;
    check(Range { with: Some(address("juliet@x")), ..between.clone() }, false, 9, &[12], true).await;
    check(Range { with: Some(address("juliet@x/a")), ..between.clone() }, true, 9, &[12], true).await;
    check(Range { with: Some(address("juliet@x/b")), ..between.clone() }, false, 9, &[], true).await;
    check(Range { with: Some(address("nurse@x")), ..Range::default() }, true, 2, &[197, 199], false).await;
    let ids = |ids: &[i64]| Some(ids.iter().copied().map(at).collect());
    check(Range { ids: ids(&[9, 3, 3, 150]), ..Range::default() }, false, 9, &[3, 9, 150], true).await;
    check(Range { ids: ids(&[9, 3, 150]), ..Range::default() }, true, 2, &[9, 150], false).await;
    check(Range { ids: ids(&[9, 11, 12]), with: Some(address("juliet@x")), ..between.clone() }, false, 9, &[12], true).await;

    let bounded = archive.page(&romeo, &Range::default(), false, 100, 1000).await.unwrap();
    assert!(!bounded.complete && (2..10).contains(&bounded.messages.len()), "{}", bounded.messages.len());
    let one = archive.page(&romeo, &Range::default(), true, 100, 0).await.unwrap();
    assert_eq!((numbers(&one), one.complete), (vec![200], false));

    assert_eq!(archive.count(&romeo, &Range::default()).await.unwrap(), 200);
    assert_eq!(archive.count(&romeo, &Range { with: Some(address("juliet@x")), ..between }).await.unwrap(), 1);
    assert_eq!(archive.ends(&romeo).await.unwrap(), Some((at(1), at(200))));
    assert!(archive.has(&romeo, &[at(1), at(200), at(1)]).await.unwrap() && archive.has(&romeo, &[]).await.unwrap());
    let many: Vec<_> = (1..=200).map(at).collect();
    assert!(archive.has(&romeo, &many).await.unwrap());
    assert!(!archive.has(&romeo, &[at(201)]).await.unwrap(), "it is not in the archive");
    assert!(!archive.has(&juliet, &[at(8)]).await.unwrap());
    assert_eq!(archive.ends(&jid("nobody@x")).await.unwrap(), None);
    let summary = archive.summary(&romeo).await.unwrap().unwrap();
    assert_eq!((summary.last, summary.undelivered), (Some(at(201)), [at(201)].into()));
    assert_eq!(archive.summary(&jid("nobody@x")).await.unwrap(), None);
}

pub async fn waits_until_it_is_delivered(store: &Store) {
    let archive = store.archive();
    let romeo = account(store, "romeo@x").await;
    let undelivered = |number| Record { undelivered: true, ..record(number, "juliet@x") };
    for number in 1..=4 {
        archive.keep(&romeo, undelivered(number));
    }
    archive.keep(&romeo, Record { archived: false, ..undelivered(5) });
    archive.keep(&romeo, record(6, "juliet@x"));
    let waiting = async || numbers(&archive.waiting(&romeo, None, 100, usize::MAX).await.unwrap());
    assert_eq!(waiting().await, [1, 2, 3, 4, 5]);
    let slice = archive.waiting(&romeo, Some(at(2)), 2, usize::MAX).await.unwrap();
    assert_eq!((numbers(&slice), slice.complete), (vec![3, 4], false));
    let slice = archive.waiting(&romeo, Some(at(3)), 100, 0).await.unwrap();
    assert_eq!((numbers(&slice), slice.complete), (vec![4], false));
    assert_eq!(archive.undelivered_between(&romeo, at(2), at(3)).await.unwrap(), [at(2), at(3)]);

    archive.delivered(&romeo, [at(1), at(3)]);
    archive.undelivered(&romeo, [at(6), at(99)]);
    assert_eq!(waiting().await, [2, 4, 5, 6]);
    archive.forget(&romeo, [at(5), at(4)]);
    archive.delivered(&romeo, [at(2), at(6)]);
    assert_eq!(waiting().await, [] as [i64; 0]);
    let all = archive.page(&romeo, &Range::default(), false, 100, usize::MAX).await.unwrap();
    assert_eq!(numbers(&all), [1, 2, 3, 4, 6]);

    // Kept and delivered within one batch, together with others.
    let before = archive.durability().queued();
    for number in 10..100 {
        archive.keep(&romeo, undelivered(number));
        archive.keep(&romeo, Record { archived: false, ..undelivered(number + 1000) });
        archive.delivered(&romeo, [at(number)]);
        archive.forget(&romeo, [at(number + 1000)]);
    }
    assert_eq!(archive.durability().queued(), before + 4 * 90);
    assert_eq!(waiting().await, [] as [i64; 0]);
    assert_eq!(archive.count(&romeo, &Range::default()).await.unwrap(), 5 + 90);
    assert_eq!(archive.summary(&romeo).await.unwrap().unwrap().last, Some(at(99)));
}

pub async fn a_deleted_account_takes_its_messages_along_and_holds_nobody_up(store: &Store) {
    let archive = store.archive();
    let (romeo, juliet) = (account(store, "romeo@x").await, account(store, "juliet@x").await);
    archive.keep(&romeo, Record { undelivered: true, ..record(1, "juliet@x") });
    archive.durability().reached(1).await;
    store.accounts().delete(&romeo).await.unwrap();
    archive.keep(&romeo, Record { undelivered: true, ..record(2, "juliet@x") });
    archive.keep(&juliet, record(3, "romeo@x"));
    archive.delivered(&romeo, [at(1)]);
    archive.durability().reached(archive.durability().queued()).await;
    assert_eq!(archive.ends(&juliet).await.unwrap(), Some((at(3), at(3))));
    account(store, "romeo@x").await;
    assert_eq!(archive.summary(&romeo).await.unwrap(), Some(Summary::default()));
}

pub async fn preferences_are_kept(store: &Store) {
    let archive = store.archive();
    let romeo = account(store, "romeo@x").await;
    assert_eq!(archive.summary(&romeo).await.unwrap().unwrap().preferences, Preferences::default());
    let list = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<BTreeSet<_>>();
    let mut wanted = Preferences { policy: Some(Policy::Roster), always: list(&["a@x", "b@x/\"ü\""]), never: list(&["c.example"]) };
    archive.set_preferences(&romeo, &wanted).await.unwrap();
    assert_eq!(archive.summary(&romeo).await.unwrap().unwrap().preferences, wanted);
    wanted.never.clear();
    wanted.policy = Some(Policy::Never);
    archive.set_preferences(&romeo, &wanted).await.unwrap();
    assert_eq!(archive.summary(&romeo).await.unwrap().unwrap().preferences, wanted);
    let nobody = archive.set_preferences(&jid("nobody@x"), &wanted).await;
    assert!(matches!(nobody, Err(StoreError::NoSuchAccount(_))), "{nobody:?}");
    assert_eq!(archive.policy(), Policy::Always);
    archive.set_policy(Policy::Roster);
    assert_eq!(store.archive().policy(), Policy::Roster);
}

pub async fn what_is_too_old_goes(store: &Store) {
    let archive = store.archive();
    let now = SystemTime::now();
    let ago = |days: u32| ArchiveId::at(now - DAY * days);
    let (romeo, juliet, nurse) = (account(store, "romeo@x").await, account(store, "juliet@x").await, account(store, "nurse@x").await);
    let at_age = |days: u32, archived, undelivered| Record { id: ago(days), archived, undelivered, ..record(0, "x@x") };
    for (days, archived, undelivered) in [(40, true, true), (39, false, true), (20, true, false), (9, true, true), (8, false, true)] {
        archive.keep(&romeo, at_age(days, archived, undelivered));
    }
    for number in 0..600 {
        archive.keep(&nurse, Record { id: at(ago(50).to_i64() + number), ..record(0, "x@x") });
    }
    archive.keep(&juliet, at_age(1, true, true));
    archive.durability().reached(archive.durability().queued()).await;

    let expire = async |after: Option<&BareJid>| archive.expire(after, now - DAY * 7, now - DAY * 30).await.unwrap();
    let first = expire(None).await.unwrap();
    assert_eq!(first, Expired { account: nurse.clone(), undelivered: 0, archived: 600 });
    let second = expire(Some(&nurse)).await.unwrap();
    assert_eq!((&second.account, second.undelivered), (&romeo, 2));
    assert_eq!(expire(Some(&romeo)).await, None);
    assert_eq!(archive.ends(&romeo).await.unwrap(), None, "nothing of it is younger than seven days");
    let waiting = archive.waiting(&romeo, None, 100, usize::MAX).await.unwrap();
    assert_eq!(waiting.messages.iter().map(|message| message.id).collect::<Vec<_>>(), [ago(9), ago(8)]);
    assert_eq!(archive.ends(&juliet).await.unwrap(), Some((ago(1), ago(1))));
    // Once delivered, what the archive no longer shows goes with the next round.
    archive.delivered(&romeo, [ago(9)]);
    archive.durability().reached(archive.durability().queued()).await;
    assert_eq!(expire(None).await.unwrap().archived, 1);
    assert_eq!(archive.waiting(&romeo, None, 100, usize::MAX).await.unwrap().messages.len(), 1);
}

pub async fn many_senders_lose_nothing(store: &Store) {
    let mut accounts = Vec::new();
    for number in 0..20 {
        accounts.push(account(store, &format!("u{number}@x")).await);
    }
    let tasks: Vec<_> = accounts
        .iter()
        .cloned()
        .map(|account| {
            let archive = store.archive().clone();
            tokio::spawn(async move {
                for number in 1..=100 {
                    archive.keep(&account, Record { undelivered: number % 2 == 0, ..record(number, "x@x") });
                    if number % 10 == 0 {
                        archive.delivered(&account, [at(number)]);
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for account in &accounts {
        let summary = store.archive().summary(account).await.unwrap().unwrap();
        assert_eq!((summary.last, summary.undelivered.len()), (Some(at(100)), 40));
        assert_eq!(store.archive().count(account, &Range::default()).await.unwrap(), 100);
    }
}

/// A commit that fails is tried again; meanwhile the queue fills, and messages are refused where they would be stored.
pub async fn a_failing_database_delays_and_loses_nothing(store: &Store) {
    let (archive, database) = (store.archive(), store.database.clone());
    let romeo = account(store, "romeo@x").await;
    // What makes every insert fail, until it is taken away.
    let spoil =
        [("ALTER TABLE messages RENAME COLUMN stanza TO spoilt", false), ("ALTER TABLE messages RENAME COLUMN spoilt TO stanza", true)];
    for (sql, healed) in spoil {
        database.write("spoil", move |tx| Box::pin(async move { tx.execute(sql, &[]).await })).await.unwrap();
        if healed {
            break;
        }
        for number in 1..=34 {
            archive.keep(&romeo, Record { stanza: Bytes::from(vec![b'x'; 1 << 20]), undelivered: true, ..record(number, "juliet@x") });
        }
        archive.delivered(&romeo, [at(1)]);
        assert!(!archive.has_room(), "34 MiB wait");
        let reached = tokio::time::timeout(Duration::from_millis(300), archive.durability().reached(1)).await;
        assert!(reached.is_err(), "nothing is durable");
    }
    archive.durability().reached(archive.durability().queued()).await;
    assert!(archive.has_room());
    assert_eq!(archive.count(&romeo, &Range::default()).await.unwrap(), 34);
    assert_eq!(archive.summary(&romeo).await.unwrap().unwrap().undelivered.len(), 33);
}

pub async fn a_refused_message_holds_nobody_up(store: &Store) {
    const SQLITE: &str = "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.id = 13 BEGIN SELECT RAISE(ABORT, 'no'); END";
    const POSTGRES: &str = "ALTER TABLE messages ADD CONSTRAINT refuse CHECK (id <> 13)";
    let archive = store.archive();
    let sql = if matches!(archive.database, Database::Sqlite { .. }) { SQLITE } else { POSTGRES };
    archive.database.write("refuse", move |tx| Box::pin(async move { tx.execute(sql, &[]).await })).await.unwrap();
    let romeo = account(store, "romeo@x").await;
    for number in 1..=30 {
        archive.keep(&romeo, record(number, "juliet@x"));
    }
    let all = archive.page(&romeo, &Range::default(), false, 100, usize::MAX).await.unwrap();
    assert_eq!(numbers(&all), (1..=30).filter(|number| *number != 13).collect::<Vec<_>>());
    assert!(archive.durability().is_durable(30));
}

/// SQLite's planner chooses without statistics; a whole table read for each acknowledgement would pass every other test.
#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let folder = super::super::TemporaryFolder::new();
    let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), folder.path()).await.unwrap();
    for sql in tables::statements().chain(read::STATEMENTS).chain(rows::statements()).chain(retention::statements()) {
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let mut plan = Vec::new();
        for row in store.database.fetch_all("explain", explain, &[]).await.unwrap() {
            plan.push(row.text(3).unwrap());
        }
        let whole =
            |line: &String| line.starts_with("SCAN") && ["messages", "undelivered", " m", " u"].iter().any(|table| line.ends_with(table));
        assert!(!plan.iter().any(|line| whole(line) || line.starts_with("SCAN rooms") || line.contains("AUTOMATIC")), "{sql}: {plan:#?}");
        assert!(
            !plan.iter().any(|line| line.contains("TEMP B-TREE")
                || line.ends_with("(account=?)") && !sql.contains("MAX") && !sql.starts_with("SELECT (SELECT")),
            "{sql}: {plan:#?}"
        );
        assert_eq!(sql.contains("peer_hash, id"), plan.iter().any(|line| line.contains("messages_by_peer")), "{sql}: {plan:#?}");
    }
    store.close().await;
}
