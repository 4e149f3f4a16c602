//! A page of the message archive (XEP-0313): 50 messages of 500, going back page by page and round again. The unit is one page, of which
//! 50 results and the `<fin/>` arrived.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::Load;
use super::message::write;
use crate::client::Client;
use crate::framer::attribute;
use crate::servers::Server;

const PAGE: usize = 50;
const MESSAGES: u64 = 500;

/// The session that reads its archive.
pub struct Pages {
    client: Client,
    before: String,
}

impl Pages {
    /// Fills the archive of an account that nobody else uses.
    pub async fn of(server: &Server, tls: bool) -> anyhow::Result<Self> {
        let mut alice = server.log_in(tls, 0, "writer").await?;
        let mut client = server.log_in(tls, 3, "reader").await?;
        let to = client.jid.split('/').next().unwrap_or_default().to_owned();
        let mut text = String::new();
        for number in 0..MESSAGES {
            write(&mut text, &to, number);
        }
        alice.send(&text).await?;
        let mut count = 0;
        client
            .take(|element| {
                count += u64::from(element.starts_with(b"<message"));
                Ok(count == MESSAGES)
            })
            .await?;
        Ok(Self { client, before: String::new() })
    }

    async fn page(&mut self) -> anyhow::Result<()> {
        let id = format!("page{}", crate::unique());
        let before = if self.before.is_empty() { "<before/>".to_owned() } else { format!("<before>{}</before>", self.before) };
        self.client
            .send(&format!(
                "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2' queryid='{id}'><set xmlns='http://jabber.org/protocol/rsm'>\
                 <max>{PAGE}</max>{before}</set></query></iq>"
            ))
            .await?;
        let mut results = 0;
        let mut fin = String::new();
        self.client
            .take(|element| {
                if element.starts_with(b"<message") {
                    results += 1;
                    ensure!(String::from_utf8_lossy(element).contains("Wherefore"), "a result without its message");
                } else if attribute(element, "id") == Some(&id) {
                    fin = String::from_utf8_lossy(element).into_owned();
                }
                Ok(!fin.is_empty())
            })
            .await?;
        ensure!(results == PAGE, "{results} results: {fin}");
        let first = fin.split("<first").nth(1).and_then(|rest| rest.split('>').nth(1)?.split('<').next()).context("no first id")?;
        let complete = fin.contains("complete='true'") || fin.contains("complete=\"true\"");
        self.before = if complete { String::new() } else { first.to_owned() };
        Ok(())
    }
}

impl Load for Pages {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut count = 0;
        while Instant::now() < end {
            // Ten pages are the whole archive; whether a server says `complete` with the tenth or with an empty eleventh is its own.
            if count % (MESSAGES / PAGE as u64) == 0 {
                self.before.clear();
            }
            self.page().await?;
            count += 1;
        }
        Ok(count)
    }
}
