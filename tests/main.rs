//! Black-box tests: the real server with real clients, one file per promise to users. What needs clients that are not Rust is left out
//! (`ignored`) by plain `cargo test`; `tests/run` installs them and leaves nothing out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod account_data;
mod archive;
mod backup;
mod bad_input;
mod browser_call;
mod call_page;
mod call_through_relay;
mod chat;
mod cli;
mod client_state;
mod dashboards;
mod documents;
mod domains;
mod drain;
mod foreign_clients;
mod hostile;
mod login;
mod muc_clients;
mod muc_examples;
mod muji_call;
mod mux;
mod nat_discovery;
mod node_crash;
mod operation;
mod pep_clients;
mod postgres;
mod presence_roster;
mod probe;
mod proxy_protocol;
mod public_address;
mod pubsub_clients;
mod pubsub_examples;
mod push;
mod registration;
mod relay_abuse;
mod relay_fence;
mod resumption;
mod room_crash;
mod sdp_call;
mod sdp_oracle;
mod sdp_tool;
mod turn_tcp;
mod turn_tls;
mod turn_udp;
mod websocket;
