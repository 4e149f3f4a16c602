//! XEP-0313 §6.1.2: archives of rooms.

use crate::world::World;
use crate::world::rooms::{ROOM, create, join, say};

fn query(content: &str) -> String {
    format!("<iq to='{ROOM}' type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='x'>{content}</query></iq>")
}

fn with(jid: &str) -> String {
    query(&format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='with'><value>{jid}</value></field></x>"
    ))
}

#[tokio::test]
async fn s6_1_2_who_may_enter_reads_and_who_may_see_addresses_sees_them() {
    let world = World::new("muc-mam", &["a", "b", "c"]).await;
    let (a, b, c) = (world.client("a", "1").await, world.client("b", "1").await, world.client("c", "1").await);
    create(&world, &a, ROOM, "alice", &[("persistentroom", "1"), ("enablelogging", "1")]).await;
    join(&world, &b, ROOM, "bob").await;
    say(&a, ROOM, "first").await;
    say(&b, ROOM, "second").await;
    b.send(&format!("<message to='{ROOM}/alice' type='chat'><body>private</body></message>")).await;
    world.settled().await;
    for client in [&a, &b] {
        client.forget();
    }
    a.send(&query("")).await;
    let jid = |jid: &str| format!("<x xmlns='http://jabber.org/protocol/muc#user'><item jid='{jid}'");
    a.expect(&[
        &["from='coven@conference.localhost'", "queryid='x'", "from='coven@conference.localhost/alice'", ">first<", &jid("a@localhost/1")],
        &["from='coven@conference.localhost/bob'", ">second<", &jid("b@localhost/1")],
        &["type='result'", "<fin", "complete='true'"],
    ]);
    // Anybody who may enter, without the addresses; a page at a time.
    c.send(&query("<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>")).await;
    let told = c.received();
    assert!(told.len() == 2 && told[0].contains(">second<") && !told[0].contains("b@localhost"), "{told:#?}");
    for (client, who, expected) in
        [(&c, "coven@conference.localhost/bob", 2), (&a, "b@localhost", 2), (&a, "coven@conference.localhost/x", 1)]
    {
        client.send(&with(who)).await;
        let told = client.received();
        assert_eq!(told.len(), expected, "{who}: {told:#?}");
    }
    c.send(&with("b@localhost")).await;
    c.expect(&[&["type='error'", "<forbidden"]]);
    c.send(&format!("<iq to='{ROOM}' type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>")).await;
    c.expect(&[&["<start id=", "<end id="]]);
    // §8.1.
    let ban = "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='c@localhost'/></query>";
    a.send(&format!("<iq to='{ROOM}' type='set' id='b'>{ban}</iq>")).await;
    world.settled().await;
    c.forget();
    c.send(&query("")).await;
    c.expect(&[&["type='error'", "<forbidden"]]);
}
