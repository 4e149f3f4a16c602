//! The operator's HTTP: `/metrics`, `/health`, `/ready`, open to whoever reaches the listener, which is loopback by default.

pub mod health;
pub mod metrics;
pub mod numbers;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use campanile_signalling::net::http;
use campanile_signalling::net::listener::{Front, ListenError, Listeners};
use tracing::error;

use health::Readiness;
use metrics::Metrics;

/// Connections at the same time; more are refused.
pub const CONNECTIONS_MAX: u32 = 64;

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

/// Serves the pages on `address` until `listeners` stop. Returns the real address.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(listeners: &Listeners, address: SocketAddr, pages: Pages) -> Result<SocketAddr, ListenError> {
    http::serve(listeners, "admin", None, address, None, Front::default(), pages.router())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use campanile_signalling::net::metrics::Metrics as NetMetrics;
    use campanile_signalling::net::sources::Sources;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    fn listeners() -> Listeners {
        Listeners::new(Sources::new(0, CONNECTIONS_MAX), NetMetrics::new(&prometheus::Registry::new()).unwrap())
    }

    fn pages() -> Pages {
        let readiness = Arc::new(Readiness::new(Box::new(|| Box::pin(async { Ok(()) }))));
        Pages { metrics: Metrics::new().unwrap(), readiness }
    }

    struct Server {
        address: SocketAddr,
        readiness: Arc<Readiness>,
        listeners: Listeners,
    }

    impl Server {
        fn start() -> Self {
            let (listeners, pages) = (listeners(), pages());
            let readiness = Arc::clone(&pages.readiness);
            let address = listen(&listeners, "127.0.0.1:0".parse().unwrap(), pages).unwrap();
            Self { address, readiness, listeners }
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
        let server = Server::start();
        let metrics = server.ask("GET /metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 ") && metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("campanile_build_info"), "{metrics}");

        let health = server.ask("GET /health").await;
        assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"alive\":true"), "{health}");

        server.readiness.serving("c2s [::]:5222");
        let ready = server.ask("GET /ready").await;
        assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
        assert!(ready.contains(r#"{"ready":true,"parts":{"c2s [::]:5222":"serving","database":"serving"}}"#), "{ready}");
        server.readiness.stopping();
        let stopping = server.ask("GET /ready").await;
        assert!(stopping.starts_with("HTTP/1.1 503 ") && stopping.contains("\"ready\":false"), "{stopping}");

        assert!(server.ask("GET /").await.starts_with("HTTP/1.1 404 "));
        assert!(server.ask("POST /metrics").await.starts_with("HTTP/1.1 405 "));
        server.listeners.shutdown(Duration::from_millis(100)).await;
    }

    #[tokio::test]
    async fn silent_connections_do_not_hold_up_the_stop() {
        let server = Server::start();
        let _silent = TcpStream::connect(server.address).await.unwrap();
        assert!(server.ask("GET /health").await.starts_with("HTTP/1.1 200 "));
        server.listeners.shutdown(Duration::from_millis(100)).await;
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_the_next_request_served() {
        let server = Server::start();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(server.ask("GET /health").await.starts_with("HTTP/1.1 200 "));
        server.listeners.shutdown(Duration::from_millis(100)).await;
    }

    /// What the system says is passed on, and nothing is tried in place of a port that is taken.
    #[tokio::test]
    async fn a_port_that_cannot_be_had_is_an_error_that_says_why() {
        let taken = std::net::TcpListener::bind("[::]:0").or_else(|_| std::net::TcpListener::bind("0.0.0.0:0")).unwrap();
        let error = listen(&listeners(), taken.local_addr().unwrap(), pages()).unwrap_err();
        assert_eq!(error.error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("(admin)"), "{error}");
    }
}
