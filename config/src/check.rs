//! What needs more than one key, or more than a type, to judge. Pure: it opens no file and asks no name server.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::domain::{self, Reach};
use crate::{Config, Fence, Limits, Network, Origins, Problem, PublicAddress, Severity, key_path, told};

/// Everything wrong or suspicious in `config`; `origins` gives the places.
#[must_use]
pub fn check(config: &Config, origins: &Origins) -> Vec<Problem> {
    let mut findings = Findings { origins, problems: Vec::new() };
    not_built(config, &mut findings);
    domains(config, &mut findings);
    hosts(config, &mut findings);
    public_address(config, &mut findings);
    certificates(config, &mut findings);
    clear_text(config, &mut findings);
    ports(config, &mut findings);
    turn(config, &mut findings);
    told_ports(config, &mut findings);
    retention(config, &mut findings);
    limits(config, &mut findings);
    findings.problems
}

struct Findings<'a> {
    origins: &'a Origins,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.origins.problem(Severity::Error, key, message));
    }

    fn warning(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(self.origins.problem(Severity::Warning, key, message));
    }
}

/// Sections parse from the first release on; what does not work yet says so. The feature that builds it deletes its lines here.
fn not_built(config: &Config, findings: &mut Findings<'_>) {
    let listeners: [(&str, &[SocketAddr], &str); 8] = [
        ("s2s.listen", &config.s2s.listen, "connecting to other servers"),
        ("s2s.direct_tls", &config.s2s.direct_tls, "connecting to other servers"),
        ("components.listen", &config.components.listen, "external components"),
        ("proxy.listen", &config.proxy.listen, "the SOCKS5 proxy"),
        ("sip.udp", &config.sip.udp, "the SIP gateway"),
        ("sip.tcp", &config.sip.tcp, "the SIP gateway"),
        ("sip.tls", &config.sip.tls, "the SIP gateway"),
        ("cluster.nats", &[], "running several nodes"),
    ];
    for (key, addresses, what) in listeners {
        if !addresses.is_empty() {
            findings.error(key, format!("{what} is not built yet: only [] is possible in this release"));
        }
    }
    if config.cluster.nats.is_some() {
        findings.error("cluster.nats", "running several nodes is not built yet: leave the key out in this release");
    }
    let ignored = [("components.secrets", !config.components.secrets.is_empty(), "external components")];
    for (key, wanted, what) in ignored {
        if wanted {
            findings.warning(key, format!("{what} is not built yet: the key has no effect in this release"));
        }
    }
}

fn domains(config: &Config, findings: &mut Findings<'_>) {
    let domains = &config.server.domains;
    if domains.is_empty() {
        findings.error("server.domains", "a server needs at least one domain, such as [\"example.org\"]");
    }
    let mut seen = BTreeSet::new();
    for domain in domains {
        if !seen.insert(domain) {
            findings.error("server.domains", format!("`{domain}` stands here twice"));
        }
    }
    for admin in &config.server.admins {
        if let Some((_, domain)) = admin.split_once('@')
            && !domains.iter().any(|ours| ours == domain)
        {
            findings.warning("server.admins", format!("`{admin}` is no account of this server: `{domain}` is not among server.domains"));
        }
    }
    if config.server.data_dir.as_os_str().is_empty() {
        findings.error("server.data_dir", "a folder is needed; \".\" is the folder of the configuration file");
    }
    if config.server.drain_s > SECONDS_MAX {
        findings.error("server.drain_s", format!("at most {SECONDS_MAX} seconds, a year"));
    }
}

/// Domains of services: none may be one of the accounts, and each tells which service is meant.
fn hosts(config: &Config, findings: &mut Findings<'_>) {
    let services = [
        ("muc.host", &config.muc.host),
        ("pubsub.host", &config.pubsub.host),
        ("upload.host", &config.upload.host),
        ("proxy.host", &config.proxy.host),
    ];
    for (index, (key, template)) in services.iter().enumerate() {
        for host in config.server.domains.iter().map(|domain| template.host(domain)) {
            if config.server.domains.contains(&host) {
                findings.error(key, format!("`{host}` is a domain of accounts: a service needs one of its own"));
            }
            if let Some((other, _)) =
                services[..index].iter().find(|(_, other)| config.server.domains.iter().any(|domain| other.host(domain) == host))
            {
                findings.error(key, format!("`{host}` is the domain of {other}, too: each service needs one of its own"));
            }
        }
    }
}

