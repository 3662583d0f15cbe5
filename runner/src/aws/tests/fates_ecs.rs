//! What became of calls of ECS whose answers never came.

use serde_json::{Value, json};

use super::canned::{Answer, SENT, TOKEN, before, denied_look, fate, hermetic, in_words, looked_at};
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    DeregisterTaskDefinitionRequest, RegisterTaskDefinitionRequest, StopServiceDeploymentRequest, UpdateServiceRequest,
};

const HERE: &str = "arn:aws:ecs:us-west-2:111111111111";

fn arn(resource: &str) -> String {
    format!("{HERE}:{resource}")
}

fn update() -> UpdateServiceRequest {
    UpdateServiceRequest {
        cluster: "web".to_owned(),
        service: "web".to_owned(),
        task_definition: "web:13".to_owned(),
        desired_count: None,
        deployment_configuration: None,
        force_new_deployment: false,
    }
}

/// The service `web` with `revision` in a primary deployment of this name.
fn service(revision: u32, deployment: &str, desired: u32) -> Answer {
    let definition = arn(&format!("task-definition/web:{revision}"));
    let deployments = json!([
        { "id": deployment, "status": "PRIMARY", "taskDefinition": definition },
        { "id": "ecs-svc/old", "status": "ACTIVE", "taskDefinition": arn("task-definition/web:12") },
    ]);
    Answer::ok(json!({ "services": [{
        "serviceName": "web", "status": "ACTIVE", "taskDefinition": definition, "desiredCount": desired,
        "deployments": deployments, "currentServiceDeployment": arn("service-deployment/web/web/before"),
    }] }))
}

/// The service's deployments: a name, when it was made, and the revision of the task definition that it brings.
fn deployments(all: &[(&str, u64, u32)]) -> Vec<Answer> {
    let deployment = |(name, created, _): &(&str, u64, u32)| {
        let target = arn(&format!("service-revision/web/web/{name}"));
        let arn = arn(&format!("service-deployment/web/web/{name}"));
        json!({ "serviceDeploymentArn": arn, "createdAt": created, "targetServiceRevisionArn": target })
    };
    let revision = |(name, _, revision): &(&str, u64, u32)| {
        let definition = arn(&format!("task-definition/web:{revision}"));
        json!({ "serviceRevisionArn": arn(&format!("service-revision/web/web/{name}")), "taskDefinition": definition })
    };
    let mut answers = vec![Answer::ok(json!({ "serviceDeployments": all.iter().map(deployment).collect::<Vec<_>>() }))];
    // Only those that may be new are looked at.
    if all.iter().any(|(name, created, _)| *created + 5 >= SENT && *name != "before") {
        answers.push(Answer::ok(json!({ "serviceRevisions": all.iter().map(revision).collect::<Vec<_>>() })));
    }
    answers
}

/// The service before the call: revision 12, two tasks.
async fn seen() -> Value {
    before(&update(), [service(12, "ecs-svc/1", 2)]).await
}

async fn look(request: &UpdateServiceRequest, service: Answer, all: &[(&str, u64, u32)]) -> String {
    let answers = std::iter::once(service).chain(deployments(all));
    in_words(fate(request, Some(&seen().await), 60, answers).await).0
}

const WHO: &str = "see who else changed service web";

#[test]
fn a_new_deployment_of_what_was_asked_for_is_the_updates() {
    hermetic(async {
        let by_arn = UpdateServiceRequest { task_definition: arn("task-definition/web:13"), ..update() };
        for request in [update(), by_arn] {
            let (told, output) = in_words(fate(&request, Some(&seen().await), 1, [service(13, "ecs-svc/2", 2)]).await);
            assert_eq!(told, "happened: the service names web:13, in a deployment that was not there before");
            assert_eq!(output.unwrap().service.task_definition, arn("task-definition/web:13"));
        }
        let forced =
            UpdateServiceRequest { task_definition: "web:12".to_owned(), force_new_deployment: true, ..update() };
        let (told, _) = in_words(fate(&forced, Some(&seen().await), 1, [service(12, "ecs-svc/2", 2)]).await);
        assert_eq!(told, "happened: the service names web:12, in a deployment that was not there before");
    });
}

