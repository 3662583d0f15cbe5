//! Change sets: what an update would do, kept until it is executed or deleted.
//!
//! The main type is [`ChangeSet`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::events::Event;
use super::execution::{OnFailure, Options};
use super::permissions::Requester;
use super::planning::{self, PlannedChange, Planning};
use super::prepare::{Asked, prepare};
use super::requests::{DeploymentConfig, GivenParameter, again, changeable, checked_name, given, on_failure, remember};
use super::stack::{Goal, RollbackTriggers, StackPhase};
use super::state::{found, invalid, living, stack};
use super::{drift, finishing, lifecycle, nested, prepare, telling};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::tags::{Tag, kept};

/// How long AWS takes to find out what would change.
const PLANNING: Duration = Duration::from_secs(4);

/// A change set.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ChangeSet {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: ChangeSetKind,
    pub(super) created: Timestamp,
    pub(super) description: Option<String>,
    pub(super) goal: Goal,
    pub(super) status: &'static str,
    pub(super) execution: &'static str,
    pub(super) reason: Option<String>,
    pub(super) changes: Vec<PlannedChange>,
    pub(super) include_nested: bool,
    pub(super) parent: Option<String>,
    pub(super) root: Option<String>,
    pub(super) on_failure: Option<String>,
    pub(super) reverts: bool,
    #[serde(skip)]
    pub(super) config: Option<DeploymentConfig>,
    pub(super) validates: bool,
    /// What early validation says: the path of the resource, and what is wrong.
    pub(super) faults: Vec<(String, String)>,
    pub(super) token: Option<String>,
}

