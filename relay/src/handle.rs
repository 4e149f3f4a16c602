//! `Relay`: what the rest of the server holds. Starts the workers and the shell for TCP and TLS; gives out credentials; joins allocations
//! to calls; reads what the workers publish.

use std::any::Any;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use campanile_ice::stun::turn::Family;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::datapath::discovery;
use crate::datapath::socket::{listen_tcp, listen_udp};
use crate::datapath::system::{interface_addresses, raise_descriptor_limit};
use crate::datapath::tcp_relay::TcpRelays;
use crate::datapath::worker::{Control, Worker, WorkerHandle};
use crate::quality::report::CallQuality;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::turn::auth::{Auth, Credentials, account_name};
use crate::turn::fence::{Fence, Offer};
use crate::turn::peers::PeerRules;
use crate::turn::ports::Ports;
use crate::turn::registry::{CallId, Hosts, Registry};
use crate::turn::server::Server;
use crate::turn::sessions::{RelaySession, SessionTag};
use crate::turn::tcp::Acceptor;
use crate::turn::tls::Tls;

/// Messages that may wait for a worker from TCP and TLS clients.
const INBOX_MESSAGES: usize = 1_024;

/// Why the relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// An address cannot be listened on.
    #[error("cannot listen for TURN over {transport} on {address}: {cause}")]
    Listen {
        /// UDP, TCP or TLS.
        transport: Transport,
        /// The address as configured.
        address: SocketAddr,
        /// What the kernel says.
        cause: io::Error,
    },
    /// Something else that the kernel refuses.
    #[error("cannot {what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        cause: io::Error,
    },
    /// TLS addresses without a certificate.
    #[error("TURN over TLS is to listen on {0}, but has no certificate")]
    NoCertificate(SocketAddr),
    /// The system gives no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// How clients reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// A live TURN listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// How it is reached.
    pub transport: Transport,
    /// The address it listens on, with its real port; `[::]` serves both families.
    pub local: SocketAddr,
}

