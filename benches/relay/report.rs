//! The table: a row for each measurement, with what was wanted and whether it was reached.

use comfy_table::{CellAlignment, Table, presets};

use super::scenarios::{FORWARDER, Finding};
use super::servers::COTURN;

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// Ours over coturn's, at most.
    OfCoturn(f64),
    /// Ours over the forwarder's, at most.
    OfForwarder(f64),
    /// Ours less the forwarder's, at most.
    OverForwarder(f64),
    /// Ours at most.
    AtMost(f64),
}

/// One measurement.
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// The figure of each subject.
    pub figures: Vec<(String, f64)>,
    /// What is to be reached.
    pub wanted: Vec<Wanted>,
    /// What else is to be said of it, for the terminal.
    pub note: String,
}

impl Row {
    /// Of CPU times, with what was lost and how busy the subjects were.
    pub fn costs(what: String, findings: &[Finding], wanted: &[Wanted]) -> Self {
        let figures = findings.iter().map(|finding| (finding.name.clone(), finding.cost_us)).collect();
        let notes = findings.iter().map(|finding| {
            format!(
                "{}: {:.2} to {:.2} µs, {:.2} cores, {:.0}/s, lost {}",
                finding.name,
                finding.spread[0],
                finding.spread[1],
                finding.cores,
                finding.rate,
                share(finding.loss)
            )
        });
        Self { what, figures, wanted: wanted.to_vec(), note: notes.collect::<Vec<_>>().join("; ") }
    }

    fn of(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(of, _)| of == name).map(|(_, value)| *value)
    }

    /// What was reached, of all that is wanted.
    fn verdicts(&self, ours: &str) -> Vec<String> {
        let Some(ours) = self.of(ours) else { return Vec::new() };
        let each = self.wanted.iter().filter_map(|wanted| {
            let (value, most, text) = match *wanted {
                Wanted::OfCoturn(most) => (ours / self.of(COTURN)?, most, "of coturn"),
                Wanted::OfForwarder(most) => (ours / self.of(FORWARDER)?, most, "of the forwarder"),
                Wanted::OverForwarder(most) => (ours - self.of(FORWARDER)?, most, "over the forwarder"),
                Wanted::AtMost(most) => (ours, most, "in all"),
            };
            let missed = if value <= most { "" } else { ", missed" };
            Some(format!("{} {text} (≤ {most}{missed})", figure(value)))
        });
        each.collect()
    }
}

/// All rows of a run.
pub struct Report {
    rows: Vec<Row>,
    ours: Vec<String>,
}

impl Report {
    /// `ours` are the names that are compared with the others.
    pub fn new(ours: Vec<String>) -> Self {
        Self { rows: Vec::new(), ours }
    }

    /// Adds a row and tells whoever waits at the terminal.
    pub fn add(&mut self, row: Row) {
        let figures: Vec<String> = row.figures.iter().map(|(name, value)| format!("{name} {}", figure(*value))).collect();
        eprintln!("{}: {}; {}", row.what, figures.join(", "), self.verdict(&row));
        if !row.note.is_empty() {
            eprintln!("    {}", row.note);
        }
        self.rows.push(row);
    }

    fn verdict(&self, row: &Row) -> String {
        self.ours.iter().map(|ours| row.verdicts(ours).join(", ")).collect::<Vec<_>>().join("; ")
    }

    /// For a terminal, then in markdown.
    pub fn print(&self) {
        let mut names: Vec<&str> = self.ours.iter().map(String::as_str).collect();
        names.extend([COTURN, FORWARDER]);
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let header: Vec<&str> = ["measured"].into_iter().chain(names.iter().copied()).chain(["ratio (target)"]).collect();
        table.set_header(&header);
        let mut markdown = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
        for row in &self.rows {
            let value = |name: &&str| row.of(name).map_or("–".to_owned(), figure);
            let cells: Vec<String> = [row.what.clone()].into_iter().chain(names.iter().map(value)).chain([self.verdict(row)]).collect();
            markdown += &format!("| {} |\n", cells.join(" | "));
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}\n\n{markdown}");
    }
}

fn share(loss: f64) -> String {
    if loss == 0.0 { "none".to_owned() } else { format!("{:.3} %", loss * 100.0) }
}

fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
