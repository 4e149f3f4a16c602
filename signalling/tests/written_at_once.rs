//! Who writes what a room or a node sends to many (ADR 12): whoever brings it, unless more waits behind it; then each client's connection does.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Wake, Waker};

use campanile_signalling::mailbox::{Attachment, Delivery, Outgoing, Outlet, Wrote};
use campanile_signalling::stanza::Framing;
use futures_util::future::poll_immediate;

use crate::world::nodes::{self, HOST, done, form, publish, request, subscribe};
use crate::world::rooms::{ROOM, create, join, say};
use crate::world::{Client, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Whoever has brought it.
    Bringer,
    /// The connection's task.
    Task,
}

/// A client's connection: its socket takes all, and its task comes as soon as it is woken.
#[derive(Debug)]
struct Connection {
    mail: Attachment,
    written: Mutex<Vec<(By, String)>>,
}

impl Connection {
    fn of(client: &Client) -> Arc<Self> {
        let connection = Arc::new(Self { mail: client.mailbox.attach().expect("open"), written: Mutex::default() });
        connection.mail.lend(Arc::downgrade(&connection) as Weak<dyn Outlet>);
        connection.work();
        connection.written();
        connection
    }

    /// Writes all that waits, and waits for more.
    fn work(self: &Arc<Self>) {
        let waker = Waker::from(Arc::new(Task(Arc::downgrade(self))));
        while self.mail.poll(true, &mut Context::from_waker(&waker)).is_ready() {
            for item in self.mail.take() {
                if let Outgoing::Stanza(delivery) = item {
                    self.note(By::Task, &delivery);
                }
            }
        }
    }

    fn note(&self, by: By, delivery: &Delivery) {
        let text = String::from_utf8(delivery.stanza.to_bytes(Framing::Stream).to_vec()).expect("UTF-8");
        self.written.lock().expect("no panic").push((by, text));
    }

    /// Everything since the last look.
    fn written(&self) -> Vec<(By, String)> {
        std::mem::take(&mut *self.written.lock().expect("no panic"))
    }

    #[track_caller]
    fn expect(&self, expected: &[(By, &str)]) {
        let written = self.written();
        let is_it = |((by, text), (expected_by, part)): (&(By, String), &(By, &str))| by == expected_by && text.contains(part);
        assert!(written.len() == expected.len() && written.iter().zip(expected).all(is_it), "{expected:#?}: {written:#?}");
    }
}

impl Outlet for Connection {
    fn write(&self, mail: &Attachment) -> Wrote {
        let Some(taken) = mail.take_at_once(u32::MAX) else { return Wrote::Nothing };
        taken.for_each(|delivery| self.note(By::Bringer, &delivery));
        Wrote::All
    }
}

struct Task(Weak<Connection>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if let Some(connection) = self.0.upgrade() {
            connection.work();
        }
    }
}

#[tokio::test]
async fn what_a_room_sends_is_written_by_the_room_unless_more_waits_in_it() {
    let world = World::new("at-once-room", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[]).await;
    join(&world, &b, ROOM, "b").await;
    let connection = Connection::of(&b);
    for text in ["alone", "again"] {
        say(&a, ROOM, text).await;
        world.settled().await;
        connection.expect(&[(By::Bringer, text)]);
    }
    // The room's task has its turn when all three are there.
    let says = async {
        for text in ["first", "second", "third"] {
            say(&a, ROOM, text).await;
        }
    };
    assert!(poll_immediate(Box::pin(says)).await.is_some(), "nothing is waited for");
    world.settled().await;
    connection.expect(&[(By::Task, "first"), (By::Task, "second"), (By::Bringer, "third")]);
}

/// XEP-0045 §7.6: one stanza of the occupant's, and two for the others.
#[tokio::test]
async fn of_what_a_room_sends_together_it_writes_the_last_alone() {
    let world = World::new("at-once-nick", &["a", "b"]).await;
    let (a, b) = (world.client("a", "1").await, world.client("b", "1").await);
    create(&world, &a, ROOM, "a", &[]).await;
    join(&world, &b, ROOM, "b").await;
    let connection = Connection::of(&b);
    a.send(&format!("<presence to='{ROOM}/other'/>")).await;
    world.settled().await;
    connection.expect(&[(By::Task, "<status code='303'/>"), (By::Bringer, "from='coven@conference.localhost/other'")]);
}

#[tokio::test]
async fn what_a_node_sends_is_written_by_the_node_unless_more_waits_in_it() {
    let world = World::new("at-once-node", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    done(&alice, &nodes::create(HOST, "all", &[("node_type", "collection")])).await;
    done(&alice, &nodes::create(HOST, "leaf", &[("collection", "all")])).await;
    done(&bob, &subscribe(HOST, "leaf", "bob@localhost")).await;
    world.settled().await;
    let near = Connection::of(&bob);
    done(&alice, &publish(HOST, "leaf", "one")).await;
    world.settled().await;
    near.expect(&[(By::Bringer, "<item id='one'>")]);
    // Subscribers of a collection get a notification of their own (XEP-0248 §5.3), behind the other.
    let options = form("subscribe_options", &[("subscription_type", "items"), ("subscription_depth", "all")]);
    let content = format!("<subscribe node='all' jid='carol@localhost'/><options>{options}</options>");
    done(&carol, &request(HOST, "set", "", &content)).await;
    world.settled().await;
    let far = Connection::of(&carol);
    done(&alice, &publish(HOST, "leaf", "two")).await;
    world.settled().await;
    near.expect(&[(By::Task, "<item id='two'>")]);
    far.expect(&[(By::Bringer, "<item id='two'>")]);
}
