//! Test: the validator accepts what rxml, a strict parser of another make, accepts, and the tree has the same content.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rxml::Parse;

use super::{Bindings, Element, Frame, Framer, Limits, Node, XmlError, validate};

/// An element by what it means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    ns: String,
    name: String,
    attributes: BTreeMap<(String, String), String>,
    text: String,
    children: Vec<Tree>,
}

/// What rxml reads; `None` when it refuses.
pub(crate) fn oracle(mut document: &[u8]) -> Option<Tree> {
    let mut open = vec![Tree::default()];
    let read = rxml::Parser::new().parse_all(&mut document, true, |event| match event {
        rxml::Event::XmlDeclaration(..) => {}
        rxml::Event::StartElement(_, (ns, name), attributes) => open.push(Tree {
            ns: ns.as_str().to_owned(),
            name: name.to_string(),
            attributes: attributes.iter().map(|((ns, name), value)| ((ns.as_str().to_owned(), name.to_string()), value.clone())).collect(),
            ..Tree::default()
        }),
        rxml::Event::Text(_, text) => open.last_mut().unwrap().text.push_str(&text),
        rxml::Event::EndElement(_) => {
            let ended = open.pop().unwrap();
            open.last_mut().unwrap().children.push(ended);
        }
    });
    read.ok()?;
    open.pop()?.children.pop()
}

/// What we read.
pub(crate) fn tree(node: Node<'_>) -> Tree {
    Tree {
        ns: node.ns().to_owned(),
        name: node.name().to_owned(),
        attributes: node.attrs().map(|(ns, name, value)| ((ns.to_owned(), name.to_owned()), value.to_owned())).collect(),
        text: node.text().into_owned(),
        children: node.children().map(tree).collect(),
    }
}

/// Both accept the document and read the same, or both refuse it.
pub(crate) fn compare(document: &[u8]) {
    let bindings = Bindings::empty();
    let ours = validate(document, &bindings);
    let theirs = oracle(document);
    let shown = String::from_utf8_lossy(document);
    // rxml 0.14 overlooks that one element declares the same prefix twice.
    if theirs.is_some() && ours == Err(XmlError::NotWellFormed("an attribute appears twice")) {
        let tags = shown.split(['<', '>']);
        let twice = |tag: &str, name: &str| tag.matches(name).count() > 1;
        let declarations = ["xmlns=", "xmlns:p", "xmlns:q", "xmlns:x", "xmlns:y"];
        assert!(tags.into_iter().any(|tag| declarations.iter().any(|name| twice(tag, name))), "{shown:?}");
        return;
    }
    // And that the namespace of `xmlns` is declared as default, against Namespaces in XML 1.0 §3.
    if theirs.is_some() && ours == Err(XmlError::NotWellFormed("the namespace of `xmlns` must not be declared")) {
        return;
    }
    // It stumbles over some lone carriage returns in attribute values, so we refuse them all.
    if theirs.is_some() && ours == Err(XmlError::BadFormat("a lone carriage return in an attribute value")) {
        return;
    }
    assert_eq!(ours.is_ok(), theirs.is_some(), "{shown:?}: ours {ours:?}");
    if let Some(theirs) = theirs {
        let element = Element::parse(document, &bindings).unwrap();
        assert_eq!(tree(element.root()), theirs, "{shown:?}");
        // What is written again means the same.
        let written = element.root().to_bytes();
        assert_eq!(oracle(&written), Some(theirs), "{shown:?} written as {written:?}");
    }
}

/// Whether it is a document of the subset that is compared: rxml also takes an XML declaration and white space around the element.
fn comparable(document: &[u8]) -> bool {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    document.first() == Some(&b'<') && !document.last().is_some_and(space) && !document.starts_with(b"<?")
}

