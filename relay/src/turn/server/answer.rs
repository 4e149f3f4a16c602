//! RFC 8489 §6.3: the answer to Binding, success and error responses, and how many of them nobody has to authenticate for.

use std::time::Instant;

use campanile_ice::stun::{ATTRIBUTE_HEADER_BYTES, AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::discovery::is_of_discovery;
use super::{Output, Refusal, Server, is_known};
use crate::datapath::flow::Client;
use crate::stats::DropReason;
use crate::turn::auth::Signing;

/// SOFTWARE (RFC 8489 §14.14).
pub(super) const SOFTWARE: &[u8] = b"campanile";

/// Of a FINGERPRINT with its header (RFC 8489 §14.7).
const FINGERPRINT_BYTES: usize = 8;

/// How long an answer may be.
#[derive(Clone, Copy)]
pub(super) struct Room {
    bytes: usize,
    /// The request has a FINGERPRINT, so the answer needs one (RFC 8489 §7).
    has_fingerprint: bool,
}

impl Room {
    /// For whom the source is proven, or within its budget.
    pub(super) const ANY: Self = Self { bytes: usize::MAX, has_fingerprint: true };
}

/// Memory of one message that was sent: workers send each answer before they make the next one.
#[derive(Default)]
pub(super) struct Spare(Vec<u8>);

impl Spare {
    /// Messages that need more are rare.
    const BYTES_MAX: usize = 2_048;

    pub(super) fn put(&mut self, message: Vec<u8>) {
        if message.capacity() <= Self::BYTES_MAX {
            self.0 = message;
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl Server {
    /// RFC 8489 §6.3.1.1. Needs no credentials; those that come are not looked at.
    pub(super) fn handle_binding(&mut self, client: Client, message: &Message<'_>, now: Instant) {
        let room = self.room_for_answer(client, message, now);
        let discovers = self.discovers(client);
        let unknown = message.unknown_attributes(|kind| is_known(kind) || (discovers && is_of_discovery(kind)));
        if !unknown.is_empty() {
            let refusal = Refusal { unknown, ..ErrorCode::UNKNOWN_ATTRIBUTE.into() };
            return self.refuse(client, message, refusal, room);
        }
        let (to, mut writer) = match self.discover(client, message) {
            Ok(Some(discovered)) => discovered,
            Ok(None) => (client, Writer::within(self.spare.take(), Class::Success, Method::BINDING, message.transaction())),
            Err(refusal) => return self.refuse(client, message, refusal, room),
        };
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client.remote.into());
        if self.send_within(to, writer, None, room) {
            self.stats.bindings += 1;
        }
    }

    /// How long the answer to an unauthenticated request may be. Over UDP its source may be forged: beyond the budget of that source the
    /// answer is no longer than 1.2 times the request, so that nobody gains by sending requests in another's name.
    pub(super) fn room_for_answer(&mut self, client: Client, message: &Message<'_>, now: Instant) -> Room {
        if client.via.stream().is_some() || self.registry.budget.take(client.remote.ip, now) {
            return Room::ANY;
        }
        Room { bytes: message.bytes().len() * 6 / 5, has_fingerprint: message.has_fingerprint() }
    }

    pub(super) fn refuse(&mut self, client: Client, message: &Message<'_>, refusal: Refusal, room: Room) {
        let mut writer = Writer::new(Class::Error, message.method(), message.transaction());
        writer.error(refusal.code);
        if !refusal.unknown.is_empty() {
            writer.unknown_attributes(&refusal.unknown);
        }
        if self.send_within(client, writer, refusal.key.as_ref(), room) {
            self.stats.count_error(refusal.code.0);
        }
    }

    pub(super) fn succeed(&mut self, client: Client, writer: Writer, key: &Signing) {
        self.stats.requests += 1;
        self.send(client, writer, Some(key));
    }

    /// Sends an answer that fits, if need be without SOFTWARE and a FINGERPRINT that the request has none of either. False if it does not fit.
    pub(super) fn send_within(&mut self, client: Client, mut writer: Writer, key: Option<&Signing>, room: Room) -> bool {
        let signature = key.map_or(0, |key| ATTRIBUTE_HEADER_BYTES + key.integrity().bytes());
        let bare = writer.len() + signature + if room.has_fingerprint { FINGERPRINT_BYTES } else { 0 };
        let whole = writer.len() + ATTRIBUTE_HEADER_BYTES + SOFTWARE.len().next_multiple_of(4) + signature + FINGERPRINT_BYTES;
        if whole <= room.bytes {
            self.send(client, writer, key);
        } else if bare <= room.bytes {
            if let Some(key) = key {
                writer.sign(&key.key, key.integrity());
            }
            if room.has_fingerprint {
                writer.fingerprint();
            }
            self.outputs.push_back(Output::Send { client, message: writer.finish() });
        } else {
            self.stats.count_drop(DropReason::OverBudget);
            return false;
        }
        true
    }

    pub(super) fn send(&mut self, client: Client, mut writer: Writer, key: Option<&Signing>) {
        writer.attribute(AttributeType::SOFTWARE, SOFTWARE);
        if let Some(key) = key {
            writer.sign(&key.key, key.integrity());
        }
        writer.fingerprint();
        self.outputs.push_back(Output::Send { client, message: writer.finish() });
    }
}

#[cfg(test)]
mod tests {
    use super::Spare;

    #[test]
    fn the_memory_of_a_message_that_was_sent_serves_the_next_unless_it_is_large() {
        let mut spare = Spare::default();
        spare.put(Vec::with_capacity(192));
        spare.put(Vec::with_capacity(Spare::BYTES_MAX + 1));
        assert_eq!((spare.take().capacity(), spare.take().capacity()), (192, 0));
    }
}
