//! RFC 7395: XMPP over WebSocket. The codec turns bytes into messages and messages into stream frames; it does no I/O.
//!
//! `Origin` is not looked at: a page of any site may connect, and still has to log in; no cookie or other ambient credential plays a part
//! (RFC 6455 §10.2). Not done: `see-other-uri` (§3.6.1), compression (RFC 7692).

#[cfg(any(test, fuzzing))]
pub mod fuzz;

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};

use crate::ns;
use crate::stream::error::{Condition, StreamError};
use crate::xml::{Bindings, Element, Frame, Limits, StreamHeader, XmlError};

/// The subprotocol's name: RFC 7395 §5.1.
pub const SUBPROTOCOL: &str = "xmpp";

/// What the codec reads with; each idle connection keeps this much.
const READ_BYTES: usize = 2048;
/// Messages of at most this size are copied, so that a stanza that is kept does not keep the read buffer.
const COPY_BYTES_MAX: usize = 8192;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// One frame of the XMPP stream.
    Frame(Frame),
    /// A close frame: the stream is implicitly closed (§3.6). The answer is queued.
    Closed,
}

/// Why the connection has to end: the stream error, and the close code of RFC 6455 §7.4.1 to follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// For the XMPP stream.
    pub error: StreamError,
    /// For the WebSocket.
    pub code: u16,
}

/// The server's end of one WebSocket.
#[derive(Debug)]
pub struct Codec {
    context: WebSocketContext,
    pipe: Pipe,
    depth_max: usize,
    /// The code to close with when the stream has been closed.
    code: CloseCode,
}

/// Stands between the WebSocket library and the socket: what was read, and what is to be written.
#[derive(Debug, Default)]
struct Pipe {
    input: BytesMut,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = into.len().min(self.input.len());
        self.input.copy_to_slice(&mut into[..count]);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Codec {
    /// A WebSocket whose handshake is done.
    pub fn new(limits: Limits) -> Self {
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES).write_buffer_size(0);
        let context = WebSocketContext::new(Role::Server, Some(config));
        let mut codec = Self { context, pipe: Pipe::default(), depth_max: limits.depth_max, code: CloseCode::Normal };
        codec.set_limits(limits);
        codec
    }

