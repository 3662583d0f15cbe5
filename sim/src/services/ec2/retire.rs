//! Images go out of use: deprecated, disabled, deregistered.
//!
//! The main functions are [`enable_image_deprecation`], [`disable_image`] and [`deregister_image`].

use serde::{Deserialize, Serialize};

use super::errors::{invalid, no_image, unavailable_image};
use super::image::{ImageState, MachineImage, image};
use super::snapshots::images_of;
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Serialize)]
pub(super) struct Done {
    #[serde(rename = "return")]
    done: bool,
}

/// An image of the caller's own.
fn own(ctx: &mut Ctx<'_>, id: &str) -> Result<MachineImage, AwsError> {
    let account = ctx.at.account.clone();
    if let Some(gone) = ctx.place().ec2.images.get(id).filter(|image| image.state == ImageState::Deregistered) {
        return Err(unavailable_image(&gone.id));
    }
    let found = image(ctx, id).cloned().ok_or_else(|| no_image(id))?;
    if found.owner != account {
        let message = format!("Not authorized for image:{id}");
        return Err(AwsError::new("AuthFailure", message).status(403));
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnableImageDeprecation {
    image_id: String,
    deprecate_at: Timestamp,
}

pub(super) fn enable_image_deprecation(ctx: &mut Ctx<'_>, input: EnableImageDeprecation) -> Result<Done, AwsError> {
    own(ctx, &input.image_id)?;
    // EC2 looks at minutes, and takes none that is over.
    if input.deprecate_at + std::time::Duration::from_secs(60) < ctx.now() {
        return Err(invalid(format!("The value '{}' for deprecateAt is in the past.", input.deprecate_at)));
    }
    let minute = Timestamp(input.deprecate_at.0 / 60_000 * 60_000);
    if let Some(image) = ctx.place().ec2.images.get_mut(&input.image_id) {
        image.deprecated = Some(minute);
    }
    ctx.touch(input.image_id);
    Ok(Done { done: true })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhichImage {
    image_id: String,
}

pub(super) fn disable_image(ctx: &mut Ctx<'_>, input: WhichImage) -> Result<Done, AwsError> {
    let found = own(ctx, &input.image_id)?;
    match found.state {
        ImageState::Disabled => ctx.unchanged(),
        ImageState::Available => {}
        ImageState::Pending | ImageState::Failed | ImageState::Deregistered => {
            return Err(unavailable_image(&input.image_id));
        }
    }
    if let Some(image) = ctx.place().ec2.images.get_mut(&input.image_id) {
        (image.state, image.public) = (ImageState::Disabled, false);
        image.shared.clear();
    }
    ctx.touch(input.image_id);
    Ok(Done { done: true })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeregisterImage {
    image_id: String,
    #[serde(default)]
    delete_associated_snapshots: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deregistered {
    #[serde(rename = "return")]
    done: bool,
    delete_snapshot_result_set: Option<Vec<SnapshotResult>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotResult {
    snapshot_id: String,
    return_code: &'static str,
}

pub(super) fn deregister_image(ctx: &mut Ctx<'_>, input: DeregisterImage) -> Result<Deregistered, AwsError> {
    let found = own(ctx, &input.image_id)?;
    if found.protected {
        let message = format!("The image {} is protected from deregistration.", input.image_id);
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    if let Some(image) = ctx.place().ec2.images.get_mut(&input.image_id) {
        image.state = ImageState::Deregistered;
    }
    let mut results = Vec::new();
    let snapshots = found.devices.iter().filter_map(|device| device.snapshot.clone());
    for snapshot_id in snapshots.filter(|_| input.delete_associated_snapshots) {
        let return_code = match images_of(ctx, &snapshot_id).is_empty() {
            true => {
                ctx.place().ec2.snapshots.remove(&snapshot_id);
                "success"
            }
            // One that another image is made of stays.
            false => "skipped",
        };
        results.push(SnapshotResult { snapshot_id, return_code });
    }
    ctx.touch(input.image_id);
    Ok(Deregistered { done: true, delete_snapshot_result_set: input.delete_associated_snapshots.then_some(results) })
}
