//! Images of avatars in both formats: nodes of XEP-0084, and the photo of a vCard (XEP-0153). Pure.

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::ns;
use crate::xml::{Bindings, Element, Node, XmlWriter};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image itself.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub type_: String,
}

/// What a metadata node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// XEP-0084 §3.5: no image.
    Nothing,
    /// One of these, which the data node has: id and media type.
    Images(Vec<(String, String)>),
    /// Only images that are elsewhere.
    Elsewhere,
}

impl Image {
    /// The photo of a vCard, if there is one that can be read.
    #[must_use]
    pub fn of_vcard(vcard: Node<'_>) -> Option<Self> {
        Self::of_photo(vcard.child(ns::VCARD, "PHOTO")?)
    }

    /// All photos of a vCard that can be read (XEP-0486 §5.1).
    pub fn all_of_vcard(vcard: Node<'_>) -> impl Iterator<Item = Self> {
        vcard.children_named(ns::VCARD, "PHOTO").filter_map(Self::of_photo)
    }

    fn of_photo(photo: Node<'_>) -> Option<Self> {
        let bytes = decode(&photo.child(ns::VCARD, "BINVAL")?.text())?;
        let said = photo.child(ns::VCARD, "TYPE").map(|type_| type_.text().trim().to_owned()).unwrap_or_default();
        Some(Self { type_: type_of(&bytes, &said).into_owned(), bytes })
    }

    /// XEP-0084 §4.1: the payload of an item of the data node.
    #[must_use]
    pub fn of_data(payload: &[u8], type_: &str) -> Option<Self> {
        let element = Element::parse(payload, &Bindings::empty()).ok()?;
        let data = Some(element.root()).filter(|root| root.is(ns::AVATAR_DATA, "data"))?;
        let bytes = decode(&data.text())?;
        Some(Self { type_: type_of(&bytes, type_).into_owned(), bytes })
    }

    /// XEP-0153 §3.1, XEP-0084 §4.2.1: SHA-1, in hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.bytes);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// XEP-0084 §4.1.
    #[must_use]
    pub fn data(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("data").ns(ns::AVATAR_DATA).text(&BASE64_STANDARD.encode(&self.bytes)).close();
        xml.finish()
    }

    /// XEP-0084 §4.2.
    #[must_use]
    pub fn metadata(&self) -> Bytes {
        let mut xml = XmlWriter::new();
        xml.open("metadata").ns(ns::AVATAR_METADATA).open("info");
        xml.attr("bytes", &self.bytes.len().to_string()).attr("id", &self.hash()).attr("type", &self.type_);
        xml.close().close();
        xml.finish()
    }
}

/// XEP-0084 §3.5.
#[must_use]
pub fn no_metadata() -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("metadata").ns(ns::AVATAR_METADATA).close();
    xml.finish()
}

impl Shown {
    /// Reads an item of the metadata node; `None` for what is none.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let element = Element::parse(payload, &Bindings::empty()).ok()?;
        let metadata = Some(element.root()).filter(|root| root.is(ns::AVATAR_METADATA, "metadata"))?;
        let mut infos = metadata.children_named(ns::AVATAR_METADATA, "info").peekable();
        if infos.peek().is_none() {
            return Some(Self::Nothing);
        }
        // XEP-0398 §3.1: those that point elsewhere are left out.
        let here = infos.filter(|info| info.attr("url").is_none());
        let here: Vec<_> =
            here.filter_map(|info| Some((info.attr("id")?.to_owned(), info.attr("type").unwrap_or_default().to_owned()))).collect();
        Some(if here.is_empty() { Self::Elsewhere } else { Self::Images(here) })
    }
}

/// A vCard with this photo, or none, in the place of its own.
#[must_use]
pub fn with_photo(vcard: Option<&Element>, photo: Option<&Image>) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("vCard").ns(ns::VCARD);
    if let Some(vcard) = vcard {
        for (_, name, value) in vcard.root().attrs().filter(|(namespace, ..)| namespace.is_empty()) {
            xml.attr(name, value);
        }
        for child in vcard.root().children().filter(|child| !child.is(ns::VCARD, "PHOTO")) {
            child.write(&mut xml, ns::VCARD);
        }
    }
    if let Some(image) = photo {
        xml.open("PHOTO");
        xml.open("TYPE").text(&image.type_).close();
        xml.open("BINVAL").text(&BASE64_STANDARD.encode(&image.bytes)).close();
        xml.close();
    }
    xml.close();
    xml.finish()
}

/// XEP-0153 §4.6, XEP-0084 §4.1: white space is ignored.
fn decode(base64: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(digits).ok().filter(|image| !image.is_empty())
}