#[test]
fn a_service_that_is_as_before_was_not_updated() {
    hermetic(async {
        let as_before = || service(12, "ecs-svc/1", 2);
        let not = "not happened: the service names web:12, as before";
        assert_eq!(look(&update(), as_before(), &[("before", SENT - 60, 12)]).await, not);
        let forced =
            UpdateServiceRequest { task_definition: "web:12".to_owned(), force_new_deployment: true, ..update() };
        assert_eq!(look(&forced, as_before(), &[]).await, not);
        let more = UpdateServiceRequest { task_definition: "web:12".to_owned(), desired_count: Some(3), ..update() };
        assert_eq!(look(&more, as_before(), &[]).await, not);
    });
}

#[test]
fn an_update_that_begins_no_deployment_is_sent_again() {
    hermetic(async {
        let same = UpdateServiceRequest { task_definition: "web:12".to_owned(), ..update() };
        assert_eq!(look(&same, service(12, "ecs-svc/1", 2), &[]).await, "send again");
        let more = UpdateServiceRequest { desired_count: Some(3), ..same };
        assert_eq!(look(&more, service(12, "ecs-svc/1", 3), &[]).await, "send again");
    });
}

#[test]
fn an_update_that_was_rolled_back_since_has_happened() {
    hermetic(async {
        let ours = [("new", SENT + 1, 13), ("before", SENT - 60, 12)];
        let brought = format!("happened: {} brought web:13", arn("service-deployment/web/web/new"));
        // Back at what it was, on to what somebody else deployed, or scaled.
        assert_eq!(look(&update(), service(12, "ecs-svc/3", 2), &ours).await, brought);
        assert_eq!(look(&update(), service(14, "ecs-svc/3", 2), &ours).await, brought);
        let scaled = UpdateServiceRequest { desired_count: Some(2), ..update() };
        assert_eq!(look(&scaled, service(13, "ecs-svc/2", 5), &ours).await, brought);
    });
}

#[test]
fn a_deployment_of_somebody_else_is_never_the_updates() {
    hermetic(async {
        let theirs = [("theirs", SENT + 1, 14)];
        let new = |revision| {
            let deployment = "in a deployment that is neither from before nor what was asked for";
            format!("unknown: the service names web:{revision}, {deployment}; {WHO}")
        };
        assert_eq!(look(&update(), service(14, "ecs-svc/2", 2), &theirs).await, new(14));
        // They deployed what had been there.
        assert_eq!(look(&update(), service(12, "ecs-svc/2", 2), &[("theirs", SENT + 1, 12)]).await, new(12));
        // They changed it, and it is not seen how.
        let changed =
            format!("unknown: the service names web:14, which is neither what it was nor what was asked for; {WHO}");
        assert_eq!(look(&update(), service(14, "ecs-svc/1", 2), &[]).await, changed);
    });
}

#[test]
fn a_deployment_from_before_the_update_is_not_its_own() {
    hermetic(async {
        let forced =
            UpdateServiceRequest { task_definition: "web:12".to_owned(), force_new_deployment: true, ..update() };
        let not = "not happened: the service names web:12, as before";
        // Long ago, and so shortly before that clocks cannot tell.
        for created in [SENT - 6, SENT - 1, SENT] {
            assert_eq!(look(&forced, service(12, "ecs-svc/1", 2), &[("before", created, 12)]).await, not);
        }
        assert_eq!(look(&forced, service(12, "ecs-svc/1", 2), &[("other", SENT - 6, 12)]).await, not);
    });
}

#[test]
fn an_update_of_a_service_that_was_not_seen_before_is_left_to_a_person() {
    hermetic(async {
        let (told, likely) = in_words(fate(&update(), None, 1, [service(13, "ecs-svc/2", 2)]).await);
        assert_eq!(
            told,
            "unknown: the service names web:13; what it was before is not known; \
             see in the events of service web whether a deployment began then"
        );
        assert!(likely.is_some());
    });
}

