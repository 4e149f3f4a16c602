//! Clients that are gone or do not read, and connections that break while somebody else writes to them.

use super::far::Fault;
use super::*;

impl Peer {
    /// The texts of the next so many messages.
    async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.next().await);
        }
        texts
    }

    /// Waits until the connection has ended, with all that is to be done about it.
    async fn ended(self) {
        timeout(Duration::from_secs(20), self.task).await.expect("it ends").expect("no panic");
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_ended_and_the_message_goes_to_another_resource() {
    for over in PIPES {
        let server = Server::with(policy(), Limits { write: Duration::from_millis(200), ..Limits::default() }).await;
        let _deaf = Peer::log_in(&server, over, false, 600).await;
        let mut other = Peer::garden(&server).await;
        let before = server.written();
        server.tell(&format!("whole {}", "x".repeat(2_000)), Behind::Nothing).await;
        assert_eq!(server.written(), before + 1, "{over:?}: begun by who has brought it");
        // RFC 6121 §8.5.3.2.1
        other.until("<body>whole ").await;
        assert!(server.metrics().contains("campanile_c2s_timeouts_total{kind=\"write\"} 1"), "{over:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_off_before_it_learns_what_others_have_begun_loses_nothing() {
    for over in PIPES {
        let server = Server::start().await;
        let deaf = Peer::log_in(&server, over, false, 600).await;
        let mut other = Peer::garden(&server).await;
        let before = server.written();
        server.tell(&format!("whole {}", "x".repeat(2_000)), Behind::Nothing).await;
        assert_eq!(server.written(), before + 1, "{over:?}: begun by who has brought it");
        // Its task has not had its turn.
        deaf.task.abort();
        other.until("<body>whole ").await;
    }
}

#[tokio::test]
async fn a_connection_that_is_broken_ends_and_nothing_is_lost() {
    for managed in [false, true] {
        let server = Server::start().await;
        let peer = Peer::log_in(&server, Over::Pipe, managed, 65_536).await;
        let mut other = Peer::garden(&server).await;
        // Its task has not learned of that yet.
        drop(peer);
        server.tell("to whoever is there", Behind::Nothing).await;
        if managed {
            server.hibernates_with(1).await;
        } else {
            other.until("<body>to whoever is there</body>").await;
        }
    }
}

/// Neither the other recipients nor who has brought it come to harm.
#[tokio::test]
async fn a_write_by_others_that_fails_ends_that_connection_alone_and_nothing_is_lost() {
    for (over, managed) in PIPES.into_iter().flat_map(|over| [(over, false), (over, true)]) {
        for fault in [Fault::Error, Fault::Panic] {
            let case = format!("{over:?}, managed: {managed}, {fault:?}");
            let server = Server::start().await;
            let mut peer = Peer::log_in(&server, over, managed, 65_536).await;
            let mut other = Peer::garden(&server).await;
            if managed {
                // Of several the first is the task's, which asks about them.
                server.tell("first", Behind::Nothing).await;
                assert_eq!(peer.next().await, "first", "{case}");
                server.rests().await;
            }
            peer.far.fail(fault);
            let [orchard, garden] = [ORCHARD, "romeo@localhost/garden"].map(|jid| Jid::parse(jid).unwrap());
            let before = server.written();
            server.context.router.broadcast(&stanza("for both"), &vec![orchard, garden.clone()].into(), Behind::Nothing).await;
            assert_eq!(server.written(), before + 2, "{case}");
            other.until("to='romeo@localhost/garden'").await;
            assert_eq!(other.next().await, "for both", "{case}");
            if managed {
                server.hibernates_with(2).await;
            } else {
                other.until("to='romeo@localhost/orchard'").await;
                assert_eq!(other.next().await, "for both", "{case}");
            }
            // Another write would not have failed: it is for the first that the connection ends.
            while peer.read().await {}
            assert!(peer.received.is_empty(), "{case}: {}", String::from_utf8_lossy(&peer.received));
            peer.ended().await;
            server.context.router.broadcast(&stanza("still here"), &vec![garden].into(), Behind::Nothing).await;
            assert_eq!(other.next().await, "still here", "{case}");
        }
    }
}

/// TLS takes much that it cannot hand on yet, and small ones come behind that.
#[tokio::test]
async fn of_what_tls_holds_back_nothing_is_lost_and_nothing_comes_twice() {
    let large = "x".repeat(40_000);
    let texts: Vec<_> = [large].into_iter().chain((0..5).map(|number| number.to_string())).collect();
    for reads_all in [true, false] {
        let server = Server::start().await;
        let mut peer = Peer::log_in(&server, Over::PipeTls, false, 1_000).await;
        let mut other = Peer::garden(&server).await;
        for text in &texts {
            server.tell(text, Behind::Nothing).await;
            server.rests().await;
        }
        if reads_all {
            assert!(peer.texts(texts.len()).await == texts);
            server.tell("last", Behind::Nothing).await;
            assert_eq!(peer.next().await, "last");
        } else {
            // Some of the first.
            peer.until(&"x".repeat(5_000)).await;
        }
        let Peer { io, task, .. } = peer;
        drop(io);
        task.await.unwrap();
        if !reads_all {
            assert!(other.texts(texts.len()).await == texts, "all that the client did not get goes to another resource");
        }
        let garden = vec![Jid::parse("romeo@localhost/garden").unwrap()].into();
        server.context.router.broadcast(&stanza("nothing else"), &garden, Behind::Nothing).await;
        assert_eq!(other.next().await, "nothing else");
    }
}

impl Server {
    /// A session waits to be resumed, with so many stanzas.
    async fn hibernates_with(&self, stanzas: usize) {
        self.sessions_are(|sessions| {
            let own = sessions.iter().find(|own| own.hibernated.is_some());
            own.is_some_and(|own| {
                let mut count = 0;
                own.mailbox.look(|_| count += 1);
                count == stanzas
            })
        })
        .await;
    }
}
