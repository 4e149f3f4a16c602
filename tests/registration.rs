//! Promise: where the operator allows it anyone makes an account from a client, or comes without one, as often as the limits say; who goes leaves
//! nothing behind.

use crate::support::peers;
use crate::support::scram::Hash;
use crate::support::server::{CONFIG, PASSWORD, Server, text};
use crate::support::wire::Wire;
use crate::support::ws::Ws;

const ASK: &str = "<iq type='get' id='reg1' to='localhost'><query xmlns='jabber:iq:register'/></iq>";
const ANONYMOUS: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";

fn open(more: &str) -> Server {
    Server::with(&format!("auth.registration = true\nauth.anonymous = true\n{more}"))
}

fn register(wire: &mut Wire, username: &str) -> String {
    wire.iq(
        "reg2",
        "type='set'",
        &format!("<query xmlns='jabber:iq:register'><username>{username}</username><password>{PASSWORD}</password></query>"),
    )
}

#[test]
fn s3_1_nobody_registers_where_it_is_not_allowed() {
    let server = Server::start();
    let mut wire = Wire::direct_tls(server.address("direct_tls"));
    let features = wire.header();
    assert!(!features.contains("iq-register") && !features.contains("ANONYMOUS"), "{features}");
    assert!(register(&mut wire, "dave").contains("<service-unavailable"));
    let failure = wire.auth("ANONYMOUS", "=").expect_err("not offered");
    assert!(failure.contains("<invalid-mechanism/>"), "{failure}");
    // the stream goes on
    wire.log_in("alice");
}

#[test]
fn s3_1_1_a_newcomer_registers_and_logs_in_on_the_same_stream() {
    let server = open("");
    let mut clear = Wire::tcp(server.address("c2s"));
    assert!(!clear.header().contains("iq-register"), "no password in clear");
    let mut wire = Wire::secure(&server);
    wire.send(ASK);
    assert!(wire.stanza("iq", &["id='reg1'"]).contains("<username/><password/>"));
    assert!(register(&mut wire, "alice").contains("<error code='409' type='cancel'><conflict"));
    assert!(register(&mut wire, "Dave").contains("type='result'"));
    assert!(register(&mut wire, "erin").contains("<error code='406' type='modify'><not-acceptable"));
    wire.log_in("dave");
    wire.bind("home");
    assert_eq!(wire.jid, "dave@localhost/home");
    assert!(text(&server.command(&["user", "list"])).contains("dave@localhost"));
}

#[test]
fn s3_1_1_one_source_makes_so_many_accounts_an_hour() {
    let server = open("limits.registrations_per_source = 2");
    for (number, condition) in
        ["type='result'", "type='result'", "<error code='500' type='wait'><resource-constraint"].into_iter().enumerate()
    {
        let mut wire = Wire::secure(&server);
        let answer = register(&mut wire, &format!("user{number}"));
        assert!(answer.contains(condition), "{number}: {answer}");
    }
}

#[test]
fn an_administrators_name_is_nobodys_to_take() {
    let config = CONFIG.replace("[server]", "[server]\nadmins = [\"root@localhost\"]");
    let server = Server::build(&config, "auth.registration = true", &[]);
    assert!(register(&mut Wire::secure(&server), "root").contains("<conflict"));
}

