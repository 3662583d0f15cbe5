//! `kiln test`: the scenarios of the README's pipeline pass, each fails where it should, and broken ones are told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_runner::pipeline;
use kiln_runner::scenario::{self, Knowledge, Scenario, Tested};
use kiln_tests::{Kiln, Outcome, plugins, repository, web_service};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;
use toml::{Table, Value};

use crate::web_service::pipeline;

/// The scenarios beside the pipeline.
fn scenarios() -> Vec<(String, Table)> {
    let directory = repository().join("pipelines/web-service.scenarios");
    let mut scenarios = Vec::new();
    for entry in std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        scenarios.push((name, text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))));
    }
    scenarios.sort_by(|a, b| a.0.cmp(&b.0));
    scenarios
}

/// A directory with these scenarios.
fn directory<'a>(scenarios: impl IntoIterator<Item = (&'a str, String)>) -> TempDir {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
    for (name, text) in scenarios {
        let path = directory.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    directory
}

fn test<'a>(directory: &'a Path, more: impl IntoIterator<Item = &'a str>) -> Outcome {
    let directory = directory.to_str().unwrap_or_default();
    Kiln::new(["test", &pipeline(), "--scenario-dir", directory]).args(more).run()
}

fn json(outcome: &Outcome) -> Json {
    serde_json::from_str(&outcome.stdout()).unwrap_or_else(|error| panic!("{error}: {}", outcome.all()))
}

/// Name, status and number of unmet expectations of each scenario.
fn statuses(results: &Json) -> Vec<(String, String, usize)> {
    let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let all = results.get("scenarios").and_then(Json::as_array).cloned().unwrap_or_default();
    let unmet = |one: &Json| one.get("unmet").and_then(Json::as_array).map_or(0, Vec::len);
    all.iter().map(|one| (text(one, "name"), text(one, "status"), unmet(one))).collect()
}

#[test]
fn the_scenarios_of_the_pipeline_pass() {
    let junit = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("a file: {error}"));
    let file = junit.path().to_str().unwrap_or_default();
    let outcome = Kiln::new(["test", &pipeline(), "--junit", file, "--output", "json"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let statuses = statuses(&json(&outcome));
    assert!(statuses.len() >= 30, "{} scenarios", statuses.len());
    assert!(statuses.iter().all(|(_, status, _)| status == "passed"), "{statuses:?}");

    let xml = std::fs::read_to_string(junit.path()).unwrap_or_default();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!((report.tests, report.failures, report.errors), (statuses.len(), 0, 0));
}

/// A scenario with every expectation turned round, and how many there are.
fn turned_round(scenario: &Table) -> (Table, usize) {
    let mut scenario = scenario.clone();
    let mut count = 0;
    let expect = scenario.get_mut("expect").and_then(Value::as_table_mut).unwrap_or_else(|| panic!("no expectations"));
    for (key, value) in expect.iter_mut() {
        match (key.as_str(), value) {
            ("outcome", value) => {
                let other = if value.as_str() == Some("done") { "failed" } else { "done" };
                *value = Value::from(other);
                count += 1;
            }
            ("stages", Value::Table(stages)) => {
                for (_, ending) in stages.iter_mut() {
                    *ending = Value::from(if ending.as_str() == Some("skipped") { "done" } else { "skipped" });
                    count += 1;
                }
            }
            ("failures", Value::Table(failures)) => {
                for (_, kind) in failures.iter_mut() {
                    *kind = Value::from("sandbox");
                    count += 1;
                }
            }
            ("effects", Value::Table(effects)) => {
                for (_, number) in effects.iter_mut() {
                    *number = Value::from(77);
                    count += 1;
                }
            }
            ("undone", value) => {
                *value = Value::from(vec!["scan"]);
                count += 1;
            }
            ("messages", Value::Array(messages)) => {
                for message in messages {
                    message.as_table_mut().map(|message| message.insert("contains".to_owned(), "abracadabra".into()));
                    count += 1;
                }
            }
            ("account" | "outputs", Value::Array(claims)) => {
                for claim in claims {
                    let Some(claim) = claim.as_table_mut() else { continue };
                    claim.retain(|key, _| key == "at" || key == "stage");
                    claim.insert("is".to_owned(), "abracadabra".into());
                    count += 1;
                }
            }
            ("duration", value) => {
                *value = Value::from(Table::from_iter([("at-least".to_owned(), Value::from("300d"))]));
                count += 1;
            }
            (other, _) => panic!("this test does not know the expectation `{other}`"),
        }
    }
    (scenario, count)
}

/// The pipelines of this repository.
fn pipelines() -> Vec<PathBuf> {
    let directory = repository().join("pipelines");
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        path.extension().is_some_and(|end| end == "toml") && !path.to_string_lossy().ends_with(".world.toml")
    });
    found.sort();
    found
}

