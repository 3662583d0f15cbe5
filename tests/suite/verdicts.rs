//! A verdict is about what was deployed: a config that cannot work is found by `check`, and where only the run finds it, it condemns
//! nothing.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, RunOutcome};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Kiln, World, plugins, rehearsal, web_service};

fn rehearsed(from: &str, to: &str) -> Rehearsed {
    let source = web_service();
    let text = source.text.replace(from, to);
    assert_ne!(text, source.text, "the pipeline was changed");
    let rehearsal = rehearsal(SourceFile::new(source.name, text), &World::web_service().text(), 7);
    let quiet = Box::new(Reports::new(Vec::new()));
    kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error}"))
}

fn undone(rehearsed: &Rehearsed) -> bool {
    rehearsed.events.iter().any(|event| matches!(event.kind, EventKind::UndoStarted))
}

#[test]
fn a_verification_that_could_not_begin_undoes_no_deployment() {
    let rehearsed = rehearsed("bake = \"10m\"", "bake = \"40m\"");
    assert_eq!(rehearsed.outcome, RunOutcome::Failed);
    let failures: Vec<(String, String)> = rehearsed
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::StageFinished { failure: Some(failure), .. } => {
                Some((event.stage.as_ref()?.to_string(), failure.kind.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(failures, [("verify".to_owned(), "config".to_owned())]);
    assert!(!undone(&rehearsed), "what was deployed stays");
    let told = rehearsed.events.iter().any(
        |event| matches!(&event.kind, EventKind::Warning { message, .. } if message.contains("nothing is undone")),
    );
    assert!(told, "and that is said");
}

#[test]
fn a_deployment_that_finds_no_service_is_undone_as_it_was_told() {
    let rehearsed = rehearsed("service  = \"web\"", "service  = \"absent\"");
    assert_eq!(rehearsed.outcome, RunOutcome::Failed);
    assert!(undone(&rehearsed), "it is a part of the change");
}

/// `with` of a plugin around each of its values that is written in a form of its own.
const FORMS: [(&str, &str); 6] = [
    ("verify-alarms", r#"{ alarms = ["a"], bake = "VALUE" }"#),
    ("verify-alarms", r#"{ alarms = ["a"], bake = "1m", poll = "VALUE" }"#),
    ("build-image", r#"{ project = "web-image", repository = "web", tag = "v1", poll = "VALUE" }"#),
    ("scan-image", r#"{ image = "IMAGE", timeout = "VALUE" }"#),
    ("deploy-ecs", r#"{ cluster = "web", service = "web", image = "IMAGE", strategy = "rolling", poll = "VALUE" }"#),
    ("cleanup-images", r#"{ repository = "web", keep = 10, clusters = [], older-than = "VALUE" }"#),
];

fn image() -> String {
    format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:{}", "ab".repeat(32))
}

/// Whether `check` takes a stage of this plugin and `with`.
fn passes(plugin: &str, with: &str) -> bool {
    let text = format!(
        "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[stages.it]\nplugin = \"{plugin}\"\nwith = {}\n",
        with.replace("IMAGE", &image())
    );
    let outcome = Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", text).run();
    match outcome.code() {
        Some(0) => true,
        Some(2) => false,
        _ => panic!("{}", outcome.all()),
    }
}

#[test]
fn a_duration_that_the_parser_refuses_does_not_pass_the_check() {
    for (plugin, with) in FORMS {
        for good in ["1ms", "10s", "1h30m", "30d"] {
            assert!(passes(plugin, &with.replace("VALUE", good)), "{plugin} {with} {good}");
        }
        for bad in ["0s", "0d0h", "99999999999999999999d", "1234567890s", "1m1h", "10", "", "1.5s"] {
            assert!(!passes(plugin, &with.replace("VALUE", bad)), "{plugin} {with} {bad}");
        }
    }
}

#[test]
fn a_day_that_no_calendar_has_does_not_pass_the_check() {
    for with in [
        r#"{ image = "IMAGE", accept = [{ id = "CVE-1", reason = "r", until = "VALUE" }] }"#,
        r#"{ image = "IMAGE", ignore-unfixed = { reason = "r", until = "VALUE" } }"#,
    ] {
        for good in ["2026-11-23", "2024-02-29", "2000-02-29", "2027-12-31"] {
            assert!(passes("scan-image", &with.replace("VALUE", good)), "{good}");
        }
        for bad in ["2026-02-29", "2100-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-01-00", "2026-1-1"] {
            assert!(!passes("scan-image", &with.replace("VALUE", bad)), "{bad}");
        }
    }
}

#[test]
fn an_image_that_is_in_no_registry_of_ecr_does_not_pass_the_check() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let with = |image: String| format!("{{ image = \"{image}\" }}");
    for good in [
        "111111111111.dkr.ecr.us-west-2.amazonaws.com/web",
        "111111111111.dkr.ecr-fips.us-east-1.amazonaws.com/team/web:v1",
        "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/web",
        "111111111111.dkr-ecr.us-west-2.on.aws/web",
    ] {
        assert!(passes("scan-image", &with(format!("{good}@{digest}"))), "{good}");
    }
    for bad in [
        "111111111111.dkr.ecr.us-west-2.amazonaws.com.evil.example/web",
        "111111111111.dkr.ecr.us-west-2.example.com/web",
        "111111111111.dkr.ecr.us-west-2.amazonaws.com/we b",
        "1111.dkr.ecr.us-west-2.amazonaws.com/web",
    ] {
        assert!(!passes("scan-image", &with(format!("{bad}@{digest}"))), "{bad}");
    }
}

#[test]
fn an_alarm_that_fires_before_the_deployment_is_told_by_the_plan() {
    let world = World::of("").add("alarms", "name = \"web-5xx\"\nstate = \"ALARM\"");
    let pipeline = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[stages.verify]\nplugin = \"verify-alarms\"\n\
                    with = { alarms = [\"web-5xx\"], bake = \"1m\" }\n";
    let account = Account::of(&world);
    let planned = account.kiln(["plan", "pipeline.toml", "--output", "json"]).file("pipeline.toml", pipeline).run();
    assert_eq!(planned.code(), Some(0), "{}", planned.all());
    assert!(planned.stdout().contains("it is in ALARM before anything is deployed"), "{}", planned.all());

    let too_long = pipeline.replace("1m", "2h");
    let planned = account.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", too_long).run();
    assert_eq!(planned.code(), Some(1), "{}", planned.all());
    assert!(planned.all().contains("does not fit into the stage's timeout"), "{}", planned.all());
}

/// The pipeline of one bake, with further members of `with`.
fn bake(further: &str) -> String {
    format!(
        "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[stages.verify]\nplugin = \"verify-alarms\"\ntimeout = \"20m\"\n\
         with = {{ alarms = [\"errors\"], bake = \"2m\"{further} }}\n"
    )
}

/// What the plan and the run of a bake say, and how the run ends, in a world of these alarms.
fn baked(world: &World, further: &str) -> (String, String, Option<i32>) {
    let account = Account::of(world);
    let planned = account.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", bake(further)).run();
    assert_eq!(planned.code(), Some(0), "{}", planned.all());
    let ran = account.kiln(["run", "pipeline.toml"]).file("pipeline.toml", bake(further)).run();
    (planned.all(), ran.all(), ran.code())
}

const LOG_ALARM: &str = r#"name = "errors"
log  = { groups = ["/web"], query = "filter level = 'error'", aggregation = "count(*)", threshold = 5, comparison = "GreaterThanThreshold" }"#;

#[test]
fn a_log_alarm_is_judged_like_any_other() {
    let world = |more: &str| World::of("").add("alarms", &format!("{LOG_ALARM}\n{more}"));
    let (plan, said, code) = baked(&world("state = \"OK\""), "");
    assert!(plan.contains("count(*) of /web GreaterThanThreshold 5"), "{plan}");
    assert_eq!(code, Some(0), "{said}");

    let (_, said, code) = baked(&world("state = \"OK\"\nscript = [{ after = \"1m\", state = \"ALARM\" }]"), "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("alarm errors is in ALARM"), "{said}");

    let (plan, said, code) = baked(&world("state = \"OK\"\nevaluation = \"EVALUATION_ERROR\""), "");
    assert!(plan.contains("this stage refuses"), "{plan}");
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn an_alarm_of_another_kind_that_is_missing_is_still_missing() {
    let world = World::of("").add("alarms", "name = \"other\"\nstate = \"OK\"");
    let account = Account::of(&world);
    let planned = account.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", bake("")).run();
    assert_eq!(planned.code(), Some(1), "{}", planned.all());
    assert!(planned.all().contains("CloudWatch has no alarm errors"), "{}", planned.all());
}

#[test]
fn the_config_decides_what_a_muted_alarm_means_and_the_plan_names_the_choice() {
    let muted = |alarm: &str, lasts: &str| {
        let rule = format!("name = \"nightly\"\nalarms = [\"errors\"]\nfor = \"{lasts}\"");
        World::of("").add("alarms", &format!("name = \"errors\"\n{alarm}")).add("alarm-mute-rules", &rule)
    };
    let ringing = muted("state = \"ALARM\"", "4h");
    let (plan, said, code) = baked(&ringing, "");
    assert!(plan.contains("the rule nightly mutes it") && plan.contains("a muted alarm counts by its state"), "{plan}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("alarm errors is in ALARM"), "{said}");

    let (plan, said, code) = baked(&ringing, ", muted = \"fail\"");
    assert!(plan.contains("this stage refuses"), "{plan}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is muted by the rule nightly"), "{said}");

    // It rings while it is muted, and is well before that ends.
    let recovers = muted("state = \"ALARM\"\nscript = [{ after = \"12m\", state = \"OK\" }]", "15m");
    let (plan, said, code) = baked(&recovers, ", muted = \"wait\"");
    assert!(plan.contains("a muted alarm is waited for"), "{plan}");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("waiting for alarm errors: the rule nightly mutes it"), "{said}");
}

#[test]
fn an_alarm_that_was_never_evaluated_is_no_silent_one() {
    let rings = World::of("").add("alarms", "name = \"errors\"\nscript = [{ after = \"15m\", state = \"ALARM\" }]");
    let (plan, said, code) = baked(&rings, ", insufficient-data = \"ok\"");
    assert!(plan.contains("it is not evaluated yet"), "{plan}");
    assert_eq!(code, Some(1), "it rings at its first evaluation: {said}");

    let new = World::of("").add("alarms", "name = \"errors\"");
    let (_, said, code) = baked(&new, ", warm-up = \"fail\"");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("alarm errors is not evaluated yet"), "{said}");
}

#[test]
fn a_part_of_the_data_is_enough_only_where_the_config_says_so() {
    let world = World::of("").add("alarms", "name = \"errors\"\nstate = \"OK\"\nevaluation = \"PARTIAL_DATA\"");
    let (_, said, code) = baked(&world, "");
    assert_eq!(code, Some(1), "{said}");
    let (plan, said, code) = baked(&world, ", partial-data = \"ok\"");
    assert!(plan.contains("counts by its state"), "{plan}");
    assert_eq!(code, Some(0), "{said}");
}
