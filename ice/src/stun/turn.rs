//! What TURN adds to STUN: methods, attributes (RFC 8656 §17, §18) and the ChannelData message (§12.4).

use std::net::SocketAddr;

use super::{
    ATTRIBUTE_HEADER_BYTES, AttributeType, Class, HEADER_BYTES, MAGIC_COOKIE, Malformed, Message, Method, TransactionId, message_type,
    write_xor_address,
};

impl Method {
    /// Allocate (RFC 8656 §7).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656 §8).
    pub const REFRESH: Self = Self(0x004);
    /// Send, an indication (RFC 8656 §11).
    pub const SEND: Self = Self(0x006);
    /// Data, an indication (RFC 8656 §11).
    pub const DATA: Self = Self(0x007);
    /// CreatePermission (RFC 8656 §10).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind (RFC 8656 §12).
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062 §4.3).
    pub const CONNECT: Self = Self(0x00A);
    /// ConnectionBind (RFC 6062 §4.3).
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// ConnectionAttempt, an indication (RFC 6062 §4.4).
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);
}

impl AttributeType {
    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    pub const CHANNEL_NUMBER: Self = Self(0x000C);
    /// LIFETIME, seconds (RFC 8656 §18.2).
    pub const LIFETIME: Self = Self(0x000D);
    /// XOR-PEER-ADDRESS (RFC 8656 §18.3).
    pub const XOR_PEER_ADDRESS: Self = Self(0x0012);
    /// DATA (RFC 8656 §18.4).
    pub const DATA: Self = Self(0x0013);
    /// XOR-RELAYED-ADDRESS (RFC 8656 §18.5).
    pub const XOR_RELAYED_ADDRESS: Self = Self(0x0016);
    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    pub const REQUESTED_ADDRESS_FAMILY: Self = Self(0x0017);
    /// EVEN-PORT (RFC 8656 §18.7).
    pub const EVEN_PORT: Self = Self(0x0018);
    /// REQUESTED-TRANSPORT (RFC 8656 §18.8).
    pub const REQUESTED_TRANSPORT: Self = Self(0x0019);
    /// DONT-FRAGMENT (RFC 8656 §18.9).
    pub const DONT_FRAGMENT: Self = Self(0x001A);
    /// RESERVATION-TOKEN (RFC 8656 §18.10).
    pub const RESERVATION_TOKEN: Self = Self(0x0022);
    /// CONNECTION-ID (RFC 6062 §6.2.1).
    pub const CONNECTION_ID: Self = Self(0x002A);
    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11).
    pub const ADDITIONAL_ADDRESS_FAMILY: Self = Self(0x8000);
    /// ADDRESS-ERROR-CODE (RFC 8656 §18.12).
    pub const ADDRESS_ERROR_CODE: Self = Self(0x8001);
    /// ICMP (RFC 8656 §18.13).
    pub const ICMP: Self = Self(0x8004);
    /// MOBILITY-TICKET (RFC 8016 §3.3).
    pub const MOBILITY_TICKET: Self = Self(0x8030);
}

/// REQUESTED-TRANSPORT's value for UDP (RFC 8656 §18.8).
pub const TRANSPORT_UDP: u8 = 17;
/// REQUESTED-TRANSPORT's value for TCP (RFC 6062 §4.1).
pub const TRANSPORT_TCP: u8 = 6;

/// An address family as attributes write it (RFC 8656 §18.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4, 0x01.
    V4,
    /// IPv6, 0x02.
    V6,
}

impl Family {
    /// The family of an address; IPv4 in its IPv6 mapped form is IPv4.
    pub fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The octet on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}

/// What REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY may say (RFC 8656 §18.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedFamily {
    /// One that the RFC knows.
    Known(Family),
    /// Another value: 440.
    Unknown(u8),
}

/// The ICMP attribute (RFC 8656 §18.13): why a datagram to a peer was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type; ICMPv4's or ICMPv6's, as the peer's address is.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The next hop's MTU where the datagram was too big, else 0.
    pub error_data: u32,
}

impl Icmp {
    /// A datagram was longer than the next link takes (RFC 1191 §4, RFC 4443 §3.2).
    pub fn too_big(family: Family, mtu_bytes: u32) -> Self {
        match family {
            Family::V4 => Self { kind: 3, code: 4, error_data: mtu_bytes },
            Family::V6 => Self { kind: 2, code: 0, error_data: mtu_bytes },
        }
    }

