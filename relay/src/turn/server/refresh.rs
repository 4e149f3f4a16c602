//! RFC 8656 §8: Refresh.

use std::time::Instant;

use campanile_ice::stun::turn::{Family, RequestedFamily};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Method, Writer};

use super::{Refusal, Request, Server};
use crate::turn::allocation::{Relay, lifetime};

impl Server {
    /// §8.2.
    pub(super) fn refresh(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let requested_s = request.message.lifetime_s()?;
        let family = match request.message.family(AttributeType::REQUESTED_ADDRESS_FAMILY)? {
            None => None,
            Some(RequestedFamily::Known(family)) => Some(family),
            Some(RequestedFamily::Unknown(_)) => return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into()),
        };
        let allocation = &mut self.allocations[index as usize];
        if family.is_some_and(|family| allocation.relay(family).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        let is_meant = |relay: &Relay| family.is_none_or(|family| family == Family::of(relay.bound));
        let mut writer = Writer::new(Class::Success, Method::REFRESH, request.message.transaction());
        if requested_s == Some(0) {
            writer.u32(AttributeType::LIFETIME, 0);
            let ended: Vec<Family> =
                allocation.relays.iter().flatten().filter(|relay| is_meant(relay)).map(|relay| Family::of(relay.bound)).collect();
            self.end_relays(index, &ended, now);
        } else {
            let lifetime = lifetime(requested_s);
            for relay in allocation.relays.iter_mut().flatten().filter(|relay| is_meant(relay)) {
                relay.expires = now + lifetime;
            }
            writer.u32(AttributeType::LIFETIME, lifetime.as_secs() as u32);
            self.reschedule(index);
        }
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }
}
