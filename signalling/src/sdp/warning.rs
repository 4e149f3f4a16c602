//! What one side says and the other cannot: nothing vanishes in silence.

use std::fmt;

use smol_str::SmolStr;

pub(in crate::sdp) use crate::jingle::shown::Quoted;

/// Warnings of one conversion; more are only counted.
pub const WARNINGS_MAX: usize = 256;

/// Something that does not come through, or comes through in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub place: Place,
    /// What it is and what becomes of it, for a person.
    pub text: String,
}

/// A place in what was converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of SDP, from 1.
    Line(u32),
    /// In the content of this name.
    Content(SmolStr),
    /// In the session at large.
    Session,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line) => write!(f, "line {line}: {}", self.text),
            Place::Content(name) => write!(f, "content {}: {}", Quoted(name), self.text),
            Place::Session => f.write_str(&self.text),
        }
    }
}

/// Gathers the warnings of one conversion.
#[derive(Debug)]
pub(in crate::sdp) struct Warnings {
    place: Place,
    kept: Vec<Warning>,
    more: usize,
}

impl Default for Warnings {
    fn default() -> Self {
        Self { place: Place::Session, kept: Vec::new(), more: 0 }
    }
}

impl Warnings {
    /// What follows stands in this content.
    pub fn enter(&mut self, content: &SmolStr) {
        self.place = Place::Content(content.clone());
    }

    /// What follows stands in no content.
    pub fn leave(&mut self) {
        self.place = Place::Session;
    }

    /// About a line; 0, as in what was not parsed, is where [`Self::enter`] has led.
    pub fn at(&mut self, line: u32, text: fmt::Arguments<'_>) {
        let place = if line == 0 { self.place.clone() } else { Place::Line(line) };
        self.push(place, text);
    }

    /// About something in the content or session.
    pub fn add(&mut self, text: fmt::Arguments<'_>) {
        self.push(self.place.clone(), text);
    }

    fn push(&mut self, place: Place, text: fmt::Arguments<'_>) {
        if self.kept.len() < WARNINGS_MAX {
            self.kept.push(Warning { place, text: text.to_string() });
        } else {
            self.more += 1;
        }
    }

    /// In the order in which they came; the last one says how many were too many.
    pub fn into_vec(mut self) -> Vec<Warning> {
        if self.more > 0 {
            self.kept.push(Warning { place: Place::Session, text: format!("{} more warnings", self.more) });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_knows_its_place() {
        let mut warnings = Warnings::default();
        warnings.at(7, format_args!("a"));
        warnings.at(0, format_args!("b"));
        warnings.enter(&"voice".into());
        warnings.add(format_args!("c"));
        warnings.at(0, format_args!("d"));
        warnings.leave();
        warnings.add(format_args!("e"));
        let texts: Vec<_> = warnings.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["line 7: a", "b", "content 'voice': c", "content 'voice': d", "e"]);
    }

    #[test]
    fn too_many_are_counted() {
        let mut warnings = Warnings::default();
        for _ in 0..WARNINGS_MAX + 3 {
            warnings.add(format_args!("a"));
        }
        let warnings = warnings.into_vec();
        assert_eq!((warnings.len(), &*warnings[WARNINGS_MAX].text), (WARNINGS_MAX + 1, "3 more warnings"));
    }
}
