//! The PROXY protocol, versions 2 and 1 (HAProxy's `doc/proxy-protocol.txt`): how a proxy of TCP connections says who is behind it.
//!
//! [`parse`] is pure and never asks for a byte behind the header, so what follows (TLS, a stream) stays in the socket. Version 1 is there for
//! proxies that speak nothing else (nginx). TLVs are skipped.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// §2.2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// §2.2: signature, version and command, family and transport, length.
const FIXED_BYTES: usize = 16;
/// §2.1: how a line of version 1 begins, …
const LINE_START: &[u8; 6] = b"PROXY ";
/// … how short it can be (`PROXY UNKNOWN` and the end of the line), …
const LINE_BYTES_MIN: usize = 15;
/// … and how long, with the end of the line.
const LINE_BYTES_MAX: usize = 107;
/// A whole header of version 2; addresses take 36 bytes, the rest are TLVs that nobody reads.
const HEADER_BYTES_MAX: usize = 4_096;

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Nothing: it speaks for itself (a health check), or the client has no address of the Internet. The addresses of the connection count.
    Local,
    /// The addresses of the client's connection to it.
    Proxied {
        /// The client's.
        source: SocketAddr,
        /// The one that the client connected to.
        destination: SocketAddr,
    },
}

/// How far [`parse`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header has at least so many bytes more.
    More(usize),
    /// The bytes are one whole header.
    Whole(Header),
}

/// Why a connection does not begin with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Something else came.
    #[error("no PROXY header, though the proxy's address is configured to send one")]
    Absent,
    /// §2.2: neither LOCAL nor PROXY of version 2.
    #[error("a PROXY header of an unknown version or command: {0:#04x}")]
    Command(u8),
    /// §2.2: a family or transport that is not assigned, or that no TCP connection has.
    #[error("a PROXY header of an unknown family or transport: {0:#04x}")]
    Family(u8),
    /// Longer than anybody needs.
    #[error("a PROXY header of {0} bytes")]
    TooLong(usize),
    /// §2.2: too short for the addresses that it should hold.
    #[error("a PROXY header too short for its addresses")]
    TooShort,
    /// §2.1: a line that is none of version 1.
    #[error("a malformed PROXY line")]
    Line,
}

/// Reads the header at the start of a connection, from all the bytes that have come. Whoever reads no more than [`Parsed::More`] says has, at
/// the end, read the header and nothing else.
///
/// # Errors
/// It is none: the connection must be dropped (§2).
pub fn parse(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted);
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(LINE_START) {
        line(bytes)
    } else {
        Err(HeaderError::Absent)
    }
}

/// §2.2.
fn binary(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    if bytes.len() < FIXED_BYTES {
        // Version 1 may be one byte shorter, and an empty start may still become either.
        let least = if bytes.is_empty() { LINE_BYTES_MIN } else { FIXED_BYTES };
        return Ok(Parsed::More(least - bytes.len()));
    }
    let (command, family) = (bytes[12], bytes[13]);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let whole = FIXED_BYTES + length;
    if !matches!(command, 0x20 | 0x21) {
        return Err(HeaderError::Command(command));
    }
    if whole > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong(whole));
    }
    if bytes.len() < whole {
        return Ok(Parsed::More(whole - bytes.len()));
    }
    if command == 0x20 {
        return Ok(Parsed::Whole(Header::Local));
    }
    let block = &bytes[FIXED_BYTES..whole];
    let header = match family {
        // AF_UNSPEC, and AF_UNIX over a stream: nothing that counts here.
        0x00 | 0x31 => Header::Local,
        0x11 => addresses::<4>(block)?,
        0x21 => addresses::<16>(block)?,
        _ => return Err(HeaderError::Family(family)),
    };
    Ok(Parsed::Whole(header))
}

