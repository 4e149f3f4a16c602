//! What a room consists of: XEP-0045 §4 and §5. Plain values.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

pub use super::affiliations::Affiliations;
use super::card::Card;
use super::config::RoomConfig;
use crate::jid::{BareJid, FullJid, Jid};
use crate::named::named;
use crate::stanza::Stanza;
use crate::store::ArchiveId;

named! {
    /// §5.2: what somebody is to a room, whether there or not. The order is that of power, the least first.
    Affiliation {
        /// Banned.
        Outcast "outcast",
        /// No affiliation.
        None "none",
        /// On the member list.
        Member "member",
        /// Bans, grants membership and moderator status.
        Admin "admin",
        /// Configures and destroys the room.
        Owner "owner",
    }
}

named! {
    /// §5.1: what an occupant may do as long as it is in the room. The order is that of power, the least first.
    Role {
        /// Not in the room.
        None "none",
        /// Listens.
        Visitor "visitor",
        /// Speaks.
        Participant "participant",
        /// Kicks, and gives and takes voice.
        Moderator "moderator",
    }
}

/// A room: what is stored of it, who is there, and what was said last.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    /// What the store has.
    pub lasting: Lasting,
    /// Who is there.
    pub occupants: Occupants,
    /// What newcomers may be shown (§7.2.13).
    pub history: History,
    /// The highest number in the archive.
    pub last_id: Option<ArchiveId>,
    /// When a request for voice of an account was last passed on (§7.13), in the last interval.
    pub voice_asked: BTreeMap<BareJid, SystemTime>,
}

/// What the store keeps of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lasting {
    /// Its address.
    pub jid: BareJid,
    /// Who created it: the room counts for that account.
    pub creator: BareJid,
    /// When.
    pub created_at: SystemTime,
    /// §10.1.1: nobody enters until its owner has configured it.
    pub locked: bool,
    /// §10.2.
    pub config: RoomConfig,
    /// §5.2, without those who have none and no nickname: people by their bare JIDs, banned domains by theirs.
    pub affiliations: Affiliations,
    /// §7.10: who has asked to be registered, and waits for an admin.
    pub requests: BTreeMap<BareJid, String>,
    /// §8.1.
    pub subject: Option<Subject>,
    /// XEP-0054.
    pub vcard: Option<Card>,
    /// XEP-0317.
    pub hats: Arc<Hats>,
    /// Makes the identifiers of XEP-0421, which are another person's in another room.
    pub secret: Vec<u8>,
}

/// One entry of the affiliations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affiliated {
    /// What; `None` for somebody who has only a nickname.
    pub affiliation: Affiliation,
    /// §7.10: the nickname that is theirs.
    pub nick: Option<String>,
    /// §9.2: why, as the admin has said.
    pub reason: Option<String>,
}

/// §8.1: what the room is about at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who has set it, as an occupant or as the room itself.
    pub from: Jid,
    /// XEP-0421 of whoever has set it.
    pub occupant_id: Option<String>,
    /// When.
    pub at: SystemTime,
    /// The text; empty when it was taken away.
    pub text: String,
}

/// XEP-0317: the hats of a room and who wears them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hats {
    /// By their URIs.
    pub known: BTreeMap<String, Hat>,
    /// URIs of the hats that each wears.
    pub worn: BTreeMap<BareJid, Vec<String>>,
}

/// XEP-0317 §3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hat {
    /// For people.
    pub title: String,
    /// A Hue Angle, as XEP-0392 has it, as it was written.
    pub hue: Option<String>,
    /// `xml:lang` of the title.
    pub lang: Option<String>,
}

/// Who is in a room: each nickname once, each full JID once. Methods stand in `occupants.rs`, which keeps the indexes true. Copies share them until one
/// changes.
#[derive(Debug, Clone, Default)]
pub struct Occupants {
    /// By nickname.
    pub(super) by_nick: Arc<BTreeMap<String, Arc<Occupant>>>,
    /// Nicknames by real full JID.
    pub(super) by_jid: Arc<HashMap<Jid, String>>,
    /// Nicknames by account.
    pub(super) by_account: Arc<HashMap<BareJid, BTreeSet<String>>>,
    /// Bytes of all presence.
    pub(super) presence_bytes: usize,
    /// Addressees as last worked out, until somebody comes, goes or changes role.
    pub(super) lists: super::outcome::Lists,
}

/// Equal when the same people are there; recipients that were worked out do not count.
impl PartialEq for Occupants {
    fn eq(&self, other: &Self) -> bool {
        self.by_nick == other.by_nick && self.by_jid == other.by_jid && self.by_account == other.by_account
    }
}

/// Somebody in a room, with one or more sessions of the same account under one nickname (§7.2.8).
#[derive(Debug, Clone, PartialEq)]
pub struct Occupant {
    /// `room@service/nick`.
    pub jid: FullJid,
    /// Whose sessions these are.
    pub account: BareJid,
    /// §5.2, as of the room's list; kept here so that no message looks it up.
    pub affiliation: Affiliation,
    /// §5.1.
    pub role: Role,
    /// XEP-0421.
    pub id: String,
    /// Never empty. The first one's presence is the occupant's: the one that last said something new.
    pub seats: Vec<Seat>,
    /// An administrator of the server: an owner of every room.
    pub administers: bool,
    /// Who has written privately to it.
    pub(super) correspondents: super::room::Correspondents,
    /// Its presence as others see it.
    pub(super) templates: super::presence::Templates,
}

/// One session in a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Its real full JID.
    pub jid: FullJid,
    /// What it has sent as presence, without addresses and without what only the room may say (`muc#user`, occupant ids, hats).
    pub presence: Stanza,
}

/// The last messages of a room, from the oldest to the newest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// As many as the configuration wants, and as many bytes as a newcomer has room for.
    pub(super) messages: VecDeque<Said>,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

/// A message as newcomers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Its number in the archive, which is also its `stanza-id`; messages that are not archived have one too.
    pub id: ArchiveId,
    /// The stanza from its occupant, without `to`, without a delay.
    pub stanza: Stanza,
    /// Who sent it; shown to those who may see it.
    pub real: Jid,
}
