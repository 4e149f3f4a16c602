//! `campanile check`: reads the configuration and everything it names, says what is wrong with file, line and key, changes nothing.

use std::path::Path;
use std::process::ExitCode;

use campanile_config::{Config, Loaded, Origins, Problem, Severity};

use super::{line_on_stderr, load, print};
use crate::logging;

/// Exit code 0 unless there is an error; warnings do not count.
pub fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let loaded = load(file)?;
    let problems = problems(&loaded);
    for problem in &problems {
        let kind = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        line_on_stderr(&format!("{kind}: {problem}"));
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Ok(ExitCode::FAILURE);
    }
    let what = loaded.file.as_ref().map_or("the built-in defaults".to_owned(), |file| file.display().to_string());
    let warnings = match problems.len() {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    print(&format!("{what}: no errors{warnings}"))?;
    Ok(ExitCode::SUCCESS)
}

fn problems(loaded: &Loaded) -> Vec<Problem> {
    let (config, origins) = (&loaded.config, &loaded.origins);
    let mut problems = loaded.warnings.clone();
    log_filter(config, origins, &mut problems);
    problems.sort_by_key(|problem| problem.severity);
    problems
}

fn log_filter(config: &Config, origins: &Origins, problems: &mut Vec<Problem>) {
    if let Err(message) = logging::parse(&config.server.log) {
        problems.push(origins.problem(Severity::Error, "server.log", message));
    }
}
