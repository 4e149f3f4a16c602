//! What clients of different ages keep of the same thing: avatars (XEP-0398) and bookmarks (XEP-0402, XEP-0411).

use bytes::Bytes;

use campanile_signalling::jid::BareJid;
use campanile_signalling::pubsub;
use campanile_signalling::router::Limits;
use campanile_signalling::store::PrivateElement;

use crate::world::nodes::form;
use crate::world::{Client, World, befriend};

/// RFC 3174's "abc", and the hash of "abcd".
const ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const ABCD: &str = "81fe8bfe87576c3ecb22426f8e57847382917acf";

fn element(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>")
}

fn options(fields: &[(&str, &str)]) -> String {
    format!("<publish-options>{}</publish-options>", form("publish-options", fields))
}

/// A request that succeeds; what is answered.
async fn ok(client: &Client, type_: &str, to: Option<&str>, payload: &str) -> String {
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    let received = client.ask(&format!("<iq type='{type_}' id='x'{to}>{payload}</iq>")).await;
    let answer = received.into_iter().find(|stanza| stanza.contains("id='x'")).unwrap_or_else(|| panic!("no answer to {payload}"));
    assert!(answer.contains("type='result'"), "{payload}: {answer}");
    answer
}

async fn publish(client: &Client, node: &str, id: &str, payload: &str, fields: &[(&str, &str)]) {
    let options = if fields.is_empty() { String::new() } else { options(fields) };
    let content = format!("<publish node='{node}'><item id='{id}'>{payload}</item></publish>{options}");
    ok(client, "set", None, &element(&content)).await;
}

async fn retract(client: &Client, node: &str, id: &str) {
    ok(client, "set", None, &element(&format!("<retract node='{node}' notify='true'><item id='{id}'/></retract>"))).await;
}

/// What a node of an account has; empty for a node that is not there.
async fn items(client: &Client, of: Option<&str>, node: &str) -> String {
    let to = of.map(|to| format!(" to='{to}'")).unwrap_or_default();
    let received = client.ask(&format!("<iq type='get' id='x'{to}>{}</iq>", element(&format!("<items node='{node}'/>")))).await;
    let answer = received.into_iter().find(|stanza| stanza.contains("id='x'")).expect("an answer");
    if answer.contains("<item-not-found") {
        return String::new();
    }
    let items = answer.split_once(&format!("<items node='{node}'")).unwrap_or_else(|| panic!("{answer}")).1;
    items.split_once('>').and_then(|(_, rest)| rest.split_once("</items>")).map(|(items, _)| items.to_owned()).unwrap_or_default()
}

async fn configure(client: &Client, node: &str, field: &str, value: &str) {
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#{field}'><value>{value}</value></field></x>"
    );
    let request = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='{node}'>{form}</configure></pubsub>");
    ok(client, "set", None, &request).await;
}

async fn publish_avatar(client: &Client, base64: &str, id: &str, fields: &[(&str, &str)]) {
    let data = format!("<data xmlns='urn:xmpp:avatar:data'>{base64}</data>");
    publish(client, "urn:xmpp:avatar:data", id, &data, fields).await;
    let info = format!("<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='{id}' type='image/png'/></metadata>");
    publish(client, "urn:xmpp:avatar:metadata", id, &info, fields).await;
}

async fn vcard(client: &Client) -> String {
    ok(client, "get", None, "<vCard xmlns='vcard-temp'/>").await
}

async fn set_vcard(client: &Client, content: &str) {
    ok(client, "set", None, &format!("<vCard xmlns='vcard-temp'>{content}</vCard>")).await;
}

const OPEN: &[(&str, &str)] = &[("access_model", "open")];

