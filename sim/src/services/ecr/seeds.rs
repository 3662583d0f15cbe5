//! ECR's part of a world file.
//!
//! The main types are [`RepositorySeed`] and [`FindingSeed`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::findings::Severity;
use super::manifest;
use super::manifest::Whole;
use super::push::{Origin, hold, put};
use super::replication::Destination;
use super::repositories::is_name;
use super::state::{
    Encryption, ImageId, ImageStatus, Mutability, Repository, ScanBehaviour, ScanFrequency, ScanStatus, ScanType,
    ScanningFilter, ScanningRule,
};
use crate::ctx::Scope;
use crate::tags::Tags;
use crate::world::World;
use crate::worldfile::{Ago, Problems, Span};

/// A repository in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RepositorySeed {
    /// Its name.
    name: String,
    /// Whether a tag can be moved to another image.
    #[serde(default)]
    mutability: Mutability,
    /// Whether images are scanned when they are pushed.
    #[serde(default)]
    scan_on_push: bool,
    /// How the registry scans it: `enhanced` makes the whole registry scan so, and this repository continuously.
    scanning: Option<ScanningSeed>,
    /// The KMS key of its encryption.
    kms_key: Option<String>,
    /// How its scans go.
    #[serde(default)]
    scan: ScanSeed,
    /// Images that are there at the start.
    #[serde(default)]
    images: Vec<ImageSeed>,
    /// Images of numbered releases.
    history: Option<History>,
    /// Signatures and the like.
    #[serde(default)]
    referrers: Vec<ReferrerSeed>,
    /// Where its images go by themselves.
    #[serde(default)]
    replicates: Vec<ReplicatesSeed>,
    /// The repository's tags.
    #[serde(default)]
    tags: Tags,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

/// A registry that images are replicated to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReplicatesSeed {
    /// Its account: the world's own unless told.
    account: Option<String>,
    /// Its region: the world's own unless told.
    region: Option<String>,
    /// How long it takes: 30 s unless told.
    #[serde(default = "half_a_minute")]
    takes: Span,
    /// The code that it fails with.
    fails: Option<String>,
}

fn half_a_minute() -> Span {
    Span::of(Duration::from_secs(30))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ScanningSeed {
    Basic,
    Enhanced,
}

/// How its scans go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ScanSeed {
    /// How long a scan takes.
    takes: Option<Span>,
    /// `COMPLETE` for basic and `ACTIVE` for enhanced scans, unless told.
    status: Option<ScanStatus>,
    /// What ECR says of the status.
    description: Option<String>,
}

/// An image that is there at the start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ImageSeed {
    /// Its tags.
    #[serde(default)]
    tags: Vec<String>,
    /// How long ago, such as `-20d`.
    #[serde(default)]
    pushed: Ago,
    /// How long ago it was last pulled; never unless told.
    #[serde(default)]
    pulled: Option<Ago>,
    /// Since when it lies in the archive.
    #[serde(default)]
    archived: Option<Ago>,
    /// Its size, in bytes.
    #[serde(default = "usual_size")]
    size: u64,
    /// Such as `linux/amd64`: it is an index of an image for each, as `docker buildx build --push` makes it.
    #[serde(default)]
    platforms: Vec<String>,
    /// Whether the index lists an attestation beside each of its images.
    #[serde(default)]
    attestations: bool,
    /// Whether there are bytes behind its layers, so that they can be got.
    #[serde(default)]
    content: bool,
}

/// Something that says something about an image that is there at the start: a signature, an attestation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReferrerSeed {
    /// A tag of the image that it is about.
    of: String,
    /// `sig`: it is found by the tag `sha256-….sig`, as cosign makes them. Without it, by its `subject`, and it has no tag.
    tag: Option<String>,
    /// How long ago, such as `-20d`.
    #[serde(default)]
    pushed: Ago,
    /// Whether there are bytes behind its layer.
    #[serde(default)]
    content: bool,
}

/// Images of numbered releases, one after the other.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct History {
    /// How many there are.
    count: u64,
    /// What stands before the number.
    prefix: String,
    /// The number of the oldest.
    from: u64,
    /// The time between two of them.
    every: Span,
    /// How long ago the newest was pushed; now unless told.
    #[serde(default)]
    last: Ago,
    /// The size of each, in bytes.
    #[serde(default = "usual_size")]
    size: u64,
    /// Whether there are bytes behind the layers.
    #[serde(default)]
    content: bool,
}

fn usual_size() -> u64 {
    48_000_000
}

