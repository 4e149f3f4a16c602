//! Log-ins and accounts: what a stream's SASL exchange asks ([`Question`]) is looked up, derived and slowed down here.
//!
//! - Accounts hold SCRAM keys only (RFC 5802 §3); passwords are never stored.
//! - A name without an account gets invented keys, and PLAIN derives with them too: an outsider sees no difference, also not in time. (Where accounts
//!   were imported with another iteration count or salt length, those can be told apart.)
//! - Deriving runs on tokio's blocking threads, few at once, and few wait; beyond that: `temporary-auth-failure`.
//! - Failures are counted and slowed down by [`throttle`].

mod keys;
mod rates;
pub mod throttle;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand;
use tokio::sync::Semaphore;

pub use rates::{PerHour, Rates};

pub use keys::{ITERATIONS, Inventor, PASSWORD_BYTES_MAX, Password, PasswordError, SALT_BYTES, ScramHash, ScramKeys, ScramSet};

use crate::jid::BareJid;
use crate::random;
use crate::store::{Accounts, Disabled, Store, StoreError};
use crate::stream::sasl::{Answer, Question, SaslFailure};
use throttle::{Throttle, Ticket};

/// Derivations that may wait for their turn.
const WAITING_MAX: usize = 256;
/// How long one may wait.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The password is not acceptable.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The address has no localpart, so it is no account's.
    #[error("{0} is not an account's address: write NAME@DOMAIN")]
    NoAccountAddress(BareJid),
    /// Too many derivations wait.
    #[error("the server is too busy to derive keys now, try again")]
    Busy,
    /// The storage's; among them [`StoreError::AccountExists`] and [`StoreError::NoSuchAccount`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Counted since the start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuthStats {
    /// Log-ins that succeeded.
    pub succeeded: u64,
    /// Log-ins that failed or were given up.
    pub failed: u64,
    /// Attempts made to wait.
    pub delayed: u64,
    /// Attempts refused because too many of the same account and source waited.
    pub refused: u64,
    /// Attempts and changes turned away because the server was busy or the storage failed.
    pub unavailable: u64,
}

#[derive(Default)]
struct Counters {
    succeeded: AtomicU64,
    failed: AtomicU64,
    delayed: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

/// The service. A clone is another handle on the same one.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    accounts: Accounts,
    inventor: Inventor,
    throttle: Mutex<Throttle>,
    /// Log-ins without an account.
    anonymous: Mutex<Rates>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    counters: Counters,
}

/// An attempt to log in that is under way: [`Attempt::succeeded`] says that it worked; dropped, it has failed.
#[must_use = "dropping an attempt counts it as failed"]
pub struct Attempt {
    inner: Arc<Inner>,
    ticket: Option<Ticket>,
}

impl Attempt {
    /// The client has proved who it is.
    pub fn succeeded(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.counters.succeeded.fetch_add(1, Ordering::Relaxed);
            self.inner.throttle().succeeded(ticket, Instant::now());
        }
    }

    /// The attempt came to nothing for a reason of ours.
    fn withdraw(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.counters.unavailable.fetch_add(1, Ordering::Relaxed);
            self.inner.throttle().withdrawn(ticket, Instant::now());
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.counters.failed.fetch_add(1, Ordering::Relaxed);
            self.inner.throttle().failed(ticket, Instant::now());
        }
    }
}

impl Authenticator {
    /// The service for the accounts of `store`, with at most `concurrency` keys derived at once and so many anonymous log-ins. Reads its secret
    /// from the data directory.
    ///
    /// # Errors
    /// The secrets file cannot be read or written.
    pub fn new(store: &Store, concurrency: usize, anonymous: PerHour) -> Result<Self, StoreError> {
        let secret = store.secrets().get_or_create("auth", 32)?;
        Ok(Self {
            inner: Arc::new(Inner {
                accounts: store.accounts(),
                inventor: Inventor::new(&secret),
                throttle: Mutex::new(Throttle::new()),
                anonymous: Mutex::new(Rates::new(anonymous)),
                permits: Arc::new(Semaphore::new(concurrency.max(1))),
                waiting: AtomicUsize::new(0),
                counters: Counters::default(),
            }),
        })
    }

