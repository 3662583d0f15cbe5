"""CloudFormation: stacks made, changed, taken back and deleted, plans of all of it, drift, and what goes between stacks."""

import json
import time

TEMPLATE = """
Parameters:
  Days: { Type: Number, Default: 7, AllowedValues: [7, 30] }
  Name: { Type: String, Default: first, NoEcho: true }
Conditions:
  IsLong: !Equals [!Ref Days, "30"]
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: { DisplayName: !Sub "${AWS::StackName}-${Days}" }
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub "${AWS::StackName}-${Name}" }
  Wide:
    Type: AWS::SNS::Subscription
    Condition: IsLong
    Properties: { TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn }
Outputs:
  Topic: { Value: !Ref Topic, Export: { Name: !Sub "${AWS::StackName}-topic" } }
"""
USER = """
Resources:
  Listener:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !ImportValue driven-topic, Protocol: email, Endpoint: somebody@example.com }
"""
ROLE = "Resources:\n  Role: { Type: AWS::IAM::Role, Properties: { AssumeRolePolicyDocument: {} } }\n"
PARENT = """
Parameters: { Name: { Type: String } }
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties: { TemplateURL: "https://planted.s3.us-west-2.amazonaws.com/child.yaml", Parameters: { Name: !Ref Name } }
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: !Select [5, !Split [":", !GetAtt Child.Outputs.Topic]] } }
"""
SLOW = "Resources:\n  Slow: { Type: AWS::SNS::Topic, Properties: { DisplayName: NAME } }\n"


def wait(stacks, waiter, **of):
    config = {"Delay": 0.02, "MaxAttempts": 800}
    stacks.get_waiter(waiter).wait(**of, WaiterConfig=config)


def drive(aws):
    stacks = aws.client("cloudformation")
    refusals(aws, stacks)
    id = created(aws, stacks)
    planned(aws, stacks, id)
    between(aws, stacks)
    looked_at(aws, stacks, id)
    taken_back(aws, stacks)
    drifted(aws, stacks)
    holding(aws, stacks)
    nested(aws, stacks)
    gone(aws, stacks, id)


def refusals(aws, stacks):
    refused = lambda **given: aws.refused("ValidationError", stacks.create_stack, StackName="refused", **given)
    assert "is no YAML" in refused(TemplateBody="a: [")
    assert "must have values" in refused(TemplateBody="Parameters: {A: {Type: String}}\nResources: {T: {Type: AWS::SNS::Topic}}")
    assert "do not exist" in refused(TemplateBody=USER, Parameters=[{"ParameterKey": "B", "ParameterValue": "c"}])
    assert "AllowedValues" in refused(TemplateBody=TEMPLATE, Parameters=[{"ParameterKey": "Days", "ParameterValue": "8"}])
    assert "AWS::Nothing" in refused(TemplateBody="Resources: {T: {Type: AWS::Nothing::AtAll}}")
    assert "Circular dependency" in refused(
        TemplateBody="Resources:\n  A: {Type: AWS::SNS::Topic, DependsOn: B}\n  B: {Type: AWS::SNS::Topic, DependsOn: A}"
    )
    aws.refused("InsufficientCapabilitiesException", stacks.create_stack, StackName="refused", TemplateBody=ROLE)
    aws.refused("ValidationError", stacks.describe_stacks, StackName="refused")
    valid = stacks.validate_template(TemplateBody=ROLE)
    assert valid["Capabilities"] == ["CAPABILITY_IAM"], valid
    summary = stacks.get_template_summary(TemplateBody=TEMPLATE)
    assert summary["ResourceTypes"] == ["AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SQS::Queue"], summary


