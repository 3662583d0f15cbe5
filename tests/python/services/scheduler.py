"""EventBridge Scheduler."""


def drive(aws):
    scheduler = aws.client("scheduler")
    cluster = f"arn:aws:ecs:{aws.region}:{aws.account}:cluster/jobs"
    definition = f"arn:aws:ecs:{aws.region}:{aws.account}:task-definition/nightly:1"
    role = f"arn:aws:iam::{aws.account}:role/start"
    target = {"Arn": cluster, "RoleArn": role, "EcsParameters": {"TaskDefinitionArn": definition}}
    given = {
        "Name": "nightly", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target,
        "ClientToken": "one",
    }
    made = scheduler.create_schedule(**given)
    assert made["ScheduleArn"] == f"arn:aws:scheduler:{aws.region}:{aws.account}:schedule/default/nightly", made
    assert scheduler.create_schedule(**given)["ScheduleArn"] == made["ScheduleArn"], "the token is honoured"
    assert len(aws.effects("scheduler:CreateSchedule")) == 1, "once"
    aws.refused("ConflictException", scheduler.create_schedule, **{**given, "ClientToken": "two"})
    other = {**given, "Name": "x", "ClientToken": "three"}
    aws.refused("ValidationException", scheduler.create_schedule, **{**other, "ScheduleExpression": "daily"})
    found = scheduler.get_schedule(Name="nightly", GroupName="default")
    assert found["Target"] == target and found["State"] == "ENABLED" and found["Arn"] == made["ScheduleArn"], found
    aws.refused("ResourceNotFoundException", scheduler.get_schedule, Name="absent")
    aws.refused("ResourceNotFoundException", scheduler.get_schedule, Name="nightly", GroupName="absent")
    aws.refused("ResourceNotFoundException", scheduler.list_schedules, GroupName="absent")
    pages = list(scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 1}))
    listed = [schedule for page in pages for schedule in page["Schedules"]]
    assert [schedule["Name"] for schedule in listed] == ["nightly", "planted", "universal"] and len(pages) == 3, listed
    assert listed[0]["Target"] == {"Arn": cluster} and listed[0]["GroupName"] == "default", listed
    disabled = scheduler.list_schedules(State="DISABLED", NamePrefix="pl")["Schedules"]
    assert [schedule["Name"] for schedule in disabled] == ["planted"], disabled
    universal = scheduler.get_schedule(Name="universal")["Target"]
    assert universal["Arn"] == "arn:aws:scheduler:::aws-sdk:ecs:runTask" and "planted-job:1" in universal["Input"], universal
