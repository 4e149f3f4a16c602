//! A query of an archive as it is read, and its answer: XEP-0313 §4.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::forms::{Field, FieldType, Form, FormType, FormWriter};
use crate::jid::Jid;
use crate::ns;
use crate::rsm::{self, Place};
use crate::stanza::ID_BYTES_MAX;
use crate::stanza::error::StanzaError;
use crate::store::{ArchiveId, Page, Range};
use crate::time;
use crate::xml::{Node, XmlWriter};

/// Results of a query that does not say how many it wants.
const PAGE_DEFAULT: usize = 50;
/// Messages asked for by their ids in one query.
const IDS_MAX: usize = 256;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Given back with each result.
    pub queryid: Option<String>,
    /// §4.3.4.
    pub flip: bool,
    /// Results wanted, bounded.
    pub max: usize,
    place: Place,
    with: Option<Jid>,
    start: Option<SystemTime>,
    end: Option<SystemTime>,
    after_id: Option<String>,
    before_id: Option<String>,
    /// §4.1.3: these only.
    pub ids: Option<Vec<String>>,
}

impl Query {
    /// Reads `<query/>`; results are at most `page_max`.
    ///
    /// # Errors
    /// `bad-request`, `jid-malformed`; `feature-not-implemented` for fields that are not known (§4.1.5) and for pages by number;
    /// `item-not-found` for a node, which accounts do not have.
    pub fn read(element: Node<'_>, page_max: usize) -> Result<Self, StanzaError> {
        if element.attr("node").is_some_and(|node| !node.is_empty()) {
            return Err(StanzaError::item_not_found().with_text("there is no such node"));
        }
        let queryid = element.attr("queryid");
        if queryid.is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(StanzaError::policy_violation().with_text("the queryid is too long"));
        }
        let rsm::Request { max, place } = rsm::Request::of(element)?;
        if let Place::Index(_) = place {
            return Err(StanzaError::feature_not_implemented().with_text("pages lie behind or before a message, not at a number"));
        }
        let mut query = Self {
            queryid: queryid.map(str::to_owned),
            flip: element.child(ns::MAM, "flip-page").is_some(),
            max: max.unwrap_or(PAGE_DEFAULT).min(page_max),
            place,
            ..Self::default()
        };
        if let Some(form) = Form::of(element)? {
            if form.type_ != FormType::Submit || form.form_type() != Some(ns::MAM) {
                return Err(StanzaError::bad_request("a query's form is submitted, and its FORM_TYPE is urn:xmpp:mam:2"));
            }
            for field in &form.fields {
                query.take(field)?;
            }
        }
        Ok(query)
    }

    /// §4.1.
    fn take(&mut self, field: &Field) -> Result<(), StanzaError> {
        match field.var.as_str() {
            "FORM_TYPE" => {}
            "with" => {
                let jid = Jid::parse(field.single()?);
                self.with = Some(jid.map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))?);
            }
            "start" => self.start = Some(datetime(field)?),
            "end" => self.end = Some(datetime(field)?),
            "after-id" => self.after_id = Some(field.single()?.to_owned()),
            "before-id" => self.before_id = Some(field.single()?.to_owned()),
            "ids" if field.values.len() > IDS_MAX => {
                return Err(StanzaError::policy_violation().with_text(format!("at most {IDS_MAX} messages by their ids")));
            }
            "ids" => self.ids = Some(field.values.clone()),
            // §4.1.4: the archives of accounts have no messages of rooms.
            "include-groupchat" => drop(field.boolean()?),
            unknown => {
                return Err(StanzaError::feature_not_implemented().with_text(format!("the field `{unknown}` is not known")));
            }
        }
        Ok(())
    }

    /// Whose messages are wanted.
    pub fn with(&self) -> Option<&Jid> {
        self.with.as_ref()
    }

    /// All messages that the query names: they must be there (§4.1.3, §4.3.2).
    ///
    /// # Errors
    /// `item-not-found` for what cannot be an id.
    pub fn named(&self) -> Result<Vec<ArchiveId>, StanzaError> {
        let place = match &self.place {
            Place::After(id) | Place::Before(id) => Some(id),
            Place::First | Place::Last | Place::Index(_) => None,
        };
        let all = place.into_iter().chain(&self.after_id).chain(&self.before_id).chain(self.ids.iter().flatten());
        all.map(|text| id(text)).collect()
    }

    /// The messages that match the form.
    ///
    /// # Errors
    /// `item-not-found` for what cannot be an id.
    pub fn whole(&self) -> Result<Range, StanzaError> {
        let before_time = |time: SystemTime| ArchiveId::from_i64(ArchiveId::at(time).to_i64().saturating_sub(1));
        // Ids are as fine as milliseconds: §4.1.2 wants messages "equal to or later" and "equal to or earlier".
        let start = self.start.map(|start| before_time(start + Duration::from_nanos(999_999)));
        let end = self.end.map(|end| ArchiveId::at(end + Duration::from_millis(1)));
        let after = self.after_id.as_deref().map(id).transpose()?;
        let before = self.before_id.as_deref().map(id).transpose()?;
        let ids = self.ids.as_ref().map(|ids| ids.iter().map(|text| id(text)).collect()).transpose()?;
        Ok(Range { with: self.with.clone(), after: start.into_iter().chain(after).max(), before: end.into_iter().chain(before).min(), ids })
    }

    /// The messages from which the page is taken, and whether from their end.
    ///
    /// # Errors
    /// `item-not-found` for what cannot be an id.
    pub fn range(&self) -> Result<(Range, bool), StanzaError> {
        let mut range = self.whole()?;
        let backwards = match &self.place {
            Place::First | Place::Index(_) => false,
            Place::After(text) => {
                range.after = range.after.into_iter().chain([id(text)?]).max();
                false
            }
            Place::Before(text) => {
                range.before = range.before.into_iter().chain([id(text)?]).min();
                true
            }
            Place::Last => true,
        };
        Ok((range, backwards))
    }

    /// How many messages match, if the page shows it: it is all there is.
    pub fn count_of(&self, page: &Page) -> Option<usize> {
        (page.complete && matches!(self.place, Place::First | Place::Last)).then_some(page.messages.len())
    }

    /// §4: `<fin/>`.
    pub fn fin(&self, page: &Page, count: Option<usize>) -> Bytes {
        let complete = if self.max == 0 { count == Some(0) } else { page.complete };
        let at_start = matches!(self.place, Place::First) || self.count_of(page).is_some();
        let mut xml = XmlWriter::new();
        xml.open("fin").ns(ns::MAM).attr_opt("complete", complete.then_some("true"));
        let ends = page.messages.first().zip(page.messages.last());
        let ends = ends.map(|(first, last)| (first.id.to_string(), last.id.to_string()));
        rsm::Answer { index: ends.as_ref().filter(|_| at_start).map(|_| 0), ends, count }.write(&mut xml);
        xml.close();
        xml.finish()
    }
}

