//! XEP-0199: XMPP Ping, version 2.0. The server answers for itself and for its accounts.

use std::sync::Arc;

use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::stanza::error::StanzaError;

/// §4.2 and §4.3: client-to-server and server-to-server pings; a ping to a full JID is routed to that client.
pub fn register(table: &mut IqTable) {
    let ping = Arc::new(());
    for to in [To::Server, To::Account, To::Muc, To::Room] {
        table.feature(to, ns::PING);
        table.get(to, (ns::PING, "ping"), &ping, |_, _: Iq| async { Ok::<_, StanzaError>(Reply::Empty) });
    }
}
