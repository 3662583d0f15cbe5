//! The repository: what it holds, and deleting from it.
//! The main type is [`Contents`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ecr::{
    BatchDeleteImageRequest, BatchGetImageRequest, DescribeRepositoriesRequest, ImageFailure, ImageId,
    batch_delete_image, batch_get_image, describe_repositories,
};
use kiln_plugin::aws::ecr_storage::{DescribeStoredImagesRequest, StoredImage, describe_stored_images};
use kiln_plugin::{During, EcrRepository, Failure, ImageReference};
use serde_json::Value;

use crate::kin::{Kinship, brief, own_tags};

/// How many images one call may name, whatever it does with them.
pub(crate) const BATCH: usize = 100;

/// What a repository holds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Where it is.
    pub(crate) repository: EcrRepository,
    /// All images.
    pub(crate) images: Vec<StoredImage>,
    /// Which of them share the fate of which.
    pub(crate) kin: Kinship,
    /// The image that each tag names.
    by_tag: BTreeMap<String, String>,
    /// Images for several platforms that lie in the archive: what they list cannot be read.
    unread: BTreeSet<String>,
}

/// Who uses images: a reason by digest.
pub(crate) type Uses = BTreeMap<String, String>;

impl Contents {
    pub(crate) fn read(name: &str) -> Result<Self, Failure> {
        let request = DescribeRepositoriesRequest { names: vec![name.to_owned()] };
        let found = describe_repositories(&request).during(format!("looking for the repository {name}"))?.repositories;
        let found = found
            .into_iter()
            .find(|repository| repository.name == name)
            .ok_or_else(|| Failure::not_found(format!("ECR has no repository {name}")).help("Correct `repository`."))?;
        let repository = found.uri.parse::<ImageReference>().ok().and_then(|image| image.ecr()).ok_or_else(|| {
            Failure::internal(format!("the repository's URI {} is not that of an ECR repository", found.uri))
        })?;
        let request = DescribeStoredImagesRequest { repository: name.to_owned(), digests: Vec::new() };
        let images = describe_stored_images(&request).during(format!("listing the images of {name}"))?.images;
        let (lists, unread): (Vec<_>, Vec<_>) =
            images.iter().filter(|image| image.index).partition(|image| image.status == "ACTIVE");
        let unread = unread.into_iter().map(|image| image.digest.clone()).collect();
        let parts = parts(name, &lists)?;
        Ok(Self { unread, ..Self::of(repository, images, &parts) })
    }

    /// `parts` holds what each image for several platforms lists.
    pub(crate) fn of(
        repository: EcrRepository,
        images: Vec<StoredImage>,
        parts: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let kin = Kinship::of(&images, parts);
        let tags = images.iter().flat_map(|image| image.tags.iter().map(|tag| (tag.clone(), image.digest.clone())));
        let by_tag = tags.collect();
        Self { repository, images, kin, by_tag, unread: BTreeSet::new() }
    }

    /// The digest that a tag names.
    pub(crate) fn tagged(&self, tag: &str) -> Option<&str> {
        self.by_tag.get(tag).map(String::as_str)
    }

    /// When an image was last pulled, as far as ECR tells. Of an image for several platforms its parts count: whoever pulls it pulls one
    /// of them, while ECR counts also who only reads what it lists, as a clean-up does.
    pub(crate) fn pulled(&self, image: &StoredImage) -> Option<u64> {
        if !image.index {
            return image.last_pulled;
        }
        let parts: BTreeSet<&str> = self.kin.parts(&image.digest);
        self.images
            .iter()
            .filter(|image| parts.contains(image.digest.as_str()))
            .filter_map(|part| part.last_pulled)
            .max()
    }

    /// Why it cannot be told what becomes of an image: an image for several platforms cannot be read, and this is it or may be part of it.
    pub(crate) fn doubt(&self, image: &StoredImage) -> Option<String> {
        let unread = self.unread.first()?;
        if self.unread.contains(&image.digest) {
            return Some("it is archived, so that the images that it lists cannot be told".to_owned());
        }
        let may_be_part = own_tags(image).next().is_none() && !self.kin.is_referrer(&image.digest);
        may_be_part.then(|| format!("it may be part of {}, which is archived and cannot be read", brief(unread)))
    }
}

fn parts(name: &str, lists: &[&StoredImage]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut parts = BTreeMap::new();
    for batch in lists.chunks(BATCH) {
        let images = batch.iter().map(|image| ImageId { digest: Some(image.digest.clone()), tag: None }).collect();
        let request = BatchGetImageRequest { repository: name.to_owned(), images };
        let response = batch_get_image(&request).during(format!("reading manifests of {name}"))?;
        for image in response.images {
            let digest = image.id.digest.unwrap_or_default();
            let listed = listed(&image.manifest).map_err(|error| unreadable(name, &digest, &error))?;
            parts.insert(digest, listed);
        }
        // What a list holds must be known, or a part of it could be taken for an image that nobody needs.
        if let Some(failure) = response.failures.iter().find(|failure| failure.code != NOT_FOUND) {
            let digest = failure.id.digest.as_deref().unwrap_or_default();
            return Err(unreadable(name, digest, &format!("{}: {}", failure.code, failure.reason)));
        }
    }
    Ok(parts)
}

