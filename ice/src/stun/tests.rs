//! RFC 5769 and RFC 8489 vectors, stun-rs as the oracle, mutations and truncations.

use std::net::SocketAddr;

use proptest::prelude::*;
use stun_rs::{DecoderContextBuilder, MessageDecoderBuilder};

use super::integrity::{Integrity, Key, PasswordAlgorithm, SecurityFeatures, user_hash};
use super::turn::*;
use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// RFC 5769 §2.1: a request with short-term credentials.
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff
    80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
/// §2.2: an IPv4 response.
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
/// §2.3: an IPv6 response.
const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa
    a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
/// §2.4: a request with long-term credentials.
const REQUEST_LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014f67024656dd64a3e
    02b8e0712e85c9a28ca89666";
/// RFC 8489 appendix B.1 with its erratum: USERHASH, PASSWORD-ALGORITHM and MESSAGE-INTEGRITY-SHA256.
const REQUEST_SHA256: &str = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60
    b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000001400
    0b6578616d706c652e6f726700001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";
/// The same as the RFC prints it: its length field is wrong.
const REQUEST_SHA256_AS_PRINTED: &str = "0001009c2112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24
    819415569e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473
    410000000014000b6578616d706c652e6f726700001c0020e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01";

fn short_term() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

fn long_term(algorithm: PasswordAlgorithm) -> Key {
    Key::long_term("マトリックス", "example.org", "TheMatrIX", algorithm).unwrap()
}

fn check_vector(hex: &str, class: Class, key: &Key) -> Vec<u8> {
    let bytes = unhex(hex);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (class, Method::BINDING));
    assert!(message.verify(key), "the integrity attribute is right");
    assert!(!message.verify(&Key::short_term("another password")));
    bytes
}

#[test]
fn rfc5769_s2_1_request() {
    let bytes = check_vector(REQUEST, Class::Request, &short_term());
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_fingerprint());
    assert_eq!(message.transaction().0.as_slice(), unhex("b7e7a701bc34d686fa87dfae"));
    assert_eq!(message.get(AttributeType::USERNAME), Some(b"evtj:h6vY".as_slice()));
    assert_eq!(message.get(AttributeType::SOFTWARE), Some(b"STUN test client".as_slice()));
    assert_eq!(message.unknown_attributes(|kind| kind == AttributeType::USERNAME), [AttributeType(0x0024)]);
}

#[test]
fn rfc5769_s2_2_and_s2_3_responses() {
    for (hex, address) in [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")] {
        let bytes = check_vector(hex, Class::Success, &short_term());
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get_xor_address(AttributeType::XOR_MAPPED_ADDRESS), Ok(Some(address.parse().unwrap())));
    }
}

#[test]
fn rfc5769_s2_4_long_term_request() {
    check_vector(REQUEST_LONG_TERM, Class::Request, &long_term(PasswordAlgorithm::Md5));
}

#[test]
fn rfc8489_b_1_sha256_request() {
    let bytes = check_vector(REQUEST_SHA256, Class::Request, &long_term(PasswordAlgorithm::Sha256));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.password_algorithm(), Ok(Some(PasswordAlgorithm::Sha256)));
    assert_eq!(message.get(AttributeType::USERHASH), Some(user_hash("マトリックス", "example.org").unwrap().as_slice()));
    let (features, _) = SecurityFeatures::read(message.get(AttributeType::NONCE).unwrap()).unwrap();
    assert_eq!(features, SecurityFeatures::default());
    assert_eq!(Message::parse(&unhex(REQUEST_SHA256_AS_PRINTED)).err(), Some(ParseError::Length));
}

#[test]
fn rfc5769_response_is_written_as_printed() {
    let transaction = TransactionId(unhex("b7e7a701bc34d686fa87dfae").try_into().unwrap());
    let mut writer = Writer::new(Class::Success, Method::BINDING, transaction);
    writer.attribute(AttributeType::SOFTWARE, b"test vector");
    writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, "[::ffff:192.0.2.1]:32853".parse().unwrap());
    // The vector pads with a space where we pad with zero, so integrity and fingerprint differ: they are checked by reading.
    writer.sign(&short_term(), Integrity::Sha1).fingerprint();
    let bytes = writer.finish();
    let printed = unhex(RESPONSE_V4);
    assert_eq!(bytes[..35], printed[..35]);
    assert_eq!(bytes[36..48], printed[36..48]);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_fingerprint() && message.verify(&short_term()));
}

