//! RFC 8489 §6.3: the answer to Binding, success and error responses, and how many of them nobody has to authenticate for.

use std::time::Instant;

use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::discovery::is_of_discovery;
use super::{Output, Refusal, Server, is_known};
use crate::datapath::flow::Client;
use crate::stats::DropReason;
use crate::turn::auth::Signing;

/// SOFTWARE (RFC 8489 §14.14).
pub(super) const SOFTWARE: &[u8] = b"campanile";

impl Server {
    /// RFC 8489 §6.3.1.1. Needs no credentials; those that come are not looked at.
    pub(super) fn handle_binding(&mut self, client: Client, message: &Message<'_>, now: Instant) {
        if !self.may_answer(client, now) {
            return;
        }
        let discovers = self.discovers(client);
        let unknown = message.unknown_attributes(|kind| is_known(kind) || (discovers && is_of_discovery(kind)));
        if !unknown.is_empty() {
            let refusal = Refusal { unknown, ..ErrorCode::UNKNOWN_ATTRIBUTE.into() };
            return self.refuse(client, message, refusal);
        }
        let (to, mut writer) = match self.discover(client, message) {
            Ok(Some(discovered)) => discovered,
            Ok(None) => (client, Writer::new(Class::Success, Method::BINDING, message.transaction())),
            Err(refusal) => return self.refuse(client, message, refusal),
        };
        self.stats.bindings += 1;
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client.remote.into());
        self.send(to, writer, None);
    }

    /// Whether an unauthenticated request over UDP gets an answer; over TCP and TLS the source is proven.
    pub(super) fn may_answer(&mut self, client: Client, now: Instant) -> bool {
        if client.via.stream().is_some() || self.budget.take(client.remote.ip.into(), now) {
            return true;
        }
        self.stats.count_drop(DropReason::OverBudget);
        false
    }

    pub(super) fn refuse(&mut self, client: Client, message: &Message<'_>, refusal: Refusal) {
        let mut writer = Writer::new(Class::Error, message.method(), message.transaction());
        writer.error(refusal.code);
        if !refusal.unknown.is_empty() {
            writer.unknown_attributes(&refusal.unknown);
        }
        self.stats.count_error(refusal.code.0);
        self.send(client, writer, refusal.key.as_ref());
    }

    pub(super) fn succeed(&mut self, client: Client, writer: Writer, key: &Signing) {
        self.stats.requests += 1;
        self.send(client, writer, Some(key));
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
