//! Change sets, as the API shows them.
//!
//! The main function is [`describe_change_set`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changesets::{self, ChangeSet};
use super::describe::parameters;
use super::planning::{Detail, PlannedChange};
use super::state::{invalid, stack};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::tags::{Tag, listed};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeChangeSet {
    change_set_name: String,
    stack_name: Option<String>,
    next_token: Option<String>,
    #[serde(default)]
    include_property_values: bool,
}

pub(super) fn describe_change_set(ctx: &mut Ctx<'_>, input: DescribeChangeSet) -> Result<Value, AwsError> {
    let (id, set_id) = changesets::owner(ctx, &input.change_set_name, input.stack_name.as_deref())?;
    let Some(found) = stack(ctx, &id) else { return Err(invalid("the stack is gone")) };
    let name = found.name.clone();
    let drift = found.drift.map(|(drifted, _)| if drifted { "DRIFTED" } else { "IN_SYNC" });
    let Some(set) = found.change_sets.get(&set_id).cloned() else { return Err(invalid("the change set is gone")) };
    let ChangeSet { goal, .. } = &set;
    let page = ctx.page(&set_id, set.changes.clone(), 100, input.next_token.as_deref(), |change| &change.logical);
    let (changes, next) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let shown: Vec<Value> = changes.iter().map(|change| shown(change, input.include_property_values)).collect();
    Ok(json!({
        "ChangeSetName": set.name, "ChangeSetId": set.id, "StackId": id, "StackName": name,
        "Description": set.description, "Parameters": parameters(goal), "CreationTime": set.created,
        "ExecutionStatus": set.execution, "Status": set.status, "StatusReason": set.reason,
        "StackDriftStatus": set.reverts.then_some(drift).flatten(),
        "NotificationARNs": goal.notifications, "RollbackConfiguration": goal.triggers,
        "Capabilities": goal.capabilities, "Tags": listed::<Tag>(&goal.tags),
        "Changes": shown, "NextToken": next, "IncludeNestedStacks": set.include_nested,
        "ParentChangeSetId": set.parent, "RootChangeSetId": set.root, "OnStackFailure": set.on_failure,
        "ImportExistingResources": false,
        "DeploymentMode": set.reverts.then_some("REVERT_DRIFT"), "DeploymentConfig": set.config,
    }))
}

fn shown(change: &PlannedChange, values: bool) -> Value {
    let PlannedChange {
        logical,
        kind,
        physical,
        action,
        replacement,
        policy,
        scope,
        details,
        before,
        after,
        nested,
        drift,
        ..
    } = change;
    let details: Vec<Value> = details.iter().map(|one| detail(one, values)).collect();
    json!({
        "Type": "Resource",
        "ResourceChange": {
            "PolicyAction": policy, "Action": action, "LogicalResourceId": logical, "PhysicalResourceId": physical,
            "ResourceType": kind, "Replacement": replacement, "Scope": scope, "Details": details,
            "ChangeSetId": nested, "ResourceDriftStatus": drift,
            "BeforeContext": before.as_ref().filter(|_| values), "AfterContext": after.as_ref().filter(|_| values),
        },
    })
}

fn detail(detail: &Detail, values: bool) -> Value {
    let Detail { attribute, name, path, before, after, recreation, change, evaluation, source, entity } = detail;
    json!({
        "Target": {
            "Attribute": attribute, "Name": name, "RequiresRecreation": recreation.map(|one| one.text()),
            "Path": path.as_ref().filter(|_| values), "BeforeValue": before.as_ref().filter(|_| values),
            "AfterValue": after.as_ref().filter(|_| values), "AttributeChangeType": change,
        },
        "Evaluation": evaluation, "ChangeSource": source, "CausingEntity": entity,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListChangeSets {
    stack_name: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeSetList {
    summaries: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn list_change_sets(ctx: &mut Ctx<'_>, input: ListChangeSets) -> Result<ChangeSetList, AwsError> {
    let sets = changesets::listed(ctx, &input.stack_name)?;
    let id = ctx.place().cloudformation.id_of(&input.stack_name).unwrap_or_default();
    let name = stack(ctx, &id).map(|found| found.name.clone()).unwrap_or_default();
    let page = ctx.page("change sets", sets, 100, input.next_token.as_deref(), |set| &set.id);
    let (sets, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let summary = |set: ChangeSet| {
        json!({
            "StackId": id, "StackName": name, "ChangeSetId": set.id, "ChangeSetName": set.name,
            "ExecutionStatus": set.execution, "Status": set.status, "StatusReason": set.reason, "CreationTime": set.created,
            "Description": set.description, "IncludeNestedStacks": set.include_nested, "ParentChangeSetId": set.parent,
            "RootChangeSetId": set.root, "ImportExistingResources": false,
        })
    };
    Ok(ChangeSetList { summaries: sets.into_iter().map(summary).collect(), next_token })
}
