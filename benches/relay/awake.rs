//! Keeps the cores from going to sleep: a thread on each that runs only when nothing else wants to. On a virtual machine an idle core is given
//! back to the host, and waking it costs several times what a packet does; with these every subject finds the same cores awake.

use std::hint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::sys;

/// The threads, which end with it.
pub struct Awake {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Awake {
    /// One for each core.
    pub fn keep() -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..cores).map(|core| {
            let is_over = is_over.clone();
            thread::Builder::new().name("awake".to_owned()).spawn(move || {
                sys::become_idle(core)?;
                while !is_over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
                Ok(())
            })
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { is_over, threads })
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if let Ok(Err(error)) = thread.join() {
                eprintln!("the cores were not kept awake: {error}");
            }
        }
    }
}
