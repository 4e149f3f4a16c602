//! A ring of bytes between two threads, one of which writes and one reads: packets from a relayed address of one worker to that of another.
//!
//! Bounded and allocated once. What is written is seen by the reader when `publish` is called, and room is free again when `release` is:
//! once per batch each, so that the threads seldom want the same memory.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::endpoint::Endpoint;

/// Records begin at multiples of this.
const ALIGN: usize = 16;
/// Bytes of a record before its payload.
const HEAD_BYTES: usize = std::mem::size_of::<Head>().next_multiple_of(ALIGN);
/// The payload length that says: nothing more until the end of the memory.
const SKIP: usize = usize::MAX;

#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    payload_bytes: usize,
    to: Endpoint,
    source: Endpoint,
}

/// A packet on its way from one relayed address of ours to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing<'a> {
    /// Where it goes, in the bound form.
    pub to: Endpoint,
    /// Where it comes from, in the bound form.
    pub source: Endpoint,
    /// What is in it.
    pub payload: &'a [u8],
}

/// A count that has a cache line of its own.
#[repr(align(128))]
struct Position(AtomicUsize);

struct Shared {
    memory: *mut u8,
    bytes: usize,
    /// Bytes ever published, and ever released.
    published: Position,
    released: Position,
}

// SAFETY: `memory` is owned by this structure; which of both sides may touch which part of it is settled by `published` and `released`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it came from a box of this length in `ring`, and both sides are gone.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(self.memory.cast::<Block>(), self.bytes / ALIGN)) });
    }
}

