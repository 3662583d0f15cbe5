//! Which report a run gets, and on which stream.
//!
//! The main type is [`Settings`].

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::console::Console;
use super::json::Json;
use super::plain::Plain;
use super::sink::Reports;
use super::style::Style;
use crate::clock::Clock;

/// What `--output` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Live lines on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// Plain lines: no colours, nothing is redrawn
    Plain,
    /// JSON: of a run each event on a line, of everything else one document
    Json,
}

/// How a run is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What `--output` says.
    pub output: Output,
    /// Whether debug lines and single AWS calls are shown.
    pub verbose: bool,
    /// Plain lines show the progress of a stage at most this often.
    pub interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { output: Output::Auto, verbose: false, interval: Duration::from_secs(10) }
    }
}

/// The report of a run on the standard streams. `clock` is the run's.
pub fn reports_of_run(settings: &Settings, clock: Clock) -> Reports {
    match kind(settings.output, &Surroundings::of_process()) {
        ReportKind::Json => Reports::new(vec![Box::new(Json::new(io::stdout()))]),
        ReportKind::Plain => Reports::new(vec![Box::new(Plain::new(io::stdout(), settings, Style::of_stdout()))]),
        ReportKind::Live => Reports::new(vec![Box::new(Console::on_stderr(settings, clock))]),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ReportKind {
    Live,
    Plain,
    Json,
}

struct Surroundings {
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    dumb: bool,
    ci: bool,
}

impl Surroundings {
    fn of_process() -> Self {
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            dumb: std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb"),
            ci: std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false"),
        }
    }
}

fn kind(output: Output, surroundings: &Surroundings) -> ReportKind {
    // Whoever redirects either stream wants to keep what is written, and live lines cannot be kept. A CI service may well
    // give its jobs a terminal; it still keeps a log.
    let live =
        surroundings.stdout_is_terminal && surroundings.stderr_is_terminal && !surroundings.dumb && !surroundings.ci;
    match output {
        Output::Json => ReportKind::Json,
        Output::Auto if live => ReportKind::Live,
        Output::Auto | Output::Plain => ReportKind::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_lines_need_a_person_before_both_streams() {
        let terminal = || Surroundings { stdout_is_terminal: true, stderr_is_terminal: true, dumb: false, ci: false };
        assert_eq!(kind(Output::Auto, &terminal()), ReportKind::Live);
        assert_eq!(kind(Output::Plain, &terminal()), ReportKind::Plain);
        assert_eq!(kind(Output::Json, &terminal()), ReportKind::Json);
        for not_live in [
            Surroundings { stdout_is_terminal: false, ..terminal() },
            Surroundings { stderr_is_terminal: false, ..terminal() },
            Surroundings { dumb: true, ..terminal() },
            Surroundings { ci: true, ..terminal() },
        ] {
            assert_eq!(kind(Output::Auto, &not_live), ReportKind::Plain);
        }
    }
}
