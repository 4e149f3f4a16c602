//! Promise: on a bad network nothing is lost and nothing comes twice: a client that loses its connection goes on where it was (XEP-0198), over
//! whatever transport it comes back, and nobody else notices.

use crate::support::http;
use crate::support::managed::{Managed, Over};
use crate::support::server::{PASSWORD, Server};
use crate::support::wire::{Wire, attribute};

fn line(to: &str, number: usize) -> String {
    format!("<message to='{to}' type='chat' id='m{number}'><body>line {number}</body></message>")
}

/// The numbers of the lines among these elements.
fn numbers(elements: &[String]) -> Vec<usize> {
    let number = |element: &String| element.split("<body>line ").nth(1)?.split('<').next()?.parse().ok();
    elements.iter().filter_map(number).collect()
}

/// §5: what was not acknowledged comes again, and nothing else.
#[test]
fn s5_a_receiver_cut_off_in_a_burst_gets_each_message_once_over_every_transport() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    for (first, then) in Over::ALL.into_iter().flat_map(|first| Over::ALL.map(|then| (first, then))) {
        let mut bob = Managed::online(&server, first, "bob", "phone");
        let mut got = Vec::new();
        for number in 0..120 {
            alice.send(&line("bob@localhost/phone", number));
        }
        while numbers(&got).len() < 40 {
            got.push(bob.next().expect("the stream goes on"));
        }
        let cut = bob.cut();
        for number in 120..150 {
            alice.send(&line("bob@localhost/phone", number));
        }
        let (mut bob, _) = cut.resume(&server, then);
        while numbers(&got).len() < 150 {
            got.push(bob.next().expect("the stream goes on"));
        }
        got.extend(bob.until_ack().0);
        assert_eq!(numbers(&got), (0..150).collect::<Vec<_>>(), "{first:?} to {then:?}");
        // else they would come to its next session
        bob.acknowledge();
        bob.send("</stream:stream>");
    }
}

/// §4 and §5: `h` says which stanzas of the client were handled; what it sends again is what was not.
#[test]
fn s5_a_sender_cut_off_in_a_burst_is_heard_once_over_every_transport() {
    let server = Server::start();
    let mut bob = Wire::online(&server, "bob", "home");
    for (first, then) in Over::ALL.into_iter().flat_map(|first| Over::ALL.map(|then| (first, then))) {
        let mut alice = Managed::online(&server, first, "alice", "phone");
        for number in 0..100 {
            alice.send(&line("bob@localhost/home", number));
        }
        let (mut alice, handled) = alice.cut().resume(&server, then);
        // The presence was the first.
        for number in handled as usize - 1..110 {
            alice.send(&line("bob@localhost/home", number));
        }
        assert_eq!(alice.until_ack().1, 111);
        for number in 0..110 {
            let got = bob.stanza("message", &[]);
            assert!(got.contains(&format!("<body>line {number}</body>")), "{first:?} to {then:?}: {got} is not {number}");
        }
        bob.saw_nothing_of("<body>");
        alice.send("<presence type='unavailable'/>");
    }
}

