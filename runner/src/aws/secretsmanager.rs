//! Secrets Manager: descriptions for stages, values for the host alone.
//!
//! [`DescribeSecretRequest`] is what stages may ask for; [`GetSecretValueRequest`] has no function in the WIT.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::clients::Clients;
use super::error::{AwsError, from_sdk};
use super::names::ResourceKind;
use super::operation::{Read, heads};
use super::values::{incomplete, list, millis};
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_secretsmanager::secretsmanager::{
    DescribeSecretRequest, DescribeSecretResponse,
};

/// A secret's ARN ends in a hyphen and six characters that AWS chose, which a name alone does not tell: `?` stands for
/// each, as IAM writes it.
const SECRET: ResourceKind =
    ResourceKind { behind: "-??????", ..ResourceKind::new("secretsmanager", "a secret", "secret:", "-_/+=.@") };

heads! {
    DescribeSecretRequest => DescribeSecretResponse:
        "secretsmanager:DescribeSecret" on |it, at| [SECRET.arn(at, &it.secret_id)];
    GetSecretValueRequest => GetSecretValueResponse:
        "secretsmanager:GetSecretValue" on |it, at| [SECRET.arn(at, &it.secret_id)];
}

impl Read for DescribeSecretRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        SECRET.check(&self.secret_id)?;
        let request = aws.secretsmanager().describe_secret().secret_id(&self.secret_id);
        let output = request.send().await.map_err(from_sdk)?;
        let current = |(version, stages): (String, Vec<String>)| {
            stages.iter().any(|stage| stage == "AWSCURRENT").then_some(version)
        };
        let tag = |tag: aws_sdk_secretsmanager::types::Tag| Pair {
            name: tag.key.unwrap_or_default(),
            value: tag.value.unwrap_or_default(),
        };
        Ok(DescribeSecretResponse {
            arn: output.arn.unwrap_or_default(),
            name: output.name.unwrap_or_default(),
            kms_key_id: output.kms_key_id,
            rotation_enabled: output.rotation_enabled.unwrap_or(false),
            last_rotated: millis(output.last_rotated_date),
            last_changed: millis(output.last_changed_date),
            next_rotation: millis(output.next_rotation_date),
            deleted: millis(output.deleted_date),
            current_version: output.version_ids_to_stages.unwrap_or_default().into_iter().find_map(current),
            tags: list(output.tags, tag),
        })
    }
}

/// Which version of which secret. Neither version nor stage means the stage `AWSCURRENT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSecretValueRequest {
    /// The secret's name or ARN.
    pub secret_id: String,
    /// A version's id.
    pub version_id: Option<String>,
    /// A label of a version, such as `AWSPREVIOUS`.
    pub version_stage: Option<String>,
}

/// A secret's value, which is erased from memory when this is dropped and never shown. It serialises because every
/// answer does: whoever writes it down breaks the promise that `SENSITIVE` makes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct GetSecretValueResponse {
    /// The secret's ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The id of the version that was read.
    pub version_id: String,
    /// The value, where it is text.
    pub secret_string: Option<String>,
    /// The value, where it is bytes.
    pub secret_binary: Option<Vec<u8>>,
}

impl fmt::Debug for GetSecretValueResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetSecretValueResponse")
            .field("arn", &self.arn)
            .field("name", &self.name)
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

impl Read for GetSecretValueRequest {
    const SENSITIVE: &'static [&'static str] = &["secret_string", "secret_binary"];

    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        SECRET.check(&self.secret_id)?;
        let output = aws
            .secretsmanager()
            .get_secret_value()
            .secret_id(&self.secret_id)
            .set_version_id(self.version_id.clone())
            .set_version_stage(self.version_stage.clone())
            .send()
            .await
            .map_err(from_sdk)?;
        let secret = GetSecretValueResponse {
            arn: output.arn.unwrap_or_default(),
            name: output.name.unwrap_or_default(),
            version_id: output.version_id.unwrap_or_default(),
            secret_string: output.secret_string,
            secret_binary: output.secret_binary.map(|blob| blob.into_inner()),
        };
        if secret.secret_string.is_none() && secret.secret_binary.is_none() {
            return Err(incomplete("the secret's value"));
        }
        Ok(secret)
    }
}
