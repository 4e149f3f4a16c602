//! What a datagram from a client is, by its first byte (RFC 7983 §7, RFC 8656 §12).

/// What the listening socket received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 to 3: STUN.
    Stun,
    /// 64 to 127: ChannelData. RFC 7983 ends the range at 79; the rest are channels of RFC 5766, and nothing else shares this port.
    Channel,
    /// Anything else, and nothing: dropped.
    Other,
}

/// Reads the first byte.
pub fn kind(bytes: &[u8]) -> Kind {
    match bytes.first() {
        Some(0..=3) => Kind::Stun,
        Some(64..=127) => Kind::Channel,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7983_s7_first_byte() {
        let table = [(0, Kind::Stun), (3, Kind::Stun), (4, Kind::Other), (20, Kind::Other), (63, Kind::Other), (64, Kind::Channel)];
        for (byte, expected) in table.into_iter().chain([(79, Kind::Channel), (127, Kind::Channel), (128, Kind::Other), (255, Kind::Other)])
        {
            assert_eq!(kind(&[byte, 0]), expected, "{byte}");
        }
        assert_eq!(kind(&[]), Kind::Other);
    }
}