/// The framer finds the same end whatever the pieces in which bytes arrive.
fn frame_in_pieces(document: &[u8], cuts: &[usize]) -> Vec<Result<Option<Frame>, XmlError>> {
    let mut framer = Framer::new(Limits { bytes_max: 100_000, depth_max: 100 });
    framer.push(b"<s>");
    assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
    let mut frames = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([document.len()]) {
        let cut = cut.clamp(at, document.len());
        framer.push(&document[at..cut]);
        at = cut;
        loop {
            match framer.next() {
                Ok(None) => break,
                // Where white space is cut says nothing.
                Ok(Some(Frame::Whitespace(_))) => {}
                Ok(frame) => frames.push(Ok(frame)),
                Err(error) => {
                    frames.push(Err(error));
                    return frames;
                }
            }
        }
    }
    frames
}

/// Pieces of XML, well and badly formed, that make interesting documents when strung together.
const PIECES: &[&str] = &[
    "<a>",
    "</a>",
    "<b>",
    "</b>",
    "<a/>",
    "<p:a>",
    "</p:a>",
    "<p:a/>",
    "<a ",
    "<b ",
    "</a",
    ">",
    "/>",
    "<",
    "x",
    " ",
    "\n",
    "\r\n",
    "\t",
    "xmlns='u'",
    "xmlns=''",
    "xmlns:p='u'",
    "xmlns:p=\"v\"",
    "xmlns:q='u'",
    "xmlns:p=''",
    "xmlns:xml='http://www.w3.org/XML/1998/namespace'",
    "xmlns:xml='u'",
    "xmlns:xmlns='u'",
    "xmlns='http://www.w3.org/2000/xmlns/'",
    "xmlns:p='http://www.w3.org/XML/1998/namespace'",
    "xmlns='http://www.w3.org/XML/1998/namespace'",
    "xml:lang='en'",
    "xmlns:x='&amp;'",
    "xmlns:y='&#38;'",
    "x:c='1'",
    "y:c='2'",
    "c='1'",
    "c=\"2\"",
    "p:c='1'",
    "q:c='2'",
    "p:d='&lt;'",
    "c='<'",
    "c='>'",
    "c='\r'",
    "c='a\r\nb'",
    "c='\rb'",
    "c=\"'\"",
    "c='\"'",
    "c=1",
    "c",
    "=",
    "'",
    "\"",
    "&",
    ";",
    "&amp;",
    "&lt;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&nbsp;",
    "&#65;",
    "&#x41;",
    "&#x1F600;",
    "&#0;",
    "&#1;",
    "&#xD800;",
    "&#xFFFE;",
    "&#x110000;",
    "&#99999999999;",
    "&#;",
    "&#x;",
    "&#X41;",
    "&#x0000041;",
    "&#x00000041;",
    "&#x000000041;",
    "&#00000065;",
    "&#000000065;",
    "]]>",
    "]]",
    "]",
    "<![CDATA[",
    "<![CDATA[]]>",
    "<![CDATA[<a>&]]]>",
    "<!--",
    "-->",
    "<!-- c -->",
    "<?pi?>",
    "<!DOCTYPE a>",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{feff}",
    "é",
    "€",
    "😀",
    "<é/>",
    "<\u{b7}/>",
    "<a\u{b7}/>",
    "<-a/>",
    "<a:b:c/>",
    "<:a/>",
    "<a:/>",
    "<xml:a/>",
    "<xmlns:a/>",
    "<p:1/>",
    "<1/>",
    "<a$/>",
    "<a\u{d7}/>",
];

/// Bytes that are shown as text.
#[derive(Clone)]
struct Document(Vec<u8>);

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

fn pieces() -> impl Strategy<Value = Document> {
    let first = prop::sample::select(&["<a>", "<a ", "<a xmlns:p='u' xmlns:q='u' ", "<", "<a xmlns:p='u'>"][..]);
    let last = prop::sample::select(&["</a>", "/>", ">", ""][..]);
    (first, prop::collection::vec(prop::sample::select(PIECES), 0..12), last)
        .prop_map(|(first, pieces, last)| Document(format!("{first}{}{last}", pieces.concat()).into_bytes()))
}

