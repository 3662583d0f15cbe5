//! Finds out which images of the repository are in use.
//! The main type is [`Search`]. Where it cannot find out, it fails, and then nothing is deleted.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecs::{
    DescribeServicesRequest, DescribeTaskDefinitionRequest, DescribeTasksRequest, Failure as EcsFailure,
    ListServicesRequest, ListTasksRequest, Task, describe_services, describe_task_definition, describe_tasks,
    list_services, list_tasks,
};
use kiln_plugin::{During, Failure, ImageReference, context};

use crate::config::Config;
use crate::registry::{Contents, Uses};

/// How many services, and how many tasks, one call may describe.
const SERVICES: usize = 10;
const TASKS: usize = 100;

/// A search for what is in use, which may be made again.
pub(crate) struct Search<'a> {
    pub(crate) config: &'a Config,
    pub(crate) contents: &'a Contents,
    /// The task definitions that were read: none of them ever changes.
    definitions: BTreeMap<String, Definition>,
}

/// What matters of a task definition.
struct Definition {
    /// `FAMILY:REVISION`.
    name: String,
    images: Vec<String>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(config: &'a Config, contents: &'a Contents) -> Self {
        Self { config, contents, definitions: BTreeMap::new() }
    }

    /// The images that this run, and tasks and task definitions of services in the config's clusters use, as it is now.
    pub(crate) fn find(&mut self) -> Result<Uses, Failure> {
        let contents = self.contents;
        let mut uses = references(&context::images_of_this_run(), contents);
        let mut definitions = BTreeSet::new();
        for cluster in &self.config.clusters {
            let tasks = tasks(cluster)?;
            for task in &tasks {
                of_task(contents, task, &mut uses);
            }
            definitions.extend(tasks.into_iter().map(|task| task.task_definition));
            definitions.extend(definitions_of_services(cluster)?);
        }
        for arn in definitions {
            let definition = self.definition(&arn)?;
            let reason = format!("task definition {} uses it", definition.name);
            for image in &definition.images {
                of_image(contents, image, &reason, &mut uses);
            }
        }
        Ok(uses)
    }

    fn definition(&mut self, arn: &str) -> Result<&Definition, Failure> {
        if !self.definitions.contains_key(arn) {
            let request = DescribeTaskDefinitionRequest { task_definition: arn.to_owned() };
            let read = describe_task_definition(&request)
                .during(format!("reading the task definition {arn}"))?
                .task_definition;
            let definition = Definition {
                name: format!("{}:{}", read.family, read.revision),
                images: read.containers.into_iter().map(|container| container.image).collect(),
            };
            self.definitions.insert(arn.to_owned(), definition);
        }
        let known = self.definitions.get(arn);
        known.ok_or_else(|| Failure::internal(format!("the task definition {arn} was read and is not there")))
    }
}

/// Images that are named by reference.
fn references(images: &[String], contents: &Contents) -> Uses {
    let mut uses = Uses::new();
    for image in images {
        of_image(contents, image, "this run uses it", &mut uses);
    }
    uses
}

/// Running tasks and those that are to run.
fn tasks(cluster: &str) -> Result<Vec<Task>, Failure> {
    let request = ListTasksRequest {
        cluster: cluster.to_owned(),
        service: None,
        family: None,
        desired_status: Some("RUNNING".to_owned()),
        started_by: None,
    };
    let arns = list_tasks(&request).during(format!("listing the tasks of cluster {cluster}"))?.arns;
    let mut tasks = Vec::new();
    for arns in arns.chunks(TASKS) {
        let request = DescribeTasksRequest { cluster: cluster.to_owned(), tasks: arns.to_vec() };
        let response = describe_tasks(&request).during(format!("reading the tasks of cluster {cluster}"))?;
        complete("task", &response.failures)?;
        tasks.extend(response.tasks);
    }
    Ok(tasks)
}

/// The task definitions of a cluster's services and of their deployments in progress.
fn definitions_of_services(cluster: &str) -> Result<Vec<String>, Failure> {
    let request = ListServicesRequest { cluster: cluster.to_owned() };
    let arns = list_services(&request).during(format!("listing the services of cluster {cluster}"))?.arns;
    let mut definitions = Vec::new();
    for arns in arns.chunks(SERVICES) {
        let request = DescribeServicesRequest { cluster: cluster.to_owned(), services: arns.to_vec() };
        let response = describe_services(&request).during(format!("reading the services of cluster {cluster}"))?;
        complete("service", &response.failures)?;
        for service in response.services {
            definitions.extend(service.deployments.into_iter().map(|deployment| deployment.task_definition));
            definitions.push(service.task_definition);
        }
    }
    // A service of another deployment controller names none.
    definitions.retain(|definition| !definition.is_empty());
    Ok(definitions)
}

