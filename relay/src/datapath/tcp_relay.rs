//! RFC 6062: a worker's sockets for TCP. Listeners of relayed addresses and connections to peers live in tokio; what comes of them goes to
//! the worker's inbox, where `turn/server/connect.rs` judges it.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::flow::SocketId;
use super::socket::{connect_relayed_tcp, listen_relayed_tcp};
use super::worker::{Inbox, WorkerHandle};
use crate::turn::data_connections::{DataConnectionKey, DataConnections};
use crate::turn::stream::hand_over;

/// Accepted connections of one relayed address that wait for the worker.
const ARRIVALS: usize = 4;

/// A peer's connection that the worker has not judged yet.
pub struct Arrival {
    /// The relayed address.
    pub socket: SocketId,
    /// The peer.
    pub remote: SocketAddr,
    /// Its socket; does not block.
    pub stream: TcpStream,
    _turn: OwnedSemaphorePermit,
}

/// The sockets; see the module.
pub struct TcpRelays {
    worker: WorkerHandle,
    data: Arc<DataConnections>,
    runtime: Handle,
    tasks: TaskTracker,
    listeners: HashMap<u32, DropGuard>,
    /// Never used twice: an arrival may outlive its listener.
    next: u32,
}

impl TcpRelays {
    /// No sockets yet; their tasks will run in `runtime`, tracked by `tasks`.
    pub fn new(worker: WorkerHandle, data: Arc<DataConnections>, runtime: Handle, tasks: TaskTracker) -> Self {
        Self { worker, data, runtime, tasks, listeners: HashMap::new(), next: 0 }
    }

    /// Listens on a relayed address.
    ///
    /// # Errors
    /// The port is in use, the address is not ours, or there is no descriptor left.
    pub fn listen(&mut self, bound: SocketAddr) -> io::Result<SocketId> {
        let listener = listen_relayed_tcp(bound)?;
        self.next = (self.next + 1) & (u32::MAX >> 1);
        let socket = SocketId::tcp(self.next);
        let stop = CancellationToken::new();
        self.tasks.spawn_on(accept(listener, socket, self.worker.clone(), stop.clone()), &self.runtime);
        self.listeners.insert(self.next, stop.drop_guard());
        Ok(socket)
    }

    /// Listens no more.
    pub fn close(&mut self, socket: SocketId) {
        socket.tcp_number().and_then(|number| self.listeners.remove(&number));
    }

    /// Connects to a peer; the worker's inbox tells how that went.
    pub fn connect(&self, connection: DataConnectionKey, from: SocketAddr, to: SocketAddr) {
        let Some(stop) = self.data.stop(connection) else { return };
        let (worker, data) = (self.worker.clone(), self.data.clone());
        self.tasks.spawn_on(
            async move {
                let connecting = async { tokio::net::TcpSocket::from_std_stream(connect_relayed_tcp(from)?).connect(to).await?.into_std() };
                let result = tokio::select! {
                    () = stop.cancelled() => return,
                    result = connecting => result,
                };
                let is_connected = match result {
                    Ok(stream) => data.connected(connection, stream),
                    Err(error) => {
                        tracing::debug!(peer = %to, %error, "no connection to a peer");
                        false
                    }
                };
                // Only a worker that has ended takes no more.
                let _ = hand_over(&worker, Inbox::PeerConnected(connection, is_connected)).await;
            },
            &self.runtime,
        );
    }
}

async fn accept(listener: TcpListener, socket: SocketId, worker: WorkerHandle, stop: CancellationToken) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "a relayed TCP address is not served"),
    };
    let turns = Arc::new(Semaphore::new(ARRIVALS));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted.and_then(|(stream, remote)| Ok((stream.into_std()?, remote))),
        };
        match accepted {
            Ok((stream, remote)) => {
                let arrival = Arrival { socket, remote, stream, _turn: turn };
                if hand_over(&worker, Inbox::PeerArrived(arrival)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Usually no descriptor is left: the next attempt would fail at once.
                tracing::warn!(%error, "accepting a peer's connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
