//! Clients of others: Python and JavaScript programs under `tests/peers`, coturn's tools. `tests/run` installs what they need.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
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

    /// Checks that each of these was said.
    pub fn said(&self, events: &[&str]) {
        for event in events {
            self.get(event);
        }
    }

    /// All events of this name.
    pub fn all(&self, event: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |value| value["event"] == event)
    }
}

/// A Python peer, run to its end.
pub fn python(server: &Server, name: &str, more: Value) -> Events {
    run(&mut python_command(server, &tools().join("venv/bin/python"), name, more))
}

/// The same with Debian's Python, which has aioxmpp.
pub fn debian_python(server: &Server, name: &str, more: Value) -> Events {
    run(&mut python_command(server, Path::new("/usr/bin/python3"), name, more))
}

/// As [`python`], for one that the test talks with while it runs.
pub fn python_running(server: &Server, name: &str, more: Value) -> Peer {
    Peer::start(&mut python_command(server, &tools().join("venv/bin/python"), name, more))
}

/// Addresses, certificate and accounts of the server, as the Python peers take them, with `more`.
fn python_command(server: &Server, interpreter: &Path, name: &str, more: Value) -> Command {
    let c2s = server.address(if more["direct_tls"] == true { "direct_tls" } else { "c2s" });
    let mut argument = json!({
        "host": c2s.ip().to_string(),
        "port": c2s.port(),
        "ca": tls::ca_file(server.folder()),
        "admin": server.address("admin").to_string(),
        "users": users(),
    });
    merge(&mut argument, more);
    let mut command = Command::new(interpreter);
    command.arg(script(name)).arg(argument.to_string());
    command
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

/// An interpreter of the system's, or of `.tests`, with a script of `tests/peers`.
pub fn interpreter(name: &str, script_name: &str) -> Command {
    let mut command = if name == "python" { Command::new(tools().join("venv/bin/python")) } else { Command::new(name) };
    command.arg(script(script_name));
    command
}

/// A script of `tests/peers` that drives a desktop program: the first process of a process namespace, which ends with it, in a mount namespace.
pub fn desktop(script_name: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/usr/bin/python3"]).arg(script(script_name));
    command
}

/// A program of `tests/peers` in C or C++, compiled into this folder and linked with a library.
pub fn compiled(folder: &Path, source: &str, library: &str) -> Command {
    let compiler = if source.ends_with(".cpp") { "c++" } else { "cc" };
    let program = folder.join(Path::new(source).file_stem().expect("a name"));
    let made = Command::new(compiler).arg("-Wall").arg("-o").arg(&program).arg(script(source)).arg(format!("-l{library}")).output();
    let made = made.unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(made.status.success(), "{source} does not compile:\n{}", String::from_utf8_lossy(&made.stderr));
    Command::new(program)
}

/// coturn's client; gives all that it printed.
pub fn uclient(arguments: &[&str]) -> String {
    coturn("turnutils_uclient", arguments)
}

/// A tool of coturn's; gives all that it printed.
pub fn coturn(program: &str, arguments: &[&str]) -> String {
    // They wait for ever for answers that do not come.
    let limit = PROGRAM.as_secs().to_string();
    let output = Command::new("timeout").args([&*limit, program]).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("coturn's tools are installed");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.is_empty(), "{program} {arguments:?} said nothing");
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
    let mut peer = Peer::start(command);
    peer.done();
    Events(std::mem::take(&mut peer.events))
}

/// A peer that the test talks with while it runs. What it says is kept; an event is looked for from the one after the last that was found.
pub struct Peer {
    child: Child,
    lines: mpsc::Receiver<String>,
    command: String,
    said: Vec<String>,
    events: Vec<Value>,
    at: usize,
    end: Instant,
}

impl Peer {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .env("CAMPANILE_TEST_TOOLS", tools())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let readers: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
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
        let (command, end) = (format!("{command:?}"), Instant::now() + PROGRAM);
        Self { child, lines, command, said: Vec::new(), events: Vec::new(), at: 0, end }
    }

    /// The next event of this name whose fields have these values.
    pub fn expect(&mut self, event: &str, fields: &[(&str, &str)]) -> Value {
        loop {
            while let Some(value) = self.events.get(self.at) {
                self.at += 1;
                if value["event"] == event && fields.iter().all(|(key, wanted)| value[key] == *wanted) {
                    return value.clone();
                }
            }
            let end = self.end.min(Instant::now() + PATIENCE);
            assert!(self.read(end), "{} did not say {event} with {fields:?}:\n{}", self.command, self.said.join("\n"));
        }
    }

    /// All events of this name that were read so far.
    pub fn all(&self, event: &str) -> impl Iterator<Item = &Value> {
        self.events[..self.at].iter().filter(move |value| value["event"] == event)
    }

    /// Waits for the end, which must come after `done`.
    pub fn done(&mut self) {
        while self.read(self.end) {}
        if Instant::now() >= self.end {
            self.child.kill().expect("it is ours");
            self.said.push(format!("(ended by the test after {PROGRAM:?})"));
        }
        self.at = self.events.len();
        let status = self.child.wait().unwrap();
        let done = self.events.iter().any(|event| event["event"] == "done");
        assert!(status.success() && done, "{} failed ({status}):\n{}", self.command, self.said.join("\n"));
    }

    /// Reads a line more; `false` when there was none by then.
    fn read(&mut self, end: Instant) -> bool {
        let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) else { return false };
        self.events.extend(serde_json::from_str::<Value>(&line).ok().filter(|value| value["event"].is_string()));
        self.said.push(line);
        true
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // it is ours, and a test that fails must not leave it
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
