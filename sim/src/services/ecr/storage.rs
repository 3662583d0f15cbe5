//! Storage classes: to the archive, and back.
//!
//! The main function is [`update_image_storage_class`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::state::{ImageId, ImageStatus, enter, find, find_image};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// How long it takes until an image is back from the archive: AWS says within twenty minutes.
const ACTIVATION: Duration = Duration::from_secs(15 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateImageStorageClass {
    registry_id: Option<String>,
    repository_name: String,
    image_id: ImageId,
    target_storage_class: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StorageUpdated {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_status: ImageStatus,
}

pub(super) fn update_image_storage_class(
    ctx: &mut Ctx<'_>,
    input: UpdateImageStorageClass,
) -> Result<StorageUpdated, AwsError> {
    enter(ctx, input.registry_id)?;
    let (now, registry_id, name) = (ctx.now(), ctx.at.account.clone(), input.repository_name);
    let to_archive = match input.target_storage_class.as_str() {
        "ARCHIVE" => true,
        "STANDARD" => false,
        other => {
            let message = format!("{other} is no storage class");
            return Err(AwsError::new("ValidationException", message));
        }
    };
    find(ctx, &name)?;
    let digest = find_image(ctx, &name, &input.image_id)?.digest;
    let repository = find(ctx, &name)?;
    let arn = repository.arn.clone();
    let mut status = ImageStatus::Active;
    let mut comes_back = false;
    if let Some(image) = repository.images.get_mut(&digest) {
        match (to_archive, image.storage.status) {
            (true, ImageStatus::Active | ImageStatus::Activating) => {
                image.storage.status = ImageStatus::Archived;
                image.storage.archived = Some(now);
            }
            (false, ImageStatus::Archived) => {
                image.storage.status = ImageStatus::Activating;
                comes_back = true;
            }
            (true, ImageStatus::Archived) | (false, ImageStatus::Active | ImageStatus::Activating) => {}
        }
        status = image.storage.status;
    }
    if comes_back {
        ctx.schedule(ACTIVATION, Event::Activated { repository: name.clone(), digest });
    }
    ctx.touch(arn);
    Ok(StorageUpdated { registry_id, repository_name: name, image_id: input.image_id, image_status: status })
}

/// An image is back from the archive, unless somebody archived it again.
pub(super) fn activated(scope: &mut Scope<'_>, repository: &str, digest: &str) {
    let now = scope.now();
    let held = scope.place().ecr.repositories.get_mut(repository);
    if let Some(image) = held.and_then(|held| held.images.get_mut(digest))
        && image.storage.status == ImageStatus::Activating
    {
        image.storage.status = ImageStatus::Active;
        image.storage.activated = Some(now);
    }
}
