//! SCRAM-SHA-1 and SCRAM-SHA-256 with and without -PLUS, the server's side: RFC 5802 §5 to §7, RFC 7677; XEP-0474 (0.5) §6.1.
//!
//! Failures are SASL's conditions; the message `e=` (§5.1) is not sent, as §5.1 allows: XMPP has no place for it in `<failure/>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::{BindingType, Mechanism, Offer, SaslFailure, account, check_authzid};
use crate::auth::{ScramHash, ScramKeys};
use crate::jid::BareJid;
use crate::store::Disabled;

/// Longest nonce of a client, in bytes; clients send 16 to 64.
const CLIENT_NONCE_BYTES_MAX: usize = 1024;

/// The client-first-message, read.
#[derive(Debug)]
pub(super) struct First {
    hash: ScramHash,
    account: BareJid,
    /// §7: `cbind-input`, the `gs2-header` as received and the channel binding's value, if there is one.
    cbind_input: Vec<u8>,
    /// As received: `client-first-message-bare`.
    bare: String,
    nonce: String,
}

impl First {
    /// Reads a client-first-message of §7. `bound`: of a -PLUS mechanism.
    pub(super) fn read(hash: ScramHash, bound: bool, message: &[u8], domain: &str, offer: &Offer) -> Result<Self, SaslFailure> {
        let text = text(message)?;

        // gs2-header = gs2-cbind-flag "," [ authzid ] ","
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SaslFailure::MalformedRequest);
        };
        let binding = binding(flag, bound, offer)?;
        let authzid = match authzid {
            "" => None,
            authzid => Some(saslname(value(authzid, "a=")?)?),
        };
        let gs2_header = &text[..text.len() - bare.len()];
        let cbind_input = [gs2_header.as_bytes(), binding].concat();

        // client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]; with `m=` the name is not where it must be (§5.1).
        let mut attributes = bare.split(',');
        let username = saslname(value(attributes.next().unwrap_or_default(), "n=")?)?;
        let nonce = value(attributes.next().unwrap_or_default(), "r=")?;
        let printable = nonce.bytes().all(|byte| matches!(byte, 0x21..=0x2b | 0x2d..=0x7e));
        if nonce.is_empty() || nonce.len() > CLIENT_NONCE_BYTES_MAX || !printable {
            return Err(SaslFailure::MalformedRequest);
        }
        attributes.try_for_each(extension)?;

        let account = account(&username, domain)?;
        if let Some(authzid) = authzid {
            check_authzid(&authzid, &account)?;
        }
        Ok(Self { hash, account, cbind_input, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    pub(super) fn account(&self) -> &BareJid {
        &self.account
    }

    /// The server-first-message: `nonce "," salt "," iteration-count ["," extensions]`.
    pub(super) fn challenge(
        self,
        server_nonce: &str,
        offer: &Offer,
        keys: ScramKeys,
        genuine: bool,
        disabled: Option<Disabled>,
    ) -> (Challenged, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let mut message = format!("r={nonce},s={},i={}", STANDARD.encode(keys.salt()), keys.iterations());
        if let Some(hash) = downgrade_protection(self.hash, offer) {
            message.push_str(",h=");
            message.push_str(&hash);
        }
        let bytes = message.clone().into_bytes();
        (Challenged { first: self, nonce, message, keys, genuine, disabled }, bytes)
    }
}

/// The server-first-message is sent; the proof is awaited.
#[derive(Debug)]
pub(super) struct Challenged {
    first: First,
    /// Client's and server's part.
    nonce: String,
    /// The server-first-message.
    message: String,
    keys: ScramKeys,
    genuine: bool,
    disabled: Option<Disabled>,
}

impl Challenged {
    /// Reads a client-final-message of §7 and checks its proof (§3); the account and the server-final-message.
    pub(super) fn verify(&self, message: &[u8]) -> Result<(BareJid, Vec<u8>), SaslFailure> {
        let text = text(message)?;

        // client-final-message = channel-binding "," nonce ["," extensions] "," proof
        let (without_proof, proof) = text.rsplit_once(',').ok_or(SaslFailure::MalformedRequest)?;
        let proof = decode(value(proof, "p=")?)?;
        let mut attributes = without_proof.split(',');
        let binding = decode(value(attributes.next().unwrap_or_default(), "c=")?)?;
        let nonce = value(attributes.next().unwrap_or_default(), "r=")?;
        attributes.try_for_each(extension)?;
        if proof.len() != self.first.hash.digest_bytes() {
            return Err(SaslFailure::MalformedRequest);
        }

        let right_binding = binding.ct_eq(&self.first.cbind_input);
        let right_nonce = nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let genuine = Choice::from(u8::from(self.genuine));

        let hash = self.first.hash;
        let auth_message = format!("{},{},{without_proof}", self.first.bare, self.message);
        let client_signature = hash.hmac(self.keys.stored_key(), auth_message.as_bytes());
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(proof.iter().zip(client_signature.as_ref()).map(|(proof, signature)| proof ^ signature).collect());
        let right_proof = hash.hash(&client_key).as_ref().ct_eq(self.keys.stored_key());

        if !bool::from(right_binding & right_nonce & genuine & right_proof) {
            return Err(SaslFailure::NotAuthorized);
        }
        if let Some(disabled) = &self.disabled {
            return Err(SaslFailure::AccountDisabled(disabled.reason.clone()));
        }
        let server_signature = hash.hmac(self.keys.server_key(), auth_message.as_bytes());
        let last = format!("v={}", STANDARD.encode(server_signature.as_ref()));
        Ok((self.first.account.clone(), last.into_bytes()))
    }
}

/// §6: what the flag `gs2-cbind-flag` binds the exchange to; nothing for `n` and `y`.
fn binding<'a>(flag: &str, bound: bool, offer: &'a Offer) -> Result<&'a [u8], SaslFailure> {
    match (flag, bound) {
        ("n", false) => Ok(&[]),
        // The client could bind and has seen no -PLUS.
        ("y", false) if offer.mechanisms.iter().any(|mechanism| mechanism.is_bound()) => Err(SaslFailure::Downgraded),
        ("y", false) => Ok(&[]),
        (flag, true) => {
            let name = value(flag, "p=")?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
            if !is_name {
                return Err(SaslFailure::MalformedRequest);
            }
            offer.bindings.named(name).ok_or(SaslFailure::UnknownBinding)
        }
        _ => Err(SaslFailure::MalformedRequest),
    }
}

