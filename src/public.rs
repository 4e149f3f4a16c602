//! `server.public_address`: under which addresses the world sees this machine. Host names among them are looked up at the start and regularly
//! from then on, since addresses change where names stay (dynamic DNS); clients are told by XEP-0215 when they did.
//!
//! [`Answers`] decides; [`run`] asks the system's resolver and tells relay and clients.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use campanile_config::PublicAddress;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

/// How often names are looked up; the system's resolver keeps to the life of its answers. (Tests need not wait so long.)
const LOOK_EVERY: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(60) };
/// A name server that takes longer is as good as none.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Addresses kept of one name; a relay has one per family.
const ANSWERS_MAX: usize = 32;

/// What a name stands for, or why that is not known.
pub type Answer = io::Result<Vec<IpAddr>>;

/// Where to ask.
pub type Resolver = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// The system's resolver: `/etc/hosts`, DNS, or whatever else `nsswitch.conf` says.
pub fn system() -> Resolver {
    Box::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) }))
}

/// What the configuration says, anew with each reload.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `server.public_address`.
    pub addresses: Vec<PublicAddress>,
    /// The names of the relay that clients are told.
    pub hosts: Vec<String>,
}

/// The names' last good answers, and what was made of them.
#[derive(Debug, Default)]
pub struct Answers {
    names: BTreeMap<String, Known>,
    /// At most one of each family.
    chosen: Vec<IpAddr>,
    /// All that may lead here, the chosen first.
    own: Vec<IpAddr>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: Vec<IpAddr>,
    failing: bool,
}

/// What one round of answers changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The addresses of before.
    pub before: Vec<IpAddr>,
    /// Those of now.
    pub now: Vec<IpAddr>,
    /// Those of now, and behind them all others that were configured or answered: they are this machine's as well.
    pub own: Vec<IpAddr>,
    /// `own` is not what it was.
    pub has_moved: bool,
    /// Names that could not be looked up this time, but before; and why.
    pub failed: Vec<(String, String)>,
}

impl Answers {
    /// Takes over the answers of a round. A name without a good one keeps its last; the address in use stays as long as it is among the
    /// answers, in whichever order they come.
    pub fn settle(&mut self, configured: &[PublicAddress], round: Vec<(String, Answer)>) -> Change {
        let mut failed = Vec::new();
        self.names.retain(|name, _| round.iter().any(|(asked, _)| asked == name));
        for (name, answer) in round {
            let answer = answer.and_then(|addresses| {
                let mut usable: Vec<_> = addresses.iter().map(IpAddr::to_canonical).filter(is_usable).collect();
                usable.truncate(ANSWERS_MAX);
                if usable.is_empty() {
                    Err(io::Error::new(io::ErrorKind::NotFound, "no address that clients could use"))
                } else {
                    Ok(usable)
                }
            });
            let known = self.names.entry(name.clone()).or_default();
            match answer {
                Ok(addresses) => *known = Known { addresses, failing: false },
                Err(error) => {
                    if !std::mem::replace(&mut known.failing, true) {
                        failed.push((name, error.to_string()));
                    }
                }
            }
        }
        let choose = |v4: bool| {
            let of_family = |ip: &&IpAddr| ip.is_ipv4() == v4;
            configured.iter().find_map(|address| {
                let candidates = match address {
                    PublicAddress::Ip(ip) => std::slice::from_ref(ip),
                    PublicAddress::Name(name) => self.names.get(name).map_or(&[][..], |known| &known.addresses),
                };
                let in_use = candidates.iter().filter(of_family).find(|ip| self.chosen.contains(ip));
                in_use.or_else(|| candidates.iter().find(of_family)).copied()
            })
        };
        // A new name without an answer is no reason to forget the address in use.
        let is_waiting = self.names.values().any(|known| known.addresses.is_empty());
        let kept = |v4: bool| self.chosen.iter().copied().find(|ip| is_waiting && ip.is_ipv4() == v4);
        let of_each = [true, false].map(|v4| choose(v4).or_else(|| kept(v4)));
        let now: Vec<IpAddr> = of_each.into_iter().flatten().collect();
        let mut own = now.clone();
        let configured = configured.iter().filter_map(|address| match address {
            PublicAddress::Ip(ip) => Some(*ip),
            PublicAddress::Name(_) => None,
        });
        for ip in configured.chain(self.names.values().flat_map(|known| &known.addresses).copied()) {
            if !own.contains(&ip) {
                own.push(ip);
            }
        }
        // In whichever order a name server tells them.
        own[now.len()..].sort_unstable();
        let before = std::mem::replace(&mut self.chosen, now.clone());
        let has_moved = std::mem::replace(&mut self.own, own.clone()) != own;
        Change { before, now, own, has_moved, failed }
    }
}

