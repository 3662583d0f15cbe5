//! The table of AWS calls.
//!
//! The main function is [`calls`].

use kiln_span::{human, since_start};
use maud::{Markup, html};

use super::page;
use super::recording::{ShownCall, ShownRun};
use crate::report::fit;

/// The section. Its filters are shown by the page's script, without which they would do nothing.
pub(super) fn calls(recording: &ShownRun) -> Markup {
    let shown = recording.calls.len();
    html! {
        section #calls {
            h2 { "AWS calls" }
            @if shown == 0 {
                p.none { "No call was made." }
            } @else {
                form #filters .filters hidden {
                    label {
                        span { "Stage" }
                        select #of-stage {
                            option value="" { "all stages" }
                            @for stage in &recording.stages {
                                @if stage.tally.all() > 0 { option value=(stage.name) { (stage.name) } }
                            }
                        }
                    }
                    label.text { span { "Text" } input #of-text type="search" placeholder="action, error, request id" autocomplete="off" spellcheck="false"; }
                    label.check { input #only-writes type="checkbox"; " writes" }
                    label.check { input #only-failed type="checkbox"; " failed" }
                    output #matching for="of-stage of-text only-writes only-failed" aria-live="polite" {}
                }
                @if recording.calls.dropped() > 0 {
                    p.note { (fit::count(recording.calls.dropped(), "call")) " between the first and the last are left out here." }
                }
                table.calls {
                    caption.sr { "Each AWS call with its time since the start of the run" }
                    thead {
                        tr { th scope="col" { "Sent at" } th scope="col" { "Stage" } th scope="col" { "Call" } th scope="col" { "Took" } th scope="col" { "Answer" } }
                    }
                    tbody { @for (index, call) in recording.calls.iter().enumerate() { (row(recording, index, call)) } }
                }
            }
        }
    }
}

fn row(recording: &ShownRun, index: usize, call: &ShownCall) -> Markup {
    let stage = recording.stages.get(call.stage);
    let name = stage.map_or("", |stage| stage.name.as_str());
    html! {
        tr #{ "c" (index) } .w[call.write] .f[call.error.is_some()] data-stage=(name) {
            td.at { (page::instant(recording, call.at)) }
            td.of { (name) }
            td.action { code { (action(call)) } @if call.write { " " span.tag { "write" } } }
            td.took { @if call.again.is_none() { (human(call.millis)) } }
            td.answer {
                @if let Some(error) = &call.error { span.error { (error) } }
                @if let Some((attempt, delay)) = call.again {
                    " " span.note { "attempt " (attempt) "; sent again in " (human(delay)) }
                }
                @if let Some(id) = &call.request_id { " " span.id { (id) } }
            }
        }
    }
}

/// The action, where it may wrap.
fn action(call: &ShownCall) -> Markup {
    match call.action.split_once(':') {
        Some((service, operation)) => html! { span.prefix { (service) ":" } wbr; (operation) },
        None => html! { (call.action) },
    }
}

/// A call in one line, as a tick of the timeline says it.
pub(super) fn in_short(call: &ShownCall) -> String {
    let kind = if call.write { ", write" } else { "" };
    let error = call.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{} at {}{kind}, took {}{error}", call.action, since_start(call.at), human(call.millis))
}
