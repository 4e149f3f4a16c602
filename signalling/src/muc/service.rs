//! The shell around rooms: it finds them, takes their turns, stores what they have decided, and sends.
//!
//! A stanza for a room is handled in its turn. Presence and messages change the room in place, at once; what may have to be stored is decided on a
//! copy, which takes the room's place when the database has the changes. What follows joins the room's outbox within the turn, so that everybody sees
//! one order. A stanza whose turn has not come is carried on by a task of its own, which ends whatever becomes of its sender's connection; who has
//! left, or has returned something as an error, waits for nothing.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::{BoxFuture, poll_immediate};
use tokio::sync::{Mutex, Semaphore};

use super::change::Change;
use super::config::RoomConfig;
use super::context::Context;
use super::deliver;
use super::disco::no_such_room;
use super::homes::{HistoryMax, RoomHome, RoomHomes, Turn, said};
use super::host::{self, Settings};
use super::metrics::Metrics;
use super::model::{Room, Said};
use super::outcome::{Effect, Outcome};
use crate::iq::{IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::random;
use crate::router::Router;
use crate::session::SessionRef;
use crate::shelf::Shelf;
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, IqType, Kind, MessageType, PresenceType, Stanza};
use crate::store::{ArchiveId, Range, RoomRecord, Rooms, StoreError, Whose};
use crate::tasks::Tasks;
use crate::time::now;

/// Accounts that create rooms at once.
const CREATORS: usize = 64;

/// The rooms of all services.
pub struct Muc {
    pub(super) router: Router,
    pub(super) store: Rooms,
    pub(super) settings: Settings,
    pub(super) homes: RoomHomes,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    /// Messages to those who are not in memory.
    pub(super) apart: Arc<Semaphore>,
    /// Turns of those who create rooms, so that nobody has more than it may.
    creators: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl fmt::Debug for Muc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Muc").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How much is in memory and under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Addresses of rooms.
    pub rooms: usize,
    /// Rooms in which somebody is.
    pub occupied: usize,
    /// Sessions in rooms.
    pub occupants: usize,
    /// Tasks.
    pub tasks: usize,
}

/// A stanza for a room and whose session it comes from.
struct Command {
    stanza: Stanza,
    from: Jid,
    origin: Option<SessionRef>,
}

impl Command {
    fn is_available(&self) -> bool {
        self.stanza.kind() == Kind::Presence(PresenceType::Available)
    }

    /// The nickname addressed.
    fn nick(&self) -> Option<&str> {
        self.stanza.to().and_then(Jid::resource)
    }
}

