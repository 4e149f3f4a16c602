//! Names and creators of contents against `a=mid`: XEP-0338 §3, "the names are the identification-tags".
//!
//! A name may be any text, a mid is a token, and SDP has no creators, JIDs and the like: what does not fit is in attributes called `jingle-…`, which
//! only we read. Texts in them have `%`, blanks and control characters as `%XX`.

use std::collections::HashSet;

use smol_str::{SmolStr, SmolStrBuilder};

use super::outline::Outline;
use super::words::is_token;
use super::{MapError, Quoted, refused};
use crate::jingle::content::{Content, NAME_BYTES_MAX, Party};
use crate::sdp::description::{Description, Section, State};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::parse::words::is_control;

/// The name, where the mid is another.
pub(super) const NAME: &str = "jingle-name";
/// The creator, where it is the responder.
pub(super) const CREATOR: &str = "jingle-creator";
/// The transport method, where SDP's lines do not tell it: `ice` is XEP-0371, `raw-udp` XEP-0177 without an address.
pub(super) const TRANSPORT: &str = "jingle-transport";
/// The session's id, where `o=` has another one.
pub(super) const SID: &str = "jingle-sid";
/// The full JID of who began the session.
pub(super) const INITIATOR: &str = "jingle-initiator";
/// The full JID of who answers it.
pub(super) const RESPONDER: &str = "jingle-responder";
/// The disposition, where it is not `session`.
pub(super) const DISPOSITION: &str = "jingle-disposition";

/// What a content is known by: XEP-0166 §7.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub creator: Party,
    pub name: SmolStr,
}

/// The names of the sections of a description, in their order.
///
/// # Errors
/// The m= lines are not those of `previous`, or two sections have one name.
pub(super) fn assign(outlines: &[Outline], party: Party, previous: Option<&Description>) -> Result<Vec<Name>, MapError> {
    let last = outlines.last().map_or(0, |outline| outline.line);
    let before = previous.map_or(&[][..], |previous| &previous.sections);
    if outlines.len() < before.len() {
        let (now, before) = (outlines.len(), before.len());
        return Err(MapError::line(
            last,
            format_args!("there are {now} m= lines where there were {before}: they do not go away (RFC 3264 §8)"),
        ));
    }
    let answers = previous.is_some_and(|previous| previous.party != party);
    if answers && outlines.len() > before.len() {
        let line = outlines[before.len()].line;
        return Err(MapError::line(line, format_args!("the offer has no such m= line (RFC 3264 §6)")));
    }
    let mut names = known(outlines, party, previous, answers)?;
    let mut taken: HashSet<SmolStr> = names.iter().flatten().map(|name| name.name.clone()).collect();
    taken.extend(outlines.iter().filter_map(|outline| outline.mid.clone()));
    taken.extend(before.iter().map(|section| section.content.name.clone()));
    for (name, outline) in names.iter_mut().zip(outlines) {
        if name.is_none() {
            let creator = outline.creator.unwrap_or(if previous.is_some() { party } else { Party::Initiator });
            *name = Some(Name { creator, name: unique(&outline.media, &mut taken) });
        }
    }
    let names: Vec<Name> = names.into_iter().flatten().collect();
    // RFC 5888 §4: a mid is one section's, also of one that does not say it again.
    let mids_before = mids(before);
    for (index, outline) in outlines.iter().enumerate() {
        let owner = outline.mid.as_ref().and_then(|mid| mids_before.iter().position(|before| before == mid));
        if let Some(owner) = owner.filter(|owner| *owner != index && outlines[*owner].mid.is_none() && !outlines[*owner].refused) {
            return Err(MapError::line(outline.line, format_args!("another section is called {} too", Quoted(&mids_before[owner]))));
        }
    }
    let mut seen = HashSet::with_capacity(names.len());
    for (name, outline) in names.iter().zip(outlines) {
        // Clients that write no names (stanza.js without mids) have contents that are only known by their place.
        if !name.name.is_empty() && !seen.insert((name.creator, &*name.name)) {
            return Err(MapError::line(outline.line, format_args!("another section is called {} too", Quoted(&name.name))));
        }
    }
    Ok(names)
}

