//! What EC2 offers.
//!
//! The main function is [`service`]. It speaks its own dialect of Query.

use serde_json::Value;

use super::{attributes, images, machines, networks, references, reports, retire, snapshots, tags, templates};
use crate::ctx::Scope;
use crate::service::Service;
use crate::services::ServiceId;
use crate::wire::query::Dialect;

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("http://ec2.amazonaws.com/doc/2016-11-15")
        .in_dialect(Dialect::Ec2)
        .invalid_input("InvalidParameterValue")
        .read("DescribeImages", images::describe_images)
        .read("DescribeImageAttribute", attributes::describe_image_attribute)
        .on_found(image)
        .read("DescribeSnapshots", snapshots::describe_snapshots)
        .read("DescribeImageReferences", references::describe_image_references)
        .write("CreateImageUsageReport", reports::create_image_usage_report)
        .on_found(image)
        .read("DescribeImageUsageReports", reports::describe_image_usage_reports)
        .read("DescribeImageUsageReportEntries", reports::describe_image_usage_report_entries)
        .write("EnableImageDeprecation", retire::enable_image_deprecation)
        .on_found(image)
        .write("DisableImage", retire::disable_image)
        .on_found(image)
        .write("DeregisterImage", retire::deregister_image)
        .on_found(image)
        .write("DeleteSnapshot", snapshots::delete_snapshot)
        .on_found(snapshot)
        .write("CreateTags", tags::create_tags)
        .on_found(tagged)
        .read("DescribeLaunchTemplates", templates::describe_launch_templates)
        .read("DescribeLaunchTemplateVersions", templates::describe_launch_template_versions)
        .write("CreateLaunchTemplateVersion", templates::create_launch_template_version)
        .on_found(templates::target)
        .write("ModifyLaunchTemplate", templates::modify_launch_template)
        .on_found(templates::target)
        .read("DescribeInstances", machines::describe_instances)
        .read("DescribeInstanceStatus", machines::describe_instance_status)
        .read("GetConsoleOutput", machines::get_console_output)
        .on("instance/{InstanceId}")
        .read("DescribeSubnets", networks::describe_subnets)
        .read("DescribeSecurityGroups", networks::describe_security_groups)
}

/// The ARN of a thing that belongs to no account.
fn of_nobody(scope: &Scope<'_>, resource: &str) -> String {
    format!("arn:{}:ec2:{}::{resource}", scope.at.partition(), scope.at.region)
}

fn image(scope: &mut Scope<'_>, input: &Value) -> String {
    of_nobody(scope, &format!("image/{}", input.get("ImageId").and_then(Value::as_str).unwrap_or("*")))
}

fn snapshot(scope: &mut Scope<'_>, input: &Value) -> String {
    of_nobody(scope, &format!("snapshot/{}", input.get("SnapshotId").and_then(Value::as_str).unwrap_or("*")))
}

/// What gets tags: the first of them.
fn tagged(scope: &mut Scope<'_>, input: &Value) -> String {
    let first = input.pointer("/ResourceId/member/1").and_then(Value::as_str).unwrap_or("*");
    match first.split_once('-').map(|(kind, _)| kind) {
        Some("ami") => of_nobody(scope, &format!("image/{first}")),
        Some("snap") => of_nobody(scope, &format!("snapshot/{first}")),
        Some("lt") => scope.arn("ec2", &format!("launch-template/{first}")),
        Some("i") => scope.arn("ec2", &format!("instance/{first}")),
        Some("amiur") => scope.arn("ec2", &format!("image-usage-report/{first}")),
        Some(_) | None => "*".to_owned(),
    }
}
