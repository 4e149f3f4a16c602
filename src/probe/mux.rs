//! The port for everything: that XMPP and HTTPS are there, by name and by what the client says first. The relay on it is tried by a call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Client, Start};
use super::introduce;
use super::steps::{Account, Target};
use super::trust;

/// For each connection, from the first packet to the answer.
const WITHIN: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES: usize = 12;

/// Logs in by ALPN, and asks for host-meta with and without it.
///
/// # Errors
/// A sentence that says what is not there.
pub async fn look(target: &Target, account: &Account) -> anyhow::Result<String> {
    let login = target.login((Start::Direct, &target.mux, &target.proxies.mux), account);
    Client::log_in(&login, &target.trust).await.context("XMPP")?.close().await;
    let mut failures = Vec::new();
    for address in &target.mux {
        match timeout(WITHIN, both(target, *address)).await {
            Ok(Ok(())) => return Ok(format!("XMPP and HTTPS at {address}")),
            Ok(Err(error)) => failures.push(format!("{address}: {error:#}")),
            Err(_) => failures.push(format!("{address}: no answer within {} s", WITHIN.as_secs())),
        }
    }
    bail!("HTTPS: {}", failures.join("; "))
}

async fn both(target: &Target, address: SocketAddr) -> anyhow::Result<()> {
    host_meta(target, address, &[b"http/1.1"]).await.context("by ALPN")?;
    host_meta(target, address, &[]).await.context("without ALPN")
}

async fn host_meta(target: &Target, address: SocketAddr, alpn: &[&[u8]]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    introduce(&mut stream, &target.proxies.mux).await?;
    let name = ServerName::try_from(target.domain.clone()).map_err(|_| anyhow!("{} is no name for TLS", target.domain))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&target.trust).client_config(alpn)?);
    let stream = connector.connect(name, stream).await;
    let mut stream = stream.map_err(|error| anyhow!(trust::explain(&error, &target.domain, "set tls.certificate to one that does")))?;
    let request = format!("GET /.well-known/host-meta HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.domain);
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = [0; ANSWER_BYTES];
    stream.read_exact(&mut answer).await.context("no answer")?;
    ensure!(&answer == b"HTTP/1.1 200", "the answer begins with {:?}", String::from_utf8_lossy(&answer));
    Ok(())
}
