//! One client: what it sends, and what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::parse::{Client, KNOWN};
use super::rooms;
use super::tree::{Element, Names};
use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::wire::Wire;

const INFO: &str = "http://jabber.org/protocol/disco#info";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// One client of the conversation.
pub struct Peer {
    pub client: Client,
    pub wire: Option<Wire>,
    answers: VecDeque<Element>,
    messages: VecDeque<Element>,
    presences: VecDeque<Element>,
    /// The last item of its node [`KNOWN`] has come.
    known: bool,
    /// What came from each room, by the room's address, presence and messages in one order.
    pub from_rooms: BTreeMap<String, VecDeque<Element>>,
    /// The rooms it is in, and its nickname there, by what it has been told.
    pub rooms: BTreeMap<String, String>,
    /// XEP-0198: by what its stream is resumed, if it can be, and how many stanzas it has got.
    pub managed: Option<(String, u32)>,
    resumed: bool,
    /// Name, `to` and id of what it sent last.
    last: (String, String, String),
    count: usize,
    pub patience: Duration,
    /// It has sent something whose effect nobody has waited for.
    pub unfenced: bool,
}

impl Peer {
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            wire: None,
            answers: VecDeque::new(),
            messages: VecDeque::new(),
            presences: VecDeque::new(),
            known: false,
            from_rooms: BTreeMap::new(),
            rooms: BTreeMap::new(),
            managed: None,
            resumed: false,
            last: Default::default(),
            count: 0,
            patience: PATIENCE,
            unfenced: false,
        }
    }

    pub fn connect(&mut self, server: &Server) -> Result<(), String> {
        self.wire = Some(log_in(server, &self.client.jid)?);
        self.managed = None;
        self.answers.clear();
        self.messages.clear();
        self.presences.clear();
        self.from_rooms.clear();
        self.rooms.clear();
        Ok(())
    }

    /// Initial presence, until the server has shown it to this resource and knows what it wants to hear of.
    pub fn come_online(&mut self) -> Result<(), String> {
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

    pub fn go_offline(&mut self, settle: &dyn Fn()) -> Result<(), String> {
        self.receive_nothing(settle)?;
        self.send("<presence type='unavailable'/></stream:stream>")?;
        let mut wire = self.wire.take().expect("sent");
        wire.until_closed();
        Ok(())
    }

    pub fn send(&mut self, text: &str) -> Result<(), String> {
        let wire = self.wire.as_mut().ok_or("it is not connected")?;
        wire.send(text);
        self.unfenced = true;
        if let Some(last) = Element::parse(text).ok().and_then(|mut sent| sent.pop()) {
            let [to, id] = ["to", "id"].map(|name| last.attribute(name).unwrap_or_default().to_owned());
            self.last = (last.name, to, id);
        }
        Ok(())
    }

    /// Sends an IQ and waits for its success.
    pub fn act(&mut self, text: &str) -> Result<(), String> {
        let parsed = Element::parse(text)?.remove(0);
        let (id, text) = match parsed.attribute("id") {
            Some(id) => (id.to_owned(), text.to_owned()),
            None => {
                let id = self.fresh_id();
                (id.clone(), text.replacen("<iq", &format!("<iq id='{id}'"), 1))
            }
        };
        self.send(&text)?;
        let answer = self.answer(&id)?;
        if answer.attribute("type") == Some("result") { Ok(()) } else { Err(format!("it was refused:\n{answer}")) }
    }

    pub fn fresh_id(&mut self) -> String {
        self.count += 1;
        format!("act{}", self.count)
    }

    /// The error that answers what it sent last.
    pub fn refused(&mut self, refusal: &Refusal, names: &mut Names) -> Result<(), String> {
        let (name, to, id) = self.last.clone();
        self.receive(&refusal.of(&name, &to, &id), names)
    }

    fn answer(&mut self, id: &str) -> Result<Element, String> {
        self.until(&format!("an answer to {id}"), |peer| {
            let at = peer.answers.iter().position(|answer| answer.attribute("id") == Some(id) && !is_request(answer))?;
            peer.answers.remove(at)
        })
    }

    pub fn receive(&mut self, expected: &Element, names: &mut Names) -> Result<(), String> {
        let wanted = expected.filled(names);
        let what = format!("\n{wanted}\n");
        if let Some(room) = rooms::room_of(&wanted) {
            let error = wanted.attribute("type") == Some("error");
            let got = self.until(&what, |peer| peer.next_of(&room, error))?;
            return expected.expects(&got, names).map_err(|why| format!("{why}\nexpected{what}got\n{got}"));
        }
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

    /// Takes what comes next if it is this.
    pub fn receive_if_there(&mut self, expected: &Element, names: &mut Names) {
        let room = rooms::room_of(expected).unwrap_or_default();
        let queue = self.queue(&room);
        if queue.front().is_some_and(|stanza| expected.expects(stanza, names).is_ok()) {
            queue.pop_front();
        }
    }

    pub fn receive_all(&mut self, expected: &[Element], names: &mut Names) -> Result<(), String> {
        let queue_of = |stanza: &Element| rooms::room_of(stanza).or_else(|| (stanza.name == "message").then(String::new));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for room in expected.iter().filter_map(queue_of) {
            *counts.entry(room).or_default() += 1;
        }
        for (room, count) in &counts {
            self.until(&format!("{count} stanzas"), |peer| (peer.queue(room).len() >= *count).then_some(()))?;
        }
        for expected in expected {
            let Some(room) = queue_of(expected) else {
                self.receive(expected, names)?;
                continue;
            };
            let count = counts.get_mut(&room).expect("counted");
            let queue = self.queue(&room);
            let among = queue.iter().take(*count).position(|stanza| expected.expects(stanza, names).is_ok());
            let Some(at) = among else {
                let why = queue.iter().find_map(|stanza| expected.expects(stanza, names).err()).unwrap_or_default();
                return Err(format!("{why}\nexpected\n{}\ngot{}", expected.filled(names), shown(queue)));
            };
            queue.remove(at);
            *count -= 1;
        }
        Ok(())
    }

    /// What came from a room; for no room, messages of all others.
    fn queue(&mut self, room: &str) -> &mut VecDeque<Element> {
        if room.is_empty() { &mut self.messages } else { self.from_rooms.entry(room.to_owned()).or_default() }
    }

    /// The next stanza of a room; errors are told apart, as they do not wait for what the room tells everyone.
    pub fn next_of(&mut self, room: &str, error: bool) -> Option<Element> {
        let queue = self.from_rooms.get_mut(room)?;
        let at = queue.iter().position(|stanza| (stanza.attribute("type") == Some("error")) == error)?;
        queue.remove(at)
    }

    /// Notifications come when the request that brings them about has long been answered: first they are all in the mailboxes, then a ping's
    /// answer is behind them. What was owed to a session (last items) is put there as its mailbox empties: behind the next ping at the latest.
    pub fn receive_nothing(&mut self, settle: &dyn Fn()) -> Result<(), String> {
        for _ in 0..2 {
            settle();
            self.fence()?;
        }
        if self.messages.is_empty() && self.answers.is_empty() && self.from_rooms.values().all(VecDeque::is_empty) {
            return Ok(());
        }
        let left = format!("{}{}{}", shown(&self.messages), shown(&self.answers), self.shown_of_rooms());
        self.messages.clear();
        self.answers.clear();
        self.from_rooms.clear();
        Err(format!("nobody expected{left}"))
    }

    /// All that it has sent has been handled, as far as that is done at once.
    pub fn fence(&mut self) -> Result<(), String> {
        let (_, host) = self.client.jid.split_once('@').expect("an account");
        let domain = host.split('/').next().unwrap_or_default().to_owned();
        let last = self.last.clone();
        self.act(&format!("<iq type='get' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"))?;
        self.last = last;
        self.unfenced = false;
        Ok(())
    }

    fn shown_of_rooms(&self) -> String {
        self.from_rooms.values().map(shown).collect()
    }

    /// Reads what came on a stream that the server has ended.
    pub fn read_to_the_end(&mut self) -> Result<(), String> {
        let end = Instant::now() + self.patience;
        while let Some(text) = self.wire.as_mut().and_then(|wire| wire.next_before(end)) {
            self.take(&text)?;
        }
        self.vanish();
        Ok(())
    }

    /// Breaks the connection as a network does, without a word. What can be resumed stays where it is.
    pub fn vanish(&mut self) {
        self.wire = None;
        if self.managed.is_none() {
            self.rooms.clear();
        }
    }

    /// XEP-0198 §3: from now on its stream can be resumed.
    pub fn enable_resumption(&mut self) -> Result<(), String> {
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")?;
        self.until("its stream to be managed", |peer| peer.managed.is_some().then_some(()))
    }

    /// XEP-0198 §5: goes on where its stream broke.
    pub fn resume(&mut self, server: &Server) -> Result<(), String> {
        let (token, h) = self.managed.clone().ok_or("its stream cannot be resumed")?;
        let mut wire = authenticated(server, &self.client.jid)?;
        wire.exact = true;
        wire.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{token}' h='{h}'/>"));
        self.wire = Some(wire);
        self.resumed = false;
        self.until("its stream to be resumed", |peer| peer.resumed.then_some(()))
    }

    /// Reads until there is what is looked for.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T, String> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let wire = self.wire.as_mut().ok_or("it is not connected")?;
            match wire.next_before(end) {
                Some(text) => self.take(&text)?,
                None => {
                    let mut left = format!("{}{}{}", shown(&self.messages), shown(&self.answers), shown(&self.presences));
                    left += &self.shown_of_rooms();
                    return Err(format!("{} waits in vain for {what}there is{left}", self.client.name));
                }
            }
        }
    }

    /// Sorts what was read, and answers for the client what the script does not speak of.
    fn take(&mut self, text: &str) -> Result<(), String> {
        let Some(stanza) = Element::parse(text)?.pop() else { return Ok(()) };
        if let Some((_, h)) = self.managed.as_mut().filter(|_| matches!(stanza.name.as_str(), "message" | "presence" | "iq")) {
            *h = h.wrapping_add(1);
        }
        if let Some(room) = rooms::room_of(&stanza) {
            self.learn(&room, &stanza);
            let lawful = rooms::lawful(&stanza);
            self.from_rooms.entry(room).or_default().push_back(stanza);
            return lawful;
        }
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
            // the stream ends with a server
            "error" | "a" => {}
            "enabled" => self.managed = Some((stanza.attribute("id").unwrap_or_default().to_owned(), 0)),
            "resumed" => self.resumed = true,
            "r" => {
                let h = self.managed.as_ref().map_or(0, |(_, h)| *h);
                self.wire.as_mut().expect("it was read from").send(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
            }
            other => return Err(format!("{} got <{other}/>: {text}", self.client.name)),
        }
        Ok(())
    }
}

