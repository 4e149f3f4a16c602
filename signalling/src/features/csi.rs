//! XEP-0352: Client State Indication (1.0.0). What may wait while nobody looks at a client's screen. Pure; the mailbox (`mailbox.rs`) does the waiting.
//!
//! What is urgent is decided by what is not: only stanzas known to be unimportant wait.

use crate::jid::Jid;
use crate::jingle::propose::is_call_message;
use crate::ns;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};
use crate::xml::Node;

/// Larger notifications are not looked into.
const EVENT_BYTES_MAX: usize = 8192;

/// What becomes of a stanza for an inactive client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weight {
    /// It is sent at once, and what waits before it.
    Urgent,
    /// It waits.
    Waits,
    /// It waits, and takes the place of an earlier one of the same subject.
    Supersedes(Subject),
}

/// What a stanza tells of, of which only the last counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The presence of a full JID.
    Presence(Jid),
    /// The chat state of a full JID (XEP-0085), as told to an address.
    ChatState(Jid, Option<Jid>),
    /// An item at a service (XEP-0060), as told to an address: its node and id.
    Item(Box<Told>),
}

/// Which item a notification tells of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    from: Jid,
    to: Option<Jid>,
    node: Box<str>,
    item: Box<str>,
}

/// §3.2.
#[must_use]
pub fn weight(stanza: &Stanza) -> Weight {
    match stanza.kind() {
        Kind::Iq(_) => Weight::Urgent,
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => presence(stanza),
        // Somebody asks or has answered.
        Kind::Presence(_) => Weight::Urgent,
        Kind::Message(MessageType::Error) => Weight::Urgent,
        Kind::Message(kind) => message(kind, stanza),
    }
}

/// The presence of a full JID is superseded by its next one; what a room says with it (XEP-0045) is said once.
#[must_use]
pub fn presence(stanza: &Stanza) -> Weight {
    match stanza.from() {
        Some(from) if stanza.child(ns::MUC_USER, "x").is_none() => Weight::Supersedes(Subject::Presence(from.clone())),
        _ => Weight::Waits,
    }
}

fn message(kind: MessageType, stanza: &Stanza) -> Weight {
    if is_call_message(stanza) || stanza.child(ns::CLIENT, "body").is_some() {
        return Weight::Urgent;
    }
    if let Some(weight) = copy(stanza) {
        return weight;
    }
    if let Some(told) = item(stanza) {
        return Weight::Supersedes(Subject::Item(Box::new(told)));
    }
    let mut names = stanza.children().map(|child| Name::of(child.ns(), child.name()));
    let addresses = (stanza.from().cloned(), stanza.to().cloned());
    weigh(&mut names, addresses, kind == MessageType::Headline)
}

/// A notification about one item. Whatever is said of it later, that it is another one or gone, is all that counts then; of other items of the node it says
/// nothing.
fn item(stanza: &Stanza) -> Option<Told> {
    let event = stanza.child(ns::PUBSUB_EVENT, "event").filter(|event| event.bytes().len() <= EVENT_BYTES_MAX)?;
    if stanza.children().any(|child| !matches!(child.ns(), ns::PUBSUB_EVENT | ns::DELAY | ns::ADDRESS | ns::HINTS | ns::STANZA_ID)) {
        return None;
    }
    let element = event.element().ok()?;
    let items = element.root().child(ns::PUBSUB_EVENT, "items")?;
    let (first, second) = {
        let mut told = items.children();
        (told.next()?, told.next())
    };
    let item = first.attr("id").filter(|_| second.is_none() && matches!(first.name(), "item" | "retract"))?;
    Some(Told { from: stanza.from()?.clone(), to: stanza.to().cloned(), node: items.attr("node")?.into(), item: item.into() })
}

