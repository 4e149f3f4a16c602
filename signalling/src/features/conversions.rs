//! What clients of different ages keep of the same thing is kept the same: avatars (XEP-0398), vCards (XEP-0292) and bookmarks (XEP-0402 §5.3,
//! XEP-0411). Changes come in here, one at a time for an account.
//!
//! A conversion looks at what is there and writes what differs, so two at once, and one that was cut short, come to the same end. It cannot set off
//! another one: only what clients change is told ([`PubSub::follow`], `vcard_changed`, `storage_kept`), and before the client is answered.
//!
//! What was there before, and what a crash has left different, is converted when an account's first session begins: from then on its clients may
//! ask for it, and nobody else's need it earlier. A migration of all accounts would hold up the server's start for those who never come back.

mod avatar;
mod bookmarks;
pub mod vcard4;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, MutexGuard};

use crate::homes::Home;
use crate::iq::{IqTable, To};
use crate::jid::BareJid;
use crate::ns;
use crate::pubsub::{Changed, PubSub};
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::store::StoreError;

use avatar::{Avatars, Cause};
use bookmarks::Bookmarks;
use vcard4::VCards4;

/// Accounts at work at once.
const TURNS: usize = 64;

/// Why something was not converted.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The database's error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node does not take it.
    #[error("a node refuses it: {0}")]
    Refused(StanzaError),
    /// The account keeps more than is read at once.
    #[error("there is too much of it")]
    TooMuch,
}

impl From<StanzaError> for Failed {
    fn from(error: StanzaError) -> Self {
        Self::Refused(error)
    }
}

/// All conversions.
pub struct Conversions {
    router: Router,
    avatars: Avatars,
    vcards: VCards4,
    bookmarks: Bookmarks,
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl std::fmt::Debug for Conversions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversions").finish_non_exhaustive()
    }
}

