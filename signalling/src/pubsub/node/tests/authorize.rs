//! §8.6, §8.7.

use super::*;
use crate::pubsub::config::AccessModel;

fn pending() -> Node {
    let mut node = node("n");
    node.config.access_model = AccessModel::Authorize;
    node.config.notify_sub = true;
    affiliate(&mut node, "second@example.net", Affiliation::Owner);
    subscribe(&mut node, "horatio@denmark.lit", "123-abc", SubscriptionState::Pending);
    node
}

fn decide(node: &Node, jid: &str, subid: Option<&str>, allow: bool) -> Vec<String> {
    let action = Action::Decide { jid: fixtures::jid(jid), subid: subid.map(str::to_owned), allow };
    lines(&asker("owner@example.net/x").request(Some(node), &Request { node: Some("n".to_owned()), action }, &Facts::default()))
}

#[test]
fn s8_6_approval_and_denial() {
    for subid in [None, Some("123-abc")] {
        assert_eq!(
            decide(&pending(), "horatio@denmark.lit", subid, true),
            [
                "empty",
                "subscribe horatio@denmark.lit 123-abc subscribed",
                "tell horatio@denmark.lit: <subscription node='n' jid='horatio@denmark.lit' subscription='subscribed' subid='123-abc'/>",
                "tell second@example.net: <subscription node='n' jid='horatio@denmark.lit' subscription='subscribed' subid='123-abc'/>",
            ]
        );
    }
    assert_eq!(
        decide(&pending(), "horatio@denmark.lit", None, false),
        [
            "empty",
            "unsubscribe horatio@denmark.lit 123-abc",
            "tell horatio@denmark.lit: <subscription node='n' jid='horatio@denmark.lit' subscription='none' subid='123-abc'/>",
        ]
    );
}

#[test]
fn s12_13_the_first_answer_counts() {
    let mut node = pending();
    let expected = ["cancel unexpected-request not-subscribed"];
    assert_eq!(decide(&node, "horatio@denmark.lit", Some("other"), true), expected);
    assert_eq!(decide(&node, "nobody@denmark.lit", None, true), expected);
    subscribe(&mut node, "horatio@denmark.lit", "123-abc", SubscriptionState::Subscribed);
    assert_eq!(decide(&node, "horatio@denmark.lit", None, false), expected);
}

#[test]
fn s8_7_4_pending_requests_are_sent_again_to_who_asks() {
    let node = pending();
    let request = Request { node: Some("n".to_owned()), action: Action::Pending };
    let outcome = asker("second@example.net/x").request(Some(&node), &request, &Facts::default()).unwrap();
    let [notification] = &outcome.notifications[..] else { panic!("{outcome:?}") };
    let Audience::These(these) = &notification.audience else { panic!("{outcome:?}") };
    assert_eq!(these.to, [fixtures::jid("second@example.net")]);
    assert_eq!(
        format!("{:?}", notification.event.template(&these.variant)),
        "<message from='pubsub.example.net'><x xmlns='jabber:x:data' type='form'><title>PubSub subscriber request</title>\
        <instructions>To approve this entity's subscription request, click the OK button. To deny the request, click the cancel button.</instructions>\
        <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field>\
        <field var='pubsub#subid' type='hidden'><value>123-abc</value></field>\
        <field var='pubsub#node' type='text-single' label='Node ID'><value>n</value></field>\
        <field var='pubsub#subscriber_jid' type='jid-single' label='Subscriber Address'><value>horatio@denmark.lit</value></field>\
        <field var='pubsub#allow' type='boolean' label='Allow this JID to subscribe to this pubsub node?'><value>false</value></field></x></message>"
    );
}
