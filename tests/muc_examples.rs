//! Promise: whoever speaks with rooms as the specifications show it is answered as they show it. The conversations are
//! `tests/scripts/muc_*.xmpp`.

use crate::support::script::examples::{self, scripts};

scripts! {
    muc_admins
    muc_archive
    muc_avatars
    muc_ban
    muc_blocking
    muc_configure
    muc_configure_codes
    muc_create
    muc_create_admins
    muc_destroy
    muc_discover
    muc_enter
    muc_enter_refused
    muc_ghosts
    muc_given_up
    muc_hats
    muc_history
    muc_invite
    muc_invite_direct
    muc_kick
    muc_leave
    muc_members_only
    muc_membership
    muc_messages
    muc_moderation
    muc_moderators
    muc_muji
    muc_nick
    muc_occupant_id
    muc_options
    muc_outsiders
    muc_owners
    muc_private
    muc_privileges
    muc_queries
    muc_register
    muc_registration_approval
    muc_removed
    muc_restart
    muc_resumption
    muc_self_ping
    muc_sessions
    muc_shutdown
    muc_subject
    muc_traffic
    muc_visitors
    muc_voice
    muc_voice_requests
}

#[test]
fn every_script_is_run() {
    examples::are_all("muc_", SCRIPTS);
}

#[test]
fn every_numbered_example_is_shown_or_named_with_its_reason() {
    examples::are_shown(examples::ROOMS, SCRIPTS);
}
