//! What becomes of a stack when something of it fails: what was asked for, time that is over, signals that do not come, and nested stacks.

use serde_json::{Value, json};

use crate::account::{Outcome, StackAccount};
use crate::signer::Signer;

const TEMPLATE: &str = r#"
Parameters: { Label: { Type: String, Default: one } }
Resources:
  Topic: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Label } }
  Queue: { Type: AWS::SQS::Queue, DependsOn: Topic, Properties: { QueueName: !Sub "work-${Label}" } }
"#;

fn created(more: Value) -> Value {
    let mut input = json!({ "StackName": "web", "TemplateBody": TEMPLATE });
    for (name, value) in more.as_object().into_iter().flatten() {
        input[name] = value.clone();
    }
    input
}

fn labelled(label: &str, more: Value) -> Value {
    let mut input = created(more);
    input["Parameters"] = json!([{ "ParameterKey": "Label", "ParameterValue": label }]);
    input
}

fn behaviour(resource: &str, on: &str, does: &str) -> String {
    format!("[[resource-behaviours]]\nresource = \"{resource}\"\non = \"{on}\"\n{does}\n")
}

async fn id_of(account: &StackAccount, name: &str) -> Outcome<String> {
    let found = account.call("DescribeStacks", json!({ "StackName": name })).await?;
    Ok(found["Stacks"][0]["StackId"].as_str().unwrap_or_default().to_owned())
}

/// The events of a stack, oldest first: what and how.
async fn told(account: &StackAccount, name: &str) -> Outcome<Vec<String>> {
    let events = account.call("DescribeStackEvents", json!({ "StackName": name })).await?;
    let text = |event: &Value, member: &str| event[member].as_str().unwrap_or_default().to_owned();
    let one = |event: &Value| format!("{} {}", text(event, "LogicalResourceId"), text(event, "ResourceStatus"));
    Ok(events["StackEvents"].as_array().into_iter().flatten().rev().map(one).collect())
}

#[tokio::test]
async fn a_creation_that_fails_ends_as_was_asked_for() -> Outcome {
    let failed = "The following resource(s) failed to create: [Queue].";
    for (asked, status, reason, stays) in [
        (json!({}), "ROLLBACK_COMPLETE", String::new(), false),
        (json!({ "OnFailure": "ROLLBACK" }), "ROLLBACK_COMPLETE", String::new(), false),
        (json!({ "OnFailure": "DELETE" }), "DELETE_COMPLETE", String::new(), false),
        (json!({ "OnFailure": "DO_NOTHING" }), "CREATE_FAILED", format!("{failed} "), true),
        (json!({ "DisableRollback": true }), "CREATE_FAILED", format!("{failed} "), true),
        (json!({ "DeploymentConfig": { "DisableRollback": true } }), "CREATE_FAILED", format!("{failed} "), true),
    ] {
        let account = StackAccount::with(&behaviour("Queue", "create", "fails = \"no\""))?;
        let before = account.holds();
        account.call("CreateStack", created(asked.clone())).await?;
        let id = id_of(&account, "web").await?;
        assert_eq!(account.settled(&id).await?, (status.to_owned(), reason), "{asked}");
        assert_eq!(before != account.holds(), stays, "{asked}");
        let first = account.failures(&id).await?;
        assert_eq!(first[0], "Queue CREATE_FAILED: no", "{asked}");
        // The name is free again only where the stack is gone.
        let again = account.call("CreateStack", labelled("two", json!({}))).await;
        assert_eq!(again.is_ok(), status == "DELETE_COMPLETE", "{asked}");
    }
    let both = StackAccount::with("")?
        .call("CreateStack", created(json!({ "OnFailure": "DELETE", "DisableRollback": true })))
        .await;
    assert!(both.is_err_and(|error| error.to_string().contains("Only one of DisableRollback and OnFailure")));
    Ok(())
}

#[tokio::test]
async fn a_change_set_says_what_becomes_of_a_creation_that_fails() -> Outcome {
    for (asked, status) in [(json!("DELETE"), "DELETE_COMPLETE"), (json!("DO_NOTHING"), "CREATE_FAILED")] {
        let account = StackAccount::with(&behaviour("Queue", "create", "fails = \"no\""))?;
        let set = json!({ "ChangeSetName": "first", "ChangeSetType": "CREATE", "OnStackFailure": asked });
        account.call("CreateChangeSet", created(set)).await?;
        account.pass(60);
        let id = id_of(&account, "web").await?;
        account.call("ExecuteChangeSet", json!({ "StackName": "web", "ChangeSetName": "first" })).await?;
        assert_eq!(account.settled(&id).await?.0, status);
    }
    Ok(())
}

