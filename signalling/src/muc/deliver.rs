//! What rooms send, on its way: each room's outbox is emptied in order by a task of its own, so that every occupant sees the same order and no sender
//! waits for anybody's delivery.

use std::sync::Arc;

use super::homes::RoomHome;
use super::outcome::{Effect, Outcome};
use super::service::Muc;
use crate::jid::Jid;
use crate::outbox::{self, Behind, Bounds};
use crate::session::SessionRef;
use crate::stanza::{Kind, Stanza};

/// What may wait in one room's outbox. Of one sender it is little: whoever floods a room waits for what it has sent itself, and the others' stanzas
/// have only that before them.
pub(super) const BOUNDS: Bounds = Bounds { count: 16_384, bytes: 32 * 1024 * 1024, each: 4 };
/// Messages to those who are not in memory which are brought out at once, beside the outbox, so that it does not wait for the database.
const APART_MAX: usize = 64;

/// All that one stanza has brought about, in order.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Who has sent that stanza.
    pub sender: Option<Jid>,
    /// Its answer, and the session that gets it, where that is here.
    pub answer: Option<(Stanza, Option<SessionRef>)>,
    /// What else is sent.
    pub effects: Vec<Effect>,
}

impl outbox::Parcel for Parcel {
    /// Presence of many and history share their bytes with the room, and count all the same.
    fn bytes(&self) -> usize {
        let of = |effect: &Effect| match effect {
            Effect::Send(stanza) | Effect::Broadcast { stanza, .. } => stanza.size_bytes(),
            Effect::Keep { .. } | Effect::Replace { .. } => 0,
        };
        self.answer.as_ref().map_or(0, |(answer, _)| answer.size_bytes()) + self.effects.iter().map(of).sum::<usize>()
    }

    fn sender(&self) -> Option<&Jid> {
        self.sender.as_ref()
    }
}

impl Muc {
    /// What a stanza has come to joins the room's outbox, whose turn the caller holds, and the archive.
    pub(super) fn send(
        self: &Arc<Self>,
        home: &Arc<RoomHome>,
        sender: Option<&Jid>,
        outcome: Outcome,
        answer: Option<(Stanza, Option<SessionRef>)>,
    ) {
        let mut effects = outcome.effects;
        effects.retain(|effect| !self.keep(home, effect));
        if answer.is_none() && effects.is_empty() {
            return;
        }
        if home.outbox.push(Parcel { sender: sender.cloned(), answer, effects }) {
            self.empty(home.clone());
        }
    }

    fn empty(self: &Arc<Self>, home: Arc<RoomHome>) {
        let (muc, under_way) = (self.clone(), self.tasks.begin());
        // Without a runtime nobody is there to be told.
        self.router.spawn(async move {
            home.outbox.empty(|parcel, behind| muc.deliver(parcel, behind)).await;
            drop(under_way);
        });
    }

    async fn deliver(self: &Arc<Self>, Parcel { answer, effects, .. }: Parcel, behind: Behind) {
        if let Some((answer, origin)) = answer {
            self.router.reply(answer, origin.as_ref()).await;
        }
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Send(stanza) => self.send_one(stanza).await,
                Effect::Broadcast { stanza, to } => {
                    self.metrics.delivered.inc_by(to.len() as u64);
                    let followed = effects.as_slice().iter().any(|next| matches!(next, Effect::Broadcast { .. }));
                    self.router.broadcast(&stanza, &to, if followed { Behind::More } else { behind }).await;
                }
                Effect::Keep { .. } | Effect::Replace { .. } => debug_assert!(false, "the archive has it already"),
            }
        }
    }

    /// A message to somebody who is not here may need the database: nobody in the room waits for it.
    async fn send_one(self: &Arc<Self>, stanza: Stanza) {
        self.metrics.delivered.inc();
        let needs_loading = matches!(stanza.kind(), Kind::Message(_))
            && stanza.to().is_some_and(|to| self.router.is_local(to.domain()) && self.router.home_in_memory(&to.to_bare()).is_none());
        match self.apart.clone().try_acquire_owned() {
            Ok(permit) if needs_loading => {
                let (router, under_way) = (self.router.clone(), self.tasks.begin());
                self.router.spawn(async move {
                    router.route(stanza, None).await;
                    drop((permit, under_way));
                });
            }
            _ => self.router.route(stanza, None).await,
        }
    }
}

/// How many messages are brought out beside the outboxes.
pub(super) fn apart() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(APART_MAX))
}
