//! What ends by itself, or because of something else.

use std::time::{Duration, SystemTime};

use campanile_signalling::jid::BareJid;

use crate::world::nodes::{HOST, address, create, done, form, items, publish, request, same_in_memory_and_store, subscribe, told};
use crate::world::{World, befriend};

#[tokio::test]
async fn s12_5_temporary_subscriptions_end_with_their_subscribers_presence() {
    let world = World::new("ps-temporary", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let (first, second) = (world.online("bob", "1").await, world.online("bob", "2").await);
    done(&alice, &create(HOST, "always", &[("tempsub", "true")])).await;
    done(&alice, &create(HOST, "once", &[])).await;
    done(&first, &subscribe(HOST, "always", "bob@localhost")).await;
    let options = form("subscribe_options", &[("expire", "presence")]);
    let with_options = format!("<subscribe node='once' jid='bob@localhost/1'/><options>{options}</options>");
    done(&first, &request(HOST, "set", "", &with_options)).await;
    let count = async |node| world.pubsub.node(&address(HOST, node)).await.expect("reads").expect("is there").subscriptions.len();
    assert_eq!((count("always").await, count("once").await), (1, 1));
    first.send("<presence type='unavailable'/>").await;
    world.settled().await;
    assert_eq!((count("always").await, count("once").await), (1, 0), "the account is there yet, the resource is not");
    world.router.unbind(&second.session).await;
    world.settled().await;
    assert_eq!(count("always").await, 0);
    same_in_memory_and_store(&world, &address(HOST, "always")).await;
}

#[tokio::test]
async fn purge_offline_takes_the_items_of_a_publisher_who_leaves() {
    let world = World::new("ps-purge", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "there", &[("purge_offline", "true"), ("publish_model", "open")])).await;
    done(&alice, &subscribe(HOST, "there", "alice@localhost")).await;
    done(&bob, &publish(HOST, "there", "bobs")).await;
    done(&alice, &publish(HOST, "there", "alices")).await;
    world.settled().await;
    alice.forget();
    bob.send("<presence type='unavailable'/>").await;
    world.settled().await;
    alice.expect(&[&["<retract id='bobs'/>"]]);
    let kept = done(&alice, &items(HOST, "there")).await;
    assert!(kept.contains("id='alices'") && !kept.contains("id='bobs'"), "{kept}");
}

#[tokio::test]
async fn s12_19_what_has_a_time_ends_at_it() {
    let world = World::new("ps-expiry", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "short", &[("item_expire", "60")])).await;
    done(&bob, &subscribe(HOST, "short", "bob@localhost")).await;
    let until = campanile_signalling::time::xep0082(SystemTime::now() + Duration::from_secs(120));
    let options = form("subscribe_options", &[("expire", &until)]);
    done(&bob, &request(HOST, "set", "", &format!("<options node='short' jid='bob@localhost'>{options}</options>"))).await;
    done(&alice, &publish(HOST, "short", "one")).await;
    world.settled().await;
    bob.forget();
    let next = world.pubsub.end_due(SystemTime::now()).await.expect("reads");
    assert!(next.is_some_and(|next| next > SystemTime::now()), "{next:?}");
    world.settled().await;
    bob.expect(&[]);
    world.pubsub.end_due(SystemTime::now() + Duration::from_secs(61)).await.expect("ends");
    world.settled().await;
    bob.expect(&[&["<retract id='one'/>"]]);
    let last = world.pubsub.end_due(SystemTime::now() + Duration::from_secs(121)).await.expect("ends");
    assert_eq!(last, None);
    world.settled().await;
    bob.expect(&[&["subscription='none'", "node='short'"]]);
    same_in_memory_and_store(&world, &address(HOST, "short")).await;
}

