//! What one side says and the other cannot: nothing vanishes in silence.

use std::fmt;

use smol_str::SmolStr;

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
            Place::Content(name) => write!(f, "content '{name}': {}", self.text),
            Place::Session => f.write_str(&self.text),
        }
    }
}
