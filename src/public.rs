//! `server.public_address`: under which addresses the world sees this machine. Host names among them are looked up at the start and regularly
//! from then on, since addresses change where names stay (dynamic DNS); clients are told by XEP-0215 when they did.
//!
//! [`Answers`] decides; [`run`] asks the system's resolver and tells relay and clients.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use campanile_config::PublicAddress;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

/// How often names are looked up; the system's resolver keeps to the life of its answers. (Tests need not wait so long.)
const LOOK_EVERY: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(60) };
/// A name server that takes longer is as good as none.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Addresses kept of one name; a relay has one per family.
const ANSWERS_MAX: usize = 32;
/// How long an address that a name stood for counts as this machine's: name servers tell a long list in part, each time another one.
const OWN_FOR: Duration = Duration::from_secs(3600);
/// Such addresses kept of one name, the latest.
const OWN_MAX: usize = 64;

/// What a name stands for, or why that is not known.
pub type Answer = io::Result<Vec<IpAddr>>;

/// Where to ask.
pub type Resolver = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// The system's resolver: `/etc/hosts`, DNS, or whatever else `nsswitch.conf` says.
pub fn system() -> Resolver {
    Box::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) }))
}

/// What the configuration says, anew with each reload.
#[derive(Debug, Clone, Default)]
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
    /// What clients are told.
    hosts: Vec<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// The last good answer.
    addresses: Vec<IpAddr>,
    /// Every address of the last hour's answers, the latest first.
    seen: Vec<(IpAddr, Instant)>,
    failing: bool,
}

impl Known {
    fn answered(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        self.seen.retain(|(ip, at)| !addresses.contains(ip) && now.saturating_duration_since(*at) < OWN_FOR);
        self.seen.splice(..0, addresses.iter().map(|ip| (*ip, now)));
        self.seen.truncate(OWN_MAX);
        self.addresses = addresses;
        self.failing = false;
    }

    /// The last good answer, however old, and those of the last hour.
    fn own(&self, now: Instant) -> impl Iterator<Item = IpAddr> {
        let seen = self.seen.iter().filter(move |(_, at)| now.saturating_duration_since(*at) < OWN_FOR).map(|(ip, _)| *ip);
        self.addresses.iter().copied().chain(seen)
    }
}

/// What one round of answers changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The addresses of before.
    pub before: Vec<IpAddr>,
    /// Those of now.
    pub now: Vec<IpAddr>,
    /// Those of now, and behind them all others that are configured or were answered in the last hour: they are this machine's as well.
    pub own: Vec<IpAddr>,
    /// The names of the relay that clients are told: the wanted ones, without those that never had a good answer; those of before, if none is left.
    pub hosts: Vec<String>,
    /// `own` or `hosts` is not what it was.
    pub has_moved: bool,
    /// Names that could not be looked up this time, but before; and why.
    pub failed: Vec<(String, String)>,
}

impl Answers {
    /// Takes over the answers of a round. A name without a good one keeps its last; the address in use stays as long as it is among the
    /// answers, in whichever order they come.
    pub fn settle(&mut self, wanted: &Wanted, round: Vec<(String, Answer)>, now: Instant) -> Change {
        let configured = &wanted.addresses;
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
                Ok(addresses) => known.answered(addresses, now),
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
        let chosen: Vec<IpAddr> = of_each.into_iter().flatten().collect();
        let mut own = chosen.clone();
        let configured = configured.iter().filter_map(|address| match address {
            PublicAddress::Ip(ip) => Some(*ip),
            PublicAddress::Name(_) => None,
        });
        for ip in configured.chain(self.names.values().flat_map(|known| known.own(now))) {
            if !own.contains(&ip) {
                own.push(ip);
            }
        }
        // In whichever order a name server tells them.
        own[chosen.len()..].sort_unstable();
        let hosts = self.good_hosts(wanted);
        let has_moved = own != self.own || hosts != self.hosts;
        (self.own, self.hosts) = (own.clone(), hosts.clone());
        let before = std::mem::replace(&mut self.chosen, chosen.clone());
        Change { before, now: chosen, own, hosts, has_moved, failed }
    }

