//! Processes under load: started, ended, and what Linux says of one and its children: CPU time and memory.

use std::collections::HashMap;
use std::fs;
use std::ops::{Add, Sub};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// SIGTERM, and SIGKILL when that does not help.
pub fn end(process: &mut Child) {
    if let (Ok(None), Some(pid)) = (process.try_wait(), rustix::process::Pid::from_raw(process.id().cast_signed())) {
        // It may have ended by itself just now.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let limit = Instant::now() + Duration::from_secs(20);
        while matches!(process.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                let _ = process.kill();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Starts a process in a folder of its own, with its output in a file there.
pub fn spawn(mut command: Command, folder: &Path) -> anyhow::Result<Child> {
    let log = fs::File::create(folder.join("output.log"))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("{command:?}"))
}

/// Descriptors for ten thousand sessions or allocations: here, and in the servers, which inherit the limit. Gives it.
pub fn raise_limits() -> anyhow::Result<u64> {
    const WANTED: u64 = 65_536;
    let all = Rlimit { current: Some(WANTED), maximum: Some(WANTED) };
    if setrlimit(Resource::Nofile, all).is_ok() {
        return Ok(WANTED);
    }
    // not root: as far as it is allowed
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("the limit of open files")?;
    Ok(maximum.unwrap_or(WANTED))
}

/// Memory of a process tree, in kB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Resident and not shared with any other process.
    pub private: u64,
}

impl Sub for Memory {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { resident: self.resident.saturating_sub(other.resident), private: self.private.saturating_sub(other.private) }
    }
}

impl Add for Memory {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { resident: self.resident + other.resident, private: self.private + other.private }
    }
}

/// User and system time of a process and its living descendants, in steps of a hundredth of a second.
pub fn cpu(root: u32) -> anyhow::Result<Duration> {
    // USER_HZ is 100 on every Linux that runs these servers.
    const TICK: Duration = Duration::from_millis(10);
    let mut ticks = 0;
    for pid in tree(root)? {
        let Ok(stat) = stat(pid) else { continue };
        // utime and stime: fields 14 and 15 of proc(5), of which the first two are cut off
        ticks += stat[11].parse::<u32>()? + stat[12].parse::<u32>()?;
    }
    Ok(TICK * ticks)
}

/// The same as the scheduler counts it, in nanoseconds; what a thread has used that has ended is not in it, nor what one has used that is running
/// since the last tick of its core.
pub fn cpu_exact(root: u32) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in tree(root)? {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads {
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += Duration::from_nanos(text.split_whitespace().next().context("schedstat")?.parse()?);
        }
    }
    Ok(sum)
}

/// Memory of a process and its descendants.
pub fn memory(root: u32) -> anyhow::Result<Memory> {
    let mut sum = Memory::default();
    for pid in tree(root)? {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("memory of a server")?;
        let field = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default()
        };
        sum = sum + Memory { resident: field("Rss:"), private: field("Private_Clean:") + field("Private_Dirty:") };
    }
    Ok(sum)
}

fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may have ended meanwhile.
        let Ok(stat) = stat(pid) else { continue };
        parents.entry(stat[1].parse()?).or_default().push(pid);
    }
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        all.extend(parents.remove(&all[at]).unwrap_or_default());
        at += 1;
    }
    Ok(all)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold blanks.
fn stat(pid: u32) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("proc(5)")?;
    Ok(rest.split(' ').map(str::to_owned).collect())
}
