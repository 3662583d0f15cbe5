//! The pipeline of a fleet of machines, in every scenario that lies beside it: whatever happens, one whole fleet serves in the end, and no
//! step of kiln or of a refresh takes more healthy targets than the traffic guard allows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::RunOutcome;
use kiln_runner::pipeline;
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::scenario::{self, Knowledge, Scenario};
use kiln_tests::{plugins, repository};
use serde_json::Value;

/// The groups of the world: how many instances each has, and how many healthy targets the guard of the pipeline leaves it.
const GROUPS: [(&str, usize, u64); 2] = [("web-staging", 1, 1), ("web", 6, 5)];

fn path() -> PathBuf {
    repository().join("pipelines/web-fleet.toml")
}

fn source() -> SourceFile {
    let text = std::fs::read_to_string(path()).unwrap_or_else(|error| panic!("{error}"));
    SourceFile::new(path().display().to_string(), text)
}

fn scenarios(source: &SourceFile, pipeline: &Path) -> Vec<Scenario> {
    let checked = pipeline::check(source, plugins().as_ref()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let known = Knowledge::of(&checked);
    let files = scenario::find(&scenario::default_directory(pipeline), None).unwrap_or_else(|error| panic!("{error}"));
    let load = |file: PathBuf| scenario::load(&file, pipeline, &known).unwrap_or_else(|problems| panic!("{problems}"));
    files.into_iter().map(load).collect()
}

/// What a service holds in an account's region.
fn held<'a>(state: &'a Value, service: &str, what: &str) -> &'a Value {
    &state["places"]["111111111111/us-west-2"][service][what]
}

fn values(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_object().into_iter().flat_map(|table| table.values())
}

/// The AMIs of a group's instances that are in service, one for each.
fn in_service(state: &Value, group: &str) -> Vec<String> {
    let members = values(&held(state, "autoscaling", "groups")[group]["members"]);
    let serving = members.filter(|member| member["phase"] == "InService");
    serving.map(|member| member["image"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Whether the stack says something else than what serves: no deployment lets it drift.
fn drifted(name: &str, rehearsed: &Rehearsed, group: &str) -> Option<String> {
    let stacks = held(&rehearsed.after, "cloudformation", "stacks");
    let stack = values(stacks).find(|stack| stack["name"] == group)?;
    let says =
        stack["goal"]["parameters"]["ImageId"].as_str().or(stack["goal"]["parameters"]["ImageId"]["value"].as_str());
    let serves = in_service(&rehearsed.after, group);
    let same = serves.iter().all(|image| Some(image.as_str()) == says);
    (!same).then(|| {
        format!("{name}: the stack {group} says {:?}, and {serves:?} serve", stack["goal"]["parameters"]["ImageId"])
    })
}

/// What is wrong with the fleet that a rehearsal left.
fn faults(name: &str, rehearsed: &Rehearsed) -> Vec<String> {
    let mut faults = Vec::new();
    for (group, desired, guard) in GROUPS {
        faults.extend(drifted(name, rehearsed, group));
        let (before, after) = (in_service(&rehearsed.before, group), in_service(&rehearsed.after, group));
        let images: BTreeSet<&String> = after.iter().collect();
        if after.len() != desired || images.len() != 1 {
            faults.push(format!("{name}: {group} is not one whole fleet: {after:?}"));
        }
        let is_new = after.first() != before.first();
        if is_new != (rehearsed.outcome == RunOutcome::Done) {
            faults.push(format!("{name} ended {:?}, and {group} went from {before:?} to {after:?}", rehearsed.outcome));
        }
        let of_group = &held(&rehearsed.after, "autoscaling", "groups")[group]["target-groups"][0];
        let targets =
            &held(&rehearsed.after, "elasticloadbalancing", "target-groups")[of_group.as_str().unwrap_or("none")];
        let healthy = values(&targets["targets"]).filter(|target| target["phase"] == "healthy").count();
        if healthy < desired {
            faults.push(format!("{name}: {healthy} targets of {group} are healthy"));
        }
        match targets["record"]["least-healthy-after-steps"].as_u64() {
            Some(least) if least < guard => {
                faults.push(format!("{name}: a step left {least} healthy targets of {group}"))
            }
            Some(_) | None => {}
        }
    }
    faults
}

#[test]
fn whatever_happens_one_whole_fleet_serves_and_no_step_takes_more_than_the_guard_allows() {
    let (source, plugins) = (source(), plugins());
    let scenarios = scenarios(&source, &path());
    assert!(scenarios.len() >= 11, "only {} scenarios", scenarios.len());
    let (mut wrong, mut measured) = (Vec::new(), 0);
    for tested in scenario::try_all(&scenarios, &source, &plugins, 2, |_| ()) {
        let trial = tested.result.as_ref().unwrap_or_else(|error| panic!("{}: {error}", tested.name));
        wrong.extend(trial.unmet.iter().map(|unmet| format!("{}: {unmet:?}", tested.name)));
        wrong.extend(faults(&tested.name, &trial.rehearsed));
        let groups = held(&trial.rehearsed.after, "elasticloadbalancing", "target-groups");
        measured += values(groups).filter(|group| group["record"]["least-healthy-after-steps"].is_u64()).count();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // In most of them a refresh took targets out, or the record of it would be of nothing.
    assert!(measured >= 12, "only {measured} records of steps");
}
