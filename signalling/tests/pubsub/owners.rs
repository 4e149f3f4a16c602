//! Owners and their requests; limits.

use campanile_signalling::pubsub;
use campanile_signalling::router::Limits;

use crate::world::World;
use crate::world::nodes::{HOST, address, create, done, form, items, publish, refused, request, same_in_memory_and_store, subscribe};

#[tokio::test]
async fn s8_6_owners_approve_by_message_at_hosts_and_at_accounts() {
    let world = World::new("ps-approve", &["alice", "bob", "eve"]).await;
    let (alice, bob, eve) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("eve", "e").await);
    for (service, to) in [(HOST, HOST), ("", "alice@localhost")] {
        done(&alice, &create(service, "asks", &[("access_model", "authorize")])).await;
        let pending = done(&bob, &subscribe(to, "asks", "bob@localhost")).await;
        assert!(pending.contains("subscription='pending'"), "{pending}");
        world.settled().await;
        let asked = alice.received().pop().unwrap_or_default();
        assert!(asked.contains("pubsub#subscribe_authorization") && asked.contains("bob@localhost"), "{asked}");
        let answer = |allow| {
            let fields = [("node", "asks"), ("subscriber_jid", "bob@localhost"), ("allow", allow)];
            format!("<message to='{to}' id='x'>{}</message>", form("subscribe_authorization", &fields))
        };
        let refused = eve.ask(&answer("true")).await.join("");
        // To an account it is a message like any other.
        assert_eq!(refused.contains("type='error'"), to == HOST, "{refused}");
        bob.forget();
        assert_eq!(alice.ask(&answer("true")).await, [""; 0]);
        world.settled().await;
        bob.expect(&[&["subscription='subscribed'", "node='asks'"]]);
    }
}

#[tokio::test]
async fn s8_6_whoever_decides_without_being_an_owner_does_not_learn_who_has_an_account() {
    let world = World::new("ps-decide", &["alice", "bob", "eve"]).await;
    let (alice, eve) = (world.online("alice", "a").await, world.online("eve", "e").await);
    done(&alice, &create("", "asks", &[("access_model", "authorize")])).await;
    let affiliation = "<affiliations node='asks'><affiliation jid='eve@localhost' affiliation='owner'/></affiliations>";
    let decision = |to: &str, node: &str| {
        let fields = [("node", node), ("subscriber_jid", "bob@localhost"), ("allow", "true")];
        format!("<message to='{to}' type='headline' id='x'>{}</message>", form("subscribe_authorization", &fields))
    };
    for node in ["asks", "missing"] {
        alice.forget();
        for to in ["alice@localhost", "bob@localhost", "nobody@localhost", "alice@localhost/a"] {
            assert_eq!(eve.ask(&decision(to, node)).await, [""; 0], "{to}");
        }
        assert_eq!(alice.received().len(), 2, "both are delivered");
    }
    done(&alice, &request("", "set", "#owner", affiliation)).await;
    let answer = eve.ask(&decision("alice@localhost", "asks")).await.join("");
    assert!(answer.contains("type='error'"), "an owner learns that nobody has asked: {answer}");
    let answer = alice.ask(&decision("alice@localhost", "missing")).await.join("");
    assert!(answer.contains("<item-not-found"), "{answer}");
}

