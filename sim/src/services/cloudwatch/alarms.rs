//! Operations on alarms.
//!
//! The main functions are [`put_metric_alarm`], [`put_composite_alarm`] and [`describe_alarms`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::alarm::{Actions, Alarm, AlarmState, EvaluationState, LogQuery, Watch, judge, set_state};
use super::composite::Rule;
use super::evaluate::{Comparison, Condition, MissingData};
use super::events::plan;
use super::history::{HistoryItem, ItemType};
use super::metrics::{Dimension, MetricDataQuery};
use super::samples::{MetricKey, Series, Statistic};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::page::{self, InvalidToken};
use crate::service::Empty;
use crate::tags::{WholeTag, kept};

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

pub(super) fn invalid_token(_: InvalidToken) -> AwsError {
    AwsError::new("InvalidNextToken", "The next token specified is invalid.")
}

/// The size of a page.
pub(super) fn records(asked: Option<usize>) -> Result<usize, AwsError> {
    match asked {
        None => Ok(50),
        Some(size @ 1..=100) => Ok(size),
        Some(size) => Err(invalid(format!(
            "1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: Member must have \
             value between 1 and 100"
        ))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AlarmType {
    #[serde(rename = "CompositeAlarm")]
    Composite,
    #[serde(rename = "LogAlarm")]
    Log,
    #[serde(rename = "MetricAlarm")]
    Metric,
}

impl AlarmType {
    pub(super) fn name(self) -> &'static str {
        match self {
            AlarmType::Composite => "CompositeAlarm",
            AlarmType::Log => "LogAlarm",
            AlarmType::Metric => "MetricAlarm",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricAlarm {
    alarm_name: String,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(rename = "OKActions", default)]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<u64>,
    unit: Option<String>,
    evaluation_periods: usize,
    datapoints_to_alarm: Option<usize>,
    threshold: f64,
    comparison_operator: Comparison,
    treat_missing_data: Option<MissingData>,
    #[serde(default)]
    metrics: Vec<MetricDataQuery>,
    #[serde(default)]
    tags: Vec<WholeTag>,
}

pub(super) fn put_metric_alarm(ctx: &mut Ctx<'_>, input: PutMetricAlarm) -> Result<Empty, AwsError> {
    check_name(&input.alarm_name)?;
    if input.evaluation_periods == 0
        || input.datapoints_to_alarm.is_some_and(|points| points > input.evaluation_periods)
    {
        return Err(invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods"));
    }
    let (series, statistic) = match (&input.metric_name, input.metrics.as_slice()) {
        (Some(name), []) => {
            let (series, statistic) = one_metric(&input, name)?;
            (Some(series), Some(statistic))
        }
        (None, queries @ [_, ..]) => (returned(queries)?, None),
        _ => return Err(invalid("Exactly one element of metrics list and MetricName must be specified")),
    };
    let condition = Condition {
        series,
        statistic,
        queries: input.metrics,
        evaluation_periods: input.evaluation_periods,
        datapoints_to_alarm: input.datapoints_to_alarm,
        threshold: input.threshold,
        comparison: input.comparison_operator,
        missing: input.treat_missing_data,
    };
    let settings = Settings {
        description: input.alarm_description,
        actions: Actions {
            enabled: input.actions_enabled.unwrap_or(true),
            ok: input.ok_actions,
            alarm: input.alarm_actions,
            insufficient_data: input.insufficient_data_actions,
        },
        tags: input.tags,
    };
    put(ctx, &input.alarm_name, Watch::Metric(Box::new(condition)), settings)?;
    plan(ctx, &input.alarm_name);
    Ok(Empty {})
}

fn one_metric(input: &PutMetricAlarm, name: &str) -> Result<(Series, (String, bool)), AwsError> {
    let period = input.period.ok_or_else(|| invalid("Period must not be null"))?;
    check_period(period)?;
    let text = match (&input.statistic, &input.extended_statistic) {
        (Some(text), None) => (text.clone(), false),
        (None, Some(text)) => (text.clone(), true),
        _ => return Err(invalid("Exactly one of Statistic and ExtendedStatistic must be specified")),
    };
    let statistic: Statistic =
        text.0.parse().map_err(|()| invalid(format!("The statistic {} is not valid", text.0)))?;
    let metric = MetricKey {
        namespace: input.namespace.clone().ok_or_else(|| invalid("Namespace must not be null"))?,
        name: name.to_owned(),
        dimensions: Dimension::map(&input.dimensions),
    };
    Ok((Series { metric, statistic, period: period * 1000, unit: input.unit.clone() }, text))
}

/// The series that an alarm over queries compares; none where it is an expression.
fn returned(queries: &[MetricDataQuery]) -> Result<Option<Series>, AwsError> {
    let mut returned = queries.iter().filter(|query| query.return_data != Some(false));
    match (returned.next(), returned.next()) {
        (Some(query), None) => query.metric_stat.as_ref().map(|stat| stat.series()).transpose(),
        _ => Err(invalid("Exactly one element of metrics list should return data")),
    }
}

/// A period in seconds.
pub(super) fn check_period(period: u64) -> Result<(), AwsError> {
    if matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period.is_multiple_of(60)) {
        return Ok(());
    }
    Err(invalid("Period must be 1, 5, 10, 20, 30 or a multiple of 60"))
}

fn check_name(name: &str) -> Result<(), AwsError> {
    if (1..=255).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(invalid("1 validation error detected: 'alarmName' must have a length of 1 to 255"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutCompositeAlarm {
    alarm_name: String,
    alarm_rule: String,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(rename = "OKActions", default)]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    #[serde(default)]
    tags: Vec<WholeTag>,
}

pub(super) fn put_composite_alarm(ctx: &mut Ctx<'_>, input: PutCompositeAlarm) -> Result<Empty, AwsError> {
    check_name(&input.alarm_name)?;
    let rule = Rule::parse(&input.alarm_rule).map_err(|wrong| invalid(format!("AlarmRule is not valid: {wrong}")))?;
    let alarms = &ctx.scope.place().cloudwatch.alarms;
    if let Some(absent) = rule.names().into_iter().find(|name| !alarms.contains_key(*name)) {
        return Err(invalid(format!(
            "Could not save the composite alarm as alarm rule refers to alarm {absent} that does \
            not exist"
        )));
    }
    if reaches(alarms, &rule, &input.alarm_name) {
        return Err(invalid(format!("The rule of {} depends on the alarm itself", input.alarm_name)));
    }
    let settings = Settings {
        description: input.alarm_description,
        actions: Actions {
            enabled: input.actions_enabled.unwrap_or(true),
            ok: input.ok_actions,
            alarm: input.alarm_actions,
            insufficient_data: input.insufficient_data_actions,
        },
        tags: input.tags,
    };
    put(ctx, &input.alarm_name, Watch::Composite { text: input.alarm_rule, rule }, settings)?;
    judge(ctx, &input.alarm_name);
    Ok(Empty {})
}

/// Whether a rule depends on the alarm `name`, through whatever other composite alarms.
pub(super) fn reaches(alarms: &BTreeMap<String, Alarm>, rule: &Rule, name: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = rule.names();
    while let Some(next) = open.pop() {
        if next == name {
            return true;
        }
        if seen.insert(next)
            && let Some(Watch::Composite { rule, .. }) = alarms.get(next).map(|alarm| &alarm.watch)
        {
            open.extend(rule.names());
        }
    }
    false
}

struct Settings {
    description: Option<String>,
    actions: Actions,
    tags: Vec<WholeTag>,
}

/// Make an alarm, or change one: that keeps its state, and its tags.
fn put(ctx: &mut Ctx<'_>, name: &str, watch: Watch, settings: Settings) -> Result<(), AwsError> {
    let mut alarm = Alarm::new(ctx, name, watch);
    let before = ctx.place().cloudwatch.alarms.get(name).cloned();
    if before.as_ref().is_some_and(|before| before.kind() != alarm.kind()) {
        return Err(invalid(format!("An alarm of another type with the name {name} exists already")));
    }
    let (done, kind) = if before.is_some() { ("updated", "Update") } else { ("created", "Create") };
    if let Some(before) = before {
        alarm.state = before.state;
        alarm.reason = before.reason;
        alarm.reason_data = before.reason_data;
        alarm.updated = before.updated;
        alarm.transitioned = before.transitioned;
        alarm.evaluation = before.evaluation;
        alarm.warm_up = before.warm_up;
        alarm.tags = before.tags;
    } else {
        alarm.tags = kept(settings.tags);
    }
    alarm.description = settings.description;
    alarm.actions = settings.actions;
    let data = json!({ "version": "1.0", "type": kind, "updatedAlarm": { "alarmName": name } }).to_string();
    let item =
        HistoryItem::of(&alarm, ctx.now(), ItemType::ConfigurationUpdate, format!("Alarm \"{name}\" {done}"), data);
    ctx.touch(alarm.arn.clone());
    let cloudwatch = &mut ctx.place().cloudwatch;
    cloudwatch.alarms.insert(name.to_owned(), alarm);
    cloudwatch.record(item);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AlarmNames {
    alarm_names: Vec<String>,
}

pub(super) fn delete_alarms(ctx: &mut Ctx<'_>, input: AlarmNames) -> Result<Empty, AwsError> {
    let now = ctx.now();
    let alarms = &ctx.scope.place().cloudwatch.alarms;
    for name in &input.alarm_names {
        let depends = |alarm: &&Alarm| {
            !input.alarm_names.contains(&alarm.name)
                && matches!(&alarm.watch, Watch::Composite { rule, .. } if rule.names().contains(&name.as_str()))
        };
        if let Some(parent) = alarms.values().find(depends) {
            let message =
                format!("Cannot delete {name} as there are composite alarm(s) depending on it: {}", parent.name);
            return Err(invalid(message));
        }
        if !alarms.contains_key(name) && input.alarm_names.len() == 1 {
            return Err(absent(name));
        }
    }
    for name in input.alarm_names {
        let cloudwatch = &mut ctx.scope.place().cloudwatch;
        if let Some(alarm) = cloudwatch.alarms.remove(&name) {
            let data = json!({ "version": "1.0", "type": "Delete" }).to_string();
            let summary = format!("Alarm \"{name}\" deleted");
            cloudwatch.record(HistoryItem::of(&alarm, now, ItemType::ConfigurationUpdate, summary, data));
            ctx.touch(alarm.arn);
        }
    }
    Ok(Empty {})
}

fn absent(name: &str) -> AwsError {
    AwsError::new("ResourceNotFound", format!("Unknown alarm: {name}")).status(404)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAlarmState {
    alarm_name: String,
    state_value: AlarmState,
    state_reason: String,
    state_reason_data: Option<String>,
}

pub(super) fn set_alarm_state(ctx: &mut Ctx<'_>, input: SetAlarmState) -> Result<Empty, AwsError> {
    let alarm = ctx.scope.place().cloudwatch.alarms.get(&input.alarm_name).ok_or_else(|| absent(&input.alarm_name))?;
    let arn = alarm.arn.clone();
    if let Some(data) = &input.state_reason_data
        && serde_json::from_str::<Value>(data).is_err()
    {
        let error = AwsError::new("InvalidFormat", "StateReasonData is not valid JSON");
        return Err(error.shape("InvalidFormatFault"));
    }
    set_state(ctx, &input.alarm_name, input.state_value, &input.state_reason, input.state_reason_data);
    // Its metric has the last word, at the next evaluation.
    plan(ctx, &input.alarm_name);
    ctx.touch(arn);
    Ok(Empty {})
}

pub(super) fn enable_alarm_actions(ctx: &mut Ctx<'_>, input: AlarmNames) -> Result<Empty, AwsError> {
    switch_actions(ctx, input, true)
}

pub(super) fn disable_alarm_actions(ctx: &mut Ctx<'_>, input: AlarmNames) -> Result<Empty, AwsError> {
    switch_actions(ctx, input, false)
}

fn switch_actions(ctx: &mut Ctx<'_>, input: AlarmNames, enabled: bool) -> Result<Empty, AwsError> {
    for name in &input.alarm_names {
        if let Some(alarm) = ctx.scope.place().cloudwatch.alarms.get_mut(name) {
            alarm.actions.enabled = enabled;
            let arn = alarm.arn.clone();
            ctx.touch(arn);
        }
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAlarms {
    #[serde(default)]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_types: Vec<AlarmType>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    state_value: Option<AlarmState>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Alarms {
    composite_alarms: Vec<DescribedAlarm>,
    metric_alarms: Vec<DescribedAlarm>,
    /// Only where they are asked for: clients of before know nothing of them.
    log_alarms: Option<Vec<DescribedAlarm>>,
    next_token: Option<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribedAlarm {
    alarm_name: String,
    alarm_arn: String,
    alarm_description: Option<String>,
    alarm_configuration_updated_timestamp: Timestamp,
    actions_enabled: bool,
    #[serde(rename = "OKActions")]
    ok_actions: Vec<String>,
    alarm_actions: Vec<String>,
    insufficient_data_actions: Vec<String>,
    state_value: Option<AlarmState>,
    state_reason: String,
    state_reason_data: Option<String>,
    state_updated_timestamp: Timestamp,
    state_transitioned_timestamp: Timestamp,
    alarm_rule: Option<String>,
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    dimensions: Option<Vec<Dimension>>,
    period: Option<u64>,
    unit: Option<String>,
    evaluation_periods: Option<usize>,
    datapoints_to_alarm: Option<usize>,
    threshold: Option<f64>,
    comparison_operator: Option<Comparison>,
    treat_missing_data: Option<MissingData>,
    metrics: Option<Vec<MetricDataQuery>>,
    evaluation_state: Option<EvaluationState>,
    warm_up_configuration: Option<Value>,
    scheduled_query_configuration: Option<Value>,
    query_results_to_evaluate: Option<u32>,
    query_results_to_alarm: Option<u32>,
}

impl DescribedAlarm {
    pub(super) fn of(alarm: &Alarm) -> Self {
        let mut described = DescribedAlarm {
            alarm_name: alarm.name.clone(),
            alarm_arn: alarm.arn.clone(),
            alarm_description: alarm.description.clone(),
            alarm_configuration_updated_timestamp: alarm.configured,
            actions_enabled: alarm.actions.enabled,
            ok_actions: alarm.actions.ok.clone(),
            alarm_actions: alarm.actions.alarm.clone(),
            insufficient_data_actions: alarm.actions.insufficient_data.clone(),
            state_value: Some(alarm.state),
            state_reason: alarm.reason.clone(),
            state_reason_data: alarm.reason_data.clone(),
            state_updated_timestamp: alarm.updated,
            state_transitioned_timestamp: alarm.transitioned,
            evaluation_state: alarm.evaluation,
            warm_up_configuration: alarm
                .warm_up
                .map(|warm_up| json!({ "WarmUpPeriodDurationInMinutes": warm_up.as_secs().div_ceil(60) })),
            ..DescribedAlarm::default()
        };
        match &alarm.watch {
            Watch::Composite { text, .. } => described.alarm_rule = Some(text.clone()),
            Watch::Metric(condition) => described.watches(condition),
            Watch::Log(query) => described.asks(query),
        }
        described
    }

    fn asks(&mut self, query: &LogQuery) {
        self.threshold = Some(query.threshold);
        self.comparison_operator = Some(query.comparison);
        self.query_results_to_evaluate = Some(1);
        self.query_results_to_alarm = Some(1);
        self.scheduled_query_configuration = Some(json!({
            "QueryString": query.query,
            "LogGroupIdentifiers": query.groups,
            "AggregationExpression": query.aggregation,
            "ScheduleConfiguration": { "ScheduleExpression": "rate(1 minute)" },
        }));
    }

    fn watches(&mut self, condition: &Condition) {
        self.evaluation_periods = Some(condition.evaluation_periods);
        self.datapoints_to_alarm = condition.datapoints_to_alarm;
        self.threshold = Some(condition.threshold);
        self.comparison_operator = Some(condition.comparison);
        self.treat_missing_data = condition.missing;
        self.dimensions = Some(Vec::new());
        if !condition.queries.is_empty() {
            self.metrics = Some(condition.queries.clone());
        } else if let Some(series) = &condition.series {
            self.metric_name = Some(series.metric.name.clone());
            self.namespace = Some(series.metric.namespace.clone());
            self.dimensions = Some(Dimension::list(&series.metric.dimensions));
            self.period = Some(series.period / 1000);
            self.unit = series.unit.clone();
            match &condition.statistic {
                Some((statistic, true)) => self.extended_statistic = Some(statistic.clone()),
                Some((statistic, false)) => self.statistic = Some(statistic.clone()),
                None => {}
            }
        }
    }
}

pub(super) fn describe_alarms(ctx: &mut Ctx<'_>, input: DescribeAlarms) -> Result<Alarms, AwsError> {
    let most = ctx.world.page_size;
    let size = records(input.max_records)?;
    if input.alarm_names.len() > 100 {
        return Err(invalid("AlarmNames must not contain more than 100 names"));
    }
    if !input.alarm_names.is_empty() && input.alarm_name_prefix.is_some() {
        return Err(invalid("AlarmNames and AlarmNamePrefix are mutually exclusive"));
    }
    let alarms = &ctx.scope.place().cloudwatch.alarms;
    let rule = |name: &str| match alarms.get(name).map(|alarm| &alarm.watch) {
        Some(Watch::Composite { rule, .. }) => rule.names(),
        Some(Watch::Metric(_) | Watch::Log(_)) | None => Vec::new(),
    };
    let children = input.children_of_alarm_name.as_deref().map(rule);
    let wanted = |alarm: &&Alarm| {
        // Without types, CloudWatch leaves composite alarms out.
        let kinds = if input.alarm_types.is_empty() { &[AlarmType::Metric][..] } else { &input.alarm_types };
        let related = match (&children, &input.parents_of_alarm_name) {
            (Some(children), _) => children.contains(&alarm.name.as_str()),
            (None, Some(child)) => rule(&alarm.name).contains(&child.as_str()),
            (None, None) => kinds.iter().any(|kind| kind.name() == alarm.kind()),
        };
        let Actions { ok, alarm: on_alarm, insufficient_data, .. } = &alarm.actions;
        related
            && (input.alarm_names.is_empty() || input.alarm_names.contains(&alarm.name))
            && input.alarm_name_prefix.as_ref().is_none_or(|prefix| alarm.name.starts_with(prefix))
            && input.state_value.is_none_or(|state| state == alarm.state)
            && input.action_prefix.as_ref().is_none_or(|prefix| {
                ok.iter().chain(on_alarm).chain(insufficient_data).any(|action| action.starts_with(prefix))
            })
    };
    let found: Vec<&Alarm> = alarms.values().filter(wanted).collect();
    let (found, next_token) =
        page::cut("alarms", found, size.min(most), input.next_token.as_deref(), |alarm| &alarm.name)
            .map_err(invalid_token)?;
    let of_kind = |kind: AlarmType| {
        let of_it = found.iter().filter(|alarm| alarm.kind() == kind.name());
        of_it.map(|alarm| DescribedAlarm::of(alarm)).collect::<Vec<_>>()
    };
    Ok(Alarms {
        composite_alarms: of_kind(AlarmType::Composite),
        metric_alarms: of_kind(AlarmType::Metric),
        log_alarms: input.alarm_types.contains(&AlarmType::Log).then(|| of_kind(AlarmType::Log)),
        next_token,
    })
}

/// Whether an alarm's rule can be evaluated here: for the world file.
pub(super) fn check_rule(scope: &mut Scope<'_>, rule: &Rule, name: &str) -> Result<(), String> {
    let alarms = &scope.place().cloudwatch.alarms;
    match rule.names().into_iter().find(|named| !alarms.contains_key(*named)) {
        Some(absent) => Err(format!("its rule names {absent:?}, which is no alarm before it in the file")),
        None if reaches(alarms, rule, name) => Err("its rule depends on the alarm itself".to_owned()),
        None => Ok(()),
    }
}
