//! Credentials and nonces: long-term credentials (RFC 8489 §9.2) issued by this server or made with the TURN REST secret
//! (draft-uberti-behave-turn-rest). Nothing is remembered per client but the hash of an issued name, and that may be forgotten.
//!
//! An issued name is `EXPIRY:` and, in base64url, the account sealed with AES-256-GCM together with the time of issue and the session that it
//! was issued to. Account passwords are never TURN passwords.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use campanile_ice::stun::integrity::{Integrity, Key, NONCE_COOKIE_BYTES, PasswordAlgorithm, SecurityFeatures, user_hash};

use super::sessions::{RelaySession, SessionTag, Sessions};
use super::ticket::Tickets;

/// What a 0215 answer hands to a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// USERNAME.
    pub username: String,
    /// The password.
    pub password: String,
    /// When no new allocation can be made with them any more.
    pub expires: SystemTime,
}

/// Shows no password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Why a user name is no good (all are answered 401).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Not made by this server, nor for the REST secret.
    Unknown,
    /// Past its expiry.
    Expired,
    /// Issued before the account was revoked, or to a session that is over.
    Revoked,
}

/// Whom a user name stands for, and the password that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// The account; for REST names the whole name after `EXPIRY:`, marked so that it is nobody's account.
    pub account: Arc<str>,
    /// The session that it was issued to, if it was to one.
    pub session: Option<RelaySession>,
    /// The password to derive the key from.
    pub password: String,
}

/// A credential's key, and how messages are signed with it (RFC 8489 §9.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The key.
    pub key: Key,
    /// The PASSWORD-ALGORITHM of the request; none for a client of RFC 5389, whose key is made with MD5.
    pub algorithm: Option<PasswordAlgorithm>,
}

impl Signing {
    /// The integrity attribute of a response: "MUST include the MESSAGE-INTEGRITY-SHA256 attribute" unless the request named no algorithm.
    pub fn integrity(&self) -> Integrity {
        if self.algorithm.is_some() { Integrity::Sha256 } else { Integrity::Sha1 }
    }
}

/// How old a nonce may be (RFC 8656 §5: at most an hour).
const NONCE_LIFE_S: u64 = 3_600;
/// Accounts longer than this are sealed as a hash, since a USERNAME has at most 508 bytes (RFC 8489 §14.3).
const ACCOUNT_BYTES_MAX: usize = 300;
/// Revoked accounts kept in mind; beyond it the oldest is forgotten.
const REVOKED_MAX: usize = 65_536;
const SEAL_NONCE_BYTES: usize = 12;
const NONCE_MAC_BYTES: usize = 12;
/// Issued names found by their hash; beyond it the oldest are forgotten, and their owners asked for the name itself.
const HASHED_NAMES_MAX: usize = 65_536;

/// Makes and checks credentials and nonces; shared by all workers, without state but for live sessions, revoked accounts and hashes of issued
/// names.
pub struct Auth {
    realm: String,
    names: LessSafeKey,
    passwords: hmac::Key,
    nonces: hmac::Key,
    rest: Option<hmac::Key>,
    /// None where mobility is forbidden (RFC 8016).
    tickets: Option<Tickets>,
    life: Duration,
    /// The sessions that names belong to.
    pub sessions: Sessions,
    /// Account → milliseconds of the time before which its names are void.
    revoked: Mutex<HashMap<Arc<str>, u64>>,
    hashed: Mutex<HashedNames>,
}

/// Issued names by USERHASH, and in the order in which they were issued.
#[derive(Default)]
struct HashedNames {
    names: HashMap<[u8; 32], Box<str>>,
    order: VecDeque<[u8; 32]>,
}

impl HashedNames {
    fn insert(&mut self, hash: [u8; 32], username: &str, now_s: u64) {
        if self.names.contains_key(&hash) {
            return;
        }
        let is_over = |username: &str| expiry(username).is_none_or(|expires_s| expires_s <= now_s);
        while let Some(oldest) = self.order.front()
            && (self.order.len() >= HASHED_NAMES_MAX || self.names.get(oldest).is_none_or(|username| is_over(username)))
        {
            self.names.remove(oldest);
            self.order.pop_front();
        }
        self.names.insert(hash, username.into());
        self.order.push_back(hash);
    }
}