/// §5: presence does not flap, requests wait and are answered, and the calls of the session go on.
#[test]
fn a_session_without_connection_looks_as_if_nothing_had_happened() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    alice.send("<presence type='subscribe' to='bob@localhost'/>");
    bob.expect(&["type='subscribe'"]);
    bob.send("<presence type='subscribed' to='alice@localhost'/>");
    alice.stanza("presence", &["from='bob@localhost/phone'"]);
    let jingle = |action: &str| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1' initiator='alice@localhost/home'><content creator='initiator' name='a'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle>"
        )
    };
    alice.send(&format!("<iq type='set' id='j1' to='bob@localhost/phone'>{}</iq>", jingle("session-initiate")));
    bob.expect(&["session-initiate"]);
    bob.send("<iq type='result' id='j1' to='alice@localhost/home'/>");
    bob.send(&format!("<iq type='set' id='j2' to='alice@localhost/home'>{}</iq>", jingle("session-accept")));
    alice.stanza("iq", &["session-accept"]);
    bob.acknowledge();
    bob.until_ack();

    let cut = bob.cut();
    let hibernated = |server: &Server, count: u32| {
        let end = std::time::Instant::now() + crate::support::PATIENCE;
        let wanted = format!("campanile_c2s_sessions_hibernated {count}");
        while !http::get(server.address("admin"), "/metrics").body.contains(&wanted) {
            assert!(std::time::Instant::now() < end, "{wanted} did not come");
            std::thread::yield_now();
        }
    };
    hibernated(&server, 1);
    alice.send("<iq type='get' id='v' to='bob@localhost/phone'><query xmlns='jabber:iq:version'/></iq>");
    alice.send(&format!("<iq type='set' id='t' to='bob@localhost/phone'>{}</iq>", jingle("transport-info")));
    alice.saw_nothing_of("type='unavailable'");
    alice.saw_nothing_of("type='error'");
    let (mut bob, handled) = cut.resume(&server, Over::WebSocket);
    assert_eq!(handled, 4);
    bob.expect(&["jabber:iq:version"]);
    bob.expect(&["transport-info"]);
    bob.send("<iq type='result' id='v' to='alice@localhost/home'><query xmlns='jabber:iq:version'><name>x</name></query></iq>");
    alice.stanza("iq", &["id='v'", "type='result'"]);
    alice.saw_nothing_of("<presence");
    hibernated(&server, 0);
    let metrics = http::get(server.address("admin"), "/metrics").body;
    assert!(metrics.contains("campanile_calls_active 1"), "{metrics}");
    assert!(metrics.contains("campanile_c2s_resumptions_total{result=\"resumed\"} 1"), "{metrics}");
    bob.send(&format!("<iq type='set' id='j3' to='alice@localhost/home'>{}</iq>", jingle("session-terminate")));
    alice.stanza("iq", &["session-terminate"]);
    server.logs("call ended");
}

/// §5: a connection that still looks alive gives way, and what it has read is not handled a second time.
#[test]
fn s5_a_live_stream_is_taken_over() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut old = Managed::online(&server, Over::StartTls, "bob", "phone");
    old.send(&line("alice@localhost/home", 1));
    alice.stanza("message", &["line 1"]);
    let again = crate::support::managed::Cut::of(&old);
    let (mut new, handled) = again.resume(&server, Over::DirectTls);
    assert_eq!(handled, 2);
    old.expect(&["<stream:error", "<conflict "]);
    assert!(old.next().is_none());
    alice.send(&line("bob@localhost/phone", 2));
    new.expect(&["line 2"]);
    alice.saw_nothing_of("<presence");
    new.send(&line("alice@localhost/home", 3));
    alice.stanza("message", &["line 3"]);
}

/// §6.
#[test]
fn s6_who_acknowledges_too_much_is_told_so() {
    let server = Server::start();
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    let mut cut = crate::support::managed::Cut::of(&bob);
    let h = bob.h + 1;
    bob.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
    let error = bob.expect(&["<stream:error", "<undefined-condition "]);
    assert!(error.contains(&format!("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{h}' send-count='{}'/>", h - 1)), "{error}");
    assert!(bob.next().is_none());
    // That session is over.
    cut.refused(&server, Over::DirectTls, "item-not-found");
    // One that claims too much when it resumes may come again with the truth.
    let bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    cut = bob.cut();
    cut.h += 1;
    let (_, answer) = cut.try_resume(&server, Over::WebSocket);
    assert!(answer.contains("<handled-count-too-high"), "{answer}");
    cut.h -= 1;
    cut.resume(&server, Over::WebSocket);
}

/// §4, §5: a session that nobody resumes ends, its contacts and those who wrote to it learn of it, and its client is told how far it had come.
#[test]
fn s5_what_nobody_resumes_in_time_ends() {
    let server = Server::with("limits.resume_s = 1");
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    bob.send("<presence to='alice@localhost/home'/>");
    alice.stanza("presence", &["from='bob@localhost/phone'"]);
    bob.until_ack();
    let cut = bob.cut();
    alice.send("<iq type='get' id='v' to='bob@localhost/phone'><query xmlns='jabber:iq:version'/></iq>");
    alice.stanza("presence", &["from='bob@localhost/phone'", "type='unavailable'"]);
    let answer = alice.stanza("iq", &["id='v'"]);
    assert!(answer.contains("<service-unavailable "), "{answer}");
    let (mut bob, failed) = cut.refused(&server, Over::WebSocket, "item-not-found");
    assert!(failed.contains(" h='2'"), "{failed}");
    // §5: "the server SHOULD allow the client to bind a resource at this point"
    bob.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind></iq>");
    bob.expect(&["<jid>bob@localhost/phone</jid>"]);
    // The client's own maximum is kept, and counts only if it is shorter.
    let mut short = Managed::bound_with(&server, Over::DirectTls, "carol", "a", "resume='1' max='600'");
    short.send("<enable xmlns='urn:xmpp:sm:3'/>");
    short.expect(&["<failed", "<unexpected-request "]);
}