/// What a change set makes of its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChangeSetKind {
    Create,
    Update,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateChangeSet {
    stack_name: String,
    change_set_name: String,
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    #[serde(default)]
    use_previous_template: bool,
    parameters: Option<Vec<GivenParameter>>,
    capabilities: Option<Vec<String>>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    rollback_configuration: Option<RollbackTriggers>,
    #[serde(rename = "NotificationARNs")]
    notification_arns: Option<Vec<String>>,
    tags: Option<Vec<Tag>>,
    client_token: Option<String>,
    description: Option<String>,
    change_set_type: Option<String>,
    #[serde(default)]
    include_nested_stacks: bool,
    on_stack_failure: Option<String>,
    deployment_mode: Option<String>,
    deployment_config: Option<DeploymentConfig>,
    #[serde(default)]
    disable_validation: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeSetMade {
    id: String,
    stack_id: String,
}

pub(super) fn create_change_set(ctx: &mut Ctx<'_>, input: CreateChangeSet) -> Result<ChangeSetMade, AwsError> {
    let kind = match input.change_set_type.as_deref() {
        Some("CREATE") => ChangeSetKind::Create,
        Some("UPDATE") | None => ChangeSetKind::Update,
        Some(other) => return Err(invalid(format!("the simulator makes no change sets of the type {other}"))),
    };
    if let Some(id) = again(ctx, input.client_token.as_deref())? {
        let stack_id = owner(ctx, &id, None).map(|(stack, _)| stack).unwrap_or_default();
        return Ok(ChangeSetMade { id, stack_id });
    }
    let existing = ctx.place().cloudformation.id_of(&input.stack_name);
    let existing = existing.filter(|id| stack(ctx, id).is_some_and(|found| found.is_there()));
    let phase = existing.as_ref().and_then(|id| stack(ctx, id)).map(|found| found.phase);
    let name =
        existing.as_ref().and_then(|id| stack(ctx, id)).map_or(input.stack_name.clone(), |found| found.name.clone());
    match (kind, phase) {
        (ChangeSetKind::Create, None) => checked_name(&name)?,
        (ChangeSetKind::Create, Some(StackPhase::ReviewInProgress)) => {}
        (ChangeSetKind::Create, Some(_)) => {
            return Err(invalid(format!(
                "Stack [{name}] already exists and cannot be created again with the changeSet [{}].",
                input.change_set_name
            )));
        }
        (ChangeSetKind::Update, None) => return Err(invalid(format!("Stack [{name}] does not exist"))),
        (ChangeSetKind::Update, Some(_)) => changeable(ctx, &existing.clone().unwrap_or_default())?,
    }
    if let Some(found) = existing.as_ref().and_then(|id| stack(ctx, id))
        && found
            .change_sets
            .values()
            .any(|set| set.name == input.change_set_name && set.execution != "EXECUTE_COMPLETE")
    {
        let message = format!("ChangeSet [{}] already exists", input.change_set_name);
        return Err(AwsError::new("AlreadyExistsException", message));
    }
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
    on_failure(input.on_stack_failure.as_deref(), false)?;
    let goal = prepare(ctx, &name, existing.as_deref(), asked)?;
    prepare::acknowledged(&goal, false)?;
    let id = match existing {
        Some(id) => id,
        None => {
            let id = lifecycle::admit(
                ctx,
                &name,
                Goal { text: String::new(), ..goal.clone() },
                StackPhase::ReviewInProgress,
            );
            telling::tell_stack(ctx, &id, StackPhase::ReviewInProgress, Some("User Initiated".to_owned()));
            id
        }
    };
    let set = ChangeSet {
        id: set_id(ctx, &input.change_set_name),
        name: input.change_set_name,
        kind,
        created: ctx.now(),
        description: input.description,
        goal,
        status: "CREATE_PENDING",
        execution: "UNAVAILABLE",
        reason: None,
        changes: Vec::new(),
        include_nested: input.include_nested_stacks,
        parent: None,
        root: None,
        on_failure: input.on_stack_failure,
        reverts: input.deployment_mode.as_deref() == Some("REVERT_DRIFT"),
        config: input.deployment_config,
        validates: !input.disable_validation,
        faults: Vec::new(),
        token: None,
    };
    let made = ChangeSetMade { id: set.id.clone(), stack_id: id.clone() };
    remember(ctx, input.client_token.as_deref(), &set.id);
    ctx.touch(set.id.clone());
    ctx.schedule(PLANNING, Event::Planned { stack: id.clone(), set: set.id.clone() });
    if let Some(found) = stack(ctx, &id) {
        found.change_sets.insert(set.id.clone(), set);
    }
    Ok(made)
}

fn set_id(scope: &mut Scope<'_>, name: &str) -> String {
    let uuid = scope.world.ids.uuid(&format!("cloudformation/change-set/{}", scope.at));
    scope.arn("cloudformation", &format!("changeSet/{name}/{uuid}"))
}

/// What a goal would change of a stack.
pub(super) fn planned_changes(
    scope: &mut Scope<'_>,
    id: &str,
    goal: &Goal,
    (reverts, within): (bool, bool),
) -> Result<Vec<PlannedChange>, String> {
    let steady = if within { nested::steady(scope, id) } else { BTreeSet::new() };
    let drifted = if reverts { drift::drifted(scope, id) } else { BTreeMap::new() };
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return Err("the stack is gone".to_owned()) };
    let planning = Planning {
        old: Some(&found.goal).filter(|goal| !goal.text.is_empty()),
        new: goal,
        resources: &found.resources,
        state,
        at: &at,
        named: (&found.name, &found.id),
        drifted: &drifted,
        steady: &steady,
    };
    planning::plan(&planning)
}

