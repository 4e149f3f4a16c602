//! Text to text, as `campanile sdp` does it: a description or what has changed in it.
//!
//! The description before, where one is given, is SDP or a `<jingle/>`. It is the same party's, but for a session-accept: then it is the offer
//! that is accepted, the other party's.

use super::description::Description;
use super::diff::diff;
use super::map::{self, MapError};
use super::parse::{self, SdpError, TEXT_BYTES_MAX};
use super::warning::{Place, Warning};
use super::write;
use crate::jingle::content::JingleError;
use crate::jingle::reading::Reading;
use crate::jingle::{Action, Jingle, Party};
use crate::ns;
use crate::xml::{Bindings, Element, Node, XmlError, XmlWriter};

/// How to convert.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose description it is.
    pub party: Party,
    /// What the stanza does. `None`: what follows from the rest.
    pub action: Option<Action>,
    /// The description before.
    pub before: Option<&'a str>,
}

/// Why a text is not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A line of SDP.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// Lines or a stanza that make no sense together.
    #[error(transparent)]
    Map(#[from] MapError),
    /// Not XML.
    #[error("the XML cannot be read: {0}")]
    Xml(#[from] XmlError),
    /// A `<jingle/>` without action or sid.
    #[error("<jingle/>: {0}")]
    Jingle(#[from] JingleError),
    /// An element that breaks its specification.
    #[error("{0}")]
    Malformed(String),
    /// No `<jingle/>` in the XML.
    #[error("expected <jingle xmlns='{}'/>, or an <iq/> around it", ns::JINGLE)]
    NoJingle,
    /// Longer than is read.
    #[error("longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// The request makes no sense.
    #[error("{0}")]
    Request(&'static str),
}

/// The stanzas that say what an SDP says: one, or with a description before it, one for each kind of change.
///
/// # Errors
/// The first thing that cannot be read.
pub fn to_jingle(text: &str, request: &Request<'_>) -> Result<(Vec<Jingle>, Vec<Warning>), ConvertError> {
    let before = request.before.map(|text| before(text, request)).transpose()?;
    if is_fragment(text) {
        let (mut jingle, warnings) = map::from_fragment(parse::parse_fragment(text)?, request.party, before.as_ref())?;
        jingle.action = request.action.unwrap_or(jingle.action);
        return Ok((vec![jingle], warnings));
    }
    let (next, mut warnings) = map::from_sdp(parse::parse(text)?, request.party, before.as_ref())?;
    let whole = match (request.action, request.party) {
        (Some(action), _) => action,
        (None, Party::Initiator) => Action::SessionInitiate,
        (None, Party::Responder) => Action::SessionAccept,
    };
    let is_first = matches!(whole, Action::SessionInitiate | Action::SessionAccept);
    match before.filter(|before| before.party == request.party && !(request.action.is_some() && is_first)) {
        Some(before) => {
            let (mut stanzas, more) = diff(&before, &next);
            warnings.extend(more);
            if let Some(action) = request.action {
                stanzas.retain(|stanza| {
                    let wanted = stanza.action == action;
                    if !wanted {
                        let text = format!("{} is left out: another action was asked for", stanza.action.as_str());
                        warnings.push(Warning { place: Place::Session, text });
                    }
                    wanted
                });
            }
            Ok((stanzas, warnings))
        }
        None => Ok((vec![next.to_jingle(whole)], warnings)),
    }
}

/// The SDP that says what a `<jingle/>` says; with a description before it, of all that holds afterwards.
///
/// # Errors
/// The first thing that cannot be read, or an action that says nothing of media.
pub fn to_sdp(text: &str, request: &Request<'_>) -> Result<(String, Vec<Warning>), ConvertError> {
    let (mut jingle, mut warnings) = read(text)?;
    jingle.action = request.action.unwrap_or(jingle.action);
    let before = request.before.map(|text| before(text, &Request { action: Some(jingle.action), ..*request })).transpose()?;
    let description = match (jingle.action, before) {
        (Action::SessionInfo | Action::SessionTerminate | Action::SecurityInfo, _) => {
            return Err(ConvertError::Request("this action says nothing of media, so there is no SDP for it"));
        }
        (Action::SessionInitiate | Action::SessionAccept, offer) => {
            let (description, more) = map::from_jingle(jingle, request.party, offer.as_ref())?;
            warnings.extend(more);
            description
        }
        (_, Some(before)) => {
            let (description, more) = before.apply(request.party, &jingle)?;
            warnings.extend(more);
            description
        }
        (Action::TransportInfo, None) => {
            let (lines, more) = map::to_fragment(&jingle, request.party, None);
            warnings.extend(more);
            return Ok((write::write(&lines), warnings));
        }
        (_, None) => return Err(ConvertError::Request("this action changes a description: the one before is needed (--session)")),
    };
    let (lines, more) = map::to_sdp(&description);
    warnings.extend(more);
    Ok((write::write(&lines), warnings))
}

/// A `<jingle/>` as text.
#[must_use]
pub fn to_xml(jingle: &Jingle) -> String {
    let mut writer = XmlWriter::new();
    jingle.write(&mut writer);
    String::from_utf8(writer.into_inner()).expect("what is written is made of strings")
}

fn is_fragment(text: &str) -> bool {
    !text.trim_start().starts_with("v=")
}

/// The description before: of the offerer if this is to be an answer.
fn before(text: &str, request: &Request<'_>) -> Result<Description, ConvertError> {
    let party = if request.action == Some(Action::SessionAccept) { request.party.other() } else { request.party };
    let (description, _) = if text.trim_start().starts_with('<') {
        map::from_jingle(read(text)?.0, party, None)?
    } else {
        map::from_sdp(parse::parse(text)?, party, None)?
    };
    Ok(description)
}

/// Strictly: what is malformed is an error, what is unknown a warning.
fn read(text: &str) -> Result<(Jingle, Vec<Warning>), ConvertError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ConvertError::TooLong);
    }
    let element = Element::parse(text.trim().as_bytes(), &Bindings::client())?;
    let root = element.root();
    let node =
        if root.is(ns::JINGLE, "jingle") { Some(root) } else { root.children().find(|child: &Node<'_>| child.is(ns::JINGLE, "jingle")) };
    let mut reading = Reading::whole();
    let jingle = Jingle::read(node.ok_or(ConvertError::NoJingle)?, &mut reading)?;
    let (problems, more) = reading.into_problems();
    if let Some(problem) = problems.iter().find(|problem| problem.malformed) {
        return Err(ConvertError::Malformed(problem.to_string()));
    }
    let mut warnings: Vec<Warning> = problems
        .into_iter()
        .map(|problem| Warning { place: problem.content.map_or(Place::Session, Place::Content), text: problem.text })
        .collect();
    if more > 0 {
        warnings.push(Warning { place: Place::Session, text: format!("{more} more of the kind") });
    }
    Ok((jingle, warnings))
}
