//! Updates in place and with replacement, that fail, are taken back, get stuck and come out of it.

use serde_json::{Value, json};

use crate::account::{Outcome, StackAccount};

const TEMPLATE: &str = r#"
Parameters: { Label: { Type: String }, Name: { Type: String } }
Resources:
  Topic: { Type: AWS::SNS::Topic, Properties: { DisplayName: !Ref Label } }
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: !Ref Name } }
  Setting: { Type: AWS::SSM::Parameter, Properties: { Name: /queue, Type: String, Value: !Ref Queue } }
"#;

fn given(label: &str, name: &str) -> Value {
    json!({
        "StackName": "web", "TemplateBody": TEMPLATE,
        "Parameters": [{ "ParameterKey": "Label", "ParameterValue": label }, { "ParameterKey": "Name", "ParameterValue": name }],
    })
}

async fn made(more: &str) -> Outcome<StackAccount> {
    let account = StackAccount::with(more)?;
    account.call("CreateStack", given("one", "first")).await?;
    assert_eq!(account.settled("web").await?.0, "CREATE_COMPLETE");
    Ok(account)
}

#[tokio::test]
async fn an_update_that_fails_leaves_the_account_as_it_was() -> Outcome {
    for resource in ["Topic", "Queue", "Setting"] {
        let account = made(&format!(
            "[[resource-behaviours]]\nresource = \"{resource}\"\non = \"update\"\nfails = \"no\"\ntimes = 1"
        ))
        .await?;
        let (before, resources) = (account.holds(), account.resources("web").await?);
        account.call("UpdateStack", given("two", "second")).await?;
        let (status, reason) = account.settled("web").await?;
        assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE", "{resource}: {reason}: {:#?}", account.failures("web").await?);
        let physical = |all: &[(String, String, String)]| all.iter().map(|one| one.1.clone()).collect::<Vec<_>>();
        assert_eq!(physical(&resources), physical(&account.resources("web").await?), "{resource}");
        let mut after = account.holds();
        // A parameter keeps its versions.
        after["ssm"] = before["ssm"].clone();
        assert_eq!(before, after, "{resource}");
        let first = account.failures("web").await?.first().cloned();
        assert_eq!(first, Some(format!("{resource} UPDATE_FAILED: no")));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_replaced_is_made_before_the_old_one_goes() -> Outcome {
    let account = made("").await?;
    account.call("UpdateStack", given("one", "second")).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_COMPLETE");
    let events = account.call("DescribeStackEvents", json!({ "StackName": "web" })).await?;
    let of_queue: Vec<String> = events["StackEvents"]
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .filter(|event| event["LogicalResourceId"] == "Queue")
        .map(|event| {
            let end = event["PhysicalResourceId"]
                .as_str()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            format!("{} {end}", event["ResourceStatus"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        of_queue,
        [
            "CREATE_IN_PROGRESS ",
            "CREATE_IN_PROGRESS first",
            "CREATE_COMPLETE first",
            "UPDATE_IN_PROGRESS first",
            "UPDATE_IN_PROGRESS second",
            "UPDATE_COMPLETE second",
            "DELETE_IN_PROGRESS first",
            "DELETE_COMPLETE first",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_rollback_that_fails_goes_on_without_what_it_is_told_to_skip() -> Outcome {
    let account = made(
        "[[resource-behaviours]]\nresource = \"Setting\"\non = \"update\"\nfails = \"no\"\ntimes = 1\n\
         [[resource-behaviours]]\nresource = \"Topic\"\non = \"update\"\nfails = \"stuck\"\nnth = 2\ntimes = 1",
    )
    .await?;
    account.call("UpdateStack", given("two", "second")).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_FAILED");
    let skipped =
        account.call("ContinueUpdateRollback", json!({ "StackName": "web", "ResourcesToSkip": ["Queue"] })).await;
    assert!(skipped.is_err_and(|error| error.to_string().contains("cannot be skipped")));
    account.call("ContinueUpdateRollback", json!({ "StackName": "web", "ResourcesToSkip": ["Topic"] })).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.resources("web").await?.iter().map(|one| one.2.as_str()).collect::<Vec<_>>().len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_deleted_is_retained_when_that_is_asked_for() -> Outcome {
    let account =
        made("[[resource-behaviours]]\nresource = \"Queue\"\non = \"delete\"\nfails = \"it is in use\"").await?;
    let retain = account.call("DeleteStack", json!({ "StackName": "web", "RetainResources": ["Queue"] })).await;
    assert!(retain.is_err_and(|error| error.to_string().contains("DELETE_FAILED")));
    account.call("DeleteStack", json!({ "StackName": "web" })).await?;
    let (status, reason) = account.settled("web").await?;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("DELETE_FAILED", "The following resource(s) failed to delete: [Queue]. ")
    );
    let id = account.call("DescribeStacks", json!({ "StackName": "web" })).await?["Stacks"][0]["StackId"].clone();
    account.call("DeleteStack", json!({ "StackName": "web", "RetainResources": ["Queue"] })).await?;
    assert_eq!(account.settled(id.as_str().unwrap_or_default()).await?.0, "DELETE_COMPLETE");
    assert!(account.holds()["cloudformation"]["things"]["AWS::SQS::Queue"].is_object(), "it stays");
    Ok(())
}

#[tokio::test]
async fn an_alarm_in_the_time_of_watching_takes_an_update_back() -> Outcome {
    let account = made("[[alarms]]\nname = \"errors\"\nstate = \"OK\"\n").await?;
    let mut input = given("two", "first");
    input["RollbackConfiguration"] = json!({
        "MonitoringTimeInMinutes": 10,
        "RollbackTriggers": [{ "Arn": "arn:aws:cloudwatch:us-west-2:111111111111:alarm:errors", "Type": "AWS::CloudWatch::Alarm" }],
    });
    account.call("UpdateStack", input.clone()).await?;
    assert_eq!(account.settled("web").await?.0, "UPDATE_COMPLETE");
    input["RollbackConfiguration"]["RollbackTriggers"][0]["Arn"] =
        json!("arn:aws:cloudwatch:us-west-2:111111111111:alarm:absent");
    input["Parameters"][0]["ParameterValue"] = json!("three");
    account.call("UpdateStack", input).await?;
    let (status, _) = account.settled("web").await?;
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
    Ok(())
}
