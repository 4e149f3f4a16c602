//! Rooms over an orderly stop of the server: who is there, and what newcomers are shown. All else is stored when it changes.

use super::history::HistoryMax;
use super::model::{History, Room, Said};
use crate::jid::BareJid;
use crate::stanza::{Framing, Stanza};
use crate::store::{SavedMessage, SavedRoom};
use crate::xml::Bindings;

/// What is to be kept of a room; `None` where the store has all of it.
#[must_use]
pub fn save(room: &Room) -> Option<SavedRoom> {
    let seats: Vec<_> = room.saved().collect();
    if seats.is_empty() && (room.lasting.config.archived || room.history.messages.is_empty()) {
        return None;
    }
    let message = |said: &Said| SavedMessage { id: said.id, real: said.real.clone(), stanza: said.stanza.to_bytes(Framing::Alone) };
    Some(SavedRoom { jid: room.lasting.jid.clone(), seats, history: room.history.messages.iter().map(message).collect() })
}

/// Puts back what was kept of a room that was just loaded, in which nobody is yet. What is broken, and who may not be there any more, is left out.
/// `administers` says who is an administrator of the server.
pub fn restore(room: &mut Room, saved: &SavedRoom, history_max: HistoryMax, administers: impl Fn(&BareJid) -> bool) {
    for seat in &saved.seats {
        if !room.restore(seat, administers(&seat.real.to_bare())) {
            tracing::debug!(room = %saved.jid, jid = %seat.real, "an occupant is not in the room any more");
        }
    }
    room.history = History::default();
    for SavedMessage { id, real, stanza } in &saved.history {
        match Stanza::parse(stanza.clone(), &Bindings::client()) {
            Ok(stanza) => room.history.push(Said { id: *id, real: real.clone(), stanza }, history_max),
            Err(error) => tracing::warn!(room = %saved.jid, ?error, "a message is not in the room's history any more"),
        }
    }
    // Numbers are never given twice, also those of messages that no archive has.
    room.last_id = room.last_id.max(saved.history.iter().map(|said| said.id).max());
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Scene, bare};
    use super::*;

    #[test]
    fn a_room_is_the_same_again() {
        let mut scene = Scene::new();
        assert_eq!(save(&scene.room), None);
        scene.join("crone1/desktop", "firstwitch");
        scene.join("hag66/pda", "thirdwitch");
        for number in 0..5 {
            let message = format!("<message type='groupchat' from='hag66/pda' to='coven' id='{number}'><body>{number} ☾</body></message>");
            scene.send(&message).unwrap();
        }
        let saved = save(&scene.room).unwrap();
        assert_eq!((saved.seats.len(), saved.history.len()), (2, 5));
        let mut again = Room::of(scene.room.lasting.clone());
        restore(&mut again, &saved, scene.limits.history, |_| false);
        assert_eq!(again, scene.room);

        // Fewer messages are shown by now, somebody is banned, and one message is broken.
        let mut saved = saved;
        saved.history[3].stanza = "<message".into();
        scene.affiliate("hag66", super::super::model::Affiliation::Outcast, None);
        let mut again = Room::of(scene.room.lasting.clone());
        restore(&mut again, &saved, HistoryMax { count: 2, ..scene.limits.history }, |account| *account == bare("crone1"));
        assert_eq!(again.occupants.iter().map(|occupant| occupant.nick().to_owned()).collect::<Vec<_>>(), ["firstwitch"]);
        let ids: Vec<_> = again.history.messages.iter().map(|said| said.id).collect();
        assert_eq!((ids, again.last_id), (vec![saved.history[2].id, saved.history[4].id], scene.room.last_id));
    }

    #[test]
    fn a_room_with_nobody_in_it_is_saved_for_what_no_archive_has() {
        let mut scene = Scene::new();
        scene.join("crone1/desktop", "firstwitch");
        scene.send("<message type='groupchat' from='crone1/desktop' to='coven'><body>1</body></message>").unwrap();
        scene.send("<presence type='unavailable' from='crone1/desktop' to='coven/firstwitch'/>").unwrap();
        assert_eq!(save(&scene.room).map(|saved| (saved.seats.len(), saved.history.len())), Some((0, 1)));
        scene.room.lasting.config.archived = true;
        assert_eq!(save(&scene.room), None);
    }
}