/// The names that are said, here or before.
fn known(outlines: &[Outline], party: Party, previous: Option<&Description>, answers: bool) -> Result<Vec<Option<Name>>, MapError> {
    let before = previous.map_or(&[][..], |previous| &previous.sections);
    let mids_before = mids(before);
    let mut names = Vec::with_capacity(outlines.len());
    for (index, outline) in outlines.iter().enumerate() {
        let said = outline.name.as_ref().or(outline.mid.as_ref());
        let new = |creator| said.map(|name| Name { creator, name: name.clone() });
        names.push(match before.get(index) {
            None => new(outline.creator.unwrap_or(if previous.is_some() { party } else { Party::Initiator })),
            Some(section) => {
                let was = Name { creator: outline.creator.unwrap_or(section.content.creator), name: section.content.name.clone() };
                let is_same = outline.name.as_ref().is_none_or(|name| *name == was.name)
                    && outline.mid.as_ref().is_none_or(|mid| *mid == mids_before[index] || outline.name.is_some());
                match section.state {
                    State::Refused if outline.refused => Some(was),
                    State::Refused if answers => {
                        return Err(MapError::line(outline.line, format_args!("the offer refuses this m= line (RFC 3264 §6)")));
                    }
                    // RFC 8829 §5.2.2: a new section in the place of one that was refused.
                    State::Refused if is_same && outline.mid.is_some() => Some(Name { creator: outline.creator.unwrap_or(party), ..was }),
                    State::Refused => new(outline.creator.unwrap_or(party)),
                    State::Active | State::Offered if is_same || outline.refused => Some(was),
                    State::Active | State::Offered => {
                        let (mid, was) = (Quoted(said.map_or("", |said| said)), Quoted(&mids_before[index]));
                        return Err(MapError::line(
                            outline.line,
                            format_args!("this m= section was {was} and is {mid} now: sections keep their places (RFC 3264 §8)"),
                        ));
                    }
                }
            }
        });
    }
    Ok(names)
}

/// The mids of a description: the names where they are tokens, else words of their own.
pub(super) fn mids(sections: &[Section]) -> Vec<SmolStr> {
    let mut taken = HashSet::with_capacity(sections.len());
    let mut is_mid = |content: &Content| is_token(&content.name) && taken.insert(content.name.clone());
    let known: Vec<bool> = sections.iter().map(|section| is_mid(&section.content)).collect();
    let mut mid = |content: &Content, is_mid| if is_mid { content.name.clone() } else { unique(&refused::media(content), &mut taken) };
    sections.iter().zip(known).map(|(section, is_mid)| mid(&section.content, is_mid)).collect()
}

/// The media's word, with a number behind it from the second on.
fn unique(media: &SmolStr, taken: &mut HashSet<SmolStr>) -> SmolStr {
    // The number must have room too.
    let word = if is_token(media) && media.len() < NAME_BYTES_MAX / 2 { media.clone() } else { SmolStr::new_static("media") };
    if taken.insert(word.clone()) {
        return word;
    }
    let numbered = (2_u32..).map(|number| smol_str::format_smolstr!("{word}{number}"));
    numbered.into_iter().find(|word| taken.insert(word.clone())).unwrap_or(word)
}

/// The attributes that say what a content is called.
pub(super) fn write(content: &Content, mid: SmolStr, out: &mut Vec<Numbered>) {
    let name = (content.name != mid).then(|| encode(&content.name));
    out.push(Attribute::Mid(mid).into());
    if let Some(value) = name {
        out.push(Attribute::Other { name: SmolStr::new_static(NAME), value: Some(value) }.into());
    }
    if content.creator == Party::Responder {
        let value = Some(SmolStr::new_static(Party::Responder.as_str()));
        out.push(Attribute::Other { name: SmolStr::new_static(CREATOR), value }.into());
    }
}

