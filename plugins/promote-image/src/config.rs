//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema, Known, PinnedImage};
use serde::{Deserialize, Serialize};

/// `with` of the stage. The stage's own environment is where the image goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The image by digest, in the registry that it comes from.
    pub image: Known<PinnedImage>,
    /// The repository that it goes to, by name, in the registry of the stage's own account and region.
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^[a-z0-9]+([._/-][a-z0-9]+)*$"))]
    pub repository: String,
    /// The environment of the account and region that the image comes from.
    pub elsewhere: Source,
    /// How it gets there.
    #[serde(default)]
    pub by: By,
    /// A tag for it there. Without one it has none, and is there by its digest.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"))]
    pub tag: Option<String>,
    /// Whether signatures, attestations and whatever else is about the image go with it.
    #[serde(default = "yes")]
    pub referrers: bool,
    /// Whether an undo removes again what this stage has copied. What was there before stays in any case.
    #[serde(default)]
    pub remove_on_undo: bool,
    /// How often to look whether ECR has replicated it.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

/// Where an image comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// Its name under `[environments]`. It is read there in that environment's role.
    #[schemars(length(min = 1))]
    pub environment: String,
}

/// How an image gets to another registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// This stage copies it.
    #[default]
    Copy,
    /// ECR replicates it, as the registry that it comes from says; the stage waits for that.
    Replication,
}

fn yes() -> bool {
    true
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The image by digest, in the registry that it went to: `${stages.NAME.image}` is what a deployment there refers to.
    pub image: String,
    /// The repository's name.
    pub repository: String,
    /// The digest: the same as before.
    pub digest: String,
    /// How many images were put there, with parts, signatures and the like: 0 where all was there.
    pub images: u32,
    /// How many bytes of layers were copied.
    pub bytes: u64,
}
