//! ADR 12: a stanza for many is written by whoever brings it, while the connection's task rests, over each kind of stream, with and without stream
//! management. Whatever the client does, each stanza comes once and in order.

use tokio::time::sleep;

use super::*;
use crate::jid::Jid;
use crate::outbox::Behind;
use crate::stanza::MessageType;

/// What the client's stream runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Tcp,
    Tls,
    WebSocket,
}

const ALL: [Over; 3] = [Over::Tcp, Over::Tls, Over::WebSocket];
const ORCHARD: &str = "romeo@localhost/orchard";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";

/// A client that does not care for frames.
struct Peer {
    io: Io,
    over: Over,
    received: Vec<u8>,
    /// Bytes read.
    read: usize,
}

impl Peer {
    async fn connect(server: &Server, over: Over, pipe: usize) -> Self {
        let (near, far) = tokio::io::duplex(pipe);
        let peer = "192.0.2.1:1".parse().unwrap();
        let (io, transport): (Io, _) = match over {
            Over::Tcp => (Box::new(near), Transport::DirectTls),
            Over::WebSocket => (Box::new(near), Transport::WebSocketTls),
            Over::Tls => {
                let context = server.context.clone();
                server.listeners.spawn(async move {
                    let (io, bindings) = accept_tls(&context, &context.direct_tls, far, None, peer).await.expect("a handshake");
                    run(context.clone(), io, peer, Transport::DirectTls, bindings, now()).await;
                });
                let io = server.tls(near, tls::ALPN_XMPP_CLIENT).await.io;
                return Self { io: Box::new(io), over, received: Vec::new(), read: 0 };
            }
        };
        server.listeners.spawn(run(server.context.clone(), Box::new(far), peer, transport, ChannelBindings::default(), now()));
        Self { io, over, received: Vec::new(), read: 0 }
    }

    /// Up to a stream on which a resource may be bound.
    async fn authenticated(server: &Server, over: Over, pipe: usize) -> Self {
        let mut peer = Self::connect(server, over, pipe).await;
        for (text, answer) in [("", "</stream:features>"), (PLAIN, "<success"), ("", "</stream:features>")] {
            let text = if text.is_empty() { peer.header() } else { text };
            peer.send(text).await;
            peer.until(answer).await;
        }
        peer
    }

    async fn log_in(server: &Server, over: Over, managed: bool, pipe: usize) -> Self {
        let mut peer = Self::authenticated(server, over, pipe).await;
        peer.send(BIND).await;
        peer.until("</iq>").await;
        if managed {
            peer.send(ENABLE).await;
            peer.until("<enabled").await;
            peer.until("/>").await;
        }
        rest().await;
        peer
    }

