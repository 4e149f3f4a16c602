//! HTTP for clients: the WebSocket endpoint (RFC 7395 §3.1, RFC 6455 §4.2), host-meta (XEP-0156, RFC 6415), and the loop that serves any
//! `axum::Router` with bounds on what a client may send and how slowly.
//!
//! Not done: BOSH, upload; HTTP/2.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::{self, Context, Io};
use super::listener::{Ends, Front, ListenError, Listeners, Proxies};
use super::metrics::{Metrics, Transport};
use super::sources::Place;
use super::tls::{ALPN_HTTP_1_1, Acceptor, Certificates, TlsError};
use super::websocket::SUBPROTOCOL;
use crate::stream::sasl::ChannelBindings;
use crate::xml::XmlWriter;

/// Where clients open a WebSocket.
pub const WEBSOCKET_PATH: &str = "/xmpp-websocket";

const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";
/// XEP-0156 §2.1.
const REL_WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";

/// All of a request's head must come within this time; an idle connection is closed after it too. (Tests need not wait so long.)
const HEAD_TIME: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(20) };
/// From the head of a request to the head of the response, which includes the request's body.
const REQUEST_TIME: Duration = Duration::from_secs(90);
const TLS_TIME: Duration = Duration::from_secs(15);
/// The port that an address of HTTPS need not name.
const HTTPS_PORT: u16 = 443;
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// What the `[http]` section says about addresses.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What clients see in front of a reverse proxy, such as `https://chat.example.org`.
    pub public_url: Option<String>,
    /// The name to use when a request does not say a usable one.
    pub default_host: String,
    /// Who may stand before the listeners.
    pub front: Front,
}

/// The client's HTTP. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    listeners: Listeners,
    certificates: Certificates,
    settings: Settings,
    /// Ports of the TLS listeners, as they are bound.
    tls_ports: RwLock<Vec<u16>>,
}

/// How a request reached us; in its extensions.
#[derive(Debug, Clone)]
pub struct Via {
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// The port it came in on.
    pub port: u16,
    /// Whether TLS ends here.
    pub tls: bool,
    proxies: Proxies,
    /// The connection's place among its source's; a WebSocket takes it along.
    place: Arc<Mutex<Option<Place>>>,
}

impl Via {
    /// The client's address: that of the connection, or what a trusted proxy says (`X-Forwarded-For`, RFC 7239 §5.2). Where it says both, and not
    /// the same, one of them is not the proxy's but the client's: neither counts.
    pub fn client(&self, headers: &HeaderMap) -> IpAddr {
        self.told(headers).unwrap_or(self.peer.ip())
    }

    /// `None` for headers that contradict each other.
    fn told(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = self.peer.ip();
        if !self.proxies.trusts(peer) {
            return Some(peer);
        }
        let client = |listed: Vec<_>| (!listed.is_empty()).then(|| self.last_stranger(listed));
        let (common, standard) = (client(x_forwarded_for(headers)), client(forwarded_for(headers)));
        match (common, standard) {
            (Some(common), Some(standard)) if common != standard => None,
            (common, standard) => Some(common.or(standard).unwrap_or(peer)),
        }
    }

    fn last_stranger(&self, listed: Vec<Option<IpAddr>>) -> IpAddr {
        // Each proxy adds at the right: the last that is not a proxy of ours is the client; what stands further left, it may have made up.
        let mut client = self.peer.ip();
        for address in listed.into_iter().rev() {
            let Some(address) = address else { break };
            client = address;
            if !self.proxies.trusts(client) {
                break;
            }
        }
        client
    }

