//! Tests of scenarios: what is wrong with a file, how worlds are merged, and what of a rehearsal is not as expected.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Knowledge, Scenario, Unmet, judge, load};
use crate::event::{Event, EventKind, Failure, RunOutcome, StageOutcome};
use crate::rehearse::Rehearsed;

const WORLD: &str = r#"
account = "111111111111"
region  = "us-west-2"
seed    = 11

[[secrets]]
name  = "token"
value = "not much of a secret"

[[repositories]]
name = "web"

[[projects]]
name   = "web"
phases = { BUILD = "3m", INSTALL = "10s" }

[[alarms]]
name   = "errors"
state  = "OK"
script = [{ after = "1h", state = "OK" }]
"#;

/// The files of a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new(scenario: &str) -> Self {
        Self::with_world(scenario, WORLD)
    }

    fn with_world(scenario: &str, world: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("web.scenarios")).unwrap();
        std::fs::write(directory.path().join("web.world.toml"), world).unwrap();
        std::fs::write(directory.path().join("web.scenarios/one.toml"), scenario).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Scenario, String> {
        let known = Knowledge {
            stages: ["build", "deploy"].map(str::to_owned).to_vec(),
            outputs: [("build".to_owned(), vec!["image".to_owned(), "tag".to_owned()])].into(),
        };
        let loaded = load(&self.path("web.scenarios/one.toml"), &self.path("web.toml"), &known);
        loaded.map_err(|problems| problems.to_string().replace(&*self.0.path().to_string_lossy(), "DIR"))
    }
}

/// What is wrong with a scenario.
fn wrong(scenario: &str) -> String {
    Files::new(scenario).load().err().unwrap_or_default()
}

fn loaded(scenario: &str) -> Scenario {
    Files::new(scenario).load().unwrap()
}

const LEAST: &str = "description = 'd'\nexpect = { outcome = 'done' }\n";

#[test]
fn the_least_scenario_starts_from_the_world_beside_the_pipeline() {
    let scenario = loaded(LEAST);
    assert_eq!(scenario.name, "one");
    assert_eq!((scenario.seed, scenario.start), (11, crate::rehearse::START));
    assert_eq!(scenario.world_with(&[]).unwrap().account(), "111111111111");
}

#[test]
fn the_schema_is_the_one_that_was_reviewed() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&super::file::json_schema()).unwrap());
}

#[test]
fn named_things_are_merged_and_others_are_added() {
    let scenario = loaded(&format!(
        r#"{LEAST}
        [[change.projects]]
        name   = "web"
        phases = {{ BUILD = "45m" }}
        [[change.projects]]
        name = "second"
        [[change.findings]]
        repository = "web"
        severity   = "LOW"
        id         = "one"
        [remove]
        secrets = ["token"]
        "#
    ));
    let world = &scenario.world;
    assert_eq!(world["projects"][0]["phases"], json!({ "BUILD": "45m", "INSTALL": "10s" }));
    assert_eq!(world["projects"][1]["name"], "second");
    assert_eq!(world["findings"][0]["id"], "one");
    assert_eq!(world["secrets"], json!([]));
}

