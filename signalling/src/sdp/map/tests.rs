//! Whole descriptions, and the normal form.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::sdp::normal::{normal, said_by_stanza};
use crate::sdp::{corpus, parse, write};

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
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

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
