//! RFC 8489 §9.2.4: the long-term credentials of a request, and the challenge for them.

use std::sync::Arc;
use std::time::SystemTime;

use campanile_ice::stun::integrity::{Key, PasswordAlgorithm, SecurityFeatures, user_hash};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::answer::Room;
use super::mobility::ticket;
use super::{Now, Refusal, Request, Server};
use crate::datapath::flow::Client;
use crate::stats::AuthFailure;
use crate::turn::auth::{BadName, Signing};
use crate::turn::sessions::RelaySession;

/// Bytes of a USERNAME (RFC 8489 §14.3: "less than 509 bytes").
const USERNAME_BYTES_MAX: usize = 508;

impl Server {
    /// RFC 8489 §9.2.4, in its order.
    pub(super) fn authenticate<'a>(&mut self, client: Client, message: Message<'a>, now: Now) -> Result<Request<'a>, Refusal> {
        if !message.has_integrity() {
            self.stats.challenges += 1;
            return Err(ErrorCode::UNAUTHENTICATED.into());
        }
        let name = message.get(AttributeType::USERNAME).map(Name::Plain);
        let name = name.or_else(|| message.get(AttributeType::USERHASH).map(Name::Hash));
        let nonce = message.get(AttributeType::NONCE);
        let (Some(name), Some(nonce), Some(_)) = (name, nonce, message.get(AttributeType::REALM)) else {
            self.stats.count_auth_failure(AuthFailure::Incomplete);
            return Err(ErrorCode::BAD_REQUEST.into());
        };
        let algorithm = match password_algorithm(&message, nonce) {
            Ok(algorithm) => algorithm,
            Err(code) => {
                self.stats.count_auth_failure(AuthFailure::BidDown);
                return Err(code.into());
            }
        };
        let (username, key, account, session) = self.credentials(self.known(client, &message), name, algorithm, now.time)?;
        if !message.verify(&key.key) {
            self.stats.count_auth_failure(AuthFailure::WrongPassword);
            return Err(ErrorCode::UNAUTHENTICATED.into());
        }
        if !self.auth.is_nonce_good(nonce, client.remote.ip.into(), now.time) {
            self.stats.count_auth_failure(AuthFailure::StaleNonce);
            return Err(Refusal { key: Some(key), ..ErrorCode::STALE_NONCE.into() });
        }
        let allocation = self.by_client.get(&client).copied();
        Ok(Request { message, client, username, key, account, session, allocation })
    }

    /// The credentials that go with what a request is about. An allocation keeps its own, so that it can be used when they have expired.
    fn known(&self, client: Client, message: &Message<'_>) -> Option<Known> {
        let by_ticket = ticket(message).and_then(|ticket| self.by_ticket(ticket).ok());
        if let Some(index) = by_ticket.map(|(index, _)| index).or_else(|| self.by_client.get(&client).copied()) {
            let allocation = &self.allocations[index as usize];
            return Some((allocation.username.clone(), allocation.key.clone(), allocation.account.clone(), allocation.session.clone()));
        }
        if message.method() == Method::CONNECTION_BIND {
            let owner = self.registry.data.pending(message.connection_id().ok().flatten()?)?;
            return Some((owner.username.clone(), owner.key.clone(), owner.account.clone(), None));
        }
        None
    }

    /// The key and account of a user name; those that are known already if it is that one.
    fn credentials(
        &mut self,
        known: Option<Known>,
        name: Name<'_>,
        algorithm: Option<PasswordAlgorithm>,
        time: SystemTime,
    ) -> Result<Known, Refusal> {
        let found;
        let username = match name {
            Name::Plain(username) => username,
            Name::Hash(hash) => {
                // An allocation's own name is found also when it was forgotten since.
                let is_own = |name: &str| user_hash(name, self.auth.realm()).is_ok_and(|own| own.as_slice() == hash);
                let own = known.as_ref().map(|(name, ..)| name.clone()).filter(|name| is_own(name));
                let Some(name) = own.or_else(|| self.auth.username(hash)) else {
                    // May be one that was issued before a restart: the next nonce asks for the name itself.
                    self.stats.count_auth_failure(AuthFailure::UnknownName);
                    return Err(Refusal { is_hash_unknown: true, ..ErrorCode::UNAUTHENTICATED.into() });
                };
                found = name;
                found.as_bytes()
            }
        };
        if let Some(known) = known.filter(|(name, key, ..)| name.as_bytes() == username && key.algorithm == algorithm) {
            return Ok(known);
        }
        let username = std::str::from_utf8(username).ok().filter(|name| name.len() <= USERNAME_BYTES_MAX);
        let owner = username.ok_or(BadName::Unknown).and_then(|username| {
            let owner = self.auth.owner(username, time)?;
            let hash = algorithm.unwrap_or(PasswordAlgorithm::Md5);
            let key = Key::long_term(username, self.auth.realm(), &owner.password, hash).map_err(|_| BadName::Unknown)?;
            Ok((username.into(), Signing { key, algorithm }, owner.account, owner.session))
        });
        owner.map_err(|reason| {
            self.stats.count_auth_failure(match reason {
                BadName::Unknown => AuthFailure::UnknownName,
                BadName::Expired => AuthFailure::Expired,
                BadName::Revoked => AuthFailure::Revoked,
            });
            ErrorCode::UNAUTHENTICATED.into()
        })
    }

    /// 401 and 438 carry realm, a new nonce and the algorithms that its cookie tells of.
    pub(super) fn challenge(&mut self, client: Client, message: &Message<'_>, refusal: Refusal, room: Room, now: Now) {
        let mut features = self.auth.features();
        features.username_anonymity &= !refusal.is_hash_unknown;
        let mut writer = Writer::new(Class::Error, message.method(), message.transaction());
        writer.error(refusal.code);
        writer.attribute(AttributeType::REALM, self.auth.realm().as_bytes());
        writer.attribute(AttributeType::NONCE, self.auth.nonce_with(features, client.remote.into(), now.time).as_bytes());
        writer.attribute(AttributeType::PASSWORD_ALGORITHMS, &PasswordAlgorithm::OFFER);
        if self.send_within(client, writer, refusal.key.as_ref(), room) {
            self.stats.count_error(refusal.code.0);
        }
    }
}

/// User name, key, account, and the session that the credentials belong to.
type Known = (Box<str>, Signing, Arc<str>, Option<RelaySession>);

/// How a request names its user.
#[derive(Clone, Copy)]
enum Name<'a> {
    Plain(&'a [u8]),
    Hash(&'a [u8]),
}

/// The algorithm that a request's key is made with: none for MD5 of RFC 5389. 400 if somebody on the way took a better one from the offer.
fn password_algorithm(message: &Message<'_>, nonce: &[u8]) -> Result<Option<PasswordAlgorithm>, ErrorCode> {
    let is_offered = SecurityFeatures::read(nonce).is_some_and(|(features, _)| features.password_algorithms);
    let offer = message.get(AttributeType::PASSWORD_ALGORITHMS);
    let chosen = message.password_algorithm();
    match (is_offered, offer, chosen) {
        (_, None, Ok(None)) => Ok(None),
        (true, Some(offer), Ok(Some(algorithm))) if offer == PasswordAlgorithm::OFFER => Ok(Some(algorithm)),
        (true, _, _) => Err(ErrorCode::BAD_REQUEST),
        // No nonce of ours says so: the request will be told that it is stale, signed as it is.
        (false, _, chosen) => chosen.map_err(|_| ErrorCode::BAD_REQUEST),
    }
}
