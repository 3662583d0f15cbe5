//! Services, deployments and tasks.

use serde_json::json;

use super::canned::{Answer, hermetic, refused, sent};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_ecs::ecs::{
    DescribeServiceDeploymentsRequest, DescribeServiceRevisionsRequest, DescribeServicesRequest, DescribeTasksRequest,
    Failure, ListServiceDeploymentsRequest, ListTasksRequest, ServiceEvent, StopServiceDeploymentRequest,
    UpdateServiceRequest,
};

const REVISION: &str = "arn:aws:ecs:us-west-2:111111111111:service-revision/web/web/1";
const DEPLOYMENT: &str = "arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/abc";

fn web() -> String {
    "web".to_owned()
}

#[test]
fn services_tell_deployments_events_and_what_is_missing() {
    hermetic(async {
        let request = DescribeServicesRequest { cluster: web(), services: vec![web(), "gone".to_owned()] };
        let answer = json!({
            "services": [{
                "serviceName": "web", "serviceArn": "arn", "status": "ACTIVE", "taskDefinition": "td:2",
                "desiredCount": 4, "runningCount": 3, "pendingCount": 1, "currentServiceDeployment": DEPLOYMENT,
                "deploymentController": { "type": "EXTERNAL" }, "deploymentConfiguration": { "strategy": "CANARY" },
                "events": [{ "id": "1", "createdAt": 1.5, "message": "steady" }],
                "deployments": [{ "id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "td:2", "desiredCount": 4,
                    "failedTasks": 2, "rolloutState": "IN_PROGRESS", "rolloutStateReason": "busy", "createdAt": 1 }],
            }],
            "failures": [{ "arn": "arn:gone", "reason": "MISSING", "detail": "never seen" }],
        });
        let (output, asked) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!(asked[0].json(), json!({ "cluster": "web", "services": ["web", "gone"], "include": ["TAGS"] }));
        let service = &output.services[0];
        assert_eq!((service.desired, service.running, service.pending), (4, 3, 1));
        assert_eq!((service.deployment_controller.as_str(), service.strategy.as_str()), ("EXTERNAL", "CANARY"));
        assert_eq!(service.current_service_deployment.as_deref(), Some(DEPLOYMENT));
        assert_eq!(service.events, [ServiceEvent { timestamp: 1500, message: "steady".to_owned() }]);
        let deployment = &service.deployments[0];
        assert_eq!((deployment.failed, deployment.created), (2, Some(1000)));
        assert_eq!(deployment.rollout_reason.as_deref(), Some("busy"));
        let gone = Failure { arn: "arn:gone".to_owned(), reason: "MISSING: never seen".to_owned() };
        assert_eq!(output.failures, [gone]);
    });
}

#[test]
fn a_service_is_updated_to_a_revision_with_all_that_was_asked_for() {
    hermetic(async {
        let request = UpdateServiceRequest {
            cluster: web(),
            service: web(),
            task_definition: "web:8".to_owned(),
            desired_count: None,
            deployment_configuration: None,
            force_new_deployment: false,
        };
        let answer = || [Answer::ok(json!({ "service": { "serviceName": "web" } }))];
        let (_, asked) = sent(&request, answer()).await;
        let plain =
            json!({ "cluster": "web", "service": "web", "taskDefinition": "web:8", "forceNewDeployment": false });
        assert_eq!(asked[0].json(), plain);

        let configuration = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true }, "newer": [1] });
        let given = Some(configuration.to_string());
        let full = UpdateServiceRequest { desired_count: Some(3), deployment_configuration: given, ..request.clone() };
        let (_, asked) = sent(&full, answer()).await;
        assert_eq!(asked[0].json()["deploymentConfiguration"], configuration);
        assert_eq!(asked[0].json()["desiredCount"], 3);

        let newest = UpdateServiceRequest { task_definition: web(), ..request.clone() };
        assert!(refused(&newest).await.contains("does not name a revision"));
        let elsewhere = "arn:aws:ecs:us-west-2:111111111111:service/other/web".to_owned();
        let elsewhere = UpdateServiceRequest { service: elsewhere, ..request };
        assert!(refused(&elsewhere).await.ends_with("is not in the cluster web"));
    });
}

