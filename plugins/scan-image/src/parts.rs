//! What of an image there is to scan: the image itself, or the images that an index lists.
//! The main type is [`Parts`]; [`parts_of`] asks ECR, [`read`] reads one manifest.
//!
//! ECR scans no index, but the images in it, each for itself. What else an index lists, such as the attestations of BuildKit, is
//! nothing that runs anywhere, and has no scan.

use std::collections::BTreeMap;

use kiln_plugin::aws::ecr::{BatchGetImageRequest, ImageId, batch_get_image};
use kiln_plugin::{During, Failure, PinnedImage};
use serde::Deserialize;

/// Beside the digest of the image that an attestation is of, what it is.
const ATTESTATION: &str = "vnd.docker.reference.type";
/// What stands for the operating system of what runs on none.
const UNKNOWN: &str = "unknown";
/// How deeply indexes may list indexes.
const DEEPEST: usize = 4;
/// How many images an index may have for each to be looked at.
const MOST: usize = 100;
/// The media types of indexes.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// An image that has a scan of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// By digest.
    pub(crate) image: PinnedImage,
    /// What it runs on, where an index says so: `linux/arm64`.
    pub(crate) platform: Option<String>,
    /// The index that lists it, for people.
    pub(crate) index: Option<String>,
}

/// What there is to scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parts {
    /// The images.
    pub(crate) images: Vec<Part>,
    /// How many attestations and the like an index lists.
    pub(crate) others: usize,
    /// Whether it is an index.
    pub(crate) is_index: bool,
}

/// A manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// Of one image.
    Image,
    /// Of a list of them.
    Index(Vec<Entry>),
}

/// What an index lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) digest: String,
    pub(crate) platform: Option<String>,
    pub(crate) kind: EntryKind,
}

/// What an entry of an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// An image.
    Image,
    /// Another index.
    Index,
    /// Nothing that runs.
    Other,
}