/// Names of `server.public_address`; one is usual, one per family makes sense.
const NAMES_MAX: usize = 8;

fn public_address(config: &Config, findings: &mut Findings<'_>) {
    const KEY: &str = "server.public_address";
    let addresses = &config.server.public_address;
    for family in ["IPv4", "IPv6"] {
        let of_family = |address: &&PublicAddress| matches!(address, PublicAddress::Ip(ip) if ip.is_ipv4() == (family == "IPv4"));
        if addresses.iter().filter(of_family).count() > 1 {
            findings.error(KEY, format!("two {family} addresses; one per family can be told to clients"));
        }
    }
    let names = addresses.iter().filter(|address| matches!(address, PublicAddress::Name(_))).count();
    if names > NAMES_MAX {
        findings.error(KEY, format!("{names} host names; at most {NAMES_MAX} are looked up"));
    }
    let Some(domain) = config.server.domains.iter().find(|domain| domain::is_public(domain)) else { return };
    for address in addresses {
        match address {
            PublicAddress::Ip(ip) => {
                if let Reach::Local(kind) = domain::reach(*ip) {
                    let message = format!(
                        "{ip} is a {kind} address, but `{domain}` is a public domain: clients elsewhere cannot reach the relay at it"
                    );
                    findings.warning(KEY, message);
                }
            }
            PublicAddress::Name(name) if !domain::is_public(name) => {
                let message = format!("`{name}` is a local name, but `{domain}` is a public domain: clients elsewhere cannot look it up");
                findings.warning(KEY, message);
            }
            PublicAddress::Name(_) => {}
        }
    }
}

fn certificates(config: &Config, findings: &mut Findings<'_>) {
    match (&config.tls.certificate, &config.tls.key) {
        (Some(_), None) => findings.error("tls.certificate", "tls.key, the file with its private key, is missing"),
        (None, Some(_)) => findings.error("tls.key", "tls.certificate, the file with its certificate chain, is missing"),
        _ => {}
    }
    for host in config.tls.hosts.keys() {
        let wanted = config.server.domains.iter().any(|domain| {
            domain == host
                || [&config.muc.host, &config.pubsub.host, &config.upload.host, &config.proxy.host].iter().any(|t| t.host(domain) == *host)
        });
        let is_turn = config.turn.host.as_ref() == Some(host) || config.server.public_address.contains(&PublicAddress::Name(host.clone()));
        if !wanted && !is_turn {
            findings.warning(
                &key_path(&["tls", "hosts", host]),
                format!("`{host}` is no domain of this server, so nobody will ask for its certificate"),
            );
        }
    }
}

fn clear_text(config: &Config, findings: &mut Findings<'_>) {
    let outside = |addresses: &[SocketAddr]| addresses.iter().copied().find(|address| !address.ip().to_canonical().is_loopback());
    if !config.c2s.require_tls
        && let Some(address) = outside(&config.c2s.listen)
    {
        let message = format!(
            "false while c2s.listen has {address}, which others can reach: passwords and messages may cross the network unprotected"
        );
        findings.warning("c2s.require_tls", message);
    }
    if let Some(address) = outside(&config.http.listen) {
        let message = format!(
            "{address} serves HTTP in clear to others than this machine; use http.tls_listen, or a reverse proxy before a loopback address"
        );
        findings.warning("http.listen", message);
    }
    if let Some(address) = outside(&config.admin.listen) {
        findings.warning(
            "admin.listen",
            format!("{address} shows /metrics, /health and /ready, which need no log-in, to others than this machine"),
        );
    }
    if config.http.public_url.as_ref().is_some_and(|url| url.starts_with("http://"))
        && config.server.domains.iter().any(|d| domain::is_public(d))
    {
        findings.warning("http.public_url", "browsers allow calls on https addresses only");
    }
    tcp_proxies(config, findings);
    for network in &config.http.trusted_proxies {
        if network.prefix() == 0 {
            findings.warning(
                "http.trusted_proxies",
                format!("{network} is everybody: any client could claim any address and a secure connection"),
            );
        }
    }
}

