//! The timeline: a row for each stage, its attempts, waits and undo as bars, its AWS calls as ticks below them.
//!
//! The main function is [`timeline`]. The rows are drawn in percent of their width, so that they fit every screen without a
//! script and without style attributes, which the page's own policy forbids.

use std::collections::BTreeMap;

use kiln_span::{human, since_start};
use maud::{Markup, html};

use super::calls;
use super::page;
use super::recording::{AttemptEnd, Period, PeriodKind, ShownCall, ShownRun, ShownStage};
use crate::event::StageOutcome;
use crate::report::fit;

/// Of more stages, those that went wrong and the first others are shown.
const ROWS: usize = 500;
/// Ticks closer than this part of the width are one.
const GRAIN: u64 = 800;
/// A tick for several calls names the first of them.
const NAMED: usize = 6;
/// The page has styles for so many explanations a row.
const EXPLAINED: usize = 16;
/// The axis has at most so many parts.
const PARTS: u64 = 6;
/// How far apart the lines of the axis may be, in seconds.
const STEPS: [u64; 24] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000,
    864_000, 2_592_000, 8_640_000, 31_536_000,
];

/// The section.
pub(super) fn timeline(recording: &ShownRun) -> Markup {
    let scale = Scale { span: recording.span() };
    let mut ticks: Vec<Ticks<'_>> = recording.stages.iter().map(|_| Ticks::default()).collect();
    for (index, call) in recording.calls.iter().enumerate() {
        if let Some(ticks) = ticks.get_mut(call.stage) {
            ticks.put(&scale, index, call);
        }
    }
    let wrong = |stage: &ShownStage| !matches!(stage.outcome, Some(StageOutcome::Done | StageOutcome::Skipped));
    let mut room = ROWS;
    let mut rows: Vec<(&ShownStage, &Ticks<'_>)> = Vec::new();
    let crowded = recording.stages.len() > ROWS;
    for (stage, ticks) in recording.stages.iter().zip(&ticks) {
        let show = !crowded || wrong(stage) || room > ROWS / 2;
        if show && room > 0 {
            room -= 1;
            rows.push((stage, ticks));
        }
    }
    // What kiln does for itself comes first: it began before the stages.
    rows.sort_by_key(|(stage, _)| stage.is_of_pipeline());
    let left_out = recording.stages.len() - rows.len();
    html! {
        section #timeline {
            h2 { "Timeline" }
            div.axis aria-hidden="true" { div.bars { svg.scale {
                @for (at, label) in scale.marks() {
                    text x=(percent(at)) y="11" text-anchor=(if at == 0 { "start" } else { "middle" }) { (label) }
                }
            } } }
            ol.rows { @for (stage, ticks) in rows { (row(recording, stage, ticks, &scale)) } }
            @if left_out > 0 { p.note { (fit::count(left_out as u64, "more stage")) " not shown here" } }
            (legend())
        }
    }
}

fn legend() -> Markup {
    let key = |class: &str, words: &str| {
        html! { li { svg.swatch aria-hidden="true" { rect class=(class) x="1" y="3" width="16" height="8" rx="2" {} } (words) } }
    };
    let tick = |class: &str, words: &str| {
        html! { li { svg.swatch.thin aria-hidden="true" { rect class=(class) x="2" y="2" width="2" height="10" {} } (words) } }
    };
    html! {
        ul.legend aria-label="Legend" {
            (key("b done", "done")) (key("b failed", "failed")) (key("b wait", "waiting for the next attempt"))
            (key("b interrupted", "interrupted")) (key("b undo", "undo"))
            (tick("t r", "read")) (tick("t w", "write")) (tick("t f", "failed call"))
        }
    }
}

