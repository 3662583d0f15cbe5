//! CloudFormation's requests and answers as they go over the wire, as far as kiln asks and reads.
//!
//! There is one struct for each request and each answer, with the names that CloudFormation gives to their members. Every member is held
//! against botocore's model by a test.

use serde::{Deserialize, Serialize};

/// A structure that is sent. In tests its members are told.
macro_rules! sent {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, Serialize)]
            #[cfg_attr(test, derive(schemars::JsonSchema))]
            #[serde(rename_all = "PascalCase")]
            pub(crate) struct $name {
                $($(#[$attribute])* pub(super) $field: $type,)*
            }
        )*
    };
}

/// A structure that is answered. What it lacks is empty.
macro_rules! answered {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[cfg_attr(test, derive(schemars::JsonSchema))]
            #[serde(rename_all = "PascalCase", default)]
            pub(crate) struct $name {
                $($(#[$attribute])* pub(super) $field: $type,)*
            }
        )*
    };
}

/// A list, as CloudFormation answers it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct MemberList<T> {
    #[serde(default)]
    pub(super) member: Vec<T>,
}

impl<T> Default for MemberList<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

/// An answer of which nothing is read.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Nothing {}

sent! {
    struct ValidateTemplate {
        template_body: Option<String>,
        #[serde(rename = "TemplateURL")]
        template_url: Option<String>,
    }

    struct GetTemplateSummary {
        stack_name: Option<String>,
        template_body: Option<String>,
        #[serde(rename = "TemplateURL")]
        template_url: Option<String>,
    }

    struct SentParameter {
        parameter_key: String,
        parameter_value: Option<String>,
        use_previous_value: Option<bool>,
    }

    struct SentTrigger {
        arn: String,
        r#type: &'static str,
    }

    struct SentTriggers {
        rollback_triggers: Vec<SentTrigger>,
        monitoring_time_in_minutes: u32,
    }

    struct SentStackTag {
        key: String,
        value: String,
    }

    struct DeploymentConfig {
        mode: String,
    }

    struct CreateChangeSet {
        stack_name: String,
        change_set_name: String,
        change_set_type: String,
        client_token: String,
        template_body: Option<String>,
        #[serde(rename = "TemplateURL")]
        template_url: Option<String>,
        use_previous_template: Option<bool>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        parameters: Vec<SentParameter>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        capabilities: Vec<String>,
        tags: Option<Vec<SentStackTag>>,
        #[serde(rename = "RoleARN")]
        role_arn: Option<String>,
        rollback_configuration: Option<SentTriggers>,
        #[serde(rename = "NotificationARNs")]
        notification_arns: Option<Vec<String>>,
        description: Option<String>,
        include_nested_stacks: bool,
        on_stack_failure: Option<String>,
        deployment_mode: Option<&'static str>,
        deployment_config: Option<DeploymentConfig>,
        disable_validation: Option<bool>,
    }

    struct DescribeChangeSet {
        stack_name: String,
        change_set_name: String,
        include_property_values: bool,
        next_token: Option<String>,
    }

    struct ExecuteChangeSet {
        stack_name: String,
        change_set_name: String,
        client_request_token: String,
        disable_rollback: Option<bool>,
        retain_except_on_create: Option<bool>,
    }

    struct DeleteChangeSet {
        stack_name: String,
        change_set_name: String,
    }

    struct DescribeStacks {
        stack_name: Option<String>,
        next_token: Option<String>,
    }

    struct ListStackResources {
        stack_name: String,
        next_token: Option<String>,
    }

    struct DescribeStackEvents {
        stack_name: String,
        next_token: Option<String>,
    }

    struct EventFilter {
        failed_events: bool,
    }

    struct DescribeEvents {
        stack_name: Option<String>,
        operation_id: Option<String>,
        change_set_name: Option<String>,
        filters: Option<EventFilter>,
        next_token: Option<String>,
    }

    struct GetTemplate {
        stack_name: String,
        change_set_name: Option<String>,
        template_stage: &'static str,
    }

    struct ContinueUpdateRollback {
        stack_name: String,
        client_request_token: String,
        #[serde(rename = "RoleARN")]
        role_arn: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        resources_to_skip: Vec<String>,
    }

    struct RollbackStack {
        stack_name: String,
        client_request_token: String,
        #[serde(rename = "RoleARN")]
        role_arn: Option<String>,
        retain_except_on_create: Option<bool>,
    }

    struct CancelUpdateStack {
        stack_name: String,
        client_request_token: String,
    }

    struct DeleteStack {
        stack_name: String,
        client_request_token: String,
        #[serde(rename = "RoleARN")]
        role_arn: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        retain_resources: Vec<String>,
    }

    struct DetectStackDrift {
        stack_name: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        logical_resource_ids: Vec<String>,
    }

    struct DescribeStackDriftDetectionStatus {
        stack_drift_detection_id: String,
    }

    struct DescribeStackResourceDrifts {
        stack_name: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        stack_resource_drift_status_filters: Vec<String>,
        next_token: Option<String>,
    }

    struct GetStackPolicy {
        stack_name: String,
    }

    struct SetStackPolicy {
        stack_name: String,
        stack_policy_body: String,
    }

    struct UpdateTerminationProtection {
        stack_name: String,
        enable_termination_protection: bool,
    }

    struct ListExports {
        next_token: Option<String>,
    }

    struct ListImports {
        export_name: String,
        next_token: Option<String>,
    }
}

