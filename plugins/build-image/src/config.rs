//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use std::collections::BTreeMap;

use kiln_plugin::{Duration, Failure, JsonSchema, PinnedImage};
use serde::{Deserialize, Serialize};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The CodeBuild project that builds the image and pushes it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$"))]
    pub project: String,
    /// The ECR repository that the image goes to, by name.
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^[a-z0-9]+([._/-][a-z0-9]+)*$"))]
    pub repository: String,
    /// The tag that the build gives to the image. The build finds it in the variable `IMAGE_TAG`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"))]
    pub tag: String,
    /// The commit, branch or tag to build; without it, what the project says.
    pub source_version: Option<String>,
    /// Variables of the build. A value `${secrets.NAME}` is given by reference: CodeBuild fetches the secret itself.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }))]
    pub environment: BTreeMap<String, String>,
    /// A cache in the place of the project's.
    pub cache: Option<CacheConfig>,
    /// Another build specification: YAML text, or a path in the source.
    pub buildspec: Option<String>,
    /// The log group that the project's builds write to, where that is not `/aws/codebuild/PROJECT`: the end of a failed build's log is
    /// read there.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_/.#-]{0,511}[A-Za-z0-9_.#-]$"))]
    pub log_group: Option<String>,
    /// How long the build may take.
    #[schemars(range(min = 5, max = 2160))]
    pub timeout_minutes: Option<u32>,
    /// How often to look at the build.
    #[serde(default = "default_poll")]
    pub poll: Duration,
    /// What to do where the tag exists already.
    #[serde(default)]
    pub on_existing_tag: OnExistingTag,
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

/// What to do where the tag exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnExistingTag {
    /// Refuse: a tag names one image for ever.
    #[default]
    Fail,
    /// Take the image that the tag names, and build nothing. Not the image of a failed build: where it was pushed while builds of
    /// the project were at work that all failed, of the newest 100, it is refused.
    Reuse,
}

/// A build cache.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
// As `check` has it, so that a config that it refuses does not come as far as a run.
#[schemars(extend("allOf" = [
    {
        "if": { "properties": { "type": { "const": "s3" } } },
        "then": { "required": ["location"], "properties": { "modes": { "maxItems": 0 } } },
    },
    {
        "if": { "properties": { "type": { "const": "local" } } },
        "then": { "required": ["modes"], "properties": { "modes": { "minItems": 1 } }, "not": { "required": ["location"] } },
    },
    {
        "if": { "properties": { "type": { "const": "none" } } },
        "then": { "properties": { "modes": { "maxItems": 0 } }, "not": { "required": ["location"] } },
    },
]))]
pub struct CacheConfig {
    /// Where it is kept.
    #[serde(rename = "type")]
    pub cache_type: CacheType,
    /// For `s3`: bucket and prefix.
    #[schemars(length(min = 1))]
    pub location: Option<String>,
    /// For `local`: what is kept.
    #[serde(default)]
    pub modes: Vec<CacheMode>,
}

/// Where a build cache is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheType {
    /// In a bucket.
    S3,
    /// On the build host, for as long as AWS keeps that.
    Local,
    /// Nowhere.
    None,
}

/// What a local build cache keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheMode {
    /// Docker's layers.
    DockerLayer,
    /// The source.
    Source,
    /// The directories that the build specification names.
    Custom,
}

impl CacheType {
    pub(crate) fn as_aws(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Local => "LOCAL",
            Self::None => "NO_CACHE",
        }
    }
}

impl CacheMode {
    pub(crate) fn as_aws(self) -> &'static str {
        match self {
            Self::DockerLayer => "LOCAL_DOCKER_LAYER_CACHE",
            Self::Source => "LOCAL_SOURCE_CACHE",
            Self::Custom => "LOCAL_CUSTOM_CACHE",
        }
    }
}

impl Config {
    /// What a schema does not say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some(cache) = &self.cache else { return Ok(()) };
        match (cache.cache_type, cache.location.is_some(), cache.modes.is_empty()) {
            (CacheType::S3, true, true) | (CacheType::Local, false, false) | (CacheType::None, false, true) => Ok(()),
            (CacheType::S3, ..) => Err(Failure::config("a cache of type s3 needs `location`, and has no `modes`")
                .help("Say `location = \"BUCKET/PREFIX\"`.")),
            (CacheType::Local, ..) => {
                Err(Failure::config("a cache of type local needs `modes`, and has no `location`")
                    .help("Say `modes = [\"docker-layer\"]`."))
            }
            (CacheType::None, ..) => {
                Err(Failure::config("a cache of type none has neither `location` nor `modes`").help("Leave them out."))
            }
        }
    }
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The image by digest: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:…`.
    #[schemars(extend("x-kiln-repository" = "${with.repository}"))]
    pub image: PinnedImage,
    /// The repository's name.
    pub repository: String,
    /// The image's digest.
    pub digest: String,
    /// The image's tag.
    pub tag: String,
    /// The build that made it; none where the tag existed and was reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The commit that was built, where CodeBuild resolved one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cache(cache_type: CacheType, location: Option<&str>, modes: Vec<CacheMode>) -> Config {
        Config {
            project: "web-image".to_owned(),
            repository: "web".to_owned(),
            tag: "1".to_owned(),
            source_version: None,
            environment: BTreeMap::new(),
            cache: Some(CacheConfig { cache_type, location: location.map(str::to_owned), modes }),
            buildspec: None,
            log_group: None,
            timeout_minutes: None,
            poll: default_poll(),
            on_existing_tag: OnExistingTag::Fail,
        }
    }

    #[test]
    fn a_cache_says_what_its_type_needs() {
        assert!(with_cache(CacheType::S3, Some("bucket/web"), Vec::new()).check().is_ok());
        assert!(with_cache(CacheType::S3, None, Vec::new()).check().is_err());
        assert!(with_cache(CacheType::Local, None, vec![CacheMode::Source]).check().is_ok());
        assert!(with_cache(CacheType::Local, None, Vec::new()).check().is_err());
        assert!(with_cache(CacheType::None, Some("bucket"), Vec::new()).check().is_err());
    }
}