/// §5: only the account itself can resume, with the identifier, and only what can be resumed.
#[test]
fn s5_nobody_else_can_resume() {
    let server = Server::start();
    let mut cut = Managed::online(&server, Over::DirectTls, "bob", "phone").cut();
    let token = cut.token.clone();
    for wrong in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", &token[1..]] {
        cut.token = wrong.to_owned();
        cut.refused(&server, Over::DirectTls, "item-not-found");
    }
    cut.token = token;
    let alice = cut.as_user("alice");
    alice.refused(&server, Over::DirectTls, "item-not-found");
    cut.resume(&server, Over::DirectTls);
    let without = Managed::bound_with(&server, Over::DirectTls, "bob", "laptop", "");
    assert_eq!(without.token, "", "a stream that is not to be resumed needs no identifier");
    // §7: a client that closes its stream is gone.
    let mut closed = Managed::online(&server, Over::DirectTls, "bob", "tablet");
    closed.send("</stream:stream>");
    while closed.next().is_some() {}
    closed.cut().refused(&server, Over::DirectTls, "item-not-found");
}

/// RFC 7395 §3.6: a WebSocket that is closed without the stream leaves the session alive.
#[test]
fn rfc7395_s3_6_a_page_that_goes_may_come_back() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Managed::online(&server, Over::WebSocket, "bob", "web");
    bob.send("<presence to='alice@localhost/home'/>");
    alice.stanza("presence", &["from='bob@localhost/web'"]);
    bob.until_ack();
    bob.close_websocket();
    alice.send(&line("bob@localhost/web", 1));
    let (mut bob, _) = bob.cut().resume(&server, Over::WebSocket);
    bob.expect(&["line 1"]);
    alice.saw_nothing_of("type='unavailable'");
    bob.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    while bob.next().is_some() {}
    alice.stanza("presence", &["from='bob@localhost/web'", "type='unavailable'"]);
    bob.cut().refused(&server, Over::WebSocket, "item-not-found");
}

/// A new password and the end of an account make every identifier void.
#[test]
fn s10_a_new_password_ends_sessions_without_connection() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    bob.send("<presence to='alice@localhost/home'/>");
    alice.stanza("presence", &["from='bob@localhost/phone'"]);
    let cut = bob.cut();
    assert!(server.command(&["user", "passwd", "bob@localhost", "--password", PASSWORD]).status.success());
    alice.stanza("presence", &["from='bob@localhost/phone'", "type='unavailable'"]);
    cut.refused(&server, Over::DirectTls, "item-not-found");
}

/// RFC 6120 §7.7.2.2: who binds the resource anew takes the place of the session that waits, and gets its mail.
#[test]
fn a_resource_bound_anew_replaces_the_session_that_waits() {
    let server = Server::with("limits.sessions_per_account = 2");
    let mut alice = Wire::online(&server, "alice", "home");
    let cut = Managed::online(&server, Over::DirectTls, "bob", "phone").cut();
    alice.send(&line("bob@localhost/phone", 1));
    alice.saw_nothing_of("type='error'");
    let mut new = Managed::bound_with(&server, Over::DirectTls, "bob", "phone", "");
    // It may have come before management was enabled, and then it was passed over on the way.
    new.send("<presence/>");
    new.expect(&["from='bob@localhost/phone'"]);
    cut.refused(&server, Over::DirectTls, "item-not-found");
    // Sessions that wait count, and the oldest makes room.
    let waiting = Managed::online(&server, Over::DirectTls, "bob", "laptop").cut();
    let _third = Wire::online(&server, "bob", "third");
    waiting.refused(&server, Over::DirectTls, "item-not-found");
    new.until_ack();
}

