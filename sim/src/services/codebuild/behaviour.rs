//! How the builds of a project go, as the world file says.
//!
//! The main type is [`BuildBehaviour`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shapes::{PhaseName, Status};
use crate::worldfile::Span;

/// How builds go.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildBehaviour {
    pub(super) durations: BTreeMap<PhaseName, Span>,
    pub(super) fail: Option<Failure>,
    pub(super) pushes: Option<Pushes>,
    /// Templates of the variables that a build exports.
    pub(super) exports: BTreeMap<String, String>,
    /// What the commands of a phase print.
    pub(super) log: BTreeMap<PhaseName, Vec<String>>,
}

impl BuildBehaviour {
    /// How long a phase takes.
    pub(super) fn duration(&self, phase: PhaseName) -> Duration {
        let usual = match phase {
            PhaseName::Submitted | PhaseName::UploadArtifacts | PhaseName::Completed => 0,
            PhaseName::Queued | PhaseName::Install => 1,
            PhaseName::Provisioning => 8,
            PhaseName::DownloadSource => 4,
            PhaseName::PreBuild | PhaseName::PostBuild => 5,
            PhaseName::Build => 30,
            PhaseName::Finalizing => 2,
        };
        self.durations.get(&phase).map_or(Duration::from_secs(usual), |span| span.duration())
    }
}

/// How a build fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Failure {
    /// At the end of which phase.
    pub(super) phase: PhaseName,
    /// How the build ends.
    #[serde(default = "failed")]
    pub(super) status: Status,
    /// The status code of the phase's context.
    #[serde(default = "command_execution_error")]
    pub(super) code: String,
    /// What CodeBuild says of it.
    pub(super) message: Option<String>,
    /// The last lines that its command prints.
    #[serde(default)]
    pub(super) log: Vec<String>,
    /// How many of the project's builds fail; all unless told.
    times: Option<u64>,
}

fn failed() -> Status {
    Status::Failed
}

fn command_execution_error() -> String {
    "COMMAND_EXECUTION_ERROR".to_owned()
}

impl Failure {
    /// Whether it befalls the project's build of this number, in this phase.
    pub(super) fn strikes(&self, phase: PhaseName, number: u64) -> bool {
        self.phase == phase && self.times.is_none_or(|times| number <= times)
    }
}

/// The image that a build pushes when it went well. `${NAME}` stands for a variable of the build.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pushes {
    /// The name of the repository.
    pub(super) repository: String,
    /// The image's tag.
    pub(super) tag: String,
    /// The image's size, in bytes.
    #[serde(default = "usual_size")]
    pub(super) size: u64,
    /// Whether there are bytes behind its layers, so that they can be got.
    #[serde(default)]
    pub(super) content: bool,
}

fn usual_size() -> u64 {
    48_000_000
}
