//! Steps → stanzas on sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::parse::{Act, Client, Contact, KNOWN, Script, Start, Step};
use super::tree::{Element, Names, filled};
use crate::support::http;
use crate::support::server::{Server, variables};
use crate::support::wire::Wire;
use crate::support::{PATIENCE, within_patience};

const INFO: &str = "http://jabber.org/protocol/disco#info";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";
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

struct Conversation {
    server: Option<Server>,
    settings: Vec<(String, String)>,
    peers: BTreeMap<String, Peer>,
    names: Names,
    failed: bool,
}

impl Conversation {
    fn server(&self) -> &Server {
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
                for peer in self.peers.values_mut() {
                    peer.wire = None;
                }
                return Ok(());
            }
            Act::IsNow(seconds) => {
                self.names.insert(step.who.clone(), time(SystemTime::now() + Duration::from_secs(*seconds)));
                return Ok(());
            }
            _ => {}
        }
        let peer = self.peers.get_mut(&step.who).expect("parsed");
        peer.patience = patience;
        let server = self.server.as_ref().expect("it runs");
        match &step.act {
            Act::Connects => peer.connect(server),
            Act::ComesOnline => {
                if peer.wire.is_none() {
                    peer.connect(server)?;
                }
                peer.come_online()
            }
            Act::GoesOffline => peer.go_offline(server),
            Act::Sends(text) => peer.send(&filled(text, &self.names)),
            Act::Does(text) => peer.act(&filled(text, &self.names)),
            Act::Receives { expected, in_any_order: false } => {
                expected.iter().try_for_each(|expected| peer.receive(expected, &mut self.names))
            }
            Act::Receives { expected, in_any_order: true } => peer.receive_all(expected, &mut self.names),
            Act::ReceivesNothing => peer.receive_nothing(server),
            Act::IsRefused { kind, condition, pubsub, feature } => {
                let expected = refusal(&peer.last_id, kind, condition, pubsub.as_deref(), feature.as_deref());
                peer.receive(&expected, &mut self.names)
            }
            Act::Restarts | Act::Crashes | Act::IsNow(_) => unreachable!("done above"),
        }
    }
}

fn refusal(id: &str, kind: &str, condition: &str, pubsub: Option<&str>, feature: Option<&str>) -> Element {
    let feature = feature.map(|feature| format!(" feature='{feature}'")).unwrap_or_default();
    let pubsub = pubsub.map(|name| format!("<{name} xmlns='http://jabber.org/protocol/pubsub#errors'{feature}/>")).unwrap_or_default();
    let text = format!(
        "<iq type='error' id='{id}'><error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{pubsub}</error></iq>"
    );
    Element::parse(&text).expect("well-formed").remove(0)
}

/// One client of the conversation.
struct Peer {
    client: Client,
    wire: Option<Wire>,
    answers: VecDeque<Element>,
    messages: VecDeque<Element>,
    presences: VecDeque<Element>,
    /// The last item of its node [`KNOWN`] has come.
    known: bool,
    last_id: String,
    count: usize,
    patience: Duration,
}

