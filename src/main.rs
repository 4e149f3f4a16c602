//! campanile: an XMPP server with its own TURN relay.

mod admin;
mod cli;
mod control;
mod drain;
mod draining;
mod lock;
mod logging;
mod names;
mod pages;
mod probe;
mod public;
mod systemd;
mod wiring;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // first of all: with a provider installed no part of the program can pick another
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing ran before main");
    }
    // In huge pages the memory of sessions and allocations would be rounded up to three times what they use; nothing here is faster by
    // them (docs/benchmarks.md). A kernel that does not know of this has none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::run()
}
