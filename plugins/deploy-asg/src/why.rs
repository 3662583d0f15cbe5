//! Says why a refresh failed: what AWS says of it, what the group did, which targets are not healthy.
//! The main function is [`explain`].

use std::collections::BTreeMap;

use kiln_plugin::aws::autoscaling::{InstanceRefresh, LifecycleHook, ScalingActivity};
use kiln_plugin::aws::elasticloadbalancing::TargetHealth;
use kiln_plugin::{Failure, FailureKind, Instant};

use crate::course::Ending;

/// How many reasons are shown.
const SHOWN: usize = 8;

/// What is known of a refresh that failed.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) group: &'a str,
    /// What it should have brought: `web version 3 (ami-…)`.
    pub(crate) target: &'a str,
    pub(crate) ending: Ending,
    pub(crate) refresh: &'a InstanceRefresh,
    /// What the group did, newest first.
    pub(crate) activities: &'a [ScalingActivity],
    pub(crate) hooks: &'a [LifecycleHook],
    /// Targets by their group.
    pub(crate) targets: &'a [(String, Vec<TargetHealth>)],
    /// Whether the whole fleet is on what served before.
    pub(crate) is_back: bool,
}

/// The failure that tells it all.
pub(crate) fn explain(evidence: &Evidence<'_>) -> Failure {
    let Evidence { group, target, ending, refresh, is_back, .. } = evidence;
    let outcome = match ending {
        Ending::RolledBack => format!("{group} does not run {target}: the refresh failed and AWS rolled it back"),
        Ending::RollbackFailed => format!("the refresh of {group} to {target} failed, and so did its rollback"),
        Ending::Cancelled => format!("the refresh of {group} to {target} was cancelled by somebody else"),
        Ending::Failed => format!("the refresh of {group} to {target} failed"),
    };
    let kind = match ending {
        Ending::Cancelled => FailureKind::Conflict,
        Ending::Failed | Ending::RolledBack | Ending::RollbackFailed => FailureKind::Failed,
    };
    let why = refresh.rollback_reason.as_deref().or(refresh.reason.as_deref());
    let reasons = reasons(evidence);
    let first = why.map(|why| why.trim().trim_end_matches('.').to_owned()).or_else(|| reasons.first().cloned());
    let headline = first.map(|first| format!(": {first}")).unwrap_or_default();
    let help = match (ending, is_back) {
        (Ending::Cancelled, true) => {
            "Ask who cancelled it. What served before serves still; deploy again when it may be."
        }
        (Ending::Cancelled, false) => {
            "Ask who cancelled it. The group has old and new instances now: `kiln undo` brings it back to what it was as a whole."
        }
        (_, true) => "Mend what the reasons below show, and deploy again. What served before serves as a whole.",
        (_, false) => {
            "The group has old and new instances now: `kiln undo` brings it back to what it was as a whole. Mend what the reasons \
             below show before you deploy again."
        }
    };
    let mut details = vec![format!("refresh {}: {} at {} %", refresh.id, refresh.status, refresh.percentage)];
    details.extend(refresh.reason.iter().map(|reason| format!("AWS says: {reason}")));
    details.extend(refresh.rollback_reason.iter().map(|reason| format!("rolled back because: {reason}")));
    details.extend(reasons);
    Failure::new(kind, format!("{outcome}{headline}")).help(help).details(details)
}

/// What the group did and how its targets are, a line each.
pub(crate) fn reasons(evidence: &Evidence<'_>) -> Vec<String> {
    let since = evidence.refresh.started.unwrap_or(0);
    let mut lines = activities(evidence.activities, evidence.hooks, since);
    lines.extend(evidence.targets.iter().flat_map(|(group, targets)| ill(group, targets)));
    lines
}

/// Activities since `since` that did not succeed or that took an instance for its health: like ones once, the most frequent first.
fn activities(all: &[ScalingActivity], hooks: &[LifecycleHook], since: u64) -> Vec<String> {
    let mut grouped: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for activity in all.iter().filter(|activity| activity.started.is_none_or(|started| started >= since)) {
        let said = match activity.status.as_str() {
            "Failed" | "Cancelled" => activity.message.clone().unwrap_or_else(|| activity.description.clone()),
            _ if activity.cause.contains("health check") || activity.cause.contains("interruption") => activity
                .cause
                .split_once(" an instance ")
                .map_or(activity.cause.clone(), |(_, rest)| format!("an instance {rest}")),
            _ => continue,
        };
        let line = match told_by_hook(&said, hooks) {
            Some(hook) => format!("lifecycle hook {hook}: {}", without_tokens(&said)),
            None => without_tokens(&said),
        };
        let entry = grouped.entry(line).or_insert((0, 0));
        entry.0 += 1;
        entry.1 = entry.1.max(activity.started.unwrap_or(0));
    }
    let mut found: Vec<(String, (usize, u64))> = grouped.into_iter().collect();
    // Stable: equally frequent ones stay in the order of their text, so that the same world gives the same message.
    found.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let line = |(line, (count, last)): (String, (usize, u64))| {
        let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
        format!("activity until {}: {line}{times}", Instant(last))
    };
    found.into_iter().take(SHOWN).map(line).collect()
}

