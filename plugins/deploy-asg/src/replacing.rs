//! How a stack replaces the instances of its group, by the `UpdatePolicy` in its template.
//! The main type is [`Replacing`].

use kiln_plugin::aws::autoscaling::AutoScalingGroup;
use serde_json::Value;

use crate::guard::Pace;

/// How a stack replaces the instances of a group when what they are launched of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replacing {
    /// It does not: there is no policy, or none that holds.
    Never,
    /// By an instance refresh.
    Refresh { pace: Pace, alarms: Vec<String>, checkpoints: Vec<u32>, bake_seconds: u32 },
    /// By itself, some at a time, and so many stay in service.
    Batches { least: u32 },
    /// By another group. Whether it is waited for its instances to say that they are well, before the old one goes.
    Group { waits: bool },
}

/// A number, which a template may write as a text.
fn number(value: Option<&Value>) -> Option<u32> {
    match value? {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| *value == Value::Bool(true) || value.as_str() == Some("true"))
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

impl Replacing {
    /// Of an `UpdatePolicy` and a `CreationPolicy`, with their references and conditions followed.
    pub(crate) fn of(policy: Option<&Value>, creation: Option<&Value>, group: &AutoScalingGroup) -> Self {
        let Some(policy) = policy else { return Self::Never };
        let part = |name: &str| policy.get(name).filter(|part| part.is_object());
        // CloudFormation does this one where both stand there.
        if part("AutoScalingReplacingUpdate").is_some_and(|part| is_true(part.get("WillReplace"))) {
            let signals = creation.and_then(|creation| creation.get("ResourceSignal"));
            return Self::Group { waits: signals.is_some_and(|signals| number(signals.get("Count")).unwrap_or(1) > 0) };
        }
        if let Some(rolling) = part("AutoScalingRollingUpdate") {
            let batch = number(rolling.get("MaxBatchSize")).unwrap_or(1).max(1);
            let stays = number(rolling.get("MinInstancesInService")).unwrap_or(0);
            return Self::Batches { least: stays.max(group.desired.saturating_sub(batch)).min(group.desired) };
        }
        let Some(refresh) = part("AutoScalingInstanceRefresh") else { return Self::Never };
        let said = refresh.get("Preferences").unwrap_or(refresh);
        let told = (number(said.get("MinHealthyPercentage")), number(said.get("MaxHealthyPercentage")));
        let alarms = items(said.pointer("/AlarmSpecification/Alarms"));
        Self::Refresh {
            pace: Pace::told(told, (group.min_healthy_percentage, group.max_healthy_percentage)),
            alarms: alarms.filter_map(|alarm| alarm.as_str().map(str::to_owned)).collect(),
            checkpoints: items(said.get("CheckpointPercentages")).filter_map(|point| number(Some(point))).collect(),
            bake_seconds: number(said.get("BakeTime")).unwrap_or(0),
        }
    }

    /// The fewest instances that are left at any step.
    pub(crate) fn least(&self, desired: u32) -> u32 {
        match self {
            Self::Never | Self::Group { waits: true } => desired,
            // An instance that runs is no instance that answers.
            Self::Group { waits: false } => 0,
            Self::Refresh { pace, .. } => pace.least(desired),
            Self::Batches { least } => *least,
        }
    }

    /// The alarms that fail it.
    pub(crate) fn alarms(&self) -> &[String] {
        match self {
            Self::Refresh { alarms, .. } => alarms,
            Self::Never | Self::Batches { .. } | Self::Group { .. } => &[],
        }
    }

    /// For people.
    pub(crate) fn told(&self, desired: u32) -> String {
        match self {
            Self::Never => "no instance is replaced by the stack".to_owned(),
            Self::Group { waits: true } => "by a group that takes its place once its instances say that they are well".to_owned(),
            Self::Group { waits: false } => {
                "by a group that takes its place whether its instances answer or not: it has no `CreationPolicy` that waits for them"
                    .to_owned()
            }
            Self::Batches { least } => format!("some at a time, and at least {least} of {desired} stay in service"),
            Self::Refresh { pace, alarms, checkpoints, bake_seconds } => {
                let (least, most) = (pace.least(desired), pace.most(desired));
                let mut said = format!("by an instance refresh, {least} to {most} at a time in service");
                if !checkpoints.is_empty() {
                    let points: Vec<String> = checkpoints.iter().map(|point| format!("{point} %")).collect();
                    said.push_str(&format!(", rests at {}", points.join(", ")));
                }
                if *bake_seconds > 0 {
                    said.push_str(&format!(
                        ", is watched for {} at the end",
                        kiln_plugin::Duration::from_secs(u64::from(*bake_seconds))
                    ));
                }
                if !alarms.is_empty() {
                    said.push_str(&format!(", failed by {}", alarms.join(", ")));
                }
                said
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::group;
    use serde_json::json;

    fn of(policy: Value) -> Replacing {
        Replacing::of(Some(&policy), None, &group())
    }

    #[test]
    fn a_group_without_a_policy_that_holds_is_not_replaced() {
        assert_eq!(Replacing::of(None, None, &group()), Replacing::Never);
        let scheduled = json!({ "AutoScalingScheduledAction": { "IgnoreUnmodifiedGroupSizeProperties": true } });
        assert_eq!(of(scheduled), Replacing::Never);
        assert_eq!(of(json!({ "AutoScalingReplacingUpdate": { "WillReplace": "false" } })), Replacing::Never);
    }

    #[test]
    fn each_policy_says_what_it_leaves_in_service() {
        let least = |policy: Value| of(policy).least(4);
        let replaces = json!({ "AutoScalingReplacingUpdate": { "WillReplace": true } });
        assert_eq!(least(replaces.clone()), 0, "nobody waits for the new ones");
        let signals = json!({ "ResourceSignal": { "Count": "4" } });
        assert_eq!(Replacing::of(Some(&replaces), Some(&signals), &group()).least(4), 4);
        assert_eq!(least(json!({ "AutoScalingRollingUpdate": {} })), 3, "one at a time");
        let rolling = json!({ "AutoScalingRollingUpdate": { "MaxBatchSize": "3", "MinInstancesInService": 2 } });
        assert_eq!(least(rolling), 2);
        assert_eq!(least(json!({ "AutoScalingInstanceRefresh": {} })), 3, "what AWS takes unless told");
        let ahead = json!({ "AutoScalingInstanceRefresh": { "Preferences": {
            "MinHealthyPercentage": 100, "MaxHealthyPercentage": "150", "CheckpointPercentages": [25, "100"], "BakeTime": 900,
            "AlarmSpecification": { "Alarms": ["web-5xx"] },
        } } });
        assert_eq!(least(ahead.clone()), 4);
        assert_eq!(of(ahead.clone()).alarms(), ["web-5xx"]);
        let told = "by an instance refresh, 4 to 6 at a time in service, rests at 25 %, 100 %, is watched for 15m at the end, failed by web-5xx";
        assert_eq!(of(ahead).told(4), told);
    }

    #[test]
    fn the_group_that_takes_the_place_comes_before_batches() {
        let both = json!({ "AutoScalingRollingUpdate": {}, "AutoScalingReplacingUpdate": { "WillReplace": true } });
        assert_eq!(of(both), Replacing::Group { waits: false });
    }
}
