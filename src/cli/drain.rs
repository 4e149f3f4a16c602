//! `campanile drain`: the running server takes nobody new and ends when its calls have ended; this waits for it and says how far it is.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::user::same_user;
use super::{load, print};
use crate::control::{self, Answer, Request};
use crate::drain::Left;
use crate::draining::told;
use crate::lock::is_served;

/// How often it asks.
const ASK: Duration = Duration::from_secs(1);

/// Arguments of `campanile drain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Return as soon as the server drains, and do not wait until it has ended
    #[arg(long)]
    no_wait: bool,
}

/// Exit code 0 once the server has ended.
pub fn run(file: Option<&Path>, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let data_dir = load(file)?.config.server.data_dir;
    same_user(&data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(drain(&data_dir, arguments.no_wait))?;
    Ok(ExitCode::SUCCESS)
}

async fn drain(data_dir: &Path, no_wait: bool) -> anyhow::Result<()> {
    let Some(answer) = control::ask(data_dir, &Request::Drain).await? else {
        bail!("no server runs from {}: there is nothing to drain", data_dir.display());
    };
    let (pid, mut said) = say(&answer, "")?;
    if no_wait {
        return Ok(());
    }
    loop {
        tokio::time::sleep(ASK).await;
        match control::ask(data_dir, &Request::DrainProgress).await {
            Ok(Some(answer)) => said = say(&answer, &said)?.1,
            // Its control socket closes before it has ended.
            Ok(None) | Err(_) if has_ended(data_dir, pid).await? => return Ok(print("the server has ended")?),
            Ok(None) | Err(_) => {}
        }
    }
}

/// Whether that process no longer serves; another one may already do.
async fn has_ended(data_dir: &Path, pid: u32) -> anyhow::Result<bool> {
    let status = control::ask(data_dir, &Request::Status).await;
    Ok(matches!(status, Ok(Some(Answer::Status { pid: now, .. })) if now != pid) || !is_served(data_dir)?)
}

/// Prints what is left unless that was `said` before; gives the server's process, and what is said now.
fn say(answer: &Answer, said: &str) -> anyhow::Result<(u32, String)> {
    let Answer::Draining { calls, allocations, seconds_left, pid } = *answer else {
        bail!("the running server's answer is not understood; is it another version?");
    };
    let counts = format!("{calls} {allocations}");
    if counts != said {
        let left = told(Left { calls, allocations, packets: 0, told: 0 }, Duration::from_secs(seconds_left));
        print(&format!("server {pid} takes nobody new: {left}"))?;
    }
    Ok((pid, counts))
}
