//! The whole matrix: access model × affiliation × subscription × relation × action, against a table written from the specification's words
//! (§4.1, §4.5, §6.1.3, §6.5.1, §6.5.9, §7.1.3.1, §7.2.3.1) and not from the code.

use std::fmt;

use super::*;
use crate::pubsub::config::{NodeConfig, UpTo};
use crate::pubsub::context::Facts;
use crate::pubsub::node::fixtures::{self, Asker};
use crate::stanza::Condition;

/// Relations to the owner: how they are named in the table below.
const RELATIONS: [&str; 4] = ["stranger", "contact", "friend", "administrator"];
const STATES: [Option<SubscriptionState>; 4] =
    [None, Some(SubscriptionState::Pending), Some(SubscriptionState::Unconfigured), Some(SubscriptionState::Subscribed)];

fn relation(name: &str) -> Relation {
    match name {
        "stranger" => Relation::default(),
        "contact" => Relation { sees_presence: true, groups: vec!["others".to_owned()], administers: false },
        "friend" => Relation { sees_presence: true, groups: vec!["others".to_owned(), "friends".to_owned()], administers: false },
        "administrator" => Relation { administers: true, ..Relation::default() },
        _ => unreachable!("one of the names"),
    }
}

/// What comes of an action: a word of the table, or the conditions of the error.
fn word(error: &StanzaError) -> String {
    let extra = error.extra.as_ref().map(|extra| String::from_utf8_lossy(extra).into_owned()).unwrap_or_default();
    let name = extra.trim_start_matches('<').split([' ', '/']).next().unwrap_or_default();
    if name.is_empty() { error.condition.name().to_owned() } else { format!("{} {name}", error.condition.name()) }
}

/// §4.5, by words: who is let in by each access model, without affiliation. Columns: stranger, contact, friend.
const MODELS: [(AccessModel, [&str; 3]); 5] = [
    (AccessModel::Open, ["yes", "yes", "yes"]),
    (AccessModel::Presence, ["not-authorized presence-subscription-required", "yes", "yes"]),
    (AccessModel::Roster, ["not-authorized not-in-roster-group", "not-authorized not-in-roster-group", "yes"]),
    (AccessModel::Authorize, ["ask", "ask", "ask"]),
    (AccessModel::Whitelist, ["not-allowed closed-node", "not-allowed closed-node", "not-allowed closed-node"]),
];

/// §4.1: what an affiliation means whatever the model. Columns: subscribe, retrieve, publish; "model": as the models say.
const AFFILIATIONS: [(Affiliation, [&str; 3]); 6] = [
    (Affiliation::Owner, ["yes", "yes", "yes"]),
    (Affiliation::Publisher, ["yes", "yes", "yes"]),
    (Affiliation::PublishOnly, ["forbidden", "forbidden", "yes"]),
    (Affiliation::Member, ["yes", "yes", "model"]),
    (Affiliation::None, ["model", "model", "model"]),
    (Affiliation::Outcast, ["forbidden", "forbidden", "forbidden"]),
];

/// The table's opinion on subscribing, retrieving and publishing.
fn expected(
    access: AccessModel,
    publish: PublishModel,
    affiliation: Affiliation,
    subscription: Option<SubscriptionState>,
    relation: &str,
) -> [String; 3] {
    if relation == "administrator" {
        return ["yes", "yes", "yes"].map(str::to_owned);
    }
    let column = RELATIONS.iter().position(|name| *name == relation).unwrap();
    let by_model = MODELS.iter().find(|(model, _)| *model == access).unwrap().1[column];
    let [subscribe, retrieve, publishes] = AFFILIATIONS.iter().find(|(other, _)| *other == affiliation).unwrap().1;
    let subscribed = subscription == Some(SubscriptionState::Subscribed);
    let subscribe = if subscribe == "model" { by_model } else { subscribe };
    // §6.5.1: with `authorize`, only subscribed entities retrieve; a pending subscription is none (§6.5.9.3).
    let retrieve = match (retrieve, by_model) {
        ("model", "ask") if subscribed => "yes",
        ("model", "ask") => "not-authorized not-subscribed",
        ("model", model) => model,
        (word, _) => word,
    };
    let publishes = match (publishes, publish) {
        ("model", PublishModel::Publishers) => "forbidden",
        ("model", PublishModel::Subscribers) if !subscribed => "forbidden",
        ("model", _) => "yes",
        (word, _) => word,
    };
    [subscribe, retrieve, publishes].map(str::to_owned)
}

