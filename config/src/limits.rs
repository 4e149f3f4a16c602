//! `[limits]`: sizes, rates and counts; every one at least 1. What each protects stands beside it.

use serde::{Deserialize, Serialize};

/// `[limits]`. Bytes are of the wire, `_s` are seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest top-level element before authentication (RFC 6120 §13.12).
    pub stanza_bytes_preauth: usize,
    /// Largest stanza of an authenticated stream; at least 10000 (RFC 6120 §13.12).
    pub stanza_bytes: usize,
    /// Deepest nesting inside one stanza.
    pub stanza_depth: usize,
    /// Bytes per second that one client stream may send on average; beyond them it is read more slowly.
    pub bytes_per_second: u32,
    /// Bytes that one client stream may send at once before that rate counts.
    pub bytes_burst: u32,
    /// Open client connections, all listeners together.
    pub connections: u32,
    /// Open client connections from one source: an IPv4 address or an IPv6 /64.
    pub connections_per_source: u32,
    /// Time from connecting to a bound resource.
    pub handshake_s: u64,
    /// Silence of a client after which something is sent to it, so that a dead connection is found (RFC 6120 §4.6). The
    /// default is shorter than the five minutes after which many middleboxes forget a TCP connection.
    pub keepalive_s: u64,
    /// Bytes queued for one session; beyond them its stream ends.
    pub mailbox_bytes: usize,
    /// Failed log-ins on one stream before it ends (RFC 6120 §6.4.5).
    pub auth_attempts: u32,
    /// Passwords and keys derived at the same time.
    pub auth_concurrency: usize,
    /// Bound resources of one account.
    pub sessions_per_account: usize,
    /// Contacts on one roster.
    pub roster_items: usize,
    /// Push services that the clients of one account have enabled (XEP-0357).
    pub push_services: usize,
    /// Rooms that one account has created (XEP-0045).
    pub rooms_per_account: usize,
    /// Sessions in one room. All their presence has at most half of `mailbox_bytes`.
    pub room_occupants: usize,
    /// Owners, admins, members and outcasts of one room, and requests to be a member.
    pub room_affiliations: usize,
    /// Messages that one room keeps in memory for newcomers, of an eighth of `mailbox_bytes` at most.
    pub room_history: usize,
    /// Messages that wait for one account while nobody is logged in to take them; more go back to their senders (XEP-0160 §2).
    pub offline_messages: usize,
    /// Messages in one page of an archive (XEP-0313 §4.3.1).
    pub archive_page: usize,
    /// Live calls followed by the server.
    pub calls: usize,
    /// Live calls of one account.
    pub calls_per_account: usize,
    /// Live TURN allocations.
    pub allocations: usize,
    /// Live TURN allocations of one account.
    pub allocations_per_account: usize,
    /// Live TURN allocations of one source address (an IPv6 /64).
    pub allocations_per_source: usize,
    /// Permissions of one allocation (RFC 8656 §9).
    pub permissions: usize,
    /// Channels of one allocation (RFC 8656 §12).
    pub channels: usize,
    /// Permissions of all TURN allocations of one account.
    pub permissions_per_account: usize,
    /// Channels of all TURN allocations of one account.
    pub channels_per_account: usize,
    /// Bytes per second that all TURN allocations of one account relay, both directions together; what is beyond is dropped. The default is
    /// 10 Gbit/s, more than most servers have: what one account may take of your link is for you to say.
    pub relay_bytes_per_second: u64,
    /// With `turn.fence = "session"` the same of what serves no accepted call: connectivity checks need little, and two accounts that only
    /// want a tunnel get no more. Names made with `turn.secret` are not held to it, as their calls are not seen.
    pub relay_early_bytes_per_second: u64,
    /// Answers to unauthenticated STUN and TURN requests over UDP to one source address (an IPv6 /64), per second in the long run. Beyond them
    /// no answer is longer than 1.2 times its request, since a source may be forged.
    pub stun_answers_per_second: u32,
    /// The same at once, before that rate counts: an office behind one address begins to work.
    pub stun_answers_burst: u32,
    /// Accounts made in the client (XEP-0077) in an hour.
    pub registrations_per_hour: u32,
    /// The same from one source: an IPv4 address or an IPv6 /64.
    pub registrations_per_source: u32,
    /// Anonymous log-ins (XEP-0175) in an hour.
    pub anonymous_per_hour: u32,
    /// The same from one source.
    pub anonymous_per_source: u32,
    /// Addresses on one account's block list (XEP-0191).
    pub blocked_jids: usize,
    /// Private XML of one account (XEP-0049).
    pub private_bytes: usize,
    /// One vCard (XEP-0054), its photo in it.
    pub vcard_bytes: usize,
    /// Nodes of one account (XEP-0163), and nodes that one entity owns at a publish-subscribe service (XEP-0060).
    pub pubsub_nodes: usize,
    /// Items that one node keeps: what its configuration calls `max`.
    pub pubsub_items: usize,
    /// Payload of one item.
    pub pubsub_payload_bytes: usize,
    /// Items and configurations of all nodes of one account, and of all that one entity has made at publish-subscribe services.
    pub pubsub_bytes: usize,
    /// Subscriptions to one node.
    pub pubsub_subscriptions: usize,
    /// Subscriptions of one account, to nodes of this server all together.
    pub pubsub_subscriptions_per_account: usize,
    /// How long a session is kept for its client to resume it (XEP-0198 §5).
    pub resume_s: u64,
    /// How long a client may take to answer when it is asked what it has received (XEP-0198 §4), before its connection is taken for dead.
    pub ack_wait_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_bytes_preauth: 10_240,
            stanza_bytes: 262_144,
            stanza_depth: 64,
            bytes_per_second: 131_072,
            bytes_burst: 1_048_576,
            connections: 10_000,
            connections_per_source: 256,
            handshake_s: 30,
            keepalive_s: 280,
            mailbox_bytes: 2_097_152,
            auth_attempts: 5,
            auth_concurrency: 4,
            sessions_per_account: 32,
            roster_items: 2_000,
            push_services: 16,
            rooms_per_account: 50,
            room_occupants: 1_000,
            room_affiliations: 10_000,
            room_history: 100,
            offline_messages: 2_000,
            archive_page: 250,
            calls: 20_000,
            calls_per_account: 64,
            allocations: 8_192,
            allocations_per_account: 64,
            allocations_per_source: 1_024,
            permissions: 128,
            channels: 64,
            permissions_per_account: 1_024,
            channels_per_account: 1_024,
            relay_bytes_per_second: 1_250_000_000,
            relay_early_bytes_per_second: 65_536,
            stun_answers_per_second: 200,
            stun_answers_burst: 2_000,
            registrations_per_hour: 200,
            registrations_per_source: 5,
            anonymous_per_hour: 10_000,
            anonymous_per_source: 100,
            blocked_jids: 1_000,
            private_bytes: 262_144,
            vcard_bytes: 131_072,
            pubsub_nodes: 1_000,
            pubsub_items: 1_000,
            pubsub_payload_bytes: 131_072,
            pubsub_bytes: 67_108_864,
            pubsub_subscriptions: 20_000,
            pubsub_subscriptions_per_account: 1_000,
            resume_s: 600,
            ack_wait_s: 60,
        }
    }
}

