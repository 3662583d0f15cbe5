//! Signals that a resource waits for: those of wait conditions, of creation policies and of rolling updates.
//!
//! The main function is [`settling`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::events::Event;
use super::providers::Settling;
use super::stack::StackResource;
use super::state::{ResourceStep, stack};
use crate::ctx::Scope;

pub(super) const WAIT_CONDITION: &str = "AWS::CloudFormation::WaitCondition";
const GROUP: &str = "AWS::AutoScaling::AutoScalingGroup";

/// When the first signal that the world file tells of comes, and how long after each of them the next one.
const FIRST: Duration = Duration::from_secs(20);
const NEXT: Duration = Duration::from_secs(5);

/// How long is waited where nothing is said.
const USUAL: Duration = Duration::from_secs(300);

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signalled {
    Success,
    Failure,
}

impl Signalled {
    fn text(self) -> &'static str {
        match self {
            Signalled::Success => "SUCCESS",
            Signalled::Failure => "FAILURE",
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Awaited {
    /// How many signals.
    count: usize,
    /// How many of them must be of a success.
    least: usize,
    timeout: Duration,
    percent: usize,
}

/// A number that may be told as a text.
fn number(value: Option<&Value>) -> Option<usize> {
    match value? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| usize::try_from(number).ok()),
    }
}

/// A length of time such as `PT15M`.
fn length(value: Option<&Value>) -> Option<Duration> {
    let read: jiff::SignedDuration = value?.as_str()?.parse().ok()?;
    Duration::try_from(read).ok()
}

impl Awaited {
    fn new(count: usize, timeout: Duration, percent: usize) -> Self {
        Self { count, least: (count * percent.min(100)).div_ceil(100), timeout, percent }
    }

    /// What a resource waits for that was made, or changed from these properties to its own.
    fn of(resource: &StackResource, changed_from: Option<&Value>) -> Option<Self> {
        let said = |policy: &str, part: &str| resource.said.get(policy).and_then(|policy| policy.get(part));
        if let Some(old) = changed_from {
            let rolling = said("UpdatePolicy", "AutoScalingRollingUpdate")?;
            let waits = rolling.get("WaitOnResourceSignals").is_some_and(|waits| *waits == true || *waits == "true");
            let launches = |properties: &Value| {
                ["LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName", "VPCZoneIdentifier"]
                    .map(|name| properties.get(name).cloned())
            };
            if !waits || resource.kind != GROUP || launches(old) == launches(&resource.properties) {
                return None;
            }
            let size = |name: &str| number(resource.properties.get(name));
            let count = size("DesiredCapacity").or_else(|| size("MinSize")).unwrap_or(0);
            let batches = count.div_ceil(number(rolling.get("MaxBatchSize")).unwrap_or(1).max(1));
            let pause = length(rolling.get("PauseTime")).unwrap_or(USUAL);
            let percent = number(rolling.get("MinSuccessfulInstancesPercent")).unwrap_or(100);
            return Some(Self::new(count, pause * u32::try_from(batches).unwrap_or(u32::MAX), percent));
        }
        let group = said("CreationPolicy", "AutoScalingCreationPolicy");
        let percent = number(group.and_then(|group| group.get("MinSuccessfulInstancesPercent"))).unwrap_or(100);
        match said("CreationPolicy", "ResourceSignal") {
            Some(signal) => {
                let timeout = length(signal.get("Timeout")).unwrap_or(USUAL);
                Some(Self::new(number(signal.get("Count")).unwrap_or(1), timeout, percent))
            }
            None if resource.kind == WAIT_CONDITION => {
                let seconds = number(resource.properties.get("Timeout"))
                    .map_or(USUAL, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)));
                Some(Self::new(number(resource.properties.get("Count")).unwrap_or(1), seconds, 100))
            }
            None => None,
        }
    }
}