    /// The attribute's value.
    pub fn value(self) -> [u8; 8] {
        let [a, b, c, d] = self.error_data.to_be_bytes();
        [0, 0, self.kind, self.code, a, b, c, d]
    }
}

/// A channel number between 0x4000 and 0x7FFF.
///
/// RFC 8656 §12 hands out 0x4000 to 0x4FFF; clients of RFC 5766 §11 use the whole range (`Channel::is_rfc8656`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u16);

impl Channel {
    /// The channel of this number; none outside of 0x4000 to 0x7FFF.
    pub fn new(number: u16) -> Option<Self> {
        (0x4000..=0x7FFF).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether the number is one that RFC 8656 allows.
    pub fn is_rfc8656(self) -> bool {
        self.0 <= 0x4FFF
    }
}

/// Bytes before the data of a ChannelData message (RFC 8656 §12.4).
pub const CHANNEL_HEADER_BYTES: usize = 4;

/// The header of a ChannelData message.
pub fn channel_header(channel: Channel, data_bytes: u16) -> [u8; CHANNEL_HEADER_BYTES] {
    let [a, b] = channel.0.to_be_bytes();
    let [c, d] = data_bytes.to_be_bytes();
    [a, b, c, d]
}

/// Reads a ChannelData message from a datagram: the channel and where its data stands.
///
/// None for a number out of range and for a datagram too short for the length it claims (RFC 8656 §12.6). What follows the data
/// is padding.
pub fn parse_channel_data(bytes: &[u8]) -> Option<(Channel, std::ops::Range<usize>)> {
    let header = bytes.first_chunk::<CHANNEL_HEADER_BYTES>()?;
    let channel = Channel::new(u16::from_be_bytes([header[0], header[1]]))?;
    let end = CHANNEL_HEADER_BYTES + usize::from(u16::from_be_bytes([header[2], header[3]]));
    (end <= bytes.len()).then_some((channel, CHANNEL_HEADER_BYTES..end))
}

/// The most bytes that stand before the data of a Data indication.
pub const DATA_INDICATION_HEADER_BYTES_MAX: usize = HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + 20 + ATTRIBUTE_HEADER_BYTES;

/// All of a Data indication that stands before the data (RFC 8656 §11.3); the data is to be followed by
/// [`padding`]`(data_bytes)` zero bytes. Returns the bytes used; none if that would be more than a message can hold.
pub fn data_indication_header(
    header: &mut [u8; DATA_INDICATION_HEADER_BYTES_MAX],
    transaction: TransactionId,
    peer: SocketAddr,
    data_bytes: usize,
) -> Option<usize> {
    header[0..2].copy_from_slice(&message_type(Class::Indication, Method::DATA).to_be_bytes());
    header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    header[8..HEADER_BYTES].copy_from_slice(&transaction.0);
    let mask = u128::from_be_bytes(header[4..HEADER_BYTES].try_into().expect("cookie and transaction are 16 bytes"));
    let value_at = HEADER_BYTES + ATTRIBUTE_HEADER_BYTES;
    let length = write_xor_address(&mut header[value_at..], peer, mask);
    header[HEADER_BYTES..HEADER_BYTES + 2].copy_from_slice(&AttributeType::XOR_PEER_ADDRESS.0.to_be_bytes());
    header[HEADER_BYTES + 2..value_at].copy_from_slice(&(length as u16).to_be_bytes());
    let data_at = value_at + length;
    header[data_at..data_at + 2].copy_from_slice(&AttributeType::DATA.0.to_be_bytes());
    header[data_at + 2..data_at + 4].copy_from_slice(&(data_bytes as u16).to_be_bytes());
    let end = data_at + ATTRIBUTE_HEADER_BYTES;
    let message_bytes = u16::try_from(end - HEADER_BYTES + data_bytes + padding(data_bytes)).ok()?;
    header[2..4].copy_from_slice(&message_bytes.to_be_bytes());
    Some(end)
}

/// Bytes that fill `length` up to a multiple of four.
pub fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

/// What stands at the start of a TCP or TLS stream's bytes (RFC 8656 §12.5, RFC 8489 §6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not whole yet.
    Partial,
    /// One message of this many bytes, a ChannelData message with its padding.
    Whole(usize),
    /// Neither STUN nor ChannelData: the stream cannot be read any further.
    Invalid,
}

