//! RFC 6062: the relayed addresses that listen for TCP, and the data connections between them and peers, of all workers.
//!
//! A client binds a connection through any worker, so they are shared: locked when a connection comes or goes, never for data. A
//! connection ends by its token, whoever holds its sockets then.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use campanile_ice::stun::turn::Family;
use tokio_util::sync::CancellationToken;

use super::auth::Signing;
use super::quota::Share;
use super::registry::AllocationKey;
use crate::quality::report::{Direction, Volume};
use crate::settings::Limits;

/// Whose a data connection is.
#[derive(Debug)]
pub struct DataOwner {
    /// The TCP allocation.
    pub allocation: AllocationKey,
    /// USERNAME of its requests; the only one that may bind a connection of it (§4.3).
    pub username: Box<str>,
    /// The key of that user name.
    pub key: Signing,
    /// The account that it counts for.
    pub account: Arc<str>,
    /// What the account may use.
    pub share: Arc<Share>,
    /// It serves no accepted call, and is held to a lower rate.
    pub is_early: AtomicBool,
    /// What its data connections carried.
    pub carried: Carried,
}

/// What the data connections of an allocation carried; written by their tasks, once per chunk.
#[derive(Debug, Default)]
pub struct Carried {
    to_peer: AtomicVolume,
    to_client: AtomicVolume,
}

#[derive(Debug, Default)]
struct AtomicVolume {
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl Carried {
    /// Counts one chunk.
    pub fn add(&self, direction: Direction, bytes: usize) {
        let volume = self.of(direction);
        volume.chunks.fetch_add(1, Ordering::Relaxed);
        volume.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All of one direction, a chunk counted as a packet.
    pub fn volume(&self, direction: Direction) -> Volume {
        let volume = self.of(direction);
        Volume { packets: volume.chunks.load(Ordering::Relaxed), bytes: volume.bytes.load(Ordering::Relaxed) }
    }

    fn of(&self, direction: Direction) -> &AtomicVolume {
        match direction {
            Direction::ToPeer => &self.to_peer,
            Direction::ToClient => &self.to_client,
        }
    }
}

/// Why there is no new data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// The allocation has one with this peer (446).
    Exists,
    /// The allocation or the account has as many as it may have (486).
    Quota,
    /// The server has (508).
    Full,
}

/// What a data connection is when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overdue {
    /// The peer had not answered.
    Connecting,
    /// The client had not bound it.
    Pending,
}

/// The table; see the module.
#[derive(Debug)]
pub struct DataConnections {
    per_allocation: usize,
    per_account: usize,
    total: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Relayed addresses that listen, in their bound form. A port is given out once per family.
    listening: HashMap<(Family, u16), SocketAddr>,
    by_id: HashMap<u32, DataConnection>,
    by_peer: BTreeMap<(AllocationKey, SocketAddr), u32>,
    accounts: HashMap<Arc<str>, usize>,
    serial: u64,
}

#[derive(Debug)]
struct DataConnection {
    /// Tells it from others that had its number before.
    serial: u64,
    owner: Arc<DataOwner>,
    /// The peer, as the client knows it.
    peer: SocketAddr,
    phase: Phase,
    stop: CancellationToken,
}

#[derive(Debug)]
enum Phase {
    Connecting,
    /// Waits for its ConnectionBind; what the peer sends waits in the kernel, which lets it send so much and no more.
    Pending(TcpStream),
    /// Bound; its socket is about to be taken.
    Bound(TcpStream),
    Active,
}

/// A data connection among those that ever had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataConnectionKey {
    /// CONNECTION-ID.
    pub id: u32,
    /// Which of them.
    pub serial: u64,
}

