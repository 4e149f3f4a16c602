//! A room for tests, and what it says as it is written. Addresses are short in what is sent and what is expected: `coven` is the room, `hag66` is
//! `hag66@shakespeare.lit`; so is `<x>` for that of `muc#user`.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use super::config::RoomConfig;
use super::context::{Context, Limits};
use super::history::HistoryMax;
use super::model::{Affiliated, Affiliation, Room};
use super::outcome::{Effect, Outcome};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;
use crate::xml::Bindings;

const ROOM: &str = "coven@chat.shakespeare.lit";
const DOMAIN: &str = "@shakespeare.lit";

pub fn bare(short: &str) -> BareJid {
    BareJid::parse(&long(short)).unwrap()
}

pub fn jid(short: &str) -> Jid {
    Jid::parse(&long(short)).unwrap()
}

/// A room, and the moment in which it decides.
pub struct Scene {
    pub room: Room,
    pub now: SystemTime,
    pub limits: Limits,
    pub administers: bool,
    pub archive_has_room: bool,
    ids: Cell<u64>,
}

impl Scene {
    /// `coven`, owned by `crone1`, unlocked, with the usual configuration but not archived; nobody is there.
    pub fn new() -> Self {
        let config = RoomConfig { persistent: true, ..RoomConfig::of_new_room(false) };
        let created_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_034_551_117);
        let mut room = Room::new(bare("coven"), bare("crone1"), config, created_at, vec![7; 32]);
        room.lasting.locked = false;
        let limits = Limits {
            occupants: 1000,
            affiliations: 100,
            history: HistoryMax { count: 50, bytes: 250_000 },
            presence_bytes: 1_000_000,
            vcard_bytes: 10_000,
        };
        Self { room, now: created_at, limits, administers: false, archive_has_room: true, ids: Cell::new(0) }
    }

    pub fn with_config(change: impl FnOnce(&mut RoomConfig)) -> Self {
        let mut scene = Self::new();
        change(&mut scene.room.lasting.config);
        scene
    }

    pub fn affiliate(&mut self, jid: &str, affiliation: Affiliation, nick: Option<&str>) {
        let entry = Affiliated { affiliation, nick: nick.map(str::to_owned), reason: None };
        self.room.lasting.affiliations.insert(bare(jid), entry);
    }

    /// The same with people in it: the owner `crone1` is firstwitch, the admin `wiccarocks` secondwitch, the member `hag66` thirdwitch, and `hecate`, who is
    /// nothing, fourthwitch.
    pub fn of_four() -> Self {
        let mut scene = Self::new();
        scene.affiliate("wiccarocks", Affiliation::Admin, None);
        scene.affiliate("hag66", Affiliation::Member, None);
        for (from, nick) in [
            ("crone1/desktop", "firstwitch"),
            ("wiccarocks/laptop", "secondwitch"),
            ("hag66/pda", "thirdwitch"),
            ("hecate/broom", "fourthwitch"),
        ] {
            scene.join(from, nick);
        }
        scene
    }

    /// What a `<query/>` of this namespace comes to, or the type and the condition of its refusal.
    pub fn query(&mut self, type_: &str, from: &str, ns: &str, content: &str) -> Result<Outcome, String> {
        let result = self.send(&format!("<iq type='{type_}' id='1' from='{from}' to='coven'><query xmlns='{ns}'>{content}</query></iq>"));
        result.map_err(|error| format!("{} {}", error.type_.name(), error.condition))
    }

    /// Lets the room do something.
    pub fn act<R>(&mut self, act: impl FnOnce(&mut Room, &Context<'_>, &mut Outcome) -> R) -> (R, Outcome) {
        let fresh_id = || {
            self.ids.set(self.ids.get() + 1);
            format!("new-{}", self.ids.get())
        };
        let context = Context {
            now: self.now,
            fresh_id: &fresh_id,
            random: || 0,
            administers: self.administers,
            archive_has_room: self.archive_has_room,
            referred: None,
            services: &[],
            limits: &self.limits,
        };
        let mut out = Outcome::default();
        (act(&mut self.room, &context, &mut out), out)
    }

    /// The room gets this stanza. A refusal changes nothing.
    pub fn send(&mut self, xml: &str) -> Result<Outcome, StanzaError> {
        self.handle(&parse(xml))
    }

    pub fn handle(&mut self, stanza: &Stanza) -> Result<Outcome, StanzaError> {
        let before = self.room.clone();
        let nick = stanza.to().and_then(Jid::resource).map(str::to_owned);
        let (result, out) = self.act(|room, context, out| room.handle(stanza, nick.as_deref(), context, out));
        if result.is_err() {
            assert_eq!(self.room, before, "{stanza:?}");
            assert!(out.changes.is_empty() && out.effects.is_empty(), "{stanza:?}");
        } else if !out.over && !Room::may_store(stanza) {
            assert_eq!(out.changes, [], "{stanza:?}");
        }
        let mut lasting = before.lasting;
        out.changes.iter().for_each(|change| change.clone().apply(&mut lasting));
        assert_eq!(lasting, self.room.lasting, "what is stored agrees with what is in memory: {stanza:?}");
        result.map(|()| out)
    }

    /// Enters; what is said of it does not matter.
    pub fn join(&mut self, from: &str, nick: &str) -> Outcome {
        self.send(&format!("<presence from='{from}' to='coven/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).unwrap()
    }

    /// What is sent for this stanza, all of it in this order; for a refusal, the refusal.
    #[track_caller]
    pub fn check(&mut self, xml: &str, expected: &[&str]) {
        let stanza = parse(xml);
        let told = match self.handle(&stanza) {
            Ok(out) => shown(&out),
            Err(error) => super::room::refusal(&bare("coven"), &stanza, &error).iter().map(written).collect(),
        };
        assert_eq!(told, expected, "{xml}");
    }
}

/// A stanza with short addresses.
pub fn parse(xml: &str) -> Stanza {
    let mut stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap();
    for (jid, set) in
        [(stanza.from().cloned(), Stanza::set_from as fn(&mut Stanza, Jid)), (stanza.to().cloned(), Stanza::set_to as fn(&mut Stanza, Jid))]
    {
        if let Some(jid) = jid {
            set(&mut stanza, self::jid(jid.as_str()));
        }
    }
    stanza
}

fn long(short: &str) -> String {
    let (bare, resource) = short.split_once('/').map_or((short, ""), |(bare, _)| (bare, &short[bare.len()..]));
    match bare {
        "coven" => format!("{ROOM}{resource}"),
        _ if bare.contains(['@', '.']) => short.to_owned(),
        _ => format!("{bare}{DOMAIN}{resource}"),
    }
}

/// What is sent, to each of its recipients.
pub fn sent(out: &Outcome) -> Vec<Stanza> {
    let to_each = |effect: &Effect| match effect {
        Effect::Send(stanza) => vec![stanza.clone()],
        Effect::Broadcast { stanza, to } => to.iter().map(|to| stanza.clone().with_to(to.clone())).collect(),
        Effect::Keep { .. } | Effect::Replace { .. } => Vec::new(),
    };
    out.effects.iter().flat_map(to_each).collect()
}

pub fn shown(out: &Outcome) -> Vec<String> {
    sent(out).iter().map(written).collect()
}

/// As text, with short addresses. Everything of an occupant has its identifier, which is left out.
pub fn written(stanza: &Stanza) -> String {
    let mut stanza = stanza.clone();
    let from_occupant = stanza.from().is_some_and(|from| !from.is_bare());
    let is_plain_error = stanza.child(ns::CLIENT, "error").is_some();
    let ids = stanza.remove_children(|child| child.is(ns::OCCUPANT_ID, "occupant-id"));
    assert!(ids == usize::from(from_occupant) || is_plain_error, "XEP-0421 §4: one identifier: {stanza:?}");
    format!("{stanza:?}")
        .replace(ROOM, "coven")
        .replace(DOMAIN, "")
        .replace("<x xmlns='http://jabber.org/protocol/muc#user'", "<x")
        .replace(" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'", "")
}
