//! Models of Jingle as property tests want them: what reading makes of some element, so that it is read as the same when it is written.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smol_str::SmolStr;

use super::candidate::{Candidate, CandidateType};
use super::content::{Action, Carried, Content, Description, Group, Info, Jingle, Party, Senders};
use super::reason::{Condition, Reason, Specific};
use super::rtp::{
    Bandwidth, Crypto, Encryption, Feedback, Feedbacks, HeaderExtension, Msid, Parameter, PayloadType, Rtp, Source, SourceGroup, ZrtpHash,
};
use super::secret::Secret;
use super::transport::{Dtls, Fingerprint, Method, RemoteCandidate, Sctp, Setup, Transport};
use crate::ns;

/// What texts are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Words are tokens, and values have no spaces: what lines of SDP can say too.
    Line,
    /// Anything that XML can say.
    Xml,
    /// Anything at all. What is written is not read as the same, but is XML.
    Wild,
}

/// A word, never empty.
pub fn word(text: Text) -> BoxedStrategy<SmolStr> {
    match text {
        Text::Line => "[A-Za-z0-9+.-]{1,10}".prop_map(SmolStr::from).boxed(),
        Text::Xml => "[ -~\t\r\né€😀\u{fffd}]{1,8}".prop_map(SmolStr::from).boxed(),
        Text::Wild => any::<String>().prop_map(SmolStr::from).boxed(),
    }
}

/// A word without this character.
fn word_without(text: Text, not: char) -> BoxedStrategy<SmolStr> {
    word(text).prop_map(move |word| if word.contains(not) { word.replace(not, "_").into() } else { word }).boxed()
}

/// A value, which may be empty but in lines.
pub fn value(text: Text) -> BoxedStrategy<SmolStr> {
    match text {
        Text::Line => "[A-Za-z0-9+/:.|^-]{1,20}".prop_map(SmolStr::from).boxed(),
        Text::Xml => "[ -~\t\r\né€😀]{0,12}".prop_map(SmolStr::from).boxed(),
        Text::Wild => any::<String>().prop_map(SmolStr::from).boxed(),
    }
}

/// What may be the name of an element or attribute.
pub fn name(text: Text) -> BoxedStrategy<SmolStr> {
    match text {
        Text::Line | Text::Xml => "[a-w_][A-Za-z0-9_.-]{0,6}".prop_map(SmolStr::from).boxed(),
        Text::Wild => any::<String>().prop_map(SmolStr::from).boxed(),
    }
}

fn namespace(text: Text) -> BoxedStrategy<SmolStr> {
    let known = [ns::XML, ns::XMLNS, ns::JINGLE, ns::JINGLE_RTP, ns::SDP, ""].map(SmolStr::from).to_vec();
    match text {
        Text::Line => "urn:x:[a-z]{1,5}".prop_map(SmolStr::from).boxed(),
        Text::Xml => "[ -~é€😀]{1,12}".prop_map(SmolStr::from).boxed(),
        Text::Wild => prop_oneof![any::<String>().prop_map(SmolStr::from), prop::sample::select(known)].boxed(),
    }
}

/// A value that is no empty one.
fn said(text: Text) -> BoxedStrategy<SmolStr> {
    (word(text), value(text)).prop_map(|(word, value)| format!("{word}{value}").into()).boxed()
}

/// The first of each that have the same key.
fn distinct<T, K: std::hash::Hash + Eq>(mut list: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::new();
    list.retain(|item| seen.insert(key(item)));
    list
}

pub fn senders() -> impl Strategy<Value = Senders> {
    prop::sample::select(vec![Senders::Both, Senders::Initiator, Senders::None, Senders::Responder])
}

pub fn party() -> impl Strategy<Value = Party> {
    prop::sample::select(vec![Party::Initiator, Party::Responder])
}

