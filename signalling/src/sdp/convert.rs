//! Text to text, as `campanile sdp` does it: a description or what has changed in it.
//!
//! The description before, where one is given, is SDP or a `<jingle/>`. It is the same party's, but for a session-accept: then it is the offer
//! that is accepted, the other party's.

use super::apply::Hold;
use super::description::{Description, State};
use super::diff::diff;
use super::map::{self, MapError};
use super::parse::{self, SdpError, TEXT_BYTES_MAX};
use super::warning::{Place, Warning};
use super::write;
use crate::jingle::content::{self, Content, JingleError, NAME_BYTES_MAX};
use crate::jingle::reading::Reading;
use crate::jingle::rtp::{HeaderExtension, Rtp};
use crate::jingle::transport::Transport;
use crate::jingle::{Action, Jingle, Party};
use crate::ns;
use crate::xml::{self, Bindings, Element, Node, XmlError, XmlWriter};

mod before;
#[cfg(test)]
mod tests;

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
    #[error("line {line}: {error}")]
    Xml {
        /// From 1.
        line: usize,
        /// What is wrong there.
        error: XmlError,
    },
    /// A `<jingle/>` without action or sid.
    #[error(transparent)]
    Jingle(JingleError),
    /// An element that breaks its specification.
    #[error("{0}")]
    Malformed(String),
    /// No `<jingle/>` in the XML.
    #[error("expected <jingle xmlns='{}'/>, or an <iq/> around it", ns::JINGLE)]
    NoJingle,
    /// Longer than is read.
    #[error("longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// It would become longer than anybody reads.
    #[error("the result has {found} bytes, expected at most {RESULT_BYTES_MAX} and {GROWTH_MAX} for each of the text")]
    TooMuch {
        /// How many it would be.
        found: usize,
    },
    /// The request makes no sense.
    #[error("{0}")]
    Request(&'static str),
    /// It is the description before that is wrong.
    #[error("the description before: {0}")]
    Before(Box<ConvertError>),
}

/// Longest result, in bytes.
pub const RESULT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many times as long as the text its result may be: what is said once, as a fingerprint of the session, may be repeated in each of many contents.
pub const GROWTH_MAX: usize = 64;

const NO_MEDIA: ConvertError = ConvertError::Request("this action says nothing of media, so there is no SDP for it");
const NO_BEFORE: ConvertError = ConvertError::Request("this action changes a description: the one before is needed (--session)");

/// The stanzas that say what an SDP says: one, or with a description before it, one for each kind of change.
///
/// # Errors
/// The first thing that cannot be read.
pub fn to_jingle(text: &str, request: &Request<'_>) -> Result<(Vec<Jingle>, Vec<Warning>), ConvertError> {
    let (stanzas, warnings) = say(text, request)?;
    let len_max = result_len_max(text, request);
    // Written only where that could be: an attribute has up to six bytes for one, and what is not copied has a line of its own.
    if 6 * copied_len(&stanzas) > len_max / 2 || len_max == RESULT_BYTES_MAX {
        check_len(stanzas.iter().map(|stanza| to_xml(stanza).len()).sum(), len_max)?;
    }
    Ok((stanzas, warnings))
}

/// What the result may have.
fn result_len_max(text: &str, request: &Request<'_>) -> usize {
    let len = text.len() + request.before.map_or(0, str::len);
    RESULT_BYTES_MAX.min(GROWTH_MAX * (len + 64))
}

fn check_len(found: usize, len_max: usize) -> Result<(), ConvertError> {
    if found > len_max { Err(ConvertError::TooMuch { found }) } else { Ok(()) }
}

