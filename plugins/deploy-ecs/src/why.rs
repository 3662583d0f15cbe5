//! Says why a deployment failed: what AWS says of it, why tasks stopped, what the service tells.
//! The main function is [`explain`].

use std::collections::BTreeMap;

use kiln_plugin::aws::ecs::{Service, ServiceDeployment, Task};
use kiln_plugin::{Failure, FailureKind, Instant};

use crate::revision::short;
use crate::rollout::Ending;

/// How many reasons and events are shown.
const SHOWN: usize = 8;

/// What is known of a deployment that failed.
pub(crate) struct Evidence<'a> {
    /// `CLUSTER/SERVICE`.
    pub(crate) subject: &'a str,
    /// The task definition that should have served.
    pub(crate) target: &'a str,
    pub(crate) ending: Ending,
    pub(crate) deployment: Option<&'a ServiceDeployment>,
    pub(crate) service: &'a Service,
    /// Stopped tasks of the service, of any revision.
    pub(crate) stopped: &'a [Task],
    /// The newest event from before the deployment: older ones are not of it.
    pub(crate) last_event: Option<u64>,
}

/// The failure that tells it all.
pub(crate) fn explain(evidence: &Evidence<'_>) -> Failure {
    let Evidence { subject, target, ending, deployment, service, stopped, last_event } = evidence;
    let target_name = short(target);
    let (kind, outcome, help) = match ending {
        Ending::RolledBack => (
            FailureKind::Failed,
            format!("{subject} does not run {target_name}: the deployment failed and AWS rolled it back"),
            "Mend what the reasons below show, and deploy again. What served before serves still.",
        ),
        Ending::RollbackFailed => (
            FailureKind::Failed,
            format!("the deployment of {target_name} to {subject} failed, and so did its rollback"),
            "Look at the service now: `kiln undo` tries to go back to the revision before.",
        ),
        Ending::Stopped => (
            FailureKind::Conflict,
            format!("the deployment of {target_name} to {subject} was stopped by somebody else"),
            "Ask who stopped it, look at what serves now, and deploy again.",
        ),
        Ending::Failed => (
            FailureKind::Failed,
            format!("the deployment of {target_name} to {subject} failed"),
            "Mend what the reasons below show, and deploy again.",
        ),
    };
    let reasons = reasons(stopped, target);
    let headline = reasons.first().map(|reason| format!(": {}", reason.headline)).unwrap_or_default();

    let mut details = Vec::new();
    if let Some(deployment) = deployment {
        details.extend(
            deployment.status_reason.iter().map(|reason| format!("deployment: {} ({reason})", deployment.status)),
        );
        details.extend(deployment.rollback_reason.iter().map(|reason| format!("rolled back because: {reason}")));
        if !deployment.triggered_alarms.is_empty() {
            details.push(format!("alarms that fired: {}", deployment.triggered_alarms.join(", ")));
        }
        if deployment.failed_tasks > 0 {
            let breaker = deployment.circuit_breaker.as_deref().unwrap_or("unknown");
            details.push(format!("failed tasks: {}, circuit breaker {breaker}", deployment.failed_tasks));
        }
    }
    details.extend(self::evidence(Some(service), stopped, target, *last_event));
    Failure::new(kind, format!("{outcome}{headline}")).help(help).details(details)
}

/// Why tasks of `target` stopped, and what the service told since `last_event`, a line each.
pub(crate) fn evidence(
    service: Option<&Service>,
    stopped: &[Task],
    target: &str,
    last_event: Option<u64>,
) -> Vec<String> {
    let mut lines = reasons_of(stopped, target);
    if lines.is_empty() {
        lines.push(format!("no stopped task of {} is left to ask; ECS forgets them after an hour", short(target)));
    }
    let events = service.into_iter().flat_map(|service| &service.events);
    let events = events.filter(|event| last_event.is_none_or(|last| event.timestamp > last));
    lines.extend(
        events.take(SHOWN).map(|event| format!("event {}: {}", Instant(event.timestamp), event.message.trim_end())),
    );
    lines
}

/// Why tasks of `target` stopped, a line each.
pub(crate) fn reasons_of(stopped: &[Task], target: &str) -> Vec<String> {
    reasons(stopped, target).iter().take(SHOWN).map(Reason::line).collect()
}

/// Why tasks stopped, and how many did for that reason.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    headline: String,
    count: usize,
    example: String,
}

impl Reason {
    fn line(&self) -> String {
        let times = if self.count == 1 { String::new() } else { format!(" ({} times)", self.count) };
        format!("task {}: {}{times}", self.example, self.headline)
    }
}

