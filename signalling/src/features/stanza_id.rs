//! XEP-0359: Unique and Stable Stanza IDs, version 0.7. Archives write the ids (`features/mam.rs`); here is what keeps them from being forged.

use crate::account::Account;
use crate::iq::{IqTable, To};
use crate::jid::Jid;
use crate::ns;
use crate::pipeline::{Effects, Verdict, Walk};
use crate::stanza::{Child, Kind, Stanza};

/// §5.
pub fn register(table: &mut IqTable) {
    for to in [To::Account, To::Contact] {
        table.feature(to, ns::STANZA_ID);
    }
}

/// First stage of both pipelines, §3, rule 2: nobody but the account's own archive says under which id it has a message.
pub fn strip(walk: &Walk<'_>, stanza: &mut Stanza, _: &mut Effects) -> Verdict {
    let sender = stanza.from().cloned();
    // What somebody else says in its own name, as a room does to each occupant, needs no second look.
    let is_senders = |by: &str| sender.as_ref().is_some_and(|from| from.bare_str() == by);
    let is_forged = |child: &Child<'_>| is_by(walk.account, child, is_senders) || is_delay_by(walk.account, child);
    if matches!(stanza.kind(), Kind::Message(_)) && stanza.children().any(|child| is_forged(&child)) {
        stanza.remove_children(|child| is_forged(child));
    }
    Verdict::Pass
}

/// XEP-0203 §5: nor since when the account or its server has kept one. Both say so only after all stages.
fn is_delay_by(account: &Account, child: &Child<'_>) -> bool {
    let is_own = |from: &str| from == account.jid.domain() || from == account.jid.as_str();
    child.is(ns::DELAY, "delay")
        && child.attr("from").is_some_and(|from| is_own(&from) || Jid::parse(&from).is_ok_and(|from| is_own(from.as_str())))
}

/// Rule 7: addresses are normalised before they are compared.
fn is_by(account: &Account, child: &Child<'_>, is_senders: impl Fn(&str) -> bool) -> bool {
    let is_own = |by: &str| by == account.jid.as_str() || (!is_senders(by) && Jid::parse(by).is_ok_and(|by| by == *account.jid));
    child.is(ns::STANZA_ID, "stanza-id") && child.attr("by").is_some_and(|by| is_own(&by))
}
