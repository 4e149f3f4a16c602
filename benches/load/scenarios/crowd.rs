//! Messages among many sessions, each of its own account: sender and addressee are drawn anew for each message. Eight are under way, few
//! enough that seldom two come together, however small the crowd. The unit is one message that arrived at the session it was for. Flat means
//! that a message costs the same however many are connected. On the floor the sender is drawn, and the addressee is the other of its pair.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Load;
use super::message::write;
use crate::client::Client;
use crate::framer::attribute;
use crate::servers::Server;
use crate::servers::floor::Floor;

/// Log-ins at the same time.
const AT_ONCE: usize = 8;
const WINDOW: usize = 8;

/// Logs in the accounts with these numbers.
pub async fn log_in(server: &Server, tls: bool, accounts: Range<usize>) -> anyhow::Result<Vec<Client>> {
    let target = server.target(tls);
    let next = Rc::new(RefCell::new(accounts.clone()));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (target, next) = (target.clone(), next.clone());
        workers.spawn_local(async move {
            let mut clients = Vec::new();
            loop {
                let Some(account) = next.borrow_mut().next() else { return anyhow::Ok(clients) };
                let mut client = Client::log_in(&target, &format!("u{account}"), "crowd").await?;
                client.rest();
                clients.push(client);
            }
        });
    }
    let mut all = Vec::with_capacity(accounts.len());
    while let Some(clients) = workers.join_next().await {
        all.extend(clients.context("a task of ours")??);
    }
    Ok(all)
}

/// Many sessions.
pub struct Crowd {
    writers: Vec<(String, OwnedWriteHalf)>,
    /// Who got which message.
    arrivals: mpsc::UnboundedReceiver<(usize, u64)>,
    arrived: mpsc::UnboundedSender<(usize, u64)>,
    readers: JoinSet<()>,
    /// For whom each message under way is.
    under_way: HashMap<u64, usize>,
    count: u64,
    random: u64,
    /// Each writes to the other of its pair only.
    paired: bool,
}

impl Crowd {
    /// Nobody.
    pub fn empty() -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (writers, readers) = (Vec::new(), JoinSet::new());
        Self { writers, arrivals, arrived, readers, under_way: HashMap::new(), count: 0, random: 0x2545_f491_4f6c_dd1d, paired: false }
    }

    /// Lets sessions join until there are this many.
    pub async fn grow(&mut self, server: &Server, size: usize) -> anyhow::Result<()> {
        self.add(log_in(server, false, self.writers.len()..size).await?)
    }

    /// The same with connections to the floor, two by two.
    pub async fn grow_on_the_floor(&mut self, floor: &Floor, size: usize) -> anyhow::Result<()> {
        self.paired = true;
        let mut clients = Vec::new();
        while self.writers.len() + clients.len() < size.next_multiple_of(2) {
            clients.push(Client::connect(floor.address).await?);
        }
        self.add(clients)
    }

    fn add(&mut self, clients: Vec<Client>) -> anyhow::Result<()> {
        for client in clients {
            let account = client.jid.split('/').next().unwrap_or_default().to_owned();
            let (reader, writer) = client.split()?;
            let (index, arrived) = (self.writers.len(), self.arrived.clone());
            self.writers.push((account, writer));
            self.readers.spawn_local(async move {
                let each = |element: &[u8]| {
                    let number = attribute(element, "id").and_then(|id| id.strip_prefix('m')?.parse().ok());
                    if let (true, Some(number)) = (element.starts_with(b"<message"), number) {
                        // Nobody listens any more when the scenario has ended.
                        let _ = arrived.send((index, number));
                    }
                };
                // That a connection broke shows as a message that does not arrive.
                let _ = reader.run(each).await;
            });
        }
        Ok(())
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        let from = self.draw();
        let to = if self.paired { from ^ 1 } else { self.draw() };
        let mut text = String::new();
        write(&mut text, &self.writers[to].0, self.count);
        self.under_way.insert(self.count, to);
        self.count += 1;
        self.writers[from].1.write_all(text.as_bytes()).await?;
        Ok(())
    }

    /// xorshift64*: the same draws for every server.
    fn draw(&mut self) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % self.writers.len()
    }
}

impl Load for &mut Crowd {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut done = 0;
        for _ in 0..WINDOW {
            self.send().await?;
        }
        while !self.under_way.is_empty() {
            let arrival = tokio::time::timeout(std::time::Duration::from_secs(60), self.arrivals.recv()).await;
            let (index, number) = arrival.context("a message did not arrive")?.context("we hold a sender")?;
            ensure!(self.under_way.remove(&number) == Some(index), "message {number} arrived at {index}");
            done += 1;
            if Instant::now() < end {
                self.send().await?;
            }
        }
        Ok(done)
    }
}
