//! Transport addresses as the datapath keys its tables: flat, comparable, quick to hash with a secret of this process.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The low half of a link-local address's first word: zeros on the wire (RFC 4291 §2.5.6), here the link's number.
const LINK: u64 = 0xFFFF_FFFF;

/// An IP address as two words of its IPv6 form; IPv4 addresses in their mapped form. A link-local one also holds the number of its link
/// (RFC 4007), in bits that are zero in every such address: it takes no more room, and tells two hosts on two links apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip {
    high: u64,
    low: u64,
}

impl Ip {
    /// Whether this is an IPv4 address.
    pub fn is_ipv4(self) -> bool {
        self.high == 0 && self.low >> 32 == 0xFFFF
    }

    /// Both words.
    pub fn words(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// The address on the link of this number, as the kernel counts interfaces; the same address if it is not link-local.
    #[must_use]
    pub fn on_link(self, link: u32) -> Self {
        if self.is_link_local() { Self { high: (self.high & !LINK) | u64::from(link), ..self } } else { self }
    }

    /// The link of a link-local address; 0 where it is not known, and of all others.
    pub fn link(self) -> u32 {
        if self.is_link_local() { self.high as u32 } else { 0 }
    }

    /// What one host has for its own: an IPv4 address, an IPv6 network of 64 bits.
    #[must_use]
    pub fn network(self) -> Self {
        if self.is_ipv4() { self } else { Self { low: 0, ..self } }
    }

    fn is_link_local(self) -> bool {
        self.high >> 54 == 0xFE80 >> 6
    }
}

impl From<IpAddr> for Ip {
    fn from(ip: IpAddr) -> Self {
        let bits = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        // Whoever writes an address into a message cannot name one of our links.
        Self { high: (bits >> 64) as u64, low: bits as u64 }.on_link(0)
    }
}

impl From<Ip> for IpAddr {
    fn from(ip: Ip) -> Self {
        let ip = ip.on_link(0);
        IpAddr::V6(Ipv6Addr::from_bits((u128::from(ip.high) << 64) | u128::from(ip.low))).to_canonical()
    }
}

impl std::fmt::Debug for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

/// A transport address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The IP address.
    pub ip: Ip,
    /// The port.
    pub port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let link = if let SocketAddr::V6(address) = address { address.scope_id() } else { 0 };
        Self { ip: Ip::from(address.ip()).on_link(link), port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint.ip.into() {
            IpAddr::V6(ip) => SocketAddrV6::new(ip, endpoint.port, 0, endpoint.ip.link()).into(),
            ip @ IpAddr::V4(_) => SocketAddr::new(ip, endpoint.port),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

/// A hash for tables whose keys others choose: a keyed multiply and fold, a few nanoseconds per key.
#[derive(Clone, Debug)]
pub struct Keyed {
    start: u64,
    factor: u64,
}

impl Keyed {
    /// A hash with a secret of its own.
    pub fn new() -> Self {
        let random = RandomState::new();
        Self { start: random.hash_one(1), factor: random.hash_one(2) | 1 }
    }
}

impl Default for Keyed {
    fn default() -> Self {
        Self::new()
    }
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { state: self.start, factor: self.factor }
    }
}

/// See [`Keyed`].
#[derive(Debug)]
pub struct KeyedHasher {
    state: u64,
    factor: u64,
}

impl Hasher for KeyedHasher {
    fn finish(&self) -> u64 {
        fold(self.state ^ 0x9E37_79B9_7F4A_7C15, self.factor)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.factor);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_and_mapped_ones_are_unmapped() {
        for (text, expected) in [
            ("192.0.2.1:5", "192.0.2.1:5"),
            ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
            ("[::]:0", "[::]:0"),
            ("[fe80::1%7]:5", "[fe80::1%7]:5"),
            ("[febf:ffff::1%4294967295]:5", "[febf:ffff::1%4294967295]:5"),
            // The others have no link, and what stands in place of it does not name one.
            ("[2001:db8::1%7]:5", "[2001:db8::1]:5"),
            ("[fe80::7:0:0:0:1]:5", "[fe80::1]:5"),
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Endpoint::from(address)), expected.parse().unwrap());
        }
    }

    #[test]
    fn rfc4007_s6_a_link_local_address_is_another_one_on_another_link() {
        let endpoint = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
        let (first, second) = (endpoint("[fe80::1%1]:5"), endpoint("[fe80::1%2]:5"));
        assert!(first != second && (first.ip.link(), second.ip.link()) == (1, 2));
        assert_eq!(IpAddr::from(first.ip), IpAddr::from(second.ip));
        assert_eq!(Ip::from(IpAddr::from(first.ip)).link(), 0);
        assert_eq!(endpoint("[fec0::1%1]:5").ip.link(), 0);
    }

    #[test]
    fn near_addresses_hash_apart() {
        let keyed = Keyed::new();
        let mut seen = std::collections::HashSet::new();
        for host in 0..100u8 {
            for port in 0..100u16 {
                seen.insert(keyed.hash_one(Endpoint::from(SocketAddr::from(([192, 0, 2, host], port)))));
            }
        }
        assert!(seen.len() >= 9_999);
    }
}
