//! RFC 8656 §7: Allocate, with the reservations of §7.2 and the sockets that an answer waits for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use campanile_ice::stun::turn::{Family, RequestedFamily, TRANSPORT_TCP, TRANSPORT_UDP};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Method, TransactionId, Writer};

use super::connect::check_tcp;
use super::{Now, Opened, Output, Refusal, Request, Server, Timer, Wanted, ip_family, transport};
use crate::datapath::flow::Client;
use crate::endpoint::Ip;
use crate::turn::allocation::{Allocation, Mobile, Relay, lifetime, relay_index};
use crate::turn::auth::Signing;
use crate::turn::budget::source_of;
use crate::turn::data_connections::{Carried, DataOwner};
use crate::turn::ports::PortKind;
use crate::turn::quota::Allowance;
use crate::turn::registry::{AllocationKey, Full};
use crate::turn::sessions::RelaySession;

/// An Allocate request that waits for its sockets.
pub(super) struct Opening {
    client: Client,
    transaction: TransactionId,
    username: Box<str>,
    key: Signing,
    account: Arc<str>,
    session: Option<RelaySession>,
    source: Ip,
    /// Places in the quotas that were counted for it.
    places: usize,
    lifetime: std::time::Duration,
    /// The client wants a ticket (RFC 8016).
    is_mobile: bool,
    /// Still to be opened, last one first.
    wanted: Vec<Wanted>,
    opened: Vec<Opened>,
    /// A family that could not be had, and why (ADDRESS-ERROR-CODE).
    missing: Option<(Family, ErrorCode)>,
}