def created(aws, stacks):
    given = dict(StackName="driven", TemplateBody=TEMPLATE, Tags=[{"Key": "team", "Value": "web"}], ClientRequestToken="made-1")
    made = stacks.create_stack(**given, EnableTerminationProtection=True)
    id = made["StackId"]
    assert stacks.create_stack(**given, EnableTerminationProtection=True)["StackId"] == id
    aws.refused("AlreadyExistsException", stacks.create_stack, StackName="driven", TemplateBody=TEMPLATE)
    wait(stacks, "stack_create_complete", StackName="driven")
    found = stacks.describe_stacks(StackName=id)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE" and found["EnableTerminationProtection"], found
    assert {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]} == {"Days": "7", "Name": "****"}, found
    pages = stacks.get_paginator("describe_stack_events").paginate(StackName="driven")
    events = [event for page in pages for event in page["StackEvents"]]
    assert {event.get("ClientRequestToken") for event in events} == {"made-1"}, events
    assert [event["ResourceStatus"] for event in events if event["LogicalResourceId"] == "Topic"] == [
        "CREATE_COMPLETE", "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS"
    ], events
    aws.refused("ValidationError", stacks.delete_stack, StackName="driven")
    assert stacks.get_template(StackName="driven")["TemplateBody"] == TEMPLATE
    message = aws.refused("ValidationError", stacks.update_stack, StackName="driven", UsePreviousTemplate=True)
    assert message == "No updates are to be performed.", message
    return id


def planned(aws, stacks, id):
    plan = lambda name, **given: stacks.create_change_set(StackName="driven", ChangeSetName=name, UsePreviousTemplate=True, **given)
    other = [{"ParameterKey": "Days", "ParameterValue": "30"}, {"ParameterKey": "Name", "ParameterValue": "second"}]
    plan("nothing")
    aws.until(lambda: stacks.describe_change_set(StackName="driven", ChangeSetName="nothing")["Status"] == "FAILED")
    failed = stacks.describe_change_set(StackName="driven", ChangeSetName="nothing")
    assert "didn't contain changes" in failed["StatusReason"] and failed["ExecutionStatus"] == "UNAVAILABLE", failed
    aws.refused("InvalidChangeSetStatus", stacks.execute_change_set, StackName="driven", ChangeSetName="nothing")
    made = plan("other", Parameters=other, ClientToken="t1")
    assert plan("other", Parameters=other, ClientToken="t1")["Id"] == made["Id"]
    aws.refused("AlreadyExistsException", plan, name="other", Parameters=other)
    wait(stacks, "change_set_create_complete", StackName="driven", ChangeSetName="other")
    pages = stacks.get_paginator("describe_change_set").paginate(ChangeSetName=made["Id"], IncludePropertyValues=True)
    changes = {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"] for page in pages for one in page["Changes"]}
    assert {name: (one["Action"], one.get("Replacement")) for name, one in changes.items()} == {
        "Queue": ("Modify", "True"), "Topic": ("Modify", "False"), "Wide": ("Add", None)
    }, changes
    detail = changes["Queue"]["Details"][0]
    assert detail["ChangeSource"] == "ParameterReference" and detail["CausingEntity"] == "Name", detail
    assert detail["Target"]["RequiresRecreation"] == "Always" and "second" not in detail["Target"]["AfterValue"], detail
    assert changes["Topic"]["Details"][0]["Target"]["AfterValue"] == "driven-30", changes["Topic"]
    listed = stacks.list_change_sets(StackName="driven")["Summaries"]
    assert {one["ChangeSetName"] for one in listed} == {"nothing", "other"}, listed
    stacks.delete_change_set(StackName="driven", ChangeSetName="nothing")
    aws.refused("ChangeSetNotFound", stacks.describe_change_set, StackName="driven", ChangeSetName="nothing")
    before = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources(stacks, "driven")}
    stacks.execute_change_set(ChangeSetName=made["Id"], ClientRequestToken="done-1")
    wait(stacks, "stack_update_complete", StackName="driven")
    after = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources(stacks, "driven")}
    assert after["Topic"] == before["Topic"] and after["Queue"] != before["Queue"] and "Wide" in after, (before, after)
    assert stacks.list_change_sets(StackName="driven")["Summaries"] == []
    assert stacks.describe_change_set(ChangeSetName=made["Id"])["ExecutionStatus"] == "EXECUTE_COMPLETE"
    wrong = TEMPLATE.replace("DisplayName:", "DisplayNames:")
    stacks.create_change_set(StackName="driven", ChangeSetName="wrong", TemplateBody=wrong)
    aws.until(lambda: stacks.describe_change_set(StackName="driven", ChangeSetName="wrong")["Status"] == "FAILED")
    told = stacks.describe_events(StackName="driven", ChangeSetName="wrong")["OperationEvents"]
    assert told[0]["EventType"] == "VALIDATION_ERROR" and "DisplayNames" in told[0]["ValidationStatusReason"], told