/// The running relay; clones are handles of the same one. Ends when the last is dropped, and in order by `shutdown`.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    services: Vec<Service>,
    auth: Arc<Auth>,
    registry: Arc<Registry>,
    workers: Vec<WorkerHandle>,
    acceptor: Arc<Acceptor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Relay {
    /// Opens all listeners and starts the workers. With TCP or TLS it must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`RelayError`]; nothing is left running then.
    pub fn start(settings: Settings) -> Result<Self, RelayError> {
        let addresses = interface_addresses().map_err(|cause| RelayError::System { what: "read the addresses of this host", cause })?;
        let count = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let mut registry = Registry::new(
            Ports::new(settings.ports.clone(), &settings.public_addresses),
            PeerRules::new(settings.allow_peers.clone(), settings.deny_peers.clone()),
            settings.limits.clone(),
            Hosts::new(addresses),
        );
        registry.fence = Fence::new(settings.fence);
        let registry = Arc::new(registry);
        let mut auth = Auth::new(settings.realm.clone(), &settings.key, settings.rest_secret.as_deref(), settings.credentials);
        if !settings.mobility {
            auth.forbid_mobility();
        }
        for (account, at) in &settings.revoked {
            auth.revoke(account, *at);
        }
        let auth = Arc::new(auth);
        match raise_descriptor_limit() {
            Ok(limit) if limit < 2 * settings.limits.allocations as u64 => {
                tracing::warn!(limit, allocations = settings.limits.allocations, "too few descriptors for so many allocations");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the bound on descriptors cannot be raised"),
        }

        let mut services = Vec::new();
        let mut sockets: Vec<_> = (0..count).map(|_| Vec::new()).collect();
        for &address in &settings.udp {
            let listening = listen_udp(address, count).map_err(listen_error(Transport::Udp, address))?;
            services.push(Service { transport: Transport::Udp, local: listening.local });
            sockets.iter_mut().zip(listening.workers).for_each(|(all, new)| all.extend(new));
        }
        let discovery = match settings.nat_discovery {
            Some(pair) => Some(discovery::listen(pair, &mut sockets).map_err(|(address, cause)| RelayError::Listen {
                transport: Transport::Udp,
                address,
                cause,
            })?),
            None => None,
        };
        let mut listeners = Vec::new();
        for (transport, addresses) in [(Transport::Tcp, &settings.tcp), (Transport::Tls, &settings.tls)] {
            for &address in addresses {
                let tls = match (transport, &settings.tls_config) {
                    (Transport::Tls, None) => return Err(RelayError::NoCertificate(address)),
                    (Transport::Tls, Some(config)) => Some(Tls::new(config)),
                    _ => None,
                };
                let (local, sockets) = listen_tcp(address).map_err(listen_error(transport, address))?;
                services.push(Service { transport, local });
                for socket in sockets {
                    let listener = tokio::net::TcpListener::from_std(socket).map_err(listen_error(transport, address))?;
                    listeners.push((listener, tls.clone()));
                }
            }
        }

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let runtime = Handle::try_current().map_err(|_| RelayError::System {
            what: "find the runtime of TCP and TLS",
            cause: io::Error::other("the relay is to be started in one"),
        })?;
        let (mut workers, mut handles) = (Vec::new(), Vec::new());
        for (index, sockets) in sockets.into_iter().enumerate() {
            let mut seed = [0; 32];
            SystemRandom::new().fill(&mut seed).map_err(|_| RelayError::Random)?;
            let mut server = Server::new(index as u16, auth.clone(), registry.clone(), settings.call_grace, seed, Instant::now());
            server.set_discovery(discovery);
            let (mut worker, handle) = Worker::new(index as u16, server, registry.clone(), sockets, INBOX_MESSAGES)
                .map_err(|cause| RelayError::System { what: "set up a relay worker", cause })?;
            worker.relay_tcp(TcpRelays::new(handle.clone(), registry.data.clone(), runtime.clone(), tasks.clone()));
            workers.push(worker);
            handles.push(handle);
        }
        Worker::join(&mut workers);
        workers.iter_mut().for_each(|worker| worker.introduce(&handles));
        let acceptor = Acceptor::new(handles.clone(), registry.clone(), settings.limits, settings.proxies, stop.clone(), tasks.clone());
        let inner = Arc::new(Inner { services, auth, registry, workers: handles, acceptor, threads: Mutex::default(), stop, tasks });
        for (index, worker) in workers.into_iter().enumerate() {
            let thread = std::thread::Builder::new()
                .name(format!("relay-{index}"))
                .spawn(move || run(index as u16, || worker.run()))
                .map_err(|cause| RelayError::System { what: "start a relay worker", cause })?;
            inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        for (listener, tls) in listeners {
            inner.tasks.spawn(inner.acceptor.clone().accept(listener, tls));
        }
        Ok(Self { inner })
    }

    /// The live listeners: UDP first, then TCP, then TLS.
    pub fn services(&self) -> Vec<Service> {
        self.inner.services.clone()
    }

    /// Serves a client whose TLS was accepted elsewhere, as one of a listener for TLS; `remote` is the client's address, `local` the one it
    /// came to. `keep` is dropped when the connection ends. False, and the connection is closed, when there are too many.
    pub fn adopt<S, K>(&self, stream: S, remote: SocketAddr, local: SocketAddr, keep: K) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        K: Send + 'static,
    {
        self.inner.acceptor.adopt(stream, remote, local, keep)
    }

    /// The addresses under which the outside sees this machine, from now on: the first of each family is told to clients in place of local ones,
    /// the others count as own. Running allocations keep what they were told.
    pub fn set_public_addresses(&self, addresses: &[IpAddr]) {
        self.inner.registry.ports.set_advertised(addresses);
        self.inner.registry.addresses_changed();
    }

    /// Credentials for an account. Costs microseconds and remembers nothing.
    pub fn issue(&self, account: &str, now: SystemTime) -> Credentials {
        self.inner.auth.issue(account, now, random())
    }

    /// Credentials as XEP-0215 hands them out: those of a session, which must live, are good until [`Relay::end_session`]. No more than that
    /// it lives is remembered.
    pub fn issue_to(&self, account: &str, session: &RelaySession, now: SystemTime) -> Credentials {
        self.inner.auth.issue_to(account, Some(session), now, random())
    }

    /// A session that has outlived a restart: what was issued to it is good again.
    pub fn begin_session(&self, session: &RelaySession) {
        self.inner.auth.sessions.begin(session);
    }

    /// A session is over: what was issued to it is void, and its allocations are freed.
    pub fn end_session(&self, tag: SessionTag) {
        if self.inner.auth.sessions.end(tag) {
            for worker in 0..self.inner.workers.len() {
                self.inner.tell(worker as u16, Control::EndSession(tag));
            }
        }
    }

    /// Links a call to the allocation behind a relayed address, in its advertised or bound form. Nothing happens, and false is
    /// returned, unless that allocation is live and belongs to the account.
    pub fn link(&self, account: &str, relayed: SocketAddr, call: CallId) -> bool {
        let Some(key) = self.inner.registry.link(&account_name(account), relayed, call) else { return false };
        self.inner.tell(key.worker, Control::Link(key, call));
        true
    }

    /// In a live call, `from` has offered this to `to`: what the fence lets `to` reach until the call ends. Both are named as in
    /// [`RelaySession::party`].
    pub fn offer(&self, call: CallId, from: &str, to: &str, offer: &Offer) {
        self.inner.registry.fence.offer(call, from, to, offer);
    }

    /// A call is accepted: the allocations that are linked to it by now may relay at their account's full rate.
    pub fn accept_call(&self, call: CallId) {
        for key in self.inner.registry.allocations_of(call) {
            self.inner.tell(key.worker, Control::Accepted(key, call));
        }
    }

    /// A call has ended: allocations that serve no other live call are freed after the configured grace.
    pub fn end_call(&self, call: CallId) {
        self.inner.registry.fence.end_call(call);
        for key in self.inner.registry.end_call(call, Instant::now()) {
            self.inner.tell(key.worker, Control::Unlink(key, call));
        }
    }

    /// What the relays of a call saw, at most a second old; kept for a minute after the call has ended.
    pub fn quality(&self, call: CallId) -> Option<CallQuality> {
        self.inner.registry.quality(call)
    }

    /// Voids the credentials issued to an account until now, and frees its allocations. Remembered only while the relay runs: see
    /// `Settings::revoked`.
    pub fn revoke(&self, account: &str) {
        self.inner.auth.revoke(account, SystemTime::now());
        let account: Arc<str> = account_name(account).into();
        for worker in 0..self.inner.workers.len() {
            self.inner.tell(worker as u16, Control::Revoke(account.clone()));
        }
    }

    /// What all workers counted, at most a second old.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for worker in &self.inner.workers {
            sum.merge(&worker.stats.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum.data_connections = self.inner.registry.data.len() as u64;
        for family in [Family::V4, Family::V6] {
            let (used, ports) = self.inner.registry.ports.usage_of(family);
            (*sum.ports_used.of(family), *sum.ports.of(family)) = (used.into(), ports.into());
        }
        sum
    }

    /// From now on Allocate is answered with 508 (Insufficient Capacity). What there is goes on, and is refreshed; a reserved port (RFC 8656
    /// §7.2) is handed out, since it was promised before.
    pub fn drain(&self) {
        self.inner.registry.drain();
    }

    /// Ends all connections and allocations, and waits for tasks and threads.
    pub async fn shutdown(&self) {
        self.inner.end();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A worker's panic has ended the process before.
                let _ = thread.join();
            }
        });
        // Only a runtime that is itself shutting down cancels it.
        let _ = joined.await;
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("services", &self.inner.services).finish_non_exhaustive()
    }
}

