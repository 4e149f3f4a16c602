//! Collections, presence, and who is offline.

use crate::world::World;
use crate::world::nodes::{HOST, address, create, done, form, items, publish, request, same_in_memory_and_store, subscribe, told};

#[tokio::test]
async fn xep0248_s5_3_subscribers_of_a_collection_hear_of_what_is_below_and_the_children_outlive_it() {
    let world = World::new("ps-collection", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    done(&alice, &create(HOST, "all", &[("node_type", "collection")])).await;
    done(&alice, &create(HOST, "top", &[("node_type", "collection")])).await;
    done(&alice, &create(HOST, "leaf", &[("collection", "all")])).await;
    let associate = "<collection node='top'><associate node='all'/></collection>";
    done(&alice, &request(HOST, "set", "#owner", associate)).await;
    for (client, node) in [(&bob, "all"), (&carol, "top")] {
        let options = form("subscribe_options", &[("subscription_type", "items"), ("subscription_depth", "all")]);
        let jid = client.session.jid.to_bare();
        let content = format!("<subscribe node='{node}' jid='{jid}'/><options>{options}</options>");
        done(client, &request(HOST, "set", "", &content)).await;
        client.forget();
    }
    done(&alice, &publish(HOST, "leaf", "one")).await;
    world.settled().await;
    bob.expect(&[&["<items node='leaf'><item id='one'>", "<header name='Collection'>all</header>"]]);
    carol.expect(&[&["<items node='leaf'><item id='one'>", "<header name='Collection'>top</header>"]]);
    let below = done(&alice, &items(HOST, "top")).await;
    assert!(below.contains("<items node='leaf'><item id='one'>"), "§6.2: {below}");
    done(&alice, &request(HOST, "set", "#owner", "<delete node='all'/>")).await;
    world.settled().await;
    same_in_memory_and_store(&world, &address(HOST, "leaf")).await;
    let leaf = world.pubsub.node(&address(HOST, "leaf")).await.expect("reads").expect("it outlives its collection");
    assert!(leaf.config.collection.is_empty());
    carol.forget();
    done(&alice, &publish(HOST, "leaf", "two")).await;
    world.settled().await;
    carol.expect(&[]);
}

#[tokio::test]
async fn s12_6_presence_based_delivery_and_show_values_look_at_the_subscriber() {
    let world = World::new("ps-shows", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    done(&alice, &create(HOST, "there", &[("presence_based_delivery", "true"), ("notification_type", "normal")])).await;
    done(&bob, &subscribe(HOST, "there", "bob@localhost")).await;
    let options = form("subscribe_options", &[("show-values", "chat")]);
    let content = format!("<subscribe node='there' jid='carol@localhost'/><options>{options}</options>");
    done(&carol, &request(HOST, "set", "", &content)).await;
    let publication = async |id: &str| {
        done(&alice, &publish(HOST, "there", id)).await;
        world.settled().await;
        (told(&bob), told(&carol))
    };
    assert_eq!(publication("1").await, (vec!["1".to_owned()], vec![]));
    carol.send("<presence><show>chat</show></presence>").await;
    bob.send("<presence type='unavailable'/>").await;
    assert_eq!(publication("2").await, (vec![], vec!["2".to_owned()]));
    bob.send("<presence/>").await;
    assert_eq!(told(&bob), [""; 0], "what came while nobody was there is not kept");
}

#[tokio::test]
async fn s12_7_normal_notifications_wait_for_who_is_offline_and_headlines_do_not() {
    let world = World::new("ps-offline", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for (node, type_) in [("normal", "normal"), ("headline", "headline")] {
        done(&alice, &create(HOST, node, &[("notification_type", type_)])).await;
        done(&bob, &subscribe(HOST, node, "bob@localhost")).await;
    }
    world.router.unbind(&bob.session).await;
    for node in ["normal", "headline"] {
        done(&alice, &publish(HOST, node, node)).await;
    }
    world.settled().await;
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    world.settled().await;
    let messages: Vec<_> = bob.received().into_iter().filter(|stanza| stanza.starts_with("<message")).collect();
    assert!(messages.len() == 1 && messages[0].contains("<item id='normal'>") && messages[0].contains("<delay "), "{messages:#?}");
}

#[tokio::test]
async fn xep0163_s4_3_1_what_comes_back_to_an_account_ends_the_subscription_and_disturbs_nobody() {
    let world = World::new("ps-pep-bounce", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create("", "urn:x:open", &[("access_model", "open")])).await;
    done(&bob, &subscribe("alice@localhost", "urn:x:open", "bob@localhost/b")).await;
    world.settled().await;
    bob.forget();
    done(&alice, &publish("", "urn:x:open", "one")).await;
    world.settled().await;
    let told = bob.received().pop().expect("a notification");
    assert!(told.contains("from='alice@localhost' ") && told.contains("to='bob@localhost/b'"), "{told}");
    let id = told.split(" id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id");
    alice.forget();
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    bob.send(&format!("<message to='alice@localhost' type='error' id='{id}'>{error}</message>")).await;
    world.settled().await;
    alice.expect(&[]);
    let node = world.pubsub.node(&address("alice@localhost", "urn:x:open")).await.expect("reads").expect("is there");
    assert!(node.subscriptions.is_empty(), "{node:?}");
}
