//! Deleting images.
//!
//! The main function is [`batch_delete_image`].

use serde::Serialize;

use super::images::{ImageFailure, ImagesOf};
use super::state::{ImageId, Repository, enter, find};
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchDeleteImageOutput {
    image_ids: Vec<ImageId>,
    failures: Vec<ImageFailure>,
}

pub(super) fn batch_delete_image(ctx: &mut Ctx<'_>, input: ImagesOf) -> Result<BatchDeleteImageOutput, AwsError> {
    input.check()?;
    enter(ctx, input.registry_id)?;
    let mut asked = input.image_ids;
    let left_out = if ctx.partial { asked.pop() } else { None };
    let repository = find(ctx, &input.repository_name)?;
    let arn = repository.arn.clone();
    let (mut image_ids, mut failures) = (Vec::new(), Vec::new());
    failures.extend(left_out.map(|id| ImageFailure::new(id, "KmsError", "The repository's KMS key is not usable")));
    // By tag first: whoever names an image by all its tags and by its digest means it once.
    let (tags, digests): (Vec<ImageId>, Vec<ImageId>) = asked.into_iter().partition(|id| id.image_digest.is_none());
    let digests_of_tags: Vec<Option<String>> =
        tags.iter().map(|id| repository.image(id).map(|image| image.digest.clone())).collect();
    for (id, digest) in tags.into_iter().zip(digests_of_tags) {
        match ImageFailure::malformed(&id) {
            Some(failure) => failures.push(failure),
            None => match digest {
                Some(digest) => untag(repository, ImageId { image_digest: Some(digest), ..id }, &mut image_ids),
                None => failures.push(ImageFailure::not_found(id)),
            },
        }
    }
    let before: Vec<ImageId> = image_ids.clone();
    for id in digests {
        match ImageFailure::malformed(&id) {
            Some(failure) => failures.push(failure),
            None if before.iter().any(|gone| gone.image_digest == id.image_digest)
                && repository.images.keys().all(|digest| Some(digest) != id.image_digest.as_ref()) => {}
            None => match delete(repository, id) {
                Ok(gone) => image_ids.extend(gone),
                Err(failure) => failures.push(failure),
            },
        }
    }
    ctx.touch(arn);
    if image_ids.is_empty() {
        ctx.unchanged();
    }
    Ok(BatchDeleteImageOutput { image_ids, failures })
}

/// Take a tag away. An image that loses its last tag so is deleted: AWS does that too.
fn untag(repository: &mut Repository, id: ImageId, gone: &mut Vec<ImageId>) {
    let Some(digest) = &id.image_digest else { return };
    let Some(image) = repository.images.get_mut(digest) else { return };
    image.tags.retain(|tag| Some(tag) != id.image_tag.as_ref());
    let listed = repository.images.values().any(|other| other.lists.contains(digest));
    if repository.images.get(digest).is_some_and(|image| image.tags.is_empty()) && !listed {
        repository.images.remove(digest);
    }
    if !gone.contains(&id) {
        gone.push(id);
    }
}

/// Delete an image with all its tags, or the tag that the id names too.
fn delete(repository: &mut Repository, id: ImageId) -> Result<Vec<ImageId>, ImageFailure> {
    let Some(image) = id.image_digest.as_ref().and_then(|digest| repository.images.get(digest)) else {
        return Err(ImageFailure::not_found(id));
    };
    if let Some(tag) = &id.image_tag {
        if !image.tags.contains(tag) {
            let reason = "Invalid request parameters: the image tag does not match the image digest";
            return Err(ImageFailure::new(id, "ImageTagDoesNotMatchDigest", reason));
        }
        let mut gone = Vec::new();
        untag(repository, id, &mut gone);
        return Ok(gone);
    }
    let digest = image.digest.clone();
    let lists = repository.images.values().filter(|other| other.lists.contains(&digest));
    let lists: Vec<&str> = lists.map(|other| other.digest.as_str()).collect();
    if !lists.is_empty() {
        let reason = format!("Requested image referenced by manifest list: [{}]", lists.join(", "));
        return Err(ImageFailure::new(id, "ImageReferencedByManifestList", reason));
    }
    let tags = repository.images.remove(&digest).map(|image| image.tags).unwrap_or_default();
    let named = |tag: Option<String>| ImageId { image_digest: Some(digest.clone()), image_tag: tag };
    Ok(if tags.is_empty() { vec![named(None)] } else { tags.into_iter().map(|tag| named(Some(tag))).collect() })
}
