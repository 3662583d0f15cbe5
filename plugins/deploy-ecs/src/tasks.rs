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
    },
    /// A task of the target revision runs another digest: its ARN and that digest.
    Other(String, String),
}

/// Look at the tasks that are to run. `digests` are those by which the image may appear: its own, and those of its parts
/// where it is for several platforms; none where only the revision matters.
pub(crate) fn look(tasks: &[Task], target: &str, container: &str, digests: Option<&[String]>) -> Running {
    let mut ours = 0;
    let mut all = 0;
    for task in tasks.iter().filter(|task| task.desired_status == "RUNNING") {
        all += 1;
        if task.task_definition != target || task.last_status != "RUNNING" {
            continue;
        }
        let Some(digests) = digests else {
            ours += 1;
            continue;
        };
        let digest = task.containers.iter().find(|other| other.name == container).and_then(|c| c.image_digest.as_ref());
        match digest {
            Some(digest) if digests.contains(digest) => ours += 1,
            Some(digest) => return Running::Other(task.arn.clone(), digest.clone()),
            None => {}
        }
    }
    if ours == all { Running::Ours } else { Running::NotYet { ours, all } }
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

    #[test]
    fn every_running_task_must_run_the_digest() {
        let digests = vec!["sha256:aa".to_owned()];
        let seen = |tasks: &[Task]| look(tasks, OURS, "app", Some(&digests));
        let ours = || task(OURS, "RUNNING", Some("sha256:aa"));
        assert_eq!(seen(&[ours(), ours()]), Running::Ours);
        assert_eq!(seen(&[ours(), task(BEFORE, "RUNNING", Some("sha256:bb"))]), Running::NotYet { ours: 1, all: 2 });
        assert_eq!(seen(&[ours(), task(OURS, "PENDING", None)]), Running::NotYet { ours: 1, all: 2 });
        assert_eq!(seen(&[ours(), task(OURS, "RUNNING", None)]), Running::NotYet { ours: 1, all: 2 });
        assert_eq!(seen(&[ours(), task(BEFORE, "STOPPED", None)]), Running::Ours, "what stops does not count");
        assert!(
            matches!(seen(&[task(OURS, "RUNNING", Some("sha256:cc"))]), Running::Other(_, digest) if digest == "sha256:cc")
        );
    }

    #[test]
    fn on_the_way_back_the_revision_decides() {
        assert_eq!(look(&[task(BEFORE, "RUNNING", None)], BEFORE, "app", None), Running::Ours);
        assert_eq!(look(&[task(OURS, "RUNNING", None)], BEFORE, "app", None), Running::NotYet { ours: 0, all: 1 });
    }
}
