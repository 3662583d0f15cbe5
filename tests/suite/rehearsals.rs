//! Rehearsals: the same pipeline, host and SDK, in virtual time.

use kiln_tests::{Kiln, Outcome, repository};
use serde_json::Value;

fn rehearse(arguments: &[&str]) -> Outcome {
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let command = ["rehearse", &pipeline, "--input", "commit=4f2a9c1", "--output", "json"];
    Kiln::new(command.into_iter().chain(arguments.iter().copied())).run()
}

#[test]
fn twenty_minutes_pass_and_the_events_are_the_same_each_time() {
    let (one, two) = (rehearse(&[]), rehearse(&[]));
    assert_eq!(one.code(), Some(0), "{}", one.all());
    assert_eq!(one.stages(), ["build done", "scan done", "deploy done", "verify done", "cleanup done"]);
    assert_eq!(one.stdout(), two.stdout(), "byte for byte");
    let end = one.events().pop().unwrap_or_default();
    let millis = end.pointer("/event/millis").and_then(Value::as_u64).unwrap_or_default();
    assert!(millis > 15 * 60_000, "{end}");
    assert!(one.left_behind().is_empty(), "a rehearsal leaves nothing behind");
}

#[test]
fn another_seed_is_another_rehearsal() {
    assert_ne!(rehearse(&["--seed", "1"]).stdout(), rehearse(&["--seed", "2"]).stdout());
}

#[test]
fn a_world_that_is_not_there_is_asked_for() {
    let outcome = rehearse(&["--world", "nowhere.toml"]);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("--world FILE"), "{}", outcome.all());
}