impl DataConnections {
    /// An empty table with the bounds of `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            per_allocation: limits.data_connections_per_allocation,
            per_account: limits.data_connections_per_account,
            total: limits.data_connections,
            state: Mutex::default(),
        }
    }

    // Relayed addresses.

    /// A relayed address listens from now on.
    pub fn listen(&self, bound: SocketAddr) {
        self.state().listening.insert(place(bound), bound);
    }

    /// It does so no more.
    pub fn unlisten(&self, bound: SocketAddr) {
        self.state().listening.remove(&place(bound));
    }

    /// Whether this is a relayed TCP address in its bound form.
    pub fn is_listening(&self, bound: SocketAddr) -> bool {
        self.state().listening.get(&place(bound)) == Some(&bound)
    }

    /// The bound form of a relayed TCP address in any form; `advertised` is the address told in place of that family's local ones.
    pub fn resolve(&self, address: SocketAddr, advertised: Option<IpAddr>) -> Option<SocketAddr> {
        let bound = self.state().listening.get(&place(address)).copied()?;
        (bound == address || advertised == Some(address.ip())).then_some(bound)
    }

    // Data connections.

    /// A new one, still to be connected. `random` yields its number.
    ///
    /// # Errors
    /// See [`NoConnection`].
    pub fn open(
        &self,
        owner: &Arc<DataOwner>,
        peer: SocketAddr,
        mut random: impl FnMut() -> u32,
    ) -> Result<DataConnectionKey, NoConnection> {
        let mut state = self.state();
        if state.by_peer.contains_key(&(owner.allocation, peer)) {
            return Err(NoConnection::Exists);
        }
        if state.by_id.len() >= self.total {
            return Err(NoConnection::Full);
        }
        if state.of(owner.allocation).len() >= self.per_allocation
            || state.accounts.get(&owner.account).is_some_and(|count| *count >= self.per_account)
        {
            return Err(NoConnection::Quota);
        }
        let mut id = random();
        while state.by_id.contains_key(&id) {
            id = random();
        }
        state.serial += 1;
        let key = DataConnectionKey { id, serial: state.serial };
        state.by_peer.insert((owner.allocation, peer), id);
        *state.accounts.entry(owner.account.clone()).or_default() += 1;
        let stop = CancellationToken::new();
        state.by_id.insert(id, DataConnection { serial: key.serial, owner: owner.clone(), peer, phase: Phase::Connecting, stop });
        Ok(key)
    }

    /// The token by which a connection ends; none when it has.
    pub fn stop(&self, key: DataConnectionKey) -> Option<CancellationToken> {
        self.state().get(key).map(|connection| connection.stop.clone())
    }

    /// It is connected, and waits for its client. False, and the socket is closed, if it has ended meanwhile.
    pub fn connected(&self, key: DataConnectionKey, stream: TcpStream) -> bool {
        match self.state().get(key) {
            Some(connection) if matches!(connection.phase, Phase::Connecting) => {
                connection.phase = Phase::Pending(stream);
                true
            }
            _ => false,
        }
    }

    /// The owner of a connection that waits for its client.
    pub fn pending(&self, id: u32) -> Option<Arc<DataOwner>> {
        let state = self.state();
        state.by_id.get(&id).filter(|connection| matches!(connection.phase, Phase::Pending(_))).map(|connection| connection.owner.clone())
    }

    /// Binds a connection that waits for its client, if that shows the owner's user name (§5.4).
    pub fn bind(&self, id: u32, username: &str) -> bool {
        let mut state = self.state();
        let Some(connection) = state.by_id.get_mut(&id).filter(|connection| connection.owner.username.as_ref() == username) else {
            return false;
        };
        match std::mem::replace(&mut connection.phase, Phase::Active) {
            Phase::Pending(stream) => {
                connection.phase = Phase::Bound(stream);
                true
            }
            other => {
                connection.phase = other;
                false
            }
        }
    }

    /// Takes the socket of a bound connection.
    pub fn take(self: &Arc<Self>, id: u32) -> Option<Link> {
        let mut state = self.state();
        let connection = state.by_id.get_mut(&id)?;
        match std::mem::replace(&mut connection.phase, Phase::Active) {
            Phase::Bound(peer) => Some(Link {
                peer,
                owner: connection.owner.clone(),
                stop: connection.stop.clone(),
                place: LinkPlace { table: self.clone(), key: DataConnectionKey { id, serial: connection.serial } },
            }),
            other => {
                connection.phase = other;
                None
            }
        }
    }

    /// Ends a connection that is still what it is not to be any more; false if it is not.
    pub fn expire(&self, key: DataConnectionKey, overdue: Overdue) -> bool {
        let mut state = self.state();
        let is_so = state.is_still(key, overdue);
        if is_so {
            state.remove(key.id);
        }
        is_so
    }

    /// Ends a connection.
    pub fn close(&self, key: DataConnectionKey) {
        let mut state = self.state();
        if state.get(key).is_some() {
            state.remove(key.id);
        }
    }

    /// Ends the connections of an allocation with some peers (§5.5).
    pub fn close_where(&self, allocation: AllocationKey, is_meant: impl Fn(SocketAddr) -> bool) {
        let mut state = self.state();
        for (peer, id) in state.of(allocation) {
            if is_meant(peer) {
                state.remove(id);
            }
        }
    }

    /// The peers of an allocation.
    pub fn peers_of(&self, allocation: AllocationKey) -> Vec<SocketAddr> {
        self.state().of(allocation).into_iter().map(|(peer, _)| peer).collect()
    }

    /// Keeps of a list what still is what it is not to be any more by then.
    pub fn retain_waiting(&self, waiting: &mut VecDeque<(Instant, DataConnectionKey, Overdue)>) {
        let mut state = self.state();
        waiting.retain(|(_, key, overdue)| state.is_still(*key, *overdue));
    }

    /// Data connections there are.
    pub fn len(&self) -> usize {
        self.state().by_id.len()
    }

    /// Whether there is neither a listening address nor a data connection.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.by_id.is_empty() && state.by_peer.is_empty() && state.accounts.is_empty() && state.listening.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(address: SocketAddr) -> (Family, u16) {
    (Family::of(address), address.port())
}

