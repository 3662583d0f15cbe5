//! Makes and changes the resources of a stack, each as soon as what it needs is there.
//!
//! The main function is [`start`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kiln_template::{Evaluation, LATER};
use serde_json::Value;

use super::events::Event;
use super::execution::{ExecutionKind, OnFailure};
use super::facts::StackFacts;
use super::properties::{Recreation, computed, keeps_name, replaces};
use super::providers::{self, Settling};
use super::signals::{self, Signalled};
use super::stack::{ResourcePhase, Stack, StackPhase, StackResource};
use super::state::{ResourceBehaviour, ResourceStep, stack};
use super::telling::tell;
use super::{deleting, finishing, lifecycle, making, nested, policy};
use crate::clock::Timestamp;
use crate::ctx::Scope;

/// How long it takes until what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// How often what is not done yet is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What a resource is brought to.
#[derive(Debug, Clone)]
pub(super) struct ResourceTarget {
    pub(super) properties: Value,
    pub(super) said: Value,
    /// Whether another thing takes the place of the one that is there.
    pub(super) replaces: bool,
    /// What comes of it.
    pub(super) fate: ResourceFate,
    /// When it was made or changed.
    pub(super) since: Option<Timestamp>,
}

/// What comes of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct ResourceFate {
    pub(super) takes: Option<Duration>,
    pub(super) fails: Option<String>,
    pub(super) hangs: bool,
    /// The signals that come once it is made or changed.
    pub(super) signals: Vec<Signalled>,
}

/// What the world file says of a step.
pub(super) fn fate(scope: &mut Scope<'_>, id: &str, logical: &str, step: ResourceStep) -> ResourceFate {
    let Some(name) = stack(scope, id).map(|found| found.name.clone()) else { return ResourceFate::default() };
    let mut fate = ResourceFate::default();
    for behaviour in &mut scope.place().cloudformation.behaviours {
        let ResourceBehaviour { stack, resource, on, takes, fails, hangs, signals, nth, times, seen } = behaviour;
        let is_meant = stack.as_ref().is_none_or(|stack| *stack == name) && resource == logical && *on == step;
        if !is_meant {
            continue;
        }
        *seen += 1;
        let last = times.map_or(usize::MAX, |times| nth.saturating_add(times));
        if (*nth..last).contains(seen) {
            fate.takes = takes.or(fate.takes);
            fate.fails = fails.clone().or(fate.fails);
            fate.hangs |= *hangs;
            fate.signals.extend(signals.iter().copied());
        }
    }
    fate
}

/// The half of the time that a step takes.
fn half(kind: &str, step: ResourceStep, fate: &ResourceFate) -> Duration {
    fate.takes.unwrap_or_else(|| providers::time(kind, step)) / 2
}

/// What is made, with what each waits for.
fn items(scope: &mut Scope<'_>, id: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return Ok(BTreeMap::new()) };
    let is_back = found.execution.as_ref().is_some_and(|one| one.kind == ExecutionKind::UpdateRollback);
    if let (true, Some(before)) = (is_back, &found.before) {
        // What a condition leaves out is not waited for.
        let needs = |resource: &StackResource| {
            resource.needs.iter().filter(|need| before.resources.contains_key(*need)).cloned().collect()
        };
        return Ok(before.resources.iter().map(|(name, resource)| (name.clone(), needs(resource))).collect());
    }
    let facts = StackFacts::of(&found.goal, &found.resources, Some(state), &at, (&found.name, &found.id));
    let template = &found.goal.template;
    let made = Evaluation::new(template, &facts).made().map_err(|finding| finding.message)?;
    let made: BTreeSet<&str> = made.into_iter().collect();
    let needs = template.dependencies();
    let of = |name: &&str| {
        let needs = needs.get(*name).into_iter().flatten().filter(|one| made.contains(*one));
        ((*name).to_owned(), needs.map(|one| (*one).to_owned()).collect())
    };
    Ok(made.iter().map(of).collect())
}

