//! The start tag of a stanza, typed: RFC 6120 §8.1 and §8.2, RFC 6121 §4.7.1 and §5.2.2.

use std::sync::Arc;

use bytes::BufMut;
use bytestring::ByteString;

use super::child::CONTENT;
use crate::jid::Jid;
use crate::named::named;
use crate::xml::{Bindings, escape};

named! {
    /// RFC 6121 §5.2.2.
    MessageType {
        /// Outside of a conversation; also what an absent or unknown type means.
        Normal "normal",
        /// Part of a one-to-one conversation.
        Chat "chat",
        /// From or to a room.
        Groupchat "groupchat",
        /// An alert to which no answer is expected.
        Headline "headline",
        /// An error about a message sent before.
        Error "error",
    }
}

named! {
    /// RFC 6121 §4.7.1. `Available` has no attribute.
    PresenceType {
        /// Available: no `type` attribute. (The name is never parsed from one, see `Kind::parse`.)
        Available "available",
        /// No longer available.
        Unavailable "unavailable",
        /// Asks to see the recipient's presence.
        Subscribe "subscribe",
        /// Allows the recipient to see the sender's presence.
        Subscribed "subscribed",
        /// No longer wants to see the recipient's presence.
        Unsubscribe "unsubscribe",
        /// Refuses or ends the recipient's subscription.
        Unsubscribed "unsubscribed",
        /// A server asks for current presence.
        Probe "probe",
        /// An error about presence sent before.
        Error "error",
    }
}

named! {
    /// RFC 6120 §8.2.3.
    IqType {
        /// A request for information.
        Get "get",
        /// A request that changes something.
        Set "set",
        /// The answer to a request.
        Result "result",
        /// The refusal of a request.
        Error "error",
    }
}

/// The kind of a stanza with its type: RFC 6120 §8.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`.
    Message(MessageType),
    /// `<presence/>`.
    Presence(PresenceType),
    /// `<iq/>`.
    Iq(IqType),
}

impl Kind {
    /// The element's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
            Self::Iq(_) => "iq",
        }
    }

    /// The same kind with the type `error`.
    #[must_use]
    pub fn to_error(self) -> Self {
        match self {
            Self::Message(_) => Self::Message(MessageType::Error),
            Self::Presence(_) => Self::Presence(PresenceType::Error),
            Self::Iq(_) => Self::Iq(IqType::Error),
        }
    }

    /// The value of `type` to write: none for what an absent attribute means.
    fn type_written(self) -> Option<&'static str> {
        match self {
            Self::Message(MessageType::Normal) | Self::Presence(PresenceType::Available) => None,
            Self::Message(type_) => Some(type_.name()),
            Self::Presence(type_) => Some(type_.name()),
            Self::Iq(type_) => Some(type_.name()),
        }
    }
}

/// What a head has beyond the common attributes; most have none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Other attributes and declarations of prefixes, as they are written, with a space before each.
    pub(crate) attributes: Box<str>,
    /// The namespaces in force for the children.
    pub(crate) bindings: Bindings,
    /// Namespaces of children that do not stand in the child's start tag as they are.
    pub(crate) namespaces: Vec<Arc<str>>,
}

impl Default for Rest {
    fn default() -> Self {
        Self { attributes: Box::from(""), bindings: CONTENT.clone(), namespaces: Vec::new() }
    }
}

/// The head of a stanza but for `to`. Texts are usually parts of the bytes received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) from: Option<Jid>,
    pub(crate) id: Option<ByteString>,
    pub(crate) lang: Option<ByteString>,
    pub(crate) rest: Option<Box<Rest>>,
}

impl Head {
    /// A head with nothing but its kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, from: None, id: None, lang: None, rest: None }
    }

    /// About how many bytes [`write`](Self::write) yields.
    pub(crate) fn size_bytes(&self, to: Option<&Jid>) -> usize {
        let jid = |jid: Option<&Jid>| jid.map_or(0, |jid| jid.as_str().len() + 8);
        let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len() + 12);
        32 + jid(self.from.as_ref())
            + jid(to)
            + text(&self.id)
            + text(&self.lang)
            + self.rest.as_ref().map_or(0, |rest| rest.attributes.len())
    }

    /// Writes the start tag without its end, `<message from='…'`.
    pub(crate) fn write(&self, out: &mut impl BufMut, ns: Option<&str>, to: Option<&Jid>) {
        out.put_u8(b'<');
        out.put_slice(self.kind.name().as_bytes());
        let mut attr = |name: &str, value: &str| {
            out.put_slice(name.as_bytes());
            escape::write_attr(out, value);
            out.put_u8(b'\'');
        };
        if let Some(ns) = ns {
            attr(" xmlns='", ns);
        }
        if let Some(from) = &self.from {
            attr(" from='", from.as_str());
        }
        if let Some(to) = to {
            attr(" to='", to.as_str());
        }
        if let Some(id) = &self.id {
            attr(" id='", id);
        }
        if let Some(type_) = self.kind.type_written() {
            attr(" type='", type_);
        }
        if let Some(lang) = &self.lang {
            attr(" xml:lang='", lang);
        }
        if let Some(rest) = &self.rest {
            out.put_slice(rest.attributes.as_bytes());
        }
    }
}
