//! What is published, and who is told of it, in order and without holding up others.

use std::time::Duration;

use campanile_signalling::jid::{BareJid, Jid};
use campanile_signalling::pubsub::change::Change;
use campanile_signalling::pubsub::model::Subscription;
use campanile_signalling::router::Limits;

use crate::world::nodes::{HOST, address, create, done, items, publish, request, same_in_memory_and_store, subscribe, told};
use crate::world::{Client, World};

#[tokio::test]
async fn s7_1_subscribers_are_told_what_is_published_and_the_publisher_is_answered_first() {
    let world = World::new("ps-publish", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "news", &[])).await;
    done(&bob, &subscribe(HOST, "news", "bob@localhost")).await;
    done(&alice, &subscribe(HOST, "news", "alice@localhost")).await;
    world.settled().await;
    alice.forget();
    bob.forget();
    alice.send(&publish(HOST, "news", "one")).await;
    world.settled().await;
    bob.expect(&[&["<message", "from='pubsub.localhost'", "type='headline'", " id='", "<item id='one'><entry xmlns='urn:x'>one</entry>"]]);
    alice.expect(&[&["type='result'", "<publish node='news'>"], &["<item id='one'>"]]);
    let kept = done(&bob, &items(HOST, "news")).await;
    assert!(kept.contains("<item id='one'><entry xmlns='urn:x'>one</entry></item>"), "{kept}");
    same_in_memory_and_store(&world, &address(HOST, "news")).await;
}

#[tokio::test]
async fn s8_4_a_node_that_is_gone_tells_its_subscribers_and_whoever_asks_later_is_told_where_to_look() {
    let world = World::new("ps-gone", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "old", &[])).await;
    done(&bob, &subscribe(HOST, "old", "bob@localhost")).await;
    bob.forget();
    done(&alice, &request(HOST, "set", "#owner", "<delete node='old'><redirect uri='xmpp:pubsub.localhost?;node=new'/></delete>")).await;
    world.settled().await;
    bob.expect(&[&["<delete node='old'>", "xmpp:pubsub.localhost?;node=new"]]);
    let answer = bob.ask(&items(HOST, "old")).await.join("");
    assert!(answer.contains("<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:pubsub.localhost?;node=new</gone>"), "{answer}");
}

#[tokio::test]
async fn two_publishers_are_seen_in_one_order_by_all_subscribers() {
    let names = ["alice", "bob", "carol", "dave"];
    let world = World::new("ps-order", &names).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let subscribers = [world.online("carol", "c").await, world.online("dave", "d").await];
    done(&alice, &create(HOST, "open", &[("publish_model", "open")])).await;
    for client in &subscribers {
        done(client, &subscribe(HOST, "open", &client.session.jid.to_bare().to_string())).await;
        client.forget();
    }
    let publications = |client, name: &'static str| async move {
        for number in 0..40 {
            Client::send(client, &publish(HOST, "open", &format!("{name}{number}"))).await;
        }
    };
    tokio::join!(publications(&alice, "a"), publications(&bob, "b"));
    world.settled().await;
    let [first, second] = subscribers.map(|client| told(&client));
    assert_eq!((first.len(), &first), (80, &second));
    let of = |prefix: char| first.iter().filter(|id| id.starts_with(prefix)).cloned().collect::<Vec<_>>();
    for (prefix, ids) in [('a', of('a')), ('b', of('b'))] {
        assert_eq!(ids, (0..40).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>(), "each publisher's own order");
    }
    let kept = done(&alice, &items(HOST, "open")).await;
    let kept: Vec<_> = kept.split("<item id='").skip(1).filter_map(|rest| rest.split('\'').next()).map(str::to_owned).collect();
    assert_eq!(kept, first, "the store has the same order");
}

