//! What is wrong with a configuration, and where it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Whether the server can run with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server does not start.
    Error,
    /// It runs, but hardly as meant.
    Warning,
}

/// Where a value comes from. In order: the file from top to bottom, the variables by name, the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A place in the file; line and column count from 1, columns in characters.
    File {
        /// The configuration file.
        file: PathBuf,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// An environment variable.
    Variable(String),
    /// Nobody set it.
    Default,
}

/// One thing that is wrong, as one line: `campanile.toml:12:10: c2s.listen: what, and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub origin: Origin,
    /// The key with its section, `c2s.listen`; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { file, line, column } => write!(f, "{}:{line}:{column}: ", file.display())?,
            Origin::Variable(name) => write!(f, "{name}: ")?,
            Origin::Default => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        // one line, whatever was quoted from the file
        for c in self.message.trim_end().chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// Why a configuration cannot be used: at least one error, perhaps more, one per line, in the order of their places.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(crate) fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Where each key that was set comes from, so that later checks can name the place.
#[derive(Clone, Debug, Default)]
pub struct Origins(pub(crate) BTreeMap<String, Origin>);

impl Origins {
    /// The origin of `key` (`turn.ports`), or of the nearest table around it that was written.
    #[must_use]
    pub fn of(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.0.get(key) {
                return origin.clone();
            }
            // a section that merely exists says nothing about its unwritten keys
            match key.rsplit_once('.') {
                Some((outer, _)) if outer.contains('.') => key = outer,
                _ => return Origin::Default,
            }
        }
    }

    /// Whether somebody set `key`.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.of(key) != Origin::Default
    }

    /// A problem with the value of `key`.
    #[must_use]
    pub fn problem(&self, severity: Severity, key: &str, message: impl Into<String>) -> Problem {
        Problem { severity, origin: self.of(key), key: key.to_owned(), message: message.into() }
    }
}

/// A key as it is written in TOML: `tls.hosts."example.org"`.
#[must_use]
pub fn key_path(parts: &[&str]) -> String {
    let mut path = String::new();
    for part in parts {
        if !path.is_empty() {
            path.push('.');
        }
        if !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            path.push_str(part);
        } else {
            path.push_str(&format!("{part:?}"));
        }
    }
    path
}

/// The place of byte `span.start` in `text`.
pub(crate) fn place(file: &Path, text: &str, span: &Range<usize>) -> Origin {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Origin::File { file: file.to_owned(), line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nü = \"ö\" # x\nz";
        for (offset, line, column) in [(0, 1, 1), (4, 1, 5), (6, 2, 1), (8, 2, 2), (text.len() - 1, 3, 1), (999, 3, 2)] {
            let expected = Origin::File { file: PathBuf::from("f"), line, column };
            assert_eq!(place(Path::new("f"), text, &(offset..offset)), expected, "{offset}");
        }
    }

    #[test]
    fn a_problem_is_one_line_with_place_and_key() {
        let origin = Origin::File { file: PathBuf::from("campanile.toml"), line: 3, column: 10 };
        let problem = Problem { severity: Severity::Error, origin, key: "c2s.listen".to_owned(), message: "bad\nvalue\n".to_owned() };
        assert_eq!(problem.to_string(), "campanile.toml:3:10: c2s.listen: bad\\nvalue");
    }

    #[test]
    fn unwritten_keys_of_a_written_section_are_defaults() {
        let mut origins = Origins::default();
        origins.0.insert("turn".to_owned(), Origin::Variable("section".to_owned()));
        origins.0.insert("tls.hosts.a".to_owned(), Origin::Variable("host".to_owned()));
        assert_eq!(origins.of("turn.udp"), Origin::Default);
        assert_eq!(origins.of("tls.hosts.a.key"), Origin::Variable("host".to_owned()));
    }
}
