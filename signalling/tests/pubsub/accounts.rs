//! Accounts as services, and what strangers learn of them.

use crate::world::World;
use crate::world::nodes::{HOST, create, done, form, items, publish, request, subscribe};

#[tokio::test]
async fn strangers_do_not_learn_which_accounts_and_nodes_there_are() {
    let world = World::new("ps-strangers", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for (node, model) in [("presence", "presence"), ("roster", "roster"), ("whitelist", "whitelist"), ("open", "open")] {
        done(&bob, &create("", node, &[("access_model", model)])).await;
        done(&bob, &publish("", node, "x")).await;
    }
    for node in ["presence", "roster", "whitelist", "missing"] {
        let disco = |of: &str| format!("<query xmlns='http://jabber.org/protocol/disco#{of}' node='{node}'/>");
        for (type_, content) in [
            ("get", items("TO", node)),
            ("set", subscribe("TO", node, "alice@localhost")),
            ("set", publish("TO", node, "y")),
            ("set", create("TO", node, &[])),
            ("set", request("TO", "set", "#owner", &format!("<delete node='{node}'/>"))),
            ("get", request("TO", "get", "#owner", &format!("<configure node='{node}'/>"))),
            ("get", format!("<iq to='TO' type='get' id='1'>{}</iq>", disco("info"))),
            ("get", format!("<iq to='TO' type='get' id='1'>{}</iq>", disco("items"))),
        ] {
            let mut answers = Vec::new();
            for name in ["bob", "nobody"] {
                let answer = alice.ask(&content.replace("TO", &format!("{name}@localhost"))).await.join("");
                assert!(answer.contains("type='error'"), "{type_} {content}: {answer}");
                answers.push(answer.replace(name, "NAME"));
            }
            assert_eq!(answers[0], answers[1], "{type_} {content}");
        }
    }
    let open = done(&alice, &items("bob@localhost", "open")).await;
    assert!(open.contains("<item id='x'>"), "{open}");
}

#[tokio::test]
async fn nodes_of_service_discovery_are_those_that_the_asker_may_see() {
    let world = World::new("ps-nodes", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    done(&alice, &create(HOST, "news", &[("title", "All the news"), ("access_model", "open")])).await;
    done(&alice, &create(HOST, "secret", &[("access_model", "whitelist")])).await;
    done(&alice, &publish(HOST, "news", "one")).await;
    let disco = |of: &str, node: &str| {
        let node = if node.is_empty() { String::new() } else { format!(" node='{node}'") };
        format!("<iq to='{HOST}' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#{of}'{node}/></iq>")
    };
    let seen = done(&bob, &disco("items", "")).await;
    assert!(seen.contains("<item jid='pubsub.localhost' node='news' name='All the news'/>") && !seen.contains("secret"), "{seen}");
    let own = done(&alice, &disco("items", "")).await;
    assert!(own.contains("node='secret'"), "{own}");
    let items = done(&bob, &disco("items", "news")).await;
    assert!(items.contains("<item jid='pubsub.localhost' name='one'/>"), "§5.5: {items}");
    let info = done(&bob, &disco("info", "news")).await;
    for part in [
        "<identity category='pubsub' type='leaf'",
        "<field var='pubsub#title' type='text-single' label='A short name for the node'><value>All the news</value>",
        "<field var='pubsub#owner' type='jid-multi' label='Node owners'><value>alice@localhost</value>",
        "pubsub#creation_date",
        "<field var='pubsub#num_subscribers' type='text-single' label='Number of subscribers to this node'><value>0</value>",
    ] {
        assert!(info.contains(part), "§5.4: {part} in {info}");
    }
    let hidden = bob.ask(&disco("info", "secret")).await.join("");
    let missing = bob.ask(&disco("info", "missing")).await.join("");
    assert!(hidden.contains("<item-not-found"), "{hidden}");
    assert_eq!(hidden.replace("secret", "missing"), missing);
}

/// A request for the nodes of a service.
fn nodes_of(to: &str, set: &str) -> String {
    let set = if set.is_empty() { String::new() } else { format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>") };
    format!("<iq to='{to}' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>{set}</query></iq>")
}

/// Names of the nodes in such an answer.
fn names(answer: &str) -> Vec<&str> {
    answer.split(" node='").skip(1).filter_map(|rest| rest.split('\'').next()).collect()
}

#[tokio::test]
async fn pages_of_nodes_are_pages_of_those_that_the_asker_may_see() {
    let world = World::new("ps-pages", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for (node, model) in [("a", "whitelist"), ("b", "open"), ("c", "whitelist"), ("d", "open"), ("e", "open"), ("f", "whitelist")] {
        done(&alice, &create(HOST, node, &[("access_model", model)])).await;
    }
    let rsm = |content: &str| format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>");
    for (set, seen, answer) in [
        ("<max>1</max>", vec!["b"], "<first index='0'>b</first><last>b</last>"),
        ("<max>1</max><after>b</after>", vec!["d"], "<first>d</first><last>d</last>"),
        ("<max>1</max><after>d</after>", vec!["e"], "<first>e</first><last>e</last>"),
        ("<max>1</max><after>e</after>", vec![], ""),
        ("<max>2</max><before/>", vec!["d", "e"], "<first>d</first><last>e</last>"),
        ("<max>2</max><before>d</before>", vec!["b"], "<first>b</first><last>b</last>"),
        ("<max>1</max><index>1</index>", vec!["d"], "<first index='1'>d</first><last>d</last>"),
        ("<max>1</max><index>3</index>", vec![], "<count>3</count>"),
        ("<max>9</max>", vec!["b", "d", "e"], "<first index='0'>b</first><last>e</last><count>3</count>"),
        ("<max>0</max>", vec![], "<count>3</count>"),
    ] {
        let found = done(&bob, &nodes_of(HOST, set)).await;
        assert_eq!(names(&found), seen, "{set}: {found}");
        let expected = if answer.is_empty() { "<set xmlns='http://jabber.org/protocol/rsm'/>".to_owned() } else { rsm(answer) };
        assert!(found.contains(&expected), "{set}: {found}");
    }
    let all = done(&alice, &nodes_of(HOST, "<max>0</max>")).await;
    assert!(all.contains("<count>6</count>"), "{all}");
    let whole = done(&bob, &nodes_of(HOST, "")).await;
    assert!(names(&whole) == ["b", "d", "e"] && !whole.contains("<set"), "{whole}");
}

#[tokio::test]
async fn no_page_tells_a_stranger_which_accounts_and_nodes_there_are() {
    let world = World::new("ps-page-stranger", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for node in ["secret", "hidden"] {
        done(&bob, &create("", node, &[("access_model", "whitelist")])).await;
    }
    for set in
        ["", "<max>0</max>", "<max>1</max>", "<before/>", "<before>z</before>", "<after>a</after>", "<index>0</index>", "<index>1</index>"]
    {
        let of = |name: &'static str| {
            let alice = &alice;
            async move { done(alice, &nodes_of(&format!("{name}@localhost"), set)).await.replace(name, "NAME") }
        };
        assert_eq!(of("bob").await, of("nobody").await, "{set}");
    }
}

#[tokio::test]
async fn many_hidden_nodes_do_not_hide_the_others() {
    let world = World::new("ps-many-hidden", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    for number in 0..450 {
        done(&alice, &create(HOST, &format!("a{number}"), &[("access_model", "whitelist")])).await;
    }
    for node in ["b", "c"] {
        done(&alice, &create(HOST, node, &[])).await;
    }
    let found = done(&bob, &nodes_of(HOST, "<max>1</max>")).await;
    assert_eq!(names(&found), ["b"]);
    let backwards = done(&bob, &nodes_of(HOST, "<before>a5</before>")).await;
    assert_eq!(names(&backwards), [""; 0]);
    let first = done(&alice, &nodes_of(HOST, "")).await;
    assert!(names(&first).len() == 200 && first.contains("<set"), "{first}");
    for number in 450..1_010 {
        done(&carol, &create(HOST, &format!("a{number}"), &[("access_model", "whitelist")])).await;
    }
    let refused = bob.ask(&nodes_of(HOST, "")).await.join("");
    assert!(refused.contains("<resource-constraint"), "{refused}");
}

#[tokio::test]
async fn nodes_that_cannot_be_are_not_there_and_leave_nothing_behind() {
    let world = World::new("ps-long-names", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let long = "n".repeat(1024);
    let before = world.pubsub.nodes_in_memory();
    for of in ["info", "items"] {
        for to in [HOST, "alice@localhost", "nobody@localhost"] {
            let query = format!("<query xmlns='http://jabber.org/protocol/disco#{of}' node='{long}'/>");
            let answer = alice.ask(&format!("<iq to='{to}' type='get' id='1'>{query}</iq>")).await.join("");
            assert!(answer.contains("<item-not-found") || to.starts_with("nobody") && answer.contains("<service-unavailable"), "{answer}");
        }
    }
    let fields = [("node", long.as_str()), ("subscriber_jid", "alice@localhost"), ("allow", "true")];
    let decision = form("subscribe_authorization", &fields);
    let answer = alice.ask(&format!("<message to='{HOST}' id='x'>{decision}</message>")).await.join("");
    assert!(answer.contains("<item-not-found"), "{answer}");
    assert_eq!(world.pubsub.nodes_in_memory(), before);
}
