//! Everything at once, and what is no request.

use std::time::Duration;

use crate::world::nodes::{HOST, address, create, done, publish, request, same_in_memory_and_store, subscribe};
use crate::world::{Client, World};

/// Commands of any kind from several streams at once, on several threads: none waits for ever, memory is what the database has, and what hangs
/// together does so from both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_touch_several_nodes_at_once_neither_block_nor_mix() {
    let names = ["alice", "bob", "carol", "dave"];
    let world = World::new("ps-storm", &names).await;
    world.pubsub.settings().hosts.set_create(campanile_config::MayCreate::Local);
    let mut clients = Vec::new();
    for name in names {
        clients.push(world.online(name, "x").await);
    }
    let nodes = ["c0", "c1", "l0", "l1", "l2"];
    let storm = async |client: &Client, mut seed: u64| {
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..150 {
            let (node, other) = (nodes[random(5) as usize], nodes[random(5) as usize]);
            let jid = client.session.jid.to_bare();
            let collection = nodes[random(2) as usize];
            let stanza = match random(10) {
                0 if node.starts_with('c') => {
                    create(HOST, node, &[("node_type", "collection"), ("publish_model", "open"), ("children_association_policy", "all")])
                }
                0 | 1 => create(HOST, node, &[("publish_model", "open"), ("collection", collection)]),
                2 => request(HOST, "set", "#owner", &format!("<delete node='{node}'/>")),
                3 | 4 => {
                    request(HOST, "set", "#owner", &format!("<collection node='{collection}'><associate node='{other}'/></collection>"))
                }
                5 => {
                    request(HOST, "set", "#owner", &format!("<collection node='{collection}'><disassociate node='{other}'/></collection>"))
                }
                6 => subscribe(HOST, node, jid.as_str()),
                7 => request(HOST, "set", "", &format!("<unsubscribe node='{node}' jid='{jid}'/>")),
                _ => publish(HOST, node, &random(6).to_string()),
            };
            let answers = client.ask(&stanza).await;
            let broken = |answer: &String| answer.contains("internal-server-error") || answer.starts_with("close");
            assert!(!answers.iter().any(broken), "{stanza}: {answers:#?}");
        }
    };
    let all = async {
        tokio::join!(
            storm(&clients[0], 0x1234_5678),
            storm(&clients[1], 0x2345_6789),
            storm(&clients[2], 0x3456_789a),
            storm(&clients[3], 0x4567_89ab)
        );
        world.settled().await;
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("nobody waits for ever");
    for node in nodes {
        same_in_memory_and_store(&world, &address(HOST, node)).await;
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_never_our_fault() {
    let world = World::new("ps-bad", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    done(&alice, &create(HOST, "n", &[])).await;
    let long = "x".repeat(5_000);
    let contents = [
        String::new(),
        "<unknown/>".to_owned(),
        "<publish/>".to_owned(),
        "<publish node='n'><item/><item/></publish><publish node='n'/>".to_owned(),
        "<publish node='n'><item><a xmlns='urn:a'/><b xmlns='urn:b'/></item></publish>".to_owned(),
        format!("<publish node='n'><item id='{long}'><a xmlns='urn:a'/></item></publish>"),
        format!("<create node='{long}'/>"),
        "<create node='m'/><configure><x xmlns='jabber:x:data' type='submit'><field var='pubsub#max_items'><value>-1</value></field></x></configure>"
            .to_owned(),
        "<subscribe node='n' jid='@'/>".to_owned(),
        "<subscribe node='n' jid='bob@localhost'/>".to_owned(),
        "<subscribe node='n'/>".to_owned(),
        "<options node='n' jid='alice@localhost'/>".to_owned(),
        "<items node='n' max_items='x'/>".to_owned(),
        "<retract node='n'/>".to_owned(),
        "<affiliations node='n'><affiliation jid='alice@localhost' affiliation='none'/></affiliations>".to_owned(),
        "<affiliations node='n'><affiliation jid='bob@localhost' affiliation='emperor'/></affiliations>".to_owned(),
        "<subscriptions node='n'><subscription jid='bob@localhost' subscription='perhaps'/></subscriptions>".to_owned(),
        "<configure node='n'/>".to_owned(),
        "<delete/>".to_owned(),
        "<purge/>".to_owned(),
    ];
    for to in [HOST, ""] {
        for (type_, ns) in [("get", ""), ("set", ""), ("get", "#owner"), ("set", "#owner")] {
            for content in &contents {
                let stanza = request(to, type_, ns, content);
                let answer = alice.ask(&stanza).await.join("");
                assert!(answer.starts_with("<iq ") && !answer.contains("internal-server-error"), "{stanza}: {answer}");
            }
        }
    }
    same_in_memory_and_store(&world, &address(HOST, "n")).await;
}
