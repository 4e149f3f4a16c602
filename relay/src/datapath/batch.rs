//! Datagrams in batches: received by recvmmsg, sent by sendmmsg, runs to one destination joined by UDP_SEGMENT (GSO), joined ones that come
//! in (UDP_GRO) taken apart where they lie. No allocation, lock or clock call per datagram.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::Once;
use std::time::{Duration, Instant};

use super::system::can_send_joined;
use super::wire::{CONTROL_BYTES, Control, Name, read_control, read_name, write_control, write_name};
use crate::endpoint::{Endpoint, Ip};

/// Slots to receive into; each takes one datagram, or some joined ones.
pub const SLOTS: usize = 64;
/// Slots used for one relayed socket at a time.
pub const SLOTS_PER_RELAY: usize = 16;
/// The longest header that is put before a payload: that of a Data indication from an IPv6 peer has 48 bytes.
pub const HEAD_BYTES_MAX: usize = 64;
/// The longest UDP payload over IPv4; what is longer is not relayed.
pub const PAYLOAD_BYTES_MAX: usize = 65_507;
/// Bytes free after a slot's payload: padding to a multiple of four.
const TAIL_ROOM: usize = 3;
const SLOT_BYTES: usize = (HEAD_BYTES_MAX + PAYLOAD_BYTES_MAX + TAIL_ROOM).next_multiple_of(64);
/// Bytes of what is queued that does not lie in a slot.
const COPIES_BYTES: usize = 256 * 1024;
/// Datagrams queued before they are sent.
const OUTGOING_MAX: usize = 256;
/// Datagrams in one run: UDP_MAX_SEGMENTS of all kernels that have it.
const SEGMENTS_MAX: usize = 64;
/// Bytes of a run: one UDP datagram for the first part of its way through the kernel.
const RUN_BYTES_MAX: usize = 65_000;
/// Pieces that a queued datagram can be in: header, payload, padding.
const PIECES: usize = 3;

static ZEROS: [u8; 4] = [0; 4];

/// A received datagram; its bytes stay in the batch.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// How long it is.
    pub payload_bytes: usize,
    /// Who sent it.
    pub remote: Endpoint,
    /// The local address it came to, if the socket tells.
    pub local: Option<Ip>,
    /// It was longer than a datagram can be relayed.
    pub is_truncated: bool,
    /// Where it stands in the memory.
    at: usize,
    /// Free bytes before and after it.
    head_room: usize,
    tail_room: usize,
}

/// Where a datagram is to go.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// The socket to send from; it must stay open until the next `flush`.
    pub socket: BorrowedFd<'a>,
    /// To whom.
    pub to: Endpoint,
    /// The source address, where the socket has several.
    pub from: Option<Ip>,
}

#[derive(Clone, Copy)]
struct Outgoing {
    socket: RawFd,
    to: Endpoint,
    from: Option<Ip>,
    /// Bytes in `heads` that go before, and zeros that go after.
    head_bytes: u8,
    pad_bytes: u8,
    /// Where its bytes stand in the memory.
    at: usize,
    bytes: usize,
}

impl Outgoing {
    fn length(&self) -> usize {
        usize::from(self.head_bytes) + self.bytes + usize::from(self.pad_bytes)
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.socket == other.socket && self.to == other.to && self.from == other.from
    }
}

/// A message for sendmmsg: some of what is queued, in the sorted order.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    count: usize,
}

/// Buffers for received datagrams and a queue of those to send; made once per worker.
pub struct Batch {
    /// The slots, then the copies.
    memory: Box<[u8]>,
    incoming: Messages,
    slots_used: usize,
    packets: Vec<Packet>,
    outgoing: Vec<Outgoing>,
    heads: Box<[[u8; HEAD_BYTES_MAX]]>,
    copied: usize,
    /// What is queued by destination: see `sort_key`.
    order: Vec<u64>,
    runs: Vec<Run>,
    sending: Messages,
    joining: Joining,
    queued: usize,
    failed: usize,
}

