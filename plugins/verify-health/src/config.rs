//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema, Known, PinnedImage};
use serde::{Deserialize, Serialize};

/// `with` of the stage. It looks at what is named: at least one of `group`, `service` and `target-groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend(
    "dependentRequired" = {
        "group": ["ami"], "ami": ["group"], "service": ["cluster", "image"], "cluster": ["service"], "image": ["service"],
        "container": ["service"],
    },
    "anyOf" = [
        { "required": ["group"] },
        { "required": ["service"] },
        { "required": ["target-groups"], "properties": { "target-groups": { "minItems": 1 } } },
    ],
))]
pub struct Config {
    /// An Auto Scaling group: every instance in service runs `ami`, as many as it is to have, and its targets are healthy.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_./-]{1,255}$"))]
    pub group: Option<String>,
    /// The AMI that was deployed to the group.
    pub ami: Option<Known<Ami>>,
    /// The cluster of `service`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub cluster: Option<String>,
    /// An ECS service: every running task runs `image`, as many as it is to have.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub service: Option<String>,
    /// The image that was deployed to the service, by its digest.
    pub image: Option<Known<PinnedImage>>,
    /// The container that runs it: each whose image is of the same repository unless told.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub container: Option<String>,
    /// Names of target groups besides those of `group`: every target of each is healthy.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9-]{1,32}$")))]
    pub target_groups: Vec<String>,
    /// How long all of that must hold without a break.
    pub hold: Duration,
    /// How long something may be otherwise, at the beginning or in between, before the stage fails.
    #[serde(default = "patience")]
    pub patience: Duration,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn patience() -> Duration {
    Duration::from_secs(600)
}

fn default_poll() -> Duration {
    Duration::from_secs(15)
}

/// The id of an AMI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Ami(#[schemars(regex(pattern = r"^ami-[0-9a-f]{8,17}$"))] pub String);

/// The outputs of the stage.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// For how long all of it held, in seconds.
    pub held_seconds: u64,
    /// How often it was otherwise for a while.
    pub breaks: u32,
    /// How many instances serve, where a group is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// How many tasks run, where a service is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
}
