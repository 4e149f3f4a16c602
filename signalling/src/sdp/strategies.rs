//! Session descriptions for property tests: any that the types can hold and SDP can say. `parse(write(x)) == x` holds for all of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smol_str::SmolStr;

use super::line::{Attribute, Connection, Direction, MediaDescription, Numbered, Origin, OtherLine, SessionDescription};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::rtp::{Bandwidth, Crypto, Feedback, Msid, Parameter, ZrtpHash};
use crate::jingle::transport::{Fingerprint, RemoteCandidate, Setup};

/// The same without numbers of lines.
pub fn unnumbered(mut description: SessionDescription) -> SessionDescription {
    let attributes = description.attributes.iter_mut().chain(description.media.iter_mut().flat_map(|media| &mut media.attributes));
    attributes.for_each(|attribute| attribute.line = 0);
    let others = description.others.iter_mut().chain(description.media.iter_mut().flat_map(|media| &mut media.others));
    others.for_each(|other| other.line = 0);
    description.media.iter_mut().for_each(|media| media.line = 0);
    description
}

/// A whole description.
pub fn description() -> impl Strategy<Value = SessionDescription> {
    let others = [vec(other('i', text()), 0..2).boxed(), vec(other('u', text()), 0..2).boxed(), vec(other('e', text()), 0..2).boxed()];
    let repeat = other('r', "[1-9][0-9]{0,4}[dhms]? [0-9]{1,4}[dhms]?( [0-9]{1,4}[dhms]?){1,3}".prop_map_into());
    let rest = [
        vec(repeat, 0..2).boxed(),
        vec(other('z', "[0-9]{10} -?[0-9]h".prop_map_into()), 0..2).boxed(),
        vec(other('k', text()), 0..2).boxed(),
    ];
    let head = (origin(), "[A-Za-z-][ -~é]{0,30}".prop_map_into::<SmolStr>(), vec((any::<u64>(), any::<u64>()), 1..3));
    let lines = (option::of(connection()), vec(bandwidth(), 0..3), vec(attribute(), 0..8));
    (head, others, rest, lines, vec(media(), 0..4)).prop_map(|(head, others, rest, lines, media)| SessionDescription {
        origin: Some(head.0),
        name: head.1,
        timing: head.2,
        others: others.into_iter().chain(rest).flatten().collect(),
        connection: lines.0,
        bandwidths: lines.1,
        attributes: numbered(lines.2),
        media,
    })
}

/// A fragment: RFC 8840 §9.
pub fn fragment() -> impl Strategy<Value = SessionDescription> {
    (vec(attribute(), 0..8), vec(media(), 0..4)).prop_map(|(attributes, media)| SessionDescription {
        attributes: numbered(attributes),
        media,
        ..SessionDescription::default()
    })
}

/// A media description.
pub fn media() -> impl Strategy<Value = MediaDescription> {
    let head = (
        prop_oneof![Just("audio".into()), Just("video".into()), Just("application".into()), token()],
        any::<u16>(),
        option::of(1..=u16::MAX),
        prop_oneof![Just("UDP/TLS/RTP/SAVPF".into()), Just("RTP/AVP".into()), Just("UDP/DTLS/SCTP".into()), token()],
        vec(prop_oneof![(0..128u8).prop_map(|payload| payload.to_string().into()), token()], 1..10),
    );
    let lines = (vec(other('i', text()), 0..2), vec(connection(), 0..2), vec(bandwidth(), 0..3), vec(other('k', text()), 0..2));
    (head, lines, vec(attribute(), 0..12)).prop_map(|(head, lines, attributes)| MediaDescription {
        line: 0,
        media: head.0,
        port: head.1,
        ports: head.2,
        protocol: head.3,
        formats: head.4,
        others: lines.0.into_iter().chain(lines.3).collect(),
        connections: lines.1,
        bandwidths: lines.2,
        attributes: numbered(attributes),
    })
}

