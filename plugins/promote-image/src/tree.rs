//! All that belongs to an image: what it lists, and what says something about it.
//! The main type is [`Tree`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecr::{BatchGetImageRequest, ImageId, batch_get_image};
use kiln_plugin::aws::ecr_storage::{DescribeStoredImagesRequest, StoredImage, describe_stored_images};
use kiln_plugin::{During, Failure, PinnedImage};
use serde_json::Value;

/// How many images one call may name.
pub(crate) const BATCH: usize = 100;
/// The most images that may belong to one: more are no image that somebody runs.
const MOST: usize = 1_000;

/// An image, an index, or what is about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) digest: String,
    pub(crate) manifest: String,
    pub(crate) media_type: Option<String>,
    /// The tag by which it is found, where it is about another by its tag.
    pub(crate) tag: Option<String>,
    /// What it is, for people.
    pub(crate) what: String,
    /// Digests and sizes of its configuration and layers.
    pub(crate) layers: Vec<(String, u64)>,
    /// What it lists, each with what it is for people.
    lists: Vec<(String, String)>,
}

/// An image with all that belongs to it, each behind what it lists or is about.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) items: Vec<Item>,
}

impl Tree {
    /// Read it, where the calls are made now.
    pub(crate) fn read(image: &PinnedImage, referrers: bool) -> Result<Self, Failure> {
        let name = image.repository.name.as_str();
        let mut tree = Self::default();
        tree.add(name, vec![(image.digest.clone(), None, "image".to_owned())])?;
        if referrers {
            let request = DescribeStoredImagesRequest { repository: name.to_owned(), digests: Vec::new() };
            let stored = describe_stored_images(&request).during(format!("listing the images of {name}"))?.images;
            loop {
                let about = about(&tree.digests(), &stored);
                if about.is_empty() {
                    break;
                }
                tree.add(name, about)?;
            }
        }
        Ok(tree)
    }

    pub(crate) fn digests(&self) -> BTreeSet<String> {
        self.items.iter().map(|item| item.digest.clone()).collect()
    }

    /// Add these, each with its tag and what it is, and all that they list, which comes before them.
    fn add(&mut self, repository: &str, wanted: Vec<(String, Option<String>, String)>) -> Result<(), Failure> {
        let mut levels = Vec::new();
        let mut known = self.digests();
        let mut wanted = wanted;
        while !wanted.is_empty() {
            wanted.retain(|(digest, _, _)| known.insert(digest.clone()));
            if known.len() > MOST {
                return Err(Failure::failed(format!("more than {MOST} images belong to one of {repository}")));
            }
            let items = read(repository, &wanted)?;
            wanted = items
                .iter()
                .flat_map(|item| &item.lists)
                .map(|(digest, what)| (digest.clone(), None, what.clone()))
                .collect();
            levels.push(items);
        }
        self.items.extend(levels.into_iter().rev().flatten());
        Ok(())
    }
}

/// Read manifests, in the order in which they are wanted.
fn read(repository: &str, wanted: &[(String, Option<String>, String)]) -> Result<Vec<Item>, Failure> {
    let mut manifests: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    for batch in wanted.chunks(BATCH) {
        let images = batch.iter().map(|(digest, _, _)| ImageId { digest: Some(digest.clone()), tag: None }).collect();
        let request = BatchGetImageRequest { repository: repository.to_owned(), images };
        let response = batch_get_image(&request).during(format!("reading manifests of {repository}"))?;
        if let Some(failure) = response.failures.first() {
            let digest = failure.id.digest.as_deref().unwrap_or_default();
            return Err(Failure::not_found(format!("{repository}@{digest} cannot be read: {}", failure.reason))
                .help("What belongs to an image goes with it: it must all be there, and not in the archive."));
        }
        for image in response.images {
            manifests.insert(image.id.digest.unwrap_or_default(), (image.manifest, image.media_type));
        }
    }
    let mut items = Vec::new();
    for (digest, tag, what) in wanted {
        let (manifest, media_type) = manifests
            .get(digest)
            .cloned()
            .ok_or_else(|| Failure::unavailable(format!("ECR does not tell the manifest of {repository}@{digest}")))?;
        let unreadable =
            |why: String| Failure::failed(format!("the manifest of {repository}@{digest} cannot be read: {why}"));
        let (layers, lists) = parts(&manifest).map_err(unreadable)?;
        let (digest, tag, what) = (digest.clone(), tag.clone(), what.clone());
        items.push(Item { digest, manifest, media_type, tag, what, layers, lists });
    }
    Ok(items)
}

/// Configuration and layers with their sizes, and what is listed.
type Parts = (Vec<(String, u64)>, Vec<(String, String)>);

