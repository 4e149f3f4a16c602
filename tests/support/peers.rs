//! Clients of others: Python and JavaScript programs under `tests/peers`, coturn's tools. `tests/run` installs what they need.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::{PASSWORD, Server};
use super::tls;

/// How long a whole program may take: a browser on a busy machine.
const PROGRAM: Duration = Duration::from_secs(240);

/// Where `tests/run` put the clients.
fn tools() -> PathBuf {
    std::env::var_os("CAMPANILE_TEST_TOOLS").expect("this test needs foreign clients: run tests/run, which installs them").into()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// What a peer said, one event a line.
pub struct Events(Vec<Value>);

impl Events {
    /// The first event of this name.
    pub fn get(&self, event: &str) -> &Value {
        self.all(event).next().unwrap_or_else(|| panic!("no event {event} in {:?}", self.0))
    }

    /// All events of this name.
    pub fn all(&self, event: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |value| value["event"] == event)
    }
}

/// Address, certificate and accounts of the server, as the Python peers take them, with `more`.
pub fn python(server: &Server, name: &str, more: Value) -> Events {
    let c2s = server.address(if more["direct_tls"] == true { "direct_tls" } else { "c2s" });
    let mut argument = json!({
        "host": c2s.ip().to_string(),
        "port": c2s.port(),
        "ca": tls::ca_file(server.folder()),
        "users": users(),
    });
    merge(&mut argument, more);
    run(Command::new(tools().join("venv/bin/python")).arg(script(name)).arg(argument.to_string()))
}

/// The page, the WebSocket address and the accounts, as the browser peers take them, with `more`.
pub fn browser(server: &Server, name: &str, more: Value) -> Events {
    let port = server.address("http").port();
    let mut argument = json!({
        "page": format!("http://localhost:{port}/"),
        "websocket": format!("ws://localhost:{port}/xmpp-websocket"),
        "users": users(),
    });
    merge(&mut argument, more);
    run(Command::new("node").arg(script(name)).arg(argument.to_string()))
}

/// coturn's client; gives all that it printed.
pub fn uclient(arguments: &[&str]) -> String {
    // It waits for ever for answers that do not come.
    let limit = PROGRAM.as_secs().to_string();
    let output = Command::new("timeout").args([&*limit, "turnutils_uclient"]).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("coturn's tools are installed");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.is_empty(), "turnutils_uclient {arguments:?} said nothing");
    text
}

fn users() -> Value {
    json!([["alice@localhost", PASSWORD], ["bob@localhost", PASSWORD], ["carol@localhost", PASSWORD]])
}

fn merge(into: &mut Value, more: Value) {
    if let Value::Object(more) = more {
        into.as_object_mut().expect("an object").extend(more);
    }
}

/// Runs a peer to its end; panics with all that it said unless it ends with `done`.
fn run(command: &mut Command) -> Events {
    let mut child = command
        .env("CAMPANILE_TEST_TOOLS", tools())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (sender, lines) = mpsc::channel();
    let readers: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
    for reader in readers {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let (end, mut said) = (Instant::now() + PROGRAM, Vec::new());
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => said.push(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().expect("it is ours");
                said.push(format!("(ended by the test after {PROGRAM:?})"));
                break;
            }
        }
    }
    let status = child.wait().unwrap();
    let events: Vec<Value> = said.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let done = events.iter().any(|event| event["event"] == "done");
    assert!(status.success() && done, "{command:?} failed ({status}):\n{}", said.join("\n"));
    Events(events)
}