/// A change set's plan is made.
pub(super) fn planned(scope: &mut Scope<'_>, id: &str, set_id: &str) {
    let Some(set) = stack(scope, id).and_then(|found| found.change_sets.get(set_id)).cloned() else { return };
    let faults: Vec<(String, String)> = match set.validates {
        true => set
            .goal
            .faults
            .iter()
            .map(|(logical, told)| (format!("/Resources/{logical}/Properties"), told.clone()))
            .collect(),
        false => Vec::new(),
    };
    let outcome = planned_changes(scope, id, &set.goal, (set.reverts, set.include_nested));
    let mut changes = outcome.clone().unwrap_or_default();
    if set.include_nested && faults.is_empty() {
        within(scope, id, &set, &mut changes);
    }
    let same = stack(scope, id).is_some_and(|found| {
        set.kind == ChangeSetKind::Update && found.phase.is_updatable() && !planning::differs(&found.goal, &set.goal)
    });
    let reason = match (&outcome, faults.is_empty(), changes.is_empty() && same) {
        (Err(reason), _, _) => Some(reason.clone()),
        (Ok(_), false, _) => Some(
            "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early Validation \
             errors, use the DescribeEvents API for detailed failure information."
                .to_owned(),
        ),
        (Ok(_), true, true) => Some(
            "The submitted information didn't contain changes. Submit different information to create a change set.".to_owned(),
        ),
        (Ok(_), true, false) => None,
    };
    let Some(set) = stack(scope, id).and_then(|found| found.change_sets.get_mut(set_id)) else { return };
    set.faults = faults;
    (set.status, set.execution) = match &reason {
        Some(_) => ("FAILED", "UNAVAILABLE"),
        None => ("CREATE_COMPLETE", "AVAILABLE"),
    };
    set.reason = reason;
    set.changes = changes;
}

/// Plans of nested stacks: each of them gets a change set of its own.
fn within(scope: &mut Scope<'_>, id: &str, parent: &ChangeSet, changes: &mut Vec<PlannedChange>) {
    let Some(name) = stack(scope, id).map(|found| found.name.clone()) else { return };
    let mut unchanged = BTreeSet::new();
    for change in
        changes.iter_mut().filter(|change| change.kind == "AWS::CloudFormation::Stack" && change.action != "Remove")
    {
        let child = match &change.physical {
            Some(child) => stack(scope, child).map(|found| (found.name.clone(), child.clone())),
            None => None,
        };
        let (child_name, waiting) = match &child {
            Some((name, _)) => (name.clone(), None),
            None => nested::named(scope, id, &name, &change.logical),
        };
        let asked = Asked {
            url: change.properties.get("TemplateURL").and_then(Value::as_str).map(str::to_owned),
            parameters: nested::parameters(&change.properties),
            capabilities: parent.goal.capabilities.clone(),
            tags: Some(parent.goal.tags.clone()),
            ..Asked::default()
        };
        let existing = child.map(|(_, id)| id);
        let Ok(goal) = prepare(scope, &child_name, existing.as_deref(), asked) else { continue };
        let kind = if existing.is_some() { ChangeSetKind::Update } else { ChangeSetKind::Create };
        let child = existing.or(waiting).unwrap_or_else(|| {
            let review = Goal { text: String::new(), ..goal.clone() };
            let child = lifecycle::admit(scope, &child_name, review, StackPhase::ReviewInProgress);
            if let Some(found) = stack(scope, &child) {
                (found.parent, found.root) =
                    (Some(id.to_owned()), Some(parent.root.clone().unwrap_or_else(|| id.to_owned())));
            }
            child
        });
        let set_name = format!("{}-{}", parent.name, change.logical);
        let set = ChangeSet {
            id: set_id(scope, &set_name),
            name: set_name,
            kind,
            goal,
            status: "CREATE_IN_PROGRESS",
            parent: Some(parent.id.clone()),
            root: Some(parent.root.clone().unwrap_or_else(|| parent.id.clone())),
            changes: Vec::new(),
            ..parent.clone()
        };
        let set_id = set.id.clone();
        if let Some(found) = stack(scope, &child) {
            found.change_sets.insert(set_id.clone(), set);
        }
        planned(scope, &child, &set_id);
        let failed = stack(scope, &child)
            .and_then(|found| found.change_sets.get(&set_id))
            .is_some_and(|set| set.status == "FAILED");
        let automatic = change.details.iter().all(|detail| detail.source == "Automatic");
        if failed && automatic && change.action == "Modify" {
            if let Some(found) = stack(scope, &child) {
                found.change_sets.remove(&set_id);
            }
            unchanged.insert(change.logical.clone());
        }
        change.nested = Some(set_id);
    }
    changes.retain(|change| !unchanged.contains(&change.logical));
}

