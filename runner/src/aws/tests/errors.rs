//! AWS's errors, as each service words them.

use serde_json::json;

use super::canned::{Answer, Canned, Sendable, failed, hermetic, refused};
use crate::aws::error::ErrorKind;
use crate::contract::bindings::kiln::aws_cloudwatch::cloudwatch;
use crate::contract::bindings::kiln::aws_codebuild::codebuild;
use crate::contract::bindings::kiln::aws_ecr::ecr;
use crate::contract::bindings::kiln::aws_ecs::ecs;
use crate::contract::bindings::kiln::aws_kms::kms;
use crate::contract::bindings::kiln::aws_logs::logs;
use crate::contract::bindings::kiln::aws_secretsmanager::secretsmanager;
use crate::contract::bindings::kiln::aws_sts::sts;

fn images() -> ecr::DescribeImagesRequest {
    ecr::DescribeImagesRequest { repository: "web".to_owned(), images: vec![], tag_status: None }
}

fn alarms() -> cloudwatch::DescribeAlarmsRequest {
    cloudwatch::DescribeAlarmsRequest { alarm_names: vec!["web-5xx".to_owned()] }
}

#[test]
fn every_service_has_errors_of_the_right_kind() {
    hermetic(async {
        let found = |kind, code: &str| Some((kind, code.to_owned()));
        let json = |code| Answer::error(400, code);

        let code = "RepositoryNotFoundException";
        assert_eq!(failed(&images(), json(code)).await, found(ErrorKind::NotFound, code));

        let id = "web-image:0a1b".to_owned();
        let builds = codebuild::StopBuildRequest { id };
        let code = "ResourceNotFoundException";
        assert_eq!(failed(&builds, json(code)).await, found(ErrorKind::NotFound, code));

        let events =
            logs::GetLogEventsRequest { log_group: "/aws/x".to_owned(), log_stream: "s".to_owned(), limit: 10 };
        assert_eq!(failed(&events, json(code)).await, found(ErrorKind::NotFound, code));

        let services = ecs::ListServicesRequest { cluster: "web".to_owned() };
        let code = "ClusterNotFoundException";
        assert_eq!(failed(&services, json(code)).await, found(ErrorKind::NotFound, code));

        let key = kms::DescribeKeyRequest { key_id: "alias/web".to_owned() };
        assert_eq!(
            failed(&key, json("KMSInvalidStateException")).await,
            found(ErrorKind::Conflict, "KMSInvalidStateException")
        );

        let secret = secretsmanager::DescribeSecretRequest { secret_id: "prod/registry".to_owned() };
        let code = "AccessDeniedException";
        assert_eq!(failed(&secret, json(code)).await, found(ErrorKind::AccessDenied, code));

        let body = json!({ "__type": "com.amazonaws.cloudwatch#InvalidNextToken", "message": "because" });
        let answer = Answer::cbor(400, &body);
        assert_eq!(failed(&alarms(), answer).await, found(ErrorKind::Invalid, "InvalidNextToken"));

        let whoami = sts::GetCallerIdentityRequest { reserved: false };
        assert!(failed(&whoami, Answer::error(403, "any")).await.is_some());
    });
}

/// How often `operation` is sent when the first answer is `answer`, and what comes of it.
async fn attempts<O: Sendable>(operation: &O, answer: Answer) -> (usize, Option<ErrorKind>) {
    let aws = Canned::with([answer]).await;
    let error = aws.send(operation).await.err().map(|error| error.kind);
    (aws.asked().len(), error)
}

