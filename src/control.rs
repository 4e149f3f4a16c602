//! How a verb of the command line speaks with the running server: `data_dir/control.sock`, one JSON object per line each way.
//!
//! ```json
//! {"request":"password_changed","account":"alice@localhost"}
//! {"answer":"done","sessions_ended":1}
//! ```
//! Who may use it: the server's own user and root. The folder is closed to others, the socket has mode 0600, and the kernel's word on the
//! peer is asked besides.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::lock::DataDir;

/// The socket's name in `data_dir`.
pub const SOCKET: &str = "control.sock";
/// Longest line either way.
const LINE_BYTES_MAX: u64 = 65_536;
/// Verbs connected at the same time; more wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 16;
/// How long a connected verb may say nothing.
const IDLE: Duration = Duration::from_secs(30);
/// How long a verb waits for the server's answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What a verb asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who are you?
    Status,
    /// The account's keys in the database are new: its sessions end, its TURN credentials are void.
    PasswordChanged {
        /// Bare JID.
        account: String,
    },
    /// The account is gone from the database: the same, its contacts are told, and what is held of it in memory is forgotten.
    AccountDeleted {
        /// Bare JID.
        account: String,
    },
    /// The account is disabled in the database: its sessions end, its TURN credentials are void.
    AccountDisabled {
        /// Bare JID.
        account: String,
    },
    /// The account is enabled again in the database.
    AccountEnabled {
        /// Bare JID.
        account: String,
    },
    /// Its sessions end; they may come again.
    Kick {
        /// Bare JID: all sessions; full JID: that one.
        address: String,
        /// What the client is told.
        reason: Option<String>,
    },
    /// Take nobody new, and end when the calls have ended.
    Drain,
    /// How far is that?
    DrainProgress,
    /// Who is there?
    Sessions {
        /// Bare JID; all accounts without it.
        account: Option<String>,
        /// Full JID behind which the answer begins.
        after: Option<String>,
    },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status {
        /// The server's version.
        version: String,
        /// Its process.
        pid: u32,
    },
    /// It is done.
    Done {
        /// Sessions that were ended by it.
        sessions_ended: usize,
    },
    /// To [`Request::Sessions`], in the order of their addresses.
    Sessions {
        /// As many as fit.
        sessions: Vec<Session>,
        /// There may be more behind the last one.
        more: bool,
    },
    /// To [`Request::Drain`] and [`Request::DrainProgress`]: the server drains.
    Draining {
        /// Calls in session.
        calls: usize,
        /// Live allocations of the relay.
        allocations: u64,
        /// How long it waits for them at most.
        seconds_left: u64,
        /// Its process.
        pid: u32,
    },
    /// It is not.
    Error {
        /// One sentence.
        message: String,
    },
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Full JID.
    pub address: String,
    /// Priority of its presence; absent while it is not available.
    pub priority: Option<i8>,
}

/// The server's end.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    /// The server's user.
    owner: u32,
}

impl Control {
    /// Opens the socket. One left by a crash is replaced: whoever holds `data_dir` knows that nobody serves it. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn bind(data_dir: &DataDir) -> anyhow::Result<Self> {
        let path = data_dir.path().join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("the old control socket {} cannot be removed", path.display()));
            }
            _ => {}
        }
        let failed = || format!("the control socket {} cannot be opened (its path may have 107 bytes)", path.display());
        let listener = UnixListener::bind(&path).with_context(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).with_context(failed)?;
        let owner = fs::metadata(&path).with_context(failed)?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Answers with what `handler` says, until `stop`.
    pub async fn serve<H, F>(self, handler: H, stop: CancellationToken)
    where
        H: Fn(Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        warn!(%error, "a control connection ended badly");
                    }
                }
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) if self.may_ask(&stream) => {
                        connections.spawn(connection(stream, handler.clone()));
                    }
                    Ok(_) => warn!("somebody else than the server's user tried the control socket"),
                    Err(error) => {
                        // out of file descriptors, say: try again when some may have been closed
                        warn!(%error, "the control socket cannot accept");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }

    fn may_ask(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, path = %self.path.display(), "the control socket is gone already");
        }
    }
}

async fn connection<H, F>(stream: UnixStream, handler: H)
where
    H: Fn(Request) -> F,
    F: Future<Output = Answer>,
{
    let mut stream = BufReader::new(stream);
    loop {
        let line = match timeout(IDLE, read_line(&mut stream)).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                debug!(%error, "control connection lost");
                return;
            }
        };
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => handler(request).await,
            Err(error) => Answer::Error { message: format!("not a request that this server knows: {error}") },
        };
        if let Err(error) = write_line(stream.get_mut(), &answer).await {
            debug!(%error, "control connection lost");
            return;
        }
    }
}

/// One line without its end, `None` at the end of the stream.
async fn read_line<R: AsyncRead + Unpin>(stream: &mut BufReader<R>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line that is cut off or longer than 65536 bytes")),
    }
}