/// Finds the first frame of a stream.
pub fn stream_frame(bytes: &[u8]) -> Frame {
    let Some(&first) = bytes.first() else { return Frame::Partial };
    if first & 0xC0 == 0x40 {
        let Some(header) = bytes.first_chunk::<CHANNEL_HEADER_BYTES>() else { return Frame::Partial };
        let data = usize::from(u16::from_be_bytes([header[2], header[3]]));
        return whole(bytes, (CHANNEL_HEADER_BYTES + data).next_multiple_of(4));
    }
    // RFC 7983 §7: STUN begins with 0 to 3.
    if first > 3 {
        return Frame::Invalid;
    }
    let Some(header) = bytes.first_chunk::<8>() else { return Frame::Partial };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[4..8] != MAGIC_COOKIE.to_be_bytes() || !length.is_multiple_of(4) {
        return Frame::Invalid;
    }
    whole(bytes, HEADER_BYTES + length)
}

fn whole(bytes: &[u8], length: usize) -> Frame {
    if bytes.len() < length { Frame::Partial } else { Frame::Whole(length) }
}

/// TURN's readings of attributes.
impl Message<'_> {
    /// CHANNEL-NUMBER (RFC 8656 §18.1), as the number that was sent.
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn channel_number(&self) -> Result<Option<u16>, Malformed> {
        let value = self.get_array::<4>(AttributeType::CHANNEL_NUMBER)?;
        Ok(value.map(|value| u16::from_be_bytes([value[0], value[1]])))
    }

    /// LIFETIME in seconds (RFC 8656 §18.2).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn lifetime_s(&self) -> Result<Option<u32>, Malformed> {
        self.get_u32(AttributeType::LIFETIME)
    }

    /// The protocol of REQUESTED-TRANSPORT (RFC 8656 §18.8).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn requested_transport(&self) -> Result<Option<u8>, Malformed> {
        Ok(self.get_array::<4>(AttributeType::REQUESTED_TRANSPORT)?.map(|value| value[0]))
    }

    /// REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.6, §18.11).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn family(&self, kind: AttributeType) -> Result<Option<RequestedFamily>, Malformed> {
        Ok(self.get_array::<4>(kind)?.map(|value| match value[0] {
            1 => RequestedFamily::Known(Family::V4),
            2 => RequestedFamily::Known(Family::V6),
            other => RequestedFamily::Unknown(other),
        }))
    }

    /// EVEN-PORT (RFC 8656 §18.7): whether the next port is to be reserved too.
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn even_port(&self) -> Result<Option<bool>, Malformed> {
        Ok(self.get_array::<1>(AttributeType::EVEN_PORT)?.map(|value| value[0] & 0x80 != 0))
    }

    /// RESERVATION-TOKEN (RFC 8656 §18.10).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn reservation_token(&self) -> Result<Option<[u8; 8]>, Malformed> {
        self.get_array(AttributeType::RESERVATION_TOKEN)
    }

    /// ICMP (RFC 8656 §18.13).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn icmp(&self) -> Result<Option<Icmp>, Malformed> {
        Ok(self.get_array::<8>(AttributeType::ICMP)?.map(|value| Icmp {
            kind: value[2],
            code: value[3],
            error_data: u32::from_be_bytes([value[4], value[5], value[6], value[7]]),
        }))
    }

    /// CONNECTION-ID (RFC 6062 §6.2.1).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn connection_id(&self) -> Result<Option<u32>, Malformed> {
        self.get_u32(AttributeType::CONNECTION_ID)
    }

    /// All XOR-PEER-ADDRESS attributes (RFC 8656 §10.2).
    ///
    /// # Errors
    /// One of them is no address.
    pub fn peers(&self) -> Result<Vec<SocketAddr>, Malformed> {
        self.attributes()
            .filter(|(kind, _)| *kind == AttributeType::XOR_PEER_ADDRESS)
            .map(|(kind, value)| self.read_xor_address(value).ok_or(Malformed(kind)))
            .collect()
    }
}
