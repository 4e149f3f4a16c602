//! How a `<jingle/>` is read: as far as a table of calls needs it, or whole; and what was amiss.
//!
//! Reading goes on behind what cannot be read. Who only watches passes over it, who converts says it to a person.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::content::{NAME_BYTES_MAX, Party};
use super::shown::{Quoted, Shown};
use crate::ns;
use crate::xml::Node;

/// Problems that are kept; more are only counted.
pub const PROBLEMS_MAX: usize = 64;
/// Longest value that is read whole, in bytes: of a parameter, a key, a carried line. A longer one is malformed; so is a name of more than
/// [`NAME_BYTES_MAX`] bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Accompanies one reading.
#[derive(Debug, Default)]
pub struct Reading {
    whole: bool,
    content: Option<SmolStr>,
    party: Option<Party>,
    problems: Vec<Problem>,
    more: usize,
}

/// Something that does not come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The specification forbids it; otherwise it is only unknown here.
    pub malformed: bool,
    /// The name of the content it stands in.
    pub content: Option<SmolStr>,
    /// Which element, and what was expected.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Some(content) => write!(f, "content {}: {}", Quoted(content), self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Reading {
    /// For a table of calls: what only the parties need is left out, and nobody asks for problems.
    #[must_use]
    pub fn outline() -> Self {
        Self::default()
    }

    /// Everything.
    #[must_use]
    pub fn whole() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Whether everything is wanted.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What follows stands in this content.
    pub fn enter(&mut self, content: &str) {
        if self.whole {
            self.content = Some(content.into());
        }
    }

    /// What follows stands in no content.
    pub fn leave(&mut self) {
        self.content = None;
    }

    /// What follows is said by this party, as far as the action tells.
    pub(super) fn spoken_by(&mut self, party: Option<Party>) {
        self.party = party;
    }

    /// Who says what is being read.
    pub(super) fn speaker(&self) -> Option<Party> {
        self.party
    }

    /// An element that cannot be read: `why` says what is there and what was expected, as in "id='x', expected a number from 0 to 127".
    pub fn malformed(&mut self, node: Node<'_>, why: &dyn fmt::Display) {
        self.note(true, || format!("<{}/>: {why}", Shown(node.name())));
    }

    /// An element or attribute that is unknown here; each is said once for a content.
    pub fn unknown(&mut self, what: &dyn fmt::Display) {
        self.note_once(false, || what.to_string());
    }

    /// An unknown attribute of a known element.
    pub(super) fn unknown_attribute(&mut self, node: Node<'_>, namespace: &str, name: &str) {
        // xml:lang and the like say nothing that could be lost.
        if self.whole && namespace != ns::XML {
            let place = if namespace.is_empty() { String::new() } else { format!(" of the namespace {}", Quoted(namespace)) };
            self.unknown(&format_args!("attribute {}{place} in <{}/>", Shown(name), Shown(node.name())));
        }
    }

    /// An unknown child of a known element.
    pub(super) fn unknown_child(&mut self, child: Node<'_>, parent: Node<'_>) {
        self.unknown(&format_args!("<{} xmlns={}/> in <{}/>", Shown(child.name()), Quoted(child.ns()), Shown(parent.name())));
    }

    /// Whether a list of this many takes one more; that there are too many is said once.
    pub(super) fn has_room(&mut self, node: Node<'_>, len: usize, max: usize) -> bool {
        if len < max {
            return true;
        }
        self.note_once(true, || format!("<{}/>: more than {max} of them, expected {max} at most", Shown(node.name())));
        false
    }

    /// The value of an attribute that is a name or another short word. An outline takes what fits.
    pub(super) fn word(&mut self, node: Node<'_>, attribute: &str, value: &str) -> Option<SmolStr> {
        self.short(node, attribute, value).map(SmolStr::new)
    }

    /// The same, not copied yet.
    pub(super) fn short<'v>(&mut self, node: Node<'_>, attribute: &str, value: &'v str) -> Option<&'v str> {
        if !self.whole {
            return Some(super::cut(value, NAME_BYTES_MAX));
        }
        self.text(node, attribute, value, NAME_BYTES_MAX)
    }

    /// The value of an attribute, whatever it is.
    pub(super) fn value(&mut self, node: Node<'_>, attribute: &str, value: &str) -> Option<SmolStr> {
        self.long(node, attribute, value).map(SmolStr::new)
    }

    /// The same, not copied yet.
    pub(super) fn long<'v>(&mut self, node: Node<'_>, attribute: &str, value: &'v str) -> Option<&'v str> {
        self.text(node, attribute, value, VALUE_BYTES_MAX)
    }

    fn text<'v>(&mut self, node: Node<'_>, attribute: &str, value: &'v str, bytes_max: usize) -> Option<&'v str> {
        if value.len() > bytes_max {
            self.malformed(node, &format_args!("{attribute} of {} bytes, expected {bytes_max} at most", value.len()));
            return None;
        }
        Some(value)
    }

    /// The value of an attribute that is a number.
    pub(super) fn number<N: Number>(&mut self, node: Node<'_>, attribute: &str, value: &str) -> Option<N> {
        self.number_within(node, attribute, value, 0, N::MAX)
    }

    /// The same within narrower bounds.
    pub(super) fn number_within<N: Number>(&mut self, node: Node<'_>, attribute: &str, value: &str, min: u64, max: u64) -> Option<N> {
        let number = value.parse::<N>().or_else(|_| value.trim().parse()).ok().filter(|number| (min..=max).contains(&(*number).into()));
        if number.is_none() {
            self.malformed(node, &format_args!("{attribute}={}, expected a number from {min} to {max}", Quoted(value)));
        }
        number
    }

    /// What must be there, if it is.
    pub(super) fn required<T>(&mut self, node: Node<'_>, attribute: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.malformed(node, &format_args!("no {attribute}, expected one"));
        }
        value
    }

    /// An attribute whose value is none of those that the specification has.
    pub(super) fn unexpected(&mut self, node: Node<'_>, attribute: &str, value: &str, expected: &str) {
        self.malformed(node, &format_args!("{attribute}={}, expected {expected}", Quoted(value)));
    }

    /// A text that is none of those that the specification has.
    pub(super) fn unexpected_text(&mut self, node: Node<'_>, text: &str, expected: &str) {
        self.malformed(node, &format_args!("text {}, expected {expected}", Quoted(text)));
    }

    fn note(&mut self, malformed: bool, text: impl FnOnce() -> String) {
        if !self.whole {
            return;
        }
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { malformed, content: self.content.clone(), text: text() });
        } else {
            self.more += 1;
        }
    }

    fn note_once(&mut self, malformed: bool, text: impl FnOnce() -> String) {
        if !self.whole {
            return;
        }
        if self.problems.len() == PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let text = text();
        if !self.problems.iter().any(|problem| problem.text == text && problem.content == self.content) {
            self.problems.push(Problem { malformed, content: self.content.clone(), text });
        }
    }

    /// What was amiss, in the order of the element, and how many more.
    #[must_use]
    pub fn into_problems(self) -> (Vec<Problem>, usize) {
        (self.problems, self.more)
    }
}

/// A kind of number that attributes have.
pub(super) trait Number: FromStr + Into<u64> + Copy {
    /// The greatest.
    const MAX: u64;
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Number for $type {
            #[allow(clippy::cast_lossless, reason = "`From` is not const")]
            const MAX: u64 = <$type>::MAX as u64;
        })*
    };
}
numbers!(u8, u16, u32, u64);
