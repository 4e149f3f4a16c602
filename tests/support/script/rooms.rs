//! Rooms (XEP-0045): what is done in one step, with all that the room tells everyone of it, and what holds of everything that a room sends.

use super::conversation::{Conversation, settle};
use super::peer::Peer;
use super::tree::{Element, OCCUPANT_ID, SID};

const MUC: &str = "http://jabber.org/protocol/muc";
const USER: &str = "http://jabber.org/protocol/muc#user";
const CLIENT: &str = "jabber:client";

/// What rooms' domains begin with: `muc.host` is this and the domain, as in the specification's examples.
pub const BELOW: &str = "chat.";

/// Steps that speak of a room as a whole.
#[derive(Debug)]
pub enum RoomAct {
    /// Enters, and takes all that comes until the subject has come; everyone who is there takes the newcomer's presence.
    Joins {
        nick: String,
        /// Children of the presence, `<x/>` where the script does not say.
        payload: String,
    },
    /// Enters a room that is new, and configures it.
    Creates { nick: String, fields: Fields },
    /// Configures it.
    Configures { fields: Fields },
    /// Gives somebody an affiliation by address, or a role by nickname; everyone takes the presence that tells so.
    Makes {
        whom: String,
        what: String,
        /// Nobody speaks of what is told of somebody who is not there.
        beforehand: bool,
    },
    /// Leaves; everyone takes the presence that tells so.
    Leaves,
    /// Everyone who is there receives the same.
    AllReceive {
        /// But these.
        but: Vec<String>,
        expected: Vec<Element>,
    },
}

/// Fields of a form and their values.
type Fields = Vec<(String, Vec<String>)>;

impl RoomAct {
    /// The room and what is done; nothing when the words are about something else.
    pub fn parse(words: &[&str], body: &str) -> Result<Option<(String, Self)>, String> {
        let (room, act) = match words {
            [_, "joins", room, "as", nick @ ..] if !nick.is_empty() => {
                let payload = if body.trim().is_empty() { format!("<x xmlns='{MUC}'/>") } else { body.to_owned() };
                Element::parse(&payload)?;
                (room, Self::Joins { nick: nick.join(" "), payload })
            }
            [_, "creates", room, "as", nick @ ..] if !nick.is_empty() => {
                (room, Self::Creates { nick: nick.join(" ").trim_end_matches(':').to_owned(), fields: fields(body)? })
            }
            [_, "configures", room] => (room, Self::Configures { fields: fields(body)? }),
            [_, "makes", whom, what, "of", room, when @ ..] if matches!(when, [] | ["beforehand"]) => {
                (room, Self::Makes { whom: (*whom).to_owned(), what: (*what).to_owned(), beforehand: !when.is_empty() })
            }
            [_, "leaves", room] => (room, Self::Leaves),
            ["All", "in", room, rest @ .., "receive:"] if !body.trim().is_empty() => {
                let but = match rest {
                    [] => Vec::new(),
                    ["but", but @ ..] => but.iter().map(|name| name.trim_end_matches(',').to_owned()).collect(),
                    _ => return Err("all receive it, or all but somebody".to_owned()),
                };
                (room, Self::AllReceive { but, expected: Element::parse(body)? })
            }
            _ => return Ok(None),
        };
        Ok(Some((room.trim_end_matches(':').to_owned(), act)))
    }
}

/// Lines `var = value`.
fn fields(body: &str) -> Result<Fields, String> {
    let mut fields = Fields::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (var, value) = line.split_once('=').ok_or_else(|| format!("{line}: a field is `var = value`"))?;
        let (var, value) = (var.trim().to_owned(), value.trim().to_owned());
        match fields.iter_mut().find(|(known, _)| *known == var) {
            Some((_, values)) => values.push(value),
            None => fields.push((var, vec![value])),
        }
    }
    Ok(fields)
}

