//! Transports: ICE-UDP (XEP-0176), ICE (XEP-0371) and raw UDP (XEP-0177), with what others hang into them: DTLS (XEP-0320) and data channels
//! (XEP-0343). Other transports are kept by namespace alone: nothing in them concerns a relay, and SDP has no word for them.

use std::net::SocketAddr;

use smol_str::SmolStr;

use super::candidate::{Candidate, CandidateType};
use super::content::NAME_BYTES_MAX;
use super::reading::Reading;
use crate::ns;
use crate::xml::Node;

/// Candidates read from one `<transport/>`; what follows is left out and counted in [`Transport::candidates_left_out`].
/// Chromium with six networks and three TURN transports writes some 60 for a content that is not bundled.
pub const CANDIDATES_MAX: usize = 256;

/// How a content travels: XEP-0166 §4.1, "transport method".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transport {
    /// Which method.
    pub method: Method,
    /// User fragment of ICE.
    pub ufrag: Option<SmolStr>,
    /// Password of ICE.
    pub pwd: Option<SmolStr>,
    /// `a=ice-options` (RFC 8839 §5.6) in their order: elements of those names, as `<trickle/>` and `<renomination/>` in what clients write;
    /// `ice2` is XEP-0371's attribute.
    pub options: Vec<SmolStr>,
    /// In the order of the element.
    pub candidates: Vec<Candidate>,
    /// How many more there were.
    pub candidates_left_out: usize,
    /// `<remote-candidate/>` (XEP-0176 §5.7): component, address, port; `a=remote-candidates`.
    pub remote_candidates: Vec<RemoteCandidate>,
    /// End of candidates: XEP-0371 §7; stanza.js writes it in the namespace of ICE-UDP. `a=end-of-candidates`.
    pub gathering_complete: bool,
    /// XEP-0320: `a=fingerprint` and `a=setup`.
    pub dtls: Option<Dtls>,
    /// XEP-0343: `a=sctp-port` or `a=sctpmap`.
    pub sctp: Option<Sctp>,
}

/// A transport method by its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Method {
    /// XEP-0176.
    #[default]
    IceUdp,
    /// XEP-0371.
    Ice,
    /// XEP-0177.
    RawUdp,
    /// Any other namespace, at most [`NAME_BYTES_MAX`] bytes of it.
    Other(SmolStr),
}

/// A `<remote-candidate/>`: XEP-0176 §5.7, RFC 8839 §5.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Its address.
    pub ip: SmolStr,
    /// Its port.
    pub port: u16,
}

/// Keys of DTLS, RFC 5763 and RFC 8842.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dtls {
    /// `a=fingerprint`; one of them has to match (RFC 8122 §5).
    pub fingerprints: Vec<Fingerprint>,
    /// `a=setup` (RFC 4145 §4), for all of them. `None`: not said.
    pub setup: Option<Setup>,
}

/// RFC 8122 §5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// `sha-256`…
    pub hash: SmolStr,
    /// Pairs of hexadecimal digits with colons between.
    pub value: SmolStr,
}

words! {
    /// RFC 4145 §4: who begins the handshake.
    pub enum Setup {
        /// The party does.
        Active = "active",
        /// Either may: an offer.
        Actpass = "actpass",
        /// Nobody, for now.
        Holdconn = "holdconn",
        /// The other party does.
        Passive = "passive",
    }
}

/// A `<sctpmap/>`: XEP-0343; RFC 8841.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sctp {
    /// Port of SCTP inside DTLS.
    pub port: u16,
    /// `webrtc-datachannel`.
    pub protocol: SmolStr,
    /// How many streams, from `a=sctpmap`.
    pub streams: Option<u16>,
}

impl Method {
    pub(super) fn of(namespace: &str) -> Self {
        match namespace {
            ns::JINGLE_ICE_UDP => Self::IceUdp,
            ns::JINGLE_ICE => Self::Ice,
            ns::JINGLE_RAW_UDP => Self::RawUdp,
            other => Self::Other(super::cut(other, NAME_BYTES_MAX).into()),
        }
    }

    /// A short name: the XEP's, or the end of the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::IceUdp => "ice-udp",
            Self::Ice => "ice",
            Self::RawUdp => "raw-udp",
            Self::Other(namespace) => namespace.strip_prefix("urn:xmpp:jingle:transports:").unwrap_or(namespace),
        }
    }

    /// Whether candidates are transport addresses that a relay may own.
    #[must_use]
    pub fn has_candidates(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl Transport {
    /// Reads a `<transport/>`; unknown children and candidates that are none are passed over.
    pub(super) fn read(node: Node<'_>, _reading: &mut Reading) -> Self {
        let method = Method::of(node.ns());
        let mut transport = Self {
            ufrag: node.attr("ufrag").map(|text| super::cut(text, NAME_BYTES_MAX).into()),
            pwd: node.attr("pwd").map(|text| super::cut(text, NAME_BYTES_MAX).into()),
            method,
            ..Self::default()
        };
        if !transport.method.has_candidates() {
            return transport;
        }
        for child in node.children() {
            match child.name() {
                "candidate" if transport.candidates.len() >= CANDIDATES_MAX => transport.candidates_left_out += 1,
                "candidate" => transport.candidates.extend(Candidate::read(child, &transport.method)),
                "gathering-complete" => transport.gathering_complete = true,
                _ => {}
            }
        }
        transport
    }

    /// Addresses that may be relayed ones: candidates of type `relay`, and any of raw UDP, which need not tell (XEP-0177 §4.2).
    pub fn relayed(&self) -> impl Iterator<Item = SocketAddr> {
        let raw = self.method == Method::RawUdp;
        self.candidates
            .iter()
            .filter(move |candidate| candidate.kind == Some(CandidateType::Relay) || raw && candidate.kind.is_none())
            .filter_map(Candidate::address)
    }
}