answered! {
    struct ValidateAnswer {
        description: Option<String>,
        capabilities: MemberList<String>,
        capabilities_reason: Option<String>,
        declared_transforms: MemberList<String>,
    }

    struct ParameterLimits {
        allowed_values: MemberList<String>,
    }

    struct DeclaredItem {
        parameter_key: String,
        default_value: Option<String>,
        parameter_type: String,
        no_echo: bool,
        parameter_constraints: ParameterLimits,
    }

    struct SummaryAnswer {
        parameters: MemberList<DeclaredItem>,
        capabilities: MemberList<String>,
        capabilities_reason: Option<String>,
        resource_types: MemberList<String>,
        declared_transforms: MemberList<String>,
    }

    struct ChangeSetMade {
        id: String,
        stack_id: String,
    }

    struct ParameterItem {
        parameter_key: String,
        parameter_value: String,
        resolved_value: Option<String>,
    }

    struct StackTag {
        key: String,
        value: String,
    }

    struct LiveDrift {
        actual_value: Option<String>,
    }

    struct ChangeTarget {
        attribute: String,
        name: Option<String>,
        requires_recreation: String,
        path: Option<String>,
        before_value: Option<String>,
        after_value: Option<String>,
        attribute_change_type: Option<String>,
        drift: LiveDrift,
    }

    struct DetailItem {
        target: ChangeTarget,
        evaluation: String,
        change_source: String,
        causing_entity: Option<String>,
    }

    struct ChangeItem {
        action: String,
        logical_resource_id: String,
        physical_resource_id: Option<String>,
        resource_type: String,
        replacement: Option<String>,
        scope: MemberList<String>,
        policy_action: Option<String>,
        resource_drift_status: Option<String>,
        details: MemberList<DetailItem>,
        change_set_id: Option<String>,
        before_context: Option<String>,
        after_context: Option<String>,
    }

    struct ChangeEntry {
        resource_change: Option<ChangeItem>,
    }

    struct ChangeSetAnswer {
        change_set_name: String,
        change_set_id: String,
        stack_name: String,
        stack_id: String,
        status: String,
        status_reason: Option<String>,
        execution_status: String,
        parameters: MemberList<ParameterItem>,
        tags: MemberList<StackTag>,
        changes: MemberList<ChangeEntry>,
        stack_drift_status: Option<String>,
        creation_time: Option<String>,
        next_token: Option<String>,
    }

    struct OutputItem {
        output_key: String,
        output_value: String,
        description: Option<String>,
        export_name: Option<String>,
    }

    struct TriggerItem {
        arn: String,
        r#type: String,
    }

    struct TriggersItem {
        rollback_triggers: MemberList<TriggerItem>,
        monitoring_time_in_minutes: u32,
    }

    struct StackDriftItem {
        stack_drift_status: String,
        last_check_timestamp: Option<String>,
    }

    struct StackMode {
        mode: Option<String>,
    }

    struct OperationItem {
        operation_type: String,
        operation_id: String,
    }

    struct StackItem {
        stack_name: String,
        stack_id: String,
        description: Option<String>,
        stack_status: String,
        stack_status_reason: Option<String>,
        detailed_status: Option<String>,
        parameters: MemberList<ParameterItem>,
        outputs: MemberList<OutputItem>,
        tags: MemberList<StackTag>,
        capabilities: MemberList<String>,
        #[serde(rename = "RoleARN")]
        role_arn: Option<String>,
        #[serde(rename = "NotificationARNs")]
        notification_arns: MemberList<String>,
        rollback_configuration: TriggersItem,
        enable_termination_protection: bool,
        disable_rollback: bool,
        creation_time: Option<String>,
        last_updated_time: Option<String>,
        deletion_time: Option<String>,
        change_set_id: Option<String>,
        parent_id: Option<String>,
        root_id: Option<String>,
        drift_information: StackDriftItem,
        deployment_config: StackMode,
        last_operations: MemberList<OperationItem>,
    }

    struct StacksAnswer {
        stacks: MemberList<StackItem>,
        next_token: Option<String>,
    }

    struct ResourceDriftState {
        stack_resource_drift_status: String,
    }

    struct ResourceItem {
        logical_resource_id: String,
        physical_resource_id: Option<String>,
        resource_type: String,
        resource_status: String,
        resource_status_reason: Option<String>,
        last_updated_timestamp: Option<String>,
        drift_information: ResourceDriftState,
    }

    struct StackResourcesAnswer {
        stack_resource_summaries: MemberList<ResourceItem>,
        next_token: Option<String>,
    }

    struct StackEventItem {
        stack_id: String,
        event_id: String,
        operation_id: Option<String>,
        logical_resource_id: Option<String>,
        physical_resource_id: Option<String>,
        resource_type: Option<String>,
        timestamp: Option<String>,
        resource_status: Option<String>,
        resource_status_reason: Option<String>,
        detailed_status: Option<String>,
        client_request_token: Option<String>,
        hook_type: Option<String>,
        hook_status: Option<String>,
        hook_status_reason: Option<String>,
        hook_failure_mode: Option<String>,
    }

    struct StackEventsAnswer {
        stack_events: MemberList<StackEventItem>,
        next_token: Option<String>,
    }

    struct OperationEventItem {
        event_id: String,
        operation_id: String,
        event_type: String,
        logical_resource_id: Option<String>,
        resource_type: Option<String>,
        timestamp: Option<String>,
        resource_status: Option<String>,
        resource_status_reason: Option<String>,
        client_request_token: Option<String>,
        hook_type: Option<String>,
        hook_status: Option<String>,
        hook_status_reason: Option<String>,
        hook_failure_mode: Option<String>,
        validation_name: Option<String>,
        validation_status: Option<String>,
        validation_status_reason: Option<String>,
        validation_path: Option<String>,
        validation_failure_mode: Option<String>,
    }

    struct OperationEventsAnswer {
        operation_events: MemberList<OperationEventItem>,
        next_token: Option<String>,
    }

    struct TemplateBodyAnswer {
        template_body: Option<String>,
    }

    struct DetectionAnswer {
        stack_drift_detection_id: String,
    }

    struct DetectionStatusAnswer {
        stack_id: String,
        detection_status: String,
        detection_status_reason: Option<String>,
        stack_drift_status: Option<String>,
        drifted_stack_resource_count: u32,
    }

    struct DifferenceItem {
        property_path: String,
        expected_value: String,
        actual_value: String,
        difference_type: String,
    }

    struct DriftItem {
        logical_resource_id: String,
        physical_resource_id: Option<String>,
        resource_type: String,
        stack_resource_drift_status: String,
        property_differences: MemberList<DifferenceItem>,
    }

    struct DriftsAnswer {
        stack_resource_drifts: MemberList<DriftItem>,
        next_token: Option<String>,
    }

    struct StackPolicyAnswer {
        stack_policy_body: Option<String>,
    }

    struct ProtectionAnswer {
        stack_id: Option<String>,
    }

    struct ExportItem {
        exporting_stack_id: String,
        name: String,
        value: String,
    }

    struct ExportsAnswer {
        exports: MemberList<ExportItem>,
        next_token: Option<String>,
    }

    struct ImportsAnswer {
        imports: MemberList<String>,
        next_token: Option<String>,
    }
}
