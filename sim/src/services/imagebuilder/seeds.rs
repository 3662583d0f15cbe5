//! Image Builder's part of a world file.
//!
//! The main types are [`ImagePipelineSeed`] and [`RecipeSeed`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::behaviour::{BakeFailure, BakePhase, ScanEnd};
use crate::worldfile::{Ago, Span};

/// A pipeline of Image Builder, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ImagePipelineSeed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub(super) name: String,
    /// Its recipe: `NAME/VERSION`.
    pub(super) recipe: String,
    /// The name of its infrastructure configuration; one is made where none is named.
    pub(super) infrastructure: Option<String>,
    /// The name of its distribution configuration; without one the AMI stays where it is built.
    pub(super) distribution: Option<String>,
    /// Whether images are tested.
    #[serde(default = "yes")]
    pub(super) tests: bool,
    /// Whether Inspector's findings of builds are kept.
    #[serde(default)]
    pub(super) scans: bool,
    /// When it runs by itself, as AWS words it: `cron(…)` or `rate(…)`.
    pub(super) schedule: Option<String>,
    /// Whether the schedule is followed.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// How long after the beginning it first runs by its schedule, if it does.
    pub(super) runs_after: Option<Span>,
    /// How long it then is to the next run: a day unless told.
    pub(super) runs_every: Option<Span>,
    /// The log group of its images, instead of Image Builder's own.
    pub(super) log_group: Option<String>,
    /// Images that it has made already, the oldest first.
    #[serde(default)]
    pub(super) images: Vec<MadeSeed>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// An image that a pipeline has made already.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct MadeSeed {
    /// When it was begun, before the beginning: `-2d`.
    pub(super) begun: Ago,
    /// Whether its schedule made it, and no person.
    pub(super) scheduled: bool,
    /// Whether its making failed, so that no AMI came of it.
    pub(super) failed: bool,
    /// Its recipe, where it was another than the pipeline's: `NAME/VERSION`.
    pub(super) recipe: Option<String>,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// A recipe of Image Builder, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RecipeSeed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub(super) name: String,
    /// Its version: three numbers.
    #[serde(default = "first")]
    pub(super) version: String,
    /// What it builds on: the id or the name of a machine image, an ARN, or `ssm:PARAMETER`.
    #[serde(default = "amazon_linux")]
    pub(super) parent: String,
    /// Its components: `NAME/VERSION`, or ARNs.
    #[serde(default = "update")]
    pub(super) components: Vec<String>,
    /// Whether its volume is encrypted.
    pub(super) encrypted: Option<bool>,
    /// The key that it is encrypted with: `alias/NAME`, an id or an ARN.
    pub(super) key: Option<String>,
    /// The size of its volume, in GiB.
    #[serde(default = "eight")]
    pub(super) size: u64,
    /// How long each part of its bakes takes.
    #[serde(default)]
    pub(super) takes: BTreeMap<BakePhase, Span>,
    /// How its bakes fail; they go well unless told.
    pub(super) fail: Option<BakeFailure>,
    /// How Inspector's look at them ends: `completed` unless told.
    pub(super) scan_ends: Option<ScanEnd>,
    /// What its components write into the log, a line each.
    #[serde(default)]
    pub(super) log: Vec<String>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn first() -> String {
    "1.0.0".to_owned()
}

fn amazon_linux() -> String {
    "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64".to_owned()
}

fn update() -> Vec<String> {
    vec!["update-linux/1.0.0".to_owned()]
}

fn eight() -> u64 {
    8
}

/// On what images are built, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct InfrastructureSeed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub(super) name: String,
    /// The types of instances.
    #[serde(default = "small")]
    pub(super) instance_types: Vec<String>,
    /// The instance profile.
    #[serde(default = "builder")]
    pub(super) instance_profile: String,
    /// The subnet.
    pub(super) subnet: Option<String>,
    /// The security groups.
    #[serde(default)]
    pub(super) security_groups: Vec<String>,
    /// Whether instances go where the build failed.
    #[serde(default = "yes")]
    pub(super) terminates: bool,
    /// `optional` or `required`.
    pub(super) http_tokens: Option<String>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn small() -> Vec<String> {
    vec!["t3.medium".to_owned()]
}

fn builder() -> String {
    "EC2InstanceProfileForImageBuilder".to_owned()
}

/// Where images go, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DistributionSeed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub(super) name: String,
    /// The regions that get them.
    pub(super) to: Vec<TargetSeed>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// What a region gets, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TargetSeed {
    /// The region.
    pub(super) region: String,
    /// The AMI's name, with Image Builder's variables: recipe and date unless told.
    pub(super) ami_name: Option<String>,
    /// Accounts that get copies of their own.
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    /// The key that AMIs there are encrypted with: `alias/NAME`, an id or an ARN.
    pub(super) key: Option<String>,
    /// Whether everybody may launch it.
    #[serde(default)]
    pub(super) public: bool,
    /// Accounts that may launch it.
    #[serde(default)]
    pub(super) launch_accounts: Vec<String>,
    /// Tags of the AMI.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// SSM parameters that get its id.
    #[serde(default)]
    pub(super) parameters: Vec<String>,
}

/// A lifecycle policy of Image Builder, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LifecycleSeed {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub(super) name: String,
    /// Whether it is followed, by AWS: the simulator does nothing by it.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// `DEPRECATE`, `DISABLE` or `DELETE`.
    #[serde(default = "delete")]
    pub(super) action: String,
    /// Whether it does it to AMIs and their snapshots, too.
    #[serde(default = "yes")]
    pub(super) amis: bool,
    /// How many images are kept.
    pub(super) keep: Option<u32>,
    /// How many days old images must be, where their number does not decide.
    pub(super) older_than_days: Option<u32>,
    /// The recipes whose images it is about: `NAME/VERSION`.
    #[serde(default)]
    pub(super) recipes: Vec<String>,
    /// The tags of the images that it is about.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn delete() -> String {
    "DELETE".to_owned()
}
