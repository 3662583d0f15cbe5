//! The end of a report: written so that whoever sees only the last screen of a log knows what happened, where, and what to
//! do.

use std::borrow::Cow;

use kiln_span::human;

use super::style::{Style, Symbol, Tone};
use super::summary::{End, Header, StageSummary, Summary};
use super::{fit, outputs, sentence};
use crate::event::{Failure, RunOutcome, StageOutcome};
use crate::harmless;

/// More stages than this are not listed each: those that are done are counted.
const LISTED: usize = 40;
/// Of long evidence, the first and the last lines are shown: findings begin with the worst, logs end with the cause.
const EVIDENCE_FIRST: usize = 10;
const EVIDENCE_LAST: usize = 30;
/// Of a failure's message, the table shows as much; the whole of it follows.
const REMARK_COLUMNS: usize = 72;
/// A line of evidence longer than this is cut.
const COLUMNS: usize = 2_000;

/// The summary, line by line. On a terminal of so many `columns`, the rows of the table are cut to fit; nothing else is.
pub(crate) fn lines(summary: &Summary, style: Style, columns: Option<usize>) -> Vec<String> {
    let mut page = SummaryText { summary, style, columns: columns.unwrap_or(COLUMNS), lines: Vec::new() };
    match &summary.header {
        Some(header) => page.run(header),
        None => page.lines.push("no run was started".to_owned()),
    }
    page.lines
}

struct SummaryText<'a> {
    summary: &'a Summary,
    style: Style,
    columns: usize,
    lines: Vec<String>,
}

