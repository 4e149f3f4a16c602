//! The `<jingle/>` element: XEP-0166 §7.1 and §7.2.

use smol_str::SmolStr;

use super::{CARRIED_MAX, CONTENTS_MAX, Carried, Content, GROUPS_MAX, Group, Info, NAME_BYTES_MAX};
use crate::jingle::reading::Reading;
use crate::jingle::reason::Reason;
use crate::jingle::shown::Quoted;
use crate::ns;
use crate::xml::{Node, XmlWriter};

words! {
    /// §7.2: what a `<jingle/>` asks for.
    pub enum Action {
        /// §7.2.1.
        ContentAccept = "content-accept",
        /// §7.2.2.
        ContentAdd = "content-add",
        /// §7.2.3.
        ContentModify = "content-modify",
        /// §7.2.4.
        ContentReject = "content-reject",
        /// §7.2.5.
        ContentRemove = "content-remove",
        /// §7.2.6.
        DescriptionInfo = "description-info",
        /// §7.2.7.
        SecurityInfo = "security-info",
        /// §7.2.8.
        SessionAccept = "session-accept",
        /// §7.2.9.
        SessionInfo = "session-info",
        /// §7.2.10.
        SessionInitiate = "session-initiate",
        /// §7.2.11.
        SessionTerminate = "session-terminate",
        /// §7.2.12.
        TransportAccept = "transport-accept",
        /// §7.2.13.
        TransportInfo = "transport-info",
        /// §7.2.14.
        TransportReject = "transport-reject",
        /// §7.2.15.
        TransportReplace = "transport-replace",
    }
}

/// A `<jingle/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jingle {
    /// §7.2.
    pub action: Action,
    /// §7.1: names the session between its two parties.
    pub sid: SmolStr,
    /// §7.1: the full JID of who began the session.
    pub initiator: Option<SmolStr>,
    /// §7.1: the full JID of who answers it, in a session-accept.
    pub responder: Option<SmolStr>,
    /// §7.3.
    pub contents: Vec<Content>,
    /// XEP-0338.
    pub groups: Vec<Group>,
    /// §7.4: may come with any action.
    pub reason: Option<Reason>,
    /// The payload of a session-info; `None` is a ping (§6.8).
    pub info: Option<Info>,
    /// Lines of SDP's session level that Jingle has no element for.
    pub carried: Vec<Carried>,
}

/// Why a `<jingle/>` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JingleError {
    /// §7.2: the receiver answers `<bad-request/>`.
    #[error("<jingle/>: {}, expected one of XEP-0166 §7.2, as 'session-initiate' is", found("action", .0.as_deref()))]
    Action(Option<SmolStr>),
    /// §7.1: REQUIRED.
    #[error("<jingle/>: {}, expected one of 1 to {NAME_BYTES_MAX} bytes", found("sid", .0.as_deref()))]
    Sid(Option<SmolStr>),
    /// Its name would be kept as long as the session lives.
    #[error("<content/>: {}, expected {NAME_BYTES_MAX} bytes at most", found("name", Some(.0)))]
    ContentName(SmolStr),
}

/// What there is in the place of what was expected.
fn found(attribute: &str, value: Option<&str>) -> String {
    value.map_or_else(|| format!("no {attribute}"), |value| format!("{attribute}={}", Quoted(value)))
}

/// The beginning of a wrong value: enough to be recognized.
pub(super) fn beginning(value: &str) -> SmolStr {
    crate::jingle::cut(value, NAME_BYTES_MAX).into()
}

impl Jingle {
    /// One that says nothing more.
    #[must_use]
    pub fn new(action: Action, sid: &str) -> Self {
        Self {
            action,
            sid: sid.into(),
            initiator: None,
            responder: None,
            contents: Vec::new(),
            groups: Vec::new(),
            reason: None,
            info: None,
            carried: Vec::new(),
        }
    }

    /// Reads a `<jingle/>`.
    ///
    /// # Errors
    /// Without action or sid it belongs to no session.
    pub fn read(node: Node<'_>, reading: &mut Reading) -> Result<Self, JingleError> {
        let action = node.attr("action");
        let action = action.and_then(Action::parse).ok_or_else(|| JingleError::Action(action.map(beginning)))?;
        let sid = node.attr("sid");
        let sid = sid.filter(|sid| is_sid(sid)).ok_or_else(|| JingleError::Sid(sid.map(beginning)))?;
        let mut jingle = Self::new(action, sid);
        if reading.is_whole() {
            for (namespace, name, value) in node.attrs() {
                match name {
                    _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                    "action" | "sid" => {}
                    "initiator" => jingle.initiator = reading.value(node, name, value),
                    "responder" => jingle.responder = reading.value(node, name, value),
                    _ => reading.unknown_attribute(node, namespace, name),
                }
            }
        }
        for child in node.children() {
            match (child.ns(), child.name()) {
                // Of XEP-0166 no word, but what lib-jitsi-meet writes for an m= line of port 0.
                (ns::JINGLE, "content") if reading.is_whole() && child.attr("senders") == Some("rejected") => {
                    reading.enter(child.attr("name").unwrap_or_default());
                    reading.unknown(&"the content is left out: senders='rejected' is no word of XEP-0166, and taken for a refusal");
                    reading.leave();
                }
                (ns::JINGLE, "content") => {
                    if reading.has_room(child, jingle.contents.len(), CONTENTS_MAX) {
                        jingle.contents.push(Content::read(child, action, reading)?);
                        reading.leave();
                    }
                }
                (ns::JINGLE, "reason") => {
                    if reading.has_room(child, jingle.reason.iter().len(), 1) {
                        jingle.reason = Some(Reason::read(child, reading));
                    }
                }
                (ns::JINGLE_GROUPING, "group") => {
                    if reading.is_whole() && reading.has_room(child, jingle.groups.len(), GROUPS_MAX) {
                        jingle.groups.extend(Group::read(child, reading));
                    }
                }
                (ns::SDP, "line") => {
                    if reading.is_whole() && reading.has_room(child, jingle.carried.len(), CARRIED_MAX) {
                        jingle.carried.extend(Carried::read(child, reading));
                    }
                }
                (namespace, _) if action == Action::SessionInfo && namespace != ns::JINGLE && jingle.info.is_none() => {
                    jingle.info = Info::read(child, reading);
                }
                _ => reading.unknown_child(child, node),
            }
        }
        Ok(jingle)
    }

    /// Writes it: what XEP-0166's schema has, in its order, then what others have added.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("jingle").ns(ns::JINGLE).attr("action", self.action.as_str());
        out.attr_opt("initiator", self.initiator.as_deref()).attr_opt("responder", self.responder.as_deref()).attr("sid", &self.sid);
        self.contents.iter().for_each(|content| content.write(out));
        if let Some(reason) = &self.reason {
            reason.write(out);
        }
        self.groups.iter().for_each(|group| group.write(out));
        if let Some(info) = &self.info {
            info.write(out);
        }
        self.carried.iter().for_each(|line| line.write(out));
        out.close();
    }

    /// The name of what a session-info says: `ringing`, `hold`, `mute`… (XEP-0167 §8).
    #[must_use]
    pub fn info_name(&self) -> Option<&str> {
        self.info.as_ref().map(|info| &*info.name)
    }
}

/// Whether a text can be a session's id here: not empty and not longer than [`NAME_BYTES_MAX`]. §7.1 only advises an Nmtoken.
pub(in crate::jingle) fn is_sid(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
}
