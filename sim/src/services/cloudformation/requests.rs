//! Calls that make, change and delete stacks.
//!
//! The main functions are [`create_stack`], [`update_stack`] and [`delete_stack`].

use serde::{Deserialize, Serialize};

use super::changesets::{self, planned_changes};
use super::execution::{OnFailure, Options};
use super::lifecycle;
use super::permissions::{Requester, assumed};
use super::planning;
use super::policy;
use super::prepare::{Asked, acknowledged, prepare};
use super::stack::{RollbackTriggers, StackPhase};
use super::state::{found, invalid, living, stack};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;
use crate::tags::{Tag, kept};

/// A parameter that is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GivenParameter {
    parameter_key: Option<String>,
    parameter_value: Option<String>,
    #[serde(default)]
    use_previous_value: bool,
}

pub(super) fn given(
    parameters: Option<Vec<GivenParameter>>,
) -> Result<std::collections::BTreeMap<String, Option<String>>, AwsError> {
    let mut all = std::collections::BTreeMap::new();
    for parameter in parameters.unwrap_or_default() {
        let key = parameter.parameter_key.ok_or_else(|| invalid("Parameter key is required"))?;
        let value = match (parameter.parameter_value, parameter.use_previous_value) {
            (Some(_), true) => {
                return Err(invalid(format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
                )));
            }
            (value, false) => Some(value.unwrap_or_default()),
            (None, true) => None,
        };
        if all.insert(key.clone(), value).is_some() {
            return Err(invalid(format!("Duplicated parameter key: {key}")));
        }
    }
    Ok(all)
}

/// How an operation goes.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeploymentConfig {
    pub(super) mode: Option<String>,
    pub(super) disable_rollback: Option<bool>,
}

