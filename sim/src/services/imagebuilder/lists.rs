//! Lists of images and recipes.
//!
//! The main functions are [`list_image_pipeline_images`] and [`list_images`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::images::summary;
use super::state::{Bake, invalid, invalid_token, is_version, missing, request_id, text};
use crate::ctx::Ctx;
use crate::error::AwsError;

/// The most that a page holds.
pub(super) const PAGE: usize = 25;

/// A filter of a list.
#[derive(Deserialize)]
pub(super) struct BuilderFilter {
    pub(super) name: String,
    #[serde(default)]
    pub(super) values: Vec<String>,
}

/// Whether what has this name passes; no other filter is known.
pub(super) fn passes(filters: &[BuilderFilter], name: &str) -> Result<bool, AwsError> {
    let mut fits = true;
    for filter in filters {
        if filter.name != "name" {
            return Err(invalid(format!("The filter {} is not supported.", filter.name)));
        }
        fits = fits && filter.values.iter().any(|value| value == name);
    }
    Ok(fits)
}

/// Whether the account's own are asked for: the simulator has no others.
fn is_own(owner: Option<&str>) -> bool {
    matches!(owner, None | Some("Self"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListPipelineImages {
    image_pipeline_arn: String,
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageSummaries {
    request_id: String,
    image_summary_list: Vec<Value>,
    next_token: Option<String>,
}

fn arn_in(summary: &Value) -> &str {
    summary.get("arn").and_then(Value::as_str).unwrap_or_default()
}

fn page_of_bakes(
    ctx: &mut Ctx<'_>,
    list: &str,
    bakes: &[Bake],
    filters: &[BuilderFilter],
    size: Option<usize>,
    token: Option<&str>,
) -> Result<ImageSummaries, AwsError> {
    let mut summaries = Vec::new();
    for bake in bakes {
        if passes(filters, &bake.recipe.name)? {
            summaries.push(summary(ctx, bake));
        }
    }
    let (image_summary_list, next_token) =
        ctx.page(list, summaries, size.unwrap_or(PAGE), token, arn_in).map_err(invalid_token)?;
    Ok(ImageSummaries { request_id: request_id(ctx), image_summary_list, next_token })
}

/// The newest first.
pub(super) fn list_image_pipeline_images(
    ctx: &mut Ctx<'_>,
    input: ListPipelineImages,
) -> Result<ImageSummaries, AwsError> {
    let arn = input.image_pipeline_arn;
    let state = &ctx.place().imagebuilder;
    if !state.pipelines.contains_key(&arn) {
        return Err(missing(&arn));
    }
    let of_it = |bake: &&Bake| bake.pipeline.as_ref().is_some_and(|(pipeline, _)| *pipeline == arn);
    let bakes: Vec<Bake> = state.bakes.iter().rev().filter(of_it).cloned().collect();
    let list = format!("imagebuilder:pipeline:{arn}");
    page_of_bakes(ctx, &list, &bakes, &input.filters, input.max_results, input.next_token.as_deref())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListBuildVersions {
    image_version_arn: String,
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// The newest first.
pub(super) fn list_image_build_versions(
    ctx: &mut Ctx<'_>,
    input: ListBuildVersions,
) -> Result<ImageSummaries, AwsError> {
    let arn = input.image_version_arn;
    let (head, version) = arn.rsplit_once('/').unwrap_or((&arn, ""));
    let of_it = |bake: &&Bake| bake.arn.starts_with(&format!("{head}/")) && is_version(version, &bake.recipe.version);
    let bakes: Vec<Bake> = ctx.place().imagebuilder.bakes.iter().rev().filter(of_it).cloned().collect();
    let list = format!("imagebuilder:builds:{arn}");
    page_of_bakes(ctx, &list, &bakes, &input.filters, input.max_results, input.next_token.as_deref())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOwned {
    owner: Option<String>,
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListImageVersions {
    owner: Option<String>,
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    include_deprecated: Option<bool>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageVersions {
    request_id: String,
    image_version_list: Vec<Value>,
    next_token: Option<String>,
}

/// Each version once, as its newest build is. The simulator deprecates none.
pub(super) fn list_images(ctx: &mut Ctx<'_>, input: ListImageVersions) -> Result<ImageVersions, AwsError> {
    let _ = input.include_deprecated;
    let mut versions: Vec<Value> = Vec::new();
    let account = ctx.at.account.clone();
    for bake in ctx.place().imagebuilder.bakes.iter().rev().filter(|_| is_own(input.owner.as_deref())) {
        let arn = bake.arn.rsplit_once('/').map_or(bake.arn.as_str(), |(version, _)| version);
        if versions.iter().any(|version| arn_in(version) == arn) || !passes(&input.filters, &bake.recipe.name)? {
            continue;
        }
        versions.push(json!({
            "arn": arn, "name": bake.recipe.name, "version": bake.recipe.version, "type": "AMI",
            "platform": bake.recipe.platform, "owner": account, "dateCreated": text(bake.created),
            "buildType": if bake.scheduled { "SCHEDULED" } else { "USER_INITIATED" }, "imageSource": "CUSTOM",
        }));
    }
    let size = input.max_results.unwrap_or(PAGE);
    let (image_version_list, next_token) =
        ctx.page("imagebuilder:images", versions, size, input.next_token.as_deref(), arn_in).map_err(invalid_token)?;
    Ok(ImageVersions { request_id: request_id(ctx), image_version_list, next_token })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecipeSummaries {
    request_id: String,
    image_recipe_summary_list: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_image_recipes(ctx: &mut Ctx<'_>, input: ListOwned) -> Result<RecipeSummaries, AwsError> {
    let mut recipes = Vec::new();
    let account = ctx.at.account.clone();
    for recipe in ctx.place().imagebuilder.recipes.values().filter(|_| is_own(input.owner.as_deref())) {
        if passes(&input.filters, &recipe.name)? {
            recipes.push(json!({
                "arn": recipe.arn, "name": recipe.name, "platform": recipe.platform, "owner": account,
                "parentImage": recipe.parent, "dateCreated": text(recipe.created), "tags": {},
            }));
        }
    }
    let size = input.max_results.unwrap_or(PAGE);
    let (image_recipe_summary_list, next_token) =
        ctx.page("imagebuilder:recipes", recipes, size, input.next_token.as_deref(), arn_in).map_err(invalid_token)?;
    Ok(RecipeSummaries { request_id: request_id(ctx), image_recipe_summary_list, next_token })
}
