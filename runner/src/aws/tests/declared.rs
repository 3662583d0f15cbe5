//! What every operation declares of itself: IAM's action, its access level, how it may be sent again, and the resources
//! that its permission is checked against. The expectations follow IAM's service authorization reference.

use super::canned::here;
use crate::aws::ecr_promote::CopyPart;
use crate::aws::operation::{Operation, PASS_ROLE, Read, RetryClass, Write};
use crate::aws::passed_to;
use crate::aws::secretsmanager::GetSecretValueRequest;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation;
use crate::contract::bindings::kiln::aws_cloudwatch::cloudwatch;
use crate::contract::bindings::kiln::aws_codebuild::codebuild;
use crate::contract::bindings::kiln::aws_ec2::ec2;
use crate::contract::bindings::kiln::aws_ecr::ecr;
use crate::contract::bindings::kiln::aws_ecr_promote::{ecr_layers, ecr_promote};
use crate::contract::bindings::kiln::aws_ecr_storage::ecr_storage;
use crate::contract::bindings::kiln::aws_ecs::ecs;
use crate::contract::bindings::kiln::aws_ecs_inventory::ecs_inventory;
use crate::contract::bindings::kiln::aws_elasticloadbalancing::elasticloadbalancing;
use crate::contract::bindings::kiln::aws_events::events;
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder;
use crate::contract::bindings::kiln::aws_inspector2::inspector2;
use crate::contract::bindings::kiln::aws_kms::kms;
use crate::contract::bindings::kiln::aws_kms_access::kms_access;
use crate::contract::bindings::kiln::aws_lambda::lambda;
use crate::contract::bindings::kiln::aws_logs::logs;
use crate::contract::bindings::kiln::aws_s3::s3;
use crate::contract::bindings::kiln::aws_scheduler::scheduler;
use crate::contract::bindings::kiln::aws_secretsmanager::secretsmanager;
use crate::contract::bindings::kiln::aws_ssm::ssm;
use crate::contract::bindings::kiln::aws_sts::sts;
use crate::policy::{missing_types, required_types};

/// What an operation declares.
struct Declared {
    /// Action, access level, retry class, resources. ARNs of the stage's own place are written without it.
    line: String,
    action: &'static str,
    /// Of a write: how it may be sent again, and the reads by which a lost answer is looked up.
    write: Option<(RetryClass, &'static [&'static str])>,
    /// The members of the request and of the answer that are secret.
    sensitive: [&'static [&'static str]; 2],
    /// What the permission is checked against.
    resources: Vec<String>,
    /// The actions that it requires besides, and the roles that it passes.
    requires: Vec<&'static str>,
    passes: usize,
    passes_to: Option<&'static str>,
}

/// Says what it declares.
trait Declares {
    fn declares(&self) -> Declared;
}

macro_rules! declares {
    ($($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
        $($access:ident $function:ident($request:ident),)*
    })*) => {
        $($(declares!($access crate::contract::bindings::kiln::$package::$interface::$request);)*)*
    };
    (read $request:ty) => {
        impl Declares for $request {
            fn declares(&self) -> Declared {
                Declared {
                    line: format!("{} read {}", Self::ACTION, on(self)).trim_end().to_owned(),
                    action: Self::ACTION,
                    write: None,
                    sensitive: [Self::SENSITIVE_REQUEST, Self::SENSITIVE],
                    ..checked(self)
                }
            }
        }
    };
    (write $request:ty) => {
        impl Declares for $request {
            fn declares(&self) -> Declared {
                Declared {
                    line: format!("{} write {:?} {}", Self::ACTION, Self::RETRY, on(self)).trim_end().to_owned(),
                    action: Self::ACTION,
                    write: Some((Self::RETRY, Self::LOOKS)),
                    sensitive: [Self::SENSITIVE_REQUEST, &[]],
                    ..checked(self)
                }
            }
        }
    };
}

crate::aws::services!(declares);
declares!(read GetSecretValueRequest);
declares!(write CopyPart);

/// What IAM is asked for one call.
fn checked<O: Operation>(operation: &O) -> Declared {
    Declared {
        line: String::new(),
        action: O::ACTION,
        write: None,
        sensitive: [&[], &[]],
        resources: operation.resources(&here()).iter().map(ToString::to_string).collect(),
        requires: operation.requires(&here()).into_iter().map(|(action, _)| action).collect(),
        passes: operation.passes(&here()).len(),
        passes_to: O::PASSES_TO,
    }
}

fn declared(operation: impl Declares) -> Declared {
    operation.declares()
}

