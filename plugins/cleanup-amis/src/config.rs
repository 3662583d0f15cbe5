//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use std::collections::BTreeMap;

use kiln_plugin::{Duration, JsonSchema, Known};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The families whose images are looked after; an image belongs to the first that it fits. Of all others nothing is touched.
    #[schemars(length(min = 1))]
    pub families: Vec<Family>,
    /// How many of each family's newest images are kept.
    #[serde(default = "default_keep")]
    pub keep: u32,
    /// Only images that were made longer ago than this may go.
    pub older_than: Option<Duration>,
    /// An image from which an instance was launched within this time stays. EC2 tells of a launch up to a day late, so it stays a day
    /// longer.
    pub keep_launched_within: Option<Duration>,
    /// The rungs that images go down: `deprecate` (it is listed no more for others, and can be used), `disable` (it cannot be used, and can
    /// be enabled again), `deregister` (it is gone, with its snapshots).
    #[serde(default = "Rung::all")]
    #[schemars(length(min = 1))]
    pub rungs: Vec<Rung>,
    /// Whether a run takes an image down to the last rung at once, and not by one.
    #[serde(default)]
    pub at_once: bool,
    /// Whether an image's snapshots are deleted with it. One that another image is made of stays.
    #[serde(default = "yes")]
    pub snapshots: bool,
    /// Whether snapshots go, too, that were made for images of these families which are there no more.
    #[serde(default)]
    pub orphans: bool,
    /// Images that stay, by id: those that this run has made, for one.
    #[serde(default)]
    pub keep_images: Vec<Known<String>>,
    /// Parameters of Systems Manager, by name, or by path with all that is below it: images whose ids stand in their values stay. Those
    /// of the type `aws:ec2:image` count in any case.
    #[serde(default)]
    #[schemars(inner(length(max = 1011), regex(pattern = r"^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")))]
    pub parameters: Vec<String>,
    /// What may use images and is not looked at. What only it uses may go.
    #[serde(default)]
    pub not_looked_at: Vec<Look>,
    /// So many of each launch template's newest versions count as in use, beside the default one and those that groups use.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10000))]
    pub template_versions: u32,
    /// Of an image that other accounts may launch: how old the report of their use may be. Without a report the image stays.
    #[serde(default = "week")]
    pub report_within: Duration,
    /// Whether a run lets EC2 make the reports that are missing: the next run reads them.
    #[serde(default)]
    pub report: bool,
    /// The most images, and the most orphans, that one run takes down, the oldest first.
    #[serde(default = "default_most")]
    #[schemars(range(min = 1, max = 500))]
    pub most: u32,
    /// What a GiB of snapshots costs a month, in dollars: by this the plan tells what images cost at the most.
    #[serde(default = "default_price")]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub price: f64,
}

/// Images that belong together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Family {
    /// A pattern (`*`, `?`) that the image's name must match.
    #[schemars(length(min = 1))]
    pub names: String,
    /// Tags that it must have, each with a pattern of its value.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// What may use images beside EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Auto Scaling: its groups and launch configurations.
    Groups,
    /// Image Builder: its recipes, lifecycle policies, and records of images.
    ImageBuilder,
}

/// A rung on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// It is listed no more for others, and can be used.
    Deprecate,
    /// It cannot be used, and can be enabled again.
    Disable,
    /// It is gone.
    Deregister,
}

impl Rung {
    fn all() -> Vec<Rung> {
        vec![Rung::Deprecate, Rung::Disable, Rung::Deregister]
    }
}

fn default_keep() -> u32 {
    5
}

fn default_most() -> u32 {
    50
}

fn default_price() -> f64 {
    0.05
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn week() -> Duration {
    Duration::from_secs(7 * 86_400)
}

/// The outputs of the stage.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How many images were deprecated.
    pub deprecated: u64,
    /// How many images were disabled.
    pub disabled: u64,
    /// How many images were deregistered.
    pub deregistered: u64,
    /// How many snapshots were deleted, with their images or as orphans.
    pub snapshots: u64,
    /// How many of Image Builder's records went with their AMIs.
    pub records: u64,
    /// How many reports of other accounts' use were begun.
    pub reports: u64,
    /// How many images of the families are left.
    pub kept: u64,
    /// The images that were deregistered, by id: the first ones and the last.
    pub images: String,
}
