//! What went wrong, and each stage with its outputs and its log.
//!
//! The main functions are [`failures`] and [`stages`].

use kiln_span::{human, since_start};
use maud::{Markup, html};
use serde_json::Value;

use super::page;
use super::recording::{Line, LineKind, PeriodKind, ShownRun, ShownStage};
use super::timeline;
use super::value;
use crate::event::{Failure, LogLevel, StageOutcome};
use crate::harmless;
use crate::report::style::Style;
use crate::report::{fit, outputs, sentence};

/// Of more stages, those that went wrong and the first others are shown.
const SHOWN: usize = 500;
/// Of more lines of evidence, the first and the last are shown: findings begin with the worst, logs end with the cause.
const EVIDENCE_FIRST: usize = 100;
const EVIDENCE_LAST: usize = 200;
/// A line longer than this is cut.
const COLUMNS: usize = 2_000;
/// Logs of so few lines are open from the beginning.
const SHORT_LOG: usize = 12;

/// What went wrong, where anything did.
pub(super) fn failures(recording: &ShownRun) -> Markup {
    let failed: Vec<(&ShownStage, &Failure)> = recording
        .stages
        .iter()
        .filter(|stage| stage.outcome == Some(StageOutcome::Failed))
        .filter_map(|stage| stage.failure.as_ref().map(|failure| (stage, failure)))
        .collect();
    let stuck: Vec<(&ShownStage, &Failure)> = recording
        .stages
        .iter()
        .filter_map(|stage| stage.undo.as_ref()?.as_ref().err().map(|failure| (stage, failure)))
        .collect();
    let interrupted: Vec<&ShownStage> =
        recording.stages.iter().filter(|stage| stage.outcome == Some(StageOutcome::Interrupted)).collect();
    let undone: Vec<(&ShownStage, &String)> = recording
        .stages
        .iter()
        .filter_map(|stage| stage.undo.as_ref()?.as_ref().ok().map(|what| (stage, what)))
        .collect();
    if failed.is_empty() && stuck.is_empty() && interrupted.is_empty() && undone.is_empty() {
        return html! {};
    }
    let signal = recording.signal.as_deref().unwrap_or("the end of the run");
    html! {
        section #failures {
            h2 { "What went wrong" }
            @for (stage, failure) in failed.iter().take(SHOWN) { (trouble(stage, "failed", failure)) }
            @for (stage, failure) in stuck.iter().take(SHOWN) { (trouble(stage, "could not be undone", failure)) }
            @for stage in interrupted.iter().take(SHOWN) {
                article.trouble.caution {
                    h3 { a href={ "#stage-" (stage.name) } { (stage.name) } " was interrupted (" (harmless::line(signal)) ")" }
                    p.help { "What AWS was already told to do goes on: look at the writes of this stage." }
                }
            }
            @if !undone.is_empty() {
                ul.undone { @for (stage, what) in undone.iter().take(SHOWN) {
                    li { span.dot.undo aria-hidden="true" {} a href={ "#stage-" (stage.name) } { (stage.name) } " undone: " (harmless::line(what)) }
                } }
            }
        }
    }
}

fn trouble(stage: &ShownStage, what: &str, failure: &Failure) -> Markup {
    html! {
        article.trouble {
            h3 { a href={ "#stage-" (stage.name) } { (stage.name) } " " (what) @if failure.kind != "failed" { " " span.tag { (harmless::line(&failure.kind)) } } }
            (story(failure))
        }
    }
}

/// Message, help, evidence.
fn story(failure: &Failure) -> Markup {
    let all = failure.details.len();
    let hidden = all.saturating_sub(EVIDENCE_FIRST + EVIDENCE_LAST);
    let mut evidence = String::new();
    for (index, detail) in failure.details.iter().enumerate() {
        if hidden > 0 && index == EVIDENCE_FIRST {
            evidence.push_str(&format!("… {}\n", fit::count(hidden as u64, "more line")));
        }
        if hidden == 0 || index < EVIDENCE_FIRST || index >= all - EVIDENCE_LAST {
            for line in harmless::lines(detail) {
                evidence.push_str(&fit::cut(&line, COLUMNS, Style::UNICODE));
                evidence.push('\n');
            }
        }
    }
    html! {
        @for line in harmless::lines(&failure.message) { p.message { (fit::cut(&line, COLUMNS, Style::UNICODE)) } }
        @if let Some(help) = &failure.help {
            p.help { @for line in harmless::lines(help) { (fit::cut(&line, COLUMNS, Style::UNICODE)) " " } }
        }
        @if !evidence.is_empty() { pre.evidence tabindex="0" { (evidence.trim_end()) } }
    }
}

/// Warnings of the run, where there are any.
pub(super) fn warnings(recording: &ShownRun) -> Markup {
    if recording.warnings.len() == 0 {
        return html! {};
    }
    html! {
        section #warnings {
            h2 { "Warnings" }
            ul.warnings {
                @for warning in recording.warnings.iter() {
                    li {
                        (page::instant(recording, warning.at)) " "
                        @if let Some(stage) = &warning.stage { a href={ "#stage-" (stage) } { (stage) } " " }
                        (warning.message)
                        @if let Some(help) = &warning.help { span.help { (help) } }
                    }
                }
            }
            @if recording.warnings.dropped() > 0 {
                p.note { "and " (fit::count(recording.warnings.dropped(), "more warning")) }
            }
        }
    }
}

