//! RFC 6062: data connections between clients over TCP and TLS and peers, over real sockets.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use campanile_ice::stun::turn::{Frame, stream_frame};
use campanile_ice::stun::{AttributeType, Class, Message, Method};
use campanile_relay::{Limits, Relay, Settings, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, PATIENCE, Stream, Way};
use crate::{address, certificate, settings, start, tcp, until};

fn open_to_loopback() -> Settings {
    Settings { allow_peers: vec!["127.0.0.0/8".parse().unwrap()], ..settings() }
}

/// A TCP allocation; its relayed address.
async fn allocate(client: &mut Client) -> SocketAddr {
    let answer = client
        .ask(Method::ALLOCATE, |writer| {
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
        })
        .await
        .unwrap();
    Message::parse(&answer).unwrap().get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().unwrap()
}

async fn connect(client: &mut Client, peer: SocketAddr) -> Result<u32, u16> {
    let answer = client.ask(Method::CONNECT, |writer| {
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
    });
    Ok(Message::parse(&answer.await?).unwrap().connection_id().unwrap().unwrap())
}

/// The next ConnectionAttempt: its number and peer.
async fn attempt(client: &mut Client) -> (u32, SocketAddr) {
    let bytes = client.read().await.unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    (message.connection_id().unwrap().unwrap(), message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).unwrap().unwrap())
}

/// Binds a data connection by a connection of its own; `early` is sent together with the request.
async fn bind(mut client: Client, id: u32, early: &[u8]) -> Result<Box<dyn Stream>, u16> {
    // A nonce first, so that the request that counts is sent once.
    assert_eq!(client.ask(Method::REFRESH, |_| ()).await, Err(437));
    let mut request = client.request(Method::CONNECTION_BIND, |writer| {
        writer.u32(AttributeType::CONNECTION_ID, id);
    });
    request.extend_from_slice(early);
    client.write(&request).await;
    let Way::Stream(mut stream, mut bytes) = client.way else { panic!("a stream") };
    let length = loop {
        match stream_frame(&bytes) {
            Frame::Whole(length) => break length,
            _ => assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "an answer"),
        }
    };
    let answer: Vec<u8> = bytes.drain(..length).collect();
    let answer = Message::parse(&answer).unwrap();
    match answer.error_code() {
        Some(code) => Err(code.0),
        None => {
            assert!(bytes.is_empty(), "data waits for the answer to be read");
            Ok(stream)
        }
    }
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin), bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut read)).await.expect("in time").unwrap();
    read
}

async fn ends(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut rest = Vec::new();
    // A reset ends it as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("in time");
    assert!(rest.is_empty(), "{rest:?}");
}

/// Each client's control and data connections go to other workers: four each time.
async fn clients(relay: &Relay, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(tcp(relay, "juliet").await);
    }
    clients
}

/// Both of one person: the second connection shows the same credentials.
async fn pair(relay: &Relay) -> (Client, Client) {
    let credentials = relay.issue("juliet", SystemTime::now());
    let server = address(relay, Transport::Tcp);
    (Client::tcp(server, &credentials).await, Client::tcp(server, &credentials).await)
}

#[tokio::test]
async fn s4_3_a_client_connects_to_a_peer_and_both_send() {
    let relay = start(open_to_loopback());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = listener.local_addr().unwrap();
    for _ in 0..4 {
        // One more connection in between: bound through either worker.
        let _between = clients(&relay, 1).await;
        let (mut control, data) = pair(&relay).await;
        let relayed = allocate(&mut control).await;
        let id = connect(&mut control, peer).await.unwrap();
        let (mut there, from) = listener.accept().await.unwrap();
        assert_eq!(from, relayed);
        assert_eq!(connect(&mut control, peer).await, Err(446));
        // What the peer says before the client is there is kept for it.
        there.write_all(b"early peer").await.unwrap();
        let mut here = bind(data, id, b"\xFFearly client").await.unwrap();
        assert_eq!(read(&mut here, 10).await, b"early peer");
        assert_eq!(read(&mut there, 13).await, b"\xFFearly client");
        for length in [1usize, 100, 10_000, 1_000_000] {
            let bytes: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let (sent, received) = tokio::join!(here.write_all(&bytes), read(&mut there, length));
            assert!(sent.is_ok() && received == bytes, "{length} bytes to the peer");
            let (sent, received) = tokio::join!(there.write_all(&bytes), read(&mut here, length));
            assert!(sent.is_ok() && received == bytes, "{length} bytes to the client");
        }
        // One half may close first.
        here.shutdown().await.unwrap();
        ends(&mut there).await;
        there.write_all(b"last words").await.unwrap();
        assert_eq!(read(&mut here, 10).await, b"last words");
        drop(there);
        ends(&mut here).await;
        control.refresh(600).await.unwrap();
    }
    until(&relay, "all is counted", |stats| {
        (stats.data_connections, stats.data_connections_made, stats.to_peer.bytes) == (0, 4, 4 * 1_010_114)
    })
    .await;
    relay.shutdown().await;
}