/// Which hook a message is of, where that can be told.
fn told_by_hook<'a>(message: &str, hooks: &'a [LifecycleHook]) -> Option<&'a str> {
    let launching = hooks.iter().filter(|hook| hook.transition.ends_with("EC2_INSTANCE_LAUNCHING"));
    let names: Vec<&str> = launching.map(|hook| hook.name.as_str()).collect();
    match names.as_slice() {
        [only] if message.contains("Lifecycle Action") => Some(*only),
        _ => None,
    }
}

/// Without what differs from instance to instance: tokens, and ids of instances.
fn without_tokens(message: &str) -> String {
    let is_token = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        (word.len() == 36 && word.matches('-').count() == 4) || (word.starts_with("i-") && word.len() > 9)
    };
    let words: Vec<&str> = message.split_whitespace().map(|word| if is_token(word) { "…" } else { word }).collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// Targets that are not healthy, and why.
fn ill(group: &str, targets: &[TargetHealth]) -> Vec<String> {
    let ill = targets.iter().filter(|target| !matches!(target.state.as_str(), "healthy" | "draining"));
    let line = |target: &TargetHealth| {
        let why = target.description.as_deref().or(target.reason.as_deref()).unwrap_or("no reason is told");
        format!("target {} of {group} is {}: {why}", target.id, target.state)
    };
    ill.take(SHOWN).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::course::tests::refresh;

    fn activity(status: &str, message: Option<&str>, cause: &str) -> ScalingActivity {
        ScalingActivity {
            id: String::new(),
            description: "Launching a new EC2 instance: i-0123456789abcdef0".to_owned(),
            cause: cause.to_owned(),
            started: Some(2_000),
            ended: None,
            status: status.to_owned(),
            message: message.map(str::to_owned),
        }
    }

    fn told(activities: &[ScalingActivity], hooks: &[LifecycleHook], ending: Ending, is_back: bool) -> Failure {
        let mut refresh = refresh("r-1", "Failed");
        refresh.reason = (ending == Ending::Failed).then(|| "No progress for 1 hour.".to_owned());
        let health = TargetHealth {
            id: "i-9".to_owned(),
            port: None,
            zone: None,
            state: "unhealthy".to_owned(),
            reason: Some("Target.ResponseCodeMismatch".to_owned()),
            description: None,
        };
        let targets = [("blue".to_owned(), vec![health])];
        explain(&Evidence {
            group: "web",
            target: "web version 3 (ami-3)",
            ending,
            refresh: &refresh,
            activities,
            hooks,
            targets: &targets,
            is_back,
        })
    }

    #[test]
    fn capacity_that_is_short_is_told_once_with_how_often() {
        let short = "We currently do not have sufficient m5.large capacity. Launching EC2 instance failed.";
        let all = [
            activity("Failed", Some(short), "x"),
            activity("Failed", Some(short), "x"),
            activity("Successful", None, "x"),
            ScalingActivity { started: Some(1), ..activity("Failed", Some("long ago"), "x") },
        ];
        let failure = told(&all, &[], Ending::Failed, false);
        assert_eq!(failure.message, "the refresh of web to web version 3 (ami-3) failed: No progress for 1 hour");
        let told = failure.details.join("\n");
        assert!(told.contains("Launching EC2 instance failed (2 times)") && !told.contains("long ago"), "{told}");
        assert!(told.contains("target i-9 of blue is unhealthy: Target.ResponseCodeMismatch"), "{told}");
        assert!(failure.help.is_some_and(|help| help.contains("`kiln undo` brings it back")));
    }

    #[test]
    fn a_hook_that_gave_up_is_named() {
        let hook = LifecycleHook {
            name: "warm-up".to_owned(),
            transition: "autoscaling:EC2_INSTANCE_LAUNCHING".to_owned(),
            heartbeat_seconds: 60,
            default_result: "ABANDON".to_owned(),
        };
        let message = |token: &str| format!("Lifecycle Action with token {token} was abandoned: Heartbeat Timeout");
        let one = message("01234567-89ab-cdef-0123-456789abcdef");
        let other = message("11234567-89ab-cdef-0123-456789abcdef");
        let all = [activity("Cancelled", Some(&one), "x"), activity("Cancelled", Some(&other), "x")];
        let failure = told(&all, &[hook], Ending::RolledBack, true);
        let line = "lifecycle hook warm-up: Lifecycle Action with token … was abandoned: Heartbeat Timeout (2 times)";
        assert!(failure.details.iter().any(|told| told.ends_with(line)), "{:?}", failure.details);
        assert!(failure.message.contains("AWS rolled it back: activity until"), "{}", failure.message);
        assert!(failure.help.is_some_and(|help| help.contains("What served before serves as a whole")));
    }

    #[test]
    fn instances_that_were_taken_for_their_health_are_told() {
        let cause = "At 2026-01-05T09:00:00Z an instance was taken out of service in response to an ELB system health check failure.";
        let failure = told(&[activity("Successful", None, cause)], &[], Ending::Cancelled, false);
        let line = "an instance was taken out of service in response to an ELB system health check failure";
        assert!(failure.details.iter().any(|told| told.ends_with(line)), "{:?}", failure.details);
        assert_eq!(failure.kind, FailureKind::Conflict);
    }
}
