//! What a stanza's sender and its addressees get, with the router, its features and a database, without a network.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use campanile_signalling::features::extdisco::Service;
use campanile_signalling::iq::To;
use campanile_signalling::jid::BareJid;
use campanile_signalling::mailbox::Mailbox;
use campanile_signalling::router::Limits;
use campanile_signalling::stanza::Stanza;
use campanile_signalling::store::{RosterChange, RosterItem, Subscription};
use campanile_signalling::stream::error::{Condition, StreamError};
use campanile_signalling::xml::Bindings;

use crate::world::{Client, World, befriend, doap};

#[tokio::test]
async fn rfc6121_s8_5_2_messages_to_a_bare_jid_reach_every_resource_of_non_negative_priority() {
    let world = World::new("bare", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let (phone, laptop, robot) =
        (world.online("bob", "phone").await, world.online("bob", "laptop").await, world.client("bob", "robot").await);
    robot.send("<presence><priority>-1</priority></presence>").await;
    [&phone, &laptop, &robot].into_iter().for_each(Client::forget);
    alice.send("<message to='bob@localhost' type='chat' id='1'><body>hi</body></message>").await;
    phone.expect(&[&["to='bob@localhost'", "from='alice@localhost/a'", "<body>hi</body>"]]);
    laptop.expect(&[&["<body>hi</body>"]]);
    robot.expect(&[]);
}

#[tokio::test]
async fn rfc6121_s8_5_1_and_8_5_2_2_nobody_home_gives_the_same_error_as_no_such_account() {
    let world = World::new("nobody", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for to in ["bob@localhost", "nobody@localhost"] {
        // XEP-0334 §4.2: what may not be kept comes back; what may waits in the store, see messages.rs.
        alice.send(&format!("<message to='{to}' type='chat' id='1'><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>")).await;
        alice.expect(&[&["type='error'", "<service-unavailable", &format!("from='{to}'")]]);
        alice.send(&format!("<message to='{to}' type='headline' id='1'><body>hi</body></message>")).await;
        alice.expect(&[]);
        alice.send(&format!("<iq to='{to}/x' type='get' id='2'><query xmlns='jabber:iq:version'/></iq>")).await;
        alice.expect(&[&["type='error'", "<service-unavailable", "id='2'"]]);
        alice.send(&format!("<iq to='{to}' type='get' id='3'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")).await;
        alice.expect(&[&["type='error'", "<service-unavailable", "id='3'"]]);
    }
    // what may be kept is taken in silence, and what account-wide rules say is said of nobody too
    for request in [
        "type='get' id='5'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>",
        "type='set' id='5'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>",
        "type='get' id='5'><vCard xmlns='vcard-temp'/>",
        "type='set' id='5'><vCard xmlns='vcard-temp'/>",
        "type='get' id='5'><query xmlns='http://jabber.org/protocol/disco#items'/>",
        "type='get' id='5'><query xmlns='jabber:iq:last'/>",
        "type='get' id='5'><query xmlns='jabber:iq:roster'/>",
        "type='get' id='5'><ping xmlns='urn:xmpp:ping'/>",
        "type='set' id='5'><query xmlns='urn:xmpp:mam:2'/>",
        "type='set' id='5'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'/>",
    ] {
        let mut answers = Vec::new();
        for name in ["bob", "nobody"] {
            for resource in ["", "/x"] {
                let stanza = format!("<iq to='{name}@localhost{resource}' {request}</iq>");
                answers.push(alice.ask(&stanza).await.join("").replace(name, "NAME"));
            }
        }
        assert_eq!(answers[..2], answers[2..], "{request}");
    }
    for kind in ["chat", "normal"] {
        for resource in ["", "/x"] {
            let mut answers = Vec::new();
            for name in ["bob", "nobody"] {
                let stanza = format!("<message to='{name}@localhost{resource}' type='{kind}' id='6'><body>hi</body></message>");
                answers.push(alice.ask(&stanza).await.join("").replace(name, "NAME"));
            }
            assert_eq!(answers[0], answers[1], "{kind}{resource}");
        }
    }
    alice.send("<message to='nobody@localhost' type='chat' id='6'><body>hi</body></message>").await;
    alice.expect(&[]);
    alice.send("<message to='x@elsewhere.example' id='4'><body>hi</body></message>").await;
    alice.expect(&[&["<remote-server-not-found"]]);
}

#[tokio::test]
async fn rfc6121_s3_two_contacts_subscribe_and_see_each_other_come_and_go() {
    let world = World::new("subscribe", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for client in [&alice, &bob] {
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
        client.expect(&[&["type='result'", "<query xmlns='jabber:iq:roster' ver='"]]);
    }
    alice.send("<presence type='subscribe' to='bob@localhost' id='s'><status>it is me</status></presence>").await;
    alice.expect(&[&["ask='subscribe'", "subscription='none'"]]);
    bob.expect(&[&["type='subscribe'", "from='alice@localhost'", "it is me"]]);

    bob.send("<presence type='subscribed' to='alice@localhost'/>").await;
    bob.expect(&[&["subscription='from'", "jid='alice@localhost'"]]);
    let received = alice.received();
    assert!(received.iter().any(|stanza| stanza.contains("type='subscribed'")), "{received:#?}");
    assert!(received.iter().any(|stanza| stanza.contains("subscription='to'")), "{received:#?}");
    assert!(received.last().is_some_and(|stanza| stanza.contains("from='bob@localhost/b'")), "bob's presence comes last: {received:#?}");

    world.router.unbind(&bob.session).await;
    alice.expect(&[&["type='unavailable'", "from='bob@localhost/b'"]]);
    let bob = world.client("bob", "b2").await;
    bob.send("<presence><show>away</show></presence>").await;
    alice.expect(&[&["<show>away</show>", "from='bob@localhost/b2'"]]);
}

#[tokio::test]
async fn rfc6121_s3_1_3_a_request_waits_for_the_next_log_in_and_survives_the_home() {
    let world = World::new("waiting", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    alice.send("<presence type='subscribe' to='bob@localhost'><status>whole</status></presence>").await;
    let stored = world.store.rosters().requests(&BareJid::new("bob", "localhost").expect("a JID")).await.expect("reads");
    assert_eq!(stored.len(), 1);
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    bob.expect(&[&["from='bob@localhost/b'"], &["type='subscribe'", "from='alice@localhost'", "whole"]]);
}

#[tokio::test]
async fn rfc6121_s2_5_removing_a_contact_ends_both_subscriptions() {
    let world = World::new("remove", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    bob.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    bob.expect(&[&["subscription='both'"]]);
    alice
        .send("<iq type='set' id='d'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' subscription='remove'/></query></iq>")
        .await;
    let told = bob.received().join("");
    for part in ["type='unsubscribe'", "type='unsubscribed'", "type='unavailable'", "subscription='none'"] {
        assert!(told.contains(part), "bob misses {part} in {told}");
    }
    alice
        .send("<iq type='set' id='e'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' subscription='remove'/></query></iq>")
        .await;
    let answers = alice.received();
    assert!(answers.last().is_some_and(|stanza| stanza.contains("item-not-found")), "{answers:#?}");
}

#[tokio::test]
async fn rfc6121_s2_3_3_bad_roster_sets_get_their_errors_and_a_full_roster_stays_as_it_is() {
    let world = World::new("roster", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let set = |content: &str| format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{content}</query></iq>");
    for (content, condition) in [
        ("", "bad-request"),
        ("<item jid='a@b'/><item jid='c@d'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@'/>", "jid-malformed"),
        ("<item jid='a@b'><group/></item>", "not-acceptable"),
        ("<item jid='a@b'><group>x</group><group>x</group></item>", "bad-request"),
        ("<item jid='alice@localhost'/>", "not-allowed"),
    ] {
        alice.send(&set(content)).await;
        alice.expect(&[&["type='error'", condition]]);
    }
    for name in ["a@b", "c@d", "e@f"] {
        alice.send(&set(&format!("<item jid='{name}' name='N'><group>G</group></item>"))).await;
        alice.expect(&[&["type='result'"]]);
    }
    alice.send(&set("<item jid='g@h'/>")).await;
    alice.expect(&[&["resource-constraint"]]);
    alice.send("<iq type='get' id='r' to='alice@localhost'><query xmlns='jabber:iq:roster'/></iq>").await;
    alice.expect(&[&["<item jid='a@b' name='N' subscription='none'><group>G</group></item>"]]);
}

#[tokio::test]
async fn xep0280_s7_s8_other_devices_get_copies_and_call_messages_silence_them() {
    let world = World::new("carbons", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let (phone, laptop) = (world.online("bob", "phone").await, world.client("bob", "laptop").await);
    laptop.send("<presence><priority>-1</priority></presence>").await;
    laptop.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    [&phone, &laptop].into_iter().for_each(Client::forget);

    alice.send("<message to='bob@localhost' id='p'><propose xmlns='urn:xmpp:jingle-message:0' id='call'/></message>").await;
    phone.expect(&[&["<propose"]]);
    laptop.expect(&[&[
        "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'",
        "<propose",
    ]]);

    phone.send("<message to='bob@localhost' type='chat'><accept xmlns='urn:xmpp:jingle-message:0' id='call'/></message>").await;
    laptop.expect(&[&["<sent", "<accept"]]);
    phone.received();

    phone.send("<message to='alice@localhost/a' type='chat'><body>secret</body><private xmlns='urn:xmpp:carbons:2'/></message>").await;
    laptop.expect(&[]);
    alice.expect(&[&["secret"]]);
    phone.send("<iq type='set' id='d' to='alice@localhost'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    phone.expect(&[&["type='error'"]]);
}

#[tokio::test]
async fn rfc6120_s7_7_2_2_the_newer_session_takes_the_resource_over() {
    let world = World::new("conflict", &["alice", "bob"]).await;
    let bob = world.online("bob", "b").await;
    let old = world.online("alice", "a").await;
    befriend(&old, &bob).await;
    let new = world.client("alice", "a").await;
    old.expect(&[&["close: conflict"]]);
    bob.expect(&[&["type='unavailable'", "alice@localhost/a"]]);
    bob.send("<message to='alice@localhost/a'><body>x</body></message>").await;
    new.expect(&[&["<body>x</body>"]]);
    world.router.unbind(&old.session).await;
    bob.send("<message to='alice@localhost/a'><body>y</body></message>").await;
    new.expect(&[&["<body>y</body>"]]);
    for resource in ["2", "3", "4"] {
        world.client("alice", resource).await;
    }
    let refused = world.router.bind(&new.session.jid.to_bare(), Some("5"), Arc::new(Mailbox::new(1)), Instant::now()).await;
    assert_eq!(refused.expect_err("a fifth session").condition.name(), "resource-constraint");
}

#[tokio::test]
async fn a_stream_older_than_a_kick_cannot_bind() {
    let world = World::new("kick", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let (jid, before) = (alice.session.jid.to_bare(), Instant::now());
    let kicked = world.router.kick(&jid, StreamError::new(Condition::NotAuthorized)).await;
    assert_eq!(kicked, 1);
    alice.expect(&[&["close: not-authorized"]]);
    alice.send("<message to='alice@localhost' type='chat'><body>still here?</body></message>").await;
    alice.expect(&[]);
    let bind = |since| world.router.bind(&jid, Some("b"), Arc::new(Mailbox::new(1000)), since);
    assert_eq!(bind(before).await.expect_err("began before the kick").condition.name(), "not-authorized");
    assert!(bind(Instant::now()).await.is_ok());
}

#[tokio::test]
async fn large_subscription_requests_do_not_fill_the_mailbox_of_who_logs_in() {
    let names: Vec<String> = (0..12).map(|index| format!("u{index}")).collect();
    let accounts: Vec<&str> = names.iter().map(String::as_str).chain(["bob"]).collect();
    let world = World::new("requests", &accounts).await;
    for name in &names {
        let asking = world.client(name, "x").await;
        asking.send(&format!("<presence type='subscribe' to='bob@localhost'><status>{}</status></presence>", "x".repeat(20_000))).await;
    }
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    let received = bob.received();
    assert_eq!(received.iter().filter(|stanza| stanza.contains("type='subscribe'")).count(), 12, "{received:#?}");
}

#[tokio::test]
async fn rfc6121_s3_1_6_the_answer_comes_before_the_roster_push() {
    let world = World::new("order", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    alice.send("<presence type='subscribe' to='bob@localhost'/>").await;
    alice.forget();
    bob.send("<presence type='subscribed' to='alice@localhost'/>").await;
    alice.expect(&[&["type='subscribed'"], &["jabber:iq:roster", "subscription='to'"], &["from='bob@localhost/b'"]]);
    alice.send("<presence type='subscribe' to='x@elsewhere.example'/>").await;
    alice.expect(&[&["type='error'", "remote-server-not-found"]]);
}

#[tokio::test]
async fn a_message_that_no_stream_can_take_comes_back() {
    let world = World::new("full", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let message = format!(
        "<message to='bob@localhost/b' type='chat' id='m'><body>{}</body><no-store xmlns='urn:xmpp:hints'/></message>",
        "x".repeat(60_000)
    );
    alice.send(&message).await;
    alice.expect(&[]);
    alice.send(&message).await;
    alice.expect(&[&["type='error'", "service-unavailable"]]);
    let received = bob.received();
    assert!(
        matches!(&received[..], [first, last] if first.contains("<body>") && last == "close: resource-constraint"),
        "{}",
        received.len()
    );
}

#[tokio::test]
async fn a_call_to_the_server_or_a_bare_address_is_over_with_its_error() {
    let world = World::new("refused", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for to in ["localhost", "bob@localhost", "bob@localhost/nowhere"] {
        alice.send(&format!("<iq to='{to}' type='set' id='j'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s' initiator='alice@localhost/a'><content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content></jingle></iq>")).await;
        alice.expect(&[&["type='error'", "service-unavailable"]]);
        assert_eq!(world.calls.in_session(), 0, "after a call to {to}");
    }
}

#[tokio::test]
async fn xep0280_s7_no_session_gets_a_message_and_its_copy() {
    let world = World::new("self", &["alice"]).await;
    let (phone, laptop, silent) =
        (world.online("alice", "phone").await, world.online("alice", "laptop").await, world.client("alice", "silent").await);
    for client in [&laptop, &silent] {
        client.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    }
    [&phone, &laptop, &silent].into_iter().for_each(Client::forget);
    phone.send("<message to='alice@localhost' type='chat'><accept xmlns='urn:xmpp:jingle-message:0' id='call'/></message>").await;
    laptop.expect(&[&["<message from='alice@localhost/phone' to='alice@localhost'"]]);
    silent.expect(&[&["<sent", "<accept"]]);
}

#[tokio::test]
async fn rfc6121_s4_6_directed_presence_ends_with_the_session_and_is_bounded() {
    let world = World::new("directed", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send("<presence to='bob@localhost/b'/>").await;
    bob.expect(&[&["from='alice@localhost/a'"]]);
    alice.send("<presence to='x@elsewhere.example'/>").await;
    alice.received();
    alice.send("<presence to='y@elsewhere.example'/>").await;
    alice.expect(&[&["resource-constraint"]]);
    world.router.unbind(&alice.session).await;
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/a'"]]);
}

#[tokio::test]
async fn rfc6121_s4_3_2_a_probe_by_a_stranger_learns_nothing() {
    let world = World::new("probe", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    // Clients do not probe; what they send as one goes nowhere.
    alice.send("<presence type='probe' to='bob@localhost'/>").await;
    alice.expect(&[]);
    let probe =
        Stanza::parse("<presence type='probe' to='bob@localhost' from='alice@localhost/a'/>".to_owned().into(), &Bindings::client());
    world.router.route(probe.expect("valid"), None).await;
    // The answer `unsubscribed` changes nothing for alice, so it is not shown to her either (A.3.4).
    alice.expect(&[]);
    bob.expect(&[]);
}

#[tokio::test]
async fn xep0030_the_server_shows_what_it_answers_and_an_account_only_to_its_contacts() {
    let world = World::new("disco", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let info = |to: &str| format!("<iq type='get' id='i' to='{to}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    alice.send(&info("localhost")).await;
    alice.expect(&[&["from='localhost'", "category='server' type='im'", "urn:xmpp:ping", "urn:xmpp:carbons:2"]]);
    alice.send(&info("bob@localhost")).await;
    alice.expect(&[&["service-unavailable"]]);
    befriend(&alice, &bob).await;
    alice.send(&info("bob@localhost")).await;
    alice.expect(&[&["category='account' type='registered'"]]);
    alice.send("<iq type='get' id='i' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>").await;
    alice.expect(&[&["item-not-found"]]);
    alice.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    alice.expect(&[&["type='result'", "id='p'", "from='localhost'"]]);
    alice.send("<iq type='set' id='q'><unknown xmlns='urn:example'/></iq>").await;
    alice.expect(&[&["service-unavailable", "id='q'"]]);
}

#[tokio::test]
async fn xep0215_own_users_get_turn_services_with_full_credentials() {
    let world = World::new("extdisco", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    for namespace in ["urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"] {
        alice.send(&format!("<iq type='get' id='i' to='localhost'><services xmlns='{namespace}'/></iq>")).await;
        alice.expect(&[&["from='localhost'", namespace, "type='turn'", "type='stun'", "transport='udp'", "username='", "expires='"]]);
    }
    alice.send("<iq type='get' id='i' to='localhost'><services xmlns='urn:xmpp:extdisco:2' type='stun'/></iq>").await;
    let answer = alice.received().join("");
    assert!(answer.contains("type='stun'") && !answer.contains("type='turn'") && !answer.contains("password"), "{answer}");
    let credentials = |host: &str| {
        format!(
            "<iq type='get' id='i' to='localhost'><credentials xmlns='urn:xmpp:extdisco:2'><service host='{host}' type='turn'/></credentials></iq>"
        )
    };
    alice.send(&credentials("turn.localhost")).await;
    alice.expect(&[&["<credentials", "password='", "restricted='true'"]]);
    alice.send(&credentials("other.localhost")).await;
    alice.expect(&[&["item-not-found"]]);
    let stranger = "<iq type='get' id='i' to='localhost' from='x@elsewhere.example/y'><services xmlns='urn:xmpp:extdisco:2'/></iq>";
    let stranger = Stanza::parse(stranger.to_owned().into(), &Bindings::client()).expect("valid");
    world.router.route(stranger, None).await;
    alice.expect(&[]);
}

#[tokio::test]
async fn xep0215_s3_2_whoever_asked_for_services_is_told_of_others_and_gets_new_credentials_in_time() {
    let world = World::new("push-services", &["alice", "bob"]).await;
    let (alice, phone) = (world.online("alice", "a").await, world.online("alice", "phone").await);
    let bob = world.online("bob", "b").await;
    let before = world.extdisco.services();
    let host = |name: &str| before.iter().map(|service| Service { host: name.to_owned(), ..service.clone() }).collect::<Vec<_>>();
    let password = |stanza: &str| stanza.split_once("password='").and_then(|(_, rest)| rest.split('\'').next()).map(str::to_owned);
    let told = alice.ask("<iq type='get' id='i' to='localhost'><services xmlns='urn:xmpp:extdisco:2'/></iq>").await;
    phone.ask("<iq type='get' id='i' to='localhost'><services xmlns='urn:xmpp:extdisco:1' type='stun'/></iq>").await;
    // What is the same is no news.
    world.extdisco.replace(before.to_vec(), false);
    alice.expect(&[]);
    world.extdisco.replace(host("other.localhost"), false);
    alice.expect(&[&[
        "<iq from='localhost' to='alice@localhost/a'",
        "type='set'><services xmlns='urn:xmpp:extdisco:2'>",
        "<service action='add' type='turn' host='other.localhost' port='3478' transport='udp' restricted='true' username='",
        "<service action='delete' type='turn' host='turn.localhost' port='3478' transport='udp'/>",
    ]]);
    phone.expect(&[&["<services xmlns='urn:xmpp:extdisco:1' type='stun'><service action='add' type='stun' host='other.localhost' port='3478' transport='udp'/><service action='delete' type='stun'"]]);
    // The name stands for another address: it must be looked up again, and what is restricted gets credentials as ever.
    world.extdisco.replace(host("other.localhost"), true);
    alice.expect(&[&["<service action='modify' type='turn' host='other.localhost'", "password='", "<service action='modify' type='stun'"]]);
    phone.expect(&[&["<services xmlns='urn:xmpp:extdisco:1' type='stun'><service action='modify' type='stun' host='other.localhost'"]]);
    // Credentials live for a day; the list of STUN servers has none.
    let now = SystemTime::now();
    world.extdisco.renew(now + Duration::from_secs(60_000));
    alice.expect(&[]);
    world.extdisco.renew(now + Duration::from_secs(70_000));
    let renewed = alice.received();
    assert!(renewed.len() == 1 && renewed[0].contains("<service action='modify' type='turn' host='other.localhost'"), "{renewed:#?}");
    assert!(!renewed[0].contains("type='stun'") && password(&renewed[0]) != password(&told[0]), "{renewed:#?}");
    world.extdisco.renew(now + Duration::from_secs(70_600));
    world.extdisco.renew(now + Duration::from_secs(140_000));
    alice.expect(&[&["action='modify'"]]);
    phone.expect(&[]);
    bob.expect(&[]);
}

#[tokio::test]
async fn every_feature_shown_by_service_discovery_stands_in_the_doap_file() {
    let world = World::new("doap", &[]).await;
    for to in [To::Server, To::Account, To::Contact, To::PubSub, To::Muc] {
        for feature in world.router.table().features(to) {
            doap::must_name(feature);
        }
    }
}

/// What a log-in brings comes slice by slice, as fast as the client reads: presence of more contacts than its mailbox could hold.
#[tokio::test]
async fn rfc6121_s4_3_1_a_log_in_with_many_contacts_does_not_fill_the_mailbox() {
    const CONTACTS: usize = 200;
    let names: Vec<String> = (0..CONTACTS).map(|index| format!("u{index}")).collect();
    let accounts: Vec<&str> = names.iter().map(String::as_str).chain(["bob"]).collect();
    let limits = Limits { roster_items: CONTACTS, roster_bytes: 1_000_000, accounts_cached: 1000, ..Limits::default() };
    let world = World::within("welcome", &accounts, limits, 200_000).await;
    let bob = BareJid::new("bob", "localhost").expect("a JID");
    let mut friends = Vec::new();
    for name in &names {
        let jid = BareJid::new(name, "localhost").expect("a JID");
        let item = |jid: &BareJid, subscription| RosterChange::Set(RosterItem { subscription, ..RosterItem::new(jid.clone()) });
        world.store.rosters().apply(&jid, vec![item(&bob, Subscription::From)]).await.expect("stores");
        world.store.rosters().apply(&bob, vec![item(&jid, Subscription::To)]).await.expect("stores");
        let friend = world.client(name, "x").await;
        friend.send(&format!("<presence><status>{}</status></presence>", "x".repeat(10_000))).await;
        friends.push(friend);
    }
    let client = world.client("bob", "b").await;
    client.send("<presence/>").await;
    let mut seen = std::collections::BTreeSet::new();
    let mut rounds = 0;
    loop {
        let received = client.received();
        let size: usize = received.iter().map(String::len).sum();
        assert!(size < 100_000, "{size} bytes at once");
        assert!(received.iter().all(|stanza| !stanza.starts_with("close")), "{received:?}");
        let from = |stanza: &String| Some(stanza.split("from='").nth(1)?.split('\'').next()?.to_owned());
        seen.extend(received.iter().filter_map(from).filter(|from| from.starts_with('u')));
        if received.is_empty() {
            break;
        }
        rounds += 1;
        world.router.pay(&client.session).await;
    }
    assert_eq!(seen.len(), CONTACTS);
    assert!(rounds > 10, "{rounds}");
}