impl DeploymentConfig {
    pub(super) fn is_express(config: Option<&Self>) -> bool {
        config.and_then(|config| config.mode.as_deref()) == Some("EXPRESS")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateStack {
    stack_name: String,
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    parameters: Option<Vec<GivenParameter>>,
    #[serde(default)]
    disable_rollback: bool,
    rollback_configuration: Option<RollbackTriggers>,
    timeout_in_minutes: Option<u32>,
    #[serde(rename = "NotificationARNs")]
    notification_arns: Option<Vec<String>>,
    capabilities: Option<Vec<String>>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    on_failure: Option<String>,
    stack_policy_body: Option<String>,
    #[serde(rename = "StackPolicyURL")]
    stack_policy_url: Option<String>,
    tags: Option<Vec<Tag>>,
    client_request_token: Option<String>,
    #[serde(default)]
    enable_termination_protection: bool,
    #[serde(default)]
    retain_except_on_create: bool,
    deployment_config: Option<DeploymentConfig>,
    /// Checks of schemas before anything is made are those of change sets.
    #[serde(rename = "DisableValidation")]
    _disable_validation: Option<bool>,
}

/// The answer of a call that begins an operation.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Begun {
    pub(super) stack_id: String,
    pub(super) operation_id: Option<String>,
}

/// What happens on a failure, as AWS spells it.
pub(super) fn on_failure(told: Option<&str>, disabled: bool) -> Result<OnFailure, AwsError> {
    match (told, disabled) {
        (Some(_), true) => Err(invalid("Only one of DisableRollback and OnFailure can be specified")),
        (None, true) | (Some("DO_NOTHING"), false) => Ok(OnFailure::Nothing),
        (None | Some("ROLLBACK"), false) => Ok(OnFailure::Rollback),
        (Some("DELETE"), false) => Ok(OnFailure::Delete),
        (Some(other), false) => Err(invalid(format!("{other:?} is no way to deal with a failure"))),
    }
}

/// A name that a stack may have.
pub(super) fn checked_name(name: &str) -> Result<(), AwsError> {
    let fits = name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
    if fits {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

pub(super) fn create_stack(ctx: &mut Ctx<'_>, input: CreateStack) -> Result<Begun, AwsError> {
    checked_name(&input.stack_name)?;
    if let Some(id) = again(ctx, input.client_request_token.as_deref())? {
        let operation = operation_of(ctx, &id);
        return Ok(Begun { stack_id: id, operation_id: operation });
    }
    let name = input.stack_name;
    if ctx.place().cloudformation.names.contains_key(&name) {
        return Err(AwsError::new("AlreadyExistsException", format!("Stack [{name}] already exists")));
    }
    let express = DeploymentConfig::is_express(input.deployment_config.as_ref());
    let disabled = input.disable_rollback
        || input.deployment_config.as_ref().and_then(|config| config.disable_rollback).unwrap_or(false);
    let on_failure = on_failure(input.on_failure.as_deref(), disabled)?;
    let asked = Asked {
        body: input.template_body,
        url: input.template_url,
        previous: false,
        parameters: given(input.parameters)?,
        capabilities: input.capabilities.unwrap_or_default(),
        tags: input.tags.map(kept),
        role: input.role_arn,
        notifications: input.notification_arns,
        triggers: input.rollback_configuration,
    };
    let policy = policy::given(ctx, input.stack_policy_body, input.stack_policy_url)?;
    let goal = prepare(ctx, &name, None, asked)?;
    acknowledged(&goal, true)?;
    let id = lifecycle::admit(ctx, &name, goal, StackPhase::CreateInProgress);
    if let Some(found) = stack(ctx, &id) {
        found.policy = policy;
        found.protected = input.enable_termination_protection;
        found.disable_rollback = on_failure == OnFailure::Nothing;
        found.timeout_minutes = input.timeout_in_minutes;
    }
    let retain_except_on_create = input.retain_except_on_create;
    let options =
        Options { on_failure, retain_except_on_create, express, requester: Requester::of(ctx), ..Options::default() };
    let operation = lifecycle::create(ctx, &id, input.client_request_token.clone(), options);
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id.clone());
    Ok(Begun { stack_id: id, operation_id: Some(operation) })
}

/// The stack that the same call with this token began with.
pub(super) fn again(ctx: &mut Ctx<'_>, token: Option<&str>) -> Result<Option<String>, AwsError> {
    ctx.made(token, || {
        AwsError::new("TokenAlreadyExistsException", "A client request token already exists for another operation")
    })
}

pub(super) fn remember(ctx: &mut Ctx<'_>, token: Option<&str>, id: &str) {
    ctx.remember(token, std::time::Duration::from_secs(24 * 3600), id);
}

pub(super) fn operation_of(ctx: &mut Ctx<'_>, id: &str) -> Option<String> {
    stack(ctx, id).and_then(|found| found.operations.first().map(|(_, id)| id.clone()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateStack {
    stack_name: String,
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    #[serde(default)]
    use_previous_template: bool,
    stack_policy_during_update_body: Option<String>,
    #[serde(rename = "StackPolicyDuringUpdateURL")]
    stack_policy_during_update_url: Option<String>,
    parameters: Option<Vec<GivenParameter>>,
    capabilities: Option<Vec<String>>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    rollback_configuration: Option<RollbackTriggers>,
    stack_policy_body: Option<String>,
    #[serde(rename = "StackPolicyURL")]
    stack_policy_url: Option<String>,
    #[serde(rename = "NotificationARNs")]
    notification_arns: Option<Vec<String>>,
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    disable_rollback: bool,
    client_request_token: Option<String>,
    #[serde(default)]
    retain_except_on_create: bool,
    deployment_config: Option<DeploymentConfig>,
    #[serde(rename = "DisableValidation")]
    _disable_validation: Option<bool>,
}

/// Refuse to change a stack that cannot be changed now.
pub(super) fn changeable(ctx: &mut Ctx<'_>, id: &str) -> Result<(), AwsError> {
    let Some(found) = stack(ctx, id) else { return Err(invalid(format!("Stack [{id}] does not exist"))) };
    let phase = found.phase;
    let after_failure = matches!(phase, StackPhase::CreateFailed | StackPhase::UpdateFailed);
    if phase.is_updatable() || after_failure {
        return Ok(());
    }
    Err(invalid(format!("Stack:{id} is in {} state and can not be updated.", phase.text())))
}

pub(super) fn update_stack(ctx: &mut Ctx<'_>, input: UpdateStack) -> Result<Begun, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    if let Some(id) = again(ctx, input.client_request_token.as_deref())? {
        let operation = operation_of(ctx, &id);
        return Ok(Begun { stack_id: id, operation_id: operation });
    }
    changeable(ctx, &id)?;
    let express = DeploymentConfig::is_express(input.deployment_config.as_ref());
    let asked = Asked {
        body: input.template_body,
        url: input.template_url,
        previous: input.use_previous_template,
        parameters: given(input.parameters)?,
        capabilities: input.capabilities.unwrap_or_default(),
        tags: input.tags.map(kept),
        role: input.role_arn,
        notifications: input.notification_arns,
        triggers: input.rollback_configuration,
    };
    let during = policy::given(ctx, input.stack_policy_during_update_body, input.stack_policy_during_update_url)?;
    let policy = policy::given(ctx, input.stack_policy_body, input.stack_policy_url)?;
    let name = stack(ctx, &id).map(|found| found.name.clone()).unwrap_or_default();
    let goal = prepare(ctx, &name, Some(&id), asked)?;
    acknowledged(&goal, true)?;
    let changes = planned_changes(ctx, &id, &goal, (false, false)).map_err(invalid)?;
    let same =
        stack(ctx, &id).is_some_and(|found| !planning::differs(&found.goal, &goal) && found.phase.is_updatable());
    if changes.is_empty() && same && policy.is_none() {
        return Err(invalid("No updates are to be performed."));
    }
    if let (Some(found), Some(policy)) = (stack(ctx, &id), policy) {
        found.policy = Some(policy);
    }
    let disabled = input.disable_rollback
        || input.deployment_config.as_ref().and_then(|config| config.disable_rollback).unwrap_or(false);
    let options = Options {
        on_failure: if disabled { OnFailure::Nothing } else { OnFailure::Rollback },
        policy: during,
        retain_except_on_create: input.retain_except_on_create,
        express,
        requester: Requester::of(ctx),
        ..Options::default()
    };
    changesets::outdate(ctx, &id, None);
    let operation = lifecycle::update(ctx, &id, goal, input.client_request_token.clone(), options);
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id.clone());
    Ok(Begun { stack_id: id, operation_id: Some(operation) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteStack {
    stack_name: String,
    retain_resources: Option<Vec<String>>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    client_request_token: Option<String>,
    deletion_mode: Option<String>,
    deployment_config: Option<DeploymentConfig>,
}

pub(super) fn delete_stack(ctx: &mut Ctx<'_>, input: DeleteStack) -> Result<Empty, AwsError> {
    // One that is not there is as whoever calls wants it.
    let Ok(id) = found(ctx, &input.stack_name) else {
        ctx.unchanged();
        return Ok(Empty {});
    };
    if again(ctx, input.client_request_token.as_deref())?.is_some() {
        return Ok(Empty {});
    }
    let Some(found) = stack(ctx, &id) else { return Ok(Empty {}) };
    let (phase, name) = (found.phase, found.name.clone());
    if !found.is_there() || phase == StackPhase::DeleteInProgress {
        ctx.unchanged();
        return Ok(Empty {});
    }
    let root = found.root.clone();
    let protected = found.protected
        || root.and_then(|root| stack(ctx, &root)).is_some_and(|root| root.protected && root.is_there());
    if protected {
        return Err(invalid(format!("Stack [{name}] cannot be deleted while TerminationProtection is enabled")));
    }
    if matches!(
        phase,
        StackPhase::UpdateCompleteCleanup
            | StackPhase::UpdateRollbackInProgress
            | StackPhase::UpdateRollbackCleanup
            | StackPhase::UpdateInProgress
    ) {
        return Err(invalid(format!("Stack [{name}] cannot be deleted while in status {}", phase.text())));
    }
    let retain: std::collections::BTreeSet<String> = input.retain_resources.unwrap_or_default().into_iter().collect();
    if !retain.is_empty() && phase != StackPhase::DeleteFailed {
        return Err(invalid(format!(
            "Invalid operation on stack [{id}]. RetainResources can only be specified for a stack in DELETE_FAILED state."
        )));
    }
    assumed(ctx, input.role_arn.as_deref())?;
    if let (Some(role), Some(found)) = (input.role_arn, stack(ctx, &id)) {
        found.goal.role = Some(role);
    }
    let options = Options {
        retain,
        force: input.deletion_mode.as_deref() == Some("FORCE_DELETE_STACK"),
        express: DeploymentConfig::is_express(input.deployment_config.as_ref()),
        requester: Requester::of(ctx),
        ..Options::default()
    };
    if phase == StackPhase::ReviewInProgress {
        super::finishing::finish(ctx, &id, StackPhase::DeleteComplete, None);
    } else {
        lifecycle::delete(ctx, &id, input.client_request_token.clone(), options);
    }
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateTerminationProtection {
    stack_name: String,
    enable_termination_protection: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackNamed {
    stack_id: String,
}

pub(super) fn update_termination_protection(
    ctx: &mut Ctx<'_>,
    input: UpdateTerminationProtection,
) -> Result<StackNamed, AwsError> {
    let id = living(ctx, &input.stack_name)?;
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    if found.parent.is_some() {
        return Err(invalid(format!(
            "Termination protection can only be updated on the root stack and not on the nested stack [{id}]"
        )));
    }
    found.protected = input.enable_termination_protection;
    ctx.touch(id.clone());
    Ok(StackNamed { stack_id: id })
}