#[test]
fn tasks_are_listed_over_all_pages_and_tell_why_they_stopped() {
    hermetic(async {
        let request = ListTasksRequest {
            cluster: web(),
            service: Some(web()),
            family: None,
            desired_status: Some("STOPPED".to_owned()),
            started_by: None,
        };
        let page = |arn: &str, token: Option<&str>| Answer::ok(json!({ "taskArns": [arn], "nextToken": token }));
        let (output, asked) = sent(&request, [page("a", Some("t")), page("b", None)]).await;
        assert_eq!(output.arns, ["a", "b"]);
        let expected = json!({
            "cluster": "web", "serviceName": "web", "desiredStatus": "STOPPED", "maxResults": 100, "nextToken": "t",
        });
        assert_eq!(asked[1].json(), expected);

        let request = DescribeTasksRequest { cluster: web(), tasks: vec!["0a1b".to_owned()] };
        let answer = json!({ "tasks": [{
            "taskArn": "arn", "taskDefinitionArn": "td:2", "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
            "startedBy": "ecs-svc/1", "group": "service:web", "startedAt": 1, "stoppedAt": 2,
            "containers": [{ "name": "app", "image": "x/web@sha256:0a", "imageDigest": "sha256:0a",
                "lastStatus": "STOPPED", "exitCode": 137, "reason": "OutOfMemoryError", "healthStatus": "UNHEALTHY" }],
        }] });
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let task = &output.tasks[0];
        assert_eq!(
            (task.stop_code.as_deref(), task.group.as_deref()),
            (Some("EssentialContainerExited"), Some("service:web"))
        );
        assert_eq!(
            (task.started_by.as_deref(), task.started, task.stopped),
            (Some("ecs-svc/1"), Some(1000), Some(2000))
        );
        let container = &task.containers[0];
        assert_eq!((container.exit_code, container.reason.as_deref()), (Some(137), Some("OutOfMemoryError")));
        assert_eq!(
            (container.image_digest.as_deref(), container.health.as_deref()),
            (Some("sha256:0a"), Some("UNHEALTHY"))
        );
    });
}

#[test]
fn service_deployments_tell_how_they_go_and_why_they_went_back() {
    hermetic(async {
        let request = ListServiceDeploymentsRequest { cluster: web(), service: web(), limit: 2 };
        let brief = |arn: &str, at: u32| json!({ "serviceDeploymentArn": arn, "status": "PENDING", "createdAt": at });
        let answer = json!({ "serviceDeployments": [brief("old", 1), brief("new", 2)], "nextToken": "more" });
        let (output, asked) = sent(&request, [Answer::ok(answer)]).await;
        assert_eq!(asked[0].json(), json!({ "cluster": "web", "service": "web", "maxResults": 2 }));
        let arns: Vec<_> = output.deployments.iter().map(|deployment| deployment.arn.as_str()).collect();
        assert_eq!(arns, ["new", "old"]);

        let request = DescribeServiceDeploymentsRequest { arns: vec![DEPLOYMENT.to_owned()] };
        let answer = json!({ "serviceDeployments": [{
            "serviceDeploymentArn": DEPLOYMENT, "status": "ROLLBACK_SUCCESSFUL", "statusReason": "went back",
            "targetServiceRevision": { "arn": "r2", "requestedTaskCount": 2 }, "sourceServiceRevisions": [{ "arn": "r1" }],
            "rollback": { "serviceRevisionArn": "r1", "reason": "too many crashes" },
            "deploymentCircuitBreaker": { "status": "TRIGGERED", "failureCount": 3, "threshold": 3 },
            "alarms": { "status": "MONITORING", "alarmNames": ["a", "b"], "triggeredAlarmNames": ["b"] },
            "startedAt": 1, "stoppedAt": 3,
        }] });
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let deployment = &output.deployments[0];
        assert_eq!((deployment.target_revision.as_deref(), deployment.failed_tasks), (Some("r2"), 3));
        assert_eq!(
            (deployment.source_revisions.as_slice(), deployment.triggered_alarms.as_slice()),
            (["r1".to_owned()].as_slice(), ["b".to_owned()].as_slice())
        );
        assert_eq!(deployment.rollback_revision.as_deref(), Some("r1"));
        assert_eq!(deployment.rollback_reason.as_deref(), Some("too many crashes"));
        assert_eq!(deployment.circuit_breaker.as_deref(), Some("TRIGGERED"));
        assert_eq!((deployment.started, deployment.finished), (Some(1000), Some(3000)));
        let task = DescribeServiceDeploymentsRequest { arns: vec![REVISION.to_owned()] };
        assert!(refused(&task).await.ends_with("is not the ARN of a service-deployment"));
    });
}

#[test]
fn a_service_revision_tells_the_digests_that_it_resolved() {
    hermetic(async {
        let request = DescribeServiceRevisionsRequest { arns: vec![REVISION.to_owned()] };
        let answer = json!({ "serviceRevisions": [{
            "serviceRevisionArn": REVISION, "taskDefinition": "td:2",
            "containerImages": [{ "containerName": "app", "imageDigest": "sha256:0a", "image": "x/web:1" }],
        }] });
        let (output, _) = sent(&request, [Answer::ok(answer)]).await;
        let digest = Pair { name: "app".to_owned(), value: "sha256:0a".to_owned() };
        assert_eq!((output.revisions[0].arn.as_str(), &output.revisions[0].digests), (REVISION, &vec![digest]));
    });
}

#[test]
fn a_service_deployment_is_stopped_the_way_that_was_asked_for() {
    hermetic(async {
        let request = StopServiceDeploymentRequest { arn: DEPLOYMENT.to_owned(), stop_type: "ABORT".to_owned() };
        let (output, asked) = sent(&request, [Answer::ok(json!({ "serviceDeploymentArn": DEPLOYMENT }))]).await;
        assert_eq!(output.arn, DEPLOYMENT);
        assert_eq!(asked[0].json(), json!({ "serviceDeploymentArn": DEPLOYMENT, "stopType": "ABORT" }));
    });
}
