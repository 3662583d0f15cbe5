//! What CloudFormation offers.
//!
//! The main function is [`service`].

use super::state::arn_of;
use super::{changes, changesets, describe, drift, exports, policy, recovery, requests, templates};
use crate::service::Service;
use crate::services::ServiceId;

/// The role that a call hands to CloudFormation.
const ROLE: &str = "{RoleARN}";
const PRINCIPAL: &str = "cloudformation.amazonaws.com";

pub(crate) fn service(id: ServiceId) -> Service {
    let service = Service::new(id, "")
        .xml("http://cloudformation.amazonaws.com/doc/2010-05-15/")
        .invalid_input("ValidationError");
    reads(writes(service))
}

fn writes(service: Service) -> Service {
    service
        .write("CreateStack", requests::create_stack)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("UpdateStack", requests::update_stack)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("DeleteStack", requests::delete_stack)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("UpdateTerminationProtection", requests::update_termination_protection)
        .on_found(arn_of)
        .write("CreateChangeSet", changesets::create_change_set)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("ExecuteChangeSet", changesets::execute_change_set)
        .on_found(arn_of)
        .write("DeleteChangeSet", changesets::delete_change_set)
        .on_found(arn_of)
        .write("ContinueUpdateRollback", recovery::continue_update_rollback)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("RollbackStack", recovery::rollback_stack)
        .on_found(arn_of)
        .passes("RoleARN", ROLE, PRINCIPAL)
        .write("CancelUpdateStack", recovery::cancel_update_stack)
        .on_found(arn_of)
        .write("SignalResource", recovery::signal_resource)
        .on_found(arn_of)
        .write("SetStackPolicy", policy::set_stack_policy)
        .on_found(arn_of)
        .write("DetectStackDrift", drift::detect_stack_drift)
        .on_found(arn_of)
        .write("DetectStackResourceDrift", drift::detect_stack_resource_drift)
        .on_found(arn_of)
}

fn reads(service: Service) -> Service {
    service
        .read("DescribeStacks", describe::describe_stacks)
        .on_found(arn_of)
        .read("ListStacks", describe::list_stacks)
        .read("DescribeStackResources", describe::describe_stack_resources)
        .on_found(arn_of)
        .read("DescribeStackResource", describe::describe_stack_resource)
        .on_found(arn_of)
        .read("ListStackResources", describe::list_stack_resources)
        .on_found(arn_of)
        .read("DescribeStackEvents", describe::describe_stack_events)
        .on_found(arn_of)
        .read("DescribeEvents", describe::describe_events)
        .on_found(arn_of)
        .read("DescribeChangeSet", changes::describe_change_set)
        .on_found(arn_of)
        .read("ListChangeSets", changes::list_change_sets)
        .on_found(arn_of)
        .read("GetTemplate", templates::get_template)
        .on_found(arn_of)
        .read("GetTemplateSummary", templates::get_template_summary)
        .on_found(arn_of)
        .read("ValidateTemplate", templates::validate_template)
        .read("GetStackPolicy", policy::get_stack_policy)
        .on_found(arn_of)
        .read("DescribeStackDriftDetectionStatus", drift::describe_stack_drift_detection_status)
        .read("DescribeStackResourceDrifts", drift::describe_stack_resource_drifts)
        .on_found(arn_of)
        .read("ListExports", exports::list_exports)
        .read("ListImports", exports::list_imports)
}
