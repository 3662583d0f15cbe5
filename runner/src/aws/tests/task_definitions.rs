//! Task definitions travel without losing what this SDK does not know.

use serde_json::{Value, json};

use super::canned::{Answer, Canned, TOKEN, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    Container, DeregisterTaskDefinitionRequest, DescribeTaskDefinitionRequest, RegisterTaskDefinitionRequest,
};

const ARN: &str = "arn:aws:ecs:us-west-2:111111111111:task-definition/web:7";

/// What only describes a revision.
fn descriptive() -> Value {
    json!({
        "taskDefinitionArn": ARN, "revision": 7, "status": "ACTIVE", "registeredAt": 1763900000.123,
        "registeredBy": "arn:aws:iam::111111111111:role/deployer", "requiresAttributes": [{ "name": "x" }],
        "compatibilities": ["EC2", "FARGATE"],
    })
}

/// What can be registered, with fields of the future at every depth, and in no order.
fn registrable() -> Value {
    json!({
        "warpDrive": { "factor": 9, "coils": ["port", { "starboard": null }] },
        "family": "web",
        "cpu": "256",
        "containerDefinitions": [
            { "name": "app", "image": "x/web:1", "telepathy": true, "cpu": 0, "environment": [] },
            { "name": "proxy", "image": "x/proxy@sha256:0a", "essential": false },
        ],
        "volumes": [],
    })
}

fn merged(one: Value, other: Value) -> Value {
    let (Value::Object(mut one), Value::Object(other)) = (one, other) else { return Value::Null };
    one.extend(other);
    Value::Object(one)
}

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.to_owned(), value: value.to_owned() }
}

fn answer() -> Answer {
    let definition = merged(registrable(), descriptive());
    Answer::ok(json!({ "taskDefinition": definition, "tags": [{ "key": "team", "value": "web" }] }))
}

#[test]
fn a_described_task_definition_keeps_fields_that_nobody_knows_yet() {
    hermetic(async {
        let request = DescribeTaskDefinitionRequest { task_definition: "web:7".to_owned() };
        let (output, asked) = sent(&request, [answer()]).await;
        assert_eq!(asked[0].json(), json!({ "taskDefinition": "web:7", "include": ["TAGS"] }));
        let definition = output.task_definition;
        let document: Value = serde_json::from_str(&definition.document).unwrap();
        assert_eq!(document, merged(registrable(), descriptive()));
        assert!(
            definition.document.starts_with(r#"{"compatibilities":["#),
            "keys are in order: {}",
            definition.document
        );
        assert_eq!((definition.arn.as_str(), definition.family.as_str(), definition.revision), (ARN, "web", 7));
        let container = |name: &str, image: &str| Container { name: name.to_owned(), image: image.to_owned() };
        assert_eq!(definition.containers, [container("app", "x/web:1"), container("proxy", "x/proxy@sha256:0a")]);
        assert_eq!((definition.status.as_str(), definition.tags), ("ACTIVE", vec![pair("team", "web")]));
    });
}

#[test]
fn what_was_described_can_be_registered_again_unchanged() {
    hermetic(async {
        let own = json!({ "tags": [{ "key": "team", "value": "api" }, { "key": "kept", "value": "1" }] });
        let document = merged(merged(registrable(), descriptive()), own).to_string();
        let tags = vec![pair("team", "web"), pair("kiln:token", "of another run")];
        let (output, asked) = sent(&RegisterTaskDefinitionRequest { document, tags }, [answer()]).await;
        let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
        let tags = json!({ "tags": [tag("team", "web"), tag("kept", "1"), tag("kiln:token", TOKEN)] });
        assert_eq!(asked.len(), 1);
        for asked in &asked {
            assert_eq!(asked.operation, "RegisterTaskDefinition");
            assert_eq!(asked.json(), merged(registrable(), tags.clone()));
        }
        assert_eq!(output.task_definition.revision, 7);
        let document: Value = serde_json::from_str(&output.task_definition.document).unwrap();
        assert_eq!(document["warpDrive"], registrable()["warpDrive"]);
    });
}

#[test]
fn a_document_that_cannot_be_a_task_definition_is_refused() {
    hermetic(async {
        let refusal = async |document: &str| {
            refused(&RegisterTaskDefinitionRequest { document: document.to_owned(), tags: vec![] }).await
        };
        assert!(refusal("{").await.starts_with("the task definition's document is not JSON ("));
        assert!(refusal(&"[".repeat(200_000)).await.contains("48 levels deep"), "depth is bounded");
        assert_eq!(refusal("[]").await, "the task definition's document is not a JSON object");
        assert_eq!(refusal("{}").await, "the task definition's document has no text `family`");
        assert_eq!(refusal(r#"{"family": 1}"#).await, "the task definition's document has no text `family`");
        assert!(refusal(r#"{"family": "a/b"}"#).await.contains("is not the name of a family"));
        for containers in [json!(null), json!([]), json!({})] {
            let document = json!({ "family": "web", "containerDefinitions": containers }).to_string();
            assert!(refusal(&document).await.contains("has no list `containerDefinitions`"));
        }
        let document = merged(registrable(), json!({ "tags": "all" })).to_string();
        assert_eq!(refusal(&document).await, "`tags` of the task definition's document is not a list");
        let document = merged(registrable(), json!({ "tags": [{ "Key": "x" }] })).to_string();
        assert_eq!(refusal(&document).await, "a tag of the task definition's document has no text `key`");
    });
}

/// A field of the future, of so many levels.
fn deep(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn a_document_that_could_not_be_read_again_is_refused() {
    hermetic(async {
        let document = merged(registrable(), json!({ "future": deep(48) })).to_string();
        let message = refused(&RegisterTaskDefinitionRequest { document, tags: vec![] }).await;
        assert_eq!(message, "the task definition's document is nested more than 48 levels deep");
    });
}

#[test]
fn an_answer_that_could_not_be_read_again_is_an_error() {
    hermetic(async {
        let request = DescribeTaskDefinitionRequest { task_definition: "web:7".to_owned() };
        let described = |levels| {
            let definition = merged(merged(registrable(), descriptive()), json!({ "future": deep(levels) }));
            Answer::ok(json!({ "taskDefinition": definition }))
        };
        let (output, _) = sent(&request, [described(46)]).await;
        assert!(output.task_definition.document.contains("future"));
        let aws = Canned::with([described(47)]).await;
        let error = aws.send(&request).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unavailable, "UnreadableAnswer"));
        assert_eq!(error.message, "AWS answered a task definition that is nested more than 48 levels deep");
    });
}

#[test]
fn only_a_revision_can_be_deregistered() {
    hermetic(async {
        for given in ["web:7", ARN] {
            let request = DeregisterTaskDefinitionRequest { task_definition: given.to_owned() };
            let answer = json!({ "taskDefinition": { "status": "RETIRED" } });
            let (output, asked) = sent(&request, [Answer::ok(answer)]).await;
            assert_eq!(output.status, "RETIRED");
            assert_eq!(asked[0].json(), json!({ "taskDefinition": given }));
        }
        for given in ["web", "web:latest", "web:", "arn:aws:ecs:us-west-2:111111111111:task-definition/web"] {
            let message = refused(&DeregisterTaskDefinitionRequest { task_definition: given.to_owned() }).await;
            assert!(message.contains("does not name a revision of a task definition"), "{message}");
        }
    });
}
