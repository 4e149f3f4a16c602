//! Why a session ends, XEP-0166 §7.4, and what became of the call: [`Outcome`].

use smol_str::SmolStr;

use super::content::Party;
use super::names;
use super::reading::Reading;
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::{self, StanzaError};
use crate::xml::{Node, XmlWriter};

/// Longest text of a reason that is kept, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

words! {
    /// The defined conditions of §7.4.
    pub enum Condition {
        /// The party prefers an existing session.
        AlternativeSession = "alternative-session",
        /// The party cannot accept a session.
        Busy = "busy",
        /// The initiator withdraws its request.
        Cancel = "cancel",
        /// Connectivity problems.
        ConnectivityError = "connectivity-error",
        /// The party declines.
        Decline = "decline",
        /// A time limit was exceeded; in XEP-0353 also the loser of a tie-break.
        Expired = "expired",
        /// The application type could not be set up.
        FailedApplication = "failed-application",
        /// The transport could not be set up.
        FailedTransport = "failed-transport",
        /// A non-specific application error.
        GeneralError = "general-error",
        /// The party is going offline.
        Gone = "gone",
        /// No payload type in common, for example.
        IncompatibleParameters = "incompatible-parameters",
        /// Media processing problems.
        MediaError = "media-error",
        /// A violation of local security policy.
        SecurityError = "security-error",
        /// The normal course of events.
        Success = "success",
        /// A request was not answered.
        Timeout = "timeout",
        /// None of the offered application types.
        UnsupportedApplications = "unsupported-applications",
        /// None of the offered transport methods.
        UnsupportedTransports = "unsupported-transports",
    }
}

/// A `<reason/>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    /// `None`: not one of §7.4, or left out.
    pub condition: Option<Condition>,
    /// For people, shortened to [`TEXT_BYTES_MAX`].
    pub text: Option<Box<str>>,
    /// Of the session that `alternative-session` names. An outline has none.
    pub sid: Option<SmolStr>,
    /// The condition of the application, XEP-0167 §7. An outline has none.
    pub specific: Option<Specific>,
}

/// An element that refines a condition of §7.4: `<invalid-crypto xmlns='urn:xmpp:jingle:apps:rtp:errors:1'/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specific {
    /// Its name.
    pub name: SmolStr,
    /// Whose it is.
    pub namespace: SmolStr,
}

impl Reason {
    /// Reads a `<reason/>`. Children are known by name alone: clients put them into the namespace of Jingle or of the message around it.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Self {
        let mut reason = Self::default();
        for child in node.children() {
            match (child.name(), Condition::parse(child.name())) {
                ("text", _) => {
                    let text = child.text();
                    if text.len() > TEXT_BYTES_MAX {
                        reading.malformed(child, &format_args!("text of {} bytes, expected {TEXT_BYTES_MAX} at most", text.len()));
                    }
                    reason.text = Some(super::cut(&text, TEXT_BYTES_MAX).into());
                }
                (_, Some(condition)) if reason.condition.is_none() => {
                    reason.condition = Some(condition);
                    if reading.is_whole() {
                        reason.sid =
                            child.children().find(|of| of.name() == "sid").and_then(|of| reading.word(of, "text", of.text().trim()));
                    }
                }
                (name, _) if reading.is_whole() && reason.specific.is_none() && is_specific(child, node) => {
                    let (name, namespace) = (reading.word(child, "name", name), reading.word(child, "xmlns", child.ns()));
                    reason.specific = name.zip(namespace).map(|(name, namespace)| Specific { name, namespace });
                }
                _ => reading.unknown_child(child, node),
            }
        }
        reading.required(node, "condition of XEP-0166 §7.4", reason.condition);
        reason
    }

    /// Writes it; of a specific condition that XML cannot say, nothing.
    pub fn write(&self, out: &mut XmlWriter) {
        out.open("reason");
        if let Some(condition) = self.condition {
            out.open(condition.as_str());
            if let Some(sid) = &self.sid {
                out.open("sid").text(sid).close();
            }
            out.close();
        }
        if let Some(text) = &self.text {
            out.open("text").text(text).close();
        }
        if let Some(Specific { name, namespace }) = &self.specific
            && names::is_name(name)
            && names::is_namespace(namespace)
            && namespace != ns::JINGLE
        {
            out.open(name).ns(namespace).close();
        }
        out.close();
    }
}

