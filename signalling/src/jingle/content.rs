//! XEP-0166 §7: the `<jingle/>` element and its contents.
//!
//! Reading is tolerant: what a client leaves out gets the specification's default, what is unknown is passed over. Only what makes the
//! element meaningless (no action, no sid) is an error; the rest is said to who [asks](Reading::whole). What is written is read as the same.

mod carried;
mod group;
mod info;
mod jingle;

use smol_str::SmolStr;

pub use carried::{CARRIED_MAX, Carried};
pub use group::{GROUPS_MAX, Group};
pub use info::Info;
pub(super) use jingle::is_sid;
pub use jingle::{Action, Jingle, JingleError};

use self::jingle::beginning;
use super::names;
use super::reading::Reading;
use super::rtp::Rtp;
use super::transport::{Method, Transport};
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Contents read from one stanza; those that follow are left out. Browsers in a conference have a section for each track of each participant.
pub const CONTENTS_MAX: usize = 128;
/// Longest sid, content name, ufrag and the like, in bytes. A longer sid or name is refused, the rest is cut.
pub const NAME_BYTES_MAX: usize = 256;

words! {
    /// The two ends of a session; also the values of `creator` (§7.3).
    pub enum Party {
        /// Who sent the session-initiate.
        Initiator = "initiator",
        /// Who got it.
        Responder = "responder",
    }
}

impl Party {
    /// The one at the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

words! {
    /// §7.3: which parties generate content.
    pub enum Senders {
        /// As SDP's sendrecv.
        Both = "both",
        /// The initiator alone.
        Initiator = "initiator",
        /// As SDP's inactive.
        None = "none",
        /// The responder alone.
        Responder = "responder",
    }
}

/// A `<content/>`: one application type over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Who defined it first. Together with the name it is unique in the session.
    pub creator: Party,
    /// Chosen by the creator; SDP's `a=mid`. Empty where a client writes none (stanza.js without `mid`).
    pub name: SmolStr,
    /// `None`: not said, which means both but in content-modify.
    pub senders: Option<Senders>,
    /// `session` unless said otherwise.
    pub disposition: Option<SmolStr>,
    /// The application type.
    pub description: Option<Description>,
    /// The transport method.
    pub transport: Option<Transport>,
    /// The protocol of SDP's m= line where it is not the one that follows from the rest (`sdp::map`): `<protocol xmlns='urn:campanile:sdp:0'/>`.
    pub protocol: Option<SmolStr>,
    /// Lines of SDP's media level that Jingle has no element for.
    pub carried: Vec<Carried>,
}

/// A `<description/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Description {
    /// XEP-0167.
    Rtp(Box<Rtp>),
    /// XEP-0234, in any of its versions.
    FileTransfer,
    /// Another namespace, at most [`NAME_BYTES_MAX`] bytes of it.
    Other(SmolStr),
}

impl Content {
    /// `action`: what the `<jingle/>` around it asks for.
    fn read(node: Node<'_>, action: Action, reading: &mut Reading) -> Result<Self, JingleError> {
        let name = node.attr("name");
        if let Some(name) = name.filter(|name| name.len() > NAME_BYTES_MAX) {
            return Err(JingleError::ContentName(beginning(name)));
        }
        reading.enter(name.unwrap_or_default());
        let mut content = Self::new(Party::Initiator, reading.required(node, "name", name).unwrap_or_default());
        content.read_attributes(node, reading);
        reading.spoken_by(match action {
            Action::SessionInitiate => Some(Party::Initiator),
            Action::SessionAccept => Some(Party::Responder),
            Action::ContentAdd => Some(content.creator),
            Action::ContentAccept => Some(content.creator.other()),
            _ => None,
        });
        let mut muxed = false;
        for child in node.children() {
            match child.name() {
                _ if !names::is_namespace(child.ns()) => reading.unknown_child(child, node),
                "description" => {
                    if reading.has_room(child, content.description.iter().len(), 1) {
                        content.description = Some(Description::read(child, reading));
                    }
                }
                "transport" => {
                    if reading.has_room(child, content.transport.iter().len(), 1) {
                        content.transport = Some(Transport::read(child, reading));
                        // Jitsi's bridge has it here.
                        muxed = reading.is_whole() && child.child(child.ns(), "rtcp-mux").is_some();
                    }
                }
                "line" if child.ns() == ns::SDP => {
                    if reading.is_whole() && reading.has_room(child, content.carried.len(), CARRIED_MAX) {
                        content.carried.extend(Carried::read(child, reading));
                    }
                }
                "protocol" if child.ns() == ns::SDP => {
                    if reading.is_whole() && reading.has_room(child, content.protocol.iter().len(), 1) {
                        content.protocol = carried::read_protocol(child, reading);
                    }
                }
                _ => reading.unknown_child(child, node),
            }
        }
        if let (true, Some(Description::Rtp(rtp))) = (muxed, &mut content.description) {
            rtp.rtcp_mux = true;
        }
        Ok(content)
    }

