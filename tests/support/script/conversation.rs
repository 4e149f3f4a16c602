//! Steps → stanzas on sockets.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::parse::{Act, Contact, Script, Start, Step};
use super::peer::{Peer, log_in};
use super::tree::{Names, filled};
use crate::support::http;
use crate::support::server::{Server, variables};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, within_patience};

/// How long what is missing is waited for once a step has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Holds the conversation; gives the lines that went otherwise, and how.
pub fn hold(script: &Script, server: Server) -> Vec<(usize, String)> {
    let mut conversation = Conversation {
        server: Some(server),
        settings: variables(&script.settings),
        peers: script.clients.iter().map(|client| (client.name.clone(), Peer::new(client))).collect(),
        names: script.clients.iter().filter_map(|client| Some((format!("ver:{}", client.name), client.caps.as_ref()?.ver()))).collect(),
        failed: false,
    };
    befriend(conversation.server(), &script.rosters);
    let mut failures = Vec::new();
    for client in &script.clients {
        let act = match client.starts {
            Start::Offline => continue,
            Start::Connected => Act::Connects,
            Start::Online => Act::ComesOnline,
        };
        if let Err(what) = conversation.step(&Step { line: 0, who: client.name.clone(), act }) {
            failures.push((0, format!("{}: {what}", client.name)));
            return failures;
        }
    }
    for step in &script.steps {
        if let Err(what) = conversation.step(step) {
            conversation.failed = true;
            failures.push((step.line, what));
        }
    }
    // Here for all, and not only for those whom a step left out, is the place to see what nobody should have got.
    let names: Vec<String> = conversation.peers.iter().filter(|(_, peer)| peer.wire.is_some()).map(|(name, _)| name.clone()).collect();
    for name in names {
        if let Err(what) = conversation.step(&Step { line: 0, who: name.clone(), act: Act::ReceivesNothing }) {
            failures.push((0, format!("at the end, {name} has left: {what}")));
        }
    }
    failures
}

pub struct Conversation {
    server: Option<Server>,
    settings: Vec<(String, String)>,
    pub peers: BTreeMap<String, Peer>,
    pub names: Names,
    failed: bool,
}

impl Conversation {
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let patience = if self.failed { AFTER_FAILURE } else { PATIENCE };
        match &step.act {
            Act::Restarts | Act::Crashes => {
                let server = self.server.take().expect("it runs");
                let crash = matches!(step.act, Act::Crashes);
                let server = if crash { server.crash(&self.settings) } else { server.restart(&self.settings) };
                self.server = Some(server);
                // what came before the end can still be received
                return self.peers.values_mut().try_for_each(Peer::read_to_the_end);
            }
            Act::IsNow(seconds) => {
                self.names.insert(step.who.clone(), time(SystemTime::now() + Duration::from_secs(*seconds)));
                return Ok(());
            }
            Act::Differ(names) => return self.differ(names),
            _ => {}
        }
        self.peers.values_mut().for_each(|peer| peer.patience = patience);
        match &step.act {
            Act::InRoom { room, act } => return self.in_room(&step.who, room, act),
            Act::GoesOffline | Act::ReceivesNothing | Act::MayReceive(_) => self.fence(),
            _ => {}
        }
        let peer = self.peers.get_mut(&step.who).expect("parsed");
        let server = self.server.as_ref().expect("it runs");
        match &step.act {
            Act::Connects => peer.connect(server),
            Act::ComesOnline => {
                if peer.wire.is_none() {
                    peer.connect(server)?;
                }
                peer.come_online()
            }
            Act::GoesOffline => peer.go_offline(&|| settle(server)),
            Act::Vanishes => {
                peer.vanish();
                Ok(())
            }
            Act::CanResume => peer.enable_resumption(),
            Act::Resumes => peer.resume(server),
            Act::Sends(text) => peer.send(&filled(text, &self.names)),
            Act::Does(text) => peer.act(&filled(text, &self.names)),
            Act::Receives { expected, in_any_order: false } => {
                expected.iter().try_for_each(|expected| peer.receive(expected, &mut self.names))
            }
            Act::Receives { expected, in_any_order: true } => peer.receive_all(expected, &mut self.names),
            Act::ReceivesNothing => peer.receive_nothing(&|| settle(server)),
            Act::MayReceive(expected) => {
                settle(server);
                peer.fence()?;
                expected.iter().for_each(|expected| peer.receive_if_there(expected, &mut self.names));
                Ok(())
            }
            Act::IsRefused(refusal) => peer.refused(refusal, &mut self.names),
            Act::Restarts | Act::Crashes | Act::IsNow(_) | Act::Differ(_) | Act::InRoom { .. } => unreachable!("done above"),
        }
    }

    fn differ(&self, names: &[String]) -> Result<(), String> {
        let mut values = BTreeMap::new();
        for name in names {
            let value = self.names.get(name).ok_or_else(|| format!("{name} stands for nothing"))?;
            if let Some(other) = values.insert(value, name) {
                return Err(format!("{other} and {name} are both {value:?}"));
            }
        }
        Ok(())
    }

    /// What everyone has sent so far has arrived: nobody waits for the answer to a message.
    fn fence(&mut self) {
        for peer in self.peers.values_mut().filter(|peer| peer.unfenced && peer.wire.is_some()) {
            // a stream that has ended has nothing under way
            drop(peer.fence());
        }
    }
}