/// What the kernel's calls take, allocated once.
struct Messages {
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Messages {
    fn new(count: usize, vectors: usize) -> Self {
        // SAFETY: all of these are plain C structures for which zero is a valid value.
        let (name, vector, header) = unsafe { (mem::zeroed::<Name>(), mem::zeroed::<libc::iovec>(), mem::zeroed::<libc::mmsghdr>()) };
        Self {
            names: vec![name; count].into(),
            controls: vec![Control::NONE; count].into(),
            vectors: vec![vector; vectors].into(),
            headers: vec![header; count].into(),
        }
    }

    /// Makes header `index` ready to receive into its vector.
    fn prepare(&mut self, index: usize) {
        let header = &mut self.headers[index].msg_hdr;
        header.msg_namelen = mem::size_of::<Name>() as libc::socklen_t;
        header.msg_controllen = CONTROL_BYTES as _;
        header.msg_flags = 0;
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty batch. The memory of a slot is only used up to the longest datagram that ever lay in it.
    pub fn new() -> Self {
        let mut memory: Box<[u8]> = vec![0; SLOTS * SLOT_BYTES + COPIES_BYTES].into();
        let mut incoming = Messages::new(SLOTS, SLOTS);
        let start = memory.as_mut_ptr();
        for slot in 0..SLOTS {
            let payload = start.wrapping_add(slot * SLOT_BYTES + HEAD_BYTES_MAX);
            incoming.vectors[slot] = libc::iovec { iov_base: payload.cast(), iov_len: PAYLOAD_BYTES_MAX };
            let header = &mut incoming.headers[slot].msg_hdr;
            header.msg_name = (&raw mut incoming.names[slot]).cast();
            header.msg_iov = &raw mut incoming.vectors[slot];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut incoming.controls[slot]).cast();
            incoming.prepare(slot);
        }
        Self {
            memory,
            incoming,
            slots_used: 0,
            packets: Vec::with_capacity(SLOTS * SEGMENTS_MAX),
            outgoing: Vec::with_capacity(OUTGOING_MAX),
            heads: vec![[0; HEAD_BYTES_MAX]; OUTGOING_MAX].into(),
            copied: 0,
            order: Vec::with_capacity(OUTGOING_MAX),
            runs: Vec::with_capacity(OUTGOING_MAX),
            sending: Messages::new(OUTGOING_MAX, OUTGOING_MAX * PIECES),
            joining: Joining::new(),
            queued: 0,
            failed: 0,
        }
    }

    /// Slots that are free.
    pub fn room(&self) -> usize {
        SLOTS - self.slots_used
    }

    /// Receives into up to `count` free slots; returns which datagrams. An empty range when there is nothing to receive.
    ///
    /// # Errors
    /// What the kernel says, other than that there is nothing.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, count: usize) -> io::Result<Range<usize>> {
        let (first, slot) = (self.packets.len(), self.slots_used);
        let count = count.min(SLOTS - slot);
        let headers = self.incoming.headers[slot..slot + count].as_mut_ptr();
        // SAFETY: these headers point to names, vectors and controls of `incoming`, and those to slots of `memory`, which live in boxes of
        // `self` and are of the stated lengths; nothing refers to free slots.
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count as libc::c_uint, libc::MSG_DONTWAIT as _, ptr::null_mut()) };
        if received < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(first..first),
                _ => Err(error),
            };
        }
        for slot in slot..slot + received as usize {
            self.take_apart(slot);
            self.incoming.prepare(slot);
        }
        self.slots_used += received as usize;
        Ok(first..self.packets.len())
    }

    /// Lists what came into a slot: one datagram, or joined ones.
    fn take_apart(&mut self, slot: usize) {
        let header = &self.incoming.headers[slot];
        let told = read_control(&header.msg_hdr);
        let bytes = header.msg_len as usize;
        let is_truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let at = slot * SLOT_BYTES + HEAD_BYTES_MAX;
        let segment = told.segment_bytes.unwrap_or(bytes).max(1);
        let remote = read_name(&self.incoming.names[slot]);
        let mut done = 0;
        loop {
            let payload_bytes = segment.min(bytes - done);
            let is_last = done + payload_bytes == bytes;
            self.packets.push(Packet {
                payload_bytes,
                remote,
                local: told.local,
                is_truncated: is_truncated && is_last,
                at: at + done,
                head_room: if done == 0 { HEAD_BYTES_MAX } else { 0 },
                tail_room: if is_last { TAIL_ROOM } else { 0 },
            });
            done += payload_bytes;
            if is_last {
                return;
            }
        }
    }

    /// A received datagram.
    pub fn packet(&self, index: usize) -> Packet {
        self.packets[index]
    }

    /// Its payload.
    pub fn payload(&self, index: usize) -> &[u8] {
        let packet = &self.packets[index];
        &self.memory[packet.at..packet.at + packet.payload_bytes]
    }

    /// Queues `range` of a received datagram's payload, with `head` before it and zeros after it. The payload stays where it lies; header
    /// and zeros are written beside it where nothing but this datagram's own bytes can be, so it must not be read afterwards.
    pub fn queue_packet(&mut self, destination: Destination<'_>, index: usize, range: Range<usize>, head: &[u8], pad_bytes: usize) {
        let packet = self.packets[index];
        let (start, end) = (packet.at + range.start, packet.at + range.end);
        let has_room = head.len() <= packet.head_room + range.start && pad_bytes <= packet.tail_room + packet.payload_bytes - range.end;
        if has_room {
            let at = start - head.len();
            self.memory[at..start].copy_from_slice(head);
            self.memory[end..end + pad_bytes].fill(0);
            return self.queue(destination, at, end + pad_bytes - at, &[], 0);
        }
        self.queue(destination, start, end - start, head, pad_bytes);
    }

    /// Queues a copy of what lies elsewhere.
    pub fn queue_copy(&mut self, destination: Destination<'_>, head: &[u8], payload: &[u8], pad_bytes: usize) {
        let bytes = head.len() + payload.len() + pad_bytes;
        if bytes > COPIES_BYTES {
            self.failed += 1;
            return;
        }
        if self.copied + bytes > COPIES_BYTES {
            self.send_queued();
        }
        let at = SLOTS * SLOT_BYTES + self.copied;
        let (head_end, payload_end) = (at + head.len(), at + head.len() + payload.len());
        self.memory[at..head_end].copy_from_slice(head);
        self.memory[head_end..payload_end].copy_from_slice(payload);
        self.memory[payload_end..at + bytes].fill(0);
        self.copied += bytes;
        self.queue(destination, at, bytes, &[], 0);
    }

    fn queue(&mut self, destination: Destination<'_>, at: usize, bytes: usize, head: &[u8], pad_bytes: usize) {
        debug_assert!(self.outgoing.len() < OUTGOING_MAX, "what is full was sent");
        self.heads[self.outgoing.len()][..head.len()].copy_from_slice(head);
        self.outgoing.push(Outgoing {
            socket: destination.socket.as_raw_fd(),
            to: destination.to,
            from: destination.from,
            head_bytes: head.len() as u8,
            pad_bytes: pad_bytes as u8,
            at,
            bytes,
        });
        self.queued += 1;
        if self.outgoing.len() == OUTGOING_MAX {
            self.send_queued();
        }
    }

    /// Runs of joined datagrams (GSO) that the kernel or a device refused, so that each was sent on its own.
    pub fn refusals(&self) -> u64 {
        self.joining.refusals
    }

    /// Whether datagrams are joined at all.
    pub fn is_joining(&self) -> bool {
        self.joining.is_possible
    }

    /// To be called every second or so: what was refused is tried again after some minutes.
    pub fn handle_time(&mut self, now: Instant) {
        self.joining.handle_time(now);
    }

    /// How many datagrams were queued since the last `flush`.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Sends what is queued and frees all slots. Packets to one destination from one socket keep their order. Returns how many datagrams
    /// the kernel did not take since the last time.
    pub fn flush(&mut self) -> usize {
        self.send_queued();
        self.packets.clear();
        (self.slots_used, self.queued) = (0, 0);
        mem::take(&mut self.failed)
    }

    fn send_queued(&mut self) {
        if self.outgoing.is_empty() {
            return;
        }
        self.order.clear();
        self.order.extend(self.outgoing.iter().enumerate().map(|(place, outgoing)| sort_key(outgoing, place)));
        // In place: a stable sort would allocate, and the keys hold the places.
        if !self.order.is_sorted() {
            self.order.sort_unstable();
        }
        self.runs.clear();
        let (mut first, mut vectors) = (0, 0);
        while first < self.order.len() {
            let count = self.run_from(first);
            vectors += self.write_message(Run { first, count }, vectors);
            first += count;
        }
        let mut at = 0;
        while at < self.runs.len() {
            let socket = self.at_place(self.runs[at].first).socket;
            let end = at + self.runs[at..].iter().take_while(|run| self.at_place(run.first).socket == socket).count();
            self.send_messages(socket, at..end);
            at = end;
        }
        self.outgoing.clear();
        self.copied = 0;
    }

    /// What stands at a place of the sorted order.
    fn at_place(&self, place: usize) -> &Outgoing {
        &self.outgoing[self.order[place] as usize & (OUTGOING_MAX - 1)]
    }

    /// How many of those at and after `first` go in one message: equally long ones to one destination, the last one may be shorter.
    fn run_from(&self, first: usize) -> usize {
        let head = self.at_place(first);
        let segment = head.length();
        let alike = |place: usize| place < self.order.len() && self.at_place(place).goes_with(head);
        if segment == 0 || !alike(first + 1) || segment > self.joining.segment_bytes_max(head.to) {
            return 1;
        }
        let (mut count, mut bytes) = (1, segment);
        while count < SEGMENTS_MAX && alike(first + count) {
            let next = self.at_place(first + count).length();
            if next == 0 || next > segment || bytes + next > RUN_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += next;
            if next < segment {
                break;
            }
        }
        count
    }

    /// Writes the next message, with its vectors from `vectors` on; returns how many vectors it takes.
    fn write_message(&mut self, run: Run, vectors: usize) -> usize {
        let mut used = 0usize;
        for place in run.first..run.first + run.count {
            for piece in self.pieces(self.order[place] as usize & (OUTGOING_MAX - 1)).into_iter().filter(|piece| piece.iov_len > 0) {
                let before = used.checked_sub(1).map(|last| &mut self.sending.vectors[vectors + last]);
                match before {
                    // Joined datagrams often lie side by side.
                    Some(before) if before.iov_base.wrapping_byte_add(before.iov_len) == piece.iov_base => before.iov_len += piece.iov_len,
                    _ => {
                        self.sending.vectors[vectors + used] = piece;
                        used += 1;
                    }
                }
            }
        }
        let message = self.runs.len();
        let head = *self.at_place(run.first);
        let name_bytes = write_name(&mut self.sending.names[message], head.to);
        let segment_bytes = (run.count > 1).then_some(head.length() as u16);
        let control_bytes = write_control(&mut self.sending.controls[message], head.from, segment_bytes);
        let header = &mut self.sending.headers[message].msg_hdr;
        header.msg_name = (&raw mut self.sending.names[message]).cast();
        header.msg_namelen = name_bytes;
        header.msg_iov = self.sending.vectors.as_mut_ptr().wrapping_add(vectors);
        header.msg_iovlen = used as _;
        header.msg_flags = 0;
        header.msg_control = if control_bytes == 0 { ptr::null_mut() } else { (&raw mut self.sending.controls[message]).cast() };
        header.msg_controllen = control_bytes as _;
        self.runs.push(run);
        used
    }

    /// Header, payload and padding of a queued datagram. sendmmsg only reads, though its vectors are mutable.
    fn pieces(&self, index: usize) -> [libc::iovec; PIECES] {
        let outgoing = &self.outgoing[index];
        let vector = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        [
            vector(&self.heads[index][..usize::from(outgoing.head_bytes)]),
            vector(&self.memory[outgoing.at..outgoing.at + outgoing.bytes]),
            vector(&ZEROS[..usize::from(outgoing.pad_bytes)]),
        ]
    }

    /// Sends some messages of one socket.
    fn send_messages(&mut self, socket: RawFd, range: Range<usize>) {
        let (mut at, end, mut is_second) = (range.start, range.end, false);
        while at < end {
            let headers = self.sending.headers[at..end].as_mut_ptr();
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: these headers point to names, vectors and controls of `sending`, and the vectors to `memory`, `heads` and `ZEROS`;
            // none of them changes before the call returns.
            let sent = unsafe { libc::sendmmsg(socket, headers, (end - at) as libc::c_uint, flags as _) };
            if sent > 0 {
                if self.runs[at..at + sent as usize].iter().any(|run| run.count > 1) {
                    self.joining.accepted();
                }
                at += sent as usize;
                is_second = false;
                continue;
            }
            let error = io::Error::last_os_error();
            match (error.kind(), error.raw_os_error()) {
                (io::ErrorKind::Interrupted, _) => {}
                // The socket's buffer is full: what cannot go now is late.
                (io::ErrorKind::WouldBlock, _) => {
                    self.failed += self.runs[at..end].iter().map(|run| run.count).sum::<usize>();
                    return;
                }
                // What an earlier datagram met on its way (ICMP) is told once, in place of sending this one.
                _ if !is_second => is_second = true,
                // Joined ones are refused where one alone is not: too long for the path, no checksums in the device.
                (_, Some(code @ (libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP))) if self.runs[at].count > 1 => {
                    self.send_apart(socket, self.runs[at], code);
                    (at, is_second) = (at + 1, false);
                }
                // This one has no route, or is too long.
                _ => {
                    self.failed += self.runs[at].count;
                    (at, is_second) = (at + 1, false);
                }
            }
        }
    }

    /// Sends one by one what the kernel refused with `code` when it was joined.
    fn send_apart(&mut self, socket: RawFd, run: Run, code: libc::c_int) {
        let mut sent = 0;
        for place in run.first..run.first + run.count {
            let index = self.order[place] as usize & (OUTGOING_MAX - 1);
            let outgoing = self.outgoing[index];
            let mut vectors = self.pieces(index);
            // SAFETY: plain C structures for which zero is a valid value.
            let (mut name, mut header) = unsafe { (mem::zeroed::<Name>(), mem::zeroed::<libc::msghdr>()) };
            let mut control = Control::NONE;
            header.msg_namelen = write_name(&mut name, outgoing.to);
            header.msg_name = (&raw mut name).cast();
            header.msg_iov = vectors.as_mut_ptr();
            header.msg_iovlen = PIECES as _;
            header.msg_controllen = write_control(&mut control, outgoing.from, None) as _;
            header.msg_control = if outgoing.from.is_some() { (&raw mut control).cast() } else { ptr::null_mut() };
            // SAFETY: all that the header points to lives until the call returns.
            let result = unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
            sent += usize::from(result >= 0);
        }
        self.failed += run.count - sent;
        if sent > 0 {
            let head = *self.at_place(run.first);
            self.joining.refused(head.to, head.length(), code);
        }
    }
}

