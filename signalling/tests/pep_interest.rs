//! XEP-0115, XEP-0390, XEP-0163 §4: what clients are asked, who is interested in what, and which last items whoever comes is told.

use std::time::{Duration, Instant};

use campanile_signalling::features::caps::Interests;
use campanile_signalling::router::Router;

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
    let id = asked(&mute).expect("is asked next");
    mute.send(&format!("<iq type='error' to='localhost' id='{id}'><error type='cancel'/></iq>")).await;
    assert!(asked(&dead).is_some(), "is asked next");
    world.router.unbind(&dead.session).await;
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
    assert_eq!((asked(&alice), interests(&alice)), (None, nodes(&[MOOD])));
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
