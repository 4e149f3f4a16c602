//! What a client answers when it is asked what it can do: XEP-0115 §5.4 and XEP-0390 §4.4. Pure.

use super::announced::Name;
use crate::capabilities::{Info, Method};
use crate::interests::{Interests, NOTIFY};
use crate::ns;
use crate::stanza::{IqType, Kind, Stanza};

/// Largest answer that is looked at.
const ANSWER_BYTES_MAX: usize = 65_536;

/// What comes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The name means this, whoever says it.
    Shared(Interests),
    /// What its client wants; of other clients it says nothing.
    Own(Interests),
}

impl Outcome {
    /// Whoever gives no good answer wants nothing.
    pub(super) fn of(name: &Name, answer: &Stanza) -> Self {
        Self::read(name, answer).unwrap_or(Self::Own(Interests::default()))
    }

    fn read(name: &Name, answer: &Stanza) -> Option<Self> {
        if answer.kind() != Kind::Iq(IqType::Result) || answer.size_bytes() > ANSWER_BYTES_MAX {
            return None;
        }
        let element = answer.child(ns::DISCO_INFO, "query")?.element().ok()?;
        let said = Info::read(element.root(), "").ok()?;
        let interests = Interests::of(&said.info)?;
        let is_shared = name.check().is_some_and(|(method, algorithm, hash)| {
            let is_meant = |info: &Info<'_>| info.hash(method, algorithm).as_ref() == hash;
            match method {
                Method::Caps => is_meant(&said.info) && said.info.has_only_as_features(NOTIFY),
                Method::Caps2 if !said.is_strict => false,
                // XEP-0390 §4.1: a language may come from around the answer; not every client thinks of that.
                Method::Caps2 => {
                    let inherited = || Info::read(element.root(), answer.lang()?).ok();
                    is_meant(&said.info) || inherited().is_some_and(|said| is_meant(&said.info))
                }
            }
        });
        Some(if is_shared { Self::Shared(interests) } else { Self::Own(interests) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::announced::Announced;
    use super::*;
    use crate::capabilities::tests::name;
    use crate::session::SessionId;
    use crate::xml::Bindings;

    fn parse(xml: &str) -> Stanza {
        Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap_or_else(|error| panic!("{error:?}: {xml}"))
    }

    fn outcome(presence: &str, query: &str) -> Outcome {
        let announced = Announced::of(&parse(&format!("<presence>{presence}</presence>")), SessionId::next()).unwrap();
        Outcome::of(&announced.name, &parse(&format!("<iq type='result' id='1' xml:lang='de'>{query}</iq>")))
    }

    fn interests(nodes: &[&str]) -> Interests {
        nodes.iter().map(|node| (*node).to_owned()).collect()
    }

    fn query(content: &str) -> String {
        format!("<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>{content}</query>")
    }

    const TUNE: &str = "<feature var='http://jabber.org/protocol/tune+notify'/>";

    fn caps(hash: &str, ver: &str) -> String {
        format!("<c xmlns='http://jabber.org/protocol/caps' node='n' hash='{hash}' ver='{ver}'/>")
    }

    #[test]
    fn xep0115_s5_4_only_what_its_hash_proves_is_shared() {
        let tune = || interests(&["http://jabber.org/protocol/tune"]);
        let honest = query(TUNE);
        let sha_1 = caps("sha-1", &name(&honest, Method::Caps, "sha-1"));
        assert_eq!(outcome(&sha_1, &honest), Outcome::Shared(tune()));
        assert_eq!(outcome(&caps("sha-512", &name(&honest, Method::Caps, "sha-512")), &honest), Outcome::Shared(tune()));
        assert_eq!(outcome(&caps("md5", "x"), &honest), Outcome::Own(tune()));
        assert_eq!(outcome("<c xmlns='http://jabber.org/protocol/caps' node='n' ver='1'/>", &honest), Outcome::Own(tune()));
        // A lie counts for its client alone.
        let lie = query("<feature var='a+notify'/>");
        assert_eq!(outcome(&sha_1, &lie), Outcome::Own(interests(&["a"])));
        // What is no good answer means nothing.
        for bad in [
            query(&TUNE.repeat(2)),
            String::new(),
            "<query xmlns='urn:other'/>".to_owned(),
            query(&format!("{TUNE}<x xmlns='{}'/>", "u".repeat(ANSWER_BYTES_MAX))),
        ] {
            if !bad.is_empty() {
                assert_eq!(outcome(&sha_1, &bad), Outcome::Own(interests(&[])), "{}", &bad[..bad.len().min(200)]);
            }
        }
        let announced = Announced::of(&parse(&format!("<presence>{sha_1}</presence>")), SessionId::next()).unwrap();
        for bad in [
            "<iq type='result' id='1'/>",
            "<iq type='error' id='1'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        ] {
            assert_eq!(Outcome::of(&announced.name, &parse(bad)), Outcome::Own(interests(&[])));
        }
    }

    #[test]
    fn a_forgery_that_xep0115_cannot_tell_is_not_shared() {
        let honest = query("<feature var='a'/><feature var='b'/><feature var='c+notify'/><feature var='d'/>");
        let forged = query(
            "<feature var='a'/><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>b</value></field>\
             <field var='c+notify'><value>d</value></field></x>",
        );
        let ver = name(&honest, Method::Caps, "sha-1");
        assert_eq!(ver, name(&forged, Method::Caps, "sha-1"));
        assert_eq!(outcome(&caps("sha-1", &ver), &forged), Outcome::Own(interests(&[])));
    }

    #[test]
    fn xep0390_s4_4_with_and_without_an_inherited_language() {
        let tune = || interests(&["http://jabber.org/protocol/tune"]);
        let plain = query(TUNE);
        let german = plain.replace(" type='pc'", " type='pc' xml:lang='de'");
        let caps = |of: &str| {
            let hash = name(of, Method::Caps2, "sha-256");
            format!("<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{hash}</hash></c>")
        };
        assert_eq!(outcome(&caps(&plain), &plain), Outcome::Shared(tune()));
        assert_eq!(outcome(&caps(&german), &plain), Outcome::Shared(tune()));
        assert_eq!(outcome(&caps(&german), &query("")), Outcome::Own(interests(&[])));
        assert_eq!(outcome(&caps(&plain), &query(&format!("{TUNE}<other xmlns='urn:o'/>"))), Outcome::Own(tune()));
    }
}
