"""CloudWatch, in each of the protocols that its clients speak: JSON by boto3, CBOR by newer SDKs, Query by older ones."""

import datetime
import urllib.error
import urllib.parse
import urllib.request


PROTOCOLS = {"json": "coverage", "smithy-rpc-v2-cbor": "coverage-cbor", "query": "coverage-query"}


def drive(aws):
    for protocol, name in PROTOCOLS.items():
        drive_in(aws, aws.client("cloudwatch", protocol=protocol), name)


def drive_in(aws, cloudwatch, name):
    def state(name):
        found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return (found["MetricAlarms"] + found["CompositeAlarms"])[0]

    any_of = f"{name}-any"
    dimensions = [{"Name": "Service", "Value": name}]
    alarm = dict(
        AlarmName=name, Namespace="Coverage", MetricName="Errors", Dimensions=dimensions, Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=5.0, ComparisonOperator="GreaterThanThreshold",
        AlarmActions=["arn:aws:sns:us-west-2:111111111111:page"], AlarmDescription="for coverage",
    )
    cloudwatch.put_metric_alarm(**alarm)
    found = state(name)
    assert found["StateValue"] == "INSUFFICIENT_DATA" and found["Dimensions"] == dimensions, found
    assert found["AlarmArn"] == f"arn:aws:cloudwatch:{aws.region}:{aws.account}:alarm:{name}", found
    assert isinstance(found["StateUpdatedTimestamp"], datetime.datetime) and found["Threshold"] == 5.0, found
    aws.refused("ValidationError", cloudwatch.put_metric_alarm, **{**alarm, "Period": 7})
    aws.refused("ValidationError", cloudwatch.put_metric_alarm, **{**alarm, "DatapointsToAlarm": 2})

    cloudwatch.put_composite_alarm(AlarmName=any_of, AlarmRule=f"ALARM({name}) AND NOT FALSE")
    assert state(any_of)["StateValue"] == "OK"
    aws.refused("ValidationError", cloudwatch.put_composite_alarm, AlarmName="x", AlarmRule="ALARM(absent)")
    aws.refused("ValidationError", cloudwatch.put_composite_alarm, AlarmName="x", AlarmRule=f"ALARM({name}")
    aws.refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=[name])
    # Without types, composite alarms are left out.
    assert cloudwatch.describe_alarms(AlarmNames=[any_of])["CompositeAlarms"] == []

    start = datetime.datetime.fromtimestamp(aws.page("clock")["now-milliseconds"] / 1000, datetime.timezone.utc)
    data = [
        {"MetricName": "Errors", "Dimensions": dimensions, "Value": 4.0},
        {"MetricName": "Errors", "Dimensions": dimensions, "Values": [1.0, 2.5], "Counts": [2.0, 2.0], "Unit": "Count"},
        {
            "MetricName": "Errors", "Dimensions": dimensions,
            "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2},
        },
    ]
    cloudwatch.put_metric_data(Namespace="Coverage", MetricData=data)
    aws.refused("InvalidParameterCombination", cloudwatch.put_metric_data, Namespace="Coverage", MetricData=[
        {"MetricName": "Errors", "Value": 1.0, "Values": [1.0]},
    ])
    aws.refused("MissingParameter", cloudwatch.put_metric_data, Namespace="Coverage", MetricData=[{"MetricName": "Errors"}])
    sizes = {"MetricName": "Errors", "Values": [1.0], "Counts": [1.0, 2.0]}
    aws.refused("InvalidParameterValue", cloudwatch.put_metric_data, Namespace="Coverage", MetricData=[sizes])
    aws.until(lambda: state(name)["StateValue"] == "ALARM")
    assert "Threshold Crossed: 1 out of the last 1 datapoint [14.0" in state(name)["StateReason"], state(name)
    assert state(any_of)["StateValue"] == "ALARM"

    query = {"Id": "m1", "MetricStat": {
        "Metric": {"Namespace": "Coverage", "MetricName": "Errors", "Dimensions": dimensions}, "Period": 60, "Stat": "Sum",
    }}
    asked = dict(MetricDataQueries=[query], StartTime=start, EndTime=start + datetime.timedelta(hours=1))
    result = cloudwatch.get_metric_data(**asked)["MetricDataResults"][0]
    assert sum(result["Values"]) == 14.0 and result["StatusCode"] == "Complete", result
    assert all(isinstance(at, datetime.datetime) for at in result["Timestamps"]), result
    aws.refused("ValidationError", cloudwatch.get_metric_data, **{**asked, "EndTime": start})

    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a drill")
    aws.refused("ResourceNotFound", cloudwatch.set_alarm_state, AlarmName="absent", StateValue="OK", StateReason="x")
    drill = dict(AlarmName=name, StateValue="OK", StateReason="x")
    aws.refused("InvalidFormat", cloudwatch.set_alarm_state, StateReasonData="{", **drill)
    aws.refused("InvalidNextToken", cloudwatch.describe_alarms, NextToken="nonsense")

    cloudwatch.disable_alarm_actions(AlarmNames=[name])
    assert state(name)["ActionsEnabled"] is False
    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    assert state(name)["ActionsEnabled"] is True

    history = cloudwatch.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")["AlarmHistoryItems"]
    told = [item["HistorySummary"] for item in history]
    assert told[0] == f'Alarm "{name}" created', told
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in told, told

    first = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=1)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"], PaginationConfig={"PageSize": 1},
    )
    names = [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"] + page["CompositeAlarms"]]
    assert first["NextToken"] and names == sorted(names) and len(names) == 4, names

    metric = {"Namespace": "Coverage", "MetricName": "Errors"}
    found = cloudwatch.list_metrics(**metric, Dimensions=[{"Name": "Service", "Value": name}], RecentlyActive="PT3H")
    assert found["Metrics"] == [{**metric, "Dimensions": dimensions}], found
    assert cloudwatch.list_metrics(Namespace="Coverage", Dimensions=[{"Name": "Stage"}])["Metrics"] == []
    watching = cloudwatch.describe_alarms_for_metric(**metric, Dimensions=dimensions, Statistic="Sum", Period=60)
    assert [alarm["AlarmName"] for alarm in watching["MetricAlarms"]] == [name], watching
    assert cloudwatch.describe_alarms_for_metric(**metric, Dimensions=dimensions, Period=300)["MetricAlarms"] == []
    assert cloudwatch.describe_alarms_for_metric(**metric)["MetricAlarms"] == [], "dimensions are all of a metric's"

    mute(aws, cloudwatch, name)
    if name == "coverage":
        by_query(aws)
        by_cbor(aws)
    cloudwatch.delete_alarms(AlarmNames=[name, any_of])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    aws.refused("ResourceNotFound", cloudwatch.delete_alarms, AlarmNames=[name])


def mute(aws, cloudwatch, name):
    now = datetime.datetime.fromtimestamp(aws.page("clock")["now-milliseconds"] / 1000, datetime.timezone.utc)
    at = lambda when, duration="P1D": {"Schedule": {"Expression": f"at({when:%Y-%m-%dT%H:%M})", "Duration": duration}}
    put, targets = cloudwatch.put_alarm_mute_rule, {"AlarmNames": [name]}
    put(Name=name, Rule=at(now), MuteTargets=targets, Description="for coverage", Tags=[{"Key": "a", "Value": "b"}])
    later = now + datetime.timedelta(days=9)
    put(Name=f"{name}-later", Rule=at(later, "PT4H"), MuteTargets=targets, ExpireDate=later)
    aws.refused("ValidationError", put, Name="x", Rule=at(now, "PT1S"))
    aws.refused("ValidationError", put, Name="x", Rule={"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT4H"}})
    aws.refused("ValidationError", put, Name="x", Rule=at(now), MuteTargets={"AlarmNames": ["absent"]})
    found = cloudwatch.get_alarm_mute_rule(AlarmMuteRuleName=name)
    assert found["Status"] == "ACTIVE" and found["MuteTargets"] == targets and found["MuteType"] == "ONE_TIME", found
    aws.refused("ResourceNotFoundException", cloudwatch.get_alarm_mute_rule, AlarmMuteRuleName="absent")
    listed = cloudwatch.list_alarm_mute_rules(AlarmName=name, Statuses=["SCHEDULED"])["AlarmMuteRuleSummaries"]
    assert [rule["AlarmMuteRuleArn"].rsplit(":", 1)[1] for rule in listed] == [f"{name}-later"], listed
    aws.refused("InvalidNextToken", cloudwatch.list_alarm_mute_rules, NextToken="nonsense")
    for rule in (name, f"{name}-later"):
        cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName=rule)
    assert cloudwatch.list_alarm_mute_rules(AlarmName=name)["AlarmMuteRuleSummaries"] == []


