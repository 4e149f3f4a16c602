//! Lines to contents and contents to lines. The words "party" and "role" are those of the session: whose description it is decides how
//! `sendonly` and `senders` correspond (XEP-0166 §7.3).
//!
//! Each file has one subject and both directions of it:
//!
//! - [`session`]: what stands before the first m= line, and what of it is meant for every section; [`section`]: an m= section and a content;
//! - [`outline`]: what a section says of itself before it is read: refused, bundled, with or without ICE;
//! - [`names`]: `a=mid`, names and creators; [`groups`]; [`answer`]: an answer's m= lines are those of the offer;
//! - [`rtp`] with [`senders`], [`data`], [`protocol`]: what is sent; [`ice`], [`candidates`], [`destination`], [`dtls`], [`bundle`]: how;
//! - [`carried`], [`refused`]: lines that Jingle does not have;
//! - [`fragment`]: transport-info and RFC 8840.

use std::fmt;

use super::description::{Description, Section, State};
use super::line::SessionDescription;
use super::warning::{Quoted, Warning, Warnings};
use crate::jingle::content::{Action, Jingle, Party};

mod answer;
mod bundle;
mod candidates;
mod carried;
mod data;
mod destination;
mod dtls;
mod fragment;
mod groups;
mod ice;
pub(super) mod names;
mod outline;
mod protocol;
mod refused;
mod rtp;
mod section;
mod senders;
mod session;
mod words;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(super) use data::is_content as is_data;
pub use fragment::{from_fragment, to_fragment};
pub(super) use ice::assume_trickle;
pub(super) use section::unsayable;

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

impl MapError {
    fn line(line: u32, text: fmt::Arguments<'_>) -> Self {
        Self::Line { line, text: text.to_string() }
    }

    fn stanza(text: fmt::Arguments<'_>) -> Self {
        Self::Stanza(text.to_string())
    }
}

/// What a party says by these lines. `previous` is what it said before, or the offer of the other party which this answers: names of sections
/// without `a=mid`, creators, the transport method and the session's id come from there.
///
/// # Errors
/// Lines that contradict each other or `previous`: RFC 3264 §6 and §8, RFC 5888 §4.
pub fn from_sdp(lines: SessionDescription, party: Party, previous: Option<&Description>) -> Result<(Description, Vec<Warning>), MapError> {
    let mut warnings = Warnings::default();
    let SessionDescription { origin, name, timing, others, connection, bandwidths, attributes, media } = lines;
    let Some(origin) = origin else {
        return Err(MapError::line(1, format_args!("there is no o= line: this is a fragment and no description")));
    };
    let carried = session::carried_lines(name, timing, others, &bandwidths, &mut warnings);
    let mut session = session::Level::read(attributes, connection, carried, &mut warnings);
    let outlines = outline::of(&media, &session)?;
    let names = names::assign(&outlines, party, previous)?;
    let groups = groups::read(std::mem::take(&mut session.groups), &outlines, &names, &mut warnings);
    let mut sections = Vec::with_capacity(media.len());
    for (index, media) in media.into_iter().enumerate() {
        let (outline, name) = (&outlines[index], names[index].clone());
        warnings.enter(&name.name);
        let before = previous.and_then(|previous| previous.sections.get(index));
        let context = section::Reading { party, session: &session, outline, name, before };
        sections.push(section::read(media, context, &mut warnings)?);
    }
    warnings.leave();
    if let Some(previous) = previous.filter(|previous| previous.party == party) {
        destination::keep_while_held(&mut sections, &previous.sections);
    }
    bundle::share(&mut sections, &outlines);
    sections.iter_mut().for_each(|section| protocol::settle(&mut section.content));
    session.unused(&sections, &outlines, &mut warnings);
    let session::Level { sid, initiator, responder, carried, .. } = session;
    let sid = previous.map(|previous| previous.sid.clone()).or(sid).unwrap_or_else(|| origin.session_id.clone());
    // They are said once in a session.
    let own = previous.filter(|previous| previous.party == party);
    let initiator = initiator.or_else(|| own.and_then(|own| own.initiator.clone()));
    let responder = responder.or_else(|| own.and_then(|own| own.responder.clone()));
    Ok((Description { party, sid, initiator, responder, origin, groups, sections, carried }, warnings.into_vec()))
}

/// What a party says by a session-initiate or a session-accept. `offer` is the other party's description if it is known: the order of the m=
/// lines of an answer, and which of them are refused, follow from it.
///
/// # Errors
/// There is no media in it that SDP could say, or it accepts what was not offered.
pub fn from_jingle(jingle: Jingle, party: Party, offer: Option<&Description>) -> Result<(Description, Vec<Warning>), MapError> {
    let (mut jingle, mut warnings) = (jingle, Warnings::default());
    carried::without_ours(&mut jingle.carried);
    let origin = session::origin(&jingle.sid);
    let mut contents = section::sayable(jingle.contents, &mut warnings)?;
    ice::assume_trickle_in(&mut contents);
    contents.iter_mut().for_each(|content| carried::without_ours(&mut content.carried));
    let sections = match offer {
        Some(offer) if jingle.action != Action::SessionInitiate => answer::in_order_of(offer, contents, &mut warnings)?,
        _ => contents.into_iter().map(|content| Section::new(content, State::Active)).collect(),
    };
    if jingle.reason.is_some() {
        warnings.add(format_args!("<reason/> is left out: SDP has no place for it"));
    }
    let Jingle { sid, initiator, responder, groups, carried, .. } = jingle;
    let description = Description { party, sid, initiator, responder, origin, groups, sections, carried };
    Ok((description, warnings.into_vec()))
}

/// The lines of a description.
#[must_use]
pub fn to_sdp(description: &Description) -> (SessionDescription, Vec<Warning>) {
    let mut warnings = Warnings::default();
    let mids = names::mids(&description.sections);
    let mut lines = session::write(description, &mids, &mut warnings);
    let contents = bundle::shared(description, &mut warnings);
    for ((section, content), mid) in description.sections.iter().zip(&contents).zip(mids) {
        warnings.enter(&content.name);
        lines.media.push(match section.state {
            State::Active => section::write(content, mid, description.party, &mut warnings),
            State::Offered | State::Refused => refused::write(content, mid, &mut warnings),
        });
    }
    (lines, warnings.into_vec())
}
