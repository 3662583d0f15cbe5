//! Makes, changes and deletes the things of resources: those of services that the simulator has are the real simulated ones.
//!
//! The main types are [`ProviderOrder`], what is asked for, and [`Provider`], who does it.

mod bucket;
mod calls;
mod fleet;
mod forms;
mod kept;
mod plain;
mod scripted;
mod table;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::nested;
use super::stack::StackResource;
use super::state::ResourceStep;
use crate::ctx::Scope;
use crate::services::autoscaling;
use crate::tags::Tags;

/// What the random end of a name is drawn of.
pub(super) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What is asked for.
pub(super) struct ProviderOrder<'o> {
    /// The stack's id.
    pub(super) stack: &'o str,
    /// The stack's name.
    pub(super) name: &'o str,
    pub(super) logical: &'o str,
    pub(super) kind: &'o str,
    pub(super) properties: &'o Value,
    pub(super) said: &'o Value,
    /// The stack's own tags.
    pub(super) tags: &'o Tags,
}

/// What was made or changed.
#[derive(Debug, Clone)]
pub(super) struct Provided {
    pub(super) physical: String,
    pub(super) attributes: Map<String, Value>,
}

/// How far a thing has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settling {
    Done,
    Wait,
    Failed(String),
}

/// Who makes the things of a type. What is not told is as for things that are only kept.
pub(super) struct Provider {
    pub(super) create: fn(&mut Scope<'_>, &ProviderOrder<'_>) -> Result<Provided, String>,
    pub(super) update: fn(&mut Scope<'_>, &ProviderOrder<'_>, &StackResource) -> Result<Provided, String>,
    pub(super) delete: fn(&mut Scope<'_>, &StackResource) -> Result<(), String>,
    /// The properties as they are now; nothing where the thing is gone.
    pub(super) live: fn(&mut Scope<'_>, &StackResource) -> Option<Value>,
    pub(super) settling: fn(&mut Scope<'_>, &StackResource) -> Settling,
    pub(super) going: fn(&mut Scope<'_>, &StackResource) -> Settling,
}

impl Provider {
    /// One whose things are done at once.
    pub(super) const KEPT: Provider = Provider {
        create: kept::create,
        update: kept::update,
        delete: kept::delete,
        live: kept::live,
        settling: |_, _| Settling::Done,
        going: |_, _| Settling::Done,
    };
}

const NESTED: &str = "AWS::CloudFormation::Stack";

/// How long a step takes, where nothing is waited for.
pub(super) fn time(kind: &str, step: ResourceStep) -> Duration {
    let seconds = match (kind, step) {
        ("AWS::RDS::DBInstance", ResourceStep::Create) => 300,
        ("AWS::RDS::DBInstance", ResourceStep::Update | ResourceStep::Delete) => 120,
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", ResourceStep::Create) => 120,
        ("AWS::EC2::NatGateway", _) => 90,
        ("AWS::IAM::InstanceProfile", ResourceStep::Create) => 120,
        ("AWS::DynamoDB::Table" | "AWS::EC2::VPCEndpoint", _) => 30,
        ("AWS::IAM::Role", ResourceStep::Create) => 18,
        (_, ResourceStep::Create) => 6,
        (_, ResourceStep::Update) => 6,
        (_, ResourceStep::Delete) => 4,
    };
    Duration::from_secs(seconds)
}

/// Make the thing of a resource.
pub(super) fn create(scope: &mut Scope<'_>, order: &ProviderOrder<'_>) -> Result<Provided, String> {
    match order.kind {
        NESTED => nested::create(scope, order),
        kind => (table::provider(kind).create)(scope, order),
    }
}

/// Change the thing of a resource in place; `back` to what it was before.
pub(super) fn update(
    scope: &mut Scope<'_>,
    order: &ProviderOrder<'_>,
    old: &StackResource,
    back: bool,
) -> Result<Provided, String> {
    let physical = old.physical.clone().unwrap_or_default();
    match order.kind {
        NESTED => nested::update(scope, order, &physical, back),
        // Policies and metadata are CloudFormation's own.
        _ if old.properties == *order.properties && live(scope, old) == Some(old.properties.clone()) => {
            Ok(Provided { physical, attributes: old.attributes.clone() })
        }
        // What rang is why it goes back, and a refresh that goes back is watched by no alarm.
        kind if back => {
            let said = unwatched(order.said);
            (table::provider(kind).update)(scope, &ProviderOrder { said: &said, ..*order }, old)
        }
        kind => (table::provider(kind).update)(scope, order, old),
    }
}

/// What is said of a resource, without the alarms of its instance refresh.
fn unwatched(said: &Value) -> Value {
    let mut said = said.clone();
    let preferences = said.pointer_mut("/UpdatePolicy/AutoScalingInstanceRefresh/Preferences");
    if let Some(preferences) = preferences.and_then(Value::as_object_mut) {
        preferences.remove("AlarmSpecification");
    }
    said
}

/// Delete the thing of a resource.
pub(super) fn delete(scope: &mut Scope<'_>, _stack: &str, resource: &StackResource) -> Result<(), String> {
    match resource.kind.as_str() {
        NESTED => nested::delete(scope, resource.physical.as_deref().unwrap_or_default()),
        kind => return (table::provider(kind).delete)(scope, resource),
    }
    Ok(())
}

/// How far the thing of a resource has come.
pub(super) fn settling(scope: &mut Scope<'_>, _stack: &str, resource: &StackResource, step: ResourceStep) -> Settling {
    match resource.kind.as_str() {
        NESTED => nested::settling(scope, resource.physical.as_deref().unwrap_or_default(), step),
        kind => (table::provider(kind).settling)(scope, resource),
    }
}

/// How far the deletion of a thing has come.
pub(super) fn going(scope: &mut Scope<'_>, resource: &StackResource) -> Settling {
    match resource.kind.as_str() {
        NESTED => nested::settling(scope, resource.physical.as_deref().unwrap_or_default(), ResourceStep::Delete),
        kind => (table::provider(kind).going)(scope, resource),
    }
}

/// The properties of a resource's thing as they are now; nothing where it is gone.
pub(super) fn live(scope: &mut Scope<'_>, resource: &StackResource) -> Option<Value> {
    match resource.kind.as_str() {
        NESTED => Some(resource.properties.clone()),
        kind => (table::provider(kind).live)(scope, resource),
    }
}

/// The thing of a resource is done at once: the world begins.
pub(super) fn hasten(scope: &mut Scope<'_>, resource: &StackResource) -> Result<(), String> {
    match (resource.kind.as_str(), &resource.physical) {
        ("AWS::AutoScaling::AutoScalingGroup", Some(name)) => autoscaling::complete(scope, name, None),
        _ => Ok(()),
    }
}

/// Attributes that are known only when a resource is done.
pub(super) fn attributes(scope: &mut Scope<'_>, resource: &StackResource) -> Map<String, Value> {
    match resource.kind.as_str() {
        NESTED => nested::attributes(scope, resource.physical.as_deref().unwrap_or_default()),
        _ => Map::new(),
    }
}

/// Whether a change replaces a resource though its schema does not say so: its policy does.
pub(super) fn replaces(old: &StackResource, properties: &Value, said: &Value) -> bool {
    let policy = said.get("UpdatePolicy").and_then(|policy| policy.get("AutoScalingReplacingUpdate"));
    let will = policy.and_then(|policy| policy.get("WillReplace")).is_some_and(|will| will == true || will == "true");
    let launches = |properties: &Value| {
        ["LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName", "VPCZoneIdentifier"]
            .map(|name| properties.get(name).cloned())
    };
    old.kind == "AWS::AutoScaling::AutoScalingGroup" && will && launches(&old.properties) != launches(properties)
}

/// Whether EC2 has an image that the account may use.
pub(super) fn has_image(scope: &mut Scope<'_>, id: &str) -> bool {
    calls::call(scope, "ec2", "DescribeImages", json!({ "ImageId": [id] })).is_ok()
}

/// A name for a thing that was given none, as AWS makes one.
pub(super) fn named(scope: &mut Scope<'_>, order: &ProviderOrder<'_>, property: &str, longest: usize) -> String {
    if let Some(given) = order.properties.get(property).and_then(Value::as_str) {
        return given.to_owned();
    }
    let drawn =
        scope.world.ids.characters(&format!("cloudformation/name/{}/{}", order.stack, order.logical), UPPER, 12);
    let room = longest.saturating_sub(drawn.len() + 2);
    let mut stem = format!("{}-{}", order.name, order.logical);
    if stem.chars().count() > room {
        let half = room.saturating_sub(1) / 2;
        let (stack, logical): (String, String) =
            (order.name.chars().take(half).collect(), order.logical.chars().take(half).collect());
        stem = format!("{stack}-{logical}");
    }
    format!("{stem}-{drawn}")
}