    /// Whether nobody on the way can listen: TLS that ends here, this machine, or a trusted proxy that says so of all the way.
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        if self.tls {
            return true;
        }
        if !self.proxies.trusts(self.peer.ip()) || self.told(headers).is_none() {
            return false;
        }
        let protocols = forwarded_proto(headers);
        match protocols.is_empty() {
            true => !is_forwarded(headers),
            false => protocols.iter().all(|protocol| matches!(protocol.as_str(), "https" | "wss")),
        }
    }

    fn new(ends: Ends, tls: bool, proxies: Proxies, place: Place) -> Self {
        Self { peer: ends.peer, port: ends.local.port(), tls, proxies, place: Arc::new(Mutex::new(Some(place))) }
    }

    fn take_place(&self) -> Option<Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Settings {
    /// What the section says; `default_host` is the first domain.
    #[must_use]
    pub fn new(http: &campanile_config::Http, default_host: &str) -> Self {
        let front = Front { header: Proxies::new(&http.proxy_protocol), forwarded: Proxies::new(&http.trusted_proxies) };
        Self { public_url: http.public_url.clone(), default_host: default_host.to_owned(), front }
    }
}

impl Http {
    /// HTTP for the streams of `context`; listens nowhere yet.
    pub fn new(context: Arc<Context>, listeners: Listeners, certificates: Certificates, settings: Settings) -> Self {
        Self(Arc::new(Inner { context, listeners, certificates, settings, tls_ports: RwLock::default() }))
    }

    /// The routes of this module, to which the binary adds its own.
    pub fn routes(&self) -> Router {
        Router::new()
            .route(WEBSOCKET_PATH, get(websocket))
            .route("/.well-known/host-meta", get(host_meta).options(preflight))
            .route("/.well-known/host-meta.json", get(host_meta_json).options(preflight))
            .with_state(self.clone())
    }

    /// Serves `router` on `address`, in clear or over TLS. Returns the real address.
    ///
    /// # Errors
    /// The address cannot be bound, or TLS cannot be set up.
    pub fn listen(&self, address: SocketAddr, tls: bool, router: Router) -> Result<SocketAddr, HttpError> {
        let inner = &self.0;
        let (service, acceptor) = match tls {
            true => ("https", Some(inner.certificates.acceptor(&[ALPN_HTTP_1_1])?)),
            false => ("http", None),
        };
        let local = serve(&inner.listeners, service, Some(Transport::Http), address, acceptor, inner.settings.front.clone(), router)?;
        if tls {
            self.also_on(local.port());
        }
        Ok(local)
    }

    /// The same is served over TLS on this port, by whoever calls [`Http::converse`].
    pub fn also_on(&self, port: u16) {
        self.0.tls_ports.write().unwrap_or_else(PoisonError::into_inner).push(port);
    }

    /// Serves `router` on a connection whose TLS has been accepted already, on a port with other proxies before it: none of HTTP.
    pub async fn converse(&self, io: Io, ends: Ends, place: Place, router: Router) {
        let via = Via::new(ends, true, Proxies::default(), place);
        converse(io, via, router, self.0.listeners.stopping()).await;
    }

    /// Where clients open a WebSocket: XEP-0156 §2.2, `wss:` only. `None` without TLS anywhere.
    fn websocket_url(&self, via: &Via, headers: &HeaderMap) -> Option<String> {
        if let Some(public) = &self.0.settings.public_url {
            let rest = public.strip_prefix("https://")?;
            return Some(format!("wss://{}{WEBSOCKET_PATH}", rest.trim_end_matches('/')));
        }
        let port = match via.tls {
            true => via.port,
            false => {
                let ports = self.0.tls_ports.read().unwrap_or_else(PoisonError::into_inner);
                // The one that passes every firewall, else the first.
                *ports.iter().find(|port| **port == HTTPS_PORT).or_else(|| ports.first())?
            }
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host_name(host.to_str().ok()?))
            .unwrap_or_else(|| self.0.settings.default_host.clone());
        Some(match port {
            HTTPS_PORT => format!("wss://{host}{WEBSOCKET_PATH}"),
            port => format!("wss://{host}:{port}{WEBSOCKET_PATH}"),
        })
    }
}

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Serves a router on an address: heads of bounded size that come in time, requests that end in time, an orderly stop.
/// Each request carries a [`Via`]. `service` is what errors call it, `transport` how its connections are counted;
/// the operator's are not.
///
/// # Errors
/// The address cannot be bound.
pub fn serve(
    listeners: &Listeners,
    service: &'static str,
    transport: Option<Transport>,
    address: SocketAddr,
    tls: Option<Acceptor>,
    front: Front,
    router: Router,
) -> Result<SocketAddr, ListenError> {
    let metrics = listeners.metrics().clone();
    let stopping = listeners.stopping().clone();
    let trusted = front.forwarded.clone();
    listeners.serve(
        service,
        address,
        front,
        |_| {},
        move |stream, ends, place| {
            let (router, tls, proxies, metrics, stopping) =
                (router.clone(), tls.clone(), trusted.clone(), metrics.clone(), stopping.clone());
            async move {
                let _open = transport.map(|transport| metrics.open(transport));
                let via = Via::new(ends, tls.is_some(), proxies, place);
                let Some(io) = secure(stream, tls, ends.peer, &metrics).await else { return };
                converse(io, via, router, &stopping).await;
            }
        },
    )
}