#[test]
fn the_sdk_sends_nothing_again_by_itself() {
    hermetic(async {
        let (cluster, service, task_definition) = ("web".to_owned(), "web".to_owned(), "web:8".to_owned());
        let (desired_count, deployment_configuration, force_new_deployment) = (None, None, false);
        let update = ecs::UpdateServiceRequest {
            cluster,
            service,
            task_definition,
            desired_count,
            deployment_configuration,
            force_new_deployment,
        };
        let document = r#"{"family": "web", "containerDefinitions": [{"name": "app"}]}"#.to_owned();
        let register = ecs::RegisterTaskDefinitionRequest { document, tags: vec![] };
        let arn = "arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/abc".to_owned();
        let stop = ecs::StopServiceDeploymentRequest { arn, stop_type: "ROLLBACK".to_owned() };

        let open = (1, Some(ErrorKind::Unavailable));
        assert_eq!(attempts(&update, Answer::hang_up()).await, open);
        assert_eq!(attempts(&update, Answer::error(500, "ServerException")).await, open);
        assert_eq!(attempts(&update, Answer::error(503, "ServiceUnavailable")).await, open);
        assert_eq!(attempts(&register, Answer::hang_up()).await, open);
        assert_eq!(attempts(&stop, Answer::error(500, "ServerException")).await, open);
        let throttled = (1, Some(ErrorKind::Throttled));
        assert_eq!(attempts(&update, Answer::error(400, "ThrottlingException")).await, throttled);
        assert_eq!(attempts(&images(), Answer::hang_up()).await, open);
    });
}

#[test]
fn an_error_keeps_awss_words_and_request_id() {
    hermetic(async {
        let aws = Canned::with([Answer::error(400, "ExpiredTokenException")]).await;
        let error = aws.send(&images()).await.map_err(|e| (e.kind, e.message, e.request_id));
        assert_eq!(error, Err((ErrorKind::Expired, "because".to_owned(), Some("request-1".to_owned()))));
    });
}

#[test]
fn a_request_that_cannot_be_right_is_never_sent() {
    hermetic(async {
        let empty = |what: &str, most: u32| format!("the list of {what} is empty; it takes 1 to {most}");
        let none = Vec::<String>::new;
        let (cluster, repository) = ("web".to_owned(), "web".to_owned());
        let request = ecr::DescribeRepositoriesRequest { names: none() };
        assert_eq!(refused(&request).await, empty("repositories", 100));
        let request = ecr::BatchGetRepositoryScanningConfigurationRequest { repositories: none() };
        assert_eq!(refused(&request).await, empty("repositories", 25));
        let request = ecr::BatchDeleteImageRequest { repository: repository.clone(), images: vec![] };
        assert_eq!(refused(&request).await, empty("images", 100));
        let request = ecr::BatchGetImageRequest { repository, images: vec![] };
        assert_eq!(refused(&request).await, empty("images", 100));
        let request = codebuild::BatchGetBuildsRequest { ids: none() };
        assert_eq!(refused(&request).await, empty("builds", 100));
        let request = codebuild::BatchGetProjectsRequest { names: none() };
        assert_eq!(refused(&request).await, empty("projects", 100));
        let request = ecs::DescribeServicesRequest { cluster: cluster.clone(), services: none() };
        assert_eq!(refused(&request).await, empty("services", 10));
        let request = ecs::DescribeTasksRequest { cluster: cluster.clone(), tasks: none() };
        assert_eq!(refused(&request).await, empty("tasks", 100));
        let request = ecs::DescribeServiceDeploymentsRequest { arns: none() };
        assert_eq!(refused(&request).await, empty("service deployments", 20));
        let request = ecs::DescribeServiceRevisionsRequest { arns: none() };
        assert_eq!(refused(&request).await, empty("service revisions", 20));
        let request = cloudwatch::DescribeAlarmsRequest { alarm_names: none() };
        assert_eq!(refused(&request).await, empty("alarms", 100));

        let request = cloudwatch::DescribeAlarmsRequest { alarm_names: vec!["x".to_owned(); 101] };
        assert_eq!(refused(&request).await, "the list of alarms has 101 entries; it takes 1 to 100");
        let request =
            ecs::ListServiceDeploymentsRequest { cluster: cluster.clone(), service: cluster.clone(), limit: 0 };
        assert_eq!(refused(&request).await, "1 to 100 service deployments can be listed, not 0");
        let request = codebuild::ListBuildsForProjectRequest { project: cluster.clone(), limit: 1001 };
        assert_eq!(refused(&request).await, "1 to 1000 builds can be listed, not 1001");
        let request = logs::GetLogEventsRequest { log_group: cluster.clone(), log_stream: "s".to_owned(), limit: 0 };
        assert_eq!(refused(&request).await, "1 to 10000 events can be read, not 0");
        let request = kms::EncryptRequest { key_id: cluster, plaintext: vec![0; 4097], encryption_context: vec![] };
        assert_eq!(refused(&request).await, "KMS encrypts 1 to 4096 bytes, not 4097");
    });
}
