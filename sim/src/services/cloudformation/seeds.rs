//! CloudFormation's part of a world file.
//!
//! The main types are [`StackSeed`] and [`ResourceBehaviourSeed`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::execution::{ExecutionKind, Options};
use super::prepare::{Asked, prepare};
use super::signals::Signalled;
use super::stack::StackPhase;
use super::state::{ResourceBehaviour, ResourceStep, stack};
use super::{lifecycle, settle};
use crate::ctx::Scope;
use crate::services::autoscaling::{self, RefreshSeed};
use crate::tags::Tags;
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// A stack in a world file. Its resources are there and complete at the start.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct StackSeed {
    /// Its name.
    name: String,
    /// Its template, in YAML or JSON.
    template: Option<String>,
    /// The file that has its template, beside the world file or below it: in the place of `template`.
    template_file: Option<String>,
    /// Why that file could not be read.
    #[serde(skip)]
    unread: Option<String>,
    /// How many instances its groups of Auto Scaling have, by the names of the groups: as many as the template says unless told.
    #[serde(default)]
    sizes: BTreeMap<String, usize>,
    /// Refreshes that somebody else starts of its groups, by their names.
    #[serde(default)]
    refreshes: BTreeMap<String, Vec<RefreshSeed>>,
    /// The values of its parameters.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Its tags.
    #[serde(default)]
    tags: Tags,
    /// What it may do: `CAPABILITY_IAM` and the like.
    #[serde(default)]
    capabilities: Vec<String>,
    /// The ARN of the role that CloudFormation acts in, as it does for whoever changes the stack without naming one.
    role: Option<String>,
    /// Whether it cannot be deleted.
    #[serde(default)]
    protected: bool,
    /// Its policy, in JSON.
    policy: Option<String>,
    /// How it was left: `CREATE_COMPLETE` unless told; `UPDATE_COMPLETE`, `ROLLBACK_COMPLETE`, `REVIEW_IN_PROGRESS`, `DELETE_FAILED` and
    /// `UPDATE_ROLLBACK_FAILED` are others.
    status: Option<StackPhase>,
    /// Why, where something went wrong.
    reason: Option<String>,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

impl StackSeed {
    /// Read the template that lies beside the world file.
    pub(crate) fn read(&mut self, beside: &dyn Fn(&str) -> Result<String, String>) {
        let (Some(file), None) = (&self.template_file, &self.template) else { return };
        match beside(file) {
            Ok(text) => (self.template, self.template_file) = (Some(text), None),
            Err(error) => self.unread = Some(format!("{file} cannot be read: {error}")),
        }
    }

    fn text(&self) -> Result<String, String> {
        match (&self.template, &self.template_file, &self.unread) {
            (Some(text), None, _) => Ok(text.clone()),
            (None, Some(_), Some(unread)) => Err(unread.clone()),
            (None, Some(file), None) => Err(format!("{file} lies beside no world file")),
            (Some(_), Some(_), _) | (None, None, _) => Err("it needs one of `template` and `template-file`".to_owned()),
        }
    }
}

/// How a resource of a stack goes about it, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ResourceBehaviourSeed {
    /// The stack, by its name: every stack unless told.
    stack: Option<String>,
    /// The resource, by its logical id.
    resource: String,
    /// What is done with it.
    on: Option<ResourceStep>,
    /// How long that takes.
    takes: Option<Span>,
    /// It fails, for this reason.
    fails: Option<String>,
    /// Whether it never ends: it is given up after three hours.
    #[serde(default)]
    hangs: bool,
    /// The signals that come to it, as `cfn-signal` sends them: the first one twenty seconds after it was made or changed, the others five
    /// seconds after each other.
    #[serde(default)]
    signals: Vec<Signalled>,
    /// From the how-manieth time on: from the first unless told.
    #[serde(default = "first")]
    nth: usize,
    /// How often: always unless told.
    times: Option<usize>,
    /// What answers for a custom resource says: the values of its attributes.
    #[serde(default)]
    answers: BTreeMap<String, String>,
    /// The account whose stacks: the world's own unless told.
    account: Option<String>,
    /// The region that they are in: the world's own unless told.
    region: Option<String>,
}

fn first() -> usize {
    1
}

