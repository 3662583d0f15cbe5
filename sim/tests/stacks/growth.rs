//! Stacks of many resources.

use std::time::Instant;

use serde_json::{Value, json};

use crate::account::{Outcome, StackAccount};

/// A template of chains of topics, ten long each.
fn chains(count: usize) -> Value {
    let resources: serde_json::Map<String, Value> = (0..count)
        .map(|number| {
            let mut topic = json!({ "Type": "AWS::SNS::Topic", "Properties": { "DisplayName": "a topic" } });
            if number % 10 > 0 {
                topic["Properties"]["DisplayName"] = json!({ "Fn::GetAtt": [format!("T{}", number - 1), "TopicName"] });
            }
            (format!("T{number}"), topic)
        })
        .collect();
    json!({ "Resources": resources })
}

async fn seconds(count: usize) -> Outcome<f64> {
    let account = StackAccount::with("")?;
    let began = Instant::now();
    let body = chains(count).to_string();
    account.call("CreateStack", json!({ "StackName": "many", "TemplateBody": body })).await?;
    assert_eq!(account.settled("many").await?.0, "CREATE_COMPLETE");
    account
        .call("UpdateStack", json!({ "StackName": "many", "TemplateBody": body.replace("a topic", "another") }))
        .await?;
    assert_eq!(account.settled("many").await?.0, "UPDATE_COMPLETE");
    assert_eq!(account.resources("many").await?.len(), count);
    account.call("DeleteStack", json!({ "StackName": "many" })).await?;
    account.pass(600);
    Ok(began.elapsed().as_secs_f64())
}

#[tokio::test]
async fn ten_times_as_many_resources_take_not_much_more_than_ten_times_as_long() -> Outcome {
    let few = seconds(50).await?.min(seconds(50).await?);
    let many = seconds(500).await?.min(seconds(500).await?);
    assert!(many < few * 40.0, "50 resources took {few:.3} s, and 500 took {many:.3} s");
    assert!(many < 20.0, "500 resources took {many:.3} s");
    Ok(())
}