/// The stack and the id of a change set, by its name or its id.
pub(super) fn owner(scope: &mut Scope<'_>, set: &str, stack_name: Option<&str>) -> Result<(String, String), AwsError> {
    let missing = || {
        AwsError::new("ChangeSetNotFound", format!("ChangeSet [{set}] does not exist"))
            .status(404)
            .shape("ChangeSetNotFoundException")
    };
    let stacks = &scope.place().cloudformation.stacks;
    if set.starts_with("arn:") {
        let found = stacks.values().find(|stack| stack.change_sets.contains_key(set));
        return found.map(|stack| (stack.id.clone(), set.to_owned())).ok_or_else(missing);
    }
    let Some(name) = stack_name else {
        return Err(invalid("StackName must be specified if ChangeSetName is not specified as an ARN."));
    };
    let id = found(scope, name)?;
    let sets = stack(scope, &id).map(|found| &found.change_sets);
    let newest =
        sets.into_iter().flat_map(|sets| sets.values()).filter(|one| one.name == set).max_by_key(|one| one.created);
    newest.map(|set| (id.clone(), set.id.clone())).ok_or_else(missing)
}

/// The others of a stack count no more: it is changed.
pub(super) fn outdate(scope: &mut Scope<'_>, id: &str, but: Option<&str>) {
    let Some(found) = stack(scope, id) else { return };
    match but {
        Some(but) => found.change_sets.retain(|set, _| set == but),
        None => {
            for set in found.change_sets.values_mut().filter(|set| set.execution == "AVAILABLE") {
                set.execution = "OBSOLETE";
            }
        }
    }
}

/// The operation that a change set began is over.
pub(super) fn over(scope: &mut Scope<'_>, id: &str, well: bool) {
    let Some(found) = stack(scope, id) else { return };
    for set in found.change_sets.values_mut().filter(|set| set.execution == "EXECUTE_IN_PROGRESS") {
        set.execution = if well { "EXECUTE_COMPLETE" } else { "EXECUTE_FAILED" };
    }
}