/// Source, destination and their ports; `N` bytes each address.
fn addresses<const N: usize>(block: &[u8]) -> Result<Header, HeaderError>
where
    [u8; N]: Into<IpAddr>,
{
    let (source, rest) = block.split_first_chunk::<N>().ok_or(HeaderError::TooShort)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(HeaderError::TooShort)?;
    let &[a, b, c, d, ..] = rest else { return Err(HeaderError::TooShort) };
    let address = |ip: &[u8; N], port| SocketAddr::new((*ip).into().to_canonical(), u16::from_be_bytes(port));
    Ok(Header::Proxied { source: address(source, [a, b]), destination: address(destination, [c, d]) })
}

/// §2.1.
fn line(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        if bytes.len() >= LINE_BYTES_MAX {
            return Err(HeaderError::TooLong(bytes.len()));
        }
        // The end of the line is two bytes.
        let least = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return Ok(Parsed::More(least.max(LINE_BYTES_MIN.saturating_sub(bytes.len()))));
    };
    let text = bytes.strip_suffix(b"\r\n").filter(|_| end + 1 == bytes.len() && end < LINE_BYTES_MAX).ok_or(HeaderError::Line)?;
    let text = std::str::from_utf8(&text[LINE_START.len()..]).map_err(|_| HeaderError::Line)?;
    let mut words = text.split(' ');
    let header = match words.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Ok(Parsed::Whole(Header::Local)),
        Some("TCP4") => line_addresses::<Ipv4Addr>(&mut words),
        Some("TCP6") => line_addresses::<Ipv6Addr>(&mut words),
        _ => None,
    };
    header.filter(|_| words.next().is_none()).map(Parsed::Whole).ok_or(HeaderError::Line)
}

fn line_addresses<'a, A: std::str::FromStr + Into<IpAddr>>(words: &mut impl Iterator<Item = &'a str>) -> Option<Header> {
    let mut ip = || words.next()?.parse::<A>().ok().map(|ip| ip.into().to_canonical());
    let (source, destination) = (ip()?, ip()?);
    let mut port = || {
        let text = words.next()?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| is_plain)
    };
    Some(Header::Proxied { source: SocketAddr::new(source, port()?), destination: SocketAddr::new(destination, port()?) })
}

/// Reads the header off a connection, and nothing behind it. The caller bounds the time.
///
/// # Errors
/// The connection ends before, or begins with something else ([`HeaderError`] as `InvalidData`).
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    let mut bytes = Vec::new();
    loop {
        match parse(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Parsed::Whole(header) => return Ok(header),
            Parsed::More(least) => {
                let had = bytes.len();
                bytes.resize(had + least, 0);
                // Whatever is there: a connection that begins with something else is refused at its first byte.
                let read = io.read(&mut bytes[had..]).await?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                bytes.truncate(had + read);
            }
        }
    }
}

/// For a fuzzer and for the property tests: whatever comes, in whatever pieces.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    // Reading as `read` does, over data that never ends.
    let mut length = 0;
    let whole = loop {
        match parse(&data[..length]) {
            Ok(Parsed::Whole(header)) => break Some(header),
            Ok(Parsed::More(least)) => {
                assert!(least > 0 && length + least <= HEADER_BYTES_MAX, "{least} more after {length}");
                if length + least > data.len() {
                    break None;
                }
                length += least;
            }
            Err(_) => break None,
        }
    };
    let Some(header) = whole else { return };
    // In single bytes it is the same header, and never found earlier.
    for shorter in 0..length {
        assert!(matches!(parse(&data[..shorter]), Ok(Parsed::More(least)) if shorter + least <= length), "at {shorter} of {length}");
    }
    if let Header::Proxied { source, destination } = header {
        assert_eq!(parse(&write(source, destination, b"")), Ok(Parsed::Whole(header)));
    }
}

