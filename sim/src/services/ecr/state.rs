//! What ECR holds.
//!
//! The main types are [`State`], [`Repository`] and [`Image`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layers::{Layers, Upload};
use super::lifecycle::LifecyclePolicy;
use super::replication::{Destination, Replica};
use super::seeds::FindingSeed;
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::tags::Tags;

/// Repositories by name, and the registry's own settings.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) scanning: RegistryScanning,
    /// What scans find, as the world file says.
    #[serde(skip)]
    pub(super) findings: Vec<FindingSeed>,
}

/// How a registry scans. It is AWS's `RegistryScanningConfiguration` too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistryScanning {
    #[serde(default)]
    pub(super) scan_type: ScanType,
    #[serde(default)]
    pub(super) rules: Vec<ScanningRule>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ScanType {
    #[default]
    Basic,
    Enhanced,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanningRule {
    pub(super) scan_frequency: ScanFrequency,
    pub(super) repository_filters: Vec<ScanningFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ScanFrequency {
    Manual,
    ScanOnPush,
    ContinuousScan,
}

/// Repositories whose names match a wildcard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanningFilter {
    pub(super) filter: String,
    pub(super) filter_type: String,
}

impl ScanningFilter {
    pub(super) fn matches(&self, repository: &str) -> bool {
        // AWS: a filter without a wildcard matches every name that has it somewhere.
        if self.filter.contains('*') { wildcard(&self.filter, repository) } else { repository.contains(&self.filter) }
    }
}

/// Whether `text` is as `pattern`, in which `*` stands for anything.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(text) = text.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)) else { return false };
    // What comes first is taken where it comes first: that leaves the most for what follows, and needs no second try.
    let mut parts = middle.split('*').filter(|part| !part.is_empty());
    parts.try_fold(text, |text, part| text.split_once(part).map(|(_, after)| after)).is_some()
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Repository {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) uri: String,
    pub(super) created: Timestamp,
    pub(super) mutability: Mutability,
    pub(super) exclusions: Vec<Exclusion>,
    pub(super) scan_on_push: bool,
    pub(super) encryption: Encryption,
    pub(super) tags: Tags,
    pub(super) images: BTreeMap<String, Image>,
    /// Those whose bytes there are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) layers: Layers,
    #[serde(skip)]
    pub(super) uploads: BTreeMap<String, Upload>,
    /// Where images go by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) destinations: Vec<Destination>,
    pub(super) scans: ScanBehaviour,
    pub(super) lifecycle: Option<Held>,
    #[serde(skip)]
    pub(super) preview: Option<Preview>,
}

/// A repository's lifecycle policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Held {
    /// As it was given.
    pub(super) text: String,
    #[serde(skip)]
    pub(super) policy: LifecyclePolicy,
    pub(super) put: Timestamp,
    /// When it was last applied.
    pub(super) evaluated: Option<Timestamp>,
}

/// What a lifecycle policy would do: told from `ready` on.
#[derive(Debug, Clone)]
pub(super) struct Preview {
    pub(super) text: String,
    pub(super) policy: LifecyclePolicy,
    pub(super) ready: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Mutability {
    #[default]
    Mutable,
    Immutable,
    ImmutableWithExclusion,
    MutableWithExclusion,
}

/// Tags that a repository's mutability does not hold for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exclusion {
    pub(super) filter_type: String,
    pub(super) filter: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Encryption {
    pub(super) encryption_type: String,
    pub(super) kms_key: Option<String>,
}

/// How scans go in a repository.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ScanBehaviour {
    pub(super) takes: Duration,
    /// How they end; unsaid, as scans of the registry's type end.
    pub(super) status: Option<ScanStatus>,
    pub(super) description: Option<String>,
}