/// Requests and answers on one connection, until it ends.
async fn converse(io: Io, via: Via, router: Router, stopping: &CancellationToken) {
    let peer = via.peer;
    let tower = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(via.clone());
        let response = tower.call(request);
        async move {
            match timeout(REQUEST_TIME, response).await {
                Ok(response) => response,
                Err(_) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%peer, %error, "HTTP connection ended");
    }
}

/// Does the TLS handshake, if there is one to do.
async fn secure(stream: TcpStream, tls: Option<Acceptor>, peer: SocketAddr, metrics: &Metrics) -> Option<Io> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match timeout(TLS_TIME, tls.accept(stream, None)).await {
        Ok(Ok((stream, _))) => return Some(Box::new(stream)),
        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => debug!(%peer, "TLS handshake took too long"),
    }
    metrics.tls_failure();
    None
}

/// RFC 6455 §4.2.2 and RFC 7395 §3.1: checks the request, answers 101, and runs the stream on what the connection becomes.
async fn websocket(State(http): State<Http>, Extension(via): Extension<Via>, mut request: Request) -> Response {
    if request.version() != Version::HTTP_11 {
        return Refusal::NoUpgrade.into_response();
    }
    let accept = match accept_key(request.headers()) {
        Ok(accept) => accept,
        Err(refusal) => return refusal.into_response(),
    };
    let client = via.client(request.headers());
    let transport = match (via.tls, via.is_secure(request.headers())) {
        (true, _) => Transport::WebSocketTls,
        (false, true) => Transport::WebSocketTrusted,
        (false, false) => Transport::WebSocket,
    };
    let Some(mut place) = via.take_place() else {
        return (StatusCode::BAD_REQUEST, "the connection is in use\n").into_response();
    };
    if client != via.peer.ip()
        && let Err(full) = place.move_to(client)
    {
        http.0.context.metrics().refused(full);
        return (StatusCode::TOO_MANY_REQUESTS, "too many connections from this address\n").into_response();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let context = http.0.context.clone();
    let peer = SocketAddr::new(client, if client == via.peer.ip() { via.peer.port() } else { 0 });
    http.0.listeners.spawn(async move {
        let _place = place;
        match upgrade.await {
            Ok(upgraded) => {
                let _open = context.metrics().open(transport);
                let now = tokio::time::Instant::now().into_std();
                // no log-in over WebSocket is bound to its TLS
                let bindings = ChannelBindings::default();
                connection::run(context.clone(), Box::new(TokioIo::new(upgraded)), peer, transport, bindings, now).await;
            }
            Err(error) => debug!(%peer, %error, "WebSocket handshake not completed"),
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
}

/// Why a request does not become a WebSocket.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// No WebSocket handshake at all.
    NoUpgrade,
    /// RFC 6455 §4.2.2: another version than 13.
    Version,
    /// `Sec-WebSocket-Key` is missing or not 16 bytes in base64.
    Key,
    /// RFC 7395 §3.1: the client does not offer `xmpp`.
    Subprotocol,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoUpgrade => {
                let headers = [(header::UPGRADE, "websocket"), (header::CONNECTION, "Upgrade")];
                (StatusCode::UPGRADE_REQUIRED, headers, "this is a WebSocket endpoint for XMPP (RFC 7395)\n").into_response()
            }
            Self::Version => {
                (StatusCode::UPGRADE_REQUIRED, [(header::SEC_WEBSOCKET_VERSION, "13")], "WebSocket version 13 only\n").into_response()
            }
            Self::Key => (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64\n").into_response(),
            Self::Subprotocol => (StatusCode::BAD_REQUEST, "the WebSocket subprotocol must be xmpp (RFC 7395)\n").into_response(),
        }
    }
}

/// RFC 6455 §4.2.1: the checks, and the value of `Sec-WebSocket-Accept`.
fn accept_key(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    if !has_token(headers, &header::CONNECTION, "upgrade") || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let key =
        headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16)).ok_or(Refusal::Key)?;
    if !tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|protocol| protocol == SUBPROTOCOL) {
        return Err(Refusal::Subprotocol);
    }
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Refusal::Key)
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// XEP-0156 §3: any page may read it.
const CORS: (HeaderName, HeaderValue) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));

