//! STUN messages: RFC 8489 §5 (header) and §14 (attributes), read in place and written into one buffer.
//!
//! The wire format is read and written here, without an allocation per attribute; stun-rs derives the long-term keys
//! (`integrity.rs`) and is the oracle of this module's tests. Not done: RFC 3489 compatibility (§11), ALTERNATE-SERVER (§10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub mod discovery;
pub mod fuzz;
pub mod integrity;
pub mod turn;

use integrity::{Integrity, Key};

/// Bytes of the header (§5).
pub const HEADER_BYTES: usize = 20;
/// The fixed value that tells STUN from other protocols (§5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Type and length of an attribute.
pub const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Different unknown attributes listed in one 420 response; a request with more of them is told of the first ones.
const UNKNOWN_MAX: usize = 32;
/// Room for what most messages have.
const MESSAGE_BYTES: usize = 192;

/// What a message is (§5): the two class bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks for a response.
    Request,
    /// Wants no response.
    Indication,
    /// A success response.
    Success,
    /// An error response.
    Error,
}

/// What a message is about (§5): twelve bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(pub u16);

impl Method {
    /// Binding (RFC 8489 §3).
    pub const BINDING: Self = Self(0x001);
}

/// The type of an attribute (§14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// MAPPED-ADDRESS (§14.1).
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// USERNAME (§14.3).
    pub const USERNAME: Self = Self(0x0006);
    /// MESSAGE-INTEGRITY (§14.5).
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// ERROR-CODE (§14.8).
    pub const ERROR_CODE: Self = Self(0x0009);
    /// UNKNOWN-ATTRIBUTES (§14.13).
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000A);
    /// REALM (§14.9).
    pub const REALM: Self = Self(0x0014);
    /// NONCE (§14.10).
    pub const NONCE: Self = Self(0x0015);
    /// MESSAGE-INTEGRITY-SHA256 (§14.6).
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// PASSWORD-ALGORITHM (§14.12).
    pub const PASSWORD_ALGORITHM: Self = Self(0x001D);
    /// USERHASH (§14.4).
    pub const USERHASH: Self = Self(0x001E);
    /// XOR-MAPPED-ADDRESS (§14.2).
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// PASSWORD-ALGORITHMS (§14.11).
    pub const PASSWORD_ALGORITHMS: Self = Self(0x8002);
    /// SOFTWARE (§14.14).
    pub const SOFTWARE: Self = Self(0x8022);
    /// FINGERPRINT (§14.7).
    pub const FINGERPRINT: Self = Self(0x8028);

    /// Whether an agent that does not know the attribute must refuse the message (§14).
    pub fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

/// The 96 bits that join a response to its request (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// An error code (§14.8), from 300 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// Bad Request (RFC 8489 §14.8).
    pub const BAD_REQUEST: Self = Self(400);
    /// Unauthenticated (RFC 8489 §14.8).
    pub const UNAUTHENTICATED: Self = Self(401);
    /// Forbidden (RFC 8656 §19).
    pub const FORBIDDEN: Self = Self(403);
    /// Unknown Attribute (RFC 8489 §14.8).
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// Mobility Forbidden (RFC 8016 §3.4).
    pub const MOBILITY_FORBIDDEN: Self = Self(405);
    /// Allocation Mismatch (RFC 8656 §19).
    pub const ALLOCATION_MISMATCH: Self = Self(437);
    /// Stale Nonce (RFC 8489 §14.8).
    pub const STALE_NONCE: Self = Self(438);
    /// Address Family not Supported (RFC 8656 §19).
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: Self = Self(440);
    /// Wrong Credentials (RFC 8656 §19).
    pub const WRONG_CREDENTIALS: Self = Self(441);
    /// Unsupported Transport Protocol (RFC 8656 §19).
    pub const UNSUPPORTED_TRANSPORT: Self = Self(442);
    /// Peer Address Family Mismatch (RFC 8656 §19).
    pub const PEER_ADDRESS_FAMILY_MISMATCH: Self = Self(443);
    /// Connection Already Exists (RFC 6062 §6.3).
    pub const CONNECTION_ALREADY_EXISTS: Self = Self(446);
    /// Connection Timeout or Failure (RFC 6062 §6.3).
    pub const CONNECTION_TIMEOUT_OR_FAILURE: Self = Self(447);
    /// Allocation Quota Reached (RFC 8656 §19).
    pub const QUOTA_REACHED: Self = Self(486);
    /// Server Error (RFC 8489 §14.8).
    pub const SERVER_ERROR: Self = Self(500);
    /// Insufficient Capacity (RFC 8656 §19).
    pub const INSUFFICIENT_CAPACITY: Self = Self(508);

    /// The reason phrase recommended by the RFC that defines the code.
    pub fn reason(self) -> &'static str {
        match self.0 {
            400 => "Bad Request",
            401 => "Unauthenticated",
            403 => "Forbidden",
            405 => "Mobility Forbidden",
            420 => "Unknown Attribute",
            437 => "Allocation Mismatch",
            438 => "Stale Nonce",
            440 => "Address Family not Supported",
            441 => "Wrong Credentials",
            442 => "Unsupported Transport Protocol",
            443 => "Peer Address Family Mismatch",
            446 => "Connection Already Exists",
            447 => "Connection Timeout or Failure",
            486 => "Allocation Quota Reached",
            500 => "Server Error",
            508 => "Insufficient Capacity",
            _ => "Error",
        }
    }
}

