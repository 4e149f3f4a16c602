use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::auth::ScramSet;
use crate::mailbox::Mailbox;
use crate::session::Session;
use crate::store::TemporaryFolder;

/// Homes of one account, which is stored.
async fn homes(folder: &TemporaryFolder) -> (Homes, BareJid) {
    let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), folder.path()).await.unwrap();
    let alice = BareJid::parse("alice@localhost").unwrap();
    store.accounts().create(&alice, &ScramSet::default()).await.unwrap();
    (Homes::new(store, 1), alice)
}

#[tokio::test]
async fn a_remembered_home_is_let_go_of_and_stays_while_somebody_has_it() {
    let folder = TemporaryFolder::new();
    let (homes, alice) = homes(&folder).await;
    let let_go = || homes.shard(alice.as_str()).let_go_of_idle(0);
    let home = homes.get(&alice).await.unwrap().unwrap();
    let remembered = Remembered::from(&home);
    assert_eq!(remembered.place(), Arc::as_ptr(&home));
    drop(home);
    let again = remembered.home().unwrap();
    let_go();
    assert!(!again.try_let_go() && Arc::ptr_eq(&again, &homes.peek(&alice).unwrap()));
    drop(again);
    // Nobody has it, and it has a session: it is looked at, and stays.
    let session = Session::new("alice@localhost/a".parse().unwrap(), Arc::new(Mailbox::new(1_000)));
    homes.peek(&alice).unwrap().with(|account| account.sessions.push(session));
    let_go();
    remembered.home().expect("it is as it was").with(|account| account.sessions.clear());
    let_go();
    assert!(remembered.home().is_none() && homes.peek(&alice).is_none());
}

/// Those that were not used for longest go, and the others can be come back to.
#[test]
fn the_least_recently_used_goes_and_what_stays_is_as_it_was() {
    let mut shard = Shard::default();
    let names: Vec<BareJid> = (0..4).map(|number| BareJid::parse(&format!("{number}@localhost")).unwrap()).collect();
    let mut remembered = Vec::new();
    for (used, jid) in (0..).zip(&names) {
        let home = Arc::new(Home::new(jid.clone()));
        remembered.push(Remembered::from(&home));
        shard.homes.insert(jid.clone(), Entry { home, used });
    }
    shard.let_go_of_idle(2);
    let stay: Vec<bool> = remembered.iter().map(|own| own.home().is_some()).collect();
    assert_eq!((stay, shard.homes.len()), (vec![false, false, true, true], 2));
}

#[tokio::test]
async fn a_removed_account_is_not_found_where_it_was_however_long_somebody_has_its_home() {
    let folder = TemporaryFolder::new();
    let (homes, alice) = homes(&folder).await;
    let old = homes.get(&alice).await.unwrap().unwrap();
    let remembered = Remembered::from(&old);
    homes.forget(&alice);
    assert!(remembered.home().is_none());
    let new = homes.get(&alice).await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(&old, &new) && Arc::ptr_eq(&new, &Remembered::from(&new).home().unwrap()));
}

/// Two threads, one moment: whoever comes back to a home has it before it goes, or not at all.
#[test]
fn an_account_never_has_two_homes() {
    const ROUNDS: usize = 2_000;
    let jid = BareJid::parse("alice@localhost").unwrap();
    let homes: Vec<Arc<Home>> = (0..ROUNDS).map(|_| Arc::new(Home::new(jid.clone()))).collect();
    let remembered: Vec<Remembered> = homes.iter().map(Remembered::from).collect();
    let arrived = AtomicUsize::new(0);
    let meet = |round: usize| {
        arrived.fetch_add(1, Ordering::AcqRel);
        while arrived.load(Ordering::Acquire) < 2 * (round + 1) {
            thread::yield_now();
        }
    };
    let (came_back, went) = thread::scope(|scope| {
        let guest = scope.spawn(|| {
            let come_back = |(round, own): (usize, &Remembered)| {
                meet(round);
                own.home()
            };
            remembered.iter().enumerate().map(come_back).collect::<Vec<_>>()
        });
        let let_go = |(round, home): (usize, &Arc<Home>)| {
            meet(round);
            home.try_let_go()
        };
        let went: Vec<bool> = homes.iter().enumerate().map(let_go).collect();
        (guest.join().unwrap(), went)
    });
    for (round, (home, went)) in came_back.iter().zip(went).enumerate() {
        assert!(!(went && home.is_some()), "round {round}: it is gone, and somebody has it");
    }
}
