//! XEP-0115, XEP-0390, XEP-0163 §4: what clients are asked, who is interested in what, and which last items whoever comes is told.

use std::time::{Duration, Instant};

use campanile_signalling::interests::Interests;
use campanile_signalling::jid::BareJid;
use campanile_signalling::router::{Limits, Router};
use campanile_signalling::store::{RosterItem, Subscription};

use crate::world::{Client, World, befriend};

const TUNE: &str = "http://jabber.org/protocol/tune";
const MOOD: &str = "http://jabber.org/protocol/mood";

/// A client program: what its disco#info says, and the name of that.
struct Program {
    features: Vec<String>,
    ver: String,
}

impl Program {
    /// One that wants to be told of these nodes.
    fn new(nodes: &[&str]) -> Self {
        let features: Vec<_> = nodes.iter().map(|node| format!("{node}+notify")).collect();
        let mut sorted = features.clone();
        sorted.sort_unstable();
        let said = format!("client/pc//<{}<", sorted.join("<"));
        Self { features, ver: sha_1(said.as_bytes()) }
    }

    fn presence(&self) -> String {
        format!("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:client' ver='{}'/></presence>", self.ver)
    }

    fn info(&self) -> String {
        let features: String = self.features.iter().map(|var| format!("<feature var='{var}'/>")).collect();
        format!("<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>{features}</query>")
    }
}

fn sha_1(input: &[u8]) -> String {
    use base64::Engine as _;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, input);
    base64::prelude::BASE64_STANDARD.encode(digest)
}

/// The id of the request for disco#info among what a client was sent, if there is one.
fn asked(client: &Client) -> Option<String> {
    let received = client.received();
    let query = received.iter().find(|stanza| stanza.contains("disco#info") && stanza.contains("type='get'"))?;
    assert!(query.contains("from='localhost'"), "{query}");
    let (_, behind) = query.split_once(" id='")?;
    behind.split_once('\'').map(|(id, _)| id.to_owned())
}

async fn answer(client: &Client, id: &str, info: &str) {
    client.send(&format!("<iq type='result' to='localhost' id='{id}'>{info}</iq>")).await;
}

fn interests(client: &Client) -> Interests {
    client.session.home.with(|account| account.session(client.session.id).expect("is bound").interests.clone())
}

fn nodes(nodes: &[&str]) -> Interests {
    nodes.iter().map(|node| (*node).to_owned()).collect()
}

#[tokio::test]
async fn xep0115_s5_4_one_client_is_asked_for_all_that_say_the_same() {
    let world = World::new("caps-shared", &["alice", "bob"]).await;
    let program = Program::new(&[TUNE]);
    let (alice, bob, tablet) = (world.client("alice", "a").await, world.client("bob", "b").await, world.client("bob", "tablet").await);
    for client in [&alice, &bob] {
        client.send(&program.presence()).await;
    }
    let id = asked(&alice).expect("is asked");
    assert_eq!((asked(&bob), interests(&alice)), (None, nodes(&[])));
    alice.send(&program.presence()).await;
    assert_eq!(asked(&alice), None, "it is asked already");
    // Whoever was not asked has no say.
    answer(&bob, &id, &Program::new(&[MOOD]).info()).await;
    assert_eq!(interests(&bob), nodes(&[]));
    answer(&alice, &id, &program.info()).await;
    assert_eq!((interests(&alice), interests(&bob)), (nodes(&[TUNE]), nodes(&[TUNE])));
    tablet.send(&program.presence()).await;
    assert_eq!((asked(&tablet), interests(&tablet)), (None, nodes(&[TUNE])));
    // Presence need not say it again, and without presence there is no interest.
    tablet.send("<presence><show>away</show></presence>").await;
    assert_eq!(interests(&tablet), nodes(&[TUNE]));
    tablet.send("<presence to='alice@localhost/a'/>").await;
    tablet.send("<presence type='unavailable'/>").await;
    assert_eq!(interests(&tablet), nodes(&[]));
    tablet.send("<presence/>").await;
    assert_eq!((asked(&tablet), interests(&tablet)), (None, nodes(&[])));
}

