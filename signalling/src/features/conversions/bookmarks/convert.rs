//! Bookmarks as values, read from and written to both formats: an item each (XEP-0402 §2), and all in one element (XEP-0048 §2). Pure.

use std::collections::HashMap;

use bytes::Bytes;

use crate::jid::Jid;
use crate::ns;
use crate::xml::{Bindings, Element, Node, XmlWriter};

/// The bookmark of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The room.
    pub jid: Jid,
    /// The item's id, which is the room's address as its client has written it.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// The room is joined at log-in.
    pub autojoin: bool,
    /// The nickname there.
    pub nick: Option<String>,
    /// To be let in.
    pub password: Option<String>,
    /// What clients have added, each element whole.
    pub extensions: Vec<Bytes>,
}

/// All bookmarks in one element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// Rooms, each once.
    pub bookmarks: Vec<Bookmark>,
    /// What else is there, such as bookmarks of web pages, each element whole: it stays.
    pub rest: Vec<Bytes>,
}

/// What is to be done so that items mean what a storage element says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// New ones, and those that are others now.
    pub publish: Vec<Bookmark>,
    /// Ids of those that are gone.
    pub retract: Vec<String>,
}

impl Bookmark {
    /// Reads an item of XEP-0402; `None` for what is none of its bookmarks.
    #[must_use]
    pub fn of_item(id: &str, payload: &[u8]) -> Option<Self> {
        let element = Element::parse(payload, &Bindings::empty()).ok()?;
        let conference = element.root();
        if !conference.is(ns::BOOKMARKS, "conference") {
            return None;
        }
        let extensions = conference.child(ns::BOOKMARKS, "extensions");
        let extensions = extensions.map(|extensions| extensions.children().map(|child| child.to_bytes()).collect());
        Some(Self { extensions: extensions.unwrap_or_default(), ..Self::read(conference, ns::BOOKMARKS, Jid::parse(id).ok()?, id) })
    }

    /// Writes the payload of an item of XEP-0402.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("conference").ns(ns::BOOKMARKS);
        self.write(&mut xml);
        xml.finish()
    }

    /// Reads a child of the storage element. What a client has put there besides, which XEP-0402 has a place for, becomes extensions.
    fn of_storage(conference: Node<'_>) -> Option<Self> {
        let jid = Jid::parse(conference.attr("jid")?).ok()?;
        let mut extensions = Vec::new();
        for child in conference.children() {
            if child.is(ns::BOOKMARK_STORAGE, "extensions") {
                extensions.extend(child.children().map(|extension| extension.to_bytes()));
            } else if child.ns() != ns::BOOKMARK_STORAGE {
                extensions.push(child.to_bytes());
            }
        }
        let id = jid.as_str().to_owned();
        Some(Self { extensions, ..Self::read(conference, ns::BOOKMARK_STORAGE, jid, &id) })
    }

    /// What both formats have in common.
    fn read(conference: Node<'_>, namespace: &str, jid: Jid, id: &str) -> Self {
        let text = |name| conference.child(namespace, name).map(|child| child.text().into_owned()).filter(|text| !text.is_empty());
        Self {
            jid,
            id: id.to_owned(),
            name: conference.attr("name").filter(|name| !name.is_empty()).map(str::to_owned),
            autojoin: matches!(conference.attr("autojoin").map(str::trim), Some("true" | "1")),
            nick: text("nick"),
            password: text("password"),
            extensions: Vec::new(),
        }
    }

    /// The rest of an element `<conference/>` whose start tag is open.
    fn write(&self, xml: &mut XmlWriter) {
        xml.attr_opt("name", self.name.as_deref()).attr_opt("autojoin", self.autojoin.then_some("true"));
        for (name, text) in [("nick", &self.nick), ("password", &self.password)] {
            if let Some(text) = text {
                xml.open(name).text(text).close();
            }
        }
        if !self.extensions.is_empty() {
            xml.open("extensions");
            self.extensions.iter().for_each(|extension| {
                xml.raw(extension);
            });
            xml.close();
        }
        xml.close();
    }
}

