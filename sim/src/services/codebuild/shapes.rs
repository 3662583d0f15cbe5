//! The parts of projects and builds, as AWS spells them.
//!
//! The main types are [`Source`], [`Environment`] and [`Variable`]. What the simulator only hands back is plain JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a source is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    /// What sort of source it is.
    #[serde(rename = "type")]
    pub(super) kind: SourceType,
    /// Where it is: a URL, a bucket with a key.
    pub(super) location: Option<String>,
    /// How much of the history is cloned.
    pub(super) git_clone_depth: Option<u32>,
    /// Whether submodules are cloned, as AWS spells it.
    pub(super) git_submodules_config: Option<Value>,
    /// The build specification, or its path in the source.
    pub(super) buildspec: Option<String>,
    /// How CodeBuild logs in, as AWS spells it.
    pub(super) auth: Option<Value>,
    /// Whether the build's status is told to the provider of the source.
    pub(super) report_build_status: Option<bool>,
    /// How it is told, as AWS spells it.
    pub(super) build_status_config: Option<Value>,
    /// Whether certificates are not looked at.
    pub(super) insecure_ssl: Option<bool>,
    /// The name of a further source.
    pub(super) source_identifier: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum SourceType {
    Codecommit,
    Codepipeline,
    Github,
    Gitlab,
    GitlabSelfManaged,
    S3,
    Bitbucket,
    GithubEnterprise,
    #[default]
    NoSource,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifacts {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) location: Option<String>,
    pub(super) path: Option<String>,
    pub(super) namespace_type: Option<String>,
    pub(super) name: Option<String>,
    pub(super) packaging: Option<String>,
    pub(super) override_artifact_name: Option<bool>,
    pub(super) encryption_disabled: Option<bool>,
    pub(super) artifact_identifier: Option<String>,
}

/// What is kept from one build for the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cache {
    /// Where it is kept.
    #[serde(rename = "type")]
    pub(super) kind: CacheType,
    /// For `S3`: bucket and prefix.
    pub(super) location: Option<String>,
    /// For `LOCAL`: what is kept.
    pub(super) modes: Option<Vec<String>>,
    /// What caches are shared by.
    pub(super) cache_namespace: Option<String>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { kind: CacheType::NoCache, location: None, modes: None, cache_namespace: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum CacheType {
    NoCache,
    S3,
    Local,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) image: String,
    pub(super) compute_type: String,
    pub(super) compute_configuration: Option<Value>,
    pub(super) fleet: Option<Value>,
    #[serde(default)]
    pub(super) environment_variables: Vec<Variable>,
    #[serde(default)]
    pub(super) privileged_mode: bool,
    pub(super) certificate: Option<String>,
    pub(super) registry_credential: Option<Value>,
    pub(super) image_pull_credentials_type: Option<String>,
    pub(super) docker_server: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    #[serde(rename = "type", default)]
    pub(super) kind: VariableType,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogsConfig {
    pub(super) cloud_watch_logs: Option<CloudWatchLogs>,
    pub(super) s3_logs: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CloudWatchLogs {
    pub(super) status: LogsStatus,
    pub(super) group_name: Option<String>,
    pub(super) stream_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum LogsStatus {
    Enabled,
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectTag {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// A phase of a build, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PhaseName {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl PhaseName {
    /// As AWS writes it.
    pub(super) fn text(self) -> &'static str {
        match self {
            PhaseName::Submitted => "SUBMITTED",
            PhaseName::Queued => "QUEUED",
            PhaseName::Provisioning => "PROVISIONING",
            PhaseName::DownloadSource => "DOWNLOAD_SOURCE",
            PhaseName::Install => "INSTALL",
            PhaseName::PreBuild => "PRE_BUILD",
            PhaseName::Build => "BUILD",
            PhaseName::PostBuild => "POST_BUILD",
            PhaseName::UploadArtifacts => "UPLOAD_ARTIFACTS",
            PhaseName::Finalizing => "FINALIZING",
            PhaseName::Completed => "COMPLETED",
        }
    }

    /// The phase behind one that went well.
    pub(super) fn next(self) -> PhaseName {
        match self {
            PhaseName::Submitted => PhaseName::Queued,
            PhaseName::Queued => PhaseName::Provisioning,
            PhaseName::Provisioning => PhaseName::DownloadSource,
            PhaseName::DownloadSource => PhaseName::Install,
            PhaseName::Install => PhaseName::PreBuild,
            PhaseName::PreBuild => PhaseName::Build,
            PhaseName::Build => PhaseName::PostBuild,
            PhaseName::PostBuild => PhaseName::UploadArtifacts,
            PhaseName::UploadArtifacts => PhaseName::Finalizing,
            PhaseName::Finalizing | PhaseName::Completed => PhaseName::Completed,
        }
    }

    /// The phase behind one that failed: what comes after the build itself still runs after a failed build.
    pub(super) fn next_after_failure(self) -> PhaseName {
        match self {
            PhaseName::Submitted | PhaseName::Queued | PhaseName::Provisioning => PhaseName::Completed,
            PhaseName::DownloadSource | PhaseName::Install | PhaseName::PreBuild => PhaseName::Finalizing,
            PhaseName::Build
            | PhaseName::PostBuild
            | PhaseName::UploadArtifacts
            | PhaseName::Finalizing
            | PhaseName::Completed => self.next(),
        }
    }
}

/// How a phase or a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Succeeded,
    Failed,
    Fault,
    TimedOut,
    InProgress,
    Stopped,
}

impl Status {
    /// As AWS writes it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::Fault => "FAULT",
            Status::TimedOut => "TIMED_OUT",
            Status::InProgress => "IN_PROGRESS",
            Status::Stopped => "STOPPED",
        }
    }
}