def by_query(aws):
    """As clients ask that speak Query only."""
    form = {"Action": "DescribeAlarms", "Version": "2010-08-01", "AlarmNames.member.1": "coverage"}
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260105/{aws.region}/monitoring/aws4_request, Signature=0"
    request = urllib.request.Request(aws.url, urllib.parse.urlencode(form).encode(), {"Authorization": scope})
    with urllib.request.urlopen(request) as answer:
        xml = answer.read().decode()
    assert "<MetricAlarms><member><AlarmName>coverage</AlarmName>" in xml, xml


def by_cbor(aws):
    """As the Rust SDK asks: `{"AlarmNames": ["coverage"]}`, and an alarm that there is not."""
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260105/{aws.region}/monitoring/aws4_request, Signature=0"
    headers = {"Authorization": scope, "smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
    path = f"{aws.url}/service/GraniteServiceVersion20100801/operation/"
    names = b"\xa1\x6aAlarmNames\x81"
    request = urllib.request.Request(path + "DescribeAlarms", names + b"\x68coverage", headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["smithy-protocol"] == "rpc-v2-cbor", answer.headers
        assert b"\x69AlarmName\x68coverage" in answer.read()
    try:
        urllib.request.urlopen(urllib.request.Request(path + "DeleteAlarms", names + b"\x66absent", headers))
    except urllib.error.HTTPError as error:
        assert error.headers["x-amzn-query-error"] == "ResourceNotFound;Sender", error.headers
        return
    raise AssertionError("an alarm that there is not was deleted")