impl Storage {
    /// Reads the element of XEP-0048; `None` for another one. Of several bookmarks of one room the last counts.
    #[must_use]
    pub fn read(storage: &[u8]) -> Option<Self> {
        let element = Element::parse(storage, &Bindings::empty()).ok()?;
        if !element.root().is(ns::BOOKMARK_STORAGE, "storage") {
            return None;
        }
        let mut read = Self::default();
        let mut places = HashMap::new();
        for child in element.root().children() {
            let bookmark = if child.is(ns::BOOKMARK_STORAGE, "conference") { Bookmark::of_storage(child) } else { None };
            let Some(bookmark) = bookmark else {
                read.rest.push(child.to_bytes());
                continue;
            };
            match places.get(&bookmark.jid) {
                Some(place) => read.bookmarks[*place] = bookmark,
                None => {
                    places.insert(bookmark.jid.clone(), read.bookmarks.len());
                    read.bookmarks.push(bookmark);
                }
            }
        }
        Some(read)
    }

    /// Writes the element of XEP-0048 (XEP-0402 §5.3.1).
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("storage").ns(ns::BOOKMARK_STORAGE);
        for bookmark in &self.bookmarks {
            xml.open("conference").attr("jid", bookmark.jid.as_str());
            bookmark.write(&mut xml);
        }
        for other in &self.rest {
            xml.raw(other);
        }
        xml.finish()
    }

    /// Whether another one means the same: in any order, and however it is written.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        let others = by_room(&other.bookmarks);
        let has = |one: &Bookmark| others.get(&one.jid).is_some_and(|known| Bookmark { id: one.id.clone(), ..(*known).clone() } == *one);
        self.rest == other.rest && self.bookmarks.len() == other.bookmarks.len() && self.bookmarks.iter().all(has)
    }

    /// XEP-0402 §5.3.2: what has to be done to items so that they mean this. What is unchanged is not touched; extensions that a client of the old
    /// format does not know stay.
    #[must_use]
    pub fn difference(&self, items: &[Bookmark]) -> Difference {
        let mut difference = Difference::default();
        let (known, mine) = (by_room(items), by_room(&self.bookmarks));
        for wanted in &self.bookmarks {
            let Some(item) = known.get(&wanted.jid) else {
                difference.publish.push(wanted.clone());
                continue;
            };
            let mut wanted = Bookmark { id: item.id.clone(), ..wanted.clone() };
            if wanted.extensions.is_empty() {
                wanted.extensions.clone_from(&item.extensions);
            }
            if wanted != **item {
                difference.publish.push(wanted);
            }
        }
        let gone = items.iter().filter(|item| !mine.contains_key(&item.jid));
        difference.retract.extend(gone.map(|item| item.id.clone()));
        difference
    }
}

