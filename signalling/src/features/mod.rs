//! What the server can do, one file per specification. `register` is the list of who gets what.

pub mod blocking;
pub mod carbons;
pub mod disco;
pub mod extdisco;
pub mod ping;
pub mod presence;
pub mod push;
pub mod register;
pub mod roster;
pub mod subscription;
pub mod version;

use std::sync::Arc;

use bytes::Bytes;
use campanile_relay::Relay;

use crate::administration::Administration;
use crate::iq::IqTable;
use crate::ns;
use crate::router::Router;
use crate::xml::XmlWriter;

/// Registers every feature and hands the table to the router.
pub fn register(router: &Router, administration: Arc<Administration>, relay: Relay, services: extdisco::Services) {
    let mut table = IqTable::default();
    disco::Disco::register(router, &mut table);
    roster::Roster::register(router, &mut table);
    blocking::Blocking::register(router, &mut table);
    carbons::Carbons::register(&mut table);
    extdisco::Extdisco::register(relay, services, &mut table);
    ping::register(&mut table);
    push::PushNotifications::register(router, &mut table);
    register::Register::register(router, administration.clone(), &mut table);
    version::register(&mut table);
    router.serve(table);
    router.govern(administration);
}

/// What is offered as stream features beside resource binding (RFC 6120 §4.3.2): subscription pre-approval (RFC 6121 §3.4), roster
/// versions (§2.6.1), stream management (XEP-0198 §2).
pub fn stream_features() -> Vec<Bytes> {
    let feature = |name: &str, namespace: &str| {
        let mut xml = XmlWriter::new();
        xml.open(name).ns(namespace).close();
        xml.finish()
    };
    vec![feature("sub", ns::PRE_APPROVAL), feature("ver", ns::ROSTER_VER), feature("sm", ns::SM)]
}