fn datetime(field: &Field) -> Result<SystemTime, StanzaError> {
    let time = time::parse_xep0082(field.single()?);
    time.ok_or_else(|| StanzaError::bad_request(format!("the field `{}` is a DateTime as XEP-0082 has it", field.var)))
}

fn id(text: &str) -> Result<ArchiveId, StanzaError> {
    ArchiveId::parse(text).ok_or_else(|| StanzaError::item_not_found().with_text("the archive has no such message"))
}

/// §4.1.5: the fields of queries.
pub fn form() -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::MAM);
    let mut form = FormWriter::open(&mut xml, FormType::Form, ns::MAM);
    form.field("with", FieldType::JidSingle, &[]);
    for var in ["start", "end", "before-id", "after-id"] {
        form.field(var, FieldType::TextSingle, &[]);
    }
    form.open_list("ids").field("include-groupchat", FieldType::Boolean, &[]);
    form.close();
    xml.close();
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Condition;
    use crate::xml::{Bindings, Element};

    fn read(content: &str) -> Result<Query, StanzaError> {
        let xml = format!("<query xmlns='urn:xmpp:mam:2' queryid='q'>{content}</query>");
        Query::read(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root(), 100)
    }

    fn form_of(fields: &[(&str, &str)]) -> String {
        let mut form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>".to_owned();
        for (var, value) in fields {
            form.push_str(&format!("<field var='{var}'><value>{value}</value></field>"));
        }
        form + "</x>"
    }

    fn at(millis: u64) -> ArchiveId {
        ArchiveId::at(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
    }

    #[test]
    fn s4_1_forms_that_are_refused() {
        for (content, condition) in [
            (form_of(&[("free-text", "x")]), Condition::FeatureNotImplemented),
            (form_of(&[("with", "@")]), Condition::JidMalformed),
            (form_of(&[("with", "")]), Condition::JidMalformed),
            (form_of(&[("start", "yesterday")]), Condition::BadRequest),
            (form_of(&[("end", "")]), Condition::BadRequest),
            (form_of(&[("include-groupchat", "perhaps")]), Condition::BadRequest),
            ("<x xmlns='jabber:x:data' type='form'/>".to_owned(), Condition::BadRequest),
            ("<x xmlns='jabber:x:data' type='submit'/>".to_owned(), Condition::BadRequest),
            ("<set xmlns='http://jabber.org/protocol/rsm'><index>3</index></set>".to_owned(), Condition::FeatureNotImplemented),
            ("<set xmlns='http://jabber.org/protocol/rsm'><max>many</max></set>".to_owned(), Condition::BadRequest),
        ] {
            assert_eq!(read(&content).unwrap_err().condition, condition, "{content}");
        }
        for field in ["before-id", "after-id", "ids"] {
            let query = read(&form_of(&[(field, "abc")])).unwrap();
            assert_eq!(query.named().unwrap_err().condition, Condition::ItemNotFound, "§4.1.3: {field}");
        }
    }

    #[test]
    fn s4_1_2_both_ends_of_a_time_belong_to_it() {
        let query = read(&form_of(&[("start", "1970-01-01T00:00:00.005Z"), ("end", "1970-01-01T00:00:00.007Z")])).unwrap().whole().unwrap();
        let matches = |id: ArchiveId| query.after.is_none_or(|after| id > after) && query.before.is_none_or(|before| id < before);
        for (millis, expected) in [(4, false), (5, true), (7, true), (8, false)] {
            assert_eq!(matches(at(millis)), expected, "{millis}");
        }
        assert!(matches(ArchiveId::after(Some(at(7)), SystemTime::UNIX_EPOCH, 99)), "any message of that millisecond");
        let finer = read(&form_of(&[("start", "1970-01-01T00:00:00.0051Z")])).unwrap().whole().unwrap();
        assert!(finer.after.is_some_and(|after| after >= at(5) && after < at(6)));
    }

    #[test]
    fn s4_3_2_pages_narrow_what_the_form_has_chosen() {
        let (five, nine) = (at(5).to_string(), at(9).to_string());
        let form = form_of(&[("after-id", &five), ("before-id", &nine), ("with", "A@X/r")]);
        let page = |rsm: &str| read(&format!("{form}<set xmlns='http://jabber.org/protocol/rsm'>{rsm}</set>")).unwrap();
        let (range, backwards) = page("").range().unwrap();
        assert_eq!((range.after, range.before, backwards), (Some(at(5)), Some(at(9)), false));
        assert_eq!(range.with.unwrap(), "a@x/r");
        let (range, backwards) = page(&format!("<after>{}</after>", at(7))).range().unwrap();
        assert_eq!((range.after, range.before, backwards), (Some(at(7)), Some(at(9)), false));
        let (range, backwards) = page(&format!("<before>{}</before>", at(10))).range().unwrap();
        assert_eq!((range.after, range.before, backwards), (Some(at(5)), Some(at(9)), true));
        assert!(page("<before/>").range().unwrap().1);
        assert_eq!(page("<max>1000</max>").max, 100);
        assert_eq!(page("").max, PAGE_DEFAULT);
        assert_eq!(page(&format!("<after>{}</after>", at(7))).named().unwrap(), [at(7), at(5), at(9)]);
    }

    #[test]
    fn s4_1_5_the_form_has_the_mandatory_fields_and_requires_none() {
        let form = String::from_utf8(form().to_vec()).unwrap();
        for var in ["with", "start", "end", "before-id", "after-id", "ids", "include-groupchat"] {
            assert!(form.contains(&format!("var='{var}'")), "{form}");
        }
        assert!(!form.contains("required") && form.contains("<open/>"), "{form}");
    }
}