/// A header of version 2 as proxies write it; `tlvs` stand at its end.
pub fn write(source: SocketAddr, destination: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            block.extend(source.octets().into_iter().chain(destination.octets()));
            0x11
        }
        (source, destination) => {
            let bits = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            block.extend(bits(source).into_iter().chain(bits(destination)));
            0x21
        }
    };
    block.extend(source.port().to_be_bytes().into_iter().chain(destination.port().to_be_bytes()));
    block.extend_from_slice(tlvs);
    let length = u16::try_from(block.len()).unwrap_or(u16::MAX).to_be_bytes();
    [SIGNATURE, &[0x21, family, length[0], length[1]][..], &block].concat()
}

/// The header of a connection that its sender makes for itself (§2.2, LOCAL).
pub const LOCAL: [u8; FIXED_BYTES] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn proxied(source: &str, destination: &str) -> Result<Parsed, HeaderError> {
        Ok(Parsed::Whole(Header::Proxied { source: at(source), destination: at(destination) }))
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = (block.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family, length[0], length[1]][..], block].concat()
    }

    const LOCAL_ONLY: Result<Parsed, HeaderError> = Ok(Parsed::Whole(Header::Local));

    #[test]
    fn s2_2_the_binary_header() {
        let v4 = [192, 0, 2, 1, 203, 0, 113, 7, 0xC3, 0x50, 0x01, 0xBB];
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[2], v6[3], v6[15]) = (0x20, 0x01, 0x0D, 0xB8, 1);
        (v6[31], v6[33], v6[35]) = (1, 5, 6);
        let tlv = [v4.as_slice(), &[0x04, 0, 3, 1, 2, 3, 0x20, 0, 0]].concat();
        for (bytes, expected) in [
            (v2(0x21, 0x11, &v4), proxied("192.0.2.1:50000", "203.0.113.7:443")),
            (v2(0x21, 0x11, &tlv), proxied("192.0.2.1:50000", "203.0.113.7:443")),
            (v2(0x21, 0x21, &v6), proxied("[2001:db8::1]:5", "[::1]:6")),
            (v2(0x20, 0x00, &[]), LOCAL_ONLY),
            // §2.2: a LOCAL header's block is skipped, whatever it holds.
            (v2(0x20, 0xFF, &v4), LOCAL_ONLY),
            (v2(0x21, 0x00, &[1, 2, 3]), LOCAL_ONLY),
            (v2(0x21, 0x31, &[0; 216]), LOCAL_ONLY),
            (v2(0x21, 0x11, &v4[..11]), Err(HeaderError::TooShort)),
            (v2(0x21, 0x21, &v6[..35]), Err(HeaderError::TooShort)),
            (v2(0x21, 0x12, &v4), Err(HeaderError::Family(0x12))),
            (v2(0x21, 0x41, &v4), Err(HeaderError::Family(0x41))),
            (v2(0x21, 0x13, &v4), Err(HeaderError::Family(0x13))),
            (v2(0x22, 0x11, &v4), Err(HeaderError::Command(0x22))),
            (v2(0x11, 0x11, &v4), Err(HeaderError::Command(0x11))),
            (v2(0x31, 0x11, &v4), Err(HeaderError::Command(0x31))),
            (v2(0x21, 0x11, &[0; 5000]), Err(HeaderError::TooLong(5016))),
            (LOCAL.to_vec(), LOCAL_ONLY),
        ] {
            assert_eq!(parse(&bytes), expected, "{bytes:02x?}");
            fuzz(&bytes);
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let header = write(at("[::ffff:192.0.2.1]:5"), at("[2001:db8::1]:443"), &[]);
        assert_eq!(parse(&header), proxied("192.0.2.1:5", "[2001:db8::1]:443"));
    }

    #[test]
    fn s2_1_the_line() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(long.len(), LINE_BYTES_MAX);
        for (text, expected) in [
            ("PROXY TCP4 192.0.2.1 203.0.113.7 50000 443\r\n", proxied("192.0.2.1:50000", "203.0.113.7:443")),
            ("PROXY TCP6 2001:db8::1 ::1 5 6\r\n", proxied("[2001:db8::1]:5", "[::1]:6")),
            ("PROXY UNKNOWN\r\n", LOCAL_ONLY),
            ("PROXY UNKNOWN 1 2 3\r\n", LOCAL_ONLY),
            (&long, LOCAL_ONLY),
            ("PROXY TCP4 192.0.2.1 203.0.113.7 50000\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4 192.0.2.1 203.0.113.7 50000 443 1\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4 192.0.2.1 203.0.113.7 +5 443\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4 192.0.2.1 203.0.113.7 05 443\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4 192.0.2.1 203.0.113.7 65536 443\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4  192.0.2.1 203.0.113.7 5 443\r\n", Err(HeaderError::Line)),
            ("PROXY TCP4 ::1 203.0.113.7 5 443\r\n", Err(HeaderError::Line)),
            ("PROXY TCP6 192.0.2.1 ::1 5 443\r\n", Err(HeaderError::Line)),
            ("PROXY UDP4 192.0.2.1 203.0.113.7 5 443\r\n", Err(HeaderError::Line)),
            ("PROXY UNKNOWN 1\n", Err(HeaderError::Line)),
            ("PROXY  \r\n......", Err(HeaderError::Line)),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
            fuzz(text.as_bytes());
        }
        assert_eq!(parse(format!("PROXY {}", "x".repeat(101)).as_bytes()), Err(HeaderError::TooLong(107)));
    }

    #[test]
    fn anything_else_is_refused_at_its_first_byte() {
        for bytes in [&b"\x16\x03\x01"[..], b"<?xml", b"GET / HTTP/1.1\r\n", b"\0\x01\0\0", b"\r\n\r\nX", b"PROXX"] {
            assert_eq!(parse(bytes), Err(HeaderError::Absent));
        }
        assert_eq!(parse(b""), Ok(Parsed::More(15)));
    }

    #[tokio::test]
    async fn what_follows_the_header_stays_in_the_connection() {
        for header in [write(at("192.0.2.1:5"), at("192.0.2.2:6"), &[1; 300]), b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n".to_vec()] {
            let bytes = [header.as_slice(), b"behind it"].concat();
            let mut rest = bytes.as_slice();
            assert_eq!(Ok(Parsed::Whole(read(&mut rest).await.unwrap())), proxied("192.0.2.1:5", "192.0.2.2:6"));
            assert_eq!(rest, b"behind it");
            let mut cut = &bytes[..header.len() - 1];
            assert_eq!(read(&mut cut).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(read(&mut b"\x16\x03".as_slice()).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_corpus_of_the_fuzzer_does_no_harm() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/proxy_protocol");
        let mut seen = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            fuzz(&std::fs::read(entry.unwrap().path()).unwrap());
            seen += 1;
        }
        assert!(seen >= 5);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(source: SocketAddr, destination: SocketAddr, tlvs in prop::collection::vec(any::<u8>(), 0..64)) {
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            let bytes = write(source, destination, &tlvs);
            let expected = Header::Proxied { source: canonical(source), destination: canonical(destination) };
            prop_assert_eq!(parse(&bytes), Ok(Parsed::Whole(expected)));
            fuzz(&bytes);
        }

        /// Headers with a few bytes changed, in front of anything.
        #[test]
        fn any_bytes_do_no_harm(
            is_line: bool,
            changes in prop::collection::vec((0usize..60, any::<u8>()), 0..4),
            tail in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let start = match is_line {
                true => b"PROXY TCP4 192.0.2.1 203.0.113.7 50000 443\r\n".to_vec(),
                false => write(at("[2001:db8::1]:5"), at("[2001:db8::2]:443"), &[4, 0, 1, 0]),
            };
            let mut bytes = [start, tail].concat();
            for (index, byte) in changes {
                if let Some(place) = bytes.get_mut(index) {
                    *place = byte;
                }
            }
            fuzz(&bytes);
        }
    }
}
