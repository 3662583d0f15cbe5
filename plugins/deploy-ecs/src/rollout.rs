//! Decides where a deployment stands.
//! The main function is [`judge`].
//!
//! A service that is stable is not enough: it is stable again after a rollback. Success means that the primary deployment
//! runs the target and has completed.

use kiln_plugin::aws::ecs::{Deployment, Service, ServiceDeployment};
use kiln_plugin::count;
use kiln_plugin::progress::Status;

use crate::revision::short;

/// Where a deployment stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It goes on.
    Rolling(Status),
    /// The target is primary and complete; what its tasks run is still to be seen.
    Settled,
    /// It has ended, and the target does not serve.
    Failed(Ending),
    /// Somebody else deployed this task definition meanwhile.
    Replaced(String),
}

/// How a deployment ended that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// AWS went back to what served before.
    RolledBack,
    /// AWS tried to go back and could not.
    RollbackFailed,
    /// Somebody stopped it.
    Stopped,
    /// It failed and nothing goes back.
    Failed,
}

/// How a service deployment stands by its own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    GoesOn,
    GoesBack,
    Successful,
    Ended(Ending),
}

fn phase(status: &str) -> Phase {
    match status {
        "SUCCESSFUL" => Phase::Successful,
        "STOPPED" => Phase::Ended(Ending::Stopped),
        "ROLLBACK_SUCCESSFUL" => Phase::Ended(Ending::RolledBack),
        "ROLLBACK_FAILED" => Phase::Ended(Ending::RollbackFailed),
        "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => Phase::GoesBack,
        // PENDING, IN_PROGRESS, and what AWS adds: the deadline decides.
        _ => Phase::GoesOn,
    }
}

/// Whether a service deployment has ended, one way or another.
pub(crate) fn has_ended(deployment: &ServiceDeployment) -> bool {
    matches!(phase(&deployment.status), Phase::Successful | Phase::Ended(_))
}

/// The deployment that the service is to run.
pub(crate) fn primary(service: &Service) -> Option<&Deployment> {
    service.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
}

/// Whether AWS is taking a service deployment back right now.
pub(crate) fn goes_back(deployment: &ServiceDeployment) -> bool {
    phase(&deployment.status) == Phase::GoesBack
}

/// Where the deployment of `target` in the place of `before` stands, given the service and the service deployment that
/// brings it, once that is known.
pub(crate) fn judge(service: &Service, deployment: Option<&ServiceDeployment>, before: &str, target: &str) -> Stand {
    let primary = primary(service);
    let is_primary = primary.is_some_and(|primary| primary.task_definition == target);
    match deployment.map(|deployment| (phase(&deployment.status), deployment)) {
        Some((Phase::Ended(ending), _)) => return Stand::Failed(ending),
        Some((Phase::GoesBack, deployment)) => {
            let reason = deployment.rollback_reason.as_ref().or(deployment.status_reason.as_ref());
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            return Stand::Rolling(status(format!("{} is being rolled back{reason}", short(target))));
        }
        Some((Phase::GoesOn, _)) => {
            return match primary.filter(|_| is_primary) {
                Some(primary) => Stand::Rolling(tasks(primary)),
                None => replaced_or_unseen(service, before, target),
            };
        }
        Some((Phase::Successful, _)) | None => {}
    }
    let Some(primary) = primary.filter(|_| is_primary) else {
        return replaced_or_unseen(service, before, target);
    };
    match primary.rollout_state.as_deref() {
        Some("FAILED") => Stand::Failed(Ending::Failed),
        Some("COMPLETED") if primary.running == service.desired && primary.pending == 0 => Stand::Settled,
        _ => Stand::Rolling(tasks(primary)),
    }
}

/// The target is not primary: somebody else's is, or the update cannot be seen yet. A description may be older than the
/// update, and then shows what served before.
fn replaced_or_unseen(service: &Service, before: &str, target: &str) -> Stand {
    if service.task_definition != target && service.task_definition != before {
        return Stand::Replaced(service.task_definition.clone());
    }
    Stand::Rolling(status(format!("waiting for the deployment of {} to appear", short(target))))
}

/// How many tasks run.
fn tasks(primary: &Deployment) -> Status {
    let failed = if primary.failed > 0 { format!(", {} failed", primary.failed) } else { String::new() };
    Status {
        message: format!(
            "{} of {} of {} run{failed}",
            primary.running,
            count(primary.desired, "task"),
            short(&primary.task_definition)
        ),
        done: Some(primary.running.min(primary.desired)),
        total: Some(primary.desired),
    }
}

