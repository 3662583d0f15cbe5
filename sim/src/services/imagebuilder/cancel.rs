//! Images that are no longer made, or forgotten.
//!
//! The main functions are [`cancel_image_creation`] and [`delete_image`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::state::{BakeStatus, Standing, invalid, missing, request_id};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

const TOKEN_LASTS: Duration = Duration::from_secs(8 * 3600);

/// So long an image takes to be cancelled: its instances end first.
const CANCEL_TAKES: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CancelImageCreation {
    image_build_version_arn: String,
    client_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageCancelled {
    request_id: String,
    client_token: String,
    image_build_version_arn: String,
}

pub(super) fn cancel_image_creation(ctx: &mut Ctx<'_>, input: CancelImageCreation) -> Result<ImageCancelled, AwsError> {
    let (token, arn, request_id) = (input.client_token, input.image_build_version_arn, request_id(ctx));
    let mismatch = || AwsError::new("IdempotentParameterMismatchException", "The client token means another request.");
    if ctx.made(Some(&token), mismatch)?.is_none() {
        let bake = ctx.place().imagebuilder.bake(&arn).ok_or_else(|| missing(&arn))?;
        if bake.status.is_over() {
            let message = format!("The image {arn} is {} and cannot be cancelled.", bake.status.text());
            return Err(invalid(message));
        }
        if bake.cancelling {
            ctx.unchanged();
        } else {
            bake.cancelling = true;
            ctx.schedule(CANCEL_TAKES, Event::Cancelled { image: arn.clone() });
        }
        ctx.touch(arn.clone());
        ctx.remember(Some(&token), TOKEN_LASTS, &arn);
    }
    Ok(ImageCancelled { request_id, client_token: token, image_build_version_arn: arn })
}

/// An image is no longer made: its workflows end where they are.
pub(super) fn is_cancelled(scope: &mut Scope<'_>, arn: &str) {
    let now = scope.now();
    let Some(bake) = scope.place().imagebuilder.bake(arn).filter(|bake| !bake.status.is_over()) else { return };
    bake.status = BakeStatus::Cancelled;
    bake.reason = Some("Image creation was cancelled by the user.".to_owned());
    for workflow in &mut bake.workflows {
        if workflow.ended.is_some() {
            continue;
        }
        workflow.standing = Standing::Cancelled;
        workflow.ended = Some(now);
        for step in workflow.steps.iter_mut().filter(|step| step.ended.is_none()) {
            step.standing = Standing::Cancelled;
            step.ended = step.started.map(|_| now);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteImage {
    image_build_version_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageDeleted {
    request_id: String,
    image_build_version_arn: String,
}

/// Its AMIs and their snapshots stay.
pub(super) fn delete_image(ctx: &mut Ctx<'_>, input: DeleteImage) -> Result<ImageDeleted, AwsError> {
    let (arn, request_id) = (input.image_build_version_arn, request_id(ctx));
    let bakes = &mut ctx.place().imagebuilder.bakes;
    let index = bakes.iter().position(|bake| bake.arn == arn).ok_or_else(|| missing(&arn))?;
    if bakes.get(index).is_some_and(|bake| !bake.status.is_over()) {
        let message = format!("The image {arn} is being made and cannot be deleted.");
        return Err(AwsError::new("ResourceDependencyException", message));
    }
    bakes.remove(index);
    ctx.touch(arn.clone());
    Ok(ImageDeleted { request_id, image_build_version_arn: arn })
}
