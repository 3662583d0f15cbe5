//! What became of calls of CodeBuild whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, SENT, TOKEN, fate, fate_given_up, hermetic, in_words};
use crate::contract::bindings::kiln::aws_codebuild::codebuild::{
    EnvironmentVariable, StartBuildRequest, StopBuildRequest, VariableSource,
};

/// Later than CodeBuild knows a token.
const LATER: u64 = 600;

fn request() -> StartBuildRequest {
    StartBuildRequest {
        project: "web-image".to_owned(),
        source_version: Some("4f2a9c1".to_owned()),
        environment: vec![EnvironmentVariable {
            name: "TAG".to_owned(),
            value: "v1".to_owned(),
            source: VariableSource::Plaintext,
        }],
        cache: None,
        buildspec: Some("ci/image.yml".to_owned()),
        timeout_minutes: Some(30),
    }
}

/// The build that [`request`] starts, as CodeBuild shows it, but for what `differs`.
fn build(id: &str, differs: &Value) -> Value {
    let mut build = json!({
        "id": format!("web-image:{id}"), "projectName": "web-image", "buildStatus": "IN_PROGRESS",
        "sourceVersion": "4f2a9c1", "startTime": SENT + 1, "initiator": "deployer/kiln-build-r1",
        "environment": { "type": "LINUX_CONTAINER", "image": "x", "computeType": "y", "environmentVariables": [
            { "name": "OF_THE_PROJECT", "value": "1" }, { "name": "TAG", "value": "v1", "type": "PLAINTEXT" },
        ] },
        "source": { "type": "GITHUB", "buildspec": "ci/image.yml" }, "timeoutInMinutes": 30,
    });
    for (field, value) in differs.as_object().unwrap() {
        build[field] = value.clone();
    }
    build
}

fn answers(builds: &[Value]) -> [Answer; 2] {
    let ids: Vec<_> = builds.iter().map(|build| build["id"].clone()).collect();
    [Answer::ok(json!({ "ids": ids })), Answer::ok(json!({ "builds": builds }))]
}

/// Builds that somebody else started, or that were there before.
fn of_others() -> Vec<Value> {
    let variables =
        |variables: Value| json!({ "type": "a", "image": "b", "computeType": "c", "environmentVariables": variables });
    vec![
        build("earlier", &json!({ "startTime": SENT - 6 })),
        build("other-commit", &json!({ "sourceVersion": "0000000" })),
        build("no-commit", &json!({ "sourceVersion": null })),
        build("other-tag", &json!({ "environment": variables(json!([{ "name": "TAG", "value": "v2" }])) })),
        build("no-tag", &json!({ "environment": variables(json!([])) })),
        build("of-a-pipeline", &json!({ "initiator": "codepipeline/web" })),
        build("of-jenkins", &json!({ "initiator": "CodeBuild-Jenkins-Plugin" })),
        build("other-spec", &json!({ "source": { "type": "GITHUB", "buildspec": "buildspec.yml" } })),
        build("other-time", &json!({ "timeoutInMinutes": 60 })),
        build("not-begun", &json!({ "startTime": null })),
    ]
}

#[test]
fn while_codebuild_knows_the_token_a_build_is_started_with_it_again() {
    hermetic(async {
        assert_eq!(in_words(fate(&request(), None, 239, []).await).0, "send again");
        let (told, _) = in_words(fate(&request(), None, 240, [Answer::ok(json!({ "ids": [] }))]).await);
        assert_eq!(told, "not happened: web-image has no builds");
    });
}

#[test]
fn whoever_gives_up_on_a_build_looks_for_it_although_codebuild_knows_its_token() {
    hermetic(async {
        let (gone, _) = in_words(fate_given_up(&request(), 1, [Answer::ok(json!({ "ids": [] }))]).await);
        assert_eq!(gone, "not happened: web-image has no builds");
        let (there, output) = in_words(fate_given_up(&request(), 1, answers(&[build("ours", &json!({}))])).await);
        assert_eq!(there, "happened: the build web-image:ours of 4f2a9c1 was started then, and no other");
        assert_eq!(output.unwrap().build.id, "web-image:ours");
    });
}

