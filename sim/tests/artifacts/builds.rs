//! Builds, through time.

use serde_json::{Value, json};

use crate::aws::{Aws, EPOCH, texts};

const WORLD: &str = r#"
[[repositories]]
name = "web"
mutability = "IMMUTABLE"
scan-on-push = true
scan = { takes = "1m" }
[[findings]]
repository = "web"
tag = "built"
severity = "LOW"
id = "CVE-2026-0003"
[[projects]]
name = "web-image"
source = { type = "GITHUB", location = "https://github.com/acme/web.git" }
phases = { QUEUED = "2s", PROVISIONING = "10s", DOWNLOAD_SOURCE = "3s", INSTALL = "5s", PRE_BUILD = "5s", BUILD = "3m", POST_BUILD = "10s", FINALIZING = "5s" }
pushes = { repository = "web", tag = "${IMAGE_TAG}" }
exports = { IMAGE_DIGEST = "${IMAGE_DIGEST}", NUMBER = "no. ${CODEBUILD_BUILD_NUMBER}" }
[[projects]]
name = "broken"
fail = { phase = "BUILD", message = "make image failed", log = ["cc: no input files", "make: *** [image] Error 4"], times = 1 }
pushes = { repository = "web", tag = "broken" }
"#;

fn start(tag: &str) -> Value {
    json!({
        "projectName": "web-image",
        "sourceVersion": "main",
        "environmentVariablesOverride": [{ "name": "IMAGE_TAG", "value": tag, "type": "PLAINTEXT" }],
    })
}

async fn started(aws: &Aws, input: Value) -> String {
    aws.ask("codebuild:StartBuild", input).await["build"]["id"].as_str().unwrap().to_owned()
}

async fn build(aws: &Aws, id: &str) -> Value {
    aws.ask("codebuild:BatchGetBuilds", json!({ "ids": [id] })).await["builds"][0].take()
}

async fn log(aws: &Aws, build: &Value) -> Vec<String> {
    let logs = &build["logs"];
    let input =
        json!({ "logGroupName": logs["groupName"], "logStreamName": logs["streamName"], "startFromHead": true });
    let answer = aws.ask("logs:GetLogEvents", input).await;
    texts(&answer["events"], "message").into_iter().map(str::to_owned).collect()
}

