//! XEP-0353: Jingle Message Initiation (0.8). The messages of a proposal, which come before the session and ring every device, and the state
//! machine of one proposal.
//!
//! Three dialects are spoken. Up to 0.3 the responder's device also sends `<accept/>` to its own bare address to silence the others (Dino still
//! does), next to `<proceed/>` to the caller. 0.4 and 0.5 have another namespace and only `<accept/>`, sent to the caller. From 0.6 on it is
//! `<proceed/>` alone, and `<ringing/>` and `<finish/>` exist. So an `<accept/>` to the caller means the same as a `<proceed/>`, and one to the own
//! bare address that this device has taken the call.

use smol_str::SmolStr;

use super::content::{Description, Party, is_sid};
use super::reading::Reading;
use super::reason::{Outcome, Reason};
use super::session::Step;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Child, Kind, MessageType, Stanza};
use crate::xml::Node;

/// Descriptions read from one `<propose/>`.
const MEDIA_MAX: usize = 8;

words! {
    /// The elements of all versions.
    pub enum Verb {
        /// §3.1.
        Propose = "propose",
        /// §3.2.
        Ringing = "ringing",
        /// §3.3.
        Retract = "retract",
        /// §3.4.
        Proceed = "proceed",
        /// Up to version 0.5, see above.
        Accept = "accept",
        /// §3.5.
        Reject = "reject",
        /// §3.7.
        Finish = "finish",
    }
}

/// Finds the element of XEP-0353 in a message.
pub(super) fn element(stanza: &Stanza) -> Option<Child<'_>> {
    stanza.children().find(|child| matches!(child.ns(), ns::JINGLE_MESSAGE | ns::JINGLE_MESSAGE_1) && Verb::parse(child.name()).is_some())
}

/// The element of XEP-0353 in a message, with what it says, if it names its call (§3.1).
#[must_use]
pub fn call_message(stanza: &Stanza) -> Option<(Verb, Child<'_>)> {
    let element = element(stanza)?;
    let named = element.attr("id").is_some_and(|id| is_sid(&id));
    Verb::parse(element.name()).filter(|_| named).map(|verb| (verb, element))
}

/// Whether a message belongs to XEP-0353, and so goes to every device of both parties and into the archive.
///
/// XEP-0353 §5 has both parties rely on carbons and archive for each of its messages, and §3 asks for type `chat` and a `<store/>` hint. Clients
/// leave out the hint, and some the type; then XEP-0280 §6.1, which wants type `chat` or a body, would not copy the message, and the other
/// devices would ring on ("Future specifications MAY add or override rules", §6). So any type counts that is not for rooms or headlines.
/// An error counts when it carries the element it answers (XEP-0280 §6.1). A `<private/>` (XEP-0280 §9) is the sender's wish, and is obeyed.
#[must_use]
pub fn is_call_message(stanza: &Stanza) -> bool {
    matches!(stanza.kind(), Kind::Message(MessageType::Chat | MessageType::Normal | MessageType::Error))
        && element(stanza).is_some()
        && stanza.child(ns::CARBONS, "private").is_none()
}

/// One message of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallMessage {
    /// What it says.
    pub verb: Verb,
    /// §3.1: names the proposal, and later the session as its sid.
    pub id: Box<str>,
    /// Media of a propose: `audio`, `video`…
    pub media: Vec<SmolStr>,
    /// Of a retract, reject or finish.
    pub reason: Option<Reason>,
    /// §4.1: the proposal lost against one in the other direction.
    pub tie_break: bool,
    /// §4.2: the session that continues this one.
    pub migrated: Option<Box<str>>,
}

impl CallMessage {
    /// Reads an element of XEP-0353. `None`: another element, or without a usable id.
    pub(super) fn read(node: Node<'_>) -> Option<Self> {
        let verb = Verb::parse(node.name())?;
        let id = node.attr("id").filter(|id| is_sid(id))?;
        let mut message = Self { verb, id: id.into(), media: Vec::new(), reason: None, tie_break: false, migrated: None };
        for child in node.children() {
            match child.name() {
                "description" if message.media.len() < MEDIA_MAX => {
                    message.media.push(media(&Description::read(child, &mut Reading::outline())))
                }
                "reason" => message.reason = Some(Reason::read(child, &mut Reading::outline())),
                "tie-break" => message.tie_break = true,
                "migrated" => message.migrated = child.attr("to").filter(|id| is_sid(id)).map(Into::into),
                _ => {}
            }
        }
        Some(message)
    }

