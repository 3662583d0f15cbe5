//! Workflows of an image, and their steps.
//!
//! The main types are [`ListWorkflowExecutionsRequest`] and [`ListWorkflowStepExecutionsRequest`].

use aws_sdk_imagebuilder::types as sdk;

use super::images::{PAGE, check_build};
use super::{IMAGE, instant};
use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::limits::gather;
use crate::aws::names::ResourceKind;
use crate::aws::operation::{Read, heads};
use crate::aws::values::{count, list, word};
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse, ListWorkflowStepExecutionsRequest,
    ListWorkflowStepExecutionsResponse, WorkflowExecution, WorkflowStep,
};

/// They are named by ids: `wf-UUID`.
const EXECUTION: ResourceKind = ResourceKind::new("imagebuilder", "a workflow's execution", "workflow-execution/", "-");

heads! {
    ListWorkflowExecutionsRequest => ListWorkflowExecutionsResponse:
        "imagebuilder:ListWorkflowExecutions" on |it, at| [IMAGE.arn(at, &it.image)];
    ListWorkflowStepExecutionsRequest => ListWorkflowStepExecutionsResponse:
        "imagebuilder:ListWorkflowStepExecutions" on |it, at| [EXECUTION.arn(at, &it.execution)];
}

impl Read for ListWorkflowExecutionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check_build(&self.image)?;
        let request = aws.imagebuilder().list_workflow_executions().image_build_version_arn(&self.image);
        let pages = request.max_results(PAGE).into_paginator().send();
        let executions = gather("workflows", pages, |page| list(page.workflow_executions, execution)).await?;
        Ok(ListWorkflowExecutionsResponse { executions })
    }
}

fn execution(execution: sdk::WorkflowExecutionMetadata) -> WorkflowExecution {
    let done = count(execution.total_steps_succeeded).saturating_add(count(execution.total_steps_skipped));
    WorkflowExecution {
        id: execution.workflow_execution_id.unwrap_or_default(),
        workflow: execution.workflow_build_version_arn.unwrap_or_default(),
        workflow_type: word(execution.r#type),
        status: word(execution.status),
        message: execution.message.filter(|message| !message.is_empty()),
        steps: count(execution.total_step_count),
        steps_done: done,
        started: instant(execution.start_time),
        ended: instant(execution.end_time),
        retried: execution.retried.unwrap_or(false),
    }
}

impl Read for ListWorkflowStepExecutionsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        EXECUTION.check(&self.execution)?;
        let request = aws.imagebuilder().list_workflow_step_executions().workflow_execution_id(&self.execution);
        let pages = request.max_results(PAGE).into_paginator().send();
        let steps = gather("steps of the workflow", pages, |page| list(page.steps, step)).await?;
        Ok(ListWorkflowStepExecutionsResponse { steps })
    }
}

fn step(step: sdk::WorkflowStepMetadata) -> WorkflowStep {
    WorkflowStep {
        id: step.step_execution_id.unwrap_or_default(),
        name: step.name.unwrap_or_default(),
        action: step.action.unwrap_or_default(),
        status: word(step.status),
        message: step.message.filter(|message| !message.is_empty()),
        started: instant(step.start_time),
        ended: instant(step.end_time),
    }
}
