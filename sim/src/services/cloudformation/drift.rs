//! What stacks say against what there is.
//!
//! The main function is [`detect_stack_drift`].

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_template::rules;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::events::Event;
use super::properties::dynamic;
use super::providers;
use super::stack::{ResourceDrift, StackResource};
use super::state::{found, invalid, stack};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// A search for drift.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DriftDetection {
    pub(super) stack: String,
    pub(super) started: Timestamp,
    /// The resources that are looked at; all where none are named.
    pub(super) resources: Vec<String>,
    /// How many have drifted, when it is over.
    pub(super) drifted: Option<usize>,
}

/// How long AWS takes to look at a stack.
const LOOKING: Duration = Duration::from_secs(15);

/// A resource and what there is of it, without what AWS does not tell or adds by itself.
fn compared(scope: &mut Scope<'_>, resource: &StackResource) -> ResourceDrift {
    let checked = scope.now();
    let expected = dynamic(scope, resource.properties.clone()).unwrap_or_else(|_| resource.properties.clone());
    let actual = providers::live(scope, resource);
    let told = told(&resource.kind, &expected);
    let Some(actual) = actual else {
        return ResourceDrift {
            status: "DELETED",
            checked,
            expected: told.to_string(),
            actual: None,
            differences: Vec::new(),
        };
    };
    let mut differences = Vec::new();
    // What is not said is not compared, as AWS does it.
    for (name, wanted) in told.as_object().into_iter().flatten() {
        differ(&format!("/{name}"), Some(wanted), actual.get(name), &mut differences);
    }
    let narrowed: Map<String, Value> = told
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| Some((name.clone(), actual.get(name)?.clone())))
        .collect();
    ResourceDrift {
        status: if differences.is_empty() { "IN_SYNC" } else { "MODIFIED" },
        checked,
        expected: told.to_string(),
        actual: Some(Value::Object(narrowed).to_string()),
        differences,
    }
}

