//! CodeBuild's part of a world file.
//!
//! The main type is [`ProjectSeed`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::behaviour::{BuildBehaviour, Failure, Pushes};
use super::projects::{check_minutes, is_name, make};
use super::shapes::{
    Cache, CloudWatchLogs, Environment, LogsConfig, LogsStatus, PhaseName, Source, Status, Variable, VariableType,
};
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// A project in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ProjectSeed {
    /// Its name.
    name: String,
    /// What it says of itself.
    description: Option<String>,
    /// Where the source is.
    #[serde(default)]
    source: Source,
    /// The version of the source that is built where a build names none.
    source_version: Option<String>,
    /// The name of the role that builds run as.
    service_role: Option<String>,
    /// The image that builds run in.
    #[serde(default = "standard_image")]
    image: String,
    /// Plain variables.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// What is kept from one build for the next.
    #[serde(default)]
    cache: Cache,
    /// How long a build may take.
    timeout_minutes: Option<u32>,
    /// Where builds write their logs, instead of `/aws/codebuild/NAME`.
    log_group: Option<String>,
    /// How long each phase takes.
    #[serde(default)]
    phases: BTreeMap<PhaseName, Span>,
    /// How builds fail; they go well unless told.
    fail: Option<Failure>,
    /// The image that a build pushes.
    pushes: Option<Pushes>,
    /// Variables that a build exports. `${NAME}` stands for a variable of the build.
    #[serde(default)]
    exports: BTreeMap<String, String>,
    /// What the commands of a phase print, a line each.
    #[serde(default)]
    log: BTreeMap<PhaseName, Vec<String>>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn standard_image() -> String {
    "aws/codebuild/amazonlinux-x86_64-standard:5.0".to_owned()
}

/// Put the projects of a world file into the world, and how many builds its own account may have at a time: any number
/// unless told.
pub(crate) fn plant(
    world: &mut World,
    seeds: &[ProjectSeed],
    concurrent_builds: Option<usize>,
    problems: &mut Problems,
) {
    let home = world.home.clone();
    world.place(&home).codebuild.concurrent_builds = concurrent_builds;
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("projects", index);
        let place = format!("projects: {}", seed.name);
        check(seed, &place, problems);
        let scope = &mut world.scope(seed.account.as_ref(), seed.region.as_ref());
        let variables = seed.environment.iter().map(|(name, value)| Variable {
            name: name.clone(),
            value: value.clone(),
            kind: VariableType::Plaintext,
        });
        let environment = Environment {
            kind: "LINUX_CONTAINER".to_owned(),
            image: seed.image.clone(),
            compute_type: "BUILD_GENERAL1_SMALL".to_owned(),
            compute_configuration: None,
            fleet: None,
            environment_variables: variables.collect(),
            // Docker needs it.
            privileged_mode: seed.pushes.is_some(),
            certificate: None,
            registry_credential: None,
            image_pull_credentials_type: Some("CODEBUILD".to_owned()),
            docker_server: None,
        };
        let role = seed.service_role.clone().unwrap_or_else(|| format!("codebuild-{}", seed.name));
        let role = format!("arn:{}:iam::{}:role/service-role/{role}", scope.at.partition(), scope.at.account);
        let mut project = make(scope, &seed.name, seed.source.clone(), environment, role);
        project.description.clone_from(&seed.description);
        project.source_version.clone_from(&seed.source_version);
        project.cache = seed.cache.clone();
        project.timeout_in_minutes = seed.timeout_minutes.unwrap_or(project.timeout_in_minutes);
        project.logs_config = seed.log_group.clone().map(|group| LogsConfig {
            cloud_watch_logs: Some(CloudWatchLogs {
                status: LogsStatus::Enabled,
                group_name: Some(group),
                stream_name: None,
            }),
            s3_logs: None,
        });
        let behaviour = BuildBehaviour {
            durations: seed.phases.clone(),
            fail: seed.fail.clone(),
            pushes: seed.pushes.clone(),
            exports: seed.exports.clone(),
            log: seed.log.clone(),
        };
        let state = &mut scope.place().codebuild;
        state.behaviours.insert(seed.name.clone(), behaviour);
        if state.projects.insert(seed.name.clone(), project).is_some() {
            problems.add(&place, "the project is there twice");
        }
    }
}

fn check(seed: &ProjectSeed, place: &str, problems: &mut Problems) {
    if !is_name(&seed.name) {
        problems.add(place, "a project's name has 2 to 150 letters, digits, `-` and `_`");
    }
    if let Err(error) = check_minutes("timeout-minutes", seed.timeout_minutes, 2160) {
        problems.add(place, error.message);
    }
    let ends = [PhaseName::Submitted, PhaseName::Completed];
    if seed.phases.keys().any(|phase| ends.contains(phase)) {
        problems.add(place, "the phases SUBMITTED and COMPLETED take no time");
    }
    if let Some(fail) = &seed.fail {
        if ends.contains(&fail.phase) {
            problems.add(place, "a build cannot fail in the phases SUBMITTED and COMPLETED");
        }
        match fail.status {
            Status::Failed | Status::Fault | Status::TimedOut => {}
            Status::Succeeded | Status::InProgress | Status::Stopped => {
                problems.add(place, "a build fails with the status FAILED, FAULT or TIMED_OUT");
            }
        }
    }
    if seed.exports.keys().any(|name| name.starts_with("AWS_")) {
        problems.add(place, "CodeBuild exports no variables whose names begin with AWS_");
    }
}