/// PROXY headers: who may send them, and who then must.
fn tcp_proxies(config: &Config, findings: &mut Findings<'_>) {
    let (server, c2s, http, turn) = (&config.server, &config.c2s, &config.http, &config.turn);
    let lists = [
        ("server.proxy_protocol", &server.proxy_protocol, [&server.mux, &server.mux], "server.mux is []"),
        ("c2s.proxy_protocol", &c2s.proxy_protocol, [&c2s.listen, &c2s.direct_tls], "c2s.listen and c2s.direct_tls are both []"),
        ("http.proxy_protocol", &http.proxy_protocol, [&http.listen, &http.tls_listen], "http.listen and http.tls_listen are both []"),
        ("turn.proxy_protocol", &turn.proxy_protocol, [&turn.tcp, &turn.tls], "turn.tcp and turn.tls are both []"),
    ];
    for (key, networks, listeners, none) in lists {
        if !networks.is_empty() && listeners.iter().all(|list| list.is_empty()) {
            findings.warning(key, format!("has no effect: {none}"));
        }
        for network in networks.iter().filter(|network| network.prefix() == 0) {
            findings.warning(
                key,
                format!("{network} is everybody: any client could claim any address, and none could do without a PROXY header"),
            );
        }
    }
}

/// One listener: its key, transport and addresses.
type Listener<'a> = (&'static str, Transport, &'a [SocketAddr]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

/// Every listener that can be open. Others join when they are built.
fn listeners(config: &Config) -> [Listener<'_>; 9] {
    [
        ("server.mux", Transport::Tcp, &config.server.mux),
        ("c2s.listen", Transport::Tcp, &config.c2s.listen),
        ("c2s.direct_tls", Transport::Tcp, &config.c2s.direct_tls),
        ("http.listen", Transport::Tcp, &config.http.listen),
        ("http.tls_listen", Transport::Tcp, &config.http.tls_listen),
        ("admin.listen", Transport::Tcp, &config.admin.listen),
        ("turn.udp", Transport::Udp, &config.turn.udp),
        ("turn.tcp", Transport::Tcp, &config.turn.tcp),
        ("turn.tls", Transport::Tcp, &config.turn.tls),
    ]
}

fn ports(config: &Config, findings: &mut Findings<'_>) {
    let all: Vec<(&str, Transport, SocketAddr)> =
        listeners(config).into_iter().flat_map(|(key, transport, addresses)| addresses.iter().map(move |a| (key, transport, *a))).collect();
    for (index, (key, transport, address)) in all.iter().enumerate() {
        if let Some((other_key, _, other)) =
            all[..index].iter().find(|(_, other_transport, other)| transport == other_transport && collide(*address, *other))
        {
            let whose = if key == other_key { "this list".to_owned() } else { (*other_key).to_owned() };
            findings.error(key, format!("{address} collides with {other} of {whose}; give one of them another port"));
        }
        if *transport == Transport::Udp && config.turn.ports.contains(address.port()) {
            let message = format!("{address} lies within turn.ports, from which relayed addresses are taken; use a port outside of them");
            findings.warning(key, message);
        }
    }
    discovery_ports(config, findings);
    let (turn, relay) = (config.turn.ports, config.relay.ports);
    if turn.first <= relay.last && relay.first <= turn.last {
        let message = format!("overlaps turn.ports [{}, {}]: the two relays would take each other's ports", turn.first, turn.last);
        findings.warning("relay.ports", message);
    }
    if turn.first < 1024 {
        findings.warning("turn.ports", "ports below 1024 are reserved for system services and need privileges");
    }
    let ways_in = [&config.server.mux, &config.c2s.listen, &config.c2s.direct_tls, &config.http.listen, &config.http.tls_listen];
    if ways_in.iter().all(|list| list.is_empty()) {
        findings.warning(
            "c2s.listen",
            "no client can log in: server.mux, c2s.listen, c2s.direct_tls, http.listen and http.tls_listen are all []",
        );
    }
}

/// RFC 5780 §6: both addresses with both ports, which may well be those of turn.udp.
fn discovery_ports(config: &Config, findings: &mut Findings<'_>) {
    for address in &config.turn.nat_discovery {
        if config.turn.ports.contains(address.port()) {
            let message = format!("{address} lies within turn.ports, from which relayed addresses are taken; use a port outside of them");
            findings.warning("turn.nat_discovery", message);
        }
    }
}

