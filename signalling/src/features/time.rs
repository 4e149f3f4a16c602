//! XEP-0202: Entity Time, version 2.0. The server's offset is that of UTC, which is what it logs and stamps.

use std::sync::Arc;
use std::time::SystemTime;

use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::time::xep0082_ms;
use crate::xml::XmlWriter;

/// §2: answers for the server.
pub fn register(table: &mut IqTable) {
    table.feature(To::Server, ns::TIME);
    table.get(To::Server, (ns::TIME, "time"), &Arc::new(()), time);
}

async fn time(_: Arc<()>, _: Iq) -> Result<Reply, StanzaError> {
    let mut xml = XmlWriter::new();
    xml.open("time").ns(ns::TIME);
    xml.open("tzo").text("+00:00").close();
    xml.open("utc").text(&xep0082_ms(SystemTime::now())).close();
    xml.close();
    Ok(Reply::Payload(xml.finish()))
}
