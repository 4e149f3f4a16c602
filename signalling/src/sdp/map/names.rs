//! Names and creators of contents against `a=mid`: XEP-0338 §3, "the names are the identification-tags".
//!
//! A name may be any text, a mid is a token, and SDP has no creators: what does not fit is in the attributes `jingle-name` and
//! `jingle-creator`, which only we read. Names in them have `%`, blanks and control characters as `%XX`.

use std::collections::HashSet;

use smol_str::{SmolStr, SmolStrBuilder};

use super::outline::Outline;
use super::words::is_token;
use super::{MapError, Quoted, refused};
use crate::jingle::content::{Content, NAME_BYTES_MAX, Party};
use crate::sdp::description::{Description, Section, State};
use crate::sdp::line::{Attribute, Numbered};

/// The name, where the mid is another.
pub(super) const NAME: &str = "jingle-name";
/// The creator, where it is the responder.
pub(super) const CREATOR: &str = "jingle-creator";
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
    let word = if is_token(media) { media.clone() } else { SmolStr::new_static("media") };
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
        match char {
            '\0'..=' ' | '%' | '\x7f' => {
                let byte = char as usize;
                encoded.push('%');
                encoded.push(char::from(HEX[byte >> 4]));
                encoded.push(char::from(HEX[byte & 15]));
            }
            char => encoded.push(char),
        }
    }
    encoded.finish()
}

/// The text again. `None`: it is none that XML could say, or too long.
pub(in crate::sdp) fn decode(value: &str) -> Option<SmolStr> {
    let mut parts = value.split('%');
    let mut decoded = String::from(parts.next()?);
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
        decoded.push(char::from(byte));
        decoded.push_str(&part[2..]);
    }
    let is_said = decoded.len() <= NAME_BYTES_MAX && !decoded.chars().any(|char| char < ' ' && !matches!(char, '\t' | '\n' | '\r'));
    is_said.then(|| decoded.into())
}

#[cfg(test)]
mod tests {
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
}