/// An update that fails and is left so can be brought on, or taken back; nothing is forgotten on either way.
#[tokio::test]
async fn an_update_that_is_left_as_it_failed_goes_on_or_back() -> Outcome {
    for forward in [true, false] {
        let account = StackAccount::with(&behaviour("Topic", "update", "fails = \"no\"\ntimes = 1"))?;
        let template =
            TEMPLATE.replace("DependsOn: Topic", "Metadata: {}").replace("  Topic: {", "  Topic: { DependsOn: Queue,");
        let of = |label: &str, more: Value| {
            let mut input = labelled(label, more);
            input["TemplateBody"] = json!(template);
            input
        };
        account.call("CreateStack", of("one", json!({}))).await?;
        assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
        let before = account.holds();
        account.call("UpdateStack", of("two", json!({ "DisableRollback": true }))).await?;
        assert_eq!(account.settled("web").await?.0, "UPDATE_FAILED");
        // The queue was replaced already, and the old one is there still.
        assert_eq!(account.queues(), ["work-one", "work-two"]);
        if forward {
            account.call("UpdateStack", of("two", json!({}))).await?;
            assert_eq!(account.settled("web").await?.0, "UPDATE_COMPLETE");
            assert_eq!(account.queues(), ["work-two"]);
        } else {
            account.call("RollbackStack", json!({ "StackName": "web" })).await?;
            assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_COMPLETE");
            assert_eq!(account.holds(), before);
        }
    }
    Ok(())
}

/// What a way back has begun to throw away is thrown away when it goes on, too.
#[tokio::test]
async fn a_way_back_that_gets_stuck_forgets_nothing() -> Outcome {
    let template = r#"
Parameters: { Label: { Type: String } }
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: !Sub "work-${Label}" } }
  Middle: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Queue } }
  Last: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Middle, FifoTopic: !If [Two, true, false] } }
Conditions: { Two: !Equals [!Ref Label, two] }
"#;
    let more = behaviour("Last", "update", "fails = \"no\"\ntimes = 1")
        + &behaviour("Middle", "update", "fails = \"stuck\"\nnth = 2\ntimes = 1");
    let account = StackAccount::with(&more)?;
    let of = |label: &str| {
        json!({
            "StackName": "web", "TemplateBody": template,
            "Parameters": [{ "ParameterKey": "Label", "ParameterValue": label }],
        })
    };
    account.call("CreateStack", of("one")).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    let before = account.holds();
    account.call("UpdateStack", of("two")).await?;
    let (status, reason) = account.settled("web").await?;
    assert_eq!(status, "UPDATE_ROLLBACK_FAILED", "{reason}");
    assert_eq!(account.queues(), ["work-one", "work-two"]);
    account.call("ContinueUpdateRollback", json!({ "StackName": "web" })).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.holds(), before);
    Ok(())
}

#[tokio::test]
async fn a_creation_that_takes_too_long_is_taken_back() -> Outcome {
    let slow = behaviour("Queue", "create", "takes = \"20m\"");
    let account = StackAccount::with(&slow)?;
    let before = account.holds();
    account.call("CreateStack", created(json!({ "TimeoutInMinutes": 10 }))).await?;
    let (status, _) = account.settled("web").await?;
    assert_eq!(status, "ROLLBACK_COMPLETE");
    assert_eq!(account.holds(), before);
    let events = account.call("DescribeStackEvents", json!({ "StackName": "web" })).await?;
    let events = events["StackEvents"].as_array().cloned().unwrap_or_default();
    let back = events.iter().find(|event| event["ResourceStatus"] == "ROLLBACK_IN_PROGRESS").ok_or("no way back")?;
    assert_eq!(
        back["ResourceStatusReason"],
        "Stack creation time exceeded the specified timeout. Rollback requested by user."
    );
    let cancelled = account.failures("web").await?;
    assert_eq!(cancelled, ["Queue CREATE_FAILED: Resource creation cancelled"]);
    // With time enough it is made.
    let account = StackAccount::with(&slow)?;
    account.call("CreateStack", created(json!({ "TimeoutInMinutes": 30 }))).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    account.pass(3600);
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE", "the time counts for the creation alone");
    Ok(())
}

