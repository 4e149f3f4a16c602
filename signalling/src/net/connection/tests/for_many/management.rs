//! XEP-0198: what others write is asked about and sent again as anything else.

use tokio::time;

use super::*;

/// The connection writes the first, which is asked about some time later, and the one after which the client is asked at once.
#[tokio::test]
async fn xep0198_s4_the_client_is_asked_as_ever() {
    for over in PIPES {
        let server = Server::start().await;
        let mut peer = Peer::log_in(&server, over, true, 65_536).await;
        // Nothing but silence lets it pass, from now on.
        time::pause();
        let tell = async |peer: &mut Peer, number: u32| {
            let before = server.written();
            server.tell(&number.to_string(), Behind::Nothing).await;
            let at_once = server.written() > before;
            let text = peer.until("</body>").await;
            assert!(text.contains(&format!("<body>{number}</body>")), "{over:?}: {text}");
            peer.until("</message>").await;
            server.rests().await;
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
        server.sessions_are(|sessions| sessions[0].mailbox.outstanding() == 0).await;
        // What is fewer is asked about some time after the last of them, whoever has written it.
        for number in 31..34 {
            time::advance(Duration::from_millis(300)).await;
            assert_eq!(tell(&mut peer, number).await, (number > 31, false), "{over:?}, {number}");
        }
        let last = time::Instant::now();
        peer.until("<r xmlns='urn:xmpp:sm:3'/>").await;
        let after = last.elapsed();
        assert!((490..=510).contains(&after.as_millis()), "{over:?}: {after:?}");
        time::resume();
    }
}

/// XEP-0198 §5: what was written by others is sent again as anything else.
#[tokio::test]
async fn xep0198_s5_a_resumption_gives_exactly_what_is_not_acknowledged() {
    for over in PIPES {
        let server = Server::start().await;
        let mut peer = Peer::authenticated(&server, over, 65_536).await;
        peer.send(BIND).await;
        peer.until("</iq>").await;
        peer.send(ENABLE).await;
        peer.until(" id='").await;
        let id = peer.until("'").await.trim_end_matches('\'').to_owned();
        peer.until("/>").await;
        server.rests().await;
        for number in 0..8 {
            server.tell(&number.to_string(), Behind::Nothing).await;
            assert_eq!(peer.next().await, number.to_string());
            server.rests().await;
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
