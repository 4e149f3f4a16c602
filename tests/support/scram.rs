//! The client's side of SCRAM (RFC 5802), written apart from the server's.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One of the two hashes.
#[derive(Clone, Copy)]
pub enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }
}

/// One log-in.
pub struct Scram {
    hash: Hash,
    /// The gs2-header, and the channel binding's value behind it.
    header: String,
    binding: Vec<u8>,
    bare: String,
    password: String,
    /// What the server must show to prove that it knows the account.
    pub verifier: String,
}

impl Scram {
    pub fn new(hash: Hash, user: &str, password: &str, nonce: &str) -> Self {
        Self::bound(hash, user, password, nonce, "n", Vec::new())
    }

    /// With this flag of RFC 5802 §7, `p=TYPE` for one, and the channel binding's value.
    pub fn bound(hash: Hash, user: &str, password: &str, nonce: &str, flag: &str, binding: Vec<u8>) -> Self {
        let (header, bare) = (format!("{flag},,"), format!("n={user},r={nonce}"));
        Self { hash, header, binding, bare, password: password.to_owned(), verifier: String::new() }
    }

    /// client-first-message.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("{}{}", self.header, self.bare))
    }

    /// client-final-message for the challenge.
    pub fn last(&mut self, challenge: &str) -> String {
        let server_first = String::from_utf8(STANDARD.decode(challenge).expect("base64")).unwrap();
        let (nonce, salt, rounds) = parts(&server_first);
        let salt = STANDARD.decode(salt).unwrap();
        let salted = self.derive(&salt, rounds);
        let input = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={input},r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = self.hmac(&salted, b"Client Key");
        let signature = self.hmac(&self.digest(&client_key), message.as_bytes());
        self.verifier = STANDARD.encode(self.hmac(&self.hmac(&salted, b"Server Key"), message.as_bytes()));
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    fn derive(&self, salt: &[u8], rounds: u32) -> Vec<u8> {
        let (algorithm, size) = match self.hash {
            Hash::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Hash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let mut salted = vec![0; size];
        pbkdf2::derive(algorithm, rounds.try_into().expect("not zero"), salt, self.password.as_bytes(), &mut salted);
        salted
    }

    fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()
    }

    fn digest(&self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }
}

/// Nonce, salt (in base64) and rounds of a server-first-message.
pub fn parts(server_first: &str) -> (&str, &str, u32) {
    let field = |name: &str| server_first.split(',').find_map(|field| field.strip_prefix(name)).expect("server-first-message");
    (field("r="), field("s="), field("i=").parse().unwrap())
}
