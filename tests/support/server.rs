//! The real server: its own folder, its own free ports, stopped by SIGTERM.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::folder::Folder;
use super::postgres::Schema;
use super::tls::{self, Pem};

/// All listeners on free ports of loopback; JSON lines; the certificate of [`tls::ca`].
pub const CONFIG: &str = r#"
[server]
data_dir = "data"
log_format = "json"
public_address = "127.0.0.1"
[tls]
certificate = "cert.pem"
key = "key.pem"
[c2s]
listen = ["127.0.0.1:0"]
direct_tls = ["127.0.0.1:0"]
[http]
listen = ["127.0.0.1:0"]
tls_listen = ["127.0.0.1:0"]
[admin]
listen = ["127.0.0.1:0"]
[turn]
udp = ["127.0.0.1:0"]
tcp = ["127.0.0.1:0"]
tls = ["127.0.0.1:0"]
"#;

/// Password of every account that [`Server::start`] makes.
pub const PASSWORD: &str = "opensesame";

/// The `campanile` command in a folder of its own.
pub fn campanile(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_campanile"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CAMPANILE_")) {
        command.env_remove(name);
    }
    command
}

/// A running server.
pub struct Server {
    process: Child,
    log: Arc<Log>,
    addresses: BTreeMap<String, Vec<SocketAddr>>,
    folder: Folder,
    schema: Option<Schema>,
}

/// The lines that the server has logged so far.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn read(self: &Arc<Self>, from: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().0.push(line);
                log.changed.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.changed.notify_all();
        });
    }

    /// The first line for which `wanted` gives something; `None` when the log ended or nothing came in time.
    fn wait<T>(&self, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        let mut seen = 0;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = lines.0[seen..].iter().find_map(|line| wanted(line)) {
                return Some(found);
            }
            seen = lines.0.len();
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines.0[lines.0.len().saturating_sub(60)..].join("\n")
    }
}

impl Server {
    /// A server with the accounts alice, bob and carol of `localhost`, all with [`PASSWORD`].
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same, with more configuration: sections that [`CONFIG`] lacks, or `section.key = value` lines before the first section.
    pub fn with(more: &str) -> Self {
        Self::build(CONFIG, more, &["alice@localhost", "bob@localhost", "carol@localhost"])
    }

    /// A server with this configuration and these accounts. Lines `section.key = value` of `more` become variables of the environment.
    pub fn build(config: &str, more: &str, accounts: &[&str]) -> Self {
        Self::build_for(config, more, accounts, tls::leaf())
    }

