//! At which ports clients are told that the relay listens (XEP-0215): those of its listeners, or of what passes clients on to them.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use crate::Config;

/// Listeners of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// Their key.
    pub key: &'static str,
    /// That of `public_port`.
    pub public_key: &'static str,
    /// Where they listen.
    pub listen: &'a [SocketAddr],
    /// The port of the proxy or NAT before them.
    pub public_port: Option<NonZeroU16>,
}

/// Those of `turn.udp`, `turn.tcp`, `turn.tls` and `server.mux`.
#[must_use]
pub fn kinds(config: &Config) -> [Kind<'_>; 4] {
    let Config { server, turn, .. } = config;
    let kind = |key, public_key, listen, public_port| Kind { key, public_key, listen, public_port };
    [
        kind("turn.udp", "turn.udp_public_port", &turn.udp, turn.udp_public_port),
        kind("turn.tcp", "turn.tcp_public_port", &turn.tcp, turn.tcp_public_port),
        kind("turn.tls", "turn.tls_public_port", &turn.tls, turn.tls_public_port),
        kind("server.mux", "server.mux_public_port", &server.mux, server.mux_public_port),
    ]
}

/// The ports told of each kind. A listener on loopback that nothing is said to stand before is of no use to clients elsewhere: it is told only
/// where there is no other.
#[must_use]
pub fn ports(kinds: &[Kind<'_>; 4]) -> [Vec<u16>; 4] {
    let is_reached = |kind: &Kind<'_>, address: &SocketAddr| kind.public_port.is_some() || !address.ip().to_canonical().is_loopback();
    let any_is_reached = kinds.iter().any(|kind| kind.listen.iter().any(|address| is_reached(kind, address)));
    kinds.map(|kind| {
        let told = kind.listen.iter().filter(|address| !any_is_reached || is_reached(&kind, address));
        let mut ports: Vec<u16> = told.map(|address| kind.public_port.map_or(address.port(), NonZeroU16::get)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: fn(&mut Config)) -> [Vec<u16>; 4] {
        let mut config = Config::default();
        change(&mut config);
        ports(&kinds(&config))
    }

    #[test]
    fn the_port_told_is_the_one_that_clients_reach() {
        assert_eq!(told(|_| ()), [vec![3478], vec![3478], vec![5349], vec![]]);
        // As in the README, behind HAProxy: with its port, and without.
        let behind = told(|config| {
            config.server.mux = vec![([127, 0, 0, 1], 8443).into()];
            config.server.mux_public_port = NonZeroU16::new(443);
        });
        assert_eq!(behind[3], [443]);
        assert_eq!(told(|config| config.server.mux = vec![([127, 0, 0, 1], 8443).into()])[3], []);
        let two = told(|config| config.server.mux = vec![([0u16; 8], 443).into(), ([127, 0, 0, 1], 8443).into()]);
        assert_eq!(two[3], [443]);
        // A port without listeners is that of nothing.
        assert_eq!(told(|config| config.server.mux_public_port = NonZeroU16::new(443))[3], []);
        let moved = told(|config| {
            (config.turn.udp_public_port, config.turn.tcp_public_port) = (NonZeroU16::new(13478), NonZeroU16::new(23478));
            config.turn.tls_public_port = NonZeroU16::new(15349);
        });
        assert_eq!(moved, [vec![13478], vec![23478], vec![15349], vec![]]);
    }

    #[test]
    fn a_server_for_its_own_machine_tells_loopback() {
        let all = told(|config| {
            let local = |port| vec![([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1], port).into()];
            (config.turn.udp, config.turn.tcp, config.turn.tls, config.server.mux) = (local(1), local(2), local(3), local(4));
        });
        assert_eq!(all, [[1], [2], [3], [4]]);
    }
}
