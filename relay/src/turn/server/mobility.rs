//! RFC 8016: an allocation that follows its client to another 5-tuple.
//!
//! Until the client sends data on the new 5-tuple, or the old connection closes, both are good and data goes to the old one (§3.2.2).
//! The allocation stays with its worker. Where datagrams of the new 5-tuple come to another one, that one passes them on; a TCP or TLS
//! connection is handed over as a whole. Beyond the RFC: when the connection of a client with a ticket closes, its allocation waits a
//! minute for it, since networks that end close connections.

use std::time::{Duration, Instant};

use campanile_ice::stun::{AttributeType, ErrorCode, Message, Method, Writer};

use super::{Now, Output, Refusal, Request, Route, Server, transport};
use crate::datapath::demux::{self, Kind};
use crate::datapath::flow::Client;
use crate::stats::DropReason;
use crate::turn::allocation::Mobile;
use crate::turn::registry::AllocationKey;
use crate::turn::ticket::{BadTicket, Ticket};

/// §3.2.2: "a server must retain the old STUN MOBILITY-TICKET attribute for a period of at least 30 seconds".
const RETRANSMISSION: Duration = Duration::from_secs(30);
/// How long an allocation without a connection waits for its client.
const WAITS: Duration = Duration::from_secs(60);

impl Server {
    // Allocate.

    /// §3.1.2: whether an Allocate request wants a ticket.
    pub(super) fn wants_ticket(&self, message: &Message<'_>) -> Result<bool, Refusal> {
        match message.get(AttributeType::MOBILITY_TICKET) {
            None => Ok(false),
            Some([]) if self.auth.tickets().is_none() => Err(ErrorCode::MOBILITY_FORBIDDEN.into()),
            Some([]) => Ok(true),
            Some(_) => Err(ErrorCode::BAD_REQUEST.into()),
        }
    }

    /// Writes the ticket of an allocation whose client has asked for one.
    pub(super) fn write_ticket(&mut self, index: u32, writer: &mut Writer) {
        let allocation = &self.allocations[index as usize];
        let Some(&Mobile { generation, .. }) = allocation.mobile.as_deref() else { return };
        let Some(tickets) = self.auth.tickets() else { return };
        let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
        let mut random = [0; 12];
        random[..8].copy_from_slice(&self.random.next().to_be_bytes());
        random[8..].copy_from_slice(&self.random.next().to_be_bytes()[..4]);
        writer.attribute(AttributeType::MOBILITY_TICKET, &tickets.seal(Ticket { allocation: key, generation }, random));
    }

    // Refresh.

    /// The worker of the allocation that a Refresh with a ticket is about, if it is another one. A client that has an allocation here
    /// cannot get a second one by a ticket.
    pub(super) fn home_of(&self, client: Client, message: &Message<'_>) -> Option<u16> {
        let value = message.get(AttributeType::MOBILITY_TICKET)?;
        let ticket = self.auth.tickets()?.open(value).ok()?;
        (ticket.allocation.worker != self.worker && !self.by_client.contains_key(&client)).then_some(ticket.allocation.worker)
    }

    /// The allocation of a ticket.
    pub(super) fn by_ticket(&self, value: &[u8]) -> Result<(u32, Ticket), ErrorCode> {
        let tickets = self.auth.tickets().ok_or(ErrorCode::MOBILITY_FORBIDDEN)?;
        let ticket = tickets.open(value).map_err(|bad| match bad {
            BadTicket::Invalid => ErrorCode::BAD_REQUEST,
            BadTicket::Ended => ErrorCode::ALLOCATION_MISMATCH,
        })?;
        let AllocationKey { worker, index, serial } = ticket.allocation;
        let is_live = worker == self.worker && self.allocations.get(index as usize).is_some_and(|one| one.serial == serial);
        if is_live { Ok((index, ticket)) } else { Err(ErrorCode::ALLOCATION_MISMATCH) }
    }

    /// §3.2.2: a Refresh with a ticket.
    pub(super) fn refresh_by_ticket(&mut self, value: &[u8], request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let (index, ticket) = self.by_ticket(value)?;
        let allocation = &self.allocations[index as usize];
        if allocation.username != request.username {
            return Err(ErrorCode::WRONG_CREDENTIALS.into());
        }
        // The 5-tuple is that of another allocation.
        if request.allocation.is_some_and(|other| other != index) {
            return Err(ErrorCode::ALLOCATION_MISMATCH.into());
        }
        let Some(mobile) = &allocation.mobile else { return Err(ErrorCode::BAD_REQUEST.into()) };
        // "The old ticket can only be used for the purposes of retransmission."
        let is_repeated = mobile.moved.is_some_and(|(client, until)| client == request.client && until > now)
            && ticket.generation.wrapping_add(1) == mobile.generation;
        let is_there = request.allocation.is_some();
        let is_control_over_udp = allocation.data.is_some() && request.client.via.stream().is_none();
        if !is_repeated && (is_there || ticket.generation != mobile.generation || is_control_over_udp) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        self.check_refresh(index, &request.message)?;
        if !is_repeated {
            self.begin_move(index, request.client, now);
        }
        self.refresh(index, request, now)
    }

