//! Runs the conversations of `tests/scripts/*.xmpp` with the real server over real sockets. `tests/scripts/README.md` says how they are written.
//!
//! An answer is found by its id, a message by its turn, presence that no step wants is passed over; so it makes no difference how the three
//! mix on their way. What a room sends has one order, presence and messages together (XEP-0045 §7.1), and nothing of it is passed over. At the
//! end nobody may have a message, a request or anything from a room left that no step has spoken of.

mod caps;
mod conversation;
pub mod examples;
mod parse;
mod peer;
mod rooms;
mod tree;

use std::path::Path;

use super::server::Server;

use parse::Script;

/// Domains of the servers that scripts run against: those of the specifications' examples.
pub const DOMAINS: [&str; 5] = ["denmark.lit", "shakespeare.lit", "capulet.lit", "montague.lit", "merchantofvenice.lit"];

/// Runs the script of this name; fails with every step that went otherwise.
pub fn run(name: &str) {
    let path = Path::new("tests/scripts").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let script = Script::parse(&text).unwrap_or_else(|(line, what)| panic!("{}:{line}: {what}", path.display()));
    let server = start(&script);
    let failures = conversation::hold(&script, server);
    let shown: Vec<String> = failures.iter().map(|(line, what)| format!("{}:{line}: {what}", path.display())).collect();
    assert!(failures.is_empty(), "\n{}\n{} of {} steps failed", shown.join("\n\n"), failures.len(), script.steps.len());
}

/// A server with all domains, under one certificate for all, and the script's accounts.
fn start(script: &Script) -> Server {
    let domains: Vec<String> = DOMAINS.iter().map(|domain| format!("\"{domain}\"")).collect();
    let config = super::server::CONFIG.replace("[server]", &format!("[server]\ndomains = [{}]", domains.join(", ")));
    let config = format!("{config}[muc]\nhost = \"{}{{domain}}\"\n", rooms::BELOW);
    let accounts: Vec<&str> = script.accounts.iter().map(String::as_str).collect();
    Server::build_for(&config, &script.settings, &accounts, &super::tls::issued(&DOMAINS))
}
