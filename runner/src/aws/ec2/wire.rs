//! EC2's requests and answers as they go over the wire, as far as kiln asks and reads.
//!
//! There is one struct for each request and each answer, with the names that EC2 gives to their members. Every member is held against
//! botocore's model by a test.

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
            #[serde(rename_all = "camelCase", default)]
            pub(crate) struct $name {
                $($(#[$attribute])* pub(super) $field: $type,)*
            }
        )*
    };
}

/// A list, as EC2 answers it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct ItemList<T> {
    #[serde(default)]
    pub(super) item: Vec<T>,
}

impl<T> Default for ItemList<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

sent! {
    struct Filter {
        name: String,
        value: Vec<String>,
    }

    struct DescribeImages {
        image_id: Vec<String>,
        owner: Vec<String>,
        filter: Vec<Filter>,
        include_deprecated: bool,
        include_disabled: bool,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeImageAttribute {
        image_id: String,
        attribute: &'static str,
    }

    struct DescribeSnapshots {
        snapshot_id: Vec<String>,
        owner: Vec<String>,
        filter: Vec<Filter>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeImageReferences {
        image_id: Vec<String>,
        include_all_resource_types: bool,
        resource_type: Vec<ReferenceType>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct ReferenceType {
        resource_type: &'static str,
        resource_type_option: Vec<TypeOption>,
    }

    struct TypeOption {
        option_name: &'static str,
        option_value: Vec<String>,
    }

    struct CreateImageUsageReport {
        image_id: String,
        resource_type: Vec<UsageType>,
        client_token: String,
    }

    struct UsageType {
        resource_type: String,
    }

    struct DescribeImageUsageReports {
        image_id: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeImageUsageReportEntries {
        report_id: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct EnableImageDeprecation {
        image_id: String,
        deprecate_at: String,
    }

    struct DisableImage {
        image_id: String,
    }

    struct DeregisterImage {
        image_id: String,
        delete_associated_snapshots: bool,
    }

    struct DeleteSnapshot {
        snapshot_id: String,
    }

    struct CreateTags {
        resource_id: Vec<String>,
        tag: Vec<SentTag>,
    }

    struct SentTag {
        key: String,
        value: String,
    }

    struct DescribeLaunchTemplates {
        launch_template_id: Vec<String>,
        launch_template_name: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeLaunchTemplateVersions {
        launch_template_id: Option<String>,
        launch_template_version: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct CreateLaunchTemplateVersion {
        client_token: String,
        launch_template_id: String,
        source_version: Option<String>,
        version_description: Option<String>,
        /// A document whose members the table beside `document` tells.
        launch_template_data: serde_json::Value,
    }

    struct ModifyLaunchTemplate {
        client_token: String,
        launch_template_id: String,
        /// As the API spells it.
        set_default_version: String,
    }

    struct DescribeInstances {
        instance_id: Vec<String>,
        filter: Vec<Filter>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeInstanceStatus {
        instance_id: Vec<String>,
        include_all_instances: bool,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct GetConsoleOutput {
        instance_id: String,
    }

    struct DescribeSubnets {
        subnet_id: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }

    struct DescribeSecurityGroups {
        group_id: Vec<String>,
        max_results: Option<u32>,
        next_token: Option<String>,
    }
}

answered! {
    struct Tag {
        key: String,
        value: String,
    }

    struct Reason {
        code: Option<String>,
        message: Option<String>,
    }

    struct ImagesAnswer {
        images_set: ItemList<Image>,
        next_token: Option<String>,
    }

    struct Image {
        image_id: String,
        name: Option<String>,
        description: Option<String>,
        image_state: String,
        state_reason: Option<Reason>,
        image_owner_id: String,
        creation_date: Option<String>,
        deprecation_time: Option<String>,
        last_launched_time: Option<String>,
        is_public: bool,
        architecture: String,
        root_device_name: Option<String>,
        block_device_mapping: ItemList<Mapping>,
        tag_set: ItemList<Tag>,
        source_image_id: Option<String>,
        source_image_region: Option<String>,
        deregistration_protection: Option<String>,
    }

    struct Mapping {
        device_name: String,
        ebs: Option<Ebs>,
    }

    struct Ebs {
        snapshot_id: Option<String>,
        volume_size: Option<u32>,
        volume_type: Option<String>,
        encrypted: bool,
        kms_key_id: Option<String>,
    }

    struct ImageAttributeAnswer {
        launch_permission: ItemList<Permission>,
    }

    struct Permission {
        user_id: Option<String>,
        group: Option<String>,
        organization_arn: Option<String>,
        organizational_unit_arn: Option<String>,
    }

    struct SnapshotsAnswer {
        snapshot_set: ItemList<Snapshot>,
        next_token: Option<String>,
    }

    struct Snapshot {
        snapshot_id: String,
        description: Option<String>,
        status: String,
        owner_id: String,
        start_time: Option<String>,
        volume_size: u32,
        full_snapshot_size_in_bytes: Option<u64>,
        encrypted: bool,
        kms_key_id: Option<String>,
        storage_tier: Option<String>,
        tag_set: ItemList<Tag>,
    }

    struct ReferencesAnswer {
        image_reference_set: ItemList<NamingResource>,
        next_token: Option<String>,
    }

    struct NamingResource {
        image_id: String,
        resource_type: String,
        arn: String,
    }

    struct ReportAnswer {
        report_id: Option<String>,
    }

    struct ReportsAnswer {
        image_usage_report_set: ItemList<UsageReport>,
        next_token: Option<String>,
    }

    struct UsageReport {
        report_id: String,
        image_id: String,
        state: String,
        state_reason: Option<String>,
        resource_type_set: ItemList<ReportedType>,
        account_id_set: ItemList<String>,
        creation_time: Option<String>,
    }

    struct ReportedType {
        resource_type: String,
    }

    struct EntriesAnswer {
        image_usage_report_entry_set: ItemList<UsageEntry>,
        next_token: Option<String>,
    }

    struct UsageEntry {
        report_id: String,
        image_id: String,
        account_id: String,
        resource_type: String,
        usage_count: u64,
    }

    /// Whether it was done: EC2 says so, or answers an error.
    struct Done {
        r#return: bool,
    }

    struct DeregisterAnswer {
        r#return: bool,
        delete_snapshot_result_set: ItemList<SnapshotResult>,
    }

    struct SnapshotResult {
        snapshot_id: String,
        return_code: String,
    }

    struct TemplatesAnswer {
        launch_templates: ItemList<TemplateItem>,
        next_token: Option<String>,
    }

    struct TemplateItem {
        launch_template_id: String,
        launch_template_name: String,
        default_version_number: u64,
        latest_version_number: u64,
        tag_set: ItemList<Tag>,
    }

    struct VersionsAnswer {
        launch_template_version_set: ItemList<TemplateVersion>,
        next_token: Option<String>,
    }

    struct TemplateVersion {
        launch_template_id: String,
        launch_template_name: String,
        version_number: u64,
        version_description: Option<String>,
        create_time: Option<String>,
        created_by: Option<String>,
        default_version: bool,
    }

    struct VersionAnswer {
        launch_template_version: Option<TemplateVersion>,
        warning: Option<VersionWarning>,
    }

    struct VersionWarning {
        error_set: ItemList<Reason>,
    }

    struct TemplateAnswer {
        launch_template: Option<TemplateItem>,
    }

    struct InstancesAnswer {
        reservation_set: ItemList<Reservation>,
        next_token: Option<String>,
    }

    struct Reservation {
        instances_set: ItemList<Instance>,
    }

    struct Instance {
        instance_id: String,
        image_id: String,
        instance_state: State,
        state_reason: Option<Reason>,
        instance_type: String,
        placement: Placement,
        subnet_id: Option<String>,
        launch_time: Option<String>,
        instance_lifecycle: Option<String>,
        private_ip_address: Option<String>,
        tag_set: ItemList<Tag>,
    }

    struct State {
        name: String,
    }

    struct Placement {
        availability_zone: String,
    }

    struct StatusesAnswer {
        instance_status_set: ItemList<InstanceStatus>,
        next_token: Option<String>,
    }

    struct InstanceStatus {
        instance_id: String,
        instance_state: State,
        instance_status: StatusSummary,
        system_status: StatusSummary,
        events_set: ItemList<InstanceEvent>,
    }

    struct StatusSummary {
        status: String,
    }

    struct InstanceEvent {
        code: String,
    }

    struct ConsoleAnswer {
        output: Option<String>,
    }

    struct SubnetsAnswer {
        subnet_set: ItemList<Subnet>,
        next_token: Option<String>,
    }

    struct Subnet {
        subnet_id: String,
        vpc_id: String,
        availability_zone: String,
        cidr_block: String,
        available_ip_address_count: u32,
        map_public_ip_on_launch: bool,
        tag_set: ItemList<Tag>,
    }

    struct GroupsAnswer {
        security_group_info: ItemList<SecurityGroup>,
        next_token: Option<String>,
    }

    struct SecurityGroup {
        group_id: String,
        group_name: String,
        vpc_id: Option<String>,
        ip_permissions: ItemList<Rule>,
        ip_permissions_egress: ItemList<Rule>,
    }

    struct Rule {
        ip_protocol: String,
        from_port: Option<i32>,
        to_port: Option<i32>,
        groups: ItemList<Pair>,
        ip_ranges: ItemList<Range>,
        ipv6_ranges: ItemList<RangeOfSix>,
        prefix_list_ids: ItemList<PrefixList>,
    }

    struct Pair {
        group_id: Option<String>,
    }

    struct Range {
        cidr_ip: String,
    }

    struct RangeOfSix {
        cidr_ipv6: String,
    }

    struct PrefixList {
        prefix_list_id: String,
    }
}
