//! What CodeBuild holds.
//!
//! The main types are [`State`], [`Project`] and [`Build`]; the last two are AWS's shapes of the same names.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::behaviour::BuildBehaviour;
use super::shapes::{Artifacts, Cache, Environment, LogsConfig, PhaseName, ProjectTag, Source, Status};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// Projects by name, and their builds.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) projects: BTreeMap<String, Project>,
    /// In the order in which they were started.
    pub(super) builds: Vec<Build>,
    /// How the builds of each project go, as the world file says.
    #[serde(skip)]
    pub(super) behaviours: BTreeMap<String, BuildBehaviour>,
    /// How many builds each project has had.
    pub(super) numbers: BTreeMap<String, u64>,
    /// How many builds the account may have at a time.
    #[serde(skip)]
    pub(crate) concurrent_builds: Option<usize>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) source: Source,
    pub(super) secondary_sources: Option<Value>,
    pub(super) source_version: Option<String>,
    pub(super) secondary_source_versions: Option<Value>,
    pub(super) artifacts: Artifacts,
    pub(super) secondary_artifacts: Option<Value>,
    pub(super) cache: Cache,
    pub(super) environment: Environment,
    pub(super) service_role: String,
    pub(super) timeout_in_minutes: u32,
    pub(super) queued_timeout_in_minutes: u32,
    pub(super) encryption_key: String,
    pub(super) tags: Vec<ProjectTag>,
    pub(super) created: Timestamp,
    pub(super) last_modified: Timestamp,
    pub(super) vpc_config: Option<Value>,
    pub(super) badge: Badge,
    pub(super) logs_config: Option<LogsConfig>,
    pub(super) file_system_locations: Option<Value>,
    pub(super) build_batch_config: Option<Value>,
    pub(super) concurrent_build_limit: Option<u32>,
    pub(super) project_visibility: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Badge {
    pub(super) badge_enabled: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Build {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) build_number: u64,
    pub(super) start_time: Timestamp,
    pub(super) end_time: Option<Timestamp>,
    pub(super) current_phase: PhaseName,
    pub(super) build_status: Status,
    pub(super) source_version: Option<String>,
    pub(super) resolved_source_version: Option<String>,
    pub(super) project_name: String,
    pub(super) phases: Vec<PhaseRecord>,
    pub(super) source: Source,
    pub(super) artifacts: BuildArtifacts,
    pub(super) cache: Cache,
    pub(super) environment: Environment,
    pub(super) service_role: String,
    pub(super) logs: Logs,
    pub(super) timeout_in_minutes: u32,
    pub(super) queued_timeout_in_minutes: u32,
    pub(super) build_complete: bool,
    pub(super) initiator: String,
    pub(super) vpc_config: Option<Value>,
    pub(super) encryption_key: String,
    pub(super) exported_environment_variables: Vec<Exported>,
    /// How this one goes.
    #[serde(skip)]
    pub(super) behaviour: BuildBehaviour,
    /// How it will end, once something went wrong.
    #[serde(skip)]
    pub(super) trouble: Option<Status>,
    /// The digest of the image that it pushed.
    #[serde(skip)]
    pub(super) pushed: Option<String>,
    #[serde(skip)]
    pub(super) logs_config: Option<LogsConfig>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhaseRecord {
    pub(super) phase_type: PhaseName,
    pub(super) phase_status: Option<Status>,
    pub(super) start_time: Timestamp,
    pub(super) end_time: Option<Timestamp>,
    pub(super) duration_in_seconds: Option<u64>,
    pub(super) contexts: Option<Vec<Context>>,
}

/// AWS's explanation of how a phase ended; empty where it went well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) status_code: String,
    pub(super) message: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct BuildArtifacts {
    pub(super) location: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logs {
    pub(super) group_name: Option<String>,
    pub(super) stream_name: Option<String>,
    pub(super) deep_link: Option<String>,
    pub(super) cloud_watch_logs_arn: Option<String>,
    pub(super) cloud_watch_logs: Option<super::shapes::CloudWatchLogs>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Exported {
    pub(super) name: String,
    pub(super) value: String,
}

impl Build {
    /// The part of the id that no other build of any project has.
    pub(super) fn uuid(&self) -> &str {
        self.id.rsplit_once(':').map_or(self.id.as_str(), |(_, uuid)| uuid)
    }

    pub(super) fn phase(&self, name: PhaseName) -> Option<&PhaseRecord> {
        self.phases.iter().find(|phase| phase.phase_type == name)
    }
}

impl State {
    /// The build of an id or ARN.
    pub(super) fn build(&mut self, id: &str) -> Option<&mut Build> {
        self.builds.iter_mut().find(|build| build.id == id || build.arn == id)
    }
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidInputException", message)
}

/// The name of a project that is named or given by its ARN.
pub(super) fn project_name(given: &str) -> &str {
    match given.strip_prefix("arn:").and_then(|arn| arn.split_once(":project/")) {
        Some((_, name)) => name,
        None => given,
    }
}

/// The project of a name or ARN.
pub(super) fn find<'s>(scope: &'s mut Scope<'_>, given: &str) -> Result<&'s mut Project, AwsError> {
    let name = project_name(given);
    let arn = scope.arn("codebuild", &format!("project/{name}"));
    let missing = || AwsError::new("ResourceNotFoundException", format!("Project cannot be found: {arn}"));
    scope.place().codebuild.projects.get_mut(name).ok_or_else(missing)
}

/// The build of an id or ARN.
pub(super) fn find_build<'s>(scope: &'s mut Scope<'_>, id: &str) -> Result<&'s mut Build, AwsError> {
    let missing = || AwsError::new("ResourceNotFoundException", format!("Build cannot be found: {id}"));
    scope.place().codebuild.build(id).ok_or_else(missing)
}

pub(super) fn invalid_token(_: crate::page::InvalidToken) -> AwsError {
    invalid("Invalid nextToken")
}
