//! Promise: whoever speaks with rooms as the specifications show it is answered as they show it. The conversations are
//! `tests/scripts/muc_*.xmpp`.

use crate::support::script::examples::{self, scripts};

scripts! {
    muc_admins
    muc_archive
    muc_avatars
    muc_ban
    muc_configure
    muc_configure_codes
    muc_create
    muc_create_admins
    muc_destroy
    muc_discover
    muc_hats
    muc_kick
    muc_members_only
    muc_membership
    muc_moderation
    muc_moderators
    muc_muji
    muc_owners
    muc_privileges
    muc_registration_approval
    muc_removed
    muc_restart
    muc_shutdown
    muc_subject
    muc_traffic
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
