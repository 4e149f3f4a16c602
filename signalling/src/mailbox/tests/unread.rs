//! Whoever has pushed writes in the reader's place: when it may, and who comes when it may not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::super::queue::{AT_ONCE_BYTES_MAX, AT_ONCE_ITEMS_MAX};
use super::*;

/// An outlet that notes what it would have written.
#[derive(Debug)]
pub(super) struct Taker {
    terms: Mutex<Terms>,
    taken: Mutex<Vec<String>>,
}

/// What it does when it is asked to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// It takes no more stanzas than these.
    pub(super) max: u32,
    /// The socket takes all of it.
    pub(super) whole: bool,
}

impl Taker {
    fn new(max: u32, whole: bool) -> Arc<Self> {
        Arc::new(Self { terms: Mutex::new(Terms { max, whole }), taken: Mutex::default() })
    }

    /// From now on it does this.
    pub(super) fn set(&self, terms: Terms) {
        *self.terms.lock().expect("no panic") = terms;
    }

    pub(super) fn lent_to(attachment: &Attachment) -> Arc<Self> {
        let outlet = Self::new(u32::MAX, true);
        attachment.lend(outlet.weak());
        outlet
    }

    pub(super) fn weak(self: &Arc<Self>) -> Weak<dyn Outlet> {
        Arc::downgrade(self) as _
    }

    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.taken.lock().expect("no panic"))
    }
}

impl Outlet for Taker {
    fn write(&self, mail: &Attachment) -> Wrote {
        let Terms { max, whole } = *self.terms.lock().expect("no panic");
        let Some(taken) = mail.take_at_once(max) else { return Wrote::Nothing };
        self.taken.lock().expect("no panic").extend(taken.map(|delivery| bodies([&delivery])));
        if whole { Wrote::All } else { Wrote::Part }
    }
}

/// Counts how often the reader was woken.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A reader that waits, and how often it was woken.
fn waits(attachment: &Attachment, takes_mail: bool) -> Arc<Bell> {
    let bell = Arc::new(Bell::default());
    assert!(attachment.poll(takes_mail, &mut Context::from_waker(&Waker::from(bell.clone()))).is_pending());
    bell
}

fn stored(body: &str) -> Outgoing {
    Outgoing::Stanza(Delivery { stored: Some(ArchiveId::from_i64(7)), ..delivery(body) })
}

/// What becomes of the stanza "now".
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was written with all that waited.
    Written,
    /// The reader was woken for it.
    Woken,
    /// It waits.
    Waits,
}

