//! RFC 8656 §8: Refresh.

use std::time::Instant;

use campanile_ice::stun::turn::{Family, RequestedFamily};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::mobility::ticket;
use super::{Refusal, Request, Server};
use crate::turn::allocation::{Relay, lifetime};

impl Server {
    /// What a Refresh asks for: a lifetime, and the family of one relayed address.
    pub(super) fn check_refresh(&self, index: u32, message: &Message<'_>) -> Result<(Option<u32>, Option<Family>), Refusal> {
        let requested_s = message.lifetime_s()?;
        let family = match message.family(AttributeType::REQUESTED_ADDRESS_FAMILY)? {
            None => None,
            Some(RequestedFamily::Known(family)) => Some(family),
            Some(RequestedFamily::Unknown(_)) => return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into()),
        };
        if family.is_some_and(|family| self.allocations[index as usize].relay(family).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        Ok((requested_s, family))
    }

    /// §8.2.
    pub(super) fn refresh(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let (requested_s, family) = self.check_refresh(index, &request.message)?;
        let allocation = &mut self.allocations[index as usize];
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
            if ticket(&request.message).is_some() {
                self.write_ticket(index, &mut writer);
            }
        }
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }
}
