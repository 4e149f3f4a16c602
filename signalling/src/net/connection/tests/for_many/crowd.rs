//! Many write to one client, in several threads.

use super::*;

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
            if managed {
                server.sessions_are(|sessions| sessions[0].mailbox.outstanding() == 0).await;
            }
            assert!(peer.far.by_others() > 0, "{over:?}, managed: {managed}: the connection's task has written all of it");
        }
    }
}

/// The connection is cut and resumed while others write: each stanza once, in order, as far as the client's counter goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn xep0198_s5_cut_and_resumed_while_others_write() {
    const ALL_TOLD: usize = 400;
    let mut by_others = 0;
    for over in PIPES {
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
                if let Some(old) = old {
                    by_others += old.far.by_others();
                }
            }
            assert_eq!(peer.next().await, count.to_string(), "{over:?}");
        }
        writer.await.unwrap();
        by_others += peer.far.by_others();
    }
    assert!(by_others > 0, "the connections' tasks have written all of it");
}
