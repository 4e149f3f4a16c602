//! A room (XEP-0045) at `conference.localhost`, with so many occupants of one session and one account each. One of them says something (§7.4), and
//! again when it has arrived everywhere. The unit is one message that arrived: the right one, once at each occupant, its sender among them. Once every
//! room keeps an archive, as the server does by itself (XEP-0313), once none does. The floor is a loop that writes the message of the first server
//! measured to as many sockets, one write each.
//!
//! Besides, what it costs when one more enters (§7.2): the CPU time from its presence until it has all presence and the subject and everybody else has
//! its presence, and how many stanzas and bytes that is. It wants no history.
//!
//! Besides, how long a message takes between two others in that room, and between two in a room of their own, alone and while one occupant floods the
//! first room: a hundred messages of its own are always on their way. Each of the flood has to arrive at each occupant, once and in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;

use super::audience::{Amount, Audience, percentiles, result};
use super::{Load, median};
use crate::client::{Client, Target};
use crate::framer::attribute;
use crate::servers::Server;

/// Accounts that are in no audience: two for each probe, and the newcomer.
pub const OTHERS: usize = 5;
const NEWCOMER: usize = 4;
/// The message that shows what one looks like; as long as the ids of the others.
pub const SAMPLE: &str = "m-sample";
/// The nickname of those who are expected.
const EXPECTED: &str = "newcomer";
/// Messages of a flood that are on their way.
const FLOOD: u64 = 100;
/// Between two messages whose time is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// What an occupant gets: a message of the scenario's, the end of its own entrance, presence of the newcomer, the result of a request.
pub fn name(element: &[u8]) -> Option<String> {
    if element.starts_with(b"<message") {
        return match attribute(element, "id") {
            Some(id) if id.starts_with("m-") => Some(id.to_owned()),
            _ => is_subject(element).then(|| "entered".to_owned()),
        };
    }
    if element.starts_with(b"<presence") {
        let nick = attribute(element, "from")?.split('/').nth(1)?;
        let sign = if attribute(element, "type") == Some("unavailable") { '-' } else { '+' };
        return nick.starts_with(EXPECTED).then(|| format!("{sign}{nick}"));
    }
    result(element).map(str::to_owned)
}

/// §7.2.15: the last of what one gets who enters.
fn is_subject(element: &[u8]) -> bool {
    let has = |tag: &[u8]| element.windows(tag.len()).any(|bytes| bytes == tag);
    element.starts_with(b"<message") && has(b"<subject") && !has(b"<body")
}

fn entrance(room: &str, nick: &str) -> String {
    format!("<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>")
}

/// §10.1.2: an instant room.
fn instant(room: &str, id: &str) -> String {
    format!(
        "<iq to='{room}' type='set' id='{id}'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/>\
         </query></iq>"
    )
}

fn message(room: &str, id: &str) -> String {
    format!(
        "<message to='{room}' type='groupchat' id='{id}'><body>Thrice the brinded cat hath mewed. Thrice and once the hedge-pig whined.</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
}

fn new_room() -> String {
    format!("room{}@conference.localhost", super::super::unique())
}

/// A room and those who are in it.
pub struct Room<'a> {
    audience: &'a Audience,
    jid: String,
    count: u64,
}

impl<'a> Room<'a> {
    /// A new room, which all enter.
    pub async fn of(audience: &'a Audience) -> anyhow::Result<Self> {
        let (jid, id) = (new_room(), super::super::unique());
        for index in 0..audience.count {
            audience.writes(index, &entrance(&jid, &format!("witch{index}"))).await?;
            audience.one_has(index, "entered").await?;
            if index == 0 {
                audience.writes(0, &instant(&jid, &id)).await?;
                audience.one_has(0, &id).await?;
            }
        }
        Ok(Self { audience, jid, count: 0 })
    }

    /// What is sent to the floor.
    pub fn on_the_floor(audience: &'a Audience) -> Self {
        Self { audience, jid: String::new(), count: 0 }
    }

    /// Says something once, and gives what the first occupant got.
    pub async fn sample(&self) -> anyhow::Result<String> {
        self.say(SAMPLE).await?;
        self.audience.all_have(SAMPLE).await?;
        Ok(self.audience.sample())
    }

    /// The last one who entered speaks.
    async fn say(&self, id: &str) -> anyhow::Result<()> {
        if self.audience.is_on_the_floor() {
            return self.audience.send_to_floor(id).await;
        }
        self.audience.writes(self.audience.count - 1, &message(&self.jid, id)).await
    }

    async fn say_next(&mut self) -> anyhow::Result<String> {
        let id = numbered(self.count);
        self.count += 1;
        self.say(&id).await?;
        Ok(id)
    }

    /// One occupant says more than all can be told, until `end`.
    async fn flood(&mut self, end: Instant) -> anyhow::Result<()> {
        let first = self.count;
        let mut got = vec![first; self.audience.count];
        let mut missing = 0;
        loop {
            while Instant::now() < end && self.count - got[self.audience.count - 1] < FLOOD {
                self.say_next().await?;
                missing += self.audience.count;
            }
            if missing == 0 {
                return Ok(());
            }
            let (index, id) = self.audience.next().await.context("of the flood")?;
            ensure!(id == numbered(got[index]), "{id} for {} at {index}", numbered(got[index]));
            got[index] += 1;
            missing -= 1;
        }
    }
}