/// §10.1.2 and §10.1.3: the form that is submitted; without fields, an instant room's.
fn submission(room: &str, fields: &Fields) -> String {
    let field = |(var, values): &(String, Vec<String>)| {
        let values: String = values.iter().filter(|value| !value.is_empty()).map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let mut form: String = fields.iter().map(field).collect();
    if !form.is_empty() {
        form = format!("<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>{form}");
    }
    format!("<iq type='set' to='{room}'><query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>{form}</x></query></iq>")
}

impl Conversation {
    /// A step in a room.
    pub fn in_room(&mut self, who: &str, room: &str, act: &RoomAct) -> Result<(), String> {
        match act {
            RoomAct::Joins { nick, payload } => {
                let nick = self.peer(who).join(room, nick, payload, false)?;
                self.others(room, &[who.to_owned()], |peer| peer.sees(room, &nick, None))
            }
            RoomAct::Creates { nick, fields } => {
                let peer = self.peer(who);
                peer.join(room, nick, &format!("<x xmlns='{MUC}'/>"), true)?;
                peer.act(&submission(room, fields))?;
                // the owner is told of it, too, after the answer
                settle(self.server());
                let peer = self.peer(who);
                peer.fence()?;
                peer.pass_over_configuration(room);
                Ok(())
            }
            RoomAct::Configures { fields } => self.peer(who).act(&submission(room, fields)),
            RoomAct::Makes { whom, what, beforehand } => {
                self.make(who, room, whom, what)?;
                if *beforehand {
                    settle(self.server());
                    for peer in self.peers.values_mut().filter(|peer| peer.wire.is_some()) {
                        peer.fence()?;
                        peer.pass_over_affiliation(room, whom);
                    }
                }
                Ok(())
            }
            RoomAct::Leaves => {
                let nick = self.peer(who).rooms.get(room).cloned().ok_or("it is not there")?;
                self.peer(who).send(&format!("<presence type='unavailable' to='{room}/{nick}'/>"))?;
                self.others(room, &[], |peer| peer.sees(room, &nick, Some("unavailable")))
            }
            RoomAct::AllReceive { but, expected } => {
                let mut names = self.names.clone();
                let taken = self.others(room, but, |peer| expected.iter().try_for_each(|expected| peer.receive(expected, &mut names)));
                self.names = names;
                taken
            }
        }
    }

    fn peer(&mut self, who: &str) -> &mut Peer {
        self.peers.get_mut(who).expect("parsed")
    }

    /// Everyone who is in a room but these, in the order of their names.
    fn others(&mut self, room: &str, but: &[String], mut each: impl FnMut(&mut Peer) -> Result<(), String>) -> Result<(), String> {
        let there =
            self.peers.iter_mut().filter(|(name, peer)| peer.wire.is_some() && peer.rooms.contains_key(room) && !but.contains(name));
        let failed: Vec<String> = there.filter_map(|(name, peer)| each(peer).err().map(|why| format!("{name}: {why}"))).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    }

    fn make(&mut self, who: &str, room: &str, whom: &str, what: &str) -> Result<(), String> {
        let by_address = whom.contains('@');
        let (key, kind) = if by_address { ("jid", "affiliation") } else { ("nick", "role") };
        let is_it = |peer: &Peer, nick: &String| if by_address { peer.client.jid.split('/').next() == Some(whom) } else { nick == whom };
        let mut nicks: Vec<String> =
            self.peers.values().filter_map(|peer| peer.rooms.get(room).filter(|nick| is_it(peer, nick))).cloned().collect();
        nicks.sort();
        nicks.dedup();
        self.peer(who)
            .act(&format!("<iq type='set' to='{room}'><query xmlns='{MUC}#admin'><item {key}='{whom}' {kind}='{what}'/></query></iq>"))?;
        for nick in nicks {
            self.others(room, &[], |peer| {
                let seen = peer.until(&format!("{nick} as {what} in {room}"), |peer| peer.next_of(room, false))?;
                let is_that = seen.name == "presence" && seen.attribute("from") == Some(&format!("{room}/{nick}"));
                if is_that { Ok(()) } else { Err(format!("instead of {nick} as {what} in {room} came\n{seen}")) }
            })?;
        }
        Ok(())
    }
}

impl Peer {
    /// Enters a room and takes what comes, in the order of §7.1; gives the nickname that it has there.
    fn join(&mut self, room: &str, nick: &str, payload: &str, new: bool) -> Result<String, String> {
        let id = self.fresh_id();
        self.send(&format!("<presence id='{id}' to='{room}/{nick}'>{payload}</presence>"))?;
        let mut own: Option<String> = None;
        loop {
            let got = self.until(&format!("the end of its entry into {room}"), |peer| peer.from_rooms.get_mut(room)?.pop_front())?;
            let wrong = |what: &str| Err(format!("{what}:\n{got}"));
            match (got.name.as_str(), got.attribute("type"), &own) {
                (_, Some("error"), _) => return wrong("it does not enter"),
                ("presence", None, None) if codes(&got).contains(&"110") => {
                    if codes(&got).contains(&"201") != new {
                        return wrong(if new { "the room is not new" } else { "the room is new" });
                    }
                    own = Some(resource(&got));
                }
                ("presence", None, None) => {}
                ("presence", ..) => return wrong("presence out of order"),
                ("message", Some("groupchat"), Some(nick)) => {
                    if is_subject(&got) {
                        return Ok(nick.clone());
                    }
                    if got.child("urn:xmpp:delay", "delay").is_none() {
                        return wrong("before the subject comes what is no history");
                    }
                }
                _ => return wrong("out of order"),
            }
        }
    }

    /// §10.2.1: whoever has configured a room is told so, too.
    fn pass_over_configuration(&mut self, room: &str) {
        let told = |stanza: &Element| {
            let codes = codes(stanza);
            stanza.name == "message" && !codes.is_empty() && codes.iter().all(|code| matches!(*code, "104" | "170" | "171" | "172" | "173"))
        };
        if let Some(from_room) = self.from_rooms.get_mut(room) {
            from_room.retain(|stanza| !told(stanza));
        }
    }

    /// §18.1: somebody who is not there, and those who are, are told of an affiliation by messages.
    fn pass_over_affiliation(&mut self, room: &str, whom: &str) {
        let told = |stanza: &Element| {
            let item = stanza.child(USER, "x").and_then(|x| x.child(USER, "item"));
            stanza.name == "message" && item.is_some_and(|item| item.attribute("jid") == Some(whom))
        };
        if let Some(from_room) = self.from_rooms.get_mut(room) {
            from_room.retain(|stanza| !told(stanza));
        }
    }

    /// Takes the presence of an occupant, which has to come next.
    fn sees(&mut self, room: &str, nick: &str, kind: Option<&str>) -> Result<(), String> {
        let what = kind.unwrap_or("available");
        let seen = self.until(&format!("{nick} {what} in {room}"), |peer| peer.next_of(room, false))?;
        let is_that = seen.name == "presence" && seen.attribute("type") == kind && resource(&seen) == nick;
        if is_that { Ok(()) } else { Err(format!("instead of {nick} {what} in {room} came\n{seen}")) }
    }

    /// Where it is, from its own presence.
    pub fn learn(&mut self, room: &str, stanza: &Element) {
        let codes = codes(stanza);
        if stanza.name != "presence" || !codes.contains(&"110") {
            return;
        }
        match stanza.attribute("type") {
            None => drop(self.rooms.insert(room.to_owned(), resource(stanza))),
            Some("unavailable") if !codes.contains(&"303") => drop(self.rooms.remove(room)),
            Some(_) => {}
        }
    }
}

fn is_subject(message: &Element) -> bool {
    let has = |name| message.child(CLIENT, name).is_some();
    has("subject") && !has("body") && !has("thread")
}

fn resource(stanza: &Element) -> String {
    stanza.attribute("from").and_then(|from| from.split_once('/')).map(|(_, nick)| nick.to_owned()).unwrap_or_default()
}

/// The room that a message or presence comes from.
pub fn room_of(stanza: &Element) -> Option<String> {
    let from = stanza.attribute("from").filter(|_| matches!(stanza.name.as_str(), "message" | "presence"))?;
    let bare = from.split('/').next()?;
    bare.split_once('@').filter(|(_, host)| host.starts_with(BELOW)).map(|_| bare.to_owned())
}

/// Status codes.
fn codes(stanza: &Element) -> Vec<&str> {
    let x = stanza.child(USER, "x");
    x.iter().flat_map(|x| &x.children).filter(|child| child.name == "status").filter_map(|status| status.attribute("code")).collect()
}

/// What holds of everything that a room sends (§7.2.2, §7.14, XEP-0421 §4, XEP-0359 §3).
pub fn lawful(stanza: &Element) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}:\n{stanza}"));
    let count = |ns: &str, name: &str| stanza.children.iter().filter(|child| child.is(ns, name)).count();
    let kind = stanza.attribute("type");
    let of_occupant = !resource(stanza).is_empty();
    if kind == Some("error") {
        let marked = stanza.name != "presence" || count(MUC, "x") == 1;
        return if marked { Ok(()) } else { wrong("an error of a room's presence has to say so") };
    }
    let ids = count(OCCUPANT_ID, "occupant-id");
    if ids > 1 || count(SID, "stanza-id") > 1 {
        return wrong("an identifier comes twice");
    }
    if !of_occupant {
        return Ok(());
    }
    match stanza.name.as_str() {
        "presence" => {
            let item = stanza.child(USER, "x").and_then(|x| x.child(USER, "item"));
            let [affiliation, role] = ["affiliation", "role"].map(|name| item.and_then(|item| item.attribute(name)));
            let gone = kind == Some("unavailable");
            let named = codes(stanza).contains(&"303");
            if count(USER, "x") != 1 || affiliation.is_none() || role.is_none() {
                return wrong("presence in a room has one item with affiliation and role");
            }
            if gone && !named && role != Some("none") {
                return wrong("who has left has no role");
            }
            let never_there = codes(stanza).contains(&"333") && gone;
            if ids != 1 && !never_there { wrong("presence in a room has an occupant-id") } else { Ok(()) }
        }
        _ if kind == Some("groupchat") && !is_subject(stanza) && ids != 1 => wrong("a message of an occupant has an occupant-id"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_s_presence_is_looked_at_whatever_a_script_expects() {
        let id = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='a'/>";
        let item = |role: &str| format!("<x xmlns='{USER}'><item affiliation='none' role='{role}'/></x>");
        for (kind, children, good) in [
            ("", format!("{}{id}", item("visitor")), true),
            ("", format!("{}{id}{id}", item("visitor")), false),
            ("", item("visitor"), false),
            ("", id.to_owned(), false),
            (" type='unavailable'", format!("{}{id}", item("none")), true),
            (" type='unavailable'", format!("{}{id}", item("visitor")), false),
            (" type='error'", String::new(), false),
            (" type='error'", format!("<x xmlns='{MUC}'/>"), true),
        ] {
            let text = format!("<presence from='r@chat.denmark.lit/n'{kind}>{children}</presence>");
            assert_eq!(lawful(&Element::parse(&text).unwrap().remove(0)).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn only_rooms_are_rooms() {
        for (from, room) in [
            ("coven@chat.denmark.lit/x", Some("coven@chat.denmark.lit")),
            ("coven@chat.denmark.lit", Some("coven@chat.denmark.lit")),
            ("chat.denmark.lit", None),
            ("hamlet@denmark.lit/chat.x", None),
        ] {
            let stanza = Element::parse(&format!("<message from='{from}'/>")).unwrap().remove(0);
            assert_eq!(room_of(&stanza).as_deref(), room, "{from}");
        }
    }
}