/// Whether two listeners cannot both be bound. `[::]` serves both families.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let (ip_a, ip_b) = (a.ip().to_canonical(), b.ip().to_canonical());
    let both_families = |ip: IpAddr| ip == IpAddr::from([0u16; 8]);
    let covers = |wide: IpAddr, ip: IpAddr| wide.is_unspecified() && (both_families(wide) || wide.is_ipv4() == ip.is_ipv4());
    a.port() != 0 && a.port() == b.port() && (ip_a == ip_b || covers(ip_a, ip_b) || covers(ip_b, ip_a))
}

fn turn(config: &Config, findings: &mut Findings<'_>) {
    let turn = &config.turn;
    let serves = [&turn.udp, &turn.tcp, &turn.tls, &config.server.mux].iter().any(|list| !list.is_empty());
    if config.auth.registration && serves {
        let message = "anyone may make an account, and every account may use the TURN relay: strangers will send their traffic through this server; \
                       set auth.registration = false, or turn.udp, turn.tcp, turn.tls and server.mux to []";
        findings.warning("auth.registration", message);
    }
    if turn.anonymous && !config.auth.anonymous {
        findings.warning("turn.anonymous", "has no effect without auth.anonymous = true: there are no anonymous sessions");
    }
    if turn.anonymous && config.auth.anonymous && serves {
        let message = "anyone may log in without an account and use the TURN relay: strangers will send their traffic through this server";
        findings.warning("turn.anonymous", message);
    }
    if !serves {
        for key in ["turn.host", "turn.secret", "turn.fence", "turn.nat_discovery", "turn.anonymous"] {
            if findings.origins.is_set(key) {
                findings.warning(key, "has no effect while turn.udp, turn.tcp, turn.tls and server.mux are all []");
            }
        }
    }
    if turn.secret.as_ref().is_some_and(|secret| secret.expose().len() < 16) {
        findings.warning("turn.secret", "shorter than 16 characters: who guesses it can use the relay without an account");
    }
    if turn.secret.is_some() && turn.fence == Fence::Session {
        findings.warning("turn.fence", "does not hold for names made with turn.secret: their calls are not seen");
    }
    if !(60..=SECONDS_MAX).contains(&turn.credentials_s) {
        findings.error("turn.credentials_s", format!("a number of seconds from 60 to {SECONDS_MAX}, a year"));
    }
    match turn.nat_discovery.as_slice() {
        [] => {}
        [first, second] => {
            let is_apart = first.ip() != second.ip() && first.port() != second.port();
            let is_usable = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
            if !is_apart || first.is_ipv4() != second.is_ipv4() || !is_usable(first) || !is_usable(second) {
                let message = "two addresses of one family that differ both in IP address and in port, such as \
                               [\"203.0.113.7:3478\", \"203.0.113.8:3479\"]";
                findings.error("turn.nat_discovery", message);
            }
        }
        _ => findings.error("turn.nat_discovery", "either no address or two"),
    }
    for network in &turn.allow_peers {
        if turn.deny_peers.iter().any(|denied| inside(network, denied)) {
            findings.warning("turn.allow_peers", format!("{network} has no effect: turn.deny_peers closes it again"));
        }
        let dangerous = ["127.0.0.1", "::1", "169.254.169.254"].into_iter().filter_map(|text| text.parse().ok());
        if let Some(address) = dangerous.into_iter().find(|address| network.contains(*address)) {
            let message = format!("{network} holds {address}: every account could reach services of this machine that trust local senders");
            findings.warning("turn.allow_peers", message);
        }
    }
    if let Some(host) = &turn.host
        && !domain::is_public(host)
        && let Some(domain) = config.server.domains.iter().find(|domain| domain::is_public(domain))
    {
        findings.warning(
            "turn.host",
            format!("`{host}` is a local name or address, but `{domain}` is a public domain: clients elsewhere cannot reach it"),
        );
    }
}

