//! Values of fields within their bounds, and forms that a database keeps.

use super::{Field, Form};
use crate::stanza::error::StanzaError;
use crate::xml::{Bindings, Element};

/// Why a stored form cannot be read: the database has been changed from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored form cannot be read: {0}")]
pub struct StoredError(pub String);

impl Form {
    /// Reads a form that was written by a [`FormWriter`](super::FormWriter) and kept as text.
    ///
    /// # Errors
    /// It is no such form.
    pub fn from_stored(stored: &str) -> Result<Self, StoredError> {
        let element = Element::parse(stored.as_bytes(), &Bindings::empty()).map_err(|error| StoredError(error.to_string()))?;
        Self::read(element.root()).map_err(|error| StoredError(error.to_string()))
    }
}

impl Field {
    /// `not-acceptable`: this field cannot have that value.
    #[must_use]
    pub fn unacceptable(&self) -> StanzaError {
        StanzaError::not_acceptable().with_text(format!("`{}` cannot have that value", self.var))
    }

    /// One text or none, of at most so many bytes.
    ///
    /// # Errors
    /// `not-acceptable` for several and for longer ones.
    pub fn text(&self, bytes_max: usize) -> Result<String, StanzaError> {
        match &self.values[..] {
            [] => Ok(String::new()),
            [text] if text.len() <= bytes_max => Ok(text.clone()),
            _ => Err(self.unacceptable()),
        }
    }

    /// The values of a list, each once; empty ones count as none.
    ///
    /// # Errors
    /// `not-acceptable` for a value that is too long or that `read` does not take, and for too many.
    pub fn list<T: PartialEq>(&self, max: usize, bytes_max: usize, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, StanzaError> {
        let mut list = Vec::new();
        for value in self.values.iter().filter(|value| !value.is_empty()) {
            let value = Some(value).filter(|value| value.len() <= bytes_max).and_then(|value| read(value));
            let value = value.ok_or_else(|| self.unacceptable())?;
            if list.contains(&value) {
                continue;
            }
            if list.len() == max {
                return Err(self.unacceptable());
            }
            list.push(value);
        }
        Ok(list)
    }
}
