//! The shell around rooms: it finds them, takes their turns, stores what they have decided, and sends.
//!
//! Rooms and what is common to them; how a stanza takes its turn stands in `turns.rs`, who creates a room in `create.rs`, what is stored in `storing.rs`.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::context::Context;
use super::create::Creators;
use super::deliver;
use super::history::HistoryMax;
use super::homes::{RoomHome, RoomHomes};
use super::host::{self, Settings};
use super::metrics::Metrics;
use super::model::Said;
use crate::iq::{IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::random;
use crate::router::Router;
use crate::session::SessionRef;
use crate::shelf::Shelf;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::store::Rooms;
use crate::tasks::Tasks;
use crate::time::now;

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
    pub(super) creators: Creators,
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
            creators: Creators::default(),
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

    /// The world around a room, for a stanza of this sender.
    pub(super) fn context<'a>(&'a self, from: &Jid, referred: Option<&'a Said>) -> Context<'a> {
        Context {
            now: now(),
            fresh_id: &random::id,
            random: random::number,
            administers: self.settings.hosts.is_admin(from),
            archive_has_room: self.router.store().archive().has_room(),
            referred,
            services: &self.settings.services,
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
        self.settings.limits.room.history
    }
}