#[tokio::test]
async fn nobody_waits_in_express_mode_until_resources_are_stable() -> Outcome {
    for (express, status) in [(true, "CREATE_COMPLETE"), (false, "ROLLBACK_COMPLETE")] {
        let account = StackAccount::with(&behaviour("Topic", "create", "hangs = true"))?;
        let mode = if express { "EXPRESS" } else { "STANDARD" };
        account.call("CreateStack", created(json!({ "DeploymentConfig": { "Mode": mode } }))).await?;
        assert_eq!(account.settled("web").await?.0, status, "{mode}");
    }
    // What fails at once fails in either mode, and is taken back unless somebody says otherwise.
    for (disable, status) in [(json!(null), "ROLLBACK_COMPLETE"), (json!(true), "CREATE_FAILED")] {
        let account = StackAccount::with(&behaviour("Topic", "create", "fails = \"no\""))?;
        let config = json!({ "DeploymentConfig": { "Mode": "EXPRESS", "DisableRollback": disable } });
        account.call("CreateStack", created(config)).await?;
        assert_eq!(account.settled("web").await?.0, status);
    }
    Ok(())
}

const PARENT: &str = r#"
Resources:
  Before: { Type: AWS::SNS::Topic }
  Child:
    Type: AWS::CloudFormation::Stack
    DependsOn: Before
    Properties:
      TemplateURL: https://templates.s3.us-west-2.amazonaws.com/child.yaml
      TimeoutInMinutes: 10
      Parameters: { Name: orders, Days: DAYS }
"#;

fn parent(days: &str) -> Value {
    json!({ "StackName": "web", "TemplateBody": PARENT.replace("DAYS", days) })
}

#[tokio::test]
async fn a_nested_stack_that_fails_takes_its_parent_back_with_its_cause() -> Outcome {
    let account = StackAccount::with(&behaviour("Log", "create", "fails = \"no\""))?;
    let before = account.holds();
    account.call("CreateStack", parent("30")).await?;
    assert_eq!(account.settled("web").await?.0, "ROLLBACK_COMPLETE");
    let failures = account.failures("web").await?;
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(
        failures[0].starts_with("Child CREATE_FAILED: Embedded stack arn:aws:cloudformation:")
            && failures[0].contains("was not successfully created: The following resource(s) failed to create: [Log"),
        "{failures:?}"
    );
    assert_eq!(account.first_failure().as_deref(), Some("Log"));
    assert_eq!(account.holds(), before);
    assert_eq!(account.there(), ["web"], "the child is gone");
    Ok(())
}

#[tokio::test]
async fn an_update_that_fails_in_a_nested_stack_takes_both_back() -> Outcome {
    let account = StackAccount::with(&behaviour("Log", "update", "fails = \"no\"\ntimes = 1"))?;
    account.call("CreateStack", parent("30")).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    let before = (account.holds(), account.described().await?);
    account.call("UpdateStack", parent("90")).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_COMPLETE");
    let failures = account.failures("web").await?;
    assert!(
        failures.len() == 1
            && failures[0].starts_with("Child UPDATE_FAILED: Embedded stack arn:aws:cloudformation:")
            && failures[0]
                .ends_with("was not successfully updated: The following resource(s) failed to update: [Log]. "),
        "{failures:?}"
    );
    assert_eq!((account.holds(), account.described().await?), before);
    let child = account.there().into_iter().find(|name| name.starts_with("web-Child-")).ok_or("no child")?;
    assert_eq!(account.settled(&child).await?.0, "UPDATE_ROLLBACK_COMPLETE");
    Ok(())
}

#[tokio::test]
async fn a_nested_stack_has_a_time_of_its_own() -> Outcome {
    let account = StackAccount::with(&behaviour("Log", "create", "takes = \"20m\""))?;
    account.call("CreateStack", parent("30")).await?;
    assert_eq!(account.settled("web").await?.0, "ROLLBACK_COMPLETE");
    let failures = account.failures("web").await?;
    assert!(failures[0].contains("Stack creation time exceeded the specified timeout"), "{failures:?}");
    Ok(())
}

#[tokio::test]
async fn express_mode_counts_for_nested_stacks_too() -> Outcome {
    let account = StackAccount::with(&behaviour("Topic", "create", "hangs = true"))?;
    let mut input = parent("30");
    input["DeploymentConfig"] = json!({ "Mode": "EXPRESS" });
    account.call("CreateStack", input).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    Ok(())
}

const CONDITION: &str = r#"
Resources:
  Handle: { Type: AWS::CloudFormation::WaitConditionHandle }
  Ready: { Type: AWS::CloudFormation::WaitCondition, Properties: { Handle: !Ref Handle, Timeout: SECONDS, Count: 2 } }
  After: { Type: AWS::SNS::Topic, DependsOn: Ready }