/// One of `a=fmtp`.
pub fn format_parameter(text: Text) -> impl Strategy<Value = Parameter> {
    let named = (word_without(text, '='), value(text)).prop_map(|(name, value)| Parameter { name, value: Some(value) });
    let empty = word_without(text, '=').prop_map(|name| Parameter { name, value: Some(SmolStr::default()) });
    let nameless = word_without(text, '=').prop_map(|value| Parameter { name: SmolStr::default(), value: Some(value) });
    prop_oneof![6 => named, 1 => empty, 1 => nameless]
}

/// One of `a=rtcp-fb` or `a=extmap`.
pub fn word_parameter(text: Text) -> impl Strategy<Value = Parameter> {
    (word_without(text, '='), option::of(value(text))).prop_map(|(name, value)| Parameter { name, value })
}

pub fn feedback(text: Text) -> impl Strategy<Value = Feedback> {
    (word(text), option::of(word_without(text, ' ')), vec(word_parameter(text), 0..3))
        // Without a first word there are no further ones in SDP.
        .prop_map(|(kind, subtype, parameters)| Feedback {
            parameters: if subtype.is_some() { parameters } else { Vec::new() },
            kind,
            subtype,
        })
}

pub fn feedbacks(text: Text) -> impl Strategy<Value = Feedbacks> {
    (vec(feedback(text), 0..3), option::weighted(0.2, any::<u32>())).prop_map(|(messages, trr_int)| Feedbacks { messages, trr_int })
}

pub fn payload_type(text: Text) -> impl Strategy<Value = PayloadType> {
    let numbers = (0..=127_u8, option::of(1..=192_000_u32), option::of(1..=8_u8), option::of(1..=1000_u32), option::of(1..=1000_u32));
    (numbers, option::of(word(text)), vec(format_parameter(text), 0..4), feedbacks(text)).prop_map(
        |((id, clockrate, channels, ptime, maxptime), name, parameters, feedback)| PayloadType {
            id,
            name,
            clockrate,
            channels,
            ptime,
            maxptime,
            parameters,
            feedback,
        },
    )
}

pub fn crypto(text: Text) -> impl Strategy<Value = Crypto> {
    let tag = (1..=999_999_999_u32).prop_map(|tag| SmolStr::from(tag.to_string()));
    (tag, word(text), said(text), option::of(said(text))).prop_map(|(tag, suite, key_params, session_params)| Crypto {
        tag,
        suite,
        key_params,
        session_params,
    })
}

fn hexadecimal(text: Text, pairs: &'static str) -> BoxedStrategy<SmolStr> {
    match text {
        Text::Wild => value(text),
        _ => pairs.prop_map(SmolStr::from).boxed(),
    }
}

pub fn zrtp_hash(text: Text) -> impl Strategy<Value = ZrtpHash> {
    ("1\\.1[0-9]", hexadecimal(text, "[0-9a-f]{64}")).prop_map(|(version, hash)| ZrtpHash { version: version.into(), hash })
}

pub fn bandwidth(text: Text) -> impl Strategy<Value = Bandwidth> {
    let kind = prop_oneof![prop::sample::select(vec!["AS", "TIAS", "RR", "RS", "CT"]).prop_map(SmolStr::from), word(text)];
    (kind, any::<u32>()).prop_map(|(kind, value)| Bandwidth { kind, value: value.to_string().into() })
}

pub fn header_extension(text: Text) -> impl Strategy<Value = HeaderExtension> {
    (1..=255_u16, said(text), option::of(senders()), vec(word_parameter(text), 0..2))
        .prop_map(|(id, uri, senders, parameters)| HeaderExtension { id, uri, senders, parameters })
}

pub fn source(text: Text) -> impl Strategy<Value = Source> {
    let parameter = (name(text), option::of(value(text))).prop_map(|(name, value)| Parameter { name, value });
    (any::<u32>(), vec(parameter, 0..3)).prop_map(|(ssrc, parameters)| Source { ssrc, parameters })
}

pub fn source_group(text: Text) -> impl Strategy<Value = SourceGroup> {
    (word(text), vec(any::<u32>(), 1..4)).prop_map(|(semantics, sources)| SourceGroup { semantics, sources })
}