def resources(stacks, name):
    pages = stacks.get_paginator("list_stack_resources").paginate(StackName=name)
    return [one for page in pages for one in page["StackResourceSummaries"]]


def between(aws, stacks):
    stacks.create_stack(StackName="user", TemplateBody=USER)
    wait(stacks, "stack_create_complete", StackName="user")
    exports = [one for page in stacks.get_paginator("list_exports").paginate() for one in page["Exports"]]
    assert [one["Name"] for one in exports] == ["driven-topic"], exports
    assert stacks.list_imports(ExportName="driven-topic")["Imports"] == ["user"]
    stacks.update_termination_protection(StackName="driven", EnableTerminationProtection=False)
    stacks.delete_stack(StackName="driven")
    failed = aws.until(lambda: in_status(stacks, "driven", "DELETE_FAILED"))
    assert "in use by user" in failed["StackStatusReason"], failed
    stacks.delete_stack(StackName="user")
    wait(stacks, "stack_delete_complete", StackName="user")


def in_status(stacks, name, status):
    found = stacks.describe_stacks(StackName=name)["Stacks"][0]
    return found if found["StackStatus"] == status else None


def looked_at(aws, stacks, id):
    assert stacks.describe_stack_resource(StackName=id, LogicalResourceId="Topic")["StackResourceDetail"]["PhysicalResourceId"]
    assert len(stacks.describe_stack_resources(StackName=id)["StackResources"]) == 3
    assert {one["StackName"] for page in stacks.get_paginator("list_stacks").paginate() for one in page["StackSummaries"]} >= {"driven", "user"}
    assert [one["StackName"] for page in stacks.get_paginator("describe_stacks").paginate() for one in page["Stacks"]]
    operation = stacks.describe_stacks(StackName=id)["Stacks"][0]["LastOperations"][0]["OperationId"]
    told = stacks.describe_events(OperationId=operation, Filters={"FailedEvents": True})["OperationEvents"]
    assert [event["ResourceStatus"] for event in told] == ["DELETE_FAILED"], told


