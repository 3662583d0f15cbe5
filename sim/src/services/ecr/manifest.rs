//! Image manifests: what is in them, and making some up.
//!
//! The main functions are [`read`], which reads one, and [`make`], which makes one of a given size.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use crate::ids::sha256;

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What ECR reads off a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) media_type: String,
    pub(super) artifact_media_type: Option<String>,
    /// Bytes of its configuration and layers.
    pub(super) size: u64,
    /// Digests of the images that it lists, where it is an index.
    pub(super) lists: BTreeSet<String>,
    /// The digest of the image that it says something about.
    pub(super) subject: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<ManifestPart>,
    #[serde(default)]
    layers: Vec<ManifestPart>,
    manifests: Option<Vec<ManifestPart>>,
    subject: Option<ManifestPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestPart {
    media_type: Option<String>,
    #[serde(default)]
    size: u64,
    digest: String,
    platform: Option<ListedPlatform>,
}

#[derive(Deserialize)]
struct ListedPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

/// Whether images of this media type are lists of images.
pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, DOCKER_LIST | OCI_INDEX)
}

/// The digest of a manifest.
pub(super) fn digest(manifest: &str) -> String {
    format!("sha256:{}", sha256(manifest.as_bytes()))
}

/// Read a manifest; `media_type` is what the caller says of it.
pub(super) fn read(manifest: &str, media_type: Option<&str>) -> Result<Facts, String> {
    let Ok(read) = serde_json::from_str::<Manifest>(manifest) else {
        return Err("Invalid JSON syntax".to_owned());
    };
    if read.schema_version != 2 {
        return Err("Schema version 2 is needed".to_owned());
    }
    if let (Some(said), Some(own)) = (media_type, &read.media_type)
        && said != own
    {
        return Err(format!("Manifest media type {own} does not match the media type {said}"));
    }
    let guess = if read.manifests.is_some() { OCI_INDEX } else { OCI };
    let media_type = media_type.map(str::to_owned).or(read.media_type).unwrap_or_else(|| guess.to_owned());
    let known = matches!(media_type.as_str(), DOCKER | DOCKER_LIST | OCI | OCI_INDEX);
    if !known || is_index(&media_type) != read.manifests.is_some() {
        return Err(format!("Media type {media_type} is not that of this manifest"));
    }
    let parts = read.config.iter().chain(&read.layers);
    Ok(Facts {
        media_type,
        size: parts.map(|part| part.size).sum(),
        subject: read.subject.map(|subject| subject.digest),
        artifact_media_type: read.config.and_then(|config| config.media_type),
        lists: read.manifests.unwrap_or_default().into_iter().map(|part| part.digest).collect(),
    })
}

/// A manifest of `size` bytes of layers. The same `of` and size give the same manifest.
pub(super) fn make(of: &str, size: u64) -> String {
    let blob = |name: &str| digest(&format!("{of}\n{name}"));
    let config = 7_023.min(size);
    // Most of an image is its base, which only a new base changes.
    let base = (size - config) / 5 * 4;
    let dependencies = (size - config - base) / 4 * 3;
    let layer = |digest: String, size: u64| json!({ "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": size, "digest": digest });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": config,
            "digest": blob("config"),
        },
        "layers": [
            layer(digest(&format!("base {base}")), base),
            layer(blob("dependencies"), dependencies),
            layer(blob("application"), size - config - base - dependencies),
        ],
    });
    format!("{manifest:#}")
}

/// A manifest and the bytes that it names, by their digests.
pub(super) struct Whole {
    pub(super) manifest: String,
    pub(super) blobs: Vec<(String, Vec<u8>)>,
}

/// As [`make`], with bytes behind every digest.
pub(super) fn make_whole(of: &str, size: u64) -> Whole {
    let config = 7_023.min(size);
    let base = (size - config) / 5 * 4;
    let blobs: Vec<(String, Vec<u8>)> = [
        (format!("{of}\nconfig"), config),
        (format!("base {base}"), base),
        (format!("{of}\napplication"), size - config - base),
    ]
    .map(|(name, size)| {
        let bytes = content(&name, size);
        (format!("sha256:{}", sha256(&bytes)), bytes)
    })
    .into();
    let part = |index: usize, media_type: &str| {
        let (digest, bytes) =
            blobs.get(index).map(|(digest, bytes)| (digest.as_str(), bytes.len())).unwrap_or_default();
        json!({ "mediaType": media_type, "size": bytes, "digest": digest })
    };
    let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": part(0, "application/vnd.docker.container.image.v1+json"),
        "layers": [part(1, layer), part(2, layer)],
    });
    Whole { manifest: format!("{manifest:#}"), blobs }
}

/// Bytes that are always the same for a name.
fn content(name: &str, size: u64) -> Vec<u8> {
    let word = sha256(name.as_bytes());
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let mut bytes = word.as_bytes().repeat(length.div_ceil(word.len()));
    bytes.truncate(length);
    bytes
}

/// The digests and sizes of an image's configuration and layers; none of an index.
pub(super) fn parts(manifest: &str) -> Vec<(String, u64)> {
    let Ok(read) = serde_json::from_str::<Manifest>(manifest) else { return Vec::new() };
    let parts = read.config.into_iter().chain(read.layers);
    parts.map(|part| (part.digest, part.size)).collect()
}

