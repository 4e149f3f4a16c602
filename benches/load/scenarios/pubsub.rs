//! A notification of PubSub (XEP-0060 §7.1.2): a node at `pubsub.localhost`, to which accounts with one session each have subscribed by their bare JID;
//! one publishes an Atom entry, and the next when the last has arrived everywhere. The unit is one notification that arrived: the right item, once
//! at each subscriber. Once the node keeps its items, once it does not. The floor is a loop that writes the notification of the first server
//! measured to as many sockets, one write each.
//!
//! Besides, how long a publication takes to reach the one subscriber of another node, alone and while the first node is kept busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::Load;
use super::audience::{Audience, percentiles, result};
use crate::client::Client;
use crate::servers::Server;

const SERVICE: &str = "pubsub.localhost";
/// Between two publications whose time is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// What a subscriber gets: the item of an event, or the result of its request.
pub fn name(element: &[u8]) -> Option<String> {
    item(element).or_else(|| result(element)).map(str::to_owned)
}

/// The id of the item in an event.
fn item(element: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(element.strip_prefix(b"<message")?).ok()?;
    let tag = text.split("<item ").nth(1)?.split('>').next()?;
    let value = tag.split("id=").nth(1)?;
    value.get(1..)?.split(value.chars().next()?).next()
}

/// One node and who publishes to it.
pub struct Feed<'s> {
    publisher: Option<Client>,
    node: String,
    subscribers: &'s Audience,
    count: u64,
}

/// The item that shows what a notification looks like; as long as the ids of the others.
pub const SAMPLE: &str = "item-sample";

impl<'s> Feed<'s> {
    /// A new node, to which all subscribe.
    pub async fn of(server: &Server, subscribers: &'s Audience, kept: bool) -> anyhow::Result<Self> {
        let mut publisher = server.log_in(false, 0, &super::super::unique()).await?;
        let node = create(&mut publisher, kept).await?;
        let id = super::super::unique();
        subscribers.each_writes(|_, account| subscription(account, &node, &id)).await?;
        subscribers.all_have(&id).await?;
        Ok(Self { publisher: Some(publisher), node, subscribers, count: 0 })
    }

    /// What is sent to the floor.
    pub fn on_the_floor(subscribers: &'s Audience) -> Self {
        Self { publisher: None, node: String::new(), subscribers, count: 0 }
    }

    /// Publishes once, and gives what the first subscriber got.
    pub async fn sample(&mut self) -> anyhow::Result<String> {
        self.publish(SAMPLE).await?;
        Ok(self.subscribers.sample())
    }

    async fn publish(&mut self, item: &str) -> anyhow::Result<()> {
        match &mut self.publisher {
            Some(publisher) => publish(publisher, &self.node, item).await?,
            None => self.subscribers.send_to_floor(item).await?,
        }
        self.subscribers.all_have(item).await
    }

    async fn publish_next(&mut self) -> anyhow::Result<()> {
        self.count += 1;
        self.publish(&format!("item-{:06}", self.count % 1_000_000)).await
    }
}

impl Load for Feed<'_> {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut publications = 0;
        while Instant::now() < end {
            self.publish_next().await?;
            publications += 1;
        }
        Ok(publications * self.subscribers.count as u64)
    }
}

/// The time between a publication and its arrival at the only subscriber of a node of its own, in ms: p50 and p99. A thread of its own, so that what
/// our readers have to do is no part of it.
pub async fn latency(server: &Server, busy: Option<&mut Feed<'_>>, during: Duration) -> anyhow::Result<[f64; 2]> {
    let (target, over) = (server.target(false), Arc::new(AtomicBool::new(false)));
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let probe = thread::spawn({
        let over = over.clone();
        move || -> anyhow::Result<Vec<Duration>> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut publisher = Client::log_in(&target, "u0", &super::super::unique()).await?;
                let mut subscriber = Client::log_in(&target, "u1", "probe").await?;
                let node = create(&mut publisher, false).await?;
                subscribe(&mut subscriber, &node).await?;
                // Whoever waits for it may have given up.
                let _ = ready.send(());
                let mut times = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let id = format!("probe{}", times.len());
                    let before = Instant::now();
                    publish(&mut publisher, &node, &id).await?;
                    subscriber.expect(|element| item(element) == Some(&id)).await?;
                    times.push(before.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(times)
            })
        }
    });
    let work = async {
        is_ready.await.context("the probe did not start")?;
        let end = Instant::now() + during;
        match busy {
            Some(feed) => drop(feed.round(end).await?),
            None => tokio::time::sleep(during).await,
        }
        anyhow::Ok(())
    };
    let worked = work.await;
    over.store(true, Ordering::Relaxed);
    let probed = tokio::task::spawn_blocking(move || probe.join()).await?.map_err(|_| anyhow::anyhow!("the probe panicked"))?;
    worked?;
    percentiles(probed?)
}

async fn create(client: &mut Client, kept: bool) -> anyhow::Result<String> {
    let (id, node) = (super::super::unique(), format!("node{}", super::super::unique()));
    let field = |name: &str, value: &str| format!("<field var='pubsub#{name}'><value>{value}</value></field>");
    let fields = field("access_model", "open") + &field("persist_items", if kept { "1" } else { "0" }) + &field("deliver_payloads", "1");
    client
        .send(&format!(
            "<iq to='{SERVICE}' type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='{node}'/><configure>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#node_config</value></field>{fields}</x></configure></pubsub></iq>"
        ))
        .await?;
    client.answer(&id).await.context("create")?;
    Ok(node)
}

async fn subscribe(client: &mut Client, node: &str) -> anyhow::Result<()> {
    let (id, jid) = (super::super::unique(), client.jid.split('/').next().unwrap_or_default().to_owned());
    client.send(&subscription(&jid, node, &id)).await?;
    client.answer(&id).await.context("subscribe")?;
    Ok(())
}

fn subscription(account: &str, node: &str, id: &str) -> String {
    format!(
        "<iq to='{SERVICE}' type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
         <subscribe node='{node}' jid='{account}'/></pubsub></iq>"
    )
}

async fn publish(client: &mut Client, node: &str, item: &str) -> anyhow::Result<()> {
    let id = super::super::unique();
    client
        .send(&format!(
            "<iq to='{SERVICE}' type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{item}'>\
             <entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title><summary>To be, or not to be: that is the question: Whether \
             tis nobler in the mind to suffer the slings and arrows of outrageous fortune</summary><link rel='alternate' type='text/html' \
             href='http://denmark.lit/2003/12/13/atom03'/><id>tag:denmark.lit,2003:entry-32397</id><published>2003-12-13T18:30:02Z</published>\
             </entry></item></publish></pubsub></iq>"
        ))
        .await?;
    client.answer(&id).await.context("publish")?;
    Ok(())
}
