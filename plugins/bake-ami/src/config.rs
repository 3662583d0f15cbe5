//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use std::collections::BTreeMap;

use kiln_plugin::{Duration, Failure, JsonSchema};
use serde::{Deserialize, Serialize};

/// `with` of the stage. Either `pipeline` or `recipe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
// As `check` has it, so that a config that it refuses does not come as far as a run.
#[schemars(extend("oneOf" = [
    { "required": ["pipeline"], "not": { "required": ["recipe"] } },
    { "required": ["recipe"], "not": { "required": ["pipeline"] }, "properties": { "use": { "const": "new" } } },
], "if" = { "required": ["use"], "properties": { "use": { "const": "latest" } } },
   "then" = { "properties": { "reuse": { "const": false } } }))]
pub struct Config {
    /// The pipeline of Image Builder, by name.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{3,128}$"))]
    pub pipeline: Option<String>,
    /// The recipe, where no pipeline is used.
    pub recipe: Option<OfRecipe>,
    /// Which image is used.
    #[serde(default, rename = "use")]
    pub using: Using,
    /// Whether an image that is there already is taken where it was made in the same way: of the same version of the recipe, with the same
    /// components, of the same parent, for the same places. Where it cannot be told, one is baked.
    #[serde(default)]
    pub reuse: bool,
    /// How old an image may be that is there already.
    pub max_age: Option<Duration>,
    /// The commit that the image is of, for its tags.
    pub commit: Option<String>,
    /// The version that it is of, for its tags.
    pub version: Option<String>,
    /// More tags of the machine images.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_./=+@-]{1,100}$" }))]
    pub tags: BTreeMap<String, String>,
    /// The key of KMS that the machine images of the stage's own account and region must be encrypted with: `alias/NAME`, an id or an ARN.
    /// Without one any key will do.
    #[schemars(length(min = 1))]
    pub kms_key: Option<String>,
    /// Whether the machine images must be encrypted at all.
    #[serde(default = "yes")]
    pub encrypted: bool,
    /// Whether the keys must let EC2 Auto Scaling use them, without which no group can launch an instance.
    #[serde(default = "yes")]
    pub auto_scaling: bool,
    /// The name of the service-linked role of Auto Scaling that must be able to use the keys.
    #[serde(default = "scaling_role")]
    #[schemars(regex(pattern = r"^AWSServiceRoleForAutoScaling(_[A-Za-z0-9+=,.@_-]+)?$"))]
    pub scaling_role: String,
    /// The environments of the other accounts and regions that get the image: there it is looked at in their roles.
    #[serde(default)]
    pub elsewhere: Vec<Elsewhere>,
    /// What to do about machine images that nobody can look at, because no environment of `elsewhere` is where they are.
    #[serde(default)]
    pub unchecked: Unchecked,
    /// The log group that the pipeline's images write to, where that is not Image Builder's own.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_/.-]{1,512}$"))]
    pub log_group: Option<String>,
    /// Whether an undo also deletes the image that was made: its machine images with their snapshots, where the stage reaches them, and
    /// Image Builder's record of it. An image that was there before stays in any case.
    #[serde(default)]
    pub delete_on_undo: bool,
    /// How often to look at the bake.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn yes() -> bool {
    true
}

fn scaling_role() -> String {
    "AWSServiceRoleForAutoScaling".to_owned()
}

fn default_poll() -> Duration {
    Duration::from_secs(30)
}

/// What is baked without a pipeline.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OfRecipe {
    /// The recipe: `NAME/VERSION`.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{3,128}/[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"))]
    pub name: String,
    /// The infrastructure configuration that it is built on, by name.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{3,128}$"))]
    pub infrastructure: String,
    /// The distribution configuration, by name; without one the image stays where it is built.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{3,128}$"))]
    pub distribution: Option<String>,
    /// Whether the image is tested.
    #[serde(default = "yes")]
    pub tests: bool,
    /// Whether Inspector's findings of the build are kept.
    #[serde(default)]
    pub scans: bool,
}

/// Which image is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Using {
    /// One that this run bakes, or finds by `reuse`.
    #[default]
    New,
    /// The newest that the pipeline's schedule has made: patches get in by the schedule, and this run bakes nothing.
    Latest,
}

/// What to do about machine images that nobody can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unchecked {
    /// The stage fails.
    #[default]
    Fail,
    /// The reader is warned, and the outputs say that they were not checked.
    Warn,
}

/// Another account or region that gets the image.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Elsewhere {
    /// Its name under `[environments]`.
    #[schemars(length(min = 1))]
    pub environment: String,
    /// The key of KMS that the machine images there must be encrypted with. Without one any key will do.
    #[schemars(length(min = 1))]
    pub kms_key: Option<String>,
}

impl Config {
    /// What a schema does not say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match (&self.pipeline, &self.recipe) {
            (None, Some(_)) if self.using == Using::Latest => {
                Err(Failure::config("a recipe has no schedule, so `use = \"latest\"` finds nothing")
                    .help("Name the `pipeline` whose schedule makes the images."))
            }
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) | (None, None) => {
                Err(Failure::config("either a `pipeline` is named or a `recipe`").help("Name one of them."))
            }
        }?;
        if self.reuse && self.using == Using::Latest {
            return Err(Failure::config("`use = \"latest\"` bakes nothing, so there is nothing to `reuse`")
                .help("Leave out one of the two."));
        }
        Ok(())
    }
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The machine image in the stage's own account and region.
    pub ami: String,
    /// All machine images: `ACCOUNT/REGION` and the id there.
    pub amis: BTreeMap<String, String>,
    /// Those of the stage's own account: region and id.
    pub regions: BTreeMap<String, String>,
    /// Which of `amis` were not looked at, because the stage does not reach them: nobody has seen that they are encrypted and not public.
    pub unchecked: Vec<String>,
    /// The ARN of Image Builder's image.
    pub image: String,
    /// Its version and build number.
    pub version: String,
    /// The ARN of the recipe that it was made of, where Image Builder tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Whether it was there before this run.
    pub reused: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config(toml: &serde_json::Value) -> Config {
        match serde_json::from_value(toml.clone()) {
            Ok(config) => config,
            Err(error) => unreachable!("{error}"),
        }
    }

    #[test]
    fn either_a_pipeline_or_a_recipe_is_baked() {
        let check = |config: serde_json::Value| self::config(&config).check().is_ok();
        assert!(check(serde_json::json!({ "pipeline": "web" })));
        let recipe = serde_json::json!({ "name": "web/1.0.0", "infrastructure": "build" });
        assert!(check(serde_json::json!({ "recipe": recipe })));
        for bad in [
            serde_json::json!({}),
            serde_json::json!({ "pipeline": "web", "recipe": recipe }),
            serde_json::json!({ "recipe": recipe, "use": "latest" }),
            serde_json::json!({ "pipeline": "web", "use": "latest", "reuse": true }),
        ] {
            assert!(!check(bad.clone()), "{bad}");
        }
    }
}
