//! Workflows and their steps, as AWS tells of them.
//!
//! The main functions are [`list_workflow_executions`] and [`list_workflow_step_executions`].

use serde::{Deserialize, Serialize};

use super::lists::PAGE;
use super::state::{Standing, Workflow, WorkflowKind, WorkflowStep, invalid_token, missing, request_id, text};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListWorkflowExecutions {
    image_build_version_arn: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowExecutions {
    request_id: String,
    workflow_executions: Vec<WorkflowView>,
    image_build_version_arn: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkflowView {
    workflow_build_version_arn: String,
    workflow_execution_id: String,
    #[serde(rename = "type")]
    kind: WorkflowKind,
    status: Standing,
    message: String,
    total_step_count: usize,
    total_steps_succeeded: usize,
    total_steps_failed: usize,
    total_steps_skipped: usize,
    start_time: String,
    end_time: Option<String>,
}

/// The ARN of a workflow of Amazon's own.
fn workflow_arn(scope: &Scope<'_>, kind: WorkflowKind) -> String {
    let name = match kind {
        WorkflowKind::Build => "build/build-image",
        WorkflowKind::Test => "test/test-image",
        WorkflowKind::Distribution => "distribution/distribute-image",
    };
    format!("arn:{}:imagebuilder:{}:aws:workflow/{name}/1.0.0/1", scope.at.partition(), scope.at.region)
}

fn view(scope: &Scope<'_>, workflow: &Workflow) -> WorkflowView {
    let count = |standing: Standing| workflow.steps.iter().filter(|step| step.standing == standing).count();
    WorkflowView {
        workflow_build_version_arn: workflow_arn(scope, workflow.kind),
        workflow_execution_id: workflow.id.clone(),
        kind: workflow.kind,
        status: workflow.standing,
        message: workflow.message.clone().unwrap_or_default(),
        total_step_count: workflow.steps.len(),
        total_steps_succeeded: count(Standing::Completed),
        total_steps_failed: count(Standing::Failed),
        total_steps_skipped: count(Standing::Skipped),
        start_time: text(workflow.started),
        end_time: workflow.ended.map(text),
    }
}

/// The newest first, as AWS has them.
pub(super) fn list_workflow_executions(
    ctx: &mut Ctx<'_>,
    input: ListWorkflowExecutions,
) -> Result<WorkflowExecutions, AwsError> {
    let arn = input.image_build_version_arn;
    let bake = ctx.place().imagebuilder.bake(&arn).cloned().ok_or_else(|| missing(&arn))?;
    let views = bake.workflows.iter().rev().map(|workflow| view(ctx, workflow)).collect();
    let (list, size) = (format!("imagebuilder:workflows:{arn}"), input.max_results.unwrap_or(PAGE));
    let (workflow_executions, next_token) = ctx
        .page(&list, views, size, input.next_token.as_deref(), |view: &WorkflowView| &view.workflow_execution_id)
        .map_err(invalid_token)?;
    let request_id = request_id(ctx);
    Ok(WorkflowExecutions { request_id, workflow_executions, image_build_version_arn: arn, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListWorkflowStepExecutions {
    workflow_execution_id: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowSteps {
    request_id: String,
    steps: Vec<StepView>,
    workflow_build_version_arn: String,
    workflow_execution_id: String,
    image_build_version_arn: String,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView {
    step_execution_id: String,
    name: &'static str,
    action: &'static str,
    status: Standing,
    message: String,
    start_time: Option<String>,
    end_time: Option<String>,
}

impl StepView {
    fn of(step: &WorkflowStep) -> Self {
        Self {
            step_execution_id: step.id.clone(),
            name: step.name,
            action: step.action,
            status: step.standing,
            message: step.message.clone().unwrap_or_default(),
            start_time: step.started.map(text),
            end_time: step.ended.map(text),
        }
    }
}

pub(super) fn list_workflow_step_executions(
    ctx: &mut Ctx<'_>,
    input: ListWorkflowStepExecutions,
) -> Result<WorkflowSteps, AwsError> {
    let id = input.workflow_execution_id;
    let bakes = ctx.place().imagebuilder.bakes.iter();
    let found = bakes.flat_map(|bake| bake.workflows.iter().map(move |workflow| (bake, workflow)));
    let found = found.into_iter().find(|(_, workflow)| workflow.id == id);
    let (image, workflow) = found.map(|(bake, found)| (bake.arn.clone(), found.clone())).ok_or_else(|| missing(&id))?;
    let views = workflow.steps.iter().map(StepView::of).collect();
    let (list, size) = (format!("imagebuilder:steps:{id}"), input.max_results.unwrap_or(PAGE));
    let (steps, next_token) = ctx
        .page(&list, views, size, input.next_token.as_deref(), |view: &StepView| &view.step_execution_id)
        .map_err(invalid_token)?;
    let (request_id, workflow_build_version_arn) = (request_id(ctx), workflow_arn(ctx, workflow.kind));
    Ok(WorkflowSteps {
        request_id,
        steps,
        workflow_build_version_arn,
        workflow_execution_id: id,
        image_build_version_arn: image,
        next_token,
    })
}
