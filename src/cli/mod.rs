//! The command line: one file per verb. Errors are one line each on standard error, and exit code 1; wrong usage is clap's, and 2.

mod check;
mod drain;
mod probe;
mod sdp;
mod serve;
mod user;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use campanile_config::{Loaded, Problems};
use clap::{Parser, Subcommand};

/// XMPP server with its own TURN relay
#[derive(Debug, Parser)]
#[command(name = "campanile", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,

    /// The configuration file; without it campanile.toml in the current directory if there is one, else the built-in defaults
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server; the default
    Serve,
    /// Let the running server take no new sessions and allocations, and end when its calls have ended or after server.drain_s
    Drain(drain::Arguments),
    /// Read the configuration and say what is wrong with it; changes nothing
    Check,
    /// Make, change, disable, delete and list accounts, with the server running or not; show and end their sessions
    User(user::Arguments),
    /// Place a real call through the running server, over each of its relays, and measure it
    Probe(probe::Arguments),
    /// Convert between SDP and Jingle
    Sdp(sdp::Arguments),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.verb {
        Some(Verb::Check) => check::run(cli.config.as_deref()),
        Some(Verb::Drain(arguments)) => drain::run(cli.config.as_deref(), &arguments),
        Some(Verb::Probe(arguments)) => probe::run(cli.config.as_deref(), &arguments),
        Some(Verb::Sdp(arguments)) => sdp::run(&arguments),
        Some(Verb::User(arguments)) => user::run(cli.config.as_deref(), arguments),
        Some(Verb::Serve) | None => serve::run(cli.config.as_deref()),
    };
    result.unwrap_or_else(|error| {
        complain("error", &error);
        ExitCode::FAILURE
    })
}

/// The configuration that `--config` names, with the overrides of the environment.
fn load(file: Option<&std::path::Path>) -> Result<Loaded, Problems> {
    campanile_config::load(file, std::env::vars_os())
}

/// One line on standard error for each thing that is wrong.
fn complain(kind: &str, error: &anyhow::Error) {
    match error.downcast_ref::<Problems>() {
        Some(problems) => problems.0.iter().for_each(|problem| line_on_stderr(&format!("{kind}: {problem}"))),
        None => line_on_stderr(&format!("{kind}: {}", sentence(error))),
    }
}

/// The error with its causes, on one line. An error whose text holds its cause must not have it as `source` too: it would stand here twice.
fn sentence(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line_on_stderr(line: &str) {
    // nobody is left to be told of a closed standard error
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line to standard output.
fn print(line: &str) -> io::Result<()> {
    print_raw(&format!("{line}\n"))
}

/// Writes to standard output as it is; a reader that has seen enough (`campanile user list | head`) is no error.
fn print_raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use campanile_relay::{Relay, Settings};
    use campanile_signalling::store::Store;
    use clap::CommandFactory as _;

    #[tokio::test]
    async fn a_cause_is_said_once() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let settings = Settings { udp: vec![taken.local_addr().unwrap()], tcp: Vec::new(), ..Settings::default() };
        let relay = Relay::start(settings).context("turn").unwrap_err();
        let store = Store::open("sqlite:/dev/null/campanile.db", std::path::Path::new("/dev/null/data")).await.map(|_| ());
        for (error, cause) in [(relay, "Address already in use"), (store.context("storage").unwrap_err(), "Not a directory")] {
            let said = sentence(&error);
            assert_eq!(said.matches(cause).count(), 1, "{said}");
            assert!(!said.contains('\n'));
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help_and_takes_config_on_either_side() {
        for arguments in [["campanile", "check", "--config", "a.toml"], ["campanile", "--config", "a.toml", "check"]] {
            assert_eq!(Cli::try_parse_from(arguments).unwrap().config, Some(PathBuf::from("a.toml")));
        }
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            let help = Cli::try_parse_from(["campanile", verb.get_name(), "--help"]).unwrap_err();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
        }
    }
}