/// The reasons of the stopped tasks of one revision, the most frequent first. Tasks that ECS itself stopped to scale or
/// to replace them tell nothing.
fn reasons(stopped: &[Task], target: &str) -> Vec<Reason> {
    let mut grouped: BTreeMap<String, Reason> = BTreeMap::new();
    for task in stopped.iter().filter(|task| task.task_definition == target && task.last_status == "STOPPED") {
        let headline = headline(task);
        let example = short(&task.arn).chars().take(12).collect();
        let reason = grouped.entry(headline.clone()).or_insert(Reason { headline, count: 0, example });
        reason.count += 1;
    }
    let mut reasons: Vec<Reason> = grouped.into_values().collect();
    // Stable: equally frequent ones stay in the order of their text, so that the same world gives the same message.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

/// Why one task stopped: the container that tells most, else what AWS says of the task.
fn headline(task: &Task) -> String {
    let of_containers = task.containers.iter().filter_map(|container| {
        let reason = container.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        match (container.exit_code.filter(|code| *code != 0), reason) {
            (Some(code), Some(reason)) => {
                Some(format!("container {} exited with code {code}: {reason}", container.name))
            }
            (Some(code), None) => {
                Some(format!("container {} exited with code {code}{}", container.name, meaning(code)))
            }
            (None, Some(reason)) => Some(format!("container {}: {reason}", container.name)),
            (None, None) if container.health.as_deref() == Some("UNHEALTHY") => {
                Some(format!("container {} failed its health check", container.name))
            }
            (None, None) => None,
        }
    });
    let parts: Vec<String> = of_containers.collect();
    if !parts.is_empty() {
        return parts.join("; ");
    }
    match (task.stop_code.as_deref(), task.stopped_reason.as_deref()) {
        (Some(code), Some(reason)) => format!("{code}: {reason}"),
        (None, Some(text)) | (Some(text), None) => text.to_owned(),
        (None, None) => "stopped without a reason".to_owned(),
    }
}

/// What a shell's exit codes above 128 stand for, where that helps.
fn meaning(code: i32) -> &'static str {
    match code {
        137 => " (killed, often for lack of memory)",
        139 => " (segmentation fault)",
        143 => " (told to end)",
        126 | 127 => " (its command cannot be run)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::tests::{BEFORE, OURS, service, service_deployment};
    use crate::tasks::tests::task;
    use kiln_plugin::aws::ecs::ServiceEvent;

    fn crashed(code: i32) -> Task {
        let mut task = task(OURS, "STOPPED", None);
        task.stop_code = Some("EssentialContainerExited".to_owned());
        task.stopped_reason = Some("Essential container in task exited".to_owned());
        for container in &mut task.containers {
            container.exit_code = Some(code);
        }
        task
    }

    fn failure(stopped: &[Task]) -> Failure {
        let mut service = service(Vec::new());
        service.events = vec![
            ServiceEvent { timestamp: 3_000, message: "tasks failed to start.".to_owned() },
            ServiceEvent { timestamp: 1_000, message: "steady state".to_owned() },
        ];
        let mut deployment = service_deployment("ROLLBACK_SUCCESSFUL");
        deployment.rollback_reason = Some("circuit breaker".to_owned());
        deployment.failed_tasks = 3;
        deployment.triggered_alarms = vec!["web-5xx".to_owned()];
        explain(&Evidence {
            subject: "web/web",
            target: OURS,
            ending: Ending::RolledBack,
            deployment: Some(&deployment),
            service: &service,
            stopped,
            last_event: Some(1_000),
        })
    }

    #[test]
    fn the_most_frequent_reason_leads() {
        let failure = failure(&[crashed(137), crashed(1), crashed(1), task(BEFORE, "STOPPED", None)]);
        assert_eq!(
            failure.message,
            "web/web does not run web:13: the deployment failed and AWS rolled it back: container app exited with code 1"
        );
        assert_eq!(
            failure.details,
            [
                "rolled back because: circuit breaker",
                "alarms that fired: web-5xx",
                "failed tasks: 3, circuit breaker unknown",
                "task 0123456789ab: container app exited with code 1 (2 times)",
                "task 0123456789ab: container app exited with code 137 (killed, often for lack of memory)",
                "event 1970-01-01T00:00:03Z: tasks failed to start.",
            ]
        );
    }

    #[test]
    fn a_task_that_never_started_tells_aws_s_reason() {
        let mut stopped = task(OURS, "STOPPED", None);
        stopped.stop_code = Some("TaskFailedToStart".to_owned());
        stopped.stopped_reason = Some("CannotPullContainerError: not found".to_owned());
        assert_eq!(headline(&stopped), "TaskFailedToStart: CannotPullContainerError: not found");
    }

    #[test]
    fn where_no_task_is_left_it_says_so() {
        assert!(failure(&[]).details.iter().any(|line| line.contains("ECS forgets them")));
    }
}