fn numbered(attributes: Vec<Attribute>) -> Vec<Numbered> {
    attributes.into_iter().map(Numbered::from).collect()
}

/// Any attribute, at any level.
pub fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        1 => naming(),
        3 => of_payload_types(),
        2 => of_sources(),
        2 => of_ice(),
        1 => of_keys(),
        1 => of_channels(),
        1 => other_attribute(),
    ]
}

/// Attributes of payload types and of RTP at large.
pub fn of_payload_types() -> impl Strategy<Value = Attribute> {
    let payload = || 0..128u8;
    let some_payload = || option::of(0..128u8);
    let rates = option::of((1..=u32::MAX, option::of(1..=u8::MAX)));
    prop_oneof![
        (payload(), token(), rates).prop_map(|(payload, name, rates)| {
            let (clockrate, channels) = rates.map_or((None, None), |(clockrate, channels)| (Some(clockrate), channels));
            Attribute::Rtpmap { payload, name, clockrate, channels }
        }),
        (payload(), vec(format_parameter(), 0..5)).prop_map(|(payload, parameters)| Attribute::Fmtp { payload, parameters }),
        (1..=u32::MAX).prop_map(Attribute::Ptime),
        (1..=u32::MAX).prop_map(Attribute::Maxptime),
        (some_payload(), feedback()).prop_map(|(payload, feedback)| Attribute::RtcpFb { payload, feedback }),
        (some_payload(), any::<u32>()).prop_map(|(payload, value)| Attribute::RtcpFbTrrInt { payload, value }),
        (1..=u16::MAX, option::of(direction()), word(), vec(parameter(), 0..3))
            .prop_map(|(id, direction, uri, parameters)| Attribute::Extmap { id, direction, uri, parameters }),
        direction().prop_map(Attribute::Direction),
        Just(Attribute::ExtmapAllowMixed),
        Just(Attribute::RtcpMux),
        Just(Attribute::RtcpRsize),
        (any::<u16>(), option::of(connection())).prop_map(|(port, address)| Attribute::Rtcp { port, address }),
    ]
}

/// RFC 4585 §4.2.
pub fn feedback() -> impl Strategy<Value = Feedback> {
    let kind = prop_oneof![Just("nack".into()), Just("ccm".into()), Just("goog-remb".into()), word()];
    let kind = kind.prop_filter("another attribute", |kind: &SmolStr| kind != "trr-int");
    let subtype = option::of((word(), vec(parameter(), 0..3)));
    (kind, subtype).prop_map(|(kind, subtype)| match subtype {
        Some((subtype, parameters)) => Feedback { kind, subtype: Some(subtype), parameters },
        None => Feedback { kind, subtype: None, parameters: Vec::new() },
    })
}

/// Attributes of sources and streams.
pub fn of_sources() -> impl Strategy<Value = Attribute> {
    let parameter = prop_oneof![
        1 => Just(Parameter::default()),
        8 => (token(), option::of(text())).prop_map(|(name, value)| Parameter { name, value }),
    ];
    prop_oneof![
        (any::<u32>(), parameter).prop_map(|(ssrc, parameter)| Attribute::Ssrc { ssrc, parameter }),
        (token(), vec(any::<u32>(), 0..4)).prop_map(|(semantics, sources)| Attribute::SsrcGroup { semantics, sources }),
        (word(), option::of(word())).prop_map(|(stream, track)| Attribute::Msid(Msid { stream, track })),
    ]
}

/// Names of sections, and groups of them.
pub fn naming() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        token().prop_map(Attribute::Mid),
        (token(), vec(token(), 0..4)).prop_map(|(semantics, mids)| Attribute::Group { semantics, mids }),
    ]
}