impl Conversions {
    /// Announces what is converted, and follows the nodes.
    pub fn register(router: &Router, pubsub: &Arc<PubSub>, table: &mut IqTable) -> Arc<Self> {
        for feature in [ns::AVATAR_CONVERSION, ns::BOOKMARKS_COMPAT, ns::BOOKMARKS_COMPAT_PEP, ns::BOOKMARKS_CONVERSION] {
            table.feature(To::Account, feature);
        }
        let conversions = Arc::new(Self {
            router: router.clone(),
            avatars: Avatars::new(router.clone(), pubsub.clone()),
            vcards: VCards4::new(router.clone(), pubsub.clone()),
            bookmarks: Bookmarks::new(router.clone(), pubsub.clone()),
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        });
        for node in [ns::AVATAR_DATA, ns::AVATAR_METADATA, ns::VCARD4_NODE, ns::BOOKMARKS, ns::BOOKMARK_STORAGE] {
            let conversions = conversions.clone();
            let follower = move |changed| -> BoxFuture<'static, ()> {
                let conversions = conversions.clone();
                Box::pin(async move { conversions.node_changed(&changed).await })
            };
            pubsub.follow(node, Arc::new(follower));
        }
        conversions
    }

    /// Before an account's first session: what it has from before is converted. Does nothing when it was done.
    pub async fn settle(&self, home: &Arc<Home>) {
        if !home.with(|account| account.converted.is_settled() || account.anonymous) {
            let turn = self.turn(&home.jid).await;
            self.settled(&turn, home).await;
        }
    }

    /// Waits until no conversion is under way for the account. Who changes what may be converted has it before it stores, so that nothing is converted
    /// that is not there any more; a turn of the account's home comes after it.
    pub async fn turn(&self, account: &BareJid) -> Turn<'_> {
        Turn { _guard: self.turns[self.hasher.hash_one(account) as usize % TURNS].lock().await }
    }

    /// A client has stored a vCard; `photo` is the hash of the photo before, where it has another one now.
    pub async fn vcard_changed(&self, turn: &Turn<'_>, home: &Arc<Home>, photo: Option<Option<&str>>) {
        let converted = self.settled(turn, home).await;
        if converted.vcard == State::Done {
            note(&home.jid, "a vCard", self.vcards.to_node(home).await);
        }
        if let Some(before) = photo.filter(|_| converted.avatar == State::Done) {
            note(&home.jid, "the photo of a vCard", self.avatars.to_nodes(home, before).await);
        }
    }

    /// A client has stored bookmarks in private XML.
    pub async fn storage_kept(&self, turn: &Turn<'_>, home: &Arc<Home>) {
        if self.settled(turn, home).await.bookmarks == State::Done {
            note(&home.jid, "bookmarks of private XML", self.bookmarks.storage_kept(&home.jid).await);
        }
    }

    async fn node_changed(&self, changed: &Changed) {
        let account = &changed.account;
        let home = match self.router.home(account).await {
            Ok(Some(home)) => home,
            Ok(None) => return,
            Err(error) => return tracing::error!(%account, %error, "cannot convert what an account keeps"),
        };
        let turn = self.turn(account).await;
        let converted = self.settled(&turn, &home).await;
        match changed.node.as_str() {
            ns::AVATAR_DATA | ns::AVATAR_METADATA if converted.avatar != State::Done => None,
            ns::AVATAR_DATA => {
                let cause = if changed.configured { Cause::DataConfigured } else { Cause::Data };
                note(account, "an avatar", self.avatars.to_vcard(&home, cause).await)
            }
            ns::AVATAR_METADATA => note(account, "an avatar", self.avatars.to_vcard(&home, Cause::Metadata).await),
            ns::VCARD4_NODE if converted.vcard == State::Done => {
                note(account, "a vCard", self.vcards.to_temp(&home, changed.configured).await)
            }
            ns::BOOKMARKS if converted.bookmarks == State::Done => note(account, "bookmarks", self.bookmarks.items_changed(account).await),
            ns::BOOKMARK_STORAGE if converted.bookmarks == State::Done => {
                note(account, "bookmarks of XEP-0048", self.bookmarks.storage_published(account).await)
            }
            _ => None,
        };
    }

    /// What may be converted. Where only the older format is there and could not be converted, nothing may be put in its place.
    async fn settled(&self, _: &Turn<'_>, home: &Arc<Home>) -> Converted {
        let mut converted = home.with(|account| account.converted);
        if converted.is_settled() {
            return converted;
        }
        let account = &home.jid;
        let nodes = [ns::AVATAR_METADATA, ns::VCARD4_NODE, ns::BOOKMARKS, ns::BOOKMARK_STORAGE];
        let last = self.router.store().pubsub().last_ids(account, nodes).await;
        let Some(last) = note(account, "what an account keeps", last.map_err(Failed::from)) else { return converted };
        if converted.avatar == State::Pending {
            let metadata = last.get(ns::AVATAR_METADATA).and_then(Option::as_deref);
            // The next avatar takes the place of this one, whatever became of it.
            converted.avatar = settle(account, "an avatar", self.avatars.settle(home, metadata).await, State::Done);
        }
        if converted.vcard == State::Pending {
            let has_node = last.contains_key(ns::VCARD4_NODE);
            converted.vcard = settle(account, "a vCard", self.vcards.settle(home, has_node).await, State::Refused);
        }
        if converted.bookmarks == State::Pending {
            let (has_items, has_storage) = (last.contains_key(ns::BOOKMARKS), last.contains_key(ns::BOOKMARK_STORAGE));
            let done = self.bookmarks.settle(account, has_items, has_storage).await;
            converted.bookmarks = settle(account, "bookmarks", done, State::Refused);
        }
        home.with(|account| account.converted = converted);
        converted
    }
}

/// What has become of something that an account has from before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Not looked at yet, or the database has failed.
    #[default]
    Pending,
    /// It is the same in all formats.
    Done,
    /// Another format does not take it: both stay as they are, until the account is loaded again.
    Refused,
}

/// Which data of an account is the same in all formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Converted {
    /// Nodes of XEP-0084 and the photo of the vCard.
    pub avatar: State,
    /// vCard4 and vcard-temp.
    pub vcard: State,
    /// Those of XEP-0402, XEP-0048 and private XML.
    pub bookmarks: State,
}

impl Converted {
    fn is_settled(self) -> bool {
        [self.avatar, self.vcard, self.bookmarks].iter().all(|state| *state != State::Pending)
    }
}

/// `refused`: what it is if another format does not take it.
fn settle(account: &BareJid, what: &str, done: Result<(), Failed>, refused: State) -> State {
    let pending = matches!(done, Err(Failed::Store(_)));
    match note(account, what, done) {
        Some(()) => State::Done,
        None if pending => State::Pending,
        None => refused,
    }
}

/// A right to store what may have to be converted.
#[derive(Debug)]
pub struct Turn<'c> {
    _guard: MutexGuard<'c, ()>,
}

/// Logs why something was not converted: what a node refuses is its owner's affair, the rest the operator's.
fn note<T>(account: &BareJid, what: &str, done: Result<T, Failed>) -> Option<T> {
    match done {
        Ok(done) => return Some(done),
        Err(error @ Failed::Store(_)) => tracing::error!(%account, %error, "cannot convert {what}"),
        Err(error) => tracing::info!(%account, %error, "cannot convert {what}"),
    }
    None
}
