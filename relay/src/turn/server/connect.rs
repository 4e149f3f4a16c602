//! RFC 6062: TCP allocations. Connect (§5.2), connections of peers (§5.3), ConnectionBind (§5.4) and what ends them.
//!
//! The sockets are the shell's; the table of data connections is `turn/data_connections.rs`, since a client may bind one through any
//! worker. A permission is asked for where a peer connects; where the client itself names the peer in a Connect, the rules about peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use campanile_ice::stun::turn::Family;
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, TransactionId, Writer};

use super::{Output, Refusal, Request, Server, ip_family};
use crate::datapath::flow::{Client, Reach, SocketId};
use crate::quality::report::Direction;
use crate::turn::allocation::Allocation;
use crate::turn::data_connections::{DataConnectionKey, DataOwner, NoConnection, Overdue};
use crate::turn::registry::Hosts;

/// §5.2: "The timeout value MUST be at least 30 seconds", for the peer; and 30 seconds for the client to bind the connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Data connections that may wait before those are looked for that have ended.
pub(super) const WAITING_MIN: usize = 64;

/// A Connect request whose peer has not answered yet.
pub(super) struct Connecting {
    client: Client,
    transaction: TransactionId,
    peer: SocketAddr,
    owner: Arc<DataOwner>,
}

/// §5.1: what an Allocate request for TCP must be like.
pub(super) fn check_tcp(client: Client, message: &Message<'_>) -> Result<(), Refusal> {
    let is_udp_feature = |kind| matches!(kind, AttributeType::DONT_FRAGMENT | AttributeType::EVEN_PORT | AttributeType::RESERVATION_TOKEN);
    // 2 and 3.
    if client.via.stream().is_none() || message.attributes().any(|(kind, _)| is_udp_feature(kind)) {
        return Err(ErrorCode::BAD_REQUEST.into());
    }
    Ok(())
}

