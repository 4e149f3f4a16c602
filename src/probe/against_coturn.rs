//! Promise: the probe's media end and its relay bridge work with a TURN server that is not ours, over UDP, TCP and TLS.
//! Needs coturn's `turnserver`, which `tests/run` installs.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::media::End;
use super::relay_bridge::Bridge;
use super::stun_lens::Method;
use super::trust::Trust;
use super::{Transport, TurnService};

pub struct Coturn {
    child: Child,
    pub folder: std::path::PathBuf,
    port: u16,
    tls_port: u16,
    pub trust: Arc<Trust>,
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // It holds nothing worth an orderly stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A folder that stays behind in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn free_port() -> u16 {
    let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    tcp.local_addr().expect("its address").port()
}

pub fn coturn() -> Coturn {
    let (port, tls_port) = (free_port(), free_port());
    let folder = std::env::temp_dir().join(format!("campanile-coturn-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
        .expect("names")
        .self_signed(&key)
        .expect("signed");
    std::fs::write(folder.join("cert.pem"), certificate.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
    let spawned = Command::new("turnserver")
        .args(["-n", "--lt-cred-mech", "--user=probe:secret", "--realm=localhost", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"])
        .args(["--allow-loopback-peers", "--no-cli", "--no-dtls", "--log-file=stdout", "--simple-log", "--no-rfc5780"])
        .args([format!("--listening-port={port}"), format!("--tls-listening-port={tls_port}")])
        .arg(format!("--cert={}", folder.join("cert.pem").display()))
        .arg(format!("--pkey={}", folder.join("key.pem").display()))
        .arg(format!("--pidfile={}", folder.join("pid").display()))
        .arg(format!("--userdb={}", folder.join("db").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = spawned.expect("turnserver starts");
    // coturn tells nobody when it is ready: its sockets do.
    for port in [port, tls_port] {
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert_eq!(child.try_wait().expect("a child"), None, "turnserver ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let trust = Arc::new(Trust::load(&[folder.join("cert.pem")]).expect("readable"));
    Coturn { child, folder, port, tls_port, trust }
}

impl Coturn {
    pub fn service(&self, transport: Transport, password: &str) -> TurnService {
        let port = if transport == Transport::Tls { self.tls_port } else { self.port };
        TurnService { transport, host: "127.0.0.1".into(), port, username: "probe".into(), password: password.into(), proxies: Vec::new() }
    }
}

async fn call_over(transport: Transport) {
    let coturn = coturn();
    let service = coturn.service(transport, "secret");
    let origin = Instant::now();
    let bridges =
        (Bridge::open(&service, &coturn.trust).await.expect("a bridge"), Bridge::open(&service, &coturn.trust).await.expect("a bridge"));
    let mut caller = End::new(&bridges.0, "probe", "secret", 0x1111_1111, origin).await.expect("an end");
    let mut callee = End::new(&bridges.1, "probe", "secret", 0x2222_2222, origin).await.expect("an end");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);

    let offer = caller.offer().await.expect("an offer");
    let from_caller = caller.gather(deadline).await.expect("candidates");
    let answer = callee.answer(&offer).await.expect("an answer");
    let from_callee = callee.gather(deadline).await.expect("candidates");
    caller.accept(&answer).await.expect("accepted");
    println!("allocated after {:?}", origin.elapsed());
    let relayed = bridges.0.observed().allocated.expect("allocated").0;
    assert!(from_caller.iter().any(|candidate| candidate.contains(&format!(" {} typ relay", relayed.port()))), "{from_caller:?}");
    for candidate in &from_caller {
        callee.add_candidate(candidate, "0").await.expect("taken");
    }
    for candidate in &from_callee {
        caller.add_candidate(candidate, "0").await.expect("taken");
    }
    caller.ice(deadline).await.expect("ICE");
    callee.ice(deadline).await.expect("ICE");
    println!("ICE after {:?}", origin.elapsed());
    caller.connected(deadline).await.expect("DTLS");
    callee.connected(deadline).await.expect("DTLS");
    println!("connected after {:?}", origin.elapsed());

    let (sent, back) = tokio::join!(caller.send(Duration::from_secs(2)), callee.send(Duration::from_secs(2)));
    let (sent, back) = (sent.expect("sent"), back.expect("sent"));
    let (there, here) = tokio::join!(callee.quality(sent), caller.quality(back));
    println!("{there:?}\n{here:?}");
    for quality in [&there, &here] {
        assert_eq!((quality.sent, quality.received, quality.duplicates), (100, 100, 0));
        assert!(quality.round_trip.expect("round trips").median < Duration::from_millis(200));
    }

    caller.close().await.expect("closed");
    callee.close().await.expect("closed");
    for bridge in [&bridges.0, &bridges.1] {
        while !bridge.observed().released {
            assert!(tokio::time::Instant::now() < deadline, "not released: {:?}", bridge.observed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(bridge.observed().refusals, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn: run tests/run"]
async fn a_call_over_udp_relays() {
    call_over(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn: run tests/run"]
async fn a_call_over_tcp_relays() {
    call_over(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn: run tests/run"]
async fn a_call_over_tls_relays() {
    call_over(Transport::Tls).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "coturn: run tests/run"]
async fn a_refused_allocation_is_seen_with_its_code() {
    let coturn = coturn();
    let bridge = Bridge::open(&coturn.service(Transport::Tcp, "wrong"), &coturn.trust).await.expect("a bridge");
    let mut end = End::new(&bridge, "probe", "wrong", 1, Instant::now()).await.expect("an end");
    end.offer().await.expect("an offer");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    assert_eq!(end.gather(deadline).await.expect("gathering ends"), Vec::<String>::new());
    let refusal = bridge.observed().refusals.first().cloned().expect("a refusal");
    assert_eq!((refusal.method, refusal.code), (Method::Allocate, 401));
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_told_as_such() {
    let trust = Arc::new(Trust::load(&[]).expect("system roots at most"));
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let service = TurnService {
            transport,
            host: "127.0.0.1".into(),
            port: free_port(),
            username: String::new(),
            password: String::new(),
            proxies: Vec::new(),
        };
        let error = Bridge::open(&service, &trust).await.expect_err("nothing there");
        let error = format!("{error:#}");
        assert!(error.contains("cannot be used") && error.contains(&service.port.to_string()), "{error}");
        assert!(error.contains("refused") || error.contains("nothing listens"), "{error}");
    }
}
