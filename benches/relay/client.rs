//! TURN clients (RFC 8656) on [`Hosts`]: what has to be asked before packets flow, with names of the TURN REST API, one for each client.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::turn::TRANSPORT_UDP;
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use crate::hosts::Hosts;
use crate::servers::SECRET;

/// The channel of every client.
pub const CHANNEL: u16 = 0x4001;

/// Who asks.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: String,
    realm: String,
    nonce: Vec<u8>,
    key: Option<Key>,
}

impl Credentials {
    /// A name that nobody has had.
    pub fn new() -> Self {
        let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(86_400);
        let username = format!("{}:{}", expiry.as_secs(), super::unique());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        let password = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        Self { username, password, realm: String::new(), nonce: Vec::new(), key: None }
    }

    /// A request, signed as soon as the server has said how.
    pub fn request(&self, transaction: [u8; 12], method: Method, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(Class::Request, method, TransactionId(transaction));
        fill(&mut writer);
        if let Some(key) = &self.key {
            writer.attribute(AttributeType::USERNAME, self.username.as_bytes());
            writer.attribute(AttributeType::REALM, self.realm.as_bytes());
            writer.attribute(AttributeType::NONCE, &self.nonce);
            writer.sign(key, Integrity::Sha1);
        }
        writer.finish()
    }

    /// Takes realm and nonce out of a challenge.
    pub fn take(&mut self, challenge: &[u8]) -> anyhow::Result<()> {
        let message = Message::parse(challenge)?;
        ensure!(message.error_code().is_some_and(|code| [401, 438].contains(&code.0)), "no challenge: {:?}", message.error_code());
        self.realm = String::from_utf8(message.get(AttributeType::REALM).context("REALM")?.to_vec())?;
        self.nonce = message.get(AttributeType::NONCE).context("NONCE")?.to_vec();
        let key = Key::long_term(&self.username, &self.realm, &self.password, PasswordAlgorithm::Md5);
        self.key = Some(key.ok().context("a key of its name and password")?);
        Ok(())
    }
}

/// Asks for a relayed address over UDP.
pub fn allocate(writer: &mut Writer) {
    writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[TRANSPORT_UDP, 0, 0, 0]);
}

/// Asks for [`CHANNEL`] to a peer.
pub fn bind(writer: &mut Writer, peer: SocketAddrV4) {
    let [high, low] = CHANNEL.to_be_bytes();
    writer.attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0]);
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer.into());
}

/// The relayed address of an answer to Allocate.
pub fn relayed(answer: &[u8]) -> anyhow::Result<SocketAddrV4> {
    let message = success(answer)?;
    match message.get_xor_address(AttributeType::XOR_RELAYED_ADDRESS)? {
        Some(SocketAddr::V4(relayed)) => Ok(relayed),
        other => bail!("relayed address {other:?}"),
    }
}

/// An answer that must be no error.
pub fn success(answer: &[u8]) -> anyhow::Result<Message<'_>> {
    let message = Message::parse(answer)?;
    ensure!(message.class() == Class::Success, "{:?} was answered {:?}", message.method(), message.error_code());
    Ok(message)
}

/// A client with an allocation.
pub struct Client {
    /// Where it sends from.
    pub host: SocketAddrV4,
    /// Its relayed address.
    pub relayed: SocketAddrV4,
    credentials: Credentials,
}

impl Client {
    /// An allocation for each of these hosts.
    pub fn allocate(hosts: &mut Hosts, server: SocketAddrV4, from: &[SocketAddrV4]) -> anyhow::Result<Vec<Self>> {
        let mut credentials: Vec<Credentials> = from.iter().map(|_| Credentials::new()).collect();
        let answers = ask(hosts, server, from.iter().copied().zip(&credentials), Method::ALLOCATE, |_, writer| allocate(writer))?;
        for (credentials, challenge) in credentials.iter_mut().zip(&answers) {
            credentials.take(challenge)?;
        }
        let answers = ask(hosts, server, from.iter().copied().zip(&credentials), Method::ALLOCATE, |_, writer| allocate(writer))?;
        let clients = credentials.into_iter().zip(from).zip(&answers).map(|((credentials, host), answer)| {
            let host = *host;
            anyhow::Ok(Self { host, relayed: relayed(answer)?, credentials })
        });
        clients.collect()
    }

    /// Binds [`CHANNEL`] of each client to the peer beside it.
    pub fn bind(hosts: &mut Hosts, server: SocketAddrV4, pairs: &[(&Self, SocketAddrV4)]) -> anyhow::Result<()> {
        let clients = pairs.iter().map(|(client, _)| (client.host, &client.credentials));
        let answers = ask(hosts, server, clients, Method::CHANNEL_BIND, |index, writer| bind(writer, pairs[index].1))?;
        answers.iter().try_for_each(|answer| success(answer).map(drop))
    }

    /// Permits each client the peer beside it.
    pub fn permit(hosts: &mut Hosts, server: SocketAddrV4, pairs: &[(&Self, SocketAddrV4)]) -> anyhow::Result<()> {
        let clients = pairs.iter().map(|(client, _)| (client.host, &client.credentials));
        let answers = ask(hosts, server, clients, Method::CREATE_PERMISSION, |index, writer| {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, pairs[index].1.into());
        })?;
        answers.iter().try_for_each(|answer| success(answer).map(drop))
    }

    /// Ends allocations.
    pub fn free(hosts: &mut Hosts, server: SocketAddrV4, clients: &[Self]) -> anyhow::Result<()> {
        let clients = clients.iter().map(|client| (client.host, &client.credentials));
        let answers = ask(hosts, server, clients, Method::REFRESH, |_, writer| {
            writer.u32(AttributeType::LIFETIME, 0);
        })?;
        answers.iter().try_for_each(|answer| success(answer).map(drop))
    }
}

fn ask<'a>(
    hosts: &mut Hosts,
    server: SocketAddrV4,
    clients: impl Iterator<Item = (SocketAddrV4, &'a Credentials)>,
    method: Method,
    fill: impl Fn(usize, &mut Writer),
) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for (index, (host, credentials)) in clients.enumerate() {
        let transaction = hosts.transaction();
        requests.push((*host.ip(), credentials.request(transaction, method, |writer| fill(index, writer))));
    }
    hosts.ask(server, &requests)
}

/// The head of a Send indication (RFC 8656 §11.1) to a peer with this much data, which is a multiple of four.
pub fn send_head(peer: SocketAddrV4, data_bytes: usize) -> Vec<u8> {
    let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([9; 12]));
    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, SocketAddr::new(IpAddr::V4(*peer.ip()), peer.port()));
    writer.attribute(AttributeType::DATA, &vec![0; data_bytes]);
    let mut bytes = writer.finish();
    bytes.truncate(bytes.len() - data_bytes);
    bytes
}
