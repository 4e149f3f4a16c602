//! Who writes, and how much of it, to a client that reads.

use super::*;

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
        assert!(peer.far.by_others() >= 3, "{over:?}");
        let bytes = server.context.metrics.bytes_out.get() - bytes;
        if !over.is_tls() {
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
            let long = "x".repeat(10_000);
            let bytes = server.context.metrics.bytes_out.get();
            for number in 0..5 {
                server.tell(&format!("{number} {long}"), Behind::Nothing).await;
                let taken = server.context.metrics.bytes_out.get() - bytes;
                assert!(over.is_tls() || taken < 10_000, "{over:?}, managed: {managed}: {taken} bytes are taken at once");
                if number % 2 == 0 {
                    server.rests().await;
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
