//! EC2's part of a world file.
//!
//! The main types are [`MachineImageSeed`], [`TemplateSeed`] and [`InstanceSeed`]; `planting` puts them into the world.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::image::{ImageState, Use};
use super::instance::Market;
use super::snapshot::SnapshotState;
use crate::tags::Tags;
use crate::worldfile::{Ago, Span};

/// The VPC that everything is in that does not say otherwise.
const VPC: &str = "vpc-0a1b2c3d";

/// An image of a machine in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MachineImageSeed {
    /// Its name.
    pub(super) name: String,
    /// `ami-…`: drawn unless told.
    pub(super) id: Option<String>,
    /// What it says of itself.
    #[serde(default)]
    pub(super) description: String,
    /// How long ago it was made.
    #[serde(default)]
    pub(super) created: Ago,
    /// Where it stands.
    #[serde(default)]
    pub(super) state: ImageState,
    /// Since when it is deprecated.
    pub(super) deprecated: Option<Ago>,
    /// When an instance was last launched from it; never unless told. It is seen a day later.
    pub(super) last_launched: Option<Ago>,
    /// Whether every account may launch it.
    #[serde(default)]
    pub(super) public: bool,
    /// Accounts that may launch it.
    #[serde(default)]
    pub(super) shared: BTreeSet<String>,
    /// Whether it is protected from being deregistered.
    #[serde(default)]
    pub(super) protected: bool,
    /// `x86_64` or `arm64`.
    #[serde(default = "x86")]
    pub(super) architecture: String,
    /// Its volumes: one of 8 GiB unless told.
    #[serde(default)]
    pub(super) devices: Vec<DeviceSeed>,
    /// Its tags, which its snapshots have, too.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The id of the image that it is a copy of.
    pub(super) source: Option<String>,
    /// That image's region: its own unless told.
    pub(super) source_region: Option<String>,
    /// The ARN of the image of Image Builder that it is an output of.
    pub(super) image_builder: Option<String>,
    /// Use by accounts of which the world says nothing else.
    #[serde(default)]
    pub(super) used_by: Vec<Use>,
    /// A report of its use that is there, made so long ago.
    pub(super) usage_report: Option<Ago>,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn x86() -> String {
    "x86_64".to_owned()
}

/// A volume of an image.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DeviceSeed {
    /// Its name.
    #[serde(default = "root")]
    pub(super) name: String,
    /// Its size, in GiB.
    #[serde(default = "eight")]
    pub(super) size: u64,
    /// What its snapshot holds, in bytes: as much as the volume unless told.
    pub(super) full_size: Option<u64>,
    /// `snap-…`: drawn unless told.
    pub(super) snapshot: Option<String>,
    /// The KMS key that it is encrypted with, by its ARN.
    pub(super) kms_key: Option<String>,
    /// Whether it is encrypted: where there is a key, unless told.
    pub(super) encrypted: Option<bool>,
    /// `gp3`, for one.
    #[serde(default = "gp3")]
    pub(super) volume_type: String,
}

fn root() -> String {
    "/dev/xvda".to_owned()
}

fn eight() -> u64 {
    8
}

fn gp3() -> String {
    "gp3".to_owned()
}

/// A snapshot in a world file that is none of an image that is there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SnapshotSeed {
    /// `snap-…`: drawn unless told.
    pub(super) id: Option<String>,
    /// What it says of itself.
    #[serde(default)]
    pub(super) description: String,
    /// The id of the image that it was made for, in whose words it then says so.
    pub(super) of_image: Option<String>,
    /// How long ago it was made.
    #[serde(default)]
    pub(super) created: Ago,
    /// Where it stands.
    #[serde(default)]
    pub(super) state: SnapshotState,
    /// Its volume's size, in GiB.
    #[serde(default = "eight")]
    pub(super) size: u64,
    /// What it holds, in bytes: as much as the volume unless told.
    pub(super) full_size: Option<u64>,
    /// The KMS key that it is encrypted with, by its ARN.
    pub(super) kms_key: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// A launch template in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TemplateSeed {
    /// Its name.
    pub(super) name: String,
    /// `lt-…`: drawn unless told.
    pub(super) id: Option<String>,
    /// Its versions, the first first.
    pub(super) versions: Vec<VersionSeed>,
    /// The number of the version that counts where none is named: 1 unless told.
    #[serde(default = "first")]
    pub(super) default_version: u64,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn first() -> u64 {
    1
}

/// A version of a launch template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VersionSeed {
    /// An image, by its name or id, or `resolve:ssm:PARAMETER`.
    pub(super) image: Option<String>,
    /// `t3.micro`, for one.
    pub(super) instance_type: Option<String>,
    /// What it says of itself.
    pub(super) description: Option<String>,
    /// How long ago it was made.
    #[serde(default)]
    pub(super) created: Ago,
    /// All else, as the API spells it: `{ SecurityGroupIds = ["sg-0a1b2c3d"] }`.
    #[serde(default)]
    pub(super) data: BTreeMap<String, Value>,
}

