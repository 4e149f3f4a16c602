//! RFC 8489: Binding, the checks of a request in their order, and what gets no answer.

use std::net::SocketAddr;
use std::time::Duration;

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm, SecurityFeatures};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use super::bench::{ACCOUNT, Answer, Ask, Bench, TestClient};
use crate::datapath::flow::{Client, Via};
use crate::settings::{Limits, Settings};
use crate::stats::{AuthFailure, DropReason};
use crate::turn::server::answer::SOFTWARE;

#[test]
fn rfc8489_s6_3_1_binding_tells_the_source() {
    let mut bench = Bench::new();
    for remote in ["198.51.100.9:40000", "[2001:db8:1::9]:5", "[::ffff:198.51.100.9]:40000"] {
        let mut client = bench.client();
        client.client.remote = remote.parse::<SocketAddr>().unwrap().into();
        let answers = bench.say(client.client, &Ask::new(Method::BINDING).writer().finish());
        let answer = Answer(answers[0].clone());
        let expected: SocketAddr = remote.parse().unwrap();
        assert_eq!(
            answer.address(AttributeType::XOR_MAPPED_ADDRESS).unwrap(),
            SocketAddr::new(expected.ip().to_canonical(), expected.port())
        );
        assert_eq!(answer.message().get(AttributeType::SOFTWARE), Some(SOFTWARE));
        assert!(answer.message().has_fingerprint() && !answer.message().has_integrity());
    }
}

#[test]
fn rfc8489_s6_3_1_unknown_attributes_are_listed() {
    let mut bench = Bench::new();
    let client = bench.client();
    let request =
        |method| Ask::new(method).with(AttributeType(0x0003), &[0; 4]).with(AttributeType(0x7FFF), &[]).with(AttributeType(0x8FFF), &[]);
    let binding = Answer(bench.say(client.client, &request(Method::BINDING).writer().finish())[0].clone());
    let allocate = bench.ask(&client, request(Method::ALLOCATE));
    for answer in [binding, allocate] {
        assert_eq!(answer.code(), Some(420));
        assert_eq!(answer.message().get(AttributeType::UNKNOWN_ATTRIBUTES), Some([0x00, 0x03, 0x7F, 0xFF].as_slice()));
    }
}

#[test]
fn rfc8489_s9_2_4_a_challenge_has_realm_and_nonce_and_no_integrity() {
    let mut bench = Bench::new();
    let client = bench.client();
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let answer = Answer(bench.say(client.client, &Ask::new(method).writer().finish())[0].clone());
        let message = answer.message();
        assert_eq!((answer.code(), message.get(AttributeType::REALM)), (Some(401), Some(b"example.org".as_slice())));
        let nonce = message.get(AttributeType::NONCE).unwrap();
        assert!(bench.auth.is_nonce_good(nonce, "198.51.100.9".parse().unwrap(), bench.now.time));
        assert!(!message.has_integrity() && message.has_fingerprint() && message.get(AttributeType::SOFTWARE).is_some());
        let (features, _) = SecurityFeatures::read(nonce).unwrap();
        assert_eq!(features, SecurityFeatures { password_algorithms: true, username_anonymity: true });
        assert_eq!(message.get(AttributeType::PASSWORD_ALGORITHMS), Some([0, 2, 0, 0, 0, 1, 0, 0].as_slice()));
    }
}