fn status(message: String) -> Status {
    Status { message, done: None, total: None }
}

/// Whether somebody is changing the service right now; `current` is its service deployment in progress, if it has one.
pub(crate) fn is_busy(service: &Service, current: Option<&ServiceDeployment>) -> bool {
    let in_progress = current.is_some_and(|current| !has_ended(current));
    in_progress || primary(service).is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"))
}

/// Whether the deployment in progress may be replaced: it has failed tasks, and either it is the service's only one and nothing
/// of it runs, so that it can never settle, or `told` says so.
pub(crate) fn is_hopeless(service: &Service, told: bool) -> bool {
    let Some(primary) = primary(service) else { return false };
    let only = service.deployments.len() == 1;
    primary.failed > 0 && (told || (only && primary.running == 0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OURS: &str = "arn:aws:ecs:us-west-2:111111111111:task-definition/web:13";
    pub(crate) const BEFORE: &str = "arn:aws:ecs:us-west-2:111111111111:task-definition/web:12";
    const THEIRS: &str = "arn:aws:ecs:us-west-2:111111111111:task-definition/web:14";

    fn deployment(status: &str, task_definition: &str, rollout: &str, running: u32) -> Deployment {
        Deployment {
            id: "ecs-svc/1".to_owned(),
            status: status.to_owned(),
            task_definition: task_definition.to_owned(),
            desired: 4,
            pending: 0,
            running,
            failed: 0,
            rollout_state: Some(rollout.to_owned()),
            rollout_reason: None,
            created: None,
        }
    }

    pub(crate) fn service(deployments: Vec<Deployment>) -> Service {
        let primary = deployments.first().map(|deployment| deployment.task_definition.clone()).unwrap_or_default();
        Service {
            name: "web".to_owned(),
            arn: "arn:aws:ecs:us-west-2:111111111111:service/web/web".to_owned(),
            status: "ACTIVE".to_owned(),
            task_definition: primary,
            desired: 4,
            running: 4,
            pending: 0,
            deployments,
            events: Vec::new(),
            current_service_deployment: None,
            deployment_controller: "ECS".to_owned(),
            strategy: "ROLLING".to_owned(),
            deployment_configuration: "{}".to_owned(),
            tags: Vec::new(),
        }
    }

    pub(crate) fn service_deployment(status: &str) -> ServiceDeployment {
        ServiceDeployment {
            arn: "arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/1".to_owned(),
            status: status.to_owned(),
            status_reason: None,
            target_revision: None,
            source_revisions: Vec::new(),
            rollback_revision: None,
            rollback_reason: None,
            circuit_breaker: None,
            failed_tasks: 0,
            triggered_alarms: Vec::new(),
            started: None,
            finished: None,
        }
    }

    #[test]
    fn success_is_the_target_primary_and_complete() {
        let done = service(vec![deployment("PRIMARY", OURS, "COMPLETED", 4)]);
        assert_eq!(judge(&done, Some(&service_deployment("SUCCESSFUL")), BEFORE, OURS), Stand::Settled);
        let short_of_tasks = service(vec![deployment("PRIMARY", OURS, "COMPLETED", 3)]);
        assert!(matches!(
            judge(&short_of_tasks, Some(&service_deployment("SUCCESSFUL")), BEFORE, OURS),
            Stand::Rolling(_)
        ));
        let not_complete = service(vec![deployment("PRIMARY", OURS, "IN_PROGRESS", 4)]);
        assert!(matches!(
            judge(&not_complete, Some(&service_deployment("SUCCESSFUL")), BEFORE, OURS),
            Stand::Rolling(_)
        ));
    }

    #[test]
    fn stable_again_after_a_rollback_is_no_success() {
        let stable = service(vec![deployment("PRIMARY", BEFORE, "COMPLETED", 4)]);
        let stand = judge(&stable, Some(&service_deployment("ROLLBACK_SUCCESSFUL")), BEFORE, OURS);
        assert_eq!(stand, Stand::Failed(Ending::RolledBack));
    }

    #[test]
    fn each_status_of_a_service_deployment_is_decided() {
        let going =
            service(vec![deployment("PRIMARY", OURS, "IN_PROGRESS", 1), deployment("ACTIVE", BEFORE, "COMPLETED", 3)]);
        for status in [
            "PENDING",
            "IN_PROGRESS",
            "STOP_REQUESTED",
            "ROLLBACK_REQUESTED",
            "ROLLBACK_IN_PROGRESS",
            "SUCCESSFUL",
            "NEW_STATE",
        ] {
            let stand = judge(&going, Some(&service_deployment(status)), BEFORE, OURS);
            assert!(matches!(stand, Stand::Rolling(_)), "{status}: {stand:?}");
        }
        for (status, ending) in [
            ("STOPPED", Ending::Stopped),
            ("ROLLBACK_SUCCESSFUL", Ending::RolledBack),
            ("ROLLBACK_FAILED", Ending::RollbackFailed),
        ] {
            assert_eq!(judge(&going, Some(&service_deployment(status)), BEFORE, OURS), Stand::Failed(ending));
        }
    }

    #[test]
    fn without_a_service_deployment_the_rollout_state_decides() {
        let failed = service(vec![deployment("PRIMARY", OURS, "FAILED", 0)]);
        assert_eq!(judge(&failed, None, BEFORE, OURS), Stand::Failed(Ending::Failed));
        let done = service(vec![deployment("PRIMARY", OURS, "COMPLETED", 4)]);
        assert_eq!(judge(&done, None, BEFORE, OURS), Stand::Settled);
    }

    #[test]
    fn an_update_that_cannot_be_seen_yet_is_waited_for() {
        let stale = service(vec![deployment("PRIMARY", BEFORE, "COMPLETED", 4)]);
        assert!(matches!(judge(&stale, None, BEFORE, OURS), Stand::Rolling(_)));
        let stand = judge(&stale, Some(&service_deployment("IN_PROGRESS")), BEFORE, OURS);
        assert!(matches!(stand, Stand::Rolling(_)), "the service is described as it was, its deployment as it is");
    }

    #[test]
    fn a_deployment_of_somebody_else_is_noticed() {
        let theirs = service(vec![deployment("PRIMARY", THEIRS, "IN_PROGRESS", 1)]);
        let stand = judge(&theirs, Some(&service_deployment("SUCCESSFUL")), BEFORE, OURS);
        assert_eq!(stand, Stand::Replaced(THEIRS.to_owned()));
    }

    #[test]
    fn a_service_in_motion_is_busy() {
        let still = service(vec![deployment("PRIMARY", BEFORE, "COMPLETED", 4)]);
        assert!(!is_busy(&still, None));
        assert!(!is_busy(&still, Some(&service_deployment("SUCCESSFUL"))));
        assert!(is_busy(&still, Some(&service_deployment("PENDING"))));
        assert!(is_busy(&service(vec![deployment("PRIMARY", BEFORE, "IN_PROGRESS", 1)]), None));
    }

    #[test]
    fn a_deployment_that_can_never_settle_may_be_replaced() {
        let failed = |failed, running| Deployment { failed, ..deployment("PRIMARY", BEFORE, "IN_PROGRESS", running) };
        let older = || deployment("ACTIVE", THEIRS, "COMPLETED", 4);
        assert!(is_hopeless(&service(vec![failed(3, 0)]), false));
        assert!(!is_hopeless(&service(vec![failed(0, 0)]), false), "its tasks have not come so far");
        assert!(!is_hopeless(&service(vec![failed(3, 1)]), false), "something of it runs");
        assert!(!is_hopeless(&service(vec![failed(3, 0), older()]), false), "what serves is another's");
        assert!(is_hopeless(&service(vec![failed(3, 0), older()]), true));
        assert!(!is_hopeless(&service(vec![failed(0, 0)]), true), "nothing of it failed");
    }

    #[test]
    fn success_with_old_tasks_left_is_not_the_end() {
        // With early success criteria ECS calls it a success while the rest still comes up.
        let early =
            service(vec![deployment("PRIMARY", OURS, "COMPLETED", 3), deployment("ACTIVE", BEFORE, "COMPLETED", 1)]);
        assert!(matches!(judge(&early, Some(&service_deployment("SUCCESSFUL")), BEFORE, OURS), Stand::Rolling(_)));
    }

    #[test]
    fn progress_counts_tasks() {
        let going = service(vec![deployment("PRIMARY", OURS, "IN_PROGRESS", 1)]);
        let Stand::Rolling(status) = judge(&going, Some(&service_deployment("IN_PROGRESS")), BEFORE, OURS) else {
            unreachable!("it goes on");
        };
        assert_eq!(status.message, "1 of 4 tasks of web:13 run");
        assert_eq!((status.done, status.total), (Some(1), Some(4)));
    }
}
