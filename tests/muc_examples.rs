//! Promise: whoever speaks with rooms as the specifications show it is answered as they show it. The conversations are
//! `tests/scripts/muc_*.xmpp`.

use crate::support::script::examples::{self, scripts};

scripts! {
    muc_blocking
    muc_discover
    muc_enter
    muc_enter_refused
    muc_ghosts
    muc_given_up
    muc_history
    muc_invite
    muc_invite_direct
    muc_leave
    muc_messages
    muc_nick
    muc_occupant_id
    muc_outsiders
    muc_private
    muc_queries
    muc_register
    muc_resumption
    muc_self_ping
    muc_sessions
    muc_visitors
}

#[test]
fn every_script_is_run() {
    examples::are_all("muc_", SCRIPTS);
}

#[test]
fn every_numbered_example_is_shown_or_named_with_its_reason() {
    examples::are_shown(examples::ROOMS, SCRIPTS);
}
