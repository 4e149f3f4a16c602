//! Where media goes to by `m=`, `c=` and `a=rtcp`: with ICE its default destination (RFC 8839 §4.2.1.2), without it raw UDP (XEP-0177).

use std::net::IpAddr;

use smol_str::SmolStr;

use super::words::{is_address, is_ipv6};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::transport::{Method, Transport};
use crate::sdp::line::{Attribute, Connection, Direction};
use crate::sdp::warning::{Quoted, Warnings};

/// RFC 8840 §4.1.1: the port of who has no address yet.
pub(super) const NO_PORT: u16 = 9;

/// An address and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub connection: Connection,
    pub port: u16,
}

impl Destination {
    /// RFC 8840 §4.1.1.
    pub fn none() -> Self {
        Self { connection: no_address(), port: NO_PORT }
    }

    fn is_none(&self) -> bool {
        self.port == NO_PORT && is_nowhere(&self.connection)
    }
}

/// `IN IP4 0.0.0.0`.
pub(super) fn no_address() -> Connection {
    Connection { is_ipv6: false, address: SmolStr::new_static("0.0.0.0") }
}

fn is_nowhere(connection: &Connection) -> bool {
    matches!(&*connection.address, "0.0.0.0" | "::")
}

/// Raw UDP from `c=`, the port of `m=` and `a=rtcp`: component 2 is there if it is said. The method of who has no address yet is not known.
pub(super) fn read(destination: Destination, rtcp: Option<(u16, Option<Connection>)>) -> Transport {
    if destination.is_none() {
        return Transport::default();
    }
    let rtcp = rtcp
        .filter(|(port, _)| *port != 0)
        .map(|(port, connection)| Destination { connection: connection.unwrap_or_else(|| destination.connection.clone()), port });
    let candidate = |(destination, component): (Destination, u8)| Candidate {
        component,
        id: Some(smol_str::format_smolstr!("c{component}")),
        ip: destination.connection.address,
        port: destination.port,
        protocol: SmolStr::new_static("udp"),
        ..Candidate::default()
    };
    let candidates = [Some(destination), rtcp].into_iter().flatten().zip(1..).map(candidate).collect();
    Transport { method: Method::RawUdp, candidates, ..Transport::default() }
}

/// RFC 3264 §8.4: who gives no address does not receive (RFC 2543's hold).
pub(super) fn held(direction: Direction, destination: &Destination) -> Direction {
    match direction {
        _ if destination.is_none() || !is_nowhere(&destination.connection) => direction,
        Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
        Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
    }
}

/// The address of `c=` alone: multicast's `/ttl/count` has no place in a candidate.
pub(super) fn unicast(mut connection: Connection, warnings: &mut Warnings) -> Connection {
    if let Some((address, _)) = connection.address.split_once('/') {
        warnings.add(format_args!("what follows the address is left out of {}: Jingle has no multicast", Quoted(&connection.address)));
        connection.address = address.into();
    }
    connection
}

/// What `m=` and `c=` say.
pub(super) fn default<'a>(candidates: impl Iterator<Item = &'a Candidate>, method: &Method) -> Destination {
    of_component(candidates, method, 1).unwrap_or_else(Destination::none)
}

/// `a=rtcp`, RFC 3605. Who multiplexes with ICE has no use for it (RFC 5761 §5.1.3); without ICE it is for who does not (§5.1.1).
pub(super) fn rtcp<'a>(
    candidates: impl Iterator<Item = &'a Candidate>,
    method: &Method,
    rtcp_mux: bool,
    default: &Destination,
) -> Option<Attribute> {
    let is_raw = *method == Method::RawUdp;
    if rtcp_mux && !is_raw || is_raw && default.is_none() {
        return None;
    }
    let Destination { connection, port } = of_component(candidates, method, 2)?;
    Some(Attribute::Rtcp { port, address: (connection != default.connection).then_some(connection) })
}

/// Says how many addresses without ICE are in none of the three lines.
pub(super) fn left_out(transport: &Transport, default: &Destination, rtcp: bool, warnings: &mut Warnings) {
    let written = usize::from(!default.is_none()) + usize::from(rtcp);
    let count = transport.candidates.len();
    if transport.method == Method::RawUdp && count > written {
        warnings.add(format_args!("{} addresses are left out: SDP has one for RTP and one for RTCP", count - written));
    }
}

fn of_component<'a>(candidates: impl Iterator<Item = &'a Candidate>, method: &Method, component: u8) -> Option<Destination> {
    let mut candidates = candidates.filter(|candidate| candidate.component == component && candidate.port != 0);
    if *method == Method::RawUdp {
        let candidate = candidates.find(|candidate| is_address(&candidate.ip))?;
        let is_ipv6 = is_ipv6(&candidate.ip);
        return Some(Destination { connection: Connection { is_ipv6, address: candidate.ip.clone() }, port: candidate.port });
    }
    // RFC 8445 §5.1.4 advises the order of types; a name is no default (RFC 8839 §5.1 leaves it out of `c=`).
    let candidates = candidates.filter(|candidate| candidate.protocol == "udp");
    let addresses = candidates.filter_map(|candidate| Some((candidate, candidate.ip.parse::<IpAddr>().ok()?)));
    let rank = |candidate: &Candidate| match candidate.kind {
        Some(CandidateType::Relay) => 0,
        Some(CandidateType::ServerReflexive) => 1,
        Some(CandidateType::PeerReflexive) => 2,
        Some(CandidateType::Host) | None => 3,
    };
    let (candidate, ip) = addresses.min_by_key(|(candidate, _)| (rank(candidate), std::cmp::Reverse(candidate.priority)))?;
    Some(Destination { connection: Connection { is_ipv6: ip.is_ipv6(), address: candidate.ip.clone() }, port: candidate.port })
}
