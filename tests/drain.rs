//! Promise: `campanile drain` takes a server out of service without cutting off a call: nobody new comes, calls finish, then it ends in order.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::folder::Folder;
use crate::support::managed::{Managed, Over};
use crate::support::server::{Server, campanile, text};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, http, peers, turn};

/// `campanile drain`, running.
fn drain(server: &Server) -> Child {
    campanile(server.folder()).arg("drain").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its end, which comes with the server's.
fn ended(drain: Child, server: &mut Server) -> Output {
    let status = server.ended(PATIENCE).expect("the server ends by itself");
    assert!(status.success(), "{status}");
    drain.wait_with_output().unwrap()
}

/// No new session: its client is told to come back later.
fn refuses_new_sessions(server: &Server) {
    let mut wire = Wire::secure(server);
    wire.log_in("alice");
    wire.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    wire.expect_stream_error("system-shutdown");
}

/// slixmpp and aiortc talk through the relay all the while.
#[test]
#[ignore = "slixmpp and aiortc: run tests/run"]
fn a_call_is_not_cut_off_and_nobody_new_comes() {
    let mut server = Server::start();
    // carol has lost her connection before, and has an allocation
    let mut wire = Wire::bound(&server, "carol", "home");
    let service = turn::relay(&mut wire, "turn", "udp");
    let mut allocated = turn::Client::told(&server, &service);
    allocated.allocate().expect("before the drain");
    let mut phone = Managed::online(&server, Over::DirectTls, "carol", "phone");
    phone.send("<message to='carol@localhost/home' type='chat'><body>before</body></message>");
    wire.expect("before");
    let cut = phone.cut();
    let hang_up = server.folder().join("hang up");
    let mut call = peers::python_running(&server, "call.py", json!({ "via": "udp", "until": hang_up }));
    call.expect("heard", &[]);

    let first = drain(&server);
    server.logs("draining: no new sessions and allocations");
    let ready = http::get(server.address("admin"), "/ready");
    assert!(ready.status == 503 && ready.body.contains(r#""server":"draining""#), "{}", ready.body);
    assert_eq!(http::get(server.address("admin"), "/health").status, 200);
    assert!(http::get(server.address("admin"), "/metrics").body.contains("campanile_draining 1\n"));
    refuses_new_sessions(&server);
    assert_eq!(allocated.another().allocate(), Err(508));
    allocated.refresh(600).expect("what there is lives on");
    // sessions there are go on, also over a new connection
    assert!(wire.iq("p", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>").contains("type='result'"));
    let (mut carol, _) = cut.resume(&server, Over::DirectTls);
    carol.send("<message to='carol@localhost/home' type='chat'><body>while it drains</body></message>");
    wire.expect("while it drains");
    carol.until_ack();
    let second = server.command(&["drain"]);
    assert!(!second.status.success() && text(&second).contains("it drains already: 1 call and"), "{}", text(&second));

    fs::write(&hang_up, "").unwrap();
    call.expect("still heard", &[]);
    call.done();
    // what carol's client holds is no call: it is not waited for longer than it takes to know
    let output = ended(first, &mut server);
    let said = text(&output);
    assert!(output.status.success() && said.contains("takes nobody new: 1 call and") && said.contains("the server has ended"), "{said}");
    server.logs("drained: no calls are left");
    server.logs("sessions can be resumed after the next start");
    wire.expect_stream_error("system-shutdown");

    let server = server.restart(&[]);
    let cut = carol.cut();
    let (mut carol, _) = cut.resume(&server, Over::DirectTls);
    carol.until_ack();
    let mut alice = Wire::bound(&server, "alice", "home");
    turn::Client::of(&server, &mut alice).allocate().expect("the next server takes everybody");
}

/// alice and bob in a call that carries no media here.
fn in_a_call(server: &Server) -> (Wire, Wire) {
    let (mut alice, mut bob) = (Wire::online(server, "alice", "home"), Wire::online(server, "bob", "home"));
    let jingle = |action: &str| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1' initiator='alice@localhost/home'><content creator='initiator' name='a'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle>"
        )
    };
    alice.send(&format!("<iq type='set' id='j1' to='bob@localhost/home'>{}</iq>", jingle("session-initiate")));
    bob.stanza("iq", &["session-initiate"]);
    bob.send("<iq type='result' id='j1' to='alice@localhost/home'/>");
    bob.send(&format!("<iq type='set' id='j2' to='alice@localhost/home'>{}</iq>", jingle("session-accept")));
    alice.stanza("iq", &["session-accept"]);
    (alice, bob)
}

#[test]
fn after_drain_s_the_server_ends_whatever_is_left() {
    let mut server = Server::with("server.drain_s = 1");
    let (mut alice, _bob) = in_a_call(&server);
    let first = drain(&server);
    let output = ended(first, &mut server);
    let said = text(&output);
    assert!(output.status.success() && said.contains("1 call and 0 allocations left") && said.contains("the server has ended"), "{said}");
    server.logs("drained: server.drain_s are over");
    alice.expect_stream_error("system-shutdown");
}

/// XEP-0353: Dino and Conversations ring by a proposal; the session begins when somebody has picked up.
#[test]
fn a_call_that_rings_may_still_be_picked_up() {
    let mut server = Server::start();
    let (mut alice, mut bob) = (Wire::online(&server, "alice", "home"), Wire::online(&server, "bob", "home"));
    let verb = |verb: &str| format!("<{verb} xmlns='urn:xmpp:jingle-message:0' id='s1'/>");
    alice.send(
        "<message id='m1' to='bob@localhost'><propose xmlns='urn:xmpp:jingle-message:0' id='s1'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose></message>",
    );
    bob.stanza("message", &["<propose"]);
    let first = drain(&server);
    server.logs("draining: no new sessions and allocations");
    let second = server.command(&["drain"]);
    assert!(text(&second).contains("it drains already: 1 call and"), "{}", text(&second));
    bob.send(&format!("<message to='alice@localhost/home'>{}</message>", verb("proceed")));
    alice.stanza("message", &["<proceed"]);
    let jingle = |action: &str, more: &str| format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1'>{more}</jingle>");
    let content = "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></content>";
    alice.send(&format!("<iq type='set' id='j1' to='bob@localhost/home'>{}</iq>", jingle("session-initiate", content)));
    bob.stanza("iq", &["session-initiate"]);
    bob.send(&format!("<iq type='set' id='j2' to='alice@localhost/home'>{}</iq>", jingle("session-accept", content)));
    alice.stanza("iq", &["session-accept"]);
    assert!(server.all_logged("drained: no calls are left").is_empty());
    alice.send(&format!(
        "<iq type='set' id='j3' to='bob@localhost/home'>{}</iq>",
        jingle("session-terminate", "<reason><success/></reason>")
    ));
    let output = ended(first, &mut server);
    assert!(output.status.success() && text(&output).contains("takes nobody new: 1 call and"), "{}", text(&output));
    server.logs("drained: no calls are left");
}

#[test]
fn without_calls_it_ends_at_once_and_without_a_server_there_is_nothing_to_drain() {
    let mut server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let first = drain(&server);
    let output = ended(first, &mut server);
    assert!(output.status.success() && text(&output).contains("0 calls and 0 allocations left"), "{}", text(&output));
    alice.expect_stream_error("system-shutdown");
    let again = server.command(&["drain"]);
    assert!(!again.status.success() && text(&again).contains("nothing to drain"), "{}", text(&again));
    let nowhere = Folder::new();
    let never: Output = Command::output(campanile(nowhere.path()).arg("drain")).unwrap();
    assert!(!never.status.success() && text(&never).contains("nothing to drain"), "{}", text(&never));
}

/// A reload changes nothing about it, a second one is an error, SIGTERM ends it at once.
#[test]
fn an_operator_who_cannot_wait_stops_it_at_once() {
    let mut server = Server::with("server.drain_s = 3000");
    let (mut alice, _bob) = in_a_call(&server);
    turn::Client::of(&server, &mut alice).allocate().unwrap();
    let begun = server.command(&["drain", "--no-wait"]);
    assert!(begun.status.success() && text(&begun).contains("1 call and "), "{}", text(&begun));
    refuses_new_sessions(&server);
    server.signal("HUP");
    server.logged("configuration reloaded");
    assert_eq!(http::get(server.address("admin"), "/ready").status, 503);
    let second = server.command(&["drain"]);
    assert!(!second.status.success() && text(&second).contains("it drains already: 1 call and"), "{}", text(&second));
    server.signal("TERM");
    assert!(server.ended(Duration::from_secs(12)).expect("at once").success());
    alice.expect_stream_error("system-shutdown");
}