#[test]
fn s14_5_attributes_after_message_integrity_are_ignored() {
    let mut writer = Writer::new(Class::Request, Method::ALLOCATE, TransactionId([7; 12]));
    writer.attribute(AttributeType::USERNAME, b"first");
    writer.sign(&short_term(), Integrity::Sha1);
    writer.attribute(AttributeType::REALM, b"after").attribute(AttributeType(0x0033), b"unknown");
    writer.sign(&short_term(), Integrity::Sha256).fingerprint();
    let bytes = writer.finish();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.attributes().count(), 1);
    assert_eq!(message.get(AttributeType::REALM), None);
    assert!(message.unknown_attributes(|_| false).iter().eq([&AttributeType::USERNAME]));
    assert!(message.verify(&short_term()));
}

#[test]
fn s14_6_an_integrity_that_is_cut_proves_nothing() {
    for (bytes_max, holds) in [(32, true), (28, false), (16, false)] {
        let mut writer = Writer::new(Class::Request, Method::ALLOCATE, TransactionId([7; 12]));
        writer.attribute(AttributeType::USERNAME, b"first");
        let mut bytes = writer.finish();
        let length = (bytes.len() - HEADER_BYTES + 4 + bytes_max) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let tag = integrity::tag(&bytes, &short_term(), Integrity::Sha256);
        bytes.extend([0x00, 0x1C, 0, bytes_max as u8]);
        bytes.extend(&tag.as_ref()[..bytes_max]);
        assert_eq!(Message::parse(&bytes).unwrap().verify(&short_term()), holds, "{bytes_max} bytes");
    }
}

#[test]
fn s5_messages_that_are_no_stun() {
    let good = unhex(RESPONSE_V4);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Message::parse(&bytes).err()
    };
    assert_eq!(with(&|bytes| bytes.truncate(19)), Some(ParseError::Short));
    assert_eq!(with(&|bytes| bytes[0] |= 0x40), Some(ParseError::NotStun));
    assert_eq!(with(&|bytes| bytes[4] = 0), Some(ParseError::NotStun));
    assert_eq!(with(&|bytes| bytes.push(0)), Some(ParseError::Length));
    assert_eq!(with(&|bytes| bytes[3] -= 4), Some(ParseError::Length));
    assert_eq!(with(&|bytes| bytes[23] = 0xFF), Some(ParseError::AttributeLength));
    assert_eq!(with(&|bytes| *bytes.last_mut().unwrap() ^= 1), Some(ParseError::Fingerprint));
    assert_eq!(with(&|bytes| bytes[30] ^= 1), Some(ParseError::Fingerprint));
}

#[test]
fn s5_every_class_and_method_survives_the_type_field() {
    for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
        for method in (0..0x1000).map(Method) {
            assert_eq!(class_and_method(message_type(class, method)), (class, method));
            assert_eq!(message_type(class, method) & 0xC000, 0);
        }
    }
}

#[test]
fn s12_6_channel_data_of_wrong_length() {
    type Case = (&'static [u8], Option<(u16, std::ops::Range<usize>)>);
    let table: &[Case] = &[
        (&[0x40, 0x01, 0, 2, 9, 9], Some((0x4001, 4..6))),
        (&[0x40, 0x01, 0, 0], Some((0x4001, 4..4))),
        (&[0x40, 0x01, 0, 1, 9, 0, 0, 0], Some((0x4001, 4..5))),
        (&[0x40, 0x01, 0, 3, 9, 9], None),
        (&[0x40, 0x01, 0xFF, 0xFF, 9, 9], None),
        (&[0x40, 0x01, 0], None),
        (&[0x80, 0x01, 0, 0], None),
        (&[0x3F, 0xFF, 0, 0], None),
        (&[], None),
    ];
    for (bytes, expected) in table {
        let found = parse_channel_data(bytes).map(|(channel, range)| (channel.number(), range));
        assert_eq!(&found, expected, "{bytes:?}");
    }
}

#[test]
fn s12_5_frames_of_a_stream() {
    let stun = unhex(REQUEST);
    for end in 0..stun.len() {
        assert_eq!(stream_frame(&stun[..end]), Frame::Partial, "{end} bytes");
    }
    assert_eq!(stream_frame(&stun), Frame::Whole(stun.len()));
    assert_eq!(stream_frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5]), Frame::Partial);
    assert_eq!(stream_frame(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0x40]), Frame::Whole(12));
    assert_eq!(stream_frame(&[0x80]), Frame::Invalid);
    assert_eq!(stream_frame(&[0x16, 0x03]), Frame::Invalid, "TLS");
    assert_eq!(stream_frame(b"\0\x01\0\x03GET / HTTP/1.1"), Frame::Invalid);
}

