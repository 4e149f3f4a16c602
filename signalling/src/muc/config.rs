//! XEP-0045 §10.2, §16.5.3: a room's configuration as a value.

mod entries;
mod form;

use std::collections::BTreeSet;

use super::model::{Affiliation, Role};
use crate::jid::BareJid;
use crate::named::named;

pub use form::Submitted;

named! {
    /// `muc#roomconfig_allowpm`: who may send private messages (§7.5).
    AllowPm {
        /// Everyone.
        Anyone "anyone",
        /// Those who have voice.
        Participants "participants",
        /// Moderators.
        Moderators "moderators",
        /// Nobody.
        None "none",
    }
}

named! {
    /// `muc#roomconfig_whois`: who sees real JIDs.
    Whois {
        /// Everyone: the room is non-anonymous.
        Anyone "anyone",
        /// Moderators: it is semi-anonymous.
        Moderators "moderators",
    }
}

named! {
    /// `allow_private_messages_from_visitors`: to whom visitors may send private messages, where they may at all.
    VisitorsPm {
        /// To everyone.
        Anyone "anyone",
        /// To moderators.
        Moderators "moderators",
        /// To nobody.
        Nobody "nobody",
    }
}

/// A room's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    /// `muc#roomconfig_roomname`.
    pub name: String,
    /// `muc#roomconfig_roomdesc`.
    pub description: String,
    /// `muc#roomconfig_lang`.
    pub lang: String,
    /// `muc#roomconfig_pubsub`: URI of a node that belongs to the room.
    pub pubsub: String,
    /// `muc#roominfo_contactjid`: whom to write to about the room, if not its owners.
    pub contacts: Vec<BareJid>,
    /// `muc#roomconfig_persistentroom`: the room stays when the last occupant has left.
    pub persistent: bool,
    /// `muc#roomconfig_publicroom`: the room is listed.
    pub public: bool,
    /// `public_list`: whoever asks is told who is in a public room (§6.5).
    pub public_occupants: bool,
    /// `muc#roomconfig_membersonly`.
    pub members_only: bool,
    /// `muc#roomconfig_moderatedroom`: newcomers without an affiliation are visitors.
    pub moderated: bool,
    /// `members_by_default`: in a moderated room newcomers have voice all the same, until it is taken from them.
    pub voice_by_default: bool,
    /// `muc#roomconfig_roomsecret` where `muc#roomconfig_passwordprotectedroom`.
    pub password: Option<String>,
    /// `muc#roomconfig_whois`.
    pub whois: Whois,
    /// `muc#roomconfig_maxusers`; `None`: as many as the server allows.
    pub occupants_max: Option<u32>,
    /// `muc#roomconfig_changesubject`: participants may, too.
    pub change_subject: bool,
    /// `muc#roomconfig_allowinvites`: everyone who is there may invite, not only admins. Into a members-only room that makes members. `None`: the
    /// owner has not said so; see [`invites_allowed`](Self::invites_allowed).
    pub allow_invites: Option<bool>,
    /// `muc#roomconfig_allowpm`.
    pub allow_pm: AllowPm,
    /// `allow_private_messages_from_visitors`.
    pub visitors_pm: VisitorsPm,
    /// `allow_query_users`: IQs go from one occupant to another.
    pub allow_queries: bool,
    /// `allow_voice_requests` (§7.13).
    pub allow_voice_requests: bool,
    /// `voice_request_min_interval`: seconds between two requests of one occupant.
    pub voice_request_interval_s: u32,
    /// `allow_change_nick` and `muc#roomconfig_changenick`.
    pub allow_nick_change: bool,
    /// `allow_visitor_nickchange`.
    pub allow_visitor_nick_change: bool,
    /// `allow_visitor_status`: what visitors say in their presence is shown.
    pub allow_visitor_status: bool,
    /// `allow_user_registration`: people may register (§7.10).
    pub allow_registration: bool,
    /// `muc#roomconfig_presencebroadcast`: the roles whose presence everyone sees; others are seen by moderators and themselves.
    pub broadcast: BTreeSet<Role>,
    /// `muc#roomconfig_getmemberlist`: affiliations and roles that may read the member list.
    pub member_list_for: BTreeSet<MemberListFor>,
    /// `enable_hats` (XEP-0317): hats are given and shown.
    pub hats: bool,
    /// `muc#roomconfig_affiliationnotify`: somebody who is not there is told of another affiliation (§18.1, rule 2).
    pub tell_absent: bool,
    /// `muc#roomconfig_enablelogging`, `mam`, `muc#roomconfig_enablearchiving`: the archive keeps what is said.
    pub archived: bool,
    /// `muc#maxhistoryfetch`, `muc#roomconfig_historylength`: how many messages newcomers can be shown.
    pub history: u32,
    /// `muc#roomconfig_defaulthistorymessages`: how many are shown to those who do not say how many they want.
    pub history_default: u32,
}

named! {
    /// A value of `muc#roomconfig_getmemberlist`.
    MemberListFor {
        /// By role.
        Moderator "moderator",
        /// By role.
        Participant "participant",
        /// By role.
        Visitor "visitor",
    }
}

impl MemberListFor {
    /// The role that is meant.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Moderator => Role::Moderator,
            Self::Participant => Role::Participant,
            Self::Visitor => Role::Visitor,
        }
    }
}

impl RoomConfig {
    /// What a new room has where its owner does not say otherwise (§10.1.2): public, open, temporary, semi-anonymous.
    #[must_use]
    pub fn of_new_room(archived: bool) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            lang: String::new(),
            pubsub: String::new(),
            contacts: Vec::new(),
            persistent: false,
            public: true,
            public_occupants: false,
            members_only: false,
            moderated: false,
            voice_by_default: false,
            password: None,
            whois: Whois::Moderators,
            occupants_max: None,
            change_subject: false,
            allow_invites: None,
            allow_pm: AllowPm::Anyone,
            visitors_pm: VisitorsPm::Anyone,
            allow_queries: true,
            allow_voice_requests: true,
            voice_request_interval_s: 1_800,
            allow_nick_change: true,
            allow_visitor_nick_change: true,
            allow_visitor_status: true,
            allow_registration: true,
            broadcast: [Role::Moderator, Role::Participant, Role::Visitor].into(),
            member_list_for: [MemberListFor::Moderator, MemberListFor::Participant, MemberListFor::Visitor].into(),
            hats: true,
            tell_absent: true,
            archived,
            history: 20,
            history_default: 20,
        }
    }

    /// Whether everyone who is there may invite, not only admins. Where the owner has not said it: into an open room, and not into a members-only one
    /// (§7.8.2).
    #[must_use]
    pub fn invites_allowed(&self) -> bool {
        self.allow_invites.unwrap_or(!self.members_only)
    }

    /// The role with which somebody enters (§5.1.2).
    #[must_use]
    pub fn role_of(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::Member => Role::Participant,
            Affiliation::None if self.moderated && !self.voice_by_default => Role::Visitor,
            Affiliation::None => Role::Participant,
            Affiliation::Outcast => Role::None,
        }
    }
}