/// Where clients are told that the relay is, and whether they find it there.
fn told_ports(config: &Config, findings: &mut Findings<'_>) {
    let kinds = told::kinds(config);
    let told = told::ports(&kinds);
    for (kind, ports) in kinds.iter().zip(&told) {
        let (key, public_key) = (kind.key, kind.public_key);
        if kind.public_port.is_some() && kind.listen.is_empty() {
            findings.warning(public_key, format!("has no effect: {key} is []"));
        }
        if !kind.listen.is_empty() && ports.is_empty() {
            let message = format!(
                "nobody but this machine reaches it, so clients are not told of a relay there; set {public_key} to the proxy's port"
            );
            findings.warning(key, message);
        }
    }
    for (index, kind) in kinds.iter().enumerate().skip(2) {
        let is_same = |other: &usize| {
            (kind.public_port.is_some() || kinds[*other].public_port.is_some())
                && told[*other].iter().any(|port| told[index].contains(port))
        };
        if let Some(other) = (1..index).find(is_same) {
            let message =
                format!("clients are told the same port for {} and {}: only one of them can be there", kinds[other].key, kind.key);
            findings.warning(kind.public_key, message);
        }
    }
    let [_, tcp, tls, mux] = kinds;
    // Their proxy may listen on the same port, on another machine: then the key says so.
    for (key, networks, behind) in [
        ("server.proxy_protocol", &config.server.proxy_protocol, &[mux][..]),
        ("turn.proxy_protocol", &config.turn.proxy_protocol, &[tcp, tls]),
    ] {
        let is_told_as_bound = behind.iter().any(|kind| kind.listen.iter().any(|address| !address.ip().to_canonical().is_loopback()));
        if !networks.is_empty() && is_told_as_bound && behind.iter().all(|kind| kind.public_port.is_none()) {
            let keys: Vec<_> = behind.iter().map(|kind| kind.public_key).collect();
            let message = format!("clients are told the ports that this server listens on; set {} to the proxy's", keys.join(" or "));
            findings.warning(key, message);
        }
    }
}

/// Whether all of `inner` lies in `outer`.
fn inside(inner: &Network, outer: &Network) -> bool {
    outer.prefix() <= inner.prefix() && outer.contains(inner.address())
}

/// A century; longer times are mistakes.
const DAYS_MAX: u32 = 36_525;

fn retention(config: &Config, findings: &mut Findings<'_>) {
    for (key, days) in [("archive.keep_days", config.archive.keep_days), ("offline.keep_days", config.offline.keep_days)] {
        if !(1..=DAYS_MAX).contains(&days) {
            findings.error(key, format!("a number of days from 1 to {DAYS_MAX}"));
        }
    }
}

/// A year; longer times are mistakes.
const SECONDS_MAX: u64 = 31_536_000;

fn limits(config: &Config, findings: &mut Findings<'_>) {
    let limits = &config.limits;
    let mut in_range = true;
    for (name, value) in limits.each() {
        let (max, what) = if name.ends_with("_s") { (SECONDS_MAX, "seconds") } else { (u64::from(u32::MAX), "") };
        if !(1..=max).contains(&value) {
            findings.error(
                &key_path(&["limits", name]),
                format!("{value} is not a limit; a number from 1 to {max} {what}").trim_end().to_owned(),
            );
            in_range = false;
        }
    }
    if !in_range {
        return;
    }
    if limits.stanza_bytes < 10_000 {
        findings.error("limits.stanza_bytes", "RFC 6120 §13.12 demands that stanzas of 10000 bytes pass");
    }
    if limits.stanza_bytes_preauth < 2_048 {
        findings.error("limits.stanza_bytes_preauth", "less than 2048 bytes would cut off log-ins");
    }
    let pairs = [
        ("stanza_bytes_preauth", limits.stanza_bytes_preauth, "stanza_bytes", limits.stanza_bytes),
        ("connections_per_source", limits.connections_per_source as usize, "connections", limits.connections as usize),
        ("calls_per_account", limits.calls_per_account, "calls", limits.calls),
        ("allocations_per_account", limits.allocations_per_account, "allocations", limits.allocations),
        ("allocations_per_source", limits.allocations_per_source, "allocations", limits.allocations),
        ("permissions", limits.permissions, "permissions_per_account", limits.permissions_per_account),
        ("channels", limits.channels, "channels_per_account", limits.channels_per_account),
        ("allocations", limits.allocations, "the number of turn.ports", config.turn.ports.count()),
        ("pubsub_payload_bytes", limits.pubsub_payload_bytes, "stanza_bytes", limits.stanza_bytes),
        ("pubsub_payload_bytes", limits.pubsub_payload_bytes, "pubsub_bytes", limits.pubsub_bytes),
    ];
    for (small, value, large, bound) in pairs {
        if value > bound {
            let large = if large.contains(' ') { large.to_owned() } else { format!("limits.{large}") };
            findings.warning(&key_path(&["limits", small]), format!("{value} is more than {large}, {bound}, and so never reached"));
        }
    }
    if limits.mailbox_bytes < limits.stanza_bytes {
        let message = format!("{} is less than limits.stanza_bytes: the largest stanzas could never be delivered", limits.mailbox_bytes);
        findings.error("limits.mailbox_bytes", message);
    }
    rooms(limits, findings);
    if (limits.bytes_burst as usize) < limits.stanza_bytes {
        findings.warning("limits.bytes_burst", "less than limits.stanza_bytes: a large stanza waits for the rate even on an idle stream");
    }
    if limits.relay_early_bytes_per_second > limits.relay_bytes_per_second {
        findings.warning(
            "limits.relay_early_bytes_per_second",
            "more than limits.relay_bytes_per_second: a call is slowed when it is accepted",
        );
    }
    if limits.stun_answers_burst < limits.stun_answers_per_second {
        findings.warning("limits.stun_answers_burst", "less than limits.stun_answers_per_second, which is then never reached");
    }
    if limits.stanza_depth < 8 {
        findings.error("limits.stanza_depth", "ordinary stanzas nest up to 8 deep");
    }
}

