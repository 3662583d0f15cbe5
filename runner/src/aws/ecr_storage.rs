//! Elastic Container Registry: how images are stored, and what they belong to.
//!
//! Every request record of the interface `ecr-storage` is an [`Operation`](super::operation::Operation);
//! [`DescribeStoredImagesRequest`] lists images in every storage class.

use aws_sdk_ecr::types as sdk;

use super::clients::Clients;
use super::ecr::{MOST, REPOSITORY, repository};
use super::error::{AwsError, ErrorKind, from_sdk, invalid};
use super::limits::{batch, gather};
use super::look::Look;
use super::operation::{Fate, Read, RetryClass, Token, Unanswered, Write, heads};
use super::values::{list, millis, size, word};
use crate::contract::bindings::kiln::aws_ecr_storage::ecr_storage::{
    DescribeStoredImagesRequest, DescribeStoredImagesResponse, StoredImage, UpdateImageStorageClassRequest,
    UpdateImageStorageClassResponse,
};

heads! {
    DescribeStoredImagesRequest => DescribeStoredImagesResponse:
        "ecr:DescribeImages" on |it, at| [REPOSITORY.arn(at, &it.repository)];
    UpdateImageStorageClassRequest => UpdateImageStorageClassResponse:
        "ecr:UpdateImageStorageClass" on |it, at| [REPOSITORY.arn(at, &it.repository)];
}

impl Write for UpdateImageStorageClassRequest {
    const RETRY: RetryClass = RetryClass::Natural;
    const LOOKS: &'static [&'static str] = &["ecr:DescribeImages"];

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let class = match self.storage_class.as_str() {
            "ARCHIVE" => sdk::TargetStorageClass::Archive,
            "STANDARD" => sdk::TargetStorageClass::Standard,
            other => return Err(invalid(format_args!("{other:?} is no storage class"))),
        };
        let (registry, name) = repository(aws, &self.repository)?;
        let image = sdk::ImageIdentifier::builder().image_digest(&self.digest).build();
        let output = aws
            .ecr()
            .update_image_storage_class()
            .set_registry_id(registry)
            .repository_name(name)
            .image_id(image)
            .target_storage_class(class)
            .send()
            .await
            .map_err(from_sdk)?;
        Ok(UpdateImageStorageClassResponse { status: word(output.image_status) })
    }

    /// Somebody may have brought the image back meanwhile.
    fn means_the_same_later(&self) -> bool {
        false
    }

    async fn fate(&self, look: &Look, _: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let (repository, digests) = (self.repository.clone(), vec![self.digest.clone()]);
        let seen = match look.read(&DescribeStoredImagesRequest { repository, digests }).await {
            Ok(seen) => seen.images,
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let Some(image) = seen.into_iter().next() else {
            // AWS says so in its own words.
            return Ok(Fate::SendAgain);
        };
        let is_archived = image.status == "ARCHIVED";
        let evidence = format!("the image's status is {}", image.status);
        Ok(match is_archived == (self.storage_class == "ARCHIVE") {
            true => Fate::Happened { output: UpdateImageStorageClassResponse { status: image.status }, evidence },
            false => Fate::NotHappened { evidence },
        })
    }
}

impl Read for DescribeStoredImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let (registry, name) = repository(aws, &self.repository)?;
        let mut request = aws.ecr().describe_images().set_registry_id(registry).repository_name(name);
        if self.digests.is_empty() {
            // Unless told, ECR lists active images only.
            let every = sdk::DescribeImagesFilter::builder().image_status(sdk::ImageStatusFilter::Any).build();
            request = request.max_results(1000).filter(every);
        } else {
            batch("digests", &self.digests, MOST)?;
            let id = |digest: &String| sdk::ImageIdentifier::builder().image_digest(digest).build();
            request = request.set_image_ids(Some(self.digests.iter().map(id).collect()));
        }
        let images =
            gather("images", request.into_paginator().send(), |page| list(page.image_details, stored_image)).await?;
        Ok(DescribeStoredImagesResponse { images })
    }
}

fn stored_image(image: sdk::ImageDetail) -> StoredImage {
    let status = word(image.image_status);
    StoredImage {
        digest: image.image_digest.unwrap_or_default(),
        tags: image.image_tags.unwrap_or_default(),
        pushed: millis(image.image_pushed_at),
        last_pulled: millis(image.last_recorded_pull_time),
        size: image.image_size_in_bytes.map_or(0, size),
        index: image.image_manifest_media_type.as_deref().is_some_and(is_index),
        subject: image.subject_manifest_digest,
        // Registries that know no archive tell no status.
        status: if status.is_empty() { "ACTIVE".to_owned() } else { status },
        archived: millis(image.last_archived_at),
    }
}

/// Whether manifests of this media type list the images of several platforms.
fn is_index(media_type: &str) -> bool {
    media_type.contains("manifest.list.") || media_type.contains("image.index.")
}
