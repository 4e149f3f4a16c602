//! What becomes of messages: kept in archives, delivered, waiting for who is offline, never twice.

use campanile_signalling::jid::BareJid;
use campanile_signalling::mailbox::Outgoing;
use campanile_signalling::retention::{self, Keep};
use campanile_signalling::router::Limits;
use campanile_signalling::store::{ArchiveId, Page, Range};

use crate::world::{Client, World, befriend};

const CARBONS: &str = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>";

fn jid(name: &str) -> BareJid {
    BareJid::new(name, "localhost").expect("a JID")
}

fn message(to: &str, body: &str) -> String {
    format!("<message to='{to}' type='chat' id='{}'><body>{body}</body></message>", &body[..body.len().min(30)])
}

/// What an account's archive shows.
async fn archive(world: &World, name: &str) -> Vec<String> {
    let page: Page = world.store.archive().page(&jid(name), &Range::default(), false, 100, usize::MAX).await.expect("reads");
    page.messages.into_iter().map(|message| String::from_utf8(message.stanza.to_vec()).expect("UTF-8")).collect()
}

/// How many messages wait for an account.
async fn waiting(world: &World, name: &str) -> usize {
    world.store.archive().waiting(&jid(name), None, 1000, usize::MAX).await.expect("reads").messages.len()
}

/// What the archive sends for a query: the results, then the answer.
async fn query(client: &Client, content: &str) -> Vec<String> {
    client.send(&format!("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='f27'>{content}</query></iq>")).await;
    client.received()
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>".to_owned();
    for (var, value) in fields {
        form.push_str(&format!("<field var='{var}'><value>{value}</value></field>"));
    }
    form + "</x>"
}

fn rsm(content: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>")
}

/// The bodies of results, and the ids under which they came.
fn bodies(results: &[String]) -> Vec<String> {
    let between = |text: &str, start: &str, end: &str| Some(text.split_once(start)?.1.split_once(end)?.0.to_owned());
    results.iter().filter(|stanza| stanza.contains("<result")).filter_map(|stanza| between(stanza, "<body>", "</body>")).collect()
}

fn ids(results: &[String]) -> Vec<String> {
    let id = |stanza: &String| Some(stanza.split_once("<result")?.1.split_once(" id='")?.1.split_once('\'')?.0.to_owned());
    results.iter().filter_map(id).collect()
}

#[tokio::test]
async fn xep0313_s3_5_a_message_is_archived_on_both_sides_and_each_learns_its_own_id() {
    let world = World::new("mam-ids", &["alice", "bob"]).await;
    let (phone, laptop) = (world.online("alice", "phone").await, world.online("alice", "laptop").await);
    let bob = world.online("bob", "b").await;
    laptop.send(CARBONS).await;
    [&phone, &laptop].into_iter().for_each(Client::forget);
    phone.send(&message("bob@localhost/b", "hi")).await;
    let received = bob.received().join("");
    assert_eq!(received.matches("<stanza-id").count(), 1, "{received}");
    assert!(received.contains("by='bob@localhost'") && !received.contains("by='alice@localhost'"), "{received}");
    laptop.expect(&[&["<sent", "<body>hi</body><stanza-id xmlns='urn:xmpp:sid:0'", "by='alice@localhost'"]]);
    for (client, account) in [(&phone, "alice"), (&bob, "bob")] {
        let results = query(client, "").await;
        let id = ids(&results).concat();
        assert!(results[0].contains("<message xmlns='jabber:client' from='alice@localhost/phone' to='bob@localhost/b'"), "{results:#?}");
        assert!(results[0].contains("queryid='f27'") && results[0].contains("<delay xmlns='urn:xmpp:delay' stamp='"), "{results:#?}");
        assert!(results[0].starts_with(&format!("<message from='{account}@localhost' to='{}'", client.session.jid)), "{results:#?}");
        assert!(results[1].contains("<fin xmlns='urn:xmpp:mam:2' complete='true'"), "{results:#?}");
        assert!(results[1].contains(&format!("<first index='0'>{id}</first><last>{id}</last><count>1</count>")), "{results:#?}");
        assert_eq!(account == "bob", received.contains(&id), "what bob was told is his archive's id");
    }
}