/// The logical ids of what is made.
pub(super) fn made_of(scope: &mut Scope<'_>, id: &str) -> Result<BTreeSet<String>, String> {
    Ok(items(scope, id)?.into_keys().collect())
}

/// Somebody sent a signal to a resource.
pub(super) fn signalled(scope: &mut Scope<'_>, id: &str, turn: u64, logical: &str) {
    let phase = stack(scope, id).and_then(|found| found.resources.get(logical)).map(|resource| resource.phase);
    let step = if phase == Some(ResourcePhase::CreateInProgress) { ResourceStep::Create } else { ResourceStep::Update };
    scope.schedule(Duration::ZERO, Event::Settled { stack: id.to_owned(), turn, logical: logical.to_owned(), step });
}

/// Begin to make what the stack is to be.
pub(super) fn start(scope: &mut Scope<'_>, id: &str) {
    let items = match items(scope, id).and_then(|items| policy::removals(scope, id, &items).map(|()| items)) {
        Ok(items) => items,
        Err(reason) => return fail_stack(scope, id, reason),
    };
    let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
    for (name, needs) in &items {
        execution.waits.insert(name.clone(), needs.len());
        for need in needs {
            execution.dependents.entry(need.clone()).or_default().push(name.clone());
        }
    }
    let ready: Vec<String> = items.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| name.clone()).collect();
    let mut done = Vec::new();
    for name in ready {
        if begin(scope, id, &name) {
            done.push(name);
        }
    }
    advance(scope, id, done);
}

/// These are done: what waited for them alone begins.
fn advance(scope: &mut Scope<'_>, id: &str, mut done: Vec<String>) {
    loop {
        let Some(execution) = stack(scope, id).and_then(|found| found.execution.as_mut()) else { return };
        let Some(name) = done.pop() else { break };
        execution.waits.remove(&name);
        execution.running.remove(&name);
        let mut ready = Vec::new();
        for dependent in execution.dependents.remove(&name).unwrap_or_default() {
            if let Some(count) = execution.waits.get_mut(&dependent) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(dependent);
                }
            }
        }
        let turn = execution.turn;
        for name in ready {
            if begin(scope, id, &name) {
                done.push(name);
            }
            // What failed meanwhile ended this turn.
            if stack(scope, id).and_then(|found| found.execution.as_ref()).is_none_or(|one| one.turn != turn) {
                return;
            }
        }
    }
    let Some(found) = stack(scope, id) else { return };
    if found.execution.as_ref().is_some_and(|one| one.waits.is_empty() && one.failed.is_empty()) {
        finishing::all_made(scope, id);
    }
}

/// Begin with a resource. Tells whether there is nothing to be done.
fn begin(scope: &mut Scope<'_>, id: &str, logical: &str) -> bool {
    let Some(found) = stack(scope, id) else { return false };
    let Some(execution) = &found.execution else { return false };
    match execution.kind {
        ExecutionKind::UpdateRollback => restore(scope, id, logical),
        _ => match aim(scope, id, logical) {
            Ok(Some((target, step, reason))) => launch(scope, id, logical, target, (step, reason)),
            Ok(None) => true,
            Err(reason) => {
                fail(scope, id, logical, reason);
                false
            }
        },
    }
}

type Aim = Option<(ResourceTarget, ResourceStep, Option<String>)>;