/// What the permission for `operation` is checked against. ARNs of the stage's own place are written without it.
fn on<O: Operation>(operation: &O) -> String {
    let service = O::ACTION.split(':').next().unwrap_or_default();
    let own = format!("arn:aws:{service}:us-west-2:111111111111:");
    let resources: Vec<String> = operation.resources(&here()).iter().map(ToString::to_string).collect();
    resources.join(" ").replace(&own, "~")
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
        declared(ecr_storage::UpdateImageStorageClassRequest {
            repository: text("web"),
            digest: text("sha256:0a"),
            storage_class: text("ARCHIVE"),
        }),
        declared(ecr_storage::DescribeStoredImagesRequest { repository: text("web"), digests: vec![] }),
        declared(ecr_promote::CheckLayersRequest { repository: text("web"), digests: vec![] }),
        declared(ecr_promote::StartLayerRequest { repository: text("web"), digest: text("sha256:0a") }),
        declared(ecr_promote::CompleteLayerRequest {
            repository: text("web"),
            upload_id: text("0a-1b"),
            digest: text("sha256:0a"),
        }),
        declared(ecr_promote::DescribeImageReplicationRequest { repository: text("web"), digest: text("sha256:0a") }),
        declared(CopyPart {
            request: ecr_layers::CopyLayerPartRequest {
                repository: text("web"),
                upload_id: text("0a-1b"),
                digest: text("sha256:0a"),
                first: 0,
                last: 9,
                source_environment: None,
                source_repository: text("other"),
            },
            source: None,
        }),
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
            deployment_configuration: None,
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
        declared(cloudwatch::ListAlarmMuteRulesRequest { statuses: texts(&["ACTIVE"]) }),
        declared(cloudwatch::GetAlarmMuteRuleRequest { name: text("nightly") }),
        declared(cloudwatch::GetMetricDataRequest {
            namespace: text("AWS/ECS"),
            metric: text("CPUUtilization"),
            dimensions: vec![],
            statistic: text("Average"),
            period: 60,
            start: 0,
            end: 1,
        }),
        declared(ecs_inventory::ListClustersRequest { reserved: false }),
        declared(ecs_inventory::ListTaskDefinitionsRequest { family: None, status: text("ACTIVE") }),
        declared(ecs_inventory::DescribeTaskImagesRequest { task_definition: text("web") }),
        declared(events::ListEventBusesRequest { name_prefix: None }),
        declared(events::ListRulesRequest { event_bus: text("default") }),
        declared(events::ListTargetsByRuleRequest { event_bus: text("default"), rule: text("nightly") }),
        declared(events::ListTargetsByRuleRequest { event_bus: text("orders"), rule: text("nightly") }),
        declared(scheduler::ListSchedulesRequest { group: None }),
        declared(scheduler::GetScheduleRequest { name: text("nightly"), group: text("default") }),
        declared(lambda::ListFunctionsRequest { all_versions: true }),
        declared(lambda::GetFunctionRequest { name: text("thumbnails"), qualifier: Some(text("3")) }),
        declared(autoscaling::DescribeAutoScalingGroupsRequest { names: texts(&["web"]) }),
        declared(autoscaling::DescribeLaunchConfigurationsRequest { names: vec![] }),
        declared(autoscaling::DescribeScalingActivitiesRequest { group: text("web"), limit: 1 }),
        declared(autoscaling::DescribeInstanceRefreshesRequest { group: text("web"), ids: vec![], limit: 1 }),
        declared(autoscaling::StartInstanceRefreshRequest {
            group: text("web"),
            strategy: None,
            desired_configuration: Some(text("{}")),
            preferences: None,
            roles: texts(&["web", "arn:aws:iam::222222222222:role/app/web"]),
        }),
        declared(autoscaling::CancelInstanceRefreshRequest {
            group: text("web"),
            id: text("0a-1b"),
            wait_for_transitions: None,
        }),
        declared(autoscaling::RollbackInstanceRefreshRequest { group: text("web"), id: text("0a-1b") }),
        declared(autoscaling::DescribeTrafficSourcesRequest { group: text("web") }),
        declared(autoscaling::DescribePoliciesRequest { group: text("web") }),
        declared(autoscaling::DescribeLifecycleHooksRequest { group: text("web") }),
        declared(autoscaling::DescribeWarmPoolRequest { group: text("web") }),
        declared(elasticloadbalancing::DescribeLoadBalancersRequest { arns: vec![], names: texts(&["web"]) }),
        declared(elasticloadbalancing::DescribeListenersRequest { load_balancer: None, arns: vec![] }),
        declared(elasticloadbalancing::DescribeRulesRequest { listener: None, arns: vec![] }),
        declared(elasticloadbalancing::DescribeTargetGroupsRequest {
            arns: vec![],
            names: vec![],
            load_balancer: None,
        }),
        declared(elasticloadbalancing::DescribeTargetHealthRequest { target_group: text("arn") }),
        declared(elasticloadbalancing::DescribeTargetGroupAttributesRequest { target_group: text("arn") }),
    ]
    .into_iter()
    .chain(all_of_ec2())
    .collect()
}

