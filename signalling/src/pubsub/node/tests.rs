//! The machine by sections: what is asked of which node by whom, and all that comes of it, as lines of text.

mod affiliations;
mod authorize;
mod collection;
mod configure;
mod create;
mod publish;
mod retract;
mod subscribe;
mod subscriptions;
mod told;

mod properties;

use super::fixtures::*;
use super::*;
use crate::jid::Jid;
use crate::pubsub::context::{Facts, Standing};
use crate::pubsub::event::Audience;
use crate::pubsub::model::{Affiliation, Item};

/// An answer in one line: the payload without `<pubsub/>` around it, or the error's conditions.
fn reply_line(reply: &Reply) -> String {
    match reply {
        Reply::Empty => "empty".to_owned(),
        Reply::Payload(payload) => inner(&String::from_utf8_lossy(payload)),
        Reply::Items(request) => format!("items {:?} {:?}", request.max_items, request.ids),
        Reply::Partly(error) => {
            let payload = error.payload.as_ref().map(|payload| inner(&String::from_utf8_lossy(payload))).unwrap_or_default();
            format!("partly {}: {payload}", error_line(error))
        }
    }
}

fn inner(pubsub: &str) -> String {
    let start = pubsub.find('>').map_or(0, |at| at + 1);
    pubsub[start..].trim_end_matches("</pubsub>").to_owned()
}

fn error_line(error: &StanzaError) -> String {
    let extra = error.extra.as_ref().map(|extra| String::from_utf8_lossy(extra).into_owned()).unwrap_or_default();
    let name = extra.trim_start_matches('<').split([' ', '/']).next().unwrap_or_default().to_owned();
    let feature = extra.split("feature='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or_default();
    let line = format!("{} {} {name} {feature}", error.type_.name(), error.condition.name());
    line.trim_end().to_owned()
}

fn change_line(change: &Change) -> String {
    match change {
        Change::Create(node) => format!("create {} by {}", node.address.node, node.creator),
        Change::Delete { redirect } => format!("delete {redirect:?}"),
        Change::Configure(config) => format!("configure {} {}", config.node_type.name(), config.access_model.name()),
        Change::Affiliate(jid, affiliation) => format!("affiliate {jid} {}", affiliation.name()),
        Change::Subscribe(one) => format!("subscribe {} {} {}", one.jid, one.subid, one.state.name()),
        Change::Unsubscribe { jid, subid } => format!("unsubscribe {jid} {subid}"),
        Change::Publish { items, persist, max_items, .. } => {
            let ids: Vec<_> = items.iter().map(|item| &*item.id).collect();
            format!("publish {} persist={persist} max={max_items}", ids.join(" "))
        }
        Change::Retract(ids) => format!("retract {}", ids.join(" ")),
        Change::Purge => "purge".to_owned(),
    }
}

fn notification_line(notification: &Notification) -> String {
    let (to, variant) = match &notification.audience {
        Audience::Subscribers => ("subscribers".to_owned(), Default::default()),
        Audience::Collections => ("collections".to_owned(), Default::default()),
        Audience::These(these) => (these.to.iter().map(Jid::as_str).collect::<Vec<_>>().join(" "), these.variant.clone()),
    };
    let stanza = format!("{:?}", notification.event.template(&variant));
    let content = stanza.split_once('>').map(|(_, content)| content.trim_end_matches("</message>")).unwrap_or_default();
    let content = content.replace("<event xmlns='http://jabber.org/protocol/pubsub#event'>", "").replace("</event>", "");
    let content = content.split("<x xmlns='jabber:x:data'").next().unwrap_or_default();
    format!("tell {to}: {content}")
}

/// All that comes of a request, line by line.
fn lines(result: &Result<Outcome, StanzaError>) -> Vec<String> {
    match result {
        Err(error) => vec![error_line(error)],
        Ok(outcome) => {
            let mut lines = vec![reply_line(&outcome.reply)];
            lines.extend(outcome.changes.iter().map(change_line));
            lines.extend(outcome.notifications.iter().map(notification_line));
            for other in &outcome.others {
                lines.extend(other.changes.iter().map(|change| format!("{}: {}", other.node, change_line(change))));
                lines.extend(other.notifications.iter().map(|told| format!("{}: {}", other.node, notification_line(told))));
            }
            lines
        }
    }
}

/// Asks and compares.
#[track_caller]
fn check(asker: &Asker, node: Option<&Node>, set: bool, content: &str, expected: &[&str]) {
    check_with(asker, node, set, content, &Facts::default(), expected);
}

#[track_caller]
fn check_with(asker: &Asker, node: Option<&Node>, set: bool, content: &str, facts: &Facts<'_>, expected: &[&str]) {
    assert_eq!(lines(&asker.ask(node, set, content, facts)), expected, "{content}");
}

/// A form of a FORM_TYPE that is named by its last part.
fn form(type_: &str, fields: &[(&str, &[&str])]) -> String {
    let mut form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#{type_}</value></field>"
    );
    for (var, values) in fields {
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        form.push_str(&format!("<field var='pubsub#{var}'>{values}</field>"));
    }
    form + "</x>"
}

