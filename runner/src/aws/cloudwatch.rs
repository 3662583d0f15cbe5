//! CloudWatch: alarms and metrics.
//!
//! Every request record of the interface `cloudwatch` is an [`Operation`]; [`DescribeAlarmsRequest`] is the plainest.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, ErrorKind, from_sdk, invalid};
use super::limits::{batch, gather};
use super::names::{Given, ResourceKind};
use super::operation::{Read, heads};
use super::values::{decimal, instant, millis, signed, word};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_cloudwatch::cloudwatch::{
    Alarm, AlarmMuteRule, DataPoint, DescribeAlarmsRequest, DescribeAlarmsResponse, GetAlarmMuteRuleRequest,
    GetAlarmMuteRuleResponse, GetMetricDataRequest, GetMetricDataResponse, ListAlarmMuteRulesRequest,
    ListAlarmMuteRulesResponse,
};
use crate::types::Arn;

/// An alarm's name may hold anything.
const ALARM: ResourceKind = ResourceKind::new("cloudwatch", "an alarm", "alarm:", "");
const MUTE_RULE: ResourceKind = ResourceKind::new("cloudwatch", "a rule that mutes alarms", "alarm-mute-rule:", "-_.");

heads! {
    DescribeAlarmsRequest => DescribeAlarmsResponse:
        "cloudwatch:DescribeAlarms" on |it, at| ALARM.arns(at, &it.alarm_names);
    ListAlarmMuteRulesRequest => ListAlarmMuteRulesResponse: "cloudwatch:ListAlarmMuteRules" on |_, _| [];
    GetAlarmMuteRuleRequest => GetAlarmMuteRuleResponse:
        "cloudwatch:GetAlarmMuteRule" on |it, at| [MUTE_RULE.arn(at, &it.name)];
    GetMetricDataRequest => GetMetricDataResponse: "cloudwatch:GetMetricData" on |_, _| [];
}

impl Read for DescribeAlarmsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        batch("alarms", &self.alarm_names, 100)?;
        let asked = self.alarm_names.iter().map(|given| asked_alarm(given)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = asked.iter().map(|(name, _)| name.clone()).collect();
        // Without the types, CloudWatch leaves composite alarms out.
        let mut alarms =
            of_types(aws, names.clone(), [sdk::AlarmType::MetricAlarm, sdk::AlarmType::CompositeAlarm]).await?;
        let rest: Vec<String> =
            names.into_iter().filter(|name| !alarms.iter().any(|alarm| alarm.name == *name)).collect();
        if !rest.is_empty() {
            // Asked for by themselves: where CloudWatch knows no log alarms yet, it refuses the type.
            match of_types(aws, rest, [sdk::AlarmType::LogAlarm]).await {
                Ok(of_logs) => alarms.extend(of_logs),
                Err(error) if error.kind == ErrorKind::Invalid => {}
                Err(error) => return Err(error),
            }
        }
        // CloudWatch takes names only. An alarm that was named by an ARN is that one, not the one of its name here.
        let asked_for = |alarm: &Alarm| {
            asked
                .iter()
                .any(|(name, arn)| *name == alarm.name && arn.as_ref().is_none_or(|arn| arn.as_str() == alarm.arn))
        };
        alarms.retain(asked_for);
        alarms.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(DescribeAlarmsResponse { alarms })
    }
}

/// The alarms of these names and types.
async fn of_types(
    aws: &Clients,
    names: Vec<String>,
    types: impl IntoIterator<Item = sdk::AlarmType>,
) -> Result<Vec<Alarm>, AwsError> {
    let request = aws.cloudwatch().describe_alarms().set_alarm_names(Some(names));
    let request = types.into_iter().fold(request, |request, one| request.alarm_types(one));
    gather("alarms", request.into_paginator().send(), |page| {
        let metric = page.metric_alarms.unwrap_or_default().into_iter().map(metric_alarm);
        let composite = page.composite_alarms.unwrap_or_default().into_iter().map(composite_alarm);
        metric.chain(composite).chain(page.log_alarms.unwrap_or_default().into_iter().map(log_alarm)).collect()
    })
    .await
}

/// The name of an alarm that a stage asks for, and its ARN where it was given as one.
fn asked_alarm(given: &str) -> Result<(String, Option<Arn>), AwsError> {
    match Given::from(given) {
        Given::Name("") => Err(invalid("the name of an alarm is empty")),
        Given::Name(name) => Ok((name.to_owned(), None)),
        Given::Arn(arn) => Ok((ALARM.name_in(&arn)?.to_owned(), Some(arn))),
    }
}

