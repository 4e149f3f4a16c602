//! Names for what the server's disco#info says: XEP-0115 (Entity Capabilities, version 1.6) and XEP-0390 (version 0.3). Pure.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::capabilities::{Info, Method};
use crate::ns;
use crate::xml::XmlWriter;

/// XEP-0115 §4, `node`: what software this is.
const SOFTWARE: &str = "urn:x-campanile:server";

/// The hash functions of XEP-0390, by their names in XEP-0300.
const HASHES: [(&str, &digest::Algorithm); 2] = [("sha-256", &digest::SHA256), ("sha3-256", &digest::SHA3_256)];

/// XEP-0115 §6.3 and XEP-0390 §5.2: what a server puts among its stream features.
pub fn stream_features(info: &Info<'_>) -> Vec<Bytes> {
    let mut first = XmlWriter::new();
    first.open("c").ns(ns::CAPS).attr("hash", "sha-1").attr("node", SOFTWARE).attr("ver", &version(info)).close();
    let mut second = XmlWriter::new();
    second.open("c").ns(ns::CAPS_2);
    for (name, hash) in hashes(info) {
        second.open("hash").ns(ns::HASHES).attr("algo", name).text(&hash).close();
    }
    second.close();
    vec![first.finish(), second.finish()]
}

/// XEP-0115 §6.2 and XEP-0390 §4.3: whether a node is a name of just this information.
pub fn names(info: &Info<'_>, node: &str) -> bool {
    if let Some(version_asked) = node.strip_prefix(SOFTWARE).and_then(|rest| rest.strip_prefix('#')) {
        return version_asked == version(info);
    }
    let Some(asked) = node.strip_prefix(ns::CAPS_2).and_then(|rest| rest.strip_prefix('#')) else { return false };
    let Some((name, value)) = asked.rsplit_once('.') else { return false };
    hashes(info).any(|(known, hash)| known == name && hash == value)
}

fn version(info: &Info<'_>) -> String {
    BASE64_STANDARD.encode(info.hash(Method::Caps, &digest::SHA1_FOR_LEGACY_USE_ONLY))
}

fn hashes(info: &Info<'_>) -> impl Iterator<Item = (&'static str, String)> {
    HASHES.into_iter().map(move |(name, algorithm)| (name, BASE64_STANDARD.encode(info.hash(Method::Caps2, algorithm))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::tests::SIMPLE;
    use crate::xml::{Bindings, Element};

    #[test]
    fn which_nodes_are_names_of_the_information() {
        let element = Element::parse(SIMPLE.as_bytes(), &Bindings::empty()).unwrap();
        let info = Info::read(element.root(), "").unwrap().info;
        let [(_, sha_256), (_, sha3_256)] = hashes(&info).collect::<Vec<_>>().try_into().unwrap();
        for (node, known) in [
            (format!("{SOFTWARE}#QgayPKawpkPSDYmwT/WM94uAlu0="), true),
            (format!("urn:xmpp:caps#sha-256.{sha_256}"), true),
            (format!("urn:xmpp:caps#sha3-256.{sha3_256}"), true),
            (format!("urn:xmpp:caps#sha3-256.{sha_256}"), false),
            ("urn:xmpp:caps#sha-256".to_owned(), false),
            ("urn:xmpp:caps#".to_owned(), false),
            (SOFTWARE.to_owned(), false),
            (format!("{SOFTWARE}#"), false),
            ("http://example.org/#x".to_owned(), false),
        ] {
            assert_eq!(names(&info, &node), known, "{node}");
        }
    }
}
