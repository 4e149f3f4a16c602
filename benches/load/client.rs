//! A client that costs little: logs in as real ones do, then sends bytes and takes whole elements.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::framer::{Framer, attribute, text};
use super::scram::{MECHANISM, Scram};

/// How long any single answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The password of every account.
pub const PASSWORD: &str = "opensesame";

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xml:lang='en' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Where and how to log in.
#[derive(Clone)]
pub struct Target {
    /// Where the server takes clients.
    pub address: SocketAddr,
    /// Trusts its certificate.
    pub connector: Arc<TlsConnector>,
    /// Whether STARTTLS is used.
    pub tls: bool,
}

enum Io {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection.
pub struct Client {
    io: Io,
    framer: Framer,
    /// The full JID bound.
    pub jid: String,
    /// The iteration count of its log-in.
    pub rounds: u32,
    /// How many items its roster has.
    pub roster: usize,
}

impl Client {
    /// A connection without XMPP, for the floor.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { io: Io::Clear(stream), framer: Framer::default(), jid: String::new(), rounds: 0, roster: 0 })
    }

    /// Connects, negotiates TLS if wanted, authenticates, binds, asks for the roster and becomes available; returns once the server has
    /// handled all of that.
    pub async fn log_in(target: &Target, user: &str, resource: &str) -> anyhow::Result<Self> {
        Box::pin(async {
            let mut client = Self::connect(target.address).await?;
            client.open().await?;
            if target.tls {
                client = client.start_tls(&target.connector).await?;
                client.open().await?;
            }
            client.authenticate(user).await?;
            client.open().await?;
            client.bind(resource).await?;
            client.begin_session().await?;
            anyhow::Ok(client)
        })
        .await
        .with_context(|| format!("log-in of {user}"))
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        self.send(HEADER).await?;
        self.expect(|element| element.starts_with(b"<stream:stream")).await?;
        self.expect(|element| element.starts_with(b"<stream:features")).await?;
        Ok(())
    }

    async fn start_tls(mut self, connector: &TlsConnector) -> anyhow::Result<Self> {
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
        self.expect(|element| element.starts_with(b"<proceed")).await?;
        let Io::Clear(socket) = self.io else { bail!("TLS already") };
        let stream = timeout(PATIENCE, connector.connect(ServerName::try_from("localhost")?, socket)).await?.context("TLS handshake")?;
        Ok(Self { io: Io::Tls(Box::new(stream)), ..self })
    }

    async fn authenticate(&mut self, user: &str) -> anyhow::Result<()> {
        const NS: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
        let mut scram = Scram::new(user, PASSWORD, &format!("campanile{}", super::unique()));
        self.send(&format!("<auth xmlns='{NS}' mechanism='{MECHANISM}'>{}</auth>", scram.first())).await?;
        let challenge = self.expect(|element| element.starts_with(b"<challenge")).await?;
        let last = scram.last(text(challenge.as_bytes()).context("an empty challenge")?)?;
        self.send(&format!("<response xmlns='{NS}'>{last}</response>")).await?;
        let success = self.expect(|element| element.starts_with(b"<success")).await?;
        let proof = STANDARD.decode(text(success.as_bytes()).unwrap_or_default())?;
        ensure!(proof == format!("v={}", scram.verifier).as_bytes(), "the server does not know the password");
        self.rounds = scram.rounds;
        Ok(())
    }

    async fn bind(&mut self, resource: &str) -> anyhow::Result<()> {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ))
        .await?;
        let result = self.answer("bind").await?;
        let jid = result.split("<jid>").nth(1).and_then(|rest| rest.split('<').next()).context("no JID was bound")?;
        self.jid = jid.to_owned();
        Ok(())
    }

    async fn begin_session(&mut self) -> anyhow::Result<()> {
        self.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await?;
        self.roster = self.answer("roster").await?.matches("<item ").count();
        self.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>").await?;
        self.settle().await
    }

    /// Returns once everything sent before has been handled: the server answers in order.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        let id = format!("settle{}", super::unique());
        self.send(&format!("<iq type='get' id='{id}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")).await?;
        self.answer(&id).await?;
        Ok(())
    }

    /// Waits for the answer to a request.
    pub async fn answer(&mut self, id: &str) -> anyhow::Result<String> {
        let answer = self.expect(|element| element.starts_with(b"<iq") && attribute(element, "id") == Some(id)).await?;
        ensure!(attribute(answer.as_bytes(), "type") == Some("result"), "an error was answered: {answer}");
        Ok(answer)
    }

    /// Writes.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        match &mut self.io {
            Io::Clear(stream) => stream.write_all(text.as_bytes()).await?,
            Io::Tls(stream) => {
                stream.write_all(text.as_bytes()).await?;
                stream.flush().await?;
            }
        }
        Ok(())
    }

    /// Skips elements until one is as wanted, and gives it.
    pub async fn expect(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) -> anyhow::Result<String> {
        let mut found = None;
        self.take(|element| {
            if element.starts_with(b"<stream:error") || element.starts_with(b"<failure") {
                bail!("the server said {}", String::from_utf8_lossy(element));
            }
            if wanted(element) {
                found = Some(String::from_utf8_lossy(element).into_owned());
            }
            Ok(found.is_some())
        })
        .await?;
        found.context("nothing was found")
    }

    /// Hands over elements until `enough` says so; what came besides waits for the next call.
    pub async fn take(&mut self, mut enough: impl FnMut(&[u8]) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        loop {
            while let Some(element) = self.framer.next() {
                if enough(element)? {
                    return Ok(());
                }
            }
            let space = self.framer.space();
            space.reserve(16 * 1024);
            let read = async {
                match &mut self.io {
                    Io::Clear(stream) => stream.read_buf(space).await,
                    Io::Tls(stream) => stream.read_buf(space).await,
                }
            };
            ensure!(timeout(PATIENCE, read).await.context("no answer in a minute")?? > 0, "the server closed the connection");
        }
    }

    /// Gives its buffer back; for clients that only wait.
    pub fn rest(&mut self) {
        self.framer.clear();
    }

    /// Closes the stream and waits for the server to do so.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.send("</stream:stream>").await?;
        self.take(|element| Ok(element.starts_with(b"</stream:stream"))).await
    }

    /// Both directions by themselves; in clear only.
    pub fn split(self) -> anyhow::Result<(Reader, OwnedWriteHalf)> {
        let Io::Clear(stream) = self.io else { bail!("only in clear") };
        let (read, write) = stream.into_split();
        Ok((Reader { read, framer: self.framer }, write))
    }
}

/// The reading half of a client.
pub struct Reader {
    read: OwnedReadHalf,
    framer: Framer,
}

impl Reader {
    /// Hands over every element until the connection ends.
    pub async fn run(mut self, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        loop {
            while let Some(element) = self.framer.next() {
                each(element);
            }
            if self.framer.is_empty() {
                // thousands of readers wait at a time
                self.framer.clear();
            }
            self.read.readable().await?;
            let space = self.framer.space();
            space.reserve(4096);
            if self.read.read_buf(space).await? == 0 {
                return Ok(());
            }
        }
    }
}
