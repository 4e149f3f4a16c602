//! Requests that the server itself sends, and their answers (RFC 6120 §8.2.3). An answer is taken only from the address asked, and only once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::jid::{BareJid, Jid};
use crate::random;
use crate::stanza::{IqType, Stanza};

/// Requests of one kind whose answer is awaited; the oldest is given up first. The order has room for as many that are not awaited any more.
const AWAITED_MAX: usize = 4096;

/// Requests of one kind; `T` says what each was for.
#[derive(Debug)]
pub struct Asked<T> {
    table: Mutex<Table<T>>,
    /// How long an answer is awaited.
    patience: Duration,
    /// The first one was added.
    added: Notify,
}

#[derive(Debug)]
struct Table<T> {
    awaited: HashMap<String, Awaited<T>>,
    /// Ids and when they are given up, the oldest first; also of those that were answered meanwhile.
    order: VecDeque<(Instant, String)>,
    /// Given up for want of room.
    crowded_out: Vec<T>,
}

#[derive(Debug)]
struct Awaited<T> {
    of: Jid,
    purpose: T,
}

impl<T> Asked<T> {
    /// None yet; an answer is awaited for so long.
    pub fn new(patience: Duration) -> Self {
        let table = Table { awaited: HashMap::new(), order: VecDeque::new(), crowded_out: Vec::new() };
        Self { table: Mutex::new(table), patience, added: Notify::new() }
    }

    /// A request without payload from one of our domains. Its answer is awaited from now on.
    pub fn request(&self, type_: IqType, from: BareJid, to: Jid, purpose: T, now: Instant) -> Stanza {
        let id = random::id();
        let mut table = self.table();
        table.make_room();
        table.awaited.insert(id.clone(), Awaited { of: to.clone(), purpose });
        table.order.push_back((now + self.patience, id.clone()));
        drop(table);
        self.added.notify_one();
        Stanza::iq(type_, id).with_from(from).with_to(to)
    }

    /// What the request was for that this answers; `None` if it answers none.
    pub fn take(&self, answer: &Stanza) -> Option<T> {
        let (id, from) = (answer.id()?, answer.from()?);
        let mut table = self.table();
        if table.awaited.get(id)?.of != *from {
            return None;
        }
        // Its place in the order goes when its turn comes.
        table.awaited.remove(id).map(|awaited| awaited.purpose)
    }

    /// An answer to this request is of no use any more.
    pub fn forget(&self, id: &str) {
        self.table().awaited.remove(id);
    }

    /// Requests that are given up: nobody has answered in time.
    pub fn give_up(&self, now: Instant) -> Vec<T> {
        let mut table = self.table();
        let mut given_up = std::mem::take(&mut table.crowded_out);
        while table.order.front().is_some_and(|(at, _)| *at <= now) {
            let oldest = table.order.pop_front().and_then(|(_, id)| table.awaited.remove(&id));
            given_up.extend(oldest.map(|awaited| awaited.purpose));
        }
        given_up
    }

    /// Waits until requests are to be given up.
    pub async fn overdue(&self) {
        loop {
            let next = {
                let table = self.table();
                if !table.crowded_out.is_empty() {
                    return;
                }
                table.order.front().map(|(at, _)| *at)
            };
            tokio::select! {
                () = at(next) => return,
                () = self.added.notified() => {}
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        // Whole after every call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Table<T> {
    /// For one more request.
    fn make_room(&mut self) {
        while self.awaited.len() >= AWAITED_MAX {
            let Some((_, oldest)) = self.order.pop_front() else { return };
            self.crowded_out.extend(self.awaited.remove(&oldest).map(|awaited| awaited.purpose));
        }
        if self.order.len() >= 2 * AWAITED_MAX {
            let awaited = &self.awaited;
            self.order.retain(|(_, id)| awaited.contains_key(id));
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn ask(asked: &Asked<u32>, purpose: u32, now: Instant) -> Stanza {
        asked.request(IqType::Get, jid("a.example").to_domain(), jid("b@a.example/c"), purpose, now)
    }

    fn answer(request: &Stanza, from: &str) -> Stanza {
        Stanza::iq(IqType::Result, request.id().unwrap()).with_from(jid(from)).with_to(jid("a.example"))
    }

    #[test]
    fn an_answer_counts_once_and_only_from_whom_was_asked() {
        let (asked, now) = (Asked::new(PATIENCE), Instant::now());
        let (first, second) = (ask(&asked, 1, now), ask(&asked, 2, now));
        assert_ne!(first.id(), second.id());
        for other in ["b@a.example", "b@a.example/d", "a.example"] {
            assert_eq!(asked.take(&answer(&first, other)), None, "{other}");
        }
        assert_eq!(asked.take(&answer(&first, "b@a.example/c")), Some(1));
        assert_eq!(asked.take(&answer(&first, "b@a.example/c")), None);
        assert_eq!(asked.give_up(now + PATIENCE), [2]);
        assert_eq!(asked.take(&answer(&second, "b@a.example/c")), None);
    }

    #[test]
    fn the_oldest_is_given_up_first_in_time_and_for_want_of_room() {
        let (asked, now) = (Asked::new(PATIENCE), Instant::now());
        let later = now + PATIENCE / 2;
        let first = ask(&asked, 0, now);
        (1..AWAITED_MAX as u32).for_each(|number| drop(ask(&asked, number, later)));
        assert!(asked.give_up(later).is_empty());
        ask(&asked, AWAITED_MAX as u32, later);
        assert_eq!(asked.take(&answer(&first, "b@a.example/c")), None);
        assert_eq!(asked.give_up(later), [0]);
        assert_eq!(asked.give_up(later + PATIENCE).len(), AWAITED_MAX);
        let table = asked.table();
        assert!(table.awaited.is_empty() && table.order.is_empty());
    }

    #[test]
    fn what_is_not_awaited_any_more_crowds_nobody_out() {
        let (asked, now) = (Asked::new(PATIENCE), Instant::now());
        let first = ask(&asked, 0, now);
        for number in 1..4 * AWAITED_MAX as u32 {
            let request = ask(&asked, number, now);
            if number % 2 == 0 {
                asked.forget(request.id().unwrap());
                assert_eq!(asked.take(&answer(&request, "b@a.example/c")), None);
            } else {
                assert_eq!(asked.take(&answer(&request, "b@a.example/c")), Some(number));
            }
            assert!(asked.table().order.len() <= 2 * AWAITED_MAX);
        }
        assert_eq!(asked.take(&answer(&first, "b@a.example/c")), Some(0));
        assert!(asked.give_up(now).is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_learns_of_what_is_overdue() {
        let (asked, now) = (Asked::new(PATIENCE), Instant::now());
        tokio::join!(asked.overdue(), async { drop(ask(&asked, 1, now - PATIENCE)) });
        assert_eq!(asked.give_up(now), [1]);
    }
}
