//! What clients see of the router, its features and a database, without a network: one file per subject.

mod account_data;
mod accounts;
mod broadcast;
mod conversions;
mod messages;
mod muc;
mod nodes_of_accounts;
mod pep_interest;
mod pubsub;
mod push;
mod rfc6121;
mod routing;
mod world;
mod written_at_once;
