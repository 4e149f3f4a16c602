//! What owners, publishers, subscribers and strangers get of publish-subscribe, with the router and a database, without a network.

mod accounts;
mod delivery;
mod endings;
mod memory;
mod owners;
mod publishing;
mod together;

use crate::world::World;
use crate::world::nodes::HOST;

#[tokio::test]
async fn s5_1_the_server_names_its_host_and_the_host_says_what_it_can_do() {
    let world = World::new("ps-disco", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let answer = alice.ask("<iq to='localhost' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>").await;
    assert_eq!(
        answer,
        ["<iq from='localhost' to='alice@localhost/a' id='1' type='result'>\
          <query xmlns='http://jabber.org/protocol/disco#items'><item jid='conference.localhost'/><item jid='pubsub.localhost'/></query></iq>"]
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
