//! HTTP as much as the tests ask of it: one request, the whole answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{PATIENCE, tls};

/// Status code, head and body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// `GET` in clear.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// Whether anybody listens there.
pub fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

/// A request as written.
pub fn request(address: SocketAddr, text: &str) -> Answer {
    let mut tcp = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(text.as_bytes()).unwrap();
    let mut all = Vec::new();
    tcp.read_to_end(&mut all).unwrap();
    parse(&all)
}

/// `GET` over TLS.
pub fn get_tls(address: SocketAddr, path: &str) -> Answer {
    let tcp = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = tls::connect(tcp, &["http/1.1"]).expect("https");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    parse(&all)
}

fn parse(all: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(all);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {head:?}"));
    let head = head.to_ascii_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Answer { status, head, body }
}

fn unchunk(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

/// The value of a metric: the sum over its labels that hold `labels`, 0 when it has none yet.
pub fn metric(text: &str, name: &str, labels: &str) -> f64 {
    let lines =
        text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(labels));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Waits until a metric has this value; what the relay's threads count is published now and then, and is let go of in its time.
pub fn until_metric(admin: SocketAddr, name: &str, wanted: f64) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let text = get(admin, "/metrics").body;
        if (metric(&text, name, "") - wanted).abs() < f64::EPSILON {
            return;
        }
        assert!(Instant::now() < end, "{name} is not {wanted}: {text}");
        sleep(Duration::from_millis(100));
    }
}
