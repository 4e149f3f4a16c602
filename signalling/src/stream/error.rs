//! Stream errors: RFC 6120 §4.9. A stream error is always followed by the closing tag and the end of the connection.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::ns;
use crate::xml::XmlWriter;

/// The defined conditions: RFC 6120 §4.9.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// §4.9.3.1: XML that cannot be processed.
    BadFormat,
    /// §4.9.3.2: a namespace prefix that is not supported, or none where one is needed.
    BadNamespacePrefix,
    /// §4.9.3.3: a new stream takes the place of this one.
    Conflict,
    /// §4.9.3.4: the other side fell silent.
    ConnectionTimeout,
    /// §4.9.3.5: the host named in `to` is no longer served.
    HostGone,
    /// §4.9.3.6: the host named in `to` is not served.
    HostUnknown,
    /// §4.9.3.7: a stanza between servers lacks `to` or `from`.
    ImproperAddressing,
    /// §4.9.3.8: a fault of ours.
    InternalServerError,
    /// §4.9.3.9: the `from` does not belong to the authenticated entity.
    InvalidFrom,
    /// §4.9.3.10: the stream's or a stanza's namespace is not supported.
    InvalidNamespace,
    /// §4.9.3.11: invalid XML was sent to a server that validates.
    InvalidXml,
    /// §4.9.3.12: data before authentication, or after it without the right.
    NotAuthorized,
    /// §4.9.3.13: the rules of XML or XML-NAMES are violated.
    NotWellFormed,
    /// §4.9.3.14: a local policy, such as a size limit.
    PolicyViolation,
    /// §4.9.3.15: a resource needed for authentication is out of reach.
    RemoteConnectionFailed,
    /// §4.9.3.16: the stream must be opened anew.
    Reset,
    /// §4.9.3.17: the server lacks resources.
    ResourceConstraint,
    /// §4.9.3.18: a comment, processing instruction, DTD or entity reference.
    RestrictedXml,
    /// §4.9.3.19: the client should connect elsewhere.
    SeeOtherHost,
    /// §4.9.3.20: the server is being shut down.
    SystemShutdown,
    /// §4.9.3.21: none of the others; an application condition says more.
    UndefinedCondition,
    /// §4.9.3.22: an encoding other than UTF-8.
    UnsupportedEncoding,
    /// §4.9.3.23: a mandatory feature is not supported by the other side.
    UnsupportedFeature,
    /// §4.9.3.24: a first-level element that is not understood.
    UnsupportedStanzaType,
    /// §4.9.3.25: a version of XMPP that is not supported.
    UnsupportedVersion,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 25] = [
        Self::BadFormat,
        Self::BadNamespacePrefix,
        Self::Conflict,
        Self::ConnectionTimeout,
        Self::HostGone,
        Self::HostUnknown,
        Self::ImproperAddressing,
        Self::InternalServerError,
        Self::InvalidFrom,
        Self::InvalidNamespace,
        Self::InvalidXml,
        Self::NotAuthorized,
        Self::NotWellFormed,
        Self::PolicyViolation,
        Self::RemoteConnectionFailed,
        Self::Reset,
        Self::ResourceConstraint,
        Self::RestrictedXml,
        Self::SeeOtherHost,
        Self::SystemShutdown,
        Self::UndefinedCondition,
        Self::UnsupportedEncoding,
        Self::UnsupportedFeature,
        Self::UnsupportedStanzaType,
        Self::UnsupportedVersion,
    ];

    /// The element's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadFormat => "bad-format",
            Self::BadNamespacePrefix => "bad-namespace-prefix",
            Self::Conflict => "conflict",
            Self::ConnectionTimeout => "connection-timeout",
            Self::HostGone => "host-gone",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::InternalServerError => "internal-server-error",
            Self::InvalidFrom => "invalid-from",
            Self::InvalidNamespace => "invalid-namespace",
            Self::InvalidXml => "invalid-xml",
            Self::NotAuthorized => "not-authorized",
            Self::NotWellFormed => "not-well-formed",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteConnectionFailed => "remote-connection-failed",
            Self::Reset => "reset",
            Self::ResourceConstraint => "resource-constraint",
            Self::RestrictedXml => "restricted-xml",
            Self::SeeOtherHost => "see-other-host",
            Self::SystemShutdown => "system-shutdown",
            Self::UndefinedCondition => "undefined-condition",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::UnsupportedFeature => "unsupported-feature",
            Self::UnsupportedStanzaType => "unsupported-stanza-type",
            Self::UnsupportedVersion => "unsupported-version",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stream error: condition, and a sentence for whoever reads the other side's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// The defined condition.
    pub condition: Condition,
    /// `<text/>`: descriptive, English, never interpreted.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition (§4.9.4): one element with a namespace of its own.
    pub extra: Option<Bytes>,
}

impl StreamError {
    /// An error with this condition and no text.
    #[must_use]
    pub const fn new(condition: Condition) -> Self {
        Self { condition, text: None, extra: None }
    }

    /// The same error with a text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same error with an application-specific condition, a whole element (§4.9.4).
    #[must_use]
    pub fn with_extra(mut self, extra: Bytes) -> Self {
        self.extra = Some(extra);
        self
    }

    /// Writes `<stream:error/>` as RFC 6120 §4.9.2 shows it, the prefix `stream` being declared by the stream header.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("stream:error");
        self.write_content(out);
        out.close();
    }

    /// Writes `<stream:error/>` with its own declaration of the prefix, as each WebSocket frame needs it: RFC 7395 §3.3.3.
    pub fn write_alone(&self, out: &mut XmlWriter) {
        out.open("stream:error").attr("xmlns:stream", ns::STREAM);
        self.write_content(out);
        out.close();
    }

    fn write_content(&self, out: &mut XmlWriter) {
        out.open(self.condition.name()).ns(ns::STREAM_ERROR).close();
        if let Some(text) = &self.text {
            out.open("text").ns(ns::STREAM_ERROR).attr("xml:lang", "en").text(text).close();
        }
        if let Some(extra) = &self.extra {
            out.raw(extra);
        }
    }
}

impl From<Condition> for StreamError {
    fn from(condition: Condition) -> Self {
        Self::new(condition)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.condition),
            None => self.condition.fmt(f),
        }
    }
}

impl std::error::Error for StreamError {}