pub fn msid(text: Text) -> impl Strategy<Value = Msid> {
    (word(text), option::of(word(text))).prop_map(|(stream, track)| Msid { stream, track })
}

pub fn encryption(text: Text) -> impl Strategy<Value = Option<Encryption>> {
    (any::<bool>(), vec(crypto(text), 0..3))
        .prop_map(|(required, cryptos)| (required || !cryptos.is_empty()).then_some(Encryption { required, cryptos }))
}

pub fn rtp(text: Text) -> impl Strategy<Value = Rtp> {
    let media = prop_oneof![4 => prop::sample::select(vec!["audio", "video"]).prop_map(SmolStr::from), 1 => word(text)];
    let codecs = (vec(payload_type(text), 0..5), feedbacks(text), vec(header_extension(text), 0..3));
    let security =
        (prop_oneof![2 => Just(None), 1 => encryption(text)], prop_oneof![4 => Just(Vec::new()), 1 => vec(zrtp_hash(text), 1..3)]);
    let sources = (vec(source(text), 0..3), vec(source_group(text), 0..2), vec(msid(text), 0..2), option::weighted(0.2, any::<u32>()));
    (media, codecs, security, sources, vec(bandwidth(text), 0..3), any::<[bool; 3]>()).prop_map(
        |(media, codecs, security, sources, bandwidths, [rtcp_mux, rtcp_reduced_size, extmap_allow_mixed])| Rtp {
            media,
            ssrc: sources.3,
            payload_types: distinct(codecs.0, |payload_type| payload_type.id),
            feedback: codecs.1,
            encryption: security.0,
            zrtp_hashes: security.1,
            bandwidths,
            rtcp_mux,
            rtcp_reduced_size,
            header_extensions: distinct(codecs.2, |extension| extension.id),
            extmap_allow_mixed,
            sources: distinct(sources.0, |source| source.ssrc),
            source_groups: sources.1,
            streams: sources.2,
        },
    )
}

fn address(text: Text) -> BoxedStrategy<SmolStr> {
    let addresses = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|ip| SmolStr::from(ip.to_string())),
        any::<std::net::Ipv6Addr>().prop_map(|ip| SmolStr::from(ip.to_string())),
        "[0-9a-f]{8}\\.local".prop_map(SmolStr::from),
    ];
    if text == Text::Line { addresses.boxed() } else { prop_oneof![addresses, word(text)].boxed() }
}

/// A candidate of this method.
pub fn candidate(text: Text, method: &Method) -> impl Strategy<Value = Candidate> + use<> {
    let raw = *method == Method::RawUdp;
    let kind =
        prop::sample::select(vec![CandidateType::Host, CandidateType::ServerReflexive, CandidateType::PeerReflexive, CandidateType::Relay]);
    let kind = if raw { option::of(kind).boxed() } else { kind.prop_map(Some).boxed() };
    let extension = (name(text), value(text)).prop_map(|(name, value)| Parameter { name, value: Some(value) });
    let protocol = prop_oneof![4 => Just(SmolStr::from("udp")), 1 => Just(SmolStr::from("tcp"))];
    let numbers = (any::<u8>(), any::<u8>(), any::<u16>(), option::of(1..=u64::from(u32::MAX)));
    let words = (option::of(word(text)), option::of(word(text)), address(text), protocol);
    let rest = (
        kind,
        option::of((address(text), any::<u16>())),
        option::weighted(0.2, prop::sample::select(vec!["active", "passive", "so"])),
        option::of((0..9_u8).prop_map(|network| SmolStr::from(network.to_string()))),
        vec(extension, 0..3),
    );
    (numbers, words, rest).prop_map(move |(numbers, words, rest)| Candidate {
        component: numbers.0,
        foundation: words.0,
        generation: numbers.1,
        id: words.1,
        ip: words.2,
        port: numbers.2,
        priority: numbers.3,
        protocol: words.3,
        kind: rest.0,
        related: rest.1,
        tcp_type: rest.2.map(SmolStr::from),
        network: rest.3,
        extensions: match text {
            Text::Wild => rest.4,
            _ => distinct(rest.4, |extension| extension.name.clone())
                .into_iter()
                .filter(|extension| Candidate::may_extend(&extension.name))
                .collect(),
        },
    })
}