    /// The same with this certificate.
    pub fn build_for(config: &str, more: &str, accounts: &[&str], pem: &Pem) -> Self {
        let (folder, schema) = (Folder::new(), Schema::if_wanted());
        let storage = schema.as_ref().map(Schema::section).unwrap_or_default();
        fs::write(folder.path().join("campanile.toml"), format!("{config}{storage}")).unwrap();
        fs::write(folder.path().join("cert.pem"), &pem.certificate).unwrap();
        fs::write(folder.path().join("key.pem"), &pem.key).unwrap();
        fs::set_permissions(folder.path().join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        for account in accounts {
            let added = campanile(folder.path()).args(["user", "add", account, "--password", PASSWORD]).output().unwrap();
            assert!(added.status.success(), "user add {account}: {}", text(&added));
        }
        let mut server = Self::serve(folder, &variables(more));
        server.schema = schema;
        server
    }

    /// Starts in a folder that is there already.
    pub fn serve(folder: Folder, variables: &[(String, String)]) -> Self {
        let mut process = campanile(folder.path())
            .arg("serve")
            .envs(variables.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = Arc::new(Log::default());
        log.read(process.stderr.take().expect("its log is piped"));
        let mut server = Self { process, log, addresses: BTreeMap::new(), folder, schema: None };
        let ready = server.logged("ready");
        let Value::Object(fields) = &ready else { panic!("not an object: {ready}") };
        for (service, value) in fields {
            let parsed: Option<Vec<SocketAddr>> =
                value.as_str().and_then(|list| list.split(',').map(|one| one.trim().parse().ok()).collect());
            if let Some(list) = parsed {
                server.addresses.insert(service.clone(), list);
            }
        }
        server
    }

    /// Where a service listens: `c2s`, `direct_tls`, `http`, `https`, `admin`, `turn_udp`, `turn_tcp`, `turn_tls`.
    pub fn address(&self, service: &str) -> SocketAddr {
        *self.addresses.get(service).and_then(|list| list.first()).unwrap_or_else(|| panic!("no {service} in {:?}", self.addresses))
    }

    /// Waits for a log line with this message and gives its fields.
    pub fn logged(&self, message: &str) -> Value {
        let found = self.log.wait(|line| {
            let fields: Value = serde_json::from_str(line).ok()?;
            (fields["message"].as_str()? == message).then_some(fields)
        });
        found.unwrap_or_else(|| panic!("the server did not log “{message}”:\n{}", self.log.tail()))
    }

    /// The lines with this message that were logged so far, each with its fields.
    pub fn all_logged(&self, message: &str) -> Vec<Value> {
        let lines = self.log.lines.lock().unwrap();
        let lines = lines.0.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|fields| fields["message"].as_str() == Some(message)).collect()
    }

    /// Waits for a log line that holds this text.
    pub fn logs(&self, part: &str) -> String {
        let found = self.log.wait(|line| line.contains(part).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("the server did not log “{part}”:\n{}", self.log.tail()))
    }

    /// Where its data is, in a test that runs on PostgreSQL.
    pub fn schema(&self) -> &Schema {
        self.schema.as_ref().expect("the test runs on PostgreSQL")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another `campanile` command beside the running server.
    pub fn command(&self, arguments: &[&str]) -> Output {
        campanile(self.folder.path()).args(arguments).output().unwrap()
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`, `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("/bin/sh").arg("-c").arg(format!("kill -{name} {}", self.process.id())).status().unwrap();
        assert!(sent.success());
    }

    /// Memory of the server, in kB.
    pub fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits for the end of a server that was told to end.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > end {
                return None;
            }
            // a process ends without an event that std can wait for
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the server and starts one with the same folder.
    pub fn restart(self, variables: &[(String, String)]) -> Self {
        self.restart_after(variables, |_| {})
    }

    /// The same, and does something while no server runs.
    pub fn restart_after(mut self, variables: &[(String, String)], meanwhile: impl FnOnce(&Self)) -> Self {
        self.stop();
        meanwhile(&self);
        self.serve_again(variables)
    }

    /// Ends the server as a power failure would, and starts one with the same folder.
    pub fn crash(mut self, variables: &[(String, String)]) -> Self {
        self.signal("KILL");
        assert!(self.ended(Duration::from_secs(12)).is_some(), "killed");
        self.serve_again(variables)
    }

    fn serve_again(mut self, variables: &[(String, String)]) -> Self {
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        let schema = self.schema.take();
        let mut server = Self::serve(folder, variables);
        server.schema = schema;
        server
    }

    fn stop(&mut self) {
        if self.process.try_wait().unwrap().is_none() {
            self.signal("TERM");
            if self.ended(Duration::from_secs(12)).is_none() {
                self.process.kill().unwrap();
                self.process.wait().unwrap();
                assert!(thread::panicking(), "the server did not stop within 12 s of SIGTERM:\n{}", self.log.tail());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- last lines of the server's log\n{}\n---", self.log.tail());
        }
        self.stop();
    }
}

/// `turn.secret = "x"` lines as variables of the environment (CONTRACT: `CAMPANILE_SECTION__KEY` overrides with a TOML value).
pub fn variables(lines: &str) -> Vec<(String, String)> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (path, value) = line.split_once('=').expect("section.key = value");
            (format!("CAMPANILE_{}", path.trim().to_uppercase().replace('.', "__")), value.trim().to_owned())
        })
        .collect()
}

/// What a command printed, for messages.
pub fn text(output: &Output) -> String {
    let mut all = String::from_utf8_lossy(&output.stdout).into_owned();
    write!(all, "{}", String::from_utf8_lossy(&output.stderr)).expect("a string takes it");
    all
}
