//! Lifecycle policies: what Image Builder deletes by itself.
//!
//! The main type is [`GetLifecyclePolicyRequest`].

use aws_sdk_imagebuilder::types as sdk;

use super::images::{PAGE, by_name};
use super::pairs;
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk};
use crate::aws::limits::gather;
use crate::aws::names::ResourceKind;
use crate::aws::operation::{Read, heads};
use crate::aws::values::{count, incomplete, list, millis, optional_word, word};
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    GetLifecyclePolicyRequest, GetLifecyclePolicyResponse, LifecyclePolicySummary, LifecycleRule,
    ListLifecyclePoliciesRequest, ListLifecyclePoliciesResponse, SelectedRecipe,
};

const POLICY: ResourceKind = ResourceKind::new("imagebuilder", "a lifecycle policy", "lifecycle-policy/", "");

heads! {
    ListLifecyclePoliciesRequest => ListLifecyclePoliciesResponse: "imagebuilder:ListLifecyclePolicies" on |_, _| [];
    GetLifecyclePolicyRequest => GetLifecyclePolicyResponse:
        "imagebuilder:GetLifecyclePolicy" on |it, at| [POLICY.arn(at, &it.policy)];
}

impl Read for ListLifecyclePoliciesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = aws.imagebuilder().list_lifecycle_policies();
        let request = request.set_filters(by_name(self.name.as_deref())?).max_results(PAGE);
        let policies = gather("lifecycle policies", request.into_paginator().send(), |page| {
            list(page.lifecycle_policy_summary_list, |policy: sdk::LifecyclePolicySummary| LifecyclePolicySummary {
                arn: policy.arn.unwrap_or_default(),
                name: policy.name.unwrap_or_default(),
                status: word(policy.status),
                resource_type: word(policy.resource_type),
                last_run: millis(policy.date_last_run),
            })
        })
        .await?;
        Ok(ListLifecyclePoliciesResponse { policies })
    }
}

impl Read for GetLifecyclePolicyRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        POLICY.check_arn(&self.policy)?;
        let request = aws.imagebuilder().get_lifecycle_policy().lifecycle_policy_arn(&self.policy);
        let found = request.send().await.map_err(from_sdk)?.lifecycle_policy;
        let policy = found.ok_or_else(|| incomplete("the lifecycle policy"))?;
        let (recipes, tags) =
            policy.resource_selection.map_or((None, None), |selection| (selection.recipes, selection.tag_map));
        Ok(GetLifecyclePolicyResponse {
            arn: policy.arn.unwrap_or_default(),
            name: policy.name.unwrap_or_default(),
            status: word(policy.status),
            resource_type: word(policy.resource_type),
            rules: list(policy.policy_details, rule),
            recipes: list(recipes, |recipe: sdk::LifecyclePolicyResourceSelectionRecipe| SelectedRecipe {
                name: recipe.name,
                version: recipe.semantic_version,
            }),
            tags: pairs(tags),
        })
    }
}

fn rule(detail: sdk::LifecyclePolicyDetail) -> LifecycleRule {
    let (action, resources) =
        detail.action.map_or((None, None), |action| (Some(action.r#type), action.include_resources));
    let (filter, value, unit, retain) = detail.filter.map_or((None, 0, None, None), |filter| {
        (Some(filter.r#type), filter.value, filter.unit, filter.retain_at_least)
    });
    let (tags, amis) = detail.exclusion_rules.map_or((None, None), |rules| (rules.tag_map, rules.amis));
    LifecycleRule {
        action: word(action),
        amis: resources.as_ref().is_some_and(|resources| resources.amis),
        snapshots: resources.is_some_and(|resources| resources.snapshots),
        filter: word(filter),
        value: count(value),
        unit: optional_word(unit),
        retain_at_least: retain.map(count),
        excluded_tags: pairs(tags),
        excluded_ami_tags: pairs(amis.and_then(|amis| amis.tag_map)),
    }
}
