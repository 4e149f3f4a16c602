//! Promise: what was said is kept, on both sides and once; it waits for who is away, and no accident loses what the server has taken or shows
//! it twice (XEP-0313, XEP-0160).

use serde_json::json;

use crate::support::managed::{Managed, Over};
use crate::support::peers;
use crate::support::server::Server;
use crate::support::wire::Wire;

fn line(to: &str, number: usize) -> String {
    format!("<message to='{to}' type='chat' id='m{number}'><body>line {number}</body></message>")
}

/// The number of the line that an element holds.
fn number(element: &str) -> Option<usize> {
    element.split("<body>line ").nth(1)?.split('<').next()?.parse().ok()
}

/// All that an archive shows, read in pages.
fn archive(wire: &mut Wire) -> Vec<usize> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        wire.send(&format!(
            "<iq id='page' type='set'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max>\
             <after>{after}</after></set></query></iq>"
        ));
        loop {
            let element = wire.next().expect("the stream goes on");
            if element.contains("<result ") {
                lines.extend(number(&element));
            }
            if element.contains("id='page'") {
                if element.contains("complete='true'") {
                    return lines;
                }
                after = element.split("<last>").nth(1).and_then(|rest| rest.split('<').next()).expect("more follows").to_owned();
                break;
            }
        }
    }
}

#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn slixmpp_reads_its_archive_and_what_waited_for_it() {
    let server = Server::start();
    let events = peers::python(&server, "archive.py", json!({}));
    assert_eq!(events.get("paged")["lines"], 30);
}

/// XEP-0160 §2, RFC 6121 §8.5.2.2.1.
#[test]
pub fn what_is_written_to_who_is_away_waits_over_a_restart_and_comes_once() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    for number in 0..300 {
        alice.send(&line("bob@localhost", number));
    }
    alice.saw_nothing_of("type='error'");
    let server = server.restart(&[]);
    let mut bob = Wire::bound(&server, "bob", "phone");
    bob.send("<presence/>");
    for number in 0..300 {
        let got = bob.stanza("message", &["<delay xmlns='urn:xmpp:delay' from='localhost' stamp='"]);
        assert!(got.contains(&format!("<body>line {number}</body>")) && got.contains("by='bob@localhost'"), "{got} is not {number}");
    }
    // The last of them was written; a request answered behind it was read behind it.
    bob.saw_nothing_of("<body>");
    let mut again = Wire::online(&server, "bob", "laptop");
    again.saw_nothing_of("<body>");
    assert_eq!(archive(&mut again), (0..300).collect::<Vec<_>>());
}

/// XEP-0198 §4: what was acknowledged to its sender is on the disk, and what its receiver acknowledged does not come back.
#[test]
pub fn a_power_failure_in_a_burst_loses_no_acknowledged_message_and_shows_none_twice() {
    let mut server = Server::start();
    let mut first = 0;
    for _ in 0..3 {
        let mut alice = Managed::online(&server, Over::DirectTls, "alice", "home");
        let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
        for number in first..first + 100 {
            alice.send(&line("bob@localhost", number));
        }
        for expected in first..first + 60 {
            assert_eq!(number(&bob.expect(&["<body>line "])), Some(expected));
        }
        bob.acknowledge();
        // An answer behind it was read behind it, and what alice writes then is queued behind it.
        bob.send("<iq id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
        bob.expect(&["id='fence'"]);
        alice.send(&line("bob@localhost", first + 100));
        let (_, handled) = alice.until_ack();
        assert_eq!(handled, 102, "her presence and all lines so far");
        // From here on the server may take what it wants, and is ended while it does.
        for number in first + 101..first + 400 {
            alice.send(&line("bob@localhost", number));
        }
        server = server.crash(&[]);

        let mut monitor = Wire::bound(&server, "bob", "monitor");
        monitor.send("<presence><priority>-1</priority></presence>");
        let kept = archive(&mut monitor);
        let end = kept.len();
        assert_eq!(kept, (0..end).collect::<Vec<_>>(), "without a hole, each once");
        assert!(end > first + 100, "the archive has what alice was told to be handled: {end} of {first} and 101");
        let mut bob = Wire::bound(&server, "bob", "laptop");
        bob.send("<presence/>");
        for number in first + 60..end {
            let got = bob.stanza("message", &["<delay xmlns='urn:xmpp:delay' from='localhost'"]);
            assert!(got.contains(&format!("<body>line {number}</body>")), "{got} is not {number}");
        }
        bob.saw_nothing_of("<body>");
        first = end;
    }
}

/// XEP-0198 §5 over an orderly stop: what a session has not acknowledged is its own to acknowledge, and comes to nobody else meanwhile.
#[test]
pub fn a_session_that_goes_on_after_a_restart_acknowledges_what_it_was_sent_before() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    for number in 0..20 {
        alice.send(&line("bob@localhost", number));
    }
    for expected in 0..10 {
        assert_eq!(number(&bob.expect(&["<body>line "])), Some(expected));
    }
    let cut = bob.cut();
    alice.saw_nothing_of("type='error'");
    let server = server.restart(&[]);
    let mut laptop = Wire::online(&server, "bob", "laptop");
    laptop.saw_nothing_of("<body>");
    let (mut bob, _) = cut.resume(&server, Over::DirectTls);
    for expected in 10..20 {
        assert_eq!(number(&bob.expect(&["<body>line "])), Some(expected));
    }
    bob.acknowledge();
    // What is queued behind it is durable when it is acknowledged, and so is it.
    bob.send(&line("alice@localhost", 20));
    bob.until_ack();
    bob.send("</stream:stream>");
    while bob.next().is_some() {}
    let server = server.crash(&[]);
    let mut tablet = Wire::online(&server, "bob", "tablet");
    tablet.saw_nothing_of("<body>");
    assert_eq!(archive(&mut tablet), (0..=20).collect::<Vec<_>>());
}
