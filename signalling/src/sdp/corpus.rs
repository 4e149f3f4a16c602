//! The corpus in `tests/corpus`, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::jingle::Party;
use std::sync::OnceLock;

use super::SessionDescription;

/// All files under `folder` of the corpus with this extension, in the order of their names: name from `folder` on, and text.
pub fn texts(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sdp/../../../tests/corpus").join(folder);
    let mut paths = Vec::new();
    collect(&root, extension, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no {extension} in {}", root.display());
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    paths.iter().map(|path| (path.strip_prefix(&root).unwrap().display().to_string(), text(path))).collect()
}

fn collect(folder: &Path, extension: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, paths);
        } else if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
}

/// Who says what is in a file of this name.
pub fn party_of(name: &str) -> Party {
    if name.contains("responder") { Party::Responder } else { Party::Initiator }
}

/// Not SDP, or wrong in print: what their errors say.
const WRONG: &[(&str, &str)] = &[
    ("draft-ietf-rtcweb-sdp/5.2.9-1-initiator-offer.sdp", "line 48: a=candidate: expected a port from 0 to 65535, found \"71775\""),
    ("rfc-4475/test.sdp", "line 2: expected a letter and =, found \"testing=123\""),
];

/// The descriptions of the corpus and its fragments, with their names, as read; without those that are wrong.
pub fn descriptions() -> Vec<Described> {
    static DESCRIPTIONS: OnceLock<Vec<Described>> = OnceLock::new();
    DESCRIPTIONS.get_or_init(read).clone()
}

/// Name, text, and what is read.
type Described = (String, String, SessionDescription);

fn read() -> Vec<Described> {
    let mut descriptions = Vec::new();
    for (name, text) in texts("sdp", "sdp") {
        let read = if text.starts_with("v=0") { super::parse(&text) } else { super::parse_fragment(&text) };
        match (read, WRONG.iter().find(|(wrong, _)| *wrong == name)) {
            (Ok(read), None) => descriptions.push((name, text, read)),
            (Err(error), Some((_, expected))) => assert_eq!(error.to_string(), *expected, "{name}"),
            (read, _) => panic!("{name}: {read:?}"),
        }
    }
    descriptions
}

#[test]
fn every_description_is_read() {
    assert!(descriptions().len() > 250);
}
