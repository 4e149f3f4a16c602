//! `<encryption/>`: SDES (XEP-0167 §7) and ZRTP (XEP-0262).

use smol_str::SmolStr;

use super::Rtp;
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Offers of SDES read from one description.
pub const CRYPTOS_MAX: usize = 64;
/// Hashes of ZRTP read from one description.
pub const ZRTP_HASHES_MAX: usize = 16;

/// XEP-0167 §7.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encryption {
    /// The party refuses to go on without.
    pub required: bool,
    /// In order of preference.
    pub cryptos: Vec<Crypto>,
}

/// SDES: RFC 4568 §4.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Identifies it within the section: RFC 4568 §4.1.
    pub tag: SmolStr,
    /// RFC 4568 §4.2.
    pub suite: SmolStr,
    /// RFC 4568 §4.3. Secret.
    pub key_params: SmolStr,
    /// RFC 4568 §4.4.
    pub session_params: Option<SmolStr>,
}

/// Without the key.
impl std::fmt::Debug for Crypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crypto").field("tag", &self.tag).field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// RFC 6189 §8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZrtpHash {
    /// `1.10`.
    pub version: SmolStr,
    /// Of the Hello message, in hexadecimal digits.
    pub hash: SmolStr,
}

/// Reads an `<encryption/>` into its description. One that says nothing is none.
pub(super) fn read(node: Node<'_>, rtp: &mut Rtp, reading: &mut Reading) {
    let mut encryption = rtp.encryption.take().unwrap_or_default();
    for (namespace, name, value) in node.attrs() {
        match (name, value.trim()) {
            ("required", "true" | "1") if namespace.is_empty() => encryption.required = true,
            ("required", "false" | "0") if namespace.is_empty() => {}
            ("required", _) if namespace.is_empty() => reading.unexpected(node, name, value, "'true' or 'false'"),
            _ => reading.unknown_attribute(node, namespace, name),
        }
    }
    for child in node.children() {
        match (child.ns(), child.name()) {
            (ns::JINGLE_RTP, "crypto") => {
                if reading.has_room(child, encryption.cryptos.len(), CRYPTOS_MAX) {
                    encryption.cryptos.extend(Crypto::read(child, reading));
                }
            }
            (ns::JINGLE_ZRTP, "zrtp-hash") => {
                if reading.has_room(child, rtp.zrtp_hashes.len(), ZRTP_HASHES_MAX) {
                    rtp.zrtp_hashes.extend(ZrtpHash::read(child, reading));
                }
            }
            _ => reading.unknown_child(child, node),
        }
    }
    rtp.encryption = (encryption.required || !encryption.cryptos.is_empty()).then_some(encryption);
}

/// Writes the `<encryption/>` of a description that says something.
pub(super) fn write(rtp: &Rtp, out: &mut XmlWriter) {
    let required = rtp.encryption.as_ref().is_some_and(|encryption| encryption.required);
    let cryptos = rtp.encryption.as_ref().map_or(&[][..], |encryption| &encryption.cryptos);
    if !required && cryptos.is_empty() && rtp.zrtp_hashes.is_empty() {
        return;
    }
    out.open("encryption").attr_opt("required", required.then_some("1"));
    for crypto in cryptos {
        out.open("crypto").attr("crypto-suite", &crypto.suite).attr("key-params", &crypto.key_params);
        out.attr_opt("session-params", crypto.session_params.as_deref()).attr("tag", &crypto.tag).close();
    }
    for hash in &rtp.zrtp_hashes {
        out.open("zrtp-hash").ns(ns::JINGLE_ZRTP).attr("version", &hash.version).text(&hash.hash).close();
    }
    out.close();
}

impl Crypto {
    fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut tag, mut suite, mut key_params, mut session_params) = (None, None, None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "tag" => tag = Some(reading.word(node, name, value)?),
                "crypto-suite" => suite = Some(reading.word(node, name, value)?),
                "key-params" => key_params = Some(reading.value(node, name, value)?),
                "session-params" => session_params = reading.value(node, name, value).filter(|text| !text.is_empty()),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let said = |text: &SmolStr| !text.is_empty();
        Some(Self {
            tag: reading.required(node, "tag", tag.filter(said))?,
            suite: reading.required(node, "crypto-suite", suite.filter(said))?,
            key_params: reading.required(node, "key-params", key_params.filter(said))?,
            session_params,
        })
    }
}

impl ZrtpHash {
    fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let mut version = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                "version" if namespace.is_empty() => version = Some(reading.word(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let version = reading.required(node, "version", version.filter(|text| !text.is_empty()))?;
        let text = node.text();
        let hash = text.trim();
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            reading.unexpected_text(node, hash, "hexadecimal digits");
            return None;
        }
        Some(Self { version, hash: reading.value(node, "text", hash)? })
    }
}
