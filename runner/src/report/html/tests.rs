//! Whole pages of the runs that the other reports are tested with.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::recording::{CALLS, LINES};
use super::{Comparison, Html, Origin};
use crate::event::{Event, EventKind, LogLevel, RunOutcome, StageOutcome};
use crate::files::{Destination, Kept};
use crate::harmless::hostile_tests::{HOSTILE, acts, poisoned};
use crate::report::Report;
use crate::report::story::{self, Story};

fn html(path: &Path, comparison: Option<Comparison>) -> Html {
    Html::new(Destination::new(path, Kept::default()).unwrap(), comparison)
}

fn page_of(events: &[Event], origin: Origin, comparison: Option<Comparison>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.html");
    let mut report = html(&path, comparison).origin(origin);
    let delivery = report.delivery();
    for event in events {
        report.event(event);
    }
    report.finish();
    report.finish();
    delivery.written().unwrap();
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["out.html"]);
    fs::read_to_string(&path).unwrap()
}

fn page(events: &[Event]) -> String {
    page_of(events, Origin::Aws, None)
}

fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

#[test]
fn foreign_text_cannot_act() {
    for text in HOSTILE {
        let events: Vec<Event> = story::crashing_tasks().iter().map(|event| poisoned(event, text)).collect();
        let account = serde_json::json!({ "places": { "p": { text: { "things": { text: { "name": text } } } } } });
        let comparison = Comparison { before: serde_json::json!({}), after: account };
        let page = page_of(&events, Origin::Endpoint { url: text.to_owned() }, Some(comparison));
        let body = page.split_once("<main").map_or(page.as_str(), |(_, body)| body);
        let body = body.split_once("<script").map_or(body, |(body, _)| body);
        assert_eq!(acts(body), None);
    }
}

#[test]
fn every_run_has_a_page_that_loads_nothing() {
    for events in story::all() {
        let page = page(&events);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
        assert_eq!(count(&page, "<script>"), 1);
        assert_eq!(count(&page, " style="), 0, "the policy forbids style attributes");
        let body = page.split_once("<body>").unwrap().1;
        for outward in ["src=", "url(", "@import", "http://", "https://", "javascript:"] {
            assert_eq!(count(body, outward), 0, "{outward}");
        }
        let mut links = body.split("href=\"").skip(1);
        assert!(links.all(|link| link.starts_with('#')), "links lead into the page");
    }
}