fn all_of_ec2() -> Vec<Declared> {
    let (image, template) = (|| text("ami-1"), || text("lt-1"));
    vec![
        declared(ec2::DescribeImagesRequest { ids: vec![], owners: vec![], filters: vec![], include_disabled: true }),
        declared(ec2::DescribeLaunchPermissionRequest { image: image() }),
        declared(ec2::DescribeSnapshotsRequest { ids: vec![], owners: vec![], filters: vec![] }),
        declared(ec2::DescribeImageReferencesRequest { images: vec![image()], template_versions: 1 }),
        declared(ec2::CreateImageUsageReportRequest { image: image(), resource_types: vec![] }),
        declared(ec2::DescribeImageUsageReportsRequest { images: vec![image()] }),
        declared(ec2::DescribeImageUsageReportEntriesRequest { reports: texts(&["amiur-1"]) }),
        declared(ec2::EnableImageDeprecationRequest { image: image(), at: 0 }),
        declared(ec2::DisableImageRequest { image: image() }),
        declared(ec2::DeregisterImageRequest { image: image(), delete_snapshots: true }),
        declared(ec2::DeleteSnapshotRequest { snapshot: text("snap-1") }),
        declared(ec2::CreateTagsRequest { resources: texts(&["ami-1", "snap-1", "lt-1", "i-1"]), tags: vec![] }),
        declared(ec2::DescribeLaunchTemplatesRequest { ids: vec![], names: vec![] }),
        declared(ec2::DescribeLaunchTemplateVersionsRequest { template: Some(template()), versions: vec![] }),
        declared(ec2::CreateLaunchTemplateVersionRequest {
            template: template(),
            source_version: Some(1),
            description: None,
            data: text("{}"),
        }),
        declared(ec2::ModifyLaunchTemplateRequest { template: template(), default_version: 2 }),
        declared(ec2::DescribeInstancesRequest { ids: vec![], filters: vec![] }),
        declared(ec2::DescribeInstanceStatusRequest { ids: vec![], all_states: false }),
        declared(ec2::GetConsoleOutputRequest { instance: text("i-1") }),
        declared(ec2::DescribeSubnetsRequest { ids: vec![] }),
        declared(ec2::DescribeSecurityGroupsRequest { ids: vec![] }),
    ]
    .into_iter()
    .chain(of_machines())
    .collect()
}

/// What machine images are made, scanned and named by.
fn of_machines() -> Vec<Declared> {
    let arn = |resource: &str| format!("arn:aws:imagebuilder:us-west-2:111111111111:{resource}");
    let image = arn("image/web/1.0.0/2");
    vec![
        declared(kms_access::GetKeyPolicyRequest { key_id: text("0a-1b") }),
        declared(kms_access::ListGrantsRequest { key_id: text("0a-1b") }),
        declared(imagebuilder::StartImagePipelineExecutionRequest {
            pipeline: arn("image-pipeline/web"),
            tags: vec![],
        }),
        declared(imagebuilder::CreateImageRequest {
            recipe: arn("image-recipe/web/1.0.0"),
            infrastructure: arn("infrastructure-configuration/web"),
            distribution: Some(arn("distribution-configuration/web")),
            tests: None,
            scans: None,
            tags: vec![],
        }),
        declared(imagebuilder::CancelImageCreationRequest { image: image.clone() }),
        declared(imagebuilder::DeleteImageRequest { image: image.clone() }),
        declared(imagebuilder::GetImageRequest { image: image.clone() }),
        declared(imagebuilder::GetImagePipelineRequest { pipeline: arn("image-pipeline/web") }),
        declared(imagebuilder::GetImageRecipeRequest { recipe: arn("image-recipe/web/1.0.0") }),
        declared(imagebuilder::ListImageRecipesRequest { name: None }),
        declared(imagebuilder::GetInfrastructureConfigurationRequest {
            infrastructure: arn("infrastructure-configuration/web"),
        }),
        declared(imagebuilder::GetDistributionConfigurationRequest {
            distribution: arn("distribution-configuration/web"),
        }),
        declared(imagebuilder::ListImagePipelineImagesRequest { pipeline: arn("image-pipeline/web") }),
        declared(imagebuilder::ListImagesRequest { name: None }),
        declared(imagebuilder::ListImageBuildVersionsRequest { version: arn("image/web/1.0.0") }),
        declared(imagebuilder::ListWorkflowExecutionsRequest { image: image.clone() }),
        declared(imagebuilder::ListWorkflowStepExecutionsRequest { execution: text("wf-0a") }),
        declared(imagebuilder::ListImageScanFindingsRequest { image }),
        declared(imagebuilder::ListLifecyclePoliciesRequest { name: None }),
        declared(imagebuilder::GetLifecyclePolicyRequest { policy: arn("lifecycle-policy/old") }),
        declared(inspector2::ListFindingsRequest {
            machine_images: texts(&["ami-0a"]),
            of_instances_from: vec![],
            resources: vec![],
        }),
        declared(inspector2::ListCoverageRequest { resources: texts(&["ami-0a"]) }),
        declared(inspector2::BatchGetAccountStatusRequest { account: None }),
        declared(inspector2::StartOnDemandScanRequest { machine_image: text("ami-0a") }),
        declared(inspector2::GetOnDemandScanStatusRequest { machine_image: text("ami-0a"), scan: text("0a") }),
        declared(inspector2::ListOnDemandScansRequest { machine_image: text("ami-0a") }),
        declared(ssm::GetParameterRequest { name: text("/web/ami:3") }),
        declared(ssm::GetParameterRequest { name: text("/aws/service/ami-amazon-linux-latest/al2023") }),
        declared(ssm::GetParametersByPathRequest { path: text("/web"), recursive: true }),
        declared(ssm::DescribeParametersRequest { prefix: None, parameter_type: None }),
        declared(ssm::GetParameterHistoryRequest { name: text("ami") }),
        declared(ssm::PutParameterRequest {
            name: text("/web/ami"),
            value: text("ami-0a"),
            parameter_type: text("String"),
            overwrite: true,
            data_type: None,
            description: None,
        }),
    ]
    .into_iter()
    .chain(stacks())
    .collect()
}