#[test]
fn rfc8489_s9_2_4_each_check_in_its_order() {
    let mut bench = Bench::new();
    let good = bench.client();
    let foreign_nonce = bench.auth.nonce("198.51.100.10:40000".parse().unwrap(), bench.now.time);
    let other_port = bench.auth.nonce("198.51.100.9:1".parse().unwrap(), bench.now.time);
    let old_nonce = bench.auth.nonce("198.51.100.9:1".parse().unwrap(), bench.now.time - Duration::from_secs(3_601));
    let expired = bench.auth.issue(ACCOUNT, bench.now.time - Duration::from_secs(86_400), [1; 12]);
    let expired_key = Key::long_term(&expired.username, "example.org", &expired.password, PasswordAlgorithm::Md5).unwrap();
    let table: Vec<(&str, TestClient, Option<u16>, bool)> = vec![
        ("good", good.clone(), None, true),
        ("wrong password", TestClient { key: Key::short_term("wrong"), ..good.clone() }, Some(401), false),
        ("unknown name", TestClient { username: "juliet".into(), ..good.clone() }, Some(401), false),
        ("name too long", TestClient { username: "9".repeat(509), ..good.clone() }, Some(401), false),
        ("expired", TestClient { username: expired.username, key: expired_key, ..good.clone() }, Some(401), false),
        ("no nonce of ours", TestClient { nonce: "nonce".into(), ..good.clone() }, Some(438), true),
        ("another source's nonce", TestClient { nonce: foreign_nonce, ..good.clone() }, Some(438), true),
        ("too old", TestClient { nonce: old_nonce, ..good.clone() }, Some(438), true),
        ("another port's nonce", TestClient { nonce: other_port, ..good.clone() }, None, true),
    ];
    for (port, (what, mut client, code, is_signed)) in table.into_iter().enumerate() {
        client.client.remote.port = 1_000 + port as u16;
        let answer = bench.ask(&client, Ask::allocate());
        assert_eq!((answer.code(), answer.message().has_integrity()), (code, is_signed), "{what}");
        let of_challenge = [AttributeType::NONCE, AttributeType::REALM, AttributeType::PASSWORD_ALGORITHMS];
        let has_challenge = of_challenge.iter().all(|kind| answer.message().get(*kind).is_some());
        assert_eq!(has_challenge, code.is_some(), "{what}");
    }
}

#[test]
fn rfc8489_s9_2_4_every_algorithm_and_name_for_every_request() {
    let mut bench = Bench::new();
    let algorithms = [None, Some(PasswordAlgorithm::Md5), Some(PasswordAlgorithm::Sha256)];
    for (port, (algorithm, is_anonymous)) in
        algorithms.into_iter().flat_map(|algorithm| [(algorithm, false), (algorithm, true)]).enumerate()
    {
        let remote = format!("198.51.100.9:{}", 1_000 + port);
        let client = algorithm.map_or_else(|| bench.client_of(ACCOUNT, &remote), |algorithm| bench.client_with(algorithm, &remote));
        let client = TestClient { is_anonymous, ..client };
        bench.allocate(&client);
        assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
        assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None);
        // Error responses are signed in the same way; `ask` looks.
        assert_eq!(bench.permit(&client, "127.0.0.1:1"), Some(403));
        let stale = TestClient { nonce: "stale".into(), algorithm: None, ..client.clone() };
        assert_eq!(
            bench.ask(&stale, Ask::new(Method::REFRESH)).code(),
            if algorithm == Some(PasswordAlgorithm::Sha256) { Some(401) } else { Some(438) }
        );
        assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    }
    assert!(bench.server.is_idle());
}

