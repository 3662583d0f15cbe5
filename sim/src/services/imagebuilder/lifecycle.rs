//! Lifecycle policies, as AWS tells of them. The simulator deletes nothing by them: they are there to be found.
//!
//! The main functions are [`list_lifecycle_policies`] and [`get_lifecycle_policy`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lists::{BuilderFilter, PAGE, passes};
use super::state::{ImagePolicy, invalid_token, missing};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListLifecyclePolicies {
    #[serde(default)]
    filters: Vec<BuilderFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LifecyclePolicies {
    lifecycle_policy_summary_list: Vec<PolicySummary>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicySummary {
    arn: String,
    name: String,
    status: &'static str,
    execution_role: String,
    resource_type: &'static str,
    date_created: Timestamp,
    date_updated: Timestamp,
}

fn status(policy: &ImagePolicy) -> &'static str {
    if policy.enabled { "ENABLED" } else { "DISABLED" }
}

pub(super) fn list_lifecycle_policies(
    ctx: &mut Ctx<'_>,
    input: ListLifecyclePolicies,
) -> Result<LifecyclePolicies, AwsError> {
    let mut found = Vec::new();
    for policy in ctx.place().imagebuilder.policies.values() {
        if passes(&input.filters, &policy.name)? {
            found.push(PolicySummary {
                arn: policy.arn.clone(),
                name: policy.name.clone(),
                status: status(policy),
                execution_role: policy.role.clone(),
                resource_type: "AMI_IMAGE",
                date_created: policy.created,
                date_updated: policy.created,
            });
        }
    }
    let size = input.max_results.unwrap_or(PAGE);
    let (lifecycle_policy_summary_list, next_token) = ctx
        .page("imagebuilder:policies", found, size, input.next_token.as_deref(), |one: &PolicySummary| &one.arn)
        .map_err(invalid_token)?;
    Ok(LifecyclePolicies { lifecycle_policy_summary_list, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichPolicy {
    lifecycle_policy_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnePolicy {
    lifecycle_policy: PolicyView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyView {
    arn: String,
    name: String,
    status: &'static str,
    execution_role: String,
    resource_type: &'static str,
    policy_details: Vec<Value>,
    resource_selection: Map<String, Value>,
    date_created: Timestamp,
    date_updated: Timestamp,
}

pub(super) fn get_lifecycle_policy(ctx: &mut Ctx<'_>, input: WhichPolicy) -> Result<OnePolicy, AwsError> {
    let arn = input.lifecycle_policy_arn;
    let policy = ctx.place().imagebuilder.policies.get(&arn).cloned().ok_or_else(|| missing(&arn))?;
    Ok(OnePolicy {
        lifecycle_policy: PolicyView {
            status: status(&policy),
            arn: policy.arn,
            name: policy.name,
            execution_role: policy.role,
            resource_type: "AMI_IMAGE",
            policy_details: policy.details,
            resource_selection: policy.selection,
            date_created: policy.created,
            date_updated: policy.created,
        },
    })
}
