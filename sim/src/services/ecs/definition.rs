//! Task definitions: whatever was registered, field by field as it was given.
//!
//! The main type is [`TaskDefinition`]; [`resolve`] finds the one that a caller names.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::logging::Logging;
use super::registration::compatibilities;
use super::state::is_foreign;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::tags::Tags;

/// The revisions of a family.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Family {
    pub(super) revisions: BTreeMap<u64, TaskDefinition>,
}

/// A revision of a task definition.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TaskDefinition {
    pub(super) arn: String,
    pub(super) family: String,
    pub(super) revision: u64,
    /// What was given, with fields that nobody knows, without tags.
    pub(super) document: Map<String, Value>,
    pub(super) tags: Tags,
    pub(super) active: bool,
    pub(super) registered: Timestamp,
    pub(super) registered_by: String,
    pub(super) deregistered: Option<Timestamp>,
}

/// A container of a task definition, as far as tasks need it.
#[derive(Debug, Clone)]
pub(super) struct ContainerDefinition {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) essential: bool,
    pub(super) checked: bool,
    pub(super) cpu: Option<u64>,
    pub(super) memory: Option<u64>,
    pub(super) log: Option<Logging>,
}

impl TaskDefinition {
    pub(super) fn containers(&self) -> Vec<ContainerDefinition> {
        let containers = self.document.get("containerDefinitions").and_then(Value::as_array);
        let text = |container: &Value, field: &str| {
            container.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let number = |container: &Value, field: &str| container.get(field).and_then(Value::as_u64);
        let of = |container: &Value| ContainerDefinition {
            name: text(container, "name"),
            image: text(container, "image"),
            essential: container.get("essential").and_then(Value::as_bool).unwrap_or(true),
            checked: container.get("healthCheck").is_some(),
            cpu: number(container, "cpu"),
            memory: number(container, "memory"),
            log: Logging::of(container),
        };
        containers.into_iter().flatten().map(of).collect()
    }

    /// The task definition as the API answers it.
    pub(super) fn described(&self) -> Value {
        let mut described = self.document.clone();
        let empty = || Value::Array(Vec::new());
        for list in ["volumes", "placementConstraints"] {
            described.entry(list).or_insert_with(empty);
        }
        if let Some(Value::Array(containers)) = described.get_mut("containerDefinitions") {
            for container in containers.iter_mut().filter_map(Value::as_object_mut) {
                for list in ["portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"] {
                    container.entry(list).or_insert_with(empty);
                }
                container.entry("cpu").or_insert_with(|| json!(0));
                container.entry("essential").or_insert(Value::Bool(true));
            }
        }
        let compatible = json!(compatibilities(&self.document));
        let status = if self.active { "ACTIVE" } else { "INACTIVE" };
        for (name, value) in [
            ("taskDefinitionArn", json!(self.arn)),
            ("family", json!(self.family)),
            ("revision", json!(self.revision)),
            ("status", json!(status)),
            ("compatibilities", compatible),
            ("requiresAttributes", json!([{ "name": "com.amazonaws.ecs.capability.docker-remote-api.1.18" }])),
            ("registeredAt", json!(self.registered)),
            ("registeredBy", json!(self.registered_by)),
            ("deregisteredAt", json!(self.deregistered)),
        ] {
            described.insert(name.to_owned(), value);
        }
        Value::Object(described)
    }
}

/// The next revision of a family, made of a checked document.
pub(super) fn register(
    scope: &mut Scope<'_>,
    family: &str,
    document: Map<String, Value>,
    tags: Tags,
    registered_by: String,
) -> TaskDefinition {
    let now = scope.now();
    let revisions = &scope.place().ecs.families.entry(family.to_owned()).or_default().revisions;
    let revision = revisions.keys().next_back().map_or(1, |last| last + 1);
    let definition = TaskDefinition {
        arn: scope.arn("ecs", &format!("task-definition/{family}:{revision}")),
        family: family.to_owned(),
        revision,
        document,
        tags,
        active: true,
        registered: now,
        registered_by,
        deregistered: None,
    };
    if let Some(family) = scope.place().ecs.families.get_mut(family) {
        family.revisions.insert(revision, definition.clone());
    }
    definition
}

/// The task definition of `FAMILY` (its newest active revision), `FAMILY:REVISION` or an ARN.
pub(super) fn resolve<'s>(scope: &'s mut Scope<'_>, given: &str) -> Option<&'s mut TaskDefinition> {
    if is_foreign(scope, given) {
        return None;
    }
    let name = given.rsplit_once("task-definition/").map_or(given, |(_, name)| name);
    let families = &mut scope.place().ecs.families;
    match name.rsplit_once(':') {
        Some((family, revision)) => {
            let revision: u64 = revision.parse().ok()?;
            families.get_mut(family)?.revisions.get_mut(&revision)
        }
        None => families.get_mut(name)?.revisions.values_mut().rev().find(|definition| definition.active),
    }
}

/// The active task definition that tasks are to run.
pub(super) fn runnable(scope: &mut Scope<'_>, given: &str) -> Result<TaskDefinition, AwsError> {
    let client = |message: &str| AwsError::new("ClientException", message);
    match resolve(scope, given) {
        Some(definition) if definition.active => Ok(definition.clone()),
        Some(_) => Err(client("TaskDefinition is inactive")),
        None => Err(client("TaskDefinition not found.")),
    }
}
