//! Keeps the cores from going to sleep between two messages: waking one costs a virtual machine several times what a message does, and then no
//! server's figures tell much else. One process for each core does nothing at the lowest priority there is (SCHED_IDLE), so that whoever has
//! work runs at once.

use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::Context as _;

/// The processes; they end with it.
pub struct Awake(Vec<Child>);

impl Awake {
    /// Starts them.
    pub fn keep() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let mut awake = Self(Vec::new());
        for _ in 0..thread::available_parallelism()?.get() {
            let child = Command::new("chrt").args(["--idle", "0"]).arg(&own).arg("awake").stdin(Stdio::null()).spawn();
            awake.0.push(child.context("chrt, of util-linux")?);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended by itself is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The process: busy until its parent is gone.
pub fn run() {
    let parent = rustix::process::getppid();
    // The kernel shares the cores out between sessions first (sched_autogroup): in ours it would use up our servers' part when others are busy.
    if rustix::process::setsid().is_ok() {
        // As good as it can be where the kernel has no such groups.
        let _ = std::fs::write("/proc/self/autogroup", "19");
    }
    while rustix::process::getppid() == parent {
        // Not `spin_loop`: the hypervisor would take it for a wait.
        for round in 0..1_000_000 {
            std::hint::black_box(round);
        }
    }
}
