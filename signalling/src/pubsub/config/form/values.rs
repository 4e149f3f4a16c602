//! Values of fields, read and written, within their bounds.

use crate::forms::Field;
use crate::pubsub::config::UpTo;
use crate::stanza::error::StanzaError;

/// Bytes of one text.
const TEXT_BYTES_MAX: usize = 4096;
/// Values of one list; every one is compared with the others.
pub(super) const LIST_MAX: usize = 128;
/// Children of one collection.
pub(in crate::pubsub) const CHILDREN_MAX: usize = 1000;

pub(super) fn wrong(field: &Field) -> StanzaError {
    field.unacceptable()
}

pub(super) fn text(value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { vec![value.to_owned()] }
}

pub(super) fn up_to(value: UpTo) -> String {
    match value {
        UpTo::Number(number) => number.to_string(),
        UpTo::Max => "max".to_owned(),
    }
}

pub(super) fn read_text(field: &Field) -> Result<String, StanzaError> {
    field.text(TEXT_BYTES_MAX)
}

/// The values of a list, each once; empty ones count as none.
pub(super) fn read_list<T: PartialEq>(field: &Field, max: usize, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, StanzaError> {
    field.list(max, TEXT_BYTES_MAX, read)
}

/// NodeIDs; an empty one is the root node (XEP-0248 §7.2.1), which all nodes are below that are in no other collection.
pub(super) fn read_names(field: &Field, max: usize) -> Result<Vec<String>, StanzaError> {
    read_list(field, max, |value| Some(value.to_owned()))
}

/// §12.23: a number or `max`; `None` for no value or an empty one.
pub(super) fn read_up_to(field: &Field) -> Result<Option<UpTo>, StanzaError> {
    match field.values.iter().map(|value| value.trim()).collect::<Vec<_>>()[..] {
        [] | [""] => Ok(None),
        ["max"] => Ok(Some(UpTo::Max)),
        [number] => number.parse().map(|number| Some(UpTo::Number(number))).map_err(|_| wrong(field)),
        _ => Err(wrong(field)),
    }
}