/// Put stacks into the world, and how their resources behave.
pub(crate) fn plant(
    world: &mut World,
    stacks: &[StackSeed],
    behaviours: &[ResourceBehaviourSeed],
    problems: &mut Problems,
) {
    for (index, seed) in behaviours.iter().enumerate() {
        problems.reading("resource-behaviours", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = behaviour(&mut scope, seed) {
            problems.add(&format!("resource-behaviours: {}", seed.resource), problem);
        }
    }
    for (index, seed) in stacks.iter().enumerate() {
        problems.reading("stacks", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = planted(&mut scope, seed) {
            problems.add(&format!("stacks: {}", seed.name), problem);
        }
    }
}

fn behaviour(scope: &mut Scope<'_>, seed: &ResourceBehaviourSeed) -> Result<(), String> {
    if seed.nth == 0 {
        return Err("`nth` counts from 1".to_owned());
    }
    let state = &mut scope.place().cloudformation;
    if !seed.answers.is_empty() {
        state.answers.insert(seed.resource.clone(), seed.answers.clone());
    }
    let does = seed.takes.is_some() || seed.fails.is_some() || seed.hangs || !seed.signals.is_empty();
    let on = match (seed.on, does) {
        (Some(on), true) => on,
        (None, true) => return Err("it needs `on`: what is done with the resource".to_owned()),
        (None, false) if !seed.answers.is_empty() => return Ok(()),
        (_, false) => return Err("it needs one of `takes`, `fails`, `hangs`, `signals` and `answers`".to_owned()),
    };
    state.behaviours.push(ResourceBehaviour {
        stack: seed.stack.clone(),
        resource: seed.resource.clone(),
        on,
        takes: seed.takes.map(Span::duration),
        fails: seed.fails.clone(),
        hangs: seed.hangs,
        signals: seed.signals.clone(),
        nth: seed.nth,
        times: seed.times,
        seen: 0,
    });
    Ok(())
}

fn planted(scope: &mut Scope<'_>, seed: &StackSeed) -> Result<(), String> {
    if scope.place().cloudformation.names.contains_key(&seed.name) {
        return Err("the stack is there twice".to_owned());
    }
    let asked = Asked {
        body: Some(seed.text()?),
        parameters: seed.parameters.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
        capabilities: seed.capabilities.clone(),
        tags: Some(seed.tags.clone()),
        role: seed.role.clone(),
        ..Asked::default()
    };
    let goal = prepare(scope, &seed.name, None, asked).map_err(|error| error.message)?;
    if let Some((logical, fault)) = goal.faults.iter().next() {
        return Err(format!("{logical}: {fault}"));
    }
    let phase = seed.status.unwrap_or(StackPhase::CreateComplete);
    if phase.is_busy() {
        return Err(format!("a stack cannot begin as {}", phase.text()));
    }
    let id = lifecycle::admit(scope, &seed.name, goal, phase);
    if let Some(found) = stack(scope, &id) {
        (found.protected, found.policy) = (seed.protected, seed.policy.clone());
    }
    if phase == StackPhase::ReviewInProgress {
        if let Some(found) = stack(scope, &id) {
            found.goal.text.clear();
        }
        return Ok(());
    }
    settle::at_once(scope, &id, ExecutionKind::Create, Options::default())?;
    for (group, size) in &seed.sizes {
        own(scope, &id, group)?;
        autoscaling::complete(scope, group, Some(*size))?;
    }
    for (group, refreshes) in &seed.refreshes {
        own(scope, &id, group)?;
        autoscaling::foretell(scope, group, refreshes);
    }
    settle::left(scope, &id, phase, seed.reason.clone());
    Ok(())
}

/// The group must be one of the stack's.
fn own(scope: &mut Scope<'_>, id: &str, group: &str) -> Result<(), String> {
    let resources = stack(scope, id).map(|found| found.resources.clone()).unwrap_or_default();
    let is_it = |one: &super::stack::StackResource| {
        one.kind == "AWS::AutoScaling::AutoScalingGroup" && one.physical.as_deref() == Some(group)
    };
    match resources.values().any(is_it) {
        true => Ok(()),
        false => Err(format!("it has no group {group:?}")),
    }
}