/// The answer of an operation whose output has no members.
#[derive(Serialize)]
pub(super) struct ChangeSetDone {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecuteChangeSet {
    change_set_name: String,
    stack_name: Option<String>,
    client_request_token: Option<String>,
    #[serde(default)]
    disable_rollback: bool,
    #[serde(default)]
    retain_except_on_create: bool,
}

pub(super) fn execute_change_set(ctx: &mut Ctx<'_>, input: ExecuteChangeSet) -> Result<ChangeSetDone, AwsError> {
    if again(ctx, input.client_request_token.as_deref())?.is_some() {
        return Ok(ChangeSetDone {});
    }
    let (id, set_id) = owner(ctx, &input.change_set_name, input.stack_name.as_deref())?;
    let Some(set) = stack(ctx, &id).and_then(|found| found.change_sets.get(&set_id)).cloned() else {
        return Err(invalid("the change set is gone"));
    };
    let refused = |status: &str| {
        let message = format!("ChangeSet [{set_id}] cannot be executed in its current status of [{status}]");
        AwsError::new("InvalidChangeSetStatus", message).shape("InvalidChangeSetStatusException")
    };
    if set.status != "CREATE_COMPLETE" {
        return Err(refused(set.status));
    }
    if set.execution != "AVAILABLE" {
        return Err(refused(set.execution));
    }
    if set.parent.is_some() {
        return Err(invalid(format!(
            "ChangeSet [{set_id}] is of a nested stack: the one of its root is to be executed"
        )));
    }
    let phase = stack(ctx, &id).map(|found| found.phase);
    match (set.kind, phase) {
        (ChangeSetKind::Create, Some(StackPhase::ReviewInProgress)) => {}
        (ChangeSetKind::Create, _) => return Err(refused("OBSOLETE")),
        (ChangeSetKind::Update, _) => changeable(ctx, &id)?,
    }
    outdate(ctx, &id, Some(&set_id));
    if let Some(found) = stack(ctx, &id) {
        found.executed = Some(set_id.clone());
        if let Some(set) = found.change_sets.get_mut(&set_id) {
            (set.execution, set.token) = ("EXECUTE_IN_PROGRESS", input.client_request_token.clone());
        }
    }
    let config = set.config.as_ref();
    let disabled = input.disable_rollback || config.and_then(|config| config.disable_rollback).unwrap_or(false);
    let wanted = on_failure(set.on_failure.as_deref(), false)?;
    let options = Options {
        on_failure: if disabled { OnFailure::Nothing } else { wanted },
        retain_except_on_create: input.retain_except_on_create,
        express: DeploymentConfig::is_express(config),
        drifted: set
            .changes
            .iter()
            .filter(|change| change.drift.is_some())
            .map(|change| change.logical.clone())
            .collect(),
        requester: Requester::of(ctx),
        ..Options::default()
    };
    match set.kind {
        ChangeSetKind::Create => {
            if let Some(found) = stack(ctx, &id) {
                found.goal = set.goal;
                found.disable_rollback = options.on_failure == OnFailure::Nothing;
            }
            lifecycle::create(ctx, &id, input.client_request_token.clone(), options);
        }
        ChangeSetKind::Update => {
            lifecycle::update(ctx, &id, set.goal, input.client_request_token.clone(), options);
        }
    }
    remember(ctx, input.client_request_token.as_deref(), &id);
    ctx.touch(id);
    Ok(ChangeSetDone {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteChangeSet {
    change_set_name: String,
    stack_name: Option<String>,
}

pub(super) fn delete_change_set(ctx: &mut Ctx<'_>, input: DeleteChangeSet) -> Result<ChangeSetDone, AwsError> {
    let owned = owner(ctx, &input.change_set_name, input.stack_name.as_deref());
    let (id, set_id) = match owned {
        Ok(owned) => owned,
        // Once more is no mistake.
        Err(error) if error.code == "ChangeSetNotFound" => {
            ctx.unchanged();
            return Ok(ChangeSetDone {});
        }
        Err(error) => return Err(error),
    };
    let busy = stack(ctx, &id)
        .and_then(|found| found.change_sets.get(&set_id))
        .is_some_and(|set| set.execution == "EXECUTE_IN_PROGRESS");
    if busy {
        let message = format!("ChangeSet [{set_id}] cannot be deleted in its current status of [EXECUTE_IN_PROGRESS]");
        return Err(AwsError::new("InvalidChangeSetStatus", message).shape("InvalidChangeSetStatusException"));
    }
    let children: Vec<(String, String)> = ctx
        .place()
        .cloudformation
        .stacks
        .values()
        .flat_map(|found| found.change_sets.values().map(move |set| (found.id.clone(), set)))
        .filter(|(_, set)| set.root.as_deref() == Some(&set_id))
        .map(|(stack, set)| (stack, set.id.clone()))
        .collect();
    for (child, child_set) in children {
        if let Some(found) = stack(ctx, &child) {
            found.change_sets.remove(&child_set);
            if found.phase == StackPhase::ReviewInProgress {
                finishing::finish(ctx, &child, StackPhase::DeleteComplete, None);
            }
        }
    }
    if let Some(found) = stack(ctx, &id) {
        found.change_sets.remove(&set_id);
    }
    ctx.touch(set_id);
    Ok(ChangeSetDone {})
}

/// What a stack has that can be executed or looked at.
pub(super) fn listed(ctx: &mut Ctx<'_>, name: &str) -> Result<Vec<ChangeSet>, AwsError> {
    let id = living(ctx, name)?;
    let sets = stack(ctx, &id).map(|found| found.change_sets.values().cloned().collect::<Vec<_>>());
    let mut sets: Vec<ChangeSet> = sets.unwrap_or_default();
    sets.retain(|set| set.execution != "EXECUTE_COMPLETE");
    sets.sort_by(|one, other| other.created.cmp(&one.created).then(one.name.cmp(&other.name)));
    Ok(sets)
}
