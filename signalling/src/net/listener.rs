//! TCP listeners: binding both address families, accepting with bounds, and the orderly stop of all that they started.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use campanile_config::Network;
use campanile_relay::proxy_protocol::{self, Header};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use super::quiet::Quiet;
use super::sources::{Full, Place, Sources};

const BACKLOG: i32 = 1024;
/// First and longest pause after accept(2) has failed for want of descriptors or memory.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a proxy may take to say who is behind it; it is the first thing that it sends.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// A dead peer is found by the kernel: probes after this silence, …
const KEEPALIVE_AFTER: Duration = Duration::from_secs(120);
/// … this far apart, …
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// … and the connection ends when sent data stays unacknowledged for this long (RFC 5482).
const USER_TIMEOUT: Duration = Duration::from_secs(180);

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({service}): {error}")]
pub struct ListenError {
    /// What was to be served.
    pub service: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// Owns every accept loop and every connection's task.
#[derive(Debug, Clone)]
pub struct Listeners {
    tasks: TaskTracker,
    /// Cancelled: nothing new is accepted, and streams end with `<system-shutdown/>`.
    stopping: CancellationToken,
    /// Cancelled: tasks end where they are.
    aborting: CancellationToken,
    sources: Sources,
    metrics: Metrics,
}

impl Listeners {
    /// No listener yet; the bounds of `sources` hold for all that follow.
    pub fn new(sources: Sources, metrics: Metrics) -> Self {
        Self { tasks: TaskTracker::new(), stopping: CancellationToken::new(), aborting: CancellationToken::new(), sources, metrics }
    }

    /// Accepts on `address` and runs `connection` for each; port 0 picks one. Returns the real address.
    /// `refuse` may say a last word to a connection over the bound, without waiting.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn serve<F, C>(
        &self,
        service: &'static str,
        address: SocketAddr,
        front: Front,
        refuse: fn(&TcpStream),
        connection: C,
    ) -> Result<SocketAddr, ListenError>
    where
        F: Future<Output = ()> + Send + 'static,
        C: Fn(TcpStream, Ends, Place) -> F + Send + Sync + 'static,
    {
        let listening = Listening::open(service, address)?;
        let local = listening.local;
        self.run(listening, front, refuse, connection);
        Ok(local)
    }

