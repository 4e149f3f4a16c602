//! Nodes of accounts whose names say what they are for, and which configuration they have unless their creator says otherwise. Pure.
//!
//! Clients are to ask for these values by publish-options; a client that forgets them must not show its user's private data to contacts.

use super::config::{AccessModel, NodeConfig, SendLast, UpTo};
use crate::ns;

/// The configuration that a new leaf of this name has at an account, where it differs from XEP-0163's.
pub fn defaults(name: &str, config: &mut NodeConfig) {
    match name {
        // XEP-0402 §3.3, XEP-0490 §4.2: a client asks for all of them when it comes.
        ns::BOOKMARKS | ns::MDS => {
            private(config);
            config.max_items = UpTo::Max;
            config.send_last_published_item = SendLast::Never;
        }
        // XEP-0292 §5.2.
        ns::VCARD4_CONTACTS => {
            private(config);
            config.max_items = UpTo::Max;
        }
        // XEP-0292 §4.2.2: "There is no payload, because this is a pure notification".
        ns::VCARD4_NODE => config.deliver_payloads = false,
        // XEP-0048 §3, and what else was private XML before (XEP-0223).
        _ if name.starts_with("storage:") => private(config),
        _ => {}
    }
}

/// XEP-0223 §2.
fn private(config: &mut NodeConfig) {
    config.access_model = AccessModel::Whitelist;
    config.persist_items = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::model::{NodeKind, ServiceKind};

    #[test]
    fn what_is_private_is_so_from_the_beginning() {
        let check = |name: &str, access: AccessModel, max_items: UpTo, send_last: SendLast, payloads: bool| {
            let mut config = NodeConfig::default_for(ServiceKind::Pep, NodeKind::Leaf);
            defaults(name, &mut config);
            let found = (config.access_model, config.max_items, config.send_last_published_item, config.deliver_payloads);
            assert_eq!(found, (access, max_items, send_last, payloads), "{name}");
            assert!(config.persist_items, "{name}");
        };
        let (one, sent) = (UpTo::Number(1), SendLast::OnSubAndPresence);
        check("urn:xmpp:bookmarks:1", AccessModel::Whitelist, UpTo::Max, SendLast::Never, true);
        check("urn:xmpp:mds:displayed:0", AccessModel::Whitelist, UpTo::Max, SendLast::Never, true);
        check("urn:xmpp:contacts", AccessModel::Whitelist, UpTo::Max, sent, true);
        check("storage:bookmarks", AccessModel::Whitelist, one, sent, true);
        check("urn:xmpp:vcard4", AccessModel::Presence, one, sent, false);
        check("http://jabber.org/protocol/tune", AccessModel::Presence, one, sent, true);
    }
}
