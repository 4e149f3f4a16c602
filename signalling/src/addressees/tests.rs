use std::cell::Cell;
use std::collections::HashMap;

use super::*;
use crate::jid::BareJid;

/// Accounts in memory, and how often one was looked for.
struct World {
    homes: HashMap<Jid, Arc<Home>>,
    looks: Cell<usize>,
}

impl World {
    fn find(&self, jid: &Jid) -> Option<Arc<Home>> {
        self.looks.set(self.looks.get() + 1);
        self.homes.get(jid).cloned()
    }

    /// Uses a list once: who was reached, and how often one was looked for.
    fn reach(&self, list: &Addressees) -> (Vec<Jid>, usize) {
        self.looks.set(0);
        let mut reached = Vec::new();
        for block in list.blocks() {
            let mut moved = 0;
            for known in block.known(|jid| self.find(jid)).iter() {
                let jid = known.jid(&block);
                let (home, has_moved) = known.home(|| self.find(jid));
                moved += usize::from(has_moved);
                reached.extend(home.map(|home| {
                    assert_eq!(home.jid, jid.to_bare());
                    jid.clone()
                }));
            }
            block.note_moved(moved);
        }
        (reached, self.looks.get())
    }
}

fn account(number: usize) -> Jid {
    Jid::parse(&format!("{number}@x")).unwrap()
}

fn home(jid: &Jid) -> Arc<Home> {
    Arc::new(Home::new(BareJid::parse(jid.as_str()).unwrap()))
}

fn sorted(mut jids: Vec<Jid>) -> Vec<Jid> {
    jids.sort_unstable();
    jids
}

#[test]
fn homes_are_looked_for_once_and_come_in_the_order_of_memory() {
    let jids: Vec<Jid> = (0..BLOCK * 2 + 10).map(account).collect();
    let list = Addressees::from(jids.clone());
    // In memory they lie in another order than in the list.
    let homes = jids.iter().rev().map(|jid| (jid.clone(), home(jid))).collect();
    let world = World { homes, looks: Cell::new(0) };
    let (reached, looks) = world.reach(&list);
    assert_eq!((sorted(reached), looks), (sorted(jids.clone()), jids.len()));
    let (reached, looks) = world.reach(&list.clone());
    assert_eq!((reached.len(), looks), (jids.len(), 0));
    for block in reached.chunks(BLOCK) {
        assert!(block.is_sorted_by_key(|jid| Arc::as_ptr(&world.homes[jid])));
    }
}

#[test]
fn some_that_have_moved_are_looked_for_each_time_and_many_once_more() {
    const ALL: usize = 80;
    const SOME: usize = ALL / MOVED_PART;
    let jids: Vec<Jid> = (0..ALL).map(account).collect();
    let list = Addressees::from(jids.clone());
    let mut world = World { homes: jids.iter().map(|jid| (jid.clone(), home(jid))).collect(), looks: Cell::new(0) };
    world.reach(&list);
    let move_one = |world: &mut World, number: usize| {
        let jid = account(number);
        world.homes.insert(jid.clone(), home(&jid));
    };
    (0..SOME).for_each(|number| move_one(&mut world, number));
    for _ in 0..2 {
        let (reached, looks) = world.reach(&list);
        assert_eq!((sorted(reached), looks), (sorted(jids.clone()), SOME));
    }
    move_one(&mut world, SOME);
    let found = [SOME + 1, ALL, 0].map(|looks| (ALL, looks));
    assert_eq!([(); 3].map(|()| world.reach(&list)).map(|(reached, looks)| (reached.len(), looks)), found);
}

/// Who is gone counts among those who have moved, so that no memory of many is kept.
#[test]
fn who_is_gone_is_reached_by_nobody_and_not_remembered_for_long() {
    let jids: Vec<Jid> = (0..8).map(account).collect();
    let list = Addressees::from(jids.clone());
    let mut world = World { homes: jids.iter().map(|jid| (jid.clone(), home(jid))).collect(), looks: Cell::new(0) };
    world.reach(&list);
    [2, 5].iter().for_each(|number| drop(world.homes.remove(&account(*number))));
    for looks in [2, 8 + 2, 2] {
        assert_eq!(world.reach(&list).1, looks);
    }
    let is_remembered = |known: &Known| known.home.was_somewhere();
    assert_eq!(list.blocks().flat_map(|block| block.known(|_| None).to_vec()).filter(is_remembered).count(), 6);
    assert_eq!(sorted(world.reach(&list).0), sorted([0, 1, 3, 4, 6, 7].map(account).to_vec()));
}

#[test]
fn nobody_is_no_block() {
    assert_eq!(Addressees::default().blocks().count(), 0);
    assert_eq!(Addressees::from(Vec::new()), Addressees::default());
}
