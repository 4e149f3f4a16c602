//! Whole descriptions, and the normal form.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use smol_str::SmolStr;

use super::*;
use crate::jingle::content::{self, JingleError};
use crate::jingle::reading::Reading;
use crate::jingle::strategies;
use crate::jingle::transport::Sctp;
use crate::sdp::normal::{is_whole, normal, normal_jingle, said_by_stanza};
use crate::sdp::{corpus, parse, write};
use crate::xml::{Bindings, Element};

fn party_of(name: &str) -> Party {
    if name.contains("responder") { Party::Responder } else { Party::Initiator }
}

/// With what tells where the first difference is.
fn check(name: &str, lines: &SessionDescription, expected: &SessionDescription) {
    if lines != expected {
        let (lines, expected) = (write(lines), write(expected));
        let first = lines.lines().zip(expected.lines()).find(|(line, expected)| line != expected);
        panic!("{name}: {first:?}\n{lines}\nis not\n{expected}");
    }
}

#[test]
fn every_description_of_the_corpus_comes_back_in_normal_form() {
    for (name, _, lines) in corpus::descriptions().into_iter().filter(|(.., lines)| lines.origin.is_some()) {
        let party = party_of(&name);
        let (description, _) = from_sdp(lines.clone(), party, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        comes_back(&name, lines, &description);
    }
}

fn comes_back(name: &str, lines: SessionDescription, description: &Description) {
    let expected = normal(lines, description.party);
    check(name, &to_sdp(description).0, &expected);
    check(name, &normal(expected.clone(), description.party), &expected);
    assert!(parse(&write(&expected)).is_ok(), "{name}");
    if let Ok((alone, _)) = from_jingle(description.to_jingle(Action::SessionInitiate), description.party, None) {
        check(name, &to_sdp(&alone).0, &said_by_stanza(expected));
    }
}

fn read(xml: &str) -> Result<Jingle, JingleError> {
    let element = Element::parse(xml.trim().as_bytes(), &Bindings::client()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    Jingle::read(element.root(), &mut Reading::whole())
}

/// By way of text.
fn there_and_back(jingle: &Jingle, party: Party) -> Jingle {
    let (description, _) = from_jingle(jingle.clone(), party, None).unwrap_or_else(|error| panic!("{error}: {jingle:?}"));
    let text = write(&to_sdp(&description).0);
    let lines = parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    from_sdp(lines, party, None).unwrap_or_else(|error| panic!("{error}: {text}")).0.to_jingle(jingle.action)
}

#[test]
fn every_stanza_of_the_corpus_comes_back_in_normal_form() {
    let mut count = 0;
    for (name, text) in corpus::texts("jingle", "xml") {
        let Some(jingle) = read(&text).ok().filter(is_whole) else { continue };
        let party = party_of(&name);
        let expected = normal_jingle(jingle.clone(), party);
        assert_eq!(there_and_back(&jingle, party), expected, "{name}");
        assert_eq!(there_and_back(&expected, party), expected, "{name}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// The same with words that SDP has in their places.
fn sayable(mut jingle: Jingle, is_answer: bool) -> Jingle {
    let names: Vec<SmolStr> = jingle.contents.iter().map(|content| content.name.clone()).collect();
    jingle.groups.iter_mut().for_each(|group| group.contents.extend_from_slice(&names));
    jingle.action = if is_answer { Action::SessionAccept } else { Action::SessionInitiate };
    for content in &mut jingle.contents {
        content.protocol.take_if(|protocol| !protocol.split('/').all(words::is_token));
        if let Some(transport) = &mut content.transport {
            let ice = |text: &str, len: usize| SmolStr::from(format!("{}{}", text.replace('.', "/"), "x".repeat(len)));
            transport.ufrag = transport.ufrag.as_ref().map(|ufrag| ice(ufrag, 3));
            transport.pwd = transport.pwd.as_ref().map(|pwd| ice(pwd, 21).into());
            transport.candidates.iter_mut().for_each(|candidate| candidate.component = candidate.component.max(1));
            transport.remote_candidates.iter_mut().for_each(|candidate| candidate.component = candidate.component.max(1));
            let is_number = |sctp: &&mut Sctp| sctp.protocol.parse::<u16>().is_ok();
            transport.sctp.as_mut().filter(is_number).into_iter().for_each(|sctp| sctp.protocol = "webrtc-datachannel".into());
            if let Some(dtls) = &mut transport.dtls {
                dtls.fingerprints.iter_mut().for_each(|fingerprint| fingerprint.hash = fingerprint.hash.to_ascii_lowercase().into());
            }
        }
        if let Some(content::Description::Rtp(rtp)) = &mut content.description {
            for crypto in rtp.encryption.iter_mut().flat_map(|encryption| &mut encryption.cryptos) {
                crypto.key_params = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj".into();
            }
        }
    }
    jingle
}

/// What becomes of the lines of a description.
#[derive(Debug, Clone)]
enum Edit {
    Remove(Index),
    Move(Index, Index),
    Double(Index, Index),
    /// A line of another description.
    Borrow(Index, Index, Index),
    /// Two lines that are alike change what stands behind the first `:` or ` `.
    Mix(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        index().prop_map(Edit::Remove),
        (index(), index()).prop_map(|(from, to)| Edit::Move(from, to)),
        (index(), index()).prop_map(|(from, to)| Edit::Double(from, to)),
        (index(), index(), index()).prop_map(|(text, from, to)| Edit::Borrow(text, from, to)),
        (index(), index(), index()).prop_map(|(text, from, to)| Edit::Mix(text, from, to)),
    ]
}

fn edited(texts: &[Vec<String>], text: Index, edits: &[Edit]) -> String {
    let mut lines: Vec<String> = texts[text.index(texts.len())].to_vec();
    for edit in edits {
        match *edit {
            Edit::Remove(at) if lines.len() > 6 => drop(lines.remove(5 + at.index(lines.len() - 5))),
            Edit::Remove(_) => {}
            Edit::Move(from, to) => {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(to.index(lines.len() + 1), line);
            }
            Edit::Double(from, to) => lines.insert(to.index(lines.len() + 1), lines[from.index(lines.len())].clone()),
            Edit::Borrow(text, from, to) => {
                let other = &texts[text.index(texts.len())];
                lines.insert(to.index(lines.len() + 1), other[from.index(other.len())].clone());
            }
            Edit::Mix(text, from, to) => {
                let other = &texts[text.index(texts.len())];
                let start = |line: &str| line.split_inclusive([':', ' ']).next().unwrap_or_default().to_owned();
                let line = &other[from.index(other.len())];
                let like: Vec<usize> = (0..lines.len()).filter(|place| start(&lines[*place]) == start(line)).collect();
                if !like.is_empty() {
                    lines[like[to.index(like.len())]] = line.clone();
                }
            }
        }
    }
    lines.join("\r\n") + "\r\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stanza_comes_back_in_normal_form(jingle in strategies::jingle(strategies::Text::Line), is_answer: bool) {
        let jingle = sayable(jingle, is_answer);
        if is_whole(&jingle) {
            let party = if is_answer { Party::Responder } else { Party::Initiator };
            let expected = normal_jingle(jingle.clone(), party);
            prop_assert_eq!(there_and_back(&jingle, party), expected.clone());
            prop_assert_eq!(there_and_back(&expected, party), expected);
        }
    }

    #[test]
    fn edited_descriptions_come_back_in_normal_form(text: Index, edits in proptest::collection::vec(edit(), 1..12), is_answer: bool) {
        static TEXTS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
        let whole = |(_, text, lines): (String, String, SessionDescription)| {
            lines.origin.map(|_| text.lines().map(ToOwned::to_owned).collect())
        };
        let texts = TEXTS.get_or_init(|| corpus::descriptions().into_iter().filter_map(whole).collect());
        let text = edited(texts, text, &edits);
        let party = if is_answer { Party::Responder } else { Party::Initiator };
        if let Some((lines, (description, _))) = parse(&text).ok().and_then(|lines| Some((lines.clone(), from_sdp(lines, party, None).ok()?))) {
            comes_back(&text, lines, &description);
        }
    }
}
