//! The operator's HTTP: `/metrics`, `/health`, `/ready`, open to whoever reaches the listener, which is loopback by default.

pub mod health;
pub mod metrics;
pub mod numbers;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use health::Readiness;
use metrics::Metrics;

/// Connections at the same time; more wait in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long one connection may last: a scraper comes every few seconds and reconnects.
const CONNECTION: Duration = Duration::from_secs(300);
/// How long a stop waits for answers under way.
const STOP: Duration = Duration::from_secs(2);

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// `/metrics`.
    pub metrics: Metrics,
    /// `/ready`.
    pub readiness: Arc<Readiness>,
}

impl Pages {
    fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(show_metrics))
            .route("/health", get(|| async { health::alive() }))
            .route("/ready", get(show_ready))
            .with_state(self)
    }
}

async fn show_metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))], text).into_response(),
        Err(error) => {
            error!(%error, "metrics cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written, see the log\n").into_response()
        }
    }
}

async fn show_ready(State(pages): State<Pages>) -> Response {
    let report = pages.readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(report)).into_response()
}

/// Opens a listener; `[::]` falls back to `0.0.0.0` on a machine without IPv6.
///
/// # Errors
/// The system's.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && error.kind() != io::ErrorKind::AddrInUse => {
            warn!(%address, %error, "no IPv6 on this machine, listening on IPv4 only");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Serves the pages on `listener` until `stop`.
pub async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    let router = pages.router();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "an admin connection ended badly");
                }
            }
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, router.clone(), stop.clone()));
                }
                Err(error) => {
                    // out of file descriptors, say: try again when some may have been closed
                    warn!(%error, "the admin listener cannot accept");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
        }
    }
    drop(listener);
    let answers_under_way = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP, answers_under_way).await.is_err() {
        debug!("admin connections cut off at the stop");
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended: Result<(), hyper::Error> = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(CONNECTION) => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "admin connection");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct Server {
        address: SocketAddr,
        readiness: Arc<Readiness>,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    impl Server {
        async fn start() -> Self {
            let readiness = Arc::new(Readiness::new(Box::new(|| Box::pin(async { Ok(()) }))));
            let pages = Pages { metrics: Metrics::new().unwrap(), readiness: Arc::clone(&readiness) };
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = CancellationToken::new();
            let task = tokio::spawn(serve(listener, pages, stop.clone()));
            Self { address, readiness, stop, task }
        }

        /// The whole answer to one request.
        async fn ask(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    }

    #[tokio::test]
    async fn the_three_pages_over_a_socket() {
        let server = Server::start().await;
        let metrics = server.ask("GET /metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 ") && metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("campanile_build_info"), "{metrics}");

        let health = server.ask("GET /health").await;
        assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"alive\":true"), "{health}");

        server.readiness.expect("c2s [::]:5222");
        let waiting = server.ask("GET /ready").await;
        assert!(waiting.starts_with("HTTP/1.1 503 "), "{waiting}");
        assert!(waiting.contains(r#"{"ready":false,"parts":{"c2s [::]:5222":"starting","database":"serving"}}"#), "{waiting}");
        server.readiness.serving("c2s [::]:5222");
        let ready = server.ask("GET /ready").await;
        assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("\"ready\":true"), "{ready}");

        assert!(server.ask("GET /").await.starts_with("HTTP/1.1 404 "));
        assert!(server.ask("POST /metrics").await.starts_with("HTTP/1.1 405 "));
        server.stop.cancel();
        server.task.await.unwrap();
    }

    #[tokio::test]
    async fn silent_connections_do_not_hold_up_the_stop() {
        let server = Server::start().await;
        let _silent = TcpStream::connect(server.address).await.unwrap();
        assert!(server.ask("GET /health").await.starts_with("HTTP/1.1 200 "));
        server.stop.cancel();
        server.task.await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_the_next_request_served() {
        let server = Server::start().await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(server.ask("GET /health").await.starts_with("HTTP/1.1 200 "));
        server.stop.cancel();
        server.task.await.unwrap();
    }
}
