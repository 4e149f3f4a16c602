//! An idle session: the memory of a server with many sessions, each of its own account, logged in with roster and presence and silent
//! since; less its memory with one, divided by their number. Resident memory, as the kernel counts it in smaps_rollup; what the kernel
//! itself holds for the sockets is not in it.

use std::time::Duration;

use super::crowd;
use crate::servers::Server;

/// KiB per session: resident, and that part of it which is private.
pub async fn memory(server: &Server, tls: bool, sessions: usize) -> anyhow::Result<[f64; 2]> {
    // allocated once, whoever comes
    server.log_in(tls, 0, "first").await?.close().await?;
    let before = server.memory()?;
    let clients = crowd::log_in(server, tls, 0..sessions).await?;
    // the time in which a server tidies up
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = server.memory()? - before;
    drop(clients);
    Ok([grown.resident, grown.private].map(|kib| kib as f64 / sessions as f64))
}
