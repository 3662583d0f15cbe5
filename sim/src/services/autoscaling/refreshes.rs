//! Operations on refreshes.
//!
//! The main functions are [`start_instance_refresh`] and [`describe_instance_refreshes`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::activities::{must_be, no_page};
use super::configuration::{DesiredConfiguration, LaunchSource};
use super::refresh::{Refresh, RefreshPreferences, RefreshStatus, RefreshStrategy};
use super::rolling::{RefreshTurn, go_back, plan};
use super::root_volumes;
use super::seeds::RefreshSeed;
use super::state::{found, group};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// From the call to the first instance that is replaced.
const BEGINS: Duration = Duration::from_secs(5);
/// From being told to the end.
const CANCELS: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartInstanceRefresh {
    auto_scaling_group_name: String,
    #[serde(default)]
    strategy: RefreshStrategy,
    desired_configuration: Option<DesiredConfiguration>,
    #[serde(default)]
    preferences: RefreshPreferences,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WhichRefresh {
    instance_refresh_id: String,
}

pub(super) fn start_instance_refresh(ctx: &mut Ctx<'_>, input: StartInstanceRefresh) -> Result<WhichRefresh, AwsError> {
    let name = input.auto_scaling_group_name;
    let id = begin(ctx, &name, input.strategy, input.desired_configuration, input.preferences)?;
    let arn = found(ctx, &name)?.arn.clone();
    ctx.touch(arn);
    Ok(WhichRefresh { instance_refresh_id: id })
}

fn begin(
    scope: &mut Scope<'_>,
    name: &str,
    strategy: RefreshStrategy,
    desired: Option<DesiredConfiguration>,
    preferences: RefreshPreferences,
) -> Result<String, AwsError> {
    let now = scope.now();
    let fleet = found(scope, name)?.clone();
    if fleet.active().is_some() {
        let message = "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.";
        return Err(AwsError::new("InstanceRefreshInProgress", message).shape("InstanceRefreshInProgressFault"));
    }
    let to = match &desired {
        Some(desired) => desired.source(scope)?,
        None => fleet.source.clone(),
    };
    if strategy == RefreshStrategy::ReplaceRootVolume {
        root_volumes::check(scope, &to, &preferences)?;
    }
    preferences.check(desired.is_some() && to.is_pinned() && fleet.source.is_pinned())?;
    let told = to.told(scope);
    let id = scope.world.ids.uuid(&format!("autoscaling/refresh/{}/{name}", scope.at));
    let refresh = Refresh {
        id: id.clone(),
        strategy,
        status: RefreshStatus::Pending,
        reason: None,
        started: None,
        ended: None,
        desired: desired.and_then(|_| DesiredConfiguration::of(told.clone())),
        to: told,
        from: fleet.source.clone(),
        preferences: preferences.filled(fleet.maintenance, fleet.warmup),
        checkpoint: 0,
        waits_until: None,
        ahead: 0,
        progress: now,
        seen: (0, 0),
        percentage: 0,
        left: fleet.standing().count(),
        rollback: None,
    };
    found(scope, name)?.refreshes.push(refresh);
    plan(scope, name, &id, RefreshTurn::Begin, BEGINS);
    Ok(id)
}

/// Another service brings a group's instances to what the group says already. Answers the refresh's id.
pub(super) fn begin_by(scope: &mut Scope<'_>, name: &str, preferences: RefreshPreferences) -> Result<String, AwsError> {
    begin(scope, name, RefreshStrategy::Rolling, None, preferences)
}

/// Somebody of the world starts a refresh to another version of the group's launch template.
pub(super) fn by_somebody(scope: &mut Scope<'_>, name: &str, seed: &RefreshSeed) {
    let source = group(scope, name).map(|group| group.source.clone());
    let spec = source.as_ref().and_then(|source| source.specs().first().map(|spec| (*spec).clone()));
    let Some(mut spec) = spec else { return };
    spec.version = Some(seed.version.clone());
    let desired = DesiredConfiguration::of(LaunchSource::Template(spec));
    if let Err(error) = begin(scope, name, RefreshStrategy::Rolling, desired, seed.preferences()) {
        tracing::warn!(group = name, message = error.message, "the world's refresh cannot start");
    }
}

fn none_active(name: &str) -> AwsError {
    let message = format!("No in progress or pending Instance Refresh found for Auto Scaling group {name}");
    AwsError::new("ActiveInstanceRefreshNotFound", message).shape("ActiveInstanceRefreshNotFoundFault")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelInstanceRefresh {
    auto_scaling_group_name: String,
}

pub(super) fn cancel_instance_refresh(
    ctx: &mut Ctx<'_>,
    input: CancelInstanceRefresh,
) -> Result<WhichRefresh, AwsError> {
    let name = input.auto_scaling_group_name;
    let fleet = found(ctx, &name)?;
    let arn = fleet.arn.clone();
    let active = fleet.active_mut().filter(|refresh| refresh.status != RefreshStatus::Cancelling);
    let refresh = active.ok_or_else(|| none_active(&name))?;
    (refresh.status, refresh.ahead) = (RefreshStatus::Cancelling, 0);
    let id = refresh.id.clone();
    plan(ctx, &name, &id, RefreshTurn::Cancelled, CANCELS);
    ctx.touch(arn);
    Ok(WhichRefresh { instance_refresh_id: id })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RollbackInstanceRefresh {
    auto_scaling_group_name: String,
}

pub(super) fn rollback_instance_refresh(
    ctx: &mut Ctx<'_>,
    input: RollbackInstanceRefresh,
) -> Result<WhichRefresh, AwsError> {
    let name = input.auto_scaling_group_name;
    let fleet = found(ctx, &name)?;
    let arn = fleet.arn.clone();
    let refresh = fleet.active().filter(|refresh| refresh.status.is_forward()).ok_or_else(|| none_active(&name))?;
    if refresh.desired.is_none() || !refresh.to.is_pinned() || !refresh.from.is_pinned() {
        let message = format!(
            "The Instance Refresh for Auto Scaling group {name} cannot be rolled back: it has no desired configuration, or a \
             launch template version is $Latest or $Default."
        );
        return Err(AwsError::new("IrreversibleInstanceRefresh", message).shape("IrreversibleInstanceRefreshFault"));
    }
    let id = refresh.id.clone();
    go_back(ctx, &name, "Initiated by user.".to_owned());
    ctx.touch(arn);
    Ok(WhichRefresh { instance_refresh_id: id })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceRefreshes {
    auto_scaling_group_name: String,
    #[serde(default)]
    instance_refresh_ids: Vec<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RefreshesFound {
    instance_refreshes: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_instance_refreshes(
    ctx: &mut Ctx<'_>,
    input: DescribeInstanceRefreshes,
) -> Result<RefreshesFound, AwsError> {
    let name = input.auto_scaling_group_name;
    must_be(ctx, &name)?;
    let refreshes = group(ctx, &name).map(|group| group.refreshes.clone()).unwrap_or_default();
    let wanted = |one: &Refresh| input.instance_refresh_ids.is_empty() || input.instance_refresh_ids.contains(&one.id);
    let found = refreshes.into_iter().rev().filter(wanted).map(|one| (one.id.clone(), one.shown(&name))).collect();
    let size = input.max_records.unwrap_or(50).min(100);
    let page = ctx.page("refreshes", found, size, input.next_token.as_deref(), |(id, _)| id);
    let (page, next_token) = page.map_err(|_| no_page())?;
    Ok(RefreshesFound { instance_refreshes: page.into_iter().map(|(_, shown)| shown).collect(), next_token })
}