/// One cell of the matrix: what `me@example.net` is to a node and its owner.
struct Case {
    node: Node,
    affiliation: Affiliation,
    subscription: Option<SubscriptionState>,
    relation: &'static str,
    /// What is expected of subscribing, retrieving and publishing.
    expected: [String; 3],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, affiliation, subscription, relation, .. } = self;
        write!(f, "{:?} {:?} {affiliation:?} {subscription:?} {relation}", node.config.access_model, node.config.publish_model)
    }
}

/// All cells.
fn matrix() -> Vec<Case> {
    let me = fixtures::bare("me@example.net");
    let mut cases = Vec::new();
    for (access, _) in MODELS {
        for publish in PublishModel::ALL {
            for (affiliation, _) in AFFILIATIONS {
                for subscription in STATES {
                    for relation in RELATIONS {
                        let mut node = fixtures::node("n");
                        node.config.access_model = access;
                        node.config.publish_model = *publish;
                        node.config.roster_groups_allowed = vec!["friends".to_owned()];
                        if affiliation != Affiliation::None {
                            node.affiliations.insert(me.clone(), affiliation);
                        }
                        if let Some(state) = subscription {
                            fixtures::subscribe(&mut node, me.as_str(), "1", state);
                        }
                        let expected = expected(access, *publish, affiliation, subscription, relation);
                        cases.push(Case { node, affiliation, subscription, relation, expected });
                    }
                }
            }
        }
    }
    assert_eq!(cases.len(), 5 * 3 * 6 * 4 * 4);
    cases
}

#[test]
fn s4_the_matrix_of_access() {
    let (me, other) = (Jid::parse("me@example.net/home").unwrap(), Jid::parse("other@example.net/x").unwrap());
    for mut case in matrix() {
        let name = case.to_string();
        let Case { node, affiliation, relation: relation_name, expected: [subscribe, retrieve, publishes], .. } = &mut case;
        let relation = relation(relation_name);

        let found = match may_subscribe(node, &me.to_bare(), &relation) {
            Ok(Grant::Subscribed) => "yes".to_owned(),
            Ok(Grant::Pending) => "ask".to_owned(),
            Err(error) => word(&error),
        };
        assert_eq!(found, *subscribe, "subscribe: {name}");
        let found = may_retrieve(node, &me, &relation).map_or_else(|error| word(&error), |()| "yes".to_owned());
        assert_eq!(found, *retrieve, "retrieve: {name}");
        let found = may_publish(node, &me, &relation).map_or_else(|error| word(&error), |()| "yes".to_owned());
        assert_eq!(found, *publishes, "publish: {name}");

        // §4.1: an owner deletes any item, others their own; §8: all of the owner's use cases are the owner's.
        let owner = *affiliation == Affiliation::Owner || *relation_name == "administrator";
        assert_eq!(owns(node, &me, &relation), owner, "own: {name}");
        assert_eq!(may_retract(node, &me, &relation, &other), owner, "retract another's: {name}");
        let own = owner || *affiliation != Affiliation::Outcast;
        assert_eq!(may_retract(node, &me, &relation, &me), own, "retract one's own: {name}");
        let overwrite = owner || *affiliation == Affiliation::Publisher;
        assert_eq!(may_overwrite(node, &me, &relation), overwrite, "overwrite: {name}");

        // §14.3: a subscriber hears what it might subscribe to.
        let receive = matches!(&**subscribe, "yes" | "ask");
        assert_eq!(may_receive(node, &me.to_bare(), &relation), receive, "receive: {name}");
        let discover = receive || *retrieve == "yes" || *publishes == "yes";
        assert_eq!(may_discover(node, &me, &relation), discover, "discover: {name}");
        // XEP-0163 §6.2.
        node.service = ServiceKind::Pep;
        let discover = receive || *retrieve == "yes";
        assert_eq!(may_discover(node, &me, &relation), discover, "discover at an account: {name}");
    }
}