impl Auth {
    /// `secret` is this installation's; `rest_secret` the shared secret of the REST draft, if names made with it are accepted.
    pub fn new(realm: String, secret: &[u8; 32], rest_secret: Option<&str>, life: Duration) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |purpose: &str| hmac::sign(&secret, purpose.as_bytes());
        let mut process = [0; 8];
        rand::fill(&mut process).expect("a running system has random numbers");
        let names = UnboundKey::new(&AES_256_GCM, derive("turn names").as_ref()).expect("AES-256 takes 32 bytes of key");
        Self {
            realm,
            names: LessSafeKey::new(names),
            passwords: hmac::Key::new(hmac::HMAC_SHA256, derive("turn passwords").as_ref()),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, derive("turn nonces").as_ref()),
            rest: rest_secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())),
            tickets: Some(Tickets::new(derive("turn tickets").as_ref().first_chunk().expect("HMAC-SHA256 has 32 bytes"), process)),
            life,
            sessions: Sessions::default(),
            revoked: Mutex::default(),
            hashed: Mutex::default(),
        }
    }

    /// Gives no tickets and takes none (RFC 8016: 405).
    pub fn forbid_mobility(&mut self) {
        self.tickets = None;
    }

    /// Makes and opens mobility tickets, unless mobility is forbidden.
    pub fn tickets(&self) -> Option<&Tickets> {
        self.tickets.as_ref()
    }

    /// REALM.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Credentials for an account, good until `now` plus the configured life. `random` makes the name unlike any other.
    pub fn issue(&self, account: &str, now: SystemTime, random: [u8; SEAL_NONCE_BYTES]) -> Credentials {
        self.issue_to(account, None, now, random)
    }

    /// The same, and good no longer than the session lives that they are issued to.
    pub fn issue_to(&self, account: &str, session: Option<&RelaySession>, now: SystemTime, random: [u8; SEAL_NONCE_BYTES]) -> Credentials {
        if let Some(session) = session {
            self.sessions.begin(session);
        }
        let issued_ms = unix_ms(now);
        let expires_s = issued_ms / 1000 + self.life.as_secs();
        let expiry = expires_s.to_string();
        let mut sealed = issued_ms.to_be_bytes().to_vec();
        sealed.extend_from_slice(&session.map_or(0, |session| session.tag.get()).to_be_bytes());
        sealed.extend_from_slice(account_name(account).as_bytes());
        self.names
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(random), Aad::from(expiry.as_bytes()), &mut sealed)
            .expect("AES-GCM seals some hundred bytes");
        let username = format!("{expiry}:{}", URL_SAFE_NO_PAD.encode([&random, sealed.as_slice()].concat()));
        let password = self.password(&username);
        // A realm that is no OpaqueString can have no credentials at all.
        if let Ok(hash) = user_hash(&username, &self.realm) {
            self.hashed.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, &username, issued_ms / 1000);
        }
        Credentials { username, password, expires: UNIX_EPOCH + Duration::from_secs(expires_s) }
    }

    /// Whom a USERNAME stands for.
    ///
    /// # Errors
    /// See [`BadName`].
    pub fn owner(&self, username: &str, now: SystemTime) -> Result<Owner, BadName> {
        let expires_s = expiry(username).ok_or(BadName::Unknown)?;
        let mut life_ends_s = u64::MAX;
        let owner = match self.open(username) {
            Some((issued_ms, tag, account)) => {
                // A life that was made shorter since: revocations are remembered for as long as the one of today.
                life_ends_s = issued_ms / 1000 + self.life.as_secs();
                let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner).get(account.as_str()).copied();
                if revoked.is_some_and(|revoked_ms| issued_ms <= revoked_ms) {
                    return Err(BadName::Revoked);
                }
                let session = tag.map(|tag| self.sessions.show(tag).ok_or(BadName::Revoked)).transpose()?;
                Owner { account: account.into(), session, password: self.password(username) }
            }
            None => {
                let secret = self.rest.as_ref().ok_or(BadName::Unknown)?;
                let user = username.split_once(':').map_or("", |(_, user)| user);
                let password = STANDARD.encode(hmac::sign(secret, username.as_bytes()));
                Owner { account: format!("rest:{user}").into(), session: None, password }
            }
        };
        if expires_s.min(life_ends_s) <= unix_ms(now) / 1000 { Err(BadName::Expired) } else { Ok(owner) }
    }

    /// The issued name behind a USERHASH (RFC 8489 §14.4). None for names that were not issued by this process, or long ago.
    pub fn username(&self, hash: &[u8]) -> Option<Box<str>> {
        let hash: &[u8; 32] = hash.try_into().ok()?;
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).names.get(hash).cloned()
    }

    /// What the nonces for challenges say of this server. Names made by others with the REST secret have no hash that it could know.
    pub fn features(&self) -> SecurityFeatures {
        SecurityFeatures { password_algorithms: true, username_anonymity: self.rest.is_none() }
    }

    /// Makes void all names issued to the account until `now`. Kept in memory until they have expired.
    pub fn revoke(&self, account: &str, now: SystemTime) {
        let now_ms = unix_ms(now);
        let oldest_ms = now_ms.saturating_sub(self.life.as_millis() as u64);
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, at_ms| *at_ms >= oldest_ms);
        if revoked.len() >= REVOKED_MAX
            && let Some(oldest) = revoked.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(account, _)| account.clone())
        {
            revoked.remove(&oldest);
        }
        let until = revoked.entry(account_name(account).into()).or_default();
        *until = now_ms.max(*until);
    }

    /// A nonce for this source. Differs for each port, but is good on all ports of the address, so that a client's second
    /// allocation costs one round trip (RFC 8489 §9.2.4).
    pub fn nonce(&self, source: SocketAddr, now: SystemTime) -> String {
        self.nonce_with(self.features(), source, now)
    }

    /// A nonce whose cookie tells these features; nobody can change them on the way (RFC 8489 §9.2.1).
    pub fn nonce_with(&self, features: SecurityFeatures, source: SocketAddr, now: SystemTime) -> String {
        let time = (unix_ms(now) / 1000) as u32;
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend_from_slice(&source.port().to_be_bytes());
        let cookie = features.cookie();
        let mac = self.nonce_mac(cookie.as_bytes(), &bytes, source.ip());
        bytes.extend_from_slice(&mac);
        cookie + &URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a nonce was made here for this address and is not too old.
    pub fn is_nonce_good(&self, nonce: &[u8], source: IpAddr, now: SystemTime) -> bool {
        let Some((cookie, encoded)) = nonce.split_at_checked(NONCE_COOKIE_BYTES) else { return false };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(encoded) else { return false };
        let Some((head, mac)) = bytes.split_first_chunk::<6>() else { return false };
        if constant_time::verify_slices_are_equal(&self.nonce_mac(cookie, head, source), mac).is_err() {
            return false;
        }
        let made_s = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let now_s = unix_ms(now) / 1000;
        now_s.saturating_sub(made_s) < NONCE_LIFE_S && made_s <= now_s + NONCE_LIFE_S
    }

    fn nonce_mac(&self, cookie: &[u8], head: &[u8], source: IpAddr) -> [u8; NONCE_MAC_BYTES] {
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(cookie);
        context.update(head);
        match source.to_canonical() {
            IpAddr::V4(ip) => context.update(&ip.octets()),
            IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        *context.sign().as_ref().first_chunk().expect("HMAC-SHA256 has 32 bytes")
    }

    /// The password of an issued name; recomputed, never kept.
    fn password(&self, username: &str) -> String {
        STANDARD.encode(hmac::sign(&self.passwords, username.as_bytes()))
    }

    /// Opens an issued name: milliseconds of its issue, the session and the account.
    fn open(&self, username: &str) -> Option<(u64, Option<SessionTag>, String)> {
        let (expiry, sealed) = username.split_once(':')?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_first_chunk::<SEAL_NONCE_BYTES>()?;
        let mut sealed = sealed.to_vec();
        let opened = self.names.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(expiry.as_bytes()), &mut sealed).ok()?;
        let (issued_ms, opened) = opened.split_first_chunk::<8>()?;
        let (tag, account) = opened.split_first_chunk::<8>()?;
        let tag = SessionTag::from_number(u64::from_be_bytes(*tag));
        Some((u64::from_be_bytes(*issued_ms), tag, String::from_utf8(account.to_vec()).ok()?))
    }
}