/// What a resource is to be brought to, if it is not that already.
fn aim(scope: &mut Scope<'_>, id: &str, logical: &str) -> Result<Aim, String> {
    let needs = needs(scope, id, logical);
    let fault = stack(scope, id).and_then(|found| found.goal.faults.get(logical).cloned());
    let (properties, said) = match fault.map_or_else(|| computed(scope, id, logical), Err) {
        Ok(computed) => computed,
        Err(reason) => {
            let kind = template_kind(scope, id, logical);
            admit(scope, id, logical, &kind, needs, (Value::Object(serde_json::Map::new()), Value::Null));
            return Err(reason);
        }
    };
    if let Some(needed) = unknown(&properties) {
        let kind = template_kind(scope, id, logical);
        admit(scope, id, logical, &kind, needs, (properties, said));
        return Err(format!("its property {needed} needs what is not there yet: name it in DependsOn"));
    }
    let Some(found) = stack(scope, id) else { return Ok(None) };
    let drifted = found.execution.as_ref().is_some_and(|one| one.options.drifted.contains(logical));
    let old =
        found.resources.get(logical).filter(|old| old.is_made() && old.phase != ResourcePhase::CreateFailed).cloned();
    let target = ResourceTarget { properties, said, replaces: false, fate: ResourceFate::default(), since: None };
    let Some(old) = old else {
        if let Some(dead) = found.resources.remove(logical).filter(StackResource::is_made)
            && let Some(execution) = &mut found.execution
        {
            execution.discard(dead, true, true);
        }
        let kind = template_kind(scope, id, logical);
        admit(scope, id, logical, &kind, needs, (target.properties.clone(), target.said.clone()));
        return Ok(Some((target, ResourceStep::Create, None)));
    };
    if let Some(resource) = found.resources.get_mut(logical) {
        resource.needs = needs;
    }
    let metadata = |said: &Value| said.get("Metadata").cloned();
    let nested = old.kind == "AWS::CloudFormation::Stack" && nested::differs(scope, id, &old, &target);
    if old.properties == target.properties && metadata(&old.said) == metadata(&target.said) && !drifted && !nested {
        // Policies are CloudFormation's own: they count from now on.
        if let Some(resource) = stack(scope, id).and_then(|found| found.resources.get_mut(logical)) {
            resource.said = target.said;
        }
        return Ok(None);
    }
    if old.kind.starts_with(signals::WAIT_CONDITION) && old.properties != target.properties {
        return Err(format!("Update to resource type {} is not supported.", old.kind));
    }
    let lost = drifted && providers::live(scope, &old).is_none();
    let recreation = if lost { Recreation::Always } else { replaces(&old.kind, &old.properties, &target.properties) };
    policy::check(scope, id, &old, recreation)?;
    if recreation == Recreation::Always || providers::replaces(&old, &target.properties, &target.said) {
        if let (Some(name), false) = (keeps_name(&old.kind, &old.properties, &target.properties), lost) {
            return Err(format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update \
                 the stack again."
            ));
        }
        let reason = "Requested update requires the creation of a new physical resource; hence creating one.";
        return Ok(Some((ResourceTarget { replaces: true, ..target }, ResourceStep::Update, Some(reason.to_owned()))));
    }
    Ok(Some((target, ResourceStep::Update, None)))
}

/// A property that refers to what is not there.
fn unknown(properties: &Value) -> Option<String> {
    let mut members = properties.as_object().into_iter().flatten();
    members.find(|(_, value)| value.to_string().contains(LATER)).map(|(name, _)| name.clone())
}

pub(super) fn needs(scope: &mut Scope<'_>, id: &str, logical: &str) -> BTreeSet<String> {
    let Some(found) = stack(scope, id) else { return BTreeSet::new() };
    let template = Arc::clone(&found.goal.template);
    template.needs_of(logical).into_iter().map(str::to_owned).collect()
}

fn template_kind(scope: &mut Scope<'_>, id: &str, logical: &str) -> String {
    let found = stack(scope, id).and_then(|found| Some(found.goal.template.resources.get(logical)?.kind.clone()));
    found.unwrap_or_default()
}

/// A resource that is not there yet is one of the stack's from now on.
fn admit(
    scope: &mut Scope<'_>,
    id: &str,
    logical: &str,
    kind: &str,
    needs: BTreeSet<String>,
    (properties, said): (Value, Value),
) {
    let now = scope.now();
    let Some(found) = stack(scope, id) else { return };
    if found.resources.get(logical).is_some_and(StackResource::is_made) {
        return;
    }
    let resource = StackResource {
        logical: logical.to_owned(),
        kind: kind.to_owned(),
        physical: None,
        phase: ResourcePhase::CreateInProgress,
        reason: None,
        updated: now,
        properties,
        attributes: serde_json::Map::new(),
        said,
        needs,
        drift: None,
    };
    found.resources.insert(logical.to_owned(), resource);
}

