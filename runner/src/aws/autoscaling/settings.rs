//! What a group has besides its instances: policies, hooks, a warm pool.
//!
//! The plainest request here is [`DescribeLifecycleHooksRequest`].

use aws_sdk_autoscaling::types as sdk;

use super::groups::{check, instance};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk};
use crate::aws::limits::Pages;
use crate::aws::operation::{Read, heads};
use crate::aws::raw_query::RawQuery;
use crate::aws::values::{count, list};
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    DescribeLifecycleHooksRequest, DescribeLifecycleHooksResponse, DescribePoliciesRequest, DescribePoliciesResponse,
    DescribeWarmPoolRequest, DescribeWarmPoolResponse, LifecycleHook, ScalingPolicy,
};

heads! {
    DescribePoliciesRequest => DescribePoliciesResponse: "autoscaling:DescribePolicies" on |_, _| [];
    DescribeLifecycleHooksRequest => DescribeLifecycleHooksResponse: "autoscaling:DescribeLifecycleHooks" on |_, _| [];
    DescribeWarmPoolRequest => DescribeWarmPoolResponse: "autoscaling:DescribeWarmPool" on |_, _| [];
}

impl Read for DescribePoliciesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        let mut pages = Pages::of("policies");
        while let Some(token) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.autoscaling().describe_policies().auto_scaling_group_name(&self.group);
            let request = request.set_next_token(token).customize().interceptor(raw.clone());
            let page = request.send().await.map_err(from_sdk)?;
            let mut documents = raw.items("ScalingPolicies")?.into_iter();
            let policies = list(page.scaling_policies, |policy: sdk::ScalingPolicy| {
                let mut document = documents.next().unwrap_or_default();
                document.sort_all_objects();
                ScalingPolicy {
                    name: policy.policy_name.unwrap_or_default(),
                    // There were simple ones only, once.
                    kind: policy.policy_type.unwrap_or_else(|| "SimpleScaling".to_owned()),
                    enabled: policy.enabled.unwrap_or(true),
                    alarms: list(policy.alarms, |alarm| alarm.alarm_name.unwrap_or_default()),
                    document: document.to_string(),
                }
            });
            pages.add(policies, page.next_token);
        }
        let policies = pages.all();
        Ok(DescribePoliciesResponse { policies })
    }
}

impl Read for DescribeLifecycleHooksRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        let request = aws.autoscaling().describe_lifecycle_hooks().auto_scaling_group_name(&self.group);
        let output = request.send().await.map_err(from_sdk)?;
        let hooks = list(output.lifecycle_hooks, |hook: sdk::LifecycleHook| LifecycleHook {
            name: hook.lifecycle_hook_name.unwrap_or_default(),
            transition: hook.lifecycle_transition.unwrap_or_default(),
            heartbeat_seconds: hook.heartbeat_timeout.map_or(0, count),
            default_result: hook.default_result.unwrap_or_default(),
        });
        Ok(DescribeLifecycleHooksResponse { hooks })
    }
}

impl Read for DescribeWarmPoolRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        let mut configuration = None;
        let mut pages = Pages::of("instances of the warm pool");
        while let Some(token) = pages.next()? {
            let raw = RawQuery::received();
            let request = aws.autoscaling().describe_warm_pool().auto_scaling_group_name(&self.group);
            let request = request.set_next_token(token).customize().interceptor(raw.clone());
            let page = request.send().await.map_err(from_sdk)?;
            if page.warm_pool_configuration.is_some() {
                // One that names nothing but defaults is there, too.
                let mut document = raw.member("WarmPoolConfiguration")?.unwrap_or_else(|| serde_json::json!({}));
                document.sort_all_objects();
                configuration = Some(document.to_string());
            }
            pages.add(list(page.instances, instance), page.next_token);
        }
        let instances = pages.all();
        Ok(DescribeWarmPoolResponse { configuration, instances })
    }
}