#[test]
fn s11_3_data_indication_is_a_whole_message() {
    for (peer, data) in [("192.0.2.7:1234", vec![5; 13]), ("[2001:db8::7]:9", vec![]), ("192.0.2.7:1", vec![1; 65_507])] {
        let peer: SocketAddr = peer.parse().unwrap();
        let mut header = [0; DATA_INDICATION_HEADER_BYTES_MAX];
        let used = data_indication_header(&mut header, TransactionId([3; 12]), peer, data.len()).unwrap();
        let mut bytes = [&header[..used], &data].concat();
        bytes.resize(bytes.len() + padding(data.len()), 0);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.get_xor_address(AttributeType::XOR_PEER_ADDRESS), Ok(Some(peer)));
        assert_eq!(message.get(AttributeType::DATA), Some(data.as_slice()));
        assert_eq!(message.range_of(AttributeType::DATA), Some(used..used + data.len()));
    }
}

#[test]
fn s11_3_data_that_no_message_can_hold() {
    for (peer, data_bytes_max) in [("192.0.2.7:1", 65_516), ("[2001:db8::7]:1", 65_504)] {
        let mut header = [0; DATA_INDICATION_HEADER_BYTES_MAX];
        let mut is_held = |bytes| data_indication_header(&mut header, TransactionId([3; 12]), peer.parse().unwrap(), bytes).is_some();
        assert!(is_held(data_bytes_max) && !is_held(data_bytes_max + 1), "{peer}");
    }
}

#[test]
fn s14_1_plain_addresses() {
    for text in ["192.0.2.7:1234", "[2001:db8::7]:9"] {
        let mut writer = Writer::new(Class::Success, Method::BINDING, TransactionId([1; 12]));
        writer.address(AttributeType::MAPPED_ADDRESS, text.parse().unwrap());
        let bytes = writer.finish();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get_address(AttributeType::MAPPED_ADDRESS), Ok(Some(text.parse().unwrap())));
        assert_eq!(message.get_address(AttributeType::OTHER_ADDRESS), Ok(None));
    }
    for value in [&[][..], &[0, 1, 0, 5], &[0, 1, 0, 5, 1, 2, 3], &[0, 2, 0, 5, 1, 2, 3, 4], &[0, 3, 0, 5, 1, 2, 3, 4]] {
        assert_eq!(read_address(value), None, "{value:?}");
    }
}

