//! XEP-0045 §6: services at domains of their own: what the operator has said about them, and what they say they can do.

use std::sync::atomic::{AtomicBool, Ordering};

use campanile_config as config;

use super::context;
use super::history::HistoryMax;
use crate::hosts::Hosts;
use crate::iq::{Identity, IqTable, To};
use crate::jid::BareJid;
use crate::ns;

/// §6.2, and what is the same in all rooms.
const FEATURES: &[&str] = &[ns::MUC, ns::MUC_STABLE_ID, ns::OCCUPANT_ID, ns::PING, ns::RSM, ns::VCARD];

/// Announces services.
pub(super) fn announce(table: &mut IqTable) {
    table.identity(To::Muc, Identity { category: "conference", kind: "text", name: "Rooms" });
    for feature in FEATURES {
        table.feature(To::Muc, feature);
    }
}

/// Bounds, from `[limits]`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Those of each room.
    pub room: context::Limits,
    /// Rooms that one account has created.
    pub rooms_per_account: usize,
    /// Rooms kept in memory in which nobody is.
    pub rooms_cached: usize,
}

/// Those of the documented configuration.
impl Default for Limits {
    fn default() -> Self {
        Self::new(&config::Limits::default())
    }
}

impl Limits {
    /// Those of `[limits]`. A newcomer gets all presence and history of a room at once, and must have room for it.
    #[must_use]
    pub fn new(limits: &config::Limits) -> Self {
        Self {
            room: context::Limits {
                occupants: limits.room_occupants,
                affiliations: limits.room_affiliations,
                history: HistoryMax { count: limits.room_history, bytes: limits.mailbox_bytes / 8 },
                presence_bytes: limits.mailbox_bytes / 2,
                vcard_bytes: limits.vcard_bytes,
            },
            rooms_per_account: limits.rooms_per_account,
            rooms_cached: (limits.connections as usize / 4).max(64),
        }
    }
}

/// What the operator has said about rooms.
#[derive(Debug)]
pub struct Settings {
    /// Where services are, and who creates rooms there.
    pub hosts: Hosts,
    /// Their domains.
    pub services: Vec<String>,
    /// New rooms are archived, unless their owner says otherwise.
    archived: AtomicBool,
    /// Bounds.
    pub limits: Limits,
}

impl Settings {
    /// The services of these domains. `archived`: whether new rooms are archived, unless their owner says otherwise.
    #[must_use]
    pub fn new(muc: &config::Muc, archived: bool, domains: &[String], admins: Vec<BareJid>, limits: Limits) -> Self {
        let hosts = Hosts::new(&muc.host, domains, muc.create, admins);
        let services = hosts.all().map(str::to_owned).collect();
        Self { hosts, services, archived: AtomicBool::new(archived), limits }
    }

    /// Another policy for rooms that are made from now on.
    pub fn set_archived(&self, archived: bool) {
        self.archived.store(archived, Ordering::Relaxed);
    }

    /// Whether new rooms are archived.
    #[must_use]
    pub fn archived(&self) -> bool {
        self.archived.load(Ordering::Relaxed)
    }
}
