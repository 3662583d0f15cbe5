//! What a change set would do.
//!
//! The main type is [`DescribeChangeSetRequest`], an [`Operation`](crate::aws::operation::Operation).

use super::wire::{self, ChangeItem, DescribeChangeSet, DetailItem};
use super::{STACK, call, check_change_set, some, stack, stacks, when};
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::limits::Pages;
use crate::aws::operation::{Read, heads};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    ChangeDetail, DescribeChangeSetRequest, DescribeChangeSetResponse, ResourceChange,
};

heads! {
    DescribeChangeSetRequest => DescribeChangeSetResponse:
        "cloudformation:DescribeChangeSet" on |it, at| stack(at, &it.stack);
}

impl Read for DescribeChangeSetRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_change_set(&self.name)?;
        let mut pages = Pages::of("changes");
        let mut first = None;
        while let Some(next_token) = pages.next()? {
            let request = DescribeChangeSet {
                stack_name: self.stack.clone(),
                change_set_name: self.name.clone(),
                include_property_values: self.values,
                next_token,
            };
            let mut answer: wire::ChangeSetAnswer = call(aws, "DescribeChangeSet", &request).await?;
            let changes = std::mem::take(&mut answer.changes).member.into_iter();
            pages
                .add(changes.filter_map(|entry| entry.resource_change).map(change).collect(), answer.next_token.take());
            first.get_or_insert(answer);
        }
        let set = first.ok_or_else(|| incomplete("the change set"))?;
        Ok(DescribeChangeSetResponse {
            name: set.change_set_name,
            id: set.change_set_id,
            stack: set.stack_name,
            stack_id: set.stack_id,
            status: set.status,
            reason: some(set.status_reason),
            execution: set.execution_status,
            parameters: set.parameters.member.into_iter().map(stacks::parameter).collect(),
            tags: set.tags.member.into_iter().map(stacks::tag).collect(),
            changes: pages.all(),
            drift: some(set.stack_drift_status),
            created: when(set.creation_time),
        })
    }
}

fn change(item: ChangeItem) -> ResourceChange {
    ResourceChange {
        action: item.action,
        logical: item.logical_resource_id,
        physical: some(item.physical_resource_id),
        type_: item.resource_type,
        replacement: some(item.replacement),
        scope: item.scope.member,
        policy_action: some(item.policy_action),
        drift: some(item.resource_drift_status),
        details: item.details.member.into_iter().map(detail).collect(),
        change_set: some(item.change_set_id),
        before: some(item.before_context),
        after: some(item.after_context),
    }
}

fn detail(item: DetailItem) -> ChangeDetail {
    let target = item.target;
    ChangeDetail {
        attribute: target.attribute,
        name: some(target.name),
        path: some(target.path),
        recreation: target.requires_recreation,
        evaluation: item.evaluation,
        source: item.change_source,
        cause: some(item.causing_entity),
        before: target.before_value,
        after: target.after_value,
        change: some(target.attribute_change_type),
        actual: target.drift.actual_value,
    }
}
