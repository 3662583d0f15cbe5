//! What an update would do, before it does anything.
//!
//! The main function is [`plan`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_template::{Evaluation, LATER, Node, Target, references, rules};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::facts::StackFacts;
use super::finishing::shown;
use super::properties::{Recreation, differing, evaluated, recreation};
use super::stack::{Goal, StackResource};
use super::state::State;
use crate::world::PlaceKey;

/// What a change set would do with a resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PlannedChange {
    pub(super) logical: String,
    pub(super) kind: String,
    pub(super) physical: Option<String>,
    pub(super) action: &'static str,
    pub(super) replacement: Option<&'static str>,
    pub(super) policy: Option<&'static str>,
    pub(super) scope: BTreeSet<&'static str>,
    pub(super) details: Vec<Detail>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// The change set of a nested stack.
    pub(super) nested: Option<String>,
    pub(super) drift: Option<&'static str>,
    #[serde(skip)]
    pub(super) properties: Value,
}

/// What of a resource changes, and why.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Detail {
    pub(super) attribute: &'static str,
    pub(super) name: Option<String>,
    pub(super) path: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) recreation: Option<Recreation>,
    pub(super) change: &'static str,
    pub(super) evaluation: &'static str,
    pub(super) source: &'static str,
    pub(super) entity: Option<String>,
}

/// A plan over what is there.
pub(super) struct Planning<'p> {
    pub(super) old: Option<&'p Goal>,
    pub(super) new: &'p Goal,
    pub(super) resources: &'p BTreeMap<String, StackResource>,
    pub(super) state: &'p State,
    pub(super) at: &'p PlaceKey,
    pub(super) named: (&'p str, &'p str),
    /// Those whose things are not what the stack says, with what they are.
    pub(super) drifted: &'p BTreeMap<String, Option<Value>>,
    /// Nested stacks that are looked into, and are what they are to be.
    pub(super) steady: &'p BTreeSet<String>,
}

const NESTED: &str = "AWS::CloudFormation::Stack";

/// What would be done, by logical id.
pub(super) fn plan(planning: &Planning<'_>) -> Result<Vec<PlannedChange>, String> {
    let Planning { new, resources, state, at, named, .. } = *planning;
    let mut facts = StackFacts::of(new, resources, Some(state), at, named);
    let made: BTreeSet<&str> = {
        let evaluation = Evaluation::new(&new.template, &facts);
        evaluation.made().map_err(|finding| finding.message)?.into_iter().collect()
    };
    let mut changes = Vec::new();
    for logical in ordered(new, &made) {
        let Some(told) = new.template.resources.get(logical) else { continue };
        let (properties, said) = evaluated(new, &facts, told)?;
        let old = resources.get(logical).filter(|resource| resource.is_made());
        let change = match old {
            None => Some(added(logical, &told.kind, properties)),
            Some(old) => modified(planning, old, properties, &said, &facts),
        };
        let Some(change) = change else { continue };
        match (change.action, change.replacement) {
            ("Add", _) | (_, Some("True")) => facts.later.insert(logical.to_owned()),
            _ => facts.changing.insert(logical.to_owned()),
        };
        changes.push(change);
    }
    for old in resources.values().filter(|old| old.is_made() && !made.contains(old.logical.as_str())) {
        changes.push(removed(old));
    }
    changes.sort_by(|one, other| one.logical.cmp(&other.logical));
    Ok(changes)
}

/// What is made, each thing behind those that it needs.
fn ordered<'g>(goal: &'g Goal, made: &BTreeSet<&'g str>) -> Vec<&'g str> {
    let needs = goal.template.dependencies();
    let (mut ordered, mut seen): (Vec<&str>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
    let mut stack: Vec<(&str, bool)> = made.iter().rev().map(|name| (*name, false)).collect();
    while let Some((name, ready)) = stack.pop() {
        if ready {
            ordered.push(name);
        } else if seen.insert(name) {
            stack.push((name, true));
            let before = needs.get(name).into_iter().flatten().filter(|need| made.contains(*need));
            stack.extend(before.map(|need| (*need, false)));
        }
    }
    ordered
}

fn context(properties: &Value) -> String {
    json!({ "Properties": texts(properties) }).to_string()
}

/// A value whose leaves are all text, as AWS shows them.
fn texts(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(texts).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, one)| (name.clone(), texts(one))).collect::<Map<_, _>>())
        }
        other => Value::String(shown(other)),
    }
}