Outputs: { Said: { Value: !GetAtt Ready.Data } }
"#;

#[tokio::test]
async fn a_wait_condition_that_nobody_signals_times_out() -> Outcome {
    for (signals, status) in [
        ("", "ROLLBACK_COMPLETE"),
        ("signals = [\"success\"]", "ROLLBACK_COMPLETE"),
        ("signals = [\"success\", \"failure\"]", "ROLLBACK_COMPLETE"),
        ("signals = [\"success\", \"success\"]", "CREATE_COMPLETE"),
    ] {
        let more = if signals.is_empty() { String::new() } else { behaviour("Ready", "create", signals) };
        let account = StackAccount::with(&more)?;
        let body = CONDITION.replace("SECONDS", "600");
        account.call("CreateStack", json!({ "StackName": "web", "TemplateBody": body })).await?;
        assert_eq!(account.settled("web").await?.0, status, "{signals}");
        let failures = account.failures("web").await?;
        let expected: &[&str] = match signals {
            "" => &["Ready CREATE_FAILED: WaitCondition timed out. Received 0 conditions when expecting 2"],
            "signals = [\"success\"]" => {
                &["Ready CREATE_FAILED: WaitCondition timed out. Received 1 conditions when expecting 2"]
            }
            "signals = [\"success\", \"failure\"]" => {
                &["Ready CREATE_FAILED: WaitCondition received failed message: '' for uniqueId: signal-2"]
            }
            _ => &[],
        };
        assert_eq!(failures, expected);
        assert_eq!(told(&account, "web").await?.contains(&"After CREATE_COMPLETE".to_owned()), failures.is_empty());
        if failures.is_empty() {
            let found = account.call("DescribeStacks", json!({ "StackName": "web" })).await?;
            let said = found["Stacks"][0]["Outputs"][0]["OutputValue"].as_str().unwrap_or_default().to_owned();
            assert_eq!(said, "{\"signal-1\":\"\",\"signal-2\":\"\"}");
            // AWS updates no wait condition.
            let body = CONDITION.replace("SECONDS", "900");
            account.call("UpdateStack", json!({ "StackName": "web", "TemplateBody": body })).await?;
            assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_COMPLETE");
            let failures = account.failures("web").await?;
            assert_eq!(
                failures,
                ["Ready UPDATE_FAILED: Update to resource type AWS::CloudFormation::WaitCondition is not supported."]
            );
        }
    }
    Ok(())
}

const GROUP: &str = r#"
Resources:
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    CreationPolicy:
      ResourceSignal: { Count: 2, Timeout: PT10M }
      AutoScalingCreationPolicy: { MinSuccessfulInstancesPercent: 100 }
    Properties:
      MinSize: "2"
      MaxSize: "2"
      VPCZoneIdentifier: [subnet-1, subnet-2]
      LaunchTemplate: { LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber }
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: { LaunchTemplateData: { ImageId: ami-0000000000000001, InstanceType: t3.micro } }
"#;

#[tokio::test]
async fn a_group_with_a_creation_policy_waits_for_its_instances_signals() -> Outcome {
    let input = json!({ "StackName": "web", "TemplateBody": GROUP });
    let account = StackAccount::with("")?;
    let before = account.holds();
    account.call("CreateStack", input.clone()).await?;
    assert_eq!(account.settled("web").await?.0, "ROLLBACK_COMPLETE");
    assert_eq!(
        account.failures("web").await?,
        [
            "Group CREATE_FAILED: Received 0 SUCCESS signal(s) out of 2. Unable to satisfy 100% MinSuccessfulInstancesPercent \
          requirement"
        ]
    );
    account.pass(3600);
    assert_eq!(account.holds(), before);

    let account = StackAccount::with("")?;
    account.call("CreateStack", input.clone()).await?;
    account.pass(120);
    for (number, instance) in ["i-1", "i-1", "i-2"].into_iter().enumerate() {
        let found = account.call("DescribeStacks", json!({ "StackName": "web" })).await?;
        assert_eq!(found["Stacks"][0]["StackStatus"], "CREATE_IN_PROGRESS", "before signal {number}");
        account
            .call(
                "SignalResource",
                json!({
                    "StackName": "web", "LogicalResourceId": "Group", "UniqueId": instance, "Status": "SUCCESS",
                }),
            )
            .await?;
        account.pass(20);
    }
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    let late = account
        .call(
            "SignalResource",
            json!({
                "StackName": "web", "LogicalResourceId": "Group", "UniqueId": "i-3", "Status": "SUCCESS",
            }),
        )
        .await;
    assert!(late.is_err_and(|error| error.to_string().contains("CREATE_COMPLETE state")));

    let account = StackAccount::with(&behaviour("Group", "create", "signals = [\"success\", \"failure\"]"))?;
    account.call("CreateStack", input).await?;
    assert_eq!(account.settled("web").await?.0, "ROLLBACK_COMPLETE");
    let failures = account.failures("web").await?;
    assert!(failures[0].starts_with("Group CREATE_FAILED: Received 1 FAILURE signal(s) out of 2."), "{failures:?}");
    Ok(())
}

