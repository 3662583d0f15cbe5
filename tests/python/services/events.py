"""EventBridge."""


def drive(aws):
    events = aws.client("events")
    cluster = f"arn:aws:ecs:{aws.region}:{aws.account}:cluster/jobs"
    definition = f"arn:aws:ecs:{aws.region}:{aws.account}:task-definition/nightly:1"
    made = events.put_rule(Name="nightly", ScheduleExpression="cron(0 3 * * ? *)", State="DISABLED")
    assert made["RuleArn"] == f"arn:aws:events:{aws.region}:{aws.account}:rule/nightly", made
    target = {"Id": "1", "Arn": cluster, "EcsParameters": {"TaskDefinitionArn": definition, "TaskCount": 1}}
    put = events.put_targets(Rule="nightly", Targets=[target])
    assert put["FailedEntryCount"] == 0, put
    assert events.list_targets_by_rule(Rule="nightly")["Targets"] == [target]
    aws.refused("ResourceNotFoundException", events.list_targets_by_rule, Rule="absent")
    aws.refused("ResourceNotFoundException", events.list_rules, EventBusName="absent")
    aws.refused("ValidationException", events.put_rule, Name="nothing")

    bus = events.create_event_bus(Name="orders")["EventBusArn"]
    aws.refused("ResourceAlreadyExistsException", events.create_event_bus, Name="orders")
    made = events.put_rule(Name="paid", EventBusName=bus, EventPattern='{"source": ["shop"]}')
    assert made["RuleArn"].endswith(":rule/orders/paid"), made
    aws.refused("ValidationException", events.put_rule, Name="x", EventBusName="orders", ScheduleExpression="rate(1 day)")
    buses = events.list_event_buses()["EventBuses"]
    assert [bus["Name"] for bus in buses] == ["default", "orders", "planted"] or len(buses) == 3, buses
    rules = events.list_rules(EventBusName="orders")["Rules"]
    assert [(rule["Name"], rule["State"], rule["EventBusName"]) for rule in rules] == [("paid", "ENABLED", "orders")], rules
    first = events.list_rules(Limit=1)
    rest = events.list_rules(NextToken=first["NextToken"])
    rules = {rule["Name"]: rule for rule in first["Rules"] + rest["Rules"]}
    assert set(rules) == {"nightly", "planted"}, rules
    assert rules["nightly"]["State"] == "DISABLED" and rules["planted"]["ScheduleExpression"] == "rate(1 day)", rules
    (planted,) = events.list_targets_by_rule(Rule="planted")["Targets"]
    assert planted["EcsParameters"]["TaskDefinitionArn"].endswith(":task-definition/planted-job:1"), planted
    assert len(events.list_rules(EventBusName="planted")["Rules"]) == 1