impl Peer {
    fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            wire: None,
            answers: VecDeque::new(),
            messages: VecDeque::new(),
            presences: VecDeque::new(),
            known: false,
            last_id: String::new(),
            count: 0,
            patience: PATIENCE,
        }
    }

    fn connect(&mut self, server: &Server) -> Result<(), String> {
        self.wire = Some(log_in(server, &self.client.jid)?);
        self.answers.clear();
        self.messages.clear();
        self.presences.clear();
        Ok(())
    }

    /// Initial presence, until the server has shown it to this resource and knows what it wants to hear of.
    fn come_online(&mut self) -> Result<(), String> {
        let Some(caps) = self.client.caps.clone() else {
            self.send("<presence/>")?;
            return self.sees_itself();
        };
        let filters = caps.features.iter().any(|feature| feature.strip_suffix("+notify") == Some(KNOWN));
        if filters {
            self.act(&format!(
                "<iq type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                 <publish node='{KNOWN}'><item id='current'><known xmlns='{KNOWN}'/></item></publish>\
                 <publish-options><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
                 <field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options></pubsub></iq>"
            ))?;
        }
        self.known = false;
        let ver = caps.ver();
        self.send(&format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/script' ver='{ver}'/></presence>"
        ))?;
        self.sees_itself()?;
        if filters {
            self.until("the server to know its capabilities", |peer| peer.known.then_some(()))?;
        }
        Ok(())
    }

    fn sees_itself(&mut self) -> Result<(), String> {
        let jid = self.client.jid.clone();
        self.until("its own presence", |peer| {
            let at = peer.presences.iter().position(|presence| presence.attribute("from") == Some(&jid))?;
            peer.presences.remove(at).map(|_| ())
        })
    }

    fn go_offline(&mut self, server: &Server) -> Result<(), String> {
        self.receive_nothing(server)?;
        self.send("<presence type='unavailable'/></stream:stream>")?;
        let mut wire = self.wire.take().expect("sent");
        wire.until_closed();
        Ok(())
    }

    fn send(&mut self, text: &str) -> Result<(), String> {
        let wire = self.wire.as_mut().ok_or("it is not connected")?;
        wire.send(text);
        if let Some(last) = Element::parse(text).ok().and_then(|mut sent| sent.pop()).filter(|last| last.name == "iq") {
            last.attribute("id").unwrap_or_default().clone_into(&mut self.last_id);
        }
        Ok(())
    }

    /// Sends an IQ and waits for its success.
    fn act(&mut self, text: &str) -> Result<(), String> {
        let parsed = Element::parse(text)?.remove(0);
        let (id, text) = match parsed.attribute("id") {
            Some(id) => (id.to_owned(), text.to_owned()),
            None => {
                self.count += 1;
                let id = format!("act{}", self.count);
                (id.clone(), text.replacen("<iq", &format!("<iq id='{id}'"), 1))
            }
        };
        self.send(&text)?;
        let answer = self.answer(&id)?;
        if answer.attribute("type") == Some("result") { Ok(()) } else { Err(format!("it was refused:\n{answer}")) }
    }

    fn answer(&mut self, id: &str) -> Result<Element, String> {
        self.until(&format!("an answer to {id}"), |peer| {
            let at = peer.answers.iter().position(|answer| answer.attribute("id") == Some(id) && !is_request(answer))?;
            peer.answers.remove(at)
        })
    }

    fn receive(&mut self, expected: &Element, names: &mut Names) -> Result<(), String> {
        let wanted = expected.filled(names);
        let what = format!("\n{wanted}\n");
        let got = match wanted.name.as_str() {
            "iq" if is_request(&wanted) => self.until(&what, |peer| {
                let at = peer.answers.iter().position(is_request)?;
                peer.answers.remove(at)
            })?,
            "iq" => self.answer(wanted.attribute("id").unwrap_or_default()).map_err(|error| format!("expected{what}{error}"))?,
            "message" => self.until(&what, |peer| peer.messages.pop_front())?,
            "presence" => {
                return self.until(&what, |peer| {
                    let at = peer.presences.iter().position(|presence| expected.expects(presence, names).is_ok())?;
                    peer.presences.drain(..=at);
                    Some(())
                });
            }
            other => return Err(format!("<{other}/> is no stanza")),
        };
        expected.expects(&got, names).map_err(|why| format!("{why}\nexpected{what}got\n{got}"))
    }

    fn receive_all(&mut self, expected: &[Element], names: &mut Names) -> Result<(), String> {
        let messages = expected.iter().filter(|expected| expected.name == "message").count();
        self.until(&format!("{messages} messages"), |peer| (peer.messages.len() >= messages).then_some(()))?;
        for expected in expected {
            if expected.name != "message" {
                self.receive(expected, names)?;
                continue;
            }
            let among = self.messages.iter().position(|message| expected.expects(message, names).is_ok());
            let Some(at) = among else {
                let why = self.messages.iter().find_map(|message| expected.expects(message, names).err()).unwrap_or_default();
                return Err(format!("{why}\nexpected\n{}\ngot{}", expected.filled(names), shown(&self.messages)));
            };
            self.messages.remove(at);
        }
        Ok(())
    }

    /// Notifications come when the request that brings them about has long been answered: first they are all in the mailboxes, then a ping's
    /// answer is behind them. What was owed to a session (last items) is put there as its mailbox empties: behind the next ping at the latest.
    fn receive_nothing(&mut self, server: &Server) -> Result<(), String> {
        let (_, host) = self.client.jid.split_once('@').expect("an account");
        let domain = host.split('/').next().unwrap_or_default().to_owned();
        for _ in 0..2 {
            settle(server);
            self.act(&format!("<iq type='get' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"))?;
        }
        if self.messages.is_empty() && self.answers.is_empty() {
            return Ok(());
        }
        let left = format!("{}{}", shown(&self.messages), shown(&self.answers));
        self.messages.clear();
        self.answers.clear();
        Err(format!("nobody expected{left}"))
    }

    /// Reads until there is what is looked for.
    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T, String> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let wire = self.wire.as_mut().ok_or("it is not connected")?;
            match wire.next_before(end) {
                Some(text) => self.take(&text)?,
                None => {
                    let left = format!("{}{}{}", shown(&self.messages), shown(&self.answers), shown(&self.presences));
                    return Err(format!("{} waits in vain for {what}there is{left}", self.client.name));
                }
            }
        }
    }

    /// Sorts what was read, and answers for the client what the script does not speak of.
    fn take(&mut self, text: &str) -> Result<(), String> {
        let Some(stanza) = Element::parse(text)?.pop() else { return Ok(()) };
        match stanza.name.as_str() {
            "message" if is_known(&stanza) => self.known = true,
            "message" => self.messages.push_back(stanza),
            "presence" => self.presences.push_back(stanza),
            "iq" if stanza.attribute("type") == Some("get") && stanza.child(INFO, "query").is_some() && !self.client.by_hand => {
                let caps = self.client.caps.clone().unwrap_or_default();
                let [id, from] = ["id", "from"].map(|name| stanza.attribute(name).unwrap_or_default());
                let node = stanza.child(INFO, "query").and_then(|query| query.attribute("node"));
                let node = node.map(|node| format!(" node='{node}'")).unwrap_or_default();
                let wire = self.wire.as_mut().expect("it was read from");
                wire.send(&format!("<iq type='result' id='{id}' to='{from}'><query xmlns='{INFO}'{node}>{}</query></iq>", caps.info()));
            }
            "iq" => self.answers.push_back(stanza),
            other => return Err(format!("{} got <{other}/>: {text}", self.client.name)),
        }
        Ok(())
    }
}

