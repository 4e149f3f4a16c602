//! The same tests on SQLite and, where `CAMPANILE_TEST_POSTGRES` holds a URL, on PostgreSQL in a schema of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;

use super::archive::tests::*;
use super::pubsub::tests::{
    a_command_is_whole_or_not_at_all, a_node_is_kept_whole, an_account_takes_its_nodes_and_what_it_has_elsewhere_along, bytes_are_bounded,
    items_are_kept_in_the_order_of_publication, items_are_read_in_pages, s5_6_and_s5_7_an_entity_finds_its_subscriptions_and_affiliations,
    s8_4_2_redirections_are_bounded, the_longest_names_are_stored_or_refused, what_has_expired_is_not_shown_and_goes,
    xep0163_s4_3_4_last_items_for_whoever_comes_online, xep0248_collections,
};
use super::rooms::tests::{
    a_stanza_is_whole_or_not_at_all, after_a_crash_temporary_rooms_end, an_account_leaves_no_trace_in_rooms,
    s6_3_rooms_are_listed_in_pages, s10_1_a_room_is_kept_whole, s10_9_a_destroyed_room_is_gone_with_all_it_has,
    the_longest_addresses_of_rooms_are_stored, what_is_loaded_is_what_the_changes_make, who_was_there_at_an_orderly_stop,
};
use super::*;
use crate::auth::{Password, ScramHash, ScramKeys, ScramSet};
use crate::jid::BareJid;

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// Keys without the work of deriving them.
fn keys(byte: u8) -> ScramSet {
    let mut set = ScramSet::default();
    for hash in ScramHash::ALL {
        let iterations = crate::auth::ITERATIONS;
        set.set(hash, ScramKeys::new(vec![byte; 16], iterations, vec![byte; hash.digest_bytes()], vec![byte ^ 0xff; hash.digest_bytes()]));
    }
    set
}

fn url(folder: &TemporaryFolder) -> String {
    format!("sqlite:{}/test.db", folder.path().display())
}

async fn sqlite(folder: &TemporaryFolder) -> Store {
    Store::open(&url(folder), folder.path()).await.unwrap()
}

/// A fresh, empty schema on the PostgreSQL server of the environment.
async fn postgres(folder: &TemporaryFolder, test: &str) -> Option<Store> {
    let base = std::env::var("CAMPANILE_TEST_POSTGRES").ok()?;
    let schema = format!("test_{test}_{}", std::process::id());
    let mut connection = sqlx::PgConnection::connect(&base).await.unwrap();
    for statement in [format!("DROP SCHEMA IF EXISTS {schema} CASCADE"), format!("CREATE SCHEMA {schema}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    let separator = if base.contains('?') { '&' } else { '?' };
    let url = format!("{base}{separator}options=-c%20search_path%3D{schema}");
    Some(Store::open(&url, folder.path()).await.unwrap())
}

/// Runs a test on each database there is.
macro_rules! on_each_database {
    ($($name:ident => $test:ident;)*) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = super::TemporaryFolder::new();
                let store = super::sqlite(&folder).await;
                super::$test(&store).await;
                store.close().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                let folder = super::TemporaryFolder::new();
                let Some(store) = super::postgres(&folder, stringify!($test)).await else {
                    eprintln!("left out: CAMPANILE_TEST_POSTGRES is not set");
                    return;
                };
                super::$test(&store).await;
                store.close().await;
            })*
        }
    };
}

on_each_database! {
    accounts_are_made_changed_and_deleted => accounts;
    accounts_are_listed_in_order => listing;
    rfc6121_s2_roster_items_are_kept_whole => roster;
    a_roster_change_of_several_steps_is_whole_or_not_at_all => roster_atomic;
    rfc6121_s3_1_3_requests_are_kept_whole_and_bounded => requests;
    an_account_takes_its_data_with_it => cascade;
    xep0077_s3_2_the_contacts_of_a_removed_account_are_still_to_be_told => farewells;
    turn_credentials_of_changed_accounts_are_void_until_they_expire => revocations;
    many_writers_at_once_lose_nothing => concurrent;
    xep0191_block_lists_are_kept => blocks;
    xep0357_s5_and_s6_push_services_are_kept_and_forgotten => push_services;
    xep0049_private_xml_is_kept_within_bounds => private;
    xep0054_vcards_are_kept => vcards;
    xep0012_the_last_activity_is_kept => last_activity;
    xep0198_s5_sessions_are_kept_until_the_next_start => sessions;
    rfc6121_s2_6_3_changes_since_a_version_are_known_within_bounds => roster_changes;
    xep0313_s3_1_messages_are_kept_in_order_and_read_in_pages => kept_in_order_and_read_in_pages;
    xep0160_s2_messages_wait_until_they_are_delivered => waits_until_it_is_delivered;
    a_deleted_account_takes_its_messages_along => a_deleted_account_takes_its_messages_along_and_holds_nobody_up;
    xep0441_preferences_are_kept => preferences_are_kept;
    xep0313_s3_2_what_is_too_old_goes => what_is_too_old_goes;
    many_senders_at_once_lose_no_message => many_senders_lose_nothing;
    a_database_that_fails_for_a_while_loses_no_message => a_failing_database_delays_and_loses_nothing;
    a_message_that_the_database_refuses_holds_nobody_up => a_refused_message_holds_nobody_up;
    xep0060_s4_nodes_are_kept_whole => a_node_is_kept_whole;
    a_command_at_nodes_is_whole_or_not_at_all => a_command_is_whole_or_not_at_all;
    xep0060_s7_1_items_are_kept_in_the_order_of_publication => items_are_kept_in_the_order_of_publication;
    xep0060_s6_5_items_are_read_in_pages => items_are_read_in_pages;
    what_has_expired_at_a_node_is_not_shown => what_has_expired_is_not_shown_and_goes;
    xep0248_s4_collections_are_kept => xep0248_collections;
    xep0060_s8_4_2_redirections_are_kept_and_bounded => s8_4_2_redirections_are_bounded;
    xep0060_s5_6_and_s5_7_an_entity_finds_what_it_has => s5_6_and_s5_7_an_entity_finds_its_subscriptions_and_affiliations;
    a_deleted_account_takes_its_nodes_along => an_account_takes_its_nodes_and_what_it_has_elsewhere_along;
    xep0163_s4_3_4_last_items_are_found_at_a_log_in => xep0163_s4_3_4_last_items_for_whoever_comes_online;
    bytes_of_nodes_are_bounded => bytes_are_bounded;
    xep0060_the_longest_names_are_stored_or_refused => the_longest_names_are_stored_or_refused;
    xep0045_s10_1_rooms_are_kept_whole => s10_1_a_room_is_kept_whole;
    a_stanza_to_a_room_is_whole_or_not_at_all => a_stanza_is_whole_or_not_at_all;
    what_is_loaded_of_a_room_is_what_the_changes_make => what_is_loaded_is_what_the_changes_make;
    xep0045_s10_9_a_destroyed_room_is_gone => s10_9_a_destroyed_room_is_gone_with_all_it_has;
    xep0045_s6_3_rooms_are_listed => s6_3_rooms_are_listed_in_pages;
    a_deleted_account_leaves_no_trace_in_rooms => an_account_leaves_no_trace_in_rooms;
    occupants_are_kept_until_the_next_start => who_was_there_at_an_orderly_stop;
    temporary_rooms_end_after_a_crash => after_a_crash_temporary_rooms_end;
    rfc7622_s3_1_the_longest_addresses_of_rooms => the_longest_addresses_of_rooms_are_stored;
    xep0313_s6_1_2_messages_of_rooms_are_read_in_pages => rooms_are_kept_in_order_and_read_in_pages;
    xep0424_s5_tombstones_of_rooms => tombstones_stand_in_the_place_of_messages;
    what_is_too_old_goes_from_archives_of_rooms => what_is_too_old_goes_from_rooms;
    a_room_that_is_gone_holds_no_message_up => a_room_that_is_gone_holds_nobody_up;
    rfc7622_s3_1_the_longest_addresses_are_stored_or_refused => longest_addresses;
}

