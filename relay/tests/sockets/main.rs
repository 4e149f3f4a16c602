//! The relay over real sockets: clients reach each other and peers over UDP, TCP and TLS, and nothing that they must not reach.
#![allow(missing_docs, clippy::unwrap_used)]

mod client;
mod mobility;
mod tcp_allocations;

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use campanile_ice::stun::turn::Icmp;
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};
use campanile_relay::{CallId, Direction, DropReason, Limits, Relay, Settings, Stats, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio_rustls::rustls;

use client::{Client, PATIENCE, Received, Way};

fn settings() -> Settings {
    Settings {
        udp: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        tcp: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        realm: "example.org".into(),
        key: [7; 32],
        workers: 2,
        ..Settings::default()
    }
}

fn start(settings: Settings) -> Relay {
    Relay::start(settings).unwrap_or_else(|error| panic!("{error}"))
}

fn address(relay: &Relay, transport: Transport) -> SocketAddr {
    relay.services().into_iter().find(|service| service.transport == transport).unwrap().local
}

async fn udp(relay: &Relay, account: &str) -> Client {
    Client::udp(address(relay, Transport::Udp), &relay.issue(account, SystemTime::now())).await
}

async fn tcp(relay: &Relay, account: &str) -> Client {
    Client::tcp(address(relay, Transport::Tcp), &relay.issue(account, SystemTime::now())).await
}

/// Waits until the published counters are as expected.
async fn until(relay: &Relay, what: &str, is_so: impl Fn(&Stats) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so(&relay.stats()) {
        assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", relay.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A certificate for localhost, and a client that trusts it alone.
fn certificate() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(generated.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![generated.cert.der().clone()], key.into())
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(generated.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Two clients send to each other's relayed address, on a channel one way and by indications the other. They are given back: a port that is
/// let go while its allocation lives may come to the next client, and then is 437 to it.
async fn check_pair(mut juliet: Client, mut romeo: Client) -> (Client, Client) {
    let (a, b) = (juliet.allocate().await.unwrap(), romeo.allocate().await.unwrap());
    juliet.bind(0x4001, b).await.unwrap();
    romeo.permit(a).await.unwrap();
    for length in [0usize, 1, 2, 3, 4, 172, 1_200, 9_000] {
        let data: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        juliet.send_on(0x4001, &data).await;
        assert_eq!(romeo.receive().await, Received::Data(a, data.clone()), "{length} bytes");
        romeo.send(a, &data).await;
        assert_eq!(juliet.receive().await, Received::Channel(0x4001, data), "{length} bytes");
    }
    juliet.refresh(0).await.unwrap();
    assert_eq!(juliet.refresh(0).await, Err(437));
    (juliet, romeo)
}

#[tokio::test]
async fn pairs_of_clients_over_every_transport() {
    let (server, trusting) = certificate();
    let relay = start(Settings { tls: vec!["127.0.0.1:0".parse().unwrap()], tls_config: Some(server), ..settings() });
    let tls = address(&relay, Transport::Tls);
    let credentials = relay.issue("nurse@example.org", SystemTime::now());
    let connect_tls = || Client::tls(tls, trusting.clone(), &credentials);
    // Both workers get some of them.
    let mut pairs = Vec::new();
    for _ in 0..4 {
        pairs.push(check_pair(udp(&relay, "juliet").await, udp(&relay, "romeo").await).await);
        pairs.push(check_pair(tcp(&relay, "juliet").await, udp(&relay, "romeo").await).await);
        pairs.push(check_pair(connect_tls().await, tcp(&relay, "romeo").await).await);
        pairs.push(check_pair(udp(&relay, "juliet").await, connect_tls().await).await);
    }
    drop(pairs);
    until(&relay, "closed connections free their allocations", |stats| {
        let (made, live, connections) = (stats.allocations_made, stats.allocations, stats.connections);
        (made.tls, made.tcp, live.tcp, live.tls, connections.tcp, connections.tls) == (8, 8, 0, 0, 0, 0)
    })
    .await;
    relay.shutdown().await;
}

/// RFC 8656 §7.2: IPv4 unless REQUESTED-ADDRESS-FAMILY says otherwise, whichever the client's own family is, over each transport.
#[tokio::test]
async fn ipv6_clients_get_ipv4_relays_and_reach_ipv4_clients() {
    let (server, trusting) = certificate();
    let tls = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let relay = start(Settings { tls, tls_config: Some(server), ..settings() });
    let credentials = relay.issue("juliet", SystemTime::now());
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let services = relay.services().into_iter().filter(|service| service.transport == transport).map(|service| service.local);
        let (v4, v6): (Vec<_>, Vec<_>) = services.partition(SocketAddr::is_ipv4);
        let connect = async |to: SocketAddr| match transport {
            Transport::Udp => Client::udp(to, &credentials).await,
            Transport::Tcp => Client::tcp(to, &credentials).await,
            Transport::Tls => Client::tls(to, trusting.clone(), &credentials).await,
        };
        for (to, family) in [(v6[0], None), (v6[0], Some(1)), (v6[0], Some(2)), (v4[0], Some(2))] {
            let mut juliet = connect(to).await;
            let relayed = juliet.allocate_of(family).await.unwrap();
            assert_eq!(relayed.is_ipv4(), family != Some(2), "{transport:?} {to} {family:?}: {relayed}");
            juliet.refresh(0).await.unwrap();
        }
        check_pair(connect(v6[0]).await, udp(&relay, "romeo").await).await;
        check_pair(connect(v4[0]).await, connect(v6[0]).await).await;
    }
    relay.shutdown().await;
}

/// A link-local address of this host, with its link; none where there is none.
fn link_local(port: u16) -> Option<SocketAddr> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let ip = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
        let link = u32::from_str_radix(words.next()?, 16).ok()?;
        ip.is_unicast_link_local().then(|| SocketAddrV6::new(ip, port, 0, link).into())
    })
}

