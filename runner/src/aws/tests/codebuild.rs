//! Builds, and the log that they leave.

use serde_json::json;

use super::canned::{Answer, Canned, TOKEN, hermetic, refused, sent};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_codebuild::codebuild::{
    BatchGetProjectsRequest, Cache, EnvironmentVariable, ExportedVariable, ListBuildsForProjectRequest, Phase,
    StartBuildRequest, StopBuildRequest, VariableSource,
};
use crate::contract::bindings::kiln::aws_logs::logs::{GetLogEventsRequest, LogEvent};

fn bare() -> StartBuildRequest {
    StartBuildRequest {
        project: "web-image".to_owned(),
        source_version: None,
        environment: vec![],
        cache: None,
        buildspec: None,
        timeout_minutes: None,
    }
}

fn variable(name: &str, value: &str, source: VariableSource) -> EnvironmentVariable {
    EnvironmentVariable { name: name.to_owned(), value: value.to_owned(), source }
}

#[test]
fn a_build_is_started_with_the_token_and_every_override() {
    hermetic(async {
        let request = StartBuildRequest {
            source_version: Some("0a1b2c".to_owned()),
            environment: vec![
                variable("TAG", "v1", VariableSource::Plaintext),
                variable("CONFIG", "/web/config", VariableSource::ParameterStore),
                variable("PASSWORD", "prod/registry:token", VariableSource::SecretsManager),
            ],
            cache: Some(Cache {
                cache_type: "LOCAL".to_owned(),
                location: None,
                modes: vec!["LOCAL_SOURCE_CACHE".to_owned()],
            }),
            buildspec: Some("ci/build.yml".to_owned()),
            timeout_minutes: Some(30),
            ..bare()
        };
        let answer = json!({ "build": {
            "id": "web-image:1", "arn": "arn", "projectName": "web-image", "buildStatus": "NAPPING",
            "currentPhase": "BUILD", "sourceVersion": "main", "resolvedSourceVersion": "0a1b2c",
            "startTime": 1, "endTime": 2.5,
            "phases": [
                { "phaseType": "INSTALL", "phaseStatus": "FAILED", "durationInSeconds": 4, "contexts": [
                    { "statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1" },
                    { "statusCode": "", "message": "" }, { "message": "only words" } ] },
                { "phaseType": "BUILD" },
            ],
            "logs": { "groupName": "/aws/codebuild/web-image", "streamName": "1", "deepLink": "https://logs" },
            "exportedEnvironmentVariables": [{ "name": "DIGEST", "value": "sha256:0a" }],
        } });
        let (output, asked) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!(asked[0].operation, "StartBuild");
        let expected = json!({
            "projectName": "web-image", "idempotencyToken": TOKEN, "sourceVersion": "0a1b2c",
            "environmentVariablesOverride": [
                { "name": "TAG", "value": "v1", "type": "PLAINTEXT" },
                { "name": "CONFIG", "value": "/web/config", "type": "PARAMETER_STORE" },
                { "name": "PASSWORD", "value": "prod/registry:token", "type": "SECRETS_MANAGER" },
            ],
            "cacheOverride": { "type": "LOCAL", "modes": ["LOCAL_SOURCE_CACHE"] },
            "buildspecOverride": "ci/build.yml", "timeoutInMinutesOverride": 30,
        });
        assert_eq!(asked[0].json(), expected);
        let build = output.build;
        assert_eq!((build.status.as_str(), build.started, build.ended), ("NAPPING", Some(1000), Some(2500)));
        assert_eq!(build.log_group.as_deref(), Some("/aws/codebuild/web-image"));
        assert_eq!((build.log_stream.as_deref(), build.log_link.as_deref()), (Some("1"), Some("https://logs")));
        assert_eq!(build.resolved_source_version.as_deref(), Some("0a1b2c"));
        assert_eq!(build.exported, [ExportedVariable { name: "DIGEST".to_owned(), value: "sha256:0a".to_owned() }]);
        let install = Phase {
            name: "INSTALL".to_owned(),
            status: Some("FAILED".to_owned()),
            seconds: Some(4),
            messages: vec!["COMMAND_EXECUTION_ERROR: exit status 1".to_owned(), "only words".to_owned()],
        };
        let building = Phase { name: "BUILD".to_owned(), status: None, seconds: None, messages: vec![] };
        assert_eq!(build.phases, [install, building]);
    });
}

#[test]
fn nothing_is_overridden_that_was_not_asked_for() {
    hermetic(async {
        let (output, asked) = sent(&bare(), [Answer::ok(json!({ "build": {} }))]).await;
        assert_eq!(asked[0].json(), json!({ "projectName": "web-image", "idempotencyToken": TOKEN }));
        assert_eq!((output.build.id.as_str(), output.build.log_group), ("", None));
    });
}

#[test]
fn an_answer_without_a_build_leaves_it_open_whether_one_runs() {
    hermetic(async {
        let aws = Canned::with([Answer::ok(json!({}))]).await;
        let error = aws.send(&bare()).await.map_err(|error| (error.kind, error.message));
        assert_eq!(error.err(), Some((ErrorKind::Unavailable, "AWS answered without a build".to_owned())));
    });
}