async fn accounts(store: &Store) {
    let accounts = store.accounts();
    let romeo = jid("romeo@example.org");
    assert!(!accounts.exists(&romeo).await.unwrap());
    assert!(accounts.keys(&romeo).await.unwrap().is_none());
    assert!(accounts.get(&romeo).await.unwrap().is_none());

    let before = SystemTime::now() - Duration::from_secs(1);
    accounts.create(&romeo, &keys(1)).await.unwrap();
    assert!(matches!(accounts.create(&romeo, &keys(2)).await, Err(StoreError::AccountExists(jid)) if jid == romeo));
    assert!(accounts.exists(&romeo).await.unwrap());
    assert_eq!(accounts.keys(&romeo).await.unwrap(), Some(keys(1)));
    let account = accounts.get(&romeo).await.unwrap().unwrap();
    assert!(account.jid == romeo && account.disabled.is_none() && !account.anonymous && account.created_at > before);

    accounts.set_keys(&romeo, &keys(3)).await.unwrap();
    assert_eq!(accounts.keys(&romeo).await.unwrap(), Some(keys(3)));
    let mut fewer = ScramSet::default();
    fewer.set(ScramHash::Sha256, keys(4).get(ScramHash::Sha256).unwrap().clone());
    accounts.set_keys(&romeo, &fewer).await.unwrap();
    assert_eq!(accounts.keys(&romeo).await.unwrap(), Some(fewer));
    accounts.set_keys(&romeo, &ScramSet::default()).await.unwrap();
    assert_eq!(accounts.keys(&romeo).await.unwrap(), Some(ScramSet::default()));

    for reason in [Some("spam".to_owned()), None] {
        let disabled = Disabled { reason };
        accounts.disable(&romeo, &disabled).await.unwrap();
        assert_eq!(accounts.credentials(&romeo).await.unwrap().unwrap().disabled, Some(disabled.clone()));
        assert_eq!(accounts.get(&romeo).await.unwrap().unwrap().disabled, Some(disabled));
    }
    accounts.enable(&romeo).await.unwrap();
    assert_eq!(accounts.get(&romeo).await.unwrap().unwrap().disabled, None);

    let somebody = jid("59bec12a@example.org");
    accounts.create_anonymous(&somebody).await.unwrap();
    assert_eq!(
        accounts.anonymous(10).await.unwrap().into_iter().map(|account| account.jid).collect::<Vec<_>>(),
        std::slice::from_ref(&somebody)
    );
    assert_eq!(accounts.keys(&somebody).await.unwrap(), Some(ScramSet::default()));
    assert!(accounts.delete(&somebody).await.unwrap());
    assert!(accounts.anonymous(10).await.unwrap().is_empty());

    assert!(accounts.delete(&romeo).await.unwrap());
    assert!(!accounts.delete(&romeo).await.unwrap());
    assert!(matches!(accounts.set_keys(&romeo, &keys(1)).await, Err(StoreError::NoSuchAccount(_))));
    assert!(matches!(accounts.disable(&romeo, &Disabled::default()).await, Err(StoreError::NoSuchAccount(_))));
    assert!(matches!(accounts.enable(&romeo).await, Err(StoreError::NoSuchAccount(_))));
}

async fn farewells(store: &Store) {
    let (accounts, rosters, farewells) = (store.accounts(), store.rosters(), store.farewells());
    let romeo = jid("romeo@example.org");
    let all = [
        ("to@example.org", Subscription::To, false, Some((true, false))),
        ("from@example.org", Subscription::From, false, Some((false, true))),
        ("both@example.org", Subscription::Both, false, Some((true, true))),
        ("asked@example.org", Subscription::None, true, Some((true, false))),
        ("from.asked@example.org", Subscription::From, true, Some((true, true))),
        ("none@example.org", Subscription::None, false, None),
    ];
    for round in 0..2 {
        accounts.create(&romeo, &keys(1)).await.unwrap();
        for (contact, subscription, ask, _) in all {
            rosters.set(&romeo, &RosterItem { subscription, ask, ..RosterItem::new(jid(contact)) }).await.unwrap();
        }
        rosters.add_request(&romeo, &jid("asks@example.org"), "<presence/>".into()).await.unwrap();
        rosters.add_request(&romeo, &jid("to@example.org"), "<presence/>".into()).await.unwrap();
        accounts.delete(&romeo).await.unwrap();
        // an account of the same name that goes before all was said adds nothing twice
        assert_eq!(farewells.page(100).await.unwrap().len(), 6, "{round}");
    }
    let mut expected: Vec<_> = all
        .into_iter()
        .filter_map(|(contact, _, _, told)| told.map(|(unsubscribe, unsubscribed)| (jid(contact), unsubscribe, unsubscribed)))
        .map(|(contact, unsubscribe, unsubscribed)| {
            let unsubscribed = unsubscribed || contact == jid("to@example.org");
            Farewell { account: romeo.clone(), contact, unsubscribe, unsubscribed }
        })
        .collect();
    expected.push(Farewell { account: romeo.clone(), contact: jid("asks@example.org"), unsubscribe: false, unsubscribed: true });
    expected.sort_by(|a, b| a.contact.as_str().cmp(b.contact.as_str()));
    let page = farewells.page(100).await.unwrap();
    assert_eq!(page, expected);
    farewells.said(page[1..].to_vec()).await.unwrap();
    assert_eq!(farewells.page(100).await.unwrap(), expected[..1]);
    farewells.said(page).await.unwrap();
}