fn metric_alarm(alarm: sdk::MetricAlarm) -> Alarm {
    let description = watched(&alarm);
    Alarm {
        name: alarm.alarm_name.unwrap_or_default(),
        arn: alarm.alarm_arn.unwrap_or_default(),
        state: word(alarm.state_value),
        reason: alarm.state_reason.unwrap_or_default(),
        since: millis(alarm.state_updated_timestamp),
        kind: "MetricAlarm".to_owned(),
        description,
        evaluation: evaluation(alarm.evaluation_state),
    }
}

/// `Sum of AWS/ApplicationELB HTTPCode_Target_5XX_Count (LoadBalancer=app/web) GreaterThanThreshold 5`.
fn watched(alarm: &sdk::MetricAlarm) -> String {
    let mut words = Vec::new();
    match (&alarm.metric_name, &alarm.metrics) {
        (Some(metric), _) => {
            let statistic = alarm.statistic.as_ref().map(|statistic| statistic.as_str());
            if let Some(statistic) = statistic.or(alarm.extended_statistic.as_deref()) {
                words.push(format!("{statistic} of"));
            }
            words.extend(alarm.namespace.clone());
            words.push(metric.clone());
            words.extend(dimensions(alarm.dimensions.as_deref().unwrap_or_default()));
        }
        // Metric maths: what the alarm compares is the query that returns data.
        (None, Some(queries)) => {
            words.extend(queries.iter().find(|query| query.return_data != Some(false)).map(queried))
        }
        (None, None) => {}
    }
    words.extend(alarm.comparison_operator.as_ref().map(|operator| operator.as_str().to_owned()));
    words.extend(alarm.threshold.and_then(decimal));
    words.join(" ")
}

fn dimensions(dimensions: &[sdk::Dimension]) -> Option<String> {
    let pair = |dimension: &sdk::Dimension| {
        format!("{}={}", dimension.name.as_deref().unwrap_or_default(), dimension.value.as_deref().unwrap_or_default())
    };
    let pairs: Vec<String> = dimensions.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| format!("({})", pairs.join(", ")))
}

fn queried(query: &sdk::MetricDataQuery) -> String {
    let stat = query.metric_stat.as_ref();
    let metric = stat.and_then(|stat| stat.metric.as_ref()).and_then(|metric| metric.metric_name.as_deref());
    query.expression.as_deref().or(metric).or(query.label.as_deref()).unwrap_or("metric maths").to_owned()
}

fn composite_alarm(alarm: sdk::CompositeAlarm) -> Alarm {
    Alarm {
        name: alarm.alarm_name.unwrap_or_default(),
        arn: alarm.alarm_arn.unwrap_or_default(),
        state: word(alarm.state_value),
        reason: alarm.state_reason.unwrap_or_default(),
        since: millis(alarm.state_updated_timestamp),
        kind: "CompositeAlarm".to_owned(),
        description: alarm.alarm_rule.unwrap_or_default(),
        // A composite alarm is evaluated whenever one of those that it names changes.
        evaluation: None,
    }
}

fn log_alarm(alarm: sdk::LogAlarm) -> Alarm {
    let query = alarm.scheduled_query_configuration.as_ref();
    let mut words: Vec<String> = query.and_then(|query| query.aggregation_expression.clone()).into_iter().collect();
    let groups = query.and_then(|query| query.log_group_identifiers.as_ref()).map(|groups| groups.join(", "));
    words.extend(groups.map(|groups| format!("of {groups}")));
    words.extend(alarm.comparison_operator.as_ref().map(|operator| operator.as_str().to_owned()));
    words.extend(alarm.threshold.and_then(decimal));
    Alarm {
        name: alarm.alarm_name.unwrap_or_default(),
        arn: alarm.alarm_arn.unwrap_or_default(),
        state: word(alarm.state_value),
        reason: alarm.state_reason.unwrap_or_default(),
        since: millis(alarm.state_updated_timestamp),
        kind: "LogAlarm".to_owned(),
        description: words.join(" "),
        evaluation: evaluation(alarm.evaluation_state),
    }
}

/// An evaluation that AWS says something of, in words that may be newer than this SDK.
fn evaluation(state: Option<sdk::EvaluationState>) -> Option<String> {
    state.map(|state| state.as_str().to_owned())
}

impl Read for ListAlarmMuteRulesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let statuses = self.statuses.iter().map(|status| sdk::AlarmMuteRuleStatus::from(status.as_str())).collect();
        let statuses = (!self.statuses.is_empty()).then_some(statuses);
        let request = aws.cloudwatch().list_alarm_mute_rules().set_statuses(statuses);
        let found = gather("rules that mute alarms", request.into_paginator().send(), |page| {
            page.alarm_mute_rule_summaries.unwrap_or_default()
        })
        .await?;
        let mut rules = found.into_iter().map(listed_rule).collect::<Result<Vec<_>, _>>()?;
        rules.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ListAlarmMuteRulesResponse { rules })
    }
}