/// XEP-0153 §5: what the image is counts, not what is said of it.
fn type_of<'a>(image: &[u8], said: &'a str) -> Cow<'a, str> {
    const KNOWN: [(&[u8], &str); 3] = [(b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif")];
    match KNOWN.iter().find(|(magic, _)| image.starts_with(magic)) {
        Some((_, type_)) => Cow::Borrowed(type_),
        None if said.is_empty() => Cow::Borrowed("image/png"),
        None => Cow::Borrowed(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3174's "abc".
    const ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn element(xml: &str) -> Element {
        Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap()
    }

    fn text(bytes: &Bytes) -> &str {
        str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn xep0153_s3_1_and_s5_the_photo_of_a_vcard() {
        let check = |photo: &str, expected: Option<(&str, &[u8])>| {
            let vcard = element(&format!("<vCard xmlns='vcard-temp'>{photo}</vCard>"));
            let image = Image::of_vcard(vcard.root());
            assert_eq!(image.as_ref().map(|image| (image.type_.as_str(), &image.bytes[..])), expected, "{photo}");
        };
        check("<PHOTO><TYPE>image/webp</TYPE><BINVAL>YWJj</BINVAL></PHOTO>", Some(("image/webp", b"abc")));
        check("<PHOTO><BINVAL>\n  YW\r\n  Jj </BINVAL></PHOTO>", Some(("image/png", b"abc")));
        check("<PHOTO><TYPE>image/png</TYPE><BINVAL>/9j/AA==</BINVAL></PHOTO>", Some(("image/jpeg", b"\xff\xd8\xff\0")));
        check("<PHOTO><TYPE>x</TYPE><BINVAL>R0lGODlh</BINVAL></PHOTO>", Some(("image/gif", b"GIF89a")));
        check("<PHOTO><BINVAL/></PHOTO>", None);
        check("<PHOTO><BINVAL>!</BINVAL></PHOTO>", None);
        check("<PHOTO><EXTVAL>http://example.org/x.png</EXTVAL></PHOTO>", None);
        check("", None);
    }

    #[test]
    fn xep0084_s4_data_and_metadata() {
        let image = Image { bytes: b"abc".to_vec(), type_: "image/png".to_owned() };
        assert_eq!(image.hash(), ABC);
        assert_eq!(text(&image.data()), "<data xmlns='urn:xmpp:avatar:data'>YWJj</data>");
        assert_eq!(Image::of_data(&image.data(), "image/png"), Some(image.clone()));
        assert_eq!(Image::of_data(b"<data xmlns='urn:x'>YWJj</data>", ""), None);
        assert_eq!(
            text(&image.metadata()),
            format!("<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='{ABC}' type='image/png'/></metadata>")
        );
        let check = |content: &str, expected: Option<Shown>| {
            let xml = format!("<metadata xmlns='urn:xmpp:avatar:metadata'>{content}</metadata>");
            assert_eq!(Shown::read(xml.as_bytes()), expected, "{content}");
        };
        assert_eq!(Shown::read(&image.metadata()), Some(Shown::Images(vec![(ABC.to_owned(), "image/png".to_owned())])));
        assert_eq!(Shown::read(&no_metadata()), Some(Shown::Nothing));
        check("<info id='a' type='image/gif' url='http://x/'/>", Some(Shown::Elsewhere));
        check(
            "<info id='a' url='http://x/'/><info id='b' type='image/png'/>",
            Some(Shown::Images(vec![("b".to_owned(), "image/png".to_owned())])),
        );
        assert_eq!(Shown::read(b"<metadata xmlns='urn:x'/>"), None);
    }

    #[test]
    fn xep0398_s3_1_the_photo_takes_the_place_of_the_one_before() {
        let image = Image { bytes: b"abc".to_vec(), type_: "image/png".to_owned() };
        let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO>";
        let check = |vcard: Option<&str>, photo: Option<&Image>, expected: &str| {
            let vcard = vcard.map(element);
            assert_eq!(text(&with_photo(vcard.as_ref(), photo)), format!("<vCard xmlns='vcard-temp'{expected}"));
        };
        check(None, None, "/>");
        check(None, Some(&image), &format!(">{photo}</vCard>"));
        let vcard = "<vCard xmlns='vcard-temp' version='2.0'><FN>Ü &lt;</FN><PHOTO><BINVAL>eA==</BINVAL></PHOTO><N><GIVEN/></N></vCard>";
        check(Some(vcard), Some(&image), &format!(" version='2.0'><FN>Ü &lt;</FN><N><GIVEN/></N>{photo}</vCard>"));
        check(Some(vcard), None, " version='2.0'><FN>Ü &lt;</FN><N><GIVEN/></N></vCard>");
    }
}