    /// A name that nobody can look up must not take the place of one that works.
    fn good_hosts(&self, wanted: &Wanted) -> Vec<String> {
        let is_good = |host: &&String| self.names.get(*host).is_none_or(|known| !known.addresses.is_empty());
        let good: Vec<String> = wanted.hosts.iter().filter(is_good).cloned().collect();
        if good.is_empty() && !self.hosts.is_empty() { self.hosts.clone() } else { good }
    }
}

/// Not what a broken name server may say.
fn is_usable(ip: &IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

/// Asks for all names side by side: one that is slow holds up no other.
async fn round(configured: &[PublicAddress], resolver: &Resolver) -> Vec<(String, Answer)> {
    let names: BTreeSet<_> = configured
        .iter()
        .filter_map(|address| match address {
            PublicAddress::Ip(_) => None,
            PublicAddress::Name(name) => Some(name.clone()),
        })
        .collect();
    let look = async |name: String| {
        let answer = timeout(LOOK_WITHIN, resolver(name.clone())).await;
        (name, answer.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))))
    };
    join_all(names.into_iter().map(look)).await
}

/// The first round: every name must stand for something. Also tells [`Change::own`].
///
/// # Errors
/// The first that does not.
pub async fn start(wanted: &Wanted, resolver: &Resolver) -> anyhow::Result<(Answers, Vec<IpAddr>)> {
    let mut answers = Answers::default();
    let round = round(&wanted.addresses, resolver).await;
    let change = answers.settle(wanted, round, Instant::now());
    if let Some((name, why)) = change.failed.into_iter().next() {
        return Err(anyhow::anyhow!(why)).with_context(|| format!("server.public_address: {name} cannot be looked up"));
    }
    Ok((answers, change.own))
}

