//! XEP-0248 §7.

use std::collections::BTreeMap;

use super::*;
use crate::pubsub::config::ChildrenPolicy;

const OWNER_FULL: &str = "owner@example.net/x";
const ASSOCIATE: &str = "owner:<collection node='n'><associate node='m'/></collection>";
const DISSOCIATE: &str = "owner:<collection node='n'><dissociate node='m'/></collection>";
const INVALID: &str = "cancel not-allowed invalid-options";

/// The graph of these nodes, as it is looked up.
fn facts(nodes: &[Node]) -> Facts<'_> {
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut parents = BTreeMap::new();
    for node in nodes {
        parents.insert(node.address.node.clone(), node.config.collection.clone());
        for parent in &node.config.collection {
            children.entry(parent.clone()).or_default().push(node.address.node.clone());
        }
    }
    Facts { nodes: nodes.iter().map(|node| (node.address.node.clone(), node)).collect(), children, parents, ..Facts::default() }
}

fn inside(mut node: Node, collections: &[&str]) -> Node {
    node.config.collection = collections.iter().map(|name| (*name).to_owned()).collect();
    node
}

fn configure(fields: &[(&str, &[&str])]) -> String {
    format!("owner:<configure node='n'>{}</configure>", form("node_config", fields))
}

#[test]
fn s7_5_association() {
    let nodes = [collection("n"), node("m")];
    check_with(
        &asker(OWNER_FULL),
        Some(&nodes[0]),
        true,
        ASSOCIATE,
        &facts(&nodes),
        &["empty", "tell subscribers: <collection node='n'><associate node='m'>", "m: configure leaf open"],
    );
    let outcome = asker(OWNER_FULL).ask(Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes)).unwrap();
    assert!(matches!(&outcome.others[0].changes[..], [Change::Configure(config)] if config.collection == ["n"]));
    // As it is already.
    let nodes = [collection("n"), inside(node("m"), &["n"])];
    check_with(&asker(OWNER_FULL), Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes), &["empty"]);
}

#[test]
fn s7_5_3_errors() {
    let owner = asker(OWNER_FULL);
    let nodes = [collection("n")];
    check_with(&owner, Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes), &["cancel item-not-found"]);
    let nodes = [node("n"), node("m")];
    check_with(&owner, Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes), &[INVALID]);
    // §7.5.3.2.
    let mut small = collection("n");
    small.config.children_max = Some(1);
    let nodes = [small, node("m"), inside(node("o"), &["n"])];
    check_with(&owner, Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes), &["cancel not-allowed max-nodes-exceeded"]);
    // §7.5.3.3: m is above n already, or n itself.
    let nodes = [inside(collection("n"), &["k"]), inside(collection("k"), &["m"]), collection("m")];
    check_with(&owner, Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes), &[INVALID]);
    let itself = "owner:<collection node='n'><associate node='n'/></collection>";
    check_with(&owner, Some(&nodes[0]), true, itself, &facts(&nodes), &[INVALID]);
}

#[test]
fn s7_5_3_1_who_may_associate() {
    let (owns_n, owns_m, owns_both) = ("n@a/x", "m@a/x", "both@a/x");
    for (policy, jid, may) in [
        (ChildrenPolicy::Owners, owns_n, false),
        (ChildrenPolicy::Owners, owns_m, false),
        (ChildrenPolicy::Owners, owns_both, true),
        (ChildrenPolicy::All, owns_n, false),
        (ChildrenPolicy::All, owns_m, true),
        (ChildrenPolicy::Whitelist, owns_m, true),
        (ChildrenPolicy::Whitelist, owns_both, true),
        (ChildrenPolicy::Whitelist, "other@a/x", false),
    ] {
        let (mut n, mut m) = (collection("n"), node("m"));
        n.config.children_association_policy = policy;
        n.config.children_association_whitelist = vec![bare("m@a"), bare("other@a")];
        for jid in ["n@a", "both@a"] {
            affiliate(&mut n, jid, Affiliation::Owner);
        }
        for jid in ["m@a", "both@a"] {
            affiliate(&mut m, jid, Affiliation::Owner);
        }
        let nodes = [n, m];
        let found = lines(&asker(jid).ask(Some(&nodes[0]), true, ASSOCIATE, &facts(&nodes)));
        assert_eq!(found[0], if may { "empty" } else { "auth forbidden" }, "{policy:?} {jid}");
        // §7.2.3.2: the same from the other side.
        if jid != owns_n {
            let content = format!("owner:<configure node='m'>{}</configure>", form("node_config", &[("collection", &["n"])]));
            let found = lines(&asker(jid).ask(Some(&nodes[1]), true, &content, &facts(&nodes)));
            assert_eq!(found[0], if may { "empty" } else { "auth forbidden" }, "{policy:?} {jid}");
        }
    }
}