#[test]
fn a_run_that_is_done_shows_its_stages_outputs_and_warnings() {
    let page = page(&story::done());
    for part in [
        "<title>web is done · kiln</title>",
        r#"<span class="outcome done">done</span>"#,
        "5 stages: 5 done",
        "111111111111",
        "13m 31s",
        "2026-11-23 17:00:00 UTC",
        "the clock of this machine is 94 s behind AWS",
        "build web-image:77 of project web-image started",
        "BUILD phase",
        &story::image(),
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(count(&page, r#"class="b done""#), 5 + 1, "a bar for each stage, and the legend's");
    assert_eq!(count(&page, "What went wrong"), 0);
}

#[test]
fn a_failed_run_shows_failure_evidence_help_and_undo() {
    let page = page(&story::crashing_tasks());
    for part in [
        "5 stages: 1 failed, 2 done, 2 not run, 1 undone",
        "stopped by the circuit breaker",
        "exit code 137 (OutOfMemoryError)",
        "look at the log group /ecs/web",
        "service web runs web:42 again",
        "not run: needs deploy",
        "codebuild:",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(count(&page, r#"class="b failed""#), 1 + 1);
    assert_eq!(count(&page, r#"class="b undo""#), 1 + 1);
}

#[test]
fn attempts_and_the_waits_between_them_are_periods_of_their_own() {
    let page = page(&story::retried());
    assert_eq!(count(&page, r#"class="b wait""#), 1 + 1);
    assert!(page.contains("attempt 1 of 3 failed: CodeBuild refused the build: too many builds run"), "{page}");
    assert!(page.contains("attempt 2: done"), "{page}");
}

#[test]
fn an_undo_that_fails_and_an_interruption_are_told() {
    let stuck = page(&story::undo_fails());
    for part in ["could not be undone", "service web was updated by somebody else to web:44", "b undo failed-undo"] {
        assert!(stuck.contains(part), "{part}");
    }
    let interrupted = page(&story::interrupted());
    assert!(interrupted.contains("was interrupted (SIGTERM)"), "{interrupted}");
}

#[test]
fn a_run_that_never_began_or_ended_has_a_page() {
    assert!(page(&[]).contains("No run was started"));
    let mut story = Story::of_web();
    story.at(40).start("build");
    let page = page(&story.events);
    assert!(page.contains("did not end in order"), "{page}");
}

#[test]
fn where_the_calls_went_is_said() {
    let events = story::done();
    assert_eq!(count(&page(&events), "Sent to"), 0);
    let simulated = page_of(&events, Origin::Simulated { seed: 2026 }, None);
    assert!(simulated.contains("a simulated account, seed 2026") && simulated.contains(">rehearsal<"));
    let endpoint = page_of(&events, Origin::Endpoint { url: "http://127.0.0.1:4567/<".to_owned() }, None);
    assert!(endpoint.contains("http://127.0.0.1:4567/&lt;") && endpoint.contains("not on AWS"));
}

/// Text that would break out of every place in which foreign text stands.
const MARKUP: &str = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>\u{202e}\u{1b}[2J&";

#[test]
fn foreign_text_stays_text() {
    let mut story = Story::of(&[("a", MARKUP, Some("production"), &[]), ("b", "x", None, &["a"])]);
    story.at(10).start("a").progress("a", MARKUP, None).log("a", LogLevel::Error, MARKUP);
    story.at(20).call("a", MARKUP, true);
    story.tell(
        Some("a"),
        EventKind::Call {
            action: "ecs:Run".to_owned(),
            write: true,
            millis: 3,
            request_id: Some(MARKUP.to_owned()),
            error: Some(MARKUP.to_owned()),
        },
    );
    story.tell(
        Some("a"),
        EventKind::CallRetrying { action: MARKUP.to_owned(), attempt: 1, delay: 5, error: MARKUP.to_owned() },
    );
    let failure = crate::event::Failure {
        kind: MARKUP.to_owned(),
        message: MARKUP.to_owned(),
        help: Some(MARKUP.to_owned()),
        details: vec![MARKUP.to_owned()],
    };
    let retrying = EventKind::StageRetrying { attempt: 1, attempts: 2, delay: 1, failure: failure.clone() };
    story.tell(Some("a"), retrying);
    story.tell(Some("a"), EventKind::StageStarted { attempt: 2 });
    story.tell(None, EventKind::Warning { message: MARKUP.to_owned(), help: Some(MARKUP.to_owned()) });
    story.tell(None, EventKind::Interrupted { signal: MARKUP.to_owned() });
    story.start("b").finish("b", json!({ MARKUP: MARKUP, "list": [MARKUP, { MARKUP: [MARKUP] }] }), 1);
    story.tell(Some("b"), EventKind::UndoStarted);
    story.tell(Some("b"), EventKind::UndoFinished { result: Ok(MARKUP.to_owned()) });
    story.tell(Some("a"), EventKind::UndoFinished { result: Err(failure.clone()) });
    story.fail("a", failure, 3);
    let comparison = Comparison {
        before: json!({ MARKUP: { "things": { MARKUP: { MARKUP: MARKUP } } }, "gone": { "x": MARKUP } }),
        after: json!({ MARKUP: { "things": { MARKUP: { MARKUP: [MARKUP] }, "new": { MARKUP: MARKUP } } } }),
    };
    let events = story.over(RunOutcome::Failed, 3);
    let page = page_of(&events, Origin::Endpoint { url: MARKUP.to_owned() }, Some(comparison));
    assert_eq!(count(&page, "<script>"), 1);
    assert_eq!(count(&page, "</script>"), 1);
    assert_eq!(count(&page, "</style>"), 1);
    assert_eq!(count(&page, "<img"), 0);
    assert_eq!(count(&page, "<b>"), 0);
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'), "marks and escapes are spelt out");
    assert!(count(&page, "&lt;img src=x onerror=alert(2)&gt;") > 20, "it is shown as what it is");
}

#[test]
fn what_is_shown_is_bounded_and_the_rest_is_counted() {
    let mut story = Story::of_web();
    story.at(0).start("build");
    for number in 0..CALLS as u64 + 5 {
        story.at(number).call("build", "ecr:DescribeImages", number == 0);
    }
    for number in 0..LINES + 7 {
        let length = if number % 1_000 == 0 { 60_000 } else { 10 };
        story.log("build", LogLevel::Info, &format!("line {number} {}", "x".repeat(length)));
    }
    story.finish("build", json!({}), 1);
    let page = page(&story.over(RunOutcome::Done, CALLS as u32 + 5));
    assert_eq!(count(&page, "<td class=\"at\">"), CALLS);
    assert!(page.contains("5 calls between the first and the last are left out here"));
    assert!(page.contains("10007 lines, of which 7 are left out here"));
    assert!(page.contains(&format!("{} (1 write)", CALLS + 5)));
    assert!(page.contains("line 0 x") && page.contains("line 10006 x") && !page.contains("line 5003 x"));
    assert!(page.len() < 40_000_000, "{} bytes", page.len());
}

#[test]
fn of_very_many_stages_those_that_went_wrong_are_shown() {
    let names: Vec<String> = (0..3_000).map(|number| format!("stage-{number}")).collect();
    let stages: Vec<_> = names.iter().map(|name| (name.as_str(), "x", None, [].as_slice())).collect();
    let mut story = Story::of(&stages);
    for name in &names {
        story.start(name);
        match name.as_str() {
            "stage-2999" => story.leave(name, StageOutcome::Interrupted),
            _ => story.finish(name, json!({}), 0),
        };
    }
    let page = page(&story.over(RunOutcome::Interrupted, 0));
    assert!(page.contains("3000 stages: 1 interrupted, 2999 done"));
    assert!(page.contains(r#"id="stage-stage-2999""#));
    assert!(count(&page, "<details class=\"stage\"") <= 500);
    assert!(page.contains("2749 more stages not shown here"), "{page}");
}

#[test]
fn the_account_is_compared_thing_by_thing() {
    let digest = format!("sha256:{}", "3f1c9a2b7d10".repeat(6));
    let image = |tag: &str| json!({ "digest": digest, "tags": [tag], "pushed": 1_795_453_260.0 });
    let state = |web: &str, images: serde_json::Value| {
        json!({ "now": web, "places": { "111111111111/us-west-2": {
            "ecs": { "clusters": { "web": { "services": { "web": { "task-definition": web } } } } },
            "ecr": { "repositories": { "web": { "images": images } } },
        } } })
    };
    let before = state("arn:aws:ecs:us-west-2:1:task-definition/web:1", json!({ "old": image("v0") }));
    let after = state("arn:aws:ecs:us-west-2:1:task-definition/web:2", json!({ digest.as_str(): image("v1") }));
    let comparison = Comparison { before: before.clone(), after };
    let page = page_of(&story::done(), Origin::Simulated { seed: 1 }, Some(comparison));
    for part in [
        "1 added",
        "1 removed",
        "1 value changed",
        "<del>arn:aws:ecs:us-west-2:1:task-definition/web:1</del>",
        "<ins>arn:aws:ecs:us-west-2:1:task-definition/web:2</ins>",
        r#"<span class="what">cluster</span> web<span class="arrow"> › </span><span class="what">service</span> web"#,
        "<strong>3f1c9a2b7d10</strong>",
        "at 1m 00s",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let same = Comparison { before: before.clone(), after: before };
    let page = page_of(&story::done(), Origin::Aws, Some(same));
    assert!(page.contains("Nothing was added, removed or changed."));
}

#[test]
fn the_account_can_be_given_after_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.html");
    let mut report = html(&path, None);
    let delivery = report.delivery();
    for event in story::done() {
        report.event(&event);
    }
    assert!(!path.exists(), "nothing stands there before the run is over");
    delivery.compare(Comparison { before: json!({ "desired": 1 }), after: json!({ "desired": 7 }) });
    report.finish();
    assert!(fs::read_to_string(&path).unwrap().contains("<del>1</del>"));
}

#[test]
fn a_page_that_cannot_be_written_leaves_the_one_before_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("reports/out.html");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut report = html(&path, None);
    let delivery = report.delivery();
    fs::remove_dir(path.parent().unwrap()).unwrap();
    report.finish();
    assert!(delivery.written().is_err());
}
