//! The client's side of SCRAM-SHA-1 (RFC 5802), with the password's keys remembered per salt: thousands of log-ins must not cost
//! the measuring side thousands of PBKDF2.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The mechanism that all three servers offer.
pub const MECHANISM: &str = "SCRAM-SHA-1";

const HASH: hmac::Algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;

/// One log-in.
pub struct Scram {
    bare: String,
    password: String,
    /// What the server must show, in base64.
    pub verifier: String,
    /// The iteration count that the server asked for.
    pub rounds: u32,
}

impl Scram {
    /// Begins with a nonce of the client's.
    pub fn new(user: &str, password: &str, nonce: &str) -> Self {
        Self { bare: format!("n={user},r={nonce}"), password: password.to_owned(), verifier: String::new(), rounds: 0 }
    }

    /// client-first-message.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("n,,{}", self.bare))
    }

    /// client-final-message for the challenge.
    pub fn last(&mut self, challenge: &str) -> anyhow::Result<String> {
        let server_first = String::from_utf8(STANDARD.decode(challenge).context("a challenge is base64")?)?;
        let field = |name: &str| server_first.split(',').find_map(|field| field.strip_prefix(name)).context("server-first-message");
        let (nonce, salt) = (field("r=")?, STANDARD.decode(field("s=")?)?);
        self.rounds = field("i=")?.parse()?;
        let salted = salted(&self.password, &salt, self.rounds)?;
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &client_key);
        let signature = sign(stored.as_ref(), message.as_bytes());
        self.verifier = STANDARD.encode(sign(&sign(&salted, b"Server Key"), message.as_bytes()));
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        Ok(STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof))))
    }
}

/// SaltedPassword; what was derived once is not derived again.
pub fn salted(password: &str, salt: &[u8], rounds: u32) -> anyhow::Result<[u8; 20]> {
    type Known = HashMap<(Vec<u8>, u32), [u8; 20]>;
    static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(salted) = known.get(&(salt.to_vec(), rounds)) {
        return Ok(*salted);
    }
    ensure!(rounds > 0, "no iterations");
    let mut salted = [0; 20];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds.try_into()?, salt, password.as_bytes(), &mut salted);
    known.insert((salt.to_vec(), rounds), salted);
    Ok(salted)
}

/// HMAC with SCRAM's hash.
pub fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HASH, key), data).as_ref().to_vec()
}

/// SCRAM's hash.
pub fn hash(data: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data).as_ref().to_vec()
}
