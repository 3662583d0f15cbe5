//! Tasks: which there are, and why they stopped.
//!
//! Every request record about tasks is an [`Operation`]; [`DescribeTasksRequest`] is the one that tells most.

use aws_sdk_ecs::types as sdk;

use super::cluster::{self, INSTANCE, NAME, SERVICE, TASK, check, check_cluster, failures};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk};
use crate::aws::limits::{batch, gather};
use crate::aws::names;
use crate::aws::operation::{Read, heads};
use crate::aws::values::{list, millis, optional_word};
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    DescribeTasksRequest, DescribeTasksResponse, ListTasksRequest, ListTasksResponse, Task, TaskContainer,
};

heads! {
    // IAM ties the listing of tasks to the container instances that they run on: all of the cluster's.
    ListTasksRequest => ListTasksResponse:
        "ecs:ListTasks" on |it, at| [cluster::arn(at, &INSTANCE, &it.cluster, "*")];
    DescribeTasksRequest => DescribeTasksResponse:
        "ecs:DescribeTasks" on |it, at| it.tasks.iter().map(|given| cluster::arn(at, &TASK, &it.cluster, given));
}

impl Read for ListTasksRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_cluster(&self.cluster)?;
        if let Some(service) = &self.service {
            check(&SERVICE, &self.cluster, service)?;
        }
        if let Some(family) = &self.family {
            names::check("a family", family, NAME)?;
        }
        let request = aws
            .ecs()
            .list_tasks()
            .cluster(&self.cluster)
            .set_service_name(self.service.clone())
            .set_family(self.family.clone())
            .set_desired_status(self.desired_status.as_deref().map(sdk::DesiredStatus::from))
            .set_started_by(self.started_by.clone())
            .max_results(100);
        let pages = request.into_paginator().send();
        let arns = gather("tasks", pages, |page| page.task_arns.unwrap_or_default()).await?;
        Ok(ListTasksResponse { arns })
    }
}

impl Read for DescribeTasksRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("tasks", &self.tasks, 100)?;
        self.tasks.iter().try_for_each(|given| check(&TASK, &self.cluster, given))?;
        let request = aws.ecs().describe_tasks().cluster(&self.cluster).set_tasks(Some(self.tasks.clone()));
        let output = request.send().await.map_err(from_sdk)?;
        Ok(DescribeTasksResponse { tasks: list(output.tasks, task), failures: failures(output.failures) })
    }
}

fn task(task: sdk::Task) -> Task {
    Task {
        arn: task.task_arn.unwrap_or_default(),
        task_definition: task.task_definition_arn.unwrap_or_default(),
        last_status: task.last_status.unwrap_or_default(),
        desired_status: task.desired_status.unwrap_or_default(),
        health: task.health_status.map_or_else(|| "UNKNOWN".to_owned(), |health| health.as_str().to_owned()),
        stop_code: optional_word(task.stop_code),
        stopped_reason: task.stopped_reason,
        started_by: task.started_by,
        group: task.group,
        containers: list(task.containers, container),
        started: millis(task.started_at),
        stopped: millis(task.stopped_at),
    }
}

fn container(container: sdk::Container) -> TaskContainer {
    TaskContainer {
        name: container.name.unwrap_or_default(),
        image: container.image.unwrap_or_default(),
        image_digest: container.image_digest,
        last_status: container.last_status.unwrap_or_default(),
        exit_code: container.exit_code,
        reason: container.reason,
        health: optional_word(container.health_status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_with_next_to_nothing_is_still_one() {
        let task = task(sdk::Task::builder().containers(sdk::Container::builder().exit_code(-1).build()).build());
        assert_eq!((task.health.as_str(), task.stop_code, task.started), ("UNKNOWN", None, None));
        assert_eq!(task.containers.first().map(|c| (c.exit_code, c.health.clone())), Some((Some(-1), None)));
    }

    #[test]
    fn states_that_aws_adds_travel_as_they_are() {
        let task = task(sdk::Task::builder().stop_code("Bored".into()).health_status("QUEASY".into()).build());
        assert_eq!((task.stop_code.as_deref(), task.health.as_str()), (Some("Bored"), "QUEASY"));
    }
}
