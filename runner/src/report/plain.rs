//! The report for CI logs: one line for each event that matters, then the summary. No escapes, nothing is redrawn.
//!
//! The main type is [`Plain`].

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use super::choice::Settings;
use super::line_writer::LineWriter;
use super::sentence::{self, Weight};
use super::sink::Report;
use super::style::Style;
use super::summary::Summary;
use super::{fit, summary_text};
use crate::event::{Event, EventKind};
use crate::types::StageName;

/// A line longer than this is cut: a log viewer shows no more, and a plugin may write 64 KiB into one line.
const COLUMNS: usize = 2_000;
/// The column of the stage's name is at most this wide.
const NAME_COLUMNS: usize = 24;

/// Writes a line for each event that matters, and the summary at the end.
pub struct Plain<W> {
    lines: LineWriter<W>,
    style: Style,
    verbose: bool,
    /// In milliseconds.
    interval: u64,
    summary: Summary,
    statuses: HashMap<StageName, Status>,
    /// When each held-back status may be shown.
    due: BTreeSet<(u64, StageName)>,
    name_columns: usize,
    finished: bool,
}

/// The progress of one stage, as far as it is written.
struct Status {
    text: String,
    written_at: u64,
    /// The latest status, where it came too soon to be written, and when it came.
    held: Option<(u64, String)>,
}

impl<W: Write + Send> Plain<W> {
    /// To `writer`.
    pub fn new(writer: W, settings: &Settings, style: Style) -> Self {
        Self {
            lines: LineWriter::new(writer),
            style: style.colourless(),
            verbose: settings.verbose,
            interval: kiln_span::millis(settings.interval),
            summary: Summary::default(),
            statuses: HashMap::new(),
            due: BTreeSet::new(),
            name_columns: 0,
            finished: false,
        }
    }

    fn line(&mut self, at: u64, stage: Option<&StageName>, words: &str) {
        let since = fit::pad_left(&kiln_span::since_start(self.summary.since_start(at)), 7);
        let name = stage.map_or("", |stage| stage.as_str());
        // Lines about the run itself need no column for a stage.
        let name = if name.is_empty() { String::new() } else { format!("{}  ", fit::pad(name, self.name_columns)) };
        let line = format!("[{since}] {name}{words}");
        self.lines.line(&fit::cut(&line, COLUMNS, self.style));
    }

    /// A stage's first status is written at once, a later one when it differs and the interval has passed.
    fn progress(&mut self, at: u64, stage: &StageName, words: String) {
        match self.statuses.get_mut(stage) {
            None => self.write_status(at, stage, words, at),
            Some(status) => {
                self.due.remove(&(status.written_at.saturating_add(self.interval), stage.clone()));
                if status.text == words {
                    status.held = None;
                    return;
                }
                status.held = Some((at, words));
                self.due.insert((status.written_at.saturating_add(self.interval), stage.clone()));
                self.write_due(at);
            }
        }
    }

    /// A status that was held back is written as soon as the interval has passed, whatever happens then: a stage that says
    /// nothing for an hour is shown with what it does, not with what it did before.
    fn write_due(&mut self, now: u64) {
        while let Some((at, stage)) = self.due.first().cloned() {
            if at > now {
                return;
            }
            self.write_held(&stage, now);
        }
    }

    fn write_held(&mut self, stage: &StageName, now: u64) {
        let Some(status) = self.statuses.get_mut(stage) else { return };
        self.due.remove(&(status.written_at.saturating_add(self.interval), stage.clone()));
        if let Some((at, words)) = status.held.take() {
            self.write_status(at, stage, words, now);
        }
    }

    fn write_status(&mut self, at: u64, stage: &StageName, words: String, now: u64) {
        self.line(at, Some(stage), &words);
        self.statuses.insert(stage.clone(), Status { text: words, written_at: now, held: None });
    }
}