#[test]
pub fn s3_2_and_s3_3_a_password_is_changed_and_an_account_removed() {
    let server = open("");
    let (mut home, mut phone, mut bob) =
        (Wire::online(&server, "alice", "home"), Wire::online(&server, "alice", "phone"), Wire::online(&server, "bob", "b"));
    bob.send("<presence type='subscribe' to='alice@localhost'/>");
    home.stanza("presence", &["type='subscribe'"]);
    home.send("<presence type='subscribed' to='bob@localhost'/>");
    bob.stanza("presence", &["from='alice@localhost/phone'"]);
    bob.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    bob.stanza("iq", &["id='r'"]);

    let change = "<query xmlns='jabber:iq:register'><username>alice</username><password>another</password></query>";
    assert!(home.iq("change", "type='set' to='localhost'", change).contains("type='result'"));
    phone.expect_stream_error("not-authorized");
    Wire::secure(&server).scram(Hash::Sha256, "alice", PASSWORD).expect_err("the old password");
    Wire::secure(&server).scram(Hash::Sha256, "alice", "another").expect("the new password");

    home.send("<iq type='set' id='remove'><query xmlns='jabber:iq:register'><remove/></query></iq>");
    assert!(home.stanza("iq", &["id='remove'"]).contains("type='result'"));
    home.expect_stream_error("not-authorized");
    bob.stanza("presence", &["type='unavailable'", "from='alice@localhost/home'"]);
    bob.stanza("presence", &["type='unsubscribed'", "from='alice@localhost'"]);
    bob.stanza("iq", &["subscription='none'", "jid='alice@localhost'"]);
    Wire::secure(&server).scram(Hash::Sha256, "alice", "another").expect_err("no account");
    assert!(!text(&server.command(&["user", "list"])).contains("alice@localhost"));
}

#[test]
pub fn xep0175_somebody_comes_without_an_account_and_leaves_nothing() {
    let server = open("limits.anonymous_per_source = 3");
    let mut bob = Wire::online(&server, "bob", "b");
    let mut wire = Wire::secure(&server);
    wire.send(ANONYMOUS);
    wire.expect("<success");
    wire.header();
    wire.bind("web");
    let name = wire.jid.split('/').next().expect("a name").to_owned();
    wire.send("<presence/><message to='bob@localhost' type='chat'><body>hello</body></message>");
    bob.stanza("message", &[&format!("from='{name}/web'"), "hello"]);
    assert!(wire.iq("x", "type='get' to='localhost'", "<services xmlns='urn:xmpp:extdisco:2'/>").contains("type='stun'"));
    assert!(text(&server.command(&["user", "list"])).contains(&name));
    wire.send("</stream:stream>");
    wire.until_closed();
    // gone with the stream: the answer comes once the session has ended
    bob.send(&format!("<iq to='{name}/web' type='get' id='late'><query xmlns='jabber:iq:version'/></iq>"));
    bob.stanza("iq", &["type='error'", "id='late'"]);
    server.logs("account removed");
    assert!(!text(&server.command(&["user", "list"])).contains(&name));

    // over WebSocket too; the one after the third is too many
    let mut ws = Ws::open(&server);
    ws.send(ANONYMOUS);
    ws.expect(&["<success"]);
    for allowed in [true, false] {
        let mut wire = Wire::secure(&server);
        wire.send(ANONYMOUS);
        let (which, said) = wire.expect_any(&["<success", "</failure>"]);
        assert_eq!(which == 0, allowed, "{said}");
        assert!(allowed || said.contains("<temporary-auth-failure/>"), "{said}");
    }
}

#[test]
pub fn xep0175_a_crash_leaves_no_anonymous_account_behind() {
    let mut server = open("");
    let mut wire = Wire::secure(&server);
    wire.send(ANONYMOUS);
    wire.expect("<success");
    wire.header();
    wire.bind("web");
    let name = wire.jid.split('/').next().expect("a name").to_owned();
    server.signal("KILL");
    server.ended(std::time::Duration::from_secs(10)).expect("killed");
    assert!(text(&server.command(&["user", "list"])).contains(&name));
    let server = server.restart(&[]);
    assert!(!text(&server.command(&["user", "list"])).contains(&name));
}

#[test]
#[ignore = "slixmpp: run tests/run"]
fn slixmpp_registers_changes_its_password_and_goes_and_comes_without_an_account() {
    let server = open("");
    let more = serde_json::json!({ "direct_tls": true, "users": [["dave@localhost", "the first one"]] });
    let events = peers::python(&server, "register.py", more);
    assert_eq!(events.get("registered")["jid"], "dave@localhost");
    assert_eq!(events.get("removed")["condition"], "not-authorized");
    let stranger = events.get("stranger")["jid"].as_str().expect("a JID").to_owned();
    assert!(stranger.ends_with("@localhost") && stranger.len() == 36 + 10, "{stranger}");
    let left = text(&server.command(&["user", "list"]));
    assert!(!left.contains("dave@localhost"), "{left}");
}
