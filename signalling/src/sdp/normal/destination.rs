//! `m=`, `c=` and `a=rtcp` in the normal form.

use std::net::IpAddr;

use super::transport::Transport;
use crate::jingle::candidate::CandidateType;
use crate::sdp::line::{Attribute, Connection, Direction, MediaDescription};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub port: u16,
    pub connection: Connection,
}

/// RFC 8840 §4.1.1.
pub(super) fn none() -> Destination {
    Destination { port: 9, connection: nowhere() }
}

pub(super) fn nowhere() -> Connection {
    Connection { is_ipv6: false, address: "0.0.0.0".into() }
}

/// - With ICE it follows from the candidates: of component 1 and UDP, relayed before server reflexive before peer reflexive before host, then by
///   priority; without such a one it is port 9 of 0.0.0.0. Jingle has only the candidates.
/// - Without ICE it is as it was, in one `c=` of the section, without multicast's numbers. A name is of `IP4`: Jingle does not say which.
/// - Port 9 of no address is 0.0.0.0 (RFC 8840 §4.1.1), and so is a bundled section's port 0.
pub(super) fn of(media: &MediaDescription, transport: &Transport, session: Option<&Connection>) -> Destination {
    if transport.is_ice {
        return best(transport, 1).unwrap_or_else(none);
    }
    let connection = media.connections.first().or(session).cloned().unwrap_or_else(nowhere);
    let address = connection.address.split('/').next().unwrap_or_default();
    let is_nowhere = media.port == 0 || media.port == 9 && matches!(address, "0.0.0.0" | "::");
    if is_nowhere {
        return none();
    }
    Destination { port: media.port, connection: Connection { is_ipv6: address.contains(':'), address: address.into() } }
}

fn best(transport: &Transport, component: u8) -> Option<Destination> {
    let order = [CandidateType::Relay, CandidateType::ServerReflexive, CandidateType::PeerReflexive, CandidateType::Host];
    order.iter().find_map(|kind| {
        let is_of = |candidate: &&crate::jingle::candidate::Candidate| {
            (candidate.kind, candidate.component, &*candidate.protocol) == (Some(*kind), component, "udp") && candidate.port != 0
        };
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let mut found: Vec<_> = transport.candidates.iter().filter(is_of).filter(|candidate| ip(&candidate.ip).is_some()).collect();
        found.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        let first = found.first()?;
        Some(Destination { port: first.port, connection: Connection { is_ipv6: first.ip.contains(':'), address: first.ip.clone() } })
    })
}

/// - With ICE and `rtcp-mux` there is none (RFC 5761 §5.1.3), with ICE alone it is the best candidate of component 2, if there is one.
/// - Without ICE it is as it was, its address only where it is another than that of `c=`.
pub(super) fn rtcp(own: &[Attribute], transport: &Transport, default: &Destination) -> Option<Attribute> {
    let written =
        |port, connection: Connection| Attribute::Rtcp { port, address: Some(connection).filter(|address| *address != default.connection) };
    if transport.is_ice {
        let is_muxed = own.contains(&Attribute::RtcpMux);
        return best(transport, 2).filter(|_| !is_muxed).map(|best| written(best.port, best.connection));
    }
    let (port, address) = own
        .iter()
        .find_map(|attribute| if let Attribute::Rtcp { port, address } = attribute { Some((*port, address.clone())) } else { None })?;
    let is_nowhere = *default == none();
    let connection = address
        .map_or_else(|| default.connection.clone(), |Connection { address, .. }| Connection { is_ipv6: address.contains(':'), address });
    (port != 0 && !is_nowhere).then(|| written(port, connection))
}

/// RFC 3264 §8.4: no address is RFC 2543's hold, and the direction says so.
pub(super) fn held(direction: Direction, destination: &Destination) -> Direction {
    let is_held = destination.port != 9 && matches!(&*destination.connection.address, "0.0.0.0" | "::");
    match direction {
        Direction::SendRecv if is_held => Direction::SendOnly,
        Direction::RecvOnly if is_held => Direction::Inactive,
        _ => direction,
    }
}