    /// All but the name.
    fn read_attributes(&mut self, node: Node<'_>, reading: &mut Reading) {
        let mut creator = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "name" => {}
                "creator" => {
                    creator = Some(value);
                    match Party::parse(value) {
                        Some(party) => self.creator = party,
                        None => reading.unexpected(node, name, value, "'initiator' or 'responder'"),
                    }
                }
                "senders" => {
                    self.senders = Senders::parse(value);
                    if self.senders.is_none() {
                        reading.unexpected(node, name, value, "'both', 'initiator', 'none' or 'responder'");
                    }
                }
                "disposition" => self.disposition = reading.word(node, name, value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        reading.required(node, "creator", creator);
    }

    /// One that says nothing more.
    #[must_use]
    pub fn new(creator: Party, name: &str) -> Self {
        Self {
            creator,
            name: name.into(),
            senders: None,
            disposition: None,
            description: None,
            transport: None,
            protocol: None,
            carried: Vec::new(),
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("content").attr("creator", self.creator.as_str()).attr_opt("disposition", self.disposition.as_deref());
        out.attr("name", &self.name).attr_opt("senders", self.senders.map(Senders::as_str));
        if let Some(description) = &self.description {
            description.write(out);
        }
        if let Some(transport) = &self.transport {
            transport.write(out);
        }
        if let Some(protocol) = &self.protocol {
            out.open("protocol").ns(ns::SDP).text(protocol).close();
        }
        self.carried.iter().for_each(|line| line.write(out));
        out.close();
    }

    /// Whether the content is part of a call: real-time media, or datagrams of another kind than a file's.
    #[must_use]
    pub fn is_call(&self) -> bool {
        match &self.description {
            Some(Description::Rtp(_)) => true,
            Some(Description::FileTransfer) => false,
            Some(Description::Other(_)) | None => self.transport.as_ref().is_some_and(|transport| transport.method.has_candidates()),
        }
    }

    /// What it carries, in a word.
    #[must_use]
    pub fn media(&self) -> &str {
        match &self.description {
            Some(Description::Rtp(rtp)) => &rtp.media,
            Some(Description::FileTransfer) => "file",
            // XEP-0343 has no description of its own; elsewhere the namespace says it.
            Some(Description::Other(namespace)) => namespace.strip_prefix("urn:xmpp:jingle:apps:").unwrap_or(namespace),
            None => "data",
        }
    }

    /// The method of its transport, if it names one.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.transport.as_ref().map(|transport| &transport.method)
    }
}

impl Description {
    /// Also reads what XEP-0353 puts into a `<propose/>`.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Self {
        match node.ns() {
            ns::JINGLE_RTP => Self::Rtp(Box::new(Rtp::read(node, reading))),
            namespace if namespace.starts_with("urn:xmpp:jingle:apps:file-transfer:") => Self::FileTransfer,
            namespace => Self::Other(super::cut(namespace, NAME_BYTES_MAX).into()),
        }
    }

    /// Writes it; of what is kept by its namespace alone, no more than that.
    pub fn write(&self, out: &mut XmlWriter) {
        match self {
            Self::Rtp(rtp) => rtp.write(out),
            Self::FileTransfer => {
                out.open("description").ns(ns::JINGLE_FILE_TRANSFER).close();
            }
            Self::Other(namespace) if names::is_namespace(namespace) => {
                out.open("description").ns(namespace).close();
            }
            Self::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
