//! Requests from the specification's examples, what is wrong with others, and any element at all.

use proptest::prelude::*;

use super::*;
use crate::pubsub::error;
use crate::stanza::error::StanzaError;
use crate::xml::{Bindings, Element};

fn read(set: bool, xml: &str) -> Result<Request, StanzaError> {
    Request::read(Element::parse(xml.as_bytes(), &Bindings::client()).unwrap().root(), set)
}

fn pubsub(set: bool, content: &str) -> Result<Request, StanzaError> {
    read(set, &format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>"))
}

fn owner(set: bool, content: &str) -> Result<Request, StanzaError> {
    read(set, &format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{content}</pubsub>"))
}

fn request(node: &str, action: Action) -> Request {
    Request { node: Some(node.to_owned()).filter(|node| !node.is_empty()), action }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

const FORM: &str = "<x xmlns='jabber:x:data' type='submit'><field var='a'><value>b</value></field></x>";

fn form() -> Form {
    Form::read(Element::parse(FORM.as_bytes(), &Bindings::empty()).unwrap().root()).unwrap()
}

#[test]
fn requests_of_entities() {
    let item = |id: Option<&str>, payload: Option<&'static str>, ns: &str| NewItem {
        id: id.map(str::to_owned),
        payload: payload.map(|payload| Bytes::from_static(payload.as_bytes())),
        payload_ns: ns.to_owned(),
    };
    for (set, content, expected) in [
        (false, "<subscriptions/>", request("", Action::Subscriptions)),
        (false, "<subscriptions node='n'/>", request("n", Action::Subscriptions)),
        (false, "<affiliations/>", request("", Action::Affiliations)),
        (true, "<subscribe node='n' jid='a@b'/>", request("n", Action::Subscribe { jid: jid("a@b"), options: None })),
        (true, "<subscribe jid='a@b'/>", request("", Action::Subscribe { jid: jid("a@b"), options: None })),
        (
            true,
            &format!("<subscribe node='n' jid='a@b'/><options>{FORM}</options>"),
            request("n", Action::Subscribe { jid: jid("a@b"), options: Some(form()) }),
        ),
        (
            true,
            &format!("<subscribe node='n' jid='a@b'/><options node='n' jid='a@b'>{FORM}</options>"),
            request("n", Action::Subscribe { jid: jid("a@b"), options: Some(form()) }),
        ),
        (true, "<unsubscribe node='n' jid='a@b/c'/>", request("n", Action::Unsubscribe { jid: jid("a@b/c"), subid: None })),
        (false, "<options node='n' jid='a@b' subid='1'/>", request("n", Action::Options { jid: jid("a@b"), subid: Some("1".to_owned()) })),
        (
            true,
            &format!("<options node='n' jid='a@b'>{FORM}</options>"),
            request("n", Action::SetOptions { jid: jid("a@b"), subid: None, form: form() }),
        ),
        (false, "<default/>", request("", Action::DefaultOptions)),
        (false, "<items node='n'/>", request("n", Action::Items(ItemsRequest::default()))),
        (
            false,
            "<items node='n' max_items='2' subid='s'><item id='1'/><item id='2'/><item id='1'/></items>\
            <set xmlns='http://jabber.org/protocol/rsm'><max>3</max></set>",
            request(
                "n",
                Action::Items(ItemsRequest {
                    subid: Some("s".to_owned()),
                    max_items: Some(2),
                    ids: vec!["1".to_owned(), "2".to_owned()],
                    rsm: Some(rsm::Request { max: Some(3), place: rsm::Place::First }),
                }),
            ),
        ),
        (true, "<publish node='n'/>", request("n", Action::Publish { items: vec![], options: None })),
        (
            true,
            &format!(
                "<publish node='n'><item id='1'><p:e xmlns:p='urn:p' a='&lt;'>t</p:e></item><item/></publish><publish-options>{FORM}</publish-options>"
            ),
            request(
                "n",
                Action::Publish {
                    items: vec![item(Some("1"), Some("<e xmlns='urn:p' a='&lt;'>t</e>"), "urn:p"), item(None, None, "")],
                    options: Some(form()),
                },
            ),
        ),
        (
            true,
            "<retract node='n' notify='1'><item id='1'/></retract>",
            request("n", Action::Retract { ids: vec!["1".to_owned()], notify: Some(true) }),
        ),
        (true, "<create/>", request("", Action::Create { form: None })),
        (true, "<create node='n'/><configure/>", request("n", Action::Create { form: None })),
        (true, &format!("<create node='n'/><configure>{FORM}</configure>"), request("n", Action::Create { form: Some(form()) })),
        (true, &format!("<configure node='n'>{FORM}</configure>"), request("n", Action::Configure(form()))),
    ] {
        assert_eq!(pubsub(set, content), Ok(expected), "{content}");
    }
}

#[test]
fn requests_of_owners() {
    let all = rsm::Request::default;
    for (set, content, expected) in [
        (false, "<configure node='n'/>", request("n", Action::Configuration)),
        (true, &*format!("<configure node='n'>{FORM}</configure>"), request("n", Action::Configure(form()))),
        (false, "<default/>", request("", Action::DefaultConfiguration { collection: false })),
        (false, "<default type='collection'/>", request("", Action::DefaultConfiguration { collection: true })),
        (true, "<delete node='n'/>", request("n", Action::Delete { redirect: None })),
        (
            true,
            "<delete node='n'><redirect uri='xmpp:a@b?;node=c'/></delete>",
            request("n", Action::Delete { redirect: Some("xmpp:a@b?;node=c".to_owned()) }),
        ),
        (true, "<purge node='n'/>", request("n", Action::Purge)),
        (false, "<subscriptions node='n'/>", request("n", Action::AllSubscriptions(all()))),
        (
            true,
            "<subscriptions node='n'><subscription jid='a@b' subscription='none' subid='1'/><subscription jid='c@d'/></subscriptions>",
            request(
                "n",
                Action::SetSubscriptions(vec![SubscriptionChange {
                    jid: jid("a@b"),
                    subid: Some("1".to_owned()),
                    state: SubscriptionState::None,
                }]),
            ),
        ),
        (false, "<affiliations node='n'/>", request("n", Action::AllAffiliations(all()))),
        (
            true,
            "<affiliations node='n'><affiliation jid='a@b/c' affiliation='publish-only'/><affiliation jid='c@d'/></affiliations>",
            request("n", Action::SetAffiliations(vec![(jid("a@b").to_bare(), Affiliation::PublishOnly)])),
        ),
        (true, "<collection node='n'><associate node='m'/></collection>", request("n", Action::Associate { child: "m".to_owned() })),
        (true, "<collection node='n'><dissociate node='m'/></collection>", request("n", Action::Dissociate { child: "m".to_owned() })),
    ] {
        assert_eq!(owner(set, content), Ok(expected), "{content}");
    }
}

#[test]
fn requests_that_are_none() {
    let bad = StanzaError::bad_request_without_text;
    for (set, content, expected) in [
        (true, "", bad()),
        (true, "<publish node='n'/><retract node='n'/>", bad()),
        (true, "<subscribe jid='a@b'/><options/><options/>", bad()),
        (true, &*format!("<options node='n' jid='a@b'>{FORM}</options><subscribe node='n' jid='a@b'/>"), bad()),
        (true, &format!("<subscribe node='n' jid='a@b'/><options node='m'>{FORM}</options>"), bad()),
        (true, &format!("<subscribe node='n' jid='a@b'/><options jid='c@d'>{FORM}</options>"), bad()),
        (true, &format!("<options>{FORM}</options><subscribe node='n' jid='a@b'/>"), bad()),
        (true, &format!("<configure>{FORM}</configure><create node='n'/>"), bad()),
        (true, &format!("<create node='n'/><configure node='n'>{FORM}</configure>"), bad()),
        (true, "<subscriptions/>", bad()),
        (false, "<subscribe node='n' jid='a@b'/>", bad()),
        (true, "<subscribe node='n'/>", error::jid_required()),
        (true, "<subscribe node='n' jid='@'/>", error::invalid_jid()),
        (false, "<options node='n'/>", error::jid_required()),
        (true, "<options node='n' jid='a@b'/>", bad()),
        (false, "<items/>", error::nodeid_required()),
        (false, "<items node='n' max_items='0'/>", bad()),
        (false, "<items node='n' max_items='x'/>", bad()),
        (false, "<items node='n'><item/></items>", error::item_required()),
        (true, "<publish><item/></publish>", error::nodeid_required()),
        (true, "<publish node='n'><item><a xmlns='u'/><b xmlns='u'/></item></publish>", error::invalid_payload()),
        (true, "<publish node='n'><item id='1'/><item id='1'/></publish>", bad()),
        (true, "<publish node='n'/><publish-options/>", bad()),
        (true, "<retract><item id='1'/></retract>", error::nodeid_required()),
        (true, "<retract node='n'/>", error::item_required()),
        (true, "<retract node='n'><item/></retract>", error::item_required()),
        (true, "<retract node='n' notify='maybe'><item id='1'/></retract>", bad()),
        (true, "<unheard-of node='n'/>", bad()),
        (false, &format!("<items node='{}'/>", "n".repeat(1024)), bad()),
    ] {
        let error = pubsub(set, content).unwrap_err();
        assert_eq!((error.condition, error.type_, error.extra), (expected.condition, expected.type_, expected.extra), "{content}");
    }
    for (set, content, expected) in [
        (true, "<delete/>", StanzaError::not_allowed()),
        (true, "<delete node='n'><redirect/></delete>", bad()),
        (true, "<purge/>", error::nodeid_required()),
        (false, "<configure/>", error::nodeid_required()),
        (true, "<configure node='n'/>", bad()),
        (false, "<default type='tree'/>", bad()),
        (true, "<subscriptions node='n'><subscription jid='a@b' subscription='maybe'/></subscriptions>", bad()),
        (
            true,
            "<subscriptions node='n'><subscription jid='a@b' subscription='none'/><subscription jid='a@b' subscription='none'/></subscriptions>",
            bad(),
        ),
        (true, "<affiliations node='n'><affiliation affiliation='none'/></affiliations>", error::jid_required()),
        (
            true,
            "<affiliations node='n'><affiliation jid='a@b/1' affiliation='none'/><affiliation jid='a@b/2' affiliation='none'/></affiliations>",
            bad(),
        ),
        (true, "<affiliations node='n'><affiliation jid='a@b' affiliation='king'/></affiliations>", bad()),
        (true, "<collection node='n'/>", bad()),
        (true, "<collection node='n'><associate/></collection>", error::nodeid_required()),
        (true, "<purge node='n'/><purge node='m'/>", bad()),
    ] {
        let error = owner(set, content).unwrap_err();
        assert_eq!((error.condition, error.type_, error.extra), (expected.condition, expected.type_, expected.extra), "{content}");
    }
}

#[test]
fn s8_6_answers_to_subscription_requests() {
    let check = |type_: &str, fields: &str, expected: Result<Option<Request>, ()>| {
        let xml = format!(
            "<x xmlns='jabber:x:data' type='{type_}'><field var='FORM_TYPE'>\
            <value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>{fields}</x>"
        );
        let form = Form::read(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root()).unwrap();
        assert_eq!(Request::read_message(&form).map_err(|_| ()), expected, "{xml}");
    };
    let node = "<field var='pubsub#node'><value>n</value></field>";
    let rest = "<field var='pubsub#subid'><value>123-abc</value></field>\
        <field var='pubsub#subscriber_jid'><value>horatio@denmark.lit</value></field>\
        <field var='pubsub#allow'><value>true</value></field>";
    let decided = request("n", Action::Decide { jid: jid("horatio@denmark.lit"), subid: Some("123-abc".to_owned()), allow: true });
    check("submit", &format!("{node}{rest}"), Ok(Some(decided)));
    check("cancel", "", Ok(None));
    check("submit", rest, Err(()));
    check("submit", node, Err(()));
    assert_eq!(Request::read_message(&form()), Ok(None));
}

/// Elements that look like requests, with every part now and then missing, doubled or wrong.
fn anything() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "subscriptions",
        "affiliations",
        "subscribe",
        "unsubscribe",
        "options",
        "default",
        "items",
        "publish",
        "publish-options",
        "retract",
        "create",
        "configure",
        "delete",
        "purge",
        "collection",
        "associate",
        "dissociate",
        "item",
        "subscription",
        "affiliation",
        "redirect",
        "x",
        "field",
        "value",
        "set",
        "max",
    ]);
    let ns = prop::sample::select(vec![
        "",
        " xmlns='http://jabber.org/protocol/pubsub'",
        " xmlns='http://jabber.org/protocol/pubsub#owner'",
        " xmlns='jabber:x:data'",
        " xmlns='http://jabber.org/protocol/rsm'",
        " xmlns='urn:x'",
    ]);
    let attribute = prop::sample::select(vec![
        "",
        " node='n'",
        " node=''",
        " jid='a@b/c'",
        " jid='@'",
        " subid='1'",
        " subid=''",
        " id='1'",
        " id=''",
        " max_items='2'",
        " max_items='-'",
        " notify='true'",
        " affiliation='owner'",
        " subscription='none'",
        " type='submit'",
        " type='collection'",
        " uri='xmpp:a'",
        " var='pubsub#node'",
    ]);
    let leaf = (name, ns, prop::collection::hash_set(attribute, 0..4)).prop_map(|(name, ns, attributes)| {
        let mut seen = Vec::new();
        let attributes = attributes.into_iter().filter(|attribute| {
            let name = attribute.split('=').next();
            let new = !seen.contains(&name);
            seen.push(name);
            new
        });
        (name, format!("{ns}{}", attributes.collect::<String>()))
    });
    let element = leaf.clone().prop_map(|(name, head)| format!("<{name}{head}>text</{name}>"));
    element.prop_recursive(4, 24, 4, move |inner| {
        (leaf.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|((name, head), inner)| format!("<{name}{head}>{}</{name}>", inner.concat()))
    })
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(content in prop::collection::vec(anything(), 0..3), set in any::<bool>(), of_owner in any::<bool>()) {
        let content = content.concat();
        let found = if of_owner { owner(set, &content) } else { pubsub(set, &content) };
        if let Ok(found) = found {
            // What is read is within its bounds, and payloads stand for themselves.
            prop_assert!(found.node.as_ref().is_none_or(|node| !node.is_empty() && node.len() <= 1023));
            if let Action::Publish { items, .. } = &found.action {
                for payload in items.iter().filter_map(|item| item.payload.as_ref()) {
                    let again = Element::parse(payload, &Bindings::empty()).unwrap();
                    prop_assert_eq!(&again.root().to_bytes(), payload);
                }
            }
        }
    }
}