#[tokio::test]
async fn s4_4_a_peer_connects_with_a_permission_alone() {
    let relay = start(open_to_loopback());
    let (mut control, data) = pair(&relay).await;
    let relayed = allocate(&mut control).await;
    let mut stranger = TcpStream::connect(relayed).await.unwrap();
    ends(&mut stranger).await;
    control.permit("127.0.0.1:1".parse().unwrap()).await.unwrap();
    let mut there = TcpStream::connect(relayed).await.unwrap();
    let (id, peer) = attempt(&mut control).await;
    assert_eq!(peer, there.local_addr().unwrap());
    // Another person who knows the number has nothing of it.
    assert_eq!(bind(tcp(&relay, "romeo").await, id, b"").await.err(), Some(400));
    let mut here = bind(data, id, b"").await.unwrap();
    there.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut here, 5).await, b"hello");
    // §5.5: it ends with the allocation.
    control.refresh(0).await.unwrap();
    ends(&mut there).await;
    ends(&mut here).await;
    assert!(TcpStream::connect(relayed).await.is_err());
    relay.shutdown().await;
}

#[tokio::test]
async fn peers_that_are_closed_over_udp_are_closed_over_tcp() {
    let relay = start(settings());
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut control = tcp(&relay, "juliet").await;
    let relayed = allocate(&mut control).await;
    let own = address(&relay, Transport::Tcp);
    for peer in [service.local_addr().unwrap(), own, relayed, "10.0.0.1:80".parse().unwrap(), "169.254.169.254:80".parse().unwrap()] {
        assert_eq!(connect(&mut control, peer).await, Err(403), "{peer}");
        assert_eq!(control.permit(peer).await, if peer == relayed { Ok(()) } else { Err(403) }, "{peer}");
    }
    // The permission for a relayed address of ours is none for others of this host.
    ends(&mut TcpStream::connect(relayed).await.unwrap()).await;
    assert_eq!(
        control
            .ask(Method::CONNECT, |writer| {
                writer.xor_address(AttributeType::XOR_PEER_ADDRESS, own);
            })
            .await,
        Err(403)
    );
    relay.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_refuses_is_447_and_allocations_of_ours_reach_each_other_over_tls() {
    let (server, trusting) = certificate();
    let relay = start(Settings { tls: vec!["127.0.0.1:0".parse().unwrap()], tls_config: Some(server), ..settings() });
    let (tls, of_juliet, of_romeo) =
        (address(&relay, Transport::Tls), relay.issue("juliet", SystemTime::now()), relay.issue("romeo", SystemTime::now()));
    let mut juliet = Client::tls(tls, trusting.clone(), &of_juliet).await;
    let mut romeo = Client::tcp(address(&relay, Transport::Tcp), &of_romeo).await;
    let (a, b) = (allocate(&mut juliet).await, allocate(&mut romeo).await);
    romeo.permit(a).await.unwrap();
    let id = connect(&mut juliet, b).await.unwrap();
    let (there, peer) = attempt(&mut romeo).await;
    assert_eq!(peer, a);
    let mut here = bind(Client::tls(tls, trusting, &of_juliet).await, id, b"").await.unwrap();
    let mut there = bind(Client::tcp(address(&relay, Transport::Tcp), &of_romeo).await, there, b"").await.unwrap();
    for length in [1usize, 100_000] {
        let bytes = vec![length as u8; length];
        let (sent, received) = tokio::join!(
            async {
                here.write_all(&bytes).await?;
                here.flush().await
            },
            read(&mut there, length)
        );
        assert!(sent.is_ok() && received == bytes);
        let (sent, received) = tokio::join!(there.write_all(&bytes), read(&mut here, length));
        assert!(sent.is_ok() && received == bytes);
    }
    // A connection that its client just drops.
    drop(here);
    ends(&mut there).await;
    drop(there);
    until(&relay, "the place is free", |stats| stats.data_connections == 0).await;
    romeo.refresh(0).await.unwrap();
    assert_eq!(connect(&mut juliet, b).await, Err(403), "no relayed address any more");
    relay.shutdown().await;

    let relay = start(open_to_loopback());
    let mut control = tcp(&relay, "juliet").await;
    allocate(&mut control).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(connect(&mut control, nobody).await, Err(447));
    assert_eq!(connect(&mut control, nobody).await, Err(447), "may be tried again");
    relay.shutdown().await;
}

#[tokio::test]
async fn a_refused_bind_leaves_a_client_as_it_was() {
    let relay = start(settings());
    let mut client = tcp(&relay, "juliet").await;
    for _ in 0..3 {
        let answer = client.ask(Method::CONNECTION_BIND, |writer| {
            writer.u32(AttributeType::CONNECTION_ID, 7);
        });
        assert_eq!(answer.await, Err(400));
    }
    // Even with requests in one write before and after it.
    let binds =
        [client.request(Method::BINDING, |_| ()), client.request(Method::CONNECTION_BIND, |_| ()), client.request(Method::BINDING, |_| ())];
    client.write(&binds.concat()).await;
    for method in [Method::BINDING, Method::CONNECTION_BIND, Method::BINDING] {
        assert_eq!(Message::parse(&client.read().await.unwrap()).unwrap().method(), method);
    }
    client.allocate().await.unwrap();
    relay.shutdown().await;
}

#[tokio::test]
async fn who_does_not_read_is_waited_for_and_nothing_is_lost() {
    let relay = start(open_to_loopback());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut control, data) = pair(&relay).await;
    allocate(&mut control).await;
    let id = connect(&mut control, listener.local_addr().unwrap()).await.unwrap();
    let (mut there, _) = listener.accept().await.unwrap();
    let mut here = bind(data, id, b"").await.unwrap();
    // Until nothing more is taken: two kernels' buffers and ours.
    let chunk = vec![5; 65_536];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(300), there.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < 256 << 20, "the relay reads what nobody takes");
    }
    assert!(read(&mut here, sent).await.iter().all(|byte| *byte == 5));
    there.write_all(b"end").await.unwrap();
    assert_eq!(read(&mut here, 3).await, b"end");
    relay.shutdown().await;
}

