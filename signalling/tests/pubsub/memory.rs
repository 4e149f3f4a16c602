//! A node in memory is what the database has.

use crate::world::World;
use crate::world::nodes::{HOST, address, create, done, form, items, publish, request, same_in_memory_and_store, subscribe};

#[tokio::test]
async fn after_any_commands_memory_is_what_the_database_has() {
    let world = World::new("ps-random", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let nodes = ["n0", "n1", "n2"];
    let mut seed = 0x9e37_79b9_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for step in 0..400 {
        let (node, other) = (nodes[random(3) as usize], nodes[random(3) as usize]);
        let client = if random(3) == 0 { &bob } else { &alice };
        let jid = client.session.jid.to_bare();
        let stanza = match random(17) {
            0 => create(HOST, node, &[("max_items", "3")]),
            12 => {
                let (var, value) = [
                    ("access_model", "open"),
                    ("access_model", "presence"),
                    ("access_model", "authorize"),
                    ("access_model", "whitelist"),
                    ("publish_model", "open"),
                    ("publish_model", "publishers"),
                    ("persist_items", "0"),
                    ("persist_items", "1"),
                    ("deliver_payloads", "0"),
                    ("deliver_payloads", "1"),
                    ("item_expire", "100000"),
                    ("item_expire", "max"),
                    ("publish_node_full", "reject"),
                    ("publish_node_full", "retract-oldest"),
                    ("collection", other),
                    ("collection", ""),
                    ("node_type", "collection"),
                ][random(17) as usize];
                request(HOST, "set", "#owner", &format!("<configure node='{node}'>{}</configure>", form("node_config", &[(var, value)])))
            }
            13 => {
                let show = ["away", "chat", "dnd"][random(3) as usize];
                let options = form("subscribe_options", &[("show-values", show), ("expire", "2036-01-01T00:00:00Z")]);
                request(HOST, "set", "", &format!("<subscribe node='{node}' jid='{jid}'/><options>{options}</options>"))
            }
            14 => {
                let deliver = ["0", "1"][random(2) as usize];
                let options = form("subscribe_options", &[("deliver", deliver), ("subscription_type", "items")]);
                request(HOST, "set", "", &format!("<options node='{node}' jid='{jid}'>{options}</options>"))
            }
            15 => {
                let state = ["none", "subscribed"][random(2) as usize];
                let change = format!("<subscription jid='bob@localhost' subscription='{state}'/>");
                request(HOST, "set", "#owner", &format!("<subscriptions node='{node}'>{change}</subscriptions>"))
            }
            16 => {
                let what = ["associate", "dissociate"][random(2) as usize];
                request(HOST, "set", "#owner", &format!("<collection node='{node}'><{what} node='{other}'/></collection>"))
            }
            1 => request(HOST, "set", "#owner", &format!("<delete node='{node}'/>")),
            2 | 3 => subscribe(HOST, node, jid.as_str()),
            4 => request(HOST, "set", "", &format!("<unsubscribe node='{node}' jid='{jid}'/>")),
            5 => request(HOST, "set", "", &format!("<retract node='{node}' notify='1'><item id='{}'/></retract>", random(6))),
            6 => request(HOST, "set", "#owner", &format!("<purge node='{node}'/>")),
            7 => {
                let max = (1 + random(5)).to_string();
                let config = form("node_config", &[("max_items", &max), ("title", &step.to_string())]);
                request(HOST, "set", "#owner", &format!("<configure node='{node}'>{config}</configure>"))
            }
            8 => {
                let affiliation = ["publisher", "none", "member", "outcast"][random(4) as usize];
                let change = format!("<affiliation jid='bob@localhost' affiliation='{affiliation}'/>");
                request(HOST, "set", "#owner", &format!("<affiliations node='{node}'>{change}</affiliations>"))
            }
            _ => publish(HOST, node, &random(6).to_string()),
        };
        let answers = client.ask(&stanza).await;
        assert!(answers.iter().any(|answer| answer.starts_with("<iq ")), "{stanza}: {answers:#?}");
        assert!(!answers.join("").contains("internal-server-error"), "{stanza}: {answers:#?}");
    }
    world.settled().await;
    for node in nodes {
        same_in_memory_and_store(&world, &address(HOST, node)).await;
    }
}

#[tokio::test]
async fn a_request_whose_stream_breaks_in_the_middle_is_done_whole() {
    let world = World::new("ps-cut", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    done(&alice, &create(HOST, "cut", &[])).await;
    for number in 0..20 {
        // Polled once, then dropped.
        let stanza = publish(HOST, "cut", &number.to_string());
        let sending = Box::pin(alice.send(&stanza));
        assert!(futures_util::future::poll_immediate(sending).await.is_none(), "the database takes its time");
    }
    done(&alice, &publish(HOST, "cut", "last")).await;
    same_in_memory_and_store(&world, &address(HOST, "cut")).await;
    let kept = done(&alice, &items(HOST, "cut")).await;
    assert_eq!(kept.matches("<item id=").count(), 21, "{kept}");
}

/// A publication at a node with many subscribers must not copy them.
#[tokio::test]
async fn a_command_changes_the_node_in_its_place() {
    let world = World::new("ps-in-place", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    for (to, node) in [(HOST, "n"), ("", "urn:x:n")] {
        done(&alice, &create(to, node, &[("access_model", "open")])).await;
        let address = address(if to.is_empty() { "alice@localhost" } else { to }, node);
        let place = async || std::sync::Arc::as_ptr(&world.pubsub.node(&address).await.expect("reads").expect("is there")).addr();
        let before = place().await;
        done(&bob, &subscribe(address.service.as_str(), node, "bob@localhost")).await;
        for id in ["1", "2"] {
            done(&alice, &publish(to, node, id)).await;
        }
        done(&alice, &request(to, "set", "", &format!("<retract node='{node}' notify='1'><item id='2'/></retract>"))).await;
        world.settled().await;
        assert_eq!(place().await, before, "{node}");
    }
}