#[tokio::test]
async fn a_client_that_lies_lies_for_itself_and_the_next_one_is_asked() {
    let world = World::new("caps-lie", &["alice", "bob"]).await;
    let program = Program::new(&[TUNE]);
    let (liar, mute, dead, honest) = (
        world.client("alice", "liar").await,
        world.client("alice", "mute").await,
        world.client("bob", "dead").await,
        world.client("bob", "honest").await,
    );
    for client in [&liar, &mute, &dead, &honest] {
        client.send(&program.presence()).await;
    }
    let id = asked(&liar).expect("is asked");
    answer(&liar, &id, &Program::new(&[MOOD]).info()).await;
    assert_eq!((interests(&liar), interests(&honest)), (nodes(&[MOOD]), nodes(&[])));
    assert!(asked(&dead).is_some(), "one of another account is asked next");
    world.router.unbind(&dead.session).await;
    let id = asked(&mute).expect("is asked next");
    mute.send(&format!("<iq type='error' to='localhost' id='{id}'><error type='cancel'/></iq>")).await;
    let id = asked(&honest).expect("is asked last");
    world.router.give_up_asked(Instant::now() + Duration::from_secs(61));
    answer(&honest, &id, &program.info()).await;
    assert_eq!(interests(&honest), nodes(&[]), "too late");
    honest.send(&program.presence()).await;
    let id = asked(&honest).expect("is asked once more");
    answer(&honest, &id, &program.info()).await;
    assert_eq!(
        [&liar, &mute, &honest].map(interests),
        [nodes(&[MOOD]), nodes(&[]), nodes(&[TUNE])],
        "those who answered are not believed something else"
    );
    liar.send(&program.presence()).await;
    assert_eq!((asked(&liar), interests(&liar)), (None, nodes(&[MOOD])));
}

#[tokio::test]
async fn a_client_that_names_ever_new_things_takes_nobodys_place() {
    let world = World::new("caps-many", &["alice", "bob"]).await;
    let (alice, bob, other) = (world.client("alice", "a").await, world.client("bob", "b").await, world.client("bob", "other").await);
    let program = Program::new(&[TUNE]);
    bob.send(&program.presence()).await;
    let id = asked(&bob).expect("is asked");
    let first = Program::new(&["0"]);
    alice.send(&first.presence()).await;
    let stale = asked(&alice).expect("is asked");
    other.send(&first.presence()).await;
    assert_eq!(asked(&other), None);
    for number in 1..5_000 {
        alice.send(&Program::new(&[&number.to_string()]).presence()).await;
        alice.forget();
    }
    let taken_over = asked(&other).expect("is asked what alice will not be believed any more");
    answer(&alice, &stale, &first.info()).await;
    assert_eq!((interests(&alice), interests(&other)), (nodes(&[]), nodes(&[])));
    answer(&other, &taken_over, &first.info()).await;
    world.router.give_up_asked(Instant::now());
    answer(&bob, &id, &program.info()).await;
    assert_eq!((interests(&bob), interests(&other)), (nodes(&[TUNE]), nodes(&["0"])));
}

#[tokio::test]
async fn whoever_was_silent_hears_what_another_one_says() {
    let world = World::new("caps-again", &["alice", "bob"]).await;
    let (alice, bob) = (world.client("alice", "a").await, world.client("bob", "b").await);
    let program = Program::new(&[TUNE]);
    alice.send(&program.presence()).await;
    assert!(asked(&alice).is_some());
    world.router.give_up_asked(Instant::now() + Duration::from_secs(61));
    bob.send(&program.presence()).await;
    let id = asked(&bob).expect("is asked");
    alice.send(&program.presence()).await;
    answer(&bob, &id, &program.info()).await;
    assert_eq!((interests(&alice), interests(&bob)), (nodes(&[TUNE]), nodes(&[TUNE])));
}

