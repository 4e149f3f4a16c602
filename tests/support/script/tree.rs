//! What is on the wire, as a tree, and whether it is what a script expects.
//!
//! Irrelevant are: the order of attributes, prefixes, white space around elements and how much of it is between words, and the order of
//! children where XMPP's own namespaces give it no meaning (all but items, and whatever is payload). Never compared is what is meant for
//! people: labels, titles and instructions of forms, and texts of errors. A stanza may have addresses, a language and, but for an IQ, an id
//! that the script does not name, an error the request that it answers and `by` whom it comes, anything the ids of XEP-0421 and XEP-0359. In a form `true` is `1`, and what kind a field is need not be said.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use rxml::Parse as _;

/// What the holes of a script stand for.
pub type Names = BTreeMap<String, String>;

const CLIENT: &str = "jabber:client";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
pub const SID: &str = "urn:xmpp:sid:0";
const FORM: &str = "jabber:x:data";
const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

/// Where the order of children has no meaning.
const UNORDERED: [&str; 15] = [
    CLIENT,
    FORM,
    "jabber:iq:roster",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/pubsub",
    "http://jabber.org/protocol/pubsub#event",
    "http://jabber.org/protocol/pubsub#owner",
    "http://jabber.org/protocol/commands",
    "http://jabber.org/protocol/shim",
    "http://jabber.org/protocol/address",
    "http://jabber.org/protocol/muc#user",
    "http://jabber.org/protocol/muc#admin",
    "http://jabber.org/protocol/muc#owner",
    STANZAS,
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    pub ns: String,
    pub name: String,
    pub attributes: BTreeMap<(String, String), String>,
    /// Text between its children, put together.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The elements of this text, as they stand in a client's stream.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let document = format!(
            "<s:stream xmlns='{CLIENT}' xmlns:s='http://etherx.jabber.org/streams' xmlns:stream='http://etherx.jabber.org/streams'>{text}</s:stream>"
        );
        let mut open = vec![Self::default()];
        let read = rxml::Parser::new().parse_all(&mut document.as_bytes(), true, |event| match event {
            rxml::Event::XmlDeclaration(..) => {}
            rxml::Event::StartElement(_, (ns, name), attributes) => open.push(Self {
                ns: ns.as_str().to_owned(),
                name: name.to_string(),
                attributes: attributes
                    .iter()
                    .map(|((ns, name), value)| ((ns.as_str().to_owned(), name.to_string()), value.clone()))
                    .collect(),
                ..Self::default()
            }),
            rxml::Event::Text(_, text) => open.last_mut().unwrap().text.push_str(&text),
            rxml::Event::EndElement(_) => {
                let ended = open.pop().unwrap();
                open.last_mut().unwrap().children.push(ended);
            }
        });
        read.map_err(|error| format!("{error:?}: {text}"))?;
        Ok(open.pop().unwrap().children.pop().unwrap().children)
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(&(String::new(), name.to_owned())).map(String::as_str)
    }

    pub fn child(&self, ns: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(ns, name))
    }

    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    fn is_stanza(&self) -> bool {
        self.ns == CLIENT && matches!(self.name.as_str(), "iq" | "message" | "presence")
    }

    /// Whether `got` is what `self` says; holes that stand for nothing yet take what stands in their place. The error is the first
    /// difference.
    pub fn expects(&self, got: &Self, names: &mut Names) -> Result<(), String> {
        let mut trial = names.clone();
        self.compare(got, &mut trial)?;
        *names = trial;
        Ok(())
    }

    fn compare(&self, got: &Self, names: &mut Names) -> Result<(), String> {
        let here = |what: String| Err(format!("<{}/>: {what}", self.name));
        if (&self.ns, &self.name) != (&got.ns, &got.name) {
            return here(format!("expected it in {}, got <{}/> in {}", self.ns, got.name, got.ns));
        }
        for (key @ (ns, name), expected) in &self.attributes {
            if self.ns == FORM && name == "label" {
                continue;
            }
            match got.attributes.get(key) {
                None => return here(format!("its attribute {name} is missing")),
                Some(value) if !fits(expected, value, names) => {
                    return here(format!("{ns}{name} should be {:?}, is {value:?}", filled(expected, names)));
                }
                Some(_) => {}
            }
        }
        for (key @ (ns, name), value) in &got.attributes {
            if !self.attributes.contains_key(key) && !self.may_have(ns, name) {
                return here(format!("nobody expected its attribute {name}={value:?}"));
            }
        }
        let expected = words(&self.text);
        let more = !expected.is_empty() && expected.split("...").all(|between| between.trim().is_empty());
        let expected = if more { String::new() } else { expected };
        let text = words(&got.text);
        let same = if self.is(FORM, "value") { fits(boolean(&expected), boolean(&text), names) } else { fits(&expected, &text, names) };
        if !same && !more {
            return here(format!("its text should be {:?}, is {text:?}", filled(&expected, names)));
        }
        // RFC 6120 §8.3.1: an error may have the request in it
        let is_error = self.is_stanza() && self.attribute("type") == Some("error");
        let is_copy = |child: &Self| {
            (is_error && !child.is(CLIENT, "error") || self.is_stanza() && child.is_of_rooms())
                && self.child(&child.ns, &child.name).is_none()
        };
        let got: Vec<&Self> = got.children.iter().filter(|child| !self.ignores(child) && !is_copy(child)).collect();
        let expected: Vec<&Self> = self.children.iter().filter(|child| !self.ignores(child)).collect();
        self.children(&expected, &got, more, names)
    }

    fn children(&self, expected: &[&Self], got: &[&Self], more: bool, names: &mut Names) -> Result<(), String> {
        let ordered = self.name == "items" || !UNORDERED.contains(&self.ns.as_str());
        let mut taken = vec![false; got.len()];
        let mut from = 0;
        for child in expected {
            let mut why: Option<String> = None;
            let found = (from..got.len()).filter(|at| !taken[*at]).find(|at| {
                let mut trial = names.clone();
                match child.compare(got[*at], &mut trial) {
                    Ok(()) => {
                        *names = trial;
                        true
                    }
                    Err(difference) => {
                        // the difference to what was most likely meant
                        if got[*at].attribute("var") == child.attribute("var") && got[*at].name == child.name && why.is_none() {
                            why = Some(difference);
                        }
                        false
                    }
                }
            });
            let Some(at) = found else {
                let why = why.unwrap_or_else(|| format!("there is no\n{}", child.filled(names)));
                return Err(format!("<{}/>: {why}", self.name));
            };
            if ordered && !more && taken.iter().take(at).any(|taken| !taken) {
                return Err(format!("<{}/>: comes out of order, or before it comes what nobody expected:\n{}", self.name, got[at]));
            }
            taken[at] = true;
            if ordered {
                from = at + 1;
            }
        }
        match got.iter().zip(&taken).find(|(_, taken)| !**taken) {
            Some((unexpected, _)) if !more => Err(format!("<{}/>: nobody expected\n{unexpected}", self.name)),
            _ => Ok(()),
        }
    }

    fn may_have(&self, ns: &str, name: &str) -> bool {
        if self.is_stanza() {
            return matches!(name, "from" | "to" | "lang") || name == "id" && self.name != "iq";
        }
        if self.is(CLIENT, "error") {
            return ns.is_empty() && name == "by";
        }
        ns.is_empty() && self.ns == FORM && (name == "label" || name == "type" && self.name == "field")
    }

    /// What rooms put into every stanza; `rooms.rs` looks that they do.
    fn is_of_rooms(&self) -> bool {
        self.is(OCCUPANT_ID, "occupant-id") || self.is(SID, "stanza-id")
    }

    fn ignores(&self, child: &Self) -> bool {
        self.is(CLIENT, "error") && child.is(STANZAS, "text")
            || self.is(FORM, "x") && matches!(child.name.as_str(), "title" | "instructions")
            || self.ns == FORM && (child.ns == VALIDATE || child.is(FORM, "desc"))
    }

    /// With what the holes stand for.
    pub fn filled(&self, names: &Names) -> Self {
        Self {
            attributes: self.attributes.iter().map(|(key, value)| (key.clone(), filled(value, names))).collect(),
            text: filled(&self.text, names),
            children: self.children.iter().map(|child| child.filled(names)).collect(),
            ..self.clone()
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, ns: &str, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        write!(f, "{indent}<{}", self.name)?;
        if self.ns != ns {
            write!(f, " xmlns='{}'", self.ns)?;
        }
        for ((ns, name), value) in &self.attributes {
            let prefix = if ns.is_empty() { "" } else { "xml:" };
            write!(f, " {prefix}{name}='{}'", escape(value))?;
        }
        let text = words(&self.text);
        match (text.is_empty(), self.children.is_empty()) {
            (true, true) => return f.write_str("/>"),
            (false, true) => return write!(f, ">{}</{}>", escape(&text), self.name),
            _ => f.write_char('>')?,
        }
        if !text.is_empty() {
            write!(f, "\n{indent}  {}", escape(&text))?;
        }
        for child in &self.children {
            f.write_char('\n')?;
            child.write(f, &self.ns, depth + 1)?;
        }
        write!(f, "\n{indent}</{}>", self.name)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, CLIENT, 1)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// XML Schema Part 2 §3.2.2.1, which XEP-0060 §6.3.3 wants both spellings of.
fn boolean(value: &str) -> &str {
    match value {
        "true" => "1",
        "false" => "0",
        _ => value,
    }
}

/// A text with what its holes stand for; `{any}` and holes that stand for nothing yet stay.
pub fn filled(text: &str, names: &Names) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// Whether a text is what a pattern says. A hole takes as little as it can, and something.
fn fits(pattern: &str, text: &str, names: &mut Names) -> bool {
    fits_from(&words(&filled(pattern, names)), &words(text), names)
}

fn fits_from(pattern: &str, text: &str, names: &mut Names) -> bool {
    let pattern = filled(pattern, names);
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == text };
    let Some((name, after)) = rest.split_once('}') else { return pattern == text };
    let Some(left) = text.strip_prefix(before) else { return false };
    let ends = left.char_indices().map(|(at, c)| at + c.len_utf8());
    for end in ends {
        let mut trial = names.clone();
        if name != "any" {
            trial.insert(name.to_owned(), left[..end].to_owned());
        }
        if fits_from(after, &left[end..], &mut trial) {
            *names = trial;
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `expected` says of `got`, and what its holes stand for then.
    fn check(expected: &str, got: &str) -> Result<Names, String> {
        let parse = |text: &str| Element::parse(text).unwrap().pop().unwrap();
        let mut names = Names::from([("known".to_owned(), "42".to_owned())]);
        parse(expected).expects(&parse(got), &mut names)?;
        names.remove("known");
        Ok(names)
    }

    #[test]
    fn what_has_no_meaning_makes_no_difference() {
        for (expected, got) in [
            ("<message to='a' type='chat'/>", "<message id='1' type=\"chat\" to=\"a\" from='b' xml:lang='en'></message>"),
            ("<message><e xmlns='urn:e' a='1'> <f/> </e></message>", "<message><x:e a='1' xmlns:x='urn:e'><x:f/></x:e></message>"),
            ("<message><body>two  words</body></message>", "<message><body> two\nwords</body></message>"),
            (
                "<iq id='1' type='result'><query xmlns='http://jabber.org/protocol/disco#info'><a/><b/></query></iq>",
                "<iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#info'><b/><a/></query></iq>",
            ),
            ("<message><x xmlns='urn:x'>...<b/>...</x></message>", "<message><x xmlns='urn:x'><a/><b/><c/></x></message>"),
            ("<message><x xmlns='urn:x'><a/>...</x></message>", "<message><x xmlns='urn:x'><a/>text<b/></x></message>"),
            (
                "<message><x xmlns='jabber:x:data' type='form'><field var='v'><value>1</value></field></x></message>",
                "<message><x xmlns='jabber:x:data' type='form'><title>T</title>\
                 <field var='v' type='boolean' label='L'><value>true</value></field></x></message>",
            ),
            (
                "<iq id='1'><error type='cancel'><a/></error></iq>",
                "<iq id='1'><error type='cancel'><a/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>so</text></error></iq>",
            ),
            (
                "<iq id='1' type='error'><error type='cancel'/></iq>",
                "<iq id='1' type='error'><q xmlns='urn:q'/><error type='cancel'/></iq>",
            ),
        ] {
            assert_eq!(check(expected, got), Ok(Names::new()), "{expected}\n{got}");
        }
    }

    #[test]
    fn what_has_a_meaning_makes_a_difference() {
        for (expected, got) in [
            ("<message/>", "<presence/>"),
            ("<message/>", "<message type='chat'/>"),
            ("<message/>", "<message><body/></message>"),
            ("<message><body/></message>", "<message/>"),
            ("<message><body>a</body></message>", "<message><body>b</body></message>"),
            ("<message><e xmlns='urn:e'/></message>", "<message><e xmlns='urn:f'/></message>"),
            ("<message><e xmlns='urn:e'><a/><b/></e></message>", "<message><e xmlns='urn:e'><b/><a/></e></message>"),
            ("<message><e xmlns='urn:e' a='1'/></message>", "<message><e xmlns='urn:e' a='2'/></message>"),
            ("<message><e xmlns='urn:e'/></message>", "<message><e xmlns='urn:e' a='2'/></message>"),
            ("<message><e xmlns='urn:e'/></message>", "<message><e xmlns='urn:e'/><e xmlns='urn:e'/></message>"),
            ("<message><x xmlns='urn:x'>...<b/>...</x></message>", "<message><x xmlns='urn:x'><a/><c/></x></message>"),
            ("<message><body>{any}</body></message>", "<message><body/></message>"),
            ("<message from='{known}'/>", "<message from='43'/>"),
            ("<message from='{a}' to='{a}'/>", "<message from='1' to='2'/>"),
        ] {
            assert!(check(expected, got).is_err(), "{expected}\n{got}");
        }
    }

    #[test]
    fn holes_take_what_stands_in_their_place() {
        let names = check(
            "<message from='{known}' to='{to}'><body>{any} is {what}, {to}</body></message>",
            "<message from='42' to='bob'><body>This is a letter, bob</body></message>",
        );
        assert_eq!(names, Ok([("to", "bob"), ("what", "a letter")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()));
    }
}
