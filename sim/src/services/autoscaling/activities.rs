//! What a group writes down of what it does.
//!
//! The main type is [`FleetActivity`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{group, invalid};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;

/// How many a group remembers.
const REMEMBERED: usize = 500;

/// Something that a group does or did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FleetActivity {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) cause: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) status: ActivityStatus,
    pub(super) message: Option<String>,
}

/// How an activity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum ActivityStatus {
    InProgress,
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

/// Begin one, and tell its id.
pub(super) fn begin(scope: &mut Scope<'_>, name: &str, description: String, cause: String) -> String {
    let id = scope.world.ids.uuid(&format!("autoscaling/activity/{}/{name}", scope.at));
    let started = scope.now();
    if let Some(group) = group(scope, name) {
        let status = ActivityStatus::InProgress;
        group.activities.push(FleetActivity {
            id: id.clone(),
            description,
            cause,
            started,
            ended: None,
            status,
            message: None,
        });
        let over = group.activities.len().saturating_sub(REMEMBERED);
        group.activities.drain(..over);
    }
    id
}

/// Say how one is, or how it ended.
pub(super) fn note(scope: &mut Scope<'_>, name: &str, id: &str, status: ActivityStatus, message: Option<String>) {
    let now = scope.now();
    let Some(group) = group(scope, name) else { return };
    let Some(activity) = group.activities.iter_mut().rev().find(|activity| activity.id == id) else { return };
    activity.status = status;
    if message.is_some() {
        activity.message = message;
    }
    let is_over = !matches!(status, ActivityStatus::InProgress | ActivityStatus::MidLifecycleAction);
    activity.ended = is_over.then_some(now);
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeScalingActivities {
    #[serde(default)]
    activity_ids: Vec<String>,
    auto_scaling_group_name: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ActivitiesFound {
    activities: Vec<Value>,
    next_token: Option<String>,
}

pub(super) fn describe_scaling_activities(
    ctx: &mut Ctx<'_>,
    input: DescribeScalingActivities,
) -> Result<ActivitiesFound, AwsError> {
    let name = input.auto_scaling_group_name.as_deref();
    let groups = ctx.scope.place().autoscaling.groups.values();
    let mut found: Vec<(String, Timestamp, Value)> = Vec::new();
    for group in groups.filter(|group| name.is_none_or(|name| group.name == name)) {
        let wanted = |one: &&FleetActivity| input.activity_ids.is_empty() || input.activity_ids.contains(&one.id);
        found.extend(group.activities.iter().filter(wanted).map(|one| {
            let is_over = one.ended.is_some();
            (
                one.id.clone(),
                one.started,
                json!({
                    "ActivityId": one.id,
                    "AutoScalingGroupName": group.name,
                    "Description": one.description,
                    "Cause": one.cause,
                    "StartTime": one.started,
                    "EndTime": one.ended,
                    "StatusCode": one.status,
                    "StatusMessage": one.message,
                    "Progress": if is_over { 100 } else { 50 },
                    "AutoScalingGroupARN": group.arn,
                }),
            )
        }));
    }
    // Newest first; those of one instant in the order in which they came, turned round.
    found.reverse();
    found.sort_by_key(|(_, started, _)| std::cmp::Reverse(*started));
    let size = input.max_records.unwrap_or(100).min(100);
    let page = ctx.page("activities", found, size, input.next_token.as_deref(), |(id, _, _)| id);
    let (page, next_token) =
        page.map_err(|_| AwsError::new("InvalidNextToken", "The NextToken value is not valid."))?;
    Ok(ActivitiesFound { activities: page.into_iter().map(|(_, _, shown)| shown).collect(), next_token })
}

/// The token of a page that is none.
pub(super) fn no_page() -> AwsError {
    AwsError::new("InvalidNextToken", "The NextToken value is not valid.")
}

/// The group must be there.
pub(super) fn must_be(ctx: &mut Ctx<'_>, name: &str) -> Result<(), AwsError> {
    match group(ctx, name) {
        Some(_) => Ok(()),
        None => Err(invalid(format!("Group {name} not found"))),
    }
}