#[tokio::test]
async fn s8_7_an_owner_gets_pending_requests_again_by_a_command() {
    let world = World::new("ps-pending", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let command = |content: &str| {
        format!(
            "<iq to='{HOST}' type='set' id='1'><command xmlns='http://jabber.org/protocol/commands' \
             node='http://jabber.org/protocol/pubsub#get-pending' action='execute'>{content}</command></iq>"
        )
    };
    let refused = bob.ask(&command("")).await.join("");
    assert!(refused.contains("<forbidden"), "§8.7.3.3: {refused}");
    done(&alice, &create(HOST, "asks", &[("access_model", "authorize")])).await;
    done(&bob, &subscribe(HOST, "asks", "bob@localhost")).await;
    world.settled().await;
    let first = done(&alice, &command("")).await;
    assert!(first.contains("status='executing'") && first.contains("<option><value>asks</value></option>"), "{first}");
    alice.forget();
    alice.send(&command(&form("subscribe_authorization", &[("node", "asks")]))).await;
    world.settled().await;
    let second = alice.received().join("");
    for part in ["status='completed'", "pubsub#subscribe_authorization", "<value>bob@localhost</value>"] {
        assert!(second.contains(part), "{part} in {second}");
    }
    let nothing = alice.ask(&command(&form("subscribe_authorization", &[("node", "nothing")]))).await.join("");
    assert!(nothing.contains("<item-not-found"), "§8.7.3.4: {nothing}");
}

#[tokio::test]
async fn who_may_create_nodes_is_configured_and_administrators_may_all() {
    let world = World::new("ps-create", &["alice", "root"]).await;
    let (alice, root) = (world.online("alice", "a").await, world.online("root", "r").await);
    world.pubsub.settings().hosts.set_create(campanile_config::MayCreate::Admins);
    let refused = alice.ask(&create(HOST, "hers", &[])).await.join("");
    assert!(refused.contains("type='error'") && refused.contains("<forbidden"), "{refused}");
    done(&root, &create(HOST, "its", &[])).await;
    world.pubsub.settings().hosts.set_create(campanile_config::MayCreate::Local);
    done(&alice, &create(HOST, "hers", &[])).await;
    done(&root, &request(HOST, "set", "#owner", "<delete node='hers'/>")).await;
}

#[tokio::test]
async fn limits_of_nodes_items_payloads_and_subscriptions_hold() {
    let limits = pubsub::host::Limits {
        nodes: 2,
        items: 2,
        payload_bytes: 200,
        subscriptions: 1,
        subscriptions_per_account: 1,
        ..Default::default()
    };
    let world = World::with_pubsub("ps-limits", &["alice", "bob"], Limits::default(), 100_000, limits).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for (node, max_items) in [("one", "max"), ("two", "1000")] {
        done(&alice, &create(HOST, node, &[("max_items", max_items)])).await;
        for id in ["x", "y", "z"] {
            done(&alice, &publish(HOST, node, id)).await;
        }
        let kept = done(&alice, &items(HOST, node)).await;
        let ids: Vec<_> = kept.split("<item id='").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert_eq!(ids, ["y", "z"], "{node} has no more than [limits] allows");
    }
    for stanza in [create(HOST, "three", &[]), publish(HOST, "three", "x")] {
        refused(&alice, &stanza, ["policy-violation", "max-nodes-exceeded"]).await;
    }
    refused(&alice, &publish(HOST, "one", &"x".repeat(300)), ["not-acceptable", "payload-too-big"]).await;
    done(&bob, &subscribe(HOST, "one", "bob@localhost")).await;
    for (client, jid, node) in [(&alice, "alice@localhost", "one"), (&bob, "bob@localhost", "two")] {
        refused(client, &subscribe(HOST, node, jid), ["policy-violation", "too-many-subscriptions"]).await;
    }
}

#[tokio::test]
async fn what_an_account_keeps_is_bounded_in_bytes_until_it_makes_room() {
    let limits = pubsub::host::Limits { bytes: 20_000, ..Default::default() };
    let world = World::with_pubsub("ps-bytes", &["alice", "bob"], Limits::default(), 100_000, limits).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let publish = |to: &str, node: &str, id: &str| {
        let entry = format!("<entry xmlns='urn:x'>{}</entry>", "x".repeat(12_000));
        request(to, "set", "", &format!("<publish node='{node}'><item id='{id}'>{entry}</item></publish>"))
    };
    done(&alice, &publish(HOST, "one", "a")).await;
    done(&alice, &publish("", "own", "a")).await;
    for full in [publish(HOST, "one", "b"), publish(HOST, "two", "a"), publish("", "other", "a")] {
        let answer = alice.ask(&full).await.join("");
        assert!(answer.contains("<resource-constraint"), "{answer}");
    }
    done(&bob, &publish(HOST, "two", "a")).await;
    // It takes the place of the one before.
    done(&alice, &publish("", "own", "b")).await;
    done(&alice, &request(HOST, "set", "", "<retract node='one'><item id='a'/></retract>")).await;
    done(&alice, &publish(HOST, "one", "b")).await;
    for (service, node) in [(HOST, "one"), ("alice@localhost", "own"), ("alice@localhost", "other")] {
        same_in_memory_and_store(&world, &address(service, node)).await;
    }
}
