//! What a message is about, as far as it matters for keeping and copying it: XEP-0160 §3, XEP-0313 §6.1.1, XEP-0334, XEP-0280 §6.1.

use std::time::SystemTime;

use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Child, Kind, MessageType, Stanza};
use crate::store::ArchiveId;
use crate::time;
use crate::xml::XmlWriter;

/// Whether a message is worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeping {
    /// In the archive, for as long as the operator says.
    pub archive: bool,
    /// Until it is delivered, when nobody is there to get it.
    pub offline: bool,
}

impl Keeping {
    /// Judges a stanza. What is archived may also wait for delivery.
    #[must_use]
    pub fn of(stanza: &Stanza) -> Self {
        const NOTHING: Keeping = Keeping { archive: false, offline: false };
        // XEP-0160 §3; a room's messages are in the room's archive (XEP-0313 §6.1.1), and what its occupants say privately was for that visit.
        let Kind::Message(MessageType::Chat | MessageType::Normal) = stanza.kind() else { return NOTHING };
        if is_private_message_of_a_room(stanza) {
            return NOTHING;
        }
        Self::by_content(stanza)
    }

    /// Judges a message to a room, which a room's archive keeps (XEP-0313 §6.1.2); nothing of it waits for delivery.
    #[must_use]
    pub fn in_room(stanza: &Stanza) -> bool {
        stanza.kind() == Kind::Message(MessageType::Groupchat) && Self::by_content(stanza).archive
    }

    fn by_content(stanza: &Stanza) -> Self {
        let (mut meaning, mut other, mut permanent, mut wanted) = (false, false, true, false);
        for child in stanza.children() {
            match (child.ns(), child.name()) {
                (ns::HINTS, "no-store") => return Self::default(),
                (ns::HINTS, "no-permanent-store") => permanent = false,
                (ns::HINTS, "store") => wanted = true,
                _ if is_transient(&child) => {}
                _ if has_meaning(&child) => meaning = true,
                _ => other = true,
            }
        }
        Self { archive: permanent && (meaning || wanted), offline: meaning || wanted || other }
    }
}

/// What accompanies a message or tells of a passing state: alone it is not kept. XEP-0160 §3: "messages that contain only Chat State
/// Notifications".
fn is_transient(child: &Child<'_>) -> bool {
    matches!(child.ns(), ns::CHAT_STATES | ns::HINTS | ns::STANZA_ID | ns::CARBONS | ns::DELAY)
        || matches!((child.ns(), child.name()), (ns::CLIENT, "thread") | (ns::RECEIPTS, "request") | (ns::CHAT_MARKERS, "markable"))
}

/// What people say to each other, and what changes or answers it.
fn has_meaning(child: &Child<'_>) -> bool {
    const ALL_OF: [&str; 14] = [
        ns::CHAT_MARKERS,
        ns::JINGLE_MESSAGE,
        ns::JINGLE_MESSAGE_1,
        ns::CALL_INVITES,
        ns::CORRECTION,
        ns::RETRACTION,
        ns::RETRACTION_0,
        ns::FASTENING,
        ns::REACTIONS,
        ns::REPLY,
        ns::CONFERENCE,
        ns::OOB,
        ns::FILE_SHARING,
        ns::MEDIA_SHARING,
    ];
    let named = matches!(
        (child.ns(), child.name()),
        (ns::CLIENT, "body" | "subject")
            | (ns::RECEIPTS, "received")
            | (ns::MUC_USER, "x")
            | (ns::OMEMO_0 | ns::OMEMO_2, "encrypted")
            | (ns::OPENPGP, "openpgp")
            | (ns::ENCRYPTED, "x")
    );
    named || ALL_OF.contains(&child.ns())
}

/// Whether there is something to read in it, encrypted or not, that may be remembered (XEP-0334 §4.3): what a room shows to newcomers.
#[must_use]
pub fn is_readable(stanza: &Stanza) -> bool {
    let readable = |child: Child<'_>| {
        matches!(
            (child.ns(), child.name()),
            (ns::CLIENT, "body") | (ns::OMEMO_0 | ns::OMEMO_2, "encrypted") | (ns::OPENPGP, "openpgp") | (ns::ENCRYPTED, "x")
        )
    };
    stanza.child(ns::HINTS, "no-store").is_none() && stanza.children().any(readable)
}

/// XEP-0280 §6.1: direct (XEP-0249) and mediated (XEP-0045 §7.8.2) invitations.
#[must_use]
pub fn is_invitation(stanza: &Stanza) -> bool {
    stanza.child(ns::CONFERENCE, "x").is_some()
        || stanza.child(ns::MUC_USER, "x").and_then(|x| x.element().ok()).is_some_and(|x| x.root().child(ns::MUC_USER, "invite").is_some())
}

/// XEP-0280 §6.1: private messages from an occupant were already replicated by the room to each session that joined it.
#[must_use]
pub fn is_private_message_of_a_room(stanza: &Stanza) -> bool {
    stanza.child(ns::MUC_USER, "x").is_some() && !is_invitation(stanza)
}

