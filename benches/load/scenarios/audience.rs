//! Many sessions that are all told the same: they read side by side, and what each of them got is checked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::crowd;
use crate::client::Client;
use crate::servers::Server;
use crate::servers::floor::Floor;

/// How long anything may take to arrive everywhere.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an element is to be noted as, if at all.
pub type Name = fn(&[u8]) -> Option<String>;

/// Stanzas that were noted, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amount {
    pub stanzas: u64,
    pub bytes: u64,
}

impl Amount {
    pub fn add(&mut self, element: &[u8]) {
        self.stanzas += 1;
        self.bytes += element.len() as u64;
    }
}

/// The sessions.
pub struct Audience {
    /// Their accounts, and where they write.
    writers: Mutex<Vec<(String, OwnedWriteHalf)>>,
    /// Which of them got what.
    arrivals: Mutex<mpsc::UnboundedReceiver<(usize, String)>>,
    /// The last message of the first of them.
    seen: Rc<RefCell<String>>,
    amount: Rc<Cell<Amount>>,
    /// On the floor: whoever sends, and what is sent, with its name in two parts.
    source: Option<(Mutex<Client>, [String; 2])>,
    /// How many they are.
    pub count: usize,
    /// They end with it.
    _readers: JoinSet<()>,
}

impl Audience {
    /// Logs them in: the accounts from this one on.
    pub async fn log_in(server: &Server, first: usize, count: usize, name: Name) -> anyhow::Result<Self> {
        Self::read(crowd::log_in(server, false, first..first + count).await?, None, name)
    }

    /// As many connections to the floor; `sample` is what each of them gets when the name is `named`.
    pub async fn on_the_floor(floor: &Floor, count: usize, sample: &str, named: &str, name: Name) -> anyhow::Result<Self> {
        let sender = Client::connect(floor.address).await?;
        let (before, after) = sample.split_once(named).context("the sample shows its name")?;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Client::connect(floor.address).await?);
        }
        Self::read(clients, Some((Mutex::new(sender), [before.to_owned(), after.to_owned()])), name)
    }

    fn read(clients: Vec<Client>, source: Option<(Mutex<Client>, [String; 2])>, name: Name) -> anyhow::Result<Self> {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (seen, amount) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(Amount::default())));
        let (mut writers, mut readers) = (Vec::new(), JoinSet::new());
        for (index, client) in clients.into_iter().enumerate() {
            let account = client.jid.split('/').next().unwrap_or_default().to_owned();
            let (reader, writer) = client.split()?;
            writers.push((account, writer));
            let (arrived, seen, amount) = (arrived.clone(), seen.clone(), amount.clone());
            readers.spawn_local(async move {
                let each = |element: &[u8]| {
                    if let Some(what) = name(element) {
                        if index == 0 && element.starts_with(b"<message") {
                            *seen.borrow_mut() = String::from_utf8_lossy(element).into_owned();
                        }
                        let mut sum = amount.get();
                        sum.add(element);
                        amount.set(sum);
                        // Nobody listens any more when the scenario has ended.
                        let _ = arrived.send((index, what));
                    }
                };
                // That a connection broke shows as something that does not arrive.
                let _ = reader.run(each).await;
            });
        }
        let (writers, arrivals) = (Mutex::new(writers), Mutex::new(arrivals));
        Ok(Self { count: readers.len(), writers, arrivals, seen, amount, source, _readers: readers })
    }

    /// Lets each write something, by its number and its account.
    pub async fn each_writes(&self, text: impl Fn(usize, &str) -> String) -> anyhow::Result<()> {
        for (index, (account, writer)) in self.writers.lock().await.iter_mut().enumerate() {
            writer.write_all(text(index, account).as_bytes()).await?;
        }
        Ok(())
    }

    /// Lets one of them write something.
    pub async fn writes(&self, index: usize, text: &str) -> anyhow::Result<()> {
        let mut writers = self.writers.lock().await;
        let (_, writer) = writers.get_mut(index).context("nobody has this number")?;
        Ok(writer.write_all(text.as_bytes()).await?)
    }

    /// On the floor: what is sent gets this name.
    pub async fn send_to_floor(&self, named: &str) -> anyhow::Result<()> {
        let (sender, [before, after]) = self.source.as_ref().context("not on the floor")?;
        sender.lock().await.send(&format!("{before}{named}{after}")).await
    }

    /// Whether they are connected to the floor.
    pub fn is_on_the_floor(&self) -> bool {
        self.source.is_some()
    }

    /// The last message of the first of them.
    pub fn sample(&self) -> String {
        self.seen.borrow().clone()
    }

    /// All that was noted so far.
    pub fn amount(&self) -> Amount {
        self.amount.get()
    }

    /// The next arrival: at whom, and what.
    pub async fn next(&self) -> anyhow::Result<(usize, String)> {
        let arrival = tokio::time::timeout(PATIENCE, async { self.arrivals.lock().await.recv().await }).await;
        arrival.context("nothing arrived")?.context("readers hold a sender")
    }

    /// Waits until one has got this, and nobody anything else.
    pub async fn one_has(&self, index: usize, expected: &str) -> anyhow::Result<()> {
        let (at, what) = self.next().await.with_context(|| format!("{expected} of {index}"))?;
        ensure!(at == index && what == expected, "{what} at {at} for {expected} at {index}");
        Ok(())
    }

    /// Waits until each has got this, once, and nothing else.
    pub async fn all_have(&self, expected: &str) -> anyhow::Result<()> {
        let mut got = vec![false; self.count];
        for count in 0..self.count {
            let (index, what) = self.next().await.with_context(|| format!("{expected} arrived at {count} only"))?;
            ensure!(what == expected && !std::mem::replace(&mut got[index], true), "{what} for {expected} at {index}");
        }
        Ok(())
    }
}

/// The id of the result of a request.
pub fn result(element: &[u8]) -> Option<&str> {
    let is_result = element.starts_with(b"<iq") && crate::framer::attribute(element, "type") == Some("result");
    is_result.then(|| crate::framer::attribute(element, "id")).flatten()
}

/// p50 and p99, in ms.
pub fn percentiles(mut times: Vec<Duration>) -> anyhow::Result<[f64; 2]> {
    ensure!(!times.is_empty(), "nothing was measured");
    times.sort_unstable();
    Ok([times.len() / 2, times.len() * 99 / 100].map(|at| times[at].as_secs_f64() * 1e3))
}
