//! Sources: XEP-0339, and the streams they belong to.

use smol_str::SmolStr;

use super::parameter::{PARAMETERS_MAX, Parameter};
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Sources read from one description, and from one group.
pub const SOURCES_MAX: usize = 256;
/// Groups of sources read from one description.
pub const SOURCE_GROUPS_MAX: usize = 256;
/// Streams read from one description.
pub const STREAMS_MAX: usize = 64;

/// `<source/>`: XEP-0339 §2.1; RFC 5576 §4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// RTP's synchronisation source.
    pub ssrc: u32,
    /// `cname`, `msid`, `label`…
    pub parameters: Vec<Parameter>,
}

/// `<ssrc-group/>`: XEP-0339 §2.2; RFC 5576 §4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceGroup {
    /// `FID`, `FEC-FR`, `SIM`…
    pub semantics: SmolStr,
    /// In their order.
    pub sources: Vec<u32>,
}

/// `<stream/>`, in no specification: RFC 8830 §2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Msid {
    /// Of the MediaStream; `-` for none.
    pub stream: SmolStr,
    /// Of the track.
    pub track: Option<SmolStr>,
}

/// The attribute that all of a source's elements have.
fn read_ssrc(node: Node<'_>, reading: &mut Reading) -> Option<u32> {
    let mut ssrc = None;
    for (namespace, name, value) in node.attrs() {
        match name {
            "ssrc" if namespace.is_empty() => ssrc = Some(reading.number(node, name, value)?),
            _ => reading.unknown_attribute(node, namespace, name),
        }
    }
    reading.required(node, "ssrc", ssrc)
}

impl Source {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let mut source = Self { ssrc: read_ssrc(node, reading)?, parameters: Vec::new() };
        for child in node.children() {
            if (ns::JINGLE_SSMA, "parameter") == (child.ns(), child.name()) {
                if reading.has_room(child, source.parameters.len(), PARAMETERS_MAX) {
                    source.parameters.extend(Parameter::read(child, reading));
                }
            } else {
                reading.unknown_child(child, node);
            }
        }
        Some(source)
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("source").ns(ns::JINGLE_SSMA).attr_number("ssrc", self.ssrc.into());
        self.parameters.iter().for_each(|parameter| parameter.write(out));
        out.close();
    }
}

impl SourceGroup {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let mut semantics = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                "semantics" if namespace.is_empty() => semantics = Some(reading.word(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let semantics = reading.required(node, "semantics", semantics.filter(|word| !word.is_empty()))?;
        let mut sources = Vec::new();
        for child in node.children() {
            if (ns::JINGLE_SSMA, "source") == (child.ns(), child.name()) {
                if reading.has_room(child, sources.len(), SOURCES_MAX) {
                    sources.extend(read_ssrc(child, reading));
                }
            } else {
                reading.unknown_child(child, node);
            }
        }
        Some(Self { semantics, sources })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("ssrc-group").ns(ns::JINGLE_SSMA).attr("semantics", &self.semantics);
        for ssrc in &self.sources {
            out.open("source").attr_number("ssrc", (*ssrc).into()).close();
        }
        out.close();
    }
}

impl Msid {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut stream, mut track) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "id" => stream = Some(reading.word(node, name, value)?),
                "track" => track = reading.word(node, name, value).filter(|track| !track.is_empty()),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        Some(Self { stream: reading.required(node, "id", stream.filter(|stream| !stream.is_empty()))?, track })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("stream").ns(ns::JINGLE_MSID).attr("id", &self.stream).attr_opt("track", self.track.as_deref()).close();
    }
}