async fn sessions(store: &Store) {
    let (accounts, sessions) = (store.accounts(), store.sessions());
    let [romeo, juliet] = ["juliet@example.com", "romeo@example.org"].map(jid);
    for account in [&romeo, &juliet] {
        accounts.create(account, &keys(1)).await.unwrap();
    }
    let session = |account: &BareJid, resource: &str| StoredSession {
        jid: account.with_resource(resource).unwrap(),
        token: [255; 16],
        within: Duration::from_millis(600_000),
        expires_at: from_millis(1_700_000_000_123),
        acknowledged: u32::MAX,
        handled: u32::MAX - 1,
        state: SessionState {
            priority: -1,
            carbons: true,
            directed: vec!["nurse@example.com/x".to_owned()],
            probes_after: Some(String::new()),
            ..SessionState::default()
        },
        presence: Bytes::from_static(b"<presence xmlns='jabber:client'/>"),
        stanzas: vec![
            StoredStanza { sent: true, stored: Some(ArchiveId::from_i64(i64::MAX)), stanza: Bytes::from_static(b"<message/>") },
            StoredStanza { sent: false, stored: None, stanza: Bytes::from_static("<message>\u{1F514}</message>".as_bytes()) },
        ],
    };
    // More than one job, and addresses that order by their bytes.
    let mut all: Vec<_> = (0..150).map(|number| session(&romeo, &format!("r{number:03}"))).collect();
    all.extend(["Z", "a", "é"].map(|resource| session(&juliet, resource)));
    sessions.save(all.clone()).await.unwrap();
    all[0].handled = 7;
    sessions.save(vec![all[0].clone()]).await.unwrap();
    let mut read: Vec<StoredSession> = Vec::new();
    loop {
        let page = sessions.page(read.last().map(|session| &session.jid), 40).await.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read.len(), all.len());
    assert_eq!(read, all);

    // A new password and a ban void what they find; a deleted account takes its sessions along.
    accounts.set_keys(&romeo, &keys(2)).await.unwrap();
    assert_eq!(sessions.page(None, 200).await.unwrap(), all[150..]);
    accounts.disable(&juliet, &Disabled::default()).await.unwrap();
    assert_eq!(sessions.page(None, 200).await.unwrap(), []);
    sessions.save(all[..2].to_vec()).await.unwrap();
    accounts.delete(&romeo).await.unwrap();
    assert_eq!(sessions.page(None, 200).await.unwrap(), []);
    assert!(sessions.save(all[..1].to_vec()).await.is_err(), "of an account that is not there");
    sessions.save(all[150..].to_vec()).await.unwrap();
    sessions.clear().await.unwrap();
    assert_eq!(sessions.page(None, 200).await.unwrap(), []);
}

async fn revocations(store: &Store) {
    const LIFE: Duration = Duration::from_secs(3_600);
    let (accounts, revocations) = (store.accounts(), store.revocations());
    let (romeo, juliet, nurse) = (jid("romeo@example.org"), jid("juliet@example.com"), jid("nurse@example.com"));
    let start = from_millis(to_millis(SystemTime::now()));
    for account in [&romeo, &juliet] {
        accounts.create(account, &keys(1)).await.unwrap();
    }
    assert_eq!(revocations.load(start, LIFE).await.unwrap(), []);

    accounts.set_keys(&romeo, &keys(2)).await.unwrap();
    assert!(accounts.delete(&juliet).await.unwrap());
    assert!(accounts.set_keys(&nurse, &keys(1)).await.is_err());
    assert!(!accounts.delete(&nurse).await.unwrap());
    let mut found = revocations.load(SystemTime::now(), LIFE).await.unwrap();
    found.sort();
    assert_eq!(found.iter().map(|(account, _)| account).collect::<Vec<_>>(), [&juliet, &romeo]);
    assert!(found.iter().all(|(_, at)| *at >= start));

    // The later time counts, and the order is that of time.
    let (earlier, later) = (start - Duration::from_secs(60), start + Duration::from_secs(60));
    revocations.add(&romeo, later, LIFE).await.unwrap();
    revocations.add(&romeo, earlier, LIFE).await.unwrap();
    revocations.add(&nurse, earlier, LIFE).await.unwrap();
    let found = revocations.load(start, LIFE).await.unwrap();
    assert_eq!(found.iter().map(|(account, _)| account).collect::<Vec<_>>(), [&nurse, &juliet, &romeo]);
    assert_eq!((found[0].1, found[2].1), (earlier, later));

    assert_eq!(revocations.load(later + LIFE, LIFE).await.unwrap(), [(romeo.clone(), later)]);
    revocations.add(&nurse, later + LIFE + Duration::from_secs(1), LIFE).await.unwrap();
    assert_eq!(revocations.load(start, LIFE).await.unwrap().len(), 1, "what has expired went with the next change");
}

