//! What XEP-0215 says of the relays, read over the wire; and a TURN client of few words.

use std::net::{SocketAddr, UdpSocket};

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use super::PATIENCE;
use super::server::Server;
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
    read(&answer)
}

/// What an answer tells.
pub fn read(answer: &str) -> Vec<Service> {
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

/// A TURN client over UDP that asks and tells what it was answered; it keeps nothing going by itself.
pub struct Client {
    socket: UdpSocket,
    username: String,
    key: Key,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    next: u64,
}

impl Client {
    /// One with these credentials, from a port of its own.
    pub fn new(server: SocketAddr, username: &str, password: &str, realm: &str) -> Self {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let key = Key::long_term(username, realm, password, PasswordAlgorithm::Md5).expect("a name that may be one");
        Self { socket, username: username.to_owned(), key, realm: realm.as_bytes().to_vec(), nonce: Vec::new(), next: 1 }
    }

    /// One with the credentials that this session is given.
    pub fn of(server: &Server, wire: &mut Wire) -> Self {
        let told = relay(wire, "turn", "udp");
        Self::told(server, &told)
    }

    /// One with the credentials that are told with a service.
    pub fn told(server: &Server, told: &Service) -> Self {
        let (username, password) = (told.username.as_deref().expect("a name"), told.password.as_deref().expect("a password"));
        Self::new(server.address("turn_udp"), username, password, "localhost")
    }

    /// Another one with the same credentials, from another port.
    pub fn another(&self) -> Self {
        let socket = UdpSocket::bind((self.socket.local_addr().unwrap().ip(), 0)).unwrap();
        socket.connect(self.socket.peer_addr().unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            username: self.username.clone(),
            key: self.key.clone(),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            next: 1,
        }
    }

    /// How many requests it has sent.
    pub fn requests(&self) -> u64 {
        self.next - 1
    }

    /// Allocates; the relayed address, or the code of the error.
    pub fn allocate(&mut self) -> Result<SocketAddr, u16> {
        let answer = self.ask(Method::ALLOCATE, |request| {
            request.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        })?;
        let answer = Message::parse(&answer).unwrap();
        Ok(answer.get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().expect("a relayed address"))
    }

    /// Refreshes for so many seconds.
    pub fn refresh(&mut self, seconds: u32) -> Result<(), u16> {
        self.ask(Method::REFRESH, |request| {
            request.u32(AttributeType::LIFETIME, seconds);
        })?;
        Ok(())
    }

    /// Asks for a permission.
    pub fn permit(&mut self, peer: SocketAddr) -> Result<(), u16> {
        self.ask(Method::CREATE_PERMISSION, |request| {
            request.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        })?;
        Ok(())
    }

    /// Binds a channel.
    pub fn bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), u16> {
        self.ask(Method::CHANNEL_BIND, |request| {
            let [high, low] = channel.to_be_bytes();
            request.attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0]);
            request.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        })?;
        Ok(())
    }

    /// Sends on a channel.
    pub fn send_on(&self, channel: u16, payload: &[u8]) {
        let mut data = channel.to_be_bytes().to_vec();
        data.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        data.extend_from_slice(payload);
        self.socket.send(&data).unwrap();
    }

    /// The next datagram.
    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let size = self.socket.recv(&mut buffer).expect("a datagram");
        buffer.truncate(size);
        buffer
    }

    /// The answer to a request, which is sent again with another nonce where that is asked for; the code of an error.
    pub fn ask(&mut self, method: Method, fill: impl Fn(&mut Writer)) -> Result<Vec<u8>, u16> {
        for attempt in 0..3 {
            let mut transaction = [0; 12];
            transaction[..8].copy_from_slice(&self.next.to_be_bytes());
            self.next += 1;
            let mut request = Writer::new(Class::Request, method, TransactionId(transaction));
            fill(&mut request);
            if !self.nonce.is_empty() {
                request.attribute(AttributeType::USERNAME, self.username.as_bytes());
                request.attribute(AttributeType::REALM, &self.realm);
                request.attribute(AttributeType::NONCE, &self.nonce);
                request.sign(&self.key, Integrity::Sha1);
            }
            self.socket.send(&request.finish()).unwrap();
            let answer = loop {
                let datagram = self.receive();
                if Message::parse(&datagram).is_ok_and(|message| message.transaction() == TransactionId(transaction)) {
                    break datagram;
                }
            };
            let message = Message::parse(&answer).unwrap();
            if message.class() == Class::Success {
                return Ok(answer);
            }
            let code = message.error_code().expect("an error has a code").0;
            let is_first = self.nonce.is_empty();
            if let Some(nonce) = message.get(AttributeType::NONCE) {
                self.nonce = nonce.to_vec();
            }
            if !(code == 438 || code == 401 && is_first) || attempt == 2 {
                return Err(code);
            }
        }
        unreachable!("the last attempt returns")
    }
}
