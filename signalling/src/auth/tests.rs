//! The service over a real store; deriving is real too.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::store::TemporaryFolder;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

struct Bench {
    auth: Authenticator,
    store: Store,
    folder: TemporaryFolder,
}

impl Bench {
    async fn new() -> Self {
        let folder = TemporaryFolder::new();
        let store = Store::open(&format!("sqlite:{}/test.db", folder.path().display()), folder.path()).await.unwrap();
        let auth = Authenticator::new(&store, 2, PerHour { source: 2, all: 100 }).unwrap();
        Self { auth, store, folder }
    }

    async fn password(&self, account: &str, password: &str) -> (Answer, Option<Attempt>) {
        let question = Question::Password { account: jid(account), password: Password::prepare(password).unwrap() };
        self.auth.answer(question, SOURCE).await
    }

    async fn keys(&self, account: &str, hash: ScramHash) -> (ScramKeys, bool) {
        match self.auth.answer(Question::Keys { account: jid(account), hash }, SOURCE).await {
            (Answer::Keys { keys, genuine, .. }, Some(attempt)) => {
                attempt.succeeded();
                (keys, genuine)
            }
            (answer, _) => panic!("{answer:?}"),
        }
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn is_refused(answer: &(Answer, Option<Attempt>), failure: SaslFailure) -> bool {
    matches!(answer, (Answer::Refused(refused), None) if *refused == failure)
}

#[tokio::test]
async fn an_account_logs_in_with_its_password_only() {
    let bench = Bench::new().await;
    bench.auth.create_account(&jid("romeo@example.org"), "secret").await.unwrap();
    let (answer, attempt) = bench.password("romeo@example.org", "secret").await;
    assert!(matches!(answer, Answer::Accepted));
    attempt.unwrap().succeeded();
    assert!(is_refused(&bench.password("romeo@example.org", "Secret").await, SaslFailure::NotAuthorized));
    assert!(is_refused(&bench.password("romeo@example.com", "secret").await, SaslFailure::NotAuthorized));

    bench.auth.set_password(&jid("romeo@example.org"), "new").await.unwrap();
    assert!(is_refused(&bench.password("romeo@example.org", "secret").await, SaslFailure::NotAuthorized));
    assert!(matches!(bench.password("romeo@example.org", "new").await.0, Answer::Accepted));

    assert!(bench.auth.delete_account(&jid("romeo@example.org")).await.unwrap());
    assert!(is_refused(&bench.password("romeo@example.org", "new").await, SaslFailure::NotAuthorized));
    assert!(!bench.auth.delete_account(&jid("romeo@example.org")).await.unwrap());
    bench.store.close().await;
}

#[tokio::test]
async fn what_is_no_account_or_no_password_is_refused_with_the_reason() {
    let bench = Bench::new().await;
    let romeo = jid("romeo@example.org");
    bench.auth.create_account(&romeo, "secret").await.unwrap();
    let text = |result: Result<(), AuthError>| result.unwrap_err().to_string();
    assert_eq!(text(bench.auth.create_account(&romeo, "secret").await), "the account romeo@example.org exists already");
    assert_eq!(text(bench.auth.create_account(&jid("juliet@example.org"), "").await), "the password is empty");
    assert!(text(bench.auth.create_account(&jid("example.org"), "secret").await).contains("write NAME@DOMAIN"));
    assert_eq!(text(bench.auth.set_password(&jid("juliet@example.org"), "secret").await), "there is no account juliet@example.org");
}

#[tokio::test]
async fn nobody_sees_whether_a_name_has_an_account() {
    let bench = Bench::new().await;
    bench.auth.create_account(&jid("romeo@example.org"), "secret").await.unwrap();
    for hash in ScramHash::ALL {
        let (real, genuine) = bench.keys("romeo@example.org", hash).await;
        assert!(genuine);
        let (invented, genuine) = bench.keys("nobody@example.org", hash).await;
        assert!(!genuine);
        assert_eq!((invented.salt().len(), invented.iterations()), (real.salt().len(), real.iterations()));
        assert_eq!(bench.keys("nobody@example.org", hash).await.0, invented);
        assert_ne!(bench.keys("noone@example.org", hash).await.0.salt(), invented.salt());
    }
    // Stable over restarts, too.
    let again = Store::open(&format!("sqlite:{}/test.db", bench.folder.path().display()), bench.folder.path()).await.unwrap();
    let restarted = Authenticator::new(&again, 2, PerHour { source: 2, all: 100 }).unwrap();
    let question = Question::Keys { account: jid("nobody@example.org"), hash: ScramHash::Sha1 };
    let (Answer::Keys { keys, .. }, Some(attempt)) = restarted.answer(question, SOURCE).await else { panic!() };
    attempt.succeeded();
    assert_eq!(keys, bench.keys("nobody@example.org", ScramHash::Sha1).await.0);
}

#[tokio::test]
async fn an_account_without_keys_for_a_mechanism_looks_like_none() {
    let bench = Bench::new().await;
    let imported = ScramKeys::derive(ScramHash::Sha1, &Password::prepare("secret").unwrap(), vec![1; 12], ITERATIONS);
    let mut set = ScramSet::default();
    set.set(ScramHash::Sha1, imported.clone());
    bench.store.accounts().create(&jid("romeo@example.org"), &set).await.unwrap();
    assert_eq!(bench.keys("romeo@example.org", ScramHash::Sha1).await, (imported, true));
    let (keys, genuine) = bench.keys("romeo@example.org", ScramHash::Sha256).await;
    assert_eq!((keys.salt().len(), genuine), (SALT_BYTES, false));
    assert!(matches!(bench.password("romeo@example.org", "secret").await.0, Answer::Accepted));
}

#[tokio::test]
async fn a_disabled_account_is_told_to_its_owner_only() {
    let bench = Bench::new().await;
    bench.auth.create_account(&jid("romeo@example.org"), "secret").await.unwrap();
    bench.store.accounts().disable(&jid("romeo@example.org"), &Disabled { reason: Some("enough".to_owned()) }).await.unwrap();
    assert!(is_refused(&bench.password("romeo@example.org", "guess").await, SaslFailure::NotAuthorized));
    assert!(is_refused(&bench.password("romeo@example.org", "secret").await, SaslFailure::AccountDisabled(Some("enough".to_owned()))));
}

#[tokio::test]
async fn guesses_are_slowed_down_and_counted_and_beyond_that_refused() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        assert!(is_refused(&bench.password("romeo@example.org", "guess").await, SaslFailure::NotAuthorized));
    }
    let start = Instant::now();
    assert!(is_refused(&bench.password("romeo@example.org", "guess").await, SaslFailure::NotAuthorized));
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    // A caller that gives up leaves its place in the row behind.
    let mut refused = false;
    for _ in 0..6 {
        let outcome = tokio::time::timeout(Duration::from_millis(100), bench.password("romeo@example.org", "guess")).await;
        refused |= outcome.is_ok_and(|answer| is_refused(&answer, SaslFailure::TemporaryAuthFailure));
    }
    assert!(refused);
    let stats = bench.auth.stats();
    assert!(stats.refused > 0 && stats.delayed > 0 && stats.failed >= 6, "{stats:?}");
    assert_eq!(stats.succeeded, 0);
}

