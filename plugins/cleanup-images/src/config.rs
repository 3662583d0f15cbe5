//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The ECR repository, by name.
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^[a-z0-9]+([._/-][a-z0-9]+)*$"))]
    pub repository: String,
    /// How many of the newest images that could go are kept.
    #[serde(default = "default_keep")]
    pub keep: u32,
    /// Only images that were pushed longer ago than this may go.
    pub older_than: Option<Duration>,
    /// An image that was pulled within this time stays; of one that was never pulled, the push counts. ECR may tell of a pull a day late,
    /// so it stays a day longer.
    pub keep_pulled_within: Option<Duration>,
    /// What would be deleted is moved to ECR's archive first, and deleted when it has lain there for this long: AWS charges 90 days at
    /// least. Without it, what lies in the archive stays there.
    pub archive_for: Option<Duration>,
    /// Patterns (`*`, `?`). An image may go only where all of its tags match one of them. Without patterns, any tag does.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub tags: Vec<String>,
    /// Patterns (`*`, `?`). An image with a tag that matches one of them stays.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub keep_tags: Vec<String>,
    /// The names of the clusters whose tasks and services may use the repository's images: all of them. An empty list says
    /// that no cluster does.
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$")))]
    pub clusters: Vec<String>,
    /// Patterns (`*`, `?`). Each active revision of a family that matches one of them counts as in use, also where a service runs a
    /// newer one.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub families: Vec<String>,
    /// Which revisions of task definitions that no service in `clusters` runs count as in use.
    #[serde(default)]
    pub revisions: Revisions,
    /// What may use images and is not looked at. What only it uses may be deleted.
    #[serde(default)]
    pub not_looked_at: Vec<Look>,
    /// Other environments of the pipeline whose tasks, task definitions, rules, schedules and functions may use the repository's images:
    /// of other accounts, or of other regions. What runs in an environment that is not named is not looked at.
    #[serde(default)]
    pub elsewhere: Vec<Elsewhere>,
    /// Whether images without a tag may go. Parts of an image for several platforms have none, and signatures and the like may have
    /// none; they share the fate of their image.
    #[serde(default)]
    pub delete_untagged: bool,
    /// Whether signatures and the like may go whose image is not in this repository. Switch it on only where no image elsewhere is
    /// signed here.
    #[serde(default)]
    pub delete_orphans: bool,
}

/// Another environment that may use the repository's images.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Elsewhere {
    /// Its name under `[environments]`. It is looked at in its own role.
    #[schemars(length(min = 1))]
    pub environment: String,
    /// The names of its clusters whose tasks and services may use the repository's images: all of them. An empty list says that no
    /// cluster does.
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9_-]{1,255}$")))]
    pub clusters: Vec<String>,
    /// As `families`, there.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub families: Vec<String>,
    /// As `revisions`, there.
    #[serde(default)]
    pub revisions: Revisions,
    /// As `not-looked-at`, there.
    #[serde(default)]
    pub not_looked_at: Vec<Look>,
}

/// Which revisions of a family that no service runs count as in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revisions {
    /// Each that is active.
    #[default]
    Active,
    /// The newest that is active, which is what a task is of that is started by the family's name.
    Newest,
}

/// What may use images beside the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Task definitions that no service runs.
    TaskDefinitions,
    /// Rules of EventBridge that start tasks.
    Rules,
    /// Schedules of EventBridge Scheduler that start tasks.
    Schedules,
    /// Lambda functions that are made of images.
    Functions,
}

impl Look {
    /// All of them.
    pub(crate) const ALL: [Look; 4] = [Look::TaskDefinitions, Look::Rules, Look::Schedules, Look::Functions];

    /// As the config has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Look::TaskDefinitions => "task-definitions",
            Look::Rules => "rules",
            Look::Schedules => "schedules",
            Look::Functions => "functions",
        }
    }
}

fn default_keep() -> u32 {
    10
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// How many images were deleted. What belongs to an image counts as one, too.
    pub deleted: u64,
    /// How many images are left, in the archive or not.
    pub kept: u64,
    /// How many images were moved to the archive.
    pub archived: u64,
    /// The first and the last of the images that were deleted.
    pub images: String,
}
