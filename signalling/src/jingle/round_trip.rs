//! What is written is read as the same, whoever made it; and whatever is read, what becomes of it stays so.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::content::Jingle;
use super::reading::{Problem, Reading};
use super::strategies::{self, Text};
use super::testing::{whole, written};
use crate::ns;
use crate::xml::{Bindings, Element, XmlWriter};

/// What it is read as once it has been written, and what is amiss then.
fn again(jingle: &Jingle) -> (Jingle, Vec<Problem>) {
    whole(&written(|out| jingle.write(out)))
}

/// Models are large: a quarter of the usual number of them says as much. `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.div_ceil(4), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_is_read_as_the_same(jingle in strategies::jingle(Text::Xml)) {
        prop_assert_eq!(again(&jingle), (jingle, Vec::new()));
    }

    #[test]
    fn what_sdp_can_say_is_read_as_the_same(jingle in strategies::jingle(Text::Line)) {
        prop_assert_eq!(again(&jingle), (jingle, Vec::new()));
    }

    #[test]
    fn whatever_a_model_holds_what_is_written_is_xml(jingle in strategies::jingle(Text::Wild)) {
        let xml = written(|out| jingle.write(out));
        let (read, _) = whole(&xml);
        prop_assert_eq!(again(&read).0, read);
    }

    #[test]
    fn whatever_is_read_is_read_the_same_once_it_is_written(action in strategies::action(), elements in vec(element(4, &["content", "content", "reason", "group", "hold", "line"]), 0..4)) {
        let xml = written(|out| {
            out.open("jingle").ns(ns::JINGLE).attr("action", action.as_str()).attr("sid", "s");
            elements.iter().for_each(|element| element.write(out));
        });
        let (mut read, _) = whole(&xml);
        for transport in read.contents.iter_mut().filter_map(|content| content.transport.as_mut()) {
            transport.candidates_left_out = 0;
        }
        prop_assert_eq!(again(&read).0, read);
        // What only watches takes less of it, and as easily.
        let element = Element::parse(xml.as_bytes(), &Bindings::client()).unwrap();
        let outline = Jingle::read(element.root(), &mut Reading::outline()).unwrap();
        prop_assert!(outline.groups.is_empty() && outline.carried.is_empty() && outline.initiator.is_none());
    }
}

/// An element much like one of Jingle's.
#[derive(Debug, Clone)]
struct Anything {
    name: &'static str,
    namespace: &'static str,
    attributes: Vec<(&'static str, &'static str)>,
    text: &'static str,
    children: Vec<Self>,
}

impl Anything {
    fn write(&self, out: &mut XmlWriter) {
        out.open(self.name).ns(self.namespace);
        for (at, (name, value)) in self.attributes.iter().enumerate() {
            if !self.attributes[..at].iter().any(|(before, _)| before == name) {
                out.attr(name, value);
            }
        }
        out.text(self.text);
        self.children.iter().for_each(|child| child.write(out));
        out.close();
    }
}