#[tokio::test]
async fn xep0115_s13_the_legacy_format_says_something_of_its_client_only() {
    let world = World::new("caps-legacy", &["alice", "bob"]).await;
    let (alice, bob) = (world.client("alice", "a").await, world.client("bob", "b").await);
    let presence = "<presence><c xmlns='http://jabber.org/protocol/caps' node='urn:old' ver='1' ext='tune'/></presence>";
    alice.send(presence).await;
    let id = asked(&alice).expect("is asked");
    answer(&alice, &id, &Program::new(&[TUNE]).info()).await;
    bob.send(presence).await;
    assert!(asked(&bob).is_some());
    alice.send(presence).await;
    assert_eq!((asked(&alice), interests(&alice), interests(&bob)), (None, nodes(&[TUNE]), nodes(&[])));
}

#[tokio::test]
async fn other_capabilities_are_other_interests_once_they_are_known() {
    let world = World::new("caps-change", &["alice"]).await;
    let (old, new) = (Program::new(&[TUNE]), Program::new(&[MOOD]));
    let alice = world.client("alice", "a").await;
    alice.send(&old.presence()).await;
    let id = asked(&alice).expect("is asked");
    answer(&alice, &id, &old.info()).await;
    alice.send(&new.presence()).await;
    assert_eq!(interests(&alice), nodes(&[TUNE]), "until it is known");
    let id = asked(&alice).expect("is asked");
    alice.send(&old.presence()).await;
    answer(&alice, &id, &new.info()).await;
    assert_eq!(interests(&alice), nodes(&[TUNE]), "it has changed its mind");
    alice.send(&new.presence()).await;
    let id = asked(&alice).expect("is asked again: what it said before was not awaited any more");
    answer(&alice, &id, &new.info()).await;
    assert_eq!(interests(&alice), nodes(&[MOOD]));
}

/// Pays all that is owed, as the client's connection does.
async fn paid(router: &Router, client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..64 {
        router.pay(&client.session).await;
        all.extend(client.received());
    }
    all
}

fn node(access: &str) -> String {
    format!("<field var='pubsub#access_model'><value>{access}</value></field>")
}

/// Publishes, with publish-options that the node is created with. Gives what came of it.
async fn publish(world: &World, client: &Client, name: &str, item: &str, options: &str) -> Vec<String> {
    let mut received = client
        .ask(&format!(
            "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{name}'><item id='{item}'>\
             <tune xmlns='http://jabber.org/protocol/tune'><title>{item}</title></tune></item></publish>\
             <publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#publish-options</value></field>{options}</x></publish-options></pubsub></iq>"
        ))
        .await;
    assert!(received.iter().any(|stanza| stanza.contains("type='result'")), "{received:#?}");
    world.settled().await;
    received.extend(client.received());
    received
}

/// A client that is there with this program, has what it is owed and has forgotten it.
async fn there(world: &World, account: &str, resource: &str, program: &Program) -> Client {
    let client = world.client(account, resource).await;
    enter(&client, program).await;
    paid(&world.router, &client).await;
    client
}

/// Initial presence, and what is asked because of it.
async fn enter(client: &Client, program: &Program) {
    client.send(&program.presence()).await;
    if let Some(id) = asked(client) {
        answer(client, &id, &program.info()).await;
    }
    assert_eq!(interests(client).as_slice().len(), program.features.len());
}

/// The items among what was received: whose, and which.
fn items(received: &[String]) -> Vec<(String, String)> {
    let part = |stanza: &str, before: &str| {
        stanza.split_once(before).and_then(|(_, behind)| behind.split_once('\'')).map(|(part, _)| part.to_owned())
    };
    let events = received.iter().filter(|stanza| stanza.contains("pubsub#event"));
    events
        .filter_map(|stanza| {
            Some((
                part(stanza, " from='")?,
                part(stanza, "<item id='").or_else(|| part(stanza, "<item xmlns='http://jabber.org/protocol/pubsub#event' id='"))?,
            ))
        })
        .collect()
}

fn of(whose: &str, item: &str) -> (String, String) {
    (format!("{whose}@localhost"), item.to_owned())
}