#[test]
fn a_service_named_by_its_arn_is_looked_up_as_by_its_name() {
    hermetic(async {
        let seen = seen().await;
        let looks = async |service: &str| {
            let request = UpdateServiceRequest { service: service.to_owned(), ..update() };
            let ours = deployments(&[("new", SENT + 1, 13)]);
            looked_at(&request, &seen, std::iter::once(self::service(12, "ecs-svc/3", 2)).chain(ours)).await
        };
        let expected = [
            format!("ecs:DescribeServices {}", arn("service/web/web")),
            format!("ecs:ListServiceDeployments {}", arn("service/web/web")),
            format!("ecs:DescribeServiceRevisions {} {}", arn("service-revision/web/web/new"), arn("service/web/web")),
        ];
        assert_eq!(looks("web").await, expected);
        assert_eq!(looks(&arn("service/web/web")).await, expected);
    });
}

#[test]
fn a_stage_that_may_not_look_asks_aws_nothing() {
    hermetic(async {
        assert_eq!(denied_look(&update()).await.as_deref(), Some("ecs:DescribeServices"));
        assert_eq!(denied_look(&registration()).await.as_deref(), Some("ecs:DescribeTaskDefinition"));
    });
}

fn registration() -> RegisterTaskDefinitionRequest {
    let document = r#"{"family": "web", "containerDefinitions": [{"name": "app"}]}"#.to_owned();
    RegisterTaskDefinitionRequest { document, tags: vec![] }
}

/// A revision that carries a token.
fn revision(revision: u32, token: &str) -> Answer {
    let arn = arn(&format!("task-definition/web:{revision}"));
    let definition = json!({ "taskDefinitionArn": arn, "family": "web", "revision": revision, "status": "ACTIVE" });
    Answer::ok(json!({ "taskDefinition": definition, "tags": [{ "key": "kiln:token", "value": token }] }))
}

fn no_revision() -> Answer {
    Answer::error(400, "ClientException")
}

/// What becomes of [`registration`] after revision 7, and which revision it made.
async fn registered(answers: impl IntoIterator<Item = Answer>) -> (String, Option<u32>) {
    let seen = before(&registration(), [revision(7, "another")]).await;
    let (told, output) = in_words(fate(&registration(), Some(&seen), 1, answers).await);
    (told, output.map(|output| output.task_definition.revision))
}

#[test]
fn the_revision_that_carries_the_token_is_the_calls() {
    hermetic(async {
        let happened = |number| {
            let arn = arn(&format!("task-definition/web:{number}"));
            (format!("happened: {arn} carries the call's token"), Some(number))
        };
        assert_eq!(registered([revision(8, TOKEN)]).await, happened(8));
        let among = [revision(10, "b"), revision(9, TOKEN), revision(8, "a")];
        assert_eq!(registered(among).await, happened(9));
        // One that was deleted since has no number.
        assert_eq!(registered([revision(10, "b"), no_revision(), revision(8, TOKEN)]).await, happened(8));
        // The first of a family.
        let seen = before(&registration(), [no_revision()]).await;
        let (told, _) = in_words(fate(&registration(), Some(&seen), 1, [revision(1, TOKEN)]).await);
        assert_eq!(told, happened(1).0);
    });
}

#[test]
fn a_copy_of_the_revision_with_its_tags_is_not_the_calls() {
    hermetic(async {
        let (_, made) = registered([revision(10, TOKEN), revision(9, "a"), revision(8, TOKEN)]).await;
        assert_eq!(made, Some(8));
    });
}

#[test]
fn revisions_of_others_are_never_the_calls() {
    hermetic(async {
        let not = ("not happened: no new revision of web carries the call's token".to_owned(), None);
        assert_eq!(registered([revision(7, "another")]).await, not);
        assert_eq!(registered([revision(9, "b"), revision(8, "a")]).await, not);
        assert_eq!(registered([revision(6, "older")]).await, not, "the newest was deregistered");
        assert_eq!(registered([no_revision()]).await, ("not happened: web has no revision".to_owned(), None));
    });
}

