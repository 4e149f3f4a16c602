//! Loss and jitter of RTP streams as they pass: RFC 3550 A.1 (sequence numbers), A.3 (loss), A.8 (jitter).
//!
//! SRTP leaves the header in the clear, so this works for encrypted media. The clock rate is not in the header: it is found by
//! comparing timestamps with arrival times over half a second.

use std::time::{Duration, Instant};

use super::report::{Direction, StreamQuality};

/// Streams watched per direction of an allocation: more than audio and a few video layers with retransmission need.
const STREAMS_MAX: usize = 16;
/// A stream silent for this long makes room for a new one.
const SILENT: Duration = Duration::from_secs(10);
/// Clock rates of RTP payloads in use (RFC 3551, Opus, video).
const CLOCKS_HZ: [u32; 7] = [8_000, 16_000, 24_000, 32_000, 44_100, 48_000, 90_000];
const CLOCK_WINDOW: Duration = Duration::from_millis(500);

const RTP_HEADER_BYTES: usize = 12;
const MIN_SEQUENTIAL: u8 = 2;
const MAX_DROPOUT: u16 = 3_000;
const MAX_MISORDER: u16 = 100;
const SEQUENCE_MODULUS: u32 = 1 << 16;

/// The meters of one allocation, both directions.
#[derive(Debug, Default)]
pub struct Meters {
    streams: Vec<Meter>,
}

impl Meters {
    /// Takes note of a payload that passed; nothing happens if it is no RTP.
    pub fn observe(&mut self, direction: Direction, payload: &[u8], now: Instant) {
        let Some(header) = Header::read(payload) else { return };
        if let Some(meter) = self.streams.iter_mut().find(|meter| meter.ssrc == header.ssrc && meter.direction == direction) {
            meter.update(header, payload.len(), now);
            return;
        }
        let mut ours = self.streams.iter_mut().filter(|meter| meter.direction == direction);
        if ours.by_ref().count() < STREAMS_MAX {
            self.streams.push(Meter::new(direction, header, payload.len(), now));
        } else if let Some(silent) =
            self.streams.iter_mut().find(|meter| meter.direction == direction && now.duration_since(meter.last_at) > SILENT)
        {
            *silent = Meter::new(direction, header, payload.len(), now);
        }
    }

    /// What is known of each stream that proved to be one.
    pub fn report(&self) -> impl Iterator<Item = StreamQuality> + '_ {
        self.streams.iter().filter(|meter| meter.probation == 0).map(Meter::report)
    }
}

#[derive(Clone, Copy)]
struct Header {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Header {
    /// RFC 7983: 128 to 191 is RTP or RTCP; RFC 5761 §4: 192 to 223 in the second octet is RTCP.
    fn read(payload: &[u8]) -> Option<Self> {
        let header = payload.first_chunk::<RTP_HEADER_BYTES>()?;
        if header[0] & 0xC0 != 0x80 || (192..=223).contains(&header[1]) {
            return None;
        }
        Some(Self {
            payload_type: header[1] & 0x7F,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        })
    }
}

/// One stream. The names follow RFC 3550's `source`.
#[derive(Debug)]
struct Meter {
    direction: Direction,
    ssrc: u32,
    payload_type: u8,
    max_seq: u16,
    cycles: u32,
    base_seq: u32,
    bad_seq: u32,
    probation: u8,
    received: u32,
    bytes: u64,
    /// Where the present search for the clock rate began: a timestamp and its arrival.
    clock_from: (u32, Instant),
    clock_hz: Option<u32>,
    transit: Option<i32>,
    /// Sixteen times the jitter, in clock units (A.8).
    jitter_x16: u32,
    first_at: Instant,
    last_at: Instant,
}

impl Meter {
    fn new(direction: Direction, header: Header, bytes: usize, now: Instant) -> Self {
        let mut meter = Self {
            direction,
            ssrc: header.ssrc,
            payload_type: header.payload_type,
            max_seq: header.sequence.wrapping_sub(1),
            cycles: 0,
            base_seq: u32::from(header.sequence),
            bad_seq: SEQUENCE_MODULUS + 1,
            probation: MIN_SEQUENTIAL,
            received: 0,
            bytes: 0,
            clock_from: (header.timestamp, now),
            clock_hz: None,
            transit: None,
            jitter_x16: 0,
            first_at: now,
            last_at: now,
        };
        meter.update(header, bytes, now);
        meter
    }