/// Whether a child of a `<reason/>` belongs to an application.
fn is_specific(child: Node<'_>, reason: Node<'_>) -> bool {
    let namespace = child.ns();
    namespace != ns::JINGLE && namespace != reason.ns() && names::is_name(child.name()) && names::is_namespace(namespace)
}

/// What became of a call: the label `outcome` of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Accepted, and ended in the ordinary way.
    Answered,
    /// Declined by the responder.
    Rejected,
    /// The responder was busy. XEP-0353 §3.5 advises this condition for every rejection, so there it may mean [`Outcome::Rejected`].
    Busy,
    /// Withdrawn by the initiator before it was accepted.
    Retracted,
    /// Not answered in time.
    Missed,
    /// Ended by an error of either party, before or after it was accepted.
    Failed,
    /// The stanza could not be delivered, or the responder takes no calls (XEP-0166 §6.3.2).
    Unreachable,
    /// A party vanished: its stream ended or it no longer knows the session.
    Gone,
    /// Another session took its place: tie-break, alternative session, migration (XEP-0353 §4).
    Replaced,
    /// The table was full, and this was the oldest that had not been accepted.
    Evicted,
}

impl Outcome {
    /// Every outcome, for metrics that show a zero.
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::Rejected,
        Self::Busy,
        Self::Retracted,
        Self::Missed,
        Self::Failed,
        Self::Unreachable,
        Self::Gone,
        Self::Replaced,
        Self::Evicted,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Rejected => "rejected",
            Self::Busy => "busy",
            Self::Retracted => "retracted",
            Self::Missed => "missed",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Gone => "gone",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
        }
    }

    /// What it means that `by` ends a call with this condition; `accepted`: whether there was a session-accept.
    #[must_use]
    pub fn of(condition: Option<Condition>, by: Party, accepted: bool) -> Self {
        use Condition as C;
        match condition {
            Some(
                C::ConnectivityError
                | C::FailedApplication
                | C::FailedTransport
                | C::GeneralError
                | C::IncompatibleParameters
                | C::MediaError
                | C::SecurityError
                | C::UnsupportedApplications
                | C::UnsupportedTransports,
            ) => Self::Failed,
            Some(C::AlternativeSession) => Self::Replaced,
            // XEP-0177 §4.4: no media came.
            Some(C::Timeout) if accepted => Self::Failed,
            Some(C::Timeout | C::Expired) if !accepted => Self::Missed,
            _ if accepted => Self::Answered,
            Some(C::Gone) => Self::Gone,
            Some(C::Busy) if by == Party::Responder => Self::Busy,
            _ if by == Party::Responder => Self::Rejected,
            _ => Self::Retracted,
        }
    }
}

words! {
    /// Jingle's own error conditions: XEP-0166 §10 and §9.
    pub enum JingleCondition {
        /// The request cannot occur at this point.
        OutOfOrder = "out-of-order",
        /// It lost against the same request of the other party.
        TieBreak = "tie-break",
        /// The recipient has no such session.
        UnknownSession = "unknown-session",
        /// The payload of a session-info is unknown.
        UnsupportedInfo = "unsupported-info",
        /// What was sent belongs into the encrypted channel.
        SecurityRequired = "security-required",
    }
}

/// What a stanza error says, as far as it concerns a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Condition of RFC 6120 §8.3.3.
    pub condition: error::Condition,
    /// Condition of XEP-0166.
    pub jingle: Option<JingleCondition>,
}

