//! What the probe tells: progress while it runs, then a table or JSON, and of a failure the step and what to look at.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Transport;
use super::measure::Quality;

/// Columns that the table needs before its last column is broken into lines.
const COLUMNS_MIN: u16 = 80;

/// The steps, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `--self`: a server of our own.
    Server,
    /// Two throw-away accounts.
    Accounts,
    /// TLS, SASL, resource binding of the end that calls.
    LogInCaller,
    /// The same of the other.
    LogInCallee,
    /// XEP-0215.
    Services,
    /// XMPP and HTTPS on the port for everything.
    Mux,
    /// STUN Binding and TURN Allocate.
    Relay(Transport),
    /// session-initiate to session-accept, with candidates of both.
    Negotiation(Transport),
    /// Connectivity checks.
    Ice(Transport),
    /// The DTLS-SRTP handshake.
    Dtls(Transport),
    /// RTP both ways.
    Media(Transport),
    /// session-terminate, allocations given back.
    HangUp(Transport),
    /// `--self`: the orderly end of our own server.
    Stop,
}

impl Step {
    /// The transport it belongs to.
    pub fn transport(self) -> Option<Transport> {
        match self {
            Step::Relay(transport)
            | Step::Negotiation(transport)
            | Step::Ice(transport)
            | Step::Dtls(transport)
            | Step::Media(transport)
            | Step::HangUp(transport) => Some(transport),
            Step::Server | Step::Accounts | Step::LogInCaller | Step::LogInCallee | Step::Services | Step::Mux | Step::Stop => None,
        }
    }

    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Step::Server => "server",
            Step::Accounts => "accounts",
            Step::LogInCaller => "login_caller",
            Step::LogInCallee => "login_callee",
            Step::Services => "services",
            Step::Mux => "mux",
            Step::Relay(_) => "relay",
            Step::Negotiation(_) => "negotiation",
            Step::Ice(_) => "ice",
            Step::Dtls(_) => "dtls",
            Step::Media(_) => "media",
            Step::HangUp(_) => "hang_up",
            Step::Stop => "stop",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Server => f.write_str("server"),
            Step::Accounts => f.write_str("accounts"),
            Step::LogInCaller => f.write_str("log-in, caller"),
            Step::LogInCallee => f.write_str("log-in, callee"),
            Step::Services => f.write_str("services"),
            Step::Mux => f.write_str("mux"),
            Step::Relay(transport) => write!(f, "{transport}: relay"),
            Step::Negotiation(transport) => write!(f, "{transport}: negotiation"),
            Step::Ice(transport) => write!(f, "{transport}: ICE"),
            Step::Dtls(transport) => write!(f, "{transport}: DTLS"),
            Step::Media(transport) => write!(f, "{transport}: media"),
            Step::HangUp(transport) => write!(f, "{transport}: hang-up"),
            Step::Stop => f.write_str("stop"),
        }
    }
}

/// How one step ended.
#[derive(Debug, Clone)]
enum Outcome {
    Done,
    /// The sentence that says what to look at.
    Failed(String),
    /// Why it was not tried.
    Left(String),
}

/// Both directions of a call.
#[derive(Debug, Clone)]
pub struct Media {
    /// As the callee received it.
    pub caller_to_callee: Quality,
    /// As the caller received it.
    pub callee_to_caller: Quality,
}

#[derive(Debug, Clone)]
struct Entry {
    step: Step,
    outcome: Outcome,
    time: Option<Duration>,
    detail: String,
    media: Option<Media>,
}

/// Collects the steps and shows the one that runs.
pub struct Report {
    entries: Vec<Entry>,
    bar: Option<ProgressBar>,
    running: Option<(Step, Instant)>,
}

