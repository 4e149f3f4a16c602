//! Pages of a list that is in memory.

use super::{Answer, Place, Request};
use crate::stanza::error::StanzaError;

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    pub entries: &'a [T],
    /// There if a page was asked for, or if it is not all.
    pub answer: Option<Answer>,
}

/// The page that was asked for, of `max` entries at most; `key` names an entry.
///
/// # Errors
/// `item-not-found` for a place that is not in the list (§2.5).
pub(crate) fn page<'a, T>(all: &'a [T], key: impl Fn(&'a T) -> &'a str, request: &Request, max: usize) -> Result<Page<'a, T>, StanzaError> {
    let max = request.max.unwrap_or(max).min(max);
    let position = |id: &str| all.iter().position(|entry| key(entry) == id).ok_or_else(StanzaError::item_not_found);
    let (start, end) = match &request.place {
        Place::First => (0, all.len()),
        Place::After(id) => (position(id)? + 1, all.len()),
        Place::Index(index) if *index <= all.len() => (*index, all.len()),
        Place::Index(_) => return Err(StanzaError::item_not_found()),
        Place::Before(id) => {
            let end = position(id)?;
            (end.saturating_sub(max), end)
        }
        Place::Last => (all.len().saturating_sub(max), all.len()),
    };
    let entries = &all[start..end.min(start + max)];
    let whole = entries.len() == all.len() && *request == Request::default();
    let ends = entries.first().zip(entries.last()).map(|(first, last)| (key(first).to_owned(), key(last).to_owned()));
    let answer = Answer { index: ends.as_ref().map(|_| start), ends, count: Some(all.len()) };
    Ok(Page { entries, answer: Some(answer).filter(|_| !whole) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_list() {
        let all: Vec<_> = (0..1200).map(|n| n.to_string()).collect();
        for (max, place, expected) in [
            (None, Place::First, Some(0..500)),
            (Some(2), Place::First, Some(0..2)),
            (Some(2), Place::After("1".to_owned()), Some(2..4)),
            (Some(2), Place::Before("1".to_owned()), Some(0..1)),
            (Some(2), Place::Before("5".to_owned()), Some(3..5)),
            (Some(2), Place::Last, Some(1198..1200)),
            (Some(0), Place::First, Some(0..0)),
            (None, Place::Index(1100), Some(1100..1200)),
            (None, Place::Index(1200), Some(1200..1200)),
            (None, Place::Index(1201), None),
            (None, Place::After("x".to_owned()), None),
        ] {
            let request = Request { max, place };
            let found = page(&all, String::as_str, &request, 500).ok();
            assert_eq!(found.as_ref().map(|page| page.entries), expected.clone().map(|range| &all[range]), "{request:?}");
            assert_eq!(found.and_then(|page| page.answer).and_then(|answer| answer.count), expected.map(|_| 1200));
        }
        assert_eq!(page(&all[..3], String::as_str, &Request::default(), 500).unwrap().answer, None);
    }
}
