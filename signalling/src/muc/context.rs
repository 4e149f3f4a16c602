//! What a room decides by besides itself and the stanza.

use std::time::SystemTime;

use super::history::HistoryMax;
use super::model::Said;

/// The world around a room at one moment.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Now.
    pub now: SystemTime,
    /// Makes identifiers.
    pub fresh_id: &'a dyn Fn() -> String,
    /// Makes a random number.
    pub random: fn() -> u32,
    /// Whoever has sent the stanza is an administrator of the server: an owner of every room.
    pub administers: bool,
    /// The archive takes more messages.
    pub archive_has_room: bool,
    /// The message of the archive that the stanza is about, where the history does not have it: [`Room::refers_to`](super::model::Room::refers_to).
    pub referred: Option<&'a Said>,
    /// Domains of services of rooms here.
    pub services: &'a [String],
    /// Bounds.
    pub limits: &'a Limits,
}

/// Bounds of one room, from `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions in one room.
    pub occupants: usize,
    /// Entries in the affiliations of one room, and requests to be registered.
    pub affiliations: usize,
    /// What newcomers can be shown of what was said.
    pub history: HistoryMax,
    /// Bytes of all presence in one room: a newcomer gets all of it at once.
    pub presence_bytes: usize,
    /// Bytes of a room's vCard.
    pub vcard_bytes: usize,
}
