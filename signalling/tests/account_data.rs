//! What an account keeps on the server and who gets to see it: blocking, roster versions, vCards, private data, last activity.

use campanile_signalling::jid::BareJid;
use campanile_signalling::router::Limits;
use campanile_signalling::store::{RosterChange, RosterItem};

use crate::world::{Client, World, befriend};

fn block(items: &str) -> String {
    format!("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{items}</block></iq>")
}

fn unblock(items: &str) -> String {
    format!("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'>{items}</unblock></iq>")
}

const BLOCKLIST: &str = "<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>";

#[tokio::test]
async fn xep0191_s3_2_and_3_3_the_list_is_kept_and_pushed_to_whoever_asked_for_it() {
    let world = World::new("blocklist", &["alice", "bob"]).await;
    let (phone, laptop) = (world.online("alice", "phone").await, world.online("alice", "laptop").await);
    phone.forget();
    phone.send(BLOCKLIST).await;
    phone.expect(&[&["type='result'", "id='l'", "<blocklist xmlns='urn:xmpp:blocking'/>"]]);
    phone.send(&block("<item jid='Bob@LOCALHOST'/><item jid='spam.example/x'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>buy!</text></report></item>")).await;
    let items = "<item jid='bob@localhost'/><item jid='spam.example/x'/>";
    phone.expect(&[
        &["type='set'", "from='alice@localhost'", &format!("<block xmlns='urn:xmpp:blocking'>{items}</block>")],
        &["type='result'", "id='b'"],
    ]);
    laptop.expect(&[]);
    // A new home reads it from the database.
    for client in [&phone, &laptop] {
        world.router.unbind(&client.session).await;
    }
    world.router.forget(&phone.session.jid.to_bare());
    let tablet = world.online("alice", "tablet").await;
    tablet.send(BLOCKLIST).await;
    tablet.expect(&[&[items]]);
    for (request, condition) in [
        (block(""), "bad-request"),
        (block("<item/>"), "bad-request"),
        (block("<item jid='@'/>"), "jid-malformed"),
        (unblock("<item/>"), "bad-request"),
        (block("<item jid='a@b'/><item jid='c@d'/>"), "resource-constraint"),
        (block("<item jid='a@b'/>").replace("<iq ", "<iq to='bob@localhost' "), "not-acceptable"),
    ] {
        tablet.send(&request).await;
        tablet.expect(&[&["type='error'", condition]]);
    }
    tablet.send(&unblock("<item jid='bob@localhost'/>")).await;
    tablet.expect(&[&["<unblock xmlns='urn:xmpp:blocking'><item jid='bob@localhost'/></unblock>"], &["type='result'"]]);
    // §3.5.
    tablet.send(&unblock("")).await;
    tablet.expect(&[&["<unblock xmlns='urn:xmpp:blocking'/>"], &["type='result'"]]);
    assert!(world.store.blocks().load(&tablet.session.jid.to_bare()).await.expect("reads").is_empty());
}