/// By socket, then by destination, then by place in the queue: equal destinations stand together, in the order in which they were queued.
/// Destinations are told apart by a hash: where two have the same, runs are shorter, no more.
fn sort_key(outgoing: &Outgoing, place: usize) -> u64 {
    const { assert!(OUTGOING_MAX.is_power_of_two() && OUTGOING_MAX <= 1 << 12) };
    let hash = mix(outgoing.to, outgoing.from) >> (64 - 28);
    (outgoing.socket as u64 & 0xFF_FFFF) << 40 | hash << 12 | place as u64
}

fn mix(to: Endpoint, from: Option<Ip>) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let from = from.map_or(0, |from| from.words().1);
    let words = to.ip.words();
    (words.1 ^ words.0.rotate_left(17) ^ u64::from(to.port).rotate_left(40) ^ from.rotate_left(29)).wrapping_mul(FACTOR)
}

/// Where datagrams can be sent joined, and how long each may be. What was refused is not tried again for `RETRY`, or until another
/// destination takes its place.
struct Joining {
    /// The kernel can do it at all.
    is_known: bool,
    /// It is done: the kernel can, and devices do not refuse it.
    is_possible: bool,
    /// Destinations whose devices refused since anything joined went out, each once.
    refusing: Vec<Endpoint>,
    /// Destinations, and the longest datagram that may be joined for them.
    limits: Box<[Option<(Endpoint, usize)>]>,
    /// There are limits; since when, as far as was looked.
    is_limited: bool,
    limited_since: Option<Instant>,
    /// Runs that were refused.
    refusals: u64,
}

