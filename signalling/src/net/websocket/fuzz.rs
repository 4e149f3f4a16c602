//! What must hold for any bytes on a WebSocket: no panic, the same messages however they are cut, bounds kept, and answers that a client can
//! read. Run by `fuzz/fuzz_targets/websocket.rs`, and by the tests below over the corpus and what becomes of it by mutation.

use super::{Broken, Codec, Incoming};
use crate::xml::{Frame, Limits};

const LIMITS: Limits = Limits { bytes_max: 4096, depth_max: 8 };

/// Takes `data` for what arrives after the handshake.
///
/// # Panics
/// When a promise is broken.
pub fn stream(data: &[u8]) {
    let whole = messages(std::iter::once(data));
    // The first byte says where to cut once more, so that a fuzzer can choose.
    let cut = data.first().map_or(0, |byte| usize::from(*byte)).min(data.len());
    assert_eq!(whole, messages([&data[..cut], &data[cut..]].into_iter()));
    assert_eq!(whole, messages(data.chunks(1)));
}

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Incoming, Broken>> {
    let mut codec = Codec::new(LIMITS);
    let (mut messages, mut received) = (Vec::new(), 0);
    'all: for piece in pieces {
        codec.push(piece);
        received += piece.len();
        loop {
            match codec.next_incoming() {
                Ok(None) => break,
                Ok(Some(Incoming::Closed)) => {
                    messages.push(Ok(Incoming::Closed));
                    break 'all;
                }
                Ok(Some(Incoming::Frame(frame))) => {
                    if let Frame::Element(text) = &frame {
                        assert!(text.len() <= LIMITS.bytes_max && text.first() == Some(&b'<'));
                        assert!(std::str::from_utf8(text).is_ok(), "RFC 6455 §8.1");
                    }
                    messages.push(Ok(Incoming::Frame(frame)));
                }
                Err(broken) => {
                    messages.push(Err(broken));
                    break 'all;
                }
            }
        }
    }
    // What the server says from now on, whatever came before.
    codec.send(b"<close/>");
    codec.close();
    codec.close();
    assert!(codec.output().len() <= 64 + received, "pongs are no longer than pings");
    frames_of_a_server(codec.output());
    messages
}

/// RFC 6455 §5.2: whole frames without mask, a close frame at most once and last.
fn frames_of_a_server(mut bytes: &[u8]) {
    while let [first, second, rest @ ..] = bytes {
        assert!(first & 0xF0 == 0x80 && matches!(first & 0x0F, 1 | 8 | 9 | 10), "one frame is one message: {first:#x}");
        assert!(second & 0x80 == 0 && *second <= 125, "short and not masked");
        let (payload, next) = rest.split_at(usize::from(*second));
        assert!(first & 0x0F != 8 || next.is_empty(), "the close frame comes last");
        assert!(first & 0x0F != 1 || payload == b"<close/>");
        bytes = next;
    }
    assert!(bytes.is_empty());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::xml::fuzz::mutation;

    fn corpus() -> Vec<Vec<u8>> {
        mutation::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/websocket"))
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
