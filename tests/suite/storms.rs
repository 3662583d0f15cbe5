//! Faults drawn at random: whatever befalls a run, it ends as `on-failure` promises, and nothing happens twice where it was
//! asked for once. `KILN_STORMS=1000` draws a thousand; `KILN_STORM=N` draws the one of that seed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_runner::event::{EventKind, RunOutcome, StageOutcome};
use kiln_runner::plugin::Plugins;
use kiln_runner::rehearse::{Rehearsed, rehearse};
use kiln_runner::report::Reports;
use kiln_tests::{Chance, World, plugins, rehearsal, web_service};

/// How many storms a test run draws unless it is told.
const STORMS: u64 = 40;

const KINDS: [&str; 7] = ["throttle", "internal", "unavailable", "reset", "reset-after", "truncated", "delay"];

const OPERATIONS: [&str; 14] = [
    "*",
    "ecr:*",
    "ecs:*",
    "codebuild:*",
    "codebuild:StartBuild",
    "codebuild:BatchGetBuilds",
    "ecr:DescribeImages",
    "ecr:DescribeImageScanFindings",
    "ecs:RegisterTaskDefinition",
    "ecs:UpdateService",
    "ecs:DescribeServices",
    "ecs:DescribeTasks",
    "cloudwatch:DescribeAlarms",
    "ecr:BatchDeleteImage",
];

/// The demo's world, with one to four faults and perhaps one mishap of its own.
fn storm(seed: u64) -> World {
    let mut chance = Chance::of_seed(seed);
    let mut world = World::web_service();
    for _ in 0..=chance.below(4) {
        let kind = chance.of(&KINDS);
        let operation = chance.of(&OPERATIONS);
        let delay = if kind == "delay" { format!("delay = \"{}s\"\n", 1 + chance.below(90)) } else { String::new() };
        let when = match chance.below(3) {
            0 => format!("nth = {}\n", 1 + chance.below(12)),
            1 => format!("nth = {}\ntimes = {}\n", 1 + chance.below(6), 1 + chance.below(8)),
            _ => format!("probability = 0.{}\n", 1 + chance.below(4)),
        };
        world = world.add("faults", &format!("operation = \"{operation}\"\nkind = \"{kind}\"\n{when}{delay}"));
    }
    match chance.below(6) {
        0 => world.add("task-behaviours", "family = \"web\"\nfrom-revision = 2\ncrash-after = \"9s\"\nexit-code = 3"),
        1 => world.change(
            "alarms",
            "web-5xx",
            "script = [{ after-deployment-of = \"web/web\", nth = 1, at = \"6m\", state = \"ALARM\" }]",
        ),
        _ => world,
    }
}

fn rehearsed(seed: u64, plugins: &Arc<Plugins>) -> Result<Rehearsed, String> {
    let rehearsal = rehearsal(web_service(), &storm(seed).text(), seed);
    let quiet = Box::new(Reports::new(Vec::new()));
    rehearse(rehearsal, Arc::clone(plugins), quiet).map_err(|error| error.to_string())
}

/// The task definition that the service is to run.
fn serving(account: &serde_json::Value) -> Option<String> {
    let home = account.get("home")?.as_str()?;
    let service = account.get("places")?.get(home)?.pointer("/ecs/clusters/web/services/web/task-definition")?;
    service.as_str().map(str::to_owned)
}

/// What is wrong with how a run ended.
fn broken(rehearsed: &Rehearsed) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ended = BTreeMap::new();
    let mut undone = BTreeMap::new();
    for event in &rehearsed.events {
        let Some(stage) = &event.stage else { continue };
        match &event.kind {
            EventKind::StageFinished { outcome, .. } => {
                ended.insert(stage.as_str().to_owned(), *outcome);
            }
            EventKind::UndoFinished { result } => {
                undone.insert(stage.as_str().to_owned(), result.is_ok());
            }
            _ => {}
        }
    }
    let count = |action: &str| rehearsed.effects.iter().filter(|effect| effect.action == action).count();
    for (action, most) in [("codebuild:StartBuild", 1), ("ecs:RegisterTaskDefinition", 1), ("ecs:UpdateService", 2)] {
        if count(action) > most {
            wrong.push(format!("{action} had {} effects", count(action)));
        }
    }
    let failed: Vec<&String> =
        ended.iter().filter(|(_, outcome)| **outcome == StageOutcome::Failed).map(|(name, _)| name).collect();
    // A run is stuck where nobody can find out what became of a call, or where an undo failed; it says which.
    let said = |kind: &EventKind| match kind {
        EventKind::StageFinished { failure, .. } => failure.as_ref().is_some_and(|failure| failure.kind == "stuck"),
        EventKind::UndoFinished { result } => result.is_err(),
        _ => false,
    };
    let is_stuck = rehearsed.outcome == RunOutcome::Stuck;
    if is_stuck != rehearsed.events.iter().any(|event| said(&event.kind)) {
        wrong.push(format!("the run is {:?}, and {ended:?}", rehearsed.outcome));
    }
    if !is_stuck && (rehearsed.outcome == RunOutcome::Done) != failed.is_empty() {
        wrong.push(format!("the run is {:?}, and these stages failed: {failed:?}", rehearsed.outcome));
    }
    if ended.len() != 5 {
        wrong.push(format!("not every stage ended: {ended:?}"));
    }
    // `deploy` and `verify` say `on-failure = "undo"`: the service is what it was, where the undo says that it worked.
    let undo_promised = failed.iter().any(|stage| matches!(stage.as_str(), "deploy" | "verify"));
    if undo_promised {
        match undone.get("deploy") {
            None => wrong.push("the deployment was not undone".to_owned()),
            Some(true) if serving(&rehearsed.before) != serving(&rehearsed.after) => {
                wrong.push(format!("undone, but {:?} serves", serving(&rehearsed.after)));
            }
            Some(_) => {}
        }
    }
    if ended.get("verify") == Some(&StageOutcome::Done) && serving(&rehearsed.before) == serving(&rehearsed.after) {
        wrong.push("verified, but the old revision serves".to_owned());
    }
    wrong
}

#[test]
fn whatever_befalls_a_run_it_ends_as_promised() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KILN_STORM") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KILN_STORMS").unwrap_or(STORMS),
    };
    let plugins = plugins();
    let mut done = 0;
    let mut wrong = Vec::new();
    for seed in seeds.clone() {
        match rehearsed(seed, &plugins) {
            Ok(rehearsed) => {
                done += u64::from(rehearsed.outcome == RunOutcome::Done);
                for event in &rehearsed.events {
                    if let EventKind::StageFinished { outcome: StageOutcome::Stuck, failure: Some(failure), .. } =
                        &event.kind
                    {
                        println!("KILN_STORM={seed} is stuck: {}", failure.message);
                    }
                }
                wrong.extend(broken(&rehearsed).into_iter().map(|what| format!("KILN_STORM={seed}: {what}")));
            }
            // A run that cannot begin has done nothing.
            Err(refused) if refused.contains("cannot") => {}
            Err(refused) => wrong.push(format!("KILN_STORM={seed}: {refused}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = seeds.end - seeds.start;
    assert!(
        all < 20 || (done > all / 10 && done < all),
        "{done} of {all} runs are done: the storms are too weak or too strong"
    );
}
