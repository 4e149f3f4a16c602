//! System calls that the standard library has not: datagrams in batches (recvmmsg, sendmmsg), readiness (epoll), a wake-up (eventfd),
//! socket options and interface addresses. The one file with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::endpoint::{Endpoint, Ip};

/// Datagrams received before what they cause is sent.
pub const SLOTS: usize = 64;
/// Datagrams taken from one relayed socket at a time.
pub const SLOTS_PER_RELAY: usize = 16;
/// Bytes before a received payload, for the header that it may get.
pub const HEAD_ROOM: usize = 64;
/// The longest UDP payload, and three bytes for padding.
const PAYLOAD_BYTES_MAX: usize = 65_507;
const SLOT_BYTES: usize = (HEAD_ROOM + PAYLOAD_BYTES_MAX).next_multiple_of(64) + 64;
/// Datagrams queued before they are sent.
const OUTGOING_MAX: usize = 128;
/// Room for one IP_PKTINFO or IPV6_PKTINFO.
const CONTROL_BYTES: usize = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// A socket address of either family.
#[repr(C)]
#[derive(Clone, Copy)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// A received datagram; its bytes stay in the batch.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Where the payload stands in the slot.
    pub payload_bytes: usize,
    /// Who sent it.
    pub remote: Endpoint,
    /// The local address it came to, if the socket tells.
    pub local: Option<Ip>,
    /// It was longer than a datagram can be relayed.
    pub is_truncated: bool,
}

struct Outgoing {
    socket: RawFd,
    /// Its place in the queue: packets of one socket keep their order.
    place: usize,
    to: Endpoint,
    from: Option<Ip>,
    bytes: Source,
}

enum Source {
    Slot(usize, Range<usize>),
    Shared(Bytes),
}

/// Buffers for received datagrams and a queue of those to send; made once per worker.
pub struct Batch {
    memory: Box<[u8]>,
    packets: Vec<Packet>,
    outgoing: Vec<Outgoing>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty batch. The memory of a slot is only used up to the longest datagram that ever lay in it.
    pub fn new() -> Self {
        const MESSAGES: usize = if SLOTS > OUTGOING_MAX { SLOTS } else { OUTGOING_MAX };
        // SAFETY: all of these are plain C structures for which zero is a valid value.
        let (name, vector, header) = unsafe { (mem::zeroed::<Name>(), mem::zeroed::<libc::iovec>(), mem::zeroed::<libc::mmsghdr>()) };
        Self {
            memory: vec![0; SLOTS * SLOT_BYTES].into(),
            packets: Vec::with_capacity(SLOTS),
            outgoing: Vec::with_capacity(OUTGOING_MAX),
            names: vec![name; MESSAGES].into(),
            controls: vec![Control([0; CONTROL_BYTES]); MESSAGES].into(),
            vectors: vec![vector; MESSAGES].into(),
            headers: vec![header; MESSAGES].into(),
        }
    }

    /// Slots that are free.
    pub fn room(&self) -> usize {
        SLOTS - self.packets.len()
    }