#[test]
fn short_forms_are_pieces_of_the_world() {
    let scenario = loaded(&format!(
        r#"{LEAST}
        [outcomes]
        build    = {{ fails-in = "BUILD", message = "m", log = ["l"] }}
        tasks    = {{ crash-after = "20s", exit-code = 137, share = 0.5 }}
        findings = [{{ severity = "CRITICAL", id = "CVE-1", package = "openssl" }}]
        alarms   = [
            {{ name = "errors", at = "3m", of = "web/web", reason = "r" }},
            {{ name = "errors", at = "5m", state = "OK" }},
            {{ name = "errors", at = "40%", of = "web/web" }},
        ]
        "#
    ));
    let world = &scenario.world;
    assert_eq!(world["projects"][0]["fail"], json!({ "phase": "BUILD", "message": "m", "log": ["l"] }));
    let tasks = json!({ "image": "built", "crash-after": "20s", "exit-code": 137, "probability": 0.5 });
    assert_eq!(world["task-behaviours"], json!([tasks]));
    assert_eq!(world["findings"][0]["tag"], "built");
    let script = world["alarms"][0]["script"].as_array().unwrap();
    assert_eq!(script.len(), 3, "one was there, two came: {script:?}");
    assert_eq!(script[1]["after-deployment-of"], "web/web");
    assert_eq!(script[2], json!({ "state": "OK", "after": "5m" }));
    assert_eq!(scenario.shares.len(), 1, "its instant is known only after a rehearsal");
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place() {
    insta::assert_snapshot!(
        "all_that_is_wrong",
        wrong(
            r#"descripton = "a slip"
start  = "tomorrow"
world  = "../web.world.toml"
inputs = { commit = 7 }

[[change.projects]]
name   = "web"
phases = { BILD = "3m" }
cash   = true

[[change.alarms]]
name  = "other"
state = "ALRAM"

[change]
regoin = "eu-central-1"

[remove]
secrets = ["tokn"]

[[faults]]
operation = "ecs:*"
kind      = "throtle"
nht       = 2

[[faults]]
operation = "DescribeServices"
kind      = "delay"

[outcomes]
build  = { fails-in = "COMPLETED" }
tasks  = { crash-after = "soon" }
alarms = [{ name = "erors", at = "3m" }, { name = "errors", at = "40%" }, { name = "errors", at = "120%", of = "web/web" }]

[expect]
outcome  = "fails"
stages   = { biuld = "done", deploy = "finished" }
undone   = ["dploy"]
failures = { build = "reject" }
messages = [{ stage = "scan", contains = "x" }, { stage = "build" }]
account  = [{ at = "ecs" }, { at = "ecr", count = 1, absent = true }]
duration = { at-most = 30, at-least = "1.5h" }

[expect.effects]
"ecs:UpdateServise" = 1
"ecs:UpdateService" = { at-least = 3, at-most = 2 }
"codebuild:StartBuild" = -1
"#
        )
    );
}

#[test]
fn what_the_schema_alone_cannot_see_is_told_too() {
    let told = wrong(&format!("{LEAST}[[faults]]\noperation = 'DescribeServices'\nkind = 'delay'\n"));
    assert!(told.contains("IAM action") && told.contains("needs a `delay`") && told.contains("one.toml:3"), "{told}");
    let told = wrong("description = 'd'\nexpect = { outcome = 'done' }\n[outcomes]\ntasks = { share = 0.5 }\n");
    assert!(told.contains("crash-after") && told.contains("one.toml:4"), "{told}");
}

#[test]
fn a_world_that_is_wrong_is_told_in_its_own_file() {
    let broken = format!("{WORLD}\n[[alarms]]\nname = 'x'\nstat = 'OK'\n");
    let told = Files::with_world(LEAST, &broken).load().err().unwrap_or_default();
    assert!(told.contains("DIR/web.world.toml:24") && told.contains("did you mean `state`?"), "{told}");
    let told = Files::with_world(LEAST, "account = ").load().err().unwrap_or_default();
    assert!(told.contains("DIR/web.world.toml:1"), "{told}");
}

#[test]
fn a_world_that_is_not_there_is_told() {
    let told = wrong(&format!("world = 'elsewhere.toml'\n{LEAST}"));
    assert!(told.contains("there is no world file") && told.contains("one.toml:1:9"), "{told}");
}

#[test]
fn hostile_files_are_refused_in_order() {
    for text in ["\u{0}", "\u{feff}", "a = [", "[expect]\nexpect = 1\n[expect]", "= = =", "description = nan"] {
        assert!(!wrong(text).is_empty(), "{text:?}");
    }
    let deep = format!("a = {}", "[".repeat(200_000));
    assert!(wrong(&deep).contains("nested"), "deep nesting");
    let missing = load(Path::new("/nowhere/x.toml"), Path::new("/nowhere/p.toml"), &Knowledge::default());
    assert!(missing.err().unwrap().to_string().contains("cannot be read"));
}

/// A rehearsal made by hand: `build` is done, `deploy` fails and is undone.
fn rehearsed() -> Rehearsed {
    let event = |seq: u64, at: u64, stage: Option<&str>, kind: EventKind| Event {
        seq,
        at,
        stage: stage.map(|stage| stage.parse().unwrap()),
        kind,
    };
    let finished = |outcome, failure, millis| EventKind::StageFinished {
        outcome,
        outputs: (outcome == StageOutcome::Done)
            .then(|| json!({ "image": "web@sha256:ab", "tag": null, "findings": [{ "id": "CVE-1" }] })),
        failure,
        millis,
        calls: 1,
        skipped: None,
    };
    let failure = Failure {
        kind: "failed".to_owned(),
        message: "web/web does not run web:2: the deployment failed".to_owned(),
        help: Some("Mend it.".to_owned()),
        details: vec!["task 1 stopped: exit code 137".to_owned()],
    };
    let state = |definition: &str| {
        json!({
            "home": "111111111111/us-west-2",
            "places": { "111111111111/us-west-2": { "ecs": { "services": { "web": {
                "task-definition": definition, "desired": 4.0, "events": ["a", "b"],
            } } } } },
        })
    };
    Rehearsed {
        outcome: RunOutcome::Failed,
        events: vec![
            event(1, 1_000, Some("build"), EventKind::StageStarted { attempt: 1 }),
            event(2, 61_000, Some("build"), finished(StageOutcome::Done, None, 60_000)),
            event(3, 62_000, Some("deploy"), EventKind::StageStarted { attempt: 1 }),
            event(4, 90_000, Some("deploy"), finished(StageOutcome::Failed, Some(failure), 28_000)),
            event(
                5,
                95_000,
                Some("deploy"),
                EventKind::UndoFinished { result: Ok("web is at web:1 again".to_owned()) },
            ),
        ],
        effects: Vec::new(),
        before: state("web:1"),
        after: state("web:2"),
        millis: 94_000,
    }
}

/// What of an `[expect]` is not met.
fn unmet(expect: &str) -> Vec<Unmet> {
    let scenario = loaded(&format!("description = 'd'\n[expect]\n{expect}"));
    judge(&scenario, &rehearsed(), None)
}

#[test]
fn what_is_as_expected_is_not_told() {
    let expect = r#"outcome = "failed"
        stages   = { build = "done", deploy = "failed" }
        undone   = ["deploy"]
        failures = { deploy = "failed" }
        messages = [{ stage = "deploy", contains = "137" }, { contains = "web:1 again" }, { contains = "Mend" }]
        duration = { at-least = "1m34s", at-most = "1m34s" }
        effects  = { "ecs:UpdateService" = 0, "codebuild:StartBuild" = { at-most = 1 } }
        account  = [
            { at = "ecs/services/web/task-definition", is = "web:2" },
            { at = "ecs/services/web/desired", is = 4 },
            { at = "/home", contains = "us-west-2" },
            { at = "ecs/services/web/events", count = 2 },
            { at = "ecs/services/web/events/last", is = "b" },
            { at = "ecs/services/web", unchanged = false },
            { at = "ecs/services/web/events", unchanged = true },
            { at = "ecs/services/other", absent = true },
        ]"#;
    assert_eq!(unmet(expect), []);
}

#[test]
fn what_is_not_as_expected_is_told_with_what_happened() {
    let expect = r#"outcome = "done"
stages   = { build = "failed", deploy = "not-run" }
undone   = []
failures = { build = "failed", deploy = "rejected" }
messages = [{ stage = "deploy", contains = "exit code 1 of the app" }, { stage = "build", contains = "x" }]
duration = { at-most = "1m" }
effects  = { "ecs:UpdateService" = 2, "codebuild:StartBuild" = { at-least = 1 } }
account  = [
    { at = "ecs/services/web/task-definition", is = "web:1" },
    { at = "ecs/services/web/task-definition", contains = "web:3" },
    { at = "ecs/services/web/events", count = 3 },
    { at = "ecs/services/web/task-definition", unchanged = true },
    { at = "ecs/services/web/events", unchanged = false },
    { at = "ecs/service/web", absent = false },
    { at = "ecs/services/web", absent = true },
    { at = "ecs/services/nowhere", unchanged = true },
]"#;
    let told: Vec<String> = unmet(expect)
        .into_iter()
        .map(|unmet| {
            let notes: Vec<String> = unmet.notes.iter().map(|note| format!("\n    | {note}")).collect();
            format!(
                "line {}: {}\n  expected: {}\n     found: {}{}",
                unmet.line,
                unmet.field,
                unmet.expected,
                unmet.found,
                notes.concat()
            )
        })
        .collect();
    assert_eq!(told.len(), 19, "each of them");
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn outputs_are_judged_and_named() {
    let one =
        |stage: &str, claim: &str| unmet(&format!("outcome = 'failed'\noutputs = [{{ stage = '{stage}', {claim} }}]"));
    for met in
        ["at = 'image', is = 'web@sha256:ab'", "at = 'image', contains = '@sha256:'", "at = 'tag', absent = true"]
    {
        assert_eq!(one("build", met), [], "{met}");
    }
    for (claim, found) in [
        ("at = 'image', is = 'web'", "build.image is \"web@sha256:ab\""),
        ("at = 'image', absent = true", "build.image is \"web@sha256:ab\""),
        ("at = 'tag', contains = 'x'", "build.tag is not there"),
        ("at = 'image', count = 1", "build.image is \"web@sha256:ab\""),
    ] {
        let unmet = one("build", claim);
        assert_eq!(unmet.iter().map(|unmet| unmet.found.as_str()).collect::<Vec<_>>(), [found], "{claim}");
        assert_eq!((unmet[0].field.as_str(), unmet[0].line), ("expect.outputs", 4));
    }
    // The plugin of `deploy` says not what it answers.
    assert_eq!(one("deploy", "at = 'findings/0/id', absent = true"), [], "what failed gave nothing");
    assert_eq!(one("deploy", "at = 'image', contains = 'x'")[0].found, "deploy gave no outputs");
    let told = |claim: &str| wrong(&format!("description = 'd'\n[expect]\noutcome = 'done'\noutputs = [{claim}]"));
    assert!(told("{ stage = 'build', at = 'imag', is = 1 }").contains("did you mean `image`?"));
    assert!(told("{ stage = 'built', at = 'image', is = 1 }").contains("did you mean `build`?"));
    assert!(told("{ stage = 'build', at = 'image' }").contains("nothing is said of `image`"));
    assert!(told("{ stage = 'build', at = 'image', is = 1, count = 1 }").contains("2 things are said of `image`"));
}

#[test]
fn a_run_that_cannot_begin_may_be_expected() {
    let judged = |expect: &str| {
        let scenario = loaded(&format!("description = 'd'\n[expect]\n{expect}"));
        let nothing =
            Rehearsed { events: Vec::new(), after: Value::Null, before: Value::Null, millis: 0, ..rehearsed() };
        judge(&scenario, &nothing, Some("the secret `token` is gone"))
    };
    assert_eq!(judged("outcome = 'not-started'\nmessages = [{ contains = '`token` is gone' }]"), []);
    let wrong = judged("outcome = 'failed'\nstages = { build = 'not-run' }");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!((wrong[0].found.as_str(), wrong[0].notes.len()), ("not-started", 1));
    assert_eq!(unmet("outcome = 'not-started'").len(), 1, "a run that failed has begun");
}

#[test]
fn the_report_for_ci_keeps_the_limits_of_codebuild() {
    use std::time::Duration;

    use super::{Tested, Trial};
    let tested = |index: usize| {
        let passed = index.is_multiple_of(2);
        let long = Unmet {
            field: "expect.outcome".to_owned(),
            line: 3,
            expected: "<&\u{1b}>".to_owned(),
            found: "x".repeat(20_000),
            notes: Vec::new(),
        };
        let unmet = if passed { Vec::new() } else { vec![long] };
        let trial = Trial { rehearsed: rehearsed(), refused: None, unmet, wall: Duration::from_millis(5) };
        Tested {
            name: format!("scenario-{index}"),
            path: PathBuf::from("s.toml"),
            description: String::new(),
            result: if index == 7 { Err("no plugin".to_owned()) } else { Ok(trial) },
        }
    };
    let all: Vec<Tested> = (0..600).map(tested).collect();
    let (xml, left_out) = super::junit("web.toml", &all, Duration::from_secs(3)).unwrap();
    assert_eq!(left_out, 100);
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((suite.test_cases.len(), suite.failures, suite.errors), (500, 299, 1));
    for case in &suite.test_cases {
        if let quick_junit::TestCaseStatus::NonSuccess { message, description, .. } = &case.status {
            for text in [message, description].into_iter().flatten() {
                assert!(text.as_str().chars().count() <= 5_000);
            }
        }
    }
    assert!(!xml.contains('\u{1b}'), "XML has no such character");
}

#[test]
fn scenarios_are_found_by_name() {
    let files = Files::new(LEAST);
    let directory = super::default_directory(&files.path("web.toml"));
    std::fs::write(directory.join("two.toml"), LEAST).unwrap();
    std::fs::write(directory.join("notes.md"), "").unwrap();
    let names = |filter: Option<&str>| -> Vec<String> {
        let found = super::find(&directory, filter).unwrap();
        found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(None), ["one.toml", "two.toml"]);
    assert_eq!(names(Some("tw")), ["two.toml"]);
    assert!(super::find(Path::new("/nowhere"), None).is_err());
}

#[test]
fn a_share_of_a_rollout_is_reckoned_from_its_own_length() {
    let value = json!({
        "home": "h",
        "places": { "h": { "ecs": { "clusters": { "c": { "services": { "s": { "service-deployments": [
            { "created": 0.0, "finished": 0.0 }, { "created": 100.0, "finished": 300.0 }, { "created": 400.0 },
        ] } } } } } } },
    });
    let share = |nth| super::outcomes::AtShare {
        alarm: "errors".to_owned(),
        cluster: "c".to_owned(),
        service: "s".to_owned(),
        nth,
        account: None,
        region: None,
        share: 0.4,
        step: serde_json::Map::new(),
    };
    let mut world = serde_json::Map::new();
    share(1).step(&value).unwrap().put(&mut world);
    assert_eq!(Value::from(world)["alarms"][0]["script"][0]["at"], "80000ms");
    assert!(share(2).step(&value).is_err(), "it never ended");
}