async fn listing(store: &Store) {
    let accounts = store.accounts();
    // Bytes order the addresses, on every database alike.
    let names = ["a-b@example.org", "a@example.org", "ab@example.org", "zoe@example.com", "ärger@example.org"];
    for name in names.iter().rev() {
        accounts.create(&jid(name), &keys(1)).await.unwrap();
    }
    let listed = |page: Vec<Account>| page.into_iter().map(|account| account.jid.to_string()).collect::<Vec<_>>();
    assert_eq!(listed(accounts.list().await.unwrap()), names);
    assert_eq!(listed(accounts.page(None, 2).await.unwrap()), names[..2]);
    assert_eq!(listed(accounts.page(Some(&jid(names[1])), 2).await.unwrap()), names[2..4]);
    assert_eq!(accounts.count().await.unwrap(), 5);
}

async fn roster(store: &Store) {
    let romeo = jid("romeo@example.org");
    let rosters = store.rosters();
    let (version, items) = rosters.load_versioned(&romeo).await.unwrap();
    assert_eq!((version.number, items), (0, Vec::new()));
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    let (version, items) = rosters.load_versioned(&romeo).await.unwrap();
    assert_eq!((version.number, items), (0, Vec::new()));

    let mut juliet = RosterItem::new(jid("juliet@example.com"));
    juliet.name = Some("Ju\"liet' <3 ☾".to_owned());
    juliet.subscription = Subscription::To;
    juliet.ask = true;
    juliet.groups = vec!["Friends".to_owned(), "Ca,pu\"lets".to_owned(), "Ärger".to_owned()];
    let gateway = RosterItem { approved: true, subscription: Subscription::From, ..RosterItem::new(jid("icq.example.com")) };
    assert_eq!(rosters.set(&romeo, &juliet).await.unwrap(), 1);
    assert_eq!(rosters.set(&romeo, &gateway).await.unwrap(), 2);
    assert_eq!(rosters.load(&romeo).await.unwrap(), [gateway.clone(), juliet.clone()]);

    juliet.name = None;
    juliet.groups.clear();
    juliet.ask = false;
    juliet.subscription = Subscription::Both;
    assert_eq!(rosters.set(&romeo, &juliet).await.unwrap(), 3);
    let (version, items) = rosters.load_versioned(&romeo).await.unwrap();
    assert_eq!((version.number, items), (3, vec![gateway.clone(), juliet]));
    assert_eq!(rosters.remove(&romeo, &jid("juliet@example.com")).await.unwrap(), 4);
    assert_eq!(rosters.load(&romeo).await.unwrap(), [gateway]);
    assert!(matches!(rosters.set(&jid("nobody@example.org"), &RosterItem::new(romeo)).await, Err(StoreError::NoSuchAccount(_))));
}

async fn roster_atomic(store: &Store) {
    let romeo = jid("romeo@example.org");
    let juliet = jid("juliet@example.com");
    let rosters = store.rosters();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    rosters.add_request(&romeo, &juliet, Bytes::from_static(b"<presence/>")).await.unwrap();
    let approved = RosterItem { subscription: Subscription::From, ..RosterItem::new(juliet.clone()) };
    let changes = vec![RosterChange::Set(approved.clone()), RosterChange::RemoveRequest(juliet.clone())];
    assert_eq!(rosters.apply(&romeo, changes).await.unwrap(), 1);
    assert_eq!(rosters.load(&romeo).await.unwrap(), std::slice::from_ref(&approved));
    assert!(rosters.requests(&romeo).await.unwrap().is_empty());

    // A job that fails in its middle leaves nothing behind, and does not disturb its neighbours.
    let database = store.database.clone();
    let failing = database.write("fail", |tx| {
        Box::pin(async move {
            tx.execute("DELETE FROM roster_items", &[]).await?;
            Err::<(), _>(StoreError::Busy { doing: "fail" })
        })
    });
    let beside = rosters.set(&romeo, &approved);
    let (failed, set) = tokio::join!(failing, beside);
    assert!(matches!(failed, Err(StoreError::Busy { .. })));
    assert_eq!(set.unwrap(), 2);
    assert_eq!(rosters.load(&romeo).await.unwrap(), [approved]);
}

async fn requests(store: &Store) {
    let romeo = jid("romeo@example.org");
    let rosters = store.rosters();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    let stanza =
        Bytes::from_static("<presence type='subscribe' from='juliet@example.com'><status>ü \u{1f642}</status></presence>".as_bytes());
    rosters.add_request(&romeo, &jid("juliet@example.com"), Bytes::from_static(b"<presence/>")).await.unwrap();
    rosters.add_request(&romeo, &jid("juliet@example.com"), stanza.clone()).await.unwrap();
    let found = rosters.requests(&romeo).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].from.as_str(), &found[0].stanza), ("juliet@example.com", &stanza));
    assert_eq!(rosters.load_versioned(&romeo).await.unwrap().0.number, 0, "a request is no roster item");
    rosters.remove_request(&romeo, &jid("juliet@example.com")).await.unwrap();
    assert!(rosters.requests(&romeo).await.unwrap().is_empty());

    let flood = (0..REQUESTS_MAX + 5)
        .map(|number| RosterChange::AddRequest { from: jid(&format!("spam{number}@example.com")), stanza: stanza.clone() })
        .collect();
    rosters.apply(&romeo, flood).await.unwrap();
    assert_eq!(rosters.requests(&romeo).await.unwrap().len(), REQUESTS_MAX as usize);
    // One that is there may still be replaced.
    rosters.add_request(&romeo, &jid("spam0@example.com"), Bytes::from_static(b"<presence/>")).await.unwrap();
    let replaced = rosters.requests(&romeo).await.unwrap().into_iter().find(|request| request.from == "spam0@example.com").unwrap();
    assert_eq!(&replaced.stanza[..], b"<presence/>");
}

async fn cascade(store: &Store) {
    let romeo = jid("romeo@example.org");
    let (accounts, rosters) = (store.accounts(), store.rosters());
    accounts.create(&romeo, &keys(1)).await.unwrap();
    rosters.set(&romeo, &RosterItem::new(jid("juliet@example.com"))).await.unwrap();
    rosters.add_request(&romeo, &jid("paris@example.com"), Bytes::from_static(b"<presence/>")).await.unwrap();
    accounts.delete(&romeo).await.unwrap();
    accounts.create(&romeo, &ScramSet::default()).await.unwrap();
    assert_eq!(accounts.keys(&romeo).await.unwrap(), Some(ScramSet::default()));
    let (version, items) = rosters.load_versioned(&romeo).await.unwrap();
    assert_eq!((version.number, items), (0, Vec::new()));
    assert!(rosters.requests(&romeo).await.unwrap().is_empty());
}

