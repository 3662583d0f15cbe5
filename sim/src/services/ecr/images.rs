//! Images: putting and getting their manifests.
//!
//! The main functions are [`put_image`] and [`batch_get_image`].

use serde::{Deserialize, Serialize};

use super::manifest;
use super::push::{Origin, put};
use super::state::{ImageId, ImageStatus, enter, find, invalid};
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutImage {
    registry_id: Option<String>,
    repository_name: String,
    image_manifest: String,
    image_manifest_media_type: Option<String>,
    image_tag: Option<String>,
    image_digest: Option<String>,
}

#[derive(Serialize)]
pub(super) struct PutImageOutput {
    image: ImageOutput,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageOutput {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_manifest: String,
    image_manifest_media_type: String,
}

pub(super) fn put_image(ctx: &mut Ctx<'_>, input: PutImage) -> Result<PutImageOutput, AwsError> {
    enter(ctx, input.registry_id)?;
    let (name, registry) = (input.repository_name, ctx.at.account.clone());
    let arn = find(ctx, &name)?.arn.clone();
    let digest = manifest::digest(&input.image_manifest);
    if let Some(said) = input.image_digest
        && said != digest
    {
        let message = format!("Image digest '{said}' does not match the digest '{digest}' of the image's manifest");
        return Err(AwsError::new("ImageDigestDoesNotMatchException", message));
    }
    let (media_type, tag) = (input.image_manifest_media_type.as_deref(), input.image_tag.as_deref());
    let pushed = put(ctx, &name, &input.image_manifest, media_type, tag, Origin::Caller)?;
    if pushed.already {
        let message = format!(
            "Image with digest '{digest}' and tag '{}' already exists in the repository with name '{name}' in registry \
             with id '{registry}'",
            tag.unwrap_or("null")
        );
        return Err(AwsError::new("ImageAlreadyExistsException", message));
    }
    ctx.touch(arn);
    let image = ImageOutput {
        registry_id: registry,
        repository_name: name,
        image_id: ImageId { image_digest: Some(pushed.digest), image_tag: input.image_tag },
        image_manifest: input.image_manifest,
        image_manifest_media_type: pushed.media_type,
    };
    Ok(PutImageOutput { image })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImagesOf {
    pub(super) registry_id: Option<String>,
    pub(super) repository_name: String,
    pub(super) image_ids: Vec<ImageId>,
}

impl ImagesOf {
    pub(super) fn check(&self) -> Result<(), AwsError> {
        if (1..=100).contains(&self.image_ids.len()) {
            return Ok(());
        }
        Err(invalid(
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length between 1 and 100'",
        ))
    }
}

/// A part of a batch that failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageFailure {
    image_id: ImageId,
    failure_code: &'static str,
    failure_reason: String,
}

impl ImageFailure {
    pub(super) fn new(image_id: ImageId, failure_code: &'static str, failure_reason: impl Into<String>) -> Self {
        Self { image_id, failure_code, failure_reason: failure_reason.into() }
    }

    pub(super) fn not_found(image_id: ImageId) -> Self {
        Self::new(image_id, "ImageNotFound", "Requested image not found")
    }

    /// What is wrong with an id, before anybody looks for the image.
    pub(super) fn malformed(id: &ImageId) -> Option<Self> {
        let failure = |code, reason: &str| Some(Self::new(id.clone(), code, reason));
        match (&id.image_digest, &id.image_tag) {
            (None, None) => {
                failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
            }
            (Some(digest), _) if !is_digest(digest) => failure(
                "InvalidImageDigest",
                "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            ),
            (Some(_), _) | (None, Some(_)) => None,
        }
    }
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty() && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[derive(Serialize)]
pub(super) struct BatchGetImageOutput {
    images: Vec<ImageOutput>,
    failures: Vec<ImageFailure>,
}

pub(super) fn batch_get_image(ctx: &mut Ctx<'_>, input: ImagesOf) -> Result<BatchGetImageOutput, AwsError> {
    input.check()?;
    enter(ctx, input.registry_id)?;
    let (now, registry) = (ctx.now(), ctx.at.account.clone());
    let repository = find(ctx, &input.repository_name)?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in input.image_ids {
        if let Some(failure) = ImageFailure::malformed(&id) {
            failures.push(failure);
            continue;
        }
        let Some(image) = repository.image(&id).cloned() else {
            failures.push(ImageFailure::not_found(id));
            continue;
        };
        if image.storage.status != ImageStatus::Active {
            let reason = "The image is archived, and cannot be pulled before it is restored";
            failures.push(ImageFailure::new(id, "ImageInaccessible", reason));
            continue;
        }
        // ECR counts this as a pull.
        if let Some(pulled) = repository.images.get_mut(&image.digest) {
            pulled.pulled = Some(now);
        }
        // Named by its digest, an image answers once for each of its tags.
        let tags: Vec<Option<String>> = match (id.image_tag, image.tags.is_empty()) {
            (Some(tag), _) => vec![Some(tag)],
            (None, true) => vec![None],
            (None, false) => image.tags.iter().cloned().map(Some).collect(),
        };
        images.extend(tags.into_iter().map(|tag| ImageOutput {
            registry_id: registry.clone(),
            repository_name: input.repository_name.clone(),
            image_id: ImageId { image_digest: Some(image.digest.clone()), image_tag: tag },
            image_manifest: image.manifest.clone(),
            image_manifest_media_type: image.media_type.clone(),
        }));
    }
    Ok(BatchGetImageOutput { images, failures })
}
