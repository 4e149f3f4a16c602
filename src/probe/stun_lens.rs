//! What the probe reads of the STUN and TURN messages that pass by it: RFC 8489 §5 and §14, RFC 8656 §12 and §18.
//!
//! The probe asks and answers nothing here but one Binding request; the rest is looked at, so that a refusal can be told in words. It is
//! deliberately not built on the code that the server uses: a mistake shared by both ends would not show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;
/// Longest message on a stream: a ChannelData or STUN message's 16-bit length, its header, padding.
pub const MESSAGE_BYTES_MAX: usize = HEADER_BYTES + 65_535 + 3;

/// Identifies a request and its answer.
pub type TransactionId = [u8; 12];

/// Lengths of the first message of a stream (RFC 8656 §3.1, §12.5): of the message itself, and with the padding that follows it on a stream.
/// `Ok(None)` when the first four bytes are not there yet.
///
/// # Errors
/// Bytes that begin neither a STUN message nor ChannelData: the stream cannot be followed any further.
pub fn first_message(stream: &[u8]) -> Result<Option<(usize, usize)>, NotTurn> {
    let Some((header, _)) = stream.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    match header[0] >> 6 {
        0b00 if length.is_multiple_of(4) => Ok(Some((HEADER_BYTES + length, HEADER_BYTES + length))),
        0b01 if header[0] <= 0x4f => Ok(Some((4 + length, 4 + length.next_multiple_of(4)))),
        _ => Err(NotTurn),
    }
}

/// A stream that carries something other than STUN and ChannelData.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTurn;

/// Class of a STUN message (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Asks.
    Request,
    /// Neither asks nor answers.
    Indication,
    /// Answers with success.
    Success,
    /// Answers with an error.
    Error,
}

/// Methods that the probe meets (RFC 8489 §18.2, RFC 8656 §17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// STUN Binding.
    Binding,
    /// TURN Allocate.
    Allocate,
    /// TURN Refresh.
    Refresh,
    /// TURN CreatePermission.
    CreatePermission,
    /// TURN ChannelBind.
    ChannelBind,
    /// Any other.
    Other(u16),
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Method::Binding => f.write_str("Binding"),
            Method::Allocate => f.write_str("Allocate"),
            Method::Refresh => f.write_str("Refresh"),
            Method::CreatePermission => f.write_str("CreatePermission"),
            Method::ChannelBind => f.write_str("ChannelBind"),
            Method::Other(method) => write!(f, "method {method:#05x}"),
        }
    }
}

