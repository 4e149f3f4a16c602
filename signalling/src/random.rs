//! Random identifiers: stream ids, resources, ids of requests the server sends.

use std::cell::RefCell;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// 16 letters and digits with 80 random bits: hard to guess, as RFC 6120 §4.7.3 asks of a stream id.
pub fn id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; 16] = bytes();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// A random number. Every message takes one, so they are made many at a time.
pub fn number() -> u32 {
    const SIZE: usize = size_of::<u32>();
    thread_local! {
        static MADE: RefCell<([u8; 64 * SIZE], usize)> = const { RefCell::new(([0; 64 * SIZE], 0)) };
    }
    MADE.with_borrow_mut(|(made, left)| {
        if *left == 0 {
            (*made, *left) = (bytes(), made.len());
        }
        let (_, number) = made[..*left].split_last_chunk().expect("whole numbers are left");
        *left -= SIZE;
        u32::from_ne_bytes(*number)
    })
}

/// `N` random bytes from the operating system.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// A UUID of version 4 (RFC 4122 §4.4).
pub fn uuid() -> String {
    let bits = u128::from_be_bytes(bytes()) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