    /// Receives up to `count` datagrams into free slots; returns which slots. An empty range when there is nothing to receive.
    ///
    /// # Errors
    /// What the kernel says, other than that there is nothing.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, count: usize) -> io::Result<Range<usize>> {
        let first = self.packets.len();
        let count = count.min(SLOTS - first);
        let memory = self.memory.as_mut_ptr();
        for index in 0..count {
            let payload = memory.wrapping_add((first + index) * SLOT_BYTES + HEAD_ROOM);
            self.vectors[index] = libc::iovec { iov_base: payload.cast(), iov_len: PAYLOAD_BYTES_MAX };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = mem::size_of::<Name>() as libc::socklen_t;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_controllen = CONTROL_BYTES as _;
            header.msg_flags = 0;
        }
        // SAFETY: the first `count` headers point to buffers of the stated lengths, which live in `self` and are not moved meanwhile.
        let received = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as libc::c_uint, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        if received < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(first..first),
                _ => Err(error),
            };
        }
        for index in 0..received as usize {
            let header = &self.headers[index];
            self.packets.push(Packet {
                payload_bytes: header.msg_len as usize,
                remote: read_name(&self.names[index]),
                local: read_local(&header.msg_hdr),
                is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(first..self.packets.len())
    }

    /// A received datagram.
    pub fn packet(&self, slot: usize) -> Packet {
        self.packets[slot]
    }

    /// Its payload.
    pub fn payload(&self, slot: usize) -> &[u8] {
        let start = slot * SLOT_BYTES + HEAD_ROOM;
        &self.memory[start..start + self.packets[slot].payload_bytes]
    }

    /// All of a slot: head-room, payload (from `HEAD_ROOM`), and some bytes after it.
    pub fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        &mut self.memory[slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES]
    }

    /// Queues bytes of a slot. The socket must stay open until the next `flush`.
    pub fn queue_slot(&mut self, socket: BorrowedFd<'_>, slot: usize, range: Range<usize>, to: Endpoint, from: Option<Ip>) {
        self.queue(socket, to, from, Source::Slot(slot, range));
    }

    /// Queues bytes that lie elsewhere. The socket must stay open until the next `flush`.
    pub fn queue_shared(&mut self, socket: BorrowedFd<'_>, bytes: Bytes, to: Endpoint, from: Option<Ip>) {
        self.queue(socket, to, from, Source::Shared(bytes));
    }

    fn queue(&mut self, socket: BorrowedFd<'_>, to: Endpoint, from: Option<Ip>, bytes: Source) {
        let place = self.outgoing.len();
        self.outgoing.push(Outgoing { socket: socket.as_raw_fd(), place, to, from, bytes });
    }

    /// Whether the queue must be flushed before more is queued.
    pub fn is_full(&self) -> bool {
        self.outgoing.len() >= OUTGOING_MAX
    }

    /// How many datagrams are queued.
    pub fn queued(&self) -> usize {
        self.outgoing.len()
    }

    /// Sends what is queued, socket by socket, and frees all slots. Returns how many datagrams the kernel did not take.
    pub fn flush(&mut self) -> usize {
        let mut failed = 0;
        // In place: a stable sort would allocate.
        if !self.outgoing.is_sorted_by_key(|outgoing| outgoing.socket) {
            self.outgoing.sort_unstable_by_key(|outgoing| (outgoing.socket, outgoing.place));
        }
        for chunk in 0..self.outgoing.len().div_ceil(OUTGOING_MAX) {
            let range = chunk * OUTGOING_MAX..self.outgoing.len().min((chunk + 1) * OUTGOING_MAX);
            failed += self.send(range);
        }
        self.outgoing.clear();
        self.packets.clear();
        failed
    }

    fn send(&mut self, range: Range<usize>) -> usize {
        for (index, outgoing) in self.outgoing[range.clone()].iter().enumerate() {
            let bytes = match &outgoing.bytes {
                Source::Slot(slot, range) => &self.memory[slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES][range.clone()],
                Source::Shared(bytes) => bytes,
            };
            // sendmmsg only reads, though its vectors are mutable.
            self.vectors[index] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let name_bytes = write_name(&mut self.names[index], outgoing.to);
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = name_bytes;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if let Some(from) = outgoing.from {
                header.msg_controllen = write_local(&mut self.controls[index], from) as _;
                header.msg_control = (&raw mut self.controls[index]).cast();
            }
        }
        let (mut at, mut failed, mut is_tried_again) = (0, 0, false);
        let count = range.len();
        while at < count {
            let socket = self.outgoing[range.start + at].socket;
            let end = at + self.outgoing[range.start + at..range.end].iter().take_while(|outgoing| outgoing.socket == socket).count();
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: headers `at..end` point to names, vectors and control data in `self`, and to bytes in `self.memory` or in a
            // `Bytes` of `self.outgoing`; none of them changes before the call returns.
            let sent = unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr().add(at), (end - at) as libc::c_uint, flags) };
            if sent > 0 {
                at += sent as usize;
                is_tried_again = false;
                continue;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                // The socket's buffer is full: what cannot go now is late.
                io::ErrorKind::WouldBlock => {
                    failed += end - at;
                    at = end;
                }
                // May be what the network said of an earlier datagram: that is told once, and not of this one.
                _ if !is_tried_again => is_tried_again = true,
                // This one has no route, or is too long.
                _ => {
                    failed += 1;
                    at += 1;
                    is_tried_again = false;
                }
            }
        }
        failed
    }
}