    /// The same on an address that has been opened before.
    pub fn run<F, C>(&self, listening: Listening, front: Front, refuse: fn(&TcpStream), connection: C)
    where
        F: Future<Output = ()> + Send + 'static,
        C: Fn(TcpStream, Ends, Place) -> F + Send + Sync + 'static,
    {
        let this = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.stopping.cancelled() => {}
                () = this.accept(listening, front, refuse, Arc::new(connection)) => {}
            }
        });
    }

    async fn accept<F, C>(&self, listening: Listening, front: Front, refuse: fn(&TcpStream), connection: Arc<C>)
    where
        F: Future<Output = ()> + Send + 'static,
        C: Fn(TcpStream, Ends, Place) -> F + Send + Sync + 'static,
    {
        let Listening { service, listener, .. } = listening;
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_peers(&error) => {
                    debug!(service, %error, "connection gone before it was accepted");
                    continue;
                }
                Err(error) => {
                    // Out of descriptors or memory: a busy loop would make it worse.
                    self.metrics.accept_error();
                    error!(service, %error, pause_ms = pause.as_millis(), "cannot accept connections");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE.1);
                    continue;
                }
            };
            pause = ACCEPT_PAUSE.0;
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            let peer = canonical(peer);
            let behind = front.header.trusts(peer.ip());
            let place =
                if behind || front.forwarded.trusts(peer.ip()) { self.sources.enter_proxy() } else { self.sources.enter(peer.ip()) };
            let mut place = match place {
                Ok(place) => place,
                Err(full) => {
                    self.refuse(service, &stream, peer, full, refuse);
                    continue;
                }
            };
            set_options(&stream);
            let local = stream.local_addr().map_or(listening.local, canonical);
            let ends = Ends { peer, local };
            if !behind {
                self.spawn(connection(stream, ends, place));
                continue;
            }
            let (this, front, connection) = (self.clone(), front.clone(), connection.clone());
            self.spawn(async move {
                let mut stream = stream;
                if let Some(ends) = this.introduced(service, &mut stream, ends, &front, &mut place, refuse).await {
                    connection(stream, ends, place).await;
                }
            });
        }
    }

    /// Reads what a proxy says of a connection, and counts it for whom it names. `None`: it is not to be served.
    async fn introduced(
        &self,
        service: &'static str,
        stream: &mut TcpStream,
        ends: Ends,
        front: &Front,
        place: &mut Place,
        refuse: fn(&TcpStream),
    ) -> Option<Ends> {
        let proxy = ends.peer;
        let header = tokio::select! {
            () = self.stopping.cancelled() => return None,
            header = tokio::time::timeout(HEADER_TIME, proxy_protocol::read(stream)) => header,
        };
        let ends = match header {
            Ok(Ok(Header::Local)) => return Some(ends),
            Ok(Ok(Header::Proxied { source, destination })) => Ends { peer: source, local: destination },
            Ok(Err(error)) => {
                debug!(service, %proxy, %error, "not a connection of a proxy");
                return None;
            }
            Err(_) => {
                debug!(service, %proxy, "a proxy did not say in time who is behind it");
                return None;
            }
        };
        if !front.forwarded.trusts(ends.peer.ip())
            && let Err(full) = place.move_to(ends.peer.ip())
        {
            self.refuse(service, stream, ends.peer, full, refuse);
            return None;
        }
        Some(ends)
    }

    fn refuse(&self, service: &'static str, stream: &TcpStream, peer: SocketAddr, full: Full, refuse: fn(&TcpStream)) {
        self.metrics.refused(full);
        debug!(service, %peer, bound = full.as_str(), "connection refused");
        refuse(stream);
    }

    /// Runs a connection's future as a task that the stop waits for.
    pub fn spawn<F>(&self, connection: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let aborting = Quiet::new(self.aborting.clone().cancelled_owned());
        // Boxed, since the task would hold it twice: as what it was given, and as what it polls.
        let connection = Box::pin(connection);
        self.tasks.spawn(async move {
            tokio::select! {
                () = aborting => {}
                () = connection => {}
            }
        });
    }

    /// Fires when streams have to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Stops: no new connection, `<system-shutdown/>` on every stream, and the end of what is left after `within`.
    pub async fn shutdown(&self, within: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            warn!(connections = self.tasks.len(), "connections did not end in time, cutting them off");
            self.aborting.cancel();
            self.tasks.wait().await;
        }
    }
}

/// A listener that is open, but accepts nothing yet: clients that connect wait.
#[derive(Debug)]
pub struct Listening {
    service: &'static str,
    listener: TcpListener,
    local: SocketAddr,
}

impl Listening {
    /// Opens an address; port 0 picks one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn open(service: &'static str, address: SocketAddr) -> Result<Self, ListenError> {
        let (listener, local) = bind(address).map_err(|error| ListenError { service, address, error })?;
        if local.ip() != address.ip() {
            warn!(service, asked = %address, listening = %local, "no IPv6 on this machine, listening on IPv4 only");
        }
        info!(service, address = %local, "listening");
        Ok(Self { service, listener, local })
    }

    /// The real address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// The two ends of a client's connection: as the sockets have them, or as a proxy says that it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub peer: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
}

/// Who may stand between clients and a listener.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// Proxies whose connections begin with a PROXY header.
    pub header: Proxies,
    /// Proxies of HTTP that name the client in each request.
    pub forwarded: Proxies,
}

impl Front {
    /// TCP proxies only.
    #[must_use]
    pub fn header(networks: &[Network]) -> Self {
        Self { header: Proxies::new(networks), ..Self::default() }
    }
}

/// Networks of proxies, whose word about the client counts.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Network]>);

impl Proxies {
    /// These networks.
    #[must_use]
    pub fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    /// Whether the address is in one of the networks.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Binds a TCP listener. `[::]` serves both families, and becomes `0.0.0.0` on a machine without IPv6.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match open(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && lacks_v6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))?
        }
        other => other?,
    };
    let listener = TcpListener::from_std(listener)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn lacks_v6(error: &io::Error) -> bool {
    // EAFNOSUPPORT where the kernel has no IPv6, EADDRNOTAVAIL where it is disabled.
    matches!(error.raw_os_error(), Some(97 | 99)) || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Errors of accept(2) that concern the one connection only.
fn is_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | NetworkUnreachable | HostUnreachable | TimedOut)
}

