//! What happens to an account as a whole: made, given another password, disabled, removed, its sessions ended. One procedure for each, whoever
//! asks: a client (XEP-0077), the operator, or the end of an anonymous session (XEP-0175).
//!
//! What is stored changes first. Then the account's TURN credentials become void, before anything that may wait; then its sessions end; then the
//! credentials are void once more: a session that lived could fetch new ones.
//! Sessions end with `not-authorized` when the credentials they began with are good no more or the account is gone (XEP-0077 §3.2), and with
//! `policy-violation` when the operator wants it so: clients show its text, and know that logging in again is no help.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use campanile_relay::Relay;
use tokio::sync::Notify;

use crate::auth::{AuthError, Authenticator, Password, PerHour, Rates};
use crate::features::extdisco::Extdisco;
use crate::features::presence;
use crate::features::subscription::Change;
use crate::homes::Home;
use crate::jid::{BareJid, FullJid};
use crate::router::Router;
use crate::session::SessionRef;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;
use crate::store::{Disabled, Farewell, StoreError};
use crate::stream::error::{Condition, StreamError};

/// Contacts told before the next ones are looked up.
const FAREWELLS: u32 = 100;
/// Anonymous accounts removed at once at the start.
const LEFT_OVER: u32 = 1000;
/// After a failure of the storage.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A name that is taken costs less of a source's share than an account, but not nothing.
const CONFLICT_RETURNS: f64 = 0.75;

/// The service; made once.
pub struct Administration {
    router: Router,
    authenticator: Authenticator,
    relay: Relay,
    /// Life of TURN credentials.
    credentials: Duration,
    /// Names that no client may register: an administrator's account that is still to be made must not be somebody else's.
    reserved: Vec<BareJid>,
    registrations: Mutex<Rates>,
    farewells: Notify,
    services: OnceLock<Arc<Extdisco>>,
}

impl fmt::Debug for Administration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administration").field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

impl Administration {
    /// The service for the accounts of `router`. `credentials` is the life of TURN credentials, `reserved` are names that no client may register.
    #[must_use]
    pub fn new(
        router: Router,
        authenticator: Authenticator,
        relay: Relay,
        credentials: Duration,
        reserved: Vec<BareJid>,
        registrations: PerHour,
    ) -> Self {
        let registrations = Mutex::new(Rates::new(registrations));
        Self { router, authenticator, relay, credentials, reserved, registrations, farewells: Notify::new(), services: OnceLock::new() }
    }

    /// Hands over who gives TURN credentials to the sessions that stay when the account's became void; it is made later.
    pub fn reissues(&self, services: Arc<Extdisco>) {
        assert!(self.services.set(services).is_ok(), "set once, at start");
    }

    // ---- XEP-0077 §3.1

    /// A newcomer makes an account.
    ///
    /// # Errors
    /// `conflict` for a name that is taken, `resource-constraint` for a source that has made too many or a server that is busy,
    /// `internal-server-error` when it cannot be stored.
    pub async fn register(&self, account: &BareJid, password: Password, source: IpAddr) -> Result<(), StanzaError> {
        let rates = || self.registrations.lock().unwrap_or_else(PoisonError::into_inner);
        if !rates().take(source, Instant::now()) {
            return Err(StanzaError::resource_constraint().with_text("too many accounts were made, try again later"));
        }
        let result = if self.reserved.contains(account) {
            Err(AuthError::Store(StoreError::AccountExists(account.clone())))
        } else {
            self.authenticator.register(account, password).await
        };
        result.map_err(|error| {
            let part = if let AuthError::Store(StoreError::AccountExists(_)) = error { CONFLICT_RETURNS } else { 1.0 };
            rates().give_back(source, part, Instant::now());
            refusal(error)
        })
    }

    // ---- XEP-0077 §3.3

    /// The owner changes the password. The owner's other sessions end: who knows the old password may sit in one of them.
    ///
    /// # Errors
    /// `not-acceptable` for a text that is no password, `not-authorized` when another change came first, `resource-constraint` for a server that
    /// is busy, `internal-server-error` when it cannot be stored.
    pub async fn change_password(&self, session: &SessionRef, password: &str) -> Result<(), StanzaError> {
        let account = &session.home.jid;
        // Keys take their time, in which the session may end because the password has changed: then this one must not take its place. What is
        // read from a session that lives is the time of the password that it began with, see `now_current`.
        let since = session.home.with(|account| account.session(session.id).is_some().then_some(account.password_changed_at));
        let since = since.ok_or_else(overtaken)?;
        let changed_at = self.authenticator.replace_password(account, password, since).await.map_err(refusal)?.ok_or_else(overtaken)?;
        self.relay.revoke(account.as_str());
        let ended = self.router.kick_others(session, password_changed()).await;
        now_current(&session.home, changed_at);
        tracing::info!(%account, sessions_ended = ended, "password changed in the client");
        // The change is made, with what it voids: that this later time cannot be stored was logged, and is no reason to say otherwise.
        self.void_credentials(account).await.unwrap_or_default();
        if let Some(services) = self.services.get() {
            services.reissue(&session.home, SystemTime::now());
        }
        Ok(())
    }