/// CloudFormation, and S3 for its templates.
fn stacks() -> Vec<Declared> {
    let id = "arn:aws:cloudformation:us-west-2:111111111111:stack/web/0a";
    let template = || cloudformation::TemplateSource { body: Some(text("{}")), url: None };
    vec![
        declared(cloudformation::ValidateTemplateRequest { template: template() }),
        declared(cloudformation::GetTemplateSummaryRequest { template: None, stack: Some(text("web")) }),
        declared(change_set()),
        declared(cloudformation::DescribeChangeSetRequest { stack: text("web"), name: text("kiln-0a"), values: true }),
        declared(cloudformation::ExecuteChangeSetRequest {
            stack: text(id),
            name: text("kiln-0a"),
            disable_rollback: None,
            retain_except_on_create: false,
        }),
        declared(cloudformation::DeleteChangeSetRequest { stack: text("web"), name: text("kiln-0a") }),
        declared(cloudformation::DescribeStacksRequest { stack: None }),
        declared(cloudformation::ListStackResourcesRequest { stack: text(id) }),
        declared(cloudformation::DescribeStackEventsRequest { stack: text("web"), after: None, since: None }),
        declared(cloudformation::DescribeEventsRequest {
            stack: text("web"),
            operation: Some(text("0a")),
            change_set: None,
            failed: true,
        }),
        declared(cloudformation::GetTemplateRequest { stack: text("web"), change_set: None, processed: false }),
        declared(cloudformation::ContinueUpdateRollbackRequest { stack: text("web"), role: None, skip: vec![] }),
        declared(cloudformation::RollbackStackRequest {
            stack: text("web"),
            role: Some(text("arn:aws:iam::111111111111:role/stacks")),
            retain_except_on_create: true,
        }),
        declared(cloudformation::CancelUpdateStackRequest { stack: text("web") }),
        declared(cloudformation::DeleteStackRequest { stack: text("web"), retain: vec![], role: None }),
        declared(cloudformation::DetectStackDriftRequest { stack: text("web"), resources: vec![] }),
        declared(cloudformation::DescribeStackDriftDetectionStatusRequest { detection: text("0a-1b") }),
        declared(cloudformation::DescribeStackResourceDriftsRequest { stack: text("web"), statuses: vec![] }),
        declared(cloudformation::GetStackPolicyRequest { stack: text("web") }),
        declared(cloudformation::SetStackPolicyRequest { stack: text("web"), body: text("{}") }),
        declared(cloudformation::UpdateTerminationProtectionRequest { stack: text("web"), enabled: true }),
        declared(cloudformation::ListExportsRequest { stack_id: None }),
        declared(cloudformation::ListImportsRequest { name: text("web-vpc") }),
        declared(s3::PutTextRequest {
            bucket: text("templates"),
            prefix: text("kiln/"),
            suffix: text(".yaml"),
            text: text("Resources: {}\n"),
            key: Some(text("arn:aws:kms:us-west-2:111111111111:key/0a-1b")),
            owner: None,
        }),
    ]
}