#[tokio::test]
async fn xep0398_s3_1_an_avatar_of_pep_is_the_photo_of_the_vcard() {
    let world = World::new("avatar-to-vcard", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    set_vcard(&alice, "<FN>Alice</FN>").await;
    publish_avatar(&alice, "YWJj", ABC, OPEN).await;
    assert!(vcard(&alice).await.contains("<FN>Alice</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>"));
    // §4: contacts hear of it, and directed presence has it.
    let told = bob.received();
    assert!(told.iter().any(|stanza| stanza.starts_with("<presence") && stanza.contains(&format!("<photo>{ABC}</photo>"))), "{told:?}");
    alice.send("<presence to='bob@localhost/b'/>").await;
    assert!(bob.received()[0].contains(&format!("<photo>{ABC}</photo>")));

    // What its id does not say is not shown; neither is an image that is elsewhere.
    publish_avatar(&alice, "eHh4", ABCD, &[]).await;
    assert!(vcard(&alice).await.contains("YWJj"));
    let elsewhere =
        "<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='1' id='1' type='image/gif' url='http://x.example/'/></metadata>";
    publish(&alice, "urn:xmpp:avatar:metadata", "1", elsewhere, &[]).await;
    assert!(vcard(&alice).await.contains("YWJj"));

    // XEP-0084 §3.5.
    publish(&alice, "urn:xmpp:avatar:metadata", "none", "<metadata xmlns='urn:xmpp:avatar:metadata'/>", &[]).await;
    assert!(vcard(&alice).await.contains("<vCard xmlns='vcard-temp'><FN>Alice</FN></vCard>"));
    assert!(bob.received().iter().any(|stanza| stanza.contains("<photo/>")));
}

#[tokio::test]
async fn xep0398_s7_only_what_is_open_becomes_the_photo() {
    let world = World::new("avatar-access", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    publish_avatar(&alice, "YWJj", ABC, &[]).await;
    assert!(!vcard(&alice).await.contains("PHOTO"), "contacts only, by default");
    configure(&alice, "urn:xmpp:avatar:data", "access_model", "open").await;
    assert!(vcard(&alice).await.contains("<BINVAL>YWJj</BINVAL>"));
    configure(&alice, "urn:xmpp:avatar:data", "access_model", "presence").await;
    assert!(!vcard(&alice).await.contains("PHOTO"), "not for everyone any more");
    configure(&alice, "urn:xmpp:avatar:data", "access_model", "open").await;
    assert!(vcard(&alice).await.contains("<BINVAL>YWJj</BINVAL>"));
    let delete = "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:xmpp:avatar:data'/></pubsub>";
    ok(&alice, "set", None, delete).await;
    assert!(!vcard(&alice).await.contains("PHOTO"), "with its node, too");
    publish_avatar(&alice, "YWJj", ABC, &[]).await;
    // A photo that is no copy stays.
    set_vcard(&alice, "<PHOTO><BINVAL>eA==</BINVAL></PHOTO>").await;
    publish_avatar(&alice, "YWJj", ABC, &[]).await;
    assert!(vcard(&alice).await.contains("<BINVAL>eA==</BINVAL>"));
}

#[tokio::test]
async fn xep0398_s3_2_the_photo_of_a_vcard_is_the_avatar_of_pep() {
    let world = World::new("vcard-to-avatar", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let alices = Some("alice@localhost");
    set_vcard(&alice, "<PHOTO><TYPE>image/gif</TYPE><BINVAL>YWJj</BINVAL></PHOTO>").await;
    assert_eq!(
        items(&bob, alices, "urn:xmpp:avatar:data").await,
        format!("<item id='{ABC}'><data xmlns='urn:xmpp:avatar:data'>YWJj</data></item>")
    );
    let info = format!("<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='{ABC}' type='image/gif'/></metadata>");
    assert_eq!(items(&bob, alices, "urn:xmpp:avatar:metadata").await, format!("<item id='{ABC}'>{info}</item>"));
    // The same photo once more is no news.
    ok(&bob, "set", alices, &element("<subscribe node='urn:xmpp:avatar:metadata' jid='bob@localhost/b'/>")).await;
    world.settled().await;
    bob.forget();
    set_vcard(&alice, "<FN>A</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO>").await;
    set_vcard(&alice, "<FN>B</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO>").await;
    world.settled().await;
    bob.expect(&[]);
    set_vcard(&alice, "<PHOTO><BINVAL>YWJjZA==</BINVAL></PHOTO>").await;
    world.settled().await;
    bob.expect(&[&["<event", &format!("<info bytes='4' id='{ABCD}' type='image/png'/>")]]);
    set_vcard(&alice, "<FN>A</FN>").await;
    world.settled().await;
    bob.expect(&[&["<metadata xmlns='urn:xmpp:avatar:metadata'/>"]]);
    // An avatar that never was in the vCard is not taken away by it.
    publish_avatar(&alice, "YWJj", ABC, &[]).await;
    configure(&alice, "urn:xmpp:avatar:data", "access_model", "whitelist").await;
    set_vcard(&alice, "<FN>C</FN>").await;
    assert!(items(&alice, None, "urn:xmpp:avatar:metadata").await.contains(ABC));
}

#[tokio::test]
async fn xep0398_what_was_there_before_is_converted_when_its_owner_comes() {
    let world = World::new("avatar-before", &["alice", "bob", "carol"]).await;
    let alice = BareJid::new("alice", "localhost").expect("a JID");
    let photo = Bytes::from_static(b"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>");
    world.store.vcards().set(&alice, photo, Some(ABC.to_owned())).await.expect("stored");
    let alice = world.client("alice", "a").await;
    assert!(items(&alice, None, "urn:xmpp:avatar:metadata").await.contains(ABC));
    let bob = world.client("bob", "b").await;
    assert_eq!(items(&bob, None, "urn:xmpp:avatar:metadata").await, "");
}

const PLAY: &str = "theplay@conference.shakespeare.lit";
const ORCHARD: &str = "orchard@conference.shakespeare.lit";

fn native(name: &str, extensions: &str) -> String {
    format!("<conference xmlns='urn:xmpp:bookmarks:1' name='{name}' autojoin='true'><nick>JC</nick>{extensions}</conference>")
}

fn old(jid: &str, name: &str) -> String {
    format!("<conference jid='{jid}' name='{name}' autojoin='true'><nick>JC</nick></conference>")
}

fn storage(content: &str) -> String {
    format!("<storage xmlns='storage:bookmarks'>{content}</storage>")
}

async fn private(client: &Client) -> String {
    let answer = ok(client, "get", None, "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>").await;
    let content = answer.split_once("<query xmlns='jabber:iq:private'>").and_then(|(_, rest)| rest.split_once("</query>"));
    content.unwrap_or_else(|| panic!("{answer}")).0.to_owned()
}

async fn set_private(client: &Client, content: &str) {
    ok(client, "set", None, &format!("<query xmlns='jabber:iq:private'>{}</query>", storage(content))).await;
}

const NATIVE: &str = "urn:xmpp:bookmarks:1";
const STORAGE: &str = "storage:bookmarks";
/// XEP-0402 §3.3.
const AS_CLIENTS_ASK: &[(&str, &str)] =
    &[("persist_items", "true"), ("max_items", "max"), ("send_last_published_item", "never"), ("access_model", "whitelist")];

#[tokio::test]
async fn xep0402_s5_3_1_and_xep0411_items_are_seen_by_clients_of_every_age() {
    let world = World::new("bookmarks-native", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let extensions = "<extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions>";
    publish(&alice, NATIVE, PLAY, &native("The Play", ""), AS_CLIENTS_ASK).await;
    publish(&alice, NATIVE, ORCHARD, &native("The Orcard", extensions), AS_CLIENTS_ASK).await;
    let extended = old(ORCHARD, "The Orcard").replace("</conference>", &format!("{extensions}</conference>"));
    let expected = storage(&(old(PLAY, "The Play") + &extended));
    assert_eq!(private(&alice).await, expected);
    assert_eq!(items(&alice, None, STORAGE).await, format!("<item id='current'>{expected}</item>"));
    // XEP-0411 §5: nobody else sees either.
    for node in [NATIVE, STORAGE] {
        let refused =
            bob.ask(&format!("<iq type='get' id='x' to='alice@localhost'>{}</iq>", element(&format!("<items node='{node}'/>")))).await;
        assert!(refused.iter().all(|stanza| stanza.contains("type='error'")), "{refused:?}");
    }
    retract(&alice, NATIVE, PLAY).await;
    assert_eq!(private(&alice).await, storage(&extended));
    assert_eq!(items(&alice, None, STORAGE).await, format!("<item id='current'>{}</item>", storage(&extended)));
}

#[tokio::test]
async fn xep0402_s5_3_2_lists_of_old_clients_become_items() {
    let world = World::new("bookmarks-old", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let url = "<url name='Complete Works' url='http://the-tech.mit.edu/Shakespeare/'/>";
    set_private(&alice, &(old(PLAY, "The Play") + url)).await;
    let play = format!("<item id='{PLAY}'>{}</item>", native("The Play", ""));
    assert_eq!(items(&alice, None, NATIVE).await, play);
    assert!(items(&alice, None, STORAGE).await.contains(&old(PLAY, "The Play")));

    // What is unchanged is not told, and no conversion sets off another.
    ok(&alice, "set", None, &element(&format!("<subscribe node='{NATIVE}' jid='alice@localhost/a'/>"))).await;
    ok(&alice, "set", None, &element(&format!("<subscribe node='{STORAGE}' jid='alice@localhost/a'/>"))).await;
    world.settled().await;
    alice.forget();
    let both = old(PLAY, "The Play") + &old(ORCHARD, "The Orchard");
    alice.send(&format!("<iq type='set' id='x'><query xmlns='jabber:iq:private'>{}</query></iq>", storage(&(both.clone() + url)))).await;
    world.settled().await;
    let told = alice.received();
    let of = |node: &str| {
        told.iter().filter(|stanza| stanza.contains("<event") && stanza.contains(&format!("node='{node}'"))).collect::<Vec<_>>()
    };
    let ([native_told], [storage_told]) = (&of(NATIVE)[..], &of(STORAGE)[..]) else { panic!("{told:#?}") };
    assert!(native_told.contains(ORCHARD) && !native_told.contains(PLAY), "{native_told}");
    assert!(storage_told.contains(ORCHARD) && storage_told.contains(PLAY) && storage_told.contains("<url"), "{storage_told}");
    assert_eq!(told.len(), 3, "{told:#?}");

    // XEP-0048 §3.1: the other old way. Web pages stay in both.
    publish(&alice, STORAGE, "current", &storage(&(old(ORCHARD, "An Orchard") + url)), &[]).await;
    assert_eq!(items(&alice, None, NATIVE).await, format!("<item id='{ORCHARD}'>{}</item>", native("An Orchard", "")));
    let kept = private(&alice).await;
    assert!(kept.contains(&old(ORCHARD, "An Orchard")) && kept.contains("<url") && !kept.contains(PLAY), "{kept}");
    set_private(&alice, "").await;
    assert_eq!(
        (items(&alice, None, NATIVE).await, private(&alice).await),
        (String::new(), "<storage xmlns='storage:bookmarks'/>".to_owned())
    );
}

#[tokio::test]
async fn xep0411_s4_and_s5_bookmarks_of_before_are_there_from_the_first_log_in_and_stay_private() {
    let world = World::new("bookmarks-before", &["alice"]).await;
    let alice = BareJid::new("alice", "localhost").expect("a JID");
    let content = Some(storage(&old(PLAY, "The Play")).into());
    let element = PrivateElement { namespace: STORAGE.to_owned(), name: "storage".to_owned(), content };
    assert!(world.store.private_xml().set(&alice, vec![element], 10_000).await.expect("stored"));
    let alice = world.client("alice", "a").await;
    assert_eq!(items(&alice, None, NATIVE).await, format!("<item id='{PLAY}'>{}</item>", native("The Play", "")));
    assert!(items(&alice, None, STORAGE).await.contains(PLAY));

    configure(&alice, NATIVE, "access_model", "open").await;
    set_private(&alice, &old(ORCHARD, "The Orchard")).await;
    assert!(!items(&alice, None, NATIVE).await.contains(ORCHARD), "others would see it");
    assert!(items(&alice, None, STORAGE).await.contains(ORCHARD));
}

#[tokio::test]
async fn what_one_format_has_no_room_for_stays_in_the_other() {
    let few = pubsub::host::Limits { items: 1, ..pubsub::host::Limits::default() };
    let limits = Limits { private_bytes: 400, ..Limits::default() };
    let world = World::with_pubsub("conversions-full", &["alice", "bob"], limits, 100_000, few).await;
    let account = BareJid::new("alice", "localhost").expect("a JID");
    let both = storage(&(old(PLAY, "The Play") + &old(ORCHARD, "The Orchard")));
    let element = PrivateElement { namespace: STORAGE.to_owned(), name: "storage".to_owned(), content: Some(both.clone().into()) };
    assert!(world.store.private_xml().set(&account, vec![element], 10_000).await.expect("stored"));
    let alice = world.client("alice", "a").await;
    assert_eq!((items(&alice, None, NATIVE).await, private(&alice).await), (String::new(), both.clone()));
    // It is not overwritten by what a newer client begins.
    publish(&alice, NATIVE, PLAY, &native("A Play", ""), AS_CLIENTS_ASK).await;
    assert_eq!(private(&alice).await, both);
    world.router.unbind(&alice.session).await;
    world.router.forget(&account);
    let alice = world.client("alice", "again").await;
    assert_eq!(private(&alice).await, both);
    // Avatars are another subject.
    set_vcard(&alice, "<PHOTO><BINVAL>YWJj</BINVAL></PHOTO>").await;
    assert!(items(&alice, None, "urn:xmpp:avatar:metadata").await.contains(ABC));

    let bob = world.client("bob", "b").await;
    publish(&bob, NATIVE, PLAY, &native(&"long ".repeat(100), ""), AS_CLIENTS_ASK).await;
    assert!(items(&bob, None, NATIVE).await.contains(PLAY));
    assert_eq!(private(&bob).await, storage("").replace("></storage>", "/>"));
}

const VCARD4: &str = "urn:xmpp:vcard4";

fn vcard4(content: &str) -> String {
    format!("<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>{content}</vcard>")
}

#[tokio::test]
async fn xep0292_s11_vcards_of_both_formats_are_the_same() {
    let world = World::new("vcard4", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    set_vcard(&alice, "<FN>Alice</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO>").await;
    let kept = vcard4("<fn><text>Alice</text></fn>");
    assert_eq!(items(&bob, Some("alice@localhost"), VCARD4).await, format!("<item id='current'>{kept}</item>"));
    publish(&alice, VCARD4, "current", &vcard4("<fn><text>Alice B.</text></fn><gender><sex><text>F</text></sex></gender>"), &[]).await;
    let temp = vcard(&alice).await;
    assert!(temp.contains("<FN>Alice B.</FN>") && temp.contains("<BINVAL>YWJj</BINVAL>"), "{temp}");
    // A client of old that writes its vCard again changes nothing that it does not know.
    set_vcard(&alice, "<FN>Alice B.</FN><PHOTO><BINVAL>YWJj</BINVAL></PHOTO>").await;
    assert!(items(&alice, None, VCARD4).await.contains("<gender>"));
    // §4.2.2: a notification without payload.
    ok(&bob, "set", Some("alice@localhost"), &element(&format!("<subscribe node='{VCARD4}' jid='bob@localhost/b'/>"))).await;
    world.settled().await;
    bob.forget();
    publish(&alice, VCARD4, "current", &vcard4("<fn><text>Alice C.</text></fn>"), &[]).await;
    world.settled().await;
    bob.expect(&[&["<item id='current'/>"]]);
    assert!(vcard(&alice).await.contains("<FN>Alice C.</FN>"));
    // What is not for everyone any more is not left behind, and is not replaced by what is; the photo is another subject.
    configure(&alice, VCARD4, "access_model", "presence").await;
    let temp = vcard(&alice).await;
    assert!(!temp.contains("Alice C.") && temp.contains("<BINVAL>YWJj</BINVAL>"), "{temp}");
    publish(&alice, VCARD4, "current", &vcard4("<fn><text>A secret</text></fn>"), &[]).await;
    set_vcard(&alice, "<FN>For all</FN><PHOTO><BINVAL>YWJjZA==</BINVAL></PHOTO>").await;
    assert!(vcard(&alice).await.contains("<FN>For all</FN>"));
    assert!(items(&alice, None, VCARD4).await.contains("A secret"));
    // §6, example 9.
    let of_server = ok(&alice, "get", Some("localhost"), "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>").await;
    assert!(
        of_server.contains("<fn><text>localhost</text></fn>") && of_server.contains("<kind><text>application</text></kind>"),
        "{of_server}"
    );
}

#[tokio::test]
async fn what_is_converted_is_announced() {
    let world = World::new("conversions-disco", &["alice"]).await;
    let alice = world.online("alice", "a").await;
    let info = ok(&alice, "get", Some("alice@localhost"), "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    for feature in [
        "urn:xmpp:pep-vcard-conversion:0",
        "urn:xmpp:bookmarks:1#compat",
        "urn:xmpp:bookmarks:1#compat-pep",
        "urn:xmpp:bookmarks-conversion:0",
        "urn:ietf:params:xml:ns:vcard-4.0",
    ] {
        assert!(info.contains(&format!("<feature var='{feature}'/>")), "{feature} is not in {info}");
    }
}