impl<W: Write + Send> Report for Plain<W> {
    fn event(&mut self, event: &Event) {
        self.summary.absorb(event);
        if let EventKind::RunStarted { stages, .. } = &event.kind {
            let widest = stages.iter().map(|stage| stage.name.as_str().len()).max();
            self.name_columns = widest.unwrap_or_default().min(NAME_COLUMNS);
        }
        let stage = event.stage.as_ref();
        if let (EventKind::StageProgress { message, done, total }, Some(stage)) = (&event.kind, stage) {
            self.progress(event.at, stage, sentence::status(message, *done, *total));
            return;
        }
        self.write_due(event.at);
        let ends_statuses = matches!(
            event.kind,
            EventKind::StageFinished { .. } | EventKind::StageRetrying { .. } | EventKind::UndoFinished { .. }
        );
        if let (true, Some(stage)) = (ends_statuses, stage) {
            self.write_held(stage, event.at);
            self.statuses.remove(stage);
        }
        let Some(remark) = sentence::of(&event.kind, self.style) else { return };
        if self.verbose || remark.weight != Weight::Verbose {
            self.line(event.at, stage, &remark.text);
        }
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        for line in summary_text::lines(&self.summary, self.style, None) {
            self.lines.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
    use crate::report::screen::Buffer;
    use crate::report::{Output, story};

    fn written(events: &[Event], verbose: bool, interval: u64) -> String {
        let buffer = Buffer::default();
        let settings = Settings { output: Output::Plain, verbose, interval: Duration::from_secs(interval) };
        let mut report = Plain::new(buffer.clone(), &settings, Style::UNICODE);
        for event in events {
            report.event(event);
        }
        report.finish();
        report.finish();
        buffer.text()
    }

    #[test]
    fn foreign_text_cannot_act() {
        for events in [
            story::failed_build(),
            story::crashing_tasks(),
            story::undo_fails(),
            story::retried(),
            story::interrupted(),
        ] {
            for text in HOSTILE {
                let events: Vec<Event> = events.iter().map(|event| poisoned(event, text)).collect();
                assert_eq!(acts(&written(&events, true, 0)), None);
            }
        }
    }

    #[test]
    fn a_run_that_is_done() {
        insta::assert_snapshot!(written(&story::done(), false, 10));
    }

    #[test]
    fn a_run_that_is_done_in_detail() {
        insta::assert_snapshot!(written(&story::done(), true, 0));
    }

    #[test]
    fn a_failed_build() {
        insta::assert_snapshot!(written(&story::failed_build(), false, 10));
    }

    #[test]
    fn a_critical_finding() {
        insta::assert_snapshot!(written(&story::critical_finding(), false, 10));
    }

    #[test]
    fn crashing_tasks_and_an_undo() {
        insta::assert_snapshot!(written(&story::crashing_tasks(), false, 10));
    }

    #[test]
    fn a_retry_and_a_stage_that_is_skipped() {
        insta::assert_snapshot!(written(&story::retried(), false, 10));
    }

    #[test]
    fn an_interruption() {
        insta::assert_snapshot!(written(&story::interrupted(), false, 10));
    }

    #[test]
    fn hostile_long_and_wide_text() {
        insta::assert_snapshot!(written(&story::odd_text(), false, 10));
    }

    #[test]
    fn an_undo_that_fails() {
        insta::assert_snapshot!(written(&story::undo_fails(), false, 10));
    }

    #[test]
    fn no_report_has_an_escape_whatever_the_terminal() {
        for events in story::all() {
            let text = written(&events, true, 0);
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_status_is_written_when_it_changes_but_not_too_often_and_never_lost() {
        let mut story = story::Story::of_web();
        story.at(0).start("build");
        story.at(0).progress("build", "first", None);
        story.at(1_000).progress("build", "second", None);
        story.at(2_000).progress("build", "third", None);
        story.at(12_000).call("scan", "ecr:DescribeImages", false);
        story.at(13_000).progress("build", "third", None);
        story.at(30_000).progress("build", "fourth", None);
        story.at(31_000).progress("build", "fifth", None);
        story.at(32_000).progress("build", "fourth", None);
        story.at(33_000).progress("build", "last", None);
        story.at(34_000).finish("build", serde_json::json!({}), 1);
        let text = written(&story.events, false, 10);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("] build")).collect();
        assert_eq!(
            lines,
            [
                "[   0.0s] build    started",
                "[   0.0s] build    first",
                "[   2.0s] build    third",
                "[  30.0s] build    fourth",
                "[  33.0s] build    last",
                "[  34.0s] build    done in 34.0s",
            ]
        );
    }
}
