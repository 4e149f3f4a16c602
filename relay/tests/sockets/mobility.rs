//! RFC 8016: a client changes networks (here: sockets) in the middle of a call, over every transport, whichever worker its packets come to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use campanile_ice::stun::{AttributeType, Message, Method};
use campanile_relay::{Credentials, Relay, Settings, Transport};
use tokio::net::UdpSocket;
use tokio_rustls::rustls;

use crate::client::{Client, PATIENCE, Received};
use crate::{address, certificate, settings, start, until};

const CHANNEL: u16 = 0x4001;

/// An allocation with a ticket, and a channel to the peer.
async fn allocate(client: &mut Client, peer: &UdpSocket) -> (std::net::SocketAddr, Vec<u8>) {
    let answer = client
        .ask(Method::ALLOCATE, |writer| {
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(AttributeType::MOBILITY_TICKET, &[]);
        })
        .await
        .unwrap();
    client.bind(CHANNEL, peer.local_addr().unwrap()).await.unwrap();
    let message = Message::parse(&answer).unwrap();
    let relayed = message.get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().unwrap();
    (relayed, message.get(AttributeType::MOBILITY_TICKET).unwrap().to_vec())
}

/// Shows a ticket: the next one, or the error code.
async fn come(client: &mut Client, ticket: &[u8]) -> Result<Vec<u8>, u16> {
    let answer = client.ask(Method::REFRESH, |writer| {
        writer.attribute(AttributeType::MOBILITY_TICKET, ticket);
    });
    Ok(Message::parse(&answer.await?).unwrap().get(AttributeType::MOBILITY_TICKET).unwrap().to_vec())
}

/// From the client to the peer. A datagram that comes before the other worker has heard of the move is lost, as any may be.
async fn reaches_peer(client: &mut Client, peer: &UdpSocket, data: &[u8]) {
    let mut bytes = [0; 2_000];
    for _ in 0..50 {
        client.send_on(CHANNEL, data).await;
        while let Ok(received) = tokio::time::timeout(Duration::from_millis(200), peer.recv_from(&mut bytes)).await {
            if &bytes[..received.unwrap().0] == data {
                return;
            }
        }
    }
    panic!("{:?} does not reach the peer", String::from_utf8_lossy(data));
}

async fn reaches_client(peer: &UdpSocket, relayed: std::net::SocketAddr, client: &mut Client, data: &[u8]) {
    peer.send_to(data, relayed).await.unwrap();
    assert_eq!(client.receive().await, Received::Channel(CHANNEL, data.to_vec()));
}

struct World {
    relay: Relay,
    trusting: Arc<rustls::ClientConfig>,
    credentials: Credentials,
}

impl World {
    fn new(workers: usize) -> Self {
        let (server, trusting) = certificate();
        let relay = start(Settings {
            tls: vec!["127.0.0.1:0".parse().unwrap()],
            tls_config: Some(server),
            allow_peers: vec!["127.0.0.0/8".parse().unwrap()],
            workers,
            ..settings()
        });
        let credentials = relay.issue("juliet", SystemTime::now());
        Self { relay, trusting, credentials }
    }

    async fn client(&self, transport: Transport) -> Client {
        let server = address(&self.relay, transport);
        match transport {
            Transport::Udp => Client::udp(server, &self.credentials).await,
            Transport::Tcp => Client::tcp(server, &self.credentials).await,
            Transport::Tls => Client::tls(server, self.trusting.clone(), &self.credentials).await,
        }
    }
}

/// Make before break: from each transport to each, with three workers so that most new sockets come to another one.
#[tokio::test]
async fn s3_2_2_a_call_goes_on_over_a_new_socket_of_any_transport() {
    let world = World::new(3);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let all = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let mut old = world.client(Transport::Udp).await;
    let (relayed, mut ticket) = allocate(&mut old, &peer).await;
    for (round, (from, to)) in all.iter().flat_map(|from| all.map(|to| (*from, to))).cycle().take(18).enumerate() {
        let what = format!("{round}: {from} to {to}");
        let mut new = world.client(to).await;
        ticket = come(&mut new, &ticket).await.unwrap_or_else(|code| panic!("{what}: {code}"));
        // Until the new one is used, the old one is.
        reaches_client(&peer, relayed, &mut old, what.as_bytes()).await;
        reaches_peer(&mut old, &peer, b"on the old one").await;
        reaches_peer(&mut new, &peer, what.as_bytes()).await;
        reaches_client(&peer, relayed, &mut new, b"back").await;
        new.refresh(600).await.unwrap();
        // The old one is none any more.
        assert_eq!(old.refresh(600).await, Err(437), "{what}");
        old = new;
    }
    old.refresh(0).await.unwrap();
    until(&world.relay, "all ends", |stats| stats.allocations == Default::default()).await;
    world.relay.shutdown().await;
}