#[test]
fn times_and_ids_that_cannot_be_are_refused() {
    hermetic(async {
        for minutes in [0, 4, 2161, u32::MAX] {
            let request = StartBuildRequest { timeout_minutes: Some(minutes), ..bare() };
            assert_eq!(refused(&request).await, format!("a build may take 5 to 2160 minutes, not {minutes}"));
        }
        let arn = "arn:aws:codebuild:us-west-2:111111111111";
        for id in ["web-image", "a:b:c", ":x", "x:", &format!("{arn}:project/web"), &format!("{arn}:build/a:b:c")] {
            let message = refused(&StopBuildRequest { id: id.to_owned() }).await;
            assert!(message.contains("is not the id of a build"), "{message}");
        }
    });
}

#[test]
fn only_as_many_builds_are_listed_as_asked_for() {
    hermetic(async {
        let page = |ids: [&str; 2], token: &str| Answer::ok(json!({ "ids": ids, "nextToken": token }));
        let request = ListBuildsForProjectRequest { project: "web-image".to_owned(), limit: 3 };
        let (output, asked) = sent(&request, [page(["w:5", "w:4"], "a"), page(["w:3", "w:2"], "b")]).await;
        assert_eq!(output.ids, ["w:5", "w:4", "w:3"]);
        assert_eq!(asked[0].json(), json!({ "projectName": "web-image", "sortOrder": "DESCENDING" }));
        assert_eq!(asked.len(), 2, "the third page is of no interest");
    });
}

#[test]
fn a_project_tells_its_source_and_cache() {
    hermetic(async {
        let project = json!({
            "name": "web-image", "arn": "arn", "timeoutInMinutes": 60, "encryptionKey": "key",
            "source": { "type": "PIGEON_POST", "location": "https://git" },
            "cache": { "type": "S3", "location": "bucket/prefix" },
        });
        let answer = json!({ "projects": [project, {}], "projectsNotFound": ["gone"] });
        let request = BatchGetProjectsRequest { names: vec!["web-image".to_owned(), "gone".to_owned()] };
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let seen: Vec<_> = output.projects.iter().map(|p| (p.source_type.as_str(), p.timeout_minutes)).collect();
        assert_eq!(seen, [("PIGEON_POST", 60), ("", 0)]);
        let cache = Cache { cache_type: "S3".to_owned(), location: Some("bucket/prefix".to_owned()), modes: vec![] };
        assert_eq!(output.projects[0].cache, Some(cache));
        assert_eq!(output.not_found, ["gone"]);
    });
}

#[test]
fn the_newest_lines_of_a_log_come_oldest_first() {
    hermetic(async {
        let event = |at: i64, message: &str| json!({ "timestamp": at, "message": message });
        let page = |events: Vec<serde_json::Value>, token: &str| {
            Answer::ok(json!({ "events": events, "nextBackwardToken": token, "nextForwardToken": "f" }))
        };
        let request = |limit| GetLogEventsRequest {
            log_group: "/aws/codebuild/web".to_owned(),
            log_stream: "1/2".to_owned(),
            limit,
        };
        let line = |timestamp, message: &str| LogEvent { timestamp, message: message.to_owned() };
        let newest = || page(vec![event(30, "three\n"), event(40, "four\r\n")], "b/1");

        let pages = [newest(), page(vec![], "b/2"), page(vec![event(-1, "one"), event(20, "two")], "b/3")];
        let (output, asked) = sent(&request(3), pages).await;
        assert_eq!(output.events, [line(20, "two"), line(30, "three"), line(40, "four")]);
        let tokens: Vec<_> = asked.iter().map(|asked| asked.json()["nextToken"].clone()).collect();
        assert_eq!(tokens, [json!(null), json!("b/1"), json!("b/2")]);
        assert_eq!((&asked[0].json()["startFromHead"], &asked[0].json()["limit"]), (&json!(false), &json!(3)));

        let (output, asked) = sent(&request(10), [newest(), page(vec![], "b/1")]).await;
        assert_eq!((output.events.len(), asked.len()), (2, 2), "the same token again says that there is no more");
    });
}

#[test]
fn a_log_group_may_be_named_by_its_arn() {
    hermetic(async {
        let arn = "arn:aws:logs:us-west-2:222222222222:log-group:/aws/x";
        let (log_group, log_stream) = (format!("{arn}:*"), "1".to_owned());
        let request = GetLogEventsRequest { log_group, log_stream, limit: 1 };
        let (_, asked) = sent(&request, [Answer::ok(json!({ "events": [] }))]).await;
        assert_eq!(asked[0].json()["logGroupIdentifier"], arn);
        let request = GetLogEventsRequest { log_stream: "a:log-stream:b".to_owned(), ..request };
        assert!(refused(&request).await.contains("is not the name of a log stream"));
    });
}