fn told(kind: &str, properties: &Value) -> Value {
    let hidden = rules(kind).map(|rules| rules.write_only.as_slice()).unwrap_or_default();
    let kept = properties.as_object().into_iter().flatten().filter(|(name, _)| !hidden.contains(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn differ(
    path: &str,
    wanted: Option<&Value>,
    actual: Option<&Value>,
    found: &mut Vec<(String, String, String, &'static str)>,
) {
    let text = |value: Option<&Value>| value.map(super::finishing::shown).unwrap_or_default();
    match (wanted, actual) {
        (one, other) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                differ(&format!("{path}/{name}"), one.get(name), other.get(name), found);
            }
        }
        (Some(_), None) => found.push((path.to_owned(), text(wanted), String::new(), "REMOVE")),
        (None, Some(_)) => found.push((path.to_owned(), String::new(), text(actual), "ADD")),
        (one, other) => {
            if text(one) != text(other) && !same_number(&text(one), &text(other)) {
                found.push((path.to_owned(), text(one), text(other), "NOT_EQUAL"));
            }
        }
    }
}

/// Whether two texts are one number: a template says `10`, and CloudWatch tells `10.0`.
fn same_number(one: &str, other: &str) -> bool {
    matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one.to_bits() == other.to_bits())
}

/// Look at a resource, and remember what was found.
fn look(scope: &mut Scope<'_>, id: &str, logical: &str) -> Option<ResourceDrift> {
    let resource = stack(scope, id)?.resources.get(logical).filter(|resource| resource.is_made())?.clone();
    let drift = compared(scope, &resource);
    stack(scope, id)?.resources.get_mut(logical)?.drift = Some(drift.clone());
    Some(drift)
}

/// The resources of a stack that have drifted, with the properties that they have; nothing for what is gone.
pub(super) fn drifted(scope: &mut Scope<'_>, id: &str) -> BTreeMap<String, Option<Value>> {
    let resources: Vec<StackResource> = stack(scope, id)
        .map(|found| found.resources.values().filter(|one| one.is_made()).cloned().collect())
        .unwrap_or_default();
    let mut all = BTreeMap::new();
    for resource in resources {
        if let Some(drift) = look(scope, id, &resource.logical)
            && drift.status != "IN_SYNC"
        {
            let live = providers::live(scope, &resource);
            let told = told(&resource.kind, &resource.properties);
            let seen = live.map(|live| {
                let names = told.as_object().into_iter().flatten();
                let mut seen = resource.properties.as_object().cloned().unwrap_or_default();
                for (name, _) in names {
                    match live.get(name) {
                        Some(value) => seen.insert(name.clone(), value.clone()),
                        None => seen.remove(name),
                    };
                }
                Value::Object(seen)
            });
            all.insert(resource.logical.clone(), seen);
        }
    }
    all
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DetectStackDrift {
    stack_name: String,
    logical_resource_ids: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DetectionBegun {
    stack_drift_detection_id: String,
}

pub(super) fn detect_stack_drift(ctx: &mut Ctx<'_>, input: DetectStackDrift) -> Result<DetectionBegun, AwsError> {
    let id = found(ctx, &input.stack_name)?;
    if let Some(found) = stack(ctx, &id)
        && (found.phase.is_busy() || !found.is_there() || found.resources.is_empty())
    {
        return Err(invalid(format!(
            "Drift detection cannot be performed on stack [{id}] while it is in {} state.",
            found.phase.text()
        )));
    }
    let mut detections = ctx.place().cloudformation.detections.values();
    if detections.any(|run| run.stack == id && run.drifted.is_none()) {
        return Err(invalid(format!("Drift detection is already in progress for stack [{id}]")));
    }
    let kind = format!("cloudformation/drift/{}", ctx.at);
    let detection = ctx.world.ids.uuid(&kind);
    let started = ctx.now();
    let run = DriftDetection {
        stack: id.clone(),
        started,
        resources: input.logical_resource_ids.unwrap_or_default(),
        drifted: None,
    };
    ctx.place().cloudformation.detections.insert(detection.clone(), run);
    ctx.schedule(LOOKING, Event::Detected { detection: detection.clone() });
    // It looks: whoever looks twice has changed nothing.
    ctx.unchanged();
    Ok(DetectionBegun { stack_drift_detection_id: detection })
}

/// The search for drift is over.
pub(super) fn detected(scope: &mut Scope<'_>, detection: &str) {
    let now = scope.now();
    let Some(run) = scope.place().cloudformation.detections.get(detection).cloned() else { return };
    let all: Vec<String> =
        stack(scope, &run.stack).map(|found| found.resources.keys().cloned().collect()).unwrap_or_default();
    let wanted: Vec<String> =
        all.into_iter().filter(|name| run.resources.is_empty() || run.resources.contains(name)).collect();
    let mut count = 0;
    for logical in wanted {
        count += usize::from(look(scope, &run.stack, &logical).is_some_and(|drift| drift.status != "IN_SYNC"));
    }
    if let Some(found) = stack(scope, &run.stack) {
        found.drift = Some((count > 0, now));
    }
    if let Some(run) = scope.place().cloudformation.detections.get_mut(detection) {
        run.drifted = Some(count);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStackDriftDetectionStatus {
    stack_drift_detection_id: String,
}

pub(super) fn describe_stack_drift_detection_status(
    ctx: &mut Ctx<'_>,
    input: DescribeStackDriftDetectionStatus,
) -> Result<Value, AwsError> {
    let id = &input.stack_drift_detection_id;
    let run = ctx.place().cloudformation.detections.get(id).cloned();
    let run = run.ok_or_else(|| invalid(format!("Drift detection [{id}] does not exist")))?;
    Ok(json!({
        "StackId": run.stack, "StackDriftDetectionId": id, "Timestamp": run.started,
        "StackDriftStatus": run.drifted.map(|count| if count > 0 { "DRIFTED" } else { "IN_SYNC" }),
        "DetectionStatus": if run.drifted.is_some() { "DETECTION_COMPLETE" } else { "DETECTION_IN_PROGRESS" },
        "DriftedStackResourceCount": run.drifted,
    }))
}

fn shown(id: &str, resource: &StackResource, drift: &ResourceDrift) -> Value {
    let differences: Vec<Value> = drift
        .differences
        .iter()
        .map(|(path, expected, actual, how)| {
            json!({ "PropertyPath": path, "ExpectedValue": expected, "ActualValue": actual, "DifferenceType": how })
        })
        .collect();
    json!({
        "StackId": id, "LogicalResourceId": resource.logical, "PhysicalResourceId": resource.physical,
        "ResourceType": resource.kind, "ExpectedProperties": drift.expected, "ActualProperties": drift.actual,
        "PropertyDifferences": differences, "StackResourceDriftStatus": drift.status, "Timestamp": drift.checked,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DetectStackResourceDrift {
    stack_name: String,
    logical_resource_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceDriftFound {
    stack_resource_drift: Value,
}

pub(super) fn detect_stack_resource_drift(
    ctx: &mut Ctx<'_>,
    input: DetectStackResourceDrift,
) -> Result<ResourceDriftFound, AwsError> {
    let id = found(ctx, &input.stack_name)?;
    let logical = &input.logical_resource_id;
    let drift = look(ctx, &id, logical);
    let drift =
        drift.ok_or_else(|| invalid(format!("Resource {logical} does not exist for stack {}", input.stack_name)))?;
    let resource = stack(ctx, &id).and_then(|found| found.resources.get(logical)).cloned();
    ctx.touch(id.clone());
    let stack_resource_drift = resource.map(|resource| shown(&id, &resource, &drift)).unwrap_or_default();
    Ok(ResourceDriftFound { stack_resource_drift })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStackResourceDrifts {
    stack_name: String,
    stack_resource_drift_status_filters: Option<Vec<String>>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceDrifts {
    stack_resource_drifts: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_stack_resource_drifts(
    ctx: &mut Ctx<'_>,
    input: DescribeStackResourceDrifts,
) -> Result<ResourceDrifts, AwsError> {
    let id = found(ctx, &input.stack_name)?;
    let wanted = input.stack_resource_drift_status_filters.unwrap_or_default();
    let resources: Vec<StackResource> =
        stack(ctx, &id).map(|found| found.resources.values().cloned().collect()).unwrap_or_default();
    let looked = resources.into_iter().filter(|resource| {
        resource
            .drift
            .as_ref()
            .is_some_and(|drift| wanted.is_empty() || wanted.iter().any(|status| status == drift.status))
    });
    let looked: Vec<StackResource> = looked.collect();
    let page =
        ctx.page("drifts", looked, input.max_results.unwrap_or(100), input.next_token.as_deref(), |one| &one.logical);
    let (page, next_token) = page.map_err(|_| invalid("Invalid NextToken"))?;
    let stack_resource_drifts =
        page.iter().filter_map(|resource| Some(shown(&id, resource, resource.drift.as_ref()?))).collect();
    Ok(ResourceDrifts { stack_resource_drifts, next_token })
}
