//! The pipeline of the README, from its check to its journal.

use kiln_tests::{Account, Outcome, World, repository};
use serde_json::Value;

/// The pipeline file.
pub(crate) fn pipeline() -> String {
    repository().join("pipelines/web-service.toml").display().to_string()
}

/// A run of the pipeline in an account.
pub(crate) fn run(account: &Account) -> Outcome {
    account.kiln(["run", &pipeline(), "--input", "commit=4f2a9c1", "--output", "json"]).run()
}

#[test]
fn all_five_stages_are_done() {
    let account = Account::of(&World::web_service());
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(outcome.stages(), ["build done", "scan done", "deploy done", "verify done", "cleanup done"]);

    assert_eq!(account.count("codebuild:StartBuild"), 1);
    assert_eq!(account.count("ecs:RegisterTaskDefinition"), 1);
    assert_eq!(account.count("ecs:UpdateService"), 1);
    assert!(account.count("ecr:BatchDeleteImage") >= 1);
}

#[test]
fn what_serves_is_the_digest_that_was_built() {
    let account = Account::of(&World::web_service());
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let outputs = |stage: &str| -> Value {
        let events = outcome.events();
        let of_stage = events.iter().filter(|event| event.get("stage").and_then(Value::as_str) == Some(stage));
        of_stage.filter_map(|event| event.get("event")?.get("outputs").cloned()).next_back().unwrap_or_default()
    };
    let built = outputs("build").get("image").cloned().unwrap_or_default();
    assert!(built.as_str().is_some_and(|image| image.contains("@sha256:")), "{built}");
    assert_eq!(outputs("deploy").get("image"), Some(&built));
    let state = account.state().to_string();
    assert!(state.contains(built.as_str().unwrap_or("nothing")), "the account runs {built}");
}

#[test]
fn the_journal_can_be_shown_afterwards() {
    let account = Account::of(&World::web_service());
    let outcome = run(&account);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let shown = outcome.then(["show", "--output", "json"]).run();
    assert_eq!(shown.code(), Some(0), "{}", shown.all());
    let view: Value = serde_json::from_str(&shown.stdout()).unwrap_or_default();
    assert_eq!(view.get("outcome").and_then(Value::as_str), Some("done"));
    let stages = view.get("stages").and_then(Value::as_array).cloned().unwrap_or_default();
    let deploy = stages.iter().find(|stage| stage.get("name").and_then(Value::as_str) == Some("deploy"));
    let calls = deploy.and_then(|stage| stage.get("calls")?.as_array()).cloned().unwrap_or_default();
    let update = calls.iter().find(|call| call.get("action").and_then(Value::as_str) == Some("ecs:UpdateService"));
    let token = update.and_then(|call| call.get("token")?.as_str()).unwrap_or_default();
    assert_eq!(token.len(), 36, "a write has its token: {update:?}");
    let listed = shown.then(["show"]).run();
    assert!(listed.stdout().contains("deploy"), "{}", listed.all());
}

#[test]
fn a_plan_tells_and_changes_nothing() {
    let account = Account::of(&World::web_service());
    let outcome = account.kiln(["plan", &pipeline(), "--input", "commit=4f2a9c1"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(account.effects().len(), 0, "{:?}", account.effects());
    let plan = outcome.stdout();
    for stage in ["build", "scan", "deploy", "verify", "cleanup"] {
        assert!(plan.contains(stage), "{plan}");
    }
    assert!(outcome.left_behind().is_empty(), "a plan keeps no journal");
}

#[test]
fn a_second_run_of_the_same_commit_builds_nothing_new() {
    let account = Account::of(&World::web_service());
    let first = run(&account);
    assert_eq!(first.code(), Some(0), "{}", first.all());
    let again = run(&account);
    // The tag exists: to build it again would be to move it.
    assert_eq!(again.code(), Some(1), "{}", again.all());
    assert_eq!(account.count("codebuild:StartBuild"), 1);
    assert_eq!(again.failure("build").get("kind").and_then(Value::as_str), Some("conflict"));
}
