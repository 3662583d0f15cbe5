//! Log groups.
//!
//! The main functions are [`create_log_group`] and [`describe_log_groups`].

use serde::{Deserialize, Serialize};

use super::state::{Group, invalid};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::page;
use crate::service::Empty;

/// The numbers of days for which AWS keeps events.
const RETENTIONS: [u64; 23] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, 3654];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateLogGroup {
    log_group_name: String,
    kms_key_id: Option<String>,
    log_group_class: Option<String>,
}

pub(super) fn create_log_group(ctx: &mut Ctx<'_>, input: CreateLogGroup) -> Result<Empty, AwsError> {
    let name = input.log_group_name;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
    if name.is_empty() || name.len() > 512 || !name.chars().all(fits) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        )));
    }
    let mut group = Group::new(ctx, &name);
    group.kms_key_id = input.kms_key_id;
    if let Some(class) = input.log_group_class {
        group.class = class;
    }
    let groups = &mut ctx.place().logs.groups;
    if groups.contains_key(&name) {
        return Err(AwsError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let arn = group.arn.clone();
    groups.insert(name, group);
    ctx.touch(arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogGroups {
    log_groups: Vec<LogGroup>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogGroup {
    log_group_name: String,
    creation_time: u64,
    retention_in_days: Option<u64>,
    metric_filter_count: u64,
    arn: String,
    log_group_arn: String,
    stored_bytes: usize,
    kms_key_id: Option<String>,
    log_group_class: String,
}

pub(super) fn describe_log_groups(ctx: &mut Ctx<'_>, input: DescribeLogGroups) -> Result<LogGroups, AwsError> {
    let size = page_size(input.limit)?;
    let (prefix, pattern) = (input.log_group_name_prefix, input.log_group_name_pattern);
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let wanted = |name: &str| {
        prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && pattern.as_ref().is_none_or(|pattern| name.contains(pattern))
    };
    let groups = ctx.place().logs.groups.iter().filter(|(name, _)| wanted(name));
    let groups = groups.map(|(name, group)| LogGroup {
        log_group_name: name.clone(),
        creation_time: group.created.0,
        retention_in_days: group.retention_days,
        metric_filter_count: 0,
        arn: format!("{}:*", group.arn),
        log_group_arn: group.arn.clone(),
        stored_bytes: group.stored_bytes(),
        kms_key_id: group.kms_key_id.clone(),
        log_group_class: group.class.clone(),
    });
    let groups: Vec<LogGroup> = groups.collect();
    let token = input.next_token.as_deref();
    let (log_groups, next_token) = ctx
        .page("logs:groups", groups, size, token, |group: &LogGroup| &group.log_group_name)
        .map_err(invalid_token)?;
    Ok(LogGroups { log_groups, next_token })
}

pub(super) fn page_size(limit: Option<usize>) -> Result<usize, AwsError> {
    match limit.unwrap_or(50) {
        size @ 1..=50 => Ok(size),
        size => Err(invalid(format!(
            "1 validation error detected: Value '{size}' at 'limit' failed to satisfy constraint: Member must have \
             value less than or equal to 50"
        ))),
    }
}

pub(super) fn invalid_token(_: page::InvalidToken) -> AwsError {
    invalid("The specified nextToken is invalid.")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichGroup {
    log_group_name: String,
}

pub(super) fn delete_log_group(ctx: &mut Ctx<'_>, input: WhichGroup) -> Result<Empty, AwsError> {
    let arn = ctx.place().logs.group(&input.log_group_name)?.arn.clone();
    ctx.place().logs.groups.remove(&input.log_group_name);
    ctx.touch(arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRetentionPolicy {
    log_group_name: String,
    retention_in_days: u64,
}

pub(super) fn put_retention_policy(ctx: &mut Ctx<'_>, input: PutRetentionPolicy) -> Result<Empty, AwsError> {
    if !RETENTIONS.contains(&input.retention_in_days) {
        let possible: Vec<String> = RETENTIONS.iter().map(u64::to_string).collect();
        return Err(invalid(format!(
            "1 validation error detected: Value '{}' at 'retentionInDays' failed to satisfy constraint: Member must \
             satisfy enum value set: [{}]",
            input.retention_in_days,
            possible.join(", ")
        )));
    }
    set_retention(ctx, &input.log_group_name, Some(input.retention_in_days))
}

pub(super) fn delete_retention_policy(ctx: &mut Ctx<'_>, input: WhichGroup) -> Result<Empty, AwsError> {
    set_retention(ctx, &input.log_group_name, None)
}

fn set_retention(ctx: &mut Ctx<'_>, name: &str, days: Option<u64>) -> Result<Empty, AwsError> {
    let group = ctx.place().logs.group(name)?;
    let (arn, same) = (group.arn.clone(), group.retention_days == days);
    group.retention_days = days;
    if same {
        ctx.unchanged();
    }
    ctx.touch(arn);
    Ok(Empty {})
}
