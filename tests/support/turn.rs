//! What XEP-0215 says of the relays, read over the wire.

use super::wire::{Wire, attribute};

/// One `<service/>`.
#[derive(Clone, Debug)]
pub struct Service {
    pub kind: String,
    pub host: String,
    pub port: u16,
    pub transport: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub text: String,
}

/// Asks the server for its services; `filter` is the rest of the payload's start tag, such as `type='turn'`.
pub fn services(wire: &mut Wire, filter: &str) -> Vec<Service> {
    let answer = wire.iq("extdisco", "type='get' to='localhost'", &format!("<services xmlns='urn:xmpp:extdisco:2' {filter}/>"));
    assert!(answer.contains("type='result'"), "{answer}");
    answer.split("<service ").skip(1).map(|part| service(part.split('>').next().expect("a tag"))).collect()
}

fn service(tag: &str) -> Service {
    let text = format!(" {tag}");
    let value = |name: &str| attribute(&text, name).map(str::to_owned);
    Service {
        kind: value("type").expect("type"),
        host: value("host").expect("host"),
        port: value("port").and_then(|port| port.parse().ok()).expect("port"),
        transport: value("transport").unwrap_or_default(),
        username: value("username"),
        password: value("password"),
        text: text.clone(),
    }
}

/// The relay of this kind (`turn`, `turns`) over this transport.
pub fn relay(wire: &mut Wire, kind: &str, transport: &str) -> Service {
    let all = services(wire, "");
    let found = all.iter().find(|service| service.kind == kind && service.transport == transport);
    found.cloned().unwrap_or_else(|| panic!("no {kind} over {transport} in {all:?}"))
}
