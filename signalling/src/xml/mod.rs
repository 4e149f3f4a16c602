//! XML as XMPP uses it (RFC 6120 §11): bytes to whole top-level elements, one strict validating pass over each, a flat tree for the parts
//! that are read, and escaped output. What the validator lets through is re-emitted to others as received, so it accepts nothing that a
//! conforming parser refuses.

mod bindings;
pub mod element;
pub mod escape;
pub mod framer;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod header;
mod name;
mod namespaces;
#[cfg(test)]
mod oracle;
mod scope;
pub mod validate;
pub mod writer;

pub use bindings::Bindings;
pub use element::{Element, Node};
pub use framer::{Frame, Framer, Limits};
pub use header::StreamHeader;
pub(crate) use name::is_ncname;
pub use validate::validate;
pub use writer::XmlWriter;

use crate::stream::error::{Condition, StreamError};

/// What is wrong with received XML. Each kind has its stream error (RFC 6120 §4.9.3); the text names the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// The rules of XML 1.0 or of Namespaces in XML 1.0: `<not-well-formed/>`.
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// A feature that RFC 6120 §11.1 prohibits: `<restricted-xml/>`.
    #[error("restricted XML: {0}")]
    Restricted(&'static str),
    /// Well-formed, but not what a stream is made of, such as text between stanzas: `<bad-format/>`.
    #[error("bad format: {0}")]
    BadFormat(&'static str),
    /// Not UTF-8: `<unsupported-encoding/>`.
    #[error("unsupported encoding: {0}")]
    UnsupportedEncoding(&'static str),
    /// A top-level element or stream header of more bytes than allowed: `<policy-violation/>`.
    #[error("larger than {0} bytes")]
    TooBig(usize),
    /// Elements nested deeper than allowed: `<policy-violation/>`.
    #[error("nested deeper than {0} elements")]
    TooDeep(usize),
    /// More attributes, declarations or children than allowed: `<policy-violation/>`.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
}

impl XmlError {
    /// The condition of the stream error that answers it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        match self {
            Self::NotWellFormed(_) => Condition::NotWellFormed,
            Self::Restricted(_) => Condition::RestrictedXml,
            Self::BadFormat(_) => Condition::BadFormat,
            Self::UnsupportedEncoding(_) => Condition::UnsupportedEncoding,
            Self::TooBig(_) | Self::TooDeep(_) | Self::TooMany(..) => Condition::PolicyViolation,
        }
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> Self {
        Self::new(error.condition()).with_text(error.to_string())
    }
}
