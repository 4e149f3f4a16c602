//! §8.1, §8.3, §8.4.

use super::*;
use crate::pubsub::model::NodeKind;

const ME: &str = "hamlet@denmark.lit/elsinore";

#[test]
fn s8_1_creation() {
    let created = ["empty", "create n by hamlet@denmark.lit", "tell collections: <create node='n'/>"];
    check(&asker(ME), None, true, "<create node='n'/>", &created);
    check(
        &asker(ME),
        None,
        true,
        "<create/>",
        &["<create node='new-1'/>", "create new-1 by hamlet@denmark.lit", "tell collections: <create node='new-1'/>"],
    );
    check(&asker(ME), Some(&node("n")), true, "<create node='n'/>", &["cancel conflict"]);
    check(&Asker { may_create: false, ..asker(ME) }, None, true, "<create node='n'/>", &["auth forbidden"]);
    check(&asker(ME), None, true, "<create node=' n'/>", &["modify not-acceptable"]);
    let facts = Facts { owned: LIMITS.nodes, ..Facts::default() };
    check_with(&asker(ME), None, true, "<create node='n'/>", &facts, &["wait policy-violation max-nodes-exceeded"]);
}

#[test]
fn s8_1_3_create_and_configure() {
    let content =
        format!("<create node='n'/><configure>{}</configure>", form("node_config", &[("title", &["T"]), ("node_type", &["collection"])]));
    let outcome = asker(ME).ask(None, true, &content, &Facts::default()).unwrap();
    let Change::Create(node) = &outcome.changes[0] else { panic!("{outcome:?}") };
    assert_eq!((&*node.config.title, node.kind), ("T", NodeKind::Collection));
    assert_eq!(node.affiliations, [(bare("hamlet@denmark.lit"), Affiliation::Owner)].into());
    let content = format!("<create node='n'/><configure>{}</configure>", form("node_config", &[("access_model", &["secret"])]));
    check(&asker(ME), None, true, &content, &["modify not-acceptable unsupported-access-model"]);
}

#[test]
fn x0163_s2_2_nodes_of_an_account_are_the_accounts() {
    let pep = Asker { kind: ServiceKind::Pep, ..asker("owner@example.net/balcony") };
    let outcome = pep.ask(None, true, "<create node='n'/>", &Facts::default()).unwrap();
    let Change::Create(node) = &outcome.changes[0] else { panic!("{outcome:?}") };
    assert_eq!(node.affiliations, [(bare(OWNER), Affiliation::Owner)].into());
    assert_eq!(node.service, ServiceKind::Pep);
}

#[test]
fn s8_3_default_configuration() {
    for (content, kind) in [("owner:<default/>", "leaf"), ("owner:<default type='collection'/>", "collection")] {
        let reply = lines(&asker(ME).ask(None, false, content, &Facts::default()));
        assert!(reply[0].starts_with("<default><x xmlns='jabber:x:data' type='form'>"), "{reply:?}");
        assert!(reply[0].contains(&format!("</option><value>{kind}</value></field>")), "{reply:?}");
        assert_eq!(reply[0].contains("pubsub#max_items"), kind == "leaf");
        assert_eq!(reply[0].contains("pubsub#children_max"), kind == "collection");
    }
}

#[test]
fn s8_4_deletion() {
    let mut node = node("n");
    let owner = asker("owner@example.net/x");
    check(&owner, Some(&node), true, "owner:<delete node='n'/>", &["empty", "delete None", "tell subscribers: <delete node='n'/>"]);
    check(
        &owner,
        Some(&node),
        true,
        "owner:<delete node='n'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>",
        &[
            "empty",
            "delete Some(\"xmpp:hamlet@denmark.lit?;node=blog\")",
            "tell subscribers: <delete node='n'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>",
        ],
    );
    node.config.notify_delete = false;
    check(&owner, Some(&node), true, "owner:<delete node='n'/>", &["empty", "delete None"]);
    check(&owner, None, true, "owner:<delete/>", &["cancel not-allowed"]);
}
