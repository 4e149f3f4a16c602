//! XEP-0166 §7: the `<jingle/>` element and its contents.
//!
//! Reading is tolerant: what a client leaves out gets the specification's default, what is unknown is passed over. Only what makes the
//! element meaningless (no action, no sid) is an error; the rest is said to who [asks](Reading::whole). What is written is read as the same.

mod carried;
mod group;
mod info;

use smol_str::SmolStr;

pub use carried::{CARRIED_MAX, Carried};
pub use group::{GROUPS_MAX, Group};
pub use info::Info;

use super::names;
use super::reading::Reading;
use super::reason::Reason;
use super::rtp::Rtp;
use super::shown::Quoted;
use super::transport::{Method, Transport};
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Contents read from one stanza; those that follow are left out. Browsers in a conference have a section for each track of each participant.
pub const CONTENTS_MAX: usize = 128;
/// Longest sid, content name, ufrag and the like, in bytes. A longer sid or name is refused, the rest is cut.
pub const NAME_BYTES_MAX: usize = 256;

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

words! {
    /// The two ends of a session; also the values of `creator` (§7.3).
    pub enum Party {
        /// Who sent the session-initiate.
        Initiator = "initiator",
        /// Who got it.
        Responder = "responder",
    }
}

impl Party {
    /// The one at the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

words! {
    /// §7.3: which parties generate content.
    pub enum Senders {
        /// As SDP's sendrecv.
        Both = "both",
        /// The initiator alone.
        Initiator = "initiator",
        /// As SDP's inactive.
        None = "none",
        /// The responder alone.
        Responder = "responder",
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

/// A `<content/>`: one application type over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Who defined it first. Together with the name it is unique in the session.
    pub creator: Party,
    /// Chosen by the creator; SDP's `a=mid`. Empty where a client writes none (stanza.js without `mid`).
    pub name: SmolStr,
    /// `None`: not said, which means both but in content-modify.
    pub senders: Option<Senders>,
    /// `session` unless said otherwise.
    pub disposition: Option<SmolStr>,
    /// The application type.
    pub description: Option<Description>,
    /// The transport method.
    pub transport: Option<Transport>,
    /// The protocol of SDP's m= line where it is not the one that follows from the rest (`sdp::map`): `<protocol xmlns='urn:campanile:sdp:0'/>`.
    pub protocol: Option<SmolStr>,
    /// Lines of SDP's media level that Jingle has no element for.
    pub carried: Vec<Carried>,
}

/// A `<description/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Description {
    /// XEP-0167.
    Rtp(Box<Rtp>),
    /// XEP-0234, in any of its versions.
    FileTransfer,
    /// Another namespace, at most [`NAME_BYTES_MAX`] bytes of it.
    Other(SmolStr),
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
fn beginning(value: &str) -> SmolStr {
    super::cut(value, NAME_BYTES_MAX).into()
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
pub(super) fn is_sid(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
}

impl Content {
    /// `action`: what the `<jingle/>` around it asks for.
    fn read(node: Node<'_>, action: Action, reading: &mut Reading) -> Result<Self, JingleError> {
        let name = node.attr("name");
        if let Some(name) = name.filter(|name| name.len() > NAME_BYTES_MAX) {
            return Err(JingleError::ContentName(beginning(name)));
        }
        reading.enter(name.unwrap_or_default());
        let mut content = Self::new(Party::Initiator, reading.required(node, "name", name).unwrap_or_default());
        content.read_attributes(node, reading);
        reading.spoken_by(match action {
            Action::SessionInitiate => Some(Party::Initiator),
            Action::SessionAccept => Some(Party::Responder),
            Action::ContentAdd => Some(content.creator),
            Action::ContentAccept => Some(content.creator.other()),
            _ => None,
        });
        let mut muxed = false;
        for child in node.children() {
            match child.name() {
                _ if !names::is_namespace(child.ns()) => reading.unknown_child(child, node),
                "description" => {
                    if reading.has_room(child, content.description.iter().len(), 1) {
                        content.description = Some(Description::read(child, reading));
                    }
                }
                "transport" => {
                    if reading.has_room(child, content.transport.iter().len(), 1) {
                        content.transport = Some(Transport::read(child, reading));
                        // Jitsi's bridge has it here.
                        muxed = reading.is_whole() && child.child(child.ns(), "rtcp-mux").is_some();
                    }
                }
                "line" if child.ns() == ns::SDP => {
                    if reading.is_whole() && reading.has_room(child, content.carried.len(), CARRIED_MAX) {
                        content.carried.extend(Carried::read(child, reading));
                    }
                }
                "protocol" if child.ns() == ns::SDP => {
                    if reading.is_whole() && reading.has_room(child, content.protocol.iter().len(), 1) {
                        content.protocol = carried::read_protocol(child, reading);
                    }
                }
                _ => reading.unknown_child(child, node),
            }
        }
        if let (true, Some(Description::Rtp(rtp))) = (muxed, &mut content.description) {
            rtp.rtcp_mux = true;
        }
        Ok(content)
    }

    /// All but the name.
    fn read_attributes(&mut self, node: Node<'_>, reading: &mut Reading) {
        let mut creator = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "name" => {}
                "creator" => {
                    creator = Some(value);
                    match Party::parse(value) {
                        Some(party) => self.creator = party,
                        None => reading.unexpected(node, name, value, "'initiator' or 'responder'"),
                    }
                }
                "senders" => {
                    self.senders = Senders::parse(value);
                    if self.senders.is_none() {
                        reading.unexpected(node, name, value, "'both', 'initiator', 'none' or 'responder'");
                    }
                }
                "disposition" => self.disposition = reading.word(node, name, value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        reading.required(node, "creator", creator);
    }

    /// One that says nothing more.
    #[must_use]
    pub fn new(creator: Party, name: &str) -> Self {
        Self {
            creator,
            name: name.into(),
            senders: None,
            disposition: None,
            description: None,
            transport: None,
            protocol: None,
            carried: Vec::new(),
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("content").attr("creator", self.creator.as_str()).attr_opt("disposition", self.disposition.as_deref());
        out.attr("name", &self.name).attr_opt("senders", self.senders.map(Senders::as_str));
        if let Some(description) = &self.description {
            description.write(out);
        }
        if let Some(transport) = &self.transport {
            transport.write(out);
        }
        if let Some(protocol) = &self.protocol {
            out.open("protocol").ns(ns::SDP).text(protocol).close();
        }
        self.carried.iter().for_each(|line| line.write(out));
        out.close();
    }

    /// Whether the content is part of a call: real-time media, or datagrams of another kind than a file's.
    #[must_use]
    pub fn is_call(&self) -> bool {
        match &self.description {
            Some(Description::Rtp(_)) => true,
            Some(Description::FileTransfer) => false,
            Some(Description::Other(_)) | None => self.transport.as_ref().is_some_and(|transport| transport.method.has_candidates()),
        }
    }

    /// What it carries, in a word.
    #[must_use]
    pub fn media(&self) -> &str {
        match &self.description {
            Some(Description::Rtp(rtp)) => &rtp.media,
            Some(Description::FileTransfer) => "file",
            // XEP-0343 has no description of its own; elsewhere the namespace says it.
            Some(Description::Other(namespace)) => namespace.strip_prefix("urn:xmpp:jingle:apps:").unwrap_or(namespace),
            None => "data",
        }
    }

    /// The method of its transport, if it names one.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.transport.as_ref().map(|transport| &transport.method)
    }
}

impl Description {
    /// Also reads what XEP-0353 puts into a `<propose/>`.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Self {
        match node.ns() {
            ns::JINGLE_RTP => Self::Rtp(Box::new(Rtp::read(node, reading))),
            namespace if namespace.starts_with("urn:xmpp:jingle:apps:file-transfer:") => Self::FileTransfer,
            namespace => Self::Other(super::cut(namespace, NAME_BYTES_MAX).into()),
        }
    }

    /// Writes it; of what is kept by its namespace alone, no more than that.
    pub fn write(&self, out: &mut XmlWriter) {
        match self {
            Self::Rtp(rtp) => rtp.write(out),
            Self::FileTransfer => {
                out.open("description").ns(ns::JINGLE_FILE_TRANSFER).close();
            }
            Self::Other(namespace) if names::is_namespace(namespace) => {
                out.open("description").ns(namespace).close();
            }
            Self::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::candidate::CandidateType;
    use crate::jingle::reason::Condition;
    use crate::jingle::rtp::PAYLOAD_TYPES_MAX;
    use crate::jingle::testing::{self, jingle, read};

    #[test]
    fn s6_2_example_10() {
        let jingle = read(
            "<iq from='romeo@montague.lit/orchard' id='xs51r0k4' to='juliet@capulet.lit/balcony' type='set'>
              <jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='romeo@montague.lit/orchard' sid='a73sjjvkla37jfea'>
                <content creator='initiator' name='voice'>
                  <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>
                    <payload-type id='96' name='speex' clockrate='16000'/>
                    <payload-type id='97' name='speex' clockrate='8000'/>
                    <payload-type id='18' name='G729'/>
                    <payload-type id='0' name='PCMU' />
                    <payload-type id='103' name='L16' clockrate='16000' channels='2'/>
                    <payload-type id='98' name='x-ISAC' clockrate='8000'/>
                  </description>
                  <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='asd88fgpdd777uzjYhagZg' ufrag='8hhy'>
                    <candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1' port='8998'
                               priority='2130706431' protocol='udp' type='host'/>
                  </transport>
                </content>
              </jingle>
            </iq>",
        )
        .unwrap();
        assert_eq!((jingle.action, &*jingle.sid), (Action::SessionInitiate, "a73sjjvkla37jfea"));
        let [content] = &jingle.contents[..] else { panic!("{jingle:?}") };
        assert_eq!((content.creator, &*content.name, content.senders, content.media()), (Party::Initiator, "voice", None, "audio"));
        let Some(Description::Rtp(rtp)) = &content.description else { panic!("{content:?}") };
        let names: Vec<_> = rtp
            .payload_types
            .iter()
            .map(|payload| (payload.id, payload.name.as_deref().unwrap(), payload.clockrate, payload.channels))
            .collect();
        assert_eq!(
            names[1..5],
            [(97, "speex", Some(8000), None), (18, "G729", None, None), (0, "PCMU", None, None), (103, "L16", Some(16000), Some(2))]
        );
        assert_eq!(content.transport.as_ref().unwrap().candidates[0].kind, Some(CandidateType::Host));
        assert!(content.is_call());
    }

    #[test]
    fn s7_2_every_action_and_no_other() {
        let actions = [
            "content-accept",
            "content-add",
            "content-modify",
            "content-reject",
            "content-remove",
            "description-info",
            "security-info",
            "session-accept",
            "session-info",
            "session-initiate",
            "session-terminate",
            "transport-accept",
            "transport-info",
            "transport-reject",
            "transport-replace",
        ];
        for action in actions {
            assert_eq!(jingle(action, "").map(|jingle| jingle.action.as_str()), Ok(action));
        }
        for action in ["", "initiate", "Session-Initiate", "source-add"] {
            assert_eq!(jingle(action, ""), Err(JingleError::Action(Some(action.into()))));
        }
    }

    #[test]
    fn s7_1_a_sid_is_required_and_bounded() {
        let iq = |attribute: &str| {
            read(&format!(
                "<iq type='set' id='i' from='a@a/a' to='b@b/b'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' {attribute}/></iq>"
            ))
        };
        assert_eq!(iq(""), Err(JingleError::Sid(None)));
        assert_eq!(iq("sid=''"), Err(JingleError::Sid(Some("".into()))));
        assert_eq!(iq(&format!("sid='{}'", "s".repeat(257))), Err(JingleError::Sid(Some("s".repeat(256).into()))));
        assert_eq!(iq("sid='not an nmtoken &amp; still a sid'").map(|jingle| jingle.sid), Ok("not an nmtoken & still a sid".into()));
    }

    #[test]
    fn s7_3_defaults_and_unknown_values() {
        let table = [
            ("<content creator='responder' name='v' senders='none'/>", Party::Responder, "v", Some(Senders::None)),
            ("<content name='v'/>", Party::Initiator, "v", None),
            ("<content creator='initiator' senders='rejected'/>", Party::Initiator, "", None),
            ("<content creator='nobody' name='v' disposition='early-session'><x xmlns='y'/></content>", Party::Initiator, "v", None),
        ];
        for (xml, creator, name, senders) in table {
            let jingle = jingle("content-modify", xml).unwrap();
            let content = &jingle.contents[0];
            assert_eq!((content.creator, &*content.name, content.senders), (creator, name, senders), "{xml}");
        }
        let long = format!("<content creator='initiator' name='{}'/>", "n".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(jingle("content-add", &long), Err(JingleError::ContentName("n".repeat(NAME_BYTES_MAX).into())));
    }

    #[test]
    fn errors_name_what_they_found_and_what_they_expected() {
        let table = [
            (JingleError::Action(None), "<jingle/>: no action, expected one of XEP-0166 §7.2, as 'session-initiate' is".to_owned()),
            (
                JingleError::Action(Some("call\n".into())),
                "<jingle/>: action='call\\n', expected one of XEP-0166 §7.2, as 'session-initiate' is".to_owned(),
            ),
            (JingleError::Sid(Some("".into())), "<jingle/>: sid='', expected one of 1 to 256 bytes".to_owned()),
            (
                JingleError::ContentName("n".repeat(256).into()),
                format!("<content/>: name='{}…', expected 256 bytes at most", "n".repeat(64)),
            ),
        ];
        for (error, expected) in table {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn xep_0167_s8_informational_payloads() {
        let table = [
            ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", Some("ringing")),
            // As XEP-0166 §6.8, example 30, has it.
            ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>", Some("ringing")),
            ("<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='responder' name='voice'/>", Some("mute")),
            ("", None),
        ];
        for (xml, expected) in table {
            assert_eq!(jingle("session-info", xml).unwrap().info_name(), expected, "{xml}");
        }
        assert_eq!(jingle("transport-info", "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>").unwrap().info, None);
    }

    #[test]
    fn what_is_a_call() {
        let table = [
            (
                "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'/><transport xmlns='urn:xmpp:jingle:transports:raw-udp:1'/>",
                true,
                "video",
            ),
            // XEP-0343: a data channel.
            (
                "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><sctpmap xmlns='urn:xmpp:jingle:transports:dtls-sctp:1' number='5000'/></transport>",
                true,
                "data",
            ),
            (
                "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>",
                false,
                "file",
            ),
            (
                "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>",
                false,
                "file",
            ),
            ("<description xmlns='urn:xmpp:jingle:apps:stub:0'/><transport xmlns='urn:xmpp:jingle:transports:stub:0'/>", false, "stub:0"),
        ];
        for (xml, is_call, media) in table {
            let jingle = jingle("session-initiate", &format!("<content creator='initiator' name='a'>{xml}</content>")).unwrap();
            assert_eq!((jingle.contents[0].is_call(), jingle.contents[0].media()), (is_call, media), "{xml}");
        }
    }

    #[test]
    fn lists_are_read_up_to_their_bounds_and_strangers_are_passed_over() {
        let contents = "<content creator='initiator' name='a'/>".repeat(CONTENTS_MAX + 1);
        assert_eq!(jingle("content-add", &contents).unwrap().contents.len(), CONTENTS_MAX);
        let payloads = "<payload-type id='96'/>".repeat(PAYLOAD_TYPES_MAX + 1);
        let content = format!("<content><description xmlns='urn:xmpp:jingle:apps:rtp:1'>{payloads}</description></content>");
        let Some(Description::Rtp(rtp)) = jingle("content-add", &content).unwrap().contents[0].description.clone() else { panic!() };
        assert_eq!((rtp.payload_types.len(), &*rtp.media), (PAYLOAD_TYPES_MAX, ""));

        let jingle = jingle(
            "session-terminate",
            "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'/><content xmlns='other'/><reason><busy/></reason><payload-type/>
             <content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='no'/><payload-type id='300'/></description></content>",
        )
        .unwrap();
        assert_eq!(jingle.reason.unwrap().condition, Some(Condition::Busy));
        assert_eq!(jingle.contents.len(), 1);
    }

    #[test]
    fn s7_1_parties_contents_and_what_stands_beside_them() {
        let jingle = |attributes: &str, children: &str| {
            format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'{attributes} sid='s'>{children}</jingle>")
        };
        let group =
            "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='voice'/><content name='webcam'/></group>";
        let content = "<content creator='initiator' disposition='early-session' name='voice' senders='both'/>";
        let amiss = |text: &str, content: Option<&str>| vec![(text.to_owned(), content.map(str::to_owned))];
        let table = [
            (jingle(" initiator='a@a/a' responder='b@b/b'", content), jingle(" initiator='a@a/a' responder='b@b/b'", content), vec![]),
            // XEP-0338 §2.
            (jingle("", &format!("{group}{content}")), jingle("", &format!("{content}{group}")), vec![]),
            (
                jingle("", "<group xmlns='urn:xmpp:jingle:apps:grouping:0'/>"),
                "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'/>".to_owned(),
                amiss("<group/>: no semantics, expected one", None),
            ),
            (
                jingle("", "<content creator='us' name='x' senders='rejected' y='z'/>"),
                jingle("", "<content creator='initiator' name='x'/>"),
                [
                    amiss("<content/>: creator='us', expected 'initiator' or 'responder'", Some("x")),
                    amiss("<content/>: senders='rejected', expected 'both', 'initiator', 'none' or 'responder'", Some("x")),
                    amiss("attribute y in <content/>", Some("x")),
                ]
                .concat(),
            ),
            (
                jingle(" x='y'", "<content/><x xmlns='y'/>"),
                jingle("", "<content creator='initiator' name=''/>"),
                [
                    amiss("attribute x in <jingle/>", None),
                    amiss("<content/>: no name, expected one", Some("")),
                    amiss("<content/>: no creator, expected one", Some("")),
                    amiss("<x xmlns='y'/> in <jingle/>", None),
                ]
                .concat(),
            ),
            // Kept by their namespaces alone.
            (
                jingle(
                    "",
                    "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:3'><offer/></description></content><content creator='initiator' name='o'><description xmlns='x' a='b'/></content>",
                ),
                jingle(
                    "",
                    "<content creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></content><content creator='initiator' name='o'><description xmlns='x'/></content>",
                ),
                vec![],
            ),
            // Jitsi has the description's child in the transport.
            (
                jingle(
                    "",
                    "<content creator='initiator' name='a'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'><rtcp-mux/></transport><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></content>",
                ),
                jingle(
                    "",
                    "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><rtcp-mux/></description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>",
                ),
                vec![],
            ),
        ];
        for (given, expected, amiss) in table {
            let (jingle, problems) = testing::whole(&given);
            let problems: Vec<_> =
                problems.into_iter().map(|problem| (problem.text, problem.content.map(|name| name.to_string()))).collect();
            assert_eq!((testing::written(|out| jingle.write(out)), problems), (expected, amiss), "{given}");
        }
    }

    #[test]
    fn s7_3_there_is_one_of_each() {
        let rtp = |media: &str| format!("<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'/>");
        let ice = |ufrag: &str| format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}'/>");
        let (content, problems) = testing::content(&[rtp("audio"), ice("a"), rtp("video"), ice("b")].concat());
        assert_eq!((content.media(), content.transport.as_ref().unwrap().ufrag.as_deref()), ("audio", Some("a")));
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let expected = ["description", "transport"].map(|name| format!("content 'a': <{name}/>: more than 1 of them, expected 1 at most"));
        assert_eq!(said, expected);
    }

    #[test]
    fn a_content_s_name_makes_no_line_of_a_message() {
        let (_, problems) = testing::whole(
            "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'><content creator='initiator' name='0&#10;warning: &#x9b;31m'><x/></content></jingle>",
        );
        assert_eq!(problems[0].to_string(), "content '0\\nwarning: \\u{9b}31m': <x xmlns='urn:xmpp:jingle:1'/> in <content/>");
    }

    #[test]
    fn what_sdp_has_and_jingle_has_not_is_carried() {
        let line = |kind: &str, text: &str| format!("<line xmlns='urn:campanile:sdp:0' type='{kind}'>{text}</line>");
        let protocol = |text: &str| format!("<protocol xmlns='urn:campanile:sdp:0'>{text}</protocol>");
        let kinds = "expected a letter among abeiprstuz";
        let one_line = "<line/>: text with a line break or NUL, expected one line";
        let no_protocol = "expected a protocol of SDP's m= line";
        let table: &[(&str, &str, &[&str])] = &[
            (&line("a", " rid:1 send "), &line("a", " rid:1 send "), &[]),
            (&line("i", "&lt;a&gt; &amp; b"), &line("i", "&lt;a&gt; &amp; b"), &[]),
            (&line("a", "x&#10;a=y"), "", &[one_line]),
            (&line("a", "x&#13;a=y"), "", &[one_line]),
            (&line("a", "x&#x2028;a=y"), "", &[one_line]),
            (&line("i", "x&#x85;a=y"), "", &[one_line]),
            (&line("m", "audio 9 RTP/AVP 0"), "", &[&format!("<line/>: type='m', {kinds}")]),
            (&line("a=x&#10;a", "y"), "", &[&format!("<line/>: type='a=x\\na', {kinds}")]),
            (&line("", "y"), "", &[&format!("<line/>: type='', {kinds}")]),
            ("<line xmlns='urn:campanile:sdp:0'>y</line>", "", &["<line/>: no type, expected one"]),
            (&line("k", "clear:x"), "", &[&format!("<line/>: type='k', {kinds}")]),
            (&protocol("x").repeat(2), &protocol("x"), &["<protocol/>: more than 1 of them, expected 1 at most"]),
            (&protocol(" RTP/SAVPF\n"), &protocol("RTP/SAVPF"), &[]),
            (&protocol("RTP/AVP 0"), "", &[&format!("<protocol/>: text 'RTP/AVP 0', {no_protocol}")]),
            (&protocol("RTP/AVP&#10;a=x"), "", &[&format!("<protocol/>: text 'RTP/AVP\\na=x', {no_protocol}")]),
            (&protocol(""), "", &[&format!("<protocol/>: text '', {no_protocol}")]),
        ];
        for (given, expected, amiss) in table {
            let (content, problems) = testing::content(given);
            let expected = match *expected {
                "" => "<content creator='initiator' name='a'/>".to_owned(),
                children => format!("<content creator='initiator' name='a'>{children}</content>"),
            };
            let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
            assert_eq!(
                (testing::written(|out| content.write(out)), problems),
                (expected, amiss.iter().map(ToString::to_string).collect()),
                "{given}"
            );
        }
        let carried = vec![Carried { kind: 'a', value: "x\na=y".into() }, Carried { kind: '\n', value: "x".into() }];
        let content = Content { carried, ..Content::new(Party::Responder, "a") };
        assert_eq!(testing::written(|out| content.write(out)), "<content creator='responder' name='a'/>");
        let (content, problems) = testing::content(&line("a", "x").repeat(CARRIED_MAX + 1));
        assert_eq!((content.carried.len(), problems.len()), (CARRIED_MAX, 1));
    }

    #[test]
    fn xep_0167_s8_and_xep_0181_s2_what_a_session_info_says() {
        let table = [
            ("<hold xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", &[][..]),
            ("<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='responder' name='voice'/>", &[]),
            ("<ringing xmlns='urn:xmpp:jingle:apps:rtp:1:info'/>", &[]),
            ("<dtmf xmlns='urn:xmpp:jingle:dtmf:0' code='7' duration='400' volume='42'/>", &[]),
            ("", &[]),
        ];
        for (given, amiss) in table {
            let end = if given.is_empty() { "/>".to_owned() } else { format!(">{given}</jingle>") };
            let xml = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'{end}");
            let (jingle, problems) = testing::whole(&xml);
            assert_eq!((testing::written(|out| jingle.write(out)), &problems[..]), (xml, amiss), "{given}");
        }
        let info = Info { namespace: ns::JINGLE.into(), ..Info::new("content") };
        let jingle = Jingle { info: Some(info), ..Jingle::new(Action::SessionInfo, "s") };
        assert_eq!(testing::written(|out| jingle.write(out)), "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'/>");
    }

    #[test]
    fn problems_are_bounded_and_each_stranger_is_named_once_in_a_content() {
        let strangers: String = (0..super::super::reading::PROBLEMS_MAX + 5).map(|number| format!("<x{number} xmlns='y'/>")).collect();
        let (_, problems) = testing::content(&strangers);
        assert_eq!(problems.len(), super::super::reading::PROBLEMS_MAX);
        let (_, problems) = testing::whole(
            "<jingle xmlns='urn:xmpp:jingle:1' action='content-add' sid='s'>
             <content creator='initiator' name='a'><x/><x/></content><content creator='initiator' name='b'><x/></content></jingle>",
        );
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["content 'a': <x xmlns='urn:xmpp:jingle:1'/> in <content/>", "content 'b': <x xmlns='urn:xmpp:jingle:1'/> in <content/>"]
        );
    }
}
