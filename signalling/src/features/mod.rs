//! What the server can do, one file per specification. `register` is the list of who gets what.

pub mod carbons;
pub mod disco;
pub mod extdisco;
pub mod ping;
pub mod presence;
pub mod roster;
pub mod subscription;
pub mod version;

use campanile_relay::Relay;

use crate::iq::IqTable;
use crate::router::Router;

/// Registers every feature and hands the table to the router.
pub fn register(router: &Router, relay: Relay, services: Vec<extdisco::Service>) {
    let mut table = IqTable::default();
    disco::Disco::register(router, &mut table);
    roster::Roster::register(router, &mut table);
    carbons::Carbons::register(&mut table);
    extdisco::Extdisco::register(relay, services, &mut table);
    ping::register(&mut table);
    version::register(&mut table);
    router.serve(table);
}
