"""Auto Scaling: groups, and refreshes through all of their states."""


def drive(aws):
    fleet = aws.client("autoscaling", region="eu-central-1")
    of = {"AutoScalingGroupName": "planted"}
    pages = fleet.get_paginator("describe_auto_scaling_groups").paginate(PaginationConfig={"PageSize": 1})
    groups = {found["AutoScalingGroupName"]: found for page in pages for found in page["AutoScalingGroups"]}
    assert sorted(groups) == ["planted", "planted-mixed"], groups
    planted, mixed = groups["planted"], groups["planted-mixed"]
    assert {one["LifecycleState"] for one in planted["Instances"]} == {"InService"} and len(planted["Instances"]) == 3, planted
    assert planted["LaunchTemplate"]["Version"] == "1" and planted["LaunchTemplate"]["LaunchTemplateId"], planted
    policy = mixed["MixedInstancesPolicy"]
    assert [one["InstanceType"] for one in policy["LaunchTemplate"]["Overrides"]] == ["t3.micro", "t3.small"], policy
    assert policy["InstancesDistribution"]["OnDemandBaseCapacity"] == 1, policy
    pages = fleet.get_paginator("describe_launch_configurations").paginate(PaginationConfig={"PageSize": 1})
    assert [one["LaunchConfigurationName"] for page in pages for one in page["LaunchConfigurations"]] == ["planted", "planted-old"]
    pages = fleet.get_paginator("describe_policies").paginate(**of, PaginationConfig={"PageSize": 1})
    targets = [one["TargetTrackingConfiguration"]["TargetValue"] for page in pages for one in page["ScalingPolicies"]]
    assert targets == [60.0, 80.0], targets
    assert len(fleet.describe_policies(**of, PolicyNames=["cpu"])["ScalingPolicies"]) == 1
    hook = fleet.describe_lifecycle_hooks(**of)["LifecycleHooks"][0]
    assert (hook["LifecycleHookName"], hook["DefaultResult"], hook["HeartbeatTimeout"]) == ("warm-up", "ABANDON", 3600), hook
    pages = list(fleet.get_paginator("describe_warm_pool").paginate(**of, PaginationConfig={"PageSize": 1}))
    assert [one["LifecycleState"] for page in pages for one in page["Instances"]] == ["Warmed:Stopped"], pages
    assert fleet.describe_traffic_sources(**of)["TrafficSources"][0]["State"] == "InService"
    assert fleet.describe_instance_refreshes(**of)["InstanceRefreshes"] == []
    for call in (fleet.describe_instance_refreshes, fleet.describe_traffic_sources, fleet.describe_warm_pool):
        aws.refused("ValidationError", call, AutoScalingGroupName="absent")
    aws.refused("InvalidNextToken", fleet.describe_policies, NextToken="nonsense")
    refresh(aws, fleet, of, planted)
    scale(aws, fleet, of)


