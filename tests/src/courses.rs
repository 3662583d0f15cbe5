//! What is run to be killed: the real pipelines, in worlds in which nothing takes long.
//!
//! The main functions are [`courses`] and [`undone`].

use std::path::Path;

use crate::crash::Course;
use crate::kiln::repository;
use crate::world::World;

/// How fast the clocks of courses go: what takes an hour takes twelve seconds, and the time that a look-up waits for AWS to
/// show what happened is short, too.
const SCALE: f64 = 300.0;

/// `pipeline` with stages that have two days: how long a run is dead between two processes must not decide how it ends.
fn patient(pipeline: &str) -> String {
    let mut text = String::new();
    for line in pipeline.lines().filter(|line| !line.trim_start().starts_with("timeout")) {
        text.push_str(line);
        text.push('\n');
        if line.starts_with("[stages.") && !line.contains(".with") {
            text.push_str("timeout = \"2d\"\n");
        }
    }
    text
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pipelines, each to a good end.
pub fn courses() -> [Course; 3] {
    [web(), staging_first(), web_fleet()]
}

/// The pipeline of a web service as `bench/` has it: with the same stages and nothing to wait for.
fn web() -> Course {
    let bench = repository().join("bench");
    let pipeline = patient(&read(&bench.join("web-service.toml")));
    Course::new("web-service", pipeline, read(&bench.join("web-service.world.toml")), SCALE)
}

fn staging_first() -> Course {
    let pipelines = repository().join("pipelines");
    let pipeline = patient(&read(&pipelines.join("staging-first.toml")));
    let nothing = |names: &[&str]| {
        let all: Vec<String> = names.iter().map(|name| format!("{name} = \"0s\"")).collect();
        format!("{{ {} }}", all.join(", "))
    };
    let phases = nothing(&[
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "FINALIZING",
    ]);
    let timings = nothing(&["schedule", "provision", "pull", "start", "health", "drain", "deprovision"]);
    let world = World::parse(&read(&pipelines.join("staging-first.world.toml")))
        .change("repositories", "shop", "scan = { takes = \"0s\" }")
        .change("projects", "shop-image", &format!("phases = {phases}"))
        .change("clusters", "staging", &format!("timings = {timings}"))
        .change("clusters", "production", &format!("timings = {timings}"));
    let hasty = pipeline.replace("bake = \"10m\"", "bake = \"1ms\"").replace("bake = \"15m\"", "bake = \"1ms\"");
    Course::new("staging-first", hasty, world.text(), SCALE)
}

/// The pipeline of a fleet of machines, which are baked, boot and are replaced in no time. Its template says so, too, in the stacks that
/// there are as in what is deployed.
fn web_fleet() -> Course {
    let pipelines = repository().join("pipelines");
    let mut template = read(&pipelines.join("templates/fleet.yaml"));
    for (patient, hasty) in [
        ("CheckpointDelay: 600", "CheckpointDelay: 1"),
        ("BakeTime: 900", "BakeTime: 1"),
        ("InstanceWarmup: 120", "InstanceWarmup: 0"),
        ("HealthCheckGracePeriod: 300", "HealthCheckGracePeriod: 0"),
        ("HealthCheckIntervalSeconds: 15", "HealthCheckIntervalSeconds: 5"),
        ("deregistration_delay.timeout_seconds, Value: \"60\"", "deregistration_delay.timeout_seconds, Value: \"0\""),
    ] {
        assert!(template.contains(patient), "the template of the fleet does not say `{patient}`");
        template = template.replace(patient, hasty);
    }
    let soon = "boots = \"0s\"\nchecks = \"0s\"";
    let takes =
        ["start", "build", "test", "distribution", "integration", "scan"].map(|part| format!("{part} = \"0s\""));
    let stack = format!("template = '''\n{template}'''");
    let world = World::beside("web-fleet.world.toml")
        .change("image-recipes", "web", &format!("takes = {{ {} }}", takes.join(", ")))
        .change("stacks", "web", &stack)
        .change("stacks", "web-staging", &stack)
        .add("instance-behaviours", soon)
        .add("traffic-behaviours", "healthy-after = \"0s\"");
    let pipeline = patient(&read(&pipelines.join("web-fleet.toml")))
        .replace("hold = \"10m\"", "hold = \"1ms\"")
        .replace("templates/fleet.yaml", "fleet.yaml");
    Course::new("web-fleet", pipeline, world.text(), SCALE).file("fleet.yaml", template.into_bytes())
}

/// The pipeline of the web service, where the alarm goes off after the deployment, so that all of it is undone.
pub fn undone() -> Course {
    let web = web();
    let script = "script = [{ after-deployment-of = \"web/web\", nth = 1, at = \"1s\", state = \"ALARM\" }]";
    let pipeline = web.pipeline.replace("bake = \"1ms\"", "bake = \"3m\"");
    Course::new("undone", pipeline, World::parse(&web.world).change("alarms", "web-5xx", script).text(), SCALE)
}
