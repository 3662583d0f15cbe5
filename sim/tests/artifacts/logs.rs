//! Log events, through time.

use serde_json::{Value, json};

use crate::aws::{Aws, EPOCH, texts};

async fn stream() -> Aws {
    let aws = Aws::of("");
    aws.ask("logs:CreateLogGroup", json!({ "logGroupName": "g" })).await;
    aws.ask("logs:CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "s" })).await;
    aws
}

async fn put(aws: &Aws, at: u64, texts: &[&str]) {
    let events: Vec<Value> = texts.iter().map(|text| json!({ "timestamp": at * 1000, "message": text })).collect();
    aws.ask("logs:PutLogEvents", json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": events })).await;
}

async fn get(aws: &Aws, more: Value) -> (Vec<String>, Value, Value) {
    let mut input = json!({ "logGroupName": "g", "logStreamName": "s" });
    for (name, value) in more.as_object().unwrap() {
        input[name.as_str()] = value.clone();
    }
    let mut page = aws.ask("logs:GetLogEvents", input).await;
    let messages = texts(&page["events"], "message").into_iter().map(str::to_owned).collect();
    (messages, page["nextForwardToken"].take(), page["nextBackwardToken"].take())
}

#[tokio::test]
async fn a_token_at_the_end_comes_back_and_sees_what_comes_later() {
    let aws = stream().await;
    let (none, forward, backward) = get(&aws, json!({})).await;
    assert!(none.is_empty() && forward.is_string() && backward.is_string(), "tokens are never absent");
    let (none, again, _) = get(&aws, json!({ "nextToken": forward })).await;
    assert!(none.is_empty());
    assert_eq!(again, forward);

    put(&aws, EPOCH, &["a", "b", "c"]).await;
    let (all, end, start) = get(&aws, json!({ "nextToken": forward })).await;
    assert_eq!(all, ["a", "b", "c"], "events of one instant keep their order");
    let (none, same, _) = get(&aws, json!({ "nextToken": end })).await;
    assert!(none.is_empty() && same == end);
    let (none, _, same) = get(&aws, json!({ "nextToken": start })).await;
    assert!(none.is_empty() && same == start);

    aws.pass(10);
    put(&aws, EPOCH + 10, &["d"]).await;
    assert_eq!(get(&aws, json!({ "nextToken": end })).await.0, ["d"]);
}

#[tokio::test]
async fn pages_go_backward_from_the_newest() {
    let aws = stream().await;
    for number in 0..5 {
        put(&aws, EPOCH + number, &[&format!("line {number}")]).await;
    }
    let mut seen: Vec<Vec<String>> = Vec::new();
    let mut token = Value::Null;
    loop {
        let (page, _, backward) = get(&aws, json!({ "limit": 2, "nextToken": token })).await;
        if backward == token {
            break;
        }
        token = backward;
        seen.push(page);
    }
    assert_eq!(seen, [vec!["line 3", "line 4"], vec!["line 1", "line 2"], vec!["line 0"]]);
}

#[tokio::test]
async fn a_page_holds_a_mebibyte() {
    let aws = stream().await;
    let long = "x".repeat(400_000);
    for number in 0..4 {
        put(&aws, EPOCH + number, &[&long]).await;
    }
    let (first, forward, _) = get(&aws, json!({ "startFromHead": true })).await;
    assert_eq!(first.len(), 2);
    assert_eq!(get(&aws, json!({ "nextToken": forward })).await.0.len(), 2);
    let more = json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": vec![json!({ "timestamp": EPOCH * 1000, "message": long }); 3] });
    aws.refused("InvalidParameterException", "logs:PutLogEvents", more).await;
}

#[tokio::test]
async fn events_go_when_their_time_of_keeping_is_over() {
    let aws = stream().await;
    aws.ask("logs:PutRetentionPolicy", json!({ "logGroupName": "g", "retentionInDays": 1 })).await;
    put(&aws, EPOCH, &["old"]).await;
    aws.pass(80_000);
    put(&aws, EPOCH + 80_000, &["new"]).await;
    assert_eq!(get(&aws, json!({})).await.0, ["old", "new"]);
    aws.pass(6_401);
    assert_eq!(get(&aws, json!({})).await.0, ["new"]);
}