/// Why bytes are not a STUN message. None of these gets an answer (§6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer bytes than a header.
    #[error("shorter than a STUN header")]
    Short,
    /// The first two bits are not zero, or the cookie is another.
    #[error("not STUN")]
    NotStun,
    /// The length field and the bytes disagree, or it is no multiple of four.
    #[error("wrong length field")]
    Length,
    /// An attribute reaches past the end.
    #[error("attribute past the end of the message")]
    AttributeLength,
    /// An integrity attribute of impossible size, or a FINGERPRINT that is not the last attribute.
    #[error("misplaced or malformed integrity attribute")]
    Integrity,
    /// The FINGERPRINT does not match (§7).
    #[error("wrong FINGERPRINT")]
    Fingerprint,
}

/// An attribute whose value does not have the form its type demands: 400 in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed attribute {0:?}")]
pub struct Malformed(pub AttributeType);

/// A STUN message over the bytes it was received in.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    /// Where the attributes end that count: at the first integrity attribute (§14.5), else at FINGERPRINT, else at the end.
    attributes_end: usize,
    sha1_at: Option<usize>,
    sha256_at: Option<usize>,
    has_fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads `bytes`, which must be one message and nothing else, as in a datagram; checks FINGERPRINT where there is one.
    ///
    /// # Errors
    /// See [`ParseError`]; a message that fails is to be dropped silently (§6.3).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(ParseError::Short)?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        if kind & 0xC000 != 0 || header[4..8] != MAGIC_COOKIE.to_be_bytes() {
            return Err(ParseError::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if !length.is_multiple_of(4) || HEADER_BYTES + length != bytes.len() {
            return Err(ParseError::Length);
        }
        let (class, method) = class_and_method(kind);
        let mut message =
            Self { bytes, class, method, attributes_end: bytes.len(), sha1_at: None, sha256_at: None, has_fingerprint: false };
        message.find_integrity()?;
        Ok(message)
    }

    /// Walks all attributes once: bounds, where the integrity attributes stand, FINGERPRINT.
    fn find_integrity(&mut self) -> Result<(), ParseError> {
        let mut at = HEADER_BYTES;
        let mut protected_end = None;
        while at < self.bytes.len() {
            let (kind, value) = attribute_at(self.bytes, at).ok_or(ParseError::AttributeLength)?;
            let next = at + ATTRIBUTE_HEADER_BYTES + value.len().next_multiple_of(4);
            if next > self.bytes.len() {
                return Err(ParseError::AttributeLength);
            }
            match kind {
                AttributeType::MESSAGE_INTEGRITY if self.sha1_at.is_none() && self.sha256_at.is_none() => {
                    if value.len() != 20 {
                        return Err(ParseError::Integrity);
                    }
                    self.sha1_at = Some(at);
                    protected_end = protected_end.or(Some(at));
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.sha256_at.is_none() => {
                    // §14.6: may be cut to 16 bytes at the least, in multiples of four; `verify` takes none that is.
                    if !(16..=32).contains(&value.len()) || !value.len().is_multiple_of(4) {
                        return Err(ParseError::Integrity);
                    }
                    self.sha256_at = Some(at);
                    protected_end = protected_end.or(Some(at));
                }
                AttributeType::FINGERPRINT => {
                    if next != self.bytes.len() || value.len() != 4 {
                        return Err(ParseError::Integrity);
                    }
                    if value != integrity::fingerprint(&self.bytes[..at]).to_be_bytes() {
                        return Err(ParseError::Fingerprint);
                    }
                    self.has_fingerprint = true;
                    protected_end = protected_end.or(Some(at));
                }
                _ => {}
            }
            at = next;
        }
        self.attributes_end = protected_end.unwrap_or(self.bytes.len());
        Ok(())
    }

    /// The bytes that it was read from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Request, indication or response.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The transaction.
    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER_BYTES]);
        TransactionId(id)
    }

    /// Whether the message carried a FINGERPRINT (which then was right).
    pub fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Whether the message carries MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, right or wrong.
    pub fn has_integrity(&self) -> bool {
        self.sha1_at.is_some() || self.sha256_at.is_some()
    }

    /// Which integrity attribute counts: MESSAGE-INTEGRITY-SHA256 where it is present (§9.2.4).
    pub fn integrity(&self) -> Option<Integrity> {
        match (self.sha256_at, self.sha1_at) {
            (Some(_), _) => Some(Integrity::Sha256),
            (None, Some(_)) => Some(Integrity::Sha1),
            (None, None) => None,
        }
    }

    /// The attributes before the first integrity attribute; those after it must be ignored (§14.5, §14.6).
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { bytes: &self.bytes[..self.attributes_end], at: HEADER_BYTES }
    }

    /// The value of the first attribute of this type.
    pub fn get(&self, wanted: AttributeType) -> Option<&'a [u8]> {
        self.attributes().find_map(|(kind, value)| (kind == wanted).then_some(value))
    }

    /// Where the value of the first attribute of this type stands in the message's bytes.
    pub fn range_of(&self, wanted: AttributeType) -> Option<std::ops::Range<usize>> {
        let value = self.get(wanted)?;
        let start = value.as_ptr().addr() - self.bytes.as_ptr().addr();
        Some(start..start + value.len())
    }

    /// A fixed-size value.
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn get_array<const N: usize>(&self, wanted: AttributeType) -> Result<Option<[u8; N]>, Malformed> {
        self.get(wanted).map(|value| value.try_into().map_err(|_| Malformed(wanted))).transpose()
    }

    /// A 32-bit value, such as LIFETIME.
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn get_u32(&self, wanted: AttributeType) -> Result<Option<u32>, Malformed> {
        Ok(self.get_array(wanted)?.map(u32::from_be_bytes))
    }

    /// An address in the form of XOR-MAPPED-ADDRESS (§14.2).
    ///
    /// # Errors
    /// The attribute is there, but is no address.
    pub fn get_xor_address(&self, wanted: AttributeType) -> Result<Option<SocketAddr>, Malformed> {
        self.get(wanted).map(|value| self.read_xor_address(value).ok_or(Malformed(wanted))).transpose()
    }

    /// Reads one value in the form of XOR-MAPPED-ADDRESS (§14.2).
    pub fn read_xor_address(&self, value: &[u8]) -> Option<SocketAddr> {
        let port = u16::from_be_bytes([*value.get(2)?, *value.get(3)?]) ^ (MAGIC_COOKIE >> 16) as u16;
        let ip = match (value[1], value.len()) {
            (1, 8) => {
                let bits = u32::from_be_bytes(value[4..8].try_into().ok()?);
                IpAddr::V4(Ipv4Addr::from_bits(bits ^ MAGIC_COOKIE))
            }
            (2, 20) => {
                let bits = u128::from_be_bytes(value[4..20].try_into().ok()?);
                let mask = u128::from_be_bytes(self.bytes[4..HEADER_BYTES].try_into().ok()?);
                IpAddr::V6(Ipv6Addr::from_bits(bits ^ mask))
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// An address in the form of MAPPED-ADDRESS (§14.1).
    ///
    /// # Errors
    /// The attribute is there, but is no address.
    pub fn get_address(&self, wanted: AttributeType) -> Result<Option<SocketAddr>, Malformed> {
        self.get(wanted).map(|value| read_address(value).ok_or(Malformed(wanted))).transpose()
    }

    /// The error code of an error response.
    pub fn error_code(&self) -> Option<ErrorCode> {
        let value = self.get(AttributeType::ERROR_CODE)?;
        let (class, number) = (value.get(2)? & 0x7, *value.get(3)?);
        ((3..=6).contains(&class) && number < 100).then(|| ErrorCode(u16::from(class) * 100 + u16::from(number)))
    }

    /// The comprehension-required attributes that `known` does not know, each once, at most 32 of them (420, §6.3.1).
    pub fn unknown_attributes(&self, known: impl Fn(AttributeType) -> bool) -> Vec<AttributeType> {
        let mut unknown = Vec::new();
        for (kind, _) in self.attributes() {
            if kind.is_comprehension_required() && !known(kind) && !unknown.contains(&kind) && unknown.len() < UNKNOWN_MAX {
                unknown.push(kind);
            }
        }
        unknown
    }

    /// Whether the message was made with `key`; by MESSAGE-INTEGRITY-SHA256 where it is present (§9.2.4). False without either.
    pub fn verify(&self, key: &Key) -> bool {
        match (self.sha256_at, self.sha1_at) {
            (Some(at), _) => integrity::verify(self.bytes, at, key, Integrity::Sha256),
            (None, Some(at)) => integrity::verify(self.bytes, at, key, Integrity::Sha1),
            (None, None) => false,
        }
    }
}

/// Iterator over (type, value); see [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (AttributeType, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value) = attribute_at(self.bytes, self.at)?;
        self.at += ATTRIBUTE_HEADER_BYTES + value.len().next_multiple_of(4);
        Some((kind, value))
    }
}