#[test]
fn s14_8_error_codes() {
    let mut writer = Writer::new(Class::Error, Method::ALLOCATE, TransactionId([1; 12]));
    writer.error(ErrorCode::STALE_NONCE);
    assert_eq!(Message::parse(&writer.finish()).unwrap().error_code(), Some(ErrorCode(438)));
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

proptest! {
    /// Bytes of any kind are read without a panic, and what a message says of itself lies within it.
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::message(&bytes);
    }

    /// Each mutation and truncation of good messages, too.
    #[test]
    fn mutated_messages_are_read_without_a_panic(
        which in 0..5usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>(), mend in any::<bool>(),
    ) {
        let mut bytes = unhex([REQUEST, RESPONSE_V4, RESPONSE_V6, REQUEST_LONG_TERM, REQUEST_SHA256][which]);
        let index = at.index(bytes.len());
        bytes[index] = byte;
        bytes.truncate(end.index(bytes.len() + 1));
        if mend && bytes.len() >= HEADER_BYTES {
            bytes.truncate(bytes.len() & !3);
            let length = (bytes.len() - HEADER_BYTES) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        }
        fuzz::message(&bytes);
    }

    /// What is written is read back, by us and by stun-rs.
    #[test]
    fn written_messages_are_read_by_stun_rs(transaction in any::<[u8; 12]>(), mapped in address(), lifetime in any::<u32>(), sha256 in any::<bool>()) {
        let (integrity, algorithm, named) = match sha256 {
            false => (Integrity::Sha1, PasswordAlgorithm::Md5, stun_rs::AlgorithmId::MD5),
            true => (Integrity::Sha256, PasswordAlgorithm::Sha256, stun_rs::AlgorithmId::SHA256),
        };
        let key = Key::long_term("juliet", "example.org", "secret", algorithm).unwrap();
        let mut writer = Writer::new(Class::Success, Method::ALLOCATE, TransactionId(transaction));
        writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, mapped);
        writer.u32(AttributeType::LIFETIME, lifetime);
        writer.attribute(AttributeType::SOFTWARE, b"campanile");
        writer.sign(&key, integrity).fingerprint();
        let bytes = writer.finish();

        let ours = Message::parse(&bytes).unwrap();
        prop_assert!(ours.verify(&key));
        prop_assert_eq!(ours.get_xor_address(AttributeType::XOR_RELAYED_ADDRESS), Ok(Some(mapped)));
        prop_assert_eq!(ours.lifetime_s(), Ok(Some(lifetime)));

        let oracle_key = stun_rs::HMACKey::new_long_term("juliet", "example.org", "secret", stun_rs::Algorithm::from(named)).unwrap();
        let context = DecoderContextBuilder::default().with_key(oracle_key).with_validation().not_ignore().build();
        let decoder = MessageDecoderBuilder::default().with_context(context).build();
        let (theirs, size) = decoder.decode(&bytes).expect("stun-rs reads and validates it");
        prop_assert_eq!(size, bytes.len());
        prop_assert_eq!(theirs.transaction_id().as_bytes(), &transaction);
        let relayed = theirs.get::<stun_rs::attributes::turn::XorRelayedAddress>().unwrap().expect_xor_relayed_address();
        prop_assert_eq!(*relayed.socket_address(), mapped);
    }

    /// Reads of ours agree with stun-rs on messages that it writes.
    #[test]
    fn messages_of_stun_rs_are_read(peer in address(), data in proptest::collection::vec(any::<u8>(), 0..100)) {
        let message = stun_rs::StunMessageBuilder::new(stun_rs::methods::SEND, stun_rs::MessageClass::Indication)
            .with_attribute(stun_rs::attributes::turn::XorPeerAddress::from(peer))
            .with_attribute(stun_rs::attributes::turn::Data::new(data.clone()))
            .build();
        let mut buffer = [0; 300];
        let size = stun_rs::MessageEncoderBuilder::default().build().encode(&mut buffer, &message).unwrap();
        let ours = Message::parse(&buffer[..size]).unwrap();
        prop_assert_eq!((ours.class(), ours.method()), (Class::Indication, Method::SEND));
        prop_assert_eq!(ours.peers(), Ok(vec![peer]));
        prop_assert_eq!(ours.get(AttributeType::DATA), Some(data.as_slice()));
    }
}

/// The corpus of each fuzz target of this crate, and its promises.
const TARGETS: [(&str, Promises); 3] = [("stun", fuzz::message), ("channel_data", fuzz::channel_data), ("turn_stream", fuzz::stream)];
type Promises = fn(&[u8]);

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 9, "the corpus of {target} is missing");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn the_corpora_of_the_fuzz_targets_are_read() {
    for (target, promises) in TARGETS {
        corpus(target).iter().for_each(|bytes| promises(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Two files of a corpus spliced, a few bytes changed.
    #[test]
    fn mutations_of_the_corpora_are_read(
        files in any::<[prop::sample::Index; 2]>(), splice in any::<[prop::sample::Index; 2]>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        for (target, promises) in TARGETS {
            let corpus = corpus(target);
            let (first, second) = (files[0].get(&corpus), files[1].get(&corpus));
            let mut bytes = first[..splice[0].index(first.len() + 1)].to_vec();
            bytes.extend_from_slice(&second[splice[1].index(second.len() + 1)..]);
            for (at, byte) in &edits {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            promises(&bytes);
        }
    }
}

#[test]
fn a_message_in_the_memory_of_another_is_the_same() {
    let write = |mut writer: Writer| {
        writer
            .attribute(AttributeType::SOFTWARE, b"odd")
            .xor_address(AttributeType::XOR_MAPPED_ADDRESS, "[2001:db8::1]:9".parse().unwrap());
        writer.fingerprint();
        writer.finish()
    };
    let new = write(Writer::new(Class::Success, Method::BINDING, TransactionId([7; 12])));
    assert!(Message::parse(&new).unwrap().has_fingerprint());
    for memory in [Vec::new(), vec![0xFF; 8], vec![0xFF; 1_000]] {
        assert_eq!(write(Writer::within(memory, Class::Success, Method::BINDING, TransactionId([7; 12]))), new);
    }
    let memory = vec![0xFF; 1_000];
    let at = memory.as_ptr();
    let message = write(Writer::within(memory, Class::Success, Method::BINDING, TransactionId([7; 12])));
    assert_eq!(message.as_ptr(), at);
}