pub fn dtls(text: Text) -> impl Strategy<Value = Dtls> {
    let setup = prop::sample::select(vec![Setup::Active, Setup::Actpass, Setup::Holdconn, Setup::Passive]);
    let fingerprint =
        (word(text), hexadecimal(text, "[0-9A-F]{2}(:[0-9A-F]{2}){19}")).prop_map(|(hash, value)| Fingerprint { hash, value });
    (vec(fingerprint, 1..3), option::of(setup)).prop_map(|(fingerprints, setup)| Dtls { fingerprints, setup })
}

pub fn sctp(text: Text) -> impl Strategy<Value = Sctp> {
    let protocol = prop_oneof![Just(SmolStr::from("webrtc-datachannel")), word(text)];
    (any::<u16>(), protocol, option::of(1..=u16::MAX)).prop_map(|(port, protocol, streams)| Sctp { port, protocol, streams })
}

pub fn method(text: Text) -> impl Strategy<Value = Method> {
    prop_oneof![
        4 => Just(Method::IceUdp),
        1 => Just(Method::Ice),
        1 => Just(Method::RawUdp),
        1 => namespace(text).prop_map(Method::Other),
    ]
}

/// A transport of any method.
pub fn transport(text: Text) -> impl Strategy<Value = Transport> {
    method(text).prop_flat_map(move |method| transport_of(text, method))
}

/// A transport of this method.
pub fn transport_of(text: Text, method: Method) -> BoxedStrategy<Transport> {
    let credentials = (option::of(word(text)), option::of(word(text).prop_map(Secret::from)));
    if text != Text::Wild && !method.has_candidates() {
        return credentials.prop_map(move |(ufrag, pwd)| Transport { method: method.clone(), ufrag, pwd, ..Transport::default() }).boxed();
    }
    let option = prop_oneof![prop::sample::select(vec!["trickle", "renomination", "ice2"]).prop_map(SmolStr::from), name(text)];
    let remote = (any::<u8>(), address(text), any::<u16>()).prop_map(|(component, ip, port)| RemoteCandidate { component, ip, port });
    let lists = (vec(candidate(text, &method), 0..4), vec(option, 0..3), vec(remote, 0..2));
    (credentials, lists, any::<bool>(), option::of(dtls(text)), option::weighted(0.2, sctp(text)))
        .prop_map(move |(credentials, lists, gathering_complete, dtls, sctp)| {
            let mut options = distinct(lists.1, Clone::clone);
            if method == Method::Ice {
                // Has an attribute, so that its place is lost.
                options.sort_by_key(|option| *option != "ice2");
            }
            Transport {
                ufrag: credentials.0,
                pwd: credentials.1,
                options,
                candidates: lists.0,
                candidates_left_out: 0,
                remote_candidates: lists.2,
                gathering_complete,
                dtls,
                sctp,
                method: method.clone(),
            }
        })
        .boxed()
}

pub fn carried(text: Text) -> impl Strategy<Value = Carried> {
    let value = match text {
        Text::Line => "x-[a-z]{1,8}(:[ -~]{0,16})?".prop_map(SmolStr::from).boxed(),
        Text::Xml => "[ -~\té€😀]{0,16}".prop_map(SmolStr::from).boxed(),
        Text::Wild => value(text),
    };
    let kind = match text {
        Text::Line => Just('a').boxed(),
        Text::Xml => prop::sample::select("abeiprstuz".chars().collect::<Vec<_>>()).boxed(),
        Text::Wild => any::<char>().boxed(),
    };
    (kind, value).prop_map(|(kind, value)| Carried { kind, value })
}

