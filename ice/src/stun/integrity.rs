//! MESSAGE-INTEGRITY (RFC 8489 §14.5), MESSAGE-INTEGRITY-SHA256 (§14.6), FINGERPRINT (§14.7), the keys for them (§9), and how both sides
//! agree on them: PASSWORD-ALGORITHMS (§14.11), PASSWORD-ALGORITHM (§14.12), USERHASH (§14.4), the nonce cookie (§9.2).

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stun_rs::attributes::stun::UserHash;
use stun_rs::{Algorithm, AlgorithmId, HMACKey};

use super::{AttributeType, HEADER_BYTES, Malformed, Message};

/// Which hash protects a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256, written in full length.
    Sha256,
}

impl Integrity {
    /// Bytes of a value written in full.
    pub fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The attribute that carries it.
    pub fn attribute(self) -> AttributeType {
        match self {
            Self::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            Self::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
        }
    }

    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// How the key of a long-term credential is hashed (§18.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAlgorithm {
    /// MD5, the only one of RFC 5389.
    Md5,
    /// SHA-256.
    Sha256,
}

impl PasswordAlgorithm {
    /// The value of PASSWORD-ALGORITHMS (§14.11) that offers both, the better one first; neither has parameters.
    pub const OFFER: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

    /// The value of PASSWORD-ALGORITHM (§14.12).
    pub fn value(self) -> [u8; 4] {
        match self {
            Self::Md5 => [0, 1, 0, 0],
            Self::Sha256 => [0, 2, 0, 0],
        }
    }

    fn read(value: &[u8]) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|algorithm| algorithm.value() == value)
    }
}

/// What the 24 bits in a nonce cookie say of the server that made it (§9.2, §18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// The response that brought the nonce had PASSWORD-ALGORITHMS.
    pub password_algorithms: bool,
    /// Clients are to send USERHASH in place of USERNAME.
    pub username_anonymity: bool,
}

/// Bytes of a nonce cookie.
pub const NONCE_COOKIE_BYTES: usize = 13;
const COOKIE_START: &str = "obMatJos2";

impl SecurityFeatures {
    /// The nonce cookie: what a nonce begins with.
    pub fn cookie(self) -> String {
        let bits = (u8::from(self.password_algorithms) << 7) | (u8::from(self.username_anonymity) << 6);
        format!("{COOKIE_START}{}", STANDARD.encode([bits, 0, 0]))
    }

    /// Reads the cookie of a nonce, and what follows it. None for a nonce without one. Bits that are not assigned do not count.
    pub fn read(nonce: &[u8]) -> Option<(Self, &[u8])> {
        let (cookie, rest) = nonce.split_first_chunk::<NONCE_COOKIE_BYTES>()?;
        let bits: [u8; 3] = STANDARD.decode(cookie.strip_prefix(COOKIE_START.as_bytes())?).ok()?.try_into().ok()?;
        Some((Self { password_algorithms: bits[0] & 0x80 != 0, username_anonymity: bits[0] & 0x40 != 0 }, rest))
    }
}

/// USERHASH (§14.4): what stands for a user name where it is not to be read on the way.
///
/// # Errors
/// Name or realm are refused by the OpaqueString profile.
pub fn user_hash(username: &str, realm: &str) -> Result<[u8; 32], KeyError> {
    let hash = UserHash::new(username, realm).map_err(|_| KeyError)?;
    hash.hash().try_into().map_err(|_| KeyError)
}

/// What a request says of the algorithm that its key is made with.
impl Message<'_> {
    /// PASSWORD-ALGORITHM (§14.12); none where there is none.
    ///
    /// # Errors
    /// It names one that we do not know, or has parameters.
    pub fn password_algorithm(&self) -> Result<Option<PasswordAlgorithm>, Malformed> {
        let kind = AttributeType::PASSWORD_ALGORITHM;
        self.get(kind).map(|value| PasswordAlgorithm::read(value).ok_or(Malformed(kind))).transpose()
    }
}

/// A user name, realm or password that no long-term key can be made of (RFC 8265 OpaqueString refuses it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("realm or password is no OpaqueString (RFC 8265)")]
pub struct KeyError;