async fn write_line(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Asks the server of `data_dir`; `None` if none runs there.
///
/// # Errors
/// It runs and cannot be asked, or refuses.
pub async fn ask(data_dir: &Path, request: &Request) -> anyhow::Result<Option<Answer>> {
    let path = data_dir.join(SOCKET);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!("the running server cannot be asked: run this as its user, or as root ({}: {error})", path.display());
        }
        Err(error) => return Err(error).with_context(|| format!("the running server cannot be asked at {}", path.display())),
    };
    let talk = async {
        let mut stream = BufReader::new(stream);
        write_line(stream.get_mut(), request).await?;
        read_line(&mut stream).await
    };
    let line = match timeout(ANSWER, talk).await {
        Ok(Ok(Some(line))) => line,
        Ok(Ok(None)) => bail!("the running server closed its control socket without an answer"),
        Ok(Err(error)) => return Err(error).context("the running server cannot be asked"),
        Err(_) => bail!("the running server did not answer within {} seconds", ANSWER.as_secs()),
    };
    match serde_json::from_slice(&line).context("the running server's answer is not understood; is it another version?")? {
        Answer::Error { message } => Err(anyhow!("the running server refused: {message}")),
        answer => Ok(Some(answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::tests::Folder;

    struct Server {
        folder: Folder,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
        _lock: DataDir,
    }

    impl Server {
        fn start() -> Self {
            let folder = Folder::new();
            let lock = DataDir::claim(folder.path()).unwrap();
            let control = Control::bind(&lock).unwrap();
            let stop = CancellationToken::new();
            let handler = |request| async move {
                match request {
                    Request::Status => Answer::Status { version: "1".to_owned(), pid: 7 },
                    Request::PasswordChanged { account } if account == "alice@localhost" => Answer::Done { sessions_ended: 2 },
                    request => Answer::Error { message: format!("no: {request:?}") },
                }
            };
            let task = tokio::spawn(control.serve(handler, stop.clone()));
            Self { folder, stop, task, _lock: lock }
        }

        async fn stop(self) {
            self.stop.cancel();
            self.task.await.unwrap();
            assert!(!self.folder.path().join(SOCKET).exists());
        }
    }

    #[tokio::test]
    async fn questions_are_answered_over_the_socket() {
        let server = Server::start();
        let path = server.folder.path();
        assert_eq!(fs::metadata(path.join(SOCKET)).unwrap().mode() & 0o777, 0o600);
        let status = ask(path, &Request::Status).await.unwrap();
        assert_eq!(status, Some(Answer::Status { version: "1".to_owned(), pid: 7 }));
        let request = Request::PasswordChanged { account: "alice@localhost".to_owned() };
        assert_eq!(ask(path, &request).await.unwrap(), Some(Answer::Done { sessions_ended: 2 }));
        let refusal = ask(path, &Request::AccountDeleted { account: "x".to_owned() }).await.unwrap_err();
        assert!(refusal.to_string().starts_with("the running server refused: no: AccountDeleted"), "{refusal}");
        server.stop().await;
    }

    #[tokio::test]
    async fn nobody_answers_where_no_server_runs() {
        let folder = Folder::new();
        assert_eq!(ask(folder.path(), &Request::Status).await.unwrap(), None);
        // a socket left by a crash
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
        assert_eq!(ask(folder.path(), &Request::Status).await.unwrap(), None);
        let lock = DataDir::claim(folder.path()).unwrap();
        drop(Control::bind(&lock).unwrap());
    }

    #[tokio::test]
    async fn several_lines_on_one_connection_and_nonsense_between_them() {
        let server = Server::start();
        let mut stream = BufReader::new(UnixStream::connect(server.folder.path().join(SOCKET)).await.unwrap());
        for (line, expected) in [
            (r#"{"request":"status"}"#, r#"{"answer":"status","version":"1","pid":7}"#),
            ("nonsense", r#"{"answer":"error","message":"not a request that this server knows: expected ident at line 1 column 2"}"#),
            (r#"{"request":"password_changed","account":"alice@localhost"}"#, r#"{"answer":"done","sessions_ended":2}"#),
        ] {
            stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
            let answer = read_line(&mut stream).await.unwrap().unwrap();
            assert_eq!(String::from_utf8(answer).unwrap(), expected);
        }
        server.stop().await;
    }

    #[tokio::test]
    async fn an_endless_line_ends_the_connection_and_not_the_server() {
        let server = Server::start();
        let path = server.folder.path().join(SOCKET);
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let flood = vec![b'x'; LINE_BYTES_MAX as usize + 1];
        // the server may have closed before all was written
        let _ = stream.write_all(&flood).await;
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest).await;
        assert!(closed.is_err() || rest.is_empty());
        assert!(ask(server.folder.path(), &Request::Status).await.unwrap().is_some());
        server.stop().await;
    }
}