impl Default for ScanBehaviour {
    fn default() -> Self {
        Self { takes: Duration::from_secs(30), status: None, description: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ScanStatus {
    Pending,
    InProgress,
    Complete,
    Active,
    Failed,
    UnsupportedImage,
    ScanEligibilityExpired,
    FindingsUnavailable,
    LimitExceeded,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Image {
    pub(super) digest: String,
    /// In the order in which they were given.
    pub(super) tags: Vec<String>,
    #[serde(skip)]
    pub(super) manifest: String,
    pub(super) media_type: String,
    pub(super) artifact_media_type: Option<String>,
    /// Digests of the images that this one lists, where it is an index.
    pub(super) lists: BTreeSet<String>,
    /// The digest of the image that it says something about.
    pub(super) subject: Option<String>,
    pub(super) size: u64,
    pub(super) pushed: Timestamp,
    pub(super) pulled: Option<Timestamp>,
    pub(super) storage: Storage,
    /// Whether a build of this world pushed it.
    pub(super) built: bool,
    /// Where it goes, or went, by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) replicas: Vec<Replica>,
    pub(super) scan: Option<Scan>,
}

/// Whether an image is in the archive.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Storage {
    pub(super) status: ImageStatus,
    /// When it was last archived, and when it last came back.
    pub(super) archived: Option<Timestamp>,
    pub(super) activated: Option<Timestamp>,
}

impl Storage {
    /// Whether it is there now.
    pub(super) fn is_archived(&self) -> bool {
        self.status == ImageStatus::Archived
    }
}

/// What can be done with an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ImageStatus {
    #[default]
    Active,
    Archived,
    /// It comes back from the archive.
    Activating,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Scan {
    pub(super) scan_type: ScanType,
    pub(super) status: ScanStatus,
    pub(super) description: String,
    pub(super) started: Timestamp,
    pub(super) completed: Option<Timestamp>,
    #[serde(skip)]
    pub(super) findings: Vec<FindingSeed>,
}

/// An image as callers name it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageId {
    pub(super) image_digest: Option<String>,
    pub(super) image_tag: Option<String>,
}

impl ImageId {
    /// As AWS writes it into messages.
    pub(super) fn text(&self) -> String {
        let show = |part: &Option<String>| part.clone().unwrap_or_else(|| "null".to_owned());
        format!("{{imageDigest:'{}', imageTag:'{}'}}", show(&self.image_digest), show(&self.image_tag))
    }
}

impl Repository {
    pub(super) fn new(scope: &Scope<'_>, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            arn: scope.arn("ecr", &format!("repository/{name}")),
            uri: format!("{}/{name}", scope.at.registry()),
            created: scope.now(),
            mutability: Mutability::default(),
            exclusions: Vec::new(),
            scan_on_push: false,
            encryption: Encryption { encryption_type: "AES256".to_owned(), kms_key: None },
            tags: Tags::new(),
            images: BTreeMap::new(),
            layers: Layers::new(),
            uploads: BTreeMap::new(),
            destinations: Vec::new(),
            scans: ScanBehaviour::default(),
            lifecycle: None,
            preview: None,
        }
    }

    /// The image of an id: both parts must mean it where both are given.
    pub(super) fn image(&self, id: &ImageId) -> Option<&Image> {
        let by_tag = |tag: &String| self.images.values().find(|image| image.tags.contains(tag));
        match (&id.image_digest, &id.image_tag) {
            (Some(digest), tag) => {
                let image = self.images.get(digest)?;
                tag.as_ref().is_none_or(|tag| image.tags.contains(tag)).then_some(image)
            }
            (None, Some(tag)) => by_tag(tag),
            (None, None) => None,
        }
    }

    /// Whether a tag stays where it is.
    pub(super) fn is_immutable(&self, tag: &str) -> bool {
        let excluded = self.exclusions.iter().any(|exclusion| wildcard(&exclusion.filter, tag));
        match self.mutability {
            Mutability::Mutable => false,
            Mutability::Immutable => true,
            Mutability::ImmutableWithExclusion => !excluded,
            Mutability::MutableWithExclusion => excluded,
        }
    }
}

impl State {
    /// How often a repository is scanned, and by which filters.
    pub(super) fn frequency(&self, repository: &Repository) -> (ScanFrequency, Vec<ScanningFilter>) {
        let mut frequency = ScanFrequency::Manual;
        let mut filters = Vec::new();
        for rule in &self.scanning.rules {
            let applied = rule.repository_filters.iter().filter(|filter| filter.matches(&repository.name));
            let before = filters.len();
            filters.extend(applied.cloned());
            if filters.len() > before {
                frequency = frequency.max(rule.scan_frequency);
            }
        }
        if self.scanning.scan_type == ScanType::Basic && repository.scan_on_push {
            frequency = frequency.max(ScanFrequency::ScanOnPush);
        }
        (frequency, filters)
    }
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// Act in another account's registry, where the call names one.
pub(super) fn enter(ctx: &mut Ctx<'_>, registry: Option<String>) -> Result<(), AwsError> {
    let Some(registry) = registry else { return Ok(()) };
    if registry.len() != 12 || !registry.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(format!(
            "Invalid parameter at 'registryId' failed to satisfy constraint: 'must satisfy regular expression \
             '[0-9]{{12}}'': {registry}"
        )));
    }
    ctx.scope.at.account = registry;
    Ok(())
}

/// The repository of a name.
pub(super) fn find<'s>(scope: &'s mut Scope<'_>, name: &str) -> Result<&'s mut Repository, AwsError> {
    let message =
        format!("The repository with name '{name}' does not exist in the registry with id '{}'", scope.at.account);
    let missing = || AwsError::new("RepositoryNotFoundException", message);
    scope.place().ecr.repositories.get_mut(name).ok_or_else(missing)
}

/// The image of an id in a repository.
pub(super) fn find_image(scope: &mut Scope<'_>, repository: &str, id: &ImageId) -> Result<Image, AwsError> {
    if id.image_digest.is_none() && id.image_tag.is_none() {
        return Err(invalid("Invalid request parameters: both tag and digest cannot be null"));
    }
    let account = scope.at.account.clone();
    let missing = || {
        let message = format!(
            "The image with imageId {} does not exist within the repository with name '{repository}' in the registry \
             with id '{account}'",
            id.text()
        );
        AwsError::new("ImageNotFoundException", message)
    };
    find(scope, repository)?.image(id).cloned().ok_or_else(missing)
}

/// The size of a page, which callers choose between 1 and 1,000.
pub(super) fn page_size(asked: Option<usize>) -> Result<usize, AwsError> {
    match asked.unwrap_or(100) {
        size @ 1..=1000 => Ok(size),
        size => Err(invalid(format!(
            "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must be between 1 and 1000': {size}"
        ))),
    }
}

pub(super) fn invalid_token(_: crate::page::InvalidToken) -> AwsError {
    invalid("Invalid parameter at 'NextToken' failed to satisfy constraint: 'the token is not valid'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, matches) in [
            ("release-*", "release-41", true),
            ("*", "", true),
            ("*-dev-*", "web-dev-1", true),
            ("*-dev", "web-dev-1", false),
            ("web", "web2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*a*ab*", "aab", true),
            ("*ab*a*", "aab", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_cost_neither_time_nor_stack() {
        assert!(wildcard(&"*".repeat(1 << 20), "web"));
        assert!(!wildcard(&format!("{}b", "*a".repeat(100)), &"a".repeat(250)));
    }
}
