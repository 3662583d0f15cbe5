//! The page as a whole: its head with the policy that lets nothing else in, and its parts in order.
//!
//! The main function is [`page`].

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kiln_span::{human, since_start};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::recording::{CallTally, ShownEnd, ShownRun, ShownStage, Start};
use super::write::{Comparison, Origin};
use super::{account, calls, stages, timeline};
use crate::event::{RunOutcome, StageOutcome};
use crate::harmless;
use crate::report::{fit, sentence};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a run.
pub(super) fn page(recording: &ShownRun, origin: &Origin, comparison: Option<&Comparison>) -> String {
    let title = match (&recording.start, &recording.end) {
        (Some(start), Some(end)) => format!("{} {}", start.pipeline, sentence::word_of_run(end.outcome)),
        (Some(start), None) => format!("{} did not end in order", start.pipeline),
        (None, _) => "No run was started".to_owned(),
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "kiln " (env!("CARGO_PKG_VERSION")) };
                title { (title) " · kiln" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                @match &recording.start {
                    Some(start) => {
                        (header(recording, start, origin))
                        main {
                            (stages::failures(recording))
                            (stages::warnings(recording))
                            (timeline::timeline(recording))
                            (stages::stages(recording))
                            @if let Some(comparison) = comparison { (account::account(recording, comparison)) }
                            (calls::calls(recording))
                        }
                    }
                    None => { header { h1 { (title) } } }
                }
                footer { "Written by kiln " (env!("CARGO_PKG_VERSION")) ". Instants count from the start of the run." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// Nothing may be loaded and nothing run but what this page was written with, whatever a plugin or AWS said.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn header(recording: &ShownRun, start: &Start, origin: &Origin) -> Markup {
    let (class, outcome) = match &recording.end {
        Some(ShownEnd { outcome: RunOutcome::Done, .. }) => ("done", "done"),
        Some(ShownEnd { outcome: RunOutcome::Failed, .. }) => ("failed", "failed"),
        Some(ShownEnd { outcome: RunOutcome::Interrupted, .. }) => ("interrupted", "interrupted"),
        Some(ShownEnd { outcome: RunOutcome::Detached, .. }) => ("interrupted", "waits, to be resumed"),
        Some(ShownEnd { outcome: RunOutcome::Stuck, .. }) => ("failed", "stuck"),
        Some(ShownEnd { outcome: RunOutcome::Undone, .. }) => ("done", "undone"),
        None => ("failed", "did not end in order"),
    };
    let duration = recording.end.as_ref().map_or(recording.span(), |end| end.millis);
    html! {
        header {
            div.title {
                h1 { (start.pipeline) }
                span class={ "outcome " (class) } { (outcome) }
                @match origin {
                    Origin::Aws => {}
                    Origin::Endpoint { .. } => { span.origin { "not on AWS" } }
                    Origin::Simulated { .. } => { span.origin { "rehearsal" } }
                }
            }
            p.counts { (counts(recording)) }
            dl.facts {
                div { dt { "Duration" } dd { (human(duration)) @if let Origin::Simulated { .. } = origin { " (simulated)" } } }
                div { dt { "Started" } dd { time datetime=(iso(start.at)) { (date(start.at)) } } }
                div { dt { "Account" } dd { (start.account) } }
                div { dt { "Region" } dd { (start.region) } }
                div { dt { "AWS calls" } dd { a href="#calls" { (tally(recording.tally)) } } }
                @match origin {
                    Origin::Aws => {}
                    Origin::Endpoint { url } => { div { dt { "Sent to" } dd { code { (harmless::line(url)) } ", not to AWS" } } }
                    Origin::Simulated { seed } => { div { dt { "Sent to" } dd { "a simulated account, seed " (seed) } } }
                }
                div { dt { "Pipeline" } dd { code { (harmless::line(&start.file)) } } }
                div { dt { "Run" } dd { code { (start.run) } } }
                @if let Some(journal) = recording.end.as_ref().and_then(|end| end.journal.as_ref()) {
                    div { dt { "Journal" } dd { code { (harmless::line(journal)) } } }
                }
            }
        }
    }
}

/// `3 stages done, 1 failed, 2 not run`.
fn counts(recording: &ShownRun) -> String {
    let of_pipeline = || recording.stages.iter().filter(|stage| stage.is_of_pipeline());
    let count = |outcome: Option<StageOutcome>, word: &str| {
        let number = of_pipeline().filter(|stage| stage.outcome == outcome).count();
        (number > 0).then(|| format!("{number} {word}"))
    };
    let undone = of_pipeline().filter(|stage| matches!(stage.undo, Some(Ok(_)))).count();
    let stuck = of_pipeline().filter(|stage| matches!(stage.undo, Some(Err(_)))).count();
    let parts: Vec<String> = [
        count(Some(StageOutcome::Failed), "failed"),
        count(Some(StageOutcome::Stuck), "stuck"),
        count(Some(StageOutcome::Interrupted), "interrupted"),
        count(None, "not ended"),
        count(Some(StageOutcome::Done), "done"),
        count(Some(StageOutcome::Skipped), "skipped"),
        count(Some(StageOutcome::NotRun), "not run"),
        (undone > 0).then(|| format!("{undone} undone")),
        (stuck > 0).then(|| format!("{stuck} could not be undone")),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!("{}: {}", fit::count(of_pipeline().count() as u64, "stage"), parts.join(", "))
}

/// How a stage stands: in a word, and as a class of the style.
pub(super) fn state(stage: &ShownStage) -> (&'static str, &'static str) {
    match (stage.outcome, &stage.undo) {
        (Some(StageOutcome::Done), Some(Ok(_))) => ("done, then undone", "undo"),
        (Some(StageOutcome::Done), Some(Err(_))) => ("done, could not be undone", "failed"),
        (Some(outcome @ StageOutcome::Done), None) => (sentence::word_of_stage(outcome), "done"),
        (Some(outcome @ (StageOutcome::Failed | StageOutcome::Stuck)), _) => {
            (sentence::word_of_stage(outcome), "failed")
        }
        (Some(outcome @ StageOutcome::Interrupted), _) => (sentence::word_of_stage(outcome), "interrupted"),
        (Some(outcome @ (StageOutcome::Skipped | StageOutcome::NotRun)), _) => {
            (sentence::word_of_stage(outcome), "idle")
        }
        (None, _) if !stage.is_of_pipeline() => ("", "host"),
        (None, _) => ("not ended", "interrupted"),
    }
}

/// `72 (4 writes, 3 failed)`.
pub(super) fn tally(tally: CallTally) -> String {
    let mut parts = Vec::new();
    if tally.writes > 0 {
        parts.push(fit::count(tally.writes, "write"));
    }
    if tally.failed > 0 {
        parts.push(format!("{} failed", tally.failed));
    }
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!("{}{parts}", tally.all())
}

/// An instant since the start of the run; machines read its date.
pub(super) fn instant(recording: &ShownRun, at: u64) -> Markup {
    let start = recording.start.as_ref().map_or(0, |start| start.at);
    html! { time.at datetime=(iso(start.saturating_add(at))) { (since_start(at)) } }
}

/// `2026-11-23 18:27:20 UTC`.
pub(super) fn date(millis: u64) -> String {
    timestamp(millis)
        .map_or_else(|| format!("{millis} ms since 1970"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn iso(millis: u64) -> String {
    timestamp(millis).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

fn timestamp(millis: u64) -> Option<jiff::Timestamp> {
    i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
}