/// The signals that came to a resource.
fn of(resource: &StackResource) -> Map<String, Value> {
    resource.attributes.get("Signals").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Keep a signal. Each sender counts once.
pub(super) fn keep(resource: &mut StackResource, sender: &str, status: &str) {
    let signals = resource.attributes.entry("Signals").or_insert_with(|| json!({}));
    if let Some(signals) = signals.as_object_mut() {
        signals.insert(sender.to_owned(), json!(status));
    }
}

/// The signals come that the world file tells of.
pub(super) fn announce(
    scope: &mut Scope<'_>,
    id: &str,
    turn: u64,
    logical: &str,
    (step, signals): (ResourceStep, &[Signalled]),
) {
    let mut after = FIRST;
    for (number, status) in signals.iter().enumerate() {
        let (stack, logical, sender) = (id.to_owned(), logical.to_owned(), format!("signal-{}", number + 1));
        scope.schedule(after, Event::Signal { stack, turn, logical, step, sender, status: status.text() });
        after += NEXT;
    }
}

/// A signal came that the world file told of.
pub(super) fn came(scope: &mut Scope<'_>, id: &str, turn: u64, logical: &str, (sender, status): (&str, &str)) -> bool {
    let Some(found) = stack(scope, id) else { return false };
    let waits =
        found.execution.as_ref().is_some_and(|execution| execution.turn == turn && execution.running.contains(logical));
    let resource = found.resources.get_mut(logical).filter(|_| waits);
    resource.map(|resource| keep(resource, sender, status)).is_some()
}

/// How far a resource is with what it waits for: it was made, or changed from these properties to its own, this long ago.
pub(super) fn settling(resource: &StackResource, changed_from: Option<&Value>, waited: Duration) -> Settling {
    let signals = of(resource);
    let failed: Vec<&String> = signals.iter().filter(|(_, status)| **status == "FAILURE").map(|(id, _)| id).collect();
    let Some(awaited) = Awaited::of(resource, changed_from) else {
        // Whoever signals a failure of what waits for nothing is heard all the same.
        return match failed.first() {
            Some(sender) => Settling::Failed(format!("Received FAILURE signal with UniqueId {sender}")),
            None => Settling::Done,
        };
    };
    let Awaited { count, least, timeout, percent } = awaited;
    let succeeded = signals.len() - failed.len();
    let of_group = |what: &str, number: usize| {
        Settling::Failed(format!(
            "Received {number} {what} signal(s) out of {count}. Unable to satisfy {percent}% MinSuccessfulInstancesPercent \
             requirement"
        ))
    };
    let condition = resource.kind == WAIT_CONDITION;
    if let Some(sender) = failed.first().filter(|_| failed.len() > count - least) {
        return match resource.kind.as_str() {
            GROUP => of_group("FAILURE", failed.len()),
            _ if condition => {
                Settling::Failed(format!("WaitCondition received failed message: '' for uniqueId: {sender}"))
            }
            _ => Settling::Failed(format!("Received FAILURE signal with UniqueId {sender}")),
        };
    }
    if succeeded >= least && signals.len() >= count {
        return Settling::Done;
    }
    if waited < timeout {
        return Settling::Wait;
    }
    match resource.kind.as_str() {
        _ if succeeded >= least => Settling::Done,
        GROUP => of_group("SUCCESS", succeeded),
        _ if condition => {
            Settling::Failed(format!("WaitCondition timed out. Received {succeeded} conditions when expecting {count}"))
        }
        _ => Settling::Failed(format!(
            "Failed to receive {} resource signal(s) within the specified duration",
            count - succeeded
        )),
    }
}

/// What the signals of a wait condition said, as its attribute tells it.
pub(super) fn data(resource: &StackResource) -> Option<Value> {
    let said = of(resource).keys().map(|sender| (sender.clone(), json!(""))).collect::<Map<_, _>>();
    (resource.kind == WAIT_CONDITION).then(|| Value::String(Value::Object(said).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::services::cloudformation::stack::ResourcePhase;

    fn resource(kind: &str, properties: Value, said: Value, signals: &[&str]) -> StackResource {
        let mut resource = StackResource {
            logical: "One".to_owned(),
            kind: kind.to_owned(),
            physical: Some("one".to_owned()),
            phase: ResourcePhase::CreateInProgress,
            reason: None,
            updated: Timestamp(0),
            properties,
            attributes: Map::new(),
            said,
            needs: std::collections::BTreeSet::new(),
            drift: None,
        };
        for (number, status) in signals.iter().enumerate() {
            keep(&mut resource, &format!("i-{number}"), status);
        }
        resource
    }

    fn told(settling: Settling) -> String {
        match settling {
            Settling::Done => "done".to_owned(),
            Settling::Wait => "waits".to_owned(),
            Settling::Failed(reason) => reason,
        }
    }

    #[test]
    fn a_group_waits_for_as_many_signals_as_its_policy_says() {
        let said = |percent: u64| {
            json!({ "CreationPolicy": {
                "ResourceSignal": { "Count": "3", "Timeout": "PT15M" },
                "AutoScalingCreationPolicy": { "MinSuccessfulInstancesPercent": percent },
            } })
        };
        let of = |percent: u64, signals: &[&str], minutes: u64| {
            let group = resource(GROUP, json!({}), said(percent), signals);
            told(settling(&group, None, Duration::from_secs(minutes * 60)))
        };
        assert_eq!(of(100, &["SUCCESS", "SUCCESS"], 14), "waits");
        assert_eq!(of(100, &["SUCCESS", "SUCCESS", "SUCCESS"], 1), "done");
        assert_eq!(
            of(100, &["SUCCESS", "FAILURE"], 1),
            "Received 1 FAILURE signal(s) out of 3. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"
        );
        assert_eq!(
            of(100, &["SUCCESS"], 15),
            "Received 1 SUCCESS signal(s) out of 3. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement"
        );
        assert_eq!(of(60, &["SUCCESS", "FAILURE"], 1), "waits");
        assert_eq!(of(60, &["SUCCESS", "FAILURE", "SUCCESS"], 1), "done");
        assert_eq!(of(60, &["SUCCESS", "SUCCESS"], 15), "done");
    }

    #[test]
    fn a_wait_condition_and_an_instance_tell_in_their_own_words_what_is_missing() {
        let condition = |signals: &[&str], seconds: u64| {
            let one = resource(WAIT_CONDITION, json!({ "Count": 2, "Timeout": "60" }), json!({}), signals);
            told(settling(&one, None, Duration::from_secs(seconds)))
        };
        assert_eq!(condition(&["SUCCESS"], 59), "waits");
        assert_eq!(condition(&["SUCCESS"], 60), "WaitCondition timed out. Received 1 conditions when expecting 2");
        assert_eq!(condition(&["FAILURE"], 1), "WaitCondition received failed message: '' for uniqueId: i-0");
        let instance = |signals: &[&str], seconds: u64| {
            let said = json!({ "CreationPolicy": { "ResourceSignal": { "Timeout": "PT1M" } } });
            told(settling(
                &resource("AWS::EC2::Instance", json!({}), said, signals),
                None,
                Duration::from_secs(seconds),
            ))
        };
        assert_eq!(instance(&[], 60), "Failed to receive 1 resource signal(s) within the specified duration");
        assert_eq!(instance(&["FAILURE"], 1), "Received FAILURE signal with UniqueId i-0");
        assert_eq!(instance(&["SUCCESS"], 1), "done");
    }

    #[test]
    fn a_rolling_update_waits_only_where_instances_are_replaced() {
        let said = json!({ "UpdatePolicy": { "AutoScalingRollingUpdate": {
            "WaitOnResourceSignals": true, "PauseTime": "PT10M", "MaxBatchSize": 1,
        } } });
        let properties = json!({ "MinSize": "2", "LaunchTemplate": { "Version": "2" } });
        let group = resource(GROUP, properties.clone(), said, &["SUCCESS"]);
        let of = |old: &Value, minutes: u64| told(settling(&group, Some(old), Duration::from_secs(minutes * 60)));
        assert_eq!(of(&properties, 0), "done");
        let old = json!({ "MinSize": "2", "LaunchTemplate": { "Version": "1" } });
        assert_eq!(of(&old, 19), "waits");
        assert!(of(&old, 20).starts_with("Received 1 SUCCESS signal(s) out of 2."));
    }
}