impl Report {
    /// Shows progress on standard error if that is a terminal and `show` is set.
    pub fn new(show: bool) -> Report {
        let bar = (show && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Report { entries: Vec::new(), bar, running: None }
    }

    /// A step begins.
    pub fn begin(&mut self, step: Step) {
        self.running = Some((step, Instant::now()));
        if let Some(bar) = &self.bar {
            bar.set_message(step.to_string());
        }
    }

    /// More about the running step, for the eye only.
    pub fn progress(&self, text: &str) {
        if let (Some(bar), Some((step, _))) = (&self.bar, self.running) {
            bar.set_message(format!("{step}: {text}"));
        }
    }

    /// The running step is done.
    pub fn done(&mut self, detail: String) {
        self.end(Outcome::Done, detail, None);
    }

    /// The media step is done, or `Err` says why its result is not good enough.
    pub fn measured(&mut self, media: Media, verdict: Result<(), String>) {
        self.end(verdict.err().map_or(Outcome::Done, Outcome::Failed), String::new(), Some(media));
    }

    /// The running step has failed; `look_at` is a sentence.
    pub fn failed(&mut self, look_at: String) {
        self.end(Outcome::Failed(look_at), String::new(), None);
    }

    /// A step is not taken.
    pub fn left(&mut self, step: Step, why: &str) {
        self.entries.push(Entry { step, outcome: Outcome::Left(why.to_owned()), time: None, detail: String::new(), media: None });
    }

    fn end(&mut self, outcome: Outcome, detail: String, media: Option<Media>) {
        let Some((step, began)) = self.running.take() else { return };
        if let Some(bar) = &self.bar {
            bar.set_message("");
        }
        self.entries.push(Entry { step, outcome, time: Some(began.elapsed()), detail, media });
    }

    /// The step that was running when the probe was interrupted.
    pub fn interrupted(&mut self) {
        self.failed("interrupted".to_owned());
    }

    /// Ends the display of progress.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// The failed steps with their sentences.
    pub fn failures(&self) -> Vec<(Step, &str)> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.outcome {
                Outcome::Failed(sentence) => Some((entry.step, sentence.as_str())),
                Outcome::Done | Outcome::Left(_) => None,
            })
            .collect()
    }

    /// For the eye; `colour` when it goes to a terminal.
    pub fn table(&self, colour: bool) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        // Only the last column may be broken, and not for a terminal that has no room for it or does not know its size.
        if table.width().is_some_and(|columns| columns >= COLUMNS_MIN) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(["step", "", "time", "loss", "jitter", "RTT", ""]);
        for entry in &self.entries {
            let (word, tint, detail) = match &entry.outcome {
                Outcome::Done => ("ok", Color::Green, entry.detail.as_str()),
                Outcome::Failed(_) => ("FAILED", Color::Red, ""),
                Outcome::Left(why) => ("–", Color::Yellow, why.as_str()),
            };
            let result = if colour { Cell::new(word).fg(tint) } else { Cell::new(word) };
            let time = entry.time.map(milliseconds).unwrap_or_default();
            let Some(media) = &entry.media else {
                table.add_row([
                    Cell::new(entry.step),
                    result,
                    Cell::new(time),
                    Cell::new(""),
                    Cell::new(""),
                    Cell::new(""),
                    Cell::new(detail),
                ]);
                continue;
            };
            for (direction, quality, first) in
                [("caller → callee", &media.caller_to_callee, true), ("callee → caller", &media.callee_to_caller, false)]
            {
                let round_trip = quality.round_trip.map(|round_trip| milliseconds(round_trip.median)).unwrap_or_default();
                table.add_row([
                    if first { Cell::new(entry.step) } else { Cell::new("") },
                    if first { result.clone() } else { Cell::new("") },
                    if first { Cell::new(&time) } else { Cell::new("") },
                    Cell::new(format!("{:.1} %", quality.loss() * 100.0)),
                    Cell::new(milliseconds(quality.jitter)),
                    Cell::new(round_trip),
                    Cell::new(format!("{direction}, {} of {} packets", quality.received, quality.sent)),
                ]);
            }
        }
        for (index, column) in table.column_iter_mut().enumerate().take(6) {
            column.set_constraint(ColumnConstraint::ContentWidth);
            if index >= 2 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let failed = self.failures();
        json!({
            "ok": failed.is_empty(),
            "steps": self.entries.iter().map(Entry::json).collect::<Vec<_>>(),
            "failed": failed.iter().map(|(step, sentence)| json!({ "step": step.to_string(), "look_at": sentence })).collect::<Vec<_>>(),
        })
    }
}

impl Entry {
    fn json(&self) -> Value {
        let (outcome, sentence) = match &self.outcome {
            Outcome::Done => ("ok", None),
            Outcome::Failed(sentence) => ("failed", Some(sentence)),
            Outcome::Left(why) => ("left_out", Some(why)),
        };
        json!({
            "step": self.step.key(),
            "transport": self.step.transport().map(|transport| transport.to_string().to_ascii_lowercase()),
            "outcome": outcome,
            "time_ms": self.time.map(ms),
            "detail": sentence.unwrap_or(&self.detail),
            "media": self.media.as_ref().map(|media| json!({
                "caller_to_callee": quality(&media.caller_to_callee),
                "callee_to_caller": quality(&media.callee_to_caller),
            })),
        })
    }
}

fn quality(quality: &Quality) -> Value {
    json!({
        "sent": quality.sent,
        "received": quality.received,
        "loss": quality.loss(),
        "duplicates": quality.duplicates,
        "reordered": quality.reordered,
        "jitter_ms": ms(quality.jitter),
        "one_way_ms": quality.one_way.map(ms),
        "rtt_ms": quality.round_trip.map(|round_trip| ms(round_trip.median)),
        "rtt_max_ms": quality.round_trip.map(|round_trip| ms(round_trip.max)),
    })
}

/// Milliseconds with the three digits that mean something.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn milliseconds(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::measure::Meter;

    fn report() -> Report {
        let mut report = Report::new(false);
        report.begin(Step::Services);
        report.done("turn UDP".into());
        report.begin(Step::Media(Transport::Udp));
        let quality = Meter::default().quality(100);
        report.measured(Media { caller_to_callee: quality.clone(), callee_to_caller: quality }, Err("nothing came".into()));
        report.left(Step::Relay(Transport::Tls), "switched off");
        report
    }

    #[test]
    fn the_table_shows_each_step_and_both_directions() {
        let table = report().table(false);
        for text in ["services", "turn UDP", "UDP: media", "FAILED", "100.0 %", "callee → caller, 0 of 100 packets", "switched off"] {
            assert!(table.contains(text), "{text} in\n{table}");
        }
        assert!(!table.contains('\u{1b}'));
    }

    #[test]
    fn json_says_what_failed() {
        let json = report().json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["steps"][1]["transport"], "udp");
        assert_eq!(json["steps"][1]["media"]["callee_to_caller"]["loss"], 1.0);
        assert_eq!(json["steps"][2]["outcome"], "left_out");
        assert_eq!(json["failed"], json!([{ "step": "UDP: media", "look_at": "nothing came" }]));
    }
}