fn row(recording: &ShownRun, stage: &ShownStage, ticks: &Ticks<'_>, scale: &Scale) -> Markup {
    let periods: Vec<&Period> = stage.periods.iter().collect();
    let (word, class) = page::state(stage);
    html! {
        li.row.quiet[periods.is_empty() && ticks.is_empty()] {
            a.name href={ "#stage-" (stage.name) } {
                span class={ "dot " (class) } aria-hidden="true" {} (stage.name) span.sr { " " (word) }
            }
            span.took { @if stage.attempts > 0 { (human(stage.millis)) } }
            div.bars {
                svg.track {
                    @for (at, _) in scale.marks() {
                        line.grid x1=(percent(at)) x2=(percent(at)) y1="0" y2="100%" {}
                    }
                    @for (index, period) in periods.iter().enumerate() { (bar(index, period, scale)) }
                    (ticks.draw())
                }
                @for (index, period) in periods.iter().enumerate().take(EXPLAINED) {
                    div class={ "tip tip" (index) " " (beside(scale.of(period.from))) } aria-hidden="true" {
                        strong { (what(period)) } br;
                        (since_start(period.from)) " – " (since_start(period.to)) ", " (human(period.to - period.from))
                        @if !period.remark.is_empty() { br; (period.remark) }
                    }
                }
                @if periods.is_empty() && ticks.is_empty() {
                    span.why { (why_idle(recording, stage)) }
                }
            }
        }
    }
}

/// Why nothing is drawn for a stage.
pub(super) fn why_idle(recording: &ShownRun, stage: &ShownStage) -> String {
    match stage.outcome {
        Some(StageOutcome::Skipped) => "skipped: its `when` is false".to_owned(),
        Some(StageOutcome::NotRun) => {
            let blockers: Vec<&str> = recording.blockers(stage).map(|name| name.as_str()).collect();
            if blockers.is_empty() { "not run".to_owned() } else { format!("not run: needs {}", blockers.join(", ")) }
        }
        Some(StageOutcome::Done | StageOutcome::Failed | StageOutcome::Interrupted | StageOutcome::Stuck) | None => {
            "did not begin".to_owned()
        }
    }
}

fn bar(index: usize, period: &Period, scale: &Scale) -> Markup {
    let (from, to) = (scale.of(period.from), scale.of(period.to));
    let label = format!(
        "{}, from {} for {}. {}",
        what(period),
        since_start(period.from),
        human(period.to - period.from),
        period.remark
    );
    html! {
        g class={ "seg seg" (index) } tabindex="0" role="img" aria-label=(label) {
            rect class={ "b " (class(period.kind)) } x=(percent(from)) y="5" width=(percent(to - from)) height="11" rx="2" {}
        }
    }
}

/// What a stage did in a period, in words.
pub(super) fn what(period: &Period) -> String {
    match period.kind {
        PeriodKind::Attempt(attempt, end) => {
            let end = match end {
                AttemptEnd::Done => "done",
                AttemptEnd::Failed => "failed",
                AttemptEnd::Interrupted => "interrupted",
                AttemptEnd::Open => "did not end",
            };
            if attempt > 1 { format!("attempt {attempt}: {end}") } else { end.to_owned() }
        }
        PeriodKind::Wait => "waiting for the next attempt".to_owned(),
        PeriodKind::Undo(Some(true)) => "undone".to_owned(),
        PeriodKind::Undo(Some(false)) => "could not be undone".to_owned(),
        PeriodKind::Undo(None) => "the undo did not end".to_owned(),
    }
}

fn class(kind: PeriodKind) -> &'static str {
    match kind {
        PeriodKind::Attempt(_, AttemptEnd::Done) => "done",
        PeriodKind::Attempt(_, AttemptEnd::Failed) => "failed",
        PeriodKind::Attempt(_, AttemptEnd::Interrupted | AttemptEnd::Open) => "interrupted",
        PeriodKind::Wait => "wait",
        PeriodKind::Undo(Some(true)) => "undo",
        PeriodKind::Undo(Some(false) | None) => "undo failed-undo",
    }
}

/// Where the explanation of a bar begins, or ends if the bar is in the right half, to a tenth of the width: a style attribute
/// could say it exactly, but is forbidden.
fn beside(from: u64) -> String {
    if from < 500_000 {
        format!("l{}", from / 100_000)
    } else {
        format!("r{}", (1_000_000 - from.min(1_000_000)) / 100_000)
    }
}

/// Instants as millionths of the width.
struct Scale {
    span: u64,
}

