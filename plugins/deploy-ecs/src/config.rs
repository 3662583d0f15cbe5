//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::aws::ecs::RollingConfiguration;
use kiln_plugin::{Duration, JsonSchema, Known, PinnedImage};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The cluster's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub cluster: String,
    /// The service's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub service: String,
    /// The image by digest, in ECR.
    pub image: Known<PinnedImage>,
    /// The container that gets the image. Needed only where more or fewer than one container of the task definition uses
    /// the image's repository.
    pub container: Option<String>,
    /// How tasks are replaced.
    #[serde(default)]
    pub strategy: Strategy,
    /// The lower limit of running tasks, percent of those desired; without it, as the service has it.
    #[schemars(range(max = 100))]
    pub minimum_healthy_percent: Option<u32>,
    /// The upper limit of running tasks, percent of those desired; without it, as the service has it.
    #[schemars(range(min = 100, max = 200))]
    pub maximum_percent: Option<u32>,
    /// CloudWatch alarms that fail the deployment while it goes on. They replace those that the service has.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// Names (with their paths) of the roles that the task definition names: its task role and its execution role. IAM asks
    /// who registers a revision for the permission to pass exactly these.
    #[serde(default)]
    pub roles: Vec<String>,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

/// How tasks are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few at a time, in place.
    #[default]
    Rolling,
}

impl Config {
    /// `CLUSTER/SERVICE`, for people.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}", self.cluster, self.service)
    }

    /// The circuit breaker is always on, and goes back by itself: what serves is never left half replaced.
    pub(crate) fn rolling(&self) -> RollingConfiguration {
        RollingConfiguration {
            minimum_healthy_percent: self.minimum_healthy_percent,
            maximum_percent: self.maximum_percent,
            circuit_breaker: true,
            rollback: true,
            alarms: self.alarms.clone(),
        }
    }

    /// For the way back: there is nothing behind it to go back to, and the alarms may still ring for what is being undone.
    pub(crate) fn rolling_back(&self) -> RollingConfiguration {
        RollingConfiguration { rollback: false, alarms: Vec::new(), ..self.rolling() }
    }
}

/// The outputs of the stage.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The ARN of the task definition that serves.
    pub task_definition: String,
    /// The ARN of the one that served before.
    pub previous_task_definition: String,
    /// The ARN of the service deployment; none where the service ran the image already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The image that serves, by digest.
    pub image: PinnedImage,
    /// The image that served before, where its task definition named it by digest: clean-up keeps it, so that there is a
    /// way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_image: Option<String>,
    /// The service's name.
    pub service: String,
}