/// Bytes of an ordinary stanza in a room, with what the room adds to it.
const ROOM_STANZA_BYTES: usize = 512;

/// What a newcomer gets at once has its share of a mailbox: half of it is for presence, an eighth for what was said.
fn rooms(limits: &Limits, findings: &mut Findings<'_>) {
    for (name, count, what, share, share_name) in
        [("room_occupants", limits.room_occupants, "presence", 2, "half"), ("room_history", limits.room_history, "history", 8, "an eighth")]
    {
        let bound = limits.mailbox_bytes / share / ROOM_STANZA_BYTES;
        if count > bound {
            let message = format!(
                "{count} is more than a room will have: its {what} is bounded by {share_name} of limits.mailbox_bytes, which is enough for \
                 about {bound}"
            );
            findings.warning(&key_path(&["limits", name]), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use std::num::NonZeroU16;

    type Case = (fn(&mut Config), Severity, &'static str, &'static str);

    fn findings(change: fn(&mut Config)) -> Vec<Problem> {
        let mut config = Config::default();
        change(&mut config);
        check(&config, &Origins::default())
    }

    fn secret(text: &str) -> Option<Secret> {
        #[derive(serde::Deserialize)]
        struct Holder {
            secret: Secret,
        }
        Some(toml::from_str::<Holder>(&format!("secret = '{text}'")).unwrap().secret)
    }

    #[test]
    fn the_default_has_nothing_to_complain_about() {
        assert_eq!(check(&Config::default(), &Origins::default()), []);
    }

    /// The README's HAProxy, with the port at which it listens.
    #[test]
    fn a_port_behind_a_proxy_whose_public_one_is_set_is_quiet() {
        let found = findings(|c| {
            c.server.mux = vec![([127, 0, 0, 1], 8443).into()];
            c.server.mux_public_port = NonZeroU16::new(443);
            c.server.proxy_protocol = vec!["127.0.0.1".parse().unwrap()];
        });
        assert_eq!(found, []);
    }

    #[test]
    fn each_mistake_is_found_under_its_key() {
        use Severity::{Error, Warning};
        let cases: &[Case] = &[
            (|c| c.server.domains.clear(), Error, "server.domains", "at least one"),
            (|c| c.server.domains.push("localhost".into()), Error, "server.domains", "twice"),
            (|c| c.server.admins.push("a@example.org".into()), Warning, "server.admins", "server.domains"),
            (|c| c.server.domains.push("pubsub.localhost".into()), Error, "pubsub.host", "domain of accounts"),
            (|c| c.pubsub.host = c.muc.host.clone(), Error, "pubsub.host", "domain of muc.host"),
            (|c| c.limits.pubsub_payload_bytes = 300_000, Warning, "limits.pubsub_payload_bytes", "limits.stanza_bytes"),
            (|c| c.limits.pubsub_bytes = 100_000, Warning, "limits.pubsub_payload_bytes", "limits.pubsub_bytes"),
            (|c| c.s2s.listen.push(([0u16; 8], 5269).into()), Error, "s2s.listen", "not built yet"),
            (|c| c.sip.udp.push(([0u16; 8], 5060).into()), Error, "sip.udp", "not built yet"),
            (|c| c.proxy.listen.push(([0u16; 8], 7777).into()), Error, "proxy.listen", "not built yet"),
            (|c| c.components.listen.push(([0u16; 8], 5347).into()), Error, "components.listen", "not built yet"),
            (|c| c.server.mux.push(([0u16; 8], 5222).into()), Error, "c2s.listen", "server.mux"),
            (|c| c.server.proxy_protocol = vec!["10.0.0.1".parse().unwrap()], Warning, "server.proxy_protocol", "server.mux is []"),
            (|c| c.turn.proxy_protocol = vec!["0.0.0.0/0".parse().unwrap()], Warning, "turn.proxy_protocol", "everybody"),
            (|c| c.server.mux = vec![([127, 0, 0, 1], 8443).into()], Warning, "server.mux", "server.mux_public_port"),
            (|c| c.server.mux_public_port = NonZeroU16::new(443), Warning, "server.mux_public_port", "server.mux is []"),
            (|c| c.turn.tls_public_port = NonZeroU16::new(3478), Warning, "turn.tls_public_port", "the same port for turn.tcp"),
            (|c| c.turn.proxy_protocol = vec!["10.0.0.1".parse().unwrap()], Warning, "turn.proxy_protocol", "turn.tls_public_port"),
            (
                |c| {
                    c.http.proxy_protocol = vec!["10.0.0.1".parse().unwrap()];
                    (c.http.listen, c.http.tls_listen) = (Vec::new(), Vec::new());
                },
                Warning,
                "http.proxy_protocol",
                "no effect",
            ),
            (|c| c.cluster.nats = Some("nats://127.0.0.1".into()), Error, "cluster.nats", "not built yet"),
            (
                |c| {
                    c.server.domains = vec!["example.org".into()];
                    c.server.public_address = vec![PublicAddress::Ip([192, 168, 1, 2].into())];
                },
                Warning,
                "server.public_address",
                "private address",
            ),
            (
                |c| c.server.public_address = vec![PublicAddress::Ip([9, 9, 9, 9].into()), PublicAddress::Ip([8, 8, 8, 8].into())],
                Error,
                "server.public_address",
                "two IPv4",
            ),
            (
                |c| c.server.public_address = vec![PublicAddress::Name("relay.example.org".into()); 9],
                Error,
                "server.public_address",
                "at most 8",
            ),
            (|c| c.tls.certificate = Some("c".into()), Error, "tls.certificate", "tls.key"),
            (|c| c.tls.key = Some("k".into()), Error, "tls.key", "tls.certificate"),
            (|c| c.c2s.require_tls = false, Warning, "c2s.require_tls", "c2s.listen"),
            (|c| c.http.listen = vec![([0u16; 8], 5280).into()], Warning, "http.listen", "clear"),
            (|c| c.admin.listen = vec![([0u16; 8], 5380).into()], Warning, "admin.listen", "others"),
            (|c| c.http.trusted_proxies = vec!["::/0".parse().unwrap()], Warning, "http.trusted_proxies", "everybody"),
            (|c| c.c2s.direct_tls = vec![([127, 0, 0, 1], 5222).into()], Error, "c2s.direct_tls", "collides with [::]:5222 of c2s.listen"),
            (|c| c.turn.tls = c.turn.tcp.clone(), Error, "turn.tls", "turn.tcp"),
            (|c| c.turn.udp = vec![([0u16; 8], 50000).into()], Warning, "turn.udp", "turn.ports"),
            (|c| c.relay.ports = crate::PortRange::new(40000, 50000), Warning, "relay.ports", "turn.ports"),
            (|c| c.auth.registration = true, Warning, "auth.registration", "TURN relay"),
            (|c| c.turn.anonymous = true, Warning, "turn.anonymous", "auth.anonymous"),
            (|c| c.turn.secret = secret("short"), Warning, "turn.secret", "16"),
            (
                |c| {
                    c.turn.secret = secret("a long enough secret");
                    c.turn.fence = Fence::Session;
                },
                Warning,
                "turn.fence",
                "turn.secret",
            ),
            (|c| c.limits.relay_bytes_per_second = 1_000, Warning, "limits.relay_early_bytes_per_second", "relay_bytes_per_second"),
            (|c| c.limits.stun_answers_burst = 1, Warning, "limits.stun_answers_burst", "stun_answers_per_second"),
            (|c| c.limits.permissions = 2_000, Warning, "limits.permissions", "permissions_per_account"),
            (|c| c.turn.credentials_s = 0, Error, "turn.credentials_s", "60"),
            (|c| c.turn.nat_discovery = vec![([9, 9, 9, 9], 1).into()], Error, "turn.nat_discovery", "two"),
            (|c| c.turn.nat_discovery = vec![([9, 9, 9, 9], 1).into(), ([9, 9, 9, 8], 1).into()], Error, "turn.nat_discovery", "differ"),
            (|c| c.turn.nat_discovery = vec![([9, 9, 9, 9], 1).into(), ([0; 4], 2).into()], Error, "turn.nat_discovery", "differ"),
            (
                |c| c.turn.nat_discovery = vec![([9, 9, 9, 9], 50_000).into(), ([9, 9, 9, 8], 2).into()],
                Warning,
                "turn.nat_discovery",
                "within turn.ports",
            ),
            (|c| c.turn.allow_peers = vec!["127.0.0.0/8".parse().unwrap()], Warning, "turn.allow_peers", "127.0.0.1"),
            (
                |c| {
                    c.turn.allow_peers = vec!["10.1.0.0/16".parse().unwrap()];
                    c.turn.deny_peers = vec!["10.0.0.0/8".parse().unwrap()];
                },
                Warning,
                "turn.allow_peers",
                "no effect",
            ),
            (|c| c.limits.roster_items = 0, Error, "limits.roster_items", "from 1"),
            (|c| c.limits.room_occupants = 0, Error, "limits.room_occupants", "from 1"),
            (|c| c.limits.rooms_per_account = 0, Error, "limits.rooms_per_account", "from 1"),
            (|c| c.limits.room_occupants = 5_000, Warning, "limits.room_occupants", "half of limits.mailbox_bytes"),
            (|c| c.limits.room_history = 1_000, Warning, "limits.room_history", "an eighth of limits.mailbox_bytes"),
            (|c| c.limits.mailbox_bytes = 262_144, Warning, "limits.room_occupants", "about 256"),
            (|c| c.limits.handshake_s = u64::MAX, Error, "limits.handshake_s", "31536000 seconds"),
            (|c| c.limits.stanza_bytes = 9999, Error, "limits.stanza_bytes", "10000"),
            (|c| c.limits.mailbox_bytes = 20000, Error, "limits.mailbox_bytes", "stanza_bytes"),
            (|c| c.limits.allocations = 20000, Warning, "limits.allocations", "turn.ports"),
        ];
        for (index, (change, severity, key, word)) in cases.iter().enumerate() {
            let found = findings(*change);
            let hit = found.iter().any(|p| p.severity == *severity && p.key == *key && p.message.contains(word));
            assert!(hit, "case {index}, {key} “{word}”: {found:#?}");
        }
    }

    #[test]
    fn what_concerns_a_relay_that_nobody_reaches_has_no_effect() {
        let file = "[turn]\nudp = []\ntcp = []\ntls = []\nhost = \"turn.example.org\"\nsecret = \"a long enough secret\"\nfence = \"session\"\n\
                    anonymous = true\nnat_discovery = [\"9.9.9.9:1\", \"9.9.9.8:2\"]\n";
        let path = std::env::temp_dir().join(format!("campanile-check-{}.toml", std::process::id()));
        std::fs::write(&path, file).unwrap();
        let loaded = crate::load(Some(&path), []);
        std::fs::remove_file(&path).unwrap();
        let warnings = loaded.unwrap().warnings;
        for key in ["turn.host", "turn.secret", "turn.fence", "turn.nat_discovery", "turn.anonymous"] {
            assert!(warnings.iter().any(|found| found.key == key && found.message.contains("no effect while")), "{key}: {warnings:#?}");
        }
    }

    #[test]
    fn listeners_collide_only_where_they_cannot_both_be_bound() {
        for (a, b, expected) in [
            ("[::]:1", "[::]:1", true),
            ("[::]:1", "0.0.0.0:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("[::]:0", "[::]:0", false),
        ] {
            assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
            assert_eq!(collide(b.parse().unwrap(), a.parse().unwrap()), expected, "{b} {a}");
        }
    }

    #[test]
    fn every_listener_that_is_built_is_compared() {
        let mut config = Config::default();
        config.server.mux.push(([0u16; 8], 443).into());
        let compared: usize = listeners(&config).iter().map(|(_, _, addresses)| addresses.len()).sum();
        assert_eq!(compared, 9);
    }
}