/// No delay for small stanzas, and a kernel that notices dead peers. A failure costs only that, so it is not an error.
fn set_options(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    let result = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if let Err(error) = result {
        debug!(%error, "socket options not set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn listeners(per_source: u32) -> Listeners {
        Listeners::new(Sources::new(per_source, 0), Metrics::new(&prometheus::Registry::new()).unwrap())
    }

    fn nothing(_: &TcpStream) {}

    #[tokio::test]
    async fn any_address_serves_both_families_or_falls_back() {
        let listeners = listeners(0);
        let local = listeners
            .serve("test", "[::]:0".parse().unwrap(), Front::default(), nothing, |mut stream, ends, place| async move {
                stream.write_all(ends.peer.ip().to_string().as_bytes()).await.unwrap();
                drop(place);
            })
            .unwrap();
        assert_ne!(local.port(), 0);
        let mut text = String::new();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, local.port())).await.unwrap();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "127.0.0.1");
        listeners.shutdown(Duration::from_secs(5)).await;
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, local.port())).await.is_err());
    }

    #[tokio::test]
    async fn a_full_source_is_refused_and_served_again_later() {
        fn word(stream: &TcpStream) {
            stream.try_write(b"full").unwrap();
        }
        let listeners = listeners(1);
        let local = listeners
            .serve("test", "127.0.0.1:0".parse().unwrap(), Front::default(), word, |mut stream, _, place| async move {
                let mut byte = [0];
                stream.write_all(b"ok").await.unwrap();
                // Ends when the client does.
                let _ = stream.read(&mut byte).await;
                drop(place);
            })
            .unwrap();
        let mut first = TcpStream::connect(local).await.unwrap();
        let mut two = [0; 2];
        first.read_exact(&mut two).await.unwrap();
        let mut text = String::new();
        TcpStream::connect(local).await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "full");
        drop(first);
        loop {
            let mut again = TcpStream::connect(local).await.unwrap();
            if again.read_exact(&mut two).await.is_ok() && &two == b"ok" {
                break;
            }
            tokio::task::yield_now().await;
        }
        listeners.shutdown(Duration::from_millis(10)).await;
    }

    #[tokio::test]
    async fn who_is_behind_a_proxy_counts_as_the_client() {
        fn word(stream: &TcpStream) {
            stream.try_write(b"full").unwrap();
        }
        let listeners = listeners(1);
        let front = Front::header(&["127.0.0.1".parse().unwrap()]);
        let local = listeners
            .serve("test", "127.0.0.1:0".parse().unwrap(), front, word, |mut stream, ends, place| async move {
                let mut byte = [0];
                stream.write_all(format!("{} {}", ends.peer, ends.local).as_bytes()).await.unwrap();
                // Ends when the client does.
                let _ = stream.read(&mut byte).await;
                drop(place);
            })
            .unwrap();
        let say = async |bytes: &[u8], shut| {
            let mut stream = TcpStream::connect(local).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            if shut {
                stream.shutdown().await.unwrap();
            }
            let mut text = [0; 64];
            // A refused connection may be reset, with what was not read.
            let read = stream.read(&mut text).await.unwrap_or(0);
            (String::from_utf8_lossy(&text[..read]).into_owned(), stream)
        };
        let header = proxy_protocol::write("192.0.2.1:5".parse().unwrap(), "203.0.113.7:443".parse().unwrap(), &[]);
        let (said, kept) = say(&header, false).await;
        assert_eq!(said, "192.0.2.1:5 203.0.113.7:443");
        assert_eq!(say(&header, false).await.0, "full", "one connection per source, and it is the client's");
        drop(kept);
        while say(&header, true).await.0 == "full" {
            tokio::task::yield_now().await;
        }
        assert!(say(&proxy_protocol::LOCAL, true).await.0.starts_with("127.0.0.1:"));
        for wrong in [&b"<?xml version='1.0'?>"[..], b"\x16\x03\x01", b""] {
            assert_eq!(say(wrong, true).await.0, "");
        }
        listeners.shutdown(Duration::from_millis(10)).await;
    }

    #[tokio::test]
    async fn shutdown_cuts_off_what_does_not_end() {
        let listeners = listeners(0);
        listeners.spawn(std::future::pending());
        listeners.shutdown(Duration::from_millis(10)).await;
    }

    #[test]
    fn a_taken_port_is_an_error_with_the_service() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let error = listeners(0)
            .serve("c2s", taken.local_addr().unwrap(), Front::default(), nothing, |_, _, _| std::future::ready(()))
            .unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
        assert!(error.to_string().contains("(c2s)"), "{error}");
    }
}