/// About the length of what the mapper may write more than once, without escapes.
fn copied_len(stanzas: &[Jingle]) -> usize {
    let rtp = |rtp: &Rtp| {
        let parameters = rtp.sources.iter().flat_map(|source| &source.parameters);
        let msids: usize = parameters.map(|parameter| 32 + parameter.value.as_ref().map_or(0, |value| value.len())).sum();
        let words = |extension: &HeaderExtension| extension.parameters.len() * (32 + NAME_BYTES_MAX / 4);
        let extensions: usize = rtp.header_extensions.iter().map(|extension| 64 + extension.uri.len() + words(extension)).sum();
        msids + extensions
    };
    let transport = |transport: &Transport| {
        let fingerprints = transport.dtls.iter().flat_map(|dtls| &dtls.fingerprints);
        let fingerprints: usize = fingerprints.map(|fingerprint| 64 + fingerprint.hash.len() + fingerprint.value.len()).sum();
        let options: usize = transport.options.iter().map(|option| 64 + option.len()).sum();
        fingerprints + options + [transport.ufrag.as_deref(), transport.pwd.as_deref()].into_iter().flatten().map(str::len).sum::<usize>()
    };
    let content = |content: &Content| {
        let media = if let Some(content::Description::Rtp(media)) = &content.description { rtp(media) } else { 0 };
        media + content.transport.as_ref().map_or(0, transport)
    };
    stanzas.iter().flat_map(|stanza| &stanza.contents).map(content).sum()
}

fn say(text: &str, request: &Request<'_>) -> Result<(Vec<Jingle>, Vec<Warning>), ConvertError> {
    if request.action.is_some_and(says_nothing) {
        return Err(NO_MEDIA);
    }
    let before = request.before.map(|text| before::read_before(text, request)).transpose()?;
    if is_fragment(text) {
        if request.action.is_some_and(|action| action != Action::TransportInfo) {
            return Err(ConvertError::Request("this is no whole description but a fragment of one, which only a transport-info says"));
        }
        let (jingle, warnings) = map::from_fragment(parse::parse_fragment(text)?, request.party, before.as_ref())?;
        return Ok((vec![jingle], warnings));
    }
    let (mut next, mut warnings) = map::from_sdp(parse::parse(text)?, request.party, before.as_ref())?;
    match (before, request.action) {
        (_, Some(action @ (Action::SessionInitiate | Action::SessionAccept))) => whole(next, action, warnings),
        (Some(mut before), action) => {
            before::tell_offers_from_answers(&mut before, &mut next, action);
            let (mut stanzas, more) = diff(&before, &next);
            warnings.extend(more);
            if let Some(action) = action {
                retain(&mut stanzas, action, &mut warnings)?;
            }
            Ok((stanzas, warnings))
        }
        (None, None) => whole(next, first(request.party), warnings),
        (None, Some(action @ (Action::ContentAdd | Action::ContentAccept))) => whole(next, action, warnings),
        (None, Some(_)) => Err(NO_BEFORE),
    }
}

/// The SDP that says what a `<jingle/>` says; with a description before it, of all that holds afterwards.
///
/// # Errors
/// The first thing that cannot be read, or an action that says nothing of media.
pub fn to_sdp(text: &str, request: &Request<'_>) -> Result<(String, Vec<Warning>), ConvertError> {
    let (mut jingle, mut warnings) = read(text)?;
    jingle.action = request.action.unwrap_or(jingle.action);
    let changes_media = match jingle.action {
        Action::SessionInfo => Hold::of(&jingle).is_some(),
        // Every m= line goes away with it, where there are any.
        Action::SessionTerminate => request.before.is_some(),
        _ => false,
    };
    if says_nothing(jingle.action) && !changes_media {
        return Err(NO_MEDIA);
    }
    let before = request.before.map(|text| before::read_before(text, &Request { action: Some(jingle.action), ..*request })).transpose()?;
    let description = match (jingle.action, before) {
        (Action::SessionInitiate | Action::SessionAccept, offer) => {
            let (description, more) = map::from_jingle(jingle, request.party, offer.as_ref())?;
            warnings.extend(more);
            description
        }
        (_, Some(mut before)) => {
            if !is_xml(request.before.unwrap_or_default()) && before.sid == before.origin.session_id {
                // the number of a program's SDP is not the sid of its session
                before.sid.clone_from(&jingle.sid);
            }
            let (description, more) = before::apply(&before, &jingle, request.party)?;
            warnings.extend(more);
            description
        }
        (Action::TransportInfo, None) => {
            let (lines, more) = map::to_fragment(&jingle, request.party, None);
            if lines.media.is_empty() && lines.attributes.is_empty() {
                return Err(ConvertError::Request("there is no content in it whose transport SDP could say"));
            }
            warnings.extend(more);
            return Ok((write::write(&lines), warnings));
        }
        (_, None) => return Err(NO_BEFORE),
    };
    let (lines, more) = map::to_sdp(&description);
    warnings.extend(more);
    let sdp = write::write(&lines);
    check_len(sdp.len(), result_len_max(text, request))?;
    Ok((sdp, warnings))
}

