//! The text of a script → its steps. Pure.

use super::caps::Caps;
use super::peer::Refusal;
use super::rooms::RoomAct;
use super::tree::Element;

/// A node of each account whose clients want to hear of some: its last item comes to a resource once the server knows what that one wants.
pub const KNOWN: &str = "urn:example:script:known";

/// A conversation.
#[derive(Debug, Default)]
pub struct Script {
    /// Lines `section.key = value`.
    pub settings: String,
    /// Bare JIDs.
    pub accounts: Vec<String>,
    pub clients: Vec<Client>,
    pub rosters: Vec<Contact>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub struct Client {
    /// What the steps call it.
    pub name: String,
    pub jid: String,
    pub starts: Start,
    pub caps: Option<Caps>,
    /// Questions about its capabilities are a matter of the script.
    pub by_hand: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Offline,
    /// Without presence.
    Connected,
    Online,
}

/// An item of a roster before the conversation begins.
#[derive(Debug)]
pub struct Contact {
    pub owner: String,
    pub contact: String,
    /// `both`, `from`, `to` or `none`.
    pub subscription: String,
    pub groups: Vec<String>,
}

#[derive(Debug)]
pub struct Step {
    pub line: usize,
    /// Who acts; empty for the server.
    pub who: String,
    pub act: Act,
}

#[derive(Debug)]
pub enum Act {
    Connects,
    ComesOnline,
    /// Unavailable presence, and the stream is closed.
    GoesOffline,
    Sends(String),
    /// An IQ that is a success.
    Does(String),
    Receives {
        expected: Vec<Element>,
        in_any_order: bool,
    },
    ReceivesNothing,
    /// What of these comes next, once everybody has been told; it is a matter of which of two things was first.
    MayReceive(Vec<Element>),
    /// The error that answers its last stanza.
    IsRefused(Refusal),
    /// The connection breaks.
    Vanishes,
    /// XEP-0198.
    CanResume,
    Resumes,
    /// Something done in one step, with all that follows in the room.
    InRoom {
        /// Its bare JID.
        room: String,
        act: RoomAct,
    },
    /// From now on the name stands for the time in so many seconds.
    IsNow(u64),
    /// These names stand for different things.
    Differ(Vec<String>),
    Restarts,
    Crashes,
}

/// Line and what is wrong with it.
type Wrong = (usize, String);

impl Script {
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let mut script = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            let (number, line) = (at + 1, lines[at].trim_end());
            at += 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t']) {
                return Err((number, "an indented line belongs to no step".to_owned()));
            }
            let from = at;
            while at < lines.len() && (lines[at].trim().is_empty() || lines[at].starts_with([' ', '\t'])) {
                at += 1;
            }
            for line in each(line) {
                let step = script.line(&line, &lines[from..at]).map_err(|what| (number, format!("{line}: {what}")))?;
                let Some((who, act)) = step else { continue };
                let unnamed = who.is_empty() || matches!(act, Act::IsNow(_) | Act::InRoom { act: RoomAct::AllReceive { .. }, .. });
                if !unnamed && !script.clients.iter().any(|client| client.name == who) {
                    return Err((number, format!("there is no client {who}")));
                }
                script.steps.push(Step { line: number, who, act });
            }
        }
        Ok(script)
    }

    /// One statement with the indented lines under it.
    fn line(&mut self, line: &str, block: &[&str]) -> Result<Option<(String, Act)>, String> {
        let body = block.join("\n");
        let words: Vec<&str> = line.split_whitespace().collect();
        let indented = !body.trim().is_empty();
        let act = match words.as_slice() {
            ["account", jid] => {
                self.account(jid);
                return Ok(None);
            }
            ["client", name, jid, rest @ ..] => {
                let starts = match rest {
                    [] => Start::Online,
                    ["connected"] => Start::Connected,
                    ["offline"] => Start::Offline,
                    _ => return Err("a client starts online, connected or offline".to_owned()),
                };
                let (bare, _) = jid.split_once('/').ok_or("a client has a full JID")?;
                self.account(bare);
                let (caps, by_hand) = caps(block)?;
                self.clients.push(Client { name: (*name).to_owned(), jid: (*jid).to_owned(), starts, caps, by_hand });
                return Ok(None);
            }
            ["roster", owner, contact, subscription @ ("both" | "from" | "to" | "none"), groups @ ..] => {
                self.account(owner);
                self.account(contact);
                let groups = groups.join(" ").split(',').map(|group| group.trim().to_owned()).filter(|group| !group.is_empty()).collect();
                let (owner, contact) = ((*owner).to_owned(), (*contact).to_owned());
                self.rosters.push(Contact { owner, contact, subscription: (*subscription).to_owned(), groups });
                return Ok(None);
            }
            ["server", "with", ..] => {
                self.settings += line.trim_start_matches("server with");
                self.settings.push('\n');
                return Ok(None);
            }
            ["server", "restarts"] => return Ok(Some((String::new(), Act::Restarts))),
            ["server", "crashes"] => return Ok(Some((String::new(), Act::Crashes))),
            [names @ .., "differ"] => {
                let names = names.iter().map(|name| name.trim_end_matches(',').to_owned()).collect();
                return Ok(Some((String::new(), Act::Differ(names))));
            }
            [_, "connects"] => Act::Connects,
            [_, "comes", "online"] => Act::ComesOnline,
            [_, "goes", "offline"] => Act::GoesOffline,
            [_, "vanishes"] => Act::Vanishes,
            [_, "can", "resume"] => Act::CanResume,
            [_, "resumes"] => Act::Resumes,
            [_, "is", "now", "+", seconds, "s"] => Act::IsNow(seconds.parse().map_err(|error| format!("{error}"))?),
            [_, "sends:"] if indented => {
                Element::parse(&body)?;
                Act::Sends(body)
            }
            [_, "does:"] if indented => {
                let parsed = Element::parse(&body)?;
                if parsed.len() != 1 || parsed[0].name != "iq" {
                    return Err("only one IQ can be done".to_owned());
                }
                Act::Does(body)
            }
            [_, "receives:"] if indented => Act::Receives { expected: Element::parse(&body)?, in_any_order: false },
            [_, "receives", "in", "any", "order:"] if indented => Act::Receives { expected: Element::parse(&body)?, in_any_order: true },
            [_, "may", "receive:"] if indented => Act::MayReceive(Element::parse(&body)?),
            [_, "receives", "nothing"] => Act::ReceivesNothing,
            [_, "is", "refused:", kind, condition, rest @ ..] => {
                let (pubsub, feature) = match rest {
                    [] => (None, None),
                    [pubsub] => (Some((*pubsub).to_owned()), None),
                    [pubsub, feature] => (Some((*pubsub).to_owned()), Some((*feature).to_owned())),
                    _ => return Err("too many words".to_owned()),
                };
                Act::IsRefused(Refusal { kind: (*kind).to_owned(), condition: (*condition).to_owned(), pubsub, feature })
            }
            _ => {
                let (room, act) = RoomAct::parse(&words, &body)?.ok_or("not understood")?;
                Act::InRoom { room, act }
            }
        };
        Ok(Some((words[0].to_owned(), act)))
    }

    fn account(&mut self, jid: &str) {
        if !self.accounts.iter().any(|account| account == jid) {
            self.accounts.push(jid.to_owned());
        }
    }
}

