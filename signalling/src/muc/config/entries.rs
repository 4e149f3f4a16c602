//! The fields of `muc#roomconfig`: names of the registry (XEP-0045 §16.5.3) and, where it has none, those of ejabberd and Prosody; labels, and where
//! each stands in [`RoomConfig`].

use std::collections::BTreeSet;

use crate::forms::{Field, FieldType, Shown};
use crate::jid::BareJid;
use crate::muc::config::{AllowPm, MemberListFor, RoomConfig, VisitorsPm, Whois};
use crate::muc::model::Role;
use crate::stanza::error::StanzaError;

/// Bytes of one text.
const TEXT_BYTES_MAX: usize = 4096;
/// Bytes of a name, a password, a URI.
const NAME_BYTES_MAX: usize = 1023;
/// Bytes of a language tag: RFC 5646 §4.4.1 wants 35.
const LANG_BYTES_MAX: usize = 64;
/// Addresses to write to.
const CONTACTS_MAX: usize = 16;

/// A field of the form.
pub(super) struct Entry {
    /// How the form that is given out calls it.
    pub var: &'static str,
    /// Other names under which it is taken.
    pub aliases: &'static [&'static str],
    pub type_: FieldType,
    pub shown: Shown<'static>,
    pub get: fn(&RoomConfig) -> Vec<String>,
    pub set: fn(&mut RoomConfig, &Field) -> Result<(), StanzaError>,
}

impl Entry {
    /// Whether a field of that name means this one.
    pub fn is(&self, var: &str) -> bool {
        self.var == var || self.aliases.contains(&var)
    }
}

/// `muc#roomconfig_passwordprotectedroom`: together with the secret it makes one value.
pub(super) const PROTECTED: &str = "muc#roomconfig_passwordprotectedroom";
/// `muc#roomconfig_roomsecret`.
pub(super) const SECRET: &str = "muc#roomconfig_roomsecret";
/// `muc#roomconfig_maxusers`: what can be chosen of depends on the server.
pub(super) const OCCUPANTS_MAX: &str = "muc#roomconfig_maxusers";
/// `muc#roomconfig_allowinvites`: stored only when an owner has said so.
pub(super) const ALLOW_INVITES: &str = "muc#roomconfig_allowinvites";

pub(super) const fn shown(label: &'static str, options: &'static [(&'static str, &'static str)]) -> Shown<'static> {
    Shown { label, options }
}

/// Fields of each type, by the field of [`RoomConfig`].
macro_rules! entry {
    ($var:literal $([$($alias:literal),*])? line $field:ident $max:ident $label:literal) => {
        Entry {
            var: $var,
            aliases: &[$($($alias),*)?],
            type_: FieldType::TextSingle,
            shown: shown($label, &[]),
            get: |config| text(&config.$field),
            set: |config, field| {
                config.$field = line(field, $max)?;
                Ok(())
            },
        }
    };
    ($var:literal $([$($alias:literal),*])? number $field:ident $label:literal) => {
        Entry {
            var: $var,
            aliases: &[$($($alias),*)?],
            type_: FieldType::TextSingle,
            shown: shown($label, &[]),
            get: |config| vec![config.$field.to_string()],
            set: |config, field| {
                config.$field = field.single().ok().and_then(|value| value.trim().parse().ok()).ok_or_else(|| field.unacceptable())?;
                Ok(())
            },
        }
    };
    ($var:literal $([$($alias:literal),*])? boolean $field:ident $label:literal) => {
        Entry {
            var: $var,
            aliases: &[$($($alias),*)?],
            type_: FieldType::Boolean,
            shown: shown($label, &[]),
            get: |config| boolean(config.$field),
            set: |config, field| {
                config.$field = field.boolean().map_err(|_| field.unacceptable())?;
                Ok(())
            },
        }
    };
    ($var:literal $([$($alias:literal),*])? $type_:ident $field:ident $label:literal [$(($option:literal, $value:literal)),* $(,)?]) => {
        Entry {
            var: $var,
            aliases: &[$($($alias),*)?],
            type_: FieldType::ListSingle,
            shown: shown($label, &[$(($option, $value)),*]),
            get: |config| vec![config.$field.name().to_owned()],
            set: |config, field| {
                config.$field = field.single().ok().and_then($type_::parse).ok_or_else(|| field.unacceptable())?;
                Ok(())
            },
        }
    };
}

const ROLES: &[(&str, &str)] = &[("Moderator", "moderator"), ("Participant", "participant"), ("Visitor", "visitor")];

