//! What must hold for any bytes: checked by this module's tests over random messages and a corpus, and by the fuzz target `stun`.

use super::integrity::{Key, SecurityFeatures};
use super::turn::{Frame, parse_channel_data, stream_frame};
use super::{AttributeType, HEADER_BYTES, Message};

/// Reads bytes in every way there is. Panics where a reading contradicts itself or the bytes; they may be of any kind.
pub fn message(bytes: &[u8]) {
    match stream_frame(bytes) {
        Frame::Whole(length) => assert!(length <= bytes.len() && length.is_multiple_of(4)),
        Frame::Partial | Frame::Invalid => {}
    }
    if let Some((channel, data)) = parse_channel_data(bytes) {
        assert!(data.end <= bytes.len() && channel.number() >= 0x4000);
    }
    let Ok(message) = Message::parse(bytes) else { return };
    assert!(matches!(stream_frame(bytes), Frame::Whole(length) if length == bytes.len()) || bytes[0] > 3);
    let mut attributes_bytes = 0;
    for (kind, value) in message.attributes() {
        attributes_bytes += 4 + value.len();
        let first = message.get(kind).expect("an attribute that is there is found");
        let range = message.range_of(kind).expect("an attribute that is there is found");
        assert_eq!(first, &bytes[range]);
        if let Some(address) = message.read_xor_address(value) {
            assert_eq!(value.len(), if address.is_ipv4() { 8 } else { 20 });
        }
    }
    assert!(attributes_bytes <= bytes.len() - HEADER_BYTES);
    let unknown = message.unknown_attributes(|kind| kind == AttributeType::USERNAME);
    assert!(unknown.iter().all(|kind| kind.is_comprehension_required()));
    let is_signed = message.verify(&Key::short_term("a password that nobody has"));
    assert!(message.has_integrity() || !is_signed);
    if let Some(code) = message.error_code() {
        assert!((300..700).contains(&code.0));
    }
    // Each is an answer or an error; none may panic.
    let _ = (message.peers(), message.channel_number(), message.even_port(), message.reservation_token(), message.icmp());
    let _ = (message.password_algorithm(), message.get(AttributeType::NONCE).and_then(SecurityFeatures::read));
    let _ = (message.lifetime_s(), message.requested_transport(), message.family(AttributeType::REQUESTED_ADDRESS_FAMILY));
}
