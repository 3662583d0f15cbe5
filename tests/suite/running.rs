//! How a run goes: stages at the same time, stages one by one, signals.

use std::time::{Duration, Instant};

use kiln_tests::{Account, Guest, Outcome, Running, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Waits for an hour.
const WAITING: &str =
    r#"(call $log (i32.const 1) (str "waiting")) (call $sleep (i64.const 3600000)) (call $ok (str "{}"))"#;

/// Waits for five seconds.
const SHORT: &str = r#"(call $sleep (i64.const 5000)) (call $ok (str "{}"))"#;

fn pipeline(stages: &[&str]) -> String {
    let mut text =
        String::from("[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n");
    for stage in stages {
        text.push_str(&format!("[stages.{stage}]\nplugin = \"guest\"\ntimeout = \"2h\"\n"));
    }
    text
}

/// When, in milliseconds of the run's clock, each event of this type happened.
fn instants(outcome: &Outcome, kind: &str) -> Vec<u64> {
    let events = outcome.events();
    let of_kind = |event: &&Value| event.pointer("/event/type").and_then(Value::as_str) == Some(kind);
    events.iter().filter(of_kind).filter_map(|event| event.get("at")?.as_u64()).collect()
}

#[test]
fn independent_stages_run_at_the_same_time_and_no_more_than_allowed() {
    let account = Account::at_scale(&World::of(""), 10.0);
    let run = |more: &[&str]| {
        let kiln = account.kiln(["run", "pipeline.toml", "--output", "json"]).args(more.iter().copied());
        kiln.file("pipeline.toml", pipeline(&["a", "b", "c"])).file("guest.wasm", Guest::new(SHORT).build()).run()
    };
    let together = run(&[]);
    assert_eq!(together.code(), Some(0), "{}", together.all());
    let (started, finished) = (instants(&together, "stage-started"), instants(&together, "stage-finished"));
    assert!(started.iter().max() < finished.iter().min(), "all began before any ended: {started:?} {finished:?}");

    let one_by_one = run(&["--max-parallel", "1"]);
    assert_eq!(one_by_one.code(), Some(0), "{}", one_by_one.all());
    let (started, finished) = (instants(&one_by_one, "stage-started"), instants(&one_by_one, "stage-finished"));
    assert!(started.iter().skip(1).zip(&finished).all(|(start, end)| start >= end), "{started:?} {finished:?}");
}

/// Wait until the journal of a run holds the stage's log or start.
fn at_work(running: &Running) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let runs = running.directory().join(".kiln/runs");
        let mut journals =
            std::fs::read_dir(&runs).into_iter().flatten().flatten().map(|run| run.path().join("journal"));
        let begun = |journal: std::path::PathBuf| {
            let bytes = std::fs::read(journal).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains("\"record\":\"timer\"")
        };
        if journals.any(begun) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the run does not begin to wait");
}

fn signalled(signal: Signal) -> (Outcome, Duration) {
    let account = Account::at_scale(&World::of(""), 1.0);
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(&["first"]) + "[stages.second]\nplugin = \"guest\"\nafter = [\"first\"]\n")
        .file("guest.wasm", Guest::new(WAITING).build())
        .start();
    at_work(&running);
    let began = Instant::now();
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("{} is no process", running.id()));
    kill_process(process, signal).unwrap_or_else(|error| panic!("{error}"));
    (running.end(), began.elapsed())
}

#[test]
fn a_signal_ends_the_run_in_order() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (outcome, took) = signalled(signal);
        assert_eq!(outcome.code(), Some(code), "{}", outcome.all());
        assert!(took < Duration::from_secs(30), "it waits no hour: {took:?}");
        assert_eq!(outcome.stages(), ["second not-run", "first interrupted"]);
        let shown = outcome.then(["show", "--output", "json"]).run();
        let view: Value = serde_json::from_str(&shown.stdout()).unwrap_or_default();
        assert_eq!(view.get("outcome").and_then(Value::as_str), Some("interrupted"), "{}", shown.all());
    }
}

#[test]
fn a_stage_that_fails_is_tried_again_after_a_rest() {
    let account = Account::at_scale(&World::of(""), 60.0);
    let retry = "[stages.a]\nplugin = \"guest\"\nretry = { attempts = 3, backoff = \"10s\" }\n";
    let outcome = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(&[]) + retry)
        .file("guest.wasm", Guest::new(r#"(call $fail (i32.const 5) (str "no luck"))"#).build())
        .run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(instants(&outcome, "stage-started").len(), 3);
    assert_eq!(instants(&outcome, "stage-retrying").len(), 2);
    assert_eq!(outcome.stages(), ["a failed"]);
}

#[test]
fn a_role_is_assumed_while_the_stage_before_is_at_work() {
    let account = Account::at_scale(&World::web_service(), 60.0);
    let pipeline = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.guest]\npath = \"guest.wasm\"\n\
         [environments.production]\naccount = \"111111111111\"\nrole = \"arn:aws:iam::111111111111:role/deployer\"\n\
         [stages.first]\nplugin = \"guest\"\n\
         [stages.second]\nplugin = \"verify-alarms\"\nenvironment = \"production\"\nafter = [\"first\"]\n\
         with = { alarms = [\"web-5xx\"], bake = \"1s\" }\n";
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline)
        .file("guest.wasm", Guest::new(r#"(call $sleep (i64.const 120000)) (call $ok (str "{}"))"#).build())
        .start();
    let sessions = || {
        let state = account.state();
        state.pointer("/sts/sessions").and_then(Value::as_object).map(|sessions| sessions.len()).unwrap_or_default()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while sessions() == 0 {
        assert!(Instant::now() < deadline, "nobody assumes the role: {}", account.state());
        std::thread::sleep(Duration::from_millis(2));
    }
    let runs = std::fs::read_dir(running.directory().join(".kiln/runs")).into_iter().flatten().flatten();
    let journals: String = runs
        .map(|run| String::from_utf8_lossy(&std::fs::read(run.path().join("journal")).unwrap_or_default()).into_owned())
        .collect();
    assert!(journals.contains("\"record\":\"timer\"") && !journals.contains("stage-end"), "{journals}");
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(sessions(), 1, "the session that was begun ahead is the one that is used: {}", account.state());
}