/// Set out to a target. Tells whether it is reached at once.
fn launch(
    scope: &mut Scope<'_>,
    id: &str,
    logical: &str,
    target: ResourceTarget,
    (step, reason): (ResourceStep, Option<String>),
) -> bool {
    let asked = if target.replaces { ResourceStep::Create } else { step };
    let mut fate = fate(scope, id, logical, step);
    if asked != step {
        let of_creation = self::fate(scope, id, logical, asked);
        fate.fails = fate.fails.or(of_creation.fails);
        fate.hangs |= of_creation.hangs;
        fate.signals.extend(of_creation.signals);
    }
    let phase = match step {
        ResourceStep::Create => ResourcePhase::CreateInProgress,
        ResourceStep::Update | ResourceStep::Delete => ResourcePhase::UpdateInProgress,
    };
    tell(scope, id, logical, phase, reason);
    let Some(found) = stack(scope, id) else { return false };
    let after = half(found.kind_of(logical), asked, &fate);
    // Signals of an earlier step count no more.
    if let Some(resource) = found.resources.get_mut(logical) {
        resource.attributes.remove("Signals");
    }
    let Some(execution) = &mut found.execution else { return false };
    execution.running.insert(logical.to_owned());
    execution.targets.insert(logical.to_owned(), ResourceTarget { fate, ..target });
    let turn = execution.turn;
    scope.schedule(after, Event::Provided { stack: id.to_owned(), turn, logical: logical.to_owned(), step });
    false
}

/// Bring a resource back to what it was before. Tells whether it is that already.
fn restore(scope: &mut Scope<'_>, id: &str, logical: &str) -> bool {
    let Some(found) = stack(scope, id) else { return false };
    let Some(was) = found.before.as_ref().and_then(|before| before.resources.get(logical)).cloned() else {
        return true;
    };
    let is = found.resources.get(logical).cloned();
    let Some(execution) = &mut found.execution else { return false };
    let Some(is) = is else {
        found.resources.insert(logical.to_owned(), was);
        return true;
    };
    if execution.options.skip.contains(logical) {
        found.resources.insert(logical.to_owned(), was);
        tell(scope, id, logical, ResourcePhase::UpdateComplete, None);
        return true;
    }
    if is.physical != was.physical {
        execution.discard(is, true, true);
        found.resources.insert(logical.to_owned(), was);
        tell(scope, id, logical, ResourcePhase::UpdateInProgress, None);
        tell(scope, id, logical, ResourcePhase::UpdateComplete, None);
        return true;
    }
    let nested = is.kind == "AWS::CloudFormation::Stack" && is.phase != was.phase;
    // What failed may have come half of its way.
    let failed = is.phase == ResourcePhase::UpdateFailed;
    if is.properties == was.properties && is.said == was.said && !nested && !failed {
        if is.phase != was.phase {
            tell(scope, id, logical, ResourcePhase::UpdateComplete, None);
        }
        return true;
    }
    let (properties, said) = (was.properties, was.said);
    let target = ResourceTarget { properties, said, replaces: false, fate: ResourceFate::default(), since: None };
    launch(scope, id, logical, target, (ResourceStep::Update, None))
}

fn current(found: &mut Stack, turn: u64) -> bool {
    found.execution.as_ref().is_some_and(|execution| execution.turn == turn)
}

