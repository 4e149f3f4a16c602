//! Handshakes and headers as tables, and a WebSocket and requests over loopback sockets.

use std::net::Ipv4Addr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::*;
use crate::net::connection::ByteStream;
use crate::net::connection::tests::{BIND, PLAIN, Server, policy};

const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn via(peer: &str, tls: bool) -> Via {
    let proxies = Proxies::new(&["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    Via { peer: SocketAddr::new(peer.parse().unwrap(), 1234), port: 5280, tls, proxies, place: Arc::default() }
}

#[test]
fn rfc6455_s4_2_1_the_handshake_is_checked() {
    let good = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat, xmpp"),
    ];
    assert_eq!(accept_key(&headers(&good)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (change, refusal) in [
        (("connection", "keep-alive"), Refusal::NoUpgrade),
        (("upgrade", "h2c"), Refusal::NoUpgrade),
        (("sec-websocket-version", "8"), Refusal::Version),
        (("sec-websocket-key", "c2hvcnQ="), Refusal::Key),
        (("sec-websocket-protocol", "chat, xmpp2"), Refusal::Subprotocol),
    ] {
        let changed = good.map(|header| if header.0 == change.0 { change } else { header });
        assert_eq!(accept_key(&headers(&changed)).unwrap_err(), refusal, "{change:?}");
    }
}

#[test]
fn only_trusted_proxies_say_who_the_client_is() {
    for (peer, list, client) in [
        ("127.0.0.1", &[][..], "127.0.0.1"),
        ("127.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
        ("127.0.0.1", &[("x-forwarded-for", "192.0.2.1, 10.0.0.1")], "192.0.2.1"),
        ("127.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1")], "192.0.2.1"),
        ("127.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1:80")], "192.0.2.1"),
        ("127.0.0.1", &[("x-forwarded-for", "unknown")], "127.0.0.1"),
        ("127.0.0.1", &[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1"),
        ("127.0.0.1", &[("forwarded", "for=6.6.6.6, For=192.0.2.1")], "192.0.2.1"),
        ("127.0.0.1", &[("x-forwarded-for", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        ("203.0.113.1", &[("x-forwarded-for", "192.0.2.1")], "203.0.113.1"),
        // a proxy that writes the one header and passes the client's other one on
        ("127.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=192.0.2.1")], "127.0.0.1"),
        ("127.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1"), ("forwarded", "for=192.0.2.1")], "192.0.2.1"),
    ] {
        assert_eq!(via(peer, false).client(&headers(list)).to_string(), client, "{peer} {list:?}");
    }
}

#[test]
fn clear_http_is_secure_only_through_a_trusted_proxy() {
    for (peer, tls, list, secure) in [
        ("203.0.113.1", true, &[][..], true),
        ("203.0.113.1", false, &[("x-forwarded-proto", "https")], false),
        ("127.0.0.1", false, &[], true),
        ("127.0.0.1", false, &[("x-forwarded-proto", "https")], true),
        ("127.0.0.1", false, &[("x-forwarded-proto", "http")], false),
        ("127.0.0.1", false, &[("x-forwarded-proto", "https, http")], false),
        ("10.0.0.9", false, &[("forwarded", "for=192.0.2.1;proto=http")], false),
        ("10.0.0.9", false, &[("forwarded", "for=192.0.2.1;proto=https")], true),
        // passed on, and nothing said of how it came
        ("10.0.0.9", false, &[("x-forwarded-for", "192.0.2.1")], false),
        ("10.0.0.9", false, &[("forwarded", "for=192.0.2.1")], false),
        ("10.0.0.9", false, &[("via", "1.1 proxy")], false),
        // one word is the proxy's, the other the client's
        ("10.0.0.9", false, &[("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.1;proto=http")], false),
        ("10.0.0.9", false, &[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=192.0.2.1;proto=https")], false),
    ] {
        assert_eq!(via(peer, tls).is_secure(&headers(list)), secure, "{peer} {list:?}");
    }
}

#[test]
fn host_names_of_requests() {
    for (value, name) in [
        ("Example.org:5280", Some("example.org")),
        ("localhost", Some("localhost")),
        ("[::1]:5443", Some("[::1]")),
        ("user@example.org", None),
        ("exa mple", None),
        ("a/../b'<", None),
        ("", None),
    ] {
        assert_eq!(host_name(value).as_deref(), name, "{value}");
    }
}

fn forwarded(proxies: &[campanile_config::Network]) -> Front {
    Front { forwarded: Proxies::new(proxies), ..Front::default() }
}

fn http(server: &Server, proxies: &[&str]) -> Http {
    let proxies: Vec<_> = proxies.iter().map(|network| network.parse().unwrap()).collect();
    let settings = Settings { public_url: None, default_host: "localhost".into(), front: forwarded(&proxies) };
    Http::new(server.context.clone(), server.listeners.clone(), server.certificates.clone(), settings)
}

fn listen(http: &Http, tls: bool) -> SocketAddr {
    http.listen((Ipv4Addr::LOCALHOST, 0).into(), tls, http.routes()).unwrap()
}

async fn websocket_on<S: ByteStream>(io: S) -> WebSocketStream<S> {
    let mut request = format!("ws://localhost{WEBSOCKET_PATH}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("xmpp"));
    let (socket, response) = tokio_tungstenite::client_async(request, io).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "xmpp");
    socket
}

async fn next<S: ByteStream>(socket: &mut WebSocketStream<S>) -> String {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

async fn send<S: ByteStream>(socket: &mut WebSocketStream<S>, text: &str) {
    socket.send(Message::Text(text.into())).await.unwrap();
}

async fn log_in<S: ByteStream>(socket: &mut WebSocketStream<S>) {
    send(socket, OPEN).await;
    assert!(next(socket).await.starts_with("<open "));
    assert!(next(socket).await.contains("<mechanism>PLAIN</mechanism>"));
    send(socket, PLAIN).await;
    assert!(next(socket).await.starts_with("<success "));
    send(socket, OPEN).await;
    assert!(next(socket).await.starts_with("<open "));
    assert!(next(socket).await.contains("<bind "));
    send(socket, BIND).await;
    assert!(next(socket).await.contains("<jid>romeo@localhost/orchard</jid>"));
}

/// Sends a request and reads until the server closes the connection.
async fn request<S: ByteStream>(mut io: S, head: &str) -> String {
    io.write_all(head.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // Over TLS the end may come without close_notify when the server closes at once.
    let _ = io.read_to_end(&mut response).await;
    String::from_utf8(response).unwrap()
}

#[tokio::test]
async fn rfc7395_a_session_over_tls_and_one_in_clear_through_a_proxy() {
    let server = Server::start().await;
    let http = http(&server, &["127.0.0.1"]);
    let mut secure = websocket_on(server.tls(TcpStream::connect(listen(&http, true)).await.unwrap(), ALPN_HTTP_1_1).await.io).await;
    log_in(&mut secure).await;
    send(&mut secure, "<message xmlns='jabber:client' to='romeo@localhost/orchard'><body>\u{e9}</body></message>").await;
    let message = next(&mut secure).await;
    assert!(message.starts_with("<message xmlns='jabber:client' ") && message.contains("<body>\u{e9}</body>"), "{message}");
    // RFC 6455 §5.5.2
    secure.send(Message::Ping("life".into())).await.unwrap();
    assert!(next(&mut secure).await.starts_with("Pong"));
    send(&mut secure, CLOSE).await;
    assert_eq!(next(&mut secure).await, CLOSE);
    assert!(next(&mut secure).await.starts_with("Close"));
    assert!(secure.next().await.is_none());

    let mut trusted = websocket_on(TcpStream::connect(listen(&http, false)).await.unwrap()).await;
    log_in(&mut trusted).await;
    // §3.6: ended by the WebSocket alone.
    trusted.close(None).await.unwrap();
    server.listeners.shutdown(Duration::from_secs(5)).await;
    let metrics = server.metrics();
    assert!(metrics.contains("campanile_connections_total{transport=\"websocket_tls\"} 1"), "{metrics}");
    assert!(metrics.contains("campanile_connections_total{transport=\"websocket_trusted\"} 1"), "{metrics}");
}

#[tokio::test]
async fn rfc7395_s3_9_a_clear_websocket_from_elsewhere_is_told_why() {
    let server = Server::start().await;
    let mut socket = websocket_on(TcpStream::connect(listen(&http(&server, &[]), false)).await.unwrap()).await;
    send(&mut socket, OPEN).await;
    assert!(next(&mut socket).await.starts_with("<open "));
    let error = next(&mut socket).await;
    assert!(error.contains("<policy-violation ") && error.contains("requires TLS"), "{error}");
    assert_eq!(next(&mut socket).await, CLOSE);
}

#[tokio::test]
async fn rfc7395_s3_2_binary_and_large_messages_end_the_stream() {
    let server = Server::start().await;
    let http = http(&server, &["127.0.0.1"]);
    let address = listen(&http, false);
    for (message, condition, code) in [
        (Message::Binary("<a/>".into()), "<bad-format ", "Unsupported"),
        (Message::Text("x".repeat(policy().limits.preauth.bytes_max + 1).into()), "<policy-violation ", "Size"),
    ] {
        let mut socket = websocket_on(TcpStream::connect(address).await.unwrap()).await;
        send(&mut socket, OPEN).await;
        assert!(next(&mut socket).await.starts_with("<open "));
        next(&mut socket).await;
        socket.send(message).await.unwrap();
        let error = next(&mut socket).await;
        assert!(error.contains(condition), "{error}");
        assert_eq!(next(&mut socket).await, CLOSE);
        let close = next(&mut socket).await;
        assert!(close.contains(code), "{close}");
    }
}

#[tokio::test]
async fn rfc7395_s3_5_shutdown_over_websocket() {
    let server = Server::start().await;
    let mut socket = websocket_on(TcpStream::connect(listen(&http(&server, &["127.0.0.1"]), false)).await.unwrap()).await;
    log_in(&mut socket).await;
    let listeners = server.listeners.clone();
    let stop = tokio::spawn(async move { listeners.shutdown(Duration::from_secs(5)).await });
    assert!(next(&mut socket).await.contains("<system-shutdown "));
    assert_eq!(next(&mut socket).await, CLOSE);
    assert!(next(&mut socket).await.starts_with("Close"));
    drop(socket);
    stop.await.unwrap();
}

#[tokio::test]
async fn xep0156_host_meta_names_the_tls_listener_only() {
    let server = Server::start().await;
    let http = http(&server, &["127.0.0.1"]);
    let clear = listen(&http, false);
    let connect = || TcpStream::connect(clear);
    let get = "GET /.well-known/host-meta HTTP/1.1\nHost: chat.example.org:5280\nConnection: close\n\n";
    // No TLS listener yet: nothing that a client may use (§2.2).
    assert!(request(connect().await.unwrap(), get).await.ends_with("<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'/>"));
    let secure = listen(&http, true);
    let url = format!("wss://chat.example.org:{}/xmpp-websocket", secure.port());
    let response = request(connect().await.unwrap(), get).await;
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert!(response.contains("access-control-allow-origin: *"), "{response}");
    assert!(response.contains("content-type: application/xrd+xml"), "{response}");
    assert!(response.contains(&format!("<Link rel='urn:xmpp:alt-connections:websocket' href='{url}'/>")), "{response}");
    let get = get.replace("host-meta", "host-meta.json");
    let response = request(server.tls(TcpStream::connect(secure).await.unwrap(), ALPN_HTTP_1_1).await.io, &get).await;
    assert!(
        response.ends_with(&format!("{{\"links\":[{{\"href\":\"{url}\",\"rel\":\"urn:xmpp:alt-connections:websocket\"}}]}}")),
        "{response}"
    );
    let options = get.replace("GET", "OPTIONS");
    let response = request(connect().await.unwrap(), &options).await;
    assert!(response.starts_with("HTTP/1.1 204") && response.contains("access-control-allow-origin: *"), "{response}");
}

#[tokio::test]
async fn xep0156_a_public_url_wins() {
    let server = Server::start().await;
    for (public, url) in [
        ("https://chat.example.org", Some("wss://chat.example.org/xmpp-websocket")),
        ("https://example.org:8443/chat", Some("wss://example.org:8443/chat/xmpp-websocket")),
        ("http://chat.example.org", None),
    ] {
        let settings = Settings { public_url: Some(public.into()), default_host: "localhost".into(), front: Front::default() };
        let http = Http::new(server.context.clone(), server.listeners.clone(), server.certificates.clone(), settings);
        assert_eq!(http.websocket_url(&via("127.0.0.1", true), &HeaderMap::new()).as_deref(), url);
    }
}

#[tokio::test]
async fn bad_requests_are_answered() {
    let server = Server::start().await;
    let address = listen(&http(&server, &[]), false);
    let long = "x".repeat(HEAD_BYTES_MAX);
    for (head, status) in [
        ("GET /xmpp-websocket HTTP/1.1\nHost: x\nConnection: close\n\n", "426"),
        ("POST /xmpp-websocket HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 0\n\n", "405"),
        ("GET /xmpp-websocket HTTP/1.0\nUpgrade: websocket\nConnection: Upgrade\n\n", "426"),
        ("GET /nothing HTTP/1.1\nHost: x\nConnection: close\n\n", "404"),
        ("<stream:stream>\n\n", "400"),
        (&format!("GET /{long} HTTP/1.1\nHost: x\n\n"), "4"),
        (&format!("GET / HTTP/1.1\n{}\n", "x: y\n".repeat(HEADERS_MAX + 1)), "431"),
    ] {
        let response = request(TcpStream::connect(address).await.unwrap(), head).await;
        assert!(response.starts_with("HTTP/1.") && response[9..].starts_with(status), "{head:.60}: {response}");
    }
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_and_an_idle_connection_are_ended() {
    let server = Server::start().await;
    let address = listen(&http(&server, &[]), false);
    for beginning in ["", "GET / HTTP/1.1\r\nHost: x\r\n", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let start = std::time::Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        assert!(start.elapsed() >= HEAD_TIME, "{beginning}: {:?}", start.elapsed());
    }
    // One byte at a time does not help.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = std::time::Instant::now();
    let mut byte = [0];
    for sent in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
        if stream.write_all(&[*sent]).await.is_err() || start.elapsed() > HEAD_TIME * 20 {
            break;
        }
        // Waits for an answer that does not come, or for the end.
        if timeout(Duration::from_millis(20), stream.read(&mut byte)).await.is_ok_and(|read| read.is_ok_and(|count| count == 0)) {
            break;
        }
    }
    assert!(start.elapsed() < HEAD_TIME * 20, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_websocket_through_a_proxy_is_counted_by_its_client() {
    let server = Server::start().await;
    let listeners = Listeners::new(crate::net::sources::Sources::new(1, 0), server.context.metrics().clone());
    let settings = Settings { public_url: None, default_host: "localhost".into(), front: forwarded(&["127.0.0.1".parse().unwrap()]) };
    let http = Http::new(server.context.clone(), listeners, server.certificates.clone(), settings);
    let address = listen(&http, false);
    let connect = async |client: &'static str| {
        let mut request = format!("ws://localhost{WEBSOCKET_PATH}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("xmpp"));
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static(client));
        tokio_tungstenite::client_async(request, TcpStream::connect(address).await.unwrap()).await
    };
    let _first = connect("192.0.2.1").await.unwrap();
    let refused = connect("192.0.2.1").await.unwrap_err().to_string();
    assert!(refused.contains("429"), "{refused}");
    connect("192.0.2.2").await.unwrap();
}