    fn update(&mut self, header: Header, bytes: usize, now: Instant) {
        self.last_at = now;
        if !self.update_sequence(header.sequence) {
            return;
        }
        self.bytes += bytes as u64;
        if header.payload_type != self.payload_type {
            self.payload_type = header.payload_type;
            self.restart_clock(header.timestamp, now);
        }
        match self.clock_hz {
            Some(clock_hz) => self.update_jitter(header.timestamp, clock_hz, now),
            None => self.find_clock(header.timestamp, now),
        }
    }

    /// A.1. False while the source is on probation or the packet is far out of order.
    fn update_sequence(&mut self, sequence: u16) -> bool {
        let delta = sequence.wrapping_sub(self.max_seq);
        if self.probation > 0 {
            if delta == 1 {
                self.probation -= 1;
                self.max_seq = sequence;
                if self.probation == 0 {
                    self.restart_sequence(sequence);
                    self.received = 1;
                    return true;
                }
            } else {
                self.probation = MIN_SEQUENTIAL - 1;
                self.max_seq = sequence;
            }
            return false;
        }
        if delta < MAX_DROPOUT {
            if sequence < self.max_seq {
                self.cycles = self.cycles.wrapping_add(SEQUENCE_MODULUS);
            }
            self.max_seq = sequence;
        } else if u32::from(delta) <= SEQUENCE_MODULUS - u32::from(MAX_MISORDER) {
            if u32::from(sequence) != self.bad_seq {
                self.bad_seq = (u32::from(sequence) + 1) & (SEQUENCE_MODULUS - 1);
                return false;
            }
            // Two packets in order after a jump: the other side restarted.
            self.restart_sequence(sequence);
        }
        self.received = self.received.saturating_add(1);
        true
    }

    fn restart_sequence(&mut self, sequence: u16) {
        self.base_seq = u32::from(sequence);
        self.max_seq = sequence;
        self.bad_seq = SEQUENCE_MODULUS + 1;
        self.cycles = 0;
        self.received = 0;
    }

    fn restart_clock(&mut self, timestamp: u32, now: Instant) {
        self.clock_hz = None;
        self.clock_from = (timestamp, now);
        self.transit = None;
    }

    fn find_clock(&mut self, timestamp: u32, now: Instant) {
        let (from, since) = self.clock_from;
        let elapsed = now.duration_since(since);
        if elapsed < CLOCK_WINDOW {
            return;
        }
        let rate = f64::from(timestamp.wrapping_sub(from)) / elapsed.as_secs_f64();
        let near = |clock: &u32| (rate / f64::from(*clock) - 1.0).abs() < 0.1;
        self.clock_hz = CLOCKS_HZ.into_iter().filter(near).min_by_key(|clock| (rate - f64::from(*clock)).abs() as u64);
        if self.clock_hz.is_none() {
            self.clock_from = (timestamp, now);
        }
    }

