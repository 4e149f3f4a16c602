//! How a `<jingle/>` is read: as far as a table of calls needs it, or whole; and what was amiss.
//!
//! Reading goes on behind what cannot be read. Who only watches passes over it, who converts says it to a person.

use std::fmt;

use smol_str::SmolStr;

use crate::xml::Node;

/// Problems that are kept; more are only counted.
pub const PROBLEMS_MAX: usize = 64;

/// Accompanies one reading.
#[derive(Debug, Default)]
pub struct Reading {
    whole: bool,
    content: Option<SmolStr>,
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
            Some(content) => write!(f, "content '{content}': {}", self.text),
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

    /// An element that cannot be read: `expected` says why, as in "no id from 0 to 127".
    pub fn malformed(&mut self, node: Node<'_>, expected: &dyn fmt::Display) {
        self.note(true, || format!("<{}/>: {expected}", node.name()));
    }

    /// An element or attribute that is unknown here.
    pub fn unknown(&mut self, what: &dyn fmt::Display) {
        self.note(false, || what.to_string());
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

    /// What was amiss, in the order of the element, and how many more.
    #[must_use]
    pub fn into_problems(self) -> (Vec<Problem>, usize) {
        (self.problems, self.more)
    }
}