fn numbered(count: u64) -> String {
    format!("m-{:06}", count % 1_000_000)
}

impl Load for Room<'_> {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut messages = 0;
        while Instant::now() < end {
            let id = self.say_next().await?;
            self.audience.all_have(&id).await?;
            messages += 1;
        }
        Ok(messages * self.audience.count as u64)
    }
}

/// What it costs when one more enters.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    /// CPU time in µs: the median.
    pub cpu: f64,
    /// What was written to everybody, the newcomer among them.
    pub written: Amount,
}

/// One more enters and leaves, so many times; only what it enters for is measured.
pub async fn entrances(server: &Server, room: &Room<'_>, times: usize) -> anyhow::Result<Entrance> {
    let mut newcomer = server.log_in(false, NEWCOMER, "crowd").await?;
    let (mut costs, mut written) = (Vec::new(), Amount::default());
    for _ in 0..times {
        let (cpu, amount) = (server.cpu_exact()?, room.audience.amount());
        newcomer.send(&entrance(&room.jid, EXPECTED)).await?;
        let (mut own, mut presences) = (Amount::default(), 0);
        newcomer
            .take(|element| {
                own.add(element);
                // Some rooms send presence of their own.
                let from = attribute(element, "from").unwrap_or_default();
                presences += usize::from(element.starts_with(b"<presence") && from.contains('/'));
                Ok(is_subject(element))
            })
            .await?;
        room.audience.all_have(&format!("+{EXPECTED}")).await?;
        costs.push(server.cpu_exact()?.saturating_sub(cpu).as_secs_f64() * 1e6);
        ensure!(presences == room.audience.count + 1, "the newcomer got {presences} presences");
        let others = room.audience.amount();
        written = Amount { stanzas: own.stanzas + others.stanzas - amount.stanzas, bytes: own.bytes + others.bytes - amount.bytes };
        newcomer.send(&format!("<presence to='{}/{EXPECTED}' type='unavailable'/>", room.jid)).await?;
        newcomer.expect(|element| name(element).is_some_and(|name| name.starts_with('-'))).await?;
        room.audience.all_have(&format!("-{EXPECTED}")).await?;
    }
    Ok(Entrance { cpu: median(&mut costs), written })
}

/// The time between what one of two says and its arrival at the other, in ms, p50 and p99: in the room, and in a room of their own.
pub async fn latencies(server: &Server, room: &mut Room<'_>, flooded: bool, during: Duration) -> anyhow::Result<[[f64; 2]; 2]> {
    let there = Probe::start(server.target(false), ["u0", "u1"], room.jid.clone(), false);
    let elsewhere = Probe::start(server.target(false), ["u2", "u3"], new_room(), true);
    let (there, elsewhere) = (there.await?, elsewhere.await?);
    let end = Instant::now() + during;
    let worked = if flooded {
        room.flood(end).await
    } else {
        tokio::time::sleep(during).await;
        Ok(())
    };
    let (there, elsewhere) = (there.end().await, elsewhere.end().await);
    worked?;
    Ok([percentiles(there?)?, percentiles(elsewhere?)?])
}

/// Two who talk in a room. A thread of its own, so that what our readers have to do is no part of it.
struct Probe {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<Vec<Duration>>>,
}

impl Probe {
    /// Returns once both are in the room.
    async fn start(target: Target, accounts: [&'static str; 2], room: String, creates: bool) -> anyhow::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let thread = thread::spawn({
            let over = over.clone();
            move || -> anyhow::Result<Vec<Duration>> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let mut speaker = enter(&target, accounts[0], &room).await?;
                    if creates {
                        let id = super::super::unique();
                        speaker.send(&instant(&room, &id)).await?;
                        speaker.answer(&id).await?;
                    }
                    let mut listener = enter(&target, accounts[1], &room).await?;
                    // Whoever waits for it may have given up.
                    let _ = ready.send(());
                    let (reader, mut writer) = speaker.split()?;
                    let reading = reader.run(|_| ());
                    let mut times = Vec::new();
                    let talking = async {
                        while !over.load(Ordering::Relaxed) {
                            let id = format!("probe{}", times.len());
                            let before = Instant::now();
                            writer.write_all(message(&room, &id).as_bytes()).await?;
                            listener.expect(|element| attribute(element, "id") == Some(&id)).await?;
                            times.push(before.elapsed());
                            // The listener reads what comes between two of them as it waits for the next.
                            tokio::time::sleep(PAUSE).await;
                        }
                        anyhow::Ok(())
                    };
                    tokio::select! {
                        talked = talking => talked?,
                        ended = reading => anyhow::bail!("the speaker's connection ended: {ended:?}"),
                    }
                    Ok(times)
                })
            }
        });
        if is_ready.await.is_err() {
            thread.join().map_err(|_| anyhow::anyhow!("a probe panicked"))??;
            anyhow::bail!("a probe did not start");
        }
        Ok(Self { over, thread })
    }

    async fn end(self) -> anyhow::Result<Vec<Duration>> {
        self.over.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || self.thread.join()).await?.map_err(|_| anyhow::anyhow!("a probe panicked"))?
    }
}

async fn enter(target: &Target, account: &str, room: &str) -> anyhow::Result<Client> {
    let mut client = Client::log_in(target, account, "probe").await?;
    client.send(&entrance(room, account)).await?;
    client.expect(is_subject).await.context("entrance")?;
    Ok(client)
}
