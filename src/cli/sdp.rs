//! `campanile sdp`: converts between SDP and Jingle, for whoever writes a client or a gateway. Needs no configuration and no server.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use campanile_signalling::jingle::{Action, Party};
use campanile_signalling::sdp::convert::{self, ConvertError, Request};
use campanile_signalling::sdp::parse::TEXT_BYTES_MAX;
use campanile_signalling::sdp::{Place, Warning};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{line_on_stderr, print, print_raw};

/// Arguments of `campanile sdp`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Read SDP, an SDP fragment or candidate lines; write one <jingle/> a line
    ToJingle(Options),
    /// Read a <jingle/>, or an <iq/> around it; write SDP, for a transport-info alone a fragment of it
    ToSdp(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// What to read; standard input by default
    file: Option<PathBuf>,

    /// Whose description it is, both ways
    #[arg(long, value_enum, default_value_t = Role::Initiator)]
    role: Role,

    /// What the stanza does. By default: to-jingle, a session-initiate for the initiator and a session-accept for the responder, a transport-info for
    /// a fragment, with --session whatever has changed; to-sdp, what the element says
    #[arg(long, value_parser = action)]
    action: Option<Action>,

    /// One JSON object on standard output, with the warnings in it
    #[arg(long)]
    json: bool,

    /// The description before, as SDP or <jingle/>: the same party's, for a session-accept the offer that it answers
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Initiator,
    Responder,
}

fn action(word: &str) -> Result<Action, String> {
    Action::parse(word).ok_or_else(|| "no action of XEP-0166, such as session-initiate".to_owned())
}

/// Exit code 0 if something could be written; warnings do not count.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.direction {
        Direction::ToJingle(options) => convert(options, |text, request| {
            let (stanzas, warnings) = convert::to_jingle(text, request)?;
            Ok((Converted::Jingle(stanzas.iter().map(convert::to_xml).collect()), warnings))
        }),
        Direction::ToSdp(options) => convert(options, |text, request| {
            let (sdp, warnings) = convert::to_sdp(text, request)?;
            Ok((Converted::Sdp(sdp), warnings))
        }),
    }
}

#[derive(Debug)]
enum Converted {
    /// Each a `<jingle/>`.
    Jingle(Vec<String>),
    Sdp(String),
}

fn convert(
    options: &Options,
    convert: impl Fn(&str, &Request<'_>) -> Result<(Converted, Vec<Warning>), ConvertError>,
) -> anyhow::Result<ExitCode> {
    let text = read(options.file.as_deref())?;
    let before = options.session.as_deref().map(|file| read(Some(file))).transpose()?;
    let party = match options.role {
        Role::Initiator => Party::Initiator,
        Role::Responder => Party::Responder,
    };
    let request = Request { party, action: options.action, before: before.as_deref() };
    let (converted, warnings) = convert(&text, &request).map_err(|error| match error {
        ConvertError::Before(error) => anyhow!(*error).context(name(options.session.as_deref())),
        error => anyhow!(error).context(name(options.file.as_deref())),
    })?;
    if options.json {
        let warnings: Vec<Value> = warnings.iter().map(as_json).collect();
        print(&match converted {
            Converted::Jingle(stanzas) => json!({ "jingle": stanzas, "warnings": warnings }).to_string(),
            Converted::Sdp(sdp) => json!({ "sdp": sdp, "warnings": warnings }).to_string(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in &warnings {
        line_on_stderr(&format!("warning: {warning}"));
    }
    match converted {
        Converted::Jingle(stanzas) => stanzas.iter().try_for_each(|stanza| print(stanza))?,
        // with its line ends, the last one too
        Converted::Sdp(sdp) => print_raw(&sdp)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(warning: &Warning) -> Value {
    match &warning.place {
        Place::Line(line) => json!({ "line": line, "text": warning.text }),
        Place::Content(content) => json!({ "content": content.as_str(), "text": warning.text }),
        Place::Session => json!({ "text": warning.text }),
    }
}

fn name(file: Option<&Path>) -> String {
    file.map_or("standard input".to_owned(), |file| file.display().to_string())
}

/// Reads no more than can be converted: standard input may be endless.
fn read(file: Option<&Path>) -> anyhow::Result<String> {
    let name = name(file);
    let mut bytes = Vec::new();
    let limit = TEXT_BYTES_MAX as u64 + 1;
    match file {
        Some(path) => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
        None => io::stdin().lock().take(limit).read_to_end(&mut bytes),
    }
    .with_context(|| format!("{name} cannot be read"))?;
    if bytes.len() > TEXT_BYTES_MAX {
        bail!("{name}: longer than {TEXT_BYTES_MAX} bytes");
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{name}: line {line}: not UTF-8")
    })
}