impl State {
    fn get(&mut self, key: DataConnectionKey) -> Option<&mut DataConnection> {
        self.by_id.get_mut(&key.id).filter(|connection| connection.serial == key.serial)
    }

    fn is_still(&mut self, key: DataConnectionKey, overdue: Overdue) -> bool {
        self.get(key).is_some_and(|connection| match overdue {
            Overdue::Connecting => matches!(connection.phase, Phase::Connecting),
            Overdue::Pending => matches!(connection.phase, Phase::Pending(_)),
        })
    }

    fn of(&self, allocation: AllocationKey) -> Vec<(SocketAddr, u32)> {
        let first = SocketAddr::from(([0, 0, 0, 0], 0));
        let from_here = self.by_peer.range((allocation, first)..);
        from_here.take_while(|((of, _), _)| *of == allocation).map(|((_, peer), id)| (*peer, *id)).collect()
    }

    fn remove(&mut self, id: u32) {
        let Some(connection) = self.by_id.remove(&id) else { return };
        connection.stop.cancel();
        self.by_peer.remove(&(connection.owner.allocation, connection.peer));
        if let Some(count) = self.accounts.get_mut(&connection.owner.account) {
            *count -= 1;
            if *count == 0 {
                self.accounts.remove(&connection.owner.account);
            }
        }
    }
}

/// The peer's half of a bound data connection, for the task that has the client's.
#[derive(Debug)]
pub struct Link {
    /// The socket towards the peer; does not block.
    pub peer: TcpStream,
    /// Whose it is.
    pub owner: Arc<DataOwner>,
    /// Cancelled when the connection is to end.
    pub stop: CancellationToken,
    /// Its place in the table, which ends with this.
    pub place: LinkPlace,
}

/// A place in the table of data connections, given back when it is dropped.
#[derive(Debug)]
pub struct LinkPlace {
    table: Arc<DataConnections>,
    key: DataConnectionKey,
}

impl Drop for LinkPlace {
    fn drop(&mut self) {
        self.table.close(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::quota::{AccountLimits, Shares};
    use campanile_ice::stun::integrity::Key;

    const LIMITS: AccountLimits = AccountLimits { permissions: 1, channels: 1, bytes_per_second: 1, early_bytes_per_second: 1 };

    fn owner(index: u32, account: &str) -> Arc<DataOwner> {
        Arc::new(DataOwner {
            allocation: AllocationKey { worker: 0, index, serial: 1 },
            username: format!("name of {account}").into(),
            key: Signing { key: Key::short_term("secret"), algorithm: None },
            account: account.into(),
            share: Shares::new(LIMITS).of(&account.into(), std::time::Instant::now()),
            is_early: AtomicBool::new(false),
            carried: Carried::default(),
        })
    }

    fn table() -> Arc<DataConnections> {
        let limits =
            Limits { data_connections: 5, data_connections_per_allocation: 2, data_connections_per_account: 3, ..Limits::default() };
        Arc::new(DataConnections::new(&limits))
    }

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([8, 8, 8, 8], number))
    }