#[test]
fn among_too_many_new_revisions_the_calls_is_not_guessed() {
    hermetic(async {
        let check = format!("look which was the first with the tag kiln:token={TOKEN}");
        let unknown = format!("unknown: web has more than 50 revisions that may be new; {check}");
        let many = |ours: u32| (9..=58).rev().map(move |n| revision(n, if n == ours { TOKEN } else { "a" }));
        assert_eq!(registered(many(0)).await, (unknown.clone(), None));
        assert_eq!(registered(many(40)).await, (unknown, Some(40)));
    });
}

#[test]
fn a_revision_that_is_inactive_need_not_be_deregistered_again() {
    hermetic(async {
        let request = DeregisterTaskDefinitionRequest { task_definition: "web:7".to_owned() };
        let answer = |status| {
            let arn = arn("task-definition/web:7");
            Answer::ok(json!({ "taskDefinition": { "taskDefinitionArn": arn, "status": status } }))
        };
        for status in ["INACTIVE", "DELETE_IN_PROGRESS"] {
            let (told, output) = in_words(fate(&request, None, 1, [answer(status)]).await);
            assert_eq!(told, format!("happened: {} is {status}", arn("task-definition/web:7")));
            assert_eq!(output.unwrap().status, status);
        }
        for status in ["ACTIVE", "PONDERING"] {
            assert_eq!(in_words(fate(&request, None, 1, [answer(status)]).await).0, "send again");
        }
    });
}

#[test]
fn a_deployment_that_is_being_stopped_the_way_that_was_asked_for_was_stopped() {
    hermetic(async {
        let deployment = arn("service-deployment/web/web/abc");
        let unknown = format!("unknown: the deployment is MUSING; look whether {deployment} is being stopped");
        let happened = |status| format!("happened: the deployment is {status}");
        let not = |status| format!("not happened: the deployment is {status}");
        let again = || "send again".to_owned();
        // By status: where it was to go back, and where it was to be left as it is.
        let cases = [
            ("PENDING", not("PENDING"), not("PENDING")),
            ("IN_PROGRESS", not("IN_PROGRESS"), not("IN_PROGRESS")),
            ("STOP_REQUESTED", happened("STOP_REQUESTED"), happened("STOP_REQUESTED")),
            ("STOPPED", again(), happened("STOPPED")),
            ("ROLLBACK_REQUESTED", happened("ROLLBACK_REQUESTED"), again()),
            ("ROLLBACK_IN_PROGRESS", happened("ROLLBACK_IN_PROGRESS"), again()),
            ("ROLLBACK_SUCCESSFUL", happened("ROLLBACK_SUCCESSFUL"), again()),
            ("ROLLBACK_FAILED", happened("ROLLBACK_FAILED"), again()),
            ("SUCCESSFUL", again(), again()),
            ("MUSING", unknown.clone(), unknown),
        ];
        for (status, going_back, aborting) in cases {
            for (stop_type, expected) in [("ROLLBACK", going_back), ("ABORT", aborting)] {
                let request = StopServiceDeploymentRequest { arn: deployment.clone(), stop_type: stop_type.to_owned() };
                let found = json!({ "serviceDeploymentArn": deployment, "status": status });
                let answer = Answer::ok(json!({ "serviceDeployments": [found] }));
                let (told, output) = in_words(fate(&request, None, 1, [answer]).await);
                assert_eq!(told, expected, "{stop_type}");
                assert!(output.is_none_or(|output| output.arn == deployment));
            }
        }
        let request = StopServiceDeploymentRequest { arn: deployment, stop_type: "ROLLBACK".to_owned() };
        let gone = Answer::ok(json!({ "serviceDeployments": [], "failures": [{ "reason": "MISSING" }] }));
        assert_eq!(in_words(fate(&request, None, 1, [gone]).await).0, "send again", "AWS says so itself");
    });
}