/// The manifest of something that says something about the image `subject`, or of something signed where there is no subject. The same
/// `of` gives the same manifest.
pub(super) fn referrer(of: &str, subject: Option<&str>) -> Whole {
    let blobs: Vec<(String, Vec<u8>)> = ["config", "layer"]
        .map(|name| {
            let bytes = content(&format!("{of}\n{name}"), 40);
            (format!("sha256:{}", sha256(&bytes)), bytes)
        })
        .into();
    let part = |media_type: &str, index: usize| {
        let digest = blobs.get(index).map(|(digest, _)| digest.as_str()).unwrap_or_default();
        json!({ "mediaType": media_type, "size": 40, "digest": digest })
    };
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": part("application/vnd.oci.empty.v1+json", 0),
        "layers": [part("application/vnd.dev.cosign.simplesigning.v1+json", 1)],
    });
    if let (Some(subject), Some(members)) = (subject, manifest.as_object_mut()) {
        members.insert("artifactType".to_owned(), json!("application/vnd.cncf.notary.signature"));
        members.insert("subject".to_owned(), json!({ "mediaType": DOCKER, "size": 500, "digest": subject }));
    }
    Whole { manifest: format!("{manifest:#}"), blobs }
}

/// The platform, such as `linux/arm/v7`, of something that an index lists by its digest.
pub(super) fn platform_of(index: &str, digest: &str) -> Option<String> {
    let listed = serde_json::from_str::<Manifest>(index).ok()?.manifests?;
    let platform = listed.into_iter().find(|part| part.digest == digest)?.platform?;
    let parts = [platform.os, platform.architecture, platform.variant];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("/"))
}

/// What `docker buildx build --push` pushes: first what the index lists, then the index.
pub(super) struct Built {
    pub(super) parts: Vec<String>,
    pub(super) index: String,
    pub(super) blobs: Vec<(String, Vec<u8>)>,
}

/// An index of an image for each of `platforms`, with an attestation beside each where that is wanted.
pub(super) fn make_index(of: &str, size: u64, platforms: &[String], attested: bool, content: bool) -> Built {
    let (mut parts, mut listed, mut attestations, mut blobs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut made = |of: &str, size: u64| {
        if !content {
            return make(of, size);
        }
        let whole = make_whole(of, size);
        blobs.extend(whole.blobs);
        whole.manifest
    };
    for platform in platforms {
        let image = made(&format!("{of}\n{platform}"), size);
        let mut names = platform.splitn(3, '/');
        let mut described = serde_json::Map::new();
        for key in ["os", "architecture", "variant"] {
            described.extend(names.next().map(|name| (key.to_owned(), json!(name))));
        }
        let digest = digest(&image);
        listed.push(json!({ "mediaType": DOCKER, "digest": digest, "size": image.len(), "platform": described }));
        parts.push(image);
        if attested {
            let statement = made(&format!("{of}\n{platform}\nattestation"), 9_000);
            attestations.push(json!({
                "mediaType": DOCKER,
                "digest": self::digest(&statement),
                "size": statement.len(),
                "annotations": { "vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest" },
                "platform": { "architecture": "unknown", "os": "unknown" },
            }));
            parts.push(statement);
        }
    }
    listed.append(&mut attestations);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed });
    Built { parts, index: format!("{index:#}"), blobs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_manifest_has_the_size_that_was_asked_for_and_is_always_the_same() {
        for size in [0, 5, 7_023, 60_000_001] {
            let manifest = make("web 1", size);
            assert_eq!(read(&manifest, None).map(|facts| facts.size), Ok(size));
            assert_eq!(digest(&manifest), digest(&make("web 1", size)));
            assert_ne!(digest(&manifest), digest(&make("web 2", size)));
        }
    }

    #[test]
    fn a_whole_image_has_the_bytes_that_its_manifest_names() {
        let made = make_whole("web 1", 1_000_003);
        let of_bytes = made.blobs.iter().map(|(_, bytes)| (format!("sha256:{}", sha256(bytes)), bytes.len() as u64));
        assert_eq!(parts(&made.manifest), of_bytes.collect::<Vec<_>>());
        assert_eq!(read(&made.manifest, None).map(|facts| facts.size), Ok(1_000_003));
        assert_eq!(made.manifest, make_whole("web 1", 1_000_003).manifest);
    }

    #[test]
    fn a_made_index_lists_its_parts_by_platform() {
        let built = make_index("web 1", 1_000_000, &["linux/amd64".to_owned(), "linux/arm/v7".to_owned()], true, false);
        let digests: BTreeSet<String> = built.parts.iter().map(|part| digest(part)).collect();
        assert_eq!(read(&built.index, None).map(|facts| facts.lists), Ok(digests));
        let platforms: Vec<_> = built.parts.iter().map(|part| platform_of(&built.index, &digest(part))).collect();
        let names: Vec<_> = platforms.iter().map(|platform| platform.as_deref().unwrap_or_default()).collect();
        assert_eq!(names, ["linux/amd64", "unknown/unknown", "linux/arm/v7", "unknown/unknown"]);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        assert!(read("x", None).is_err());
        assert!(read("{\"schemaVersion\":1}", None).is_err());
        assert!(read(&make("web", 9), Some(OCI)).is_err());
        let index = "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:a\",\"size\":1}]}";
        assert_eq!(read(index, None).map(|facts| facts.lists.len()), Ok(1));
        assert!(read(index, Some(DOCKER)).is_err());
    }
}