def refresh(aws, fleet, of, planted):
    template = planted["LaunchTemplate"]["LaunchTemplateId"]
    to = lambda version: {"LaunchTemplate": {"LaunchTemplateId": template, "Version": version}}
    preferences = {
        "MinHealthyPercentage": 60, "MaxHealthyPercentage": 110, "InstanceWarmup": 10, "SkipMatching": True, "AutoRollback": True,
        "CheckpointPercentages": [34, 100], "CheckpointDelay": 60, "BakeTime": 60, "ScaleInProtectedInstances": "Refresh",
        "StandbyInstances": "Terminate", "AlarmSpecification": {"Alarms": ["absent"]},
    }
    start = lambda **more: fleet.start_instance_refresh(**of, **more)["InstanceRefreshId"]
    look = lambda: fleet.describe_instance_refreshes(**of, MaxRecords=1)["InstanceRefreshes"][0]
    aws.refused("ValidationError", start, DesiredConfiguration=to("9"))
    aws.refused("ValidationError", start, DesiredConfiguration=to("2"), Preferences={"CheckpointPercentages": [50, 20]})
    aws.refused("ValidationError", start, DesiredConfiguration=to("$Latest"), Preferences={"AutoRollback": True})
    aws.refused("ActiveInstanceRefreshNotFound", fleet.cancel_instance_refresh, **of)

    id = start(DesiredConfiguration=to("2"), Preferences=preferences, Strategy="Rolling")
    aws.refused("InstanceRefreshInProgress", start, DesiredConfiguration=to("2"))
    waiting = lambda: [one for one in group(fleet)["Instances"] if one["LifecycleState"] == "Pending:Wait"]
    instance = aws.until(waiting)[0]["InstanceId"]
    done = dict(**of, LifecycleHookName="warm-up", LifecycleActionResult="CONTINUE")
    aws.refused("ValidationError", fleet.complete_lifecycle_action, **done, InstanceId="i-0absent")
    fleet.complete_lifecycle_action(**done, InstanceId=instance)
    assert look()["Status"] == "InProgress" and look()["InstanceRefreshId"] == id, look()
    assert look()["Preferences"]["BakeTime"] == 60 and look()["DesiredConfiguration"]["LaunchTemplate"]["Version"] == "2"
    assert fleet.rollback_instance_refresh(**of)["InstanceRefreshId"] == id
    assert look()["Status"] == "RollbackInProgress" and look()["RollbackDetails"]["RollbackReason"], look()

    def over():
        for one in waiting():
            fleet.complete_lifecycle_action(**done, InstanceId=one["InstanceId"])
        return look()["Status"] not in ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")

    aws.until(over)
    assert look()["Status"] == "RollbackSuccessful", look()
    assert group(fleet)["LaunchTemplate"]["Version"] == "1"
    start(DesiredConfiguration=to("2"))
    fleet.cancel_instance_refresh(**of)
    aws.until(over)
    assert look()["Status"] == "Cancelled", look()
    start(DesiredConfiguration=to("2"), Preferences={"MinHealthyPercentage": 60, "InstanceWarmup": 10, "BakeTime": 30})
    aws.until(over)
    assert look()["Status"] == "Successful" and look()["PercentageComplete"] == 100, look()
    assert {one["LaunchTemplate"]["Version"] for one in group(fleet)["Instances"]} == {"2"}
    assert group(fleet)["LaunchTemplate"]["Version"] == "2"
    statuses = [one["Status"] for one in fleet.describe_instance_refreshes(**of)["InstanceRefreshes"]]
    assert statuses == ["Successful", "Cancelled", "RollbackSuccessful"], statuses
    pages = list(fleet.get_paginator("describe_scaling_activities").paginate(**of, PaginationConfig={"PageSize": 2}))
    activities = [one for page in pages for one in page["Activities"]]
    assert any("instance refresh" in one["Cause"] for one in activities) and len(activities) > 4, activities
    first = fleet.describe_scaling_activities(ActivityIds=[activities[0]["ActivityId"]])["Activities"]
    assert first[0]["Description"] == activities[0]["Description"], first


def scale(aws, fleet, of):
    member = group(fleet)["Instances"][0]["InstanceId"]
    fleet.set_instance_protection(**of, InstanceIds=[member], ProtectedFromScaleIn=True)
    aws.refused("ValidationError", fleet.set_instance_protection, **of, InstanceIds=["i-0absent"], ProtectedFromScaleIn=True)
    fleet.set_desired_capacity(**of, DesiredCapacity=1)
    aws.refused("ValidationError", fleet.set_desired_capacity, **of, DesiredCapacity=100)
    aws.until(lambda: len(group(fleet)["Instances"]) == 1)
    assert [one["InstanceId"] for one in group(fleet)["Instances"]] == [member], "what is protected stays"


def group(fleet):
    return fleet.describe_auto_scaling_groups(AutoScalingGroupNames=["planted"])["AutoScalingGroups"][0]
