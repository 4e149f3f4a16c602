//! The stanzas by which a party says what has changed in its description: XEP-0166 §7.2.

use super::description::Description;
use super::warning::Warning;
use crate::jingle::content::Jingle;

/// The stanzas, in the order in which they are to be sent: applied one after the other to `previous` they give `next`.
#[must_use]
pub fn diff(previous: &Description, next: &Description) -> (Vec<Jingle>, Vec<Warning>) {
    let _ = (previous, next);
    todo!()
}
