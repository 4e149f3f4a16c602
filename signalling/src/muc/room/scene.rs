//! A room with people in it for tests, what they ask of it, and all that comes of it as lines of text.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::jid::{BareJid, FullJid, Jid};
use crate::muc::change::Change;
use crate::muc::config::RoomConfig;
use crate::muc::context::{Context, Limits};
use crate::muc::history::HistoryMax;
use crate::muc::model::{Affiliated, Affiliation, Occupant, Role, Room, Said, Seat};
use crate::muc::outcome::{Effect, Outcome};
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, PresenceType, Stanza};
use crate::xml::Bindings;

pub const ROOM: &str = "coven@chat.shakespeare.lit";
pub const CRONE: &str = "crone1@shakespeare.lit/desktop";
pub const WITCH: &str = "wiccarocks@shakespeare.lit/laptop";
pub const HAG: &str = "hag66@shakespeare.lit/pda";
pub const HECATE: &str = "hecate@shakespeare.lit/broom";

/// What a stanza may be given to.
pub type Handler = fn(&mut Room, &Stanza, &Context<'_>, &mut Outcome) -> Result<(), StanzaError>;

/// Whatever a stanza to the room is about.
pub fn handle(room: &mut Room, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
    room.handle(stanza, None, context, out)
}

#[derive(Clone)]
pub struct Scene {
    pub room: Room,
    pub now: SystemTime,
    pub limits: Limits,
    pub administers: bool,
    pub referred: Option<Said>,
}

/// The dark cave of the examples: owned by `crone1`, persistent, open, unmoderated, archived; nobody is there.
pub fn scene() -> Scene {
    let (room, creator) = (BareJid::parse(ROOM).unwrap(), BareJid::parse("crone1@shakespeare.lit").unwrap());
    let mut room = Room::new(room, creator, RoomConfig::of_new_room(true), SystemTime::UNIX_EPOCH, vec![1; 32]);
    room.lasting.locked = false;
    room.lasting.config.persistent = true;
    Scene {
        room,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        limits: Limits {
            occupants: 100,
            affiliations: 10,
            history: HistoryMax { count: 20, bytes: 1 << 18 },
            presence_bytes: 1 << 20,
            vcard_bytes: 1_000,
        },
        administers: false,
        referred: None,
    }
}

impl Scene {
    pub fn affiliate(&mut self, jid: &str, affiliation: Affiliation) {
        let entry = Affiliated { affiliation, nick: None, reason: None };
        self.room.lasting.affiliations.insert(BareJid::parse(jid).unwrap(), entry);
    }

    /// Somebody is there, with the affiliation of the list.
    pub fn enter(&mut self, jid: &str, nick: &str, role: Role) {
        let jid = FullJid::parse(jid).unwrap();
        let account = jid.to_bare();
        self.room.occupants.insert(Occupant {
            jid: self.room.lasting.jid.with_resource(nick).unwrap(),
            affiliation: self.room.affiliation_of(&account),
            role,
            id: format!("id-of-{nick}"),
            seats: vec![Seat { jid, presence: Stanza::presence(PresenceType::Available) }],
            administers: false,
            correspondents: Default::default(),
            templates: Default::default(),
            account,
        });
    }

    /// Gives a stanza of somebody to the room, which stays as it was if it is refused.
    pub fn give(&mut self, handler: Handler, from: &str, xml: &str) -> Result<Vec<String>, StanzaError> {
        let before = self.room.clone();
        let result = self.attempt(handler, from, xml);
        match &result {
            Err(_) => assert!(self.room == before, "a refusal changes nothing"),
            Ok(out) => {
                let mut lasting = before.lasting;
                out.changes.iter().cloned().for_each(|change| change.apply(&mut lasting));
                assert_eq!(lasting, self.room.lasting, "changes say all that changes");
            }
        }
        result.map(|out| lines(&out))
    }

    fn attempt(&mut self, handler: Handler, from: &str, xml: &str) -> Result<Outcome, StanzaError> {
        let mut out = Outcome::default();
        let mut room = self.room.clone();
        let result = self.with_context(|_, context| handler(&mut room, &stanza(from, xml), context, &mut out));
        self.room = room;
        result.map(|()| out)
    }

    /// Does something in the world around the room. Identifiers are `new-1`, `new-2`, …
    pub fn with_context<T>(&self, work: impl FnOnce(&Room, &Context<'_>) -> T) -> T {
        let ids = Cell::new(0);
        let fresh_id = || {
            ids.set(ids.get() + 1);
            format!("new-{}", ids.get())
        };
        let context = Context {
            now: self.now,
            fresh_id: &fresh_id,
            random: || 0,
            administers: self.administers,
            archive_has_room: true,
            referred: self.referred.as_ref(),
            services: &["chat.shakespeare.lit".to_owned(), "rooms.example".to_owned()],
            limits: &self.limits,
        };
        work(&self.room, &context)
    }

    /// The condition and the extra condition with which a stanza is refused.
    pub fn refused(&mut self, handler: Handler, from: &str, xml: &str) -> String {
        match self.give(handler, from, xml) {
            Ok(lines) => panic!("{xml}: {lines:?}"),
            Err(error) => {
                let extra = error.extra.as_ref().map(|extra| String::from_utf8_lossy(extra).into_owned()).unwrap_or_default();
                let extra = extra.trim_start_matches('<').split([' ', '/']).next().unwrap_or_default();
                format!("{} {} {extra}", error.type_.name(), error.condition.name()).trim_end().to_owned()
            }
        }
    }
}

/// A stanza to the room.
pub fn stanza(from: &str, xml: &str) -> Stanza {
    let stanza = Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap();
    stanza.with_from(Jid::parse(from).unwrap()).with_to(Jid::parse(ROOM).unwrap())
}

/// What is stored, what is sent and what is answered.
fn lines(out: &Outcome) -> Vec<String> {
    let text = |stanza: &Stanza| String::from_utf8_lossy(&stanza.to_bytes(Framing::Stream)).into_owned();
    let changes = out.changes.iter().map(|change| match change {
        Change::Affiliate(jid, Some(entry)) => {
            format!("affiliate {jid} {} {}", entry.affiliation.name(), entry.nick.as_deref().unwrap_or_default()).trim_end().to_owned()
        }
        Change::Affiliate(jid, None) => format!("affiliate {jid} none"),
        Change::Request(jid, nick) => format!("request {jid} {}", nick.as_deref().unwrap_or("-")),
        Change::VCard(card) => format!("vcard {}", card.as_ref().map(|card| card.hashes.join(" ")).unwrap_or_default()),
        Change::Hats(hats) => format!("hats {:?} {:?}", hats.known.keys().collect::<Vec<_>>(), hats.worn.values().collect::<Vec<_>>()),
        other => format!("{other:?}"),
    });
    let effects = out.effects.iter().map(|effect| match effect {
        Effect::Send(stanza) => text(stanza),
        Effect::Broadcast { stanza, to } => {
            let to: Vec<&str> = to.iter().filter_map(Jid::local).collect();
            format!("to {}: {}", to.join(" "), text(stanza))
        }
        Effect::Keep { id, real, .. } => format!("keep {id} of {real}"),
        Effect::Replace { id, stanza } => format!("replace {id}: {}", text(stanza)),
    });
    let reply = (!out.reply.is_empty()).then(|| String::from_utf8_lossy(&out.reply).into_owned());
    changes.chain(effects).chain(reply).collect()
}
