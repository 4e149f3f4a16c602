//! What rooms store: their changes, all of one stanza or none, and what their archives keep.

use std::sync::Arc;

use super::change::Change;
use super::homes::{RoomHome, said};
use super::model::{Lasting, Room, Said};
use super::outcome::{Effect, Outcome};
use super::service::Muc;
use crate::jid::{BareJid, Jid};
use crate::stanza::Framing;
use crate::stanza::error::StanzaError;
use crate::store::{ArchiveId, Range, RoomRecord, StoreError, Whose};

impl Muc {
    /// Stores what was decided. Where the database has failed and does not say what became of it, it is asked; what it says may still change, so that
    /// it is asked again before the next decision that it has to store.
    pub(super) async fn commit(&self, home: &RoomHome, changes: Vec<Change>, after: &Room) -> Result<(), StanzaError> {
        let destroys = changes.iter().any(|change| matches!(change, Change::Destroy));
        let Err(error) = self.store.commit(&home.jid, changes).await else { return Ok(()) };
        let refusal = self.router.internal("store a change of a room");
        if is_refusal(&error) {
            return Err(refusal(error));
        }
        match self.store.load(&home.jid, 0, 0).await {
            Ok(found) if is_done(destroys, found.as_ref().map(|found| &found.lasting), &after.lasting) => Ok(()),
            _ => {
                home.doubt();
                Err(refusal(error))
            }
        }
    }

    /// Makes sure that the room is the one that the database has, after a change of which it was not said whether it was stored. The caller holds the
    /// turn. Those who are there stay, as far as they may.
    pub(super) async fn look_again(self: &Arc<Self>, home: &Arc<RoomHome>) -> Result<(), StanzaError> {
        if !home.is_doubtful() {
            return Ok(());
        }
        let found = self.store.load(&home.jid, 0, 0).await.map_err(self.router.internal("load a room again"))?;
        let mut out = Outcome::default();
        match found {
            Some(found) => _ = home.change(|room| room.becomes(found.lasting, &self.context(&home.jid, None), &mut out)),
            None => {
                home.change(|room| room.end(None, &mut out));
                home.put(None);
            }
        }
        home.settle_doubt();
        // It is what is stored already.
        out.changes.clear();
        self.send(home, None, out, None);
        Ok(())
    }

    /// What a request has changed of the archive is written before it is answered.
    pub(super) async fn keep_first(&self, home: &RoomHome, out: &mut Outcome) {
        let before = out.effects.len();
        out.effects.retain(|effect| !self.keep(home, effect));
        if out.effects.len() < before
            && let Err(error) = self.router.store().archive().settled(&home.jid, "write what a room keeps").await
        {
            tracing::error!(room = %home.jid, %error, "the archive is behind what was answered");
        }
    }

    /// A message of a room's archive.
    pub(super) async fn archived(&self, room: &BareJid, id: ArchiveId) -> Result<Option<Said>, StanzaError> {
        let range = Range { ids: Some(vec![id]), ..Range::default() };
        let page = self.router.store().archive().page(Whose::Room(room), &range, false, 1, usize::MAX).await;
        let page = page.map_err(self.router.internal("look for a message of a room"))?;
        Ok(page.messages.into_iter().next().and_then(|stored| said(room, stored)))
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

/// Whether changes have come to what the database has: a destroyed room is in memory what it was before.
fn is_done(destroys: bool, found: Option<&Lasting>, after: &Lasting) -> bool {
    found.map_or(destroys, |found| !destroys && found == after)
}

/// Errors by which the store says that nothing was stored.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::RoomExists(_) | StoreError::NoSuchRoom(_) | StoreError::TooLong { .. } | StoreError::Full)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::Scene;
    use super::*;

    #[test]
    fn what_the_database_has_says_whether_it_was_done() {
        let before = Scene::new().room.lasting;
        let mut after = before.clone();
        after.config.name = "another".to_owned();
        for (destroys, found, after, expected) in [
            (false, Some(&after), &after, true),
            (false, Some(&before), &after, false),
            (false, None, &after, false),
            (true, Some(&before), &before, false),
            (true, None, &before, true),
        ] {
            assert_eq!(is_done(destroys, found, after), expected, "{destroys} {found:?}");
        }
    }
}
