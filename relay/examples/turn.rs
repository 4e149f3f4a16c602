//! The relay on its own, for trying it with other programs: `cargo run -p campanile-relay --example turn -- 3478 [workers]`.
//!
//! Listens on 127.0.0.1 and [::1] over UDP and TCP, and over TLS on the next port with a certificate of its own; names made with the REST secret "secret" are good. Prints a name and password,
//! then its counters until it is ended. ALLOW opens networks, NAT_DISCOVERY=ADDRESS,ADDRESS serves RFC 5780.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use campanile_relay::{Relay, Settings};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};

fn parse_pair(text: &str) -> Result<[SocketAddr; 2], Box<dyn Error>> {
    let (first, second) = text.split_once(',').ok_or("NAT_DISCOVERY is two addresses with a comma between them")?;
    Ok([first.parse()?, second.parse()?])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().as_deref().unwrap_or("3478").parse()?;
    let workers = arguments.next().as_deref().unwrap_or("0").parse()?;
    let addresses = |port| vec![SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))];
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(generated.signing_key.serialize_der());
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![generated.cert.der().clone()], key.into())?;
    let relay = Relay::start(Settings {
        udp: addresses(port),
        tcp: addresses(port),
        tls: addresses(port + 1),
        tls_config: Some(Arc::new(tls)),
        rest_secret: Some("secret".into()),
        workers,
        nat_discovery: std::env::var("NAT_DISCOVERY").ok().map(|pair| parse_pair(&pair)).transpose()?,
        allow_peers: std::env::var("ALLOW").iter().flat_map(|networks| networks.split(',')).map(str::parse).collect::<Result<_, _>>()?,
        ..Settings::default()
    })?;
    for service in relay.services() {
        println!("{} {}", service.transport, service.local);
    }
    let credentials = relay.issue("juliet@localhost", SystemTime::now());
    println!("{}\n{}", credentials.username, credentials.password);
    let mut before = relay.stats();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
        let now = relay.stats();
        if now != before {
            println!("{now:?}");
        }
        before = now;
    }
    relay.shutdown().await;
    Ok(())
}