/// An orderly stop keeps each session with all that belongs to it; its client is told why the stream ends, and goes on after the start, over
/// whatever transport.
#[test]
pub fn sessions_go_on_after_a_restart() {
    let server = Server::start();
    let mut alice = Managed::online(&server, Over::DirectTls, "alice", "home");
    let mut bob = Managed::online(&server, Over::WebSocket, "bob", "phone");
    alice.send("<presence type='subscribe' to='bob@localhost'/>");
    bob.expect(&["type='subscribe'"]);
    bob.send("<presence type='subscribed' to='alice@localhost'/>");
    alice.expect(&["from='bob@localhost/phone'"]);
    bob.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    bob.expect(&["id='c'", "type='result'"]);
    alice.until_ack();
    // One that was sent and not acknowledged, one that waits for a client that has no connection.
    alice.send(&line("bob@localhost/phone", 1));
    bob.expect(&["line 1"]);
    let mut bob = bob.cut();
    bob.h -= 1;
    alice.send(&line("bob@localhost/phone", 2));
    let (_, alice_sent) = alice.until_ack();
    let stopped = server.restart(&[]);
    let (mut alice, handled) = {
        alice.expect(&["<stream:error", "<system-shutdown "]);
        alice.cut().resume(&stopped, Over::WebSocket)
    };
    assert_eq!(handled, alice_sent);
    let (mut bob, handled) = bob.resume(&stopped, Over::StartTls);
    assert_eq!(handled, 3);
    let (seen, _) = bob.until_ack();
    assert_eq!(numbers(&seen), [1, 2]);
    // Contacts have seen nothing, and see what comes next; carbons are still on.
    let (seen, _) = alice.until_ack();
    assert!(seen.iter().all(|element| !element.starts_with("<presence")), "{seen:#?}");
    bob.send("<presence><show>away</show></presence>");
    alice.expect(&["from='bob@localhost/phone'", "<show>away</show>"]);
    let mut laptop = Wire::online(&stopped, "bob", "laptop");
    alice.send(&line("bob@localhost/laptop", 3));
    laptop.stanza("message", &["line 3"]);
    bob.expect(&["<received", "line 3"]);
    // The rows are gone: a crash now leaves nothing to go on with.
    let cut = bob.cut();
    let crashed = stopped.crash(&[]);
    cut.refused(&crashed, Over::DirectTls, "item-not-found");
}

/// What was promised for a time is over after it, also when the server was down meanwhile; a password changed meanwhile ends it at once.
#[test]
pub fn sessions_of_the_last_stop_can_be_too_old() {
    let server = Server::with("limits.resume_s = 3");
    let bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    let mut carol = Managed::bound_with(&server, Over::DirectTls, "carol", "phone", "resume='true'");
    carol.until_ack();
    let (bob, carol) = (bob.cut(), carol.cut());
    let server = server.restart_after(&[("CAMPANILE_LIMITS__RESUME_S".to_owned(), "3".to_owned())], |server| {
        assert!(server.command(&["user", "passwd", "carol@localhost", "--password", PASSWORD]).status.success());
        // Until that time is over: nothing else tells that it is.
        std::thread::sleep(std::time::Duration::from_millis(3100));
    });
    let (_, failed) = bob.refused(&server, Over::DirectTls, "item-not-found");
    assert!(failed.contains(" h='1'"), "{failed}");
    carol.refused(&server, Over::DirectTls, "item-not-found");
}

/// RFC 6120 §4.6: a client that neither answers nor says anything is taken for dead, over every transport, and its session waits for it; what it
/// was sent comes when it is back.
#[test]
fn rfc6120_s4_6_a_client_that_has_fallen_silent_is_found_and_loses_nothing() {
    let server = Server::with("limits.ack_wait_s = 1\nlimits.keepalive_s = 1");
    let mut alice = Wire::online(&server, "alice", "home");
    for over in Over::ALL {
        let mut bob = Managed::online(&server, over, "bob", "phone");
        bob.until_ack();
        alice.send(&line("bob@localhost/phone", 1));
        // It reads, so that TCP finds nothing wrong, and says nothing.
        bob.expect(&["line 1"]);
        bob.h -= 1;
        let error = bob.expect(&["<stream:error"]);
        assert!(error.contains("<connection-timeout "), "{over:?}: {error}");
        let (mut bob, _) = bob.cut().resume(&server, over);
        bob.expect(&["line 1"]);
        bob.acknowledge();
        bob.send("</stream:stream>");
    }
    let metrics = http::get(server.address("admin"), "/metrics").body;
    assert!(metrics.contains("campanile_c2s_timeouts_total{kind=\"silence\"} 3"), "{metrics}");
    assert!(metrics.contains("campanile_c2s_ack_latency_seconds_count "), "{metrics}");
    assert!(metrics.contains("campanile_c2s_unacknowledged_stanzas "), "{metrics}");
}