fn listed(manifest: &str) -> Result<Vec<String>, String> {
    let manifest: Value = serde_json::from_str(manifest).map_err(|error| error.to_string())?;
    let manifests = manifest.get("manifests").and_then(Value::as_array).ok_or("it has no list `manifests`")?;
    let digests = manifests.iter().filter_map(|part| part.get("digest").and_then(Value::as_str));
    Ok(digests.map(str::to_owned).collect())
}

fn unreadable(name: &str, digest: &str, reason: &str) -> Failure {
    Failure::failed(format!("the manifest list {name}@{digest} cannot be read: {reason}"))
        .help("Nothing was deleted: what the list holds must be known before anything goes.")
}

/// The images of these digests as they are now, at most a batch of them. What is not there any more is left out.
pub(crate) fn look_again(name: &str, digests: &[String]) -> Result<Vec<StoredImage>, Failure> {
    let mut found = Vec::new();
    let mut asked = vec![digests.to_vec()];
    while let Some(digests) = asked.pop() {
        if digests.is_empty() {
            continue;
        }
        let request = DescribeStoredImagesRequest { repository: name.to_owned(), digests: digests.clone() };
        match describe_stored_images(&request) {
            Ok(response) => found.extend(response.images),
            // ECR tells nothing of the others where one is missing: halves are asked for, until it is alone.
            Err(error) if error.kind == ErrorKind::NotFound && error.code.contains("Image") => {
                let (left, right) = digests.split_at(digests.len() / 2);
                if !left.is_empty() {
                    asked.extend([right.to_vec(), left.to_vec()]);
                }
            }
            Err(error) => return Err(error).during(format!("looking at images of {name} before they are deleted")),
        }
    }
    Ok(found)
}

/// What ECR says of an image that is not there.
const NOT_FOUND: &str = "ImageNotFound";

/// What a deletion did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Digests of what was deleted.
    pub(crate) deleted: BTreeSet<String>,
    /// Digests of what somebody else had deleted already.
    pub(crate) missing: BTreeSet<String>,
    /// What could not be deleted and why, a line each.
    pub(crate) failures: Vec<String>,
}

/// Delete images by digest, with all their tags: at most a batch of them.
pub(crate) fn delete(name: &str, digests: &[String]) -> Result<Deleted, Failure> {
    if digests.is_empty() {
        return Ok(outcome(&[], &[]));
    }
    let images = digests.iter().map(|digest| ImageId { digest: Some(digest.clone()), tag: None });
    let request = BatchDeleteImageRequest { repository: name.to_owned(), images: images.collect() };
    let response = batch_delete_image(&request).during(format!("deleting images of {name}"))?;
    Ok(outcome(&response.deleted, &response.failures))
}

/// ECR names an image once for each of its tags.
fn outcome(deleted: &[ImageId], failures: &[ImageFailure]) -> Deleted {
    // Where somebody else was quicker, it is gone, which is what was wanted, but it was not deleted here.
    let (missing, failures): (Vec<_>, Vec<_>) = failures.iter().partition(|failure| failure.code == NOT_FOUND);
    let failures = failures.into_iter().map(|failure| {
        let digest = failure.id.digest.as_deref().or(failure.id.tag.as_deref()).unwrap_or("(not named)");
        format!("{digest}: {}: {}", failure.code, failure.reason)
    });
    Deleted {
        deleted: deleted.iter().filter_map(|id| id.digest.clone()).collect(),
        missing: missing.into_iter().filter_map(|failure| failure.id.digest.clone()).collect(),
        failures: failures.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digest: &str, tag: Option<&str>) -> ImageId {
        ImageId { digest: Some(digest.to_owned()), tag: tag.map(str::to_owned) }
    }

    #[test]
    fn partial_failures_are_told_and_what_was_gone_is_none() {
        let failure = |digest: &str, code: &str| ImageFailure {
            id: id(digest, None),
            code: code.to_owned(),
            reason: "why".to_owned(),
        };
        let outcome = outcome(
            &[id("sha256:aa", Some("v1")), id("sha256:aa", Some("v2"))],
            &[failure("sha256:bb", "ImageNotFound"), failure("sha256:cc", "ImageReferencedByManifestList")],
        );
        assert!(outcome.deleted.iter().eq(["sha256:aa"]) && outcome.missing.iter().eq(["sha256:bb"]));
        assert_eq!(outcome.failures, ["sha256:cc: ImageReferencedByManifestList: why"]);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        assert_eq!(listed(r#"{"manifests":[{"digest":"sha256:aa"}]}"#), Ok(vec!["sha256:aa".to_owned()]));
        assert!(listed("{}").is_err());
        assert!(listed("<html>").is_err());
    }
}
