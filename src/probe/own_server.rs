//! `campanile probe --self`: a server of our own, a child process with free ports on loopback and a temporary `data_dir`.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::random_name;

/// How long the server may take until it serves.
const START: Duration = Duration::from_secs(20);
/// How long an orderly stop may take: the server promises 10 s.
const STOP: Duration = Duration::from_secs(12);
/// Lines of the server's log that are kept for the case that it fails.
const LOG_LINES_MAX: usize = 20;

/// Everything on loopback, every port free.
const CONFIGURATION: &str = r#"[server]
domains = ["localhost"]
data_dir = "data"
log = "info"
log_format = "json"
mux = ["127.0.0.1:0"]
[c2s]
listen = ["127.0.0.1:0"]
direct_tls = ["127.0.0.1:0"]
[http]
listen = []
tls_listen = []
[admin]
listen = []
[turn]
udp = ["127.0.0.1:0"]
tcp = ["127.0.0.1:0"]
tls = ["127.0.0.1:0"]
"#;

/// Where the server listens, from its line `ready`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// STARTTLS.
    pub c2s: Vec<SocketAddr>,
    /// Direct TLS.
    pub direct_tls: Vec<SocketAddr>,
    /// Everything.
    pub mux: Vec<SocketAddr>,
}

/// A running server of our own. Dropped without [`OwnServer::stop`], it is killed.
pub struct OwnServer {
    child: Child,
    folder: Folder,
    /// Where it listens.
    pub listening: Listening,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl OwnServer {
    /// Starts this same executable with `serve` and waits until it serves.
    ///
    /// # Errors
    /// The server ends or does not become ready in time; its last words are in the message.
    pub async fn start() -> anyhow::Result<OwnServer> {
        let folder = Folder::create()?;
        std::fs::write(folder.config(), CONFIGURATION).with_context(|| format!("cannot write {}", folder.config().display()))?;
        let executable = std::env::current_exe().context("cannot find the running executable")?;
        let mut command = Command::new(executable);
        command.arg("serve").arg("--config").arg(folder.config()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What the environment says is meant for the operator's server, not for this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CAMPANILE_")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
        let mut child = command.spawn().context("cannot start a server")?;
        let (lines, mut received) = mpsc::channel(64);
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, lines.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, lines);
        }
        let mut server = OwnServer { child, folder, listening: Listening::default(), log: Arc::default() };
        let ready = timeout(START, server.wait_until_ready(&mut received)).await;
        match ready {
            Ok(Ok(listening)) => server.listening = listening,
            Ok(Err(error)) => bail!("{error:#}{}", server.last_words()),
            Err(_) => bail!("the server is not ready after {} s{}", START.as_secs(), server.last_words()),
        }
        let log = server.log.clone();
        // Ends with the child, whose pipes it reads.
        tokio::spawn(async move {
            while let Some(line) = received.recv().await {
                remember(&log, line);
            }
        });
        Ok(server)
    }

    async fn wait_until_ready(&self, lines: &mut mpsc::Receiver<String>) -> anyhow::Result<Listening> {
        while let Some(line) = lines.recv().await {
            if let Some(listening) = read_ready(&line) {
                return Ok(listening);
            }
            remember(&self.log, line);
        }
        bail!("the server ended before it was ready")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.config()
    }

    /// The end of its log, for messages.
    pub fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().flat_map(|line| ["\n  ", line.as_str()]).collect()
    }

    /// SIGTERM, and the wait for an orderly end.
    ///
    /// # Errors
    /// It does not end in time, or ends with an error.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("the server has no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("cannot stop the server")?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}{}", self.last_words());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("the server did not end within {} s of SIGTERM{}", STOP.as_secs(), self.last_words()))
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may end by itself in between, and then there is nothing left to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Passes a pipe's lines on; the thread ends with the pipe.
fn follow(pipe: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
}

fn remember(log: &Mutex<VecDeque<String>>, line: String) {
    if line.trim().is_empty() {
        return;
    }
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() == LOG_LINES_MAX {
        log.pop_front();
    }
    log.push_back(line);
}

/// Reads a JSON log line if it is the one that says `ready`.
fn read_ready(line: &str) -> Option<Listening> {
    let event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields").unwrap_or(&event);
    if fields.get("message")?.as_str()? != "ready" {
        return None;
    }
    let addresses = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => read_addresses(text),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).flat_map(read_addresses).collect(),
        _ => Vec::new(),
    };
    Some(Listening { c2s: addresses("c2s"), direct_tls: addresses("direct_tls"), mux: addresses("mux") })
}

/// Addresses separated by commas or spaces.
fn read_addresses(text: &str) -> Vec<SocketAddr> {
    text.split([',', ' ']).filter_map(|word| word.parse().ok()).collect()
}

/// A folder that only we can enter, removed with its content when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("campanile-probe-{}", random_name(12)?));
        std::fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Folder(path))
    }

    fn config(&self) -> PathBuf {
        self.0.join("campanile.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a temporary folder is left behind");
        }
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_found_in_its_forms() {
        let expected = Listening {
            c2s: vec!["127.0.0.1:4001".parse().expect("an address")],
            direct_tls: vec!["[::1]:4002".parse().expect("an address")],
            mux: Vec::new(),
        };
        for line in [
            r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","fields":{"message":"ready","c2s":"127.0.0.1:4001","direct_tls":"[::1]:4002","http":""}}"#,
            r#"{"level":"INFO","message":"ready","c2s":["127.0.0.1:4001"],"direct_tls":"[::1]:4002, nothing"}"#,
        ] {
            assert_eq!(read_ready(line), Some(expected.clone()), "{line}");
        }
        for line in ["", "ready", r#"{"fields":{"message":"not ready"}}"#, r#"{"fields":{}}"#] {
            assert_eq!(read_ready(line), None, "{line}");
        }
    }

    #[test]
    fn the_folder_is_private_and_goes_away() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::create().expect("a folder");
        let path = folder.0.clone();
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
