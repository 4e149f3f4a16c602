//! Promise: two people who agree see each other come and go; nobody else sees them.

use crate::support::PATIENCE;
use crate::support::peers;
use crate::support::server::Server;
use crate::support::wire::Wire;
use serde_json::json;

#[test]
#[ignore = "slixmpp: run tests/run"]
pub fn two_slixmpp_clients_become_contacts() {
    let server = Server::start();
    let events = peers::python(&server, "presence.py", json!({}));
    for event in ["contacts", "saw bob leave", "saw bob return"] {
        events.get(event);
    }
}

/// RFC 6121 §2: the roster is kept, pushed to all devices that asked for it, and closed to others.
#[test]
pub fn s2_the_roster() {
    let server = Server::start();
    let roster = "<query xmlns='jabber:iq:roster'/>";
    let mut home = Wire::online(&server, "alice", "home");
    let mut phone = Wire::online(&server, "alice", "phone");
    let mut robot = Wire::online(&server, "alice", "robot");
    for wire in [&mut home, &mut phone] {
        assert!(!wire.iq("r", "type='get'", roster).contains("<item"));
    }
    let item = "<query xmlns='jabber:iq:roster'><item jid='bob@localhost' name='Bob &amp; Co'><group>Friends</group><group>Work</group></item></query>";
    assert!(home.iq("s", "type='set'", item).contains("type='result'"));
    let push = phone.stanza("iq", &["type='set'", "jabber:iq:roster"]);
    assert!(push.contains("jid='bob@localhost'") && push.contains("subscription='none'") && push.contains("Bob &amp; Co"), "{push}");
    assert!(push.contains("<group>Friends</group>") && push.contains("<group>Work</group>"), "{push}");
    // §2.2: a device that has not asked for the roster is not interested
    robot.saw_nothing_of("jabber:iq:roster");
    // §2.3.3, §2.5.2
    for (request, condition) in [
        ("<item jid='a@localhost'/><item jid='b@localhost'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='nobody@localhost' subscription='remove'/>", "item-not-found"),
    ] {
        let answer = home.iq("e", "type='set'", &format!("<query xmlns='jabber:iq:roster'>{request}</query>"));
        assert!(answer.contains(&format!("<{condition} ")), "{request}: wanted {condition}, got {answer}");
    }
    // §2.1.5: another's roster
    let mut bob = Wire::online(&server, "bob", "home");
    for (kind, condition) in [("get", "<forbidden "), ("set", "<forbidden ")] {
        let answer = bob.iq("x", &format!("type='{kind}' to='alice@localhost'"), if kind == "get" { roster } else { item });
        assert!(answer.contains(condition) || answer.contains("<service-unavailable "), "{answer}");
    }
    let server = {
        drop((home, phone, robot, bob));
        server.restart(&[])
    };
    let mut again = Wire::bound(&server, "alice", "home");
    assert!(again.iq("r", "type='get'", roster).contains("jid='bob@localhost'"));
}

/// RFC 6121 §3.1.3: a request to somebody who is away waits for them, and survives a restart.
#[test]
pub fn s3_1_3_a_request_waits_for_who_is_away() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    alice.send("<presence to='bob@localhost' type='subscribe' id='please'><status>It is me</status></presence>");
    alice.iq("fence", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>");
    drop(alice);
    let server = server.restart(&[]);
    let mut bob = Wire::bound(&server, "bob", "home");
    bob.send("<presence/>");
    let request = bob.stanza("presence", &["type='subscribe'"]);
    assert!(request.contains("from='alice@localhost'") && request.contains("It is me"), "{request}");
}

/// RFC 6121 §4.3, §4.5, §8.5: presence is for those who were allowed.
#[test]
fn s4_strangers_see_nothing() {
    let server = Server::start();
    let mut alice = Wire::online(&server, "alice", "home");
    let mut carol = Wire::online(&server, "carol", "home");
    carol.send("<presence to='alice@localhost' type='probe'/>");
    carol.saw_nothing_of("from='alice@localhost/home'");
    alice.send("<presence><show>away</show></presence>");
    alice.expect_all(&["from='alice@localhost/home'", "<show>away</show>"]);
    carol.saw_nothing_of("<show>away</show>");
    // §4.6: directed presence reaches whom it names, and its end too
    alice.send("<presence to='carol@localhost'><show>chat</show></presence>");
    carol.stanza("presence", &["<show>chat</show>", "from='alice@localhost/home'"]);
    drop(alice);
    carol.stanza("presence", &["type='unavailable'", "from='alice@localhost/home'"]);
}

/// Whatever the server answered or pushed before it was killed is there, once; and a client that knows the version of the last push gets the rest.
#[test]
pub fn s2_6_a_killed_server_has_every_roster_change_that_it_told_of() {
    const GET: &str = "<query xmlns='jabber:iq:roster' ver=''/>";
    let mut server = Server::start();
    let (mut laptop, mut phone) = (Wire::bound(&server, "alice", "laptop"), Wire::bound(&server, "alice", "phone"));
    for wire in [&mut laptop, &mut phone] {
        wire.iq("r", "type='get'", GET);
    }
    let set = |number: usize| {
        format!("<iq type='set' id='s{number}'><query xmlns='jabber:iq:roster'><item jid='c{number}@localhost'/></query></iq>")
    };
    laptop.send(&(0..400).map(set).collect::<String>());
    let pushed = phone.expect("jid='c40@localhost'");
    server.signal("KILL");
    server.ended(PATIENCE).expect("SIGKILL");
    let answered = laptop.until_closed();
    let pushed = pushed + &phone.until_closed();
    // without one that is cut off
    let pushed = &pushed[..pushed.rfind("</iq>").expect("whole ones")];
    let server = server.restart(&[]);
    let roster = Wire::bound(&server, "alice", "tablet").iq("r", "type='get'", GET);
    let kept = |number: usize| roster.matches(&format!("jid='c{number}@localhost'")).count();
    let (mut told, mut all) = (0, 0);
    for number in 0..400 {
        let was_told = answered.contains(&format!("id='s{number}'")) || pushed.contains(&format!("jid='c{number}@localhost'"));
        assert!(kept(number) == 1 || !was_told && kept(number) == 0, "c{number}: told {was_told}, there {} times", kept(number));
        (told, all) = (told + usize::from(was_told), all + kept(number));
    }
    assert!((41..400).contains(&told) || all == 400, "the server was killed in the middle: {told} of {all}");
    let version = pushed.rsplit("ver='").next().and_then(|rest| rest.split('\'').next()).expect("pushes have versions");
    let seen = (0..400).filter(|number| pushed.contains(&format!("jid='c{number}@localhost'"))).count();
    let mut phone = Wire::bound(&server, "alice", "phone");
    phone.iq("v", "type='get'", &format!("<query xmlns='jabber:iq:roster' ver='{version}'/>"));
    for _ in seen..all {
        phone.stanza("iq", &["type='set'", "jid='c"]);
    }
    phone.saw_nothing_of("jid='c");
}
