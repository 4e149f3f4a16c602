//! A stanza and its turn: what is decided at once and in place, what on a copy that is stored first (docs/adr/0010).
//!
//! A stanza for a room is handled in its turn. Presence and messages change the room in place, at once; what may have to be stored is decided on a
//! copy, which takes the room's place when the database has the changes. What follows joins the room's outbox within the turn, so that everybody sees
//! one order. A stanza whose turn has not come is carried on by a task of its own, which ends whatever becomes of its sender's connection; who leaves,
//! by unavailable presence or an error of presence, waits for nothing. Nor does what comes from no session here: it may be a room's outbox that brings it, which must never wait for an outbox, its own
//! or another's.

use std::sync::Arc;

use futures_util::future::poll_immediate;

use super::disco::no_such_room;
use super::homes::{RoomHome, Turn};
use super::model::{Room, Said};
use super::outcome::Outcome;
use super::service::Muc;
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};

/// A stanza for a room and whose session it comes from.
pub(super) struct Command {
    pub stanza: Stanza,
    pub from: Jid,
    pub origin: Option<SessionRef>,
}

impl Command {
    /// Whether it is not of a session that has ended since it was sent.
    fn is_current(&self) -> bool {
        self.origin.as_ref().is_none_or(|origin| origin.home.with(|account| account.session(origin.id).is_some()))
    }

    pub fn is_available(&self) -> bool {
        self.stanza.kind() == Kind::Presence(PresenceType::Available)
    }

    /// §7.2.1: whether it asks to enter.
    pub fn enters(&self) -> bool {
        self.is_available() && self.stanza.child(ns::MUC, "x").is_some()
    }

    /// The nickname addressed.
    pub fn nick(&self) -> Option<&str> {
        self.stanza.to().and_then(Jid::resource)
    }
}

impl Muc {
    /// A stanza on which the room has to decide.
    pub(super) async fn to_room(self: &Arc<Self>, room: &BareJid, stanza: Stanza, origin: Option<&SessionRef>) {
        let Some(from) = stanza.from().cloned() else { return };
        let home = if is_of_occupants(stanza.kind()) {
            let Some(home) = self.homes.peek(room.as_str()) else { return };
            home
        } else {
            self.homes.of(room)
        };
        let patient = origin.is_some() && waits(stanza.kind());
        if patient {
            self.wait_for_room(&home, &from, stanza.kind()).await;
        }
        let command = Command { stanza, from, origin: origin.cloned() };
        let mut turn = Box::pin(home.turn());
        // Asked for once, it has its place behind those who have asked before.
        let carried_on = match poll_immediate(&mut turn).await {
            Some(turn) => match self.at_once(&home, turn, command) {
                None => return,
                Some((turn, command)) => self.router.spawn(self.clone().in_turn(home, turn, command)),
            },
            None => {
                let (muc, under_way) = (self.clone(), self.tasks.begin());
                self.router.spawn(async move {
                    let _under_way = under_way;
                    let turn = turn.await;
                    if let Some((turn, command)) = muc.at_once(&home, turn, command) {
                        muc.in_turn(home, turn, command).await;
                    }
                })
            }
        };
        if let (true, Some(task)) = (patient, carried_on)
            && let Err(error) = task.await
        {
            tracing::error!(%error, %room, "a stanza for a room ended badly");
        }
    }

    /// Until little enough of this sender's is under way in the room, and its archive takes more. Its stream is not read meanwhile.
    async fn wait_for_room(&self, home: &RoomHome, from: &Jid, kind: Kind) {
        if home.outbox.is_full_for(from) {
            self.metrics.waits.inc();
            home.outbox.room_for(from).await;
        }
        let archive = self.router.store().archive();
        if kind == Kind::Message(MessageType::Groupchat)
            && archive.is_behind()
            && home.look(|room| room.lasting.config.archived) == Some(true)
        {
            archive.room().await;
        }
    }

    /// What can be done without waiting for anything, which is nearly always all: otherwise the turn and the stanza come back.
    fn at_once(self: &Arc<Self>, home: &Arc<RoomHome>, turn: Turn, command: Command) -> Option<(Turn, Command)> {
        // What ends it has come before, and found nobody to remove; from now on that comes after.
        if command.is_available() && !command.is_current() {
            return None;
        }
        let context = self.context(&command.from, None);
        let needs_store = |room: &Room| Room::may_store(&command.stanza) || room.refers_to(&command.stanza, &context).is_some();
        match home.look(needs_store) {
            Some(false) => {}
            Some(true) => return Some((turn, command)),
            None if is_of_occupants(command.stanza.kind()) => return None,
            None if home.is_known() && !command.enters() => {
                self.absent(home, &command);
                return None;
            }
            None => return Some((turn, command)),
        }
        self.in_place(home, turn, &command);
        None
    }

    /// Presence and messages.
    fn in_place(self: &Arc<Self>, home: &Arc<RoomHome>, turn: Turn, command: &Command) {
        let mut out = Outcome::default();
        let decided = home.change(|room| self.decide(room, command, None, &mut out));
        match decided {
            Some(Ok(())) => {}
            Some(Err(error)) => return self.refuse(home, command, error),
            None => return self.absent(home, command),
        }
        self.follow(home, turn, out, |muc, out| muc.tell(home, command, out));
    }

