//! Counts and sizes that the router and its features keep to; from `[limits]`.

use std::time::Duration;

/// Counts that bound what one account may hold in memory; from `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connected resources of one account.
    pub sessions_per_account: usize,
    /// Items in one roster.
    pub roster_items: usize,
    /// Bytes of one roster as it is sent; well below what a mailbox holds.
    pub roster_bytes: usize,
    /// Addresses that one session's directed presence went to.
    pub directed_presences: usize,
    /// Push services of one account.
    pub push_services: usize,
    /// Accounts kept in memory without sessions, about.
    pub accounts_cached: usize,
    /// Addresses on one block list.
    pub blocked_jids: usize,
    /// Bytes of private XML that one account keeps.
    pub private_bytes: usize,
    /// Bytes of one vCard.
    pub vcard_bytes: usize,
    /// How long a session is kept without a connection (XEP-0198 §5).
    pub resume: Duration,
    /// Messages that may wait for an account without sessions (XEP-0160 §2).
    pub offline_messages: usize,
    /// Messages in one page of an archive (XEP-0313 §4.3.1).
    pub archive_page: usize,
    /// About how many bytes such a page and a slice of waiting messages have; well below what a mailbox holds.
    pub archive_page_bytes: usize,
}

/// Those of the documented configuration.
impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_account: 32,
            roster_items: 2_000,
            roster_bytes: 524_288,
            directed_presences: 2_000,
            push_services: 16,
            accounts_cached: 10_000,
            blocked_jids: 1_000,
            private_bytes: 262_144,
            vcard_bytes: 131_072,
            resume: Duration::from_secs(600),
            offline_messages: 2_000,
            archive_page: 250,
            archive_page_bytes: 262_144,
        }
    }
}