/// Name, namespace, attributes with a value that is good, text, children.
type Known = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    ("content", ns::JINGLE, &[("creator", "initiator"), ("name", "a"), ("senders", "both"), ("disposition", "session")], "",
        &["description", "transport", "line", "protocol"]),
    ("reason", ns::JINGLE, &[], "", &["busy", "text", "trickle"]),
    ("busy", ns::JINGLE, &[], "", &["sid"]),
    ("sid", ns::JINGLE, &[], "x", &[]),
    ("text", ns::JINGLE, &[], "x", &[]),
    ("group", ns::JINGLE_GROUPING, &[("semantics", "BUNDLE")], "", &["content"]),
    ("hold", ns::JINGLE_RTP_INFO, &[("creator", "initiator"), ("name", "a")], "", &[]),
    ("line", ns::SDP, &[("type", "a")], "x", &[]),
    ("protocol", ns::SDP, &[], "RTP/AVP", &[]),
    ("description", ns::JINGLE_RTP, &[("media", "audio"), ("ssrc", "1"), ("ptime", "1")], "",
        &["payload-type", "payload-type", "rtcp-fb", "rtcp-fb-trr-int", "encryption", "bandwidth", "rtcp-mux", "rtcp-reduced-size", "rtp-hdrext",
          "extmap-allow-mixed", "source", "ssrc-group", "stream"]),
    ("payload-type", ns::JINGLE_RTP, &[("id", "96"), ("name", "x"), ("clockrate", "1"), ("channels", "1"), ("ptime", "1"), ("maxptime", "1")], "",
        &["parameter", "rtcp-fb", "rtcp-fb-trr-int"]),
    ("parameter", ns::JINGLE_RTP, &[("name", "x"), ("value", "x")], "", &[]),
    ("parameter", ns::JINGLE_RTCP_FB, &[("name", "x"), ("value", "x")], "", &[]),
    ("parameter", ns::JINGLE_RTP_HDREXT, &[("name", "x"), ("value", "x")], "", &[]),
    ("parameter", ns::JINGLE_SSMA, &[("name", "x"), ("value", "x")], "", &[]),
    ("rtcp-fb", ns::JINGLE_RTCP_FB, &[("type", "x"), ("subtype", "x")], "", &["parameter"]),
    ("rtcp-fb-trr-int", ns::JINGLE_RTCP_FB, &[("value", "1")], "", &[]),
    ("encryption", ns::JINGLE_RTP, &[("required", "1")], "", &["crypto", "zrtp-hash"]),
    ("crypto", ns::JINGLE_RTP, &[("tag", "1"), ("crypto-suite", "x"), ("key-params", "x"), ("session-params", "x")], "", &[]),
    ("zrtp-hash", ns::JINGLE_ZRTP, &[("version", "x")], "ab", &[]),
    ("bandwidth", ns::JINGLE_RTP, &[("type", "AS"), ("value", "1")], "1", &[]),
    ("rtcp-mux", ns::JINGLE_RTP, &[], "", &[]),
    ("rtcp-reduced-size", ns::JINGLE_RTP, &[], "", &[]),
    ("rtp-hdrext", ns::JINGLE_RTP_HDREXT, &[("id", "2/recvonly"), ("uri", "x"), ("senders", "both")], "", &["parameter"]),
    ("extmap-allow-mixed", ns::JINGLE_RTP_HDREXT, &[], "", &[]),
    ("source", ns::JINGLE_SSMA, &[("ssrc", "1")], "", &["parameter"]),
    ("ssrc-group", ns::JINGLE_SSMA, &[("semantics", "x")], "", &["source"]),
    ("stream", ns::JINGLE_MSID, &[("id", "x"), ("track", "x")], "", &[]),
    ("transport", ns::JINGLE_ICE_UDP, TRANSPORT, "", IN_TRANSPORT),
    ("transport", ns::JINGLE_ICE, TRANSPORT, "", IN_TRANSPORT),
    ("transport", ns::JINGLE_RAW_UDP, TRANSPORT, "", IN_TRANSPORT),
    ("candidate", ns::JINGLE_ICE_UDP,
        &[("component", "1"), ("foundation", "x"), ("generation", "1"), ("id", "x"), ("ip", "x"), ("network", "1"), ("network-id", "0"), ("port", "1"),
          ("priority", "1"), ("protocol", "udp"), ("rel-addr", "x"), ("rel-port", "1"), ("tcptype", "x"), ("type", "host")], "", &[]),
    ("remote-candidate", ns::JINGLE_ICE_UDP, &[("component", "1"), ("ip", "x"), ("port", "1")], "", &[]),
    ("gathering-complete", ns::JINGLE_ICE_UDP, &[], "", &[]),
    ("trickle", ns::JINGLE_ICE_OPTION, &[], "", &[]),
    ("ice2", ns::JINGLE_ICE_OPTION, &[], "", &[]),
    ("fingerprint", ns::JINGLE_DTLS, &[("hash", "x"), ("setup", "active")], "AB:CD", &[]),
    ("sctpmap", ns::JINGLE_SCTP, &[("number", "1"), ("protocol", "x"), ("streams", "1")], "", &[]),
];

const TRANSPORT: &[(&str, &str)] = &[("pwd", "x"), ("ufrag", "x"), ("ice2", "1")];
const IN_TRANSPORT: &[&str] =
    &["candidate", "candidate", "remote-candidate", "gathering-complete", "trickle", "ice2", "fingerprint", "sctpmap", "rtcp-mux"];

