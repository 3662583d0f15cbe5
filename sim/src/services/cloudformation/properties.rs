//! The properties of a resource, as they are now, and how two of them differ.
//!
//! The main functions are [`computed`] and [`replaces`].

use std::collections::BTreeMap;

use kiln_template::{Evaluation, Known, Resource, Rules, rules};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::facts::{StackFacts, members};
use super::stack::Goal;
use super::state::stack;
use crate::ctx::Scope;
use crate::services::{secretsmanager, ssm};
use crate::tags::Tags;

/// The properties of a resource of a stack's goal over what is known now, dynamic references as they are.
pub(super) fn computed(scope: &mut Scope<'_>, id: &str, logical: &str) -> Result<(Value, Value), String> {
    let at = scope.at.clone();
    let state = &scope.place().cloudformation;
    let Some(found) = state.stacks.get(id) else { return Err("the stack is gone".to_owned()) };
    let facts = StackFacts::of(&found.goal, &found.resources, Some(state), &at, (&found.name, &found.id));
    let Some(resource) = found.goal.template.resources.get(logical) else {
        return Err(format!("the template has no resource {logical}"));
    };
    evaluated(&found.goal, &facts, resource)
}

/// The properties of a resource and what else the template says of it; dynamic references as they are.
pub(super) fn evaluated<K: Known>(goal: &Goal, known: &K, resource: &Resource) -> Result<(Value, Value), String> {
    let evaluation = Evaluation::new(&goal.template, known);
    let value = |node| evaluation.value(node).map_err(|finding| finding.message);
    let mut properties = members(value(&resource.properties)?.unwrap_or_default());
    if let Some(rules) = rules(&resource.kind) {
        settle_kinds(&mut properties, rules);
        tagged(&mut properties, rules, &goal.tags, &resource.kind);
    }
    let mut said = Map::new();
    let each = [
        ("DeletionPolicy", &resource.deletion_policy),
        ("UpdateReplacePolicy", &resource.update_replace_policy),
        ("UpdatePolicy", &resource.update_policy),
        ("CreationPolicy", &resource.creation_policy),
        ("Metadata", &resource.metadata),
    ];
    for (name, node) in each {
        if let Some(found) = node.as_ref().map(value).transpose()?.flatten() {
            said.insert(name.to_owned(), found);
        }
    }
    Ok((Value::Object(properties), Value::Object(said)))
}

/// CloudFormation takes text for numbers and truths, and the other way round: both are what the schema says.
fn settle_kinds(properties: &mut Map<String, Value>, rules: &Rules) {
    for (name, value) in properties.iter_mut() {
        let settled = match (rules.properties.get(name).map(String::as_str), &*value) {
            (Some("string"), Value::Number(number)) => Some(Value::String(number.to_string())),
            (Some("string"), Value::Bool(truth)) => Some(Value::String(truth.to_string())),
            (Some("integer" | "number"), Value::String(text)) => text.parse().ok().map(Value::Number),
            (Some("boolean"), Value::String(text)) => text.to_lowercase().parse().ok().map(Value::Bool),
            _ => None,
        };
        if let Some(settled) = settled {
            *value = settled;
        }
    }
}

/// A stack's tags are those of its resources, where these do not say otherwise.
fn tagged(properties: &mut Map<String, Value>, rules: &Rules, tags: &Tags, kind: &str) {
    if rules.tags.is_empty() || tags.is_empty() || rules.tags.contains('/') {
        return;
    }
    let is_map = rules.properties.get(&rules.tags).is_some_and(|kind| kind == "object");
    let entry = properties.entry(rules.tags.clone()).or_insert_with(|| if is_map { json!({}) } else { json!([]) });
    match entry {
        Value::Object(own) => {
            for (key, value) in tags {
                own.entry(key.clone()).or_insert_with(|| json!(value));
            }
        }
        Value::Array(own) => {
            for (key, value) in tags {
                if !own.iter().any(|tag| tag.get("Key").and_then(Value::as_str) == Some(key)) {
                    own.push(match kind {
                        "AWS::AutoScaling::AutoScalingGroup" => {
                            json!({ "Key": key, "Value": value, "PropagateAtLaunch": true })
                        }
                        _ => json!({ "Key": key, "Value": value }),
                    });
                }
            }
        }
        _ => {}
    }
}