/// One STUN message, read in place.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its class.
    pub class: Class,
    /// Its method.
    pub method: Method,
    /// Its transaction.
    pub transaction: TransactionId,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a whole datagram; `None` when it is no STUN message.
    pub fn parse(datagram: &'a [u8]) -> Option<Message<'a>> {
        let (header, attributes) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let type_ = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if type_ & 0xc000 != 0 || header[4..8] != MAGIC_COOKIE || length != attributes.len() {
            return None;
        }
        let class = match (type_ & 0x0100 != 0, type_ & 0x0010 != 0) {
            (false, false) => Class::Request,
            (false, true) => Class::Indication,
            (true, false) => Class::Success,
            (true, true) => Class::Error,
        };
        let method = match (type_ & 0x000f) | ((type_ & 0x00e0) >> 1) | ((type_ & 0x3e00) >> 2) {
            0x001 => Method::Binding,
            0x003 => Method::Allocate,
            0x004 => Method::Refresh,
            0x008 => Method::CreatePermission,
            0x009 => Method::ChannelBind,
            other => Method::Other(other),
        };
        let mut transaction = TransactionId::default();
        transaction.copy_from_slice(&header[8..]);
        Some(Message { class, method, transaction, attributes })
    }

    /// The value of the first attribute of this type (RFC 8489 §14).
    fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.attributes;
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = after.get(..length)?;
            if u16::from_be_bytes([head[0], head[1]]) == wanted {
                return Some(value);
            }
            rest = after.get(length.next_multiple_of(4)..)?;
        }
        None
    }

    /// Does it carry MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 (§14.5, §14.6)?
    pub fn is_authenticated(&self) -> bool {
        self.attribute(0x0008).is_some() || self.attribute(0x001c).is_some()
    }

    /// ERROR-CODE (§14.8): the code and the server's reason phrase.
    pub fn error(&self) -> Option<(u16, String)> {
        let (head, reason) = self.attribute(0x0009)?.split_first_chunk::<4>()?;
        let code = u16::from(head[2] & 0x07) * 100 + u16::from(head[3]);
        Some((code, String::from_utf8_lossy(reason).into_owned()))
    }

    /// XOR-MAPPED-ADDRESS (§14.2).
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.xor_address(0x0020)
    }

    /// XOR-RELAYED-ADDRESS (RFC 8656 §18.5).
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.xor_address(0x0016)
    }

    /// LIFETIME (RFC 8656 §18.2).
    pub fn lifetime(&self) -> Option<Duration> {
        let seconds = self.attribute(0x000d)?.first_chunk::<4>()?;
        Some(Duration::from_secs(u64::from(u32::from_be_bytes(*seconds))))
    }

    fn xor_address(&self, wanted: u16) -> Option<SocketAddr> {
        let (head, address) = self.attribute(wanted)?.split_first_chunk::<4>()?;
        let port = u16::from_be_bytes([head[2] ^ MAGIC_COOKIE[0], head[3] ^ MAGIC_COOKIE[1]]);
        let mask = MAGIC_COOKIE.iter().chain(&self.transaction);
        let mut plain = [0u8; 16];
        for ((plain, byte), mask) in plain.iter_mut().zip(address).zip(mask) {
            *plain = byte ^ mask;
        }
        let ip: IpAddr = match (head[1], address.len()) {
            (0x01, 4) => Ipv4Addr::new(plain[0], plain[1], plain[2], plain[3]).into(),
            (0x02, 16) => Ipv6Addr::from(plain).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

/// A Binding request without attributes (RFC 8489 §2).
pub fn binding_request(transaction: TransactionId) -> [u8; HEADER_BYTES] {
    let mut request = [0u8; HEADER_BYTES];
    request[1] = 0x01;
    request[4..8].copy_from_slice(&MAGIC_COOKIE);
    request[8..].copy_from_slice(&transaction);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.2: the sample IPv4 response.
    const SAMPLE_IPV4: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\x80\x22\x00\x0btest vector\x20\
        \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\
        \xe7\xd7\x80\x28\x00\x04\xc0\x7d\x4c\x96";

    #[test]
    fn rfc5769_s2_2_the_sample_response_is_read() {
        let message = Message::parse(SAMPLE_IPV4).expect("a STUN message");
        assert_eq!((message.class, message.method), (Class::Success, Method::Binding));
        assert_eq!(message.mapped(), Some("192.0.2.1:32853".parse().expect("an address")));
        assert!(message.is_authenticated());
        assert_eq!((message.error(), message.lifetime(), message.relayed()), (None, None, None));
    }

    #[test]
    fn s14_8_an_error_code_is_class_times_100_plus_number() {
        let mut wire = vec![0x01, 0x13, 0, 16];
        wire.extend_from_slice(&MAGIC_COOKIE);
        wire.extend_from_slice(&[7; 12]);
        wire.extend_from_slice(&[0, 9, 0, 10, 0, 0, 4, 37, b'M', b'i', b's', b'm', b'.', b'!', 0, 0]);
        let message = Message::parse(&wire).expect("a STUN message");
        assert_eq!((message.class, message.method), (Class::Error, Method::Allocate));
        assert_eq!(message.error(), Some((437, "Mism.!".into())));
    }

    #[test]
    fn our_request_reads_back() {
        let request = binding_request([9; 12]);
        let message = Message::parse(&request).expect("a STUN message");
        assert_eq!((message.class, message.method, message.transaction), (Class::Request, Method::Binding, [9; 12]));
        assert!(!message.is_authenticated());
    }

    #[test]
    fn s12_5_messages_on_a_stream_delimit_themselves() {
        type Case = (&'static [u8], Result<Option<(usize, usize)>, NotTurn>);
        let cases: &[Case] = &[
            (&[], Ok(None)),
            (&[0x40, 0x00, 0x00], Ok(None)),
            (&[0x00, 0x01, 0x00, 0x08], Ok(Some((28, 28)))),
            (&[0x00, 0x01, 0x00, 0x07], Err(NotTurn)), // STUN attributes are padded, its length is too
            (&[0x40, 0x00, 0x00, 0x05], Ok(Some((9, 12)))),
            (&[0x4f, 0xff, 0xff, 0xff], Ok(Some((65_539, 65_540)))),
            (&[0x40, 0x00, 0x00, 0x00], Ok(Some((4, 4)))),
            (b"HTTP", Ok(Some((4 + 0x5450, 4 + 0x5450)))), // 'H' looks like a channel
            (&[0x50, 0x00, 0x00, 0x04], Err(NotTurn)),     // reserved channel numbers (RFC 8656 §12)
            (&[0x80, 0x00, 0x00, 0x00], Err(NotTurn)),
            (&[0x16, 0x03, 0x01, 0x02], Err(NotTurn)), // a TLS record
        ];
        for (stream, expected) in cases {
            assert_eq!(first_message(stream), *expected, "{stream:02x?}");
        }
    }

    #[test]
    fn truncated_messages_are_refused_or_read_without_their_attributes() {
        for length in 0..SAMPLE_IPV4.len() {
            assert!(Message::parse(&SAMPLE_IPV4[..length]).is_none(), "{length}");
        }
        let mut lying = SAMPLE_IPV4.to_vec();
        lying[23] = 0xff; // SOFTWARE claims to be longer than the message
        assert_eq!(Message::parse(&lying).and_then(|message| message.mapped()), None);
    }
}