/// Attributes of ICE.
pub fn of_ice() -> impl Strategy<Value = Attribute> {
    let remote = (1..=u8::MAX, address(), any::<u16>()).prop_map(|(component, ip, port)| RemoteCandidate { component, ip, port });
    prop_oneof![
        3 => candidate().prop_map(|candidate| Attribute::Candidate(Box::new(candidate))),
        1 => "[A-Za-z0-9+/]{4,12}".prop_map(|ufrag| Attribute::IceUfrag(ufrag.into())),
        1 => "[A-Za-z0-9+/]{22,40}".prop_map(|pwd| Attribute::IcePwd(pwd.as_str().into())),
        1 => vec(prop_oneof![Just("trickle".into()), Just("ice2".into()), token()], 1..4).prop_map(Attribute::IceOptions),
        1 => vec(remote, 1..4).prop_map(Attribute::RemoteCandidates),
        1 => Just(Attribute::EndOfCandidates),
    ]
}

/// RFC 8839 §5.1, without an id, which only Jingle has.
pub fn candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![
        Just(CandidateType::Host),
        Just(CandidateType::ServerReflexive),
        Just(CandidateType::PeerReflexive),
        Just(CandidateType::Relay)
    ];
    let head = (token(), 1..=u8::MAX, prop_oneof![Just("udp"), Just("tcp")], 0..10_000_000_000u64);
    let related = option::of((address(), any::<u16>()));
    let tcp_type = option::of(prop_oneof![Just("active".into()), Just("passive".into()), Just("so".into())]);
    let known = ["raddr", "rport", "tcptype", "generation", "network-id"];
    let extension = (word().prop_filter("known", move |name| !known.contains(&&**name)), word());
    let extension = extension.prop_map(|(name, value)| Parameter { name, value: Some(value) });
    let tail = (kind, related, tcp_type, any::<u8>(), option::of(word()), vec(extension, 0..3));
    (head, (address(), any::<u16>()), tail).prop_map(|(head, (ip, port), tail)| Candidate {
        component: head.1,
        foundation: Some(head.0),
        generation: tail.3,
        id: None,
        ip,
        port,
        priority: Some(head.3),
        protocol: head.2.into(),
        kind: Some(tail.0),
        related: tail.1,
        tcp_type: tail.2,
        network: tail.4,
        extensions: tail.5,
    })
}

/// Attributes of keys.
pub fn of_keys() -> impl Strategy<Value = Attribute> {
    let setup = prop_oneof![Just(Setup::Active), Just(Setup::Passive), Just(Setup::Actpass), Just(Setup::Holdconn)];
    let crypto = (
        "[0-9]{1,9}",
        "[A-Z0-9_]{1,24}",
        "inline:[A-Za-z0-9+/]{40}(\\|2\\^20)?(\\|1:4)?(;inline:[A-Za-z0-9+/]{40})?",
        option::of("KDR=[0-9]( UNENCRYPTED_SRTCP)?"),
    );
    prop_oneof![
        setup.prop_map(Attribute::Setup),
        ("sha-(1|256|512)", "[0-9A-F]{2}(:[0-9A-F]{2}){0,40}")
            .prop_map(|(hash, value)| Attribute::Fingerprint(Fingerprint { hash: hash.into(), value: value.into() })),
        crypto.prop_map(|(tag, suite, key_params, session_params)| Attribute::Crypto(Crypto {
            tag: tag.into(),
            suite: suite.into(),
            key_params: key_params.into(),
            session_params: session_params.map(Into::into),
        })),
        ("1\\.[0-9]{2}", "[0-9a-f]{64}")
            .prop_map(|(version, hash)| Attribute::ZrtpHash(ZrtpHash { version: version.into(), hash: hash.into() })),
    ]
}

/// Attributes of data channels.
pub fn of_channels() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<u16>().prop_map(Attribute::SctpPort),
        (any::<u16>(), token(), option::of(any::<u16>())).prop_map(|(port, protocol, streams)| Attribute::Sctpmap {
            port,
            protocol,
            streams
        }),
    ]
}

