//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema, Known, PinnedImage};
use kiln_stack::StackName;
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "stack": ["parameter"], "parameter": ["stack"] }))]
pub struct Config {
    /// The cluster's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub cluster: String,
    /// The service's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub service: String,
    /// The image by digest, in ECR.
    pub image: Known<PinnedImage>,
    /// The CloudFormation stack that the service belongs to: the image goes in as its `parameter`, so that no drift is made. Settings of
    /// the deployment are then the template's.
    pub stack: Option<StackName>,
    /// The stack's parameter that takes the image: its digest alone where it has one or is named so, otherwise the whole image.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]{1,255}$"))]
    pub parameter: Option<String>,
    /// The container that gets the image. Without it and `containers`, each container whose image is of the same repository
    /// gets it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub container: Option<String>,
    /// The containers that get the image, all in one revision: the application, its worker, its migration.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$")))]
    pub containers: Vec<String>,
    /// Which revision of the task definition is copied: the one that serves, or the newest active one of its family (where
    /// another tool registers revisions with other variables or sizes, and leaves it to this stage to deploy them).
    #[serde(default)]
    pub base: Base,
    /// How tasks are replaced.
    #[serde(default)]
    pub strategy: Strategy,
    /// The lower limit of running tasks, percent of those desired; without it, as the service has it.
    #[schemars(range(max = 100))]
    pub minimum_healthy_percent: Option<u32>,
    /// The upper limit of running tasks, percent of those desired; without it, as the service has it.
    #[schemars(range(min = 100, max = 200))]
    pub maximum_percent: Option<u32>,
    /// ECS's circuit breaker; without it, as the service has it. `{}` switches it on, and lets it go back.
    pub circuit_breaker: Option<Breaker>,
    /// CloudWatch alarms that fail the deployment while it goes on, in the place of those that the service has; without it,
    /// as the service has them. `[]` switches them off.
    #[schemars(inner(length(min = 1, max = 255)))]
    pub alarms: Option<Vec<String>>,
    /// What an alarm means that is to watch the deployment and cannot: it does not exist, it is in ALARM before the deployment
    /// begins (ECS leaves such a one out), or CloudWatch does not evaluate it.
    #[serde(default)]
    pub unready_alarms: UnreadyAlarms,
    /// Names (with their paths) or ARNs of the roles that the task definition names: its task role and its execution role. IAM
    /// asks who registers a revision for the permission to pass exactly these.
    #[serde(default)]
    #[schemars(inner(regex(
        pattern = r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/)?([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$"
    )))]
    pub roles: Vec<String>,
    /// Log groups of the service's containers: the end of what a crashed container logged is shown with the failure.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9_/.#-]{0,511}[A-Za-z0-9_.#-]$")))]
    pub log_groups: Vec<String>,
    /// Deploy to a service whose desired count is 0, although no task will run then that could show whether it works.
    #[serde(default)]
    pub allow_zero: bool,
    /// Replace a deployment in progress that has failed tasks. One that is the service's only one, and of which every task
    /// failed, is replaced without it: it can never settle.
    #[serde(default)]
    pub replace_failed: bool,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

/// What an alarm means that cannot watch the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnreadyAlarms {
    /// Nothing is deployed.
    #[default]
    Fail,
    /// It is said, and the deployment goes on without it: for a deployment that mends what rings.
    Warn,
}

/// How tasks are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few at a time, in place.
    #[default]
    Rolling,
}

/// Which revision of the task definition is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The one that serves.
    #[default]
    Serving,
    /// The newest active one of the family.
    Latest,
}

/// ECS's circuit breaker: it ends a deployment whose tasks do not come up. What is not named stays as the service has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Breaker {
    /// Whether it is on.
    #[serde(default = "yes")]
    pub enable: bool,
    /// Whether ECS goes back by itself to what served before. Where the circuit breaker was off, it does.
    pub rollback: Option<bool>,
    /// How many failed tasks end a deployment: half of the tasks, at least 3 and at most 200, unless told.
    pub threshold: Option<Threshold>,
    /// Whether a task that becomes healthy resets the count of failures, as it does unless told. `false` ends a deployment
    /// of tasks that come up and crash later.
    pub reset_on_healthy_task: Option<bool>,
}

fn yes() -> bool {
    true
}

/// How many failed tasks end a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Threshold {
    /// How `value` counts.
    #[serde(rename = "type")]
    pub kind: ThresholdKind,
    /// Tasks, or percent of the tasks desired.
    #[schemars(range(min = 1, max = 10000))]
    pub value: u32,
}

/// How a threshold counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdKind {
    /// So many tasks.
    Count,
    /// So many percent of the tasks desired, at least 3 and at most 200 tasks.
    BoundedPercent,
    /// So many percent of the tasks desired.
    UnboundedPercent,
}

impl Config {
    /// `CLUSTER/SERVICE`, for people.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}", self.cluster, self.service)
    }

    /// The containers that the config names; none where the repository decides.
    pub(crate) fn named(&self) -> Vec<&str> {
        let mut named: Vec<&str> = self.container.iter().chain(&self.containers).map(String::as_str).collect();
        named.sort_unstable();
        named.dedup();
        named
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
    #[schemars(extend("x-kiln-repository" = "${image-repository(with.image)}"))]
    pub image: PinnedImage,
    /// The image that served before, where its task definition named it by digest: clean-up keeps it, so that there is a
    /// way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_image: Option<String>,
    /// The service's name.
    pub service: String,
    /// Whether the service is to have no tasks (`allow-zero`), so that nothing runs the image; left out where it has some.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
}