    fn begin_move(&mut self, index: u32, client: Client, now: Instant) {
        let allocation = &mut self.allocations[index as usize];
        let carries_no_data = allocation.data.is_some();
        let Some(mobile) = &mut allocation.mobile else { return };
        mobile.generation = mobile.generation.wrapping_add(1);
        mobile.moved = Some((client, now + RETRANSMISSION));
        let is_alone = mobile.waits_until.take().is_some();
        let skipped = mobile.next.replace(client);
        if let Some(skipped) = skipped {
            self.forget_client(skipped, index, now);
        }
        self.by_client.insert(client, index);
        self.moving.insert(client);
        if let Some(worker) = self.comes_by {
            self.guests.insert(client, worker);
            self.outputs.push_back(Output::Expect { worker, client, is_ours: true });
        }
        // Nothing will come on the old one, or what comes tells nothing: a control connection carries no data.
        if is_alone || carries_no_data {
            self.finish_move(index, now);
        }
    }

    /// The client has sent data: if it did so where it moves to, the old 5-tuple is discarded.
    pub(super) fn confirm_move(&mut self, client: Client, index: u32, now: Instant) {
        if !self.moving.is_empty() && self.moving.contains(&client) {
            self.finish_move(index, now);
        }
    }

    fn finish_move(&mut self, index: u32, now: Instant) {
        let allocation = &mut self.allocations[index as usize];
        let Some(client) = allocation.mobile.as_mut().and_then(|mobile| mobile.next.take()) else { return };
        let old = std::mem::replace(&mut allocation.client, client);
        *transport(&mut self.stats.allocations, old.via) -= 1;
        *transport(&mut self.stats.allocations, client.via) += 1;
        self.stats.moves += 1;
        self.moving.remove(&client);
        self.forget_client(old, index, now);
    }

    /// A 5-tuple leads to the allocation no more.
    pub(super) fn forget_client(&mut self, client: Client, index: u32, now: Instant) {
        if self.by_client.get(&client) == Some(&index) {
            self.by_client.remove(&client);
        }
        self.moving.remove(&client);
        if let Some(worker) = self.guests.remove(&client) {
            self.outputs.push_back(Output::Expect { worker, client, is_ours: false });
        }
        self.touch_connection(client, now);
    }

    /// The connection of an allocation is gone. False if the allocation is to go, too.
    pub(super) fn outlives_connection(&mut self, index: u32, client: Client, now: Instant) -> bool {
        let allocation = &mut self.allocations[index as usize];
        let (is_old, Some(mobile)) = (allocation.client == client, &mut allocation.mobile) else { return false };
        match (is_old, mobile.next) {
            // §3.2.2: "a message from the client to close the old connection".
            (true, Some(_)) => self.finish_move(index, now),
            (true, None) => {
                mobile.waits_until = Some(now + WAITS);
                self.forget_client(client, index, now);
                self.reschedule(index);
            }
            (false, _) => {
                mobile.next = None;
                self.forget_client(client, index, now);
            }
        }
        true
    }

    // Datagrams that come to another worker than that of their allocation.

    /// Datagrams of this client are to be passed on to another worker, or no longer.
    pub fn handle_expect(&mut self, client: Client, home: u16, is_theirs: bool) {
        // It has made an allocation here meanwhile.
        if is_theirs && !self.by_client.contains_key(&client) {
            self.elsewhere.insert(client, home);
        } else if self.elsewhere.get(&client) == Some(&home) {
            self.elsewhere.remove(&client);
        }
    }

    /// Passes a datagram on, if its client's allocation is another worker's.
    pub(super) fn pass_on(&mut self, client: Client, bytes: &[u8]) -> bool {
        let Some(&worker) = self.elsewhere.get(&client) else { return false };
        self.outputs.push_back(Output::PassOn { worker, client, message: bytes.to_vec() });
        true
    }

    /// What another worker has passed on.
    pub fn handle_passed_on(&mut self, client: Client, from: u16, bytes: &[u8], now: Now) -> Option<Route> {
        self.comes_by = Some(from);
        let route = match demux::kind(bytes) {
            Kind::Channel => self.handle_channel_data(client, bytes, now.at),
            Kind::Stun => self.handle_message(client, bytes, now),
            Kind::Other => {
                self.stats.count_drop(DropReason::Malformed);
                None
            }
        };
        self.comes_by = None;
        route
    }
}

/// Whether a request is a Refresh that names its allocation by a ticket.
pub(super) fn ticket<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.get(AttributeType::MOBILITY_TICKET).filter(|_| message.method() == Method::REFRESH)
}
