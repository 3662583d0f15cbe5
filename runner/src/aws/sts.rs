//! Security Token Service.
//!
//! The main type is [`GetCallerIdentityRequest`].

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::operation::{Read, heads};
use crate::contract::bindings::kiln::aws_sts::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};

heads! {
    GetCallerIdentityRequest => GetCallerIdentityResponse: "sts:GetCallerIdentity" on |_, _| [];
}

impl Read for GetCallerIdentityRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let output = aws.sts().get_caller_identity().send().await.map_err(from_sdk)?;
        Ok(GetCallerIdentityResponse {
            account: output.account.unwrap_or_default(),
            arn: output.arn.unwrap_or_default(),
            user_id: output.user_id.unwrap_or_default(),
        })
    }
}
