//! What the probe's RTP packets carry and what a receiver learns from them: loss, jitter (RFC 3550 §6.4.1, A.8) and round trip.
//!
//! Both ends live in one process and so share a clock. The payload repeats for each packet what RTCP's reports say once in a while (LSR and
//! DLSR, RFC 3550 §6.4.1), which gives a round trip for every packet instead of one per report. Times are nanoseconds since an origin that
//! both ends share.

use std::time::Duration;

/// RTP clock of Opus (RFC 7587 §4.1).
pub const CLOCK_HZ: u32 = 48_000;
/// One packet each 20 ms, as nearly every Opus sender does.
pub const INTERVAL: Duration = Duration::from_millis(20);

const MAGIC: &[u8; 4] = b"CPRB";
const FIELDS_BYTES: usize = 4 + 4 + 8 + 8 + 8;

/// What one packet says, before its padding to the size of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Counts from 0 in each direction, without the wrap of RTP's 16 bits.
    pub number: u32,
    /// When the packet was given to the sender's stack.
    pub sent_ns: u64,
    /// `sent_ns` of the last packet the sender had received when it sent this one; 0 before the first.
    pub echo_ns: u64,
    /// How long the sender had held that packet.
    pub held_ns: u64,
}

impl Mark {
    /// The payload: the fields, then filler whose length varies as that of an Opus frame at some 32 kbit/s (60 to 120 bytes).
    pub fn write(&self) -> Vec<u8> {
        let filler = 28 + (self.number as usize * 37) % 60;
        let mut payload = Vec::with_capacity(FIELDS_BYTES + filler);
        payload.extend_from_slice(MAGIC);
        payload.extend_from_slice(&self.number.to_be_bytes());
        payload.extend_from_slice(&self.sent_ns.to_be_bytes());
        payload.extend_from_slice(&self.echo_ns.to_be_bytes());
        payload.extend_from_slice(&self.held_ns.to_be_bytes());
        payload.resize(FIELDS_BYTES + filler, 0xa5);
        payload
    }

    /// Reads a payload written by [`Mark::write`]; `None` for anything else.
    pub fn parse(payload: &[u8]) -> Option<Mark> {
        let rest = payload.strip_prefix(MAGIC)?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (sent_ns, rest) = rest.split_first_chunk::<8>()?;
        let (echo_ns, rest) = rest.split_first_chunk::<8>()?;
        let (held_ns, _) = rest.split_first_chunk::<8>()?;
        Some(Mark {
            number: u32::from_be_bytes(*number),
            sent_ns: u64::from_be_bytes(*sent_ns),
            echo_ns: u64::from_be_bytes(*echo_ns),
            held_ns: u64::from_be_bytes(*held_ns),
        })
    }
}

/// Quality of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// Packets the other end gave to its stack.
    pub sent: u32,
    /// Different packets that arrived.
    pub received: u32,
    /// Packets that arrived a second time.
    pub duplicates: u32,
    /// Packets that arrived after one sent later.
    pub reordered: u32,
    /// Interarrival jitter at the end.
    pub jitter: Duration,
    /// Median way from one end to the other.
    pub one_way: Option<Duration>,
    /// Median and largest round trip measured by this direction's receiver.
    pub round_trip: Option<RoundTrip>,
}

/// Round trips of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// Half of the samples are not above it.
    pub median: Duration,
    /// The largest sample.
    pub max: Duration,
}

impl Quality {
    /// Share of the packets that did not arrive, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { f64::from(self.sent.saturating_sub(self.received)) / f64::from(self.sent) }
    }
}

/// Collects what one end receives.
#[derive(Debug, Default)]
pub struct Meter {
    seen: Vec<bool>,
    received: u32,
    duplicates: u32,
    reordered: u32,
    highest: Option<u32>,
    transit_ticks: Option<i64>,
    jitter_ticks: f64,
    one_way_ns: Vec<u64>,
    round_trip_ns: Vec<u64>,
    last: Option<(u64, u64)>,
}

/// The number of packets that no receiver counts.
pub const UNCOUNTED: u32 = u32::MAX;
/// Upper bound on the numbers a meter takes; at 50 packets a second 20 minutes.
const NUMBERS_MAX: u32 = 60_000;

