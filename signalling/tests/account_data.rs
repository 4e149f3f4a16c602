//! What an account keeps on the server and who gets to see it: blocking, roster versions, vCards, private data, last activity.

use campanile_signalling::jid::BareJid;
use campanile_signalling::router::Limits;
use campanile_signalling::store::{RosterChange, RosterItem};

use crate::world::{World, befriend};

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
