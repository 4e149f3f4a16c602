//! An XMPP client that writes bytes and reads text: for conversations as they stand in the RFCs, and for input that no library would send.
//!
//! What is read is compared with every `"` turned into `'`, since both quote attributes, unless it is to be `exact`.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PATIENCE;
use super::scram::{Hash, Scram};
use super::server::{PASSWORD, Server};
use super::tls;

enum Transport {
    Clear(TcpStream),
    Tls(Box<tls::Stream>),
}

/// One connection; a `Transport` of our own, since the stream changes with STARTTLS.
pub struct Wire {
    transport: Option<Transport>,
    received: String,
    partial: Vec<u8>,
    /// How far [`Wire::expect`] has come in `received`.
    at: usize,
    ended: bool,
    /// The full JID, once bound.
    pub jid: String,
    /// The host that streams are opened to, `localhost` unless a test says otherwise; as DNS and JIDs know it.
    pub domain: String,
    /// Whether TLS says which host is wanted.
    pub sni: bool,
    /// Whether a `"` stays one.
    pub exact: bool,
}

/// A stream header to `localhost`.
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

impl Wire {
    /// A TCP connection, nothing sent yet.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::over(Transport::Clear(dial(address)))
    }

    /// The same from this address.
    pub fn tcp_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect_timeout(&address.into(), PATIENCE).unwrap_or_else(|error| panic!("{source} to {address}: {error}"));
        Self::over(Transport::Clear(prepared(socket.into())))
    }

    /// Direct TLS (XEP-0368), nothing sent inside yet.
    pub fn direct_tls(address: SocketAddr) -> Self {
        let stream = tls::connect(dial(address), &["xmpp-client"]).expect("direct TLS");
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"xmpp-client"[..]));
        Self::over(Transport::Tls(Box::new(stream)))
    }

    /// A stream inside TLS that is there already, nothing sent inside yet.
    pub fn inside(stream: tls::Stream) -> Self {
        Self::over(Transport::Tls(Box::new(stream)))
    }

    /// Direct TLS to a domain (XEP-0368 §4), and its stream up to the features.
    pub fn secure_at(server: &Server, domain: &str) -> Self {
        let stream = tls::connect_to(dial(server.address("direct_tls")), domain, true, &["xmpp-client"]).expect("direct TLS");
        let mut wire = Self { domain: domain.to_owned(), ..Self::over(Transport::Tls(Box::new(stream))) };
        wire.header();
        wire
    }

    /// STARTTLS at a domain, and the stream inside up to the features.
    pub fn starttls_at(server: &Server, domain: &str, sni: bool) -> Self {
        let mut wire = Self { domain: domain.to_owned(), sni, ..Self::tcp(server.address("c2s")) };
        wire.header();
        wire.starttls();
        wire
    }

    fn over(transport: Transport) -> Self {
        Self {
            transport: Some(transport),
            received: String::new(),
            partial: Vec::new(),
            at: 0,
            ended: false,
            jid: String::new(),
            domain: "localhost".to_owned(),
            sni: true,
            exact: false,
        }
    }

    /// A stream in clear, up to its features.
    pub fn open(server: &Server) -> Self {
        let mut wire = Self::tcp(server.address("c2s"));
        wire.header();
        wire
    }

    /// A stream inside TLS, up to its features: what comes before authentication is next.
    pub fn secure(server: &Server) -> Self {
        let mut wire = Self::direct_tls(server.address("direct_tls"));
        wire.header();
        wire
    }

    /// `user` of `localhost`, logged in and bound to this resource, without presence.
    pub fn bound(server: &Server, user: &str, resource: &str) -> Self {
        let mut wire = Self::secure(server);
        wire.log_in(user);
        wire.bind(resource);
        wire
    }

    /// The same, with initial presence sent and seen.
    pub fn online(server: &Server, user: &str, resource: &str) -> Self {
        let mut wire = Self::bound(server, user, resource);
        wire.send("<presence/>");
        wire.expect_all(&["<presence", &format!("from='{user}@localhost/{resource}'")]);
        wire
    }

    /// Sends a stream header and reads the answer up to the features.
    pub fn header(&mut self) -> String {
        self.send(&HEADER.replace("localhost", &self.domain));
        self.expect("</stream:features>")
    }

    /// STARTTLS (RFC 6120 §5), up to the features inside.
    pub fn starttls(&mut self) -> String {
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.expect("<proceed");
        self.expect("/>");
        let Some(Transport::Clear(tcp)) = self.transport.take() else { panic!("already inside TLS") };
        self.transport = Some(Transport::Tls(Box::new(tls::connect_to(tcp, &self.domain, self.sni, &[]).expect("STARTTLS"))));
        self.header()
    }

    /// SCRAM-SHA-256 with the password of all accounts.
    pub fn log_in(&mut self, user: &str) {
        self.scram(Hash::Sha256, user, PASSWORD).expect("the log-in is right");
        self.header();
    }

    /// A whole SCRAM log-in up to `<success/>`; the error is the failure as sent.
    pub fn scram(&mut self, hash: Hash, user: &str, password: &str) -> Result<(), String> {
        self.exchange(hash.mechanism(), Scram::new(hash, user, password, "fyko+d2lbbFgONRv9qkxdawL"))
    }

    /// The same by this mechanism, and with this client's side.
    pub fn exchange(&mut self, mechanism: &str, mut scram: Scram) -> Result<(), String> {
        let challenge = self.auth(mechanism, &scram.first())?;
        self.send(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>", scram.last(&challenge)));
        match self.expect_any(&["</success>", "</failure>"]) {
            (0, success) => {
                let additional = String::from_utf8(STANDARD.decode(inner(&success)).unwrap()).unwrap();
                assert_eq!(additional, format!("v={}", scram.verifier), "the server's signature");
                Ok(())
            }
            (_, failure) => Err(failure),
        }
    }

    /// The TLS connection under the stream.
    pub fn tls(&self) -> &tls::Stream {
        match &self.transport {
            Some(Transport::Tls(stream)) => stream,
            _ => panic!("in clear"),
        }
    }

    /// `<auth/>` with an initial response; the challenge, or the failure.
    pub fn auth(&mut self, mechanism: &str, initial: &str) -> Result<String, String> {
        self.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{initial}</auth>"));
        match self.expect_any(&["</challenge>", "</failure>"]) {
            (0, challenge) => Ok(inner(&challenge).to_owned()),
            (_, failure) => Err(failure),
        }
    }

    /// Binds this resource (RFC 6120 §7.7).
    pub fn bind(&mut self, resource: &str) {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ));
        self.expect("<jid>");
        self.jid = self.expect("</jid>").trim_end_matches("</jid>").to_owned();
        self.expect("</iq>");
    }

    /// An IQ with an id of its own; the answer as sent. `head` is the rest of the start tag, such as `type='get' to='localhost'`.
    pub fn iq(&mut self, id: &str, head: &str, payload: &str) -> String {
        self.send(&format!("<iq id='{id}' {head}>{payload}</iq>"));
        self.stanza("iq", &[&format!("id='{id}'")])
    }

    /// The next stanza of this kind that holds all these texts; others are passed over.
    pub fn stanza(&mut self, name: &str, parts: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        let mut from = self.at;
        loop {
            while let Some((start, after)) = element(&self.received[from..], name) {
                let text = self.received[from + start..from + after].to_owned();
                from += after;
                if parts.iter().all(|part| text.contains(part)) {
                    self.at = from;
                    return text;
                }
            }
            self.read_more(end, &format!("<{name}/> with {parts:?}"));
        }
    }

    /// The next top-level element, whatever it is; `None` when the server closed its stream or the connection.
    pub fn next(&mut self) -> Option<String> {
        let end = Instant::now() + PATIENCE;
        let next = self.next_before(end);
        assert!(next.is_some() || Instant::now() < end, "no element came within {PATIENCE:?}");
        next
    }

    /// The same; `None` also when it has not come by `end`.
    pub fn next_before(&mut self, end: Instant) -> Option<String> {
        loop {
            let unread = &self.received[self.at..];
            let skipped = unread.len() - unread.trim_start().len();
            if unread[skipped..].starts_with("</") {
                return None;
            }
            let name: String =
                unread[skipped..].strip_prefix('<').unwrap_or_default().chars().take_while(|c| !" />".contains(*c)).collect();
            if let Some((start, after)) = element(unread, &name).filter(|_| !name.is_empty()) {
                let text = unread[start..after].to_owned();
                self.at += after;
                return Some(text);
            }
            if self.ended {
                return None;
            }
            if Instant::now() >= end {
                return None;
            }
            self.read_before(end, "the next element");
        }
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Writes; a server that has closed already is no error here, what it said is still to be read.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let written = match self.transport.as_mut().expect("open") {
            Transport::Clear(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Transport::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        };
        if let Err(error) = written {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted), "{error}");
        }
    }

    /// Reads up to and with this text; gives what was read since the last call.
    pub fn expect(&mut self, text: &str) -> String {
        self.expect_any(&[text]).1
    }

    /// Reads until one of these texts has come; gives which, and what was read up to its end.
    pub fn expect_any(&mut self, texts: &[&str]) -> (usize, String) {
        let end = Instant::now() + PATIENCE;
        loop {
            let unread = &self.received[self.at..];
            let first = texts.iter().enumerate().filter_map(|(i, text)| Some((unread.find(text)? + text.len(), i))).min();
            if let Some((length, index)) = first {
                let read = unread[..length].to_owned();
                self.at += length;
                return (index, read);
            }
            self.read_more(end, &format!("{texts:?}"));
        }
    }

    /// Reads until all these texts have come, in any order.
    pub fn expect_all(&mut self, texts: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let unread = &self.received[self.at..];
            if let Some(ends) = texts.iter().map(|text| Some(unread.find(text)? + text.len())).collect::<Option<Vec<_>>>() {
                self.at += ends.into_iter().max().unwrap_or(0);
                return;
            }
            self.read_more(end, &format!("all of {texts:?}"));
        }
    }

    /// Lets go of what was read.
    pub fn forget(&mut self) {
        self.received.drain(..self.at);
        self.at = 0;
    }

    /// Reads until the server closes the connection; gives all that it sent since the last call.
    pub fn until_closed(&mut self) -> String {
        let end = Instant::now() + PATIENCE;
        while !self.ended {
            self.read(end, "the end of the connection");
        }
        let rest = self.received[self.at..].to_owned();
        self.at = self.received.len();
        rest
    }

    /// The server answers with a stream error of this condition and closes the stream (RFC 6120 §4.9.1.1).
    pub fn expect_stream_error(&mut self, condition: &str) {
        let said = self.until_closed();
        let element = format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'");
        assert!(said.contains("<stream:error") && said.contains(&element), "wanted the stream error {condition}, got {said:?}");
        assert!(said.trim_end().ends_with("</stream:stream>"), "the stream was not closed: {said:?}");
    }

    /// Nothing that holds this text came before the answer to a request sent now.
    pub fn saw_nothing_of(&mut self, text: &str) {
        let from = self.at;
        self.iq("fence", "type='get' to='localhost'", "<ping xmlns='urn:xmpp:ping'/>");
        let seen = &self.received[from..];
        assert!(!seen.contains(text), "{text} in {seen}");
    }

    fn read_more(&mut self, end: Instant, what: &str) {
        assert!(!self.ended, "the server closed before {what} came; it sent {:?}", &self.received[self.at..]);
        self.read(end, what);
    }

    fn read(&mut self, end: Instant, what: &str) {
        assert!(Instant::now() < end, "{what} did not come within {PATIENCE:?}; came {:?}", &self.received[self.at..]);
        self.read_before(end, what);
    }

    fn read_before(&mut self, end: Instant, what: &str) {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut buffer = [0; 16384];
        let transport = self.transport.as_mut().expect("open");
        let socket = match transport {
            Transport::Clear(stream) => &*stream,
            Transport::Tls(stream) => &stream.sock,
        };
        socket.set_read_timeout(Some(left)).unwrap();
        let read = match transport {
            Transport::Clear(stream) => stream.read(&mut buffer),
            Transport::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.partial.extend_from_slice(&buffer[..count]);
                let whole = match std::str::from_utf8(&self.partial) {
                    Ok(_) => self.partial.len(),
                    Err(error) => error.valid_up_to(),
                };
                let text: Vec<u8> = self.partial.drain(..whole).collect();
                let text = String::from_utf8(text).unwrap();
                self.received.push_str(&if self.exact { text } else { text.replace('"', "'") });
            }
            // a server that closes without TLS's close_notify, or while we still send
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                self.ended = true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

fn dial(address: SocketAddr) -> TcpStream {
    prepared(TcpStream::connect_timeout(&address, PATIENCE).unwrap_or_else(|error| panic!("{address}: {error}")))
}

fn prepared(tcp: TcpStream) -> TcpStream {
    tcp.set_nodelay(true).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// The text between the last start tag and the end tag that `read` ends with.
fn inner(read: &str) -> &str {
    let end = read.rfind("</").expect("an end tag");
    let start = read[..end].rfind('>').expect("a start tag") + 1;
    &read[start..end]
}

/// Where the first whole top-level element of this name begins and ends; names inside other elements of the text are not told apart,
/// which is right for stanzas, whose names do not nest but in forwarded copies.
fn element(text: &str, name: &str) -> Option<(usize, usize)> {
    let open = format!("<{name}");
    let start = text.match_indices(&open).map(|(at, _)| at).find(|at| text[at + open.len()..].starts_with([' ', '>', '/']))?;
    let mut depth = 0_i32;
    let mut at = start;
    loop {
        let tag = at + text[at..].find('<')?;
        let end = tag + text[tag..].find('>')?;
        let closing = text[tag..].starts_with("</");
        let empty = text[..end].ends_with('/');
        depth += i32::from(!closing) - i32::from(closing || empty);
        at = end + 1;
        if depth == 0 {
            return Some((start, at));
        }
    }
}

/// The value of an attribute, in text read from the wire.
pub fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!(" {name}='"))? + name.len() + 3;
    Some(&text[start..start + text[start..].find('\'')?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_elements_are_found_in_what_was_read() {
        for (text, found) in [
            ("<iq id='1'/>", Some("<iq id='1'/>")),
            ("<iqx/><iq id='1'><a/><b>c</b></iq><iq", Some("<iq id='1'><a/><b>c</b></iq>")),
            ("<message><forwarded><message/></forwarded></message>", None),
            ("<iq id='1'><a>", None),
        ] {
            assert_eq!(element(text, "iq").map(|(start, end)| &text[start..end]), found, "{text}");
        }
        assert_eq!(inner("<x><challenge a='b'>YWJj</challenge>"), "YWJj");
        assert_eq!(attribute("<a port='1' bport='2'>", "port"), Some("1"));
    }
}
