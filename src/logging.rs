//! The log: text or JSON lines on standard error, filtered by `RUST_LOG`, else by `server.log`, which a reload may change.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, anyhow};
use campanile_config::LogFormat;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// Handle on the running log.
#[derive(Debug)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts the log. To be called once, by `serve` and `probe`; the other verbs speak for themselves.
///
/// # Errors
/// A filter that is none, with the name of its key or variable; a log that runs already.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<Logging> {
    let (filter, handle) = reload::Layer::new(effective(filter)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Registry::default().with(filter).with(lines).try_init().context("the log runs already")?;
    Ok(Logging { filter: handle })
}

impl Logging {
    /// Puts another `server.log` in force; `RUST_LOG` still overrides it.
    ///
    /// # Errors
    /// A filter that is none; the old one stays.
    pub fn set_filter(&self, filter: &str) -> anyhow::Result<()> {
        self.filter.reload(effective(filter)?).context("the log has ended")
    }
}

fn effective(filter: &str) -> anyhow::Result<EnvFilter> {
    match std::env::var("RUST_LOG") {
        Ok(variable) if !variable.trim().is_empty() => {
            EnvFilter::builder().parse(&variable).with_context(|| format!("the variable RUST_LOG holds no log filter, but `{variable}`"))
        }
        _ => parse(filter).map_err(|message| anyhow!("server.log: {message}")),
    }
}

/// Reads `server.log`. Stricter than `RUST_LOG`, where a misspelt level is taken for the name of a module and silences everything else.
///
/// # Errors
/// What would be right.
pub fn parse(filter: &str) -> Result<EnvFilter, String> {
    const RIGHT: &str = "a level (error, warn, info, debug, trace, off), or module=level, several with commas between them, such as \
                         \"info,campanile_relay=debug\"";
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    let is_plain = |directive: &&&str| !directive.contains(['=', '[']);
    if let Some(wrong) =
        directives.iter().filter(is_plain).find(|directive| directive.is_empty() || directive.parse::<LevelFilter>().is_err())
    {
        return Err(format!("`{wrong}` is not {RIGHT}"));
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| format!("`{filter}` is not {RIGHT}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_modules() {
        for right in ["info", "WARN", "off", "info,campanile_relay=debug", "warn, campanile=trace", "info,[call{sid=a}]=debug"] {
            assert!(parse(right).is_ok(), "{right}");
        }
        for wrong in ["inf", "", "info,", "info;debug", "campanile=loud", "debug,sqlx"] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains("error, warn, info"), "{error}");
        }
    }
}