    /// Answers a stream's question, after the wait that earlier failures of this account and source have earned (10 s at most).
    ///
    /// The shell keeps the attempt until the exchange ends, and then calls [`Attempt::succeeded`] or drops it. There is none when the answer is a refusal.
    pub async fn answer(&self, question: Question, source: IpAddr) -> (Answer, Option<Attempt>) {
        let account = match &question {
            Question::Keys { account, .. } | Question::Password { account, .. } => account.clone(),
            Question::Anonymous { domain } => return (self.name(domain, source), None),
        };
        let Some(attempt) = self.admit(&account, source).await else {
            return (Answer::Refused(SaslFailure::TemporaryAuthFailure), None);
        };
        let answer = match question {
            Question::Keys { hash, .. } => self.keys(&account, hash).await,
            Question::Password { password, .. } => self.verify(&account, password).await,
            Question::Anonymous { .. } => return (Answer::Refused(SaslFailure::TemporaryAuthFailure), None), // answered above
        };
        match answer {
            Ok(answer @ Answer::Refused(_)) => (answer, None),
            Ok(answer) => (answer, Some(attempt)),
            Err(error) => {
                tracing::error!(%account, %error, "a log-in cannot be checked");
                attempt.withdraw();
                (Answer::Refused(SaslFailure::TemporaryAuthFailure), None)
            }
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn create_account(&self, account: &BareJid, password: &str) -> Result<(), AuthError> {
        if account.local().is_none() {
            return Err(AuthError::NoAccountAddress(account.clone()));
        }
        self.register(account, Password::prepare(password)?).await
    }

    /// The same with a password that is prepared already.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn register(&self, account: &BareJid, password: Password) -> Result<(), AuthError> {
        let keys = self.derive(password).await?;
        Ok(self.inner.accounts.create(account, &keys).await?)
    }

    /// Whether this is the password of an account that may log in. For somebody who has logged in already: no throttle.
    ///
    /// # Errors
    /// [`AuthError::Busy`], or the storage's.
    pub async fn is_password(&self, account: &BareJid, password: Password) -> Result<bool, AuthError> {
        Ok(matches!(self.verify(account, password).await?, Answer::Accepted))
    }

    /// Changes an account's password. Streams that are open stay so.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn set_password(&self, account: &BareJid, password: &str) -> Result<(), AuthError> {
        let keys = self.derive(Password::prepare(password)?).await?;
        Ok(self.inner.accounts.set_keys(account, &keys).await?)
    }

