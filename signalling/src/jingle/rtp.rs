//! XEP-0167: what an RTP content consists of, with everything that later specifications hang into its `<description/>`.
//!
//! Each value says which element carries it and which line of SDP says the same; `docs/sdp-mapping.md` has the whole table.

use smol_str::SmolStr;

use super::content::{NAME_BYTES_MAX, Senders};
use super::reading::Reading;
use crate::ns;
use crate::xml::Node;

/// Payload types read from one description.
pub const PAYLOAD_TYPES_MAX: usize = 128;

/// A `<description xmlns='urn:xmpp:jingle:apps:rtp:1'/>`, an RTP media section of SDP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rtp {
    /// `audio`, `video`…: the first word of `m=`.
    pub media: SmolStr,
    /// XEP-0167 §4: the attribute `ssrc`, which SDP does not have without a parameter.
    pub ssrc: Option<u32>,
    /// In order of preference; the formats of `m=`.
    pub payload_types: Vec<PayloadType>,
    /// XEP-0293 §4 for the whole description; `a=rtcp-fb:*`.
    pub feedback: Feedbacks,
    /// XEP-0167 §7; `a=crypto`.
    pub encryption: Option<Encryption>,
    /// XEP-0262; `a=zrtp-hash`. An element stands in `<encryption/>`.
    pub zrtp_hashes: Vec<ZrtpHash>,
    /// `<bandwidth/>`, one for each `b=`.
    pub bandwidths: Vec<Bandwidth>,
    /// `<rtcp-mux/>`: RFC 5761.
    pub rtcp_mux: bool,
    /// `<rtcp-reduced-size/>`: RFC 5506, `a=rtcp-rsize`.
    pub rtcp_reduced_size: bool,
    /// XEP-0294: `a=extmap`.
    pub header_extensions: Vec<HeaderExtension>,
    /// XEP-0294 §4: `a=extmap-allow-mixed` (RFC 8285 §6).
    pub extmap_allow_mixed: bool,
    /// XEP-0339: `a=ssrc`.
    pub sources: Vec<Source>,
    /// XEP-0339: `a=ssrc-group`.
    pub source_groups: Vec<SourceGroup>,
    /// RFC 8830: `a=msid` where there is no source to carry it.
    pub streams: Vec<Msid>,
}

/// A `<payload-type/>`: XEP-0167 §4; `a=rtpmap` and `a=fmtp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadType {
    /// RTP payload type number, 0 to 127.
    pub id: u8,
    /// Subtype of the MIME type; may be missing for static types.
    pub name: Option<SmolStr>,
    /// In Hz.
    pub clockrate: Option<u32>,
    /// `None`: not said, which means 1.
    pub channels: Option<u8>,
    /// In ms.
    pub ptime: Option<u32>,
    /// In ms.
    pub maxptime: Option<u32>,
    /// In their order; `a=fmtp`.
    pub parameters: Vec<Parameter>,
    /// XEP-0293 §4 for this payload type; `a=rtcp-fb`.
    pub feedback: Feedbacks,
}

/// A `<parameter/>` of any kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Empty for what SDP writes without a name: `0-15`, `111/111`.
    pub name: SmolStr,
    /// `None`: SDP writes no `=`.
    pub value: Option<SmolStr>,
}

/// XEP-0293: what RTCP feedback is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedbacks {
    /// `<rtcp-fb/>`.
    pub messages: Vec<Feedback>,
    /// `<rtcp-fb-trr-int/>`, in ms; `a=rtcp-fb:… trr-int`.
    pub trr_int: Option<u32>,
}

/// One kind of feedback: RFC 4585 §4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`, `ccm`, `goog-remb`…
    pub kind: SmolStr,
    /// `pli`, `fir`…
    pub subtype: Option<SmolStr>,
    /// Further words.
    pub parameters: Vec<Parameter>,
}

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

/// RFC 8866 §5.8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `TIAS`, `RR`, `RS`, `CT`, `X-…`.
    pub kind: SmolStr,
    /// A number, in kbit/s for `AS` and `CT`, else in bit/s.
    pub value: SmolStr,
}

/// `<rtp-hdrext/>`: XEP-0294; RFC 8285 §5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderExtension {
    /// 1 to 255, or 4096 and above where there are too many (RFC 8285 §5).
    pub id: u16,
    /// Which extension.
    pub uri: SmolStr,
    /// By the roles of the parties, as with contents. `None`: not said, which means both.
    pub senders: Option<Senders>,
    /// What SDP writes behind the URI.
    pub parameters: Vec<Parameter>,
}

/// `<source/>`: XEP-0339; RFC 5576 §4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// RTP's synchronisation source.
    pub ssrc: u32,
    /// `cname`, `msid`, `label`…
    pub parameters: Vec<Parameter>,
}

/// `<ssrc-group/>`: XEP-0339; RFC 5576 §4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceGroup {
    /// `FID`, `FEC-FR`, `SIM`…
    pub semantics: SmolStr,
    /// In their order.
    pub sources: Vec<u32>,
}

/// RFC 8830 §2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Msid {
    /// Of the MediaStream; `-` for none.
    pub stream: SmolStr,
    /// Of the track.
    pub track: Option<SmolStr>,
}

impl Rtp {
    /// Reads a `<description/>`.
    pub(super) fn read(node: Node<'_>, _reading: &mut Reading) -> Self {
        Self {
            media: super::cut(node.attr("media").unwrap_or_default(), NAME_BYTES_MAX).into(),
            payload_types: node
                .children_named(ns::JINGLE_RTP, "payload-type")
                .filter_map(PayloadType::read)
                .take(PAYLOAD_TYPES_MAX)
                .collect(),
            ..Self::default()
        }
    }
}

impl PayloadType {
    fn read(node: Node<'_>) -> Option<Self> {
        let (mut id, mut read) = (None, Self::default());
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => {}
                "id" => id = value.trim().parse().ok(),
                "name" => read.name = Some(super::cut(value, NAME_BYTES_MAX).into()),
                "clockrate" => read.clockrate = value.trim().parse().ok(),
                "channels" => read.channels = value.trim().parse().ok(),
                _ => {}
            }
        }
        Some(Self { id: id?, ..read })
    }
}
