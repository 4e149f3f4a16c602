//! What rests on nodes of accounts, with the payloads and options that clients write: device lists and bundles (XEP-0384), what was seen (XEP-0490),
//! nicknames (XEP-0172), private data (XEP-0223).

use crate::world::nodes::form;
use crate::world::{Client, World, befriend};

fn pubsub(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>")
}

fn options(fields: &[(&str, &str)]) -> String {
    format!("<publish-options>{}</publish-options>", form("publish-options", fields))
}

async fn answer(client: &Client, type_: &str, to: Option<&str>, payload: &str) -> String {
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    let received = client.ask(&format!("<iq type='{type_}' id='x'{to}>{payload}</iq>")).await;
    received.into_iter().find(|stanza| stanza.contains("id='x'")).expect("an answer")
}

async fn publish(client: &Client, node: &str, id: &str, payload: &str, fields: &[(&str, &str)]) -> String {
    let options = if fields.is_empty() { String::new() } else { options(fields) };
    answer(client, "set", None, &pubsub(&format!("<publish node='{node}'><item id='{id}'>{payload}</item></publish>{options}"))).await
}

async fn items(client: &Client, of: Option<&str>, node: &str) -> String {
    answer(client, "get", of, &pubsub(&format!("<items node='{node}'/>"))).await
}

const ALICE: Option<&str> = Some("alice@localhost");
const OPEN: &[(&str, &str)] = &[("persist_items", "true"), ("access_model", "open")];
const OPEN_MAX: &[(&str, &str)] = &[("persist_items", "true"), ("access_model", "open"), ("max_items", "max")];
const PRIVATE_MAX: &[(&str, &str)] =
    &[("persist_items", "true"), ("max_items", "max"), ("send_last_published_item", "never"), ("access_model", "whitelist")];

