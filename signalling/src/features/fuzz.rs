//! What must hold for any payload that a client sends: no panic, bounds kept, and what is written of what was read reads the same again. Run by
//! `fuzz/fuzz_targets/payload.rs`, and by the tests below over the corpus and what becomes of it by mutation.

use crate::capabilities::Info;
use crate::forms::Form;
use crate::interests::Interests;
use crate::jid::Jid;
use crate::rsm;
use crate::stanza::{Framing, Stanza};
use crate::stream::sm;
use crate::time;
use crate::xml::{Bindings, Element, Node};

/// Takes `data` for one element, and for the stanza that holds it.
///
/// # Panics
/// When a promise is broken.
pub fn payload(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        texts(text);
    }
    let Ok(element) = Element::parse(data, &Bindings::client()) else { return };
    each(element.root(), 0);
    let content = element.root().to_bytes();
    let mut stanza = Stanza::message(crate::stanza::MessageType::Chat).with_child(&content);
    stanza.add_child(&content);
    assert_eq!(stanza.children().count(), 2);
    let written = stanza.to_bytes(Framing::Alone);
    let again = Stanza::parse(written, &Bindings::empty()).expect("what is written is valid");
    assert_eq!(again.children().count(), 2);
    assert_eq!(stanza.remove_children(|_| true), 2);
    assert_eq!(stanza.to_bytes(Framing::Stream), "<message type='chat'/>");
}

/// Every element in it may be what a reader is given.
fn each(node: Node<'_>, depth: usize) {
    read(node);
    if depth < 4 {
        node.children().take(8).for_each(|child| each(child, depth + 1));
    }
}

fn read(node: Node<'_>) {
    // Refusals are fine, panics are not.
    drop((Form::of(node), rsm::Request::of(node), sm::Request::read(node)));
    if let Ok(said) = Info::read(node, "") {
        let written = said.info.write(None);
        let again = Element::parse(&written, &Bindings::empty()).expect("what is written is valid");
        let again = Info::read(again.root(), "").map(|again| again.info);
        assert_eq!(again.as_ref(), Ok(&said.info), "what is written of it says the same");
        if let Some(interests) = Interests::of(&said.info) {
            assert!(interests.as_slice().is_sorted() && interests.as_slice().iter().all(|own| interests.contains(own)));
        }
    }
    super::mam::fuzz(node);
    super::push::fuzz(node);
    super::register::fuzz(node);
    crate::pubsub::fuzz::element(node);
}

fn texts(text: &str) {
    if let Ok(jid) = Jid::parse(text) {
        let again = Jid::parse(jid.as_str()).expect("what was enforced is an address");
        assert_eq!(again.as_str(), jid.as_str(), "enforcing is idempotent");
    }
    if let Some(time) = time::parse_xep0082(text) {
        assert_eq!(time::parse_xep0082(&time::xep0082(time)).map(|time| time.elapsed().is_ok()), Some(time.elapsed().is_ok()));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::xml::fuzz::mutation;

    fn corpus() -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/payload"))
    }

    #[test]
    fn the_corpus_holds_the_promises() {
        for data in corpus() {
            payload(&data);
        }
    }

    proptest! {
        #![proptest_config(mutation::config())]

        #[test]
        fn mutations_of_the_corpus_hold_the_promises(mutation in mutation::any()) {
            payload(&mutation.of(&corpus()));
        }
    }
}
