//! Promise: whoever speaks with pubsub and PEP as the specifications show it is answered as they show it. The conversations are
//! `tests/scripts/pubsub_*.xmpp`.

use crate::support::script::examples::{self, scripts};

scripts! {
    pubsub_account
    pubsub_affiliations
    pubsub_approve
    pubsub_collections
    pubsub_collections_owner
    pubsub_configure
    pubsub_create
    pubsub_create_admins
    pubsub_delete
    pubsub_discover
    pubsub_last_item
    pubsub_manage_subscriptions
    pubsub_options
    pubsub_payloads_avatar
    pubsub_payloads_feeds
    pubsub_payloads_omemo
    pubsub_payloads_people
    pubsub_payloads_private
    pubsub_pep
    pubsub_pep_access
    pubsub_pep_authorize
    pubsub_publish
    pubsub_publish_options
    pubsub_purge
    pubsub_retract
    pubsub_retrieve
    pubsub_rules
    pubsub_subscribe
    pubsub_temporary
    pubsub_unsubscribe
    pubsub_uris
}

#[test]
fn every_script_is_run() {
    examples::are_all("pubsub_", SCRIPTS);
}

#[test]
fn every_numbered_example_is_shown_or_named_with_its_reason() {
    examples::are_shown(examples::PUBSUB, SCRIPTS);
}
