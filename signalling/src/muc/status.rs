//! XEP-0045 §12, §16.6: status codes. Without 102 and 103, as members who are not there are not shown in rooms, and 210, as nicknames are neither given
//! nor changed here.

/// What a room tells by a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Status {
    /// Every occupant sees real JIDs.
    NonAnonymous = 100,
    /// Somebody's affiliation changed while not in the room.
    AffiliationChanged = 101,
    /// The configuration changed, not as to privacy.
    ConfigChanged = 104,
    /// This presence is the recipient's own.
    Own = 110,
    /// What is said is kept.
    Logged = 170,
    /// It is not any more.
    NotLogged = 171,
    /// The room is non-anonymous from now on.
    NowNonAnonymous = 172,
    /// It is semi-anonymous from now on.
    NowSemiAnonymous = 173,
    /// A room was created.
    Created = 201,
    /// Banned.
    Banned = 301,
    /// A new nickname.
    NickChanged = 303,
    /// Kicked.
    Kicked = 307,
    /// Removed, as an affiliation changed.
    AffiliationLost = 321,
    /// Removed, as the room is members-only now.
    MembersOnly = 322,
    /// Removed, as the service shuts down.
    Shutdown = 332,
    /// Removed, as something came back.
    Unreachable = 333,
}

impl Status {
    /// As it is written.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }
}