    /// Whether this is the owner's password.
    ///
    /// # Errors
    /// As for [`Administration::change_password`].
    pub async fn is_password(&self, session: &SessionRef, password: &str) -> Result<bool, StanzaError> {
        let Ok(password) = Password::prepare(password) else { return Ok(false) };
        self.authenticator.is_password(&session.home.jid, password).await.map_err(refusal)
    }

    /// The account has another password in the database. Returns how many sessions ended.
    ///
    /// # Errors
    /// The storage's.
    pub async fn password_changed(&self, account: &BareJid) -> Result<usize, StoreError> {
        self.relay.revoke(account.as_str());
        let ended = self.router.kick(account, password_changed()).await;
        if let (Some(home), Some(row)) = (self.router.home_in_memory(account), self.router.store().accounts().get(account).await?) {
            now_current(&home, row.password_changed_at);
        }
        self.void_credentials(account).await.map(|()| ended)
    }

    // ---- Removal: XEP-0077 §3.2

    /// Removes an account with all that it has; whether it was there. `stored` runs once it is out of the database and its sessions still are there.
    ///
    /// # Errors
    /// The storage's; nothing is changed then.
    pub async fn remove(&self, account: &BareJid, stored: impl FnOnce()) -> Result<bool, StoreError> {
        if !self.router.store().accounts().delete(account).await? {
            return Ok(false);
        }
        stored();
        self.removed(account).await?;
        Ok(true)
    }

    /// The account is gone from the database: its sessions and calls end, and its contacts will be told. Returns how many sessions ended.
    ///
    /// # Errors
    /// The storage's.
    pub async fn removed(&self, account: &BareJid) -> Result<usize, StoreError> {
        self.relay.revoke(account.as_str());
        let error = StreamError::new(Condition::NotAuthorized).with_text("the account was removed");
        let ended = self.router.kick(account, error).await;
        self.router.forget(account);
        // Its sessions may have stored something until they ended.
        self.router.store().pubsub().remove_again(account).await?;
        self.router.store().rooms().remove_again(account).await?;
        if let Some(pubsub) = self.router.pubsub() {
            pubsub.forget(account).await;
        }
        if let Some(muc) = self.router.muc() {
            muc.forget(account).await;
        }
        tracing::info!(%account, sessions_ended = ended, "account removed");
        // After the kick, so that contacts see it become unavailable first.
        self.farewells.notify_one();
        self.void_credentials(account).await.map(|()| ended)
    }

    /// The last session of an anonymous account has ended (XEP-0175 §3, items 3 and 4).
    pub async fn anonymous_ended(&self, account: &BareJid) {
        if let Err(error) = self.remove(account, || {}).await {
            tracing::error!(%account, %error, "an anonymous account outlives its session until the next start");
        }
    }

    /// Makes the account of an anonymous session.
    ///
    /// # Errors
    /// `internal-server-error` when it cannot be stored.
    pub async fn open_anonymous(&self, account: &BareJid) -> Result<(), StanzaError> {
        self.router.store().accounts().create_anonymous(account).await.map_err(self.router.internal("make an anonymous account"))
    }

    /// At the start: anonymous accounts that a crash has left.
    ///
    /// # Errors
    /// The storage's.
    pub async fn clear_anonymous(&self) -> Result<(), StoreError> {
        loop {
            let left = self.router.store().accounts().anonymous(LEFT_OVER).await?;
            if left.is_empty() {
                return Ok(());
            }
            for account in left {
                self.remove(&account.jid, || {}).await?;
            }
        }
    }

