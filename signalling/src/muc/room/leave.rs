//! XEP-0045 §7.14: exiting a room; §11.1, §18.1.2: sessions that are not there any more.

use super::super::model::{Affiliation, Room};
use super::super::outcome::Outcome;
use super::super::presence::{self, Notice, Own};
use super::super::status::Status;
use super::destroy::DESTROYED;
use crate::jid::{FullJid, Jid};
use crate::stanza::{Kind, PresenceType, Stanza};

impl Room {
    /// A session leaves, if it is there: with unavailable presence, which may say something, or, with codes, because something came back from it.
    pub(super) fn leave(&mut self, stanza: &Stanza, from: &Jid, codes: &[Status], out: &mut Outcome) {
        let Some(occupant) = self.occupants.of(from).cloned() else { return };
        let (nick, was_seen) = (occupant.nick(), self.is_seen(occupant.role));
        let unavailable = stanza.kind() == Kind::Presence(PresenceType::Unavailable);
        let said = if unavailable { presence::cleaned(stanza) } else { presence::unavailable() };
        let mut notice = Notice { codes, ..Notice::gone(&occupant, &said) };
        // §10.1.3: who goes before the room is configured does not want it.
        if self.lasting.locked && self.occupants.sessions() == 1 {
            (notice.destroy, notice.affiliation) = (Some(DESTROYED), Affiliation::None);
        }
        let own = Own { codes: &[], answers: Some(stanza).filter(|_| unavailable) };
        if occupant.seats.len() == 1 {
            self.occupants.remove(nick);
            self.tell(&occupant, &notice, was_seen, own, out);
            return;
        }
        let Some(seat) = occupant.seat(from) else { return };
        out.send(notice.write_own(&self.lasting, &occupant, &seat.jid, own));
        self.give_up_seat(nick, &seat.jid, out);
    }

    /// A session is no more the occupant's, who has others: if it was the one that spoke, the next one speaks.
    pub(super) fn give_up_seat(&mut self, nick: &str, own: &FullJid, out: &mut Outcome) {
        let spoke = self.occupants.get(nick).is_some_and(|occupant| occupant.seats[0].jid == *own);
        let after = self.occupants.update(nick, |occupant| occupant.seats.retain(|other| other.jid != *own));
        if let Some(after) = after.filter(|_| spoke) {
            self.tell(&after, &Notice::available(&after), self.is_seen(after.role), Own::default(), out);
        }
    }
}
