//! System calls about sockets that the standard library has not: readiness (epoll), a wake-up (eventfd), socket options, interface
//! addresses, the bound on descriptors.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use super::wire::{Control, Name, read_name};
use crate::endpoint::Endpoint;

/// Waits for sockets that can be read.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// Sockets that became readable in one wait, at most.
const EVENTS_MAX: usize = 256;

impl Poller {
    /// A poller of no sockets.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it returns is new and owned by nobody else.
        let epoll = unsafe {
            let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket, which `token` will stand for. Closing the socket ends it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add(&self, socket: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.watch(socket, libc::EPOLLIN, token)
    }

    /// Watches a waker. It is told once per wake-up, so that nothing has to be read.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_waker(&self, waker: &Waker, token: u64) -> io::Result<()> {
        self.watch(waker.event.as_fd(), libc::EPOLLIN | libc::EPOLLET, token)
    }

    fn watch(&self, socket: BorrowedFd<'_>, events: libc::c_int, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: both descriptors are open and the event lives during the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Waits until a socket is readable, at most for `timeout`. Read the tokens with `token`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        // Rounded up, so that a timer has run out when the wait for it has.
        let timeout_ms = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        self.events.clear();
        // SAFETY: the vector has room for `EVENTS_MAX` events, and the kernel has written as many as it returns.
        let count = unsafe {
            let count = libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), EVENTS_MAX as libc::c_int, timeout_ms);
            self.events.set_len(count.max(0) as usize);
            count
        };
        match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other.map(|count| count as usize),
        }
    }

    /// The token of the n-th socket of the last wait.
    pub fn token(&self, index: usize) -> u64 {
        self.events[index].u64
    }

    /// Whether there are errors to be read with `read_error`. The socket stays ready until they are.
    pub fn is_error(&self, index: usize) -> bool {
        self.events[index].events & libc::EPOLLERR as u32 != 0
    }
}

/// Wakes a worker from other threads.
pub struct Waker {
    event: OwnedFd,
    is_pending: AtomicBool,
    is_asleep: AtomicBool,
}

impl Waker {
    /// A waker that nobody has used.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it returns is new and owned by nobody else.
        let event = unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { event, is_pending: AtomicBool::new(false), is_asleep: AtomicBool::new(false) })
    }

    /// Makes the event readable; one system call however often it is called before the worker looks.
    pub fn wake(&self) {
        if !self.is_pending.swap(true, Ordering::AcqRel) {
            let one = 1u64;
            // SAFETY: eight bytes are read from `one`. It can only fail when the counter is full, and then the event is readable.
            unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), mem::size_of::<u64>()) };
        }
    }

    /// Wakes a worker that waits, or is about to: for what it looks at in every turn anyway. Whatever it is to find was written before.
    pub fn wake_if_asleep(&self) {
        // Orders what was written before this look: either this side sees that the worker sleeps, or the worker sees what was written.
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Called by the worker before it looks a last time at what `wake_if_asleep` is for, and then waits.
    pub fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Called by the worker when it has waited.
    pub fn be_awake(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }

    /// Called by the worker before it looks at what it was woken for.
    pub fn reset(&self) {
        // A read-modify-write, so that it sees what every earlier `wake` published, and a later one writes the event again.
        self.is_pending.swap(false, Ordering::AcqRel);
    }
}

/// Lets this thread sleep for a while, some microseconds more or less (see `sleep_precisely`).
pub fn nap(time: Duration) {
    std::thread::sleep(time);
}

/// Makes the naps of this thread at most so much longer than asked for.
pub fn sleep_precisely(slack: Duration) {
    // SAFETY: a plain system call about this thread alone. It cannot fail with these arguments.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack.as_nanos() as libc::c_ulong, 0, 0, 0) };
}

/// Makes a UDP socket tell the local address of each datagram.
///
/// # Errors
/// The kernel refuses.
pub fn tell_local_address(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        false => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Lets the network fragment what a UDP socket sends (RFC 8656 §14: the DF bit is 0).
///
/// # Errors
/// The kernel refuses.
pub fn allow_fragments(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
        false => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
    }
}