#[tokio::test]
async fn what_goes_beyond_the_rate_of_the_account_waits() {
    const RATE: u64 = 1_000_000;
    let limits = Limits { bytes_per_second: RATE, ..Limits::default() };
    let relay = start(Settings { limits, ..open_to_loopback() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut control, data) = pair(&relay).await;
    allocate(&mut control).await;
    let id = connect(&mut control, listener.local_addr().unwrap()).await.unwrap();
    let (mut there, _) = listener.accept().await.unwrap();
    let mut here = bind(data, id, b"").await.unwrap();
    let (began, bytes) = (std::time::Instant::now(), vec![7; 3 * RATE as usize]);
    let (sent, received) = tokio::join!(here.write_all(&bytes), read(&mut there, bytes.len()));
    assert!(sent.is_ok() && received == bytes, "all of it arrives");
    // A second's worth at once, the rest at the rate.
    assert!(began.elapsed() > Duration::from_millis(1_800), "{:?}", began.elapsed());
    relay.shutdown().await;
}

/// Many come and go: no descriptor and no place stays.
#[tokio::test]
async fn ten_thousand_data_connections_leave_nothing_behind() {
    let limits = Limits { connections_per_source: 4_096, ..Limits::default() };
    let relay = start(Settings { limits, ..open_to_loopback() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = listener.local_addr().unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    let rounds = 10_000;
    let credentials = relay.issue("juliet", SystemTime::now());
    let server = address(&relay, Transport::Tcp);
    let mut control = Client::tcp(server, &credentials).await;
    allocate(&mut control).await;
    let (mut before, began) = ((descriptors(), memory()), std::time::Instant::now());
    let mut made = 0;
    for round in 0..rounds {
        // Bounded in time, whatever machine this is.
        if began.elapsed() > Duration::from_secs(60) {
            break;
        }
        let id = connect(&mut control, peer).await.unwrap();
        let (mut there, _) = listener.accept().await.unwrap();
        match round % 4 {
            // The client, the peer, or both go; or nobody ever binds it.
            0 => drop(bind(Client::tcp(server, &credentials).await, id, b"x").await.unwrap()),
            1 => {
                let mut here = bind(Client::tcp(server, &credentials).await, id, b"").await.unwrap();
                drop(there);
                ends(&mut here).await;
                drop(here);
                made += 1;
                wait_for_place(&relay).await;
                continue;
            }
            _ => {
                let mut here = bind(Client::tcp(server, &credentials).await, id, b"x").await.unwrap();
                assert_eq!(read(&mut there, 1).await, b"x");
                here.shutdown().await.unwrap();
                drop(here);
            }
        }
        made += 1;
        drop(there);
        wait_for_place(&relay).await;
        if round == rounds / 10 {
            before = (descriptors(), memory());
        }
    }
    until(&relay, "all are gone", |stats| (stats.data_connections, stats.data_connections_made) == (0, made)).await;
    // Other tests of this process have sockets and memory, too.
    assert!(descriptors() < before.0 + 200, "{} descriptors became {}", before.0, descriptors());
    assert!(memory() < before.1 + 60_000, "{} kB became {}", before.1, memory());
    relay.shutdown().await;
}

async fn wait_for_place(relay: &Relay) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while relay.stats().data_connections > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the place is not given back");
        tokio::task::yield_now().await;
    }
}