    /// Tells contacts of removed accounts, as long as the future is polled; first those that are left of an earlier run.
    pub async fn run(&self) {
        loop {
            match self.say_farewells().await {
                Ok(()) => self.farewells.notified().await,
                Err(error) => {
                    tracing::error!(%error, "contacts of a removed account are still to be told");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Tells all contacts of removed accounts that the subscriptions are over (RFC 6121 §3.2 and §3.3), each once: whom a crash keeps from being
    /// told is told at the next start.
    ///
    /// # Errors
    /// The storage's.
    pub async fn say_farewells(&self) -> Result<(), StoreError> {
        loop {
            let page = self.router.store().farewells().page(FAREWELLS).await?;
            if page.is_empty() {
                return Ok(());
            }
            let (due, mut said) = (page.len(), Vec::with_capacity(page.len()));
            for farewell in page {
                if self.say(&farewell).await? {
                    said.push(farewell);
                }
            }
            let failed = said.len() < due;
            self.router.store().farewells().said(said).await?;
            if failed {
                return Err(StoreError::Busy { doing: "tell contacts of a removed account" });
            }
        }
    }

    /// Whether a contact has been told. A local one is told at its home, and not by a stanza that its block list may stop: who takes the name next
    /// must not find the subscription of another.
    async fn say(&self, farewell: &Farewell) -> Result<bool, StoreError> {
        let contact = &farewell.contact;
        if !self.router.is_local(contact.domain()) {
            self.router.route_all(farewell_stanzas(farewell)).await;
            return Ok(true);
        }
        let Some(home) = self.router.home(contact).await? else { return Ok(true) };
        let told = presence::farewell(&self.router, &home, &farewell.account, changes(farewell)).await;
        // Unless the contact has gone too.
        Ok(told.is_ok() || !self.router.store().accounts().exists(contact).await?)
    }

    // ---- The operator

    /// The account is disabled in the database: its sessions end at once. Returns how many.
    ///
    /// # Errors
    /// The storage's.
    pub async fn disabled(&self, account: &BareJid) -> Result<usize, StoreError> {
        self.relay.revoke(account.as_str());
        self.show_disabled(account, true);
        let row = self.router.store().accounts().get(account).await?;
        let text = match row.and_then(|row| row.disabled) {
            Some(Disabled { reason: Some(reason) }) => format!("the account is disabled: {reason}"),
            _ => "the account is disabled".to_owned(),
        };
        let ended = self.router.kick(account, StreamError::new(Condition::PolicyViolation).with_text(text)).await;
        self.void_credentials(account).await.map(|()| ended)
    }

    /// The account is enabled in the database.
    pub fn enabled(&self, account: &BareJid) {
        self.show_disabled(account, false);
    }

    fn show_disabled(&self, account: &BareJid, disabled: bool) {
        if let Some(home) = self.router.home_in_memory(account) {
            home.with(|account| account.disabled = disabled);
        }
    }

    /// Ends sessions of an account that may log in again: all, or the one of this resource. Returns how many.
    pub async fn kick(&self, account: &BareJid, resource: Option<&FullJid>, reason: Option<String>) -> usize {
        let text = reason.map_or_else(|| "ended by the operator".to_owned(), |reason| format!("ended by the operator: {reason}"));
        let error = StreamError::new(Condition::PolicyViolation).with_text(text);
        match resource {
            Some(jid) => usize::from(self.router.kick_session(jid, error).await),
            None => self.router.kick(account, error).await,
        }
    }

    /// The time that was stored with the change is too early: sessions lived a little longer.
    async fn void_credentials(&self, account: &BareJid) -> Result<(), StoreError> {
        self.relay.revoke(account.as_str());
        let stored = self.router.store().revocations().add(account, SystemTime::now(), self.credentials).await;
        stored.inspect_err(|error| tracing::error!(%account, %error, "void TURN credentials may be good again after a restart"))
    }
}

/// The password of `changed_at` is the current one. After the sessions have ended that began with another: none of them may see this time.
fn now_current(home: &Home, changed_at: SystemTime) {
    home.with(|account| account.password_changed_at = account.password_changed_at.max(changed_at));
}

fn overtaken() -> StanzaError {
    StanzaError::not_authorized().with_text("the password was changed meanwhile")
}

fn password_changed() -> StreamError {
    StreamError::new(Condition::NotAuthorized).with_text("the password was changed")
}

fn changes(farewell: &Farewell) -> impl Iterator<Item = Change> + use<> {
    let parts = [(farewell.unsubscribe, Change::Unsubscribe), (farewell.unsubscribed, Change::Unsubscribed)];
    parts.into_iter().filter(|(due, _)| *due).map(|(_, change)| change)
}

fn farewell_stanzas(farewell: &Farewell) -> Vec<Stanza> {
    let stanza = |change: Change| Stanza::presence(change.kind()).with_from(farewell.account.clone()).with_to(farewell.contact.clone());
    changes(farewell).map(stanza).collect()
}

/// What a client is told.
fn refusal(error: AuthError) -> StanzaError {
    match error {
        AuthError::Password(error) => StanzaError::not_acceptable().with_text(error.to_string()),
        AuthError::NoAccountAddress(_) => StanzaError::not_acceptable().with_text(error.to_string()),
        AuthError::Busy => StanzaError::resource_constraint().with_text("the server is busy, try again later"),
        AuthError::Store(StoreError::AccountExists(_)) => StanzaError::conflict().with_text("the name is taken"),
        AuthError::Store(error) => {
            tracing::error!(%error, "an account cannot be made or changed");
            StanzaError::internal_server_error()
        }
    }
}
