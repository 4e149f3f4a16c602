//! The shell around nodes: it finds them, takes their turns, gathers what they need to decide, stores what they have decided, and sends.

use std::fmt;
use std::sync::Arc;

use super::host::{self, Settings};
use super::pep;
use crate::iq::IqTable;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};

/// The nodes of all hosts and accounts.
pub struct PubSub {
    pub(super) router: Router,
    pub(super) settings: Settings,
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl PubSub {
    /// The nodes of the hosts that `settings` names, and of the accounts of `router`.
    #[must_use]
    pub fn new(router: Router, settings: Settings) -> Arc<Self> {
        Arc::new(Self { router, settings })
    }

    /// Registers what hosts and accounts answer.
    pub fn register(self: &Arc<Self>, table: &mut IqTable) {
        host::announce(table);
        pep::announce(table);
    }

    /// What the operator has said.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The domains of hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.settings.hosts()
    }

    /// Those that serve a domain of accounts.
    pub fn hosts_of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.hosts_of(domain)
    }

    /// A message to a host.
    ///
    /// # Errors
    /// What its sender is told.
    pub async fn message(&self, stanza: Stanza) -> Result<(), StanzaError> {
        match stanza.kind() {
            Kind::Message(MessageType::Error) => Ok(()),
            _ => Err(StanzaError::service_unavailable()),
        }
    }

    /// Presence to a host. Nobody has to subscribe to its presence: it has none, and the request is answered once and for all.
    pub async fn presence(&self, kind: PresenceType, stanza: &Stanza) {
        if let (PresenceType::Subscribe, Some(from), Some(to)) = (kind, stanza.from(), stanza.to()) {
            let refusal = Stanza::presence(PresenceType::Unsubscribed).with_from(to.to_bare()).with_to(from.to_bare());
            self.router.route(refusal, None).await;
        }
    }
}