/// A carbon (XEP-0280) weighs what its message weighs.
fn copy(stanza: &Stanza) -> Option<Weight> {
    let copy = stanza.children().find(|child| child.ns() == ns::CARBONS && matches!(child.name(), "sent" | "received"))?.element().ok()?;
    let message = copy.root().child(ns::FORWARD, "forwarded")?.child(ns::CLIENT, "message")?;
    let is_call = message.children().any(|child| matches!(child.ns(), ns::JINGLE_MESSAGE | ns::JINGLE_MESSAGE_1));
    if is_call || message.child(ns::CLIENT, "body").is_some() {
        return Some(Weight::Urgent);
    }
    let address = |name| message.attr(name).and_then(|text| Jid::parse(text).ok());
    let mut names = message.children().map(|child: Node<'_>| Name::of(child.ns(), child.name()));
    Some(weigh(&mut names, (address("from"), address("to")), false))
}

/// The children that matter here.
enum Name {
    ChatState,
    /// Says nothing to a person.
    Quiet,
    /// Says something that nobody would look up for, and is said once.
    Told,
    Other,
}

impl Name {
    fn of(namespace: &str, name: &str) -> Self {
        match (namespace, name) {
            (ns::CHAT_STATES, _) => Self::ChatState,
            (ns::CLIENT, "thread") | (ns::HINTS | ns::STANZA_ID | ns::DELAY, _) => Self::Quiet,
            // That something has arrived or was read is of interest when somebody looks.
            (ns::RECEIPTS | ns::CHAT_MARKERS | ns::PUBSUB_EVENT, _) => Self::Told,
            _ => Self::Other,
        }
    }
}

fn weigh(names: &mut dyn Iterator<Item = Name>, (from, to): (Option<Jid>, Option<Jid>), headline: bool) -> Weight {
    let (mut count, mut chat_state, mut told, mut other) = (0, false, false, false);
    for name in names {
        count += 1;
        chat_state |= matches!(name, Name::ChatState);
        told |= matches!(name, Name::Told);
        other |= matches!(name, Name::Other);
    }
    match (other, from) {
        (true, _) if !headline => Weight::Urgent,
        (false, Some(from)) if chat_state && !told => Weight::Supersedes(Subject::ChatState(from, to)),
        _ if count == 0 && !headline => Weight::Urgent,
        _ => Weight::Waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    fn check(xml: &str, expected: &Weight) {
        let stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap_or_else(|error| panic!("{error:?}: {xml}"));
        assert_eq!(weight(&stanza), *expected, "{xml}");
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn s3_2_what_concerns_somebody_now_is_urgent() {
        for xml in [
            "<message from='a@b/c' type='chat'><body>x</body></message>",
            "<message from='a@b/c' type='chat'><body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message from='a@b/c' type='groupchat'><body>x</body></message>",
            "<message from='a@b/c' type='error'><error type='cancel'/></message>",
            "<message from='a@b/c'><propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>",
            "<message from='a@b/c'><encrypted xmlns='urn:example:e2e'/><store xmlns='urn:xmpp:hints'/></message>",
            "<message from='a@b'><result xmlns='urn:xmpp:mam:2' id='1'/></message>",
            "<message from='a@b/c'/>",
            "<message from='a@b/c'><x xmlns='jabber:x:conference' jid='r@m'/></message>",
            "<iq from='a@b/c' id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<iq from='a@b/c' id='1' type='set'><jingle xmlns='urn:xmpp:jingle:1'/></iq>",
            "<iq from='a@b/c' id='1' type='result'/>",
            "<presence from='a@b' type='subscribe'/>",
            "<presence from='a@b' type='error'/>",
            "<message from='me@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='a@b/c'><body>x</body></message></forwarded></received></message>",
            "<message from='me@b'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='me@b/c'><accept xmlns='urn:xmpp:jingle-message:0' id='1'/></message></forwarded></sent></message>",
        ] {
            check(xml, &Weight::Urgent);
        }
    }

    #[test]
    fn s3_2_what_nobody_would_look_up_for_waits() {
        for xml in [
            "<message from='a@b/c'><received xmlns='urn:xmpp:receipts' id='1'/></message>",
            "<message from='a@b/c' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/><store xmlns='urn:xmpp:hints'/></message>",
            "<message from='a@b' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>",
            "<message from='a@b' type='headline'><x xmlns='urn:example:news'/></message>",
            "<message from='a@b/c' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/><received xmlns='urn:xmpp:receipts' id='1'/></message>",
            "<presence from='room@m/nick'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>",
        ] {
            check(xml, &Weight::Waits);
        }
    }

    #[test]
    fn xep0060_of_an_item_the_last_notification_counts() {
        let event = |content: &str, behind: &str| {
            format!(
                "<message from='a@b' to='c@d/e' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>{content}</event>{behind}</message>"
            )
        };
        let told = || Told { from: jid("a@b"), to: Some(jid("c@d/e")), node: "n".into(), item: "i".into() };
        for (content, behind) in [
            ("<items node='n'><item id='i'><x xmlns='u'/></item></items>", ""),
            ("<items node='n'><retract id='i'/></items>", ""),
            (
                "<items node='n'><item id='i'/></items>",
                "<addresses xmlns='http://jabber.org/protocol/address'/><delay xmlns='urn:xmpp:delay'/>",
            ),
        ] {
            check(&event(content, behind), &Weight::Supersedes(Subject::Item(Box::new(told()))));
        }
        for (content, behind) in [
            ("<items node='n'><item id='i'/><item id='j'/></items>", ""),
            ("<items node='n'><item/></items>", ""),
            ("<items node='n'/>", ""),
            ("<purge node='n'/>", ""),
            ("<items node='n'><item id='i'/></items>", "<other xmlns='urn:o'/>"),
        ] {
            check(&event(content, behind), &Weight::Waits);
        }
    }

    #[test]
    fn s3_2_of_presence_and_xep0085_chat_states_the_last_counts() {
        for xml in ["<presence from='a@b/c'/>", "<presence from='a@b/c' type='unavailable'><status>x</status></presence>"] {
            check(xml, &Weight::Supersedes(Subject::Presence(jid("a@b/c"))));
        }
        let composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        for content in [composing.to_owned(), format!("<thread>t</thread>{composing}<no-store xmlns='urn:xmpp:hints'/>")] {
            let xml = format!("<message from='a@b/c' to='me@b' type='chat'>{content}</message>");
            check(&xml, &Weight::Supersedes(Subject::ChatState(jid("a@b/c"), Some(jid("me@b")))));
        }
        let carbon = format!(
            "<message from='me@b'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='me@b/c' to='a@b'>{composing}</message></forwarded></sent></message>"
        );
        check(&carbon, &Weight::Supersedes(Subject::ChatState(jid("me@b/c"), Some(jid("a@b")))));
    }
}