/// Mostly well-formed documents with namespaces, references, CDATA and odd spacing.
fn document() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "b", "_c.d-1", "é", "message", "x\u{b7}"][..]);
    let prefix = prop::sample::select(&["", "", "", "p:", "q:"][..]);
    let value = prop::sample::select(&["", "1", "&lt;&#10;", "a\tb\r\nc", "é&amp;😀", "\"", ">"][..]);
    let space = prop::sample::select(&[" ", "  ", "\n\t"][..]);
    let attribute = (space.clone(), prefix.clone(), name.clone(), value).prop_map(|(s, p, n, v)| format!("{s}{p}{n}='{v}'"));
    let declaration = prop::sample::select(
        &["", "", " xmlns='u'", " xmlns:p='u'", " xmlns:q='u'", " xmlns:q='v'", " xmlns=''", " xmlns:p = \"a&amp;b\""][..],
    );
    let text = prop::sample::select(&["", "x", "&amp;", "a\r\nb\rc", "]]&gt;", "<![CDATA[&<>\r\n]]>", "é", "]] >"][..]);
    let tag = (prefix, name, declaration.clone(), declaration, prop::collection::vec(attribute, 0..4))
        .prop_map(|(p, n, d, e, a)| (format!("{p}{n}"), format!("{d}{e}{}", a.concat())));
    let leaf =
        (tag.clone(), text.clone()).prop_map(|((n, a), t)| if t.is_empty() { format!("<{n}{a}/>") } else { format!("<{n}{a}>{t}</{n} >") });
    let inner = leaf.prop_recursive(4, 24, 4, move |inner| {
        (tag.clone(), text.clone(), prop::collection::vec(inner, 0..4)).prop_map(|((n, a), t, c)| format!("<{n}{a}>{t}{}</{n}>", c.join(t)))
    });
    inner.prop_map(|inner| format!("<r xmlns:p='u' xmlns:q='w'>{inner}</r>"))
}

/// A document with some bytes changed, removed or doubled.
fn mutated() -> impl Strategy<Value = Document> {
    let edit = (any::<prop::sample::Index>(), 0..3u8, any::<u8>());
    (document(), prop::collection::vec(edit, 1..4)).prop_map(|(document, edits)| {
        let mut bytes = document.into_bytes();
        for (index, what, byte) in edits {
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, bytes[at]),
            }
        }
        Document(bytes)
    })
}

/// More cases than usual; `PROPTEST_CASES` asks for more still.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn accepts_what_rxml_accepts_of_strung_pieces(document in pieces()) {
        prop_assume!(comparable(&document.0));
        compare(&document.0);
    }

    #[test]
    fn accepts_what_rxml_accepts_of_mostly_valid_documents(document in document()) {
        compare(document.as_bytes());
    }

    #[test]
    fn accepts_what_rxml_accepts_of_mutated_documents(document in mutated()) {
        prop_assume!(comparable(&document.0));
        compare(&document.0);
    }

    #[test]
    fn a_valid_document_is_one_frame_however_it_is_cut(document in document(), mut cuts in prop::collection::vec(0..400usize, 0..6)) {
        cuts.sort_unstable();
        let frames = frame_in_pieces(document.as_bytes(), &cuts);
        if validate(document.as_bytes(), &Bindings::empty()).is_ok() {
            prop_assert_eq!(frames, vec![Ok(Some(Frame::Element(document.into())))]);
        } else {
            // Not namespace-well-formed, hence framed as it stands and refused by the validator.
            prop_assert_eq!(frames.len(), 1);
        }
    }

    #[test]
    fn any_bytes_are_framed_the_same_however_they_are_cut(document in prop_oneof![pieces(), mutated()], mut cuts in prop::collection::vec(0..400usize, 0..6)) {
        cuts.sort_unstable();
        prop_assert_eq!(frame_in_pieces(&document.0, &cuts), frame_in_pieces(&document.0, &[]));
    }
}
