//! What must hold for any bytes: checked by this module's tests over random messages and corpora, and by the fuzz targets `stun`, `channel_data`
//! and `turn_stream`.

use super::integrity::{Key, SecurityFeatures};
use super::turn::{CHANNEL_HEADER_BYTES, Channel, Frame, channel_header, parse_channel_data, stream_frame};
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
    let _ = (message.change_request(), message.response_port(), message.get_address(AttributeType::MAPPED_ADDRESS));
    let _ = (message.peers(), message.channel_number(), message.even_port(), message.reservation_token(), message.icmp());
    let _ = (message.password_algorithm(), message.get(AttributeType::NONCE).and_then(SecurityFeatures::read));
    let _ = (message.lifetime_s(), message.requested_transport(), message.family(AttributeType::REQUESTED_ADDRESS_FAMILY));
}

/// Reads bytes as one datagram of ChannelData (RFC 8656 §12.4, §12.6), and checks the reading against the words of the RFC.
pub fn channel_data(bytes: &[u8]) {
    let number = bytes.first_chunk::<2>().map(|number| u16::from_be_bytes(*number));
    let claimed = bytes.get(2..4).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    let is_whole = claimed.is_some_and(|claimed| bytes.len() >= CHANNEL_HEADER_BYTES + claimed);
    let channel = number.and_then(Channel::new);
    assert_eq!(channel.is_some(), number.is_some_and(|number| number >> 14 == 1), "the range of RFC 5766 §11");
    let Some((read, data)) = parse_channel_data(bytes) else {
        return assert!(channel.is_none() || !is_whole, "a whole message is read");
    };
    assert!(is_whole && Some(read) == channel && Some(data.len()) == claimed && data.start == CHANNEL_HEADER_BYTES);
    let header = channel_header(read, data.len() as u16);
    assert_eq!(header, bytes[..CHANNEL_HEADER_BYTES]);
    // The same on a stream, with its padding.
    let mut padded = [&header, &bytes[data.clone()]].concat();
    padded.resize(padded.len().next_multiple_of(4), 0);
    assert_eq!(stream_frame(&padded), Frame::Whole(padded.len()));
    assert_eq!(parse_channel_data(&padded), Some((read, data)));
}

/// Takes bytes for what arrives on a TCP or TLS connection (RFC 8656 §12.5): the same frames come of them however they are cut.
pub fn stream(bytes: &[u8]) {
    let whole = frames(std::iter::once(bytes));
    // The first byte says where to cut once more, so that a fuzzer can choose.
    let cut = bytes.first().map_or(0, |byte| usize::from(*byte)).min(bytes.len());
    assert_eq!(whole, frames([&bytes[..cut], &bytes[cut..]].into_iter()));
    assert_eq!(whole, frames(bytes.chunks(1)));
    let read: usize = whole.0.iter().map(Vec::len).sum();
    assert_eq!(whole.0.concat(), bytes[..read], "nothing is left out");
    for frame in &whole.0 {
        if frame[0] & 0xC0 == 0x40 {
            assert!(parse_channel_data(frame).is_some_and(|(_, data)| data.end.next_multiple_of(4) == frame.len()));
        } else {
            // What follows the header is the message's business, its length is not.
            let error = Message::parse(frame).err();
            assert!(!matches!(error, Some(super::ParseError::Short | super::ParseError::NotStun | super::ParseError::Length)));
        }
    }
}

/// All frames, and whether the stream has come to its end by what is none.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match stream_frame(&buffer) {
                Frame::Whole(length) => frames.push(buffer.drain(..length).collect()),
                Frame::Partial => break,
                Frame::Invalid => return (frames, true),
            }
        }
        assert!(buffer.len() < HEADER_BYTES + usize::from(u16::MAX), "a frame that is waited for has a bound");
    }
    (frames, false)
}
