//! §7.2, §8.5.

use super::*;

const RETRACT: &str = "<retract node='n'><item id='i'/></retract>";
const TOLD: &str = "tell subscribers: <items node='n'><retract id='i'/></items>";

#[test]
fn s7_2_2_success_and_notification() {
    let owner = asker("owner@example.net/x");
    let facts = publishers(&[("i", "someone@example.net/x")]);
    for (configured, notify, told) in [(true, "", true), (false, "", false), (true, " notify='0'", false), (false, " notify='true'", true)]
    {
        let mut node = node("n");
        node.config.notify_retract = configured;
        let content = format!("<retract node='n'{notify}><item id='i'/></retract>");
        let expected = ["empty", "retract i", TOLD];
        check_with(&owner, Some(&node), true, &content, &facts, &expected[..if told { 3 } else { 2 }]);
    }
}

#[test]
fn s7_2_3_errors() {
    let mut node = node("n");
    affiliate(&mut node, "publisher@example.net", Affiliation::Publisher);
    let facts = publishers(&[("i", "owner@example.net/x"), ("mine", "publisher@example.net/x")]);
    let publisher = asker("publisher@example.net/y");
    check_with(&publisher, Some(&node), true, RETRACT, &facts, &["auth forbidden"]);
    check_with(&publisher, Some(&node), true, "<retract node='n'><item id='gone'/></retract>", &facts, &["cancel item-not-found"]);
    // §12.11: all or none.
    for batch in ["<item id='mine'/><item id='i'/>", "<item id='i'/><item id='mine'/>"] {
        check_with(&publisher, Some(&node), true, &format!("<retract node='n'>{batch}</retract>"), &facts, &["auth forbidden"]);
    }
    let own = lines(&publisher.ask(Some(&node), true, "<retract node='n'><item id='mine'/></retract>", &facts));
    assert_eq!(own[..2], ["empty", "retract mine"]);
    // A stranger does not learn what is there.
    for id in ["i", "gone"] {
        let content = format!("<retract node='n'><item id='{id}'/></retract>");
        check_with(&asker("me@example.net/x"), Some(&node), true, &content, &facts, &["auth forbidden"]);
    }
    node.config.persist_items = false;
    check(&asker("owner@example.net/x"), Some(&node), true, RETRACT, &["cancel feature-not-implemented unsupported persistent-items"]);
    check(
        &asker("owner@example.net/x"),
        Some(&collection("n")),
        true,
        RETRACT,
        &["cancel feature-not-implemented unsupported persistent-items"],
    );
}

#[test]
fn s8_5_purge() {
    let owner = asker("owner@example.net/x");
    let mut node = node("n");
    check(&owner, Some(&node), true, "owner:<purge node='n'/>", &["empty", "purge", "tell subscribers: <purge node='n'/>"]);
    node.config.notify_retract = false;
    check(&owner, Some(&node), true, "owner:<purge node='n'/>", &["empty", "purge"]);
    node.config.persist_items = false;
    check(&owner, Some(&node), true, "owner:<purge node='n'/>", &["cancel feature-not-implemented unsupported persistent-items"]);
}

#[test]
fn the_last_item_follows_what_goes() {
    let mut node = node("n");
    node.last_item = Some(item("i", "a@b/c", 1));
    assert!(!node.apply(&Change::Retract(vec!["j".to_owned()])).last_item_unknown);
    assert!(node.last_item.is_some());
    assert!(node.apply(&Change::Retract(vec!["i".to_owned()])).last_item_unknown);
    assert_eq!(node.last_item, None);
}
