//! The table: a row for each measurement, a column for each server.

use comfy_table::{CellAlignment, Table, presets};

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Ours over the better of the two others, at most.
    Ratio(f64),
    /// The same, and ours over the floor.
    RatioAndFloor(f64, f64),
    /// Ours at most.
    Absolute(f64),
    /// Ours over ours in the first row of the same group, at most.
    Flat(f64),
    /// Nothing: it is shown.
    Shown,
}

/// One measurement.
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// The figure of each server.
    pub figures: Vec<(String, f64)>,
    /// What is to be reached.
    pub target: Target,
    /// The figure of ours to which [`Target::Flat`] refers.
    pub first: Option<f64>,
}

/// All rows of a run.
#[derive(Default)]
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
        self.rows.push(row);
    }

    fn verdict(&self, row: &Row) -> String {
        let others = row.figures.iter().filter(|(name, _)| !self.ours.contains(name) && name != super::scenarios::FLOOR);
        let better = others.map(|(_, value)| *value).min_by(f64::total_cmp);
        let floor = row.figures.iter().find(|(name, _)| name == super::scenarios::FLOOR).map(|(_, value)| *value);
        let each = row.figures.iter().filter(|(name, _)| self.ours.contains(name)).map(|(_, ours)| match (row.target, better, row.first) {
            (Target::Absolute(most), ..) => mark(*ours, most, figure(*ours)),
            (Target::Flat(most), _, Some(first)) => mark(ours / first, most, format!("{:.2}", ours / first)),
            (Target::Ratio(most), Some(better), _) => mark(ours / better, most, format!("{:.3}", ours / better)),
            (Target::RatioAndFloor(most, of_floor), ..) => {
                let beside = better.map(|better| mark(ours / better, most, format!("{:.3}", ours / better)));
                let floor = floor.map(|floor| mark(ours / floor, of_floor, format!("{:.2} of the floor", ours / floor)));
                beside.into_iter().chain(floor).collect::<Vec<_>>().join(" and ")
            }
            _ => "–".to_owned(),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    /// For a terminal, then in markdown.
    pub fn print(&self) {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.figures) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let header: Vec<&str> = ["measured"].into_iter().chain(names.iter().copied()).chain(["result", "target"]).collect();
        table.set_header(&header);
        let mut markdown = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
        for row in &self.rows {
            let value = |name: &&str| row.figures.iter().find(|(of, _)| of == name).map_or("–".to_owned(), |(_, value)| figure(*value));
            let target = match row.target {
                Target::Ratio(most) => format!("≤ {most} of the better"),
                Target::RatioAndFloor(most, floor) => format!("≤ {most} of the better, ≤ {floor} of the floor"),
                Target::Absolute(most) => format!("≤ {most}"),
                Target::Flat(most) => format!("≤ {most} of the first"),
                Target::Shown => String::new(),
            };
            let cells: Vec<String> =
                [row.what.clone()].into_iter().chain(names.iter().map(value)).chain([self.verdict(row), target]).collect();
            markdown += &format!("| {} |\n", cells.join(" | "));
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}\n\n{markdown}");
    }
}

fn mark(value: f64, most: f64, text: String) -> String {
    if value <= most { text } else { format!("{text} (missed)") }
}

fn figure(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
