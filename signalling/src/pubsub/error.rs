//! Errors of XEP-0060: a defined condition of RFC 6120 with one of §16.6 (`http://jabber.org/protocol/pubsub#errors`). Pure.

use bytes::Bytes;

use crate::ns;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::xml::XmlWriter;

fn with(condition: Condition, type_: ErrorType, name: &str, feature: Option<&str>) -> StanzaError {
    let mut extra = XmlWriter::new();
    extra.open(name).ns(ns::PUBSUB_ERRORS).attr_opt("feature", feature).close();
    let extra: Bytes = extra.finish();
    StanzaError { extra: Some(extra), ..StanzaError::new(condition, type_) }
}

/// §5.6 and others: a feature that is not supported.
#[must_use]
pub fn unsupported(feature: &str) -> StanzaError {
    with(Condition::FeatureNotImplemented, ErrorType::Cancel, "unsupported", Some(feature))
}