/// A subnet in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SubnetSeed {
    /// `subnet-…`.
    pub(super) id: String,
    /// Its Availability Zone, such as `us-west-2a`.
    pub(super) zone: String,
    /// The VPC that it is in.
    #[serde(default = "vpc")]
    pub(super) vpc: String,
    /// Its addresses.
    #[serde(default = "cidr")]
    pub(super) cidr: String,
    /// How many of them are free.
    #[serde(default = "many")]
    pub(super) free_addresses: u64,
    /// Whether instances get a public address.
    #[serde(default)]
    pub(super) public: bool,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn vpc() -> String {
    VPC.to_owned()
}

fn cidr() -> String {
    "10.0.0.0/20".to_owned()
}

fn many() -> u64 {
    4091
}

/// A security group in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SecurityGroupSeed {
    /// `sg-…`.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// What it says of itself.
    #[serde(default)]
    pub(super) description: String,
    /// The VPC that it is in.
    #[serde(default = "vpc")]
    pub(super) vpc: String,
    /// What it lets in. Everything is let out.
    #[serde(default)]
    pub(super) ingress: Vec<SecurityRuleSeed>,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// What a security group lets in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SecurityRuleSeed {
    /// `tcp`, `udp`, `icmp`, or `-1` for every protocol.
    #[serde(default = "tcp")]
    pub(super) protocol: String,
    /// The port; every port unless told.
    pub(super) port: Option<u16>,
    /// Whose addresses.
    pub(super) cidr: Option<String>,
    /// Members of this security group, by its id.
    pub(super) group: Option<String>,
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// Instances in a world file that run at the start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct InstanceSeed {
    /// The image, by its name or id: the launch template's unless told.
    pub(super) image: Option<String>,
    /// `t3.micro`, for one: the launch template's unless told.
    pub(super) instance_type: Option<String>,
    /// The name of a launch template.
    pub(super) launch_template: Option<String>,
    /// Its version: a number, `$Latest` or `$Default`.
    pub(super) version: Option<String>,
    /// The subnet that it stands in, by its id.
    pub(super) subnet: Option<String>,
    /// The zone that it stands in, where it has no subnet.
    pub(super) zone: Option<String>,
    /// What is paid for it.
    #[serde(default)]
    pub(super) market: Market,
    /// How many there are.
    #[serde(default = "first")]
    pub(super) count: u64,
    /// How long ago it was launched.
    #[serde(default)]
    pub(super) launched: Ago,
    /// Whether it has been stopped.
    #[serde(default)]
    pub(super) stopped: bool,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// The account that has it: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that it is in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// How instances do in a world file: all of them, or those of an image. One of an image counts before one of all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct InstanceBehaviourSeed {
    /// The image, by its name or id: every image unless told.
    pub(super) image: Option<String>,
    /// How long it boots: 20 s unless told.
    pub(super) boots: Option<Span>,
    /// How long its status is checked after that: 2 min unless told.
    pub(super) checks: Option<Span>,
    /// So long after it has booted its status is impaired; never unless told.
    pub(super) impaired_after: Option<Span>,
    /// So long after it was launched it ends by itself; never unless told.
    pub(super) dies_after: Option<Span>,
    /// What it writes to its console.
    #[serde(default)]
    pub(super) console: String,
    /// The account whose instances: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that they are in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// How many instances there is room for in a world file: any number unless told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CapacitySeed {
    /// The zone: every zone unless told.
    pub(super) zone: Option<String>,
    /// The type: every type unless told.
    pub(super) instance_type: Option<String>,
    /// The market: both unless told.
    pub(super) market: Option<Market>,
    /// The most instances of that type, in that zone, of that market.
    pub(super) instances: usize,
    /// From this time after the world's beginning on.
    pub(super) after: Option<Span>,
    /// Until this time after the world's beginning.
    pub(super) until: Option<Span>,
    /// The account whose instances: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that they are in: the world's own unless told.
    pub(super) region: Option<String>,
}

/// Spot instances that are taken away, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct InterruptionSeed {
    /// This time after the world's beginning.
    pub(super) after: Span,
    /// How many, at the most: those that were launched first.
    #[serde(default = "one")]
    pub(super) count: usize,
    /// Of this zone: of every zone unless told.
    pub(super) zone: Option<String>,
    /// Of this type: of every type unless told.
    pub(super) instance_type: Option<String>,
    /// How long they know it before: 2 min unless told.
    pub(super) notice: Option<Span>,
    /// The account whose instances: the world's own unless told.
    pub(super) account: Option<String>,
    /// The region that they are in: the world's own unless told.
    pub(super) region: Option<String>,
}

fn one() -> usize {
    1
}