#[test]
fn the_scenarios_of_each_pipeline_pass() {
    let pipelines = pipelines();
    assert!(pipelines.len() >= 5, "{pipelines:?}");
    for pipeline in pipelines {
        let outcome = Kiln::new(["test"]).args([pipeline.to_str().unwrap_or_default()]).run();
        assert_eq!(outcome.code(), Some(0), "{}: {}", pipeline.display(), outcome.all());
        assert!(!outcome.stdout().starts_with("0 scenarios"), "{} has none: {}", pipeline.display(), outcome.all());
    }
}

#[test]
fn every_single_expectation_can_fail() {
    let turned: Vec<(String, (Table, usize))> =
        scenarios().into_iter().map(|(name, scenario)| (name, turned_round(&scenario))).collect();
    let files = directory(turned.iter().map(|(name, (scenario, _))| (name.as_str(), scenario.to_string())));
    let outcome = test(files.path(), ["--output", "json"]);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let found = statuses(&json(&outcome));
    let expected: Vec<(String, String, usize)> =
        turned.into_iter().map(|(name, (_, count))| (name, "failed".to_owned(), count)).collect();
    assert_eq!(found, expected);
}

/// A scenario in which nothing goes wrong any more, where it would notice; else one in which more goes wrong than kiln bears.
fn broken(name: &str, scenario: &Table) -> Option<Table> {
    let mut scenario = scenario.clone();
    match name {
        // Nothing goes wrong in them.
        "all-goes-well" | "pages-small" => return None,
        "answers-stale" | "not-found-after-create" => {
            let windows = scenario.get_mut("change").and_then(|change| change.get_mut("consistency"));
            for (_, window) in windows.and_then(Value::as_table_mut).into_iter().flatten() {
                *window = "3h".into();
            }
        }
        "scan-finds-medium" => {
            let findings = scenario.get_mut("outcomes").and_then(|outcomes| outcomes.get_mut("findings"));
            let first = findings.and_then(|findings| findings.get_mut(0)).and_then(Value::as_table_mut);
            first.map(|finding| finding.insert("severity".to_owned(), "CRITICAL".into()));
        }
        "answers-late" => {
            for fault in scenario.get_mut("faults").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(fault) = fault.as_table_mut() {
                    fault.insert("delay".to_owned(), "2h".into());
                    fault.insert("times".to_owned(), 1000.into());
                }
            }
        }
        "tag-exists" => {
            let inputs = scenario.get_mut("inputs").and_then(Value::as_table_mut);
            inputs.map(|inputs| inputs.insert("commit".to_owned(), "4f2a9c1".into()));
        }
        _ => {
            for what in ["faults", "outcomes", "change", "remove"] {
                scenario.remove(what);
            }
        }
    }
    Some(scenario)
}

#[test]
fn every_scenario_fails_where_the_world_is_another() {
    let broken: Vec<(String, Table)> = scenarios()
        .into_iter()
        .filter_map(|(name, scenario)| broken(&name, &scenario).map(|broken| (name, broken)))
        .collect();
    let files = directory(broken.iter().map(|(name, scenario)| (name.as_str(), scenario.to_string())));
    let outcome = test(files.path(), ["--output", "json"]);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let statuses = statuses(&json(&outcome));
    assert_eq!(statuses.len(), broken.len());
    let passed: Vec<_> = statuses.iter().filter(|(_, status, _)| status != "failed").collect();
    assert!(passed.is_empty(), "these notice nothing: {passed:?}");
}

