//! Which protocol a client speaks on a port that serves several: by the name that it gave in the TLS handshake (ALPN, RFC 7301), else by its
//! first bytes, as RFC 7983 does it for media.

use campanile_relay::turn::tls::{ALPN_NAT_DISCOVERY, ALPN_TURN};

use crate::net::tls::{ALPN_HTTP_1_1, ALPN_XMPP_CLIENT};

/// The names that are served, the best first: a client that offers several gets the first of these.
pub const ALPN: [&[u8]; 4] = [ALPN_XMPP_CLIENT, ALPN_TURN, ALPN_NAT_DISCOVERY, ALPN_HTTP_1_1];

/// Bytes that say what a client speaks, whatever it is: the head of a STUN message up to the magic cookie, the longest HTTP method and a space.
pub const FIRST_BYTES_MAX: usize = 8;

/// RFC 8489 §5, at bytes 4 to 7 of a message.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// RFC 9110 §9, RFC 5789. `PRI` of HTTP/2 (RFC 9113 §3.4) is not among them.
const METHODS: [&[u8]; 9] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];
/// What may stand before the stream header: an XML declaration's or the header's `<`, white space of keepalives, a byte order mark.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What is behind the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A client stream (XEP-0368).
    Xmpp,
    /// HTTPS, and so WebSocket.
    Http,
    /// STUN and TURN (RFC 7443).
    Turn,
}

impl Protocol {
    /// Label for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xmpp => "xmpp",
            Self::Http => "http",
            Self::Turn => "turn",
        }
    }

    /// By the name that was agreed upon in the handshake.
    pub fn by_name(alpn: &[u8]) -> Option<Self> {
        match alpn {
            ALPN_XMPP_CLIENT => Some(Self::Xmpp),
            ALPN_HTTP_1_1 => Some(Self::Http),
            ALPN_TURN | ALPN_NAT_DISCOVERY => Some(Self::Turn),
            _ => None,
        }
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// Nothing yet; never for [`FIRST_BYTES_MAX`] bytes or more.
    More,
    /// The protocol.
    Is(Protocol),
    /// None of those that are served.
    Unknown,
}

/// By the first bytes of a client.
pub fn guess(bytes: &[u8]) -> Guess {
    let Some(first) = bytes.first() else { return Guess::More };
    if first >> 6 == 0 {
        // STUN's first two bits (RFC 8489 §5), and those of `<` and white space: the cookie is in no XML.
        return match bytes.get(4..8) {
            Some(cookie) if cookie == MAGIC_COOKIE => Guess::Is(Protocol::Turn),
            Some(_) if matches!(first, b'<' | b' ' | b'\t' | b'\r' | b'\n') => Guess::Is(Protocol::Xmpp),
            Some(_) => Guess::Unknown,
            None => Guess::More,
        };
    }
    let mut candidates = METHODS.iter().map(|method| (*method, Protocol::Http)).chain([(BYTE_ORDER_MARK.as_slice(), Protocol::Xmpp)]);
    match candidates.find(|(start, _)| bytes.iter().zip(*start).all(|(byte, wanted)| byte == wanted)) {
        Some((start, protocol)) if bytes.len() >= start.len() => Guess::Is(protocol),
        Some(_) => Guess::More,
        None => Guess::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_the_name_of_the_handshake() {
        for (name, expected) in [
            ("xmpp-client", Some(Protocol::Xmpp)),
            ("http/1.1", Some(Protocol::Http)),
            ("stun.turn", Some(Protocol::Turn)),
            ("stun.nat-discovery", Some(Protocol::Turn)),
            ("h2", None),
            ("xmpp-server", None),
            ("", None),
        ] {
            assert_eq!(Protocol::by_name(name.as_bytes()), expected, "{name}");
        }
        assert!(ALPN.iter().all(|name| Protocol::by_name(name).is_some()));
    }

    #[test]
    fn by_the_first_bytes() {
        use Guess::{Is, More, Unknown};
        for (bytes, expected) in [
            (&b""[..], More),
            (b"<?xml ve", Is(Protocol::Xmpp)),
            (b"<stream:", Is(Protocol::Xmpp)),
            (b" \n<strea", Is(Protocol::Xmpp)),
            (b"\xEF\xBB\xBF", Is(Protocol::Xmpp)),
            (b"\xEF\xBB", More),
            (b"<", More),
            (b"\0\x01\0\0\x21\x12\xA4\x42", Is(Protocol::Turn)),
            (b"\0\x03\0\x08\x21\x12\xA4\x42", Is(Protocol::Turn)),
            (b"\0\x01\0\0\x21\x12\xA4", More),
            (b"\0\x01\0\0\x21\x12\xA4\x43", Unknown),
            // A method that nobody has assigned begins as XML does; the cookie tells.
            (b"<\0\0\0\x21\x12\xA4\x42", Is(Protocol::Turn)),
            (b"GET / HT", Is(Protocol::Http)),
            (b"OPTIONS ", Is(Protocol::Http)),
            (b"OPTIONS", More),
            (b"P", More),
            (b"PATCH ", Is(Protocol::Http)),
            (b"PRI * HT", Unknown),
            (b"get / HT", Unknown),
            // ChannelData, which no connection begins with (RFC 8656 §12.4).
            (b"\x40\0\0\x04", Unknown),
            (b"\x16\x03\x01\0\xA5\x01\0\0", Unknown),
            (b"SSH-2.0-", Unknown),
            (b"\xFF", Unknown),
        ] {
            assert_eq!(guess(bytes), expected, "{bytes:02x?}");
        }
    }

    proptest! {
        /// What more bytes say is what fewer have said, and enough of them say something.
        #[test]
        fn a_guess_stands(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(b'<'), Just(b'P'), Just(0x21), any::<u8>()], 0..12)) {
            let mut before = Guess::More;
            for length in 0..=bytes.len() {
                let now = guess(&bytes[..length]);
                prop_assert!(before == Guess::More || before == now);
                prop_assert!(length < FIRST_BYTES_MAX || now != Guess::More);
                before = now;
            }
        }
    }
}
