//! Messages as in the examples.

use super::*;
use crate::pubsub::node::fixtures::{bare, jid, node};

fn message(kind: EventKind, variant: &Variant) -> String {
    format!("{:?}", node("princely_musings").event(kind).template(variant))
}

fn published(payload: Option<&'static str>) -> EventKind {
    let item =
        ShownItem { id: "ae890".to_owned(), publisher: None, payload: payload.map(|payload| Bytes::from_static(payload.as_bytes())) };
    EventKind::Published { items: vec![item], publisher: jid("hamlet@denmark.lit/blogbot") }
}

#[test]
fn each_kind_of_event() {
    let subscription = |state, expiry| EventKind::Subscription { jid: jid("horatio@denmark.lit"), subid: "1".to_owned(), state, expiry };
    let expiry = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_141_171_199);
    for (kind, type_, expected) in [
        (published(None), " type='headline'", "<items node='princely_musings'><item id='ae890'/></items>"),
        (
            published(Some("<entry xmlns='http://www.w3.org/2005/Atom'/>")),
            " type='headline'",
            "<items node='princely_musings'><item id='ae890'><entry xmlns='http://www.w3.org/2005/Atom'/></item></items>",
        ),
        (EventKind::Published { items: vec![], publisher: jid("a@b") }, " type='headline'", "<items node='princely_musings'/>"),
        (
            EventKind::Retracted { ids: vec!["1".to_owned(), "2".to_owned()] },
            " type='headline'",
            "<items node='princely_musings'><retract id='1'/><retract id='2'/></items>",
        ),
        (EventKind::Purged, " type='headline'", "<purge node='princely_musings'/>"),
        (EventKind::Deleted { redirect: None }, " type='headline'", "<delete node='princely_musings'/>"),
        (
            EventKind::Deleted { redirect: Some("xmpp:hamlet@denmark.lit?;node=blog".to_owned()) },
            " type='headline'",
            "<delete node='princely_musings'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>",
        ),
        (EventKind::Configured { form: None }, " type='headline'", "<configuration node='princely_musings'/>"),
        (EventKind::Created, " type='headline'", "<create node='princely_musings'/>"),
        (
            EventKind::Associated { child: "new-node-id".to_owned(), form: None },
            " type='headline'",
            "<collection node='princely_musings'><associate node='new-node-id'/></collection>",
        ),
        (
            EventKind::Dissociated { child: "old-node-id".to_owned() },
            " type='headline'",
            "<collection node='princely_musings'><dissociate node='old-node-id'/></collection>",
        ),
        (
            subscription(SubscriptionState::Subscribed, None),
            "",
            "<subscription node='princely_musings' jid='horatio@denmark.lit' subscription='subscribed' subid='1'/>",
        ),
        (
            subscription(SubscriptionState::Subscribed, Some(expiry)),
            "",
            "<subscription node='princely_musings' jid='horatio@denmark.lit' subscription='subscribed' subid='1' expiry='2006-02-28T23:59:59Z'/>",
        ),
    ] {
        let expected = format!(
            "<message from='pubsub.example.net'{type_}><event xmlns='http://jabber.org/protocol/pubsub#event'>{expected}</event></message>"
        );
        assert_eq!(message(kind, &Variant::default()), expected);
    }
}

#[test]
fn s8_9_4_affiliations() {
    assert_eq!(
        message(EventKind::Affiliation { jid: bare("polonius@denmark.lit"), affiliation: Affiliation::None }, &Variant::default()),
        "<message from='pubsub.example.net'><pubsub xmlns='http://jabber.org/protocol/pubsub'><affiliations node='princely_musings'>\
        <affiliation jid='polonius@denmark.lit' affiliation='none'/></affiliations></pubsub></message>"
    );
}

#[test]
fn s7_1_2_4_and_x0248_s5_3_1_headers_come_last() {
    let variant = Variant {
        subids: vec!["123-abc".to_owned(), "004-yyy".to_owned()],
        collection: Some("blogs".to_owned()),
        include_body: false,
        replyto: true,
    };
    let found = message(published(None), &variant);
    assert!(
        found.ends_with(
            "</event><addresses xmlns='http://jabber.org/protocol/address'><address type='replyto' jid='hamlet@denmark.lit/blogbot'/></addresses>\
            <headers xmlns='http://jabber.org/protocol/shim'><header name='Collection'>blogs</header>\
            <header name='SubID'>123-abc</header><header name='SubID'>004-yyy</header></headers></message>"
        ),
        "{found}"
    );
    // §12.16: not with what is the same for all.
    assert!(!message(EventKind::Purged, &variant).contains("SubID"));
}

#[test]
fn s12_8_a_body_of_an_atom_entry() {
    let variant = Variant { include_body: true, ..Variant::default() };
    for (payload, body) in [
        (
            "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title><summary>\nTo be &amp;</summary></entry>",
            Some("To be &amp;"),
        ),
        ("<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title></entry>", Some("Soliloquy")),
        ("<entry xmlns='http://www.w3.org/2005/Atom'/>", None),
        ("<entry xmlns='urn:other'><title>Soliloquy</title></entry>", None),
    ] {
        let found = message(published(Some(payload)), &variant);
        assert_eq!(found.split("<body>").nth(1).and_then(|rest| rest.split("</body>").next()), body, "{payload}");
    }
    assert!(!message(published(None), &variant).contains("<body"));
}

#[test]
fn conditions_of_several_subscriptions_are_met_when_one_is() {
    let condition = |available, show_values: &[ShowValue]| Condition { available, show_values: show_values.to_vec() };
    for (one, other, expected) in [
        (condition(false, &[]), condition(true, &[]), condition(false, &[])),
        (condition(true, &[]), condition(false, &[ShowValue::Chat]), condition(true, &[])),
        (
            condition(false, &[ShowValue::Chat]),
            condition(false, &[ShowValue::Away, ShowValue::Chat]),
            condition(false, &[ShowValue::Away, ShowValue::Chat]),
        ),
    ] {
        assert_eq!(one.clone().or(other.clone()), expected);
        assert_eq!(other.or(one), expected);
    }
}
