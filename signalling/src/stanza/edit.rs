//! Changes to a stanza's children: what is added comes last, what is removed is cut out; the rest stays the bytes received.

use bytes::Bytes;
use smallvec::SmallVec;

use super::Stanza;
use super::child::Child;

impl Stanza {
    /// The same stanza with this element (or several) of our own making behind its children, as [`with_content`](Self::with_content) takes them.
    #[must_use]
    pub fn with_child(mut self, child: &Bytes) -> Self {
        self.add_child(child);
        self
    }

    /// Adds an element of our own making behind the children. As with [`with_content`](Self::with_content), what is not well-formed is a bug,
    /// logged, and left out.
    pub fn add_child(&mut self, child: &Bytes) {
        let Some((child, children, namespaces)) = self.index(child.clone()) else { return };
        let own = self.own();
        let known = own.head.rest.as_ref().map_or(0, |rest| rest.namespaces.len());
        if !namespaces.is_empty() {
            own.head.rest.get_or_insert_default().namespaces.extend(namespaces);
        }
        own.children.extend(children.iter().map(|index| index.moved(own.body.len(), known)));
        let mut body = String::with_capacity(own.body.len() + child.len());
        body.push_str(&own.body);
        body.push_str(&child);
        own.body = body.into();
    }

    /// The same stanza without `from`, `to` and `id`: what is kept of it to be sent in another's name.
    #[must_use]
    pub fn without_addresses(mut self) -> Self {
        self.to = None;
        if self.from().is_some() || self.id().is_some() {
            let head = &mut self.own().head;
            (head.from, head.id) = (None, None);
        }
        self
    }

    /// The same stanza without `to`: one for many.
    #[must_use]
    pub fn without_to(mut self) -> Self {
        self.to = None;
        self
    }

    /// Removes the children that `unwanted` names; returns how many there were. Without any, nothing is copied.
    pub fn remove_children(&mut self, unwanted: impl Fn(&Child<'_>) -> bool) -> usize {
        let doomed: Vec<bool> = self.children().map(|child| unwanted(&child)).collect();
        let count = doomed.iter().filter(|doomed| **doomed).count();
        if count == 0 {
            return 0;
        }
        let own = self.own();
        let mut body = String::with_capacity(own.body.len());
        let mut kept = SmallVec::with_capacity(own.children.len() - count);
        let mut copied = 0;
        let mut cut = 0;
        for (index, doomed) in own.children.iter().zip(doomed) {
            let whole = index.range();
            if doomed {
                body.push_str(&own.body[copied..whole.start]);
                copied = whole.end;
                cut += whole.len();
            } else {
                kept.push(index.moved_back(cut));
            }
        }
        body.push_str(&own.body[copied..]);
        own.children = kept;
        own.body = body.into();
        count
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::ns;
    use crate::stanza::{Framing, Stanza};
    use crate::xml::Bindings;

    fn parse(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap()
    }

    fn check_index(stanza: &Stanza) {
        let written = stanza.to_bytes(Framing::Stream);
        let again = Stanza::parse(written, &Bindings::client()).unwrap();
        let seen = |stanza: &Stanza| {
            stanza
                .children()
                .map(|child| (child.ns().to_owned(), child.name().to_owned(), child.bytes(), child.text().into_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(stanza), seen(&again));
    }

    #[test]
    fn an_added_child_comes_last_and_is_found() {
        let mut stanza = parse("<message><body>a</body></message>");
        stanza.add_child(&Bytes::from_static(b"<stanza-id xmlns='urn:xmpp:sid:0' id='1'/><p:x xmlns:p='urn:p'>t</p:x>"));
        assert_eq!(
            stanza.to_bytes(Framing::Stream),
            "<message><body>a</body><stanza-id xmlns='urn:xmpp:sid:0' id='1'/><p:x xmlns:p='urn:p'>t</p:x></message>"
        );
        assert_eq!(stanza.child("urn:xmpp:sid:0", "stanza-id").unwrap().attr("id").unwrap(), "1");
        assert_eq!(stanza.child("urn:p", "x").unwrap().text(), "t");
        check_index(&stanza);
        check_index(&parse("<message/>").with_child(&Bytes::from_static(b"<a xmlns='u'/>")));
        check_index(&parse("<message><q:y xmlns:q='urn:q'/></message>").with_child(&Bytes::from_static(b"<p:x xmlns:p='urn:p'/>")));
    }

    #[test]
    fn removed_children_are_gone_and_the_others_are_as_they_were() {
        let xml = "<message>t<a xmlns='u'>1</a><body>b</body> <a xmlns='u'/><p:a xmlns:p='v'>2</p:a></message>";
        let mut stanza = parse(xml);
        assert_eq!(stanza.remove_children(|child| child.is("nothing", "a")), 0);
        assert_eq!(stanza.to_bytes(Framing::Stream), xml);
        assert_eq!(stanza.remove_children(|child| child.is("u", "a")), 2);
        assert_eq!(stanza.to_bytes(Framing::Stream), "<message>t<body>b</body> <p:a xmlns:p='v'>2</p:a></message>");
        check_index(&stanza);
        assert_eq!(stanza.remove_children(|child| child.is(ns::CLIENT, "body")), 1);
        assert_eq!(stanza.child("v", "a").unwrap().text(), "2");
        check_index(&stanza);
    }
}
