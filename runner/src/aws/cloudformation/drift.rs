//! What was changed behind a stack's back.
//!
//! Every request record here is an [`Operation`](crate::aws::operation::Operation).

use super::wire::{
    self, DescribeStackDriftDetectionStatus, DescribeStackResourceDrifts, DetectStackDrift, DetectionAnswer, DriftItem,
};
use super::{STACK, call, check_logical, some, stack};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, invalid};
use crate::aws::limits::Pages;
use crate::aws::operation::{Read, RetryClass, Token, Write, heads};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws_cloudformation::cloudformation::{
    DescribeStackDriftDetectionStatusRequest, DescribeStackDriftDetectionStatusResponse,
    DescribeStackResourceDriftsRequest, DescribeStackResourceDriftsResponse, DetectStackDriftRequest,
    DetectStackDriftResponse, PropertyDifference, ResourceDrift,
};

heads! {
    DetectStackDriftRequest => DetectStackDriftResponse:
        "cloudformation:DetectStackDrift" on |it, at| stack(at, &it.stack);
    DescribeStackDriftDetectionStatusRequest => DescribeStackDriftDetectionStatusResponse:
        "cloudformation:DescribeStackDriftDetectionStatus" on |_, _| [];
    DescribeStackResourceDriftsRequest => DescribeStackResourceDriftsResponse:
        "cloudformation:DescribeStackResourceDrifts" on |it, at| stack(at, &it.stack);
}

/// It looks, and changes nothing of the stack: to look again is harmless, and the newer answer is as good.
impl Write for DetectStackDriftRequest {
    const RETRY: RetryClass = RetryClass::Natural;

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        check_logical(&self.resources)?;
        let request = DetectStackDrift { stack_name: self.stack.clone(), logical_resource_ids: self.resources.clone() };
        let answer: DetectionAnswer = call(aws, "DetectStackDrift", &request).await?;
        match answer.stack_drift_detection_id.is_empty() {
            true => Err(incomplete("the search for drift")),
            false => Ok(DetectStackDriftResponse { detection: answer.stack_drift_detection_id }),
        }
    }
}

impl Read for DescribeStackDriftDetectionStatusRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        if self.detection.is_empty() || self.detection.len() > 36 {
            return Err(invalid(format_args!("{:?} is not the id of a search for drift", self.detection)));
        }
        let request = DescribeStackDriftDetectionStatus { stack_drift_detection_id: self.detection.clone() };
        let answer: wire::DetectionStatusAnswer = call(aws, "DescribeStackDriftDetectionStatus", &request).await?;
        Ok(DescribeStackDriftDetectionStatusResponse {
            stack_id: answer.stack_id,
            status: answer.detection_status,
            reason: some(answer.detection_status_reason),
            drift: some(answer.stack_drift_status),
            drifted: answer.drifted_stack_resource_count,
        })
    }
}

impl Read for DescribeStackResourceDriftsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        STACK.check(&self.stack)?;
        let mut pages = Pages::of("drifts");
        while let Some(next_token) = pages.next()? {
            let request = DescribeStackResourceDrifts {
                stack_name: self.stack.clone(),
                stack_resource_drift_status_filters: self.statuses.clone(),
                next_token,
            };
            let answer: wire::DriftsAnswer = call(aws, "DescribeStackResourceDrifts", &request).await?;
            pages.add(answer.stack_resource_drifts.member.into_iter().map(drift).collect(), answer.next_token);
        }
        Ok(DescribeStackResourceDriftsResponse { drifts: pages.all() })
    }
}

fn drift(item: DriftItem) -> ResourceDrift {
    let difference = |item: wire::DifferenceItem| PropertyDifference {
        path: item.property_path,
        expected: item.expected_value,
        actual: item.actual_value,
        kind: item.difference_type,
    };
    ResourceDrift {
        logical: item.logical_resource_id,
        physical: some(item.physical_resource_id),
        type_: item.resource_type,
        status: item.stack_resource_drift_status,
        differences: item.property_differences.member.into_iter().map(difference).collect(),
    }
}
