//! Ways out of where a stack is stuck.
//!
//! The main functions are [`continue_update_rollback`], [`rollback_stack`] and [`cancel_update_stack`].

use serde::Deserialize;

use super::changesets::ChangeSetDone;
use super::engine;
use super::execution::{ExecutionKind, ExecutionStage, Options};
use super::permissions::{Requester, assumed};
use super::requests::{Begun, DeploymentConfig, again, operation_of, remember};
use super::stack::{ResourcePhase, StackPhase};
use super::state::{invalid, living, stack};
use super::{lifecycle, signals};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContinueUpdateRollback {
    stack_name: String,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    resources_to_skip: Option<Vec<String>>,
    client_request_token: Option<String>,
}

pub(super) fn continue_update_rollback(
    ctx: &mut Ctx<'_>,
    input: ContinueUpdateRollback,
) -> Result<ChangeSetDone, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    assumed(ctx, input.role_arn.as_deref())?;
    if again(ctx, input.client_request_token.as_deref())?.is_some() {
        return Ok(ChangeSetDone {});
    }
    let Some(found) = stack(ctx, &id) else { return Ok(ChangeSetDone {}) };
    if found.phase != StackPhase::UpdateRollbackFailed {
        return Err(invalid(format!(
            "Stack:{id} is in {} state and can not continue its update rollback.",
            found.phase.text()
        )));
    }
    let mut skip = std::collections::BTreeSet::new();
    for name in input.resources_to_skip.unwrap_or_default() {
        // One of a nested stack is named with it; the nested stack as a whole stays.
        let logical = name.split('.').next().unwrap_or_default().to_owned();
        let known = found.resources.get(&logical);
        let failed = known.is_some_and(|resource| {
            matches!(resource.phase, ResourcePhase::UpdateFailed | ResourcePhase::CreateFailed)
        });
        match (known, failed) {
            (Some(_), true) => skip.insert(logical),
            (Some(resource), false) => {
                return Err(invalid(format!(
                    "Resource [{name}] is in {} state and cannot be skipped: only those in UPDATE_FAILED can",
                    resource.phase.text()
                )));
            }
            (None, _) => return Err(invalid(format!("Resource [{name}] does not exist in stack [{id}]"))),
        };
    }
    if let Some(role) = input.role_arn {
        found.goal.role = Some(role);
    }
    let options = Options { skip, requester: Requester::of(ctx), ..Options::default() };
    lifecycle::resume_rollback(
        ctx,
        &id,
        input.client_request_token.clone(),
        options,
        Some("User Initiated".to_owned()),
    );
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id);
    Ok(ChangeSetDone {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RollbackStack {
    stack_name: String,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    client_request_token: Option<String>,
    #[serde(default)]
    retain_except_on_create: bool,
    deployment_config: Option<DeploymentConfig>,
}

pub(super) fn rollback_stack(ctx: &mut Ctx<'_>, input: RollbackStack) -> Result<Begun, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    assumed(ctx, input.role_arn.as_deref())?;
    if again(ctx, input.client_request_token.as_deref())?.is_some() {
        let operation_id = operation_of(ctx, &id);
        return Ok(Begun { stack_id: id, operation_id });
    }
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    let phase = found.phase;
    if let Some(role) = input.role_arn {
        found.goal.role = Some(role);
    }
    let options = Options {
        requester: Requester::of(ctx),
        retain_except_on_create: input.retain_except_on_create,
        express: DeploymentConfig::is_express(input.deployment_config.as_ref()),
        ..Options::default()
    };
    let token = input.client_request_token.clone();
    match phase {
        StackPhase::CreateFailed => lifecycle::begin_rollback_of_creation(ctx, &id, token, options),
        StackPhase::UpdateFailed => {
            lifecycle::resume_rollback(ctx, &id, token, options, Some("User Initiated".to_owned()));
        }
        other => return Err(invalid(format!("Stack:{id} is in {} state and can not be rolled back.", other.text()))),
    }
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id.clone());
    let operation_id = operation_of(ctx, &id);
    Ok(Begun { stack_id: id, operation_id })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelUpdateStack {
    stack_name: String,
    client_request_token: Option<String>,
}

pub(super) fn cancel_update_stack(ctx: &mut Ctx<'_>, input: CancelUpdateStack) -> Result<Empty, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    if again(ctx, input.client_request_token.as_deref())?.is_some() {
        return Ok(Empty {});
    }
    let Some(found) = stack(ctx, &id) else { return Ok(Empty {}) };
    let making = found.execution.as_ref().is_some_and(|execution| {
        execution.kind == ExecutionKind::Update
            && matches!(execution.stage, ExecutionStage::Making | ExecutionStage::Monitoring)
    });
    if found.phase != StackPhase::UpdateInProgress || !making {
        return Err(invalid("CancelUpdateStack cannot be called from current stack status"));
    }
    if let Some(execution) = &mut found.execution {
        execution.options.on_failure = super::execution::OnFailure::Rollback;
        execution.token = input.client_request_token.clone().or(execution.token.take());
    }
    engine::fail_stack(ctx, &id, "User Initiated".to_owned());
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SignalResource {
    stack_name: String,
    logical_resource_id: String,
    unique_id: String,
    status: String,
}

pub(super) fn signal_resource(ctx: &mut Ctx<'_>, input: SignalResource) -> Result<Empty, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    let Some(found) = stack(ctx, &id) else { return Ok(Empty {}) };
    let logical = &input.logical_resource_id;
    let Some(resource) = found.resources.get_mut(logical) else {
        return Err(invalid(format!("Resource {logical} does not exist for stack {}", input.stack_name)));
    };
    if !matches!(resource.phase, ResourcePhase::CreateInProgress | ResourcePhase::UpdateInProgress) {
        return Err(invalid(format!("Signal cannot be sent to resource {logical} in {} state", resource.phase.text())));
    }
    signals::keep(resource, &input.unique_id, &input.status);
    let turn = found.execution.as_ref().map(|execution| execution.turn).unwrap_or_default();
    engine::signalled(ctx, &id, turn, logical);
    ctx.touch(id);
    Ok(Empty {})
}