async fn private(store: &Store) {
    let romeo = jid("romeo@example.org");
    let private = store.private_xml();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    let element = |name: &str, content: Option<&str>| PrivateElement {
        namespace: "urn:x".to_owned(),
        name: name.to_owned(),
        content: content.map(|content| Bytes::copy_from_slice(content.as_bytes())),
    };
    let get = async |name: &str| private.get(&romeo, "urn:x", name).await.unwrap();
    assert!(private.set(&romeo, vec![element("a", Some("<a>ü</a>")), element("b", Some("<b/>"))], 100).await.unwrap());
    assert_eq!((get("a").await.as_deref(), get("b").await.as_deref()), (Some("<a>ü</a>".as_bytes()), Some(&b"<b/>"[..])));
    assert_eq!(private.get(&romeo, "urn:y", "a").await.unwrap(), None);
    // All or none, and the old is counted no more.
    assert!(!private.set(&romeo, vec![element("b", None), element("c", Some("<c>too long</c>"))], 20).await.unwrap());
    assert!(get("b").await.is_some() && get("c").await.is_none());
    assert!(private.set(&romeo, vec![element("b", None), element("a", Some("<a>12345678901</a>"))], 20).await.unwrap());
    assert!(get("b").await.is_none());
    let many = (0..PRIVATE_ELEMENTS_MAX).map(|number| element(&format!("n{number}"), Some("<n/>"))).collect();
    assert!(!private.set(&romeo, many, 1_000_000).await.unwrap(), "one too many");
    assert!(matches!(private.set(&jid("nobody@example.org"), Vec::new(), 1).await, Err(StoreError::NoSuchAccount(_))));
    store.accounts().delete(&romeo).await.unwrap();
    assert!(get("a").await.is_none());
}

async fn vcards(store: &Store) {
    let romeo = jid("romeo@example.org");
    let vcards = store.vcards();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    assert_eq!((vcards.get(&romeo).await.unwrap(), vcards.photo_hash(&romeo).await.unwrap()), (None, None));
    for (text, hash) in [("<vCard xmlns='vcard-temp'><FN>Ü</FN></vCard>", Some("01b87f")), ("<vCard xmlns='vcard-temp'/>", None)] {
        vcards.set(&romeo, Bytes::from(text), hash.map(str::to_owned)).await.unwrap();
        assert_eq!(vcards.get(&romeo).await.unwrap(), Some(Bytes::from(text)));
        assert_eq!(vcards.photo_hash(&romeo).await.unwrap().as_deref(), hash);
    }
    assert!(matches!(vcards.set(&jid("nobody@example.org"), Bytes::new(), None).await, Err(StoreError::NoSuchAccount(_))));
    store.accounts().delete(&romeo).await.unwrap();
    assert_eq!(vcards.get(&romeo).await.unwrap(), None);
}

async fn last_activity(store: &Store) {
    let romeo = jid("romeo@example.org");
    let activities = store.last_activities();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    assert_eq!(activities.load(&romeo).await.unwrap(), None);
    for (seconds, presence) in
        [(1_795_644_352, "<presence type='unavailable'/>"), (1_795_644_400, "<presence type='unavailable'><status>ü</status></presence>")]
    {
        let activity = LastActivity { left_at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), presence: Bytes::from(presence) };
        activities.set(&romeo, activity.clone()).await.unwrap();
        assert_eq!(activities.load(&romeo).await.unwrap(), Some(activity.clone()));
        activities.set(&jid("nobody@example.org"), activity).await.unwrap();
    }
    assert_eq!(activities.load(&jid("nobody@example.org")).await.unwrap(), None);
    store.accounts().delete(&romeo).await.unwrap();
    assert_eq!(activities.load(&romeo).await.unwrap(), None);
}

async fn roster_changes(store: &Store) {
    let romeo = jid("romeo@example.org");
    let rosters = store.rosters();
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    let contact = |number: u32| jid(&format!("c{number}@example.com"));
    let set = |number: u32| RosterItem { name: Some("n".to_owned()), ..RosterItem::new(contact(number)) };
    for number in 0..3 {
        rosters.set(&romeo, &set(number)).await.unwrap();
    }
    rosters.remove(&romeo, &contact(1)).await.unwrap();
    rosters.set(&romeo, &set(0)).await.unwrap();
    let changes = async |since| rosters.changes_since(&romeo, since).await.unwrap();
    let (set_0, set_2) = (RosterUpdate::Set(set(0)), RosterUpdate::Set(set(2)));
    assert_eq!(changes(0).await, Some(vec![(3, set_2.clone()), (4, RosterUpdate::Removed(contact(1))), (5, set_0.clone())]));
    assert_eq!(changes(3).await, Some(vec![(4, RosterUpdate::Removed(contact(1))), (5, set_0.clone())]));
    assert_eq!(changes(5).await, Some(Vec::new()));
    // Who comes back is no longer gone.
    rosters.set(&romeo, &set(1)).await.unwrap();
    assert_eq!(changes(3).await, Some(vec![(5, set_0), (6, RosterUpdate::Set(set(1)))]));
    // Removing what is not there leaves nothing behind.
    assert_eq!(rosters.remove(&romeo, &contact(99)).await.unwrap(), 7);
    assert_eq!(changes(6).await, Some(Vec::new()));

    let many = (100..101 + REMOVALS_MAX).flat_map(|n| [RosterChange::Set(set(n)), RosterChange::Remove(contact(n))]);
    for change in many {
        rosters.apply(&romeo, vec![change]).await.unwrap();
    }
    assert_eq!(changes(8).await, None, "the oldest removal, of version 9, is forgotten");
    assert_eq!(changes(9).await.unwrap().len(), REMOVALS_MAX as usize);
    assert_eq!(rosters.changes_since(&jid("nobody@example.org"), 0).await.unwrap(), None);
}

