//! Where media goes to by `m=`, `c=` and `a=rtcp`: with ICE its default destination (RFC 8839 §4.2.1.2), without it raw UDP (XEP-0177).

use std::net::IpAddr;

use smol_str::SmolStr;

use super::words::{is_address, is_ipv6};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::transport::{Method, Transport};
use crate::sdp::description::Section;
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

    /// Whether there is no address yet.
    pub fn is_none(&self) -> bool {
        self.port == NO_PORT && is_nowhere(&self.connection)
    }
}

/// `IN IP4 0.0.0.0`.
pub(super) fn no_address() -> Connection {
    Connection { is_ipv6: false, address: SmolStr::new_static("0.0.0.0") }
}

fn is_nowhere(connection: &Connection) -> bool {
    is_no_address(&connection.address)
}

fn is_no_address(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::")
}

/// `a=rtcp`.
#[derive(Debug)]
pub(super) struct Rtcp {
    pub line: u32,
    pub port: u16,
    /// `None`: that of RTP.
    pub address: Option<Connection>,
}

/// Raw UDP from `c=`, the port of `m=` and `a=rtcp`: component 2 is there if it is said. The method of who has no address yet is not known.
pub(super) fn read(destination: Destination, rtcp: Option<Rtcp>, warnings: &mut Warnings) -> Transport {
    if let Some(rtcp) = rtcp.as_ref().filter(|rtcp| rtcp.port == 0 || destination.is_none()) {
        warnings.at(rtcp.line, format_args!("a=rtcp is left out: there is no address, or no port"));
    }
    if destination.is_none() {
        return Transport::default();
    }
    let rtcp = rtcp.filter(|rtcp| rtcp.port != 0).map(|Rtcp { port, address, .. }| Destination {
        connection: address.map_or_else(|| destination.connection.clone(), |address| unicast(address, warnings)),
        port,
    });
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

/// Such a hold says nothing of the transport: the address that the party had is still its own, and it replaces none.
pub(super) fn keep_while_held(sections: &mut [Section], before: &[Section]) {
    for (section, before) in sections.iter_mut().zip(before) {
        if let (Some(now), Some(before)) = (&mut section.content.transport, &before.content.transport)
            && (&now.method, &before.method) == (&Method::RawUdp, &Method::RawUdp)
            && now.candidates.first().is_some_and(|candidate| is_no_address(&candidate.ip))
        {
            now.candidates.clone_from(&before.candidates);
        }
    }
}

/// The address of `c=` alone: multicast's `/ttl/count` has no place in a candidate.
pub(super) fn unicast(mut connection: Connection, warnings: &mut Warnings) -> Connection {
    if let Some((address, _)) = connection.address.split_once('/') {
        warnings.add(format_args!("what follows the address is left out of {}: Jingle has no multicast", Quoted(&connection.address)));
        connection.address = address.into();
    }
    if connection.is_ipv6 && !is_ipv6(&connection.address) {
        warnings.add(format_args!("the type IP6 of {} is left out: Jingle has the name alone", Quoted(&connection.address)));
        connection.is_ipv6 = false;
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
        warnings.add(format_args!("{} of the candidates are left out: SDP has one address for RTP and one for RTCP", count - written));
    }
    for candidate in transport.candidates.iter().filter(|candidate| transport.method == Method::RawUdp && says_more(candidate)) {
        warnings.add(format_args!("of the candidate {} only address and port are said: SDP has nothing else", Quoted(&candidate.ip)));
    }
}

/// Whether a candidate of raw UDP says what neither its lines nor its place among them do. Its id is a name for this stanza.
fn says_more(candidate: &Candidate) -> bool {
    let Candidate { generation, foundation, priority, network, kind, related, tcp_type, extensions, .. } = candidate;
    *generation != 0
        || foundation.is_some()
        || priority.is_some()
        || network.is_some()
        || kind.is_some()
        || related.is_some()
        || tcp_type.is_some()
        || !extensions.is_empty()
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

#[cfg(test)]
mod tests {
    use super::super::testing::{content, only, read, through};
    use super::*;
    use crate::jingle::content::{Party, Senders};

    const CREDENTIALS: &str = "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg";

    #[test]
    fn rfc_8839_s4_2_1_2_the_default_destination() {
        let host = "a=candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host generation 0";
        let low = "a=candidate:1 1 udp 5 10.0.1.2 8999 typ host generation 0";
        let relay = "a=candidate:3 1 udp 7 2001:db8::7 5000 typ relay raddr 192.0.2.3 rport 1 generation 0";
        let name = "a=candidate:1 1 udp 2130706432 3f3b.local 8997 typ host generation 0";
        let tcp = "a=candidate:1 1 tcp 2130706433 10.0.1.1 9 typ host tcptype active generation 0";
        let rtcp = "a=candidate:1 2 udp 1 10.0.1.1 8999 typ host generation 0";
        let table = [
            (vec![], "m=audio 9 ", "c=IN IP4 0.0.0.0", ""),
            (vec![name, tcp], "m=audio 9 ", "c=IN IP4 0.0.0.0", ""),
            (vec![low, host], "m=audio 8998 ", "c=IN IP4 10.0.1.1", ""),
            (vec![host, relay, tcp], "m=audio 5000 ", "c=IN IP6 2001:db8::7", ""),
            (vec![host, rtcp], "m=audio 8998 ", "c=IN IP4 10.0.1.1", "a=rtcp:8999"),
            (vec![relay, rtcp], "m=audio 5000 ", "c=IN IP6 2001:db8::7", "a=rtcp:8999 IN IP4 10.0.1.1"),
            (vec![host, rtcp, "a=rtcp-mux"], "m=audio 8998 ", "c=IN IP4 10.0.1.1", ""),
        ];
        for (lines, media, connection, rtcp) in table {
            let body = through(&format!("m=audio 7 RTP/AVP 0\nc=IN IP4 192.0.2.9\na=rtcp:9\n{CREDENTIALS}\n{}", lines.join("\n")));
            assert!(body.starts_with(media), "{body}");
            assert_eq!(only(&body, &["c=", "a=rtcp:"]).join(" "), format!("{connection} {rtcp}").trim(), "{body}");
        }
    }

    #[test]
    fn xep_0177_s4_2_without_ice() {
        let table = [
            ("m=audio 49170 RTP/AVP 0\nc=IN IP4 192.0.2.1", "1 192.0.2.1 49170", ""),
            ("c=IN IP6 2001:db8::1\nm=audio 49170 RTP/AVP 0", "1 2001:db8::1 49170", ""),
            ("m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=rtcp:6", "1 192.0.2.1 5, 2 192.0.2.1 6", "a=rtcp:6"),
            ("m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=rtcp:6 IN IP4 192.0.2.1\na=rtcp-mux", "1 192.0.2.1 5, 2 192.0.2.1 6", "a=rtcp:6"),
            ("m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=rtcp:6 IN IP6 ::1", "1 192.0.2.1 5, 2 ::1 6", "a=rtcp:6 IN IP6 ::1"),
            ("m=audio 5 RTP/AVP 0\nc=IN IP4 sip.example.com", "1 sip.example.com 5", ""),
        ];
        for (body, expected, rtcp) in table {
            let transport = content(body).transport.unwrap();
            let candidates =
                transport.candidates.iter().map(|candidate| format!("{} {} {}", candidate.component, candidate.ip, candidate.port));
            assert_eq!((&transport.method, candidates.collect::<Vec<_>>().join(", ")), (&Method::RawUdp, expected.to_owned()), "{body}");
            let back = through(body);
            assert_eq!(only(&back, &["a=rtcp:"]).join(" "), rtcp, "{body}");
            assert_eq!(only(&back, &["m=", "c="]), {
                let mut lines = only(body, &["m=", "c="]);
                lines.sort_by_key(|line| line.starts_with("c="));
                lines
            });
        }
    }

    #[test]
    fn rfc_8866_s5_7_no_address_and_multicast() {
        let error = super::super::testing::read_after(Party::Initiator, "m=audio 5 RTP/AVP 0", None).unwrap_err();
        assert_eq!(error, "line 5: there is no c= line for this section (RFC 8866 §5.7)");
        let (description, warnings) = read(Party::Initiator, "m=audio 5/2 RTP/AVP 0\nc=IN IP4 233.252.0.1/127\nc=IN IP4 233.252.0.2/127");
        assert_eq!(description.sections[0].content.transport.as_ref().unwrap().candidates[0].ip, "233.252.0.1");
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }

    #[test]
    fn what_raw_udp_loses_is_said() {
        let table = [
            ("m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=rtcp:0", "line 7: a=rtcp is left out: there is no address, or no port"),
            ("m=audio 9 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=rtcp:5", "line 7: a=rtcp is left out: there is no address, or no port"),
            (
                "m=audio 5 RTP/AVP 0\nc=IN IP6 host.example.com",
                "content 'audio': the type IP6 of 'host.example.com' is left out: Jingle has the name alone",
            ),
        ];
        for (body, expected) in table {
            assert_eq!(read(Party::Initiator, body).1, [expected], "{body}");
        }
        let (mut description, _) = read(Party::Initiator, "m=audio 5 RTP/AVP 0\nc=IN IP4 192.0.2.1");
        let candidates = &mut description.sections[0].content.transport.as_mut().unwrap().candidates;
        candidates[0].generation = 1;
        candidates.push(candidates[0].clone());
        let warnings = super::super::testing::written(&description).1;
        let more = "content 'audio': of the candidate '192.0.2.1' only address and port are said: SDP has nothing else";
        assert_eq!(
            warnings,
            ["content 'audio': 1 of the candidates are left out: SDP has one address for RTP and one for RTCP", more, more]
        );
    }

    #[test]
    fn rfc_3264_s8_4_no_address_is_hold() {
        let table = [
            ("", "a=sendonly", Senders::Initiator),
            ("\na=sendonly", "a=sendonly", Senders::Initiator),
            ("\na=recvonly", "a=inactive", Senders::None),
            ("\na=inactive", "a=inactive", Senders::None),
        ];
        for (direction, expected, senders) in table {
            let body = format!("m=audio 5 RTP/AVP 0\nc=IN IP4 0.0.0.0{direction}");
            assert_eq!(content(&body).senders, Some(senders), "{direction}");
            let back = through(&body);
            assert!(back.starts_with("m=audio 5 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"), "{back}");
            assert_eq!(only(&back, &["a=send", "a=recv", "a=inactive"]), [expected], "{direction}");
        }
        // Port 9 is who has no address yet (RFC 8840 §4.1.1).
        let waiting = content("m=audio 9 RTP/AVP 0\nc=IN IP4 0.0.0.0");
        assert_eq!((waiting.senders, waiting.transport.unwrap().method), (Some(Senders::Both), Method::IceUdp));
    }
}