/// What was listed a moment ago and is gone uses nothing; what cannot be described for another reason may use anything.
fn complete(kind: &str, failures: &[EcsFailure]) -> Result<(), Failure> {
    match failures.iter().find(|failure| failure.reason != "MISSING") {
        None => Ok(()),
        Some(failure) => {
            Err(Failure::unavailable(format!("ECS cannot describe the {kind} {}: {}", failure.arn, failure.reason)))
        }
    }
}

/// A task's images: what it was told to run, and the digest that it pulled.
fn of_task(contents: &Contents, task: &Task, uses: &mut Uses) {
    let name = task.arn.rsplit('/').next().unwrap_or(&task.arn);
    let reason = format!("task {name} runs it");
    for container in &task.containers {
        let digest = container.image_digest.as_ref();
        match digest {
            // The digest alone decides what a tag named when it was pulled. Whether it is of this repository does not
            // matter: no other image has this digest.
            Some(digest) => {
                uses.entry(digest.clone()).or_insert_with(|| reason.clone());
            }
            None => of_image(contents, &container.image, &reason, uses),
        }
    }
}

/// An image by reference, where it is of this repository. A tag counts for the image that it names now.
fn of_image(contents: &Contents, image: &str, reason: &str, uses: &mut Uses) {
    let Ok(reference) = image.parse::<ImageReference>() else { return };
    if reference.ecr().as_ref() != Some(&contents.repository) {
        return;
    }
    let digest = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => Some(digest.as_str()),
        (None, Some(tag)) => contents.tagged(tag),
        (None, None) => contents.tagged("latest"),
    };
    if let Some(digest) = digest {
        uses.entry(digest.to_owned()).or_insert_with(|| reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{contents, image};
    use kiln_plugin::aws::ecs::TaskContainer;

    const REGISTRY: &str = "111111111111.dkr.ecr.us-west-2.amazonaws.com";
    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn task(image: &str, digest: Option<&str>) -> Task {
        Task {
            arn: "arn:aws:ecs:us-west-2:111111111111:task/web/0123".to_owned(),
            task_definition: String::new(),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            health: "UNKNOWN".to_owned(),
            stop_code: None,
            stopped_reason: None,
            started_by: None,
            group: None,
            containers: vec![TaskContainer {
                name: "app".to_owned(),
                image: image.to_owned(),
                image_digest: digest.map(str::to_owned),
                last_status: "RUNNING".to_owned(),
                exit_code: None,
                reason: None,
                health: None,
            }],
            started: None,
            stopped: None,
        }
    }

    fn digests(uses: &Uses) -> Vec<&str> {
        uses.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_task_uses_the_digest_that_it_pulled_not_what_its_tag_names_now() {
        let contents = contents(vec![image("sha256:new", &["v1"], 1)]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web:v1"), Some("sha256:old")), &mut uses);
        assert_eq!(digests(&uses), ["sha256:old"]);
    }

    #[test]
    fn a_task_that_has_not_pulled_yet_uses_what_its_tag_names() {
        let contents = contents(vec![image("sha256:new", &["v1", "latest"], 1)]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web:v1"), None), &mut uses);
        assert_eq!(digests(&uses), ["sha256:new"]);
        let mut uses = Uses::new();
        of_task(&contents, &task(&format!("{REGISTRY}/web"), None), &mut uses);
        assert_eq!(digests(&uses), ["sha256:new"], "no tag means latest");
    }

    #[test]
    fn a_repository_of_the_same_name_elsewhere_is_another() {
        let contents = contents(vec![image(DIGEST, &["v1"], 1)]);
        let references = references(
            &[format!("222222222222.dkr.ecr.us-west-2.amazonaws.com/web@{DIGEST}"), "nginx:v1".to_owned()],
            &contents,
        );
        assert!(references.is_empty());
        assert_eq!(digests(&super::references(&[format!("{REGISTRY}/web@{DIGEST}")], &contents)), [DIGEST]);
    }

    #[test]
    fn what_cannot_be_described_may_use_anything() {
        let failure = |reason: &str| EcsFailure { arn: "a".to_owned(), reason: reason.to_owned() };
        assert!(complete("task", &[failure("MISSING")]).is_ok());
        assert!(complete("task", &[failure("MISSING"), failure("ACCESS_DENIED")]).is_err());
    }
}
