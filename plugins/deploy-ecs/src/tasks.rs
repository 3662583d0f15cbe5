//! What the running tasks of a service really run.
//! The main function is [`look`].

use kiln_plugin::aws::ecs::Task;

/// What the running tasks run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// Every one of them runs the image.
    Ours,
    /// Some have not got so far, or are of another revision still: so many of so many are ours.
    NotYet {
        /// Those that run the image.
        ours: u32,
        /// All that are to run.
        all: u32,
        /// A task that runs, and a container of it whose digest ECS does not tell.
        untold: Option<(String, String)>,
    },
    /// A task of the target revision runs another digest: its ARN and that digest.
    Other(String, String),
}

/// What one task runs.
enum One {
    Ours,
    NotYet,
    Untold(String),
    Other(String),
}

/// Look at the tasks that are to run. `digests` are those by which the image may appear: its own, and those of its parts
/// where it is for several platforms; none where only the revision matters.
pub(crate) fn look(tasks: &[Task], target: &str, containers: &[String], digests: Option<&[String]>) -> Running {
    let (mut ours, mut all, mut untold) = (0, 0, None);
    for task in tasks.iter().filter(|task| task.desired_status == "RUNNING") {
        all += 1;
        match one(task, target, containers, digests) {
            One::Ours => ours += 1,
            One::NotYet => {}
            One::Untold(container) => untold = Some((task.arn.clone(), container)),
            One::Other(digest) => return Running::Other(task.arn.clone(), digest),
        }
    }
    if ours == all { Running::Ours } else { Running::NotYet { ours, all, untold } }
}

fn one(task: &Task, target: &str, containers: &[String], digests: Option<&[String]>) -> One {
    if task.task_definition != target || task.last_status != "RUNNING" {
        return One::NotYet;
    }
    let Some(digests) = digests else { return One::Ours };
    let mut found = One::Ours;
    for name in containers {
        let container = task.containers.iter().find(|other| other.name == *name);
        match container.and_then(|container| container.image_digest.as_ref()) {
            Some(digest) if digests.contains(digest) => {}
            Some(digest) => return One::Other(digest.clone()),
            None => found = One::Untold(name.clone()),
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rollout::tests::{BEFORE, OURS};
    use kiln_plugin::aws::ecs::TaskContainer;

    pub(crate) fn task(task_definition: &str, last_status: &str, digest: Option<&str>) -> Task {
        Task {
            arn: "arn:aws:ecs:us-west-2:111111111111:task/web/0123456789abcdef".to_owned(),
            task_definition: task_definition.to_owned(),
            last_status: last_status.to_owned(),
            desired_status: if last_status == "STOPPED" { "STOPPED" } else { "RUNNING" }.to_owned(),
            health: "UNKNOWN".to_owned(),
            stop_code: None,
            stopped_reason: None,
            started_by: None,
            group: None,
            containers: vec![TaskContainer {
                name: "app".to_owned(),
                image: "web".to_owned(),
                image_digest: digest.map(str::to_owned),
                last_status: last_status.to_owned(),
                exit_code: None,
                reason: None,
                health: None,
            }],
            started: None,
            stopped: None,
        }
    }

    fn app() -> Vec<String> {
        vec!["app".to_owned()]
    }

    fn not_yet(ours: u32, all: u32) -> Running {
        Running::NotYet { ours, all, untold: None }
    }

    #[test]
    fn each_container_that_got_the_image_must_run_it() {
        let digests = vec!["sha256:aa".to_owned()];
        let with_worker = |digest: &str| {
            let mut task = task(OURS, "RUNNING", Some("sha256:aa"));
            let mut worker = task.containers.first().cloned();
            if let Some(worker) = &mut worker {
                worker.name = "worker".to_owned();
                worker.image_digest = Some(digest.to_owned());
            }
            task.containers.extend(worker);
            task
        };
        let both = ["app".to_owned(), "worker".to_owned()];
        assert_eq!(look(&[with_worker("sha256:aa")], OURS, &both, Some(&digests)), Running::Ours);
        assert!(matches!(look(&[with_worker("sha256:cc")], OURS, &both, Some(&digests)), Running::Other(..)));
        let without = task(OURS, "RUNNING", Some("sha256:aa"));
        assert!(matches!(look(&[without], OURS, &both, Some(&digests)), Running::NotYet { ours: 0, .. }));
    }

    #[test]
    fn every_running_task_must_run_the_digest() {
        let digests = vec!["sha256:aa".to_owned()];
        let seen = |tasks: &[Task]| look(tasks, OURS, &app(), Some(&digests));
        let ours = || task(OURS, "RUNNING", Some("sha256:aa"));
        assert_eq!(seen(&[ours(), ours()]), Running::Ours);
        assert_eq!(seen(&[ours(), task(BEFORE, "RUNNING", Some("sha256:bb"))]), not_yet(1, 2));
        assert_eq!(seen(&[ours(), task(OURS, "PENDING", None)]), not_yet(1, 2));
        let arn = ours().arn;
        let untold = Some((arn, "app".to_owned()));
        assert_eq!(seen(&[ours(), task(OURS, "RUNNING", None)]), Running::NotYet { ours: 1, all: 2, untold });
        assert_eq!(seen(&[ours(), task(BEFORE, "STOPPED", None)]), Running::Ours, "what stops does not count");
        assert!(
            matches!(seen(&[task(OURS, "RUNNING", Some("sha256:cc"))]), Running::Other(_, digest) if digest == "sha256:cc")
        );
    }

    #[test]
    fn on_the_way_back_the_revision_decides() {
        assert_eq!(look(&[task(BEFORE, "RUNNING", None)], BEFORE, &app(), None), Running::Ours);
        assert_eq!(look(&[task(OURS, "RUNNING", None)], BEFORE, &app(), None), not_yet(0, 1));
    }
}
