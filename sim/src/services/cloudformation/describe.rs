//! Stacks, their resources and what happened to them, as the API shows them.
//!
//! The main functions are [`describe_stacks`] and [`describe_stack_events`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changesets;
use super::stack::{Goal, Stack, StackEvent, StackParameter, StackResource};
use super::state::{found, invalid, stack};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{Tag, listed};

/// The parameters of a stack; those that are not shown as stars.
pub(super) fn parameters(goal: &Goal) -> Vec<Value> {
    let shown = |(name, StackParameter { value, resolved, hidden }): (&String, &StackParameter)| match hidden {
        true => json!({ "ParameterKey": name, "ParameterValue": "****" }),
        false => json!({ "ParameterKey": name, "ParameterValue": value, "ResolvedValue": resolved }),
    };
    goal.parameters.iter().map(shown).collect()
}

fn drift(found: &Stack) -> Value {
    match found.drift {
        Some((drifted, at)) => {
            json!({ "StackDriftStatus": if drifted { "DRIFTED" } else { "IN_SYNC" }, "LastCheckTimestamp": at })
        }
        None => json!({ "StackDriftStatus": "NOT_CHECKED" }),
    }
}

fn operations(found: &Stack) -> Value {
    found.operations.iter().map(|(kind, id)| json!({ "OperationType": kind, "OperationId": id })).collect()
}

