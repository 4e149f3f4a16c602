//! What clients see of the router, its features and a database, without a network: one file per subject.

mod account_data;
mod accounts;
mod broadcast;
mod messages;
mod pubsub;
mod push;
mod rfc6121;
mod routing;
mod world;
