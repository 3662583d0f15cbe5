//! The repository: what it holds, and deleting from it.
//! The main type is [`Contents`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecr::{
    BatchDeleteImageRequest, BatchGetImageRequest, DescribeImagesRequest, DescribeRepositoriesRequest, ImageDetail,
    ImageFailure, ImageId, batch_delete_image, batch_get_image, describe_images, describe_repositories,
};
use kiln_plugin::{During, EcrRepository, Failure, ImageReference};
use serde_json::Value;

use crate::verdict::Decision;

/// How many manifests one call may read.
const BATCH: usize = 100;

/// What a repository holds.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Where it is.
    pub(crate) repository: EcrRepository,
    /// All images.
    pub(crate) images: Vec<ImageDetail>,
    /// The parts of images for several platforms, by the digest of the whole.
    pub(crate) parts: BTreeMap<String, Vec<String>>,
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
        let request = DescribeImagesRequest { repository: name.to_owned(), images: Vec::new(), tag_status: None };
        let images = describe_images(&request).during(format!("listing the images of {name}"))?.images;
        let parts = parts(name, &images)?;
        Ok(Self { repository, images, parts })
    }

    /// The digest that a tag names.
    pub(crate) fn tagged(&self, tag: &str) -> Option<&str> {
        let image = self.images.iter().find(|image| image.tags.iter().any(|other| other == tag));
        image.map(|image| image.digest.as_str())
    }

    /// Why an image is in use: itself, the whole that it is a part of, or a part of it.
    pub(crate) fn uses<'a>(&self, uses: &'a Uses, digest: &str) -> Option<&'a str> {
        let of_its_parts = self.parts.get(digest).into_iter().flatten();
        let of_its_wholes = self.parts.iter().filter(|(_, parts)| parts.iter().any(|part| part == digest));
        std::iter::once(digest)
            .chain(of_its_parts.map(String::as_str))
            .chain(of_its_wholes.map(|(whole, _)| whole.as_str()))
            .find_map(|digest| uses.get(digest))
            .map(String::as_str)
    }
}

/// Whether a manifest lists the images of several platforms.
fn is_list(image: &ImageDetail) -> bool {
    image
        .media_type
        .as_deref()
        .is_some_and(|media_type| media_type.contains("manifest.list.") || media_type.contains("image.index."))
}

fn parts(name: &str, images: &[ImageDetail]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let lists: Vec<ImageId> = images
        .iter()
        .filter(|image| is_list(image))
        .map(|image| ImageId { digest: Some(image.digest.clone()), tag: None })
        .collect();
    let mut parts = BTreeMap::new();
    for batch in lists.chunks(BATCH) {
        let request = BatchGetImageRequest { repository: name.to_owned(), images: batch.to_vec() };
        let response = batch_get_image(&request).during(format!("reading manifests of {name}"))?;
        for image in response.images {
            let digest = image.id.digest.unwrap_or_default();
            let listed = listed(&image.manifest).map_err(|error| unreadable(name, &digest, &error))?;
            parts.insert(digest, listed);
        }
        // What a list holds must be known, or a part of it could be taken for an image that nobody needs.
        if let Some(failure) = response.failures.iter().find(|failure| failure.code != "ImageNotFound") {
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

/// What a deletion did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Digests of what is gone now.
    pub(crate) deleted: Vec<String>,
    /// What could not be deleted and why, a line each.
    pub(crate) failures: Vec<String>,
}

/// Delete images by digest, with all their tags.
pub(crate) fn delete(name: &str, doomed: &[&Decision]) -> Result<Deleted, Failure> {
    if doomed.is_empty() {
        return Ok(Deleted { deleted: Vec::new(), failures: Vec::new() });
    }
    let images = doomed.iter().map(|decision| ImageId { digest: Some(decision.digest.clone()), tag: None });
    let request = BatchDeleteImageRequest { repository: name.to_owned(), images: images.collect() };
    let response = batch_delete_image(&request).during(format!("deleting images of {name}"))?;
    Ok(outcome(&response.deleted, &response.failures))
}

/// ECR names an image once for each of its tags.
fn outcome(deleted: &[ImageId], failures: &[ImageFailure]) -> Deleted {
    let deleted: BTreeSet<String> = deleted.iter().filter_map(|id| id.digest.clone()).collect();
    let failures = failures
        .iter()
        // Somebody else was quicker: it is gone, which is what was wanted, but it was not deleted here.
        .filter(|failure| failure.code != "ImageNotFound")
        .map(|failure| {
            let digest = failure.id.digest.as_deref().or(failure.id.tag.as_deref()).unwrap_or("(not named)");
            format!("{digest}: {}: {}", failure.code, failure.reason)
        })
        .collect();
    Deleted { deleted: deleted.into_iter().collect(), failures }
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
        assert_eq!(outcome.deleted, ["sha256:aa"]);
        assert_eq!(outcome.failures, ["sha256:cc: ImageReferencedByManifestList: why"]);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        assert_eq!(listed(r#"{"manifests":[{"digest":"sha256:aa"}]}"#), Ok(vec!["sha256:aa".to_owned()]));
        assert!(listed("{}").is_err());
        assert!(listed("<html>").is_err());
    }
}
