//! stand-ins
use super::context::Context;
use super::model::Room;
use crate::jid::Jid;
use crate::stanza::Stanza;
use crate::store::ArchiveId;
use crate::xml::XmlWriter;
use bytes::Bytes;
#[allow(missing_docs)]
impl Room {
    pub fn roomuser_item(&self, _: &Jid) -> Bytes {
        Bytes::new()
    }
    pub fn hat_commands(&self, _: &Jid, _: &Context<'_>) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
    pub fn command_info(&self, _: &str, _: &Jid, _: &Context<'_>) -> Option<Bytes> {
        None
    }
    pub fn refers_to(&self, _: &Stanza) -> Option<ArchiveId> {
        None
    }
}