/// Reads one value in the form of MAPPED-ADDRESS (§14.1).
fn read_address(value: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes([*value.get(2)?, *value.get(3)?]);
    let ip = match (value[1], &value[4..]) {
        (1, octets) => IpAddr::from(<[u8; 4]>::try_from(octets).ok()?),
        (2, octets) => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn attribute_at(bytes: &[u8], at: usize) -> Option<(AttributeType, &[u8])> {
    let header = bytes.get(at..)?.first_chunk::<ATTRIBUTE_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let start = at + ATTRIBUTE_HEADER_BYTES;
    let value = bytes.get(start..start + length)?;
    Some((AttributeType(u16::from_be_bytes([header[0], header[1]])), value))
}

fn class_and_method(kind: u16) -> (Class, Method) {
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    (class, Method((kind & 0x000F) | ((kind >> 1) & 0x0070) | ((kind >> 2) & 0x0F80)))
}

fn message_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | (method.0 & 0x000F) | ((method.0 & 0x0070) << 1) | ((method.0 & 0x0F80) << 2)
}

/// Writes one message; the length field is right after each call.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins a message.
    pub fn new(class: Class, method: Method, transaction: TransactionId) -> Self {
        Self::within(Vec::new(), class, method, transaction)
    }

    /// Begins a message in the memory of another one, which is forgotten.
    pub fn within(mut bytes: Vec<u8>, class: Class, method: Method, transaction: TransactionId) -> Self {
        let mut header = [0; HEADER_BYTES];
        header[..2].copy_from_slice(&message_type(class, method).to_be_bytes());
        header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        header[8..].copy_from_slice(&transaction.0);
        bytes.clear();
        bytes.reserve(MESSAGE_BYTES);
        bytes.extend_from_slice(&header);
        Self { bytes }
    }

    /// Bytes written so far.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends an attribute, padded with zeros to a multiple of four. Values are ours and far below the 64 KiB limit.
    pub fn attribute(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        debug_assert!(self.bytes.len() + value.len() < 0xFF00, "a message fits its length field");
        let ([kind_high, kind_low], [high, low]) = (kind.0.to_be_bytes(), (value.len() as u16).to_be_bytes());
        self.bytes.reserve(ATTRIBUTE_HEADER_BYTES + value.len() + 3);
        self.bytes.extend_from_slice(&[kind_high, kind_low, high, low]);
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(&[0; 3][..value.len().next_multiple_of(4) - value.len()]);
        self.set_length(self.bytes.len());
        self
    }

    /// Appends a 32-bit value.
    pub fn u32(&mut self, kind: AttributeType, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends an address in the form of XOR-MAPPED-ADDRESS (§14.2); an IPv4 address in its IPv6 mapped form is unmapped.
    pub fn xor_address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let mut value = [0; XOR_ADDRESS_BYTES_MAX];
        let mask = self.bytes[4..HEADER_BYTES].try_into().expect("a header holds 16 bytes of cookie and transaction");
        let length = write_xor_address(&mut value, address, u128::from_be_bytes(mask));
        self.attribute(kind, &value[..length])
    }

    /// Appends an address in the form of MAPPED-ADDRESS (§14.1); an IPv4 address in its IPv6 mapped form is unmapped.
    pub fn address(&mut self, kind: AttributeType, address: SocketAddr) -> &mut Self {
        let [high, low] = address.port().to_be_bytes();
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => self.attribute(kind, &[&[0, 1, high, low][..], &ip.octets()].concat()),
            IpAddr::V6(ip) => self.attribute(kind, &[&[0, 2, high, low][..], &ip.octets()].concat()),
        }
    }

    /// Appends ERROR-CODE with the recommended reason phrase (§14.8).
    pub fn error(&mut self, code: ErrorCode) -> &mut Self {
        let mut value = vec![0, 0, (code.0 / 100) as u8, (code.0 % 100) as u8];
        value.extend_from_slice(code.reason().as_bytes());
        self.attribute(AttributeType::ERROR_CODE, &value)
    }

    /// Appends UNKNOWN-ATTRIBUTES (§14.13).
    pub fn unknown_attributes(&mut self, unknown: &[AttributeType]) -> &mut Self {
        let value: Vec<u8> = unknown.iter().flat_map(|kind| kind.0.to_be_bytes()).collect();
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &value)
    }

    /// Appends MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 over all that was written so far (§14.5, §14.6).
    pub fn sign(&mut self, key: &Key, integrity: Integrity) -> &mut Self {
        let end = self.bytes.len();
        self.set_length(end + ATTRIBUTE_HEADER_BYTES + integrity.bytes());
        let tag = integrity::tag(&self.bytes, key, integrity);
        self.attribute(integrity.attribute(), &tag.as_ref()[..integrity.bytes()])
    }

    /// Appends FINGERPRINT (§14.7); must be the last call.
    pub fn fingerprint(&mut self) -> &mut Self {
        let end = self.bytes.len();
        self.set_length(end + ATTRIBUTE_HEADER_BYTES + 4);
        let value = integrity::fingerprint(&self.bytes);
        self.u32(AttributeType::FINGERPRINT, value)
    }

    /// The finished message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn set_length(&mut self, end: usize) {
        let length = ((end - HEADER_BYTES) as u16).to_be_bytes();
        self.bytes[2..4].copy_from_slice(&length);
    }
}

const XOR_ADDRESS_BYTES_MAX: usize = 20;

/// Writes the value of an XOR-…-ADDRESS; `mask` is cookie and transaction. Returns its length, 8 or 20.
fn write_xor_address(value: &mut [u8], address: SocketAddr, mask: u128) -> usize {
    value[0] = 0;
    value[2..4].copy_from_slice(&(address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes());
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&(ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&(ip.to_bits() ^ mask).to_be_bytes());
            20
        }
    }
}

#[cfg(test)]
mod tests;
