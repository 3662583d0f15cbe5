//! Key Management Service: who may use keys.
//!
//! Every request record of the interface `kms-access` is an [`Operation`](super::operation::Operation); [`GetKeyPolicyRequest`] is the
//! plainest.

use aws_sdk_kms::types as sdk;

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::kms::KEY;
use super::limits::gather;
use super::operation::{Read, heads};
use super::values::{incomplete, list};
use crate::contract::bindings::kiln::aws_kms_access::kms_access::{
    GetKeyPolicyRequest, GetKeyPolicyResponse, Grant, ListGrantsRequest, ListGrantsResponse,
};

heads! {
    GetKeyPolicyRequest => GetKeyPolicyResponse: "kms:GetKeyPolicy" on |it, at| [KEY.arn(at, &it.key_id)];
    ListGrantsRequest => ListGrantsResponse: "kms:ListGrants" on |it, at| [KEY.arn(at, &it.key_id)];
}

/// Keys have one policy, of this name. AWS takes it where none is given, emulators do not all.
const ONLY: &str = "default";

impl Read for GetKeyPolicyRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        KEY.check(&self.key_id)?;
        let output =
            aws.kms().get_key_policy().key_id(&self.key_id).policy_name(ONLY).send().await.map_err(from_sdk)?;
        Ok(GetKeyPolicyResponse { policy: output.policy.ok_or_else(|| incomplete("the key's policy"))? })
    }
}

impl Read for ListGrantsRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        KEY.check(&self.key_id)?;
        let pages = aws.kms().list_grants().key_id(&self.key_id).limit(100).into_paginator().send();
        let grants = gather("grants", pages, |page| {
            list(page.grants, |grant: sdk::GrantListEntry| Grant {
                id: grant.grant_id.unwrap_or_default(),
                grantee: grant.grantee_principal.unwrap_or_default(),
                operations: list(grant.operations, |operation| operation.as_str().to_owned()),
                constrained: grant.constraints.is_some(),
            })
        })
        .await?;
        Ok(ListGrantsResponse { grants })
    }
}
