//! Passwords and the keys made of them: RFC 5802 §2.2 and §3, RFC 7677. Pure; random bytes are arguments.
//!
//! Deriving keys takes milliseconds by design: call it beside the reactor ([`super::Authenticator`] does).

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::jid::BareJid;

/// Iterations for new passwords; RFC 7677 §4 wants 4096 at the least.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");
/// Random bytes in a salt.
pub const SALT_BYTES: usize = 16;
/// Longest password in bytes: it bounds what preparing one can cost.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The hash functions of the SCRAM mechanisms that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramHash {
    /// Every one, strongest first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha1];

    /// Its name in the IANA registry of hash functions, as the store keeps it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
        }
    }

    /// The function of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// Bytes of a digest, a key and a proof.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        self.digest().output_len()
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }

    /// `H(str)` of RFC 5802 §2.2.
    pub(crate) fn hash(self, data: &[u8]) -> digest::Digest {
        digest::digest(self.digest(), data)
    }

    /// `HMAC(key, str)` of RFC 5802 §2.2.
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data)
    }

    /// `Hi(str, salt, i)` of RFC 5802 §2.2.
    fn hi(self, password: &Password, salt: &[u8], iterations: NonZeroU32) -> Zeroizing<Vec<u8>> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut salted = Zeroizing::new(vec![0; self.digest_bytes()]);
        pbkdf2::derive(algorithm, iterations, salt, password.0.as_bytes(), &mut salted);
        salted
    }
}

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing, or nothing left of it by SASLprep.
    #[error("the password is empty")]
    Empty,
    /// More than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// A character that SASLprep forbids: control characters, mixed directions, characters unknown to Unicode 3.2 such as most emoji.
    #[error("the password contains a character that SASLprep (RFC 4013) does not allow")]
    Prohibited,
}

