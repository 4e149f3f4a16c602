//! Errors as rooms write them: XEP-0045 §7.2.5 and all sections like it.

use bytes::Bytes;

use crate::jid::BareJid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, Stanza};
use crate::xml::XmlWriter;

/// The error that answers a stanza to this room: it says by whom, and one about presence has `<x/>` of XEP-0045 in place of the original
/// content, by which clients know what was refused. `None` for what must not be answered.
#[must_use]
pub fn refusal(room: &BareJid, original: &Stanza, error: &StanzaError) -> Option<Stanza> {
    let mut error = error.clone();
    if let (Kind::Presence(_), None) = (original.kind(), &error.payload) {
        error.payload = Some(Box::new(muc()));
    }
    Stanza::error_reply_by(original, &error, Some(room.as_str()))
}

fn muc() -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("x").ns(ns::MUC).close();
    xml.finish()
}