/// A text as the value of an attribute of ours.
pub(in crate::sdp) fn encode(text: &str) -> SmolStr {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = SmolStrBuilder::new();
    for char in text.chars() {
        if !(char.is_ascii_control() || matches!(char, ' ' | '%') || is_control(char)) {
            encoded.push(char);
            continue;
        }
        for byte in char.encode_utf8(&mut [0; 4]).bytes() {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded.finish()
}

/// The text again. `None`: it is none that XML could say, or too long.
pub(in crate::sdp) fn decode(value: &str) -> Option<SmolStr> {
    decode_within(value, NAME_BYTES_MAX)
}

/// The same of another length.
pub(super) fn decode_within(value: &str, bytes_max: usize) -> Option<SmolStr> {
    let mut parts = value.split('%');
    let mut decoded = Vec::from(parts.next()?);
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        decoded.extend_from_slice(&part.as_bytes()[2..]);
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let is_no_character = |char| matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let is_said = decoded.len() <= bytes_max && !decoded.contains(is_no_character);
    is_said.then(|| decoded.into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, only, read, read_after, said, written};
    use super::*;

    #[test]
    fn any_name_is_one_word_and_comes_back() {
        let table = [
            ("", ""),
            ("my camera", "my%20camera"),
            ("50%", "50%25"),
            ("ä:\"'<&", "ä:\"'<&"),
            ("x\r\na=mid:y", "x%0D%0Aa=mid:y"),
            ("\t", "%09"),
            ("a\u{2028}b\u{85}", "a%E2%80%A8b%C2%85"),
        ];
        for (name, value) in table {
            assert_eq!((&*encode(name), decode(value).as_deref()), (value, Some(name)), "{name:?}");
        }
        for value in ["%", "%2", "%zz", "%+5", "%é", "%00", "%ff", &"n".repeat(257)] {
            assert_eq!(decode(value), None, "{value}");
        }
    }

    #[test]
    fn a_word_is_taken_once() {
        let mut taken = HashSet::from(["video2".into()]);
        let words: Vec<_> =
            ["audio", "video", "video", "audio", "a b"].iter().map(|media| unique(&SmolStr::new(media), &mut taken)).collect();
        assert_eq!(words, ["audio", "video", "video3", "audio2", "media"]);
    }

    /// A section of this media with these lines.
    fn section(media: &str, lines: &str) -> String {
        let payload = if media == "audio" { 0 } else { 31 };
        format!("{}{lines}", AUDIO.replace("audio 9 RTP/AVP 0", &format!("{media} 9 RTP/AVP {payload}")))
    }

    fn names(description: &Description) -> Vec<(&str, &str)> {
        description.sections.iter().map(|section| (section.content.creator.as_str(), &*section.content.name)).collect()
    }

    #[test]
    fn xep_0338_s3_names_are_mids() {
        let body =
            [section("audio", "\na=mid:0"), section("video", ""), section("video", ""), section("audio", "\na=mid:video")].join("\n");
        let (description, _) = read(Party::Initiator, &body);
        assert_eq!(names(&description), [("initiator", "0"), ("initiator", "video2"), ("initiator", "video3"), ("initiator", "video")]);
        let (body, warnings) = written(&description);
        assert_eq!(only(&body, &["a=mid", "a=jingle"]), ["a=mid:0", "a=mid:video2", "a=mid:video3", "a=mid:video"]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn xep_0166_s7_3_names_that_are_no_tokens_and_creators() {
        let named = |name: &str, creator| Content { creator, name: name.into(), ..content(AUDIO) };
        let contents = vec![
            named("my camera", Party::Initiator),
            named("", Party::Initiator),
            named("", Party::Initiator),
            named("a", Party::Initiator),
            named("a", Party::Responder),
        ];
        let (description, warnings) = said(contents.clone()).unwrap();
        assert!(warnings.is_empty());
        let (body, warnings) = written(&description);
        assert!(warnings.is_empty());
        let lines = [
            "a=mid:audio",
            "a=jingle-name:my%20camera",
            "a=mid:audio2",
            "a=jingle-name:",
            "a=mid:audio3",
            "a=jingle-name:",
            "a=mid:a",
            "a=mid:audio4",
            "a=jingle-name:a",
            "a=jingle-creator:responder",
        ];
        assert_eq!(only(&body, &["a=mid", "a=jingle"]), lines);
        let (again, warnings) = read(Party::Initiator, &body);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(names(&again), names(&description));
    }

    #[test]
    fn rfc_5888_s4_mids_are_there_once() {
        let table = [
            ("\na=mid:0\na=mid:1", "", "line 10: a second a=mid, or one that another section has: '1'"),
            ("\na=mid:0", "\na=mid:0", "line 14: a second a=mid, or one that another section has: '0'"),
            ("\na=jingle-name:a b", "\na=jingle-name:a%20b", "line 10: another section is called 'a b' too"),
            ("\na=mid:0", "\na=mid:1\na=jingle-name:0", "line 10: another section is called '0' too"),
        ];
        for (first, second, expected) in table {
            let body = format!("{}\n{}", section("audio", first), section("video", second));
            assert_eq!(read_after(Party::Initiator, &body, None).unwrap_err(), expected);
        }
    }

    #[test]
    fn rfc_3264_s8_sections_keep_their_places() {
        let offer = [section("audio", "\na=mid:0"), section("video", "\na=mid:1")].join("\n");
        let (before, _) = read(Party::Initiator, &offer);
        let table = [
            // The same again, without mids, with one section more.
            (offer.clone(), Ok(vec![("initiator", "0"), ("initiator", "1")])),
            ([section("audio", ""), section("video", "")].join("\n"), Ok(vec![("initiator", "0"), ("initiator", "1")])),
            (format!("{offer}\n{}", section("video", "")), Ok(vec![("initiator", "0"), ("initiator", "1"), ("initiator", "video")])),
            (
                format!("{}\n{}\n{}", section("audio", ""), section("video", "\na=mid:1"), section("video", "\na=mid:0")),
                Err("line 14: another section is called '0' too"),
            ),
            (section("audio", "\na=mid:0"), Err("line 5: there are 1 m= lines where there were 2: they do not go away (RFC 3264 §8)")),
            (
                [section("video", "\na=mid:1"), section("audio", "\na=mid:0")].join("\n"),
                Err("line 5: this m= section was '0' and is '1' now: sections keep their places (RFC 3264 §8)"),
            ),
        ];
        for (body, expected) in table {
            let read = read_after(Party::Initiator, &body, Some(&before));
            let read = read.as_ref().map(|(description, _)| names(description)).map_err(|error| error.as_str());
            assert_eq!(read, expected, "{body}");
        }
        // What the responder adds is its own, if it says so or not.
        let more = format!("{offer}\n{}", section("video", "\na=mid:2"));
        let (answer, _) = read_after(Party::Responder, &offer, Some(&before)).unwrap();
        let (added, _) = read_after(Party::Responder, &more, Some(&answer)).unwrap();
        assert_eq!(names(&added), [("initiator", "0"), ("initiator", "1"), ("responder", "2")]);
    }

    #[test]
    fn rfc_3264_s6_an_answer_has_the_lines_of_the_offer() {
        let (offer, _) = read(Party::Initiator, &[section("audio", "\na=mid:0"), "m=video 0 RTP/AVP 31".into()].join("\n"));
        let table = [
            ("m=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 31".to_owned(), Ok(vec![("initiator", "0"), ("initiator", "video")])),
            // Media that Jingle has no content for is refused in Jingle, whatever the phones say.
            ("m=audio 0 RTP/AVP 0\nm=image 5 udptl t38".to_owned(), Ok(vec![("initiator", "0"), ("initiator", "video")])),
            ([section("audio", ""), section("video", "")].join("\n"), Err("line 9: the offer refuses this m= line (RFC 3264 §6)")),
            (
                [section("audio", ""), "m=video 0 RTP/AVP 31".into(), section("audio", "")].join("\n"),
                Err("line 10: the offer has no such m= line (RFC 3264 §6)"),
            ),
        ];
        for (body, expected) in table {
            let read = read_after(Party::Responder, &body, Some(&offer));
            let read = read.as_ref().map(|(description, _)| names(description)).map_err(|error| error.as_str());
            assert_eq!(read, expected, "{body}");
        }
    }

    #[test]
    fn rfc_8829_s5_2_2_a_refused_line_is_used_again() {
        let (before, _) = read(Party::Initiator, &[section("audio", "\na=mid:0"), "m=video 0 RTP/AVP 31\na=mid:1".into()].join("\n"));
        let table = [
            ("m=video 0 RTP/AVP 31".to_owned(), "1"),
            (section("audio", "\na=mid:2"), "2"),
            (section("video", "\na=mid:1"), "1"),
            (section("video", ""), "video"),
            (section("audio", ""), "audio"),
        ];
        for (line, expected) in table {
            let body = [section("audio", "\na=mid:0"), line].join("\n");
            let (description, _) = read_after(Party::Initiator, &body, Some(&before)).unwrap();
            assert_eq!(names(&description)[1].1, expected, "{body}");
        }
    }
}