fn item(id: &str, publisher: &str, at_s: u64) -> Item {
    Item {
        id: id.to_owned(),
        publisher: jid(publisher),
        published_at: std::time::UNIX_EPOCH + std::time::Duration::from_secs(at_s),
        payload: Some("<p xmlns='urn:p'/>".into()),
    }
}

fn standing(requester: &Jid) -> Standing<'_> {
    Standing { requester, administers: false, may_create: true }
}

/// How many subscriptions each of these has.
fn subscriptions(of: &[(&str, u64)]) -> Facts<'static> {
    Facts { subscriptions: of.iter().map(|(jid, has)| (bare(jid), *has)).collect(), ..Facts::default() }
}

/// Publishers of items that are there.
fn publishers(items: &[(&str, &str)]) -> Facts<'static> {
    Facts { publishers: items.iter().map(|(id, publisher)| ((*id).to_owned(), jid(publisher))).collect(), ..Facts::default() }
}

fn affiliate(node: &mut Node, jid: &str, affiliation: Affiliation) {
    node.affiliations.insert(bare(jid), affiliation);
}

#[test]
fn every_section_a_node_that_is_not_there() {
    let me = asker("me@example.net/home");
    for (set, content) in [
        (false, "<subscriptions node='n'/>"),
        (false, "<affiliations node='n'/>"),
        (true, "<subscribe node='n' jid='me@example.net'/>"),
        (true, "<unsubscribe node='n' jid='me@example.net'/>"),
        (false, "<options node='n' jid='me@example.net'/>"),
        (false, "<default node='n'/>"),
        (false, "<items node='n'/>"),
        (true, "<retract node='n'><item id='1'/></retract>"),
        (false, "owner:<configure node='n'/>"),
        (true, "owner:<delete node='n'/>"),
        (true, "owner:<purge node='n'/>"),
        (false, "owner:<subscriptions node='n'/>"),
        (true, "owner:<subscriptions node='n'/>"),
        (false, "owner:<affiliations node='n'/>"),
        (true, "owner:<affiliations node='n'/>"),
        (true, "owner:<collection node='n'><associate node='m'/></collection>"),
    ] {
        check(&me, None, set, content, &["cancel item-not-found"]);
    }
    check(&Asker { may_create: false, ..me }, None, true, "<publish node='n'><item/></publish>", &["cancel item-not-found"]);
}

