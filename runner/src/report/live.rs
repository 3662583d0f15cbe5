//! The redrawn lines at the bottom of a terminal: one for each running stage, and a line of totals below.
//!
//! The main type is [`Live`]. Permanent lines are printed above them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::fit;
use super::style::{Style, Tone};
use crate::types::StageName;

/// Reads the run's clock: milliseconds since the Unix epoch.
pub(crate) type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// More running stages than this get no line of their own; the totals count them.
const SHOWN: usize = 12;
/// How often spinners turn and times go on.
const TURN: Duration = Duration::from_millis(100);

/// The redrawn lines.
pub(crate) struct Live {
    area: MultiProgress,
    totals: ProgressBar,
    style: Style,
    now: Now,
    name_columns: usize,
    turns: Arc<AtomicUsize>,
    running: HashMap<StageName, Running>,
    /// Running stages without a line, the longest running first.
    unshown: VecDeque<StageName>,
    /// What the ticker redraws: the totals, and the shown stages by name.
    ticking: Arc<Bars>,
    ticker: Option<Ticker>,
    open: bool,
}

struct Running {
    since: u64,
    status: String,
    bar: Option<ProgressBar>,
}

struct Ticker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Live {
    pub(crate) fn new(target: ProgressDrawTarget, style: Style, now: Now) -> Self {
        let area = MultiProgress::with_draw_target(target);
        let totals = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self {
            area,
            totals,
            style,
            now,
            name_columns: 0,
            turns: Arc::default(),
            running: HashMap::new(),
            unshown: VecDeque::new(),
            ticking: Arc::default(),
            ticker: None,
            open: true,
        }
    }

    /// Show the totals from now on, with the time since `started`, and make room for names of `name_columns`.
    pub(crate) fn begin(&mut self, started: u64, name_columns: usize) {
        self.name_columns = name_columns;
        let now = Arc::clone(&self.now);
        let style = self.style;
        self.totals.set_style(line_style(move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let time = kiln_span::since_start(now().saturating_sub(started));
            // INVARIANT: writing to the buffer of a line does not fail.
            let _ = out.write_str(&style.paint(Tone::Faint, &fit::pad_left(&time, name_columns + 12)));
        }));
        self.totals = self.area.add(self.totals.clone());
        lock(&self.ticking).push((None, self.totals.clone()));
        self.totals.tick();
    }

    /// Let spinners turn and times go on by themselves.
    pub(crate) fn start_ticking(&mut self) {
        let (stop, stopped) = mpsc::channel();
        let (ticking, turns) = (Arc::clone(&self.ticking), Arc::clone(&self.turns));
        let turn = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TURN) {
                redraw(&ticking, &turns);
            }
        };
        match thread::Builder::new().name("live-report".to_owned()).spawn(turn) {
            Ok(thread) => self.ticker = Some(Ticker { stop, thread }),
            // The lines are still redrawn whenever something happens.
            Err(error) => tracing::debug!(%error, "no thread to redraw the terminal with"),
        }
    }

    /// Print a permanent line above.
    pub(crate) fn above(&mut self, line: &str) {
        if self.open && self.area.println(line).is_err() {
            self.open = false;
        }
    }

    /// A stage works since `since`. A further attempt counts from the first.
    pub(crate) fn stage_runs(&mut self, stage: &StageName, since: u64, status: &str) {
        if self.running.contains_key(stage) {
            self.stage_does(stage, status);
            return;
        }
        self.running.insert(stage.clone(), Running { since, status: status.to_owned(), bar: None });
        self.unshown.push_back(stage.clone());
        self.show_waiting();
    }

    /// What a running stage does now.
    pub(crate) fn stage_does(&mut self, stage: &StageName, status: &str) {
        if let Some(running) = self.running.get_mut(stage) {
            running.status = status.to_owned();
            if let Some(bar) = &running.bar {
                bar.set_message(status.to_owned());
            }
        }
    }

    /// A stage works no more.
    pub(crate) fn stage_ended(&mut self, stage: &StageName) {
        let Some(running) = self.running.remove(stage) else { return };
        match running.bar {
            Some(bar) => {
                self.area.remove(&bar);
                lock(&self.ticking).retain(|(other, _)| other.as_ref() != Some(stage));
            }
            None => self.unshown.retain(|other| other != stage),
        }
        self.show_waiting();
    }

    /// The line of totals.
    pub(crate) fn totals(&mut self, words: &str) {
        let more = match self.unshown.len() {
            0 => String::new(),
            more => format!(", {more} of them not shown"),
        };
        self.totals.set_message(self.style.paint(Tone::Faint, &format!("{words}{more}")));
    }

    /// How many stages work.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// What the ticker does, once.
    #[cfg(test)]
    pub(crate) fn turn(&self) {
        redraw(&self.ticking, &self.turns);
    }

    /// Take all redrawn lines away. What was printed above stays.
    pub(crate) fn close(&mut self) {
        if let Some(Ticker { stop, thread }) = self.ticker.take() {
            drop(stop);
            // INVARIANT: the thread only redraws; a panic of it has nothing to tell here.
            let _ = thread.join();
        }
        let bars = std::mem::take(&mut *lock(&self.ticking));
        for (_, bar) in bars {
            bar.finish_and_clear();
        }
        self.running.clear();
        self.unshown.clear();
        if self.open && self.area.clear().is_err() {
            self.open = false;
        }
    }

    fn show_waiting(&mut self) {
        while self.running.len() - self.unshown.len() < SHOWN {
            let Some(stage) = self.unshown.pop_front() else { return };
            let Some(running) = self.running.get_mut(&stage) else { continue };
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            let (now, turns, style) = (Arc::clone(&self.now), Arc::clone(&self.turns), self.style);
            let name = fit::pad(&fit::cut(stage.as_str(), self.name_columns, style), self.name_columns);
            let since = running.since;
            bar.set_style(line_style(move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let frames = style.spinner();
                let frame = frames.get(turns.load(Ordering::Relaxed) % frames.len()).copied().unwrap_or_default();
                let frame = style.paint(Tone::Accent, frame);
                let time = fit::pad_left(&kiln_span::since_start(now().saturating_sub(since)), 8);
                // INVARIANT: writing to the buffer of a line does not fail.
                let _ =
                    write!(out, "{frame} {}  {}", style.paint(Tone::Strong, &name), style.paint(Tone::Faint, &time));
            }));
            bar.set_message(running.status.clone());
            let bar = self.area.insert_before(&self.totals, bar);
            bar.tick();
            lock(&self.ticking).push((Some(stage), bar.clone()));
            running.bar = Some(bar);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

type Bars = Mutex<Vec<(Option<StageName>, ProgressBar)>>;

/// Turn the spinners by one and let the times go on.
fn redraw(bars: &Bars, turns: &AtomicUsize) {
    turns.fetch_add(1, Ordering::Relaxed);
    // Drawing may block on a slow terminal: the lock is not held meanwhile.
    let bars = lock(bars).clone();
    bars.iter().for_each(|(_, bar)| bar.tick());
}

/// A head of ours, and a message cut to what is left of the terminal's width, measured at each redraw.
fn line_style(
    head: impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync + 'static,
) -> ProgressStyle {
    // INVARIANT: the template is well-formed.
    ProgressStyle::with_template("{head}  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("head", head)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