async fn push_services(store: &Store) {
    let (romeo, juliet) = (jid("romeo@example.org"), jid("juliet@example.org"));
    let services = store.push_services();
    let service = |address: &str, node: &str, resource: &str| PushService {
        service: crate::jid::Jid::parse(address).unwrap(),
        node: node.to_owned(),
        resource: resource.to_owned(),
        options: Bytes::from_static(b"<x xmlns='jabber:x:data' type='submit'/>"),
    };
    assert!(services.enable(&romeo, &service("push.example", "a", "phone")).await.is_err(), "there is no such account");
    for account in [&romeo, &juliet] {
        store.accounts().create(account, &keys(1)).await.unwrap();
        for node in ["a", "b"] {
            services.enable(account, &service("push.example", node, "phone")).await.unwrap();
        }
        services.enable(account, &service("other.example/x", "", "tablet")).await.unwrap();
    }
    let renewed = PushService { options: Bytes::new(), ..service("push.example", "a", "new phone") };
    services.enable(&romeo, &renewed).await.unwrap();
    let loaded = services.load(&romeo).await.unwrap();
    assert_eq!(loaded.len(), 3);
    assert!(loaded.contains(&renewed), "the last request counts: {loaded:?}");
    services.disable(&romeo, &renewed.service, Some("a")).await.unwrap();
    assert_eq!(services.load(&romeo).await.unwrap().len(), 2);
    services.disable(&romeo, &renewed.service, None).await.unwrap();
    assert_eq!(services.load(&romeo).await.unwrap(), [service("other.example/x", "", "tablet")]);
    assert_eq!(services.load(&juliet).await.unwrap().len(), 3);
    assert!(store.accounts().delete(&juliet).await.unwrap());
    assert!(services.load(&juliet).await.unwrap().is_empty());
}

async fn blocks(store: &Store) {
    let (romeo, paris) = (jid("romeo@example.org"), jid("paris@example.org"));
    let any = |text: &str| crate::jid::Jid::parse(text).unwrap();
    let blocks = store.blocks();
    for account in [&romeo, &paris] {
        store.accounts().create(account, &keys(1)).await.unwrap();
    }
    let four = ["a@b/c", "a@b", "b/c", "b"].map(any);
    blocks.add(&romeo, four.to_vec()).await.unwrap();
    blocks.add(&romeo, vec![any("a@b"), any("z")]).await.unwrap();
    blocks.add(&paris, vec![any("a@b")]).await.unwrap();
    assert_eq!(blocks.load(&romeo).await.unwrap(), ["a@b", "a@b/c", "b", "b/c", "z"].map(any));
    blocks.remove(&romeo, vec![any("b"), any("unknown")]).await.unwrap();
    assert_eq!(blocks.load(&romeo).await.unwrap(), ["a@b", "a@b/c", "b/c", "z"].map(any));
    blocks.clear(&romeo).await.unwrap();
    assert!(blocks.load(&romeo).await.unwrap().is_empty());
    assert_eq!(blocks.load(&paris).await.unwrap(), [any("a@b")]);
    assert!(matches!(blocks.add(&jid("nobody@example.org"), vec![any("b")]).await, Err(StoreError::NoSuchAccount(_))));
    store.accounts().delete(&paris).await.unwrap();
    assert!(blocks.load(&paris).await.unwrap().is_empty());
}

async fn concurrent(store: &Store) {
    let romeo = jid("romeo@example.org");
    store.accounts().create(&romeo, &keys(1)).await.unwrap();
    let writers: Vec<_> = (0..200)
        .map(|number| {
            let (rosters, romeo) = (store.rosters(), romeo.clone());
            tokio::spawn(async move { rosters.set(&romeo, &RosterItem::new(jid(&format!("c{number}@example.com")))).await.unwrap() })
        })
        .collect();
    let mut versions = Vec::new();
    for writer in writers {
        versions.push(writer.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=200).collect::<Vec<u64>>());
    assert_eq!(store.rosters().load(&romeo).await.unwrap().len(), 200);
    store.healthy().await.unwrap();
}

#[tokio::test]
async fn a_missing_database_is_made_with_its_folders_for_this_user_only() {
    let folder = TemporaryFolder::new();
    let data = folder.path().join("var/data");
    let path = data.join("campanile.db");
    let store = Store::open(&format!("sqlite://{}", path.display()), &data).await.unwrap();
    store.accounts().create(&jid("romeo@example.org"), &keys(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("var")), 0o700);
    assert_eq!(mode(&data), 0o700);
    for file in ["campanile.db", "campanile.db-wal", "campanile.db-shm"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    store.close().await;
    assert!(!data.join("campanile.db-wal").exists(), "an orderly stop leaves one file");
}

#[tokio::test]
async fn sqlite_writes_ahead_and_syncs_every_commit() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let journal = store.database.fetch_optional("read", "PRAGMA journal_mode", &[]).await.unwrap().unwrap();
    assert_eq!(journal.text(0).unwrap(), "wal");
    let written = store.database.write("read", |tx| {
        Box::pin(async move {
            let mut settings = Vec::new();
            for pragma in ["PRAGMA synchronous", "PRAGMA foreign_keys", "PRAGMA busy_timeout"] {
                settings.push(tx.fetch_optional(pragma, &[]).await?.unwrap().int(0)?);
            }
            Ok(settings)
        })
    });
    assert_eq!(written.await.unwrap(), [2, 1, 10_000]);
    let reader = store.database.fetch_all("write", "DELETE FROM accounts", &[]).await;
    assert!(reader.is_err(), "readers cannot write");
    store.close().await;
}

#[tokio::test]
async fn data_outlives_the_process() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    store.accounts().create(&jid("romeo@example.org"), &keys(1)).await.unwrap();
    drop(store); // without an orderly stop
    let store = sqlite(&folder).await;
    assert_eq!(store.accounts().keys(&jid("romeo@example.org")).await.unwrap(), Some(keys(1)));
    store.close().await;
}

/// The other process of [`what_was_answered_survives_a_killed_process`]: writes without end and tells each success.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var("CAMPANILE_TEST_CHILD") else { return };
    let store = Store::open(&format!("sqlite:{folder}/test.db"), Path::new(&folder)).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let accounts = store.accounts();
        writers.spawn(async move {
            for number in 0..u32::MAX {
                let name = format!("w{writer}n{number}@example.org");
                accounts.create(&jid(&name), &keys(1)).await.unwrap();
                println!("written {name}");
            }
        });
    }
    while writers.join_next().await.is_some() {}
}