/// A password prepared by SASLprep (RFC 4013) as RFC 5802 §2.2 wants it; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares a password as a "stored string": unassigned code points are not allowed.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub fn prepare(text: &str) -> Result<Self, PasswordError> {
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let prepared = match stringprep::saslprep(text).map_err(|_| PasswordError::Prohibited)? {
            Cow::Borrowed(same) => Zeroizing::new(same.to_owned()),
            Cow::Owned(other) => Zeroizing::new(other),
        };
        if prepared.is_empty() {
            return Err(PasswordError::Empty);
        }
        Ok(Self(prepared))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What a server keeps of a password for one hash function: RFC 5802 §3.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ScramKeys {
    /// Keys as they were stored or imported.
    #[must_use]
    pub fn new(salt: Vec<u8>, iterations: NonZeroU32, stored_key: Vec<u8>, server_key: Vec<u8>) -> Self {
        Self { salt, iterations, stored_key, server_key }
    }

    /// Makes the keys of a password. Takes milliseconds.
    #[must_use]
    pub fn derive(hash: ScramHash, password: &Password, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let salted = hash.hi(password, &salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        let stored_key = hash.hash(client_key.as_ref()).as_ref().to_vec();
        let server_key = hash.hmac(&salted, b"Server Key").as_ref().to_vec();
        Self { salt, iterations, stored_key, server_key }
    }

    /// Whether these are the password's keys, found by deriving them. Takes milliseconds, the same whatever the answer.
    #[must_use]
    pub fn verify(&self, hash: ScramHash, password: &Password) -> bool {
        let derived = Self::derive(hash, password, self.salt.clone(), self.iterations);
        derived.stored_key.ct_eq(&self.stored_key).into()
    }

    /// The salt, attribute `s`.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iteration count, attribute `i`.
    #[must_use]
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// `StoredKey`, against which a proof is checked.
    #[must_use]
    pub fn stored_key(&self) -> &[u8] {
        &self.stored_key
    }

    /// `ServerKey`, with which the server proves itself.
    #[must_use]
    pub fn server_key(&self) -> &[u8] {
        &self.server_key
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// An account's keys, one entry per hash function. New accounts have all; imported ones may lack some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScramSet {
    sha1: Option<ScramKeys>,
    sha256: Option<ScramKeys>,
}

impl ScramSet {
    /// Makes the keys of a new password for every hash function, each with its own salt. Takes milliseconds.
    #[must_use]
    pub fn derive(password: &Password, random: &[u8; 2 * SALT_BYTES]) -> Self {
        let (first, second) = random.split_at(SALT_BYTES);
        Self {
            sha1: Some(ScramKeys::derive(ScramHash::Sha1, password, first.to_vec(), ITERATIONS)),
            sha256: Some(ScramKeys::derive(ScramHash::Sha256, password, second.to_vec(), ITERATIONS)),
        }
    }

    /// The keys for one hash function.
    #[must_use]
    pub fn get(&self, hash: ScramHash) -> Option<&ScramKeys> {
        match hash {
            ScramHash::Sha1 => self.sha1.as_ref(),
            ScramHash::Sha256 => self.sha256.as_ref(),
        }
    }

    /// Puts the keys for one hash function in place.
    pub fn set(&mut self, hash: ScramHash, keys: ScramKeys) {
        match hash {
            ScramHash::Sha1 => self.sha1 = Some(keys),
            ScramHash::Sha256 => self.sha256 = Some(keys),
        }
    }

    /// The keys that are there, strongest hash function first.
    pub fn iter(&self) -> impl Iterator<Item = (ScramHash, &ScramKeys)> {
        ScramHash::ALL.into_iter().filter_map(|hash| Some((hash, self.get(hash)?)))
    }
}

/// Makes up keys for names without an account, always the same for the same name, so that an outsider sees no difference.
///
/// The salt is what a client sees; the keys are random to it and match no password.
pub struct Inventor(hmac::Key);

impl Inventor {
    /// `secret` must stay the same over restarts, or the invented salts change and give themselves away.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Keys that look like `account`'s.
    #[must_use]
    pub fn invent(&self, hash: ScramHash, account: &BareJid) -> ScramKeys {
        let bytes = |purpose: &str, len: usize| {
            let mut context = hmac::Context::with_key(&self.0);
            for part in [purpose, hash.name(), account.as_str()] {
                context.update(part.as_bytes());
                context.update(&[0]);
            }
            context.sign().as_ref()[..len].to_vec()
        };
        ScramKeys::new(
            bytes("salt", SALT_BYTES),
            ITERATIONS,
            bytes("stored key", hash.digest_bytes()),
            bytes("server key", hash.digest_bytes()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4013_s3_examples() {
        let prepared = |text: &str| Password::prepare(text).map(|password| password.0.to_string());
        assert_eq!(prepared("I\u{ad}X").unwrap(), "IX");
        assert_eq!(prepared("user").unwrap(), "user");
        assert_eq!(prepared("USER").unwrap(), "USER");
        assert_eq!(prepared("\u{aa}").unwrap(), "a");
        assert_eq!(prepared("\u{2168}").unwrap(), "IX");
        assert_eq!(prepared("\u{7}"), Err(PasswordError::Prohibited));
        assert_eq!(prepared("\u{627}1"), Err(PasswordError::Prohibited));
    }

    #[test]
    fn passwords_are_bounded_and_never_empty() {
        assert_eq!(Password::prepare("").unwrap_err(), PasswordError::Empty);
        assert_eq!(Password::prepare("\u{ad}").unwrap_err(), PasswordError::Empty);
        assert!(Password::prepare(&"x".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert_eq!(Password::prepare(&"x".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(), PasswordError::TooLong);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let password = Password::prepare("pencil").unwrap();
        let set = ScramSet::derive(&password, &[7; 32]);
        assert!(!format!("{password:?}").contains("pencil"));
        assert!(!format!("{set:?}").contains("stored_key"));
    }

    #[test]
    fn a_set_verifies_its_password_only() {
        let set = ScramSet::derive(&Password::prepare("pencil").unwrap(), &[7; 32]);
        assert_eq!(set.iter().map(|(hash, _)| hash).collect::<Vec<_>>(), ScramHash::ALL);
        for (hash, keys) in set.iter() {
            assert!(keys.verify(hash, &Password::prepare("pencil").unwrap()));
            assert!(!keys.verify(hash, &Password::prepare("pencils").unwrap()));
            assert_eq!((keys.salt().len(), keys.iterations().get()), (16, 10_000));
        }
    }

    #[test]
    fn invented_keys_are_stable_and_differ_by_name_hash_and_secret() {
        let account = |text: &str| BareJid::parse(text).unwrap();
        let inventor = Inventor::new(b"secret");
        let romeo = inventor.invent(ScramHash::Sha256, &account("romeo@example.org"));
        assert_eq!(romeo, Inventor::new(b"secret").invent(ScramHash::Sha256, &account("romeo@example.org")));
        assert_eq!((romeo.salt().len(), romeo.iterations()), (SALT_BYTES, ITERATIONS));
        assert_eq!((romeo.stored_key().len(), romeo.server_key().len()), (32, 32));
        assert_ne!(romeo.stored_key(), romeo.server_key());
        for other in [
            inventor.invent(ScramHash::Sha1, &account("romeo@example.org")),
            inventor.invent(ScramHash::Sha256, &account("juliet@example.org")),
            Inventor::new(b"another").invent(ScramHash::Sha256, &account("romeo@example.org")),
        ] {
            assert_ne!(romeo.salt(), other.salt());
        }
    }
}