    /// What a retract, reject or finish of `by` means for a call that has been accepted or not.
    #[must_use]
    pub fn outcome(&self, by: Party, accepted: bool) -> Outcome {
        if self.tie_break || self.migrated.is_some() {
            return Outcome::Replaced;
        }
        Outcome::of(self.reason.as_ref().and_then(|reason| reason.condition), by, accepted)
    }
}

fn media(description: &Description) -> SmolStr {
    match description {
        Description::Rtp(rtp) => rtp.media.clone(),
        Description::FileTransfer => "file".into(),
        Description::Other(namespace) => namespace.clone(),
    }
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProposalState {
    /// Sent.
    Proposed,
    /// At least one device rings.
    Ringing,
    /// A device has told its siblings that it takes the call (`<accept/>` to the own bare address), not yet the caller.
    Accepted,
    /// The caller knows, and is to send the session-initiate.
    Proceeding,
}

/// One proposal, until a session or an end comes of it.
#[derive(Debug, Clone)]
pub struct Proposal {
    initiator: Jid,
    device: Option<Jid>,
    state: ProposalState,
    /// What was proposed.
    pub media: Vec<SmolStr>,
}

impl Proposal {
    /// A proposal just sent from this address.
    #[must_use]
    pub fn new(initiator: Jid, propose: &CallMessage) -> Self {
        Self { initiator, device: None, state: ProposalState::Proposed, media: propose.media.clone() }
    }

    /// The device that proposes.
    #[must_use]
    pub fn initiator(&self) -> &Jid {
        &self.initiator
    }

    /// The responder's device that took the call.
    #[must_use]
    pub fn device(&self) -> Option<&Jid> {
        self.device.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> ProposalState {
        self.state
    }

    /// A message about it after the `<propose/>`. `to_self`: addressed to the sender's own account.
    pub fn handle(&mut self, party: Party, from: &Jid, to_self: bool, message: &CallMessage) -> Step {
        use ProposalState as S;
        match (message.verb, party) {
            (Verb::Ringing, Party::Responder) => match self.state {
                S::Proposed => {
                    self.state = S::Ringing;
                    Step::Ringing
                }
                S::Ringing => Step::Stay,
                S::Accepted | S::Proceeding => Step::OutOfOrder,
            },
            (Verb::Accept, Party::Responder) if to_self => match self.state {
                S::Proposed | S::Ringing => {
                    self.state = S::Accepted;
                    self.device = Some(from.clone());
                    Step::Stay
                }
                // Dino sends `<accept/>` and `<proceed/>` in either order.
                S::Accepted | S::Proceeding if self.device.as_ref() == Some(from) => Step::Stay,
                S::Accepted | S::Proceeding => Step::OutOfOrder,
            },
            (Verb::Proceed | Verb::Accept, Party::Responder) => match self.state {
                // The first device wins; that is also what the caller sees.
                S::Proceeding => Step::OutOfOrder,
                S::Proposed | S::Ringing | S::Accepted => {
                    self.state = S::Proceeding;
                    self.device = Some(from.clone());
                    Step::Proceeded
                }
            },
            // Another device may not take back what one has promised.
            (Verb::Reject, Party::Responder) if self.device.as_ref().is_some_and(|device| device != from) => Step::OutOfOrder,
            (Verb::Reject, Party::Responder) | (Verb::Retract, Party::Initiator) => Step::Ended(message.outcome(party, false)),
            // §3.7 is about started sessions; before one it is a retract or a reject by another name, and after a proceed a session that took
            // another way than through this server.
            (Verb::Finish, _) => Step::Ended(message.outcome(party, self.state == S::Proceeding)),
            _ => Step::OutOfOrder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::reason::Condition;
    use crate::jingle::testing::stanza;

    const ID: &str = "ca3cf894-5325-482f-a412-a6e9f832298d";
    const HIGHER: &str = "fecbea35-08d3-404f-9ec7-2b57c566fa74";

    fn read(xml: &str) -> Option<CallMessage> {
        let stanza = stanza(&format!(
            "<message from='juliet@capulet.example/phone' to='romeo@montague.example/orchard' type='chat'>{xml}</message>"
        ));
        let element = element(&stanza)?.element().unwrap();
        CallMessage::read(element.root())
    }

    #[test]
    fn s3_and_s4_the_examples() {
        let message = |verb| CallMessage { verb, id: ID.into(), media: Vec::new(), reason: None, tie_break: false, migrated: None };
        let reason = |condition, text: &str| Some(Reason { condition: Some(condition), text: Some(text.into()), ..Reason::default() });
        let table = [
            (
                format!(
                    "<propose xmlns='urn:xmpp:jingle-message:0' id='{ID}'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>"
                ),
                CallMessage { media: vec!["audio".into()], ..message(Verb::Propose) },
            ),
            (format!("<ringing xmlns='urn:xmpp:jingle-message:0' id='{ID}'/>"), message(Verb::Ringing)),
            (
                format!(
                    "<retract xmlns='urn:xmpp:jingle-message:0' id='{ID}'><reason xmlns='urn:xmpp:jingle:1'><cancel/><text>Retracted</text></reason></retract>"
                ),
                CallMessage { reason: reason(Condition::Cancel, "Retracted"), ..message(Verb::Retract) },
            ),
            (format!("<store xmlns='urn:xmpp:hints'/><proceed xmlns='urn:xmpp:jingle-message:0' id='{ID}'/>"), message(Verb::Proceed)),
            (format!("<accept xmlns='urn:xmpp:jingle-message:1' id='{ID}'/>"), message(Verb::Accept)),
            (
                format!(
                    "<reject xmlns='urn:xmpp:jingle-message:0' id='{HIGHER}'><reason xmlns='urn:xmpp:jingle:1'><expired/><text>Tie-Break</text></reason><tie-break/></reject>"
                ),
                CallMessage {
                    id: HIGHER.into(),
                    reason: reason(Condition::Expired, "Tie-Break"),
                    tie_break: true,
                    ..message(Verb::Reject)
                },
            ),
            (
                format!(
                    "<finish xmlns='urn:xmpp:jingle-message:0' id='{ID}'><reason xmlns='urn:xmpp:jingle:1'><expired/><text>Session migrated</text></reason><migrated to='{HIGHER}'/></finish>"
                ),
                CallMessage {
                    reason: reason(Condition::Expired, "Session migrated"),
                    migrated: Some(HIGHER.into()),
                    ..message(Verb::Finish)
                },
            ),
        ];
        for (xml, expected) in table {
            assert_eq!(read(&xml), Some(expected), "{xml}");
        }
        assert_eq!(read("<propose xmlns='urn:xmpp:jingle-message:0'/>"), None, "no id");
        assert_eq!(read(&format!("<propose xmlns='urn:xmpp:jingle-message:0' id='{}'/>", "i".repeat(257))), None);
        assert_eq!(read(&format!("<propose xmlns='urn:xmpp:jingle-message:7' id='{ID}'/>")), None);
        assert_eq!(read(&format!("<dance xmlns='urn:xmpp:jingle-message:0' id='{ID}'/>")), None);
    }

    #[test]
    fn xep_0280_s6_1_which_messages_are_call_messages() {
        let propose = format!("<propose xmlns='urn:xmpp:jingle-message:0' id='{ID}'/>");
        let table = [
            ("chat", propose.clone(), true),
            ("normal", propose.clone(), true),
            ("error", propose.clone(), true),
            ("groupchat", propose.clone(), false),
            ("headline", propose.clone(), false),
            ("chat", format!("<accept xmlns='urn:xmpp:jingle-message:1' id='{ID}'/>"), true),
            ("chat", format!("<finish xmlns='urn:xmpp:jingle-message:0' id='{ID}'/><store xmlns='urn:xmpp:hints'/>"), true),
            ("chat", format!("{propose}<private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/>"), false),
            ("chat", "<body>propose</body>".to_owned(), false),
            ("chat", "<propose xmlns='urn:example'/>".to_owned(), false),
            ("chat", format!("<x xmlns='urn:example'>{propose}</x>"), false),
        ];
        for (kind, xml, expected) in table {
            let message = stanza(&format!("<message from='a@a/a' to='b@b' type='{kind}'>{xml}</message>"));
            assert_eq!(is_call_message(&message), expected, "{kind} {xml}");
        }
        assert!(is_call_message(&stanza(&format!("<message from='a@a/a' to='b@b'>{propose}</message>"))), "no type is normal");
        assert!(!is_call_message(&stanza("<presence from='a@a/a'><propose xmlns='urn:xmpp:jingle-message:0' id='i'/></presence>")));
    }

    /// Feeds messages as `device verb` or `device verb self` and gives the last step and the state.
    fn play(messages: &[(&str, Party, Verb, bool)]) -> (Step, ProposalState) {
        let address = |device: &str| Jid::parse(&format!("x@example/{device}")).unwrap();
        let message = |verb| CallMessage { verb, id: ID.into(), media: Vec::new(), reason: None, tie_break: false, migrated: None };
        let mut proposal = Proposal::new(address("caller"), &message(Verb::Propose));
        let mut step = Step::Stay;
        for (device, party, verb, to_self) in messages {
            step = proposal.handle(*party, &address(device), *to_self, &message(*verb));
        }
        (step, proposal.state())
    }

    #[test]
    fn s3_states_of_a_proposal_in_the_three_dialects() {
        use Party::{Initiator as I, Responder as R};
        use ProposalState as S;
        use Verb as V;
        let ringing = ("phone", R, V::Ringing, false);
        let proceed = ("phone", R, V::Proceed, false);
        let accept_self = ("phone", R, V::Accept, true);
        let reject = ("phone", R, V::Reject, false);
        let table: &[(&[_], Step, ProposalState)] = &[
            (&[], Step::Stay, S::Proposed),
            (&[ringing], Step::Ringing, S::Ringing),
            (&[ringing, ("tablet", R, V::Ringing, false)], Step::Stay, S::Ringing),
            (&[ringing, proceed], Step::Proceeded, S::Proceeding),
            // Up to 0.3, in either order.
            (&[accept_self], Step::Stay, S::Accepted),
            (&[accept_self, proceed], Step::Proceeded, S::Proceeding),
            (&[proceed, accept_self], Step::Stay, S::Proceeding),
            // 0.4 and 0.5.
            (&[("phone", R, V::Accept, false)], Step::Proceeded, S::Proceeding),
            // A second device comes too late.
            (&[proceed, ("tablet", R, V::Proceed, false)], Step::OutOfOrder, S::Proceeding),
            (&[proceed, ("tablet", R, V::Accept, true)], Step::OutOfOrder, S::Proceeding),
            (&[proceed, ("tablet", R, V::Reject, false)], Step::OutOfOrder, S::Proceeding),
            (&[proceed, ("tablet", R, V::Ringing, false)], Step::OutOfOrder, S::Proceeding),
            (&[reject], Step::Ended(Outcome::Rejected), S::Proposed),
            (&[proceed, reject], Step::Ended(Outcome::Rejected), S::Proceeding),
            (&[ringing, ("caller", I, V::Retract, false)], Step::Ended(Outcome::Retracted), S::Ringing),
            (&[proceed, ("caller", I, V::Retract, false)], Step::Ended(Outcome::Retracted), S::Proceeding),
            (&[proceed, ("phone", R, V::Finish, false)], Step::Ended(Outcome::Answered), S::Proceeding),
            (&[("caller", I, V::Finish, false)], Step::Ended(Outcome::Retracted), S::Proposed),
            // What a party may not say.
            (&[("caller", I, V::Proceed, false)], Step::OutOfOrder, S::Proposed),
            (&[("caller", I, V::Reject, false)], Step::OutOfOrder, S::Proposed),
            (&[("caller", I, V::Propose, false)], Step::OutOfOrder, S::Proposed),
            (&[("phone", R, V::Retract, false)], Step::OutOfOrder, S::Proposed),
        ];
        for (messages, step, state) in table {
            assert_eq!(play(messages), (*step, *state), "{messages:?}");
        }
    }

    #[test]
    fn s4_outcomes_of_messages() {
        let table = [
            ("<reject xmlns='urn:xmpp:jingle-message:0' id='i'><reason xmlns='urn:xmpp:jingle:1'><busy/></reason></reject>", Outcome::Busy),
            ("<reject xmlns='urn:xmpp:jingle-message:0' id='i'><reason><decline/></reason></reject>", Outcome::Rejected),
            ("<reject xmlns='urn:xmpp:jingle-message:0' id='i'/>", Outcome::Rejected),
            (
                "<reject xmlns='urn:xmpp:jingle-message:0' id='i'><reason xmlns='urn:xmpp:jingle:1'><expired/></reason><tie-break/></reject>",
                Outcome::Replaced,
            ),
            ("<finish xmlns='urn:xmpp:jingle-message:0' id='i'><migrated to='j'/></finish>", Outcome::Replaced),
            (
                "<reject xmlns='urn:xmpp:jingle-message:0' id='i'><reason xmlns='urn:xmpp:jingle:1'><connectivity-error/></reason></reject>",
                Outcome::Failed,
            ),
        ];
        for (xml, expected) in table {
            assert_eq!(read(xml).unwrap().outcome(Party::Responder, false), expected, "{xml}");
        }
    }
}