/// Each stage, folded; those that went wrong are open.
pub(super) fn stages(recording: &ShownRun) -> Markup {
    let mut lines: Vec<Vec<&Line>> = recording.stages.iter().map(|_| Vec::new()).collect();
    for line in recording.lines.iter() {
        if let Some(lines) = lines.get_mut(line.stage) {
            lines.push(line);
        }
    }
    let stages: Vec<(&ShownStage, &Vec<&Line>)> =
        recording.stages.iter().zip(&lines).filter(|(stage, _)| stage.is_of_pipeline()).collect();
    let crowded = stages.len() > SHOWN;
    let mut room = SHOWN;
    let shown: Vec<_> = stages
        .iter()
        .filter(|(stage, _)| {
            let show = room > 0 && (!crowded || is_wrong(stage) || room > SHOWN / 2);
            room -= usize::from(show);
            show
        })
        .collect();
    html! {
        section #stages {
            h2 { "Stages" }
            @for (stage, lines) in &shown { (card(recording, stage, lines)) }
            @if shown.len() < stages.len() {
                p.note { (fit::count((stages.len() - shown.len()) as u64, "more stage")) " not shown here" }
            }
        }
    }
}

fn is_wrong(stage: &ShownStage) -> bool {
    matches!(stage.outcome, Some(StageOutcome::Failed | StageOutcome::Interrupted | StageOutcome::Stuck) | None)
        || stage.undo.is_some()
}

fn card(recording: &ShownRun, stage: &ShownStage, lines: &[&Line]) -> Markup {
    let (_, class) = page::state(stage);
    let word = stage.outcome.map_or("not ended", sentence::word_of_stage);
    let ran = stage.attempts > 0;
    html! {
        details.stage #{ "stage-" (stage.name) } open[is_wrong(stage) && ran] {
            summary {
                span class={ "dot " (class) } aria-hidden="true" {}
                span.name { (stage.name) }
                span.plugin { (harmless::line(stage.plugin.as_deref().unwrap_or_default())) }
                span.state {
                    (word) @if ran { " in " (human(stage.millis)) }
                    @match &stage.undo {
                        Some(Ok(_)) => ", undone",
                        Some(Err(_)) => ", could not be undone",
                        None => {}
                    }
                }
                span.few {
                    @match &stage.outputs {
                        Some(outputs) => (outputs::in_short(outputs, Style::UNICODE)),
                        None if !ran => {
                            @let why = timeline::why_idle(recording, stage);
                            (why.split_once(": ").map_or("", |(_, why)| why))
                        }
                        None => {}
                    }
                }
            }
            div.body {
                dl.facts {
                    @if let Some(environment) = &stage.environment { div { dt { "Environment" } dd { (environment) } } }
                    @if !stage.needs.is_empty() { div { dt { "Needs" } dd {
                        @for (index, need) in stage.needs.iter().enumerate() {
                            @if index > 0 { ", " } a href={ "#stage-" (need) } { (need) }
                        }
                    } } }
                    @if stage.attempts > 1 { div { dt { "Attempts" } dd { (stage.attempts) } } }
                    @if stage.tally.all() > 0 { div { dt { "AWS calls" } dd {
                        a.calls-of href="#calls" data-stage=(stage.name) { (page::tally(stage.tally)) }
                    } } }
                }
                (retries(stage))
                @if let Some(failure) = &stage.failure { (cause("failed", failure)) }
                @match &stage.undo {
                    Some(Ok(what)) => { p.undone { "undone: " (harmless::line(what)) } }
                    Some(Err(failure)) => (cause("could not be undone", failure)),
                    None => {}
                }
                @if let Some(Value::Object(outputs)) = &stage.outputs {
                    @if !outputs.is_empty() {
                        h4 { "Outputs" }
                        dl.outputs {
                            @for (name, output) in outputs { div { dt { (harmless::line(name)) } dd { (value::value(output)) } } }
                        }
                    }
                }
                (log(recording, stage, lines))
            }
        }
    }
}

/// The message of a failure whose evidence and help stand at the top of the page.
fn cause(what: &str, failure: &Failure) -> Markup {
    let message = harmless::lines(&failure.message).next().unwrap_or_default();
    html! { p.cause { a href="#failures" { (what) } ": " (fit::cut(&message, COLUMNS, Style::UNICODE)) } }
}

fn retries(stage: &ShownStage) -> Markup {
    let failed: Vec<_> = stage
        .periods
        .iter()
        .filter(|period| matches!(period.kind, PeriodKind::Attempt(attempt, _) if attempt < stage.attempts))
        .collect();
    html! {
        @if !failed.is_empty() {
            ul.retries { @for period in failed { li { span.at { (since_start(period.from)) } " " (period.remark) } } }
        }
    }
}

fn log(recording: &ShownRun, stage: &ShownStage, lines: &[&Line]) -> Markup {
    if stage.lines == 0 {
        return html! {};
    }
    let hidden = stage.lines.saturating_sub(lines.len() as u64);
    html! {
        details.log open[lines.len() <= SHORT_LOG] {
            summary { "Log " span.note { (fit::count(stage.lines, "line")) @if hidden > 0 { ", of which " (hidden) " are left out here" } } }
            ol {
                @for line in lines {
                    li class=(class(line.kind)) {
                        (page::instant(recording, line.at)) " "
                        @if let Some(level) = level(line.kind) { span.level { (level) } " " }
                        span.line { (line.text) }
                    }
                }
            }
        }
    }
}

fn class(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Status => "status",
        LineKind::Log(LogLevel::Debug) => "debug",
        LineKind::Log(LogLevel::Info) => "info",
        LineKind::Log(LogLevel::Warn) => "warn",
        LineKind::Log(LogLevel::Error) => "error",
    }
}

fn level(kind: LineKind) -> Option<&'static str> {
    match kind {
        LineKind::Status | LineKind::Log(LogLevel::Info) => None,
        LineKind::Log(LogLevel::Debug) => Some("debug"),
        LineKind::Log(LogLevel::Warn) => Some("warning"),
        LineKind::Log(LogLevel::Error) => Some("error"),
    }
}
