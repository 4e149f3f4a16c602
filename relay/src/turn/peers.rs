//! Which peers may be reached through the relay. Pure; the addresses of this host are an argument.
//!
//! RFC 8656 §21.2 and §21.3 leave the rules to the server: by default only what the public Internet routes, in whatever spelling.
//! The relay's own relayed addresses are an exception that `ports.rs` keeps, by address and port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::settings::Network;

/// Networks opened and closed by the operator.
#[derive(Clone, Debug, Default)]
pub struct PeerRules {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl PeerRules {
    /// Rules that open `allow` beyond the safe defaults; `deny` always wins.
    pub fn new(allow: Vec<Network>, deny: Vec<Network>) -> Self {
        Self { allow, deny }
    }

    /// Whether packets may go to this address, and come from it. `is_own` knows the addresses of this host.
    ///
    /// An IPv6 address that carries an IPv4 address is judged as both.
    pub fn permits(&self, ip: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> bool {
        let embedded = match ip {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(ip) => embedded_ipv4(ip),
        };
        let spellings = || std::iter::once(ip).chain(embedded.iter().copied().map(IpAddr::V4));
        if spellings().any(|ip| self.deny.iter().any(|network| network.contains(ip))) {
            return false;
        }
        let allowed = |ip| self.allow.iter().any(|network| network.contains(ip));
        allowed(ip) || spellings().all(|ip| allowed(ip) || (is_public(ip) && !is_own(ip)))
    }
}

/// Whether the Internet routes the address to one host that is no part of somebody's infrastructure.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !CLOSED_V4.iter().any(|network| network.contains(IpAddr::V4(ip))),
        IpAddr::V6(v6) => {
            OPEN_V6.iter().any(|network| network.contains(ip)) && !CLOSED_V6.iter().any(|network| network.contains(ip)) && !is_isatap(v6)
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Network {
    network(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> Network {
    network(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix)
}

const fn network(address: IpAddr, prefix: u8) -> Network {
    match Network::new(address, prefix) {
        Some(network) => network,
        None => panic!("a prefix fits its address"),
    }
}

/// IANA's special-purpose registry (RFC 6890 and later), and cloud providers' services.
const CLOSED_V4: &[Network] = &[
    v4(0, 0, 0, 0, 8),        // this network; unspecified
    v4(10, 0, 0, 0, 8),       // private (RFC 1918)
    v4(100, 64, 0, 0, 10),    // shared by carriers (RFC 6598); Alibaba's metadata
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // Azure's host service
    v4(169, 254, 0, 0, 16),   // link-local (RFC 3927); metadata services
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // IETF protocol assignments; Oracle's metadata
    v4(192, 0, 2, 0, 24),     // documentation (RFC 5737)
    v4(192, 31, 196, 0, 24),  // AS112
    v4(192, 52, 193, 0, 24),  // AMT
    v4(192, 88, 99, 0, 24),   // 6to4 relays (RFC 7526)
    v4(192, 168, 0, 0, 16),   // private
    v4(192, 175, 48, 0, 24),  // AS112
    v4(198, 18, 0, 0, 15),    // benchmarking (RFC 2544)
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved; broadcast
];

/// Global unicast, and NAT64 for the IPv4 addresses that pass on their own (RFC 6052).
const OPEN_V6: &[Network] = &[v6(0x2000, 0, 0, 0, 3), v6(0x64, 0xFF9B, 0, 0, 96)];

/// What of it is no host of the Internet. All outside of `OPEN_V6` is closed: unspecified, loopback, mapped and compatible IPv4,
/// local-use NAT64 (64:ff9b:1::/48), unique local with metadata at fd00:ec2::254, link-local, site-local, multicast, segment routing.
const CLOSED_V6: &[Network] = &[
    v6(0x2001, 0, 0, 0, 32),           // Teredo (RFC 8656 §21.4: a relay takes no tunnel's address)
    v6(0x2002, 0, 0, 0, 16),           // 6to4 (likewise)
    v6(0x2001, 0x0001, 0, 0, 32),      // anycast services
    v6(0x2001, 0x0002, 0, 0, 48),      // benchmarking (RFC 5180)
    v6(0x2001, 0x0003, 0, 0, 32),      // AMT
    v6(0x2001, 0x0004, 0x0112, 0, 48), // AS112
    v6(0x2001, 0x0010, 0, 0, 28),      // ORCHID (RFC 4843)
    v6(0x2001, 0x0020, 0, 0, 28),      // ORCHIDv2 (RFC 7343)
    v6(0x2001, 0x0030, 0, 0, 28),      // drone remote id
    v6(0x2001, 0x0DB8, 0, 0, 32),      // documentation
    v6(0x2620, 0x004F, 0x8000, 0, 48), // AS112
    v6(0x3FFF, 0, 0, 0, 20),           // documentation (RFC 9637)
];

/// ISATAP interface identifiers (RFC 5214): a tunnel into somebody's site.
fn is_isatap(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    segments[4] & !0x0200 == 0 && segments[5] == 0x5EFE
}

/// Every IPv4 address that an IPv6 address may lead to.
fn embedded_ipv4(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = ip.segments();
    let at = |high: usize| Ipv4Addr::from_bits((u32::from(segments[high]) << 16) | u32::from(segments[high + 1]));
    match segments {
        // IPv4-compatible, mapped (RFC 4291 §2.5.5), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xFFFF, ..] | [0, 0, 0, 0, 0xFFFF, 0, ..] => vec![at(6)],
        // NAT64 (RFC 6052).
        [0x64, 0xFF9B, 0, 0, 0, 0, ..] => vec![at(6)],
        // 6to4 (RFC 3056).
        [0x2002, ..] => vec![at(1)],
        // Teredo (RFC 4380 §4): the server's address, and the client's with every bit turned over.
        [0x2001, 0, ..] => vec![at(2), Ipv4Addr::from_bits(!at(6).to_bits())],
        _ if is_isatap(ip) => vec![at(6)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &PeerRules, ip: &str, expected: bool) {
        let own: [IpAddr; 2] = ["8.8.4.4".parse().unwrap(), "2600::1".parse().unwrap()];
        assert_eq!(rules.permits(ip.parse().unwrap(), |ip| own.contains(&ip)), expected, "{ip}");
    }

    fn rules(allow: &[&str], deny: &[&str]) -> PeerRules {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        PeerRules::new(read(allow), read(deny))
    }

    #[test]
    fn public_addresses_are_permitted() {
        for ip in ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "198.20.0.1", "223.255.255.255"] {
            check(&PeerRules::default(), ip, true);
        }
        for ip in ["2600::2", "2a00:1450::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8", "2001:200::1"] {
            check(&PeerRules::default(), ip, true);
        }
    }

    #[test]
    fn special_addresses_are_refused() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.1.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            check(&PeerRules::default(), ip, false);
        }
        for ip in [
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00::2",
            "fd00:ec2::254",
            "ff02::1",
            "ff0e::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "2001:2f::1",
            "5f00::1",
            "64:ff9b:1::8.8.8.8",
            "4000::1",
        ] {
            check(&PeerRules::default(), ip, false);
        }
    }

    #[test]
    fn every_ipv4_in_ipv6_spelling_of_a_refused_address_is_refused() {
        for v4 in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "8.8.4.4"] {
            let v4: Ipv4Addr = v4.parse().unwrap();
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = ((a << 8) | b, (c << 8) | d);
            for ip in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xFFFF, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xFFFF, 0, high, low),
                Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xFF9B, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0808, !0x0808),
                Ipv6Addr::new(0x2600, 1, 2, 3, 0, 0x5EFE, high, low),
                Ipv6Addr::new(0x2600, 1, 2, 3, 0x0200, 0x5EFE, high, low),
            ] {
                check(&PeerRules::default(), &ip.to_string(), false);
            }
        }
    }

    #[test]
    fn own_addresses_are_refused() {
        check(&PeerRules::default(), "8.8.4.4", false);
        check(&PeerRules::default(), "2600::1", false);
        check(&rules(&["8.8.4.4"], &[]), "8.8.4.4", true);
    }

    #[test]
    fn allow_opens_and_deny_closes() {
        let rules = rules(&["10.0.0.0/8", "fd00::/8", "127.0.0.1"], &["10.9.0.0/16", "8.8.8.0/24", "2a00::/16"]);
        for (ip, expected) in [
            ("10.0.0.1", true),
            ("10.9.0.1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("8.8.8.8", false),
            ("64:ff9b::8.8.8.8", false),
            ("2002:808:808::1", false),
            ("64:ff9b::10.0.0.1", true),
            ("64:ff9b::10.9.0.1", false),
            ("fd00::1", true),
            ("fd00:ec2::254", true),
            ("2a00::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            check(&rules, ip, expected);
        }
    }
}