/// They may be thousands.
fn by_room(bookmarks: &[Bookmark]) -> HashMap<&Jid, &Bookmark> {
    bookmarks.iter().map(|bookmark| (&bookmark.jid, bookmark)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORAGE: &str = "<storage xmlns='storage:bookmarks'>\
        <conference jid='theplay@conference.shakespeare.lit' name='The Play&apos;s the Thing' autojoin='true'><nick>JC</nick></conference>\
        <conference jid='orchard@conference.shakespeare.lit'><password>x</password><extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions></conference>\
        <url xmlns='storage:bookmarks' name='Complete Works' url='http://the-tech.mit.edu/Shakespeare/'/></storage>";

    fn bookmark(id: &str, name: Option<&str>) -> Bookmark {
        Bookmark {
            jid: Jid::parse(id).unwrap(),
            id: id.to_owned(),
            name: name.map(str::to_owned),
            autojoin: false,
            nick: None,
            password: None,
            extensions: Vec::new(),
        }
    }

    fn storage(bookmarks: Vec<Bookmark>) -> Storage {
        Storage { bookmarks, rest: Vec::new() }
    }

    #[test]
    fn xep0402_s2_items() {
        let check = |payload: &str, expected: Option<&str>| {
            let bookmark = Bookmark::of_item("council@conference.underhill.org", payload.as_bytes());
            let written = bookmark.as_ref().map(|bookmark| String::from_utf8(bookmark.payload().to_vec()).unwrap());
            assert_eq!(written.as_deref(), expected, "{payload}");
            if let Some(written) = written {
                assert_eq!(Bookmark::of_item("council@conference.underhill.org", written.as_bytes()), bookmark);
            }
        };
        let full = "<conference xmlns='urn:xmpp:bookmarks:1' name='Council of Oberon' autojoin='true'><nick>Puck</nick></conference>";
        check(full, Some(full));
        check(&full.replace("'true'", "'1'"), Some(full));
        check(&full.replace("'true'", "'0'"), Some(&full.replace(" autojoin='true'", "")));
        check("<conference xmlns='urn:xmpp:bookmarks:1'/>", Some("<conference xmlns='urn:xmpp:bookmarks:1'/>"));
        let extended = "<conference xmlns='urn:xmpp:bookmarks:1'><extensions><a xmlns='urn:a' b='&lt;'>c</a><d xmlns='urn:d'/></extensions></conference>";
        check(extended, Some(extended));
        check("<conference xmlns='storage:bookmarks'/>", None);
        check("<conference", None);
        assert_eq!(Bookmark::of_item("@", full.as_bytes()), None);
    }

    #[test]
    fn xep0048_s2_the_storage_element() {
        let read = Storage::read(STORAGE.as_bytes()).unwrap();
        let [play, orchard] = &read.bookmarks[..] else { panic!("{read:?}") };
        assert_eq!((play.name.as_deref(), play.autojoin, play.nick.as_deref()), (Some("The Play's the Thing"), true, Some("JC")));
        assert_eq!(
            (orchard.id.as_str(), orchard.password.as_deref(), orchard.extensions.len()),
            ("orchard@conference.shakespeare.lit", Some("x"), 1)
        );
        assert_eq!(read.rest.len(), 1);
        assert_eq!(Storage::read(&read.write()), Some(read.clone()));
        assert!(read.means(&Storage { bookmarks: read.bookmarks.iter().rev().cloned().collect(), ..read.clone() }));
        assert!(!read.means(&Storage::default()) && !read.means(&Storage { rest: Vec::new(), ..read.clone() }));

        // The last one of a room counts; what is no bookmark of a room stays as it is.
        let odd = "<storage xmlns='storage:bookmarks'><conference jid='A@b'/><conference jid='a@b' name='x'><c xmlns='urn:c'/></conference>\
                   <conference jid='@'/><conference/></storage>";
        let read = Storage::read(odd.as_bytes()).unwrap();
        assert_eq!(read.bookmarks, [Bookmark { extensions: vec!["<c xmlns='urn:c'/>".into()], ..bookmark("a@b", Some("x")) }]);
        assert_eq!(read.rest.len(), 2);
        assert_eq!(Storage::read(b"<storage xmlns='storage:rosternotes'/>"), None);
    }

    #[test]
    fn xep0402_s5_3_2_only_what_changes_is_published() {
        let extension: Bytes = "<a xmlns='urn:a'/>".into();
        let items = [
            bookmark("same@x", Some("Same")),
            bookmark("Renamed@x", Some("Before")),
            Bookmark { extensions: vec![extension.clone()], ..bookmark("extended@x", None) },
            bookmark("gone@x", None),
        ];
        let wanted =
            [bookmark("extended@x", None), bookmark("new@x", None), bookmark("renamed@x", Some("After")), bookmark("same@x", Some("Same"))];
        let difference = storage(wanted.to_vec()).difference(&items);
        let renamed = Bookmark { id: "Renamed@x".to_owned(), ..bookmark("renamed@x", Some("After")) };
        assert_eq!(difference, Difference { publish: vec![bookmark("new@x", None), renamed], retract: vec!["gone@x".to_owned()] });
        assert_eq!(storage(items.to_vec()).difference(&items), Difference::default());
        let other = Bookmark { extensions: vec!["<b xmlns='urn:b'/>".into()], ..bookmark("extended@x", None) };
        assert_eq!(storage(vec![other.clone()]).difference(&items[2..3]).publish, [other]);
    }
}
