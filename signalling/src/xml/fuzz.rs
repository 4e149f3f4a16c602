//! What must hold for any bytes that a peer sends: no panic, the same frames however they are cut, and what is passed on reads the same again.
//! Run by `fuzz/fuzz_targets/framer.rs`, and by the tests below over the corpus and what becomes of it by mutation.

use bytes::Bytes;

use super::{Bindings, Element, Frame, Framer, Limits, XmlError, validate};
use crate::stanza::{Framing, ParseError, Stanza};

const LIMITS: Limits = Limits { bytes_max: 4096, depth_max: 32 };

/// Takes `data` for what arrives on a connection.
///
/// # Panics
/// When a promise is broken.
pub fn stream(data: &[u8]) {
    let (bindings, frames) = frames(std::iter::once(data));
    // The first byte says where to cut once more, so that a fuzzer can choose.
    let cut = data.first().map_or(0, |byte| usize::from(*byte)).min(data.len());
    assert_eq!(frames, self::frames([&data[..cut], &data[cut..]].into_iter()).1);
    assert_eq!(frames, self::frames(data.chunks(1)).1);
    for frame in &frames {
        if let Ok(Frame::Element(frame)) = frame {
            element(frame, &bindings);
        }
    }
}

/// All frames but white space, and what the last header declared.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Bindings, Vec<Result<Frame, XmlError>>) {
    let mut framer = Framer::new(LIMITS);
    let mut bindings = Bindings::empty();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Frame::Whitespace(_))) => {}
                Ok(Some(frame)) => {
                    if let Frame::Open(header) = &frame {
                        bindings = header.bindings.clone();
                    }
                    frames.push(Ok(frame));
                }
                Err(error) => {
                    frames.push(Err(error));
                    return (bindings, frames);
                }
            }
        }
    }
    (bindings, frames)
}

fn element(frame: &Bytes, bindings: &Bindings) {
    let valid = validate(frame, bindings);
    match Element::parse(frame, bindings) {
        Ok(element) => {
            assert_eq!(valid, Ok(()));
            let written = element.root().to_bytes();
            let again = Element::parse(&written, &Bindings::empty()).expect("what is written is valid");
            assert_eq!(again.root().to_bytes(), written);
        }
        Err(error) => assert_eq!(valid, Err(error)),
    }
    match Stanza::parse(frame.clone(), bindings) {
        Ok(stanza) => {
            assert!(valid.is_ok());
            let written = stanza.to_bytes(Framing::Alone);
            assert!(written.len() <= 6 * stanza.size_bytes() + 64, "only escaping the head makes it larger");
            let again = Stanza::parse(written, &Bindings::empty()).expect("what is written is valid");
            assert_eq!((again.kind(), again.from(), again.to()), (stanza.kind(), stanza.from(), stanza.to()));
            assert_eq!((again.id(), again.lang()), (stanza.id(), stanza.lang()));
            assert_eq!(again.to_bytes(Framing::Stream), stanza.to_bytes(Framing::Stream));
            for (child, other) in stanza.children().zip(again.children()) {
                assert_eq!((child.ns(), child.name(), child.text()), (other.ns(), other.name(), other.text()));
                let element = child.element().expect("validated");
                assert_eq!(element.root().to_bytes(), other.element().expect("validated").root().to_bytes());
                for (ns, name, value) in element.root().attrs().filter(|(ns, ..)| ns.is_empty()) {
                    assert_eq!(child.attr(name).as_deref(), Some(value), "{ns}");
                }
            }
        }
        Err(ParseError::Stanza(error, read)) => {
            assert_eq!(valid, Ok(()));
            if let Some(reply) = Stanza::error_for(&read, &error) {
                assert!(reply.kind() == read.kind().to_error() && reply.kind() != read.kind());
                Stanza::parse(reply.to_bytes(Framing::Alone), &Bindings::empty()).expect("an error is a valid stanza");
            }
        }
        Err(ParseError::Stream(error)) => {
            if let Err(invalid) = valid {
                assert!(error.condition == invalid.condition() || invalid == XmlError::TooMany(1000, "children of a stanza"));
            }
        }
    }
}

/// Inputs made of a corpus: two of its files spliced, a few bytes changed.
#[cfg(test)]
pub(crate) mod mutation {
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::Index;

    /// What becomes of a corpus.
    #[derive(Debug)]
    pub(crate) struct Mutation {
        files: (Index, Index),
        splice: (Index, Index),
        edits: Vec<(Index, u8, u8)>,
    }

    impl Mutation {
        /// The input.
        pub(crate) fn of(&self, corpus: &[Vec<u8>]) -> Vec<u8> {
            let (first, second) = (self.files.0.get(corpus), self.files.1.get(corpus));
            let mut data = first[..self.splice.0.index(first.len() + 1)].to_vec();
            data.extend_from_slice(&second[self.splice.1.index(second.len() + 1)..]);
            for (index, byte, what) in &self.edits {
                if data.is_empty() {
                    break;
                }
                let at = index.index(data.len());
                match what {
                    0 => data[at] = *byte,
                    1 => {
                        data.remove(at);
                    }
                    _ => data.insert(at, *byte),
                }
            }
            data
        }
    }

    /// All mutations.
    pub(crate) fn any() -> impl Strategy<Value = Mutation> {
        let index = proptest::arbitrary::any::<Index>;
        let edit = (index(), proptest::arbitrary::any::<u8>(), 0..3u8);
        ((index(), index()), (index(), index()), prop::collection::vec(edit, 0..6)).prop_map(|(files, splice, edits)| Mutation {
            files,
            splice,
            edits,
        })
    }

    /// More cases than usual; `PROPTEST_CASES` asks for more still.
    pub(crate) fn config() -> ProptestConfig {
        let default = ProptestConfig::default();
        ProptestConfig { cases: default.cases.max(1_000), failure_persistence: None, ..default }
    }

    /// The files of a folder.
    pub(crate) fn corpus(folder: &Path) -> Vec<Vec<u8>> {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 10, "the corpus is missing");
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn corpus() -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/framer"))
    }

    #[test]
    fn the_corpus_holds_the_promises() {
        for data in corpus() {
            stream(&data);
        }
    }

    proptest! {
        #![proptest_config(mutation::config())]

        #[test]
        fn mutations_of_the_corpus_hold_the_promises(mutation in mutation::any()) {
            stream(&mutation.of(&corpus()));
        }
    }
}
