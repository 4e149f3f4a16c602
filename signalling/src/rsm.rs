//! XEP-0059: Result Set Management, version 1.0: which page of a list is wanted, and which one is given.

mod page;

use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

pub(crate) use page::page;

/// Which page is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// §2.1: at most so many; 0 asks for the count alone (§2.7).
    pub max: Option<usize>,
    /// Where the page lies.
    pub place: Place,
}

/// Where a page lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// §2.1: at the beginning.
    #[default]
    First,
    /// §2.2: behind the item of this id.
    After(String),
    /// §2.3: before the item of this id.
    Before(String),
    /// §2.5: at the end.
    Last,
    /// §2.6: from the item with this number on.
    Index(usize),
}

impl Request {
    /// The request that an element contains; without one, the first page is wanted.
    ///
    /// # Errors
    /// `bad-request` for numbers that are none, and for two places at once, of which the specification says nothing.
    pub fn of(parent: Node<'_>) -> Result<Self, StanzaError> {
        let Some(set) = parent.child(ns::RSM, "set") else { return Ok(Self::default()) };
        let text = |name| set.child(ns::RSM, name).map(|node| node.text().into_owned());
        let number = |name| text(name).map(|text| text.trim().parse::<usize>().map_err(|_| not_a_number(name))).transpose();
        let place = match (text("after"), text("before"), number("index")?) {
            (None, None, None) => Place::First,
            // An empty `after` is behind nothing.
            (Some(id), None, None) if id.is_empty() => Place::First,
            (Some(id), None, None) => Place::After(id),
            (None, Some(id), None) if id.is_empty() => Place::Last,
            (None, Some(id), None) => Place::Before(id),
            (None, None, Some(index)) => Place::Index(index),
            _ => return Err(StanzaError::bad_request("a page lies behind one item, before one, or at one number")),
        };
        Ok(Self { max: number("max")?, place })
    }
}

fn not_a_number(name: &str) -> StanzaError {
    StanzaError::bad_request(format!("<{name}/> of a result set is a number"))
}

/// Which page is given: §2.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Ids of the first and the last item, if there are any.
    pub ends: Option<(String, String)>,
    /// The number of the first item in the whole list, where it is known.
    pub index: Option<usize>,
    /// How many items the whole list has, where it is known.
    pub count: Option<usize>,
}

impl Answer {
    /// Writes `<set/>`.
    pub fn write(&self, xml: &mut XmlWriter) {
        xml.open("set").ns(ns::RSM);
        if let Some((first, last)) = &self.ends {
            xml.open("first").attr_opt("index", self.index.map(|index| index.to_string()).as_deref()).text(first).close();
            xml.open("last").text(last).close();
        }
        if let Some(count) = self.count {
            xml.open("count").text(&count.to_string()).close();
        }
        xml.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Bindings, Element};

    fn read(set: &str) -> Result<Request, StanzaError> {
        let xml = format!("<query xmlns='urn:x'>{set}</query>");
        Request::of(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root())
    }

    #[test]
    fn s2_requests() {
        let check = |content: &str, expected: Option<(Option<usize>, Place)>| {
            let found = read(&format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>")).ok();
            assert_eq!(found, expected.map(|(max, place)| Request { max, place }), "{content}");
        };
        check("", Some((None, Place::First)));
        check("<max>10</max>", Some((Some(10), Place::First)));
        check("<max>0</max>", Some((Some(0), Place::First)));
        check("<max> 5\n</max><after>a&amp;b</after>", Some((Some(5), Place::After("a&b".to_owned()))));
        check("<before>x</before>", Some((None, Place::Before("x".to_owned()))));
        check("<before/><max>3</max>", Some((Some(3), Place::Last)));
        check("<after/>", Some((None, Place::First)));
        check("<index>371</index>", Some((None, Place::Index(371))));
        for bad in ["<max/>", "<max>-1</max>", "<max>x</max>", "<index>y</index>", "<before/><after>x</after>", "<index>1</index><before/>"]
        {
            check(bad, None);
        }
        assert_eq!(read(""), Ok(Request::default()));
    }

    #[test]
    fn s2_2_answers() {
        let check = |answer: Answer, expected: &str| {
            let mut xml = XmlWriter::new();
            answer.write(&mut xml);
            assert_eq!(xml.finish(), expected);
        };
        check(Answer::default(), "<set xmlns='http://jabber.org/protocol/rsm'/>");
        check(Answer { count: Some(800), ..Answer::default() }, "<set xmlns='http://jabber.org/protocol/rsm'><count>800</count></set>");
        check(
            Answer { ends: Some(("a".to_owned(), "<b".to_owned())), index: Some(10), count: None },
            "<set xmlns='http://jabber.org/protocol/rsm'><first index='10'>a</first><last>&lt;b</last></set>",
        );
    }
}
