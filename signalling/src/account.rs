//! An account in memory: its sessions, roster and requests, and who of its sessions gets a stanza (RFC 6121 §8.5).

pub mod blocklist;
mod messages;
mod visibility;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::features::conversions::Converted;
use crate::features::push::Push;
use crate::jid::{BareJid, Jid};
use crate::router::Limits;
use crate::session::{Session, SessionId};
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};
use crate::store::{RosterItem, RosterVersion, Store, StoreError, SubscriptionRequest};

pub use blocklist::BlockList;
pub use messages::{Lost, Messages, Received};

/// How often an account's password may be changed, or guessed at, by its sessions…
const PASSWORD_REQUESTS_MAX: usize = 10;
/// …in this time.
const PASSWORD_REQUESTS_IN: Duration = Duration::from_secs(3600);

/// All that this node knows of one account while it is in use.
#[derive(Debug)]
pub struct Account {
    /// Its bare JID.
    pub jid: BareJid,
    /// Connected resources, in the order in which they bound.
    pub sessions: Vec<Session>,
    /// RFC 6121 §2: contacts by bare JID.
    pub roster: BTreeMap<BareJid, RosterItem>,
    /// RFC 6121 §2.6: the version of that roster.
    pub roster_version: RosterVersion,
    /// Subscription requests that wait for an answer: who asked, and the stanza as received (RFC 6121 §3.1.3).
    pub requests: BTreeMap<BareJid, Bytes>,
    /// XEP-0175: it goes with its session.
    pub anonymous: bool,
    /// When the password was set that the account's sessions began with: they end with it (XEP-0077 §3.3).
    pub password_changed_at: SystemTime,
    /// RFC 6120 §6.5.2: nobody logs in, and no device is woken.
    pub disabled: bool,
    /// When the password was to be changed, of late.
    password_requests: Vec<Instant>,
    /// What is kept of its messages (XEP-0160, XEP-0313).
    pub messages: Messages,
    /// XEP-0357: whom to wake when no stream is there.
    pub push: Push,
    /// XEP-0191: whom it has blocked; asked by [`Account::blocks`].
    pub blocked: BlockList,
    /// XEP-0060 §9.1.3: resources that have sent their presence to the account and do not see its own; as far as it was in memory.
    pub visitors: BTreeSet<Jid>,
    /// XEP-0153: the hash of the photo in its vCard.
    pub photo_hash: Option<String>,
    /// What it has kept from before is as `features/conversions.rs` wants it.
    pub converted: Converted,
}

/// Whom RFC 6121 §8.5 chooses for a stanza to an existing account.
#[derive(Debug, PartialEq, Eq)]
pub enum Targets {
    /// Deliver to these sessions.
    Sessions(SmallVec<[SessionId; 4]>),
    /// The server answers on behalf of the account.
    Account,
    /// No session takes a message that may be kept until one does (§8.5.2.2.1, "either (a) add the message to offline storage or (b) return a
    /// stanza error").
    Offline,
    /// Silently ignored.
    Nobody,
    /// Returned to the sender.
    Bounce(StanzaError),
}

impl Targets {
    /// Whether the account gets the stanza, now or later.
    pub fn are_somebody(&self) -> bool {
        matches!(self, Self::Sessions(_) | Self::Offline)
    }
}

impl Account {
    /// Reads an account from the database; `None` if it does not exist.
    ///
    /// # Errors
    /// What the database says.
    pub async fn load(store: &Store, jid: &BareJid) -> Result<Option<Self>, StoreError> {
        let Some(row) = store.accounts().get(jid).await? else { return Ok(None) };
        let Some(summary) = store.archive().summary(jid).await? else { return Ok(None) };
        let (rosters, services, blocks, vcards) = (store.rosters(), store.push_services(), store.blocks(), store.vcards());
        let ((roster_version, roster), requests, services, blocked, photo_hash) = tokio::try_join!(
            rosters.load_versioned(jid),
            rosters.requests(jid),
            services.load(jid),
            blocks.load(jid),
            vcards.photo_hash(jid),
        )?;
        let mut account = Self::new(jid.clone(), roster, requests);
        account.anonymous = row.anonymous;
        account.password_changed_at = row.password_changed_at;
        account.disabled = row.disabled.is_some();
        account.messages = Messages::new(summary);
        account.push = Push::new(services);
        account.roster_version = roster_version;
        account.blocked = blocked.into_iter().collect();
        account.photo_hash = photo_hash;
        Ok(Some(account))
    }

    /// An account without sessions.
    pub fn new(jid: BareJid, roster: Vec<RosterItem>, requests: Vec<SubscriptionRequest>) -> Self {
        let roster = roster.into_iter().map(|item| (item.jid.clone(), item)).collect();
        let requests = requests.into_iter().map(|request| (request.from, request.stanza)).collect();
        Self {
            jid,
            sessions: Vec::new(),
            roster,
            roster_version: RosterVersion::default(),
            requests,
            anonymous: false,
            password_changed_at: SystemTime::UNIX_EPOCH,
            disabled: false,
            password_requests: Vec::new(),
            messages: Messages::default(),
            blocked: BlockList::default(),
            push: Push::default(),
            visitors: BTreeSet::new(),
            photo_hash: None,
            converted: Converted::default(),
        }
    }

