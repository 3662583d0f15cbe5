//! Images are begun.
//!
//! The main functions are [`start_image_pipeline_execution`] and [`create_image`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behaviour::BakePhase;
use super::events::Event;
use super::state::{Bake, BakeStatus, DistributionConfiguration, ImageRecipe, invalid, missing, request_id};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::tags::Tags;
use crate::worldfile::Span;

/// How long a client token is known.
const TOKEN_LASTS: Duration = Duration::from_secs(8 * 3600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartImagePipelineExecution {
    image_pipeline_arn: String,
    client_token: String,
    #[serde(default)]
    tags: Tags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageBegun {
    request_id: String,
    client_token: String,
    image_build_version_arn: String,
}

fn mismatch() -> AwsError {
    let message = "The client token means another request.";
    AwsError::new("IdempotentParameterMismatchException", message)
}

pub(super) fn start_image_pipeline_execution(
    ctx: &mut Ctx<'_>,
    input: StartImagePipelineExecution,
) -> Result<ImageBegun, AwsError> {
    let (token, request_id) = (input.client_token, request_id(ctx));
    if let Some(image) = ctx.made(Some(&token), mismatch)? {
        return Ok(ImageBegun { request_id, client_token: token, image_build_version_arn: image });
    }
    let image = of_pipeline(ctx, &input.image_pipeline_arn, input.tags, false)?;
    ctx.touch(image.clone());
    ctx.remember(Some(&token), TOKEN_LASTS, &image);
    Ok(ImageBegun { request_id, client_token: token, image_build_version_arn: image })
}

/// Begin an image of a pipeline, and tell its ARN.
fn of_pipeline(scope: &mut Scope<'_>, arn: &str, tags: Tags, scheduled: bool) -> Result<String, AwsError> {
    let now = scope.now();
    let state = &mut scope.place().imagebuilder;
    let pipeline = state.pipelines.get_mut(arn).ok_or_else(|| missing(arn))?;
    pipeline.last_run = Some(now);
    let pipeline = pipeline.clone();
    let recipe = state.recipes.get(&pipeline.recipe).cloned().ok_or_else(|| missing(&pipeline.recipe))?;
    let distribution = match &pipeline.distribution {
        Some(arn) => Some(state.distributions.get(arn).cloned().ok_or_else(|| missing(arn))?),
        None => None,
    };
    let order = Order {
        recipe,
        infrastructure: pipeline.infrastructure,
        distribution,
        pipeline: Some((pipeline.arn, pipeline.name)),
        tests: pipeline.tests,
        scans: pipeline.scans,
        log_group: pipeline.log_group,
        tags,
        scheduled,
    };
    Ok(begin(scope, order))
}

/// A pipeline runs by its schedule.
pub(super) fn by_schedule(scope: &mut Scope<'_>, pipeline: &str, again: Span) {
    let enabled = scope.place().imagebuilder.pipelines.get(pipeline).is_some_and(|pipeline| pipeline.enabled);
    if enabled {
        // Where something that it needs is gone, nothing is made, and nobody is told.
        let _ = of_pipeline(scope, pipeline, Tags::new(), true);
    }
    scope.schedule(again.duration(), Event::ScheduledRun { pipeline: pipeline.to_owned(), again });
}

/// What an image is made of.
pub(super) struct Order {
    pub(super) recipe: ImageRecipe,
    pub(super) infrastructure: String,
    pub(super) distribution: Option<DistributionConfiguration>,
    pub(super) pipeline: Option<(String, String)>,
    pub(super) tests: bool,
    pub(super) scans: bool,
    pub(super) log_group: Option<String>,
    pub(super) tags: Tags,
    pub(super) scheduled: bool,
}

/// Begin it, and tell its ARN.
pub(super) fn begin(scope: &mut Scope<'_>, order: Order) -> String {
    let wait = order.recipe.behaviour.duration(BakePhase::Start);
    let arn = enter(scope, order);
    scope.schedule(wait, Event::GoesOn { image: arn.clone() });
    arn
}

/// The image is there, and pending.
pub(super) fn enter(scope: &mut Scope<'_>, order: Order) -> String {
    let now = scope.now();
    let version = scope.arn("imagebuilder", &format!("image/{}/{}", order.recipe.name, order.recipe.version));
    let state = &mut scope.place().imagebuilder;
    let number = state.numbers.entry(version.clone()).or_default();
    *number += 1;
    let (number, arn) = (*number, format!("{version}/{number}"));
    state.bakes.push(Bake {
        arn: arn.clone(),
        status: BakeStatus::Pending,
        reason: None,
        failure: None,
        cancelling: false,
        recipe: order.recipe,
        infrastructure: order.infrastructure,
        distribution: order.distribution,
        pipeline: order.pipeline,
        scheduled: order.scheduled,
        tests: order.tests,
        scans: order.scans,
        scan: order.scans.then_some("PENDING"),
        log_group: order.log_group,
        created: now,
        workflows: Vec::new(),
        amis: Vec::new(),
        tags: order.tags,
        number,
    });
    arn
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestsGiven {
    image_tests_enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScansGiven {
    image_scanning_enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateImage {
    image_recipe_arn: Option<String>,
    infrastructure_configuration_arn: String,
    distribution_configuration_arn: Option<String>,
    image_tests_configuration: Option<TestsGiven>,
    image_scanning_configuration: Option<ScansGiven>,
    #[serde(default)]
    tags: Tags,
    client_token: String,
}

/// What IAM checks the making of an image against: the images of the recipe's name and version.
pub(super) fn image_of_recipe(scope: &mut Scope<'_>, input: &Value) -> String {
    let recipe = input.get("imageRecipeArn").and_then(Value::as_str).unwrap_or_default();
    match recipe.split_once(":image-recipe/") {
        Some((head, resource)) => format!("{head}:image/{resource}/*"),
        None => scope.arn("imagebuilder", "image/*"),
    }
}

pub(super) fn create_image(ctx: &mut Ctx<'_>, input: CreateImage) -> Result<ImageBegun, AwsError> {
    let (token, request_id) = (input.client_token, request_id(ctx));
    if let Some(image) = ctx.made(Some(&token), mismatch)? {
        return Ok(ImageBegun { request_id, client_token: token, image_build_version_arn: image });
    }
    let Some(recipe) = input.image_recipe_arn else {
        return Err(invalid("The simulator makes images of image recipes only."));
    };
    let state = &ctx.place().imagebuilder;
    // Where something is missing, the request is not valid: no other error is declared for that.
    let absent = |arn: &str| invalid(format!("The resource with ARN '{arn}' cannot be found."));
    let recipe = state.recipes.get(&recipe).cloned().ok_or_else(|| absent(&recipe))?;
    let infrastructure = input.infrastructure_configuration_arn;
    if !state.infrastructures.contains_key(&infrastructure) {
        return Err(absent(&infrastructure));
    }
    let distribution = match &input.distribution_configuration_arn {
        Some(arn) => Some(state.distributions.get(arn).cloned().ok_or_else(|| absent(arn))?),
        None => None,
    };
    let order = Order {
        recipe,
        infrastructure,
        distribution,
        pipeline: None,
        tests: input.image_tests_configuration.and_then(|tests| tests.image_tests_enabled).unwrap_or(true),
        scans: input.image_scanning_configuration.and_then(|scans| scans.image_scanning_enabled).unwrap_or(false),
        log_group: None,
        tags: input.tags,
        scheduled: false,
    };
    let image = begin(ctx, order);
    ctx.touch(image.clone());
    ctx.remember(Some(&token), TOKEN_LASTS, &image);
    Ok(ImageBegun { request_id, client_token: token, image_build_version_arn: image })
}
