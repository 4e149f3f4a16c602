//! What XEP-0215 says of the relays, read over the wire; a small client of theirs.

use std::net::UdpSocket;

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use super::PATIENCE;
use super::wire::{Wire, attribute};

/// One `<service/>`.
#[derive(Clone, Debug)]
pub struct Service {
    pub kind: String,
    pub host: String,
    pub port: u16,
    pub transport: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub text: String,
}

/// Asks the server for its services; `filter` is the rest of the payload's start tag, such as `type='turn'`.
pub fn services(wire: &mut Wire, filter: &str) -> Vec<Service> {
    let answer = wire.iq("extdisco", "type='get' to='localhost'", &format!("<services xmlns='urn:xmpp:extdisco:2' {filter}/>"));
    assert!(answer.contains("type='result'"), "{answer}");
    answer.split("<service ").skip(1).map(|part| service(part.split('>').next().expect("a tag"))).collect()
}

fn service(tag: &str) -> Service {
    let text = format!(" {tag}");
    let value = |name: &str| attribute(&text, name).map(str::to_owned);
    Service {
        kind: value("type").expect("type"),
        host: value("host").expect("host"),
        port: value("port").and_then(|port| port.parse().ok()).expect("port"),
        transport: value("transport").unwrap_or_default(),
        username: value("username"),
        password: value("password"),
        text: text.clone(),
    }
}

/// The relay of this kind (`turn`, `turns`) over this transport.
pub fn relay(wire: &mut Wire, kind: &str, transport: &str) -> Service {
    let all = services(wire, "");
    let found = all.iter().find(|service| service.kind == kind && service.transport == transport);
    found.cloned().unwrap_or_else(|| panic!("no {kind} over {transport} in {all:?}"))
}

/// A client of the relay over UDP, as small as can be.
pub struct Client {
    socket: UdpSocket,
    service: Service,
    /// Realm and nonce of the last challenge.
    challenge: Option<(Vec<u8>, Vec<u8>)>,
    requests: u8,
}

impl Client {
    /// A client that uses these credentials, on loopback.
    pub fn new(service: &Service) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", service.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, service: service.clone(), challenge: None, requests: 0 }
    }

    /// RFC 8656 §7: asks for an allocation; the error's code when there is none.
    pub fn allocate(&mut self) -> Result<(), u16> {
        self.request(Method::ALLOCATE, &[(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0])])
    }

    /// RFC 8656 §8: keeps it.
    pub fn refresh(&mut self) -> Result<(), u16> {
        self.request(Method::REFRESH, &[])
    }

    fn request(&mut self, method: Method, attributes: &[(AttributeType, &[u8])]) -> Result<(), u16> {
        loop {
            self.requests += 1;
            let mut writer = Writer::new(Class::Request, method, TransactionId([self.requests; 12]));
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
            if let Some((realm, nonce)) = &self.challenge {
                let (name, password) =
                    (self.service.username.as_deref().expect("a name"), self.service.password.as_deref().expect("a password"));
                let key = Key::long_term(name, std::str::from_utf8(realm).unwrap(), password, PasswordAlgorithm::Md5).unwrap();
                writer.attribute(AttributeType::USERNAME, name.as_bytes());
                writer.attribute(AttributeType::REALM, realm).attribute(AttributeType::NONCE, nonce);
                writer.sign(&key, Integrity::Sha1);
            }
            self.socket.send(&writer.finish()).unwrap();
            let mut buffer = [0; 1500];
            let size = self.socket.recv(&mut buffer).expect("an answer");
            let answer = Message::parse(&buffer[..size]).expect("STUN");
            let Some(code) = answer.error_code() else { return Ok(()) };
            let attribute = |kind| answer.get(kind).map(<[u8]>::to_vec).unwrap_or_default();
            match (code.0, &self.challenge) {
                (401, None) | (438, _) => self.challenge = Some((attribute(AttributeType::REALM), attribute(AttributeType::NONCE))),
                (code, _) => return Err(code),
            }
        }
    }
}
