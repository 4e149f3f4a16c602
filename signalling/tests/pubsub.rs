//! What owners, publishers, subscribers and strangers get of publish-subscribe, with the router and a database, without a network.

use std::time::{Duration, SystemTime};

use campanile_signalling::jid::{BareJid, Jid};
use campanile_signalling::pubsub;
use campanile_signalling::pubsub::change::Change;
use campanile_signalling::pubsub::model::{Node, NodeAddress, Subscription};
use campanile_signalling::router::Limits;

use crate::world::{Client, World, befriend};

const HOST: &str = "pubsub.localhost";

#[tokio::test]
async fn s5_1_the_server_names_its_host_and_the_host_says_what_it_can_do() {
    let world = World::new("ps-disco", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let answer = alice.ask("<iq to='localhost' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>").await;
    assert_eq!(
        answer,
        ["<iq from='localhost' to='alice@localhost/a' id='1' type='result'>\
          <query xmlns='http://jabber.org/protocol/disco#items'><item jid='pubsub.localhost'/></query></iq>"]
    );
    let info = "type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    let host = alice.ask(&format!("<iq to='{HOST}' {info}")).await.join("");
    assert!(host.contains("<identity category='pubsub' type='service'/>"), "{host}");
    assert!(host.contains("<feature var='http://jabber.org/protocol/pubsub#access-open'/>"), "{host}");
    let account = alice.ask(&format!("<iq to='alice@localhost' {info}")).await.join("");
    assert!(account.contains("<identity category='pubsub' type='pep'/>"), "XEP-0163 §6.1: {account}");
    assert!(account.contains("<feature var='http://jabber.org/protocol/pubsub#access-presence'/>"), "{account}");
    let server = alice.ask(&format!("<iq to='localhost' {info}")).await.join("");
    assert!(!server.contains("category='pubsub'"), "{server}");
}

#[tokio::test]
async fn what_a_host_does_not_do_comes_back_and_its_presence_is_nobodys() {
    let world = World::new("ps-host", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    for stanza in [
        format!("<iq to='{HOST}' type='get' id='1'><query xmlns='jabber:iq:version'/></iq>"),
        format!("<iq to='{HOST}/x' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"),
        format!("<iq to='x@{HOST}' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"),
        format!("<message to='{HOST}' id='1'><body>hi</body></message>"),
        format!("<message to='x@{HOST}' id='1'><body>hi</body></message>"),
    ] {
        let answer = alice.ask(&stanza).await.join("");
        assert!(answer.contains("type='error'") && answer.contains("<service-unavailable"), "{stanza}: {answer}");
    }
    for stanza in [
        format!("<message to='{HOST}' id='1' type='error'><body>hi</body></message>"),
        format!("<iq to='{HOST}' type='result' id='1'/>"),
        format!("<presence to='{HOST}'/>"),
        format!("<presence to='{HOST}' type='probe'/>"),
    ] {
        assert_eq!(alice.ask(&stanza).await, [""; 0], "{stanza}");
    }
    alice.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    let told = alice.ask(&format!("<presence to='{HOST}' type='subscribe'/>")).await;
    assert!(told.iter().any(|stanza| stanza.contains("type='unsubscribed'")), "{told:#?}");
    assert!(told.last().is_some_and(|stanza| stanza.contains("subscription='none'") && !stanza.contains("ask=")), "{told:#?}");
}

// ---- Requests as clients write them

fn request(to: &str, type_: &str, ns: &str, content: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!("to='{to}' ") };
    format!("<iq {to}type='{type_}' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{content}</pubsub></iq>")
}

fn form(form_type: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>")).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#{form_type}</value></field>{fields}</x>"
    )
}

fn create(to: &str, node: &str, config: &[(&str, &str)]) -> String {
    request(to, "set", "", &format!("<create node='{node}'/><configure>{}</configure>", form("node_config", config)))
}

fn subscribe(to: &str, node: &str, jid: &str) -> String {
    request(to, "set", "", &format!("<subscribe node='{node}' jid='{jid}'/>"))
}

fn publish(to: &str, node: &str, id: &str) -> String {
    request(to, "set", "", &format!("<publish node='{node}'><item id='{id}'><entry xmlns='urn:x'>{id}</entry></item></publish>"))
}

fn items(to: &str, node: &str) -> String {
    request(to, "get", "", &format!("<items node='{node}'/>"))
}

/// Asks for something that works.
async fn done(client: &Client, stanza: &str) -> String {
    let answers = client.ask(stanza).await;
    let answer = answers.iter().find(|answer| answer.starts_with("<iq ")).unwrap_or_else(|| panic!("{stanza}: {answers:#?}")).clone();
    assert!(answer.contains("type='result'"), "{stanza}: {answer}");
    answer
}

/// Asks for something that is refused with these conditions: RFC 6120's and XEP-0060's.
async fn refused(client: &Client, stanza: &str, conditions: [&str; 2]) {
    let answer = client.ask(stanza).await.join("");
    let has = |condition| answer.contains(&format!("<{condition} xmlns="));
    assert!(answer.contains("type='error'") && conditions.into_iter().all(has), "{stanza}: {answer}");
}

/// The ids of items that a client was told of, in order.
fn told(client: &Client) -> Vec<String> {
    let id = |stanza: String| stanza.split("<item id='").nth(1).and_then(|rest| rest.split('\'').next()).map(str::to_owned);
    client.received().into_iter().filter_map(id).collect()
}

fn address(service: &str, node: &str) -> NodeAddress {
    NodeAddress { service: BareJid::parse(service).expect("a JID"), node: node.to_owned() }
}

/// Memory and database say the same of a node.
async fn same_in_memory_and_store(world: &World, address: &NodeAddress) {
    let mut in_memory = world.pubsub.node(address).await.expect("reads").map(|node| Node::clone(&node));
    let stored = world.store.pubsub().load(address, SystemTime::now()).await.expect("reads");
    if let Some(node) = in_memory.as_mut().filter(|node| !node.config.persist_items) {
        // §4.3: the last item of a transient node is in memory alone.
        node.last_item = None;
    }
    assert_eq!(in_memory, stored);
}

// ---- Publishing and being told

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

// ---- Memory and store

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

// ---- What ends by itself, or because of something else

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

// ---- Owners and their requests

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
    world.pubsub.settings().set_create(campanile_config::MayCreate::Admins);
    let refused = alice.ask(&create(HOST, "hers", &[])).await.join("");
    assert!(refused.contains("type='error'") && refused.contains("<forbidden"), "{refused}");
    done(&root, &create(HOST, "its", &[])).await;
    world.pubsub.settings().set_create(campanile_config::MayCreate::Local);
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

// ---- Accounts as services

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

// ---- Collections, presence, offline

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

// ---- Everything at once

/// Commands of any kind from several streams at once, on several threads: none waits for ever, memory is what the database has, and what hangs
/// together does so from both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_touch_several_nodes_at_once_neither_block_nor_mix() {
    let names = ["alice", "bob", "carol", "dave"];
    let world = World::new("ps-storm", &names).await;
    world.pubsub.settings().set_create(campanile_config::MayCreate::Local);
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

// ---- Faults that were found

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
