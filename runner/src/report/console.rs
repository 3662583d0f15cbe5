//! The report for a person at a terminal: running stages in live lines, what happened above them, the summary at the end.
//!
//! The main type is [`Console`].

use std::io::{self, Write};
use std::sync::Arc;

use indicatif::ProgressDrawTarget;

use super::choice::Settings;
use super::line_writer::LineWriter;
use super::live::Live;
use super::sentence::{self, Weight};
use super::sink::Report;
use super::style::{Style, Tone};
use super::summary::Summary;
use super::{fit, summary_text};
use crate::clock::Clock;
use crate::event::{Event, EventKind, StageOutcome};
use crate::types::StageName;

/// The column of the stage's name is at most this wide.
const NAME_COLUMNS: usize = 24;

/// Shows running stages in redrawn lines, and the summary at the end.
pub struct Console<W> {
    live: Live,
    /// Where the summary goes, once nothing is redrawn any more: the terminal that `live` draws on.
    lines: LineWriter<W>,
    /// How wide the terminal is now.
    columns: Columns,
    style: Style,
    verbose: bool,
    summary: Summary,
    name_columns: usize,
    finished: bool,
}

type Columns = Box<dyn Fn() -> Option<usize> + Send>;

impl Console<io::Stderr> {
    /// On stderr. `clock` is the run's, so that live times and the times in the summary agree.
    pub fn on_stderr(settings: &Settings, clock: Clock) -> Self {
        let columns = || console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns));
        let mut console = Self {
            live: Live::new(ProgressDrawTarget::stderr(), Style::of_stderr(), Arc::new(move || clock.now())),
            lines: LineWriter::new(io::stderr()),
            columns: Box::new(columns),
            style: Style::of_stderr(),
            verbose: settings.verbose,
            summary: Summary::default(),
            name_columns: 0,
            finished: false,
        };
        console.live.start_ticking();
        console
    }
}

