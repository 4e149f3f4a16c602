use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::auth::ScramSet;
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
    assert!(Arc::ptr_eq(&again, &homes.peek(&alice).unwrap()));
    drop(again);
    assert!(remembered.home().is_some(), "an attempt to let go of it that fails leaves it as it was");
    let_go();
    assert!(remembered.home().is_none() && homes.peek(&alice).is_none());
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

/// Whoever comes back to a home has the one of the account, even when another thread lets go of it at that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_never_has_two_homes() {
    const ROUNDS: usize = 2_000;
    let folder = TemporaryFolder::new();
    let (homes, alice) = homes(&folder).await;
    let (homes, remembered) = (Arc::new(homes), Arc::new(Mutex::new(Remembered::default())));
    let done = Arc::new(AtomicBool::new(false));
    let came_back = Arc::new(AtomicUsize::new(0));
    let guest = thread::spawn({
        let (homes, alice, remembered, done, came_back) = (homes.clone(), alice.clone(), remembered.clone(), done.clone(), came_back.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                let known = remembered.lock().unwrap().clone();
                if let Some(home) = known.home() {
                    assert!(Arc::ptr_eq(&home, &homes.peek(&alice).unwrap()));
                    came_back.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    for _ in 0..ROUNDS {
        let home = homes.get(&alice).await.unwrap().unwrap();
        *remembered.lock().unwrap() = Remembered::from(&home);
        drop(home);
        homes.shard(alice.as_str()).let_go_of_idle(0);
    }
    // At last it is there for sure.
    let home = homes.get(&alice).await.unwrap().unwrap();
    *remembered.lock().unwrap() = Remembered::from(&home);
    let before = came_back.load(Ordering::Relaxed);
    while came_back.load(Ordering::Relaxed) == before && !guest.is_finished() {
        thread::yield_now();
    }
    done.store(true, Ordering::Relaxed);
    guest.join().unwrap();
}