fn is_request(iq: &Element) -> bool {
    matches!(iq.attribute("type"), Some("get" | "set"))
}

fn is_known(message: &Element) -> bool {
    let items = message.child(EVENT, "event").and_then(|event| event.child(EVENT, "items"));
    items.is_some_and(|items| items.attribute("node") == Some(KNOWN))
}

pub fn shown(stanzas: &VecDeque<Element>) -> String {
    stanzas.iter().map(|stanza| format!("\n{stanza}")).collect()
}

/// A stream of this full JID.
pub fn log_in(server: &Server, jid: &str) -> Result<Wire, String> {
    let (_, resource) = jid.split_once('/').ok_or("a client has a resource")?;
    let mut wire = authenticated(server, jid)?;
    wire.bind(resource);
    wire.exact = true;
    Ok(wire)
}

/// A stream of its account, nothing bound yet.
fn authenticated(server: &Server, jid: &str) -> Result<Wire, String> {
    let (user, host) = jid.split_once('@').ok_or("a client has an account")?;
    let mut wire = Wire::secure_at(server, host.split('/').next().unwrap_or_default());
    wire.log_in(user);
    Ok(wire)
}

/// An error that a script expects.
#[derive(Debug)]
pub struct Refusal {
    pub kind: String,
    pub condition: String,
    /// A condition of `pubsub#errors`.
    pub pubsub: Option<String>,
    pub feature: Option<String>,
}

impl Refusal {
    /// The answer to the stanza of this name, `to` and id. An error of a room's presence says so (XEP-0045 §7.2).
    fn of(&self, name: &str, to: &str, id: &str) -> Element {
        let Self { kind, condition, pubsub, feature } = self;
        let feature = feature.as_ref().map(|feature| format!(" feature='{feature}'")).unwrap_or_default();
        let pubsub = pubsub.as_ref().map(|name| format!("<{name} xmlns='http://jabber.org/protocol/pubsub#errors'{feature}/>"));
        let (from, x) = match name {
            "presence" => (format!(" from='{to}'"), "<x xmlns='http://jabber.org/protocol/muc'/>"),
            "message" => (format!(" from='{to}'"), ""),
            _ => (String::new(), ""),
        };
        let id = if id.is_empty() { String::new() } else { format!(" id='{id}'") };
        let text = format!(
            "<{name} type='error'{id}{from}>{x}<error type='{kind}'><{condition} \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{}</error></{name}>",
            pubsub.unwrap_or_default()
        );
        Element::parse(&text).expect("well-formed").remove(0)
    }
}
