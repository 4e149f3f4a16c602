//! What becomes of what was handed to a session: acknowledged by its client, or left over when the session is over.

use std::sync::Arc;

use super::Router;
use crate::homes::Home;
use crate::mailbox::Delivery;
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::store::ArchiveId;

impl Router {
    /// The client of this session has these stored messages: it acknowledged them (XEP-0198 §4), or without stream management their bytes
    /// were handed to its socket.
    pub fn acknowledged(&self, session: &SessionRef, ids: &[ArchiveId]) {
        tracing::trace!(jid = %session.jid, ids = ids.len(), "acknowledged");
    }

    /// What a session that is over did not get, in order. Requests are answered, and messages go where RFC 6121 §8.5.3.2 sends them when the
    /// resource is not there.
    pub async fn left_over(&self, home: &Arc<Home>, left: Vec<Delivery>) {
        tracing::debug!(account = %home.jid, stanzas = left.len(), "left over");
        for Delivery { stanza, .. } in left {
            match stanza.kind() {
                Kind::Iq(IqType::Get | IqType::Set) => {
                    if let Some(reply) = Stanza::error_reply(&stanza, &StanzaError::service_unavailable()) {
                        Box::pin(self.route(reply, None)).await;
                    }
                }
                Kind::Message(_) if stanza.from().is_some_and(|from| from.bare_str() != home.jid.as_str()) => {
                    Box::pin(self.route(stanza, None)).await;
                }
                _ => {}
            }
        }
    }
}