/// XEP-0474 §6.1: the value of `h`, a hash of what was offered. Nothing where nothing was, so that there is nothing to protect.
fn downgrade_protection(hash: ScramHash, offer: &Offer) -> Option<String> {
    if offer.mechanisms.is_empty() {
        return None;
    }
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable(); // byte by byte, which is the collation i;octet
        names.join("\x1e")
    };
    let mut text = sorted(offer.mechanisms.iter().copied().map(Mechanism::name).collect());
    if !offer.bindings.is_empty() {
        text.push('\x1f');
        text.push_str(&sorted(offer.bindings.types().map(BindingType::name).collect()));
    }
    Some(STANDARD.encode(hash.hash(text.as_bytes())))
}

/// Messages are UTF-8 without NUL.
fn text(message: &[u8]) -> Result<&str, SaslFailure> {
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0')).ok_or(SaslFailure::MalformedRequest)
}

/// The value of the attribute that must stand here.
fn value<'a>(attribute: &'a str, name: &str) -> Result<&'a str, SaslFailure> {
    attribute.strip_prefix(name).ok_or(SaslFailure::MalformedRequest)
}

/// `attr-val` of an extension, which is ignored unless it is the mandatory `m` (§5.1).
fn extension(attribute: &str) -> Result<(), SaslFailure> {
    match attribute.as_bytes() {
        [name, b'=', _, ..] if name.is_ascii_alphabetic() && *name != b'm' => Ok(()),
        _ => Err(SaslFailure::MalformedRequest),
    }
}

/// `saslname`: never empty; `=2C` is a comma, `=3D` an equals sign, any other `=` an error (§5.1).
fn saslname(escaped: &str) -> Result<String, SaslFailure> {
    let mut pieces = escaped.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = if let Some(rest) = piece.strip_prefix("2C") {
            (',', rest)
        } else if let Some(rest) = piece.strip_prefix("3D") {
            ('=', rest)
        } else {
            return Err(SaslFailure::MalformedRequest);
        };
        name.push(character);
        name.push_str(rest);
    }
    if name.is_empty() { Err(SaslFailure::MalformedRequest) } else { Ok(name) }
}

/// Base64 inside a message, as strict as outside.
fn decode(value: &str) -> Result<Vec<u8>, SaslFailure> {
    STANDARD.decode(value).map_err(|_| SaslFailure::MalformedRequest)
}