impl Fault {
    /// Reads the error of a stanza; without one it is an undefined condition.
    pub(super) fn of(stanza: &Stanza) -> Self {
        let Some(element) = stanza.child(ns::CLIENT, "error").and_then(|error| error.element().ok()) else {
            return Self { condition: error::Condition::UndefinedCondition, jingle: None };
        };
        let jingle = element
            .root()
            .children()
            .filter(|child| child.ns() == ns::JINGLE_ERRORS)
            .find_map(|child| JingleCondition::parse(child.name()));
        Self { condition: StanzaError::read(element.root()).condition, jingle }
    }

    /// The more telling of the two conditions.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.jingle.map_or_else(|| self.condition.name(), JingleCondition::as_str)
    }

    /// Whether the stanza reached nobody who could answer for the other party.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        use error::Condition as C;
        matches!(
            self.condition,
            C::ServiceUnavailable | C::RecipientUnavailable | C::ItemNotFound | C::RemoteServerNotFound | C::RemoteServerTimeout | C::Gone
        )
    }

    /// What the error means as the answer to a session-initiate: XEP-0166 §6.3.2 and §7.2.16.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.condition {
            _ if self.jingle == Some(JingleCondition::TieBreak) => Outcome::Replaced,
            error::Condition::Conflict => Outcome::Replaced,
            _ if self.is_unreachable() => Outcome::Unreachable,
            _ => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::testing;

    #[test]
    fn s6_7_and_s7_4_what_each_condition_means() {
        use Outcome as O;
        use Party::{Initiator, Responder};
        let table = [
            // condition, before acceptance by initiator and by responder, after it
            (None, O::Retracted, O::Rejected, O::Answered),
            (Some("success"), O::Retracted, O::Rejected, O::Answered),
            (Some("cancel"), O::Retracted, O::Rejected, O::Answered),
            (Some("decline"), O::Retracted, O::Rejected, O::Answered),
            (Some("busy"), O::Retracted, O::Busy, O::Answered),
            (Some("gone"), O::Gone, O::Gone, O::Answered),
            (Some("expired"), O::Missed, O::Missed, O::Answered),
            (Some("timeout"), O::Missed, O::Missed, O::Failed),
            (Some("alternative-session"), O::Replaced, O::Replaced, O::Replaced),
            (Some("connectivity-error"), O::Failed, O::Failed, O::Failed),
            (Some("failed-application"), O::Failed, O::Failed, O::Failed),
            (Some("failed-transport"), O::Failed, O::Failed, O::Failed),
            (Some("general-error"), O::Failed, O::Failed, O::Failed),
            (Some("incompatible-parameters"), O::Failed, O::Failed, O::Failed),
            (Some("media-error"), O::Failed, O::Failed, O::Failed),
            (Some("security-error"), O::Failed, O::Failed, O::Failed),
            (Some("unsupported-applications"), O::Failed, O::Failed, O::Failed),
            (Some("unsupported-transports"), O::Failed, O::Failed, O::Failed),
        ];
        for (word, initiator, responder, after) in table {
            let condition = word.map(|word| Condition::parse(word).unwrap());
            assert_eq!(condition.map(Condition::as_str), word);
            assert_eq!(Outcome::of(condition, Initiator, false), initiator, "{word:?}");
            assert_eq!(Outcome::of(condition, Responder, false), responder, "{word:?}");
            assert_eq!(Outcome::of(condition, Initiator, true), after, "{word:?}");
            assert_eq!(Outcome::of(condition, Responder, true), after, "{word:?}");
        }
    }

    #[test]
    fn s7_4_reads_condition_text_and_foreign_detail() {
        let table = [
            ("<reason><success/><text>Sorry, gotta go!</text></reason>", Some(Condition::Success), Some("Sorry, gotta go!")),
            (
                "<reason><alternative-session><sid>b84tkkwlmb48kgfb</sid></alternative-session></reason>",
                Some(Condition::AlternativeSession),
                None,
            ),
            (
                "<reason><security-error/><invalid-crypto xmlns='urn:xmpp:jingle:apps:rtp:errors:1'/></reason>",
                Some(Condition::SecurityError),
                None,
            ),
            ("<reason><no-such-thing/></reason>", None, None),
            ("<reason/>", None, None),
        ];
        for (xml, condition, text) in table {
            let reason = testing::jingle("session-terminate", xml).unwrap().reason.unwrap();
            assert_eq!((reason.condition, reason.text.as_deref()), (condition, text), "{xml}");
        }
        let long = format!("<reason><busy/><text>{}</text></reason>", "ä".repeat(1000));
        assert_eq!(testing::jingle("session-terminate", &long).unwrap().reason.unwrap().text.map(|text| text.len()), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn s7_4_is_written_as_it_was_read() {
        let table: &[(&str, &str, &[&str])] = &[
            ("<success/><text>Sorry, gotta go!</text>", "<success/><text>Sorry, gotta go!</text>", &[]),
            ("<text>a\n&lt;b&gt;</text><busy/>", "<busy/><text>a\n&lt;b&gt;</text>", &[]),
            (
                "<alternative-session><sid> b84tkkwlmb48kgfb </sid></alternative-session>",
                "<alternative-session><sid>b84tkkwlmb48kgfb</sid></alternative-session>",
                &[],
            ),
            (
                "<security-error/><invalid-crypto xmlns='urn:xmpp:jingle:apps:rtp:errors:1'/>",
                "<security-error/><invalid-crypto xmlns='urn:xmpp:jingle:apps:rtp:errors:1'/>",
                &[],
            ),
            (
                "<no-such-thing/>",
                "",
                &["<no-such-thing xmlns='urn:xmpp:jingle:1'/> in <reason/>", "<reason/>: no condition of XEP-0166 §7.4, expected one"],
            ),
            ("<busy/><gone/>", "<busy/>", &["<gone xmlns='urn:xmpp:jingle:1'/> in <reason/>"]),
        ];
        for (given, expected, amiss) in table {
            let around = |children: &str| match children {
                "" => "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s'><reason/></jingle>".to_owned(),
                _ => format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s'><reason>{children}</reason></jingle>"),
            };
            let (jingle, problems) = testing::whole(&around(given));
            let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
            assert_eq!(
                (testing::written(|out| jingle.write(out)), problems),
                (around(expected), amiss.iter().map(ToString::to_string).collect()),
                "{given}"
            );
        }
    }

    #[test]
    fn s6_3_2_and_s10_errors_of_a_session_initiate() {
        let stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas";
        let table = [
            (format!("<service-unavailable xmlns='{stanzas}'/>"), Outcome::Unreachable, "service-unavailable"),
            (format!("<redirect xmlns='{stanzas}'>xmpp:voicemail@capulet.lit</redirect>"), Outcome::Failed, "redirect"),
            (format!("<resource-constraint xmlns='{stanzas}'/>"), Outcome::Failed, "resource-constraint"),
            (format!("<bad-request xmlns='{stanzas}'/>"), Outcome::Failed, "bad-request"),
            (format!("<conflict xmlns='{stanzas}'/><tie-break xmlns='urn:xmpp:jingle:errors:1'/>"), Outcome::Replaced, "tie-break"),
            (format!("<conflict xmlns='{stanzas}'/>"), Outcome::Replaced, "conflict"),
            (String::new(), Outcome::Failed, "undefined-condition"),
        ];
        for (conditions, outcome, name) in table {
            let iq = format!(
                "<iq type='error' id='xs51r0k4' from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard'><error type='cancel'>{conditions}</error></iq>"
            );
            let fault = Fault::of(&testing::stanza(&iq));
            assert_eq!((fault.outcome(), fault.name()), (outcome, name), "{conditions}");
        }
    }
}