impl<W: Write + Send> Console<W> {
    fn follow(&mut self, event: &Event, stage: &StageName) {
        match &event.kind {
            EventKind::StageStarted { attempt: 1 } => self.live.stage_runs(stage, event.at, "started"),
            EventKind::StageStarted { attempt } => {
                self.live.stage_runs(stage, event.at, &format!("started, attempt {attempt}"));
            }
            EventKind::StageProgress { message, done, total } => {
                self.live.stage_does(stage, &sentence::status(message, *done, *total));
            }
            EventKind::StageRetrying { delay, .. } => {
                self.live.stage_does(stage, &format!("waits {} before it tries again", kiln_span::human(*delay)));
            }
            EventKind::UndoStarted => self.live.stage_runs(stage, event.at, "undoing what it did"),
            EventKind::StageFinished { .. } | EventKind::UndoFinished { .. } => self.live.stage_ended(stage),
            EventKind::StageResumed { attempt: _, .. } => self.live.stage_runs(stage, event.at, "goes on"),
            EventKind::CallReconciled { .. }
            | EventKind::LeftOut { .. }
            | EventKind::RunStarted { .. }
            | EventKind::StageLog { .. }
            | EventKind::Call { .. }
            | EventKind::CallRetrying { .. }
            | EventKind::Warning { .. }
            | EventKind::Interrupted { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    fn totals(&mut self) {
        let all = self.summary.stages.len();
        let ended = self.summary.stages.iter().filter(|stage| stage.outcome.is_some()).count();
        let failed = match self.summary.count(StageOutcome::Failed) {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let running = self.live.running();
        let ending = if self.summary.signal.is_some() { "; the run ends now" } else { "" };
        self.live.totals(&format!(
            "{ended} of {} ended{failed}, {running} at work{ending}",
            fit::count(all as u64, "stage")
        ));
    }
}

impl<W: Write + Send> Report for Console<W> {
    fn event(&mut self, event: &Event) {
        self.summary.absorb(event);
        if let EventKind::RunStarted { stages, .. } = &event.kind {
            let widest = stages.iter().map(|stage| stage.name.as_str().len()).max();
            self.name_columns = widest.unwrap_or_default().min(NAME_COLUMNS);
            self.live.begin(event.at, self.name_columns);
        }
        if let Some(stage) = &event.stage {
            self.follow(event, stage);
        }
        let remark = sentence::of(&event.kind, self.style);
        if let Some(remark) = remark.filter(|remark| self.verbose || remark.weight == Weight::Everyone) {
            let symbol = self.style.symbol(remark.symbol);
            let name = event.stage.as_ref().map_or(String::new(), |stage| {
                format!("{}  ", self.style.paint(Tone::Strong, &fit::pad(stage.as_str(), self.name_columns)))
            });
            self.live.above(&format!("{symbol} {name}{}", remark.text));
        }
        self.totals();
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.live.close();
        for line in summary_text::lines(&self.summary, self.style, (self.columns)()) {
            self.lines.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
    use crate::report::screen::Screen;
    use crate::report::story;

    struct Watched {
        screen: Screen,
        console: Console<Screen>,
        now: Arc<AtomicU64>,
    }

    impl Watched {
        fn new(columns: u16, rows: u16, verbose: bool) -> Self {
            let screen = Screen::new(columns, rows);
            let now = Arc::new(AtomicU64::new(story::START));
            let clock = Arc::clone(&now);
            let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
            let console = Console {
                live: Live::new(target, Style::UNICODE, Arc::new(move || clock.load(Ordering::Relaxed))),
                lines: LineWriter::new(screen.clone()),
                columns: Box::new(move || Some(columns.into())),
                style: Style::UNICODE,
                verbose,
                summary: Summary::default(),
                name_columns: 0,
                finished: false,
            };
            Self { screen, console, now }
        }

        /// What the screen shows `millis` after the start, when the earlier ones of `events` have happened.
        fn at(&mut self, events: &[Event], millis: u64) -> String {
            let (from, to) = (self.now.load(Ordering::Relaxed), story::START + millis);
            for event in events.iter().filter(|event| (from..to).contains(&event.at)) {
                self.now.store(event.at, Ordering::Relaxed);
                self.console.event(event);
            }
            self.now.store(to, Ordering::Relaxed);
            self.console.live.turn();
            self.screen.text()
        }

        fn to_the_end(events: &[Event]) -> String {
            let mut watched = Self::new(110, 40, false);
            watched.at(events, u64::MAX / 4);
            watched.console.finish();
            watched.console.finish();
            watched.screen.text()
        }
    }

    #[test]
    fn foreign_text_cannot_act() {
        for events in [story::crashing_tasks(), story::undo_fails()] {
            for text in HOSTILE {
                let events: Vec<Event> = events.iter().map(|event| poisoned(event, text)).collect();
                assert_eq!(acts(&Watched::to_the_end(&events)), None);
            }
        }
    }

    #[test]
    fn a_stage_at_work() {
        insta::assert_snapshot!(Watched::new(90, 40, false).at(&story::done(), 125_000));
    }

    #[test]
    fn logs_and_calls_are_shown_on_demand() {
        insta::assert_snapshot!(Watched::new(120, 40, true).at(&story::done(), 125_000));
    }

    #[test]
    fn waiting_for_the_next_attempt() {
        insta::assert_snapshot!(Watched::new(90, 40, false).at(&story::retried(), 5_000));
    }

    #[test]
    fn undoing() {
        insta::assert_snapshot!(Watched::new(90, 40, false).at(&story::crashing_tasks(), 190_000));
    }

    #[test]
    fn a_run_that_is_done_leaves_its_lines_and_its_summary() {
        insta::assert_snapshot!(Watched::to_the_end(&story::done()));
    }

    #[test]
    fn crashing_tasks_and_an_undo() {
        insta::assert_snapshot!(Watched::to_the_end(&story::crashing_tasks()));
    }

    #[test]
    fn an_interruption() {
        insta::assert_snapshot!(Watched::to_the_end(&story::interrupted()));
    }

    #[test]
    fn many_stages_share_the_lines_that_there_are() {
        let names: Vec<String> = (1..=40).map(|number| format!("stage-{number}")).collect();
        let stages: Vec<_> = names.iter().map(|name| (name.as_str(), "x", None, [].as_slice())).collect();
        let mut story = story::Story::of(&stages);
        for name in &names {
            story.start(name);
        }
        story.at(1_000).finish("stage-2", serde_json::json!({}), 0).finish("stage-30", serde_json::json!({}), 0);
        let events = std::mem::take(&mut story.events);
        insta::assert_snapshot!(Watched::new(90, 40, false).at(&events, 2_000));
    }

    #[test]
    fn a_live_line_never_wraps_whatever_the_width() {
        let events = story::odd_text();
        let mut watched = Watched::new(60, 40, false);
        watched.at(&events, 60);
        watched.screen.set_columns(44);
        let wide = watched.at(&events, 75);
        insta::assert_snapshot!(wide);
    }

    #[test]
    fn whatever_ends_the_report_nothing_redrawn_is_left() {
        for events in story::all() {
            let mut watched = Watched::new(100, 40, false);
            let live = watched.at(&events, 100_000);
            let screen = watched.screen.clone();
            drop(watched);
            let left = screen.text();
            assert!(!left.contains("at work"), "{left}");
            assert!(left.lines().count() <= live.lines().count());
        }
    }
}