impl Scale {
    fn of(&self, at: u64) -> u64 {
        let millionths = u128::from(at.min(self.span)) * 1_000_000 / u128::from(self.span.max(1));
        u64::try_from(millionths).unwrap_or(1_000_000)
    }

    /// Where the lines of the axis are, and what they say.
    fn marks(&self) -> Vec<(u64, String)> {
        let step = STEPS.iter().map(|seconds| seconds * 1_000).find(|step| self.span / step <= PARTS);
        // Under a second there is no step that people think in.
        let step = match step {
            Some(1_000) if self.span < 2_000 => (self.span / 4).max(1),
            Some(step) => step,
            None => self.span,
        };
        let count = (self.span / step).min(PARTS + 1);
        // A mark at the very end would stand out of the picture.
        (0..=count)
            .map(|index| index * step)
            .filter(|at| *at == 0 || self.of(*at) < 970_000)
            .map(|at| (self.of(at), mark(at)))
            .collect()
    }
}

/// `0`, `250ms`, `30s`, `5m`, `1h 30m`.
fn mark(millis: u64) -> String {
    // Beyond the first second marks stand at whole ones.
    kiln_span::exact(if millis < 1_000 { millis } else { millis - millis % 1_000 }, " ")
}

fn percent(millionths: u64) -> String {
    format!("{}.{:03}%", millionths / 10_000, millionths % 10_000 / 10)
}

/// The ticks of one row: calls that would be drawn over each other are one tick.
#[derive(Default)]
struct Ticks<'a>(BTreeMap<u64, Vec<(usize, &'a ShownCall)>>);

impl<'a> Ticks<'a> {
    fn put(&mut self, scale: &Scale, index: usize, call: &'a ShownCall) {
        let grain = scale.of(call.at) * GRAIN / 1_000_000;
        self.0.entry(grain).or_default().push((index, call));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn draw(&self) -> Markup {
        html! {
            @for (grain, calls) in &self.0 {
                @let failed = calls.iter().any(|(_, call)| call.error.is_some());
                @let write = calls.iter().any(|(_, call)| call.write);
                // The one that matters most is where the tick leads.
                @let target = calls.iter().find(|(_, call)| call.error.is_some())
                    .or_else(|| calls.iter().find(|(_, call)| call.write)).or(calls.first());
                @if let Some((index, _)) = target {
                    a href={ "#c" (index) } tabindex="-1" {
                        rect class={ "t " (if failed { "f" } else if write { "w" } else { "r" }) }
                            x=(percent(grain * 1_000_000 / GRAIN)) y=(if write || failed { "19" } else { "21" })
                            width="2" height=(if write || failed { "9" } else { "7" }) {
                            title { (said(calls)) }
                        }
                    }
                }
            }
        }
    }
}

fn said(calls: &[(usize, &ShownCall)]) -> String {
    let mut lines: Vec<String> = calls.iter().take(NAMED).map(|(_, call)| calls::in_short(call)).collect();
    if calls.len() > NAMED {
        lines.push(format!("and {}", fit::count((calls.len() - NAMED) as u64, "more call")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_few_round_marks() {
        let marks = |span| Scale { span }.marks().into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ");
        assert_eq!(marks(1), "0");
        assert_eq!(marks(800), "0 200ms 400ms 600ms");
        assert_eq!(marks(14_000), "0 5s 10s");
        assert_eq!(marks(584_191), "0 2m 4m 6m 8m");
        assert_eq!(marks(1_500_000), "0 5m 10m 15m 20m");
        assert_eq!(marks(5_400_000), "0 15m 30m 45m 1h 1h 15m");
        assert_eq!(marks(3 * 86_400_000), "0 12h 1d 1d 12h 2d 2d 12h");
        assert!(marks(u64::MAX).split(' ').count() < 10);
    }

    #[test]
    fn places_are_in_percent() {
        let scale = Scale { span: 3_000 };
        assert_eq!(
            [0, 1_000, 3_000, 9_999].map(|at| percent(scale.of(at))),
            ["0.000%", "33.333%", "100.000%", "100.000%"]
        );
    }
}