    /// The session with this id, if it is still bound.
    pub fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    /// The session that has bound this resource.
    pub fn resource(&self, resource: &str) -> Option<&Session> {
        self.sessions.iter().find(|session| session.jid.resource() == Some(resource))
    }

    /// Sessions that are available (RFC 6121 §4.2.1).
    pub fn available(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.is_available())
    }

    /// Whether this contact may see the account's presence (`from` or `both`).
    pub fn shows_presence_to(&self, contact: &Jid) -> bool {
        self.roster.get(&contact.to_bare()).is_some_and(|item| item.subscription.is_from())
    }

    /// XEP-0077 §3.3: whether the password may be changed once more, or guessed at by `old_password`; counted.
    pub fn takes_password_request(&mut self, now: Instant) -> bool {
        self.password_requests.retain(|at| now.saturating_duration_since(*at) < PASSWORD_REQUESTS_IN);
        let taken = self.password_requests.len() < PASSWORD_REQUESTS_MAX;
        self.password_requests.extend(taken.then_some(now));
        taken
    }

    /// Whether the roster may take this item, new or in the place of an older one. What makes it no larger it always takes.
    pub fn roster_has_room(&self, item: &RosterItem, limits: &Limits) -> bool {
        if self.roster.get(&item.jid).is_some_and(|known| wire_bytes(item) <= wire_bytes(known)) {
            return true;
        }
        let others = self.roster.values().filter(|known| known.jid != item.jid);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), other| (count + 1, bytes + wire_bytes(other)));
        count < limits.roster_items && bytes + wire_bytes(item) <= limits.roster_bytes
    }

    /// About how many bytes the roster takes as it is sent.
    pub fn roster_wire_bytes(&self) -> usize {
        self.roster.values().map(wire_bytes).sum()
    }

    /// RFC 6121 §8.5.2 and §8.5.3: who gets a stanza addressed to this account. Subscription stanzas and probes are `Account`'s.
    pub fn targets(&self, stanza: &Stanza) -> Targets {
        let resource = stanza.to().and_then(|to| to.resource());
        match resource.map(|name| self.resource(name)) {
            Some(Some(session)) => self.matching_resource(stanza, session),
            Some(None) => self.missing_resource(stanza),
            None => self.bare(stanza),
        }
    }

    /// §8.5.3.1. An IQ request reaches a resource whose presence the sender does not see, see docs/deviations.md.
    fn matching_resource(&self, stanza: &Stanza, session: &Session) -> Targets {
        match stanza.kind() {
            Kind::Presence(kind) if asks_the_server(kind) => Targets::Account,
            _ => Targets::Sessions(smallvec![session.id]),
        }
    }

    /// §8.5.3.2.
    fn missing_resource(&self, stanza: &Stanza) -> Targets {
        match stanza.kind() {
            Kind::Message(MessageType::Chat) => self.bare(stanza),
            Kind::Message(MessageType::Error) => Targets::Nobody,
            Kind::Message(_) => Targets::Bounce(StanzaError::service_unavailable()),
            Kind::Presence(PresenceType::Subscribe | PresenceType::Probe) => Targets::Account,
            Kind::Presence(_) => Targets::Nobody,
            Kind::Iq(IqType::Get | IqType::Set) => Targets::Bounce(StanzaError::service_unavailable()),
            Kind::Iq(_) => Targets::Nobody,
        }
    }

    /// §8.5.2: of the choices left open, messages go to all resources of non-negative priority.
    fn bare(&self, stanza: &Stanza) -> Targets {
        match stanza.kind() {
            Kind::Message(MessageType::Groupchat) => Targets::Bounce(StanzaError::service_unavailable()),
            Kind::Message(MessageType::Error) => Targets::Nobody,
            Kind::Message(kind) => {
                let sessions: SmallVec<_> = self.sessions.iter().filter(|s| s.takes_bare_messages()).map(|s| s.id).collect();
                match (sessions.is_empty(), kind) {
                    (false, _) => Targets::Sessions(sessions),
                    (true, MessageType::Headline) => Targets::Nobody,
                    (true, _) => Targets::Offline,
                }
            }
            // An error of presence that the account itself sent, such as a subscription request, is for all who may have asked for it.
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable | PresenceType::Error) => {
                Targets::Sessions(self.available().map(|session| session.id).collect())
            }
            Kind::Presence(_) => Targets::Account,
            Kind::Iq(IqType::Get | IqType::Set) => Targets::Account,
            Kind::Iq(_) => Targets::Nobody,
        }
    }
}

/// About what an item takes in the roster that is sent: its texts and the markup around them.
pub fn wire_bytes(item: &RosterItem) -> usize {
    const ITEM: usize = 80;
    const GROUP: usize = 15;
    let groups: usize = item.groups.iter().map(|group| group.len() + GROUP).sum();
    ITEM + item.jid.as_str().len() + item.name.as_deref().map_or(0, str::len) + groups
}

fn asks_the_server(kind: PresenceType) -> bool {
    use PresenceType::{Probe, Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    matches!(kind, Subscribe | Subscribed | Unsubscribe | Unsubscribed | Probe)
}