#[tokio::test]
async fn xep0384_device_lists_and_bundles_are_for_everyone_where_clients_ask_for_it() {
    let world = World::new("omemo", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let old = ("eu.siacs.conversations.axolotl.devicelist", "<list xmlns='eu.siacs.conversations.axolotl'><device id='12345'/></list>");
    let new =
        ("urn:xmpp:omemo:2:devices", "<devices xmlns='urn:xmpp:omemo:2'><device id='12345' label='Gajim on Ubuntu Linux'/></devices>");
    for (node, list) in [old, new] {
        for _ in 0..2 {
            assert!(publish(&alice, node, "current", list, OPEN).await.contains("type='result'"), "the second time, they are met");
        }
        assert!(items(&bob, ALICE, node).await.contains(list));
        // XEP-0060 §7.1.5: a node that is otherwise is not published to.
        let refused = publish(&alice, node, "current", list, &[("access_model", "whitelist")]).await;
        assert!(refused.contains("<conflict") && refused.contains("<precondition-not-met"), "{refused}");
    }
    // An item for each device, all in one node.
    let bundle = "<bundle xmlns='urn:xmpp:omemo:2'><spk id='0'>c3Br</spk><spks>c3Brcw==</spks><ik>aWs=</ik><prekeys><pk id='0'>cGs=</pk></prekeys></bundle>";
    for device in ["12345", "67890"] {
        assert!(publish(&alice, "urn:xmpp:omemo:2:bundles", device, bundle, OPEN_MAX).await.contains("type='result'"));
    }
    let found = items(&bob, ALICE, "urn:xmpp:omemo:2:bundles").await;
    assert!(["12345", "67890"].iter().all(|device| found.contains(&format!("<item id='{device}'>{bundle}</item>"))), "{found}");
    let one = pubsub("<items node='urn:xmpp:omemo:2:bundles'><item id='67890'/></items>");
    let found = answer(&bob, "get", ALICE, &one).await;
    assert!(found.contains("id='67890'") && !found.contains("12345"), "{found}");
}

#[tokio::test]
async fn xep0490_s4_what_was_seen_is_for_the_account_alone_one_item_a_chat() {
    let world = World::new("mds", &["alice", "bob"]).await;
    let (alice, tablet, bob) = (world.online("alice", "a").await, world.online("alice", "t").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    let seen = |id: &str| {
        format!(
            "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='alice@localhost'/></displayed>"
        )
    };
    for (chat, id) in [("romeo@montegue.lit", "1"), ("example@conference.shakespeare.lit", "2"), ("romeo@montegue.lit", "3")] {
        assert!(publish(&alice, "urn:xmpp:mds:displayed:0", chat, &seen(id), PRIVATE_MAX).await.contains("type='result'"));
    }
    let found = items(&tablet, None, "urn:xmpp:mds:displayed:0").await;
    assert!(found.contains(&seen("2")) && found.contains(&seen("3")) && !found.contains(&seen("1")), "{found}");
    assert!(items(&bob, ALICE, "urn:xmpp:mds:displayed:0").await.contains("type='error'"));
    // Who forgets the options is not shown to contacts either, and keeps all chats.
    for chat in ["a@x", "b@x"] {
        assert!(publish(&bob, "urn:xmpp:mds:displayed:0", chat, &seen("1"), &[]).await.contains("type='result'"));
    }
    assert!(items(&alice, Some("bob@localhost"), "urn:xmpp:mds:displayed:0").await.contains("type='error'"));
    let found = items(&bob, None, "urn:xmpp:mds:displayed:0").await;
    assert!(found.contains("a@x") && found.contains("b@x"), "{found}");
}

#[tokio::test]
async fn xep0490_s4_5_a_message_marks_what_was_seen_for_the_own_clients_alone() {
    let world = World::new("mds-assist", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    let displayed =
        "<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='0423e3a9'/></displayed>";
    let marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='the-msg-1'/>";
    alice.send(&format!("<message to='bob@localhost' type='chat'>{marker}{displayed}</message>")).await;
    let received = bob.received();
    assert!(received.len() == 1 && received[0].contains(marker) && !received[0].contains("urn:xmpp:mds"), "{received:?}");
    assert!(items(&alice, None, "urn:xmpp:mds:displayed:0").await.contains(&format!("<item id='bob@localhost'>{displayed}</item>")));
    assert!(items(&bob, ALICE, "urn:xmpp:mds:displayed:0").await.contains("type='error'"));
    let info = answer(&alice, "get", ALICE, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(info.contains("<feature var='urn:xmpp:mds:server-assist:0'/>"), "{info}");
}

#[tokio::test]
async fn xep0172_s4_2_a_nickname_is_shown_to_contacts() {
    let world = World::new("nick", &["alice", "bob", "carol"]).await;
    let (alice, bob, carol) = (world.online("alice", "a").await, world.online("bob", "b").await, world.online("carol", "c").await);
    befriend(&alice, &bob).await;
    let nick = "<nick xmlns='http://jabber.org/protocol/nick'>Ishmael</nick>";
    assert!(publish(&alice, "http://jabber.org/protocol/nick", "current", nick, &[]).await.contains("type='result'"));
    assert!(items(&bob, ALICE, "http://jabber.org/protocol/nick").await.contains(nick));
    assert!(items(&carol, ALICE, "http://jabber.org/protocol/nick").await.contains("type='error'"));
}

#[tokio::test]
async fn xep0223_s3_private_data_is_its_owners() {
    let world = World::new("private-nodes", &["alice", "bob"]).await;
    let (alice, bob) = (world.online("alice", "a").await, world.online("bob", "b").await);
    befriend(&alice, &bob).await;
    let notes = "<storage xmlns='storage:rosternotes'><note jid='bob@localhost'>Seems to be a good writer</note></storage>";
    assert!(publish(&alice, "storage:rosternotes", "current", notes, &[]).await.contains("type='result'"));
    let with_options = publish(&alice, "urn:example:own", "current", "<x xmlns='urn:example:own'/>", &PRIVATE_MAX[..1]).await;
    assert!(with_options.contains("type='result'"), "{with_options}");
    assert!(items(&alice, None, "storage:rosternotes").await.contains(notes));
    assert!(items(&bob, ALICE, "storage:rosternotes").await.contains("type='error'"));
    // XEP-0292 §5.2.
    let contact = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Samantha Mizzi</text></fn></vcard>";
    for id in ["samizzi@cisco.com", "bob@localhost"] {
        assert!(publish(&alice, "urn:xmpp:contacts", id, contact, &[]).await.contains("type='result'"));
    }
    assert_eq!(items(&alice, None, "urn:xmpp:contacts").await.matches(contact).count(), 2);
    assert!(items(&bob, ALICE, "urn:xmpp:contacts").await.contains("type='error'"));
}
