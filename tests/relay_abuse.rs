//! Promise: the relay serves the server's own users, as long as they are that and no longer, and nobody gains by it what is not theirs.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use campanile_ice::stun::{AttributeType, Class, Method, TransactionId, Writer};

use crate::support::managed::{Managed, Over};
use crate::support::server::{self, Server};
use crate::support::turn::{self, Client};
use crate::support::wire::Wire;

/// How long credentials and allocations may outlive what they depend on.
const WITHIN: Duration = Duration::from_secs(1);

/// Waits until the allocation is gone and its credentials are void, and says how long that took.
fn dies(client: &mut Client, since: Instant) {
    let mut other = client.another();
    loop {
        let (refreshed, made) = (client.refresh(600), other.allocate());
        if refreshed.is_err() && made.is_err() {
            assert_eq!((refreshed, made.map(|_| ())), (Err(401), Err(401)));
            break;
        }
        if made.is_ok() {
            assert_eq!(other.refresh(0), Ok(()));
        }
        assert!(since.elapsed() < WITHIN, "{refreshed:?} {made:?} after {:?}", since.elapsed());
        std::thread::yield_now();
    }
    assert!(since.elapsed() < WITHIN, "{:?}", since.elapsed());
}

fn allocated(server: &Server, wire: &mut Wire) -> Client {
    let mut client = Client::of(server, wire);
    client.allocate().expect("an allocation");
    client
}

#[test]
fn credentials_and_allocations_end_with_the_session_the_account_a_ban_and_the_password() {
    let server = Server::start();
    let command = |arguments: &[&str]| {
        let since = Instant::now();
        let output = server.command(arguments);
        assert!(output.status.success(), "{}", server::text(&output));
        since
    };
    // The end of one session takes what was issued to it, and nothing of the account's other one.
    let (mut home, mut phone) = (Wire::bound(&server, "alice", "home"), Wire::bound(&server, "alice", "phone"));
    let (mut of_home, mut of_phone) = (allocated(&server, &mut home), allocated(&server, &mut phone));
    phone.send("</stream:stream>");
    phone.until_closed();
    dies(&mut of_phone, Instant::now());
    assert_eq!(of_home.refresh(600), Ok(()));
    // Others are not concerned by what follows.
    let mut carol = Wire::bound(&server, "carol", "home");
    let mut of_carol = allocated(&server, &mut carol);

    // What the command takes until the server is told counts, too, but for the new password's keys.
    server.command(&["user", "passwd", "alice@localhost", "--password", "another secret"]);
    dies(&mut of_home, Instant::now());

    let mut bob = Wire::bound(&server, "bob", "home");
    let mut of_bob = allocated(&server, &mut bob);
    let since = command(&["user", "disable", "bob@localhost"]);
    dies(&mut of_bob, since.max(Instant::now() - Duration::from_millis(500)));

    assert_eq!(of_carol.refresh(600), Ok(()));
    let since = command(&["user", "delete", "carol@localhost"]);
    dies(&mut of_carol, since.max(Instant::now() - Duration::from_millis(500)));
}

/// RFC 8489 §9.2.2: a nonce is good on every socket of its client, so that only the first request is challenged.
#[test]
fn the_second_allocation_of_a_client_takes_one_request() {
    let server = Server::start();
    let mut wire = Wire::bound(&server, "alice", "home");
    let mut first = allocated(&server, &mut wire);
    assert_eq!(first.requests(), 2, "a challenge, and its answer");
    assert_eq!(first.refresh(600), Ok(()));
    assert_eq!(first.requests(), 3);
    let mut second = first.another();
    second.allocate().expect("an allocation");
    assert_eq!(second.requests(), 1);
}