fn shown(found: &Stack) -> Value {
    let Stack { goal, .. } = found;
    json!({
        "StackId": found.id, "StackName": found.name, "ChangeSetId": found.executed, "Description": goal.template.description,
        "Parameters": parameters(goal), "CreationTime": found.created, "DeletionTime": found.deleted,
        "LastUpdatedTime": found.updated, "RollbackConfiguration": goal.triggers, "StackStatus": found.phase.text(),
        "StackStatusReason": found.reason, "DisableRollback": found.disable_rollback, "NotificationARNs": goal.notifications,
        "TimeoutInMinutes": found.timeout_minutes, "Capabilities": goal.capabilities, "Outputs": found.outputs,
        "RoleARN": goal.role, "Tags": listed::<Tag>(&goal.tags), "EnableTerminationProtection": found.protected,
        "ParentId": found.parent, "RootId": found.root, "DriftInformation": drift(found), "LastOperations": operations(found),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStacks {
    stack_name: Option<String>,
    next_token: Option<String>,
}

/// A page of a list that is there whole: its name, and what is on it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackPage {
    stacks: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_stacks(ctx: &mut Ctx<'_>, input: DescribeStacks) -> Result<StackPage, AwsError> {
    if let Some(name) = &input.stack_name {
        let id = found(ctx, name)?;
        let stacks = stack(ctx, &id).map(|found| shown(found)).into_iter().collect();
        return Ok(StackPage { stacks, next_token: None });
    }
    let there: Vec<Stack> = newest(ctx).into_iter().filter(Stack::is_there).collect();
    let page = ctx.page("stacks", there, 100, input.next_token.as_deref(), |found| &found.id);
    let (stacks, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    Ok(StackPage { stacks: stacks.iter().map(shown).collect(), next_token })
}

fn newest(ctx: &mut Ctx<'_>) -> Vec<Stack> {
    let mut all: Vec<Stack> = ctx.place().cloudformation.stacks.values().cloned().collect();
    all.sort_by(|one, other| other.created.cmp(&one.created).then(one.id.cmp(&other.id)));
    all
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListStacks {
    next_token: Option<String>,
    stack_status_filter: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackSummaries {
    stack_summaries: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_stacks(ctx: &mut Ctx<'_>, input: ListStacks) -> Result<StackSummaries, AwsError> {
    let wanted = input.stack_status_filter.unwrap_or_default();
    let mut all = newest(ctx);
    all.retain(|found| wanted.is_empty() || wanted.iter().any(|status| status == found.phase.text()));
    let page = ctx.page("stack summaries", all, 100, input.next_token.as_deref(), |found| &found.id);
    let (stacks, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let summary = |found: &Stack| {
        json!({
            "StackId": found.id, "StackName": found.name, "TemplateDescription": found.goal.template.description,
            "CreationTime": found.created, "LastUpdatedTime": found.updated, "DeletionTime": found.deleted,
            "StackStatus": found.phase.text(), "StackStatusReason": found.reason, "ParentId": found.parent,
            "RootId": found.root, "DriftInformation": drift(found), "LastOperations": operations(found),
        })
    };
    Ok(StackSummaries { stack_summaries: stacks.iter().map(summary).collect(), next_token })
}

fn drift_of(resource: &StackResource) -> Value {
    match &resource.drift {
        Some(drift) => json!({ "StackResourceDriftStatus": drift.status, "LastCheckTimestamp": drift.checked }),
        None => json!({ "StackResourceDriftStatus": "NOT_CHECKED" }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStackResources {
    stack_name: Option<String>,
    logical_resource_id: Option<String>,
    physical_resource_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackResources {
    stack_resources: Vec<Value>,
}

pub(super) fn describe_stack_resources(
    ctx: &mut Ctx<'_>,
    input: DescribeStackResources,
) -> Result<StackResources, AwsError> {
    let id = match (&input.stack_name, &input.physical_resource_id) {
        (Some(name), None) => found(ctx, name)?,
        (None, Some(physical)) => {
            let stacks = ctx.place().cloudformation.stacks.values().filter(|found| found.is_there());
            let owner = stacks
                .into_iter()
                .find(|found| found.resources.values().any(|one| one.physical.as_ref() == Some(physical)));
            owner
                .map(|found| found.id.clone())
                .ok_or_else(|| invalid(format!("Stack for {physical} does not exist")))?
        }
        _ => return Err(invalid("Exactly one of StackName and PhysicalResourceId must be specified")),
    };
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    let shown = |resource: &StackResource| {
        json!({
            "StackName": found.name, "StackId": found.id, "LogicalResourceId": resource.logical,
            "PhysicalResourceId": resource.physical, "ResourceType": resource.kind, "Timestamp": resource.updated,
            "ResourceStatus": resource.phase.text(), "ResourceStatusReason": resource.reason,
            "DriftInformation": drift_of(resource),
        })
    };
    let wanted =
        |resource: &&StackResource| input.logical_resource_id.as_ref().is_none_or(|name| *name == resource.logical);
    Ok(StackResources { stack_resources: found.resources.values().filter(wanted).take(100).map(shown).collect() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStackResource {
    stack_name: String,
    logical_resource_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackResourceFound {
    stack_resource_detail: Value,
}

pub(super) fn describe_stack_resource(
    ctx: &mut Ctx<'_>,
    input: DescribeStackResource,
) -> Result<StackResourceFound, AwsError> {
    let id = found(ctx, &input.stack_name)?;
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    let name = &input.logical_resource_id;
    let resource = found.resources.get(name);
    let resource =
        resource.ok_or_else(|| invalid(format!("Resource {name} does not exist for stack {}", input.stack_name)))?;
    Ok(StackResourceFound {
        stack_resource_detail: json!({
            "StackName": found.name, "StackId": found.id, "LogicalResourceId": resource.logical,
            "PhysicalResourceId": resource.physical, "ResourceType": resource.kind, "LastUpdatedTimestamp": resource.updated,
            "ResourceStatus": resource.phase.text(), "ResourceStatusReason": resource.reason,
            "Metadata": resource.said.get("Metadata").map(Value::to_string), "DriftInformation": drift_of(resource),
        }),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListStackResources {
    stack_name: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceSummaries {
    stack_resource_summaries: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_stack_resources(
    ctx: &mut Ctx<'_>,
    input: ListStackResources,
) -> Result<ResourceSummaries, AwsError> {
    let id = found(ctx, &input.stack_name)?;
    let resources: Vec<StackResource> =
        stack(ctx, &id).map(|found| found.resources.values().cloned().collect()).unwrap_or_default();
    let page = ctx.page(&id, resources, 100, input.next_token.as_deref(), |resource| &resource.logical);
    let (resources, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let summary = |resource: &StackResource| {
        json!({
            "LogicalResourceId": resource.logical, "PhysicalResourceId": resource.physical, "ResourceType": resource.kind,
            "LastUpdatedTimestamp": resource.updated, "ResourceStatus": resource.phase.text(),
            "ResourceStatusReason": resource.reason, "DriftInformation": drift_of(resource),
        })
    };
    Ok(ResourceSummaries { stack_resource_summaries: resources.iter().map(summary).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStackEvents {
    stack_name: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackEvents {
    stack_events: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_stack_events(ctx: &mut Ctx<'_>, input: DescribeStackEvents) -> Result<StackEvents, AwsError> {
    let id =
        found(ctx, &input.stack_name).map_err(|_| invalid(format!("Stack [{}] does not exist", input.stack_name)))?;
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    let name = found.name.clone();
    let events: Vec<StackEvent> = found.happened.iter().rev().cloned().collect();
    let page = ctx.page(&id, events, 100, input.next_token.as_deref(), |event| &event.id);
    let (events, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let shown = |event: &StackEvent| {
        json!({
            "StackId": id, "EventId": event.id, "StackName": name, "OperationId": Some(&event.operation).filter(|id| !id.is_empty()),
            "LogicalResourceId": event.logical, "PhysicalResourceId": event.physical, "ResourceType": event.kind,
            "Timestamp": event.at, "ResourceStatus": event.status, "ResourceStatusReason": event.reason,
            "ResourceProperties": event.properties, "ClientRequestToken": event.token, "DetailedStatus": event.detailed,
        })
    };
    Ok(StackEvents { stack_events: events.iter().map(shown).collect(), next_token })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventFilter {
    failed_events: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeEvents {
    stack_name: Option<String>,
    change_set_name: Option<String>,
    operation_id: Option<String>,
    #[serde(default)]
    filters: EventFilter,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OperationEvents {
    operation_events: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_events(ctx: &mut Ctx<'_>, input: DescribeEvents) -> Result<OperationEvents, AwsError> {
    let failed_only = input.filters.failed_events.unwrap_or(false);
    let list = format!("{:?}{:?}{:?}", input.stack_name, input.change_set_name, input.operation_id);
    let events = match (&input.change_set_name, &input.stack_name, &input.operation_id) {
        (Some(set), _, _) => faults(ctx, set, input.stack_name.as_deref())?,
        (None, Some(name), operation) => {
            let id = found(ctx, name)?;
            happened(ctx, &id, operation.as_deref())
        }
        (None, None, Some(operation)) => {
            let stacks = ctx.place().cloudformation.stacks.values();
            let of = stacks.into_iter().find(|found| found.happened.iter().any(|event| event.operation == *operation));
            let id = of
                .map(|found| found.id.clone())
                .ok_or_else(|| invalid(format!("Operation [{operation}] does not exist")))?;
            happened(ctx, &id, Some(operation))
        }
        (None, None, None) => return Err(invalid("One of StackName, ChangeSetName and OperationId must be specified")),
    };
    let is_failure = |event: &(String, Value)| {
        let status = event.1.get("ResourceStatus").and_then(Value::as_str).unwrap_or_default();
        status.ends_with("_FAILED") || event.1.get("EventType").is_some_and(|kind| kind == "VALIDATION_ERROR")
    };
    let events: Vec<(String, Value)> = events.into_iter().filter(|event| !failed_only || is_failure(event)).collect();
    let page = ctx.page(&list, events, 100, input.next_token.as_deref(), |(id, _)| id);
    let (events, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    Ok(OperationEvents { operation_events: events.into_iter().map(|(_, event)| event).collect(), next_token })
}

/// What happened in an operation, the newest first.
fn happened(ctx: &mut Ctx<'_>, id: &str, operation: Option<&str>) -> Vec<(String, Value)> {
    let Some(found) = stack(ctx, id) else { return Vec::new() };
    let kinds = found.operations.clone();
    let events =
        found.happened.iter().rev().filter(|event| operation.is_none_or(|operation| event.operation == operation));
    let shown = |event: &StackEvent| {
        let is_stack = event.physical == id;
        let failed = event.status.ends_with("_FAILED");
        let kind = match (is_stack, failed) {
            (true, _) => "STACK_EVENT",
            (false, true) => "PROVISIONING_ERROR",
            (false, false) => "PROGRESS_EVENT",
        };
        let of = kinds.iter().find(|(_, id)| *id == event.operation).map(|(kind, _)| *kind);
        let status = is_stack.then_some(match event.status {
            failed if failed.ends_with("_FAILED") => "FAILED",
            done if done.ends_with("_COMPLETE") => "SUCCEEDED",
            _ => "IN_PROGRESS",
        });
        let shown = json!({
            "EventId": event.id, "StackId": id, "OperationId": Some(&event.operation).filter(|id| !id.is_empty()),
            "OperationType": of, "OperationStatus": status, "EventType": kind, "LogicalResourceId": event.logical,
            "PhysicalResourceId": event.physical, "ResourceType": event.kind, "Timestamp": event.at, "StartTime": event.at,
            "ResourceStatus": event.status, "ResourceStatusReason": event.reason, "ResourceProperties": event.properties,
            "ClientRequestToken": event.token, "DetailedStatus": event.detailed,
        });
        (event.id.clone(), shown)
    };
    events.map(shown).collect()
}

/// What early validation says of a change set.
fn faults(ctx: &mut Ctx<'_>, set: &str, name: Option<&str>) -> Result<Vec<(String, Value)>, AwsError> {
    let (id, set_id) = changesets::owner(ctx, set, name)?;
    let Some(set) = stack(ctx, &id).and_then(|found| found.change_sets.get(&set_id)).cloned() else {
        return Ok(Vec::new());
    };
    let shown = |(index, (path, told)): (usize, &(String, String))| {
        let event = format!("{set_id}/{index}");
        let logical = path.split('/').nth(2).unwrap_or_default();
        let shown = json!({
            "EventId": event, "StackId": id, "OperationId": set_id, "OperationType": "CREATE_CHANGESET", "OperationStatus": "FAILED",
            "EventType": "VALIDATION_ERROR", "LogicalResourceId": logical, "Timestamp": set.created,
            "ValidationFailureMode": "FAIL", "ValidationName": "PROPERTY_VALIDATION", "ValidationStatus": "FAILED",
            "ValidationStatusReason": told, "ValidationPath": path,
        });
        (event, shown)
    };
    Ok(set.faults.iter().enumerate().map(shown).collect())
}
