"""Elastic Load Balancing, version 2."""


def drive(aws):
    elb = aws.client("elasticloadbalancing", region="eu-central-1")
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    names = [found["LoadBalancerName"] for page in pages for found in page["LoadBalancers"]]
    assert sorted(names) == ["planted", "planted-net"], names
    balancer = elb.describe_load_balancers(Names=["planted"])["LoadBalancers"][0]
    assert balancer["State"]["Code"] == "active" and balancer["Type"] == "application", balancer
    elb.get_waiter("load_balancer_available").wait(Names=["planted"])
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=[balancer["LoadBalancerArn"]])
    absent = balancer["LoadBalancerArn"].replace("planted", "absent")
    aws.refused("LoadBalancerNotFound", elb.describe_load_balancers, LoadBalancerArns=[absent])
    aws.refused("ValidationError", elb.describe_load_balancers, Names=["planted"], LoadBalancerArns=[absent])

    of_balancer = {"LoadBalancerArn": balancer["LoadBalancerArn"]}
    pages = elb.get_paginator("describe_listeners").paginate(**of_balancer, PaginationConfig={"PageSize": 1})
    listeners = sorted((found for page in pages for found in page["Listeners"]), key=lambda found: found["Port"])
    assert [found["Port"] for found in listeners] == [80, 8080], listeners
    weighed = listeners[0]["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    assert sorted(group["Weight"] for group in weighed) == [10, 90], weighed
    assert elb.describe_listeners(ListenerArns=[listeners[1]["ListenerArn"]])["Listeners"] == [listeners[1]]
    aws.refused("ValidationError", elb.describe_listeners)
    aws.refused("LoadBalancerNotFound", elb.describe_listeners, LoadBalancerArn=absent)
    aws.refused("ListenerNotFound", elb.describe_listeners, ListenerArns=[listeners[0]["ListenerArn"] + "x"])

    of_listener = {"ListenerArn": listeners[0]["ListenerArn"]}
    pages = elb.get_paginator("describe_rules").paginate(**of_listener, PaginationConfig={"PageSize": 1})
    rules = [rule for page in pages for rule in page["Rules"]]
    assert [(rule["Priority"], rule["IsDefault"]) for rule in rules] == [("1", False), ("default", True)], rules
    assert elb.describe_rules(RuleArns=[rules[0]["RuleArn"]])["Rules"] == [rules[0]]
    aws.refused("RuleNotFound", elb.describe_rules, RuleArns=[rules[0]["RuleArn"] + "x"])
    aws.refused("ListenerNotFound", elb.describe_rules, ListenerArn=listeners[0]["ListenerArn"] + "x")

    pages = elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 1})
    groups = {found["TargetGroupName"]: found for page in pages for found in page["TargetGroups"]}
    assert sorted(groups) == ["planted", "planted-other"], groups
    assert groups["planted"]["LoadBalancerArns"] == [balancer["LoadBalancerArn"]], groups
    assert len(elb.describe_target_groups(**of_balancer)["TargetGroups"]) == 2
    aws.refused("TargetGroupNotFound", elb.describe_target_groups, Names=["absent"])
    arn = groups["planted"]["TargetGroupArn"]
    attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}
    assert delay in attributes, attributes
    aws.refused("TargetGroupNotFound", elb.describe_target_group_attributes, TargetGroupArn=arn + "x")

    health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    health = [one for one in health if one["TargetHealth"]["State"] == "healthy"]
    assert health, "those of the group that is planted"
    aws.refused("TargetGroupNotFound", elb.describe_target_health, TargetGroupArn=arn + "x")
    other = {"TargetGroupArn": groups["planted-other"]["TargetGroupArn"]}
    targets = [{"Id": health[0]["Target"]["Id"]}]
    elb.register_targets(**other, Targets=targets)
    elb.get_waiter("target_in_service").wait(**other, Targets=targets, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    aws.refused("InvalidTarget", elb.register_targets, **other, Targets=[{"Id": "i-0absent"}])
    elb.deregister_targets(**other, Targets=targets)
    draining = elb.describe_target_health(**other)["TargetHealthDescriptions"][0]["TargetHealth"]
    assert (draining["State"], draining["Reason"]) == ("draining", "Target.DeregistrationInProgress"), draining
    elb.get_waiter("target_deregistered").wait(**other, Targets=targets, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    assert elb.describe_target_health(**other)["TargetHealthDescriptions"] == []
