//! Stages that are skipped, and those that follow them: rehearsed from end to end.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, RunOutcome, SkipReason, StageOutcome};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, World, plugins, rehearsal};

/// A pipeline that deploys where `deploy` is true, watches the alarms afterwards, and cleans up; with these lines in the last stages.
fn pipeline(verify: &str, cleanup: &str) -> String {
    format!(
        r#"
        [pipeline]
        name   = "web"
        region = "us-west-2"

        [inputs.deploy]
        type    = "bool"
        default = false

        [stages.deploy]
        plugin = "deploy-ecs"
        when   = "inputs.deploy"
        with   = {{ cluster = "web", service = "web", image = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }}

        [stages.verify]
        plugin = "verify-alarms"
        {verify}
        with   = {{ alarms = ["web-5xx"], bake = "30m" }}

        [stages.cleanup]
        plugin = "cleanup-images"
        {cleanup}
        with   = {{ repository = "web", clusters = ["web"], keep = 100 }}
        "#
    )
}

fn rehearsed(pipeline: &str) -> Rehearsed {
    let source = SourceFile::new("web.toml".to_owned(), pipeline.to_owned());
    let mut rehearsal = rehearsal(source, &World::web_service().text(), 7);
    rehearsal.inputs.clear();
    let quiet = Box::new(Reports::new(Vec::new()));
    kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error}"))
}

/// How each stage ended, why it was skipped, and how many calls it made.
fn ends(rehearsed: &Rehearsed) -> Vec<(&str, StageOutcome, Option<SkipReason>, u32)> {
    let ends = rehearsed.events.iter().filter_map(|event| match &event.kind {
        EventKind::StageFinished { outcome, skipped, calls, .. } => {
            Some((event.stage.as_ref()?.as_str(), *outcome, *skipped, *calls))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_run_that_skips_its_deployment_watches_no_alarms_and_takes_no_time() {
    let rehearsed = rehearsed(&pipeline("after = ['deploy']", "after = ['verify']"));
    assert_eq!(rehearsed.outcome, RunOutcome::Done);
    let skipped = |stage, why| (stage, StageOutcome::Skipped, Some(why), 0);
    let expected = [
        skipped("deploy", SkipReason::When),
        skipped("verify", SkipReason::Followed),
        skipped("cleanup", SkipReason::Followed),
    ];
    assert_eq!(ends(&rehearsed), expected);
    let took = rehearsed.events.last().map(|event| event.at).zip(rehearsed.events.first().map(|event| event.at));
    assert!(took.is_some_and(|(end, begin)| end - begin < 60_000), "{took:?}");
}

#[test]
fn a_stage_that_asks_how_another_ended_decides_by_itself() {
    let asks = "when = \"stages.deploy.outcome in ['done', 'skipped']\"";
    let asking = rehearsed(&pipeline(asks, "when = \"stages.deploy.outcome == 'done'\""));
    let ends = ends(&asking);
    assert_eq!(ends.iter().find(|end| end.0 == "verify").map(|end| end.1), Some(StageOutcome::Done), "{ends:?}");
    let cleanup = ends.iter().find(|end| end.0 == "cleanup").map(|end| (end.1, end.2));
    assert_eq!(cleanup, Some((StageOutcome::Skipped, Some(SkipReason::When))), "{ends:?}");
}

#[test]
fn a_stage_after_one_that_was_done_and_one_that_was_skipped_runs() {
    let rehearsed = rehearsed(&pipeline("", "after = ['deploy', 'verify']"));
    let ends = ends(&rehearsed);
    assert_eq!(ends.iter().find(|end| end.0 == "cleanup").map(|end| end.1), Some(StageOutcome::Done), "{ends:?}");
}

#[test]
fn a_stage_that_refers_to_what_a_skipped_one_would_give_says_so() {
    let text = pipeline("after = []", "after = ['verify']")
        .replace("keep = 100", "keep = 100, keep-tags = [\"${stages.deploy.task-definition}\"]");
    let rehearsed = rehearsed(&text);
    let ends = ends(&rehearsed);
    let cleanup = ends.iter().find(|end| end.0 == "cleanup").map(|end| (end.1, end.2));
    assert_eq!(cleanup, Some((StageOutcome::Skipped, Some(SkipReason::Output))), "{ends:?}");
}

#[test]
fn a_stage_may_run_because_another_failed() {
    // There is no alarm of this name.
    let text = pipeline("on-failure = 'continue'", "when = \"stages.verify.outcome == 'failed'\"")
        .replace("web-5xx", "nobody");
    let rehearsed = rehearsed(&text);
    let ends = ends(&rehearsed);
    assert_eq!(rehearsed.outcome, RunOutcome::Failed);
    let outcome = |stage| ends.iter().find(|end| end.0 == stage).map(|end| end.1);
    assert_eq!(outcome("verify"), Some(StageOutcome::Failed), "{ends:?}");
    assert_eq!(outcome("cleanup"), Some(StageOutcome::Done), "{ends:?}");
}

#[test]
fn summary_plan_and_journal_say_why_a_stage_is_skipped() {
    let account = Account::of(&World::web_service());
    let text = pipeline("after = ['deploy']", "after = ['verify']");
    let plan = account.kiln(["plan", "web.toml"]).file("web.toml", text.clone()).run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    assert_eq!(plan.all().matches("skipped: all that it follows was skipped").count(), 2, "{}", plan.all());
    let run = account.kiln(["run", "web.toml"]).file("web.toml", text).run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
    assert_eq!(run.all().matches("skipped: its `when` is false").count(), 1, "{}", run.all());
    assert_eq!(run.all().matches("skipped: all that it follows was skipped").count(), 2, "{}", run.all());
}
