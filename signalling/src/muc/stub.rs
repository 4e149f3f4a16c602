//! stand-ins
use super::context::Context; use super::model::Room; use crate::jid::Jid; use crate::xml::XmlWriter; use bytes::Bytes; use crate::stanza::Stanza; use crate::store::ArchiveId;
#[allow(missing_docs)]
impl Room {
    pub fn title(&self) -> &str { let name = self.lasting.config.name.as_str(); if name.is_empty() { self.lasting.jid.local().unwrap_or_default() } else { name } }
    pub fn features(&self) -> [&'static str; 0] { [] }
    pub fn is_open_to(&self, _: &Jid, _: &Context<'_>) -> bool { true }
    pub fn write_info(&self, _: &mut XmlWriter, _: &Jid, _: &Context<'_>) {}
    pub fn roomuser_item(&self, _: &Jid) -> Bytes { Bytes::new() }
    pub fn hat_commands(&self, _: &Jid, _: &Context<'_>) -> Vec<(&'static str, &'static str)> { Vec::new() }
    pub fn command_info(&self, _: &str, _: &Jid, _: &Context<'_>) -> Option<Bytes> { None }
    pub fn refers_to(&self, _: &Stanza) -> Option<ArchiveId> { None }
}
