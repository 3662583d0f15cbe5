//! What every operation declares of itself: IAM's action, its access level, how it may be sent again, and the resources
//! that its permission is checked against. The expectations follow IAM's service authorization reference.

use super::canned::here;
use crate::aws::operation::{Operation, RetryClass};
use crate::aws::secretsmanager::GetSecretValueRequest;
use crate::plugin::bindings::kiln::aws::{cloudwatch, codebuild, ecr, ecs, kms, logs, secretsmanager, sts};

/// What an operation declares.
struct Declared {
    /// Action, access level, retry class, resources. ARNs of the stage's own place are written without it.
    line: String,
    action: &'static str,
    is_write: bool,
    retry: RetryClass,
    /// The reads by which a lost answer is looked up.
    looks: Vec<&'static str>,
    /// The members of the request and of the answer that are secret.
    sensitive: [&'static [&'static str]; 2],
}

fn declared<O: Operation>(operation: O) -> Declared {
    let access = if O::ACTION.write { "write" } else { "read" };
    let service = O::ACTION.name.split(':').next().unwrap_or_default();
    let own = format!("arn:aws:{service}:us-west-2:111111111111:");
    let resources: Vec<String> = operation.resources(&here()).iter().map(ToString::to_string).collect();
    let resources = resources.join(" ").replace(&own, "~");
    Declared {
        line: format!("{} {access} {:?} {resources}", O::ACTION.name, O::RETRY).trim_end().to_owned(),
        action: O::ACTION.name,
        is_write: O::ACTION.write,
        retry: O::RETRY,
        looks: operation.looks(&here()).into_iter().map(|(action, _)| action).collect(),
        sensitive: [O::SENSITIVE_REQUEST, O::SENSITIVE],
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn image() -> ecr::ImageId {
    ecr::ImageId { digest: None, tag: Some(text("v1")) }
}

fn all() -> Vec<Declared> {
    let other = "arn:aws:ecr:eu-west-1:222222222222:repository/web";
    let cluster = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";
    let build = "arn:aws:codebuild:eu-west-1:222222222222:build/other:9f";
    let deployment = "arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/abc";
    let revision = "arn:aws:ecs:us-west-2:111111111111:service-revision/web/web/1";
    vec![
        declared(sts::GetCallerIdentityRequest { reserved: false }),
        declared(secretsmanager::DescribeSecretRequest { secret_id: text("prod/registry") }),
        declared(GetSecretValueRequest { secret_id: text("prod/registry"), version_id: None, version_stage: None }),
        declared(kms::DescribeKeyRequest { key_id: text("alias/team/web") }),
        declared(kms::EncryptRequest { key_id: text("0a-1b"), plaintext: vec![], encryption_context: vec![] }),
        declared(kms::DecryptRequest { key_id: text("0a-1b"), ciphertext: vec![], encryption_context: vec![] }),
        declared(ecr::DescribeRepositoriesRequest { names: texts(&["team/web", other]) }),
        declared(ecr::DescribeImagesRequest { repository: text("web"), images: vec![], tag_status: None }),
        declared(ecr::BatchGetImageRequest { repository: text("web"), images: vec![] }),
        declared(ecr::PutImageRequest { repository: text("web"), manifest: text("{}"), media_type: None, tag: None }),
        declared(ecr::BatchDeleteImageRequest { repository: text("web"), images: vec![] }),
        declared(ecr::StartImageScanRequest { repository: text("web"), image: image() }),
        declared(ecr::DescribeImageScanFindingsRequest { repository: text("web"), image: image() }),
        declared(ecr::BatchGetRepositoryScanningConfigurationRequest { repositories: texts(&["web", "api"]) }),
        declared(codebuild::StartBuildRequest {
            project: text("web-image"),
            source_version: None,
            environment: vec![],
            cache: None,
            buildspec: None,
            timeout_minutes: None,
        }),
        declared(codebuild::BatchGetBuildsRequest { ids: texts(&["web-image:0a", build, "no-id"]) }),
        declared(codebuild::StopBuildRequest { id: text("web-image:0a") }),
        declared(codebuild::ListBuildsForProjectRequest { project: text("web-image"), limit: 1 }),
        declared(codebuild::BatchGetProjectsRequest { names: texts(&["web-image", "api-image"]) }),
        declared(logs::GetLogEventsRequest { log_group: text("/aws/x"), log_stream: text("a/b"), limit: 1 }),
        declared(ecs::DescribeServicesRequest { cluster: text("web"), services: texts(&["web", "api"]) }),
        declared(ecs::ListServicesRequest { cluster: text("web") }),
        declared(ecs::DescribeTaskDefinitionRequest { task_definition: text("web") }),
        declared(ecs::RegisterTaskDefinitionRequest {
            document: text(r#"{"family": "web", "containerDefinitions": [{}]}"#),
            tags: vec![],
        }),
        declared(ecs::DeregisterTaskDefinitionRequest { task_definition: text("web:1") }),
        declared(ecs::UpdateServiceRequest {
            cluster: text(cluster),
            service: text("web"),
            task_definition: text("web:1"),
            desired_count: None,
            rolling: None,
            force_new_deployment: false,
        }),
        declared(ecs::ListTasksRequest {
            cluster: text("web"),
            service: None,
            family: None,
            desired_status: None,
            started_by: None,
        }),
        declared(ecs::DescribeTasksRequest { cluster: text("web"), tasks: texts(&["0a1b"]) }),
        declared(ecs::ListServiceDeploymentsRequest { cluster: text("web"), service: text("api"), limit: 1 }),
        declared(ecs::DescribeServiceDeploymentsRequest { arns: texts(&[deployment]) }),
        declared(ecs::DescribeServiceRevisionsRequest { arns: texts(&[revision]) }),
        declared(ecs::StopServiceDeploymentRequest { arn: text(deployment), stop_type: text("ROLLBACK") }),
        declared(cloudwatch::DescribeAlarmsRequest { alarm_names: texts(&["web-5xx", "web p99"]) }),
        declared(cloudwatch::GetMetricDataRequest {
            namespace: text("AWS/ECS"),
            metric: text("CPUUtilization"),
            dimensions: vec![],
            statistic: text("Average"),
            period: 60,
            start: 0,
            end: 1,
        }),
    ]
}

#[test]
fn operations_declare_what_iam_ties_them_to() {
    let expected = [
        "sts:GetCallerIdentity read Read",
        "secretsmanager:DescribeSecret read Read ~secret:prod/registry-??????",
        "secretsmanager:GetSecretValue read Read ~secret:prod/registry-??????",
        "kms:DescribeKey read Read ~alias/team/web",
        "kms:Encrypt read Read ~key/0a-1b",
        "kms:Decrypt read Read ~key/0a-1b",
        "ecr:DescribeRepositories read Read ~repository/team/web arn:aws:ecr:eu-west-1:222222222222:repository/web",
        "ecr:DescribeImages read Read ~repository/web",
        "ecr:BatchGetImage read Read ~repository/web",
        "ecr:PutImage write Natural ~repository/web",
        "ecr:BatchDeleteImage write Natural ~repository/web",
        "ecr:StartImageScan write Natural ~repository/web",
        "ecr:DescribeImageScanFindings read Read ~repository/web",
        "ecr:BatchGetRepositoryScanningConfiguration read Read ~repository/web ~repository/api",
        "codebuild:StartBuild write Token ~project/web-image",
        "codebuild:BatchGetBuilds read Read ~project/web-image arn:aws:codebuild:eu-west-1:222222222222:project/other \
         ~project/no-id",
        "codebuild:StopBuild write Natural ~project/web-image",
        "codebuild:ListBuildsForProject read Read ~project/web-image",
        "codebuild:BatchGetProjects read Read ~project/web-image ~project/api-image",
        "logs:GetLogEvents read Read ~log-group:/aws/x:log-stream:a/b",
        "ecs:DescribeServices read Read ~service/web/web ~service/web/api",
        "ecs:ListServices read Read",
        "ecs:DescribeTaskDefinition read Read",
        "ecs:RegisterTaskDefinition write Unsafe ~task-definition/web:*",
        "ecs:DeregisterTaskDefinition write Natural",
        "ecs:UpdateService write Unsafe arn:aws:ecs:eu-west-1:222222222222:service/prod/web",
        "ecs:ListTasks read Read ~container-instance/web/*",
        "ecs:DescribeTasks read Read ~task/web/0a1b",
        "ecs:ListServiceDeployments read Read ~service/web/api",
        "ecs:DescribeServiceDeployments read Read ~service-deployment/web/web/abc",
        "ecs:DescribeServiceRevisions read Read ~service-revision/web/web/1",
        "ecs:StopServiceDeployment write Unsafe ~service-deployment/web/web/abc",
        "cloudwatch:DescribeAlarms read Read ~alarm:web-5xx ~alarm:web p99",
        "cloudwatch:GetMetricData read Read",
    ];
    let lines: Vec<String> = all().into_iter().map(|declared| declared.line).collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_book_tells_how_every_write_is_looked_up() {
    let book = include_str!("../../../../docs/durability.md");
    let mut told: Vec<&str> = book.lines().filter(|line| line.starts_with("| `")).collect();
    for write in all().into_iter().filter(|declared| declared.is_write) {
        let class = format!("{:?}", write.retry).to_lowercase();
        let looks: Vec<String> = write.looks.iter().map(|action| format!("`{action}`")).collect();
        let looks = if looks.is_empty() { "nothing".to_owned() } else { looks.join(", ") };
        let line = format!("| `{}` | {class} | {looks} | ", write.action);
        let before = told.len();
        told.retain(|told| !told.starts_with(&line));
        assert_eq!(told.len() + 1, before, "docs/durability.md needs one line that begins with {line}");
    }
    assert!(told.is_empty(), "docs/durability.md tells of more: {told:#?}");
}

#[test]
fn every_write_without_a_token_is_looked_up() {
    for declared in all() {
        match declared.is_write {
            // ECR says that the image is there already, which counts as its success.
            true if declared.action == "ecr:PutImage" => {}
            true => assert!(!declared.looks.is_empty(), "{} has no look-up", declared.action),
            false => assert!(declared.looks.is_empty(), "{} changes nothing", declared.action),
        }
    }
}

#[test]
fn looks_are_reads_that_stages_could_make_too() {
    let all = all();
    for look in all.iter().flat_map(|declared| &declared.looks) {
        let known = all.iter().find(|declared| declared.action == *look);
        assert!(known.is_some_and(|known| !known.is_write), "{look}");
    }
}

#[test]
fn no_function_of_the_contract_is_forgotten() {
    let contract = [
        include_str!("../../../../wit/deps/kiln-aws/cloudwatch.wit"),
        include_str!("../../../../wit/deps/kiln-aws/codebuild.wit"),
        include_str!("../../../../wit/deps/kiln-aws/ecr.wit"),
        include_str!("../../../../wit/deps/kiln-aws/ecs.wit"),
        include_str!("../../../../wit/deps/kiln-aws/kms.wit"),
        include_str!("../../../../wit/deps/kiln-aws/logs.wit"),
        include_str!("../../../../wit/deps/kiln-aws/secretsmanager.wit"),
        include_str!("../../../../wit/deps/kiln-aws/sts.wit"),
    ];
    let functions = contract.iter().map(|interface| interface.matches(": func(").count()).sum::<usize>();
    // One operation is the host's own: `secretsmanager:GetSecretValue`.
    assert_eq!(all().len(), functions + 1);
}

/// `tests/python/sensitive.py` compares the list with AWS's own model.
#[test]
fn what_is_sensitive_is_what_the_list_says() {
    let listed: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/python/sensitive.json")).unwrap_or_default();
    let mut declared = serde_json::Map::new();
    for Declared { action, sensitive: [request, answer], .. } in all() {
        let of = |side: &str, members: &[&str]| (!members.is_empty()).then(|| (side.to_owned(), members.into()));
        let members = of("request", request).into_iter().chain(of("answer", answer)).collect();
        declared.insert(action.to_owned(), serde_json::Value::Object(members));
    }
    assert_eq!(serde_json::Value::Object(declared), listed);
}

#[test]
fn only_what_decrypts_reveals() {
    const { assert!(kms::DecryptRequest::REVEALS) };
    const { assert!(!kms::EncryptRequest::REVEALS) };
}

#[test]
fn a_document_without_a_family_matches_no_permission_by_accident() {
    for document in ["", "[]", r#"{"family": ""}"#, r#"{"family": "web/*", "containerDefinitions": [{}]}"#] {
        let request = ecs::RegisterTaskDefinitionRequest { document: text(document), tags: vec![] };
        assert_eq!(declared(request).line, "ecs:RegisterTaskDefinition write Unsafe ~task-definition/:*");
    }
}

#[test]
fn registering_a_task_definition_passes_its_roles() {
    let document = r#"{"family":"web","containerDefinitions":[{"name":"app"}],
        "taskRoleArn":"web-task","executionRoleArn":"arn:aws:iam::222222222222:role/other"}"#;
    let operation = ecs::RegisterTaskDefinitionRequest { document: text(document), tags: vec![] };
    let required: Vec<String> = operation
        .requires(&here())
        .into_iter()
        .map(|(action, on)| format!("{action} {}", on.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(
        required,
        [
            "ecs:TagResource arn:aws:ecs:us-west-2:111111111111:task-definition/web:*",
            "iam:PassRole arn:aws:iam::111111111111:role/web-task arn:aws:iam::222222222222:role/other",
        ]
    );
}