#[tokio::test]
async fn xep0191_s3_3_a_blocked_contact_sees_an_offline_account_and_gets_errors() {
    let world = World::new("blocked", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    alice.send(&block("<item jid='bob@localhost'/>")).await;
    alice.expect(&[&["type='result'"]]);
    bob.expect(&[&["type='unavailable'", "from='alice@localhost/a'"]]);

    for to in ["alice@localhost", "alice@localhost/a"] {
        for (stanza, answered) in [
            (format!("<message to='{to}' type='chat' id='m'><body>hi</body></message>"), true),
            (format!("<iq to='{to}' type='get' id='m'><query xmlns='jabber:iq:version'/></iq>"), true),
            (format!("<iq to='{to}' type='result' id='m'/>"), false),
            (format!("<message to='{to}' type='error' id='m'/>"), false),
            (format!("<presence to='{to}'/>"), false),
        ] {
            bob.send(&stanza).await;
            match answered {
                true => bob.expect(&[&["type='error'", "<service-unavailable", &format!("from='{to}'")]]),
                false => bob.expect(&[]),
            }
        }
    }
    bob.send("<presence type='probe' to='alice@localhost'/>").await;
    bob.send("<presence type='subscribe' to='alice@localhost'/>").await;
    bob.send("<presence><show>away</show></presence>").await;
    bob.expect(&[&["from='bob@localhost/b'"]]);
    alice.expect(&[]);

    for (stanza, told) in [
        ("<message to='bob@localhost/b' id='m'><body>hi</body></message>", true),
        ("<presence to='bob@localhost' id='m'/>", true),
        ("<presence type='subscribe' to='bob@localhost' id='m'/>", true),
        ("<iq type='get' to='bob@localhost/b' id='m'><query xmlns='jabber:iq:version'/></iq>", true),
        ("<iq type='result' to='bob@localhost/b' id='m'/>", false),
    ] {
        alice.send(stanza).await;
        let error = &[
            "id='m'",
            "from='bob@localhost",
            "type='error'",
            "<error type='cancel'><not-acceptable",
            "<blocked xmlns='urn:xmpp:blocking:errors'/>",
        ][..];
        alice.expect(if told { std::slice::from_ref(&error) } else { &[] });
    }
    alice.send("<presence><show>dnd</show></presence>").await;
    alice.expect(&[&["<show>dnd</show>"]]);
    let again = world.client("alice", "again").await;
    again.send("<presence/>").await;
    world.router.unbind(&again.session).await;
    bob.expect(&[]);

    // §3.4: both see each other again, since bob's presence was not delivered meanwhile.
    alice.forget();
    alice.send(&unblock("<item jid='bob@localhost'/>")).await;
    bob.expect(&[&["from='alice@localhost/a'", "<show>dnd</show>"]]);
    alice.expect(&[&["from='bob@localhost/b'", "<show>away</show>"], &["type='result'"]]);
    bob.send("<message to='alice@localhost' type='chat'><body>back</body></message>").await;
    alice.expect(&[&["back"]]);
}

#[tokio::test]
async fn xep0191_s3_3_what_waits_from_before_the_block_is_not_delivered_either() {
    let world = World::new("block-offline", &["alice", "bob", "carol"]).await;
    let (bob, carol) = (world.online("bob", "b").await, world.online("carol", "c").await);
    bob.send("<message to='alice@localhost' type='chat' id='1'><body>from bob</body></message>").await;
    carol.send("<message to='alice@localhost' type='chat' id='2'><body>from carol</body></message>").await;
    let alice = world.client("alice", "a").await;
    alice.ask(&block("<item jid='bob@localhost'/>")).await;
    let messages = async |client: &Client| {
        client.send("<presence/>").await;
        world.router.pay(&client.session).await;
        client.received().join("")
    };
    let got = messages(&alice).await;
    assert!(got.contains("from carol") && !got.contains("from bob"), "{got}");
    alice.ask(&unblock("")).await;
    alice.ask("<presence type='unavailable'/>").await;
    let got = messages(&alice).await;
    assert!(got.contains("from bob"), "{got}");
}

#[tokio::test]
async fn xep0191_presence_tells_only_whom_it_told_before() {
    let world = World::new("polite", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    // A stranger learns nothing; whoever got directed presence learns that it is over.
    alice.send("<presence to='carol@localhost/c'/>").await;
    carol.expect(&[&["from='alice@localhost/a'"]]);
    alice.send(&block("<item jid='bob@localhost'/><item jid='carol@localhost/c'/>")).await;
    bob.expect(&[]);
    carol.expect(&[&["type='unavailable'", "from='alice@localhost/a'"]]);
    carol.send("<message to='alice@localhost/a'><body>x</body></message>").await;
    carol.expect(&[&["service-unavailable"]]);
    let other = world.online("carol", "d").await;
    other.send("<message to='alice@localhost/a'><body>y</body></message>").await;
    other.expect(&[]);
    world.router.unbind(&alice.session).await;
    bob.expect(&[]);
    carol.forget();
    // The waiting request of a blocked account is not shown.
    let alice = world.online("alice", "a").await;
    alice.send(&unblock("")).await;
    world.router.unbind(&alice.session).await;
    bob.send("<presence type='subscribe' to='alice@localhost'/>").await;
    let alice = world.client("alice", "a").await;
    alice.send(&block("<item jid='bob@localhost'/>")).await;
    alice.forget();
    alice.send("<presence/>").await;
    alice.expect(&[&["from='alice@localhost/a'"]]);
}

#[tokio::test]
async fn xep0191_s6_a_blocked_resource_of_a_contact_is_the_only_one_that_is_left() {
    let world = World::new("one-resource", &["alice", "bob"]).await;
    let (alice, b, phone) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("bob", "phone").await);
    befriend(&alice, &b).await;
    phone.forget();
    alice.send(&block("<item jid='bob@localhost/b'/>")).await;
    b.expect(&[&["type='unavailable'", "from='alice@localhost/a' to='bob@localhost/b'"]]);
    b.send("<message to='alice@localhost'><body>x</body></message>").await;
    b.expect(&[&["service-unavailable"]]);
    alice.forget();
    phone.send("<message to='alice@localhost'><body>y</body></message>").await;
    alice.expect(&[&["<body>y</body>"]]);
    phone.expect(&[]);
    alice.send(&unblock("<item jid='bob@localhost/b'/>")).await;
    b.expect(&[&["<presence from='alice@localhost/a' to='bob@localhost/b'/>"]]);
    phone.expect(&[]);
}

#[tokio::test]
async fn xep0191_s6_a_blocked_domain_is_blocked_whole_but_for_oneself_and_the_server() {
    let world = World::new("domain", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    alice.send(&block("<item jid='localhost'/><item jid='alice@localhost'/>")).await;
    bob.expect(&[&["type='unavailable'"]]);
    bob.send("<message to='alice@localhost'><body>x</body></message>").await;
    bob.expect(&[&["service-unavailable"]]);
    alice.forget();
    let phone = world.client("alice", "phone").await;
    phone.send("<presence/>").await;
    alice.expect(&[&["from='alice@localhost/phone'"]]);
    alice.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    alice.expect(&[&["type='result'", "id='p'"]]);
    phone.forget();
    alice.send("<message to='alice@localhost/phone'><body>note</body></message>").await;
    phone.expect(&[&["note"]]);
    bob.ask("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    // RFC 6121 §2.5: who leaves the roster is told so, but no longer of any resource.
    alice
        .send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' subscription='remove'/></query></iq>")
        .await;
    bob.expect(&[&["type='unsubscribe'"], &["subscription='to'"], &["type='unsubscribed'"], &["subscription='none'"]]);
}

fn roster_get(ver: &str) -> String {
    format!("<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='{ver}'/></iq>")
}

fn roster_set(items: &str) -> String {
    format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{items}</query></iq>")
}

/// The value of `ver` in a roster result or push.
fn version(stanza: &str) -> String {
    let (_, rest) = stanza.split_once("<query xmlns='jabber:iq:roster' ver='").unwrap_or_else(|| panic!("no version in {stanza}"));
    rest.split('\'').next().expect("a quote ends it").to_owned()
}

#[tokio::test]
async fn rfc6121_s2_6_a_client_gets_what_has_changed_since_its_version() {
    let world = World::within("rosterver", &["alice", "bob"], Limits::default(), 1 << 21).await;
    let alice = world.client("alice", "a").await;
    let first = alice.ask(&roster_get("")).await;
    assert!(first[0].contains("<query xmlns='jabber:iq:roster' ver='"), "{first:?}");
    let mut versions = vec![version(&first[0])];
    for number in 0..12 {
        let answers = alice.ask(&roster_set(&format!("<item jid='c{number}@localhost' name='N'/>"))).await;
        versions.push(version(&answers[0]));
        assert!(answers[1].contains("type='result'"), "{answers:?}");
    }
    let unique: std::collections::BTreeSet<_> = versions.iter().collect();
    assert_eq!(unique.len(), versions.len(), "{versions:?}");

    let phone = world.client("alice", "phone").await;
    // §2.6.3: the same version, an empty result; it is interested all the same.
    let answers = phone.ask(&roster_get(&versions[12])).await;
    assert!(answers.len() == 1 && answers[0].ends_with("id='r' type='result'/>"), "{answers:?}");
    alice.ask(&roster_set("<item jid='c3@localhost' subscription='remove'/>")).await;
    alice.ask(&roster_set("<item jid='c5@localhost' name='M'><group>G</group></item>")).await;
    let pushes = phone.received();
    assert_eq!(pushes.len(), 2);
    // An older one: interim pushes, each with the version of its change, the last of each item only.
    let tablet = world.client("alice", "tablet").await;
    let interim = tablet.ask(&roster_get(&versions[12])).await;
    assert_eq!(interim.len(), 3);
    assert!(interim[0].ends_with("id='r' type='result'/>"), "{interim:?}");
    for (got, live, part) in [
        (&interim[1], &pushes[0], "<item jid='c3@localhost' subscription='remove'/>"),
        (&interim[2], &pushes[1], "<item jid='c5@localhost' name='M' subscription='none'><group>G</group></item>"),
    ] {
        assert!(got.contains(part) && version(got) == version(live), "{got} and {live}");
        assert!(got.contains("from='alice@localhost' to='alice@localhost/tablet'") && got.contains("type='set'"), "{got}");
    }
    // Too many changes, or a version of elsewhere: the whole roster.
    for unknown in [&versions[0], "", "ver14", "zzz-3", &format!("{}9", version(&interim[2]))] {
        let whole = tablet.ask(&roster_get(unknown)).await;
        assert!(whole.len() == 1 && whole[0].matches("<item ").count() == 11, "{unknown}: {whole:?}");
    }
    // A subscription that comes to stand otherwise is a change as well, and the version outlives the home.
    alice.ask("<presence type='subscribe' to='bob@localhost'/>").await;
    let current = version(&phone.received().pop().expect("a push"));
    for client in [alice, phone, tablet] {
        world.router.unbind(&client.session).await;
        world.router.forget(&client.session.jid.to_bare());
    }
    let again = world.client("alice", "again").await;
    let answers = again.ask(&roster_get(&current)).await;
    assert!(answers.len() == 1 && answers[0].ends_with("type='result'/>"), "{answers:?}");
}

#[tokio::test]
async fn a_roster_of_two_thousand_contacts_is_sent_whole_and_one_more_is_refused() {
    let world = World::within("large", &["alice"], Limits::default(), 1 << 21).await;
    let jid = |number: usize| BareJid::new(&format!("contact{number}"), "example.org").expect("a JID");
    let item = |number| RosterItem {
        name: Some(format!("Contact number {number}")),
        groups: vec!["Friends".to_owned()],
        ..RosterItem::new(jid(number))
    };
    let alice = BareJid::new("alice", "localhost").expect("a JID");
    world.store.rosters().apply(&alice, (0..2000).map(|number| RosterChange::Set(item(number))).collect()).await.expect("stores");
    let client = world.client("alice", "a").await;
    let whole = client.ask(&roster_get("")).await;
    assert!(whole.len() == 1 && whole[0].matches("<item ").count() == 2000);
    client.send(&roster_set("<item jid='one-more@example.org'/>")).await;
    client.expect(&[&["resource-constraint"]]);
    client.send(&roster_set("<item jid='contact7@example.org' name='Other'/>")).await;
    client.expect(&[&["name='Other'"], &["type='result'"]]);
}

#[tokio::test]
async fn rfc6121_s2_3_3_anothers_roster_is_forbidden_and_tells_nothing() {
    let world = World::new("forbidden", &["alice", "bob"]).await;
    let alice = world.online("alice", "a").await;
    for to in ["bob@localhost", "nobody@localhost"] {
        for request in [roster_get(""), roster_set("<item jid='a@b'/>")] {
            alice.send(&request.replace("<iq ", &format!("<iq to='{to}' "))).await;
            alice.expect(&[&["type='error'", "<error type='auth'><forbidden", &format!("from='{to}'")]]);
        }
    }
}

fn iq(kind: &str, to: &str, content: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
    format!("<iq type='{kind}' id='i'{to}>{content}</iq>")
}

#[tokio::test]
async fn xep0049_private_xml_comes_back_as_it_was_stored() {
    let limits = Limits { private_bytes: 300, ..Limits::default() };
    let world = World::within("private", &["alice", "bob"], limits, 1 << 20).await;
    let alice = world.client("alice", "a").await;
    let query = |content: &str| format!("<query xmlns='jabber:iq:private'>{content}</query>");
    // §2.2: what was never stored comes back empty.
    alice.send(&iq("get", "", &query("<exodus xmlns='exodus:prefs'/>"))).await;
    alice.expect(&[&["type='result'", "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>"]]);
    let prefs = "<exodus xmlns='exodus:prefs' a='1'><defaultnick>Ham&amp;let</defaultnick></exodus>";
    let storage = "<p:storage xmlns:p='storage:bookmarks'><p:conference jid='x@y'/></p:storage>";
    alice.send(&iq("set", "alice@localhost", &query(&format!("{prefs}{storage}")))).await;
    alice.expect(&[&["type='result'"]]);
    world.router.unbind(&alice.session).await;
    world.router.forget(&alice.session.jid.to_bare());
    let alice = world.client("alice", "b").await;
    alice.send(&iq("get", "", &query("<exodus xmlns='exodus:prefs'/>"))).await;
    alice.expect(&[&[&format!("<query xmlns='jabber:iq:private'>{prefs}</query>")]]);
    alice.send(&iq("get", "", &query("<storage xmlns='storage:bookmarks'/>"))).await;
    alice.expect(&[&["storage:bookmarks", "jid='x@y'"]]);
    alice.send(&iq("set", "", &query("<exodus xmlns='exodus:prefs'/>"))).await;
    alice.forget();
    alice.send(&iq("get", "", &query("<exodus xmlns='exodus:prefs'/>"))).await;
    alice.expect(&[&["<exodus xmlns='exodus:prefs'/></query>"]]);
    let large = format!("<x xmlns='urn:x'>{}</x>", "x".repeat(300));
    for (request, condition) in [
        (iq("get", "", &query("")), "bad-request"),
        (iq("get", "", &query("<a xmlns='urn:a'/><b xmlns='urn:b'/>")), "bad-request"),
        (iq("get", "", &query("<a/>")), "not-acceptable"),
        (iq("set", "", &query("")), "not-acceptable"),
        (iq("set", "", &query("<a/>")), "not-acceptable"),
        (iq("set", "", &query(&large)), "resource-constraint"),
        // Example 3, and the same for nobody's.
        (iq("get", "bob@localhost", &query("<a xmlns='urn:a'/>")), "forbidden"),
        (iq("set", "nobody@localhost", &query("<a xmlns='urn:a'/>")), "forbidden"),
    ] {
        alice.send(&request).await;
        alice.expect(&[&["type='error'", condition]]);
    }
}

const VCARD: &str = "<vCard xmlns='vcard-temp'/>";

/// A vCard whose photo is RFC 3174's test vector, or another.
fn vcard(photo: &str) -> String {
    format!("<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>{photo}</BINVAL></PHOTO></vCard>")
}

#[tokio::test]
async fn xep0054_a_vcard_is_its_owners_to_change_and_everybodys_to_read() {
    let limits = Limits { vcard_bytes: 300, ..Limits::default() };
    let world = World::within("vcard", &["alice", "bob"], limits, 1 << 20).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    alice.send(&iq("get", "", VCARD)).await;
    alice.expect(&[&["type='result'", "<vCard xmlns='vcard-temp'/>"]]);
    // §3.3: no vCard and no account look the same.
    for to in ["alice@localhost", "nobody@localhost"] {
        bob.send(&iq("get", to, VCARD)).await;
        bob.expect(&[&["type='error'", "service-unavailable", &format!("from='{to}'")]]);
        bob.send(&iq("set", to, VCARD)).await;
        bob.expect(&[&["type='error'", "forbidden", &format!("from='{to}'")]]);
    }
    alice.send(&iq("set", "", &vcard("YWJj"))).await;
    alice.expect(&[&["<photo>a9993e364706816aba3e25717850c26c9cd0d89d</photo>"], &["type='result'"]]);
    world.router.unbind(&alice.session).await;
    world.router.forget(&alice.session.jid.to_bare());
    bob.send(&iq("get", "alice@localhost", VCARD)).await;
    bob.expect(&[&["type='result'", "from='alice@localhost'", &vcard("YWJj")]]);
    let alice = world.online("alice", "a").await;
    alice.send(&iq("get", "", VCARD)).await;
    alice.expect(&[&[&vcard("YWJj")]]);
    alice.send(&iq("set", "", &vcard(&"x".repeat(300)))).await;
    alice.expect(&[&["not-acceptable"]]);
    // Not through a block.
    alice.send(&block("<item jid='bob@localhost'/>")).await;
    bob.send(&iq("get", "alice@localhost", VCARD)).await;
    bob.expect(&[&["service-unavailable"]]);
    // The server has one as well.
    bob.send(&iq("get", "localhost", VCARD)).await;
    bob.expect(&[&[
        "<FN>localhost</FN>",
        "<USERID>root@localhost</USERID>",
        "<JABBERID>root@localhost</JABBERID>",
        "<URL>https://example.org/</URL>",
    ]]);
}

#[tokio::test]
async fn xep0153_the_hash_of_a_photo_is_told_for_those_who_leave_it_to_the_server() {
    let world = World::within("avatar", &["alice", "bob"], Limits::default(), 1 << 20).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    let silent = world.client("alice", "silent").await;
    silent.send("<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>").await;
    bob.forget();
    let (abc, x) = ("<photo>a9993e364706816aba3e25717850c26c9cd0d89d</photo>", "<x xmlns='vcard-temp:x:update'>");
    alice.send(&iq("set", "", &vcard("YWJj"))).await;
    bob.expect(&[&["from='alice@localhost/a'", x, abc]]);
    // The same again is no news; another photo is.
    alice.send(&iq("set", "", &vcard("YWJj").replace("Juliet", "Julia"))).await;
    bob.expect(&[]);
    alice.send("<presence><show>dnd</show></presence>").await;
    bob.expect(&[&["<show>dnd</show>", abc]]);
    alice.send("<presence to='bob@localhost/b'/>").await;
    bob.expect(&[&["to='bob@localhost/b'", abc]]);
    // Whoever comes later sees it, after a restart too.
    for client in [&alice, &silent] {
        world.router.unbind(&client.session).await;
    }
    world.router.forget(&alice.session.jid.to_bare());
    bob.forget();
    let alice = world.online("alice", "a").await;
    bob.expect(&[&[abc]]);
    let other = world.client("bob", "other").await;
    other.send("<presence/>").await;
    assert!(other.received().iter().any(|stanza| stanza.contains(abc)));
    bob.forget();
    alice.send(&iq("set", "", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>")).await;
    bob.expect(&[&[x, "<photo/>"]]);
    alice.send("<presence/>").await;
    bob.expect(&[&["<presence from='alice@localhost/a' to='bob@localhost'/>"]]);
}

#[tokio::test]
async fn xep0012_last_activity_of_server_account_and_contact() {
    let world = World::within("last", &["alice", "bob", "carol"], Limits::default(), 1 << 20).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    befriend(&alice, &bob).await;
    let last = |to: &str| iq("get", to, "<query xmlns='jabber:iq:last'/>");
    alice.send(&last("localhost")).await;
    alice.expect(&[&["type='result'", "<query xmlns='jabber:iq:last' seconds='"]]);
    // §3: one who is there, and oneself.
    for to in ["bob@localhost", ""] {
        alice.send(&last(to)).await;
        alice.expect(&[&["<query xmlns='jabber:iq:last' seconds='0'/>"]]);
    }
    // §3 and §4: without a subscription nobody learns anything, not even who or what there is.
    for to in ["bob@localhost", "bob@localhost/b", "bob@localhost/none", "nobody@localhost", "nobody@localhost/x"] {
        carol.send(&last(to)).await;
        carol.expect(&[&["type='error'", "<error type='auth'><forbidden", &format!("from='{to}'")]]);
    }
    bob.expect(&[]);
    alice.send(&last("bob@localhost/b")).await;
    bob.expect(&[&["jabber:iq:last", "from='alice@localhost/a'"]]);
    bob.send("<presence type='unavailable'><status>Heading &lt;Home&gt;</status></presence>").await;
    // A resource that is connected and not available does not count.
    alice.forget();
    alice.send(&last("bob@localhost")).await;
    alice.expect(&[&["Heading"]]);
    world.router.unbind(&bob.session).await;
    world.router.forget(&bob.session.jid.to_bare());
    alice.forget();
    alice.send(&last("bob@localhost")).await;
    alice.expect(&[&["from='bob@localhost'", "seconds='", ">Heading &lt;Home"]]);
    // A session that never was available is no activity.
    let silent = world.client("bob", "silent").await;
    world.router.unbind(&silent.session).await;
    alice.send(&last("bob@localhost")).await;
    alice.expect(&[&["Heading"]]);
}

#[tokio::test]
async fn xep0202_and_xep0092_the_server_tells_its_time_and_version() {
    let world = World::new("time", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    alice.send(&iq("get", "localhost", "<time xmlns='urn:xmpp:time'/>")).await;
    alice.expect(&[&["type='result'", "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>20", "Z</utc></time>"]]);
    alice.send(&iq("get", "localhost", "<query xmlns='jabber:iq:version'/>")).await;
    alice.expect(&[&["<name>campanile</name><version>"]]);
    alice.send(&iq("get", "", "<ping xmlns='urn:xmpp:ping'/>")).await;
    alice.expect(&[&["type='result'"]]);
}

#[tokio::test]
async fn xep0030_and_xep0157_the_server_says_whom_to_write_to() {
    let world = World::new("contact", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let info = alice.ask(&iq("get", "localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>")).await.remove(0);
    let form = "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field><field var='abuse-addresses' type='list-multi'><value>mailto:abuse@localhost</value><value>xmpp:abuse@localhost</value></field><field var='admin-addresses' type='list-multi'><value>mailto:root@localhost</value>";
    assert!(info.contains(form) && !info.contains("sales-addresses"), "{info}");
}

#[tokio::test]
async fn xep0115_and_xep0390_the_names_in_the_stream_features_are_answered_with_the_same_information() {
    let world = World::new("caps", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let query = |node: &str| format!("<query xmlns='http://jabber.org/protocol/disco#info'{node}/>");
    let plain = alice.ask(&iq("get", "localhost", &query(""))).await.remove(0);
    let features = campanile_signalling::features::stream_features(&world.router, &crate::world::contact());
    let features: Vec<_> = features["localhost"].iter().map(|feature| String::from_utf8_lossy(feature).into_owned()).collect();
    assert!(features.contains(&"<ver xmlns='urn:xmpp:features:rosterver'/>".to_owned()), "{features:?}");
    let part = |text: &str, before: &str, after: &str| {
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}"));
        rest.split(after).next().unwrap_or_default().to_owned()
    };
    let first = features.iter().find(|feature| feature.contains("http://jabber.org/protocol/caps")).expect("XEP-0115");
    let second = features.iter().find(|feature| feature.contains("'urn:xmpp:caps'")).expect("XEP-0390");
    let nodes = [
        format!("{}#{}", part(first, "node='", "'"), part(first, "ver='", "'")),
        format!("urn:xmpp:caps#sha-256.{}", part(second, "algo='sha-256'>", "<")),
        format!("urn:xmpp:caps#sha3-256.{}", part(second, "algo='sha3-256'>", "<")),
    ];
    for node in nodes {
        let attribute = format!(" node='{node}'");
        let answer = alice.ask(&iq("get", "localhost", &query(&attribute))).await.remove(0);
        assert_eq!(answer.replace(&attribute, ""), plain);
        alice.send(&iq("get", "", &query(&attribute))).await;
        alice.expect(&[&["item-not-found"]]);
        alice.send(&iq("get", "localhost", &query(&attribute.replace('=', "A")).replace("nodeA", "node="))).await;
        alice.expect(&[&["item-not-found"]]);
    }
}

#[tokio::test]
async fn xep0030_s8_items_of_an_account_are_its_resources_for_whoever_sees_them() {
    let world = World::new("items", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let items = |to: &str| iq("get", to, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    for to in ["bob@localhost", "nobody@localhost"] {
        alice.send(&items(to)).await;
        alice.expect(&[&["type='result'", "<query xmlns='http://jabber.org/protocol/disco#items'/>"]]);
    }
    befriend(&alice, &bob).await;
    for (to, item) in [("bob@localhost", "<item jid='bob@localhost/b'/>"), ("", "<item jid='alice@localhost/a'/>")] {
        alice.send(&items(to)).await;
        alice.expect(&[&[item]]);
    }
    alice.send(&items("bob@localhost").replace("<query ", "<query node='x' ")).await;
    alice.expect(&[&["item-not-found"]]);
}