/// A list tells of a rule its ARN alone.
fn listed_rule(rule: sdk::AlarmMuteRuleSummary) -> Result<AlarmMuteRule, AwsError> {
    let arn = rule.alarm_mute_rule_arn.unwrap_or_default();
    let arn: Arn =
        arn.parse().map_err(|_| invalid(format_args!("CloudWatch lists a rule as {arn:?}, which is no ARN")))?;
    Ok(AlarmMuteRule {
        name: MUTE_RULE.name_in(&arn)?.to_owned(),
        status: word(rule.status),
        expires: millis(rule.expire_date),
    })
}

impl Read for GetAlarmMuteRuleRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if self.name.is_empty() {
            return Err(invalid("the name of a rule that mutes alarms is empty"));
        }
        let request = aws.cloudwatch().get_alarm_mute_rule().alarm_mute_rule_name(&self.name);
        let answer = request.send().await.map_err(from_sdk)?;
        let schedule = answer.rule.and_then(|rule| rule.schedule);
        Ok(GetAlarmMuteRuleResponse {
            rule: AlarmMuteRule {
                name: answer.name.unwrap_or_else(|| self.name.clone()),
                status: word(answer.status),
                expires: millis(answer.expire_date),
            },
            alarm_names: answer.mute_targets.and_then(|targets| targets.alarm_names).unwrap_or_default(),
            schedule: schedule.map(scheduled).unwrap_or_default(),
        })
    }
}

/// `cron(0 2 * * *) for PT4H, Europe/London`.
fn scheduled(schedule: sdk::Schedule) -> String {
    let zone = schedule.timezone.map(|zone| format!(", {zone}")).unwrap_or_default();
    let [expression, duration] = [schedule.expression, schedule.duration].map(Option::unwrap_or_default);
    format!("{expression} for {duration}{zone}")
}

impl Read for GetMetricDataRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if !matches!(self.period, 1 | 5 | 10 | 30) && (self.period == 0 || !self.period.is_multiple_of(60)) {
            return Err(invalid(format_args!("{} s is no period: those are 1, 5, 10, 30 or n * 60", self.period)));
        }
        if self.start >= self.end {
            return Err(invalid("the first instant is not before the last"));
        }
        let dimension = |Pair { name, value }: &Pair| sdk::Dimension::builder().name(name).value(value).build();
        let metric = sdk::Metric::builder()
            .namespace(&self.namespace)
            .metric_name(&self.metric)
            .set_dimensions(Some(self.dimensions.iter().map(dimension).collect()))
            .build();
        let stat = sdk::MetricStat::builder()
            .metric(metric)
            .period(signed("the period", self.period)?)
            .stat(&self.statistic)
            .build();
        let request = aws
            .cloudwatch()
            .get_metric_data()
            .metric_data_queries(sdk::MetricDataQuery::builder().id("m").metric_stat(stat).return_data(true).build())
            .start_time(instant("the first instant", self.start)?)
            .end_time(instant("the last instant", self.end)?)
            .scan_by(sdk::ScanBy::TimestampAscending);
        let mut refusal = None;
        let points = gather("points", request.into_paginator().send(), |page| {
            let mut points = Vec::new();
            for result in page.metric_data_results.unwrap_or_default() {
                refusal = refusal.take().or_else(|| failed(&result));
                points.extend(series(result));
            }
            points
        })
        .await?;
        if let Some(error) = refusal {
            return Err(error);
        }
        // A page may repeat the point at which the page before it ended.
        let points: BTreeMap<u64, String> = points.into_iter().collect();
        let points = points.into_iter().map(|(timestamp, value)| DataPoint { timestamp, value }).collect();
        Ok(GetMetricDataResponse { points })
    }
}

/// The error of a series that CloudWatch could not read, which must not look like one without data.
fn failed(result: &sdk::MetricDataResult) -> Option<AwsError> {
    let (kind, code) = match result.status_code.as_ref()?.as_str() {
        "InternalError" => (ErrorKind::Unavailable, "InternalError"),
        "Forbidden" => (ErrorKind::AccessDenied, "Forbidden"),
        _ => return None,
    };
    let messages = result.messages.as_deref().unwrap_or_default().iter().filter_map(|message| message.value.as_deref());
    let messages = messages.collect::<Vec<_>>().join("; ");
    let message = if messages.is_empty() { "CloudWatch could not read the metric".to_owned() } else { messages };
    Some(AwsError { kind, code: code.to_owned(), message, operation: String::new(), request_id: None })
}

fn series(result: sdk::MetricDataResult) -> Vec<(u64, String)> {
    let values = result.values.unwrap_or_default();
    let points = result.timestamps.unwrap_or_default().into_iter().zip(values);
    // What is not a number is no measurement.
    points.filter_map(|(timestamp, value)| Some((millis(Some(timestamp))?, decimal(value)?))).collect()
}