/// `A, B receive …` is a step of each.
fn each(line: &str) -> Vec<String> {
    match line.split_once(" receive").filter(|(names, _)| names.contains(", ") && !names.starts_with("All in ")) {
        Some((names, what)) => names.split(", ").map(|name| format!("{name} receives{what}")).collect(),
        None => vec![line.to_owned()],
    }
}

/// The lines under a client.
fn caps(block: &[&str]) -> Result<(Option<Caps>, bool), String> {
    let (mut caps, mut by_hand) = (None::<Caps>, false);
    for line in block.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
        match line.split_once(':').map(|(key, value)| (key, value.trim())) {
            Some(("features", list)) => {
                caps.get_or_insert_default().features.extend(list.split_whitespace().map(ToOwned::to_owned));
            }
            Some(("identity", identity)) => identity.clone_into(&mut caps.get_or_insert_default().identity),
            Some(("answers", "by hand")) => by_hand = true,
            _ => return Err(format!("{line}: not understood")),
        }
    }
    if let Some(caps) = caps.as_mut().filter(|caps| !by_hand && caps.features.iter().any(|feature| feature.ends_with("+notify"))) {
        caps.features.push(format!("{KNOWN}+notify"));
    }
    Ok((caps, by_hand))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_clients_and_steps() {
        let text = "# §1\nserver with limits.x = 1\nclient A a@denmark.lit/x connected\n  features: f g\n  identity: client/pc/A\n\n\
                    roster a@denmark.lit b@denmark.lit both Best Friends, Work\n\nA does:\n  <iq/>\n\n# Example 1\nA receives nothing\nserver restarts\n";
        let script = Script::parse(text).unwrap();
        assert_eq!(script.settings, " limits.x = 1\n");
        assert_eq!(script.accounts, ["a@denmark.lit", "b@denmark.lit"]);
        assert_eq!(script.rosters[0].groups, ["Best Friends", "Work"]);
        assert_eq!(script.clients[0].caps.as_ref().unwrap().features, ["f", "g"]);
        assert_eq!(script.steps.iter().map(|step| step.line).collect::<Vec<_>>(), [9, 13, 14]);
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (text, line) in [
            ("\nA leaps", 2),
            ("A receives nothing", 1),
            ("client A a@denmark.lit", 1),
            ("  <iq/>", 1),
            ("client A a@denmark.lit/x\nA sends:\n  <iq>", 2),
            ("client A a@denmark.lit/x\nA sends:", 2),
            ("client A a@denmark.lit/x\n  colour: red", 1),
            ("client A a@denmark.lit/x\nA, B receive nothing", 2),
            ("client A a@denmark.lit/x\nA joins the coven", 2),
            ("client A a@denmark.lit/x\nA creates c@chat.denmark.lit as a\n  <x/>", 2),
            ("client A a@denmark.lit/x\nAll in c@chat.denmark.lit receive:", 2),
        ] {
            assert_eq!(Script::parse(text).map_err(|(line, _)| line).err(), Some(line), "{text}");
        }
    }
}
