//! Rules that mute alarms: CloudWatch goes on evaluating a muted alarm, and tells nobody.
//!
//! The main type is [`MuteRule`]. Only windows that come once are played (`at(…)`): one that comes again and again is refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarms::{invalid, invalid_token, records};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;
use crate::tags::{Tags, WholeTag, kept};
use crate::world::World;
use crate::worldfile::{Problems, Span};

/// How long a window lasts at most.
const LONGEST: Duration = Duration::from_secs(15 * 86_400);
const SHORTEST: Duration = Duration::from_secs(60);

/// A rule.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MuteRule {
    name: String,
    arn: String,
    description: Option<String>,
    schedule: MuteSchedule,
    alarms: Vec<String>,
    /// When the window begins, and when it ends.
    from: Timestamp,
    until: Timestamp,
    start: Option<Timestamp>,
    expire: Option<Timestamp>,
    updated: Timestamp,
    tags: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum MuteStatus {
    Scheduled,
    Active,
    Expired,
}

impl MuteRule {
    fn status(&self, now: Timestamp) -> MuteStatus {
        if now >= self.until || self.expire.is_some_and(|expire| now >= expire) {
            MuteStatus::Expired
        } else if now >= self.from && self.start.is_none_or(|start| now >= start) {
            MuteStatus::Active
        } else {
            MuteStatus::Scheduled
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MuteSchedule {
    expression: String,
    duration: String,
    timezone: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MuteTimes {
    schedule: MuteSchedule,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MuteTargets {
    alarm_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutAlarmMuteRule {
    name: String,
    description: Option<String>,
    rule: MuteTimes,
    mute_targets: Option<MuteTargets>,
    #[serde(default)]
    tags: Vec<WholeTag>,
    start_date: Option<Timestamp>,
    expire_date: Option<Timestamp>,
}

pub(super) fn put_alarm_mute_rule(ctx: &mut Ctx<'_>, input: PutAlarmMuteRule) -> Result<Empty, AwsError> {
    let schedule = input.rule.schedule;
    if schedule.timezone.as_deref().is_some_and(|zone| zone != "UTC") {
        return Err(invalid("Rule.Schedule.Timezone: the simulator knows UTC only"));
    }
    let from = once(&schedule.expression)?;
    let until = from + lasts(&schedule.duration)?;
    let alarms = input.mute_targets.map(|targets| targets.alarm_names).unwrap_or_default();
    if alarms.len() > 100 {
        return Err(invalid("MuteTargets.AlarmNames must not contain more than 100 names"));
    }
    let known = &ctx.scope.place().cloudwatch;
    if let Some(absent) = alarms.iter().find(|name| !known.alarms.contains_key(*name)) {
        return Err(invalid(format!("MuteTargets names the alarm {absent}, which does not exist")));
    }
    let before = known.mutes.get(&input.name).map(|rule| rule.tags.clone());
    let rule = MuteRule {
        arn: ctx.arn("cloudwatch", &format!("alarm-mute-rule:{}", input.name)),
        name: input.name.clone(),
        description: input.description,
        schedule,
        alarms,
        from,
        until,
        start: input.start_date,
        expire: input.expire_date,
        updated: ctx.now(),
        tags: before.unwrap_or_else(|| kept(input.tags)),
    };
    ctx.touch(rule.arn.clone());
    ctx.place().cloudwatch.mutes.insert(input.name, rule);
    Ok(Empty {})
}

/// The instant of `at(2026-04-15T08:00)`.
fn once(expression: &str) -> Result<Timestamp, AwsError> {
    if expression.starts_with("cron(") {
        return Err(invalid("Rule.Schedule.Expression: the simulator does not do windows that come again (cron) yet"));
    }
    let wrong =
        || invalid(format!("Rule.Schedule.Expression: {expression} is neither at(yyyy-MM-ddThh:mm) nor cron(…)"));
    let text = expression.strip_prefix("at(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(wrong)?;
    let read = jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M", text).map_err(|_| wrong())?;
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(read).map_err(|_| wrong())?;
    u64::try_from(instant.as_millisecond()).map(Timestamp).map_err(|_| wrong())
}

/// How long `P2DT12H` is.
fn lasts(duration: &str) -> Result<Duration, AwsError> {
    let wrong = || invalid(format!("Rule.Schedule.Duration: {duration} is no ISO 8601 duration of PT1M to P15D"));
    if !duration.starts_with('P') {
        return Err(wrong());
    }
    let span: jiff::Span = duration.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let lasts = Duration::try_from(signed).map_err(|_| wrong())?;
    if (SHORTEST..=LONGEST).contains(&lasts) { Ok(lasts) } else { Err(wrong()) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RuleName {
    alarm_mute_rule_name: String,
}

/// Deleting what is not there is no error.
pub(super) fn delete_alarm_mute_rule(ctx: &mut Ctx<'_>, input: RuleName) -> Result<Empty, AwsError> {
    match ctx.place().cloudwatch.mutes.remove(&input.alarm_mute_rule_name) {
        Some(rule) => ctx.touch(rule.arn),
        None => ctx.unchanged(),
    }
    Ok(Empty {})
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribedRule {
    name: String,
    alarm_mute_rule_arn: String,
    description: Option<String>,
    rule: MuteTimes,
    mute_targets: MuteTargets,
    start_date: Option<Timestamp>,
    expire_date: Option<Timestamp>,
    status: MuteStatus,
    last_updated_timestamp: Timestamp,
    mute_type: &'static str,
}

pub(super) fn get_alarm_mute_rule(ctx: &mut Ctx<'_>, input: RuleName) -> Result<DescribedRule, AwsError> {
    let now = ctx.now();
    let name = input.alarm_mute_rule_name;
    let Some(rule) = ctx.place().cloudwatch.mutes.get(&name) else {
        let error = AwsError::new("ResourceNotFoundException", format!("Unknown alarm mute rule: {name}"));
        return Err(error.with("ResourceType", "AlarmMuteRule".into()).with("ResourceId", name.into()).status(404));
    };
    Ok(DescribedRule {
        name: rule.name.clone(),
        alarm_mute_rule_arn: rule.arn.clone(),
        description: rule.description.clone(),
        rule: MuteTimes { schedule: rule.schedule.clone() },
        mute_targets: MuteTargets { alarm_names: rule.alarms.clone() },
        start_date: rule.start,
        expire_date: rule.expire,
        status: rule.status(now),
        last_updated_timestamp: rule.updated,
        mute_type: "ONE_TIME",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAlarmMuteRules {
    alarm_name: Option<String>,
    #[serde(default)]
    statuses: Vec<MuteStatus>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MuteRules {
    alarm_mute_rule_summaries: Vec<MuteRuleSummary>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MuteRuleSummary {
    alarm_mute_rule_arn: String,
    expire_date: Option<Timestamp>,
    status: MuteStatus,
    mute_type: &'static str,
    last_updated_timestamp: Timestamp,
}

pub(super) fn list_alarm_mute_rules(ctx: &mut Ctx<'_>, input: ListAlarmMuteRules) -> Result<MuteRules, AwsError> {
    let now = ctx.now();
    let size = records(input.max_records)?.min(ctx.world.page_size);
    let rules = ctx.scope.place().cloudwatch.mutes.values();
    let found: Vec<MuteRuleSummary> = rules
        .filter(|rule| input.alarm_name.as_ref().is_none_or(|name| rule.alarms.contains(name)))
        .filter(|rule| input.statuses.is_empty() || input.statuses.contains(&rule.status(now)))
        .map(|rule| MuteRuleSummary {
            alarm_mute_rule_arn: rule.arn.clone(),
            expire_date: rule.expire,
            status: rule.status(now),
            mute_type: "ONE_TIME",
            last_updated_timestamp: rule.updated,
        })
        .collect();
    let (alarm_mute_rule_summaries, next_token) = ctx
        .page("mute-rules", found, size, input.next_token.as_deref(), |rule| &rule.alarm_mute_rule_arn)
        .map_err(invalid_token)?;
    Ok(MuteRules { alarm_mute_rule_summaries, next_token })
}

/// A rule in a world file: it mutes `alarms` from `after` the beginning, for so long.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MuteSeed {
    name: String,
    alarms: Vec<String>,
    after: Option<Span>,
    #[serde(rename = "for")]
    lasts: Span,
}

/// Put the rules of a world file into the world, behind its alarms.
pub(super) fn plant(world: &mut World, seeds: &[MuteSeed], problems: &mut Problems) {
    let mut scope = world.scope(None, None);
    for seed in seeds {
        let place = format!("alarm-mute-rules: {}", seed.name);
        let known = &scope.place().cloudwatch.alarms;
        if let Some(absent) = seed.alarms.iter().find(|name| !known.contains_key(*name)) {
            problems.add(&place, format!("there is no alarm {absent:?}"));
        }
        let rule = rule(&scope, seed);
        if scope.place().cloudwatch.mutes.insert(seed.name.clone(), rule).is_some() {
            problems.add(&place, "the rule is there twice");
        }
    }
}

fn rule(scope: &Scope<'_>, seed: &MuteSeed) -> MuteRule {
    let from = scope.now() + seed.after.map(Span::duration).unwrap_or_default();
    let text = from.to_string();
    let minute = text.get(..16).unwrap_or(&text);
    let minutes = seed.lasts.duration().as_secs().div_ceil(60).max(1);
    MuteRule {
        name: seed.name.clone(),
        arn: scope.arn("cloudwatch", &format!("alarm-mute-rule:{}", seed.name)),
        description: None,
        schedule: MuteSchedule {
            expression: format!("at({minute})"),
            duration: format!("PT{minutes}M"),
            timezone: None,
        },
        alarms: seed.alarms.clone(),
        from,
        until: from + seed.lasts.duration(),
        start: None,
        expire: None,
        updated: scope.now(),
        tags: Tags::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_as_cloudwatch_writes_it() {
        assert_eq!(once("at(1970-01-01T00:02)"), Ok(Timestamp(120_000)));
        for wrong in ["at(tomorrow)", "cron(0 2 * * *)", "rate(1 day)", "at(2026-04-15T08:00"] {
            assert!(once(wrong).is_err(), "{wrong}");
        }
        assert_eq!(lasts("P2DT12H"), Ok(Duration::from_secs(60 * 3600)));
        for wrong in ["PT59S", "P16D", "P1M", "4h", "-PT4H"] {
            assert!(lasts(wrong).is_err(), "{wrong}");
        }
    }
}
