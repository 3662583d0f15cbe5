//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The ECR repository, by name.
    #[schemars(regex(pattern = r"^[a-z0-9]+([._/-][a-z0-9]+)*$"))]
    pub repository: String,
    /// How many of the newest images that could go are kept.
    #[serde(default = "default_keep")]
    pub keep: u32,
    /// Only images that were pushed longer ago than this may go.
    pub older_than: Option<Duration>,
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
    /// Whether images without a tag may go. Parts of an image for several platforms have none, and signatures and the like may have
    /// none; they share the fate of their image.
    #[serde(default)]
    pub delete_untagged: bool,
    /// Whether signatures and the like may go whose image is not in this repository. Switch it on only where no image elsewhere is
    /// signed here.
    #[serde(default)]
    pub delete_orphans: bool,
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
    /// How many images are left.
    pub kept: u64,
    /// The first and the last of the images that were deleted.
    pub images: String,
}