/// Forbids the network to fragment what a UDP socket sends (RFC 8656 §14: the DF bit is 1), whatever the kernel knows of the path.
///
/// # Errors
/// The kernel refuses.
pub fn forbid_fragments(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        false => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    }
}

/// Makes a UDP socket keep ICMP errors, for `read_error`.
///
/// # Errors
/// The kernel refuses.
pub fn keep_errors(socket: BorrowedFd<'_>, is_ipv4: bool) -> io::Result<()> {
    match is_ipv4 {
        true => set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        false => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// Lets a UDP socket hand over several datagrams of one sender at once (UDP_GRO). Whoever reads it must be a `Batch`.
///
/// # Errors
/// The kernel refuses; then datagrams come one by one.
pub fn receive_joined(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Whether the kernel can cut what a UDP socket sends into datagrams (UDP_SEGMENT).
pub fn can_send_joined(socket: BorrowedFd<'_>) -> bool {
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
}

/// Why a datagram that a socket sent did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The network says so: destination, ICMP type and code, and the MTU where it was too big.
    Icmp(Endpoint, u8, u8, u32),
    /// It is longer than this MTU of the link or path, and must not be fragmented. The destination's port may be missing (0).
    TooBig(Endpoint, u32),
    /// Something else.
    Other,
}

/// Takes the oldest error of a socket for which `keep_errors` was called; none when there is none left.
///
/// # Errors
/// What the kernel says, other than that there is nothing.
pub fn read_error(socket: BorrowedFd<'_>) -> io::Result<Option<SendError>> {
    // SAFETY: plain C structures for which zero is a valid value.
    let (mut name, mut header) = unsafe { (mem::zeroed::<Name>(), mem::zeroed::<libc::msghdr>()) };
    // An error with the address of who sent it; room for one of IPv6, and some.
    let mut controls = [Control::NONE; 4];
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = mem::size_of::<Name>() as libc::socklen_t;
    header.msg_control = (&raw mut controls).cast();
    header.msg_controllen = mem::size_of_val(&controls) as _;
    // SAFETY: the header points to a name and a control buffer of the stated lengths that live during the call, and to no vectors: the
    // datagram itself is dropped.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if received < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    // SAFETY: as in `wire::read_control`.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            if let (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) =
                ((*message).cmsg_level, (*message).cmsg_type)
            {
                let error: libc::sock_extended_err = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                let to = read_name(&name);
                return Ok(Some(match error.ee_origin {
                    libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => SendError::Icmp(to, error.ee_type, error.ee_code, error.ee_info),
                    libc::SO_EE_ORIGIN_LOCAL if error.ee_errno == libc::EMSGSIZE as u32 => SendError::TooBig(to, error.ee_info),
                    _ => SendError::Other,
                }));
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    Ok(Some(SendError::Other))
}

fn set_option(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an int that lives during the call, and the length says so.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) })?;
    Ok(())
}

/// The addresses of all interfaces.
///
/// # Errors
/// The kernel refuses.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success `list` is a linked list that stays valid until `freeifaddrs`; an `ifa_addr` that is not null is a structure of
    // the family that it states.
    unsafe {
        check(libc::getifaddrs(&raw mut list))?;
        let mut next = list;
        while let Some(interface) = next.as_ref() {
            next = interface.ifa_next;
            let Some(address) = interface.ifa_addr.as_ref() else { continue };
            match libc::c_int::from(address.sa_family) {
                libc::AF_INET => {
                    let v4: libc::sockaddr_in = ptr::read_unaligned(interface.ifa_addr.cast());
                    addresses.push(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr))));
                }
                libc::AF_INET6 => {
                    let v6: libc::sockaddr_in6 = ptr::read_unaligned(interface.ifa_addr.cast());
                    addresses.push(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)));
                }
                _ => {}
            }
        }
        libc::freeifaddrs(list);
    }
    Ok(addresses)
}