#[test]
fn who_writes_and_who_comes() {
    type Case = (&'static str, fn(&Attachment) -> Option<Unread>, u32, End);
    let nothing: fn(&Attachment) -> Option<Unread> = |_| None;
    let cases: &[Case] = &[
        ("the reader waits", nothing, u32::MAX, End::Written),
        ("the connection may write one", nothing, 1, End::Written),
        ("its task has to know before", nothing, 0, End::Woken),
        (
            "the reader is at work",
            |own| {
                own.pause();
                None
            },
            u32::MAX,
            End::Waits,
        ),
        (
            "nobody looks at the client, and it is urgent",
            |own| {
                own.set_active(false);
                None
            },
            u32::MAX,
            End::Written,
        ),
        (
            "the session has stream management",
            |own| {
                own.mailbox.manage();
                None
            },
            u32::MAX,
            End::Written,
        ),
        ("more is owed", |own| own.mailbox.push_unread(Outgoing::Owed).1, u32::MAX, End::Woken),
        ("somebody has to hear when it is written", |own| own.mailbox.push_unread(stored("")).1, u32::MAX, End::Woken),
        (
            "the connection's line is gone",
            |own| {
                own.lend(Weak::<Taker>::new());
                None
            },
            u32::MAX,
            End::Woken,
        ),
    ];
    for (name, before, max, end) in cases {
        let attachment = Arc::new(Mailbox::new(10_000)).attach().expect("open");
        let outlet = Taker::new(*max, true);
        attachment.lend(outlet.weak());
        let bell = waits(&attachment, true);
        let earlier = before(&attachment);
        let (taken, unread) = attachment.mailbox.push_unread(stanza("now"));
        assert!(taken, "{name}");
        assert_eq!(bell.0.load(Ordering::Relaxed), 0, "{name}: not before it is tried");
        unread.into_iter().chain(earlier).for_each(Unread::write);
        let written = outlet.taken();
        let found = match (written.is_empty(), bell.0.load(Ordering::Relaxed)) {
            (false, 0) => End::Written,
            (true, 1) => End::Woken,
            (true, 0) => End::Waits,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, *end, "{name}");
        assert_eq!(written, if found == End::Written { vec!["now"] } else { vec![] }, "{name}");
        assert!(drained(&attachment).ends_with(if found == End::Written { "" } else { "now" }), "{name}");
    }
}

#[test]
fn what_waits_is_written_with_it_in_order_and_no_more_than_may_be() {
    let attachment = managed(10_000);
    let outlet = Taker::new(2, true);
    attachment.lend(outlet.weak());
    for (waiting, written) in [(1, 2), (2, 0)] {
        let bell = waits(&attachment, true);
        for number in 0..waiting {
            assert!(attachment.mailbox.push(stanza(&number.to_string())));
        }
        // Who has pushed before has woken the reader; it has not come yet, and nobody does its work.
        let (_, unread) = attachment.mailbox.push_unread(stanza("now"));
        assert!(unread.is_none());
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        drained(&attachment);
        // Several pushes of one who has not written yet.
        let bell = waits(&attachment, true);
        let unread: Vec<_> = (0..=waiting).filter_map(|number| attachment.mailbox.push_unread(stanza(&number.to_string())).1).collect();
        assert_eq!(unread.len(), waiting + 1);
        unread.into_iter().for_each(Unread::write);
        assert_eq!(outlet.taken().len(), written);
        assert_eq!(bell.0.load(Ordering::Relaxed), usize::from(written == 0));
        assert_eq!(drained(&attachment).len(), if written == 0 { waiting + 1 } else { 0 });
    }
    // XEP-0198 §4: whoever has written it, it is not acknowledged.
    assert_eq!(bodies(&attachment.mailbox.take_back()), "0now0101now012");
}

#[test]
fn only_little_is_written_in_the_readers_place() {
    let head = delivery("").stanza.size_bytes();
    let items = |count: usize, bytes: usize| {
        // So many stanzas of so many bytes together.
        let each = bytes / count;
        let size = move |number| if number == 0 { each + bytes % count } else { each };
        (0..count).map(move |number| stanza(&"x".repeat(size(number) - head)))
    };
    let small = AT_ONCE_ITEMS_MAX * 2 * head;
    for (count, bytes, written) in [
        (AT_ONCE_ITEMS_MAX, small, true),
        (AT_ONCE_ITEMS_MAX + 1, small, false),
        (1, AT_ONCE_BYTES_MAX, true),
        (1, AT_ONCE_BYTES_MAX + 1, false),
        (AT_ONCE_ITEMS_MAX, AT_ONCE_BYTES_MAX, true),
        (AT_ONCE_ITEMS_MAX, AT_ONCE_BYTES_MAX + 1, false),
    ] {
        // What is only not acknowledged has been written before.
        for unacknowledged in [0, AT_ONCE_BYTES_MAX] {
            let attachment = managed(10 * AT_ONCE_BYTES_MAX);
            assert!(attachment.mailbox.push(stanza(&"x".repeat(unacknowledged))));
            drained(&attachment);
            let outlet = Taker::lent_to(&attachment);
            let bell = waits(&attachment, true);
            let unread: Vec<_> = items(count, bytes).filter_map(|item| attachment.mailbox.push_unread(item).1).collect();
            unread.into_iter().for_each(Unread::write);
            let case = format!("{count} items of {bytes} bytes");
            assert_eq!(outlet.taken().len(), if written { count } else { 0 }, "{case}");
            assert_eq!(bell.0.load(Ordering::Relaxed), usize::from(!written), "{case}");
            assert_eq!(attachment.take().count(), if written { 0 } else { count }, "{case}");
        }
    }
}

#[test]
fn the_reader_comes_for_the_rest_and_for_what_nobody_writes() {
    let attachment = Arc::new(Mailbox::new(10_000)).attach().expect("open");
    let outlet = Taker::new(u32::MAX, false);
    attachment.lend(outlet.weak());
    let bell = waits(&attachment, true);
    attachment.mailbox.push_unread(stanza("in part")).1.expect("the reader waits").write();
    assert_eq!((outlet.taken(), bell.0.load(Ordering::Relaxed)), (vec!["in part".to_owned()], 1), "the rest is its business");
    let bell = waits(&attachment, true);
    drop(attachment.mailbox.push_unread(stanza("dropped")).1.expect("the reader waits"));
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(drained(&attachment), "dropped");
}

#[test]
fn nobody_writes_to_a_connection_that_was_taken_over_from() {
    let first = managed(10_000);
    let outlet = Taker::lent_to(&first);
    let bell = waits(&first, true);
    let (_, unread) = first.mailbox.push_unread(stanza("1"));
    let second = first.mailbox.attach().expect("open");
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "it learns of that");
    unread.expect("the first one waited").write();
    let next = waits_or_is_due(&second);
    first.lend(outlet.weak());
    first.pause();
    let (_, unread) = first.mailbox.push_unread(stanza("2"));
    assert!(unread.is_none(), "the second has something to do already");
    assert_eq!((outlet.taken(), next), (vec![], true));
    assert_eq!(drained(&second), "12");
}

fn waits_or_is_due(attachment: &Attachment) -> bool {
    attachment.poll(true, &mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_mailbox_that_overflows_or_is_closed_wakes_the_reader_and_nobody_writes() {
    let attachment = Arc::new(Mailbox::new(200)).attach().expect("open");
    let outlet = Taker::lent_to(&attachment);
    let bell = waits(&attachment, true);
    let (taken, unread) = attachment.mailbox.push_unread(stanza(&"x".repeat(200)));
    assert!(!taken);
    unread.expect("the reader has to end the stream").write();
    assert_eq!((outlet.taken(), bell.0.load(Ordering::Relaxed)), (vec![], 1));
    let (taken, unread) = attachment.mailbox.push_unread(stanza("x"));
    assert!(!taken && unread.is_none());
}

#[test]
fn xep0352_s5_1_what_is_not_urgent_waits() {
    let attachment = Arc::new(Mailbox::new(10_000)).attach().expect("open");
    let outlet = Taker::lent_to(&attachment);
    waits(&attachment, true);
    attachment.set_active(false);
    assert!(attachment.mailbox.push_unread(composing("a@b/c")).1.is_none());
    attachment.mailbox.push_unread(stanza("urgent")).1.expect("the reader waits").write();
    assert_eq!(outlet.taken(), ["", "urgent"]);
}

#[test]
fn without_a_connection_nobody_writes() {
    let attachment = managed(10_000);
    let outlet = Taker::lent_to(&attachment);
    waits(&attachment, true);
    assert!(attachment.detach(&Arc::new(Overflows::default()), SessionId::next()));
    let (taken, unread) = attachment.mailbox.push_unread(stanza("1"));
    assert!(taken && unread.is_none() && outlet.taken().is_empty());
    assert_eq!(bodies(&attachment.mailbox.take_back()), "1");
}