def taken_back(aws, stacks):
    stacks.create_stack(StackName="broken", TemplateBody=SLOW.replace("NAME", "one"), OnFailure="DO_NOTHING")
    wait(stacks, "stack_create_complete", StackName="broken")
    policy = json.dumps({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "Update:*", "Resource": "*"}]})
    stacks.set_stack_policy(StackName="broken", StackPolicyBody=policy)
    assert stacks.get_stack_policy(StackName="broken")["StackPolicyBody"] == policy
    update = lambda name, **more: stacks.update_stack(StackName="broken", TemplateBody=SLOW.replace("NAME", name), **more)
    update("two")
    aws.until(lambda: in_status(stacks, "broken", "UPDATE_ROLLBACK_COMPLETE"))
    events = stacks.describe_stack_events(StackName="broken")["StackEvents"]
    assert any("denied by stack policy" in event.get("ResourceStatusReason", "") for event in events), events
    update("two", DisableRollback=True)
    aws.until(lambda: in_status(stacks, "broken", "UPDATE_FAILED"))
    stacks.rollback_stack(StackName="broken")
    aws.until(lambda: in_status(stacks, "broken", "UPDATE_ROLLBACK_COMPLETE"))
    aws.refused("ValidationError", stacks.continue_update_rollback, StackName="broken")
    aws.refused("ValidationError", stacks.rollback_stack, StackName="broken")
    stacks.create_stack(StackName="hanging", TemplateBody=SLOW.replace("NAME", "one"))
    wait(stacks, "stack_create_complete", StackName="hanging")
    hang = lambda name: stacks.update_stack(StackName="hanging", TemplateBody=SLOW.replace("NAME", name))
    hang("two")
    aws.until(lambda: stacks.describe_stack_resource(StackName="hanging", LogicalResourceId="Slow")["StackResourceDetail"]["ResourceStatus"] == "UPDATE_IN_PROGRESS")
    time.sleep(0.2)
    stacks.signal_resource(StackName="hanging", LogicalResourceId="Slow", UniqueId="one", Status="FAILURE")
    aws.until(lambda: in_status(stacks, "hanging", "UPDATE_ROLLBACK_FAILED"))
    stacks.continue_update_rollback(StackName="hanging", ResourcesToSkip=["Slow"])
    aws.until(lambda: in_status(stacks, "hanging", "UPDATE_ROLLBACK_COMPLETE"))
    hang("three")
    aws.until(lambda: in_status(stacks, "hanging", "UPDATE_IN_PROGRESS"))
    stacks.cancel_update_stack(StackName="hanging")
    aws.until(lambda: in_status(stacks, "hanging", "UPDATE_ROLLBACK_COMPLETE"))
    aws.refused("ValidationError", stacks.cancel_update_stack, StackName="hanging")


def holding(aws, stacks):
    """A bucket of a stack is a bucket."""
    s3, of = aws.client("s3"), {"Bucket": "shelf-of-a-stack", "Key": "a"}
    body = "Resources: { Shelf: { Type: AWS::S3::Bucket, Properties: { BucketName: shelf-of-a-stack, VersioningConfiguration: { Status: Enabled } } } }"
    stacks.create_stack(StackName="holding", TemplateBody=body)
    wait(stacks, "stack_create_complete", StackName="holding")
    assert s3.put_object(**of, Body=b"one")["VersionId"] != "null"
    stacks.delete_stack(StackName="holding")
    there = lambda: stacks.describe_stacks(StackName="holding")["Stacks"][0]
    aws.until(lambda: there()["StackStatus"] == "DELETE_FAILED")
    events = stacks.describe_stack_events(StackName="holding")["StackEvents"]
    assert any("is not empty" in event.get("ResourceStatusReason", "") for event in events), events
    id = there()["StackId"]
    stacks.delete_stack(StackName="holding", RetainResources=["Shelf"])
    wait(stacks, "stack_delete_complete", StackName=id)
    assert s3.get_object(**of)["Body"].read() == b"one"