/// Something that scans find, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FindingSeed {
    /// A repository's name; `*` stands for anything.
    pub(super) repository: String,
    /// A tag, in which `*` stands for anything; a digest; `built` for the images that builds push; or `*` for all.
    #[serde(default = "all")]
    pub(super) tag: String,
    /// The platform of the image in its index, such as `linux/arm64`; any unless told.
    pub(super) platform: Option<String>,
    /// How bad it is.
    pub(super) severity: Severity,
    /// Such as `CVE-2026-0001`.
    pub(super) id: String,
    /// The package that has it.
    pub(super) package: Option<String>,
    /// The package's version.
    pub(super) version: Option<String>,
    /// The version that mends it. Basic scans do not tell.
    pub(super) fixed_in: Option<String>,
    /// What it is, in a sentence.
    pub(super) title: Option<String>,
    /// Where it is described.
    uri: Option<String>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn all() -> String {
    "*".to_owned()
}

impl FindingSeed {
    /// What it is, in a sentence.
    pub(super) fn description(&self) -> String {
        let usual = || format!("{} in {}.", self.id, self.package.as_deref().unwrap_or("the image"));
        self.title.clone().unwrap_or_else(usual)
    }

    /// Where more is said about it.
    pub(super) fn link(&self) -> Option<String> {
        let usual = || self.id.starts_with("CVE-").then(|| format!("https://nvd.nist.gov/vuln/detail/{}", self.id));
        self.uri.clone().or_else(usual)
    }
}

/// Put the repositories and findings of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[RepositorySeed], findings: &[FindingSeed], problems: &mut Problems) {
    let now = world.now;
    for (index, finding) in findings.iter().enumerate() {
        problems.reading("findings", index);
        let mut scope = world.scope(finding.account.as_ref(), finding.region.as_ref());
        scope.place().ecr.findings.push(finding.clone());
    }
    // All registries first: how they scan decides what happens to each image.
    for seed in seeds.iter().filter(|seed| seed.scanning == Some(ScanningSeed::Enhanced)) {
        enhance(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), &seed.name);
    }
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("repositories", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let at = format!("repositories: {}", seed.name);
        let enhanced = scope.place().ecr.scanning.scan_type == ScanType::Enhanced;
        if enhanced && seed.scanning == Some(ScanningSeed::Basic) {
            problems
                .add(&at, "a registry scans either basic or enhanced, and another repository of it wants `enhanced`");
        }
        plant_one(&mut scope, seed, &at, problems);
        world.now = now;
    }
}

/// Make the registry scan a repository continuously.
fn enhance(scope: &mut Scope<'_>, repository: &str) {
    let scanning = &mut scope.place().ecr.scanning;
    scanning.scan_type = ScanType::Enhanced;
    let filter = ScanningFilter { filter: repository.to_owned(), filter_type: "WILDCARD".to_owned() };
    match scanning.rules.first_mut() {
        Some(rule) => rule.repository_filters.push(filter),
        None => scanning
            .rules
            .push(ScanningRule { scan_frequency: ScanFrequency::ContinuousScan, repository_filters: vec![filter] }),
    }
}

