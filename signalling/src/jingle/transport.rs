//! Transports: ICE-UDP (XEP-0176), ICE (XEP-0371) and raw UDP (XEP-0177), with what others hang into them: DTLS (XEP-0320) and data channels
//! (XEP-0343). Other transports are kept by namespace alone: nothing in them concerns a relay, and SDP has no word for them.

mod dtls;
mod sctp;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use smol_str::SmolStr;

pub use dtls::{Dtls, FINGERPRINTS_MAX, Fingerprint, Setup};
pub use sctp::Sctp;

use super::candidate::{Candidate, CandidateType};
use super::content::NAME_BYTES_MAX;
use super::names;
use super::reading::Reading;
use super::secret::Secret;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Candidates read from one `<transport/>`; what follows is left out and counted in [`Transport::candidates_left_out`].
/// Chromium with six networks and three TURN transports writes some 60 for a content that is not bundled.
pub const CANDIDATES_MAX: usize = 256;
/// Remote candidates read from one `<transport/>`: one for each component.
pub const REMOTE_CANDIDATES_MAX: usize = 16;
/// Options of ICE read from one `<transport/>`.
pub const OPTIONS_MAX: usize = 16;

/// The option that XEP-0371 §5.3 has an attribute for.
const ICE2: &str = "ice2";

/// How a content travels: XEP-0166 §4.1, "transport method".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transport {
    /// Which method.
    pub method: Method,
    /// User fragment of ICE.
    pub ufrag: Option<SmolStr>,
    /// Password of ICE.
    pub pwd: Option<Secret>,
    /// `a=ice-options` (RFC 8839 §5.6) in their order, none twice: elements of those names, as `<trickle/>` and `<renomination/>` in what clients
    /// write; in XEP-0371 `ice2` is an attribute, and comes first.
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

impl Method {
    pub(super) fn of(namespace: &str) -> Self {
        match namespace {
            ns::JINGLE_ICE_UDP => Self::IceUdp,
            ns::JINGLE_ICE => Self::Ice,
            ns::JINGLE_RAW_UDP => Self::RawUdp,
            other => Self::Other(super::cut(other, NAME_BYTES_MAX).into()),
        }
    }

    /// Of its `<transport/>`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::IceUdp => ns::JINGLE_ICE_UDP,
            Self::Ice => ns::JINGLE_ICE,
            Self::RawUdp => ns::JINGLE_RAW_UDP,
            Self::Other(namespace) => namespace,
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
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Self {
        let mut transport = Self { method: Method::of(node.ns()), ..Self::default() };
        let known = transport.method.has_candidates();
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "ufrag" => transport.ufrag = reading.word(node, name, value),
                "pwd" => transport.pwd = reading.word(node, name, value).map(Secret::from),
                ICE2 if transport.method == Method::Ice => match value.trim() {
                    "true" | "1" => transport.options.push(ICE2.into()),
                    "false" | "0" => {}
                    _ => reading.unexpected(node, name, value, "'true' or 'false'"),
                },
                // Those of a method that is kept by its name alone are that method's.
                _ if known => reading.unknown_attribute(node, namespace, name),
                _ => {}
            }
        }
        if !known {
            return transport;
        }
        for child in node.children() {
            // An option may have any name.
            let option = child.ns() == ns::JINGLE_ICE_OPTION;
            match child.name() {
                "candidate" if !option => {
                    if reading.has_room(child, transport.candidates.len(), CANDIDATES_MAX) {
                        transport.candidates.extend(Candidate::read(child, &transport.method, reading));
                    } else {
                        transport.candidates_left_out += 1;
                    }
                }
                "gathering-complete" if !option => transport.gathering_complete = true,
                _ if reading.is_whole() => transport.read_child(child, node, reading),
                _ => {}
            }
        }
        transport
    }

    /// What only the parties need.
    fn read_child(&mut self, child: Node<'_>, parent: Node<'_>, reading: &mut Reading) {
        match (child.ns(), child.name()) {
            (ns::JINGLE_DTLS, "fingerprint") => dtls::read(child, self, reading),
            (ns::JINGLE_SCTP, "sctpmap") => {
                if reading.has_room(child, self.sctp.iter().len(), 1) {
                    self.sctp = Sctp::read(child, reading);
                }
            }
            (ns::JINGLE_ICE_OPTION, name) if names::is_name(name) => {
                let twice = self.options.iter().any(|option| option == name);
                if !twice && reading.has_room(child, self.options.len(), OPTIONS_MAX) {
                    let at = if self.method == Method::Ice && name == ICE2 { 0 } else { self.options.len() };
                    if let Some(name) = reading.word(child, "name", name) {
                        self.options.insert(at, name);
                    }
                }
            }
            (namespace, "remote-candidate") if namespace == parent.ns() => {
                if reading.has_room(child, self.remote_candidates.len(), REMOTE_CANDIDATES_MAX) {
                    self.remote_candidates.extend(RemoteCandidate::read(child, reading));
                }
            }
            // Of the description: `Content::read` sees to it.
            (namespace, "rtcp-mux") if namespace == parent.ns() => {}
            _ => reading.unknown_child(child, parent),
        }
    }

    /// Writes it; of a method that is kept by its name alone, no more than that.
    pub fn write(&self, out: &mut XmlWriter) {
        let namespace = self.method.namespace();
        if !names::is_namespace(namespace) {
            return;
        }
        out.open("transport").ns(namespace);
        out.attr_opt("pwd", self.pwd.as_deref()).attr_opt("ufrag", self.ufrag.as_deref());
        let ice2 = |option: &SmolStr| self.method == Method::Ice && option == ICE2;
        if self.options.iter().any(ice2) {
            out.attr(ICE2, "true");
        }
        for option in self.options.iter().filter(|option| !ice2(option) && names::is_name(option)) {
            out.open(option).ns(ns::JINGLE_ICE_OPTION).close();
        }
        if let Some(sctp) = &self.sctp {
            sctp.write(out);
        }
        if let Some(dtls) = &self.dtls {
            dtls.write(out);
        }
        self.candidates.iter().for_each(|candidate| candidate.write(&self.method, out));
        if self.gathering_complete {
            out.open("gathering-complete").close();
        }
        self.remote_candidates.iter().for_each(|candidate| candidate.write(out));
        out.close();
    }

    /// Whether an option of ICE can be an element: its name is one in XML.
    #[must_use]
    pub fn may_have_option(option: &str) -> bool {
        names::is_name(option)
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

impl RemoteCandidate {
    fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut component, mut ip, mut port) = (None, None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "component" => component = Some(reading.number(node, name, value)?),
                "ip" => ip = Some(reading.word(node, name, value)?),
                "port" => port = Some(reading.number(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        Some(Self { component: component.unwrap_or(1), ip: reading.required(node, "ip", ip)?, port: reading.required(node, "port", port)? })
    }

    fn write(&self, out: &mut XmlWriter) {
        out.open("remote-candidate").attr_number("component", self.component.into()).attr("ip", &self.ip);
        out.attr_number("port", self.port.into()).close();
    }
}