    /// What was decided in place is told at once. Where the last one has left a temporary room, the next one to enter waits until nothing of the room is
    /// stored.
    pub(super) fn follow(self: &Arc<Self>, home: &Arc<RoomHome>, turn: Turn, mut out: Outcome, tell: impl FnOnce(&Arc<Self>, Outcome)) {
        let changes = std::mem::take(&mut out.changes);
        if out.over {
            home.put(None);
        }
        tell(self, out);
        if changes.is_empty() {
            return;
        }
        let (muc, home) = (self.clone(), home.clone());
        let under_way = self.tasks.begin();
        self.router.spawn(async move {
            if let Err(error) = muc.store.commit(&home.jid, changes).await {
                tracing::error!(room = %home.jid, %error, "a temporary room is still stored");
                home.forget();
            }
            drop((turn, under_way));
        });
    }

    /// What may need the database.
    async fn in_turn(self: Arc<Self>, home: Arc<RoomHome>, turn: Turn, command: Command) {
        let _under_way = self.tasks.begin();
        if let Err(error) = home.load(&self.store, self.history_max()).await {
            let error = self.router.internal("load a room")(error);
            return self.refuse(&home, &command, error);
        }
        if let Err(error) = self.look_again(&home).await {
            return self.refuse(&home, &command, error);
        }
        let asked =
            home.look(|room| (Room::may_store(&command.stanza), room.refers_to(&command.stanza, &self.context(&command.from, None))));
        let Some((may_store, refers_to)) = asked else {
            return match command.enters() {
                true => self.create(&home, &command).await,
                false => self.absent(&home, &command),
            };
        };
        let referred = match refers_to {
            Some(id) => match self.archived(&home.jid, id).await {
                Ok(found) => found,
                Err(error) => return self.refuse(&home, &command, error),
            },
            None => None,
        };
        if !may_store && referred.is_none() {
            return self.in_place(&home, turn, &command);
        }
        let Some(mut room) = home.look(Room::clone) else { return };
        let mut out = Outcome::default();
        if let Err(error) = self.decide(&mut room, &command, referred.as_ref(), &mut out) {
            return self.refuse(&home, &command, error);
        }
        let changes = std::mem::take(&mut out.changes);
        if !changes.is_empty()
            && let Err(error) = self.commit(&home, changes, &room).await
        {
            return self.refuse(&home, &command, error);
        }
        home.put((!out.over).then_some(room));
        self.keep_first(&home, &mut out).await;
        self.tell(&home, &command, out);
    }

    /// The room has its say, for one pure call.
    pub(super) fn decide(&self, room: &mut Room, command: &Command, referred: Option<&Said>, out: &mut Outcome) -> Result<(), StanzaError> {
        let before = room.occupants.sessions();
        room.handle(&command.stanza, command.nick(), &self.context(&command.from, referred), out)?;
        if command.is_available() && room.occupants.sessions() > before {
            self.metrics.joins.inc();
        }
        Ok(())
    }

    /// What follows goes out.
    pub(super) fn tell(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command, mut out: Outcome) {
        let stanza = &command.stanza;
        match stanza.kind() {
            Kind::Message(MessageType::Groupchat) => self.metrics.messages.inc(),
            Kind::Message(MessageType::Error) | Kind::Presence(PresenceType::Error) => self.metrics.unreachable.inc(),
            _ => {}
        }
        let is_request = matches!(stanza.kind(), Kind::Iq(IqType::Get | IqType::Set));
        let answer = is_request.then(|| Stanza::iq_result(stanza, std::mem::take(&mut out.reply)));
        self.send(home, Some(&command.from), out, answer.map(|answer| (answer, command.origin.clone())));
    }

    /// A stanza for a room that is not there. §7.2.18: whoever believes to be in it learns that it is not.
    fn absent(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command) {
        let occupant = command.nick().and_then(|nick| home.jid.with_resource(nick).ok());
        match (occupant, FullJid::try_from(command.from.clone())) {
            (Some(occupant), Ok(from)) if command.is_available() => {
                let mut out = Outcome::default();
                out.send(super::room::not_there(&occupant, &from));
                self.send(home, Some(&command.from), out, None);
            }
            _ if command.is_available() => self.refuse(home, command, StanzaError::jid_malformed()),
            _ => self.refuse(home, command, no_such_room()),
        }
    }

    /// A stanza comes back, behind what its sender is still to see.
    pub(super) fn refuse(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command, error: StanzaError) {
        if matches!(command.stanza.kind(), Kind::Presence(kind) if kind != PresenceType::Available) {
            return;
        }
        if let Some(reply) = super::room::refusal(&home.jid, &command.stanza, &error) {
            self.send(home, Some(&command.from), Outcome::default(), Some((reply, command.origin.clone())));
        }
    }
}

/// Whether the sender of such a stanza waits for its turn. Who leaves does not, by its own will or by an error of presence.
fn waits(kind: Kind) -> bool {
    !matches!(kind, Kind::Presence(PresenceType::Unavailable | PresenceType::Error))
}

/// Whether only who is in a room can have such a stanza mean anything to it: where nobody is in memory, nobody is there.
fn is_of_occupants(kind: Kind) -> bool {
    matches!(kind, Kind::Message(MessageType::Error)) || matches!(kind, Kind::Presence(kind) if kind != PresenceType::Available)
}
