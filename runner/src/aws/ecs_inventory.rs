//! Elastic Container Service beyond one service: which clusters and task definitions there are.
//!
//! Every request record of the interface `ecs-inventory` is an [`Operation`](super::operation::Operation); [`ListClustersRequest`] is the
//! plainest.

use aws_sdk_ecs::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk, invalid};
use super::limits::gather;
use super::names;
use super::operation::{Read, heads};
use super::values::{incomplete, list, word};
use crate::contract::bindings::kiln::aws_ecs_inventory::ecs_inventory::{
    DescribeTaskImagesRequest, DescribeTaskImagesResponse, ListClustersRequest, ListClustersResponse,
    ListTaskDefinitionsRequest, ListTaskDefinitionsResponse,
};

heads! {
    ListClustersRequest => ListClustersResponse: "ecs:ListClusters" on |_, _| [];
    ListTaskDefinitionsRequest => ListTaskDefinitionsResponse: "ecs:ListTaskDefinitions" on |_, _| [];
    DescribeTaskImagesRequest => DescribeTaskImagesResponse: "ecs:DescribeTaskDefinition" on |_, _| [];
}

impl Read for ListClustersRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = aws.ecs().list_clusters().max_results(100);
        let arns =
            gather("clusters", request.into_paginator().send(), |page| page.cluster_arns.unwrap_or_default()).await?;
        Ok(ListClustersResponse { arns })
    }
}

impl Read for ListTaskDefinitionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if let Some(family) = &self.family {
            names::check("a family", family, "-_")?;
        }
        let status = match self.status.as_str() {
            "ACTIVE" => sdk::TaskDefinitionStatus::Active,
            "INACTIVE" => sdk::TaskDefinitionStatus::Inactive,
            "DELETE_IN_PROGRESS" => sdk::TaskDefinitionStatus::DeleteInProgress,
            other => return Err(invalid(format_args!("{other:?} is no status of task definitions"))),
        };
        let request = aws.ecs().list_task_definitions().status(status).max_results(100);
        // By what it is called a prefix, ECS means the whole name.
        let request = request.set_family_prefix(self.family.clone());
        let pages = request.into_paginator().send();
        let arns = gather("task definitions", pages, |page| page.task_definition_arns.unwrap_or_default()).await?;
        Ok(ListTaskDefinitionsResponse { arns })
    }
}

impl Read for DescribeTaskImagesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        names::check("a task definition", &self.task_definition, "-_:")?;
        let request = aws.ecs().describe_task_definition().task_definition(&self.task_definition);
        let definition = request.send().await.map_err(from_sdk)?.task_definition;
        let definition = definition.ok_or_else(|| incomplete("a task definition"))?;
        let image = |container: sdk::ContainerDefinition| container.image.unwrap_or_default();
        Ok(DescribeTaskImagesResponse {
            arn: definition.task_definition_arn.ok_or_else(|| incomplete("the task definition's ARN"))?,
            status: word(definition.status),
            images: list(definition.container_definitions, image),
        })
    }
}
