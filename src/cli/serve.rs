//! `campanile serve`: runs the server until it is told to stop.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use campanile_config::{Config, Loaded, live};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::logging::{self, Logging};
use crate::systemd;
use crate::wiring::Server;

/// Serves. SIGTERM and SIGINT end it in order, SIGHUP reads configuration and certificates again.
///
/// # Errors
/// What keeps it from starting.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let loaded = super::load(file)?;
    let logging = logging::start(loaded.config.server.log_format, &loaded.config.server.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads can be started")?;
    runtime.block_on(serve(loaded, &logging))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(loaded: Loaded, logging: &Logging) -> anyhow::Result<()> {
    // Signals first: one that comes while the server starts must not kill it half-way.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let Loaded { mut config, file, warnings, .. } = loaded;
    warnings.iter().for_each(|warning| warn!("{warning}"));
    match &file {
        Some(file) => info!(file = %file.display(), "configuration read"),
        None => info!("no configuration file, serving with the built-in defaults"),
    }
    let server = Server::start(&config).await?;
    info!(domains = config.server.domains.join(" "), services = server.told(), "what clients are told");
    server.addresses().log_ready();
    systemd::ready("serving");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = server.drained() => break,
            _ = hangup.recv() => reload(&mut config, file.as_deref(), &server, logging).await,
        }
    }
    info!("stopping");
    systemd::stopping();
    server.shutdown().await;
    info!("stopped");
    Ok(())
}

/// A configuration that is wrong changes nothing.
async fn reload(running: &mut Config, file: Option<&Path>, server: &Server, logging: &Logging) {
    systemd::reloading();
    match super::load(file) {
        Ok(new) => {
            let changes = live::changes(running, &new.config);
            if let Err(error) = logging.set_filter(&new.config.server.log) {
                error!(%error, "the log's filter stays as it is");
            }
            live::adopt(running, new.config);
            server.reload(running).await;
            info!(changed = changes.live.join(" "), after_restart = changes.restart.join(" "), "configuration reloaded");
        }
        Err(problems) => {
            problems.0.iter().for_each(|problem| error!("{problem}"));
            error!("the configuration was not reloaded");
        }
    }
    systemd::ready("serving");
}
