//! What a group did and does, and what it gets its traffic from.
//!
//! The plainest request here is [`DescribeScalingActivitiesRequest`].

use aws_sdk_autoscaling::types as sdk;

use super::groups::check;
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::{first, gather};
use crate::aws::operation::{Read, heads};
use crate::aws::values::{list, millis, word};
use crate::contract::bindings::kiln::aws_autoscaling::autoscaling::{
    DescribeScalingActivitiesRequest, DescribeScalingActivitiesResponse, DescribeTrafficSourcesRequest,
    DescribeTrafficSourcesResponse, ScalingActivity, TrafficSource,
};

heads! {
    DescribeScalingActivitiesRequest => DescribeScalingActivitiesResponse:
        "autoscaling:DescribeScalingActivities" on |_, _| [];
    DescribeTrafficSourcesRequest => DescribeTrafficSourcesResponse:
        "autoscaling:DescribeTrafficSources" on |_, _| [];
}

impl Read for DescribeScalingActivitiesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        if !(1..=1000).contains(&self.limit) {
            return Err(invalid(format_args!("{} activities are asked for; it takes 1 to 1000", self.limit)));
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let request = aws.autoscaling().describe_scaling_activities().auto_scaling_group_name(&self.group);
        let pages = request.max_records(100).into_paginator().send();
        let activities = first(limit, pages, |page| {
            list(page.activities, |activity: sdk::Activity| ScalingActivity {
                id: activity.activity_id.unwrap_or_default(),
                description: activity.description.unwrap_or_default(),
                cause: activity.cause.unwrap_or_default(),
                started: millis(activity.start_time),
                ended: millis(activity.end_time),
                status: word(activity.status_code),
                message: activity.status_message,
            })
        })
        .await?;
        Ok(DescribeScalingActivitiesResponse { activities })
    }
}

impl Read for DescribeTrafficSourcesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        check(&self.group)?;
        let request = aws.autoscaling().describe_traffic_sources().auto_scaling_group_name(&self.group);
        let sources = gather("traffic sources", request.into_paginator().send(), |page| {
            list(page.traffic_sources, |source: sdk::TrafficSourceState| TrafficSource {
                identifier: source.identifier.unwrap_or_default(),
                kind: source.r#type.unwrap_or_default(),
                state: source.state.unwrap_or_default(),
            })
        })
        .await?;
        Ok(DescribeTrafficSourcesResponse { sources })
    }
}