#[tokio::test]
async fn link_local_clients_get_relays_over_the_any_address_and_over_their_own() {
    let Some(local) = link_local(0) else { return };
    for listening in ["[::]:0".parse().unwrap(), local] {
        let relay = start(Settings { udp: vec![listening], tcp: vec![listening], ..settings() });
        let over = |transport| link_local(address(&relay, transport).port()).unwrap();
        let socket = UdpSocket::bind(local).await.unwrap();
        socket.connect(over(Transport::Udp)).await.unwrap();
        let juliet = Client::new(Way::Udp(socket), &relay.issue("juliet", SystemTime::now()));
        let romeo = Client::tcp(over(Transport::Tcp), &relay.issue("romeo", SystemTime::now())).await;
        check_pair(juliet, romeo).await;
        relay.shutdown().await;
    }
}

#[tokio::test]
async fn the_any_address_answers_from_the_address_that_was_asked() {
    let relay = start(Settings { udp: vec!["[::]:0".parse().unwrap()], tcp: Vec::new(), ..settings() });
    let port = address(&relay, Transport::Udp).port();
    let mut pairs = Vec::new();
    for (a, b) in [("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")] {
        // The sockets are connected: an answer from another address would not arrive.
        let client = |ip: &str| SocketAddr::new(ip.parse().unwrap(), port);
        let juliet = Client::udp(client(a), &relay.issue("juliet", SystemTime::now())).await;
        let romeo = Client::udp(client(b), &relay.issue("romeo", SystemTime::now())).await;
        pairs.push(check_pair(juliet, romeo).await);
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn behind_nat_two_clients_reach_each_other_by_the_advertised_address() {
    let relay = start(Settings { public_addresses: vec!["203.0.113.7".parse().unwrap()], ..settings() });
    let (mut juliet, mut romeo) = (udp(&relay, "juliet").await, udp(&relay, "romeo").await);
    assert_eq!(juliet.allocate().await.unwrap().ip().to_string(), "203.0.113.7");
    juliet.refresh(0).await.unwrap();
    check_pair(juliet, udp(&relay, "nurse").await).await;
    let (server, port) = (address(&relay, Transport::Udp), romeo.allocate().await.unwrap().port());
    assert_eq!(romeo.permit("203.0.113.7:1".parse().unwrap()).await, Err(403));
    assert_eq!(romeo.permit(SocketAddr::new(server.ip(), server.port())).await, Err(403));
    assert_eq!(romeo.permit(SocketAddr::new("203.0.113.7".parse().unwrap(), port)).await, Ok(()));
    relay.shutdown().await;
}

/// A provider gives the site another address: new allocations are told it, and reach those that were told the one before, both ways.
#[tokio::test]
async fn when_the_public_address_changes_running_allocations_stay_reachable() {
    let before = "203.0.113.7".parse().unwrap();
    let now = "198.51.100.1".parse().unwrap();
    let relay = start(Settings { public_addresses: vec![before], ..settings() });
    let (mut juliet, mut romeo) = (udp(&relay, "juliet").await, udp(&relay, "romeo").await);
    let a = juliet.allocate().await.unwrap();
    assert_eq!(a.ip(), before);
    relay.set_public_addresses(&[now]);
    let b = romeo.allocate().await.unwrap();
    assert_eq!(b.ip(), now);
    juliet.permit(b).await.unwrap();
    romeo.permit(a).await.unwrap();
    juliet.send(b, b"to the new address").await;
    assert_eq!(romeo.receive().await, Received::Data(a, b"to the new address".to_vec()));
    romeo.send(a, b"to the old one").await;
    assert_eq!(juliet.receive().await, Received::Data(b, b"to the old one".to_vec()));
    // Calls are linked by either, and what is gone is forgotten in both forms.
    assert!(relay.link("juliet", a, CallId(1)) && relay.link("romeo", b, CallId(1)));
    juliet.refresh(0).await.unwrap();
    assert!(!relay.link("juliet", a, CallId(2)));
    relay.shutdown().await;
}

#[tokio::test]
async fn a_permission_for_our_own_address_reaches_no_other_service_on_it() {
    let relay = start(settings());
    let service = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let service_address = service.local_addr().unwrap();
    let (mut juliet, mut romeo) = (udp(&relay, "juliet").await, udp(&relay, "romeo").await);
    let (a, b) = (juliet.allocate().await.unwrap(), romeo.allocate().await.unwrap());
    assert_eq!(juliet.permit(service_address).await, Err(403));
    assert_eq!(juliet.bind(0x4000, service_address).await, Err(403));
    juliet.permit(b).await.unwrap();
    romeo.permit(a).await.unwrap();
    juliet.send(service_address, b"to the service").await;
    service.send_to(b"from the service", a).await.unwrap();
    // What was sent later arrives, what must not arrive does not.
    juliet.send(b, b"to the relay").await;
    assert_eq!(romeo.receive().await, Received::Data(a, b"to the relay".to_vec()));
    romeo.send(a, b"and back").await;
    assert_eq!(juliet.receive().await, Received::Data(b, b"and back".to_vec()));
    assert!(service.try_recv(&mut [0; 100]).is_err());
    until(&relay, "both are counted", |stats| stats.drops[DropReason::OwnAddress as usize] == 2).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn peers_need_a_permission_in_both_directions() {
    let relay = start(Settings { allow_peers: vec!["127.0.0.0/8".parse().unwrap()], ..settings() });
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let peer_address = peer.local_addr().unwrap();
    let mut juliet = udp(&relay, "juliet").await;
    let relayed = juliet.allocate().await.unwrap();
    juliet.send(peer_address, b"too early").await;
    peer.send_to(b"too early", relayed).await.unwrap();
    until(&relay, "both are dropped", |stats| {
        stats.drops[DropReason::NoPermission as usize] == 1 && stats.drops[DropReason::PeerNoPermission as usize] == 1
    })
    .await;
    juliet.permit(peer_address).await.unwrap();
    juliet.send(peer_address, b"hello").await;
    let mut bytes = [0; 100];
    let (length, from) = tokio::time::timeout(PATIENCE, peer.recv_from(&mut bytes)).await.unwrap().unwrap();
    assert_eq!((&bytes[..length], from), (b"hello".as_slice(), relayed));
    peer.send_to(b"hello you", relayed).await.unwrap();
    assert_eq!(juliet.receive().await, Received::Data(peer_address, b"hello you".to_vec()));
    relay.shutdown().await;
}

#[tokio::test]
async fn the_turn_crates_client_allocates_and_talks_to_a_peer() {
    let relay = start(Settings { allow_peers: vec!["127.0.0.0/8".parse().unwrap()], ..settings() });
    let server = address(&relay, Transport::Udp).to_string();
    let credentials = relay.issue("juliet", SystemTime::now());
    let config = turn::client::ClientConfig {
        stun_serv_addr: server.clone(),
        turn_serv_addr: server,
        username: credentials.username,
        password: credentials.password,
        realm: String::new(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
        vnet: None,
    };
    // Of the type `Arc<dyn Conn>`, whose crate is not named here.
    let mut relayed = config.conn.clone();
    let client = turn::client::Client::new(config).await.unwrap();
    client.listen().await.unwrap();
    let mapped = client.send_binding_request().await.unwrap();
    assert!(mapped.ip().is_loopback());
    relayed = {
        drop(relayed);
        Arc::new(client.allocate().await.unwrap())
    };
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = peer.local_addr().unwrap();
    // It begins with Send indications and goes over to a channel on its own.
    for number in 0..200u8 {
        let data = vec![number; 1 + usize::from(number)];
        relayed.send_to(&data, to).await.unwrap();
        let mut bytes = [0; 2_000];
        let (length, from) = tokio::time::timeout(PATIENCE, peer.recv_from(&mut bytes)).await.unwrap().unwrap();
        peer.send_to(&bytes[..length], from).await.unwrap();
        let (length, from) = tokio::time::timeout(PATIENCE, relayed.recv_from(&mut bytes)).await.unwrap().unwrap();
        assert_eq!((&bytes[..length], from), (data.as_slice(), to));
    }
    relayed.close().await.unwrap();
    client.close().await.unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn rfc5780_s6_responses_come_from_four_places() {
    let free_port = || std::net::UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let (first, second) = (free_port(), free_port());
    let place = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
    let relay = start(Settings {
        udp: vec![place("::", first)],
        nat_discovery: Some([place("127.0.0.1", first), place("127.0.0.2", second)]),
        ..settings()
    });
    assert_eq!(relay.services().iter().filter(|service| service.transport == Transport::Udp).count(), 1, "the others are no services");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (ip, port) in [("127.0.0.1", first), ("127.0.0.1", second), ("127.0.0.2", first), ("127.0.0.2", second)] {
        let other_ip = if ip == "127.0.0.1" { "127.0.0.2" } else { "127.0.0.1" };
        let other_port = if port == first { second } else { first };
        for (flags, from) in
            [(0, place(ip, port)), (4, place(other_ip, port)), (2, place(ip, other_port)), (6, place(other_ip, other_port))]
        {
            let mut writer = Writer::new(Class::Request, Method::BINDING, TransactionId([flags; 12]));
            writer.attribute(AttributeType::CHANGE_REQUEST, &[0, 0, 0, flags]);
            socket.send_to(&writer.finish(), place(ip, port)).await.unwrap();
            let mut bytes = [0; 2_000];
            let (length, source) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut bytes)).await.unwrap().unwrap();
            let message = Message::parse(&bytes[..length]).unwrap();
            assert_eq!((source, message.transaction()), (from, TransactionId([flags; 12])));
            assert_eq!(message.get_address(AttributeType::RESPONSE_ORIGIN), Ok(Some(from)));
            assert_eq!(message.get_address(AttributeType::OTHER_ADDRESS), Ok(Some(place(other_ip, other_port))));
        }
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn s11_5_a_client_is_told_that_its_peer_is_gone_and_others_lose_nothing() {
    for (server, localhost) in [(0, "127.0.0.1:0"), (1, "[::1]:0")] {
        let relay = start(Settings { allow_peers: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()], ..settings() });
        let credentials = relay.issue("juliet", SystemTime::now());
        let mut juliet = Client::udp(relay.services()[server].local, &credentials).await;
        let answer = juliet.ask(Method::ALLOCATE, |writer| {
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[1 + server as u8, 0, 0, 0]);
            writer.attribute(AttributeType::DONT_FRAGMENT, &[]);
        });
        answer.await.unwrap();
        let (peer, gone) = (UdpSocket::bind(localhost).await.unwrap(), UdpSocket::bind(localhost).await.unwrap());
        let (there, nowhere) = (peer.local_addr().unwrap(), gone.local_addr().unwrap());
        drop(gone);
        juliet.permit(there).await.unwrap();
        juliet.bind(0x4000, nowhere).await.unwrap();
        for number in 0..20u8 {
            match number % 2 {
                0 => juliet.send_on(0x4000, &[number]).await,
                _ => juliet.send(nowhere, &[number]).await,
            }
            let told = juliet.read().await.unwrap();
            let message = Message::parse(&told).unwrap();
            assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
            assert_eq!(message.get_xor_address(AttributeType::XOR_PEER_ADDRESS), Ok(Some(nowhere)));
            let (kind, code) = if server == 0 { (3, 3) } else { (1, 4) };
            assert_eq!(message.icmp(), Ok(Some(Icmp { kind, code, error_data: 0 })));
            // With and without DONT-FRAGMENT.
            let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([8; 12]));
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, there).attribute(AttributeType::DATA, &[number; 1_000]);
            if number % 4 < 2 {
                writer.attribute(AttributeType::DONT_FRAGMENT, &[]);
            }
            juliet.write(&writer.finish()).await;
            let mut bytes = [0; 2_000];
            let (length, _) = tokio::time::timeout(PATIENCE, peer.recv_from(&mut bytes)).await.unwrap().unwrap();
            assert_eq!(bytes[..length], [number; 1_000]);
        }
        assert_eq!(relay.stats().drops[DropReason::SendFailed as usize], 0);
        relay.shutdown().await;
    }
}

#[tokio::test]
async fn frames_of_a_stream_may_come_byte_by_byte_or_all_at_once() {
    let relay = start(settings());
    let (mut juliet, mut romeo) = (tcp(&relay, "juliet").await, udp(&relay, "romeo").await);
    let (a, b) = (juliet.allocate().await.unwrap(), romeo.allocate().await.unwrap());
    juliet.bind(0x4001, b).await.unwrap();
    romeo.permit(a).await.unwrap();
    for byte in juliet.channel_data(0x4001, b"slowly") {
        juliet.write(&[byte]).await;
    }
    assert_eq!(romeo.receive().await, Received::Data(a, b"slowly".to_vec()));
    let all: Vec<u8> = (0..200u8).flat_map(|number| juliet.channel_data(0x4001, &vec![number; usize::from(number)])).collect();
    juliet.write(&all).await;
    for number in 0..200u8 {
        assert_eq!(romeo.receive().await, Received::Data(a, vec![number; usize::from(number)]));
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_media_and_delays_nobody() {
    let limits = Limits { queue_bytes: 65_536, ..Limits::default() };
    let relay = start(Settings { limits, workers: 1, ..settings() });
    let (mut slow, mut fast, mut sender) = (tcp(&relay, "slow").await, udp(&relay, "fast").await, udp(&relay, "sender").await);
    let (a, b, c) = (slow.allocate().await.unwrap(), fast.allocate().await.unwrap(), sender.allocate().await.unwrap());
    slow.permit(c).await.unwrap();
    fast.permit(c).await.unwrap();
    sender.bind(0x4000, a).await.unwrap();
    sender.bind(0x4001, b).await.unwrap();
    let data = vec![1; 1_200];
    let mut sent = 0u64;
    while relay.stats().drops[DropReason::QueueFull as usize] == 0 {
        for _ in 0..20 {
            sender.send_on(0x4000, &data).await;
            sent += 1;
        }
        sender.send_on(0x4001, b"for the fast one").await;
        assert_eq!(fast.receive().await, Received::Data(c, b"for the fast one".to_vec()));
        assert!(sent < 200_000, "nothing was dropped: {:?}", relay.stats());
    }
    // What was kept is whole, and the client is still served.
    for _ in 0..20 {
        assert_eq!(slow.receive().await, Received::Data(c, data.clone()));
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn a_stream_of_neither_stun_nor_channel_data_is_closed() {
    let relay = start(settings());
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"\x80\x00", b"\x00\x01\x00\x00\x00\x00\x00\x00\x00", b"\x00\x01\x00\x03\x21\x12\xa4\x42"]
    {
        let mut stream = tokio::net::TcpStream::connect(address(&relay, Transport::Tcp)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 10])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{bytes:?}");
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn idle_connections_and_too_many_are_closed() {
    let limits = Limits { idle: Duration::from_millis(300), connections_per_source: 3, ..Limits::default() };
    let relay = start(Settings { limits, ..settings() });
    let mut juliet = tcp(&relay, "juliet").await;
    juliet.allocate().await.unwrap();
    let mut idle = tcp(&relay, "romeo").await;
    let mut third = tcp(&relay, "romeo").await;
    let mut fourth = tcp(&relay, "romeo").await;
    assert_eq!(fourth.read().await, None, "over the bound");
    assert_eq!(idle.read().await, None, "idle");
    assert_eq!(third.read().await, None, "idle");
    juliet.refresh(600).await.unwrap();
    tcp(&relay, "romeo").await.allocate().await.unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn calls_free_their_allocations_and_report_their_media() {
    let relay = start(Settings { call_grace: Duration::from_millis(100), ..settings() });
    let (mut juliet, mut romeo) = (udp(&relay, "juliet").await, udp(&relay, "romeo").await);
    let (a, b) = (juliet.allocate().await.unwrap(), romeo.allocate().await.unwrap());
    let call = CallId(42);
    assert!(!relay.link("romeo", a, call) && !relay.link("juliet", "127.0.0.1:1".parse().unwrap(), call));
    assert!(relay.link("juliet", a, call) && relay.link("romeo", b, call));
    juliet.bind(0x4000, b).await.unwrap();
    romeo.bind(0x4000, a).await.unwrap();
    for number in 0..50u8 {
        let rtp = [&[0x80, 0, 0, number, 0, 0, 0, number, 0, 0, 0, 5][..], &[0; 160]].concat();
        juliet.send_on(0x4000, &rtp).await;
        assert_eq!(romeo.receive().await, Received::Channel(0x4000, rtp));
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let quality = loop {
        let quality = relay.quality(call).unwrap();
        let packets: u64 = quality.relays.iter().map(|relay| relay.to_peer.packets + relay.to_client.packets).sum();
        if packets == 100 {
            break quality;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for half in &quality.relays {
        assert_eq!(half.relayed, if half.account.as_ref() == "juliet" { a } else { b });
        let stream = &half.streams[0];
        assert_eq!(stream.direction, if half.account.as_ref() == "juliet" { Direction::ToPeer } else { Direction::ToClient });
        assert_eq!((stream.ssrc, stream.received, stream.lost), (5, 49, 0));
    }
    relay.end_call(call);
    until(&relay, "both are freed", |stats| stats.allocations.udp == 0).await;
    assert_eq!(juliet.refresh(600).await, Err(437));
    assert!(relay.quality(call).is_some());
    assert!(!relay.link("juliet", a, CallId(43)));
    relay.shutdown().await;
}

#[tokio::test]
async fn revoked_accounts_lose_their_allocations_and_credentials() {
    let relay = start(settings());
    let mut juliet = udp(&relay, "juliet").await;
    let mut romeo = udp(&relay, "romeo").await;
    juliet.allocate().await.unwrap();
    romeo.allocate().await.unwrap();
    relay.revoke("juliet");
    until(&relay, "one is freed", |stats| stats.allocations.udp == 1).await;
    assert_eq!(juliet.refresh(600).await, Err(401));
    romeo.refresh(600).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    udp(&relay, "juliet").await.allocate().await.unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn credentials_are_good_after_a_restart_with_the_same_key() {
    let first = start(settings());
    let credentials = first.issue("juliet", SystemTime::now());
    first.shutdown().await;
    let second = start(settings());
    Client::udp(address(&second, Transport::Udp), &credentials).await.allocate().await.unwrap();
    let third = start(Settings { key: [8; 32], ..settings() });
    assert_eq!(Client::udp(address(&third, Transport::Udp), &credentials).await.allocate().await, Err(401));
    second.shutdown().await;
    third.shutdown().await;
    let revoked = vec![("juliet".to_owned(), SystemTime::now())];
    let fourth = start(Settings { revoked, ..settings() });
    assert_eq!(Client::udp(address(&fourth, Transport::Udp), &credentials).await.allocate().await, Err(401));
    fourth.shutdown().await;
}

#[tokio::test]
async fn a_stopped_relay_gives_its_ports_back_and_closes_connections() {
    let relay = start(settings());
    let mut juliet = tcp(&relay, "juliet").await;
    juliet.allocate().await.unwrap();
    let services = relay.services();
    relay.shutdown().await;
    assert_eq!(juliet.read().await, None);
    let of = |transport| services.iter().filter(|service| service.transport == transport).map(|service| service.local).collect();
    let again = start(Settings { udp: of(Transport::Udp), tcp: of(Transport::Tcp), ..settings() });
    let error = Relay::start(Settings { udp: of(Transport::Udp), tcp: Vec::new(), ..settings() }).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen for TURN over UDP on 127.0.0.1:"), "{error}");
    again.shutdown().await;
}

#[tokio::test]
async fn garbage_on_every_transport_is_survived() {
    let relay = start(settings());
    let mut juliet = udp(&relay, "juliet").await;
    juliet.allocate().await.unwrap();
    let whole = juliet.request(campanile_ice::stun::Method::REFRESH, |_| ());
    let Way::Udp(socket) = &juliet.way else { unreachable!() };
    for end in 0..whole.len() {
        socket.send(&whole[..end]).await.unwrap();
        let mut altered = whole.clone();
        altered[end] ^= 0x55;
        socket.send(&altered[..whole.len() - end % 7]).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(address(&relay, Transport::Tcp)).await.unwrap();
        // The server may close before all is written.
        let _ = stream.write_all(&altered[..whole.len() - end % 7]).await;
    }
    // Another socket: the first one has answers waiting.
    udp(&relay, "juliet").await.allocate().await.unwrap();
    tcp(&relay, "juliet").await.allocate().await.unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn many_allocations_come_and_go_without_a_trace() {
    let relay = start(settings());
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let credentials = relay.issue("juliet", SystemTime::now());
    let before = descriptors();
    for round in 0..500 {
        let mut client = if round % 2 == 0 {
            Client::udp(address(&relay, Transport::Udp), &credentials).await
        } else {
            Client::tcp(address(&relay, Transport::Tcp), &credentials).await
        };
        client.allocate().await.unwrap();
        client.bind(0x4000, "8.8.8.8:9".parse().unwrap()).await.unwrap();
        // Half of the TCP clients just go.
        if round % 4 != 1 {
            client.refresh(0).await.unwrap();
        }
    }
    until(&relay, "all are gone", |stats| {
        (stats.allocations.udp, stats.allocations.tcp, stats.connections.tcp, stats.ports_used.ipv4) == (0, 0, 0, 0)
            && (stats.allocations_made.udp, stats.allocations_made.tcp) == (250, 250)
    })
    .await;
    // Other tests of this process have sockets, too: they are few beside 500.
    assert!(descriptors() < before + 200, "{before} descriptors became {}", descriptors());
    relay.shutdown().await;
}