#[test]
fn rfc8489_s9_2_1_bidding_down_is_400() {
    use AttributeType as A;
    let mut bench = Bench::new();
    let client = bench.client_with(PasswordAlgorithm::Sha256, "198.51.100.9:40000");
    let (offer, sha256, md5) = (&PasswordAlgorithm::OFFER[..], &[0, 2, 0, 0][..], &[0, 1, 0, 0][..]);
    let stripped = client.nonce.replace("obMatJos2w", "obMatJos2A");
    let nonce = client.nonce.as_str();
    type Case<'a> = (&'a str, &'a str, &'a [(A, &'a [u8])], u16);
    let table: &[Case<'_>] = &[
        ("no algorithm: MD5, and the key is another", nonce, &[], 401),
        ("the algorithm alone", nonce, &[(A::PASSWORD_ALGORITHM, sha256)], 400),
        ("the offer alone", nonce, &[(A::PASSWORD_ALGORITHMS, offer)], 400),
        ("an offer of MD5 alone", nonce, &[(A::PASSWORD_ALGORITHMS, md5), (A::PASSWORD_ALGORITHM, md5)], 400),
        ("an offer in another order", nonce, &[(A::PASSWORD_ALGORITHMS, &[0, 1, 0, 0, 0, 2, 0, 0]), (A::PASSWORD_ALGORITHM, sha256)], 400),
        ("an empty offer", nonce, &[(A::PASSWORD_ALGORITHMS, &[]), (A::PASSWORD_ALGORITHM, sha256)], 400),
        ("an algorithm that was not offered", nonce, &[(A::PASSWORD_ALGORITHMS, offer), (A::PASSWORD_ALGORITHM, &[0, 3, 0, 0])], 400),
        ("an algorithm with parameters", nonce, &[(A::PASSWORD_ALGORITHMS, offer), (A::PASSWORD_ALGORITHM, &[0, 2, 0, 1, 0])], 400),
        ("an algorithm cut short", nonce, &[(A::PASSWORD_ALGORITHMS, offer), (A::PASSWORD_ALGORITHM, &[0, 2])], 400),
        ("a cookie without the bit", &stripped, &[(A::PASSWORD_ALGORITHMS, offer), (A::PASSWORD_ALGORITHM, sha256)], 438),
        ("a cookie without the bit, and no such algorithm", &stripped, &[(A::PASSWORD_ALGORITHM, &[9, 9, 0, 0])], 400),
        ("no cookie", "nonce", &[(A::PASSWORD_ALGORITHM, sha256)], 438),
    ];
    for (what, nonce, attributes, code) in table {
        let mut writer = Ask::allocate().writer();
        writer.attribute(A::USERNAME, client.username.as_bytes());
        writer.attribute(A::REALM, b"example.org").attribute(A::NONCE, nonce.as_bytes());
        for (kind, value) in *attributes {
            writer.attribute(*kind, value);
        }
        writer.sign(&client.key, Integrity::Sha256);
        let answer = Answer(bench.say(client.client, &writer.finish())[0].clone());
        assert_eq!(answer.code(), Some(*code), "{what}");
        assert_eq!(answer.message().has_integrity(), *code == 438, "{what}");
        assert_eq!(answer.message().get(A::NONCE).is_some(), *code != 400, "{what}");
    }
    assert!(bench.server.is_idle());
    assert_eq!(bench.server.stats.auth_failures[AuthFailure::BidDown as usize], 9);
    bench.allocate(&client);
}

#[test]
fn rfc8489_s9_2_4_a_hash_that_is_not_known_asks_for_the_name() {
    let mut bench = Bench::new();
    let client = TestClient { username: "99999:nobody".into(), is_anonymous: true, ..bench.client() };
    let answer = bench.ask(&client, Ask::allocate());
    assert_eq!(answer.code(), Some(401));
    let nonce = answer.message().get(AttributeType::NONCE).unwrap().to_vec();
    let (features, _) = SecurityFeatures::read(&nonce).unwrap();
    assert_eq!(features, SecurityFeatures { password_algorithms: true, username_anonymity: false });
    // That nonce is as good as any.
    let client = TestClient { nonce: String::from_utf8(nonce).unwrap(), ..bench.client() };
    bench.allocate(&client);
    // A hash of the wrong size is nobody's.
    let short = Ask::allocate().with(AttributeType::USERHASH, &[0; 31]).with(AttributeType::REALM, b"example.org");
    let mut writer = short.with(AttributeType::NONCE, client.nonce.as_bytes()).writer();
    writer.sign(&client.key, Integrity::Sha1);
    assert_eq!(Answer(bench.say(client.client, &writer.finish())[0].clone()).code(), Some(401));
}

#[test]
fn rfc8489_s9_2_4_with_a_rest_secret_names_are_asked_for() {
    let mut bench = Bench::with(Settings { rest_secret: Some("shared".into()), ..Settings::default() }, Limits::default());
    let client = bench.client();
    let answer = Answer(bench.say(client.client, &Ask::allocate().writer().finish())[0].clone());
    let (features, _) = SecurityFeatures::read(answer.message().get(AttributeType::NONCE).unwrap()).unwrap();
    assert_eq!(features, SecurityFeatures { password_algorithms: true, username_anonymity: false });
    // A name that was issued is found nevertheless.
    bench.allocate(&TestClient { is_anonymous: true, ..client });
}

#[test]
fn rfc8489_s9_2_4_integrity_without_name_realm_or_nonce_is_400() {
    let mut bench = Bench::new();
    let client = bench.client();
    let all = [
        (AttributeType::USERNAME, client.username.as_bytes()),
        (AttributeType::REALM, b"example.org"),
        (AttributeType::NONCE, client.nonce.as_bytes()),
    ];
    for (left_out, _) in all {
        let mut writer = Ask::allocate().writer();
        for (kind, value) in all.iter().filter(|(kind, _)| *kind != left_out) {
            writer.attribute(*kind, value);
        }
        writer.sign(&client.key, Integrity::Sha1);
        let answer = Answer(bench.say(client.client, &writer.finish())[0].clone());
        assert_eq!((answer.code(), answer.message().has_integrity()), (Some(400), false));
        assert!(answer.message().get(AttributeType::NONCE).is_none() && answer.message().get(AttributeType::REALM).is_none());
    }
}

#[test]
fn rfc8489_s6_3_what_is_no_request_gets_no_answer() {
    let mut bench = Bench::new();
    let client = bench.client();
    let message = |class, method| Writer::new(class, method, TransactionId([1; 12])).finish();
    for bytes in [
        message(Class::Indication, Method::BINDING),
        message(Class::Indication, Method::DATA),
        message(Class::Indication, Method::ALLOCATE),
        message(Class::Success, Method::BINDING),
        message(Class::Error, Method::ALLOCATE),
        message(Class::Request, Method::SEND),
        message(Class::Request, Method(0x00D)),
        message(Class::Request, Method(0xFFF)),
    ] {
        assert!(bench.say(client.client, &bytes).is_empty());
    }
}

#[test]
fn beyond_its_budget_a_source_gets_no_answer_longer_than_1_2_times_the_request() {
    let mut bench = Bench::with(Settings::default(), Limits { answers_burst: 1, answers_per_second: 1, ..Limits::default() });
    let client = bench.client().client;
    assert_eq!(bench.say(client, &Ask::new(Method::BINDING).writer().finish()).len(), 1);
    let (mut answered, mut refused) = (0, 0);
    for method in [Method::BINDING, Method::ALLOCATE, Method::REFRESH] {
        for bytes in (0..400).step_by(4) {
            for has_fingerprint in [false, true] {
                let mut writer = Ask::new(method).with(AttributeType(0x8055), &vec![7; bytes]).writer();
                if has_fingerprint {
                    writer.fingerprint();
                }
                let request = writer.finish();
                match bench.say(client, &request).as_slice() {
                    [] => refused += 1,
                    [answer] => {
                        answered += 1;
                        let message = Message::parse(answer).unwrap();
                        assert!(answer.len() * 10 <= request.len() * 12, "{} for {}", answer.len(), request.len());
                        assert!(message.has_fingerprint() || !has_fingerprint);
                        let essential = if method == Method::BINDING { AttributeType::XOR_MAPPED_ADDRESS } else { AttributeType::NONCE };
                        assert!(message.get(essential).is_some());
                    }
                    more => panic!("{} answers", more.len()),
                }
            }
        }
    }
    assert!(answered > 400 && refused > 50, "{answered} {refused}");
    assert_eq!(bench.server.stats.drops[DropReason::OverBudget as usize], refused);
}

#[test]
fn unauthenticated_answers_to_one_source_are_bounded_over_udp() {
    let mut bench = Bench::with(Settings::default(), Limits { answers_burst: 10, answers_per_second: 1, ..Limits::default() });
    let client = bench.client();
    let mut count = |via, bytes: &[u8]| (0..50).filter(|_| !bench.say(Client { via, ..client.client }, bytes).is_empty()).count();
    let binding = Ask::new(Method::BINDING).writer().finish();
    assert_eq!(count(Via::Udp(0), &binding), 10);
    assert_eq!(count(Via::Udp(0), &Ask::allocate().writer().finish()), 0);
    assert_eq!(count(Via::Tcp(1), &binding), 50);
    assert!(bench.ask(&client, Ask::allocate()).code().is_none(), "who has credentials is served");
    let stale = TestClient { nonce: "stale".into(), ..client };
    let replayed = stale.sign(Ask::allocate());
    let answers = bench.say(stale.client, &replayed);
    assert!(answers.iter().all(|answer| answer.len() * 10 <= replayed.len() * 12), "a replayed request gains nothing");
}
