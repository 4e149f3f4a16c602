//! The ordered stages that every stanza of a local account walks: once as it leaves its sender, once as it reaches its home.
//!
//! A stage is a plain function. It sees the account in memory and the stanza, may change the stanza, and asks for what should
//! happen besides through [`Effects`]; the router does it once the walk is over.

use std::sync::Arc;

use crate::account::{Account, Targets};
use crate::features::{blocking, carbons, push, roster};
use crate::jid::BareJid;
use crate::jingle;
use crate::mailbox::Mailbox;
use crate::session::SessionId;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;

/// What a stage sees of the walk.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The account whose stages are walked: the sender's on the way out, the addressee's on the way in.
    pub account: &'a Account,
    /// Out: the session that sent the stanza. In: `None`.
    pub sender: Option<SessionId>,
    /// In: whom RFC 6121 §8.5 chose. Out: `Targets::Nobody`, nothing is chosen yet.
    pub targets: &'a Targets,
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
    pub copies: Vec<(Arc<Mailbox>, Stanza)>,
    /// The call tracker should see the stanza, as sent by this local account.
    pub observed_from: Option<BareJid>,
    /// What may be worth a push notification (XEP-0357).
    pub push: Option<push::Event>,
}

/// One step of the walk.
pub type Stage = fn(&Walk<'_>, &mut Stanza, &mut Effects) -> Verdict;

/// Stages of the sender's account, in order.
pub const OUTBOUND: &[Stage] = &[blocking::outbound, roster::outbound, jingle::outbound, carbons::outbound, push::outbound];

/// Stages of the addressee's account, in order.
pub const INBOUND: &[Stage] = &[blocking::inbound, carbons::inbound, push::inbound];

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
