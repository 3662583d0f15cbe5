//! Alarms: evaluated, scripted, composite, and as guards of deployments.

use serde_json::{Value, json};

use crate::world::{Outcome, World, web};

async fn state(world: &World, name: &str) -> Outcome<Value> {
    let input = json!({ "AlarmNames": [name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
    let answer = world.cloudwatch("DescribeAlarms", input).await?;
    let alarm = answer["MetricAlarms"].get(0).or(answer["CompositeAlarms"].get(0));
    Ok(alarm.ok_or("the alarm")?["StateValue"].clone())
}

async fn put(world: &World, value: f64) -> Outcome {
    let datum =
        json!({ "MetricName": "Errors", "Value": value, "Dimensions": [{ "Name": "Service", "Value": "web" }] });
    world.cloudwatch("PutMetricData", json!({ "Namespace": "Web", "MetricData": [datum] })).await?;
    Ok(())
}

fn errors(more: Value) -> Value {
    let mut alarm = json!({
        "AlarmName": "errors", "Namespace": "Web", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "Dimensions": [{ "Name": "Service", "Value": "web" }], "EvaluationPeriods": 2, "DatapointsToAlarm": 2,
        "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
    });
    if let (Value::Object(alarm), Value::Object(more)) = (&mut alarm, more) {
        alarm.extend(more);
    }
    alarm
}

#[tokio::test]
async fn an_alarm_follows_its_metric_and_forgets_it_when_data_stops() -> Outcome {
    let world = World::new("")?;
    world.cloudwatch("PutMetricAlarm", errors(json!({}))).await?;
    assert_eq!(state(&world, "errors").await?, "INSUFFICIENT_DATA");
    put(&world, 1.0).await?;
    world.pass(60);
    assert_eq!(state(&world, "errors").await?, "OK");
    put(&world, 9.0).await?;
    world.pass(60);
    assert_eq!(state(&world, "errors").await?, "OK", "one of two is not enough");
    put(&world, 4.0).await?;
    put(&world, 4.0).await?;
    world.pass(60);
    assert_eq!(state(&world, "errors").await?, "ALARM");
    world.pass(600);
    assert_eq!(state(&world, "errors").await?, "INSUFFICIENT_DATA");
    let input = json!({ "AlarmName": "errors", "HistoryItemType": "StateUpdate", "ScanBy": "TimestampAscending" });
    let history = world.cloudwatch("DescribeAlarmHistory", input).await?;
    let told: Vec<_> =
        history["AlarmHistoryItems"].as_array().into_iter().flatten().map(|i| &i["HistorySummary"]).collect();
    assert_eq!(
        told,
        [
            "Alarm updated from INSUFFICIENT_DATA to OK",
            "Alarm updated from OK to ALARM",
            "Alarm updated from ALARM to INSUFFICIENT_DATA",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn missing_data_that_is_not_breaching_makes_an_alarm_ok() -> Outcome {
    let world = World::new("")?;
    world.cloudwatch("PutMetricAlarm", errors(json!({ "TreatMissingData": "notBreaching" }))).await?;
    world.pass(60);
    assert_eq!(state(&world, "errors").await?, "OK");
    Ok(())
}

#[tokio::test]
async fn a_state_that_is_set_by_hand_lasts_until_the_next_evaluation() -> Outcome {
    let world = World::new("")?;
    world.cloudwatch("PutMetricAlarm", errors(json!({}))).await?;
    put(&world, 1.0).await?;
    world.pass(60);
    let input = json!({ "AlarmName": "errors", "StateValue": "ALARM", "StateReason": "a drill" });
    world.cloudwatch("SetAlarmState", input).await?;
    assert_eq!(state(&world, "errors").await?, "ALARM");
    world.pass(60);
    assert_eq!(state(&world, "errors").await?, "OK");
    Ok(())
}

#[tokio::test]
async fn composite_alarms_follow_their_rules_at_once_and_through_each_other() -> Outcome {
    let world = World::new("[[alarms]]\nname = 'a'\nstate = 'OK'\n[[alarms]]\nname = 'b'\nstate = 'OK'\n")?;
    let rule = json!({ "AlarmName": "any", "AlarmRule": "ALARM(a) OR ALARM(b)" });
    world.cloudwatch("PutCompositeAlarm", rule).await?;
    let rule = json!({ "AlarmName": "top", "AlarmRule": "ALARM(any) AND NOT ALARM(b)" });
    world.cloudwatch("PutCompositeAlarm", rule).await?;
    assert_eq!((state(&world, "any").await?, state(&world, "top").await?), (json!("OK"), json!("OK")));
    let set = |name: &str| json!({ "AlarmName": name, "StateValue": "ALARM", "StateReason": "x" });
    world.cloudwatch("SetAlarmState", set("a")).await?;
    assert_eq!((state(&world, "any").await?, state(&world, "top").await?), (json!("ALARM"), json!("ALARM")));
    world.cloudwatch("SetAlarmState", set("b")).await?;
    assert_eq!((state(&world, "any").await?, state(&world, "top").await?), (json!("ALARM"), json!("OK")));
    let cycle = json!({ "AlarmName": "any", "AlarmRule": "ALARM(top)" });
    assert!(world.cloudwatch("PutCompositeAlarm", cycle).await.is_err(), "a cycle is refused");
    Ok(())
}

const SCRIPT: &str = "[[alarms]]\nname = 'web-5xx'\nstate = 'OK'\n\
    script = [{ after-deployment-of = 'web/web', nth = 1, at = '50s', state = 'ALARM', reason = 'errors' }, \
    { after = '10m', state = 'OK' }]";

#[tokio::test]
async fn an_alarm_that_goes_off_while_it_guards_a_deployment_takes_it_back() -> Outcome {
    let world = web("desired-count = 2", SCRIPT)?;
    let before = world.service().await?["taskDefinition"].clone();
    let guard = json!({ "alarms": { "alarmNames": ["web-5xx"], "enable": true, "rollback": true } });
    let arn = world.deploy("example.com/web:2", guard).await?;
    world.pass(49);
    assert_eq!(world.deployment(&arn).await?["alarms"]["status"], "MONITORING");
    world.pass(2);
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(deployment["alarms"]["triggeredAlarmNames"], json!(["web-5xx"]));
    world.pass(120);
    assert_eq!(world.deployment(&arn).await?["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(world.service().await?["taskDefinition"], before);
    let said = world.said().await?;
    assert!(said.iter().any(|said| said.ends_with("deployment failed: alarm detected.")), "{said:?}");

    // On from the start, it says nothing of the next deployment, which is perhaps the one that mends things.
    assert_eq!(state(&world, "web-5xx").await?, "ALARM");
    let arn = world.deploy("example.com/web:3", json!({})).await?;
    world.pass(200);
    let deployment = world.deployment(&arn).await?;
    assert_eq!((&deployment["status"], &deployment["alarms"]["status"]), (&json!("SUCCESSFUL"), &json!("DISABLED")));
    world.pass(300);
    assert_eq!(state(&world, "web-5xx").await?, "OK");
    Ok(())
}

#[tokio::test]
async fn alarms_hold_a_deployment_for_as_long_as_they_need_to_see_something() -> Outcome {
    let alarm = "[[alarms]]\nname = 'slow'\nstate = 'OK'\nmetric = { namespace = 'Web', name = 'Errors', statistic = 'Sum', \
        period = '1m', evaluation-periods = 5, threshold = 1.0, comparison = 'GreaterThanThreshold' }";
    let world = web("desired-count = 1", alarm)?;
    let guard = json!({ "alarms": { "alarmNames": ["slow"], "enable": true, "rollback": true } });
    let arn = world.deploy("example.com/web:2", guard).await?;
    world.pass(300);
    assert_eq!(world.deployment(&arn).await?["lifecycleStage"], "BAKE_TIME");
    world.pass(120);
    let deployment = world.deployment(&arn).await?;
    assert_eq!(deployment["status"], "SUCCESSFUL");
    assert_eq!(deployment["alarms"]["status"], "MONITORING_COMPLETE");
    Ok(())
}

#[tokio::test]
async fn points_of_a_series_are_given_by_period_and_page() -> Outcome {
    let world = World::new("")?;
    for value in [1.0, 2.0, 3.0] {
        put(&world, value).await?;
        world.pass(60);
    }
    let query = |stat: &str| {
        json!({ "Id": "m1", "MetricStat": { "Stat": stat, "Period": 60, "Metric": {
            "Namespace": "Web", "MetricName": "Errors", "Dimensions": [{ "Name": "Service", "Value": "web" }] } } })
    };
    let (start, end) = (1_767_603_600, 1_767_603_600 + 180);
    let mut input = json!({
        "MetricDataQueries": [query("Sum")], "StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending",
        "MaxDatapoints": 2,
    });
    let first = world.cloudwatch("GetMetricData", input.clone()).await?;
    assert_eq!(first["MetricDataResults"][0]["Values"], json!([1.0, 2.0]));
    assert_eq!(first["MetricDataResults"][0]["StatusCode"], "PartialData");
    input["NextToken"] = first["NextToken"].clone();
    let second = world.cloudwatch("GetMetricData", input).await?;
    assert_eq!(second["MetricDataResults"][0]["Values"], json!([3.0]));
    assert_eq!(second["MetricDataResults"][0]["StatusCode"], "Complete");
    assert!(second["NextToken"].is_null());
    Ok(())
}
