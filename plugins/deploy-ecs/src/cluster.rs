//! What this stage asks of ECS and ECR, a question a function.
//! The main functions are [`service`] and [`deployment`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ecr::{BatchGetImageRequest, ImageId, batch_get_image};
use kiln_plugin::aws::ecs::{
    DescribeServiceDeploymentsRequest, DescribeServiceRevisionsRequest, DescribeServicesRequest,
    DescribeTaskDefinitionRequest, DescribeTasksRequest, ListServiceDeploymentsRequest, ListTasksRequest, Service,
    ServiceDeployment, ServiceDeploymentBrief, Task, TaskDefinition, describe_service_deployments,
    describe_service_revisions, describe_services, describe_task_definition, describe_tasks, list_service_deployments,
    list_tasks,
};
use kiln_plugin::{During, Failure, PinnedImage, context};
use serde_json::Value;

use crate::Config;
use crate::revision::short;

/// How many of a service's newest deployments are looked at.
const NEWEST: u32 = 10;
/// How many tasks may be described at once.
const TASKS: usize = 100;

/// The service.
pub(crate) fn service(config: &Config) -> Result<Service, Failure> {
    let request = DescribeServicesRequest { cluster: config.cluster.clone(), services: vec![config.service.clone()] };
    let response = describe_services(&request).during(format!("reading the service {}", config.subject()))?;
    response.services.into_iter().next().ok_or_else(|| {
        let reason = response.failures.first().map(|failure| format!(" ({})", failure.reason)).unwrap_or_default();
        Failure::not_found(format!("ECS has no service {}{reason}", config.subject()))
            .help("Correct `cluster` and `service`, or create the service: kiln deploys to services but makes none.")
    })
}

/// A task definition.
pub(crate) fn task_definition(arn: &str) -> Result<TaskDefinition, Failure> {
    let request = DescribeTaskDefinitionRequest { task_definition: arn.to_owned() };
    let response = describe_task_definition(&request).during(format!("reading the task definition {}", short(arn)))?;
    Ok(response.task_definition)
}

/// The newest active revision of a family, if it has one.
pub(crate) fn newest(family: &str) -> Result<Option<TaskDefinition>, Failure> {
    let request = DescribeTaskDefinitionRequest { task_definition: family.to_owned() };
    match describe_task_definition(&request) {
        Ok(response) => Ok(Some(response.task_definition)),
        // ECS calls a family without an active revision a mistake of the client.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid) => Ok(None),
        Err(error) => Err(error).during(format!("reading the newest revision of {family}")),
    }
}

/// A service deployment; none where it cannot be seen (yet).
pub(crate) fn deployment(arn: &str) -> Result<Option<ServiceDeployment>, Failure> {
    let request = DescribeServiceDeploymentsRequest { arns: vec![arn.to_owned()] };
    let response = describe_service_deployments(&request).during("reading the service deployment")?;
    Ok(response.deployments.into_iter().next())
}

fn recent(config: &Config) -> Result<Vec<ServiceDeploymentBrief>, Failure> {
    let request = ListServiceDeploymentsRequest {
        cluster: config.cluster.clone(),
        service: config.service.clone(),
        limit: NEWEST,
    };
    let response =
        list_service_deployments(&request).during(format!("listing the deployments of {}", config.subject()))?;
    Ok(response.deployments)
}

/// The ARNs of the newest service deployments.
pub(crate) fn deployments(config: &Config) -> Result<Vec<String>, Failure> {
    Ok(recent(config)?.into_iter().map(|deployment| deployment.arn).collect())
}

/// The service deployment, none of `earlier`, that brings a task definition; none where it cannot be seen yet.
pub(crate) fn deployment_of(
    config: &Config,
    task_definition: &str,
    earlier: &[String],
) -> Result<Option<String>, Failure> {
    for candidate in recent(config)?.into_iter().filter(|candidate| !earlier.contains(&candidate.arn)) {
        let Some(revision) = candidate.target_revision else { continue };
        let request = DescribeServiceRevisionsRequest { arns: vec![revision] };
        let response = describe_service_revisions(&request).during("reading the service revision of a deployment")?;
        if response.revisions.iter().any(|revision| revision.task_definition == task_definition) {
            return Ok(Some(candidate.arn));
        }
    }
    Ok(None)
}

/// The tasks of the service that are to run.
pub(crate) fn running(config: &Config) -> Result<Vec<Task>, Failure> {
    tasks(config, "RUNNING")
}

/// The tasks of the service that have stopped, as far as ECS remembers them.
pub(crate) fn stopped(config: &Config) -> Result<Vec<Task>, Failure> {
    tasks(config, "STOPPED")
}

fn tasks(config: &Config, desired_status: &str) -> Result<Vec<Task>, Failure> {
    let request = ListTasksRequest {
        cluster: config.cluster.clone(),
        service: Some(config.service.clone()),
        family: None,
        desired_status: Some(desired_status.to_owned()),
        started_by: None,
    };
    let arns = list_tasks(&request).during(format!("listing the tasks of {}", config.subject()))?.arns;
    let mut tasks = Vec::new();
    for arns in arns.chunks(TASKS) {
        let request = DescribeTasksRequest { cluster: config.cluster.clone(), tasks: arns.to_vec() };
        // Tasks that ended meanwhile are missing: they run no more.
        tasks.extend(describe_tasks(&request).during(format!("reading the tasks of {}", config.subject()))?.tasks);
    }
    Ok(tasks)
}

/// The digests by which an image may appear in a task: its own, and, where it is a list of images for several platforms,
/// those of its parts. A failure where the registry is the stage's own and has no such image: no task could start.
pub(crate) fn digests(image: &PinnedImage) -> Result<Vec<String>, Failure> {
    let mut digests = vec![image.digest.clone()];
    let here = context::get();
    if image.repository.account != here.account || image.repository.region != here.region {
        // Another registry cannot be asked from here; its lists are recognised by their own digest alone.
        return Ok(digests);
    }
    let request = BatchGetImageRequest {
        repository: image.repository.name.clone(),
        images: vec![ImageId { digest: Some(image.digest.clone()), tag: None }],
    };
    let response = batch_get_image(&request).during(format!("reading the manifest of {image}"))?;
    if response.images.is_empty() {
        return Err(Failure::not_found(format!("ECR has no image {image}")).help(
            "Build it again, or deploy one that is there: it was deleted, or was never pushed to this repository.",
        ));
    }
    for manifest in response.images {
        digests.extend(parts(&manifest.manifest));
    }
    Ok(digests)
}

/// The digests that a manifest list names; none where it is an ordinary manifest.
fn parts(manifest: &str) -> Vec<String> {
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let parts = manifest.get("manifests").and_then(Value::as_array);
    let digests = parts.into_iter().flatten().filter_map(|part| part.get("digest").and_then(Value::as_str));
    digests.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_manifest_list_are_found() {
        let list = r#"{"manifests":[{"digest":"sha256:aa","platform":{}},{"digest":"sha256:bb"}]}"#;
        assert_eq!(parts(list), ["sha256:aa", "sha256:bb"]);
        assert!(parts(r#"{"layers":[{"digest":"sha256:cc"}]}"#).is_empty());
        assert!(parts("not json").is_empty());
    }
}