#[tokio::test]
async fn ten_thousand_subscribers_of_one_node_do_not_hold_up_another() {
    let world = World::new("ps-many", &["alice", "zoe"]).await;
    let (alice, zoe) = (world.online("alice", "a").await, world.online("zoe", "z").await);
    for (node, type_) in [("many", "normal"), ("few", "headline")] {
        done(&alice, &create(HOST, node, &[("notification_type", type_)])).await;
        done(&zoe, &subscribe(HOST, node, "zoe@localhost")).await;
    }
    zoe.forget();
    let many = address(HOST, "many");
    let model = world.pubsub.node(&many).await.expect("reads").expect("is there").subscriptions.values().next().expect("zoe's").clone();
    let subscription = |number: usize| {
        let jid = Jid::parse(&format!("a{number}@localhost")).expect("a JID");
        Change::Subscribe(Box::new(Subscription { jid, subid: format!("s{number}"), ..model.clone() }))
    };
    world.store.pubsub().commit(&many, (0..10_000).map(subscription).collect()).await.expect("stores");
    world.pubsub.forget(&BareJid::parse("zoe@localhost").expect("a JID")).await;
    alice.send(&publish(HOST, "many", "to-many")).await;
    alice.send(&publish(HOST, "few", "to-few")).await;
    world.settled().await;
    assert_eq!(told(&zoe), ["to-few", "to-many"], "zoe is the last of the many, each of whom is looked for in the database");
}

#[tokio::test]
async fn whoever_publishes_faster_than_can_be_told_waits_and_nobody_else_does() {
    let world = World::within("ps-flood", &["alice", "bob"], Limits::default(), 10_000_000).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "flood", &[])).await;
    done(&alice, &create(HOST, "calm", &[])).await;
    done(&bob, &subscribe(HOST, "flood", "bob@localhost")).await;
    done(&bob, &subscribe(HOST, "calm", "bob@localhost")).await;
    bob.forget();
    for number in 0..1_000 {
        alice.send(&publish(HOST, "flood", &number.to_string())).await;
    }
    alice.send(&publish(HOST, "calm", "calm")).await;
    world.settled().await;
    let seen = told(&bob);
    assert_eq!(seen.len(), 1_001, "nothing is lost");
    let flood: Vec<_> = seen.into_iter().filter(|id| id != "calm").collect();
    assert_eq!(flood, (0..1_000).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// The node's queue of messages is full, since one who is to be told keeps it waiting; all others' requests go on, and nothing of its own is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_much_to_tell_holds_up_neither_questions_nor_other_nodes() {
    const PUBLISHED: usize = 300;
    let world = World::within("ps-busy", &["alice", "bob", "carol", "dave"], Limits::default(), 10_000_000).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let (carol, dave) = (world.online("carol", "c").await, world.online("dave", "d").await);
    done(&alice, &create(HOST, "busy", &[])).await;
    done(&dave, &create(HOST, "calm", &[])).await;
    done(&bob, &subscribe(HOST, "busy", "bob@localhost")).await;
    done(&carol, &subscribe(HOST, "calm", "carol@localhost")).await;
    world.settled().await;
    bob.forget();
    carol.forget();
    let slow = world.hold(&bob);
    let publisher = async {
        for number in 0..PUBLISHED {
            done(&alice, &publish(HOST, "busy", &number.to_string())).await;
        }
    };
    let others = async {
        while world.counted("campanile_pubsub_outbox_waits_total") == 0 {
            tokio::task::yield_now().await;
        }
        done(&dave, &items(HOST, "busy")).await;
        done(&dave, &create(HOST, "new", &[])).await;
        done(&dave, &publish(HOST, "calm", "heard")).await;
        while told(&carol) != ["heard"] {
            tokio::task::yield_now().await;
        }
        assert_eq!(told(&bob), [""; 0], "the busy node has told nobody yet");
        drop(slow);
    };
    let all = async { tokio::join!(publisher, others) };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("nobody waits for ever");
    world.settled().await;
    assert_eq!(told(&bob), (0..PUBLISHED).map(|number| number.to_string()).collect::<Vec<_>>());
    same_in_memory_and_store(&world, &address(HOST, "busy")).await;
}
