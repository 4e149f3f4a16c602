//! Lines to contents and contents to lines. The words "party" and "role" are those of the session: whose description it is decides how
//! `sendonly` and `senders` correspond (XEP-0166 §7.3).

mod rtp;
mod senders;

use super::description::Description;
use super::line::SessionDescription;
use super::warning::Warning;
use crate::jingle::content::{Jingle, Party};

/// Why lines or a stanza are no description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// RFC 8843 §7: names of sections are unique; references among lines must hold.
    #[error("line {line}: {text}")]
    Line {
        /// From 1.
        line: u32,
        /// What is wrong.
        text: String,
    },
    /// The stanza says nothing that SDP could say, or lacks what SDP needs.
    #[error("{0}")]
    Stanza(String),
}

/// What a party says by these lines. `previous` is what it said before, for names of sections without `a=mid` and creators.
///
/// # Errors
/// Lines that contradict each other.
pub fn from_sdp(lines: SessionDescription, party: Party, previous: Option<&Description>) -> Result<(Description, Vec<Warning>), MapError> {
    let _ = (lines, party, previous);
    todo!()
}

/// What a party says by a session-initiate or a session-accept. `offer` is the other party's description if it is known: the order of the m=
/// lines of an answer, and which of them are refused, follow from it.
///
/// # Errors
/// There is no media in it.
pub fn from_jingle(jingle: Jingle, party: Party, offer: Option<&Description>) -> Result<(Description, Vec<Warning>), MapError> {
    let _ = (jingle, party, offer);
    todo!()
}

/// The lines of a description.
#[must_use]
pub fn to_sdp(description: &Description) -> (SessionDescription, Vec<Warning>) {
    let _ = description;
    todo!()
}