    fn stream() -> TcpStream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    fn counter() -> impl FnMut() -> u32 {
        let mut next = 6;
        move || {
            next += 1;
            next
        }
    }

    #[test]
    fn s5_2_one_connection_per_peer_and_so_many_per_allocation_account_and_server() {
        let table = table();
        let (a, b, other) = (owner(1, "juliet"), owner(2, "juliet"), owner(3, "romeo"));
        let mut random = counter();
        let first = table.open(&a, peer(1), &mut random).unwrap();
        assert_eq!(table.open(&a, peer(1), &mut random), Err(NoConnection::Exists));
        table.open(&a, peer(2), &mut random).unwrap();
        assert_eq!(table.open(&a, peer(3), &mut random), Err(NoConnection::Quota), "two per allocation");
        table.open(&b, peer(1), &mut random).unwrap();
        assert_eq!(table.open(&b, peer(2), &mut random), Err(NoConnection::Quota), "three per account");
        table.open(&other, peer(1), &mut random).unwrap();
        table.open(&other, peer(2), &mut random).unwrap();
        assert_eq!(table.open(&owner(4, "nurse"), peer(1), &mut random), Err(NoConnection::Full));
        table.close(first);
        table.open(&a, peer(1), &mut random).unwrap();
        for owner in [&a, &b, &other] {
            table.close_where(owner.allocation, |_| true);
        }
        assert!(table.is_empty());
    }

    #[test]
    fn s5_4_a_connection_is_bound_once_by_its_owner_while_it_is_pending() {
        let table = table();
        let owner = owner(1, "juliet");
        // A number that is in use is not given again.
        let mut numbers = [7, 7, 8].into_iter();
        let key = table.open(&owner, peer(1), || numbers.next().unwrap()).unwrap();
        let second = table.open(&owner, peer(2), || numbers.next().unwrap()).unwrap();
        assert_eq!((key.id, second.id), (7, 8));
        assert!(!table.bind(7, "name of juliet"), "not connected yet");
        assert!(table.connected(key, stream()) && !table.connected(key, stream()));
        assert!(!table.bind(7, "name of romeo") && !table.bind(9, "name of juliet"));
        assert!(table.take(7).is_none(), "not bound yet");
        assert!(table.bind(7, "name of juliet") && !table.bind(7, "name of juliet"));
        assert!(!table.expire(key, Overdue::Pending));
        let link = table.take(7).unwrap();
        assert!(table.take(7).is_none() && !link.stop.is_cancelled());
        table.close_where(owner.allocation, |_| true);
        assert!(link.stop.is_cancelled() && table.is_empty());
        // Its place is another's now, and stays that one's.
        let again = table.open(&owner, peer(1), || 7).unwrap();
        drop(link);
        assert!(table.stop(again).is_some());
        assert!(!table.expire(again, Overdue::Pending) && table.expire(again, Overdue::Connecting));
        assert!(!table.expire(again, Overdue::Connecting));
        assert!(table.is_empty());
    }

    #[test]
    fn relayed_addresses_resolve_in_both_forms() {
        let table = table();
        let (bound, advertised): (SocketAddr, SocketAddr) = ("10.0.0.5:50003".parse().unwrap(), "203.0.113.7:50003".parse().unwrap());
        let public = Some(advertised.ip());
        assert_eq!(table.resolve(bound, public), None);
        table.listen(bound);
        assert_eq!((table.resolve(bound, public), table.resolve(advertised, public)), (Some(bound), Some(bound)));
        assert_eq!((table.resolve(advertised, None), table.resolve(bound, None)), (None, Some(bound)));
        assert_eq!(table.resolve("203.0.113.7:50004".parse().unwrap(), public), None);
        table.unlisten(bound);
        assert!(table.is_empty());
    }
}
