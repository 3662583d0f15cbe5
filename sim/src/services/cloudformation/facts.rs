//! What a stack's template is computed over.
//!
//! The main type is [`StackFacts`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_template::{Known, LATER, Node, Template};
use serde_json::{Map, Value, json};

use super::stack::{Goal, StackParameter, StackResource};
use super::state::State;
use crate::ctx::Scope;
use crate::partition::partition_of;
use crate::services::ec2;
use crate::world::PlaceKey;

/// What is known of a stack.
pub(super) struct StackFacts<'f> {
    /// Parameters and pseudo parameters.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) resources: &'f BTreeMap<String, StackResource>,
    /// Those of which only an execution makes known what they are.
    pub(super) later: BTreeSet<String>,
    /// Those of which only an execution makes known what some attributes are.
    pub(super) changing: BTreeSet<String>,
    pub(super) template: &'f Template,
    pub(super) state: Option<&'f State>,
    pub(super) region: &'f str,
    /// What the things have that rules of templates ask for.
    pub(super) described: BTreeMap<(String, String), Value>,
}

/// Parameters and pseudo parameters of a stack.
pub(super) fn values(
    template: &Template,
    parameters: &BTreeMap<String, StackParameter>,
    at: &PlaceKey,
    (name, id): (&str, &str),
    notifications: &[String],
) -> BTreeMap<String, Value> {
    let (partition, suffix) = partition_of(&at.region);
    let mut values = BTreeMap::from([
        ("AWS::AccountId".to_owned(), json!(at.account)),
        ("AWS::Region".to_owned(), json!(at.region)),
        ("AWS::Partition".to_owned(), json!(partition)),
        ("AWS::URLSuffix".to_owned(), json!(suffix)),
        ("AWS::StackName".to_owned(), json!(name)),
        ("AWS::StackId".to_owned(), json!(id)),
        ("AWS::NotificationARNs".to_owned(), json!(notifications)),
    ]);
    for (name, parameter) in &template.parameters {
        if let Some(given) = parameters.get(name) {
            let text = given.resolved.as_ref().unwrap_or(&given.value);
            values.insert(name.clone(), parameter.kind.value(text));
        }
    }
    values
}

/// The networks of what parameters name, which rules of templates ask for.
pub(super) fn described(
    scope: &mut Scope<'_>,
    template: &Template,
    values: &BTreeMap<String, Value>,
) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    for (name, parameter) in &template.parameters {
        let ids: Vec<String> = match values.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => continue,
        };
        let kind = parameter.kind.inner();
        for id in ids.into_iter().filter(|_| kind.contains("Subnet::Id") || kind.contains("SecurityGroup::Id")) {
            if let Some(vpc) = ec2::network_of(scope, &id) {
                found.insert((id, "VpcId".to_owned()), Value::String(vpc));
            }
        }
    }
    found
}

impl<'f> StackFacts<'f> {
    /// What is known of a stack whose goal is this one.
    pub(super) fn of(
        goal: &'f Goal,
        resources: &'f BTreeMap<String, StackResource>,
        state: Option<&'f State>,
        at: &'f PlaceKey,
        named: (&str, &str),
    ) -> Self {
        Self {
            values: values(&goal.template, &goal.parameters, at, named, &goal.notifications),
            resources,
            later: BTreeSet::new(),
            changing: BTreeSet::new(),
            template: &goal.template,
            state,
            region: &at.region,
            described: BTreeMap::new(),
        }
    }
}

impl Known for StackFacts<'_> {
    fn reference(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        if self.later.contains(name) {
            return Some(Value::from(LATER));
        }
        match self.resources.get(name).filter(|resource| resource.is_made()) {
            Some(resource) => resource.physical.clone().map(Value::from),
            None => self.template.resources.get(name).map(|_| Value::from(LATER)),
        }
    }

    fn attribute(&self, of: &str, attribute: &str) -> Option<Value> {
        let told = self.template.resources.get(of)?;
        if self.later.contains(of) || (self.changing.contains(of) && kiln_template::moves(&told.kind, attribute)) {
            return Some(Value::from(LATER));
        }
        let Some(resource) = self.resources.get(of).filter(|resource| resource.is_made()) else {
            return Some(Value::from(LATER));
        };
        let found = resource.attributes.get(attribute).or_else(|| resource.properties.get(attribute));
        if let Some(found) = found {
            return Some(found.clone());
        }
        let mut parts = attribute.split('.');
        let first =
            parts.next().and_then(|first| resource.attributes.get(first).or_else(|| resource.properties.get(first)));
        parts.try_fold(first?, |value, part| value.get(part)).cloned()
    }

    fn import(&self, name: &str) -> Option<Value> {
        let mut outputs = self.state?.stacks.values().filter(|stack| stack.is_there()).flat_map(|stack| &stack.outputs);
        let found = outputs.find(|output| output.export_name.as_deref() == Some(name))?;
        Some(Value::from(found.output_value.as_str()))
    }

    fn zones(&self, region: &str) -> Vec<String> {
        let region = if region.is_empty() { self.region } else { region };
        ["a", "b", "c"].map(|zone| format!("{region}{zone}")).to_vec()
    }

    fn described(&self, _kind: &str, id: &str, attribute: &str) -> Option<Value> {
        self.described.get(&(id.to_owned(), attribute.to_owned())).cloned()
    }
}

/// The members of a value that is a structure.
pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Every argument of `Fn::ImportValue` within a value.
pub(super) fn imports_of(node: &Node, tell: &mut impl FnMut(&Node)) {
    if let Some(("Fn::ImportValue", argument)) = node.call() {
        tell(argument);
    }
    node.items().unwrap_or_default().iter().for_each(|item| imports_of(item, tell));
    node.entries().unwrap_or_default().iter().for_each(|entry| imports_of(&entry.value, tell));
}