/// The same, by what a client does and by what ends sessions and leaves the account.
#[test]
fn credentials_and_allocations_end_with_what_the_owner_changes_and_with_a_kick() {
    let server = Server::with("auth.registration = true");
    let register = "xmlns='jabber:iq:register'";
    // The owner's session that changes the password stays; what was issued to it before is void all the same.
    let (mut home, mut phone) = (Wire::bound(&server, "alice", "home"), Wire::bound(&server, "alice", "phone"));
    let (mut of_home, mut of_phone) = (allocated(&server, &mut home), allocated(&server, &mut phone));
    home.iq("p", "type='set'", &format!("<query {register}><username>alice</username><password>another secret</password></query>"));
    let since = Instant::now();
    dies(&mut of_home, since);
    dies(&mut of_phone, since);
    // All sessions of an account, however many.
    let (mut home, mut phone) = (Wire::bound(&server, "bob", "home"), Wire::bound(&server, "bob", "phone"));
    let (mut of_home, mut of_phone) = (allocated(&server, &mut home), allocated(&server, &mut phone));
    let kicked = server.command(&["user", "kick", "bob@localhost"]);
    assert!(kicked.status.success(), "{}", server::text(&kicked));
    let since = Instant::now();
    dies(&mut of_home, since);
    dies(&mut of_phone, since);
    let mut carol = Wire::bound(&server, "carol", "home");
    let mut of_carol = allocated(&server, &mut carol);
    carol.send(&format!("<iq type='set' id='r'><query {register}><remove/></query></iq>"));
    carol.expect("id='r'");
    dies(&mut of_carol, Instant::now());
}

/// XEP-0198 §5: a session that may be resumed lives, and so does its call.
#[test]
fn a_session_without_connection_keeps_its_allocation_until_it_is_over_and_over_a_restart_its_credentials() {
    let server = Server::with("limits.resume_s = 3");
    let mut bob = Managed::online(&server, Over::StartTls, "bob", "phone");
    bob.send("<iq type='get' id='x' to='localhost'><services xmlns='urn:xmpp:extdisco:2' type='turn'/></iq>");
    let told = turn::read(&bob.expect(&["id='x'"]));
    let mut client = Client::told(&server, &told[0]);
    client.allocate().expect("an allocation");
    bob.acknowledge();
    bob.until_ack();
    let cut = bob.cut();
    assert_eq!(client.refresh(600), Ok(()));
    let (bob, _) = cut.resume(&server, Over::StartTls);
    assert_eq!(client.refresh(600), Ok(()));
    // An orderly stop keeps the session, and what was issued to it.
    let cut = bob.cut();
    let server = server.restart(&[]);
    let mut after = Client::told(&server, &told[0]);
    after.allocate().expect("the session lives");
    let (bob, _) = cut.resume(&server, Over::StartTls);
    let since = Instant::now();
    let _cut = bob.cut();
    // Until the server sees the connection's end the session has not begun to wait.
    let most = Duration::from_secs(3) + WITHIN + WITHIN / 2;
    while after.refresh(600).is_ok() {
        assert!(since.elapsed() < most, "the allocation outlives its session");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(since.elapsed() >= Duration::from_secs(3), "the session was over before its time");
    assert_eq!(after.another().allocate(), Err(401));
}

/// RFC 8489 §16.1.1 and RFC 8656 §21.1: who forges a source gains nothing by our answers.
#[test]
fn beyond_its_budget_a_source_gets_no_answer_longer_than_1_2_times_the_request() {
    let server = Server::with("limits.stun_answers_per_second = 1\nlimits.stun_answers_burst = 4");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address("turn_udp")).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let request = |method, padding: usize, number: u8| {
        let mut writer = Writer::new(Class::Request, method, TransactionId([number; 12]));
        // A comprehension-optional attribute that nobody knows.
        writer.attribute(AttributeType(0x8055), &vec![7; padding]);
        writer.finish()
    };
    let (mut sent, mut received, mut answer) = (0, 0, [0; 2048]);
    for _ in 0..40 {
        for method in [Method::BINDING, Method::ALLOCATE] {
            let bytes = request(method, 0, 1);
            socket.send(&bytes).unwrap();
            sent += bytes.len();
        }
        // One that is long enough is always answered, and shows that those before it were worked off.
        let long = request(Method::BINDING, 200, 2);
        socket.send(&long).unwrap();
        loop {
            let size = socket.recv(&mut answer).expect("an answer");
            if answer[8..20] == [2; 12] {
                assert!(size * 10 <= long.len() * 12);
                break;
            }
            received += size;
        }
    }
    // The burst, and what a slow machine gains by the second; all of 80 would be some 6,000 bytes.
    assert!(received < sent, "{received} bytes for {sent}");
}
