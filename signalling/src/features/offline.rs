//! XEP-0160: Best Practices for Handling Offline Messages, version 1.0. What an account gets while none of its sessions takes it is kept
//! (`store/archive.rs`) and delivered with its next initial presence (`router/delivery.rs`).

use crate::account::Targets;
use crate::iq::{IqTable, To};
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;

/// §4.
pub fn register(table: &mut IqTable) {
    table.feature(To::Server, ns::OFFLINE);
}

/// Last stage of `pipeline::INBOUND`, §2: a message for which RFC 6121 §8.5 leaves the choice is kept if it is worth it and there is room, and
/// goes back otherwise.
pub fn inbound(walk: &Walk<'_>, _: &mut Stanza, effects: &mut Effects) -> Verdict {
    if *walk.targets != Targets::Offline {
        return Verdict::Pass;
    }
    match &mut effects.kept {
        Some(kept) if walk.account.messages.waiting() < walk.moment.offline_messages_max => {
            kept.waits = true;
            Verdict::Pass
        }
        _ => Verdict::Bounce(StanzaError::service_unavailable()),
    }
}
