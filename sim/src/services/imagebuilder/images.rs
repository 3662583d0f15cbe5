//! Images as AWS tells of them.
//!
//! The main function is [`get_image`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::configurations::{distribution_view, infrastructure_view, recipe_view};
use super::state::{Bake, is_version, missing, numbers, put, request_id, text};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::ec2;
use crate::world::PlaceKey;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetImage {
    image_build_version_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneImage {
    request_id: String,
    image: Value,
}

pub(super) fn get_image(ctx: &mut Ctx<'_>, input: GetImage) -> Result<OneImage, AwsError> {
    let given = input.image_build_version_arn;
    let bake = found(ctx, &given).ok_or_else(|| missing(&given))?;
    let infrastructure = ctx.place().imagebuilder.infrastructures.get(&bake.infrastructure).cloned();
    let mut image = summary(ctx, &bake);
    let mut set = |member: &str, value: Value| put(&mut image, member, value);
    set("enhancedImageMetadataEnabled", true.into());
    set("imageRecipe", recipe_view(&bake.recipe));
    if let Some(infrastructure) = &infrastructure {
        set("infrastructureConfiguration", infrastructure_view(infrastructure));
    }
    if let Some(distribution) = &bake.distribution {
        set("distributionConfiguration", distribution_view(distribution));
    }
    if let Some((arn, name)) = &bake.pipeline {
        set("sourcePipelineArn", arn.as_str().into());
        set("sourcePipelineName", name.as_str().into());
    }
    set("imageTestsConfiguration", json!({ "imageTestsEnabled": bake.tests, "timeoutMinutes": 720 }));
    set("imageScanningConfiguration", json!({ "imageScanningEnabled": bake.scans }));
    if let Some(scan) = bake.scan {
        set("scanState", json!({ "status": scan }));
    }
    if let Some(members) = image.as_object_mut() {
        // What a summary has and an image has not.
        members.remove("owner");
    }
    Ok(OneImage { request_id: request_id(ctx), image })
}

/// The image of an ARN: without a build number the newest one, and `x` is the newest number.
pub(super) fn found(scope: &mut Scope<'_>, given: &str) -> Option<Bake> {
    let state = &mut scope.place().imagebuilder;
    if let Some(bake) = state.bake(given) {
        return Some(bake.clone());
    }
    let (head, resource) = given.split_once(":image/")?;
    let (name, version) = resource.split_once('/')?;
    let of_version = |bake: &&Bake| {
        bake.arn.starts_with(&format!("{head}:image/{name}/")) && is_version(version, &bake.recipe.version)
    };
    state.bakes.iter().filter(of_version).max_by_key(|bake| (numbers(&bake.recipe.version), bake.number)).cloned()
}

/// An image in a list.
pub(super) fn summary(scope: &Scope<'_>, bake: &Bake) -> Value {
    let mut state = json!({ "status": bake.status.text() });
    if let Some(reason) = &bake.reason {
        put(&mut state, "reason", reason.as_str().into());
    }
    if let Some(failure) = &bake.failure {
        put(&mut state, "failureContext", failure.clone());
    }
    let ami = |made: &super::state::MadeAmi| {
        let at = PlaceKey { account: made.account.clone(), region: made.region.clone() };
        let held = scope.world.places.get(&at).and_then(|place| place.ec2.held(&made.ami));
        let status = match held.map(|image| image.state) {
            Some(ec2::ImageState::Available | ec2::ImageState::Disabled) => "AVAILABLE",
            Some(ec2::ImageState::Pending) => "PENDING",
            Some(ec2::ImageState::Failed) => "FAILED",
            Some(ec2::ImageState::Deregistered) | None => "DELETED",
        };
        json!({
            "region": made.region, "accountId": made.account, "image": made.ami, "name": made.name,
            "state": { "status": status },
        })
    };
    let mut summary = json!({
        "arn": bake.arn,
        "name": bake.recipe.name,
        "version": bake.recipe.version,
        "type": "AMI",
        "platform": bake.recipe.platform,
        "osVersion": "Amazon Linux 2023",
        "owner": scope.at.account,
        "state": state,
        "dateCreated": text(bake.created),
        "buildType": if bake.scheduled { "SCHEDULED" } else { "USER_INITIATED" },
        "imageSource": "CUSTOM",
        "outputResources": { "amis": bake.amis.iter().map(ami).collect::<Vec<_>>() },
        "tags": bake.tags,
    });
    if let Some(group) = &bake.log_group {
        put(&mut summary, "loggingConfiguration", json!({ "logGroupName": group }));
    }
    summary
}
