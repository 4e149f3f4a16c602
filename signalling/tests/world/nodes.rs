//! Requests of XEP-0060 as clients write them, and what comes of them.

use std::time::SystemTime;

use campanile_signalling::jid::BareJid;
use campanile_signalling::pubsub::model::{Node, NodeAddress};

use super::{Client, World};

/// The host of the domain that [`World`] serves.
pub const HOST: &str = "pubsub.localhost";

pub fn request(to: &str, type_: &str, ns: &str, content: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!("to='{to}' ") };
    format!("<iq {to}type='{type_}' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{content}</pubsub></iq>")
}

pub fn form(form_type: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>")).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#{form_type}</value></field>{fields}</x>"
    )
}

pub fn create(to: &str, node: &str, config: &[(&str, &str)]) -> String {
    request(to, "set", "", &format!("<create node='{node}'/><configure>{}</configure>", form("node_config", config)))
}

pub fn subscribe(to: &str, node: &str, jid: &str) -> String {
    request(to, "set", "", &format!("<subscribe node='{node}' jid='{jid}'/>"))
}

pub fn publish(to: &str, node: &str, id: &str) -> String {
    request(to, "set", "", &format!("<publish node='{node}'><item id='{id}'><entry xmlns='urn:x'>{id}</entry></item></publish>"))
}

pub fn items(to: &str, node: &str) -> String {
    request(to, "get", "", &format!("<items node='{node}'/>"))
}

/// Asks for something that works.
pub async fn done(client: &Client, stanza: &str) -> String {
    let answers = client.ask(stanza).await;
    let answer = answers.iter().find(|answer| answer.starts_with("<iq ")).unwrap_or_else(|| panic!("{stanza}: {answers:#?}")).clone();
    assert!(answer.contains("type='result'"), "{stanza}: {answer}");
    answer
}

/// Asks for something that is refused with these conditions: RFC 6120's and XEP-0060's.
pub async fn refused(client: &Client, stanza: &str, conditions: [&str; 2]) {
    let answer = client.ask(stanza).await.join("");
    let has = |condition| answer.contains(&format!("<{condition} xmlns="));
    assert!(answer.contains("type='error'") && conditions.into_iter().all(has), "{stanza}: {answer}");
}

/// The ids of items that a client was told of, in order.
pub fn told(client: &Client) -> Vec<String> {
    let id = |stanza: String| stanza.split("<item id='").nth(1).and_then(|rest| rest.split('\'').next()).map(str::to_owned);
    client.received().into_iter().filter_map(id).collect()
}

pub fn address(service: &str, node: &str) -> NodeAddress {
    NodeAddress { service: BareJid::parse(service).expect("a JID"), node: node.to_owned() }
}

/// Memory and database say the same of a node.
pub async fn same_in_memory_and_store(world: &World, address: &NodeAddress) {
    let mut in_memory = world.pubsub.node(address).await.expect("reads").map(|node| Node::clone(&node));
    let stored = world.store.pubsub().load(address, SystemTime::now()).await.expect("reads");
    if let Some(node) = in_memory.as_mut().filter(|node| !node.config.persist_items) {
        // §4.3: the last item of a transient node is in memory alone.
        node.last_item = None;
    }
    assert_eq!(in_memory, stored);
}
