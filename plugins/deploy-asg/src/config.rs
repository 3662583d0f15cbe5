//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema, Known};
use kiln_stack::{Owner, StackName};
use serde::{Deserialize, Serialize};

/// `with` of the stage. What it does not name of a refresh is not sent: the group's own settings hold, and then AWS's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "checkpoint-delay": ["checkpoints"], "stack": ["parameter"], "parameter": ["stack"], "refresh": ["stack"] }))]
pub struct Config {
    /// The group's name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_./-]{1,255}$"))]
    pub group: String,
    /// The AMI, by its id.
    pub image: Known<Ami>,
    /// The CloudFormation stack that the group belongs to: the AMI goes in as its `parameter`, so that no drift is made. The versions of the
    /// launch template are then the stack's.
    pub stack: Option<StackName>,
    /// The stack's parameter that takes the AMI's id.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]{1,255}$"))]
    pub parameter: Option<String>,
    /// Who replaces the instances where the AMI goes in by a stack: the stage, unless told.
    pub refresh: Option<RefreshBy>,
    /// How the instances come to the AMI.
    #[serde(default)]
    pub strategy: Strategy,
    /// The least that is healthy while instances are replaced, percent of the desired capacity.
    #[schemars(range(max = 100))]
    pub min_healthy_percentage: Option<u32>,
    /// The most there is meanwhile, percent of the desired capacity: above 100, new instances are launched before old ones go.
    #[schemars(range(min = 100, max = 200))]
    pub max_healthy_percentage: Option<u32>,
    /// How long a new instance warms up before it counts as healthy.
    pub warmup: Option<Duration>,
    /// Percentages at which the refresh rests, rising; the last one is 100, or not everything would be replaced.
    #[serde(default)]
    #[schemars(inner(range(min = 1, max = 100)))]
    pub checkpoints: Vec<u32>,
    /// How long it rests at each: an hour unless told.
    pub checkpoint_delay: Option<Duration>,
    /// How long it is watched once all instances are replaced.
    pub bake: Option<Duration>,
    /// CloudWatch alarms that fail the refresh. `[]` says that there are none.
    #[schemars(length(max = 10), inner(length(min = 1, max = 255)))]
    pub alarms: Option<Vec<String>>,
    /// What an alarm means that is to watch the refresh and cannot: it does not exist, it is in ALARM before the refresh begins, or
    /// CloudWatch does not evaluate it.
    #[serde(default)]
    pub unready_alarms: UnreadyAlarms,
    /// Whether instances that have the launch template's version already are left alone.
    pub skip_matching: Option<bool>,
    /// Whether AWS goes back by itself when the refresh fails or an alarm rings.
    pub auto_rollback: Option<bool>,
    /// What becomes of instances that are protected from scaling in. `wait` fails after an hour, unless somebody lifts the protection.
    pub scale_in_protected: Option<Protected>,
    /// What becomes of instances in standby. `wait` fails after an hour, unless somebody brings them back.
    pub standby: Option<Standby>,
    /// The traffic guard: the least share of the targets that are healthy when the stage begins that the refresh may leave, percent, in each
    /// target group of the group.
    #[serde(default = "guard")]
    #[schemars(range(max = 100))]
    pub keep_healthy: u32,
    /// What happens where somebody else's refresh is in progress.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// Deploy to a group whose launch template is named by `$Latest` or `$Default`: then instances that demand launches meanwhile may be new
    /// before the refresh, and AWS cannot roll the refresh back.
    #[serde(default)]
    pub allow_unpinned: bool,
    /// Deploy to a group that is to have no instances, although none will run then that could show whether the image works.
    #[serde(default)]
    pub allow_zero: bool,
    /// Names (with their paths) or ARNs of the roles in the instance profile of the launch template: AWS asks whoever starts the refresh for
    /// the permission to pass exactly these.
    #[serde(default)]
    #[schemars(inner(regex(
        pattern = r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/)?([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$"
    )))]
    pub roles: Vec<String>,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn guard() -> u32 {
    75
}

fn default_poll() -> Duration {
    Duration::from_secs(15)
}

impl Config {
    /// The stack that the AMI goes in by, and its parameter.
    pub(crate) fn owner(&self) -> Option<Owner<'_>> {
        Some(Owner { stack: &self.stack.as_ref()?.0, parameter: self.parameter.as_deref()?, every: self.poll })
    }

    /// Who replaces the instances.
    pub(crate) fn refresh_by(&self) -> RefreshBy {
        self.refresh.unwrap_or_default()
    }
}

/// Who replaces the instances of a group that belongs to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshBy {
    /// This stage, by an instance refresh of its own once the stack lets the group name the AMI: percentages, checkpoints, alarms and all
    /// else are the stage's.
    #[default]
    Stage,
    /// The stack, by the `UpdatePolicy` of the group in its template, which says how; its update waits for that and goes back where it
    /// fails.
    Stack,
}

/// The id of an AMI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Ami(#[schemars(regex(pattern = r"^ami-[0-9a-f]{8,17}$"))] pub String);

/// How instances come to an AMI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// They are replaced by new ones.
    #[default]
    Rolling,
    /// They stay, with their addresses and all that is not on the root volume, and get a root volume of the AMI. AWS does it in groups that mix
    /// instances alone, and with AMIs of one volume.
    ReplaceRootVolume,
}

/// What an alarm means that cannot watch the refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnreadyAlarms {
    /// Nothing is deployed.
    #[default]
    Fail,
    /// It is said, and the refresh begins: for one that mends what rings.
    Warn,
}

/// What happens where somebody else's refresh is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenBusy {
    /// Nothing is deployed.
    #[default]
    Refuse,
    /// Its end is waited for.
    Wait,
}

/// What becomes of instances that are protected from scaling in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protected {
    /// The refresh waits until they are protected no more.
    Wait,
    /// They stay as they are.
    Ignore,
    /// They are replaced.
    Refresh,
}

/// What becomes of instances in standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standby {
    /// The refresh waits until they are in service again.
    Wait,
    /// They stay as they are.
    Ignore,
    /// They are ended.
    Terminate,
}

/// The outputs of the stage.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The group's name.
    pub group: String,
    /// The AMI that serves.
    pub image: String,
    /// The AMI that served before, where the launch template told it: clean-up keeps it, so that there is a way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_image: Option<String>,
    /// The id of the launch template.
    pub launch_template: String,
    /// The number of its version that serves.
    pub version: u64,
    /// The number of the one that served before.
    pub previous_version: u64,
    /// The id of the refresh; none where the group had the AMI already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// How many instances serve.
    pub instances: u32,
}
