//! XEP-0167: what an RTP content consists of, with everything that later specifications hang into its `<description/>`.
//!
//! Each value says which element carries it and which line of SDP says the same; `docs/sdp-mapping.md` has the whole table.

mod bandwidth;
mod encryption;
mod extension;
mod feedback;
mod parameter;
mod payload;
mod source;
#[cfg(test)]
mod tests;

use smol_str::SmolStr;

pub use bandwidth::{BANDWIDTHS_MAX, Bandwidth};
pub use encryption::{CRYPTOS_MAX, Crypto, Encryption, ZRTP_HASHES_MAX, ZrtpHash};
pub(crate) use extension::uri;
pub use extension::{HEADER_EXTENSIONS_MAX, HeaderExtension};
pub use feedback::{FEEDBACKS_MAX, Feedback, Feedbacks};
pub use parameter::{PARAMETERS_MAX, Parameter};
pub use payload::{PAYLOAD_TYPES_MAX, PayloadType};
pub use source::{Msid, SOURCE_GROUPS_MAX, SOURCES_MAX, STREAMS_MAX, Source, SourceGroup};

use super::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// A `<description xmlns='urn:xmpp:jingle:apps:rtp:1'/>`, an RTP media section of SDP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rtp {
    /// `audio`, `video`…: the first word of `m=`.
    pub media: SmolStr,
    /// XEP-0167 §4: the attribute `ssrc`, which SDP does not have without a parameter.
    pub ssrc: Option<u32>,
    /// In order of preference; the formats of `m=`.
    pub payload_types: Vec<PayloadType>,
    /// XEP-0293 §3 for the whole description; `a=rtcp-fb:*`.
    pub feedback: Feedbacks,
    /// XEP-0167 §7; `a=crypto`. `None` also for what says neither that it is required nor with which keys.
    pub encryption: Option<Encryption>,
    /// XEP-0262; `a=zrtp-hash`. An element stands in `<encryption/>`.
    pub zrtp_hashes: Vec<ZrtpHash>,
    /// `<bandwidth/>`, one for each `b=`.
    pub bandwidths: Vec<Bandwidth>,
    /// `<rtcp-mux/>`: RFC 5761.
    pub rtcp_mux: bool,
    /// `<rtcp-reduced-size/>`, in no specification: RFC 5506, `a=rtcp-rsize`.
    pub rtcp_reduced_size: bool,
    /// XEP-0294: `a=extmap`.
    pub header_extensions: Vec<HeaderExtension>,
    /// XEP-0294 §3: `a=extmap-allow-mixed` (RFC 8285 §6).
    pub extmap_allow_mixed: bool,
    /// XEP-0339: `a=ssrc`.
    pub sources: Vec<Source>,
    /// XEP-0339: `a=ssrc-group`.
    pub source_groups: Vec<SourceGroup>,
    /// RFC 8830: `a=msid` where there is no source to carry it.
    pub streams: Vec<Msid>,
}

impl Rtp {
    /// Reads a `<description/>`.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Self {
        let mut rtp = Self::default();
        let (mut ptime, mut maxptime) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "media" => rtp.media = reading.word(node, name, value).unwrap_or_default(),
                "ssrc" => rtp.ssrc = reading.number(node, name, value),
                // Movim writes them here, as SDP has them.
                "ptime" => ptime = reading.number(node, name, value),
                "maxptime" => maxptime = reading.number(node, name, value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        if reading.is_whole() && rtp.media.is_empty() {
            reading.required(node, "media", None::<()>);
        }
        // They come first.
        let payload_types = node.children().take_while(|child| child.name() == "payload-type").count();
        rtp.payload_types.reserve(payload_types.min(PAYLOAD_TYPES_MAX));
        for child in node.children() {
            if (ns::JINGLE_RTP, "payload-type") == (child.ns(), child.name()) {
                if reading.has_room(child, rtp.payload_types.len(), PAYLOAD_TYPES_MAX) {
                    rtp.payload_types.extend(PayloadType::read(child, reading));
                }
            } else if reading.is_whole() {
                rtp.read_child(child, node, reading);
            }
        }
        if ptime.or(maxptime).is_some() {
            for payload_type in &mut rtp.payload_types {
                payload_type.ptime = payload_type.ptime.or(ptime);
                payload_type.maxptime = payload_type.maxptime.or(maxptime);
            }
        }
        rtp
    }

    /// Everything but payload types.
    fn read_child(&mut self, child: Node<'_>, parent: Node<'_>, reading: &mut Reading) {
        match (child.ns(), child.name()) {
            (ns::JINGLE_SSMA, "source") => {
                if reading.has_room(child, self.sources.len(), SOURCES_MAX) {
                    self.sources.extend(Source::read(child, reading));
                }
            }
            (ns::JINGLE_SSMA, "ssrc-group") => {
                if reading.has_room(child, self.source_groups.len(), SOURCE_GROUPS_MAX) {
                    self.source_groups.extend(SourceGroup::read(child, reading));
                }
            }
            (ns::JINGLE_RTP_HDREXT, "rtp-hdrext") => {
                if reading.has_room(child, self.header_extensions.len(), HEADER_EXTENSIONS_MAX) {
                    self.header_extensions.extend(HeaderExtension::read(child, reading));
                }
            }
            (ns::JINGLE_RTP_HDREXT, "extmap-allow-mixed") => self.extmap_allow_mixed = true,
            (ns::JINGLE_RTP, "rtcp-mux") => self.rtcp_mux = true,
            (ns::JINGLE_RTP, "rtcp-reduced-size") => self.rtcp_reduced_size = true,
            (ns::JINGLE_RTP, "bandwidth") => {
                if reading.has_room(child, self.bandwidths.len(), BANDWIDTHS_MAX) {
                    self.bandwidths.extend(Bandwidth::read(child, reading));
                }
            }
            (ns::JINGLE_RTP, "encryption") => encryption::read(child, self, reading),
            (ns::JINGLE_MSID, "stream") => {
                if reading.has_room(child, self.streams.len(), STREAMS_MAX) {
                    self.streams.extend(Msid::read(child, reading));
                }
            }
            _ => {
                if !self.feedback.read_child(child, reading) {
                    reading.unknown_child(child, parent);
                }
            }
        }
    }

    /// Writes it: first what XEP-0167's schema has, in its order, then what others have added.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("description").ns(ns::JINGLE_RTP).attr("media", &self.media);
        if let Some(ssrc) = self.ssrc {
            out.attr_number("ssrc", ssrc.into());
        }
        self.payload_types.iter().for_each(|payload_type| payload_type.write(out));
        if self.rtcp_mux {
            out.open("rtcp-mux").close();
        }
        encryption::write(self, out);
        self.bandwidths.iter().for_each(|bandwidth| bandwidth.write(out));
        if self.rtcp_reduced_size {
            out.open("rtcp-reduced-size").close();
        }
        self.feedback.write(out);
        self.header_extensions.iter().for_each(|extension| extension.write(out));
        if self.extmap_allow_mixed {
            out.open("extmap-allow-mixed").ns(ns::JINGLE_RTP_HDREXT).close();
        }
        self.source_groups.iter().for_each(|group| group.write(out));
        self.sources.iter().for_each(|source| source.write(out));
        self.streams.iter().for_each(|stream| stream.write(out));
        out.close();
    }
}
