//! Stacks and their resources.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation).

use super::change_sets::COMPOSITE;
use super::wire::{self, DescribeStacks, ListStackResources, ParameterItem, ResourceItem, StackItem, StackTag};
use super::{STACK, call, some, stack, when};
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::limits::Pages;
use crate::aws::operation::{Operation, Read, heads};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    DescribeStacksRequest, DescribeStacksResponse, ListStackResourcesRequest, ListStackResourcesResponse,
    ParameterValue, RollbackTriggers, Stack, StackOperation, StackOutput, StackResource,
};
use crate::types::{Arn, Place};

heads! {
    ListStackResourcesRequest => ListStackResourcesResponse:
        "cloudformation:ListStackResources" on |it, at| stack(at, &it.stack);
}

impl Operation for DescribeStacksRequest {
    type Output = DescribeStacksResponse;
    const ACTION: &'static str = "cloudformation:DescribeStacks";

    fn resources(&self, at: &Place) -> Vec<Arn> {
        // Without a name it is about every stack.
        vec![STACK.arn(at, self.stack.as_deref().unwrap_or("*"))]
    }
}

impl Read for DescribeStacksRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        self.stack.as_deref().map_or(Ok(()), |stack| STACK.check(stack))?;
        let mut pages = Pages::of("stacks");
        while let Some(next_token) = pages.next()? {
            let request = DescribeStacks { stack_name: self.stack.clone(), next_token };
            let answer: wire::StacksAnswer = call(aws, "DescribeStacks", &request).await?;
            pages.add(answer.stacks.member.into_iter().map(record).collect(), answer.next_token);
        }
        Ok(DescribeStacksResponse { stacks: pages.all() })
    }
}

pub(super) fn parameter(item: ParameterItem) -> ParameterValue {
    ParameterValue { name: item.parameter_key, value: item.parameter_value, resolved: item.resolved_value }
}

pub(super) fn tag(tag: StackTag) -> Pair {
    Pair { name: tag.key, value: tag.value }
}

fn arns(triggers: Vec<wire::TriggerItem>) -> Vec<String> {
    triggers.into_iter().map(|trigger| trigger.arn).collect()
}

fn record(item: StackItem) -> Stack {
    let output = |output: wire::OutputItem| StackOutput {
        name: output.output_key,
        value: output.output_value,
        description: some(output.description),
        export: some(output.export_name),
    };
    let triggers = item.rollback_configuration;
    let (composites, alarms): (Vec<_>, Vec<_>) =
        triggers.rollback_triggers.member.into_iter().partition(|trigger| trigger.r#type == COMPOSITE);
    let (alarms, composites) = (arns(alarms), arns(composites));
    let operation =
        |operation: wire::OperationItem| StackOperation { kind: operation.operation_type, id: operation.operation_id };
    Stack {
        name: item.stack_name,
        id: item.stack_id,
        description: some(item.description),
        status: item.stack_status,
        reason: some(item.stack_status_reason),
        detailed_status: some(item.detailed_status),
        parameters: item.parameters.member.into_iter().map(parameter).collect(),
        outputs: item.outputs.member.into_iter().map(output).collect(),
        tags: item.tags.member.into_iter().map(tag).collect(),
        capabilities: item.capabilities.member,
        role: some(item.role_arn),
        notifications: item.notification_arns.member,
        triggers: RollbackTriggers { alarms, composites, minutes: triggers.monitoring_time_in_minutes },
        termination_protection: item.enable_termination_protection,
        disable_rollback: item.disable_rollback,
        created: when(item.creation_time),
        updated: when(item.last_updated_time),
        deleted: when(item.deletion_time),
        change_set: some(item.change_set_id),
        parent: some(item.parent_id),
        root: some(item.root_id),
        drift: item.drift_information.stack_drift_status,
        drift_checked: when(item.drift_information.last_check_timestamp),
        mode: some(item.deployment_config.mode),
        operations: item.last_operations.member.into_iter().map(operation).collect(),
    }
}

impl Read for ListStackResourcesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let mut pages = Pages::of("resources");
        while let Some(next_token) = pages.next()? {
            let request = ListStackResources { stack_name: self.stack.clone(), next_token };
            let answer: wire::StackResourcesAnswer = call(aws, "ListStackResources", &request).await?;
            let items = answer.stack_resource_summaries.member;
            pages.add(items.into_iter().map(resource).collect(), answer.next_token);
        }
        Ok(ListStackResourcesResponse { resources: pages.all() })
    }
}

fn resource(item: ResourceItem) -> StackResource {
    StackResource {
        logical: item.logical_resource_id,
        physical: some(item.physical_resource_id),
        type_: item.resource_type,
        status: item.resource_status,
        reason: some(item.resource_status_reason),
        updated: when(item.last_updated_timestamp),
        drift: item.drift_information.stack_resource_drift_status,
    }
}