    fn header(&self) -> &'static str {
        match self.over {
            Over::WebSocket => "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
            Over::Tcp | Over::Tls => HEADER,
        }
    }

    async fn send(&mut self, text: &str) {
        let frame = match self.over {
            // RFC 6455 §5.2: masked with zeros.
            Over::WebSocket => {
                let mut frame = vec![0x81, 0x80 | 126];
                frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
                frame.extend_from_slice(&[0; 4]);
                frame.extend_from_slice(text.as_bytes());
                frame
            }
            Over::Tcp | Over::Tls => text.into(),
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

/// Lets connections come to rest.
async fn rest() {
    sleep(Duration::from_millis(20)).await;
}

fn stanza(text: &str) -> Stanza {
    let content = format!("<body>{text}</body><no-store xmlns='urn:xmpp:hints'/>");
    Stanza::message(MessageType::Chat).with_from(Jid::parse("rose@garden.example/thorn").unwrap()).with_content(content)
}

impl Server {
    async fn tell(&self, text: &str, behind: Behind) {
        self.context.router.broadcast(&stanza(text), &[Jid::parse(ORCHARD).unwrap()], behind).await;
    }

    fn written(&self) -> u64 {
        self.context.metrics.stanzas_out.get()
    }
}

#[tokio::test]
async fn it_is_written_when_it_is_brought_and_counted() {
    for over in ALL {
        let server = Server::start().await;
        let mut peer = Peer::log_in(&server, over, false, 65_536).await;
        let bytes = server.context.metrics.bytes_out.get();
        let read = peer.read;
        for number in 0..3 {
            let before = server.written();
            // Nothing else has its turn meanwhile.
            server.tell(&number.to_string(), Behind::Nothing).await;
            assert_eq!(server.written(), before + 1, "{over:?}");
            assert_eq!(peer.next().await, number.to_string());
        }
        let bytes = server.context.metrics.bytes_out.get() - bytes;
        if over != Over::Tls {
            assert_eq!((peer.read - read) as u64, bytes, "{over:?}");
        }
        // With more behind it, the connection writes all of it.
        let before = server.written();
        server.tell("3", Behind::More).await;
        server.tell("4", Behind::Nothing).await;
        assert_eq!(server.written(), before, "{over:?}");
        assert_eq!((peer.next().await, peer.next().await), ("3".to_owned(), "4".to_owned()));
    }
}

#[tokio::test]
async fn what_the_client_does_not_take_at_once_the_connection_writes() {
    for over in ALL {
        for managed in [false, true] {
            let server = Server::start().await;
            let mut peer = Peer::log_in(&server, over, managed, 1_000).await;
            let long = "x".repeat(5_000);
            for number in 0..5 {
                server.tell(&format!("{number} {long}"), Behind::Nothing).await;
                if number % 2 == 0 {
                    rest().await;
                }
            }
            for number in 0..5 {
                assert_eq!(peer.next().await, format!("{number} {long}"), "{over:?}, managed: {managed}");
            }
            server.tell("last", Behind::Nothing).await;
            assert_eq!(peer.next().await, "last");
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_ended_and_the_message_goes_to_another_resource() {
    for over in [Over::Tcp, Over::WebSocket] {
        let server = Server::with(policy(), Limits { write: Duration::from_millis(200), ..Limits::default() }).await;
        let _deaf = Peer::log_in(&server, over, false, 600).await;
        let mut other = server.connect(Transport::DirectTls, 65_536);
        other.log_in_as("garden").await;
        other.send("<presence/>").await;
        other.expect("from='romeo@localhost/garden'").await;
        let before = server.written();
        server.tell(&format!("whole {}", "x".repeat(2_000)), Behind::Nothing).await;
        assert_eq!(server.written(), before + 1, "{over:?}: begun by who has brought it");
        // RFC 6121 §8.5.3.2.1
        other.expect("<body>whole ").await;
        assert!(server.metrics().contains("campanile_c2s_timeouts_total{kind=\"write\"} 1"), "{over:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_broken_ends_and_nothing_is_lost() {
    for managed in [false, true] {
        let server = Server::start().await;
        let peer = Peer::log_in(&server, Over::Tcp, managed, 65_536).await;
        let mut other = server.connect(Transport::DirectTls, 65_536);
        other.log_in_as("garden").await;
        other.send("<presence/>").await;
        other.expect("from='romeo@localhost/garden'").await;
        // Its task has not learned of that yet.
        drop(peer);
        server.tell("to whoever is there", Behind::Nothing).await;
        if managed {
            server.sessions_are(|sessions| sessions.iter().any(|own| own.hibernated.is_some())).await;
            let waits = |sessions: &[crate::session::Session]| {
                let own = sessions.iter().find(|own| own.hibernated.is_some());
                own.is_some_and(|own| {
                    let mut count = 0;
                    own.mailbox.look(|_| count += 1);
                    count == 1
                })
            };
            server.sessions_are(waits).await;
        } else {
            other.expect("<body>to whoever is there</body>").await;
        }
    }
}

/// The connection writes the first, which is asked about some time later, and the one after which the client is asked at once.
#[tokio::test]
async fn xep0198_s4_the_client_is_asked_as_ever() {
    for over in ALL {
        let server = Server::start().await;
        let mut peer = Peer::log_in(&server, over, true, 65_536).await;
        let tell = async |peer: &mut Peer, number: u32| {
            let before = server.written();
            server.tell(&number.to_string(), Behind::Nothing).await;
            let at_once = server.written() > before;
            let text = peer.until("</body>").await;
            assert!(text.contains(&format!("<body>{number}</body>")), "{over:?}: {text}");
            peer.until("</message>").await;
            rest().await;
            (at_once, text.contains("<r xmlns='urn:xmpp:sm:3'/>"))
        };
        for number in 0..11 {
            let (at_once, _) = tell(&mut peer, number).await;
            assert_eq!(at_once, (1..10).contains(&number), "{over:?}, {number}");
        }
        peer.until("<r xmlns='urn:xmpp:sm:3'/>").await;
        // One question at a time.
        for number in 11..31 {
            assert_eq!(tell(&mut peer, number).await, (true, false), "{over:?}, {number}");
        }
        peer.send("<a xmlns='urn:xmpp:sm:3' h='11'/>").await;
        peer.until("<r xmlns='urn:xmpp:sm:3'/>").await;
        peer.send("<a xmlns='urn:xmpp:sm:3' h='31'/>").await;
        rest().await;
        assert_eq!(server.outstanding(), 0, "{over:?}");
        // What is fewer is asked about after some silence.
        let start = Instant::now();
        for number in 31..34 {
            tell(&mut peer, number).await;
        }
        peer.until("<r xmlns='urn:xmpp:sm:3'/>").await;
        assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    }
}

impl Server {
    fn outstanding(&self) -> usize {
        let home = self.context.router.home_in_memory(&romeo()).unwrap();
        home.with(|account| account.sessions.iter().map(|own| own.mailbox.outstanding()).sum())
    }
}

/// XEP-0198 §5: what was written by others is sent again as anything else.
#[tokio::test]
async fn xep0198_s5_a_resumption_gives_exactly_what_is_not_acknowledged() {
    for over in ALL {
        let server = Server::start().await;
        let mut peer = Peer::authenticated(&server, over, 65_536).await;
        peer.send(BIND).await;
        peer.until("</iq>").await;
        peer.send(ENABLE).await;
        peer.until(" id='").await;
        let id = peer.until("'").await.trim_end_matches('\'').to_owned();
        peer.until("/>").await;
        rest().await;
        for number in 0..8 {
            server.tell(&number.to_string(), Behind::Nothing).await;
            assert_eq!(peer.next().await, number.to_string());
            rest().await;
        }
        // The old connection still looks alive.
        let mut again = Peer::authenticated(&server, over, 65_536).await;
        again.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='5'/>")).await;
        again.until("<resumed").await;
        for number in 5..8 {
            assert_eq!(again.next().await, number.to_string(), "{over:?}");
        }
        server.tell("8", Behind::Nothing).await;
        assert_eq!(again.next().await, "8");
        peer.until("<conflict").await;
        // RFC 7395 §3.6, RFC 6120 §4.4: gone without a word.
        drop((peer, again));
        server.tell("9", Behind::Nothing).await;
        let mut last = Peer::authenticated(&server, over, 65_536).await;
        last.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='8'/>")).await;
        last.until("<resumed").await;
        for number in 8..10 {
            assert_eq!(last.next().await, number.to_string(), "{over:?}");
        }
    }
}

/// Several bring what is for many, others what is for one; the client reads slowly and says something itself all the time, so that the task comes and
/// goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_writes_each_stanza_comes_once_and_in_the_order_of_who_brought_it() {
    const WRITERS: usize = 4;
    const EACH: usize = 150;
    for over in ALL {
        for managed in [false, true] {
            let limits = Limits { bytes_per_second: 0, ..Limits::default() };
            let server = Arc::new(Server::with(policy(), limits).await);
            let mut peer = Peer::log_in(&server, over, managed, 3_000).await;
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let server = server.clone();
                    tokio::spawn(async move {
                        for number in 0..EACH {
                            let text = format!("{writer}-{number}");
                            match (writer + number) % 5 {
                                0 => {
                                    let stanza = stanza(&text).with_to(Jid::parse(ORCHARD).unwrap());
                                    server.context.router.route(stanza, None).await;
                                }
                                1 => server.tell(&text, Behind::More).await,
                                _ => server.tell(&text, Behind::Nothing).await,
                            }
                            if number % 7 == writer {
                                sleep(Duration::from_millis(1)).await;
                            }
                        }
                    })
                })
                .collect();
            let mut next = [0; WRITERS];
            for count in 1..=WRITERS * EACH {
                let text = peer.next().await;
                let (writer, number) = text.split_once('-').unwrap();
                let writer: usize = writer.parse().unwrap();
                assert_eq!(number.parse::<usize>().unwrap(), next[writer], "{over:?}, managed: {managed}, of {writer}");
                next[writer] += 1;
                if count % 3 == 0 {
                    let acknowledgement = format!("<a xmlns='urn:xmpp:sm:3' h='{count}'/>");
                    peer.send(if managed { &acknowledgement } else { "<presence xmlns='jabber:client' to='rose@garden.example'/>" }).await;
                }
            }
            for writer in writers {
                writer.await.unwrap();
            }
            rest().await;
            assert!(!managed || server.outstanding() == 0, "{over:?}");
        }
    }
}

/// The connection is cut and resumed while others write: each stanza once, in order, as far as the client's counter goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn xep0198_s5_cut_and_resumed_while_others_write() {
    const ALL_TOLD: usize = 400;
    for over in ALL {
        let server = Arc::new(Server::start().await);
        let mut peer = Peer::authenticated(&server, over, 2_000).await;
        peer.send(BIND).await;
        peer.until("</iq>").await;
        peer.send(ENABLE).await;
        peer.until(" id='").await;
        let id = peer.until("'").await.trim_end_matches('\'').to_owned();
        let writer = tokio::spawn({
            let server = server.clone();
            async move {
                for number in 0..ALL_TOLD {
                    server.tell(&number.to_string(), Behind::Nothing).await;
                    if number % 10 == 0 {
                        sleep(Duration::from_millis(2)).await;
                    }
                }
            }
        });
        for count in 0..ALL_TOLD {
            if count % 60 == 59 {
                let again = Peer::authenticated(&server, over, 2_000).await;
                // Every other time the old connection is still there.
                let old = std::mem::replace(&mut peer, again);
                let old = (count % 120 != 59).then_some(old);
                peer.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{count}'/>")).await;
                peer.until("<resumed").await;
                drop(old);
            }
            assert_eq!(peer.next().await, count.to_string(), "{over:?}");
        }
        writer.await.unwrap();
    }
}