/// Half of the time of a step is over: the thing is made or changed.
pub(super) fn made(scope: &mut Scope<'_>, id: &str, turn: u64, logical: &str, step: ResourceStep) {
    let Some(found) = stack(scope, id) else { return };
    if !current(found, turn) {
        return;
    }
    let Some(execution) = found.execution.as_ref().filter(|execution| execution.running.contains(logical)) else {
        return;
    };
    let express = execution.options.express;
    let is_back = execution.kind == ExecutionKind::UpdateRollback;
    let Some(target) = execution.targets.get(logical).cloned() else { return };
    let Some(resource) = found.resources.get(logical).cloned() else { return };
    if let (Some(reason), false) = (&target.fate.fails, target.fate.hangs) {
        return fail(scope, id, logical, reason.clone());
    }
    let made = match making::provided(scope, id, &resource, &target, (step, is_back)) {
        Ok(made) => made,
        Err(reason) => return fail(scope, id, logical, reason),
    };
    making::taken(scope, id, &resource, &target, (step, made));
    signals::announce(scope, id, turn, logical, (step, &target.fate.signals));
    let after = match (express, target.fate.hangs) {
        // Nobody waits whether it comes to rest.
        (true, _) => Duration::ZERO,
        (false, true) => PATIENCE,
        (false, false) => half(&resource.kind, if target.replaces { ResourceStep::Create } else { step }, &target.fate),
    };
    scope.schedule(after, Event::Settled { stack: id.to_owned(), turn, logical: logical.to_owned(), step });
}

/// Look whether a resource is done.
pub(super) fn settled(scope: &mut Scope<'_>, id: &str, turn: u64, logical: &str, step: ResourceStep) {
    let Some(found) = stack(scope, id) else { return };
    if !current(found, turn) {
        return;
    }
    let Some(execution) = found.execution.as_ref().filter(|execution| execution.running.contains(logical)) else {
        return;
    };
    let express = execution.options.express;
    let is_back = execution.kind == ExecutionKind::UpdateRollback;
    let Some(target) = execution.targets.get(logical).cloned() else { return };
    let Some(resource) = found.resources.get(logical).cloned() else { return };
    let before = found.before.as_ref().and_then(|before| before.resources.get(logical));
    let changed_from = before.filter(|_| step == ResourceStep::Update && !target.replaces);
    let changed_from = changed_from.map(|before| before.properties.clone());
    let waited = target.since.map(|since| scope.now().since(since)).unwrap_or_default();
    // A way back waits for nobody's signal.
    let awaited = match is_back {
        true => Settling::Done,
        false => signals::settling(&resource, changed_from.as_ref(), waited),
    };
    if target.fate.hangs && !express && !resource.attributes.contains_key("Signals") {
        let reason = target.fate.fails.unwrap_or_else(|| {
            format!("Exceeded attempts to wait: Resource {logical} of type {} did not stabilize", resource.kind)
        });
        return fail(scope, id, logical, reason);
    }
    let settling = match awaited {
        Settling::Done if express && resource.kind != "AWS::CloudFormation::Stack" => Settling::Done,
        Settling::Done => providers::settling(scope, id, &resource, step),
        waits => waits,
    };
    match settling {
        Settling::Done => {
            let mut attributes = providers::attributes(scope, &resource);
            attributes.extend(signals::data(&resource).map(|data| ("Data".to_owned(), data)));
            if let Some(resource) = stack(scope, id).and_then(|found| found.resources.get_mut(logical)) {
                resource.attributes.extend(attributes);
            }
            let phase = match step {
                ResourceStep::Create => ResourcePhase::CreateComplete,
                ResourceStep::Update | ResourceStep::Delete => ResourcePhase::UpdateComplete,
            };
            tell(scope, id, logical, phase, None);
            advance(scope, id, vec![logical.to_owned()]);
        }
        Settling::Wait => {
            scope.schedule(LOOK, Event::Settled { stack: id.to_owned(), turn, logical: logical.to_owned(), step });
        }
        Settling::Failed(reason) => fail(scope, id, logical, reason),
    }
}