/// A mailbox that overflows while nobody reads it ends the session; nothing is kept without bound, and what it held goes where it goes when nobody
/// is there.
#[test]
fn a_session_without_connection_that_gets_too_much_ends() {
    let server = Server::with("limits.mailbox_bytes = 1048576\nlimits.bytes_per_second = 100000000");
    let (mut alice, mut carol) = (Wire::online(&server, "alice", "home"), Wire::online(&server, "carol", "home"));
    let mut bob = Managed::online(&server, Over::DirectTls, "bob", "phone");
    bob.send("<presence to='carol@localhost/home'/>");
    carol.stanza("presence", &["from='bob@localhost/phone'"]);
    let cut = bob.cut();
    let payload = "x".repeat(100_000);
    for number in 0..12 {
        alice.send(&format!("<iq type='get' id='q{number}' to='bob@localhost/phone'><query xmlns='urn:example:x'>{payload}</query></iq>"));
    }
    carol.stanza("presence", &["from='bob@localhost/phone'", "type='unavailable'"]);
    let mut answered: Vec<_> = (0..12)
        .map(|_| {
            let answer = alice.stanza("iq", &["type='error'", "<service-unavailable "]);
            attribute(&answer, "id").expect("an id").to_owned()
        })
        .collect();
    answered.sort_unstable_by_key(|id| id[1..].parse::<u32>().expect("a number"));
    assert_eq!(answered, (0..12).map(|number| format!("q{number}")).collect::<Vec<_>>());
    cut.refused(&server, Over::DirectTls, "item-not-found");
}

/// §4: what is acknowledged is on the disk. After a crash nothing acknowledged is missing, nothing comes twice, and there is nothing to resume.
#[test]
pub fn s4_what_was_acknowledged_survives_a_crash() {
    let server = Server::start();
    let mut alice = Managed::online(&server, Over::DirectTls, "alice", "home");
    alice.until_ack();
    for number in 0..300 {
        alice.send(&line("bob@localhost", number));
        if number % 10 == 9 {
            alice.send("<r xmlns='urn:xmpp:sm:3'/>");
        }
    }
    // The presence was the first.
    let mut acknowledged = 0;
    while acknowledged < 100 {
        let answer = alice.expect(&["<a "]);
        acknowledged = attribute(&answer, "h").and_then(|h| h.parse::<usize>().ok()).expect("a number") - 1;
    }
    let coming = |server: &Server, over| {
        let mut bob = Managed::bound_with(server, over, "bob", "phone", "resume='true'");
        bob.send("<presence/>");
        bob
    };
    let server = server.crash(&[]);
    alice.cut().refused(&server, Over::DirectTls, "item-not-found");
    let mut bob = coming(&server, Over::DirectTls);
    let mut got = Vec::new();
    while numbers(&got).len() < acknowledged {
        got.push(bob.next().expect("the stream goes on"));
    }
    got.extend(bob.until_ack().0);
    let count = numbers(&got).len();
    assert!((acknowledged..=300).contains(&count), "{count} of {acknowledged} acknowledged ones");
    assert_eq!(numbers(&got), (0..count).collect::<Vec<_>>());
    assert!(got.iter().filter(|element| element.contains("<body>")).all(|element| element.contains("<delay ")), "they are late");
    // Not acknowledged by bob, they come once more after the next crash, and no more once he has acknowledged them.
    let server = server.crash(&[]);
    let mut bob = coming(&server, Over::WebSocket);
    let mut got = Vec::new();
    while numbers(&got).len() < count {
        got.push(bob.next().expect("the stream goes on"));
    }
    bob.acknowledge();
    // What he has is noted in the order of what is kept: once this message is on the disk, so is that note.
    bob.send(&line("alice@localhost", 0));
    got.extend(bob.until_ack().0);
    assert_eq!(numbers(&got), (0..count).collect::<Vec<_>>());
    bob.send("</stream:stream>");
    while bob.next().is_some() {}
    let server = server.crash(&[]);
    let mut bob = coming(&server, Over::DirectTls);
    assert_eq!(numbers(&bob.until_ack().0), Vec::<usize>::new());
}