/// Waits until the server has told everybody.
fn settle(server: &Server) {
    within_patience(|| {
        let metrics = http::get(server.address("admin"), "/metrics").body;
        let tasks = metrics.lines().find_map(|line| line.strip_prefix("campanile_pubsub_tasks "));
        if tasks == Some("0") { Ok(()) } else { Err(tasks.map(ToOwned::to_owned)) }
    });
}

fn is_request(iq: &Element) -> bool {
    matches!(iq.attribute("type"), Some("get" | "set"))
}

fn is_known(message: &Element) -> bool {
    let items = message.child(EVENT, "event").and_then(|event| event.child(EVENT, "items"));
    items.is_some_and(|items| items.attribute("node") == Some(KNOWN))
}

fn shown(stanzas: &VecDeque<Element>) -> String {
    stanzas.iter().map(|stanza| format!("\n{stanza}")).collect()
}

/// A stream of this full JID.
fn log_in(server: &Server, jid: &str) -> Result<Wire, String> {
    let (user, host) = jid.split_once('@').ok_or("a client has an account")?;
    let (domain, resource) = host.split_once('/').ok_or("a client has a resource")?;
    let mut wire = Wire::secure_at(server, domain);
    wire.log_in(user);
    wire.bind(resource);
    wire.exact = true;
    Ok(wire)
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
