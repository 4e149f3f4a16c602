//! Which words of others may become names in what we write.

use crate::ns;
use crate::xml::is_ncname;

/// Whether an element or attribute may have this name. XML keeps those that begin with `xml` for itself.
pub(super) fn is_name(text: &str) -> bool {
    is_ncname(text) && !text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("xml"))
}

/// Whether an element without prefix may be in this namespace: Namespaces in XML 1.0 §3 keeps two for prefixes of their own.
pub(super) fn is_namespace(uri: &str) -> bool {
    !matches!(uri, ns::XML | ns::XMLNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_ours_to_write() {
        let table = [
            ("trickle", true),
            ("a-b.c_1", true),
            ("", false),
            ("1a", false),
            ("a b", false),
            ("a:b", false),
            ("xmlns", false),
            ("XML", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(is_namespace("") && is_namespace(ns::JINGLE) && !is_namespace(ns::XML) && !is_namespace(ns::XMLNS));
    }
}
