//! ADR 12: a stanza for many is written by whoever brings it, while the connection's task rests, over each kind of stream, with and without stream
//! management. Whatever the client does, each stanza comes once and in order.

mod crowd;
mod endings;
mod far;
mod management;
mod writing;

use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::jid::Jid;
use crate::outbox::Behind;
use crate::stanza::MessageType;
use far::{Far, Notes};

/// What the client's stream runs on: a pipe in memory, or a socket, whose readiness the runtime learns of from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Pipe,
    PipeTls,
    PipeWebSocket,
    Socket,
    SocketTls,
}

impl Over {
    /// What it takes is not what goes out.
    fn is_tls(self) -> bool {
        matches!(self, Self::PipeTls | Self::SocketTls)
    }
}

const PIPES: [Over; 3] = [Over::Pipe, Over::PipeTls, Over::PipeWebSocket];
const ALL: [Over; 5] = [Over::Pipe, Over::PipeTls, Over::PipeWebSocket, Over::Socket, Over::SocketTls];
const ORCHARD: &str = "romeo@localhost/orchard";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";

/// A client that does not care for frames.
struct Peer {
    io: Io,
    over: Over,
    received: Vec<u8>,
    /// Bytes read.
    read: usize,
    /// What is known of the other end.
    far: Arc<Notes>,
    /// The connection's.
    task: JoinHandle<()>,
}

impl Peer {
    /// What is under way each way is at most about so many bytes.
    async fn connect(server: &Server, over: Over, bytes: usize) -> Self {
        let (near, far): (Io, Io) = match over {
            Over::Pipe | Over::PipeTls | Over::PipeWebSocket => {
                let (near, far) = tokio::io::duplex(bytes);
                (Box::new(near), Box::new(far))
            }
            Over::Socket | Over::SocketTls => {
                let (near, far) = sockets(u32::try_from(bytes).unwrap()).await;
                (Box::new(near), Box::new(far))
            }
        };
        let (far, notes) = Far::new(far);
        let (context, peer) = (server.context.clone(), "192.0.2.1:1".parse().unwrap());
        let (io, task): (Io, _) = match over {
            Over::Pipe | Over::Socket | Over::PipeWebSocket => {
                let transport = if over == Over::PipeWebSocket { Transport::WebSocketTls } else { Transport::DirectTls };
                (near, tokio::spawn(run(context, Box::new(far), peer, transport, ChannelBindings::default(), now())))
            }
            Over::PipeTls | Over::SocketTls => {
                let task = tokio::spawn(async move {
                    let (io, bindings) = accept_tls(&context, &context.direct_tls, far, None, peer).await.expect("a handshake");
                    run(context.clone(), io, peer, Transport::DirectTls, bindings, now()).await;
                });
                (Box::new(server.tls(near, tls::ALPN_XMPP_CLIENT).await.io), task)
            }
        };
        Self { io, over, received: Vec::new(), read: 0, far: notes, task }
    }

    /// Up to a stream on which a resource may be bound.
    async fn authenticated(server: &Server, over: Over, bytes: usize) -> Self {
        let mut peer = Self::connect(server, over, bytes).await;
        for (text, answer) in [("", "</stream:features>"), (PLAIN, "<success"), ("", "</stream:features>")] {
            let text = if text.is_empty() { peer.header() } else { text };
            peer.send(text).await;
            peer.until(answer).await;
        }
        peer
    }

    async fn log_in(server: &Server, over: Over, managed: bool, bytes: usize) -> Self {
        let mut peer = Self::authenticated(server, over, bytes).await;
        peer.send(BIND).await;
        peer.until("</iq>").await;
        if managed {
            peer.send(ENABLE).await;
            peer.until("<enabled").await;
            peer.until("/>").await;
        }
        server.rests().await;
        peer
    }

    /// Another resource, which is there for what the first does not get.
    async fn garden(server: &Server) -> Self {
        let mut peer = Self::authenticated(server, Over::Pipe, 1 << 20).await;
        peer.send(&BIND.replace("orchard", "garden")).await;
        peer.until("</iq>").await;
        peer.send("<presence xmlns='jabber:client'/>").await;
        peer.until("from='romeo@localhost/garden'").await;
        server.rests().await;
        peer
    }

    fn header(&self) -> &'static str {
        match self.over {
            Over::PipeWebSocket => "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
            Over::Pipe | Over::PipeTls | Over::Socket | Over::SocketTls => HEADER,
        }
    }

    async fn send(&mut self, text: &str) {
        let frame = match self.over {
            // RFC 6455 §5.2: masked with zeros.
            Over::PipeWebSocket => {
                let mut frame = vec![0x81, 0x80 | 126];
                frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
                frame.extend_from_slice(&[0; 4]);
                frame.extend_from_slice(text.as_bytes());
                frame
            }
            Over::Pipe | Over::PipeTls | Over::Socket | Over::SocketTls => text.into(),
        };
        self.io.write_all(&frame).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// False at the end.
    async fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let count = self.io.read(&mut chunk).await.unwrap_or(0);
        self.received.extend_from_slice(&chunk[..count]);
        self.read += count;
        count > 0
    }

    /// Reads until this text has come, and gives all up to its end.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = memchr::memmem::find(&self.received, text.as_bytes()) {
                let rest = self.received.split_off(at + text.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.received, rest)).into_owned();
            }
            let more = timeout(Duration::from_secs(20), self.read()).await;
            assert!(matches!(more, Ok(true)), "{:?}: no {text}: {}", self.over, String::from_utf8_lossy(&self.received));
        }
    }

    /// The text of the next message.
    async fn next(&mut self) -> String {
        self.until("<body>").await;
        let text = self.until("</body>").await;
        self.until("</message>").await;
        text.trim_end_matches("</body>").to_owned()
    }
}

/// Both ends of a connection over the loopback, whose buffers are so small.
async fn sockets(bytes: u32) -> (TcpStream, TcpStream) {
    let small = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(bytes).unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        socket
    };
    let (listening, connecting) = (small(), small());
    listening.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = listening.listen(1).unwrap();
    let near = connecting.connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

fn stanza(text: &str) -> Stanza {
    let content = format!("<body>{text}</body><no-store xmlns='urn:xmpp:hints'/>");
    Stanza::message(MessageType::Chat).with_from(Jid::parse("rose@garden.example/thorn").unwrap()).with_content(content)
}

impl Server {
    /// Waits until each connection has taken what waits, and waits for more.
    async fn rests(&self) {
        self.sessions_are(|sessions| sessions.iter().all(|own| own.mailbox.rests())).await;
    }

    async fn tell(&self, text: &str, behind: Behind) {
        self.context.router.broadcast(&stanza(text), &vec![Jid::parse(ORCHARD).unwrap()].into(), behind).await;
    }

    fn written(&self) -> u64 {
        self.context.metrics.stanzas_out.get()
    }
}