    /// Other limits from the next message on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.depth_max = limits.depth_max;
        self.context.set_config(|config| {
            config.max_message_size = Some(limits.bytes_max);
            config.max_frame_size = Some(limits.bytes_max);
        });
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pipe.input.extend_from_slice(bytes);
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.pipe.output
    }

    /// The next frame of the stream, `None` when more bytes are needed. Pings are answered, pongs count as life and are dropped.
    ///
    /// # Errors
    /// What ends the connection.
    pub fn next_incoming(&mut self) -> Result<Option<Incoming>, Broken> {
        loop {
            let message = match self.context.read(&mut self.pipe) {
                Ok(message) => message,
                Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return self.broken(&error),
            };
            match message {
                Message::Text(text) => {
                    let text = Bytes::from(text);
                    let text = if text.len() <= COPY_BYTES_MAX { Bytes::copy_from_slice(&text) } else { text };
                    return match frame(text, self.depth_max) {
                        Ok(frame) => Ok(Some(Incoming::Frame(frame))),
                        // The message was fine for WebSocket; what is wrong with it is XMPP's business.
                        Err(error) => Err(Broken { error: error.into(), code: CloseCode::Normal.into() }),
                    };
                }
                Message::Binary(_) => {
                    // RFC 7395 §3.2
                    let error = StreamError::new(Condition::BadFormat).with_text("messages must be text");
                    self.code = CloseCode::Unsupported;
                    return Err(Broken { error, code: self.code.into() });
                }
                Message::Close(_) => {
                    // This queues the answer; that nothing more can be read is known.
                    let _ = self.context.read(&mut self.pipe);
                    return Ok(Some(Incoming::Closed));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn broken(&mut self, error: &WsError) -> Result<Option<Incoming>, Broken> {
        let (condition, code, text) = match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => return Ok(Some(Incoming::Closed)),
            WsError::Capacity(_) => (Condition::PolicyViolation, CloseCode::Size, "a message is too large"),
            WsError::Utf8(_) => (Condition::UnsupportedEncoding, CloseCode::Invalid, "a message is not UTF-8"),
            _ => (Condition::BadFormat, CloseCode::Protocol, "the WebSocket protocol was violated"),
        };
        self.code = code;
        Err(Broken { error: StreamError::new(condition).with_text(text), code: code.into() })
    }

    /// Queues one text message. Written by hand: the library keeps a buffer as large as the largest message for as long as the connection
    /// lives, and checks again what is known to be UTF-8.
    pub fn send(&mut self, text: &[u8]) {
        if !self.context.can_write() {
            return;
        }
        let output = &mut self.pipe.output;
        output.reserve(text.len() + 10);
        output.push(0x81); // FIN, opcode text; a server does not mask (RFC 6455 §5.1)
        match text.len() {
            len @ 0..=125 => output.push(len as u8),
            len @ 126..=0xFFFF => {
                output.push(126);
                output.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                output.push(127);
                output.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        output.extend_from_slice(text);
    }

    /// Queues a ping.
    pub fn ping(&mut self) {
        if self.context.can_write() {
            self.pipe.output.extend_from_slice(&[0x89, 0]);
        }
    }

    /// Queues the close frame, after everything else (RFC 7395 §3.6).
    pub fn close(&mut self) {
        if self.context.can_write() {
            let frame = CloseFrame { code: self.code, reason: Default::default() };
            // Writing to the pipe cannot fail, and a connection that is closed already needs no second frame.
            let _ = self.context.close(&mut self.pipe, Some(frame));
        }
    }
}

/// One message as a frame of the stream: §3.3. What `<open/>` and `<close/>` say is for the state machine to judge;
/// it validates the elements too, with the same limits.
pub(crate) fn frame(text: Bytes, depth_max: usize) -> Result<Frame, XmlError> {
    const BEGINS: XmlError = XmlError::BadFormat("a message must begin with '<'"); // §3.3.3
    if text.first() != Some(&b'<') {
        return Err(BEGINS);
    }
    let text = without_declaration(text);
    let text = text.slice(..text.trim_ascii_end().len());
    if text.first() != Some(&b'<') {
        return Err(BEGINS); // what stands behind an XML declaration
    }
    match local_name(&text) {
        b"open" => Ok(Frame::Open(header(&text, depth_max)?)),
        b"close" => {
            let element = Element::parse_within(&text, &Bindings::empty(), depth_max)?;
            Ok(if element.root().ns() == ns::FRAMING { Frame::Close } else { Frame::Element(text) })
        }
        _ => Ok(Frame::Element(text)),
    }
}

/// §3.3.3: an XML declaration is not recommended, so it is allowed. It says nothing that matters here: text messages are UTF-8.
fn without_declaration(text: Bytes) -> Bytes {
    if !(text.starts_with(b"<?xml") && text.get(5).is_some_and(u8::is_ascii_whitespace)) {
        return text;
    }
    match memchr::memmem::find(&text, b"?>") {
        Some(end) => {
            let rest = text.slice(end + 2..);
            let spaces = rest.len() - rest.trim_ascii_start().len();
            rest.slice(spaces..)
        }
        None => text,
    }
}

/// The name of the first start tag, without prefix.
fn local_name(text: &[u8]) -> &[u8] {
    let name = text.strip_prefix(b"<").unwrap_or(text);
    let end = name.iter().position(|byte| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace()).unwrap_or(name.len());
    let name = &name[..end];
    memchr::memchr(b':', name).map_or(name, |colon| &name[colon + 1..])
}

/// §3.3.1: the attributes of `<open/>` are those of a stream header.
fn header(text: &[u8], depth_max: usize) -> Result<StreamHeader, XmlError> {
    let element = Element::parse_within(text, &Bindings::empty(), depth_max)?;
    let root = element.root();
    let value = |name| root.attr(name).map(str::to_owned);
    Ok(StreamHeader {
        name: root.name().to_owned(),
        ns: root.ns().to_owned(),
        to: value("to"),
        from: value("from"),
        id: value("id"),
        version: value("version"),
        lang: root.attr_ns(ns::XML, "lang").map(str::to_owned),
        bindings: Bindings::empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 1000, depth_max: 4 };
    const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0' xml:lang='de'/>";

    /// What a client sends as one message.
    fn from_client(message: Message) -> Vec<u8> {
        let mut context = WebSocketContext::new(Role::Client, None);
        let mut pipe = Pipe::default();
        context.write(&mut pipe, message).unwrap();
        context.flush(&mut pipe).unwrap();
        pipe.output
    }

    fn text(text: &str) -> Vec<u8> {
        from_client(Message::Text(text.into()))
    }

    /// One frame with these first two bytes' bits, masked with zeros.
    fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn element(codec: &mut Codec) -> String {
        match codec.next_incoming().unwrap() {
            Some(Incoming::Frame(Frame::Element(bytes))) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn broken(bytes: &[u8]) -> (Condition, u16) {
        let mut codec = Codec::new(Limits { bytes_max: 100, ..LIMITS });
        codec.push(bytes);
        let broken = codec.next_incoming().unwrap_err();
        (broken.error.condition, broken.code)
    }

    #[test]
    fn s3_3_1_open_becomes_a_stream_header() {
        let mut codec = Codec::new(LIMITS);
        codec.push(&text(OPEN));
        let Ok(Some(Incoming::Frame(Frame::Open(header)))) = codec.next_incoming() else { panic!() };
        assert_eq!(header.ns, ns::FRAMING);
        assert_eq!(header.to.as_deref(), Some("example.org"));
        assert_eq!(header.version.as_deref(), Some("1.0"));
        assert_eq!(header.lang.as_deref(), Some("de"));
        assert_eq!(codec.next_incoming().unwrap(), None);
    }

    #[test]
    fn s3_3_3_messages_and_frames_of_the_stream() {
        let message = "<message xmlns='jabber:client'><body>x</body></message>";
        for (sent, received) in [
            (message.to_owned(), message),
            (format!("<?xml version='1.0'?>\n {message}"), message),
            (format!("{message}\r\n"), message),
            ("<openly xmlns='jabber:client'/>".to_owned(), "<openly xmlns='jabber:client'/>"),
            ("<close xmlns='jabber:client'/>".to_owned(), "<close xmlns='jabber:client'/>"),
        ] {
            let mut codec = Codec::new(LIMITS);
            codec.push(&text(&sent));
            assert_eq!(element(&mut codec), received);
        }
    }

    #[test]
    fn s3_6_close_with_any_prefix() {
        for close in
            ["<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", "<f:close xmlns:f=\"urn:ietf:params:xml:ns:xmpp-framing\"></f:close>"]
        {
            let mut codec = Codec::new(LIMITS);
            codec.push(&text(close));
            assert_eq!(codec.next_incoming().unwrap(), Some(Incoming::Frame(Frame::Close)), "{close}");
        }
    }

    #[test]
    fn s3_3_3_what_does_not_begin_with_a_tag_is_refused() {
        for message in [" <message/>", "", " ", "x", "<?xml version='1.0'?>x", "<?xml version='1.0'?> "] {
            assert_eq!(broken(&text(message)), (Condition::BadFormat, 1000), "{message:?}");
        }
    }

    #[test]
    fn s3_2_binary_messages_are_refused() {
        assert_eq!(broken(&from_client(Message::Binary(b"<a/>".as_slice().into()))), (Condition::BadFormat, 1003));
    }

    #[test]
    fn large_messages_are_refused_before_they_are_read() {
        assert_eq!(broken(&text(&"x".repeat(101))[..10]), (Condition::PolicyViolation, 1009));
        // In fragments: no single one is too large.
        let fragments = [raw(0x01, &[b'<'; 60]), raw(0x00, &[b'a'; 60])].concat();
        assert_eq!(broken(&fragments), (Condition::PolicyViolation, 1009));
    }

    #[test]
    fn deep_open_and_close_are_refused() {
        for name in ["open", "close"] {
            let nested =
                |depth: usize| format!("<{name} xmlns='{}'>{}{}</{name}>", ns::FRAMING, "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
            let mut codec = Codec::new(LIMITS);
            codec.push(&text(&nested(4)));
            assert!(codec.next_incoming().is_ok());
            codec.push(&text(&nested(5)));
            assert_eq!(codec.next_incoming().unwrap_err().error.condition, Condition::PolicyViolation);
        }
    }

    #[test]
    fn rfc6455_s8_1_text_must_be_utf8() {
        assert_eq!(broken(&raw(0x81, b"<a>\xff</a>")), (Condition::UnsupportedEncoding, 1007));
    }

    #[test]
    fn rfc6455_s5_violations_of_the_protocol() {
        for bytes in [
            raw(0xC1, b"<a/>"),                             // a reserved bit
            vec![0x81, 4, b'<', b'a', b'/', b'>'],          // not masked
            raw(0x00, b"<a/>"),                             // a continuation of nothing
            [raw(0x01, b"<"), raw(0x81, b"<a/>")].concat(), // a message within a message
            raw(0x09, b"x"),                                // a fragmented ping
            raw(0x83, b"x"),                                // an unknown opcode
        ] {
            assert_eq!(broken(&bytes), (Condition::BadFormat, 1002), "{bytes:?}");
        }
    }

    #[test]
    fn rfc6455_s5_4_fragments_with_a_ping_between_them() {
        let mut codec = Codec::new(LIMITS);
        for byte in [raw(0x01, b"<a>"), raw(0x89, b"life"), raw(0x00, b"b"), raw(0x80, b"</a>")].concat() {
            codec.push(&[byte]);
            if let Some(frame) = codec.next_incoming().unwrap() {
                assert_eq!(frame, Incoming::Frame(Frame::Element("<a>b</a>".into())));
                assert_eq!(codec.output().as_slice(), [0x8A, 4, b'l', b'i', b'f', b'e']);
                return;
            }
        }
        panic!("no frame");
    }

    #[test]
    fn what_is_sent_reads_back_whatever_its_length() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let text = "x".repeat(len);
            let mut codec = Codec::new(LIMITS);
            codec.send(text.as_bytes());
            codec.ping();
            let mut client = WebSocketContext::new(Role::Client, None);
            let mut pipe = Pipe { input: codec.output().as_slice().into(), output: Vec::new() };
            assert_eq!(client.read(&mut pipe).unwrap(), Message::Text(text.into()), "{len}");
            assert!(matches!(client.read(&mut pipe).unwrap(), Message::Ping(_)));
        }
    }

    #[test]
    fn s3_6_the_close_frame_comes_last_and_once() {
        let mut codec = Codec::new(LIMITS);
        codec.close();
        codec.close();
        codec.send(b"<late/>");
        codec.ping();
        assert_eq!(codec.output().as_slice(), [0x88, 2, 0x03, 0xE8]);
    }

    #[test]
    fn s3_6_a_close_frame_without_close_ends_the_stream_and_is_answered() {
        let mut codec = Codec::new(LIMITS);
        codec.push(&raw(0x88, &[0x03, 0xE9]));
        assert_eq!(codec.next_incoming().unwrap(), Some(Incoming::Closed));
        assert_eq!(codec.output().as_slice(), [0x88, 2, 0x03, 0xE9]);
        codec.send(b"<close/>");
        codec.close();
        assert_eq!(codec.output().len(), 4);
        assert_eq!(codec.next_incoming().unwrap(), Some(Incoming::Closed));
    }

    proptest::proptest! {
        /// Whatever comes in, in whatever pieces: frames, an error, or nothing, and no panic.
        #[test]
        fn any_bytes_do_no_harm(
            frames in proptest::collection::vec((proptest::prelude::any::<u8>(), proptest::collection::vec(0x20u8..0x7F, 0..40)), 1..8),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            piece in 1usize..50,
        ) {
            let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| raw(*first, payload)).collect();
            bytes.extend_from_slice(&noise);
            let mut codec = Codec::new(Limits { bytes_max: 100, ..LIMITS });
            'all: for chunk in bytes.chunks(piece) {
                codec.push(chunk);
                loop {
                    match codec.next_incoming() {
                        Ok(Some(Incoming::Frame(_))) => {}
                        Ok(None) => break,
                        Ok(Some(Incoming::Closed)) | Err(_) => break 'all,
                    }
                }
            }
            codec.send(b"<close/>");
            codec.close();
        }
    }
}