impl Inner {
    fn tell(&self, worker: u16, control: Control) {
        let worker = &self.workers[usize::from(worker)];
        // Only a worker that has ended takes no more, and then it has no allocations.
        let _ = worker.control.send(control);
        worker.waker.wake();
    }

    fn end(&self) {
        self.stop.cancel();
        for worker in 0..self.workers.len() {
            self.tell(worker as u16, Control::Shutdown);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut random = [0; N];
    SystemRandom::new().fill(&mut random).expect("a running system has random numbers");
    random
}

fn listen_error(transport: Transport, address: SocketAddr) -> impl Fn(io::Error) -> RelayError {
    move |cause| RelayError::Listen { transport, address, cause }
}

/// A worker's thread. Half a relay would fail in ways that nobody can see, so a worker that cannot go on ends the process (ADR 5).
fn run(worker: u16, work: impl FnOnce() -> io::Result<()>) {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => tracing::error!(worker, %error, "a relay worker cannot go on, the process ends"),
        // Where it happened was said on standard error, by the hook for panics.
        Err(panic) => tracing::error!(worker, panic = said(&*panic), "a relay worker panicked, the process ends"),
    }
    std::process::abort();
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    /// Tells a copy of this test which way its worker is to end.
    const ENDS_BY: &str = "CAMPANILE_TEST_WORKER_ENDS_BY";

    /// ADR 5. The worker of a copy of this process ends as told; that process must end with it.
    #[test]
    fn a_worker_that_cannot_go_on_ends_the_process_with_a_clear_message() {
        match std::env::var(ENDS_BY).as_deref() {
            Ok("panic") => end_by(|| panic!("index {} out of range", 7)),
            Ok("error") => end_by(|| Err(io::Error::other("epoll is gone"))),
            _ => {}
        }
        let name = "handle::tests::a_worker_that_cannot_go_on_ends_the_process_with_a_clear_message";
        for (ends_by, message, detail) in [
            ("panic", "a relay worker panicked, the process ends", "panic=\"index 7 out of range\""),
            ("error", "a relay worker cannot go on, the process ends", "error=epoll is gone"),
        ] {
            let mut copy = Command::new(std::env::current_exe().unwrap());
            let ended = copy.args(["--exact", name, "--nocapture"]).env(ENDS_BY, ends_by).output().unwrap();
            assert_eq!(ended.status.signal(), Some(6), "aborted: {ended:?}");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(said.contains(message) && said.contains(detail) && said.contains("worker=3"), "{said}");
        }
    }

    /// Runs a worker on a thread of its own, as `Relay::start` does; whoever waits for it must not be reached.
    fn end_by(work: impl FnOnce() -> io::Result<()> + Send + 'static) {
        tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).init();
        let worker = std::thread::spawn(move || run(3, work));
        let _ = worker.join();
        std::process::exit(0);
    }
}
