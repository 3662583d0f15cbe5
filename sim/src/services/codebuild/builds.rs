//! Looking at builds, and stopping them.
//!
//! The main functions are [`batch_get_builds`] and [`stop_build`].

use serde::{Deserialize, Serialize};

use super::projects::{SortOrder, check_batch, pages};
use super::state::{Build, find, find_build, project_name};
use super::walk;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
pub(super) struct BatchGetBuilds {
    ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Builds {
    builds: Vec<Build>,
    builds_not_found: Vec<String>,
}

pub(super) fn batch_get_builds(ctx: &mut Ctx<'_>, input: BatchGetBuilds) -> Result<Builds, AwsError> {
    check_batch("ids", input.ids.len())?;
    let state = &mut ctx.place().codebuild;
    let (mut builds, mut builds_not_found) = (Vec::new(), Vec::new());
    for id in input.ids {
        match state.build(&id) {
            Some(build) => builds.push(build.clone()),
            None => builds_not_found.push(id),
        }
    }
    Ok(Builds { builds, builds_not_found })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildIds {
    ids: Vec<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListBuilds {
    sort_order: Option<SortOrder>,
    next_token: Option<String>,
}

/// Newest first, unless asked otherwise.
pub(super) fn list_builds(ctx: &mut Ctx<'_>, input: ListBuilds) -> Result<BuildIds, AwsError> {
    let ids = ctx.place().codebuild.builds.iter().map(|build| build.id.clone()).collect();
    let order = input.sort_order.unwrap_or(SortOrder::Descending);
    let (ids, next_token) = pages(ctx, "codebuild:builds", ids, order, input.next_token)?;
    Ok(BuildIds { ids, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListBuildsForProject {
    project_name: String,
    sort_order: Option<SortOrder>,
    next_token: Option<String>,
}

/// Newest first, unless asked otherwise.
pub(super) fn list_builds_for_project(ctx: &mut Ctx<'_>, input: ListBuildsForProject) -> Result<BuildIds, AwsError> {
    let name = project_name(&input.project_name).to_owned();
    find(ctx, &name)?;
    let builds = ctx.place().codebuild.builds.iter().filter(|build| build.project_name == name);
    let ids = builds.map(|build| build.id.clone()).collect();
    let order = input.sort_order.unwrap_or(SortOrder::Descending);
    let (ids, next_token) = pages(ctx, &format!("codebuild:builds:{name}"), ids, order, input.next_token)?;
    Ok(BuildIds { ids, next_token })
}

#[derive(Deserialize)]
pub(super) struct WhichBuild {
    id: String,
}

#[derive(Serialize)]
pub(super) struct BuildOutput {
    pub(super) build: Build,
}

/// A build that has ended is answered as it is.
pub(super) fn stop_build(ctx: &mut Ctx<'_>, input: WhichBuild) -> Result<BuildOutput, AwsError> {
    let build = find_build(ctx, &input.id)?;
    let (id, arn, ended) = (build.id.clone(), build.arn.clone(), build.build_complete);
    ctx.touch(arn);
    if ended {
        ctx.unchanged();
    } else {
        walk::stop(ctx, &id);
    }
    Ok(BuildOutput { build: find_build(ctx, &id)?.clone() })
}
