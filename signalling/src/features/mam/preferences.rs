//! `<prefs/>`: XEP-0441 §2.1.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::jid::Jid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::store::{Policy, Preferences};
use crate::xml::{Node, XmlWriter};

/// Addresses of both lists together.
const ADDRESSES_MAX: usize = 1000;

/// §2.1; where the account has said nothing, the server's `default` is shown.
pub fn write(preferences: &Preferences, default: Policy) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("prefs").ns(ns::MAM).attr("default", preferences.policy.unwrap_or(default).name());
    for (name, list) in [("always", &preferences.always), ("never", &preferences.never)] {
        xml.open(name);
        for jid in list {
            xml.open("jid").text(jid.as_str()).close();
        }
        xml.close();
    }
    xml.close();
    xml.finish()
}

/// §2.1; a list that is missing is empty (§2.1.2, §2.1.3).
///
/// # Errors
/// `bad-request` for a default that is none, `jid-malformed`, `resource-constraint` for too many addresses.
pub fn read(prefs: Node<'_>) -> Result<Preferences, StanzaError> {
    let policy = prefs.attr("default").and_then(Policy::from_name);
    let policy = policy.ok_or_else(|| StanzaError::bad_request("`default` is always, roster or never"))?;
    let list = |name| match prefs.child(ns::MAM, name) {
        Some(list) => addresses(list),
        None => Ok(BTreeSet::new()),
    };
    let preferences = Preferences { policy: Some(policy), always: list("always")?, never: list("never")? };
    if preferences.always.len() + preferences.never.len() > ADDRESSES_MAX {
        return Err(StanzaError::resource_constraint().with_text(format!("at most {ADDRESSES_MAX} addresses")));
    }
    Ok(preferences)
}

fn addresses(list: Node<'_>) -> Result<BTreeSet<Jid>, StanzaError> {
    let jid = |node: Node<'_>| Jid::parse(node.text().trim()).map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()));
    list.children_named(ns::MAM, "jid").map(jid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Condition;
    use crate::xml::{Bindings, Element};

    fn parse(xml: &str) -> Result<Preferences, StanzaError> {
        read(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root())
    }

    #[test]
    fn s2_1_preferences_are_read_and_written_with_prepared_addresses() {
        let set = "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>Romeo@Montague.LIT</jid></always>\
                   <never><jid> montague@montague.lit/X </jid><jid>montague@montague.lit/X</jid></never></prefs>";
        let preferences = parse(set).unwrap();
        assert_eq!(
            write(&preferences, Policy::Never),
            "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always><jid>romeo@montague.lit</jid></always>\
             <never><jid>montague@montague.lit/X</jid></never></prefs>"
        );
        let empty = "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>";
        assert_eq!(write(&parse("<prefs xmlns='urn:xmpp:mam:2' default='always'/>").unwrap(), Policy::Never), empty);
        assert_eq!(write(&Preferences::default(), Policy::Always), empty);
    }

    #[test]
    fn s2_1_1_what_is_refused() {
        let many: String = (0..=ADDRESSES_MAX).map(|number| format!("<jid>u{number}@x</jid>")).collect();
        for (content, condition) in [
            ("<prefs xmlns='urn:xmpp:mam:2'/>".to_owned(), Condition::BadRequest),
            ("<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>".to_owned(), Condition::BadRequest),
            ("<prefs xmlns='urn:xmpp:mam:2' default='never'><never><jid>@</jid></never></prefs>".to_owned(), Condition::JidMalformed),
            (format!("<prefs xmlns='urn:xmpp:mam:2' default='never'><never>{many}</never></prefs>"), Condition::ResourceConstraint),
        ] {
            assert_eq!(parse(&content).unwrap_err().condition, condition);
        }
    }
}
