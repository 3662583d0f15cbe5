//! Alarms and metrics.

use serde_json::{Value, json};

use super::canned::{Answer, Canned, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_cloudwatch::cloudwatch::{
    Alarm, DataPoint, DescribeAlarmsRequest, GetAlarmMuteRuleRequest, GetMetricDataRequest, ListAlarmMuteRulesRequest,
};

const ARN: &str = "arn:aws:cloudwatch:us-west-2:111111111111:alarm";

fn named(names: &[&str]) -> DescribeAlarmsRequest {
    DescribeAlarmsRequest { alarm_names: names.iter().map(ToString::to_string).collect() }
}

fn answer() -> Answer {
    Answer::cbor(
        200,
        &json!({
            "MetricAlarms": [
                { "AlarmName": "web-5xx", "AlarmArn": format!("{ARN}:web-5xx"), "StateValue": "ALARM",
                  "StateReason": "too many", "StateUpdatedTimestamp": { "epoch": 1.5 },
                  "Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count", "Statistic": "Sum",
                  "Dimensions": [{ "Name": "LoadBalancer", "Value": "app/web" }],
                  "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0.5 },
                { "AlarmName": "maths", "StateValue": "MUSING", "EvaluationState": "PARTIAL_DATA", "Metrics": [
                    { "Id": "m", "ReturnData": false }, { "Id": "e", "Expression": "m / 2", "ReturnData": true } ] },
            ],
            "CompositeAlarms": [
                { "AlarmName": "all", "AlarmArn": format!("{ARN}:all"), "StateValue": "OK", "AlarmRule": "ALARM(web-5xx)" },
            ],
        }),
    )
}

#[test]
fn metric_and_composite_alarms_come_in_the_order_of_their_names() {
    hermetic(async {
        let of_logs = json!({ "LogAlarms": [{
            "AlarmName": "errors", "AlarmArn": format!("{ARN}:errors"), "StateValue": "OK", "EvaluationState": "IN_WARM_UP",
            "ScheduledQueryConfiguration": { "AggregationExpression": "count(*)", "LogGroupIdentifiers": ["/web"] },
            "ComparisonOperator": "GreaterThanThreshold", "Threshold": 3,
        }] });
        let answers = [answer(), Answer::cbor(200, &of_logs)];
        let (output, asked) = sent(&named(&["web-5xx", "maths", "all", "errors", "gone"]), answers).await;
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].operation, "DescribeAlarms");
        assert!(!asked[0].text.contains("LogAlarm"), "what knows no log alarms would refuse the type");
        assert!(asked[1].text.contains("LogAlarm") && !asked[1].text.contains("maths"), "those that were not found");
        assert!(asked[0].text.contains("CompositeAlarm"), "without the type, composite alarms are left out");
        let alarm = |name: &str, state: &str, description: &str| Alarm {
            name: name.to_owned(),
            arn: format!("{ARN}:{name}"),
            state: state.to_owned(),
            reason: String::new(),
            since: None,
            kind: "MetricAlarm".to_owned(),
            description: description.to_owned(),
            evaluation: None,
        };
        let watched =
            "Sum of AWS/ApplicationELB HTTPCode_Target_5XX_Count (LoadBalancer=app/web) GreaterThanThreshold 0.5";
        let expected = [
            Alarm { kind: "CompositeAlarm".to_owned(), ..alarm("all", "OK", "ALARM(web-5xx)") },
            Alarm {
                kind: "LogAlarm".to_owned(),
                evaluation: Some("IN_WARM_UP".to_owned()),
                ..alarm("errors", "OK", "count(*) of /web GreaterThanThreshold 3")
            },
            Alarm {
                arn: String::new(),
                evaluation: Some("PARTIAL_DATA".to_owned()),
                ..alarm("maths", "MUSING", "m / 2")
            },
            Alarm { reason: "too many".to_owned(), since: Some(1500), ..alarm("web-5xx", "ALARM", watched) },
        ];
        assert_eq!(output.alarms, expected);
    });
}

#[test]
fn an_alarm_that_is_named_by_its_arn_is_not_its_namesake_here() {
    hermetic(async {
        let own = format!("{ARN}:web-5xx");
        let other = "arn:aws:cloudwatch:us-west-2:222222222222:alarm:all";
        let (output, asked) = sent(&named(&[&own, other]), [answer()]).await;
        let names: Vec<_> = output.alarms.iter().map(|alarm| alarm.name.as_str()).collect();
        assert_eq!(names, ["web-5xx"]);
        assert!(!asked[0].text.contains("arn:aws"), "CloudWatch takes names only");
        assert_eq!(refused(&named(&[""])).await, "the name of an alarm is empty");
        let topic = refused(&named(&["arn:aws:sns:us-west-2:111111111111:topic"])).await;
        assert!(topic.ends_with("is not the ARN of an alarm"), "{topic}");
    });
}