#[test]
fn a_difference_is_told_with_its_line_and_what_happened() {
    let text = "description = \"Nothing is wrong, and the scan is expected to fail\"\ninputs = { commit = \"4f2a9c1\" }\n\n\
                [expect]\noutcome = \"failed\"\nstages  = { scan = \"failed\" }\n";
    let files = directory([("optimist", text.to_owned())]);
    let junit = files.path().join("junit.xml");
    let outcome = test(files.path(), ["--junit", junit.to_str().unwrap_or_default()]);
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let said = outcome.stdout();
    for part in [
        "FAIL",
        "optimist.toml:5: expect.outcome",
        "optimist.toml:6: expect.stages.scan",
        "expected: failed",
        "found: done",
        "what happened last:",
        "1 scenario in",
        "1 failed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "no escapes in a log");
    let xml = std::fs::read_to_string(&junit).unwrap_or_default();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!((report.tests, report.failures, report.errors), (1, 1, 0));
    assert!(xml.contains("expect.stages.scan"), "{xml}");
}

#[test]
fn broken_scenarios_are_told_all_at_once_and_nothing_is_tried() {
    let one = "descripton = \"a slip\"\n\n[[faults]]\noperation = \"ecs:*\"\nkind = \"throtle\"\n\n[expect]\noutcome = \"done\"\n\
               stages = { dploy = \"done\" }\neffects = { \"ecs:UpdateServise\" = 1 }\n";
    let files = directory([
        ("one", one.to_owned()),
        ("sound", "description = \"d\"\nexpect = { outcome = \"done\" }\n".to_owned()),
        ("two", "description = \"d\"\nexpect = { outcome = \"well\" }\nworld = \"nowhere.toml\"\n".to_owned()),
    ]);
    let outcome = test(files.path(), []);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert_eq!(outcome.stdout(), "", "nothing was tried");
    let told = outcome.stderr().replace(&*files.path().to_string_lossy(), "DIR");
    insta::assert_snapshot!("broken_scenarios", told);

    let outcome = test(files.path(), ["--output", "json"]);
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    let codes = json(&outcome);
    let codes: Vec<&str> =
        codes.as_array().into_iter().flatten().filter_map(|problem| problem.get("code")?.as_str()).collect();
    let expected = ["unknown-field", "invalid-value", "unknown-stage", "unknown-action", "invalid-value", "no-world"];
    assert_eq!(codes, expected);
}

#[test]
fn what_is_not_there_cannot_be_tried() {
    let nothing = directory([]);
    let told = |outcome: &Outcome, part: &str| {
        assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
        assert!(outcome.stderr().contains(part), "{}", outcome.all());
    };
    told(&test(nothing.path(), []), "no scenario in");
    told(&test(&PathBuf::from("/nowhere"), []), "cannot look for scenarios in /nowhere");
    told(&Kiln::new(["test", &pipeline(), "no-such-name"]).run(), "no scenario with `no-such-name` in its name");
    told(&Kiln::new(["test", "/nowhere.toml"]).run(), "cannot read /nowhere.toml");
}

#[test]
fn one_seed_gives_one_result() {
    let run = |seed: &str| {
        let arguments = ["test", &pipeline(), "tasks-crash-at-start", "--seed", seed, "--output", "json"];
        let outcome = Kiln::new(arguments).run();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
        let result = json(&outcome);
        let scenario = result.get("scenarios").and_then(|scenarios| scenarios.get(0)).cloned().unwrap_or_default();
        scenario.get("simulated-millis").cloned().unwrap_or_default()
    };
    assert_eq!(run("7"), run("7"));
}

/// The scenarios of the pipeline whose names contain one of `names`.
fn loaded(pipeline: &Path, known: &Knowledge, names: &[&str]) -> Vec<Scenario> {
    let files = scenario::find(&scenario::default_directory(pipeline), None).unwrap_or_else(|error| panic!("{error}"));
    let wanted = |file: &PathBuf| names.iter().any(|name| file.display().to_string().contains(name));
    let load = |file: PathBuf| scenario::load(&file, pipeline, known).unwrap_or_else(|problems| panic!("{problems}"));
    files.into_iter().filter(wanted).map(load).collect()
}

/// All that a scenario's rehearsal left, but for the time on the wall.
fn left(tested: &Tested) -> String {
    let trial = tested.result.as_ref().unwrap_or_else(|error| panic!("{}: {error}", tested.name));
    let rehearsed = &trial.rehearsed;
    let events = serde_json::to_string(&rehearsed.events).unwrap_or_else(|error| panic!("{error}"));
    let (effects, unmet) = (&rehearsed.effects, &trial.unmet);
    format!(
        "{} {:?} {} ms\n{events}\n{effects:?}\n{}\n{unmet:?}",
        tested.name, rehearsed.outcome, rehearsed.millis, rehearsed.after
    )
}

#[test]
fn side_by_side_each_scenario_goes_as_it_goes_alone() {
    let (source, plugins) = (web_service(), plugins());
    let checked = pipeline::check(&source, plugins.as_ref()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let known = Knowledge::of(&checked);
    let names = ["alarm-during", "all-goes-well", "build-faults-once", "scan-finds-c", "tasks-crash-at-half"];
    let scenarios = loaded(Path::new(&pipeline()), &known, &names);
    assert_eq!(scenarios.len(), names.len());
    let mut told = Vec::new();
    let together = scenario::try_all(&scenarios, &source, &plugins, 8, |one| told.push(one.name.clone()));
    let names: Vec<&String> = scenarios.iter().map(|scenario| &scenario.name).collect();
    assert_eq!(told.iter().collect::<Vec<_>>(), names, "they are told in the order of their files");
    let alone = scenario::try_all(&scenarios, &source, &plugins, 1, |_| ());
    for (together, alone) in together.iter().zip(&alone) {
        assert!(together.passed() && left(together) == left(alone), "{} goes otherwise beside others", alone.name);
    }
    let outcomes: Vec<String> = alone.iter().map(left).collect();
    assert!(outcomes.iter().any(|one| one.contains("Failed")) && outcomes.iter().any(|one| one.contains("Done")));
}

#[test]
fn a_signal_ends_the_scenarios_that_are_at_work() {
    let running = Kiln::new(["test", &pipeline()]).start();
    std::thread::sleep(Duration::from_millis(1500));
    let process = i32::try_from(running.id()).ok().and_then(Pid::from_raw).unwrap_or_else(|| panic!("no process"));
    kill_process(process, Signal::TERM).unwrap_or_else(|error| panic!("{error}"));
    let outcome = running.end_within(Duration::from_secs(10));
    assert_eq!(outcome.code(), None, "the signal ended it: {}", outcome.all());
    assert!(!outcome.stdout().contains(" scenarios in "), "not all were tried: {}", outcome.all());
}
