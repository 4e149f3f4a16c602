//! RFC 8489 §9.2.4: the long-term credentials of a request.

use std::sync::Arc;
use std::time::SystemTime;

use campanile_ice::stun::integrity::{Key, PasswordAlgorithm};
use campanile_ice::stun::{AttributeType, ErrorCode, Message};

use super::{Now, Refusal, Request, Server};
use crate::datapath::flow::Client;
use crate::stats::AuthFailure;
use crate::turn::auth::BadName;
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
        let username = message.get(AttributeType::USERNAME);
        let nonce = message.get(AttributeType::NONCE);
        // USERHASH was not offered: no user has that name.
        let username = username.or(message.get(AttributeType::USERHASH).map(|_| [].as_slice()));
        let (Some(username), Some(nonce), Some(_)) = (username, nonce, message.get(AttributeType::REALM)) else {
            self.stats.count_auth_failure(AuthFailure::Incomplete);
            return Err(ErrorCode::BAD_REQUEST.into());
        };
        let Some((username, key, account, session)) = self.credentials(client, username, now.time) else {
            return Err(ErrorCode::UNAUTHENTICATED.into());
        };
        if !message.verify(&key) {
            self.stats.count_auth_failure(AuthFailure::WrongPassword);
            return Err(ErrorCode::UNAUTHENTICATED.into());
        }
        if !self.auth.is_nonce_good(nonce, client.remote.ip.into(), now.time) {
            self.stats.count_auth_failure(AuthFailure::StaleNonce);
            return Err(Refusal { code: ErrorCode::STALE_NONCE, key: Some(key), unknown: Vec::new() });
        }
        let allocation = self.by_client.get(&client).copied();
        Ok(Request { message, client, username, key, account, session, allocation })
    }

    /// The key and account of a user name. An allocation keeps its own, so that it can be refreshed when they have expired.
    fn credentials(
        &mut self,
        client: Client,
        username: &[u8],
        time: SystemTime,
    ) -> Option<(Box<str>, Key, Arc<str>, Option<RelaySession>)> {
        if let Some(&index) = self.by_client.get(&client) {
            let allocation = &self.allocations[index as usize];
            if allocation.username.as_bytes() == username {
                return Some((allocation.username.clone(), allocation.key.clone(), allocation.account.clone(), allocation.session.clone()));
            }
        }
        let username = std::str::from_utf8(username).ok().filter(|name| name.len() <= USERNAME_BYTES_MAX);
        let owner = username.ok_or(BadName::Unknown).and_then(|username| {
            let owner = self.auth.owner(username, time)?;
            let key = Key::long_term(username, self.auth.realm(), &owner.password, PasswordAlgorithm::Md5);
            Ok((username.into(), key.map_err(|_| BadName::Unknown)?, owner.account, owner.session))
        });
        owner
            .map_err(|reason| {
                self.stats.count_auth_failure(match reason {
                    BadName::Unknown => AuthFailure::UnknownName,
                    BadName::Expired => AuthFailure::Expired,
                    BadName::Revoked => AuthFailure::Revoked,
                });
            })
            .ok()
    }
}
