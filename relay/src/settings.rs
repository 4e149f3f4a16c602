//! What `Relay::start` is given: addresses, keys, rules and bounds.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls;

/// How the relay is to run.
#[derive(Clone)]
pub struct Settings {
    /// STUN and TURN over UDP; `[::]` serves both families. Port 0 picks one.
    pub udp: Vec<SocketAddr>,
    /// Two addresses of this host that differ in IP address and port: NAT behaviour discovery (RFC 5780) is served on both addresses
    /// with both ports.
    pub nat_discovery: Option<[SocketAddr; 2]>,
    /// STUN and TURN over TCP.
    pub tcp: Vec<SocketAddr>,
    /// STUN and TURN over TLS; needs `tls_config`.
    pub tls: Vec<SocketAddr>,
    /// Certificates for TLS.
    pub tls_config: Option<Arc<rustls::ServerConfig>>,
    /// TCP proxies before the listeners for TCP and TLS: connections from these networks begin with a PROXY header.
    pub proxies: Vec<Network>,
    /// REALM (RFC 8489 §14.9), usually the domain.
    pub realm: String,
    /// The addresses under which the outside sees this machine (1:1 NAT): the first of each family is told to clients in place of local ones,
    /// the others count as own.
    pub public_addresses: Vec<IpAddr>,
    /// Ports of relayed addresses, used on both families.
    pub ports: RangeInclusive<u16>,
    /// Secret of this installation, 32 random bytes; credentials and nonces made with it outlive a restart.
    pub key: [u8; 32],
    /// TURN REST shared secret: names `EXPIRY:anything` made with it are good too.
    pub rest_secret: Option<String>,
    /// Life of issued credentials.
    pub credentials: Duration,
    /// Accounts and the times until which what was issued to them is void, oldest first: what `Relay::revoke` was told before a restart.
    pub revoked: Vec<(String, SystemTime)>,
    /// Peer networks opened beyond the safe defaults.
    pub allow_peers: Vec<Network>,
    /// Peer networks closed beyond them; wins over `allow_peers`.
    pub deny_peers: Vec<Network>,
    /// Allocations may move with their clients to other addresses (RFC 8016).
    pub mobility: bool,
    /// Permissions only for addresses that the other party of a live call of the session has offered (`turn/fence.rs`).
    pub fence: bool,
    /// Bounds.
    pub limits: Limits,
    /// How long an allocation lives on after the last call that it served ended.
    pub call_grace: Duration,
    /// Threads that relay; 0 for one per core.
    pub workers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            udp: vec![SocketAddr::from(([0; 16], 3478))],
            nat_discovery: None,
            tcp: vec![SocketAddr::from(([0; 16], 3478))],
            tls: Vec::new(),
            tls_config: None,
            proxies: Vec::new(),
            realm: "localhost".into(),
            public_addresses: Vec::new(),
            ports: 49152..=65535,
            key: [0; 32],
            rest_secret: None,
            credentials: Duration::from_secs(86_400),
            revoked: Vec::new(),
            allow_peers: Vec::new(),
            deny_peers: Vec::new(),
            mobility: true,
            fence: false,
            limits: Limits::default(),
            call_grace: Duration::from_secs(10),
            workers: 0,
        }
    }
}

/// Shows no secret.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("udp", &self.udp)
            .field("tcp", &self.tcp)
            .field("tls", &self.tls)
            .field("realm", &self.realm)
            .field("public_addresses", &self.public_addresses)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

/// Bounds on what clients may make the relay hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Live allocations of all clients.
    pub allocations: usize,
    /// Live allocations of one account.
    pub allocations_per_account: usize,
    /// Live allocations of one source address (an IPv6 /64).
    pub allocations_per_source: usize,
    /// Permissions of one allocation (RFC 8656 §9).
    pub permissions: usize,
    /// Channels of one allocation (RFC 8656 §12).
    pub channels: usize,
    /// Permissions of all allocations of one account.
    pub permissions_per_account: usize,
    /// Channels of all allocations of one account.
    pub channels_per_account: usize,
    /// Bytes per second that all allocations of one account relay, both directions together.
    pub bytes_per_second: u64,
    /// The same, behind the fence, of what serves no accepted call.
    pub early_bytes_per_second: u64,
    /// Unauthenticated answers (Binding, 401) per second to one source over UDP, in the long run.
    pub answers_per_second: u32,
    /// Unauthenticated answers to one source at once.
    pub answers_burst: u32,
    /// TCP and TLS connections of all clients.
    pub connections: usize,
    /// TCP and TLS connections of one source address (an IPv6 /64).
    pub connections_per_source: usize,
    /// Bytes queued towards one TCP or TLS client; media beyond them is dropped.
    pub queue_bytes: usize,
    /// Data connections of one TCP allocation (RFC 6062).
    pub data_connections_per_allocation: usize,
    /// Data connections of one account.
    pub data_connections_per_account: usize,
    /// Data connections of all clients.
    pub data_connections: usize,
    /// How long a connection may stay without an allocation.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: 8_192,
            allocations_per_account: 64,
            allocations_per_source: 1_024,
            permissions: 128,
            channels: 64,
            permissions_per_account: 1_024,
            channels_per_account: 1_024,
            bytes_per_second: u64::MAX,
            early_bytes_per_second: u64::MAX,
            answers_per_second: 200,
            answers_burst: 2_000,
            connections: 8_192,
            connections_per_source: 1_024,
            queue_bytes: 262_144,
            data_connections_per_allocation: 64,
            data_connections_per_account: 256,
            data_connections: 4_096,
            idle: Duration::from_secs(30),
        }
    }
}

/// An address with a prefix length: `10.0.0.0/8`, `2001:db8::/32`, a single address without a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Not an address, or a prefix longer than it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetworkError(String);

impl Network {
    /// A network of this prefix length; bits after the prefix are ignored. None for a prefix longer than the address.
    pub const fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix > bits { None } else { Some(Self { address, prefix }) }
    }

    /// Whether the address lies in it. IPv4 networks hold no IPv6 address in any spelling.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix);
                (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix);
                (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| error())?;
        Self::new(address, prefix).ok_or_else(error)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1", "::1", true),
        ];
        for (network, ip, expected) in table {
            assert_eq!(network.parse::<Network>().unwrap().contains(ip.parse().unwrap()), expected, "{network} {ip}");
        }
    }

    #[test]
    fn networks_that_are_none() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "example.org"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
