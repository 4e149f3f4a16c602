//! XEP-0486: MUC Avatars, version 0.1: a room's vCard with the hashes of its photos, which are worked out once.

use std::sync::Arc;

use bytes::Bytes;

use crate::avatar::Image;
use crate::xml::{Bindings, Element};

/// A room's vCard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The element `<vCard/>`, self-contained.
    pub xml: Bytes,
    /// §5.1: of each of its photos, as XEP-0153 §3.1 has it.
    pub hashes: Arc<[String]>,
}

impl Card {
    /// The vCard that is written so. One that cannot be read has no photos.
    #[must_use]
    pub fn new(xml: Bytes) -> Self {
        let element = Element::parse(&xml, &Bindings::empty());
        let hashes = element.map(|element| Image::all_of_vcard(element.root()).map(|image| image.hash()).collect());
        Self { xml, hashes: hashes.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_1_each_photo_has_its_hash() {
        let photo = |binval: &str| format!("<PHOTO><TYPE>image/png</TYPE><BINVAL>{binval}</BINVAL></PHOTO>");
        let hashes = |content: &str| Card::new(format!("<vCard xmlns='vcard-temp'>{content}</vCard>").into()).hashes.join(" ");
        assert_eq!(hashes(""), "");
        assert_eq!(hashes("<FN>Coven</FN>"), "");
        assert_eq!(hashes(&photo("?")), "");
        assert_eq!(hashes(&photo("YQ==")), "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
        assert_eq!(
            hashes(&format!("{}{}", photo("YQ=="), photo("Yg=="))),
            "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8 e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98"
        );
    }
}
