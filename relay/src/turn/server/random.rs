//! Unpredictable numbers for the relayed ports (RFC 8656 §7.2) and reservation tokens, from a seed.

use aws_lc_rs::hmac;

/// HMAC-SHA256 in counter mode over a seed.
pub(super) struct Random {
    key: hmac::Key,
    counter: u64,
    pool: Vec<u64>,
}

impl Random {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed), counter: 0, pool: Vec::new() }
    }

    pub(super) fn next(&mut self) -> u64 {
        if let Some(word) = self.pool.pop() {
            return word;
        }
        self.counter += 1;
        let block = hmac::sign(&self.key, &self.counter.to_be_bytes());
        let (words, _) = block.as_ref().as_chunks::<8>();
        self.pool.extend(words.iter().map(|word| u64::from_be_bytes(*word)));
        self.pool.pop().unwrap_or_default()
    }
}
