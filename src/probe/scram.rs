//! The client's side of SCRAM-SHA-1 and SCRAM-SHA-256 without channel binding: RFC 5802, RFC 7677. No I/O.
//!
//! Written apart from the server's side, so that the two check each other. Names and passwords are the probe's own: ASCII letters and digits,
//! which SASLprep leaves as they are.

use std::num::NonZeroU32;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// More rounds than this would only keep the probe busy.
const ROUNDS_MAX: u32 = 10_000_000;

/// The hash functions, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// RFC 7677.
    Sha256,
    /// RFC 5802.
    Sha1,
}

impl Hash {
    /// In order of preference.
    pub const ALL: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

    /// The mechanism's name.
    pub fn mechanism(self) -> &'static str {
        match self {
            Hash::Sha256 => "SCRAM-SHA-256",
            Hash::Sha1 => "SCRAM-SHA-1",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        }
    }
}

/// An exchange under way.
pub struct Scram {
    hash: Hash,
    password: String,
    nonce: String,
    first_bare: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// Begins; `nonce` is random printable ASCII without a comma. Also returns the client-first-message (RFC 5802 §7).
    pub fn start(hash: Hash, username: &str, password: &str, nonce: &str) -> (Scram, String) {
        let first_bare = format!("n={username},r={nonce}");
        let message = format!("n,,{first_bare}");
        (Scram { hash, password: password.to_owned(), nonce: nonce.to_owned(), first_bare, server_signature: Vec::new() }, message)
    }

    /// Takes the server-first-message and returns the client-final-message. Costs the rounds the server asks for.
    ///
    /// # Errors
    /// A message that breaks RFC 5802 §7.
    pub fn prove(&mut self, server_first: &str) -> anyhow::Result<String> {
        let mut attributes = server_first.split(',');
        let mut next = |name| {
            attributes.next().and_then(|attribute| attribute.strip_prefix(name)).with_context(|| format!("SCRAM challenge without {name}"))
        };
        let nonce = next("r=")?;
        ensure!(nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len(), "the server's nonce does not extend ours");
        let salt = BASE64.decode(next("s=")?).context("the salt is not base64")?;
        let rounds: NonZeroU32 = next("i=")?.parse().context("the number of rounds is no number")?;
        ensure!(rounds.get() <= ROUNDS_MAX, "the server asks for {rounds} rounds");

        let mut salted = vec![0; self.hash.digest().output_len()];
        pbkdf2::derive(self.hash.pbkdf2(), rounds, &salt, self.password.as_bytes(), &mut salted);
        let key = |name: &[u8]| hmac::sign(&hmac::Key::new(self.hash.hmac(), &salted), name);
        let client_key = key(b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_signature = hmac::sign(&hmac::Key::new(self.hash.hmac(), stored_key.as_ref()), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(client_signature.as_ref()).map(|(key, signature)| key ^ signature).collect();
        let server_key = key(b"Server Key");
        self.server_signature =
            hmac::sign(&hmac::Key::new(self.hash.hmac(), server_key.as_ref()), auth_message.as_bytes()).as_ref().to_vec();
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Checks the server-final-message: the server has the keys as well.
    ///
    /// # Errors
    /// It has not, or says why it refuses.
    pub fn verify(&self, server_final: &str) -> anyhow::Result<()> {
        if let Some(error) = server_final.strip_prefix("e=") {
            bail!("the server refuses: {error}");
        }
        let signature = server_final.strip_prefix("v=").and_then(|rest| rest.split(',').next()).context("no server signature")?;
        let signature = BASE64.decode(signature).context("the server signature is not base64")?;
        ensure!(
            !self.server_signature.is_empty() && signature == self.server_signature,
            "the server's signature is wrong: it does not hold this account's keys"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5802_s5_the_example_of_sha_1() {
        let (mut scram, first) = Scram::start(Hash::Sha1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL");
        assert_eq!(first, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let proof = scram.prove("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").expect("valid");
        assert_eq!(proof, "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
        scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").expect("valid");
        assert!(scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKA=").is_err());
        assert!(scram.verify("e=other-error").is_err());
    }

    #[test]
    fn rfc7677_s3_the_example_of_sha_256() {
        let (mut scram, _) = Scram::start(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        let proof = scram.prove("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").expect("valid");
        assert_eq!(proof, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").expect("valid");
    }

    #[test]
    fn s7_bad_challenges_are_refused() {
        for challenge in [
            "",
            "r=other,s=QSXCR+Q6sek8bf92,i=4096",
            "r=abc,s=QSXCR+Q6sek8bf92,i=4096",
            "r=abcd,s=?,i=1",
            "r=abcd,s=QSXC,i=0",
            "r=abcd,s=QSXC,i=99999999",
        ] {
            let (mut scram, _) = Scram::start(Hash::Sha1, "user", "pencil", "abc");
            assert!(scram.prove(challenge).is_err(), "{challenge}");
            assert!(scram.verify("v=").is_err());
        }
    }
}