fn parts(manifest: &str) -> Result<Parts, String> {
    let manifest: Value = serde_json::from_str(manifest).map_err(|error| error.to_string())?;
    let text = |part: &Value, key: &str| part.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str| manifest.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut layers = Vec::new();
    for part in manifest.get("config").cloned().into_iter().chain(list("layers")).chain(list("blobs")) {
        let media_type = text(&part, "mediaType").unwrap_or_default();
        // Whoever runs it gets these from somewhere else; no registry has them.
        if media_type.contains("foreign") || media_type.contains("nondistributable") {
            continue;
        }
        let digest = text(&part, "digest").ok_or("a layer has no digest")?;
        let size = part.get("size").and_then(Value::as_u64).ok_or("a layer has no size")?;
        layers.push((digest, size));
    }
    let mut listed = Vec::new();
    for part in list("manifests") {
        let digest = text(&part, "digest").ok_or("what it lists has no digest")?;
        let platform = |key: &str| part.get("platform").and_then(|platform| text(platform, key));
        let platform: Vec<String> = ["os", "architecture", "variant"].into_iter().filter_map(platform).collect();
        let what = match platform.as_slice() {
            [] => "part".to_owned(),
            [os, ..] if os == "unknown" => "attestation".to_owned(),
            parts => parts.join("/"),
        };
        listed.push((digest, what));
    }
    Ok((layers, listed))
}

/// What of a repository says something about one of `digests` and is none of them: by its subject, or by its tag as cosign has it.
fn about(digests: &BTreeSet<String>, stored: &[StoredImage]) -> Vec<(String, Option<String>, String)> {
    let mut found = Vec::new();
    for image in stored.iter().filter(|image| !digests.contains(&image.digest)) {
        let by_tag = image.tags.iter().find(|tag| {
            let subject = tag.strip_prefix("sha256-").and_then(|rest| rest.split_once('.')).map(|(hex, _)| hex);
            subject.is_some_and(|hex| digests.contains(&format!("sha256:{hex}")))
        });
        let by_subject = image.subject.as_ref().is_some_and(|subject| digests.contains(subject));
        if by_subject || by_tag.is_some() {
            found.push((image.digest.clone(), by_tag.cloned(), "what is about it".to_owned()));
        }
    }
    found
}

#[cfg(test)]
impl Item {
    /// One of which only this matters.
    pub(crate) fn bare(digest: &str, layers: &[(&str, u64)]) -> Self {
        Self {
            digest: digest.to_owned(),
            manifest: "{}".to_owned(),
            media_type: None,
            tag: None,
            what: "image".to_owned(),
            layers: layers.iter().map(|(digest, size)| ((*digest).to_owned(), *size)).collect(),
            lists: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_taken_apart() {
        let image = r#"{"config":{"digest":"sha256:c","size":2},"layers":[{"digest":"sha256:a","size":10},
            {"digest":"sha256:w","size":9,"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]}"#;
        let layers = vec![("sha256:c".to_owned(), 2), ("sha256:a".to_owned(), 10)];
        assert_eq!(parts(image), Ok((layers, Vec::new())));
        let index = r#"{"manifests":[{"digest":"sha256:x","platform":{"os":"linux","architecture":"arm","variant":"v7"}},
            {"digest":"sha256:y","platform":{"os":"unknown","architecture":"unknown"}},{"digest":"sha256:z"}]}"#;
        let what = |digest: &str, what: &str| (digest.to_owned(), what.to_owned());
        let listed = vec![what("sha256:x", "linux/arm/v7"), what("sha256:y", "attestation"), what("sha256:z", "part")];
        assert_eq!(parts(index), Ok((Vec::new(), listed)));
        assert!(parts("<html>").is_err());
        assert!(parts(r#"{"layers":[{"size":1}]}"#).is_err());
    }

    #[test]
    fn what_is_about_an_image_is_found_by_subject_and_by_tag() {
        let stored = |digest: &str, tags: &[&str], subject: Option<&str>| StoredImage {
            digest: digest.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pushed: None,
            last_pulled: None,
            size: 1,
            index: false,
            subject: subject.map(str::to_owned),
            status: "ACTIVE".to_owned(),
            archived: None,
        };
        let all = [
            stored("sha256:aa", &["v1"], None),
            stored("sha256:s1", &[], Some("sha256:aa")),
            stored("sha256:s2", &["sha256-aa.sig"], None),
            stored("sha256:s3", &["sha256-bb.sig"], Some("sha256:bb")),
        ];
        let found = about(&BTreeSet::from(["sha256:aa".to_owned()]), &all);
        let names: Vec<(&str, Option<&str>)> =
            found.iter().map(|(digest, tag, _)| (digest.as_str(), tag.as_deref())).collect();
        assert_eq!(names, [("sha256:s1", None), ("sha256:s2", Some("sha256-aa.sig"))]);
    }
}