#[tokio::test]
async fn what_was_answered_survives_a_killed_process() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let folder = TemporaryFolder::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::child_that_writes_until_it_is_killed", "--nocapture"])
        .env("CAMPANILE_TEST_CHILD", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let name = |line: String| Some(line.split_once("written ")?.1.to_owned()).filter(|name| name.ends_with("@example.org"));
    let mut written: Vec<String> = lines.by_ref().filter_map(name).take(200).collect();
    // Meanwhile this process uses the same file.
    let store = sqlite(&folder).await;
    store.accounts().create(&jid("parent@example.org"), &keys(2)).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    written.extend(lines.filter_map(name)); // what it had told before it died
    for name in &written {
        assert_eq!(store.accounts().keys(&jid(name)).await.unwrap(), Some(keys(1)), "{name}");
    }
    assert!(written.len() >= 200);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_use_one_database_at_once() {
    let folder = TemporaryFolder::new();
    // Both may be the first to open it.
    let (one, two) = tokio::join!(sqlite(&folder), sqlite(&folder));
    let write = |store: Store, name: &'static str| async move {
        for number in 0..100 {
            store.accounts().create(&jid(&format!("{name}{number}@example.org")), &keys(1)).await.unwrap();
        }
    };
    let tasks = [tokio::spawn(write(one.clone(), "one")), tokio::spawn(write(two.clone(), "two"))];
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one.accounts().count().await.unwrap(), 200);
    assert_eq!(two.accounts().list().await.unwrap().len(), 200);
    one.close().await;
    two.accounts().create(&jid("late@example.org"), &keys(1)).await.unwrap();
    two.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_a_sentence() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let insert = store.database.write("insert", |tx| {
        Box::pin(async move {
            let sql =
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', 1, x'00', 0)";
            tx.execute(sql, &[]).await
        })
    });
    insert.await.unwrap();
    store.close().await;
    let Err(error) = Store::open(&url(&folder), folder.path()).await else { panic!("it was opened") };
    assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 2.. }), "{error:?}");
    assert!(error.to_string().contains("Run the newer program again, or restore a backup"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_in_a_line() {
    let folder = TemporaryFolder::new();
    let check = async |url: &str, part: &str| {
        let Err(error) = Store::open(url, folder.path()).await else { panic!("{url} was opened") };
        assert!(error.to_string().contains(part) && !error.to_string().contains('\n'), "{error}");
    };
    check("mysql://localhost/x", "must begin with `sqlite:` or `postgres://`").await;
    check("sqlite:", "write the file's path").await;
    check("sqlite::memory:", "not supported").await;
    check("sqlite:x.db?mode=memory", "without parameters").await;
    check("postgres://user:geheim@127.0.0.1:1/x", "cannot open the database on PostgreSQL at 127.0.0.1").await;
    let path = folder.path().join("text.db");
    fs::write(&path, "this is no database, it only pretends to be one and is long enough to be looked at".repeat(20)).unwrap();
    check(&format!("sqlite:{}", path.display()), "text.db").await;
    check(&format!("sqlite:{}/inside.db", path.display()), "cannot create the folder").await;
}

#[tokio::test]
async fn a_panic_in_a_job_ends_that_job_only() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let database = store.database.clone();
    let panicking = database.write("panic", |tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO accounts (jid, domain, created_at, password_changed_at) VALUES ('x', 'x', 0, 0)", &[]).await?;
            if tx.doing == "panic" {
                panic!("a bug");
            }
            Ok(())
        })
    });
    let accounts = store.accounts();
    let (romeo, set) = (jid("romeo@example.org"), keys(1));
    let beside = accounts.create(&romeo, &set);
    let (panicked, created) = tokio::join!(panicking, beside);
    assert!(matches!(panicked, Err(StoreError::Stopped { .. })));
    created.unwrap();
    assert_eq!(accounts.count().await.unwrap(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so_and_has_written_what_was_queued() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let queued: Vec<_> = (0..50)
        .map(|number| {
            let accounts = store.accounts();
            tokio::spawn(async move { accounts.create(&jid(&format!("u{number}@example.org")), &keys(1)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut written = 0;
    for task in queued {
        match task.await.unwrap() {
            Ok(()) => written += 1,
            Err(error) => assert!(matches!(error, StoreError::Stopped { .. }), "{error:?}"),
        }
    }
    assert!(store.healthy().await.is_err());
    assert!(matches!(store.accounts().count().await, Err(StoreError::Stopped { .. })));
    let again = sqlite(&folder).await;
    assert_eq!(again.accounts().count().await.unwrap(), written);
    again.close().await;
}

#[tokio::test]
async fn real_keys_survive_the_round_trip() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let set = ScramSet::derive(&Password::prepare("pencil").unwrap(), &[5; 32]);
    store.accounts().create(&jid("romeo@example.org"), &set).await.unwrap();
    assert_eq!(store.accounts().keys(&jid("romeo@example.org")).await.unwrap(), Some(set));
    store.close().await;
}

/// RFC 7622 §3.1: each part of an address has up to 1,023 bytes. PostgreSQL's indexes do not take two such addresses, and say so.
async fn longest_addresses(store: &Store) {
    let part = |letter: &str| letter.repeat(1_000);
    let account = jid(&format!("{}@{}", "a".repeat(1023), "d".repeat(63)));
    let contact = jid(&format!("{}@{}", "c".repeat(1023), [63, 63, 63, 60].map(|length| "e".repeat(length)).join(".")));
    store.accounts().create(&account, &keys(1)).await.unwrap();
    let archive = store.archive();
    let id = ArchiveId::at(SystemTime::now());
    let peer = crate::jid::Jid::parse(&format!("{contact}/{}", "r".repeat(1023))).unwrap();
    let record = Record { id, peer: peer.clone(), archived: true, undelivered: true, stanza: Bytes::from_static(b"<message/>") };
    archive.keep(&account, record);
    for with in [peer.clone(), crate::jid::Jid::from(contact.clone())] {
        let range = Range { with: Some(with), ..Range::default() };
        assert_eq!(archive.page(&account, &range, true, 10, usize::MAX).await.unwrap().messages.len(), 1);
    }

    let refused = matches!(store.database, Database::Postgres { .. });
    let check = |outcome: Result<(), StoreError>| match outcome {
        Ok(()) => assert!(!refused),
        Err(error) => assert!(refused && matches!(error, StoreError::TooLong { .. }), "{error:?}"),
    };
    // Letters at random would do no more: what PostgreSQL could compress it need not.
    let noise = |length: usize| (0..length).map(|_| char::from(b'a' + (crate::random::number() % 26) as u8)).collect::<String>();
    let element = PrivateElement { namespace: noise(4_000), name: part("n"), content: Some(Bytes::from_static(b"<x/>")) };
    check(store.private_xml().set(&account, vec![element], 1 << 20).await.map(drop));
    let far = crate::jid::Jid::parse(&format!("{}@{}/{}", noise(1023), noise(60), noise(1023))).unwrap();
    let owner = jid(&format!("{}@x", noise(1023)));
    store.accounts().create(&owner, &keys(1)).await.unwrap();
    check(store.blocks().add(&owner, vec![far]).await);
}

#[tokio::test]
async fn writing_goes_on_after_a_commit_that_failed() {
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    // SQLite itself rolls back when the disk is full; at the end of a transaction it looks at the foreign keys put off until then.
    for fault in ["ROLLBACK", "PRAGMA defer_foreign_keys = ON"] {
        let failed = store.database.write("fail", move |tx| {
            Box::pin(async move {
                tx.execute(fault, &[]).await?;
                tx.execute("INSERT INTO blocked_jids (account, jid) VALUES ('nobody@x', 'x')", &[]).await
            })
        });
        failed.await.unwrap_err();
        store.accounts().create(&jid(&format!("{}@example.org", fault.len())), &keys(1)).await.unwrap();
        store.healthy().await.unwrap();
    }
    assert_eq!(store.accounts().count().await.unwrap(), 2);
    assert!(store.blocks().load(&jid("nobody@x")).await.unwrap().is_empty());
    store.close().await;
}

/// The test runs itself again as a process that may not write large files.
#[tokio::test]
async fn a_full_disk_is_told_and_writing_goes_on_when_there_is_room() {
    const INSIDE: &str = "CAMPANILE_TEST_FULL_DISK";
    if std::env::var_os(INSIDE).is_none() {
        let name = "store::tests::a_full_disk_is_told_and_writing_goes_on_when_there_is_room";
        let program = std::env::current_exe().unwrap();
        let script = "trap '' XFSZ; ulimit -S -f 2000; exec \"$0\" --exact \"$1\" --nocapture";
        let output = std::process::Command::new("bash").args(["-c", script]).arg(program).arg(name).env(INSIDE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let folder = TemporaryFolder::new();
    let store = sqlite(&folder).await;
    let fill = async |number: usize| {
        store
            .database
            .write("fill", move |tx| {
                Box::pin(async move {
                    const SQL: &str =
                        "INSERT INTO messages (account, id, peer, resource, peer_hash, archived, stanza) VALUES ('a@x', $1, '', '', 0, 1, $2)";
                    tx.execute(SQL, &[(number as i64).into(), [7_u8; 100_000].as_slice().into()]).await
                })
            })
            .await
    };
    store.accounts().create(&jid("a@x"), &keys(1)).await.unwrap();
    let mut stored = 0;
    while fill(stored).await.is_ok() {
        stored += 1;
        assert!(stored < 100, "the limit was not met");
    }
    // Where a large one does not fit, a small one may: now none does.
    let limit = |to: &str| {
        let pid = std::process::id().to_string();
        let done = std::process::Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={to}")]).status();
        assert!(done.unwrap().success());
    };
    limit("1:unlimited");
    assert!(fill(stored).await.is_err());
    assert!(store.healthy().await.is_err(), "`/ready` says no while nothing can be written");
    limit("unlimited");
    store.healthy().await.unwrap();
    fill(stored).await.unwrap();
    assert_eq!(store.archive().count(&jid("a@x"), &Range::default()).await.unwrap(), stored + 1);
    store.close().await;
}

/// What stands between the server and PostgreSQL, and at times lets nothing through.
async fn gate(to: String) -> (u16, tokio::sync::watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (shut, is_shut) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, mut is_shut) = (to.clone(), is_shut.clone());
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                let shut = async { is_shut.wait_for(|shut| *shut).await.map(|_| ()) };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                    _ = shut => {}
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (port, shut)
}

#[tokio::test]
async fn a_host_that_falls_silent_holds_nobody_up() {
    let folder = TemporaryFolder::new();
    let Some(direct) = postgres(&folder, "silent").await else { return };
    let base = std::env::var("CAMPANILE_TEST_POSTGRES").unwrap();
    let (before, rest) = base.split_once('@').unwrap();
    let (host, rest) = rest.split_once('/').unwrap();
    let (port, shut) = gate(host.to_owned()).await;
    let separator = if base.contains('?') { '&' } else { '?' };
    let schema = format!("test_silent_{}", std::process::id());
    let url = format!("{before}@127.0.0.1:{port}/{rest}{separator}options=-c%20search_path%3D{schema}");
    let store = Store::open(&url, folder.path()).await.unwrap();
    let Database::Postgres { pool, .. } = &store.database else { panic!("not PostgreSQL") };
    let database = Database::Postgres { pool: pool.clone(), answer_wait: Duration::from_secs(1) };
    let write = async || database.write("try", |tx| Box::pin(async move { tx.execute("DELETE FROM blocked_jids", &[]).await })).await;
    write().await.unwrap();

    let silence = shut.clone();
    let midway = database.write("wait", move |tx| {
        Box::pin(async move {
            silence.send_replace(true);
            tx.execute("DELETE FROM blocked_jids", &[]).await
        })
    });
    assert!(matches!(midway.await, Err(StoreError::Busy { .. })));
    assert!(matches!(write().await, Err(StoreError::Busy { .. })));
    let read = database.fetch_all("read", "SELECT 1", &[]).await;
    assert!(matches!(read, Err(StoreError::Busy { .. })));

    shut.send_replace(false);
    let again = async { while write().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), again).await.expect("it goes on when the host is back");
    database.close().await;
    direct.close().await;
}
