//! System calls that the standard library has not: datagrams in batches with their own source addresses and times of arrival, runs of them
//! in one message (UDP_SEGMENT). The one file with `unsafe`; IPv4 only.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Datagrams in one system call.
pub const BATCH: usize = 64;
/// The longest datagram that comes or goes, and the distance of two in an inbox.
pub const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Datagrams that one message may be cut into.
pub const SEGMENTS_MAX: usize = 40;
/// Bytes of one message before it is cut.
const MESSAGE_BYTES_MAX: usize = 65_000;
/// Room for IP_PKTINFO, UDP_SEGMENT and SCM_TIMESTAMPNS.
const CONTROL_BYTES: usize = 128;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// What `sendmmsg` and `recvmmsg` take, for [`BATCH`] messages.
struct Messages {
    names: Box<[libc::sockaddr_in]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Messages {
    fn new() -> Self {
        // SAFETY: plain C structures for which zero is a valid value.
        let (name, vector, header) =
            unsafe { (mem::zeroed::<libc::sockaddr_in>(), mem::zeroed::<libc::iovec>(), mem::zeroed::<libc::mmsghdr>()) };
        Self {
            names: vec![name; BATCH].into(),
            controls: vec![Control([0; CONTROL_BYTES]); BATCH].into(),
            vectors: vec![vector; BATCH].into(),
            headers: vec![header; BATCH].into(),
        }
    }

    /// Points a header to `count` vectors from `first`, without control data.
    fn prepare(&mut self, index: usize, first: usize, count: usize) {
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = (&raw mut self.names[index]).cast();
        header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[first];
        header.msg_iovlen = count as _;
        header.msg_control = ptr::null_mut();
        header.msg_controllen = 0;
        header.msg_flags = 0;
    }

    /// The source address and the length at which a message to send is cut.
    fn control(&mut self, index: usize, from: Option<Ipv4Addr>, segment: Option<u16>) {
        let control = &mut self.controls[index];
        let mut used = 0;
        if let Some(from) = from {
            let address = libc::in_addr { s_addr: from.to_bits().to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: libc::in_addr { s_addr: 0 } };
            used += write_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        if let Some(segment) = segment {
            used += write_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        if used > 0 {
            let header = &mut self.headers[index].msg_hdr;
            header.msg_control = (&raw mut control.0).cast();
            header.msg_controllen = used as _;
        }
    }

    /// Sends the first `count` messages; returns how many the kernel took.
    fn send(&mut self, socket: RawFd, count: usize) -> io::Result<usize> {
        let mut at = 0;
        while at < count {
            let left = (count - at) as libc::c_uint;
            // SAFETY: the headers point to names, vectors and control data in `self` and to bytes that the caller holds; all of them live
            // and stay unchanged during the call.
            let sent = unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr().add(at), left, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
            if sent > 0 {
                at += sent as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => break,
                _ => return Err(error),
            }
        }
        Ok(at)
    }
}

fn write_control<T>(control: &mut Control, at: usize, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    const { assert!(mem::size_of::<libc::in_pktinfo>() + 2 * mem::size_of::<libc::cmsghdr>() + 16 <= CONTROL_BYTES) };
    // SAFETY: `control` is aligned for `cmsghdr`, `at` is a sum of `CMSG_SPACE`s, and, as asserted, there is room for both kinds of data.
    unsafe {
        let message: *mut libc::cmsghdr = control.0.as_mut_ptr().add(at).cast();
        (*message).cmsg_len = libc::CMSG_LEN(mem::size_of::<T>() as libc::c_uint) as _;
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), value);
        libc::CMSG_SPACE(mem::size_of::<T>() as libc::c_uint) as usize
    }
}

fn name_of(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: address.ip().to_bits().to_be() },
        sin_zero: [0; 8],
    }
}

/// Datagrams to send, each from an address of its own.
pub struct Outbox {
    messages: Messages,
    bytes: Box<[u8]>,
    count: usize,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        Self { messages: Messages::new(), bytes: vec![0; BATCH * MESSAGE_BYTES_MAX].into(), count: 0 }
    }

    /// Whether it must be flushed before more goes in.
    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one message, which `fill` writes and whose length it returns; with `segment` it is cut into datagrams of that length.
    pub fn push(&mut self, from: Ipv4Addr, to: SocketAddrV4, segment: Option<u16>, fill: impl FnOnce(&mut [u8]) -> usize) {
        let index = self.count;
        self.count += 1;
        let bytes = &mut self.bytes[index * MESSAGE_BYTES_MAX..(index + 1) * MESSAGE_BYTES_MAX];
        let length = fill(bytes);
        self.messages.vectors[index] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
        self.messages.names[index] = name_of(to);
        self.messages.prepare(index, index, 1);
        self.messages.control(index, Some(from), segment);
    }

    /// Sends all; returns how many messages the kernel did not take.
    pub fn flush(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let count = mem::take(&mut self.count);
        Ok(count - self.messages.send(socket.as_raw_fd(), count)?)
    }
}

/// A received datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The address it came to, where the socket tells.
    pub to: Option<Ipv4Addr>,
    /// When the kernel had it, since 1970, where the socket tells.
    pub at: Option<Duration>,
}

/// Datagrams that came together.
pub struct Inbox {
    messages: Messages,
    bytes: Box<[u8]>,
    with_control: bool,
}

impl Inbox {
    /// An empty one; `with_control` asks for [`Datagram::to`] and [`Datagram::at`].
    pub fn new(with_control: bool) -> Self {
        Self { messages: Messages::new(), bytes: vec![0; BATCH * DATAGRAM_BYTES_MAX].into(), with_control }
    }

