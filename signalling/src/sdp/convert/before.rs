//! What the description before has to do with a text: SDP knows nothing of what is offered and not yet answered.

use super::{ConvertError, Request, is_xml, read};
use crate::jingle::content::Content;
use crate::jingle::transport::Setup;
use crate::jingle::{Action, Jingle, Party};
use crate::sdp::description::{Description, Section, State};
use crate::sdp::warning::Warning;
use crate::sdp::{map, parse};

/// The description before: of the offerer if this is to be an answer.
pub(super) fn read_before(text: &str, request: &Request<'_>) -> Result<Description, ConvertError> {
    let party = if request.action == Some(Action::SessionAccept) { request.party.other() } else { request.party };
    let read = || {
        if is_xml(text) {
            Ok::<_, ConvertError>(map::from_jingle(read(text)?.0, party, None)?)
        } else {
            Ok(map::from_sdp(parse::parse(text)?, party, None)?)
        }
    };
    read().map(|(description, _)| description).map_err(|error| ConvertError::Before(Box::new(error)))
}

/// SDP does not say whether a new section is offered or answers one that the other party has offered, and the description before does not know
/// of that. The action says it if one was asked for, else `a=setup`: an offer leaves it open (RFC 8842 §5.2).
pub(super) fn tell_offers_from_answers(before: &mut Description, next: &mut Description, action: Option<Action>) {
    let party = next.party;
    for (index, section) in next.sections.iter_mut().enumerate() {
        if before.sections.get(index).is_some_and(|before| before.state == State::Active || section.state == State::Refused) {
            continue;
        }
        let is_offer = section.state == State::Active
            && match action {
                Some(Action::ContentAdd) => true,
                Some(Action::ContentAccept) => false,
                _ => !has_decided(&section.content),
            };
        section.content.creator = if is_offer { party } else { party.other() };
        if !is_offer {
            let offered = Section::new(section.content.clone(), State::Offered);
            match before.sections.get_mut(index) {
                Some(before) => *before = offered,
                None => before.sections.push(offered),
            }
        }
    }
}

/// Whether its `a=setup` is that of an answer.
fn has_decided(content: &Content) -> bool {
    let setup = content.transport.as_ref().and_then(|transport| transport.dtls.as_ref()).and_then(|dtls| dtls.setup);
    matches!(setup, Some(Setup::Active | Setup::Passive))
}

/// What holds for a party after a stanza of whoever must have sent it: a content-add comes from the creator, its answer from the other. What is
/// answered is offered first if it has not been: a description that is SDP cannot know of it.
pub(super) fn apply(before: &Description, stanza: &Jingle, party: Party) -> Result<(Description, Vec<Warning>), ConvertError> {
    let creator = stanza.contents.first().map_or(party, |content| content.creator);
    let from = match stanza.action {
        Action::ContentAdd => creator,
        Action::ContentAccept | Action::ContentReject => creator.other(),
        _ => party,
    };
    let is_answer = matches!(stanza.action, Action::ContentAccept | Action::ContentReject) && from == party;
    let is_unknown =
        |content: &&Content| !before.sections.iter().any(|section| section.state != State::Refused && section.content.name == content.name);
    let offered: Vec<Content> = stanza.contents.iter().filter(is_unknown).cloned().collect();
    if !is_answer || offered.is_empty() {
        return Ok(before.apply(from, stanza)?);
    }
    let (offer, mut warnings) = if stanza.action == Action::ContentReject {
        before.offered_without_description(&offered)?
    } else {
        before.apply(creator, &Jingle { action: Action::ContentAdd, contents: offered, ..stanza.clone() })?
    };
    let (mut after, more) = offer.apply(from, stanza)?;
    warnings.extend(more);
    // RFC 3264 §8: for one SDP more, it grows by one.
    after.origin.version = after.origin.version.min(before.origin.version.saturating_add(1));
    Ok((after, warnings))
}
