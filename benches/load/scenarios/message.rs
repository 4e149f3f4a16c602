//! A chat message between two sessions of two accounts, to the bare JID, 250 bytes: body, chat state, receipt request. The unit is one
//! message that arrived: with its sender's address, in order, each once. One at a time, the next is sent when the last has arrived;
//! pipelined, up to a hundred are under way, and half of them are sent with one write when half have arrived. Side by side, many pairs of
//! sessions do so at once, each with one message at a time.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::ensure;

use super::Load;
use crate::client::Client;
use crate::framer::attribute;
use crate::servers::Server;
use crate::servers::floor::Floor;

/// How many messages are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One at a time.
    One,
    /// Pipelined.
    Hundred,
}

/// The two sessions.
pub struct Messages {
    alice: Client,
    bob: Client,
    to: String,
    window: u64,
    /// How many have been sent and have arrived so far.
    done: u64,
}

impl Messages {
    /// Logs both in, of the pair of accounts with this number.
    pub async fn between_sessions(server: &Server, tls: bool, pair: usize, window: Window) -> anyhow::Result<Self> {
        let mut alice = server.log_in(tls, 2 * pair, "phone").await?;
        let bob = server.log_in(tls, 2 * pair + 1, "laptop").await?;
        alice.settle().await?;
        Ok(Self::new(alice, bob, window))
    }

    /// Connects both to the floor, which needs no log-in.
    pub async fn on_the_floor(floor: &Floor, window: Window) -> anyhow::Result<Self> {
        Ok(Self::new(Client::connect(floor.address).await?, Client::connect(floor.address).await?, window))
    }

    fn new(alice: Client, bob: Client, window: Window) -> Self {
        let to = bob.jid.split('/').next().unwrap_or_default().to_owned();
        let window = match window {
            Window::One => 1,
            Window::Hundred => 100,
        };
        Self { alice, bob, to, window, done: 0 }
    }
}

impl Load for Messages {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let Self { alice, bob, to, window, done } = self;
        let first = *done;
        let mut sent = first;
        let mut text = String::new();
        loop {
            if Instant::now() < end {
                text.clear();
                while sent - *done < *window {
                    write(&mut text, to, sent);
                    sent += 1;
                }
                alice.send(&text).await?;
            }
            if sent == *done {
                return Ok(sent - first);
            }
            let enough = *done + (sent - *done).min((*window).div_ceil(2));
            bob.take(|element| {
                if element.starts_with(b"<message") {
                    ensure!(
                        attribute(element, "id").and_then(|id| id.strip_prefix('m')?.parse().ok()) == Some(*done)
                            && attribute(element, "from").unwrap_or_default() == alice.jid,
                        "not message {done}: {}",
                        String::from_utf8_lossy(element)
                    );
                    *done += 1;
                }
                Ok(*done == enough)
            })
            .await?;
        }
    }
}

/// Appends a message.
pub fn write(text: &mut String, to: &str, number: u64) {
    write!(
        text,
        "<message to='{to}' id='m{number}' type='chat'><body>Wherefore art thou, Romeo? Deny thy father and refuse thy name.</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>"
    )
    .expect("a string takes it");
}