#[tokio::test]
async fn xep0163_s4_3_a_publication_reaches_each_interested_resource_of_who_may_see_it() {
    let world = World::new("pep-publish", &["alice", "bob", "carol", "dave"]).await;
    let (tunes, moods) = (Program::new(&[TUNE]), Program::new(&[MOOD]));
    let alice = there(&world, "alice", "a", &tunes).await;
    let pad = there(&world, "alice", "pad", &moods).await;
    let bob = there(&world, "bob", "b", &tunes).await;
    let phone = there(&world, "bob", "phone", &tunes).await;
    let carol = there(&world, "carol", "c", &moods).await;
    let dave = there(&world, "dave", "d", &tunes).await;
    befriend(&alice, &bob).await;
    befriend(&alice, &carol).await;
    for client in [&alice, &pad, &bob, &phone, &carol, &dave] {
        paid(&world.router, client).await;
    }
    let told = publish(&world, &alice, TUNE, "1", "").await;
    for (client, received) in [(&alice, told), (&bob, bob.received()), (&phone, phone.received())] {
        assert_eq!(items(&received), [of("alice", "1")], "{}", client.session.jid);
        let event = received.iter().find(|stanza| stanza.contains("pubsub#event")).expect("an event");
        for part in ["type='headline'", "type='replyto'", "jid='alice@localhost/a'", &format!("to='{}'", client.session.jid)] {
            assert!(event.contains(part), "{event} misses {part}");
        }
        assert!(!event.contains("urn:xmpp:delay"), "{event}");
    }
    for client in [&pad, &carol, &dave] {
        assert_eq!(items(&client.received()), [], "{}", client.session.jid);
    }
    // XEP-0163 §4.3.3: not to whom the owner has blocked, and not to who has blocked the owner.
    alice.send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@localhost/phone'/></block></iq>").await;
    publish(&world, &alice, TUNE, "2", "").await;
    assert_eq!([items(&bob.received()), items(&phone.received())], [vec![of("alice", "2")], vec![]]);
    bob.send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='alice@localhost'/></block></iq>").await;
    publish(&world, &alice, TUNE, "3", "").await;
    assert_eq!(items(&bob.received()), []);
}