fn change_set() -> cloudformation::CreateChangeSetRequest {
    cloudformation::CreateChangeSetRequest {
        stack: text("web"),
        type_: text("UPDATE"),
        template: Some(cloudformation::TemplateSource { body: Some(text("{}")), url: None }),
        parameters: vec![],
        capabilities: vec![],
        tags: Some(vec![Pair { name: text("team"), value: text("web") }]),
        role: Some(text("arn:aws:iam::111111111111:role/stacks")),
        triggers: None,
        notifications: None,
        description: None,
        nested: true,
        on_stack_failure: None,
        revert_drift: false,
        mode: None,
        skip_validation: false,
    }
}

#[test]
fn a_change_set_passes_its_role_and_hands_on_only_secrets_that_the_stage_names() {
    let secret = "arn:aws:secretsmanager:us-west-2:111111111111:secret:db-AbCdEf";
    let value = Some(format!("{{{{resolve:secretsmanager:{secret}:SecretString:password::v1}}}}"));
    let parameters = vec![cloudformation::Parameter { name: text("Password"), value }];
    let request = cloudformation::CreateChangeSetRequest { parameters, ..change_set() };
    assert_eq!(request.secret_references(), [format!("{secret}:password::v1")]);
    let passed: Vec<String> = request.passes(&here()).iter().map(ToString::to_string).collect();
    assert_eq!(passed, ["arn:aws:iam::111111111111:role/stacks"]);
    let required: Vec<_> = request.requires(&here()).into_iter().map(|(action, _)| action).collect();
    assert_eq!(required, ["cloudformation:TagResource"]);
    assert_eq!(passed_to(cloudformation::CreateChangeSetRequest::ACTION), Some("cloudformation.amazonaws.com"));
    let untagged = cloudformation::CreateChangeSetRequest { tags: None, ..change_set() };
    assert!(untagged.requires(&here()).is_empty());
}

#[test]
fn a_template_that_lies_in_s3_is_read_by_whoever_makes_a_change_set_of_it() {
    let url = text("https://templates.s3.us-west-2.amazonaws.com/kiln/0a.yaml?versionId=3");
    let template = Some(cloudformation::TemplateSource { body: None, url: Some(url) });
    let request = cloudformation::CreateChangeSetRequest { template, tags: None, ..change_set() };
    let required: Vec<_> =
        request.requires(&here()).into_iter().map(|(action, on)| format!("{action} {}", on[0])).collect();
    assert_eq!(required, ["s3:GetObject arn:aws:s3:::templates/kiln/0a.yaml"]);
}

