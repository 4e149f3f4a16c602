//! What a reload (SIGHUP) may change, and what waits for a restart.

use std::collections::BTreeSet;

use crate::Config;

/// Keys, or whole sections, whose readers follow a reload. A key is added here by the change that makes its reader follow.
/// Sizes are not among them: they bound each other, and what is stored. Nor are the numbers of connections, which the relay reads too.
pub const LIVE: &[&str] = &[
    "server.log",
    "server.drain_s",
    "archive.default",
    "server.public_address",
    "tls",
    "turn.host",
    "auth.registration",
    "auth.anonymous",
    "c2s.require_tls",
    "muc.create",
    "pubsub.create",
    "limits.ack_wait_s",
    "limits.auth_attempts",
    "limits.bytes_burst",
    "limits.bytes_per_second",
    "limits.handshake_s",
    "limits.keepalive_s",
];

/// The difference between the running configuration and a new one, as keys such as `c2s.listen`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force at once.
    pub live: Vec<String>,
    /// In force after a restart.
    pub restart: Vec<String>,
}

/// Compares key by key. Values are not shown: some are secrets.
#[must_use]
pub fn changes(running: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    let (running, new) = (tables(running), tables(new));
    for section in running.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let keys = |config: &toml::Table| config.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let (running, new) = (keys(&running), keys(&new));
        for key in running.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            if running.get(key) != new.get(key) {
                let path = format!("{section}.{key}");
                let side = if is_live(&path) { &mut changes.live } else { &mut changes.restart };
                side.push(path);
            }
        }
    }
    changes
}

/// Takes over the live keys of `new`: what waits for a restart still differs from what runs, and is named again at the next reload.
pub fn adopt(running: &mut Config, new: Config) {
    running.server.log = new.server.log;
    running.server.drain_s = new.server.drain_s;
    running.archive.default = new.archive.default;
    running.server.public_address = new.server.public_address;
    running.tls = new.tls;
    running.turn.host = new.turn.host;
    running.auth = new.auth;
    running.c2s.require_tls = new.c2s.require_tls;
    running.muc.create = new.muc.create;
    running.pubsub.create = new.pubsub.create;
    running.limits.ack_wait_s = new.limits.ack_wait_s;
    running.limits.auth_attempts = new.limits.auth_attempts;
    running.limits.bytes_burst = new.limits.bytes_burst;
    running.limits.bytes_per_second = new.limits.bytes_per_second;
    running.limits.handshake_s = new.limits.handshake_s;
    running.limits.keepalive_s = new.limits.keepalive_s;
}

fn is_live(path: &str) -> bool {
    LIVE.iter().any(|live| path.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn tables(config: &Config) -> toml::Table {
    toml::Table::try_from(config).expect("every field of Config has a TOML form; a test serialises them all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostCertificate, PublicAddress};

    #[test]
    fn changes_are_sorted_by_what_they_need() {
        let running = Config::default();
        let mut new = running.clone();
        assert_eq!(changes(&running, &new), Changes::default());
        new.server.log = "debug".to_owned();
        new.server.data_dir = "elsewhere".into();
        new.tls.hosts.insert("example.org".to_owned(), HostCertificate { certificate: "c".into(), key: "k".into() });
        new.turn.host = Some("turn.example.org".to_owned());
        new.turn.credentials_s = 7;
        let expected = Changes {
            live: vec!["server.log".to_owned(), "tls.hosts".to_owned(), "turn.host".to_owned()],
            restart: vec!["server.data_dir".to_owned(), "turn.credentials_s".to_owned()],
        };
        assert_eq!(changes(&running, &new), expected);
    }

    #[test]
    fn what_is_adopted_is_what_is_live() {
        let mut running = Config::default();
        let mut new = running.clone();
        new.server.log = "debug".to_owned();
        new.server.drain_s = 9;
        new.archive.default = crate::ArchiveDefault::Never;
        new.server.public_address = vec![PublicAddress::Name("relay.example.org".to_owned())];
        new.tls.certificate = Some("c".into());
        new.turn.host = Some("turn.example.org".to_owned());
        new.c2s.require_tls = !new.c2s.require_tls;
        new.muc.create = crate::MayCreate::Anyone;
        new.pubsub.create = crate::MayCreate::Anyone;
        (new.auth.registration, new.auth.anonymous) = (true, true);
        let limits = &mut new.limits;
        (limits.auth_attempts, limits.bytes_burst, limits.bytes_per_second) = (1, 2, 3);
        (limits.handshake_s, limits.keepalive_s, limits.ack_wait_s) = (4, 5, 8);
        (limits.connections, limits.stanza_bytes) = (6, 7);
        let before = changes(&running, &new);
        assert_eq!(before.live.len(), LIVE.len(), "one of each: {:?}", before.live);
        adopt(&mut running, new.clone());
        let restart = vec!["limits.connections".to_owned(), "limits.stanza_bytes".to_owned()];
        assert_eq!(changes(&running, &new), Changes { live: Vec::new(), restart });
    }

    #[test]
    fn a_prefix_of_a_name_is_not_that_name() {
        assert!(is_live("server.log") && is_live("tls.key"));
        assert!(!is_live("server.log_format") && !is_live("tlsx.key"));
    }

    #[test]
    fn live_keys_exist() {
        let mut config = Config::default();
        config.tls.certificate = Some("c".into());
        config.turn.host = Some("t".into());
        let tables = tables(&config);
        for path in LIVE {
            let mut parts = path.split('.');
            let section = tables.get(parts.next().unwrap()).unwrap_or_else(|| panic!("{path}"));
            assert!(parts.next().is_none_or(|key| section.get(key).is_some()), "{path}");
        }
    }
}
