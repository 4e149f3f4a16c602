//! RFC 8016: mobility tickets. A ticket names an allocation and is sealed with AES-256-GCM, so that the server keeps nothing for it but
//! which of an allocation's tickets is good.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::registry::AllocationKey;

/// What is sealed: process, worker, place, serial number, generation.
const SEALED_BYTES: usize = 8 + 2 + 4 + 8 + 4;

/// What a ticket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The allocation.
    pub allocation: AllocationKey,
    /// Which of its tickets: with each move there is a new one.
    pub generation: u32,
}

/// Why a ticket leads to no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTicket {
    /// It was not made here (400).
    Invalid,
    /// Its allocation has ended with the process that it was in (437).
    Ended,
}

/// Makes and opens tickets.
pub struct Tickets {
    key: LessSafeKey,
    /// Tells this process from those before it, which used the same key.
    process: [u8; 8],
}

impl Tickets {
    /// `key` is this installation's, `process` a random number.
    pub fn new(key: &[u8; 32], process: [u8; 8]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes of key");
        Self { key: LessSafeKey::new(key), process }
    }

    /// The value of MOBILITY-TICKET. `random` makes it unlike any other (§5).
    pub fn seal(&self, ticket: Ticket, random: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(SEALED_BYTES + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&self.process);
        sealed.extend_from_slice(&ticket.allocation.worker.to_be_bytes());
        sealed.extend_from_slice(&ticket.allocation.index.to_be_bytes());
        sealed.extend_from_slice(&ticket.allocation.serial.to_be_bytes());
        sealed.extend_from_slice(&ticket.generation.to_be_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(random), Aad::empty(), &mut sealed)
            .expect("AES-GCM seals some bytes");
        [random.as_slice(), &sealed].concat()
    }

    /// Reads the value of MOBILITY-TICKET.
    ///
    /// # Errors
    /// See [`BadTicket`].
    pub fn open(&self, value: &[u8]) -> Result<Ticket, BadTicket> {
        let (nonce, sealed) = value.split_first_chunk::<NONCE_LEN>().ok_or(BadTicket::Invalid)?;
        if sealed.len() != SEALED_BYTES + AES_256_GCM.tag_len() {
            return Err(BadTicket::Invalid);
        }
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed);
        let opened = opened.map_err(|_| BadTicket::Invalid)?;
        let (process, rest) = opened.split_first_chunk::<8>().ok_or(BadTicket::Invalid)?;
        let (worker, rest) = rest.split_first_chunk::<2>().ok_or(BadTicket::Invalid)?;
        let (index, rest) = rest.split_first_chunk::<4>().ok_or(BadTicket::Invalid)?;
        let (serial, rest) = rest.split_first_chunk::<8>().ok_or(BadTicket::Invalid)?;
        let generation = *rest.first_chunk::<4>().ok_or(BadTicket::Invalid)?;
        if *process != self.process {
            return Err(BadTicket::Ended);
        }
        let (worker, index) = (u16::from_be_bytes(*worker), u32::from_be_bytes(*index));
        let allocation = AllocationKey { worker, index, serial: u64::from_be_bytes(*serial) };
        Ok(Ticket { allocation, generation: u32::from_be_bytes(generation) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_a_ticket_is_sealed_and_good_in_its_process_alone() {
        let ticket = Ticket { allocation: AllocationKey { worker: 3, index: 70_000, serial: 1 << 40 }, generation: 9 };
        let tickets = Tickets::new(&[1; 32], [1; 8]);
        let value = tickets.seal(ticket, [5; 12]);
        assert!(value.len() <= 64, "{} bytes", value.len());
        assert_eq!(tickets.open(&value), Ok(ticket));
        assert_ne!(tickets.seal(ticket, [6; 12]), value);
        assert_eq!(Tickets::new(&[1; 32], [2; 8]).open(&value), Err(BadTicket::Ended));
        assert_eq!(Tickets::new(&[2; 32], [1; 8]).open(&value), Err(BadTicket::Invalid));
        for end in 0..value.len() {
            assert_eq!(tickets.open(&value[..end]), Err(BadTicket::Invalid));
            let mut altered = value.clone();
            altered[end] ^= 1;
            assert_eq!(tickets.open(&altered), Err(BadTicket::Invalid));
        }
        assert_eq!(tickets.open(&[value.as_slice(), &[0]].concat()), Err(BadTicket::Invalid));
    }
}