#[derive(Deserialize)]
struct ManifestText {
    manifests: Option<Vec<EntryText>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryText {
    digest: String,
    media_type: Option<String>,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

/// Read a manifest; the error says why it is none.
pub(crate) fn read(manifest: &str) -> Result<Manifest, String> {
    let text: ManifestText = serde_json::from_str(manifest).map_err(|error| error.to_string())?;
    Ok(match text.manifests {
        None => Manifest::Image,
        Some(entries) => Manifest::Index(entries.into_iter().map(entry).collect()),
    })
}

fn entry(text: EntryText) -> Entry {
    let kind = match text.media_type.as_deref() {
        Some(media_type) if INDEXES.contains(&media_type) => EntryKind::Index,
        _ if runs_nowhere(&text) => EntryKind::Other,
        _ => EntryKind::Image,
    };
    Entry { digest: text.digest, platform: text.platform.as_ref().map(shown), kind }
}

/// Whether it is an attestation or the like. One that names a platform on which it would run counts as an image, whatever else
/// stands there: it could be pulled as one, and must not pass unseen.
fn runs_nowhere(entry: &EntryText) -> bool {
    match &entry.platform {
        Some(platform) => platform.os == UNKNOWN,
        None => entry.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(ATTESTATION)),
    }
}

fn shown(platform: &Platform) -> String {
    let parts = [Some(platform.os.as_str()), Some(platform.architecture.as_str()), platform.variant.as_deref()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

impl Part {
    /// The image itself, where it is no index.
    pub(crate) fn whole(image: &PinnedImage) -> Self {
        Self { image: image.clone(), platform: None, index: None }
    }

    /// For people: `web@e3b0c44298fc (linux/arm64 of web@2c26b46b68ff)`.
    pub(crate) fn brief(&self) -> String {
        let own = self.image.brief();
        match (&self.platform, &self.index) {
            (Some(platform), Some(index)) => format!("{own} ({platform} of {index})"),
            (None, Some(index)) => format!("{own} (of {index})"),
            (_, None) => own,
        }
    }
}

impl Parts {
    /// For people: `an index of 2 images (linux/amd64, linux/arm64); 2 attestations are left out`.
    pub(crate) fn outline(&self) -> String {
        let platforms: Vec<&str> = self.images.iter().filter_map(|part| part.platform.as_deref()).collect();
        let word = if self.images.len() == 1 { "image" } else { "images" };
        let named = if platforms.is_empty() { String::new() } else { format!(" ({})", platforms.join(", ")) };
        let others = match self.others {
            0 => String::new(),
            1 => "; 1 attestation is left out".to_owned(),
            more => format!("; {more} attestations are left out"),
        };
        format!("an index of {} {word}{named}{others}", self.images.len())
    }
}

/// What of `image` there is to scan.
pub(crate) fn parts_of(image: &PinnedImage) -> Result<Parts, Failure> {
    let mut parts = Parts::default();
    match manifest(image, &image.digest)? {
        Manifest::Image => parts.images.push(Part::whole(image)),
        Manifest::Index(entries) => {
            parts.is_index = true;
            collect(image, entries, DEEPEST, &mut parts)?;
        }
    }
    let brief = image.brief();
    match parts.images.len() {
        0 => Err(Failure::rejected(format!("{brief} is an index that lists no image"))
            .help("There is nothing in it that could be scanned. Push an image, or name the digest of one.")),
        1..=MOST => Ok(parts),
        more => Err(Failure::rejected(format!("{brief} is an index of {more} images; at most {MOST} are looked at"))
            .help("Scan a smaller index, or the images of it one by one.")),
    }
}

fn collect(image: &PinnedImage, entries: Vec<Entry>, depth: usize, parts: &mut Parts) -> Result<(), Failure> {
    for Entry { digest, platform, kind } in entries {
        match kind {
            EntryKind::Other => parts.others += 1,
            EntryKind::Image if parts.images.iter().any(|part| part.image.digest == digest) => {}
            EntryKind::Image => parts.images.push(Part {
                image: PinnedImage { digest, ..image.clone() },
                platform,
                index: Some(image.brief()),
            }),
            EntryKind::Index => {
                let Some(depth) = depth.checked_sub(1) else {
                    return Err(Failure::rejected(format!(
                        "{} lists indexes in indexes, more than {DEEPEST} deep",
                        image.brief()
                    ))
                    .help("Nobody could tell what of it runs. Push an index of images."));
                };
                match manifest(image, &digest)? {
                    Manifest::Index(entries) => collect(image, entries, depth, parts)?,
                    Manifest::Image => {
                        return Err(Failure::failed(format!(
                            "{} lists {digest} as an index, and it is none",
                            image.brief()
                        ))
                        .help("Build and push the image again."));
                    }
                }
            }
        }
    }
    Ok(())
}

fn manifest(image: &PinnedImage, digest: &str) -> Result<Manifest, Failure> {
    let repository = &image.repository.name;
    let id = ImageId { digest: Some(digest.to_owned()), tag: None };
    let request = BatchGetImageRequest { repository: repository.clone(), images: vec![id] };
    let response = batch_get_image(&request).during(format!("reading the manifest of {}", image.brief()))?;
    let Some(held) = response.images.into_iter().next() else {
        let why = response.failures.into_iter().map(|failure| format!("{}: {}", failure.code, failure.reason));
        return Err(Failure::not_found(format!("the repository {repository} has no image {digest}"))
            .help("Correct `image`; if it was there, find out who deletes images.")
            .details(why));
    };
    read(&held.manifest).map_err(|why| {
        Failure::failed(format!("the manifest of {digest} in {repository} cannot be read: {why}"))
            .help("Build and push the image again.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::tests::image;

    fn kinds(manifest: &str) -> Option<Vec<(EntryKind, Option<String>)>> {
        match read(manifest).ok()? {
            Manifest::Image => None,
            Manifest::Index(entries) => Some(entries.into_iter().map(|entry| (entry.kind, entry.platform)).collect()),
        }
    }

    #[test]
    fn the_attestations_of_an_index_are_no_images() {
        let manifest = r#"{"schemaVersion":2,"manifests":[
            {"digest":"sha256:a","platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"digest":"sha256:b","platform":{"os":"unknown","architecture":"unknown"},
             "annotations":{"vnd.docker.reference.type":"attestation-manifest"}},
            {"digest":"sha256:c","annotations":{"vnd.docker.reference.type":"attestation-manifest"}},
            {"digest":"sha256:d","mediaType":"application/vnd.oci.image.index.v1+json"},
            {"digest":"sha256:e"}]}"#;
        assert_eq!(
            kinds(manifest),
            Some(vec![
                (EntryKind::Image, Some("linux/arm64/v8".to_owned())),
                (EntryKind::Other, Some("unknown/unknown".to_owned())),
                (EntryKind::Other, None),
                (EntryKind::Index, None),
                (EntryKind::Image, None),
            ])
        );
    }

    #[test]
    fn what_would_run_is_an_image_even_if_it_calls_itself_an_attestation() {
        let manifest = r#"{"manifests":[{"digest":"sha256:a","platform":{"os":"linux","architecture":"amd64"},
            "annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#;
        assert_eq!(kinds(manifest), Some(vec![(EntryKind::Image, Some("linux/amd64".to_owned()))]));
    }

    #[test]
    fn the_manifest_of_an_image_lists_nothing_and_what_is_none_is_refused() {
        assert_eq!(read(r#"{"schemaVersion":2,"layers":[]}"#), Ok(Manifest::Image));
        assert!(read("layers").is_err());
        assert!(read(r#"{"manifests":[{}]}"#).is_err());
    }

    #[test]
    fn the_plan_tells_platforms_and_what_is_left_out() {
        let part = |platform: &str| Part { platform: Some(platform.to_owned()), ..Part::whole(&image()) };
        let parts = Parts { images: vec![part("linux/amd64"), part("linux/arm64")], others: 2, is_index: true };
        assert_eq!(parts.outline(), "an index of 2 images (linux/amd64, linux/arm64); 2 attestations are left out");
        let listed = Part { index: Some("web@aa".to_owned()), ..part("linux/arm64") };
        assert_eq!(listed.brief(), "web@e3b0c44298fc (linux/arm64 of web@aa)");
    }
}