/// Not what a broken name server may say.
fn is_usable(ip: &IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

async fn round(configured: &[PublicAddress], resolver: &Resolver) -> Vec<(String, Answer)> {
    let mut answers: Vec<(String, Answer)> = Vec::new();
    for address in configured {
        let PublicAddress::Name(name) = address else { continue };
        if answers.iter().any(|(asked, _)| asked == name) {
            continue;
        }
        let answer = timeout(LOOK_WITHIN, resolver(name.clone())).await;
        answers.push((name.clone(), answer.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))));
    }
    answers
}

/// The first round: every name must stand for something. Also tells [`Change::own`].
///
/// # Errors
/// The first that does not.
pub async fn start(configured: &[PublicAddress], resolver: &Resolver) -> anyhow::Result<(Answers, Vec<IpAddr>)> {
    let mut answers = Answers::default();
    let round = round(configured, resolver).await;
    let change = answers.settle(configured, round);
    if let Some((name, why)) = change.failed.into_iter().next() {
        return Err(anyhow::anyhow!(why)).with_context(|| format!("server.public_address: {name} cannot be looked up"));
    }
    Ok((answers, change.own))
}

/// Looks names up again and again, and at once when the configuration has changed, until `stop`. `tell` is told of each change, and of each new
/// configuration, with the addresses in force.
pub async fn run(
    mut answers: Answers,
    mut wanted: watch::Receiver<Wanted>,
    resolver: Resolver,
    tell: impl Fn(&Wanted, &Change),
    stop: CancellationToken,
) {
    let mut ticks = interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_new = tokio::select! {
            () = stop.cancelled() => return,
            changed = wanted.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            _ = ticks.tick() => false,
        };
        let current = wanted.borrow_and_update().clone();
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = round(&current.addresses, &resolver) => found,
        };
        let change = answers.settle(&current.addresses, found);
        for (name, error) in &change.failed {
            tracing::warn!(name, error, "server.public_address cannot be looked up, its last answer stays in use");
        }
        if change.before != change.now {
            tracing::info!(before = list(&change.before), now = list(&change.now), "the public address has changed");
        }
        if change.has_moved || is_new {
            tell(&current, &change);
        }
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn name(text: &str) -> PublicAddress {
        PublicAddress::Name(text.to_owned())
    }

    fn good(list: &[&str]) -> Answer {
        Ok(ips(list))
    }

    fn failure() -> Answer {
        Err(io::Error::other("SERVFAIL"))
    }

    #[test]
    fn one_address_of_each_family_in_the_order_of_the_list() {
        for (configured, answer, expected) in [
            (vec![name("a")], good(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]), &["192.0.2.1", "2001:db8::1"][..]),
            (
                vec![PublicAddress::Ip([203, 0, 113, 7].into()), name("a")],
                good(&["192.0.2.1", "2001:db8::1"]),
                &["203.0.113.7", "2001:db8::1"],
            ),
            (vec![name("a"), PublicAddress::Ip([203, 0, 113, 7].into())], good(&["::ffff:192.0.2.1"]), &["192.0.2.1"]),
            (vec![name("a")], good(&["0.0.0.0", "224.0.0.1", "192.0.2.1", "::"]), &["192.0.2.1"]),
        ] {
            let change = Answers::default().settle(&configured, vec![("a".to_owned(), answer)]);
            assert_eq!((change.before, change.now), (Vec::new(), ips(expected)));
        }
    }

    #[test]
    fn every_address_that_may_lead_here_is_own() {
        let configured = [name("a"), PublicAddress::Ip([203, 0, 113, 7].into()), name("b")];
        let mut answers = Answers::default();
        let mut settle = |a: &[&str]| {
            let change = answers.settle(&configured, vec![("a".to_owned(), good(a)), ("b".to_owned(), good(&["198.51.100.1"]))]);
            (change.own, change.has_moved)
        };
        assert_eq!(settle(&["192.0.2.9", "192.0.2.1"]), (ips(&["192.0.2.9", "192.0.2.1", "198.51.100.1", "203.0.113.7"]), true));
        assert!(!settle(&["192.0.2.1", "192.0.2.9"]).1);
        assert_eq!(settle(&["192.0.2.9"]), (ips(&["192.0.2.9", "198.51.100.1", "203.0.113.7"]), true));
    }

    #[test]
    fn an_address_stays_while_it_is_among_the_answers() {
        let configured = [name("a")];
        let mut answers = Answers::default();
        let mut settle = |answer| answers.settle(&configured, vec![("a".to_owned(), answer)]);
        assert_eq!(settle(good(&["192.0.2.1", "192.0.2.2"])).now, ips(&["192.0.2.1"]));
        // A name server that turns its list around.
        let change = settle(good(&["192.0.2.2", "192.0.2.1"]));
        assert_eq!((change.before, change.now), (ips(&["192.0.2.1"]), ips(&["192.0.2.1"])));
        let change = settle(good(&["192.0.2.3"]));
        assert_eq!((change.before, change.now), (ips(&["192.0.2.1"]), ips(&["192.0.2.3"])));
    }

    #[test]
    fn the_last_good_answer_stays_and_a_failure_is_told_once() {
        let configured = [name("a")];
        let mut answers = Answers::default();
        let mut settle = |answer| answers.settle(&configured, vec![("a".to_owned(), answer)]);
        settle(good(&["192.0.2.1"]));
        let told = |change: Change| (change.now, change.failed.len());
        assert_eq!(told(settle(failure())), (ips(&["192.0.2.1"]), 1));
        assert_eq!(told(settle(good(&[]))), (ips(&["192.0.2.1"]), 0));
        assert_eq!(told(settle(good(&["192.0.2.1"]))), (ips(&["192.0.2.1"]), 0));
        assert_eq!(told(settle(failure())), (ips(&["192.0.2.1"]), 1));
        // Another name, which nobody knows yet.
        let mut settle = |answer| answers.settle(&[name("b")], vec![("b".to_owned(), answer)]);
        assert_eq!(told(settle(failure())), (ips(&["192.0.2.1"]), 1));
        assert_eq!(told(settle(good(&["2001:db8::1"]))), (ips(&["2001:db8::1"]), 0));
    }

    /// Answers in order; the last one again and again.
    fn script(answers: impl IntoIterator<Item = Answer>) -> Resolver {
        let answers: Mutex<VecDeque<Answer>> = Mutex::new(answers.into_iter().collect());
        Box::new(move |_| {
            let mut answers = answers.lock().unwrap();
            let last = answers.len() == 1;
            let answer = answers.pop_front().unwrap();
            if last {
                answers.push_back(answer.as_ref().map(Clone::clone).map_err(|error| error.kind().into()));
            }
            Box::pin(std::future::ready(answer))
        })
    }

    #[tokio::test]
    async fn a_name_must_stand_for_something_at_the_start() {
        let error = start(&[name("relay.example.org")], &script([failure()])).await.unwrap_err();
        assert!(format!("{error:#}").contains("server.public_address: relay.example.org cannot be looked up: SERVFAIL"), "{error:#}");
        assert_eq!(start(&[], &script([failure()])).await.unwrap().1, ips(&[]));
        let local = start(&[name("localhost")], &system()).await.unwrap().1;
        assert!(local.iter().all(IpAddr::is_loopback) && !local.is_empty(), "{local:?}");
    }

    #[tokio::test]
    async fn names_are_looked_up_again_and_changes_are_told() {
        let wanted = |addresses: &[PublicAddress]| Wanted { addresses: addresses.to_vec(), hosts: Vec::new() };
        let first = wanted(&[name("a")]);
        let resolver = script([good(&["192.0.2.1"]), good(&["192.0.2.1"]), failure(), good(&["192.0.2.2"])]);
        let (answers, addresses) = start(&first.addresses, &resolver).await.unwrap();
        assert_eq!(addresses, ips(&["192.0.2.1"]));
        let (config, configured) = watch::channel(first);
        let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let tell = move |_: &Wanted, change: &Change| told.send((change.before.clone(), change.now.clone())).unwrap();
        let task = tokio::spawn(run(answers, configured, resolver, tell, stop.clone()));
        assert_eq!(changes.recv().await.unwrap(), (ips(&["192.0.2.1"]), ips(&["192.0.2.2"])));
        config.send(wanted(&[PublicAddress::Ip([203, 0, 113, 7].into())])).unwrap();
        assert_eq!(changes.recv().await.unwrap(), (ips(&["192.0.2.2"]), ips(&["203.0.113.7"])));
        stop.cancel();
        task.await.unwrap();
    }
}
