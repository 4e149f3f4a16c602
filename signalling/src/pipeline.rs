//! The ordered stages that every stanza of a local account walks: once as it leaves its sender, once as it reaches its home.
//!
//! A stage is a plain function. It sees the account in memory and the stanza, may change the stanza, and asks for what should
//! happen besides through [`Effects`]; the router does it once the walk is over.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::account::{Account, Targets};
use crate::features::vcard::avatar;
use crate::features::{blocking, carbons, last_activity, mam, mds, offline, push, roster, stanza_id};
use crate::jid::BareJid;
use crate::jingle;
use crate::mailbox::Mailbox;
use crate::session::SessionId;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;
use crate::store::{ArchiveId, Policy};

/// What a stage sees of the walk.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The account whose stages are walked: the sender's on the way out, the addressee's on the way in.
    pub account: &'a Account,
    /// Out: the session that sent the stanza. In: `None`.
    pub sender: Option<SessionId>,
    /// In: whom RFC 6121 §8.5 chose. Out: `Targets::Nobody`, nothing is chosen yet.
    pub targets: &'a Targets,
    /// What is not the account's.
    pub moment: &'a Moment,
}

/// Time, chance and the state of the store while a stanza walks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now.
    pub now: SystemTime,
    /// Makes a random number.
    pub random: fn() -> u32,
    /// More messages can be kept.
    pub archive_has_room: bool,
    /// What is archived for accounts that have not said otherwise.
    pub archive_policy: Policy,
    /// How many messages may wait for an account.
    pub offline_messages_max: usize,
}

#[cfg(test)]
impl Moment {
    /// The beginning of time, with room for everything.
    pub(crate) fn for_tests() -> Self {
        let (now, random) = (SystemTime::UNIX_EPOCH, || 0);
        Self { now, random, archive_has_room: true, archive_policy: Policy::Always, offline_messages_max: 100 }
    }
}

/// Whether a stanza goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next stage has its turn.
    Pass,
    /// It ends here, silently.
    Drop,
    /// It goes back to its sender as this error.
    Bounce(StanzaError),
}

/// What stages ask for.
#[derive(Debug, Default)]
pub struct Effects {
    /// Stanzas for other sessions of the same account, sent after the walk.
    pub copies: Vec<Copy>,
    /// The stanza is a message to be kept for the account.
    pub kept: Option<Kept>,
    /// The call tracker should see the stanza, as sent by this local account.
    pub observed_from: Option<BareJid>,
    /// What may be worth a push notification (XEP-0357).
    pub push: Option<Box<push::Event>>,
    /// Up to where the sender has seen a chat (XEP-0490).
    pub displayed: Option<Box<mds::Displayed>>,
    /// Its sender shows its presence to the account from now on, and does not see the account's (XEP-0060 §9.1.3).
    pub visited: bool,
}

/// A copy for another session of the account.
#[derive(Debug)]
pub struct Copy {
    /// Whose it is.
    pub session: SessionId,
    /// Where that session reads.
    pub mailbox: Arc<Mailbox>,
    /// What it gets.
    pub stanza: Stanza,
}

/// How a message is kept.
#[derive(Debug)]
pub struct Kept {
    /// Under which number.
    pub id: ArchiveId,
    /// The archive shows it; otherwise it is kept only until it is delivered, if it has to be.
    pub archived: bool,
    /// It waits until a session comes.
    pub waits: bool,
    /// As it is to be kept; the stanza itself where that is the same.
    pub stanza: Option<Bytes>,
}

/// One step of the walk.
pub type Stage = fn(&Walk<'_>, &mut Stanza, &mut Effects) -> Verdict;

/// Stages of the sender's account, in order.
pub const OUTBOUND: &[Stage] = &[
    blocking::outbound,
    stanza_id::strip,
    mds::outbound,
    roster::outbound,
    avatar::outbound,
    jingle::outbound,
    mam::outbound,
    carbons::outbound,
    push::outbound,
];

/// Stages of the addressee's account, in order.
pub const INBOUND: &[Stage] =
    &[blocking::inbound, last_activity::inbound, stanza_id::strip, mam::inbound, carbons::inbound, push::inbound, offline::inbound];

/// Walks the stages until one has the last word.
pub fn walk(stages: &[Stage], walk: &Walk<'_>, stanza: &mut Stanza) -> (Verdict, Effects) {
    let mut effects = Effects::default();
    for stage in stages {
        match stage(walk, stanza, &mut effects) {
            Verdict::Pass => {}
            last => return (last, effects),
        }
    }
    (Verdict::Pass, effects)
}