const TOPICS: &str = "{ \"Version\": \"2012-10-17\", \"Statement\": [{ \"Effect\": \"Allow\", \"Action\": [\"cloudformation:*\", \
                      \"iam:PassRole\", \"sns:*\"], \"Resource\": \"*\" }] }";

fn people() -> String {
    let narrow = TOPICS.replace('"', "\\\"");
    format!(
        "[[access-keys]]\nid = \"AKIANARROW\"\nsecret = \"narrow\"\nuser = \"ada\"\npolicy = \"{narrow}\"\n\
         [[access-keys]]\nid = \"AKIAWIDE\"\nsecret = \"wide\"\nuser = \"bob\"\n\
         [[roles]]\nname = \"wide\"\n\
         [[roles]]\nname = \"narrow\"\npolicy = \"{narrow}\"\n"
    )
}

#[tokio::test]
async fn a_stack_may_what_its_role_may_or_else_what_whoever_asks_may() -> Outcome {
    let [narrow, wide] = [Signer::new("AKIANARROW", "narrow"), Signer::new("AKIAWIDE", "wide")];
    let role = |name: &str| json!({ "RoleARN": format!("arn:aws:iam::111111111111:role/{name}") });
    for (by, more, who) in [
        (&wide, json!({}), None),
        (&narrow, json!({}), Some("user/ada")),
        (&narrow, role("wide"), None),
        (&wide, role("narrow"), Some("assumed-role/narrow/AWSCloudFormation")),
    ] {
        let account = StackAccount::with(&people())?;
        let before = account.holds();
        account.ask_as(by, "CreateStack", created(more.clone())).await?;
        let (status, _) = account.settled("web").await?;
        let failures = account.failures("web").await?;
        match who {
            None => assert_eq!(status, "CREATE_COMPLETE", "{more}: {failures:?}"),
            Some(who) => {
                assert_eq!(status, "ROLLBACK_COMPLETE", "{more}");
                assert_eq!(failures.len(), 1, "{failures:?}");
                assert!(
                    failures[0].starts_with("Queue CREATE_FAILED: User: arn:aws:")
                        && failures[0].contains(&format!(
                            "{who} is not authorized to perform: sqs:CreateQueue on resource: \
                             arn:aws:sqs:us-west-2:111111111111:work-one "
                        )),
                    "{failures:?}"
                );
                assert_eq!(account.holds(), before);
            }
        }
    }
    let account = StackAccount::with(&people())?;
    let nobody = account.ask_as(&wide, "CreateStack", created(role("nobody"))).await;
    assert!(nobody.is_err_and(|error| error.to_string().contains("role/nobody is invalid or cannot be assumed")));
    Ok(())
}

#[tokio::test]
async fn a_role_stays_with_its_stack_for_updates_and_for_its_end() -> Outcome {
    let [narrow, wide] = [Signer::new("AKIANARROW", "narrow"), Signer::new("AKIAWIDE", "wide")];
    let account = StackAccount::with(&people())?;
    let role = json!({ "RoleARN": "arn:aws:iam::111111111111:role/wide" });
    account.ask_as(&wide, "CreateStack", created(role)).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    account.ask_as(&narrow, "UpdateStack", labelled("two", json!({}))).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_COMPLETE");
    let id = id_of(&account, "web").await?;
    account.ask_as(&narrow, "DeleteStack", json!({ "StackName": "web" })).await?;
    assert_eq!(account.settled(&id).await?.0, "DELETE_COMPLETE");
    // Whoever may not delete cannot, where no role does.
    account.ask_as(&wide, "CreateStack", created(json!({}))).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    account.ask_as(&narrow, "DeleteStack", json!({ "StackName": "web" })).await?;
    assert_eq!(account.settled("web").await?.0, "DELETE_FAILED");
    let failures = account.failures("web").await?;
    assert!(failures[0].contains("user/ada is not authorized to perform: sqs:DeleteQueue"), "{failures:?}");
    Ok(())
}
