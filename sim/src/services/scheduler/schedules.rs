//! Making, reading and listing schedules.
//!
//! The main functions are [`create_schedule`], [`get_schedule`] and [`list_schedules`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::{DEFAULT, Schedule};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::wire::rest::number;

/// How long a client token is known.
const TOKEN_LASTS: Duration = Duration::from_secs(8 * 3600);

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

fn check_group(group: Option<&str>) -> Result<(), AwsError> {
    match group {
        None | Some(DEFAULT) => Ok(()),
        Some(other) => {
            let message = format!("Schedule group {other} does not exist.");
            Err(AwsError::new("ResourceNotFoundException", message).status(404))
        }
    }
}

/// The ARN of a schedule of the default group.
pub(super) fn arn_of(scope: &Scope<'_>, name: &str) -> String {
    scope.arn("scheduler", &format!("schedule/{DEFAULT}/{name}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSchedule {
    name: String,
    group_name: Option<String>,
    schedule_expression: String,
    state: Option<String>,
    flexible_time_window: Value,
    target: Value,
    client_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScheduleMade {
    schedule_arn: String,
}

pub(super) fn create_schedule(ctx: &mut Ctx<'_>, input: CreateSchedule) -> Result<ScheduleMade, AwsError> {
    check_group(input.group_name.as_deref())?;
    let conflict = |message: String| AwsError::new("ConflictException", message).status(409);
    let token = input.client_token.as_deref();
    if let Some(schedule_arn) = ctx.made(token, || conflict("The client token means another schedule.".to_owned()))? {
        return Ok(ScheduleMade { schedule_arn });
    }
    let known = ["rate(", "cron(", "at("].iter().any(|kind| input.schedule_expression.starts_with(kind));
    if !known || !input.schedule_expression.ends_with(')') {
        return Err(invalid(format!("Invalid Schedule Expression {}.", input.schedule_expression)));
    }
    let text = |member: &str| input.target.get(member).and_then(Value::as_str);
    if text("Arn").is_none() || text("RoleArn").is_none() {
        return Err(invalid("A target has an Arn and a RoleArn."));
    }
    let state = input.state.unwrap_or_else(|| "ENABLED".to_owned());
    if !matches!(state.as_str(), "ENABLED" | "DISABLED") {
        return Err(invalid(format!("{state} is not the state of a schedule")));
    }
    let arn = arn_of(ctx, &input.name);
    let schedule = Schedule {
        name: input.name.clone(),
        arn: arn.clone(),
        expression: input.schedule_expression,
        state,
        window: input.flexible_time_window,
        target: input.target,
        created: ctx.now(),
    };
    let schedules = &mut ctx.place().scheduler.schedules;
    if schedules.contains_key(&input.name) {
        return Err(conflict(format!("Schedule {} already exists.", input.name)));
    }
    schedules.insert(input.name, schedule);
    ctx.touch(arn.clone());
    ctx.remember(token, TOKEN_LASTS, &arn);
    Ok(ScheduleMade { schedule_arn: arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSchedule {
    name: String,
    group_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WholeSchedule {
    arn: String,
    name: String,
    group_name: &'static str,
    schedule_expression: String,
    state: String,
    flexible_time_window: Value,
    target: Value,
    creation_date: Timestamp,
    last_modification_date: Timestamp,
}

pub(super) fn get_schedule(ctx: &mut Ctx<'_>, input: GetSchedule) -> Result<WholeSchedule, AwsError> {
    check_group(input.group_name.as_deref())?;
    let schedule = ctx.place().scheduler.schedules.get(&input.name).cloned();
    let missing = || AwsError::new("ResourceNotFoundException", format!("Schedule {} does not exist.", input.name));
    let schedule = schedule.ok_or_else(|| missing().status(404))?;
    Ok(WholeSchedule {
        arn: schedule.arn,
        name: schedule.name,
        group_name: DEFAULT,
        schedule_expression: schedule.expression,
        state: schedule.state,
        flexible_time_window: schedule.window,
        target: schedule.target,
        creation_date: schedule.created,
        last_modification_date: schedule.created,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSchedules {
    group_name: Option<String>,
    name_prefix: Option<String>,
    state: Option<String>,
    next_token: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Schedules {
    schedules: Vec<ListedSchedule>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedSchedule {
    arn: String,
    name: String,
    group_name: &'static str,
    state: String,
    creation_date: Timestamp,
    last_modification_date: Timestamp,
    target: Value,
}

pub(super) fn list_schedules(ctx: &mut Ctx<'_>, input: ListSchedules) -> Result<Schedules, AwsError> {
    check_group(input.group_name.as_deref())?;
    let size = input.max_results.unwrap_or(100);
    if !(1..=100).contains(&size) {
        return Err(invalid("MaxResults lies between 1 and 100"));
    }
    let wanted = |schedule: &&Schedule| {
        input.name_prefix.as_ref().is_none_or(|prefix| schedule.name.starts_with(prefix.as_str()))
            && input.state.as_ref().is_none_or(|state| schedule.state == *state)
    };
    let schedules = ctx.scope.place().scheduler.schedules.values().filter(wanted);
    let listed = schedules.map(|schedule| ListedSchedule {
        arn: schedule.arn.clone(),
        name: schedule.name.clone(),
        group_name: DEFAULT,
        state: schedule.state.clone(),
        creation_date: schedule.created,
        last_modification_date: schedule.created,
        target: serde_json::json!({ "Arn": schedule.target.get("Arn") }),
    });
    let listed = listed.collect();
    let (schedules, next_token) = ctx
        .page("schedules", listed, size, input.next_token.as_deref(), |schedule: &ListedSchedule| &schedule.name)
        .map_err(|_| invalid("Invalid NextToken."))?;
    Ok(Schedules { schedules, next_token })
}
