//! Each way in which the pipeline of the README can fail: the exit code, what is not run, what is undone, what is said.

use kiln_tests::{Account, Outcome, World};
use serde_json::Value;

use crate::web_service::{pipeline, run};

/// What a failure says, on one line.
fn said(outcome: &Outcome, stage: &str) -> String {
    outcome.failure(stage).to_string()
}

fn undone(outcome: &Outcome, stage: &str) -> Option<Value> {
    let events = outcome.events();
    let of_stage = events.iter().filter(|event| event.get("stage").and_then(Value::as_str) == Some(stage));
    of_stage
        .filter_map(|event| {
            event
                .get("event")
                .filter(|kind| kind.get("type").and_then(Value::as_str) == Some("undo-finished"))?
                .get("result")
                .cloned()
        })
        .next()
}

#[test]
fn a_failing_build_ends_the_run_with_the_end_of_its_log() {
    let world = World::web_service().change(
        "projects",
        "web-image",
        r#"fail = { phase = "BUILD", message = "Error while executing command: make image", log = ["cc: fatal error: no input files", "make: *** [image] Error 4"] }"#,
    );
    let account = Account::of(&world);
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(
        outcome.stages(),
        ["build failed", "scan not-run", "deploy not-run", "verify not-run", "cleanup not-run"]
    );
    let said = said(&outcome, "build");
    for part in ["BUILD", "make image", "make: *** [image] Error 4"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(account.count("ecs:UpdateService"), 0);
}

#[test]
fn a_critical_finding_closes_the_gate() {
    let world = World::web_service().add(
        "findings",
        r#"repository = "web"
           tag = "built"
           severity = "CRITICAL"
           id = "CVE-2026-1234"
           package = "openssl"
           version = "3.0.1"
           fixed-in = "3.0.2""#,
    );
    let account = Account::of(&world);
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["build done", "scan failed", "deploy not-run", "verify not-run", "cleanup not-run"]);
    let failure = outcome.failure("scan");
    assert_eq!(failure.get("kind").and_then(Value::as_str), Some("rejected"));
    let said = said(&outcome, "scan");
    for part in ["CVE-2026-1234", "openssl"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(account.count("ecs:RegisterTaskDefinition"), 0);
}

#[test]
fn crashing_tasks_fail_the_deployment_and_it_is_undone() {
    let world = World::web_service().add(
        "task-behaviours",
        r#"family = "web"
           from-revision = 2
           crash-after = "5s"
           exit-code = 137
           reason = "OutOfMemoryError: Container killed due to memory usage""#,
    );
    let account = Account::of(&world);
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["build done", "scan done", "deploy failed", "verify not-run", "cleanup not-run"]);
    let said = said(&outcome, "deploy");
    for part in ["137", "OutOfMemoryError"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(undone(&outcome, "deploy").is_some_and(|result| result.get("Ok").is_some()), "{}", outcome.all());
}

#[test]
fn a_firing_alarm_after_the_deployment_undoes_it() {
    let world = World::web_service().change(
        "alarms",
        "web-5xx",
        r#"script = [{ after-deployment-of = "web/web", at = "6m", state = "ALARM", reason = "Threshold Crossed: 37 errors" }]"#,
    );
    let account = Account::of(&world);
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["build done", "scan done", "deploy done", "verify failed", "cleanup not-run"]);
    let said = said(&outcome, "verify");
    for part in ["web-5xx", "Threshold Crossed"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(undone(&outcome, "deploy").is_some_and(|result| result.get("Ok").is_some()), "{}", outcome.all());
    assert_eq!(account.count("ecs:UpdateService"), 2, "there and back");
}

#[test]
fn the_last_screen_of_a_ci_log_says_what_happened() {
    let world = World::web_service().change(
        "projects",
        "web-image",
        r#"fail = { phase = "BUILD", message = "Error while executing command: make image", log = ["make: *** [image] Error 4"] }"#,
    );
    let account = Account::of(&world);
    let outcome = account.kiln(["run", &pipeline(), "--input", "commit=4f2a9c1"]).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let log = outcome.stdout();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
    for part in ["build", "failed", "make: *** [image] Error 4", "kiln show"] {
        assert!(last.contains(part), "{part} in\n{last}");
    }
    assert!(!log.contains('\u{1b}'), "no escapes in a log");
}

#[test]
fn a_build_of_which_nobody_hears_is_looked_for_before_it_counts_as_failed() {
    let deaf = |kind: &str| {
        let fault = format!("operation = \"codebuild:StartBuild\"\nkind = \"{kind}\"\ntimes = 6");
        World::web_service().add("faults", &fault)
    };
    let account = Account::of(&deaf("reset-after"));
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(0), "it runs, and is found: {}", outcome.all());
    assert_eq!(account.count("codebuild:StartBuild"), 1);

    let account = Account::of(&deaf("reset"));
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(outcome.failure("build").get("kind").and_then(Value::as_str), Some("unavailable"));
    assert_eq!(account.count("codebuild:StartBuild"), 0);

    let blind = "operation = \"codebuild:ListBuildsForProject\"\nkind = \"unavailable\"\ntimes = 100";
    let account = Account::of(&deaf("reset-after").add("faults", blind));
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(4), "nobody knows whether it runs: {}", outcome.all());
    assert!(said(&outcome, "build").contains("kiln resolve"), "{}", outcome.all());
    assert_eq!(account.count("codebuild:StartBuild"), 1);
}
