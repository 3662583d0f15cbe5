//! Client tokens: for every operation that takes one, the same call again happens once, and another call is refused.

mod account;

use account::{Account, Checked};
use serde_json::{Value, json};

const TOKEN: &str = "01234567-89ab-4def-8123-456789abcdef";
const WORLD: &str = "
[[repositories]]
name = 'web'
history = { count = 1, prefix = 'release-', from = 1, every = '1d', last = '-1d' }
[[projects]]
name = 'web'
[[secrets]]
name = 'planted'
value = 'planted'
[[clusters]]
name = 'web'
[[services]]
cluster = 'web'
name = 'web'
desired-count = 1
containers = [{ name = 'app', image = 'web:release-1' }]
";

struct Case {
    action: &'static str,
    /// The call, without its token.
    input: Value,
    /// What it is with other parameters; none where AWS does not compare them.
    other: Option<(Value, &'static str)>,
}

fn with(input: &Value, member: &str, value: &str) -> Value {
    let mut input = input.clone();
    if let Some(members) = input.as_object_mut() {
        members.insert(member.to_owned(), Value::from(value));
    }
    input
}

fn cases(build: &str) -> Vec<Case> {
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"] } });
    let run = |count: u64| json!({ "cluster": "web", "taskDefinition": "web", "count": count, "networkConfiguration": network });
    let service = |count: u64| json!({ "cluster": "web", "serviceName": "new", "taskDefinition": "web", "desiredCount": count, "networkConfiguration": network });
    vec![
        Case {
            action: "codebuild:StartBuild",
            input: json!({ "projectName": "web", "sourceVersion": "one" }),
            other: Some((json!({ "projectName": "web", "sourceVersion": "two" }), "InvalidInputException")),
        },
        Case {
            action: "codebuild:RetryBuild",
            input: json!({ "id": build }),
            other: Some((json!({ "id": "web:00000000-0000-4000-8000-000000000000" }), "InvalidInputException")),
        },
        Case { action: "ecs:RunTask", input: run(1), other: Some((run(2), "ConflictException")) },
        Case { action: "ecs:CreateService", input: service(1), other: Some((service(2), "InvalidParameterException")) },
        Case {
            action: "secretsmanager:CreateSecret",
            input: json!({ "Name": "new", "SecretString": "one" }),
            other: Some((json!({ "Name": "new", "SecretString": "two" }), "ResourceExistsException")),
        },
        Case {
            action: "secretsmanager:PutSecretValue",
            input: json!({ "SecretId": "planted", "SecretString": "one" }),
            other: Some((json!({ "SecretId": "planted", "SecretString": "two" }), "ResourceExistsException")),
        },
        Case {
            action: "secretsmanager:UpdateSecret",
            input: json!({ "SecretId": "planted", "SecretString": "one" }),
            other: Some((json!({ "SecretId": "planted", "SecretString": "two" }), "ResourceExistsException")),
        },
        // Its token is the version that it makes: whatever else is said, that version is there.
        Case {
            action: "secretsmanager:RotateSecret",
            input: json!({ "SecretId": "planted", "RotationLambdaARN": "arn:aws:lambda:us-west-2:111111111111:function:rotate" }),
            other: None,
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn the_same_call_again_happens_once_and_another_one_is_refused() -> Checked {
    // Each case in a world of its own: the ids of builds are the same in all.
    for index in 0..8 {
        let account = Account::of(WORLD)?;
        let first = account.call("codebuild:StartBuild", json!({ "projectName": "web" })).await;
        let build = first.map_err(|error| format!("{error:?}"))?;
        let build = build.pointer("/build/id").and_then(Value::as_str).unwrap_or_default().to_owned();
        account.wait(3600).await;
        let case = cases(&build).into_iter().nth(index).ok_or("a case")?;
        let member = match case.action.split(':').next() {
            Some("codebuild") => "idempotencyToken",
            Some("ecs") => "clientToken",
            _ => "ClientRequestToken",
        };
        let before = account.count(case.action);
        let input = with(&case.input, member, TOKEN);
        let one = account.call(case.action, input.clone()).await;
        assert!(one.is_ok(), "{}: {one:?}", case.action);
        account.wait(60).await;
        let again = account.call(case.action, input).await;
        assert!(again.is_ok(), "{} again: {again:?}", case.action);
        assert_eq!(account.count(case.action), before + 1, "{}", case.action);
        if let Some((other, code)) = case.other {
            let refused = account.call(case.action, with(&other, member, TOKEN)).await;
            assert_eq!(refused.as_ref().map_err(|(code, _)| code.as_str()), Err(code), "{}", case.action);
            assert_eq!(account.count(case.action), before + 1, "{}", case.action);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn another_token_is_another_call() -> Checked {
    let account = Account::of(WORLD)?;
    let input = json!({ "projectName": "web" });
    for token in ["one", "two"] {
        let started = account.call("codebuild:StartBuild", with(&input, "idempotencyToken", token)).await;
        assert!(started.is_ok(), "{started:?}");
    }
    assert_eq!(account.count("codebuild:StartBuild"), 2);
    // CodeBuild forgets a token after five minutes.
    account.wait(301).await;
    assert!(account.call("codebuild:StartBuild", with(&input, "idempotencyToken", "one")).await.is_ok());
    assert_eq!(account.count("codebuild:StartBuild"), 3);
    let tokens: Vec<_> = account.simulator().effects().into_iter().filter_map(|effect| effect.token).collect();
    assert_eq!(tokens, ["one", "two", "one"], "effects tell their tokens");
    Ok(())
}
