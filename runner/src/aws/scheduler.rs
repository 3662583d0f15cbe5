//! EventBridge Scheduler: schedules and what they start.
//!
//! Every request record of the interface `scheduler` is an [`Operation`](super::operation::Operation); [`ListSchedulesRequest`] is the
//! plainest.

use aws_sdk_scheduler::types as sdk;
use serde_json::Value;

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::limits::gather;
use super::names::{self, here};
use super::operation::{Read, heads};
use super::values::{list, word};
use crate::contract::bindings::kiln::aws_scheduler::scheduler::{
    GetScheduleRequest, GetScheduleResponse, ListSchedulesRequest, ListSchedulesResponse, ScheduleSummary,
};

/// What names of schedules and groups may hold besides letters and digits.
const NAME: &str = "-_.";

heads! {
    ListSchedulesRequest => ListSchedulesResponse: "scheduler:ListSchedules" on |_, _| [];
    GetScheduleRequest => GetScheduleResponse:
        "scheduler:GetSchedule" on |it, at| [here(at, "scheduler", &format!("schedule/{}/{}", it.group, it.name))];
}

impl Read for ListSchedulesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if let Some(group) = &self.group {
            names::check("a schedule group", group, NAME)?;
        }
        let request = aws.scheduler().list_schedules().set_group_name(self.group.clone()).max_results(100);
        let schedules = gather("schedules", request.into_paginator().send(), |page| {
            list(Some(page.schedules), |schedule: sdk::ScheduleSummary| ScheduleSummary {
                name: schedule.name.unwrap_or_default(),
                group: schedule.group_name.unwrap_or_default(),
                state: word(schedule.state),
                target: schedule.target.map(|target| target.arn).unwrap_or_default(),
            })
        })
        .await?;
        Ok(ListSchedulesResponse { schedules })
    }
}

impl Read for GetScheduleRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        // An ARN is no name here, and a slash would be another path.
        for (what, name) in [("a schedule", &self.name), ("a schedule group", &self.group)] {
            names::check(what, name, NAME)?;
            if name.starts_with("arn:") {
                return Err(super::error::invalid(format_args!("{name:?} must be the name of {what}, not its ARN")));
            }
        }
        let request = aws.scheduler().get_schedule().name(&self.name).group_name(&self.group);
        let schedule = request.send().await.map_err(from_sdk)?;
        let (target, task_definition) = schedule.target.map(|target| (target.arn.clone(), task(target))).unzip();
        Ok(GetScheduleResponse {
            state: word(schedule.state),
            expression: schedule.schedule_expression.unwrap_or_default(),
            target: target.unwrap_or_default(),
            task_definition: task_definition.flatten(),
        })
    }
}

/// The task definition that a target starts. Of the input of any other call nothing is looked at: it may hold whatever people put there.
fn task(target: sdk::Target) -> Option<String> {
    if let Some(task) = target.ecs_parameters {
        return Some(task.task_definition_arn);
    }
    if !target.arn.ends_with(":aws-sdk:ecs:runTask") && !target.arn.ends_with(":aws-sdk:ecs:startTask") {
        return None;
    }
    let input: Value = serde_json::from_str(&target.input?).ok()?;
    input.get("TaskDefinition")?.as_str().map(str::to_owned)
}