#[derive(Clone, Copy)]
#[repr(align(16))]
struct Block(#[expect(dead_code, reason = "read through pointers")] [u8; ALIGN]);

/// The side that writes.
pub struct Producer {
    shared: Arc<Shared>,
    written: usize,
    published: usize,
    /// What the other side had released when last looked at.
    released: usize,
    alone: PhantomData<std::cell::Cell<()>>,
}

/// The side that reads.
pub struct Consumer {
    shared: Arc<Shared>,
    read: usize,
    released: usize,
    /// What the other side had published when last looked at.
    published: usize,
    alone: PhantomData<std::cell::Cell<()>>,
}

/// A ring of `bytes`, a power of two. Its memory is used only as far as it is written.
pub fn ring(bytes: usize) -> (Producer, Consumer) {
    assert!(bytes.is_power_of_two() && bytes >= 2 * HEAD_BYTES, "positions wrap with the memory");
    let memory: Box<[Block]> = vec![Block([0; ALIGN]); bytes / ALIGN].into();
    let position = || Position(AtomicUsize::new(0));
    let shared = Arc::new(Shared { memory: Box::into_raw(memory).cast(), bytes, published: position(), released: position() });
    let alone = PhantomData;
    let producer = Producer { shared: shared.clone(), written: 0, published: 0, released: 0, alone };
    (producer, Consumer { shared, read: 0, released: 0, published: 0, alone })
}

impl Producer {
    /// Writes a packet; false when there is no room.
    pub fn push(&mut self, to: Endpoint, source: Endpoint, payload: &[u8]) -> bool {
        let size = (HEAD_BYTES + payload.len()).next_multiple_of(ALIGN);
        let bytes = self.shared.bytes;
        let at = self.written & (bytes - 1);
        // A record is in one piece.
        let skipped = if at + size > bytes { bytes - at } else { 0 };
        if !self.has_room(skipped + size) {
            return false;
        }
        if skipped > 0 {
            let head = Head { payload_bytes: SKIP, to, source };
            self.write(at, head, &[], skipped);
        }
        let at = self.written & (bytes - 1);
        self.write(at, Head { payload_bytes: payload.len(), to, source }, payload, size);
        true
    }

    fn has_room(&mut self, size: usize) -> bool {
        let is_free = |released: usize| self.written.wrapping_sub(released) + size <= self.shared.bytes;
        if is_free(self.released) {
            return true;
        }
        let released = self.shared.released.0.load(Ordering::Acquire);
        let has_room = is_free(released);
        self.released = released;
        has_room
    }

    fn write(&mut self, at: usize, head: Head, payload: &[u8], size: usize) {
        debug_assert!(at + HEAD_BYTES.min(size) <= self.shared.bytes && at.is_multiple_of(ALIGN), "records are aligned and in one piece");
        // SAFETY: `at` and what follows it up to `size` lies in the memory and was released by the reader, which will not look at it before
        // it is published. A skipped rest may be shorter than a head; then only its first field, which fits into `ALIGN`, is written.
        unsafe {
            let start = self.shared.memory.add(at);
            if size < HEAD_BYTES {
                start.cast::<usize>().write(head.payload_bytes);
            } else {
                start.cast::<Head>().write(head);
                ptr::copy_nonoverlapping(payload.as_ptr(), start.add(HEAD_BYTES), payload.len());
            }
        }
        self.written = self.written.wrapping_add(size);
    }

    /// Shows the reader what was written; returns whether there is anything new.
    pub fn publish(&mut self) -> bool {
        let is_new = self.written != self.published;
        if is_new {
            self.shared.published.0.store(self.written, Ordering::Release);
            self.published = self.written;
        }
        is_new
    }
}

impl Consumer {
    /// Whether there is something to read.
    pub fn has_news(&self) -> bool {
        self.shared.published.0.load(Ordering::Acquire) != self.read
    }

    /// The next packet.
    pub fn read(&mut self) -> Option<Crossing<'_>> {
        loop {
            if self.read == self.published {
                self.published = self.shared.published.0.load(Ordering::Acquire);
                if self.read == self.published {
                    return None;
                }
            }
            let at = self.read & (self.shared.bytes - 1);
            // SAFETY: a published record begins at `at`, with its first field at least.
            let payload_bytes = unsafe { self.shared.memory.add(at).cast::<usize>().read() };
            if payload_bytes == SKIP {
                self.read = self.read.wrapping_add(self.shared.bytes - at);
                continue;
            }
            self.read = self.read.wrapping_add((HEAD_BYTES + payload_bytes).next_multiple_of(ALIGN));
            // SAFETY: all of the record is published, and the writer leaves it alone until it is released, for which `self` must be
            // borrowed again.
            return Some(unsafe {
                let head = self.shared.memory.add(at).cast::<Head>().read();
                let payload = std::slice::from_raw_parts(self.shared.memory.add(at + HEAD_BYTES), payload_bytes);
                Crossing { to: head.to, source: head.source, payload }
            });
        }
    }

    /// Gives the room of all that was read back.
    pub fn release(&mut self) {
        if self.read != self.released {
            self.shared.released.0.store(self.read, Ordering::Release);
            self.released = self.read;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    #[test]
    fn a_full_ring_takes_no_more_until_room_is_given_back() {
        let (mut producer, mut consumer) = ring(1_024);
        let mut push = |count: usize| (0..count).take_while(|_| producer.push(endpoint(1), endpoint(2), &[7; 100])).count();
        let held = push(100);
        assert!((4..10).contains(&held));
        assert!(consumer.read().is_none() && !consumer.has_news(), "not published");
        assert_eq!(push(1), 0);
        assert!(producer.publish() && !producer.publish());
        assert!(consumer.has_news());
        let mut read = 0;
        while let Some(crossing) = consumer.read() {
            assert_eq!(crossing, Crossing { to: endpoint(1), source: endpoint(2), payload: &[7; 100] });
            read += 1;
        }
        assert_eq!(read, held);
        assert!(!producer.push(endpoint(1), endpoint(2), &[7; 100]), "not released");
        consumer.release();
        assert!(producer.push(endpoint(1), endpoint(2), &[7; 100]));
        assert!(!producer.push(endpoint(1), endpoint(2), &[7; 2_000]), "longer than the ring");
    }

    proptest! {
        /// Whatever is written in whatever portions, the other side reads the same, in order.
        #[test]
        fn what_is_written_is_read(sizes in proptest::collection::vec((0..400usize, any::<bool>(), any::<bool>()), 1..200)) {
            let (mut producer, mut consumer) = ring(2_048);
            let mut under_way = std::collections::VecDeque::new();
            for (number, (size, publish, read)) in sizes.into_iter().enumerate() {
                let payload: Vec<u8> = (0..size).map(|at| (at ^ number) as u8).collect();
                let (to, source) = (endpoint(number as u16), endpoint(size as u16));
                if producer.push(to, source, &payload) {
                    under_way.push_back((to, source, payload));
                }
                if publish {
                    producer.publish();
                }
                if read {
                    while let Some(crossing) = consumer.read() {
                        let (to, source, payload) = under_way.pop_front().unwrap();
                        prop_assert_eq!(crossing, Crossing { to, source, payload: &payload });
                    }
                    consumer.release();
                    if publish {
                        prop_assert!(under_way.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn two_threads_pass_everything_in_order() {
        const PACKETS: usize = 20_000;
        let (mut producer, mut consumer) = ring(4_096);
        let writer = std::thread::spawn(move || {
            for number in 0..PACKETS {
                let payload = vec![number as u8; number % 300];
                while !producer.push(endpoint(number as u16), endpoint(1), &payload) {
                    producer.publish();
                    std::thread::yield_now();
                }
                if number % 5 == 0 {
                    producer.publish();
                }
            }
            producer.publish();
        });
        let mut number = 0;
        while number < PACKETS {
            while let Some(crossing) = consumer.read() {
                assert_eq!(crossing.to, endpoint(number as u16));
                assert!(crossing.payload.len() == number % 300 && crossing.payload.iter().all(|byte| *byte == number as u8));
                number += 1;
            }
            consumer.release();
            std::thread::yield_now();
        }
        writer.join().unwrap();
    }
}
