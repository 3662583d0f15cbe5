//! AWS: one module a service, named as its WIT file, and the table of them all.

pub mod clients;
pub(crate) mod cloudformation_query;
mod download;
pub(crate) mod ec2_query;
pub mod error;
pub mod heard;
mod limits;
pub mod login;
pub mod look;
mod names;
pub mod network;
pub(crate) mod offered;
pub mod operation;
pub(crate) mod orchestrated;
pub(crate) mod pacing;
mod query;
mod raw_json;
mod raw_query;
pub mod request_id;
pub(crate) mod retry;
pub(crate) mod s3_rest;
mod values;

pub mod autoscaling;
pub mod cloudformation;
pub mod cloudwatch;
pub mod codebuild;
pub mod ec2;
pub mod ecr;
pub(crate) mod ecr_promote;
pub mod ecr_storage;
pub mod ecs;
pub mod ecs_inventory;
pub mod elasticloadbalancing;
pub mod events;
pub mod iam;
pub mod imagebuilder;
pub mod inspector2;
pub mod kms;
pub mod kms_access;
pub mod lambda;
pub mod logs;
pub mod s3;
pub mod scheduler;
pub mod secretsmanager;
pub mod ssm;
pub mod sts;

#[cfg(test)]
mod tests;

/// Every service: its interface, the package that this is in, its client, and its functions, each with its request. `$then` makes of
/// the table what is needed of it: the clients, the host of each interface, the links. A function of the contract that is missing here
/// does not compile.
macro_rules! services {
    ($then:ident $($more:tt)*) => {
        $then! {
            $($more)*
            /// Security Token Service.
            sts in aws_sts by aws_sdk_sts {
                read get_caller_identity(GetCallerIdentityRequest),
            }
            /// Secrets Manager.
            secretsmanager in aws_secretsmanager by aws_sdk_secretsmanager {
                read describe_secret(DescribeSecretRequest),
            }
            /// Key Management Service.
            kms in aws_kms by aws_sdk_kms {
                read describe_key(DescribeKeyRequest),
                read encrypt(EncryptRequest),
                read decrypt(DecryptRequest),
            }
            /// Elastic Container Registry.
            ecr in aws_ecr by aws_sdk_ecr {
                read describe_repositories(DescribeRepositoriesRequest),
                read describe_images(DescribeImagesRequest),
                read batch_get_image(BatchGetImageRequest),
                write put_image(PutImageRequest),
                write batch_delete_image(BatchDeleteImageRequest),
                write start_image_scan(StartImageScanRequest),
                read describe_image_scan_findings(DescribeImageScanFindingsRequest),
                read batch_get_repository_scanning_configuration(BatchGetRepositoryScanningConfigurationRequest),
            }
            /// Elastic Container Registry, for how images are stored.
            ecr_storage in aws_ecr_storage by aws_sdk_ecr {
                write update_image_storage_class(UpdateImageStorageClassRequest),
                read describe_stored_images(DescribeStoredImagesRequest),
            }
            /// Elastic Container Registry, for images that go from one registry to another.
            ecr_promote in aws_ecr_promote by aws_sdk_ecr {
                read check_layers(CheckLayersRequest),
                write start_layer(StartLayerRequest),
                write complete_layer(CompleteLayerRequest),
                read describe_image_replication(DescribeImageReplicationRequest),
            }
            /// CodeBuild.
            codebuild in aws_codebuild by aws_sdk_codebuild {
                write start_build(StartBuildRequest),
                read batch_get_builds(BatchGetBuildsRequest),
                write stop_build(StopBuildRequest),
                read list_builds_for_project(ListBuildsForProjectRequest),
                read batch_get_projects(BatchGetProjectsRequest),
            }
            /// CloudWatch Logs.
            logs in aws_logs by aws_sdk_cloudwatchlogs {
                read get_log_events(GetLogEventsRequest),
            }
            /// Elastic Container Service.
            ecs in aws_ecs by aws_sdk_ecs {
                read describe_services(DescribeServicesRequest),
                read list_services(ListServicesRequest),
                read describe_task_definition(DescribeTaskDefinitionRequest),
                write register_task_definition(RegisterTaskDefinitionRequest),
                write deregister_task_definition(DeregisterTaskDefinitionRequest),
                write update_service(UpdateServiceRequest),
                read list_tasks(ListTasksRequest),
                read describe_tasks(DescribeTasksRequest),
                read list_service_deployments(ListServiceDeploymentsRequest),
                read describe_service_deployments(DescribeServiceDeploymentsRequest),
                read describe_service_revisions(DescribeServiceRevisionsRequest),
                write stop_service_deployment(StopServiceDeploymentRequest),
            }
            /// CloudWatch.
            cloudwatch in aws_cloudwatch by aws_sdk_cloudwatch {
                read describe_alarms(DescribeAlarmsRequest),
                read list_alarm_mute_rules(ListAlarmMuteRulesRequest),
                read get_alarm_mute_rule(GetAlarmMuteRuleRequest),
                read get_metric_data(GetMetricDataRequest),
            }
            /// Elastic Container Service, for what there is beyond one service.
            ecs_inventory in aws_ecs_inventory by aws_sdk_ecs {
                read list_clusters(ListClustersRequest),
                read list_task_definitions(ListTaskDefinitionsRequest),
                read describe_task_images(DescribeTaskImagesRequest),
            }
            /// EventBridge.
            events in aws_events by aws_sdk_eventbridge {
                read list_event_buses(ListEventBusesRequest),
                read list_rules(ListRulesRequest),
                read list_targets_by_rule(ListTargetsByRuleRequest),
            }
            /// EventBridge Scheduler.
            scheduler in aws_scheduler by aws_sdk_scheduler {
                read list_schedules(ListSchedulesRequest),
                read get_schedule(GetScheduleRequest),
            }
            /// Lambda.
            lambda in aws_lambda by aws_sdk_lambda {
                read list_functions(ListFunctionsRequest),
                read get_function(GetFunctionRequest),
            }
            /// Elastic Compute Cloud.
            ec2 in aws_ec2 by ec2_query {
                read describe_images(DescribeImagesRequest),
                read describe_launch_permission(DescribeLaunchPermissionRequest),
                read describe_snapshots(DescribeSnapshotsRequest),
                read describe_image_references(DescribeImageReferencesRequest),
                write create_image_usage_report(CreateImageUsageReportRequest),
                read describe_image_usage_reports(DescribeImageUsageReportsRequest),
                read describe_image_usage_report_entries(DescribeImageUsageReportEntriesRequest),
                write enable_image_deprecation(EnableImageDeprecationRequest),
                write disable_image(DisableImageRequest),
                write deregister_image(DeregisterImageRequest),
                write delete_snapshot(DeleteSnapshotRequest),
                write create_tags(CreateTagsRequest),
                read describe_launch_templates(DescribeLaunchTemplatesRequest),
                read describe_launch_template_versions(DescribeLaunchTemplateVersionsRequest),
                write create_launch_template_version(CreateLaunchTemplateVersionRequest),
                write modify_launch_template(ModifyLaunchTemplateRequest),
                read describe_instances(DescribeInstancesRequest),
                read describe_instance_status(DescribeInstanceStatusRequest),
                read get_console_output(GetConsoleOutputRequest),
                read describe_subnets(DescribeSubnetsRequest),
                read describe_security_groups(DescribeSecurityGroupsRequest),
            }
            /// Auto Scaling.
            autoscaling in aws_autoscaling by aws_sdk_autoscaling {
                read describe_auto_scaling_groups(DescribeAutoScalingGroupsRequest),
                read describe_launch_configurations(DescribeLaunchConfigurationsRequest),
                read describe_scaling_activities(DescribeScalingActivitiesRequest),
                read describe_instance_refreshes(DescribeInstanceRefreshesRequest),
                write start_instance_refresh(StartInstanceRefreshRequest),
                write cancel_instance_refresh(CancelInstanceRefreshRequest),
                write rollback_instance_refresh(RollbackInstanceRefreshRequest),
                read describe_traffic_sources(DescribeTrafficSourcesRequest),
                read describe_policies(DescribePoliciesRequest),
                read describe_lifecycle_hooks(DescribeLifecycleHooksRequest),
                read describe_warm_pool(DescribeWarmPoolRequest),
            }
            /// Elastic Load Balancing.
            elasticloadbalancing in aws_elasticloadbalancing by aws_sdk_elasticloadbalancingv2 {
                read describe_load_balancers(DescribeLoadBalancersRequest),
                read describe_listeners(DescribeListenersRequest),
                read describe_rules(DescribeRulesRequest),
                read describe_target_groups(DescribeTargetGroupsRequest),
                read describe_target_health(DescribeTargetHealthRequest),
                read describe_target_group_attributes(DescribeTargetGroupAttributesRequest),
            }
            /// Key Management Service, for who may use keys.
            kms_access in aws_kms_access by aws_sdk_kms {
                read get_key_policy(GetKeyPolicyRequest),
                read list_grants(ListGrantsRequest),
            }
            /// EC2 Image Builder.
            imagebuilder in aws_imagebuilder by aws_sdk_imagebuilder {
                write start_image_pipeline_execution(StartImagePipelineExecutionRequest),
                write create_image(CreateImageRequest),
                write cancel_image_creation(CancelImageCreationRequest),
                write delete_image(DeleteImageRequest),
                read get_image(GetImageRequest),
                read get_image_pipeline(GetImagePipelineRequest),
                read get_image_recipe(GetImageRecipeRequest),
                read list_image_recipes(ListImageRecipesRequest),
                read get_infrastructure_configuration(GetInfrastructureConfigurationRequest),
                read get_distribution_configuration(GetDistributionConfigurationRequest),
                read list_image_pipeline_images(ListImagePipelineImagesRequest),
                read list_images(ListImagesRequest),
                read list_image_build_versions(ListImageBuildVersionsRequest),
                read list_workflow_executions(ListWorkflowExecutionsRequest),
                read list_workflow_step_executions(ListWorkflowStepExecutionsRequest),
                read list_image_scan_findings(ListImageScanFindingsRequest),
                read list_lifecycle_policies(ListLifecyclePoliciesRequest),
                read get_lifecycle_policy(GetLifecyclePolicyRequest),
            }
            /// Inspector.
            inspector2 in aws_inspector2 by aws_sdk_inspector2 {
                read list_findings(ListFindingsRequest),
                read list_coverage(ListCoverageRequest),
                read batch_get_account_status(BatchGetAccountStatusRequest),
                write start_on_demand_scan(StartOnDemandScanRequest),
                read get_on_demand_scan_status(GetOnDemandScanStatusRequest),
                read list_on_demand_scans(ListOnDemandScansRequest),
            }
            /// Systems Manager, for parameters.
            ssm in aws_ssm by aws_sdk_ssm {
                read get_parameter(GetParameterRequest),
                read get_parameters_by_path(GetParametersByPathRequest),
                read describe_parameters(DescribeParametersRequest),
                read get_parameter_history(GetParameterHistoryRequest),
                write put_parameter(PutParameterRequest),
            }
            /// CloudFormation.
            cloudformation in aws_cloudformation by cloudformation_query {
                read validate_template(ValidateTemplateRequest),
                read get_template_summary(GetTemplateSummaryRequest),
                write create_change_set(CreateChangeSetRequest),
                read describe_change_set(DescribeChangeSetRequest),
                write execute_change_set(ExecuteChangeSetRequest),
                write delete_change_set(DeleteChangeSetRequest),
                read describe_stacks(DescribeStacksRequest),
                read list_stack_resources(ListStackResourcesRequest),
                read describe_stack_events(DescribeStackEventsRequest),
                read describe_events(DescribeEventsRequest),
                read get_template(GetTemplateRequest),
                write continue_update_rollback(ContinueUpdateRollbackRequest),
                write rollback_stack(RollbackStackRequest),
                write cancel_update_stack(CancelUpdateStackRequest),
                write delete_stack(DeleteStackRequest),
                write detect_stack_drift(DetectStackDriftRequest),
                read describe_stack_drift_detection_status(DescribeStackDriftDetectionStatusRequest),
                read describe_stack_resource_drifts(DescribeStackResourceDriftsRequest),
                read get_stack_policy(GetStackPolicyRequest),
                write set_stack_policy(SetStackPolicyRequest),
                write update_termination_protection(UpdateTerminationProtectionRequest),
                read list_exports(ListExportsRequest),
                read list_imports(ListImportsRequest),
            }
            /// S3, for templates.
            s3 in aws_s3 by s3_rest {
                write put_text(PutTextRequest),
            }
        }
    };
}

pub(crate) use services;

macro_rules! passed_to {
    ($($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
        $($access:ident $function:ident($request:ident),)*
    })*) => {
        /// The service that `action` hands roles to, where it does.
        pub fn passed_to(action: &str) -> Option<&'static str> {
            let all = [$($((
                <$crate::contract::bindings::kiln::$package::$interface::$request as operation::Operation>::ACTION,
                <$crate::contract::bindings::kiln::$package::$interface::$request as operation::Operation>::PASSES_TO,
            ),)*)*];
            all.into_iter().find(|(known, _)| *known == action)?.1
        }
    };
}

services!(passed_to);