fn plant_one(scope: &mut Scope<'_>, seed: &RepositorySeed, at: &str, problems: &mut Problems) {
    let now = scope.now();
    if !is_name(&seed.name) {
        problems.add(at, "a repository's name has lower-case letters, digits and `/`, `-`, `_`, `.` between them");
    }
    let mut images = seed.images.clone();
    if let Some(history) = &seed.history {
        images.extend((0..history.count).map(|index| {
            let ago =
                history.every.duration().saturating_mul(u32::try_from(history.count - 1 - index).unwrap_or(u32::MAX));
            ImageSeed {
                tags: vec![format!("{}{}", history.prefix, history.from + index)],
                pushed: Ago::of(ago.saturating_add(history.last.duration())),
                pulled: None,
                archived: None,
                size: history.size,
                platforms: Vec::new(),
                attestations: false,
                content: history.content,
            }
        }));
    }
    images.sort_by_key(|image| std::cmp::Reverse(image.pushed.duration()));

    let mut repository = Repository::new(scope, &seed.name);
    if let Some(oldest) = images.first() {
        repository.created = now.before(oldest.pushed.duration());
    }
    repository.mutability = seed.mutability;
    repository.scan_on_push = seed.scan_on_push;
    repository.tags.clone_from(&seed.tags);
    if let Some(key) = &seed.kms_key {
        repository.encryption = Encryption { encryption_type: "KMS".to_owned(), kms_key: Some(key.clone()) };
    }
    let home = scope.world.home.clone();
    repository.destinations = seed
        .replicates
        .iter()
        .map(|to| Destination {
            account: to.account.as_ref().unwrap_or(&home.account).clone(),
            region: to.region.as_ref().unwrap_or(&home.region).clone(),
            takes: to.takes.duration(),
            fails: to.fails.clone(),
        })
        .collect();
    let usual = ScanBehaviour::default();
    repository.scans = ScanBehaviour {
        takes: seed.scan.takes.map_or(usual.takes, Span::duration),
        status: seed.scan.status,
        description: seed.scan.description.clone(),
    };
    let repositories = &mut scope.place().ecr.repositories;
    if repositories.insert(seed.name.clone(), repository).is_some() {
        problems.add(at, "the repository is there twice");
        return;
    }
    for (index, image) in images.iter().enumerate() {
        // Each is pushed at its own time, so that its scan goes on from there.
        scope.world.now = now.before(image.pushed.duration());
        let Planted { parts, manifest, blobs } =
            manifests_of(image, &format!("{} planted {index} {:?}", seed.name, image.tags));
        if let Err(error) = hold(scope, &seed.name, blobs) {
            problems.add(at, error.message);
        }
        for part in &parts {
            if let Err(error) = put(scope, &seed.name, part, None, None, Origin::Caller) {
                problems.add(at, error.message);
            }
        }
        let tags: Vec<Option<&str>> =
            if image.tags.is_empty() { vec![None] } else { image.tags.iter().map(|tag| Some(tag.as_str())).collect() };
        for tag in tags {
            if let Err(error) = put(scope, &seed.name, &manifest, None, tag, Origin::Caller) {
                problems.add(at, error.message);
            }
        }
        if (image.pulled.is_some() || image.archived.is_some())
            && let Some(held) = scope.place().ecr.repositories.get_mut(&seed.name)
            && let Some(held) = held.images.get_mut(&manifest::digest(&manifest))
        {
            held.pulled = image.pulled.map(|pulled| now.before(pulled.duration()));
            if let Some(archived) = image.archived {
                held.storage.status = ImageStatus::Archived;
                held.storage.archived = Some(now.before(archived.duration()));
            }
        }
    }
    for (index, referrer) in seed.referrers.iter().enumerate() {
        scope.world.now = now.before(referrer.pushed.duration());
        plant_referrer(scope, &seed.name, referrer, index, at, problems);
    }
}

fn plant_referrer(
    scope: &mut Scope<'_>,
    repository: &str,
    seed: &ReferrerSeed,
    index: usize,
    at: &str,
    problems: &mut Problems,
) {
    let id = ImageId { image_digest: None, image_tag: Some(seed.of.clone()) };
    let held = scope.place().ecr.repositories.get(repository);
    let Some(subject) = held.and_then(|held| held.image(&id)).map(|image| image.digest.clone()) else {
        problems.add(at, format!("`referrers`: the repository has no image with the tag {:?}", seed.of));
        return;
    };
    let tag = seed.tag.as_ref().map(|tag| format!("{}.{tag}", subject.replace(':', "-")));
    let about = seed.tag.is_none().then_some(subject.as_str());
    let of = format!("{repository} about {subject} {index}");
    let Whole { manifest, blobs } = manifest::referrer(&of, about);
    if seed.content
        && let Err(error) = hold(scope, repository, blobs)
    {
        problems.add(at, error.message);
    }
    if let Err(error) = put(scope, repository, &manifest, None, tag.as_deref(), Origin::Caller) {
        problems.add(at, error.message);
    }
}

/// What is pushed for an image: the parts of an index, and the image or the index; with the bytes that there are.
struct Planted {
    parts: Vec<String>,
    manifest: String,
    blobs: Vec<(String, Vec<u8>)>,
}

fn manifests_of(image: &ImageSeed, of: &str) -> Planted {
    if image.platforms.is_empty() && image.content {
        let Whole { manifest, blobs } = manifest::make_whole(of, image.size);
        return Planted { parts: Vec::new(), manifest, blobs };
    }
    if image.platforms.is_empty() {
        return Planted { parts: Vec::new(), manifest: manifest::make(of, image.size), blobs: Vec::new() };
    }
    let built = manifest::make_index(of, image.size, &image.platforms, image.attestations, image.content);
    Planted { parts: built.parts, manifest: built.index, blobs: built.blobs }
}