#[test]
fn the_one_build_that_the_call_can_have_started_is_its_build() {
    hermetic(async {
        for start in [SENT - 5, SENT, SENT + 300] {
            let mut builds = of_others();
            builds.insert(3, build("ours", &json!({ "startTime": start })));
            let (told, output) = in_words(fate(&request(), None, LATER, answers(&builds)).await);
            assert_eq!(told, "happened: the build web-image:ours of 4f2a9c1 was started then, and no other");
            assert_eq!(output.unwrap().build.id, "web-image:ours");
        }
    });
}

#[test]
fn builds_of_others_are_never_taken_for_the_calls() {
    hermetic(async {
        let expected = "not happened: no build of 4f2a9c1 was started in web-image since";
        assert_eq!(in_words(fate(&request(), None, LATER, answers(&of_others())).await).0, expected);
        for other in of_others() {
            let (told, _) = in_words(fate(&request(), None, LATER, answers(std::slice::from_ref(&other))).await);
            assert_eq!(told, expected, "{other}");
        }
    });
}

#[test]
fn of_several_builds_none_is_guessed_to_be_the_calls() {
    hermetic(async {
        let builds = [build("one", &json!({})), build("two", &json!({}))];
        let (told, likely) = in_words(fate(&request(), None, LATER, answers(&builds)).await);
        let expected = "unknown: 2 builds of 4f2a9c1 were started in web-image since; \
                        see in CloudTrail who started web-image:two";
        assert_eq!((told.as_str(), likely.unwrap().build.id.as_str()), (expected, "web-image:two"));
    });
}

#[test]
fn a_build_of_the_projects_own_version_may_be_the_calls_or_not() {
    hermetic(async {
        let request = StartBuildRequest { source_version: None, ..request() };
        let bare = build("ours", &json!({ "sourceVersion": null }));
        let (happened, _) = in_words(fate(&request, None, LATER, answers(&[bare])).await);
        assert_eq!(
            happened,
            "happened: the build web-image:ours of the default version was started then, and no other"
        );
        let (unknown, _) = in_words(fate(&request, None, LATER, answers(&[build("some", &json!({}))])).await);
        assert_eq!(
            unknown,
            "unknown: the build web-image:some, which may be of the default version, was started then; \
             see in CloudTrail who started web-image:some"
        );
    });
}

#[test]
fn where_more_builds_were_started_than_are_looked_at_nothing_is_said() {
    hermetic(async {
        let other = |number: usize| build(&format!("b{number}"), &json!({ "sourceVersion": "0000000" }));
        let mut builds: Vec<Value> = (0..100).map(other).collect();
        let (unknown, likely) = in_words(fate(&request(), None, LATER, answers(&builds)).await);
        let check = format!("see in CloudTrail which of them has the token {TOKEN}");
        assert_eq!(unknown, format!("unknown: 100 builds or more were started in web-image since; {check}"));
        assert_eq!(likely, None);
        builds[99]["startTime"] = json!(SENT - 60);
        let (known, _) = in_words(fate(&request(), None, LATER, answers(&builds)).await);
        assert_eq!(known, "not happened: no build of 4f2a9c1 was started in web-image since");
    });
}

#[test]
fn a_build_that_has_ended_need_not_be_stopped_again() {
    hermetic(async {
        let request = StopBuildRequest { id: "web-image:0a".to_owned() };
        for status in ["STOPPED", "SUCCEEDED", "FAILED", "PONDERING"] {
            let answer = Answer::ok(json!({ "builds": [build("0a", &json!({ "buildStatus": status }))] }));
            let (told, output) = in_words(fate(&request, None, 1, [answer]).await);
            assert_eq!(told, format!("happened: the build web-image:0a has ended: {status}"));
            assert_eq!(output.unwrap().build.status, status);
        }
        let running = Answer::ok(json!({ "builds": [build("0a", &json!({}))] }));
        assert_eq!(in_words(fate(&request, None, 1, [running]).await).0, "send again");
        let gone = Answer::ok(json!({ "builds": [], "buildsNotFound": ["web-image:0a"] }));
        assert_eq!(in_words(fate(&request, None, 1, [gone]).await).0, "send again", "AWS says so itself");
    });
}
