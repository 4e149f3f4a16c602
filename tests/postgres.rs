//! Promise: what is kept in SQLite is kept in PostgreSQL as well. The tests are those of the other files, with that one difference.

use crate::support::postgres;
use crate::support::server::Server;

/// Runs the named tests of other files on PostgreSQL.
macro_rules! on_postgres {
    ($($file:ident: $($test:ident),+;)+) => {
        $(mod $file {
            $(#[test]
            #[ignore = "PostgreSQL: run tests/run"]
            fn $test() {
                crate::support::postgres::run(crate::$file::$test);
            })+
        })+
    };
}

on_postgres! {
    archive: what_is_written_to_who_is_away_waits_over_a_restart_and_comes_once,
        a_power_failure_in_a_burst_loses_no_acknowledged_message_and_shows_none_twice,
        a_session_that_goes_on_after_a_restart_acknowledges_what_it_was_sent_before, slixmpp_reads_its_archive_and_what_waited_for_it;
    login: a_wrong_password_and_an_unknown_user_look_the_same, every_mechanism_over_starttls_direct_tls_and_direct_tls_on_the_starttls_port,
        s7_resources_are_bound_invented_and_taken_over;
    chat: s8_5_2_a_message_reaches_every_device_in_order, slixmpp_chats_with_slixmpp;
    cli: an_account_is_disabled_and_enabled_with_the_server_stopped_and_running, contacts_of_a_deleted_account_are_told;
    registration: s3_2_and_s3_3_a_password_is_changed_and_an_account_removed, xep0175_a_crash_leaves_no_anonymous_account_behind,
        xep0175_somebody_comes_without_an_account_and_leaves_nothing;
    resumption: s4_what_was_acknowledged_survives_a_crash, sessions_go_on_after_a_restart, sessions_of_the_last_stop_can_be_too_old;
    account_data: slixmpp_finds_all_that_an_account_keeps, what_was_answered_is_there_after_a_restart;
    foreign_clients: slixmpp_resumes_in_a_burst, slixmpp_and_stanza_js_show_each_message_once;
    node_crash: a_killed_server_has_the_old_state_of_a_node_or_the_new_one;
    room_crash: a_killed_server_has_the_old_state_of_a_room_or_the_new_one;
    pubsub_examples: pubsub_affiliations, pubsub_approve, pubsub_collections, pubsub_collections_owner, pubsub_configure, pubsub_delete,
        pubsub_discover, pubsub_last_item, pubsub_manage_subscriptions, pubsub_options, pubsub_payloads_private, pubsub_pep, pubsub_pep_access,
        pubsub_publish, pubsub_purge, pubsub_retract, pubsub_retrieve, pubsub_rules, pubsub_subscribe, pubsub_temporary;
    muc_examples: muc_admins, muc_archive, muc_avatars, muc_ban, muc_configure, muc_configure_codes, muc_create, muc_create_admins, muc_destroy,
        muc_discover, muc_hats, muc_history, muc_invite, muc_members_only, muc_membership, muc_moderation, muc_options, muc_owners, muc_register,
        muc_registration_approval, muc_removed, muc_restart, muc_resumption, muc_shutdown, muc_subject;
    pubsub_clients: slixmpp_owns_publishes_and_subscribes;
    muc_clients: slixmpp_enters_runs_and_leaves_rooms, slixmpp_uses_what_rooms_have_besides;
    pep_clients: slixmpp_shows_what_slixmpp_publishes;
    presence_roster: s2_6_a_killed_server_has_every_roster_change_that_it_told_of, s2_the_roster, s3_1_3_a_request_waits_for_who_is_away, two_slixmpp_clients_become_contacts;
}

/// Otherwise all the above would prove nothing.
#[test]
#[ignore = "PostgreSQL: run tests/run"]
fn the_server_of_these_tests_uses_postgresql() {
    postgres::run(|| {
        let server = Server::start();
        assert!(server.schema().has("accounts") && !server.folder().join("data/campanile.db").exists());
    });
}