pub fn description(text: Text) -> impl Strategy<Value = Description> {
    prop_oneof![
        6 => rtp(text).prop_map(|rtp| Description::Rtp(Box::new(rtp))),
        1 => Just(Description::FileTransfer),
        1 => namespace(text).prop_map(Description::Other),
    ]
}

pub fn content(text: Text) -> impl Strategy<Value = Content> {
    let protocol = match text {
        Text::Wild => value(text),
        _ => "(RTP|UDP|TCP)/[A-Z/]{1,8}".prop_map(SmolStr::from).boxed(),
    };
    let attributes = (party(), word(text), option::of(senders()), option::weighted(0.2, word(text)));
    let children = (option::of(description(text)), option::of(transport(text)), option::weighted(0.2, protocol), vec(carried(text), 0..3));
    (attributes, children).prop_map(|(attributes, children)| Content {
        creator: attributes.0,
        name: attributes.1,
        senders: attributes.2,
        disposition: attributes.3,
        description: children.0,
        transport: children.1,
        protocol: children.2,
        carried: children.3,
    })
}

pub fn group(text: Text) -> impl Strategy<Value = Group> {
    let semantics = prop_oneof![Just(SmolStr::from("BUNDLE")), word(text)];
    (semantics, vec(word(text), 0..4)).prop_map(|(semantics, contents)| Group { semantics, contents })
}

fn specific(text: Text) -> impl Strategy<Value = Specific> {
    (name(text), namespace(text))
        .prop_filter("a text is a text in any namespace", |(name, _)| name != "text")
        .prop_map(|(name, namespace)| Specific { name, namespace })
}

pub fn reason(text: Text) -> impl Strategy<Value = Reason> {
    let condition =
        prop::sample::select(vec![Condition::Success, Condition::AlternativeSession, Condition::SecurityError, Condition::Busy]);
    let sid = option::weighted(0.2, "[a-z0-9]{1,8}".prop_map(SmolStr::from));
    (condition, option::of(value(text)), sid, option::weighted(0.3, specific(text))).prop_map(|(condition, text, sid, specific)| Reason {
        condition: Some(condition),
        text: text.map(|text| text.as_str().into()),
        sid,
        specific,
    })
}

pub fn info(text: Text) -> impl Strategy<Value = Info> {
    let attribute = (name(text), value(text)).prop_map(|(name, value)| Parameter { name, value: Some(value) });
    let known = prop::sample::select(vec!["active", "hold", "unhold", "mute", "unmute", "ringing", "dtmf"]).prop_map(Info::new);
    let other = (name(text), namespace(text)).prop_map(|(name, namespace)| Info { name, namespace, attributes: Vec::new() });
    (prop_oneof![4 => known, 1 => other], vec(attribute, 0..3)).prop_map(move |(info, attributes)| Info {
        attributes: if text == Text::Wild { attributes } else { distinct(attributes, |attribute| attribute.name.clone()) },
        ..info
    })
}

pub fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::ContentAccept,
        Action::ContentAdd,
        Action::ContentModify,
        Action::DescriptionInfo,
        Action::SessionAccept,
        Action::SessionInfo,
        Action::SessionInitiate,
        Action::SessionTerminate,
        Action::TransportInfo,
        Action::TransportReplace,
    ])
}

/// Everything.
pub fn jingle(text: Text) -> impl Strategy<Value = Jingle> {
    let attributes = (action(), "[a-z0-9]{1,12}", option::of(said(text)), option::of(said(text)));
    let children = (vec(content(text), 0..3), vec(group(text), 0..3), option::weighted(0.2, reason(text)), vec(carried(text), 0..3));
    (attributes, children, option::of(info(text))).prop_map(|(attributes, children, info)| Jingle {
        action: attributes.0,
        sid: attributes.1.into(),
        initiator: attributes.2,
        responder: attributes.3,
        contents: children.0,
        groups: children.1,
        reason: children.2,
        info: info.filter(|_| attributes.0 == Action::SessionInfo),
        carried: children.3,
    })
}
