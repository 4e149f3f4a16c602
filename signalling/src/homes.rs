//! The homes of accounts: each bare JID has one, which alone holds the account's state in memory.
//!
//! Homes with sessions stay; the others are kept while there is room, least recently used first out.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::account::Account;
use crate::jid::BareJid;
use crate::store::{Store, StoreError};

const SHARDS: usize = 64;

/// One account's state and the turn-taking of those who change what is stored of it.
#[derive(Debug)]
pub struct Home {
    /// The account's bare JID.
    pub jid: BareJid,
    account: OnceCell<Mutex<Account>>,
    turn: tokio::sync::Mutex<()>,
    presence_turn: tokio::sync::Mutex<()>,
    /// It is no more the account's one home, or may be about to be that no more.
    gone: AtomicBool,
}

/// A home to come back to without looking for it. Of one that is gone it keeps the memory, some hundred bytes, and nothing that this held.
#[derive(Debug, Clone, Default)]
pub struct Remembered(Weak<Home>);

impl Home {
    /// Reads or changes the account in memory, for one pure call.
    pub fn with<T>(&self, call: impl FnOnce(&mut Account) -> T) -> T {
        let account = self.account.get().expect("a home is handed out only once its account is loaded");
        // A panic ends one connection: the account goes on with what the call left, which is a plain value.
        call(&mut account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until no other broadcast of this account's presence is under way, so that everyone sees them in one order. Whoever holds it
    /// sends presence only, which never waits for another turn of this home.
    pub async fn presence_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.presence_turn.lock().await
    }

    /// Waits until no other change to the stored data of this account is under way. Changes store first, then alter memory.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Remembered {
    /// The home, if it still is the account's; it stays so while this is held, unless the account is removed.
    pub fn home(&self) -> Option<Arc<Home>> {
        let home = self.0.upgrade()?;
        // Either this sees the mark or whoever has set it sees this reference: see `Home::try_let_go`.
        fence(Ordering::SeqCst);
        (!home.gone.load(Ordering::Relaxed)).then_some(home)
    }

    /// There was one.
    pub fn was_somewhere(&self) -> bool {
        !self.0.ptr_eq(&Weak::new())
    }

    /// Where it lies in memory.
    pub fn place(&self) -> *const Home {
        self.0.as_ptr()
    }
}

impl From<&Arc<Home>> for Remembered {
    fn from(home: &Arc<Home>) -> Self {
        Self(Arc::downgrade(home))
    }
}

/// All homes of this node.
pub struct Homes {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    store: Store,
    /// How many accounts one shard keeps before it lets idle ones go.
    idle_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    homes: HashMap<BareJid, Entry>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    home: Arc<Home>,
    used: u64,
}

impl Homes {
    /// No homes yet; about `accounts_cached` accounts without sessions are kept in memory.
    pub fn new(store: Store, accounts_cached: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), store, idle_max: accounts_cached.div_ceil(SHARDS).max(1) }
    }

    /// The home of an account, loaded if need be; `None` if there is no such account.
    ///
    /// # Errors
    /// What the database says when the account cannot be loaded.
    pub async fn get(&self, jid: &BareJid) -> Result<Option<Arc<Home>>, StoreError> {
        let home = self.entry(jid);
        if home.account.initialized() {
            return Ok(Some(home));
        }
        Box::pin(self.load(home, jid)).await
    }

    async fn load(&self, home: Arc<Home>, jid: &BareJid) -> Result<Option<Arc<Home>>, StoreError> {
        let loaded = home
            .account
            .get_or_try_init(|| async {
                match Account::load(&self.store, jid).await {
                    Ok(Some(account)) => Ok(Mutex::new(account)),
                    Ok(None) => Err(None),
                    Err(error) => Err(Some(error)),
                }
            })
            .await
            .map(|_| ());
        match loaded {
            Ok(()) => Ok(Some(home)),
            Err(reason) => {
                drop(home);
                self.forget_unloaded(jid);
                reason.map_or(Ok(None), Err)
            }
        }
    }

    /// The home of an account if it is in memory.
    pub fn peek(&self, jid: &BareJid) -> Option<Arc<Home>> {
        self.peek_at(jid.as_str())
    }

    /// The same by the text of a bare JID, so that the home of a full one is found without making another.
    pub fn peek_at(&self, jid: &str) -> Option<Arc<Home>> {
        let shard = self.shard(jid);
        shard.homes.get(jid).map(|entry| &entry.home).filter(|home| home.account.initialized()).cloned()
    }

    /// All homes that are in memory, as of now.
    pub fn in_memory(&self) -> Vec<Arc<Home>> {
        let mut homes = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            homes.extend(shard.homes.values().map(|entry| &entry.home).filter(|home| home.account.initialized()).cloned());
        }
        homes
    }

    /// Shows every account in memory, one at a time.
    pub fn each(&self, mut show: impl FnMut(&Account)) {
        for shard in &self.shards {
            let homes: Vec<_> = {
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard.homes.values().map(|entry| entry.home.clone()).filter(|home| home.account.initialized()).collect()
            };
            homes.iter().for_each(|home| home.with(|account| show(account)));
        }
    }

    /// Drops the state of an account that was deleted.
    pub fn forget(&self, jid: &BareJid) {
        if let Some(Entry { home, .. }) = self.shard(jid.as_str()).homes.remove(jid) {
            home.gone.store(true, Ordering::Relaxed);
        }
    }

    fn entry(&self, jid: &BareJid) -> Arc<Home> {
        let mut shard = self.shard(jid.as_str());
        shard.clock += 1;
        let used = shard.clock;
        if let Some(entry) = shard.homes.get_mut(jid) {
            entry.used = used;
            return entry.home.clone();
        }
        if shard.homes.len() >= self.idle_max {
            shard.let_go_of_idle(self.idle_max / 2);
        }
        let home = Arc::new(Home::new(jid.clone()));
        shard.homes.insert(jid.clone(), Entry { home: home.clone(), used });
        home
    }

    fn forget_unloaded(&self, jid: &BareJid) {
        let mut shard = self.shard(jid.as_str());
        if shard.homes.get(jid).is_some_and(|entry| Arc::strong_count(&entry.home) == 1 && !entry.home.account.initialized()) {
            shard.homes.remove(jid);
        }
    }

    /// The hash of an address is that of its text.
    fn shard(&self, jid: &str) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(jid) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// While the shard is locked nobody can take a new reference to a home that only the shard has, except whoever remembers it.
    fn let_go_of_idle(&mut self, keep: usize) {
        let idle = self.homes.iter().filter(|(_, entry)| entry.home.try_let_go());
        let mut idle: Vec<(u64, BareJid)> = idle.map(|(jid, entry)| (entry.used, jid.clone())).collect();
        idle.sort_unstable_by_key(|(used, _)| *used);
        let surplus = idle.len().saturating_sub(keep).max(1);
        for (number, (_, jid)) in idle.into_iter().enumerate() {
            if number < surplus {
                self.homes.remove(&jid);
            } else if let Some(entry) = self.homes.get(&jid) {
                entry.home.gone.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl Home {
    pub(crate) fn new(jid: BareJid) -> Self {
        Self { jid, account: OnceCell::new(), turn: Default::default(), presence_turn: Default::default(), gone: AtomicBool::new(false) }
    }

    /// Marks it as gone if it is idle and nobody has it but who asks. From the mark on nobody comes back to it, so that its account is not locked by
    /// anybody either.
    fn try_let_go(self: &Arc<Self>) -> bool {
        let is_alone = || Arc::strong_count(self) == 1;
        if !is_alone() {
            return false;
        }
        self.gone.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let goes = is_alone() && self.is_idle();
        if !goes {
            self.gone.store(false, Ordering::Relaxed);
        }
        goes
    }

    fn is_idle(&self) -> bool {
        !self.account.initialized() || self.with(|account| account.sessions.is_empty())
    }
}