#[tokio::test]
async fn xep0175_s3_a_name_is_a_uuid_and_a_source_gets_so_many() {
    let bench = Bench::new().await;
    let name = || bench.auth.answer(Question::Anonymous { domain: "example.org".to_owned() }, SOURCE);
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let (Answer::Named(account), None) = name().await else { panic!("no name") };
        let local = account.local().unwrap().to_owned();
        let shape: Vec<_> = local.split('-').map(str::len).collect();
        assert_eq!((shape, local.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'), "{local}");
        names.insert(local);
    }
    assert_eq!(names.len(), 2);
    assert!(is_refused(&name().await, SaslFailure::TemporaryAuthFailure));
}

#[tokio::test]
async fn a_storage_that_fails_is_our_fault_and_not_the_clients() {
    let bench = Bench::new().await;
    bench.store.close().await;
    for _ in 0..20 {
        assert!(is_refused(&bench.password("romeo@example.org", "secret").await, SaslFailure::TemporaryAuthFailure));
    }
    let stats = bench.auth.stats();
    assert_eq!((stats.unavailable, stats.failed, stats.delayed), (20, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_derivations_at_once_leave_the_reactor_free() {
    let bench = Bench::new().await;
    let derivations: Vec<_> = (0..WAITING_MAX * 2)
        .map(|_| {
            let auth = bench.auth.clone();
            tokio::spawn(async move { auth.derive(Password::prepare("secret").unwrap()).await.is_ok() })
        })
        .collect();
    // Timers still fire on time.
    let mut latest = Duration::ZERO;
    for _ in 0..20 {
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(2)).await;
        latest = latest.max(start.elapsed());
    }
    let mut done = 0;
    for derivation in derivations {
        done += usize::from(derivation.await.unwrap());
    }
    assert!(done > 0);
    println!("{done} derived, the latest timer {latest:?}");
    assert_eq!(bench.auth.inner.waiting.load(Ordering::Relaxed), 0);
}
