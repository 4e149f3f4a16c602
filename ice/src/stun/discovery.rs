//! What NAT behaviour discovery adds to STUN Binding: the attributes of RFC 5780 §7.

use super::{AttributeType, Malformed, Message};

impl AttributeType {
    /// CHANGE-REQUEST (RFC 5780 §7.2).
    pub const CHANGE_REQUEST: Self = Self(0x0003);
    /// PADDING (RFC 5780 §7.6).
    pub const PADDING: Self = Self(0x0026);
    /// RESPONSE-PORT (RFC 5780 §7.5).
    pub const RESPONSE_PORT: Self = Self(0x0027);
    /// RESPONSE-ORIGIN (RFC 5780 §7.3).
    pub const RESPONSE_ORIGIN: Self = Self(0x802B);
    /// OTHER-ADDRESS (RFC 5780 §7.4).
    pub const OTHER_ADDRESS: Self = Self(0x802C);
}

/// CHANGE-REQUEST (RFC 5780 §7.2): from where a client wants the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeRequest {
    /// From the other IP address.
    pub ip: bool,
    /// From the other port.
    pub port: bool,
}

impl ChangeRequest {
    /// The attribute's value.
    pub fn value(self) -> [u8; 4] {
        [0, 0, 0, (u8::from(self.ip) << 2) | (u8::from(self.port) << 1)]
    }
}

/// Readings of RFC 5780's attributes.
impl Message<'_> {
    /// CHANGE-REQUEST (RFC 5780 §7.2).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn change_request(&self) -> Result<Option<ChangeRequest>, Malformed> {
        let value = self.get_array::<4>(AttributeType::CHANGE_REQUEST)?;
        Ok(value.map(|value| ChangeRequest { ip: value[3] & 4 != 0, port: value[3] & 2 != 0 }))
    }

    /// RESPONSE-PORT (RFC 5780 §7.5).
    ///
    /// # Errors
    /// The attribute is there with another size.
    pub fn response_port(&self) -> Result<Option<u16>, Malformed> {
        let value = self.get_array::<4>(AttributeType::RESPONSE_PORT)?;
        Ok(value.map(|value| u16::from_be_bytes([value[0], value[1]])))
    }
}