/// Raises this process's bound on open descriptors to what it may be: each allocation has a socket. Returns the bound.
///
/// # Errors
/// The kernel refuses.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives during both calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
        }
    }
    Ok(limit.rlim_cur)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::sync::atomic::AtomicU64;

    use super::super::batch::{Batch, Destination, SLOTS};
    use super::*;

    #[test]
    fn a_poller_sees_sockets_and_wake_ups() {
        let mut poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        let (sender, receiver) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        poller.add(receiver.as_fd(), 1).unwrap();
        poller.add_waker(&waker, 2).unwrap();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        waker.wake();
        waker.wake();
        assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), 1);
        assert_eq!(poller.token(0), 2);
        waker.reset();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        sender.send_to(&[], receiver.local_addr().unwrap()).unwrap();
        assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), 1);
        assert_eq!(poller.token(0), 1);
    }

    /// Whatever is written before a wake-up is found by who was woken: none is lost, however they fall together.
    #[test]
    fn no_wake_up_is_lost() {
        const ROUNDS: u64 = 20_000;
        let (waker, written) = (Waker::new().unwrap(), AtomicU64::new(0));
        let mut poller = Poller::new().unwrap();
        poller.add_waker(&waker, 1).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        written.fetch_add(1, Ordering::Relaxed);
                        waker.wake();
                    }
                });
            }
            let mut seen = 0;
            while seen < 3 * ROUNDS {
                assert_eq!(poller.wait(Duration::from_secs(20)).unwrap(), 1, "{seen} of {} were seen", written.load(Ordering::Relaxed));
                waker.reset();
                seen = written.load(Ordering::Relaxed);
            }
        });
        // And nothing is left that would wake a worker for nothing, but for the last one to come.
        waker.reset();
        poller.wait(Duration::ZERO).unwrap();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
    }

    #[test]
    fn who_is_awake_is_not_woken_for_a_ring() {
        let mut poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        poller.add_waker(&waker, 1).unwrap();
        waker.wake_if_asleep();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        waker.fall_asleep();
        waker.wake_if_asleep();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 1);
        waker.reset();
        waker.be_awake();
        waker.wake_if_asleep();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
    }

    fn socket(address: &str) -> (UdpSocket, Endpoint) {
        let socket = UdpSocket::bind(address).unwrap();
        let local = socket.local_addr().unwrap();
        (socket, local.into())
    }

    #[test]
    fn errors_of_the_network_are_read_and_keep_nothing_back() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((sender, from), (receiver, to), (gone, nobody)) = (socket(address), socket(address), socket(address));
            drop(gone);
            keep_errors(sender.as_fd(), from.ip.is_ipv4()).unwrap();
            let mut poller = Poller::new().unwrap();
            poller.add(sender.as_fd(), 1).unwrap();
            let mut batch = Batch::new();
            for number in 0..6u8 {
                let destination = Destination { socket: sender.as_fd(), to: if number % 2 == 0 { nobody } else { to }, from: None };
                // Ever longer: joined ones would be one error.
                batch.queue_copy(destination, &[], &vec![number; usize::from(number)], 0);
            }
            assert_eq!(batch.flush(), 0);
            assert_eq!(batch.receive(receiver.as_fd(), SLOTS).unwrap(), 0..3);
            assert_eq!(poller.wait(Duration::from_secs(5)).unwrap(), 1);
            assert!(poller.is_error(0));
            let refused = if to.ip.is_ipv4() { SendError::Icmp(nobody, 3, 3, 0) } else { SendError::Icmp(nobody, 1, 4, 0) };
            for _ in 0..3 {
                assert_eq!(read_error(sender.as_fd()).unwrap(), Some(refused), "{address}");
            }
            assert_eq!(read_error(sender.as_fd()).unwrap(), None);
            assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        }
    }

    #[test]
    fn the_descriptor_limit_is_raised_once() {
        let raised = raise_descriptor_limit().unwrap();
        assert_eq!(raise_descriptor_limit().unwrap(), raised);
    }

    #[test]
    fn interfaces_have_a_loopback_address() {
        assert!(interface_addresses().unwrap().iter().any(IpAddr::is_loopback));
    }
}
