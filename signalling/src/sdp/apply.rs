//! What a party's description is after a stanza: XEP-0166 §7.2 and RFC 3264 §8.

use super::description::Description;
use super::map::MapError;
use super::warning::Warning;
use crate::jingle::content::{Jingle, Party};

impl Description {
    /// The description after this stanza of either party. Its version grows if anything has changed.
    ///
    /// # Errors
    /// The stanza does not fit: it names an unknown content, or answers what was not asked.
    pub fn apply(&self, from: Party, stanza: &Jingle) -> Result<(Self, Vec<Warning>), MapError> {
        let _ = (from, stanza);
        todo!()
    }
}
