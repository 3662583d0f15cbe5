//! Rehearsals: the same pipeline, host and SDK, in virtual time.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, RunOutcome};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Kiln, Outcome, World, plugins, rehearsal, repository, web_service};
use serde_json::Value;

fn rehearse(arguments: &[&str]) -> Outcome {
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let command = ["rehearse", &pipeline, "--input", "commit=4f2a9c1", "--output", "json"];
    Kiln::new(command.into_iter().chain(arguments.iter().copied())).run()
}

/// The same in this process.
fn rehearsed(source: SourceFile, world: &str, seed: u64) -> Rehearsed {
    let quiet = Box::new(Reports::new(Vec::new()));
    let rehearsed = kiln_runner::rehearse::rehearse(rehearsal(source, world, seed), plugins(), quiet);
    rehearsed.unwrap_or_else(|error| panic!("{error}"))
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
    let events = |seed| {
        let rehearsed = rehearsed(web_service(), &World::web_service().text(), seed);
        assert_eq!(rehearsed.outcome, RunOutcome::Done);
        serde_json::to_string(&rehearsed.events).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_ne!(events(1), events(2));
}

#[test]
fn a_world_that_is_not_there_is_asked_for() {
    let outcome = rehearse(&["--world", "nowhere.toml"]);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("--world FILE"), "{}", outcome.all());
}

#[test]
fn without_a_world_the_account_is_empty_and_it_is_said() {
    let pipeline = "[pipeline]\nname = \"p\"\nregion = \"eu-west-1\"\n[environments.live]\naccount = \"012345678901\"\n\
                    [stages.watch]\nplugin = \"verify-alarms\"\nenvironment = \"live\"\nwith = { alarms = [\"a\"], bake = \"1m\" }\n";
    let outcome = Kiln::new(["rehearse", "pipeline.toml", "--output", "json"]).file("pipeline.toml", pipeline).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let said = outcome.stderr().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("there is no pipeline.world.toml"), "{said}");
    assert!(said.contains("an empty account (012345678901, eu-west-1)"), "{said}");
    assert_eq!(outcome.stages(), ["watch failed"]);
    assert_eq!(outcome.failure("watch")["kind"], "not-found", "{}", outcome.failure("watch"));
}

/// The pipeline of the web service with an alarm that is watched for two hours, in a role whose sessions last one.
fn watched_for_two_hours(world: World) -> Rehearsed {
    let source = web_service();
    let longer =
        source.text.replace("bake = \"10m\"", "bake = \"2h\"").replace("timeout     = \"30m\"", "timeout     = \"3h\"");
    assert!(longer.contains("bake = \"2h\"") && longer.contains("timeout     = \"3h\""), "the pipeline was changed");
    rehearsed(SourceFile::new(source.name, longer), &world.text(), 7)
}

fn in_role(max_session: &str) -> World {
    World::web_service().change("roles", "deployer", &format!("max-session = \"{max_session}\""))
}

/// How often the role was assumed for a stage.
fn sessions_of(stage: &str, account: &Value) -> usize {
    let sessions = account.pointer("/sts/sessions").and_then(Value::as_object);
    let sessions = sessions.unwrap_or_else(|| panic!("no sessions in {account}"));
    let name = format!("/kiln-{stage}-");
    sessions.values().filter(|session| session.to_string().contains(&name)).count()
}

#[test]
fn a_stage_outlasts_the_hour_of_its_role() {
    let rehearsed = watched_for_two_hours(in_role("1h"));
    assert_eq!(rehearsed.outcome, RunOutcome::Done);
    assert!(sessions_of("verify", &rehearsed.after) >= 3, "one session for each hour of more than two");
    assert_eq!(sessions_of("cleanup", &rehearsed.after), 1);
    let again = |kind: &EventKind| matches!(kind, EventKind::CallRetrying { .. });
    assert!(!rehearsed.events.iter().any(|event| again(&event.kind)), "each session is renewed before it ends");
}

#[test]
fn a_stage_whose_role_is_closed_meanwhile_fails_and_says_so() {
    let closed = "operation = \"sts:AssumeRole\"\nkind = \"error\"\ncode = \"AccessDenied\"\n\
                  message = \"not authorized to perform: sts:AssumeRole\"\nstatus = 403\nafter = \"40m\"\ntimes = 1000";
    let rehearsed = watched_for_two_hours(in_role("1h").add("faults", closed));
    assert_ne!(rehearsed.outcome, RunOutcome::Done);
    let failure = rehearsed.events.iter().find_map(|event| match &event.kind {
        EventKind::StageFinished { failure: Some(failure), .. } => {
            Some((event.stage.as_ref()?.as_str().to_owned(), failure.clone()))
        }
        _ => None,
    });
    let (stage, failure) = failure.unwrap_or_else(|| panic!("no stage failed"));
    assert_eq!((stage.as_str(), failure.kind.as_str()), ("verify", "denied"));
    let said = "the stage's role cannot be assumed: AccessDenied: not authorized to perform: sts:AssumeRole";
    assert!(failure.message.contains(said), "{failure:?}");
}