impl Meter {
    /// Takes one arrived packet: what it says, its RTP timestamp in units of [`CLOCK_HZ`] since the first packet, and the arrival.
    pub fn arrived(&mut self, mark: Mark, rtp_ticks: u32, now_ns: u64) {
        if mark.number >= NUMBERS_MAX {
            return;
        }
        let index = mark.number as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, false);
        }
        if std::mem::replace(&mut self.seen[index], true) {
            self.duplicates += 1;
            return;
        }
        self.received += 1;
        match self.highest {
            Some(highest) if mark.number < highest => self.reordered += 1,
            _ => self.highest = Some(mark.number),
        }
        self.jitter(rtp_ticks, now_ns);
        self.one_way_ns.push(now_ns.saturating_sub(mark.sent_ns));
        if mark.echo_ns != 0 {
            self.round_trip_ns.push(now_ns.saturating_sub(mark.echo_ns).saturating_sub(mark.held_ns));
        }
        self.last = Some((mark.sent_ns, now_ns));
    }

    /// RFC 3550 A.8: the smoothed mean of the differences in relative transit time.
    fn jitter(&mut self, rtp_ticks: u32, now_ns: u64) {
        let arrival_ticks = (u128::from(now_ns) * u128::from(CLOCK_HZ) / 1_000_000_000) as i64;
        let transit = arrival_ticks - i64::from(rtp_ticks);
        if let Some(before) = self.transit_ticks.replace(transit) {
            let difference = (transit - before).unsigned_abs() as f64;
            self.jitter_ticks += (difference - self.jitter_ticks) / 16.0;
        }
    }

    /// How many different packets have arrived.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// `echo_ns` and `held_ns` for a packet sent now.
    pub fn echo(&self, now_ns: u64) -> (u64, u64) {
        self.last.map_or((0, 0), |(sent_ns, arrived_ns)| (sent_ns, now_ns.saturating_sub(arrived_ns)))
    }

    /// The summary, given how many packets the other end has sent.
    pub fn quality(&self, sent: u32) -> Quality {
        Quality {
            sent,
            received: self.received,
            duplicates: self.duplicates,
            reordered: self.reordered,
            jitter: Duration::from_secs_f64(self.jitter_ticks / f64::from(CLOCK_HZ)),
            one_way: median(&self.one_way_ns),
            round_trip: median(&self.round_trip_ns)
                .map(|median| RoundTrip { median, max: Duration::from_nanos(self.round_trip_ns.iter().copied().max().unwrap_or(0)) }),
        }
    }
}

fn median(samples_ns: &[u64]) -> Option<Duration> {
    let mut sorted = samples_ns.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map(|ns| Duration::from_nanos(*ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const TICKS_PER_PACKET: u32 = CLOCK_HZ / 50;

    fn mark(number: u32, sent_ns: u64) -> Mark {
        Mark { number, sent_ns, echo_ns: 0, held_ns: 0 }
    }

    #[test]
    fn a_mark_survives_its_payload() {
        for number in [0, 1, 7, 59_999] {
            let mark = Mark { number, sent_ns: u64::MAX, echo_ns: 5, held_ns: 77 };
            let payload = mark.write();
            assert!((60..=120).contains(&payload.len()));
            assert_eq!(Mark::parse(&payload), Some(mark));
        }
        assert_eq!(Mark::parse(b""), None);
        assert_eq!(Mark::parse(&Mark::write(&mark(1, 1))[..31]), None);
        assert_eq!(Mark::parse(&[0; 80]), None);
    }

    #[test]
    fn s6_4_1_a_constant_way_has_no_jitter() {
        let mut meter = Meter::default();
        for number in 0..100 {
            let sent = u64::from(number) * 20 * MS + 1;
            meter.arrived(mark(number, sent), number * TICKS_PER_PACKET, sent + 5 * MS);
        }
        let quality = meter.quality(100);
        assert!(quality.jitter < Duration::from_micros(50), "{:?}", quality.jitter);
        assert_eq!(quality.one_way, Some(Duration::from_millis(5)));
        assert_eq!(quality.loss(), 0.0);
        assert_eq!(quality.round_trip, None);
    }

    #[test]
    fn a_8_jitter_of_alternating_delay_tends_to_the_difference() {
        let mut meter = Meter::default();
        for number in 0..400 {
            let sent = u64::from(number) * 20 * MS;
            meter.arrived(mark(number, sent), number * TICKS_PER_PACKET, sent + if number % 2 == 0 { 4 * MS } else { 8 * MS });
        }
        let jitter = meter.quality(400).jitter;
        assert!((Duration::from_micros(3900)..Duration::from_micros(4100)).contains(&jitter), "{jitter:?}");
    }

    #[test]
    fn loss_duplicates_and_order_are_told_apart() {
        let mut meter = Meter::default();
        for number in [0, 1, 3, 2, 2, 5] {
            meter.arrived(mark(number, 1), number * TICKS_PER_PACKET, 2);
        }
        let quality = meter.quality(8);
        assert_eq!((quality.received, quality.duplicates, quality.reordered), (5, 1, 1));
        assert_eq!(quality.loss(), 3.0 / 8.0);
    }

    #[test]
    fn a_round_trip_leaves_out_the_time_the_packet_was_held() {
        let (mut here, mut there) = (Meter::default(), Meter::default());
        there.arrived(mark(0, 100 * MS), 0, 110 * MS);
        let (echo_ns, held_ns) = there.echo(117 * MS);
        here.arrived(Mark { number: 0, sent_ns: 117 * MS, echo_ns, held_ns }, 0, 129 * MS);
        let round_trip = here.quality(1).round_trip.expect("one sample");
        assert_eq!(round_trip.median, Duration::from_millis(22));
        assert_eq!(round_trip.max, Duration::from_millis(22));
    }

    #[test]
    fn absurd_numbers_take_no_memory() {
        let mut meter = Meter::default();
        meter.arrived(mark(u32::MAX, 1), 0, 2);
        assert_eq!(meter.received(), 0);
    }
}