fn phase<'b>(build: &'b Value, name: &str) -> &'b Value {
    build["phases"].as_array().unwrap().iter().find(|phase| phase["phaseType"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_build_walks_through_its_phases_and_pushes_its_image() {
    let aws = Aws::of(WORLD);
    let id = started(&aws, start("v1")).await;
    let queued = build(&aws, &id).await;
    assert_eq!((&queued["currentPhase"], &queued["buildStatus"]), (&json!("QUEUED"), &json!("IN_PROGRESS")));
    assert!(queued["logs"]["groupName"].is_null() && queued["resolvedSourceVersion"].is_null(), "{queued}");

    aws.pass(100);
    let running = build(&aws, &id).await;
    assert_eq!(running["currentPhase"], "BUILD");
    assert_eq!(phase(&running, "BUILD"), &json!({ "phaseType": "BUILD", "startTime": (EPOCH + 25) as f64 }));
    let lines = log(&aws, &running).await;
    assert!(lines.last().is_some_and(|line| line.contains("Running command docker build")), "{lines:?}");
    aws.refused("ImageNotFoundException", "ecr:DescribeImages", image("v1")).await;

    aws.pass(120);
    let done = build(&aws, &id).await;
    assert_eq!((&done["buildStatus"], &done["currentPhase"]), (&json!("SUCCEEDED"), &json!("COMPLETED")));
    assert_eq!(done["endTime"], json!((EPOCH + 220) as f64), "the sum of its phases");
    let names = texts(&done["phases"], "phaseType");
    assert_eq!((names.len(), names.first(), names.last()), (11, Some(&"SUBMITTED"), Some(&"COMPLETED")));
    assert_eq!(phase(&done, "BUILD")["durationInSeconds"], 180);
    assert_eq!(phase(&done, "BUILD")["contexts"], json!([{ "statusCode": "", "message": "" }]));

    let pushed = aws.ask("ecr:DescribeImages", image("v1")).await["imageDetails"][0].take();
    assert_eq!(pushed["imagePushedAt"], json!((EPOCH + 215) as f64), "at the end of POST_BUILD");
    let exported = json!([
        { "name": "IMAGE_DIGEST", "value": pushed["imageDigest"] },
        { "name": "NUMBER", "value": "no. 1" },
    ]);
    assert_eq!(done["exportedEnvironmentVariables"], exported);
    assert_eq!(done["resolvedSourceVersion"].as_str().map(str::len), Some(40), "a branch is resolved");
    aws.pass(55);
    let scan = aws.ask("ecr:DescribeImageScanFindings", scanned("v1")).await;
    assert_eq!(scan["imageScanStatus"]["status"], "COMPLETE");
    assert_eq!(texts(&scan["imageScanFindings"]["findings"], "name"), ["CVE-2026-0003"]);
}

fn image(tag: &str) -> Value {
    json!({ "repositoryName": "web", "imageIds": [{ "imageTag": tag }] })
}

fn scanned(tag: &str) -> Value {
    json!({ "repositoryName": "web", "imageId": { "imageTag": tag } })
}

#[tokio::test]
async fn the_lines_of_a_log_have_the_times_of_their_phases() {
    let aws = Aws::of(WORLD);
    let id = started(&aws, start("v1")).await;
    aws.pass(300);
    let logs = build(&aws, &id).await["logs"].take();
    let input =
        json!({ "logGroupName": logs["groupName"], "logStreamName": logs["streamName"], "startFromHead": true });
    let answer = aws.ask("logs:GetLogEvents", input).await;
    let events = answer["events"].as_array().unwrap();
    let times: Vec<u64> = events.iter().map(|event| event["timestamp"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let at = |part: &str| {
        let event = events.iter().find(|event| event["message"].as_str().unwrap().contains(part));
        event.unwrap_or_else(|| panic!("{part}"))["timestamp"].as_u64().unwrap() - EPOCH * 1000
    };
    assert_eq!(at("Phase is DOWNLOAD_SOURCE"), 12_000);
    assert_eq!(at("Entering phase BUILD"), 25_000);
    assert!((26_000..204_000).contains(&at("exporting to image")), "{}", at("exporting to image"));
    assert_eq!(at("Phase complete: BUILD State: SUCCEEDED"), 205_000);
    let first = events[0]["message"].as_str().unwrap();
    assert_eq!(first, "[Container] 2026/01/05 09:00:12.000000 Running on CodeBuild On-demand\n");
}

#[tokio::test]
async fn two_builds_of_one_commit_give_one_image() {
    let aws = Aws::of(WORLD);
    for tag in ["v1", "v2", "v1"] {
        let id = started(&aws, start(tag)).await;
        aws.pass(300);
        assert_eq!(build(&aws, &id).await["buildStatus"], "SUCCEEDED", "{tag}");
    }
    let digest = async |tag| aws.ask("ecr:DescribeImages", image(tag)).await["imageDetails"][0]["imageDigest"].take();
    assert_eq!(digest("v1").await, digest("v2").await);
    let other = started(
        &aws,
        json!({ "sourceVersion": "f".repeat(40), "projectName": "web-image",
        "environmentVariablesOverride": [{ "name": "IMAGE_TAG", "value": "v1" }] }),
    )
    .await;
    aws.pass(300);
    let refused = build(&aws, &other).await;
    assert_eq!(phase(&refused, "POST_BUILD")["phaseStatus"], "FAILED", "the tag is immutable: {refused}");
    assert!(refused["exportedEnvironmentVariables"].as_array().is_some_and(Vec::is_empty));
}

#[tokio::test]
async fn a_failing_build_says_why_at_the_end_of_its_log_and_pushes_nothing() {
    let aws = Aws::of(WORLD);
    let id = started(&aws, json!({ "projectName": "broken" })).await;
    aws.pass(300);
    let done = build(&aws, &id).await;
    assert_eq!(done["buildStatus"], "FAILED");
    let context = json!([{ "statusCode": "COMMAND_EXECUTION_ERROR", "message": "make image failed" }]);
    assert_eq!(
        (&phase(&done, "BUILD")["phaseStatus"], &phase(&done, "BUILD")["contexts"]),
        (&json!("FAILED"), &context)
    );
    assert_eq!(phase(&done, "POST_BUILD")["phaseStatus"], "SUCCEEDED", "it runs all the same");
    let lines = log(&aws, &done).await;
    let end = lines.get(lines.len() - 12..).unwrap().concat();
    for part in
        ["cc: no input files\nmake: *** [image] Error 4\n", "exit status 1", "BUILD State: FAILED", "make image failed"]
    {
        assert!(end.contains(part), "{part} in {end}");
    }
    aws.refused("ImageNotFoundException", "ecr:DescribeImages", image("broken")).await;

    let second = started(&aws, json!({ "projectName": "broken" })).await;
    aws.pass(300);
    assert_eq!(build(&aws, &second).await["buildStatus"], "SUCCEEDED", "`times = 1`");
    aws.ask("ecr:DescribeImages", image("broken")).await;
}

#[tokio::test]
async fn builds_fail_in_every_phase_and_as_the_world_says() {
    for (at, status, last) in [
        ("QUEUED", "FAULT", "QUEUED"),
        ("PROVISIONING", "FAULT", "PROVISIONING"),
        ("DOWNLOAD_SOURCE", "FAILED", "FINALIZING"),
        ("PRE_BUILD", "FAILED", "FINALIZING"),
        ("POST_BUILD", "TIMED_OUT", "FINALIZING"),
        ("FINALIZING", "TIMED_OUT", "FINALIZING"),
    ] {
        let aws = Aws::of(&format!(
            "[[projects]]\nname = 'web-image'\nfail = {{ phase = '{at}', status = '{status}', code = 'X', message = 'm' }}"
        ));
        let id = started(&aws, json!({ "projectName": "web-image" })).await;
        aws.pass(300);
        let done = build(&aws, &id).await;
        assert_eq!((&done["buildStatus"], &done["buildComplete"]), (&json!(status), &json!(true)), "{at}");
        assert_eq!(phase(&done, at)["contexts"], json!([{ "statusCode": "X", "message": "m" }]), "{at}");
        let names = texts(&done["phases"], "phaseType");
        assert_eq!(names.get(names.len() - 2..), Some(&[last, "COMPLETED"][..]), "{at}");
    }
}

#[tokio::test]
async fn a_build_ends_when_its_time_is_up() {
    let aws = Aws::of("[[projects]]\nname = 'web-image'\nphases = { BUILD = '1h', QUEUED = '1m' }");
    let id = started(&aws, json!({ "projectName": "web-image", "timeoutInMinutesOverride": 5 })).await;
    aws.pass(60 + 299);
    assert_eq!(build(&aws, &id).await["currentPhase"], "BUILD");
    aws.pass(10);
    let done = build(&aws, &id).await;
    assert_eq!(
        (&done["buildStatus"], &phase(&done, "BUILD")["phaseStatus"]),
        (&json!("TIMED_OUT"), &json!("TIMED_OUT"))
    );
    assert_eq!(phase(&done, "POST_BUILD"), &Value::Null, "nothing runs any more");
    assert!(log(&aws, &done).await.concat().contains("BUILD_TIMED_OUT"));

    let aws = Aws::of("[[projects]]\nname = 'web-image'\nphases = { QUEUED = '1h' }");
    let id = started(&aws, json!({ "projectName": "web-image", "queuedTimeoutInMinutesOverride": 5 })).await;
    aws.pass(300);
    let done = build(&aws, &id).await;
    assert_eq!(
        (&done["buildStatus"], &phase(&done, "QUEUED")["phaseStatus"]),
        (&json!("TIMED_OUT"), &json!("TIMED_OUT"))
    );
}

#[tokio::test]
async fn a_stopped_build_stays_stopped_and_pushes_nothing() {
    let aws = Aws::of(WORLD);
    let id = started(&aws, start("v1")).await;
    aws.pass(100);
    let stopped = aws.ask("codebuild:StopBuild", json!({ "id": id })).await["build"].take();
    assert_eq!(
        (&stopped["buildStatus"], &phase(&stopped, "BUILD")["phaseStatus"]),
        (&json!("STOPPED"), &json!("STOPPED"))
    );
    aws.pass(3600);
    assert_eq!(build(&aws, &id).await, stopped);
    aws.ask("codebuild:StopBuild", json!({ "id": id })).await;
    assert_eq!(aws.count("codebuild:StopBuild"), 1);
    aws.refused("ImageNotFoundException", "ecr:DescribeImages", image("v1")).await;
}

#[tokio::test]
async fn a_token_starts_one_build_for_five_minutes() {
    let aws = Aws::of(WORLD);
    let with_token = |tag: &str| {
        let mut input = start(tag);
        input["idempotencyToken"] = json!("token");
        input
    };
    let id = started(&aws, with_token("v1")).await;
    aws.pass(299);
    assert_eq!(started(&aws, with_token("v1")).await, id, "though it is done by now");
    assert_eq!(aws.count("codebuild:StartBuild"), 1);
    let said = aws.refused("InvalidInputException", "codebuild:StartBuild", with_token("v2")).await;
    assert!(said.contains("token"), "{said}");
    aws.pass(1);
    assert_ne!(started(&aws, with_token("v1")).await, id, "the token is forgotten");
    assert_eq!(aws.count("codebuild:StartBuild"), 2);
    assert_ne!(started(&aws, start("v1")).await, started(&aws, start("v1")).await, "no token, no memory");
}

#[tokio::test]
async fn pages_of_builds_join_to_the_whole() {
    let aws = Aws::of("[[projects]]\nname = 'web-image'");
    let mut ids = Vec::new();
    for _ in 0..203 {
        ids.push(started(&aws, json!({ "projectName": "web-image" })).await);
    }
    let mut found: Vec<String> = Vec::new();
    let mut token = Value::Null;
    for expected in [100, 100, 3] {
        let page = json!({ "projectName": "web-image", "sortOrder": "DESCENDING", "nextToken": token });
        let mut page = aws.ask("codebuild:ListBuildsForProject", page).await;
        let some: Vec<String> = serde_json::from_value(page["ids"].take()).unwrap();
        assert_eq!(some.len(), expected);
        found.extend(some);
        token = page["nextToken"].take();
    }
    assert!(token.is_null());
    ids.reverse();
    assert_eq!(found, ids);
    let other = json!({ "projectName": "web-image", "nextToken": "nonsense" });
    aws.refused("InvalidInputException", "codebuild:ListBuildsForProject", other).await;
}

#[tokio::test]
async fn logs_go_where_the_project_says_or_nowhere() {
    let aws = Aws::of("[[projects]]\nname = 'web-image'\nlog-group = 'builds'");
    let id = started(&aws, json!({ "projectName": "web-image" })).await;
    let off = json!({ "cloudWatchLogs": { "status": "DISABLED" } });
    let silent = started(&aws, json!({ "projectName": "web-image", "logsConfigOverride": off })).await;
    aws.pass(300);
    let logs = build(&aws, &id).await["logs"].take();
    assert_eq!(logs["groupName"], "builds");
    let arn = logs["cloudWatchLogsArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:logs:us-west-2:111111111111:log-group:builds:log-stream:"), "{arn}");
    let none = build(&aws, &silent).await;
    assert!(none["logs"]["groupName"].is_null() && none["buildStatus"] == "SUCCEEDED", "{none}");
    let streams = aws.ask("logs:DescribeLogStreams", json!({ "logGroupName": "builds" })).await;
    assert_eq!(streams["logStreams"].as_array().map(Vec::len), Some(1));
}
