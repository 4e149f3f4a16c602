//! Promise: browsers log in over WebSocket (RFC 7395), in clear on this machine and over TLS, and find the endpoint by XEP-0156.

use crate::support::http;
use crate::support::server::{PASSWORD, Server};
use crate::support::ws::{OPEN, Ws};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn connect(server: &Server) -> Ws {
    Ws::connect(server.address("http"), "/xmpp-websocket", "xmpp").expect("RFC 7395 §3.1")
}

/// RFC 7395 §3.3: each message is one document by itself, with its own namespaces.
#[test]
fn s3_3_messages_stand_alone() {
    let server = Server::start();
    let mut ws = connect(&server);
    ws.send(OPEN);
    let open = ws.next().expect("an answer");
    assert!(open.starts_with("<open ") && open.contains("xmlns='urn:ietf:params:xml:ns:xmpp-framing'") && open.contains(" id='"), "{open}");
    let features = ws.next().expect("features");
    assert!(
        features.contains("xmlns:stream='http://etherx.jabber.org/streams'")
            || features.contains("xmlns='http://etherx.jabber.org/streams'"),
        "{features}"
    );
    assert!(features.contains("SCRAM-SHA-256") && !features.contains("<starttls"), "{features}");
    let plain = STANDARD.encode(format!("\0alice\0{PASSWORD}"));
    ws.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"));
    ws.expect(&["<success", "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"]);
    ws.send(OPEN);
    ws.expect(&["<open "]);
    ws.expect(&["urn:ietf:params:xml:ns:xmpp-bind"]);
    ws.send(
        "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind></iq>",
    );
    assert!(ws.expect(&["id='b'"]).contains("<jid>alice@localhost/web</jid>"));
    ws.send("<presence xmlns='jabber:client'/>");
    let presence = ws.expect(&["<presence"]);
    assert!(presence.contains("xmlns='jabber:client'") && presence.contains("from='alice@localhost/web'"), "{presence}");
    // §3.6: closing is answered by closing
    ws.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    ws.expect(&["<close "]);
    assert!(ws.next().is_none());
}

#[test]
fn what_is_not_rfc_7395_is_refused() {
    let server = Server::start();
    let head = Ws::connect(server.address("http"), "/xmpp-websocket", "mqtt").err().expect("refused");
    assert!(head.starts_with("http/1.1 4"), "{head}");
    for (what, frames, condition) in [
        ("a stream header of RFC 6120", vec![(0x81, crate::support::wire::HEADER.as_bytes().to_vec())], "<stream:error"),
        ("broken XML", vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, b"<a><b></a>".to_vec())], "<not-well-formed"),
        ("a comment", vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, b"<a><!-- --></a>".to_vec())], "<restricted-xml"),
        ("two elements in a message", vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, b"<a/><b/>".to_vec())], "<stream:error"),
        ("half an element", vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, b"<a>".to_vec())], "<stream:error"),
        (
            "a stanza before log-in",
            vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, b"<message xmlns='jabber:client'/>".to_vec())],
            "<not-authorized",
        ),
        ("a large message", vec![(0x81, OPEN.as_bytes().to_vec()), (0x81, vec![b'a'; 1 << 20])], ""),
    ] {
        let mut ws = connect(&server);
        for (first, payload) in frames {
            ws.frame(first, &payload);
        }
        let said = ws.until_closed();
        assert!(said.contains(condition), "{what}: wanted {condition}, got {said}");
    }
    s3_open(&server);
}

fn s3_open(server: &Server) {
    let mut ws = connect(server);
    ws.send(OPEN);
    ws.expect(&["<open "]);
}

/// XEP-0156 §4: where the endpoint is, for pages of any origin.
#[test]
fn s4_host_meta_tells_where() {
    let server = Server::start();
    for (path, kind) in [("/.well-known/host-meta", "application/xrd+xml"), ("/.well-known/host-meta.json", "application/json")] {
        let answer = http::get_tls(server.address("https"), path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
        assert!(answer.head.contains("access-control-allow-origin: *"), "{}", answer.head);
        assert!(answer.body.contains("urn:xmpp:alt-connections:websocket"), "{}", answer.body);
        assert!(answer.body.contains("wss://") && answer.body.contains("/xmpp-websocket"), "{}", answer.body);
    }
}

/// The call page and all that it loads come from the server itself, with a policy that keeps anything else out.
#[test]
fn the_call_page_is_served() {
    let server = Server::start();
    let address = server.address("http");
    let page = http::get(address, "/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{}", page.head);
    assert!(page.head.contains("content-security-policy:"), "{}", page.head);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let answer = http::get(address, &format!("/{}", if name == "index.html" { "" } else { &name }));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.body, std::fs::read_to_string(entry.path()).unwrap(), "{name}");
        let kind = match name.rsplit_once('.').expect("an extension").1 {
            "js" => "text/javascript",
            "css" => "text/css",
            "svg" => "image/svg+xml",
            _ => "text/html",
        };
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{name}: {}", answer.head);
    }
    for path in ["/no-such-file", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd"] {
        assert!(matches!(http::get(address, path).status, 400 | 404), "{path}");
    }
}