/// Texts that may be a value here, and will be elsewhere.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "128",
    "65536",
    "-1",
    " 7 ",
    "true",
    "responder",
    "3/x",
    "0-15",
    "a=b",
    "a=",
    "=",
    "1=",
    "a b=c d=",
    " ",
    "a\r\na=x",
    "<&'\">",
];

/// An element of one of these names, often as it should be.
fn element(depth: usize, names: &'static [&'static str]) -> BoxedStrategy<Anything> {
    let fitting: Vec<Known> = KNOWN.iter().copied().filter(|(name, ..)| names.contains(name)).collect();
    let any = prop::sample::select(KNOWN);
    let known = if fitting.is_empty() { any.boxed() } else { prop_oneof![12 => prop::sample::select(fitting), 1 => any].boxed() };
    known.prop_flat_map(move |known| filled(depth, known)).boxed()
}

fn filled(depth: usize, (name, namespace, attributes, text, inner): Known) -> impl Strategy<Value = Anything> {
    let value = |good: &'static str| prop_oneof![8 => Just(good), 1 => prop::sample::select(VALUES)].boxed();
    let all: Vec<_> = attributes.iter().map(|(name, good)| (Just(*name), value(good))).collect();
    let least = all.len().saturating_sub(2);
    let some = prop::sample::subsequence(all.clone(), least..=all.len()).prop_flat_map(|some| some);
    let attributes = (some, option::weighted(0.1, value("x"))).prop_map(|(some, other)| {
        let other = other.map(|value| ("x", value));
        some.into_iter().chain(other).collect()
    });
    let other = prop::sample::select(KNOWN).prop_map(|known| known.1);
    let namespace = prop_oneof![12 => Just(namespace), 1 => other];
    let children = if depth == 0 { Just(Vec::new()).boxed() } else { vec(element(depth - 1, inner), 0..6).boxed() };
    (namespace, attributes, value(text), children).prop_map(move |(namespace, attributes, text, children)| Anything {
        name,
        namespace,
        attributes,
        text,
        children,
    })
}

/// Files below `tests/corpus/jingle`.
fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/jingle");
    let (mut folders, mut files) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 80, "the corpus is there");
    files
}

/// The stanza that a fragment may come from.
fn around(fragment: &str) -> String {
    let name = fragment.trim_start().trim_start_matches('<');
    let name = &name[..name.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap()];
    let (before, after) = match name {
        "jingle" => return fragment.to_owned(),
        "group" => ("", ""),
        "description" => ("<content creator='initiator' name='a'>", "</content>"),
        "encryption" | "source" => (
            "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>",
            "</description></content>",
        ),
        "zrtp-hash" => (
            "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><encryption>",
            "</encryption></description></content>",
        ),
        "fingerprint" => {
            ("<content creator='initiator' name='a'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>", "</transport></content>")
        }
        name => panic!("where does <{name}/> stand?"),
    };
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'>{before}{fragment}{after}</jingle>")
}

/// What is amiss in the corpus: the end of a file's name, and the end of what is said of it.
const AMISS: &[(&str, &str)] = &[
    ("stanza/file/13-initiator-session-info.xml", "<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'/> in <checksum/>"),
    ("xep-0166/35-session-initiate.xml", "<security xmlns='urn:xmpp:jingle:security:stub:0'/> in <content/>"),
    ("xep-0166/36-security-info.xml", "<security xmlns='urn:xmpp:jingle:security:xtls:0'/> in <content/>"),
];

#[test]
fn the_corpus_is_read_without_loss() {
    let mut unexpected = Vec::new();
    for path in corpus() {
        let xml = around(&fs::read_to_string(&path).unwrap());
        let (jingle, problems) = whole(&xml);
        for problem in problems {
            let known = |(file, text): &&(&str, &str)| path.ends_with(file) && problem.text.ends_with(text);
            if !AMISS.iter().any(|amiss| known(&amiss)) {
                unexpected.push(format!("{}: {problem}", path.display()));
            }
        }
        assert_eq!(again(&jingle).0, jingle, "{}", path.display());
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}