#[tokio::test]
async fn xep0163_s4_3_4_whoever_comes_gets_the_last_items_once() {
    let world = World::new("pep-log-in", &["alice", "bob", "carol"]).await;
    let tunes = Program::new(&[TUNE]);
    let (alice, bob) = (there(&world, "alice", "a", &tunes).await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    for item in ["1", "2"] {
        publish(&world, &alice, TUNE, item, "").await;
    }
    publish(&world, &alice, MOOD, "m", "").await;
    publish(&world, &bob, TUNE, "b", "").await;
    // The owner need not be there, nor in memory.
    world.router.unbind(&alice.session).await;
    world.router.forget(&alice.session.jid.to_bare());
    let phone = world.client("bob", "phone").await;
    enter(&phone, &tunes).await;
    let received = paid(&world.router, &phone).await;
    assert_eq!(items(&received), [of("bob", "b"), of("alice", "2")]);
    for stanza in received.iter().filter(|stanza| stanza.contains("pubsub#event")) {
        for part in ["<delay xmlns='urn:xmpp:delay'", "type='replyto'", "to='bob@localhost/phone'", "type='headline'"] {
            assert!(stanza.contains(part), "{stanza} misses {part}");
        }
    }
    // §12.2: not on subsequent presence with the same interest; other interests bring what is new.
    phone.send(&tunes.presence()).await;
    assert_eq!(items(&paid(&world.router, &phone).await), []);
    enter(&phone, &Program::new(&[TUNE, MOOD])).await;
    assert_eq!(items(&paid(&world.router, &phone).await), [of("alice", "m")]);
    phone.send("<presence type='unavailable'/>").await;
    enter(&phone, &Program::new(&[TUNE, MOOD])).await;
    assert_eq!(items(&paid(&world.router, &phone).await), [of("bob", "b"), of("alice", "m"), of("alice", "2")]);
    // Strangers get nothing.
    let carol = world.client("carol", "c").await;
    enter(&carol, &tunes).await;
    assert_eq!(items(&paid(&world.router, &carol).await), []);
}

#[tokio::test]
async fn xep0060_s12_2_a_new_contact_and_a_new_group_get_the_last_items() {
    let world = World::new("pep-begin", &["alice", "bob"]).await;
    let both = Program::new(&[TUNE, MOOD]);
    let (alice, bob) = (there(&world, "alice", "a", &both).await, there(&world, "bob", "b", &both).await);
    publish(&world, &alice, TUNE, "t", "").await;
    let friends = format!("{}<field var='pubsub#roster_groups_allowed'><value>Friends</value></field>", node("roster"));
    publish(&world, &alice, MOOD, "m", &friends).await;
    publish(&world, &bob, TUNE, "b", "").await;
    paid(&world.router, &alice).await;
    befriend(&alice, &bob).await;
    assert_eq!(items(&paid(&world.router, &bob).await), [of("alice", "t")]);
    assert_eq!(items(&paid(&world.router, &alice).await), [of("bob", "b")]);
    let group = |name: &str| {
        format!("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='bob@localhost'><group>{name}</group></item></query></iq>")
    };
    alice.send(&group("Others")).await;
    assert_eq!(items(&paid(&world.router, &bob).await), []);
    alice.send(&group("Friends")).await;
    assert_eq!(items(&paid(&world.router, &bob).await), [of("alice", "m")]);
    publish(&world, &alice, MOOD, "m2", "").await;
    assert_eq!(items(&bob.received()), [of("alice", "m2")]);
    alice.send(&group("Others")).await;
    publish(&world, &alice, MOOD, "m3", "").await;
    assert_eq!(items(&bob.received()), []);
}

#[tokio::test]
async fn xep0060_s12_2_whom_another_access_model_lets_in_gets_the_last_item() {
    let world = World::new("pep-opens", &["alice", "bob"]).await;
    let tunes = Program::new(&[TUNE]);
    let (alice, bob) = (there(&world, "alice", "a", &tunes).await, there(&world, "bob", "b", &tunes).await);
    befriend(&alice, &bob).await;
    publish(&world, &alice, TUNE, "1", &node("whitelist")).await;
    paid(&world.router, &alice).await;
    assert_eq!(items(&bob.received()), []);
    let configure = |access: &str| {
        format!(
            "<iq type='set' id='c'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='{TUNE}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#node_config</value></field>{}</x></configure></pubsub></iq>",
            node(access)
        )
    };
    alice.send(&configure("presence")).await;
    world.settled().await;
    assert_eq!((items(&bob.received()), items(&alice.received())), (vec![of("alice", "1")], vec![]));
}

#[tokio::test]
async fn xep0060_s9_1_3_whoever_sends_presence_hears_of_open_nodes_until_it_leaves() {
    let world = World::new("pep-visitors", &["alice", "bob"]).await;
    let both = Program::new(&[TUNE, MOOD]);
    let (alice, bob) = (there(&world, "alice", "a", &both).await, there(&world, "bob", "b", &both).await);
    publish(&world, &alice, TUNE, "t", &node("open")).await;
    publish(&world, &alice, MOOD, "m", &node("presence")).await;
    assert_eq!(items(&paid(&world.router, &bob).await), []);
    bob.send("<presence to='alice@localhost'/>").await;
    assert_eq!(items(&paid(&world.router, &bob).await), [of("alice", "t")]);
    publish(&world, &alice, TUNE, "t2", "").await;
    publish(&world, &alice, MOOD, "m2", "").await;
    let received = bob.received();
    assert_eq!(items(&received), [of("alice", "t2")]);
    assert!(!received.join("").contains("replyto"), "XEP-0163 §4.3.1.3: {received:#?}");
    bob.send("<presence type='unavailable' to='alice@localhost'/>").await;
    publish(&world, &alice, TUNE, "t3", "").await;
    assert_eq!(items(&bob.received()), []);
}

#[tokio::test]
async fn xep0163_s4_3_2_an_explicit_subscription_and_an_interest_are_one_notification() {
    let world = World::new("pep-both", &["alice", "bob"]).await;
    let (tunes, nothing) = (Program::new(&[TUNE]), Program::new(&[]));
    let (alice, bob) = (there(&world, "alice", "a", &tunes).await, there(&world, "bob", "b", &tunes).await);
    let quiet = there(&world, "bob", "quiet", &nothing).await;
    befriend(&alice, &bob).await;
    publish(&world, &alice, TUNE, "1", "").await;
    let subscribe = format!(
        "<iq to='alice@localhost' type='set' id='s'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <subscribe node='{TUNE}' jid='bob@localhost'/></pubsub></iq>"
    );
    assert!(bob.ask(&subscribe).await.join("").contains("subscribed"));
    world.settled().await;
    [&bob, &quiet].into_iter().for_each(Client::forget);
    publish(&world, &alice, TUNE, "2", "").await;
    assert_eq!([items(&bob.received()), items(&quiet.received())], [vec![of("alice", "2")], vec![]]);
    let phone = world.client("bob", "phone").await;
    enter(&phone, &tunes).await;
    assert_eq!(items(&paid(&world.router, &phone).await), [of("alice", "2")]);
}

#[tokio::test]
async fn what_is_kept_in_memory_only_is_told_to_whoever_comes_too() {
    let world = World::new("pep-volatile", &["alice", "bob"]).await;
    let tunes = Program::new(&[TUNE]);
    let (alice, bob) = (there(&world, "alice", "a", &tunes).await, there(&world, "bob", "b", &tunes).await);
    befriend(&alice, &bob).await;
    publish(&world, &alice, TUNE, "1", "<field var='pubsub#persist_items'><value>0</value></field>").await;
    for (account, expected) in [("alice", "phone"), ("bob", "phone")] {
        let phone = world.client(account, expected).await;
        enter(&phone, &tunes).await;
        assert_eq!(items(&paid(&world.router, &phone).await), [of("alice", "1")], "{account}");
    }
}

#[tokio::test]
async fn xep0060_s12_2_a_subscriber_of_a_host_gets_the_last_item_when_it_comes() {
    let world = World::new("pep-host", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let config = |send: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
             <field var='pubsub#itemreply'><value>owner</value></field>\
             <field var='pubsub#send_last_published_item'><value>{send}</value></field></x>"
        )
    };
    for (node, send) in [("feed", "on_sub_and_presence"), ("quiet", "on_sub")] {
        for request in [
            format!("<create node='{node}'/><configure>{}</configure>", config(send)),
            format!("<publish node='{node}'><item id='{node}-1'><a xmlns='urn:a'/></item></publish>"),
        ] {
            let answer = alice
                .ask(&format!(
                    "<iq to='pubsub.localhost' type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{request}</pubsub></iq>"
                ))
                .await;
            assert!(answer.join("").contains("type='result'"), "{answer:#?}");
        }
        for jid in ["bob@localhost", "bob@localhost/phone"] {
            let client = if jid.ends_with("phone") { world.client("bob", "phone").await } else { world.client("bob", "tablet").await };
            client
                .send(&format!(
                    "<iq to='pubsub.localhost' type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                     <subscribe node='{node}' jid='{jid}'/></pubsub></iq>"
                ))
                .await;
            world.settled().await;
        }
    }
    paid(&world.router, &bob).await;
    for (resource, subids) in [("phone", true), ("laptop", false)] {
        let client = world.client("bob", resource).await;
        client.send("<presence/>").await;
        let received = paid(&world.router, &client).await;
        let told = items(&received);
        assert_eq!(told, [("pubsub.localhost".to_owned(), "feed-1".to_owned())], "{received:#?}");
        let event = received.iter().find(|stanza| stanza.contains("pubsub#event")).expect("an event");
        assert!(event.contains("<delay xmlns='urn:xmpp:delay'"), "{event}");
        assert!(event.contains("publisher='alice@localhost'"), "{event}");
        assert_eq!(event.contains("SubID"), subids, "§12.16: {event}");
        client.send("<presence><show>away</show></presence>").await;
        assert_eq!(items(&paid(&world.router, &client).await), []);
    }
}