def drifted(aws, stacks):
    look = lambda: stacks.detect_stack_drift(StackName="changed")["StackDriftDetectionId"]
    body = 'Resources:\n  Setting: { Type: AWS::SSM::Parameter, Properties: { Name: /drift, Type: String, Value: one } }\n'
    stacks.create_stack(StackName="changed", TemplateBody=body)
    wait(stacks, "stack_create_complete", StackName="changed")
    aws.client("ssm").put_parameter(Name="/drift", Value="two", Overwrite=True)
    run = look()
    assert "already in progress" in aws.refused("ValidationError", stacks.detect_stack_drift, StackName="changed")
    status = lambda: stacks.describe_stack_drift_detection_status(StackDriftDetectionId=run)
    aws.until(lambda: status()["DetectionStatus"] == "DETECTION_COMPLETE")
    assert status()["StackDriftStatus"] == "DRIFTED" and status()["DriftedStackResourceCount"] == 1, status()
    pages = stacks.describe_stack_resource_drifts(StackName="changed", StackResourceDriftStatusFilters=["MODIFIED"])
    difference = pages["StackResourceDrifts"][0]["PropertyDifferences"][0]
    assert (difference["PropertyPath"], difference["ExpectedValue"], difference["ActualValue"]) == ("/Value", "one", "two"), difference
    stacks.create_change_set(StackName="changed", ChangeSetName="back", UsePreviousTemplate=True, DeploymentMode="REVERT_DRIFT")
    wait(stacks, "change_set_create_complete", StackName="changed", ChangeSetName="back")
    stacks.execute_change_set(StackName="changed", ChangeSetName="back")
    wait(stacks, "stack_update_complete", StackName="changed")
    assert aws.client("ssm").get_parameter(Name="/drift")["Parameter"]["Value"] == "one"
    drift = stacks.detect_stack_resource_drift(StackName="changed", LogicalResourceId="Setting")["StackResourceDrift"]
    assert drift["StackResourceDriftStatus"] == "IN_SYNC", drift


def nested(aws, stacks):
    named = lambda name: [{"ParameterKey": "Name", "ParameterValue": name}]
    stacks.create_stack(StackName="parent", TemplateBody=PARENT, Parameters=named("one"))
    wait(stacks, "stack_create_complete", StackName="parent")
    child = stacks.describe_stack_resource(StackName="parent", LogicalResourceId="Child")["StackResourceDetail"]["PhysicalResourceId"]
    found = stacks.describe_stacks(StackName=child)["Stacks"][0]
    assert found["ParentId"] == found["RootId"] == stacks.describe_stacks(StackName="parent")["Stacks"][0]["StackId"], found
    plan = lambda name, label: stacks.create_change_set(
        StackName="parent", ChangeSetName=label, UsePreviousTemplate=True, Parameters=named(name), IncludeNestedStacks=True
    )
    plan("one", "same")
    aws.until(lambda: stacks.describe_change_set(StackName="parent", ChangeSetName="same")["Status"] == "FAILED")
    plan("two", "other")
    wait(stacks, "change_set_create_complete", StackName="parent", ChangeSetName="other")
    change = stacks.describe_change_set(StackName="parent", ChangeSetName="other")["Changes"][0]["ResourceChange"]
    inner = stacks.describe_change_set(ChangeSetName=change["ChangeSetId"], IncludePropertyValues=True)
    assert inner["Changes"][0]["ResourceChange"]["Details"][0]["Target"]["AfterValue"] == "two", inner
    aws.refused("ValidationError", stacks.execute_change_set, ChangeSetName=change["ChangeSetId"])
    stacks.execute_change_set(StackName="parent", ChangeSetName="other")
    wait(stacks, "stack_update_complete", StackName="parent")
    assert stacks.describe_stacks(StackName=child)["Stacks"][0]["Parameters"][0]["ParameterValue"] == "two"
    stacks.delete_stack(StackName="parent")
    wait(stacks, "stack_delete_complete", StackName="parent")
    assert in_status(stacks, child, "DELETE_COMPLETE")


def gone(aws, stacks, id):
    for name in ("driven", "broken", "hanging", "changed"):
        stacks.delete_stack(StackName=name)
        wait(stacks, "stack_delete_complete", StackName=name)
    assert stacks.describe_stacks(StackName=id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    stacks.delete_stack(StackName="driven")
    made = stacks.create_change_set(StackName="review", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=USER.replace("!ImportValue driven-topic", "x"))
    wait(stacks, "change_set_create_complete", ChangeSetName=made["Id"])
    assert in_status(stacks, "review", "REVIEW_IN_PROGRESS")
    stacks.delete_stack(StackName="review")
    aws.refused("ValidationError", stacks.describe_stacks, StackName="review")