fn added(logical: &str, kind: &str, properties: Value) -> PlannedChange {
    PlannedChange {
        logical: logical.to_owned(),
        kind: kind.to_owned(),
        physical: None,
        action: "Add",
        replacement: None,
        policy: None,
        scope: BTreeSet::new(),
        details: Vec::new(),
        before: None,
        after: Some(context(&properties)),
        nested: None,
        drift: None,
        properties,
    }
}

fn removed(old: &StackResource) -> PlannedChange {
    let policy = match old.policy("DeletionPolicy") {
        Some("Retain" | "RetainExceptOnCreate") => "Retain",
        Some("Snapshot") => "Snapshot",
        _ => "Delete",
    };
    PlannedChange {
        logical: old.logical.clone(),
        kind: old.kind.clone(),
        physical: old.physical.clone(),
        action: "Remove",
        replacement: None,
        policy: Some(policy),
        scope: BTreeSet::new(),
        details: Vec::new(),
        before: Some(context(&old.properties)),
        after: None,
        nested: None,
        drift: None,
        properties: old.properties.clone(),
    }
}

fn modified(
    planning: &Planning<'_>,
    old: &StackResource,
    properties: Value,
    said: &Value,
    facts: &StackFacts<'_>,
) -> Option<PlannedChange> {
    let mut details = Vec::new();
    let tags = rules(&old.kind).map(|rules| rules.tags.as_str()).unwrap_or_default();
    for name in differing(&old.properties, &properties) {
        if is_steady(planning, &old.logical, &name, facts) {
            continue;
        }
        details.push(detail(planning, old, &name, &properties, tags, facts));
    }
    if old.said.get("Metadata") != said.get("Metadata") {
        details.push(Detail {
            attribute: "Metadata",
            name: None,
            path: None,
            before: old.said.get("Metadata").map(Value::to_string),
            after: said.get("Metadata").map(Value::to_string),
            recreation: Some(Recreation::Never),
            change: "Modify",
            evaluation: "Static",
            source: "DirectModification",
            entity: None,
        });
    }
    let drifted = planning.drifted.get(&old.logical);
    if let Some(actual) = drifted {
        for name in differing(&old.properties, actual.as_ref().unwrap_or(&Value::Null)) {
            if !details.iter().any(|detail| detail.name.as_ref() == Some(&name)) {
                details.push(synced(old, &name, actual.as_ref()));
            }
        }
    }
    // What a nested stack is made of may have changed, though its resource says the same.
    if old.kind == NESTED && details.is_empty() && !planning.steady.contains(&old.logical) {
        details.push(Detail {
            attribute: "Properties",
            name: None,
            path: None,
            before: None,
            after: None,
            recreation: None,
            change: "Modify",
            evaluation: "Dynamic",
            source: "Automatic",
            entity: None,
        });
    }
    if details.is_empty() {
        return None;
    }
    let of = |detail: &Detail| match (detail.recreation, detail.evaluation) {
        (Some(Recreation::Always), "Dynamic") => Recreation::Conditionally,
        (recreation, _) => recreation.unwrap_or(Recreation::Never),
    };
    let most = details.iter().map(of).max().unwrap_or(Recreation::Never);
    let most = if super::providers::replaces(old, &properties, said) { Recreation::Always } else { most };
    let replacement = match most {
        Recreation::Always => "True",
        Recreation::Conditionally => "Conditional",
        Recreation::Never => "False",
    };
    let policy = match (most, old.policy("UpdateReplacePolicy")) {
        (Recreation::Always, Some("Retain")) => Some("ReplaceAndRetain"),
        (Recreation::Always, Some("Snapshot")) => Some("ReplaceAndSnapshot"),
        (Recreation::Always, _) => Some("ReplaceAndDelete"),
        (Recreation::Conditionally | Recreation::Never, _) => None,
    };
    let only_synced = details.iter().all(|detail| detail.change == "SyncWithActual");
    Some(PlannedChange {
        logical: old.logical.clone(),
        kind: old.kind.clone(),
        physical: old.physical.clone(),
        action: if only_synced { "SyncWithActual" } else { "Modify" },
        replacement: Some(replacement),
        policy,
        scope: details.iter().map(|detail| detail.attribute).collect(),
        before: Some(context(&old.properties)),
        after: Some(context(&properties)),
        details,
        nested: None,
        drift: drifted.map(|actual| if actual.is_some() { "MODIFIED" } else { "DELETED" }),
        properties,
    })
}