/// A resource failed: nothing else begins.
fn fail(scope: &mut Scope<'_>, id: &str, logical: &str, reason: String) {
    let Some(found) = stack(scope, id) else { return };
    let made = found.resources.get(logical).is_some_and(|resource| {
        !matches!(resource.phase, ResourcePhase::CreateInProgress | ResourcePhase::CreateFailed)
    });
    let phase = if made { ResourcePhase::UpdateFailed } else { ResourcePhase::CreateFailed };
    if let Some(execution) = &mut found.execution {
        execution.running.remove(logical);
        execution.failed.push(logical.to_owned());
    }
    tell(scope, id, logical, phase, Some(reason));
    stop(scope, id, None);
}

/// The whole operation failed, for a reason that is none of its resources'.
pub(super) fn fail_stack(scope: &mut Scope<'_>, id: &str, reason: String) {
    stop(scope, id, Some(reason));
}

/// The time that a creation may take is over.
pub(super) fn late(scope: &mut Scope<'_>, id: &str, turn: u64) {
    if stack(scope, id).is_some_and(|found| current(found, turn)) {
        fail_stack(scope, id, "Stack creation time exceeded the specified timeout.".to_owned());
    }
}

/// End what is under way, and go back or stop, as was asked for.
fn stop(scope: &mut Scope<'_>, id: &str, reason: Option<String>) {
    let Some(found) = stack(scope, id) else { return };
    let Some(execution) = &mut found.execution else { return };
    execution.turn += 1;
    let (kind, running, failed) = (execution.kind, std::mem::take(&mut execution.running), execution.failed.clone());
    let on_failure = execution.options.on_failure;
    let mut all = failed.clone();
    for logical in running {
        let fresh = stack(scope, id)
            .and_then(|found| found.resources.get(&logical))
            .is_some_and(|resource| resource.phase == ResourcePhase::CreateInProgress);
        let (phase, what) = match fresh {
            true => (ResourcePhase::CreateFailed, "Resource creation cancelled"),
            false => (ResourcePhase::UpdateFailed, "Resource update cancelled"),
        };
        tell(scope, id, &logical, phase, Some(what.to_owned()));
        all.push(logical);
    }
    let listed = all.join(", ");
    let told = |what: &str| {
        reason.clone().unwrap_or_else(|| format!("The following resource(s) failed to {what}: [{listed}]. "))
    };
    match (kind, on_failure) {
        (ExecutionKind::Create, OnFailure::Rollback) => {
            let reason = format!("{} Rollback requested by user.", told("create").trim_end());
            lifecycle::roll_back_creation(scope, id, Some(reason));
        }
        (ExecutionKind::Create, OnFailure::Delete) => {
            let reason = format!("{} Delete requested by user.", told("create").trim_end());
            lifecycle::delete_all(scope, id, Some(reason));
        }
        (ExecutionKind::Create, OnFailure::Nothing) => {
            finishing::finish(scope, id, StackPhase::CreateFailed, Some(told("create")));
        }
        (ExecutionKind::Update, OnFailure::Rollback | OnFailure::Delete) => {
            let fresh = all.iter().filter(|name| !is_known_before(scope, id, name)).count();
            let what = if fresh == all.len() && fresh > 0 { "create" } else { "update" };
            lifecycle::roll_back_update(scope, id, Some(told(what)));
        }
        (ExecutionKind::Update, OnFailure::Nothing) => {
            finishing::finish(scope, id, StackPhase::UpdateFailed, Some(told("update")));
        }
        (ExecutionKind::UpdateRollback, _) => {
            finishing::finish(scope, id, StackPhase::UpdateRollbackFailed, Some(told("update")));
        }
        (ExecutionKind::Rollback | ExecutionKind::Delete, _) => deleting::stuck(scope, id),
    }
}

fn is_known_before(scope: &mut Scope<'_>, id: &str, logical: &str) -> bool {
    let Some(found) = stack(scope, id) else { return false };
    found.before.as_ref().is_some_and(|before| before.resources.contains_key(logical))
}
