//! Which m= line a new content takes, and the carried lines that are meant for who applies a stanza and never come into a description.

use smol_str::{SmolStr, format_smolstr};

use crate::jingle::content::{CONTENTS_MAX, Carried, Content};
use crate::sdp::description::{Description, State};

/// A carried line that says how a stanza is meant. Whoever does not know it loses nothing but the order of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// In a content-add: it takes the place of this refused m= line (RFC 8829 §5.2.2), where otherwise it would be appended.
    Place(usize),
    /// In a description-info: it says the whole and not, as XEP-0167 §9 has it, only what has changed.
    Whole,
}

const PLACE: &str = "jingle-place:";
const WHOLE: &str = "jingle-whole";

impl Mark {
    /// The line that carries it.
    pub fn carried(self) -> Carried {
        let value = match self {
            Self::Place(index) => format_smolstr!("{PLACE}{index}"),
            Self::Whole => SmolStr::new_static(WHOLE),
        };
        Carried { kind: 'a', value }
    }

    fn read(line: &Carried) -> Option<Self> {
        match &*line.value {
            _ if line.kind != 'a' => None,
            WHOLE => Some(Self::Whole),
            value => value.strip_prefix(PLACE)?.parse().ok().map(Self::Place),
        }
    }

    /// The lines without the marks, and the marks.
    pub fn take(lines: &[Carried]) -> (Vec<Carried>, Marks) {
        let mut marks = Marks::default();
        let mut rest = Vec::with_capacity(lines.len());
        for line in lines {
            match Self::read(line) {
                Some(Self::Place(index)) => marks.place = Some(index),
                Some(Self::Whole) => marks.whole = true,
                None => rest.push(line.clone()),
            }
        }
        (rest, marks)
    }
}

/// The marks of one content or of the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// [`Mark::Place`].
    pub place: Option<usize>,
    /// [`Mark::Whole`].
    pub whole: bool,
}

/// The m= line that a new content takes; the number of lines if it is appended, `None` if there are too many.
///
/// A content whose name a refused line has takes that line, for there cannot be two of one name. Otherwise it takes the refused line that the
/// mark names, or is appended, or, where there is no more room, takes the first refused line.
pub fn place(description: &Description, content: &Content, marked: Option<usize>) -> Option<usize> {
    let sections = &description.sections;
    let is_refused = |index: usize| sections.get(index).is_some_and(|section| section.state == State::Refused);
    let namesake = || sections.iter().position(|section| section.state == State::Refused && section.content.name == content.name);
    let room = || (sections.len() < CONTENTS_MAX).then_some(sections.len());
    let first = || sections.iter().position(|section| section.state == State::Refused);
    namesake().or_else(|| marked.filter(|&index| is_refused(index))).or_else(room).or_else(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_from_the_lines() {
        let line = |value: &str| Carried { kind: 'a', value: value.into() };
        let table = [
            ("jingle-place:0", Some(0), false),
            ("jingle-place:31", Some(31), false),
            ("jingle-whole", None, true),
            ("jingle-place:-1", None, false),
            ("jingle-place:", None, false),
            ("jingle-whole:x", None, false),
            ("rid:1 send", None, false),
        ];
        for (value, place, whole) in table {
            let (rest, marks) = Mark::take(&[line("first"), line(value)]);
            assert_eq!(marks, Marks { place, whole }, "{value}");
            assert_eq!(rest.len(), if place.is_some() || whole { 1 } else { 2 }, "{value}");
        }
        for mark in [Mark::Place(7), Mark::Whole] {
            assert_eq!(Mark::read(&mark.carried()), Some(mark));
        }
        assert_eq!(Mark::read(&Carried { kind: 'i', value: WHOLE.into() }), None);
    }
}