/// One that is only carried: unknown, or known and right.
pub fn other_attribute() -> impl Strategy<Value = Attribute> {
    let other = |name: &str, value: Option<&str>| Attribute::Other { name: name.into(), value: value.map(Into::into) };
    prop_oneof![
        4 => ("x-[a-z]{1,8}", option::of("[ -~é]{0,60}"))
            .prop_map(|(name, value)| Attribute::Other { name: name.into(), value: value.map(Into::into) }),
        1 => Just(other("rid", Some("1 send pt=96;max-width=1280"))),
        1 => Just(other("simulcast", Some("send 1;~2,3 recv 4"))),
        1 => Just(other("bundle-only", None)),
        1 => Just(other("msid-semantic", Some(" WMS *"))),
        1 => Just(other("max-message-size", Some("262144"))),
        1 => Just(other("candidate", Some("1 1 udp 1 192.0.2.1 9 typ token"))),
        1 => Just(other("fmtp", Some("wb format=1"))),
        1 => Just(other("ptime", Some("2.5"))),
    ]
}

/// A direction.
pub fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::SendRecv), Just(Direction::SendOnly), Just(Direction::RecvOnly), Just(Direction::Inactive)]
}

fn origin() -> impl Strategy<Value = Origin> {
    ("-|[a-zA-Z0-9]{1,8}", "[0-9]{1,30}", any::<u64>(), connection()).prop_map(|(username, session_id, version, address)| Origin {
        username: username.into(),
        session_id: session_id.into(),
        version,
        address,
    })
}

fn connection() -> impl Strategy<Value = Connection> {
    address().prop_map(|address| Connection { is_ipv6: address.contains(':'), address })
}

/// Of either family, or a name.
pub fn address() -> impl Strategy<Value = SmolStr> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| SmolStr::new(address.to_string())),
        any::<std::net::Ipv6Addr>().prop_map(|address| SmolStr::new(address.to_string())),
        "[a-z][a-z0-9-]{0,40}\\.local".prop_map_into(),
    ]
}

fn bandwidth() -> impl Strategy<Value = Bandwidth> {
    let kind = prop_oneof![Just("AS".into()), Just("TIAS".into()), Just("RR".into()), Just("RS".into()), token()];
    (kind, "[0-9]{1,12}").prop_map(|(kind, value)| Bandwidth { kind, value: value.into() })
}

fn other(kind: char, value: impl Strategy<Value = SmolStr>) -> impl Strategy<Value = OtherLine> {
    value.prop_map(move |value| OtherLine { line: 0, kind, value })
}

/// `name=value`, or without a name as `0-15`.
fn format_parameter() -> impl Strategy<Value = Parameter> {
    let name = prop_oneof![3 => "[a-z][a-z0-9-]{0,20}", 1 => Just(String::new())];
    (name, "[!-:<>-~]{1,30}").prop_map(|(name, value)| Parameter { name: name.into(), value: Some(value.into()) })
}

/// `name` or `name=value`.
fn parameter() -> impl Strategy<Value = Parameter> {
    ("[!-<>-~]{1,12}", option::of("[!-~]{0,12}")).prop_map(|(name, value)| Parameter { name: name.into(), value: value.map(Into::into) })
}

/// `token` of RFC 8866 §9.
pub fn token() -> impl Strategy<Value = SmolStr> {
    prop_oneof![4 => "[A-Za-z][A-Za-z0-9-]{0,11}", 1 => "[!#$%&'*+.^_`{|}~A-Za-z0-9-]{1,30}"].prop_map_into()
}

/// Anything without a blank.
fn word() -> impl Strategy<Value = SmolStr> {
    prop_oneof![4 => "[a-z][a-z0-9:/-]{0,30}", 1 => "[!-~é]{1,12}"].prop_map_into()
}

/// Anything on one line, without blanks around it.
fn text() -> impl Strategy<Value = SmolStr> {
    prop_oneof![1 => Just(String::new()), 4 => "[!-~é]([ -~é]{0,30}[!-~é])?"].prop_map_into()
}