fn read_name(name: &Name) -> Endpoint {
    // SAFETY: `name` was zeroed and then written by us or by the kernel, which wrote the structure of the family that it states.
    unsafe {
        match libc::c_int::from(name.family) {
            libc::AF_INET => Endpoint {
                ip: IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(name.v4.sin_addr.s_addr))).into(),
                port: u16::from_be(name.v4.sin_port),
            },
            libc::AF_INET6 => {
                Endpoint { ip: IpAddr::V6(Ipv6Addr::from(name.v6.sin6_addr.s6_addr)).into(), port: u16::from_be(name.v6.sin6_port) }
            }
            _ => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0).into(),
        }
    }
}

/// Writes an address in its own family; all our sockets are of one family. Returns its length.
fn write_name(name: &mut Name, to: Endpoint) -> libc::socklen_t {
    match IpAddr::from(to.ip) {
        IpAddr::V4(ip) => {
            name.v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port.to_be(),
                sin_addr: libc::in_addr { s_addr: ip.to_bits().to_be() },
                sin_zero: [0; 8],
            };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        IpAddr::V6(ip) => {
            name.v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: to.port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                sin6_scope_id: 0,
            };
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// The local address of a received datagram, from IP_PKTINFO or IPV6_PKTINFO.
fn read_local(header: &libc::msghdr) -> Option<Ip> {
    // SAFETY: the kernel set `msg_controllen` to what it wrote into `msg_control`, which is aligned for `cmsghdr`; the CMSG macros stay
    // within it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    return Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr))).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    return Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).into());
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// Writes the control message that sets the source address. Returns its length.
fn write_local(control: &mut Control, from: Ip) -> usize {
    match IpAddr::from(from) {
        IpAddr::V4(ip) => {
            let address = libc::in_addr { s_addr: ip.to_bits().to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: libc::in_addr { s_addr: 0 } };
            write_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(ip) => {
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            write_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

fn write_control<T>(control: &mut Control, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    const { assert!(mem::size_of::<libc::cmsghdr>() + mem::size_of::<libc::in6_pktinfo>() <= CONTROL_BYTES) };
    // SAFETY: `control` is aligned for `cmsghdr` and, as asserted, large enough for the header and the largest `T` used, in6_pktinfo.
    unsafe {
        let message: *mut libc::cmsghdr = (&raw mut control.0).cast();
        let length = libc::CMSG_LEN(mem::size_of::<T>() as libc::c_uint);
        (*message).cmsg_len = length as _;
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), value);
        libc::CMSG_SPACE(mem::size_of::<T>() as libc::c_uint) as usize
    }
}

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
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
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
        Ok(Self { event, is_pending: AtomicBool::new(false) })
    }

    /// What to poll.
    pub fn event(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.event.as_fd()
    }

    /// Makes the event readable; one system call however often it is called before the worker looks.
    pub fn wake(&self) {
        if !self.is_pending.swap(true, Ordering::AcqRel) {
            let one = 1u64;
            // SAFETY: eight bytes are read from `one`. It can only fail when the counter is full, and then the event is readable.
            unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), mem::size_of::<u64>()) };
        }
    }

    /// Called by the worker before it looks at what it was woken for.
    pub fn reset(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`. It can only fail when nobody has called `wake`.
        unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), mem::size_of::<u64>()) };
        // A read-modify-write, so that it sees what every earlier `wake` published, and a later one writes the event again.
        self.is_pending.swap(false, Ordering::AcqRel);
    }
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
    let mut controls = [Control([0; CONTROL_BYTES]); 4];
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
    // SAFETY: as in `read_local`.
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

    use super::*;

    fn socket(address: &str) -> (UdpSocket, Endpoint) {
        let socket = UdpSocket::bind(address).unwrap();
        let local = socket.local_addr().unwrap();
        (socket, local.into())
    }

    #[test]
    fn datagrams_go_out_and_come_in_whole_and_in_order() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((sender, from), (receiver, to)) = (socket(address), socket(address));
            tell_local_address(receiver.as_fd(), to.ip.is_ipv4()).unwrap();
            let mut batch = Batch::new();
            for number in 0..50u8 {
                batch.queue_shared(sender.as_fd(), vec![number; usize::from(number)].into(), to, Some(from.ip));
            }
            assert_eq!(batch.flush(), 0);
            let slots = batch.receive(receiver.as_fd(), SLOTS).unwrap();
            assert_eq!(slots, 0..50);
            for slot in slots {
                let packet = batch.packet(slot);
                assert_eq!((packet.remote, packet.local, packet.is_truncated), (from, Some(to.ip), false));
                assert_eq!(batch.payload(slot), vec![slot as u8; slot]);
            }
            assert!(batch.receive(receiver.as_fd(), SLOTS).unwrap().is_empty());
        }
    }

    #[test]
    fn a_slot_is_sent_with_a_header_in_its_head_room() {
        let ((sender, _), (middle, via), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        sender.send_to(b"payload", SocketAddr::from(via)).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(middle.as_fd(), 1).unwrap(), 0..1);
        batch.slot_mut(0)[HEAD_ROOM - 4..HEAD_ROOM].copy_from_slice(b"head");
        batch.queue_slot(middle.as_fd(), 0, HEAD_ROOM - 4..HEAD_ROOM + 7, to, None);
        assert_eq!(batch.flush(), 0);
        let mut bytes = [0; 20];
        assert_eq!(receiver.recv(&mut bytes).unwrap(), 11);
        assert_eq!(&bytes[..11], b"headpayload");
        assert_eq!(batch.room(), SLOTS);
    }

    #[test]
    fn what_cannot_be_sent_does_not_keep_back_the_rest() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let nowhere = Endpoint { ip: to.ip, port: 0 };
        let mut batch = Batch::new();
        for number in 0..6u8 {
            batch.queue_shared(sender.as_fd(), vec![number].into(), if number % 2 == 0 { to } else { nowhere }, None);
        }
        batch.queue_shared(sender.as_fd(), vec![0; 65_508].into(), to, None);
        assert_eq!(batch.flush(), 4);
        assert_eq!(batch.receive(receiver.as_fd(), SLOTS).unwrap(), 0..3);
    }

    #[test]
    fn the_longest_datagram_fits_a_slot() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        sender.send_to(&vec![7; PAYLOAD_BYTES_MAX], SocketAddr::from(to)).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(receiver.as_fd(), 1).unwrap(), 0..1);
        assert_eq!(batch.packet(0).payload_bytes, PAYLOAD_BYTES_MAX);
        assert!(!batch.packet(0).is_truncated);
        assert!(batch.slot_mut(0).len() >= HEAD_ROOM + PAYLOAD_BYTES_MAX + 3);
    }

    #[test]
    fn a_poller_sees_sockets_and_wake_ups() {
        let mut poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        poller.add(receiver.as_fd(), 1).unwrap();
        poller.add(waker.event(), 2).unwrap();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        waker.wake();
        waker.wake();
        assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), 1);
        assert_eq!(poller.token(0), 2);
        waker.reset();
        assert_eq!(poller.wait(Duration::ZERO).unwrap(), 0);
        sender.send_to(&[], SocketAddr::from(to)).unwrap();
        assert_eq!(poller.wait(Duration::from_secs(1)).unwrap(), 1);
        assert_eq!(poller.token(0), 1);
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
                batch.queue_shared(sender.as_fd(), vec![number].into(), if number % 2 == 0 { nobody } else { to }, None);
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
