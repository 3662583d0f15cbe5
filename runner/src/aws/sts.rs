//! Security Token Service.
//!
//! The main type is [`GetCallerIdentityRequest`].

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::operation::{Action, Operation, RetryClass, Token};
use crate::contract::bindings::kiln::aws::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};
use crate::types::Arn;
use crate::types::Place;

impl Operation for GetCallerIdentityRequest {
    type Output = GetCallerIdentityResponse;
    const ACTION: Action = Action::read("sts:GetCallerIdentity");
    const RETRY: RetryClass = RetryClass::Read;

    fn resources(&self, _: &Place) -> Vec<Arn> {
        Vec::new()
    }

    async fn send(&self, aws: &Clients, _: &Token) -> Result<Self::Output, AwsError> {
        let output = aws.sts().get_caller_identity().send().await.map_err(from_sdk)?;
        Ok(GetCallerIdentityResponse {
            account: output.account.unwrap_or_default(),
            arn: output.arn.unwrap_or_default(),
            user_id: output.user_id.unwrap_or_default(),
        })
    }
}
