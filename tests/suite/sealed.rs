//! Secrets that are ordinary words: a run that was killed and goes on deploys what it would have, and no file holds them.

use std::path::Path;

use kiln_tests::{Account, Course, Guest, Kiln, Outcome, Place, Snare, Trap, World, repository, undone};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Fast enough that nothing waits for the clock.
const SCALE: f64 = 300.0;

/// A secret with two leaves; the second is a word that the account's configuration uses.
fn secret(second: &str) -> String {
    format!("value = '{{\"token\":\"simulated-registry-token-8f3a\",{second}}}'")
}

fn read(name: &str) -> String {
    let path = repository().join("bench").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The environment variable `name` of every revision that serves or was registered, in the order of the state.
fn variables(state: &Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(state, name, &mut found);
    found
}

fn collect(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if fields.get("name").and_then(Value::as_str) == Some(name)
                && let Some(text) = fields.get("value").and_then(Value::as_str)
            {
                found.push(text.to_owned());
            }
            fields.values().for_each(|field| collect(field, name, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the journals of the runs below a directory hold.
fn journal(directory: &Path) -> Vec<u8> {
    let runs = std::fs::read_dir(directory.join(".kiln/runs"));
    runs.into_iter()
        .flatten()
        .flatten()
        .flat_map(|run| std::fs::read(run.path().join("journal")).unwrap_or_default())
        .collect()
}

/// All bytes of all files below a directory.
fn kept(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            bytes.extend(kept(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    bytes
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_was_answered_before_a_kill_is_deployed_as_it_was_wherever_the_run_was_killed() {
    const WORD: &str = "production-eu-7";
    let world =
        World::parse(&read("web-service.world.toml").replace("STAGE = \"production\"", &format!("STAGE = \"{WORD}\"")))
            .change("secrets", "prod/registry", &secret(&format!("\"environment\":\"{WORD}\"")))
            .text();
    let mut resumed_in_the_middle = 0;
    for request in 1.. {
        let trap = Trap::of(&world, SCALE);
        trap.arm(Snare::kill(Place::Before(request)));
        let kiln = Kiln::new(["run", "web.toml", "--input", "commit=4f2a9c1", "--output", "json"])
            .file("web.toml", read("web-service.toml"))
            .env("AWS_ENDPOINT_URL", &trap.url())
            .scale(SCALE);
        let running = kiln.start();
        trap.watch(running.id(), std::time::Duration::from_secs(60));
        let outcome = running.end();
        trap.ended();
        let killed = outcome.code().is_none();
        assert!(!holds(&outcome.left_behind(), WORD), "request {request}: the secret stands in a file of the run");
        let left = journal(outcome.directory());
        let (described, updated) = (holds(&left, "ecs:DescribeTaskDefinition"), holds(&left, "ecs:UpdateService"));
        // Where the run has not begun there is nothing to go on with.
        let outcome = if killed && holds(&left, "run-start") {
            trap.arm(Snare::NONE);
            let outcome = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &trap.url()).run();
            resumed_in_the_middle += usize::from(described && !updated);
            outcome
        } else {
            outcome
        };
        if !killed || holds(&left, "run-start") {
            assert_eq!(outcome.code(), Some(0), "request {request}: {}", outcome.all());
            let stages = variables(&trap.simulator().state(), "STAGE");
            assert!(stages.len() >= 2, "the old and the new revision: {stages:?}");
            assert!(stages.iter().all(|stage| stage == WORD), "request {request}: {stages:?}");
            assert!(!holds(&outcome.left_behind(), WORD), "request {request}: it stands in a file of the run");
            assert!(!outcome.all().contains(WORD), "request {request}: {}", outcome.all());
        }
        if !killed || updated {
            break;
        }
    }
    assert!(
        resumed_in_the_middle >= 2,
        "{resumed_in_the_middle}: killed where the old revision was known, the new one not"
    );
}

#[test]
fn an_undo_behind_a_kill_works_on_the_config_as_it_was() {
    // The leaf is the role that the config names: the pipeline's own word, but one that the secret calls a key.
    let course = undone();
    let world =
        World::parse(&course.world).change("secrets", "prod/registry", &secret("\"api_key\":\"web-execution\""));
    let course = Course { world: world.text(), ..course };
    let unkilled = course.run(&[]);
    assert_eq!((unkilled.code, unkilled.problems.len()), (Some(1), 0), "{:?}", unkilled.problems);
    assert!(unkilled.stages.values().any(|stage| stage.contains("undone: Some(Some(true))")), "{:?}", unkilled.stages);
    let last = unkilled.requests[0];
    // From the deployment to the end of the undo.
    for request in (last / 2..=last).step_by(4) {
        let killed = course.run(&[Snare::kill(Place::Between(request))]);
        assert_eq!(killed.differences(&unkilled), Vec::<String>::new(), "killed at request {request} of {last}");
    }
}

#[test]
fn a_version_of_a_secret_that_is_gone_ends_a_resume_before_anything_is_done() {
    let world = World::of("[[secrets]]\nname = \"app\"\nvalue = \"hunter2-hunter2\"\n");
    let account = Account::at_scale(&world, 60.0);
    // What it remembers holds the secret, then it waits.
    let body = r#"(call $open (str "kiln-secret:token") (i32.const 256))
        (call $reveal (i32.load (i32.const 260)) (i32.const 260))
        (call $remember (str "value") (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (call $sleep (i64.const 100000)) (call $ok (str "{}"))"#;
    let running = account
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", PIPELINE)
        .file("guest.wasm", Guest::new(body).build())
        .start();
    while !holds(&journal(running.directory()), "\"record\":\"timer\"") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("{} is no process", running.id()));
    kill_process(process, Signal::KILL).unwrap_or_else(|error| panic!("{error}"));
    let outcome = running.end();
    assert!(!holds(&outcome.left_behind(), "hunter2-hunter2"), "it is referred to, not written");
    // Another account, where the secret has other versions.
    let other =
        Account::at_scale(&World::of("seed = 8\n[[secrets]]\nname = \"app\"\nvalue = \"hunter3-hunter3\"\n"), 60.0);
    let outcome = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &other.url()).run();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert!(outcome.stderr().contains("secret"), "{}", outcome.all());
    let outcome = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(outcome.code(), Some(0), "with the version that it began with it goes on: {}", outcome.all());
}

const PIPELINE: &str = r#"
[pipeline]
name   = "sealed"
region = "us-west-2"

[secrets.token]
id = "app"

[plugins.guest]
path = "guest.wasm"

[stages.only]
plugin  = "guest"
reveal  = true
timeout = "2h"
with    = { token = "${secrets.token}" }
"#;

#[test]
fn secrets_that_are_words_of_everybody_make_no_run_impossible_and_are_named() {
    for word in [
        "us-west-2",
        "111111111111",
        "web-image",
        "COMPLETE",
        "stage-end",
        "111111111111.dkr.ecr.us-west-2.amazonaws.com",
    ] {
        let world = World::parse(&read("web-service.world.toml"))
            .change("secrets", "prod/registry", &secret(&format!("\"registry\":\"{word}\"")))
            .text();
        let trap = Trap::of(&world, SCALE);
        let outcome: Outcome = Kiln::new(["run", "web.toml", "--input", "commit=4f2a9c1", "--output", "json"])
            .file("web.toml", read("web-service.toml"))
            .env("AWS_ENDPOINT_URL", &trap.url())
            .scale(SCALE)
            .run();
        assert_eq!(outcome.code(), Some(0), "{word}: {}", outcome.all());
        let warning = "parts of the secret `registry` are words that everybody knows, and are not masked: /registry";
        assert!(outcome.stdout().contains(warning), "{word}: {}", outcome.all());
    }
    let trap = Trap::of(
        &read("web-service.world.toml").replace("\"}'", "\",\"region\":\"us-west-2\",\"pin\":\"1234\"}'"),
        SCALE,
    );
    let plan = Kiln::new(["plan", "web.toml", "--input", "commit=4f2a9c1"])
        .file("web.toml", read("web-service.toml"))
        .env("AWS_ENDPOINT_URL", &trap.url())
        .scale(SCALE)
        .run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    assert!(plan.stdout().contains("everybody knows, and are not masked: /region"), "{}", plan.all());
    assert!(plan.stdout().contains("too short to be masked by themselves: /pin"), "{}", plan.all());
    // A leaf of any other kind of word is masked in texts, and nothing depends on it.
    let world = World::parse(&read("web-service.world.toml"))
        .change("secrets", "prod/registry", &secret("\"api_key\":\"us-west-2\",\"pass_word\":\"web-image\""))
        .text();
    let trap = Trap::of(&world, SCALE);
    let outcome = Kiln::new(["run", "web.toml", "--input", "commit=4f2a9c1", "--output", "json"])
        .file("web.toml", read("web-service.toml"))
        .env("AWS_ENDPOINT_URL", &trap.url())
        .scale(SCALE)
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}

#[test]
fn an_input_that_holds_a_secret_is_refused_before_it_is_written_down() {
    let world = World::of("[[secrets]]\nname = \"app\"\nvalue = \"hunter2-hunter2\"\n");
    let account = Account::at_scale(&world, 60.0);
    let outcome = account
        .kiln(["run", "pipeline.toml", "--input", "given=x-hunter2-hunter2"])
        .file("pipeline.toml", format!("{PIPELINE}\n[inputs.given]\n"))
        .file("guest.wasm", Guest::new(r#"(call $ok (str "{}"))"#).build())
        .run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("the input `given` holds the value of the secret `token`"), "{}", outcome.all());
    assert!(outcome.stderr().contains("${secrets.token}"), "{}", outcome.all());
    assert!(!holds(&kept(&outcome.directory().join(".kiln")), "hunter2-hunter2"), "nothing of it is kept");
}
