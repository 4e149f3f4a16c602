//! A TURN client of a few lines over UDP, TCP and TLS, which shows the raw messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::turn::{Channel, Frame, channel_header, parse_channel_data, stream_frame};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};
use campanile_relay::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

/// Longer than anything here takes, shorter than a person waits.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How the client reaches the server.
pub enum Way {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Vec<u8>),
}

pub struct Client {
    pub way: Way,
    username: String,
    key: Key,
    nonce: Vec<u8>,
    transactions: u64,
}

/// What a client receives.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Data(SocketAddr, Vec<u8>),
    Channel(u16, Vec<u8>),
}

impl Client {
    pub fn new(way: Way, credentials: &Credentials) -> Self {
        let key = Key::long_term(&credentials.username, "example.org", &credentials.password, PasswordAlgorithm::Md5).unwrap();
        Self { way, username: credentials.username.clone(), key, nonce: Vec::new(), transactions: 0 }
    }

    pub async fn udp(server: SocketAddr, credentials: &Credentials) -> Self {
        let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).await.unwrap();
        socket.connect(server).await.unwrap();
        Self::new(Way::Udp(socket), credentials)
    }

    pub async fn tcp(server: SocketAddr, credentials: &Credentials) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        Self::new(Way::Stream(Box::new(stream), Vec::new()), credentials)
    }

    pub async fn tls(server: SocketAddr, config: Arc<ClientConfig>, credentials: &Credentials) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        let stream = TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        Self::new(Way::Stream(Box::new(stream), Vec::new()), credentials)
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        match &mut self.way {
            Way::Udp(socket) => assert_eq!(socket.send(bytes).await.unwrap(), bytes.len()),
            Way::Stream(stream, _) => {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    }

    /// The next message, whole; none when the connection has ended.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        tokio::time::timeout(PATIENCE, self.read_patiently()).await.expect("the server says something")
    }

    async fn read_patiently(&mut self) -> Option<Vec<u8>> {
        match &mut self.way {
            Way::Udp(socket) => {
                let mut bytes = vec![0; 65_536];
                let length = socket.recv(&mut bytes).await.ok()?;
                bytes.truncate(length);
                Some(bytes)
            }
            Way::Stream(stream, buffer) => loop {
                match stream_frame(buffer) {
                    Frame::Whole(length) => return Some(buffer.drain(..length).collect()),
                    Frame::Invalid => panic!("the server sent no frame"),
                    Frame::Partial => {
                        if stream.read_buf(buffer).await.ok()? == 0 {
                            return None;
                        }
                    }
                }
            },
        }
    }

    /// Reads data until some comes that is no answer.
    pub async fn receive(&mut self) -> Received {
        let bytes = self.read().await.expect("the connection lives");
        if let Some((channel, range)) = parse_channel_data(&bytes) {
            return Received::Channel(channel.number(), bytes[range].to_vec());
        }
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        let peer = message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).unwrap().unwrap();
        Received::Data(peer, message.get(AttributeType::DATA).unwrap().to_vec())
    }

    pub fn request(&mut self, method: Method, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        self.transactions += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.transactions.to_be_bytes());
        let mut writer = Writer::new(Class::Request, method, TransactionId(transaction));
        fill(&mut writer);
        if !self.nonce.is_empty() {
            writer.attribute(AttributeType::USERNAME, self.username.as_bytes());
            writer.attribute(AttributeType::REALM, b"example.org");
            writer.attribute(AttributeType::NONCE, &self.nonce);
            writer.sign(&self.key, Integrity::Sha1);
        }
        writer.fingerprint();
        writer.finish()
    }

    /// Sends a request, with a new nonce where the server wants one. The answer, or its error code.
    pub async fn ask(&mut self, method: Method, fill: impl Fn(&mut Writer)) -> Result<Vec<u8>, u16> {
        for _ in 0..2 {
            let request = self.request(method, &fill);
            self.write(&request).await;
            let answer = self.read().await.ok_or(0u16)?;
            let message = Message::parse(&answer).unwrap();
            match message.error_code().map(|code| code.0) {
                None => {
                    assert!(message.class() == Class::Success && (self.nonce.is_empty() || message.verify(&self.key)));
                    return Ok(answer);
                }
                Some(401 | 438) if self.nonce != message.get(AttributeType::NONCE).unwrap() => {
                    self.nonce = message.get(AttributeType::NONCE).unwrap().to_vec();
                }
                Some(code) => return Err(code),
            }
        }
        Err(401)
    }

    pub async fn allocate(&mut self) -> Result<SocketAddr, u16> {
        self.allocate_of(None).await
    }

    /// With REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6), if one is given: 1 is IPv4, 2 is IPv6.
    pub async fn allocate_of(&mut self, family: Option<u8>) -> Result<SocketAddr, u16> {
        let answer = self
            .ask(Method::ALLOCATE, |writer| {
                writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                if let Some(family) = family {
                    writer.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
                }
            })
            .await?;
        Ok(Message::parse(&answer).unwrap().get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().unwrap())
    }

    pub async fn permit(&mut self, peer: SocketAddr) -> Result<(), u16> {
        let answer = self.ask(Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
        answer.await.map(drop)
    }

    pub async fn bind(&mut self, channel: u16, peer: SocketAddr) -> Result<(), u16> {
        let [high, low] = channel.to_be_bytes();
        let answer = self.ask(Method::CHANNEL_BIND, |writer| {
            writer.attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0]);
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
        answer.await.map(drop)
    }

    pub async fn refresh(&mut self, lifetime_s: u32) -> Result<(), u16> {
        let answer = self.ask(Method::REFRESH, |writer| {
            writer.u32(AttributeType::LIFETIME, lifetime_s);
        });
        answer.await.map(drop)
    }

    pub async fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([9; 12]));
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        writer.attribute(AttributeType::DATA, data);
        self.write(&writer.finish()).await;
    }

    pub fn channel_data(&self, channel: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = channel_header(Channel::new(channel).unwrap(), data.len() as u16).to_vec();
        bytes.extend_from_slice(data);
        if matches!(self.way, Way::Stream(..)) {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    pub async fn send_on(&mut self, channel: u16, data: &[u8]) {
        let bytes = self.channel_data(channel, data);
        self.write(&bytes).await;
    }
}