#[tokio::test]
async fn xep0359_s3_forged_ids_by_an_own_archive_are_taken_away() {
    let world = World::new("mam-forged", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let forged = |by: &str| format!("<stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='{by}'/>");
    let all = ["alice@localhost", "bob@localhost", "BOB@LOCALHOST", "room@x"].map(forged).concat();
    alice.send(&format!("<message to='bob@localhost' type='chat'><body>hi</body>{all}<no-store xmlns='urn:xmpp:hints'/></message>")).await;
    let received = bob.received().join("");
    assert_eq!(received.matches("forged").count(), 1, "{received}");
    assert!(received.contains("by='room@x'") && !received.contains("bob@localhost'/>"), "{received}");
}

#[tokio::test]
async fn xep0313_s6_1_1_what_is_archived_copied_and_kept_for_offline() {
    let state = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
    let hint = |name: &str| format!("<body>x</body><{name} xmlns='urn:xmpp:hints'/>");
    let table: Vec<(&str, String, bool, bool, bool)> = vec![
        // type, content; archived, copied, kept for who is offline
        ("chat", "<body>x</body>".into(), true, true, true),
        ("normal", "<body>x</body>".into(), true, true, true),
        ("headline", "<body>x</body>".into(), false, false, false),
        ("error", "<body>x</body><error type='cancel'/>".into(), false, true, false),
        ("chat", state.into(), false, true, false),
        ("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>".into(), true, true, true),
        ("chat", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/><store xmlns='urn:xmpp:hints'/>".into(), true, true, true),
        ("normal", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>".into(), true, true, true),
        ("chat", hint("no-store"), false, true, false),
        ("chat", hint("no-permanent-store"), false, true, true),
        ("chat", hint("no-copy"), true, false, true),
        ("chat", format!("{state}<store xmlns='urn:xmpp:hints'/>"), true, true, true),
        ("chat", "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>".into(), false, false, false),
        ("chat", "<body>x</body><private xmlns='urn:xmpp:carbons:2'/>".into(), true, false, true),
    ];
    for (index, (type_, content, archived, copied, offline)) in table.into_iter().enumerate() {
        let world = World::new(&format!("mam-table-{index}"), &["alice", "bob"]).await;
        let alice = world.online("alice", "a").await;
        alice.send(&format!("<message to='bob@localhost' type='{type_}' id='1'>{content}</message>")).await;
        assert_eq!(waiting(&world, "bob").await == 1, offline, "waits: {type_} {content}");
        let back = alice.received();
        assert_eq!(back.len() == 1, !offline && !matches!(type_, "headline" | "error"), "comes back: {type_} {content} {back:?}");

        let (b, c) = (world.online("bob", "b").await, world.online("bob", "c").await);
        c.send(CARBONS).await;
        [&b, &c].into_iter().for_each(Client::forget);
        alice.send(&format!("<message to='bob@localhost/b' type='{type_}' id='2'>{content}</message>")).await;
        assert_eq!(b.received().len(), 1, "delivered: {type_} {content}");
        assert_eq!(c.received().len() == 1, copied, "copied: {type_} {content}");
        let expected = if archived { 1 + usize::from(offline) } else { 0 };
        assert_eq!(archive(&world, "bob").await.len(), expected, "archived by bob: {type_} {content}");
        assert_eq!(archive(&world, "alice").await.len(), if archived { 2 } else { 0 }, "archived by alice: {type_} {content}");
    }
}

#[tokio::test]
async fn xep0313_s6_1_1_a_message_to_oneself_is_archived_once() {
    let world = World::new("mam-self", &["alice", "bob"]).await;
    let (phone, laptop) = (world.online("alice", "phone").await, world.online("alice", "laptop").await);
    phone.send("<message type='chat'><body>note</body></message>").await;
    phone.send(&message("alice@localhost/laptop", "over there")).await;
    phone.send(&message("bob@localhost", "other")).await;
    assert_eq!(archive(&world, "alice").await.len(), 3);
    let received = laptop.received().join("");
    assert_eq!(received.matches("by='alice@localhost'").count(), 2, "{received}");
    phone.forget();
    // §4.1.1: the own address finds only these.
    for with in ["alice@localhost", "Alice@LOCALHOST"] {
        assert_eq!(bodies(&query(&phone, &form(&[("with", with)])).await), ["note", "over there"]);
    }
}

#[tokio::test]
async fn xep0313_s6_1_what_is_refused_is_not_in_the_archive_of_who_refused_it() {
    let world = World::new("mam-refused", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    alice.send("<message to='bob@localhost/nowhere' type='normal' id='1'><body>x</body></message>").await;
    alice.expect(&[&["type='error'", "service-unavailable"]]);
    assert!(archive(&world, "bob").await.is_empty() && waiting(&world, "bob").await == 0);
    assert_eq!(archive(&world, "alice").await.len(), 1);
}

#[tokio::test]
async fn xep0313_s4_3_an_archive_is_read_in_pages_in_both_directions() {
    let world = World::new("mam-pages", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let bob = world.online("bob", "b").await;
    for number in 0..25 {
        alice.send(&message("bob@localhost", &format!("m{number}"))).await;
    }
    alice.forget();
    bob.forget();
    let (mut forwards, mut after) = (Vec::new(), String::new());
    loop {
        let results = query(&alice, &rsm(&format!("<max>10</max><after>{after}</after>"))).await;
        let page = ids(&results);
        forwards.extend(bodies(&results));
        assert_eq!(results.len(), page.len() + 1, "the answer comes last");
        after = page.last().expect("no page is empty").clone();
        let fin = results.last().expect("the answer");
        assert!(fin.contains("<fin") && fin.contains(&format!("<last>{after}</last>")), "{fin}");
        if fin.contains("complete='true'") {
            break;
        }
    }
    let all: Vec<_> = (0..25).map(|number| format!("m{number}")).collect();
    assert_eq!(forwards, all);
    // §4.3.3: the last page, and then backwards; each page in the order of time.
    let results = query(&alice, &rsm("<max>10</max><before/>")).await;
    assert_eq!(bodies(&results), all[15..]);
    let before = ids(&results)[0].clone();
    let results = query(&alice, &rsm(&format!("<max>10</max><before>{before}</before>"))).await;
    assert_eq!(bodies(&results), all[5..15]);
    assert!(!results[10].contains("complete"), "{}", results[10]);
    // §4.3.4.
    let flipped = query(&alice, &(rsm(&format!("<max>10</max><before>{before}</before>")) + "<flip-page/>")).await;
    assert_eq!(bodies(&flipped), all[5..15].iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(flipped[10], results[10], "the answer is the same");
    // The server's own bound, and XEP-0059 §2.7.
    assert_eq!(bodies(&query(&alice, &rsm("<max>1000</max>")).await).len(), 20);
    let count = query(&alice, &rsm("<max>0</max>")).await;
    assert!(matches!(&count[..], [fin] if fin.contains("<count>25</count>") && !fin.contains("first")), "{count:?}");
    // §5.
    alice.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    let first = ids(&query(&alice, &rsm("<max>1</max>")).await);
    assert_eq!(first.len(), 1);
}

#[tokio::test]
async fn xep0313_s4_1_filters_by_address_time_and_id() {
    let world = World::new("mam-filters", &["alice", "bob", "carol"]).await;
    let alice = world.online("alice", "a").await;
    for (to, body) in [("bob@localhost", "b1"), ("carol@localhost", "c1"), ("bob@localhost/x", "b2"), ("carol@localhost", "c2")] {
        alice.send(&message(to, body)).await;
    }
    alice.forget();
    assert_eq!(bodies(&query(&alice, &form(&[("with", "bob@localhost")])).await), ["b1", "b2"]);
    assert_eq!(bodies(&query(&alice, &form(&[("with", "bob@localhost/x")])).await), ["b2"]);
    assert_eq!(bodies(&query(&alice, &form(&[("with", "nobody@localhost")])).await), [] as [String; 0]);
    let all = query(&alice, "").await;
    let (ids, stamps): (Vec<_>, Vec<_>) =
        (ids(&all), all.iter().filter_map(|stanza| Some(stanza.split_once("stamp='")?.1[..24].to_owned())).collect());
    assert_eq!(bodies(&query(&alice, &form(&[("start", &stamps[0]), ("end", &stamps[3])])).await).len(), 4);
    assert_eq!(bodies(&query(&alice, &form(&[("start", "2100-01-01T00:00:00Z")])).await).len(), 0);
    assert_eq!(bodies(&query(&alice, &form(&[("end", "2020-01-01T00:00:00+02:00")])).await).len(), 0);
    assert_eq!(bodies(&query(&alice, &form(&[("after-id", &ids[0]), ("before-id", &ids[3])])).await), ["c1", "b2"]);
    assert_eq!(bodies(&query(&alice, &form(&[("ids", &ids[2])])).await), ["b2"]);
    let both = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>{}</value><value>{}</value></field></x>",
        ids[3], ids[0]
    );
    assert_eq!(bodies(&query(&alice, &both).await), ["b1", "c2"]);
    // Jump to a date and read on from there.
    let jump = form(&[("start", &stamps[2])]) + &rsm("<max>1</max>");
    assert_eq!(bodies(&query(&alice, &jump).await).len(), 1);
    for content in [form(&[("ids", "12")]), form(&[("after-id", "x")]), rsm("<after>12</after>"), rsm("<before>nonsense</before>")] {
        let answer = query(&alice, &content).await;
        assert!(matches!(&answer[..], [error] if error.contains("item-not-found")), "{content}: {answer:?}");
    }
    let answer = query(&alice, &form(&[("{urn:x}search", "x")])).await;
    assert!(matches!(&answer[..], [error] if error.contains("feature-not-implemented")), "{answer:?}");
    alice.send("<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&[&["type='result'", "var='with'", "var='ids'"]]);
}

#[tokio::test]
async fn xep0313_s5_and_s7_metadata_and_features() {
    let world = World::new("mam-metadata", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    alice.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&[&["<metadata xmlns='urn:xmpp:mam:2'/>"]]);
    for body in ["1", "2", "3"] {
        alice.send(&message("bob@localhost", body)).await;
    }
    let ids = ids(&query(&alice, "").await);
    alice.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&[&[&format!("<start id='{}' timestamp='2", ids[0]), &format!("<end id='{}' timestamp='2", ids[2])]]);
    alice.send("<iq type='get' id='d' to='alice@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    alice.expect(&[&["'urn:xmpp:mam:2'", "'urn:xmpp:mam:2#extended'", "'urn:xmpp:sid:0'", "'http://jabber.org/protocol/rsm'"]]);
    alice.send("<iq type='get' id='d' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").await;
    alice.expect(&[&["'msgoffline'"]]);
    // §8.1: nobody reads the archive of another.
    alice.send("<iq type='set' id='q' to='bob@localhost'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&[&["type='error'"]]);
}

#[tokio::test]
async fn xep0441_each_side_archives_what_it_wants() {
    let world = World::new("mam-prefs", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send("<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>").await;
    alice.expect(&[&["<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>"]]);
    let set = |default: &str, always: &str, never: &str| {
        format!(
            "<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='{default}'><always>{always}</always><never>{never}</never></prefs></iq>"
        )
    };
    for (prefs, archived) in [
        (set("never", "", ""), false),
        (set("never", "<jid>Bob@LOCALHOST</jid>", ""), true),
        (set("never", "<jid>bob@localhost/other</jid>", ""), false),
        (set("always", "", "<jid>bob@localhost</jid>"), false),
        (set("always", "", "<jid>bob@localhost/b</jid>"), false),
        (set("roster", "", ""), false),
    ] {
        alice.send(&prefs).await;
        alice.expect(&[&["type='result'", "<prefs"]]);
        let before = (archive(&world, "alice").await.len(), archive(&world, "bob").await.len());
        alice.send(&message("bob@localhost/b", "out")).await;
        bob.send(&message("alice@localhost", "in")).await;
        bob.expect(&[&["<body>out", "<stanza-id"]]);
        let received = alice.received().concat();
        assert_eq!(received.contains("<stanza-id"), archived, "§3.5: only what is archived has an id: {received}");
        let after = (archive(&world, "alice").await.len(), archive(&world, "bob").await.len());
        assert_eq!(after, (before.0 + if archived { 2 } else { 0 }, before.1 + 2), "{prefs}");
    }
    befriend(&alice, &bob).await;
    let before = archive(&world, "alice").await.len();
    alice.send(&message("bob@localhost/b", "friend")).await;
    assert_eq!(archive(&world, "alice").await.len(), before + 1, "bob is in the roster now");
    alice.send("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='perhaps'/></iq>").await;
    alice.expect(&[&["bad-request"]]);
    // What an account does not archive still waits for it.
    bob.send("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>").await;
    bob.send("<presence type='unavailable'/>").await;
    bob.forget();
    let before = archive(&world, "bob").await.len();
    alice.send(&message("bob@localhost", "later")).await;
    assert_eq!((archive(&world, "bob").await.len(), waiting(&world, "bob").await), (before, 1));
    bob.send("<presence/>").await;
    let received = bob.received();
    assert!(
        received.iter().any(|stanza| stanza.contains("later") && stanza.contains("<delay") && !stanza.contains("stanza-id")),
        "{received:#?}"
    );
}

#[tokio::test]
async fn xep0160_s2_messages_wait_and_come_in_order_with_their_times_once() {
    let world = World::new("offline", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for to in ["bob@localhost", "bob@localhost/phone", "bob@localhost"] {
        alice.send(&message(to, to)).await;
    }
    alice.send("<message to='bob@localhost' type='headline'><body>news</body></message>").await;
    alice.expect(&[]);
    let silent = world.client("bob", "silent").await;
    silent.send("<presence><priority>-1</priority></presence>").await;
    assert!(!silent.received().concat().contains("<body>"));
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    let received = bob.received();
    let delayed: Vec<_> = received.iter().filter(|stanza| stanza.starts_with("<message")).collect();
    assert_eq!(delayed.len(), 3, "{received:#?}");
    for (stanza, to) in delayed.iter().zip(["bob@localhost", "bob@localhost/phone", "bob@localhost"]) {
        assert!(stanza.contains(&format!("to='{to}' id='{to}' type='chat'><body>{to}</body>")), "{stanza}");
        assert!(
            stanza.contains("<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2") && stanza.contains("by='bob@localhost'"),
            "{stanza}"
        );
    }
    assert!(received.last().is_some_and(|stanza| stanza.starts_with("<presence")), "what waited comes first: {received:#?}");
    // Another session gets nothing of what is on its way, nor does this one again.
    let other = world.client("bob", "other").await;
    other.send("<presence/>").await;
    bob.send("<presence type='unavailable'/>").await;
    bob.send("<presence/>").await;
    assert!(!(other.received().concat() + &bob.received().concat()).contains("<message"));
    let stored: Vec<_> = world.store.archive().waiting(&jid("bob"), None, 9, usize::MAX).await.expect("reads").messages;
    world.router.acknowledged(&bob.session, &stored.iter().map(|message| message.id).collect::<Vec<_>>());
    assert_eq!(waiting(&world, "bob").await, 0);
    assert_eq!(archive(&world, "bob").await.len(), 3);
}

#[tokio::test]
async fn xep0160_s2_a_session_that_becomes_non_negative_gets_what_waits() {
    let world = World::new("offline-negative", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.client("bob", "b").await);
    bob.send("<presence><priority>-5</priority></presence>").await;
    alice.send(&message("bob@localhost", "hi")).await;
    bob.forget();
    bob.send("<presence><priority>3</priority></presence>").await;
    assert!(bob.received()[0].contains("<body>hi</body>"));
}

#[tokio::test]
async fn xep0160_s2_a_full_store_gives_messages_back() {
    let world = World::new("offline-full", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for number in 0..5 {
        alice.send(&message("bob@localhost", &number.to_string())).await;
    }
    alice.expect(&[]);
    alice.send(&message("bob@localhost", "sixth")).await;
    alice.expect(&[&["type='error'", "service-unavailable", "id='sixth'"]]);
    assert_eq!((archive(&world, "bob").await.len(), waiting(&world, "bob").await), (5, 5));
}

#[tokio::test]
async fn xep0313_s6_1_1_what_a_client_has_read_in_the_archive_is_not_delivered_again() {
    let world = World::new("offline-mam", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for body in ["1", "2", "3"] {
        alice.send(&message("bob@localhost", body)).await;
    }
    alice.send("<message to='bob@localhost' type='chat'><body>4</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>").await;
    let bob = world.client("bob", "b").await;
    assert_eq!(bodies(&query(&bob, &rsm("<max>2</max><before/>")).await), ["2", "3"]);
    bob.send("<presence/>").await;
    let received: Vec<_> = bob.received().into_iter().filter(|stanza| stanza.starts_with("<message")).collect();
    assert!(matches!(&received[..], [first, last] if first.contains("<body>1<") && last.contains("<body>4<")), "{received:#?}");
}

#[tokio::test]
async fn what_a_session_did_not_get_waits_for_the_next_unless_another_has_it() {
    let world = World::new("left-over", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    let bob = world.online("bob", "b").await;
    alice.send(&message("bob@localhost", "lost")).await;
    alice.send("<message to='bob@localhost/b' type='chat' id='s'><active xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    alice.send("<iq to='bob@localhost/b' type='get' id='i'><query xmlns='jabber:iq:version'/></iq>").await;
    alice.expect(&[]);
    assert_eq!(waiting(&world, "bob").await, 0);
    end(&world, &bob).await;
    alice.expect(&[&["type='error'", "id='s'"], &["type='error'", "id='i'", "service-unavailable"]]);
    assert_eq!(waiting(&world, "bob").await, 1);

    let (b, c) = (world.client("bob", "b").await, world.online("bob", "c").await);
    assert_eq!(waiting(&world, "bob").await, 1);
    b.send("<presence/>").await;
    assert!(!b.received().concat().contains("lost"), "it is on its way to the other");
    // Both get what comes now: when one of them ends, the other has it.
    alice.send(&message("bob@localhost", "both")).await;
    end(&world, &b).await;
    c.expect(&[&["<presence"], &["both"], &["type='unavailable'"]]);
    alice.expect(&[]);
}

/// What a client with stream management was sent, and the numbers of what is stored of it.
fn drain(client: &Client) -> (Vec<String>, Vec<ArchiveId>) {
    let (mut out, mut texts, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    client.mailbox.drain(&mut out);
    for item in out {
        if let Outgoing::Stanza(delivery) = item {
            texts.push(format!("{:?}", delivery.stanza));
            ids.extend(delivery.stored);
        }
    }
    (texts, ids)
}

#[tokio::test]
async fn xep0198_s4_a_message_is_in_mind_until_a_client_that_acknowledges_has_done_so() {
    let world = World::new("managed", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    // Without stream management nothing is noted for what is only on its way.
    alice.send(&message("bob@localhost", "plain")).await;
    assert_eq!(waiting(&world, "bob").await, 0);
    let (texts, ids) = drain(&bob);
    assert!(texts.len() == 1 && ids.len() == 1, "{texts:?}");
    world.router.acknowledged(&bob.session, &ids);

    assert!(bob.mailbox.manage());
    alice.send(&message("bob@localhost", "managed")).await;
    let transient = "<message to='bob@localhost' type='chat'><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>";
    alice.send(transient).await;
    alice.send("<message to='bob@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    let (texts, ids) = drain(&bob);
    assert_eq!((texts.len(), ids.len(), waiting(&world, "bob").await), (3, 2, 2));
    // After a power failure both would come back; an acknowledgement ends that.
    world.router.acknowledged(&bob.session, &ids);
    assert_eq!((waiting(&world, "bob").await, archive(&world, "bob").await.len()), (0, 2));
    let summary = world.store.archive().summary(&jid("bob")).await.expect("reads").expect("bob is there");
    assert!(summary.undelivered.is_empty() && summary.last.is_some_and(|last| last < ids[1]), "what is not archived leaves no trace");
}

#[tokio::test]
async fn xep0280_s7_who_has_a_copy_has_the_message() {
    let world = World::new("managed-copies", &["alice", "bob"]).await;
    let (alice, phone, laptop) =
        (world.online("alice", "a").await, world.online("bob", "phone").await, world.online("bob", "laptop").await);
    laptop.send(CARBONS).await;
    assert!(phone.mailbox.manage() && laptop.mailbox.manage());
    [&phone, &laptop].into_iter().for_each(Client::forget);
    alice.send(&message("bob@localhost/phone", "hi")).await;
    let (copy, ids) = drain(&laptop);
    assert!(copy[0].contains("<received") && ids.len() == 1, "{copy:?}");
    world.router.acknowledged(&laptop.session, &ids);
    end(&world, &phone).await;
    assert_eq!(waiting(&world, "bob").await, 0);
    laptop.forget();
    let tablet = world.online("bob", "tablet").await;
    assert!(!(tablet.received().concat() + &laptop.received().concat()).contains("<body>hi"));
}

#[tokio::test]
async fn what_a_session_did_not_get_goes_to_another_one_at_once() {
    let world = World::new("heir", &["alice", "bob"]).await;
    let (alice, b) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send(&message("bob@localhost/b", "for b")).await;
    let c = world.online("bob", "c").await;
    end(&world, &b).await;
    let received = c.received();
    assert!(received.last().is_some_and(|stanza| stanza.contains("for b") && stanza.contains("<delay")), "{received:#?}");
    assert_eq!(archive(&world, "bob").await.len(), 1);
}

/// Ends a session: what its mailbox holds is left over.
async fn end(world: &World, client: &Client) {
    world.router.unbind(&client.session).await;
}

#[tokio::test]
async fn a_home_that_was_not_in_memory_knows_what_waits() {
    let world = World::new("offline-cold", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    alice.send(&message("bob@localhost", "kept")).await;
    world.router.forget(&jid("bob"));
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    assert!(bob.received()[0].contains("<body>kept</body>"));
}

#[tokio::test]
async fn xep0313_s3_2_old_messages_go_and_do_not_count_any_more() {
    let world = World::new("offline-old", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for number in 0..5 {
        alice.send(&message("bob@localhost", &number.to_string())).await;
    }
    assert_eq!(waiting(&world, "bob").await, 5);
    let day = std::time::Duration::from_secs(86_400);
    let keep = Keep { archive: day * 3, offline: day };
    retention::expire(&world.router, keep, std::time::SystemTime::now() + day * 2).await.expect("deletes");
    assert_eq!((archive(&world, "bob").await.len(), waiting(&world, "bob").await), (5, 0));
    alice.send(&message("bob@localhost", "6")).await;
    alice.expect(&[]);
    retention::expire(&world.router, keep, std::time::SystemTime::now() + day * 4).await.expect("deletes");
    assert!(archive(&world, "bob").await.is_empty() && archive(&world, "alice").await.is_empty());
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes_and_a_client_that_does_not_read_gets_small_ones() {
    let world = World::new("mam-bytes", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for _ in 0..12 {
        alice.send(&message("bob@localhost", &"x".repeat(3_000))).await;
    }
    alice.forget();
    let first = query(&alice, "").await;
    assert!((3..9).contains(&bodies(&first).len()), "{}", bodies(&first).len());
    for number in 0..12 {
        alice.send(&format!("<iq type='set' id='q{number}'><query xmlns='urn:xmpp:mam:2'/></iq>")).await;
    }
    let received = alice.received();
    assert!(!received.concat().contains("close"), "the mailbox did not overflow");
    assert_eq!(received.iter().filter(|stanza| stanza.contains("<fin")).count(), 12);
}

#[tokio::test]
async fn xep0160_s2_more_than_a_slice_waits_and_all_of_it_comes() {
    let world = World::new("offline-slices", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for number in 0..5 {
        alice.send(&message("bob@localhost", &format!("{number}{}", "x".repeat(9_000)))).await;
    }
    let bob = world.client("bob", "b").await;
    bob.send("<presence/>").await;
    let mut found = bob.received();
    for _ in 0..5 {
        world.router.pay(&bob.session).await;
        found.extend(bob.received());
    }
    let numbers: Vec<_> = found.iter().filter_map(|stanza| stanza.split_once("<body>")?.1.chars().next()).collect();
    assert_eq!(numbers, ['0', '1', '2', '3', '4']);
}

#[tokio::test]
async fn xep0280_what_came_as_a_carbon_does_not_come_again_from_offline_storage() {
    for (name, extra) in [("kept", ""), ("not-kept", "<no-store xmlns='urn:xmpp:hints'/>")] {
        let world = World::new(&format!("carbon-once-{name}"), &["alice", "bob"]).await;
        let (alice, broken, other) =
            (world.online("alice", "a").await, world.online("bob", "broken").await, world.online("bob", "other").await);
        other.send(CARBONS).await;
        [&alice, &broken, &other].into_iter().for_each(Client::forget);
        broken.mailbox.close();
        alice.send(&format!("<message to='bob@localhost/broken' type='chat' id='1'><body>hi</body>{extra}</message>")).await;
        other.expect(&[&["<received", "<body>hi</body>"]]);
        assert_eq!(waiting(&world, "bob").await, 0, "{name}");
        assert!(alice.received().is_empty(), "{name}: neither does it come back");
    }
}

#[tokio::test]
async fn xep0160_s2_what_waited_comes_before_what_is_new_in_order_and_once() {
    let limits = Limits { offline_messages: 200, archive_page_bytes: 12_500, ..Limits::default() };
    let world = World::within("offline-order", &["alice", "bob"], limits, 100_000).await;
    let alice = world.online("alice", "a").await;
    for number in 0..150 {
        alice.send(&message("bob@localhost", &format!("m{number:03}"))).await;
    }
    let bob = world.client("bob", "b").await;
    assert!(bob.mailbox.manage(), "nothing is acknowledged here");
    bob.send("<presence/>").await;
    alice.send(&message("bob@localhost", "new")).await;
    let mut received = bob.received();
    let first = bodies_of(&received).len();
    assert!(first > 64 && received[..first - 1].iter().all(|stanza| stanza.starts_with("<message")), "more than one slice comes first");
    loop {
        world.router.pay(&bob.session).await;
        match bob.received() {
            more if more.is_empty() => break,
            more => received.extend(more),
        }
    }
    let mut bodies = bodies_of(&received);
    bodies.retain(|body| body != "new");
    assert_eq!(bodies, (0..150).map(|number| format!("m{number:03}")).collect::<Vec<_>>());
    assert_eq!(waiting(&world, "bob").await, 151, "until they are acknowledged");
}

fn bodies_of(stanzas: &[String]) -> Vec<String> {
    stanzas.iter().filter_map(|stanza| Some(stanza.split_once("<body>")?.1.split_once("</body>")?.0.to_owned())).collect()
}

#[tokio::test]
async fn xep0198_s5_what_a_session_leaves_goes_to_one_with_a_connection() {
    let world = World::new("heir", &["alice", "bob"]).await;
    let (alice, asleep, awake) =
        (world.online("alice", "a").await, world.online("bob", "asleep").await, world.online("bob", "awake").await);
    let over = world.online("bob", "over").await;
    assert!(over.mailbox.manage());
    asleep.session.home.with(|account| account.session(asleep.session.id).expect("bound").hibernated = Some(std::time::Instant::now()));
    alice.send(&message("bob@localhost/over", "hi")).await;
    [&asleep, &awake].into_iter().for_each(Client::forget);
    world.router.unbind(&over.session).await;
    assert_eq!(bodies_of(&awake.received()), ["hi"]);
    assert!(bodies_of(&asleep.received()).is_empty());
}

#[tokio::test]
async fn xep0203_forged_delays_by_the_server_or_the_own_account_are_taken_away() {
    let world = World::new("delay-forged", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let forged = |from: &str| format!("<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='{from}'/>");
    let all = ["localhost", "LOCALHOST", "alice@localhost", "bob@localhost", "room@x"].map(forged).concat();
    alice.send(&format!("<message to='bob@localhost' type='chat'><body>hi</body>{all}</message>")).await;
    let received = bob.received().join("");
    assert!(received.matches("<delay").count() == 1 && received.contains(&forged("room@x")), "{received}");
}

/// Nor does the count of what was handled (XEP-0198), which waits for what is archived only.
#[tokio::test]
async fn a_message_that_is_not_archived_waits_for_no_database() {
    let world = World::new("no-database", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let durability = world.store.durability().clone();
    let prefs =
        |default: &str| format!("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='{default}'><always/><never/></prefs></iq>");
    for client in [&alice, &bob] {
        client.send(&prefs("never")).await;
        client.expect(&[&["type='result'"]]);
    }
    durability.reached(durability.queued()).await;
    // From here on nothing can be read or written.
    world.store.close().await;
    alice.send(&message("bob@localhost", "hi")).await;
    bob.expect(&[&["<body>hi</body>"]]);
    assert!(durability.is_durable(durability.queued()), "nothing was queued for it");
    alice.send(&message("bob@localhost/b", "again")).await;
    bob.expect(&[&["<body>again</body>"]]);
    assert!(durability.is_durable(durability.queued()));
}