#[tokio::test]
async fn many_contacts_are_paid_for_in_few_slices_none_of_which_fills_the_mailbox() {
    const CONTACTS: usize = 60;
    let names: Vec<_> = (0..CONTACTS).map(|number| format!("friend{number}")).chain(["alice".to_owned()]).collect();
    let accounts: Vec<_> = names.iter().map(String::as_str).collect();
    let world = World::within("pep-many", &accounts, Limits::default(), 300_000).await;
    let tunes = Program::new(&[TUNE]);
    let alice = BareJid::new("alice", "localhost").expect("a JID");
    let both = |jid: &BareJid| RosterItem { subscription: Subscription::Both, ..RosterItem::new(jid.clone()) };
    for name in &names[..CONTACTS] {
        let friend = BareJid::new(name, "localhost").expect("a JID");
        for (account, contact) in [(&alice, &friend), (&friend, &alice)] {
            world.store.rosters().set(account, &both(contact)).await.expect("is stored");
        }
        let client = world.client(name, "r").await;
        let title = "t".repeat(4000);
        publish(&world, &client, TUNE, &format!("{name}-{title}")[..1000], "").await;
        world.router.unbind(&client.session).await;
    }
    let laptop = world.client("alice", "laptop").await;
    enter(&laptop, &tunes).await;
    let (mut told, mut slices) = (Vec::new(), 0);
    loop {
        world.router.pay(&laptop.session).await;
        let bytes = laptop.mailbox.bytes();
        let slice = items(&laptop.received());
        assert!(bytes < 150_000, "{bytes} bytes in one slice");
        if slice.is_empty() && laptop.session.home.with(|account| account.session(laptop.session.id).expect("bound").items_owed.is_empty())
        {
            break;
        }
        slices += 1;
        told.extend(slice);
    }
    assert_eq!(told.len(), CONTACTS);
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), CONTACTS, "each once");
    assert!(slices < 10, "{slices} slices");
}

