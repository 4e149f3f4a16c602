//! Tables and properties of the mailbox.

mod unread;

use proptest::prelude::*;
use proptest::sample::Index;

use super::queue::{HELD_ITEMS_MAX, SUPERSEDE_FROM};
use super::*;
use crate::stanza::Stanza;

fn delivery(body: &str) -> Delivery {
    let xml = format!("<message to='a@localhost'><body>{body}</body></message>");
    Stanza::parse(xml.into_bytes().into(), &crate::xml::Bindings::client()).expect("well-formed").into()
}

fn stanza(body: &str) -> Outgoing {
    Outgoing::Stanza(delivery(body))
}

fn bodies<'a>(items: impl IntoIterator<Item = &'a Delivery>) -> String {
    items.into_iter().filter_map(|delivery| Some(delivery.stanza.child(crate::ns::CLIENT, "body")?.text().into_owned())).collect()
}

fn drained(attachment: &Attachment) -> String {
    let out: Vec<_> = attachment.take().collect();
    bodies(out.iter().filter_map(|item| if let Outgoing::Stanza(delivery) = item { Some(delivery) } else { None }))
}

/// A mailbox with stream management and one connection.
fn managed(bytes_max: usize) -> Attachment {
    let attachment = Arc::new(Mailbox::new(bytes_max)).attach().expect("open");
    assert!(attachment.mailbox.manage() && !attachment.mailbox.manage());
    attachment
}