/// The account as names and quotas know it: itself, or for one too long a hash of it.
pub fn account_name(account: &str) -> Cow<'_, str> {
    if account.len() <= ACCOUNT_BYTES_MAX {
        return Cow::Borrowed(account);
    }
    let hash = digest::digest(&digest::SHA256, account.as_bytes());
    Cow::Owned(format!("sha256:{}", URL_SAFE_NO_PAD.encode(hash)))
}

/// The digits before the first colon, or all of a name without one (REST draft §2.2).
fn expiry(username: &str) -> Option<u64> {
    let digits = username.split_once(':').map_or(username, |(digits, _)| digits);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn auth(rest: Option<&str>) -> Auth {
        Auth::new("example.org".into(), &[7; 32], rest, DAY)
    }

    fn check(auth: &Auth, username: &str, now: SystemTime, expected: Result<&str, BadName>) {
        assert_eq!(auth.owner(username, now).map(|owner| owner.account.to_string()), expected.map(str::to_owned), "{username}");
    }

    #[test]
    fn issued_names_are_opaque_and_open_after_a_restart() {
        let issued = auth(None).issue("juliet@example.org", at(1_000), [1; 12]);
        assert_eq!(issued.expires, at(87_400));
        assert!(issued.username.starts_with("87400:") && !issued.username.contains("juliet"));
        assert!(issued.username.len() < 508);
        let later = auth(None);
        let owner = later.owner(&issued.username, at(2_000)).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((owner.account.as_ref(), owner.password), ("juliet@example.org", issued.password));
        assert_ne!(later.issue("juliet@example.org", at(1_000), [2; 12]).username, issued.username);
    }

    #[test]
    fn altered_expired_and_foreign_names_are_refused() {
        let auth = auth(None);
        let issued = auth.issue("juliet@example.org", at(1_000), [1; 12]).username;
        check(&auth, &issued, at(87_399), Ok("juliet@example.org"));
        check(&auth, &issued, at(87_400), Err(BadName::Expired));
        check(&auth, &issued.replacen("87400", "97400", 1), at(2_000), Err(BadName::Unknown));
        check(&auth, &format!("{issued}A"), at(2_000), Err(BadName::Unknown));
        check(&auth, "99999:juliet", at(2_000), Err(BadName::Unknown));
        check(&auth, "juliet@example.org", at(2_000), Err(BadName::Unknown));
        check(&auth, "", at(2_000), Err(BadName::Unknown));
        check(&auth, ":", at(2_000), Err(BadName::Unknown));
        check(&Auth::new("example.org".into(), &[8; 32], None, DAY), &issued, at(2_000), Err(BadName::Unknown));
    }

    #[test]
    fn rest_s2_2_passwords_of_the_vectors() {
        let auth = auth(Some("campanile-shared-secret"));
        for (username, password) in [("1767225600:juliet", "q16vS71pDMCHhM+OMZ12SqeHiKQ="), ("1767225600", "ilVH3EOML0lry9aCj/O4TiHpdVI=")]
        {
            assert_eq!(auth.owner(username, at(1_767_225_599)).map(|owner| owner.password), Ok(password.to_owned()));
            check(&auth, username, at(1_767_225_600), Err(BadName::Expired));
        }
        check(&auth, "1767225600:juliet", at(0), Ok("rest:juliet"));
        check(&auth, "-5:juliet", at(0), Err(BadName::Unknown));
        check(&auth, "99999999999999999999999:juliet", at(0), Err(BadName::Unknown));
    }

    #[test]
    fn issued_names_are_good_beside_the_rest_secret() {
        let auth = auth(Some("secret"));
        check(&auth, &auth.issue("juliet@example.org", at(5), [1; 12]).username, at(6), Ok("juliet@example.org"));
    }

    #[test]
    fn revoked_accounts_need_new_names() {
        let auth = auth(None);
        let before = auth.issue("juliet@example.org", at(1_000), [1; 12]).username;
        let other = auth.issue("romeo@example.org", at(1_000), [1; 12]).username;
        auth.revoke("juliet@example.org", at(1_001));
        let after = auth.issue("juliet@example.org", at(1_002), [2; 12]).username;
        check(&auth, &before, at(1_003), Err(BadName::Revoked));
        check(&auth, &after, at(1_003), Ok("juliet@example.org"));
        check(&auth, &other, at(1_003), Ok("romeo@example.org"));
    }

    #[test]
    fn names_issued_to_a_session_are_good_as_long_as_it_lives() {
        let auth = auth(None);
        let session = RelaySession { tag: SessionTag::new([7; 8]), party: "juliet@example.org/balcony".into() };
        let issued = auth.issue_to("juliet@example.org", Some(&session), at(1_000), [1; 12]);
        assert!(!issued.username.contains("juliet"));
        let owner = auth.owner(&issued.username, at(1_001)).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((owner.account.as_ref(), owner.session), ("juliet@example.org", Some(session.clone())));
        check(&auth, &auth.issue("juliet@example.org", at(1_000), [1; 12]).username, at(1_001), Ok("juliet@example.org"));
        assert!(auth.sessions.end(session.tag));
        check(&auth, &issued.username, at(1_002), Err(BadName::Revoked));
        // A restart that the session survives, and one that it does not.
        let later = Auth::new("example.org".into(), &[7; 32], None, DAY);
        check(&later, &issued.username, at(1_002), Err(BadName::Revoked));
        later.sessions.begin(&session);
        check(&later, &issued.username, at(1_002), Ok("juliet@example.org"));
    }

    #[test]
    fn a_revocation_told_again_after_a_restart_takes_nothing_back() {
        let auth = auth(None);
        let between = auth.issue("juliet@example.org", at(1_500), [1; 12]).username;
        auth.revoke("juliet@example.org", at(2_000));
        auth.revoke("juliet@example.org", at(1_000));
        check(&auth, &between, at(2_001), Err(BadName::Revoked));
    }

    #[test]
    fn a_shorter_life_counts_for_names_issued_before() {
        let username = auth(None).issue("juliet@example.org", at(1_000), [1; 12]).username;
        let shorter = Auth::new("example.org".into(), &[7; 32], None, Duration::from_secs(60));
        check(&shorter, &username, at(1_059), Ok("juliet@example.org"));
        check(&shorter, &username, at(1_060), Err(BadName::Expired));
    }

    #[test]
    fn long_accounts_fit_a_username() {
        let auth = auth(None);
        let account = format!("{}@example.org", "a".repeat(1_000));
        let issued = auth.issue(&account, at(1_000), [1; 12]);
        assert!(issued.username.len() <= 508);
        check(&auth, &issued.username, at(1_001), Ok(&account_name(&account)));
        let longest = "a".repeat(ACCOUNT_BYTES_MAX);
        assert!(auth.issue(&longest, at(99_999_999_999), [1; 12]).username.len() <= 508);
    }

    #[test]
    fn rfc8489_s14_4_issued_names_are_found_by_their_hash() {
        let auth = auth(None);
        let issued = auth.issue("juliet@example.org", at(1_000), [1; 12]).username;
        let hash = user_hash(&issued, "example.org").unwrap();
        assert_eq!(auth.username(&hash).as_deref(), Some(issued.as_str()));
        assert_eq!(auth.username(&hash[1..]), None);
        assert_eq!(auth.username(&user_hash(&issued, "example.com").unwrap()), None);
        assert_eq!(super::Auth::new("example.org".into(), &[7; 32], None, DAY).username(&hash), None, "another process");
        // Forgotten once expired, when the next one comes.
        auth.issue("juliet@example.org", at(87_400), [2; 12]);
        assert_eq!(auth.username(&hash), None);
    }

    #[test]
    fn hashes_of_names_are_bounded() {
        let mut names = HashedNames::default();
        let hash = |number: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            hash
        };
        for number in 0..HASHED_NAMES_MAX + 10 {
            names.insert(hash(number), "99999:name", 1_000);
            names.insert(hash(number), "99999:name", 1_000);
        }
        assert_eq!((names.names.len(), names.order.len()), (HASHED_NAMES_MAX, HASHED_NAMES_MAX));
        assert!(!names.names.contains_key(&hash(9)) && names.names.contains_key(&hash(10)));
        names.insert(hash(0), "199999:name", 99_999);
        assert_eq!((names.names.len(), names.order.len()), (1, 1));
    }

    #[test]
    fn rfc8489_s9_2_4_anonymity_is_offered_without_a_rest_secret_alone() {
        assert!(auth(None).features().username_anonymity && !auth(Some("secret")).features().username_anonymity);
        assert!(auth(None).features().password_algorithms && auth(Some("secret")).features().password_algorithms);
    }

    #[test]
    fn rfc8489_s9_2_4_nonces_belong_to_a_source_and_a_time() {
        let auth = auth(None);
        let source: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let nonce = auth.nonce(source, at(10_000));
        assert!(nonce.starts_with("obMatJos2wAAA") && nonce.len() < 128);
        assert_ne!(nonce, auth.nonce("192.0.2.1:5001".parse().unwrap(), at(10_000)));
        let check = |nonce: &str, ip: &str, now| auth.is_nonce_good(nonce.as_bytes(), ip.parse().unwrap(), at(now));
        assert!(check(&nonce, "192.0.2.1", 10_000) && check(&nonce, "::ffff:192.0.2.1", 13_599));
        assert!(!check(&nonce, "192.0.2.1", 13_600));
        assert!(!check(&nonce, "192.0.2.2", 10_000));
        assert!(!check("obMatJos2wAAA", "192.0.2.1", 10_000));
        assert!(!check("", "192.0.2.1", 10_000));
        for index in 0..nonce.len() {
            let mut altered = nonce.clone().into_bytes();
            altered[index] ^= 1;
            assert!(!auth.is_nonce_good(&altered, source.ip(), at(10_000)), "byte {index}");
        }
        for weaker in ["obMatJos2gAAA", "obMatJos2QAAA", "obMatJos2AAAA", "obMatJos2wAAB"] {
            assert!(!check(&nonce.replace("obMatJos2wAAA", weaker), "192.0.2.1", 10_000), "{weaker}");
        }
        assert!(Auth::new("r".into(), &[7; 32], None, DAY).is_nonce_good(nonce.as_bytes(), source.ip(), at(10_000)), "a restart");
    }
}