/// Waits until the server has told everybody.
pub fn settle(server: &Server) {
    within_patience(|| {
        let metrics = http::get(server.address("admin"), "/metrics").body;
        let busy: Vec<&str> = ["campanile_pubsub_tasks ", "campanile_muc_tasks "]
            .into_iter()
            .filter(|name| metrics.lines().find_map(|line| line.strip_prefix(name)) != Some("0"))
            .collect();
        if busy.is_empty() { Ok(()) } else { Err(format!("{busy:?}")) }
    });
}

/// Brings rosters about as people do: asking and agreeing.
fn befriend(server: &Server, rosters: &[Contact]) {
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    for jid in rosters.iter().flat_map(|contact| [&contact.owner, &contact.contact]) {
        if !wires.contains_key(jid) {
            let mut wire = log_in(server, &format!("{jid}/making-friends")).expect("an account");
            wire.exact = false;
            // RFC 6121 §2.2: only those who know the roster are told of requests
            wire.iq("roster", "type='get'", "<query xmlns='jabber:iq:roster'/>");
            wire.send("<presence/>");
            wire.stanza("presence", &[&format!("from='{jid}/making-friends'")]);
            wires.insert(jid.clone(), wire);
        }
    }
    for Contact { owner, contact, subscription, groups } in rosters {
        let groups: String = groups.iter().map(|group| format!("<group>{group}</group>")).collect();
        let query = format!("<query xmlns='jabber:iq:roster'><item jid='{contact}'>{groups}</item></query>");
        let answer = wires.get_mut(owner).expect("opened").iq(&format!("item-{contact}"), "type='set'", &query);
        assert!(answer.contains("type='result'"), "{answer}");
        let mut sees = |who: &String, whom: &String| {
            wires.get_mut(who).expect("opened").send(&format!("<presence type='subscribe' to='{whom}'/>"));
            let other = wires.get_mut(whom).expect("opened");
            other.stanza("presence", &["type='subscribe'", &format!("from='{who}'")]);
            other.send(&format!("<presence type='subscribed' to='{who}'/>"));
            wires.get_mut(who).expect("opened").stanza("presence", &["type='subscribed'", &format!("from='{whom}'")]);
        };
        if matches!(subscription.as_str(), "both" | "from") {
            sees(contact, owner);
        }
        if matches!(subscription.as_str(), "both" | "to") {
            sees(owner, contact);
        }
    }
    for wire in wires.values_mut() {
        wire.send("<presence type='unavailable'/></stream:stream>");
        wire.until_closed();
    }
}

/// XEP-0082, whole seconds of UTC: never before the time that is meant.
fn time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).expect("after 1970");
    let seconds = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // days since 0000-03-01, in the eras of 400 years that make leap years regular
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_xep_0082() {
        for (seconds, text) in [(0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_141_127_999, "2006-02-28T11:59:59Z")]
        {
            assert_eq!(time(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