#[test]
fn s7_6_dissociation() {
    let nodes = [collection("n"), inside(node("m"), &["k", "n"])];
    let expected = ["empty", "tell subscribers: <collection node='n'><dissociate node='m'/></collection>", "m: configure leaf open"];
    check_with(&asker(OWNER_FULL), Some(&nodes[0]), true, DISSOCIATE, &facts(&nodes), &expected);
    let outcome = asker(OWNER_FULL).ask(Some(&nodes[0]), true, DISSOCIATE, &facts(&nodes)).unwrap();
    assert!(matches!(&outcome.others[0].changes[..], [Change::Configure(config)] if config.collection == ["k"]));
    check_with(&asker("me@a/x"), Some(&nodes[0]), true, DISSOCIATE, &facts(&nodes), &["auth forbidden"]);
    let nodes = [collection("n"), node("m")];
    check_with(&asker(OWNER_FULL), Some(&nodes[0]), true, DISSOCIATE, &facts(&nodes), &["modify bad-request"]);
}

#[test]
fn s7_2_children_and_collections_by_the_form() {
    let owner = asker(OWNER_FULL);
    let nodes = [collection("n"), inside(node("gone"), &["n"]), node("new"), inside(node("stays"), &["n"]), collection("above")];
    check_with(
        &owner,
        Some(&nodes[0]),
        true,
        &configure(&[("children", &["stays", "new"]), ("collection", &["above"])]),
        &facts(&nodes),
        &[
            "empty",
            "configure collection open",
            "tell subscribers: <collection node='n'><associate node='new'>",
            "tell subscribers: <collection node='n'><dissociate node='gone'/></collection>",
            "above: tell subscribers: <collection node='above'><associate node='n'>",
            "new: configure leaf open",
            "gone: configure leaf open",
        ],
    );
    // The form shows them.
    let reply = lines(&owner.ask(Some(&nodes[0]), false, "owner:<configure node='n'/>", &facts(&nodes)));
    assert!(reply[0].contains("<value>gone</value><value>stays</value>"), "{reply:?}");
    for (children, collection, expected) in [
        (&["missing"][..], &[][..], "cancel item-not-found"),
        (&["n"], &[], INVALID),
        (&["above"], &["above"], INVALID),
        (&[], &["n"], INVALID),
        (&[], &["new"], INVALID),
        (&[], &["missing"], "cancel item-not-found"),
    ] {
        let content = configure(&[("children", children), ("collection", collection)]);
        check_with(&owner, Some(&nodes[0]), true, &content, &facts(&nodes), &[expected]);
    }
    let limited = configure(&[("children", &["gone", "new"]), ("children_max", &["1"])]);
    check_with(&owner, Some(&nodes[0]), true, &limited, &facts(&nodes), &["cancel not-allowed max-nodes-exceeded"]);
    // §7.2.3.1: not a leaf.
    let leaf = [node("n"), node("new")];
    check_with(&owner, Some(&leaf[0]), true, &configure(&[("children", &["new"])]), &facts(&leaf), &[INVALID]);
    // §7.2.1: the root node again.
    let nodes = [inside(node("n"), &["above"]), collection("above")];
    check_with(
        &owner,
        Some(&nodes[0]),
        true,
        &configure(&[("collection", &[""])]),
        &facts(&nodes),
        &["empty", "configure leaf open", "above: tell subscribers: <collection node='above'><dissociate node='n'/></collection>"],
    );
}

#[test]
fn s7_1_creation_inside_a_collection() {
    let nodes = [collection("above"), node("leaf")];
    let create = |parent: &str| format!("<create node='n'/><configure>{}</configure>", form("node_config", &[("collection", &[parent])]));
    let created = ["empty", "create n by owner@example.net", "tell collections: <create node='n'/>"];
    check_with(&asker(OWNER_FULL), None, true, &create("above"), &facts(&nodes), &created);
    check_with(&asker(OWNER_FULL), None, true, &create("leaf"), &facts(&nodes), &[INVALID]);
    check_with(&asker(OWNER_FULL), None, true, &create("missing"), &facts(&nodes), &["cancel item-not-found"]);
    check_with(&asker("me@a/x"), None, true, &create("above"), &facts(&nodes), &["auth forbidden"]);
}

#[test]
fn what_is_wanted_is_enough() {
    let read = |xml: &str, owner: bool| {
        let ns = if owner { "#owner" } else { "" };
        let xml = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{xml}</pubsub>");
        Request::read(crate::xml::Element::parse(xml.as_bytes(), &crate::xml::Bindings::empty()).unwrap().root(), true).unwrap()
    };
    let me = jid(OWNER_FULL);
    let n = inside(collection("n"), &["k"]);
    let found = wants(Some(&n), &read("<collection node='n'><associate node='m'/></collection>", true), &standing(&me));
    assert_eq!((found.nodes, found.children_of, found.ancestors_of), (vec!["m".to_owned()], vec!["n".to_owned()], vec!["n".to_owned()]));
    let form = form("node_config", &[("collection", &["p"]), ("children", &["c"])]);
    let found = wants(Some(&n), &read(&format!("<configure node='n'>{form}</configure>"), true), &standing(&me));
    assert_eq!(found.nodes, ["c", "k", "p"]);
    assert!(found.structure);
    assert_eq!(found.children_of, ["n", "p"]);
    assert_eq!(found.ancestors_of, ["k", "p"]);
    assert!(found.own_children);
}