/// Looks names up again and again, and at once when the configuration has changed, until `stop`. `tell` is told of each change.
pub async fn run(
    mut answers: Answers,
    mut wanted: watch::Receiver<Wanted>,
    resolver: Resolver,
    tell: impl Fn(&Change),
    stop: CancellationToken,
) {
    let mut ticks = interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_due = false;
    loop {
        if !is_due {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                _ = ticks.tick() => {}
            }
        }
        let current = wanted.borrow_and_update().clone();
        let found = tokio::select! {
            () = stop.cancelled() => return,
            // What is asked for now is not what is wanted any more.
            changed = wanted.changed() => match changed {
                Ok(()) => {
                    is_due = true;
                    continue;
                }
                Err(_) => return,
            },
            found = round(&current.addresses, &resolver) => found,
        };
        is_due = false;
        let change = answers.settle(&current, found, Instant::now());
        if change.has_moved {
            tell(&change);
        }
        for (name, error) in &change.failed {
            tracing::warn!(name, error, "server.public_address cannot be looked up, its last answer stays in use");
        }
        if change.before != change.now {
            tracing::info!(before = list(&change.before), now = list(&change.now), "the public address has changed");
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

    /// What [`names::turn_hosts`] makes of it, where the relay has no name of its own.
    ///
    /// [`names::turn_hosts`]: crate::names::turn_hosts
    fn wanted(addresses: &[PublicAddress]) -> Wanted {
        Wanted { addresses: addresses.to_vec(), hosts: addresses.iter().map(ToString::to_string).collect() }
    }

    /// A round of answers that come now.
    fn settle(answers: &mut Answers, configured: &[PublicAddress], round: impl IntoIterator<Item = (&'static str, Answer)>) -> Change {
        let round = round.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect();
        answers.settle(&wanted(configured), round, Instant::now())
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
            let change = settle(&mut Answers::default(), &configured, [("a", answer)]);
            assert_eq!((change.before, change.now), (Vec::new(), ips(expected)));
        }
    }

    #[test]
    fn every_address_that_may_lead_here_is_own() {
        let configured = wanted(&[name("a"), PublicAddress::Ip([203, 0, 113, 7].into()), name("b")]);
        let mut answers = Answers::default();
        let start = Instant::now();
        let mut settle = |a: &[&str], after_s: u64| {
            let round = vec![("a".to_owned(), good(a)), ("b".to_owned(), good(&["198.51.100.1"]))];
            let change = answers.settle(&configured, round, start + Duration::from_secs(after_s));
            (change.own, change.has_moved)
        };
        let all = ips(&["192.0.2.9", "192.0.2.1", "198.51.100.1", "203.0.113.7"]);
        assert_eq!(settle(&["192.0.2.9", "192.0.2.1"], 0), (all.clone(), true));
        assert!(!settle(&["192.0.2.1", "192.0.2.9"], 60).1);
        // What a name server leaves out this time is still ours, for an hour.
        assert_eq!(settle(&["192.0.2.9"], 120), (all.clone(), false));
        assert_eq!(settle(&["192.0.2.9", "192.0.2.1"], 180), (all.clone(), false));
        assert_eq!(settle(&["192.0.2.9"], 180 + OWN_FOR.as_secs() - 1), (all, false));
        assert_eq!(settle(&["192.0.2.9"], 180 + OWN_FOR.as_secs()), (ips(&["192.0.2.9", "198.51.100.1", "203.0.113.7"]), true));
    }

    #[test]
    fn no_more_addresses_of_the_last_hour_are_kept_than_that() {
        let mut answers = Answers::default();
        for host in 1..=200u8 {
            let change = settle(&mut answers, &[name("a")], [("a", Ok(vec![[192, 0, 2, host].into()]))]);
            assert!(change.own.len() <= OWN_MAX && change.own[0] == IpAddr::from([192, 0, 2, host]), "{:?}", change.own);
        }
    }

    /// Clients would lose the relay.
    #[test]
    fn a_name_without_a_good_answer_is_not_told() {
        let mut answers = Answers::default();
        let told = |change: Change| (change.hosts, change.has_moved);
        let hosts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(settle(&mut answers, &[name("a")], [("a", good(&["192.0.2.1"]))])), (hosts(&["a"]), true));
        // A typing error, beside the good one and alone.
        let both = [name("typo"), name("a")];
        let round = [("typo", failure()), ("a", good(&["192.0.2.1"]))];
        assert_eq!(told(settle(&mut answers, &both, round)), (hosts(&["a"]), false));
        assert_eq!(told(settle(&mut answers, &[name("typo")], [("typo", failure())])), (hosts(&["a"]), false));
        // It is told as soon as it stands for something, and stays then.
        assert_eq!(told(settle(&mut answers, &[name("typo")], [("typo", good(&["192.0.2.1"]))])), (hosts(&["typo"]), true));
        assert_eq!(told(settle(&mut answers, &[name("typo")], [("typo", failure())])), (hosts(&["typo"]), false));
        // A name of the relay's own is not looked up here.
        let own = Wanted { addresses: vec![name("b")], hosts: hosts(&["turn"]) };
        let change = answers.settle(&own, vec![("b".to_owned(), failure())], Instant::now());
        assert_eq!(told(change), (hosts(&["turn"]), true));
    }

    #[test]
    fn an_address_stays_while_it_is_among_the_answers() {
        let configured = [name("a")];
        let mut answers = Answers::default();
        let mut settle = |answer| settle(&mut answers, &configured, [("a", answer)]);
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
        let mut settle = |answer| settle(&mut answers, &configured, [("a", answer)]);
        settle(good(&["192.0.2.1"]));
        let told = |change: Change| (change.now, change.failed.len());
        assert_eq!(told(settle(failure())), (ips(&["192.0.2.1"]), 1));
        assert_eq!(told(settle(good(&[]))), (ips(&["192.0.2.1"]), 0));
        assert_eq!(told(settle(good(&["192.0.2.1"]))), (ips(&["192.0.2.1"]), 0));
        assert_eq!(told(settle(failure())), (ips(&["192.0.2.1"]), 1));
        // Another name, which nobody knows yet.
        let mut settle = |answer| self::settle(&mut answers, &[name("b")], [("b", answer)]);
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
        let error = start(&wanted(&[name("relay.example.org")]), &script([failure()])).await.unwrap_err();
        assert!(format!("{error:#}").contains("server.public_address: relay.example.org cannot be looked up: SERVFAIL"), "{error:#}");
        assert_eq!(start(&Wanted::default(), &script([failure()])).await.unwrap().1, ips(&[]));
        let local = start(&wanted(&[name("localhost")]), &system()).await.unwrap().1;
        assert!(local.iter().all(IpAddr::is_loopback) && !local.is_empty(), "{local:?}");
    }

    #[tokio::test]
    async fn names_are_looked_up_again_and_changes_are_told() {
        let first = wanted(&[name("a")]);
        let resolver = script([good(&["192.0.2.1"]), good(&["192.0.2.1"]), failure(), good(&["192.0.2.2"])]);
        let (answers, addresses) = start(&first, &resolver).await.unwrap();
        assert_eq!(addresses, ips(&["192.0.2.1"]));
        let (config, configured) = watch::channel(first);
        let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let tell = move |change: &Change| told.send((change.before.clone(), change.now.clone())).unwrap();
        let task = tokio::spawn(run(answers, configured, resolver, tell, stop.clone()));
        assert_eq!(changes.recv().await.unwrap(), (ips(&["192.0.2.1"]), ips(&["192.0.2.2"])));
        config.send(wanted(&[PublicAddress::Ip([203, 0, 113, 7].into())])).unwrap();
        assert_eq!(changes.recv().await.unwrap(), (ips(&["192.0.2.2"]), ips(&["203.0.113.7"])));
        stop.cancel();
        task.await.unwrap();
    }
    /// Ten seconds each, one after the other, would be more than a minute until a new configuration counts.
    #[tokio::test]
    async fn names_are_asked_for_side_by_side() {
        let all = std::sync::Arc::new(tokio::sync::Barrier::new(8));
        let resolver: Resolver = Box::new(move |_| {
            let all = all.clone();
            Box::pin(async move {
                all.wait().await;
                good(&["192.0.2.1"])
            })
        });
        let configured: Vec<_> = (0..8).map(|number| name(&format!("name-{number}"))).collect();
        assert_eq!(start(&wanted(&configured), &resolver).await.unwrap().1, ips(&["192.0.2.1"]));
    }

    #[tokio::test]
    async fn a_name_server_that_says_nothing_does_not_hold_up_a_new_configuration() {
        let (asked, mut questions) = tokio::sync::mpsc::unbounded_channel();
        let resolver: Resolver = Box::new(move |name| {
            asked.send(name).unwrap();
            Box::pin(std::future::pending())
        });
        let (config, configured) = watch::channel(Wanted::default());
        let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let tell = move |change: &Change| told.send((change.now.clone(), change.hosts.clone())).unwrap();
        let task = tokio::spawn(run(Answers::default(), configured, resolver, tell, stop.clone()));
        config.send(wanted(&[name("slow")])).unwrap();
        assert_eq!(questions.recv().await.unwrap(), "slow");
        config.send(wanted(&[PublicAddress::Ip([203, 0, 113, 7].into())])).unwrap();
        assert_eq!(changes.recv().await.unwrap(), (ips(&["203.0.113.7"]), vec!["203.0.113.7".to_owned()]));
        stop.cancel();
        task.await.unwrap();
    }
}