#[test]
fn operations_declare_what_iam_ties_them_to() {
    let expected = [
        "sts:GetCallerIdentity read",
        "secretsmanager:DescribeSecret read ~secret:prod/registry-??????",
        "secretsmanager:GetSecretValue read ~secret:prod/registry-??????",
        "kms:DescribeKey read ~alias/team/web",
        "kms:Encrypt read ~key/0a-1b",
        "kms:Decrypt read ~key/0a-1b",
        "ecr:DescribeRepositories read ~repository/team/web arn:aws:ecr:eu-west-1:222222222222:repository/web",
        "ecr:DescribeImages read ~repository/web",
        "ecr:BatchGetImage read ~repository/web",
        "ecr:PutImage write Natural ~repository/web",
        "ecr:BatchDeleteImage write Natural ~repository/web",
        "ecr:StartImageScan write Natural ~repository/web",
        "ecr:DescribeImageScanFindings read ~repository/web",
        "ecr:BatchGetRepositoryScanningConfiguration read ~repository/web ~repository/api",
        "ecr:UpdateImageStorageClass write Natural ~repository/web",
        "ecr:DescribeImages read ~repository/web",
        "ecr:BatchCheckLayerAvailability read ~repository/web",
        "ecr:InitiateLayerUpload write Natural ~repository/web",
        "ecr:CompleteLayerUpload write Natural ~repository/web",
        "ecr:DescribeImageReplicationStatus read ~repository/web",
        "ecr:UploadLayerPart write Natural ~repository/web",
        "codebuild:StartBuild write Token ~project/web-image",
        "codebuild:BatchGetBuilds read ~project/web-image arn:aws:codebuild:eu-west-1:222222222222:project/other \
         ~project/no-id",
        "codebuild:StopBuild write Natural ~project/web-image",
        "codebuild:ListBuildsForProject read ~project/web-image",
        "codebuild:BatchGetProjects read ~project/web-image ~project/api-image",
        "logs:GetLogEvents read ~log-group:/aws/x:log-stream:a/b",
        "ecs:DescribeServices read ~service/web/web ~service/web/api",
        "ecs:ListServices read",
        "ecs:DescribeTaskDefinition read",
        "ecs:RegisterTaskDefinition write Unsafe ~task-definition/web:*",
        "ecs:DeregisterTaskDefinition write Natural",
        "ecs:UpdateService write Unsafe arn:aws:ecs:eu-west-1:222222222222:service/prod/web",
        "ecs:ListTasks read ~container-instance/web/*",
        "ecs:DescribeTasks read ~task/web/0a1b",
        "ecs:ListServiceDeployments read ~service/web/api",
        "ecs:DescribeServiceDeployments read ~service-deployment/web/web/abc ~service/web/web",
        "ecs:DescribeServiceRevisions read ~service-revision/web/web/1 ~service/web/web",
        "ecs:StopServiceDeployment write Unsafe ~service-deployment/web/web/abc ~service/web/web",
        "cloudwatch:DescribeAlarms read ~alarm:web-5xx ~alarm:web p99",
        "cloudwatch:ListAlarmMuteRules read",
        "cloudwatch:GetAlarmMuteRule read ~alarm-mute-rule:nightly",
        "cloudwatch:GetMetricData read",
        "ecs:ListClusters read",
        "ecs:ListTaskDefinitions read",
        "ecs:DescribeTaskDefinition read",
        "events:ListEventBuses read",
        "events:ListRules read",
        "events:ListTargetsByRule read ~rule/nightly",
        "events:ListTargetsByRule read ~rule/orders/nightly",
        "scheduler:ListSchedules read",
        "scheduler:GetSchedule read ~schedule/default/nightly",
        "lambda:ListFunctions read",
        "lambda:GetFunction read ~function:thumbnails",
        "autoscaling:DescribeAutoScalingGroups read",
        "autoscaling:DescribeLaunchConfigurations read",
        "autoscaling:DescribeScalingActivities read",
        "autoscaling:DescribeInstanceRefreshes read",
        "autoscaling:StartInstanceRefresh write Unsafe ~autoScalingGroup:*:autoScalingGroupName/web",
        "autoscaling:CancelInstanceRefresh write Unsafe ~autoScalingGroup:*:autoScalingGroupName/web",
        "autoscaling:RollbackInstanceRefresh write Unsafe ~autoScalingGroup:*:autoScalingGroupName/web",
        "autoscaling:DescribeTrafficSources read",
        "autoscaling:DescribePolicies read",
        "autoscaling:DescribeLifecycleHooks read",
        "autoscaling:DescribeWarmPool read",
        "elasticloadbalancing:DescribeLoadBalancers read",
        "elasticloadbalancing:DescribeListeners read",
        "elasticloadbalancing:DescribeRules read",
        "elasticloadbalancing:DescribeTargetGroups read",
        "elasticloadbalancing:DescribeTargetHealth read",
        "elasticloadbalancing:DescribeTargetGroupAttributes read",
        "ec2:DescribeImages read",
        "ec2:DescribeImageAttribute read arn:aws:ec2:us-west-2::image/ami-1",
        "ec2:DescribeSnapshots read",
        "ec2:DescribeImageReferences read",
        "ec2:CreateImageUsageReport write Token arn:aws:ec2:us-west-2::image/ami-1 ~image-usage-report/*",
        "ec2:DescribeImageUsageReports read",
        "ec2:DescribeImageUsageReportEntries read",
        "ec2:EnableImageDeprecation write Natural arn:aws:ec2:us-west-2::image/ami-1",
        "ec2:DisableImage write Natural arn:aws:ec2:us-west-2::image/ami-1",
        "ec2:DeregisterImage write Natural arn:aws:ec2:us-west-2::image/ami-1",
        "ec2:DeleteSnapshot write Natural arn:aws:ec2:us-west-2::snapshot/snap-1",
        "ec2:CreateTags write Natural arn:aws:ec2:us-west-2::image/ami-1 arn:aws:ec2:us-west-2::snapshot/snap-1 \
         ~launch-template/lt-1 ~instance/i-1",
        "ec2:DescribeLaunchTemplates read",
        "ec2:DescribeLaunchTemplateVersions read",
        "ec2:CreateLaunchTemplateVersion write Token ~launch-template/lt-1",
        "ec2:ModifyLaunchTemplate write Token ~launch-template/lt-1",
        "ec2:DescribeInstances read",
        "ec2:DescribeInstanceStatus read",
        "ec2:GetConsoleOutput read ~instance/i-1",
        "ec2:DescribeSubnets read",
        "ec2:DescribeSecurityGroups read",
        "kms:GetKeyPolicy read ~key/0a-1b",
        "kms:ListGrants read ~key/0a-1b",
        "imagebuilder:StartImagePipelineExecution write Token ~image-pipeline/web",
        "imagebuilder:CreateImage write Token ~image/web/1.0.0/*",
        "imagebuilder:CancelImageCreation write Token ~image/web/1.0.0/2",
        "imagebuilder:DeleteImage write Natural ~image/web/1.0.0/2",
        "imagebuilder:GetImage read ~image/web/1.0.0/2",
        "imagebuilder:GetImagePipeline read ~image-pipeline/web",
        "imagebuilder:GetImageRecipe read ~image-recipe/web/1.0.0",
        "imagebuilder:ListImageRecipes read",
        "imagebuilder:GetInfrastructureConfiguration read ~infrastructure-configuration/web",
        "imagebuilder:GetDistributionConfiguration read ~distribution-configuration/web",
        "imagebuilder:ListImagePipelineImages read ~image-pipeline/web",
        "imagebuilder:ListImages read",
        "imagebuilder:ListImageBuildVersions read ~image/web/1.0.0",
        "imagebuilder:ListWorkflowExecutions read ~image/web/1.0.0/2",
        "imagebuilder:ListWorkflowStepExecutions read ~workflow-execution/wf-0a",
        "imagebuilder:ListImageScanFindings read ~image/web/1.0.0/2",
        "imagebuilder:ListLifecyclePolicies read",
        "imagebuilder:GetLifecyclePolicy read ~lifecycle-policy/old",
        "inspector2:ListFindings read",
        "inspector2:ListCoverage read",
        "inspector2:BatchGetAccountStatus read",
        "inspector2:StartOnDemandScan write Token",
        "inspector2:GetOnDemandScanStatus read",
        "inspector2:ListOnDemandScans read",
        "ssm:GetParameter read ~parameter/web/ami",
        "ssm:GetParameter read arn:aws:ssm:us-west-2::parameter/aws/service/ami-amazon-linux-latest/al2023",
        "ssm:GetParametersByPath read ~parameter/web",
        "ssm:DescribeParameters read",
        "ssm:GetParameterHistory read ~parameter/ami",
        "ssm:PutParameter write Natural ~parameter/web/ami",
        "cloudformation:ValidateTemplate read",
        "cloudformation:GetTemplateSummary read ~stack/web/*",
        "cloudformation:CreateChangeSet write Natural ~stack/web/*",
        "cloudformation:DescribeChangeSet read ~stack/web/*",
        "cloudformation:ExecuteChangeSet write Unsafe ~stack/web/0a",
        "cloudformation:DeleteChangeSet write Natural ~stack/web/*",
        "cloudformation:DescribeStacks read ~stack/*/*",
        "cloudformation:ListStackResources read ~stack/web/0a",
        "cloudformation:DescribeStackEvents read ~stack/web/*",
        "cloudformation:DescribeEvents read ~stack/web/*",
        "cloudformation:GetTemplate read ~stack/web/*",
        "cloudformation:ContinueUpdateRollback write Unsafe ~stack/web/*",
        "cloudformation:RollbackStack write Unsafe ~stack/web/*",
        "cloudformation:CancelUpdateStack write Unsafe ~stack/web/*",
        "cloudformation:DeleteStack write Unsafe ~stack/web/*",
        "cloudformation:DetectStackDrift write Natural ~stack/web/*",
        "cloudformation:DescribeStackDriftDetectionStatus read",
        "cloudformation:DescribeStackResourceDrifts read ~stack/web/*",
        "cloudformation:GetStackPolicy read ~stack/web/*",
        "cloudformation:SetStackPolicy write Natural ~stack/web/*",
        "cloudformation:UpdateTerminationProtection write Natural ~stack/web/*",
        "cloudformation:ListExports read",
        "cloudformation:ListImports read",
        "s3:PutObject write Natural arn:aws:s3:::templates/kiln/49cbd1e9008e8b67dec76613bb4d6468c822c99701820526928d43b382f35fba.yaml",
    ];
    let lines: Vec<String> = all().into_iter().map(|declared| declared.line).collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_book_tells_how_every_write_is_looked_up() {
    let book = include_str!("../../../../docs/durability.md");
    let mut told: Vec<&str> = book.lines().filter(|line| line.starts_with("| `")).collect();
    for Declared { action, write, .. } in all() {
        let Some((retry, looks)) = write else { continue };
        let class = format!("{retry:?}").to_lowercase();
        let looks: Vec<String> = looks.iter().map(|action| format!("`{action}`")).collect();
        let looks = if looks.is_empty() { "nothing".to_owned() } else { looks.join(", ") };
        let line = format!("| `{action}` | {class} | {looks} | ");
        let before = told.len();
        told.retain(|told| !told.starts_with(&line));
        assert_eq!(told.len() + 1, before, "docs/durability.md needs one line that begins with {line}");
    }
    assert!(told.is_empty(), "docs/durability.md tells of more: {told:#?}");
}

#[test]
fn every_write_is_looked_up() {
    for Declared { action, write, .. } in all() {
        match write {
            // ECR says that the image is there already, which counts as its success; it forgets an upload that nobody goes on with,
            // and takes each part of one once. To look for drift again is as good, and an object's key is its digest.
            Some(_)
                if matches!(
                    action,
                    "ecr:PutImage"
                        | "ecr:InitiateLayerUpload"
                        | "ecr:UploadLayerPart"
                        | "cloudformation:DetectStackDrift"
                        | "s3:PutObject"
                ) => {}
            Some((_, looks)) => assert!(!looks.is_empty(), "{action} has no look-up"),
            None => {}
        }
    }
}

#[test]
fn looks_are_reads_that_stages_could_make_too() {
    let all = all();
    for look in all.iter().filter_map(|declared| declared.write).flat_map(|(_, looks)| looks) {
        let known = all.iter().find(|declared| declared.action == *look);
        assert!(known.is_some_and(|known| known.write.is_none()), "{look}");
    }
}

#[test]
fn no_function_of_the_contract_is_forgotten() {
    let packages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/deps");
    let of_aws = std::fs::read_dir(packages).unwrap().map(|package| package.unwrap());
    let of_aws = of_aws.filter(|package| package.file_name().to_string_lossy().starts_with("kiln-aws"));
    let files = of_aws.flat_map(|package| std::fs::read_dir(package.path()).unwrap());
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let functions = texts.map(|text| text.matches(": func(").count()).sum::<usize>();
    // One operation is the host's own, `secretsmanager:GetSecretValue`, and two stand there twice.
    assert_eq!(all().len(), functions + 3);
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
    let texts = |arns: &[crate::types::Arn]| arns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let required: Vec<_> = operation.requires(&here()).into_iter().map(|(action, on)| (action, texts(&on))).collect();
    let tagged = vec![text("arn:aws:ecs:us-west-2:111111111111:task-definition/web:*")];
    assert_eq!(required, [("ecs:TagResource", tagged)]);
    assert_eq!(
        texts(&operation.passes(&here())),
        ["arn:aws:iam::111111111111:role/web-task", "arn:aws:iam::222222222222:role/other"]
    );
    assert_eq!(passed_to(ecs::RegisterTaskDefinitionRequest::ACTION), Some("ecs-tasks.amazonaws.com"));
    assert_eq!(passed_to(ecs::UpdateServiceRequest::ACTION), None);
}

#[test]
fn a_refresh_to_a_launch_template_needs_what_launching_needs() {
    let refresh = |desired: Option<&str>| autoscaling::StartInstanceRefreshRequest {
        group: text("web"),
        strategy: None,
        desired_configuration: desired.map(text),
        preferences: None,
        roles: texts(&["app/web", "arn:aws:iam::222222222222:role/other"]),
    };
    let texts = |arns: &[crate::types::Arn]| arns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let required = refresh(Some("{}")).requires(&here());
    assert_eq!(required.len(), 1);
    let (action, on) = (required[0].0, texts(&required[0].1));
    assert_eq!(action, "ec2:RunInstances");
    assert!(missing_types(action, &on).is_empty(), "{on:?}");
    assert!(on.contains(&text("arn:aws:ec2:us-west-2::image/*")), "{on:?}");
    assert!(refresh(None).requires(&here()).is_empty(), "nothing says what is launched");
    let roles = ["arn:aws:iam::111111111111:role/app/web", "arn:aws:iam::222222222222:role/other"];
    assert_eq!(texts(&refresh(None).passes(&here())), roles);
    assert_eq!(passed_to(autoscaling::StartInstanceRefreshRequest::ACTION), Some("ec2.amazonaws.com"));
}

#[test]
fn roles_are_passed_to_a_service_that_is_named() {
    let document = r#"{"family": "web", "containerDefinitions": [{}], "taskRoleArn": "web"}"#;
    let passing = declared(ecs::RegisterTaskDefinitionRequest { document: text(document), tags: vec![] });
    assert_eq!(passing.passes, 1);
    for Declared { action, requires, passes, passes_to, .. } in all().into_iter().chain([passing]) {
        assert!(!requires.contains(&PASS_ROLE), "{action} tells roles by `passes`, which says to whom");
        assert!(passes == 0 || passes_to.is_some(), "{action} passes roles to nobody");
        assert!(passes_to.is_none_or(|to| to.ends_with(".amazonaws.com")), "{action}: {passes_to:?}");
    }
}

#[test]
fn every_resource_type_that_iam_requires_is_asked_for() {
    for Declared { action, resources, .. } in all() {
        match required_types(action) {
            None => assert!(resources.is_empty(), "{action} is missing in policy/required.rs: {resources:?}"),
            Some(types) => {
                assert!(!resources.is_empty(), "{action} is tied to resources and names none");
                assert!(missing_types(action, &resources).is_empty(), "{action} lacks a type: {resources:?}");
                let known = |arn: &String| {
                    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
                    types.is_empty() || types.iter().any(|begin| resource.starts_with(begin))
                };
                assert!(resources.iter().all(known), "{action} names another type: {resources:?}");
            }
        }
    }
}