/// A value with its dynamic references read.
pub(super) fn dynamic(scope: &mut Scope<'_>, value: Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) if text.contains("{{resolve:") => Value::String(resolved(scope, &text)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| dynamic(scope, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let mut read = Map::new();
            for (name, member) in members {
                read.insert(name, dynamic(scope, member)?);
            }
            Value::Object(read)
        }
        other => other,
    })
}

fn resolved(scope: &mut Scope<'_>, text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{resolve:") {
        let (reference, after) =
            behind.split_once("}}").ok_or_else(|| format!("Invalid dynamic reference in {text}"))?;
        out.push_str(before);
        let mut parts = reference.splitn(2, ':');
        let (service, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let found = match service {
            "ssm" | "ssm-secure" => ssm::value_of(scope, what),
            "secretsmanager" => secretsmanager::value_of(scope, what),
            _ => None,
        };
        let found = found.ok_or_else(|| {
            format!("Could not resolve the dynamic reference {{{{resolve:{reference}}}}}: there is no such value")
        })?;
        out.push_str(&found);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a change of a property replaces its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Recreation {
    Never,
    Conditionally,
    Always,
}

impl Recreation {
    /// As AWS spells it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Recreation::Never => "Never",
            Recreation::Conditionally => "Conditionally",
            Recreation::Always => "Always",
        }
    }
}

/// Whether a change of this property replaces its resource.
pub(super) fn recreation(kind: &str, name: &str, old: Option<&Value>, new: Option<&Value>) -> Recreation {
    let Some(rules) = rules(kind) else { return Recreation::Never };
    let hit = |paths: &[String]| paths.iter().any(|path| touches(path, name, old, new));
    match (hit(&rules.create_only), hit(&rules.conditional_create_only)) {
        (true, _) => Recreation::Always,
        (false, true) => Recreation::Conditionally,
        (false, false) => Recreation::Never,
    }
}

fn touches(path: &str, name: &str, old: Option<&Value>, new: Option<&Value>) -> bool {
    let mut parts = path.split('/');
    if parts.next() != Some(name) {
        return false;
    }
    let rest: Vec<&str> = parts.take_while(|part| *part != "*").collect();
    let at = |value: Option<&Value>| rest.iter().try_fold(value?, |value, part| value.get(part)).cloned();
    at(old) != at(new)
}

/// The names of the properties that differ, in their order.
pub(super) fn differing(old: &Value, new: &Value) -> Vec<String> {
    let (empty, none) = (Map::new(), Value::Null);
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&String| old.get(*name).unwrap_or(&none) != new.get(*name).unwrap_or(&none);
    names.into_iter().filter(differs).cloned().collect()
}

/// Whether these new properties replace the resource.
pub(super) fn replaces(kind: &str, old: &Value, new: &Value) -> Recreation {
    let each = differing(old, new).into_iter().map(|name| recreation(kind, &name, old.get(&name), new.get(&name)));
    each.max().unwrap_or(Recreation::Never)
}

/// What it is forbidden to keep when a resource is replaced: its own name.
pub(super) fn keeps_name(kind: &str, old: &Value, new: &Value) -> Option<String> {
    let rules = rules(kind)?;
    let name =
        rules.identifier.iter().find(|name| !rules.read_only.contains(name) && rules.create_only.contains(name))?;
    let (old, new) = (old.get(name)?, new.get(name)?);
    (old == new && rules.identifier.len() == 1).then(|| old.as_str().unwrap_or_default().to_owned())
}

/// The logical ids with what goes with them, of a stack.
pub(super) fn needs_of(scope: &mut Scope<'_>, id: &str) -> BTreeMap<String, Vec<String>> {
    let Some(found) = stack(scope, id) else { return BTreeMap::new() };
    let template = std::sync::Arc::clone(&found.goal.template);
    let owned = |(name, needs): (&str, std::collections::BTreeSet<&str>)| {
        (name.to_owned(), needs.into_iter().map(str::to_owned).collect())
    };
    template.dependencies().into_iter().map(owned).collect()
}
