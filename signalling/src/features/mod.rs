//! What the server can do, one file per specification. `register` is the list of who gets what.

pub mod blocking;
pub mod caps;
pub mod carbons;
pub mod conversions;
pub mod csi;
pub mod disco;
pub mod extdisco;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod last_activity;
pub mod mam;
pub mod mds;
pub mod offline;
pub mod ping;
pub mod presence;
pub mod private;
pub mod push;
pub mod register;
pub mod roster;
pub mod stanza_id;
pub mod subscription;
pub mod time;
pub mod vcard;
pub mod version;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use campanile_config::Contact;
use campanile_relay::Relay;

use crate::administration::Administration;
use crate::iq::IqTable;
use crate::muc::Muc;
use crate::ns;
use crate::pubsub::PubSub;
use crate::router::Router;
use crate::xml::XmlWriter;

/// What the rest of the server has to tell features, or to ask of them.
#[derive(Debug, Clone)]
pub struct Features {
    /// Is told of other external services.
    pub extdisco: Arc<extdisco::Extdisco>,
    /// The nodes of hosts and accounts.
    pub pubsub: Arc<PubSub>,
    /// The rooms.
    pub muc: Arc<Muc>,
}

/// Registers every feature and hands the table to the router. `contact` says whom to write to about the server.
pub fn register(
    router: &Router,
    administration: Arc<Administration>,
    relay: Relay,
    services: extdisco::Services,
    pubsub: Arc<PubSub>,
    muc: Arc<Muc>,
    contact: &Contact,
) -> Features {
    let mut table = IqTable::default();
    disco::Disco::register(router, contact, pubsub.clone(), muc.clone(), &mut table);
    pubsub.register(&mut table);
    muc.register(&mut table);
    roster::Roster::register(router, &mut table);
    blocking::Blocking::register(router, &mut table);
    carbons::Carbons::register(&mut table);
    stanza_id::register(&mut table);
    mam::Mam::register(router, &mut table);
    mds::register(&mut table);
    offline::register(&mut table);
    let extdisco = extdisco::Extdisco::register(router, relay, services, &mut table);
    last_activity::LastActivity::register(router, Instant::now(), &mut table);
    ping::register(&mut table);
    private::Private::register(router, &mut table);
    time::register(&mut table);
    vcard::VCard::register(router, contact, &mut table);
    push::PushNotifications::register(router, &mut table);
    register::Register::register(router, administration.clone(), &mut table);
    conversions::vcard4::register(contact, &mut table);
    version::register(&mut table);
    router.convert(conversions::Conversions::register(router, &pubsub, &mut table));
    administration.reissues(extdisco.clone());
    router.serve(table);
    router.host(&pubsub, &muc);
    router.govern(administration);
    Features { extdisco, pubsub, muc }
}

/// What is offered as stream features beside resource binding (RFC 6120 §4.3.2), on streams of each domain: subscription pre-approval
/// (RFC 6121 §3.4), roster versions (§2.6.1), stream management (XEP-0198 §2), client state indication (XEP-0352 §4.1), the names of what the
/// domain can do (XEP-0115, XEP-0390).
pub fn stream_features(router: &Router, contact: &Contact) -> BTreeMap<String, Vec<Bytes>> {
    let feature = |name: &str, namespace: &str| {
        let mut xml = XmlWriter::new();
        xml.open(name).ns(namespace).close();
        xml.finish()
    };
    let of = |domain: &String| {
        let mut features =
            vec![feature("sub", ns::PRE_APPROVAL), feature("ver", ns::ROSTER_VER), feature("sm", ns::SM), feature("csi", ns::CSI)];
        features.extend(disco::stream_features(router.table(), contact, domain));
        features
    };
    router.domains().iter().map(|domain| (domain.clone(), of(domain))).collect()
}
