//! Follows a deployment until its target serves.
//! The main function is [`until_served`].

use kiln_plugin::aws::ecs::{Service, ServiceDeployment, Task};
use kiln_plugin::{Failure, FailureKind, Look, log, poll};

use crate::cluster;
use crate::config::Config;
use crate::logs;
use crate::revision::short;
use crate::rollout::{self, Ending, Stand};
use crate::tasks::{self, Running};
use crate::why::{self, Evidence};

/// What is to serve.
pub(crate) struct Goal {
    /// The ARN of its task definition.
    pub(crate) target: String,
    /// The containers whose image counts.
    pub(crate) containers: Vec<String>,
    /// The digests of the image that its tasks must run; none where only the revision counts.
    pub(crate) digests: Option<Vec<String>>,
    /// The ARN of the one before.
    pub(crate) before: String,
    /// Service deployments from before: the one to follow is none of them. None where no deployment is to be followed,
    /// because nothing was started.
    pub(crate) earlier: Option<Vec<String>>,
    /// The newest event from before.
    pub(crate) last_event: Option<u64>,
}

/// How following ended.
enum End {
    Served,
    Failed(Box<Service>, Option<Box<ServiceDeployment>>, Ending),
}

/// Follow until the target serves. Answers the ARN of the service deployment that brought it, where it could be seen.
pub(crate) fn until_served(config: &Config, goal: &Goal) -> Result<Option<String>, Failure> {
    let subject = config.subject();
    let mut followed: Option<String> = None;
    let what = format!("the deployment of {} to {subject}", short(&goal.target));
    let end = poll(config.poll, &what, || {
        let service = cluster::service(config)?;
        if let (None, Some(earlier)) = (&followed, &goal.earlier) {
            followed = cluster::deployment_of(config, &goal.target, earlier)?;
        }
        let deployment = followed.as_deref().map(cluster::deployment).transpose()?.flatten();
        match rollout::judge(&service, deployment.as_ref(), &goal.before, &goal.target) {
            Stand::Rolling(status) => Ok(Look::Waiting(status)),
            Stand::Failed(ending) => Ok(Look::Done(End::Failed(Box::new(service), deployment.map(Box::new), ending))),
            Stand::Replaced(other) => Err(replaced(&subject, &goal.target, &other)),
            Stand::Settled => {
                let running = cluster::running(config)?;
                match tasks::look(&running, &goal.target, &goal.containers, goal.digests.as_deref()) {
                    Running::Ours => Ok(Look::Done(End::Served)),
                    Running::NotYet { ours, all, untold } => {
                        let mut message = format!(
                            "{ours} of {} run {}",
                            kiln_plugin::count(all, "running task"),
                            short(&goal.target)
                        );
                        if let Some((task, container)) = untold {
                            message.push_str(&format!(
                                "; of the container {container} of task {} ECS does not tell which image it runs",
                                short(&task)
                            ));
                        }
                        Ok(Look::counted(message, ours, all))
                    }
                    Running::Other(task, digest) => Err(other_digest(&goal.target, &task, &digest)),
                }
            }
        }
    });
    let end = match end {
        Err(failure) if failure.kind == FailureKind::TimedOut => return Err(why_not_yet(config, goal, failure)),
        end => end?,
    };
    match end {
        End::Served => Ok(followed),
        End::Failed(service, deployment, ending) => {
            let stopped = stopped(config);
            let failure = why::explain(&Evidence {
                subject: &subject,
                target: &goal.target,
                ending,
                deployment: deployment.as_deref(),
                service: &service,
                stopped: &stopped,
                last_event: goal.last_event,
            });
            Err(failure.details(logs::of_crashed(config, &goal.target, &stopped)))
        }
    }
}

/// Stopped tasks of the service. Evidence that cannot be had must not hide the failure.
fn stopped(config: &Config) -> Vec<Task> {
    cluster::stopped(config).unwrap_or_else(|failure| {
        log::warn(format!("why tasks stopped cannot be told: {}", failure.message));
        Vec::new()
    })
}

/// The stage's time ran out: what is known of why, like of any other deployment that did not come to its end.
fn why_not_yet(config: &Config, goal: &Goal, failure: Failure) -> Failure {
    let stopped = stopped(config);
    let service = cluster::service(config).ok();
    let lines = why::evidence(service.as_ref(), &stopped, &goal.target, goal.last_event);
    failure.details(lines).details(logs::of_crashed(config, &goal.target, &stopped))
}

/// Tell why tasks of `target` stopped and what they logged, before they are gone.
pub(crate) fn keep_evidence(config: &Config, target: &str) {
    let stopped = stopped(config);
    let lines = why::reasons_of(&stopped, target);
    for line in lines.into_iter().chain(logs::of_crashed(config, target, &stopped)) {
        log::info(line);
    }
}

/// Wait while AWS itself goes back: meanwhile the service cannot be changed. A deployment that goes on is not waited for:
/// the way back replaces it.
pub(crate) fn until_idle(config: &Config) -> Result<(), Failure> {
    poll(config.poll, &format!("the rollback of {}", config.subject()), || {
        let service = cluster::service(config)?;
        let current = service.current_service_deployment.as_deref().map(cluster::deployment).transpose()?.flatten();
        Ok(match current {
            Some(current) if rollout::goes_back(&current) => Look::waiting("AWS is rolling the deployment back"),
            _ => Look::Done(()),
        })
    })
}

fn replaced(subject: &str, target: &str, other: &str) -> Failure {
    Failure::conflict(format!(
        "somebody deployed {} to {subject} while {} was being deployed",
        short(other),
        short(target)
    ))
    .help("Find out who deploys besides this pipeline. Nothing more was changed.")
}

fn other_digest(target: &str, task: &str, digest: &str) -> Failure {
    Failure::failed(format!(
        "the task {} of {} runs {digest}, which is not the image that was deployed",
        short(task),
        short(target)
    ))
    .help("Find out what changed the task's image; the task definition names it by digest.")
}
