//! Whole descriptions.

use super::*;
use crate::sdp::{corpus, write};

#[test]
fn every_description_of_the_corpus_is_mapped() {
    for (name, _, lines) in corpus::descriptions() {
        if lines.origin.is_some() {
            let party = if name.contains("responder") { Party::Responder } else { Party::Initiator };
            let (description, _) = from_sdp(lines, party, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (again, _) = to_sdp(&description);
            assert!(crate::sdp::parse(&write(&again)).is_ok(), "{name}");
        }
    }
}