impl Server {
    /// §7.2, by its numbered steps; 1 was `authenticate`.
    pub(super) fn allocate(&mut self, request: Request<'_>, now: Now) -> Result<(), Refusal> {
        let message = &request.message;
        // 2. The 5-tuple is in use; a retransmission gets the same answer.
        if let Some(index) = request.allocation {
            let allocation = &self.allocations[index as usize];
            if allocation.transaction == message.transaction() && allocation.username == request.username {
                self.answer_allocate(index, now.at);
                return Ok(());
            }
            return Err(ErrorCode::ALLOCATION_MISMATCH.into());
        }
        // 3.
        match message.requested_transport()? {
            None => return Err(ErrorCode::BAD_REQUEST.into()),
            Some(TRANSPORT_UDP) => {}
            Some(TRANSPORT_TCP) => check_tcp(request.client, message)?,
            Some(_) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT.into()),
        }
        // 4. DONT-FRAGMENT is supported: the bit is set for each Send that asks for it.
        // 5.
        let even_port = message.even_port()?;
        let requested = message.family(AttributeType::REQUESTED_ADDRESS_FAMILY)?;
        let additional = message.family(AttributeType::ADDITIONAL_ADDRESS_FAMILY)?;
        let token = message.reservation_token()?;
        let requested_lifetime = message.lifetime_s()?;
        let is_mobile = self.wants_ticket(message)?;
        if token.is_some() && (even_port.is_some() || requested.is_some() || additional.is_some()) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // 6.
        if requested.is_some() && additional.is_some() {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // 7.
        let family = match requested {
            None => Family::V4,
            Some(RequestedFamily::Known(family)) => family,
            Some(RequestedFamily::Unknown(_)) => return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into()),
        };
        // 8.
        let kind = match even_port {
            None => PortKind::Any,
            Some(false) => PortKind::Even,
            Some(true) if additional.is_some() => return Err(ErrorCode::BAD_REQUEST.into()),
            Some(true) => PortKind::EvenPair,
        };
        // 9.
        let is_dual = match additional {
            None => false,
            Some(RequestedFamily::Known(Family::V6)) => true,
            Some(_) => return Err(ErrorCode::BAD_REQUEST.into()),
        };
        let is_tcp = message.requested_transport()? == Some(TRANSPORT_TCP);
        let (mut wanted, mut missing) = (Vec::new(), None);
        if let Some(token) = token {
            wanted.push(Wanted::Reserved(token));
        } else {
            let families: &[Family] = if is_dual { &[Family::V6, Family::V4] } else { &[family] };
            for &family in families {
                match self.bind_ip(request.client, family) {
                    Some(ip) if is_tcp => wanted.push(Wanted::Listen(ip)),
                    Some(ip) => wanted.push(Wanted::Fresh(ip, kind)),
                    None => missing = Some((family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)),
                }
            }
        }
        if wanted.is_empty() {
            return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into());
        }
        // 11.
        let source = source_of(request.client.remote.ip.into());
        let admitted = match token {
            // The reservation's place is handed over.
            Some(token) => self.registry.claim(token, &request.account, source, now.at),
            // A port that is reserved counts as much as one that is used.
            None => self.registry.admit(&request.account, source, places(kind)).map(|()| true),
        };
        match admitted {
            Ok(true) => {}
            Err(Full::Quota) => return Err(ErrorCode::QUOTA_REACHED.into()),
            Ok(false) | Err(Full::Server) => return Err(ErrorCode::INSUFFICIENT_CAPACITY.into()),
        }
        let opening = self.openings.insert(Opening {
            client: request.client,
            transaction: message.transaction(),
            username: request.username,
            key: request.key,
            account: request.account,
            session: request.session,
            source,
            places: places(kind),
            lifetime: lifetime(requested_lifetime),
            is_mobile,
            wanted,
            opened: Vec::new(),
            missing,
        });
        self.open_next(opening as u32, now);
        Ok(())
    }

    fn bind_ip(&self, client: Client, family: Family) -> Option<IpAddr> {
        self.registry.hosts().bind_ip(client.local.ip.into(), family, self.registry.ports.advertised_ip(family))
    }

    fn open_next(&mut self, opening: u32, now: Now) {
        match self.openings[opening as usize].wanted.pop() {
            Some(wanted) => self.outputs.push_back(Output::Open { opening, wanted }),
            None => self.finish_allocate(opening, now),
        }
    }

    /// The answer to `Output::Open`; an error is 508, where no port is left or the token is no good, or 500, where the kernel refuses.
    pub fn handle_opened(&mut self, opening: u32, result: Result<Opened, (Wanted, ErrorCode)>, now: Now) {
        let Some(waiting) = self.openings.get_mut(opening as usize) else { return };
        match result {
            Ok(opened) => waiting.opened.push(opened),
            Err((Wanted::Fresh(ip, _) | Wanted::Listen(ip), code)) => waiting.missing = Some((ip_family(ip), code)),
            Err((Wanted::Reserved(_), code)) => waiting.missing = Some((Family::V4, code)),
        }
        self.open_next(opening, now);
    }

    fn finish_allocate(&mut self, opening: u32, now: Now) {
        let opening = self.openings.remove(opening as usize);
        if opening.opened.is_empty() {
            for _ in 0..opening.places {
                self.registry.withdraw(&opening.account, opening.source);
            }
            let code = opening.missing.map_or(ErrorCode::INSUFFICIENT_CAPACITY, |(_, code)| code);
            let mut writer = Writer::new(Class::Error, Method::ALLOCATE, opening.transaction);
            writer.error(code);
            self.stats.count_error(code.0);
            return self.send(opening.client, writer, Some(&opening.key));
        }
        let token = opening.opened.iter().find_map(|opened| opened.token);
        match token {
            Some(token) => self.registry.hold(token, &opening.account, opening.source),
            None => (1..opening.places).for_each(|_| self.registry.withdraw(&opening.account, opening.source)),
        }
        self.serial += 1;
        let expires = now.at + opening.lifetime;
        let mut relays = [None; 2];
        for opened in &opening.opened {
            let advertised = self.registry.ports.advertise(opened.bound);
            let relay = Relay { socket: opened.socket, bound: opened.bound, advertised, expires };
            relays[relay_index(Family::of(opened.bound))] = Some(relay);
        }
        let is_fenced = opening.session.is_some() && self.registry.fence.is_up();
        let allowance = Allowance::new(self.registry.shares.of(&opening.account, now.at), is_fenced);
        let is_tcp = opening.opened.iter().any(|opened| opened.socket.tcp_number().is_some());
        let allocation = AllocationKey { worker: self.worker, index: self.allocations.vacant_key() as u32, serial: self.serial };
        let data = is_tcp.then(|| {
            Arc::new(DataOwner {
                allocation,
                username: opening.username.clone(),
                key: opening.key.clone(),
                account: opening.account.clone(),
                share: self.registry.shares.of(&opening.account, now.at),
                is_early: is_fenced.into(),
                carried: Carried::default(),
            })
        });
        let index = self.allocations.insert(Allocation {
            serial: self.serial,
            data,
            client: opening.client,
            session: opening.session,
            account: opening.account,
            username: opening.username,
            key: opening.key,
            transaction: opening.transaction,
            source: opening.source,
            relays,
            token,
            missing: opening.missing,
            permissions: Vec::new(),
            channels: Vec::new(),
            mobile: opening.is_mobile.then(Box::<Mobile>::default),
            calls: Vec::new(),
            is_fenced,
            accepted: Vec::new(),
            checked: Vec::new(),
            next_check: None,
            allowance,
            free_at: None,
            scheduled: expires,
            to_peer: Default::default(),
            to_client: Default::default(),
            meters: Default::default(),
        }) as u32;
        let allocation = &self.allocations[index as usize];
        let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
        for relay in allocation.relays.iter().flatten() {
            self.registry.add(key, &allocation.account, relay.bound);
            if relay.socket.tcp_number().is_some() {
                self.registry.data.listen(relay.bound);
                self.listening.insert(relay.socket, index);
            }
            *self.stats.relayed.of(Family::of(relay.bound)) += 1;
        }
        self.by_client.insert(opening.client, index);
        let allocation = &self.allocations[index as usize];
        if let Some(session) = &allocation.session {
            self.by_session.entry(session.tag).or_default().push(index);
            if self.registry.fence.is_up() {
                self.by_socket.extend(allocation.relays.iter().flatten().map(|relay| (relay.socket, index)));
            }
        }
        self.timers.insert((expires, Timer::Allocation { index, serial: self.serial }));
        *transport(&mut self.stats.allocations, opening.client.via) += 1;
        *transport(&mut self.stats.allocations_made, opening.client.via) += 1;
        self.answer_allocate(index, now.at);
    }

    /// The success response, with the time that is left (§7.2).
    fn answer_allocate(&mut self, index: u32, now: Instant) {
        self.stats.requests += 1;
        let allocation = &self.allocations[index as usize];
        let mut writer = Writer::new(Class::Success, Method::ALLOCATE, allocation.transaction);
        let mut expires = now;
        for relay in allocation.relays.iter().flatten() {
            writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, relay.advertised);
            expires = expires.max(relay.expires);
        }
        writer.u32(AttributeType::LIFETIME, expires.duration_since(now).as_secs() as u32);
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, allocation.client.remote.into());
        if let Some(token) = allocation.token {
            writer.attribute(AttributeType::RESERVATION_TOKEN, &token);
        }
        if let Some((family, code)) = allocation.missing {
            // §18.12 knows 440 and 508 alone.
            let is_known = code == ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED;
            let code = if is_known { code } else { ErrorCode::INSUFFICIENT_CAPACITY };
            let mut value = vec![family.code(), 0, (code.0 / 100) as u8, (code.0 % 100) as u8];
            value.extend_from_slice(code.reason().as_bytes());
            writer.attribute(AttributeType::ADDRESS_ERROR_CODE, &value);
        }
        let (client, key) = (allocation.client, allocation.key.clone());
        self.write_ticket(index, &mut writer);
        self.send(client, writer, Some(&key));
    }
}

/// What an allocation of this kind counts for in the quotas, the port that is reserved along with it included.
fn places(kind: PortKind) -> usize {
    match kind {
        PortKind::Any | PortKind::Even => 1,
        PortKind::EvenPair => 2,
    }
}
