//! A WebSocket client of a few lines (RFC 6455), so that frames can also be wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PATIENCE;
use super::server::{PASSWORD, Server};
use super::tls;

/// What opens a stream to `localhost` (RFC 7395 §3.4).
pub const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

trait Bytes: Read + Write {}
impl<T: Read + Write> Bytes for T {}

/// An open WebSocket with the subprotocol `xmpp`.
pub struct Ws(Box<dyn Bytes>);

impl Ws {
    /// Opens it; the error is the answer's head.
    pub fn connect(address: SocketAddr, path: &str, protocol: &str) -> Result<Self, String> {
        Self::over(Box::new(dial(address)), address, path, protocol)
    }

    /// Over TLS that ends in the server, at this domain; and the certificate shown.
    pub fn secure(address: SocketAddr, domain: &str) -> (Self, Vec<u8>) {
        let stream = tls::connect_to(dial(address), domain, true, &["http/1.1"]).expect("HTTPS");
        let shown = tls::shown(&stream);
        (Self::over(Box::new(stream), address, "/xmpp-websocket", "xmpp").expect("RFC 7395 §3.1"), shown)
    }

    fn over(mut tcp: Box<dyn Bytes>, address: SocketAddr, path: &str, protocol: &str) -> Result<Self, String> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if tcp.read(&mut byte).map_err(|error| error.to_string())? == 0 {
                break;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        // RFC 6455 §1.3: the accept value of the key in the RFC's example
        let right = head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo=");
        if right { Ok(Self(tcp)) } else { Err(head) }
    }

    /// A stream, up to its features.
    pub fn open(server: &Server) -> Self {
        let mut ws = Self::connect(server.address("http"), "/xmpp-websocket", "xmpp").expect("RFC 7395 §3.1");
        ws.send(OPEN);
        ws.expect(&["<open "]);
        ws.expect(&["features"]);
        ws
    }

    /// `user` of `localhost`, logged in, without a resource.
    pub fn logged_in(server: &Server, user: &str) -> Self {
        let mut ws = Self::open(server);
        let plain = STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        ws.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
        ws.expect(&["<success"]);
        ws.send(OPEN);
        ws.expect(&["urn:ietf:params:xml:ns:xmpp-bind"]);
        ws
    }

    /// The same, bound to this resource, without presence.
    pub fn bound(server: &Server, user: &str, resource: &str) -> Self {
        let mut ws = Self::logged_in(server, user);
        ws.send(&format!(
            "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ));
        ws.expect(&["<jid>"]);
        ws
    }

    pub fn send(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes());
    }

    /// One masked frame with this first byte.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=65535 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        // a server that has closed already has something to say, which is read next
        let _ = self.0.write_all(&frame);
    }

    /// The next text frame, with every `"` turned into `'`; `None` when the server closed.
    pub fn next(&mut self) -> Option<String> {
        let mut whole = Vec::new();
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let mut length = u64::from(head[1] & 0x7f);
            if length >= 126 {
                let mut more = [0; 8];
                let size = if length == 126 { 2 } else { 8 };
                self.0.read_exact(&mut more[8 - size..]).ok()?;
                length = u64::from_be_bytes(more);
            }
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).ok()?;
            match head[0] & 0x0f {
                8 => return None,
                9 => self.frame(0x8a, &payload),
                0 | 1 => {
                    whole.extend(payload);
                    if head[0] & 0x80 != 0 {
                        return Some(String::from_utf8(whole).unwrap().replace('"', "'"));
                    }
                }
                _ => {}
            }
        }
    }

    /// Everything until the server closes.
    pub fn until_closed(&mut self) -> String {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// The next text frame that holds all these texts.
    pub fn expect(&mut self, parts: &[&str]) -> String {
        let mut seen = Vec::new();
        while let Some(text) = self.next() {
            if parts.iter().all(|part| text.contains(part)) {
                return text;
            }
            seen.push(text);
        }
        panic!("the server closed before {parts:?} came; it sent {seen:?}");
    }
}

fn dial(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}
