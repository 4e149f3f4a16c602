//! Occupants over an orderly stop of the server: they stay in the room with their sessions, and nobody is told anything.

use bytes::Bytes;

use super::super::model::{Affiliation, Occupant, Role, Room, Seat};
use super::super::outcome::Outcome;
use super::super::presence::{Templates, Why};
use super::super::status::Status;
use crate::jid::FullJid;
use crate::stanza::{Framing, Kind, PresenceType, Stanza};
use crate::xml::Bindings;

/// A session in a room, as it is kept while the server is not running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSeat {
    /// Its nickname.
    pub nick: String,
    /// Its real full JID.
    pub real: FullJid,
    /// §5.1.
    pub role: Role,
    /// What it has sent as presence.
    pub presence: Bytes,
}

impl Room {
    /// Who is there, those who speak for an occupant before its other sessions.
    pub fn saved(&self) -> impl Iterator<Item = SavedSeat> {
        self.occupants.iter().flat_map(|occupant| {
            occupant.seats.iter().map(|seat| SavedSeat {
                nick: occupant.nick().to_owned(),
                real: seat.jid.clone(),
                role: occupant.role,
                presence: seat.presence.to_bytes(Framing::Alone),
            })
        })
    }

    /// Puts a session back; the room is loaded, and nobody has come in yet. Returns false for one that cannot be there: what was kept is broken, or
    /// it may not be in the room any more.
    pub fn restore(&mut self, saved: &SavedSeat, administers: bool) -> bool {
        let account = saved.real.to_bare();
        let affiliation = if administers { Affiliation::Owner } else { self.affiliation_of(&account) };
        let barred = affiliation == Affiliation::Outcast || (affiliation == Affiliation::None && self.lasting.config.members_only);
        let presence = Stanza::parse(saved.presence.clone(), &Bindings::client()).ok();
        let presence = presence.filter(|presence| presence.kind() == Kind::Presence(PresenceType::Available));
        let (Some(presence), Ok(jid)) = (presence, self.lasting.jid.with_resource(&saved.nick)) else { return false };
        if barred || saved.role == Role::None || self.is_occupant(&saved.real) {
            return false;
        }
        let seat = Seat { jid: saved.real.clone(), presence };
        match self.occupants.get(jid.resource_str()) {
            Some(occupant) if occupant.account != account => return false,
            Some(_) => drop(self.occupants.update(jid.resource_str(), |occupant| occupant.seats.push(seat))),
            None => self.occupants.insert(Occupant {
                jid,
                id: self.lasting.occupant_id(&account),
                account,
                affiliation,
                role: saved.role,
                seats: vec![seat],
                administers,
                correspondents: Default::default(),
                templates: Templates::default(),
            }),
        }
        true
    }

    /// §11.2: the service shuts down, and whose session does not come back is told (332). Of others who stay, nobody is told anything.
    pub fn shut_down(&mut self, stays: impl Fn(&FullJid) -> bool, out: &mut Outcome) {
        let stays = |occupant: &Occupant| occupant.seats.iter().any(|seat| stays(&seat.jid));
        if !self.occupants.iter().any(|occupant| stays(occupant)) {
            self.remove_everybody(&[Status::Shutdown], None, out);
        }
        let going: Vec<String> =
            self.occupants.iter().filter(|occupant| !stays(occupant)).map(|occupant| occupant.nick().to_owned()).collect();
        for nick in going {
            self.remove(&nick, &[Status::Shutdown], &Why::default(), out);
        }
        self.end_if_empty(out);
    }
}