pub(super) static ENTRIES: &[Entry] = &[
    entry!("muc#roomconfig_roomname" line name NAME_BYTES_MAX "Natural-Language Room Name"),
    Entry {
        var: "muc#roomconfig_roomdesc",
        aliases: &[],
        type_: FieldType::TextSingle,
        shown: shown("Short Description of Room", &[]),
        get: |config| text(&config.description),
        set: |config, field| {
            config.description = field.text(TEXT_BYTES_MAX)?;
            Ok(())
        },
    },
    Entry {
        var: "muc#roomconfig_lang",
        aliases: &[],
        type_: FieldType::TextSingle,
        shown: shown("Natural Language for Room Discussions", &[]),
        get: |config| text(&config.lang),
        set: |config, field| {
            let lang = field.text(LANG_BYTES_MAX)?;
            if !lang.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(field.unacceptable());
            }
            config.lang = lang;
            Ok(())
        },
    },
    entry!("muc#roomconfig_pubsub" line pubsub NAME_BYTES_MAX "XMPP URI of Associated Publish-Subscribe Node"),
    Entry {
        var: "muc#roominfo_contactjid",
        aliases: &["muc#roomconfig_contactjid"],
        type_: FieldType::JidMulti,
        shown: shown("Contact Addresses (normally, room owner or owners)", &[]),
        get: |config| config.contacts.iter().map(|jid| jid.to_string()).collect(),
        set: |config, field| {
            config.contacts = field.list(CONTACTS_MAX, TEXT_BYTES_MAX, |value| BareJid::parse(value).ok())?;
            Ok(())
        },
    },
    entry!("muc#roomconfig_persistentroom" boolean persistent "Make Room Persistent?"),
    entry!("muc#roomconfig_publicroom" boolean public "Make Room Publicly Searchable?"),
    entry!("public_list" boolean public_occupants "Show Anybody Who Is in the Room, if It Is Public?"),
    Entry {
        var: PROTECTED,
        aliases: &[],
        type_: FieldType::Boolean,
        shown: shown("Password Required for Entry?", &[]),
        get: |config| boolean(config.password.is_some()),
        // With the secret: see `RoomConfig::password_of`.
        set: |_, _| Ok(()),
    },
    Entry {
        var: SECRET,
        aliases: &[],
        type_: FieldType::TextPrivate,
        shown: shown("Password", &[]),
        get: |config| config.password.iter().cloned().collect(),
        set: |config, field| {
            config.password = Some(line(field, NAME_BYTES_MAX)?).filter(|password| !password.is_empty());
            Ok(())
        },
    },
    Entry {
        var: OCCUPANTS_MAX,
        aliases: &[],
        type_: FieldType::ListSingle,
        shown: shown("Maximum Number of Occupants", &[]),
        get: |config| vec![config.occupants_max.map_or_else(|| "none".to_owned(), |max| max.to_string())],
        set: |config, field| {
            config.occupants_max = match field.text(TEXT_BYTES_MAX)?.trim() {
                "" | "none" | "0" => None,
                number => Some(number.parse().map_err(|_| field.unacceptable())?),
            };
            Ok(())
        },
    },
    entry!("muc#roomconfig_whois" Whois whois "Who May Discover Real JIDs?" [("Moderators Only", "moderators"), ("Anyone", "anyone")]),
    entry!("muc#roomconfig_membersonly" boolean members_only "Make Room Members-Only?"),
    Entry {
        var: ALLOW_INVITES,
        aliases: &["{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites"],
        type_: FieldType::Boolean,
        shown: shown("Allow Members to Invite Others?", &[]),
        get: |config| boolean(config.invites_allowed()),
        set: |config, field| {
            config.allow_invites = Some(field.boolean().map_err(|_| field.unacceptable())?);
            Ok(())
        },
    },
    entry!("muc#roomconfig_moderatedroom" boolean moderated "Make Room Moderated?"),
    entry!("members_by_default" ["muc#roomconfig_membersbydefault"] boolean voice_by_default "Give Newcomers Voice Even if the Room Is Moderated?"),
    entry!("muc#roomconfig_changesubject" boolean change_subject "Allow Occupants to Change Subject?"),
    Entry {
        var: "muc#roomconfig_allowpm",
        aliases: &["allow_private_messages"],
        type_: FieldType::ListSingle,
        shown: shown(
            "Who Can Send Private Messages?",
            &[("Anyone", "anyone"), ("Anyone with Voice", "participants"), ("Moderators Only", "moderators"), ("Nobody", "none")],
        ),
        get: |config| vec![config.allow_pm.name().to_owned()],
        set: |config, field| {
            config.allow_pm = match (field.single().ok().and_then(AllowPm::parse), field.boolean()) {
                (Some(whose), _) => whose,
                // ejabberd's older field is true or false.
                (None, Ok(true)) => AllowPm::Anyone,
                (None, Ok(false)) => AllowPm::None,
                (None, Err(_)) => return Err(field.unacceptable()),
            };
            Ok(())
        },
    },
    entry!("allow_private_messages_from_visitors" VisitorsPm visitors_pm "Allow Visitors to Send Private Messages to" [
        ("Anyone", "anyone"),
        ("Moderators Only", "moderators"),
        ("Nobody", "nobody"),
    ]),
    entry!("allow_query_users" boolean allow_queries "Allow Occupants to Query Other Occupants?"),
    entry!("allow_voice_requests" ["muc#roomconfig_allowvoicerequests"] boolean allow_voice_requests "Allow Visitors to Request Voice?"),
    entry!("voice_request_min_interval" ["muc#roomconfig_voicerequestmininterval"] number voice_request_interval_s "Seconds Between Two Voice Requests of a Visitor"),
    entry!("allow_change_nick" ["muc#roomconfig_changenick", "x-muc#roomconfig_canchangenick"] boolean allow_nick_change "Allow Occupants to Change Nickname?"),
    entry!("allow_visitor_nickchange" ["muc#roomconfig_allowvisitornickchange"] boolean allow_visitor_nick_change "Allow Visitors to Change Nickname?"),
    entry!("allow_visitor_status" ["muc#roomconfig_allowvisitorstatus"] boolean allow_visitor_status "Show What Visitors Say in Their Presence?"),
    entry!("allow_user_registration" ["muc#roomconfig_registration", "x-muc#roomconfig_registration"] boolean allow_registration "Allow Users to Register With the Room?"),
    Entry {
        var: "muc#roomconfig_presencebroadcast",
        aliases: &[],
        type_: FieldType::ListMulti,
        shown: shown("Roles for which Presence is Broadcasted", ROLES),
        // The most powerful first, as in the examples.
        get: |config| config.broadcast.iter().rev().map(|role| role.name().to_owned()).collect(),
        set: |config, field| {
            let roles = field.list(Role::ALL.len(), TEXT_BYTES_MAX, Role::parse)?;
            config.broadcast = roles.into_iter().filter(|role| *role != Role::None).collect();
            Ok(())
        },
    },
    Entry {
        var: "muc#roomconfig_getmemberlist",
        aliases: &[],
        type_: FieldType::ListMulti,
        shown: shown("Roles and Affiliations that May Retrieve Member List", ROLES),
        get: |config| config.member_list_for.iter().map(|whose| whose.name().to_owned()).collect(),
        set: |config, field| {
            config.member_list_for = member_list_for(field)?;
            Ok(())
        },
    },
    entry!("enable_hats" ["muc#roomconfig_enablehats"] boolean hats "Enable Hats?"),
    entry!("muc#roomconfig_affiliationnotify" boolean tell_absent "Tell Users Who Are Not There of Another Affiliation?"),
    entry!("muc#roomconfig_enablelogging" ["muc#roomconfig_enablearchiving", "mam", "muc#roomconfig_mam"] boolean archived "Keep an Archive of Room Conversations?"),
    entry!("muc#maxhistoryfetch" ["muc#roomconfig_historylength"] number history "Maximum Number of History Messages Returned by Room"),
    entry!("muc#roomconfig_defaulthistorymessages" number history_default "Number of History Messages Returned to Those Who Want No Certain Number"),
];

fn text(value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { vec![value.to_owned()] }
}

fn boolean(value: bool) -> Vec<String> {
    vec![if value { "1" } else { "0" }.to_owned()]
}

/// One line of text.
fn line(field: &Field, bytes_max: usize) -> Result<String, StanzaError> {
    let text = field.text(bytes_max)?;
    if text.contains(char::is_control) { Err(field.unacceptable()) } else { Ok(text) }
}

/// Roles; admins and owners may always, and affiliations say no more than that.
fn member_list_for(field: &Field) -> Result<BTreeSet<MemberListFor>, StanzaError> {
    let of = |value: &str| match value {
        "owner" | "admin" | "none" => Some(None),
        // A member has at least voice.
        "member" => Some(Some(MemberListFor::Participant)),
        role => MemberListFor::parse(role).map(Some),
    };
    Ok(field.list(8, TEXT_BYTES_MAX, of)?.into_iter().flatten().collect())
}