impl SummaryText<'_> {
    fn run(&mut self, header: &Header) {
        self.blank();
        self.stages();
        self.warnings();
        self.failures();
        self.undone();
        self.images();
        self.journal(header);
        self.last_line(header);
    }

    fn blank(&mut self) {
        self.lines.push(String::new());
    }

    fn stages(&mut self) {
        let all = self.summary.stages.len();
        let listed: Vec<&StageSummary> = self
            .summary
            .stages
            .iter()
            .filter(|stage| all <= LISTED || stage.outcome != Some(StageOutcome::Done) || stage.undo.is_some())
            .collect();
        let rows: Vec<[String; 5]> = listed.iter().map(|stage| self.row(stage)).collect();
        let column = |index: usize| {
            rows.iter().filter_map(|row| row.get(index)).map(|cell| fit::width(cell)).max().unwrap_or_default()
        };
        let (names, outcomes, times, calls) = (column(0), column(1), column(2), column(3));
        for (stage, [name, outcome, time, call, remark]) in listed.iter().zip(&rows) {
            let symbol = stage.outcome.map_or(Symbol::Interrupted, sentence::symbol_of_stage);
            let row = format!(
                "{} {}  {}  {}  {}  {remark}",
                self.style.symbol(symbol),
                fit::pad(name, names),
                fit::pad(outcome, outcomes),
                fit::pad_left(time, times),
                fit::pad_left(call, calls),
            );
            self.lines.push(fit::cut(row.trim_end(), self.columns, self.style).into_owned());
        }
        if listed.len() < all {
            self.lines.push(format!("  and {} done", fit::count((all - listed.len()) as u64, "stage")));
        }
    }

    /// Name, outcome, time, calls, remark.
    fn row(&self, stage: &StageSummary) -> [String; 5] {
        let outcome = stage.outcome.map_or("not ended", sentence::word_of_stage);
        let ran = stage.attempts > 0;
        let mut remarks = Vec::new();
        if stage.attempts > 1 {
            remarks.push(fit::count(stage.attempts, "attempt"));
        }
        match &stage.undo {
            Some(Ok(_)) => remarks.push("undone".to_owned()),
            Some(Err(_)) => remarks.push("could not be undone".to_owned()),
            None => {}
        }
        match stage.outcome {
            Some(StageOutcome::Done) => {
                let words = stage.outputs.as_ref().map(|outputs| outputs::in_short(outputs, self.style));
                remarks.extend(words.filter(|words| !words.is_empty()));
            }
            Some(StageOutcome::Failed | StageOutcome::Stuck) => remarks.extend(stage.failure.as_ref().map(|failure| {
                let message = harmless::lines(&failure.message).next().unwrap_or_default();
                fit::cut(&message, REMARK_COLUMNS, self.style).into_owned()
            })),
            Some(StageOutcome::Skipped) => match sentence::why_skipped(stage.skipped) {
                "" => {}
                why => remarks.push(why.to_owned()),
            },
            Some(StageOutcome::NotRun) => {
                let blockers: Vec<&str> = self.summary.blockers(stage).map(|name| name.as_str()).collect();
                if !blockers.is_empty() {
                    remarks.push(format!("needs {}", blockers.join(", ")));
                }
            }
            Some(StageOutcome::Interrupted) | None => {}
        }
        [
            stage.name.to_string(),
            outcome.to_owned(),
            if ran { human(stage.millis) } else { String::new() },
            if ran { fit::count(stage.calls, "call") } else { String::new() },
            remarks.join("; "),
        ]
    }

    fn warnings(&mut self) {
        if self.summary.warnings.is_empty() {
            return;
        }
        self.blank();
        for warning in &self.summary.warnings {
            let stage = warning.stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
            self.block(Symbol::Warning, &format!("warning: {stage}"), &warning.message);
            self.labelled("help", warning.help.as_deref());
        }
    }

    fn undone(&mut self) {
        if self.summary.stages.iter().all(|stage| stage.undo.is_none()) {
            return;
        }
        self.blank();
        for stage in &self.summary.stages {
            match &stage.undo {
                Some(Ok(what)) => self.block(Symbol::Undone, &format!("{} undone: ", stage.name), what),
                Some(Err(failure)) => self.failure(&format!("{} could not be undone", stage.name), failure),
                None => {}
            }
        }
    }

    fn failures(&mut self) {
        for stage in &self.summary.stages {
            // An interrupted stage may carry a failure that says no more than its outcome.
            let word = match stage.outcome {
                Some(StageOutcome::Failed) => "failed",
                Some(StageOutcome::Stuck) => "is stuck",
                Some(StageOutcome::Done | StageOutcome::Skipped | StageOutcome::NotRun | StageOutcome::Interrupted)
                | None => continue,
            };
            if let Some(failure) = &stage.failure {
                self.blank();
                self.failure(&format!("{} {word}", stage.name), failure);
            }
        }
        let interrupted: Vec<&str> = self
            .summary
            .stages
            .iter()
            .filter(|stage| matches!(stage.outcome, Some(StageOutcome::Interrupted)))
            .map(|stage| stage.name.as_str())
            .collect();
        if !interrupted.is_empty() {
            self.blank();
            let signal = self.summary.signal.as_deref().unwrap_or("the end of the run");
            let what = format!("{} while it worked ({signal})", interrupted.join(", "));
            self.block(Symbol::Interrupted, "interrupted: ", &what);
            self.labelled(
                "help",
                Some("what AWS was already told to do goes on; so does the run, where it is resumed"),
            );
        }
    }

    fn failure(&mut self, heading: &str, failure: &Failure) {
        let kind = match kind(failure) {
            Some(kind) => format!(" ({kind})"),
            None => String::new(),
        };
        self.block(Symbol::Failed, &format!("{heading}{kind}: "), &failure.message);
        let all = failure.details.len();
        let hidden = all.saturating_sub(EVIDENCE_FIRST + EVIDENCE_LAST);
        for (index, detail) in failure.details.iter().enumerate() {
            if hidden > 0 && index == EVIDENCE_FIRST {
                let note = format!("{} more {}", self.style.ellipsis(), fit::count(hidden as u64, "line"));
                self.margin(&self.style.paint(Tone::Faint, &note));
            }
            if hidden == 0 || index < EVIDENCE_FIRST || index >= all - EVIDENCE_LAST {
                for line in harmless::lines(detail) {
                    self.margin(&fit::cut(&line, COLUMNS, self.style));
                }
            }
        }
        self.labelled("help", failure.help.as_deref());
    }

    /// A symbol, a heading of ours, and foreign text behind it.
    fn block(&mut self, symbol: Symbol, heading: &str, foreign: &str) {
        let mut rest = harmless::lines(foreign);
        let first = rest.next().unwrap_or_default();
        let heading = self.style.paint(Tone::Strong, heading);
        self.lines.push(format!("{} {heading}{}", self.style.symbol(symbol), fit::cut(&first, COLUMNS, self.style)));
        for line in rest {
            self.margin(&fit::cut(&line, COLUMNS, self.style));
        }
    }

    fn margin(&mut self, line: &str) {
        let margin = self.style.paint(Tone::Faint, self.style.margin());
        self.lines.push(format!("    {margin} {line}").trim_end().to_owned());
    }

    fn labelled(&mut self, label: &str, foreign: Option<&str>) {
        let Some(foreign) = foreign else { return };
        let mut rest = harmless::lines(foreign);
        let first = rest.next().unwrap_or_default();
        let label = self.style.paint(Tone::Accent, &format!("{label}:"));
        self.lines.push(format!("    {label} {}", fit::cut(&first, COLUMNS, self.style)));
        for line in rest {
            self.margin(&fit::cut(&line, COLUMNS, self.style));
        }
    }

    /// The images of this run in full, to be copied: which service runs which, and those that none runs.
    fn images(&mut self) {
        let stands =
            |stage: &&StageSummary| stage.outcome == Some(StageOutcome::Done) && !matches!(stage.undo, Some(Ok(_)));
        let outputs: Vec<_> =
            self.summary.stages.iter().filter(stands).filter_map(|stage| stage.outputs.as_ref()).collect();
        let served: Vec<(&str, &str)> = outputs.iter().filter_map(|outputs| outputs::served(outputs)).collect();
        let mut others: Vec<&str> = outputs
            .iter()
            .flat_map(|outputs| outputs::images(outputs))
            .filter(|image| served.iter().all(|(_, runs)| runs != image))
            .collect();
        others.sort_unstable();
        others.dedup();
        if served.is_empty() && others.is_empty() {
            return;
        }
        self.blank();
        for (service, image) in served {
            self.lines.push(format!("serving  {} runs {}", harmless::line(service), harmless::line(image)));
        }
        for image in others.into_iter().take(LISTED) {
            self.lines.push(format!("image    {}", harmless::line(image)));
        }
    }

    fn journal(&mut self, header: &Header) {
        let Some(end) = &self.summary.end else { return };
        self.blank();
        let Some(journal) = &end.journal else { return };
        self.lines.push(format!("journal  {}", harmless::line(journal)));
        self.lines.push(format!("look     kiln show {} (each AWS call: --verbose)", header.run));
        match end.outcome {
            RunOutcome::Interrupted | RunOutcome::Detached => {
                self.lines.push(format!("go on    kiln resume {}", header.run));
            }
            RunOutcome::Stuck => {
                let (in_doubt, undo_failed) = self.stuck();
                if in_doubt {
                    let line = format!("decide   kiln resolve {} --as happened|not-happened, then resume", header.run);
                    self.lines.push(line);
                }
                // Nothing of it is in doubt: it is tried again, or somebody has done it.
                if undo_failed {
                    self.lines
                        .push(format!("again    kiln undo {}, when what kept it from undoing is gone", header.run));
                    let line = format!("by hand  kiln resolve {} --as happened --because WHAT-WAS-DONE", header.run);
                    self.lines.push(line);
                }
            }
            RunOutcome::Done | RunOutcome::Failed | RunOutcome::Undone => {}
        }
        self.blank();
    }

    /// Whether it cannot be found out what became of a call, and whether an undo failed.
    fn stuck(&self) -> (bool, bool) {
        let undone = self.summary.stages.iter().filter_map(|stage| stage.undo.as_ref()?.as_ref().err());
        let failures = self.summary.stages.iter().filter_map(|stage| stage.failure.as_ref());
        let in_doubt = |failure: &&Failure| failure.kind == "stuck";
        let undo_failed = undone.clone().any(|failure| !in_doubt(&failure));
        (undone.chain(failures).any(|failure| in_doubt(&failure)), undo_failed)
    }

    /// The outcome comes last, where a log ends.
    fn last_line(&mut self, header: &Header) {
        let Some(End { outcome, millis, calls, .. }) = &self.summary.end else {
            let line =
                format!("{} the run of {} did not end in order", self.style.symbol(Symbol::Failed), header.pipeline);
            self.lines.push(line);
            return;
        };
        let count = |outcome, word: &str| {
            let number = self.summary.count(outcome);
            (number > 0).then(|| format!("{number} {word}"))
        };
        let undone = self.summary.stages.iter().filter(|stage| matches!(stage.undo, Some(Ok(_)))).count();
        let stuck = self.summary.stages.iter().filter(|stage| matches!(stage.undo, Some(Err(_)))).count();
        let parts: Vec<String> = [
            self.failed(),
            count(StageOutcome::Stuck, "stuck"),
            count(StageOutcome::Interrupted, "interrupted"),
            count(StageOutcome::Done, "done"),
            count(StageOutcome::Skipped, "skipped"),
            count(StageOutcome::NotRun, "not run"),
            (undone > 0).then(|| format!("{undone} undone")),
            (stuck > 0).then(|| format!("{stuck} could not be undone")),
            Some(fit::count(*calls, "AWS call")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let took = match outcome {
            RunOutcome::Done | RunOutcome::Undone => "in",
            RunOutcome::Failed | RunOutcome::Interrupted | RunOutcome::Detached | RunOutcome::Stuck => "after",
        };
        let tone = match outcome {
            RunOutcome::Done | RunOutcome::Undone => Tone::Good,
            RunOutcome::Failed | RunOutcome::Stuck => Tone::Bad,
            RunOutcome::Interrupted | RunOutcome::Detached => Tone::Caution,
        };
        let sentence = format!("{} {} {took} {}", header.pipeline, sentence::word_of_run(*outcome), human(*millis));
        self.lines.push(format!(
            "{} {}: {}",
            self.style.symbol(sentence::symbol_of_run(*outcome)),
            self.style.paint(tone, &sentence),
            parts.join(", ")
        ));
    }

    /// `deploy and 2 more failed`.
    fn failed(&self) -> Option<String> {
        let mut failed = self.summary.stages.iter().filter(|stage| stage.outcome == Some(StageOutcome::Failed));
        let first = &failed.next()?.name;
        match failed.count() {
            0 => Some(format!("{first} failed")),
            more => Some(format!("{first} and {more} more failed")),
        }
    }
}

/// The kind of a failure in words that need no manual, where they say more than that it failed.
fn kind(failure: &Failure) -> Option<Cow<'_, str>> {
    let word = match failure.kind.as_str() {
        "failed" | "interrupted" => return None,
        "config" => "its config cannot work",
        "denied" => "a permission is missing",
        "not-found" => "something does not exist",
        "conflict" => "somebody else changed it",
        "rejected" => "the gate is closed",
        "timed-out" => "it took too long",
        "unavailable" => "AWS could not serve it",
        "internal" => "a defect of the plugin",
        "sandbox" => "the plugin broke a rule of the sandbox",
        // Plugins of a later contract may know more kinds.
        other => return Some(harmless::line(other)),
    };
    Some(word.into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::report::story::Story;

    #[test]
    fn of_many_stages_those_that_are_done_are_counted() {
        let names: Vec<String> = (1..=100).map(|number| format!("stage-{number}")).collect();
        let stages: Vec<_> = names.iter().map(|name| (name.as_str(), "x", None, [].as_slice())).collect();
        let mut story = Story::of(&stages);
        for name in &names {
            story.start(name);
        }
        story.at(1_000);
        for name in &names {
            match name.as_str() {
                "stage-7" => story.leave(name, StageOutcome::Interrupted),
                _ => story.finish(name, serde_json::json!({}), 2),
            };
        }
        let mut summary = Summary::default();
        for event in story.over(RunOutcome::Interrupted, 198) {
            summary.absorb(&event);
        }
        let lines = lines(&summary, Style::ASCII, None);
        assert_eq!(lines[1], "# stage-7  interrupted  1.0s  0 calls");
        assert_eq!(lines[2], "  and 99 stages done");
        assert_eq!(lines.last().unwrap(), "# web was interrupted after 1.0s: 1 interrupted, 99 done, 198 AWS calls");
    }

    #[test]
    fn a_run_that_never_began_or_ended_is_called_so() {
        let mut summary = Summary::default();
        assert_eq!(lines(&summary, Style::ASCII, None), ["no run was started"]);
        for event in &Story::of_web().events {
            summary.absorb(event);
        }
        let lines = lines(&summary, Style::ASCII, None);
        assert_eq!(lines.last().unwrap(), "x the run of web did not end in order");
        assert_eq!(lines[1], "# build    not ended");
    }
}