/// Break before make: the old connection is gone before the new one is there.
#[tokio::test]
async fn an_allocation_waits_for_the_client_whose_connection_broke() {
    let world = World::new(2);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut old = world.client(Transport::Tls).await;
    let (relayed, mut ticket) = allocate(&mut old, &peer).await;
    for to in [Transport::Tls, Transport::Tcp, Transport::Tls, Transport::Udp] {
        drop(old);
        until(&world.relay, "the connection is gone", |stats| stats.connections == Default::default()).await;
        let mut new = world.client(to).await;
        ticket = come(&mut new, &ticket).await.unwrap();
        // Nobody is at the old one: data goes to the new one at once.
        reaches_client(&peer, relayed, &mut new, b"are you there?").await;
        reaches_peer(&mut new, &peer, b"yes").await;
        old = new;
    }
    old.refresh(0).await.unwrap();
    world.relay.shutdown().await;
}

#[tokio::test]
async fn somebody_elses_ticket_is_refused_and_a_forbidden_one_too() {
    let world = World::new(3);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut owner = world.client(Transport::Udp).await;
    let (relayed, ticket) = allocate(&mut owner, &peer).await;
    let thief = world.relay.issue("romeo", SystemTime::now());
    // Whichever worker they come to.
    for _ in 0..6 {
        let mut udp = Client::udp(address(&world.relay, Transport::Udp), &thief).await;
        assert_eq!(come(&mut udp, &ticket).await, Err(441));
        assert_eq!(come(&mut udp, &[7; 54]).await, Err(400));
        udp.send_on(CHANNEL, b"stolen").await;
        let mut tcp = Client::tcp(address(&world.relay, Transport::Tcp), &thief).await;
        assert_eq!(come(&mut tcp, &ticket).await, Err(441));
        tcp.send_on(CHANNEL, b"stolen").await;
        // Such a connection is as good as before.
        tcp.allocate().await.unwrap();
    }
    reaches_client(&peer, relayed, &mut owner, b"still mine").await;
    reaches_peer(&mut owner, &peer, b"as before").await;
    assert!(tokio::time::timeout(Duration::from_millis(100), peer.recv_from(&mut [0; 100])).await.is_err(), "nothing was stolen");
    world.relay.shutdown().await;

    let relay = start(Settings { mobility: false, ..settings() });
    let mut client = crate::udp(&relay, "juliet").await;
    let answer = client.ask(Method::ALLOCATE, |writer| {
        writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        writer.attribute(AttributeType::MOBILITY_TICKET, &[]);
    });
    assert_eq!(tokio::time::timeout(PATIENCE, answer).await.unwrap().err(), Some(405));
    client.allocate().await.unwrap();
    relay.shutdown().await;
}

/// RFC 8489 §6.2.2: over TCP nobody asks again, so what stands behind the request that makes a connection change workers goes along.
#[tokio::test]
async fn requests_behind_a_ticket_are_answered_wherever_the_connection_goes() {
    let world = World::new(3);
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut owner = world.client(Transport::Udp).await;
    let (_, ticket) = allocate(&mut owner, &peer).await;
    for _ in 0..6 {
        let mut client = world.client(Transport::Tcp).await;
        let refresh = client.request(Method::REFRESH, |writer| {
            writer.attribute(AttributeType::MOBILITY_TICKET, &ticket);
        });
        let bindings: Vec<u8> = (0..5).flat_map(|_| client.request(Method::BINDING, |_| ())).collect();
        client.write(&[bindings.as_slice(), &refresh, &bindings].concat()).await;
        for method in [[Method::BINDING; 5].as_slice(), &[Method::REFRESH], &[Method::BINDING; 5]].concat() {
            assert_eq!(Message::parse(&client.read().await.unwrap()).unwrap().method(), method);
        }
    }
    world.relay.shutdown().await;
}