const LIMITS: usize = 256;
/// After refusals by devices towards so many destinations without a success no more is tried.
const DEVICE_REFUSALS_MAX: usize = 8;
/// How long what was refused is not tried again: routes change.
const RETRY: Duration = Duration::from_secs(300);

/// All workers send through the same devices: one word about them is enough.
static TOLD: Once = Once::new();

impl Joining {
    fn new() -> Self {
        // An old kernel would not refuse, but send one long datagram.
        let is_known = UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).is_ok_and(|socket| can_send_joined(socket.as_fd()));
        Self {
            is_known,
            is_possible: is_known,
            refusing: Vec::with_capacity(DEVICE_REFUSALS_MAX),
            limits: vec![None; LIMITS].into(),
            is_limited: false,
            limited_since: None,
            refusals: 0,
        }
    }

    fn segment_bytes_max(&self, to: Endpoint) -> usize {
        match self.limits[Self::place(to)] {
            _ if !self.is_possible => 0,
            Some((known, bytes)) if known == to => bytes,
            _ => usize::from(u16::MAX),
        }
    }

    fn accepted(&mut self) {
        self.refusing.clear();
    }

    /// Joined datagrams of this many bytes were refused where single ones went.
    fn refused(&mut self, to: Endpoint, segment_bytes: usize, code: libc::c_int) {
        let is_device = code == libc::EIO || code == libc::EOPNOTSUPP;
        self.limits[Self::place(to)] = Some((to, if is_device { 0 } else { segment_bytes - 1 }));
        self.is_limited = true;
        self.refusals += 1;
        if is_device && self.is_possible && !self.refusing.contains(&to) {
            self.refusing.push(to);
            if self.refusing.len() == DEVICE_REFUSALS_MAX {
                self.is_possible = false;
                let error = io::Error::from_raw_os_error(code);
                TOLD.call_once(|| {
                    tracing::warn!(%error, retry_s = RETRY.as_secs(), "devices refuse joined datagrams (GSO): each is sent on its own, at more cost");
                });
            }
        }
    }

    /// To be called now and then: forgets what was refused long ago.
    fn handle_time(&mut self, now: Instant) {
        if !self.is_limited {
            return;
        }
        let since = *self.limited_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= RETRY {
            self.limits.fill(None);
            self.refusing.clear();
            self.is_possible = self.is_known;
            (self.is_limited, self.limited_since) = (false, None);
        }
    }

    fn place(to: Endpoint) -> usize {
        mix(to, None) as usize >> 32 & (LIMITS - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

    use super::super::system::{receive_joined, tell_local_address};
    use super::*;

    fn socket(address: &str) -> (UdpSocket, Endpoint) {
        let socket = UdpSocket::bind(address).unwrap();
        let local = socket.local_addr().unwrap();
        (socket, local.into())
    }

    fn destination(socket: &UdpSocket, to: Endpoint) -> Destination<'_> {
        Destination { socket: socket.as_fd(), to, from: None }
    }

    /// All that a socket has received.
    fn received_from(socket: &UdpSocket) -> Vec<(Endpoint, Vec<u8>)> {
        socket.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; 65_536];
        let mut next = || socket.recv_from(&mut bytes).ok().map(|(length, from)| (from.into(), bytes[..length].to_vec()));
        std::iter::from_fn(&mut next).collect()
    }

    fn received(socket: &UdpSocket) -> Vec<Vec<u8>> {
        received_from(socket).into_iter().map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn datagrams_go_out_and_come_in_whole_and_in_order() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((sender, from), (receiver, to)) = (socket(address), socket(address));
            tell_local_address(receiver.as_fd(), to.ip.is_ipv4()).unwrap();
            let mut batch = Batch::new();
            for number in 0..50u8 {
                let destination = Destination { from: Some(from.ip), ..destination(&sender, to) };
                batch.queue_copy(destination, &[], &vec![number; usize::from(number)], 0);
            }
            assert_eq!(batch.flush(), 0);
            let packets = batch.receive(receiver.as_fd(), SLOTS).unwrap();
            assert_eq!(packets, 0..50);
            for index in packets {
                let packet = batch.packet(index);
                assert_eq!((packet.remote, packet.local, packet.is_truncated), (from, Some(to.ip), false));
                assert_eq!(batch.payload(index), vec![index as u8; index]);
            }
            assert!(batch.receive(receiver.as_fd(), SLOTS).unwrap().is_empty());
        }
    }

    /// A link-local address of this host, with its link; none where there is none.
    fn link_local() -> Option<SocketAddr> {
        let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
        table.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let ip = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
            let link = u32::from_str_radix(words.next()?, 16).ok()?;
            ip.is_unicast_link_local().then(|| SocketAddrV6::new(ip, 0, 0, link).into())
        })
    }

    #[test]
    fn rfc4007_s9_who_comes_over_a_link_is_answered_over_it() {
        let Some(local) = link_local() else { return };
        let (client, server) = (UdpSocket::bind(local).unwrap(), UdpSocket::bind("[::]:0").unwrap());
        tell_local_address(server.as_fd(), false).unwrap();
        let mut to = local;
        to.set_port(server.local_addr().unwrap().port());
        client.send_to(b"request", to).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(server.as_fd(), SLOTS).unwrap(), 0..1);
        let Packet { remote, local: came_to, .. } = batch.packet(0);
        assert_eq!(SocketAddr::from(remote), client.local_addr().unwrap());
        assert_eq!(came_to, Some(Endpoint::from(to).ip));
        for from in [None, came_to] {
            batch.queue_copy(Destination { socket: server.as_fd(), to: remote, from }, &[], b"response", 0);
            assert_eq!(batch.flush(), 0);
            assert_eq!(received_from(&client), [(to.into(), b"response".to_vec())]);
        }
    }

    #[test]
    fn runs_to_many_destinations_arrive_as_they_were_queued() {
        let senders = [socket("127.0.0.1:0"), socket("127.0.0.1:0")];
        let sinks: Vec<_> = (0..5).map(|_| socket("127.0.0.1:0")).collect();
        let mut expected = HashMap::new();
        let mut batch = Batch::new();
        // Lengths that make runs, end them, and begin new ones; more of them than the queue holds.
        for number in 0..700u32 {
            let (sender, sink) = ((number % 50 > 44) as usize, (number * 7 % 11) as usize % sinks.len());
            let length = [100, 100, 100, 60, 100, 0, 1_200, 1_200][(number / 11) as usize % 8];
            let bytes: Vec<u8> = (0..length).map(|at| (at + number) as u8).collect();
            batch.queue_copy(destination(&senders[sender].0, sinks[sink].1), &[], &bytes, 0);
            expected.entry((sender, sink)).or_insert_with(Vec::new).push(bytes);
            // The receivers' buffers are small.
            if number % 100 < 99 {
                continue;
            }
            assert_eq!(batch.flush(), 0);
            let mut arrived = HashMap::new();
            for (number, (sink, _)) in sinks.iter().enumerate() {
                for (from, bytes) in received_from(sink) {
                    let sender = usize::from(from == senders[1].1);
                    arrived.entry((sender, number)).or_insert_with(Vec::new).push(bytes);
                }
            }
            assert!(arrived == mem::take(&mut expected), "up to {number}");
        }
    }

    #[test]
    fn runs_from_one_of_several_addresses_leave_and_arrive_joined() {
        for (any, address) in [("0.0.0.0:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")] {
            let ((sender, from), (receiver, to)) = (socket(any), socket(address));
            tell_local_address(receiver.as_fd(), to.ip.is_ipv4()).unwrap();
            receive_joined(receiver.as_fd()).unwrap();
            let mut batch = Batch::new();
            // More than one run holds.
            for number in 0..100u8 {
                let destination = Destination { from: Some(to.ip), ..destination(&sender, to) };
                batch.queue_copy(destination, &[], &[number; 200], 0);
            }
            assert_eq!((batch.queued(), batch.flush()), (100, 0));
            let packets = batch.receive(receiver.as_fd(), SLOTS).unwrap();
            assert_eq!(packets, 0..100);
            for index in packets {
                let packet = batch.packet(index);
                assert_eq!((packet.remote, packet.local), (Endpoint { ip: to.ip, port: from.port }, Some(to.ip)));
                assert_eq!(batch.payload(index), [index as u8; 200]);
            }
            assert!(!batch.joining.is_possible || batch.room() == SLOTS - 2);
        }
    }

    #[test]
    fn what_comes_joined_is_taken_apart_and_passed_on_with_headers() {
        let ((sender, _), (middle, via), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        receive_joined(middle.as_fd()).unwrap();
        let mut batch = Batch::new();
        let sent: Vec<Vec<u8>> = (0..10u8).map(|number| vec![number; if number == 9 { 30 } else { 90 }]).collect();
        sent.iter().for_each(|bytes| batch.queue_copy(destination(&sender, via), &[], bytes, 0));
        assert_eq!(batch.flush(), 0);
        let packets = batch.receive(middle.as_fd(), SLOTS).unwrap();
        assert_eq!(packets.len(), 10);
        assert!(!batch.joining.is_possible || batch.room() == SLOTS - 1, "they came in one slot");
        for index in packets {
            assert_eq!(batch.payload(index), sent[index]);
            // A header that fits into what is dropped, and one that does not.
            let (drop, head): (usize, &[u8]) = if index % 2 == 0 { (4, b"head") } else { (4, b"a longer header") };
            batch.queue_packet(destination(&middle, to), index, drop..sent[index].len() - 1, head, 3);
        }
        assert_eq!(batch.flush(), 0);
        let expected: Vec<_> = sent
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let head: &[u8] = if index % 2 == 0 { b"head" } else { b"a longer header" };
                [head, &bytes[4..bytes.len() - 1], &[0; 3]].concat()
            })
            .collect();
        assert_eq!(received(&receiver), expected);
    }

    #[test]
    fn joined_datagrams_longer_than_the_path_takes_go_one_by_one() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let mut batch = Batch::new();
        // What a path of a small MTU refuses, told by hand: loopback takes everything.
        batch.joining.refused(to, 1_000, libc::EINVAL);
        for length in [1_000, 1_000, 999, 999] {
            batch.queue_copy(destination(&sender, to), &[], &vec![1; length], 0);
        }
        assert_eq!(batch.flush(), 0);
        assert_eq!(
            batch.runs.iter().map(|run| run.count).collect::<Vec<_>>(),
            if batch.joining.is_possible { [1, 1, 2].to_vec() } else { vec![1; 4] }
        );
        assert_eq!(received(&receiver).len(), 4);
    }

    #[test]
    fn devices_that_refuse_joined_datagrams_are_asked_again_after_some_minutes() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let to = |host: u8| Endpoint::from(SocketAddr::from(([192, 0, 2, host], 9)));
        let mut joining = Joining { is_known: true, is_possible: true, ..Joining::new() };
        // One destination is one refusal, however often it is asked; and what goes out elsewhere shows that others are well.
        for _ in 0..100 {
            joining.refused(to(0), 1_000, libc::EIO);
        }
        (1..DEVICE_REFUSALS_MAX as u8 - 1).for_each(|host| joining.refused(to(host), 1_000, libc::EIO));
        assert!(joining.is_possible && joining.segment_bytes_max(to(0)) == 0 && joining.segment_bytes_max(to(200)) > 1_000);
        joining.accepted();
        (0..DEVICE_REFUSALS_MAX as u8 - 1).for_each(|host| joining.refused(to(host), 1_000, libc::EOPNOTSUPP));
        assert!(joining.is_possible);
        joining.refused(to(99), 1_000, libc::EIO);
        assert!(!joining.is_possible && joining.segment_bytes_max(to(200)) == 0);
        joining.handle_time(now);
        joining.handle_time(at(299));
        assert!(!joining.is_possible);
        joining.handle_time(at(300));
        assert!(joining.is_possible && joining.segment_bytes_max(to(0)) > 1_000);
        // A kernel that cannot is not asked at all.
        let mut joining = Joining { is_known: false, is_possible: false, is_limited: true, ..Joining::new() };
        joining.handle_time(now);
        joining.handle_time(at(300));
        assert!(!joining.is_possible);
        assert_eq!(joining.refusals, 0);
    }

    #[test]
    fn a_refused_run_is_sent_apart() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let mut batch = Batch::new();
        for number in 0..2u8 {
            batch.queue_copy(destination(&sender, to), &[], &[number; 100], 0);
        }
        batch.order.extend([sort_key(&batch.outgoing[0], 0), sort_key(&batch.outgoing[1], 1)]);
        batch.send_apart(sender.as_raw_fd(), Run { first: 0, count: 2 }, libc::EINVAL);
        batch.outgoing.clear();
        assert_eq!(batch.flush(), 0);
        assert_eq!(received(&receiver), [[0; 100], [1; 100]]);
        assert!(batch.joining.segment_bytes_max(to) < 100 && batch.refusals() == 1);
    }

    #[test]
    fn a_slot_is_sent_with_a_header_before_it() {
        let ((sender, _), (middle, via), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        sender.send_to(b"payload", SocketAddr::from(via)).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(middle.as_fd(), 1).unwrap(), 0..1);
        batch.queue_packet(destination(&middle, to), 0, 0..7, b"head", 1);
        assert_eq!(batch.flush(), 0);
        assert_eq!(received(&receiver), [b"headpayload\0"]);
        assert_eq!(batch.room(), SLOTS);
    }

    #[test]
    fn what_cannot_be_sent_does_not_keep_back_the_rest() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let nowhere = Endpoint { ip: to.ip, port: 0 };
        let mut batch = Batch::new();
        for number in 0..6u8 {
            batch.queue_copy(destination(&sender, if number % 2 == 0 { to } else { nowhere }), &[], &[number], 0);
        }
        batch.queue_copy(destination(&sender, to), &[], &vec![0; 65_508], 0);
        assert_eq!(batch.flush(), 4);
        assert!(batch.joining.segment_bytes_max(nowhere) > 0, "no fault of the joining");
        assert_eq!(batch.receive(receiver.as_fd(), SLOTS).unwrap(), 0..3);
    }

    #[test]
    fn the_longest_datagram_fits_a_slot_with_header_and_padding() {
        let ((sender, _), (receiver, to)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        sender.send_to(&vec![7; PAYLOAD_BYTES_MAX], SocketAddr::from(to)).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(receiver.as_fd(), 1).unwrap(), 0..1);
        assert_eq!(batch.packet(0).payload_bytes, PAYLOAD_BYTES_MAX);
        assert!(!batch.packet(0).is_truncated);
        batch.queue_packet(destination(&receiver, to), 0, 0..PAYLOAD_BYTES_MAX, &[1; HEAD_BYTES_MAX], TAIL_ROOM);
        assert_eq!(batch.flush(), 1, "too long now");
    }
}
