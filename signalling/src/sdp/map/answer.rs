//! An answer's m= lines are those of the offer, in its order: RFC 3264 §6. What a session-accept leaves out is refused.

use super::{MapError, Quoted, refused};
use crate::jingle::content::Content;
use crate::sdp::description::{Description, Section, State};
use crate::sdp::warning::Warnings;

/// The contents of an answer in the places of those of the offer.
///
/// # Errors
/// A content was not offered.
pub(super) fn in_order_of(offer: &Description, contents: Vec<Content>, warnings: &mut Warnings) -> Result<Vec<Section>, MapError> {
    let mut sections: Vec<Section> = offer.sections.iter().map(|section| Section::new(section.content.clone(), State::Refused)).collect();
    for content in contents {
        let open = |(section, offered): (&Section, &Section)| section.state == State::Refused && offered.state != State::Refused;
        let places = || sections.iter().zip(&offer.sections);
        let is_called = |(section, offered): (&Section, &Section)| open((section, offered)) && section.content.name == content.name;
        let place = places().position(|pair| is_called(pair) && pair.0.content.creator == content.creator);
        let place = place.or_else(|| {
            // XEP-0166 §7.3: the creator is who added the content, which some clients take for who writes the stanza.
            let place = places().position(is_called)?;
            warnings.enter(&content.name);
            warnings
                .add(format_args!("it answers the content of this name, whose creator is {}", sections[place].content.creator.as_str()));
            Some(place)
        });
        let Some(place) = place else {
            return Err(MapError::stanza(format_args!("content {}: it was not offered", Quoted(&content.name))));
        };
        let creator = sections[place].content.creator;
        let (media, offered) = (refused::media(&content), refused::media(&sections[place].content));
        if media != offered {
            return Err(MapError::stanza(format_args!("content {}: it is {media} and answers {offered}", Quoted(&content.name))));
        }
        sections[place] = Section::new(Content { creator, ..content }, State::Active);
    }
    warnings.leave();
    Ok(sections)
}
