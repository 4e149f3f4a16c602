//! XEP-0092: Software Version, version 1.1. The operating system is not told.

use std::sync::Arc;

use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// §2: answers for the server.
pub fn register(table: &mut IqTable) {
    table.feature(To::Server, ns::VERSION);
    table.get(To::Server, (ns::VERSION, "query"), &Arc::new(()), version);
}

async fn version(_: Arc<()>, _: Iq) -> Result<Reply, StanzaError> {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::VERSION);
    xml.open("name").text("campanile").close();
    xml.open("version").text(env!("CARGO_PKG_VERSION")).close();
    xml.close();
    Ok(Reply::Payload(xml.finish()))
}