impl Limits {
    /// Every limit by its name.
    pub(crate) fn each(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("stanza_bytes_preauth", self.stanza_bytes_preauth as u64),
            ("stanza_bytes", self.stanza_bytes as u64),
            ("stanza_depth", self.stanza_depth as u64),
            ("bytes_per_second", u64::from(self.bytes_per_second)),
            ("bytes_burst", u64::from(self.bytes_burst)),
            ("connections", u64::from(self.connections)),
            ("connections_per_source", u64::from(self.connections_per_source)),
            ("handshake_s", self.handshake_s),
            ("keepalive_s", self.keepalive_s),
            ("mailbox_bytes", self.mailbox_bytes as u64),
            ("auth_attempts", u64::from(self.auth_attempts)),
            ("auth_concurrency", self.auth_concurrency as u64),
            ("sessions_per_account", self.sessions_per_account as u64),
            ("roster_items", self.roster_items as u64),
            ("push_services", self.push_services as u64),
            ("rooms_per_account", self.rooms_per_account as u64),
            ("room_occupants", self.room_occupants as u64),
            ("room_affiliations", self.room_affiliations as u64),
            ("room_history", self.room_history as u64),
            ("offline_messages", self.offline_messages as u64),
            ("archive_page", self.archive_page as u64),
            ("calls", self.calls as u64),
            ("calls_per_account", self.calls_per_account as u64),
            ("allocations", self.allocations as u64),
            ("allocations_per_account", self.allocations_per_account as u64),
            ("allocations_per_source", self.allocations_per_source as u64),
            ("permissions", self.permissions as u64),
            ("channels", self.channels as u64),
            ("permissions_per_account", self.permissions_per_account as u64),
            ("channels_per_account", self.channels_per_account as u64),
            ("relay_bytes_per_second", self.relay_bytes_per_second),
            ("relay_early_bytes_per_second", self.relay_early_bytes_per_second),
            ("stun_answers_per_second", u64::from(self.stun_answers_per_second)),
            ("stun_answers_burst", u64::from(self.stun_answers_burst)),
            ("registrations_per_hour", u64::from(self.registrations_per_hour)),
            ("registrations_per_source", u64::from(self.registrations_per_source)),
            ("anonymous_per_hour", u64::from(self.anonymous_per_hour)),
            ("anonymous_per_source", u64::from(self.anonymous_per_source)),
            ("blocked_jids", self.blocked_jids as u64),
            ("private_bytes", self.private_bytes as u64),
            ("vcard_bytes", self.vcard_bytes as u64),
            ("pubsub_nodes", self.pubsub_nodes as u64),
            ("pubsub_items", self.pubsub_items as u64),
            ("pubsub_payload_bytes", self.pubsub_payload_bytes as u64),
            ("pubsub_bytes", self.pubsub_bytes as u64),
            ("pubsub_subscriptions", self.pubsub_subscriptions as u64),
            ("pubsub_subscriptions_per_account", self.pubsub_subscriptions_per_account as u64),
            ("resume_s", self.resume_s),
            ("ack_wait_s", self.ack_wait_s),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_names_every_limit_with_its_value() {
        let limits = Limits::default();
        let table = toml::Table::try_from(&limits).unwrap();
        assert_eq!(table.len(), limits.each().len());
        for (name, value) in limits.each() {
            assert_eq!(table[name].as_integer(), i64::try_from(value).ok(), "{name}");
        }
    }
}