#[test]
fn s8_every_request_of_owners_is_forbidden_to_others() {
    let node = node("n");
    let me = asker("me@example.net/home");
    let configure = format!("owner:<configure node='n'>{}</configure>", form("node_config", &[("title", &["mine"])]));
    for (set, content) in [
        (false, "owner:<configure node='n'/>"),
        (true, &*configure),
        (true, "owner:<delete node='n'/>"),
        (true, "owner:<purge node='n'/>"),
        (false, "owner:<subscriptions node='n'/>"),
        (true, "owner:<subscriptions node='n'><subscription jid='me@example.net' subscription='subscribed'/></subscriptions>"),
        (false, "owner:<affiliations node='n'/>"),
        (true, "owner:<affiliations node='n'><affiliation jid='me@example.net' affiliation='owner'/></affiliations>"),
    ] {
        for affiliation in [Affiliation::Publisher, Affiliation::PublishOnly, Affiliation::Member, Affiliation::None, Affiliation::Outcast]
        {
            let mut node = node.clone();
            affiliate(&mut node, "me@example.net", affiliation);
            check(&me, Some(&node), set, content, &["auth forbidden"]);
        }
    }
    for action in [Action::Pending, Action::Decide { jid: jid("a@b"), subid: None, allow: true }] {
        let request = Request { node: Some("n".to_owned()), action };
        assert_eq!(lines(&me.request(Some(&node), &request, &Facts::default())), ["auth forbidden"]);
    }
}

/// A request costs as little as its sender may do: nothing is looked up, and nobody has to stand still, for one that will be refused anyway.
#[test]
fn nothing_is_looked_up_for_those_who_may_not() {
    let me = jid("me@example.org/x");
    let many: Vec<String> = (0..2_000).map(|n| format!("n{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let read = |content: &str| {
        let (ns, content) = content.strip_prefix("owner:").map_or(("", content), |content| ("#owner", content));
        let xml = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{content}</pubsub>");
        Request::read(crate::xml::Element::parse(xml.as_bytes(), &crate::xml::Bindings::empty()).unwrap().root(), true).unwrap()
    };
    let configured = |type_| form(type_, &[("collection", &["c"]), ("children", &["d"]), ("access_model", &["presence"])]);
    let config = configured("node_config");
    let options = configured("publish-options");
    let mut there = collection("n");
    there.config.access_model = crate::pubsub::config::AccessModel::Roster;
    for n in 0..10 {
        subscribe(&mut there, &format!("{n}@a"), "1", SubscriptionState::Subscribed);
    }
    for (node, content) in [
        (None, format!("<create node='n'/><configure>{config}</configure>")),
        (None, format!("<publish node='n'><item/></publish><publish-options>{options}</publish-options>")),
        (Some(&there), format!("<publish node='n'><item id='1'/></publish><publish-options>{options}</publish-options>")),
        (Some(&there), format!("<create node='n'/><configure>{config}</configure>")),
        (Some(&there), format!("owner:<configure node='n'>{config}</configure>")),
        (Some(&there), "owner:<delete node='n'/>".to_owned()),
        (Some(&there), "owner:<collection node='n'><associate node='m'/></collection>".to_owned()),
        (Some(&there), "owner:<subscriptions node='n'><subscription jid='a@a' subscription='subscribed'/></subscriptions>".to_owned()),
        (Some(&there), "owner:<affiliations node='n'><affiliation jid='a@a' affiliation='none'/></affiliations>".to_owned()),
        (Some(&there), "<subscribe node='n' jid='victim@a'/>".to_owned()),
    ] {
        let standing = Standing { may_create: false, ..standing(&me) };
        assert_eq!(wants(node, &read(&content), &standing), Default::default(), "{content}");
    }
    // Nor for lists that are too long.
    let config = form("node_config", &[("collection", &many), ("children", &many)]);
    for (node, content) in [
        (None, format!("<create node='n'/><configure>{config}</configure>")),
        (Some(&there), format!("owner:<configure node='n'>{config}</configure>")),
    ] {
        let wanted = wants(node, &read(&content), &standing(&jid("owner@example.net/x")));
        assert!(!wanted.touches_others(), "{content}");
        let found = asker("owner@example.net/x").request(node, &read(&content), &Facts::default());
        assert_eq!(lines(&found), ["modify not-acceptable"]);
    }
}
