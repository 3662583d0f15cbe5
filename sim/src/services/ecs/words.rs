//! ECS's own words: what it says of services, deployments and tasks.
//!
//! Each function is one sentence; there is no type.

use std::fmt::Display;

/// `(task a) (task b)`
fn list(ids: &[String]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("(task {id})")).collect();
    ids.join(" ")
}

pub(super) fn started(service: &str, ids: &[String]) -> String {
    format!("(service {service}) has started {} tasks: {}.", ids.len(), list(ids))
}

pub(super) fn stopped_running(service: &str, ids: &[String]) -> String {
    format!("(service {service}) has stopped {} running tasks: {}.", ids.len(), list(ids))
}

pub(super) fn stopped_pending(service: &str, count: usize) -> String {
    format!("(service {service}) stopped {count} pending tasks.")
}

pub(super) fn draining(service: &str, count: usize) -> String {
    format!("(service {service}) has begun draining connections on {count} tasks.")
}

pub(super) fn steady(service: &str) -> String {
    format!("(service {service}) has reached a steady state.")
}

pub(super) fn completed(service: &str, deployment: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment completed.")
}

pub(super) fn failed(service: &str, deployment: &str, why: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment failed: {why}.")
}

pub(super) fn rolling_back(service: &str, deployment: &str) -> String {
    format!("(service {service}) rolling back to deployment {deployment}.")
}

pub(super) fn unhealthy(service: &str, task: &str) -> String {
    format!("(service {service}) (task {task}) failed container health checks.")
}

pub(super) fn inconsistent(service: &str) -> String {
    format!(
        "(service {service}) is unable to consistently start tasks successfully. For more information, see the \
         Troubleshooting section of the Amazon ECS Developer Guide."
    )
}

pub(super) fn stuck(service: &str) -> String {
    format!(
        "(service {service}) was unable to stop or start tasks during a deployment because of the service deployment \
         configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
    )
}

pub(super) fn unplaced(service: &str, container_instance: &str) -> String {
    format!(
        "(service {service}) was unable to place a task because no container instance met all of its requirements. The \
         closest matching (container-instance {container_instance}) has insufficient memory available. For more \
         information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )
}

pub(super) fn in_progress(deployment: impl Display) -> String {
    format!("ECS deployment {deployment} in progress.")
}

pub(super) fn rollout_completed(deployment: impl Display) -> String {
    format!("ECS deployment {deployment} completed.")
}

pub(super) fn scaling(deployment: impl Display) -> String {
    format!("Scaling activity initiated by (deployment {deployment})")
}

pub(super) const ESSENTIAL_EXITED: &str = "Essential container in task exited";
pub(super) const UNHEALTHY_TASK: &str = "Task failed container health checks";
pub(super) const STOPPED_BY_USER: &str = "Task stopped by user";
