//! stand-ins
use super::context::Context;
use super::model::Room;
use crate::jid::Jid;
use bytes::Bytes;
#[allow(missing_docs)]
impl Room {
    pub fn command_info(&self, _: &str, _: &Jid, _: &Context<'_>) -> Option<Bytes> {
        None
    }
}
