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

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, read, written};
    use super::*;
    use crate::jingle::content::{Action, Jingle, Party};
    use crate::sdp::map::from_jingle;

    fn offer() -> Description {
        let section = |media: &str| format!("{}\na=mid:{media}", AUDIO.replace("audio", media));
        read(Party::Initiator, &[section("audio"), section("video"), "m=image 0 udptl t38\na=mid:fax".to_owned()].join("\n")).0
    }

    fn accept(contents: Vec<Content>) -> Result<(Description, Vec<String>), String> {
        let jingle = Jingle { contents, ..Jingle::new(Action::SessionAccept, "7") };
        let (description, warnings) = from_jingle(jingle, Party::Responder, Some(&offer())).map_err(|error| error.to_string())?;
        Ok((description, warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn s6_places_are_those_of_the_offer() {
        let [audio, video, _] = <[Section; 3]>::try_from(offer().sections).unwrap().map(|section| section.content);
        let (description, warnings) = accept(vec![video.clone(), audio]).unwrap();
        assert!(warnings.is_empty());
        let names: Vec<_> = description.sections.iter().map(|section| (&*section.content.name, section.state)).collect();
        assert_eq!(names, [("audio", State::Active), ("video", State::Active), ("fax", State::Refused)]);
        let (description, _) = accept(vec![video]).unwrap();
        let (body, _) = written(&description);
        assert!(body.starts_with("m=audio 0 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=mid:audio\nm=video 9 RTP/AVP 0\n"), "{body}");
        assert!(body.ends_with("m=image 0 udptl t38\nc=IN IP4 0.0.0.0\na=mid:fax"), "{body}");
    }

    #[test]
    fn what_was_not_offered_is_an_error() {
        let content = |index: usize, name: &str, creator| Content { name: name.into(), creator, ..offer().sections[index].content.clone() };
        let error = "content 'other': it was not offered";
        assert_eq!(accept(vec![content(0, "other", Party::Initiator)]).unwrap_err(), error);
        assert_eq!(accept(vec![content(1, "audio", Party::Initiator)]).unwrap_err(), "content 'audio': it is video and answers audio");
        // Some clients take the creator for who writes.
        let (description, warnings) = accept(vec![content(0, "audio", Party::Responder)]).unwrap();
        assert_eq!(description.sections[0].content.creator, Party::Initiator);
        assert_eq!(warnings, ["content 'audio': it answers the content of this name, whose creator is initiator"]);
    }
}
