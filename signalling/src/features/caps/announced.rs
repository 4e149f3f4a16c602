//! How presence names what its client can do: XEP-0115 §4, its legacy format (§13), and XEP-0390 §5.4. Pure.

use aws_lc_rs::digest::Algorithm;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::capabilities::{Method, algorithm};
use crate::ns;
use crate::session::SessionId;
use crate::stanza::{Child, Stanza};

/// Longest texts that count.
const TEXT_BYTES_MAX: usize = 1023;

/// A name for what a client can do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// It can be checked, so that it says the same of every client.
    Hash { method: Method, function: Box<str>, hash: Box<[u8]> },
    /// It cannot, so that it says something of this session only.
    Text { session: SessionId, text: Box<str> },
}

/// What a presence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) name: Name,
    /// The node at which the client has it; `None` in the legacy format, whose bundles have nodes of their own: the client is asked for all.
    pub(super) node: Option<Box<str>>,
}

impl Name {
    /// The hash that information must have to be meant.
    pub(super) fn check(&self) -> Option<(Method, &'static Algorithm, &[u8])> {
        match self {
            Self::Hash { method, function, hash } => Some((*method, algorithm(function)?, hash)),
            Self::Text { .. } => None,
        }
    }
}

impl Announced {
    /// `None` for a presence that says nothing of it, or nothing that can be understood.
    pub(super) fn of(presence: &Stanza, session: SessionId) -> Option<Self> {
        let second = || presence.child(ns::CAPS_2, "c").and_then(|c| Self::second(&c, session));
        let first = || presence.child(ns::CAPS, "c").and_then(|c| Self::first(&c, session));
        // Rather the one whose hash nobody can forge.
        match second() {
            Some(found @ Self { name: Name::Hash { .. }, .. }) => Some(found),
            found => match first() {
                Some(hash @ Self { name: Name::Hash { .. }, .. }) => Some(hash),
                other => found.or(other),
            },
        }
    }

    /// XEP-0115 §4.
    fn first(c: &Child<'_>, session: SessionId) -> Option<Self> {
        let (node, ver) = (c.attr("node")?, c.attr("ver")?);
        let ext = c.attr("ext").unwrap_or_default();
        if node.len() + ver.len() + ext.len() > TEXT_BYTES_MAX {
            return None;
        }
        let place: Box<str> = format!("{node}#{ver}").into();
        let Some(function) = c.attr("hash") else {
            let text = format!("{place} {ext}").into();
            return Some(Self { name: Name::Text { session, text }, node: None });
        };
        Some(Self { name: name(Method::Caps, &function, &ver, session, &place)?, node: Some(place) })
    }

    /// XEP-0390 §5.4: the first hash that can be checked, else the first.
    fn second(c: &Child<'_>, session: SessionId) -> Option<Self> {
        let element = c.element().ok()?;
        let hashes = element.root().children_named(ns::HASHES, "hash").filter_map(|hash| {
            let (function, text) = (hash.attr("algo")?, hash.text());
            let place: Box<str> = format!("{}#{function}.{}", ns::CAPS_2, text.trim()).into();
            if place.len() > TEXT_BYTES_MAX {
                return None;
            }
            Some(Self { name: name(Method::Caps2, function, text.trim(), session, &place)?, node: Some(place) })
        });
        let mut hashes = hashes.peekable();
        let first = hashes.peek().cloned();
        hashes.find(|found| matches!(found.name, Name::Hash { .. })).or(first)
    }
}

/// `None` for a hash that no information can have.
fn name(method: Method, function: &str, hash: &str, session: SessionId, place: &str) -> Option<Name> {
    // XEP-0300 forbids what XEP-0115 demands.
    let known = algorithm(function).filter(|_| method == Method::Caps || function != "sha-1");
    let Some(known) = known else { return Some(Name::Text { session, text: place.into() }) };
    let hash = BASE64_STANDARD.decode(hash).ok().filter(|hash| hash.len() == known.output_len())?;
    Some(Name::Hash { method, function: function.into(), hash: hash.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    const SHA_1: &str = "QgayPKawpkPSDYmwT/WM94uAlu0=";
    const SHA_256: &str = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=";

    fn announced(content: &str) -> Option<Announced> {
        let presence = Stanza::parse(format!("<presence>{content}</presence>").into(), &Bindings::client()).unwrap();
        Announced::of(&presence, SessionId::next())
    }

    fn c(attributes: &str) -> String {
        format!("<c xmlns='http://jabber.org/protocol/caps' {attributes}/>")
    }

    fn c2(hashes: &[(&str, &str)]) -> String {
        let hash = |(algo, hash): &(&str, &str)| format!("<hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{hash}</hash>");
        format!("<c xmlns='urn:xmpp:caps'>{}</c>", hashes.iter().map(hash).collect::<String>())
    }

    #[test]
    fn xep0115_s4_and_s13_and_xep0390_s5_4_what_is_asked_for_and_whether_the_answer_can_be_checked() {
        let full = c(&format!("hash='sha-1' node='http://c.example' ver='{SHA_1}'"));
        let first = format!("http://c.example#{SHA_1}");
        let second = format!("urn:xmpp:caps#sha-256.{SHA_256}");
        for (content, expected) in [
            (String::new(), None),
            (full.clone(), Some((true, Some(first.as_str())))),
            // The legacy format.
            (c("node='http://c.example' ver='1.2'"), Some((false, None))),
            (c("node='http://c.example' ver='1.2' ext='a b'"), Some((false, None))),
            (c("node='http://c.example' ver='x' hash='md5'"), Some((false, Some("http://c.example#x")))),
            (c("node='http://c.example' ver='x' hash='sha-1'"), None),
            (c("node='http://c.example' hash='sha-1'"), None),
            (c(&format!("ver='{SHA_1}' hash='sha-1'")), None),
            (c(&format!("node='{}' ver='1'", "n".repeat(TEXT_BYTES_MAX))), None),
            (c2(&[("sha-256", SHA_256)]), Some((true, Some(&second)))),
            (c2(&[("crc", "AA=="), ("sha-256", SHA_256)]), Some((true, Some(&second)))),
            (c2(&[("crc", "AA==")]), Some((false, Some("urn:xmpp:caps#crc.AA==")))),
            (c2(&[("sha-1", SHA_1)]), Some((false, Some("urn:xmpp:caps#sha-1.QgayPKawpkPSDYmwT/WM94uAlu0=")))),
            (c2(&[]), None),
            (full.clone() + &c2(&[("sha-256", SHA_256)]), Some((true, Some(&second)))),
            (full + &c2(&[("crc", "AA==")]), Some((true, Some(&first)))),
        ] {
            let got = announced(&content);
            let got = got.as_ref().map(|got| (got.name.check().is_some(), got.node.as_deref()));
            assert_eq!(got, expected, "{content}");
        }
    }

    #[test]
    fn a_hash_is_one_name_whoever_says_it_and_a_text_is_not() {
        let hash = c(&format!("hash='sha-1' node='http://c.example' ver='{SHA_1}'"));
        let elsewhere = hash.replace("c.example", "d.example");
        assert_eq!(announced(&hash).unwrap().name, announced(&elsewhere).unwrap().name);
        let legacy = c("node='http://c.example' ver='1.2'");
        assert_ne!(announced(&legacy).unwrap().name, announced(&legacy).unwrap().name);
    }
}