impl Muc {
    /// The rooms of the services that `settings` names.
    #[must_use]
    pub fn new(router: Router, settings: Settings, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            store: router.store().rooms(),
            homes: Shelf::new(settings.limits.rooms_cached),
            tasks: Tasks::default(),
            metrics,
            apart: deliver::apart(),
            creators: (0..CREATORS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            router,
            settings,
        })
    }

    /// Registers what services and rooms answer; the rest is for the rooms themselves.
    pub fn register(self: &Arc<Self>, table: &mut IqTable) {
        host::announce(table);
        self.announce_disco(table);
        self.announce_archives(table);
    }

    /// What the operator has said.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is in memory and under way.
    pub fn counts(&self) -> Counts {
        let homes = self.homes.in_memory();
        let sessions = homes.iter().filter_map(|home| home.look(|room| room.occupants.sessions()));
        let (occupied, occupants) = sessions.filter(|sessions| *sessions > 0).fold((0, 0), |(rooms, all), here| (rooms + 1, all + here));
        Counts { rooms: homes.len(), occupied, occupants, tasks: self.tasks.count() }
    }

    /// Waits until everybody has been told of what has happened so far.
    pub async fn settled(&self) {
        self.tasks.idle().await;
    }

    /// A stanza for a service or a room, from a local session or from elsewhere.
    pub(crate) fn handle<'a>(self: &'a Arc<Self>, stanza: Stanza, origin: Option<&'a SessionRef>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(to) = stanza.to().cloned() else { return };
            if to.local().is_none() {
                return self.to_service(&to, stanza, origin).await;
            }
            match stanza.kind() {
                Kind::Iq(IqType::Get | IqType::Set) if to.is_bare() && self.router.table().knows(To::Room, &stanza) => {
                    self.router.answer(To::Room, stanza, origin).await;
                }
                Kind::Iq(IqType::Result | IqType::Error) if to.is_bare() => {}
                Kind::Iq(_) if !to.is_bare() => self.relay(&to, stanza, origin).await,
                _ => self.to_room(&to.to_bare(), stanza, origin).await,
            }
        })
    }

    async fn to_service(&self, to: &Jid, stanza: Stanza, origin: Option<&SessionRef>) {
        match stanza.kind() {
            Kind::Iq(IqType::Get | IqType::Set) if to.is_bare() => self.router.answer(To::Muc, stanza, origin).await,
            Kind::Presence(_) | Kind::Iq(IqType::Result | IqType::Error) => {}
            _ => self.router.bounce(&stanza, StanzaError::service_unavailable(), origin).await,
        }
    }

    /// A stanza on which the room has to decide.
    async fn to_room(self: &Arc<Self>, room: &BareJid, stanza: Stanza, origin: Option<&SessionRef>) {
        let Some(from) = stanza.from().cloned() else { return };
        let home = self.homes.of(room);
        let patient = waits(stanza.kind());
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
        let needs_store = |room: &Room| Room::may_store(&command.stanza) || room.refers_to(&command.stanza).is_some();
        match home.look(needs_store) {
            Some(false) => {}
            Some(true) => return Some((turn, command)),
            None if home.is_known() && !command.is_available() => {
                self.refuse(home, &command, no_such_room());
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
            None => return self.refuse(home, command, no_such_room()),
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
        let Some((may_store, refers_to)) = home.look(|room| (Room::may_store(&command.stanza), room.refers_to(&command.stanza))) else {
            return match command.is_available() {
                true => self.create(&home, &command).await,
                false => self.refuse(&home, &command, no_such_room()),
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

    /// What a request has changed of the archive is written before it is answered.
    async fn keep_first(&self, home: &RoomHome, out: &mut Outcome) {
        let before = out.effects.len();
        out.effects.retain(|effect| !self.keep(home, effect));
        if out.effects.len() < before
            && let Err(error) = self.router.store().archive().settled(&home.jid, "write what a room keeps").await
        {
            tracing::error!(room = %home.jid, %error, "the archive is behind what was answered");
        }
    }

    /// §10.1: whoever enters a room that is not there creates it.
    async fn create(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command) {
        match self.new_room(home, command).await {
            Ok((room, out)) => {
                home.put(Some(room));
                self.tell(home, command, out);
            }
            Err(error) => self.refuse(home, command, error),
        }
    }

    async fn new_room(&self, home: &RoomHome, command: &Command) -> Result<(Room, Outcome), StanzaError> {
        if command.nick().is_none() {
            // §7.2.1.
            return Err(StanzaError::jid_malformed().with_text("a room is entered with a nickname"));
        }
        let hosts = &self.settings.hosts;
        if !hosts.may_create(&command.from, self.router.is_member(&command.from)) {
            return Err(StanzaError::not_allowed().with_text("you may not create rooms here"));
        }
        let creator = command.from.to_bare();
        // Nobody else's turn, so that the number holds until the room is stored.
        let _creating = self.creators[self.hasher.hash_one(&creator) as usize % CREATORS].lock().await;
        if !hosts.is_admin(&creator) {
            let count = self.store.created_by(&creator).await.map_err(self.router.internal("count the rooms of an account"))?;
            if count >= self.settings.limits.rooms_per_account {
                return Err(StanzaError::resource_constraint().with_text("you have as many rooms as you may have"));
            }
        }
        let config = RoomConfig::of_new_room(self.settings.archived());
        let mut room = Room::new(home.jid.clone(), creator, config, now(), random::bytes::<32>().to_vec());
        let mut out = Outcome::default();
        self.decide(&mut room, command, None, &mut out)?;
        out.changes.clear();
        self.store
            .commit(&home.jid, vec![Change::Create(Box::new(room.lasting.clone()))])
            .await
            .map_err(self.router.internal("store a room"))?;
        Ok((room, out))
    }

    /// Stores what was decided. Where the database has failed and does not say what became of it, it is asked.
    async fn commit(&self, home: &RoomHome, changes: Vec<Change>, after: &Room) -> Result<(), StanzaError> {
        let Err(error) = self.store.commit(&home.jid, changes).await else { return Ok(()) };
        let refusal = self.router.internal("store a change of a room");
        if is_refusal(&error) {
            return Err(refusal(error));
        }
        match self.store.load(&home.jid, 0, 0).await {
            Ok(Some(found)) if found.lasting == after.lasting => Ok(()),
            _ => Err(refusal(error)),
        }
    }

    /// The room has its say, for one pure call.
    fn decide(&self, room: &mut Room, command: &Command, referred: Option<&Said>, out: &mut Outcome) -> Result<(), StanzaError> {
        let before = room.occupants.sessions();
        room.handle(&command.stanza, command.nick(), &self.context(&command.from, referred), out)?;
        if command.is_available() && room.occupants.sessions() > before {
            self.metrics.joins.inc();
        }
        Ok(())
    }

    /// The world around a room, for a stanza of this sender.
    pub(super) fn context<'a>(&'a self, from: &Jid, referred: Option<&'a Said>) -> Context<'a> {
        Context {
            now: SystemTime::now(),
            fresh_id: &random::id,
            random: random::number,
            administers: self.settings.hosts.is_admin(from),
            archive_has_room: self.router.store().archive().has_room(),
            referred,
            limits: &self.settings.limits.room,
        }
    }

    /// The home of a room, with what is there.
    pub(super) async fn loaded(&self, room: &BareJid) -> Result<Arc<RoomHome>, StanzaError> {
        let home = self.homes.of(room);
        home.load(&self.store, self.history_max()).await.map_err(self.router.internal("load a room"))?;
        Ok(home)
    }

    pub(super) fn history_max(&self) -> HistoryMax {
        HistoryMax { count: self.settings.limits.room.history, bytes: self.settings.limits.history_bytes }
    }

    /// A message of a room's archive.
    async fn archived(&self, room: &BareJid, id: ArchiveId) -> Result<Option<Said>, StanzaError> {
        let range = Range { ids: Some(vec![id]), ..Range::default() };
        let page = self.router.store().archive().page(Whose::Room(room), &range, false, 1, usize::MAX).await;
        let page = page.map_err(self.router.internal("look for a message of a room"))?;
        Ok(page.messages.into_iter().next().and_then(|stored| said(room, stored)))
    }

    /// What follows goes out.
    fn tell(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command, mut out: Outcome) {
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

    /// A stanza comes back, behind what its sender is still to see.
    fn refuse(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command, error: StanzaError) {
        if matches!(command.stanza.kind(), Kind::Presence(kind) if kind != PresenceType::Available) {
            return;
        }
        if let Some(reply) = super::room::refusal(&home.jid, &command.stanza, &error) {
            self.send(home, Some(&command.from), Outcome::default(), Some((reply, command.origin.clone())));
        }
    }

    /// A message joins the archive, or another stanza takes its place there; false for what is sent.
    pub(super) fn keep(&self, home: &RoomHome, effect: &Effect) -> bool {
        let archive = self.router.store().archive();
        match effect {
            Effect::Keep { id, real, stanza } => {
                let nick = stanza.from().and_then(Jid::resource).unwrap_or_default().to_owned();
                let record = RoomRecord { id: *id, real: real.clone(), nick, stanza: stanza.to_bytes(Framing::Alone) };
                archive.keep_in_room(&home.jid, record);
            }
            Effect::Replace { id, stanza } => archive.replace_in_room(&home.jid, *id, stanza.to_bytes(Framing::Alone)),
            Effect::Send(_) | Effect::Broadcast { .. } => return false,
        }
        true
    }
}

/// Errors by which the store says that nothing was stored.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::RoomExists(_) | StoreError::NoSuchRoom(_) | StoreError::TooLong { .. } | StoreError::Full)
}

/// Whether the sender of such a stanza waits for its turn. Who leaves does not, and an error is nobody's to wait for.
fn waits(kind: Kind) -> bool {
    !matches!(kind, Kind::Presence(PresenceType::Unavailable | PresenceType::Error) | Kind::Message(MessageType::Error))
}