#[tokio::test]
async fn s12_14_whoever_loses_sight_of_the_owner_loses_the_subscription_and_is_told() {
    let world = World::new("ps-access", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    done(&alice, &create("", "mood", &[("access_model", "presence")])).await;
    done(&alice, &create(HOST, "friends", &[("access_model", "roster"), ("roster_groups_allowed", "Friends")])).await;
    let refused = bob.ask(&subscribe(HOST, "friends", "bob@localhost")).await.join("");
    assert!(refused.contains("<not-in-roster-group"), "{refused}");
    let group = |group: &str| {
        format!(
            "<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='bob@localhost'><group>{group}</group></item></query></iq>"
        )
    };
    done(&alice, &group("Friends")).await;
    done(&bob, &subscribe(HOST, "friends", "bob@localhost")).await;
    done(&bob, &subscribe("alice@localhost", "mood", "bob@localhost")).await;
    world.settled().await;
    bob.forget();
    done(&alice, &group("Foes")).await;
    world.settled().await;
    bob.expect(&[&["node='friends'", "subscription='none'"]]);
    alice.send("<presence type='unsubscribed' to='bob@localhost'/>").await;
    world.settled().await;
    let told: Vec<_> = bob.received().into_iter().filter(|stanza| stanza.starts_with("<message")).collect();
    assert!(told.len() == 1 && told[0].contains("node='mood'") && told[0].contains("subscription='none'"), "{told:#?}");
    for (service, node) in [("alice@localhost", "mood"), (HOST, "friends")] {
        same_in_memory_and_store(&world, &address(service, node)).await;
    }
}

#[tokio::test]
async fn xep0191_whom_the_owner_blocks_sees_nothing_of_nodes_for_contacts() {
    let world = World::new("ps-blocked", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    done(&alice, &create(HOST, "friends", &[("access_model", "presence")])).await;
    done(&bob, &subscribe(HOST, "friends", "bob@localhost")).await;
    done(&alice, "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></block></iq>").await;
    world.settled().await;
    bob.forget();
    done(&alice, &publish(HOST, "friends", "secret")).await;
    world.settled().await;
    assert_eq!(told(&bob), [""; 0]);
    let refused = bob.ask(&items(HOST, "friends")).await.join("");
    assert!(refused.contains("<presence-subscription-required"), "{refused}");
}

#[tokio::test]
async fn s12_4_a_subscription_ends_when_its_notifications_come_back() {
    let world = World::new("ps-bounce", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for node in ["gone", "busy"] {
        done(&alice, &create(HOST, node, &[])).await;
        done(&bob, &subscribe(HOST, node, "bob@localhost")).await;
    }
    bob.forget();
    let bounce = async |node: &str, type_: &str, condition: &str| {
        done(&alice, &publish(HOST, node, "x")).await;
        world.settled().await;
        let told = bob.received().pop().unwrap_or_default();
        let id = told.split(" id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id").to_owned();
        let error = format!("<error type='{type_}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
        alice.send(&format!("<message to='{HOST}' type='error' id='{id}'>{error}</message>")).await;
        bob.send(&format!("<message to='{HOST}' type='error' id='{id}'>{error}</message>")).await;
        world.settled().await;
        world.pubsub.node(&address(HOST, node)).await.expect("reads").expect("is there").subscriptions.len()
    };
    for left in [1; 20] {
        assert_eq!(bounce("busy", "wait", "remote-server-timeout").await, left, "one outage is not many");
    }
    assert_eq!(bounce("gone", "cancel", "item-not-found").await, 0);
    same_in_memory_and_store(&world, &address(HOST, "gone")).await;
}

#[tokio::test]
async fn an_account_that_is_removed_takes_its_nodes_affiliations_and_subscriptions_along() {
    let world = World::new("ps-removed", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "hers", &[])).await;
    done(&bob, &create(HOST, "his", &[])).await;
    done(&alice, &subscribe(HOST, "his", "alice@localhost")).await;
    done(&alice, &publish("", "urn:x:pep", "one")).await;
    let own = "<affiliation jid='alice@localhost' affiliation='publisher'/>";
    done(&bob, &request(HOST, "set", "#owner", &format!("<affiliations node='his'>{own}</affiliations>"))).await;
    let jid = BareJid::parse("alice@localhost").expect("a JID");
    assert!(world.administration.remove(&jid, || {}).await.expect("removes"));
    world.settled().await;
    for (service, node) in [(HOST, "hers"), ("alice@localhost", "urn:x:pep")] {
        assert!(world.pubsub.node(&address(service, node)).await.expect("reads").is_none(), "{node}");
    }
    let his = world.pubsub.node(&address(HOST, "his")).await.expect("reads").expect("is there");
    assert!(his.subscriptions.is_empty() && his.affiliations.len() == 1, "{his:?}");
    same_in_memory_and_store(&world, &address(HOST, "his")).await;
}

#[tokio::test]
async fn a_collection_that_goes_with_its_owner_s_account_is_forgotten_by_its_children() {
    let world = World::new("ps-orphans", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let open = [("node_type", "collection"), ("children_association_policy", "all")];
    done(&alice, &create(HOST, "hers", &open)).await;
    done(&bob, &create(HOST, "his", &[("collection", "hers")])).await;
    let jid = BareJid::parse("alice@localhost").expect("a JID");
    assert!(world.administration.remove(&jid, || {}).await.expect("removes"));
    world.settled().await;
    same_in_memory_and_store(&world, &address(HOST, "his")).await;
    let his = world.pubsub.node(&address(HOST, "his")).await.expect("reads").expect("is there");
    assert!(his.config.collection.is_empty(), "{his:?}");
    done(&bob, &request(HOST, "set", "#owner", &format!("<configure node='his'>{}</configure>", form("node_config", &[("title", "x")]))))
        .await;
}