/// Whether a property is what it was though its value is another one: AWS compares what it is told, and what it is told is the same. A
/// launch template whose change was taken back has a newer version than the one that its group names, and that is no change.
fn is_steady(planning: &Planning<'_>, logical: &str, name: &str, facts: &StackFacts<'_>) -> bool {
    let Planning { old: Some(old), new, .. } = *planning else { return false };
    let is_same = old.text == new.text && old.parameters == new.parameters && old.tags == new.tags;
    let node = new.template.resources.get(logical).and_then(|resource| resource.properties.get(name));
    let moves = |of: &String| facts.later.contains(of) || facts.changing.contains(of);
    is_same
        && node.is_some_and(|node| {
            !references(node).iter().any(|reference| match &reference.target {
                Target::Attribute(of, _) | Target::Named(of) => moves(of),
                _ => false,
            })
        })
}

fn synced(old: &StackResource, name: &str, actual: Option<&Value>) -> Detail {
    let (wanted, actual) = (old.properties.get(name), actual.and_then(|actual| actual.get(name)));
    Detail {
        attribute: "Properties",
        name: Some(name.to_owned()),
        path: Some(format!("/Properties/{name}")),
        before: actual.map(shown),
        after: wanted.map(shown),
        recreation: Some(recreation(&old.kind, name, actual, wanted)),
        change: "SyncWithActual",
        evaluation: "Static",
        source: "NoModification",
        entity: None,
    }
}

fn detail(
    planning: &Planning<'_>,
    old: &StackResource,
    name: &str,
    properties: &Value,
    tags: &str,
    facts: &StackFacts<'_>,
) -> Detail {
    let (before, after) = (old.properties.get(name), properties.get(name));
    let change = match (before, after) {
        (None, _) => "Add",
        (_, None) => "Remove",
        (Some(_), Some(_)) => "Modify",
    };
    let node = |goal: &Goal| goal.template.resources.get(&old.logical)?.properties.get(name).cloned();
    let new = node(planning.new);
    let same = planning.old.and_then(node).as_ref().map(Node::json) == new.as_ref().map(Node::json);
    let later = after.is_some_and(|after| after.to_string().contains(LATER));
    let (source, entity) = match (&new, later || same) {
        (Some(node), true) => cause(planning, node, facts),
        _ => ("DirectModification", None),
    };
    // A secret is a reference in both.
    Detail {
        attribute: if name == tags && !tags.is_empty() { "Tags" } else { "Properties" },
        name: Some(name.to_owned()),
        path: Some(format!("/Properties/{name}")),
        before: before.map(|value| hidden(planning.old, &shown(value))),
        after: after.map(|value| hidden(Some(planning.new), &shown(value))),
        recreation: Some(recreation(&old.kind, name, before, after)),
        change,
        evaluation: if later { "Dynamic" } else { "Static" },
        source,
        entity,
    }
}

/// A text without the values of parameters that are not shown.
fn hidden(goal: Option<&Goal>, text: &str) -> String {
    let secrets =
        goal.into_iter().flat_map(|goal| goal.parameters.values()).filter(|one| one.hidden && one.value.len() > 3);
    secrets.fold(text.to_owned(), |text, secret| text.replace(&secret.value, "****"))
}

/// What makes a value another one, though the template says the same.
fn cause(planning: &Planning<'_>, node: &Node, facts: &StackFacts<'_>) -> (&'static str, Option<String>) {
    let mut parameter = None;
    for reference in references(node) {
        match reference.target {
            Target::Attribute(of, attribute) if facts.later.contains(&of) || facts.changing.contains(&of) => {
                return ("ResourceAttribute", Some(format!("{of}.{attribute}")));
            }
            Target::Named(name) if facts.later.contains(&name) => return ("ResourceReference", Some(name)),
            Target::Named(name) => {
                let value = |goal: &Goal| goal.parameters.get(&name).cloned();
                if planning.new.parameters.contains_key(&name) && planning.old.and_then(value) != value(planning.new) {
                    parameter = parameter.or(Some(name));
                }
            }
            _ => {}
        }
    }
    match parameter {
        Some(name) => ("ParameterReference", Some(name)),
        None => ("DirectModification", None),
    }
}

/// Whether there is anything to do beside changes of resources: outputs, tags and what goes with them.
pub(super) fn differs(old: &Goal, new: &Goal) -> bool {
    let outputs = |goal: &Goal| -> Vec<(String, Value, Option<Value>)> {
        let of = |(name, output): (&String, &kiln_template::Output)| {
            (name.clone(), output.value.json(), output.export.as_ref().map(Node::json))
        };
        goal.template.outputs.iter().map(of).collect()
    };
    outputs(old) != outputs(new)
        || old.tags != new.tags
        || old.triggers != new.triggers
        || old.notifications != new.notifications
}