#[test]
fn what_was_pushed_comes_out_in_order() {
    let mailbox = Mailbox::new(10_000);
    assert!(mailbox.push(stanza("1")) && mailbox.push(stanza("2")));
    let mut out = Vec::new();
    mailbox.drain(&mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn a_full_mailbox_ends_the_stream_and_takes_nothing_more() {
    let mailbox = Mailbox::new(200);
    assert!(mailbox.push(stanza(&"x".repeat(100))));
    assert!(!mailbox.push(stanza(&"x".repeat(100))));
    assert!(!mailbox.push(stanza("y")));
    let mut out = Vec::new();
    mailbox.drain(&mut out);
    assert!(matches!(&out[..], [Outgoing::Stanza(_), Outgoing::Close(_)]));
}

#[tokio::test]
async fn the_end_is_told_apart_from_mail() {
    let mailbox = Arc::new(Mailbox::new(200));
    let attachment = mailbox.attach().expect("open");
    assert!(mailbox.push(stanza("1")));
    assert_eq!(due(&attachment, true).await, Due::Mail);
    let ended = due(&attachment, false);
    tokio::pin!(ended);
    assert!(futures_util::poll!(&mut ended).is_pending());
    assert!(!mailbox.push(stanza(&"x".repeat(200))));
    assert_eq!((ended.await, due(&attachment, true).await), (Due::Ended, Due::Mail));
    assert!(attachment.take_close().is_some() && attachment.take_close().is_none());
    assert_eq!(bodies(&mailbox.take_back()), "1");
    assert_eq!(mailbox.bytes(), 0);
    assert!(mailbox.attach().is_none());
}

#[test]
fn xep0198_s4_what_is_sent_is_kept_until_it_is_acknowledged() {
    let attachment = managed(1000);
    let mailbox = &attachment.mailbox;
    for body in ["1", "2", "3"] {
        assert!(mailbox.push(stanza(body)));
    }
    let bytes = mailbox.bytes();
    assert_eq!(drained(&attachment), "123");
    assert_eq!(mailbox.bytes(), bytes, "what may have to be sent again counts");
    let acknowledged = attachment.acknowledge(2).expect("sent");
    assert_eq!((acknowledged.count, acknowledged.outstanding), (2, 1));
    assert_eq!(attachment.acknowledge(1).expect("old").count, 0);
    assert_eq!(attachment.acknowledge(4).expect_err("too high"), TooHigh { h: 4, sent: 3 });
    mailbox.push(stanza("4"));
    assert_eq!(bodies(&mailbox.take_back()), "34");
    assert_eq!(mailbox.bytes(), 0);
    assert_eq!(attachment.acknowledge(3).expect("it was sent").count, 0, "it was given back");
    assert!(!mailbox.push(stanza("5")));
}

#[test]
fn xep0198_s5_what_was_not_acknowledged_is_sent_again_first() {
    let first = managed(1000);
    let mailbox = first.mailbox.clone();
    for body in ["1", "2", "3"] {
        mailbox.push(stanza(body));
    }
    drained(&first);
    mailbox.push(stanza("4"));
    let second = mailbox.attach().expect("open");
    assert!(!first.is_current() && !first.retire());
    assert_eq!(drained(&first), "");
    assert_eq!(second.rewind(4).expect_err("not sent"), TooHigh { h: 4, sent: 3 });
    assert_eq!(second.rewind(1).expect("sent").count, 1);
    assert_eq!(drained(&second), "234");
    assert_eq!(second.acknowledge(4).expect("sent").count, 3);
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn unacknowledged_stanzas_count_as_waiting_ones_do() {
    let attachment = managed(200);
    assert!(attachment.mailbox.push(stanza(&"x".repeat(100))));
    drained(&attachment);
    assert!(!attachment.mailbox.push(stanza(&"x".repeat(100))));
    assert_eq!(attachment.mailbox.take_back().len(), 1);
}

/// What a client has been sent and not acknowledged yet holds up nobody, unless nothing more would fit.
#[test]
fn what_is_only_not_acknowledged_leaves_room() {
    let attachment = managed(1000);
    let mailbox = &attachment.mailbox;
    let size = delivery(&"x".repeat(550)).stanza.size_bytes();
    assert!(mailbox.has_room_for(1000) && !mailbox.has_room_for(1001));
    assert!(mailbox.push(stanza(&"x".repeat(550))));
    assert!(!mailbox.has_room_for(1), "more than half waits");
    drained(&attachment);
    assert!(mailbox.has_room_for(1000 - size), "it has been sent");
    assert!(!mailbox.has_room_for(1001 - size));
    assert!(attachment.acknowledge(1).is_ok() && mailbox.has_room_for(1000));
    mailbox.push(stanza(&"x".repeat(550)));
    mailbox.close();
    assert!(mailbox.has_room_for(1000), "it takes nothing more");
}

/// The task of a connection that is gone is not held in memory until something comes for its session.
#[test]
fn a_mailbox_without_connection_holds_no_task() {
    struct Task;
    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let waits = |attachment: &Attachment| {
        let task = Arc::new(Task);
        assert!(attachment.poll(true, &mut Context::from_waker(&task.clone().into())).is_pending());
        assert_eq!(Arc::strong_count(&task), 2);
        task
    };
    let attachment = managed(1000);
    let task = waits(&attachment);
    assert!(attachment.detach(&Arc::new(Overflows::default()), SessionId::next()));
    assert_eq!(Arc::strong_count(&task), 1);
    let next = attachment.mailbox.attach().expect("open");
    let task = waits(&next);
    // Who was taken over from is not the reader any more.
    assert!(!attachment.detach(&Arc::new(Overflows::default()), SessionId::next()) && !attachment.retire());
    assert_eq!(Arc::strong_count(&task), 2);
    assert!(next.retire());
    assert_eq!(Arc::strong_count(&task), 1);
}

#[tokio::test]
async fn a_takeover_waits_for_the_stanza_under_way() {
    let first = managed(1000);
    first.begin().expect("present").done(7);
    let handling = first.begin().expect("present");
    let second = first.mailbox.attach().expect("open");
    assert_eq!(due(&first, true).await, Due::Ended);
    assert!(first.begin().is_none());
    {
        let settled = second.settled();
        tokio::pin!(settled);
        assert!(futures_util::poll!(&mut settled).is_pending());
        handling.done(9);
        settled.await;
    }
    assert_eq!(second.mailbox.progress(), Progress { handled: 2, queued: 9 });
    drop(second.begin());
    assert_eq!(second.mailbox.progress().handled, 2, "what was cut off is not handled");
    second.mailbox.close();
    assert!(second.begin().is_none(), "nobody is there to handle it");
}

#[tokio::test]
async fn an_overflow_without_a_connection_is_told() {
    let attachment = managed(200);
    let (overflowed, session) = (Arc::new(Overflows::default()), SessionId::next());
    assert!(attachment.detach(&overflowed, session));
    assert!(!attachment.mailbox.push(stanza(&"x".repeat(200))));
    assert_eq!(overflowed.next().await, [session]);
    assert!(attachment.mailbox.attach().is_none());
    assert!(!attachment.detach(&overflowed, session));
    let contents = Contents { acknowledged: 0, handled: 0, outstanding: Vec::new(), waiting: Vec::new(), owed: false };
    let restored = Mailbox::restored(200, contents);
    restored.tell_overflow(&overflowed, session);
    assert!(!restored.push(stanza(&"x".repeat(200))));
    assert_eq!(overflowed.next().await, [session]);
}

#[test]
fn contents_make_the_same_mailbox_again() {
    let attachment = managed(1000);
    for body in ["1", "2", "3"] {
        attachment.mailbox.push(stanza(body));
    }
    drained(&attachment);
    attachment.acknowledge(1).expect("sent");
    attachment.begin().expect("present").done(0);
    attachment.mailbox.push(stanza("4"));
    attachment.mailbox.push(Outgoing::Owed);
    attachment.mailbox.push(Outgoing::Owed);
    let contents = attachment.mailbox.into_contents();
    assert!(attachment.mailbox.is_closed() && contents.owed);
    let mailbox = Arc::new(Mailbox::restored(1000, contents));
    assert_eq!(mailbox.progress().handled, 1);
    let again = mailbox.attach().expect("open");
    again.rewind(2).expect("sent");
    let out: Vec<_> = again.take().collect();
    assert_eq!(mailbox.outstanding(), 2);
    assert!(matches!(&out[..], [Outgoing::Stanza(_), Outgoing::Stanza(_), Outgoing::Owed]));
}

fn parsed(xml: &str) -> Outgoing {
    Outgoing::Stanza(Stanza::parse(xml.to_owned().into(), &crate::xml::Bindings::client()).expect("well-formed").into())
}

fn presence(from: &str, status: &str) -> Outgoing {
    parsed(&format!("<presence from='{from}'><status>{status}</status></presence>"))
}

fn composing(from: &str) -> Outgoing {
    parsed(&format!("<message from='{from}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"))
}

/// What comes out, shortened to what differs.
fn taken(attachment: &Attachment) -> Vec<String> {
    let out: Vec<_> = attachment.take().collect();
    let short = |item: Outgoing| match item {
        Outgoing::Stanza(Delivery { stanza, .. }) => {
            let from = stanza.from().map_or("", |from| from.as_str()).to_owned();
            let child = stanza.children().next();
            from + " " + &child.map(|child| format!("{} {}", child.name(), child.text())).unwrap_or_default()
        }
        other => format!("{other:?}"),
    };
    out.into_iter().map(|item| short(item).trim_end().to_owned()).collect()
}

async fn due(attachment: &Attachment, takes_mail: bool) -> Due {
    std::future::poll_fn(|cx| attachment.poll(takes_mail, cx)).await
}

async fn is_due(attachment: &Attachment) -> bool {
    let ready = due(attachment, true);
    tokio::pin!(ready);
    futures_util::poll!(&mut ready).is_ready()
}

#[tokio::test]
async fn xep0352_s3_2_an_inactive_client_gets_what_is_urgent_and_what_waited_before_it() {
    let attachment = Arc::new(Mailbox::new(100_000)).attach().expect("open");
    let mailbox = attachment.mailbox().clone();
    attachment.set_active(false);
    for item in
        [presence("a@b/c", "1"), composing("a@b/c"), presence("d@e/f", "1"), presence("a@b/c", "2"), composing("d@e/f"), composing("a@b/c")]
    {
        assert!(mailbox.push(item));
    }
    assert!(!is_due(&attachment).await);
    mailbox.push(parsed("<message from='a@b/c'><body>now</body></message>"));
    assert!(is_due(&attachment).await);
    assert_eq!(taken(&attachment), ["d@e/f status 1", "a@b/c status 2", "d@e/f composing", "a@b/c body now"]);
    assert_eq!(mailbox.bytes(), 0);
    mailbox.push(presence("a@b/c", "3"));
    assert!(!is_due(&attachment).await, "what was urgent is gone");
    mailbox.push(Outgoing::Owed);
    assert!(is_due(&attachment).await, "messages may be owed");
    attachment.set_active(true);
    assert!(is_due(&attachment).await);
    assert_eq!(taken(&attachment), ["a@b/c status 3", "Owed"]);
    mailbox.push(presence("a@b/c", "4"));
    assert!(is_due(&attachment).await);
    attachment.set_active(false);
    assert!(is_due(&attachment).await, "it was to be sent at once");
    // §5.2: a new connection is active.
    let again = mailbox.attach().expect("open");
    taken(&again);
    mailbox.push(presence("a@b/c", "5"));
    assert!(is_due(&again).await);
}

#[tokio::test]
async fn xep0352_s3_2_of_an_item_an_inactive_client_gets_the_last_notification() {
    let attachment = Arc::new(Mailbox::new(100_000)).attach().unwrap();
    let event = |node: &str, item: &str| {
        parsed(&format!(
            "<message from='a@b' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{node}'>{item}</items></event></message>"
        ))
    };
    attachment.set_active(false);
    for (node, item) in [
        ("tune", "<item id='current'><a xmlns='u'/></item>"),
        ("mood", "<item id='current'/>"),
        ("tune", "<item id='current'><b xmlns='u'/></item>"),
        ("blog", "<item id='1'/>"),
        ("blog", "<item id='2'/>"),
        ("blog", "<retract id='1'/>"),
    ] {
        assert!(attachment.mailbox().push(event(node, item)));
    }
    assert!(!is_due(&attachment).await);
    attachment.set_active(true);
    let taken: Vec<_> = attachment.take().map(|item| format!("{item:?}")).collect();
    let parts = ["node='mood'", "<b xmlns='u'/>", "<item id='2'/>", "<retract id='1'/>"];
    assert_eq!(taken.len(), parts.len(), "{taken:#?}");
    taken.iter().zip(parts).for_each(|(stanza, part)| assert!(stanza.contains(part), "{stanza} misses {part}"));
}

#[tokio::test]
async fn xep0352_s3_2_what_an_inactive_client_does_not_get_is_bounded() {
    let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
    attachment.set_active(false);
    for number in 0..10_000 {
        attachment.mailbox.push(presence("a@b/c", &number.to_string()));
    }
    assert!(!is_due(&attachment).await, "the last one only");
    assert!(attachment.mailbox.locked().waiting.len() <= 2 * SUPERSEDE_FROM + 2);
    for number in 0..HELD_ITEMS_MAX {
        attachment.mailbox.push(presence(&format!("a@b/{number}"), ""));
    }
    assert!(is_due(&attachment).await);
    assert_eq!(taken(&attachment)[0], "a@b/c status 9999");
    attachment.mailbox.push(presence("a@b/c", &"x".repeat(130_000)));
    assert!(is_due(&attachment).await, "it is large");
}

#[test]
fn presence_that_waits_is_superseded_once_much_waits_and_order_is_kept() {
    let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
    let mailbox = attachment.mailbox();
    for number in 0..SUPERSEDE_FROM {
        mailbox.push(presence("a@b/c", &number.to_string()));
    }
    mailbox.push(parsed("<message from='a@b/c'><body>x</body></message>"));
    for number in 0..2_000 {
        mailbox.push(presence("a@b/c", &format!("late {number}")));
        mailbox.push(presence(&format!("n@b/{}", number % 100), &number.to_string()));
    }
    let out = taken(&attachment);
    // What waited before is left alone, but for the last.
    assert_eq!(out.len(), SUPERSEDE_FROM - 1 + 1 + 1 + 100, "{out:#?}");
    assert_eq!(out[SUPERSEDE_FROM - 1], "a@b/c body x");
    assert_eq!(out.iter().filter(|line| line.starts_with("a@b/c status late")).collect::<Vec<_>>(), ["a@b/c status late 1999"]);
    assert_eq!(out.last().map(String::as_str), Some("n@b/99 status 1999"));
    assert_eq!(mailbox.bytes(), 0);
}

#[test]
fn what_is_stored_is_never_superseded() {
    let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
    attachment.set_active(false);
    let stored = |item: Outgoing| match item {
        Outgoing::Stanza(delivery) => Outgoing::Stanza(Delivery { stored: Some(ArchiveId::from_i64(1)), ..delivery }),
        other => other,
    };
    for _ in 0..3 {
        attachment.mailbox.push(stored(composing("a@b/c")));
    }
    assert_eq!(taken(&attachment).len(), 3);
}

/// One thing that happens between the two ends.
#[derive(Debug, Clone)]
enum Step {
    /// The router puts in so many stanzas.
    Push(usize),
    /// The router puts in one stanza of those for many, and wakes nobody yet.
    PushUnread,
    /// Whoever has put in one of those that are not seen to yet writes what waits. The line takes so many stanzas, and the socket all of it or a part.
    WriteInPlace(Index, u32, bool),
    /// It leaves that to the reader.
    Leave(Index),
    /// The connection has nothing to do, and waits.
    Rest,
    /// The connection writes all that waits.
    Write,
    /// The client reads so many of the stanzas under way.
    Read(usize),
    /// The client says how far it has come.
    Acknowledge,
    /// The connection breaks; what was under way is lost, and the client resumes.
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..5_usize).prop_map(Step::Push),
        4 => Just(Step::PushUnread),
        4 => (any::<Index>(), prop_oneof![0..4_u32, Just(u32::MAX)], any::<bool>())
            .prop_map(|(which, max, whole)| Step::WriteInPlace(which, max, whole)),
        1 => any::<Index>().prop_map(Step::Leave),
        4 => Just(Step::Rest),
        2 => Just(Step::Write),
        2 => (0..6_usize).prop_map(Step::Read),
        1 => Just(Step::Acknowledge),
        1 => Just(Step::Cut),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    /// XEP-0198 §5: however often the connection breaks, and wherever the counters stand, the client sees each stanza once and in order, and what
    /// it has not acknowledged at the end is given back.
    #[test]
    fn xep0198_each_stanza_once_and_in_order_whatever_breaks(steps in steps(), start in prop_oneof![Just(0), Just(u32::MAX - 3), any::<u32>()]) {
        let contents = Contents { acknowledged: start, handled: 0, outstanding: Vec::new(), waiting: Vec::new(), owed: false };
        let mailbox = Arc::new(Mailbox::restored(usize::MAX, contents));
        let mut connection = mailbox.attach().expect("open");
        let (mut pushed, mut seen, mut acknowledged) = (0_usize, 0_usize, 0_usize);
        let mut under_way = VecDeque::new();
        let outlet = unread::Taker::lent_to(&connection);
        let mut unread: Vec<Unread> = Vec::new();
        let write = |connection: &Attachment, under_way: &mut VecDeque<String>| {
            let out: Vec<_> = connection.take().collect();
            under_way.extend(out.iter().filter_map(|item| match item {
                Outgoing::Stanza(delivery) => Some(bodies([delivery])),
                _ => None,
            }));
        };
        for step in steps {
            match step {
                Step::Push(count) => {
                    for _ in 0..count {
                        prop_assert!(mailbox.push(stanza(&pushed.to_string())));
                        pushed += 1;
                    }
                }
                Step::PushUnread => {
                    let (taken, own) = mailbox.push_unread(stanza(&pushed.to_string()));
                    prop_assert!(taken);
                    pushed += 1;
                    unread.extend(own);
                }
                Step::WriteInPlace(which, max, whole) if !unread.is_empty() => {
                    outlet.set(unread::Terms { max, whole });
                    unread.swap_remove(which.index(unread.len())).write();
                    under_way.extend(outlet.taken());
                }
                Step::Leave(which) if !unread.is_empty() => drop(unread.swap_remove(which.index(unread.len()))),
                Step::WriteInPlace(..) | Step::Leave(_) => {}
                Step::Rest => {
                    // Woken or not, it finds what waits.
                    let due = connection.poll(true, &mut Context::from_waker(std::task::Waker::noop()));
                    prop_assert_eq!(due.is_ready(), !mailbox.locked().waiting.is_empty());
                }
                Step::Write => {
                    connection.pause();
                    write(&connection, &mut under_way);
                }
                Step::Read(count) => {
                    for body in under_way.drain(..count.min(under_way.len())) {
                        prop_assert_eq!(body, seen.to_string());
                        seen += 1;
                    }
                }
                Step::Acknowledge => {
                    let result = connection.acknowledge(start.wrapping_add(seen as u32)).expect("it was sent");
                    acknowledged += result.count;
                    prop_assert_eq!(acknowledged, seen);
                }
                Step::Cut => {
                    under_way.clear();
                    let next = mailbox.attach().expect("open");
                    acknowledged += next.rewind(start.wrapping_add(seen as u32)).expect("it was sent").count;
                    prop_assert_eq!(acknowledged, seen);
                    connection = next;
                    connection.lend(outlet.weak());
                }
            }
        }
        let left = mailbox.take_back();
        prop_assert_eq!(left.len(), pushed - acknowledged);
        for (delivery, number) in left.iter().zip(acknowledged..) {
            prop_assert_eq!(bodies([delivery]), number.to_string());
        }
    }
}