    /// A.8, in integers.
    fn update_jitter(&mut self, timestamp: u32, clock_hz: u32, now: Instant) {
        let elapsed_us = now.duration_since(self.clock_from.1).as_micros();
        let arrival = (elapsed_us * u128::from(clock_hz) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp) as i32;
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).unsigned_abs();
            let jitter = i64::from(self.jitter_x16) + i64::from(difference) - ((i64::from(self.jitter_x16) + 8) >> 4);
            self.jitter_x16 = jitter.clamp(0, i64::from(u32::MAX)) as u32;
        }
    }

    /// A.3.
    fn report(&self) -> StreamQuality {
        let expected = self.cycles.wrapping_add(u32::from(self.max_seq)).wrapping_sub(self.base_seq).wrapping_add(1);
        StreamQuality {
            direction: self.direction,
            ssrc: self.ssrc,
            payload_type: self.payload_type,
            received: self.received,
            lost: i64::from(expected) - i64::from(self.received),
            bytes: self.bytes,
            clock_hz: self.clock_hz,
            jitter_ms: self.clock_hz.map(|clock| f64::from(self.jitter_x16) / 16.0 * 1000.0 / f64::from(clock)),
            duration: self.last_at.duration_since(self.first_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 111];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.resize(172, 0);
        packet
    }

    /// Feeds packets (number, arrival in ms) of 20 ms at `clock` Hz, starting at sequence 65500; returns the one report.
    fn check(clock: u32, packets: impl IntoIterator<Item = (u32, u64)>) -> StreamQuality {
        let start = Instant::now();
        let mut meters = Meters::default();
        for (number, at_ms) in packets {
            let packet = rtp(65_500u16.wrapping_add(number as u16), 4_294_000_000u32.wrapping_add(number * clock / 50), 7);
            meters.observe(Direction::ToPeer, &packet, start + Duration::from_millis(at_ms));
        }
        meters.report().next().unwrap()
    }

    #[test]
    fn a_3_a_stream_without_loss_over_a_wrap() {
        let quality = check(48_000, (0..500).map(|n| (n, u64::from(n) * 20)));
        assert_eq!((quality.received, quality.lost, quality.clock_hz), (499, 0, Some(48_000)));
        assert_eq!(quality.jitter_ms, Some(0.0));
    }

    #[test]
    fn a_3_lost_late_and_repeated_packets() {
        let lossy = check(8_000, (0..1_000).filter(|n| n % 10 != 5).map(|n| (n, u64::from(n) * 20)));
        assert_eq!((lossy.lost, lossy.clock_hz), (100, Some(8_000)));
        let swapped = check(8_000, (0..1_000).map(|n| (if n < 10 { n } else { n ^ 1 }, u64::from(n) * 20)));
        assert_eq!(swapped.lost, 0);
        let repeated = check(8_000, (0..2_000).map(|n| (n / 2, u64::from(n / 2) * 20)));
        assert!(repeated.lost < 0, "RFC 3550 A.3: duplicates make the loss negative");
    }

    #[test]
    fn a_8_jitter_of_alternating_delay() {
        // Every second packet 10 ms late: the mean deviation between neighbours is 10 ms.
        let quality = check(48_000, (0..2_000).map(|n| (n, u64::from(n) * 20 + if n % 2 == 1 { 10 } else { 0 })));
        let jitter_ms = quality.jitter_ms.unwrap();
        assert!((9.0..=10.5).contains(&jitter_ms), "{jitter_ms}");
    }

    #[test]
    fn a_1_a_restart_is_followed_and_a_stray_packet_is_not() {
        let restart =
            check(8_000, (0..100).map(|n| (n, u64::from(n) * 20)).chain((20_000..20_100).map(|n| (n, u64::from(n - 19_900) * 20))));
        assert_eq!((restart.received, restart.lost), (99, 0));
        let stray = check(8_000, (0..100).chain([30_000]).chain(100..200).map(|n| (n, u64::from(n) * 20)));
        assert_eq!((stray.received, stray.lost), (199, 0));
    }

    #[test]
    fn what_is_no_rtp_is_not_counted_and_streams_are_bounded() {
        let now = Instant::now();
        let mut meters = Meters::default();
        for payload in [&[][..], &[0x80; 11], &[20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0]] {
            meters.observe(Direction::ToPeer, payload, now);
        }
        assert!(meters.streams.is_empty());
        for ssrc in 0..1_000 {
            meters.observe(Direction::ToPeer, &rtp(1, 1, ssrc), now);
            meters.observe(Direction::ToClient, &rtp(1, 1, ssrc), now);
        }
        assert_eq!(meters.streams.len(), 2 * STREAMS_MAX);
        assert_eq!(meters.report().count(), 0, "one packet is no stream");
        meters.observe(Direction::ToPeer, &rtp(1, 1, 5_000), now + SILENT * 2);
        assert!(meters.streams.iter().any(|meter| meter.ssrc == 5_000));
    }
}