/// A `<jingle/>` as text.
#[must_use]
pub fn to_xml(jingle: &Jingle) -> String {
    // A content of some codecs takes some kilobytes.
    let mut writer = XmlWriter::with_capacity(512 + 4096 * jingle.contents.len());
    jingle.write(&mut writer);
    String::from_utf8(writer.into_inner()).expect("what is written is made of strings")
}

fn is_fragment(text: &str) -> bool {
    !text.trim_start().starts_with("v=")
}

fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn says_nothing(action: Action) -> bool {
    matches!(action, Action::SessionInfo | Action::SessionTerminate | Action::SecurityInfo)
}

/// The action of a party's first description.
const fn first(party: Party) -> Action {
    match party {
        Party::Initiator => Action::SessionInitiate,
        Party::Responder => Action::SessionAccept,
    }
}

/// The stanza of this action that says all of a description. An answer that takes no part in anything is no answer but the end of the session
/// (XEP-0166 §6.3); other stanzas need a content (§7.2).
fn whole(description: Description, action: Action, mut warnings: Vec<Warning>) -> Result<(Vec<Jingle>, Vec<Warning>), ConvertError> {
    if description.sections.iter().any(|section| section.state == State::Active) {
        return Ok((vec![description.into_jingle(action)], warnings));
    }
    if action != Action::SessionAccept || description.sections.is_empty() {
        return Err(ConvertError::Request("there is no m= line in it that is not refused and that Jingle could say"));
    }
    let text = "every m= line is refused: session-accept needs one that is not, so this is the session-terminate that declines".to_owned();
    warnings.push(Warning { place: Place::Session, text });
    Ok((vec![description.declined()], warnings))
}

/// Leaves the stanzas of one action.
fn retain(stanzas: &mut Vec<Jingle>, action: Action, warnings: &mut Vec<Warning>) -> Result<(), ConvertError> {
    let (wanted, others) = std::mem::take(stanzas).into_iter().partition(|stanza| stanza.action == action);
    *stanzas = wanted;
    if stanzas.is_empty() {
        return Err(ConvertError::Request("nothing has changed that this action says"));
    }
    warnings.extend(others.iter().map(|stanza: &Jingle| Warning {
        place: Place::Session,
        text: format!("{} is left out: another action was asked for", stanza.action.as_str()),
    }));
    Ok(())
}

/// Strictly: what is malformed is an error, what is unknown a warning.
fn read(text: &str) -> Result<(Jingle, Vec<Warning>), ConvertError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ConvertError::TooLong);
    }
    let element = parse_xml(text)?;
    let root = element.root();
    let node =
        if root.is(ns::JINGLE, "jingle") { Some(root) } else { root.children().find(|child: &Node<'_>| child.is(ns::JINGLE, "jingle")) };
    let mut reading = Reading::whole();
    let jingle = Jingle::read(node.ok_or(ConvertError::NoJingle)?, &mut reading).map_err(ConvertError::Jingle)?;
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

fn parse_xml(text: &str) -> Result<Element, ConvertError> {
    let bindings = Bindings::client();
    let whole = text.trim();
    // a stream has no XML declaration, a file may
    let xml = whole.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(whole, |(_, rest)| rest.trim_start());
    Element::parse(xml.as_bytes(), &bindings).map_err(|error| {
        let before = text.len() - text.trim_start().len() + whole.len() - xml.len();
        let at = before + xml::validate::valid_up_to(xml, &bindings);
        ConvertError::Xml { line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(), error }
    })
}