/// XEP-0359 §2.1: says under which number an account's archive has this message.
pub fn add_stanza_id(stanza: &mut Stanza, account: &BareJid, id: ArchiveId) {
    let mut xml = XmlWriter::with_capacity(96);
    xml.open("stanza-id").ns(ns::STANZA_ID).attr("id", &id.to_string()).attr("by", account.as_str()).close();
    stanza.add_child(&xml.finish());
}

/// XEP-0203 §2: says since when this domain has kept the message. What claims to be from the same domain is taken away.
pub fn add_delay(stanza: &mut Stanza, domain: &str, since: SystemTime) {
    stanza.remove_children(|child| child.is(ns::DELAY, "delay") && child.attr("from").is_some_and(|from| from == domain));
    let mut xml = XmlWriter::with_capacity(96);
    xml.open("delay").ns(ns::DELAY).attr("from", domain).attr("stamp", &time::xep0082_ms(since)).close();
    stanza.add_child(&xml.finish());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    fn check(xml: &str, archive: bool, offline: bool) {
        let stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap();
        assert_eq!(Keeping::of(&stanza), Keeping { archive, offline }, "{xml}");
    }

    fn check_content(content: &str, archive: bool, offline: bool) {
        for type_ in ["chat", "normal"] {
            check(&format!("<message type='{type_}'>{content}</message>"), archive, offline);
        }
        for type_ in ["groupchat", "headline", "error"] {
            check(&format!("<message type='{type_}'>{content}</message>"), false, false);
        }
    }

    #[test]
    fn xep0160_s3_and_xep0313_s6_1_1_what_is_said_is_kept() {
        for content in [
            "<body>hi</body>",
            "<subject>hi</subject>",
            "<body xml:lang='de'>hallo</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<openpgp xmlns='urn:xmpp:openpgp:0'/>",
            "<x xmlns='jabber:x:encrypted'/>",
            "<x xmlns='jabber:x:conference' jid='room@conference.localhost'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>",
        ] {
            check_content(content, true, true);
        }
    }

    #[test]
    fn xep0184_xep0333_xep0308_xep0424_xep0444_xep0461_xep0353_what_answers_or_changes_is_kept() {
        for content in [
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0' id='1'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
            "<reply xmlns='urn:xmpp:reply:0' id='1'/>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<accept xmlns='urn:xmpp:jingle-message:0' id='1'/><private xmlns='urn:xmpp:carbons:2'/>",
            "<invite xmlns='urn:xmpp:call-invites:0'/>",
        ] {
            check_content(content, true, true);
        }
    }

    #[test]
    fn xep0085_what_passes_is_not_kept() {
        for content in [
            "",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread><origin-id xmlns='urn:xmpp:sid:0' id='1'/>",
            "<request xmlns='urn:xmpp:receipts'/>",
            "<markable xmlns='urn:xmpp:chat-markers:0'/>",
            "<body>secret</body><x xmlns='http://jabber.org/protocol/muc#user'/>",
        ] {
            check_content(content, false, false);
        }
        // XEP-0160 §3: other messages wait for delivery, without becoming part of the archive.
        check_content("<data xmlns='urn:example'/>", false, true);
    }

    #[test]
    fn xep0334_s4_hints() {
        const BODY: &str = "<body>hi</body>";
        const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let hint = |content: &str, name: &str| format!("{content}<{name} xmlns='urn:xmpp:hints'/>");
        check_content(&hint(BODY, "no-permanent-store"), false, true);
        check_content(&hint(BODY, "no-store"), false, false);
        check_content(&hint(BODY, "no-copy"), true, true);
        check_content(&hint(STATE, "store"), true, true);
        check_content(&hint("", "store"), true, true);
        check_content(&hint(&hint(BODY, "store"), "no-store"), false, false);
        check_content(&hint(&hint(BODY, "store"), "no-permanent-store"), false, true);
    }

    #[test]
    fn xep0203_s2_and_xep0359_s2_1_additions() {
        let xml = "<message><body>a</body><delay xmlns='urn:xmpp:delay' from='x.example' stamp='2002-09-10T23:08:25Z'/>\
                   <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2002-09-10T23:08:25Z'/></message>";
        let mut stanza = Stanza::parse(xml.into(), &Bindings::client()).unwrap();
        let id = ArchiveId::at(SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123));
        add_stanza_id(&mut stanza, &BareJid::parse("a@localhost").unwrap(), id);
        add_delay(&mut stanza, "localhost", id.time());
        assert_eq!(
            format!("{stanza:?}"),
            format!(
                "<message><body>a</body><delay xmlns='urn:xmpp:delay' from='x.example' stamp='2002-09-10T23:08:25Z'/>\
                 <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='a@localhost'/>\
                 <delay xmlns='urn:xmpp:delay' from='localhost' stamp='2023-11-14T22:13:20.123Z'/></message>"
            )
        );
    }
}
