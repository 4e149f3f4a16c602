//! A client with stream management (XEP-0198) over any transport, which counts what it gets.

use super::server::Server;
use super::wire::{Wire, attribute};
use super::ws::Ws;

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    StartTls,
    DirectTls,
    WebSocket,
}

impl Over {
    pub const ALL: [Self; 3] = [Self::StartTls, Self::DirectTls, Self::WebSocket];

    /// `user` logged in, without a resource.
    fn log_in(self, server: &Server, user: &str) -> Line {
        let mut wire = match self {
            Self::WebSocket => return Line::Web(Ws::logged_in(server, user)),
            Self::DirectTls => Wire::secure(server),
            Self::StartTls => {
                let mut wire = Wire::open(server);
                wire.starttls();
                wire
            }
        };
        wire.log_in(user);
        Line::Stream(Box::new(wire))
    }
}

enum Line {
    Stream(Box<Wire>),
    Web(Ws),
}

/// A connected client.
pub struct Managed {
    line: Line,
    user: String,
    /// Stanzas received since management is on.
    pub h: u32,
    /// What the session is resumed by.
    pub token: String,
}

/// What is left of a client whose connection was cut.
pub struct Cut {
    user: String,
    pub h: u32,
    pub token: String,
}

impl Managed {
    /// `user` with this resource and a resumable session, without presence. `attributes` go into `<enable/>`.
    pub fn bound_with(server: &Server, over: Over, user: &str, resource: &str, attributes: &str) -> Self {
        let line = over.log_in(server, user);
        let mut client = Self { line, user: user.to_owned(), h: 0, token: String::new() };
        client.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ));
        client.expect(&[&format!("<jid>{user}@localhost/{resource}</jid>")]);
        client.send(&format!("<enable xmlns='urn:xmpp:sm:3' {attributes}/>"));
        let enabled = client.expect(&["<enabled"]);
        client.token = attribute(&enabled, "id").unwrap_or_default().to_owned();
        client.h = 0;
        client
    }

    /// The same, online.
    pub fn online(server: &Server, over: Over, user: &str, resource: &str) -> Self {
        let mut client = Self::bound_with(server, over, user, resource, "resume='true'");
        client.send("<presence/>");
        client.expect(&["<presence", &format!("from='{user}@localhost/{resource}'")]);
        client
    }

    /// Sends an element; over a WebSocket it needs its namespace.
    pub fn send(&mut self, xml: &str) {
        match &mut self.line {
            Line::Stream(wire) => wire.send(xml),
            Line::Web(ws) if xml.starts_with("<message") || xml.starts_with("<presence") || xml.starts_with("<iq") => {
                let name = xml[1..].split([' ', '/', '>']).next().expect("a name");
                ws.send(&xml.replacen(name, &format!("{name} xmlns='jabber:client'"), 1));
            }
            Line::Web(ws) => ws.send(xml),
        }
    }

    /// The next element, counted if it is a stanza.
    pub fn next(&mut self) -> Option<String> {
        let element = match &mut self.line {
            Line::Stream(wire) => wire.next(),
            Line::Web(ws) => ws.next(),
        }?;
        let stanza = ["<message", "<presence", "<iq"].iter().any(|name| element.starts_with(name));
        self.h = self.h.wrapping_add(u32::from(stanza));
        Some(element)
    }

    /// The next element that holds all these texts; others are passed over.
    pub fn expect(&mut self, parts: &[&str]) -> String {
        let mut seen = Vec::new();
        while let Some(element) = self.next() {
            if parts.iter().all(|part| element.contains(part)) {
                return element;
            }
            seen.push(element);
        }
        panic!("{}: the server closed before {parts:?} came; it sent {seen:#?}", self.user);
    }

    /// Every element up to the one that answers a question asked now.
    pub fn until_ack(&mut self) -> (Vec<String>, u32) {
        self.send("<r xmlns='urn:xmpp:sm:3'/>");
        let mut seen = Vec::new();
        loop {
            let element = self.next().unwrap_or_else(|| panic!("the server closed after {seen:#?}"));
            if element.starts_with("<a ") {
                let h = attribute(&element, "h").and_then(|h| h.parse().ok()).expect("a number");
                return (seen, h);
            }
            seen.push(element);
        }
    }

    /// Tells the server what has come.
    pub fn acknowledge(&mut self) {
        self.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.h));
    }

    /// The WebSocket is closed, the stream is not: what a browser does when its page goes.
    pub fn close_websocket(&mut self) {
        let Line::Web(ws) = &mut self.line else { panic!("no WebSocket") };
        ws.frame(0x88, &1001_u16.to_be_bytes());
        while ws.next().is_some() {}
    }

    /// The connection breaks.
    pub fn cut(self) -> Cut {
        Cut { user: self.user, h: self.h, token: self.token }
    }
}

impl Cut {
    /// The same client seen from a second connection, while the first still lives.
    pub fn of(client: &Managed) -> Self {
        Self { user: client.user.clone(), h: client.h, token: client.token.clone() }
    }

    /// What another user would try with the same identifier.
    pub fn as_user(&self, user: &str) -> Self {
        Self { user: user.to_owned(), h: self.h, token: self.token.clone() }
    }

    /// Logs in and asks to go on; the answer, whatever it is.
    pub fn try_resume(&self, server: &Server, over: Over) -> (Managed, String) {
        let line = over.log_in(server, &self.user);
        let mut client = Managed { line, user: self.user.clone(), h: self.h, token: self.token.clone() };
        client.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>", self.token, self.h));
        let answer = client.next().expect("an answer");
        (client, answer)
    }

    /// Goes on; how many of the client's stanzas the server has handled.
    pub fn resume(&self, server: &Server, over: Over) -> (Managed, u32) {
        let (client, answer) = self.try_resume(server, over);
        assert!(answer.starts_with("<resumed ") && answer.contains(&format!("previd='{}'", self.token)), "{answer}");
        let h = attribute(&answer, "h").and_then(|h| h.parse().ok()).expect("a number");
        (client, h)
    }

    /// There is nothing to go on with: `<failed/>` with this condition.
    pub fn refused(&self, server: &Server, over: Over, condition: &str) -> (Managed, String) {
        let (client, answer) = self.try_resume(server, over);
        assert!(answer.starts_with("<failed ") && answer.contains(&format!("<{condition} ")), "{answer}");
        (client, answer)
    }
}
