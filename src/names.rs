//! The names and addresses under which clients reach this server.

use std::net::SocketAddr;

use campanile_config::{Config, PublicAddress, told};
use campanile_relay::{Service, Transport};
use campanile_signalling::jid::BareJid;

/// What XEP-0215 calls the relay: its name, else the public addresses, else the domain.
pub fn turn_hosts(config: &Config) -> Vec<String> {
    let public = config.server.public_address.iter().map(|address| match address {
        PublicAddress::Ip(ip) => ip.to_string(),
        PublicAddress::Name(name) => name.clone(),
    });
    match &config.turn.host {
        Some(host) => vec![host.clone()],
        None if config.server.public_address.is_empty() => config.server.domains.iter().take(1).cloned().collect(),
        None => public.collect(),
    }
}

/// At which ports XEP-0215 says that the relay is, where it listens itself and on `server.mux`.
pub fn turn_ports(config: &Config, relay: &[Service], mux: &[SocketAddr]) -> Vec<(Transport, u16)> {
    let of = |transport| relay.iter().filter(|service| service.transport == transport).map(|service| service.local).collect::<Vec<_>>();
    let (udp, tcp, tls) = (of(Transport::Udp), of(Transport::Tcp), of(Transport::Tls));
    let mut kinds = told::kinds(config);
    // What listens on port 0 has another one.
    for (kind, bound) in kinds.iter_mut().zip([&udp[..], &tcp, &tls, mux]) {
        kind.listen = bound;
    }
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Tls];
    let each = transports.into_iter().zip(told::ports(&kinds));
    each.flat_map(|(transport, ports)| ports.into_iter().map(move |port| (transport, port))).collect()
}

/// Host (an address without brackets) and port of `http.public_url`, where it is one of HTTPS.
pub fn public_https(config: &Config) -> Option<(&str, u16)> {
    let authority = config.http.public_url.as_ref()?.strip_prefix("https://")?.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 443),
    };
    Some((host.trim_matches(['[', ']']), port))
}

/// What the certificate holds that this server makes for itself: all that clients may look for in it, be it needed or not.
pub fn of_self_made_certificate(config: &Config) -> Vec<String> {
    let mut names = config.server.domains.clone();
    names.extend(turn_hosts(config));
    names.extend(public_https(config).map(|(host, _)| host.to_owned()));
    names
}

/// Domains that cannot be those of addresses (RFC 7622 §3.2): symbols, which some registries sell, are no letters.
pub fn not_of_addresses(config: &Config) -> impl Iterator<Item = &str> {
    config.server.domains.iter().map(String::as_str).filter(|domain| !BareJid::parse(domain).is_ok_and(|jid| jid == *domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_made_certificate_holds_every_name_that_clients_are_told() {
        let mut config = Config::default();
        config.server.domains = vec!["example.org".to_owned(), "example.net".to_owned()];
        config.server.public_address =
            vec![PublicAddress::Ip([203, 0, 113, 7].into()), PublicAddress::Name("relay.example.org".to_owned())];
        config.http.public_url = Some("https://chat.example.org:5443/chat".to_owned());
        let held = of_self_made_certificate(&config);
        assert_eq!(held, ["example.org", "example.net", "203.0.113.7", "relay.example.org", "chat.example.org"]);
        config.turn.host = Some("turn.example.org".to_owned());
        assert_eq!(of_self_made_certificate(&config), ["example.org", "example.net", "turn.example.org", "chat.example.org"]);
    }

    #[test]
    fn host_and_port_of_the_public_url() {
        let mut config = Config::default();
        assert_eq!(public_https(&config), None);
        for (url, expected) in [
            ("https://chat.example.org", Some(("chat.example.org", 443))),
            ("https://chat.example.org:5443/xmpp", Some(("chat.example.org", 5443))),
            ("https://[2001:db8::7]", Some(("2001:db8::7", 443))),
            ("https://[2001:db8::7]:5443", Some(("2001:db8::7", 5443))),
            ("http://chat.example.org", None),
        ] {
            config.http.public_url = Some(url.to_owned());
            assert_eq!(public_https(&config), expected, "{url}");
        }
    }
}