    /// Takes what is there, without waiting; what was in it is gone.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for index in 0..BATCH {
            let base = self.bytes.as_mut_ptr().wrapping_add(index * DATAGRAM_BYTES_MAX);
            self.messages.vectors[index] = libc::iovec { iov_base: base.cast(), iov_len: DATAGRAM_BYTES_MAX };
            self.messages.prepare(index, index, 1);
            if self.with_control {
                let header = &mut self.messages.headers[index].msg_hdr;
                header.msg_control = (&raw mut self.messages.controls[index].0).cast();
                header.msg_controllen = CONTROL_BYTES as _;
            }
        }
        let headers = self.messages.headers.as_mut_ptr();
        // SAFETY: every header points to a name, a vector and control data in `self.messages` and, through the vector, to its own part of
        // `self.bytes`; nothing of it is moved during the call.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, BATCH as libc::c_uint, libc::MSG_DONTWAIT, ptr::null_mut()) };
        if received < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => Ok(0),
                _ => Err(error),
            };
        }
        Ok(received as usize)
    }

    /// One of those that came.
    pub fn get(&self, index: usize) -> Datagram<'_> {
        let message = &self.messages.headers[index];
        let name = &self.messages.names[index];
        let start = index * DATAGRAM_BYTES_MAX;
        let from = SocketAddrV4::new(Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr)), u16::from_be(name.sin_port));
        let (to, at) = if self.with_control { read_control(&message.msg_hdr) } else { (None, None) };
        Datagram { bytes: &self.bytes[start..start + message.msg_len as usize], from, to, at }
    }
}

fn read_control(header: &libc::msghdr) -> (Option<Ipv4Addr>, Option<Duration>) {
    let (mut to, mut at) = (None, None);
    // SAFETY: the kernel set `msg_controllen` to what it wrote into `msg_control`, which is aligned for `cmsghdr`; the CMSG macros stay
    // within it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    to = Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr)));
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time: libc::timespec = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    at = Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32));
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (to, at)
}

/// Sends datagrams of an [`Inbox`] on from where they lie: those to one destination that stand together, and are of one length, as one
/// message to be cut.
pub struct Passer {
    messages: Messages,
    queue: Vec<Passed>,
    by_segment: bool,
}

#[derive(Clone, Copy)]
struct Passed {
    socket: RawFd,
    index: usize,
    bytes: usize,
    to: SocketAddrV4,
}

impl Passer {
    /// `by_segment`: whether runs become one message.
    pub fn new(by_segment: bool) -> Self {
        Self { messages: Messages::new(), queue: Vec::with_capacity(BATCH), by_segment }
    }

    /// Queues one datagram of the inbox that is given to `flush`.
    pub fn push(&mut self, socket: RawFd, index: usize, bytes: usize, to: SocketAddrV4) {
        self.queue.push(Passed { socket, index, bytes, to });
    }

    /// Sends all.
    pub fn flush(&mut self, inbox: &mut Inbox) -> io::Result<()> {
        let mut at = 0;
        while at < self.queue.len() {
            let socket = self.queue[at].socket;
            let mut count = 0;
            while let Some(first) = self.queue.get(at).copied().filter(|first| first.socket == socket) {
                let rest = &self.queue[at..];
                let run = if self.by_segment { run(rest) } else { 1 };
                for (offset, passed) in rest[..run].iter().enumerate() {
                    let base = inbox.bytes.as_mut_ptr().wrapping_add(passed.index * DATAGRAM_BYTES_MAX);
                    self.messages.vectors[at + offset] = libc::iovec { iov_base: base.cast(), iov_len: passed.bytes };
                }
                self.messages.names[count] = name_of(first.to);
                self.messages.prepare(count, at, run);
                if run > 1 {
                    self.messages.control(count, None, Some(first.bytes as u16));
                }
                at += run;
                count += 1;
            }
            self.messages.send(socket, count)?;
        }
        self.queue.clear();
        Ok(())
    }
}

/// How many datagrams from the first on can go as one message: one destination, one length, only the last may be shorter.
fn run(queue: &[Passed]) -> usize {
    let first = queue[0];
    let mut total = 0;
    for (count, passed) in queue.iter().enumerate() {
        total += passed.bytes;
        let fits = passed.socket == first.socket && passed.to == first.to && passed.bytes <= first.bytes;
        if !fits || count == BATCH || total > MESSAGE_BYTES_MAX {
            return count;
        }
        if passed.bytes < first.bytes {
            return count + 1;
        }
    }
    queue.len()
}

/// Waits until one of some sockets can be read.
pub struct Readable(Box<[libc::pollfd]>);

impl Readable {
    /// The sockets must stay open.
    pub fn new(sockets: impl Iterator<Item = RawFd>) -> Self {
        Self(sockets.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Waits as long as it takes.
    pub fn wait(&mut self) -> io::Result<()> {
        // SAFETY: the array lives during the call, and its length is what it is.
        match check(unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, -1) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Which of them can be read, by their places.
    pub fn ready(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, socket)| socket.revents != 0).map(|(index, _)| index)
    }
}

/// Tells the address that each datagram came to, and when; asks for a long queue, which only root gets.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Not allowed to: what net.core.rmem_max gives.
    let bytes = 64 << 20;
    if set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes).is_err() {
        set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)?;
    }
    if set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes).is_err() {
        set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)?;
    }
    Ok(())
}

/// A longer queue for the forwarder's sockets: what a relay asks for.
pub fn lengthen(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 4 << 20)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, 4 << 20)
}

fn set_option(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an int that lives during the call, and the length says so.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) })
}

/// Makes short sleeps of this thread end when they should: the kernel else joins timers within 50 µs.
pub fn wake_on_time() -> io::Result<()> {
    // SAFETY: a plain system call about this thread.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000 as libc::c_ulong, 0, 0, 0) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