async fn preflight() -> Response {
    let headers = [
        CORS,
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// RFC 6415 §3: XRD.
async fn host_meta(State(http): State<Http>, Extension(via): Extension<Via>, headers: HeaderMap) -> Response {
    let mut out = XmlWriter::new();
    out.raw(b"<?xml version='1.0' encoding='utf-8'?>\n");
    out.open("XRD").ns(XRD);
    if let Some(url) = http.websocket_url(&via, &headers) {
        out.open("Link").attr("rel", REL_WEBSOCKET).attr("href", &url).close();
    }
    out.close();
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/xrd+xml; charset=utf-8"));
    ([CORS, kind], out.finish()).into_response()
}

/// RFC 6415 appendix A: JRD.
async fn host_meta_json(State(http): State<Http>, Extension(via): Extension<Via>, headers: HeaderMap) -> Response {
    let links: Vec<_> =
        http.websocket_url(&via, &headers).into_iter().map(|url| serde_json::json!({ "rel": REL_WEBSOCKET, "href": url })).collect();
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([CORS, kind], serde_json::json!({ "links": links }).to_string()).into_response()
}

/// The host of a `Host` header, without port; `None` if it is none that a URL can carry.
fn host_name(value: &str) -> Option<String> {
    let uri: Uri = format!("http://{value}/").parse().ok()?;
    let authority = uri.authority()?;
    (!authority.as_str().contains('@')).then(|| authority.host().to_ascii_lowercase())
}

/// The addresses of `X-Forwarded-For`, from the client's end to ours; `None` for what is no address.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    tokens(headers, &HeaderName::from_static("x-forwarded-for")).map(address).collect()
}

/// Those of `Forwarded` (RFC 7239 §4).
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    forwarded(headers, "for").map(|value| address(&value)).collect()
}

/// What the proxies say the client's protocol is, in either way; nothing if they say nothing.
fn forwarded_proto(headers: &HeaderMap) -> Vec<String> {
    let name = HeaderName::from_static("x-forwarded-proto");
    let common = tokens(headers, &name).map(str::to_ascii_lowercase);
    common.chain(forwarded(headers, "proto").map(|value| value.to_ascii_lowercase())).collect()
}

/// Whether a proxy has passed the request on.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let names = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via"];
    names.into_iter().any(|name| headers.contains_key(name))
}

/// The values of one parameter of `Forwarded`.
fn forwarded<'a>(headers: &'a HeaderMap, parameter: &'static str) -> impl Iterator<Item = String> + 'a {
    tokens(headers, &header::FORWARDED).flat_map(|element| element.split(';')).filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(parameter).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// An address with or without port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    bare.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
