//! Keys of DTLS: XEP-0320.

use smol_str::SmolStr;

use super::Transport;
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Fingerprints read from one transport.
pub const FINGERPRINTS_MAX: usize = 16;

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

/// Reads a `<fingerprint/>` into its transport.
pub(super) fn read(node: Node<'_>, transport: &mut Transport, reading: &mut Reading) {
    let (mut hash, mut setup) = (None, None);
    for (namespace, name, value) in node.attrs() {
        match name {
            _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
            "hash" => hash = reading.word(node, name, value).filter(|hash| !hash.is_empty()),
            "setup" => {
                setup = Setup::parse(value);
                if setup.is_none() {
                    reading.unexpected(node, name, value, "'active', 'passive' or 'actpass'");
                }
            }
            // Version 0.1 of the specification. Whoever has a fingerprint uses it.
            "required" => {}
            _ => reading.unknown_attribute(node, namespace, name),
        }
    }
    let Some(hash) = reading.required(node, "hash", hash) else { return };
    let text = node.text();
    let value = text.trim();
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
        reading.unexpected_text(node, value, "pairs of hexadecimal digits with colons between");
        return;
    }
    let Some(value) = reading.value(node, "text", value) else { return };
    let dtls = transport.dtls.get_or_insert_default();
    if !reading.has_room(node, dtls.fingerprints.len(), FINGERPRINTS_MAX) {
        return;
    }
    if let (Some(before), Some(setup)) = (dtls.setup, setup)
        && before != setup
    {
        reading.unexpected(node, "setup", setup.as_str(), "the same as in the one before");
    }
    dtls.setup = dtls.setup.or(setup);
    dtls.fingerprints.push(Fingerprint { hash, value });
}

impl Dtls {
    /// SDP says once for all fingerprints what each element says.
    pub(super) fn write(&self, out: &mut XmlWriter) {
        for fingerprint in &self.fingerprints {
            out.open("fingerprint").ns(ns::JINGLE_DTLS).attr("hash", &fingerprint.hash);
            out.attr_opt("setup", self.setup.map(Setup::as_str)).text(&fingerprint.value).close();
        }
    }
}