    /// The same if the password is still that of `since`; when the new one was set, or `None` if another change came first.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn replace_password(&self, account: &BareJid, password: &str, since: SystemTime) -> Result<Option<SystemTime>, AuthError> {
        let keys = self.derive(Password::prepare(password)?).await?;
        Ok(self.inner.accounts.set_keys_after(account, &keys, since).await?)
    }

    /// Removes an account with all its data; whether it was there. Its streams are the caller's to end.
    ///
    /// # Errors
    /// The storage's.
    pub async fn delete_account(&self, account: &BareJid) -> Result<bool, AuthError> {
        Ok(self.inner.accounts.delete(account).await?)
    }

    /// Makes the keys of a password, with random salts, on a blocking thread.
    ///
    /// # Errors
    /// [`AuthError::Busy`].
    pub async fn derive(&self, password: Password) -> Result<ScramSet, AuthError> {
        let mut random = [0; 2 * SALT_BYTES];
        rand::fill(&mut random).expect("the system's random generator works");
        self.blocking(move || ScramSet::derive(&password, &random)).await
    }

    /// What was counted since the start.
    #[must_use]
    pub fn stats(&self) -> AuthStats {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AuthStats {
            succeeded: read(&counters.succeeded),
            failed: read(&counters.failed),
            delayed: read(&counters.delayed),
            refused: read(&counters.refused),
            unavailable: read(&counters.unavailable),
        }
    }

    async fn admit(&self, account: &BareJid, source: IpAddr) -> Option<Attempt> {
        let admitted = self.inner.throttle().admit(account.as_str(), source, Instant::now());
        let Ok((ticket, wait)) = admitted else {
            self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%account, %source, "too many log-ins wait");
            return None;
        };
        let attempt = Attempt { inner: Arc::clone(&self.inner), ticket: Some(ticket) };
        if !wait.is_zero() {
            self.inner.counters.delayed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%account, %source, wait_ms = wait.as_millis(), "a log-in waits");
            tokio::time::sleep(wait).await;
        }
        Some(attempt)
    }

    async fn keys(&self, account: &BareJid, hash: ScramHash) -> Result<Answer, AuthError> {
        let (keys, genuine, disabled) = self.find(account, &[hash]).await?;
        Ok(Answer::Keys { keys: keys.1, genuine, disabled })
    }

    async fn verify(&self, account: &BareJid, password: Password) -> Result<Answer, AuthError> {
        let ((hash, keys), genuine, disabled) = self.find(account, &ScramHash::ALL).await?;
        let right = self.blocking(move || keys.verify(hash, &password)).await?;
        Ok(match (right && genuine, disabled) {
            (true, None) => Answer::Accepted,
            (true, Some(disabled)) => Answer::Refused(SaslFailure::AccountDisabled(disabled.reason)),
            (false, _) => Answer::Refused(SaslFailure::NotAuthorized),
        })
    }

    /// XEP-0175 §3: a UUID for its localpart.
    fn name(&self, domain: &str, source: IpAddr) -> Answer {
        let allowed = self.inner.anonymous.lock().unwrap_or_else(PoisonError::into_inner).take(source, Instant::now());
        let named = allowed.then(|| BareJid::new(&random::uuid(), domain).ok()).flatten();
        match named {
            Some(account) => {
                self.inner.counters.succeeded.fetch_add(1, Ordering::Relaxed);
                Answer::Named(account)
            }
            None => {
                self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
                Answer::Refused(SaslFailure::TemporaryAuthFailure)
            }
        }
    }

    /// The account's keys for the first of these hash functions that it has, else invented ones for the first; whether they are genuine; whether the
    /// account is disabled. The invented ones are always made, so that it takes the same time.
    async fn find(&self, account: &BareJid, hashes: &[ScramHash]) -> Result<Found, StoreError> {
        let first = hashes.first().copied().unwrap_or(ScramHash::Sha256);
        let invented = self.inner.inventor.invent(first, account);
        let Some(credentials) = self.inner.accounts.credentials(account).await? else {
            return Ok(((first, invented), false, None));
        };
        let found = hashes.iter().find_map(|hash| Some((*hash, credentials.keys.get(*hash)?.clone())));
        Ok(match found {
            Some(found) => (found, true, credentials.disabled),
            None => ((first, invented), false, credentials.disabled),
        })
    }

    /// Runs work that takes milliseconds of a processor on a blocking thread.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
        let waiting = Waiting::enter(&self.inner.waiting).ok_or(AuthError::Busy)?;
        let permit = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.inner.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| AuthError::Busy)?.expect("the semaphore is never closed");
        drop(waiting);
        // The permit goes along: work whose caller has gone still takes a processor.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        // It cannot be cancelled, and it does not panic but by a bug.
        done.await.map_err(|_| AuthError::Busy)
    }
}

/// Keys with their hash function, whether they are an account's, and whether that is disabled.
type Found = ((ScramHash, ScramKeys), bool, Option<Disabled>);

impl Inner {
    /// The table is whole after every call, so a panic elsewhere leaves it usable.
    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those that wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