#[test]
fn s6_1_3_10_nobody_subscribes_where_that_is_switched_off() {
    let mut node = fixtures::node("n");
    node.config = NodeConfig { subscribe: false, max_items: UpTo::Number(3), ..node.config };
    for (jid, expected) in [("owner@example.net", Condition::FeatureNotImplemented), ("me@example.net", Condition::FeatureNotImplemented)] {
        let error = may_subscribe(&node, &BareJid::parse(jid).unwrap(), &Relation::default()).unwrap_err();
        assert_eq!(error.condition, expected);
    }
    assert!(may_retrieve(&node, &Jid::parse("me@example.net/x").unwrap(), &Relation::default()).is_ok());
}

#[test]
fn subscriptions_of_an_account_are_found_among_its_neighbours() {
    let mut node = fixtures::node("n");
    for jid in ["a@b", "a@b/0", "a@b/z", "a@b-c", "a@b.c", "a@b.c/d", "a@b0", "aa@b", "a@a/x"] {
        fixtures::subscribe(&mut node, jid, "1", SubscriptionState::Subscribed);
        fixtures::subscribe(&mut node, jid, "2", SubscriptionState::Subscribed);
    }
    let found: Vec<_> = node.subscriptions_of(&BareJid::parse("a@b").unwrap()).map(|found| found.jid.to_string()).collect();
    assert_eq!(found, ["a@b", "a@b", "a@b/0", "a@b/0", "a@b/z", "a@b/z"]);
    assert_eq!(node.subscriptions_of(&BareJid::parse("b").unwrap()).count(), 0);
}

/// What is asked, in which namespace and by which type, and which column of the table decides it.
const ACTIONS: [(&str, bool, &str); 15] = [
    ("subscribe", true, "<subscribe node='n' jid='me@example.net'/>"),
    ("subscribed", true, "<unsubscribe node='n' jid='me@example.net'/>"),
    ("subscribed", false, "<options node='n' jid='me@example.net'/>"),
    ("retrieve", false, "<items node='n'/>"),
    ("publish", true, "<publish node='n'><item id='new'><p xmlns='urn:p'/></item></publish>"),
    ("own item", true, "<retract node='n'><item id='mine'/></retract>"),
    ("owner", true, "<retract node='n'><item id='others'/></retract>"),
    ("owner", true, "owner:<purge node='n'/>"),
    ("owner", true, "owner:<delete node='n'/>"),
    ("owner", false, "owner:<configure node='n'/>"),
    (
        "owner",
        true,
        "owner:<configure node='n'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#title'><value>T</value></field></x></configure>",
    ),
    ("owner", false, "owner:<subscriptions node='n'/>"),
    ("owner", true, "owner:<subscriptions node='n'><subscription jid='nobody@a' subscription='none'/></subscriptions>"),
    ("owner", false, "owner:<affiliations node='n'/>"),
    ("owner", true, "owner:<affiliations node='n'><affiliation jid='x@a' affiliation='member'/></affiliations>"),
];

/// Each action asks for the access that it needs: the same matrix, through the machine.
#[test]
fn s4_the_matrix_of_access_by_each_action() {
    let me = "me@example.net/home";
    let publishers = [("mine", me), ("others", "other@example.net/x")].map(|(id, jid)| (id.to_owned(), Jid::parse(jid).unwrap()));
    let facts = Facts { publishers: publishers.into(), ..Facts::default() };
    for case in matrix() {
        let Case { node, affiliation, subscription, relation: name, expected: [subscribe, retrieve, publishes] } = &case;
        let asker = Asker { relation: relation(name), ..fixtures::asker(me) };
        let owner = *affiliation == Affiliation::Owner || *name == "administrator";
        for (column, set, content) in ACTIONS {
            let expected = match column {
                // §6.1.3.7.
                "subscribe" if matches!(&**subscribe, "yes" | "ask") && *subscription == Some(SubscriptionState::Pending) => {
                    "not-authorized pending-subscription"
                }
                "subscribe" if subscribe == "ask" => "yes",
                "subscribe" => subscribe,
                // §6.2.3.2, §6.3.4.2.
                "subscribed" if subscription.is_none() => "unexpected-request not-subscribed",
                "subscribed" => "yes",
                "retrieve" => retrieve,
                "publish" => publishes,
                "own item" if owner || *affiliation != Affiliation::Outcast => "yes",
                "owner" if owner => "yes",
                _ => "forbidden",
            };
            let found = asker.ask(Some(node), set, content, &facts);
            let found = found.map_or_else(|error| word(&error), |_| "yes".to_owned());
            assert_eq!(found, expected, "{content}: {case}");
        }
    }
}