#[tokio::test]
async fn xep0198_a_session_that_goes_on_keeps_its_interests_over_a_restart_or_its_client_is_asked_again() {
    let world = World::new("pep-restart", &["alice", "bob"]).await;
    let tunes = Program::new(&[TUNE]);
    let legacy = "<presence><c xmlns='http://jabber.org/protocol/caps' node='urn:old' ver='1'/></presence>";
    let (known, own, unknown) =
        (there(&world, "alice", "known", &tunes).await, world.client("alice", "own").await, world.client("bob", "unknown").await);
    own.send(legacy).await;
    let id = asked(&own).expect("is asked");
    answer(&own, &id, &tunes.info()).await;
    unknown.send(legacy).await;
    let mut tokens = Vec::new();
    for client in [&known, &own, &unknown] {
        client.forget();
        let enabled = world.router.enable_management(&client.session, true, None).expect("is enabled");
        tokens.push(enabled.resumption.expect("may be resumed").0.to_text());
        let attachment = client.mailbox.attach().expect("is open");
        assert!(world.router.detach(&client.session, &attachment));
    }
    assert_eq!(world.router.store_sessions().await.expect("are stored"), 3);
    for account in ["alice", "bob"] {
        world.router.forget(&BareJid::new(account, "localhost").expect("a JID"));
    }
    assert_eq!(world.router.restore_sessions(100_000).await.expect("are restored"), 3);
    let mut expected = [nodes(&[TUNE]), nodes(&[TUNE]), nodes(&[])].into_iter();
    for (client, token) in [&known, &own, &unknown].into_iter().zip(&tokens) {
        let account = client.session.jid.to_bare();
        let resumed = world.router.resume(&account, token, 0, Instant::now()).await.expect("goes on");
        let session = resumed.bound.session().expect("is its").clone();
        let mailbox = resumed.bound.attachment().mailbox().clone();
        let client = Client { router: world.router.clone(), session, mailbox };
        assert_eq!(Some(interests(&client)), expected.next(), "{}", client.session.jid);
        if client.session.jid.resource_str() == "unknown" {
            let id = asked(&client).expect("is asked again");
            answer(&client, &id, &tunes.info()).await;
            assert_eq!(interests(&client), nodes(&[TUNE]));
        } else {
            assert_eq!(asked(&client), None);
        }
        drop(resumed);
    }
}