#[test]
fn where_cloudwatch_knows_no_log_alarms_an_alarm_that_is_missing_is_missing() {
    hermetic(async {
        let refusal = json!({ "__type": "com.amazonaws.cloudwatch#ValidationError", "message": "LogAlarm" });
        let answers = [Answer::cbor(200, &json!({})), Answer::cbor(400, &refusal)];
        let (output, _) = sent(&named(&["gone"]), answers).await;
        assert_eq!(output.alarms, []);
    });
}

#[test]
fn rules_that_mute_alarms_come_with_what_they_mute() {
    hermetic(async {
        let rule = |name: &str| json!({ "AlarmMuteRuleArn": format!("arn:aws:cloudwatch:us-west-2:111111111111:alarm-mute-rule:{name}"), "Status": "ACTIVE" });
        let pages = [
            Answer::cbor(200, &json!({ "AlarmMuteRuleSummaries": [rule("weekly")], "NextToken": "t" })),
            Answer::cbor(200, &json!({ "AlarmMuteRuleSummaries": [rule("nightly")] })),
        ];
        let (output, asked) = sent(&ListAlarmMuteRulesRequest { statuses: vec!["ACTIVE".to_owned()] }, pages).await;
        assert!(asked[0].text.contains("ACTIVE"));
        let names: Vec<_> = output.rules.iter().map(|rule| (rule.name.as_str(), rule.status.as_str())).collect();
        assert_eq!(names, [("nightly", "ACTIVE"), ("weekly", "ACTIVE")]);

        let answer = json!({
            "Name": "nightly", "Status": "ACTIVE", "MuteTargets": { "AlarmNames": ["web-5xx"] },
            "Rule": { "Schedule": { "Expression": "cron(0 2 * * *)", "Duration": "PT4H", "Timezone": "Europe/London" } },
        });
        let get = GetAlarmMuteRuleRequest { name: "nightly".to_owned() };
        let (output, _) = sent(&get, [Answer::cbor(200, &answer)]).await;
        assert_eq!(output.alarm_names, ["web-5xx"]);
        assert_eq!(output.schedule, "cron(0 2 * * *) for PT4H, Europe/London");
        let empty = GetAlarmMuteRuleRequest { name: String::new() };
        assert_eq!(refused(&empty).await, "the name of a rule that mutes alarms is empty");
    });
}

fn series() -> GetMetricDataRequest {
    GetMetricDataRequest {
        namespace: "AWS/ApplicationELB".to_owned(),
        metric: "RequestCount".to_owned(),
        dimensions: vec![Pair { name: "LoadBalancer".to_owned(), value: "app/web".to_owned() }],
        statistic: "p99".to_owned(),
        period: 60,
        start: 0,
        end: 600_000,
    }
}

fn page(result: Value, token: Option<&str>) -> Answer {
    let mut body = json!({ "MetricDataResults": [result] });
    if let Some(token) = token {
        body["NextToken"] = json!(token);
    }
    Answer::cbor(200, &body)
}

#[test]
fn a_series_comes_oldest_first_over_all_pages() {
    hermetic(async {
        let at = |seconds: u32| json!({ "epoch": seconds });
        let pages = [
            page(
                json!({ "Timestamps": [at(120), at(60)], "Values": [0.1, 1e21], "StatusCode": "PartialData" }),
                Some("t"),
            ),
            page(json!({ "Timestamps": [at(120), at(180)], "Values": [0.1, 3], "StatusCode": "Complete" }), None),
        ];
        let (output, asked) = sent(&series(), pages).await;
        let point = |timestamp, value: &str| DataPoint { timestamp, value: value.to_owned() };
        let points = [point(60_000, "1000000000000000000000"), point(120_000, "0.1"), point(180_000, "3")];
        assert_eq!(output.points, points);
        assert_eq!(asked.len(), 2);
        for word in ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", "app/web", "p99", "TimestampAscending"] {
            assert!(asked[0].text.contains(word), "{word} was not asked for");
        }
    });
}

#[test]
fn no_data_is_no_points_and_no_access_is_an_error() {
    hermetic(async {
        let (output, _) = sent(&series(), [page(json!({ "StatusCode": "Complete" }), None)]).await;
        assert_eq!(output.points, []);
        let forbidden = json!({ "StatusCode": "Forbidden", "Messages": [{ "Code": "x", "Value": "not yours" }] });
        let aws = Canned::with([page(forbidden, None)]).await;
        let error = aws.send(&series()).await.map_err(|error| (error.kind, error.message));
        assert_eq!(error, Err((ErrorKind::AccessDenied, "not yours".to_owned())));
    });
}

#[test]
fn periods_and_spans_that_cannot_be_are_refused() {
    hermetic(async {
        for period in [0, 2, 61] {
            let message = refused(&GetMetricDataRequest { period, ..series() }).await;
            assert_eq!(message, format!("{period} s is no period: those are 1, 5, 10, 30 or n * 60"));
        }
        let request = GetMetricDataRequest { end: 0, ..series() };
        assert_eq!(refused(&request).await, "the first instant is not before the last");
        let request = GetMetricDataRequest { end: u64::MAX, ..series() };
        assert_eq!(refused(&request).await, "the last instant is too far in the future");
    });
}