impl Server {
    /// §5.2.
    pub(super) fn connect(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let owner = self.allocations[index as usize].data.clone().ok_or(ErrorCode::FORBIDDEN)?;
        let peer = request.message.get_xor_address(AttributeType::XOR_PEER_ADDRESS)?.ok_or(ErrorCode::BAD_REQUEST)?;
        if peer.port() == 0 {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let reach = self.judge(index, peer, &self.registry.hosts(), now)?;
        let allocation = &self.allocations[index as usize];
        let relay = allocation.relay(super::wire_family(peer)).ok_or(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        let (socket, from) = (relay.socket, relay.bound);
        let relayed = self.registry.data.resolve(peer, self.registry.ports.is_advertised(peer.ip()).then_some(peer.ip()));
        let to = match (reach, relayed) {
            // A connection of an address with itself.
            (_, Some(relayed)) if relayed == from => return Err(ErrorCode::FORBIDDEN.into()),
            (Reach::Peer, _) | (Reach::Own, None) => peer,
            (Reach::Own | Reach::Relays, Some(relayed)) => relayed,
            (Reach::Relays, None) => return Err(ErrorCode::FORBIDDEN.into()),
        };
        let random = &mut self.random;
        let connection = self.registry.data.open(&owner, peer, || random.next() as u32).map_err(|full| match full {
            NoConnection::Exists => ErrorCode::CONNECTION_ALREADY_EXISTS,
            NoConnection::Quota => ErrorCode::QUOTA_REACHED,
            NoConnection::Full => ErrorCode::INSUFFICIENT_CAPACITY,
        })?;
        let waiting = Connecting { client: request.client, transaction: request.message.transaction(), peer, owner };
        self.connecting.insert(connection, waiting);
        self.wait_for(connection, Overdue::Connecting, now);
        self.outputs.push_back(Output::Connect { connection, socket, from, to });
        Ok(())
    }

    /// What became of `Output::Connect`. The socket of a success is in the table already.
    pub fn handle_peer_connected(&mut self, connection: DataConnectionKey, is_connected: bool, now: Instant) {
        // Its time is over, or its allocation.
        let Some(waiting) = self.connecting.remove(&connection) else { return };
        let data = self.registry.data.clone();
        if !is_connected {
            data.close(connection);
            return self.refuse_connect(&waiting);
        }
        if data.stop(connection).is_none() {
            return;
        }
        self.wait_for(connection, Overdue::Pending, now);
        let mut writer = Writer::new(Class::Success, Method::CONNECT, waiting.transaction);
        writer.u32(AttributeType::CONNECTION_ID, connection.id);
        self.succeed(waiting.client, writer, &waiting.owner.key);
    }

    fn refuse_connect(&mut self, waiting: &Connecting) {
        let mut writer = Writer::new(Class::Error, Method::CONNECT, waiting.transaction);
        writer.error(ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE);
        self.stats.count_error(ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE.0);
        self.send(waiting.client, writer, Some(&waiting.owner.key));
    }

    /// §5.3: a peer has connected to a relayed address. None, and it is to be closed, unless it has a permission.
    pub fn handle_peer_arrived(&mut self, socket: SocketId, source: SocketAddr, now: Instant) -> Option<DataConnectionKey> {
        let &index = self.listening.get(&socket)?;
        let allocation = &self.allocations[index as usize];
        let owner = allocation.data.clone()?;
        let peer = self.admit_peer(allocation, source, now)?;
        let client = allocation.client;
        let random = &mut self.random;
        let connection = self.registry.data.open(&owner, peer, || random.next() as u32).ok()?;
        self.wait_for(connection, Overdue::Pending, now);
        let mut random = [0; 12];
        random[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let mut writer = Writer::new(Class::Indication, Method::CONNECTION_ATTEMPT, TransactionId(random));
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        writer.u32(AttributeType::CONNECTION_ID, connection.id);
        self.send(client, writer, None);
        Some(connection)
    }

    /// The peer as the client knows it, if it may connect. A relay of ours may be known by its advertised address.
    fn admit_peer(&self, allocation: &Allocation, source: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let is_relay = self.registry.data.is_listening(source);
        let admitted = |peer: SocketAddr| {
            let permission = allocation.permission(peer.ip(), now)?;
            match permission.reach {
                Reach::Peer | Reach::Own => Some(peer),
                Reach::Relays => is_relay.then_some(peer),
            }
        };
        let told = |ip| admitted(SocketAddr::new(ip, source.port()));
        admitted(source).or_else(|| if is_relay { self.registry.ports.find_told(ip_family(source.ip()), told) } else { None })
    }

    /// §5.4. The connection that it comes by is the client's half from then on.
    pub(super) fn connection_bind(&mut self, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let Some(stream) = request.client.via.stream() else { return Err(ErrorCode::BAD_REQUEST.into()) };
        // §4.3: "a new TCP connection to the server".
        if request.allocation.is_some() {
            return Err(ErrorCode::ALLOCATION_MISMATCH.into());
        }
        let id = request.message.connection_id()?.ok_or(ErrorCode::BAD_REQUEST)?;
        // Somebody else's is as good as none: nobody learns which numbers are in use.
        if !self.registry.data.bind(id, &request.username) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        self.stats.data_connections_made += 1;
        let writer = Writer::new(Class::Success, Method::CONNECTION_BIND, request.message.transaction());
        self.succeed(request.client, writer, &request.key);
        self.outputs.push_back(Output::Bind { client: request.client, connection: id });
        self.handle_disconnected(stream, now);
        Ok(())
    }

    fn wait_for(&mut self, connection: DataConnectionKey, overdue: Overdue, now: Instant) {
        if self.waiting.len() >= self.waiting_max {
            self.registry.data.retain_waiting(&mut self.waiting);
            self.waiting_max = WAITING_MIN.max(2 * self.waiting.len());
        }
        self.waiting.push_back((now + PATIENCE, connection, overdue));
    }

    /// §5.2, §5.3: the peer has not answered in time (447), or the client has not bound the connection.
    pub(super) fn handle_data_timeout(&mut self, connection: DataConnectionKey, overdue: Overdue) {
        if self.registry.data.expire(connection, overdue)
            && let Some(waiting) = self.connecting.remove(&connection)
        {
            self.refuse_connect(&waiting);
        }
    }

    /// Whether an address is a relayed one of ours, by the transport that the allocation relays.
    pub(super) fn is_relayed(&self, index: u32, address: SocketAddr) -> bool {
        match self.allocations[index as usize].data {
            None => self.registry.ports.resolve(address.into()).is_some(),
            Some(_) => {
                let advertised = self.registry.ports.is_advertised(address.ip()).then_some(address.ip());
                self.registry.data.resolve(address, advertised).is_some()
            }
        }
    }

    /// §5.5: the data connections of a relayed address end with it.
    pub(super) fn end_data(&mut self, index: u32, family: Family) {
        let Some(owner) = self.allocations[index as usize].data.clone() else { return };
        self.registry.data.close_where(owner.allocation, |peer| Family::of(peer) == family);
        self.collect(index);
        self.connecting.retain(|_, waiting| waiting.owner.allocation != owner.allocation || Family::of(waiting.peer) != family);
    }

    /// Addresses of this host have become others: ends the data connections that none would be made to now.
    pub(super) fn end_data_by_rules(&self, index: u32, hosts: &Hosts) {
        let Some(owner) = &self.allocations[index as usize].data else { return };
        // The table is locked while it is walked; what is a relayed address is asked of it before.
        let peers = self.registry.data.peers_of(owner.allocation);
        for peer in peers {
            if self.reach(peer.ip(), hosts).is_none() && !self.is_relayed(index, peer) {
                self.registry.data.close_where(owner.allocation, |other| other == peer);
            }
        }
    }

    /// Takes over what the data connections of all TCP allocations have carried. Called once a second.
    pub fn collect_data(&mut self) {
        let tcp: Vec<u32> = self.listening.values().copied().collect();
        for index in tcp {
            self.collect(index);
        }
    }

    fn collect(&mut self, index: u32) {
        let Some(allocation) = self.allocations.get_mut(index as usize) else { return };
        let Some(owner) = &allocation.data else { return };
        for (direction, own, all) in [
            (Direction::ToPeer, &mut allocation.to_peer, &mut self.stats.to_peer),
            (Direction::ToClient, &mut allocation.to_client, &mut self.stats.to_client),
        ] {
            let carried = owner.carried.volume(direction);
            all.packets += carried.packets.saturating_sub(own.packets);
            all.bytes += carried.bytes.saturating_sub(own.bytes);
            *own = carried;
        }
    }
}