/// The HMAC key of a credential. Not the password, but as good as it: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key of a long-term credential (§9.2.2): a hash over `username:realm:password`.
    ///
    /// # Errors
    /// Realm or password are refused by the OpaqueString profile.
    pub fn long_term(username: &str, realm: &str, password: &str, algorithm: PasswordAlgorithm) -> Result<Self, KeyError> {
        let algorithm = Algorithm::from(match algorithm {
            PasswordAlgorithm::Md5 => AlgorithmId::MD5,
            PasswordAlgorithm::Sha256 => AlgorithmId::SHA256,
        });
        let key = HMACKey::new_long_term(username, realm, password, algorithm).map_err(|_| KeyError)?;
        Ok(Self(key.as_bytes().into()))
    }

    /// The key of a short-term credential (§9.1.1): the password itself, as ICE uses it.
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The HMAC over a message whose length field already counts the integrity attribute, which is not there yet.
pub(super) fn tag(message: &[u8], key: &Key, integrity: Integrity) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(integrity.algorithm(), &key.0), message)
}

/// Checks the integrity attribute that stands at `at`. The length field is taken as if the message ended with it (§14.5).
pub(super) fn verify(message: &[u8], at: usize, key: &Key, integrity: Integrity) -> bool {
    let Some((_, received)) = super::attribute_at(message, at) else { return false };
    // §14.6: a value may be cut only where the usage says so, and neither TURN nor ICE does.
    if received.len() != integrity.bytes() {
        return false;
    }
    let mut header = [0; HEADER_BYTES];
    header.copy_from_slice(&message[..HEADER_BYTES]);
    let length = (at + 4 + received.len() - HEADER_BYTES) as u16;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    let mut context = hmac::Context::with_key(&hmac::Key::new(integrity.algorithm(), &key.0));
    context.update(&header);
    context.update(&message[HEADER_BYTES..at]);
    constant_time::verify_slices_are_equal(context.sign().as_ref(), received).is_ok()
}

/// The value of FINGERPRINT for the bytes before it; their length field already counts it (§14.7).
pub(super) fn fingerprint(message: &[u8]) -> u32 {
    crc32(message) ^ 0x5354_554E
}

/// CRC-32 of ISO 3309, eight bytes a step.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let [a, b, c, d] = low.to_le_bytes().map(usize::from);
        let [e, f, g, h] = [chunk[4], chunk[5], chunk[6], chunk[7]].map(usize::from);
        crc = CRC[7][a] ^ CRC[6][b] ^ CRC[5][c] ^ CRC[4][d] ^ CRC[3][e] ^ CRC[2][f] ^ CRC[1][g] ^ CRC[0][h];
    }
    for byte in rest {
        crc = CRC[0][usize::from((crc as u8) ^ byte)] ^ (crc >> 8);
    }
    !crc
}

/// `CRC[n][byte]`: what a byte followed by n zero bytes adds.
static CRC: [[u32; 256]; 8] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xFF) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_7_crc_of_the_check_string_and_of_all_lengths() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let bytes: Vec<u8> = (0..=255).collect();
        for end in 0..bytes.len() {
            let mut simple = !0u32;
            for byte in &bytes[..end] {
                simple = CRC[0][usize::from((simple as u8) ^ byte)] ^ (simple >> 8);
            }
            assert_eq!(crc32(&bytes[..end]), !simple);
        }
    }

    #[test]
    fn s9_2_2_long_term_keys() {
        let key = |algorithm| Key::long_term("マトリックス", "example.org", "TheMatrIX", algorithm).unwrap();
        let hex = |key: Key| key.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(key(PasswordAlgorithm::Md5)), "e8ca7ad59d5eb0518e312911d2dab2a9");
        assert_eq!(hex(key(PasswordAlgorithm::Sha256)), "dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1");
    }

    #[test]
    fn s9_2_nonce_cookies() {
        let features = |password_algorithms, username_anonymity| SecurityFeatures { password_algorithms, username_anonymity };
        for (bits, cookie) in [
            (features(false, false), "obMatJos2AAAA"),
            (features(true, false), "obMatJos2gAAA"),
            (features(false, true), "obMatJos2QAAA"),
            (features(true, true), "obMatJos2wAAA"),
        ] {
            assert_eq!(bits.cookie(), cookie);
            assert_eq!(SecurityFeatures::read(format!("{cookie}rest").as_bytes()), Some((bits, b"rest".as_slice())));
        }
        // A bit that nobody has assigned, and what is no cookie.
        assert_eq!(SecurityFeatures::read(b"obMatJos2AAAB"), Some((features(false, false), b"".as_slice())));
        for nonce in ["", "obMatJos2", "obMatJos2AAA", "obMatJos2A AA", "xbMatJos2AAAA", "obMatJos2AAA="] {
            assert_eq!(SecurityFeatures::read(nonce.as_bytes()).map(|(_, rest)| rest), None, "{nonce}");
        }
    }

    #[test]
    fn s14_4_user_hash() {
        let hash = user_hash("マトリックス", "example.org").unwrap();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704");
        assert!(user_hash("\u{7}", "example.org").is_err() && user_hash("juliet", "\t").is_err());
    }
}
